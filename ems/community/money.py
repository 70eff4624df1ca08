"""Whole µ€ and Wh, rounded so that sums stay exact (largest remainder, Hamilton's method).

Parts are rounded down; what is missing to the total goes, one unit each, to the largest remainders,
among equals to the one that stands first. Put homes in the order of their names, then it does not
matter in which order they came.
"""

from __future__ import annotations

import numpy as np

from ems.errors import InvalidSpec
from ems.types import Floats, Ints

MICRO = 1_000_000
"""µ€ in a €."""
MICRO_PER_CENT = 10_000
NANO = 1_000_000_000
"""Prices are whole 10⁻⁹ €/kWh; times Wh that is 10⁻¹² €, and ``MICRO`` of those are a µ€."""


def micro_eur(eur: Floats) -> Ints:
    """Amounts in whole µ€, each rounded on its own. Same shape."""
    return np.rint(np.asarray(eur) * MICRO).astype(np.int64)


def nano_eur_per_kwh(eur_per_kwh: Floats) -> Ints:
    """Prices in whole 10⁻⁹ €/kWh. Same shape."""
    return np.rint(np.asarray(eur_per_kwh) * NANO).astype(np.int64)


def metered_wh(energy_kwh: Floats) -> Ints:
    """Energy per step as a register in whole Wh counts it, shape ``(..., n_steps)``.

    wh(t) = round(1000 Σ_{s≤t} kwh(s)) − round(1000 Σ_{s<t} kwh(s)): what is rounded away in one
    step is counted in a later one, so that a year is right to 1 Wh. Raises ``InvalidSpec`` for
    energy below 0 or not finite.
    """
    wrong = ~(np.isfinite(energy_kwh) & (energy_kwh >= 0))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidSpec(
            f"metered_wh: energy {energy_kwh[place]:g} kWh at {place}, must be at least 0 and "
            "finite; give surplus and deficit apart"
        )
    register = np.rint(np.cumsum(energy_kwh, axis=-1) * 1000.0).astype(np.int64)
    return np.diff(register, axis=-1, prepend=0)


def hand_out(floors: Ints, remainders: Ints, rest: Ints) -> Ints:
    """``floors`` plus one for the ``rest`` largest ``remainders`` of each row.

    ``floors``, ``remainders``: shape ``(n_rows, n)``, remainders at least 0; ``rest``: shape
    ``(n_rows,)``, in 0 … n. Equal remainders: the first first.
    """
    n = floors.shape[1]
    # No two keys of a row are equal, so the key at place n − rest parts those who get one.
    keys = remainders * n + np.arange(n - 1, -1, -1)
    ranked = np.sort(keys, axis=1)
    place = np.minimum(n - rest, n - 1).astype(np.int64)
    least: Ints = np.take_along_axis(ranked, place[:, None], axis=1)
    handed: Ints = floors + ((keys >= least) & (rest > 0)[:, None])
    return handed


def share_out(total: Ints, weights: Ints) -> Ints:
    """Whole units of ``total`` pro rata of ``weights``; rows without weight get nothing.

    ``total``: shape ``(n_rows,)``; ``weights``: at least 0, shape ``(n_rows, n)``, with total ·
    weight below 2⁶³, or a total of Python's integers (``object``), which have no bound. Each row
    sums to its total, and nobody is more than 1 away from his part.
    """
    sums = weights.sum(axis=1)
    parts = np.where(sums > 0, total, 0)[:, None] * weights
    floors = parts // np.maximum(sums, 1)[:, None]
    remainders = parts - floors * sums[:, None]
    return hand_out(floors, remainders, np.where(sums > 0, total - floors.sum(axis=1), 0))


def cents(amounts_micro_eur: Ints) -> Ints:
    """Amounts in whole cents [ct], shape ``(n,)``; their sum is the sum, rounded once."""
    total = (amounts_micro_eur.sum() + MICRO_PER_CENT // 2) // MICRO_PER_CENT
    floors, remainders = np.divmod(amounts_micro_eur[None, :], MICRO_PER_CENT)
    shared: Ints = hand_out(floors, remainders, np.array([total - floors.sum()]))[0]
    return shared
