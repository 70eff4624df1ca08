"""What a run of the market came to: who paid whom, what it cost, how the grid fared.

*Payments* are what buyers pay, *cost* is what plants burn and stores wear: different things, which
are often mixed up. Welfare is what served load is worth to its bids, must-serve load at the cap,
less that cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ems.agents import GridAgent
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.solver import Solver
from ems.market.bidders import BidderKind
from ems.market.clearing import Clearing
from ems.market.cycle import MarketRun, renewable_share
from ems.market.frequency import BANDS_HZ
from ems.market.orders import TICKS_PER_EUR_PER_MWH, OrderBook
from ems.market.scenario import TradedStore
from ems.market.settlement import (
    EUR_PER_UNIT_H,
    Payment,
    energy_payments,
    imbalance_payments,
    imbalance_prices,
)
from ems.types import Bools, Floats, Ints

KWH_PER_MWH = 1000.0


@dataclass(frozen=True, kw_only=True)
class BidderRow:
    """One bidder over a run; energies in MWh, money in €.

    ``offered_mwh``: asked for or offered in all orders that were let in. ``sold_mwh``,
    ``bought_mwh``: delivered. ``paid_eur``: for energy, below 0 received; ``imbalance_eur``: for
    what it delivered otherwise than accepted. ``cost_eur``: fuel, wear, and what its stores hold
    less than before, at what it takes for that at least. ``possible_eur``: the most that it could
    have earned at these very prices without moving them; None for a consumer and for pay_as_bid,
    under which nobody earns the price.
    """

    name: str
    kind: BidderKind
    offered_mwh: float
    sold_mwh: float
    bought_mwh: float
    paid_eur: float
    imbalance_eur: float
    cost_eur: float
    emissions_kg: float
    possible_eur: float | None

    @property
    def profit_eur(self) -> float:
        """What is left of its revenue; of a consumer, what it pays, below 0."""
        return -self.paid_eur - self.imbalance_eur - self.cost_eur


@dataclass(frozen=True, kw_only=True)
class MarketTotals:
    """The market as a whole; see the module for cost, payments and welfare.

    Shares in [0, 1]; ``outside_s``: seconds beyond ±50, ±100 and ±200 mHz; NaN and () without
    physics. ``price_eur_per_mwh``: the mean by energy.
    """

    n_auctions: int
    traded_mwh: float
    price_eur_per_mwh: float
    payments_eur: float
    cost_eur: float
    welfare_eur: float
    operator_eur: float
    renewable_share: float
    kg_per_mwh: float
    unserved_mwh: float
    curtailed_mwh: float
    lowest_hz: float
    highest_hz: float
    outside_s: tuple[float, ...]
    shed_mwh: float
    lowest_pu: float


@dataclass(frozen=True, kw_only=True, eq=False)
class MarketAccount:
    """The settlement of a run; arrays of shape ``(n_auctions, n_bidders)``.

    ``energy``, ``imbalance``: what each pays, in ticks · kW · step (``ems.market.settlement``).
    Every row of ``energy`` sums to 0; ``imbalance`` does with the operator's account.
    """

    run: MarketRun
    payment: Payment
    book: OrderBook
    clearing: Clearing
    accepted_kw: Ints
    delivered_kw: Ints
    energy: Ints
    imbalance: Ints

    @property
    def eur_per_unit(self) -> float:
        """Euros of a unit of money."""
        return EUR_PER_UNIT_H * self.run.scenario.step_h

    @cached_property
    def price_eur_per_mwh(self) -> Floats:
        """The price of every auction."""
        return self.clearing.price / TICKS_PER_EUR_PER_MWH

    @property
    def suspended(self) -> tuple[bool, ...]:
        """Whether each auction was none, since the one before ended in an emergency."""
        states = [record.watch.suspended for record in self.run.records]
        return (False, *states[:-1])

    @cached_property
    def bidders(self) -> tuple[BidderRow, ...]:
        """A row for every bidder."""
        return tuple(self._row(i) for i in range(len(self.run.bidders)))

    @cached_property
    def totals(self) -> MarketTotals:
        """The market as a whole."""
        step_h, records = self.run.scenario.step_h, self.run.records
        volume_mwh = self.clearing.volume * step_h / KWH_PER_MWH
        rows, fed_kw = self.bidders, np.maximum(-self.delivered_kw, 0)
        fed_mwh = float(fed_kw.sum()) * step_h / KWH_PER_MWH
        runs = [record.frequency for record in records if record.frequency is not None]
        cost_eur = sum(row.cost_eur for row in rows)
        weights = volume_mwh.sum()
        return MarketTotals(
            n_auctions=len(records),
            traded_mwh=float(weights),
            price_eur_per_mwh=(
                float(volume_mwh @ self.price_eur_per_mwh / weights) if weights else np.nan
            ),
            payments_eur=float(np.maximum(self.energy, 0).sum()) * self.eur_per_unit,
            cost_eur=cost_eur,
            welfare_eur=self._worth_eur() - cost_eur,
            operator_eur=float(self.imbalance.sum()) * self.eur_per_unit,
            renewable_share=renewable_share(
                self.run.scenario, self.delivered_kw.sum(axis=0, where=self.delivered_kw < 0)
            ),
            kg_per_mwh=sum(row.emissions_kg for row in rows) / fed_mwh if fed_mwh else np.nan,
            unserved_mwh=self._missed_mwh(self.book.is_bid & self._must),
            curtailed_mwh=self._missed_mwh(self._of_renewables),
            lowest_hz=min((run.lowest_hz for run in runs), default=np.nan),
            highest_hz=max((float(run.frequency_hz.max()) for run in runs), default=np.nan),
            outside_s=tuple(
                sum(run.outside_s(band_hz) for run in runs) for band_hz in BANDS_HZ if runs
            ),
            shed_mwh=self._shed_mwh(),
            lowest_pu=min(record.lowest_pu for record in records),
        )

    @cached_property
    def _must(self) -> Bools:
        return np.concatenate([record.orders.must[record.order] for record in self.run.records])

    @cached_property
    def _of_renewables(self) -> Bools:
        n_bidders = len(self.run.bidders)
        renewable = np.zeros(n_bidders, dtype=np.bool_)
        for i, plant in enumerate(self.run.scenario.generators):
            renewable[i] = plant.renewable
        return renewable[self.book.owner] & ~self.book.is_bid

    def _missed_mwh(self, which: Bools) -> float:
        missing_kw = (self.book.quantity - self.clearing.accepted)[which].sum()
        return float(missing_kw) * self.run.scenario.step_h / KWH_PER_MWH

    def _worth_eur(self) -> float:
        """What accepted bids of consumers and the building say that they are worth."""
        stores = [i for i, one in enumerate(self.run.bidders) if one.kind == "store"]
        bids = self.book.is_bid & ~np.isin(self.book.owner, stores)
        units = (self.book.price * self.clearing.accepted)[bids].sum()
        return float(units) * self.eur_per_unit

    def _shed_mwh(self) -> float:
        """Load that relays cut off [MWh]."""
        total = 0.0
        for record in self.run.records:
            if record.frequency is not None and record.frequency.shed_pu.any():
                drawn_kw = float(record.delivered_kw[record.delivered_kw > 0].sum())
                total += record.frequency.shed_pu_s * drawn_kw / 3600.0 / KWH_PER_MWH
        return total

    def _row(self, i: int) -> BidderRow:
        bidder, step_h = self.run.bidders[i], self.run.scenario.step_h
        flow_kw = self.delivered_kw[:, i].astype(np.float64)
        to_mwh = step_h / KWH_PER_MWH
        offered_kw = self.book.quantity[self.book.owner == i].sum()
        held_eur = self.run.first[i].held_eur() - bidder.held_eur()
        return BidderRow(
            name=bidder.name,
            kind=bidder.kind,
            offered_mwh=float(offered_kw) * to_mwh,
            sold_mwh=float(np.maximum(-flow_kw, 0.0).sum()) * to_mwh,
            bought_mwh=float(np.maximum(flow_kw, 0.0).sum()) * to_mwh,
            paid_eur=float(self.energy[:, i].sum()) * self.eur_per_unit,
            imbalance_eur=float(self.imbalance[:, i].sum()) * self.eur_per_unit,
            cost_eur=float(bidder.cost_eur(flow_kw, step_h).sum()) + held_eur,
            emissions_kg=float(bidder.emissions_kg(flow_kw, step_h).sum()),
            possible_eur=self._possible_eur(i),
        )

    def _possible_eur(self, i: int) -> float | None:
        """The profit of a price taker who knows all prices of the run."""
        scenario, n_plants = self.run.scenario, len(self.run.scenario.generators)
        if self.payment == "pay_as_bid":
            return None
        if i < n_plants:
            plant = scenario.generators[i]
            gain = np.maximum(self.price_eur_per_mwh - plant.cost_eur_per_mwh, 0.0)
            return float(gain @ plant.actual_kw) * scenario.step_h / KWH_PER_MWH
        if i < n_plants + len(scenario.stores):
            return self._best_of_store_eur(scenario.stores[i - n_plants])
        return None

    def _best_of_store_eur(self, trade: TradedStore) -> float:
        """By the program of the ground floor with the prices both ways, what it holds put back."""
        scenario, price = self.run.scenario, self.price_eur_per_mwh / KWH_PER_MWH
        horizon = Horizon(
            start_utc=scenario.start_utc,
            step_h=scenario.step_h,
            import_eur_per_kwh=price,
            export_eur_per_kwh=price,
            timezone="UTC",
        )
        held_eur_per_kwh = trade.held_eur_per_kwh
        battery = trade.battery.valued({"soc": held_eur_per_kwh})
        optimizer = GlobalOptimizer([battery], GridAgent(), Solver())
        plan = optimizer.optimize_centralized(horizon)
        return (
            -plan.objective_eur - (battery.initial_soc_kwh - battery.min_soc_kwh) * held_eur_per_kwh
        )


def settle_market(run: MarketRun, payment: Payment = "pay_as_clear") -> MarketAccount:
    """Settle all auctions of a run."""
    book, clearing = _joined(run)
    accepted_kw = np.array([record.accepted_kw for record in run.records])
    delivered_kw = np.array([np.rint(record.delivered_kw) for record in run.records]).astype(
        np.int64
    )
    missing, too_much = imbalance_prices(book, clearing, run.rule)
    return MarketAccount(
        run=run,
        payment=payment,
        book=book,
        clearing=clearing,
        accepted_kw=accepted_kw,
        delivered_kw=delivered_kw,
        energy=energy_payments(book, clearing, len(run.bidders), payment),
        imbalance=imbalance_payments(accepted_kw, delivered_kw, missing, too_much),
    )


def _joined(run: MarketRun) -> tuple[OrderBook, Clearing]:
    """The books and clearings of all auctions as one."""
    records = run.records
    books, decided = [one.book for one in records], [one.clearing for one in records]
    sizes = [len(book.owner) for book in books]
    book = OrderBook(
        n_auctions=len(records),
        auction=np.repeat(np.arange(len(records)), sizes),
        owner=np.concatenate([one.owner for one in books]),
        is_bid=np.concatenate([one.is_bid for one in books]),
        price=np.concatenate([one.price for one in books]),
        quantity=np.concatenate([one.quantity for one in books]),
    )
    clearing = Clearing(
        accepted=np.concatenate([one.accepted for one in decided]),
        volume=np.concatenate([one.volume for one in decided]),
        price=np.concatenate([one.price for one in decided]),
        low=np.concatenate([one.low for one in decided]),
        high=np.concatenate([one.high for one in decided]),
        unserved=np.concatenate([one.unserved for one in decided]),
        curtailed=np.concatenate([one.curtailed for one in decided]),
    )
    return book, clearing
