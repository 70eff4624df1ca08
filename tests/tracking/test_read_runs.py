"""Runs as ``RunStore`` finds them, in a store that the pipelines' own writer has made."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ems.errors import InvalidSpec, SolveError, TrackingError
from ems.tracking import pipeline_run, sqlite_uri
from ems.tracking.read import RunStore, TrackedRun, unfinished


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """Three pipelines of one experiment, the last of them failed, and one of another."""
    folder = tmp_path_factory.mktemp("runs")
    uri = sqlite_uri(Path(shutil.copy(empty_store, folder / "mlflow.db")))
    for n in (1, 2):
        with pipeline_run(uri, experiment="a", name=f"p{n}", parameters={"n": n}) as run:
            run.days("home", "m", {"cost_eur": [1.0, float(n)]}, [0, 1])
            run.summary("home", "m", {"cost_eur": 10.0 * n})
    with (
        pytest.raises(SolveError),
        pipeline_run(uri, experiment="a", name="p3", parameters={"n": 3}),
    ):
        raise SolveError("no optimum")
    with pipeline_run(uri, experiment="b", name="other", parameters={}):
        pass
    return uri


@pytest.fixture
def store(uri: str) -> Iterator[RunStore]:
    return RunStore(uri)


def named(store: RunStore, name: str) -> TrackedRun:
    (run,) = store.find(f"attributes.run_name = '{name}'")
    return run


def test_runs_of_all_experiments_and_of_some(store: RunStore) -> None:
    assert {r.name for r in store.find()} == {"p1", "p2", "p3", "other", "home m"}
    assert {r.name for r in store.find(experiments=["b"])} == {"other"}
    found = store.find("params.n = '2' AND metrics.`total/cost_eur` > 15")
    assert [(r.name, r.metrics["total/cost_eur"], r.experiment) for r in found] == [
        ("home m", 20.0, "a")
    ]
    with pytest.raises(InvalidSpec, match="experiment 'c' is unknown; known are Default, a, b"):
        store.find(experiments=["c"])


def test_many_pages(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {r.run_id for r in store.find()}
    monkeypatch.setattr("ems.tracking.read.RUNS_PER_CALL", 2)
    found = store.find()
    assert len(found) == len(everything) == 6
    assert {r.run_id for r in found} == everything


@pytest.mark.parametrize("where", ["bad =", "metrics.x = 'text'", "((", "nothing.x = 1"])
def test_a_filter_that_is_none(store: RunStore, where: str) -> None:
    with pytest.raises(InvalidSpec, match="MLflow's filters look like") as bad:
        store.find(where)
    assert "\n" not in str(bad.value)


def test_a_run_by_the_start_of_its_id(store: RunStore) -> None:
    run = named(store, "p1")
    assert store.get(run.run_id[:8]).name == store.get(run.run_id).name == "p1"
    with pytest.raises(InvalidSpec, match="no run's id starts with 'zzz'"):
        store.get("zzz")
    for text in ("", "%", "a'b", "ab_"):
        with pytest.raises(InvalidSpec, match="is no id of a run"):
            store.get(text)


def test_an_id_that_is_not_unique(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = named(store, "p1")
    twin = replace(run, run_id=run.run_id[:4] + "x" * 28)
    monkeypatch.setattr(store, "find", lambda *_: [run, twin])
    with pytest.raises(InvalidSpec, match=f"2 runs start with '{run.run_id[:4]}'.*give more"):
        store.get(run.run_id[:4])


def test_above_and_below(store: RunStore) -> None:
    parent = named(store, "p2")
    (child,) = store.below(parent)
    assert (child.name, child.parent_id) == ("home m", parent.run_id)
    assert store.pipeline_of(child).run_id == store.pipeline_of(parent).run_id == parent.run_id
    assert store.series(child) == {
        ("day/cost_eur", 0): 1.0,
        ("day/cost_eur", 1): 2.0,
        ("total/cost_eur", 0): 20.0,
    }
    assert (child.duration_s or -1) >= 0


def test_what_did_not_come_to_its_end(store: RunStore) -> None:
    runs = store.find(experiments=["a"])
    now = max(run.started_utc for run in runs)
    ((failed, reason),) = unfinished(runs, now_utc=now, stale_h=1)
    assert (failed.name, reason) == ("p3", "SolveError: no optimum")
    open_ = replace(named(store, "p1"), status="RUNNING", ended_utc=None)
    assert open_.duration_s is None
    later = open_.started_utc + timedelta(hours=2)
    assert unfinished([open_], now_utc=later, stale_h=3) == []
    ((run, reason),) = unfinished([open_], now_utc=later, stale_h=1)
    assert (run, reason[:17]) == (open_, "RUNNING for 2.0 h")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="make some with: python scripts/01_run"):
        RunStore(sqlite_uri(tmp_path / "m.db"))
    assert list(tmp_path.iterdir()) == []


def test_it_agrees_with_mlflows_own_client(store: RunStore, uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own use of SQLAlchemy
        theirs = MlflowClient(uri).get_run(named(store, "p2").run_id)
    ours = named(store, "p2")
    assert ours.parameters == theirs.data.params
    assert ours.metrics == theirs.data.metrics
    assert round(ours.started_utc.timestamp() * 1000) == theirs.info.start_time
