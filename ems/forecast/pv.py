"""PV forecasts from past generation and the position of the sun."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from ems.errors import DataError
from ems.forecast.clear_sky import ClearSkyRoof, Sun
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.features import rows, trailing_mean
from ems.forecast.learned import MIN_DAYS, Boosted
from ems.forecast.series import LEVELS, Forecast, Series
from ems.forecast.weather import WeatherAgent
from ems.types import Floats, Ints

RECENT_H = (1, 3, 6)
"""Windows of the recent clear-sky index given to the model [h]."""
LEAST_SUN_W_PER_M2 = 20.0
"""Below this irradiance a clear-sky index is not meaningful."""
LEAST_CLEAR = 0.05
"""Below this share of the highest clear-sky power a clear-sky index is not meaningful."""
N_CLASSES = 5
CLASS_LEADS_H = ((0, 3), (3, 6), (6, 12), (12, 24), (24, 48))
"""Clear-sky indices are grouped by recent clearness and by lead [h]."""
NEAR_H = 6.0
"""Each step is learned twice: at any lead, and at one below this, where most is known [h]."""
N_STRENGTHS = 5
"""Errors are grouped by this many strengths of the clear sky, before and after noon."""


@dataclass(frozen=True, kw_only=True)
class PVPersistence:
    """ŷ_τ(t) = y(newest known day, same local time) + Q_τ(past errors at this time of day).

    Zero while the sun is down; at least zero and at most the maximum generation before it was
    learned.
    """

    needs_days: ClassVar[int] = 8  # a week, and the day before it
    errors: Floats | None = None
    seen_kw: float = np.inf

    @property
    def name(self) -> str:
        """Name in tables."""
        return "PV persistence"

    def fit(self, series: Series, until: int) -> Self:
        """Learn the error quantiles before ``until``. ``DataError`` if under a week is known."""
        clock = Clock.of(series)
        targets = np.arange(until)
        values = series.values[:until]
        errors = values - _newest(clock, values, targets, targets)
        if np.isfinite(errors).sum() < 7 * series.steps_a_day:
            raise DataError(
                f"{series.who}: {np.isfinite(errors).sum()} steps of known generation whose day "
                f"before is known too, {7 * series.steps_a_day} are needed; forecast from a later "
                "day"
            )
        by_slot = [errors[clock.slot[:until] == k] for k in range(clock.step.shape[1])]
        table = np.array([np.nanquantile(some, LEVELS) for some in by_slot])
        return replace(self, errors=table, seen_kw=float(np.nanmax(values)))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``."""
        if self.errors is None:
            raise _untaught(series, self.name)
        clock = Clock.of(series, beyond=n_steps)
        sun = Sun.over(series, n_steps)
        targets = steps_ahead(series, origins, n_steps)
        known = np.broadcast_to(origins[:, None], targets.shape)
        centre = np.nan_to_num(_newest(clock, series.values, targets, known))
        values = centre[:, None, :] + np.moveaxis(self.errors[clock.slot[targets]], 2, 1)
        lit = np.where(sun.up[targets][:, None, :], values, 0.0)
        return _forecast(series, self.name, origins, np.clip(lit, 0.0, self.seen_kw))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shares:
    """The roof, and its clear-sky index by lead and recent clearness.

    ``classes``: the recent clear-sky index at the middle of each class, ``(n_classes,)``;
    ``quantiles``: of the clear-sky index, ``(n_leads, n_classes, n_levels)``.
    """

    roof: ClearSkyRoof
    classes: Floats
    quantiles: Floats


@dataclass(frozen=True, kw_only=True)
class ClearSkyPersistence:
    """ŷ_τ(t) = P_clear(t) · Q_τ(past clear-sky indices at this lead and recent clearness).

    P_clear: clear-sky generation learned by ``ClearSkyRoof``. Recent clearness: the clear-sky index
    Σ y / Σ P_clear of the last day; quantiles are interpolated linearly between ``N_CLASSES``
    classes. Zero at night, and at most the maximum ever generated or ``CLOUD_EDGE`` · P_clear.
    """

    needs_days: ClassVar[int] = MIN_DAYS
    learned: _Shares | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return "clear-sky persistence"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``. ``DataError`` if under ``MIN_DAYS``."""
        _require_days(series, until, self.name)
        return replace(self, learned=self.shares(series, until))

    def shares(self, series: Series, until: int) -> _Shares:
        """The roof and its clear-sky indices, learned from the steps before ``until``."""
        sun = Sun.over(series, 0)
        values = series.values[:until]
        roof = ClearSkyRoof.fit(series.who, values, sun)
        clear_kw = roof.power_kw(sun)[:until]
        lately = _lately(values, clear_kw, series.steps_a_day)
        target = np.flatnonzero(np.isfinite(values) & (clear_kw > LEAST_CLEAR * clear_kw.max()))
        edges = np.nanquantile(lately, np.arange(N_CLASSES + 1) / N_CLASSES)
        tables = [
            _by_class(values[target] / clear_kw[target], _before(lately, target, leads), edges)
            for leads in (_lead_steps(series, between_h) for between_h in CLASS_LEADS_H)
        ]
        middles = (edges[:-1] + edges[1:]) / 2.0
        return _Shares(roof=roof, classes=middles, quantiles=np.array(tables))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``."""
        if self.learned is None:
            raise _untaught(series, self.name)
        targets = steps_ahead(series, origins, n_steps)
        sun = Sun.over(series, n_steps)
        clear_kw = self.learned.roof.power_kw(sun)
        lately = _lately(series.values, clear_kw[: len(series)], series.steps_a_day)[origins - 1]
        classes = self.learned.classes
        usual = classes[len(classes) // 2]
        share = np.interp(
            np.where(np.isnan(lately), usual, lately), classes, np.arange(len(classes))
        )
        # At the last class the part is 1, so that both ends of the interpolation exist.
        low = np.minimum(share.astype(np.int64), len(classes) - 2)
        part = (share - low)[:, None]
        ends = np.array([last for _, last in CLASS_LEADS_H[:-1]])
        table = self.learned.quantiles[np.searchsorted(ends, _leads_h(series, n_steps), "right")]
        index = table[:, low] * (1.0 - part) + table[:, low + 1] * part
        values = clear_kw[targets][:, None, :] * index.transpose(1, 2, 0)
        ceiling_kw = self.learned.roof.ceiling_kw(clear_kw)[targets][:, None, :]
        return _forecast(series, self.name, origins, np.clip(values, 0.0, ceiling_kw))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trees:
    """The trees, the edges between strengths of the sun, and the clear-sky half."""

    boosted: Boosted
    edges: Floats
    clear_sky: ClearSkyPersistence
    roof: ClearSkyRoof


@dataclass(frozen=True, kw_only=True)
class LearnedPV:
    """Each quantile is the mean of boosted trees and ``ClearSkyPersistence``.

    The trees use the sun's position, the recent clear-sky index and past generation; tilt, azimuth
    and size of the panels need not be known. With recorded forecasts in ``weather`` they also use
    the forecast sun and temperature, and stand alone, since the other half does not know them.
    Persisting weather adds nothing.
    Quantiles as in ``ems.forecast.learned``; mean of quantiles after Lichtendahl et al. 2013,
    doi:10.1287/mnsc.1120.1667. Zero at night, and at most the maximum ever generated or
    ``CLOUD_EDGE`` · P_clear.
    """

    needs_days: ClassVar[int] = MIN_DAYS
    max_lead_h: float = 48.0
    weather: WeatherAgent = field(default_factory=WeatherAgent)
    learned: _Trees | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return "learned PV"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``. ``DataError`` if under ``MIN_DAYS``."""
        _require_days(series, until, self.name)
        clock, sun = Clock.of(series), Sun.over(series, 0)
        target, origin = self._pairs(series, sun, until)
        edges = np.quantile(sun.ghi_w_per_m2[target], np.arange(1, N_STRENGTHS) / N_STRENGTHS)
        boosted = Boosted.fit(
            self._rows(series, clock, sun, origin, target),
            series.values[target],
            clock.day[target] // 7,
            _band(sun, target, edges),
            2 * N_STRENGTHS,
        )
        clear_sky = ClearSkyPersistence()
        shares = clear_sky.shares(series, until)
        return replace(
            self,
            learned=_Trees(
                boosted=boosted,
                edges=edges,
                clear_sky=replace(clear_sky, learned=shares),
                roof=shares.roof,
            ),
        )

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``.

        Raises ``DataError`` if ``weather`` has no recent forecast at an origin.
        """
        if self.learned is None:
            raise _untaught(series, self.name)
        clock = Clock.of(series, beyond=n_steps)
        sun = Sun.over(series, n_steps)
        targets = steps_ahead(series, origins, n_steps)
        known = np.broadcast_to(origins[:, None], targets.shape)
        lit = sun.up[targets]
        x = self._rows(series, clock, sun, known[lit], targets[lit])
        trees = np.zeros((*targets.shape, len(LEVELS)))
        trees[lit] = self.learned.boosted.predict(x, _band(sun, targets[lit], self.learned.edges))
        ceiling_kw = self.learned.roof.ceiling_kw(self.learned.roof.power_kw(sun))[targets]
        capped = np.clip(trees, 0.0, ceiling_kw[:, :, None]).transpose(0, 2, 1)
        values = capped
        if self.weather.mode == "persistence":
            shaped = self.learned.clear_sky.forecast(series, origins, n_steps)
            values = (capped + shaped.values) / 2.0
        return _forecast(series, self.name, origins, np.where(lit[:, None, :], values, 0.0))

    def _pairs(self, series: Series, sun: Sun, until: int) -> tuple[Ints, Ints]:
        """Sunny steps with a known value, each twice, with an origin before it: any, and a near
        one."""
        target = np.flatnonzero(np.isfinite(series.values[:until]) & sun.up[:until])
        # Fixed seed: learning twice must give the same model.
        rng = np.random.default_rng(0)
        most = [round(hours / series.step_h) for hours in (self.max_lead_h, NEAR_H)]
        lead = np.concatenate([rng.integers(0, n, len(target)) for n in most])
        target = np.tile(target, 2)
        kept = target >= lead + series.steps_a_day
        target, origin = target[kept], (target - lead)[kept]
        known = self.weather.knows(series, origin, target)
        least = round(MIN_DAYS * NEAR_H / series.step_h)
        if known.sum() < least:
            raise DataError(
                f"{series.who}: {known.sum()} steps with recorded forecasts of the weather before "
                f"step {until}, {least} are needed; forecast from a later day"
            )
        return target[known], origin[known]

    def _rows(self, series: Series, clock: Clock, sun: Sun, known: Ints, target: Ints) -> Floats:
        n, ghi = len(series), sun.ghi_w_per_m2
        lately = [_index_lately(series, ghi[:n], hours) for hours in (*RECENT_H, 24, 72, 168)]
        columns = [
            sun.elevation_deg[target],
            sun.azimuth_deg[target],
            ghi[target],
            ghi[np.maximum(known - 1, 0)],
            *(column[np.clip(known - 1, 0, n - 1)] for column in lately),
        ]
        if self.weather.mode == "recorded":
            _, believed = self.weather.believed(series, known, target)
            # Sorted, so that columns are in the same order when learning and forecasting.
            columns += [believed[name] for name in sorted(believed)]
        own = rows(series, clock, known, target)
        return np.concatenate([own, np.stack(columns, axis=-1)], axis=1)


def _untaught(series: Series, name: str) -> DataError:
    return DataError(f"{series.who}: {name} has learned nothing; call fit first")


def _lead_steps(series: Series, between_h: tuple[float, float]) -> Ints:
    return np.arange(round(between_h[0] / series.step_h), round(between_h[1] / series.step_h))


def _leads_h(series: Series, n_steps: int) -> Floats:
    return np.arange(n_steps, dtype=np.float64) * series.step_h


def _before(lately: Floats, target: Ints, leads: Ints) -> Floats:
    """What was known so many steps before each target, shape ``(n_targets, n_leads)``."""
    known = target[:, None] - leads
    return np.where(known > 0, lately[np.maximum(known - 1, 0)], np.nan)


def _by_class(index: Floats, state: Floats, edges: Floats) -> Floats:
    """Quantiles of ``index`` in each class of ``state``, ``(n_classes, n_levels)``.

    An empty class takes those of all.
    """
    of_class = np.clip(np.searchsorted(edges, state, side="right") - 1, 0, len(edges) - 2)
    pairs = np.broadcast_to(index[:, None], state.shape)
    known = np.isfinite(state)
    some = [pairs[known & (of_class == k)] for k in range(len(edges) - 1)]
    table = [np.quantile(each if len(each) else index, LEVELS) for each in some]
    return np.asarray(table, dtype=np.float64)


def _require_days(series: Series, until: int, name: str) -> None:
    known = np.isfinite(series.values[:until]).sum() / series.steps_a_day
    if known < MIN_DAYS:
        raise DataError(
            f"{series.who}: {known:.1f} days of known generation before step {until}, {name} "
            f"needs {MIN_DAYS}; forecast from a later day"
        )


def _lately(values: Floats, clear_kw: Floats, n: int) -> Floats:
    """Generation over clear-sky generation in the last ``n`` steps, each step included."""
    known = np.isfinite(values)
    made = trailing_mean(np.where(known, values, np.nan)[:, None], n)[:, 0]
    possible = trailing_mean(np.where(known, clear_kw, np.nan)[:, None], n)[:, 0]
    return np.asarray(
        np.divide(made, possible, out=np.full(len(values), np.nan), where=possible > 0.0)
    )


def _band(sun: Sun, target: Ints, edges: Floats) -> Ints:
    """Part of the day of each step: strength of the clear sky, and side of noon."""
    strength = np.searchsorted(edges, sun.ghi_w_per_m2[target])
    return 2 * strength + (sun.azimuth_deg[target] > 180.0)


def _index_lately(series: Series, clear: Floats, hours: float) -> Floats:
    """Generation over clear sky of the last ``hours``, each step included, NaN at night."""
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
