"""What every forecaster of loads and prices must do: look back only, and say what is missing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from forecast.made_series import altered, series, step_at, with_values
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.errors import DataError, InvalidSpec
from ems.forecast.load import LearnedLoad
from ems.forecast.persistence import SameHourLastWeek
from ems.forecast.price import PriceForecast, known_until
from ems.forecast.series import Forecaster, Series
from ems.forecast.weather import WeatherAgent
from ems.site.weather import RecordedWeather
from ems.types import Ints

MODELS: dict[str, Forecaster] = {
    "same hour last week": SameHourLastWeek(),
    "learned load": LearnedLoad(),
    "learned price": PriceForecast(),
}
EVERY = pytest.mark.parametrize("name", MODELS)
SPRING = series(100, first="2016-01-15")
UNTIL = 60 * 24
AHEAD = 48


@cache
def fitted(name: str) -> Forecaster:
    return MODELS[name].fit(SPRING, UNTIL)


def known(name: str, of: Series, origin: int) -> int:
    """The first step whose value a forecast from ``origin`` may not use."""
    if name != "learned price":
        return origin
    return int(known_until(of.ts_utc, np.array([origin]), of.timezone)[0])


def quantiles(model: Forecaster, of: Series, *origins: int) -> np.ndarray:
    return model.forecast(of, np.array(origins), AHEAD).values


# --- nothing is known before it happens -----------------------------------------------------------


@EVERY
@settings(max_examples=10)
@given(origin=st.integers(UNTIL, len(SPRING)), seed=st.integers(0, 100))
def test_what_comes_at_or_after_the_origin_changes_no_forecast(
    name: str, origin: int, seed: int
) -> None:
    other = altered(SPRING, known(name, SPRING, origin), weather_first=origin, seed=seed)
    before, after = (quantiles(fitted(name), of, origin) for of in (SPRING, other))
    np.testing.assert_array_equal(before, after)


@EVERY
@pytest.mark.parametrize("until", [45 * 24 + 13, UNTIL])
def test_what_comes_at_or_after_the_training_changes_no_model(name: str, until: int) -> None:
    one, other = (MODELS[name].fit(of, until) for of in (SPRING, altered(SPRING, until)))
    np.testing.assert_array_equal(
        quantiles(one, SPRING, UNTIL + 5), quantiles(other, SPRING, UNTIL + 5)
    )


@EVERY
def test_the_last_known_step_is_not_ignored(name: str) -> None:
    origin = UNTIL + 12
    last = known(name, SPRING, origin) - 1
    values = SPRING.values.copy()
    values[last] += 5.0
    one, other = (
        fitted(name).forecast(of, np.array([origin]), 9 * 24).values
        for of in (SPRING, with_values(SPRING, values))
    )
    assert (one[:, :, last + 1 - origin :] != other[:, :, last + 1 - origin :]).any()


@EVERY
def test_all_origins_at_once_are_each_one_alone(name: str) -> None:
    origins = [UNTIL, UNTIL + 1, UNTIL + 13, UNTIL + 14, len(SPRING) - 3, len(SPRING)]
    together = quantiles(fitted(name), SPRING, *origins)
    assert together.shape == (6, 9, AHEAD)
    for at, origin in enumerate(origins):
        np.testing.assert_array_equal(together[at], quantiles(fitted(name), SPRING, origin)[0])


@EVERY
def test_a_series_that_ends_at_the_origin_is_forecast_beyond_its_end(name: str) -> None:
    origin = step_at(SPRING, "2016-03-26 10:00")  # the clocks change within the forecast
    ended = series(100, first="2016-01-15")
    end = known(name, SPRING, origin)
    ended = Series(
        who="ends",
        unit="kW",
        ts_utc=SPRING.ts_utc[:end],
        step_h=1.0,
        timezone=SPRING.timezone,
        place=SPRING.place,
        values=SPRING.values[:end],
        weather={"temperature_c": SPRING.weather["temperature_c"][:end]},
        least=0.0,
    )
    np.testing.assert_array_equal(
        quantiles(fitted(name), ended, origin), quantiles(fitted(name), SPRING, origin)
    )


# --- learning -------------------------------------------------------------------------------------


@EVERY
def test_fit_returns_a_copy_and_repeats_itself(name: str) -> None:
    model = MODELS[name]
    one, same = model.fit(SPRING, UNTIL), model.fit(SPRING, UNTIL)
    np.testing.assert_array_equal(quantiles(one, SPRING, UNTIL), quantiles(same, SPRING, UNTIL))
    assert one.name == model.name == name
    with pytest.raises(DataError, match="has learned nothing; call fit first"):
        quantiles(model, SPRING, UNTIL)


@EVERY
def test_a_constant_is_forecast_as_itself(name: str) -> None:
    flat = with_values(SPRING, np.full(len(SPRING), 2.5))
    np.testing.assert_allclose(quantiles(MODELS[name].fit(flat, UNTIL), flat, UNTIL), 2.5)


@EVERY
def test_gaps_are_bridged(name: str) -> None:
    rng = np.random.default_rng(3)
    values = SPRING.values.copy()
    values[rng.random(len(values)) < 0.2] = np.nan
    values[30 * 24 : 33 * 24] = np.nan
    values[UNTIL - 48 : UNTIL + 48] = np.nan
    holed = with_values(SPRING, values)
    model = MODELS[name].fit(holed, UNTIL)
    assert np.isfinite(quantiles(model, holed, UNTIL, UNTIL + 10, len(SPRING))).all()


@EVERY
def test_weather_that_is_unknown_or_not_there_is_no_obstacle(name: str) -> None:
    no_weather = Series(
        who="bare",
        unit="kW",
        ts_utc=SPRING.ts_utc,
        step_h=1.0,
        timezone=SPRING.timezone,
        place=SPRING.place,
        values=SPRING.values,
    )
    assert np.isfinite(quantiles(MODELS[name].fit(no_weather, UNTIL), no_weather, UNTIL)).all()


@EVERY
def test_nothing_is_below_the_least(name: str) -> None:
    low = with_values(SPRING, np.maximum(SPRING.values - 1.5, 0.0))
    found = quantiles(MODELS[name].fit(low, UNTIL), low, *range(UNTIL, UNTIL + 48))
    assert found.min() == 0.0
    assert found.max() > 0.5


@EVERY
def test_too_short_a_history_says_how_long_it_must_be(name: str) -> None:
    with pytest.raises(DataError, match=r"made load: .* (needs 28|168 are needed); forecast from"):
        MODELS[name].fit(SPRING, 7 * 24)
    unknown = with_values(SPRING, np.full(len(SPRING), np.nan))
    with pytest.raises(DataError, match="forecast from a later day"):
        MODELS[name].fit(unknown, UNTIL)


@EVERY
@pytest.mark.parametrize("origin", [0, -5, len(SPRING) + 1])
def test_an_origin_outside_the_series_is_refused(name: str, origin: int) -> None:
    with pytest.raises(InvalidSpec, match=f"origin {origin} is outside the series"):
        quantiles(fitted(name), SPRING, origin)


@pytest.mark.parametrize("name", ["same hour last week", "learned load"])
@pytest.mark.parametrize("first", ["2016-02-20", "2016-09-24"])
def test_quarter_hours_and_days_of_23_and_25_hours(name: str, first: str) -> None:
    made = series(44, first=first, step_h=0.25)
    change = "2016-03-27" if first < "2016-06" else "2016-10-30"
    origins: Ints = np.array([step_at(made, change) - 24 * 4 * k for k in (1, 0)])
    model = MODELS[name].fit(made, int(origins[0]))
    found = model.forecast(made, origins, 48 * 4)
    truth = made.values[origins[:, None] + np.arange(48 * 4)]
    assert np.abs(found.median - truth).mean() < 0.5
    evening = np.asarray(made.local[origins[0] + np.arange(192)].hour) == 19
    assert found.median[0][evening].mean() > found.median[0][~evening].mean() + 0.4


# --- forecasts of the weather ---------------------------------------------------------------------


def told(first: int, last: int) -> RecordedWeather:
    """Forecasts of the temperature issued at every sixth step of a stretch, that turn out true."""
    issued = np.arange(first, last, 6)
    at = np.minimum(issued[:, None] + np.arange(60), len(SPRING) - 1)
    return RecordedWeather(
        site="made",
        issued_utc=SPRING.ts_utc[issued],
        first_utc=SPRING.ts_utc[issued],
        step_h=1.0,
        values={"temperature_c": SPRING.weather["temperature_c"][at]},
    )


def heated() -> Series:
    """What a heat pump draws in the temperature of the hour, which no hour before tells."""
    return with_values(SPRING, np.maximum(20.0 - SPRING.weather["temperature_c"], 0.0))


def errors(model: LearnedLoad) -> float:
    heat = heated()
    found = model.fit(heat, UNTIL).forecast(heat, np.arange(UNTIL, UNTIL + 96, 5), AHEAD)
    truth = heat.values[found.origins[:, None] + np.arange(AHEAD)]
    return float(np.abs(found.median - truth).mean())


def test_a_load_that_follows_the_temperature_is_better_known_with_its_forecast() -> None:
    alone = errors(LearnedLoad())
    assert errors(LearnedLoad(weather=WeatherAgent(recorded=told(24, len(SPRING))))) < 0.4 * alone
    late = told(UNTIL - 32 * 24, len(SPRING))  # the month before is learned without
    assert errors(LearnedLoad(weather=WeatherAgent(recorded=late))) < 0.7 * alone


def test_too_few_recorded_forecasts_to_learn_a_load_from() -> None:
    late = told(UNTIL - 5 * 24, len(SPRING))
    with pytest.raises(
        DataError, match=r"4\.\d days with recorded forecasts .* needs 28; forecast"
    ):
        LearnedLoad(weather=WeatherAgent(recorded=late)).fit(heated(), UNTIL)


def test_a_load_is_not_forecast_where_recorded_weather_is_missing() -> None:
    model = LearnedLoad(weather=WeatherAgent(recorded=told(24, UNTIL)))
    learned = model.fit(heated(), UNTIL)
    learned.forecast(heated(), np.array([UNTIL]), 24)
    with pytest.raises(DataError, match="no forecast of the weather of made issued in the 24 h"):
        learned.forecast(heated(), np.array([UNTIL + 48]), 24)


def test_a_forecast_of_other_weather_tells_a_load_nothing() -> None:
    issued = told(24, len(SPRING))
    sunny = replace(issued, values={"ghi_w_per_m2": issued.values["temperature_c"]})
    assert errors(LearnedLoad(weather=WeatherAgent(recorded=sunny))) == errors(LearnedLoad())
