"""Appliances that run whole cycles, which may be moved in time but not dropped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ems.agents import words
from ems.agents.base import Agent, breaks, differs, frozen_series
from ems.agents.on_site import Instant, PlanFrame, Run, SiteDevice, SiteView, Stretch
from ems.agents.priced import SAME_CT, PricedPlan
from ems.agents.rule import RuleSignal
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.errors import InvalidSpec
from ems.types import Floats

MEMORY_DAYS = 28
"""Days of history that predict a day's runs."""
MOST_STEPS = 24 * 60
"""Longest run: a day of minutes."""


@dataclass(frozen=True, kw_only=True)
class FlexibleDeviceAgent(Agent):
    """A load that may run at another time than its people ran it."""

    kind: ClassVar[Kind] = "load"


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One run that cannot be interrupted.

    ``profile_kw``: mean power of each step [kW]; ``metered_start``: step in which its people
    started it; ``earliest``, ``latest``: first and last step in which it may start. ``number``: >
    0, unique within the device and stable when the day is re-planned.
    """

    number: int
    profile_kw: tuple[float, ...]
    metered_start: int
    earliest: int
    latest: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise InvalidSpec(f"cycle {self.number}: number must be at least 1")
        if not self.profile_kw or not all(0 <= power < np.inf for power in self.profile_kw):
            raise InvalidSpec(f"cycle {self.number}: profile_kw must hold finite powers >= 0 kW")
        if self.profile_kw[-1] == 0:
            raise InvalidSpec(
                f"cycle {self.number}: profile_kw ends with 0 kW, end it with its last step above"
            )
        if not self.earliest <= self.latest:
            raise InvalidSpec(
                f"cycle {self.number}: latest is {self.latest}, allowed is >= {self.earliest}"
            )

    def later(self, n_steps: int) -> Cycle:
        """The same cycle seen ``n_steps`` later."""
        return replace(
            self,
            metered_start=self.metered_start - n_steps,
            earliest=max(0, self.earliest - n_steps),
            latest=self.latest - n_steps,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class DiscretePhaseDevice(FlexibleDeviceAgent):
    """A machine that runs whole cycles, one at a time, in its people's order.

    ``cycles``: the day's runs. ``committed_kw``: the rest of a run in progress [kW], shape
    ``(n_steps,)`` or shorter. ``begun``: runs of the day begun before the first step.
    ``discomfort_eur``: discomfort of a start in each step [€], shape ``(n_cycles, n_steps)``;
    ``None`` for none. The series ``started`` holds the number of the cycle that starts in a step, 0
    for none.
    """

    cycles: tuple[Cycle, ...]
    committed_kw: Floats = field(default_factory=lambda: np.zeros(0))
    discomfort_eur: Floats | None = None
    begun: int = 0
    first_stage: ClassVar[bool] = True

    @property
    def otherwise(self) -> str:
        """Runs are never started before people have loaded the machine."""
        return "A run of an appliance never starts before its people start it."

    def __post_init__(self) -> None:
        frozen_series(self, "committed_kw", low=0.0)
        if self.discomfort_eur is not None:
            frozen_series(self, "discomfort_eur", low=0.0)
            if self.discomfort_eur.ndim != 2 or len(self.discomfort_eur) != len(self.cycles):
                raise InvalidSpec(
                    f"{self.name}: discomfort_eur has shape {self.discomfort_eur.shape} for "
                    f"{len(self.cycles)} cycles; give one row a cycle and one column a step"
                )
        if len({cycle.number for cycle in self.cycles}) < len(self.cycles):
            raise InvalidSpec(f"{self.name}: two cycles have the same number")

    def contribute(self, block: Block) -> Contribution:
        """Choose one start for every cycle.

        power(t) = committed(t) + Σ_c Σ_s profile_c(t − s) · start_c(s) [kW], Σ_s start_c(s) = 1. A
        cycle starts only after the one before it has ended (rule ``in_order_…``).
        """
        n = block.horizon.n_steps
        if self.discomfort_eur is not None and self.discomfort_eur.shape[1] != n:
            raise InvalidSpec(
                f"{self.name}: discomfort_eur has {self.discomfort_eur.shape[1]} columns, the "
                f"horizon has {n} steps; give one column a step"
            )
        power_kw: Affine | Floats = self._committed(n)
        started, cost_eur = Affine.constant(0.0, n), Affine.constant(0.0, 1)
        ends_before: Affine | None = None
        for row, cycle in enumerate(self.cycles):
            starts = self._starts(cycle, n)
            # One binary per possible start, so that power is linear in them.
            start = block.switches(f"start_{cycle.number}", size=len(starts))
            block.require(f"run_{cycle.number}", start.sum() == 1.0, "starts")
            power_kw = power_kw + _placed(cycle, starts, n) @ start
            started = started + cycle.number * start.placed(starts, n)
            # Σ s · start(s): the step in which it begins, as an affine expression.
            begins = (start * starts.astype(np.float64)).sum()
            if ends_before is not None:
                block.require(f"in_order_{cycle.number}", begins - ends_before >= 0.0, "steps")
            ends_before = begins + float(len(cycle.profile_kw))
            if self.discomfort_eur is not None:
                cost_eur = cost_eur + (start * self.discomfort_eur[row, starts]).sum()
        return Contribution(
            net_load_kw=power_kw,
            cost_eur=cost_eur,
            effort_kw=power_kw,
            series={"power_kw": power_kw, "started": started},
        )

    @property
    def busy_steps(self) -> int:
        """Steps that the run in progress still takes."""
        return int(np.max(np.flatnonzero(self.committed_kw), initial=-1)) + 1

    @property
    def unfinished(self) -> Self | None:
        """The machine with only the rest of the run in progress."""
        return replace(self, cycles=(), discomfort_eur=None) if self.busy_steps else None

    def _committed(self, n_steps: int) -> Floats:
        power_kw = np.zeros(n_steps)
        known = min(n_steps, len(self.committed_kw))
        power_kw[:known] = self.committed_kw[:known]
        return power_kw

    def _starts(self, cycle: Cycle, n_steps: int) -> NDArray[np.int64]:
        last = min(cycle.latest, n_steps - len(cycle.profile_kw))
        first = max(cycle.earliest, self.busy_steps)
        if last < first:
            raise InvalidSpec(
                f"{self.name}: cycle {cycle.number} of {len(cycle.profile_kw)} steps may start "
                f"from step {first} to {last}: no start is left; widen its window"
            )
        return np.arange(first, last + 1)

    def after(self, plan: Plan, n_steps: int) -> Self:
        """Cycles that have begun are committed to their end; the others wait."""
        n = len(plan.net_load_kw)
        committed_kw, waiting = self._committed(n)[n_steps:], []
        for row, cycle in enumerate(self.cycles):
            begun = _starts_of(cycle, plan)
            begun = begun[begun < n_steps]
            if begun.size:
                placed = _placed(cycle, begun[:1], n)[:, 0]
                committed_kw = committed_kw + placed[n_steps:]
            else:
                waiting.append(row)
        table = self.discomfort_eur
        return replace(
            self,
            cycles=tuple(self.cycles[row].later(n_steps) for row in waiting),
            committed_kw=np.trim_zeros(committed_kw, "b"),
            discomfort_eur=None if table is None else table[waiting, n_steps:],
            begun=self.begun + len(self.cycles) - len(waiting),
        )

    def unplanned(self, horizon: Horizon) -> Plan:
        """Every cycle at its people's start; ``InvalidSpec`` if one is outside the horizon."""
        n = horizon.n_steps
        power_kw, started = self._committed(n), np.zeros(n)
        for cycle in self.cycles:
            if not 0 <= cycle.metered_start < n:
                raise InvalidSpec(
                    f"{self.name}: metered_start of cycle {cycle.number} is {cycle.metered_start}, "
                    f"allowed is 0 to {n - 1}"
                )
            at = np.array([cycle.metered_start])
            power_kw = power_kw + _placed(cycle, at, n)[:, 0]
            started[at] = cycle.number
        series = {"power_kw": power_kw, "started": started}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats, signal: RuleSignal) -> Plan:
        """Once filled, each run waits for the first step with surplus enough for its mean power.

        Where none comes as long as it may wait, it starts when waiting ends; filled later, at once.
        """
        slots = {}
        for cycle in self.cycles:
            filled = max(cycle.metered_start, 0)
            waits = signal.wait[filled:]
            last = filled + (int(np.argmin(waits)) if not waits.all() else len(waits) - 1)
            enough_kw = float(np.mean(cycle.profile_kw))
            sunny = np.flatnonzero(-net_load_kw[filled : last + 1] >= enough_kw)
            slots[cycle.number] = filled + int(sunny[0]) if sunny.size else last
        return self._run_at(horizon.n_steps, slots)

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """Each run in the plan's slot for its number; without a slot, at its people's start.

        Runs keep their order and windows. A waiting run leaves time for the runs behind it.
        """
        slots: dict[int, int] = {}
        if told is not None:
            # The solver's 0/1 are rounded, since 0.9999999 · number would be cut to the wrong run.
            numbers = np.rint(told.series["started"][: horizon.n_steps]).astype(int)
            slots = {int(numbers[at]): int(at) for at in np.flatnonzero(numbers)}
        return self._run_at(horizon.n_steps, slots)

    def _run_at(self, n: int, slots: Mapping[int, int]) -> Plan:
        """Each run in its slot by number, or its people's start, as far as window and order let."""
        power_kw, started, free = self._committed(n), np.zeros(n), self.busy_steps
        for cycle, latest in zip(self.cycles, self._latest_starts(n), strict=True):
            wanted = slots.get(cycle.number, max(cycle.metered_start, 0))
            at = np.array([min(max(wanted, cycle.earliest, free), latest)])
            power_kw = power_kw + _placed(cycle, at, n)[:, 0]
            started[at] = cycle.number
            free = int(at[0]) + len(cycle.profile_kw)
        series = {"power_kw": power_kw, "started": started}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def _latest_starts(self, n: int) -> list[int]:
        """Last start of each cycle in ``n`` steps that leaves time for those behind it."""
        latest: list[int] = []
        # Backwards, since each depends on the next.
        for cycle in reversed(self.cycles):
            before_next = (latest[0] if latest else n) - len(cycle.profile_kw)
            latest.insert(0, min(cycle.latest, before_next))
        return latest

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Copy with the real agent's state: without runs already begun or no longer fitting."""
        rows, free = [], real.busy_steps
        for row, cycle in enumerate(self.cycles):
            first = max(free, cycle.earliest)
            last = min(cycle.latest, horizon.n_steps - len(cycle.profile_kw))
            if cycle.number > real.begun and first <= last:
                rows.append(row)
                free = first + len(cycle.profile_kw)
        table = self.discomfort_eur
        return replace(
            self,
            cycles=tuple(self.cycles[row] for row in rows),
            committed_kw=real.committed_kw,
            discomfort_eur=None if table is None else table[rows],
            begun=real.begun,
        )

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Every cycle runs once, whole, within its window, never two at once."""
        n = horizon.n_steps
        power_kw, ended = self._committed(n), self.busy_steps
        for cycle in self.cycles:
            begun = _starts_of(cycle, plan)
            if begun.size != 1:
                yield f"{self.name}: cycle {cycle.number} starts {begun.size} times"
                continue
            at = begun[:1]
            yield from breaks(
                self.name,
                f"start of {cycle.number}",
                at.astype(np.float64),
                float(max(cycle.earliest, ended)),
                float(cycle.latest),
            )
            ended = int(at[0]) + len(cycle.profile_kw)
            power_kw = power_kw + _placed(cycle, at, n)[:, 0]
        yield from differs(self.name, "power_kw", plan.series["power_kw"], power_kw)
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, power_kw)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Discomfort of the chosen starts [€]."""
        if self.discomfort_eur is None:
            return {"discomfort": 0.0}
        cost_eur = 0.0
        for cycle, row in zip(self.cycles, self.discomfort_eur, strict=True):
            cost_eur += float(row[_starts_of(cycle, plan)].sum())
        return {"discomfort": cost_eur}

    def shifts_h(self, plan: Plan, horizon: Horizon) -> tuple[float, ...]:
        """How far each start was moved from its people's [h], later is positive."""
        moved = []
        for cycle in self.cycles:
            begun = _starts_of(cycle, plan)
            moved += [(int(at) - cycle.metered_start) * horizon.step_h for at in begun]
        return tuple(moved)

    # --- why it starts when it does --------------------------------------------------------------

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """Which runs start in step ``t``, and what another start would cost.

        A run is too large a decision for marginal prices, so the cost of another start is found by
        planning again with the run fixed there.
        """
        begun = round(float(priced.series(self, "started")[t]))
        for row, cycle in enumerate(self.cycles):
            if cycle.number == begun:
                why = self._unmoved if cycle.metered_start == t else self._moved
                yield f"The {self.title} starts{why(priced, row, t)}"

    def _moved(self, priced: PricedPlan, row: int, t: int) -> str:
        there = self.cycles[row].metered_start
        if there not in _possible_starts(priced, self.cycles[row]):
            return f": its run costs {words.ct(self._run_ct(priced, row, t))}."
        counts = self._comfort_ct(row, t) - self._comfort_ct(row, there)
        comfort = f", and {words.ct(counts)} of discomfort for moving it"
        return (
            f" instead of at {priced.clock(there)}, {_people(priced)}: at the plan's prices "
            f"its run costs {words.ct(self._run_ct(priced, row, t))} here"
            f"{comfort if counts > SAME_CT else ''}, and "
            f"{words.ct(self._run_ct(priced, row, there))} there.{self._at(priced, row, there)}"
        )

    def _unmoved(self, priced: PricedPlan, row: int, t: int) -> str:
        """Compare with the best other start at the plan's prices."""
        others = [u for u in _possible_starts(priced, self.cycles[row]) if u != t]
        text = f" {_people(priced)}."
        if not others:
            return text
        best = min(others, key=lambda u: self._run_ct(priced, row, u) + self._comfort_ct(row, u))
        return f"{text}{self._at(priced, row, best)}"

    def _at(self, priced: PricedPlan, row: int, start: int) -> str:
        """The plan's cost with the run at another start."""
        more_ct = self._elsewhere_ct(priced, row, start)
        when = priced.clock(start)
        if more_ct is None:
            return f" At {when} it does not fit beside the rest of the plan."
        if more_ct <= SAME_CT:
            return f" With a start at {when} the whole plan would cost the same."
        discomfort = self.discomfort_eur is not None and np.any(self.discomfort_eur > 0)
        counted = ", discomfort counted" if discomfort else ""
        cost = f"{words.ct(more_ct)} more{counted}"
        return f" With a start at {when} the whole plan would cost {cost}."

    def _elsewhere_ct(self, priced: PricedPlan, row: int, start: int) -> float | None:
        """Extra cost of the re-planned whole with the run there [ct], None if it does not fit."""
        number = self.cycles[row].number
        starts = np.rint(priced.series(self, "started")).tolist()
        at = {c.number: starts.index(c.number) for c in self.cycles} | {number: start}
        placed = tuple(replace(c, metered_start=at[c.number]) for c in self.cycles)
        moved = replace(self, cycles=placed).unplanned(priced.horizon)
        if any(self.audit(moved, priced.horizon)):
            return None
        put = replace(self.cycles[row], earliest=start, latest=start)
        cycles = tuple(put if c.number == number else c for c in self.cycles)
        return priced.elsewhere(self.name, {"cycles": cycles}, moved)

    def _run_ct(self, priced: PricedPlan, row: int, start: int) -> float:
        """Cost of a run at the bus prices [ct]."""
        profile_kw = np.array(self.cycles[row].profile_kw)
        energy_kwh = priced.horizon.energy_kwh(profile_kw)
        return float(energy_kwh @ priced.worth_ct[start : start + len(profile_kw)])

    def _comfort_ct(self, row: int, start: int) -> float:
        """Discomfort of a start [ct]."""
        return 0.0 if self.discomfort_eur is None else 100 * float(self.discomfort_eur[row, start])


def _placed(cycle: Cycle, starts: NDArray[np.int64], n_steps: int) -> Floats:
    """Power of the cycle in each step for each start [kW], shape ``(n_steps, n_starts)``."""
    # Longer than the horizon, so that runs near the end need no special case; cut below.
    table = np.zeros((n_steps + len(cycle.profile_kw), len(starts)))
    columns = np.arange(len(starts))
    for offset, power_kw in enumerate(cycle.profile_kw):
        table[starts + offset, columns] = power_kw
    return table[:n_steps]


def _starts_of(cycle: Cycle, plan: Plan) -> NDArray[np.int64]:
    """The steps in which ``plan`` starts the cycle."""
    return np.flatnonzero(np.rint(plan.series["started"]) == cycle.number)


def _possible_starts(priced: PricedPlan, cycle: Cycle) -> range:
    last = priced.horizon.n_steps - len(cycle.profile_kw)
    return range(cycle.earliest, min(cycle.latest, last) + 1)


def _people(priced: PricedPlan) -> str:
    return f"when its people {'are expected to start' if priced.believed else 'started'} it"


# --- on a site -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Machine(SiteDevice):
    """A metered appliance with its ``runs`` in order.

    A run that crosses midnight cannot be moved; it stays in the base load.
    """

    runs: tuple[Run, ...]

    @classmethod
    def on_site(cls, view: SiteView) -> tuple[Self, ...]:
        """One machine per metered appliance."""
        return tuple(
            cls(
                name=name,
                step_h=view.step_h,
                runs=tuple(
                    (start, energy_kwh)
                    for start, energy_kwh in view.runs(name)
                    if view.day[start] == view.day[start + len(energy_kwh) - 1]
                ),
            )
            for name in view.meters("discrete_phase")
        )

    def used_kwh(self, where: slice) -> Floats:
        """Energy of its runs."""
        used_kwh = np.zeros(where.stop - where.start)
        # A run that started before the slice may still be running in it.
        for start, energy_kwh in self.between(where.start - MOST_STEPS, where.stop):
            first = start - where.start
            begin, end = max(first, 0), min(first + len(energy_kwh), len(used_kwh))
            if begin < end:
                used_kwh[begin:end] += energy_kwh[begin - first : end - first]
        return used_kwh

    def planned_kwh(self, stretch: Stretch) -> Floats:
        """Its energy on the committed days; in the look-ahead it runs as metered."""
        planned_kwh = np.zeros(stretch.whole.stop - stretch.whole.start)
        committed = slice(stretch.whole.start, stretch.spans[-1].stop)
        planned_kwh[: stretch.n_committed] = self.used_kwh(committed)
        return planned_kwh

    def between(self, first: int, last: int) -> tuple[Run, ...]:
        """The runs that start in the steps ``first … last − 1``."""
        begin = bisect_left(self.runs, first, key=_first_step)
        return self.runs[begin : bisect_left(self.runs, last, lo=begin, key=_first_step)]

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """Today's runs started before now, plus the expected runs of today and tomorrow."""
        recent = [(day.start, day.stop) for day in now.past_days[-MEMORY_DAYS:]]
        seen = [run for first, last in recent for run in self.between(first, last)]
        started = self.between(now.today.start, now.step)
        expected = expected_runs(seen, recent, (now.today.start, now.today.stop))
        coming = still_expected(expected, len(started), now.step, now.today.stop)
        if now.tomorrow is not None:
            coming += expected_runs(seen, recent, (now.tomorrow.start, now.tomorrow.stop))
        return replace(self, runs=started + coming)

    def agent(self, frame: PlanFrame) -> DiscretePhaseDevice | None:
        """The runs of each committed day that still fit, None if there are none."""
        cycles, comfort = self._cycles(frame), frame.comfort
        if not cycles:
            return None
        metered = np.array([cycle.metered_start for cycle in cycles])
        if not comfort.movable:
            cycles = tuple(
                replace(cycle, earliest=cycle.metered_start, latest=cycle.metered_start)
                for cycle in cycles
            )
        table = comfort.discomfort_eur(self.name, metered, frame.horizon.local_hour, self.step_h)
        return DiscretePhaseDevice(name=self.name, cycles=cycles, discomfort_eur=table)

    def _cycles(self, frame: PlanFrame) -> tuple[Cycle, ...]:
        """Windows: the rest of the day if foreseen, else not before people start them."""
        now = frame.stretch.whole.start
        in_days = [
            (span, run)
            for span in frame.stretch.spans
            for run in self.between(span.start, span.stop)
        ]
        return tuple(
            Cycle(
                number=number,
                profile_kw=tuple((energy_kwh / self.step_h).tolist()),
                metered_start=start - now,
                earliest=max(span.start if frame.runs_foreseen else start, now) - now,
                latest=span.stop - len(energy_kwh) - now,
            )
            # Numbered over all runs of the day, also those that no longer fit, so that numbers stay
            # stable.
            for number, (span, (start, energy_kwh)) in enumerate(in_days, 1)
            if span.stop - len(energy_kwh) >= now
        )


def _first_step(run: Run) -> int:
    return run[0]


def expected_runs(
    runs: Sequence[Run], days: Sequence[tuple[int, int]], day: tuple[int, int]
) -> tuple[Run, ...]:
    """Expect as many and as long runs on ``day`` as lately; none crosses midnight.

    Deliberately simple, since appliance use is mostly chance. The number is the rounded mean of the
    recent days, the profile that of the recent run of median energy, the starts evenly spaced
    quantiles of the recent starts.

    ``runs``: those within ``days`` (first step and last + 1 of each), all before ``day``.
    """
    if not days or not runs:
        return ()
    # Half up; Python's round() would send 0.5 to 0 and 2.5 to 2.
    count = int(np.floor(len(runs) / len(days) + 0.5))
    energies = np.array([float(energy_kwh.sum()) for _, energy_kwh in runs])
    # Stable sort and a real run, so that the profile is one that occurred.
    profile = runs[int(np.argsort(energies, kind="stable")[len(runs) // 2])][1]
    begins = np.array([first for first, _ in days])
    starts = np.array([start for start, _ in runs])
    offsets = starts - begins[np.searchsorted(begins, starts, side="right") - 1]
    levels = (np.arange(count) + 0.5) / max(count, 1)
    expected: list[Run] = []
    free = day[0]
    for offset in np.quantile(offsets, levels, method="lower"):
        start = max(day[0] + int(offset), free)
        if start + len(profile) <= day[1]:
            expected.append((start, profile))
            free = start + len(profile)
    return tuple(expected)


def still_expected(expected: Sequence[Run], n_started: int, now: int, end: int) -> tuple[Run, ...]:
    """The ``expected`` runs of a day that remain after ``n_started`` have started.

    The first ones count as started. One whose time has passed is expected from ``now`` on; one that
    no longer fits before step ``end`` is dropped.
    """
    left: list[Run] = []
    free = now
    for start, energy_kwh in expected[n_started:]:
        first = max(start, free)
        if first + len(energy_kwh) <= end:
            left.append((first, energy_kwh))
            free = first + len(energy_kwh)
    return tuple(left)
