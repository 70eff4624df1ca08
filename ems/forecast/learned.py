"""A boosted-trees point model, with quantiles from its errors on held-out weeks.

ŷ_τ(x) = f(x) + s(x) · Q_τ(z), z = (y − f₋(x)) / s(x)

f: the model of all rows. f₋: the same model fitted without the week of the row, so that its errors
are honest. s: a second model, of |y − f₋|. Q_τ(z): quantiles of z in each group of rows, such as
the time of day. This is locally weighted conformal prediction, Lei et al. 2018,
doi:10.1080/01621459.2017.1307116, with one quantile for each level instead of a symmetric interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ems.errors import DataError
from ems.forecast.clock import Clock
from ems.forecast.series import LEVELS, Series
from ems.types import Floats, Ints

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-untyped]

MIN_DAYS = 28
"""Days of known values that a learned model needs."""

N_TREES = 100
SHRINKAGE = 0.08
"""Learning rate of the boosting."""
FOLDS = 4
"""Number of folds; weeks are dealt to them, and each is predicted by a model of the others."""
LEAST_SCALE = 0.05
"""Minimum error scale as a share of the mean error."""
TINY = 1e-12
"""Avoids division by zero for a constant series."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Boosted:
    """The learned model, the model of its errors, and their quantiles by group."""

    model: HistGradientBoostingRegressor
    scale: HistGradientBoostingRegressor
    least: float
    quantiles: Floats

    @classmethod
    def by_slot(cls, x: Floats, series: Series, clock: Clock, target: Ints) -> Self:
        """Learn the values of the steps ``target`` from rows ``x``, with errors by time of day."""
        return cls.fit(
            x,
            series.values[target],
            week=clock.day[target] // 7,
            group=clock.slot[target],
            n_groups=clock.step.shape[1],
        )

    @classmethod
    def fit(cls, x: Floats, y: Floats, week: Ints, group: Ints, n_groups: int) -> Self:
        """Learn ``y`` from rows ``x``; ``week`` and ``group`` of each row as above."""
        # One thread: workers run in parallel, and results must not depend on the number of cores.
        with threadpool_limits(limits=1, user_api="openmp"):
            unseen = np.empty(len(y))
            for part in range(FOLDS):
                # Whole weeks: neighbouring steps are too alike to be held out singly.
                out = week % FOLDS == part
                unseen[out] = _trees().fit(x[~out], y[~out]).predict(x[out])
            error = np.abs(y - unseen)
            scale = _trees().fit(x, error)
            least = max(LEAST_SCALE * float(error.mean()), TINY)
            z = (y - unseen) / np.maximum(scale.predict(x), least)
            model = _trees().fit(x, y)
        quantiles = np.array([np.quantile(z[group == k], LEVELS) for k in range(n_groups)])
        return cls(model=model, scale=scale, least=least, quantiles=quantiles)

    def predict(self, x: Floats, group: Ints) -> Floats:
        """Quantiles at ``LEVELS`` of each row, shape ``(n_rows, n_levels)``."""
        with threadpool_limits(limits=1, user_api="openmp"):
            scale = np.maximum(self.scale.predict(x), self.least)
            centre = self.model.predict(x)
        values: Floats = centre[:, None] + scale[:, None] * self.quantiles[group]
        return values


def known_steps(series: Series, until: int, name: str) -> Ints:
    """The steps before ``until`` with a known value. ``DataError`` if under ``MIN_DAYS``."""
    known = np.flatnonzero(np.isfinite(series.values[:until]))
    if len(known) < MIN_DAYS * series.steps_a_day:
        raise DataError(
            f"{series.who}: {len(known) / series.steps_a_day:.1f} days of known values before the "
            f"first plan, {name} needs {MIN_DAYS}; forecast from a later day or by persistence"
        )
    return known


def _trees() -> HistGradientBoostingRegressor:
    from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second; only if needed

    return HistGradientBoostingRegressor(
        max_iter=N_TREES,
        learning_rate=SHRINKAGE,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        random_state=0,
    )
