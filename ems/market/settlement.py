"""Who pays whom for an auction, in whole numbers that sum to zero.

Money is counted in ticks · kW, the product of a price and a power: a step of ``step_h`` hours makes
1e-5 · step_h euros of each. Above 0 pays, below 0 is paid.

*Energy*: everybody pays or is paid for what was accepted. Under ``pay_as_clear`` at the one price;
under ``pay_as_bid`` every seller is paid what it asked, and the buyers share the sum by what they
take, none above its bid, since no accepted offer lies above an accepted bid.

*Imbalance*: who delivers other than accepted settles the difference with the operator, who had to
make up for it: what is missing at the dearest offer or the price, whichever is higher, what is too
much at the cheapest offer or the price, whichever is lower. So nobody gains who departs on purpose,
and the operator's account closes the sum.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ems.market.clearing import Clearing, UniformPrice
from ems.market.orders import TICKS_PER_EUR_PER_MWH, OrderBook
from ems.types import Ints

Payment = Literal["pay_as_clear", "pay_as_bid"]
EUR_PER_UNIT_H = 1.0 / (TICKS_PER_EUR_PER_MWH * 1000.0)
"""Euros of one unit over an hour."""


def energy_payments(book: OrderBook, clearing: Clearing, n_owners: int, payment: Payment) -> Ints:
    """What every owner pays for energy in every auction, ``(n_auctions, n_owners)``."""
    signed = np.where(book.is_bid, clearing.accepted, -clearing.accepted)
    if payment == "pay_as_clear":
        units = clearing.price[book.auction] * signed
    else:
        units = np.where(book.is_bid, 0, book.price * signed)
        _share_among_buyers(book, clearing, units)
    return summed(book, units, n_owners)


def _share_among_buyers(book: OrderBook, clearing: Clearing, units: Ints) -> None:
    """Write what bids pay of what offers are paid: by energy, largest remainder, then by place."""
    owed = np.zeros(book.n_auctions, dtype=np.int64)
    np.add.at(owed, book.auction, -units)
    bids = np.flatnonzero(book.is_bid & (clearing.accepted > 0))
    auction, taken = book.auction[bids], clearing.accepted[bids]
    # Whole prices first: the product of money and energy would not fit 64 bits.
    price, rest = np.divmod(owed, np.maximum(clearing.volume, 1))
    part = rest[auction] * taken
    whole, left = np.divmod(part, np.maximum(clearing.volume[auction], 1))
    order = np.lexsort((bids, -left, auction))
    firsts = np.concatenate([[True], auction[order][1:] != auction[order][:-1]])[: len(order)]
    starts = np.flatnonzero(firsts)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    given = np.zeros(book.n_auctions, dtype=np.int64)
    np.add.at(given, auction, whole)
    more = rank < (rest - given)[auction[order]]
    units[bids] = price[auction] * taken + whole
    units[bids[order]] += more


def summed(book: OrderBook, units: Ints, n_owners: int) -> Ints:
    """Amounts of orders by auction and owner, ``(n_auctions, n_owners)``."""
    place = book.auction * n_owners + book.owner
    total = np.zeros(book.n_auctions * n_owners, dtype=np.int64)
    np.add.at(total, place, units)
    return total.reshape(book.n_auctions, n_owners)


def imbalance_prices(book: OrderBook, clearing: Clearing, rule: UniformPrice) -> tuple[Ints, Ints]:
    """What missing energy costs and what energy too much earns [ticks], ``(n_auctions,)`` each."""
    offers = ~book.is_bid
    dearest = np.full(book.n_auctions, rule.floor, dtype=np.int64)
    cheapest = np.full(book.n_auctions, rule.cap, dtype=np.int64)
    np.maximum.at(dearest, book.auction[offers], book.price[offers])
    np.minimum.at(cheapest, book.auction[offers], book.price[offers])
    return np.maximum(dearest, clearing.price), np.minimum(cheapest, clearing.price)


def imbalance_payments(
    accepted_kw: Ints, delivered_kw: Ints, missing: Ints, too_much: Ints
) -> Ints:
    """What every owner pays for departing from what was accepted, ``(n_auctions, n_owners)``.

    ``accepted_kw``, ``delivered_kw``: net loads of that shape, above 0 drawn; prices of shape
    ``(n_auctions,)`` [ticks].
    """
    short_kw = delivered_kw - accepted_kw
    price = np.where(short_kw > 0, missing[:, None], too_much[:, None])
    units: Ints = price * short_kw
    return units
