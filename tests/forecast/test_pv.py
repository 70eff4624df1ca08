from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forecast.made_series import altered, step_at, with_values
from forecast.made_sun import sunny

from ems.errors import DataError
from ems.forecast.clear_sky import Sun
from ems.forecast.pv import ClearSkyPersistence, LearnedPV, PVPersistence
from ems.forecast.rolling_origin import rolling_scores
from ems.forecast.series import Forecaster, Series
from ems.forecast.weather import WeatherAgent
from ems.site.place import Place
from ems.site.weather import RecordedWeather

MADE = sunny(200)
UNTIL = 150 * 24
HAMBURG = Place(
    name="Hamburg", latitude_deg=53.55, longitude_deg=9.99, country="DE", subdivision="HH"
)
MODELS: list[Forecaster] = [PVPersistence(), ClearSkyPersistence(), LearnedPV()]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


@pytest.fixture(scope="module")
def fitted() -> dict[str, Forecaster]:
    return {model.name: model.fit(MADE, UNTIL) for model in MODELS}


@every_model
def test_nothing_at_or_after_the_origin_is_used(
    model: Forecaster, fitted: dict[str, Forecaster]
) -> None:
    """Neither in learning nor in forecasting, neither of the generation nor of the weather."""
    origins = np.array([UNTIL, UNTIL + 7])
    before = fitted[model.name].forecast(MADE, origins, 48)
    blind = model.fit(altered(MADE, UNTIL), UNTIL)
    np.testing.assert_array_equal(
        before.values[:1], blind.forecast(altered(MADE, UNTIL), origins[:1], 48).values
    )
    np.testing.assert_array_equal(
        before.values, blind.forecast(altered(MADE, UNTIL + 7), origins, 48).values
    )


@every_model
def test_the_newest_step_known_is_used(model: Forecaster, fitted: dict[str, Forecaster]) -> None:
    origins = np.array([UNTIL + 14])
    clear, dark = (MADE.values.copy() for _ in range(2))
    clear[UNTIL : UNTIL + 14] = sunny(200, cloudy=False).values[UNTIL : UNTIL + 14]
    dark[UNTIL : UNTIL + 14] = 0.1 * clear[UNTIL : UNTIL + 14]
    more, less = (
        fitted[model.name].forecast(with_values(MADE, values), origins, 48)
        for values in (clear, dark)
    )
    assert less.median.sum() < 0.9 * more.median.sum()


@every_model
def test_many_origins_are_as_one_by_one(model: Forecaster, fitted: dict[str, Forecaster]) -> None:
    origins = UNTIL + np.arange(0, 48, 7)
    together = fitted[model.name].forecast(MADE, origins, 30)
    for i, origin in enumerate(origins):
        alone = fitted[model.name].forecast(MADE, np.array([origin]), 30)
        np.testing.assert_allclose(together.values[i], alone.values[0], rtol=1e-12)


@every_model
def test_the_night_is_dark_in_all_quantiles_and_no_power_is_beyond_the_roof(
    model: Forecaster, fitted: dict[str, Forecaster]
) -> None:
    origins = np.arange(UNTIL, len(MADE))
    found = fitted[model.name].forecast(MADE, origins, 48)
    night = ~Sun.over(MADE, 48).up[origins[:, None] + np.arange(48)]
    assert night.any()
    assert (found.values.transpose(0, 2, 1)[night] == 0.0).all()
    assert (found.values >= 0.0).all()
    assert (np.diff(found.values, axis=1) >= 0.0).all()
    assert found.values.max() <= 1.3 * MADE.values[:UNTIL].max()


@every_model
@pytest.mark.parametrize("change", ["2016-03-27", "2016-10-30"])
def test_the_sun_keeps_its_time_when_clocks_change(model: Forecaster, change: str) -> None:
    """Under a sky that is always clear, the day after the change is forecast well."""
    made = sunny(320, first="2016-01-02", cloudy=False)
    origin = step_at(made, change)
    found = model.fit(made, origin).forecast(made, np.array([origin]), 24)
    error = np.abs(found.median[0] - made.values[origin : origin + 24])
    assert error.max() < (0.35 if isinstance(model, PVPersistence) else 0.25) * 5.0


@every_model
def test_gaps_and_negative_readings_are_borne(model: Forecaster) -> None:
    values = MADE.values.copy()
    values[::17] = np.nan
    values[UNTIL - 60 : UNTIL] = np.nan
    values[5::24] = -0.003
    found = model.fit(with_values(MADE, values), UNTIL).forecast(
        with_values(MADE, values), np.array([UNTIL, UNTIL + 30]), 48
    )
    assert np.isfinite(found.values).all()
    assert (found.values >= 0.0).all()
    assert found.median.max() > 0.0


@every_model
@pytest.mark.parametrize(("what", "until"), [("no history", 5), ("all unknown", UNTIL)])
def test_what_cannot_be_learned_from_is_one_line(model: Forecaster, what: str, until: int) -> None:
    values = np.full(len(MADE), np.nan) if what == "all unknown" else MADE.values
    with pytest.raises(DataError, match=r"made roof: .* forecast from a later day") as caught:
        model.fit(with_values(MADE, values), until)
    assert "\n" not in str(caught.value)


@every_model
def test_a_model_that_has_learned_nothing_says_so(model: Forecaster) -> None:
    with pytest.raises(DataError, match="call fit first"):
        model.forecast(MADE, np.array([UNTIL]), 24)


def test_persistence_repeats_the_day_before() -> None:
    clear = sunny(60, cloudy=False)
    origin = 40 * 24
    found = PVPersistence().fit(clear, origin).forecast(clear, np.array([origin]), 48)
    yesterday = clear.values[origin - 24 : origin]
    np.testing.assert_allclose(found.median[0], np.tile(yesterday, 2), atol=0.1)


def test_half_hours_are_forecast_too() -> None:
    made = sunny(60, step_h=0.5)
    for model in MODELS:
        found = model.fit(made, 50 * 48).forecast(made, np.array([50 * 48]), 96)
        assert found.values.shape == (1, 9, 96)
        assert found.median.max() > 0.5


@every_model
def test_the_sun_is_that_of_the_place_of_the_series(model: Forecaster) -> None:
    made = sunny(100, place=HAMBURG)
    west = replace(made, place=replace(HAMBURG, longitude_deg=HAMBURG.longitude_deg - 40.0))
    origin = 98 * 24
    nights = []
    for of in (made, west):
        found = model.fit(of, origin).forecast(of, np.array([origin]), 24).values[0]
        nights.append(~Sun.over(of, 0).up[origin : origin + 24])
        assert (found[:, nights[-1]] == 0.0).all()
        assert (found[-1, ~nights[-1]] > 0.0).sum() > 6
    assert (nights[0] & ~nights[1]).sum() > 1


def told(made: Series, every: int, delay: int = 0) -> RecordedWeather:
    """Forecasts of 60 steps, issued ``every`` so many steps, that turn out true."""
    issued = np.arange(24, len(made), every)
    at = issued[:, None] - delay + np.arange(60)
    inside = at < len(made)
    truth = {
        name: np.where(inside, values[np.minimum(at, len(made) - 1)], 0.0)
        for name, values in made.weather.items()
    }
    return RecordedWeather(
        site="made",
        issued_utc=made.ts_utc[issued],
        first_utc=made.ts_utc[issued - delay],
        step_h=1.0,
        values=truth,
    )


def test_recorded_forecasts_of_the_weather_are_worth_something() -> None:
    origins = np.arange(UNTIL, UNTIL + 28 * 24, 11)
    with_them = LearnedPV(weather=WeatherAgent(recorded=told(MADE, 6)))
    alone, better = rolling_scores([LearnedPV(), with_them], MADE, origins, 48)
    assert better.overall.skill > 0.8
    assert alone.overall.skill == 0.0


def test_forecasts_issued_after_the_origin_are_not_used() -> None:
    weather = told(MADE, 6)
    later = MADE.ts_utc[UNTIL] < weather.issued_utc
    other = {name: np.where(later[:, None], 1e6, values) for name, values in weather.values.items()}
    one, two = (
        LearnedPV(weather=WeatherAgent(recorded=known))
        .fit(MADE, UNTIL)
        .forecast(altered(MADE, UNTIL), np.array([UNTIL]), 48)
        for known in (weather, replace(weather, values=other))
    )
    np.testing.assert_array_equal(one.values, two.values)


def test_a_day_without_a_recorded_forecast_stops() -> None:
    weather = told(MADE, 6)
    short = RecordedWeather(
        site="made",
        issued_utc=weather.issued_utc[:-200],
        first_utc=weather.first_utc[:-200],
        step_h=1.0,
        values={name: values[:-200] for name, values in weather.values.items()},
    )
    model = LearnedPV(weather=WeatherAgent(recorded=short)).fit(MADE, UNTIL)
    model.forecast(MADE, np.array([len(MADE) - 200 * 6]), 12)
    with pytest.raises(DataError, match="made roof: no forecast of the weather of made issued in"):
        model.forecast(MADE, np.array([len(MADE) - 48]), 12)


def test_too_few_recorded_forecasts_to_learn_from() -> None:
    weather = told(MADE, 6)
    late = replace(weather, issued_utc=weather.issued_utc + np.timedelta64(160, "D"))
    with pytest.raises(DataError, match=r"0 steps with recorded forecasts .* 168 are needed"):
        LearnedPV(weather=WeatherAgent(recorded=late)).fit(MADE, UNTIL)
