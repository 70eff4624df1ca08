"""The address of an experiment store, and what can be said of it without loading MLflow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ems.errors import TrackingError

OPENING_S = 5.0
"""How long a server may take to answer, or a writer to give an SQLite store free [s]."""

_ADVICE = "(raised as a result of Query-invoked autoflush"
"""What SQLAlchemy tells programmers in the line before the cause."""


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite store; its artifacts lie in ``artifacts`` beside it."""
    return f"sqlite:///{path.expanduser().resolve()}"


def store_uri(text: str) -> str:
    """The address of a store as a person gives it, with an absolute path.

    Raises ``TrackingError`` for anything but ``sqlite:///PATH`` or ``http(s)://SERVER``.
    """
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite" and re.fullmatch(r"/[^?#%]*[^?#%/:]", rest):  # which SQLAlchemy reads
        return sqlite_uri(Path(rest[1:]))
    if scheme in ("http", "https") and urlsplit(text).hostname:
        return text.rstrip("/")
    raise TrackingError(
        f"tracking_uri is '{shown(text)}', allowed are sqlite:///PATH.db (without ? # %) "
        "and http(s)://SERVER"
    )


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite store, None for a server."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def shown(uri: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def check_store(uri: str) -> None:
    """Raise ``TrackingError`` within seconds when the store does not answer or cannot be written.

    MLflow itself would try again for minutes. An SQLite file that is not there yet is no error.
    """
    path = sqlite_path(uri)
    if path is None:
        _require_answer(uri)
    elif path.exists():
        with in_one_line(uri, "open it"):
            tables = tables_of_writable(path)
        if tables and not _is_complete(path, tables):
            raise TrackingError(
                f"experiment store {path}: no complete MLflow store (its creation was interrupted, "
                "or it is something else); delete or move it, or give another --tracking_uri"
            )


def tables_of_writable(path: Path) -> set[str]:
    """The tables of an SQLite file that could be written just now."""
    with closing(sqlite3.connect(path, timeout=OPENING_S, isolation_level=None)) as con:
        con.execute("BEGIN IMMEDIATE")
        tables = {str(name) for (name,) in con.execute("SELECT name FROM sqlite_master")}
        con.execute("ROLLBACK")
    return tables


def _is_complete(path: Path, tables: set[str]) -> bool:
    """Whether MLflow has come to the end of making it: its default experiment is the last step."""
    if not {"alembic_version", "experiments"} <= tables:
        return False
    with closing(sqlite3.connect(path)) as con:
        (n_experiments,) = con.execute("SELECT COUNT(*) FROM experiments").fetchone()
    return bool(n_experiments)


def _require_answer(uri: str) -> None:
    import requests  # a tenth of a second that a store in a file does not need

    try:
        requests.get(uri, timeout=OPENING_S)
    except requests.Timeout as error:
        raise TrackingError(
            f"MLflow server {shown(uri)}: no answer within {OPENING_S:g} s; is it the right "
            "address?"
        ) from error
    except requests.RequestException as error:
        raise TrackingError(
            f"MLflow server {shown(uri)}: no connection; start it or check the address"
        ) from error


@contextmanager
def in_one_line(uri: str, what: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors of files, of SQLite and ``errors`` into a ``TrackingError`` of one line."""
    known: tuple[type[Exception], ...] = (*errors, sqlite3.Error, OSError)
    try:
        yield
    except known as error:
        lines = str(error).replace(uri, shown(uri)).splitlines()
        causes = (line for line in lines if not line.startswith(_ADVICE))
        reason = next(causes, type(error).__name__)[:300]
        raise TrackingError(
            f"experiment store {shown(uri)}: cannot {what}: {reason}; check the store or give "
            "another --tracking_uri"
        ) from error
