"""A learned model of a load: calendar, what was used lately at this hour, and past temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ems.errors import DataError
from ems.forecast.clock import Clock
from ems.forecast.features import rows
from ems.forecast.learned import Boosted
from ems.forecast.series import Forecast, Ints, Series

MIN_DAYS = 28
"""Days of known values that a learned model needs."""


@dataclass(frozen=True, kw_only=True)
class LearnedLoad:
    """Boosted trees for any load-like series: a whole building, its base load, a heat pump.

    ``max_lead_h``: leads that are learned; a step further ahead is treated like the furthest [h].
    Its quantiles are described in ``ems.forecast.learned``.
    """

    max_lead_h: float = 48.0
    learned: Boosted | None = None

    @property
    def name(self) -> str:
        """The name in tables."""
        return "learned load"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``; ``DataError`` for under ``MIN_DAYS`` of them."""
        target = np.flatnonzero(np.isfinite(series.values[:until]))
        if len(target) < MIN_DAYS * series.steps_a_day:
            raise DataError(
                f"{series.who}: {len(target) / series.steps_a_day:.1f} days of known values before "
                f"step {until}, {self.name} needs {MIN_DAYS}; forecast from a later day"
            )
        clock = Clock.of(series)
        lead = np.random.default_rng(0).integers(0, self._n_leads(series), len(target))
        kept = target >= lead + series.steps_a_day
        target, known = target[kept], (target - lead)[kept]
        x = rows(series, clock, known, target, known)
        week, slot = clock.day[target] // 7, clock.slot[target]
        learned = Boosted.fit(x, series.values[target], week, slot, clock.step.shape[1])
        return replace(self, learned=learned)

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of the ``n_steps`` from each of the rising ``origins``."""
        if self.learned is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        clock = Clock.of(series, beyond=n_steps)
        target = (origins[:, None] + np.arange(n_steps)).ravel()
        known = np.repeat(origins, n_steps)
        quantiles = self.learned.predict(
            rows(series, clock, known, target, known), clock.slot[target]
        )
        values = quantiles.reshape(len(origins), n_steps, -1).transpose(0, 2, 1)
        return Forecast(
            who=series.who,
            unit=series.unit,
            model=self.name,
            origins=origins,
            values=np.maximum(values, series.least),
            least=series.least,
        )

    def _n_leads(self, series: Series) -> int:
        return round(self.max_lead_h / series.step_h)
