"""Orders of many auctions in one book of integer arrays, and who is let in.

Prices are whole ticks of 0.01 €/MWh and quantities whole kW, so that no residue of a float can set
a price. ``clear`` never looks at a unit: a book in Wh or in finer ticks clears alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.types import Bools, Floats, Ints

TICKS_PER_EUR_PER_MWH = 100
"""A tick is 0.01 €/MWh."""
LARGEST = 3_000_000_000
"""Most that one side of one auction may hold: its square still fits 64 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderBook:
    """Orders of ``n_auctions`` auctions; all arrays have shape ``(n_orders,)``.

    ``auction``: number of the auction, such as the step, in [0, n_auctions). ``owner``: number of
    the bidder. ``is_bid``: to buy; else an offer to sell. ``price``: the most a bid pays or the
    least an offer takes [ticks]. ``quantity``: at least 1 [kW]. The place of an order is its id.
    Raises ``InvalidSpec``.
    """

    n_auctions: int
    auction: Ints
    owner: Ints
    is_bid: Bools
    price: Ints
    quantity: Ints

    def __post_init__(self) -> None:
        n = len(self.auction)
        for name in ("auction", "owner", "is_bid", "price", "quantity"):
            values = getattr(self, name)
            kind = "bool" if name == "is_bid" else "int64"
            if values.shape != (n,) or values.dtype != kind:
                raise InvalidSpec(
                    f"OrderBook: {name} is {values.dtype} of shape {values.shape}, must be "
                    f"{kind} of shape ({n},) like auction"
                )
        if n and not 0 <= self.auction.min() <= self.auction.max() < self.n_auctions:
            raise InvalidSpec(
                f"OrderBook: auction from {self.auction.min()} to {self.auction.max()}, must lie "
                f"in 0 … {self.n_auctions - 1} (n_auctions = {self.n_auctions})"
            )
        if n and self.quantity.min() < 1:
            raise InvalidSpec(
                f"OrderBook: order {self.quantity.argmin()} has quantity {self.quantity.min()}, "
                "must be at least 1; leave such orders out"
            )
        held = np.bincount(self.auction * 2 + self.is_bid, weights=self.quantity, minlength=1)
        if held.max() > LARGEST:
            raise InvalidSpec(
                f"OrderBook: auction {held.argmax() // 2} holds {held.max():.0f} on one side, must "
                f"be at most {LARGEST}; count in a larger unit"
            )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an order must keep: price in [floor, cap] [€/MWh], at least ``least_kw``."""

    floor_eur_per_mwh: float
    cap_eur_per_mwh: float
    least_kw: float = 1.0

    def __post_init__(self) -> None:
        if not self.floor_eur_per_mwh < self.cap_eur_per_mwh:
            raise InvalidSpec(
                f"Limits: floor_eur_per_mwh = {self.floor_eur_per_mwh:g}, must be below "
                f"cap_eur_per_mwh = {self.cap_eur_per_mwh:g}"
            )
        if not self.least_kw >= 1.0:
            raise InvalidSpec(
                f"Limits: least_kw = {self.least_kw:g}, must be at least 1, the unit of a quantity"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Admission:
    """The book of the orders that were let in, and why the others were not.

    ``order``: for each order of the book its place among all that were given. ``reasons``: one for
    each order that was given, "" if it was let in.
    """

    book: OrderBook
    order: Ints
    reasons: tuple[str, ...]


def admit(
    *,
    n_auctions: int,
    auction: Ints,
    owner: Ints,
    is_bid: Bools,
    price_eur_per_mwh: Floats,
    quantity_kw: Floats,
    deliverable_kw: Floats,
    limits: Limits,
) -> Admission:
    """Sort out orders that no auction may hold, each with its reason; the others as integers.

    All arrays have shape ``(n_orders,)``. ``deliverable_kw``: the most that the owner of the order
    can deliver or take on that side; if the owner's orders on one side of one auction ask for more
    together, none of them stands, since nothing says which of them was meant.
    """
    named = (
        (~np.isfinite(price_eur_per_mwh), "price is not a finite number"),
        (~np.isfinite(quantity_kw), "quantity is not a finite number"),
        (
            (price_eur_per_mwh < limits.floor_eur_per_mwh)
            | (price_eur_per_mwh > limits.cap_eur_per_mwh),
            f"price outside [{limits.floor_eur_per_mwh:g}, {limits.cap_eur_per_mwh:g}] €/MWh",
        ),
        (quantity_kw < limits.least_kw, f"quantity below {limits.least_kw:g} kW"),
    )
    reasons = np.full(len(auction), "", dtype=object)
    for broken, reason in reversed(named):
        reasons[broken] = reason
    good = reasons == ""
    asked_kw = _asked(auction, owner, is_bid, np.where(good, quantity_kw, 0.0))
    reasons[good & (asked_kw > deliverable_kw)] = "more than the owner can deliver"
    order = np.flatnonzero(reasons == "")
    return Admission(
        book=OrderBook(
            n_auctions=n_auctions,
            auction=auction[order],
            owner=owner[order],
            is_bid=is_bid[order],
            price=np.rint(price_eur_per_mwh[order] * TICKS_PER_EUR_PER_MWH).astype(np.int64),
            quantity=np.rint(quantity_kw[order]).astype(np.int64),
        ),
        order=order,
        reasons=tuple(reasons),
    )


def _asked(auction: Ints, owner: Ints, is_bid: Bools, quantity_kw: Floats) -> Floats:
    """What the owner of each order asks for on that side of that auction, all orders together."""
    place = np.stack([auction, owner, is_bid.astype(np.int64)])
    _, group = np.unique(place, axis=1, return_inverse=True)
    sums: Floats = np.bincount(group, weights=quantity_kw).astype(np.float64)
    return sums[group]
