"""The address of an experiment store, checked without loading MLflow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ems.errors import TrackingError

OPENING_S = 5.0
"""Maximum time for a server to answer, or for a writer to release an SQLite store [s]."""

_ADVICE = "(raised as a result of Query-invoked autoflush"
"""Advice to programmers that SQLAlchemy prints before the cause."""


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite store; its artifacts are in ``artifacts`` next to it."""
    return f"sqlite:///{path.expanduser().resolve()}"


def store_uri(text: str) -> str:
    """The address of a store as given by a user, with an absolute path.

    Raises ``TrackingError`` for anything but ``sqlite:///PATH`` or ``http(s)://SERVER``.
    """
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite" and re.fullmatch(r"/[^?#%]*[^?#%/:]", rest):  # as SQLAlchemy parses it
        return sqlite_uri(Path(rest[1:]))
    if scheme in ("http", "https") and _host(text):
        return text.rstrip("/")
    raise TrackingError(
        f"tracking_uri is '{shown(text)}', allowed are sqlite:///PATH.db (without ? # %) "
        "and http(s)://SERVER"
    )


def _host(text: str) -> str | None:
    try:
        return urlsplit(text).hostname
    except ValueError:  # such as a bracket that is not closed
        return None


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite store, None for a server."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def shown(uri: str) -> str:
    """The address without user and password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def check_store(uri: str) -> None:
    """Raise ``TrackingError`` within seconds if the store does not answer or is not writable.

    MLflow itself would retry for minutes. An SQLite file that does not exist yet is no error.
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
    """The tables of an SQLite file, checked to be writable at this moment."""
    with closing(sqlite3.connect(path, timeout=OPENING_S, isolation_level=None)) as con:
        # Takes the write lock without writing; ROLLBACK gives it back.
        con.execute("BEGIN IMMEDIATE")
        tables = {str(name) for (name,) in con.execute("SELECT name FROM sqlite_master")}
        con.execute("ROLLBACK")
    return tables


def _is_complete(path: Path, tables: set[str]) -> bool:
    """Whether MLflow finished creating it; the default experiment is the last step."""
    if not {"alembic_version", "experiments"} <= tables:
        return False
    with closing(sqlite3.connect(path)) as con:
        (n_experiments,) = con.execute("SELECT COUNT(*) FROM experiments").fetchone()
    return bool(n_experiments)


def _require_answer(uri: str) -> None:
    import requests  # takes a tenth of a second, not needed for a store in a file

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
    """Turn errors of files, of SQLite and ``errors`` into a one-line ``TrackingError``."""
    known: tuple[type[Exception], ...] = (*errors, sqlite3.Error, OSError)
    try:
        yield
    except known as error:
        # Passwords must not appear in messages; libraries repeat the address.
        lines = str(error).replace(uri, shown(uri)).splitlines()
        causes = (line for line in lines if not line.startswith(_ADVICE))
        reason = next(causes, type(error).__name__)[:300]
        raise TrackingError(
            f"experiment store {shown(uri)}: cannot {what}: {reason}; check the store or give "
            "another --tracking_uri"
        ) from error
