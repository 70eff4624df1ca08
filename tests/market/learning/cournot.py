"""Cournot's game as an environment: one round an episode, quantities up to all that sells."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from pettingzoo import ParallelEnv

from ems.market.learning.games import Cournot


class CournotEnv(ParallelEnv):  # type: ignore[misc]
    metadata = {"name": "cournot"}  # noqa: RUF012

    def __init__(self, game: Cournot) -> None:
        self.game = game
        self.possible_agents = [f"seller_{i}" for i in range(game.n_sellers)]
        self.agents: list[str] = []
        self.most = 1.5 * game.nash_quantity  # so that ends are no equilibrium
        self.seen = Box(0.0, 1.0, (1,), np.float32)
        self.act = Box(0.0, self.most, (1,), np.float32)

    def observation_space(self, agent: str) -> Box:
        return self.seen

    def action_space(self, agent: str) -> Box:
        return self.act

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = self.possible_agents
        return {name: np.ones(1, dtype=np.float32) for name in self.agents}, {}

    def step(self, actions: Any) -> Any:
        quantities = np.array([actions[name][0] for name in self.possible_agents], dtype=np.float64)
        earned = self.game.profits(quantities) / self.game.nash_profit
        names = self.possible_agents
        return (
            {name: np.ones(1, dtype=np.float32) for name in names},
            dict(zip(names, earned, strict=True)),
            dict.fromkeys(names, True),
            dict.fromkeys(names, False),
            {},
        )
