"""Who bids: plants, stores, consumers and buildings, each an immutable value.

In every auction a bidder plans, says what it needs and bids, is told what it may do, and does what
it can. It sees what all may see (``Seen``) and itself, never another's bid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np

from ems.agents import BatteryAgent
from ems.market.messages import (
    OPERATOR,
    DemandResponseOffer,
    GenerationBid,
    Message,
    StatusUpdate,
    StorageBid,
)
from ems.market.scenario import Consumer, Generator, Scenario, TradedStore
from ems.types import Floats

BidderKind = Literal["plant", "store", "consumer", "building"]
WHOLE_KW = 1e-6
"""A residue below this must not cost a whole kW."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What all may see before an auction.

    ``forecast_eur_per_mwh``: public, the price of every auction if all plants are honest and no
    store moves, shape ``(n_steps,)``. ``last_eur_per_mwh``: the price before, NaN at the first.
    """

    step: int
    step_h: float
    floor_eur_per_mwh: float
    cap_eur_per_mwh: float
    forecast_eur_per_mwh: Floats
    last_eur_per_mwh: float = np.nan


@dataclass(frozen=True, kw_only=True, eq=False)
class Bidder(ABC):
    """One that takes part; ``told_kw`` and what is returned are net loads [kW], above 0 drawn."""

    kind: ClassVar[BidderKind]

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name, unlike that of any other."""

    def planned(self, seen: Seen) -> Self:
        """Itself after it has planned; most need no plan."""
        return self

    @abstractmethod
    def status(self, seen: Seen) -> StatusUpdate:
        """What it must draw, and what it can draw and feed in."""

    @abstractmethod
    def bids(self, seen: Seen) -> Sequence[Message]:
        """Its bids beyond what it must."""

    @abstractmethod
    def delivered(self, told_kw: int | None, seen: Seen) -> tuple[float, Self]:
        """The net load that really flows, and itself afterwards.

        ``told_kw``: None if no instruction came.
        """

    @abstractmethod
    def cost_eur(self, net_load_kw: Floats, step_h: float) -> Floats:
        """What net loads cost it by themselves: fuel or wear [€]; same shape."""

    def emissions_kg(self, net_load_kw: Floats, step_h: float) -> Floats:
        """CO₂ of net loads, same shape."""
        return np.zeros(net_load_kw.shape)

    def held_eur(self) -> float:
        """What is in its stores, at what it takes for it at least [€]."""
        return 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Plant(Bidder):
    """Offers all it has at ``asked_eur_per_mwh``; honest is what a MWh costs it."""

    generator: Generator
    asked_eur_per_mwh: float
    kind = "plant"

    @classmethod
    def honest(cls, generator: Generator) -> Self:
        """Offers at cost."""
        return cls(generator=generator, asked_eur_per_mwh=generator.cost_eur_per_mwh)

    @property
    def name(self) -> str:
        """That of the plant."""
        return self.generator.name

    def status(self, seen: Seen) -> StatusUpdate:
        """What is announced."""
        return _status(self.name, seen, able_out_kw=self.generator.announced_kw[seen.step])

    def bids(self, seen: Seen) -> Sequence[Message]:
        """All of it at one price."""
        able_kw = float(self.generator.announced_kw[seen.step])
        if able_kw < 1.0:
            return ()
        bid = GenerationBid(
            sender=self.name,
            receiver=OPERATOR,
            step=seen.step,
            quantity_kw=able_kw,
            price_eur_per_mwh=self.asked_eur_per_mwh,
        )
        return (bid,)

    def delivered(self, told_kw: int | None, seen: Seen) -> tuple[float, Self]:
        """As told, as far as there is wind, sun or a machine that runs; untold it stands still."""
        return -min(float(-(told_kw or 0)), float(self.generator.actual_kw[seen.step])), self

    def cost_eur(self, net_load_kw: Floats, step_h: float) -> Floats:
        """Fuel."""
        return -net_load_kw * step_h / 1000.0 * self.generator.cost_eur_per_mwh

    def emissions_kg(self, net_load_kw: Floats, step_h: float) -> Floats:
        """Of its fuel."""
        return -net_load_kw * step_h / 1000.0 * self.generator.emissions_kg_per_mwh


@dataclass(frozen=True, kw_only=True, eq=False)
class Charge:
    """A battery with what it holds now [kWh]."""

    battery: BatteryAgent
    held_kwh: float

    @cached_property
    def one_way(self) -> float:
        """Its efficiency one way."""
        return self.battery.store.charge_efficiency

    def able_kw(self, step_h: float) -> tuple[float, float]:
        """The most it can draw and feed in over a step [kW]."""
        battery = self.battery
        room_kw = (battery.capacity_kwh - self.held_kwh) / (self.one_way * step_h)
        left_kw = (self.held_kwh - battery.min_soc_kwh) * self.one_way / step_h
        return (
            max(0.0, min(room_kw, battery.max_charge_kw)),
            max(0.0, min(left_kw, battery.max_discharge_kw)),
        )

    def after(self, net_load_kw: float, step_h: float) -> tuple[float, Charge]:
        """What it really draws (below 0 feeds in) of ``net_load_kw``, and how it stands then."""
        most_in_kw, most_out_kw = self.able_kw(step_h)
        flow_kw = min(max(net_load_kw, -most_out_kw), most_in_kw)
        gain_kw = flow_kw * self.one_way if flow_kw > 0 else flow_kw / self.one_way
        held_kwh = self.held_kwh + gain_kw * step_h
        held_kwh = min(max(held_kwh, self.battery.min_soc_kwh), self.battery.capacity_kwh)
        return flow_kw, replace(self, held_kwh=held_kwh)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreBidder(Bidder):
    """Buys up to one price and sells from another on, whatever it expects: two thresholds."""

    trade: TradedStore
    charge: Charge
    kind = "store"

    @classmethod
    def honest(cls, trade: TradedStore) -> Self:
        """As the scenario says, with its charge at the start."""
        charge = Charge(battery=trade.battery, held_kwh=trade.battery.initial_soc_kwh)
        return cls(trade=trade, charge=charge)

    @property
    def name(self) -> str:
        """That of the battery."""
        return self.trade.battery.name

    def status(self, seen: Seen) -> StatusUpdate:
        """What room and charge allow."""
        able_in_kw, able_out_kw = self.charge.able_kw(seen.step_h)
        return _status(self.name, seen, able_in_kw=able_in_kw, able_out_kw=able_out_kw)

    def bids(self, seen: Seen) -> Sequence[Message]:
        """Both sides at once, of which no price can call both."""
        able_in_kw, able_out_kw = (whole(kw) for kw in self.charge.able_kw(seen.step_h))
        if not (able_in_kw or able_out_kw):
            return ()
        bid = StorageBid(
            sender=self.name,
            receiver=OPERATOR,
            step=seen.step,
            charge_kw=able_in_kw,
            charge_eur_per_mwh=self.trade.buy_eur_per_mwh,
            discharge_kw=able_out_kw,
            discharge_eur_per_mwh=self.trade.sell_eur_per_mwh,
        )
        return (bid,)

    def delivered(self, told_kw: int | None, seen: Seen) -> tuple[float, Self]:
        """As told; untold it rests."""
        flow_kw, charge = self.charge.after(float(told_kw or 0), seen.step_h)
        return flow_kw, replace(self, charge=charge)

    def cost_eur(self, net_load_kw: Floats, step_h: float) -> Floats:
        """Wear."""
        return np.abs(net_load_kw) * step_h * self.trade.battery.wear_eur_per_kwh

    def held_eur(self) -> float:
        """Its charge at the price from which on it sells, less what is lost on the way out."""
        return self.charge.held_kwh * self.trade.held_eur_per_kwh


@dataclass(frozen=True, kw_only=True, eq=False)
class Load(Bidder):
    """Needs most of its load at any price, and says up to which price it uses the rest."""

    consumer: Consumer
    kind = "consumer"

    @property
    def name(self) -> str:
        """That of the consumer."""
        return self.consumer.name

    def status(self, seen: Seen) -> StatusUpdate:
        """The load without its flexible parts must be served."""
        load_kw = float(self.consumer.announced_kw[seen.step])
        return _status(
            self.name,
            seen,
            must_serve_kw=load_kw - self.consumer.flexible_kw,
            able_in_kw=load_kw,
        )

    def bids(self, seen: Seen) -> Sequence[Message]:
        """A bid for each flexible part."""
        return tuple(
            DemandResponseOffer(
                sender=self.name,
                receiver=OPERATOR,
                step=seen.step,
                quantity_kw=part.quantity_kw,
                price_eur_per_mwh=part.worth_eur_per_mwh,
            )
            for part in self.consumer.flexible
        )

    def delivered(self, told_kw: int | None, seen: Seen) -> tuple[float, Self]:
        """What it may use, and what it uses other than announced; untold all it likes."""
        announced_kw = float(self.consumer.announced_kw[seen.step])
        wrong_kw = float(self.consumer.actual_kw[seen.step]) - announced_kw
        return max(0.0, (announced_kw if told_kw is None else told_kw) + wrong_kw), self

    def cost_eur(self, net_load_kw: Floats, step_h: float) -> Floats:
        """Nothing beside what it pays."""
        return np.zeros(net_load_kw.shape)


def honest_bidders(scenario: Scenario) -> tuple[Bidder, ...]:
    """Everybody of a scenario but its building, honest: plants at cost, stores by thresholds."""
    return (
        *(Plant.honest(one) for one in scenario.generators),
        *(StoreBidder.honest(one) for one in scenario.stores),
        *(Load(consumer=one) for one in scenario.consumers),
    )


def whole(power_kw: float) -> float:
    """Whole kW that are certainly there."""
    return float(np.floor(power_kw + WHOLE_KW))


def _status(
    name: str,
    seen: Seen,
    *,
    must_serve_kw: float = 0.0,
    able_in_kw: float = 0.0,
    able_out_kw: float = 0.0,
) -> StatusUpdate:
    return StatusUpdate(
        sender=name,
        receiver=OPERATOR,
        step=seen.step,
        must_serve_kw=must_serve_kw,
        able_in_kw=able_in_kw,
        able_out_kw=able_out_kw,
    )
