"""What every service has: tokens, limits, health, metrics, logs, and actions that happen once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from fastapi import Depends, FastAPI, Request, Response
from fastapi.security import HTTPBearer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ems.services.models import About, Health
from ems.services.problems import RESPONSES, Refused, problem, with_problems
from ems.services.security import Caller, Rate, Tokens
from ems.store.journal import Event, Journal

MOST_BYTES = 1 << 20
MOST_IN_FLIGHT = 64
MOST_KEYS = 10_000
OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json"})
"""What answers without a token: nothing of it says anything about a home."""
Act = Callable[[], tuple[Mapping[str, Any], Callable[[], None]]]
"""The reply to an action, and a call that makes it count."""


@dataclass
class Metrics:
    """Counters for Prometheus, a registry an app."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        told = ["method", "status"]
        self.requests = Counter("ems_requests", "Requests", told, registry=self.registry)
        self.seconds = Histogram("ems_request_seconds", "Time of requests", registry=self.registry)
        self.in_flight = Gauge("ems_in_flight", "Requests now", registry=self.registry)


@dataclass
class Shell:
    """The parts of a service that do not depend on its role."""

    about: About
    tokens: Tokens
    journal: Journal
    rate: Rate = field(default_factory=lambda: Rate(per_second=1000.0))
    log_file: Path | None = None
    waits_for: Callable[[], list[str]] = list
    metrics: Metrics = field(default_factory=Metrics)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _log: TextIO | None = None
    _known: OrderedDict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=OrderedDict)

    def app(self) -> FastAPI:
        """The application with what every role answers."""
        app = FastAPI(
            title=f"ems {self.about.role} {self.about.agent_id}",
            description="Energy management on a simulated clock: no live controller.",
            responses=RESPONSES,
        )
        with_problems(app)
        app.add_middleware(Gate, shell=self)

        async def ready() -> Health:
            reasons = self.waits_for()
            if reasons:
                raise Refused(503, "; ".join(reasons), headers={"Retry-After": "1"})
            return Health(healthy=self.journal.readable(), reasons=[])

        app.get("/health/ready")(ready)

        @app.get("/health/live")
        async def live() -> Health:
            return Health(healthy=True, reasons=[])

        # What is added from here on is described as needing a token.
        app.router.dependencies.append(Depends(HTTPBearer(auto_error=False)))
        app.get("/health")(ready)

        @app.get("/")
        async def about() -> About:
            return self.about

        @app.get("/metrics", response_class=Response)
        async def metrics() -> Response:
            return Response(generate_latest(self.metrics.registry), media_type="text/plain")

        return app

    async def once(
        self, request: Request, kind: str, body: BaseModel, act: Act, key: str | None = None
    ) -> Mapping[str, Any]:
        """What ``act`` answers, done once for each key and kept before it is answered.

        ``key``: of the action itself, else the header ``Idempotency-Key``. The same key with
        another body is refused (422); a repeated one gets the first reply.
        """
        asked = body.model_dump(mode="json")
        name = key or request.headers.get("idempotency-key")
        async with self.lock:
            done = self.recall(kind, name, body)
            if done is not None:
                return done
            reply, count = await asyncio.to_thread(act)
            self.journal.append(Event(kind=kind, key=name or "", request=asked, reply=reply))
            count()  # only now: what is not written down has not happened
            self.remember(kind, name, asked, reply)
            return reply

    def recall(self, kind: str, key: str | None, body: BaseModel) -> Mapping[str, Any] | None:
        """The reply that a key got, None for a new one. Raises ``Refused`` for another body."""
        found = self._known.get(f"{kind} {key}") if key else None
        if found is None:
            return None
        if found[0] != _digest(body.model_dump(mode="json")):
            raise Refused(422, f"key {key!r} came with another body; use a new key")
        return found[1]

    def remember(
        self, kind: str, key: str | None, asked: Mapping[str, Any], reply: Mapping[str, Any]
    ) -> None:
        """Keep a reply for its key; the oldest are forgotten."""
        if key:
            self._known[f"{kind} {key}"] = (_digest(asked), reply)
            while len(self._known) > MOST_KEYS:
                self._known.popitem(last=False)

    def log(self, line: Mapping[str, Any]) -> None:
        """A line of JSON; never a token or a body."""
        if self.log_file is not None:
            if self._log is None:
                # Open as long as the process lives, a line at a time on disk.
                self._log = self.log_file.open("a", encoding="utf-8", buffering=1)
            self._log.write(json.dumps(line) + "\n")


def caller_of(request: Request) -> Caller:
    """Who asks; the gate has checked the token."""
    found: Caller = request.state.caller
    return found


def operating(request: Request, *allowed: str) -> Caller:
    """Who asks, if it may change something here. Raises ``Refused`` (403)."""
    caller = caller_of(request)
    if not caller.may_operate or caller.agent_id not in allowed:
        raise Refused(403, f"the token of {caller.agent_id} may not do this")
    return caller


def _digest(asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Gate:
    """Before every request: token, rate, room and size; after it: clock, metrics and log."""

    def __init__(self, app: ASGIApp, shell: Shell) -> None:
        self.app, self.shell, self.in_flight = app, shell, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        request_id = uuid.uuid4().hex

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-clock", b"simulated"),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        self.in_flight += 1
        self.shell.metrics.in_flight.set(self.in_flight)
        try:
            limited = _limited(receive, scope)
            try:
                self._admit(scope)
            except Refused as error:
                reply = problem(scope["path"], error.status, str(error), headers=error.headers)
                await reply(scope, receive, answer)
            else:
                await self.app(scope, limited, answer)
        finally:
            self.in_flight -= 1
            self._note(scope, status, time.perf_counter() - started, request_id)

    def _admit(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if scope["path"] not in OPEN_PATHS:
            shown = headers.get(b"authorization", b"").decode("latin-1")
            caller = self.shell.tokens.caller(shown)
            self.shell.rate.take(caller.agent_id)
            scope.setdefault("state", {})["caller"] = caller
        if self.in_flight > MOST_IN_FLIGHT:
            raise Refused(503, "too many requests at once", headers={"Retry-After": "1"})
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MOST_BYTES:
            raise Refused(413, f"a body may have {MOST_BYTES} bytes")

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        method = scope["method"] if scope["method"] in ("GET", "POST", "PUT", "DELETE") else "other"
        self.shell.metrics.requests.labels(method, str(status)).inc()
        self.shell.metrics.seconds.observe(seconds)
        self.shell.metrics.in_flight.set(self.in_flight)
        self.shell.log(
            {
                "at": time.time(),
                "agent": self.shell.about.agent_id,
                "request": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(1000 * seconds, 2),
            }
        )


def _limited(receive: Receive, scope: Scope) -> Receive:
    """``receive`` that refuses a body that grows beyond what is allowed."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MOST_BYTES:
            raise Refused(413, f"a body may have {MOST_BYTES} bytes")
        return message

    return limited
