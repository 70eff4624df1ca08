"""What a kWh that neighbours share costs, step by step.

Every rule is one price λ of a shared kWh [€/kWh]: the seller earns λ, the buyer pays λ + f, f
being the internal fee. Of the surplus S and the deficit D of a step, m = min(S, D) is shared; the
residual is traded with the grid at the retail price p_in and the feed-in price p_out. So

    buy  = (m (λ + f) + (D − m) p_in) / D
    sell = (m λ + (S − m) p_out) / S

and buy · D − sell · S = p_in (D − m) − p_out (S − m) + f m: what the homes pay is what the grid and
the fee take, for every λ. With λ in the box [p_out, p_in − f], buy ≤ p_in and sell ≥ p_out: no home
pays more than it would alone for the same kWh. If p_in − f ≤ p_out the box is empty, the pool is
worthless, and in that step nothing is shared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ems.community.money import NANO, nano_eur_per_kwh
from ems.errors import InvalidSpec
from ems.market.clearing import UniformPrice, clear
from ems.market.orders import OrderBook
from ems.types import Bools, Floats

LEAST_SPREAD_EUR_PER_KWH = 1e-9
"""A gain below this is rounding."""
BOX_TOLERANCE_EUR_PER_KWH = 1e-6
"""A dual may leave its box by this much; it is put back."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GridPrices:
    """Prices outside of the pool and the fee inside, all [€/kWh], shape ``(n_steps,)``.

    ``retail``: p_in, ``feed_in``: p_out, ``fee``: f, what grid and operator take of a shared kWh; a
    premium on shared kWh is a fee below 0. Raises ``InvalidSpec``.
    """

    retail_eur_per_kwh: Floats
    feed_in_eur_per_kwh: Floats
    fee_eur_per_kwh: Floats

    def __post_init__(self) -> None:
        n = len(self.retail_eur_per_kwh)
        for name in ("retail_eur_per_kwh", "feed_in_eur_per_kwh", "fee_eur_per_kwh"):
            values = getattr(self, name)
            if values.shape != (n,) or not np.all(np.isfinite(values)):
                raise InvalidSpec(
                    f"GridPrices: {name} of shape {values.shape}, must be {n} finite prices, one a "
                    "step like retail_eur_per_kwh"
                )

    @property
    def most_eur_per_kwh(self) -> Floats:
        """p_in − f, the most that a shared kWh can earn."""
        return self.retail_eur_per_kwh - self.fee_eur_per_kwh

    @property
    def worthwhile(self) -> Bools:
        """Steps in which sharing can gain: p_in − f > p_out."""
        return self.most_eur_per_kwh - self.feed_in_eur_per_kwh > LEAST_SPREAD_EUR_PER_KWH


class PoolRule(ABC):
    """A rule for the price of a shared kWh. Subclasses say how λ(t) is found."""

    name: ClassVar[str]
    keeps_box: ClassVar[bool] = True
    """Whether it claims buy ≤ p_in and sell ≥ p_out."""

    def shared_eur_per_kwh(
        self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices
    ) -> Floats:
        """λ(t) [€/kWh], shape ``(n_steps,)``; where sharing is not worthwhile it means nothing.

        ``surplus_kwh``, ``deficit_kwh``: shape ``(n_homes, n_steps)``, at least 0. Raises
        ``InvalidSpec`` if the shapes differ or the rule has no price for these prices.
        """
        n = len(grid.retail_eur_per_kwh)
        for name, values in (("surplus_kwh", surplus_kwh), ("deficit_kwh", deficit_kwh)):
            if values.shape != (len(surplus_kwh), n):
                raise InvalidSpec(
                    f"{self.name}: {name} has shape {values.shape}, must be (homes, {n}) like the "
                    "prices"
                )
        return self._price(surplus_kwh.sum(axis=0), deficit_kwh.sum(axis=0), grid)

    @abstractmethod
    def _price(self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
        """λ from the sums over homes; all shapes ``(n_steps,)``."""

    def prices(
        self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices
    ) -> tuple[Floats, Floats]:
        """``buy`` of every deficit kWh and ``sell`` of every surplus kWh [€/kWh], ``(n_steps,)``.

        Same arguments as ``shared_eur_per_kwh``. In a step without deficit, ``buy`` is what the
        first kWh would pay; likewise ``sell``.
        """
        shared = self.shared_eur_per_kwh(surplus_kwh, deficit_kwh, grid)
        surplus, deficit = surplus_kwh.sum(axis=0), deficit_kwh.sum(axis=0)
        shared_kwh = np.minimum(surplus, deficit)
        bought = _part(shared_kwh, deficit, surplus > 0) * grid.worthwhile
        sold = _part(shared_kwh, surplus, deficit > 0) * grid.worthwhile
        return (
            bought * (shared + grid.fee_eur_per_kwh) + (1 - bought) * grid.retail_eur_per_kwh,
            sold * shared + (1 - sold) * grid.feed_in_eur_per_kwh,
        )


def mixed_prices(
    *,
    shared_eur_per_kwh: Floats,
    grid: GridPrices,
    received_kwh: Floats,
    deficit_kwh: Floats,
    supplied_kwh: Floats,
    surplus_kwh: Floats,
) -> tuple[Floats, Floats]:
    """Each home's prices under a key: the pool's and the grid's, mixed by kWh [€/kWh].

    ``buy`` and ``sell`` of shape ``(n_homes, n_steps)``, like the four energies; λ has shape
    ``(n_steps,)``. Without energy they are the grid's. A home's bill is then Σ buy · deficit − sell
    · surplus.
    """
    nothing = np.zeros(deficit_kwh.shape, dtype=bool)
    bought = _part(received_kwh, deficit_kwh, nothing)
    sold = _part(supplied_kwh, surplus_kwh, nothing)
    pays = shared_eur_per_kwh + grid.fee_eur_per_kwh
    return (
        bought * pays + (1 - bought) * grid.retail_eur_per_kwh,
        sold * shared_eur_per_kwh + (1 - sold) * grid.feed_in_eur_per_kwh,
    )


def _part(shared: Floats, of: Floats, without: Bools) -> Floats:
    """The part that is shared, in [0, 1]; where there is nothing, ``without`` as 0 or 1."""
    return np.where(of > 0, shared / np.where(of > 0, of, 1.0), without)


@dataclass(frozen=True)
class MidMarket(PoolRule):
    """Half-way: λ = (p_out + p_in − f) / 2.

    Mid-market rate of Long et al. 2017, doi:10.1109/PESGM.2017.8274546.
    """

    name: ClassVar[str] = "mid_market"

    def _price(self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
        return (grid.feed_in_eur_per_kwh + grid.most_eur_per_kwh) / 2.0


@dataclass(frozen=True)
class SupplyDemandRatio(PoolRule):
    """The scarcer the surplus, the dearer: between p_in − f (none) and p_out (enough).

    r = min(S / D, 1), λ = p_out · h / ((h − p_out) r + p_out) with h = p_in − f: the weighted
    harmonic mean of both. Liu et al. 2017, doi:10.1109/TPWRS.2017.2649558. Defined only for p_out
    at least 0.
    """

    name: ClassVar[str] = "supply_demand_ratio"

    def _price(self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
        least, most = grid.feed_in_eur_per_kwh, grid.most_eur_per_kwh
        negative = np.flatnonzero((least < 0) & grid.worthwhile)
        if len(negative):
            raise InvalidSpec(
                f"supply_demand_ratio: feed-in price {least[negative[0]]:g} €/kWh in step "
                f"{negative[0]}, must be at least 0 for this rule; choose "
                "mid_market or double_auction"
            )
        ratio = np.minimum(_part(surplus_kwh, deficit_kwh, deficit_kwh <= 0), 1.0)
        below = (most - least) * ratio + least
        usable = grid.worthwhile & (below > 0)  # 0 only if p_out is 0 and there is no surplus
        return np.where(usable, least * most / np.where(usable, below, 1.0), most)


@dataclass(frozen=True)
class DoubleAuction(PoolRule):
    """Every surplus is offered at p_out, every need bid at p_in − f, in one auction a step.

    ``ems.market.clearing.clear`` with ``k``: the side that is scarce takes all the gain; if both
    are equal, ``k`` of it goes to the sellers. Equal orders are one order here: that moves no
    price.
    """

    name: ClassVar[str] = "double_auction"
    k: float = 0.0

    def _price(self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
        least, most = grid.feed_in_eur_per_kwh, grid.most_eur_per_kwh
        asks, bids = nano_eur_per_kwh(least), nano_eur_per_kwh(most)
        quantity = np.rint(np.concatenate([surplus_kwh, deficit_kwh]) * 1000.0).astype(np.int64)
        n = len(asks)
        held = quantity > 0
        book = OrderBook(
            n_auctions=n,
            auction=np.tile(np.arange(n), 2)[held],
            owner=np.arange(2 * n)[held],
            is_bid=np.repeat([False, True], n)[held],
            price=np.concatenate([asks, bids])[held],
            quantity=quantity[held],
        )
        bounds = np.concatenate([asks, bids])
        rule = UniformPrice(floor=int(bounds.min()), cap=int(bounds.max()), k=self.k)
        return np.clip(clear(book, rule).price / NANO, least, np.maximum(least, most))


@dataclass(frozen=True, eq=False)
class Competitive(PoolRule):
    """The dual λ(t) of the community's balance in the common plan [€/kWh], shape ``(n_steps,)``.

    With the plan it comes from, nobody is worse off than alone: his plan alone stays possible, and
    its prices are no worse.
    """

    name: ClassVar[str] = "competitive"
    dual_eur_per_kwh: Floats

    def _price(self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
        least, most, dual = grid.feed_in_eur_per_kwh, grid.most_eur_per_kwh, self.dual_eur_per_kwh
        if dual.shape != least.shape:
            raise InvalidSpec(
                f"competitive: {len(dual)} duals for {len(least)} steps; give those of the same "
                "plan"
            )
        near = (dual >= least - BOX_TOLERANCE_EUR_PER_KWH) & (
            dual <= most + BOX_TOLERANCE_EUR_PER_KWH
        )
        outside = np.flatnonzero(~near & grid.worthwhile)
        if len(outside):
            at = outside[0]
            raise InvalidSpec(
                f"competitive: dual {dual[at]:g} €/kWh in step {at}, must lie in "
                f"[{least[at]:g}, {most[at]:g}]; give those of the plan with the same prices and "
                "fee"
            )
        return np.clip(dual, least, np.maximum(least, most))


@dataclass(frozen=True)
class BillSharing(PoolRule):
    """The community's import bill by deficit, its export income by surplus: λ = 0.

    buy = (p_in (D − m) + f m) / D, sell = p_out (S − m) / S. Long et al. 2017,
    doi:10.1109/PESGM.2017.8274546, with every step a bill of its own. Whoever sells to neighbours
    earns nothing for it and can lose against being alone.
    """

    name: ClassVar[str] = "bill_sharing"
    keeps_box: ClassVar[bool] = False

    def _price(self, surplus_kwh: Floats, deficit_kwh: Floats, grid: GridPrices) -> Floats:
        return np.zeros(len(surplus_kwh))
