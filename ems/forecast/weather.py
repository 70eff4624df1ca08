"""What is believed of the weather at an origin: from measurements, or from a recorded forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ems.errors import DataError, InvalidSpec
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.series import Ints, Series
from ems.history import Floats, Instants

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class WeatherForecast:
    """The weather believed from several origins.

    ``issued_utc``: when what was used was known, never after the start of the origin's step, shape
    ``(n_origins,)``. ``values``: each quantity in its own unit, shape ``(n_origins, n_steps)``,
    NaN where nothing is believed.
    """

    model: str
    origins: Ints
    issued_utc: Instants
    values: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedWeather:
    """Forecasts of the weather at one site as they were issued.

    ``issued_utc``: when each could be had, rising, shape ``(n_issued,)``. ``first_utc``: the start
    of its first step. ``values``: each quantity at each step, shape ``(n_issued, n_leads)``, NaN
    where it does not reach.
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
        """What the newest forecast issued by ``now_utc`` says of ``at_utc``, and its issue time.

        Arrays of one shape. Raises ``DataError`` where it is older than ``max_age_h``, there is
        none, or it does not reach ``at_utc``.
        """
        row, bad = self._row(now_utc, max_age_h)
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
        """Where ``newest`` has an answer, in the shape of its arguments."""
        row, bad = self._row(now_utc, max_age_h)
        row = np.maximum(row, 0)
        lead = self._lead(row, at_utc)
        for table in self.values.values():
            bad |= (lead < 0) | (lead >= table.shape[1])
            bad |= np.isnan(table[row, np.clip(lead, 0, table.shape[1] - 1)])
        return ~bad

    def _row(self, now_utc: Instants, max_age_h: float) -> tuple[Ints, Bools]:
        """The newest forecast issued by each instant, and where it is too old or not there."""
        row = np.searchsorted(self.issued_utc, now_utc, side="right") - 1
        age_h = (now_utc - self.issued_utc[np.maximum(row, 0)]) / np.timedelta64(3600, "s")
        return row, (row < 0) | (age_h > max_age_h)

    def _lead(self, row: Ints, at_utc: Instants) -> Ints:
        step = np.timedelta64(round(self.step_h * 3600), "s")
        return np.floor((at_utc - self.first_utc[row]) / step).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class WeatherAgent:
    """The weather as it can be known at an origin, never later.

    Without ``recorded`` it persists: the same local hour of the newest day measured. With it, the
    newest forecast issued at or before the origin is used, and none older than ``max_age_h``.
    """

    recorded: RecordedWeather | None = None
    max_age_h: float = 24.0

    @property
    def text(self) -> str:
        """Where its beliefs come from, in words."""
        if self.recorded is None:
            return "no recorded forecasts of the weather: it persists"
        issued_utc = self.recorded.issued_utc
        return (
            f"{len(issued_utc)} recorded forecasts of the weather of {self.recorded.site}, issued "
            f"{issued_utc[0]}Z to {issued_utc[-1]}Z; each plan uses the newest at its instant"
        )

    @property
    def mode(self) -> Literal["persistence", "recorded"]:
        """Where its beliefs come from."""
        return "persistence" if self.recorded is None else "recorded"

    def __post_init__(self) -> None:
        if not self.max_age_h > 0.0:
            raise InvalidSpec(f"weather: max_age_h = {self.max_age_h:g}, must be above 0")

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> WeatherForecast:
        """What is believed at each of the rising ``origins`` of the ``n_steps`` from it.

        Raises ``DataError`` where no forecast issued in the last ``max_age_h`` is recorded, or the
        newest one does not reach all steps.
        """
        targets = steps_ahead(series, origins, n_steps)
        known = np.broadcast_to(origins[:, None], targets.shape)
        issued_utc, values = self.believed(series, known, targets)
        return WeatherForecast(
            model=self.mode, origins=origins, issued_utc=issued_utc[:, 0], values=values
        )

    def knows(self, series: Series, known: Ints, target: Ints) -> Bools:
        """Where ``believed`` has an answer, in the shape of ``target``."""
        if self.recorded is None:
            return np.ones(target.shape, dtype=np.bool_)
        now_utc, at_utc = _starts(series, known), _starts(series, target)
        return self.recorded.covers(now_utc, at_utc, self.max_age_h)

    def believed(
        self, series: Series, known: Ints, target: Ints
    ) -> tuple[Instants, Mapping[str, Floats]]:
        """Issue time and believed weather of each pair of a first unknown step and a target.

        All arrays have the shape of ``target``. Raises ``DataError`` as ``forecast``.
        """
        if self.recorded is not None:
            return self.recorded.newest(
                series.who, _starts(series, known), _starts(series, target), self.max_age_h
            )
        clock = Clock.of(series, beyond=max(0, int(target.max()) + 1 - len(series)))
        step = clock.ago(target, clock.newest(target, known, every=1))
        values = {
            name: np.where(step >= 0, measured[np.clip(step, 0, len(series) - 1)], np.nan)
            for name, measured in series.weather.items()
        }
        return _starts(series, known), values


def _starts(series: Series, step: Ints) -> Instants:
    """The instants at which steps begin, also those after the end of the series."""
    return np.asarray(series.ts_utc[0] + step * np.timedelta64(round(series.step_h * 3600), "s"))
