"""Games whose equilibria are known by hand, and how much of collusion a learner reaches.

Δ = (π − π_Nash) / (π_collusion − π_Nash): 0 competes, 1 acts as one (Calvano, Calzolari, Denicolò
and Pastorello, American Economic Review 110(10), 2020, doi:10.1257/aer.20190623).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class Cournot:
    """Sellers who choose quantities: price = intercept − Σ q, each with the same unit cost."""

    intercept: float
    cost: float
    n_sellers: int

    def __post_init__(self) -> None:
        if not self.intercept > self.cost or self.n_sellers < 1:
            raise InvalidSpec(
                f"Cournot: intercept = {self.intercept:g}, cost = {self.cost:g}, n_sellers = "
                f"{self.n_sellers}; must be intercept > cost and at least one seller"
            )

    @property
    def margin(self) -> float:
        """Intercept less cost: the quantity at which nobody earns anything."""
        return self.intercept - self.cost

    def profits(self, quantities: Floats) -> Floats:
        """What each earns, shape as ``quantities``, ``(…, n_sellers)``."""
        earned: Floats = (self.margin - quantities.sum(axis=-1, keepdims=True)) * quantities
        return earned

    def best_response(self, others: float) -> float:
        """The quantity that earns most while the others sell ``others``: (a − c − Q)/2."""
        return max((self.margin - others) / 2.0, 0.0)

    @property
    def nash_quantity(self) -> float:
        """Of each: (a − c)/(n + 1)."""
        return self.margin / (self.n_sellers + 1)

    @property
    def nash_profit(self) -> float:
        """Of each: ((a − c)/(n + 1))²."""
        return self.nash_quantity**2

    @property
    def collusive_profit(self) -> float:
        """Of each if they act as one: (a − c)²/(4 n)."""
        return self.margin**2 / (4.0 * self.n_sellers)

    def welfare(self, total: float) -> float:
        """Of buyers and sellers, over the most there can be: 1 − (1 − Q/(a − c))²."""
        return 1.0 - (1.0 - total / self.margin) ** 2


@dataclass(frozen=True, kw_only=True)
class TwoPeriodStore:
    """A lossless store between two hours: price low + q where it buys, high − q where it sells."""

    low: float
    high: float

    def profit(self, quantity: float) -> float:
        """What it earns: q ((high − q) − (low + q))."""
        return quantity * (self.high - self.low - 2.0 * quantity)

    @property
    def competitive_quantity(self) -> float:
        """Where many stores leave no difference: (high − low)/2."""
        return (self.high - self.low) / 2.0

    @property
    def monopoly_quantity(self) -> float:
        """What one alone moves: half of that."""
        return self.competitive_quantity / 2.0


def collusion(profit: float, nash: float, collusive: float) -> float:
    """Calvano's Δ. Raises ``InvalidSpec`` where acting as one gains nothing."""
    if not collusive > nash:
        raise InvalidSpec(
            f"collusion: {collusive:g} of acting as one is not above {nash:g} of the equilibrium"
        )
    return (profit - nash) / (collusive - nash)


def best_response_gap(game: Cournot, quantities: Floats) -> Floats:
    """What each would gain by its best answer to the others, shape ``(n_sellers,)``."""
    total = quantities.sum()
    best = np.array([game.best_response(float(total - own)) for own in quantities])
    earned = (game.margin - (total - quantities) - best) * best
    gained: Floats = earned - game.profits(quantities)
    return gained
