from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_store import START, opsd_lines, write

from ems.errors import DataError
from ems.site.place import KONSTANZ
from ems.store.ingest.opsd import read_opsd, read_prices, read_weather

IMPORT = "DE_KN_residential9_grid_import"
PV = "DE_KN_residential9_pv"
LINES = opsd_lines({IMPORT: [0.0, 0.5, 1.5, 1.5, 2.25]})


@pytest.mark.smoke
def test_energy_is_the_difference_and_starts_at_the_label(tmp_path: Path) -> None:
    (data,) = read_opsd(write(tmp_path / "a.csv", LINES)).buildings
    assert data.ts_utc[0] == START + np.timedelta64(1, "h")
    np.testing.assert_allclose(data.energy_kwh["grid_import"], [0.5, 1.0, 0.0, 0.75])
    assert (data.step_h, data.kind, data.timezone) == (1.0, "residential", "Europe/Berlin")


def test_gzip_and_quarter_hours(tmp_path: Path) -> None:
    lines = opsd_lines({IMPORT: [0.0, 0.5, 1.5]}, step_min=15)
    (data,) = read_opsd(write(tmp_path / "a.csv.gz", lines)).buildings
    assert data.step_h == 0.25
    np.testing.assert_allclose(data.energy_kwh["grid_import"], [0.5, 1.0])


def test_each_building_has_its_own_range_and_empty_columns_vanish(tmp_path: Path) -> None:
    lines = opsd_lines(
        {
            IMPORT: [None, None, 1.0, 2.0, 3.0],
            PV: [None] * 5,
            "DE_KN_public2_grid_import": [0.0, 1.0, 2.0, None, None],
            "DE_KN_industrial2_grid_import": [None] * 5,
        }
    )
    found = {d.building: d for d in read_opsd(write(tmp_path / "a.csv", lines)).buildings}
    assert set(found) == {"DE_KN_residential9", "DE_KN_public2"}
    assert found["DE_KN_public2"].kind == "public"
    assert found["DE_KN_public2"].ts_utc[0] == START + np.timedelta64(1, "h")
    assert len(found["DE_KN_public2"].ts_utc) == 2
    assert found["DE_KN_residential9"].ts_utc[0] == START + np.timedelta64(3, "h")
    assert [feed.name for feed in found["DE_KN_residential9"].feeds] == ["grid_import"]


def test_roles_and_categories_follow_from_the_names(tmp_path: Path) -> None:
    names = ["grid_export", "pv_roof", "ev", "heat_pump", "dishwasher", "sauna"]
    lines = opsd_lines({f"DE_KN_public1_{name}": [0.0, 1.0] for name in names})
    (data,) = read_opsd(write(tmp_path / "a.csv", lines)).buildings
    assert [(feed.role, feed.category) for feed in data.feeds] == [
        ("export", "grid"),
        ("pv", "pv"),
        ("load", "ev"),
        ("load", "partial_usage"),
        ("load", "discrete_phase"),
        ("load", "fixed"),
    ]


def test_only_the_buildings_of_konstanz_are_said_to_be_of_opsd(tmp_path: Path) -> None:
    opsd = read_opsd(write(tmp_path / "a.csv", LINES)).meta
    berlin = replace(KONSTANZ, name="Berlin", subdivision="BE")
    elsewhere = write(tmp_path / "b.csv", [line.replace("DE_KN", "DE_B") for line in LINES])
    own = read_opsd(elsewhere, place=berlin)
    assert {data.place for data in own.buildings} == {berlin}
    with pytest.raises(DataError, match="it is not known where 'DE_B' is"):
        read_opsd(elsewhere)
    assert opsd["licence"].startswith("CC BY 4.0")
    assert own.meta["source"] == "b.csv, in the layout of OPSD"
    assert own.meta["licence"] == "not known"


def test_a_gap_stays_a_gap_up_to_the_reading_after_it(tmp_path: Path) -> None:
    lines = opsd_lines({IMPORT: [0.0, 1.0, None, None, 4.0, 5.0]})
    (data,) = read_opsd(write(tmp_path / "a.csv", lines)).buildings
    np.testing.assert_allclose(data.energy_kwh["grid_import"], [1.0, np.nan, np.nan, np.nan, 1.0])


def test_missing_rows_are_a_gap_on_a_grid_without_holes(tmp_path: Path) -> None:
    (data,) = read_opsd(write(tmp_path / "a.csv", LINES[:3] + LINES[4:])).buildings
    assert np.all(np.diff(data.ts_utc) == np.timedelta64(1, "h"))
    np.testing.assert_allclose(data.energy_kwh["grid_import"], [0.5, np.nan, np.nan, 0.75])


def test_the_marker_names_the_filled_columns(tmp_path: Path) -> None:
    lines = opsd_lines({IMPORT: [0.0, 1.0, 2.0, 3.0], PV: [0.0, 1.0, 2.0, 3.0]})
    lines[3] += f"{PV} | DE_KN_residential9_other"
    (data,) = read_opsd(write(tmp_path / "a.csv", lines)).buildings
    assert list(data.filled) == ["pv"]
    np.testing.assert_array_equal(data.filled["pv"], [False, True, True])


@pytest.mark.parametrize(
    ("first", "starts"),
    [
        ("2017-01-10T12:00:00Z", "2017-01-10T12:00:00"),
        ("2017-07-10T12:00:00Z", "2017-07-10T11:00:00"),
    ],
)
def test_the_2017_version_labels_the_reading_and_is_an_hour_ahead_in_summer(
    tmp_path: Path, first: str, starts: str
) -> None:
    second = str(np.datetime64(first[:-1], "s") + np.timedelta64(1, "h")) + "Z"
    lines = [f"utc_timestamp,{IMPORT},interpolated_values", f"{first},0,", f"{second},1,"]
    (data,) = read_opsd(write(tmp_path / "a.csv", lines)).buildings
    assert data.ts_utc.tolist() == [np.datetime64(starts, "s").item()]


def test_the_2017_version_across_both_clock_changes(tmp_path: Path) -> None:
    times = np.datetime64("2016-03-26T00:00:00", "s") + np.arange(24 * 250) * np.timedelta64(1, "h")
    lines = [f"utc_timestamp,{IMPORT},interpolated_values"]
    lines += [f"{time}Z,{row / 10:.1f}," for row, time in enumerate(times)]
    (data,) = read_opsd(write(tmp_path / "a.csv", lines)).buildings
    assert np.all(np.diff(data.ts_utc) == np.timedelta64(1, "h"))
    assert np.count_nonzero(np.isnan(data.energy_kwh["grid_import"])) <= 2


BAD_FILES = {
    "no time": (["a,b", "1,2", "3,4"], "column utc_timestamp is missing"),
    "semicolons": (
        [line.replace(",", ";") for line in LINES],
        "column utc_timestamp is missing: the header is separated by ';'; the separator must",
    ),
    "many columns": (
        [",".join(["x" * 50] * 9), ",".join(["1"] * 9), ",".join(["1"] * 9)],
        f"is missing; found {'x' * 40}, ",
    ),
    "huge and backwards": (
        opsd_lines({IMPORT: [0.0, 1e300, 1.5]}),
        "runs backwards from 1e+300 to 1.5 kWh",
    ),
    "no marker": ([line.rsplit(",", 1)[0] for line in LINES], "column interpolated is missing"),
    "no meters": (["utc_timestamp,interpolated", *[f"{START}Z,"] * 2], "appears twice"),
    "one row": (LINES[:2], "1 rows; at least 2"),
    "twice": ([*LINES[:3], LINES[2]], "appears twice"),
    "back in time": ([*LINES[:2], LINES[3], LINES[2]], "must be in order"),
    "no date": ([*LINES, "yesterday,,3,"], "'yesterday' in data row 6"),
    "between": ([*LINES, LINES[-1].replace("04:00", "04:17")], "17 minutes apart"),
    "odd step": (opsd_lines({IMPORT: [0.0, 1.0, 2.0]}, step_min=30), "30 minutes apart"),
    "backwards": (opsd_lines({IMPORT: [0.0, 2.0, 1.0]}), "runs backwards from 2 to 1 kWh"),
    "backwards over a gap": (opsd_lines({IMPORT: [0.0, 2.0, None, 1.0]}), "runs backwards"),
    "infinite": (opsd_lines({IMPORT: [0.0, "inf", "inf"]}), "is infinite at 2016-03-01T01:00:00Z"),
    "text": (opsd_lines({IMPORT: [0.0, "one", 2.0]}), "'one' in data row 2"),
    "all empty": (opsd_lines({IMPORT: [None, None]}), "every meter column is empty"),
    "strange column": (opsd_lines({"kitchen": [0.0, 1.0]}), "'kitchen' names no building"),
    "unknown country": (opsd_lines({"XX_KN_home1_pv": [0.0, 1.0]}), "no time zone known"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    lines, message = BAD_FILES[case]
    with pytest.raises(DataError) as caught:
        read_opsd(write(tmp_path / "a.csv", lines))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_a_download_an_empty_file_no_file(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.csv.gz", LINES * 200).read_bytes()
    half = tmp_path / "half.csv.gz"
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="ends in the middle"):
        read_opsd(half)
    not_gzip = tmp_path / "not.csv.gz"
    not_gzip.write_text("utc_timestamp")
    with pytest.raises(DataError, match="0 rows"):
        read_opsd(not_gzip)
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(DataError, match="is empty"):
        read_opsd(empty)
    with pytest.raises(DataError, match="no such file"):
        read_opsd(tmp_path / "none.csv")


def price_file(path: Path, *prices: object) -> Path:
    times = np.datetime64("2018-09-30T20:00:00", "s") + np.arange(len(prices)) * np.timedelta64(
        1, "h"
    )
    lines = ["utc_timestamp,price_eur_per_mwh,dst_averaged"]
    lines += [f"{time}Z,{price},0" for time, price in zip(times, prices, strict=True)]
    return write(path, lines)


def test_prices_change_their_zone_when_austria_left(tmp_path: Path) -> None:
    prices = read_prices(price_file(tmp_path / "p.csv", 30.0, -5.5, 40.0))
    assert prices["zone"].tolist() == ["DE-AT-LU", "DE-AT-LU", "DE-LU"]
    assert prices["eur_per_mwh"].tolist() == [30.0, -5.5, 40.0]
    assert prices["step_h"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("bad", ["", "nan", "inf", "-inf"])
def test_every_price_must_be_finite(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError, match="2018-09-30T21:00:00Z"):
        read_prices(price_file(tmp_path / "p.csv", 30.0, bad, 40.0))


def test_prices_need_their_column(tmp_path: Path) -> None:
    lines = ["utc_timestamp,price", f"{START}Z,1", f"{START + np.timedelta64(1, 'h')}Z,1"]
    with pytest.raises(DataError, match="column price_eur_per_mwh is missing"):
        read_prices(write(tmp_path / "p.csv", lines))


def test_weather_of_both_layouts(tmp_path: Path) -> None:
    german = [
        "utc_timestamp,DE_temperature,DE_radiation_direct_horizontal,"
        "DE_radiation_diffuse_horizontal",
        "2016-01-01T00:00:00Z,1.5,100,50",
        "2016-01-01T01:00:00Z,2.5,0,20",
    ]
    weather = read_weather(write(tmp_path / "w.csv", german))
    assert weather["temperature_c"].tolist() == [1.5, 2.5]
    assert weather["ghi_w_per_m2"].tolist() == [150.0, 20.0]
    own = ["utc_timestamp,temperature_c", "2016-01-01T00:00:00Z,1", "2016-01-01T01:00:00Z,2"]
    with pytest.raises(DataError, match="column ghi_w_per_m2 is missing"):
        read_weather(write(tmp_path / "w2.csv", own))
    whole = [f"{line},{more}" for line, more in zip(own, ("ghi_w_per_m2", 0, 5), strict=True)]
    assert set(read_weather(write(tmp_path / "w3.csv", whole))["site"]) == {"w3.csv"}


@pytest.mark.real_data
def test_the_original_of_2017_tells_the_same_as_the_file_of_2020(shared_data: Path) -> None:
    folder = shared_data / "opsd_household"
    new = next(
        data
        for data in read_opsd(folder / "household_data_60min_singleindex.csv.gz").buildings
        if data.building == "DE_KN_residential4"
    )
    (old,) = read_opsd(folder / "residential4_original_2017.csv.gz").buildings
    both = pd.DataFrame({"new": pd.Series(new.energy_kwh["pv"], new.ts_utc)}).join(
        pd.Series(old.energy_kwh["pv"], old.ts_utc, name="old"), how="inner"
    )
    late = both["2016-09-10":].dropna()
    assert np.mean(np.abs(late["new"] - late["old"]) < 0.0015) > 0.98
    assert np.isnan(old.energy_kwh["refrigerator"]).sum() > 800


@pytest.mark.real_data
def test_the_sun_agrees_with_the_labels(shared_data: Path) -> None:
    import pvlib

    file = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    minutes = pd.date_range("2016-01-01", "2017-01-01", freq="10min", tz="UTC")
    sun = pvlib.solarposition.get_solarposition(minutes, 47.66, 9.18)["apparent_elevation"]
    up = (sun > -1.0).groupby(minutes.floor("h")).any().to_numpy()[:-1]
    for data in read_opsd(file).buildings:
        if data.building not in {"DE_KN_residential1", "DE_KN_residential6"}:
            continue
        in_2016 = data.ts_utc.astype("datetime64[Y]") == np.datetime64("2016")
        pv_kwh = data.energy_kwh["pv"][in_2016]
        share_in_the_dark = {
            hours: pv_kwh[~np.roll(up, -hours)].sum() / pv_kwh.sum() for hours in (-1, 0, 1)
        }
        assert share_in_the_dark[0] < 1e-5
        assert min(share_in_the_dark[-1], share_in_the_dark[1]) > 1e-4
