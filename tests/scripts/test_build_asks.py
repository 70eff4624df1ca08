"""``scripts/build_duckdb.py --source meter FILE``: what it asks at a terminal, and without one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from called_script import Done, in_process, one_line
from matplotlib.text import Text
from terminal import at_terminal

NAME = "build_duckdb.py"
PLACE = "Überlingen,47.77,9.16,DE,BW"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two days of a meter with one column that is clear and one that is not."""
    rows = [
        f"{day:02}.06.2024 {hour:02}:00;{0.3 + hour / 100:.3f};{0.1:.3f}".replace(".", ",", 0)
        for day in (3, 4)
        for hour in range(24)
    ]
    target = tmp_path / "meter.csv"
    target.write_text("\n".join(["Zeit;Bezug kWh;Verbrauch Keller kWh", *rows]) + "\n")
    return target


def typed(file: Path, *lines: str, args: tuple[str, ...] = ()) -> Done:
    where = ("--source", "meter", file, "--db", file.parent / "new" / "own.duckdb")
    return at_terminal(NAME, *where, *args, lines=lines, cwd=file.parent)


def test_a_terminal_is_asked_for_place_zone_and_columns(file: Path) -> None:
    done = typed(file, "Nirgendwo", "Denver,39.7,-105,US", "America/Denver", "", "garage", "none")
    assert done.code == 0, done.err
    assert "where does the house stand?" in done.words
    assert "must be NAME,LATITUDE,LONGITUDE,COUNTRY" in done.words
    assert "which time zone has Denver" in done.words
    found = tomllib.loads((file.parent / "new" / "own.toml").read_text(encoding="utf-8"))
    assert found["timezone"] == "America/Denver"
    assert [feed["role"] for feed in found["file"][0]["feed"]] == ["import"]


def test_a_role_that_is_answered_is_read(file: Path) -> None:
    done = typed(file, "load", "", args=("--place", PLACE))
    text = (file.parent / "new" / "own.toml").read_text(encoding="utf-8")
    assert 'name = "Überlingen"' in text
    (feed, *_) = tomllib.loads(text)["file"][0]["feed"]
    assert (feed["role"], feed["category"], feed["name"]) == ("load", "fixed", "load_bezug_kwh")
    assert "is no role" not in done.words


def test_what_cannot_be_known_is_one_line_where_nobody_can_be_asked(file: Path) -> None:
    where = ("--source", "meter", file, "--db", file.parent / "own.duckdb")
    done = in_process(NAME, *where, cwd=file.parent)
    one_line(done, "--place is missing: where does the house stand")
    done = in_process(NAME, *where, "--place", "Denver,39.7,-105,US", cwd=file.parent)
    one_line(done, "--timezone is missing: which time zone has Denver")


def test_a_day_that_may_be_a_month_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "meter.csv"
    rows = (f"04/03/2024 {hour:02}:00,0.{hour % 9}1" for hour in range(20))
    file.write_text("\n".join(["time,import kWh", *rows]) + "\n")
    done = typed(file, "maybe", "no", "", args=("--place", PLACE))
    assert "may be 4 March 2024 or 3 April 2024" in done.words
    assert "'maybe' is neither yes nor no" in done.words
    found = tomllib.loads((tmp_path / "new" / "own.toml").read_text(encoding="utf-8"))
    assert found["file"][0]["timestamp_format"] == "%m/%d/%Y %H:%M"


def test_the_folder_of_the_database_is_made(file: Path) -> None:
    target = file.parent / "a" / "b" / "own.duckdb"
    where = ("--source", "meter", file, "--place", PLACE, "--db", target)
    done = in_process(NAME, *where, cwd=file.parent)
    assert done.code == 0, done.err
    assert target.exists()
    assert "look at" in done.words
    assert (target.parent / "own_home.png").stat().st_size > 10_000
    bad = in_process(NAME, *where[:-1], "/proc/none/own.duckdb", cwd=file.parent)
    one_line(bad, "the description cannot be written .*check --db")


def test_the_first_look_shows_what_was_read(file: Path) -> None:
    """A panel for the load and one for each register, with yearly sums from what is known."""
    from ems.report.figures.first_look import first_look
    from ems.store.connection import get_con
    from ems.store.read import read_history

    target = file.parent / "own.duckdb"
    where = ("--source", "meter", file, "--place", PLACE, "--db", target)
    assert in_process(NAME, *where, cwd=file.parent).code == 0
    with get_con(target) as con:
        figure = first_look(read_history(con, "home"))
    told = " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")
    assert {axes.get_title(loc="left") for axes in figure.axes} >= {"load [kW]", "import [kW]"}
    # 0.3 + 0.115 kWh an hour on the mean, 8,766 hours a year.
    assert "3,638" in told
