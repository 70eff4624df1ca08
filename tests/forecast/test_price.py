"""What is published of the day-ahead prices at an instant, and the forecast beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from forecast.made_series import ZONE, series, step_at, with_values
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import DataError
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.price import PriceForecast, known_until, require_known
from ems.forecast.rolling_origin import rolling_scores
from ems.forecast.series import Forecaster, Series
from ems.site.place import KONSTANZ
from ems.twin.clock import clock, quarter_hours
from ems.twin.prices import day_ahead_prices
from ems.twin.sky import make_sky

HOURS = series(40, first="2016-03-01")
QUARTERS = series(12, first="2016-10-25", step_h=0.25)
YEAR = series(366, first="2016-01-01")


def until(of: Series, local: str, fold: int = 0) -> int:
    origin = np.array([step_at(of, local, fold)])
    return int(known_until(of.ts_utc, origin, of.timezone)[0])


@pytest.mark.parametrize(
    ("of", "now", "end"),
    [
        (HOURS, "2016-03-10 00:00", "2016-03-11"),
        (HOURS, "2016-03-10 12:00", "2016-03-11"),
        (HOURS, "2016-03-10 13:00", "2016-03-12"),
        (HOURS, "2016-03-10 23:00", "2016-03-12"),
        (HOURS, "2016-03-26 13:00", "2016-03-28"),  # the next day has 23 hours
        (HOURS, "2016-03-27 00:00", "2016-03-28"),
        (QUARTERS, "2016-10-29 12:45", "2016-10-30"),
        (QUARTERS, "2016-10-29 13:00", "2016-10-31"),  # the next day has 25 hours
        (QUARTERS, "2016-10-30 02:30", "2016-10-31"),
    ],
)
def test_today_is_known_and_from_13_tomorrow_too(of: Series, now: str, end: str) -> None:
    assert until(of, now) == step_at(of, end)


@given(origin=st.integers(0, len(YEAR)))
def test_every_origin_of_a_year_against_the_calendar(origin: int) -> None:
    now = pd.Timestamp(YEAR.ts_utc[0], tz="UTC").tz_convert(ZONE) + pd.Timedelta(hours=origin)
    end = now.normalize() + pd.DateOffset(days=2 if now.hour >= 13 else 1)
    expected = round((end - now) / pd.Timedelta(hours=1))
    found = known_until(YEAR.ts_utc, np.array([origin]), ZONE)[0]
    assert found - origin == expected
    assert 11 < expected <= 36


def test_what_is_published_is_given_and_one_more_is_refused() -> None:
    origin = step_at(HOURS, "2016-03-10 12:00")
    np.testing.assert_array_equal(require_known(HOURS, origin, 12), HOURS.values[origin:][:12])
    with pytest.raises(
        DataError, match=r"13 prices .* from 2016-03-10T11:00:00Z, but only 12 are published"
    ):
        require_known(HOURS, origin, 13)
    require_known(HOURS, origin + 1, 35)


def test_a_published_price_that_is_missing_is_named() -> None:
    origin = step_at(HOURS, "2016-03-10 12:00")
    values = HOURS.values.copy()
    values[origin + 3] = np.nan
    with pytest.raises(DataError, match="the price of 2016-03-10T14:00:00Z is missing"):
        require_known(with_values(HOURS, values), origin, 12)
    ended = replace(
        HOURS, ts_utc=HOURS.ts_utc[: origin + 2], values=HOURS.values[: origin + 2], weather={}
    )
    with pytest.raises(DataError, match="the price of 2016-03-10T13:00:00Z is missing"):
        require_known(ended, origin, 12)


def test_published_prices_are_exact_in_every_quantile_and_later_ones_are_not() -> None:
    model = PriceForecast().fit(HOURS, 35 * 24 - 1)
    for now, n_known in (("2016-04-05 12:00", 12), ("2016-04-05 13:00", 35)):
        origin = step_at(HOURS, now)
        found = model.forecast(HOURS, np.array([origin]), 48).values[0]
        truth = HOURS.values[origin : origin + n_known]
        np.testing.assert_array_equal(found[:, :n_known], np.tile(truth, (9, 1)))
        assert (found[8, n_known:] > found[0, n_known:]).all()


def test_a_published_price_that_is_missing_is_forecast() -> None:
    origin = step_at(HOURS, "2016-04-05 06:00")
    values = HOURS.values.copy()
    values[origin + 2] = np.nan
    holed = with_values(HOURS, values)
    found = PriceForecast().fit(holed, origin).forecast(holed, np.array([origin]), 24).values[0]
    assert found[8, 2] > found[0, 2]
    assert found[8, 3] == found[0, 3] == HOURS.values[origin + 3]


def test_negative_prices_are_forecast() -> None:
    low = replace(HOURS, values=HOURS.values - 30.0, least=-np.inf, unit="€/MWh")
    origin = step_at(HOURS, "2016-04-05 06:00")
    found = PriceForecast().fit(low, origin).forecast(low, np.array([origin]), 48)
    assert found.values.max() < -20.0


def test_learned_prices_of_the_twin_are_nearer_than_those_of_last_week() -> None:
    """Noon forecasts of 27 days with a year before them; only unpublished hours count."""
    ts_utc = quarter_hours(np.datetime64("2015-05-01", "s"), np.datetime64("2016-08-01", "s"))
    prices = day_ahead_prices(7, clock(ts_utc), make_sky(7, ts_utc))
    made = Series(
        who="twin day-ahead price",
        unit="€/MWh",
        ts_utc=prices["ts_utc"].to_numpy().astype("datetime64[s]"),
        step_h=1.0,
        timezone=ZONE,
        place=KONSTANZ,
        values=prices["eur_per_mwh"].to_numpy(),
    )
    origins = step_at(made, "2016-06-20 12:00") + 24 * np.arange(27)
    end = known_until(made.ts_utc, origins, ZONE)
    published = np.arange(48) < (end - origins)[:, None]
    models: list[Forecaster] = [SameHourLastWeek(), PriceForecast()]
    _, learned = rolling_scores(models, made, origins, 48, published)
    assert learned.overall.n == 27 * 36
    assert learned.overall.skill > 0.2
    assert learned.overall.coverage == pytest.approx(0.8, abs=0.1)
