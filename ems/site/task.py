"""A building's days, ready to plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ems.agents import Agent, GridAgent
from ems.core.horizon import Horizon


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanningTask:
    """Days ready to plan.

    ``n_committed``: steps of ``horizon`` to execute; ``midnights``: the first step of each day, and
    ``n_committed`` after the last.
    """

    days: tuple[date, ...]
    horizon: Horizon
    agents: tuple[Agent, ...]
    grid: GridAgent
    n_committed: int
    midnights: tuple[int, ...]
