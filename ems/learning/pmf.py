"""Mathematics of distributions over the 24 local hours.

A PMF is an array whose last axis has 24 entries ≥ 0 that sum to one; entry h is the probability
that a start falls into the local hour h. Functions work on any leading axes and do not repeat the
checks of ``validated``. Hours are on a circle: 23 and 0 are neighbours.

Reports use "Jensen–Shannon" for two quantities. Here ``js_divergence`` is the divergence in nats,
and ``js_distance`` its square root, as in scipy's ``jensenshannon`` (Lin 1991,
doi:10.1109/18.61115; Endres & Schindelin 2003, doi:10.1109/TIT.2003.813506).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ems.errors import InvalidSpec
from ems.types import Floats

N_HOURS = 24
SUM_TOLERANCE = 1e-9

UNIFORM: Floats = np.full(N_HOURS, 1.0 / N_HOURS)
UNIFORM.setflags(write=False)


def validated(values: ArrayLike, who: str = "pmf") -> Floats:
    """The values as a PMF of shape ``(..., 24)``; raises ``InvalidSpec`` if they are none.

    >>> validated(UNIFORM).shape
    (24,)
    """
    pmf = _nonnegative(values, who)
    worst = float(np.max(np.abs(pmf.sum(axis=-1) - 1.0), initial=0.0))
    if worst > SUM_TOLERANCE:
        raise InvalidSpec(
            f"{who}: the 24 probabilities sum to {_worst_sum(pmf):.6g}, they must sum to 1; "
            "pass weights through normalise()"
        )
    return pmf


def normalise(weights: ArrayLike, who: str = "pmf") -> Floats:
    """Weights ≥ 0 of shape ``(..., 24)``, scaled to sum to one.

    Raises ``InvalidSpec`` for another length, a negative or infinite weight, or only zeros.

    >>> float(normalise([3.0] * 24)[0] * 24)
    1.0
    """
    found = _nonnegative(weights, who)
    total = found.sum(axis=-1, keepdims=True)
    if not np.all(total > 0.0):
        raise InvalidSpec(f"{who}: all 24 weights are 0; at least one must be above 0")
    return np.asarray(found / total)


def entropy_bits(pmf: Floats) -> Floats:
    """−Σ p·log₂ p [bit], between 0 and log₂ 24 ≈ 4.585; shape of the leading axes.

    >>> round(float(entropy_bits(UNIFORM)), 3)
    4.585
    """
    # log₂ 1 = 0 stands in for 0 · log₂ 0.
    return np.asarray(-np.sum(pmf * np.log2(np.where(pmf > 0.0, pmf, 1.0)), axis=-1))


def js_divergence(p: Floats, q: Floats) -> Floats:
    """Jensen–Shannon divergence ½·KL(p‖m) + ½·KL(q‖m), m = (p + q) / 2 [nat], within [0, ln 2].

    >>> p, q = np.eye(24)[0], np.eye(24)[7]
    >>> float(js_divergence(p, p)), round(float(js_divergence(p, q)), 6)
    (0.0, 0.693147)
    """
    middle = 0.5 * (p + q)
    # Clipped: rounding can give −1e-17, whose root would be NaN.
    return np.asarray(np.clip(0.5 * (_kl(p, middle) + _kl(q, middle)), 0.0, np.log(2.0)))


def js_distance(p: Floats, q: Floats) -> Floats:
    """√ of ``js_divergence`` [√nat], a metric within [0, √ln 2]; scipy's ``jensenshannon``."""
    return np.asarray(np.sqrt(js_divergence(p, q)))


def circular_kernel(width_h: float) -> Floats:
    """A bell around hour 0 that wraps at midnight, shape ``(24,)``, sum 1.

    k(d) ∝ exp(−½·(d / width)²), d the distance on the circle [h].
    """
    if not 0.0 < width_h < np.inf:
        raise InvalidSpec(f"kernel: width_h = {width_h}, expected a positive number of hours")
    return normalise(np.exp(-0.5 * (hour_distance_h()[0] / width_h) ** 2), "kernel")


def smooth(pmf: Floats, width_h: float) -> Floats:
    """Circular convolution with ``circular_kernel``; keeps mass and circular mean."""
    kernel = circular_kernel(width_h)
    table = np.stack([np.roll(kernel, hour) for hour in range(N_HOURS)])
    return np.asarray(pmf @ table)


def circular_mean_h(pmf: Floats) -> Floats:
    """Mean time of day [h] in [0, 24), from the middles of the hours; NaN if there is none.

    The direction of Σ p(h)·exp(2πi·(h + ½)/24). A distribution without direction (uniform, or two
    opposite hours) has no mean.

    >>> p = normalise([1.0 if h in (23, 0) else 0.0 for h in range(24)])
    >>> round(float(circular_mean_h(p)) % 24, 6) in (0.0, 24.0)
    True
    """
    turns = (np.arange(N_HOURS) + 0.5) / N_HOURS
    vector = pmf @ np.exp(2j * np.pi * turns)
    mean_h = np.angle(vector) / (2.0 * np.pi) * N_HOURS % N_HOURS
    # A vector shorter than this is rounding; its angle would be arbitrary.
    return np.asarray(np.where(np.abs(vector) > SUM_TOLERANCE, mean_h, np.nan))


def shift(pmf: Floats, hours: int) -> Floats:
    """The same habit ``hours`` later on the circle."""
    return np.asarray(np.roll(pmf, hours, axis=-1))


def hour_distance_h() -> Floats:
    """Distance between each two hours on the circle [h], shape ``(24, 24)``, at most 12.

    >>> float(hour_distance_h()[23, 1])
    2.0
    """
    hours = np.arange(N_HOURS)
    apart = np.abs(hours[:, None] - hours[None, :])
    return np.asarray(np.minimum(apart, N_HOURS - apart), dtype=np.float64)


def _kl(p: Floats, m: Floats) -> Floats:
    """Σ p·ln(p/m) with 0·ln 0 = 0; m is above 0 wherever p is."""
    positive = p > 0.0
    ratio = np.where(positive, p, 1.0) / np.where(positive, m, 1.0)
    return np.asarray(np.sum(p * np.log(ratio), axis=-1))


def _nonnegative(values: ArrayLike, who: str) -> Floats:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(f"{who}: {values!r} is not 24 numbers ({error})") from error
    if found.shape[-1:] != (N_HOURS,):
        raise InvalidSpec(f"{who}: shape {found.shape}, expected 24 values, one for each hour")
    if not np.isfinite(found).all() or np.any(found < 0.0):
        raise InvalidSpec(
            f"{who}: smallest value {np.min(found)}, largest {np.max(found)}; all 24 must be "
            "finite and at least 0"
        )
    return found


def _worst_sum(pmf: Floats) -> float:
    sums = np.ravel(pmf.sum(axis=-1))
    return float(sums[np.argmax(np.abs(sums - 1.0))])
