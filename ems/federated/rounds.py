"""Homes that learn one network together, by Flower's own strategies; and the pool they replace.

A round: every home trains from the global weights on its own examples and sends (arrays, number of
examples, mean loss), nothing else. The strategy makes new global weights of them:

- fedavg: Σ nᵢ·wᵢ / Σ nᵢ (McMahan et al. 2017, arXiv:1602.05629); fedprox: the same, with a proximal
  term in training; fedavgm: with momentum on the server (Hsu et al. 2019, arXiv:1909.06335);
- fedmedian: the median of each weight (Yin et al. 2018, arXiv:1803.01498); krum: the one update
  that lies nearest to the others (Blanchard et al. 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import (
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    Krum,
    Strategy,
)

from ems.errors import DataError, InvalidSpec
from ems.federated.grid import LocalGrid, Runner, one_by_one
from ems.federated.inputs import Examples, Scale
from ems.federated.load import Federation, until_step
from ems.federated.network import TrainSpec, Weights, initial_weights, trained
from ems.forecast.series import Series

StrategyName = Literal["fedavg", "fedprox", "fedavgm", "fedmedian", "krum"]
PROXIMAL_MU = 0.01
SERVER_MOMENTUM = 0.9
MALICIOUS = 1
"""Homes that Krum expects to lie."""


@dataclass(frozen=True, kw_only=True)
class FederationSpec:
    """How homes learn together; ``min_homes``: fewest that must answer in every round."""

    strategy: StrategyName = "fedavg"
    rounds: int = 20
    min_homes: int = 2
    train: TrainSpec = field(default_factory=TrainSpec)

    def __post_init__(self) -> None:
        for name in ("rounds", "min_homes"):
            if getattr(self, name) < 1:
                raise InvalidSpec(
                    f"federation: {name} is {getattr(self, name)}, at least 1 is needed"
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class Home:
    """One home as the federation knows it: it answers messages from its own examples."""

    name: str
    examples: Examples
    train: TrainSpec

    def answer(self, message: Message) -> Message:
        """Train one round from the weights in ``message``."""
        config = message.content["config"]
        weights, loss = trained(
            self.train,
            tuple(message.content["arrays"].to_numpy_ndarrays()),
            self.examples,
            round_no=int(config["server-round"]),
            mu=float(config.get("proximal-mu", 0.0)),
        )
        metrics = MetricRecord({"num-examples": len(self.examples), "loss": loss})
        content = RecordDict({"arrays": ArrayRecord(list(weights)), "metrics": metrics})
        return Message(content, reply_to=message)


def homes_of(
    series_by_home: Mapping[str, Series], until_utc: np.datetime64, train: TrainSpec
) -> dict[int, Home]:
    """The homes by node id, in the order of their names; nothing from ``until_utc`` on is used.

    Raises ``DataError`` that names the home for too little history or steps of another length.
    """
    if not series_by_home:
        raise InvalidSpec("federation: no home is given; give at least one")
    steps = {one.step_h for one in series_by_home.values()}
    if len(steps) > 1:
        told = ", ".join(f"{name} {one.step_h:g} h" for name, one in series_by_home.items())
        raise DataError(f"federation: homes have steps of different lengths ({told}); give one")
    homes = {}
    for node, name in enumerate(sorted(series_by_home), start=1):
        series = series_by_home[name]
        until = until_step(series, until_utc)
        scale = Scale.of(series, until, "a federation")
        homes[node] = Home(name=name, examples=Examples.of(series, scale, until), train=train)
    return homes


def federate(
    series_by_home: Mapping[str, Series],
    until_utc: np.datetime64,
    spec: FederationSpec,
    runner: Runner = one_by_one,
    going_on: Federation | None = None,
) -> Federation:
    """What the homes learned together from everything before ``until_utc``.

    ``going_on``: a federation to continue from, its rounds counted. Where the strategy keeps
    nothing between rounds (all but fedavgm), so many rounds in two parts are the same bits as in
    one. Raises ``DataError`` if fewer than ``min_homes`` answer.
    """
    homes = homes_of(series_by_home, until_utc, spec.train)
    if len(homes) < spec.min_homes:
        raise DataError(
            f"federation: {len(homes)} homes, at least {spec.min_homes} are needed (min_homes)"
        )
    return run_rounds(homes, until_utc, spec, runner, going_on)


def run_rounds(
    homes: Mapping[int, Home],
    until_utc: np.datetime64,
    spec: FederationSpec,
    runner: Runner = one_by_one,
    going_on: Federation | None = None,
) -> Federation:
    """``federate`` among homes that are ready."""
    grid = LocalGrid(
        {node: home.name for node, home in homes.items()},
        lambda message: homes[message.metadata.dst_node_id].answer(message),
        runner,
    )
    strategy = strategy_of(spec, len(homes))
    weights = initial_weights(spec.train) if going_on is None else going_on.weights
    losses = [] if going_on is None else list(going_on.losses)
    for round_no in range(len(losses) + 1, spec.rounds + 1):
        weights, loss = _round(strategy, grid, weights, round_no, spec.min_homes)
        losses.append(loss)
    return Federation(
        label=spec.strategy,
        train=spec.train,
        until_utc=until_utc,
        weights=weights,
        losses=tuple(losses),
        homes=tuple(home.name for home in homes.values()),
    )


def pool(
    series_by_home: Mapping[str, Series], until_utc: np.datetime64, spec: FederationSpec
) -> Federation:
    """The rival that a federation replaces: all readings in one place.

    As many optimiser steps as one home makes in the federation, on batches ``n_homes`` times as
    large: each round sees as many examples as in the federation.
    """
    homes = homes_of(series_by_home, until_utc, spec.train)
    examples = Examples.joined([home.examples for home in homes.values()])
    large = TrainSpec(**{**vars(spec.train), "batch": spec.train.batch * len(homes)})
    weights, losses = initial_weights(large), []
    for round_no in range(1, spec.rounds + 1):
        weights, loss = trained(large, weights, examples, round_no)
        losses.append(loss)
    return Federation(
        label="pooled",
        train=spec.train,
        until_utc=until_utc,
        weights=weights,
        losses=tuple(losses),
        homes=tuple(home.name for home in homes.values()),
    )


def strategy_of(spec: FederationSpec, n_homes: int) -> Strategy:
    """Flower's strategy; all homes train in every round, none evaluates."""
    counts = {
        "fraction_evaluate": 0.0,
        "min_train_nodes": n_homes,
        "min_evaluate_nodes": 0,
        "min_available_nodes": n_homes,
    }
    if spec.strategy == "fedprox":
        return FedProx(**counts, proximal_mu=PROXIMAL_MU)
    if spec.strategy == "fedavgm":
        return FedAvgM(**counts, server_momentum=SERVER_MOMENTUM)
    if spec.strategy == "fedmedian":
        return FedMedian(**counts)
    if spec.strategy == "krum":
        return Krum(**counts, num_malicious_nodes=MALICIOUS)
    return FedAvg(**counts)


def _round(
    strategy: Strategy, grid: LocalGrid, weights: Weights, round_no: int, min_homes: int
) -> tuple[Weights, float]:
    record = ArrayRecord(list(weights))
    messages = strategy.configure_train(round_no, record, ConfigRecord(), grid)
    replies = grid.send_and_receive(messages)
    valid = sum(not reply.has_error() for reply in replies)
    if valid < min_homes:
        raise DataError(
            f"federation: {valid} homes answered in round {round_no}, at least {min_homes} are "
            f"needed (min_homes): {'; '.join(grid.left_out) or 'no home is left'}"
        )
    arrays, metrics = strategy.aggregate_train(round_no, replies)
    if arrays is None or metrics is None:
        raise DataError(
            f"federation: {type(strategy).__name__} made no weights in round {round_no}"
        )
    return tuple(arrays.to_numpy_ndarrays()), float(metrics["loss"])
