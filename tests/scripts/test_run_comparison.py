"""``scripts/01_run.py`` as a person would call it, and whatever that person may get wrong."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mlflow import MlflowClient
from small_building import real_database, twin_database

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "01_run.py"
NAMES = (
    "DE_KN_industrial3",
    "DE_KN_residential1",
    "DE_KN_residential2",
    "DE_KN_residential3",
    "DE_KN_residential4",
    "DE_KN_residential5",
    "DE_KN_residential6",
)


class Place:
    """Where one test keeps its results and runs; the MLflow store is made once and copied."""

    def __init__(self, folder: Path, store: bytes | None) -> None:
        self.folder = folder
        self.results = folder / "results" / "ems_results.duckdb"
        self.store = folder / "mlflow.db"
        if store is not None:
            self.store.write_bytes(store)

    def command(self, *args: str) -> list[str]:
        where = ["--db", str(twin_database()), "--results", str(self.folder / "results")]
        where += ["--tracking_uri", f"sqlite:///{self.store}", "--figures", "off"]
        return [sys.executable, str(SCRIPT), *where, *args]  # the last of two options counts

    def call(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.folder,
        )

    def tracked(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.store)) as con:
            return con.execute(sql).fetchall()

    def found(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.results), read_only=True) as con:
            return con.execute(sql).fetchall()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty MLflow store, whose tables take MLflow seconds to make."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own use of SQLAlchemy
        MlflowClient(f"sqlite:///{file}").search_experiments()
    return file.read_bytes()


@pytest.fixture
def place(tmp_path: Path, store: bytes) -> Place:
    return Place(tmp_path, store)


def one_line(done: subprocess.CompletedProcess[str], says: str) -> None:
    """Exit code 2 and one line on stderr that says so."""
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"[^\n]+\n", done.stderr), done.stderr
    assert re.search(says, done.stderr), done.stderr
    assert "Traceback" not in done.stdout


# --- what works --------------------------------------------------------------------------------

MODES = ("as_metered", "rule_based", "decentralized", "centralized", "centralized_phases")


@pytest.mark.smoke
def test_one_mode_is_found_in_both_stores(place: Place) -> None:
    args = ("--building", "DE_KN_residential1", "--mode", "centralised", "--n_days", "5")
    done = place.call(*args, "--battery", "on")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SYNTHETIC DATA" in done.stdout
    assert "perfect foresight: upper bound" in done.stdout
    assert "DE_KN_residential1: 5 days, 2015-05-22 to 2015-05-26" in done.stdout
    for row in ("as metered", "rule-based", "centralized"):
        assert f"│ {row} " in done.stdout
    (run_id,) = re.findall(
        r"mlflow    run (\w+); open it: python scripts/launch_mlflow.py", done.stdout
    )
    modes = ("as_metered", "rule_based", "centralized", "perfect_foresight")
    assert place.found("SELECT run_id, status, synthetic, pipeline, building FROM run") == [
        (run_id, "FINISHED", True, "comparison", "DE_KN_residential1")
    ]
    counts = dict(place.found("SELECT mode, count(DISTINCT day) FROM day_result GROUP BY mode"))
    assert counts == dict.fromkeys(modes, 5)
    assert set(place.found("SELECT DISTINCT mode FROM plan_step")) == {(mode,) for mode in modes}
    runs = place.tracked("SELECT name, status FROM runs")
    names = [f"DE_KN_residential1 {name}" for name in ("centralised", *modes)]
    assert sorted(runs) == sorted((name, "FINISHED") for name in names)
    parents = place.tracked("SELECT DISTINCT value FROM tags WHERE key = 'mlflow.parentRunId'")
    assert parents == [(run_id,)]
    tags = place.tracked("SELECT DISTINCT value FROM tags WHERE key = 'synthetic'")
    assert tags == [("true",)]
    (in_both,) = place.found(
        "SELECT sum(value) FROM day_result WHERE mode = 'centralized' AND kpi = 'cost_eur'"
    )
    (tracked,) = place.tracked(
        "SELECT m.value FROM latest_metrics m JOIN runs r USING (run_uuid) "
        "WHERE m.key = 'total/cost_eur' AND r.name = 'DE_KN_residential1 centralized'"
    )
    assert tracked[0] == pytest.approx(in_both[0])
    ((days,),) = place.tracked(
        "SELECT count(*) FROM metrics m JOIN runs r USING (run_uuid) "
        "WHERE m.key = 'day/cost_eur' AND r.name = 'DE_KN_residential1 centralized'"
    )
    assert days == 5
    assert f"{tracked[0]:.2f}" in done.stdout


@pytest.mark.parametrize(
    ("args", "modes", "n_days"),
    [
        (("--mode", "decentralised", "--n_days", "3", "--battery", "off"), {"decentralized"}, 3),
        (
            ("--mode", "centralised_phases", "--n_days", "7", "--battery", "on", "--ev", "on"),
            {"centralized_phases"},
            7,
        ),
        (("--start", "2016-06-01", "--n_days", "2", "--tariff", "tou"), set(MODES[2:]), 2),
    ],
)
def test_the_commands_of_the_readme(
    place: Place, args: tuple[str, ...], modes: set[str], n_days: int
) -> None:
    done = place.call(*args)
    assert (done.returncode, done.stderr) == (0, "")
    expected = {"as_metered", "rule_based", "perfect_foresight", *modes}
    counts = dict(place.found("SELECT mode, count(DISTINCT day) FROM day_result GROUP BY mode"))
    assert counts == dict.fromkeys(expected, n_days)
    agents = {row[0] for row in place.found("SELECT DISTINCT agent FROM plan_step")}
    assert ("battery" in agents) == ("off" not in args)
    if "--start" in args:
        assert "2 days, 2016-06-01 to 2016-06-02" in done.stdout


def test_all_buildings_with_two_workers(place: Place) -> None:
    args = ("--building", "all", "--mode", "centralized", "--start", "2016-06-01")
    done = place.call(*args, "--n_days", "1", "--workers", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert dict(
        place.found("SELECT building, count(DISTINCT mode) FROM day_result GROUP BY ALL")
    ) == (dict.fromkeys(NAMES, 4))
    for name in NAMES:
        assert f"{name}, 1 day" in done.stdout
    assert place.tracked("SELECT count(*) FROM runs WHERE status = 'FINISHED'") == [(1 + 7 * 4,)]


def test_figures_are_drawn_and_kept(place: Place) -> None:
    args = ("--building", "DE_KN_residential4", "--n_days", "2", "--mode", "centralized")
    done = place.call(*args, "--figures", "on")
    assert (done.returncode, done.stderr) == (0, "")
    ((run_id,),) = place.found("SELECT run_id FROM run")
    folder = place.folder / "results" / "visualizations" / run_id[:8]
    drawn = {file.name for file in folder.iterdir()}
    for name in drawn:
        assert f"results/visualizations/{run_id[:8]}/{name}" in done.stdout
    assert drawn == {
        "DE_KN_residential4_planned_day.png",
        "DE_KN_residential4_savings_by_day.png",
        "DE_KN_residential4_cumulative_cost.png",
        "mode_overview.png",
        "energies_by_building.png",
    }
    kept = {file.name for file in (place.folder / "artifacts").rglob("*.png")}
    assert kept == drawn


def test_the_figures_of_another_run_lie_beside_them(place: Place) -> None:
    args = ("--n_days", "1", "--mode", "centralized", "--figures", "on")
    for building in ("DE_KN_residential4", "DE_KN_residential1"):
        assert place.call(*args, "--building", building).returncode == 0
    of_runs = list((place.folder / "results" / "visualizations").glob("*/mode_overview.png"))
    assert len({file.read_bytes() for file in of_runs}) == 2


def test_help_needs_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--building" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported
    heavy = {"numpy", "pandas", "duckdb", "pulp", "highspy", "mlflow", "matplotlib", "rich"}
    assert imported & heavy == set()


# --- what a person may get wrong ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--building", "nope"), "'nope' is unknown; known are " + ", ".join(NAMES)),
        (("--mode", "nope"), "--mode: invalid choice: 'nope'.*centralized.*all"),
        (("--n_days", "0"), "--n_days: '0' must be a whole number of at least 1"),
        (("--n_days", "2.5"), "--n_days: '2.5' must be a whole number"),
        (("--n_days", "9999"), "n_days is 9999, allowed is 1 to 848 from 2015-10-11"),
        (("--start", "2012-01-01"), "start is 2012-01-01, allowed is 2015-10-11 to 2018-02-04"),
        (("--start", "2016-13-01"), "--start: '2016-13-01' must be a day as YYYY-MM-DD"),
        (("--building", "all", "--n_days", "9999"), "no building has the days asked for"),
        (("--battery_kwh", "-5"), "--battery_kwh: '-5' must be a number above 0"),
        (("--battery_kw", "nan"), "--battery_kw: 'nan' must be a number above 0"),
        (("--battery_efficiency", "0"), "round_trip_efficiency is 0.0, allowed is 0 <"),
        (("--battery_efficiency", "1.1"), "round_trip_efficiency is 1.1, allowed is"),
        (("--battery_start_kwh", "16"), "initial_soc_kwh is 16.0, allowed is 0 <= .* <= 15"),
        (("--battery_start_kwh", "-1"), "initial_soc_kwh is -1.0, allowed is"),
        (("--wear_eur_per_kwh", "-1"), "battery: wear_eur_per_kwh is -1.0, allowed is"),
        (("--v2g_kw", "-3"), "--v2g_kw: .-3. must be a number of at least 0"),
        (("--heat_shift_h", "-1"), "heat_shift_h is -1.0, allowed is 0 to 24"),
        (("--lookahead_h", "25"), "lookahead_h is 25.0, allowed is 0 to 24"),
        (("--tariff", "cheap"), "tariff 'cheap': not built in"),
        (("--mip_gap", "-1"), "mip_gap is -1.0, allowed is 0 <= mip_gap < 1"),
        (("--solver", "abacus"), "abacus"),
        (("--time_limit", "0"), "--time_limit: '0' must be a number above 0"),
        (("--workers", "0"), "--workers: '0' must be a whole number"),
        (("--seed", "-1"), "--seed: '-1' must be a whole number"),
        (("--tracking_uri", "http://127.0.0.1:9"), "http://127.0.0.1:9: no connection; start it"),
        (("--tracking_uri", "ftp://x"), "tracking_uri is 'ftp://x', allowed are"),
        (("--db", "/no/such.duckdb"), "/no/such.duckdb: there is no database here; build it with"),
    ],
)
def test_bad_input_is_one_line(place: Place, args: tuple[str, ...], says: str) -> None:
    one_line(place.call(*args), says)
    assert not place.results.exists()
    assert place.tracked("SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.real_data
def test_a_start_that_cannot_be_planned_names_the_next(place: Place, shared_data: Path) -> None:
    args = ("--db", str(real_database(shared_data)), "--building", "DE_KN_residential3")
    says = "start 2016-01-05 cannot be planned: .*not ok; the next day that can is 2016-03-01"
    one_line(place.call(*args, "--start", "2016-01-05"), says)


def test_a_database_that_is_none(place: Place) -> None:
    file = place.folder / "broken.duckdb"
    file.write_bytes(b"this is no database" * 500)
    one_line(place.call("--db", str(file)), "broken.duckdb: cannot be opened .*build it with")
    cut = place.folder / "cut.duckdb"
    cut.write_bytes(twin_database().read_bytes()[:100_000])
    one_line(place.call("--db", str(cut)), "cut.duckdb: .*build it with")


def test_a_database_of_an_older_schema(place: Place) -> None:
    old = place.folder / "old.duckdb"
    old.write_bytes(twin_database().read_bytes())
    with duckdb.connect(str(old)) as con:
        con.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    one_line(place.call("--db", str(old)), "schema version is 0, expected 3.*build it with")


@pytest.mark.parametrize("below", ["afile", "/proc/nothing"])
def test_results_that_cannot_be_written(place: Place, below: str) -> None:
    (place.folder / "afile").write_text("")
    done = place.call("--n_days", "1", "--results", str(place.folder / below))
    one_line(done, "the results database cannot be opened .*; check permissions or move it away")
    assert place.tracked("SELECT DISTINCT status FROM runs") == [("FAILED",)]


def test_results_that_another_process_holds(place: Place) -> None:
    place.results.parent.mkdir()
    hold = (
        f"import duckdb, sys; con = duckdb.connect({str(place.results)!r}); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = place.call("--n_days", "1", "--building", "DE_KN_residential5")
        holder.communicate()
    one_line(done, "the results database is locked by another process; wait for it or close it")
    assert place.tracked("SELECT status FROM runs") == [("FAILED",)]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--max_import_kw", "0.1"), r"grid.import_limit: [\d.]+ kW over at 2016-06-01"),
        (("--time_limit", "0.0001"), "no proven optimum .*time limit 0.0001 s.*allow more time"),
    ],
)
def test_what_cannot_be_planned_is_failed_with_its_reason(
    place: Place, args: tuple[str, ...], says: str
) -> None:
    what = ("--building", "DE_KN_residential4", "--start", "2016-06-01", "--n_days", "1")
    says = f"DE_KN_residential4 2016-06-01 centralized: .*{says}"
    one_line(place.call(*what, "--mode", "centralized", "--battery", "off", *args), says)
    assert place.found("SELECT status FROM run") == [("FAILED",)]
    assert place.tracked("SELECT DISTINCT status FROM runs") == [("FAILED",)]
    ((reason,),) = place.tracked("SELECT value FROM tags WHERE key = 'reason'")
    assert re.search(says, reason)


# --- Ctrl-C ------------------------------------------------------------------------------------


@contextmanager
def running(place: Place, *args: str) -> Iterator[subprocess.Popen[str]]:
    """The script in a process group of its own, as a terminal gives it, ended whatever happens."""
    process = subprocess.Popen(
        place.command(*args),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if living(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def living(group: int) -> list[str]:
    """The commands of all processes of the group that are not dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                found.append((stat.parent / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
    return found


def wait_for_the_first_block(place: Place, process: subprocess.Popen[str]) -> None:
    """Its modes have runs below the pipeline's as soon as its days are kept."""
    deadline = time.monotonic() + 60
    while place.tracked("SELECT count(*) FROM runs")[0][0] < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_finished(place: Place, workers: int) -> None:
    args = ("--building", "DE_KN_residential4", "--n_days", "600", "--workers", str(workers))
    with running(place, *args) as process:
        wait_for_the_first_block(place, process)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        _out, err = process.communicate(timeout=30)
        assert err == "error: interrupted; what was finished is kept\n"
        assert process.returncode == 130
        deadline = time.monotonic() + 5
        while living(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert living(process.pid) == []
    assert place.found("SELECT status FROM run") == [("KILLED",)]
    ((n_days,),) = place.found("SELECT count(DISTINCT day) FROM day_result")
    assert n_days >= 28
    assert n_days % 28 == 0
    counts = place.found("SELECT count(DISTINCT mode) FROM day_result GROUP BY day")
    assert set(counts) == {(6,)}
    ((status,),) = place.tracked("SELECT status FROM runs WHERE name = 'DE_KN_residential4 all'")
    assert status == "KILLED"
