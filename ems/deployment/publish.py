"""Copy the runs of a job to the MLflow of its Azure ML workspace.

Azure's plug-in for ``azureml://`` addresses cannot be installed with a current MLflow. So a job
tracks into an SQLite file, which Azure ML keeps with its other outputs. Afterwards this module
sends parameters, metrics and tags through MLflow's REST interface, which the workspace supports:

    the pipeline's run   → the run that Azure ML has started for the job, with the objective
    the runs below it    → runs below the job's

A job finds the address, a token and its run in the environment (``job_run``). Publishing twice
creates the runs below twice. Artifacts stay with the job's outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ems.deployment import CloudError
from ems.errors import InvalidSpec
from ems.tracking import sqlite_uri  # imported before MLflow to disable its telemetry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID")
"""Environment variables that Azure ML sets for every job."""

METRICS_A_CALL = 1000
PARAMETERS_A_CALL = 100
MOST_RUNS = 50_000
"""Maximum MLflow reads at once; a job has far fewer."""

TIMEOUT_S = 60.0
BACKOFF_S = 1.0
"""Wait before the second retry [s]; it doubles with each of the four."""

BELOW = "mlflow.parentRunId"
"""MLflow's tag of a run below another."""


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """The run of a job in a workspace's MLflow: address, token and id."""

    url: str
    token: str
    run_id: str


def job_run(environment: Mapping[str, str]) -> JobRun:
    """The run of the current job. Raises ``InvalidSpec`` outside a job."""
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        raise InvalidSpec(
            f"publish: {', '.join(missing)} not set; this step runs inside an Azure ML job"
        )
    address, token, run_id = (environment[name] for name in VARIABLES)
    return JobRun(url=_rest_url(address), token=token, run_id=run_id)


def publish(store: Path, target: JobRun, objective: str | None = None) -> int:
    """Copy the runs of the MLflow file ``store``; returns the number of runs below the job's.

    ``objective``: logged on the job's run as the mean of ``total/<objective>`` over the runs below.
    Raises ``InvalidSpec`` for a store without exactly one pipeline run or without the objective,
    ``CloudError`` if the workspace refuses or does not answer.
    """
    if not store.is_file():
        raise InvalidSpec(f"publish: no MLflow file at {store}; run the pipeline first")
    from mlflow import MlflowClient

    client = MlflowClient(sqlite_uri(store), registry_uri=sqlite_uri(store))
    top, below = _runs(client, store)
    # Before anything is sent, so that a missing objective leaves no half-copied run.
    best = [] if objective is None else [_objective(objective, below, store)]
    workspace = _Workspace(target)
    experiment_id = workspace.experiment_id()
    workspace.log(target.run_id, params=top.data.params, tags=_own_tags(top))
    for run in below:
        tags = {**_own_tags(run), BELOW: target.run_id}
        run_id = workspace.create(experiment_id, run, tags)
        workspace.log(run_id, params=_differing(run, top), metrics=list(_history(client, run)))
        workspace.end(run_id, run)
    # Last, so that the objective appears only when everything is copied.
    workspace.log(target.run_id, metrics=best)
    return len(below)


def _runs(client: MlflowClient, store: Path) -> tuple[Run, list[Run]]:
    """The pipeline's run and those below it, by start time."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    order = ["attributes.start_time ASC"]
    runs = client.search_runs(experiments, max_results=MOST_RUNS, order_by=order)
    tops = [run for run in runs if BELOW not in run.data.tags]
    if len(tops) != 1:
        raise InvalidSpec(
            f"publish: {store} holds {len(tops)} pipeline runs, it must hold one: a job has a file "
            "of its own"
        )
    return tops[0], [run for run in runs if run.data.tags.get(BELOW) == tops[0].info.run_id]


def _differing(run: Run, top: Run) -> dict[str, str]:
    """The parameters of a run below that differ from the pipeline's."""
    return {k: v for k, v in run.data.params.items() if top.data.params.get(k) != v}


def _own_tags(run: Run) -> dict[str, str]:
    """The tags not set by MLflow itself."""
    return {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}


def _history(client: MlflowClient, run: Run) -> Iterator[dict[str, Any]]:
    for key in run.data.metrics:
        for metric in client.get_metric_history(run.info.run_id, key):
            yield _metric(metric.key, metric.value, metric.timestamp, metric.step)


def _metric(key: str, value: float, timestamp_ms: int, step: int) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": timestamp_ms, "step": step}


def _objective(name: str, runs: Sequence[Run], store: Path) -> dict[str, Any]:
    having = [run for run in runs if f"total/{name}" in run.data.metrics]
    if not having:
        raise InvalidSpec(f"publish: no run in {store} has the metric total/{name} to sweep by")
    value = fmean(run.data.metrics[f"total/{name}"] for run in having)
    return _metric(name, value, max(run.info.start_time for run in having), 0)


def _rest_url(address: str) -> str:
    """The address of MLflow's REST interface; Azure's version 2 is the one for current clients."""
    url = re.sub(r"^azureml://", "https://", address.partition("?")[0].rstrip("/"))
    if not re.match(r"https?://[^/]+", url):
        raise InvalidSpec(f"publish: MLFLOW_TRACKING_URI is '{address}', allowed is azureml://…")
    return f"{url.replace('/mlflow/v1.0/', '/mlflow/v2.0/')}/api/2.0/mlflow"


class _Workspace:
    """MLflow's REST interface of a workspace."""

    def __init__(self, target: JobRun) -> None:
        self._target = target
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {target.token}"
        statuses = (429, 503)  # rate limit and temporarily unavailable: nothing was written
        # allowed_methods=None retries POST too; safe for the two statuses above only.
        again = Retry(
            total=4, backoff_factor=BACKOFF_S, status_forcelist=statuses, allowed_methods=None
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=again))

    def experiment_id(self) -> str:
        found = self._call("GET", "runs/get", {"run_id": self._target.run_id})
        return str(found["run"]["info"]["experiment_id"])

    def create(self, experiment_id: str, run: Run, tags: Mapping[str, str]) -> str:
        body = {
            "experiment_id": experiment_id,
            "start_time": run.info.start_time,
            "run_name": run.info.run_name,
            "tags": _pairs({**tags, "mlflow.runName": run.info.run_name}),
        }
        return str(self._call("POST", "runs/create", body)["run"]["info"]["run_id"])

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        parts = [{"params": part} for part in _parts(_pairs(params or {}), PARAMETERS_A_CALL)]
        parts += [{"metrics": part} for part in _parts(metrics, METRICS_A_CALL)]
        parts += [{"tags": part} for part in _parts(_pairs(tags or {}), PARAMETERS_A_CALL)]
        for part in parts:
            self._call("POST", "runs/log-batch", {"run_id": run_id, **part})

    def end(self, run_id: str, run: Run) -> None:
        body = {"run_id": run_id, "status": run.info.status, "end_time": run.info.end_time}
        self._call("POST", "runs/update", body)

    def _call(self, method: str, what: str, body: Mapping[str, Any]) -> Any:
        where = f"workspace MLflow: {what}"
        sent = {"params": body} if method == "GET" else {"json": body}
        try:
            answer = self._session.request(
                method, f"{self._target.url}/{what}", timeout=TIMEOUT_S, **sent
            )
            if not answer.ok:
                said = " ".join(answer.text.split())[:300]
                raise CloudError(f"{where}: refused with {answer.status_code}: {said}")
            return answer.json()
        except requests.RequestException as error:
            raise CloudError(f"{where}: no answer ({type(error).__name__})") from error


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _parts(items: Sequence[Mapping[str, Any]], most: int) -> list[Sequence[Mapping[str, Any]]]:
    return [items[i : i + most] for i in range(0, len(items), most)]
