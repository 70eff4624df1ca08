"""Every pipeline run in MLflow, so that it can be found, compared and run again.

::

    pipeline run            parameters, tags, parameters.json, figures
    ├── DE_KN_x centralized     day/cost_eur (step = day number), …; total/cost_eur, …
    └── DE_KN_x rule_based      the same, one run for each building and mode

The store is an SQLite file or an MLflow server. It is opened, and refused if it must be, before
the pipeline starts to work. See ``docs/tracking.md``.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import re
import sqlite3
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import requests
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from ems.errors import InvalidSpec, TrackingError

# MLflow reads these when it is imported or called; what the user has set is left alone.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from ems.pipelines.comparison import ModeSummary
    from ems.settlement import DayKpis

Status = Literal["FINISHED", "FAILED", "KILLED"]

METRICS_PER_CALL = 1000
"""The most MLflow takes at once; a call costs as much as about a hundred metrics."""

LONGEST_PARAMETER = 500
"""What every MLflow server stores [characters]; a longer value is whole in parameters.json."""

LONGEST_NAME = 250
LONGEST_TAG = 5000
OPENING_S = 5.0
"""How long a server may take to answer, or a writer to give an SQLite store free [s]."""

DAY_METRICS = ("cost_eur", "discomfort_eur", "import_kwh", "peak_import_kw", "self_consumption")
"""What is tracked of each day; few, because a metric costs MLflow 50 to 80 µs.

All figures of every day are in the results database, and their totals in MLflow as well.
"""

PACKAGES = ("ems", "pulp", "highspy", "mlflow", "duckdb", "numpy", "pandas")
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
        f"tracking_uri is '{_shown(text)}', allowed are sqlite:///PATH.db (without ? # %) "
        "and http(s)://SERVER"
    )


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite store, None for a server."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextmanager
def pipeline_run(
    uri: str,
    *,
    experiment: str,
    name: str,
    parameters: Mapping[str, object],
    tags: Mapping[str, str] | None = None,
    mode_tags: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[PipelineRun]:
    """Open the store at ``uri`` and track what happens inside as one run.

    ``parameters``: dataclasses, mappings and plain values, logged flat (``assets.ev.capacity_kwh``)
    together with the versions of the software; ``mode_tags``: more tags for the runs of a mode.

    The run ends as FINISHED, as KILLED on Ctrl-C, or as FAILED with the exception in the tag
    ``reason``; whatever was logged stays. Raises ``TrackingError`` before anything else happens
    when the store cannot be reached or written.
    """
    uri = store_uri(uri)
    client, experiment_id = _open(uri, experiment)
    everything = {**_plain(parameters), "software": software()}
    run = PipelineRun(
        uri, client, experiment_id, name, dict(tags or {}), mode_tags or {}, flat(everything)
    )
    try:
        run.describe(everything)
        yield run
        run.flush()
    except BaseException as error:
        _end_early(run, error)
        raise
    run.end("FINISHED")


def _end_early(run: PipelineRun, error: BaseException) -> None:
    """Mark the run; if the store is gone as well, the error that came first still leads."""
    try:
        run.flush()
        status: Status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        run.end(status, reason=f"{type(error).__name__}: {error}")
    except TrackingError as second:
        error.add_note(f"and the run could not be marked: {second}")


@dataclass(kw_only=True)
class _Child:
    """The run of one building and mode with the metrics that wait to be sent."""

    run_id: str
    waiting: list[Metric] = field(default_factory=list)
    open: bool = True


class PipelineRun:
    """One tracked run of a pipeline; made by :func:`pipeline_run`."""

    def __init__(
        self,
        uri: str,
        client: MlflowClient,
        experiment_id: str,
        name: str,
        tags: Mapping[str, str],
        mode_tags: Mapping[str, Mapping[str, str]],
        parameters: Mapping[str, str],
    ) -> None:
        self.uri, self.experiment_id = uri, experiment_id
        self._client, self._tags, self._mode_tags = client, tags, mode_tags
        self._parameters = parameters
        self._children: dict[tuple[str, str], _Child] = {}
        self.run_id = self._create(name, tags)

    @property
    def page(self) -> str:
        """Where MLflow shows this run, below the address of its user interface."""
        return f"/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def days(
        self,
        building: str,
        mode: str,
        kpis: Mapping[str, Sequence[float | None]],
        day_numbers: Sequence[int],
    ) -> None:
        """Log days of a building under a mode: one value a KPI and day, the day as the step.

        May be called for a few days at a time. None and what is not finite are left out.
        """
        child, now_ms = self._child(building, mode), _now_ms()
        for name, values in kpis.items():
            if len(values) != len(day_numbers):
                raise InvalidSpec(
                    f"tracking {building} {mode}: {name} has {len(values)} values "
                    f"for {len(day_numbers)} days"
                )
            child.waiting += [
                Metric(f"day/{name}", float(value), now_ms, int(number))
                for value, number in zip(values, day_numbers, strict=True)
                if value is not None and math.isfinite(value)
            ]
        while len(child.waiting) >= METRICS_PER_CALL:
            self._send(child)

    def summary(
        self,
        building: str,
        mode: str,
        totals: Mapping[str, float | None],
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        """Log what a mode came to over all its days and end its run.

        ``parameters``: what sets this run apart from the others below the pipeline's.
        """
        child, now_ms = self._child(building, mode), _now_ms()
        if parameters:
            self._log_parameters(child.run_id, flat(parameters))
        child.waiting += [
            Metric(f"total/{name}", float(value), now_ms, 0)
            for name, value in totals.items()
            if value is not None and math.isfinite(value)
        ]
        self._finish(child, "FINISHED")

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file or folder with the run."""
        if not path.exists():
            raise TrackingError(f"artifact {path} does not exist; write it before it is tracked")
        with _calling(self.uri, f"keep {path.name}"):
            self._client.log_artifact(self.run_id, str(path))

    def describe(self, parameters: Mapping[str, object]) -> None:
        """Log the parameters, and keep them nested and uncut as ``parameters.json``."""
        self._log_parameters(self.run_id, self._parameters)
        text = json.dumps(parameters, indent=2, ensure_ascii=False)
        with _calling(self.uri, "keep parameters.json"):
            self._client.log_text(self.run_id, text, "parameters.json")

    def flush(self) -> None:
        """Send what waits."""
        for child in self._children.values():
            while child.waiting:
                self._send(child)

    def end(self, status: Status, reason: str = "") -> None:
        """End the run and those below it that are still open."""
        for child in self._children.values():
            if child.open:
                self._finish(child, status, reason)
        self._terminate(self.run_id, status, reason)

    def _child(self, building: str, mode: str) -> _Child:
        key = building, mode
        if key not in self._children:
            tags = {
                **self._tags,
                **self._mode_tags.get(mode, {}),
                "mlflow.parentRunId": self.run_id,
            }
            own = {"building": building, "mode": mode}
            child = _Child(run_id=self._create(f"{building} {mode}", tags))
            self._children[key] = child
            self._log_parameters(child.run_id, {**self._parameters, **own})
        return self._children[key]

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        with _calling(self.uri, f"start the run {name}"):
            cut = {key: value[:LONGEST_TAG] for key, value in tags.items()}
            run = self._client.create_run(self.experiment_id, tags=cut, run_name=name)
        run_id: str = run.info.run_id
        return run_id

    def _log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        params = [Param(key, _short(value)) for key, value in parameters.items()]
        with _calling(self.uri, "log parameters"):
            self._client.log_batch(run_id, params=params)

    def _send(self, child: _Child) -> None:
        batch = child.waiting[:METRICS_PER_CALL]
        with _calling(self.uri, "log metrics"):
            self._client.log_batch(child.run_id, metrics=batch)
        del child.waiting[:METRICS_PER_CALL]

    def _finish(self, child: _Child, status: Status, reason: str = "") -> None:
        while child.waiting:
            self._send(child)
        self._terminate(child.run_id, status, reason)
        child.open = False

    def _terminate(self, run_id: str, status: Status, reason: str) -> None:
        with _calling(self.uri, "end the run"):
            if reason:
                self._client.set_tag(run_id, "reason", reason[:LONGEST_TAG])
            self._client.set_terminated(run_id, status)


def day_metrics(days: Sequence[DayKpis]) -> dict[str, list[float | None]]:
    """The columns of :meth:`PipelineRun.days`, ``DAY_METRICS`` of each day."""
    return {name: [getattr(day, name) for day in days] for name in DAY_METRICS}


def total_metrics(summary: ModeSummary) -> dict[str, float | None]:
    """All figures of a mode over all its days, and its savings against each baseline."""
    kpis = summary.kpis
    totals = {item.name: getattr(kpis, item.name) for item in fields(kpis)}
    derived = ("cost_eur", "self_consumption", "self_sufficiency", "mean_shift_h")
    totals |= {name: getattr(kpis, name) for name in derived}
    for base, saved in summary.against.items():
        totals |= {f"{i.name}_vs_{base}": getattr(saved, i.name) for i in fields(saved)}
    return totals


def software() -> dict[str, str]:
    """The versions that a result depends on, and the commit if this is a git checkout."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    commit = _git_commit(Path(__file__).parent)
    return found if commit is None else {**found, "git_commit": commit}


def flat(parameters: Mapping[str, object]) -> dict[str, str]:
    """Nested parameters as text under dotted names; items with a name are found by it.

    >>> flat({"tariff": {"fees": [{"name": "grid", "ct": 7.5}]}, "ev": None})
    {'tariff.fees.grid.name': 'grid', 'tariff.fees.grid.ct': '7.5', 'ev': 'none'}
    """
    found: dict[str, str] = {}
    for key, value in _plain(parameters).items():
        found |= {_parameter_name(name): text for name, text in _leaves(key, value)}
    return found


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Name and text of every plain value below ``name``."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{name}.{key}", item)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for i, item in enumerate(value):
            yield from _leaves(f"{name}.{item.get('name', i)}", item)
    elif value is None:
        yield name, "none"
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parameter_name(name: str) -> str:
    """What MLflow takes: letters, digits, blanks and _ - . : in a name that is no path."""
    return re.sub(r"[^\w.\- :]|^\.", "_", name)[:LONGEST_NAME] or "_"


def _plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences, dates and numpy numbers as what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [_plain(item) for item in items]
    if isinstance(value, date | datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _short(value: str) -> str:
    if len(value) <= LONGEST_PARAMETER:
        return value
    end = " … (whole in parameters.json)"
    return value[: LONGEST_PARAMETER - len(end)] + end


def check_store(uri: str) -> None:
    """Raise ``TrackingError`` within seconds when the store does not answer or cannot be written.

    MLflow itself would try again for minutes.
    """
    path = sqlite_path(uri)
    if path is None:
        _require_answer(uri)
        return
    with _calling(uri, "open it"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=OPENING_S, isolation_level=None)) as con:
            con.execute("BEGIN IMMEDIATE")
            con.execute("ROLLBACK")


def _require_answer(uri: str) -> None:
    try:
        requests.get(uri, timeout=OPENING_S)
    except requests.Timeout as error:
        raise TrackingError(
            f"MLflow server {_shown(uri)}: no answer within {OPENING_S:g} s; is it the right "
            "address?"
        ) from error
    except requests.RequestException as error:
        raise TrackingError(
            f"MLflow server {_shown(uri)}: no connection; start it or check the address"
        ) from error


def _open(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """A client and the id of the experiment, which is made where it is missing."""
    check_store(uri)
    path = sqlite_path(uri)
    below = None if path is None else (path.parent / "artifacts" / experiment).as_uri()
    with _calling(uri, "open it"):
        client = MlflowClient(uri, registry_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is not None:
            return client, found.experiment_id
        return client, client.create_experiment(experiment, artifact_location=below)


@contextmanager
def _calling(uri: str, what: str) -> Iterator[None]:
    """Turn what MLflow raises and says into one line."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            # about how MLflow uses SQLAlchemy: nothing that a user of ours could mend
            warnings.filterwarnings("ignore", category=SADeprecationWarning, module="mlflow")
            yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        lines = str(error).replace(uri, _shown(uri)).splitlines()
        causes = (line for line in lines if not line.startswith(_ADVICE))
        reason = next(causes, type(error).__name__)[:300]
        raise TrackingError(
            f"experiment store {_shown(uri)}: cannot {what}: {reason}; check the store or give "
            "another --tracking_uri"
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _shown(uri: str) -> str:
    """The address without a password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _git_commit(folder: Path) -> str | None:
    """The commit of a checkout that holds this package, with ``-dirty`` if it was changed."""
    git = ["git", "-C", str(folder)]
    try:
        ours = subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, check=False
        )
        if ours.returncode:
            return None
        describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        said = subprocess.run([*git, *describe], capture_output=True, check=False, text=True)
    except FileNotFoundError:  # no git on this machine
        return None
    return said.stdout.strip() or None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
