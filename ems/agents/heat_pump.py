"""A heat pump in a house that keeps heat: made earlier than metered, a part of it is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

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
from ems.agents.rule import RuleSignal
from ems.agents.thermal import (
    HeatLoss,
    House,
    cop_outdoors,
    fitted_loss,
    heat_of,
    marginal_cop,
    pieces,
    power_for,
)
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Plan
from ems.errors import InvalidSpec
from ems.types import Bools, Floats

ON_SHARE = 0.02
"""Share of its maximum power below which a heat pump only stands by."""
WORSE = 0.01
"""How much more effort a kW in the next worse piece of the curve is [1]: where a kWh is worth
nothing, as much heat of more power would be no worse than curtailing it."""
LEAST_SHARE = 0.1
"""Least share of its maximum power while on, or a plan would idle to avoid a start (assumed)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatPumpAgent(FlexibleDeviceAgent):
    """A heat pump that keeps a house at least as warm as metered, and at most ``warmer_k`` warmer.

    ``metered_kw``: how it ran [kW]; ``cop``: COP at medium load in each step; it falls with the
    load (``ems.agents.thermal``). ``max_power_kw``: limit [kW]. ``house``: what keeps the heat.
    ``warmer_k``: how much warmer than metered the air may be [K].
    ``min_run_steps``: least number of steps once on; ``start_eur``: wear of a start [€].
    ``beside_kwh``: heat in each node of the house beside what the meter saw, before the first step
    [kWh]; ``least_final_kwh``: least of it in the air after the last [kWh]; ``left_eur_per_kwh``:
    value of a kWh left in each node [€/kWh].
    ``must_run_steps``: steps it must still stay on; ``on``: whether it ran before the first step.
    """

    metered_kw: Floats
    cop: Floats
    max_power_kw: float
    house: House
    warmer_k: float = 1.0
    min_run_steps: int = 1
    start_eur: float = 0.0
    beside_kwh: tuple[float, ...] = (0.0,)
    least_final_kwh: float = 0.0
    left_eur_per_kwh: tuple[float, ...] = (0.0,)
    must_run_steps: int = 0
    on: bool = False

    @property
    def otherwise(self) -> str:
        """The real demand overrides the plan."""
        return f"The {self.title} keeps the house as warm as it really was."

    def __post_init__(self) -> None:
        check_range(self, "max_power_kw", up=1e9, above=True)
        frozen_series(self, "metered_kw", low=0.0, up=self.max_power_kw)
        frozen_series(self, "cop", low=0.1, up=100.0)
        same_shape(self, "cop", "metered_kw")
        check_range(self, "warmer_k", up=100.0)
        check_range(self, "min_run_steps", low=1, up=10_000)
        check_range(self, "must_run_steps", up=10_000)
        check_range(self, "start_eur", up=1e6)
        check_range(self, "least_final_kwh", up=self.most_kwh + SLACK_KWH)
        for field in ("beside_kwh", "left_eur_per_kwh"):
            given = getattr(self, field)
            if len(given) != len(self.house.nodes) or not np.isfinite(given).all():
                raise InvalidSpec(
                    f"{self.name}: {field} is {given}, give one finite number for each of the "
                    f"nodes {', '.join(self.house.nodes)}"
                )

    @property
    def most_kwh(self) -> float:
        """The most heat that the air may hold beside what the meter saw [kWh]."""
        return self.house.air_kwh_per_k * self.warmer_k

    @property
    def standby_kw(self) -> float:
        """Up to this it only stands by [kW]."""
        return ON_SHARE * self.max_power_kw

    @property
    def metered_heat_kw(self) -> Floats:
        """The heat made as metered [kW]."""
        return heat_of(self.metered_kw, self.cop, self.max_power_kw)

    @property
    def switched(self) -> bool:
        """Whether on and off states matter."""
        return self.min_run_steps > 1 or self.start_eur > 0

    # --- the program ------------------------------------------------------------------------------

    def contribute(self, block: Block) -> Contribution:
        """E(t) = keep · E(t−1) + gain · (heat(t) − metered heat(t)) · Δt [kWh], 0 ≤ E ≤ C · K.

        Cost = start · number of starts − Σ value · E(T) [€].
        """
        as_steps(self, "metered_kw", block.horizon)
        if self.fixed:
            return self._as_metered(block.horizon)
        parts = self._parts(block)
        power_kw, heat_kw = self._made(parts)
        nodes = self._account(block, heat_kw)
        block.require("final_heat", nodes["heat"][-1] >= self.least_final_kwh - SLACK_KWH, "kWh")
        cost_eur: Affine | float = 0.0
        for held_kwh, left_eur in zip(nodes.values(), self.left_eur_per_kwh, strict=True):
            if left_eur != 0.0:
                cost_eur = cost_eur - left_eur * held_kwh[-1]
        series: dict[str, Affine | Floats] = {"power_kw": power_kw, "heat_kw": heat_kw}
        series |= {f"{node}_kwh": held_kwh for node, held_kwh in nodes.items()}
        if self.switched:
            series["on"] = on = self._switch(block, parts)
            if self.start_eur > 0:
                starts = block.variables("starts", up=1.0)
                block.require("start", starts - on + on.before(float(self.on)) >= 0.0, "starts")
                cost_eur = cost_eur + self.start_eur * starts.sum()
        return Contribution(
            net_load_kw=power_kw,
            cost_eur=cost_eur,
            effort_kw=Affine.total(
                [part * (1.0 + WORSE * i) for i, part in enumerate(parts)], block.horizon.n_steps
            ),
            series=series,
        )

    @property
    def fixed(self) -> bool:
        """Nothing to decide where the house may not be warmer."""
        return self.most_kwh == 0

    def _as_metered(self, horizon: Horizon) -> Contribution:
        plan = self.unplanned(horizon)
        cost_eur = sum(self.costs_eur(plan, horizon).values())
        return Contribution(net_load_kw=plan.net_load_kw, cost_eur=cost_eur, series=plan.series)

    def _parts(self, block: Block) -> list[Affine]:
        """The power in each piece of the curve; the better one comes first: it makes more heat."""
        width_kw, _ = pieces(self.max_power_kw)
        parts = [
            block.variables(f"part_{i}_kw", up=float(up)) for i, up in enumerate(width_kw, start=1)
        ]
        # Where a kWh may be worth less than nothing, making little heat of it could pay.
        at = np.flatnonzero(block.worth_at_least_eur_per_kwh < 0)
        if at.size:
            for i in range(len(parts) - 1):
                full = block.switches(f"full_{i + 1}", size=at.size)
                block.require(f"full_{i + 1}", parts[i][at] - width_kw[i] * full >= 0.0, "kW")
                later = parts[i + 1][at] - width_kw[i + 1] * full
                block.require(f"not_before_{i + 1}", later <= 0.0, "kW")
        return parts

    def _made(self, parts: Sequence[Affine]) -> tuple[Affine, Affine]:
        """Electric power and heat of the pieces [kW]."""
        _, relative = pieces(self.max_power_kw)
        heat = [
            part * (float(share) * self.cop) for part, share in zip(parts, relative, strict=True)
        ]
        n_steps = len(self.cop)
        return Affine.total(parts, n_steps), Affine.total(heat, n_steps)

    def _account(self, block: Block, heat_kw: Affine) -> dict[str, Affine]:
        """The heat in each node beside what the meter saw, at the end of each step."""
        keep, gain = self.house.step(block.horizon.step_h)
        most_kwh = (self.most_kwh + SLACK_KWH, np.inf)
        nodes = {
            node: block.variables(f"{node}_kwh", low=-SLACK_KWH, up=up)
            for node, up in zip(self.house.nodes, most_kwh, strict=False)
        }
        extra_kwh = block.horizon.energy_kwh(heat_kw - self.metered_heat_kw)
        account = {}
        for i, (node, held_kwh) in enumerate(nodes.items()):
            comes_kwh = float(gain[i]) * extra_kwh
            for j, other_kwh in enumerate(nodes.values()):
                comes_kwh = comes_kwh + float(keep[i, j]) * other_kwh.before(self.beside_kwh[j])
            account[node] = held_kwh == comes_kwh
        block.require("heat", account["heat"], "kWh")
        if "mass" in account:
            block.require("mass", account["mass"], "kWh")
        return nodes

    # Binaries only here: without wear of starts or least run the device is an LP.
    def _switch(self, block: Block, parts: Sequence[Affine]) -> Affine:
        on = block.switches("on")
        width_kw, _ = pieces(self.max_power_kw)
        # Piece by piece, which leaves the solver less to branch on than their sum.
        for i, (part, width) in enumerate(zip(parts, width_kw, strict=True), start=1):
            block.require(f"only_on_{i}", part - float(width) * on <= 0.0, "kW")
        least_kw = LEAST_SHARE * self.max_power_kw
        block.require("least_power", parts[0] - least_kw * on >= 0.0, "kW")
        if self.must_run_steps:
            block.require("still_on", on[: self.must_run_steps] >= 1.0, "steps")
        turned_on = on - on.before(float(self.on))
        # Turned on at t means on at t + ahead, for every step of the minimum run.
        for ahead in range(1, min(self.min_run_steps, block.horizon.n_steps)):
            block.require(f"min_run_{ahead}", on[ahead:] - turned_on[:-ahead] >= 0.0, "steps")
        return on

    # --- its state --------------------------------------------------------------------------------

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The heat reached and the steps it must stay on.

        The heat is clipped into the band, since a solver leaves it by its tolerance.
        """
        last, later = n_steps - 1, slice(n_steps, None)
        held_kwh = [float(plan.series[f"{node}_kwh"][last]) for node in self.house.nodes]
        air_kwh = min(max(held_kwh[0], 0.0), self.most_kwh)
        on, owed = self._owed(plan, n_steps)
        return replace(
            self,
            metered_kw=self.metered_kw[later],
            cop=self.cop[later],
            beside_kwh=(air_kwh, *(max(kwh, 0.0) for kwh in held_kwh[1:])),
            must_run_steps=owed,
            on=on,
        )

    def _owed(self, plan: Plan, n_steps: int) -> tuple[bool, int]:
        """Whether it is on after ``n_steps``, and for how many steps it must stay on."""
        states = self._on(plan)[:n_steps]
        if not states[-1]:
            return False, 0
        off = np.flatnonzero(~states)
        if not off.size and self.on:  # the duty handed over goes on, not a new least run
            return True, max(0, self.must_run_steps - n_steps)
        ran = n_steps - 1 - int(off[-1]) if off.size else n_steps
        return True, max(0, self.min_run_steps - ran)

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Copy with the heat really there."""
        return replace(
            self, beside_kwh=real.beside_kwh, must_run_steps=real.must_run_steps, on=real.on
        )

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """Heat in each node beside what the meter saw [kWh]; nothing is kept in a fixed house."""
        if self.fixed:
            return {}
        if plan is None:
            return dict(zip(self.house.nodes, self.beside_kwh, strict=True))
        return {node: float(plan.series[f"{node}_kwh"][-1]) for node in self.house.nodes}

    def worth_before(self, duals: Mapping[str, Floats], horizon: Horizon) -> Mapping[str, Floats]:
        """λ before a step = keepᵀ · λ at its end: a part of the heat is lost within the step."""
        keep, _ = self.house.step(horizon.step_h)
        ends = [duals[node] for node in self.house.nodes]
        return {
            node: np.sum([keep[i, j] * end for i, end in enumerate(ends)], axis=0)
            for j, node in enumerate(self.house.nodes)
        }

    def valued(self, left_eur_per_kwh: Mapping[str, float]) -> Self:
        """The heat left at the end has this value."""
        left = tuple(left_eur_per_kwh.get(node, 0.0) for node in self.house.nodes)
        return replace(self, left_eur_per_kwh=left, least_final_kwh=0.0)

    def leaving(self, held_kwh: Mapping[str, float], horizon: Horizon) -> Self:
        """At least this heat in the air at the end, or what full power can reach."""
        full_kw = np.full(horizon.n_steps, self.max_power_kw)
        reached_kwh = self._within_band(horizon, full_kw).series["heat_kwh"][-1]
        return replace(self, least_final_kwh=max(0.0, min(held_kwh["heat"], float(reached_kwh))))

    # --- without a program ------------------------------------------------------------------------

    def unplanned(self, horizon: Horizon) -> Plan:
        """As metered."""
        return self._plan(horizon, as_steps(self, "metered_kw", horizon))

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats, signal: RuleSignal) -> Plan:
        """Heats ahead on surplus while it heats (SG-Ready), else keeps as warm as metered.

        Ahead only with the power at which it makes most heat of a kWh: on the real meters this
        beats taking all of the surplus, and heating on days without demand. As metered for a device
        with a least run.
        """
        if self.min_run_steps > 1:
            return self.unplanned(horizon)
        gentle_kw = float(pieces(self.max_power_kw)[0][0])
        surplus_kw = np.clip(-net_load_kw, 0.0, gentle_kw)
        return self._within_band(horizon, np.where(self.metered_kw > 0, surplus_kw, 0.0))

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, but the band of the real house takes precedence.

        Raises ``InvalidSpec`` for a device with a least run, which may be unable to keep the band.
        """
        if self.min_run_steps > 1:
            raise InvalidSpec(
                f"{self.name}: min_run_steps {self.min_run_steps} cannot be carried out on a "
                "forecast; leave it at 1"
            )
        wanted_kw = self.metered_kw if told is None else told.series["power_kw"]
        return self._within_band(horizon, wanted_kw)

    def _within_band(self, horizon: Horizon, wanted_kw: Floats) -> Plan:
        """The wanted power [kW] as far as the house stays within its band."""
        keep, gain = self.house.step(horizon.step_h)
        gained = gain[0] * horizon.step_h
        held_kwh, power_kw = np.array(self.beside_kwh), np.zeros(horizon.n_steps)
        heat_kw, metered_kw = np.zeros(horizon.n_steps), self.metered_heat_kw
        for t in horizon.steps:
            kept_kwh = keep @ held_kwh
            least, most = (
                max(0.0, metered_kw[t] + (bound_kwh - kept_kwh[0]) / gained)
                for bound_kwh in (0.0, self.most_kwh)
            )
            limits_kw = power_for(np.array([least, most]), self.cop[t], self.max_power_kw)
            power_kw[t] = np.clip(wanted_kw[t], *limits_kw)
            heat_kw[t] = heat_of(power_kw[t], self.cop[t], self.max_power_kw)
            held_kwh = kept_kwh + gain * (heat_kw[t] - metered_kw[t]) * horizon.step_h
        return self._plan(horizon, power_kw)

    def _plan(self, horizon: Horizon, power_kw: Floats) -> Plan:
        """The plan with this power [kW]."""
        series = {"power_kw": power_kw, "heat_kw": heat_of(power_kw, self.cop, self.max_power_kw)}
        series |= self._held(horizon, series["heat_kw"])
        if self.switched:
            series["on"] = (power_kw > self.standby_kw).astype(np.float64)
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def _held(self, horizon: Horizon, heat_kw: Floats) -> dict[str, Floats]:
        """The heat in each node at the end of each step that this heat leaves [kWh]."""
        keep, gain = self.house.step(horizon.step_h)
        extra_kwh = horizon.energy_kwh(heat_kw - self.metered_heat_kw)
        held_kwh, rows = np.array(self.beside_kwh), np.empty((horizon.n_steps, len(gain)))
        for t in horizon.steps:
            held_kwh = keep @ held_kwh + gain * extra_kwh[t]
            rows[t] = held_kwh
        return {f"{node}_kwh": rows[:, i] for i, node in enumerate(self.house.nodes)}

    # --- what a plan must keep, and costs ---------------------------------------------------------

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Power within its limit, heat as its curve makes it, the house within its band."""
        series = plan.series
        power_kw, heat_kw = series["power_kw"], series["heat_kw"]
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, power_kw)
        made_kw = heat_of(power_kw, self.cop, self.max_power_kw)
        yield from differs(self.name, "heat_kw", heat_kw, made_kw)
        for name, held_kwh in self._held(horizon, made_kw).items():
            yield from differs(self.name, name, series[name], held_kwh)
        yield from breaks(self.name, "heat_kwh", series["heat_kwh"], 0.0, self.most_kwh)
        final_kwh = series["heat_kwh"][-1:]
        yield from breaks(self.name, "final_heat_kwh", final_kwh, self.least_final_kwh, np.inf)
        if self.switched:
            on = self._on(plan)
            yield from differs(self.name, "on", series["on"], on.astype(np.float64))
            yield from self._short_runs(on)
        yield from breaks(self.name, "power_kw", power_kw, 0.0, self.max_power_kw)

    def _short_runs(self, on: NDArray[np.bool_]) -> Iterator[str]:
        for begin in np.flatnonzero(self._turned_on(on)):
            run = on[begin : begin + self.min_run_steps]
            if not run.all():
                yield f"{self.name}: runs only {int(run.argmin())} steps from step {begin}"
        if not on[: self.must_run_steps].all():
            yield f"{self.name}: stops although it must run {self.must_run_steps} more steps"

    def _on(self, plan: Plan) -> NDArray[np.bool_]:
        """Where it does more than stand by."""
        return plan.series["power_kw"] > self.standby_kw

    def _turned_on(self, on: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return on & ~np.concatenate(([self.on], on[:-1]))

    def n_starts(self, plan: Plan) -> int:
        """How often it starts in ``plan``."""
        return int(self._turned_on(self._on(plan)).sum())

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Wear of starts, minus the value of the heat left at the end [€]."""
        costs = {}
        if self.start_eur > 0:
            costs["wear"] = self.start_eur * self.n_starts(plan)
        if any(self.left_eur_per_kwh):
            held = self.stored_kwh(plan).values()
            worth = zip(held, self.left_eur_per_kwh, strict=True)
            costs["left"] = -sum(kwh * eur for kwh, eur in worth)
        return costs

    # --- why it does what it does -----------------------------------------------------------------

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """Difference from its meter, and the step its heat is moved to or from."""
        power_kw = priced.series(self, "power_kw")
        more_kw = float(power_kw[t] - self.metered_kw[t])
        unplanned = "expected without a plan" if priced.believed else "metered"
        draws = words.kw(float(power_kw[t]))
        if abs(more_kw) <= VISIBLE_KW:
            if power_kw[t] > VISIBLE_KW:
                yield f"The {self.title} draws {draws}, as {unplanned}."
            return
        word = "more" if more_kw > 0 else "less"
        does = f"draws {draws}" if power_kw[t] > VISIBLE_KW else "rests"
        text = f"The {self.title} {does}, {words.kw(abs(more_kw))} {word} than {unplanned}"
        other = self.exchanged(priced, t)
        if other is None:
            yield f"{text}: a kWh is worth {priced.worth(t)}."
            return
        now_ct, then_ct = self.heat_ct(priced, t), self.heat_ct(priced, other)
        if abs(now_ct - then_ct) <= SAME_CT:
            yield f"{text}; at {priced.clock(other)} heat would cost the same."
        else:
            yield (
                f"{text}: a kWh of heat costs {words.ct(now_ct)} and {words.ct(then_ct)} at "
                f"{priced.clock(other)}."
            )

    def heat_ct(self, priced: PricedPlan, t: int) -> float:
        """Cost of the last kWh of heat made beside the metered in step ``t`` [ct/kWh].

        Where less is made than metered, of the next one.
        """
        power_kw = float(priced.series(self, "power_kw")[t])
        more = power_kw < self.metered_kw[t]
        cop = marginal_cop(power_kw, float(self.cop[t]), self.max_power_kw, more=more)
        return float(priced.worth_ct[t]) / cop

    def exchanged(self, priced: PricedPlan, t: int) -> int | None:
        """The step with which ``t`` exchanges heat at the greatest difference in its cost.

        While the house is warmer than metered, heat made early and saved later could be moved
        slightly without leaving the band. So the plan does it only where it pays or costs nothing.
        """
        more_kw = priced.series(self, "power_kw") - self.metered_kw
        warm = priced.series(self, "heat_kwh") > VISIBLE_KWH
        sign = float(np.sign(more_kw[t]))
        # More now is saved later, less now was made before, as long as it stays warm in between.
        between = warm[t:] if sign > 0 else warm[:t][::-1]
        cold = np.flatnonzero(~between)
        reach = int(cold[0]) if cold.size else len(between)
        steps = range(t + 1, min(t + reach, len(warm) - 1) + 1) if sign > 0 else range(t - reach, t)
        opposite: list[int] = [u for u in steps if sign * more_kw[u] < -VISIBLE_KW]
        if not opposite:
            return None
        # Rounded, so that solver noise in prices does not decide; then the nearest step.
        return max(opposite, key=lambda u: (sign * round(self.heat_ct(priced, u), 6), -abs(u - t)))


@dataclass(frozen=True, kw_only=True)
class HeatSpec:
    """What is assumed of a house with a heat pump; its loss is fitted to its meter.

    ``time_constant_h``: in which a difference of temperature falls to 37 % [h]; ``warmer_k``: how
    much warmer than metered the house may be [K]; ``start_eur``: wear of a start [€];
    ``mass_share``: part of the capacity in a second node, 0 for one node.
    """

    time_constant_h: float = 48.0
    warmer_k: float = 1.0
    start_eur: float = 0.0
    mass_share: float = 0.0

    def __post_init__(self) -> None:
        limits = {"time_constant_h": 1e4, "warmer_k": 20.0, "start_eur": 1e3, "mass_share": 0.95}
        for field, most in limits.items():
            value = getattr(self, field)
            least = 1.0 if field == "time_constant_h" else 0.0
            if not least <= value <= most:
                raise InvalidSpec(
                    f"heat pump: {field} is {value}, allowed is {least:g} to {most:g}"
                )
        # A share too small for a second node is refused here, before a house is fitted.
        House(capacity_kwh_per_k=1.0, mass_share=self.mass_share)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatPump(SiteDevice):
    """A metered heat pump, planned on days that its meter and a thermometer cover completely.

    ``power_kw``: unplanned power above standby [kW], zero on other days, where its load is part of
    the base load; ``temperature_c``: outdoor temperature [°C]; ``metered``: steps of covered days.
    ``most_kw``: maximum power [kW] and ``loss``: loss of the house, known beforehand as from a
    nameplate and an energy certificate.
    """

    power_kw: Floats
    temperature_c: Floats
    metered: Bools
    most_kw: float
    loss: HeatLoss
    spec: HeatSpec
    unknown: ClassVar[Unknown] = "load"

    @classmethod
    def on_site(cls, view: SiteView, spec: HeatSpec) -> tuple[Self, ...]:
        """One per heat pump meter whose house can be fitted."""
        found = (cls._metered(view, name, spec) for name in view.meters("partial_usage"))
        return tuple(device for device in found if device is not None)

    @classmethod
    def _metered(cls, view: SiteView, name: str, spec: HeatSpec) -> Self | None:
        energy_kwh, temperature_c = view.energy_kwh(name), view.temperature_c
        metered = np.zeros(len(energy_kwh), dtype=np.bool_)
        for day in view.whole_days:
            metered[day] = np.isfinite(energy_kwh[day] + temperature_c[day]).all()
        power_kw = np.where(metered, energy_kwh, 0.0) / view.step_h
        most_kw = float(np.max(power_kw))
        if most_kw == 0:
            return None
        heat_kw = heat_of(power_kw, cop_outdoors(temperature_c), most_kw)
        days = [day for day in view.whole_days if metered[day].all()]
        loss = fitted_loss(
            np.array([heat_kw[day].sum() * view.step_h for day in days]),
            np.array([temperature_c[day].mean() for day in days]),
        )
        if loss is None:
            return None
        return cls(
            name=name,
            step_h=view.step_h,
            power_kw=np.where(power_kw > ON_SHARE * most_kw, power_kw, 0.0),
            temperature_c=temperature_c,
            metered=metered,
            most_kw=most_kw,
            loss=loss,
            spec=spec,
        )

    @staticmethod
    def why_not(view: SiteView) -> str:
        """Why a heat pump of this building cannot be planned."""
        if not np.isfinite(view.temperature_c).any():
            return "no outdoor temperature is recorded; build the database with --weather"
        return "its meter and the temperature show no heating to fit the house to"

    @property
    def house(self) -> House:
        """The house with the loss of its meter and the assumed time constant: C = H · τ."""
        return House(
            capacity_kwh_per_k=self.loss.kw_per_k * self.spec.time_constant_h,
            time_constant_h=self.spec.time_constant_h,
            mass_share=self.spec.mass_share,
        )

    @property
    def modelled(self) -> str:
        """Loss, capacity and band of the house."""
        return (
            f"{words.spoken(self.name)}: a house that loses {1000 * self.loss.kw_per_k:.0f} W/K "
            f"below {self.loss.limit_c:g} °C (fitted), time constant "
            f"{self.spec.time_constant_h:g} h, up to {self.spec.warmer_k:g} K warmer than metered "
            "(assumed)"
        )

    def used_kwh(self, where: slice) -> Floats:
        """As metered."""
        return self.power_kw[where] * self.step_h

    def to_learn(self, first: int) -> ToLearn:
        """Its metered energy, NaN on days not covered."""
        energy_kwh = np.where(self.metered, self.power_kw * self.step_h, np.nan)
        return ToLearn(what=self.name, energy_kwh=energy_kwh, least=0.0, model="load")

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """Metered until now, then forecast, in air as warm as in the last day at that hour."""
        if forecast_kw is None:
            return self
        power_kw, temperature_c = self.power_kw.copy(), self.temperature_c.copy()
        # Never above the nameplate, or no plan could follow the forecast.
        power_kw[now.ahead] = np.clip(forecast_kw, 0.0, self.most_kw)
        per_day = round(24 / self.step_h)
        first = max(now.step - per_day, 0)
        temperature_c[now.ahead] = np.resize(
            temperature_c[first : now.step], now.ahead.stop - now.ahead.start
        )
        return replace(self, power_kw=power_kw, temperature_c=temperature_c)

    def agent(self, frame: PlanFrame) -> HeatPumpAgent | None:
        """The house with the heat handed over; None where no meter covers it."""
        whole = frame.stretch.whole
        before = cast(HeatPumpAgent | None, frame.state.get(self.name))
        held = {} if before is None else before.stored_kwh()
        if not self.metered[whole].any() and not any(held.values()):
            return None
        house = self.house
        temperature_c = np.nan_to_num(self.temperature_c[whole], nan=self.loss.limit_c)
        return HeatPumpAgent(
            name=self.name,
            metered_kw=self.power_kw[whole],
            cop=cop_outdoors(temperature_c),
            max_power_kw=self.most_kw,
            house=house,
            warmer_k=self.spec.warmer_k,
            start_eur=self.spec.start_eur,
            beside_kwh=tuple(held.get(node, 0.0) for node in house.nodes),
            left_eur_per_kwh=(0.0,) * len(house.nodes),
            on=self._on_before(whole.start) if before is None else before.on,
        )

    def _on_before(self, step: int) -> bool:
        """Whether it ran as metered just before ``step``."""
        return step > 0 and bool(self.power_kw[step - 1] > 0)
