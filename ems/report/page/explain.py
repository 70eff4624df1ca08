"""What a plan does in each hour of a day and why, in words, from its dual prices.

The price of the bus is the cost of one more kWh in that hour, with all plans adapting: the feed-in
price where the last kWh is sold, the tariff's price where it is bought, something between where the
building is self-sufficient. A choice is explained by the prices of the hours it is between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ems.agents import words
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.priced import VISIBLE_KW, Elsewhere, PricedPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.participant import Plan
from ems.core.program import Program
from ems.core.solver import Solver
from ems.site.task import PlanningTask
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class ExplainedHour:
    """One step of the day: local time, prices [ct/kWh], what happens and why.

    ``clock``: the time as shown to people, with the zone in the repeated hour in autumn; ``came``:
    deviations from the plan, empty if there are none or nothing was forecast.
    """

    local: pd.Timestamp
    clock: str
    import_ct: float
    export_ct: float
    worth_ct: float
    sentences: tuple[str, ...]
    came: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedDay:
    """A planned day with prices and reasons.

    ``schedule``: the committed steps; ``worth_eur_per_kwh``: the bus price in each.
    ``left_over_kw``: the largest imbalance of a step; ``bill_off_eur``: difference between the
    recomputed cost and the solver's; ``gap_eur``: distance to the proven bound.
    """

    schedule: DispatchPlan
    worth_eur_per_kwh: Floats
    hours: tuple[ExplainedHour, ...]
    left_over_kw: float
    bill_off_eur: float
    gap_eur: float


def explain_day(problem: PlanningTask, solver: Solver, *, believed: bool = False) -> ExplainedDay:
    """Plan ``problem`` centrally, compute bus prices, and explain each committed step.

    ``believed``: whether sun, loads and starts of ``problem`` are forecasts. Raises ``Infeasible``
    and ``SolveError`` as the plan does.
    """
    horizon, n = problem.horizon, problem.n_committed
    plan = GlobalOptimizer(problem.agents, problem.grid, solver).optimize_centralized(horizon)
    # The optimizer keeps its program to itself; the prices need the same one again.
    program = Program(horizon)
    for agent in plan.agents:
        program.add(agent)
    worth = program.solve_with_price(solver)[1]
    priced = priced_plan(problem, plan, worth, solver, believed=believed)
    hours = tuple(
        ExplainedHour(
            local=horizon.local[t],
            clock=priced.clock(t),
            import_ct=priced.import_ct(t),
            export_ct=priced.export_ct(t),
            worth_ct=100 * float(worth[t]),
            sentences=tuple(tell(plan, priced, t)),
        )
        for t in range(n)
    )
    balance_kw = plan.net_load_kw("load", "generation", "storage", "grid")
    return ExplainedDay(
        schedule=plan.window(0, n),
        worth_eur_per_kwh=worth[:n],
        hours=hours,
        left_over_kw=float(np.max(np.abs(balance_kw))),
        bill_off_eur=abs(sum(plan.costs_eur().values()) - plan.objective_eur),
        gap_eur=plan.gap_eur,
    )


def priced_plan(
    problem: PlanningTask,
    plan: DispatchPlan,
    worth_eur_per_kwh: Floats,
    solver: Solver,
    *,
    believed: bool = False,
) -> PricedPlan:
    """What agents need to explain themselves."""
    limits_kw = problem.grid.limits_kw(problem.horizon.n_steps)
    return PricedPlan(
        horizon=problem.horizon,
        agents=plan.agents,
        plans=plan.plans,
        worth_ct=100 * worth_eur_per_kwh,
        n_told=problem.n_committed,
        max_import_kw=limits_kw[0],
        max_export_kw=limits_kw[1],
        elsewhere=planned_anew(problem, solver, plan),
        believed=believed,
    )


def planned_anew(problem: PlanningTask, solver: Solver, plan: DispatchPlan) -> Elsewhere:
    """Price another choice of an agent by planning again; within the gap it costs nothing."""

    def elsewhere(name: str, changes: Mapping[str, Any], moved: Plan) -> float | None:
        others_kw = plan.net_load_kw("load", "generation", "storage")
        net_kw = others_kw + moved.net_load_kw - plan.plans[name].net_load_kw
        # Checked first: a choice that breaks the grid limits needs no solve.
        if any(problem.grid.audit(problem.grid.settle(net_kw), plan.horizon)):
            return None
        agents = [
            replace(agent, **changes) if agent.name == name else agent for agent in problem.agents
        ]
        other = GlobalOptimizer(agents, problem.grid, solver).optimize_centralized(problem.horizon)
        more_eur = other.objective_eur - plan.objective_eur
        return 0.0 if more_eur <= max(plan.gap_eur, other.gap_eur) else 100 * more_eur

    return elsewhere


def tell(plan: DispatchPlan, priced: PricedPlan, t: int) -> Iterator[str]:
    """What happens in step ``t`` and why: load and sun first, then each agent."""
    yield _load(plan, priced, t)
    for agent in plan.agents:
        yield from agent.explain(priced, t)


def _load(plan: DispatchPlan, priced: PricedPlan, t: int) -> str:
    """The fixed load and the sun."""
    used_kw = sum(
        float(plan.plans[agent.name].net_load_kw[t])
        for agent in plan.agents
        if agent.kind == "load" and agent.fixed
    )
    sun_kw = float(priced.sun_kw[t])
    if priced.believed:
        sun = f", the sun to give {words.kw(sun_kw)}" if sun_kw > VISIBLE_KW else ""
        return f"The building is expected to use {words.kw(used_kw)}{sun}."
    sun = f", the sun gives {words.kw(sun_kw)}" if sun_kw > VISIBLE_KW else ""
    return f"The building uses {words.kw(used_kw)}{sun}."
