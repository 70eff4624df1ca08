"""A building that bids: its program says what a kWh in its battery is worth, and so its prices.

Once an hour it plans the rest of the run with the public forecast of the price, both ways, and by
the program of the ground floor. λ is the value of a kWh in its battery after that hour. At the
auctions of the hour its load must be served, sun that is left is offered at 0, and the battery buys
up to η λ less wear and sells from λ / η and wear on: at any price what the program would do itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Self, cast

import numpy as np

from ems.agents import Agent, BatteryAgent, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.solver import Solver
from ems.errors import DataError, InvalidSpec
from ems.market.bidders import Bidder, Charge, Seen, whole
from ems.market.messages import OPERATOR, GenerationBid, Message, StatusUpdate, StorageBid
from ems.market.scenario import Scenario
from ems.site.building import Building
from ems.types import Floats

HOUR_H = 1.0
KWH_PER_MWH = 1000.0


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildingBidder(Bidder):
    """``homes`` alike, each with ``agents`` from the current hour on, one of them its battery.

    ``start_utc``: of the current hour. ``charge``: of the battery now. ``left_eur_per_kwh``: what a
    kWh is worth that is left at the end. ``base_kw``: net load of a home without its battery in
    this hour, below 0 sun that is left; ``worth_eur_per_kwh``: λ.
    """

    called: str
    homes: int
    start_utc: np.datetime64
    agents: tuple[Agent, ...]
    charge: Charge
    left_eur_per_kwh: float
    plan: DispatchPlan | None = None
    base_kw: float = 0.0
    worth_eur_per_kwh: float = 0.0
    wear_eur: float = 0.0
    kind = "building"

    @classmethod
    def of(
        cls,
        name: str,
        homes: int,
        start_utc: np.datetime64,
        agents: Sequence[Agent],
        battery: BatteryAgent,
        left_eur_per_kwh: float,
    ) -> Self:
        """Before the first auction; ``agents``: by the hour from ``start_utc`` on.

        ``battery``: one of them. Raises ``InvalidSpec`` if it is not.
        """
        if battery.name not in {one.name for one in agents}:
            raise InvalidSpec(f"{name}: {battery.name} is none of its agents; it needs one to bid")
        return cls(
            called=name,
            homes=homes,
            start_utc=start_utc,
            agents=tuple(agents),
            charge=Charge(battery=battery, held_kwh=battery.initial_soc_kwh),
            left_eur_per_kwh=left_eur_per_kwh,
        )

    @property
    def name(self) -> str:
        """As it is called in the scenario."""
        return self.called

    def planned(self, seen: Seen) -> Self:
        """A new plan at the start of every hour."""
        per_hour = round(HOUR_H / seen.step_h)
        if seen.step % per_hour:
            return self
        price = seen.forecast_eur_per_mwh[seen.step :] / KWH_PER_MWH
        price = np.add.reduceat(price, np.arange(0, len(price), per_hour)) / per_hour
        agents, start_utc = self._agents_now(), self.start_utc
        if self.plan is not None:
            start_utc = start_utc + np.timedelta64(1, "h")
        horizon = Horizon(
            start_utc=start_utc,
            step_h=HOUR_H,
            import_eur_per_kwh=price,
            export_eur_per_kwh=price,
            timezone="UTC",
        )
        valued = [
            one.valued({"soc": self.left_eur_per_kwh}) if one.name == self._battery else one
            for one in agents
        ]
        plan, values = GlobalOptimizer(valued, GridAgent(), Solver()).optimize_with_values(horizon)
        worth = [*values[self._battery]["soc"][1:], self.left_eur_per_kwh]
        others_kw = sum(
            plan.plans[one.name].net_load_kw[0] for one in agents if one.name != self._battery
        )
        return replace(
            self,
            start_utc=start_utc,
            agents=agents,
            plan=plan,
            base_kw=float(others_kw),
            worth_eur_per_kwh=float(worth[0]),
        )

    def status(self, seen: Seen) -> StatusUpdate:
        """Its load must be served; with its battery and its sun it can do more."""
        able_in_kw, able_out_kw = self.charge.able_kw(seen.step_h)
        load_kw, sun_kw = max(self.base_kw, 0.0), max(-self.base_kw, 0.0)
        return StatusUpdate(
            sender=self.name,
            receiver=OPERATOR,
            step=seen.step,
            must_serve_kw=whole(self.homes * load_kw),
            able_in_kw=self.homes * (load_kw + able_in_kw),
            able_out_kw=self.homes * (sun_kw + able_out_kw),
        )

    def bids(self, seen: Seen) -> Sequence[Message]:
        """The sun that is left, and the battery at what a kWh in it is worth."""
        able_in_kw, able_out_kw = self.charge.able_kw(seen.step_h)
        wear = self.charge.battery.wear_eur_per_kwh
        buys = self.worth_eur_per_kwh * self.charge.one_way - wear
        sells = self.worth_eur_per_kwh / self.charge.one_way + wear
        said: list[Message] = []
        if self.base_kw < 0.0:
            said.append(
                GenerationBid(
                    sender=self.name,
                    receiver=OPERATOR,
                    step=seen.step,
                    quantity_kw=whole(-self.homes * self.base_kw),
                    price_eur_per_mwh=0.0,
                )
            )
        said.append(
            StorageBid(
                sender=self.name,
                receiver=OPERATOR,
                step=seen.step,
                charge_kw=whole(self.homes * able_in_kw),
                charge_eur_per_mwh=_within(buys, seen),
                discharge_kw=whole(self.homes * able_out_kw),
                discharge_eur_per_mwh=_within(sells, seen),
            )
        )
        return said

    def delivered(self, told_kw: int | None, seen: Seen) -> tuple[float, Self]:
        """As told: the battery takes what its load and its sun leave; untold it rests.

        Beyond the battery, sun is curtailed or load is shed.
        """
        net_kw = self.base_kw if told_kw is None else told_kw / self.homes
        flow_kw, charge = self.charge.after(net_kw - self.base_kw, seen.step_h)
        wear_eur = abs(flow_kw) * seen.step_h * self.charge.battery.wear_eur_per_kwh
        later = replace(self, charge=charge, wear_eur=self.wear_eur + wear_eur)
        return self.homes * net_kw, later

    def cost_eur(self, net_load_kw: Floats, step_h: float) -> Floats:
        """Nothing that its net load tells; its wear is in ``held_eur``."""
        return np.zeros(net_load_kw.shape)

    def held_eur(self) -> float:
        """The charge of all homes at what it is worth in the end, less wear so far."""
        return self.homes * (self.charge.held_kwh * self.left_eur_per_kwh - self.wear_eur)

    @property
    def _battery(self) -> str:
        return self.charge.battery.name

    def _agents_now(self) -> tuple[Agent, ...]:
        """The agents after the hour that is over, the battery with what it really holds."""
        if self.plan is None:
            return self.agents
        later = [one.after(self.plan.plans[one.name], 1) for one in self.agents]
        battery = replace(self.charge.battery, initial_soc_kwh=self.charge.held_kwh)
        return tuple(battery if one.name == battery.name else one for one in later)


def _within(price_eur_per_kwh: float, seen: Seen) -> float:
    """A price in €/MWh within floor and cap."""
    price = KWH_PER_MWH * price_eur_per_kwh
    return min(max(price, seen.floor_eur_per_mwh), seen.cap_eur_per_mwh)


def street(scenario: Scenario, building: Building) -> BuildingBidder:
    """The building of a scenario, on its own days of the same date, or its first ones.

    Its metered heat, cars and machines run as metered; its battery bids. What a kWh is worth that
    is left at the end is the mean of the public forecast, less its losses.
    """
    assets = replace(building.assets, appliances=False)
    planned = Building(building.history, building.tariff, assets)
    n_hours = round(scenario.n_steps * scenario.step_h)
    task = planned.problem(_days(scenario, planned, n_hours))
    if task.horizon.n_steps * task.horizon.step_h != n_hours or task.horizon.step_h != 1.0:
        raise DataError(
            f"{building.history.building}: the market plans it by the hour over {n_hours} h, its "
            f"days have {task.horizon.n_steps} steps of {60 * task.horizon.step_h:g} minutes"
        )
    stores = [agent for agent in task.agents if agent.kind == "storage"]
    if not stores:
        raise InvalidSpec(f"{building.history.building}: has no battery, which bids for it")
    battery = cast(BatteryAgent, stores[0])
    eta = battery.store.discharge_efficiency
    usual = np.mean([plant.cost_eur_per_mwh for plant in scenario.generators]) / KWH_PER_MWH
    return BuildingBidder.of(
        str(scenario.building),
        scenario.homes,
        scenario.start_utc,
        task.agents,
        battery,
        float(eta * usual),
    )


def _days(scenario: Scenario, building: Building, n_hours: int) -> list[date]:
    """Consecutive days that can be planned and have 24 hours each."""
    n_days = -(-n_hours // 24)
    local = scenario.start_utc.astype(object) + timedelta(hours=12)
    known = building.plannable_days
    starts = [local.date(), *known]
    for first in starts:
        days = [first + timedelta(days=i) for i in range(n_days)]
        spans = [building.span(day) for day in days if day in known]
        if len(spans) == n_days and sum(span.stop - span.start for span in spans) == n_hours:
            return days
    raise DataError(
        f"{building.history.building}: has no {n_days} days in a row that can be planned"
    )
