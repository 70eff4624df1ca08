"""The experiment store opened through MLflow, quietly and with one-line errors."""

from __future__ import annotations

import glob
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from ems.tracking.address import (
    check_store,
    in_one_line,
    sqlite_path,
    sqlite_uri,
    tables_of_writable,
)

_NOISY = ("mlflow", "urllib3.connectionpool")

_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # its page opens on the runs, not traces
    "mlflow.note.content": (
        "Runs of ems. A row is a run of a pipeline; below it is one run for each building and mode "
        "with its totals (`total/…`) and days (`day/…`). Bills and costs in euros. Each run has "
        "the command that repeats it in the tag `command`, its figures and report under Artifacts."
    ),
}


def open_store(uri: str) -> MlflowClient:
    """A client of the store; a missing SQLite store is created."""
    check_store(uri)
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        with calling(uri, "create it"):
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path)
    with calling(uri, "open it"):
        client = MlflowClient(uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    return client


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """The id of the experiment, created if missing."""
    path = sqlite_path(uri)
    below = None if path is None else (path.parent / "artifacts" / name).as_uri()
    with calling(uri, "open it"):
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(name, artifact_location=below, tags=_TAGS))


def _create(path: Path) -> None:
    """Create an SQLite store next to ``path`` and link it into place when complete.

    An interruption leaves nothing at ``path``; if two processes create it, the first wins.
    """
    # In the same folder, since a hard link cannot cross file systems; the pid keeps two apart.
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        tables_of_writable(beside)
        client = MlflowClient(sqlite_uri(beside), registry_uri=sqlite_uri(beside))
        client.search_experiments(max_results=1)
        with suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        for made in path.parent.glob(f"{glob.escape(beside.name)}*"):
            made.unlink()


@contextmanager
def calling(uri: str, what: str) -> Iterator[None]:
    """Turn MLflow's errors into one line and silence its messages."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with (
            in_one_line(uri, what, MlflowException, SQLAlchemyError),
            warnings.catch_warnings(),
        ):
            # Warnings about MLflow's own code, which our users cannot fix.
            warnings.filterwarnings("ignore", category=SADeprecationWarning, module="mlflow")
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
            warnings.filterwarnings("ignore", message="Operation with range is deprecated")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
