from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import DataError
from ems.store.ingest.dataset import BuildingData
from ems.store.ingest.meter import read_meter

ROOT = Path(__file__).resolve().parents[3]

HEAD = """
building = "my_home"
kind = "residential"
timezone = "Europe/Berlin"
step_minutes = 60
"""
FILE = """
[[file]]
paths = ["meter.csv"]
separator = ";"
decimal = ","
timestamp_column = "time"
timestamp_zone = "offset in every stamp"
label = "end"
"""
IMPORT = """
[[file.feed]]
column = "import"
name = "grid_import"
role = "import"
category = "grid"
kind = "cumulative"
unit = "kWh"
"""
PLACE = """
[place]
name = "Hamburg"
latitude_deg = 53.55
longitude_deg = 10
country = "DE"
subdivision = "HH"
"""
CONFIG = HEAD + PLACE + FILE + IMPORT
ROWS = """time;import
2016-06-01T00:00Z;100,0
2016-06-01T01:00Z;100,5
2016-06-01T02:00Z;101,75
"""


def write(folder: Path, config: str = CONFIG, rows: str = ROWS) -> Path:
    (folder / "meter.csv").write_text(rows, encoding="utf-8")
    (folder / "meter.toml").write_text(config, encoding="utf-8")
    return folder / "meter.toml"


def read(folder: Path, config: str = CONFIG, rows: str = ROWS) -> BuildingData:
    (building,) = read_meter(write(folder, config, rows)).buildings
    return building


def refusal(folder: Path, config: str = CONFIG, rows: str = ROWS) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, config, rows)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def energy(building: BuildingData, feed: str = "grid_import") -> list[float]:
    return [round(float(value), 9) for value in building.energy_kwh[feed]]


@pytest.mark.smoke
def test_a_count_becomes_the_energy_of_each_step(tmp_path: Path) -> None:
    """The count 100.0 → 100.5 at 01:00Z is the energy of the hour that starts at 00:00Z."""
    home = read(tmp_path)
    assert home.ts_utc.tolist() == pd.date_range("2016-05-31 23:00", periods=3, freq="h").tolist()
    assert np.isnan(home.energy_kwh["grid_import"][0])
    assert energy(home)[1:] == [0.5, 1.25]
    assert (home.building, home.kind, home.step_h) == ("my_home", "residential", 1.0)
    assert home.load_rule == "import"


def test_a_label_at_the_start_stays(tmp_path: Path) -> None:
    home = read(tmp_path, CONFIG.replace('label = "end"', 'label = "start"'))
    assert pd.Timestamp(home.ts_utc[1]) == pd.Timestamp("2016-06-01 01:00")
    assert energy(home)[1] == 0.5


@pytest.mark.parametrize(
    ("unit", "factor"), [("kWh", 1.0), ("Wh", 1e-3), ("kW", 0.25), ("W", 0.25e-3)]
)
def test_units_of_intervals(tmp_path: Path, unit: str, factor: float) -> None:
    config = CONFIG.replace("cumulative", "interval").replace('unit = "kWh"', f'unit = "{unit}"')
    config = config.replace("step_minutes = 60", "step_minutes = 15")
    rows = "time;import\n2016-06-01T00:00Z;8,0\n2016-06-01T00:15Z;4\n"
    assert energy(read(tmp_path, config, rows)) == [8.0 * factor, 4.0 * factor]


def test_missing_rows_and_empty_cells_are_gaps(tmp_path: Path) -> None:
    rows = """time;import
2016-06-01T00:00Z;1
2016-06-01T01:00Z;2
2016-06-01T03:00Z;7
2016-06-01T04:00Z;8
2016-06-01T05:00Z;
2016-06-01T06:00Z;10
2016-06-01T07:00Z;11
"""
    found = read(tmp_path, rows=rows).energy_kwh["grid_import"]
    expected = [np.nan, 1.0, np.nan, np.nan, 1.0, np.nan, np.nan, 1.0]
    np.testing.assert_allclose(found, expected)


def test_an_exchanged_meter_may_start_again(tmp_path: Path) -> None:
    rows = ROWS + "2016-06-01T03:00Z;50,2\n2016-06-01T04:00Z;50,9\n"
    config = CONFIG + 'exchanges = ["2016-06-01T03:00Z"]\n'
    home = read(tmp_path, config, rows)
    np.testing.assert_allclose(home.energy_kwh["grid_import"], [np.nan, 0.5, 1.25, np.nan, 0.7])
    assert "runs backwards" in refusal(tmp_path, rows=rows)
    message = refusal(tmp_path, CONFIG + 'exchanges = ["2016-06-01T09:00Z"]\n', rows)
    assert "exchange '2016-06-01T09:00Z' of column 'import' is no stamp in meter.csv" in message


def test_files_of_several_years_are_one(tmp_path: Path) -> None:
    (tmp_path / "later.csv").write_text("import;time\n102;2016-06-01T03:00Z\n")
    config = CONFIG.replace('["meter.csv"]', '["meter.csv", "later.csv"]')
    assert energy(read(tmp_path, config))[1:] == [0.5, 1.25, 0.25]


def test_files_of_several_meters_share_one_grid(tmp_path: Path) -> None:
    (tmp_path / "pv.csv").write_text("when,pv,out\n2016-06-01 04:00,2.0,1.5\n")
    second = """
[[file]]
paths = ["pv.csv"]
separator = ","
decimal = "."
timestamp_column = "when"
timestamp_format = "%Y-%m-%d %H:%M"
timestamp_zone = "Europe/Berlin"
label = "start"
"""
    for column, role, category in (("pv", "pv", "pv"), ("out", "export", "grid")):
        second += (
            f'[[file.feed]]\ncolumn = "{column}"\nname = "{column}"\nrole = "{role}"\n'
            f'category = "{category}"\nkind = "interval"\nunit = "kWh"\n'
        )
    home = read(tmp_path, CONFIG + second)
    assert len(home.ts_utc) == 4
    np.testing.assert_allclose(home.energy_kwh["pv"], [np.nan, np.nan, np.nan, 2.0])
    assert home.load_rule == "import+pv-export"


def test_a_load_with_a_meter_of_its_own_comes_on_top(tmp_path: Path) -> None:
    pump = IMPORT.replace('role = "import"', 'role = "load"').replace("grid_import", "heat_pump")
    pump = pump.replace('"grid"', '"partial_usage"') + "behind_import = false\n"
    home = read(tmp_path, CONFIG + pump)
    assert home.load_rule == "import+submetered"
    assert [feed.behind_import for feed in home.feeds] == [True, False]


# --- local time ------------------------------------------------------------------------------

LOCAL = CONFIG.replace("offset in every stamp", "Europe/Berlin").replace("cumulative", "interval")
LOCAL = LOCAL.replace('label = "end"', 'label = "start"')


def local_rows(zone: str, start: str, periods: int) -> str:
    """Hours as a clock on the wall shows them, without an offset."""
    stamps = pd.date_range(start, periods=periods, freq="h", tz="UTC").tz_convert(zone)
    return "time;import\n" + "".join(
        f"{stamp:%Y-%m-%dT%H:%M};{i}\n" for i, stamp in enumerate(stamps)
    )


@given(hours_before=st.integers(1, 30), hours=st.integers(33, 80), year=st.integers(2015, 2019))
def test_clock_times_through_the_doubled_hour_are_instants(
    tmp_path_factory: pytest.TempPathFactory, hours_before: int, hours: int, year: int
) -> None:
    october = pd.date_range(f"{year}-10-01", f"{year}-10-31", freq="W-SUN")[-1]
    start = october - pd.Timedelta(hours=hours_before)
    rows = local_rows("Europe/Berlin", str(start), hours)
    home = read(tmp_path_factory.mktemp("meter"), LOCAL, rows)
    assert home.ts_utc.tolist() == pd.date_range(start, periods=hours, freq="h").tolist()
    assert energy(home) == list(range(hours))


def test_two_autumns_in_one_file(tmp_path: Path) -> None:
    rows = local_rows("Europe/Berlin", "2016-10-29", 366 * 24)
    assert energy(read(tmp_path, LOCAL, rows)) == list(range(366 * 24))


def test_an_hour_that_could_be_either_is_a_gap(tmp_path: Path) -> None:
    rows = "time;import\n" + "".join(f"2016-10-30T{h:02}:00;{h}\n" for h in range(6))
    config = tmp_path / "meter.toml"
    home = read(tmp_path, LOCAL, rows)
    np.testing.assert_allclose(
        home.energy_kwh["grid_import"], [0.0, 1.0, np.nan, np.nan, 3.0, 4.0, 5.0]
    )
    (said,) = read_meter(config).remarks
    assert said.startswith("meter: meter.csv, row 4: '2016-10-30 02:00:00' happens twice")


def test_an_hour_that_never_was_is_refused_if_it_has_a_value(tmp_path: Path) -> None:
    rows = "time;import\n2016-03-27T01:00;1\n2016-03-27T02:00;{}\n2016-03-27T03:00;3\n"
    message = refusal(tmp_path, LOCAL, rows.format("2"))
    assert "row 3: '2016-03-27 02:00:00' does not exist in Europe/Berlin" in message
    assert "'Etc/GMT-1'" in message
    for nothing in ("", "0", "0,00", "1", "-"):
        assert energy(read(tmp_path, LOCAL, rows.format(nothing))) == [1.0, 3.0]
    filled = LOCAL.replace('label = "start"', 'label = "start"\nclock_changes = "gap"')
    assert energy(read(tmp_path, filled, rows.format("2"))) == [1.0, 3.0]


def test_stamps_with_offsets_are_instants_whatever_the_zone(tmp_path: Path) -> None:
    assert read(tmp_path, LOCAL).ts_utc[0] == np.datetime64("2016-06-01T00:00")


def test_no_offset_where_one_was_promised(tmp_path: Path) -> None:
    rows = ROWS.replace("01:00Z", "01:00")
    assert "row 3: '2016-06-01T01:00' has no offset" in refusal(tmp_path, rows=rows)


# --- what does not fit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (";101,75", ";99", "row 4, column 'import': 99 runs backwards"),
        (";101,75", ";101.75", "row 4, column 'import': '101.75' is no number"),
        (";101,75", ";inf", "'inf' is no number"),
        (";101,75", ";n.n.", "'n.n.' is no number"),
        ("T02:00Z", "T01:00Z", "row 4: its time stands there twice, with other values in"),
        ("T02:00Z", "T00:30Z", "row 4: its time is before that of the row above"),
        ("T02:00Z", "T02:05Z", "row 4: is not on the grid of step_minutes"),
        ("2016-06-01T02:00Z", "tomorrow", "row 4: 'tomorrow' is no time"),
        ("2016-06-01T02:00Z", "", "row 4: '' is no time"),
        ("import", "export", "has no column 'import' with separator ';'"),
        (ROWS, "time;import\n", "meter.csv: has no rows"),
        (ROWS, "", "meter.csv has no column 'time'"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ROWS
    assert message in refusal(tmp_path, rows=ROWS.replace(old, new))


def test_thousands_are_read_where_a_number_proves_them(tmp_path: Path) -> None:
    rows = "time;import\n2016-06-01T00:00Z;{}\n2016-06-01T01:00Z;{}\n"
    assert energy(read(tmp_path, rows=rows.format("999,5", "1.000,75")))[1] == 1.25
    assert energy(read(tmp_path, rows=rows.format("1 000 000", "1'000'001,5")))[1] == 1.5
    assert energy(read(tmp_path, rows=rows.format("1.000.000", "1.000.002")))[1] == 2.0
    message = refusal(tmp_path, rows=rows.format("100.316", "100.568"))
    assert "'100.316' is no number with decimal = ','; if '.' separates thousands" in message
    assert "'0.316' is no number" in refusal(tmp_path, rows=rows.format("0.316", "1.000,5"))


def test_a_meter_that_ran_backwards_in_a_gap(tmp_path: Path) -> None:
    rows = ROWS + "2016-06-01T09:00Z;50\n"
    assert "row 5, column 'import': 50 runs backwards" in refusal(tmp_path, rows=rows)


def test_a_signed_meter_is_refused(tmp_path: Path) -> None:
    config = CONFIG.replace("cumulative", "interval")
    assert "-1 is negative" in refusal(tmp_path, config, ROWS.replace(";101,75", ";-1"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('building = "my_home"\n', "", "meter: meter.toml: building is missing"),
        ('building = "my_home"', "building = ", "meter.toml is not valid TOML"),
        ('"residential"', '"castle"', "kind = 'castle', expected 'residential', 'industrial' or"),
        ("Europe/Berlin", "Europe/Konstanz", "timezone: 'Europe/Konstanz' is no time zone"),
        (PLACE, "", "meter.toml: place is missing, expected a table [place]"),
        (PLACE, 'place = "Hamburg"\n', "place = 'Hamburg', expected a table [place]"),
        ("latitude_deg = 53.55\n", "", "meter.toml, place: latitude_deg is missing"),
        ("53.55", "true", "place: latitude_deg = True, expected a number"),
        ("53.55", "93.55", "place: place Hamburg: latitude_deg = 93.55, allowed is ±90"),
        ('"DE"', '"GERMANY"', "country = 'GERMANY' is no country whose holidays are known"),
        ('"HH"', '"HH"\nheight_m = 8', "place: unknown key 'height_m', known are name, lat"),
        ("= 10\n", "= -100\n", "at longitude_deg = -100 the sun is highest 7.7 h from noon in"),
        (
            "step_minutes = 60",
            "step_minutes = 20",
            "step_minutes = 20, expected 1, 5, 10, 15, 30 or 60",
        ),
        ('label = "end"', 'label = "end"\nskip = 3', "file 1: unknown key 'skip', known are "),
        ('separator = ";"', 'separator = ","', "separator and decimal are both ','"),
        ('["meter.csv"]', "[]", "file 1: paths = [], expected at least one text"),
        ('["meter.csv"]', "[3]", "file 1: paths 1 = 3, expected at least one text"),
        ('["meter.csv"]', '["gone.csv"]', "gone.csv; check 'paths'"),
        (
            '"offset in every stamp"',
            '"Mars"',
            "'Europe/Berlin' or 'UTC' or 'offset in every stamp'",
        ),
        ('role = "import"', 'role = "load"', "feed 1: category = 'grid', expected discrete_phase"),
        ('unit = "kWh"', 'unit = "kW"', "feed 1: unit = 'kW', expected an energy for kind"),
        (IMPORT, IMPORT + IMPORT, "feed 'grid_import' stands there twice"),
        ("[[file.feed]]", "feed = 3", "feed = 3, expected one or more [[file.feed]] tables"),
        (
            'role = "import"\ncategory = "grid"',
            'role = "pv"\ncategory = "pv"',
            "no feed has role 'import'",
        ),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CONFIG
    assert message in refusal(tmp_path, CONFIG.replace(old, new))


def test_the_building_stands_where_it_is_said_to_stand(tmp_path: Path) -> None:
    hamburg = read(tmp_path).place
    assert (hamburg.name, hamburg.latitude_deg, hamburg.longitude_deg) == ("Hamburg", 53.55, 10.0)
    assert (hamburg.country, hamburg.subdivision) == ("DE", "HH")
    whole_country = CONFIG.replace('subdivision = "HH"\n', "")
    assert read(tmp_path, whole_country).place.subdivision == ""


@pytest.mark.parametrize(
    ("timezone", "longitude_deg"),
    [("Asia/Shanghai", 76.0), ("Pacific/Kiritimati", -157.4), ("America/New_York", -74.0)],
)
def test_clocks_may_be_hours_away_from_the_sun(
    tmp_path: Path, timezone: str, longitude_deg: float
) -> None:
    there = CONFIG.replace("Europe/Berlin", timezone).replace("= 10\n", f"= {longitude_deg}\n")
    assert read(tmp_path, there).place.longitude_deg == longitude_deg


def test_pv_needs_the_feed_in_meter(tmp_path: Path) -> None:
    pv = IMPORT.replace('role = "import"', 'role = "pv"').replace("grid_import", "pv")
    message = refusal(tmp_path, CONFIG + pv.replace('"grid"', '"pv"'))
    assert "'pv' but none with role 'export'" in message
    full_feed_in = CONFIG + pv.replace('"grid"', '"pv"') + "behind_import = false\n"
    assert read(tmp_path, full_feed_in).load_rule == "import"


def test_a_missing_description(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*gone\.toml"):
        read_meter(tmp_path / "gone.toml")


def test_prices_stand_beside_the_meter(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(
        "utc_timestamp,price_eur_per_mwh\n2016-06-01T00:00Z,20\n2016-06-01T01:00Z,-5\n"
    )
    config = HEAD + 'prices = "prices.csv"\n' + PLACE + FILE + IMPORT
    dataset = read_meter(write(tmp_path, config))
    assert dataset.prices["eur_per_mwh"].tolist() == [20.0, -5.0]
    assert read_meter(write(tmp_path)).prices.empty
    assert dataset.meta["synthetic"] == "false"


def test_measurements_that_are_made_up_say_so(tmp_path: Path) -> None:
    made_up = HEAD + "synthetic = true\n" + PLACE + FILE + IMPORT
    assert read_meter(write(tmp_path, made_up)).meta["synthetic"] == "true"


def test_the_hash_follows_the_measurements(tmp_path: Path) -> None:
    before = read_meter(write(tmp_path)).meta["sha256"]
    assert read_meter(write(tmp_path)).meta["sha256"] == before
    assert read_meter(write(tmp_path, rows=ROWS.replace(",5", ",6"))).meta["sha256"] != before


@pytest.mark.smoke
def test_the_documented_example_reads() -> None:
    dataset = read_meter(ROOT / "docs" / "own_meter" / "meter.toml")
    (home,) = dataset.buildings
    assert home.step_h == 0.25
    assert home.ts_utc[0] < np.datetime64("2016-10-30T00:00") < home.ts_utc[-1]
    assert not any(np.isnan(series[1:]).any() for series in home.energy_kwh.values())
