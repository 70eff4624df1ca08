"""A pipeline's run is checked from what it left; every number that is changed is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import duckdb
import pytest
from mlflow import MlflowClient
from small_building import twin_database

from compliance.replay import Replayed, failures
from compliance.report import Result, result_of, table
from compliance.runs import (
    CHECKS,
    Ran,
    ended_well,
    habits_hold,
    is_stored,
    is_tracked,
    plans_hold,
    replays,
    run_pipeline,
    sharing_holds,
    ways_to_run,
)
from compliance.source import Project

ROOT = Path(__file__).resolve().parents[2]
MODE = "centralized w = 0.1 €"


pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's own


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Pipeline B leaves plans and habits."""
    script = ROOT / "scripts" / "02_integrated_pipeline.py"
    return run_pipeline(script, twin_database(), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def run(ran: Ran) -> Replayed:
    (found,) = (replayed for replayed in replays(ran) if replayed.mode == MODE)
    assert list(failures(found)) == []
    return found


SHARED = """
INSERT INTO community_home VALUES
    ('x', 'together', 'a', 'received_kwh', {received}),
    ('x', 'together', 'b', 'supplied_kwh', {supplied}),
    ('x', 'together', 'b', 'export_kwh', 2.0);
"""
UPDATE = (
    "INSERT INTO pmf_update SELECT 'run', 'home', 'washer', 'rate', DATE '2016-01-01', 'x', {n}, "
    "0.1, {js}, 0.1, 4.0, 1.0, list_transform(range(24), lambda h: {p});"
)
"""What a model may have learned, in the results database."""


@pytest.fixture
def copy(ran: Ran, tmp_path: Path) -> Ran:
    """The same run in a place where it may be spoiled."""
    there = tmp_path / "copy"
    copytree(ran.results.parent.parent, there)
    results = there / "results" / "ems_results.duckdb"
    return replace(ran, results=results, tracking_uri=f"sqlite:///{there / 'mlflow.db'}")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_run_that_is_in_order_passes(ran: Ran, check: Callable[[Ran], object]) -> None:
    assert list(check(ran)) == []  # type: ignore[call-overload]


def moved(run: Replayed, agent: str, quantity: str, by: float, step: int = 30) -> Replayed:
    values = run.series[agent, quantity].copy()
    values.iloc[step] += by
    return replace(run, series={**run.series, (agent, quantity): values})


@pytest.mark.parametrize("by", [0.01, -0.01, float("nan")])
def test_any_power_or_charge_that_is_changed_is_found(run: Replayed, by: float) -> None:
    blind = {("ev", "soc_kwh"), ("dishwasher", "started")}
    checked = [key for key in run.series if key not in blind]
    assert len(checked) > 10
    for agent, quantity in checked:
        steps = range(len(run.series[agent, quantity]))
        for step in (0, len(steps) // 2, len(steps) - 1):
            spoiled = moved(run, agent, quantity, by, step)
            assert list(failures(spoiled)), (agent, quantity, step)


def scaled(run: Replayed, agent: str, quantity: str, by: float) -> Replayed:
    series = {**run.series, (agent, quantity): run.series[agent, quantity] * by}
    return replace(run, series=series)


def told(run: Replayed, **parameters: str) -> Replayed:
    spec = {f"spec.assets.{key.replace('__', '.')}": value for key, value in parameters.items()}
    return replace(run, parameters={**run.parameters, **spec})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda run: moved(run, "base_load", "net_load_kw", 1.0), "balance: Σ net load"),
        (lambda run: moved(run, "battery", "soc_kwh", 0.1), "battery: charge account"),
        (lambda run: moved(run, "ev", "soc_kwh", 0.1), "ev: driven"),
        (lambda run: told(run, battery__capacity_kwh="1.0"), "battery: soc"),
        (lambda run: told(run, battery__max_charge_kw="0.1"), "battery: charge_kw"),
        (lambda run: told(run, battery__max_discharge_kw="0.1"), "battery: discharge_kw"),
        (lambda run: told(run, battery__round_trip_efficiency="0.9"), "battery: charge account"),
        (lambda run: told(run, battery__initial_soc_kwh="9.0"), "battery: charge account"),
        (lambda run: told(run, grid__max_export_kw="0.05"), "grid: export_kw"),
        (lambda run: scaled(run, "heat_pump", "heat_kw", 0.5), "heat_pump: heat account"),
        (lambda run: scaled(run, "heat_pump", "heat_kw", 20.0), "heat_pump: heat of its power"),
        (lambda run: scaled(run, "pv", "generation_kw", 0.5), "pv: more or less than the meter"),
        (
            lambda run: replace(run, export_eur_per_kwh=run.export_eur_per_kwh + 0.01),
            "bill_eur of the day",
        ),
        (lambda run: replace(run, days=run.days.assign(import_kwh=1.0)), "import_kwh of the day"),
        (
            lambda run: replace(
                run, series={key: v.drop(v.index[5]) for key, v in run.series.items()}
            ),
            "not equally far apart",
        ),
    ],
)
def test_what_a_plan_breaks_is_named(
    run: Replayed, spoil: Callable[[Replayed], Replayed], says: str
) -> None:
    found = list(failures(spoil(run)))
    assert any(says in line and line.startswith(MODE) for line in found), found


def test_a_script_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    script = tmp_path / "04_broken.py"
    script.write_text("raise SystemExit('error: no')")
    broken = run_pipeline(script, twin_database(), tmp_path / "run")
    assert list(ended_well(broken)) == [
        "exit code 1: error: no",
        "does not say that its data are synthetic",
    ]


def test_a_pipeline_that_offers_forecasts_is_run_on_them_too() -> None:
    ways = {
        source.path: list(ways_to_run(source))
        for source in Project.of(
            {"scripts/04_a.py": "from planning import Foresight", "scripts/05_b.py": ""}
        ).pipelines
    }
    assert ways == {"scripts/04_a.py": ["04", "04 forecast"], "scripts/05_b.py": ["05"]}


def run_ids(client: MlflowClient, *, below: bool) -> list[str]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    return [run.info.run_id for run in runs if ("mlflow.parentRunId" in run.data.tags) == below]


def test_runs_that_are_missing_open_or_untagged_are_found(copy: Ran) -> None:
    client = MlflowClient(copy.tracking_uri)
    child, *_ = run_ids(client, below=True)
    (parent,) = run_ids(client, below=False)
    client.set_terminated(child, "FAILED")
    client.delete_tag(parent, "synthetic")
    found = "; ".join(is_tracked(copy))
    assert "is FAILED" in found
    assert "has no tag synthetic" in found
    client.delete_run(parent)
    assert "0 runs with" in "; ".join(is_tracked(copy))
    assert "is not in MLflow" in "; ".join(is_stored(copy))


@pytest.mark.parametrize(
    ("sql", "check", "says"),
    [
        ("UPDATE run SET status = 'RUNNING'", is_stored, "expected one FINISHED"),
        ("DELETE FROM plan_step WHERE day = (SELECT max(day) FROM plan_step)", is_stored, "1 days"),
        ("DELETE FROM plan_step; DELETE FROM pmf_update", is_stored, "nothing is stored in"),
        (
            "UPDATE day_result SET value = value + 1 WHERE kpi = 'cost_eur'",
            plans_hold,
            "MLflow says",
        ),
        ("UPDATE plan_step SET value = value + 1 WHERE agent = 'pv'", plans_hold, "balance"),
        (UPDATE.format(n=0, js=1.5, p=1 / 24), habits_hold, "outside [0, 1]"),
        (UPDATE.format(n=0, js=0.5, p=1 / 12), habits_hold, "are no PMF"),
        (UPDATE.format(n=0, js=0.5, p=1 / 24) * 2, habits_hold, "update 0 of x follows update 0"),
        (SHARED.format(received=1.5, supplied=1.0), sharing_holds, "homes receive 1.500 kWh and"),
        (SHARED.format(received=3.0, supplied=3.0), sharing_holds, "supply 3.000 kWh of 2.000"),
    ],
)
def test_rows_that_are_changed_are_found(
    copy: Ran, sql: str, check: Callable[[Ran], object], says: str
) -> None:
    with duckdb.connect(str(copy.results)) as con:
        con.execute(sql)
    assert says in "; ".join(check(copy))  # type: ignore[arg-type]


def test_the_table_has_a_line_a_rule_and_the_findings_below() -> None:
    good = Result(name="code: plans", says="Plans ``x``.", findings=(), seconds=1.0)
    bad = result_of("01: plans hold", "Holds.\n", ["b", "a", "a"], started=0.0)
    assert good.passed
    assert not bad.passed
    lines = table([good, bad]).splitlines()
    assert lines[0].startswith("code: plans                passed      1.0 s  Plans x.")
    assert lines[1].startswith("01: plans hold             FAILED")
    assert lines[2:] == ["    a", "    b"]
