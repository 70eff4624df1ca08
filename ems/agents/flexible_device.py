"""Devices whose metered energy may be moved in time, never deleted.

``DiscretePhaseDevice`` runs whole cycles (dishwasher, washing machine); ``PartialUsageDevice``
spreads its energy inside a comfort band (heat pump). Both are a ``FlexibleDeviceAgent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ems.agents.base import (
    SLACK_KWH,
    Agent,
    Kind,
    as_steps,
    breaks,
    check_range,
    differs,
    frozen_series,
    same_shape,
)
from ems.errors import InvalidSpec
from ems.horizon import Horizon
from ems.linear import Floats, Linear
from ems.program import Block, Plan, Share


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
    here_and_now: ClassVar[bool] = True

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

    def contribute(self, block: Block) -> Share:
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
        power_kw: Linear | Floats = self._committed(n)
        started, cost_eur = Linear.constant(0.0, n), Linear.constant(0.0, 1)
        ends_before: Linear | None = None
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
        return Share(
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

    def carry_out(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
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

    def standing_as(self, real: Self, horizon: Horizon) -> Self:
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


@dataclass(frozen=True, kw_only=True, eq=False)
class PartialUsageDevice(FlexibleDeviceAgent):
    """A device that delivers its metered energy inside a band around the metered course.

    ``metered_kw``: how it ran [kW]. ``min_cumulative_kwh``, ``max_cumulative_kwh``: bounds on the
    energy drawn from the start of the horizon to the end of each step [kWh]; where they meet, the
    energy is exactly that. ``max_power_kw``: limit [kW]. ``min_power_kw``, ``min_run_steps``: once
    on, it draws at least that and stays on for at least that many steps. ``drawn_kwh``: energy
    drawn before the first step, counted in the band. ``must_run_steps``: steps it still has to
    stay on. ``on``: whether it ran just before the first step.
    """

    metered_kw: Floats
    min_cumulative_kwh: Floats
    max_cumulative_kwh: Floats
    max_power_kw: float
    min_power_kw: float = 0.0
    min_run_steps: int = 1
    drawn_kwh: float = 0.0
    must_run_steps: int = 0
    on: bool = False

    def __post_init__(self) -> None:
        frozen_series(self, "metered_kw", low=0.0)
        for name in ("min_cumulative_kwh", "max_cumulative_kwh"):
            frozen_series(self, name)
        check_range(self, "max_power_kw", up=1e9)
        check_range(self, "min_power_kw", up=self.max_power_kw)
        check_range(self, "min_run_steps", low=1, up=10_000)
        check_range(self, "must_run_steps", up=10_000)
        check_range(self, "drawn_kwh", low=-1e9, up=1e9)
        for name in ("min_cumulative_kwh", "max_cumulative_kwh"):
            same_shape(self, name, "metered_kw")
        over = self.min_cumulative_kwh - self.max_cumulative_kwh
        if over.size and np.max(over) > 1e-9:
            step = int(np.argmax(over))
            raise InvalidSpec(
                f"{self.name}: min_cumulative_kwh[{step}] is {over[step]:.4g} kWh above "
                "max_cumulative_kwh; the band must be open"
            )

    def contribute(self, block: Block) -> Share:
        """drawn(t) = drawn(t−1) + power(t) · Δt [kWh], inside the band at the end of every step."""
        as_steps(self, "metered_kw", block.horizon)
        power_kw = block.variables("power_kw", up=self.max_power_kw)
        drawn_kwh = block.variables(
            "drawn_kwh",
            low=self.min_cumulative_kwh - SLACK_KWH,
            up=self.max_cumulative_kwh + SLACK_KWH,
        )
        grown_kwh = drawn_kwh.before(self.drawn_kwh) + block.horizon.energy_kwh(power_kw)
        block.require("drawn", drawn_kwh == grown_kwh, "kWh")
        series: dict[str, Linear | Floats] = {"power_kw": power_kw, "drawn_kwh": drawn_kwh}
        if self.switched:
            series["on"] = self._switch(block, power_kw)
        return Share(net_load_kw=power_kw, series=series)

    @property
    def switched(self) -> bool:
        """Whether being on and off matters."""
        return self.min_power_kw > 0 or self.min_run_steps > 1

    def _switch(self, block: Block, power_kw: Linear) -> Linear:
        on = block.switches("on")
        block.require("max_power", power_kw - self.max_power_kw * on <= 0.0, "kW")
        block.require("min_power", power_kw - self.min_power_kw * on >= 0.0, "kW")
        if self.must_run_steps:
            block.require("still_on", on[: self.must_run_steps] >= 1.0, "steps")
        turned_on = on - on.before(float(self.on))
        for ahead in range(1, min(self.min_run_steps, block.horizon.n_steps)):
            block.require(f"min_run_{ahead}", on[ahead:] - turned_on[:-ahead] >= 0.0, "steps")
        return on

    def after(self, plan: Plan, n_steps: int) -> Self:
        """What is drawn so far, what of the band is left, and whether it must stay on.

        What is drawn is taken back to where planning on is possible: a solver leaves the band by
        its tolerance.
        """
        last, later = n_steps - 1, slice(n_steps, None)
        least_kwh = self.min_cumulative_kwh[last] - SLACK_KWH
        most_kwh = self.max_cumulative_kwh[last] + SLACK_KWH
        on, ran = self.on, 0
        if self.switched:
            states = plan.series["on"][:n_steps] > 0.5
            on = bool(states[-1])
            off = np.flatnonzero(~states)
            ran = n_steps - 1 - int(off[-1]) if off.size else n_steps
            always = not off.size and self.on
            owed = self.must_run_steps - n_steps if always else self.min_run_steps - ran
            ran = max(0, owed) if on else 0
        return replace(
            self,
            metered_kw=self.metered_kw[later],
            min_cumulative_kwh=self.min_cumulative_kwh[later],
            max_cumulative_kwh=self.max_cumulative_kwh[later],
            drawn_kwh=float(np.clip(plan.series["drawn_kwh"][last], least_kwh, most_kwh)),
            must_run_steps=ran,
            on=on,
        )

    def unplanned(self, horizon: Horizon) -> Plan:
        """As metered."""
        power_kw = as_steps(self, "metered_kw", horizon)
        drawn_kwh = self.drawn_kwh + np.cumsum(horizon.energy_kwh(power_kw))
        series = {"power_kw": power_kw, "drawn_kwh": drawn_kwh}
        if self.switched:
            series["on"] = (power_kw > 0).astype(np.float64)
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def carry_out(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, but never too cold or too warm: the band of what is really needed wins.

        Raises ``InvalidSpec`` for a device with a least power or a least run, for which keeping
        the band may ask for what it cannot do.
        """
        if self.switched:
            raise InvalidSpec(
                f"{self.name}: min_power_kw {self.min_power_kw:g} and min_run_steps "
                f"{self.min_run_steps} cannot be carried out on a forecast; leave them at 0 and 1"
            )
        n = horizon.n_steps
        wanted_kw = self.metered_kw if told is None else told.series["power_kw"]
        power_kw, drawn_kwh = np.zeros(n), self.drawn_kwh
        in_time_kwh = self._in_time_kwh(horizon)
        for t in horizon.steps:
            least_kw = horizon.power_kw(in_time_kwh[t] - drawn_kwh)
            most_kw = horizon.power_kw(self.max_cumulative_kwh[t] - drawn_kwh)
            power_kw[t] = min(max(wanted_kw[t], least_kw, 0.0), max(most_kw, 0.0))
            power_kw[t] = min(power_kw[t], self.max_power_kw)
            drawn_kwh += horizon.energy_kwh(power_kw[t])
        series_kwh = self.drawn_kwh + np.cumsum(horizon.energy_kwh(power_kw))
        series = {"power_kw": power_kw, "drawn_kwh": series_kwh}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def _in_time_kwh(self, horizon: Horizon) -> Floats:
        """The least energy at the end of each step from which every later bound is reached."""
        most_kwh = horizon.energy_kwh(self.max_power_kw) * np.arange(horizon.n_steps)
        owed_kwh = (self.min_cumulative_kwh - most_kwh)[::-1]
        in_time_kwh: Floats = np.maximum.accumulate(owed_kwh)[::-1] + most_kwh
        return in_time_kwh

    def standing_as(self, real: Self, horizon: Horizon) -> Self:
        """With what was really drawn, inside a band that can still be reached from there."""
        most_kwh = horizon.energy_kwh(self.max_power_kw) * np.arange(1, horizon.n_steps + 1)
        least = np.minimum(self.min_cumulative_kwh, real.drawn_kwh + most_kwh)
        return replace(
            self,
            min_cumulative_kwh=least,
            max_cumulative_kwh=np.maximum(self.max_cumulative_kwh, real.drawn_kwh),
            drawn_kwh=real.drawn_kwh,
            must_run_steps=real.must_run_steps,
            on=real.on,
        )

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Power within its limits, the energy inside the band, minimum runs kept."""
        power_kw = plan.series["power_kw"]
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, power_kw)
        drawn_kwh = self.drawn_kwh + np.cumsum(horizon.energy_kwh(power_kw))
        low_kwh, up_kwh = self.min_cumulative_kwh, self.max_cumulative_kwh
        yield from breaks(self.name, "drawn_kwh", drawn_kwh, low_kwh, up_kwh)
        yield from differs(self.name, "drawn_kwh", plan.series["drawn_kwh"], drawn_kwh)
        least_kw: Floats | float = 0.0
        if self.switched:
            on = plan.series["on"] > 0.5
            least_kw = np.where(on, self.min_power_kw, 0.0)
            yield from self._short_runs(on)
            yield from breaks(
                self.name, "power_kw", power_kw, 0.0, np.where(on, self.max_power_kw, 0.0)
            )
        yield from breaks(self.name, "power_kw", power_kw, least_kw, self.max_power_kw)

    def _short_runs(self, on: NDArray[np.bool_]) -> Iterator[str]:
        edges = np.diff(np.concatenate(([self.on], on)).astype(int))
        for begin in np.flatnonzero(edges == 1):
            run = on[begin : begin + self.min_run_steps]
            if not run.all():
                yield f"{self.name}: runs only {int(run.argmin())} steps from step {begin}"
        if not on[: self.must_run_steps].all():
            yield f"{self.name}: stops although it must run {self.must_run_steps} more steps"


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
