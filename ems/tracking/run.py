"""What a pipeline writes while it runs: ``pipeline_run`` and the ``PipelineRun`` it gives."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from ems.errors import InvalidSpec, TrackingError
from ems.tracking.parameters import flat, plain, shortened
from ems.tracking.provenance import RERUN_OF, command_line, software
from ems.tracking.store import calling, open_store, shown, store_uri

if TYPE_CHECKING:
    from ems.economics.settlement import DayKpis
    from ems.learning.probability_model import ProbabilityModelAgent
    from ems.pipelines.comparison import ModeSummary

Status = Literal["FINISHED", "FAILED", "KILLED"]

METRICS_PER_CALL = 1000
"""The most MLflow takes at once; a call costs as much as about a hundred metrics."""

LONGEST_TAG = 5000
LONGEST_DIGEST = 36
"""What MLflow keeps of the hash of a dataset [characters]."""

DAY_METRICS = ("cost_eur", "discomfort_eur", "import_kwh", "peak_import_kw", "self_consumption")
"""What is tracked of each day; few, because a metric costs MLflow 50 to 80 µs.

All figures of every day are in the results database, and their totals in MLflow as well.
"""

PIPELINE_TAG = "pipeline_start"
"""The same on a pipeline's run and all below it; known before the first of them is made."""


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
    client, experiment_id = open_store(uri, experiment)
    everything = {**plain(parameters), "software": software()}
    run = PipelineRun(uri, client, experiment_id, dict(tags or {}), mode_tags or {})
    try:
        run.start(name, everything)
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
        reason = f"{type(error).__name__}: {error}"
        run.end(status, reason)
        run.end_unregistered(status, reason)
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
        tags: Mapping[str, str],
        mode_tags: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.uri, self.experiment_id, self.run_id = uri, experiment_id, ""
        self._client, self._mode_tags = client, mode_tags
        self._tags = {**tags, PIPELINE_TAG: uuid4().hex}
        self._parameters: dict[str, str] = {}
        self._children: dict[tuple[str, str], _Child] = {}

    def start(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Make the run and log what it takes to run it again.

        ``parameters``, plain values: flat as parameters, nested and uncut as ``parameters.json``;
        what they say under ``data`` (source, hash) also as the run's dataset.
        """
        self._parameters = flat(parameters)
        self.run_id = self._create(name, {**self._tags, **_provenance(parameters)})
        self._log_parameters(self.run_id, self._parameters)
        text = json.dumps(parameters, indent=2, ensure_ascii=False)
        datasets = _datasets(parameters)
        with calling(self.uri, "keep parameters.json"):
            self._client.log_text(self.run_id, text, "parameters.json")
        if datasets:
            with calling(self.uri, "log the dataset"):
                self._client.log_inputs(self.run_id, datasets)

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
        with calling(self.uri, f"keep {path.name}"):
            self._client.log_artifact(self.run_id, str(path))

    def habit_model(self, building: str, mode: str, agent: ProbabilityModelAgent) -> str:
        """Keep learned habits as an MLflow model of the run of ``building`` and ``mode``.

        Returns its address, ``models:/ID``; ``ems.tracking.habit_model`` says what it answers.
        """
        from ems.tracking.habit_model import log_habit_model  # pandas: seconds for whom needs none

        child = self._child(building, mode)
        name = re.sub(r"[^\w.-]", "_", f"{building}_{agent.device}")
        with calling(self.uri, f"keep the model {name}"):
            return log_habit_model(self._client, self.experiment_id, child.run_id, name, agent)

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
        if self.run_id:
            self._terminate(self.run_id, status, reason)

    def end_unregistered(self, status: Status, reason: str) -> None:
        """End what the store has of this pipeline and this object never came to know.

        An interruption between the two leaves such a run.
        """
        mine = f"tags.{PIPELINE_TAG} = '{self._tags[PIPELINE_TAG]}' AND status = 'RUNNING'"
        with calling(self.uri, "look for open runs"):
            left = self._client.search_runs([self.experiment_id], mine)
        for run in left:
            self._terminate(run.info.run_id, status, reason)

    def _child(self, building: str, mode: str) -> _Child:
        key = building, mode
        if key not in self._children:
            tags = {
                **self._tags,
                **self._mode_tags.get(mode, {}),
                MLFLOW_PARENT_RUN_ID: self.run_id,
            }
            own = {"building": building, "mode": mode}
            child = _Child(run_id=self._create(f"{building} {mode}", tags))
            self._children[key] = child
            self._log_parameters(child.run_id, {**self._parameters, **own})
        return self._children[key]

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        with calling(self.uri, f"start the run {name}"):
            cut = {key: value[:LONGEST_TAG] for key, value in tags.items()}
            run = self._client.create_run(self.experiment_id, tags=cut, run_name=name)
        run_id: str = run.info.run_id
        return run_id

    def _log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        params = [Param(key, shortened(value)) for key, value in parameters.items()]
        with calling(self.uri, "log parameters"):
            self._client.log_batch(run_id, params=params)

    def _send(self, child: _Child) -> None:
        batch = child.waiting[:METRICS_PER_CALL]
        with calling(self.uri, "log metrics"):
            self._client.log_batch(child.run_id, metrics=batch)
        del child.waiting[:METRICS_PER_CALL]

    def _finish(self, child: _Child, status: Status, reason: str = "") -> None:
        while child.waiting:
            self._send(child)
        self._terminate(child.run_id, status, reason)
        child.open = False

    def _terminate(self, run_id: str, status: Status, reason: str) -> None:
        with calling(self.uri, "end the run"):
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
    money_and_energy = ("cost_eur", "stored_eur", "own_use_kwh")
    derived = (*money_and_energy, "self_consumption", "self_sufficiency", "mean_shift_h")
    totals |= {name: getattr(kpis, name) for name in derived}
    for base, saved in summary.against.items():
        totals |= {f"{i.name}_vs_{base}": getattr(saved, i.name) for i in fields(saved)}
    return totals


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _provenance(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Tags that say how a run was started; a password in an address is left out."""
    tags = {}
    if command := command_line():
        tags["command"] = shlex.join(shown(word) for word in command)
        tags["folder"] = str(Path.cwd())
        tags |= {MLFLOW_SOURCE_NAME: command[0], MLFLOW_SOURCE_TYPE: "LOCAL"}
    if commit := parameters["software"].get("git_commit"):
        tags[MLFLOW_GIT_COMMIT] = commit
    if repeated := os.environ.get(RERUN_OF):
        tags["rerun_of"] = repeated
    return tags


def _datasets(parameters: Mapping[str, Any]) -> list[DatasetInput]:
    """The measurements that ``parameters`` name under ``data``, as MLflow shows datasets."""
    data = parameters.get("data")
    if not isinstance(data, dict) or not {"source", "hash"} <= set(data):
        return []
    window = ("building", "device", "start", "n_days", "n_days_planned", "n_days_left_out")
    profile = {name: parameters[name] for name in window if name in parameters}
    dataset = Dataset(
        name=str(parameters.get("building", "measurements")),
        digest=str(data["hash"])[:LONGEST_DIGEST],
        source_type="code",  # made by build_duckdb.py; MLflow has no type for a DuckDB file
        source=json.dumps({"tags": {name: str(value) for name, value in data.items()}}),
        profile=json.dumps(profile),
    )
    return [DatasetInput(dataset=dataset, tags=[])]
