"""Percentile intervals over days from a bootstrap, used by the whole package.

Days (or devices) are drawn with replacement, as many as there are, ``RESAMPLES`` times; the
interval is the middle 95 % of the draws. Neighbouring days are alike, since weather lasts, so they
are drawn together in blocks that wrap around the end: of random length with a mean taken from the
days themselves (stationary bootstrap, Politis and Romano 1994, doi:10.1080/01621459.1994.10476870;
mean length by Politis and White 2004 with the correction of Patton et al. 2009,
doi:10.1080/07474930802459016), or of fixed length ``block_days`` (circular block bootstrap). Blocks
of one day treat days as independent.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ems.types import Floats

RESAMPLES = 2000
LEVELS = (0.025, 0.975)
LEAST_FOR_LENGTH = 10
"""With fewer days no dependence can be told."""


def drawn_sums(*values: Floats, seed: int, block_days: int | None = None) -> tuple[Floats, ...]:
    """The sum of each series over the same drawn days, each of shape ``(RESAMPLES,)``.

    All ``values`` have shape ``(n_days,)``. Sums instead of means, so that ratios can be taken draw
    by draw. ``block_days`` None: blocks as long as the dependence of the first series asks for.
    """
    n_days = len(values[0])
    if block_days is None:
        counts = _day_counts(n_days, mean_block_days(values[0]), seed, stationary=True)
    else:
        counts = _day_counts(n_days, block_days, seed, stationary=False)
    return tuple(counts @ np.asarray(series, dtype=np.float64) for series in values)


def middle(draws: Floats) -> tuple[float, float]:
    """The bounds of the middle 95 % of ``draws``."""
    low, high = np.quantile(draws, LEVELS)
    return float(low), float(high)


def ratio_interval(
    numerator: Floats, denominator: Floats, *, seed: int, block_days: int | None = None
) -> tuple[float, float]:
    """Interval of Σ numerator / Σ denominator over draws with Σ denominator > 0."""
    above, below = drawn_sums(numerator, denominator, seed=seed, block_days=block_days)
    return middle(above[below > 0] / below[below > 0])


def mean_block_days(values: Floats) -> int:
    """The mean block length of the stationary bootstrap for a series [days], at least 1.

    At most a third of the days; 1 for a series that does not vary or is too short to tell.
    """
    if len(values) < LEAST_FOR_LENGTH or np.ptp(values) == 0:
        return 1
    from arch.bootstrap import optimal_block_length

    length = float(optimal_block_length(values)["stationary"].iloc[0])
    return int(np.clip(np.ceil(length), 1, len(values) // 3)) if np.isfinite(length) else 1


@lru_cache(maxsize=4)  # several scores of the same days are computed in a row
def _day_counts(n_days: int, block_days: int, seed: int, *, stationary: bool) -> Floats:
    """How often each day is in each draw, shape ``(RESAMPLES, n_days)``."""
    # Imported here, since it loads statsmodels: more than a second at every start.
    from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap

    days, rng = np.arange(n_days), np.random.default_rng(seed)
    draws = (
        StationaryBootstrap(block_days, days, seed=rng)
        if stationary
        else CircularBlockBootstrap(block_days, days, seed=rng)
    )
    counts = [np.bincount(drawn, minlength=n_days) for (drawn,), _ in draws.bootstrap(RESAMPLES)]
    return np.array(counts, dtype=np.float64)
