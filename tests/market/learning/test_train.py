"""Training reaches the best response, a kill does not spoil it, a policy keeps to its market."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from market.learning.markets import arbitrage, worked

from ems.errors import DataError, InvalidSpec
from ems.market.learning.observe import Spaces, observe
from ems.market.learning.policy import Policy, load_policy
from ems.market.learning.score import follow, interquartile_mean, play, relative, score
from ems.market.learning.series import Runs
from ems.market.learning.train import Training, train, untrained

DEMANDS = (120, 150, 80)
LEARNED = worked(tuple(np.random.default_rng(0).choice(DEMANDS, 960)))
HELD_OUT = worked(tuple(np.random.default_rng(1).choice(DEMANDS, 24 * 7)))
STARTS = 24 * np.arange(7)


def coal(seed: int, n_steps: int = 3000, pieces: int = 2) -> Training:
    return Training(
        series=LEARNED,
        bidder="coal_plant_1",
        algorithm="dqn",
        seed=seed,
        n_steps=n_steps,
        piece_steps=n_steps // pieces,
        episode_steps=24,
    )


def same(one: Policy, other: Policy) -> bool:
    pairs = zip((*one.weights, *one.biases), (*other.weights, *other.biases), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("seed", [0, 1])
def test_dqn_reaches_the_best_response_of_the_coal_plant(seed: int, tmp_path: Path) -> None:
    """At least 95 % of it on days it has not seen; ten seeds are in docs/market_learning.md."""
    found = score(train(coal(seed), tmp_path), HELD_OUT, seed, STARTS, 24)
    assert found.of_best >= 0.95
    assert found.best_keur >= found.trained_keur > found.honest_keur > found.untrained_keur


class Killed(Exception):
    """In place of a signal."""


@pytest.mark.parametrize(
    ("bidder", "algorithm"), [("coal_plant_1", "dqn"), ("store", "sac"), ("flexible", "td3")]
)
def test_a_killed_training_goes_on_to_the_same_policy(
    bidder: str, algorithm: str, tmp_path: Path
) -> None:
    series = LEARNED if algorithm == "dqn" else arbitrage()
    training = replace(
        coal(3, 600, 3), series=series, bidder=bidder, algorithm=algorithm, piece_steps=250
    )
    whole = train(training, tmp_path / "whole")

    def kill(done: int, of: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(training, tmp_path / "killed", kill)
    seen: list[int] = []
    again = train(training, tmp_path / "killed", lambda done, of: seen.append(done))
    assert seen == [500, 600]  # what was done before the kill was not done again
    assert same(whole, again)
    assert same(train(training, tmp_path / "whole"), whole)  # nothing is left to do
    assert not same(whole, untrained(training))


def test_what_torch_would_do_is_what_numbers_do(tmp_path: Path) -> None:
    """The same actions as ``predict`` of stable-baselines3, for each kind of output."""
    from ems.market.learning.train import _loaded

    days = arbitrage()
    for bidder, algorithm in (
        ("base", "dqn"),
        ("store", "sac"),
        ("store", "td3"),
        ("flexible", "sac"),
    ):
        training = replace(
            coal(1, 300, 1), series=days, bidder=bidder, algorithm=algorithm, piece_steps=300
        )
        folder = tmp_path / f"{bidder}_{algorithm}"
        policy = train(training, folder)
        model = _loaded(training, folder, 300)
        seen = np.random.default_rng(0).normal(size=(20, policy.weights[0].shape[0]))
        theirs, _ = model.predict(seen.astype(np.float32), deterministic=True)
        prices = Spaces().prices(days)
        wanted = prices[theirs] if algorithm == "dqn" else theirs[:, 0]
        np.testing.assert_allclose(policy.act(seen.astype(np.float32)), wanted, atol=1e-5)


def test_a_policy_file_comes_back_and_keeps_to_its_market(tmp_path: Path) -> None:
    policy = untrained(coal(5))
    file = tmp_path / "coal.policy"
    policy.save(file)
    back = load_policy(file, LEARNED)
    assert same(policy, back)
    runs = Runs(HELD_OUT, STARTS)
    np.testing.assert_array_equal(
        back.act(observe(runs, back.spaces, back.bidder)), follow(policy)(runs)
    )
    assert load_policy(file, HELD_OUT).bidder == "coal_plant_1"  # other days, the same market
    with pytest.raises(InvalidSpec, match="was learned for another market"):
        load_policy(file, arbitrage())
    with pytest.raises(InvalidSpec, match="learned for another market than arbitrage"):
        score(policy, arbitrage(), 0, STARTS, 24)
    with np.load(file) as held:
        parts = dict(held)
    header = json.loads(str(parts["header"]))
    parts["header"] = np.array(json.dumps({**header, "version": 0}))
    with file.open("wb") as out:
        np.savez(out, **parts)
    with pytest.raises(InvalidSpec, match="has version 0, must be 1; train it again"):
        load_policy(file)


def test_files_that_are_no_policies(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"cannot be read: No such file"):
        load_policy(tmp_path / "gone")
    file = tmp_path / "text"
    file.write_text("hello", encoding="utf-8")
    with pytest.raises(InvalidSpec, match="is no policy file"):
        load_policy(file)


def test_checkpoints_of_another_training_are_refused(tmp_path: Path) -> None:
    train(coal(0, 20, 1), tmp_path)
    with pytest.raises(DataError, match=r"is of another training \(seed = 0, now 1\)"):
        train(coal(1, 20, 1), tmp_path)
    (tmp_path / "replay_20.pkl").unlink()
    with pytest.raises(DataError, match=r"model_20.zip or its replay is missing"):
        train(coal(0, 20, 1), tmp_path)
    (tmp_path / "state.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read; delete"):
        train(coal(0, 20, 1), tmp_path)


def test_trainings_that_make_no_sense() -> None:
    with pytest.raises(InvalidSpec, match="algorithm = 'sac' for the plant coal_plant_1"):
        replace(coal(0), algorithm="sac")
    with pytest.raises(InvalidSpec, match="piece_steps = 0"):
        replace(coal(0), piece_steps=0)


def test_scores_by_hand() -> None:
    assert relative(3.0, 1.0, 5.0) == 0.5
    assert np.isnan(relative(1.0, 1.0, 1.0))
    assert interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])).mean == 1.5
    found = interquartile_mean(np.arange(20.0))
    assert found.low < found.mean == 9.5 < found.high
    with pytest.raises(InvalidSpec, match="all finite"):
        interquartile_mean(np.array([np.nan]))


def test_a_store_alone_has_a_price_of_its_own() -> None:
    """Doing nothing earns nothing; its charge never leaves its bounds."""
    days = arbitrage()
    draw = np.random.default_rng(0)
    runs = Runs(days, np.array([0, 24]))
    for _ in range(72):
        runs.advance({"store": draw.uniform(-1, 1, 2)})
        assert (runs.charge_kwh >= -1e-6).all()
        assert (runs.charge_kwh <= 4000 + 1e-6).all()
    assert play(days, "store", np.array([0]), 24, {}).total_keur[0] == 0.0
