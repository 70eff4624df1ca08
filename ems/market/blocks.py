"""Blocks: orders that are taken whole or not at all, over one auction or several.

Of all sets of blocks that have prices the one of most welfare is taken. A set has prices if the
other orders clear with its blocks in the book, each auction at one price, and no block of it loses:
none is paradoxically accepted. Blocks that would gain may still be left out; that is the price of
uniform prices (O'Neill et al. 2005, doi:10.1016/j.ejor.2003.12.011; Bichler et al. for the case in
the tests). Every set is cleared by ``ems.market.clearing``, all of them at once, so the choice is
exact, and ``MOST_BLOCKS`` is what can be tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.market.clearing import Clearing, UniformPrice, clear
from ems.market.orders import OrderBook
from ems.types import Bools, Ints

MOST_BLOCKS = 12
"""4,096 sets."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """An order over ``auctions``, the same ``quantity`` [kW] at ``price`` [ticks] in each.

    ``least``: the part that must be taken if any is [kW]; below ``quantity`` only for a block of
    one auction, which may then be taken in part as any order may. ``parent``: place of the block
    without which this one is not taken.
    """

    owner: int
    is_bid: bool
    price: int
    quantity: int
    auctions: tuple[int, ...]
    least: int
    parent: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockClearing:
    """The set that was taken: ``accepted`` [kW] of every block in each of its auctions.

    ``orders``: what the other orders get, at ``price`` [ticks] of each auction. ``welfare``: worth
    of what is served less what is asked for it [ticks · kW]. ``refused``: places of the blocks that
    would have gained at these prices and are left out.
    """

    accepted: tuple[int, ...]
    orders: Ints
    price: Ints
    welfare: int
    refused: tuple[int, ...]


def clear_with_blocks(
    book: OrderBook, blocks: Sequence[Block], rule: UniformPrice
) -> BlockClearing:
    """Clear ``book`` with the best set of blocks. Raises ``InvalidSpec``."""
    _check(book, blocks, rule)
    sets = _sets(blocks)
    tried, place = _all_books(book, blocks, sets, rule)
    clearing = clear(tried, rule)
    own = len(book.auction)
    n_sets = len(sets)
    orders = clearing.accepted[: n_sets * own].reshape(n_sets, own)
    # Parts of blocks: what must be taken, and what may be.
    parts = clearing.accepted[n_sets * own :]
    best: BlockClearing | None = None
    for i, taken in enumerate(sets):
        price = _price(clearing, i, book.n_auctions, blocks, taken, rule)
        accepted = _accepted(blocks, taken, parts, place[i])
        if price is None or accepted is None:
            continue
        worth = int((np.where(book.is_bid, 1, -1) * book.price * orders[i]).sum())
        for block, kw in zip(blocks, accepted, strict=True):
            worth += (1 if block.is_bid else -1) * block.price * kw * len(block.auctions)
        if best is None or worth > best.welfare:
            gains = [_gain(block, price) for block in blocks]
            refused = tuple(j for j, kw in enumerate(accepted) if kw == 0 and gains[j] > 0)
            best = BlockClearing(
                accepted=accepted,
                orders=orders[i].copy(),
                price=price,
                welfare=worth,
                refused=refused,
            )
    assert best is not None  # the set without blocks always has prices
    return best


def _check(book: OrderBook, blocks: Sequence[Block], rule: UniformPrice) -> None:
    if len(blocks) > MOST_BLOCKS:
        raise InvalidSpec(f"{len(blocks)} blocks, allowed are {MOST_BLOCKS}: all sets are tried")
    for i, block in enumerate(blocks):
        if not 1 <= block.least <= block.quantity:
            raise InvalidSpec(
                f"block {i}: least = {block.least}, must lie in 1 … {block.quantity}, its quantity"
            )
        if len(block.auctions) > 1 and block.least != block.quantity:
            raise InvalidSpec(f"block {i}: over several auctions it is taken whole or not at all")
        if not block.auctions or not 0 <= min(block.auctions) <= max(block.auctions) < (
            book.n_auctions
        ):
            raise InvalidSpec(
                f"block {i}: auctions {block.auctions}, must lie in 0 … {book.n_auctions - 1}"
            )
        if not rule.floor <= block.price <= rule.cap:
            raise InvalidSpec(
                f"block {i}: price {block.price}, must lie in [{rule.floor}, {rule.cap}]"
            )
        if block.parent is not None and not 0 <= block.parent < len(blocks):
            raise InvalidSpec(
                f"block {i}: parent {block.parent}, must lie in 0 … {len(blocks) - 1}"
            )


def _sets(blocks: Sequence[Block]) -> list[Bools]:
    """All sets in which every block has its parent; the empty one first."""
    n = len(blocks)
    every = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    parents = [(i, one.parent) for i, one in enumerate(blocks) if one.parent is not None]
    return [taken for taken in every if all(taken[p] or not taken[i] for i, p in parents)]


def _all_books(
    book: OrderBook, blocks: Sequence[Block], sets: Sequence[Bools], rule: UniformPrice
) -> tuple[OrderBook, list[dict[int, list[int]]]]:
    """The book with every set of blocks in it, and where the parts of its blocks stand.

    What must be taken of a block is for sale at the floor, or wanted at the cap; the rest stands at
    its price.
    """
    n_sets, t = len(sets), book.n_auctions
    rows: list[tuple[int, bool, int, int]] = []
    place: list[dict[int, list[int]]] = []
    for i, taken in enumerate(sets):
        place.append({})
        for j in map(int, np.flatnonzero(taken)):
            block = blocks[j]
            at = place[i].setdefault(int(j), [])
            must = rule.cap if block.is_bid else rule.floor
            for auction in block.auctions:
                at.append(len(rows))
                rows.append((i * t + auction, block.is_bid, must, block.least))
            if block.quantity > block.least:
                at.append(len(rows))
                rest = block.quantity - block.least
                rows.append((i * t + block.auctions[0], block.is_bid, block.price, rest))
    shift = np.repeat(np.arange(n_sets) * t, len(book.auction))
    return (
        OrderBook(
            n_auctions=n_sets * t,
            auction=np.append(np.tile(book.auction, n_sets) + shift, [r[0] for r in rows]).astype(
                np.int64
            ),
            owner=np.append(np.tile(book.owner, n_sets), [0] * len(rows)).astype(np.int64),
            is_bid=np.append(np.tile(book.is_bid, n_sets), [r[1] for r in rows]).astype(np.bool_),
            price=np.append(np.tile(book.price, n_sets), [r[2] for r in rows]).astype(np.int64),
            quantity=np.append(np.tile(book.quantity, n_sets), [r[3] for r in rows]).astype(
                np.int64
            ),
        ),
        place,
    )


def _accepted(
    blocks: Sequence[Block], taken: Bools, parts: Ints, place: dict[int, list[int]]
) -> tuple[int, ...] | None:
    """What is taken of each block; None if what must be taken of one could not be."""
    found = []
    for j, block in enumerate(blocks):
        if not taken[j]:
            found.append(0)
            continue
        got = parts[place[j]]
        musts = got[: len(block.auctions)]
        if (musts < block.least).any():
            return None
        found.append(int(block.least + got[len(block.auctions) :].sum()))
    return tuple(found)


def _price(
    clearing: Clearing,
    i: int,
    n_auctions: int,
    blocks: Sequence[Block],
    taken: Bools,
    rule: UniformPrice,
) -> Ints | None:
    """Prices at which no block of the set loses, as near as can be to what the rule says.

    A block of one auction moves its price within the interval of those that clear; one of several
    must gain at the prices that the others leave. None if there are none.
    """
    at = slice(i * n_auctions, (i + 1) * n_auctions)
    low, high, price = (
        values[at].copy() for values in (clearing.low, clearing.high, clearing.price)
    )
    for j in map(int, np.flatnonzero(taken)):
        block = blocks[j]
        if len(block.auctions) == 1:
            (t,) = block.auctions
            if block.is_bid:
                high[t] = min(high[t], block.price)
            else:
                low[t] = max(low[t], block.price)
    if (low > high).any():
        return None
    price = np.clip(price, low, high)
    several = [blocks[j] for j in map(int, np.flatnonzero(taken)) if len(blocks[j].auctions) > 1]
    if any(_gain(block, price) < 0 for block in several):
        sold = any(not block.is_bid for block in several)
        price = high if sold else low
    return None if any(_gain(block, price) < 0 for block in several) else price


def _gain(block: Block, price: Ints) -> int:
    """What a kW of the block gains at these prices [ticks]."""
    over = int(price[list(block.auctions)].sum()) - block.price * len(block.auctions)
    return -over if block.is_bid else over
