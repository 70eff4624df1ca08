"""MADDPG on a game whose equilibrium is known, and on a market."""

from __future__ import annotations

import pytest
from market.learning.cournot import CournotEnv
from market.learning.markets import arbitrage

from ems.errors import InvalidSpec
from ems.market.learning.env import MarketEnv
from ems.market.learning.games import Cournot, best_response_gap
from ems.market.learning.maddpg import Maddpg, MaddpgSpec

DUOPOLY = Cournot(intercept=100.0, cost=10.0, n_sellers=2)


def test_it_finds_the_equilibrium_of_cournot() -> None:
    """30 each: none could gain more than 3 % of 900 by another quantity."""
    env = CournotEnv(DUOPOLY)
    learner = Maddpg(env, MaddpgSpec(n_steps=3000, seed=0, gamma=0.0))
    learner.learn()
    sold = (learner.act(env.reset()[0]) + 1.0) / 2.0 * env.most
    assert best_response_gap(DUOPOLY, sold).max() <= 0.03 * 900
    assert sold.sum() == pytest.approx(60, abs=4)


def test_the_same_seed_learns_the_same() -> None:
    def learned(seed: int) -> list[float]:
        env = MarketEnv(arbitrage(), learners=["store", "flexible"], episode_steps=24)
        learner = Maddpg(env, MaddpgSpec(n_steps=120, seed=seed, warm_up=64))
        learner.learn()
        return [float(v) for v in learner.act(env.reset(seed=1)[0])]

    assert learned(1) == learned(1)
    assert learned(1) != learned(2)


def test_critics_alone_see_only_their_own_side() -> None:
    env = CournotEnv(DUOPOLY)
    sizes = [
        Maddpg(env, MaddpgSpec(n_steps=300, seed=0, joint=joint)).critics[0][0].in_features
        for joint in (True, False)
    ]
    assert sizes == [4, 2]


def test_what_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="batch_size ≤ warm_up < n_steps"):
        MaddpgSpec(n_steps=100, seed=0)
    with pytest.raises(InvalidSpec, match=r"gamma = 1, must lie in \[0, 1\)"):
        MaddpgSpec(n_steps=1000, seed=0, gamma=1.0)
    with pytest.raises(InvalidSpec, match="must have a Box action"):
        Maddpg(
            MarketEnv(arbitrage(), learners=["base"], episode_steps=24),
            MaddpgSpec(n_steps=300, seed=0),
        )
