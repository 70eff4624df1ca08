"""The market as environments of PettingZoo (all learn) and Gymnasium (one learns).

An episode is ``episode_steps`` auctions from a day that is drawn; its end is truncation, since the
market goes on. Spaces are the same objects at every call. Reward: own money [k€].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import Env
from gymnasium.spaces import Box, Discrete, Space
from pettingzoo import ParallelEnv

from ems.errors import InvalidSpec
from ems.market.learning.observe import MOST, Spaces, kind_of, observe
from ems.market.learning.policy import Policy
from ems.market.learning.series import AuctionSeries, Runs
from ems.types import Floats

EPISODE_STEPS = 288
"""A day of five minutes."""


def observation_space(series: AuctionSeries, spaces: Spaces, name: str) -> Box:
    """What a bidder may see."""
    return Box(-MOST, MOST, (spaces.size(series, name),), np.float32)


def action_space(series: AuctionSeries, spaces: Spaces, name: str) -> Space[Any]:
    """A plant chooses one of its prices, a store −1 … 1 of its power, a load 0 … 1."""
    kind = kind_of(series, name)
    if kind == "plant":
        return Discrete(spaces.n_actions)
    return Box(-1.0 if kind == "store" else 0.0, 1.0, (1,), np.float32)


def bid_of(series: AuctionSeries, spaces: Spaces, name: str, action: Any) -> Floats:
    """An action of one run as the market takes it, shape ``(1,)``."""
    if kind_of(series, name) == "plant":
        return spaces.prices(series)[[int(action)]].astype(np.float64)
    return np.asarray(action, dtype=np.float64).reshape(1)


class MarketEnv(ParallelEnv):  # type: ignore[misc]
    """Bidders that learn side by side; the others follow ``policies`` or are honest.

    ``learners``: names [default: all]. Raises ``InvalidSpec`` for a name that is not there.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "ems_market_v0", "render_modes": []}

    def __init__(
        self,
        series: AuctionSeries,
        *,
        learners: Sequence[str] | None = None,
        spaces: Spaces | None = None,
        policies: Mapping[str, Policy] | None = None,
        episode_steps: int = EPISODE_STEPS,
        seed: int = 0,
    ) -> None:
        if not 1 <= episode_steps <= series.n_steps:
            raise InvalidSpec(
                f"MarketEnv: episode_steps = {episode_steps}, must lie in 1 … {series.n_steps}, "
                f"the steps of {series.name}"
            )
        self.series, self.spaces = series, spaces or Spaces()
        self.policies = dict(policies or {})
        self.episode_steps = episode_steps
        self.possible_agents = list(learners if learners is not None else series.names)
        self.observation_spaces = {
            name: observation_space(series, self.spaces, name) for name in self.possible_agents
        }
        self.action_spaces = {
            name: action_space(series, self.spaces, name) for name in self.possible_agents
        }
        self.agents: list[str] = []
        self.render_mode = None
        self._draw = np.random.default_rng(seed)
        self._runs: Runs | None = None
        self._left = 0

    def observation_space(self, agent: str) -> Box:
        """The same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """The same object at every call."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin an episode at a day that is drawn; ``seed`` begins the draws anew."""
        if seed is not None:
            self._draw = np.random.default_rng(seed)
        n_starts = (self.series.n_steps - self.episode_steps) // self.episode_steps + 1
        first = self.episode_steps * int(self._draw.integers(n_starts))
        self._runs, self._left = Runs(self.series, np.array([first])), self.episode_steps
        self.agents = list(self.possible_agents)
        return self._seen(), {name: {} for name in self.agents}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Any],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One auction."""
        if self._runs is None or not self.agents:
            raise InvalidSpec("MarketEnv: no episode runs; call reset first")
        bids = {
            name: bid_of(self.series, self.spaces, name, action) for name, action in actions.items()
        }
        bids |= {
            name: policy.act(observe(self._runs, policy.spaces, name))
            for name, policy in self.policies.items()
            if name not in bids
        }
        money = self._runs.advance(bids)
        self._left -= 1
        over, names = self._left == 0, self.agents
        price = float(self._runs.new_prices[-1][0]) / 100.0
        seen = self._seen()
        if over:
            self.agents = []
        return (
            seen,
            {name: float(money[name][0]) for name in names},
            dict.fromkeys(names, False),
            dict.fromkeys(names, over),
            {name: {"price_eur_per_mwh": price} for name in names},
        )

    def _seen(self) -> dict[str, Any]:
        assert self._runs is not None
        return {name: observe(self._runs, self.spaces, name)[0] for name in self.agents}


class SingleBidderEnv(Env):  # type: ignore[misc]
    """One bidder learns, the others follow ``policies`` or are honest."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, series: AuctionSeries, bidder: str, **options: Any) -> None:
        self.market = MarketEnv(series, learners=[bidder], **options)
        self.bidder = bidder
        self.observation_space = self.market.observation_space(bidder)
        self.action_space = self.market.action_space(bidder)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        seen, info = self.market.reset(seed)
        return seen[self.bidder], info[self.bidder]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One auction."""
        who = self.bidder
        seen, money, ended, over, info = self.market.step({who: action})
        return seen[who], money[who], ended[who], over[who], info[who]
