"""A market run as a stream of auctions: what is asked for, and who takes part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import cast

import numpy as np

from ems.agents import BatteryAgent
from ems.errors import DataError, InvalidSpec
from ems.market.bidders import Bidder, honest_bidders
from ems.market.building import BuildingBidder
from ems.market.cycle import CycleState, MarketCycle
from ems.market.router import Channel
from ems.market.scenario import Scenario, read_scenario
from ems.market.settlement import Payment
from ems.site.building import Building

KWH_PER_MWH = 1000.0


@dataclass(frozen=True, kw_only=True)
class MarketSpec:
    """What a market is run with.

    ``scenario``: a ready one or a TOML file. ``hours``: None for all of it. ``k``: place of the
    price among those that clear. ``cap_eur_per_mwh``: instead of the scenario's. ``trips``: a plant
    and the hour at which it stops. Raises ``InvalidSpec``.
    """

    scenario: str = "sample"
    hours: float | None = None
    payment: Payment = "pay_as_clear"
    k: float = 0.0
    cap_eur_per_mwh: float | None = None
    seed: int | None = None
    demand_mw: float | None = None
    trips: tuple[str, float] | None = None
    channel: Channel = field(default_factory=Channel)

    def __post_init__(self) -> None:
        if not 0.0 <= self.k <= 1.0:
            raise InvalidSpec(f"k is {self.k:g}, must lie in [0, 1]")
        if self.hours is not None and not self.hours > 0.0:
            raise InvalidSpec(f"hours is {self.hours:g}, must be above 0")

    def read(self) -> Scenario:
        """The scenario as asked for."""
        scenario = read_scenario(self.scenario, seed=self.seed, demand_mw=self.demand_mw)
        if self.cap_eur_per_mwh is not None:
            scenario = replace(scenario, cap_eur_per_mwh=self.cap_eur_per_mwh)
        if self.trips is not None:
            scenario = scenario.tripped(*self.trips)
        return scenario


def market_of(spec: MarketSpec, building: Building | None = None) -> MarketCycle:
    """The market of a specification; ``building``: the one that bids, where the scenario has one.

    Raises ``DataError`` if it has no days for the scenario, ``InvalidSpec`` if it is missing.
    """
    scenario = spec.read()
    bidders: tuple[Bidder, ...] = honest_bidders(scenario)
    if scenario.building is not None:
        if building is None:
            raise InvalidSpec(f"{scenario.name}: {scenario.building} bids, give its building")
        bidders = (*bidders, street(scenario, building))
        scenario = replace(scenario, synthetic=scenario.synthetic or building.history.synthetic)
    cycle = MarketCycle(scenario=scenario, bidders=bidders, k=spec.k, channel=spec.channel)
    cycle.n_auctions(spec.hours)
    return cycle


def run_market(cycle: MarketCycle, spec: MarketSpec) -> Iterator[CycleState]:
    """The state of the market after each auction."""
    yield from cycle.steps(spec.hours)


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
