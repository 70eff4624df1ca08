"""Scores of habit models, one day ahead and before the update (prequential).

JS to the prior, or between steps, only shows that a model moved or stopped, not that it learned.
Scored is its prediction of the next day, per start whose hour people chose:

- log loss −log₂ p(hour) [bit]: 4.585 for the uniform distribution, lower is better;
- Brier score Σ_h (p(h) − 1{h = hour})²;
- ranked probability score on the circle [h], E d(X, y) − ½·E d(X, X′), d the circular distance: the
  absolute error of a deterministic forecast (Grimit et al. 2006, doi:10.1256/qj.05.235).

And for "used today", per day: log loss [bit], Brier, a reliability table. Intervals are seeded
bootstraps over days; models are compared by differences on the same days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np

from ems.economics.intervals import ratio_interval
from ems.errors import DataError, InvalidSpec
from ems.learning.habit import HabitModel, PmfUpdate
from ems.learning.pmf import N_HOURS, hour_distance_h, js_distance
from ems.learning.rate import MIN_TRAIN_DAYS
from ems.learning.usage import UseHistory
from ems.site.calendar import DAY_TYPES
from ems.types import Bools, Days, Floats, Ints

BLOCK_DAYS = 7
"""Days drawn together by the bootstrap, since neighbouring days may be alike."""

SHIFTED_TEST_HOURS = 7

Score = Literal["log_loss_bits", "brier", "crps_h"]
UseScore = Literal["use_log_loss_bits", "use_brier"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteForecasts:
    """A model's prediction of each scored day, and the outcome.

    ``hours``: predicted PMFs, shape ``(n, 24)``; ``use_probability``, ``mean_starts``: shape
    ``(n,)``; ``starts``: own starts by hour, ``(n, 24)``, zero on shifted days; ``used``: ``(n,)``.
    ``updates``: the reported learning steps, including training days.
    """

    who: str
    days: Days
    day_types: Ints
    hours: Floats
    use_probability: Floats
    mean_starts: Floats
    starts: Floats
    used: Bools
    updates: tuple[PmfUpdate, ...]

    @property
    def own_starts(self) -> Floats:
        """Starts that count in the hour scores, shape ``(n,)``."""
        return np.asarray(self.starts.sum(axis=1))

    @property
    def log_loss_bits(self) -> Floats:
        """Σ over the day's starts of −log₂ p(hour) [bit], shape ``(n,)``."""
        return log_loss_bits(self.hours, self.starts)

    @property
    def brier(self) -> Floats:
        """Σ over the day's starts of Σ_h (p(h) − 1{h = hour})², shape ``(n,)``."""
        at_start = np.sum(self.starts * (1.0 - 2.0 * self.hours), axis=1)
        return np.asarray(at_start + self.own_starts * np.sum(self.hours**2, axis=1))

    @property
    def crps_h(self) -> Floats:
        """Σ over the day's starts of E d(X, y) − ½·E d(X, X′) [h], shape ``(n,)``."""
        to_each = self.hours @ hour_distance_h()
        within = 0.5 * np.sum(to_each * self.hours, axis=1)
        return np.asarray(np.sum(self.starts * (to_each - within[:, None]), axis=1))

    @property
    def use_log_loss_bits(self) -> Floats:
        """−log₂ of the probability given to "used" or "not used" [bit], shape ``(n,)``."""
        given = np.where(self.used, self.use_probability, 1.0 - self.use_probability)
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log2(given))

    @property
    def use_brier(self) -> Floats:
        """(probability of use − 1{used})², shape ``(n,)``."""
        return np.asarray((self.use_probability - self.used) ** 2)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its bootstrap interval; ``weight``: the starts (or days) behind it."""

    mean: float
    low: float
    high: float
    weight: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} … {self.high:.3f})"


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Days with a predicted probability of use in [``low``, ``high``)."""

    low: float
    high: float
    n_days: int
    mean_predicted: float
    observed_share: float


@dataclass(frozen=True, kw_only=True)
class LearningScore:
    """How far a PMF moved, and how steadily: JS to prior − 0.5 · mean JS of the step.

    Both are Jensen–Shannon distances. ``js_to_prior``: of the last PMFs, weighted by the updates of
    the day types. It rewards movement, not foresight: compare it with the log loss.
    """

    n_updates: int
    js_to_prior: float
    mean_js_step: float

    @property
    def score(self) -> float:
        """JS to prior − 0.5 · mean JS of the step."""
        return self.js_to_prior - 0.5 * self.mean_js_step


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """One model's scores on one device.

    ``gain_bits``: by reference model, the bits per start that this model saves against it on the
    same days; > 0 is better.
    """

    model: str
    n_days: int
    n_starts: float
    log_loss_bits: Estimate
    brier: Estimate
    crps_h: Estimate
    use_log_loss_bits: Estimate
    use_brier: Estimate
    gain_bits: Mapping[str, Estimate]


# --- predictions before updates -----------------------------------------------------------------


def prequential(
    model: HabitModel, history: UseHistory, *, n_train: int = MIN_TRAIN_DAYS
) -> SiteForecasts:
    """Predict each day before learning it; the first ``n_train`` days only train.

    Raises ``DataError`` if nothing is left to score or no scored day has an own start.
    """
    first = check_enough(history, n_train)
    updates: list[PmfUpdate | None] = [*model.train(history.take(slice(0, first)))]
    habits = []
    for at in range(first, len(history)):
        habits.append(model.predict(history.days[at].item()))
        updates.append(model.update(history[at]))
    scored = history.take(slice(first, None))
    return SiteForecasts(
        who=history.who,
        days=scored.days,
        day_types=scored.day_types,
        hours=np.array([habit.hours for habit in habits]),
        use_probability=np.array([habit.use_probability for habit in habits]),
        mean_starts=np.array([habit.mean_starts for habit in habits]),
        starts=np.where(scored.shifted[:, None], 0.0, scored.starts),
        used=scored.n_starts > 0.0,
        updates=tuple(update for update in updates if update is not None),
    )


def check_enough(history: UseHistory, n_train: int) -> int:
    """``n_train``, if days and starts remain to score after it; otherwise raises."""
    if n_train < 0:
        raise InvalidSpec(f"{history.who}: n_train = {n_train} days, expected 0 or more")
    if len(history) <= n_train:
        raise DataError(
            f"{history.who}: {len(history)} known days ({history.n_unknown} unknown), "
            f"needed are {n_train} to train and at least one to score; take a longer window"
        )
    if not np.any(history.own_starts[n_train:] > 0.0):
        raise DataError(
            f"{history.who}: not a single own start on the {len(history) - n_train} days from "
            f"{history.days[n_train]} to {history.days[-1]}; choose another window or device"
        )
    return n_train


def check_blind(
    make: Callable[[UseHistory], HabitModel],
    history: UseHistory,
    *,
    n_train: int = MIN_TRAIN_DAYS,
    n_checks: int = 8,
) -> None:
    """Prove that no prediction depends on the day it predicts, or on a later one.

    ``make`` builds the model and may use the history it is given. For some days, the history from
    that day on is replaced (starts seven hours later, used and unused exchanged). Every prediction
    up to and including that day must stay the same. Raises ``DataError`` if not.
    """
    check_enough(history, n_train)
    honest = prequential(make(history), history, n_train=n_train)
    for at in np.unique(np.linspace(n_train, len(history) - 1, n_checks).astype(int)):
        other = _other_future(history, int(at))
        model = make(other)
        model.train(other.take(slice(0, int(at))))
        again, before = model.predict(history.days[at].item()), int(at) - n_train
        same = np.array_equal(again.hours, honest.hours[before])
        if not same or again.use_probability != honest.use_probability[before]:
            raise DataError(
                f"{history.who}: the prediction for {history.days[at]} changes with what happens "
                "from that day on: the model has seen the day it predicts; build it from earlier "
                "days only"
            )


def _other_future(history: UseHistory, at: int) -> UseHistory:
    later = np.arange(len(history)) >= at
    moved = np.roll(history.starts, SHIFTED_TEST_HOURS, axis=1)
    made_up = np.where(history.n_starts[:, None] > 0.0, 0.0, np.eye(N_HOURS)[SHIFTED_TEST_HOURS])
    flipped = np.where(np.arange(len(history))[:, None] % 2 == at % 2, moved, made_up)
    starts = np.where(later[:, None], flipped, history.starts)
    n_starts = np.where(later, starts.sum(axis=1), history.n_starts)
    return replace(history, starts=starts, n_starts=n_starts)


# --- scores with intervals ------------------------------------------------------------------------


def log_loss_bits(hours: Floats, starts: Floats) -> Floats:
    """Σ_h starts(h) · −log₂ p(h) [bit]; infinite for a start at an hour of probability 0."""
    with np.errstate(divide="ignore"):
        bits = -np.log2(hours)
    # Masked: 0 starts times infinite bits would be NaN.
    return np.asarray(np.sum(starts * np.where(starts > 0.0, bits, 0.0), axis=-1))


def mean_with_interval(
    values: Floats, weights: Floats, *, seed: int, block_days: int = BLOCK_DAYS
) -> Estimate:
    """Σ values / Σ weights over the days with weight > 0, with its 95 % interval.

    Days are drawn in blocks of ``block_days``, shorter if a record has fewer than eight of them.
    Raises ``DataError`` if no day has weight or a value is infinite.
    """
    kept = weights > 0.0
    n = int(kept.sum())
    if n == 0:
        raise DataError("score: no day has a weight above 0; there is nothing to average")
    of_values, of_weights = values[kept], weights[kept]
    if not np.isfinite(of_values).all():
        n_infinite = int((~np.isfinite(of_values)).sum())
        raise DataError(
            f"score: infinite on {n_infinite} days, because what happened had been given "
            "probability 0; give the model a uniform_share above 0"
        )
    block = max(1, min(block_days, n // 8))
    low, high = ratio_interval(of_values, of_weights, seed=seed, block_days=block)
    total = float(of_weights.sum())
    return Estimate(mean=float(of_values.sum()) / total, low=low, high=high, weight=total)


def score(forecasts: SiteForecasts, name: Score, *, seed: int) -> Estimate:
    """The mean of an hour score over all own starts."""
    return mean_with_interval(getattr(forecasts, name), forecasts.own_starts, seed=seed)


def use_score(forecasts: SiteForecasts, name: UseScore, *, seed: int) -> Estimate:
    """The mean of a score of "used today" over all days."""
    return mean_with_interval(getattr(forecasts, name), np.ones(len(forecasts.days)), seed=seed)


def gain(ours: SiteForecasts, reference: SiteForecasts, name: Score, *, seed: int) -> Estimate:
    """What ``ours`` saves against ``reference`` per start on the same days; > 0 is better."""
    if not np.array_equal(ours.days, reference.days) or ours.who != reference.who:
        raise InvalidSpec(
            f"{ours.who}: {len(ours.days)} days cannot be compared with {len(reference.days)} days "
            f"of {reference.who}; score both models on the same history"
        )
    saved = getattr(reference, name) - getattr(ours, name)
    return mean_with_interval(saved, ours.own_starts, seed=seed)


def contest(
    models: Mapping[str, HabitModel],
    history: UseHistory,
    *,
    references: Sequence[str] = ("uniform", "all_history"),
    n_train: int = MIN_TRAIN_DAYS,
    seed: int = 0,
) -> dict[str, ModelScores]:
    """Score every model on the same days; ``references`` are names of models."""
    missing = [name for name in references if name not in models]
    if missing:
        raise InvalidSpec(f"contest: references {missing} are no models; there are {list(models)}")
    said = {name: prequential(model, history, n_train=n_train) for name, model in models.items()}
    return {
        name: ModelScores(
            model=name,
            n_days=len(ours.days),
            n_starts=float(ours.own_starts.sum()),
            log_loss_bits=score(ours, "log_loss_bits", seed=seed),
            brier=score(ours, "brier", seed=seed),
            crps_h=score(ours, "crps_h", seed=seed),
            use_log_loss_bits=use_score(ours, "use_log_loss_bits", seed=seed),
            use_brier=use_score(ours, "use_brier", seed=seed),
            gain_bits={
                other: gain(ours, said[other], "log_loss_bits", seed=seed) for other in references
            },
        )
        for name, ours in said.items()
    }


def reliability(forecasts: SiteForecasts, n_bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Observed frequency of use by predicted probability; empty bins are left out."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    which = np.minimum((forecasts.use_probability * n_bins).astype(int), n_bins - 1)
    return tuple(
        ReliabilityBin(
            low=float(edges[k]),
            high=float(edges[k + 1]),
            n_days=int(inside.sum()),
            mean_predicted=float(forecasts.use_probability[inside].mean()),
            observed_share=float(forecasts.used[inside].mean()),
        )
        for k in range(n_bins)
        if (inside := which == k).any()
    )


def learning_score(updates: Sequence[PmfUpdate]) -> LearningScore:
    """The learning score of a model's reported steps. Raises ``DataError`` if there are none."""
    if not updates:
        raise DataError("learning score: no update was reported; the model has learned nothing")
    of_type = [[u for u in updates if u.day_type == name] for name in DAY_TYPES]
    far = sum(steps[-1].js_to_prior * len(steps) for steps in of_type if steps)
    return LearningScore(
        n_updates=len(updates),
        js_to_prior=far / len(updates),
        mean_js_step=float(np.mean([u.js_step for u in updates])),
    )


# --- where the truth is known --------------------------------------------------------------------


def distance_to_truth(forecasts: SiteForecasts, truth: Floats) -> Floats:
    """JS distance of each prediction to the true PMF of its day type; ``truth``: ``(2, 24)``."""
    return js_distance(forecasts.hours, truth[forecasts.day_types])


def days_to_half(forecasts: SiteForecasts, change: date, after: Floats, day_type: int = 0) -> float:
    """Days from a changed habit until half of the change is in the predictions.

    With p₀ the last prediction before the change, progress is the projection (p − p₀)·(after − p₀)
    / ‖after − p₀‖² of the predictions of ``day_type``; ``after``: the new PMF, shape ``(24,)``.
    Infinite if half is never reached. Raises ``DataError`` if no scored day of the type is before
    the change.
    """
    of_type = forecasts.day_types == day_type
    since = (forecasts.days - np.datetime64(change, "D")).astype(np.int64)
    if not np.any(of_type & (since < 0)):
        raise DataError(
            f"{forecasts.who}: no scored {DAY_TYPES[day_type]} before the change on {change}; "
            "plant it later"
        )
    start = forecasts.hours[of_type & (since < 0)][-1]
    way = after - start
    if not np.any(way):
        raise InvalidSpec("days_to_half: the prediction before the change is the new PMF already")
    gone = (forecasts.hours - start) @ way / (way @ way)
    reached = of_type & (since >= 0) & (gone >= 0.5)
    return float(since[reached][0]) if reached.any() else np.inf
