"""What is paid is received, to the last unit, whatever the book."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from ems.market.clearing import UniformPrice, clear
from ems.market.orders import OrderBook
from ems.market.settlement import (
    Payment,
    energy_payments,
    imbalance_payments,
    imbalance_prices,
    summed,
)

FLOOR, CAP = -500, 4000
PAYMENTS: tuple[Payment, ...] = ("pay_as_clear", "pay_as_bid")


def drawn(seed: int, n_auctions: int = 3, n_owners: int = 5, n: int = 30) -> OrderBook:
    draw = default_rng(seed)
    return OrderBook(
        n_auctions=n_auctions,
        auction=draw.integers(0, n_auctions, n),
        owner=draw.integers(0, n_owners, n),
        is_bid=draw.random(n) < 0.5,
        price=draw.choice([FLOOR, CAP, *range(0, 60, 7)], n),
        quantity=draw.integers(1, 40, n),
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.sampled_from([0.0, 0.5, 1.0]))
def test_all_that_is_paid_is_received(seed: int, k: float) -> None:
    book, rule = drawn(seed), UniformPrice(floor=FLOOR, cap=CAP, k=k)
    clearing = clear(book, rule)
    for payment in PAYMENTS:
        assert (energy_payments(book, clearing, 5, payment).sum(axis=1) == 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nobody_pays_more_than_it_bid_nor_gets_less_than_it_asked(seed: int) -> None:
    """Each order as an owner of its own."""
    book = drawn(seed)
    alone = OrderBook(
        n_auctions=book.n_auctions,
        auction=book.auction,
        owner=np.arange(len(book.owner)),
        is_bid=book.is_bid,
        price=book.price,
        quantity=book.quantity,
    )
    clearing = clear(alone, UniformPrice(floor=FLOOR, cap=CAP, k=0.5))
    worth = book.price * np.where(book.is_bid, clearing.accepted, -clearing.accepted)
    for payment in PAYMENTS:
        paid = energy_payments(alone, clearing, len(book.owner), payment).sum(axis=0)
        assert (paid <= worth + book.is_bid).all()  # a buyer may bear one unit of the rounding


def test_paid_as_bid_by_hand() -> None:
    """Offers 3 at 10 and 4 at 20 for bids of 5 and 2 at 30: 110 units over 7 kW.

    15 whole units each and 5 left over: 25/7 and 10/7 of it, so 3, 1, and one for 4/7 > 3/7.
    """
    book = OrderBook(
        n_auctions=1,
        auction=np.zeros(4, dtype=np.int64),
        owner=np.arange(4),
        is_bid=np.array([False, False, True, True]),
        price=np.array([10, 20, 30, 30]),
        quantity=np.array([3, 4, 5, 2]),
    )
    clearing = clear(book, UniformPrice(floor=FLOOR, cap=CAP))
    paid = energy_payments(book, clearing, 4, "pay_as_bid")
    assert paid.tolist() == [[-30, -80, 5 * 15 + 4, 2 * 15 + 1]]
    clear_paid = energy_payments(book, clearing, 4, "pay_as_clear")
    assert clear_paid.tolist() == [[-60, -80, 100, 40]]


def test_amounts_of_one_owner_are_added() -> None:
    book = drawn(3)
    units = np.arange(len(book.owner))
    total = summed(book, units, 5)
    for auction in range(3):
        for owner in range(5):
            mine = (book.auction == auction) & (book.owner == owner)
            assert total[auction, owner] == units[mine].sum()


def test_imbalance_is_dear_to_lack_and_cheap_to_have() -> None:
    """Offers at 10, 20 and 50 for 7 kW: the price is 20, what is missing costs 50, too much 10."""
    book = OrderBook(
        n_auctions=1,
        auction=np.zeros(4, dtype=np.int64),
        owner=np.arange(4),
        is_bid=np.array([False, False, False, True]),
        price=np.array([10, 20, 50, 90]),
        quantity=np.array([3, 9, 5, 7]),
    )
    rule = UniformPrice(floor=FLOOR, cap=CAP)
    clearing = clear(book, rule)
    missing, too_much = imbalance_prices(book, clearing, rule)
    assert (missing.tolist(), too_much.tolist()) == ([50], [10])
    accepted = np.array([[-3, -4, 0, 7]])
    delivered = np.array([[-1, -6, 0, 8]])
    paid = imbalance_payments(accepted, delivered, missing, too_much)
    assert paid.tolist() == [[2 * 50, -2 * 10, 0, 50]]


def test_without_offers_what_is_too_much_earns_the_price() -> None:
    nothing = OrderBook(
        n_auctions=1,
        auction=np.zeros(0, dtype=np.int64),
        owner=np.zeros(0, dtype=np.int64),
        is_bid=np.zeros(0, dtype=np.bool_),
        price=np.zeros(0, dtype=np.int64),
        quantity=np.zeros(0, dtype=np.int64),
    )
    rule = UniformPrice(floor=FLOOR, cap=CAP)
    missing, too_much = imbalance_prices(nothing, clear(nothing, rule), rule)
    assert missing[0] >= too_much[0]
    for payment in PAYMENTS:
        assert not energy_payments(nothing, clear(nothing, rule), 2, payment).any()
