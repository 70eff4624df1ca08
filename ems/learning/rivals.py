"""Rival habit models with the interface of ``ProbabilityModelAgent``, scored by the same code.

``FixedModel`` never learns. ``DirichletModel`` counts starts (Dirichlet–multinomial); with the
prior PMF p₀ worth c starts::

    p(h) = (c·p₀(h) + N(h)) / (c + Σ N)

- as it is: all-history frequencies;
- ``half_life_days``: every count loses half its weight in that many days (exponential forgetting);
- ``kernel_width_h``: a start also counts for the neighbouring hours, across midnight.

The posterior of p(h) is Beta(c·p₀(h) + N(h), the rest), which gives the credible intervals. With a
kernel they are too narrow, because neighbouring hours then share their starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ems.errors import InvalidSpec
from ems.learning.habit import Habit, PmfUpdate
from ems.learning.pmf import circular_kernel, entropy_bits, js_distance, smooth
from ems.learning.priors import Prior, uniform
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.rate import LearningRate
from ems.learning.usage import DayUse
from ems.site.calendar import DAY_TYPES, day_type_index
from ems.site.place import Place
from ems.types import Floats

JEFFREYS_STARTS = 12.0
"""Concentration of the all-history frequencies: half a start per hour."""

USE_DAYS = 2.0
"""Weight of the prior probability of use, in days."""

HALF_LIFE_DAYS = 90.0

KERNEL_WIDTH_H = 0.75
"""Chosen on real meters; between 0.5 and 1 h it costs at most 0.02 bit per start."""


class FixedModel:
    """Always predicts the prior."""

    def __init__(self, *, device: str, place: Place, prior: Prior) -> None:
        self.device, self.place, self.prior = device, place, prior

    def predict(self, day: date) -> Habit:
        """The prior of the day's type."""
        kind = day_type_index(day, self.place)
        return Habit(
            day=day,
            day_type=DAY_TYPES[kind],
            hours=self.prior.hours[kind],
            use_probability=float(self.prior.use_probability[kind]),
            mean_starts=float(self.prior.mean_starts[kind]),
        )

    def train(self, runs: Iterable[DayUse]) -> tuple[PmfUpdate, ...]:
        """Learns nothing."""
        return ()

    def update(self, day: DayUse) -> PmfUpdate | None:
        """Learns nothing."""
        return None


class DirichletModel:
    """Dirichlet–multinomial counts, optionally with forgetting and circular smoothing.

    ``concentration``: weight of the prior, in starts. Raises ``InvalidSpec`` for a concentration,
    half-life or kernel width ≤ 0.
    """

    def __init__(
        self,
        *,
        device: str,
        place: Place,
        prior: Prior,
        concentration: float = JEFFREYS_STARTS,
        half_life_days: float = np.inf,
        kernel_width_h: float | None = None,
    ) -> None:
        for name, value in {
            "concentration": concentration,
            "half_life_days": half_life_days,
        }.items():
            if not value > 0.0:
                raise InvalidSpec(f"{device}: {name} = {value}, expected a number above 0")
        if kernel_width_h is not None:
            # Only to check the width now instead of on the first update.
            circular_kernel(kernel_width_h)
        self.device, self.place, self.prior = device, place, prior
        self.concentration, self.half_life_days = concentration, half_life_days
        self.kernel_width_h = kernel_width_h
        n_types = len(DAY_TYPES)
        self._counts: Floats = np.zeros((n_types, 24))
        self._days: Floats = np.zeros(n_types)
        self._used: Floats = np.zeros(n_types)
        self._starts: Floats = np.zeros(n_types)
        self._n: NDArray[np.int64] = np.zeros(n_types, dtype=np.int64)
        self._last: date | None = None

    def train(self, runs: Iterable[DayUse]) -> tuple[PmfUpdate, ...]:
        """Learn known days in order; returns every step that moved a PMF."""
        return tuple(step for day in runs if (step := self.update(day)) is not None)

    def predict(self, day: date) -> Habit:
        """The posterior mean."""
        kind = day_type_index(day, self.place)
        keep = self._kept(day)
        used = keep * self._used[kind]
        return Habit(
            day=day,
            day_type=DAY_TYPES[kind],
            hours=self._mean(kind, keep),
            use_probability=float(
                (USE_DAYS * self.prior.use_probability[kind] + used)
                / (USE_DAYS + keep * self._days[kind])
            ),
            mean_starts=float(
                (self.prior.mean_starts[kind] + keep * self._starts[kind]) / (1.0 + used)
            ),
        )

    def credible_interval(self, day: date, level: float = 0.9) -> tuple[Floats, Floats]:
        """Bounds of the central credible interval of each hour's probability, each ``(24,)``."""
        if not 0.0 < level < 1.0:
            raise InvalidSpec(f"{self.device}: level = {level}, expected 0 < level < 1")
        kind = day_type_index(day, self.place)
        from scipy.special import betaincinv  # takes a third of a second

        mass = self.concentration + self._kept(day) * self._counts[kind].sum()
        a = mass * self._mean(kind, self._kept(day))
        tail = 0.5 * (1.0 - level)
        return betaincinv(a, mass - a, tail), betaincinv(a, mass - a, 1.0 - tail)

    def update(self, day: DayUse) -> PmfUpdate | None:
        """Count one day; None if it had no own start."""
        self._forget(day.day)
        kind = day.day_type
        self._days[kind] += 1.0
        self._used[kind] += float(day.used)
        self._starts[kind] += day.n_starts
        own = day.own_starts
        return self._count_hours(day, own) if own > 0.0 else None

    def _count_hours(self, day: DayUse, own: float) -> PmfUpdate:
        kind = day.day_type
        before = self._mean(kind, 1.0)
        seen = (
            day.starts if self.kernel_width_h is None else smooth(day.starts, self.kernel_width_h)
        )
        self._counts[kind] += seen
        hours = self._mean(kind, 1.0)
        self._n[kind] += 1
        return PmfUpdate(
            device=self.device,
            day=day.day,
            day_type=DAY_TYPES[kind],
            n=int(self._n[kind]) - 1,
            alpha=own / float(self.concentration + self._counts[kind].sum()),
            js_to_prior=float(js_distance(hours, self.prior.hours[kind])),
            js_step=float(js_distance(hours, before)),
            entropy_bits=float(entropy_bits(hours)),
            own_starts=own,
            hours=hours,
        )

    def _mean(self, kind: int, keep: float) -> Floats:
        counts = keep * self._counts[kind]
        weights = self.concentration * self.prior.hours[kind] + counts
        return np.asarray(weights / (self.concentration + counts.sum()))

    def _kept(self, day: date) -> float:
        """Share of the counts that remains on ``day``."""
        if self._last is None:
            return 1.0
        return float(0.5 ** ((day - self._last).days / self.half_life_days))

    def _forget(self, day: date) -> None:
        keep = self._kept(day)
        for counts in (self._counts, self._days, self._used, self._starts):
            # In place: the arrays are the state.
            counts *= keep
        self._last = day


Model = FixedModel | DirichletModel | ProbabilityModelAgent


def standard_models(
    device: str, place: Place, priors: Iterable[Prior], rate: LearningRate | None = None
) -> dict[str, Model]:
    """A new model of every kind, by name.

    ``uniform``, ``all_history``, ``forgetting`` and ``kernel`` start from the uniform prior. For
    each of ``priors`` come ``rate:<prior>`` (the agent) and, unless it is uniform,
    ``fixed:<prior>``, ``dirichlet:<prior>`` and ``kernel:<prior>``.
    """
    fixed = partial(FixedModel, device=device, place=place)
    counting = partial(DirichletModel, device=device, place=place)
    adaptive = partial(ProbabilityModelAgent, device=device, place=place)
    flat = uniform()
    models: dict[str, Model] = {
        "uniform": fixed(prior=flat),
        "all_history": counting(prior=flat),
        "forgetting": counting(prior=flat, half_life_days=HALF_LIFE_DAYS),
        "kernel": counting(prior=flat, kernel_width_h=KERNEL_WIDTH_H),
    }
    for prior in priors:
        models[f"rate:{prior.name}"] = adaptive(prior=prior, rate=rate)
        if prior.name != flat.name:
            models[f"fixed:{prior.name}"] = fixed(prior=prior)
            models[f"dirichlet:{prior.name}"] = counting(prior=prior)
            models[f"kernel:{prior.name}"] = counting(prior=prior, kernel_width_h=KERNEL_WIDTH_H)
    return models
