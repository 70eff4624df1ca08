"""Made series of whole local days: a daily and weekly rhythm, noise, temperature and gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ems.forecast.series import Series
from ems.site.place import KONSTANZ
from ems.types import Floats

ZONE = "Europe/Berlin"


def series(
    n_days: int,
    *,
    first: str = "2016-02-01",
    step_h: float = 1.0,
    seed: int = 0,
    noise: float = 0.2,
) -> Series:
    """A load [kW] of ``n_days`` local days that is higher in the evening and on working days."""
    begin = pd.Timestamp(first, tz=ZONE)
    end = begin + pd.DateOffset(days=n_days)
    local = pd.date_range(begin, end, freq=pd.Timedelta(hours=step_h), inclusive="left")
    rng = np.random.default_rng(seed)
    hour = np.asarray(local.hour + local.minute / 60.0)
    working = np.asarray(local.day_of_week) < 5
    rhythm = 1.0 + 0.8 * np.exp(-((hour - 19.0) ** 2) / 8.0) + 0.3 * working
    return Series(
        who="made load",
        unit="kW",
        ts_utc=np.asarray(local.tz_convert("UTC").tz_localize(None), dtype="datetime64[s]"),
        step_h=step_h,
        timezone=ZONE,
        place=KONSTANZ,
        values=rhythm * rng.lognormal(0.0, noise, len(local)) if noise else rhythm,
        weather={"temperature_c": 10.0 + 5.0 * rng.standard_normal(len(local))},
        least=0.0,
    )


def with_values(of: Series, values: Floats) -> Series:
    return replace(of, values=values)


def altered(of: Series, first: int, weather_first: int | None = None, seed: int = 1) -> Series:
    """The same before ``first``; from it on other values, some unknown, and other weather."""
    rng = np.random.default_rng(seed)

    def other(values: Floats, at: int) -> Floats:
        changed = values.copy()
        changed[at:] = rng.uniform(-50.0, 50.0, len(values[at:]))
        changed[at:][rng.random(len(values[at:])) < 0.1] = np.nan
        return changed

    from_ = first if weather_first is None else weather_first
    weather = {name: other(values, from_) for name, values in of.weather.items()}
    return replace(of, values=other(of.values, first), weather=weather)


def step_at(of: Series, local: str, fold: int = 0) -> int:
    """The step that starts at a local time; ``fold`` 1 for the second of a doubled hour."""
    instant = pd.Timestamp(local).tz_localize(of.timezone, ambiguous=fold == 0).tz_convert("UTC")
    since = instant - pd.Timestamp(of.ts_utc[0], tz="UTC")
    return round(since / pd.Timedelta(hours=of.step_h))
