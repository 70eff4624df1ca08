"""``scripts/01_run.py``: what one call leaves behind, what it prints, and whatever goes wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from called_script import A, Done, call, in_process, one_line
from pipeline_run import Place
from small_building import real_database, twin_database

from ems.pipelines.spec import RULES

NAMES = ("industrial3", *(f"residential{i}" for i in range(1, 7)))
KNOWN = ", ".join(f"DE_KN_{name}" for name in NAMES)
MODES = ("as_metered", *RULES, "rule_based", "centralized", "perfect_foresight")
ONE_DAY = ("--n_days", "1", "--mode", "centralized")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- one run, in every way it can be looked at -------------------------------------------------


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Done]:
    """Five days of one building with figures and report, in a process of its own."""
    place = Place(tmp_path_factory.mktemp("run"))
    args = ("--building", "residential1", "--mode", "centralised", "--n_days", "5")
    more = ("--figures", "on", "--report", "on", "--max_export_kw", "20")
    return place, in_process(A, *place.args(*args, *more), cwd=place.folder)


@pytest.mark.smoke
def test_a_run_is_the_same_in_both_stores_and_on_the_console(ran: tuple[Place, Done]) -> None:
    place, done = ran
    assert (done.code, done.err) == (0, "")
    ((run_id,),) = place.found("SELECT run_id FROM run")
    assert place.found("SELECT status, synthetic, pipeline, building FROM run") == [
        ("FINISHED", True, "comparison", "DE_KN_residential1")
    ]
    counts = dict(place.found("SELECT mode, count(DISTINCT day) FROM day_result GROUP BY mode"))
    assert counts == dict.fromkeys(MODES, 5)
    assert {mode for (mode,) in place.found("SELECT DISTINCT mode FROM plan_step")} == {*MODES}
    names = [f"DE_KN_residential1 {name}" for name in ("centralized", *MODES)]
    runs = place.tracked("SELECT name, status FROM runs")
    assert sorted(runs) == sorted((name, "FINISHED") for name in names)
    parents = place.tracked("SELECT DISTINCT value FROM tags WHERE key = 'mlflow.parentRunId'")
    assert parents == [(run_id,)]
    ((stored,),) = place.found(
        "SELECT sum(value) FROM day_result WHERE mode = 'centralized' AND kpi = 'cost_eur'"
    )
    of_mode = "JOIN params p USING (run_uuid) WHERE p.key = 'mode' AND p.value = 'centralized'"
    below = f"{of_mode} AND run_uuid != '{run_id}'"
    ((total,),) = place.tracked(
        f"SELECT m.value FROM latest_metrics m {below} AND m.key = 'total/cost_eur'"
    )
    days = place.tracked(f"SELECT m.step FROM metrics m {below} AND m.key = 'day/cost_eur'")
    assert total == pytest.approx(stored)
    assert sorted(days) == [(i,) for i in range(5)]
    assert f"│ {total:.2f} │" in re.sub(" +", " ", done.out)


def test_the_console_says_what_is_done_what_came_out_and_where_it_is(
    ran: tuple[Place, Done],
) -> None:
    place, done = ran
    ((run_id,),) = place.found("SELECT run_id FROM run")
    steps = ("reading the", "SYNTHETIC DATA", "opening MLflow", "┃ mode", "limits    nobody plans")
    steps += ("drawing the figures", "writing the report", "mlflow    run")
    steps += ("drawing the research figures",)
    where = [done.out.index(step) for step in steps]
    assert where == sorted(where)
    assert "DE_KN_residential1: 5 days, 2015-05-22 to 2015-05-26" in done.out
    assert "perfect foresight: upper bound" in done.out
    assert "vat 19 % (" in done.out
    store = f"python scripts/launch_mlflow.py --tracking_uri sqlite:///{place.store}"
    assert f"run {run_id}; open it: {store}" in done.out
    paper = place.results / "figures" / run_id[:8]
    stems = [f"DE_KN_residential1_{name}" for name in ("heat_maps", "load_duration", "modes")]
    drawn = {f"{stem}_column.{end}" for stem in stems for end in ("png", "svg")}
    assert {file.name for file in paper.iterdir()} == drawn | {"captions.md"}
    assert f"research  results/figures/{run_id[:8]}: 3 figures, captions.md" in done.out
    folder = place.results / "visualizations" / run_id[:8]
    own = ("planned_day", "savings_by_day", "cumulative_cost")
    names = {f"DE_KN_residential1_{name}.png" for name in own}
    names |= {"mode_overview.png", "energies_by_building.png"}
    assert {file.name for file in folder.iterdir()} == names
    pages = {
        file.name for part in ("reports", "health") for file in (place.results / part).iterdir()
    }
    assert pages == {f"comparison_{run_id}.html", f"comparison_{run_id}.md"}
    health = (place.results / "health" / f"comparison_{run_id}.md").read_text(encoding="utf-8")
    assert "## DE_KN_residential1" in health
    assert f"health    results/health/comparison_{run_id}.md" in done.out
    kept = {file.name for file in (place.folder / "artifacts").rglob("*.*")}
    assert kept == names | pages | {"config.toml", "parameters.json"}
    assert all(f"/{name}" in done.out for name in names | pages)


def test_the_kept_configuration_makes_the_same_run(ran: tuple[Place, Done], place: Place) -> None:
    first, _ = ran
    (config,) = (first.results / "runs").rglob("config.toml")
    asked = tomllib.loads(config.read_text(encoding="utf-8"))
    assert asked["building"] == "residential1"
    assert asked["mode"] == "centralized"
    assert (asked["battery_kwh"], asked["figures"]) == (15.0, "on")
    assert "export" not in asked
    assert not (first.results / "exports").exists()
    assert call(A, "--config", config, *place.args()[2:], columns=120).code == 0
    sql = "SELECT day, mode, kpi, value FROM day_result WHERE kpi NOT LIKE '%_s' ORDER BY ALL"
    assert place.found(sql) == first.found(sql)
    (again,) = (place.results / "runs").rglob("config.toml")
    other = tomllib.loads(again.read_text(encoding="utf-8"))
    assert {name for name in asked if asked[name] != other[name]} == {
        *("results", "tracking_uri", "figures", "report")
    }


# --- a run on forecasts ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Done]:
    """Two days on forecasts, printed on a narrow console."""
    place = Place(tmp_path_factory.mktemp("forecast"))
    args = ("--foresight", "forecast", "--n_days", "2", "--dispatch", "balance")
    return place, place.call(A, *args, columns=80)


def test_every_table_fits_a_narrow_console(forecast: tuple[Place, Done]) -> None:
    _, done = forecast
    drawn = [line for line in done.out.splitlines() if set(line) & set("┏┃│└")]
    assert max(map(len, drawn)) <= 80
    assert "…" not in "".join(drawn).replace(" … ", "")
    assert not re.search(r"-0(\.0+)? (%|€)|\b1 days", done.out)
    for row in ("as metered", "self-consumption", "centralized_phases", "perfect plan"):
        assert done.out.count(f"│ {row} ") >= 3


def test_it_says_what_was_captured_and_what_not_knowing_cost(forecast: tuple[Place, Done]) -> None:
    place, done = forecast
    assert (done.code, done.err) == (0, "")
    assert "upper bound" not in done.out
    assert "share captured of what the perfect plan saves" in done.out
    ct = r"-?\d+\.\d ct"
    alone = r"each alone: only the sun unknown -?\d+\.\d\d €, only load and heat unknown"
    assert re.search(alone, done.words)
    assert re.search(rf"a kWh that came otherwise cost: only the sun unknown {ct}", done.words)
    assert len(re.findall(rf"above the perfect plan for each of these kWh: {ct}", done.words)) == 3
    assert place.found("SELECT count(DISTINCT mode) FROM day_result") == [(15,)]
    metrics = place.metrics()
    assert metrics["total/captured_share_vs_as_metered"] == 4
    assert metrics["total/error_cost_eur_per_kwh"] == 5
    assert "total/error_cost_low_eur_per_kwh" not in metrics  # two days have no interval


# --- options -----------------------------------------------------------------------------------


def test_a_footnote_stands_only_under_what_is_there(place: Place) -> None:
    done = place.call(A, *ONE_DAY, "--building", "residential5", "--battery", "off", "--ev", "off")
    assert done.code == 0
    assert "all days at once" not in done.out  # it is the plan of the only day
    assert "limits " not in done.out
    assert place.tracked("SELECT count(*) FROM runs") == [(1 + len(MODES),)]
    assert "battery" not in {agent for (agent,) in place.found("SELECT agent FROM plan_step")}


def test_all_buildings_with_two_workers(place: Place) -> None:
    args = ("--building", "all", *ONE_DAY, "--start", "2016-06-01", "--workers", "2")
    done = place.call(A, *args)
    assert (done.code, done.err) == (0, "")
    sql = "SELECT building, count(DISTINCT mode) FROM day_result GROUP BY ALL"
    assert dict(place.found(sql)) == dict.fromkeys((f"DE_KN_{name}" for name in NAMES), len(MODES))
    for name in NAMES:
        assert f"DE_KN_{name}, 1 day" in done.out
    assert place.tracked("SELECT count(*) FROM runs WHERE status = 'FINISHED'") == [
        (1 + 7 * len(MODES),)
    ]


def test_a_hedged_run_says_so(place: Place) -> None:
    args = ("--foresight", "forecast", *ONE_DAY, "--forecaster", "persistence", "--risk", "hedged")
    done = place.call(A, *args, "--n_scenarios", "5")
    assert (done.code, done.err) == (0, "")
    assert "hedged with 5 futures" in done.words


def test_an_export_holds_the_run_in_every_format_that_is_named(place: Place) -> None:
    done = place.call(A, *ONE_DAY, "--start", "2016-06-01", "--export", "csv,parquet,xlsx")
    assert (done.code, done.err) == (0, "")
    ((run_id,),) = place.found("SELECT run_id FROM run")
    folder = place.results / "exports" / run_id[:8]
    tables = {
        f"{name}.{end}" for name in ("days", "steps", "columns") for end in ("csv", "parquet")
    }
    assert {file.name for file in folder.iterdir()} == tables | {"results.xlsx", "README.md"}
    assert f"export    {folder}: days.csv, steps.csv" in done.out
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "**SYNTHETIC DATA: made up, not measurements.** Pipeline comparison" in readme
    days = duckdb.sql(f"SELECT mode, cost_eur FROM '{folder}/days.csv' ORDER BY ALL").fetchall()
    sql = "SELECT mode, value FROM day_result WHERE kpi = 'cost_eur' ORDER BY ALL"
    assert days == place.found(sql)
    (config,) = (place.results / "runs").rglob("config.toml")
    assert tomllib.loads(config.read_text(encoding="utf-8"))["export"] == "csv,parquet,xlsx"


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Done]:
    """Two sizes of a battery over two days."""
    place = Place(tmp_path_factory.mktemp("sizes"))
    return place, place.call(A, *SIZED, "--battery_kwh", "5,10", "--export", "csv")


SIZED = ("--start", "2016-06-01", "--n_days", "2", "--mode", "centralized")


def test_sizes_stand_in_one_table_and_every_one_is_tracked(sized: tuple[Place, Done]) -> None:
    place, done = sized
    assert (done.code, done.err) == (0, "")
    heads = ("size", "mode", "cost €", "vs metered €", "vs best rule €", "wear €", "ageing €")
    heads += ("self-suff.", "cycles", "peak kW")
    (head,) = [line for line in done.out.splitlines() if line.startswith("┃ size")]
    assert [cell.strip() for cell in head.strip("┃").split("┃")] == list(heads)
    rows = [line.strip("│").split("│") for line in done.out.splitlines() if line.startswith("│")]
    told = [[cell.strip() for cell in row] for row in rows]
    assert [row[:2] for row in told] == [
        ["as it stands", "as metered"],
        ["battery 5 kWh", "centralized"],
        ["battery 10 kWh", "centralized"],
    ]
    labels = {f"{mode} battery {kwh} kWh" for mode in MODES for kwh in (5, 10)}
    sql = "SELECT mode, count(DISTINCT day) FROM day_result GROUP BY mode"
    assert dict(place.found(sql)) == dict.fromkeys(labels, 2)
    assert place.found("SELECT pipeline, status FROM run") == [("sizes", "FINISHED")]
    names = {name for (name,) in place.tracked("SELECT name FROM runs")}
    building = "DE_KN_residential4"
    assert names == {f"{building} 2 sizes", *(f"{building} {label}" for label in labels)}
    kwh = place.tracked(
        "SELECT p.value, q.value FROM params p JOIN params q USING (run_uuid) "
        "WHERE p.key = 'mode' AND q.key = 'size.battery_kwh' AND p.value LIKE 'centralized %'"
    )
    assert sorted(kwh) == [
        ("centralized battery 10 kWh", "10.0"),
        ("centralized battery 5 kWh", "5.0"),
    ]
    (capacity,) = place.tracked(
        "SELECT DISTINCT value FROM params WHERE key = 'spec.assets.battery.capacity_kwh'"
    )
    assert capacity == ("[5.0, 10.0]",)
    (file,) = (place.results / "exports").rglob("days.csv")
    assert {mode for (mode,) in duckdb.sql(f"SELECT mode FROM '{file}'").fetchall()} == labels


def test_a_size_among_others_is_the_run_of_that_size(
    sized: tuple[Place, Done], place: Place
) -> None:
    of_sizes, done = sized
    assert place.call(A, *SIZED, "--battery_kwh", "5").code == 0
    sql = "SELECT day, kpi, value FROM day_result WHERE kpi NOT LIKE '%_s' AND mode = "
    for mode in MODES:
        alone = place.found(f"{sql}'{mode}' ORDER BY ALL")
        assert alone
        assert of_sizes.found(f"{sql}'{mode} battery 5 kWh' ORDER BY ALL") == alone
    (cost_eur,) = place.found(
        "SELECT sum(value) FROM day_result WHERE kpi = 'cost_eur' AND mode = 'centralized'"
    )
    assert f"│ battery 5 kWh │ centralized │ {cost_eur[0]:.2f} │" in re.sub(" +", " ", done.out)


def test_sizes_of_pv_are_held_against_the_metered_one(place: Place) -> None:
    done = place.call(A, *SIZED[:-1], "decentralized", "--pv_scale", "2,0.5")
    assert (done.code, done.err) == (0, "")
    assert [done.out.count(f"│ PV x {scale} ") for scale in ("1", "2", "0.5")] == [1, 1, 1]
    scales = "SELECT DISTINCT value FROM params WHERE key = 'spec.assets.pv_scale'"
    assert place.tracked(scales) == [("[1.0, 2.0, 0.5]",)]
    (config,) = (place.results / "runs").rglob("config.toml")
    assert tomllib.loads(config.read_text(encoding="utf-8"))["pv_scale"] == "2.0,0.5"


# --- what a person may get wrong ---------------------------------------------------------------

FORECAST = ("--foresight", "forecast")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--building", "nope"), f"'nope' is unknown; known are {KNOWN}"),
        (("--building", "3"), "'3' is unknown"),
        (("--n_days", "9999"), "n_days is 9999, allowed is 1 to 848 from 2015-10-11"),
        (("--start", "2012-01-01"), "start is 2012-01-01, allowed is 2015-10-11 to 2018-02-04"),
        (("--building", "all", "--n_days", "9999"), "no building has the days asked for"),
        (("--export", "pdf"), "'pdf' is unknown; known: csv, xlsx, parquet"),
        (("--battery_kwh", "5,0"), "'5,0' must be a number above 0, or several with commas"),
        (("--battery_kwh", "5,5.0"), "'5,5.0' names a size twice; name each once"),
        (("--battery_kwh", "5,9", "--battery", "off"), "battery is off, but battery_kwh names"),
        (("--pv_scale", "-1"), "'-1' must be a number of at least 0, or several with commas"),
        (("--pv_scale", "101"), "pv_scale is 101.0, allowed is 0 to 100"),
        (("--building", "residential2", "--pv_scale", "2"), "pv_scale is 2, but no PV is metered"),
        (("--battery_efficiency", "1.1"), "round_trip_efficiency is 1.1, allowed is"),
        (("--battery_start_kwh", "16"), "initial_soc_kwh is 16.0, allowed is 0 <= .* <= 15"),
        (("--heat_warmer_k", "-1"), "heat pump: warmer_k is -1.0, allowed is 0 to 20"),
        (("--lookahead_h", "25"), "lookahead_h is 25.0, allowed is 0 to 24"),
        (("--tariff", "cheap"), "tariff 'cheap': not built in"),
        (("--solver", "abacus"), "abacus"),
        (("--workers", "4096"), "workers is 4096, allowed is 1 to"),
        (("--workers", "2", "--scheduler", "tcp://h:1"), "the scheduler has workers of its own"),
        (("--risk", "hedged"), "risk is hedged, but with perfect foresight there is none"),
        ((*FORECAST, "--n_scenarios", "30"), "n_scenarios is 30, allowed is 5 to 20"),
        ((*FORECAST, "--start", "2015-10-16"), "need 28 known days .* the first day that can"),
        (("--tracking_uri", "http://127.0.0.1:9"), "http://127.0.0.1:9: no connection; start it"),
        (("--tracking_uri", "ftp://x"), "tracking_uri is 'ftp://x', allowed are"),
        (("--db", "/no/such.duckdb"), "/no/such.duckdb: there is no database here; build it with"),
        (("--results", "/proc/nothing"), "the results database cannot be opened .*permissions"),
    ],
)
def test_what_is_refused_leaves_no_run(place: Place, args: tuple[str, ...], says: str) -> None:
    one_line(place.call(A, *args), says)
    assert place.tracked("SELECT count(*) FROM runs") == [(0,)]
    assert not place.results.exists()


@pytest.mark.real_data
def test_a_start_that_cannot_be_planned_names_the_next(tmp_path: Path, shared_data: Path) -> None:
    place = Place(tmp_path, real_database(shared_data))
    says = "start 2016-01-05 cannot be planned: .*not ok; the next day that can is 2016-03-01"
    one_line(place.call(A, "--building", "residential3", "--start", "2016-01-05"), says)


def test_a_database_that_is_none_or_old(place: Place) -> None:
    whole = twin_database().read_bytes()
    file = place.folder / "x.duckdb"
    for content in (b"this is no database" * 500, whole[:100_000]):
        file.write_bytes(content)
        one_line(place.call(A, "--db", file), "x.duckdb: .*build it with")
    file.write_bytes(whole)
    with duckdb.connect(str(file)) as con:
        con.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    one_line(place.call(A, "--db", file), "schema version is 0, expected 3.*build it with")


def test_results_that_another_process_holds(place: Place) -> None:
    place.results.mkdir()
    file = place.results / "ems_results.duckdb"
    hold = f"import duckdb, sys; con = duckdb.connect({str(file)!r}); print(1, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ems.store.connection.LOCK_PATIENCE_S", 0.2)
            done = place.call(A, *ONE_DAY)
        holder.communicate()
    one_line(done, "the results database is locked by another process; wait for it or close it")
    assert place.tracked("SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--max_import_kw", "0.1"), r"grid.import_limit: [\d.]+ kW over at 2016-06-0"),
        (("--time_limit", "0.0001"), "no proven optimum .*time limit 0.0001 s.*allow more time"),
    ],
)
def test_what_cannot_be_planned_is_failed_with_its_reason(
    place: Place, args: tuple[str, ...], says: str
) -> None:
    says = f"DE_KN_residential4 2016-06-01 perfect_foresight: .*{says}"
    one_line(place.call(A, "--start", "2016-06-01", *ONE_DAY, "--battery", "off", *args), says)
    assert place.found("SELECT status FROM run") == [("FAILED",)]
    assert place.tracked("SELECT DISTINCT status FROM runs") == [("FAILED",)]
    ((reason,),) = place.tracked("SELECT value FROM tags WHERE key = 'reason'")
    assert re.search(says, reason)


# --- Ctrl-C ------------------------------------------------------------------------------------


@contextmanager
def running(place: Place, *args: str) -> Iterator[subprocess.Popen[str]]:
    """The script in a process group of its own, as a terminal gives it, ended whatever happens."""
    process = subprocess.Popen(
        [sys.executable, *place.command(A, *args)],
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


def until(condition: object, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_finished(place: Place, workers: int) -> None:
    args = ("--n_days", "600", "--mode", "decentralized", "--workers", str(workers))
    with running(place, *args) as process:
        # its modes have runs below the pipeline's as soon as its days are kept
        until(lambda: place.tracked("SELECT count(*) FROM runs")[0][0] >= 2, process)
        os.killpg(process.pid, signal.SIGINT)
        _out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (130, "error: interrupted; what was finished is kept\n")
        deadline = time.monotonic() + 5
        while living(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert living(process.pid) == []
    assert place.found("SELECT status FROM run") == [("KILLED",)]
    ((n_days, n_modes),) = place.found(
        "SELECT count(DISTINCT day), count(DISTINCT (day, mode)) FROM day_result"
    )
    assert n_days >= 500
    assert n_modes in (n_days, 2 * n_days, 3 * n_days)  # whole modes
    sql = "SELECT status FROM runs WHERE name = 'DE_KN_residential4 as_metered' LIMIT 1"
    assert place.tracked(sql) == [("KILLED",)]
