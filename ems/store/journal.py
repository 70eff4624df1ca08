"""The journal of a service: whole records, appended and never changed.

A file of its own, held open by the one process that serves it. After a kill the records that were
acknowledged are all there, and no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from ems.errors import DataError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    sequence     BIGINT PRIMARY KEY,
    recorded_utc TIMESTAMP NOT NULL,
    kind         VARCHAR NOT NULL,
    key          VARCHAR NOT NULL,
    request_json VARCHAR NOT NULL,
    reply_json   VARCHAR NOT NULL
)
"""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One acknowledged action: its kind, its key, what was asked and what was answered."""

    kind: str
    key: str
    request: Mapping[str, Any]
    reply: Mapping[str, Any]


class Journal:
    """Append events and read them back in order. Raises ``DataError`` for a file it cannot use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._con = duckdb.connect(str(path))
            self._con.execute(_SCHEMA)
            (last,) = self._con.execute("SELECT coalesce(max(sequence), 0) FROM event").fetchall()
        except (duckdb.Error, OSError) as error:
            told = str(error).strip().splitlines()[0]
            raise DataError(
                f"{path}: the journal cannot be opened ({told}); is this agent already running? "
                "Else move the file away"
            ) from error
        self._last = int(last[0])

    def append(self, event: Event) -> None:
        """Keep an event; it is on disk when this returns. Raises ``DataError`` if it is not."""
        row = [
            self._last + 1,
            event.kind,
            event.key,
            json.dumps(event.request, default=str),
            json.dumps(event.reply, default=str),
        ]
        try:
            self._con.execute("INSERT INTO event VALUES (?, now()::TIMESTAMP, ?, ?, ?, ?)", row)
        except duckdb.Error as error:
            raise DataError(
                f"{self.path}: the journal cannot be written; nothing was done. Make room on the "
                "disk and ask again"
            ) from error
        self._last += 1

    def events(self) -> Iterator[Event]:
        """All events, first one first."""
        rows = self._con.execute(
            "SELECT kind, key, request_json, reply_json FROM event ORDER BY sequence"
        ).fetchall()
        for kind, key, request, reply in rows:
            yield Event(kind=kind, key=key, request=json.loads(request), reply=json.loads(reply))

    def readable(self) -> bool:
        """Whether the file answers."""
        return bool(self._con.execute("SELECT 1").fetchall())

    def close(self) -> None:
        """Close the file."""
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
