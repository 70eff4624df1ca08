"""What no reader of a file or an option can use: one line and exit code 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from called_script import A, call

LONG = "x" * 300
HEAD = "utc_timestamp,cet_cest_timestamp,DE_KN_residential1_grid_import,interpolated\n"
ROWS = "".join(f"2016-06-01T{h:02}:00:00Z,,{100 + h / 2},\n" for h in range(24))
WEATHER = "utc_timestamp,temperature_c,ghi_w_per_m2,{}\n2016-06-01T00:00:00Z,1,0,1\n"
WEATHER += "2016-06-01T01:00:00Z,1,0,1\n"


def refused(name: str, *args: object) -> str:
    """The one line with which a script ends."""
    done = call(name, *args)
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if line] or [done.words]
    assert line.startswith("error:") or "error:" in line
    assert len(line) < 1200
    return line


@pytest.mark.parametrize("path", ["~nosuchuser/x.duckdb", f"/tmp/{LONG}.duckdb", "", "a\0b"])
@pytest.mark.parametrize("option", ["--db", "--results"])
def test_paths_that_can_be_none(option: str, path: str) -> None:
    refused(A, option, path)
    refused("build_duckdb.py", "--source", path or " ", "--place", "A,48,9,DE")


@pytest.mark.parametrize("tariff", ["~nosuchuser/x", LONG, "http://[::1"])
def test_tariffs_that_are_no_file(tariff: str) -> None:
    refused(A, "--tariff", tariff)


def test_an_address_that_is_none() -> None:
    assert "tracking_uri is 'http://[::1'" in refused(A, "--tracking_uri", "http://[::1")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000 + "]" * 100_000,
        "[" + ".".join(["a"] * 50_000) + "]\n",
        "battery_kwh = " + "9" * 5_000,
        "battery_kwh = 1e400",
    ],
    ids=["nested", "tables", "digits", "beyond a float"],
)
def test_toml_that_is_too_much(tmp_path: Path, text: str) -> None:
    file = tmp_path / "much.toml"
    file.write_text(text)
    refused(A, "--config", file)
    refused(A, "--tariff", file)
    refused("build_duckdb.py", "--source", "meter", "--config", file)


def test_numbers_of_5000_digits() -> None:
    for option in ("--battery_kwh", "--n_days", "--workers"):
        refused(A, option, "9" * 5_000)


@pytest.mark.parametrize("year", [9999, 2106, 1899])
def test_years_that_cannot_be(tmp_path: Path, year: int) -> None:
    (tmp_path / "a.csv").write_text(HEAD + ROWS + f"{year}-06-01T00:00:00Z,,150,\n")
    db = tmp_path / "a.duckdb"
    line = refused("build_duckdb.py", "--source", tmp_path / "a.csv", "--db", db)
    assert "allowed are the years 1980 to 2099" in line


@pytest.mark.parametrize("name", ["value", "ts_utc", "quantity", "issued_utc"])
def test_a_column_called_like_one_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(HEAD + ROWS)
    (tmp_path / "w.csv").write_text(WEATHER.format(name))
    line = refused(
        *("build_duckdb.py", "--source", tmp_path / "a.csv", "--weather", tmp_path / "w.csv"),
        *("--db", tmp_path / "a.duckdb"),
    )
    assert f"no quantity can be called {name}" in line


def test_a_million_columns(tmp_path: Path) -> None:
    names = ",".join(f"DE_KN_residential1_f{i}" for i in range(1_000_000))
    (tmp_path / "a.csv").write_text(f"utc_timestamp,{names}\n2016-06-01T00:00:00Z\n")
    line = refused("build_duckdb.py", "--source", tmp_path / "a.csv", "--db", tmp_path / "a.duckdb")
    assert "has 1,000,001 columns, at most 10,000 are read" in line
