"""A heat pump that shifts its metered energy within a comfort band."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ems.agents import words
from ems.agents.base import (
    SLACK_KWH,
    Agent,
    as_steps,
    breaks,
    check_range,
    differs,
    frozen_series,
    same_shape,
)
from ems.agents.flexible_device import FlexibleDeviceAgent
from ems.agents.on_site import Instant, PlanFrame, SiteDevice, SiteView, ToLearn, Unknown
from ems.agents.priced import SAME_CT, VISIBLE_KW, VISIBLE_KWH, PricedPlan
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Plan
from ems.errors import InvalidSpec
from ems.types import Bools, Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class PartialUsageDevice(FlexibleDeviceAgent):
    """A device that draws its metered energy within a band around the metered series.

    ``metered_kw``: how it ran [kW]. ``min_cumulative_kwh``, ``max_cumulative_kwh``: bounds on the
    energy drawn from the start of the horizon to the end of each step [kWh]; where they are equal,
    the energy is fixed. ``max_power_kw``: limit [kW]. ``min_power_kw``, ``min_run_steps``: minimum
    power and minimum number of steps once on. ``drawn_kwh``: energy drawn before the first step,
    counted in the band. ``must_run_steps``: steps it must still stay on. ``on``: whether it ran
    just before the first step.
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

    @property
    def otherwise(self) -> str:
        """The real demand overrides the plan."""
        return f"The {self.title} keeps within the heat that is really needed."

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
        # 1e-9 allows for rounding in the cumulative sums.
        if over.size and np.max(over) > 1e-9:
            step = int(np.argmax(over))
            raise InvalidSpec(
                f"{self.name}: min_cumulative_kwh[{step}] is {over[step]:.4g} kWh above "
                "max_cumulative_kwh; the band must be open"
            )

    def contribute(self, block: Block) -> Contribution:
        """drawn(t) = drawn(t−1) + power(t) · Δt [kWh], within the band at the end of each step."""
        as_steps(self, "metered_kw", block.horizon)
        power_kw = block.variables("power_kw", up=self.max_power_kw)
        drawn_kwh = block.variables(
            "drawn_kwh",
            low=self.min_cumulative_kwh - SLACK_KWH,
            up=self.max_cumulative_kwh + SLACK_KWH,
        )
        grown_kwh = drawn_kwh.before(self.drawn_kwh) + block.horizon.energy_kwh(power_kw)
        block.require("drawn", drawn_kwh == grown_kwh, "kWh")
        series: dict[str, Affine | Floats] = {"power_kw": power_kw, "drawn_kwh": drawn_kwh}
        if self.switched:
            series["on"] = self._switch(block, power_kw)
        return Contribution(net_load_kw=power_kw, series=series)

    @property
    def switched(self) -> bool:
        """Whether on and off states matter."""
        return self.min_power_kw > 0 or self.min_run_steps > 1

    # Binaries only here: without minimum power or run time the device is an LP.
    def _switch(self, block: Block, power_kw: Affine) -> Affine:
        on = block.switches("on")
        block.require("max_power", power_kw - self.max_power_kw * on <= 0.0, "kW")
        block.require("min_power", power_kw - self.min_power_kw * on >= 0.0, "kW")
        if self.must_run_steps:
            block.require("still_on", on[: self.must_run_steps] >= 1.0, "steps")
        turned_on = on - on.before(float(self.on))
        # Turned on at t means on at t + ahead, for every step of the minimum run.
        for ahead in range(1, min(self.min_run_steps, block.horizon.n_steps)):
            block.require(f"min_run_{ahead}", on[ahead:] - turned_on[:-ahead] >= 0.0, "steps")
        return on

    def after(self, plan: Plan, n_steps: int) -> Self:
        """Energy drawn so far, the rest of the band, and steps it must stay on.

        The energy is clipped into the band, since a solver leaves it by its tolerance.
        """
        last, later = n_steps - 1, slice(n_steps, None)
        least_kwh = self.min_cumulative_kwh[last] - SLACK_KWH
        most_kwh = self.max_cumulative_kwh[last] + SLACK_KWH
        on, ran = self.on, 0
        if self.switched:
            # Solvers return 0.9999999 for 1.
            states = plan.series["on"][:n_steps] > 0.5
            on = bool(states[-1])
            off = np.flatnonzero(~states)
            ran = n_steps - 1 - int(off[-1]) if off.size else n_steps
            # Never off since the start: the duty handed over goes on, not a new minimum run.
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

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats) -> Plan:
        """On surplus it heats ahead within its band (SG-Ready), else only what it is behind.

        As metered for a device with minimum power or minimum run time.
        """
        if self.switched:
            return self.unplanned(horizon)
        surplus_kw = np.maximum(-net_load_kw, 0.0)
        metered_kwh = self.drawn_kwh + np.cumsum(horizon.energy_kwh(self.metered_kw))
        power_kw, drawn_kwh = np.zeros(horizon.n_steps), self.drawn_kwh
        for t in horizon.steps:
            behind_kw = horizon.power_kw(metered_kwh[t] - drawn_kwh)
            most_kw = horizon.power_kw(self.max_cumulative_kwh[t] - drawn_kwh)
            wanted_kw = max(behind_kw, surplus_kw[t], 0.0)
            power_kw[t] = min(wanted_kw, max(most_kw, 0.0), self.max_power_kw)
            drawn_kwh += horizon.energy_kwh(power_kw[t])
        series_kwh = self.drawn_kwh + np.cumsum(horizon.energy_kwh(power_kw))
        series = {"power_kw": power_kw, "drawn_kwh": series_kwh}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, but the band of the real demand takes precedence.

        Raises ``InvalidSpec`` for a device with minimum power or minimum run time, which may be
        unable to keep the band.
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
            # A lower bound wins over the set-point, the upper bound over both: too warm is never
            # allowed.
            power_kw[t] = min(max(wanted_kw[t], least_kw, 0.0), max(most_kw, 0.0))
            power_kw[t] = min(power_kw[t], self.max_power_kw)
            drawn_kwh += horizon.energy_kwh(power_kw[t])
        series_kwh = self.drawn_kwh + np.cumsum(horizon.energy_kwh(power_kw))
        series = {"power_kw": power_kw, "drawn_kwh": series_kwh}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def _in_time_kwh(self, horizon: Horizon) -> Floats:
        """Least energy at the end of each step from which every later bound can be reached."""
        most_kwh = horizon.energy_kwh(self.max_power_kw) * np.arange(horizon.n_steps)
        # Backwards running maximum: the tightest later bound decides.
        owed_kwh = (self.min_cumulative_kwh - most_kwh)[::-1]
        in_time_kwh: Floats = np.maximum.accumulate(owed_kwh)[::-1] + most_kwh
        return in_time_kwh

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Copy with the energy really drawn; unreachable band limits are relaxed."""
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
        """Power within limits, energy within the band, minimum runs kept."""
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

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """Difference from its meter, and the step its energy is moved to or from."""
        power_kw = priced.series(self, "power_kw")
        more_kw = power_kw - self.metered_kw
        unplanned = "expected without a plan" if priced.believed else "metered"
        if abs(more_kw[t]) <= VISIBLE_KW:
            if power_kw[t] > VISIBLE_KW:
                yield f"The {self.title} draws {words.kw(float(power_kw[t]))}, as {unplanned}."
            return
        word = "more" if more_kw[t] > 0 else "less"
        does = f"draws {words.kw(float(power_kw[t]))}" if power_kw[t] > VISIBLE_KW else "rests"
        text = (
            f"The {self.title} {does}, {words.kw(abs(float(more_kw[t])))} {word} than {unplanned}: "
            f"a kWh is worth {priced.worth(t)}"
        )
        other = self.exchanged(priced, t)
        if other is None:
            yield f"{text}."
        elif abs(float(priced.worth_ct[t] - priced.worth_ct[other])) <= SAME_CT:
            yield f"{text}; at {priced.clock(other)} it would cost the same."
        else:
            yield f"{text} and {priced.worth(other)} at {priced.clock(other)}."

    def exchanged(self, priced: PricedPlan, t: int) -> int | None:
        """The step with which ``t`` exchanges heat at the greatest price difference.

        While the drawn energy is ahead of the metered, energy drawn early and saved later could be
        moved back slightly without leaving the band, and vice versa while behind. So the plan does
        it only where it pays or costs nothing.
        """
        more_kw = priced.series(self, "power_kw") - self.metered_kw
        ahead_kwh = np.cumsum(priced.horizon.energy_kwh(more_kw))
        side = np.where(np.abs(ahead_kwh) > VISIBLE_KWH, np.sign(ahead_kwh), 0.0)
        sign = float(np.sign(more_kw[t]))
        turns = np.flatnonzero(side[t:] != sign) + t
        end = int(turns[0]) + 1 if turns.size else len(side)
        first = int(np.max(np.flatnonzero(side[:t] != -sign), initial=-1)) + 1
        opposite: list[int] = [
            u for u in (*range(first, t), *range(t + 1, end)) if sign * more_kw[u] < -VISIBLE_KW
        ]
        if not opposite:
            return None
        # Rounded, so that solver noise in prices does not decide; then the nearest step.
        return max(
            opposite, key=lambda u: (sign * round(float(priced.worth_ct[u]), 6), -abs(u - t))
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatPump(SiteDevice):
    """A metered heat pump, planned on days that its meter covers completely.

    ``power_kw``: unplanned power [kW], zero on other days, where its load is part of the base load;
    ``metered``: steps of covered days. ``most_kw``: maximum power [kW], known beforehand as from a
    nameplate. ``shift_h``: how much earlier or later than metered heat may be made [h].
    """

    power_kw: Floats
    metered: Bools
    most_kw: float
    shift_h: float
    unknown: ClassVar[Unknown] = "load"

    @classmethod
    def on_site(cls, view: SiteView, *, shift_h: float) -> tuple[Self, ...]:
        """One per heat pump meter."""
        return tuple(cls._metered(view, name, shift_h) for name in view.meters("partial_usage"))

    @classmethod
    def _metered(cls, view: SiteView, name: str, shift_h: float) -> Self:
        energy_kwh = view.energy_kwh(name)
        metered = np.zeros(len(energy_kwh), dtype=np.bool_)
        for day in view.whole_days:
            metered[day] = np.isfinite(energy_kwh[day]).all()
        power_kw = np.where(metered, energy_kwh, 0.0) / view.step_h
        return cls(
            name=name,
            step_h=view.step_h,
            power_kw=power_kw,
            metered=metered,
            most_kw=float(np.max(power_kw)),
            shift_h=shift_h,
        )

    def used_kwh(self, where: slice) -> Floats:
        """As metered."""
        return self.power_kw[where] * self.step_h

    def to_learn(self, first: int) -> ToLearn:
        """Its metered energy, NaN on days not covered."""
        energy_kwh = np.where(self.metered, self.power_kw * self.step_h, np.nan)
        return ToLearn(what=self.name, energy_kwh=energy_kwh, least=0.0, model="load")

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """Metered until now, then forecast."""
        if forecast_kw is None:
            return self
        power_kw = self.power_kw.copy()
        # Never above the nameplate, or no plan could follow the forecast.
        power_kw[now.ahead] = np.clip(forecast_kw, 0.0, self.most_kw)
        return replace(self, power_kw=power_kw)

    def agent(self, frame: PlanFrame) -> PartialUsageDevice | None:
        """Heat up to ``shift_h`` earlier or later than metered, within the same day.

        The band counts from the first midnight, even if the plan is made later.
        """
        spans, whole = frame.stretch.spans, frame.stretch.whole
        midnight, now = spans[0].start, whole.start
        metered_kw = self.power_kw[midnight : whole.stop]
        if not np.any(metered_kw > 0):
            return None
        drawn_kwh = np.concatenate(([0.0], np.cumsum(metered_kw) * self.step_h))
        least, most = drawn_kwh[1:].copy(), drawn_kwh[1:].copy()
        shift = round(self.shift_h / self.step_h)
        for span in spans:
            first, last = span.start - midnight, span.stop - midnight
            ends = np.arange(first + 1, last)
            # At the end of each day the band closes: heat does not move to another day.
            least[first : last - 1] = drawn_kwh[np.maximum(ends - shift, first)]
            most[first : last - 1] = drawn_kwh[np.minimum(ends + shift, last)]
        rest = slice(now - midnight, None)
        return PartialUsageDevice(
            name=self.name,
            metered_kw=metered_kw[rest],
            min_cumulative_kwh=least[rest],
            max_cumulative_kwh=most[rest],
            max_power_kw=self.most_kw,
            drawn_kwh=float(drawn_kwh[now - midnight]),
        )
