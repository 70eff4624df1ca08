"""How the grid reaches its nodes: over HTTP, or in the same process by ASGI."""

from __future__ import annotations

import asyncio
import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI

from ems.errors import InvalidSpec

TIMEOUT_S = 10.0
MOST_BYTES = 1 << 20
"""Of a reply; what is longer is no reply."""


@dataclass
class Links:
    """A client for each node, made when it is first asked.

    ``allowed_hosts``: patterns of host names that a node may register; nothing else is called, and
    no redirect is followed. ``apps``: nodes in this process, by name.
    """

    token: str = field(repr=False)
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    apps: Mapping[str, FastAPI] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def require(self, url: str) -> None:
        """Raise ``InvalidSpec`` unless the address may be called."""
        try:
            parts = urlsplit(url)
            host, good = parts.hostname or "", parts.scheme in ("http", "https")
            good = good and parts.username is None and parts.path in ("", "/")
            good = good and not parts.query and (parts.port is None or parts.port > 0)
        except ValueError:  # no port, or no address at all
            host, good = "", False
        if not good or not any(fnmatch.fnmatch(host, known) for known in self.allowed_hosts):
            raise InvalidSpec(
                f"url is {url!r}, allowed is http(s)://HOST:PORT with HOST among "
                f"{', '.join(self.allowed_hosts)}; start the grid with --allow_host for others"
            )

    async def ask(
        self, agent_id: str, url: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, Any]:
        """Status and body of a node's reply; (0, reason) if there is none that can be used.

        The whole reply must be there within ``timeout_s``, not only its next byte.
        """
        client = self._client(agent_id, url)
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                client.stream(method, path, json=body) as reply,
            ):
                content = bytearray()
                async for part in reply.aiter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        return 0, f"it answers more than {MOST_BYTES} bytes"
            return reply.status_code, json.loads(bytes(content))
        except (httpx.HTTPError, TimeoutError) as error:
            return 0, f"{type(error).__name__}"
        except ValueError:  # no JSON, or no text at all
            return 0, "it answers something else than JSON"

    def _client(self, agent_id: str, url: str) -> httpx.AsyncClient:
        key = f"{agent_id} {url}"
        if key not in self._clients:
            app = self.apps.get(agent_id)
            self._clients[key] = httpx.AsyncClient(
                base_url=url,
                transport=None if app is None else httpx.ASGITransport(app=app),
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=self.timeout_s,
                follow_redirects=False,
                trust_env=False,
            )
        return self._clients[key]

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
