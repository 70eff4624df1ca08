"""Day-ahead prices of the German kind under the twin's own sun and wind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from ems.twin.clock import QUARTERS_PER_HOUR, TwinClock
from ems.twin.sky import Sky
from ems.twin.streams import red_noise, stream
from ems.types import Floats

YEAR_MEAN_EUR_PER_MWH: Mapping[int, float] = MappingProxyType(
    {2014: 31.63, 2015: 31.63, 2016: 28.98, 2017: 34.19, 2018: 44.47}
)
"""Means of the German day-ahead market; December 2014 is assumed to be like 2015."""

# Mean price of each local hour 2015–2018, relative to the mean of all hours.
WORKING_HOURS = (
    0.82, 0.77, 0.73, 0.71, 0.73, 0.81, 1.05, 1.29, 1.35, 1.27, 1.20, 1.16,
    1.08, 1.04, 1.03, 1.06, 1.11, 1.26, 1.34, 1.36, 1.24, 1.12, 1.04, 0.89,
)  # fmt: skip
FREE_HOURS = (
    0.78, 0.70, 0.66, 0.64, 0.64, 0.64, 0.64, 0.71, 0.79, 0.83, 0.79, 0.79,
    0.73, 0.64, 0.59, 0.63, 0.71, 0.89, 1.04, 1.08, 1.02, 0.95, 0.94, 0.80,
)  # fmt: skip

WIND_SPREAD, WIND_MEMORY_H = 0.25, 24.0
SLOW_SPREAD, SLOW_MEMORY_DAYS = 0.12, 30.0
HOUR_SPREAD, HOUR_MEMORY_H = 0.05, 3.0
SUN_EFFECT = 0.30
CHEAP_SHARE = 0.06
NEGATIVE_SHARE = (0.0115, 0.0165)

ZONE_SPLIT_UTC = np.datetime64("2018-09-30T22:00:00", "s")


def day_ahead_prices(seed: int, clock: TwinClock, sky: Sky) -> pd.DataFrame:
    """Hourly prices: columns ``zone, ts_utc, step_h, eur_per_mwh``.

    relative price = hours of the day type − sun − wind + noise. Where a year is cheapest the
    supply curve is steeper, so that a drawn share of its hours (about 100 to 145) is negative;
    then each year is scaled to its mean in ``YEAR_MEAN_EUR_PER_MWH``.
    """
    ts_utc = clock.ts_utc[::QUARTERS_PER_HOUR]
    linear = _day_shape(clock) - _sun(sky) + _noise(seed, len(ts_utc))
    share = stream(seed, "prices", "negative share")
    year = ts_utc.astype("datetime64[Y]").astype(int) + 1970
    price = np.empty(len(ts_utc))
    for each in np.unique(year):
        relative = _with_steep_end(linear[year == each], share.uniform(*NEGATIVE_SHARE))
        price[year == each] = relative * (YEAR_MEAN_EUR_PER_MWH[int(each)] / relative.mean())
    return pd.DataFrame(
        {
            "zone": np.where(ts_utc < ZONE_SPLIT_UTC, "DE-AT-LU", "DE-LU"),
            "ts_utc": ts_utc,
            "step_h": 1.0,
            "eur_per_mwh": np.round(price, 2),
        }
    )


def _day_shape(clock: TwinClock) -> Floats:
    """Relative price of each hour by local hour and day type."""
    shapes = np.array([WORKING_HOURS, FREE_HOURS])
    by_step: Floats = shapes[clock.step_is_free.astype(np.int64), clock.hour]
    return by_step[::QUARTERS_PER_HOUR]


def _sun(sky: Sky) -> Floats:
    """How much the sun of this hour lowers the price against the mean sky."""
    ghi_w = sky.ghi_w_per_m2.reshape(-1, QUARTERS_PER_HOUR).mean(axis=1)
    index = sky.clear_sky_index.reshape(-1, QUARTERS_PER_HOUR).mean(axis=1)
    clear_kw = ghi_w / index / 1000.0
    sun: Floats = SUN_EFFECT * clear_kw * (index - index.mean()) / index.mean()
    return sun


def _noise(seed: int, n: int) -> Floats:
    """Wind, fuels and the rest, each with its own memory."""
    wind = red_noise(stream(seed, "prices", "wind"), n, WIND_MEMORY_H)
    slow = red_noise(stream(seed, "prices", "slow"), n, 24 * SLOW_MEMORY_DAYS)
    hour = red_noise(stream(seed, "prices", "hour"), n, HOUR_MEMORY_H)
    return WIND_SPREAD * wind + SLOW_SPREAD * slow + HOUR_SPREAD * hour


def _with_steep_end(linear: Floats, negative_share: float) -> Floats:
    """The same prices, stretched below their 6 % quantile so that ``negative_share`` is below 0.

    y = k · (x − z) / (k − z) for x < k, with k the knee and z the quantile that becomes zero.
    """
    zero, knee = np.quantile(linear, [negative_share, CHEAP_SHARE])
    stretched: Floats = np.where(linear < knee, knee * (linear - zero) / (knee - zero), linear)
    return stretched
