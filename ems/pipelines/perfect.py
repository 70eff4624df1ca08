"""The plan with perfect information: the bound of every mode, and what a stored kWh is worth.

All days are planned together with everything known on the first morning. Long chains are planned in
pieces that overlap: each looks ``AHEAD_H`` hours beyond its days and hands its state on to the
next. The duals of the stores' charge rules are the one value of storage
(``ems.economics.store_value``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from ems.agents import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.program import StoreDuals
from ems.economics.store_value import MEMORY_DAYS, StoreValues
from ems.pipelines.comparison import (
    DayChain,
    DayRecord,
    Window,
    chains_of,
    named,
    proven_gap_eur,
    run_mode,
    settled_day,
    state_after,
)
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building
from ems.types import Floats

PIECE_DAYS = 28
"""Most days of one program: machines' starts are binaries."""
AHEAD_H = 48.0
"""How far a piece looks beyond its days [h]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PerfectPlan:
    """The days of a window under ``perfect_foresight``, and the value of what is stored."""

    records: tuple[DayRecord, ...]
    values: StoreValues


def perfect_plan(building: Building, spec: ComparisonSpec, window: Window) -> PerfectPlan:
    """Plan the window with perfect information."""
    pieces = list(_pieces(building, spec, window))
    values = StoreValues(
        eur_per_kwh=_on_grid(building, pieces),
        past_eur_per_kwh=_on_grid(building, list(_past(building, spec, window))),
        hour=building.view.hour,
        held_kwh=_on_grid(building, pieces, held=True),
    )
    metered = run_mode(building, spec, window, "as_metered", values)
    values = replace(values, metered_eur={day.day: day.kpis.stored_eur for day in metered})
    records = tuple(record for piece in pieces for record in _days(building, piece, values))
    return PerfectPlan(records=records, values=values)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """A planned piece, its stores' values, and where it lies on the building's grid."""

    chain: DayChain
    plan: DispatchPlan
    duals: StoreDuals
    whole: slice
    midnights: tuple[int, ...]


def _pieces(building: Building, spec: ComparisonSpec, window: Window) -> Iterator[_Piece]:
    state: Mapping[str, Agent] = {}
    next_day = date.min
    for chain in chains_of(window, PIECE_DAYS):
        if chain.days[0] != next_day:  # stores begin anew behind a gap
            state = {name: agent for name, agent in state.items() if agent.kind == "grid"}
        piece = _planned(building, spec, chain, state, AHEAD_H)
        state = state_after(piece.plan.window(0, piece.midnights[-1]))
        next_day = chain.days[-1] + timedelta(days=1)
        yield piece


def _past(building: Building, spec: ComparisonSpec, window: Window) -> Iterator[_Piece]:
    """Each day that a plan on forecasts may remember, planned with itself and the next day known.

    A piece of many days would know more than could be known when the plan is made.
    """
    if spec.foresight == "perfect":
        return
    before = [day for day in building.plannable_days if day < window.days[0]]
    first = before[-MEMORY_DAYS - 2 :][:1] or window.days[:1]
    for day in building.plannable_days:
        if first[0] <= day < window.days[-1]:
            chain = DayChain(building=window.building, days=(day,))
            yield _planned(building, spec, chain, {}, 24.0)


def _planned(
    building: Building,
    spec: ComparisonSpec,
    chain: DayChain,
    state: Mapping[str, Agent],
    ahead_h: float,
) -> _Piece:
    problem = building.problem(chain.days, lookahead_h=ahead_h, state=state)
    optimizer = GlobalOptimizer(problem.agents, problem.grid, spec.solver)
    with named(chain.building, chain.days[0], "perfect_foresight"):
        plan, duals = optimizer.optimize_with_values(problem.horizon)
    return _Piece(
        chain=chain,
        plan=replace(plan, mode="perfect_foresight"),
        duals=duals,
        whole=building.stretch(chain.days, ahead_h).whole,
        midnights=problem.midnights,
    )


def _on_grid(building: Building, pieces: Sequence[_Piece], *, held: bool = False) -> StoreDuals:
    """The values of all pieces on the building's grid, or what their stores held [kWh].

    Later ones over what was looked ahead to.
    """
    found: dict[str, dict[str, Floats]] = {}
    n = len(building.history.ts_utc)
    for piece in pieces:
        where = slice(piece.whole.start, piece.whole.stop + 1)
        for name, stores in (_held(piece) if held else piece.duals).items():
            for rule, values in stores.items():
                kept = found.setdefault(name, {}).setdefault(rule, np.full(n + 1, np.nan))
                # What is left after the last step is worth what it was in it.
                kept[where] = values if held else np.append(values, values[-1])
    return found


def _held(piece: _Piece) -> StoreDuals:
    """What each store held before each step and after the last [kWh]."""
    found: dict[str, dict[str, Floats]] = {}
    for agent in piece.plan.agents:
        series = piece.plan.plans[agent.name].series
        for rule, kwh in agent.stored_kwh().items():
            if f"{rule}_kwh" in series:
                found.setdefault(agent.name, {})[rule] = np.append(kwh, series[f"{rule}_kwh"])
    return found


def _days(building: Building, piece: _Piece, values: StoreValues) -> Iterator[DayRecord]:
    for day, (first, end) in zip(piece.chain.days, pairwise(piece.midnights), strict=True):
        # One solve for all days: its time is shared out by length.
        share = (end - first) / piece.midnights[-1]
        build_s, solver_s = piece.plan.build_s * share, piece.plan.solver_s * share
        done = replace(piece.plan.window(first, end), build_s=build_s, solver_s=solver_s)
        yield DayRecord(
            building=piece.chain.building,
            day=day,
            mode="perfect_foresight",
            schedule=done,
            kpis=settled_day(building, day, done, values, proven_gap_eur(piece.plan)),
        )
