"""The experiment store as a later reader finds it: through MLflow's own client."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
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
from mlflow.utils.validation import _validate_param

import ems
from ems.economics.settlement import DayKpis, Savings
from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec, SolveError, TrackingError
from ems.tracking import (
    DAY_METRICS,
    LONGEST_PARAMETER,
    PACKAGES,
    RERUN_OF,
    PipelineRun,
    command_line,
    day_metrics,
    flat,
    pipeline_run,
    provenance,
    software,
    total_metrics,
)

ROOT = Path(__file__).resolve().parents[2]
Runs = Callable[[str], dict[str, Run]]

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@dataclass(frozen=True)
class Store:
    capacity_kwh: float
    initial_soc_kwh: float | None


DATA = {"source": "a meter; no licence", "hash": "0123456789" * 6, "note": "n" * 7000}


@pytest.fixture(scope="session")
def finished(uri: str, folder: Path) -> PipelineRun:
    """A run of two modes over two days with a figure."""
    figure = folder / "figure.png"
    figure.write_bytes(b"a picture")
    with pipeline_run(
        uri,
        experiment="finished",
        name="the pipeline",
        parameters={
            "building": "home",
            "n_days": 3,
            "start": "2016-03-01",
            "battery": Store(capacity_kwh=15.0, initial_soc_kwh=None),
            "ev": None,
            "limit_kw": float("inf"),
            "tariff": load_tariff("dynamic"),
            "Netz & Co": 1.5,
            "data": DATA,
        },
        tags={"synthetic": "true"},
        mode_tags={"centralized": {"perfect_foresight": "upper bound"}},
    ) as run:
        for mode, cost in (("centralized", 1.0), ("as_metered", 2.5), ("w = 1 €/h", 2.0)):
            kpis = {"cost_eur": [1.5, -0.5], "self_consumption": [None, float("nan")]}
            run.days("home", mode, kpis, [0, 2])
            run.summary("home", mode, {"cost_eur": cost, "savings_pct_vs_rule_based": None})
        run.artifact(figure)
    return run


def test_runs_are_nested_and_say_what_they_are(runs: Runs, finished: PipelineRun) -> None:
    found = runs("finished")
    assert set(found) == {
        *("the pipeline", "home centralized", "home as_metered", "home w = 1 €/h")
    }
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert {run.data.tags["synthetic"] for run in found.values()} == {"true"}
    bounds = [name for name, run in found.items() if "perfect_foresight" in run.data.tags]
    assert bounds == ["home centralized"]
    assert found.pop("the pipeline").info.run_id == finished.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {finished.run_id}
    assert finished.page.endswith(f"/runs/{finished.run_id}")


@pytest.mark.usefixtures("finished")
def test_mlflow_opens_on_runs_with_a_description_and_what_they_came_to(
    runs: Runs, client: MlflowClient
) -> None:
    experiment = client.get_experiment_by_name("finished").tags
    assert experiment["mlflow.experimentKind"] == "custom_model_development"
    assert "Runs of ems" in experiment["mlflow.note.content"]
    data = runs("finished")["the pipeline"].data
    costs = {"centralized/cost_eur": 1.0, "as_metered/cost_eur": 2.5, "w 1 h/cost_eur": 2.0}
    assert data.metrics == costs
    note = data.tags["mlflow.note.content"]
    assert "home, 3 days from 2016-03-01, a meter" in note
    assert "| as_metered | 2.50 | – | – |" in note


@pytest.mark.usefixtures("finished")
def test_days_are_steps_and_what_is_no_number_is_left_out(runs: Runs, client: MlflowClient) -> None:
    run = runs("finished")["home centralized"]
    history = client.get_metric_history(run.info.run_id, "day/cost_eur")
    assert {m.step: m.value for m in history} == {0: 1.5, 2: -0.5}
    assert run.data.metrics == {"day/cost_eur": -0.5, "total/cost_eur": 1.0}


@pytest.mark.usefixtures("finished")
def test_every_run_carries_what_it_takes_to_run_it_again(runs: Runs) -> None:
    found = runs("finished")
    expected = {
        "n_days": "3",
        "battery.capacity_kwh": "15.0",
        "battery.initial_soc_kwh": "none",
        "ev": "none",
        "limit_kw": "inf",
        "tariff.figures.vat.value": "0.19",
        "Netz _ Co": "1.5",
        "software.python": ".".join(map(str, sys.version_info[:3])),
    }
    for run in found.values():
        assert expected.items() <= run.data.params.items()
    own = {"building": "home", "mode": "as_metered"}
    assert own.items() <= found["home as_metered"].data.params.items()


def test_artifacts_lie_beside_the_store_and_hold_what_is_cut_elsewhere(
    client: MlflowClient, finished: PipelineRun, folder: Path
) -> None:
    params = client.get_run(finished.run_id).data.params
    assert len(params["data.note"]) == LONGEST_PARAMETER
    assert params["data.note"].endswith("(whole in parameters.json)")
    kept = {path.name: path for path in (folder / "artifacts").rglob(f"{finished.run_id}/*/*")}
    assert kept.keys() == {"figure.png", "parameters.json"}
    assert kept["figure.png"].read_bytes() == b"a picture"
    text = kept["parameters.json"].read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=pytest.fail)
    assert (document["data"], document["Netz & Co"]) == (DATA, 1.5)
    assert document["software"] == software()


def test_the_dataset_is_logged(client: MlflowClient, finished: PipelineRun) -> None:
    (given,) = client.get_run(finished.run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("home", DATA["hash"][:36])
    profile = {"building": "home", "n_days": 3, "start": "2016-03-01"}
    assert json.loads(given.dataset.profile) == profile
    assert get_source(given.dataset).to_dict() == {"tags": DATA}


@pytest.mark.parametrize(
    ("error", "status"), [(SolveError("no optimum"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_that_ends_early_says_why_and_keeps_what_was_logged(
    runs: Runs, uri: str, error: BaseException, status: str
) -> None:
    def half_a_pipeline() -> None:
        with pipeline_run(uri, experiment=status, name="p", parameters={}) as run:
            run.summary("home", "done", {"cost_eur": 3.0})
            run.days("home", "half", {"cost_eur": [1.0]}, [0])
            raise error

    with pytest.raises(type(error)):
        half_a_pipeline()
    found = runs(status)
    assert found["p"].info.status == found["home half"].info.status == status
    assert found["p"].data.tags["reason"] == f"{type(error).__name__}: {error}"
    assert found["home done"].info.status == "FINISHED"
    assert found["home half"].data.metrics == {"day/cost_eur": 1.0}
    assert all(run.info.end_time for run in found.values())


def test_two_pipelines_in_one_process_do_not_mix(runs: Runs, uri: str) -> None:
    with (
        pipeline_run(uri, experiment="first", name="p", parameters={"n": 1}) as first,
        pipeline_run(uri, experiment="second", name="p", parameters={"n": 2}) as second,
    ):
        first.days("home", "m", {"cost_eur": [1.0]}, [0])
        second.days("home", "m", {"cost_eur": [2.0]}, [0])
    for experiment, n, parent in (("first", 1, first), ("second", 2, second)):
        child = runs(experiment)["home m"]
        assert child.data.params["n"] == str(n)
        assert child.data.metrics["day/cost_eur"] == n
        assert child.data.tags["mlflow.parentRunId"] == parent.run_id


def test_what_a_pipeline_hands_over_wrongly_is_refused(uri: str, tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidSpec, match="home m: cost_eur has 1 values for 2 days"),
        pipeline_run(uri, experiment="wrong", name="p", parameters={}) as run,
    ):
        run.days("home", "m", {"cost_eur": [1.0]}, [0, 1])
    with (
        pytest.raises(TrackingError, match=r"gone\.png does not exist"),
        pipeline_run(uri, experiment="wrong", name="p", parameters={}) as run,
    ):
        run.artifact(tmp_path / "gone.png")


@pytest.fixture
def own_uri(folder: Path, finished: PipelineRun, tmp_path: Path) -> str:
    """A copy of the store that a test may damage."""
    assert finished.run_id
    return f"sqlite:///{shutil.copy(folder / 'mlflow.db', tmp_path / 'own.db')}"


def damage(uri: str, sql: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as con:
        con.execute(sql)
        con.commit()


def half_a_pipeline(uri: str, error: Exception | None) -> None:
    """A pipeline whose store breaks while it works."""
    with pipeline_run(uri, experiment="broken", name="p", parameters={}) as run:
        damage(uri, "DROP TABLE latest_metrics")
        run.days("home", "m", {"cost_eur": [1.0]}, [0])
        if error is not None:
            raise error
        run.summary("home", "m", {"cost_eur": 1.0})


def test_a_store_that_fails_midway_is_one_line(own_uri: str) -> None:
    with pytest.raises(TrackingError, match=r"cannot log metrics: .*no such table") as bad:
        half_a_pipeline(own_uri, None)
    assert "\n" not in str(bad.value)


def test_the_first_error_leads_when_the_store_fails_as_well(own_uri: str) -> None:
    with pytest.raises(SolveError, match="no optimum") as bad:
        half_a_pipeline(own_uri, SolveError("no optimum"))
    assert bad.value.__notes__[0].startswith("and the run could not be marked")


def last_status(uri: str) -> str:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as con:
        last = "SELECT status FROM runs ORDER BY start_time DESC LIMIT 1"
        return str(con.execute(last).fetchone()[0])


def test_a_run_that_fails_at_its_very_start_is_no_run_for_ever(
    own_uri: str, tmp_path: Path
) -> None:
    (tmp_path / "artifacts").write_text("in the way")
    with (
        pytest.raises(TrackingError, match=r"cannot keep parameters.json: .*Not a directory"),
        pipeline_run(own_uri, experiment="start", name="p", parameters={}),
    ):
        pytest.fail("the pipeline has started")
    assert last_status(own_uri) == "FAILED"


def test_what_cannot_be_kept_fails_the_run_at_its_end(own_uri: str, tmp_path: Path) -> None:
    def pipeline() -> None:
        with pipeline_run(own_uri, experiment="kept", name="p", parameters={}) as run:
            shutil.rmtree(tmp_path / "artifacts")
            (tmp_path / "artifacts").write_text("in the way")
            run.artifact(Path(__file__))

    with pytest.raises(TrackingError, match=r"cannot keep test_runs.py: .*Not a directory"):
        pipeline()
    assert last_status(own_uri) == "FAILED"


def test_a_store_of_another_schema_is_refused(own_uri: str) -> None:
    damage(own_uri, "UPDATE alembic_version SET version_num = 'older'")
    with (
        pytest.raises(TrackingError, match="out-of-date database schema"),
        pipeline_run(own_uri, experiment="e", name="p", parameters={}),
    ):
        pytest.fail("the pipeline has started")


def test_the_command_is_logged_without_a_password(
    runs: Runs, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = str(ROOT / "scripts" / "01_run.py")
    argv = [script, "--tracking_uri", "http://me:secret@host", "--tariff", "my tariff.toml"]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv(RERUN_OF, "ab12")
    with pipeline_run(uri, experiment="command", name="p", parameters={}) as run:
        run.summary("home", "m", {"cost_eur": 1.0})
    found = runs("command")
    tags = found["p"].data.tags
    command = "scripts/01_run.py --tracking_uri http://host --tariff 'my tariff.toml'"
    assert tags["command"] == command
    assert tags["mlflow.note.content"].startswith(f"`python {command}`")
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
    assert found["ems"] == ems.__version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found.get("git_commit", "0" * 40))


def test_a_package_that_lies_in_the_checkout_of_something_else_has_no_commit(
    tmp_path: Path,
) -> None:
    def git(*command: str) -> None:
        provenance.subprocess.run(["git", "-C", str(tmp_path), *command], check=True)

    assert provenance.git_commit(tmp_path) is None
    (tmp_path / "__init__.py").write_text("")
    git("init", "-q")
    git("-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "m")
    assert provenance.git_commit(tmp_path) is None
    git("add", "__init__.py")
    assert re.fullmatch(r"[0-9a-f]{40}-dirty", str(provenance.git_commit(tmp_path)))


def test_the_figures_of_days_and_modes() -> None:
    def kpis(value: float) -> DayKpis:
        return DayKpis(**{item.name: value for item in fields(DayKpis)})

    days = day_metrics([kpis(1.0), kpis(2.0)])
    assert tuple(days) == DAY_METRICS
    assert days["cost_eur"] == [1.0, 2.0]  # bill + demand charge − stored
    saved = Savings(savings_eur=4.0, stored_eur=0.5, wear_eur=0.1, savings_pct=None)
    summary: Any = SimpleNamespace(kpis=kpis(2.0), against={"rule_based": saved})
    totals = total_metrics(summary)
    assert {item.name for item in fields(DayKpis)} <= set(totals)
    derived = ("cost_eur", "with_wear_eur", "own_use_kwh")
    assert [totals[name] for name in derived] == [2.0, 4.0, 0.0]
    assert totals["savings_eur_vs_rule_based"] == 4.0
    assert totals["savings_pct_vs_rule_based"] is None


def test_the_example_of_the_documentation_runs(
    uri: str, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    figure = tmp_path / "docs" / "figures" / "planned_day.png"
    figure.parent.mkdir(parents=True)
    figure.write_bytes(b"a picture")
    assert "sqlite:///mlflow_runs/mlflow.db" in example
    exec(example.replace("sqlite:///mlflow_runs/mlflow.db", uri), {})
    assert runs("mine")["home centralized"].data.metrics == {
        "day/cost_eur": 0.8,
        "total/cost_eur": 2.0,
    }
