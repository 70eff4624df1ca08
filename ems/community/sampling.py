"""Homes made from measured ones, as many as a street has.

A home is the load of one measured building on another day of the same kind (workday, Saturday,
Sunday or holiday) within ``APART_DAYS`` days, times a lognormal factor. Its sun is that of its own
day, since one sun shines on a whole street: shuffled suns would overstate what sharing is worth,
and clones of one home understate it. ``coincidence`` tells which of the two a street comes near.

Shares and sizes are assumed (``Shares``). Up to six homes are the measured buildings themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.site.assets import EVSpec
from ems.site.building import Building
from ems.site.meters import Feed, MeterData
from ems.types import Floats, Ints

APART_DAYS = 21
"""A day further away has another season [days]."""
CENTRAL = "battery"
"""The member that has the battery of all."""
SIGMA = 0.3
"""Spread of the homes' sizes, of the logarithm [1] (assumed)."""
MOST_HOMES = 10_000


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What the made homes have, all assumed.

    ``pv``: share of homes with a roof, of ``pv_kwp``: its least and greatest size [kW], uniform;
    ``battery``: share of the roofs with a battery of ``battery_kwh_per_kwp`` [kWh/kW]; ``ev``:
    share of the homes with a car.
    """

    pv: float = 0.5
    pv_kwp: tuple[float, float] = (3.0, 10.0)
    battery: float = 0.5
    battery_kwh_per_kwp: float = 1.0
    ev: float = 0.2

    def __post_init__(self) -> None:
        for name in ("pv", "battery", "ev"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidSpec(f"shares: {name} is {getattr(self, name)}, allowed is 0 to 1")
        if not 0 < self.pv_kwp[0] <= self.pv_kwp[1] <= 100:
            raise InvalidSpec(
                f"shares: pv_kwp is {self.pv_kwp}, allowed are 0 < least <= most <= 100"
            )
        if not 0 < self.battery_kwh_per_kwp <= 10:
            raise InvalidSpec(
                f"shares: battery_kwh_per_kwp is {self.battery_kwh_per_kwp}, allowed is 0 < x <= 10"
            )


def made_homes(
    buildings: Sequence[Building], n: int, seed: int = 0, shares: Shares | None = None
) -> tuple[Building, ...]:
    """``n`` homes, drawn with ``seed``; the buildings themselves where there are as many.

    The homes have the tariff of their building, and its assets but for battery and car, which
    ``shares`` draws. Raises ``InvalidSpec`` for fewer than two homes or too many, ``DataError`` if
    no building can give a load or none a sun that is asked for.
    """
    if not 2 <= n <= MOST_HOMES:
        raise InvalidSpec(f"homes is {n}, allowed is 2 to {MOST_HOMES:,}")
    if n <= len(buildings):
        return tuple(buildings[:n])
    shares = shares or Shares()
    sources = [_Source.of(building) for building in buildings]
    roofs = [source for source in sources if np.nanmax(source.pv_kw, initial=0.0) > 0]
    if shares.pv > 0 and not roofs:
        raise DataError("none of the buildings has a metered roof; ask for homes without PV")
    made = []
    for number in range(n):
        rng = np.random.default_rng([seed, number])  # a home stays itself in a larger street
        source = sources[int(rng.integers(len(sources)))]
        roof = roofs[int(rng.integers(len(roofs)))] if rng.random() < shares.pv else None
        made.append(_home(f"home_{number + 1}", rng, source, roof, shares))
    return tuple(made)


def with_central_battery(homes: Sequence[Building]) -> tuple[Building, ...]:
    """The homes without their batteries, and one of the same size and power in all, a member.

    The member has a meter of its own and no load: alone it can only trade, on the common bus it
    serves all, and what it gains is its own. Raises ``InvalidSpec`` if no home has a battery, or
    one is called like it.
    """
    batteries = [home.assets.battery for home in homes if home.assets.battery is not None]
    if not batteries:
        raise InvalidSpec("a central battery: no home has a battery to put there; give them some")
    if any(home.history.building == CENTRAL for home in homes):
        raise InvalidSpec(f"a central battery: a home is called {CENTRAL}; leave it out")
    summed = {
        name: sum(getattr(battery, name) for battery in batteries)
        for name in (
            *("capacity_kwh", "min_soc_kwh", "initial_soc_kwh"),
            *("max_charge_kw", "max_discharge_kw"),
        )
    }
    like = homes[0]
    nothing = np.zeros(len(like.history.load_kwh))
    meter = _metered(CENTRAL, like.history, nothing, nothing, has_pv=False)
    alone = replace(like.assets, battery=replace(batteries[0], **summed), ev=None)
    others = (
        Building(home.history, home.tariff, replace(home.assets, battery=None)) for home in homes
    )
    return (*others, Building(meter, like.tariff, alone))


def owners(homes: Sequence[Building]) -> tuple[float, ...]:
    """The share of each home in the kWh of all batteries [1]."""
    kwh = [
        0.0 if home.assets.battery is None else home.assets.battery.capacity_kwh for home in homes
    ]
    return tuple(one / sum(kwh) for one in kwh)


def coincidence(load_kwh: Floats) -> float:
    """Peak of the sum by sum of the peaks, in [0, 1]; ``load_kwh``: ``(n_homes, n_steps)``.

    >>> coincidence(np.array([[1.0, 3.0], [3.0, 1.0]])), coincidence(np.array([[1.0, 3.0]] * 2))
    (0.6666666666666666, 1.0)
    """
    return float(load_kwh.sum(axis=0).max() / load_kwh.max(axis=1).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class _Source:
    """A measured building: the load on its bus by whole days, and its sun for each kW of peak."""

    building: Building
    spans: tuple[slice, ...]
    kind: Ints
    known: tuple[bool, ...]
    load_kwh: Floats
    pv_kw: Floats

    @classmethod
    def of(cls, building: Building) -> _Source:
        """Its whole days."""
        history, days = building.history, building.days
        load_kwh = building.truth.load_kwh
        spans = tuple(building.span(day) for day in days)
        if not days:
            raise DataError(f"{history.building}: no day is covered from midnight to midnight")
        peak_kwh = float(np.nanmax(history.pv_kwh, initial=0.0))
        return cls(
            building=building,
            spans=spans,
            kind=_kinds(history, days),
            known=tuple(bool(np.isfinite(load_kwh[span]).all()) for span in spans),
            load_kwh=load_kwh,
            pv_kw=history.pv_kwh / peak_kwh if peak_kwh > 0 else np.zeros(len(load_kwh)),
        )

    def another_day(self, rng: np.random.Generator, at: int) -> int:
        """The place of a known day of the same kind and length near the day at ``at``."""
        near = range(max(at - APART_DAYS, 0), min(at + APART_DAYS + 1, len(self.spans)))
        length = self.spans[at].stop - self.spans[at].start
        alike = [
            place
            for place in near
            if self.known[place]
            and self.kind[place] == self.kind[at]
            and self.spans[place].stop - self.spans[place].start == length
        ]
        return alike[int(rng.integers(len(alike)))] if alike else at


def _kinds(history: MeterData, days: Sequence[date]) -> Ints:
    """0 for a workday, 1 for a Saturday, 2 for a Sunday or holiday."""
    free = {
        day
        for year in sorted({day.year for day in days})
        for day in np.asarray(history.place.public_holidays(year)).astype(object)
    }
    return np.array(
        [2 if day.weekday() == 6 or day in free else int(day.weekday() == 5) for day in days]
    )


def _home(
    name: str, rng: np.random.Generator, source: _Source, roof: _Source | None, shares: Shares
) -> Building:
    """One home of the street."""
    building = source.building
    factor = float(rng.lognormal(0.0, SIGMA))
    load_kwh = np.full(len(source.load_kwh), np.nan)
    for at, span in enumerate(source.spans):
        load_kwh[span] = factor * source.load_kwh[source.spans[source.another_day(rng, at)]]
    pv_kwp = float(rng.uniform(*shares.pv_kwp)) if roof is not None else 0.0
    pv_kwh = np.zeros(len(load_kwh))
    if roof is not None:
        pv_kwh = pv_kwp * building.history.step_h * _on_grid(roof, building.history)
    assets = building.assets
    battery = assets.battery
    if battery is not None:
        has = roof is not None and rng.random() < shares.battery
        battery = battery.sized(shares.battery_kwh_per_kwp * pv_kwp) if has else None
    assumed = EVSpec(assumed=True, seed=int(rng.integers(2**31)))
    car = assumed if rng.random() < shares.ev else None
    return Building(
        _metered(name, building.history, load_kwh, pv_kwh, roof is not None),
        building.tariff,
        replace(assets, battery=battery, ev=car, pv_scale=1.0),
    )


def _on_grid(roof: _Source, history: MeterData) -> Floats:
    """Its sun for each kW of peak at the steps of another history, NaN where it is not known."""
    step = np.timedelta64(round(3600 * history.step_h), "s")
    first = (roof.building.history.ts_utc[0] - history.ts_utc[0]) // step
    places = np.arange(len(history.ts_utc)) - int(first)
    inside = (places >= 0) & (places < len(roof.pv_kw))
    sun: Floats = np.full(len(places), np.nan)
    sun[inside] = roof.pv_kw[places[inside]]
    return sun


def _metered(
    name: str, like: MeterData, load_kwh: Floats, pv_kwh: Floats, has_pv: bool
) -> MeterData:
    """What the meters of the home would show: import and export of what its sun leaves."""
    net_kwh = load_kwh - pv_kwh
    energy = {"grid_import": np.maximum(net_kwh, 0.0), "grid_export": np.maximum(-net_kwh, 0.0)}
    feeds = [
        Feed(name="grid_import", role="import", category="grid"),
        Feed(name="grid_export", role="export", category="grid"),
    ]
    if has_pv:
        energy["pv"] = pv_kwh
        feeds.append(Feed(name="pv", role="pv", category="pv"))
    return replace(
        like,
        building=name,
        feeds=tuple(feeds),
        energy_kwh=energy,
        load_kwh=load_kwh,
        pv_kwh=pv_kwh,
        load_rule="import+pv-export" if has_pv else "import",
        source=f"made from other days of measured homes; {like.source}",
    )
