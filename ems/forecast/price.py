"""Day-ahead prices: what is published at an instant, and forecasts beyond."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.features import rows
from ems.forecast.learned import MIN_DAYS, Boosted, known_steps
from ems.forecast.series import LEVELS, Forecast, Series
from ems.types import Floats, Instants, Ints

PUBLISHED_HOUR = 13
"""Local hour from which the prices of the next day are known."""


def known_until(ts_utc: Instants, origins: Ints, timezone: str) -> Ints:
    """The first step whose day-ahead price is not published at the start of each origin.

    The end of the origin's local day, or from 13:00 local the end of the next. May lie after the
    end of ``ts_utc``; origins may be one step after it.
    """
    step = ts_utc[1] - ts_utc[0]
    now = pd.DatetimeIndex(ts_utc[0] + origins * step, tz="UTC").tz_convert(timezone)
    days = np.where(now.hour >= PUBLISHED_HOUR, 2, 1)
    wall = np.asarray(now.tz_localize(None), dtype="datetime64[D]")
    # Local midnight converted to UTC, so that clock-change days have 23 or 25 prices.
    midnight = pd.DatetimeIndex(wall + days).tz_localize(timezone).tz_convert("UTC")
    since = np.asarray(midnight.tz_localize(None), dtype="datetime64[s]") - ts_utc[0]
    return np.asarray(since // step, dtype=np.int64)


def require_known(series: Series, origin: int, n_steps: int) -> Floats:
    """The published prices of ``n_steps`` from ``origin``.

    Raises ``DataError`` if fewer are published by then, or one is missing.
    """
    end = int(known_until(series.ts_utc, np.array([origin]), series.timezone)[0])
    if origin + n_steps > end:
        raise DataError(
            f"{series.who}: {n_steps} prices are asked for from {_instant(series, origin)}, but "
            f"only {end - origin} are published by then; shorten the horizon or forecast the rest"
        )
    prices = series.values[origin : origin + n_steps]
    missing = np.flatnonzero(~np.isfinite(prices))
    if len(prices) < n_steps or len(missing):
        first = int(missing[0]) if len(missing) else len(prices)
        raise DataError(
            f"{series.who}: the price of {_instant(series, origin + first)} is missing; complete "
            "the prices or choose other days"
        )
    return prices


def _instant(series: Series, step: int) -> str:
    return f"{series.ts_utc[0] + step * np.timedelta64(round(series.step_h * 3600), 's')}Z"


@dataclass(frozen=True, kw_only=True)
class PriceForecast:
    """Published prices as they are, and boosted trees for the days after them.

    A published price is exact in every quantile; one missing in the series is forecast.
    The trees learn the price of an hour of the first and of the second unpublished day.
    Weather is not used: prices depend on the weather of the whole zone.

    ``published``: off for a price that nobody announces, such as that of a community's pool.
    """

    published: bool = True
    needs_days: ClassVar[int] = MIN_DAYS
    learned: Boosted | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return "learned price"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``. ``DataError`` if under ``MIN_DAYS``."""
        target = known_steps(series, until, self.name)
        # Without weather: local weather would only add noise.
        bare = replace(series, weather={})
        clock = Clock.of(bare)
        # Each step twice: as part of the first and of the second day that is not published.
        today = clock.step[clock.day[target], 0]
        yesterday = clock.step[np.maximum(clock.day[target] - 1, 0), 0]
        target, known = np.tile(target, 2), np.concatenate([today, yesterday])
        kept = known >= series.steps_a_day
        target, known = target[kept], known[kept]
        x = rows(bare, clock, known, target)
        return replace(self, learned=Boosted.by_slot(x, bare, clock, target))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``."""
        if self.learned is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        target = steps_ahead(series, origins, n_steps)
        end = origins
        if self.published:
            end = np.minimum(known_until(series.ts_utc, origins, series.timezone), len(series))
        published = target < end[:, None]
        price = np.where(published, series.values[np.minimum(target, len(series) - 1)], np.nan)
        values = np.repeat(price[:, :, None], len(LEVELS), axis=2)
        ahead = ~np.isfinite(price)
        known = np.minimum(end[:, None], target)[ahead]
        bare, clock = replace(series, weather={}), Clock.of(series, beyond=n_steps)
        x = rows(bare, clock, known, target[ahead])
        learned = self.learned.predict(x, clock.slot[target[ahead]])
        values[ahead] = np.maximum(learned, series.least)
        return Forecast(
            who=series.who,
            unit=series.unit,
            model=self.name,
            origins=origins,
            values=np.moveaxis(values, 2, 1),
            least=series.least,
        )
