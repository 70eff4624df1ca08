"""Flower's strategies in this process: every message is answered here, without Ray or a server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from ems.errors import InvalidSpec

Answer = Callable[[Message], Message | None]
"""What a home does with a message; None: it is silent."""
Runner = Callable[[Answer, Sequence[Message]], Sequence[Message | None]]
"""Calls the answer of every message, in any order, here or on workers."""

SERVER = 0
"""Node id of this process; homes count from 1."""

log = logging.getLogger(__name__)


def one_by_one(answer: Answer, messages: Sequence[Message]) -> list[Message | None]:
    """The runner without workers."""
    return [answer(message) for message in messages]


class LocalGrid(Grid):  # type: ignore[misc]
    """Homes by node id. Replies come sorted by node: sums then have the same bits every time.

    A silent home is left out of its round; an update that is not finite counts as an error, which
    Flower's strategies leave out. Both are logged with the name of the home.
    """

    def __init__(self, homes: Mapping[int, str], answer: Answer, runner: Runner) -> None:
        self._homes, self._answer, self._runner = homes, answer, runner
        self.left_out: list[str] = []
        # Flower puts who runs in this process into every message it makes.
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 0, 0, SERVER

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """The replies of all homes that answered, by node."""
        replies = [r for r in self._runner(self._answer, list(messages)) if r is not None]
        replies.sort(key=lambda reply: reply.metadata.src_node_id)
        came = {reply.metadata.src_node_id for reply in replies}
        for node in sorted(self._homes.keys() - came):
            self._leave_out(node, "did not answer")
        return [self._checked(reply) for reply in replies]

    def get_node_ids(self) -> list[int]:
        """Every home, silent or not."""
        return sorted(self._homes)

    def _checked(self, reply: Message) -> Message:
        arrays = reply.content["arrays"].to_numpy_ndarrays()
        if all(np.isfinite(array).all() for array in arrays):
            return reply
        self._leave_out(reply.metadata.src_node_id, "sent an update that is not finite")
        return Message(Error(code=0, reason="update is not finite"), reply_to=reply)

    def _leave_out(self, node: int, why: str) -> None:
        self.left_out.append(f"{self._homes[node]} {why}")
        log.warning("%s; the round goes on without it", self.left_out[-1])

    # The rest of Flower's interface, which no strategy calls.

    @property
    def run(self) -> Run:
        """There is no run on a server."""
        raise InvalidSpec("local grid: there is no run of a server here; use flwr run for one")

    def set_run(self, run: Run) -> None:
        """As ``run``."""
        raise InvalidSpec("local grid: there is no run of a server here; use flwr run for one")

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to one home."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Messages are answered at once: see ``send_and_receive``."""
        raise InvalidSpec("local grid: messages are answered at once; call send_and_receive")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As ``push_messages``."""
        raise InvalidSpec("local grid: messages are answered at once; call send_and_receive")
