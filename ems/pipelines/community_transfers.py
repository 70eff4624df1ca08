"""What homes hand each other at the end of the window: a split of the gain, and a guarantee.

A *split* puts itself in the place of the price of the pool: every home pays what its plan would
cost with nothing shared, less its part of what sharing gains. A battery that homes *own* together
hands them its gain, or its loss, by their shares. A *guarantee* then tops losers up to what they
paid alone, out of the others' gains. All sum to zero, so no cost of all homes changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from ems.community.account import CommunityAccount, grid_prices
from ems.community.fairness import guarantee
from ems.community.money import MICRO
from ems.community.splits import MOST_EXACT, equal, nucleolus, shapley, sharing_gains
from ems.errors import InvalidSpec
from ems.types import Floats, Ints

SplitName = Literal["none", "equal", "shapley", "nucleolus"]
SPLITS: Mapping[SplitName, Callable[[Floats], Floats]] = {
    "equal": equal,
    "shapley": shapley,
    "nucleolus": nucleolus,
}


def transfers_micro_eur(
    accounts: Sequence[CommunityAccount],
    alone_eur: Floats,
    *,
    split: SplitName,
    guaranteed: bool,
    owned: Sequence[float] = (),
) -> Ints:
    """What each home is handed [µ€], below 0 what it hands over; sums to 0, ``(n_homes,)``.

    ``accounts``: of the way that is settled, piece by piece; ``alone_eur``: what each home paid
    alone; ``owned``: the shares of all homes but the last in the last, a battery. Raises
    ``InvalidSpec`` for a split of more homes than it can look at, and for a guarantee where
    together they lose.
    """
    n_homes = len(accounts[0].homes)
    handed = np.zeros(n_homes, dtype=np.int64)
    if split != "none":
        handed = _of_split(accounts, split)
    here_eur = np.sum([account.cost_eur for account in accounts], axis=0)
    gain = np.rint(MICRO * (alone_eur - here_eur)).astype(np.int64) + handed
    if owned:
        given = _to_owners(int(gain[-1]), owned)
        handed, gain = handed + given, gain + given
    if guaranteed:
        handed = handed + guarantee(gain)
    return handed


def _to_owners(gain_micro_eur: int, owned: Sequence[float]) -> Ints:
    """The gain of the last home by the shares of the others; rounding to the largest."""
    parts = np.floor(gain_micro_eur * np.asarray(owned, dtype=np.float64)).astype(np.int64)
    parts[int(np.argmax(owned))] += gain_micro_eur - parts.sum()
    return np.append(parts, -gain_micro_eur)


def _of_split(accounts: Sequence[CommunityAccount], split: SplitName) -> Ints:
    """From what the price of the pool left to each home to its part of the gain."""
    n_homes = len(accounts[0].homes)
    if n_homes > MOST_EXACT:
        raise InvalidSpec(
            f"split {split}: {n_homes} homes, all coalitions are looked at for at most "
            f"{MOST_EXACT}; take fewer homes, or split none"
        )
    values, kept = np.zeros(1 << n_homes), np.zeros(n_homes)
    for account in accounts:
        import_kwh, export_kwh = (wh / 1000.0 for wh in account.metered_wh)
        grid = grid_prices(account.plan)
        values = values + sharing_gains(export_kwh, import_kwh, grid)
        outside_eur = import_kwh @ grid.retail_eur_per_kwh - export_kwh @ grid.feed_in_eur_per_kwh
        kept += outside_eur - account.bill_micro_eur.sum(axis=0) / MICRO
    # A key may leave a part unshared: what there is to split is what was gained.
    parts = SPLITS[split](values) * (kept.sum() / values[-1] if values[-1] > 0.0 else 0.0)
    handed = np.rint(MICRO * (parts - kept)).astype(np.int64)
    return handed - _spread(int(handed.sum()), n_homes)


def _spread(micro_eur: int, n_homes: int) -> Ints:
    """What rounding left over in equal whole parts, the first ones a µ€ more."""
    part, rest = divmod(micro_eur, n_homes)
    return np.full(n_homes, part, dtype=np.int64) + (np.arange(n_homes) < rest)
