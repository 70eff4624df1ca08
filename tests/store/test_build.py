from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from small_store import START, building, dataset, household, sunshine

from ems.errors import DataError
from ems.store import build
from ems.store.build import build_database
from ems.store.connection import get_con, read_meta
from ems.store.ingest.opsd import read_opsd

HOME = {"grid_import": household(5), "pv": sunshine(5), "ev": household(5, seed=9)}

KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from small_store import building, dataset, household
from ems.store import build
build._write_tables = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
build.build_database(dataset(building({"grid_import": household(3)})), Path(sys.argv[1]))
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.smoke
def test_what_goes_in_is_in_the_tables(tmp_path: Path) -> None:
    target = tmp_path / "data" / "ems_data.duckdb"
    report = build_database(dataset(building(HOME)), target)
    assert names(target.parent) == ["ems_data.duckdb"]
    assert (report.n_readings, report.synthetic, len(report.data_hash)) == (3 * 120, True, 64)
    with get_con(target) as con:
        stored = con.execute(
            "SELECT energy_kwh FROM reading WHERE feed = 'ev' ORDER BY ts_utc"
        ).fetchnumpy()["energy_kwh"]
        first = con.execute("SELECT min(ts_utc) FROM reading").fetchone()
        meta = read_meta(con)
    np.testing.assert_array_equal(stored, HOME["ev"])
    assert first == (START.item(),)
    assert meta["source"] == "made for a test"
    assert meta["data_hash"] == report.data_hash


def test_what_was_measured_is_never_replaced_by_what_is_made_up(tmp_path: Path) -> None:
    target = tmp_path / "a.duckdb"
    made_up = dataset(building(HOME))
    measured = replace(made_up, meta={**made_up.meta, "synthetic": "false", "source": "my meter"})
    build_database(made_up, target)
    build_database(measured, target)
    before = target.read_bytes()
    with pytest.raises(DataError, match=r"holds measurements \(my meter\).*--source.*--db"):
        build_database(made_up, target)
    assert target.read_bytes() == before
    with duckdb.connect(str(target)) as con:
        con.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    with pytest.raises(DataError, match=r"made of \(my meter\): .*--source … --db"):
        get_con(target)
    with pytest.raises(DataError, match="holds measurements"):
        build_database(made_up, target)


def test_the_hash_follows_the_data_and_nothing_else(tmp_path: Path) -> None:
    def data_hash(feeds: Mapping[str, np.ndarray]) -> str:
        return build_database(dataset(building(feeds)), tmp_path / "a.duckdb").data_hash

    changed = HOME["pv"].copy()
    changed[7] += 0.001
    assert data_hash(HOME) == data_hash(dict(HOME))
    assert data_hash(HOME) != data_hash({**HOME, "pv": changed})


def test_the_place_is_part_of_the_hash(tmp_path: Path) -> None:
    home = building(HOME)
    hashes = {
        build_database(dataset(replace(home, place=place)), tmp_path / "a.duckdb").data_hash
        for place in (home.place, replace(home.place, subdivision="HH"), home.place)
    }
    assert len(hashes) == 2


def test_weather_is_part_of_the_hash(tmp_path: Path) -> None:
    hours = pd.date_range("2016-03-01", periods=3, freq="h")
    hashes = {
        build_database(
            replace(dataset(building(HOME)), weather=frame), tmp_path / "a.duckdb"
        ).data_hash
        for frame in (
            dataset(building(HOME)).weather,
            *(
                pd.DataFrame({"site": "made", "ts_utc": hours, "temperature_c": celsius})
                for celsius in (1.0, 2.0)
            ),
        )
    }
    assert len(hashes) == 3


def test_a_kill_in_the_middle_leaves_the_old_and_the_next_build_tidies_up(tmp_path: Path) -> None:
    target = tmp_path / "ems_data.duckdb"
    build_database(dataset(building(HOME)), target)
    before = target.read_bytes()
    code = [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(target), str(Path(__file__).parents[1])]
    killed = subprocess.run(code, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_bytes() == before
    assert ".ems_data.duckdb.tmp" in names(tmp_path)
    build_database(dataset(building(HOME)), target)
    assert names(tmp_path) == ["ems_data.duckdb"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_the_old_and_no_stray_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    target = tmp_path / "ems_data.duckdb"
    build_database(dataset(building(HOME)), target)
    before = target.read_bytes()

    def interrupt(*_: object) -> None:
        raise interruption

    monkeypatch.setattr(build, "_write_tables", interrupt)
    with pytest.raises(interruption):
        build_database(dataset(building(HOME)), target)
    assert target.read_bytes() == before
    assert names(tmp_path) == ["ems_data.duckdb"]


def test_two_builds_at_once(tmp_path: Path) -> None:
    beside = tmp_path / ".ems_data.duckdb.tmp"
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(beside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="another build is under way"):
            build_database(dataset(building(HOME)), tmp_path / "ems_data.duckdb")
        assert beside.exists()
        other.communicate("\n")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        build_database(dataset(building(HOME)), tmp_path / "data" / "ems_data.duckdb")
    (tmp_path / "ems_data.duckdb").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        build_database(dataset(building(HOME)), tmp_path / "ems_data.duckdb")
    assert names(tmp_path) == ["data", "ems_data.duckdb"]


def test_weather_has_one_site(tmp_path: Path) -> None:
    weather = pd.DataFrame(
        {"site": ["a", "b"], "ts_utc": [START, START], "temperature_c": 1.0, "ghi_w_per_m2": 0.0}
    )
    with pytest.raises(DataError, match="site has 2 values"):
        build_database(
            replace(dataset(building(HOME)), weather=weather), tmp_path / "ems_data.duckdb"
        )


@pytest.mark.parametrize("table", ["weather", "weather_forecast"])
def test_weather_is_that_of_one_place(tmp_path: Path, table: str) -> None:
    home = building(HOME)
    far = replace(home, building="far", place=replace(home.place, name="Hamburg", subdivision="HH"))
    build_database(dataset(home, far), tmp_path / "ems_data.duckdb")  # without weather it may be
    weather = pd.DataFrame({"site": ["a"], "ts_utc": [START], "temperature_c": 1.0})
    weather["issued_utc"] = START
    with pytest.raises(DataError, match=r"residential9 stands in Konstanz, far stands in Hamburg;"):
        build_database(
            replace(dataset(home, far), **{table: weather}), tmp_path / "ems_data.duckdb"
        )


def test_the_truth_of_the_twin_is_kept(tmp_path: Path) -> None:
    truth = pd.DataFrame(
        {
            "building": ["DE_KN_residential9"],
            "feed": ["ev"],
            "day_type": ["weekday"],
            "hour": [18],
            "probability": [0.4],
            "use_probability": [0.9],
        }
    )
    target = tmp_path / "ems_data.duckdb"
    build_database(replace(dataset(building(HOME)), true_pmf=truth), target)
    with get_con(target) as con:
        assert con.execute("SELECT hour, probability FROM true_pmf").fetchall() == [(18, 0.4)]


@pytest.mark.real_data
def test_the_totals_of_the_real_portfolio(shared_data: Path, tmp_path: Path) -> None:
    """The figures of the data README, each to the digits it gives; the store itself to 0.01 kWh."""
    file = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    target = tmp_path / "ems_data.duckdb"
    report = build_database(read_opsd(file), target)
    expected = {
        "industrial3": (997_633, 916_120, 28_035, 600),
        "residential1": (11_235, 9_096, 16_522, 663),
        "residential2": (2_034, 4_495, None, 1040),
        "residential3": (5_751, 5_778, 13_674, 1385),
        "residential4": (7_801, 10_247, 24_576, 849),
        "residential5": (1_696, 7_295, None, 982),
        "residential6": (1_272, 7_347, 20_495, 899),
    }
    with get_con(target) as con:
        rows = con.execute(
            "SELECT building, role, sum(energy_kwh) FROM reading JOIN feed USING (building, feed) "
            "GROUP BY ALL"
        ).fetchall()
        per_feed = con.execute(
            "SELECT building || '_' || feed, sum(energy_kwh) FROM reading GROUP BY ALL"
        ).fetchall()
    totals = {(building.removeprefix("DE_KN_"), role): kwh for building, role, kwh in rows}
    days = {row.building.removeprefix("DE_KN_"): row.days for row in report.portfolio}
    for name, (sub_meters, imported, generated, n_days) in expected.items():
        assert days[name] == n_days
        assert round(totals[name, "load"]) == sub_meters
        assert round(totals[name, "import"]) == imported
        assert (round(totals[name, "pv"]) if generated else None) == generated
    readings = pd.read_csv(file)
    for column, kwh in per_feed:
        measured = readings[column].dropna()
        assert kwh == pytest.approx(measured.iloc[-1] - measured.iloc[0], abs=0.01)
    assert totals["residential3", "pv"] == pytest.approx(13_673.661, abs=0.01)
    assert totals["residential1", "load"] == pytest.approx(11_235.188, abs=0.01)


@pytest.mark.parametrize("content", [b"# my notes\n", b"\x00" * 4096])
def test_a_file_that_is_no_measurements_database_is_never_replaced(
    tmp_path: Path, content: bytes
) -> None:
    notes = tmp_path / "notes.md"
    notes.write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.md: exists and is no measurements database"):
        build_database(dataset(building(HOME)), notes)
    assert notes.read_bytes() == content
    assert list(tmp_path.iterdir()) == [notes]


def test_a_results_database_is_never_replaced(tmp_path: Path) -> None:
    results = tmp_path / "ems_results.duckdb"
    with duckdb.connect(str(results)) as con:
        con.execute("CREATE TABLE run (run_id VARCHAR)")
    with pytest.raises(DataError, match="no measurements database"):
        build_database(dataset(building(HOME)), results)


def test_a_database_of_someone_else_is_never_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(theirs)) as con:
        con.execute("CREATE TABLE reading (book VARCHAR)")
    before = theirs.read_bytes()
    with pytest.raises(DataError, match="no measurements database"):
        build_database(dataset(building(HOME)), theirs)
    assert theirs.read_bytes() == before


def test_a_measurements_database_of_an_old_schema_or_with_damaged_data_is_replaced(
    tmp_path: Path,
) -> None:
    target = tmp_path / "ems_data.duckdb"
    build_database(dataset(building(HOME)), target)
    with duckdb.connect(str(target)) as con:
        con.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
        con.execute("DROP TABLE finding")
    build_database(dataset(building(HOME)), target)
    get_con(target).close()


@pytest.mark.parametrize("made", [{"building": "all"}, {"feed": "../pv"}])
def test_names_that_cannot_be_names_of_files_are_refused(
    tmp_path: Path, made: Mapping[str, str]
) -> None:
    data = building({made.get("feed", "grid_import"): household(3)})
    data = replace(data, building=made.get("building", data.building))
    with pytest.raises(DataError, match=r"(building 'all'|feed '\.\./pv'): allowed are"):
        build_database(dataset(data), tmp_path / "ems_data.duckdb")
    assert names(tmp_path) == []


def test_a_database_that_is_being_written_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "ems_data.duckdb"
    build_database(dataset(building(HOME)), target)
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="in use by another process"):
            build_database(dataset(building(HOME)), target)
        other.communicate("\n")


@pytest.mark.parametrize("name", ["", "."])
def test_a_target_needs_a_name(name: str) -> None:
    with pytest.raises(DataError, match="it is no file"):
        build_database(dataset(building(HOME)), Path(name))
