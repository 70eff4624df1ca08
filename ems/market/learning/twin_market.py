"""A market in which bidders practise: plants of a small system under the weather of measured homes.

Demand has the shape of the homes' load, each home counting alike, scaled to ``peak_kw``; sun that
of their roofs. No meter knows wind: it is drawn from a seed, as a logistic of a first-order
process with a memory of a day. Costs and sizes are the worked example's, assumed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ems.agents import BatteryAgent
from ems.errors import DataError
from ems.market.clearing import UniformPrice
from ems.market.learning.series import AuctionSeries, FlexibleLoad, Plant
from ems.market.orders import TICKS_PER_EUR_PER_MWH
from ems.site.meters import MeterData
from ems.types import Floats, Ints

HOURS_LEARNED = 8760
"""The first year of the series is practised on, the rest is kept for the score."""
PLANTS = (
    ("solar_farm_1", 60_000, 5.0, True),
    ("wind_farm_1", 40_000, 8.0, True),
    ("coal_plant_1", 50_000, 45.0, False),
    ("battery_1", 15_000, 55.0, False),
    ("gas_plant_1", 40_000, 65.0, False),
    ("gas_plant_2", 35_000, 75.0, False),
    ("oil_plant_1", 40_000, 120.0, False),
)
"""Name, capacity [kW], cost [€/MWh], whether renewable."""
STORE = BatteryAgent(
    name="store_1",
    capacity_kwh=4000.0,
    max_charge_kw=1000.0,
    max_discharge_kw=1000.0,
    round_trip_efficiency=0.85,
    initial_soc_kwh=0.0,
    final_soc_kwh=0.0,
    wear_eur_per_kwh=0.0,
    calendar_eur_per_kwh_a=0.0,
)
"""Small beside the plants, so that it hardly moves a price."""
LOADS = (
    FlexibleLoad(name="factory_1", need_kw=8000, most_kw=8000, worth=8000),
    FlexibleLoad(name="mall_1", need_kw=5000, most_kw=5000, worth=9000),
    FlexibleLoad(name="heat_pumps_1", need_kw=2000, most_kw=6000, worth=15_000, waiting=100),
    FlexibleLoad(name="cold_stores_1", need_kw=2000, most_kw=6000, worth=12_000, waiting=200),
)
"""The last two may wait."""


def twin_market(
    histories: Sequence[MeterData], *, peak_kw: int = 240_000, wind_seed: int = 0
) -> AuctionSeries:
    """Hourly auctions over the hours that all homes have, from a midnight on.

    Raises ``DataError`` for steps that are not hours, or if a year to learn from and four weeks to
    be scored on are not there.
    """
    if any(history.step_h != 1.0 for history in histories):
        raise DataError("twin_market: the homes must have hourly steps; build the database of 1 h")
    first = max(history.ts_utc[0] for history in histories)
    last = min(history.ts_utc[-1] for history in histories)
    midnight = (first + np.timedelta64(23, "h")).astype("datetime64[D]").astype("datetime64[s]")
    n_steps = int((last - midnight) / np.timedelta64(1, "h")) + 1
    if n_steps < HOURS_LEARNED + 4 * 168:
        raise DataError(
            f"twin_market: the homes have {max(n_steps, 0)} hours in common, must be at least "
            f"{HOURS_LEARNED + 4 * 168}: a year to learn from and four weeks for the score"
        )
    load = np.mean([_shape(_part(h, h.load_kwh, midnight, n_steps)) for h in histories], axis=0)
    roofs = [h for h in histories if np.nanmax(h.pv_kwh) > 0.0]
    if not roofs:
        raise DataError("twin_market: none of the homes has a roof; the market needs one for sun")
    sun = np.mean([_shape(_part(h, h.pv_kwh, midnight, n_steps)) for h in roofs], axis=0)
    weather = {"solar_farm_1": sun / sun.max(), "wind_farm_1": drawn_wind(n_steps, wind_seed)}
    steady = np.ones(n_steps)
    available = [np.rint(kw * weather.get(name, steady)) for name, kw, _, _ in PLANTS]
    return AuctionSeries(
        name="twin",
        start_utc=midnight,
        step_h=1.0,
        rule=UniformPrice(floor=0, cap=30_000),
        plants=tuple(
            Plant(name=name, cost=round(cost * TICKS_PER_EUR_PER_MWH), renewable=renewable)
            for name, _, cost, renewable in PLANTS
        ),
        available_kw=np.column_stack(available).astype(np.int64),
        must_serve_kw=_kw(load / load.max(), peak_kw),
        loads=LOADS,
        stores=(STORE,),
    )


def drawn_wind(n_steps: int, seed: int) -> Floats:
    """Share of its capacity that a wind farm has in each hour, in (0, 1), ``(n_steps,)``."""
    draw = np.random.default_rng(seed).normal(size=n_steps)
    memory = np.exp(-1.0 / 24.0)
    state = np.empty(n_steps)
    value = draw[0]
    for t in range(n_steps):
        value = memory * value + np.sqrt(1.0 - memory**2) * draw[t]
        state[t] = value
    return 1.0 / (1.0 + np.exp(-(1.5 * state - 0.8)))


def _part(history: MeterData, values: Floats, start: np.datetime64, n_steps: int) -> Floats:
    """The common hours; an unusable one takes the value of the day before."""
    at = int((start - history.ts_utc[0]) / np.timedelta64(1, "h"))
    part = values[at : at + n_steps].copy()
    for t in np.flatnonzero(~np.isfinite(part)):
        part[t] = part[t - 24] if t >= 24 else 0.0
    return part


def _shape(values: Floats) -> Floats:
    """Values by their mean, so that every home counts alike."""
    return values / max(float(values.mean()), 1e-9)


def _kw(share: Floats, peak_kw: int) -> Ints:
    return np.rint(peak_kw * share).astype(np.int64)
