"""Figures of what was planned and what it was worth; the only importer of matplotlib, seaborn.

Every function returns a ``matplotlib.figure.Figure`` that pyplot does not know; ``save`` writes it.
"""

from ems.plots.buildings import energies_by_building
from ems.plots.cost import cumulative_cost
from ems.plots.day import planned_day
from ems.plots.modes import mode_overview
from ems.plots.page import Origin, save
from ems.plots.savings import savings_by_day

__all__ = [
    "Origin",
    "cumulative_cost",
    "energies_by_building",
    "mode_overview",
    "planned_day",
    "save",
    "savings_by_day",
]
