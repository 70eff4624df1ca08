"""Forecasts of photovoltaic generation from its own past and the place of the sun."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from ems.errors import DataError
from ems.forecast.clear_sky import (
    KONSTANZ_LATITUDE,
    KONSTANZ_LONGITUDE,
    ClearSkyRoof,
    Sun,
)
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.features import rows, trailing_mean
from ems.forecast.learned import Boosted
from ems.forecast.load import MIN_DAYS
from ems.forecast.series import LEVELS, Forecast, Ints, Series
from ems.history import Floats

RECENT_H = (1, 3, 6)
"""Over how many of the last hours the clear-sky index is told to the model [h]."""
LEAST_SUN_W_PER_M2 = 20.0
"""Below this a clear-sky index says nothing."""
LEAST_CLEAR = 0.05
"""Below this share of the highest cloudless power a clear-sky index says nothing."""
N_CLASSES = 5
CLASS_LEADS_H = ((0, 3), (3, 6), (6, 12), (12, 24), (24, 48))
"""Clear-sky indices are told apart by how clear it was lately and by the lead [h]."""
NEAR_H = 6.0
"""Every step is learned twice: from any lead, and from one below this, where most is known [h]."""
N_STRENGTHS = 5
"""Errors are told apart by so many strengths of the clear sky, before and after noon."""


@dataclass(frozen=True, kw_only=True)
class PVPersistence:
    """ŷ_τ(t) = y(newest known day, same local time) + Q_τ(past errors at this time of day)."""

    errors: Floats | None = None

    @property
    def name(self) -> str:
        """The name in tables."""
        return "PV persistence"

    def fit(self, series: Series, until: int) -> Self:
        """Take the quantiles of the errors before ``until``; ``DataError`` if under a week."""
        clock = Clock.of(series)
        targets = np.arange(until)
        errors = series.values[:until] - _newest(clock, series.values[:until], targets, targets)
        if np.isfinite(errors).sum() < 7 * series.steps_a_day:
            raise DataError(
                f"{series.who}: {np.isfinite(errors).sum()} steps of known generation whose day "
                f"before is known too, {7 * series.steps_a_day} are needed; forecast later"
            )
        by_slot = [errors[clock.slot[:until] == k] for k in range(clock.step.shape[1])]
        return replace(self, errors=np.array([np.nanquantile(e, LEVELS) for e in by_slot]))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of the ``n_steps`` from each of the rising ``origins``."""
        if self.errors is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        clock = Clock.of(series, beyond=n_steps)
        targets = steps_ahead(series, origins, n_steps)
        known = np.broadcast_to(origins[:, None], targets.shape)
        centre = np.nan_to_num(_newest(clock, series.values, targets, known))
        values = centre[:, None, :] + np.moveaxis(self.errors[clock.slot[targets]], 2, 1)
        return _forecast(series, self.name, origins, np.maximum(values, 0.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shares:
    """The roof, the edges between classes of the recent clear-sky index, and the quantiles of the
    index by lead and class, ``(n_leads, n_classes, n_levels)``."""

    roof: ClearSkyRoof
    edges: Floats
    quantiles: Floats


@dataclass(frozen=True, kw_only=True)
class ClearSkyPersistence:
    """ŷ_τ(t) = P_clear(t) · Q_τ(past clear-sky indices this far ahead, as clear as lately).

    P_clear: what the roof makes of a cloudless sky, learned by ``ClearSkyRoof``. Lately: the
    clear-sky index Σ y / Σ P_clear of the last sunny hours, in ``N_CLASSES`` classes.
    ``latitude``, ``longitude``: the site [°].
    """

    latitude: float = KONSTANZ_LATITUDE
    longitude: float = KONSTANZ_LONGITUDE
    learned: _Shares | None = None

    @property
    def name(self) -> str:
        """The name in tables."""
        return "clear-sky persistence"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``; ``DataError`` for under ``MIN_DAYS`` of them."""
        _require_days(series, until, self.name)
        sun = Sun.over(series, 0, self.latitude, self.longitude)
        values = series.values[:until]
        roof = ClearSkyRoof.fit(series.who, values, sun)
        clear_kw = roof.power_kw(sun)[:until]
        lately = _lately(values, clear_kw, series.steps_a_day)
        target = np.flatnonzero(np.isfinite(values) & (clear_kw > LEAST_CLEAR * clear_kw.max()))
        index = values[target] / clear_kw[target]
        edges = np.nanquantile(lately, np.arange(1, N_CLASSES) / N_CLASSES)
        quantiles = np.empty((len(CLASS_LEADS_H), N_CLASSES, len(LEVELS)))
        for lead, (first_h, last_h) in enumerate(CLASS_LEADS_H):
            steps_ago = np.arange(round(first_h / series.step_h), round(last_h / series.step_h))
            known = target[:, None] - steps_ago
            state = np.where(known > 0, lately[np.maximum(known - 1, 0)], np.nan)
            of_class = np.searchsorted(edges, state)
            pairs = np.broadcast_to(index[:, None], state.shape)
            for k in range(N_CLASSES):
                some = pairs[np.isfinite(state) & (of_class == k)]
                quantiles[lead, k] = np.quantile(some if len(some) else index, LEVELS)
        return replace(self, learned=_Shares(roof=roof, edges=edges, quantiles=quantiles))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of the ``n_steps`` from each of the rising ``origins``."""
        if self.learned is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        targets = steps_ahead(series, origins, n_steps)
        sun = Sun.over(series, n_steps, self.latitude, self.longitude)
        clear_kw = self.learned.roof.power_kw(sun)
        lately = _lately(series.values, clear_kw[: len(series)], series.steps_a_day)[origins - 1]
        usual = float(np.median(self.learned.edges))
        of_class = np.searchsorted(self.learned.edges, np.where(np.isnan(lately), usual, lately))
        ends = np.array([last for _, last in CLASS_LEADS_H[:-1]])
        lead = np.searchsorted(ends, np.arange(n_steps) * series.step_h, side="right")
        index = self.learned.quantiles[lead][:, of_class].transpose(1, 2, 0)
        return _forecast(series, self.name, origins, clear_kw[targets][:, None, :] * index)


@dataclass(frozen=True, kw_only=True)
class LearnedPV:
    """Boosted trees on the place of the sun, the clear-sky index lately, and past generation.

    The clear-sky index is generation / clear sky of the same time: tilt, azimuth and size of the
    panels need not be known, the model learns them. ``latitude``, ``longitude``: the site [°].
    Its quantiles are described in ``ems.forecast.learned``; they are zero while the sun is down,
    and never above the most that was ever generated before the model learned.
    """

    latitude: float = KONSTANZ_LATITUDE
    longitude: float = KONSTANZ_LONGITUDE
    max_lead_h: float = 48.0
    learned: Boosted | None = None
    edges: Floats = field(default_factory=lambda: np.zeros(0))
    most_kw: float = np.inf

    @property
    def name(self) -> str:
        """The name in tables."""
        return "learned PV"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``; ``DataError`` for under ``MIN_DAYS`` of them."""
        clock, sun = Clock.of(series), Sun.over(series, 0, self.latitude, self.longitude)
        _require_days(series, until, self.name)
        known = np.isfinite(series.values[:until])
        target = np.flatnonzero(known & sun.up[:until])
        far, near = (round(h / series.step_h) for h in (self.max_lead_h, NEAR_H))
        rng = np.random.default_rng(0)
        lead = np.concatenate([rng.integers(0, most, len(target)) for most in (far, near)])
        target = np.tile(target, 2)
        kept = target >= lead + series.steps_a_day
        target, origin = target[kept], (target - lead)[kept]
        edges = np.quantile(sun.ghi_w_per_m2[target], np.arange(1, N_STRENGTHS) / N_STRENGTHS)
        learned = Boosted.fit(
            self._rows(series, clock, sun, origin, target),
            series.values[target],
            clock.day[target] // 7,
            _band(sun, target, edges),
            2 * N_STRENGTHS,
        )
        most_kw = float(np.max(series.values[target]))
        return replace(self, learned=learned, edges=edges, most_kw=most_kw)

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of the ``n_steps`` from each of the rising ``origins``."""
        if self.learned is None:
            raise DataError(f"{series.who}: {self.name} has learned nothing; call fit first")
        clock = Clock.of(series, beyond=n_steps)
        sun = Sun.over(series, n_steps, self.latitude, self.longitude)
        targets = steps_ahead(series, origins, n_steps).ravel()
        known = np.repeat(origins, n_steps)
        day = sun.up[targets]
        values = np.zeros((len(targets), len(LEVELS)))
        x = self._rows(series, clock, sun, known[day], targets[day])
        values[day] = self.learned.predict(x, _band(sun, targets[day], self.edges))
        shaped = values.reshape(len(origins), n_steps, -1).transpose(0, 2, 1)
        return _forecast(series, self.name, origins, np.clip(shaped, 0.0, self.most_kw))

    def _rows(self, series: Series, clock: Clock, sun: Sun, known: Ints, target: Ints) -> Floats:
        n = len(series)
        clear = sun.ghi_w_per_m2
        lately = [_index_lately(series, clear[:n], hours) for hours in (*RECENT_H, 24, 72, 168)]
        columns = [
            sun.elevation_deg[target],
            sun.azimuth_deg[target],
            clear[target],
            clear[np.maximum(known - 1, 0)],
            *(column[np.clip(known - 1, 0, n - 1)] for column in lately),
        ]
        own = rows(series, clock, known, target, known)
        return np.concatenate([own, np.stack(columns, axis=-1)], axis=1)


def _require_days(series: Series, until: int, name: str) -> None:
    known = np.isfinite(series.values[:until]).sum() / series.steps_a_day
    if known < MIN_DAYS:
        raise DataError(
            f"{series.who}: {known:.1f} days of known generation before step {until}, {name} "
            f"needs {MIN_DAYS}; forecast from a later day"
        )


def _lately(values: Floats, clear_kw: Floats, n: int) -> Floats:
    """Generation over the cloudless one in the last ``n`` steps, each step included."""
    known = np.isfinite(values)
    made = trailing_mean(np.where(known, values, np.nan)[:, None], n)[:, 0]
    possible = trailing_mean(np.where(known, clear_kw, np.nan)[:, None], n)[:, 0]
    return np.asarray(
        np.divide(made, possible, out=np.full(len(values), np.nan), where=possible > 0.0)
    )


def _band(sun: Sun, target: Ints, edges: Floats) -> Ints:
    """Which part of the day each step is in: strength of the clear sky and side of noon."""
    strength = np.searchsorted(edges, sun.ghi_w_per_m2[target])
    return 2 * strength + (sun.azimuth_deg[target] > 180.0)


def _index_lately(series: Series, clear: Floats, hours: float) -> Floats:
    """Generation over clear sky of the last ``hours``, each step included, NaN in the night."""
    n = round(hours / series.step_h)
    usable = np.isfinite(series.values) & (clear > LEAST_SUN_W_PER_M2)
    made = trailing_mean(np.where(usable, series.values, np.nan)[:, None], n)[:, 0]
    possible = trailing_mean(np.where(usable, clear, np.nan)[:, None], n)[:, 0]
    index: Floats = made / possible
    return index


def _newest(clock: Clock, values: Floats, targets: Ints, known: Ints) -> Floats:
    """The value at each target's local time on the newest day before ``known``."""
    step = clock.ago(targets, clock.newest(targets, known, every=1))
    return np.where(step >= 0, values[np.clip(step, 0, len(values) - 1)], np.nan)


def _forecast(series: Series, model: str, origins: Ints, values: Floats) -> Forecast:
    return Forecast(
        who=series.who, unit=series.unit, model=model, origins=origins, values=values, least=0.0
    )
