"""Days small enough to explain by hand, and how their sentences are read."""

from __future__ import annotations

from datetime import date

import numpy as np

from ems.agents import Agent, BaseLoadAgent, GridAgent
from ems.core.horizon import Horizon
from ems.core.solver import Solver
from ems.report.page.explain import ExplainedDay, explain_day
from ems.site.task import PlanningTask

SOLVER = Solver(mip_gap=0.0, mip_gap_eur=0.0)


def problem(
    import_ct: list[float],
    *agents: Agent,
    export_ct: float | list[float] = 8.0,
    load_kw: float | list[float] = 1.0,
    grid: GridAgent | None = None,
    start: str = "2016-06-01T10:00",
    step_h: float = 1.0,
    n_committed: int | None = None,
) -> PlanningTask:
    """A building with a base load; 10:00 UTC in June is noon by its clock."""
    n = len(import_ct)
    horizon = Horizon(
        start_utc=np.datetime64(start),
        step_h=step_h,
        import_eur_per_kwh=np.array(import_ct) / 100,
        export_eur_per_kwh=np.broadcast_to(export_ct, (n,)) / 100,
    )
    house = BaseLoadAgent(name="base_load", load_kw=np.broadcast_to(load_kw, (n,)).copy())
    committed = n if n_committed is None else n_committed
    return PlanningTask(
        days=(date(2016, 6, 1),),
        horizon=horizon,
        agents=(house, *agents),
        grid=grid or GridAgent(),
        n_committed=committed,
        midnights=(0, committed),
    )


def explain(made: PlanningTask) -> ExplainedDay:
    """Its explanation, solved without a gap."""
    return explain_day(made, SOLVER)


def told(day: ExplainedDay, t: int, about: str = "") -> list[str]:
    """The sentences of a step that name ``about``, with plain spaces."""
    sentences = [sentence.replace("\u00a0", " ") for sentence in day.hours[t].sentences]
    return [sentence for sentence in sentences if about in sentence]
