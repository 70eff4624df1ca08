"""The experiment store as a later reader finds it: through MLflow's own client."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.data import get_source
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_param
from outside_server import serving

from ems.economics.settlement import DayKpis, Savings
from ems.economics.tariff import load_tariff
from ems.errors import InvalidSpec, SolveError, TrackingError
from ems.tracking import (
    DAY_METRICS,
    LONGEST_PARAMETER,
    PACKAGES,
    RERUN_OF,
    PipelineRun,
    check_store,
    command_line,
    day_metrics,
    flat,
    pipeline_run,
    provenance,
    software,
    sqlite_uri,
    store,
    store_uri,
    total_metrics,
)

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests: to create one takes seconds."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def uri(folder: Path) -> str:
    return sqlite_uri(folder / "mlflow.db")


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri, registry_uri=uri)


def runs(client: MlflowClient, experiment: str) -> dict[str, Run]:
    """The runs of an experiment by name."""
    found = client.get_experiment_by_name(experiment)
    return {run.info.run_name: run for run in client.search_runs([found.experiment_id])}


def series(client: MlflowClient, run: Run, name: str) -> dict[int, float]:
    return {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)}


@dataclass(frozen=True)
class Store:
    capacity_kwh: float
    initial_soc_kwh: float | None


@pytest.fixture(scope="module")
def finished(uri: str, folder: Path) -> PipelineRun:
    """A run of two modes over two days with a figure."""
    figure = folder / "figure.png"
    figure.write_bytes(b"a picture")
    with pipeline_run(
        uri,
        experiment="finished",
        name="the pipeline",
        parameters={
            "seed": 7,
            "battery": Store(capacity_kwh=15.0, initial_soc_kwh=None),
            "ev": None,
            "limit_kw": float("inf"),
            "tariff": load_tariff("dynamic"),
            "Netz & Co": 1.5,
            "data": {"hash": "ab12", "note": "n" * 7000},
        },
        tags={"synthetic": "true"},
        mode_tags={"centralized": {"perfect_foresight": "upper bound"}},
    ) as run:
        for mode in ("centralized", "as_metered"):
            kpis = {"cost_eur": [1.5, -0.5], "self_consumption": [None, float("nan")]}
            run.days("home", mode, kpis, [0, 2])
            run.summary("home", mode, {"cost_eur": 1.0, "savings_pct_vs_rule_based": None})
        run.artifact(figure)
    return run


def test_runs_are_nested_and_finished(client: MlflowClient, finished: PipelineRun) -> None:
    found = runs(client, "finished")
    assert set(found) == {"the pipeline", "home centralized", "home as_metered"}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    parent = found.pop("the pipeline")
    assert parent.info.run_id == finished.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {finished.run_id}
    assert finished.page.endswith(f"/runs/{finished.run_id}")


@pytest.mark.usefixtures("finished")
def test_days_are_steps_and_what_is_no_number_is_left_out(client: MlflowClient) -> None:
    run = runs(client, "finished")["home centralized"]
    assert series(client, run, "day/cost_eur") == {0: 1.5, 2: -0.5}
    assert run.data.metrics == {"day/cost_eur": -0.5, "total/cost_eur": 1.0}


@pytest.mark.usefixtures("finished")
def test_every_run_carries_what_it_takes_to_run_it_again(client: MlflowClient) -> None:
    found = runs(client, "finished")
    expected = {
        "seed": "7",
        "battery.capacity_kwh": "15.0",
        "battery.initial_soc_kwh": "none",
        "ev": "none",
        "limit_kw": "inf",
        "tariff.figures.vat.value": "0.19",
        "Netz _ Co": "1.5",
        "data.hash": "ab12",
        "software.python": ".".join(map(str, sys.version_info[:3])),
    }
    for run in found.values():
        assert expected.items() <= run.data.params.items()
    own = {"building": "home", "mode": "as_metered"}
    assert own.items() <= found["home as_metered"].data.params.items()


def test_a_long_parameter_is_cut_and_whole_in_the_document(
    client: MlflowClient, finished: PipelineRun, tmp_path: Path
) -> None:
    params = client.get_run(finished.run_id).data.params
    assert len(params["data.note"]) == LONGEST_PARAMETER
    assert params["data.note"].endswith("(whole in parameters.json)")
    path = client.download_artifacts(finished.run_id, "parameters.json", str(tmp_path))
    document = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert document["data"]["note"] == "n" * 7000
    assert document["Netz & Co"] == 1.5
    assert document["software"] == software()


@pytest.mark.usefixtures("finished")
def test_tags_say_what_is_synthetic_and_which_modes_are_bounds(client: MlflowClient) -> None:
    found = runs(client, "finished")
    assert {run.data.tags["synthetic"] for run in found.values()} == {"true"}
    assert [n for n, r in found.items() if "perfect_foresight" in r.data.tags] == [
        "home centralized"
    ]


def test_artifacts_lie_beside_the_store(
    client: MlflowClient, finished: PipelineRun, folder: Path
) -> None:
    kept = {item.path for item in client.list_artifacts(finished.run_id)}
    assert kept == {"figure.png", "parameters.json"}
    (copy,) = (folder / "artifacts").rglob("figure.png")
    assert copy.read_bytes() == b"a picture"


def test_an_artifact_that_is_not_there(uri: str, tmp_path: Path) -> None:
    with (
        pytest.raises(TrackingError, match=r"gone\.png does not exist"),
        pipeline_run(uri, experiment="gone", name="p", parameters={}) as run,
    ):
        run.artifact(tmp_path / "gone.png")


@pytest.mark.parametrize(
    ("error", "status"), [(SolveError("no optimum"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_that_ends_early_says_why_and_keeps_what_was_logged(
    client: MlflowClient, uri: str, error: BaseException, status: str
) -> None:
    def half_a_pipeline() -> None:
        with pipeline_run(uri, experiment=status, name="p", parameters={}) as run:
            run.summary("home", "done", {"cost_eur": 3.0})
            run.days("home", "half", {"cost_eur": [1.0]}, [0])
            raise error

    with pytest.raises(type(error)):
        half_a_pipeline()
    found = runs(client, status)
    assert found["p"].info.status == found["home half"].info.status == status
    assert found["p"].data.tags["reason"] == f"{type(error).__name__}: {error}"
    assert found["home done"].info.status == "FINISHED"
    assert found["home half"].data.metrics == {"day/cost_eur": 1.0}
    assert all(run.info.end_time for run in found.values())


def test_two_pipelines_in_one_process_do_not_mix(client: MlflowClient, uri: str) -> None:
    with (
        pipeline_run(uri, experiment="first", name="p", parameters={"n": 1}) as first,
        pipeline_run(uri, experiment="second", name="p", parameters={"n": 2}) as second,
    ):
        first.days("home", "m", {"cost_eur": [1.0]}, [0])
        second.days("home", "m", {"cost_eur": [2.0]}, [0])
    for experiment, n, parent in (("first", 1, first), ("second", 2, second)):
        child = runs(client, experiment)["home m"]
        assert child.data.params["n"] == str(n)
        assert child.data.metrics["day/cost_eur"] == n
        assert child.data.tags["mlflow.parentRunId"] == parent.run_id


def test_metrics_go_out_a_thousand_at_a_time(
    client: MlflowClient, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, metrics: Any = (), **more: Any) -> None:
        sent.append(len(metrics))
        log_batch(self, run_id, metrics=metrics, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    with pipeline_run(uri, experiment="batches", name="p", parameters={}) as run:
        for day in range(0, 250, 25):
            numbers = range(day, day + 25)
            run.days("home", "m", {f"k{i}": [float(n) for n in numbers] for i in range(9)}, numbers)
        run.summary("home", "m", {"cost_eur": 1.0})
    assert [n for n in sent if n] == [1000, 1000, 251]
    assert series(client, runs(client, "batches")["home m"], "day/k8") == {
        n: float(n) for n in range(250)
    }


def test_a_column_of_another_length_is_refused(uri: str) -> None:
    with (
        pytest.raises(InvalidSpec, match="home m: cost_eur has 1 values for 2 days"),
        pipeline_run(uri, experiment="lengths", name="p", parameters={}) as run,
    ):
        run.days("home", "m", {"cost_eur": [1.0]}, [0, 1])


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that stops taking metrics."""
    log_batch = MlflowClient.log_batch

    def refuse(self: MlflowClient, run_id: str, metrics: Any = (), **more: Any) -> None:
        if metrics:
            raise MlflowException("disk full\nand a long story")
        log_batch(self, run_id, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)


@pytest.mark.usefixtures("broken")
def test_a_store_that_fails_midway_is_one_line(uri: str) -> None:
    with (
        pytest.raises(TrackingError, match="cannot log metrics: disk full; check the store") as bad,
        pipeline_run(uri, experiment="broken", name="p", parameters={}) as run,
    ):
        run.days("home", "m", {"cost_eur": [1.0]}, [0])
    assert "\n" not in str(bad.value)


@pytest.mark.usefixtures("broken")
def test_the_first_error_leads_when_the_store_fails_as_well(uri: str) -> None:
    def half_a_pipeline() -> None:
        with pipeline_run(uri, experiment="broken", name="p", parameters={}) as run:
            run.days("home", "m", {"cost_eur": [1.0]}, [0])
            raise SolveError("no optimum")

    with pytest.raises(SolveError, match="no optimum") as bad:
        half_a_pipeline()
    assert bad.value.__notes__[0].startswith("and the run could not be marked")


def test_a_run_that_fails_at_its_very_start_is_no_run_for_ever(
    uri: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("no room")

    monkeypatch.setattr(MlflowClient, "log_text", refuse)
    assert "cannot keep parameters.json: no room" in refused(uri)
    assert runs(client, "e")["p"].info.status == "FAILED"


@pytest.mark.parametrize(
    "text",
    [
        "file:///runs",
        "mlruns",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "http://",
        "sqlite:///a%20b.db",
        "sqlite:///a.db?mode=ro",
        "postgresql://me:secret@host/db",
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(TrackingError, match="allowed are sqlite:///PATH") as bad:
        store_uri(text)
    assert "secret" not in str(bad.value)


def test_addresses_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri("sqlite:///runs/ü b.db") == f"sqlite:///{tmp_path}/runs/ü b.db"
    assert store_uri(f"sqlite:///{tmp_path}/m.db") == f"sqlite:///{tmp_path}/m.db"
    assert store_uri("https://mlflow.example.org/") == "https://mlflow.example.org"


def refused(uri: str) -> str:
    """The one line with which a store is refused before any work."""
    with (
        pytest.raises(TrackingError) as bad,
        pipeline_run(uri, experiment="e", name="p", parameters={}),
    ):
        pytest.fail("the pipeline has started")
    assert "\n" not in str(bad.value)
    return str(bad.value)


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "bad.db").write_text("no database at all, and long enough to tell" * 9)
    (tmp_path / "dir.db").mkdir()
    assert "File exists" in refused(sqlite_uri(tmp_path / "file" / "m.db"))
    assert "not a database" in refused(sqlite_uri(tmp_path / "bad.db"))
    assert "unable to open" in refused(sqlite_uri(tmp_path / "dir.db"))


def test_the_cause_is_shown_and_not_the_advice_to_programmers(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SQLAlchemy words it when the folder of the store may not be written."""

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException(
            "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush "
            "block if this flush is occurring prematurely)\n(sqlite3.OperationalError) attempt to "
            "write a readonly database\n[SQL: INSERT INTO runs …]"
        )

    monkeypatch.setattr(MlflowClient, "create_run", refuse)
    shown = refused(uri)
    assert "cannot start the run p: (sqlite3.OperationalError) attempt to write a read" in shown
    assert "autoflush" not in shown


def test_a_store_that_another_program_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "OPENING_S", 0.1)
    with closing(sqlite3.connect(tmp_path / "m.db", isolation_level=None)) as con:
        con.execute("BEGIN EXCLUSIVE")
        assert "locked" in refused(sqlite_uri(tmp_path / "m.db"))


def test_a_store_of_another_schema_is_refused(
    uri: str, folder: Path, finished: PipelineRun, tmp_path: Path
) -> None:
    assert finished.uri == uri
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(folder / "mlflow.db")) as con, closing(sqlite3.connect(old)) as to:
        con.backup(to)
        to.execute("UPDATE alembic_version SET version_num = 'older'")
        to.commit()
    assert "out-of-date database schema" in refused(sqlite_uri(old))


def test_a_server_that_is_not_there_is_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    said = refused(f"http://me:secret@127.0.0.1:{port}")
    assert f"MLflow server http://127.0.0.1:{port}: no connection" in said


def test_a_server_that_never_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "OPENING_S", 0.1)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        said = refused(f"http://127.0.0.1:{deaf.getsockname()[1]}")
    assert "no answer within 0.1 s" in said


def test_a_server_of_something_else_is_refused() -> None:
    with serving() as other:
        assert "error code 404" in refused(other.url)


def test_levels_of_other_loggers_are_left_as_they_were(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="mlflow")
    check_store(uri)
    assert logging.getLogger("mlflow").level == logging.DEBUG


CLEAN = """
import os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        os.write(2, f"{event} {args}".encode())
        os._exit(9)
sys.addaudithook(watch)
from ems.tracking import pipeline_run
with pipeline_run("sqlite:///runs/m.db", experiment="e", name="p", parameters={}) as run:
    run.summary("home", "m", {"cost_eur": 1.0})
"""


def test_a_fresh_store_makes_no_noise_no_call_and_no_other_file(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PYTEST", "CI"))}
    done = subprocess.run(
        [sys.executable, "-c", CLEAN],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {p.name for p in tmp_path.iterdir()} == {"runs"}
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"m.db", "artifacts"}


STOPPED = """
import os, signal
from mlflow import MlflowClient
from ems.tracking import pipeline_run
search = MlflowClient.search_experiments
def stop(self, *args, **more):
    search(self, *args, **more)
    os.kill(os.getpid(), signal.%s)
    for _ in range(10**7): pass
MlflowClient.search_experiments = stop
with pipeline_run("sqlite:///m.db", experiment="e", name="p", parameters={}):
    print("it has started")
"""


def run_in(folder: Path, program: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_who_stops_the_making_of_a_store_leaves_none_that_is_half_made(tmp_path: Path) -> None:
    done = run_in(tmp_path, STOPPED % "SIGINT")
    assert "KeyboardInterrupt" in done.stderr
    assert list(tmp_path.iterdir()) == []
    run_in(tmp_path, STOPPED % "SIGKILL")
    assert not (tmp_path / "m.db").exists()  # a hidden file beside it may be left


def test_of_two_that_make_a_store_at_once_the_first_wins(
    tmp_path: Path, folder: Path, finished: PipelineRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finished.run_id
    search = MlflowClient.search_experiments

    def meanwhile(self: MlflowClient, *args: Any, **more: Any) -> Any:
        made, there = sqlite3.connect(folder / "mlflow.db"), sqlite3.connect(tmp_path / "m.db")
        with closing(made) as con, closing(there) as to:
            con.backup(to)
        return search(self, *args, **more)

    monkeypatch.setattr(MlflowClient, "search_experiments", meanwhile)
    uri = sqlite_uri(tmp_path / "m.db")
    with pipeline_run(uri, experiment="finished", name="q", parameters={}):
        pass
    assert {"the pipeline", "q"} <= set(runs(MlflowClient(uri), "finished"))
    assert {p.name for p in tmp_path.iterdir()} == {"m.db"}


@pytest.mark.parametrize("sql", ["CREATE TABLE mine (a)", "CREATE TABLE alembic_version (v)"])
def test_a_file_that_is_no_complete_store_is_refused_and_kept(tmp_path: Path, sql: str) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as con:
        con.execute(sql)
    assert "m.db: no complete MLflow store (its creation was interrupted" in refused(
        sqlite_uri(tmp_path / "m.db")
    )
    assert (tmp_path / "m.db").stat().st_size > 0


@pytest.mark.parametrize("at", ["p", "home m"])
def test_a_run_hit_between_its_making_and_its_noting_is_ended(
    client: MlflowClient, uri: str, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    create_run = MlflowClient.create_run

    def hit(self: MlflowClient, *args: Any, run_name: str, **more: Any) -> Run:
        run = create_run(self, *args, run_name=run_name, **more)
        if run_name == at:
            raise KeyboardInterrupt
        return run

    def stopped_pipeline() -> None:
        with pipeline_run(uri, experiment=f"hit {at}", name="p", parameters={}) as run:
            run.days("home", "m", {"cost_eur": [1.0]}, [0])

    monkeypatch.setattr(MlflowClient, "create_run", hit)
    with pytest.raises(KeyboardInterrupt):
        stopped_pipeline()
    found = runs(client, f"hit {at}")
    assert at in found
    assert {run.info.status for run in found.values()} == {"KILLED"}
    assert {run.data.tags["reason"] for run in found.values()} == {"KeyboardInterrupt: "}


def test_the_dataset_is_logged(client: MlflowClient, uri: str) -> None:
    data = {"source": "a meter; no licence", "hash": "0123456789" * 6, "db": "x.duckdb"}
    parameters = {"building": "home", "n_days": 3, "start": "2016-03-01", "data": data, "x": 1}
    with pipeline_run(uri, experiment="dataset", name="p", parameters=parameters) as run:
        pass
    (given,) = client.get_run(run.run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("home", data["hash"][:36])
    assert json.loads(given.dataset.source) == {"tags": data}
    profile = {"building": "home", "n_days": 3, "start": "2016-03-01"}
    assert json.loads(given.dataset.profile) == profile
    assert get_source(given.dataset).to_dict() == {"tags": data}


def test_the_command_is_logged_without_a_password(
    client: MlflowClient, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = str(ROOT / "scripts" / "01_run.py")
    argv = [script, "--tracking_uri", "http://me:secret@host", "--tariff", "my tariff.toml"]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv(RERUN_OF, "ab12")
    with pipeline_run(uri, experiment="command", name="p", parameters={}) as run:
        run.summary("home", "m", {"cost_eur": 1.0})
    found = runs(client, "command")
    tags = found["p"].data.tags
    assert tags["command"] == (
        "scripts/01_run.py --tracking_uri http://host --tariff 'my tariff.toml'"
    )
    assert (tags["folder"], tags["rerun_of"]) == (str(Path.cwd()), "ab12")
    assert tags["mlflow.source.name"] == "scripts/01_run.py"
    assert "rerun_of" not in found["home m"].data.tags
    for other in ("-c", "", "/usr/bin/pytest", str(ROOT / "scripts" / "x.sh")):
        monkeypatch.setattr(sys, "argv", [other])
        assert command_line() is None


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), nested))
@example({".": 1, "..": {"/": 2}, "k" * 300: 3, "": 4})
def test_any_parameters_have_names_and_values_that_mlflow_takes(values: dict[str, object]) -> None:
    for name, value in flat(values).items():
        _validate_param(name, value[:10])
        assert isinstance(value, str)


def test_versions_and_the_commit_are_known() -> None:
    found = software()
    assert {"python", *PACKAGES} <= set(found)
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found.get("git_commit", "0" * 40))


def test_a_package_that_lies_in_the_checkout_of_something_else_has_no_commit(
    tmp_path: Path,
) -> None:
    assert provenance.git_commit(tmp_path) is None
    (tmp_path / "__init__.py").write_text("")
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "m"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert provenance.git_commit(tmp_path) is None
    subprocess.run(["git", "-C", str(tmp_path), "add", "__init__.py"], check=True)
    assert re.fullmatch(r"[0-9a-f]{40}-dirty", str(provenance.git_commit(tmp_path)))


def kpis(value: float) -> DayKpis:
    return DayKpis(**{item.name: value for item in fields(DayKpis)})


def test_the_figures_of_days_and_modes() -> None:
    days = day_metrics([kpis(1.0), kpis(2.0)])
    assert tuple(days) == DAY_METRICS
    assert days["cost_eur"] == [3.0, 6.0]  # bill + demand charge + wear
    saved = Savings(savings_eur=4.0, stored_eur=0.5, savings_pct=None)
    summary: Any = SimpleNamespace(kpis=kpis(2.0), against={"rule_based": saved})
    totals = total_metrics(summary)
    assert {item.name for item in fields(DayKpis)} <= set(totals)
    assert totals["cost_eur"] == 6.0
    assert totals["stored_eur"] == 6.0  # closed 2 € and 2 kWh at 2 €/kWh
    assert totals["own_use_kwh"] == 0.0
    assert totals["savings_eur_vs_rule_based"] == 4.0
    assert totals["savings_pct_vs_rule_based"] is None


def test_the_example_of_the_documentation_runs(
    uri: str, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    figure = tmp_path / "docs" / "figures" / "planned_day.png"
    figure.parent.mkdir(parents=True)
    figure.write_bytes(b"a picture")
    assert "sqlite:///mlflow_runs/mlflow.db" in example
    names = {"battery": Store(capacity_kwh=15.0, initial_soc_kwh=8.0), "Path": Path}
    exec(example.replace("sqlite:///mlflow_runs/mlflow.db", uri), names)
    child = runs(client, "mine")["home centralized"]
    assert child.data.metrics == {"day/cost_eur": 0.8, "total/cost_eur": 2.0}
