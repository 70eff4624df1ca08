"""Machines that run whole cycles, which may be moved in time, never deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ems.agents.base import (
    Agent,
    breaks,
    differs,
    frozen_series,
)
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.errors import InvalidSpec
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class FlexibleDeviceAgent(Agent):
    """A load that may run at another time than the people ran it."""

    kind: ClassVar[Kind] = "load"


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One run that cannot be interrupted.

    ``profile_kw``: mean power of each of its steps [kW]; ``metered_start``: the step in which the
    people started it; ``earliest``, ``latest``: the first and last step in which it may start.
    ``number``: its number within the device, > 0, stable while the day is planned again.
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
    """A machine that runs whole cycles, one at a time and in the people's own order.

    ``cycles``: the day's runs. ``committed_kw``: the rest of a run that has begun [kW], shape
    ``(n_steps,)`` or shorter. ``begun``: how many runs of the day have begun before the first step.
    ``discomfort_eur``: what a start in each step costs in comfort [€],
    a row for each cycle, shape ``(n_cycles, n_steps)``; ``None`` for none. The series ``started``
    holds the number of the cycle that starts in a step, 0 for none.
    """

    cycles: tuple[Cycle, ...]
    committed_kw: Floats = field(default_factory=lambda: np.zeros(0))
    discomfort_eur: Floats | None = None
    begun: int = 0
    first_stage: ClassVar[bool] = True

    @property
    def otherwise(self) -> str:
        """People load it when they come to it."""
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

        power(t) = committed(t) + Σ_c Σ_s profile_c(t − s) · start_c(s) [kW], Σ_s start_c(s) = 1,
        and a cycle starts only after the one before it has ended (rule ``in_order_…``).
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
            start = block.switches(f"start_{cycle.number}", size=len(starts))
            block.require(f"run_{cycle.number}", start.sum() == 1.0, "starts")
            power_kw = power_kw + _placed(cycle, starts, n) @ start
            started = started + cycle.number * start.placed(starts, n)
            begins = (start * starts.astype(np.float64)).sum()
            if ends_before is not None:
                block.require(f"in_order_{cycle.number}", begins - ends_before >= 0.0, "steps")
            ends_before = begins + float(len(cycle.profile_kw))
            if self.discomfort_eur is not None:
                cost_eur = cost_eur + (start * self.discomfort_eur[row, starts]).sum()
        return Contribution(
            net_load_kw=power_kw,
            cost_eur=cost_eur,
            series={"power_kw": power_kw, "started": started},
        )

    @property
    def busy_steps(self) -> int:
        """How many steps the run that has begun still takes."""
        return int(np.max(np.flatnonzero(self.committed_kw), initial=-1)) + 1

    @property
    def rest_of_run(self) -> Self:
        """The machine with nothing but the rest of the run that has begun."""
        return replace(self, cycles=(), discomfort_eur=None)

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
        """Every cycle where the people started it; raises ``InvalidSpec`` outside the horizon."""
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

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """Each run in the plan's slot for its number; without one when its people start it.

        The runs keep their order and their windows: one that waits makes room for those that its
        people will want behind it, so the last of them may not wait.
        """
        n = horizon.n_steps
        slots: dict[int, int] = {}
        if told is not None:
            numbers = np.rint(told.series["started"][:n]).astype(int)
            slots = {int(numbers[at]): int(at) for at in np.flatnonzero(numbers)}
        power_kw, started, free = self._committed(n), np.zeros(n), self.busy_steps
        for cycle, latest in zip(self.cycles, self._latest_starts(), strict=True):
            wanted = slots.get(cycle.number, max(cycle.metered_start, 0))
            at = np.array([min(max(wanted, cycle.earliest, free), latest)])
            power_kw = power_kw + _placed(cycle, at, n)[:, 0]
            started[at] = cycle.number
            free = int(at[0]) + len(cycle.profile_kw)
        series = {"power_kw": power_kw, "started": started}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def _latest_starts(self) -> list[int]:
        """The last start of each cycle that leaves time for those behind it."""
        latest: list[int] = []
        for cycle in reversed(self.cycles):
            before_next = latest[0] - len(cycle.profile_kw) if latest else cycle.latest
            latest.insert(0, min(cycle.latest, before_next))
        return latest

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Without the runs that have begun, and without those that no longer fit behind them."""
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
        """Every cycle runs once, whole, inside its window, and never two at once."""
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
        """How far each start was moved from the people's own, later positive [h]."""
        moved = []
        for cycle in self.cycles:
            begun = _starts_of(cycle, plan)
            moved += [(int(at) - cycle.metered_start) * horizon.step_h for at in begun]
        return tuple(moved)


def _placed(cycle: Cycle, starts: NDArray[np.int64], n_steps: int) -> Floats:
    """Power of the cycle in each step for each start [kW], shape ``(n_steps, n_starts)``."""
    table = np.zeros((n_steps + len(cycle.profile_kw), len(starts)))
    columns = np.arange(len(starts))
    for offset, power_kw in enumerate(cycle.profile_kw):
        table[starts + offset, columns] = power_kw
    return table[:n_steps]


def _starts_of(cycle: Cycle, plan: Plan) -> NDArray[np.int64]:
    """The steps in which ``plan`` starts the cycle."""
    return np.flatnonzero(np.rint(plan.series["started"]) == cycle.number)
