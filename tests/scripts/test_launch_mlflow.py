"""The page on the runs, as a person opens and closes it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from called_script import SCRIPTS, call, one_line

from ems.tracking import pipeline_run, sqlite_uri

import launch_mlflow  # isort: skip - lies in scripts, which called_script puts on the path

from ems.errors import TrackingError

NAME = "launch_mlflow.py"


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((launch_mlflow.HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_without_a_store_it_says_what_makes_one(tmp_path: Path) -> None:
    done = call(NAME, "--db", tmp_path / "m.db")
    one_line(done, "make some with: python scripts/01_run.py")
    assert list(tmp_path.iterdir()) == []
    one_line(call(NAME, "--db", "m.db", "--tracking_uri", "sqlite:///m.db"), "exclude each other")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="is a server and has its page already"):
        launch_mlflow.find_store("http://127.0.0.1:5000", None)
    damaged = tmp_path / "m.db"
    damaged.write_text("no database at all, and long enough to tell" * 9)
    with pytest.raises(TrackingError, match="not a database"):
        launch_mlflow.find_store("ignored", damaged)


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with taken_port() as port:
        with pytest.raises(TrackingError, match=f"port {port} is taken"):
            launch_mlflow.find_port(port)
        monkeypatch.setattr(launch_mlflow, "FIRST_PORT", port)
        assert port < launch_mlflow.find_port(None) < port + launch_mlflow.PORTS
        monkeypatch.setattr(launch_mlflow, "PORTS", 1)
        with pytest.raises(TrackingError, match="no free port from"):
            launch_mlflow.find_port(None)
    with pytest.raises(TrackingError, match="port 65536 is taken or not allowed"):
        launch_mlflow.find_port(65536)


def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'something' >&2\necho 'no module named mlflow' >&2\nexit 1")
    program.chmod(0o755)
    monkeypatch.setattr(launch_mlflow.sys, "executable", str(program))
    keep = signal.getsignal(signal.SIGINT)
    try:
        with (
            pytest.raises(TrackingError, match="did not start: no module named mlflow"),
            launch_mlflow.serving(tmp_path / "m.db", launch_mlflow.find_port(None)),
        ):
            pytest.fail("it has started")
    finally:
        signal.signal(signal.SIGINT, keep)


def children(pid: int) -> set[int]:
    """The processes below a process."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    parents = dict(map(int, line.split()) for line in listed.stdout.splitlines())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def test_it_serves_the_runs_until_ctrl_c(tmp_path: Path) -> None:
    db = tmp_path / "runs" / "mlflow.db"
    with pipeline_run(sqlite_uri(db), experiment="e", name="p", parameters={}) as kept:
        kept.summary("home", "m", {"cost_eur": 1.0})
    port = launch_mlflow.find_port(None)
    with subprocess.Popen(
        [sys.executable, str(SCRIPTS / NAME), "--db", str(db), "--port", str(port)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "starting MLflow" in process.stdout.readline()
            assert str(db) in process.stdout.readline()
            line = process.stdout.readline()
            (page,) = re.findall(r"http://\S+", line)
            url = f"http://127.0.0.1:{port}"
            assert page == f"{url}/#/experiments/{kept.experiment_id}/runs"
            assert "Ctrl-C" in line
            assert requests.get(f"{url}/health", timeout=30).text == "OK"
            got = requests.get(
                f"{url}/api/2.0/mlflow/runs/get", params={"run_id": kept.run_id}, timeout=30
            )
            assert got.json()["run"]["info"]["run_name"] == "p"
            with pipeline_run(url, experiment="over http", name="q", parameters={"n": 1}) as other:
                other.days("home", "m", {"cost_eur": [1.0, 2.0]}, [0, 1])
            below = children(process.pid)
            assert below
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
            assert process.stdout.read() == "stopped\n"
            assert process.stderr.read() == ""
        finally:
            process.terminate()  # if it is still there, something above has failed
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)
    assert launch_mlflow.is_free(port)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    assert {path.name for path in db.parent.iterdir()} == {"mlflow.db", "artifacts"}
