"""The weather forecast at an origin: persistence, or a recorded forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ems.errors import InvalidSpec
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.series import Series
from ems.site.weather import RecordedWeather
from ems.types import Bools, Floats, Instants, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class WeatherForecast:
    """The weather forecast from several origins.

    ``issued_utc``: when the information was known, never after the start of the origin's step,
    shape ``(n_origins,)``. ``values``: each quantity in its own unit, shape ``(n_origins,
    n_steps)``, NaN if there is no forecast.
    """

    model: str
    origins: Ints
    issued_utc: Instants
    values: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class WeatherAgent:
    """The weather as known at an origin, never later.

    Without ``recorded``, persistence: the same local hour of the newest measured day. With it, the
    newest forecast issued at or before the origin and not older than ``max_age_h``.
    """

    recorded: RecordedWeather | None = None
    max_age_h: float = 24.0

    @property
    def text(self) -> str:
        """The source of its forecasts, in words."""
        if self.recorded is None:
            return "no recorded forecasts of the weather: it persists"
        issued_utc = self.recorded.issued_utc
        return (
            f"{len(issued_utc)} recorded forecasts of the weather of {self.recorded.site}, issued "
            f"{issued_utc[0]}Z to {issued_utc[-1]}Z; each plan uses the newest at its instant"
        )

    @property
    def mode(self) -> Literal["persistence", "recorded"]:
        """The source of its forecasts."""
        return "persistence" if self.recorded is None else "recorded"

    def __post_init__(self) -> None:
        if not self.max_age_h > 0.0:
            raise InvalidSpec(f"weather: max_age_h = {self.max_age_h:g}, must be above 0")

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> WeatherForecast:
        """The forecast of ``n_steps`` at each of the increasing ``origins``.

        Raises ``DataError`` if no forecast issued in the last ``max_age_h`` is recorded, or the
        newest one does not reach all steps.
        """
        targets = steps_ahead(series, origins, n_steps)
        known = np.broadcast_to(origins[:, None], targets.shape)
        issued_utc, values = self.believed(series, known, targets)
        return WeatherForecast(
            model=self.mode, origins=origins, issued_utc=issued_utc[:, 0], values=values
        )

    def knows(self, series: Series, known: Ints, target: Ints) -> Bools:
        """Where ``believed`` has a value, in the shape of ``target``."""
        if self.recorded is None:
            return np.ones(target.shape, dtype=np.bool_)
        now_utc, at_utc = _starts(series, known), _starts(series, target)
        return self.recorded.covers(now_utc, at_utc, self.max_age_h)

    def believed(
        self, series: Series, known: Ints, target: Ints
    ) -> tuple[Instants, Mapping[str, Floats]]:
        """Issue time and forecast weather for pairs of a first unknown step and a target.

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
    """Start instants of steps, also after the end of the series."""
    return np.asarray(series.ts_utc[0] + step * np.timedelta64(round(series.step_h * 3600), "s"))
