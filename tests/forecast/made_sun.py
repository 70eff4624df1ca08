"""Made generation of one roof under clouds whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ems.forecast.clear_sky import Sun, plane_kw_per_m2
from ems.forecast.series import Series
from ems.site.place import KONSTANZ, Place
from ems.types import Floats

ZONE = "Europe/Berlin"


def roof_kw(sun: Sun, tilt_deg: float, azimuth_deg: float, peak_kw: float) -> Floats:
    """Generation of a roof under a cloudless sky [kW]."""
    return peak_kw * plane_kw_per_m2(sun, tilt_deg, azimuth_deg)


def clouds(n: int, steps_a_day: int, seed: int) -> Floats:
    """A clear-sky index in (0.1, 1), mostly clear or dull, whose weather lasts about a day."""
    rng = np.random.default_rng(seed)
    memory = np.exp(-2.0 / steps_a_day)
    state = np.empty(n)
    state[0] = rng.standard_normal()
    shocks = np.sqrt(1.0 - memory**2) * rng.standard_normal(n)
    for t in range(1, n):
        state[t] = memory * state[t - 1] + shocks[t]
    return 0.1 + 0.9 / (1.0 + np.exp(-0.8 - 2.0 * state))


def sunny(
    n_days: int,
    *,
    place: Place = KONSTANZ,
    first: str = "2016-02-01",
    step_h: float = 1.0,
    seed: int = 0,
    tilt_deg: float = 30.0,
    azimuth_deg: float = 180.0,
    peak_kw: float = 5.0,
    cloudy: bool = True,
) -> Series:
    """Generation [kW] over ``n_days`` local days, with the weather that goes with it."""
    begin = pd.Timestamp(first, tz=ZONE)
    end = begin + pd.DateOffset(days=n_days)
    local = pd.date_range(begin, end, freq=pd.Timedelta(hours=step_h), inclusive="left")
    ts_utc = np.asarray(local.tz_convert("UTC").tz_localize(None), dtype="datetime64[s]")
    sun = Sun.at(place, ts_utc[0], len(ts_utc), step_h)
    steps_a_day = round(24.0 / step_h)
    index = clouds(len(ts_utc), steps_a_day, seed) if cloudy else np.ones(len(ts_utc))
    return Series(
        who="made roof",
        unit="kW",
        ts_utc=ts_utc,
        step_h=step_h,
        timezone=ZONE,
        place=place,
        values=index * roof_kw(sun, tilt_deg, azimuth_deg, peak_kw),
        weather={
            "temperature_c": 5.0 + 10.0 * index,
            "ghi_w_per_m2": index * sun.ghi_w_per_m2,
        },
        least=0.0,
    )
