"""A market run as a stream of auctions: what is asked for, and who takes part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ems.errors import InvalidSpec
from ems.market.bidders import Bidder, honest_bidders
from ems.market.building import street
from ems.market.cycle import CycleState, MarketCycle
from ems.market.router import Channel
from ems.market.scenario import Scenario, read_scenario
from ems.market.settlement import Payment
from ems.site.building import Building


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
