"""Who gets how much of the surplus, step by step, in whole Wh.

Of a step's surplus S and deficit D at most min(S, D) is shared, and no home receives more than it
needs or supplies more than it has. Whatever the key of those who receive, those who supply share
the sale pro rata of their surplus.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ems.community.money import share_out
from ems.errors import InvalidSpec
from ems.types import Ints

PARTS = 1_000_000_000
"""Shares are whole billionths, so that what is due to a home is an exact number."""


class SharingKey(ABC):
    """A key. Subclasses say what each home receives, and for how many homes they are made."""

    name: ClassVar[str]

    def received_wh(self, surplus_wh: Ints, deficit_wh: Ints) -> Ints:
        """What each home takes from the pool in each step [Wh].

        Both arguments and the result have shape ``(n_steps, n_homes)``, at least 0. Raises
        ``InvalidSpec`` if the key is made for another number of homes.
        """
        self.check_homes(deficit_wh.shape[1])
        return self._received(surplus_wh.sum(axis=1), deficit_wh)

    @property
    def n_homes(self) -> int | None:
        """How many homes the key is made for; None: any number."""
        return None

    def check_homes(self, n_homes: int) -> None:
        """Raise ``InvalidSpec`` if the key is made for another number of homes."""
        if self.n_homes not in (None, n_homes):
            raise InvalidSpec(
                f"{self.name}: made for {self.n_homes} homes, here are {n_homes}; name each home "
                "once"
            )

    @abstractmethod
    def _received(self, surplus_wh: Ints, need_wh: Ints) -> Ints:
        """``surplus_wh``: the sum over homes, shape ``(n_steps,)``."""


def supplied_wh(surplus_wh: Ints, shared_wh: Ints) -> Ints:
    """What each home gives of the ``shared_wh`` of a step, pro rata of its surplus [Wh].

    ``surplus_wh``: shape ``(n_steps, n_homes)``; ``shared_wh``: shape ``(n_steps,)``, at most the
    sum.
    """
    return share_out(shared_wh, surplus_wh)


@dataclass(frozen=True)
class Dynamic(SharingKey):
    """Pro rata of what each home needs in the step."""

    name: ClassVar[str] = "dynamic"

    def _received(self, surplus_wh: Ints, need_wh: Ints) -> Ints:
        return share_out(_shareable(surplus_wh, need_wh), need_wh)


@dataclass(frozen=True)
class Equal(SharingKey):
    """The same for everybody who needs it; what one cannot use is handed on in equal parts."""

    name: ClassVar[str] = "equal"

    def _received(self, surplus_wh: Ints, need_wh: Ints) -> Ints:
        return _fill(_shareable(surplus_wh, need_wh), need_wh, np.ones_like(need_wh[0]))


@dataclass(frozen=True)
class Static(SharingKey):
    """Fixed shares of the surplus, one a home; they sum to one.

    What a home cannot use of its share is fed in, or with ``reallocate`` handed on to those who
    still need some, pro rata of their shares. Raises ``InvalidSpec``.
    """

    name: ClassVar[str] = "static"
    shares: Sequence[float]
    reallocate: bool = False

    def __post_init__(self) -> None:
        shares = np.asarray(self.shares, dtype=np.float64)
        wrong = np.flatnonzero(~((shares >= 0) & (shares <= 1)))
        if len(wrong):
            raise InvalidSpec(
                f"static: share {wrong[0] + 1} is {shares[wrong[0]]:g}, must lie in [0, 1]"
            )
        if not abs(shares.sum() - 1.0) <= 1e-9:
            raise InvalidSpec(
                f"static: {len(shares)} shares sum to {shares.sum():.9g}, must sum to 1"
            )

    @property
    def n_homes(self) -> int:
        """One share a home."""
        return len(self.shares)

    def _received(self, surplus_wh: Ints, need_wh: Ints) -> Ints:
        parts = self._parts()
        if self.reallocate:
            return _fill(_shareable(surplus_wh, need_wh), need_wh, parts)
        due = share_out(surplus_wh, np.broadcast_to(parts, need_wh.shape))
        return np.minimum(due, need_wh)

    def _parts(self) -> Ints:
        """The shares in whole billionths, which sum to a whole."""
        exact = np.asarray(self.shares, dtype=np.float64) * PARTS
        floors = np.floor(exact).astype(np.int64)
        # Stable, so that equal shares get the last billionth in the order of the homes.
        largest: Ints = np.argsort(-(exact - floors), kind="stable")
        floors[largest[: PARTS - floors.sum()]] += 1
        return floors


@dataclass(frozen=True)
class Priority(SharingKey):
    """One home after the other, each as much as it needs.

    ``order``: the places of the homes, the first served first. Raises ``InvalidSpec``.
    """

    name: ClassVar[str] = "priority"
    order: Sequence[int]

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise InvalidSpec(
                f"priority: order {tuple(self.order)}, must name every home from 0 to "
                f"{len(self.order) - 1} once"
            )

    @property
    def n_homes(self) -> int:
        """One place a home."""
        return len(self.order)

    def _received(self, surplus_wh: Ints, need_wh: Ints) -> Ints:
        order = np.asarray(self.order, dtype=np.int64)
        need = need_wh[:, order]
        before = np.cumsum(need, axis=1) - need
        received = np.empty_like(need)
        received[:, order] = np.clip(surplus_wh[:, None] - before, 0, need)
        return received


def _shareable(surplus_wh: Ints, need_wh: Ints) -> Ints:
    shareable: Ints = np.minimum(surplus_wh, need_wh.sum(axis=1))
    return shareable


def _fill(total_wh: Ints, need_wh: Ints, weights: Ints) -> Ints:
    """Raise one level for all, w · level each, until ``total_wh`` is used; needs are the lids.

    ``weights``: shape ``(n_homes,)``. Those whose need lies below the level get all of it, the
    others share what is left pro rata of their weights.
    """
    received: Ints = np.zeros_like(need_wh)
    left = total_wh.copy()
    waiting = (need_wh > 0) & (weights > 0)
    while True:
        weight_left = (waiting * weights).sum(axis=1)
        served = waiting & (need_wh * weight_left[:, None] <= weights * left[:, None])
        if not served.any():
            received += share_out(left, waiting * weights)
            return received
        received[served] = need_wh[served]
        left -= (served * need_wh).sum(axis=1)
        waiting &= ~served
