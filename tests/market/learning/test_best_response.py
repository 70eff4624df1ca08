"""What is best, by another road: by hand, by trying all, by a program of its own."""

from __future__ import annotations

import numpy as np
import pytest
from market.learning.markets import arbitrage, worked
from scipy.optimize import linprog

from ems.errors import InvalidSpec
from ems.market.learning.best_response import load_bound, plant_profits, store_optimum
from ems.market.learning.observe import Spaces
from ems.market.learning.score import at_random, best_possible, by_rule, play
from ems.market.learning.series import Runs

DAYS = arbitrage()
STARTS = np.array([24, 48, 72])


@pytest.mark.parametrize(
    ("demand", "price", "keur"),
    [
        (120, 4500, 0.5),  # honest: 50 MW at 55
        (120, 6400, 0.95),  # 50 MW at its own 64
        (120, 6600, 0.21),  # behind gas at 65: 10 MW at 66
        (150, 7400, 1.16),  # 40 MW at 74
        (80, 5400, 0.225),  # 25 MW at 54
        (80, 4000, -0.175),  # below cost: 25 MW at 40, and 10 more that battery_2 buys at that
    ],
)
def test_the_coal_plant_by_hand(demand: int, price: int, keur: float) -> None:
    found = plant_profits(worked((demand,)), "coal_plant_1", np.array([price]))
    assert found[0, 0] == pytest.approx(keur)


def test_trying_a_price_is_playing_it() -> None:
    series = worked((120, 150, 80, 95))
    prices = Spaces().prices(series)
    found = plant_profits(series, "gas_plant_1", prices)
    for i, price in enumerate(prices):
        runs = Runs(series, np.arange(4))
        money = runs.advance({"gas_plant_1": np.full(4, float(price))})
        assert money["gas_plant_1"] == pytest.approx(found[:, i])


def test_a_store_at_20_and_60_by_hand() -> None:
    """A full charge costs 4000/0.9 kWh at 20 and gives 3600 at 60: 216 − 88.89 €."""
    price = np.array([2000] * 5 + [6000] * 5)
    assert 1000 * store_optimum(DAYS, 0, price, 0, 0.0) == pytest.approx(216 - 4000 / 0.9 * 0.02)
    assert 1000 * store_optimum(DAYS, 0, price[5:], 5, 4000.0) == pytest.approx(216)


def test_the_optimum_is_that_of_another_program() -> None:
    price = np.random.default_rng(3).integers(0, 10_000, 30)
    n = len(price)
    level = np.hstack([0.9 * np.tri(n), -np.tri(n) / 0.9])
    other = linprog(
        np.concatenate([price, -price]) / 1e5,
        A_ub=np.vstack([level, -level]),
        b_ub=np.concatenate([np.full(n, 4000.0), np.zeros(n)]),
        bounds=(0, 1000),
    )
    assert 1000 * store_optimum(DAYS, 0, price, 0, 0.0) == pytest.approx(-other.fun)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["base", "peaker", "store", "flexible"])
def test_nobody_is_above_the_best(name: str, seed: int) -> None:
    """Whatever is done, at random or by rule: at the prices it made, it earns at most the bound."""
    spaces = Spaces()
    for behave in (at_random(DAYS, name, spaces, seed), by_rule(DAYS, name, spaces)):
        played = play(DAYS, name, STARTS, 24, {name: behave})
        best = best_possible(DAYS, name, spaces, played, STARTS)
        assert (played.total_keur <= best + 1e-9).all()


def test_the_rules_earn_something() -> None:
    spaces = Spaces()
    for name in ("store", "flexible"):
        rule = play(DAYS, name, STARTS, 24, {name: by_rule(DAYS, name, spaces)}).total_keur
        honest = play(DAYS, name, STARTS, 24, {}).total_keur
        assert rule.mean() > honest.mean()


def test_a_load_waits_for_the_cheapest_moment_that_pays() -> None:
    """Need of 0.5 MWh worth 100: at 90 now it is worth 10, in the next hour 100 − 20 − 0.1."""
    price = np.array([9000, 2000])
    assert 1000 * load_bound(DAYS, 0, price) == pytest.approx(0.5 * (79.9 + 80))
    assert load_bound(DAYS, 0, np.array([20_000])) == 0.0
    assert load_bound(worked((80,)), 0, np.array([9000, 2000])) == pytest.approx(8 * 60 / 1000)


def test_only_plants_have_a_list_of_prices() -> None:
    with pytest.raises(InvalidSpec, match="'store' is no plant of arbitrage; there are base"):
        plant_profits(DAYS, "store", np.array([2000]))
    with pytest.raises(InvalidSpec, match="do not fit the 96 steps"):
        play(DAYS, "base", np.array([90]), 24, {})
