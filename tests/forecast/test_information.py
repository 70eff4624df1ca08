"""Which forecasts of the weather a plan's belief is made from, and what it says without them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from small_building import Floats, device_of, local_index, made

from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.forecast.information import ForecastInformation, forecast_days, models_of
from ems.forecast.load import LearnedLoad
from ems.forecast.pv import LearnedPV
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.series import SiteSeries
from ems.site.weather import RecordedWeather

FIRST = date(2016, 3, 1)
N_DAYS, LEARNED = 45, 42
DAY = FIRST + timedelta(days=LEARNED)
N_STEPS, REPLAN = 30, 6
ISSUED_EVERY, N_LEADS = 6, 60
HOUR = np.timedelta64(3600, "s")


@cache
def house() -> Building:
    """Clouds and heat that change from day to day, and nothing that tells of them beforehand."""
    rng = np.random.default_rng(3)
    index = local_index(FIRST, N_DAYS)
    day = np.arange(len(index)) // 24
    hour = index.hour.to_numpy()
    clear = rng.uniform(0.1, 1.0, N_DAYS + 1)[day]
    sun = clear * np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None)
    temperature_c = rng.uniform(-5.0, 15.0, N_DAYS + 1)[day]
    heat_kwh = np.clip(0.1 * (18.0 - temperature_c), 0.0, None)
    history = made(index, {"heat_pump": heat_kwh}, pv_kwh=4.0 * sun)
    weather = {"ghi_w_per_m2": 800.0 * sun, "temperature_c": temperature_c}
    given = Assets(battery=None, ev=None)
    return Building(replace(history, weather=weather), load_tariff("flat"), given)


@cache
def told() -> RecordedWeather:
    """What came, issued every so many steps from the second day on."""
    history = house().history
    issued = np.arange(24, len(history.ts_utc), ISSUED_EVERY)
    at = np.minimum(issued[:, None] + np.arange(N_LEADS), len(history.ts_utc) - 1)
    return RecordedWeather(
        site="made",
        issued_utc=history.ts_utc[issued],
        first_utc=history.ts_utc[issued],
        step_h=1.0,
        values={name: values[at] for name, values in history.weather.items()},
    )


@cache
def believed(weather: RecordedWeather | None) -> ForecastInformation:
    """What is believed from the midnight of ``DAY`` and ``REPLAN`` steps later."""
    building = house()
    first = building.span(DAY).start
    forecasts = forecast_days(
        building,
        models_of("learned", weather),
        first_day=DAY,
        instants=np.array([first, first + REPLAN]),
        n_steps=N_STEPS,
    )
    return ForecastInformation(building=building, forecasts=forecasts)


def course(weather: RecordedWeather | None, at: int = REPLAN) -> tuple[Floats, Floats]:
    """The sun [kWh] and heat [kW] believed ``at`` steps after the midnight of ``DAY``."""
    first = house().span(DAY).start + at
    ahead = slice(first, first + N_STEPS)
    course = believed(weather).course(DAY, at)
    return believed_of(course, ahead)


def believed_of(course: SiteSeries, ahead: slice) -> tuple[Floats, Floats]:
    sun, heat = device_of(course, "pv"), device_of(course, "heat_pump")
    return sun.generated_kwh[ahead], heat.power_kw[ahead]


def dimmed(of: RecordedWeather, where: Floats) -> RecordedWeather:
    """Other forecasts where ``where`` is true of their issue."""
    cold = {"ghi_w_per_m2": 20.0, "temperature_c": -5.0}
    values = {n: np.where(where[:, None], cold[n], table) for n, table in of.values.items()}
    return replace(of, values=values)


def planned_utc(at: int = REPLAN) -> np.datetime64:
    building = house()
    instant: np.datetime64 = building.history.ts_utc[building.span(DAY).start + at]
    return instant


def test_a_belief_uses_the_newest_forecast_issued_by_its_instant_and_no_later_one() -> None:
    issued, now = told().issued_utc, planned_utc()
    newest = issued[issued <= now][-1]
    before = course(told())
    for part, same in zip(before, course(dimmed(told(), issued > now)), strict=True):
        np.testing.assert_array_equal(part, same)
    for part, changed in zip(before, course(dimmed(told(), issued == newest)), strict=True):
        assert (part != changed).any()


def test_the_sun_that_is_expected_is_that_of_the_buildings_place() -> None:
    """At eight o'clock it is day in Konstanz; 39 degrees further west it is still night."""
    here = house()
    west = replace(here.history.place, name="at sea", longitude_deg=-30.0)
    there = Building(replace(here.history, place=west), here.tariff, here.assets)
    found = []
    for building in (here, there):
        midnight = np.array([building.span(DAY).start])
        models = models_of("persistence")
        day = forecast_days(building, models, first_day=DAY, instants=midnight, n_steps=24)
        found.append(day.devices["pv"].values[0, -1])
    assert found[0][8] > 0.0 == found[1][8]
    assert min(found[0][12], found[1][12]) > 0.0


def test_a_forecast_issued_between_two_plans_changes_the_second_alone() -> None:
    issued = told().issued_utc
    between = (issued > planned_utc(0)) & (issued <= planned_utc())
    assert between.any()
    changed = dimmed(told(), between)
    np.testing.assert_array_equal(course(told(), at=0)[0], course(changed, at=0)[0])
    assert (course(told())[0] != course(changed)[0]).any()


def test_true_forecasts_of_the_weather_make_better_beliefs_than_persisting_weather() -> None:
    building = house()
    first = building.span(DAY).start + REPLAN
    sun, heat = believed_of(building.truth, slice(first, first + N_STEPS))
    (sun_kwh, heat_kw), (blind_kwh, blind_kw) = course(told()), course(None)
    assert np.abs(sun_kwh - sun).mean() < 0.8 * np.abs(blind_kwh - sun).mean()
    assert np.abs(heat_kw - heat).mean() < 0.8 * np.abs(blind_kw - heat).mean()


@pytest.mark.parametrize(
    ("kept", "newest"),
    [("those before", r"the newest was issued 2016-04-10T17:00:00Z"), ("none in time", "none")],
)
def test_days_that_recorded_forecasts_do_not_cover_are_not_planned(kept: str, newest: str) -> None:
    """Never silently with persisting weather: the first instant is named, and what to do."""
    day_before = planned_utc(0) - 25 * HOUR
    issued = told().issued_utc
    used = issued < day_before if kept == "those before" else issued > planned_utc()
    some = replace(
        told(),
        issued_utc=issued[used],
        first_utc=told().first_utc[used],
        values={name: table[used] for name, table in told().values.items()},
    )
    with pytest.raises(DataError, match=r"24 h before 2016-04-11T22:00:00Z") as caught:
        course(some)
    assert f"({newest})" in str(caught.value)
    assert "choose other days, or build the database without" in str(caught.value)


def test_which_weather_was_used_is_said() -> None:
    assert models_of("learned", told()).weather_text == (
        f"{len(told().issued_utc)} recorded forecasts of the weather of made, issued "
        "2016-03-01T23:00:00Z to 2016-04-14T17:00:00Z; "
        "each plan uses the newest at its instant"
    )
    assert models_of("learned").weather_text == "no recorded forecasts of the weather: it persists"
    assert models_of("persistence", told()).weather_text == "not asked for"


def test_recorded_forecasts_reach_the_models_of_sun_and_load() -> None:
    models = models_of("learned", told())
    assert isinstance(models.pv, LearnedPV)
    assert isinstance(models.load, LearnedLoad)
    assert models.pv.weather.recorded is models.load.weather.recorded is told()
