"""Who may do what: bearer tokens, kept in one file of mode 600, and limits on requests."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ems.errors import DataError
from ems.services.problems import Refused

GRID, OPERATOR, READER = "grid", "operator", "reader"
"""The grid agent, the person who runs the simulation, and one who only looks."""
MOST_CALLERS = 1000
PATIENCE_S = 5.0
"""How long one agent waits for another that writes the tokens [s]."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whose token it is; a reader may only read."""

    agent_id: str

    @property
    def may_operate(self) -> bool:
        """Whether it may change anything."""
        return self.agent_id != READER


class Tokens:
    """Tokens by who holds them; only their hashes are compared.

    ``path``: the file they are in; it is read again when a token is not known, since agents that
    start later add theirs.
    """

    def __init__(self, of_agent: Mapping[str, str], path: Path | None = None) -> None:
        self.path, self._read_at_ns = path, 0
        self._take(of_agent)

    def _take(self, of_agent: Mapping[str, str]) -> None:
        self.of_agent = dict(of_agent)
        self._callers = {_hash(token): Caller(agent_id=name) for name, token in of_agent.items()}

    def caller(self, header: str | None) -> Caller:
        """Whose token a request shows. Raises ``Refused`` (401) for none or an unknown one."""
        scheme, _, token = (header or "").partition(" ")
        known = scheme.lower() == "bearer"
        found = self._callers.get(_hash(token)) if known else None
        if found is None and known and self._is_newer():
            found = self._callers.get(_hash(token))
        if found is None:
            raise Refused(
                401,
                "show a token: Authorization: Bearer TOKEN, from the file of --tokens",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found

    def _is_newer(self) -> bool:
        """Whether the file has changed since it was last looked at; then it is read again."""
        if self.path is None or not self.path.exists():
            return False
        changed_ns = self.path.stat().st_mtime_ns
        if changed_ns == self._read_at_ns:
            return False
        self._read_at_ns = changed_ns
        self._take(_read(self.path))
        return True


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def tokens_of(path: Path, names: Iterable[str]) -> Tokens:
    """The tokens in a file; missing ones are made, and the file is readable by its owner alone.

    Raises ``DataError`` for a file that others can read, or that holds no tokens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_suffix(".lock")):
        known: dict[str, str] = {}
        if path.exists():
            if os.name == "posix" and path.stat().st_mode & 0o077:
                raise DataError(f"{path}: others can read the tokens; chmod 600 it")
            known = _read(path)
        missing = [name for name in (GRID, OPERATOR, READER, *names) if name not in known]
        if missing:
            known |= {name: secrets.token_urlsafe(24) for name in missing}
            fresh = path.with_suffix(".new")
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(known, file, indent=1)
            fresh.replace(path)
    return Tokens(known, path)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Agents that start together write one after the other."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError as error:
            if time.monotonic() > until:
                raise DataError(
                    f"{lock}: another agent writes the tokens; if none is starting, remove the file"
                ) from error
            time.sleep(0.02)
    try:
        yield
    finally:
        lock.unlink()


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
