"""The environments pass the tests of the projects they are written for, and count money right."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from market.learning.markets import arbitrage, worked
from pettingzoo.test import parallel_api_test, parallel_seed_test
from stable_baselines3.common.env_checker import check_env as check_sb3

from ems.errors import InvalidSpec
from ems.market.learning.env import MarketEnv, SingleBidderEnv
from ems.market.learning.observe import Spaces, observe
from ems.market.learning.series import Runs

DAYS = arbitrage()


def test_pettingzoo_finds_no_fault() -> None:
    parallel_api_test(MarketEnv(DAYS, episode_steps=24), num_cycles=60)
    parallel_seed_test(lambda: MarketEnv(DAYS, episode_steps=24), num_cycles=30)


@pytest.mark.parametrize("bidder", ["base", "store", "flexible"])
def test_gymnasium_and_stable_baselines_find_no_fault(bidder: str) -> None:
    env = SingleBidderEnv(DAYS, bidder, episode_steps=24)
    with warnings.catch_warnings():
        # Gymnasium wants every action from -1 to 1; a share of nothing to all is 0 to 1.
        warnings.filterwarnings("ignore", message=".*[Bb]ox action space.*|.*not.*registered.*")
        warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
        check_env(env, skip_render_check=True)
        check_sb3(env)


def test_the_familiar_sizes() -> None:
    env = MarketEnv(arbitrage(2, 1 / 12))
    sizes = [env.observation_space(name).shape for name in ("base", "store", "flexible")]
    assert sizes == [(64,), (48,), (40,)]
    assert env.action_space("base").n == 20
    assert env.action_space("store") is env.action_space("store")
    assert Spaces().prices(DAYS)[[0, -1]].tolist() == [2000, 20_000]


def test_a_day_ends_by_truncation_after_288_steps() -> None:
    env = MarketEnv(arbitrage(2, 1 / 12), learners=["base"])
    env.reset(seed=1)
    for step in range(288):
        *_, ended, over, _ = env.step({"base": 0})
        assert not ended["base"]
        assert over["base"] == (step == 287)
    assert env.agents == []
    with pytest.raises(InvalidSpec, match="call reset first"):
        env.step({"base": 0})


def test_money_of_the_worked_example() -> None:
    """At 120 MW and 55 $/MWh the winners earn 900, 625, 500 and 0 $/h."""
    runs = Runs(worked((120, 150, 80)), np.array([0, 1, 2]))
    money = runs.advance({})
    assert runs.new_prices[0].tolist() == [5500, 6500, 4500]
    earned = [1000 * money[name][0] for name in runs.series.names[:4]]
    assert earned == pytest.approx([900, 625, 500, 0])
    assert 1000 * money["factory_1"][0] == pytest.approx(8 * (80 - 55))
    assert runs.last_kw[2, 2] == 25_000
    assert not runs.last_kw[:, -1].any()  # battery_2 would pay 40


def test_a_store_keeps_its_books() -> None:
    """√0.81 = 0.9 each way: 1000 kW for an hour holds 900 kWh, and gives 810 back."""
    runs = Runs(DAYS, np.array([0]))
    money = runs.advance({"store": np.array([1.0])})
    assert runs.charge_kwh[0, 0] == pytest.approx(900)
    assert money["store"][0] == pytest.approx(-0.020)
    for _ in range(7):
        runs.advance({})
    money = runs.advance({"store": np.array([-1.0])})
    assert money["store"][0] == pytest.approx(0.810 * 0.060)
    assert runs.charge_kwh[0, 0] == pytest.approx(0.0)
    assert runs.advance({"store": np.array([-1.0])})["store"][0] == 0.0


def test_need_that_waits_costs_and_is_caught_up() -> None:
    """0.1 €/(MWh h) waiting: 500 kWh put off for an hour cost 0.05 €."""
    runs = Runs(DAYS, np.array([0]))
    money = runs.advance({"flexible": np.array([0.0])})
    assert runs.waiting_kwh[0, 0] == 500
    assert money["flexible"][0] == pytest.approx(-0.05e-3)
    money = runs.advance({"flexible": np.array([1.0])})
    assert runs.waiting_kwh[0, 0] == 0
    assert money["flexible"][0] == pytest.approx(1.0 * (100 - 20) * 1e-3)


def test_nobody_sees_what_others_bid() -> None:
    """Another's offer that changes neither price nor volume leaves what is seen as it is."""
    one, other = Runs(worked((80, 80)), np.array([0])), Runs(worked((80, 80)), np.array([0]))
    one.advance({})
    other.advance({"gas_plant_2": np.array([15_000.0]), "mall_1": np.array([1.0])})
    for name in ("coal_plant_1", "factory_1"):
        np.testing.assert_array_equal(observe(one, Spaces(), name), observe(other, Spaces(), name))
    mine = observe(other, Spaces(), "gas_plant_2")
    assert not np.array_equal(observe(one, Spaces(), "gas_plant_2"), mine)


def test_past_prices_are_newest_first_and_honest_before_the_run() -> None:
    series = worked((120, 150, 80, 120, 120))
    runs = Runs(series, np.array([3]))
    seen = observe(runs, Spaces(), "coal_plant_1")[0, 8:28] * series.price_scale
    assert seen[:4] == pytest.approx([4500, 6500, 5500, 5500])
    runs.advance({"coal_plant_1": np.array([6400.0])})
    seen = observe(runs, Spaces(), "coal_plant_1")[0, 8:28] * series.price_scale
    assert seen[:4] == pytest.approx([6400, 4500, 6500, 5500])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"learners": ["nobody"], "episode_steps": 24},
            "bidder 'nobody' is not in arbitrage; there are base, peaker",
        ),
        ({"episode_steps": 97}, "episode_steps = 97, must lie in 1 … 96"),
    ],
)
def test_what_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidSpec, match=told):
        MarketEnv(DAYS, **options)  # type: ignore[arg-type]


def test_series_and_spaces_that_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="Spaces: load = 20, must be at least 29"):
        Spaces(load=20)
    with pytest.raises(InvalidSpec, match=r"window \[90, 97\) is outside"):
        DAYS.window(90, 97)
    with pytest.raises(InvalidSpec, match="two bidders are named base"):
        replace(DAYS, plants=DAYS.plants[:1] * 2)
