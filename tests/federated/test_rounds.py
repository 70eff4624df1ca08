"""Federated rounds: exact where they must be, deaf to the future, robust where they claim it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message

from ems.errors import DataError
from ems.federated.grid import Answer
from ems.federated.inputs import Examples
from ems.federated.load import FederatedLoad, NetworkLoad
from ems.federated.network import TrainSpec, initial_weights, losses_of, trained
from ems.federated.rounds import FederationSpec, Home, federate, homes_of, run_rounds
from ems.forecast.series import Series

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "forecast"))
from made_series import series

DAYS, UNTIL_DAY = 44, 40
SMALL = TrainSpec(hidden=4, steps=2, batch=8)
HOMES = {f"home{k}": series(DAYS, seed=k) for k in range(4)}
UNTIL = UNTIL_DAY * 24
UNTIL_UTC = HOMES["home0"].ts_utc[UNTIL]


def same_bits(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def few(homes: Mapping[int, Home]) -> dict[int, Home]:
    """The same homes with 20 examples each, so that a full batch is quick."""
    return {node: replace(home, examples=first(home.examples, 20)) for node, home in homes.items()}


def first(examples: Examples, n: int) -> Examples:
    inputs = replace(
        examples.inputs, past=examples.inputs.past[:n], ahead=examples.inputs.ahead[:n]
    )
    return Examples(inputs=inputs, truth=examples.truth[:n], known=examples.known[:n])


def test_full_batch_steps_averaged_are_gradient_descent_on_the_pool() -> None:
    train = TrainSpec(hidden=4, steps=1, batch=10_000, optimiser="sgd", learning_rate=0.1)
    homes = few(homes_of(HOMES, UNTIL_UTC, train))
    together = run_rounds(homes, UNTIL_UTC, FederationSpec(rounds=5, train=train))
    pooled = Examples.joined([home.examples for home in homes.values()])
    weights = initial_weights(train)
    for round_no in range(1, 6):
        weights, _ = trained(train, weights, pooled, round_no)
    apart = max(np.abs(a - b).max() for a, b in zip(together.weights, weights, strict=True))
    assert apart < 1e-12
    assert not same_bits(weights, initial_weights(train))


@pytest.mark.parametrize("network", ["lstm", "tcn"])
def test_one_home_federated_is_the_home_alone(network: str) -> None:
    train = replace(SMALL, network=network)
    one = {"home0": HOMES["home0"]}
    together = federate(one, UNTIL_UTC, FederationSpec(rounds=3, min_homes=1, train=train))
    alone = NetworkLoad(train=train, rounds=3).fit(HOMES["home0"], UNTIL)
    assert alone.learned is not None
    assert same_bits(together.weights, alone.learned.weights)


def test_workers_and_the_order_of_replies_change_no_bit() -> None:
    def two_workers(answer: Answer, messages: Sequence[Message]) -> list[Message | None]:
        with ThreadPoolExecutor(2) as workers:
            return list(workers.map(answer, messages))[::-1]

    spec = FederationSpec(rounds=2, train=SMALL)
    one = federate(HOMES, UNTIL_UTC, spec)
    assert same_bits(one.weights, federate(HOMES, UNTIL_UTC, spec, two_workers).weights)


def test_an_interrupted_federation_goes_on_to_the_same_bits() -> None:
    whole = federate(HOMES, UNTIL_UTC, FederationSpec(rounds=3, train=SMALL))
    part = federate(HOMES, UNTIL_UTC, FederationSpec(rounds=1, train=SMALL))
    rest = federate(HOMES, UNTIL_UTC, FederationSpec(rounds=3, train=SMALL), going_on=part)
    assert same_bits(whole.weights, rest.weights)
    assert whole.losses == rest.losses


def test_nothing_after_the_instant_changes_a_forecast() -> None:
    def altered(one: Series) -> Series:
        late = np.arange(len(one)) >= UNTIL
        return replace(one, values=np.where(late, 9.0, one.values))

    spec = FederationSpec(rounds=2, train=SMALL)
    forecasts = []
    for homes in (HOMES, {name: altered(one) for name, one in HOMES.items()}):
        model = FederatedLoad(federations=(federate(homes, UNTIL_UTC, spec),), own_rounds=1)
        at = np.array([UNTIL])
        forecasts.append(model.fit(homes["home1"], UNTIL).forecast(homes["home1"], at, 48).values)
    assert np.array_equal(*forecasts)


def test_a_plan_made_before_the_federation_may_not_use_it() -> None:
    federation = federate(HOMES, UNTIL_UTC, FederationSpec(rounds=1, train=SMALL))
    with pytest.raises(DataError, match="the first federation knows what happened"):
        FederatedLoad(federations=(federation,)).fit(HOMES["home0"], UNTIL - 1)


def test_a_home_sends_arrays_a_count_and_a_loss() -> None:
    sent: list[Message] = []

    def listening(answer: Answer, messages: Sequence[Message]) -> list[Message | None]:
        replies = [answer(message) for message in messages]
        sent.extend(reply for reply in replies if reply is not None)
        return replies

    federate(HOMES, UNTIL_UTC, FederationSpec(rounds=1, train=SMALL), listening)
    n_numbers = sum(array.size for array in initial_weights(SMALL))
    for reply in sent:
        assert set(reply.content) == {"arrays", "metrics"}
        assert set(reply.content["metrics"]) == {"num-examples", "loss"}
        assert sum(a.size for a in reply.content["arrays"].to_numpy_ndarrays()) == n_numbers


@dataclass(frozen=True)
class Poisoned:
    """Home 1 answers w₀ + ``times`` · (w − w₀)."""

    times: float

    def __call__(self, answer: Answer, messages: Sequence[Message]) -> list[Message | None]:
        replies = []
        for message in messages:
            reply = answer(message)
            if reply is not None and message.metadata.dst_node_id == 1:
                before = message.content["arrays"].to_numpy_ndarrays()
                after = reply.content["arrays"].to_numpy_ndarrays()
                lie = [b + self.times * (a - b) for a, b in zip(after, before, strict=True)]
                reply.content["arrays"] = ArrayRecord(lie)
            replies.append(reply)
        return replies


TEN = {f"home{k}": series(DAYS, seed=k) for k in range(10)}


def loss_of(strategy: str, poison: float) -> float:
    train = replace(SMALL, steps=8, learning_rate=1e-2)
    homes = homes_of(TEN, UNTIL_UTC, train)
    spec = FederationSpec(strategy=strategy, rounds=6, train=train)
    weights = run_rounds(homes, UNTIL_UTC, spec, Poisoned(poison)).weights
    honest = [homes[node].examples for node in range(2, 11)]
    return float(np.mean([losses_of(train, weights, first(one, 100)).mean() for one in honest]))


@pytest.mark.parametrize("strategy", ["fedmedian", "krum"])
def test_robust_strategies_bear_a_home_that_sends_ten_times_the_opposite(strategy: str) -> None:
    assert loss_of(strategy, -10.0) < 1.05 * loss_of(strategy, 1.0)


def test_the_mean_does_not_bear_it() -> None:
    assert loss_of("fedavg", -10.0) > 1.05 * loss_of("fedavg", 1.0)


def test_a_silent_home_and_one_that_sends_nan_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def faulty(answer: Answer, messages: Sequence[Message]) -> list[Message | None]:
        replies = Poisoned(float("nan"))(answer, messages)
        return [None if r and r.metadata.src_node_id == 2 else r for r in replies]

    spec = FederationSpec(rounds=1, train=SMALL)
    homes = homes_of(HOMES, UNTIL_UTC, SMALL)
    with_faults = run_rounds(homes, UNTIL_UTC, spec, faulty)
    assert "home0 sent an update that is not finite" in caplog.text
    assert "home1 did not answer" in caplog.text
    honest = run_rounds({node: homes[node] for node in (3, 4)}, UNTIL_UTC, spec)
    assert same_bits(with_faults.weights, honest.weights)
    with pytest.raises(DataError, match="2 homes answered in round 1, at least 3 are needed"):
        run_rounds(homes, UNTIL_UTC, replace(spec, min_homes=3), faulty)


def test_homes_that_cannot_learn_are_named() -> None:
    short = {**HOMES, "new": replace(series(20), who="new")}
    with pytest.raises(DataError, match=r"new: 20\.0 days of known values"):
        federate(short, UNTIL_UTC, FederationSpec(train=SMALL))
    zero = replace(HOMES["home0"], who="empty", values=np.zeros(len(HOMES["home0"])))
    with pytest.raises(DataError, match="empty: all 960 known values are 0 kW"):
        federate({**HOMES, "empty": zero}, UNTIL_UTC, FederationSpec(train=SMALL))
    with pytest.raises(DataError, match="steps of different lengths"):
        federate({**HOMES, "half": series(DAYS, step_h=0.5)}, UNTIL_UTC, FederationSpec())
    with pytest.raises(DataError, match="4 homes, at least 5 are needed"):
        federate(HOMES, UNTIL_UTC, FederationSpec(min_homes=5))
