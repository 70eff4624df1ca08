"""The twin's time grid: UTC quarter hours with what the local calendar says about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.site.place import KONSTANZ
from ems.types import Floats, Instants, Ints

PLACE = KONSTANZ
TIMEZONE = "Europe/Berlin"
QUARTER_H = 0.25
QUARTER = np.timedelta64(900, "s")
QUARTERS_PER_HOUR = 4

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TwinClock:
    """Quarter hours of a UTC range in local time.

    ``ts_utc``: starts of the steps, shape ``(n,)``. ``day``: number of the local day of each
    step. ``hour``: local hour 0–23 of each step. ``day_of_year``: local, 1–366.
    ``day_is_free``: weekend or public holiday, shape ``(n_days,)``.
    ``first_step``: index of the first step of each local hour, shape ``(n_days, 24)``, −1 where
    the hour does not exist (the spring change, or outside the range).
    """

    ts_utc: Instants
    day: Ints
    hour: Ints
    day_of_year: Ints
    day_is_free: Flags
    first_step: Ints

    @property
    def n_days(self) -> int:
        """Local days, a cut first or last one included."""
        return len(self.day_is_free)

    @property
    def step_is_free(self) -> Flags:
        """Whether each step lies on a weekend or holiday, shape ``(n,)``."""
        return self.day_is_free[self.day]


def quarter_hours(start_utc: np.datetime64, end_utc: np.datetime64) -> Instants:
    """Starts of the quarter hours in [start, end)."""
    return np.arange(start_utc, end_utc, QUARTER).astype("datetime64[s]")


def clock(ts_utc: Instants) -> TwinClock:
    """The calendar of ``PLACE`` over these quarter hours."""
    local = pd.DatetimeIndex(ts_utc, tz="UTC").tz_convert(TIMEZONE)
    midnight = local.tz_localize(None).normalize()
    dates, day = np.unique(midnight.to_numpy(), return_inverse=True)
    hour = local.hour.to_numpy().astype(np.int64)
    first_step = np.full((len(dates), 24), -1, dtype=np.int64)
    found, first = np.unique(day * 24 + hour, return_index=True)
    first_step.flat[found] = first
    return TwinClock(
        ts_utc=ts_utc,
        day=day.astype(np.int64),
        hour=hour,
        day_of_year=local.day_of_year.to_numpy().astype(np.int64),
        day_is_free=_free_days(pd.DatetimeIndex(dates)),
        first_step=first_step,
    )


def _free_days(dates: pd.DatetimeIndex) -> Flags:
    """Saturdays, Sundays and the public holidays of ``PLACE``."""
    years = range(dates[0].year, dates[-1].year + 1)
    public = np.concatenate([PLACE.public_holidays(year) for year in years])
    is_public = np.isin(dates.to_numpy().astype("datetime64[D]"), public)
    free: Flags = (dates.day_of_week.to_numpy() >= 5) | is_public
    return free


def to_step(energy_kwh: Floats, quarters: int) -> Floats:
    """Sums of ``quarters`` consecutive quarter hours."""
    sums: Floats = energy_kwh.reshape(-1, quarters).sum(axis=1)
    return sums
