"""How fast auctions are cleared, one by one and many at once, and a year of them run.

``python benchmarks/market.py [--days N]``

Prints: a book of 10,000 orders; batches of auctions with 10 bidders; and a run of ``--days``
(default 365) of five-minute auctions with 20 bidders, four of them stores, with messages,
settlement and what every store could have earned left out. Seconds of one process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np
from numpy.random import default_rng

from ems.market.account import settle_market
from ems.market.bidders import honest_bidders
from ems.market.clearing import UniformPrice, clear
from ems.market.cycle import MarketCycle
from ems.market.learning.batch import BatchMarket
from ems.market.orders import OrderBook
from ems.market.scenario import Consumer, Generator, Scenario, TradedStore, read_scenario

RULE = UniformPrice(floor=-50_000, cap=400_000)


def best_of(times: int, work: Callable[[], Any]) -> float:
    """The shortest of several tries [s]."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)


def book(n: int, n_auctions: int) -> OrderBook:
    """Orders drawn with a seed."""
    draw = default_rng(0)
    return OrderBook(
        n_auctions=n_auctions,
        auction=draw.integers(0, n_auctions, n),
        owner=draw.integers(0, 100, n),
        is_bid=draw.random(n) < 0.5,
        price=draw.integers(0, 20_000, n),
        quantity=draw.integers(1, 5000, n),
    )


def year(n_days: int) -> Scenario:
    """The plants, stores and consumers of the sample, doubled and more, over many days."""
    scenario = replace(read_scenario("sample"), building=None)
    n_steps = n_days * scenario.n_steps

    def long(values: Any) -> Any:
        return np.tile(values, n_days)

    plants: list[Generator] = []
    for i in range(12):
        one = scenario.generators[i % len(scenario.generators)]
        plants.append(
            replace(
                one,
                name=f"{one.name}_{i}",
                announced_kw=long(np.floor(one.announced_kw / 2)),
                actual_kw=long(np.floor(one.actual_kw / 2)),
                fuel_eur_per_mwh=one.fuel_eur_per_mwh + i,
            )
        )
    stores: list[TradedStore] = []
    for i in range(4):
        trade = scenario.stores[i % 2]
        battery = replace(trade.battery, name=f"battery_{i}")
        stores.append(replace(trade, battery=battery))
    consumers: list[Consumer] = []
    for i in range(4):
        user = scenario.consumers[i % 3]
        consumers.append(
            replace(
                user,
                name=f"{user.name}_{i}",
                announced_kw=long(user.announced_kw),
                actual_kw=long(user.actual_kw),
            )
        )
    return replace(
        scenario,
        n_steps=n_steps,
        generators=tuple(plants),
        stores=tuple(stores),
        consumers=tuple(consumers),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--days", type=int, default=365)
    n_days = parser.parse_args().days
    one, many = book(10_000, 1), book(1_000_000, 100_000)
    print(f"10,000 orders in one auction: {1000 * best_of(5, lambda: clear(one, RULE)):.1f} ms")
    seconds = best_of(2, lambda: clear(many, RULE))
    print(f"100,000 auctions of 10 orders by clear: {100_000 / seconds:,.0f} auctions/s")
    market = BatchMarket(is_bid=np.arange(10) >= 5, rule=RULE)
    draw = default_rng(1)
    price, power = draw.integers(0, 20_000, (100_000, 10)), draw.integers(1, 5000, (100_000, 10))
    seconds = best_of(3, lambda: market.clear(price, power))
    print(f"100,000 auctions of 10 bidders by BatchMarket: {100_000 / seconds:,.0f} auctions/s")
    scenario = year(n_days)
    cycle = MarketCycle(
        scenario=scenario,
        bidders=honest_bidders(scenario),
        physics=False,
        keep_messages=False,
    )
    started = time.perf_counter()
    run = cycle.run()
    ran_s = time.perf_counter() - started
    account = settle_market(run)
    assert (account.energy.sum(axis=1) == 0).all()
    spent_s = time.perf_counter() - started
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{scenario.n_steps:,} auctions of {len(cycle.bidders)} bidders: {ran_s:.0f} s, settled "
        f"{spent_s:.0f} s, {memory_mb:,.0f} MB"
    )


if __name__ == "__main__":
    main()
