"""A building's days ready to be planned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ems.agents import Agent, GridAgent
from ems.core.horizon import Horizon


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanningTask:
    """Days ready to be planned.

    ``n_committed``: steps of ``horizon`` that are carried out; ``midnights``: the step in which
    each day starts, and ``n_committed`` behind the last.
    """

    days: tuple[date, ...]
    horizon: Horizon
    agents: tuple[Agent, ...]
    grid: GridAgent
    n_committed: int
    midnights: tuple[int, ...]
