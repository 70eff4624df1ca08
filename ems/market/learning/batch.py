"""Many auctions of the same few orders at once: what ``clear`` decides, without sorting.

For a few orders it is quicker to compare each with each: V = max over orders i of min(offers at or
below p_i, bids at or above p_i). Everything is whole ticks and whole kW, as in ``clear``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.market.clearing import UniformPrice
from ems.types import Bools, Ints

CHUNK_VALUES = 1 << 15
"""Orders that are cleared at once: what stays near the processor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchClearing:
    """What the auctions decided: ``accepted`` ``(n_auctions, n_orders)`` [kW], else per auction.

    ``volume`` [kW]; ``low``, ``high``: the prices that clear; ``price``: the one paid [ticks].
    """

    accepted: Ints
    volume: Ints
    price: Ints
    low: Ints
    high: Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchMarket:
    """Auctions in which order i is always a bid or always an offer.

    ``is_bid``: shape ``(n_orders,)``. Ties are shared pro rata. Raises ``InvalidSpec`` for a rule
    with random ties, which no batch repeats.
    """

    is_bid: Bools
    rule: UniformPrice

    def __post_init__(self) -> None:
        if self.rule.ties != "pro_rata":
            raise InvalidSpec(f"BatchMarket: ties = {self.rule.ties!r}, must be pro_rata")

    def clear(self, price: Ints, quantity: Ints) -> BatchClearing:
        """Clear auctions of prices [ticks] and quantities [kW, 0: no order].

        Both of shape ``(n_auctions, n_orders)``. Raises ``InvalidSpec``.
        """
        self._check(price, quantity)
        n_auctions, n_orders = price.shape
        accepted = np.empty((n_auctions, n_orders), dtype=np.int64)
        others = np.empty((4, n_auctions), dtype=np.int64)
        chunk = max(CHUNK_VALUES // max(n_orders, 1), 1)
        for at in range(0, n_auctions, chunk):
            part = slice(at, at + chunk)
            p = np.ascontiguousarray(price[part].T)
            q = np.ascontiguousarray(quantity[part].T)
            accepted_part, others[:, part] = self._clear(p, q)
            accepted[part] = accepted_part.T
        volume, clearing, low, high = others
        return BatchClearing(accepted=accepted, volume=volume, price=clearing, low=low, high=high)

    def _check(self, price: Ints, quantity: Ints) -> None:
        n_orders = len(self.is_bid)
        if price.shape != quantity.shape or price.ndim != 2 or price.shape[1] != n_orders:
            raise InvalidSpec(
                f"BatchMarket: price {price.shape} and quantity {quantity.shape}, must both be "
                f"(n_auctions, {n_orders})"
            )
        if price.dtype != "int64" or quantity.dtype != "int64":
            raise InvalidSpec(
                f"BatchMarket: price {price.dtype} and quantity {quantity.dtype}, must be int64: "
                "whole ticks and whole kW"
            )
        if price.size and not self.rule.floor <= price.min() <= price.max() <= self.rule.cap:
            raise InvalidSpec(
                f"BatchMarket: prices from {price.min()} to {price.max()}, must lie in "
                f"[{self.rule.floor}, {self.rule.cap}]"
            )
        if quantity.size and quantity.min() < 0:
            raise InvalidSpec(f"BatchMarket: quantity {quantity.min()}, must be at least 0")

    def _clear(self, p: Ints, q: Ints) -> tuple[Ints, Ints]:
        """One chunk, orders in rows: accepted, and volume, price, low and high in rows."""
        bids, offers = np.flatnonzero(self.is_bid), np.flatnonzero(~self.is_bid)
        supply, demand = np.zeros_like(p), np.zeros_like(p)
        for j in offers:
            supply += (p >= p[j]) * q[j]
        for j in bids:
            demand += (p <= p[j]) * q[j]
        volume = np.minimum(supply, demand).max(axis=0, initial=0)
        level = np.zeros_like(p)
        for side in (bids, offers):
            for j in side:
                level[side] += (p[side] == p[j]) * q[j]
        up_to = np.where(self.is_bid[:, None], demand, supply)
        granted = np.clip(volume - (up_to - level), 0, level)
        accepted = np.where(granted == level, q, 0)
        split = ((granted > 0) & (granted < level)).any(axis=0)
        if split.any():
            accepted[:, split] = self._shared(
                p[:, split], q[:, split], level[:, split], granted[:, split]
            )
        low, high = self._interval(p, q, accepted)
        clearing = low + np.floor(self.rule.k * (high - low)).astype(np.int64)
        return accepted, np.stack([volume, clearing, low, high])

    def _shared(self, p: Ints, q: Ints, level: Ints, granted: Ints) -> Ints:
        """Pro rata within each level, what is left by largest remainder, then by place."""
        whole, rest = np.divmod(granted * q, np.maximum(level, 1))
        rank, left = np.zeros_like(p), granted.copy()
        for j in range(len(p)):
            same = (p == p[j]) & (self.is_bid == self.is_bid[j])[:, None]
            ahead = (rest < rest[j]) | ((rest == rest[j]) & (np.arange(len(p)) > j)[:, None])
            rank += same & ahead
            left -= same * whole[j]
        return whole + ((rank < left) & (q > 0))

    def _interval(self, p: Ints, q: Ints, accepted: Ints) -> tuple[Ints, Ints]:
        """The prices that clear, [L, U] of each auction."""
        bid = self.is_bid[:, None]
        some, short = accepted > 0, accepted < q
        # A level that is served in part counts as a whole: its orders all stand at one price.
        below, above = np.where(bid, short, some), np.where(bid, some, short)
        low = np.where(below, p, self.rule.floor).max(axis=0, initial=self.rule.floor)
        high = np.where(above, p, self.rule.cap).min(axis=0, initial=self.rule.cap)
        return low, high
