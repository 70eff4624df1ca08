"""Figures of what was planned and what it was worth; the only importer of matplotlib, seaborn.

Every function returns a ``matplotlib.figure.Figure`` that pyplot does not know; ``save`` writes it.
"""

from ems.report.figures.buildings import energies_by_building
from ems.report.figures.cost import cumulative_cost
from ems.report.figures.day import planned_day
from ems.report.figures.modes import mode_overview
from ems.report.figures.page import Origin, save
from ems.report.figures.savings import savings_by_day

__all__ = [
    "Origin",
    "cumulative_cost",
    "energies_by_building",
    "mode_overview",
    "planned_day",
    "save",
    "savings_by_day",
]
