"""Features of learned models: calendar, lags and past weather.

A row is a pair of steps: ``target``, to be forecast, and ``known``, the first step whose value is
unknown. Nothing at or after ``known`` enters a row.
"""

from __future__ import annotations

import numpy as np

from ems.forecast.clock import Clock
from ems.forecast.series import Series
from ems.site.calendar import day_types
from ems.types import Floats, Ints

RECENT_DAYS = 7
FREE = 1
"""Day type of weekends and public holidays."""
TEMPERATURE = "temperature_c"


def rows(series: Series, clock: Clock, known: Ints, target: Ints) -> Floats:
    """The features of each pair, shape ``(n_rows, n_features)``, NaN if unknown."""
    day, slot = clock.day[target], clock.slot[target]
    free = day_types(clock.days, series.place) == FREE
    day_of_year = (clock.days - clock.days.astype("datetime64[Y]")).astype(np.int64)
    newest = clock.newest(target, known, every=1)
    newest_week = clock.newest(target, known, every=7)
    table = clock.by_day(series.values)
    recent = trailing_mean(table, RECENT_DAYS)
    columns = [
        slot * series.step_h,
        # Day 0 is a Thursday, hence + 3: Monday is 0.
        (clock.days.astype(np.int64)[day] + 3) % 7,
        free[day],
        day_of_year[day],
        target - known,
        _at(table, day - newest, slot),
        _at(table, day - newest - 1, slot),
        _at(table, day - newest_week, slot),
        _at(table, day - newest_week - 7, slot),
        _at(recent, day - newest, slot),
        *_latest(series, known),
        *_past_weather(series, clock, target, known),
    ]
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float64)


def trailing_mean(table: Floats, n: int) -> Floats:
    """Mean of each value and the ``n`` − 1 before it in its column, ignoring unknown values."""
    known = np.isfinite(table)
    # Cumulative sums: one pass for any n.
    total = np.cumsum(np.where(known, table, 0.0), axis=0)
    count = np.cumsum(known, axis=0)
    total[n:], count[n:] = total[n:] - total[:-n], count[n:] - count[:-n]
    mean: Floats = np.divide(total, count, out=np.full(table.shape, np.nan), where=count > 0)
    return mean


def _at(table: Floats, day: Ints, slot: Ints) -> Floats:
    return np.where(day >= 0, table[np.maximum(day, 0), slot], np.nan)


def _before(values: Floats, step: Ints) -> Floats:
    return np.where(step > 0, values[np.clip(step - 1, 0, len(values) - 1)], np.nan)


def _latest(series: Series, known: Ints) -> list[Floats]:
    """The last value, and the means of the last day and week."""
    values = series.values[:, None]
    day = series.steps_a_day
    means = [trailing_mean(values, n * day)[:, 0] for n in (1, RECENT_DAYS)]
    return [_before(column, known) for column in (series.values, *means)]


def _past_weather(series: Series, clock: Clock, target: Ints, known: Ints) -> list[Floats]:
    """Yesterday's temperature at this hour, and the mean of the last day [°C]."""
    if TEMPERATURE not in series.weather:
        return []
    temperature_c = series.weather[TEMPERATURE]
    newest = clock.newest(target, known, every=1)
    table = clock.by_day(temperature_c)
    mean = trailing_mean(temperature_c[:, None], series.steps_a_day)[:, 0]
    return [
        _at(table, clock.day[target] - newest, clock.slot[target]),
        _before(mean, known),
    ]
