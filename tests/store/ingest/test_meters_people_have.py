"""Meter files as people really have them: each kind that once was read wrongly or refused."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ems.errors import DataError
from ems.site.meters import load_kwh
from ems.store.ingest.dataset import BuildingData, Dataset
from ems.store.ingest.meter import read_meter
from ems.store.quality import QUALITIES, judge
from ems.types import Floats

PLACE = 'name = "Hamburg"\nlatitude_deg = 53.55\nlongitude_deg = 9.99\ncountry = "DE"'


@dataclass
class House:
    """A description and its file."""

    folder: Path
    zone: str = "Europe/Berlin"
    step: int = 60
    place: str = PLACE
    file: dict[str, object] = field(
        default_factory=lambda: {
            "separator": ";",
            "decimal": ".",
            "timestamp_column": "time",
            "timestamp_zone": "Europe/Berlin",
            "timestamp_format": "%Y-%m-%d %H:%M",
            "label": "start",
        }
    )
    feeds: list[dict[str, object]] = field(
        default_factory=lambda: [{"column": "import", "role": "import"}]
    )

    def read(self, raw: bytes | str, name: str = "meter.csv") -> Dataset:
        """What is read of a file with this content."""
        path = self.folder / name
        path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
        return self.read_files([name])

    def read_files(self, paths: list[str]) -> Dataset:
        """What is read of the files that lie there."""
        lines = [
            'building = "home"\nkind = "residential"',
            f'timezone = "{self.zone}"\nstep_minutes = {self.step}\n[place]\n{self.place}',
            f"[[file]]\npaths = {paths}",
            *(_line(key, value) for key, value in self.file.items()),
        ]
        for feed in self.feeds:
            whole = {"name": feed["column"], "kind": "interval", "unit": "kWh", **feed}
            lines.append("[[file.feed]]")
            lines += [_line(key, value) for key, value in whole.items()]
        config = self.folder / "meter.toml"
        config.write_text("\n".join(lines))
        return read_meter(config)

    def energy(self, raw: bytes | str) -> Floats:
        """The energies of the first feed."""
        (home,) = self.read(raw).buildings
        return home.energy_kwh[home.feeds[0].name]

    def refusal(self, raw: bytes | str) -> str:
        """The one line with which a file is refused."""
        with pytest.raises(DataError) as caught:
            self.read(raw)
        assert "\n" not in str(caught.value)
        return str(caught.value)


def _line(key: str, value: object) -> str:
    return f"{key} = {value}" if isinstance(value, list | int | float) else f'{key} = "{value}"'


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(folder=tmp_path)


def rows(
    values: Iterator[object] | list[object],
    start: str = "2024-05-06",
    minutes: int = 60,
    form: str = "%Y-%m-%d %H:%M",
    head: str = "time;import",
) -> str:
    """A file of one column."""
    stamps = pd.date_range(start, periods=len(list(values)), freq=f"{minutes}min")
    return (
        "\n".join([head, *(f"{t:{form}};{v}" for t, v in zip(stamps, values, strict=True))]) + "\n"
    )


USE = [0.2 + 0.01 * i for i in range(24)]
DRAWN = np.random.default_rng(7).uniform(0.2, 0.6, 720).round(5).tolist()


# --- columns -------------------------------------------------------------------------------------


def test_a_separator_at_the_end_of_every_row_shifts_nothing(house: House) -> None:
    plain = rows([f"{v:.2f};9" for v in USE], head="time;import;rest")
    np.testing.assert_allclose(house.energy(plain), USE)
    np.testing.assert_allclose(house.energy(plain.replace(";9\n", ";9;\n")), USE)


def test_a_row_with_a_value_too_many_or_too_few_is_refused_with_its_line(house: House) -> None:
    lines = rows([f"{v:.2f};9" for v in USE], head="time;import;rest").splitlines()
    more = [*lines[:5], lines[5] + ";1", *lines[6:]]
    assert "meter.csv, row 6: has 4 fields, the header has 3" in house.refusal("\n".join(more))
    fewer = [*lines[:5], lines[5].removesuffix(";9"), *lines[6:]]
    assert "meter.csv, row 6: has 2 fields, the header has 3" in house.refusal("\n".join(fewer))


def test_a_comma_for_decimals_between_commas_is_refused(house: House) -> None:
    house.file |= {"separator": ","}
    wrong = rows(["0,25"] * 24).replace(";", ",")
    assert "row 2: has 3 fields, the header has 2" in house.refusal(wrong)


def test_a_quote_that_is_not_closed_is_said_with_its_file(house: House) -> None:
    lines = rows([f'"{v:.2f}"' for v in USE]).splitlines()
    text = "\n".join([*lines[:5], lines[5] + '"' + "x" * 200_000, *lines[6:]])
    said = house.refusal(text)
    assert said.startswith("meter: meter.csv, row 6: is no CSV (field larger")


# --- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_any_encoding(house: House, encoding: str) -> None:
    house.feeds = [{"column": "Zählerstand", "name": "grid", "role": "import"}]
    text = rows(USE, head="time;Zählerstand")
    np.testing.assert_allclose(house.energy(text.encode(encoding)), USE)


def test_lines_above_units_below_and_totals_at_the_end(house: House) -> None:
    table = rows([f"{v:.2f}" for v in USE]).splitlines()
    above = ["sep=;", "Kunde;X;Y", "", "Zählpunkt;AT00"]
    text = "\n".join([*above, table[0], ";[kWh]", *table[1:], "", "Summe 2024;7,56", ";;"])
    dataset = house.read(text)
    np.testing.assert_allclose(dataset.buildings[0].energy_kwh["import"], USE)
    assert any("below the data left out (row 32: 'Summe 2024 7,56')" in r for r in dataset.remarks)
    broken = text.replace("Summe 2024;7,56", "2024-05-0;7.56")
    assert "row 32: '2024-05-0' in column 'time' is no time" in house.refusal(broken)


@pytest.mark.parametrize(
    "mark", ["", "-", "--", "n/a", "N/A", "NaN", "null", "unavailable", "NULL"]
)
def test_marks_of_missing_values_are_gaps(house: House, mark: str) -> None:
    found = house.energy(rows([*USE[:5], mark, *USE[6:]]))
    assert np.flatnonzero(np.isnan(found)).tolist() == [5]


@pytest.mark.parametrize("kind", ["zip", "gz", "tar"])
def test_packed_files(house: House, kind: str) -> None:
    text = rows(USE).encode()
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.csv", rows(USE[:12]))
            archive.writestr("b.csv", rows(USE[12:], start="2024-05-06 12:00"))
    elif kind == "gz":
        packed.write(gzip.compress(text))
    else:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo("a.csv")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    np.testing.assert_allclose(house.energy(packed.getvalue()), USE)
    if kind != "tar":
        assert "is damaged" in house.refusal(packed.getvalue()[: len(packed.getvalue()) // 2])


def test_a_file_a_month(house: House) -> None:
    for month, part in (("05", USE), ("06", USE[::-1])):
        (house.folder / f"2024-{month}.csv").write_text(rows(part, start=f"2024-{month}-01"))
    (home,) = house.read_files(["2024-*.csv"]).buildings
    assert np.nansum(home.energy_kwh["import"]) == pytest.approx(2 * sum(USE))


# --- time ----------------------------------------------------------------------------------------


def test_offsets_that_change_beside_a_named_zone(house: House) -> None:
    house.file["timestamp_format"] = "ISO8601"
    stamps = pd.date_range("2024-10-26", periods=73, freq="h", tz="Europe/Berlin")
    text = "time;import\n" + "".join(f"{t.isoformat()};{i}\n" for i, t in enumerate(stamps))
    np.testing.assert_allclose(house.energy(text), np.arange(73.0))


def test_the_doubled_hour_in_pairs_of_quarters(house: House) -> None:
    """02:00, 02:00, 02:15, 02:15, … as some portals sort them."""
    house.step = 15
    stamps = pd.date_range("2024-10-26 22:00", periods=24, freq="15min", tz="UTC")
    local = stamps.tz_convert("Europe/Berlin").tz_localize(None)
    order = np.argsort(local, kind="stable")
    text = "time;import\n" + "".join(f"{local[i]:%Y-%m-%d %H:%M};{i}\n" for i in order)
    np.testing.assert_allclose(house.energy(text), np.arange(24.0))


def test_newest_first(house: House) -> None:
    head, *lines = rows(USE).splitlines()
    np.testing.assert_allclose(house.energy("\n".join([head, *lines[::-1]])), USE)


def test_newest_first_through_the_doubled_hour(house: House) -> None:
    stamps = pd.date_range("2024-10-26", periods=49, freq="h", tz="Europe/Berlin")
    lines = [f"{t:%Y-%m-%d %H:%M};{i}" for i, t in enumerate(stamps)]
    found = house.energy("\n".join(["time;import", *lines[::-1]]))
    np.testing.assert_allclose(found, np.arange(49.0))


def test_the_end_of_the_day_is_24_o_clock(house: House) -> None:
    house.file |= {"label": "end", "timestamp_format": "%d.%m.%Y %H:%M"}
    lines = [f"06.05.2024 {h:02}:00;{USE[h - 1]}" for h in range(1, 25)]
    np.testing.assert_allclose(house.energy("\n".join(["time;import", *lines])), USE)


def test_seconds_since_1970(house: House) -> None:
    house.file |= {"timestamp_format": "%s", "timestamp_zone": "UTC"}
    start = 1714946400
    text = "time;import\n" + "".join(f"{start + 3600 * i};{v}\n" for i, v in enumerate(USE))
    np.testing.assert_allclose(house.energy(text), USE)
    assert "is no number of seconds since 1970" in house.refusal(text.replace(str(start), "soon9"))


@pytest.mark.parametrize("form", ["%Q", "%", "%d.%m.%Y %d", "%G-%m", "%Y-%m-%d %H:%M %k", "(["])
def test_a_form_that_is_none_is_one_line(house: House, form: str) -> None:
    house.file["timestamp_format"] = form
    said = house.refusal(rows(USE))
    assert "timestamp_format" in said or "is no time in the form" in said


@pytest.mark.parametrize("year", ["0024", "1899", "1970", "2106", "9999"])
def test_years_that_cannot_be(house: House, year: str) -> None:
    text = rows(USE).replace("2024-05-06 05:00", f"{year}-05-06 05:00")
    assert "row 7" in house.refusal(text)


def test_date_and_time_in_two_columns(house: House) -> None:
    house.file |= {"timestamp_format": "%d.%m.%Y"}
    stamps = pd.date_range("2024-05-06", periods=24, freq="h")
    text = "time;von;import\n" + "".join(
        f"{t:%d.%m.%Y};{t:%H:%M:%S};{v}\n" for t, v in zip(stamps, USE, strict=True)
    )
    assert "time_column = 'von'" in house.refusal(text)
    house.file |= {"timestamp_format": "%d.%m.%Y %H:%M:%S", "time_column": "von"}
    np.testing.assert_allclose(house.energy(text), USE)


def test_zones_of_half_an_hour(house: House) -> None:
    house.zone, house.file["timestamp_zone"] = "Australia/Adelaide", "Australia/Adelaide"
    house.place = PLACE.replace("53.55", "-34.93").replace("9.99", "138.6").replace("DE", "AU")
    (home,) = house.read(rows(USE)).buildings
    np.testing.assert_allclose(home.energy_kwh["import"], USE)
    assert home.ts_utc[0] == np.datetime64("2024-05-05T14:30")


def test_equal_rows_of_touching_files_are_read_once(house: House) -> None:
    (house.folder / "b.csv").write_text(rows(USE[12:], start="2024-05-06 12:00"))
    (house.folder / "a.csv").write_text(rows(USE[:13]))
    (home,) = house.read_files(["b.csv", "a.csv"]).buildings
    np.testing.assert_allclose(home.energy_kwh["import"], USE)
    (house.folder / "a.csv").write_text(rows([*USE[:12], 0.9]))
    with pytest.raises(DataError, match=r"row 2: its time stands there twice, with other values"):
        house.read_files(["a.csv", "b.csv"])


@pytest.mark.parametrize("zone", ["CET", "Etc/GMT-1", "Europe/Berlin"])
def test_cet_is_what_the_file_shows(house: House, zone: str) -> None:
    """A spring with all 24 hours is winter time all year; one with 23 is not; else it is asked."""
    house.file["timestamp_zone"] = zone
    fixed = rows([0.3 + 0.01 * (i % 7) for i in range(96)], start="2024-03-30")
    if zone == "Europe/Berlin":
        assert "winter time all year" in house.refusal(fixed)
        return
    (home,) = house.read(fixed).buildings
    assert home.ts_utc[0] == np.datetime64("2024-03-29T23:00")
    assert len(home.ts_utc) == 96
    if zone == "CET":
        stamps = pd.date_range("2024-10-26", periods=73, freq="h", tz="Europe/Berlin")
        text = "time;import\n" + "".join(f"{t:%Y-%m-%d %H:%M};{i}\n" for i, t in enumerate(stamps))
        np.testing.assert_allclose(house.energy(text), np.arange(73.0))
        assert "is read by some with summer time" in house.refusal(rows(USE, start="2024-07-01"))
        house.energy(rows(USE, start="2024-01-10"))


@pytest.mark.parametrize("label", ["start", "end"])
def test_a_spring_day_of_23_hours_shows_that_cet_has_summer_time(house: House, label: str) -> None:
    house.file |= {"timestamp_zone": "CET", "label": label}
    stamps = pd.date_range("2024-03-30", periods=71, freq="h", tz="Europe/Berlin")
    text = "time;import\n" + "".join(f"{t:%Y-%m-%d %H:%M};{i}\n" for i, t in enumerate(stamps))
    (home,) = house.read(text).buildings
    np.testing.assert_allclose(home.energy_kwh["import"], np.arange(71.0))
    lines = text.splitlines()
    house.refusal("\n".join(lines[:20] + lines[40:]))  # a gap over the change shows nothing


@pytest.mark.parametrize(("label", "n_gaps"), [("start", 2), ("end", 3)])
def test_the_autumn_hour_once_costs_only_what_may_be_it(
    house: House, label: str, n_gaps: int
) -> None:
    """24 rows on a day of 25 hours; the row that ends behind the hour may stand for either."""
    house.file["label"] = label
    stamps = pd.date_range("2024-10-26 01:00", periods=48, freq="h")
    found = house.energy(rows(np.arange(48.0).tolist(), start=str(stamps[0])))
    gaps = np.flatnonzero(np.isnan(found))
    assert len(found) == 49
    assert gaps.tolist() == list(range(gaps[0], gaps[0] + n_gaps))
    np.testing.assert_allclose(found[: gaps[0]], np.arange(gaps[0]))
    np.testing.assert_allclose(found[gaps[-1] + 1 :], np.arange(gaps[-1], 48))


def test_the_cure_for_winter_time_all_year_names_the_right_zone(house: House) -> None:
    text = rows([0.3 + 0.01 * (i % 7) for i in range(96)], start="2024-03-30")
    assert "timestamp_zone = 'Etc/GMT-1'; if its portal" in house.refusal(text)
    house.zone, house.file["timestamp_zone"] = "Australia/Adelaide", "Australia/Adelaide"
    house.place = PLACE.replace("53.55", "-34.93").replace("9.99", "138.6").replace("DE", "AU")
    text = rows([0.3 + 0.01 * (i % 7) for i in range(96)], start="2024-10-05")
    assert "the name of a zone without summer time, +0930 from UTC" in house.refusal(text)


# --- steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1, 5, 10, 15, 30, 60])
def test_rows_of_any_step_are_added_up(house: House, minutes: int) -> None:
    n = 24 * 60 // minutes
    text = rows([f"{0.001 * minutes:.3f}"] * n, minutes=minutes)
    np.testing.assert_allclose(house.energy(text), 0.06)
    house.step = minutes
    np.testing.assert_allclose(house.energy(text), 0.001 * minutes)
    house.feeds[0]["unit"] = "kW"
    house.step = 60
    np.testing.assert_allclose(house.energy(text), 0.001 * minutes)


def test_rows_further_apart_than_the_step_are_refused_and_never_scaled(house: House) -> None:
    house.step = 15
    assert "set step_minutes = 60" in house.refusal(rows(USE))


@pytest.mark.parametrize("label", ["start", "end"])
def test_hours_and_then_quarters_in_one_file(house: House, label: str) -> None:
    house.file["label"] = label
    at = "2024-05-06 01:00" if label == "end" else "2024-05-06 00:00"
    hours = rows(USE[:12], start=at)
    at = "2024-05-06 12:15" if label == "end" else "2024-05-06 12:00"
    text = hours + rows(["0.05"] * 48, start=at, minutes=15).split("\n", 1)[1]
    np.testing.assert_allclose(house.energy(text), [*USE[:12], *[0.2] * 12])
    head, *lines = text.splitlines()
    backwards = "\n".join([head, *lines[::-1]])
    np.testing.assert_allclose(house.energy(backwards), [*USE[:12], *[0.2] * 12])


def test_a_missing_quarter_makes_its_hour_a_gap(house: House) -> None:
    head, *lines = rows(["0.05"] * 96, minutes=15).splitlines()
    found = house.energy("\n".join([head, *lines[:6], *lines[7:]]))
    assert np.flatnonzero(np.isnan(found)).tolist() == [1]


def test_a_column_with_longer_steps_than_its_file(house: House) -> None:
    """Import every quarter, a heat pump every hour: its value stands for the hour."""
    house.feeds += [{"column": "pump", "role": "load", "category": "partial_usage"}]
    lines = [f"0.05;{'0.12' if i % 4 == 0 else ''}" for i in range(96)]
    text = rows(lines, minutes=15, head="time;import;pump")
    (home,) = house.read(text).buildings
    np.testing.assert_allclose(home.energy_kwh["import"], 0.2)
    np.testing.assert_allclose(home.energy_kwh["pump"], 0.12)
    house.step = 15
    assert "rows are 60 minutes apart" in house.refusal(text)


@pytest.mark.parametrize("minutes", [20, 120, 1440])
def test_rows_that_are_no_step_are_refused_with_the_steps_there_are(
    house: House, minutes: int
) -> None:
    said = house.refusal(rows(USE, minutes=minutes))
    assert f"rows are {minutes} minutes apart, allowed are 1, 5, 10, 15, 30, 60; export" in said


def test_rows_beside_the_grid_are_refused_with_their_file_once(house: House) -> None:
    said = house.refusal(rows(USE, start="2024-05-06 00:20"))
    assert said.startswith("meter: meter.csv, row 2: is not on the grid of step_minutes = 60")


def test_longer_steps_of_a_column_are_said(house: House) -> None:
    house.feeds += [{"column": "pump", "role": "load", "category": "partial_usage"}]
    lines = [f"0.05;{'0.12' if i % 4 == 0 else ''}" for i in range(96)]
    remarks = house.read(rows(lines, minutes=15, head="time;import;pump")).remarks
    assert "pump: has a value every 60 minutes, which stands for all of them" in remarks


# --- counters ------------------------------------------------------------------------------------


def count(house: House, **feed: object) -> None:
    house.feeds = [{"column": "import", "role": "import", "kind": "cumulative", **feed}]
    house.file["label"] = "end"


def counted(values: list[float], start: str = "2024-05-06 01:00") -> str:
    return rows([f"{v:.3f}" for v in values], start=start)


def test_a_count_that_starts_again_each_day(house: House) -> None:
    count(house)
    days = [*np.cumsum(USE), *np.cumsum(USE[::-1]), *np.cumsum(USE)]
    dataset = house.read(counted(days))
    np.testing.assert_allclose(
        dataset.buildings[0].energy_kwh["import"], [*USE, *USE[::-1], *USE], atol=1e-9
    )
    assert "import: the count starts again each day; read as kind = 'daily'" in dataset.remarks
    count(house, kind="daily")
    np.testing.assert_allclose(house.energy(counted(days)), [*USE, *USE[::-1], *USE], atol=1e-9)


def test_a_count_that_begins_anew_is_one_gap(house: House) -> None:
    count(house)
    dataset = house.read(counted([*(5000 + np.cumsum(USE[:12])), *np.cumsum(USE[12:])]))
    found = dataset.buildings[0].energy_kwh["import"]
    assert np.flatnonzero(np.isnan(found)).tolist() == [0, 12]
    assert any("the count began anew" in remark for remark in dataset.remarks)


def test_zeros_amid_a_count_are_no_readings(house: House) -> None:
    count(house)
    values = 5000 + np.cumsum(USE)
    values[[7, 8]] = 0.0
    found = house.energy(counted(values.tolist()))
    assert np.flatnonzero(np.isnan(found)).tolist() == [0, 7, 8, 9]
    assert np.nansum(found) == pytest.approx(sum(USE) - USE[0] - sum(USE[7:10]))


def test_a_count_that_falls_a_little_is_refused(house: House) -> None:
    count(house)
    values = (5000 + np.cumsum(USE)).tolist()
    values[9] -= 1.0
    assert "runs backwards" in house.refusal(counted(values))


def codes_of(home: BuildingData, feed: str) -> list[int]:
    """The steps that a quality rule marks."""
    marked = np.flatnonzero(judge(home).codes[feed] != QUALITIES.index("ok"))
    return [int(i) for i in marked]


def test_a_count_that_stands_still_and_then_jumps_is_a_gap(house: House) -> None:
    count(house)
    values = 5000 + np.cumsum(DRAWN[:96])
    values[30:37] = values[29]
    (home,) = house.read(counted(values.tolist())).buildings
    assert codes_of(home, "import") == [0, *range(30, 38)]


def test_a_coarse_count_is_no_straight_line(house: House) -> None:
    """0.1 kWh in every hour of a night, as a meter of one decimal shows it."""
    night = [f"{v:.1f}" if i % 24 > 14 else "0.1" for i, v in enumerate(DRAWN[:72])]
    (home,) = house.read(rows(night)).buildings
    assert codes_of(home, "import") == []


@pytest.mark.parametrize(
    ("unit", "factor", "more"),
    [("MWh", 1e-3, {}), ("Wh", 1e3, {}), ("pulses", 800.0, {"pulses_per_kwh": 800})],
)
def test_units(house: House, unit: str, factor: float, more: dict[str, object]) -> None:
    house.feeds[0] |= {"unit": unit, **more}
    np.testing.assert_allclose(house.energy(rows([v * factor for v in USE])), USE)


# --- what stands behind the meter ----------------------------------------------------------------


def test_watts_below_zero_at_night_are_the_inverters_own(house: House) -> None:
    house.feeds += [
        {"column": "out", "role": "export"},
        {"column": "pv", "role": "pv"},
    ]
    sun = [-0.003] * 6 + [1.0] * 12 + [-0.003] * 6
    text = rows([f"0.3;0.1;{v}" for v in sun], head="time;import;out;pv")
    dataset = house.read(text)
    assert dataset.buildings[0].energy_kwh["pv"].sum() == 12.0
    assert any("pv: 12 values below zero (0.036 kWh in all" in r for r in dataset.remarks)
    assert "is negative; a roof may draw 50 W" in house.refusal(text.replace("-0.003", "-0.3"))
    assert "is negative; import and export" in house.refusal(text.replace("0.3;0.1", "-0.3;0.1"))


def test_watts_below_zero_of_a_battery_at_rest_count_as_zero(house: House) -> None:
    house.feeds += [{"column": "in", "role": "charge"}, {"column": "give", "role": "discharge"}]
    text = rows(["0.3;-0.004;-0.002"] * 24, head="time;import;in;give")
    dataset = house.read(text)
    assert dataset.buildings[0].energy_kwh["in"].sum() == 0.0
    assert any("in: 24 values below zero (0.096 kWh in all" in r for r in dataset.remarks)
    assert "a battery may draw 50 W" in house.refusal(text.replace("-0.004", "-0.4"))


def battery_house(house: House, columns: str, *feeds: dict[str, object]) -> Dataset:
    house.feeds += [{"column": "out", "role": "export"}, {"column": "pv", "role": "pv"}, *feeds]
    lines = ["0;0;0;0;0.5"] * 8 + ["0;0.2;3;2.2;0"] * 8 + ["0;0;0;0;0.7"] * 8
    text = rows(lines, head=f"time;import;out;pv;{columns}")
    if "signed" in columns:
        text = text.replace(";0;0.5", ";-0.5").replace(";2.2;0", ";2.2").replace(";0;0.7", ";-0.7")
    return house.read(text)


@pytest.mark.parametrize("signed", [False, True])
def test_the_load_of_a_house_with_a_battery(house: House, signed: bool) -> None:
    """Import + PV − export − charge + discharge: 0.5, 0.6 and 0.7 kW."""
    if signed:
        dataset = battery_house(
            house,
            "signed",
            {"column": "signed", "name": "charge", "role": "charge", "part": "positive"},
            {"column": "signed", "name": "give", "role": "discharge", "part": "negative"},
        )
    else:
        dataset = battery_house(
            house,
            "in;give",
            {"column": "in", "role": "charge"},
            {"column": "give", "role": "discharge"},
        )
    (home,) = dataset.buildings
    assert home.load_rule == "import+pv-export-charge+discharge"
    used_kwh = load_kwh(home)
    np.testing.assert_allclose(used_kwh, [0.5] * 8 + [0.6] * 8 + [0.7] * 8)
    assert not any("battery there" in remark for remark in dataset.remarks)


def test_a_battery_that_is_not_named_is_suspected(house: House) -> None:
    dataset = battery_house(house, "in;give")
    assert any(
        "drawn at all" in remark and "a battery there?" in remark for remark in dataset.remarks
    )


def test_half_a_battery_is_refused(house: House) -> None:
    with pytest.raises(DataError, match="a battery needs two feeds"):
        battery_house(house, "in;give", {"column": "in", "role": "charge"})


def test_sun_without_a_meter_leaves_the_net_load(house: House) -> None:
    house.feeds += [{"column": "out", "role": "export"}]
    night_and_day = ["0.4;0"] * 7 + ["0;1.5"] * 12 + ["0.4;0"] * 5
    dataset = house.read(rows(night_and_day * 8, head="time;import;out"))
    (home,) = dataset.buildings
    assert home.load_rule == "import-export"
    used_kwh = load_kwh(home)
    assert used_kwh.min() == -1.5
    assert any("cannot be known" in remark for remark in dataset.remarks)
    # Zero import under the sun is no fault, however long a summer lasts.
    assert not codes_of(home, "import")


def test_two_registers_are_judged_together(house: House) -> None:
    """Day and night rate: while one counts, the other stands still, for weeks if need be."""
    house.feeds = [
        {"column": "T1", "role": "import"},
        {"column": "T2", "role": "import"},
        {"column": "fridge", "role": "load", "category": "fixed"},
    ]
    by_day = [f"0;{v};0.1" if 7 <= i % 24 < 21 else f"{v};0;0.1" for i, v in enumerate(DRAWN[:480])]
    (home,) = house.read(rows(by_day, head="time;T1;T2;fridge")).buildings
    assert codes_of(home, "T1") == codes_of(home, "T2") == []
    weeks = [f"0;{v};0.1" for v in DRAWN]
    (home,) = house.read(rows(weeks, head="time;T1;T2;fridge")).buildings
    assert codes_of(home, "T1") == []


def test_a_battery_that_carries_the_house_all_june_is_no_fault(house: House) -> None:
    house.feeds += [
        {"column": "out", "role": "export"},
        {"column": "pv", "role": "pv"},
        {"column": "in", "role": "charge"},
        {"column": "give", "role": "discharge"},
    ]
    day = ["0;0;0;0;0.5"] * 8 + ["0;0.2;3;2.2;0"] * 8 + ["0;0;0;0;0.7"] * 8
    (home,) = house.read(rows(day * 20, head="time;import;out;pv;in;give")).buildings
    assert codes_of(home, "import") == []


@pytest.mark.parametrize(
    ("factor", "doubt"),
    [
        (1000.0, "unlikely: load in a year 2,761,290.0 kWh (usual: 125 to 100,000); are 'unit'"),
        (0.001, "unlikely: load in a year 2.8 kWh (usual: 125 to 100,000); are 'unit'"),
    ],
)
def test_what_is_no_house_is_said(house: House, factor: float, doubt: str) -> None:
    dataset = house.read(rows([factor * v for v in USE] * 4))
    assert any(remark.startswith(doubt) for remark in dataset.remarks), dataset.remarks
    assert not house.read(rows(USE * 4)).remarks


def test_the_clock_at_24_minutes_past_midnight_is_no_end_of_a_day(house: House) -> None:
    house.step, house.file["timestamp_format"] = 1, "%Y-%m-%d %H:%M:%S"
    text = rows(["0.01"] * 90, minutes=1, form="%Y-%m-%d %H:%M:%S")
    np.testing.assert_allclose(house.energy(text), 0.01)
