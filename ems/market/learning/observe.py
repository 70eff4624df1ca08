"""What a bidder sees: itself, the clock, past prices, public forecasts; nobody else's bids.

An observation holds 4 figures of its own, sine and cosine of day and week (UTC), the last
``n_prices`` prices, and public forecasts of how tight the next steps are, in that order. Prices
before a run are those of honest bidders. Everything is scaled to about one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ems.errors import InvalidSpec
from ems.market.learning.series import AuctionSeries, Runs
from ems.types import Floats, Ints

Singles = NDArray[np.float32]
N_OWN, N_CLOCK = 4, 4
MOST = 10.0
"""No figure is further from 0."""


@dataclass(frozen=True, kw_only=True)
class Spaces:
    """Sizes of what bidders see and do; those given are the familiar ones of the field.

    ``plant``, ``store``, ``load``: figures an observation has. ``n_prices``: past prices in it.
    ``low``, ``high``, ``n_actions``: the prices a plant may offer [€/MWh]. Raises ``InvalidSpec``.
    """

    plant: int = 64
    store: int = 48
    load: int = 40
    n_prices: int = 20
    low: float = 20.0
    high: float = 200.0
    n_actions: int = 20

    def __post_init__(self) -> None:
        least = N_OWN + N_CLOCK + self.n_prices + 1
        for name in ("plant", "store", "load"):
            if getattr(self, name) < least:
                raise InvalidSpec(
                    f"Spaces: {name} = {getattr(self, name)}, must be at least {least}: {N_OWN} "
                    f"own, {N_CLOCK} of the clock, {self.n_prices} prices and a forecast"
                )
        if not (self.low < self.high and self.n_actions >= 2 and self.n_prices >= 1):
            raise InvalidSpec(
                f"Spaces: low = {self.low:g}, high = {self.high:g}, n_actions = {self.n_actions}, "
                f"n_prices = {self.n_prices}; must be low < high, at least 2 and at least 1"
            )

    def prices(self, series: AuctionSeries) -> Ints:
        """What a plant may offer, in ticks within floor and cap, shape ``(n_actions,)``."""
        ticks = np.rint(100.0 * np.linspace(self.low, self.high, self.n_actions))
        return np.clip(ticks, series.rule.floor, series.rule.cap).astype(np.int64)

    def size(self, series: AuctionSeries, name: str) -> int:
        """How many figures the bidder ``name`` sees."""
        return {"plant": self.plant, "store": self.store, "load": self.load}[kind_of(series, name)]


def kind_of(series: AuctionSeries, name: str) -> str:
    """``plant``, ``store`` or ``load``. Raises ``InvalidSpec`` for a bidder that is not there."""
    for kind, bidders in (
        ("plant", series.plants),
        ("store", series.stores),
        ("load", series.loads),
    ):
        if any(bidder.name == name for bidder in bidders):
            return kind
    raise InvalidSpec(
        f"bidder {name!r} is not in {series.name}; there are {', '.join(series.names)}"
    )


def observe(runs: Runs, spaces: Spaces, name: str) -> Singles:
    """What the bidder sees before the next auction of each run, shape ``(n_runs, size)``."""
    series = runs.series
    n_forecasts = spaces.size(series, name) - N_OWN - N_CLOCK - spaces.n_prices
    seen = np.hstack(
        [
            own(runs, name),
            clock(series, runs.at),
            past_prices(runs, spaces.n_prices) / series.price_scale,
            ahead(series, runs.at, n_forecasts),
        ]
    )
    return np.clip(seen, -MOST, MOST).astype(np.float32)


def own(runs: Runs, name: str) -> Floats:
    """The four figures a bidder knows of itself, shape ``(n_runs, 4)``."""
    series, steps = runs.series, np.minimum(runs.at, runs.series.n_steps - 1)
    place, kind = series.names.index(name), kind_of(series, name)
    last_kw = runs.last_kw[:, place]
    if kind == "plant":
        most_kw = max(int(series.available_kw[:, place].max()), 1)
        cost = np.full(len(steps), series.plants[place].cost / series.price_scale)
        offered = runs.last_offer[:, place] / series.price_scale
        have = series.available_kw[steps, place] / most_kw
        return np.column_stack([cost, have, last_kw / most_kw, offered])
    if kind == "store":
        i = place - len(series.plants)
        store = series.stores[i]
        into, out = runs.able_kw(i)
        power_kw = store.max_charge_kw
        held = runs.charge_kwh[:, i] / store.capacity_kwh
        return np.column_stack([held, into / power_kw, out / power_kw, last_kw / power_kw])
    i = place - len(series.plants) - len(series.stores)
    load = series.loads[i]
    waiting = runs.waiting_kwh[:, i] / (load.most_kw * 1.0)
    worth = np.full(len(steps), load.worth / series.price_scale)
    return np.column_stack(
        [worth, waiting, runs.wanted_kw(i) / load.most_kw, last_kw / load.most_kw]
    )


def clock(series: AuctionSeries, at: Ints) -> Floats:
    """Sine and cosine of the time of day and of the week [UTC], shape ``(n, 4)``."""
    start_s = (series.start_utc - np.datetime64("1970-01-05")) / np.timedelta64(1, "s")
    hours = float(start_s) / 3600.0 + at * series.step_h
    day, week = 2.0 * np.pi * hours / 24.0, 2.0 * np.pi * hours / 168.0
    return np.column_stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)])


def past_prices(runs: Runs, n_prices: int) -> Floats:
    """The last prices of each run, newest first [ticks], shape ``(n_runs, n_prices)``."""
    known = runs.new_prices[: -n_prices - 1 : -1]
    before = runs.at[:, None] - len(runs.new_prices) - 1 - np.arange(n_prices - len(known))
    honest = runs.series.honest_clearing_price[np.maximum(before, 0)]
    return np.column_stack([*known, honest]).astype(np.float64)


def ahead(series: AuctionSeries, at: Ints, n: int) -> Floats:
    """Forecast of how tight this and the following steps are, shape ``(n_runs, n)``."""
    steps = np.minimum(at[:, None] + np.arange(n), series.n_steps - 1)
    tight: Floats = series.tightness[steps]
    return tight
