"""Training with stable-baselines3 in pieces that a kill cannot spoil.

Every piece begins from the files of the piece before, with seeds of its own, whether the process
is the same or a new one: a training that was killed and goes on ends in the same policy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.wrappers import TransformReward
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import set_random_seed

from ems.errors import DataError, InvalidSpec
from ems.market.learning.env import SingleBidderEnv
from ems.market.learning.observe import Spaces, kind_of
from ems.market.learning.policy import Output, Policy
from ems.market.learning.series import KEUR_PER_TICK_KWH, AuctionSeries

Algorithm = Literal["dqn", "td3", "sac"]
CLASSES: dict[str, Any] = {"dqn": DQN, "td3": TD3, "sac": SAC}
Progress = Callable[[int, int], None]
"""Called with the steps done and all steps."""
LAYERS = (64, 64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """One bidder that learns while the others are honest.

    ``algorithm``: ``dqn`` for a plant, ``td3`` or ``sac`` for a store or a load. ``piece_steps``:
    auctions between two checkpoints. Raises ``InvalidSpec``.
    """

    series: AuctionSeries
    bidder: str
    algorithm: Algorithm
    seed: int
    n_steps: int
    piece_steps: int
    episode_steps: int
    spaces: Spaces = field(default_factory=Spaces)

    def __post_init__(self) -> None:
        kind = kind_of(self.series, self.bidder)
        if (kind == "plant") != (self.algorithm == "dqn"):
            raise InvalidSpec(
                f"Training: algorithm = {self.algorithm!r} for the {kind} {self.bidder}, must be "
                "dqn for a plant and td3 or sac for any other"
            )
        if not 1 <= self.piece_steps <= self.n_steps:
            raise InvalidSpec(
                f"Training: piece_steps = {self.piece_steps}, must lie in 1 … {self.n_steps}"
            )

    @property
    def told(self) -> dict[str, object]:
        """What a checkpoint must agree with."""
        return {
            "fingerprint": self.series.fingerprint,
            "bidder": self.bidder,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "n_steps": self.n_steps,
            "piece_steps": self.piece_steps,
            "episode_steps": self.episode_steps,
            "spaces": vars(self.spaces),
        }


def train(training: Training, folder: Path, progress: Progress | None = None) -> Policy:
    """Train, or go on from the checkpoint in ``folder``; the policy.

    Raises ``DataError`` for a checkpoint of another training or one that cannot be read.
    """
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    done = _done(training, folder)
    if done == 0:
        _save(training, folder, _new_model(training), 0)
    model = None
    while done < training.n_steps:
        model = _piece(training, folder, done)
        done = min(done + training.piece_steps, training.n_steps)
        _save(training, folder, model, done)
        if progress is not None:
            progress(done, training.n_steps)
    return policy_of(training, model or _loaded(training, folder, done))


def untrained(training: Training) -> Policy:
    """The policy of the network as it is before it learns."""
    return policy_of(training, _new_model(training))


def _environment(training: Training) -> Any:
    env = SingleBidderEnv(
        training.series,
        training.bidder,
        spaces=training.spaces,
        episode_steps=training.episode_steps,
    )
    unit = _unit_keur(training.series, training.bidder)
    return TransformReward(env, lambda money: money / unit)


def _unit_keur(series: AuctionSeries, name: str) -> float:
    """Full power for a step at half the price scale [k€]: learners count money in it."""
    kind, place = kind_of(series, name), series.names.index(name)
    if kind == "plant":
        most_kw = float(series.available_kw[:, place].max())
    elif kind == "store":
        most_kw = series.stores[place - len(series.plants)].max_charge_kw
    else:
        most_kw = float(series.loads[place - len(series.plants) - len(series.stores)].most_kw)
    return max(most_kw, 1.0) * series.price_scale / 2.0 * series.step_h * KEUR_PER_TICK_KWH


def _new_model(training: Training) -> Any:
    """The algorithm with its figures; they are the same for every bidder of a kind."""
    env = _environment(training)
    common = {
        "env": env,
        "seed": training.seed,
        "device": "cpu",
        "buffer_size": training.n_steps,
        "learning_starts": min(500, training.n_steps // 4),
        "learning_rate": 1e-3,
        "policy_kwargs": {"net_arch": list(LAYERS)},
    }
    if training.algorithm == "dqn":
        # Rivals are honest, so that no auction depends on what was offered before: γ = 0.
        return DQN(
            "MlpPolicy",
            gamma=0.0,
            batch_size=128,
            train_freq=4,
            gradient_steps=2,
            exploration_fraction=0.6,
            exploration_final_eps=0.02,
            **common,
        )
    if training.algorithm == "sac":
        return SAC("MlpPolicy", gamma=0.99, batch_size=128, train_freq=2, **common)
    noise = NormalActionNoise(np.zeros(1), np.full(1, 0.3))
    return TD3("MlpPolicy", gamma=0.99, batch_size=128, train_freq=2, action_noise=noise, **common)


class _OfAll(BaseCallback):  # type: ignore[misc]
    """Let schedules run over the whole training, not over each piece."""

    def __init__(self, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps

    def _on_training_start(self) -> None:
        self.model._total_timesteps = self.n_steps

    def _on_step(self) -> bool:
        return True


def _piece(training: Training, folder: Path, done: int) -> Any:
    """The model after one more piece."""
    model = _loaded(training, folder, done)
    # Of its own for every piece: seeds of neighbouring trainings must not meet.
    seed = int(np.random.SeedSequence([training.seed, done]).generate_state(1)[0] % 2**31)
    set_random_seed(seed)
    model.action_space.seed(seed)
    model.env.seed(seed)
    n_steps = min(training.piece_steps, training.n_steps - done)
    callback = _OfAll(training.n_steps)
    return model.learn(n_steps, callback=callback, reset_num_timesteps=False)


# --- checkpoints ----------------------------------------------------------------------------


def _names(folder: Path, done: int) -> tuple[Path, Path]:
    return folder / f"model_{done}.zip", folder / f"replay_{done}.pkl"


def _save(training: Training, folder: Path, model: Any, done: int) -> None:
    """Files of the new piece first, then the state that names them, then the old ones go."""
    model_file, replay_file = _names(folder, done)
    model.save(model_file)
    model.save_replay_buffer(replay_file)
    state = folder / "state.json"
    part = folder / "state.json.part"
    part.write_text(json.dumps({"done": done, "training": training.told}), encoding="utf-8")
    part.replace(state)
    for file in (*folder.glob("model_*.zip"), *folder.glob("replay_*.pkl")):
        if file not in (model_file, replay_file):
            file.unlink()


def _done(training: Training, folder: Path) -> int:
    """Steps that a checkpoint holds; 0 without one."""
    state = folder / "state.json"
    if not state.exists():
        return 0
    try:
        held = json.loads(state.read_text(encoding="utf-8"))
        done, of = int(held["done"]), held["training"]
    except (ValueError, KeyError, TypeError) as reason:
        raise DataError(f"training {state}: cannot be read; delete {folder}") from reason
    if of != json.loads(json.dumps(training.told)):
        other = next(key for key, value in training.told.items() if of.get(key) != value)
        raise DataError(
            f"training {folder}: is of another training ({other} = {of.get(other)!r}, now "
            f"{training.told[other]!r}); give another folder or delete it"
        )
    return done


def _loaded(training: Training, folder: Path, done: int) -> Any:
    model_file, replay_file = _names(folder, done)
    if not (model_file.exists() and replay_file.exists()):
        raise DataError(
            f"training {folder}: {model_file.name} or its replay is missing; delete the folder"
        )
    model = CLASSES[training.algorithm].load(
        model_file, env=_environment(training), device="cpu", force_reset=True
    )
    model.load_replay_buffer(replay_file)
    return model


# --- the policy as numbers ------------------------------------------------------------------


def policy_of(training: Training, model: Any) -> Policy:
    """What a model of stable-baselines3 would do, without its noise."""
    if training.algorithm == "dqn":
        layers = list(model.q_net.q_net)
    elif training.algorithm == "td3":
        layers = list(model.actor.mu)
    else:
        layers = [*model.actor.latent_pi, model.actor.mu]
    output: Output = (
        "symmetric" if kind_of(training.series, training.bidder) == "store" else "share"
    )
    return numbers_of(
        training.series, training.bidder, training.algorithm, training.spaces, layers, output
    )


def numbers_of(
    series: AuctionSeries,
    bidder: str,
    algorithm: str,
    spaces: Spaces,
    layers: list[Any],
    output: Output,
) -> Policy:
    """A policy from the layers of a torch network."""
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    plant = kind_of(series, bidder) == "plant"
    return Policy(
        bidder=bidder,
        algorithm=algorithm,
        output="prices" if plant else output,
        weights=tuple(layer.weight.detach().numpy().T.copy() for layer in linear),
        biases=tuple(layer.bias.detach().numpy().copy() for layer in linear),
        prices=spaces.prices(series).astype(np.float64) if plant else np.zeros(0),
        fingerprint=series.fingerprint,
        spaces=spaces,
    )
