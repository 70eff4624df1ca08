"""Independent random streams by name, and the two shapes of noise the twin is made of."""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.signal import lfilter

from ems.errors import InvalidSpec
from ems.types import Floats

_BISECTIONS = 60


def stream(seed: int, *names: str) -> np.random.Generator:
    """The random stream of one named part: adding another part changes none of the others.

    >>> bool(stream(1, "a", "b").random() == stream(1, "a", "b").random())
    True
    >>> bool(stream(1, "a", "b").random() == stream(1, "ab").random())
    False
    """
    digest = hashlib.sha256("\x1f".join(names).encode()).digest()
    key = tuple(int(word) for word in np.frombuffer(digest[:16], dtype="<u4"))
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


def red_noise(rng: np.random.Generator, n: int, memory_steps: float) -> Floats:
    """Stationary AR(1) noise with mean 0 and variance 1, shape ``(n,)``.

    x(t) = φ·x(t−1) + √(1 − φ²)·ε(t), φ = exp(−1 / memory_steps).
    """
    phi = float(np.exp(-1.0 / memory_steps))
    drive = rng.standard_normal(n)
    drive[1:] *= np.sqrt(1.0 - phi**2)
    noise: Floats = lfilter([1.0], [1.0, -phi], drive)
    return noise


def scaled_to_total(
    shape: Floats, total_kwh: float, *, who: str, cap_kwh: float = np.inf
) -> Floats:
    """The multiple of ``shape``, cut off at ``cap_kwh`` a step, whose sum is ``total_kwh``.

    Raises ``InvalidSpec`` when even the cap in every step with a positive shape is too little.
    """
    room_kwh = cap_kwh * np.count_nonzero(shape > 0)
    if not 0 <= total_kwh < room_kwh:
        raise InvalidSpec(
            f"{who}: total_kwh = {total_kwh} is outside [0, {room_kwh:.6g}); "
            "lower the total or raise the limit per step"
        )
    factor = total_kwh / float(shape.sum())
    if shape.max() * factor <= cap_kwh:
        return shape * factor
    low, high = factor, factor * 1e6
    for _ in range(_BISECTIONS):
        middle = np.sqrt(low * high)
        too_much = np.minimum(shape * middle, cap_kwh).sum() > total_kwh
        low, high = (low, middle) if too_much else (middle, high)
    return np.minimum(shape * low, cap_kwh)
