"""Plans made on forecasts and executed on what really happens.

A plan is made from the series forecast at its instant. Until the next plan, the real devices follow
its set-points within their limits; the grid takes the rest, or with ``dispatch="balance"`` the
battery as far as it can.
``centralized`` and ``decentralized`` plan once a day at midnight, ``centralized_phases`` every
``phase_h`` hours. With perfect information the result equals the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ems.agents import Agent, GridAgent
from ems.agents.comfort import Comfort
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import settled
from ems.control.optimizer import GlobalOptimizer, joined, phase_starts
from ems.core.horizon import Horizon
from ems.core.mode import Dispatch, Mode
from ems.core.participant import TOLERANCE, Kind, Plan
from ems.core.solver import Solver
from ems.economics.store_value import Left
from ems.forecast.information import Futures, Information
from ems.site.building import Building
from ems.site.task import PlanningTask
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class DayToPlan:
    """A day to plan and execute: look-ahead, initial state, and the value of what is left.

    ``state``: stores and grid as they stand at midnight; ``left``: what is left in the stores
    at the end of the look-ahead, None to end as full as they began.
    """

    day: date
    lookahead_h: float
    state: Mapping[str, Agent]
    left: Left | None
    comfort: Comfort | None


@dataclass(frozen=True, kw_only=True, eq=False)
class ExecutedDay:
    """What was done on a day, and the forecast errors [kWh]."""

    schedule: DispatchPlan
    pv_error_kwh: float
    load_error_kwh: float


def execute_day(
    building: Building,
    foresight: Information,
    live: DayToPlan,
    mode: Mode,
    solver: Solver,
    *,
    phase_h: float,
    dispatch: Dispatch = "setpoints",
    hedged: bool = False,
) -> ExecutedDay:
    """Plan, execute until the next plan, and repeat to the end of the day.

    Raises ``Infeasible`` and ``SolveError`` as the plans do, and ``SolveError`` if the executed day
    breaks a physical rule.
    """
    real = building.problem(
        [live.day],
        lookahead_h=live.lookahead_h,
        state=live.state,
        left=live.left,
        comfort=live.comfort,
        # The real series, but appliance runs hidden as the forecast hides them, so windows agree.
        course=replace(building.truth, runs_foreseen=foresight.runs_foreseen),
    )
    starts = instants(real.horizon, real.n_committed, mode, phase_h)
    agents, grid = real.agents, real.grid
    parts: list[DispatchPlan] = []
    errors_kwh = np.zeros(2)
    for first, end in zip(starts, (*starts[1:], real.n_committed), strict=True):
        problem = believed(building, foresight, live, first, agents, grid)
        optimizer = GlobalOptimizer(problem.agents, problem.grid, solver)
        if hedged:
            futures = foresight.futures(live.day, first, problem.horizon.n_steps)
            scenarios = _scenarios(problem.agents, futures)
            follow = dispatch == "balance"
            plan = optimizer.optimize_hedged(
                problem.horizon, scenarios, end - first, stores_follow=follow
            )
        elif mode == "decentralized":
            plan = optimizer.optimize_decentralized(problem.horizon)
        else:
            plan = optimizer.optimize_centralized(problem.horizon)
        rest = real.horizon.window(first, real.horizon.n_steps)
        # Executed over the whole rest, since a machine started now runs beyond the next plan.
        part = execute(plan, agents, grid, rest, dispatch)
        last = end == real.n_committed
        parts.append(part if last else part.window(0, end - first))
        errors_kwh += _errors_kwh(problem.agents, agents, rest, end - first)
        if not last:
            *others, _ = part.after(end - first)
            agents, grid = tuple(others), grid.after(part.plans[grid.name], end - first)
    schedule = whole_day(mode, real, parts)
    return ExecutedDay(
        schedule=schedule, pv_error_kwh=float(errors_kwh[0]), load_error_kwh=float(errors_kwh[1])
    )


def believed(
    building: Building,
    foresight: Information,
    live: DayToPlan,
    at: int,
    real: Sequence[Agent],
    grid: GridAgent,
) -> PlanningTask:
    """The task planned ``at`` steps after midnight: the forecast, in the real state.

    ``real``, ``grid``: the agents as they are at that instant.
    """
    problem = building.problem(
        [live.day],
        lookahead_h=live.lookahead_h,
        state=live.state,
        left=live.left,
        comfort=live.comfort,
        course=foresight.course(live.day, at),
        at=at,
    )
    agents = _standing(problem.agents, real, problem.horizon)
    if not foresight.certain:
        # What both registers will count within a step is not known either.
        grid = replace(grid, cross_kw=0.0)
    return replace(problem, agents=agents, grid=grid)


def instants(horizon: Horizon, n_committed: int, mode: Mode, phase_h: float) -> tuple[int, ...]:
    """The steps of the day at which plans are made."""
    if mode != "centralized_phases":
        return (0,)
    return tuple(first for first in phase_starts(horizon, phase_h) if first < n_committed)


def _standing(
    expected: Sequence[Agent], real: Sequence[Agent], horizon: Horizon
) -> tuple[Agent, ...]:
    """The forecast agents in the real agents' state; unchanged if there is no real one.

    Unfinished work continues, such as a machine's run when no further run is expected.
    """
    states = {agent.name: agent for agent in real}
    names = {agent.name for agent in expected}
    standing = [agent.with_state_of(states.get(agent.name, agent), horizon) for agent in expected]
    unfinished = [agent.unfinished for agent in real if agent.name not in names]
    return (*standing, *(agent for agent in unfinished if agent is not None))


def _scenarios(expected: Sequence[Agent], futures: Futures) -> list[list[Agent]]:
    """The deviating agents of each scenario; the first scenario is the forecast itself."""
    differing = [agent for agent in expected if agent.name in futures.apart_kw]
    each = [
        [agent.in_future(futures.apart_kw[agent.name][i]) for agent in differing]
        for i in range(futures.n)
    ]
    return [[], *each]


def _errors_kwh(
    expected: Sequence[Agent], real: Sequence[Agent], horizon: Horizon, n_steps: int
) -> Floats:
    """Absolute errors of forecast generation and base load over the first steps [kWh]."""
    kinds: tuple[Kind, ...] = ("generation", "load")
    apart_kw = [
        _foreseen_kw(expected, kind, n_steps) - _foreseen_kw(real, kind, n_steps) for kind in kinds
    ]
    return np.array([horizon.energy_kwh(np.abs(kw)).sum() for kw in apart_kw])


def _foreseen_kw(agents: Sequence[Agent], kind: Kind, n_steps: int) -> Floats:
    """Σ forecast net load of the agents of a kind [kW]."""
    total_kw = np.zeros(n_steps)
    for agent in agents:
        if agent.kind == kind and agent.foreseen_kw is not None:
            total_kw = total_kw + agent.foreseen_kw[:n_steps]
    return total_kw


def execute(
    plan: DispatchPlan,
    real: Sequence[Agent],
    grid: GridAgent,
    horizon: Horizon,
    dispatch: Dispatch,
) -> DispatchPlan:
    """What the real agents do over ``horizon`` given the plan's set-points.

    With ``balance`` the stores act last, corrected by what the others really draw.
    """
    expected = {agent.name: agent for agent in plan.agents}
    plans: dict[str, Plan] = {}
    others_kw = np.zeros(horizon.n_steps)
    # Stores last in any case: only then is the others' real load known.
    for agent in sorted(real, key=lambda agent: agent.kind == "storage"):
        told = plan.plans.get(agent.name)
        if told is not None and agent.kind == "storage" and dispatch == "balance":
            told = _balancing(told, others_kw, -plan.plans[grid.name].net_load_kw)
        plans[agent.name] = agent.execute(horizon, told, expected.get(agent.name))
        others_kw = others_kw + plans[agent.name].net_load_kw
    done = settled(plan.mode, real, grid, horizon, plans)
    return replace(done, build_s=plan.build_s, solver_s=plan.solver_s)


def _balancing(told: Plan, others_kw: Floats, planned_kw: Floats) -> Plan:
    """Set-points of a store, corrected so that no error reverses the flow at the meter.

    ``others_kw``: real load of all others; ``planned_kw``: planned draw from the grid. Where the
    plan imports, the building does not export; where it exports, it does not import; where it does
    neither, it does neither [kW].
    """
    at_meter_kw = others_kw + told.net_load_kw
    least_kw = np.where(planned_kw < -TOLERANCE, -np.inf, 0.0)
    most_kw = np.where(planned_kw > TOLERANCE, np.inf, 0.0)
    power_kw = told.net_load_kw + np.clip(at_meter_kw, least_kw, most_kw) - at_meter_kw
    series = {"charge_kw": np.maximum(power_kw, 0.0), "discharge_kw": np.maximum(-power_kw, 0.0)}
    return Plan(agent=told.agent, net_load_kw=power_kw, series=series)


def whole_day(mode: Mode, real: PlanningTask, parts: Sequence[DispatchPlan]) -> DispatchPlan:
    """Join the parts into one plan, audit it, and cut it to the committed steps."""
    plans = {agent.name: joined(agent.name, parts) for agent in real.agents}
    grid = real.grid
    done = settled(mode, real.agents, grid, real.horizon, plans)
    # Forecast errors may miss deadlines and grid limits; physics must hold all the same.
    physical = [agent.without_targets() for agent in real.agents]
    unlimited = replace(grid, max_import_kw=np.inf, max_export_kw=np.inf)
    settled(mode, physical, unlimited, real.horizon, plans).audit()
    build_s, solver_s = sum(part.build_s for part in parts), sum(part.solver_s for part in parts)
    return replace(done, build_s=build_s, solver_s=solver_s).window(0, real.n_committed)
