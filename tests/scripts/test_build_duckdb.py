"""``scripts/build_duckdb.py`` as a person calls it."""

from __future__ import annotations

import gzip
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from called_script import ROOT, SCRIPTS, Done, call, in_process
from outside_server import Answer, OutsideServer, energy_charts, open_meteo, serving

NAME = "build_duckdb.py"
EXAMPLE = ROOT / "docs" / "own_meter" / "meter.toml"
HOURS = 24 * 5
COLUMNS = ("grid_import", "grid_export", "pv", "dishwasher")


def opsd_rows(start: str = "2018-09-28T22:00") -> list[list[str]]:
    """Five days of one building in the official layout, through the split of the zones."""
    import pandas as pd

    stamps = pd.date_range(start, periods=HOURS + 1, freq="h", tz="UTC")
    rows = [["utc_timestamp", "cet_cest_timestamp"]]
    rows[0] += [f"DE_KN_residential9_{name}" for name in COLUMNS] + ["interpolated"]
    for i, stamp in enumerate(stamps):
        pv = 0.5 * (i // 24 * 8 + min(max(i % 24 - 9, 0), 8))
        counts = [100 + 0.3 * i + 0.1 * (i % 2), 0.2 * pv, pv, 0.8 * (i // 24)]
        local = stamp.tz_convert("Europe/Berlin").strftime("%Y-%m-%dT%H:%M:%S%z")
        rows.append([f"{stamp:%Y-%m-%dT%H:%M:%SZ}", local, *(f"{c:.3f}" for c in counts), ""])
    return rows


def csv(rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def opsd_file(folder: Path, rows: list[list[str]] | None = None) -> Path:
    path = folder / "household.csv"
    path.write_text(csv(rows or opsd_rows()))
    return path


def build(*args: object) -> Done:
    """Call the script in this process; relative paths count from the current folder."""
    return call(NAME, *args, columns=200)


def refusal(*args: object) -> str:
    """The one line on stderr of a call that ends with code 2."""
    done = build(*args)
    assert done.code == 2, done.out + done.err
    (line,) = done.err.splitlines()
    return line


def old_database(db: Path) -> bytes:
    """A measurements database of some older schema, and its bytes."""
    with duckdb.connect(str(db)) as con:
        for table in ("meta", "building", "reading"):
            con.execute(f"CREATE TABLE {table} (key VARCHAR, value VARCHAR)")
    return db.read_bytes()


def tables(db: Path) -> dict[str, int]:
    with duckdb.connect(str(db), read_only=True) as con:
        return {
            name: con.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for name in ("building", "reading", "price", "weather")
        }


def row_of(building: str, shown: str) -> list[str]:
    """The cells of a building in the portfolio table."""
    return next(line for line in shown.splitlines() if line.startswith(f"{building} ")).split()


def meta(db: Path) -> dict[str, str]:
    with duckdb.connect(str(db), read_only=True) as con:
        return dict(con.execute("SELECT key, value FROM meta").fetchall())


@pytest.fixture
def server() -> Iterator[OutsideServer]:
    with serving() as outside:
        outside.routes["/price"] = energy_charts
        outside.routes["/v1/archive"] = open_meteo
        outside.routes["/household.csv"] = Answer(csv(opsd_rows()).encode())
        yield outside


def from_server(server: OutsideServer, tmp_path: Path) -> list[str]:
    return [
        "--opsd_url",
        f"{server.url}/household.csv",
        "--prices_url",
        server.url,
        "--weather_url",
        server.url,
        "--cache",
        str(tmp_path / "cache"),
        "--db",
        str(tmp_path / "data.duckdb"),
    ]


@pytest.fixture
def official(server: OutsideServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server's file the official one."""
    route = server.routes["/household.csv"]
    assert isinstance(route, Answer)
    sha256 = hashlib.sha256(route.body).hexdigest()
    monkeypatch.setattr("ems.store.ingest.download.OPSD_SHA256", sha256)


# --- what works ------------------------------------------------------------------------------


@pytest.mark.smoke
def test_the_twin_is_the_default_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    done = in_process(NAME, "--db", "data.duckdb", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "portfolio (SYNTHETIC)" in done.out
    assert row_of("DE_KN_residential4", done.out)[1:3] == ["residential", "849"]
    assert meta(tmp_path / "data.duckdb")["synthetic"] == "true"
    assert tables(tmp_path / "data.duckdb")["building"] == 7


def test_a_local_file_with_prices_and_weather(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opsd_file(tmp_path)
    stamps = [row[0] for row in opsd_rows()[1:]]
    prices = "utc_timestamp,price_eur_per_mwh\n" + "".join(f"{t},30\n" for t in stamps)
    weather = "utc_timestamp,temperature_c,ghi_w_per_m2\n" + "".join(f"{t},9,0\n" for t in stamps)
    with gzip.open(tmp_path / "prices.csv.gz", "wt") as file:
        file.write(prices)
    (tmp_path / "weather.csv").write_text(weather)
    done = build(
        *("--source", "household.csv", "--prices", "prices.csv.gz"),
        *("--weather", "weather.csv", "--db", "deep/data.duckdb"),
    )
    assert done.code == 0, done.err
    assert row_of("DE_KN_residential9", done.out)[1] == "residential"
    assert "SYNTHETIC" not in done.out
    found = tables(tmp_path / "deep" / "data.duckdb")
    assert found["price"] == HOURS + 1
    assert found["weather"] == 2 * (HOURS + 1)
    assert meta(tmp_path / "deep" / "data.duckdb")["prices_source"] == "prices.csv.gz"


@pytest.mark.usefixtures("official")
def test_the_official_source_downloads_all_three(server: OutsideServer, tmp_path: Path) -> None:
    options = from_server(server, tmp_path)
    done = build("--source", "opsd", *options)
    assert done.code == 0, done.err
    with duckdb.connect(str(tmp_path / "data.duckdb"), read_only=True) as con:
        zones = con.execute("SELECT zone, count(*) FROM price GROUP BY ALL ORDER BY 1").fetchall()
        bare = con.execute(
            "SELECT count(*) FROM reading r LEFT JOIN price p USING (ts_utc) "
            "LEFT JOIN weather w USING (ts_utc) WHERE p.ts_utc IS NULL OR w.ts_utc IS NULL"
        ).fetchall()
    assert [zone for zone, _ in zones] == ["DE-AT-LU", "DE-LU"]
    assert bare == [(0,)]
    asked = len(server.asked)
    again = build("--source", "opsd", *options)
    assert again.code == 0
    assert len(server.asked) == asked


def test_my_own_meter_with_the_service_for_prices(server: OutsideServer, tmp_path: Path) -> None:
    done = build(
        *("--source", "meter", "--config", EXAMPLE, "--prices", "energy-charts"),
        *from_server(server, tmp_path),
    )
    assert done.code == 0, done.err
    assert "my_home" in done.out
    assert "place: Hamburg (53.55° N, 9.99° E; public holidays of DE-HH)" in done.out
    assert tables(tmp_path / "data.duckdb")["price"] == 73 + 24


def test_a_building_without_an_import_meter_says_so(tmp_path: Path) -> None:
    rows = [row[:2] + row[3:] for row in opsd_rows()]
    done = build("--source", opsd_file(tmp_path, rows), "--db", tmp_path / "data.duckdb")
    assert done.code == 0, done.err
    assert "no import meter: its load is unknown" in done.out
    whole = build("--source", opsd_file(tmp_path), "--db", tmp_path / "data.duckdb")
    assert "no import meter" not in whole.out


def test_a_reading_beyond_all_measure_keeps_the_table_narrow(tmp_path: Path) -> None:
    rows = changed_rows(HOURS + 1, 2, "1e300")
    done = build("--source", opsd_file(tmp_path, rows), "--db", tmp_path / "data.duckdb")
    assert done.code == 0, done.err
    assert "1e+300" in row_of("DE_KN_residential9", done.out)
    assert max(map(len, done.out.splitlines())) <= 200


# --- what is refused -------------------------------------------------------------------------


def changed_rows(row: int, column: int, value: str) -> list[list[str]]:
    rows = opsd_rows()
    rows[row][column] = value
    return rows


def test_a_file_that_does_not_fit_leaves_the_old_database(tmp_path: Path) -> None:
    db = tmp_path / "data.duckdb"
    old = old_database(db)
    line = refusal("--source", opsd_file(tmp_path, changed_rows(9, 2, "1.0")), "--db", db)
    assert "backwards" in line
    assert db.read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.duckdb", "household.csv"]


@pytest.mark.usefixtures("official")
def test_null_prices_from_the_service(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/price"] = lambda query: energy_charts(query, lambda _: None)
    line = refusal("--source", "opsd", *from_server(server, tmp_path))
    assert "energy-charts: " in line
    assert "price is null" in line
    assert "give --prices PATH" in line


def test_an_official_file_with_another_hash(server: OutsideServer, tmp_path: Path) -> None:
    old = old_database(tmp_path / "data.duckdb")
    line = refusal("--source", "opsd", *from_server(server, tmp_path))
    assert "expected 15956440b27465686eae2abf5895cbc3dab80f934a891bcb2f4f944428e97d60" in line
    assert "--source PATH" in line
    assert (tmp_path / "data.duckdb").read_bytes() == old


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    line = refusal("--source", opsd_file(tmp_path), "--db", tmp_path / "taken" / "data.duckdb")
    assert "taken" in line


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--source", "meter"], "--source meter needs your FILE"),
        (["--config", "x.toml"], "--config belongs to --source meter"),
        (["--source", "x.csv", "--seed", "3"], "--seed belongs to --source twin"),
        (["--prices", "x.csv"], "--prices: the twin brings its own"),
        (["--weather_forecast", "x.csv"], "--weather_forecast: the twin brings its own"),
        (["--place", "Berlin,52.52,13.41,DE,BE"], "--place belongs to --source PATH"),
        (["--source", "x.csv", "--place", "Berlin"], "'Berlin' must be NAME,LATITUDE,LONGITUDE"),
        (["--source", "x.csv", "--place", "Berlin,x,13.41,DE"], "must be NAME,LATITUDE,LONGITUDE"),
        (["--source", "x.csv", "--place", "Berlin,52.52,13.41,DE,BE,1"], "must be NAME,LATITUDE"),
        (["--source", "x.csv", "--place", "Berlin,92,13.41,DE"], "latitude_deg = 92.0, allowed is"),
        (["--seed", "-1"], "--seed: '-1' must be"),
        (["--step_minutes", "30"], "for --step_minutes"),
        (["--db", ""], "--db: '' names no file or folder"),
        (["--db", "."], "'.': cannot be written, it is no file"),
        (["--sauce", "twin"], "unknown option: --sauce. Did you mean --source?"),
        (["--source", "nowhere.csv", "--db", "unused.duckdb"], "nowhere.csv"),
    ],
)
def test_command_lines_that_make_no_sense(args: list[str], message: str) -> None:
    assert message in refusal(*args)


def test_recorded_forecasts_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    household = opsd_file(tmp_path)
    (tmp_path / "issued.csv").write_text(
        "issued_utc,utc_timestamp,temperature_c,ghi_w_per_m2\n"
        "2018-09-29T06:00:00Z,2018-09-29T06:00:00Z,9,100\n"
        "2018-09-29T06:00:00Z,2018-09-29T07:00:00Z,9,200\n"
    )
    run = build("--source", household, "--weather_forecast", "issued.csv", "--db", "a.duckdb")
    assert run.code == 0, run.err
    assert "1 forecasts, the newest issued 2018-09-29 06:00:00Z" in run.out
    assert meta(tmp_path / "a.duckdb")["weather_forecast_source"] == "issued.csv"
    with duckdb.connect(str(tmp_path / "a.duckdb"), read_only=True) as con:
        rows = con.execute(
            "SELECT quantity, sum(value) FROM weather_forecast GROUP BY 1"
        ).fetchall()
    assert dict(rows) == {"temperature_c": 18.0, "ghi_w_per_m2": 300.0}


def test_weather_is_asked_for_where_the_building_stands(
    server: OutsideServer, tmp_path: Path
) -> None:
    household = opsd_file(tmp_path, [[c.replace("_KN_", "_B_") for c in r] for r in opsd_rows()])
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    server.routes["/v1/forecast"] = lambda query: open_meteo(
        query | {"start_date": today, "end_date": today}
    )
    options = [
        *("--source", household, "--weather", "open-meteo", "--weather_url", server.url),
        *("--weather_forecast", "open-meteo-now", "--forecast_url", server.url),
        *("--cache", tmp_path / "cache", "--db", tmp_path / "a.duckdb"),
    ]
    assert "DE_B_residential9: it is not known where 'DE_B' is" in refusal(*options)
    done = build(*options, "--place", "Berlin,52.52,13.41,DE,BE")
    assert done.code == 0, done.err
    asked = [(query["latitude"], query["longitude"]) for _, query, _ in server.asked]
    assert asked == [("52.52", "13.41")] * 2
    assert "place: Berlin (52.52° N, 13.41° E; public holidays of DE-BE)" in done.out
    with duckdb.connect(str(tmp_path / "a.duckdb"), read_only=True) as con:
        sites = con.execute("SELECT DISTINCT site FROM weather").fetchall()
    assert sites == [("Berlin",)]


def test_the_present_forecast_is_kept_and_stands_in_when_the_service_is_down(
    server: OutsideServer, tmp_path: Path
) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    ahead = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
    server.routes["/v1/forecast"] = lambda query: open_meteo(
        query | {"start_date": today, "end_date": ahead}
    )
    options = [
        *("--source", opsd_file(tmp_path), "--weather_forecast", "open-meteo-now"),
        *("--forecast_url", server.url, "--cache", tmp_path / "cache"),
        *("--db", tmp_path / "a.duckdb"),
    ]
    first = build(*options)
    assert first.code == 0, first.err
    # An hour old: one of the same second would be read again without asking the service.
    (kept,) = (tmp_path / "cache").glob("weather_forecast_*")
    issued = f"{datetime.now(UTC) - timedelta(hours=1):%Y%m%dT%H%M%SZ}"
    kept.rename(kept.with_stem(f"{kept.stem.rsplit('_', 1)[0]}_{issued}"))
    server.routes["/v1/forecast"] = Answer(status=404)
    second = build(*options)
    assert second.code == 0, second.err
    told = "".join(second.out.split())  # lines may be folded anywhere
    assert "HTTP404" in told
    assert "theforecastissued20" in told
    for kept in (tmp_path / "cache").glob("weather_forecast_*"):
        kept.unlink()
    assert "keeps no forecast issued in the 24 h before" in refusal(*options)


@pytest.mark.parametrize("victim", ["household.csv", "weather.csv", "meter.toml"])
def test_what_goes_in_is_never_what_comes_out(tmp_path: Path, victim: str) -> None:
    opsd_file(tmp_path)
    for name in ("prices.csv", "weather.csv", "meter.toml"):
        (tmp_path / name).write_text("mine\n")
    before = (tmp_path / victim).read_bytes()
    source = (
        ("meter", "--config", tmp_path / "meter.toml")
        if victim == "meter.toml"
        else (tmp_path / "household.csv", "--weather", tmp_path / "weather.csv")
    )
    line = refusal(
        *("--source", *source, "--prices", tmp_path / "prices.csv", "--db", tmp_path / victim)
    )
    assert f"{victim}: exists and is no measurements database" in line
    assert (tmp_path / victim).read_bytes() == before


def test_ctrl_c_leaves_the_old_database(server: OutsideServer, tmp_path: Path) -> None:
    old = old_database(tmp_path / "data.duckdb")
    server.routes["/household.csv"] = Answer(b"x", delay_s=5.0)
    with subprocess.Popen(
        [sys.executable, str(SCRIPTS / NAME), "--source", "opsd", *from_server(server, tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 20
        while not server.asked and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "error: interrupted; what was finished is kept\n"
    assert (tmp_path / "data.duckdb").read_bytes() == old


@pytest.mark.real_data
def test_the_whole_real_portfolio(shared_data: Path, tmp_path: Path) -> None:
    done = build(
        *("--source", shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"),
        *("--prices", shared_data / "prices" / "de_day_ahead_2015_2020_utc.csv.gz"),
        *("--weather", shared_data / "weather" / "de_2015_2019.csv.gz"),
        *("--db", tmp_path / "data.duckdb"),
    )
    assert done.code == 0, done.err
    row = row_of("DE_KN_residential4", done.out)
    assert row[:3] == ["DE_KN_residential4", "residential", "849"]
    assert row[5:] == ["10,247", "19,071", "24,576", "8.8"]
    assert "spike: pv (7), grid_import (1)" in done.out
    assert tables(tmp_path / "data.duckdb")["price"] == 52_608
