"""What is provably best for one bidder on given days, while the others do not change.

A plant: all its prices are tried in every auction; no auction of honest rivals depends on an
earlier one, so the best of each is the best of all. A store: the linear program of the house at
the prices that were cleared, bought and sold alike. That bounds every store's money at those
prices, whoever made them; it is reached only by a store too small to move them. A load that may
wait: every need at the cheapest later moment, as if its power had no limit, so a bound too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ems.agents import GridAgent
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.errors import InvalidSpec
from ems.market.learning.series import KEUR_PER_TICK_KWH, AuctionSeries
from ems.types import Floats, Ints


def plant_profits(series: AuctionSeries, name: str, prices: Ints) -> Floats:
    """Profit of each price [ticks] in each auction [k€], shape ``(n_steps, n_prices)``.

    The others are honest, stores rest and no need waits. Raises ``InvalidSpec``.
    """
    names = [plant.name for plant in series.plants]
    if name not in names:
        raise InvalidSpec(
            f"plant_profits: {name!r} is no plant of {series.name}; there are {', '.join(names)}"
        )
    place = names.index(name)
    n_prices = len(prices)
    quantity = np.repeat(series.quantities(np.arange(series.n_steps)), n_prices, axis=0)
    price = np.tile(series.honest_price, (len(quantity), 1))
    price[:, place] = np.tile(prices, series.n_steps)
    cleared = series.market.clear(price, quantity)
    margin = (cleared.price - series.plants[place].cost) * cleared.accepted[:, place]
    earned: Floats = KEUR_PER_TICK_KWH * series.step_h * margin.astype(np.float64)
    return earned.reshape(series.n_steps, n_prices)


def store_optimum(
    series: AuctionSeries, store: int, price: Ints, first: int, start_kwh: float
) -> float:
    """The most a store can earn at ``price`` [ticks, ``(n,)``] from step ``first`` on [k€]."""
    agent = replace(
        series.stores[store],
        initial_soc_kwh=start_kwh,
        final_soc_kwh=series.stores[store].min_soc_kwh,
        calendar_eur_per_kwh_a=0.0,
    )
    eur_per_kwh = price / 1e5
    horizon = Horizon(
        start_utc=series.start_utc + np.timedelta64(round(first * series.step_h * 3600), "s"),
        step_h=series.step_h,
        import_eur_per_kwh=eur_per_kwh,
        export_eur_per_kwh=eur_per_kwh,
        timezone="UTC",
    )
    grid = GridAgent(
        max_import_kw=2 * agent.max_charge_kw, max_export_kw=2 * agent.max_discharge_kw
    )
    return -GlobalOptimizer([agent], grid).optimize_centralized(horizon).objective_eur / 1000.0


def load_bound(series: AuctionSeries, load: int, price: Ints) -> float:
    """The most a load can be worth at ``price`` [ticks, ``(n,)``], its power without limit [k€]."""
    spec, step_h = series.loads[load], series.step_h
    best = np.empty(len(price))
    later = np.inf
    for t in range(len(price) - 1, -1, -1):
        later = min(float(price[t]), later + spec.waiting * step_h if spec.waits else np.inf)
        best[t] = max(spec.worth - later, 0.0)
    return float(best.sum()) * spec.need_kw * step_h * KEUR_PER_TICK_KWH
