"""Pipelines B and C as a person would call them: what they leave in both stores, and bad input."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from small_building import twin_database

ROOT = Path(__file__).resolve().parents[2]
B, C = "02_integrated_pipeline.py", "03_probability_learning_optimization.py"
SMALL_GRID = ("--lr_tau_values", "5,20", "--lr_max_values", "0.05,0.15")


def call(script: str, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    where = ["--db", str(twin_database()), "--results", str(folder / "results")]
    where += ["--tracking_uri", f"sqlite:///{folder / 'mlflow.db'}"]
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *where, *args],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=folder,
    )


def tracked(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as con:
        return con.execute(sql).fetchall()


def stored(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    file = folder / "results" / "ems_results.duckdb"
    with duckdb.connect(str(file), read_only=True) as con:
        return con.execute(sql).fetchall()


def one_line(done: subprocess.CompletedProcess[str], says: str) -> None:
    """Exit code 2 and one line on stderr that says so."""
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(says, done.stderr), done.stderr


def test_every_controller_is_tracked_and_stored(tmp_path: Path) -> None:
    args = ("--n_days", "10", "--mode", "centralized_phases", "--preference_eur", "0,0.1")
    done = call(B, tmp_path, *args)
    assert (done.returncode, done.stderr) == (0, "")
    names = ("cost-only", "w = 0.1 €", "habit-only")
    for name in names:
        assert f"│ {name} " in done.stdout
    assert "knee" in done.stdout
    ((run_id,),) = stored(tmp_path, "SELECT run_id FROM run")
    figure = f"results/visualizations/{run_id[:8]}/DE_KN_residential4_frontier.png"
    assert (tmp_path / figure).is_file()
    assert figure in done.stdout
    runs = tracked(tmp_path, "SELECT name, status FROM runs ORDER BY start_time")
    children = {f"DE_KN_residential4 centralized_phases {name}" for name in names}
    assert {name for name, _ in runs} == children | {"DE_KN_residential4 centralized_phases"}
    assert {status for _, status in runs} == {"FINISHED"}
    metrics = dict(tracked(tmp_path, "SELECT key, count(*) FROM latest_metrics GROUP BY key"))
    assert metrics["total/mean_start_probability"] == 3
    modes = {row[0] for row in stored(tmp_path, "SELECT DISTINCT mode FROM day_result")}
    planned = {f"centralized_phases {name}" for name in names}
    assert modes == planned | {"as_metered", "rule_based"}
    ((updates, largest),) = stored(
        tmp_path, "SELECT count(*), max(abs(list_sum(hours) - 1)) FROM pmf_update"
    )
    assert updates > 0
    assert largest < 1e-9


def test_days_on_which_nothing_was_started_have_no_frontier(tmp_path: Path) -> None:
    """Three days after the first training: nobody washed."""
    done = call(B, tmp_path, "--n_days", "3", "--preference_eur", "0", "--mode", "centralized")
    assert (done.returncode, done.stderr) == (0, "")
    assert "knee      none, and no figure of it: no appliance was started" in done.stdout
    assert not (tmp_path / "results" / "visualizations").exists()
    assert len(list((tmp_path / "results" / "reports").glob("integrated_*.html"))) == 1
    assert stored(tmp_path, "SELECT status FROM run") == [("FINISHED",)]


def test_every_cell_is_tracked_and_every_update_stored(tmp_path: Path) -> None:
    args = ("--target_device", "dishwasher", "--figures", "off", "--test_both_priors")
    done = call(C, tmp_path, *args, *SMALL_GRID)
    assert (done.returncode, done.stderr) == (0, "")
    lines = re.findall(
        r"dishwasher: (\d+) updates, JS\(prior\)=\S+, JS\(step\)=\S+, "
        r"log loss \S+ vs uniform 4.585",
        done.stdout,
    )
    assert len(lines) == 2
    ((n_cells,),) = tracked(
        tmp_path, "SELECT count(*) FROM latest_metrics WHERE key = 'total/log_loss_bits'"
    )
    assert n_cells == 8
    taus = tracked(tmp_path, "SELECT DISTINCT value FROM params WHERE key = 'cell.rate.lr_tau'")
    assert {row[0] for row in taus} == {"5.0", "20.0"}
    counts = dict(stored(tmp_path, "SELECT model, count(*) FROM pmf_update GROUP BY model"))
    assert counts == {"rate:uniform": int(lines[0]), "rate:learned": int(lines[1])}


def test_two_workers_find_the_same(tmp_path: Path) -> None:
    printed = []
    for workers in ("1", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        args = ("--device_filter", "discrete_phase", "--test_multiple_devices", "--figures", "off")
        done = call(C, folder, *args, *SMALL_GRID, "--workers", workers)
        assert (done.returncode, done.stderr) == (0, "")
        printed.append([line for line in done.stdout.splitlines() if "updates, JS" in line])
    assert len(printed[0]) == 2
    assert printed[0] == printed[1]


@pytest.mark.parametrize(
    ("script", "args", "says"),
    [
        (C, ("--target_device", "oven"), r"no device 'oven'.*the building has: .*dishwasher"),
        (C, ("--target_device", "dishwasher", "--n_days", "10"), r"10 known days.*28 to train"),
        (C, ("--lr_tau_values", "5,x"), "--lr_tau_values: '5,x' must be numbers"),
        (C, ("--lr_max_values", ""), "--lr_max_values: '' must be numbers"),
        (C, ("--lr_tau_values", "-1"), "lr_tau = -1.0"),
        (C, ("--device_filter", "magic"), "'magic' is no category; known are discrete_phase"),
        (C, ("--building", "nope"), "'nope' is unknown; known are DE_KN_industrial3"),
        (C, ("--use_learned_priors", "--test_both_priors"), "not allowed with"),
        (C, ("--target_device", "ev", "--test_multiple_devices"), "exclude each other"),
        (B, ("--preference_eur", "-0.1"), "every weight must be a finite number >= 0"),
        (B, ("--preference_eur", "a,b"), "'a,b' must be numbers"),
        (B, ("--appliances", "off"), "appliances is off"),
        (B, ("--building", "nope"), "'nope' is unknown"),
        (B, ("--mode", "all"), "--mode: invalid choice: 'all'"),
        (B, ("--start", "2015-10-14"), r"3 known days before 2015-10-14, 14 are needed"),
        (B, ("--lr_max", "2"), "lr_max = 2.0"),
    ],
)
def test_bad_input_takes_one_line(
    tmp_path: Path, script: str, args: tuple[str, ...], says: str
) -> None:
    one_line(call(script, tmp_path, *args), says)
