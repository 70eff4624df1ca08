"""How the gain of a community is split among its homes, the plans being fixed.

A game is the gain v(S) [€] of every coalition S of homes: what its members save together against
each being alone. The values stand in an array of shape ``(2 ** n_homes,)``; home i belongs to
coalition c if bit i of c is set, so v[0] = 0 is nobody and v[-1] is everybody. A split is an array
of shape ``(n_homes,)`` that sums to v[-1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
from scipy.optimize import linprog

from ems.community.rules import GridPrices
from ems.errors import InvalidSpec, SolveError
from ems.types import Bools, Floats

MOST_EXACT = 12
"""Homes up to which all 2ⁿ coalitions are looked at."""
CELLS = 1 << 22
TIGHT = 1e-9
"""Below this, relative to the largest value, a number of a linear program is zero."""


def members(n_homes: int) -> Bools:
    """Who belongs to which coalition, shape ``(2 ** n_homes, n_homes)``. Raises ``InvalidSpec``."""
    if not 1 <= n_homes <= MOST_EXACT:
        raise InvalidSpec(
            f"coalitions of {n_homes} homes: all of them are looked at for 1 to {MOST_EXACT} "
            "homes; take sampled_shapley, or pairs"
        )
    who: Bools = (np.arange(1 << n_homes)[:, None] >> np.arange(n_homes)) & 1 == 1
    return who


def sharing_gains(surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
    """v(S) = Σ_t (p_in − f − p_out) · min(Σ surplus, Σ deficit) [€] of all coalitions.

    Energies of shape ``(n_homes, n_steps)``; only worthwhile steps count. One home alone gains
    nothing. Raises ``InvalidSpec`` for more than ``MOST_EXACT`` homes.
    """
    who = members(len(surplus_kwh))
    values = _gains(who.astype(np.float64), surplus_kwh, deficit_kwh, grid)
    values[who.sum(axis=1) == 1] = 0.0
    return values


def pair_gains(surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
    """v({i, j}) [€] of all pairs, shape ``(n_homes, n_homes)``, 0 on the diagonal.

    Arguments as of ``sharing_gains``; for any number of homes.
    """
    n = len(surplus_kwh)
    pairs = np.zeros((n, n))
    for home in range(n - 1):
        who = np.eye(n)[home + 1 :]
        who[:, home] = 1.0
        gains = _gains(who, surplus_kwh, deficit_kwh, grid)
        pairs[home, home + 1 :] = pairs[home + 1 :, home] = gains
    return pairs


def _gains(who: Floats, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
    spread = (grid.most_eur_per_kwh - grid.feed_in_eur_per_kwh) * grid.worthwhile
    values = np.zeros(len(who))
    length = max(1, CELLS // len(who))
    for first in range(0, len(spread), length):
        piece = slice(first, first + length)
        shared = np.minimum(who @ surplus_kwh[:, piece], who @ deficit_kwh[:, piece])
        values += shared @ spread[piece]
    return values


def equal(values: Floats) -> Floats:
    """The same for every home. Raises ``InvalidSpec`` if ``values`` is no game."""
    n = _n_homes(values)
    return np.full(n, values[-1] / n)


def shapley(values: Floats) -> Floats:
    """Each home's mean marginal gain over all orders of joining.

    φ_i = Σ over S without i of |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)). Shapley 1953,
    doi:10.1515/9781400881970-018. Raises ``InvalidSpec`` if ``values`` is no game.
    """
    n = _n_homes(values)
    who, places = members(n), np.arange(1 << n)
    weight = np.array([factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)])
    sizes = who.sum(axis=1)
    split = np.empty(n)
    for home in range(n):
        without = places[~who[:, home]]
        marginal = values[without | (1 << home)] - values[without]
        split[home] = weight[sizes[without]] @ marginal
    return split


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A sampled split [€] and the standard error of each part [€], both ``(n_homes,)``."""

    split_eur: Floats
    standard_error_eur: Floats


def sampled_shapley(
    value_eur: Callable[[Bools], float], n_homes: int, *, n_rounds: int, seed: int
) -> Estimate:
    """The Shapley split from drawn orders of joining, every place in the order met equally often.

    A round draws one order and takes all its ``n_homes`` rotations: each home joins once at every
    place (strata of coalition size), and each rotation sums to v of everybody, so the estimate
    does exactly. The rounds are independent; their spread gives the error. ``value_eur``: gain of
    a coalition, given as members of shape ``(n_homes,)``; called once a coalition, n² times a
    round at most. Raises ``InvalidSpec`` for fewer than 2 rounds.
    """
    if n_rounds < 2:
        raise InvalidSpec(
            f"sampled_shapley: n_rounds = {n_rounds}, must be at least 2 to tell the error"
        )
    rng, known = np.random.default_rng(seed), dict[bytes, float]()
    rounds = np.zeros((n_rounds, n_homes))
    for found in rounds:
        order = rng.permutation(n_homes)
        for turn in range(n_homes):
            _add_marginals(np.roll(order, turn), value_eur, known, found)
        found /= n_homes
    error = rounds.std(axis=0, ddof=1) / np.sqrt(n_rounds)
    return Estimate(split_eur=rounds.mean(axis=0), standard_error_eur=error)


def _add_marginals(
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
    value_eur: Callable[[Bools], float],
    known: dict[bytes, float],
    found: Floats,
) -> None:
    who, before = np.zeros(len(order), dtype=bool), 0.0
    for home in order:
        who[home] = True
        coalition = who.tobytes()
        if coalition not in known:
            known[coalition] = value_eur(who.copy())
        found[home] += known[coalition] - before
        before = known[coalition]


def nucleolus(values: Floats) -> Floats:
    """The split that makes the unhappiest coalition as happy as possible, then the next, and so on.

    The happiness of S is its excess Σ_{i in S} x_i − v(S); nobody gets less than alone. One linear
    program a level: maximise the least excess of the coalitions that are not settled yet; those
    with a positive dual are settled at it (Maschler, Peleg, Shapley 1979,
    doi:10.1287/moor.4.4.303). Raises ``InvalidSpec`` if ``values`` is no game or the homes alone
    gain more than together.
    """
    n = _n_homes(values)
    alone = values[1 << np.arange(n)]
    scale = max(float(np.abs(values).max()), np.finfo(float).tiny)
    if alone.sum() > values[-1] + TIGHT * scale:
        raise InvalidSpec(
            f"nucleolus: alone the homes gain {alone.sum():.6g} € and together {values[-1]:.6g} €; "
            "no split leaves everybody at least as well off"
        )
    who = members(n).astype(np.float64)
    settled, due = who[-1:], np.array([values[-1] / scale])
    open_, gains = who[1:-1], values[1:-1] / scale
    split = due
    while np.linalg.matrix_rank(settled) < n:
        # Excesses of coalitions that are sums of settled ones are settled too.
        fixed = _spanned(open_, settled)
        open_, gains = open_[~fixed], gains[~fixed]
        split, least, tight = _level(open_, gains, settled, due, alone / scale)
        settled = np.vstack([settled, open_[tight]])
        due = np.concatenate([due, gains[tight] + least])
        open_, gains = open_[~tight], gains[~tight]
    return split * scale


def _spanned(rows: Floats, by: Floats) -> Bools:
    """Which ``rows`` are linear combinations of the rows of ``by``."""
    _, lengths, across = np.linalg.svd(by, full_matrices=False)
    basis = across[lengths > 1e-9 * lengths[0]]
    left: Floats = rows - (rows @ basis.T) @ basis
    spanned: Bools = np.abs(left).max(axis=1, initial=0.0) < 1e-7
    return spanned


def _level(
    open_: Floats, gains: Floats, settled: Floats, due: Floats, alone: Floats
) -> tuple[Floats, float, Bools]:
    """The split, the least excess and the coalitions that have it in every best split."""
    n = open_.shape[1]
    found = linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=np.column_stack([-open_, np.ones(len(open_))]),
        b_ub=-gains,
        A_eq=np.column_stack([settled, np.zeros(len(settled))]),
        b_eq=due,
        bounds=[*((least, None) for least in alone), (None, None)],
        method="highs",
    )
    if found.status != 0:
        raise SolveError(f"nucleolus: {found.message}; report this game with its values")
    # The duals of the open coalitions sum to -1, so some of them are not zero.
    return found.x[:n], float(found.x[n]), found.ineqlin.marginals < -TIGHT


def _n_homes(values: Floats) -> int:
    n = len(values).bit_length() - 1
    if values.ndim != 1 or len(values) != 1 << n or n < 1:
        raise InvalidSpec(
            f"a game of shape {values.shape}: must hold one value a coalition, 2ⁿ for n homes"
        )
    members(n)
    if not np.all(np.isfinite(values)) or values[0] != 0.0:
        raise InvalidSpec(
            f"a game whose nobody gains {values[0]:g} € and whose least gain is "
            f"{values.min():g} €: values must be finite and the first, of nobody, 0"
        )
    return n
