"""Percentile intervals over days from a bootstrap, used by the whole package.

Days (or devices) are drawn with replacement, as many as there are, ``RESAMPLES`` times; the
interval is the middle 95 % of the draws. Neighbouring days are alike, since weather lasts, so they
are drawn together in blocks that wrap around the end: of random length with a mean taken from the
days themselves (stationary bootstrap, Politis and Romano 1994, doi:10.1080/01621459.1994.10476870;
mean length by Politis and White 2004 with the correction of Patton et al. 2009,
doi:10.1080/07474930802459016), or of fixed length ``block_days`` (circular block bootstrap). Blocks
of one day treat days as independent.

Several series that are drawn together (a ratio) take the longest block that any of them asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    by draw. ``block_days`` None: blocks as long as the series that lasts longest asks for.
    """
    n_days = len(values[0])
    if block_days is None:
        longest = max(mean_block_days(series) for series in values)
        counts = _day_counts(n_days, longest, seed, stationary=True)
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
    """Interval of Σ numerator / Σ denominator; both bounds NaN where it has none.

    It has none if the denominator itself cannot be told from zero: if more draws than one tail
    holds (2.5 %) have Σ denominator ≤ 0. Fewer of them are left out.
    """
    above, below = drawn_sums(numerator, denominator, seed=seed, block_days=block_days)
    positive = below > 0
    if np.mean(~positive) > LEVELS[0]:
        return np.nan, np.nan
    return middle(above[positive] / below[positive])


def p_value(values: Floats, *, seed: int) -> float:
    """How likely a sum this far from zero is by chance, two-sided, in (0, 1].

    The level at which the percentile interval would just reach zero: twice the share of draws on
    the other side of it, one draw added, so that no finite number of draws proves anything for
    certain.
    """
    (draws,) = drawn_sums(values, seed=seed)
    other = min(np.sum(draws <= 0), np.sum(draws >= 0))
    return float(min(1.0, 2.0 * (other + 1) / (RESAMPLES + 1)))


def holm(p_values: Sequence[float], level: float = 1.0 - (LEVELS[1] - LEVELS[0])) -> list[bool]:
    """Which of several differences stand if all are looked at: step-down by Holm (1979).

    With probability 1 − ``level`` not one that stands is due to chance, however they hang together.
    The smallest of n p-values is held against level / n, the next against level / (n − 1), … until
    one fails (https://www.jstor.org/stable/4615733).

    >>> holm([0.01, 0.04, 0.03])
    [True, False, False]
    """
    stands = [False] * len(p_values)
    for rank, at in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[at] > level / (len(p_values) - rank):
            break
        stands[at] = True
    return stands


def mean_block_days(values: Floats) -> int:
    """The mean block length of the stationary bootstrap for a series [days], at least 1.

    At most a third of the days; 1 for a series that does not vary or is too short to tell.
    """
    if len(values) < LEAST_FOR_LENGTH or np.ptp(values) == 0:
        return 1
    from arch.bootstrap import optimal_block_length

    # A stretch that does not vary has no correlation; arch divides by its variance all the same.
    with np.errstate(divide="ignore", invalid="ignore"):
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
