"""One run of a pipeline as written to MLflow; lives in the MLflow process.

Arguments are plain: text, numbers, lists and mappings. Pipelines use ``ems.tracking.run``.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
)

from ems.tracking.metrics import Status, headline, headline_table
from ems.tracking.parameters import LONGEST_TAG, flat, shortened
from ems.tracking.provenance import software
from ems.tracking.store import calling, experiment_id, open_store

METRICS_PER_CALL = 1000
"""Maximum MLflow accepts at once; a call costs as much as about a hundred metrics."""

LONGEST_DIGEST = 36
"""Length of a dataset hash that MLflow stores [characters]."""


@dataclass(kw_only=True)
class _Child:
    """The run of one building and mode, with its metrics waiting to be sent."""

    run_id: str
    waiting: list[Metric] = field(default_factory=list)
    totals: dict[str, float] = field(default_factory=dict)
    open: bool = True


class RunWriter:
    """One run of a pipeline and the runs below it."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        tags: Mapping[str, str],
        mode_tags: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Open the store. Raises ``TrackingError`` if it cannot be reached or written."""
        self.uri, self.run_id = uri, ""
        self._client = open_store(uri)
        self.experiment_id = experiment_id(self._client, uri, experiment)
        self._tags, self._mode_tags = tags, mode_tags
        self._parameters: dict[str, str] = {}
        self._children: dict[tuple[str, str], _Child] = {}
        self._note = ""

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
    ) -> tuple[str, str]:
        """Create the run and log what is needed to repeat it. Returns experiment and run id.

        ``parameters``: flat as parameters, nested and uncut as ``parameters.json``; its ``data``
        (source, hash) also as the run's dataset.
        """
        everything = {**parameters, "software": software()}
        self._parameters = flat(everything)
        self._note = _note(parameters, tags)
        own = {**self._tags, **tags}
        if commit := everything["software"].get("git_commit"):
            own[MLFLOW_GIT_COMMIT] = commit
        if self._note:
            own[MLFLOW_RUN_NOTE] = self._note
        self.run_id = self._create(name, own)
        self._log_parameters(self.run_id, self._parameters)
        text = json.dumps(everything, indent=2, ensure_ascii=False)
        datasets = _datasets(parameters)
        with calling(self.uri, "keep parameters.json"):
            self._client.log_text(self.run_id, text, "parameters.json")
        if datasets:
            with calling(self.uri, "log the dataset"):
                self._client.log_inputs(self.run_id, datasets)
        return self.experiment_id, self.run_id

    def days(
        self,
        building: str,
        mode: str,
        kpis: Mapping[str, Sequence[float | None]],
        day_numbers: Sequence[int],
    ) -> None:
        """Log days; None and non-finite values are left out."""
        child, now_ms = self._child(building, mode), _now_ms()
        for name, values in kpis.items():
            child.waiting += [
                Metric(f"day/{name}", float(value), now_ms, int(number))
                for value, number in zip(values, day_numbers, strict=True)
                if value is not None and math.isfinite(value)
            ]
        # Sent in full batches only; the rest waits for the summary.
        while len(child.waiting) >= METRICS_PER_CALL:
            self._send(child)

    def summary(
        self,
        building: str,
        mode: str,
        totals: Mapping[str, float | None],
        parameters: Mapping[str, object],
    ) -> None:
        """Log totals and end the run of ``building`` and ``mode``."""
        child, now_ms = self._child(building, mode), _now_ms()
        if parameters:
            self._log_parameters(child.run_id, flat(parameters))
        child.totals = {
            name: float(value)
            for name, value in totals.items()
            if value is not None and math.isfinite(value)
        }
        child.waiting += [
            Metric(f"total/{name}", value, now_ms, 0) for name, value in child.totals.items()
        ]
        self._finish(child, "FINISHED")

    def artifact(self, path: str) -> None:
        """Keep a copy of a file or folder."""
        with calling(self.uri, f"keep {Path(path).name}"):
            self._client.log_artifact(self.run_id, path)

    def habit_model(self, building: str, mode: str, saved: Mapping[str, Any]) -> str:
        """Keep an agent's ``to_dict`` as an MLflow model. Returns its address."""
        # Imported here: only one pipeline needs these.
        from ems.learning.probability_model import ProbabilityModelAgent
        from ems.tracking.habit_model import log_habit_model

        agent = ProbabilityModelAgent.from_dict(dict(saved))
        child = self._child(building, mode)
        name = re.sub(r"[^\w.-]", "_", f"{building}_{agent.device}")
        with calling(self.uri, f"keep the model {name}"):
            return log_habit_model(self._client, self.experiment_id, child.run_id, name, agent)

    def end(self, status: Status, reason: str = "") -> None:
        """Send what waits, and end the run and those below it that are still open."""
        for child in self._children.values():
            if child.open:
                self._finish(child, status, reason)
        if not self.run_id:
            return
        if status == "FINISHED":
            self._sum_up()
        self._terminate(self.run_id, status, reason)

    def _sum_up(self) -> None:
        """Totals of each mode, as metrics and in the note of the pipeline's own run."""
        found = headline({key: child.totals for key, child in self._children.items()})
        if not found:
            return
        now_ms = _now_ms()
        metrics = [
            Metric(f"{_metric_name(mode)}/{name}", value, now_ms, 0)
            for mode, values in found.items()
            for name, value in values.items()
        ]
        note = RunTag(MLFLOW_RUN_NOTE, f"{self._note}\n\n{headline_table(found)}"[:LONGEST_TAG])
        with calling(self.uri, "log metrics"):
            self._client.log_batch(self.run_id, metrics=metrics, tags=[note])

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
        return str(run.info.run_id)

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


def _metric_name(mode: str) -> str:
    """The mode without characters that MLflow rejects in metrics, such as = and €."""
    return " ".join(re.sub(r"[^\w.\-: ]", " ", mode).split())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _note(parameters: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """The note shown first on a run's page: the request and its data."""
    lines = [f"`python {tags['command']}`"] if "command" in tags else []
    about = [str(parameters[name]) for name in ("building", "device") if name in parameters]
    if "start" in parameters and "n_days" in parameters:
        about.append(f"{parameters['n_days']} days from {parameters['start']}")
    data = parameters.get("data")
    if isinstance(data, dict) and "source" in data:
        about.append(str(data["source"]))
    return "\n\n".join([*lines, *([", ".join(about)] if about else [])])


def _datasets(parameters: Mapping[str, Any]) -> list[DatasetInput]:
    """The measurements named by ``parameters`` under ``data``, as MLflow datasets."""
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
