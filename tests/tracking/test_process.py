"""The process that speaks to MLflow: quiet, never half done, and gone when nobody needs it."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Timer, main_thread
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ems.errors import TrackingError
from ems.tracking import pipeline_run, sqlite_uri
from ems.tracking.process import PREPARE, MlflowProcess, mlflow_process
from ems.tracking.store import calling, open_store
from ems.tracking.writer import RunWriter

Program = Callable[..., "subprocess.Popen[str]"]

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def within(seconds: float, true: Callable[[], Any]) -> Any:
    """What ``true`` gives as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_the_pipelines_own_process_does_not_load_mlflow() -> None:
    text = "import sys, ems.tracking; sys.exit({'mlflow', 'sqlalchemy', 'pandas'} & {*sys.modules})"
    subprocess.run([sys.executable, "-c", text.replace("exit(", "exit(len(") + ")"], check=True)


WATCH = """
import os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        os.write(2, f"{event} {args}".encode())
        os._exit(9)
sys.addaudithook(watch)
"""
CLEAN = """
import sitecustomize
from ems.tracking import pipeline_run
with pipeline_run("sqlite:///runs/m.db", experiment="e", name="p", parameters={}) as run:
    run.summary("home", "m", {"cost_eur": 1.0})
"""


def test_a_fresh_store_makes_no_noise_no_call_and_no_other_file(
    tmp_path: Path, program: Program
) -> None:
    """Every Python process of this path imports ``sitecustomize``, the one beside it as well."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    here = os.pathsep.join([str(tmp_path / "watch"), str(Path(__file__).parents[2])])
    done = program(CLEAN, PYTHONPATH=here, PYTHONDONTWRITEBYTECODE="1")
    assert (done.communicate(timeout=60), done.returncode) == (("", ""), 0)
    assert {p.name for p in tmp_path.iterdir()} == {"watch", "runs"}
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"m.db", "artifacts"}


def test_who_leaves_while_a_store_is_made_leaves_none_that_is_half_made(
    tmp_path: Path, program: Program
) -> None:
    """Most of the making is seen as a hidden file; at its end only the store is left."""
    text = """
import glob, time
from ems.tracking import prepare
prepare("sqlite:///m.db")
while not glob.glob(".m.db.*.new"): time.sleep(0.01)
"""
    done = program(text)
    assert (done.communicate(timeout=60), done.returncode) == (("", ""), 0)
    assert [p.name for p in tmp_path.iterdir()] == []


def test_of_two_that_make_a_store_at_once_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, there = MlflowClient.search_experiments, tmp_path / "m.db"

    def meanwhile(self: MlflowClient, *args: Any, **more: Any) -> Any:
        found = search(self, *args, **more)
        if not there.exists():
            (beside,) = tmp_path.glob(".m.db.*.new")
            with closing(sqlite3.connect(beside)) as con, closing(sqlite3.connect(there)) as to:
                con.backup(to)
                to.execute("CREATE TABLE the_first (a)")
        return found

    monkeypatch.setattr(MlflowClient, "search_experiments", meanwhile)
    open_store(sqlite_uri(there))
    with closing(sqlite3.connect(there)) as con:
        assert con.execute("SELECT * FROM the_first").fetchall() == []
    assert [p.name for p in tmp_path.iterdir()] == ["m.db"]


def test_ctrl_c_while_a_run_is_being_made_ends_it(
    uri: str, runs: Callable[[str], dict[str, Run]]
) -> None:
    os.kill(mlflow_process()._process.pid, signal.SIGSTOP)  # it will be at work when Ctrl-C comes
    Timer(0.2, signal.pthread_kill, (main_thread().ident, signal.SIGINT)).start()
    Timer(0.4, os.kill, (mlflow_process()._process.pid, signal.SIGCONT)).start()
    with (
        pytest.raises(KeyboardInterrupt),
        pipeline_run(uri, experiment="hit", name="p", parameters={}),
    ):
        pytest.fail("the pipeline has started")
    (run,) = runs("hit").values()
    assert (run.info.status, run.data.tags["reason"]) == ("KILLED", "KeyboardInterrupt: ")


KILLED = """
import os, signal, time
from ems.tracking import pipeline_run
with pipeline_run("sqlite:///m.db", experiment="e", name="p", parameters={}) as run:
    run.days("home", "m", {"cost_eur": [1.0]}, [0])
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_pipeline_that_is_killed_without_a_word_has_its_runs_ended(
    tmp_path: Path, empty_store: Path, program: Program
) -> None:
    shutil.copy(empty_store, tmp_path / "m.db")
    killed = program(KILLED)
    assert (killed.communicate(timeout=60), killed.returncode) == (("", ""), -signal.SIGKILL)
    uri = sqlite_uri(tmp_path / "m.db")

    def ended() -> list[tuple[str, str]]:
        with closing(sqlite3.connect(tmp_path / "m.db")) as con:
            found = con.execute("SELECT name, status FROM runs ORDER BY name").fetchall()
        return [] if "RUNNING" in dict(found).values() else found

    assert within(20, ended) == [("home m", "KILLED"), ("p", "KILLED")]
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("e").experiment_id
    tags = [run.data.tags["reason"] for run in client.search_runs([experiment])]
    assert tags == ["the process that ran the pipeline has ended without a word"] * 2


def test_a_process_that_dies_is_told_and_replaced(uri: str) -> None:
    def pipeline() -> None:
        with pipeline_run(uri, experiment="dies", name="p", parameters={}) as run:
            dead._process.kill()
            dead._process.wait()
            run.days("home", "m", {"cost_eur": [1.0]}, [0])

    dead = mlflow_process()
    with pytest.raises(TrackingError, match="the process that writes to MLflow has ended by itsel"):
        pipeline()
    assert mlflow_process() is not dead


def test_metrics_go_out_a_thousand_at_a_time(
    uri: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, metrics: Any = (), **more: Any) -> None:
        sent.append(len(metrics))
        log_batch(self, run_id, metrics=metrics, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    writer = RunWriter(uri, "batches", {}, {})
    writer.start("p", {}, {})
    for day in range(0, 250, 25):
        numbers = range(day, day + 25)
        writer.days("home", "m", {f"k{i}": [float(n) for n in numbers] for i in range(9)}, numbers)
    writer.summary("home", "m", {"missed_kwh": 1.0}, {})
    writer.end("FINISHED")
    assert [n for n in sent if n] == [1000, 1000, 251]
    (run,) = client.search_runs([writer.experiment_id], "attributes.run_name = 'home m'")
    history = client.get_metric_history(run.info.run_id, "day/k8")
    assert {m.step: m.value for m in history} == {n: float(n) for n in range(250)}


def test_levels_of_other_loggers_are_left_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="mlflow")
    with calling("sqlite:///m.db", "do nothing"):
        assert logging.getLogger("mlflow").level > logging.CRITICAL
    assert logging.getLogger("mlflow").level == logging.DEBUG


def test_it_ends_with_its_pipeline() -> None:
    process = mlflow_process()
    process._close()
    assert not process.alive


def test_it_ends_with_its_pipeline_when_python_drops_the_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = "import ems.tracking.process as of; of._stop = lambda *_: None; of.serve()"
    monkeypatch.setattr("ems.tracking.process._PROGRAM", deaf)
    process = MlflowProcess()
    answer = process.call(0, PREPARE, sqlite_uri(tmp_path / "m.db"))
    within(20, lambda: any(tmp_path.iterdir()))  # it is at work
    assert not answer.done()
    guard = Timer(30, process._process.kill)
    guard.start()
    process._close()
    guard.cancel()
    assert process._process.returncode == 0
