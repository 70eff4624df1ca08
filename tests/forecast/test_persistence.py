from __future__ import annotations

import numpy as np
import pytest
from forecast.made_series import series, step_at, with_values

from ems.errors import DataError
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.series import LEVELS

WEEK = 7 * 24


def test_the_forecast_is_last_week_plus_the_quantiles_of_the_errors_of_its_hour() -> None:
    made = series(35)
    model = SameHourLastWeek().fit(made, 28 * 24)
    found = model.forecast(made, np.array([28 * 24]), 24)
    for hour in (0, 19):
        errors = [made.values[t] - made.values[t - WEEK] for t in range(WEEK + hour, 28 * 24, 24)]
        expected = made.values[21 * 24 + hour] + np.quantile(errors, LEVELS)
        np.testing.assert_allclose(found.values[0, :, hour], np.maximum(expected, 0.0))


def test_what_repeats_every_week_is_forecast_exactly() -> None:
    made = series(40, noise=0.0)
    found = SameHourLastWeek().fit(made, 24 * 28).forecast(made, np.array([24 * 28]), 10 * 24)
    truth = made.values[24 * 28 : 24 * 38]
    np.testing.assert_allclose(found.values[0], np.tile(truth, (9, 1)))


@pytest.mark.parametrize("first", ["2016-03-01", "2016-10-04"])
def test_last_week_is_the_same_local_time_across_the_change_of_clocks(first: str) -> None:
    made = series(42, first=first, noise=0.0)
    day = made.local[-1].normalize() - np.timedelta64(21, "D")
    origin = step_at(made, str(day.tz_localize(None)))
    found = SameHourLastWeek().fit(made, origin).forecast(made, np.array([origin]), 24)
    np.testing.assert_allclose(found.median[0], made.values[origin : origin + 24], atol=1e-9)


def test_an_unknown_week_is_bridged_by_the_one_before_and_a_long_gap_by_the_usual() -> None:
    made = series(70, first="2016-04-01", noise=0.0)
    values = made.values.copy()
    origin = 56 * 24
    values[origin - WEEK : origin] = np.nan
    gap = with_values(made, values)
    found = SameHourLastWeek().fit(gap, origin).forecast(gap, np.array([origin]), 24)
    np.testing.assert_allclose(found.median[0], made.values[origin : origin + 24])
    values[origin - 4 * WEEK : origin] = np.nan
    long = with_values(made, values)
    found = SameHourLastWeek().fit(long, origin).forecast(long, np.array([origin]), 24)
    usual = [np.nanmedian(values[hour:origin:24]) for hour in range(24)]
    np.testing.assert_allclose(found.median[0], usual)


def test_too_little_to_learn_from_says_how_much_is_there() -> None:
    made = series(20)
    with pytest.raises(DataError, match=r"167 steps of known value .* 168 are needed"):
        SameHourLastWeek().fit(made, 2 * WEEK - 1)
    SameHourLastWeek().fit(made, 2 * WEEK)
