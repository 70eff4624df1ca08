"""A series of auctions as its bidders meet it, and runs through it, many at once.

Every bidder that nobody steers is honest: a plant offers what it has at its cost, a load bids its
worth, a store rests. A run counts in whole kW and ticks, as ``clear`` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ems.agents import BatteryAgent
from ems.errors import InvalidSpec
from ems.market.clearing import UniformPrice
from ems.market.learning.batch import BatchMarket
from ems.market.orders import TICKS_PER_EUR_PER_MWH
from ems.types import Bools, Floats, Ints

KEUR_PER_TICK_KWH = 1e-6 / TICKS_PER_EUR_PER_MWH
"""One tick of price for one kWh, in k€."""


@dataclass(frozen=True, kw_only=True)
class Plant:
    """Offers up to what is available, at no less than ``cost`` [ticks] if it is honest."""

    name: str
    cost: int
    renewable: bool = False


@dataclass(frozen=True, kw_only=True)
class FlexibleLoad:
    """Needs ``need_kw`` in every step, each MWh worth ``worth`` [ticks].

    ``most_kw`` above ``need_kw``: need may wait, at ``waiting`` [ticks] for each MWh and hour, and
    be caught up with that power; else what is not served at once is lost.
    """

    name: str
    need_kw: int
    most_kw: int
    worth: int
    waiting: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.need_kw <= self.most_kw:
            raise InvalidSpec(
                f"FlexibleLoad {self.name}: need_kw = {self.need_kw}, must be above 0 and at most "
                f"most_kw = {self.most_kw}"
            )

    @property
    def waits(self) -> bool:
        """Whether its need may wait."""
        return self.most_kw > self.need_kw


@dataclass(frozen=True, kw_only=True, eq=False)
class AuctionSeries:
    """``n_steps`` auctions in a row and who bids in them.

    ``available_kw``: of each plant, shape ``(n_steps, n_plants)``; ``must_serve_kw``: demand that
    bids the cap, ``(n_steps,)``. ``stores``: take part as price takers, whole kW. Raises
    ``InvalidSpec``.
    """

    name: str
    start_utc: np.datetime64
    step_h: float
    rule: UniformPrice
    plants: tuple[Plant, ...]
    available_kw: Ints
    must_serve_kw: Ints
    loads: tuple[FlexibleLoad, ...] = ()
    stores: tuple[BatteryAgent, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.must_serve_kw)
        if self.available_kw.shape != (n, len(self.plants)) or not n:
            raise InvalidSpec(
                f"AuctionSeries {self.name}: available_kw has shape {self.available_kw.shape}, "
                f"must be ({n}, {len(self.plants)}): steps of must_serve_kw, plants"
            )
        if min(self.available_kw.min(initial=0), self.must_serve_kw.min()) < 0:
            raise InvalidSpec(f"AuctionSeries {self.name}: powers must be at least 0 kW")
        if not 0.0 < self.step_h <= 24.0:
            raise InvalidSpec(
                f"AuctionSeries {self.name}: step_h = {self.step_h:g}, must lie in (0, 24]"
            )
        taken = {name for name in self.names if self.names.count(name) > 1}
        if taken:
            raise InvalidSpec(f"AuctionSeries {self.name}: two bidders are named {min(taken)}")
        prices = [plant.cost for plant in self.plants] + [load.worth for load in self.loads]
        if prices and not self.rule.floor <= min(prices) <= max(prices) <= self.rule.cap:
            raise InvalidSpec(
                f"AuctionSeries {self.name}: costs and worths from {min(prices)} to {max(prices)} "
                f"ticks, must lie in [{self.rule.floor}, {self.rule.cap}]"
            )

    @property
    def n_steps(self) -> int:
        """How many auctions."""
        return len(self.must_serve_kw)

    @property
    def names(self) -> list[str]:
        """Every bidder: plants, stores, loads."""
        return [
            *(plant.name for plant in self.plants),
            *(store.name for store in self.stores),
            *(load.name for load in self.loads),
        ]

    @cached_property
    def is_bid(self) -> Bools:
        """Sides of the orders of one auction: plants, discharge, charge, must-serve, loads."""
        n_offers = len(self.plants) + len(self.stores)
        return np.arange(n_offers + len(self.stores) + 1 + len(self.loads)) >= n_offers

    @cached_property
    def honest_price(self) -> Ints:
        """Prices of the orders of every auction if all are honest, shape ``(n_orders,)``."""
        stores = len(self.stores)
        return np.array(
            [
                *(plant.cost for plant in self.plants),
                *[self.rule.floor] * stores,
                *[self.rule.cap] * stores,
                self.rule.cap,
                *(load.worth for load in self.loads),
            ],
            dtype=np.int64,
        )

    @cached_property
    def market(self) -> BatchMarket:
        """What clears its auctions."""
        return BatchMarket(is_bid=self.is_bid, rule=self.rule)

    def quantities(self, steps: Ints) -> Ints:
        """Power of every order [kW] at ``steps`` with stores at rest and no need waiting.

        Shape ``(n, n_orders)``.
        """
        idle = np.zeros((len(steps), 2 * len(self.stores)), dtype=np.int64)
        needs = np.array([load.need_kw for load in self.loads], dtype=np.int64)
        return np.hstack(
            [
                self.available_kw[steps],
                idle,
                self.must_serve_kw[steps, None],
                np.broadcast_to(needs, (len(steps), len(needs))),
            ]
        )

    @cached_property
    def honest_clearing_price(self) -> Ints:
        """The price of every auction if all are honest, shape ``(n_steps,)`` [ticks]."""
        quantity = self.quantities(np.arange(self.n_steps))
        price = np.broadcast_to(self.honest_price, quantity.shape)
        return self.market.clear(price, quantity).price

    @cached_property
    def price_scale(self) -> float:
        """What prices are divided by before a learner sees them [ticks]."""
        return 2.0 * max((plant.cost for plant in self.plants), default=self.rule.cap) or 1.0

    @cached_property
    def tightness(self) -> Floats:
        """Public forecast: must-serve demand less renewables, over all that can be had [1]."""
        renewable = np.array([plant.renewable for plant in self.plants])
        left_kw = self.must_serve_kw - self.available_kw[:, renewable].sum(axis=1)
        most_kw = max(int(self.available_kw.sum(axis=1).max()), 1)
        tight: Floats = left_kw / float(most_kw)
        return tight

    @cached_property
    def fingerprint(self) -> str:
        """Of the bidders and the rules, not of the days: what a policy was learned for."""
        told = repr((self.step_h, self.rule, self.plants, self.loads, self.stores))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def window(self, first: int, last: int) -> AuctionSeries:
        """The auctions [first, last). Raises ``InvalidSpec`` outside of the series."""
        if not 0 <= first < last <= self.n_steps:
            raise InvalidSpec(
                f"AuctionSeries {self.name}: window [{first}, {last}) is outside the "
                f"{self.n_steps} steps"
            )
        seconds = np.timedelta64(round(first * self.step_h * 3600), "s")
        return replace(
            self,
            start_utc=self.start_utc.astype("datetime64[s]") + seconds,
            available_kw=self.available_kw[first:last],
            must_serve_kw=self.must_serve_kw[first:last],
        )


class Runs:
    """Runs through a series, side by side; the only thing here that changes.

    ``starts``: the first step of each run, shape ``(n,)``. Actions, ``(n,)`` each: the price of a
    plant [ticks], the share of a store's power (−1 sells, 1 buys), of a load's ``most_kw``.
    """

    def __init__(self, series: AuctionSeries, starts: Ints) -> None:
        n = len(starts)
        self.series, self.at = series, starts.astype(np.int64)
        self.charge_kwh = np.tile([s.initial_soc_kwh for s in series.stores], (n, 1)).reshape(n, -1)
        self.waiting_kwh = np.zeros((n, len(series.loads)))
        self.last_kw = np.zeros((n, len(series.names)), dtype=np.int64)
        self.last_offer = np.tile(series.honest_price[: len(series.plants)], (n, 1))
        self.new_prices: list[Ints] = []

    def able_kw(self, store: int) -> tuple[Ints, Ints]:
        """What a store can take and give in this step, whole kW, each ``(n,)``."""
        agent, held_kwh = self.series.stores[store], self.charge_kwh[:, store]
        eta, step_h = np.sqrt(agent.round_trip_efficiency), self.series.step_h
        room_kw = np.minimum((agent.capacity_kwh - held_kwh) / (eta * step_h), agent.max_charge_kw)
        held_kw = np.minimum((held_kwh - agent.min_soc_kwh) * eta / step_h, agent.max_discharge_kw)
        # A residue below a µkW must not cost a whole kW.
        whole = (
            np.floor(np.maximum(room_kw, 0.0) + 1e-6),
            np.floor(np.maximum(held_kw, 0.0) + 1e-6),
        )
        return whole[0].astype(np.int64), whole[1].astype(np.int64)

    def wanted_kw(self, load: int) -> Ints:
        """The most that a load can use in this step, whole kW, ``(n,)``."""
        spec = self.series.loads[load]
        waiting_kw = self.waiting_kwh[:, load] / self.series.step_h
        wanted: Ints = np.minimum(spec.need_kw + np.rint(waiting_kw), spec.most_kw).astype(np.int64)
        return wanted

    def advance(self, actions: Mapping[str, Floats]) -> dict[str, Floats]:
        """Clear one step; the money of every bidder [k€], each ``(n,)``."""
        series, n = self.series, len(self.at)
        n_plants, n_stores = len(series.plants), len(series.stores)
        price = np.tile(series.honest_price, (n, 1))
        quantity = series.quantities(self.at)
        for i, plant in enumerate(series.plants):
            if plant.name in actions:
                price[:, i] = actions[plant.name]
        for i, store in enumerate(series.stores):
            share = actions.get(store.name, np.zeros(n))
            most_in, most_out = self.able_kw(i)
            asked_kw = np.rint(np.abs(share) * store.max_charge_kw).astype(np.int64)
            quantity[:, n_plants + i] = np.where(share < 0, np.minimum(asked_kw, most_out), 0)
            at = n_plants + n_stores + i
            quantity[:, at] = np.where(share > 0, np.minimum(asked_kw, most_in), 0)
        first_load = n_plants + 2 * n_stores + 1
        for i, load in enumerate(series.loads):
            asked = np.rint(actions.get(load.name, np.ones(n)) * load.most_kw).astype(np.int64)
            quantity[:, first_load + i] = np.minimum(asked, self.wanted_kw(i))
        cleared = series.market.clear(price, quantity)
        self.last_offer = price[:, :n_plants]
        self.new_prices.append(cleared.price)
        return self._book(cleared.accepted, cleared.price)

    def _book(self, accepted: Ints, price: Ints) -> dict[str, Floats]:
        """Deliver, move on one step, and say who earned what."""
        series = self.series
        n_plants, n_stores, step_h = len(series.plants), len(series.stores), series.step_h
        keur = KEUR_PER_TICK_KWH * step_h
        money: dict[str, Floats] = {}
        for i, plant in enumerate(series.plants):
            self.last_kw[:, i] = accepted[:, i]
            margin: Floats = ((price - plant.cost) * accepted[:, i]).astype(np.float64)
            money[plant.name] = keur * margin
        for i, store in enumerate(series.stores):
            out, into = accepted[:, n_plants + i], accepted[:, n_plants + n_stores + i]
            eta = float(np.sqrt(store.round_trip_efficiency))
            self.charge_kwh[:, i] += (eta * into - out / eta) * step_h
            self.last_kw[:, n_plants + i] = into - out
            wear_keur = float(1e-3 * store.wear_eur_per_kwh * step_h) * (into + out)
            earned: Floats = keur * (price * (out - into)).astype(np.float64) - wear_keur
            money[store.name] = earned
        for i, load in enumerate(series.loads):
            taken = accepted[:, n_plants + 2 * n_stores + 1 + i]
            self.last_kw[:, n_plants + n_stores + i] = taken
            left_kwh = self.waiting_kwh[:, i] + (load.need_kw - taken) * step_h
            self.waiting_kwh[:, i] = np.maximum(left_kwh, 0.0) if load.waits else 0.0
            waited = load.waiting * step_h * KEUR_PER_TICK_KWH * self.waiting_kwh[:, i]
            gained: Floats = keur * (load.worth - price) * taken - waited
            money[load.name] = gained
        self.at = self.at + 1
        return money
