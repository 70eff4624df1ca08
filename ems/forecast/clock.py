"""Steps on the local calendar: which step was the same local time so many days before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ems.errors import InvalidSpec
from ems.forecast.series import Series
from ems.types import Floats, Instants, Ints

BEFORE = -1
"""A step before the start of the series."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """The steps of a series, and some beyond its end, on the local calendar.

    ``day``: local day of each step, counted from the first; ``slot``: its time of day in steps from
    midnight, shape ``(n,)``; ``days``: the local days; ``step``: the step of each day and slot,
    shape ``(n_days, n_slots)``. For the repeated hour in autumn, ``step`` holds the first; for the
    skipped hour in spring, the one before it.
    """

    day: Ints
    slot: Ints
    days: Instants
    step: Ints

    @classmethod
    def of(cls, series: Series, beyond: int = 0) -> Clock:
        """The calendar of ``series`` and of ``beyond`` steps after its end."""
        n, step_s = len(series) + beyond, round(series.step_h * 3600)
        ts_utc = series.ts_utc[0] + np.arange(n) * np.timedelta64(step_s, "s")
        local = pd.DatetimeIndex(ts_utc, tz="UTC").tz_convert(series.timezone)
        wall = np.asarray(local.tz_localize(None), dtype="datetime64[s]")
        date = wall.astype("datetime64[D]")
        day = (date - date[0]).astype(np.int64)
        slot = ((wall - date).astype(np.int64)) // step_s
        return cls(
            day=day,
            slot=slot,
            days=date[0] + np.arange(day[-1] + 1),
            step=_table(day, slot, int(max(series.steps_a_day, slot.max() + 1))),
        )

    def ago(self, target: Ints, days: int | Ints) -> Ints:
        """The step at the same local time ``days`` days before each ``target``, or ``BEFORE``."""
        day = self.day[target] - days
        found = self.step[np.maximum(day, 0), self.slot[target]]
        return np.where(day >= 0, found, BEFORE)

    def newest(self, target: Ints, known: Ints, every: int) -> Ints:
        """How many days before each ``target`` its local time was last known.

        The smallest multiple of ``every`` for which the step is before ``known``.
        """
        days = np.full(target.shape, every)
        late = self.ago(target, days) >= known
        while late.any():
            days = np.where(late, days + every, days)
            late = self.ago(target, days) >= known
        return days

    def by_day(self, values: Floats) -> Floats:
        """``values`` as a table of shape ``(n_days, n_slots)``, NaN outside the series."""
        inside = (self.step >= 0) & (self.step < len(values))
        return np.where(inside, values[np.clip(self.step, 0, len(values) - 1)], np.nan)


def steps_ahead(series: Series, origins: Ints, n_steps: int) -> Ints:
    """The steps to forecast from each origin, shape ``(n_origins, n_steps)``.

    Raises ``InvalidSpec`` for origins that do not increase, have nothing before them or are after
    the end of the series, and for less than one step.
    """
    if n_steps < 1:
        raise InvalidSpec(f"{series.who}: n_steps is {n_steps}, forecast at least 1 step")
    bad = (origins < 1) | (origins > len(series))
    if bad.any():
        raise InvalidSpec(
            f"{series.who}: origin {origins[bad][0]} is outside the series, allowed is 1 … "
            f"{len(series)}"
        )
    if not len(origins) or (np.diff(origins) <= 0).any():
        raise InvalidSpec(f"{series.who}: origins must rise; give each once, at least one")
    return np.asarray(origins[:, None] + np.arange(n_steps))


def _table(day: Ints, slot: Ints, n_slots: int) -> Ints:
    step = np.full((int(day[-1]) + 1, n_slots), BEFORE)
    # np.unique returns the first of equal entries: the first pass of the repeated hour.
    _, first = np.unique(day * n_slots + slot, return_index=True)
    step[day[first], slot[first]] = first
    for k in range(1, n_slots):  # a skipped slot takes the step before it
        step[:, k] = np.where(step[:, k] == BEFORE, step[:, k - 1], step[:, k])
    return step
