"""Pipelines A and B on forecasts as a person would call them."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from small_building import twin_database

ROOT = Path(__file__).resolve().parents[2]
A, B = "01_run.py", "02_integrated_pipeline.py"
FORECAST = ("--foresight", "forecast", "--figures", "off")


def call(script: str, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    where = ["--db", str(twin_database()), "--results", str(folder / "results")]
    where += ["--tracking_uri", f"sqlite:///{folder / 'mlflow.db'}"]
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *where, *args],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=folder,
    )


def modes(folder: Path) -> set[str]:
    with duckdb.connect(str(folder / "results/ems_results.duckdb"), read_only=True) as con:
        return {row[0] for row in con.execute("SELECT DISTINCT mode FROM day_result").fetchall()}


def metrics(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as con:
        return dict(con.execute("SELECT key, count(*) FROM latest_metrics GROUP BY key").fetchall())


def test_a_run_on_forecasts_says_what_was_captured_and_what_not_knowing_cost(
    tmp_path: Path,
) -> None:
    done = call(A, tmp_path, *FORECAST, "--n_days", "2", "--dispatch", "balance")
    assert (done.returncode, done.stderr) == (0, "")
    assert "planned on learned forecasts" in done.stdout
    assert "upper bound" not in done.stdout
    assert "share captured of what the perfect plan saves" in done.stdout
    assert re.search(r"each alone: sun -?\d+\.\d\d €, load and heat", done.stdout)
    ct = r"-?\d+\.\d ct"
    assert re.search(rf"a kWh that came otherwise cost: sun {ct}, load and heat {ct}", done.stdout)
    assert len(re.findall(rf"above the perfect plan for each of these kWh: {ct}", done.stdout)) == 3
    assert modes(tmp_path) == {
        "as_metered",
        "rule_based",
        "decentralized",
        "centralized",
        "centralized_phases",
        "pv_unknown",
        "load_unknown",
        "price_unknown",
        "devices_unknown",
        "centralized_perfect",
        "perfect_foresight",
    }
    tracked = metrics(tmp_path)
    assert tracked["total/captured_share_vs_as_metered"] == 3
    assert tracked["total/error_cost_eur_per_kwh"] == 5
    assert "total/error_cost_low_eur_per_kwh" not in tracked  # two days have no interval


def test_a_hedged_run_on_simple_forecasts(tmp_path: Path) -> None:
    args = ("--n_days", "1", "--mode", "centralized", "--forecaster", "persistence")
    done = call(A, tmp_path, *FORECAST, *args, "--risk", "hedged", "--n_scenarios", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "on persistence forecasts" in done.stdout
    assert "hedged with 5 futures" in done.stdout


def test_habits_on_forecasts(tmp_path: Path) -> None:
    done = call(B, tmp_path, *FORECAST, "--n_days", "3", "--preference_eur", "0,0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "captured vs metered" in done.stdout
    assert metrics(tmp_path)["total/captured_share_vs_rule_based"] >= 3


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--risk", "hedged"), "risk is hedged, but with perfect foresight there is none"),
        ((*FORECAST, "--n_scenarios", "30"), "n_scenarios is 30, allowed is 5 to 20"),
        ((*FORECAST, "--replan_hours", "0"), "replan_hours"),
        ((*FORECAST, "--start", "2015-10-16", "--n_days", "2"), r"days of known .* needs 28"),
    ],
)
def test_what_cannot_be_forecast_is_one_line(
    args: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    done = call(A, tmp_path, *args)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(says, done.stderr), done.stderr
