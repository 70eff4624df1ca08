from __future__ import annotations

import pandas as pd
import pytest

from ems.twin.generate import Twin

# Means of the German day-ahead market 2015–2018 [€/MWh].
MARKET_MEANS = {2015: 31.63, 2016: 28.98, 2017: 34.19, 2018: 44.47}


@pytest.fixture(scope="module")
def price(hourly: Twin) -> pd.Series[float]:
    return (
        hourly.prices.set_index("ts_utc")["eur_per_mwh"]
        .tz_localize("UTC")
        .tz_convert("Europe/Berlin")
    )


def test_hours_without_holes_zones_and_yearly_means_are_the_markets(hourly: Twin) -> None:
    frame = hourly.prices
    assert frame["ts_utc"].diff().dropna().unique().tolist() == [pd.Timedelta(hours=1)]
    assert (frame["step_h"] == 1.0).all()
    assert frame.loc[frame["zone"] == "DE-LU", "ts_utc"].min() == pd.Timestamp("2018-09-30T22:00")
    means = frame.groupby(frame["ts_utc"].dt.year)["eur_per_mwh"].mean()
    for year, mean in MARKET_MEANS.items():
        assert means[year] == pytest.approx(mean, abs=0.05)


def test_evenings_and_mornings_are_dear_weekends_cheap(price: pd.Series[float]) -> None:
    working = price[price.index.day_of_week < 5]
    by_hour = working.groupby(working.index.hour).mean()
    assert by_hour[19] > by_hour[13] + 5
    assert by_hour[8] > by_hour[13] + 5
    assert by_hour[3] == pytest.approx(by_hour.min(), abs=1.5)
    assert price[price.index.day_of_week >= 5].mean() < working.mean() - 5


def test_about_a_hundred_hours_a_year_are_negative(
    hourly: Twin, other: Twin, price: pd.Series[float]
) -> None:
    """In any seed; at night and on sunny free days, never in the evening."""
    for frame in (hourly.prices, other.prices):
        below = (frame["eur_per_mwh"] < 0).groupby(frame["ts_utc"].dt.year).sum()
        assert below.loc[2015:2018].between(90, 150).all()
    negative = price[price < 0]
    assert (negative.index.day_of_week >= 5).mean() > 0.5
    assert not negative.index.hour.isin([18, 19, 20]).any()


def test_prices_remember_the_hour_and_the_day(price: pd.Series[float]) -> None:
    assert price.autocorr(1) == pytest.approx(0.95, abs=0.03)
    assert price.resample("D").mean().autocorr(1) == pytest.approx(0.70, abs=0.15)


def test_the_sun_of_the_twin_lowers_its_prices(hourly: Twin) -> None:
    frame = hourly.prices.merge(hourly.weather, on="ts_utc")
    noon = frame[frame["ts_utc"].dt.hour == 11]
    month = noon["ts_utc"].dt.to_period("M")
    sun = noon["ghi_w_per_m2"] - noon.groupby(month)["ghi_w_per_m2"].transform("mean")
    price = noon["eur_per_mwh"] - noon.groupby(month)["eur_per_mwh"].transform("mean")
    assert sun.corr(price) < -0.1
