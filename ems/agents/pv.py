"""Photovoltaics: generation as metered, with curtailment where it is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents import words
from ems.agents.base import Agent, as_steps, breaks, differs, frozen_series
from ems.agents.on_site import Instant, PlanFrame, SiteDevice, SiteView, ToLearn, Unknown
from ems.agents.priced import VISIBLE_KW, PricedPlan
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Contribution, Kind, Plan
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class PVAgent(Agent):
    """Generation that feeds the bus.

    ``available_kw``: mean generation of each step [kW], shape ``(n_steps,)``, ≥ 0.
    ``curtailable``: whether generation may be curtailed; off by default, as metered.
    """

    name: str = "pv"
    available_kw: Floats
    curtailable: bool = False
    kind: ClassVar[Kind] = "generation"
    colour: ClassVar[str | None] = "#F0E442"
    layer: ClassVar[int] = 0

    def __post_init__(self) -> None:
        frozen_series(self, "available_kw", low=0.0)

    @property
    def flow_labels(self) -> tuple[str, str]:
        """Generation, and standby draw where the meter counts it."""
        return self.title, f"{self.title} (negative)"

    @property
    def fixed(self) -> bool:
        """Whether nothing is left to decide."""
        return not self.curtailable

    @property
    def foreseen_kw(self) -> Floats:
        """Available generation, as negative load."""
        return -self.available_kw

    def in_future(self, apart_kw: Floats) -> Self:
        """Generation plus the deviation, at least zero."""
        return replace(self, available_kw=np.maximum(self.available_kw + apart_kw, 0.0))

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """All generation, unless curtailable."""
        available_kw = as_steps(self, "available_kw", horizon)
        return np.zeros(horizon.n_steps) if self.curtailable else available_kw

    def contribute(self, block: Block) -> Contribution:
        """Feed generation = available − curtailed, with 0 ≤ curtailed ≤ available [kW]."""
        available_kw = as_steps(self, "available_kw", block.horizon)
        if not self.curtailable:
            return Contribution(net_load_kw=-available_kw, series={"generation_kw": available_kw})
        generation_kw = block.variables("generation_kw", up=available_kw)
        return Contribution(
            net_load_kw=-generation_kw,
            effort_kw=available_kw - generation_kw,
            series={"generation_kw": generation_kw, "curtailed_kw": available_kw - generation_kw},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The rest of the series."""
        return replace(self, available_kw=self.available_kw[n_steps:])

    def unplanned(self, horizon: Horizon) -> Plan:
        """All available generation."""
        available_kw = as_steps(self, "available_kw", horizon)
        return Plan(
            agent=self.name, net_load_kw=-available_kw, series={"generation_kw": available_kw}
        )

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """All available generation; where the plan curtails, no more than planned."""
        free = self.unplanned(horizon)
        if told is None or "curtailed_kw" not in told.series:
            return free
        wanted = told.window(0, horizon.n_steps).series
        over_kw = np.maximum(self.available_kw - wanted["generation_kw"], 0.0)
        # Only where the plan curtails on purpose: a forecast that was too low must not cost real
        # sun.
        return self.curtailed(free, np.where(wanted["curtailed_kw"] > TOLERANCE, over_kw, 0.0))

    def curtailed(self, plan: Plan, surplus_kw: Floats) -> Plan:
        """Less generation, if curtailable."""
        if not self.curtailable:
            return plan
        cut_kw = np.minimum(surplus_kw, -plan.net_load_kw)
        generation_kw = -plan.net_load_kw - cut_kw
        series = {"generation_kw": generation_kw, "curtailed_kw": self.available_kw - generation_kw}
        return Plan(agent=self.name, net_load_kw=-generation_kw, series=series)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Generation stays within what is available, and equals it unless curtailable."""
        available_kw = self.available_kw
        low = 0.0 if self.curtailable else available_kw
        yield from breaks(self.name, "generation_kw", -plan.net_load_kw, low, available_kw)
        yield from differs(
            self.name, "generation_kw", plan.series["generation_kw"], -plan.net_load_kw
        )
        if "curtailed_kw" in plan.series:
            lost_kw = available_kw - plan.series["generation_kw"]
            yield from differs(self.name, "curtailed_kw", plan.series["curtailed_kw"], lost_kw)

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """What is curtailed, and why."""
        lost_kw = float(priced.series(self, "curtailed_kw")[t])
        if lost_kw <= VISIBLE_KW:
            return
        text = f"{words.kw(lost_kw)} of the sun are left unused"
        if -priced.grid_kw[t] >= priced.max_export_kw[t] - VISIBLE_KW:
            yield f"{text}: no more may be sold."
        elif priced.export_ct(t) < 0:
            yield f"{text}: to sell them would cost {words.ct(-priced.export_ct(t))} a kWh."
        else:
            yield f"{text}: one kWh more would be worth {words.ct(float(priced.worth_ct[t]))}."


@dataclass(frozen=True, kw_only=True, eq=False)
class Roof(SiteDevice):
    """All generation on a building's bus: ``generated_kwh`` of each step [kWh]."""

    name: str = "pv"
    generated_kwh: Floats
    curtailable: bool
    unknown: ClassVar[Unknown] = "pv"

    @classmethod
    def on_site(cls, view: SiteView, *, curtailable: bool) -> tuple[Self, ...]:
        """The sum of all PV meters."""
        meters = [view.energy_kwh(name) for name in view.meters("pv")]
        if not meters:
            return ()
        generated_kwh = np.zeros(len(view.hour))
        for energy_kwh in meters:
            generated_kwh = generated_kwh + energy_kwh
        return (cls(step_h=view.step_h, generated_kwh=generated_kwh, curtailable=curtailable),)

    def to_learn(self, first: int) -> ToLearn | None:
        """The generation, once there has been any."""
        if not np.nanmax(self.generated_kwh[:first], initial=0.0) > 0:
            return None
        return ToLearn(what="PV", energy_kwh=self.generated_kwh, least=0.0, model="pv", hedged=True)

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """Metered until now, then as forecast."""
        if forecast_kw is None:
            return self
        generated_kwh = self.generated_kwh.copy()
        generated_kwh[now.ahead] = forecast_kw * self.step_h
        return replace(self, generated_kwh=generated_kwh)

    def agent(self, frame: PlanFrame) -> PVAgent | None:
        """What it generates, None in the dark."""
        available_kw = frame.horizon.power_kw(self.generated_kwh[frame.stretch.whole])
        if not np.any(available_kw > 0):
            return None
        return PVAgent(name=self.name, available_kw=available_kw, curtailable=self.curtailable)
