"""Uniform-price double auctions, cleared exactly on integers, many at once.

Offers stand in ascending, bids in descending order of price. The volume V is the largest v at which
the marginal bid is at or above the marginal offer (touching trades):

    V = max over prices p of min(offers at or below p, bids at or above p)

The prices that clear are [L, U], L = max(accepted offers, bids not fully served) and U =
min(accepted bids, offers not fully used), within [floor, cap]; price = L + k (U − L). So demand
that must be served bids the cap, and its shortage sets the cap; supply that must run offers the
floor, and its surplus sets the floor. No rejected offer is below the price, no rejected bid above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ems.errors import InvalidSpec
from ems.market.orders import OrderBook
from ems.types import Bools, Ints

Ties = Literal["pro_rata", "random"]


@dataclass(frozen=True, kw_only=True)
class UniformPrice:
    """One price for all trades of an auction.

    ``floor``, ``cap``: bounds of every price [ticks]. ``k``: place of the price in [L, U]; 0 is the
    last accepted offer, 0.5 the midpoint; rounded down to a tick. ``ties``: how orders at the
    marginal price share what is left: ``pro_rata`` of their quantities, by largest remainder and
    then order id, or one after the other in an order drawn with ``seed``. Raises ``InvalidSpec``.
    """

    floor: int
    cap: int
    k: float = 0.0
    ties: Ties = "pro_rata"
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.floor <= self.cap:
            raise InvalidSpec(
                f"UniformPrice: floor = {self.floor}, must be at most cap = {self.cap}"
            )
        if not 0.0 <= self.k <= 1.0:
            raise InvalidSpec(f"UniformPrice: k = {self.k!r}, must lie in [0, 1]")
        if self.ties not in ("pro_rata", "random"):
            raise InvalidSpec(f"UniformPrice: ties = {self.ties!r}, must be pro_rata or random")
        if (self.ties == "random") != (self.seed is not None):
            raise InvalidSpec(
                f"UniformPrice: seed = {self.seed}, must be given with ties = random and only then"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Clearing:
    """What the auctions decided; per auction ``(n_auctions,)``, ``accepted`` ``(n_orders,)``.

    ``volume``: traded [kW]. ``low``, ``high``: the prices that clear [ticks]; ``price``: the one of
    them that is paid; without a trade it only shows where one would begin. ``unserved``: bids at
    the cap that were not served [kW]; ``curtailed``: offers at the floor that were not used [kW].
    """

    accepted: Ints
    volume: Ints
    price: Ints
    low: Ints
    high: Ints
    unserved: Ints
    curtailed: Ints


@dataclass(frozen=True, eq=False)
class _Levels:
    """Orders of one auction, side and price as one; sorted by auction, price, offers first.

    ``order``: ids of all orders, sorted likewise, ``level`` the level of each of them. ``starts``:
    the first level of each auction that has orders.
    """

    order: Ints
    level: Ints
    starts: Ints
    auction: Ints
    is_bid: Bools
    price: Ints
    quantity: Ints


def clear(book: OrderBook, rule: UniformPrice) -> Clearing:
    """Clear every auction of ``book``. Raises ``InvalidSpec`` for a price outside [floor, cap]."""
    _within(book, rule)
    accepted = np.zeros(len(book.auction), dtype=np.int64)
    volume, unserved, curtailed = np.zeros((3, book.n_auctions), dtype=np.int64)
    low = np.full(book.n_auctions, rule.floor, dtype=np.int64)
    high = np.full(book.n_auctions, rule.cap, dtype=np.int64)
    if len(accepted):
        levels = _levels(book)
        traded, granted = _granted(levels)
        auctions = levels.auction[levels.starts]
        volume[auctions] = traded
        low[auctions], high[auctions] = _clearing_prices(levels, granted, rule)
        _share(book, levels, granted, rule, accepted)
        missing = book.quantity - accepted
        np.add.at(unserved, *_at(book, missing, book.is_bid & (book.price == rule.cap)))
        np.add.at(curtailed, *_at(book, missing, ~book.is_bid & (book.price == rule.floor)))
    return Clearing(
        accepted=accepted,
        volume=volume,
        price=low + np.floor(rule.k * (high - low)).astype(np.int64),
        low=low,
        high=high,
        unserved=unserved,
        curtailed=curtailed,
    )


def _within(book: OrderBook, rule: UniformPrice) -> None:
    outside = np.flatnonzero((book.price < rule.floor) | (book.price > rule.cap))
    if len(outside):
        raise InvalidSpec(
            f"clear: order {outside[0]} has price {book.price[outside[0]]}, must lie in "
            f"[{rule.floor}, {rule.cap}]; let orders in by ems.market.orders.admit"
        )


def _at(book: OrderBook, values: Ints, where: Bools) -> tuple[Ints, Ints]:
    return book.auction[where], values[where]


def _levels(book: OrderBook) -> _Levels:
    order = np.lexsort((book.is_bid, book.price, book.auction))
    key = np.stack([book.auction[order], book.price[order], book.is_bid[order]])
    first = np.concatenate([[True], (key[:, 1:] != key[:, :-1]).any(axis=0)])
    at = np.flatnonzero(first)
    auction = key[0, at]
    return _Levels(
        order=order,
        level=np.cumsum(first) - 1,
        starts=np.flatnonzero(np.concatenate([[True], auction[1:] != auction[:-1]])),
        auction=auction,
        is_bid=key[2, at] == 1,
        price=key[1, at],
        quantity=np.add.reduceat(book.quantity[order], at),
    )


def _granted(levels: _Levels) -> tuple[Ints, Ints]:
    """Volume per auction with orders, and what each level gets of it."""
    lengths = np.diff(np.append(levels.starts, len(levels.price)))
    offers = _running(np.where(levels.is_bid, 0, levels.quantity), levels.starts, lengths)
    bids = _running(np.where(levels.is_bid, levels.quantity, 0), levels.starts, lengths)
    # The last level of an auction has all bids behind it.
    above = np.repeat(bids[levels.starts + lengths - 1], lengths) - bids
    tradable = np.where(levels.is_bid, 0, np.minimum(offers, above))
    volume = np.maximum.reduceat(tradable, levels.starts)
    before = np.where(levels.is_bid, above, offers - levels.quantity)
    return volume, np.clip(np.repeat(volume, lengths) - before, 0, levels.quantity)


def _running(values: Ints, starts: Ints, lengths: Ints) -> Ints:
    """Sums from the start of each auction, this level included."""
    sums = np.cumsum(values)
    return sums - np.repeat(sums[starts] - values[starts], lengths)


def _clearing_prices(levels: _Levels, granted: Ints, rule: UniformPrice) -> tuple[Ints, Ints]:
    """[L, U] of each auction with orders."""
    some, short = granted > 0, granted < levels.quantity
    below = np.where(levels.is_bid, short, some)
    above = np.where(levels.is_bid, some, short)
    return (
        np.maximum.reduceat(np.where(below, levels.price, rule.floor), levels.starts),
        np.minimum.reduceat(np.where(above, levels.price, rule.cap), levels.starts),
    )


def _share(
    book: OrderBook, levels: _Levels, granted: Ints, rule: UniformPrice, accepted: Ints
) -> None:
    """Write what each order gets of what its level gets."""
    full = (granted == levels.quantity)[levels.level]
    accepted[levels.order[full]] = book.quantity[levels.order[full]]
    split = ((granted > 0) & (granted < levels.quantity))[levels.level]
    if not split.any():
        return
    order, level = levels.order[split], levels.level[split]
    if rule.ties == "random":
        lot = np.random.default_rng(rule.seed).permutation(len(order))
        drawn = np.lexsort((lot, level))
        order, level = order[drawn], level[drawn]
        quantity = book.quantity[order]
        starts, lengths = _runs(level)
        before = _running(quantity, starts, lengths) - quantity
        accepted[order] = np.clip(granted[level] - before, 0, quantity)
        return
    parts = granted[level] * book.quantity[order]
    accepted[order] = parts // levels.quantity[level]
    _hand_out_rest(order, level, parts % levels.quantity[level], granted, accepted)


def _hand_out_rest(order: Ints, level: Ints, left: Ints, granted: Ints, accepted: Ints) -> None:
    """One unit each to the largest remainders of a level, until all of it is given."""
    by_rest = np.lexsort((order, -left, level))
    order, level = order[by_rest], level[by_rest]
    starts, lengths = _runs(level)
    rest = granted[level[starts]] - np.add.reduceat(accepted[order], starts)
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    accepted[order] += rank < np.repeat(rest, lengths)


def _runs(level: Ints) -> tuple[Ints, Ints]:
    """Start and length of each run of equal values."""
    starts = np.flatnonzero(np.concatenate([[True], level[1:] != level[:-1]]))
    return starts, np.diff(np.append(starts, len(level)))
