"""Pipeline A: the same days under every mode, with two baselines and the perfect-foresight bound.

A window of days is planned in blocks of at most ``block_days`` consecutive plannable days. Each
block starts from the specified charge and ends with at least that charge, so its energy account is
closed, and blocks can run in any order on any number of workers with the same result. Within a
block, the state is handed from day to day.

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
from itertools import pairwise
from typing import get_args

import numpy as np

from ems.agents.comfort import Comfort
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered, rule_based
from ems.control.execution import DayToPlan, execute_day
from ems.control.optimizer import GlobalOptimizer
from ems.core.mode import Mode
from ems.economics.settlement import DayKpis, Savings, savings, settle, total
from ems.errors import DataError, Infeasible, InvalidSpec, SolveError
from ems.forecast.information import Information
from ems.pipelines.spec import (
    BASELINES,
    KNOWN_SHARE,
    PLANNED,
    SINGLE_ERRORS,
    ComparisonSpec,
)
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.site.task import PlanningTask

_ORDER: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, kw_only=True)
class DayChain:
    """Consecutive days of one building planned in one chain."""

    building: str
    days: tuple[date, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DayResult:
    """Figures of one day of one building under one mode.

    ``block``: the first day of the block whose energy account it belongs to; None: all days of the
    building are one account.
    """

    building: str
    day: date
    mode: Mode
    kpis: DayKpis
    block: date | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DayRecord(DayResult):
    """A day's result with the executed plan."""

    schedule: DispatchPlan

    @property
    def result(self) -> DayResult:
        """The result alone, small enough to keep for every day."""
        return DayResult(
            building=self.building,
            day=self.day,
            mode=self.mode,
            kpis=self.kpis,
            block=self.block,
        )


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


def blocks_of(window: Window, block_days: int) -> tuple[DayChain, ...]:
    """The window's days in chains without gaps, none longer than ``block_days``."""
    chains: list[list[date]] = []
    for day in window.days:
        follows = chains and day - chains[-1][-1] == timedelta(days=1)
        if follows and len(chains[-1]) < block_days:
            chains[-1].append(day)
        else:
            chains.append([day])
    return tuple(DayChain(building=window.building, days=tuple(chain)) for chain in chains)


def run_block(
    building: Building,
    spec: ComparisonSpec,
    block: DayChain,
    mode: Mode,
    comfort_of: Callable[[date], Comfort] | None = None,
    foresight: Information | None = None,
) -> Iterator[DayRecord]:
    """Plan, execute and settle the days of ``block`` under ``mode``, one record per day.

    ``comfort_of`` gives the discomfort of moving appliances before each day (default: from the
    assets). ``foresight``: what planned modes are made from; None for the truth. The charge of
    stores and the highest import so far are handed from day to day; a demand charge is paid once
    for the peak of the block.
    """
    if mode == "perfect_foresight":
        yield from _run_whole(building, spec, block)
        return
    knows = mode in (*BASELINES, "centralized_perfect") or spec.foresight == "perfect"
    if not knows and foresight is None:
        raise InvalidSpec(f"{block.building}: foresight is missing, but plans are on forecasts")
    soc_kwh: Mapping[str, float] = {}
    grid = spec.assets.grid
    for day in block.days:
        live = DayToPlan(
            day=day,
            # The last day of a block closes the account, so it must not plan beyond it.
            lookahead_h=0.0 if day == block.days[-1] else spec.lookahead_h,
            soc_kwh=soc_kwh,
            comfort=None if comfort_of is None else comfort_of(day),
            grid=grid,
        )
        with _named(block, day, mode):
            if knows or foresight is None:
                record = _known_day(building, spec, block, mode, live)
            else:
                record = _forecast_day(building, spec, block, mode, live, foresight)
        grid = grid.after(record.schedule.plans[grid.name], record.schedule.horizon.n_steps)
        soc_kwh = record.schedule.soc_kwh
        yield record


def _known_day(
    building: Building, spec: ComparisonSpec, block: DayChain, mode: Mode, live: DayToPlan
) -> DayRecord:
    """A day whose plan knows the truth, so the plan is what happens."""
    problem = building.problem(
        [live.day], lookahead_h=live.lookahead_h, soc_kwh=live.soc_kwh, comfort=live.comfort
    )
    # The horizon may hold a look-ahead; only the committed steps happen.
    plan = _plan(replace(problem, grid=live.grid), spec, mode)
    done = replace(plan.window(0, problem.n_committed), mode=mode)
    return _record(block, live.day, done, _proven_gap_eur(plan))


def _forecast_day(
    building: Building,
    spec: ComparisonSpec,
    block: DayChain,
    mode: Mode,
    live: DayToPlan,
    foresight: Information,
) -> DayRecord:
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
    # A proven gap would speak of the forecast, not of the day as it came.
    record = _record(block, live.day, replace(lived.schedule, mode=mode), np.nan)
    kpis = replace(
        record.kpis, pv_error_kwh=lived.pv_error_kwh, load_error_kwh=lived.load_error_kwh
    )
    return replace(record, kpis=kpis)


def _run_whole(building: Building, spec: ComparisonSpec, block: DayChain) -> Iterator[DayRecord]:
    """All days of the block in one program, with everything known on the first morning."""
    problem = building.problem(block.days)
    optimizer = GlobalOptimizer(problem.agents, problem.grid, spec.solver)
    with _named(block, block.days[0], "perfect_foresight"):
        plan = optimizer.optimize_centralized(problem.horizon)
    whole = replace(plan, mode="perfect_foresight")
    for day, (first, end) in zip(block.days, pairwise(problem.midnights), strict=True):
        # One solve for all days: its time is shared out by length.
        share = (end - first) / problem.n_committed
        done = whole.window(first, end)
        timed = replace(done, build_s=whole.build_s * share, solver_s=whole.solver_s * share)
        yield _record(block, day, timed, _proven_gap_eur(whole))


@contextmanager
def _named(block: DayChain, day: date, mode: Mode) -> Iterator[None]:
    """Add building, day and mode to a solver error."""
    where = f"{block.building} {day} {mode}"
    try:
        yield
    except Infeasible as error:
        raise Infeasible(f"{where}: {error}", error.shortfalls) from error
    except SolveError as error:
        raise SolveError(f"{where}: {error}") from error


def _record(block: DayChain, day: date, done: DispatchPlan, gap_eur: float) -> DayRecord:
    return DayRecord(
        building=block.building,
        day=day,
        mode=done.mode,
        schedule=done,
        kpis=settle(done, gap_eur=gap_eur),
        block=block.days[0],
    )


def _proven_gap_eur(plan: DispatchPlan) -> float:
    """The gap of the plan [€], NaN if nothing was proven."""
    return plan.gap_eur if np.isfinite(plan.gap_eur) else np.nan


def run_comparison(
    history: MeterData, spec: ComparisonSpec, start: date | None = None, n_days: int | None = 7
) -> Iterator[DayRecord]:
    """Every mode over the window, block by block; see ``parallel`` for many workers."""
    building = Building(history, spec.tariff, spec.assets)
    window = choose_window(building, start, n_days, spec.history_days)
    for block in blocks_of(window, spec.block_days):
        for mode in spec.all_modes:
            yield from run_block(building, spec, block, mode)


def _plan(problem: PlanningTask, spec: ComparisonSpec, mode: Mode) -> DispatchPlan:
    agents, grid, horizon = problem.agents, problem.grid, problem.horizon
    optimizer = GlobalOptimizer(agents, grid, spec.solver)
    match mode:
        case "as_metered":
            return as_metered(agents, grid, horizon)
        case "rule_based":
            return rule_based(agents, grid, horizon)
        case "decentralized":
            return optimizer.optimize_decentralized(horizon)
        case "centralized" | "centralized_perfect":
            return optimizer.optimize_centralized(horizon)
        case "centralized_phases":
            return optimizer.optimize_phases_centralized(
                horizon, phase_h=spec.phase_h, n_committed=problem.n_committed
            )
        case _:
            raise InvalidSpec(f"mode is {mode!r}, allowed are {', '.join((*BASELINES, *PLANNED))}")


@dataclass(frozen=True, kw_only=True)
class ModeSummary:
    """One mode over all its days, against both baselines."""

    building: str
    mode: Mode
    kpis: DayKpis
    against: Mapping[Mode, Savings]


def account(results: Sequence[DayResult]) -> DayKpis:
    """Several days of one building and mode as one; each block is its own energy account."""
    blocks: dict[date | None, list[DayKpis]] = {}
    for result in results:
        blocks.setdefault(result.block, []).append(result.kpis)
    return total([total(days).closed() for days in blocks.values()])


def summarise(results: Sequence[DayResult]) -> tuple[ModeSummary, ...]:
    """A row for each building and mode, baselines first, then planned modes."""
    rows: dict[tuple[str, Mode], list[DayResult]] = {}
    for result in results:
        rows.setdefault((result.building, result.mode), []).append(result)
    totals = {key: account(days) for key, days in rows.items()}
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
