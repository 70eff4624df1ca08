"""Learned load model: calendar, recent load at this hour, and past temperature."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from ems.errors import DataError
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.features import TEMPERATURE, rows
from ems.forecast.learned import MIN_DAYS, Boosted, known_steps
from ems.forecast.series import Forecast, Series
from ems.forecast.weather import WeatherAgent
from ems.types import Bools, Floats, Ints


@dataclass(frozen=True, kw_only=True)
class LearnedLoad:
    """Boosted trees for any load: a whole building, its base load, a heat pump.

    ``max_lead_h``: leads that are learned [h]; steps further ahead are treated like the furthest.
    With recorded forecasts in ``weather`` the trees also use the forecast temperature; hours before
    the first recorded forecast are learned without. Quantiles as in ``ems.forecast.learned``.
    """

    needs_days: ClassVar[int] = MIN_DAYS
    max_lead_h: float = 48.0
    weather: WeatherAgent = field(default_factory=WeatherAgent)
    learned: Boosted | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return "learned load"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``. ``DataError`` if under ``MIN_DAYS``.

        Recorded temperature forecasts must also cover ``MIN_DAYS``.
        """
        clock = Clock.of(series)
        target = known_steps(series, until, self.name)
        n_leads = round(self.max_lead_h / series.step_h)
        # One random lead per step: all leads are learned without a row for each pair. Fixed seed.
        lead = np.random.default_rng(0).integers(0, n_leads, len(target))
        kept = target >= lead + series.steps_a_day
        target, known = target[kept], (target - lead)[kept]
        covered = self.weather.knows(series, known, target)
        least = MIN_DAYS * series.steps_a_day
        if self.weather.mode == "recorded" and covered.sum() < least:
            raise DataError(
                f"{series.who}: {covered.sum() / series.steps_a_day:.1f} days with recorded "
                f"forecasts of the weather before step {until}, {self.name} needs {MIN_DAYS}; "
                "forecast from a later day"
            )
        x = self._rows(series, clock, known, target, covered)
        return replace(self, learned=Boosted.by_slot(x, series, clock, target))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``.

        Raises ``DataError`` if ``weather`` has no recent forecast at an origin.
        """
        if self.learned is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        ahead = steps_ahead(series, origins, n_steps)
        target, known = ahead.ravel(), np.repeat(origins, n_steps)
        clock = Clock.of(series, beyond=n_steps)
        x = self._rows(series, clock, known, target, np.ones(len(target), dtype=np.bool_))
        quantiles = np.maximum(self.learned.predict(x, clock.slot[target]), series.least)
        return Forecast(
            who=series.who,
            unit=series.unit,
            model=self.name,
            origins=origins,
            values=np.moveaxis(quantiles.reshape(*ahead.shape, -1), 2, 1),
            least=series.least,
        )

    def _rows(
        self, series: Series, clock: Clock, known: Ints, target: Ints, covered: Bools
    ) -> Floats:
        """The features of each pair, with the forecast temperature where ``covered``."""
        own = rows(series, clock, known, target)
        recorded = self.weather.recorded
        if recorded is None or TEMPERATURE not in recorded.values:
            return own
        _, believed = self.weather.believed(series, known[covered], target[covered])
        temperature_c = np.full(len(target), np.nan)
        temperature_c[covered] = believed[TEMPERATURE]
        return np.concatenate([own, temperature_c[:, None]], axis=1)
