"""The experiment store: its address, its opening, and its errors in one line."""

from __future__ import annotations

import glob
import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from ems.errors import TrackingError

OPENING_S = 5.0
"""How long a server may take to answer, or a writer to give an SQLite store free [s]."""

_NOISY = ("mlflow", "urllib3.connectionpool")
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


def check_store(uri: str) -> None:
    """Raise ``TrackingError`` within seconds when the store does not answer or cannot be written.

    MLflow itself would try again for minutes. An SQLite file that is not there yet is no error.
    """
    path = sqlite_path(uri)
    if path is None:
        _require_answer(uri)
    elif path.exists():
        with calling(uri, "open it"):
            tables = _tables_of_writable(path)
        if tables and not _is_complete(path, tables):
            raise TrackingError(
                f"experiment store {path}: no complete MLflow store (its creation was interrupted, "
                "or it is something else); delete or move it, or give another --tracking_uri"
            )


def _tables_of_writable(path: Path) -> set[str]:
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


def _create(path: Path) -> None:
    """Make an SQLite store beside ``path`` and link it into place when it is complete.

    Whatever interrupts that leaves nothing at ``path``; of two that make it, the first wins.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _tables_of_writable(beside)
        client = MlflowClient(sqlite_uri(beside), registry_uri=sqlite_uri(beside))
        client.search_experiments(max_results=1)
        with suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        for made in path.parent.glob(f"{glob.escape(beside.name)}*"):
            made.unlink()


def _require_answer(uri: str) -> None:
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


def open_store(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """A client and the id of the experiment, which is made where it is missing."""
    check_store(uri)
    path = sqlite_path(uri)
    below = None if path is None else (path.parent / "artifacts" / experiment).as_uri()
    if path is not None and not path.exists():
        with calling(uri, "create it"):
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path)
    with calling(uri, "open it"):
        client = MlflowClient(uri, registry_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is not None:
            return client, found.experiment_id
        return client, client.create_experiment(experiment, artifact_location=below)


@contextmanager
def calling(uri: str, what: str) -> Iterator[None]:
    """Turn what MLflow raises and says into one line."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            # about MLflow's own code: nothing that a user of ours could mend
            warnings.filterwarnings("ignore", category=SADeprecationWarning, module="mlflow")
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
            warnings.filterwarnings("ignore", message="Operation with range is deprecated")
            yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        lines = str(error).replace(uri, shown(uri)).splitlines()
        causes = (line for line in lines if not line.startswith(_ADVICE))
        reason = next(causes, type(error).__name__)[:300]
        raise TrackingError(
            f"experiment store {shown(uri)}: cannot {what}: {reason}; check the store or give "
            "another --tracking_uri"
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def shown(uri: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/@]*@", "//", uri)
