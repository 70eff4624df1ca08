"""Arrivals, deadlines and the people's own course, read from a charger's meter or assumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_building import at, local_index, made

from ems.economics.tariff import load_tariff
from ems.errors import DataError
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building
from ems.site.ev_use import EVUse, assumed_use, known_use, metered_use
from ems.types import Floats

SPEC = EVSpec(efficiency=0.9)
FIRST = date(2016, 6, 1)
INDEX = local_index(FIRST, 4)


def hours(index: object) -> Floats:
    return np.asarray(index.hour + index.minute / 60, dtype=float)  # type: ignore[attr-defined]


def use_of(*stretches: tuple[str, float, float], spec: EVSpec = SPEC) -> EVUse:
    return metered_use(at(INDEX, *stretches), 1.0, hours(INDEX), spec)


@pytest.mark.smoke
def test_a_session_across_midnight_is_one_arrival() -> None:
    use = use_of(("2016-06-01 22:00", 4, 5.0))
    assert np.flatnonzero(use.trip_kwh).tolist() == [22]
    assert use.trip_kwh[22] == pytest.approx(0.9 * 20)
    assert np.flatnonzero(use.plugged_in).tolist() == list(range(22, 31))  # until 7 on the 2nd
    assert np.flatnonzero(use.deadline).tolist() == [30]
    assert use.soc_kwh[[21, 22, 23, 24, 25, 30]] == pytest.approx([60, 46.5, 51, 55.5, 60, 60])
    assert use.max_charge_kw == 7.4


def test_a_session_that_lasts_longer_moves_its_deadline() -> None:
    use = use_of(("2016-06-02 05:00", 5, 3.0))
    assert np.flatnonzero(use.deadline).tolist() == [24 + 9]
    assert np.flatnonzero(use.plugged_in).tolist() == list(range(29, 34))


def test_an_arrival_in_the_deadline_hour_has_a_day() -> None:
    use = use_of(("2016-06-02 07:00", 1, 3.0))
    assert np.flatnonzero(use.deadline).tolist() == [48 + 6]


@pytest.mark.parametrize("step_h", [1.0, 0.25])
def test_a_deadline_that_the_clock_skips_is_due_when_it_skips(step_h: float) -> None:
    """On 27 March 2016 the hour from 2 to 3 does not exist."""
    index = local_index(date(2016, 3, 26), 3, step_h)
    energy_kwh = at(index, ("2016-03-26 22:00", 2, 3.0))
    spec = replace(SPEC, must_be_full_by_hour=2)
    use = metered_use(energy_kwh, step_h, hours(index), spec)
    (due,) = np.flatnonzero(use.deadline)
    assert str(index[due + 1]) == "2016-03-27 03:00:00+02:00"
    plugged_in = index.get_loc("2016-03-27 00:00")
    known = known_use(use, int(plugged_in), hours(index), spec)
    assert np.flatnonzero(known.deadline[plugged_in:]).tolist() == [due - plugged_in]


@pytest.mark.parametrize("step_h", [1.0, 0.25])
@pytest.mark.parametrize("full_by", [1, 2, 3, 7])
def test_no_deadline_is_due_because_the_clock_is_put_back(step_h: float, full_by: int) -> None:
    """On 30 October 2016 the hour from 2 to 3 comes twice; its first is meant."""
    index = local_index(date(2016, 10, 29), 3, step_h)
    energy_kwh = at(index, ("2016-10-29 22:00", 2, 3.0))
    spec = replace(SPEC, must_be_full_by_hour=full_by)
    use = metered_use(energy_kwh, step_h, hours(index), spec)
    (due,) = np.flatnonzero(use.deadline)
    zone = "+02:00" if full_by < 3 else "+01:00"
    assert str(index[due + 1]) == f"2016-10-30 0{full_by}:00:00{zone}"


def test_the_record_ends_before_the_deadline() -> None:
    use = use_of(("2016-06-04 20:00", 2, 3.0))
    assert np.flatnonzero(use.deadline).tolist() == [95]


def test_pauses_belong_to_the_session() -> None:
    assert (
        np.count_nonzero(use_of(("2016-06-01 20:00", 1, 3), ("2016-06-01 22:00", 1, 3)).trip_kwh)
        == 1
    )
    assert (
        np.count_nonzero(use_of(("2016-06-01 18:00", 1, 3), ("2016-06-01 22:00", 1, 3)).trip_kwh)
        == 2
    )


def test_what_is_unknown_was_not_charged() -> None:
    energy = at(INDEX, ("2016-06-01 20:00", 3, 3.0))
    energy[40:60] = np.nan
    use = metered_use(energy, 1.0, hours(INDEX), SPEC)
    assert use.metered_kw is not None
    assert np.isfinite(use.soc_kwh).all()
    assert use.metered_kw.sum() == pytest.approx(9.0)
    with pytest.raises(DataError, match="never charges"):
        metered_use(np.full(96, np.nan), 1.0, hours(INDEX), SPEC)


def test_a_charger_delivers_what_its_meter_showed() -> None:
    """11.3 kW is within the name of 11 kW, and what was charged must be chargeable."""
    assert use_of(("2016-06-01 20:00", 3, 11.3)).max_charge_kw == pytest.approx(11.3)
    assert use_of(("2016-06-01 20:00", 3, 10.0)).max_charge_kw == 11.0


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
    assets = Assets(battery=None, ev=spec)
    building = Building(made(index, {"ev": energy}), load_tariff("flat"), assets)
    charged_kwh = 0.0
    for day in building.days:
        for lookahead_h in (0.0, 24.0):
            problem = building.problem([day], lookahead_h=lookahead_h)
            car = next(agent for agent in problem.agents if agent.name == "ev")
            plan = car.unplanned(problem.horizon)
            assert list(car.audit(plan, problem.horizon)) == []
        charged_kwh += problem.horizon.energy_kwh(
            plan.window(0, problem.n_committed).net_load_kw
        ).sum()
    assert charged_kwh == pytest.approx(energy.sum())


@pytest.mark.parametrize("step_h", [1.0, 0.25])
@pytest.mark.parametrize(
    ("arrives", "leaves"), [(18, 7), (2, 18), (20, 2), (9, 17)], ids=lambda hour: f"{hour}h"
)
@pytest.mark.parametrize("first", [FIRST, date(2016, 3, 26), date(2016, 10, 29)])
def test_an_assumed_car_drives_once_a_day(
    arrives: int, leaves: int, step_h: float, first: date
) -> None:
    """Also where the clock skips its hour or shows it twice."""
    index = local_index(first, 3, step_h)
    spec = EVSpec(arrival_hour=arrives, must_be_full_by_hour=leaves, trip_kwh=8.0)
    use = assumed_use(hours(index), spec)
    assert use.trip_kwh.sum() == 24.0
    trips, dues = np.flatnonzero(use.trip_kwh), np.flatnonzero(use.deadline)
    assert use.plugged_in[trips].all()
    assert use.plugged_in[dues].all()
    assert all(index[step].hour in (arrives, arrives + 1) for step in trips)
    assert len(dues) in (3, 4)
    assert use.metered_kw is None
    assert use.max_charge_kw == 11.0
