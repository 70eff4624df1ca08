"""What every home pays in a community: one settlement, and a ledger that closes to the µ€.

A rule gives the price of a shared kWh, a key says who shares how much, and both together are two
price series a home: its bill is the settlement of its plan at those prices, as of any building. The
same in whole µ€ and Wh, step by step, is what is booked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ems.agents.home import HomeAgent
from ems.community.community import CommunityPlan
from ems.community.keys import Dynamic, SharingKey
from ems.community.money import MICRO, metered_wh
from ems.community.pool import settle_pool
from ems.community.rules import GridPrices, MidMarket, PoolRule, mixed_prices
from ems.core.horizon import Horizon
from ems.economics.settlement import DayKpis, settle
from ems.economics.store_value import Worth
from ems.types import Floats, Ints

StoresWorth = Mapping[str, tuple[Worth, Worth]]
"""Home -> value of a kWh in each store before the first step and after the last [€/kWh]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CommunityAccount:
    """The bills of a plan under a rule and a key.

    ``shared_eur_per_kwh``: λ, what the seller of a shared kWh earns, shape ``(n_steps,)``.
    ``received_wh``, ``supplied_wh``: from and to the neighbours; ``bill_micro_eur``: what each home
    pays for its energy, below 0 what it is paid; all of shape ``(n_steps, n_homes)``.
    ``invoice_micro_eur``, ``fee_micro_eur``: what the supplier and the fee take of all, shape
    ``(n_steps,)``: in every step the bills sum to both exactly.
    ``worth``: of what is in the stores at both ends, None if nothing is known; ``put_back_eur``:
    what is taken off their value for each home, such as what they gained as metered [€].
    """

    plan: CommunityPlan
    rule: str
    key: str
    shared_eur_per_kwh: Floats
    received_wh: Ints
    supplied_wh: Ints
    bill_micro_eur: Ints
    invoice_micro_eur: Ints
    fee_micro_eur: Ints
    worth: StoresWorth | None = None
    put_back_eur: Mapping[str, float] = field(default_factory=dict)

    @property
    def homes(self) -> tuple[HomeAgent, ...]:
        """The homes, in the order of the columns."""
        return self.plan.homes

    @cached_property
    def kpis(self) -> tuple[DayKpis, ...]:
        """The settlement of every home at its own prices."""
        return tuple(
            self._settled(home, self.horizon_of(number)) for number, home in enumerate(self.homes)
        )

    def _settled(self, home: HomeAgent, horizon: Horizon) -> DayKpis:
        worth = None if self.worth is None else self.worth[home.name]
        kpis = settle(self.plan.of_home(home, horizon), worth=worth)
        return replace(kpis, stored_eur=kpis.stored_eur - self.put_back_eur.get(home.name, 0.0))

    @cached_property
    def metered_wh(self) -> tuple[Ints, Ints]:
        """Import and export of each home in whole Wh, each of shape ``(n_homes, n_steps)``."""
        return metered_wh(self.plan.import_kwh), metered_wh(self.plan.export_kwh)

    def horizon_of(self, number: int) -> Horizon:
        """The prices of one home: of the neighbours and of the grid, mixed by its kWh."""
        plan, (import_wh, export_wh) = self.plan, self.metered_wh
        buy, sell = mixed_prices(
            shared_eur_per_kwh=self.shared_eur_per_kwh,
            grid=grid_prices(plan),
            received_kwh=self.received_wh[:, number] / 1000.0,
            deficit_kwh=import_wh[number] / 1000.0,
            supplied_kwh=self.supplied_wh[:, number] / 1000.0,
            surplus_kwh=export_wh[number] / 1000.0,
        )
        return replace(plan.horizon, import_eur_per_kwh=buy, export_eur_per_kwh=sell)

    @property
    def cost_eur(self) -> Floats:
        """What each home pays with its stores put back, and its wear [€], shape ``(n_homes,)``."""
        bills_eur = self.bill_micro_eur.sum(axis=0) / MICRO
        return np.array(
            [
                bill_eur - kpis.stored_eur + kpis.wear_eur + kpis.discomfort_eur
                for bill_eur, kpis in zip(bills_eur, self.kpis, strict=True)
            ]
        )


def grid_prices(plan: CommunityPlan) -> GridPrices:
    """The prices outside, and the fee; without a common bus the fee leaves nothing to share."""
    horizon = plan.horizon
    gain = np.maximum(horizon.import_eur_per_kwh - horizon.export_eur_per_kwh, 0.0)
    return GridPrices(
        retail_eur_per_kwh=horizon.import_eur_per_kwh,
        feed_in_eur_per_kwh=horizon.export_eur_per_kwh,
        fee_eur_per_kwh=plan.fee_eur_per_kwh if plan.shared else gain,
    )


def settle_community(
    plan: CommunityPlan,
    *,
    rule: PoolRule | None = None,
    key: SharingKey | None = None,
    worth: StoresWorth | None = None,
    put_back_eur: Mapping[str, float] | None = None,
) -> CommunityAccount:
    """The account of a plan; where every home has a connection of its own nothing is shared.

    ``rule``: default ``MidMarket``; ``key``: default ``Dynamic``. Raises ``InvalidSpec`` if the
    rule has no price for these prices, or the key is made for another number of homes.
    """
    rule, key, grid = rule or MidMarket(), key or Dynamic(), grid_prices(plan)
    surplus_wh, deficit_wh = metered_wh(plan.export_kwh), metered_wh(plan.import_kwh)
    shared = rule.shared_eur_per_kwh(surplus_wh / 1000.0, deficit_wh / 1000.0, grid)
    pieces = list(
        settle_pool(surplus_wh, deficit_wh, key=key, shared_eur_per_kwh=shared, grid=grid)
    )

    def joined(name: str) -> Ints:
        values: Ints = np.concatenate([getattr(piece, name) for piece in pieces])
        return values

    return CommunityAccount(
        plan=plan,
        rule=rule.name if plan.shared else "none",
        key=key.name if plan.shared else "none",
        shared_eur_per_kwh=shared,
        received_wh=joined("received_wh"),
        supplied_wh=joined("supplied_wh"),
        bill_micro_eur=joined("bill_micro_eur"),
        invoice_micro_eur=joined("invoice_micro_eur"),
        fee_micro_eur=joined("fee_micro_eur"),
        worth=worth,
        put_back_eur=put_back_eur or {},
    )
