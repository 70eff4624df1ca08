"""One node that answers anything at all: the grid agent goes on and counts it as silent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from services.made_nodes import site
from starlette.types import ASGIApp, Receive, Scope, Send

from ems.services.coordinator import Transformer
from ems.services.grid import Grid, Seen
from ems.services.links import MOST_BYTES, Links
from ems.services.node import Node
from ems.services.security import GRID, OPERATOR, Tokens, tokens_of
from ems.services.sites import registration_of
from ems.services.state import begin
from ems.store.journal import Journal

RATING_KW = 12.5
PATIENCE_S = 0.3
Spoiled = Callable[[Any], bytes]


def changed(**fields: Any) -> Spoiled:
    """The reply with other values in some fields."""
    return lambda reply: json.dumps({**reply, **fields}).encode()


SPOILED: dict[str, tuple[str, Spoiled]] = {
    "no JSON": ("/status", lambda _: b"<html>hello</html>"),
    "no text": ("/status", lambda _: b'{"agent_id": "\xff\xfe"}'),
    "a list": ("/status", lambda _: b"[1, 2, 3]"),
    "another name": ("/status", changed(agent_id="home_1")),
    "a number that is none": ("/status", changed(net_load_kw=float("nan"))),
    "nothing expected": ("/status", changed(expected_kw=[])),
    "a step that is none": ("/status", changed(step_h=-1.0)),
    "another century": ("/status", changed(at_utc="9999-12-31T23:59:59Z")),
    "too much": ("/status", lambda _: b" " * (MOST_BYTES + 1)),
    "costs that are none": ("/offers", changed(costs_eur=[float("nan")] * 6)),
    "costs below zero": ("/offers", changed(costs_eur=[-1.0] * 6)),
    "ragged levels": ("/offers", changed(levels_kw=[[1.0], [1.0, 2.0]], costs_eur=[0.0, 1.0])),
    "empty levels": ("/offers", changed(levels_kw=[[]], costs_eur=[0.0])),
    "no levels": ("/offers", changed(levels_kw=[], costs_eur=[])),
    "no floor": ("/offers", changed(floor_kw=[])),
    "no acknowledgement": ("/curtail", lambda _: b'{"status": "OK"}'),
    "an empty plan": ("/curtail", changed(expected_kw=[])),
    "no body": ("/curtail", lambda _: b""),
}


class Hostile:
    """A node whose reply at one path is spoiled."""

    def __init__(self, app: ASGIApp, path: str, spoil: Spoiled) -> None:
        self.app, self.path, self.spoil = app, path, spoil

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        said: list[bytes] = []

        async def kept(message: Any) -> None:
            said.append(message.get("body", b""))

        await self.app(scope, receive, kept)
        body = self.spoil(json.loads(b"".join(said)))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Dripping:
    """A node that sends a byte now and then and never ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(PATIENCE_S / 5)


@contextmanager
def grid_with(folder: Path, spoil: Callable[[ASGIApp], Any]) -> Iterator[tuple[Grid, Tokens]]:
    """Two honest nodes and one, home_2, made of an honest one."""
    names = ("home_1", "home_2", "battery_1")
    tokens = tokens_of(folder / "tokens.json", names)
    with ExitStack() as stack:
        apps: dict[str, Any] = {}
        for name in names:
            journal = stack.enter_context(Journal(folder / f"{name}.duckdb"))
            apps[name] = Node.of(begin(site(name)), tokens, journal).app()
        apps["home_2"] = spoil(apps["home_2"])
        links = Links(
            token=tokens.of_agent[GRID],
            allowed_hosts=("*.invalid",),
            apps=apps,
            timeout_s=PATIENCE_S if isinstance(apps["home_2"], Dripping) else 10.0,
        )
        transformer = Transformer(
            name="transformer_A", import_rating_kw=RATING_KW, export_rating_kw=30.0
        )
        journal = stack.enter_context(Journal(folder / "grid.duckdb"))
        grid = Grid.of([transformer], links, tokens, journal, synthetic=True)
        for name in names:
            url = f"http://{name.replace('_', '-')}.invalid"
            grid.seen[name] = Seen(registration_of(site(name), url))
        yield grid, tokens


def coordinated(grid: Grid, tokens: Tokens) -> tuple[httpx.Response, httpx.Response]:
    """The replies to POST /coordinate and then to GET /status."""

    async def work() -> tuple[httpx.Response, httpx.Response]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=grid.app(), raise_app_exceptions=False),
            base_url="http://grid.invalid",
            headers={"Authorization": f"Bearer {tokens.of_agent[OPERATOR]}"},
            timeout=60,
        ) as ask:
            return await ask.post("/coordinate", json={}), await ask.get("/status")

    return asyncio.run(work())


@pytest.mark.parametrize("kind", SPOILED)
def test_whatever_a_node_answers_the_grid_goes_on(kind: str, tmp_path: Path) -> None:
    path, spoil = SPOILED[kind]
    with grid_with(tmp_path, lambda app: Hostile(app, path, spoil)) as (grid, tokens):
        reply, status = coordinated(grid, tokens)
    assert reply.status_code in (200, 409), reply.text
    assert status.status_code == 200, status.text
    if path == "/status":
        found = {anomaly["kind"] for anomaly in status.json()["anomalies"]}
        assert "agent_silent" in found
    elif reply.status_code == 200:
        decided = {d["agent_id"]: d["status"] for d in reply.json()["decisions"]}
        assert decided.get("home_2") != "ACCEPTED"


def test_a_node_that_never_ends_its_reply_is_not_waited_for(tmp_path: Path) -> None:
    with grid_with(tmp_path, lambda _: Dripping()) as (grid, tokens):
        began = time.monotonic()
        reply, _ = coordinated(grid, tokens)
    assert reply.status_code in (200, 409)
    assert time.monotonic() - began < 30
