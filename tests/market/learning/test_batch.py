"""Auctions in batches are those of ``clear``, order by order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import InvalidSpec
from ems.market.clearing import UniformPrice, clear
from ems.market.learning.batch import BatchMarket
from ems.market.orders import OrderBook

RULE = UniformPrice(floor=0, cap=10)


def as_book(is_bid: Any, price: Any, quantity: Any) -> tuple[OrderBook, Any]:
    """The same auctions as a book, and which of the orders are in it."""
    there = quantity > 0
    auction, order = np.nonzero(there)
    book = OrderBook(
        n_auctions=len(price),
        auction=auction,
        owner=order,
        is_bid=is_bid[order],
        price=price[there],
        quantity=quantity[there],
    )
    return book, there


@given(seed=st.integers(0, 2**32 - 1), k=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=40)
def test_a_batch_equals_clear(seed: int, k: float) -> None:
    """Few prices and quantities, so that ties, shortage, surplus and empty sides all occur."""
    rng = np.random.default_rng(seed)
    n_auctions, n_orders = 60, int(rng.integers(1, 9))
    is_bid = rng.random(n_orders) < 0.5
    price = rng.integers(0, 11, (n_auctions, n_orders))
    quantity = rng.integers(0, 8, (n_auctions, n_orders))
    rule = UniformPrice(floor=0, cap=10, k=k)
    batch = BatchMarket(is_bid=is_bid, rule=rule).clear(price, quantity)
    book, there = as_book(is_bid, price, quantity)
    one = clear(book, rule)
    np.testing.assert_array_equal(batch.accepted[there], one.accepted)
    assert not batch.accepted[~there].any()
    for name in ("volume", "price", "low", "high"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(one, name), err_msg=name)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    market = BatchMarket(is_bid=np.arange(6) > 3, rule=RULE)
    price, quantity = rng.integers(0, 11, (50, 6)), rng.integers(0, 8, (50, 6))
    whole = market.clear(price, quantity)
    monkeypatch.setattr("ems.market.learning.batch.CHUNK_VALUES", 20)
    np.testing.assert_array_equal(market.clear(price, quantity).accepted, whole.accepted)


@pytest.mark.parametrize(
    ("price", "quantity", "told"),
    [
        (np.full((1, 2), 11), np.ones((1, 2), dtype=np.int64), "prices from 11 to 11"),
        (np.full((1, 2), 5), np.full((1, 2), -1), "quantity -1"),
        (np.full((1, 3), 5), np.full((1, 3), 1), r"must both be \(n_auctions, 2\)"),
        (np.full((1, 2), 5.0), np.full((1, 2), 1), "must be int64"),
    ],
)
def test_what_is_refused(price: Any, quantity: Any, told: str) -> None:
    with pytest.raises(InvalidSpec, match=told):
        BatchMarket(is_bid=np.array([True, False]), rule=RULE).clear(price, quantity)


def test_random_ties_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="must be pro_rata"):
        BatchMarket(
            is_bid=np.array([True]),
            rule=UniformPrice(floor=0, cap=1, ties="random", seed=1),
        )
