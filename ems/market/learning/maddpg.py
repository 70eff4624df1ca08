"""MADDPG: actors that see only their own side, critics that see everybody's while they learn.

Lowe, Wu, Tamar, Harb, Abbeel and Mordatch, Multi-Agent Actor-Critic for Mixed Cooperative-
Competitive Environments (2017), arXiv:1706.02275. As there, but each actor climbs its critic while
the others do what they do now, not what they did when the sample was taken. ``joint`` False gives
every critic only its own side: independent DDPG, to compare with. Stable-baselines3 has no
algorithm for several agents, so this one is ours, and is held to games with known equilibria.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from ems.errors import InvalidSpec
from ems.types import Floats

Tensors = list[Any]


@dataclass(frozen=True, kw_only=True)
class MaddpgSpec:
    """Figures of the algorithm; ``noise`` and ``learning_rate`` fall to a tenth.

    ``memory_steps``: the latest that are learned from, since older ones show others as they
    were. Raises ``InvalidSpec``.
    """

    n_steps: int
    seed: int
    joint: bool = True
    gamma: float = 0.95
    tau: float = 0.02
    noise: float = 0.4
    learning_rate: float = 2e-3
    batch_size: int = 64
    warm_up: int = 200
    train_every: int = 2
    memory_steps: int = 1500
    layers: tuple[int, ...] = (32, 32)

    def __post_init__(self) -> None:
        if not 0 < self.warm_up < self.n_steps or not self.batch_size <= self.warm_up:
            raise InvalidSpec(
                f"MaddpgSpec: batch_size = {self.batch_size}, warm_up = {self.warm_up}, n_steps = "
                f"{self.n_steps}; must be batch_size ≤ warm_up < n_steps"
            )
        if not 0.0 <= self.gamma < 1.0:
            raise InvalidSpec(f"MaddpgSpec: gamma = {self.gamma:g}, must lie in [0, 1)")


def network(sizes: list[int]) -> Any:
    """Relu layers of these sizes; the last is linear."""
    layers: list[Any] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Maddpg:
    """Actors and critics of all agents of a PettingZoo parallel environment with ``Box`` actions.

    Every action has one figure. Mutable: ``learn`` changes it. Raises ``InvalidSpec``.
    """

    def __init__(self, env: Any, spec: MaddpgSpec) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(spec.seed)
        self.env, self.spec, self.names = env, spec, list(env.possible_agents)
        self.draw = np.random.default_rng(spec.seed)
        spaces = [env.action_space(name) for name in self.names]
        if any(getattr(space, "shape", None) != (1,) for space in spaces):
            raise InvalidSpec("Maddpg: every agent must have a Box action of shape (1,)")
        self.low = np.array([float(space.low[0]) for space in spaces])
        self.span = np.array([float(space.high[0]) for space in spaces]) - self.low
        sizes = [env.observation_space(name).shape[0] for name in self.names]
        hidden = list(spec.layers)
        seen = [sum(sizes) + len(sizes)] * len(sizes) if spec.joint else [n + 1 for n in sizes]
        self.actors = [network([n, *hidden, 1]) for n in sizes]
        self.critics = [network([n, *hidden, 1]) for n in seen]
        self.slow_actors = [network([n, *hidden, 1]) for n in sizes]
        self.slow_critics = [network([n, *hidden, 1]) for n in seen]
        self._follow(1.0)
        self.steps = [
            torch.optim.Adam(net.parameters(), lr=spec.learning_rate)
            for net in (*self.actors, *self.critics)
        ]

    def act(self, seen: dict[str, Any]) -> Floats:
        """What each agent does without noise, in −1 … 1, shape ``(n_agents,)``."""
        with torch.no_grad():
            values = [
                torch.tanh(actor(torch.as_tensor(seen[name], dtype=torch.float32)))
                for actor, name in zip(self.actors, self.names, strict=True)
            ]
        return np.array([float(value[0]) for value in values])

    def actions(self, figures: Floats) -> dict[str, Any]:
        """Figures in −1 … 1 as actions of the environment."""
        scaled = self.low + self.span * (figures + 1.0) / 2.0
        return {
            name: np.array([value], dtype=np.float32)
            for name, value in zip(self.names, scaled, strict=True)
        }

    def learn(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Play and learn ``n_steps``."""
        spec, memory = self.spec, _Memory(self.spec.memory_steps)
        seen, _ = self.env.reset(seed=spec.seed)
        for step in range(spec.n_steps):
            if step < spec.warm_up:
                figures = self.draw.uniform(-1.0, 1.0, len(self.names))
            else:
                scale = spec.noise * (1.0 - 0.9 * step / spec.n_steps)
                noise = self.draw.normal(0.0, scale, len(self.names))
                figures = np.clip(self.act(seen) + noise, -1.0, 1.0)
            after, money, ended, over, _ = self.env.step(self.actions(figures))
            memory.keep(
                [seen[name] for name in self.names],
                figures,
                [money[name] for name in self.names],
                [after[name] for name in self.names],
                ended[self.names[0]],
            )
            seen = after
            if ended[self.names[0]] or over[self.names[0]]:
                seen, _ = self.env.reset()
            if step >= spec.warm_up and step % spec.train_every == 0:
                for one in self.steps:
                    one.param_groups[0]["lr"] = spec.learning_rate * (
                        1.0 - 0.9 * step / spec.n_steps
                    )
                self._improve(memory.sample(self.draw, spec.batch_size))
            if progress is not None and (step + 1) % 500 == 0:
                progress(step + 1, spec.n_steps)

    def _views(self, seen: Tensors, done: Tensors, i: int) -> Any:
        """What critic ``i`` is given."""
        return torch.cat([*seen, *done] if self.spec.joint else [seen[i], done[i]], dim=1)

    def _improve(self, batch: tuple[Tensors, Tensors, Tensors, Tensors, Any]) -> None:
        seen, done, money, after, goes_on = batch
        with torch.no_grad():
            next_done = [torch.tanh(a(s)) for a, s in zip(self.slow_actors, after, strict=True)]
            now_done = [torch.tanh(a(s)) for a, s in zip(self.actors, seen, strict=True)]
        for i, (actor, critic) in enumerate(zip(self.actors, self.critics, strict=True)):
            with torch.no_grad():
                later = self.slow_critics[i](self._views(after, next_done, i))
                target = money[i] + self.spec.gamma * goes_on * later
            error = nn.functional.mse_loss(critic(self._views(seen, done, i)), target)
            self._step(len(self.actors) + i, error)
            own = [*now_done]
            own[i] = torch.tanh(actor(seen[i]))
            self._step(i, -critic(self._views(seen, own, i)).mean())
        self._follow(self.spec.tau)

    def _step(self, which: int, loss: Any) -> None:
        self.steps[which].zero_grad()
        loss.backward()
        self.steps[which].step()

    def _follow(self, share: float) -> None:
        """Move the slow networks towards the quick ones."""
        quick, slow = (*self.actors, *self.critics), (*self.slow_actors, *self.slow_critics)
        with torch.no_grad():
            for one, other in zip(quick, slow, strict=True):
                for new, old in zip(one.parameters(), other.parameters(), strict=True):
                    old.lerp_(new, share)


class _Memory:
    """Steps that were played."""

    def __init__(self, n_steps: int) -> None:
        self.rows: deque[tuple[Any, ...]] = deque(maxlen=n_steps)

    def keep(self, *row: Any) -> None:
        """One step: what all saw, did, earned and saw after, and whether the game ended."""
        self.rows.append(row)

    def sample(
        self, draw: np.random.Generator, n: int
    ) -> tuple[Tensors, Tensors, Tensors, Tensors, Any]:
        """``n`` steps with replacement, as tensors of each agent."""
        rows = [self.rows[i] for i in draw.integers(len(self.rows), size=n)]
        seen, done, money, after, ended = zip(*rows, strict=True)

        def each(values: Any) -> Tensors:
            stacked = [np.stack(column) for column in zip(*values, strict=True)]
            tensors = [torch.as_tensor(one, dtype=torch.float32) for one in stacked]
            return [one if one.ndim == 2 else one[:, None] for one in tensors]

        goes_on = torch.as_tensor(1.0 - np.array(ended, dtype=np.float32))[:, None]
        return each(seen), each(done), each(money), each(after), goes_on
