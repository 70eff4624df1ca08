from __future__ import annotations

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.twin.clock import TwinClock, clock, quarter_hours
from ems.twin.devices import (
    cycles,
    draw_start_steps,
    ev_sessions,
    fixed_kwh,
    habit_of,
    heat_pump_kwh,
)
from ems.twin.specs import CycleSpec, EvSpec, FixedSpec, HeatPumpSpec, Peak, pmf
from ems.twin.streams import stream

EVENING = (Peak(share=1.0, at_h=20.0, width_h=1.0),)
NOON = (Peak(share=1.0, at_h=12.0, width_h=1.0),)


@pytest.fixture(scope="module")
def two_years() -> TwinClock:
    return clock(
        quarter_hours(np.datetime64("2015-12-31T23", "s"), np.datetime64("2017-12-31T23", "s"))
    )


def washer(**changes: object) -> CycleSpec:
    values: dict[str, object] = {
        "name": "washer",
        "total_kwh": 365.0,
        "cycle_kwh": 1.0,
        "profile": (0.25, 0.5, 0.25),
        "working": EVENING,
        "free": NOON,
    }
    return CycleSpec(**(values | changes))  # type: ignore[arg-type]


def test_a_pmf_is_a_distribution_without_a_night() -> None:
    hours = pmf((Peak(share=0.5, at_h=0.5, width_h=3.0), Peak(share=0.5, at_h=20, width_h=2.0)))
    assert hours.sum() == pytest.approx(1.0)
    assert hours[:5].max() == 0.0
    assert int(hours.argmax()) == 19 or int(hours.argmax()) == 20


def test_habits_that_cannot_be(two_years: TwinClock) -> None:
    with pytest.raises(InvalidSpec, match=r"washer: profile sums to 0.9"):
        washer(profile=(0.5, 0.4))
    with pytest.raises(InvalidSpec, match=r"washer: needs 1\.\d\d uses a day"):
        habit_of(washer(), two_years, 800.0)


def test_expected_uses_are_split_by_day_type(two_years: TwinClock) -> None:
    habit = habit_of(washer(free_day_factor=2.0), two_years, 300.0)
    working, free = habit.use_probability
    n_free = two_years.day_is_free.sum()
    assert free == pytest.approx(2 * working)
    assert working * (two_years.n_days - n_free) + free * n_free == pytest.approx(300.0)


def test_runs_deliver_their_energy_where_they_start_and_no_two_are_alike(
    two_years: TwinClock,
) -> None:
    energy, starts, _ = cycles(washer(standby_kw=0.004), two_years, stream(5, "washer"))
    assert energy.min() == pytest.approx(0.001)
    assert energy.sum() == pytest.approx(365.0, rel=0.1)
    assert len(np.unique(two_years.day[starts.step])) == len(starts.step)
    runs = energy[starts.step[:, None] + np.arange(3)] - 0.001
    np.testing.assert_allclose(runs.sum(axis=1), starts.energy_kwh)
    assert (energy - 0.001).sum() == pytest.approx(starts.energy_kwh.sum())
    shares = runs / runs.sum(axis=1, keepdims=True)
    assert len(np.unique(shares.round(6), axis=0)) == len(runs)
    np.testing.assert_allclose(shares.mean(axis=0), [0.25, 0.5, 0.25], atol=0.01)


def test_no_start_in_an_hour_that_is_not_in_the_range() -> None:
    afternoon = clock(
        quarter_hours(np.datetime64("2016-06-01T12", "s"), np.datetime64("2016-06-01T20", "s"))
    )
    habit = habit_of(washer(working=NOON), afternoon, 1.0)
    for seed in range(20):
        assert len(draw_start_steps(habit, afternoon, stream(seed, "x"))) <= 1


def test_a_car_charges_at_full_power_until_it_has_its_energy(two_years: TwinClock) -> None:
    spec = EvSpec(
        name="ev",
        total_kwh=1600.0,
        sessions=400,
        charger_kw=3.6,
        max_session_kwh=7.0,
        session_shape=2.3,
        working=EVENING,
        free=NOON,
    )
    energy, starts, habit = ev_sessions(spec, two_years, stream(5, "ev"))
    assert energy.max() <= 0.9 + 1e-12
    assert energy.sum() == pytest.approx(1600.0, rel=0.01)
    assert starts.energy_kwh.max() == pytest.approx(7.0)
    assert len(starts.step) == pytest.approx(400, abs=45)
    long = starts.energy_kwh > 1.0
    np.testing.assert_allclose(energy[starts.step[long]], 0.9)
    assert (starts.n_quarters == np.ceil(starts.energy_kwh / 0.9 - 1e-9)).all()
    assert habit.use_probability[0] == pytest.approx(400 / two_years.n_days)


def test_a_heat_pump_follows_the_cold_and_makes_hot_water_in_summer(two_years: TwinClock) -> None:
    temperature = 10 - 12 * np.cos(2 * np.pi * two_years.day_of_year / 365)
    spec = HeatPumpSpec(
        name="hp", total_kwh=6000, max_kw=2.5, hours=(1.0,) * 24, hot_water_hours=(5, 6)
    )
    energy = heat_pump_kwh(spec, two_years, temperature, stream(5, "hp"))
    assert energy.sum() == pytest.approx(6000)
    assert energy.max() <= 2.5 / 4 + 1e-12
    winter, summer = temperature < 0, temperature > 18
    assert energy[winter].mean() > 5 * energy[summer].mean() > 0
    assert set(two_years.hour[summer & (energy > 0)]) == {5, 6}


def test_a_plant_rests_on_free_days_and_keeps_its_limit(two_years: TwinClock) -> None:
    spec = FixedSpec(
        name="mill",
        total_kwh=20_000,
        working=(0.0,) * 6 + (1.0,) * 12 + (0.0,) * 6,
        free=(0.0,) * 24,
        max_kw=6.0,
        on_probability=0.8,
    )
    energy = fixed_kwh(spec, two_years, np.full(len(two_years.ts_utc), 10.0), stream(5, "mill"))
    assert energy.sum() == pytest.approx(20_000)
    assert energy.max() <= 1.5 + 1e-12
    assert energy[two_years.step_is_free].max() == 0.0
    ran = np.bincount(two_years.day, weights=energy) > 0
    assert ran[~two_years.day_is_free].mean() == pytest.approx(0.8, abs=0.05)


def test_cooling_grows_with_the_heat(two_years: TwinClock) -> None:
    flat = (1.0,) * 24
    spec = FixedSpec(
        name="chiller", total_kwh=1000, working=flat, free=flat, per_c_cooling=0.1, noise=0.0
    )
    temperature = np.where(two_years.day % 2 == 0, 22.0, 5.0)
    energy = fixed_kwh(spec, two_years, temperature, stream(5, "chiller"))
    assert energy[temperature > 20].mean() == pytest.approx(2 * energy[temperature < 10].mean())
