from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ems.twin.generate import Twin
from ems.twin.sky import Sky, make_sky, pv_kwh
from ems.twin.specs import PvSpec

YEAR = np.arange(
    np.datetime64("2016-01-01", "s"), np.datetime64("2017-01-01", "s"), np.timedelta64(900, "s")
)


@pytest.fixture(scope="module")
def sky() -> Sky:
    return make_sky(1, YEAR.astype("datetime64[s]"))


def centroid_h(values: np.ndarray, ts_utc: np.ndarray) -> float:
    middle = (ts_utc - ts_utc.astype("datetime64[D]")).astype(float) / 3600 + 0.125
    return float((values * middle).sum() / values.sum())


def test_the_sun_stands_highest_where_konstanz_lies(sky: Sky) -> None:
    height = np.clip(90 - sky.zenith_deg, 0, None)
    # 12:00 − 9.18° · 4 min/° = 11:23 UTC in the mean over a year
    assert centroid_h(height, YEAR) == pytest.approx(11.39, abs=0.05)
    assert height.max() == pytest.approx(90 - 47.66 + 23.44, abs=0.2)


def test_a_south_roof_peaks_near_noon_an_east_one_before_a_west_one_after(sky: Sky) -> None:
    noon = {}
    for azimuth in (90, 180, 270):
        spec = PvSpec(name="pv", total_kwh=9000, peak_kw=9, tilt_deg=30, azimuth_deg=azimuth)
        noon[azimuth] = centroid_h(pv_kwh(spec, sky), YEAR)
    assert noon[90] < noon[180] - 0.5 < noon[270] - 1.0
    assert noon[180] == pytest.approx(11.33, abs=0.25)


def test_pv_is_dark_at_night_and_within_its_inverter(sky: Sky) -> None:
    spec = PvSpec(name="pv", total_kwh=9000, peak_kw=6, tilt_deg=30, azimuth_deg=180)
    energy = pv_kwh(spec, sky)
    assert energy[sky.zenith_deg > 90.5].max() == 0.0
    assert energy.min() >= 0.0
    assert energy.max() <= 1.5 + 1e-12
    assert energy.sum() == pytest.approx(9000)


def test_a_horizon_shades_the_low_sun_only(sky: Sky) -> None:
    common = {"name": "pv", "total_kwh": 5000, "peak_kw": 9, "tilt_deg": 30, "azimuth_deg": 180}
    free = pv_kwh(PvSpec(**common), sky)
    shaded = pv_kwh(PvSpec(**common, horizon_deg=20), sky)
    low = sky.zenith_deg > 70
    assert shaded[low].sum() < free[low].sum()
    assert shaded[~low].sum() > free[~low].sum()


def test_radiation_is_that_of_the_lake_and_adds_up(quarterly: Twin) -> None:
    weather = quarterly.weather
    year = weather[weather["ts_utc"].dt.year == 2016]
    assert year["ghi_w_per_m2"].sum() / 4000 == pytest.approx(1160, rel=0.06)
    assert (weather[["ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2"]] >= 0).all(axis=None)
    assert (weather["dhi_w_per_m2"] <= weather["ghi_w_per_m2"] + 0.01).all()


def test_clouds_last_for_days_and_vary_within_them(hourly: Twin) -> None:
    sun = hourly.weather.set_index("ts_utc")["ghi_w_per_m2"]
    daily = sun.resample("D").mean()
    anomaly = daily - daily.rolling(31, center=True).mean()
    assert 0.25 < anomaly.autocorr(1) < 0.65


def test_temperature_has_seasons_days_and_weather(hourly: Twin) -> None:
    temperature = hourly.weather.set_index("ts_utc")["temperature_c"]
    monthly = temperature.groupby(temperature.index.month).mean()
    assert monthly[1] == pytest.approx(0.5, abs=2.0)
    assert monthly[7] == pytest.approx(19.9, abs=2.0)
    by_hour = temperature.groupby(temperature.index.hour).mean()
    assert by_hour.idxmax() in (13, 14, 15)
    assert by_hour.max() - by_hour.min() > 4.0
    daily = temperature.resample("D").mean()
    assert pd.Series(daily - daily.rolling(61, center=True).mean()).autocorr(1) > 0.6
