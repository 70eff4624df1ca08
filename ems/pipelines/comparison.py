"""Pipeline A: the same days under every mode, with baselines and the perfect-foresight bound.

A window of days is a few chains of consecutive plannable days. In each mode every chain starts from
the specified charge, and the state of stores and grid is handed from day to day. What a day leaves
in the stores is valued by one λ for all modes (``ems.pipelines.perfect``), so that costs of days
add up and none has to end as it began.

With ``foresight="perfect"`` every plan knows the true load and sun of its day and look-ahead: all
results are upper bounds. With ``"forecast"`` every plan is made from what is known at its instant
and executed on what really happened (``ems.control.execution``), and compared with perfect
foresight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import get_args

import numpy as np

from ems.agents import Agent
from ems.agents.comfort import Comfort
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered, by_rule
from ems.control.execution import DayToPlan, execute_day
from ems.control.optimizer import GlobalOptimizer
from ems.control.value_based import ValueControl
from ems.core.mode import Mode
from ems.economics.settlement import DayKpis, Savings, savings, settle, total
from ems.economics.store_value import Left, StoreValues
from ems.errors import DataError, Infeasible, InvalidSpec, SolveError
from ems.forecast.information import Information
from ems.pipelines.spec import (
    BASELINES,
    KNOWN_SHARE,
    PLANNED,
    RULES,
    SINGLE_ERRORS,
    UNPLANNED,
    ComparisonSpec,
)
from ems.site.building import Building
from ems.site.task import PlanningTask

_ORDER: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, kw_only=True)
class DayChain:
    """Consecutive days of one building."""

    building: str
    days: tuple[date, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DayResult:
    """Figures of one day of one building under one mode."""

    building: str
    day: date
    mode: Mode
    kpis: DayKpis


@dataclass(frozen=True, kw_only=True, eq=False)
class DayRecord(DayResult):
    """A day's result with the executed plan.

    ``left``: what its plan was told of the end of its look-ahead; None for a day of the perfect
    plan, which ends as full as it began.
    """

    schedule: DispatchPlan
    left: Left | None = None

    @property
    def result(self) -> DayResult:
        """The result alone, small enough to keep for every day."""
        return DayResult(building=self.building, day=self.day, mode=self.mode, kpis=self.kpis)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The requested days: those that can be planned, and why the others cannot."""

    building: str
    days: tuple[date, ...]
    skipped: Mapping[date, str]


def choose_window(
    building: Building, start: date | None, n_days: int | None, history_days: int = 0
) -> Window:
    """``n_days`` local days from ``start``, by default from the first plannable day.

    ``history_days``: days required before a default first day, see ``first_days``. ``n_days`` None:
    all days to the end. Raises ``InvalidSpec`` for a window outside the meters' range, or a start
    day that cannot be planned, naming the next that can.
    """
    name, known, plannable = building.history.building, building.days, building.plannable_days
    if not known:
        raise DataError(f"{name}: the meters cover no day from midnight to midnight")
    if building.tariff.uses_spot and not np.isfinite(building.history.price_eur_per_mwh).any():
        raise DataError(
            f"{name}: the tariff {building.tariff.name} needs day-ahead prices and the database "
            "has none; plan with --tariff flat, or your own by scripts/tariff.py, or build it with "
            "--prices"
        )
    if not plannable:
        raise DataError(f"{name}: no day can be planned; the first: {building.why_not(known[0])}")
    later = first_days(building, history_days)
    if start is None and not later:
        raise DataError(
            f"{name}: no plannable day has {history_days} days before it, three quarters of them "
            "known; name a start behind 28 known days, or plan with perfect foresight"
        )
    first = later[0] if start is None else start
    if not known[0] <= first <= known[-1]:
        raise InvalidSpec(f"{name}: start is {first}, allowed is {known[0]} to {known[-1]}")
    reason = building.why_not(first)
    if reason is not None:
        following = [day for day in plannable if day > first]
        hint = f"the next day that can is {following[0]}" if following else "no later day can"
        raise InvalidSpec(f"{name}: start {first} cannot be planned: {reason}; {hint}")
    most = (known[-1] - first).days + 1
    count = most if n_days is None else n_days
    if not 1 <= count <= most:
        raise InvalidSpec(f"{name}: n_days is {count}, allowed is 1 to {most} from {first}")
    asked = [first + timedelta(days=i) for i in range(count)]
    skipped = {day: reason for day in asked if (reason := building.why_not(day)) is not None}
    return Window(building=name, days=tuple(d for d in asked if d not in skipped), skipped=skipped)


def first_days(building: Building, history_days: int) -> tuple[date, ...]:
    """The plannable days with ``history_days`` days before them, three quarters of them known."""
    taught = building.days[0] + timedelta(days=history_days)
    enough = building.plannable_days[round(KNOWN_SHARE * history_days) :]
    return tuple(day for day in enough if day >= taught)


def chains_of(window: Window, most_days: int | None = None) -> tuple[DayChain, ...]:
    """The window's days in chains without gaps, none longer than ``most_days``."""
    chains: list[list[date]] = []
    for day in window.days:
        follows = chains and day - chains[-1][-1] == timedelta(days=1)
        if follows and (most_days is None or len(chains[-1]) < most_days):
            chains[-1].append(day)
        else:
            chains.append([day])
    return tuple(DayChain(building=window.building, days=tuple(chain)) for chain in chains)


def run_mode(
    building: Building,
    spec: ComparisonSpec,
    window: Window,
    mode: Mode,
    values: StoreValues,
    *,
    known: Mapping[date, Information] | None = None,
    comfort_of: Callable[[date], Comfort] | None = None,
) -> Iterator[DayRecord]:
    """Plan, execute and settle the days of ``window`` under ``mode``, one record per day.

    ``values``: what is left in stores is worth this, in the plans and in the settlement. ``known``:
    what planned modes are made from on each day; None for the truth. ``comfort_of`` gives the
    discomfort of moving appliances before each day (default: from the assets). The highest import
    so far is handed on over the whole window.
    """
    if mode == "rule_based":
        yield from _best_rule(building, spec, window, values)
        return
    if mode == "value_based" and spec.foresight == "perfect":
        raise InvalidSpec("mode is value_based, which remembers past days: set foresight=forecast")
    knows = mode in (*UNPLANNED, "centralized_perfect") or spec.foresight == "perfect"
    if not knows and known is None and mode != "value_based":
        raise InvalidSpec(f"{window.building}: known is missing, but plans are on forecasts")
    grid: Mapping[str, Agent] = {}
    control = ValueControl(building)
    for chain in chains_of(window):
        state = grid  # what is paid for a peak is paid for, also over a gap
        for day in chain.days:
            certain = knows or (known is not None and known[day].certain)
            live = DayToPlan(
                day=day,
                lookahead_h=spec.lookahead_h,
                state=state,
                left=_left(building, values, day, spec.lookahead_h, knows=certain),
                comfort=None if comfort_of is None else comfort_of(day),
            )
            with named(window.building, day, mode):
                if knows or known is None or mode == "value_based":
                    done, kpis = _known_day(building, spec, mode, live, values, control)
                else:
                    done, kpis = _forecast_day(building, spec, mode, live, values, known[day])
            state = state_after(done)
            grid = {done.grid.name: state[done.grid.name]}
            yield DayRecord(
                building=window.building,
                day=day,
                mode=mode,
                schedule=done,
                kpis=kpis,
                left=live.left,
            )


def _best_rule(
    building: Building, spec: ComparisonSpec, window: Window, values: StoreValues
) -> Iterator[DayRecord]:
    """The days of the rule that costs least over the window, wear included.

    Nobody knows beforehand which one that is: the choice favours the rule.
    """
    of_rule = [list(run_mode(building, spec, window, rule, values)) for rule in RULES]
    best = min(of_rule, key=lambda days: total([day.kpis for day in days]).with_wear_eur)
    for day in best:
        yield replace(day, mode="rule_based", schedule=replace(day.schedule, mode="rule_based"))


def best_rule(summaries: Sequence[ModeSummary], building: str) -> Mode:
    """Which of the rules ``rule_based`` is in a building."""
    rows = [row for row in summaries if row.building == building and row.mode in RULES]
    return min(rows, key=lambda row: row.kpis.with_wear_eur).mode


def _left(
    building: Building, values: StoreValues, day: date, lookahead_h: float, *, knows: bool
) -> Left:
    """What is told of the stores at the end of the look-ahead of ``day``.

    A plan on forecasts knows what it was on days that ended a day before it.
    """
    end = building.stretch([day], lookahead_h).whole.stop
    if knows:
        return values.left(end)
    span = building.span(day)
    per_day = round(24 / building.view.step_h)
    return Left(worth=values.remembered(end, max(0, span.start - per_day)))


def state_after(done: DispatchPlan) -> dict[str, Agent]:
    """The stores and the grid as they stand after ``done``, by name."""
    agents = done.after(done.horizon.n_steps)
    return {agent.name: agent for agent in agents if agent.stored_kwh() or agent.kind == "grid"}


def _known_day(
    building: Building,
    spec: ComparisonSpec,
    mode: Mode,
    live: DayToPlan,
    values: StoreValues,
    control: ValueControl,
) -> tuple[DispatchPlan, DayKpis]:
    """A day that happens as decided: the plan knows the truth, or each step is decided in it."""
    problem = building.problem(
        [live.day],
        lookahead_h=live.lookahead_h,
        state=live.state,
        left=live.left,
        comfort=live.comfort,
        metered=mode == "as_metered",
    )
    # The horizon may hold a look-ahead; only the committed steps happen.
    plan = (
        control.day(problem, live.left.worth)
        if mode == "value_based" and live.left is not None
        else _plan(problem, spec, mode)
    )
    done = replace(plan.window(0, problem.n_committed), mode=mode)
    return done, settled_day(building, live.day, done, values, proven_gap_eur(plan))


def _forecast_day(
    building: Building,
    spec: ComparisonSpec,
    mode: Mode,
    live: DayToPlan,
    values: StoreValues,
    foresight: Information,
) -> tuple[DispatchPlan, DayKpis]:
    """A day planned from what is known and executed on what happens."""
    if mode in SINGLE_ERRORS:
        foresight = foresight.knowing_all_but(mode.removesuffix("_unknown"))
    # A single error is planned as the last planned mode, so that the two can be compared.
    planned_as = spec.modes[-1] if mode in SINGLE_ERRORS else mode
    lived = execute_day(
        building,
        foresight,
        live,
        planned_as,
        spec.solver,
        phase_h=spec.phase_h,
        dispatch=spec.dispatch,
        hedged=spec.risk == "hedged" and planned_as.startswith("centralized"),
    )
    done = replace(lived.schedule, mode=mode)
    # A proven gap would speak of the forecast, not of the day as it came.
    kpis = settled_day(building, live.day, done, values, np.nan)
    return done, replace(kpis, pv_error_kwh=lived.pv_error_kwh, load_error_kwh=lived.load_error_kwh)


def settled_day(
    building: Building, day: date, done: DispatchPlan, values: StoreValues, gap_eur: float
) -> DayKpis:
    """The figures of a day, its stores valued at its two midnights."""
    span = building.span(day)
    worth = values.before(span.start), values.before(span.stop)
    kpis = settle(done, gap_eur=gap_eur, worth=worth)
    # Against the stores as metered, so that a λ that rises earns nobody anything.
    return replace(kpis, stored_eur=kpis.stored_eur - values.metered_eur.get(day, 0.0))


@contextmanager
def named(building: str, day: date, mode: Mode) -> Iterator[None]:
    """Add building, day and mode to a solver error."""
    where = f"{building} {day} {mode}"
    try:
        yield
    except Infeasible as error:
        raise Infeasible(f"{where}: {error}", error.shortfalls) from error
    except SolveError as error:
        raise SolveError(f"{where}: {error}") from error


def proven_gap_eur(plan: DispatchPlan) -> float:
    """The gap of the plan [€], NaN if nothing was proven."""
    return plan.gap_eur if np.isfinite(plan.gap_eur) else np.nan


def _plan(problem: PlanningTask, spec: ComparisonSpec, mode: Mode) -> DispatchPlan:
    agents, grid, horizon = problem.agents, problem.grid, problem.horizon
    if mode in RULES:
        return by_rule(mode, agents, grid, horizon)
    optimizer = GlobalOptimizer(agents, grid, spec.solver)
    match mode:
        case "as_metered":
            return as_metered(agents, grid, horizon)
        case "decentralized":
            return optimizer.optimize_decentralized(horizon)
        case "centralized" | "centralized_perfect":
            return optimizer.optimize_centralized(horizon)
        case "centralized_phases":
            return optimizer.optimize_phases_centralized(
                horizon, phase_h=spec.phase_h, n_committed=problem.n_committed
            )
        case _:
            raise InvalidSpec(f"mode is {mode!r}, allowed are {', '.join((*UNPLANNED, *PLANNED))}")


@dataclass(frozen=True, kw_only=True)
class ModeSummary:
    """One mode over all its days, against both baselines."""

    building: str
    mode: Mode
    kpis: DayKpis
    against: Mapping[Mode, Savings]


def summarise(results: Sequence[DayResult]) -> tuple[ModeSummary, ...]:
    """A row for each building and mode, baselines first, then planned modes."""
    rows: dict[tuple[str, Mode], list[DayResult]] = {}
    for result in results:
        rows.setdefault((result.building, result.mode), []).append(result)
    totals = {key: total([day.kpis for day in days]) for key, days in rows.items()}
    order = sorted(totals, key=lambda key: (key[0], _ORDER.index(key[1])))
    return tuple(
        ModeSummary(
            building=building,
            mode=mode,
            kpis=totals[building, mode],
            against={
                base: savings(totals[building, mode], totals[building, base])
                for base in BASELINES
                if (building, base) in totals and mode != base
            },
        )
        for building, mode in order
    )
