"""Forecast quality by rolling origin, never scored on training data.

Every ``REFIT_DAYS`` each model learns again from everything before, and forecasts from every origin
until the next refit. With y the truth, q_τ the quantile at level τ, over all steps scored:

- MAE = mean |y − q_0.5|, bias = mean (q_0.5 − y), skill = 1 − MAE / MAE of the reference;
- pinball loss of a level = mean max(τ·(y − q_τ), (τ − 1)·(y − q_τ));
- CRPS ≈ 2 · mean of the nine pinball losses (Laio and Tamea 2007, doi:10.5194/hess-11-1267-2007);
- coverage = share of q_0.1 ≤ y ≤ q_0.9, width = mean (q_0.9 − q_0.1).

All in the unit of the series; coverage and skill are fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.forecast.clock import Clock
from ems.forecast.series import LEVELS, Forecast, Forecaster, Series
from ems.types import Bools, Floats, Ints

REFIT_DAYS = 28
LEADS_H = ((0, 6), (6, 12), (12, 24), (24, 48))
"""Buckets of the time from the origin to the start of a step [h]."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of some steps, defined at the top of this module.

    ``n``: steps scored; ``n_unknown``: steps left out because the truth is unknown; ``pinball``:
    one loss for each of ``LEVELS``.
    """

    n: int
    n_unknown: int
    mae: float
    bias: float
    skill: float
    pinball: tuple[float, ...]
    coverage: float
    width: float

    @property
    def crps(self) -> float:
        """Continuous ranked probability score from the quantiles, in the unit of the series."""
        return 2.0 * float(np.mean(self.pinball))


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """One model on one series: all steps, by local month ``YYYY-MM``, and by lead ``LEADS_H``.

    A month or lead without any known truth is left out.
    """

    who: str
    unit: str
    model: str
    overall: Scores
    by_month: Mapping[str, Scores]
    by_lead: Mapping[tuple[int, int], Scores]


def origins_every(series: Series, every_h: int, first: int, n_steps: int) -> Ints:
    """The steps from ``first`` at local hours 0, ``every_h``, …, with ``n_steps`` after them."""
    if every_h < 1 or 24 % every_h:
        raise InvalidSpec(f"rolling origin: every_h is {every_h}, it must divide 24")
    slots = round(every_h / series.step_h)
    steps = np.arange(first, len(series) - n_steps + 1)
    origins: Ints = steps[Clock.of(series).slot[steps] % slots == 0]
    return origins


def first_origin(series: Series, days: int) -> int:
    """The first step after ``days`` days of known values. ``DataError`` if there is none."""
    known = np.flatnonzero(np.isfinite(series.values))
    n = days * series.steps_a_day
    if len(known) < n:
        raise DataError(
            f"{series.who}: {len(known) / series.steps_a_day:.1f} days of known values, {days} are "
            "needed before the first forecast"
        )
    return int(known[n - 1]) + 1


def rolling_forecast(
    forecaster: Forecaster, series: Series, origins: Ints, n_steps: int
) -> Forecast:
    """Forecasts from increasing ``origins``, each by a model trained before it.

    The model is fitted at the first origin, and again at the first origin at least ``REFIT_DAYS``
    after its last fit.
    """
    if not len(origins):
        raise DataError(f"{series.who}: no origin to forecast from; the series is too short")
    parts = []
    for block in _blocks(origins, REFIT_DAYS * series.steps_a_day):
        model = forecaster.fit(series, int(block[0]))
        parts.append(model.forecast(series, block, n_steps))
    return Forecast(
        who=parts[0].who,
        unit=parts[0].unit,
        model=parts[0].model,
        origins=origins,
        values=np.concatenate([part.values for part in parts]),
        least=parts[0].least,
    )


def _blocks(origins: Ints, length: int) -> list[Ints]:
    starts, begin = [0], int(origins[0])
    while (after := int(np.searchsorted(origins, begin + length))) < len(origins):
        starts.append(after)
        begin = int(origins[after])
    return np.split(origins, starts[1:])


def rolling_scores(
    forecasters: Sequence[Forecaster],
    series: Series,
    origins: Ints,
    n_steps: int,
    left_out: Bools | None = None,
) -> tuple[ModelScores, ...]:
    """Score every forecaster on the same steps; skill is relative to the first.

    ``left_out``: steps not scored although their truth is known, ``(n_origins, n_steps)``.
    """
    forecasts = [rolling_forecast(each, series, origins, n_steps) for each in forecasters]
    return tuple(score(each, forecasts[0], series, left_out) for each in forecasts)


def truth_of(forecast: Forecast, series: Series) -> Floats:
    """The observed values, shape ``(n_origins, n_steps)``, NaN if unknown."""
    steps = forecast.origins[:, None] + np.arange(forecast.n_steps)
    inside = steps < len(series)
    return np.where(inside, series.values[np.minimum(steps, len(series) - 1)], np.nan)


def score(
    forecast: Forecast, reference: Forecast, series: Series, left_out: Bools | None = None
) -> ModelScores:
    """The scores of ``forecast``, with skill against ``reference`` from the same origins.

    Raises ``DataError`` if no truth is known.
    """
    if not np.array_equal(forecast.origins, reference.origins):
        raise InvalidSpec(f"{forecast.who}: {reference.model} has other origins; use the same")
    truth = truth_of(forecast, series)
    counted = np.ones(truth.shape, dtype=np.bool_) if left_out is None else ~left_out
    losses = _Losses.of(forecast, reference, truth)
    if not (counted & losses.known).any():
        raise DataError(f"{forecast.who}: no truth is known at any step forecast")
    steps = forecast.origins[:, None] + np.arange(forecast.n_steps)
    clock = Clock.of(series, beyond=forecast.n_steps)
    month = clock.days.astype("datetime64[M]")[clock.day[steps]]
    lead_h = np.broadcast_to(np.arange(forecast.n_steps) * series.step_h, truth.shape)
    months = {str(m): counted & (month == m) for m in np.unique(month)}
    leads = {(a, b): counted & (lead_h >= a) & (lead_h < b) for a, b in LEADS_H}
    return ModelScores(
        who=forecast.who,
        unit=forecast.unit,
        model=forecast.model,
        overall=losses.over(counted),
        by_month={m: losses.over(w) for m, w in months.items() if (w & losses.known).any()},
        by_lead={lead: losses.over(w) for lead, w in leads.items() if (w & losses.known).any()},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Losses:
    """The losses of each step, shape ``(n_origins, n_steps)`` or with levels between."""

    known: Bools
    error: Floats
    reference: Floats
    pinball: Floats
    inside: Bools
    width: Floats

    @classmethod
    def of(cls, forecast: Forecast, reference: Forecast, truth: Floats) -> _Losses:
        low, high = forecast.values[:, 0], forecast.values[:, -1]
        return cls(
            known=np.isfinite(truth),
            error=forecast.median - truth,
            reference=np.abs(reference.median - truth),
            pinball=pinball_loss(forecast.values, truth),
            inside=(low <= truth) & (truth <= high),
            width=high - low,
        )

    def over(self, where: Bools) -> Scores:
        kept = where & self.known
        mae = float(np.abs(self.error[kept]).mean())
        persistence = float(self.reference[kept].mean())
        return Scores(
            n=int(kept.sum()),
            n_unknown=int((where & ~self.known).sum()),
            mae=mae,
            bias=float(self.error[kept].mean()),
            skill=1.0 - mae / persistence if persistence > 0.0 else float("nan"),
            pinball=tuple(float(one[kept].mean()) for one in np.moveaxis(self.pinball, 1, 0)),
            coverage=float(self.inside[kept].mean()),
            width=float(self.width[kept].mean()),
        )


def pinball_loss(quantiles: Floats, truth: Floats) -> Floats:
    """max(τ·(y − q_τ), (τ − 1)·(y − q_τ)) of every origin, level and step.

    ``quantiles``: ``(n_origins, n_levels, n_steps)``, ``truth``: ``(n_origins, n_steps)``.
    """
    error = truth[:, None, :] - quantiles
    level = LEVELS[:, None]
    loss: Floats = np.maximum(level * error, (level - 1.0) * error)
    return loss
