"""Recorded weather forecasts of one site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.types import Bools, Floats, Instants, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedWeather:
    """Weather forecasts of one site as they were issued.

    ``issued_utc``: when each became available, increasing, shape ``(n_issued,)``. ``first_utc``:
    start of its first step. ``values``: each quantity at each step, shape ``(n_issued, n_leads)``,
    NaN beyond its range.
    """

    site: str
    issued_utc: Instants
    first_utc: Instants
    step_h: float
    values: Mapping[str, Floats]

    def __post_init__(self) -> None:
        if not len(self.issued_utc) or (np.diff(self.issued_utc) <= np.timedelta64(0, "s")).any():
            raise InvalidSpec(
                f"weather of {self.site}: {len(self.issued_utc)} issue times, expected at least "
                "one and every one after the one before"
            )
        for name, values in self.values.items():
            if values.ndim != 2 or len(values) != len(self.issued_utc):
                raise InvalidSpec(
                    f"weather of {self.site}: {name} has shape {values.shape}, expected "
                    f"({len(self.issued_utc)}, n_leads)"
                )

    def newest(
        self, who: str, now_utc: Instants, at_utc: Instants, max_age_h: float
    ) -> tuple[Instants, Mapping[str, Floats]]:
        """Values at ``at_utc`` from the newest forecast issued by ``now_utc``, with its issue time.

        Arrays of one shape. Raises ``DataError`` if it is older than ``max_age_h``, missing, or
        does not reach ``at_utc``.
        """
        row, bad = self._row(now_utc, max_age_h)
        # −1 (none issued yet) must not wrap around to the last forecast; `bad` marks it.
        issued_utc = self.issued_utc[np.maximum(row, 0)]
        if bad.any():
            at = np.argmax(bad)
            before = (
                f"the newest was issued {issued_utc.flat[at]}Z" if row.flat[at] >= 0 else "none"
            )
            raise DataError(
                f"{who}: no forecast of the weather of {self.site} issued in the {max_age_h:g} h "
                f"before {now_utc.flat[at]}Z is recorded ({before}); record forecasts for it, "
                "choose other days, or build the database without --weather_forecast to plan "
                "with persisting weather"
            )
        lead = self._lead(row, at_utc)
        values = {}
        for name, table in self.values.items():
            inside = (lead >= 0) & (lead < table.shape[1])
            found = table[row, np.clip(lead, 0, table.shape[1] - 1)]
            values[name] = np.where(inside, found, np.nan)
            if np.isnan(values[name]).any():
                at = np.argmax(np.isnan(values[name]))
                raise DataError(
                    f"{who}: the forecast of the weather of {self.site} issued "
                    f"{issued_utc.flat[at]}Z has no {name} at {at_utc.flat[at]}Z; plan a shorter "
                    "horizon or record longer forecasts"
                )
        return issued_utc, values

    def covers(self, now_utc: Instants, at_utc: Instants, max_age_h: float) -> Bools:
        """Where ``newest`` has a value, in the shape of its arguments."""
        row, bad = self._row(now_utc, max_age_h)
        row = np.maximum(row, 0)
        lead = self._lead(row, at_utc)
        for table in self.values.values():
            bad |= (lead < 0) | (lead >= table.shape[1])
            bad |= np.isnan(table[row, np.clip(lead, 0, table.shape[1] - 1)])
        return ~bad

    def _row(self, now_utc: Instants, max_age_h: float) -> tuple[Ints, Bools]:
        """The newest forecast issued by each instant, and where it is too old or missing."""
        row = np.searchsorted(self.issued_utc, now_utc, side="right") - 1
        age_h = (now_utc - self.issued_utc[np.maximum(row, 0)]) / np.timedelta64(3600, "s")
        return row, (row < 0) | (age_h > max_age_h)

    def _lead(self, row: Ints, at_utc: Instants) -> Ints:
        step = np.timedelta64(round(self.step_h * 3600), "s")
        return np.floor((at_utc - self.first_utc[row]) / step).astype(np.int64)
