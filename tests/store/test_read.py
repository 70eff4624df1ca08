from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_store import HOUR, START, Floats, building, dataset, household, sunshine

from ems.errors import DataError
from ems.site.place import Place
from ems.store.build import build_database
from ems.store.connection import get_con
from ems.store.ingest.dataset import Dataset
from ems.store.ingest.opsd import read_opsd
from ems.store.read import FeedProblem, list_buildings, portfolio, read_history
from ems.store.read import _means as means

NAME = "DE_KN_residential9"


def solar_home(n_days: int = 40) -> dict[str, Floats]:
    load, pv = household(n_days), sunshine(n_days)
    return {
        "grid_import": np.maximum(load - pv, 0.0),
        "pv": pv,
        "grid_export": np.maximum(pv - load, 0.0),
        "dishwasher": load * 0.2,
    }


def market(zone: str, first: np.datetime64, values: Floats, step_h: float = 1.0) -> pd.DataFrame:
    step = np.timedelta64(round(3600 * step_h), "s")
    return pd.DataFrame(
        {
            "zone": zone,
            "ts_utc": first + np.arange(len(values)) * step,
            "step_h": step_h,
            "eur_per_mwh": values,
        }
    )


def stored(tmp_path: Path, data: Dataset) -> Path:
    path = tmp_path / "ems_data.duckdb"
    build_database(data, path)
    return path


@pytest.mark.smoke
def test_a_history_comes_back_as_it_went_in(tmp_path: Path) -> None:
    feeds = solar_home()
    chur = Place(
        name="Chur", latitude_deg=46.85, longitude_deg=9.53, country="CH", subdivision="GR"
    )
    data = replace(building(feeds), place=chur)
    with get_con(stored(tmp_path, dataset(data))) as con:
        assert list_buildings(con) == (NAME,)
        history = read_history(con, NAME)
    assert history.feeds == data.feeds
    assert history.place == data.place
    np.testing.assert_array_equal(history.ts_utc, data.ts_utc)
    for name, values in feeds.items():
        np.testing.assert_array_equal(history.energy_kwh[name], values)
    np.testing.assert_allclose(history.load_kwh, household(40))
    np.testing.assert_array_equal(history.pv_kwh, feeds["pv"])
    assert np.isnan(history.price_eur_per_mwh).all()
    assert (history.synthetic, history.source) == (True, "made for a test; none")
    assert (history.timezone, history.step_h) == ("Europe/Berlin", 1.0)


def test_what_is_not_ok_is_nan_only_where_it_matters(tmp_path: Path) -> None:
    feeds = solar_home()
    feeds["dishwasher"][100] = np.nan
    feeds["pv"][200] = 73.0
    feeds["grid_import"][300] = np.nan
    with get_con(stored(tmp_path, dataset(building(feeds)))) as con:
        history = read_history(con, NAME)
        raw = con.execute("SELECT energy_kwh FROM reading WHERE quality = 'spike'").fetchall()
    assert np.flatnonzero(np.isnan(history.energy_kwh["dishwasher"])).tolist() == [100]
    assert np.flatnonzero(np.isnan(history.pv_kwh)).tolist() == [200]
    assert np.flatnonzero(np.isnan(history.load_kwh)).tolist() == [200, 300]
    assert raw == [(73.0,)]


def test_a_load_with_a_meter_of_its_own_is_added(tmp_path: Path) -> None:
    feeds = {
        "grid_import": household(40),
        "heat_pump": household(40, seed=7) * 2.0,
        "pv": sunshine(40),
    }
    data = building(feeds, separate=("heat_pump", "pv"))
    with get_con(stored(tmp_path, dataset(data))) as con:
        history = read_history(con, NAME)
        hours = con.execute("SELECT load_kwh FROM building_hour ORDER BY hour_utc").fetchnumpy()
    np.testing.assert_allclose(history.load_kwh, feeds["grid_import"] + feeds["heat_pump"])
    np.testing.assert_allclose(hours["load_kwh"], history.load_kwh)
    assert [feed.behind_import for feed in history.feeds] == [True, False, False]


def test_the_view_agrees_with_the_history_and_shows_the_worst_quality(tmp_path: Path) -> None:
    quarter = {name: np.repeat(values / 4, 4) for name, values in solar_home().items()}
    noise = np.random.default_rng(4).uniform(0.9, 1.1, len(quarter["pv"]))
    feeds = {name: values * noise for name, values in quarter.items()}
    feeds["grid_import"][4 * 50 + 1] = np.nan
    feeds["pv"][4 * 50 + 2] = 90.0
    data = building(feeds, step_h=0.25)
    with get_con(stored(tmp_path, dataset(data))) as con:
        history = read_history(con, NAME)
        view = con.execute("SELECT * FROM building_hour ORDER BY hour_utc").df()
    np.testing.assert_allclose(view["load_kwh"], history.load_kwh.reshape(-1, 4).sum(axis=1))
    bad = view[view["worst_quality"] != "ok"]
    assert bad["worst_quality"].tolist() == ["spike"]
    assert bad["hour_utc"].tolist() == [pd.Timestamp(START + 50 * HOUR)]


def test_hourly_prices_are_repeated_over_quarter_hours(tmp_path: Path) -> None:
    data = building({"grid_import": household(1)[:8]}, step_h=0.25)
    prices = market("DE-LU", START, np.array([30.0, -5.0]))
    with get_con(stored(tmp_path, dataset(data, prices=prices))) as con:
        history = read_history(con, NAME, zone="DE-LU")
    assert history.price_eur_per_mwh.tolist() == [30.0] * 4 + [-5.0] * 4


def test_quarter_hourly_prices_are_averaged_over_hours(tmp_path: Path) -> None:
    data = building({"grid_import": household(1)[:2]})
    prices = market("DE-LU", START, np.array([10.0, 20.0, 30.0, 40.0, 1.0, 2.0, 3.0]), step_h=0.25)
    with get_con(stored(tmp_path, dataset(data, prices=prices))) as con:
        history = read_history(con, NAME, zone="DE-LU")
    np.testing.assert_array_equal(history.price_eur_per_mwh, [25.0, np.nan])


def test_zones_follow_each_other_and_holes_stay_holes(tmp_path: Path) -> None:
    data = building({"grid_import": household(1)[:6]})
    prices = pd.concat(
        [
            market("DE-AT-LU", START + HOUR, np.array([10.0, 11.0])),
            market("DE-LU", START + 4 * HOUR, np.array([12.0])),
            market("FR", START, np.full(6, 99.0)),
        ]
    )
    with get_con(stored(tmp_path, dataset(data, prices=prices))) as con:
        history = read_history(con, NAME)
        with pytest.raises(DataError, match="zone 'CH' has no prices; the database has DE-AT-LU"):
            read_history(con, NAME, zone="CH")
    np.testing.assert_array_equal(
        history.price_eur_per_mwh, [np.nan, 10.0, 11.0, np.nan, 12.0, np.nan]
    )


def test_weather_comes_by_name(tmp_path: Path) -> None:
    data = building({"grid_import": household(1)[:8]}, step_h=0.25)
    weather = pd.DataFrame(
        {
            "site": "here",
            "ts_utc": [START, START + HOUR],
            "temperature_c": [1.0, 2.0],
            "ghi_w_per_m2": [0.0, np.nan],
        }
    )
    with get_con(stored(tmp_path, replace(dataset(data), weather=weather))) as con:
        history = read_history(con, NAME)
    assert history.weather["temperature_c"].tolist() == [1.0] * 4 + [2.0] * 4
    np.testing.assert_array_equal(history.weather["ghi_w_per_m2"], [0.0] * 4 + [np.nan] * 4)


def test_an_unknown_building_lists_the_known(tmp_path: Path) -> None:
    path = stored(tmp_path, dataset(building({"grid_import": household(1)})))
    with get_con(path) as con, pytest.raises(DataError, match=f"unknown .* has {NAME}"):
        read_history(con, "DE_KN_castle1")


def test_without_an_import_meter_the_load_is_unknown(tmp_path: Path) -> None:
    with get_con(stored(tmp_path, dataset(building({"pv": sunshine(10)})))) as con:
        assert np.isnan(read_history(con, NAME).load_kwh).all()
        assert portfolio(con)[0].plannable_days == 0


def test_the_portfolio_counts_days_and_names_problems(tmp_path: Path) -> None:
    feeds = solar_home()
    feeds["grid_import"][24 * 10 + 5] = np.nan
    with get_con(stored(tmp_path, dataset(building(feeds)))) as con:
        (row,) = portfolio(con)
    assert row.days == 41  # 40 UTC days touch 41 days in Berlin, of which 39 are whole
    assert row.plannable_days == 38
    assert row.problems == (FeedProblem(feed="grid_import", rule="missing", days=1, steps=1),)
    assert row.devices == {"discrete_phase": ("dishwasher",)}
    assert row.metered_pv_kwh == pytest.approx(feeds["pv"].sum())
    assert row.pv_peak_kw == pytest.approx(feeds["pv"].max())


@pytest.mark.parametrize("n_hours", [24 * 27 + 23, 24 * 27 + 22])
def test_a_day_of_23_hours_is_whole_with_23(tmp_path: Path, n_hours: int) -> None:
    feeds = {"grid_import": np.random.default_rng(1).uniform(0.2, 1.2, n_hours)}
    data = replace(
        building(feeds),
        ts_utc=np.datetime64("2016-02-28T23:00:00", "s") + np.arange(n_hours) * HOUR,
    )
    with get_con(stored(tmp_path, dataset(data))) as con:
        (row,) = portfolio(con)
    assert row.plannable_days == (28 if n_hours % 24 == 23 else 27)


@pytest.mark.real_data
def test_the_loads_of_the_real_portfolio(shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    prices = shared_data / "prices" / "de_day_ahead_2015_2020_utc.csv.gz"
    weather = shared_data / "weather" / "de_2015_2019.csv.gz"
    with get_con(stored(tmp_path, read_opsd(file, prices, weather))) as con:
        history = read_history(con, "DE_KN_residential4")
        rows = {row.building.removeprefix("DE_KN_"): row for row in portfolio(con)}
        raw_load = con.execute(
            "SELECT sum(CASE role WHEN 'export' THEN -energy_kwh ELSE energy_kwh END) "
            "FROM reading JOIN feed USING (building, feed) "
            "WHERE building = 'DE_KN_residential4' AND role <> 'load'"
        ).fetchone()
    assert raw_load == (pytest.approx(15_752.518, abs=0.01),)
    assert np.isfinite(history.price_eur_per_mwh).all()
    assert set(history.weather) >= {"temperature_c", "ghi_w_per_m2"}
    best = (history.ts_utc >= np.datetime64("2015-10-14")) & (
        history.ts_utc < np.datetime64("2017-01-04")
    )
    assert np.isfinite(history.load_kwh[best]).mean() > 0.95
    assert rows["residential1"].load_rule == "import+submetered"
    assert 7.0 < rows["residential1"].pv_peak_kw < 8.2
    assert rows["residential3"].pv_peak_kw < 5.0
    assert all(row.plannable_days > 350 for row in rows.values())


def hours_then_quarters(first: np.datetime64, hours: Floats, quarters: Floats) -> pd.DataFrame:
    later = first + np.timedelta64(len(hours), "h")
    return pd.concat(
        [market("DE-LU", first, hours), market("DE-LU", later, quarters, 0.25)], ignore_index=True
    )


def test_prices_that_go_from_hours_to_quarters_hold_over_their_own_intervals() -> None:
    """As the German market did on 2025-10-01."""
    table = hours_then_quarters(START, np.array([10.0, 20.0]), np.arange(8.0))
    starts, held_h = table["ts_utc"].to_numpy("datetime64[s]"), table["step_h"].to_numpy()
    prices = table["eur_per_mwh"].to_numpy()
    by_hour = START + np.arange(4) * HOUR
    np.testing.assert_allclose(means(starts, held_h, prices, by_hour, 1.0), [10, 20, 1.5, 5.5])
    by_quarter = START + np.arange(16) * (HOUR // 4)
    expected = [*[10.0] * 4, *[20.0] * 4, *range(8)]
    np.testing.assert_allclose(means(starts, held_h, prices, by_quarter, 0.25), expected)


@pytest.mark.parametrize("step_h", [0.5, 1.0])
def test_prices_of_whole_hours_in_a_zone_of_half_an_hour(step_h: float) -> None:
    """Hours of Asia/Kolkata begin at half past of UTC: half of one price, half of the next."""
    midnight = np.datetime64("2024-05-05T18:30", "s")  # 00:00 in Kolkata
    starts = np.datetime64("2024-05-05T18:00", "s") + np.arange(4) * HOUR
    steps = midnight + np.arange(round(2 / step_h)) * np.timedelta64(round(3600 * step_h), "s")
    found = means(starts, np.ones(4), np.array([10.0, 20.0, 40.0, 80.0]), steps, step_h)
    np.testing.assert_allclose(found, [15.0, 30.0] if step_h == 1.0 else [10.0, 20.0, 20.0, 40.0])
    found = means(starts[:2], np.ones(2), np.array([10.0, 20.0]), steps, step_h)
    assert np.isnan(found).tolist() == ([False, True] if step_h == 1.0 else [False] * 3 + [True])
