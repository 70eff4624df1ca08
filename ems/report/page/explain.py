"""What a plan does in each hour of a day and why, in words, from the plan's own prices.

The price of the bus is what one kWh more would cost in that hour, all plans taken together: the
feed-in where the last kWh is sold, the tariff's price where it is bought, something between where
the building keeps to itself. A choice is explained by the prices of the hours that it is between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PartialUsageDevice,
    PVAgent,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.program import Program
from ems.core.solver import Solver
from ems.report.page import words
from ems.report.page.appliances import Elsewhere, tell_heat, tell_machine
from ems.report.page.priced import VISIBLE_KW, PricedPlan, named
from ems.report.page.stores import tell_battery, tell_car
from ems.site.task import PlanningTask
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class ExplainedHour:
    """One step of the day: its local time, its prices [ct/kWh] and what happens in it and why.

    ``clock``: the time as a person reads it, with the zone in the doubled hour of autumn;
    ``came``: what came otherwise than planned, empty where nothing did or nothing was forecast.
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
    """A planned day with its prices and its reasons.

    ``schedule``: the committed steps; ``worth_eur_per_kwh``: the price of the bus in each of them.
    ``left_over_kw``: the largest imbalance of a step; ``bill_off_eur``: how far the cost recomputed
    from the plans is from what the solver said; ``gap_eur``: from the proven bound.
    """

    schedule: DispatchPlan
    worth_eur_per_kwh: Floats
    hours: tuple[ExplainedHour, ...]
    left_over_kw: float
    bill_off_eur: float
    gap_eur: float


def explain_day(problem: PlanningTask, solver: Solver, *, believed: bool = False) -> ExplainedDay:
    """Plan ``problem`` centrally, price its bus, and say what each committed step does and why.

    ``believed``: whether sun, loads and starts of ``problem`` are forecasts and not known. Raises
    ``Infeasible`` and ``SolveError`` as the plan does.
    """
    horizon, n = problem.horizon, problem.n_committed
    plan = GlobalOptimizer(problem.agents, problem.grid, solver).optimize_centralized(horizon)
    program = Program(horizon)
    for agent in plan.agents:
        program.add(agent)
    worth = program.bus_prices(solver)
    priced = PricedPlan(plan=plan, worth_ct=100 * worth, n_told=n, believed=believed)
    elsewhere = planned_anew(problem, solver, plan)
    hours = tuple(
        ExplainedHour(
            local=horizon.local[t],
            clock=priced.clock(t),
            import_ct=priced.import_ct(t),
            export_ct=priced.export_ct(t),
            worth_ct=100 * float(worth[t]),
            sentences=tuple(tell(priced, t, elsewhere)),
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


def planned_anew(problem: PlanningTask, solver: Solver, plan: DispatchPlan) -> Elsewhere:
    """Price another start of a run by planning all with it; differences within the gap are none."""

    def elsewhere(machine: DiscretePhaseDevice, cycle: Cycle, start: int) -> float | None:
        if not fits(plan, machine, cycle, start):
            return None
        put = replace(cycle, earliest=start, latest=start)
        cycles = tuple(put if c.number == cycle.number else c for c in machine.cycles)
        agents = [
            replace(machine, cycles=cycles) if agent.name == machine.name else agent
            for agent in problem.agents
        ]
        other = GlobalOptimizer(agents, problem.grid, solver).optimize_centralized(problem.horizon)
        more_eur = other.objective_eur - plan.objective_eur
        return 0.0 if more_eur <= max(plan.gap_eur, other.gap_eur) else 100 * more_eur

    return elsewhere


def fits(plan: DispatchPlan, machine: DiscretePhaseDevice, cycle: Cycle, start: int) -> bool:
    """Whether a run can start in another step with all else as planned."""
    starts = np.rint(plan.plans[machine.name].series["started"]).tolist()
    at = {c.number: starts.index(c.number) for c in machine.cycles} | {cycle.number: start}
    placed = tuple(replace(c, metered_start=at[c.number]) for c in machine.cycles)
    moved = replace(machine, cycles=placed).unplanned(plan.horizon)
    others_kw = plan.net_load_kw("load", "generation", "storage")
    net_kw = others_kw + moved.net_load_kw - plan.plans[machine.name].net_load_kw
    grid = next(agent for agent in plan.agents if isinstance(agent, GridAgent))
    failures = (
        *machine.audit(moved, plan.horizon),
        *grid.audit(grid.settle(net_kw), plan.horizon),
    )
    return not failures


def tell(priced: PricedPlan, t: int, elsewhere: Elsewhere) -> Iterator[str]:
    """What happens in step ``t`` and why: the load, everything that chose, the grid."""
    yield _load(priced, t)
    for agent in priced.plan.agents:
        match agent:
            case BatteryAgent():
                yield from tell_battery(priced, agent, t)
            case EVAgent():
                yield from tell_car(priced, agent, t)
            case DiscretePhaseDevice():
                yield from tell_machine(priced, agent, t, elsewhere)
            case PartialUsageDevice():
                yield from tell_heat(priced, agent, t)
            case PVAgent():
                yield from _curtailed(priced, agent, t)
            case BaseLoadAgent() | GridAgent():
                pass
            case _:
                yield from _other(priced, agent, t)
    yield _grid(priced, t)


def _load(priced: PricedPlan, t: int) -> str:
    used_kw = sum(
        float(priced.plan.plans[agent.name].net_load_kw[t])
        for agent in priced.plan.agents
        if isinstance(agent, BaseLoadAgent)
    )
    sun_kw = float(priced.sun_kw[t])
    if priced.believed:
        sun = f", the sun to give {words.kw(sun_kw)}" if sun_kw > VISIBLE_KW else ""
        return f"The building is expected to use {words.kw(used_kw)}{sun}."
    sun = f", the sun gives {words.kw(sun_kw)}" if sun_kw > VISIBLE_KW else ""
    return f"The building uses {words.kw(used_kw)}{sun}."


def _grid(priced: PricedPlan, t: int) -> str:
    grid_kw = float(priced.grid_kw[t])
    if grid_kw > VISIBLE_KW:
        price_ct = priced.import_ct(t)
        paid = ": who buys is paid for it" if price_ct < 0 else ""
        return f"{words.kw(grid_kw)} are bought at {words.ct(price_ct)} a kWh{paid}."
    if grid_kw < -VISIBLE_KW:
        price_ct = priced.export_ct(t)
        paid = ": who sells pays for it" if price_ct < 0 else ""
        return f"{words.kw(-grid_kw)} are sold at {words.ct(price_ct)} a kWh{paid}."
    return "Next to nothing is bought or sold."


def _curtailed(priced: PricedPlan, agent: PVAgent, t: int) -> Iterator[str]:
    lost_kw = float(priced.series(agent, "curtailed_kw")[t])
    if lost_kw <= VISIBLE_KW:
        return
    text = f"{words.kw(lost_kw)} of the sun are left unused"
    if -priced.grid_kw[t] >= priced.grid.max_export_kw - VISIBLE_KW:
        yield f"{text}: no more may be sold."
    elif priced.export_ct(t) < 0:
        yield f"{text}: to sell them would cost {words.ct(-priced.export_ct(t))} a kWh."
    else:
        yield f"{text}: one kWh more would be worth {words.ct(float(priced.worth_ct[t]))}."


def _other(priced: PricedPlan, agent: Agent, t: int) -> Iterator[str]:
    net_kw = float(priced.plan.plans[agent.name].net_load_kw[t])
    if abs(net_kw) > VISIBLE_KW:
        verb = "draws" if net_kw > 0 else "gives"
        yield (f"{named(agent)} {verb} {words.kw(abs(net_kw))}; a kWh is worth {priced.worth(t)}.")
