"""What is believed of the weather at an origin: from measurements, or from a recorded forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ems.errors import DataError
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.series import Ints, Series
from ems.history import Floats, Instants


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


@dataclass(frozen=True, kw_only=True, eq=False)
class WeatherAgent:
    """The weather as it can be known at an origin, never later.

    Without ``recorded`` it persists: the same local hour of the newest day measured. With it, the
    newest forecast issued at or before the origin is used, and none older than ``max_age_h``.
    """

    recorded: RecordedWeather | None = None
    max_age_h: float = 24.0

    @property
    def mode(self) -> Literal["persistence", "recorded"]:
        """Where its beliefs come from."""
        return "persistence" if self.recorded is None else "recorded"

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> WeatherForecast:
        """What is believed at each of the rising ``origins`` of the ``n_steps`` from it.

        Raises ``DataError`` where no forecast issued in the last ``max_age_h`` is recorded.
        """
        steps_ahead(series, origins, n_steps)
        if self.recorded is not None:
            raise DataError(f"{series.who}: recorded weather cannot be used yet")
        clock = Clock.of(series, beyond=n_steps)
        targets = origins[:, None] + np.arange(n_steps)
        known = np.broadcast_to(origins[:, None], targets.shape)
        step = clock.ago(targets, clock.newest(targets, known, every=1))
        values = {
            name: np.where(step >= 0, measured[np.clip(step, 0, len(series) - 1)], np.nan)
            for name, measured in series.weather.items()
        }
        start_utc = series.ts_utc[0] + origins * np.timedelta64(round(series.step_h * 3600), "s")
        return WeatherForecast(
            model=self.mode, origins=origins, issued_utc=start_utc, values=values
        )
