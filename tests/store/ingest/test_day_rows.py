"""Files with a row a day: each layout of a known house gives the same hours, on any day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import DataError
from ems.store.ingest.dataset import Dataset
from ems.store.ingest.meter import read_meter
from ems.store.ingest.meter.day_rows import day_columns
from ems.store.ingest.meter.guess import guess
from ems.store.ingest.meter.guess_time import Known
from ems.types import Floats

USUAL, SPRING, AUTUMN = "2024-06-01", "2024-03-31", "2024-10-27"  # in Berlin
CLOCK = [f"{hour:02d}:00" for hour in range(24)]
PLACE = 'name = "Hamburg"\nlatitude_deg = 53.55\nlongitude_deg = 9.99\ncountry = "DE"'
CONFIG = """
building = "home"
kind = "residential"
timezone = "{zone}"
step_minutes = {step}
[place]
{place}
[[file]]
paths = ["meter.csv"]
separator = ";"
row = "day"
{more}
timestamp_column = "Date"
timestamp_format = "%Y-%m-%d"
timestamp_zone = "{zone}"
label = "start"
[[file.feed]]
column = "{column}"
name = "grid_import"
role = "import"
kind = "interval"
unit = "kWh"
"""


def table(names: list[str], *days: tuple[str, list[str]]) -> str:
    lines = [";".join([day, *values]) for day, values in days]
    return "\n".join([";".join(["Date", *names]), *lines]) + "\n"


def read(
    folder: Path,
    text: str,
    zone: str = "Europe/Berlin",
    step: int = 60,
    more: str = "",
    column: str = "*",
    place: str = PLACE,
) -> Dataset:
    (folder / "meter.csv").write_text(text)
    (folder / "meter.toml").write_text(
        CONFIG.format(zone=zone, step=step, more=more, column=column, place=place)
    )
    return read_meter(folder / "meter.toml")


def hours(folder: Path, text: str, **more: object) -> Floats:
    return read(folder, text, **more).buildings[0].energy_kwh["grid_import"]  # type: ignore[arg-type]


def n_hours(day: str) -> int:
    return {SPRING: 23, AUTUMN: 25}.get(day, 24)


def clock_values(day: str) -> tuple[list[str], str]:
    """The n-th hour of a day has the value n: the cells of a table of clocks, and its second 2."""
    if day == SPRING:
        return ["1", "2", "", *map(str, range(3, 24))], ""
    if day == AUTUMN:
        return ["1", "2", "3", *map(str, range(5, 26))], "4"
    return [*map(str, range(1, 25))], ""


CLOCK_NAMES = [
    CLOCK,
    [f"{hour}:00" for hour in range(24)],
    [str(hour) for hour in range(24)],
    [f"H{hour}" for hour in range(24)],
    [f"{hour:02d}:00:00" for hour in range(24)],
    [f"{hour:02d}:00 - {hour + 1:02d}:00" for hour in range(24)],
    [f"{hour:02d}:00 [kWh]" for hour in range(24)],
    [f"{hour:02d}:00" for hour in range(1, 25)],
    [*CLOCK[1:], "00:00"],
]


@pytest.mark.parametrize("day", [USUAL, SPRING, AUTUMN])
@pytest.mark.parametrize("names", CLOCK_NAMES, ids=lambda names: f"{names[0]}…{names[-1]}")
def test_tables_of_clocks(tmp_path: Path, day: str, names: list[str]) -> None:
    values, again = clock_values(day)
    expected = np.arange(1.0, n_hours(day) + 1)
    doubled = names[2].replace(" [kWh]", "") + ".1" if names[2][-1] != "]" else names[2]
    behind = table([*names, doubled], (day, [*values, again]))
    np.testing.assert_array_equal(hours(tmp_path, behind), expected)
    within = [*names[:3], names[2], *names[3:]]
    beside = table(within, (day, [*values[:3], again, *values[3:]]))
    np.testing.assert_array_equal(hours(tmp_path, beside), expected)


@pytest.mark.parametrize("day", [USUAL, SPRING, AUTUMN])
@pytest.mark.parametrize("prefix", ["H", "h", "HE", "Hour ", "", "Stunde ", "HE0"])
def test_tables_of_numbers(tmp_path: Path, day: str, prefix: str) -> None:
    n = n_hours(day)
    values = [*map(str, range(1, n + 1)), *[""] * (25 - n)]
    text = table([f"{prefix}{i}" for i in range(1, 26)], (day, values))
    np.testing.assert_array_equal(hours(tmp_path, text), np.arange(1.0, n + 1))


def test_letters_tell_the_doubled_hour_apart(tmp_path: Path) -> None:
    names = ["0", "1", "2A", "2B", *map(str, range(3, 24))]
    text = table(names, (AUTUMN, [*map(str, range(1, 26))]))
    np.testing.assert_array_equal(hours(tmp_path, text), np.arange(1.0, 26))


def test_the_doubled_hour_once_is_a_gap_and_nothing_moves(tmp_path: Path) -> None:
    text = table(CLOCK, (AUTUMN, [*map(str, range(1, 25))]))
    dataset = read(tmp_path, text)
    found = dataset.buildings[0].energy_kwh["grid_import"]
    assert np.flatnonzero(np.isnan(found)).tolist() == [2, 3]
    np.testing.assert_array_equal(found[[0, 1, 4, 24]], [1, 2, 4, 24])
    assert any("the file has that hour once; it is a gap" in line for line in dataset.remarks)


def test_24_numbers_on_a_day_of_25_hours_show_only_what_lies_before(tmp_path: Path) -> None:
    """The 4th may be the second hour of 2 o'clock or that of 3 o'clock."""
    text = table([f"H{n}" for n in range(1, 25)], (AUTUMN, [*map(str, range(1, 25))]))
    dataset = read(tmp_path, text)
    found = dataset.buildings[0].energy_kwh["grid_import"]
    assert np.isfinite(found).tolist() == [True, True, *[False] * 23]
    assert any("it and what follows on that day are gaps" in line for line in dataset.remarks)


NUMBERS = [f"H{n}" for n in range(1, 25)]
FROM_1 = [*map(str, range(1, 25))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([*FROM_1[:23], ""], list(range(1, 24))),
        ([*FROM_1[:23], "0"], list(range(1, 24))),
        (["1", "2", "0", *FROM_1[3:23], "-"], [1, 2, 0, *range(4, 24)]),
        (["1", "2", "", *FROM_1[3:]], [1, 2, *range(4, 25)]),
        (["1", "2", "0", *FROM_1[3:]], [1, 2, *range(4, 25)]),
        (["1", "2", "", *FROM_1[3:23], "0"], [1, 2, *range(4, 24), 0]),
        (["1", "2", "0", *FROM_1[3:23], "0"], [1, 2, *[np.nan] * 21]),
        (["1", "2", "", *FROM_1[3:23], ""], [1, 2, *[np.nan] * 21]),
    ],
)
def test_a_day_of_23_hours_is_read_by_what_it_shows(
    tmp_path: Path, values: list[str], expected: list[float]
) -> None:
    found = hours(
        tmp_path, table(NUMBERS, (USUAL, FROM_1), (SPRING, values)).replace(USUAL, "2024-03-30")
    )
    np.testing.assert_array_equal(found[24:], expected)


@pytest.mark.parametrize("names", [CLOCK, NUMBERS])
def test_winter_time_all_year_is_refused_with_both_cures(tmp_path: Path, names: list[str]) -> None:
    text = table(names, (SPRING, FROM_1))
    with pytest.raises(DataError, match="row 2: has values for more hours than 2024-03-31") as said:
        read(tmp_path, text)
    assert "timestamp_zone = 'Etc/GMT-1'" in str(said.value)
    np.testing.assert_array_equal(
        hours(tmp_path, text, more='clock_changes = "gap"'),
        [1, 2, *range(4, 25)],
    )
    config = (tmp_path / "meter.toml").read_text()
    fixed = 'timestamp_zone = "Etc/GMT-1"'
    (tmp_path / "meter.toml").write_text(config.replace('timestamp_zone = "Europe/Berlin"', fixed))
    found = read_meter(tmp_path / "meter.toml").buildings[0].energy_kwh["grid_import"]
    np.testing.assert_array_equal(found, np.arange(1.0, 25.0))


def test_zones_change_at_other_hours(tmp_path: Path) -> None:
    """Havana doubles and skips the hour from midnight on."""
    cuba = PLACE.replace("53.55", "23.1").replace("9.99", "-82.4").replace("DE", "CU")
    names = [f"H{n}" for n in range(1, 26)]
    text = table(names, ("2024-11-03", [*map(str, range(1, 26))]))
    more = {"zone": "America/Havana", "place": cuba}
    dataset = read(tmp_path, text, **more)  # type: ignore[arg-type]
    assert dataset.buildings[0].ts_utc[0] == np.datetime64("2024-11-03T04:00")
    np.testing.assert_array_equal(
        dataset.buildings[0].energy_kwh["grid_import"], np.arange(1.0, 26)
    )
    text = table(names, ("2024-03-10", [*FROM_1[:23], "", ""]))
    np.testing.assert_array_equal(hours(tmp_path, text, **more), np.arange(1.0, 24))


def test_rows_of_registers_and_days_in_any_order(tmp_path: Path) -> None:
    lines = [
        f"{day};{register};{';'.join([value] * 24)}"
        for day in ("2024-06-03", "2024-06-01")
        for register, value in (("Bezug", "1"), ("Einspeisung", "2"))
    ]
    text = "\n".join([";".join(["Date", "Register", *CLOCK]), *lines, "Summe;;72"])
    with pytest.raises(DataError, match=r"2024-06-03 stands there twice .* register_column"):
        read(tmp_path, text)
    found = hours(tmp_path, text, more='register_column = "Register"', column="Einspeisung")
    assert np.isfinite(found).tolist() == [True] * 24 + [False] * 24 + [True] * 24
    assert np.nansum(found) == 96
    with pytest.raises(DataError, match=r"no row has 'PV' .* \(it has 'Bezug', 'Einspeisung'\)"):
        hours(tmp_path, text, more='register_column = "Register"', column="PV")


@pytest.mark.parametrize(
    ("day", "names", "values", "expected"),
    [
        (USUAL, [*CLOCK, "02:00"], ["1"] * 25, "has a second value for an hour"),
        (USUAL, [f"H{n}" for n in range(1, 26)], ["1"] * 25, "has a 25th hour"),
        (SPRING, [f"H{n}" for n in range(1, 26)], ["1"] * 25, "has a 25th hour"),
        (USUAL, CLOCK[:-1], ["1"] * 23, "needs a column for each hour"),
        ("0001-01-01", CLOCK, ["1"] * 24, "is no time|lies in the year"),
        ("2024-06-31", CLOCK, ["1"] * 24, "is no time in the form"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, day: str, names: list[str], values: list[str], expected: str
) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        read(tmp_path, table(names, (day, values)))
    assert "meter: meter.csv" in str(caught.value)


def test_a_clock_that_changes_by_half_an_hour(tmp_path: Path) -> None:
    island = PLACE.replace("53.55", "-31.5").replace("9.99", "159.1").replace("DE", "AU")
    text = table(CLOCK, ("2024-04-07", ["1"] * 24))
    with pytest.raises(DataError, match="the clock of Australia/Lord_Howe changes by less than"):
        read(tmp_path, text, zone="Australia/Lord_Howe", place=island)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('label = "start"', 'label = "end"'), "row = 'day' needs label = 'start'"),
        (('"Europe/Berlin"\nlabel', '"offset in every stamp"\nlabel'), "needs a time zone"),
        (('"Europe/Berlin"\nlabel', '"CET"\nlabel'), "read by some with summer time"),
        (('kind = "interval"', 'kind = "cumulative"'), "expected 'interval' with row = 'day'"),
        (('column = "*"', 'column = "00:00"'), "expected '\\*' .all columns of the day."),
        (('row = "day"', 'register_column = "x"'), "register_column belongs to row = 'day'"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    read(tmp_path, table(CLOCK, (USUAL, FROM_1)))
    config = (tmp_path / "meter.toml").read_text()
    assert change[0] in config
    (tmp_path / "meter.toml").write_text(config.replace(*change))
    with pytest.raises(DataError, match=said):
        read_meter(tmp_path / "meter.toml")


@pytest.mark.parametrize(
    "names",
    [
        ["time", "import"],
        CLOCK[:12],
        ["1", "2", "3"],
        [],
        [*CLOCK, "00:00", "00:00"],
        ["2024"] * 24,
    ],
)
def test_other_tables_have_no_days(names: list[str]) -> None:
    assert day_columns(["Date", *names]) is None


# --- guessed -------------------------------------------------------------------------------------


def guessed(folder: Path, text: str) -> tuple[str, Dataset]:
    (folder / "meter.csv").write_text(text, encoding="utf-8")
    known = Known(building="home", place_toml=PLACE, timezone="Europe/Berlin")
    toml = guess([folder / "meter.csv"], known).toml
    (folder / "meter.toml").write_text(toml, encoding="utf-8")
    return toml, read_meter(folder / "meter.toml")


def test_registers_are_guessed_by_their_names(tmp_path: Path) -> None:
    lines = [
        f"{day};X1;{register};{';'.join([value] * 24)};{value}"
        for day in ("01.06.2024", "02.06.2024")
        for register, value in (("Bezug kWh", "0,5"), ("Einspeisung kWh", "0,25"))
    ]
    head = ";".join(["Tag", "Zähler", "Art", *CLOCK, "Summe"])
    toml, dataset = guessed(tmp_path, "\n".join(["Kunde;X", "", head, *lines]))
    assert 'row = "day"\nregister_column = "Art"\ntimestamp_column = "Tag"' in toml
    home = dataset.buildings[0]
    assert [feed.role for feed in home.feeds] == ["import", "export"]
    assert home.energy_kwh["grid_import"].sum() == 24
    assert home.energy_kwh["grid_export"].sum() == 12


FORMS = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d.%m.%y"]


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    separator=st.sampled_from([";", "\t", ","]),
    minutes=st.sampled_from([15, 30, 60]),
    change=st.sampled_from(["2024-03-29", "2024-10-25", "2024-06-01"]),
    numbered=st.booleans(),
    comma=st.booleans(),
    newest_first=st.booleans(),
    above=st.sampled_from(["", "Kunde;Mueller\n\n", "Meter: AT00\n"]),
    units=st.booleans(),
)
def test_a_house_in_any_layout_of_days_is_read_to_the_watt_hour(
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    separator: str,
    minutes: int,
    change: str,
    numbered: bool,
    comma: bool,
    newest_first: bool,
    above: str,
    units: bool,
) -> None:
    """Five days with a clock change amid them; a value moved by one column fails."""
    n = 24 * 60 // minutes
    end = pd.Timestamp(change) + pd.Timedelta(days=5)
    stamps = pd.date_range(change, end, freq=f"{minutes}min", tz="Europe/Berlin", inclusive="left")
    kwh = np.random.default_rng(n).uniform(0.01, 0.9, len(stamps)).round(3)
    more = 60 // minutes
    if numbered:
        names = [f"H{i + 1}" for i in range(n + more)]
    else:
        names = [f"{m // 60:02}:{m % 60:02}" for m in range(0, 24 * 60, minutes)]
        names += [f"02:{m:02}" for m in range(0, 60, minutes)]
    names = [f"{name} kWh" if units and not numbered else name for name in names]
    lines = []
    for day, of_day in pd.Series(kwh, index=stamps).groupby(stamps.date):
        cells = [""] * len(names)
        seen: set[int] = set()
        for i, (t, value) in enumerate(of_day.items()):
            place = i if numbered else (60 * t.hour + t.minute) // minutes
            again = not numbered and place in seen
            seen.add(place)
            at = n + place - 120 // minutes if again else place
            cells[at] = f"{value:.3f}".replace(".", "," if comma and separator != "," else ".")
        lines.append(separator.join([f"{day:{form}}", *cells]))
    head = separator.join(["Datum", *names])
    text = above + "\n".join([head, *(lines[::-1] if newest_first else lines)])
    toml, dataset = guessed(tmp_path_factory.mktemp("days"), text)
    assert 'row = "day"' in toml
    home = dataset.buildings[0]
    assert home.step_h == minutes / 60
    np.testing.assert_allclose(home.energy_kwh["grid_import"], kwh, atol=1e-9)
