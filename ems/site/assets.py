"""What a building is given, and how free the planner is with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ems.agents import BatteryAgent, GridAgent
from ems.errors import InvalidSpec

EvStrategy = Literal["free", "three_phase"]


@dataclass(frozen=True, kw_only=True)
class EVSpec:
    """The car, and for a building without a metered one how it is assumed to be used.

    ``must_be_full_by_hour``: local hour by which a session must be finished [h].
    ``arrival_hour``, ``trip_kwh``: assumed daily arrival [h] and energy driven, at the battery
    [kWh], where no EV is metered; a metered car arrives when it was metered to charge, charges
    what it was metered to charge, and stays plugged in until its deadline (assumed).
    ``max_charge_kw``: assumed wallbox [kW]; a metered car keeps its own charger.
    """

    capacity_kwh: float = 60.0
    max_charge_kw: float = 11.0
    efficiency: float = 0.92
    must_be_full_by_hour: int = 7
    arrival_hour: int = 18
    trip_kwh: float = 8.0
    max_discharge_kw: float = 0.0
    wear_eur_per_kwh: float = 0.0
    strategy: EvStrategy = "free"

    def __post_init__(self) -> None:
        for name in ("must_be_full_by_hour", "arrival_hour"):
            if not 0 <= getattr(self, name) <= 23:
                raise InvalidSpec(f"ev: {name} is {getattr(self, name)}, allowed is 0 to 23")
        if self.arrival_hour == self.must_be_full_by_hour:
            raise InvalidSpec(
                f"ev: arrival_hour and must_be_full_by_hour are both {self.arrival_hour}, "
                "they must differ"
            )
        for name in ("max_charge_kw", "max_discharge_kw", "wear_eur_per_kwh"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidSpec(f"ev: {name} is {getattr(self, name)}, allowed is >= 0")
        if not 0 < self.capacity_kwh < np.inf:
            raise InvalidSpec(f"ev: capacity_kwh is {self.capacity_kwh}, allowed is > 0")
        if not 0 < self.efficiency <= 1:
            raise InvalidSpec(f"ev: efficiency is {self.efficiency}, allowed is 0 < x <= 1")
        if not 0 <= self.trip_kwh <= self.capacity_kwh:
            raise InvalidSpec(
                f"ev: trip_kwh is {self.trip_kwh}, allowed is 0 to the capacity {self.capacity_kwh}"
            )


@dataclass(frozen=True, kw_only=True)
class Assets:
    """What is planned besides the meters' own devices, and how free the planner is.

    ``battery``, ``ev``: None leaves them out; a metered EV then stays part of the base load.
    ``appliances``: whether dishwasher, washing machine and heat pump may be moved.
    ``heat_shift_h``: how much earlier or later than metered heat may be made [h] (assumed).
    ``shift_discomfort_eur_per_h``: what moving an appliance's start costs in comfort [€/h]
    (assumed); it steers the plan and is never part of the bill.
    """

    battery: BatteryAgent | None = field(default_factory=BatteryAgent)
    ev: EVSpec | None = field(default_factory=EVSpec)
    appliances: bool = True
    grid: GridAgent = field(default_factory=GridAgent)
    curtailable_pv: bool = False
    one_meter: bool = False
    heat_shift_h: float = 2.0
    shift_discomfort_eur_per_h: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.heat_shift_h <= 24:
            raise InvalidSpec(f"assets: heat_shift_h is {self.heat_shift_h}, allowed is 0 to 24")
        if not 0 <= self.shift_discomfort_eur_per_h < np.inf:
            raise InvalidSpec(
                "assets: shift_discomfort_eur_per_h is "
                f"{self.shift_discomfort_eur_per_h}, allowed is >= 0"
            )
