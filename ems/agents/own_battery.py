"""A battery that is already there: it does what it did, in every mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents.base_load import BaseLoadAgent
from ems.agents.on_site import Instant, PlanFrame, SiteDevice, SiteView, ToLearn, Unknown
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnBattery(SiteDevice):
    """The metered battery of a building: ``drawn_kwh``, charge less discharge of each step [kWh].

    Nothing plans it, so that its worth and that of a planned one stay apart. Its losses count as
    demand.
    """

    name: str = "own_battery"
    drawn_kwh: Floats
    unknown: ClassVar[Unknown] = "load"

    @classmethod
    def on_site(cls, view: SiteView) -> tuple[Self, ...]:
        """The sum of all metered batteries."""
        charged, given = view.meters_of("charge"), view.meters_of("discharge")
        if not charged:
            return ()
        drawn_kwh = np.sum([view.energy_kwh(name) for name in charged], axis=0)
        drawn_kwh = drawn_kwh - np.sum([view.energy_kwh(name) for name in given], axis=0)
        return (cls(step_h=view.step_h, drawn_kwh=drawn_kwh),)

    def to_learn(self, first: int) -> ToLearn:
        """What it draws, as a load that may be negative."""
        return ToLearn(what="own battery", energy_kwh=self.drawn_kwh, least=-np.inf, model="load")

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """Metered until now, then as forecast."""
        if forecast_kw is None:
            return self
        drawn_kwh = self.drawn_kwh.copy()
        drawn_kwh[now.ahead] = forecast_kw * self.step_h
        return replace(self, drawn_kwh=drawn_kwh)

    def agent(self, frame: PlanFrame) -> BaseLoadAgent:
        """A load that is sometimes negative."""
        drawn_kw = frame.horizon.power_kw(self.drawn_kwh[frame.stretch.whole])
        return BaseLoadAgent(name=self.name, load_kw=drawn_kw)
