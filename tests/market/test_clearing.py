"""Auctions by hand, and every drawn auction against one cleared unit by unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import InvalidSpec
from ems.market.clearing import Clearing, UniformPrice, clear
from ems.market.orders import OrderBook

FLOOR, CAP = 0, 100
Order = tuple[int, bool, int, int]
"""Auction, whether it is a bid, price, quantity."""


def book(orders: Sequence[Order], n_auctions: int = 1) -> OrderBook:
    auction, is_bid, price, quantity = np.array(orders, dtype=np.int64).reshape(-1, 4).T
    return OrderBook(
        n_auctions=n_auctions,
        auction=auction,
        owner=np.arange(len(auction)),
        is_bid=is_bid == 1,
        price=price,
        quantity=quantity,
    )


def one(
    offers: Sequence[tuple[int, int]],
    bids: Sequence[tuple[int, int]],
    rule: UniformPrice | None = None,
) -> Clearing:
    """Offers and bids as (quantity, price), cleared in one auction."""
    orders = [(0, False, p, q) for q, p in offers] + [(0, True, p, q) for q, p in bids]
    return clear(book(orders), rule or UniformPrice(floor=FLOOR, cap=CAP))


PLANTS = ((30, 25), (25, 30), (50, 45), (15, 55), (40, 65), (35, 75))
FLEXIBLE = ((8, 80), (5, 90), (10, 40))
"""Demand response as bids, and a battery that would charge at 40."""


@pytest.mark.parametrize(
    ("demand", "low", "high", "paid"),
    [(120, 55, 65, 6600), (150, 65, 65, 9750), (80, 45, 45, 3600)],
)
def test_the_worked_example(demand: int, low: int, high: int, paid: int) -> None:
    found = one(PLANTS, [(demand - 13, CAP), *FLEXIBLE])
    assert (found.volume[0], found.low[0], found.high[0]) == (demand, low, high)
    assert found.price[0] * found.accepted[:6].sum() == paid
    assert found.accepted[-1] == 0  # the battery's bid of 40 is below every price
    if demand == 80:
        assert found.accepted[2] == 25


def test_the_midpoint_and_touching_trades() -> None:
    half = UniformPrice(floor=FLOOR, cap=CAP, k=0.5)
    assert one([(10, 20)], [(10, 22)], half).price[0] == 21
    found = one([(10, 20)], [(6, 22), (6, 21)], half)
    assert found.price[0] == 21
    assert found.accepted.tolist() == [10, 6, 4]
    assert one([(3, 50)], [(4, 50)]).volume[0] == 3


def test_ties_are_split_pro_rata_and_never_by_arrival() -> None:
    assert one([(50, 30), (30, 30), (20, 30)], [(60, CAP)]).accepted[:3].tolist() == [30, 18, 12]
    assert one([(1, 30), (1, 30), (1, 30)], [(2, CAP)]).accepted[:3].tolist() == [1, 1, 0]
    assert one([(1, 30), (5, 30), (4, 30)], [(5, CAP)]).accepted[:3].tolist() == [1, 2, 2]


def test_random_ties_serve_one_after_the_other_by_seed() -> None:
    seen = set()
    for seed in range(20):
        rule = UniformPrice(floor=FLOOR, cap=CAP, ties="random", seed=seed)
        found = one([(4, 30), (4, 30), (4, 30)], [(6, CAP)], rule).accepted[:3]
        assert sorted(found) == [0, 2, 4]
        assert found.tolist() == one([(4, 30)] * 3, [(6, CAP)], rule).accepted[:3].tolist()
        seen.add(tuple(found.tolist()))
    assert len(seen) > 3
    rule = UniformPrice(floor=FLOOR, cap=CAP, ties="random", seed=1)
    assert one([(4, 30)], [(4, 40)], rule).accepted.tolist() == [4, 4]


def test_shortage_sets_the_cap_and_surplus_the_floor() -> None:
    short = one([(10, 30)], [(12, CAP), (4, CAP), (9, 50)])
    assert (short.price[0], short.unserved[0], short.curtailed[0]) == (CAP, 6, 0)
    assert short.accepted.tolist() == [10, 8, 2, 0]  # 7.5 and 2.5: the first by id
    glut = one([(12, FLOOR), (4, FLOOR), (5, 20)], [(8, CAP)])
    assert (glut.price[0], glut.unserved[0], glut.curtailed[0]) == (FLOOR, 0, 8)
    assert glut.accepted.tolist() == [6, 2, 0, 8]


def test_without_a_trade_the_prices_show_where_one_would_begin() -> None:
    apart = one([(5, 60)], [(5, 40)])
    assert (apart.volume[0], apart.low[0], apart.high[0]) == (0, 40, 60)
    empty = clear(book([(1, True, 70, 2)], n_auctions=3), UniformPrice(floor=FLOOR, cap=CAP))
    assert empty.low.tolist() == [0, 70, 0]
    assert empty.high.tolist() == [100, 100, 100]
    nobody = clear(book([], n_auctions=2), UniformPrice(floor=FLOOR, cap=CAP))
    assert nobody.price.tolist() == [0, 0]


orders = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.integers(FLOOR, 12), st.integers(1, 6)),
    max_size=14,
)


def by_hand(orders: Sequence[Order]) -> tuple[int, set[int]]:
    """Volume and every price at which nobody wants to trade otherwise, unit by unit."""
    offers = sorted(p for _, is_bid, p, q in orders for _ in range(q) if not is_bid)
    bids = sorted((p for _, is_bid, p, q in orders for _ in range(q) if is_bid), reverse=True)
    volume = sum(b >= o for o, b in zip(offers, bids, strict=False))
    prices = {
        p
        for p in range(FLOOR, CAP + 1)
        if all(o <= p for o in offers[:volume])
        and all(o >= p for o in offers[volume:])
        and all(b >= p for b in bids[:volume])
        and all(b <= p for b in bids[volume:])
    }
    return volume, prices


@given(orders=orders, k=st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None)
def test_every_auction_clears_as_unit_by_unit(orders: list[Order], k: float) -> None:
    found = clear(book(orders, 3), UniformPrice(floor=FLOOR, cap=CAP, k=k))
    for auction in range(3):
        held = [(i, order) for i, order in enumerate(orders) if order[0] == auction]
        volume, prices = by_hand([order for _, order in held])
        assert found.volume[auction] == volume
        assert set(range(found.low[auction], found.high[auction] + 1)) == prices
        assert found.price[auction] in prices
        sides = {side: [i for i, order in held if order[1] == side] for side in (False, True)}
        assert all(found.accepted[i].sum() == volume for i in sides.values())
        assert no_cross(found, held, int(found.price[auction]))


def no_cross(found: Clearing, held: list[tuple[int, Order]], price: int) -> bool:
    """Who wants to trade at that price does, and nobody else; at the price itself, anything."""
    return all(
        0 <= found.accepted[i] <= quantity
        and (limit == price or found.accepted[i] == (quantity if (limit > price) == is_bid else 0))
        for i, (_, is_bid, limit, quantity) in held
    )


@given(orders=orders, data=st.data())
@settings(deadline=None)
def test_the_order_in_which_orders_arrive_moves_no_price_and_at_most_one_unit(
    orders: list[Order], data: st.DataObject
) -> None:
    places = data.draw(st.permutations(range(len(orders))))
    rule = UniformPrice(floor=FLOOR, cap=CAP)
    one, other = clear(book(orders, 3), rule), clear(book([orders[i] for i in places], 3), rule)
    assert np.array_equal(one.price, other.price)
    assert np.array_equal(one.volume, other.volume)
    assert np.all(np.abs(one.accepted[np.array(places, dtype=int)] - other.accepted) <= 1)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"floor": 101}, "floor = 101, must be at most cap = 100"),
        ({"k": 1.5}, r"k = 1.5, must lie in \[0, 1\]"),
        ({"k": float("nan")}, r"k = nan, must lie in \[0, 1\]"),
        ({"ties": "first"}, "ties = 'first', must be pro_rata or random"),
        ({"ties": "random"}, "seed = None, must be given with ties = random and only then"),
        ({"seed": 3}, "seed = 3, must be given with ties = random and only then"),
    ],
)
def test_bad_rules_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        UniformPrice(**({"floor": FLOOR, "cap": CAP} | values))  # type: ignore[arg-type]


def test_a_price_outside_of_the_bounds_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"order 1 has price 101, must lie in \[0, 100\]"):
        one([(1, 5)], [(1, 101)])
