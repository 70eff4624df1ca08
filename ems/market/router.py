"""Carries messages on simulated time, with stated delay, loss and doubling.

Deterministic: what is lost or comes twice is drawn with a seed, and messages that arrive at the
same instant come in the order in which they were sent.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from ems.errors import InvalidSpec
from ems.market.messages import Message


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How messages travel: ``delay_s`` each, a share lost, a share delivered twice.

    Raises ``InvalidSpec``.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    doubled: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.delay_s < np.inf:
            raise InvalidSpec(f"Channel: delay_s = {self.delay_s:g}, must be at least 0")
        for name in ("loss", "doubled"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidSpec(f"Channel: {name} = {getattr(self, name):g}, must lie in [0, 1]")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sent:
    """A message with when it was sent and when it came, None if it was lost [s]."""

    message: Message
    sent_s: float
    came_s: float | None
    doubled: bool = False


@dataclass(eq=False)
class MessageRouter:
    """The queue of all messages that are under way; ``log`` holds every one that was sent."""

    channel: Channel = field(default_factory=Channel)
    keep: bool = True
    log: list[Sent] = field(default_factory=list)
    _queue: list[tuple[float, int, Message]] = field(default_factory=list)
    _n_sent: int = 0

    def __post_init__(self) -> None:
        self._draw = np.random.default_rng(self.channel.seed)
        self._faulty = bool(self.channel.loss or self.channel.doubled)

    def send(self, message: Message, at_s: float) -> None:
        """Take a message at ``at_s``."""
        lost, doubled = self._fate() if self._faulty else (False, False)
        came_s = None if lost else at_s + self.channel.delay_s
        if self.keep:
            self.log.append(Sent(message=message, sent_s=at_s, came_s=came_s, doubled=doubled))
        if came_s is None:
            return
        for _ in range(1 + doubled):
            heapq.heappush(self._queue, (came_s, self._n_sent, message))
            self._n_sent += 1

    def arrived(self, at_s: float) -> list[Message]:
        """What has come by ``at_s`` and was not handed out before."""
        found = []
        while self._queue and self._queue[0][0] <= at_s:
            found.append(heapq.heappop(self._queue)[2])
        return found

    def _fate(self) -> tuple[bool, bool]:
        """Whether the next message is lost, and whether it comes twice."""
        first, second = self._draw.random(2)
        return bool(first < self.channel.loss), bool(second < self.channel.doubled)
