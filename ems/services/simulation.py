"""A simulated day of a grid agent and its nodes, step by step, as a person would drive it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ems.errors import EmsError
from ems.services.links import Links
from ems.services.models import Coordination, Status
from ems.services.security import GRID


class NoAnswer(EmsError):
    """An agent did not do what it was asked."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that passed. ``nodes``: as they stood in it; ``problem``: why no limits were found."""

    nodes: Mapping[str, Status]
    coordination: Coordination | None
    problem: str | None

    def flow_kw(self, transformer: str) -> float:
        """What a transformer carried [kW]."""
        nodes = self.nodes.values()
        return sum(node.net_load_kw for node in nodes if node.transformer == transformer)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Where every agent answers, and an operator's links to them."""

    urls: Mapping[str, str]
    links: Links

    @property
    def nodes(self) -> Sequence[str]:
        """All but the grid."""
        return [name for name in self.urls if name != GRID]

    async def ready(self, patience_s: float) -> None:
        """Wait until every agent is ready. Raises ``NoAnswer`` naming one that is not."""
        until = asyncio.get_running_loop().time() + patience_s
        for name, url in self.urls.items():
            while True:
                code, body = await self.links.ask(name, url, "GET", "/health/ready")
                if code == 200:
                    break
                if asyncio.get_running_loop().time() > until:
                    raise NoAnswer(f"{name} is not ready after {patience_s:g} s: {body}")
                await asyncio.sleep(0.1)

    async def tell(self, name: str, method: str, path: str, body: Any = None) -> Any:
        """The reply of an agent. Raises ``NoAnswer`` for another than 200."""
        code, reply = await self.links.ask(name, self.urls[name], method, path, body)
        if code != 200:
            raise NoAnswer(f"{name} answers {path} with {code}: {_detail(reply)}")
        return reply

    async def steps(
        self, n_steps: int, scenarios: Mapping[int, Mapping[str, str]], *, coordinated: bool
    ) -> AsyncIterator[Step]:
        """Coordinate, look, and let a step pass, ``n_steps`` times.

        ``scenarios``: step -> node -> what goes wrong there from then on.
        """
        for number in range(n_steps):
            coordination, problem = await self._coordinate() if coordinated else (None, None)
            seen = await asyncio.gather(*(self.tell(n, "GET", "/status") for n in self.nodes))
            yield Step(
                nodes={s["agent_id"]: Status.model_validate(s) for s in seen},
                coordination=coordination,
                problem=problem,
            )
            wrong = scenarios.get(number, {})
            await asyncio.gather(
                *(
                    self.tell(name, "POST", "/simulate", {"scenario": wrong.get(name, "normal")})
                    for name in self.nodes
                )
            )

    async def _coordinate(self) -> tuple[Coordination | None, str | None]:
        code, reply = await self.links.ask(GRID, self.urls[GRID], "POST", "/coordinate", {})
        if code == 200:
            return Coordination.model_validate(reply), None
        return None, f"{code}: {_detail(reply)}"


def _detail(reply: Any) -> str:
    return str(reply.get("detail", reply)) if isinstance(reply, dict) else str(reply)
