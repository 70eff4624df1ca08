"""Small networks for quantiles of a load, and how they learn; weights come and go as numpy arrays.

Past steps → LSTM or causal convolutions (TCN, Bai et al. 2018, arXiv:1803.01271) → a state; for
each step ahead a head on (state, its features) → nine quantiles, sorted. The loss is the mean
pinball loss over known steps and ``LEVELS``. With a proximal weight μ, μ/2 · |w − w₀|² is added
(FedProx, Li et al. 2020, arXiv:1812.06127). All in float64, on one thread, from one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ems.errors import DataError, InvalidSpec
from ems.federated.inputs import N_AHEAD, N_PAST, Examples, Inputs
from ems.forecast.series import LEVELS
from ems.types import Floats

Weights = tuple[Floats, ...]
"""The arrays of a network, in the order of its parameters."""
HEAD = 32
KERNEL = 3
DILATIONS = (1, 2, 4, 8)
"""Reach of the convolutions: 31 steps."""
BLOCK = 1024
"""Forecasts that are computed at once."""


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """Which network, and how it learns in one round.

    ``batch``: examples a step; ``steps``: steps of the optimiser a round, each on examples drawn
    anew, or on all of them where a batch holds them.
    """

    network: Literal["lstm", "tcn"] = "lstm"
    hidden: int = 28
    steps: int = 60
    batch: int = 32
    learning_rate: float = 2e-3
    optimiser: Literal["adam", "sgd"] = "adam"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "steps", "batch"):
            if getattr(self, name) < 1:
                raise InvalidSpec(
                    f"training: {name} is {getattr(self, name)}, at least 1 is needed"
                )
        if not self.learning_rate > 0.0:
            raise InvalidSpec(
                f"training: learning_rate is {self.learning_rate:g}, it must be above 0"
            )


class LoadNetwork(nn.Module):  # type: ignore[misc]
    """(n, PAST_STEPS, N_PAST) and (n, n_steps, N_AHEAD) → (n, n_levels, n_steps), sorted."""

    def __init__(self, network: str, hidden: int) -> None:
        super().__init__()
        self.past: nn.Module = _Lstm(hidden) if network == "lstm" else _Tcn(hidden)
        self.head = nn.Sequential(
            nn.Linear(hidden + N_AHEAD, HEAD), nn.ReLU(), nn.Linear(HEAD, len(LEVELS))
        )

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """The quantiles of every step ahead."""
        state: Tensor = self.past(past)
        beside = state[:, None, :].expand(-1, ahead.shape[1], -1)
        quantiles: Tensor = self.head(torch.cat([beside, ahead], dim=-1))
        return quantiles.sort(dim=-1).values.movedim(2, 1)


class _Lstm(nn.Module):  # type: ignore[misc]
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_PAST, hidden, batch_first=True)

    def forward(self, past: Tensor) -> Tensor:
        state: Tensor = self.lstm(past)[1][0][0]
        return state


class _Tcn(nn.Module):  # type: ignore[misc]
    """Causal convolutions with a growing reach, each added to what it saw."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(N_PAST, hidden)
        self.layers = nn.ModuleList(
            nn.Conv1d(hidden, hidden, KERNEL, dilation=step) for step in DILATIONS
        )

    def forward(self, past: Tensor) -> Tensor:
        x: Tensor = self.first(past).movedim(2, 1)
        for layer, step in zip(self.layers, DILATIONS, strict=True):
            padded = nn.functional.pad(x, ((KERNEL - 1) * step, 0))
            x = x + torch.relu(layer(padded))
        return x[:, :, -1]


def initial_weights(spec: TrainSpec) -> Weights:
    """The weights that every home starts from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return _weights(LoadNetwork(spec.network, spec.hidden).double())


def trained(
    spec: TrainSpec, start: Weights, examples: Examples, round_no: int, mu: float = 0.0
) -> tuple[Weights, float]:
    """The weights after one round from ``start``, and the mean loss on the way.

    A round starts the optimiser anew, so that nothing but weights outlives it.
    """
    torch.set_num_threads(1)
    network = _with(spec, start)
    before = [p.detach().clone() for p in network.parameters()]
    kind = torch.optim.Adam if spec.optimiser == "adam" else torch.optim.SGD
    optimiser = kind(network.parameters(), lr=spec.learning_rate)
    rng = np.random.default_rng((spec.seed, round_no))
    losses = []
    for _ in range(spec.steps):
        optimiser.zero_grad()
        loss = _loss(network, examples, _drawn(rng, len(examples), spec.batch))
        losses.append(float(loss.detach()))
        (loss + _proximal(network, before, mu) if mu else loss).backward()
        optimiser.step()
    return _weights(network), float(np.mean(losses))


def losses_of(spec: TrainSpec, weights: Weights, examples: Examples) -> Floats:
    """The mean pinball loss of each example, shape ``(n,)``."""
    predicted = predict(spec, weights, examples.inputs)
    error = examples.truth[:, None, :] - predicted
    level = LEVELS[:, None]
    loss = np.maximum(level * error, (level - 1.0) * error).mean(axis=1)
    known = examples.known
    each: Floats = (loss * known).sum(axis=1) / known.sum(axis=1)
    return each


def predict(spec: TrainSpec, weights: Weights, inputs: Inputs) -> Floats:
    """Z-scored quantiles, shape ``(n, n_levels, n_steps)``."""
    torch.set_num_threads(1)
    network = _with(spec, weights)
    starts = range(0, len(inputs.past), BLOCK)
    with torch.no_grad():
        parts = [
            network(
                torch.from_numpy(inputs.past[at : at + BLOCK]),
                torch.from_numpy(inputs.ahead[at : at + BLOCK]),
            ).numpy()
            for at in starts
        ]
    return np.concatenate(parts)


def n_weights(weights: Weights) -> int:
    """How many numbers a home sends in a round."""
    return sum(array.size for array in weights)


def _drawn(rng: np.random.Generator, n: int, batch: int) -> np.ndarray:
    return np.arange(n) if batch >= n else rng.choice(n, batch, replace=False)


def _loss(network: nn.Module, examples: Examples, drawn: np.ndarray) -> Tensor:
    past = torch.from_numpy(examples.inputs.past[drawn])
    ahead = torch.from_numpy(examples.inputs.ahead[drawn])
    error = torch.from_numpy(examples.truth[drawn])[:, None, :] - network(past, ahead)
    level = torch.from_numpy(LEVELS)[:, None]
    pinball = torch.maximum(level * error, (level - 1.0) * error).mean(dim=1)
    known = torch.from_numpy(examples.known[drawn].astype(np.float64))
    return (pinball * known).sum() / known.sum()


def _proximal(network: nn.Module, before: Sequence[Tensor], mu: float) -> Tensor:
    moved = [((p - b) ** 2).sum() for p, b in zip(network.parameters(), before, strict=True)]
    return mu / 2.0 * torch.stack(moved).sum()


def _with(spec: TrainSpec, weights: Weights) -> LoadNetwork:
    network: LoadNetwork = LoadNetwork(spec.network, spec.hidden).double()
    own = list(network.parameters())
    shapes, given = [tuple(p.shape) for p in own], [array.shape for array in weights]
    if shapes != given:
        raise DataError(
            f"weights of shapes {given} do not fit a {spec.network} of {spec.hidden} states, "
            f"which has {shapes}; give the training they came from"
        )
    with torch.no_grad():
        for parameter, array in zip(own, weights, strict=True):
            parameter.copy_(torch.from_numpy(array))
    return network


def _weights(network: nn.Module) -> Weights:
    return tuple(p.detach().numpy().copy() for p in network.parameters())
