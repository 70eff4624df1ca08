"""Small markets that the tests of learning share."""

from __future__ import annotations

import numpy as np

from ems.agents import BatteryAgent
from ems.market.clearing import UniformPrice
from ems.market.learning.series import AuctionSeries, FlexibleLoad, Plant

RULE = UniformPrice(floor=0, cap=20_000)
PLANTS = (
    ("solar_farm_1", 30, 25, True),
    ("wind_farm_1", 25, 30, True),
    ("coal_plant_1", 50, 45, False),
    ("battery_1", 15, 55, False),
    ("gas_plant_1", 40, 65, False),
    ("gas_plant_2", 35, 75, False),
)
LOADS = (("factory_1", 8, 80), ("mall_1", 5, 90), ("battery_2", 10, 40))


def load(name: str, mw: int, worth: int) -> FlexibleLoad:
    return FlexibleLoad(name=name, need_kw=1000 * mw, most_kw=1000 * mw, worth=100 * worth)


def worked(demand_mw: tuple[int, ...], step_h: float = 1.0) -> AuctionSeries:
    """The worked example, one auction for each demand."""
    n = len(demand_mw)
    return AuctionSeries(
        name="worked_example",
        start_utc=np.datetime64("2016-01-04T00:00"),
        step_h=step_h,
        rule=RULE,
        plants=tuple(Plant(name=p[0], cost=100 * p[2], renewable=p[3]) for p in PLANTS),
        available_kw=np.tile([1000 * p[1] for p in PLANTS], (n, 1)),
        must_serve_kw=1000 * (np.array(demand_mw) - 13),
        loads=tuple(load(*row) for row in LOADS),
    )


def arbitrage(n_days: int = 4, step_h: float = 1.0) -> AuctionSeries:
    """A small store and a load that may wait, beside plants that set 20 by night and 60 by day."""
    n = round(n_days * 24 / step_h)
    hour = (np.arange(n) * step_h) % 24
    return AuctionSeries(
        name="arbitrage",
        start_utc=np.datetime64("2016-01-04T00:00"),
        step_h=step_h,
        rule=RULE,
        plants=(Plant(name="base", cost=2000), Plant(name="peaker", cost=6000)),
        available_kw=np.tile([60_000, 60_000], (n, 1)),
        must_serve_kw=np.where((hour >= 8) & (hour < 20), 80_000, 30_000),
        loads=(FlexibleLoad(name="flexible", need_kw=500, most_kw=2000, worth=10_000, waiting=10),),
        stores=(
            BatteryAgent(
                name="store",
                capacity_kwh=4000.0,
                max_charge_kw=1000.0,
                max_discharge_kw=1000.0,
                round_trip_efficiency=0.81,
                initial_soc_kwh=0.0,
                final_soc_kwh=0.0,
                wear_eur_per_kwh=0.0,
                calendar_eur_per_kwh_a=0.0,
            ),
        ),
    )
