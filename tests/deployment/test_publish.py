"""The runs of a job reach the MLflow of its workspace, whole and once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from small_building import twin_database

from ems.deployment import CloudError
from ems.deployment.publish import JobRun, job_run, publish
from ems.errors import InvalidSpec
from ems.tracking import pipeline_run, sqlite_uri

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "/mlflow/v2.0/subscriptions/s/resourceGroups/g/workspaces/w/api/2.0/mlflow/"


@dataclass
class Workspace:
    """MLflow's REST interface with its limits, keeping what it is told."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    busy: int = 0
    url: str = ""

    def answer(self, what: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        self.calls.append(what)
        if token != "Bearer secret":
            return 401, {"message": "who are you?"}
        if self.busy:
            self.busy -= 1
            return 429, {"message": "too many requests"}
        match what:
            case "runs/get":
                return 200, {"run": {"info": {"experiment_id": "7", "run_id": body["run_id"]}}}
            case "runs/create":
                assert body["experiment_id"] == "7"
                run_id = f"run{len(self.runs)}"
                self.runs[run_id] = {"name": body["run_name"], **_empty()}
                self.runs[run_id]["tags"].update(_texts(body["tags"]))
                return 200, {"run": {"info": {"run_id": run_id}}}
            case "runs/log-batch":
                return self._log(body)
            case "runs/update":
                assert body["run_id"] != "job", "Azure ML ends the run of the job itself"
                self.runs[body["run_id"]]["status"] = body["status"]
                return 200, {}
        return 404, {"message": what}

    def _log(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        limits = {"metrics": 1000, "params": 100, "tags": 100}
        for name, most in limits.items():
            if len(body.get(name, [])) > most:
                return 400, {"message": f"more than {most} {name}"}
        run = self.runs[body["run_id"]]
        run["tags"].update(_texts(body.get("tags", [])))
        run["params"].update(_texts(body.get("params", [])))
        run["metrics"] += [(m["key"], m["step"], m["value"]) for m in body.get("metrics", [])]
        return 200, {}


def _empty() -> dict[str, Any]:
    return {"tags": {}, "params": {}, "metrics": [], "status": None}


def _texts(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in pairs}


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    place = Workspace(runs={"job": {"name": "job", **_empty()}})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
            self.reply(query)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            path = urlsplit(self.path).path
            assert path.startswith(PREFIX), path
            token = self.headers["Authorization"]
            code, answer = place.answer(path.removeprefix(PREFIX), body, token)
            text = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield place
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline's run with two runs below it, one with 1500 metrics and 150 parameters more."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own use of SQLAlchemy
        with pipeline_run(
            sqlite_uri(file),
            experiment="probability",
            name="all",
            parameters={"building": "home"},
            tags={"synthetic": "true"},
        ) as run:
            run.days("home", "ev", {"cost_eur": [float(i) for i in range(1500)]}, range(1500))
            run.summary("home", "ev", {"log_loss_bits": 3.0}, {f"p{i}": i for i in range(150)})
            run.summary("home", "dishwasher", {"log_loss_bits": 4.0, "other": 1.0})
    return file


def target(place: Workspace, token: str = "secret") -> JobRun:
    address = f"{place.url}/mlflow/v1.0/subscriptions/s/resourceGroups/g/workspaces/w?region=x"
    return job_run(
        {
            "MLFLOW_TRACKING_URI": address,
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_RUN_ID": "job",
        }
    )


def test_every_run_parameter_and_metric_arrives_once(workspace: Workspace, store: Path) -> None:
    assert publish(store, target(workspace), "log_loss_bits") == 2
    job, ev, dishwasher = workspace.runs.values()
    assert job["metrics"] == [("log_loss_bits", 0, 3.5)]
    assert job["params"]["building"] == "home"
    assert "software.python" in job["params"]
    assert job["tags"]["synthetic"] == "true"
    assert not any(key.startswith("mlflow.") for key in job["tags"]), "Azure ML sets its own"
    assert job["status"] is None
    assert ev["name"] == "home ev"
    assert ev["tags"]["mlflow.parentRunId"] == "job"
    assert ev["status"] == "FINISHED"
    days = [(step, value) for key, step, value in ev["metrics"] if key == "day/cost_eur"]
    assert sorted(days) == [(i, float(i)) for i in range(1500)]
    assert ("total/log_loss_bits", 0, 3.0) in ev["metrics"]
    assert set(ev["params"]) == {"mode"} | {f"p{i}" for i in range(150)}
    assert {key for key, _, _ in dishwasher["metrics"]} == {"total/log_loss_bits", "total/other"}


def test_a_trial_of_pipeline_c_publishes_what_the_sweep_minimises(
    workspace: Workspace, tmp_path: Path
) -> None:
    script = ROOT / "scripts" / "03_probability_learning_optimization.py"
    grid = ["--lr_tau_values", "20", "--lr_max_values", "0.15", "--figures", "off"]
    where = ["--db", str(twin_database()), "--results", str(tmp_path)]
    where += ["--tracking_uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    devices = ["--device_filter", "discrete_phase"]
    subprocess.run(
        [sys.executable, str(script), *grid, *devices, *where], check=True, capture_output=True
    )
    assert publish(tmp_path / "mlflow.db", target(workspace), "log_loss_bits") == 2
    job, *below = workspace.runs.values()
    ((name, step, value),) = job["metrics"]
    of_devices = [v for run in below for key, _, v in run["metrics"] if key.endswith("/" + name)]
    assert (name, step, value) == ("log_loss_bits", 0, pytest.approx(sum(of_devices) / 2))
    assert 0 < value < 4.585


def test_a_busy_workspace_is_asked_again(workspace: Workspace, store: Path) -> None:
    workspace.busy = 1
    publish(store, target(workspace))
    assert workspace.calls.count("runs/get") == 2
    assert workspace.runs["job"]["metrics"] == []


def test_a_refusal_is_one_line(
    workspace: Workspace, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems.deployment.publish.BACKOFF_S", 0.01)
    with pytest.raises(CloudError, match=r"runs/get: refused with 401: .*who are you\?"):
        publish(store, target(workspace, token="stolen"))
    gone = JobRun(url="http://127.0.0.1:1", token="secret", run_id="job")
    with pytest.raises(CloudError, match=r"workspace MLflow: runs/get: no answer \(Connection"):
        publish(store, gone)


def test_what_cannot_be_published_is_named(
    workspace: Workspace, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSpec, match=r"no run in .* has the metric total/joy to sweep by"):
        publish(store, target(workspace), "joy")
    assert workspace.calls == [], "nothing is sent that is not complete"
    with pytest.raises(InvalidSpec, match="no MLflow file at"):
        publish(tmp_path / "none.db", target(workspace))
    empty = tmp_path / "mlflow.db"
    empty.write_bytes(store.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pipeline_run(sqlite_uri(empty), experiment="again", name="2", parameters={}):
            pass
    with pytest.raises(InvalidSpec, match="holds 2 pipeline runs, it must hold one"):
        publish(empty, target(workspace))


def test_outside_a_job_nothing_is_published() -> None:
    with pytest.raises(InvalidSpec, match="MLFLOW_TRACKING_TOKEN, MLFLOW_RUN_ID not set; this"):
        job_run({"MLFLOW_TRACKING_URI": "azureml://somewhere"})


def test_the_address_azure_gives_becomes_its_rest_interface() -> None:
    workspace = "westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/s/workspaces/w"
    names = {"MLFLOW_TRACKING_TOKEN": "t", "MLFLOW_RUN_ID": "r"}
    found = job_run({"MLFLOW_TRACKING_URI": f"azureml://{workspace}?", **names})
    rest = workspace.replace("v1.0", "v2.0")
    assert found == JobRun(url=f"https://{rest}/api/2.0/mlflow", token="t", run_id="r")
    with pytest.raises(InvalidSpec, match=r"MLFLOW_TRACKING_URI is 'sqlite:///x\.db'"):
        job_run({"MLFLOW_TRACKING_URI": "sqlite:///x.db", **names})
