"""An electric hot-water tank, whole: the worked example of docs/add_an_agent.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents import words
from ems.agents.base import SLACK_KWH, Agent, breaks, check_range, differs, frozen_series
from ems.agents.on_site import Instant, PlanFrame, SiteDevice, SiteView, ToLearn, Unknown
from ems.agents.priced import VISIBLE_KW, PricedPlan
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class WaterHeaterAgent(Agent):
    """soc(t) = (1 − loss · Δt) · soc(t−1) + power(t) · Δt − drawn(t)   [kWh of heat]

    ``drawn_kwh``: heat drawn as hot water in each step [kWh], shape ``(n_steps,)``.
    ``capacity_kwh``: usable heat of a full tank [kWh]; ``loss_per_h``: share lost in an hour [1/h].
    ``initial_soc_kwh``: heat before the first step; at the end ``final_soc_kwh`` is left [kWh], and
    each kWh is worth ``left_eur_per_kwh`` [€/kWh].
    """

    drawn_kwh: Floats
    capacity_kwh: float = 6.0
    max_power_kw: float = 2.0
    loss_per_h: float = 0.01
    initial_soc_kwh: float = 3.0
    final_soc_kwh: float = 3.0
    left_eur_per_kwh: float = 0.0
    kind: ClassVar[Kind] = "load"
    colour: ClassVar[str | None] = "#E69F00"

    def __post_init__(self) -> None:
        frozen_series(self, "drawn_kwh", low=0.0)
        check_range(self, "max_power_kw", up=1e6)
        check_range(self, "loss_per_h", up=0.04)
        for field in ("initial_soc_kwh", "final_soc_kwh"):
            check_range(self, field, up=self.capacity_kwh)

    # --- the plan --------------------------------------------------------------------------------

    def contribute(self, block: Block) -> Contribution:
        """The rules, in the words of the equation; the bill is the grid's."""
        power_kw = block.variables("power_kw", up=self.max_power_kw)
        soc_kwh = block.variables("soc_kwh", up=self.capacity_kwh)
        kept_kwh = self._kept(block.horizon) * soc_kwh.before(self.initial_soc_kwh)
        gained_kwh = block.horizon.energy_kwh(power_kw) - self.drawn_kwh
        block.require("heat", soc_kwh == kept_kwh + gained_kwh, "kWh")
        block.require("final_heat", soc_kwh[-1] >= self.final_soc_kwh - SLACK_KWH, "kWh")
        return Contribution(
            net_load_kw=power_kw,
            cost_eur=-self.left_eur_per_kwh * soc_kwh[-1],
            series={"power_kw": power_kw, "soc_kwh": soc_kwh},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The heat reached, and what will be drawn later."""
        soc_kwh = float(np.clip(plan.series["soc_kwh"][n_steps - 1], 0.0, self.capacity_kwh))
        return replace(self, initial_soc_kwh=soc_kwh, drawn_kwh=self.drawn_kwh[n_steps:])

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Every rule again, from the numbers alone."""
        power_kw, soc_kwh = plan.series["power_kw"], plan.series["soc_kwh"]
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, power_kw)
        yield from breaks(self.name, "power_kw", power_kw, 0.0, self.max_power_kw)
        yield from differs(self.name, "soc_kwh", soc_kwh, self._soc_kwh(horizon, power_kw))
        yield from breaks(self.name, "soc_kwh", soc_kwh, 0.0, self.capacity_kwh)
        yield from breaks(self.name, "final_heat", soc_kwh[-1:], self.final_soc_kwh, np.inf)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Minus the value of the heat that is left."""
        return {"left": -self.left_eur_per_kwh * float(plan.series["soc_kwh"][-1])}

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """The heat in the tank, by the rule that balances it."""
        return {"heat": self.initial_soc_kwh if plan is None else float(plan.series["soc_kwh"][-1])}

    def valued(self, left_eur_per_kwh: Mapping[str, float]) -> Self:
        """Heat left at the end has this value; it may end empty."""
        return replace(self, final_soc_kwh=0.0, left_eur_per_kwh=left_eur_per_kwh["heat"])

    # --- without a plan, and with one that was made on a forecast --------------------------------

    def unplanned(self, horizon: Horizon) -> Plan:
        """A thermostat: whatever was drawn or lost is heated again at once."""
        return self._run(horizon, np.full(horizon.n_steps, self.max_power_kw))

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, but the tank is never too cold for the water that is really drawn."""
        wanted_kw = np.full(horizon.n_steps, self.max_power_kw)
        return self._run(horizon, wanted_kw if told is None else told.series["power_kw"])

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """With the real heat, and no more at the end than can still be reached."""
        here = replace(self, initial_soc_kwh=real.initial_soc_kwh)
        reached_kwh = float(here.unplanned(horizon).series["soc_kwh"][-1])
        return replace(here, final_soc_kwh=min(self.final_soc_kwh, reached_kwh))

    def without_targets(self) -> Self:
        """It may end empty."""
        return replace(self, final_soc_kwh=0.0)

    def _run(self, horizon: Horizon, wanted_kw: Floats) -> Plan:
        """``wanted_kw`` as far as there is room, and never too little for what is drawn next."""
        most_kwh, kept = horizon.energy_kwh(self.max_power_kw), self._kept(horizon)
        needed_kwh = np.zeros(horizon.n_steps)  # at the end of each step, for those behind it
        for t in range(horizon.n_steps - 1, 0, -1):
            owed_kwh = needed_kwh[t] + self.drawn_kwh[t] - most_kwh
            needed_kwh[t - 1] = max(0.0, owed_kwh / kept)
        power_kw, soc_kwh = np.zeros(horizon.n_steps), self.initial_soc_kwh
        for t in horizon.steps:
            cold_kwh = kept * soc_kwh - float(self.drawn_kwh[t])
            least_kw = horizon.power_kw(needed_kwh[t] - cold_kwh)
            room_kw = (self.capacity_kwh - cold_kwh) / horizon.step_h
            power_kw[t] = min(max(wanted_kw[t], least_kw, 0.0), room_kw, self.max_power_kw)
            soc_kwh = cold_kwh + horizon.energy_kwh(float(power_kw[t]))
        series = {"power_kw": power_kw, "soc_kwh": self._soc_kwh(horizon, power_kw)}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def _kept(self, horizon: Horizon) -> float:
        return 1.0 - self.loss_per_h * horizon.step_h

    def _soc_kwh(self, horizon: Horizon, power_kw: Floats) -> Floats:
        soc_kwh = [self.initial_soc_kwh]
        for gained_kwh in horizon.energy_kwh(power_kw) - self.drawn_kwh:
            soc_kwh.append(self._kept(horizon) * soc_kwh[-1] + gained_kwh)
        return np.array(soc_kwh[1:])

    # --- what it says of itself ------------------------------------------------------------------

    @property
    def held_kwh(self) -> float:
        """The heat before the first step [kWh]."""
        return self.initial_soc_kwh

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """How much it heats, from what, and what a kWh is worth while it does."""
        power_kw = float(priced.series(self, "power_kw")[t])
        if power_kw > VISIBLE_KW:
            does = f"heats with {words.kw(power_kw)}{priced.source(self, t)}"
            held = words.kwh(float(priced.series(self, "soc_kwh")[t]))
            yield f"The {self.title} {does} to {held}: a kWh is worth {priced.worth(t)}."


# --- in a building -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class WaterHeater(SiteDevice):
    """A tank behind a meter of its own: what a thermostat made it draw is what was drawn or lost.

    ``metered_kwh``: energy of each step [kWh]; ``max_power_kw``: the most it ever drew [kW].
    """

    metered_kwh: Floats
    max_power_kw: float
    unknown: ClassVar[Unknown] = "load"

    @classmethod
    def on_site(cls, view: SiteView) -> tuple[Self, ...]:
        """One for each meter that is called so."""
        meters = [name for name in view.meters("fixed") if name.startswith("water_heater")]
        known = {name: np.nan_to_num(view.energy_kwh(name)) for name in meters}
        return tuple(
            cls(
                name=name,
                step_h=view.step_h,
                metered_kwh=metered_kwh,
                max_power_kw=float(np.max(metered_kwh)) / view.step_h,
            )
            for name, metered_kwh in known.items()
        )

    def used_kwh(self, where: slice) -> Floats:
        """As metered: so much is taken out of the base load."""
        return self.metered_kwh[where]

    def to_learn(self, first: int) -> ToLearn:
        """How much hot water is drawn at which hour."""
        return ToLearn(what=self.name, energy_kwh=self.metered_kwh, least=0.0, model="load")

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """Metered until now, then as forecast."""
        if forecast_kw is None:
            return self
        metered_kwh = self.metered_kwh.copy()
        metered_kwh[now.ahead] = np.clip(forecast_kw, 0.0, self.max_power_kw) * self.step_h
        return replace(self, metered_kwh=metered_kwh)

    def agent(self, frame: PlanFrame) -> WaterHeaterAgent:
        """Full at first and in the end, or with the heat that the day before left."""
        full_kwh, before = WaterHeaterAgent.capacity_kwh, frame.state.get(self.name)
        return WaterHeaterAgent(
            name=self.name,
            drawn_kwh=self.metered_kwh[frame.stretch.whole],
            max_power_kw=self.max_power_kw,
            loss_per_h=0.0,
            initial_soc_kwh=full_kwh if before is None else before.stored_kwh()["heat"],
            final_soc_kwh=full_kwh,
        )
