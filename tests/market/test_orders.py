"""Who is let into the book, and with which words the others are sent away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.market.orders import Admission, Limits, OrderBook, admit

GOOD: dict[str, Any] = {
    "n_auctions": 2,
    "auction": np.array([0, 1, 1]),
    "owner": np.array([0, 1, 1]),
    "is_bid": np.array([True, False, False]),
    "price": np.array([1, 2, 3]),
    "quantity": np.array([1, 1, 1]),
}


def let_in(prices: list[float], quantities: list[float], deliverable_kw: float) -> Admission:
    """Offers of one owner, then a bid of the same."""
    n = len(prices)
    return admit(
        n_auctions=1,
        auction=np.zeros(n, dtype=np.int64),
        owner=np.zeros(n, dtype=np.int64),
        is_bid=np.arange(n) == n - 1,
        price_eur_per_mwh=np.array(prices),
        quantity_kw=np.array(quantities),
        deliverable_kw=np.full(n, deliverable_kw),
        limits=Limits(floor_eur_per_mwh=-500.0, cap_eur_per_mwh=4000.0),
    )


def test_every_order_that_is_not_let_in_is_told_why() -> None:
    nan, inf = float("nan"), float("inf")
    found = let_in([nan, 30, 4000.01, -501, 30, 29.994, 30], [5, inf, 5, 5, 0.4, 5.4, 6], 6)
    assert found.reasons == (
        "price is not a finite number",
        "quantity is not a finite number",
        "price outside [-500, 4000] €/MWh",
        "price outside [-500, 4000] €/MWh",
        "quantity below 1 kW",
        "",
        "",
    )
    assert found.order.tolist() == [5, 6]
    assert found.book.price.tolist() == [2999, 3000]
    assert found.book.quantity.tolist() == [5, 6]
    assert found.book.is_bid.tolist() == [False, True]


def test_who_offers_more_than_there_is_stands_with_nothing_on_that_side() -> None:
    found = let_in([20, 30, 40], [5, 5, 9], 9)
    assert found.reasons == (*["more than the owner can deliver"] * 2, "")
    assert let_in([20, 30, 40], [5, 4, 9], 9).reasons == ("", "", "")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"owner": np.array([0, 1])}, r"owner is int64 of shape \(2,\), must be int64 of shape"),
        ({"price": np.array([0.0, 1, 2])}, r"price is float64 of shape \(3,\), must be int64"),
        ({"is_bid": np.array([0, 1, 2])}, "is_bid is int64 .* must be bool"),
        ({"n_auctions": 1}, "auction from 0 to 1, must lie in 0 … 0"),
        ({"quantity": np.array([1, 0, 1])}, "order 1 has quantity 0, must be at least 1"),
        (
            {"quantity": np.array([1, 2, 3_000_000_000])},
            "auction 1 holds 3000000002 on one side, must be at most 3000000000",
        ),
    ],
)
def test_a_book_that_cannot_be_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        OrderBook(**(GOOD | changed))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((5.0, 5.0, 1.0), "floor_eur_per_mwh = 5, must be below cap_eur_per_mwh = 5"),
        ((float("nan"), 5.0, 1.0), "floor_eur_per_mwh = nan, must be below"),
        ((0.0, 5.0, 0.5), "least_kw = 0.5, must be at least 1"),
    ],
)
def test_bad_limits_are_refused(values: tuple[float, float, float], says: str) -> None:
    floor, cap, least = values
    with pytest.raises(InvalidSpec, match=says):
        Limits(floor_eur_per_mwh=floor, cap_eur_per_mwh=cap, least_kw=least)
