"""Is anyone worse off, how unequal is the gain, and who would rather leave.

gain_i = cost(alone) − cost(here) [€], with the same assets and the same service. Numbers within a
stated tolerance are equal: bills are rounded to 1 µ€ in every step, so n_steps µ€ is what to allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.community.money import share_out
from ems.community.splits import members
from ems.errors import InvalidSpec
from ems.types import Floats, Ints


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """Coalitions that would gain more on their own, the one with most to win first.

    ``coalitions``: places of their homes. ``more_eur``: what each would gain more [€].
    ``looked_at``: ``all`` coalitions or ``singles and pairs``. Everybody together is among them if
    the rule leaves a gain unused.
    """

    coalitions: tuple[tuple[int, ...], ...]
    more_eur: tuple[float, ...]
    looked_at: str

    @property
    def in_core(self) -> bool | None:
        """Whether nobody would leave; None if that holds only as far as was looked at."""
        if self.coalitions:
            return False
        return True if self.looked_at == "all" else None


@dataclass(frozen=True, kw_only=True)
class Fairness:
    """Fairness of the gains of a community.

    ``least_gain_eur``: of the home ``least_home``. ``losers``: places of the homes worse off than
    alone. ``gini``: of the gains, 0 if all are equal, towards 1 if one home has all; None if any is
    below 0, where it means nothing.
    """

    least_gain_eur: float
    least_home: int
    losers: tuple[int, ...]
    gini: float | None
    leaving: Leaving


def fairness(gain_eur: Floats, leaving: Leaving, *, tolerance_eur: float) -> Fairness:
    """Judge the gains [€], shape ``(n_homes,)``."""
    least = int(np.argmin(gain_eur))
    losers = np.flatnonzero(gain_eur < -tolerance_eur)
    return Fairness(
        least_gain_eur=float(gain_eur[least]),
        least_home=least,
        losers=tuple(int(home) for home in losers),
        gini=None if len(losers) else gini(np.maximum(gain_eur, 0.0)),
        leaving=leaving,
    )


def gini(gain_eur: Floats) -> float:
    """G = Σ_i Σ_j |x_i − x_j| / (2 n Σ x), in [0, 1 − 1/n]; 0 if nobody gains.

    Raises ``InvalidSpec`` for a gain below 0.

    >>> round(gini(np.array([0.44, 0.22, 0.22])), 6)
    0.166667
    """
    if gain_eur.min() < 0:
        raise InvalidSpec(
            f"gini: gain of {gain_eur.min():g} €, must be at least 0; with losers it means nothing"
        )
    n, total = len(gain_eur), gain_eur.sum()
    if total == 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(gain_eur) / (n * total))


def leaving(gain_eur: Floats, values_eur: Floats, *, tolerance_eur: float) -> Leaving:
    """Every coalition S with v(S) > Σ gains of its homes, from the values of all 2ⁿ.

    ``values_eur``: as in ``ems.community.splits``. Raises ``InvalidSpec`` for more than 12 homes or
    another number of values.
    """
    who = members(len(gain_eur))
    if len(values_eur) != len(who):
        raise InvalidSpec(
            f"leaving: {len(values_eur)} values for {len(gain_eur)} homes, must be {len(who)}, one "
            "a coalition"
        )
    more = values_eur - who @ gain_eur
    found = np.flatnonzero(more > tolerance_eur)
    coalitions = [tuple(int(home) for home in np.flatnonzero(who[c])) for c in found]
    return _ranked(coalitions, more[found], "all")


def leaving_in_pairs(gain_eur: Floats, pairs_eur: Floats, *, tolerance_eur: float) -> Leaving:
    """The homes and pairs that would gain more on their own, for any number of homes.

    ``pairs_eur``: v of every pair, on the diagonal of every home alone, shape
    ``(n_homes, n_homes)``, such as ``ems.community.splits.pair_gains``.
    """
    held = np.add.outer(gain_eur, gain_eur)
    held[np.diag_indices(len(gain_eur))] = gain_eur
    more = pairs_eur - held
    first, second = np.nonzero(np.triu(more > tolerance_eur))
    coalitions: list[tuple[int, ...]] = [
        (int(i),) if i == j else (int(i), int(j)) for i, j in zip(first, second, strict=True)
    ]
    return _ranked(coalitions, more[first, second], "singles and pairs")


def _ranked(coalitions: list[tuple[int, ...]], more_eur: Floats, looked_at: str) -> Leaving:
    order = np.argsort(-more_eur, kind="stable")
    return Leaving(
        coalitions=tuple(coalitions[place] for place in order),
        more_eur=tuple(float(more_eur[place]) for place in order),
        looked_at=looked_at,
    )


def guarantee(gain_micro_eur: Ints) -> Ints:
    """What each home is paid [µ€], below 0 what it pays, so that nobody is worse off than alone.

    Losers are topped up to 0 by the others, pro rata of their gains; the sum is 0. Raises
    ``InvalidSpec`` if the community as a whole loses.
    """
    if gain_micro_eur.sum() < 0:
        raise InvalidSpec(
            f"guarantee: together the homes lose {-gain_micro_eur.sum() / 1e6:.2f} €, so nobody "
            "can top the losers up; take another rule or a lower fee"
        )
    paid = np.maximum(-gain_micro_eur, 0)
    # An object: the product of two yearly amounts may not fit 64 bits.
    topped = np.array([int(paid.sum())], dtype=object)
    pay = share_out(topped, np.maximum(gain_micro_eur, 0)[None])[0]
    return np.asarray(paid - pay, dtype=np.int64)
