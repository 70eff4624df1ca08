"""An electric hot-water tank as an agent: the worked example of docs/add_an_agent.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents.base import SLACK_KWH, Agent, breaks, check_range, differs, frozen_series
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class WaterHeaterAgent(Agent):
    """heat(t) = (1 − loss · Δt) · heat(t−1) + power(t) · Δt − drawn(t)   [kWh]

    ``drawn_kwh``: heat drawn as hot water in each step [kWh], shape ``(n_steps,)``.
    ``capacity_kwh``: usable heat of a full tank [kWh]; ``loss_per_h``: share lost in an hour [1/h].
    ``initial_kwh``: heat before the first step; at least ``final_kwh`` is left at the end [kWh].
    """

    drawn_kwh: Floats
    capacity_kwh: float = 6.0
    max_power_kw: float = 2.0
    loss_per_h: float = 0.01
    initial_kwh: float = 3.0
    final_kwh: float = 3.0
    kind: ClassVar[Kind] = "load"

    def __post_init__(self) -> None:
        frozen_series(self, "drawn_kwh", low=0.0)
        check_range(self, "max_power_kw", up=1e6)
        check_range(self, "loss_per_h", up=0.04)
        for field in ("initial_kwh", "final_kwh"):
            check_range(self, field, up=self.capacity_kwh)

    def contribute(self, block: Block) -> Contribution:
        """The rules, in the words of the equation; the bill is the grid's."""
        power_kw = block.variables("power_kw", up=self.max_power_kw)
        heat_kwh = block.variables("heat_kwh", up=self.capacity_kwh)
        kept_kwh = self._kept(block.horizon) * heat_kwh.before(self.initial_kwh)
        gained_kwh = block.horizon.energy_kwh(power_kw) - self.drawn_kwh
        block.require("heat", heat_kwh == kept_kwh + gained_kwh, "kWh")
        block.require("final_heat", heat_kwh[-1] >= self.final_kwh - SLACK_KWH, "kWh")
        return Contribution(
            net_load_kw=power_kw, series={"power_kw": power_kw, "heat_kwh": heat_kwh}
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The heat reached, and what will be drawn later."""
        heat_kwh = float(np.clip(plan.series["heat_kwh"][n_steps - 1], 0.0, self.capacity_kwh))
        return replace(self, initial_kwh=heat_kwh, drawn_kwh=self.drawn_kwh[n_steps:])

    def unplanned(self, horizon: Horizon) -> Plan:
        """A thermostat: whatever was drawn or lost is heated again at once."""
        power_kw, heat_kwh = np.zeros(horizon.n_steps), self.initial_kwh
        for t in horizon.steps:
            cold_kwh = self._kept(horizon) * heat_kwh - self.drawn_kwh[t]
            power_kw[t] = min(self.max_power_kw, (self.capacity_kwh - cold_kwh) / horizon.step_h)
            heat_kwh = cold_kwh + horizon.energy_kwh(float(power_kw[t]))
        series = {"power_kw": power_kw, "heat_kwh": self._heat_kwh(horizon, power_kw)}
        return Plan(agent=self.name, net_load_kw=power_kw, series=series)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Every rule again, from the numbers alone."""
        power_kw, heat_kwh = plan.series["power_kw"], plan.series["heat_kwh"]
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, power_kw)
        yield from breaks(self.name, "power_kw", power_kw, 0.0, self.max_power_kw)
        yield from differs(self.name, "heat_kwh", heat_kwh, self._heat_kwh(horizon, power_kw))
        yield from breaks(self.name, "heat_kwh", heat_kwh, 0.0, self.capacity_kwh)
        yield from breaks(self.name, "final_heat", heat_kwh[-1:], self.final_kwh, np.inf)

    def _kept(self, horizon: Horizon) -> float:
        return 1.0 - self.loss_per_h * horizon.step_h

    def _heat_kwh(self, horizon: Horizon, power_kw: Floats) -> Floats:
        heat_kwh = [self.initial_kwh]
        for gained_kwh in horizon.energy_kwh(power_kw) - self.drawn_kwh:
            heat_kwh.append(self._kept(horizon) * heat_kwh[-1] + gained_kwh)
        return np.array(heat_kwh[1:])
