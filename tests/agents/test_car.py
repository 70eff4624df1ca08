"""Arrivals, deadlines and the people's own course, read from a charger's meter or assumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_building import at, device_of, local_index, made

from ems.agents.ev import DRIVES, LATEST_H, Car, EVSpec
from ems.agents.on_site import Instant
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.site.assets import Assets
from ems.site.building import Building
from ems.types import Floats

SPEC = EVSpec(efficiency=0.9)
FIRST = date(2016, 6, 1)
INDEX = local_index(FIRST, 4)
FLAT = load_tariff("flat")


def building(index: object, energy_kwh: Floats | None, spec: EVSpec) -> Building:
    """A house with a metered car, or with an assumed one."""
    loads = {} if energy_kwh is None else {"ev": energy_kwh}
    return Building(made(index, loads), FLAT, Assets(battery=None, ev=spec))  # type: ignore[arg-type]


def car_of(index: object, energy_kwh: Floats | None, spec: EVSpec = SPEC) -> Car:
    car: Car = device_of(building(index, energy_kwh, spec).truth, "ev")
    return car


def charged(*stretches: tuple[str, float, float]) -> Car:
    return car_of(INDEX, at(INDEX, *stretches))


def steps(where: Floats) -> list[int]:
    found: list[int] = np.flatnonzero(where).tolist()
    return found


@pytest.mark.smoke
def test_a_session_across_midnight_is_one_arrival() -> None:
    car = charged(("2016-06-01 22:00", 4, 5.0))
    assert steps(car.trip_kwh) == [22]
    assert car.trip_kwh[22] == pytest.approx(0.9 * 20)
    assert steps(car.plugged_in) == list(range(22, 31))  # until 7 on the 2nd
    assert steps(car.deadline) == [30]
    assert car.soc_kwh[[21, 22, 23, 24, 25, 30]] == pytest.approx([60, 46.5, 51, 55.5, 60, 60])
    assert car.max_charge_kw == 7.4


@pytest.mark.parametrize(
    ("stretch", "due"),
    [
        (("2016-06-02 05:00", 5, 3.0), 33),  # a session that lasts longer moves its deadline
        (("2016-06-02 07:00", 1, 3.0), 54),  # an arrival in the deadline hour has a day
        (("2016-06-04 20:00", 2, 3.0), 95),  # the record ends before the deadline
    ],
)
def test_when_it_must_be_full(stretch: tuple[str, float, float], due: int) -> None:
    car = charged(stretch)
    assert steps(car.deadline) == [due]
    assert steps(car.plugged_in) == list(range(steps(car.trip_kwh)[0], due + 1))


@pytest.mark.parametrize("step_h", [1.0, 0.25])
@pytest.mark.parametrize(
    ("first", "full_by", "due_at"),
    [
        (date(2016, 3, 26), 2, "2016-03-27 03:00:00+02:00"),  # the hour from 2 to 3 is skipped
        (date(2016, 10, 29), 1, "2016-10-30 01:00:00+02:00"),
        (date(2016, 10, 29), 2, "2016-10-30 02:00:00+02:00"),  # it comes twice: its first is meant
        (date(2016, 10, 29), 3, "2016-10-30 03:00:00+01:00"),
        (date(2016, 10, 29), 7, "2016-10-30 07:00:00+01:00"),
    ],
)
def test_deadlines_where_the_clock_is_changed(
    first: date, full_by: int, due_at: str, step_h: float
) -> None:
    """The same deadline is known while the car is plugged in."""
    index = local_index(first, 3, step_h)
    spec = replace(SPEC, must_be_full_by_hour=full_by)
    house = building(index, at(index, (f"{first} 22:00", 2, 3.0)), spec)
    car: Car = device_of(house.truth, "ev")
    (due,) = steps(car.deadline)
    assert str(index[due + 1]) == due_at
    midnight = house.span(house.days[1])
    now = Instant(
        step=midnight.start,
        ahead=midnight,
        today=midnight,
        tomorrow=None,
        past_days=(),
        hour=house.view.hour,
    )
    assert steps(car.believed(now, None).deadline) == [due]


@pytest.mark.parametrize(("first", "due"), [("20", [30]), ("18", [21, 30])])
def test_a_short_pause_is_in_the_session_and_who_comes_back_had_to_be_full(
    first: str, due: list[int]
) -> None:
    car = charged((f"2016-06-01 {first}:00", 1, 3), ("2016-06-01 22:00", 1, 3))
    assert len(steps(car.trip_kwh)) == len(due)
    assert steps(car.deadline) == due


def test_what_is_unknown_was_not_charged() -> None:
    energy = at(INDEX, ("2016-06-01 20:00", 3, 3.0))
    energy[40:60] = np.nan
    car = car_of(INDEX, energy)
    assert np.isfinite(car.soc_kwh).all()
    assert car.used_kwh(slice(0, 96)).sum() == pytest.approx(9.0)
    with pytest.raises(DataError, match="never charges"):
        car_of(INDEX, np.full(96, np.nan))


@pytest.mark.parametrize(("drawn_kw", "charger_kw"), [(11.3, 11.3), (10.0, 11.0)])
def test_a_charger_delivers_what_its_meter_showed(drawn_kw: float, charger_kw: float) -> None:
    """11.3 kW is within the name of 11 kW, and what was charged must be chargeable."""
    car = charged(("2016-06-01 20:00", 3, drawn_kw))
    assert car.max_charge_kw == pytest.approx(charger_kw)


def test_under_the_three_phase_strategy_what_is_due_tomorrow_waits_for_the_sun() -> None:
    """3 kW of sun over 0.4 kW of load; the cheapest hours are those of the night."""
    charged_kwh = at(INDEX, ("2016-06-01 22:00", 2, 3.0), ("2016-06-02 09:00", 2, 3.0))
    sun_kwh = at(INDEX, ("2016-06-02 11:00", 3, 3.0))
    price = 30.0 + INDEX.hour.to_numpy()
    history = made(INDEX, {"ev": charged_kwh}, pv_kwh=sun_kwh, price_eur_per_mwh=price)
    spec = replace(SPEC, strategy="three_phase")
    house = Building(history, load_tariff("dynamic"), Assets(battery=None, ev=spec))
    (car,) = (a for a in house.problem([date(2016, 6, 2)]).agents if a.name == "ev")
    limit_kw = car.charge_limit_kw  # type: ignore[attr-defined]
    assert limit_kw[9:15] == pytest.approx([0, 0, 2.6, 2.6, 2.6, 0])


@given(
    seed=st.integers(0, 10_000),
    full_by=st.integers(0, 23),
    step_h=st.sampled_from([1.0, 0.25]),
    first=st.sampled_from([date(2016, 6, 1), date(2016, 3, 26), date(2016, 10, 29)]),
)
def test_the_peoples_own_course_keeps_every_rule(
    seed: int, full_by: int, step_h: float, first: date
) -> None:
    """However sessions lie to deadlines and midnights, each day can be done as it was done."""
    rng, index = np.random.default_rng(seed), local_index(first, 3, step_h)
    energy, step = np.zeros(len(index)), 0
    while (step := step + int(rng.integers(1, 14 / step_h))) < len(index):
        length = int(rng.integers(1, 6 / step_h))
        energy[step : step + length] = rng.uniform(0.5, 3.7) * step_h
        step += length
    energy[-2:] = 0.0
    energy[0] = 1.0 * step_h
    spec = EVSpec(must_be_full_by_hour=full_by, arrival_hour=(full_by + 1) % 24)
    house = building(index, energy, spec)
    charged_kwh = 0.0
    for day in house.days:
        for lookahead_h in (0.0, 24.0):
            problem = house.problem([day], lookahead_h=lookahead_h)
            car = next(agent for agent in problem.agents if agent.name == "ev")
            plan = car.unplanned(problem.horizon)
            assert list(car.audit(plan, problem.horizon)) == []
        today = plan.window(0, problem.n_committed)
        charged_kwh += problem.horizon.energy_kwh(today.net_load_kw).sum()
    assert charged_kwh == pytest.approx(energy.sum())


@pytest.mark.parametrize("step_h", [1.0, 0.25])
@pytest.mark.parametrize(
    ("arrives", "leaves"), [(18, 7), (2, 18), (20, 2), (9, 17)], ids=lambda hour: f"{hour}h"
)
@pytest.mark.parametrize("first", [FIRST, date(2016, 3, 26), date(2016, 10, 29)])
def test_an_assumed_car_comes_home_once_a_day(
    arrives: int, leaves: int, step_h: float, first: date
) -> None:
    """Also where the clock skips its hour or shows it twice."""
    index = local_index(first, 3, step_h)
    spec = EVSpec(assumed=True, arrival_hour=arrives, must_be_full_by_hour=leaves, trip_kwh=8.0)
    car = car_of(index, None, spec)
    trips, dues = steps(car.trip_kwh), steps(car.deadline)
    assert car.plugged_in[trips + dues].all()
    assert all((index[step].hour - arrives) % 24 <= LATEST_H + 1 for step in trips)
    assert len(trips) <= 3
    assert len(dues) in (3, 4)
    assert car.used_kwh(slice(0, len(index))).sum() == 0.0
    assert car.max_charge_kw == 11.0
    assert car.assumed == "an assumed car (8 kWh a day)"


def test_an_assumed_car_drives_as_assumed_and_by_its_seed() -> None:
    """400 days: 8 kWh a day on average, on six of seven days, up to 3 h after its hour."""
    index = local_index(date(2015, 6, 1), 400)
    cars = [car_of(index, None, EVSpec(assumed=True, seed=seed)) for seed in (0, 0, 1)]
    assert np.array_equal(cars[0].trip_kwh, cars[1].trip_kwh)
    assert not np.array_equal(cars[0].trip_kwh, cars[2].trip_kwh)
    trips = cars[0].trip_kwh[cars[0].trip_kwh > 0]
    assert cars[0].trip_kwh.sum() / 400 == pytest.approx(8.0, rel=0.1)
    assert len(trips) / 400 == pytest.approx(DRIVES, abs=0.06)
    assert np.std(trips) / np.mean(trips) == pytest.approx(0.5, abs=0.06)
    hours = {index[step].hour for step in steps(cars[0].trip_kwh)}
    assert hours == {18, 19, 20, 21}


def test_no_car_is_invented() -> None:
    view = car_of(local_index(FIRST, 3), None, EVSpec(assumed=True))
    assert view.metered_kw is None
    building = Building(made(local_index(FIRST, 3)), load_tariff("flat"), Assets())
    assert [device.name for device in building.devices()] == ["battery"]


def test_an_assumed_car_that_has_not_come_is_not_expected() -> None:
    index = local_index(FIRST, 3)
    assets = Assets(battery=None, ev=EVSpec(assumed=True))
    building = Building(made(index), load_tariff("flat"), assets)
    (car,) = building.devices()
    arrival = steps(car.trip_kwh)[0]  # type: ignore[attr-defined]
    ahead = slice(arrival, len(index))
    for step, expected in ((arrival, False), (arrival + 1, True)):
        now = Instant(
            step=step,
            ahead=ahead,
            today=building.span(FIRST),
            tomorrow=None,
            past_days=(),
            hour=building.view.hour,
        )
        believed = car.believed(now, None)
        assert bool(believed.plugged_in[arrival + 1]) == expected  # type: ignore[attr-defined]
        assert believed.trip_kwh[step:].sum() == 0.0  # type: ignore[attr-defined]
