"""Who may do what: bearer tokens, kept in one file of mode 600, and limits on requests."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ems.errors import DataError
from ems.services.problems import Refused

GRID, OPERATOR, READER = "grid", "operator", "reader"
"""The grid agent, the person who runs the simulation, and one who only looks."""
MOST_CALLERS = 1000


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whose token it is; a reader may only read."""

    agent_id: str

    @property
    def may_operate(self) -> bool:
        """Whether it may change anything."""
        return self.agent_id != READER


class Tokens:
    """Tokens by who holds them; only their hashes are compared."""

    def __init__(self, of_agent: Mapping[str, str]) -> None:
        self.of_agent = dict(of_agent)
        self._callers = {_hash(token): Caller(agent_id=name) for name, token in of_agent.items()}

    def caller(self, header: str | None) -> Caller:
        """Whose token a request shows. Raises ``Refused`` (401) for none or an unknown one."""
        scheme, _, token = (header or "").partition(" ")
        found = self._callers.get(_hash(token)) if scheme.lower() == "bearer" else None
        if found is None:
            raise Refused(
                401,
                "show a token: Authorization: Bearer TOKEN, from the file of --tokens",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def tokens_of(path: Path, names: Iterable[str]) -> Tokens:
    """The tokens in a file; missing ones are made, and the file is readable by its owner alone.

    Raises ``DataError`` for a file that others can read, or that holds no tokens.
    """
    known: dict[str, str] = {}
    if path.exists():
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise DataError(f"{path}: others can read the tokens; chmod 600 it")
        known = _read(path)
    missing = [name for name in (GRID, OPERATOR, READER, *names) if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(24) for name in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=1)
        fresh.replace(path)
    return Tokens(known)


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a file of tokens; move it away, a new one is made") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise DataError(f"{path}: not a file of tokens; move it away, a new one is made")
    return found


@dataclass
class Rate:
    """At most so many requests a second for each caller, with a burst of as many."""

    per_second: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, caller: str) -> None:
        """Count a request. Raises ``Refused`` (429) with when to come again."""
        now = time.monotonic()
        left, then = self._left.pop(caller, (self.per_second, now))
        left = min(self.per_second, left + (now - then) * self.per_second)
        self._left[caller] = (max(left - 1.0, 0.0), now)
        while len(self._left) > MOST_CALLERS:
            self._left.popitem(last=False)
        if left < 1.0:
            raise Refused(
                429, "more requests than allowed; come again later", headers={"Retry-After": "1"}
            )
