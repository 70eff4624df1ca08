"""A point model of boosted trees, and quantiles from the errors it makes on weeks it has not seen.

ŷ_τ(x) = f(x) + s(x) · Q_τ(z), z = (y − f₋(x)) / s(x)

f: the model of all rows. f₋: the same model fitted without the week of the row, so that its errors
are honest. s: a second model, of |y − f₋|. Q_τ(z): quantiles of z by time of day. This is
locally weighted conformal prediction, Lei et al. 2018, doi:10.1080/01621459.2017.1307116, with one
quantile for each level instead of a symmetric interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-untyped]

from ems.forecast.series import LEVELS, Ints
from ems.history import Floats

FOLDS = 4
"""The weeks are dealt to so many parts; each is predicted by the model of the others."""
LEAST_SCALE = 0.05
"""No error is expected to be smaller than this share of the mean one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Boosted:
    """What was learned: the model, the model of its errors, and their quantiles by time of day."""

    model: HistGradientBoostingRegressor
    error: HistGradientBoostingRegressor
    least: float
    quantiles: Floats

    @classmethod
    def fit(cls, x: Floats, y: Floats, week: Ints, slot: Ints, n_slots: int) -> Self:
        """Learn ``y`` from rows ``x``; ``week`` and ``slot`` of each row say when it was."""
        unseen = np.empty(len(y))
        for part in range(FOLDS):
            out = week % FOLDS == part
            unseen[out] = _trees().fit(x[~out], y[~out]).predict(x[out])
        error = _trees().fit(x, np.abs(y - unseen))
        least = LEAST_SCALE * float(np.mean(np.abs(y - unseen)))
        z = (y - unseen) / np.maximum(error.predict(x), least)
        quantiles = np.array([np.quantile(z[slot == k], LEVELS) for k in range(n_slots)])
        return cls(model=_trees().fit(x, y), error=error, least=least, quantiles=quantiles)

    def predict(self, x: Floats, slot: Ints) -> Floats:
        """Quantiles at ``LEVELS`` of each row, shape ``(n_rows, n_levels)``."""
        scale = np.maximum(self.error.predict(x), self.least)
        return np.asarray(self.model.predict(x)[:, None] + scale[:, None] * self.quantiles[slot])


def _trees() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=100, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=40, random_state=0
    )
