"""Serve an agent: a socket of its own, registration with the grid, and TLS where asked for."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from ems.errors import InvalidSpec
from ems.services.links import Links
from ems.services.models import Registration
from ems.services.security import GRID

RETRY_S = 0.5
REGISTER_AGAIN_S = 10.0
"""A grid that lost its journal knows a node again after this long [s]."""


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Certificate and key of the server; ``ca``: clients must show a certificate of it."""

    certificate: Path
    key: Path
    ca: Path | None = None


def listening(host: str, port: int, tls: Tls | None) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises ``InvalidSpec`` for a port that is taken and for an address that others can reach
    without TLS.
    """
    if tls is None and not _is_loopback(host):
        raise InvalidSpec(
            f"host is {host}, which others can reach: give --certificate and --key, or 127.0.0.1"
        )
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise InvalidSpec(
            f"port {port} of {host} cannot be used ({error.strerror}); give another --port"
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(
    app: FastAPI, sock: socket.socket, tls: Tls | None, beside: Callable[[], asyncio.Task[None]]
) -> None:
    """Serve until interrupted; ``beside`` starts what runs meanwhile."""
    # httpx names every address it asks at INFO.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        server_header=False,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ca_certs=None if tls is None or tls.ca is None else str(tls.ca),
        ssl_cert_reqs=0 if tls is None or tls.ca is None else 2,
    )
    task = beside()
    try:
        await uvicorn.Server(config).serve(sockets=[sock])
    finally:
        task.cancel()


@dataclass
class Registrar:
    """Keeps a node registered with the grid; ``registered`` once it was taken."""

    agent_id: str
    grid_url: str | None
    registration: Registration
    links: Links
    registered: bool = False

    async def run(self) -> None:
        """Register, and again from time to time, for ever."""
        while self.grid_url is not None:
            code, _ = await self.links.ask(
                GRID,
                self.grid_url,
                "PUT",
                f"/agents/{self.agent_id}",
                self.registration.model_dump(mode="json"),
            )
            self.registered = self.registered or code == 200
            await asyncio.sleep(REGISTER_AGAIN_S if code == 200 else RETRY_S)

    def waits_for(self) -> list[str]:
        """What is missing before the node is ready."""
        if self.grid_url is None or self.registered:
            return []
        return [f"not registered with the grid at {self.grid_url} yet"]
