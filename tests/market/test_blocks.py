"""Blocks: no one is accepted that loses, and of the sets that have prices the best is taken."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from ems.errors import InvalidSpec
from ems.market.blocks import MOST_BLOCKS, Block, clear_with_blocks
from ems.market.clearing import UniformPrice, clear
from ems.market.orders import OrderBook

RULE = UniformPrice(floor=-500, cap=4000)


def book(*rows: tuple[int, bool, int, int], n_auctions: int = 1) -> OrderBook:
    """Rows of auction, is_bid, price, quantity."""
    return OrderBook(
        n_auctions=n_auctions,
        auction=np.array([row[0] for row in rows], dtype=np.int64),
        owner=np.arange(len(rows)),
        is_bid=np.array([row[1] for row in rows], dtype=np.bool_),
        price=np.array([row[2] for row in rows], dtype=np.int64),
        quantity=np.array([row[3] for row in rows], dtype=np.int64),
    )


def offer(price: int, quantity: int, least: int | None = None, **more: object) -> Block:
    fields = {"owner": 9, "is_bid": False, "auctions": (0,), **more}
    return Block(price=price, quantity=quantity, least=least or quantity, **fields)  # type: ignore[arg-type]


def test_a_block_without_a_price_is_rejected() -> None:
    """Bichler's case: with the block 2,570 would be gained, at no price; 2,000 without it."""
    of = book((0, False, 100, 13), (0, True, 300, 10), (0, True, 10, 14))
    found = clear_with_blocks(of, [offer(40, 12, 11)], RULE)
    assert found.accepted == (0,)
    assert found.welfare == 2000
    assert found.price.tolist() == [100]
    assert found.orders.tolist() == [10, 10, 0]
    assert found.refused == (0,)  # it would gain at 100: paradoxically rejected


def test_a_block_that_fits_is_taken_in_part_above_its_least() -> None:
    of = book((0, False, 100, 13), (0, True, 300, 12))
    found = clear_with_blocks(of, [offer(40, 14, 11)], RULE)
    assert found.accepted == (12,)
    assert found.price.tolist() == [40]
    assert found.orders.tolist() == [0, 12]
    assert found.welfare == 12 * 260


def test_a_block_to_buy() -> None:
    """10 kW at no more than 50: the offer at 30 serves it, at 60 it is left out."""
    buys = Block(owner=9, is_bid=True, price=50, quantity=10, least=10, auctions=(0,))
    found = clear_with_blocks(book((0, False, 30, 10)), [buys], RULE)
    assert (found.accepted, found.price.tolist(), found.welfare) == ((10,), [30], 200)
    found = clear_with_blocks(book((0, False, 60, 10)), [buys], RULE)
    assert (found.accepted, found.welfare) == ((0,), 0)


def test_a_block_over_two_auctions_needs_their_mean() -> None:
    """At 20 and 60 an offer at 35 gains 10 in sum, one at 45 loses."""
    rows = ((0, False, 20, 9), (0, True, 90, 9), (1, False, 60, 20), (1, True, 90, 15))
    of = book(*rows, n_auctions=2)
    cheap = clear_with_blocks(of, [offer(35, 5, auctions=(0, 1))], RULE)
    assert cheap.accepted == (5,)
    assert cheap.price.tolist() == [20, 60]
    assert cheap.welfare == 9 * 90 + 15 * 90 - 4 * 20 - 10 * 60 - 10 * 35
    dear = clear_with_blocks(of, [offer(45, 5, auctions=(0, 1))], RULE)
    assert dear.accepted == (0,)


def test_a_child_is_not_taken_without_its_parent() -> None:
    of = book((0, True, 100, 10))
    parent = offer(200, 5)
    child = offer(10, 5, parent=0)
    assert clear_with_blocks(of, [parent, child], RULE).accepted == (0, 0)
    assert clear_with_blocks(of, [offer(20, 5), child], RULE).accepted == (5, 5)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (offer(40, 5, 6), "least = 6, must lie in 1 … 5"),
        (offer(40, 5, 3, auctions=(0, 0)), "taken whole or not at all"),
        (offer(40, 5, auctions=(1,)), r"auctions \(1,\), must lie in 0 … 0"),
        (offer(4001, 5), r"price 4001, must lie in \[-500, 4000\]"),
        (offer(40, 5, parent=3), "parent 3, must lie in 0 … 0"),
    ],
)
def test_what_cannot_be_a_block(block: Block, said: str) -> None:
    with pytest.raises(InvalidSpec, match=f"block 0: .*{said}"):
        clear_with_blocks(book((0, True, 100, 10)), [block], RULE)


def test_too_many_blocks_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="13 blocks, allowed are 12"):
        clear_with_blocks(book((0, True, 9, 9)), [offer(1, 1)] * (MOST_BLOCKS + 1), RULE)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_best_set_by_another_road(seed: int) -> None:
    """Every quantity of every block and every price tried, on small books."""
    draw = default_rng(seed)
    rows = [
        (0, bool(draw.random() < 0.5), int(draw.integers(0, 8)), int(draw.integers(1, 5)))
        for _ in range(4)
    ]
    of = book(*rows)
    blocks = [
        Block(
            owner=9,
            is_bid=bool(draw.random() < 0.4),
            price=int(draw.integers(0, 8)),
            quantity=(quantity := int(draw.integers(1, 6))),
            least=int(draw.integers(1, quantity + 1)),
            auctions=(0,),
        )
        for _ in range(2)
    ]
    rule = UniformPrice(floor=-2, cap=10)
    found = clear_with_blocks(of, blocks, rule)
    assert found.welfare == best_by_trying(of, blocks, rule)
    price = int(found.price[0])
    for block, taken in zip(blocks, found.accepted, strict=True):
        if taken:
            assert block.least <= taken <= block.quantity
            assert (block.price >= price) if block.is_bid else (block.price <= price)
    if not any(found.accepted):
        assert found.orders.tolist() == clear(of, rule).accepted.tolist()


def best_by_trying(of: OrderBook, blocks: list[Block], rule: UniformPrice) -> int:
    """The most welfare over all prices and all quantities that the price allows."""
    best = None
    ranges = [(0, *range(block.least, block.quantity + 1)) for block in blocks]
    for price, taken in product(range(rule.floor, rule.cap + 1), product(*ranges)):
        low = high = worth = 0
        for block, kw in zip(blocks, taken, strict=True):
            sign = 1 if block.is_bid else -1
            gains = sign * (block.price - price)
            if (kw and gains < 0) or (0 < kw < block.quantity and gains > 0):
                break
            low, high = low + sign * kw, high + sign * kw
            worth += sign * block.price * kw
        else:
            settled = orders_at(of, price, low)
            if settled is not None:
                best = max(settled + worth, -(10**9) if best is None else best)
    assert best is not None
    return best


def orders_at(of: OrderBook, price: int, blocks_kw: int) -> int | None:
    """The worth of the orders at a price that balances with the blocks; None if none does."""
    sign = np.where(of.is_bid, 1, -1)
    gains = sign * (of.price - price)
    sure = gains > 0
    free = gains == 0
    net = int((sign * of.quantity)[sure].sum()) + blocks_kw
    most_more = int(of.quantity[free & of.is_bid].sum())
    most_less = int(of.quantity[free & ~of.is_bid].sum())
    if not -most_more <= net <= most_less:
        return None
    # At the margin a kW is worth the price on either side.
    return int((sign * of.price * of.quantity)[sure].sum()) - price * net
