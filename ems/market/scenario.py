"""Who meets in a market: plants, stores, consumers and buildings, read from a TOML file.

Ready ones stand in ``ems/market/scenarios``; powers are given in MW there and kept in kW.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import Field

from ems.agents import BatteryAgent
from ems.agents.base import named_twice
from ems.checked import Entry, check, read_toml
from ems.errors import InvalidSpec
from ems.market.messages import OPERATOR
from ems.market.profiles import Clock, Shape, profile
from ems.site.place import Place
from ems.types import Floats, Instants

SCENARIOS = Path(__file__).parent / "scenarios"
READY = ("worked_example", "sample", "renewable_heavy")
KW_PER_MW = 1000.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Generator:
    """A plant. ``fuel_eur_per_mwh`` and ``fuel_kg_per_mwh``: of the fuel; ``efficiency`` in (0, 1].

    ``announced_kw``: what it can give as far as it knows when it bids, ``actual_kw``: what it then
    can, shape ``(n_steps,)`` each.
    """

    name: str
    capacity_kw: float
    fuel_eur_per_mwh: float
    fuel_kg_per_mwh: float
    efficiency: float
    renewable: bool
    announced_kw: Floats
    actual_kw: Floats

    @property
    def cost_eur_per_mwh(self) -> float:
        """What a MWh of electricity costs it."""
        return self.fuel_eur_per_mwh / self.efficiency

    @property
    def emissions_kg_per_mwh(self) -> float:
        """CO₂ of a MWh of electricity."""
        return self.fuel_kg_per_mwh / self.efficiency


@dataclass(frozen=True, kw_only=True, eq=False)
class TradedStore:
    """A battery that trades by two thresholds: it buys up to one price, sells from the other on."""

    battery: BatteryAgent
    buy_eur_per_mwh: float
    sell_eur_per_mwh: float

    def __post_init__(self) -> None:
        most = self.battery.round_trip_efficiency * self.sell_eur_per_mwh
        if self.buy_eur_per_mwh > most:
            raise InvalidSpec(
                f"{self.battery.name}: buys at up to {self.buy_eur_per_mwh:g} €/MWh, must be at "
                f"most {most:g}, its selling price of {self.sell_eur_per_mwh:g} less its losses: "
                "one price could call it both ways"
            )

    @property
    def held_eur_per_kwh(self) -> float:
        """What it takes for a kWh of charge at least."""
        return self.battery.store.discharge_efficiency * self.sell_eur_per_mwh / KW_PER_MW


@dataclass(frozen=True, kw_only=True)
class Flexible:
    """A part of a consumer's load that is used only up to a price."""

    quantity_kw: float
    worth_eur_per_mwh: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Consumer:
    """``announced_kw`` and ``actual_kw``: its load, ``flexible`` parts of it, ``(n_steps,)``.

    ``shed_last``: of several consumers the one with the highest number is shed last.
    ``comfort_eur_per_mwh``: what it loses beyond their worth by every MWh of flexible load that it
    does not get.
    """

    name: str
    announced_kw: Floats
    actual_kw: Floats
    flexible: tuple[Flexible, ...] = ()
    shed_last: int = 0
    comfort_eur_per_mwh: float = 0.0

    @property
    def flexible_kw(self) -> float:
        """All of its flexible parts."""
        return sum(part.quantity_kw for part in self.flexible)


@dataclass(frozen=True, kw_only=True)
class GridData:
    """Inertia [s] and damping [pu/Hz] of the area, and the droop of its plants [Hz/pu]."""

    inertia_s: float
    damping_pu_per_hz: float
    droop_hz_per_pu: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenario:
    """Auctions of ``step_h`` from ``start_utc``, with prices in [floor, cap] [€/MWh].

    ``building``: the name of a building that bids by its own plan, as ``homes`` alike. Raises
    ``InvalidSpec``.
    """

    name: str
    description: str
    start_utc: np.datetime64
    step_h: float
    n_steps: int
    floor_eur_per_mwh: float
    cap_eur_per_mwh: float
    generators: tuple[Generator, ...]
    stores: tuple[TradedStore, ...]
    consumers: tuple[Consumer, ...]
    grid: GridData
    building: str | None = None
    homes: int = 1
    synthetic: bool = True

    def __post_init__(self) -> None:
        taken = named_twice(self.names)
        if taken is not None:
            raise InvalidSpec(f"{self.name}: two bidders are called {taken}; rename one")
        if OPERATOR in self.names:
            raise InvalidSpec(f"{self.name}: no bidder may be called {OPERATOR}, who clears")
        if not self.floor_eur_per_mwh < self.cap_eur_per_mwh:
            raise InvalidSpec(
                f"{self.name}: floor_eur_per_mwh is {self.floor_eur_per_mwh:g}, must be below "
                f"cap_eur_per_mwh = {self.cap_eur_per_mwh:g}"
            )
        for who, price in self._prices():
            if not self.floor_eur_per_mwh <= price <= self.cap_eur_per_mwh:
                raise InvalidSpec(
                    f"{self.name}, {who}: {price:g} €/MWh, must lie within floor and cap, "
                    f"{self.floor_eur_per_mwh:g} to {self.cap_eur_per_mwh:g}"
                )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All bidders: plants, stores, consumers, the building."""
        return (
            *(plant.name for plant in self.generators),
            *(store.battery.name for store in self.stores),
            *(consumer.name for consumer in self.consumers),
            *(() if self.building is None else (self.building,)),
        )

    @property
    def ts_utc(self) -> Instants:
        """The start of every auction, shape ``(n_steps,)``."""
        return _steps(self.start_utc, self.step_h, self.n_steps)

    def over(self, n_steps: int) -> Scenario:
        """Its first auctions. Raises ``InvalidSpec`` for more than it has."""
        if not 1 <= n_steps <= self.n_steps:
            raise InvalidSpec(
                f"{self.name}: {n_steps} auctions, it has 1 to {self.n_steps} of "
                f"{60 * self.step_h:g} minutes"
            )
        part = slice(0, n_steps)
        plants = (
            replace(one, announced_kw=one.announced_kw[part], actual_kw=one.actual_kw[part])
            for one in self.generators
        )
        consumers = (
            replace(one, announced_kw=one.announced_kw[part], actual_kw=one.actual_kw[part])
            for one in self.consumers
        )
        return replace(self, n_steps=n_steps, generators=tuple(plants), consumers=tuple(consumers))

    def tripped(self, name: str, hour: float) -> Scenario:
        """The plant ``name`` stops at ``hour`` without having said so, and is away from then on.

        Raises ``InvalidSpec`` for another name or an hour outside of the run.
        """
        known = [plant.name for plant in self.generators]
        if name not in known:
            raise InvalidSpec(
                f"{self.name}: no plant is called {name}, known are {', '.join(known)}"
            )
        step = round(hour / self.step_h)
        if not 0 <= step < self.n_steps:
            raise InvalidSpec(
                f"{self.name}: {name} trips at hour {hour:g}, must lie in 0 to "
                f"{self.n_steps * self.step_h:g}, before the end"
            )
        plants = []
        for plant in self.generators:
            announced_kw, actual_kw = plant.announced_kw.copy(), plant.actual_kw.copy()
            if plant.name == name:
                announced_kw[step + 1 :], actual_kw[step:] = 0.0, 0.0
            plants.append(replace(plant, announced_kw=announced_kw, actual_kw=actual_kw))
        return replace(self, generators=tuple(plants))

    def _prices(self) -> list[tuple[str, float]]:
        return [
            *((plant.name, plant.cost_eur_per_mwh) for plant in self.generators),
            *((store.battery.name, store.buy_eur_per_mwh) for store in self.stores),
            *((store.battery.name, store.sell_eur_per_mwh) for store in self.stores),
            *(
                (consumer.name, part.worth_eur_per_mwh)
                for consumer in self.consumers
                for part in consumer.flexible
            ),
        ]


# --- the file ------------------------------------------------------------------------------------


class GeneratorEntry(Entry):
    """A ``[[generator]]``."""

    name: str = Field(min_length=1)
    capacity_mw: float = Field(gt=0, le=1e5, description="above 0, in MW")
    fuel_eur_per_mwh: float = Field(ge=-1e4, le=1e4, description="a price of its fuel in €/MWh")
    fuel_kg_per_mwh: float = Field(ge=0, le=2000, description="kg of CO₂ a MWh of fuel, 0 to 2000")
    efficiency: float = Field(gt=0, le=1, description="above 0, at most 1")
    renewable: bool = False
    profile: Shape = Field("steady", description="steady, wind, sun, homes or works")
    error: float = Field(0.0, ge=0, le=1, description="0 to 1, of its capacity")


class StoreEntry(Entry):
    """A ``[[store]]``."""

    name: str = Field(min_length=1)
    capacity_mwh: float = Field(gt=0, le=1e5, description="above 0, in MWh")
    power_mw: float = Field(gt=0, le=1e5, description="above 0, in MW")
    round_trip: float = Field(gt=0, le=1, description="above 0, at most 1")
    start_share: float = Field(ge=0, le=1, description="0 to 1, of its capacity")
    buy_eur_per_mwh: float = Field(description="the price up to which it buys")
    sell_eur_per_mwh: float = Field(description="the price from which on it sells")
    wear_eur_per_kwh: float = Field(0.0, ge=0, le=10, description="0 to 10 €/kWh")


class FlexibleEntry(Entry):
    """A ``[[consumer.flexible]]``."""

    quantity_mw: float = Field(gt=0, le=1e5, description="above 0, in MW")
    worth_eur_per_mwh: float = Field(description="the price up to which it is used")


class ConsumerEntry(Entry):
    """A ``[[consumer]]``."""

    name: str = Field(min_length=1)
    base_mw: float = Field(gt=0, le=1e5, description="above 0, in MW")
    profile: Shape = Field("steady", description="steady, wind, sun, homes or works")
    error: float = Field(0.0, ge=0, le=1, description="0 to 1, of its base load")
    flexible: tuple[FlexibleEntry, ...] = Field((), strict=False)
    shed_last: int = 0
    comfort_eur_per_mwh: float = Field(0.0, ge=0, le=1e5, description="0 or more €/MWh")


class BuildingEntry(Entry):
    """The ``[building]``."""

    name: str = Field(min_length=1)
    homes: int = Field(ge=1, le=1_000_000, description="1 or more that are alike")


class GridEntry(Entry):
    """The ``[grid]``."""

    inertia_s: float = Field(gt=0, le=100, description="above 0, in s")
    damping_pu_per_hz: float = Field(ge=0, le=10, description="0 or more, in pu/Hz")
    droop_hz_per_pu: float = Field(gt=0, le=100, description="above 0, in Hz/pu")


class PlaceEntry(Entry):
    """The ``[place]``: where the sun is looked up."""

    name: str
    latitude_deg: float = Field(ge=-66, le=66, description="-66 to 66")
    longitude_deg: float = Field(ge=-180, le=180, description="-180 to 180")
    country: str


class ScenarioEntry(Entry):
    """The file of a scenario."""

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    start_utc: datetime = Field(description="a time such as 2016-06-01T00:00:00, without quotes")
    step_minutes: int = Field(ge=1, le=60, description="1 to 60")
    n_steps: int = Field(ge=1, le=110_000, description="1 to 110000 auctions")
    floor_eur_per_mwh: float
    cap_eur_per_mwh: float
    seed: int = Field(0, ge=0, description="a whole number of at least 0")
    grid: GridEntry
    place: PlaceEntry
    generator: tuple[GeneratorEntry, ...] = Field(min_length=1, strict=False)
    store: tuple[StoreEntry, ...] = Field((), strict=False)
    consumer: tuple[ConsumerEntry, ...] = Field(min_length=1, strict=False)
    building: BuildingEntry | None = None


def read_scenario(
    name: str, *, seed: int | None = None, demand_mw: float | None = None
) -> Scenario:
    """A ready scenario by its name, or that of a file ending in ``.toml``.

    ``seed``: of its profiles instead of the file's; ``demand_mw``: the load of all consumers, those
    without a flexible part scaled. Raises ``InvalidSpec``.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in READY:
            raise InvalidSpec(
                f"scenario {name!r} is unknown; ready are {', '.join(READY)}, or give a .toml file"
            )
        path = SCENARIOS / f"{name}.toml"
    entry = check(ScenarioEntry, read_toml(path, "scenario", InvalidSpec), "scenario", InvalidSpec)
    if seed is not None:
        entry = entry.model_copy(update={"seed": seed})
    return _scenario(entry, demand_mw)


def _scenario(entry: ScenarioEntry, demand_mw: float | None) -> Scenario:
    start_utc = np.datetime64(entry.start_utc.replace(tzinfo=None), "s")
    step_h = entry.step_minutes / 60.0
    place = Place(**entry.place.model_dump(), subdivision="")
    clock = Clock(ts_utc=_steps(start_utc, step_h, entry.n_steps), step_h=step_h, place=place)
    scale = 1.0 if demand_mw is None else _scale(entry.consumer, demand_mw)
    n_plants = len(entry.generator)
    # Wind blows for all alike: one seed a shape; each bidder errs by itself.
    return Scenario(
        name=entry.name,
        description=entry.description,
        start_utc=start_utc,
        step_h=step_h,
        n_steps=entry.n_steps,
        floor_eur_per_mwh=entry.floor_eur_per_mwh,
        cap_eur_per_mwh=entry.cap_eur_per_mwh,
        generators=tuple(
            _generator(one, clock, 1000 * entry.seed + i) for i, one in enumerate(entry.generator)
        ),
        stores=tuple(_store(one) for one in entry.store),
        consumers=tuple(
            _consumer(one, clock, scale, 1000 * entry.seed + n_plants + i)
            for i, one in enumerate(entry.consumer)
        ),
        grid=GridData(**entry.grid.model_dump()),
        building=None if entry.building is None else entry.building.name,
        homes=1 if entry.building is None else entry.building.homes,
    )


def _scale(consumers: Sequence[ConsumerEntry], demand_mw: float) -> float:
    """What loads without a flexible part are multiplied by for this load of all [1]."""
    flexible_mw = sum(one.base_mw for one in consumers if one.flexible)
    other_mw = sum(one.base_mw for one in consumers if not one.flexible)
    if not other_mw or demand_mw < flexible_mw:
        raise InvalidSpec(
            f"demand_mw is {demand_mw:g}, must be at least {flexible_mw:g}, the consumers with a "
            "flexible part, and at least one consumer must have none"
        )
    return (demand_mw - flexible_mw) / other_mw


def _generator(entry: GeneratorEntry, clock: Clock, seed: int) -> Generator:
    capacity_kw = KW_PER_MW * entry.capacity_mw
    share = profile(entry.profile, clock, entry.error, seed)
    return Generator(
        name=entry.name,
        capacity_kw=capacity_kw,
        fuel_eur_per_mwh=entry.fuel_eur_per_mwh,
        fuel_kg_per_mwh=entry.fuel_kg_per_mwh,
        efficiency=entry.efficiency,
        renewable=entry.renewable,
        announced_kw=np.floor(capacity_kw * share.announced),
        actual_kw=np.floor(capacity_kw * share.actual),
    )


def _store(entry: StoreEntry) -> TradedStore:
    capacity_kwh, power_kw = KW_PER_MW * entry.capacity_mwh, KW_PER_MW * entry.power_mw
    battery = BatteryAgent(
        name=entry.name,
        capacity_kwh=capacity_kwh,
        min_soc_kwh=0.0,
        max_charge_kw=power_kw,
        max_discharge_kw=power_kw,
        round_trip_efficiency=entry.round_trip,
        initial_soc_kwh=entry.start_share * capacity_kwh,
        wear_eur_per_kwh=entry.wear_eur_per_kwh,
    )
    return TradedStore(
        battery=battery,
        buy_eur_per_mwh=entry.buy_eur_per_mwh,
        sell_eur_per_mwh=entry.sell_eur_per_mwh,
    )


def _consumer(entry: ConsumerEntry, clock: Clock, scale: float, seed: int) -> Consumer:
    share = profile(entry.profile, clock, entry.error, seed)
    base_kw = KW_PER_MW * entry.base_mw * (1.0 if entry.flexible else scale)
    flexible = tuple(
        Flexible(quantity_kw=KW_PER_MW * part.quantity_mw, worth_eur_per_mwh=part.worth_eur_per_mwh)
        for part in entry.flexible
    )
    consumer = Consumer(
        name=entry.name,
        announced_kw=np.rint(base_kw * share.announced),
        actual_kw=np.rint(base_kw * share.actual),
        flexible=flexible,
        shed_last=entry.shed_last,
        comfort_eur_per_mwh=entry.comfort_eur_per_mwh,
    )
    least_kw = float(consumer.announced_kw.min())
    if consumer.flexible_kw > least_kw:
        raise InvalidSpec(
            f"scenario, consumer {entry.name}: {consumer.flexible_kw:g} kW are flexible, must be "
            f"at most {least_kw:g}, its lowest load"
        )
    return consumer


def _steps(start_utc: np.datetime64, step_h: float, n_steps: int) -> Instants:
    step_s = np.timedelta64(round(3600 * step_h), "s")
    starts: Instants = start_utc.astype("datetime64[s]") + np.arange(n_steps) * step_s
    return starts
