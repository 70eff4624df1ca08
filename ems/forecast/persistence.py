"""Seasonal persistence: the same local hour a week ago, with its own past errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.errors import DataError
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.series import LEVELS, Forecast, Series
from ems.types import Floats, Ints

WEEKS = 4
"""Number of weeks to go back for a known value."""
MIN_ERRORS = 7 * 24
"""Errors needed for meaningful quantiles: a week of hours."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Learned:
    """Error quantiles ``(n_slots, n_levels)`` and median values ``(n_slots,)`` by time of day."""

    errors: Floats
    usual: Floats


@dataclass(frozen=True, kw_only=True)
class SameHourLastWeek:
    """ŷ_τ(t) = y(t − 7 d) + Q_τ(past errors at this time of day), in local time.

    If last week is unknown, the newest known of the three weeks before it, or else the median of
    this time of day. The error of a step is y(t) − y(t − 7 d).
    """

    needs_days: ClassVar[int] = 14  # a week, and the week before it
    learned: _Learned | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return "same hour last week"

    def fit(self, series: Series, until: int) -> Self:
        """Learn the error quantiles before ``until``. ``DataError`` if under a week is known."""
        clock = Clock.of(series)
        targets = np.arange(until)
        values = series.values[:until]
        errors = values - _last_week(clock, values, targets, targets)
        if np.isfinite(errors).sum() < MIN_ERRORS:
            raise DataError(
                f"{series.who}: {np.isfinite(errors).sum()} steps of known value whose week before "
                f"is known too, {MIN_ERRORS} are needed; forecast from a later day"
            )
        by_slot = [errors[clock.slot[:until] == k] for k in range(clock.step.shape[1])]
        table = np.array([np.nanquantile(some, LEVELS) for some in by_slot])
        usual = np.nanmedian(clock.by_day(values), axis=0)
        return replace(self, learned=_Learned(errors=table, usual=usual))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``."""
        if self.learned is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        clock = Clock.of(series, beyond=n_steps)
        targets = steps_ahead(series, origins, n_steps)
        slots = clock.slot[targets]
        known = np.broadcast_to(origins[:, None], targets.shape)
        centre = _last_week(clock, series.values, targets, known)
        centre = np.where(np.isfinite(centre), centre, self.learned.usual[slots])
        values = centre[:, None, :] + np.moveaxis(self.learned.errors[slots], 2, 1)
        return Forecast(
            who=series.who,
            unit=series.unit,
            model=self.name,
            origins=origins,
            values=np.maximum(values, series.least),
            least=series.least,
        )


def _last_week(clock: Clock, values: Floats, targets: Ints, known: Ints) -> Floats:
    """Newest known value at each target's weekday and time, NaN if none within ``WEEKS`` weeks."""
    newest = clock.newest(targets, known, every=7)
    found = np.full(targets.shape, np.nan)
    for week in range(WEEKS):
        step = clock.ago(targets, newest + 7 * week)
        value = np.where(step >= 0, values[np.clip(step, 0, len(values) - 1)], np.nan)
        found = np.where(np.isfinite(found), found, value)
    return found
