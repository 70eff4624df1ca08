"""What a building is given besides its meters, and how free the planner is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ems.agents import BatteryAgent, EVSpec, GridAgent, HeatSpec
from ems.economics.tariff import DemandPeriod, Tariff
from ems.errors import InvalidSpec

__all__ = ["Assets", "CrossFlow", "DemandPeriod", "EVSpec"]

CrossFlow = Literal["booked", "absorbed"]
MOST_PV_SCALE = 100.0
"""A larger multiple of the metered sun is a typing error."""


@dataclass(frozen=True, kw_only=True)
class Assets:
    """What is planned besides the metered devices, and how free the planner is.

    ``battery``, ``ev``: None leaves them out; a metered EV then stays in the base load. A car that
    no meter saw is assumed only if ``ev`` says so.
    ``demand_period``: what a demand charge is paid once for, a calendar ``month`` or ``year``.
    ``cross_flow``: what import and export counted in the same step is ``booked`` in every mode, or
    ``absorbed`` by a battery in every mode that has one: the two bounds of what is true.
    ``appliances``: whether dishwasher, washing machine and heat pump may be moved.
    ``pv_scale``: generation behind the import meter, as a multiple of the metered (assumed); its
    series is the metered one, scaled, and what both registers counted shrinks with less sun.
    ``heat``: what is assumed of a house with a metered heat pump.
    ``shift_discomfort_eur_per_h``: discomfort of moving an appliance's start [€/h] (assumed);
    steers the plan, never part of the bill.
    """

    battery: BatteryAgent | None = field(default_factory=BatteryAgent)
    ev: EVSpec | None = field(default_factory=EVSpec)
    appliances: bool = True
    grid: GridAgent = field(default_factory=GridAgent)
    demand_period: DemandPeriod = "month"
    cross_flow: CrossFlow = "booked"
    curtailable_pv: bool = False
    one_meter: bool = False
    heat: HeatSpec = field(default_factory=HeatSpec)
    shift_discomfort_eur_per_h: float = 0.02
    pv_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.shift_discomfort_eur_per_h < np.inf:
            raise InvalidSpec(
                "assets: shift_discomfort_eur_per_h is "
                f"{self.shift_discomfort_eur_per_h}, allowed is >= 0"
            )
        if not 0 <= self.pv_scale <= MOST_PV_SCALE:
            raise InvalidSpec(
                f"assets: pv_scale is {self.pv_scale}, allowed is 0 to {MOST_PV_SCALE:g}"
            )

    def under(self, tariff: Tariff) -> Assets:
        """The same with the demand charge of ``tariff``, if it has one.

        Raises ``InvalidSpec`` if another demand charge was given.
        """
        charge, period = tariff.demand_charge_eur_per_kw, tariff.demand_period
        given = self.grid.demand_charge_eur_per_kw
        if charge == 0:
            return self
        if given > 0 and (given, self.demand_period) != (charge, period):
            raise InvalidSpec(
                f"demand_charge_eur_per_kw is {given:g} a {self.demand_period}, but the tariff "
                f"{tariff.name} has {charge:g} a {period}: give one"
            )
        grid = replace(self.grid, demand_charge_eur_per_kw=charge)
        return replace(self, grid=grid, demand_period=period)
