"""Percentile intervals over days from a bootstrap, used by the whole package.

Days (or devices) are drawn with replacement, as many as there are, ``RESAMPLES`` times; the
interval is the middle 95 % of the draws. Neighbouring days can be drawn together in blocks of
``block_days`` that wrap around the end (circular block bootstrap, Politis and Romano 1992); blocks
of one day treat days as independent.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ems.types import Floats

RESAMPLES = 2000
LEVELS = (0.025, 0.975)


def drawn_sums(*values: Floats, seed: int, block_days: int = 1) -> tuple[Floats, ...]:
    """The sum of each series over the same drawn days, each of shape ``(RESAMPLES,)``.

    All ``values`` have shape ``(n_days,)``. Sums instead of means, so that ratios can be taken draw
    by draw.
    """
    counts = _day_counts(len(values[0]), block_days, seed)
    return tuple(counts @ np.asarray(series, dtype=np.float64) for series in values)


def middle(draws: Floats) -> tuple[float, float]:
    """The bounds of the middle 95 % of ``draws``."""
    low, high = np.quantile(draws, LEVELS)
    return float(low), float(high)


def ratio_interval(
    numerator: Floats, denominator: Floats, *, seed: int, block_days: int = 1
) -> tuple[float, float]:
    """Interval of Σ numerator / Σ denominator over draws with Σ denominator > 0."""
    above, below = drawn_sums(numerator, denominator, seed=seed, block_days=block_days)
    return middle(above[below > 0] / below[below > 0])


@lru_cache(maxsize=4)  # several scores of the same days are computed in a row
def _day_counts(n_days: int, block_days: int, seed: int) -> Floats:
    """How often each day is in each draw, shape ``(RESAMPLES, n_days)``."""
    # Imported here, since it loads statsmodels: more than a second at every start.
    from arch.bootstrap import CircularBlockBootstrap

    draws = CircularBlockBootstrap(block_days, np.arange(n_days), seed=np.random.default_rng(seed))
    counts = [np.bincount(days, minlength=n_days) for (days,), _ in draws.bootstrap(RESAMPLES)]
    return np.array(counts, dtype=np.float64)
