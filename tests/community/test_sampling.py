"""A street of made homes: another day's load of the same kind, its own day's sun."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from small_building import local_index, made

from ems.agents import BatteryAgent
from ems.community.sampling import (
    APART_DAYS,
    CENTRAL,
    Shares,
    coincidence,
    made_homes,
    with_central_battery,
)
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, InvalidSpec
from ems.site.assets import Assets
from ems.site.building import Building

DAYS = 70
ALL_SUN = Shares(pv=1.0, pv_kwp=(5.0, 5.0), battery=1.0, ev=0.0)


@cache
def source(*, sun: bool = True) -> Building:
    """A building whose load tells its day: 1 + day / 100 kWh each hour; sun as its day's number."""
    index = local_index(date(2016, 4, 1), DAYS)
    day = np.array([(stamp.date() - date(2016, 4, 1)).days for stamp in index], dtype=float)
    noon = np.array([stamp.hour == 12 for stamp in index])
    pv_kwh = noon * (1.0 + day) if sun else np.zeros(len(index))
    history = replace(made(index, pv_kwh=pv_kwh, base_kw=1.0), building="source")
    load_kwh = 1.0 + day / 100.0
    net_kwh = load_kwh - pv_kwh
    energy = {
        **history.energy_kwh,
        "grid_import": np.maximum(net_kwh, 0.0),
        "grid_export": np.maximum(-net_kwh, 0.0),
    }
    return Building(
        replace(history, load_kwh=load_kwh, energy_kwh=energy),
        load_tariff("flat"),
        Assets(battery=BatteryAgent()),
    )


def test_a_home_has_another_day_of_the_same_kind_and_its_own_days_sun() -> None:
    (home, *_) = made_homes([source()], 3, seed=4, shares=ALL_SUN)
    found, given = home.history, source()
    values = [found.load_kwh[home.span(day)] for day in home.days]
    assert all(np.ptp(value) < 1e-12 for value in values)  # whole days
    # One size of the home explains all its days by days of the same kind nearby.
    sizes = [values[0][0] / (1.0 + number / 100.0) for number in range(DAYS)]
    assert any(
        all(
            _is_a_day(value[0] / size, day, given)
            for value, day in zip(values, home.days, strict=True)
        )
        for size in sizes
    )
    peak = given.history.pv_kwh.max()
    np.testing.assert_allclose(found.pv_kwh, 5.0 * given.history.pv_kwh / peak)


def _is_a_day(value: float, day: date, given: Building) -> bool:
    number = round(100.0 * (value - 1.0))
    if abs(value - 1.0 - number / 100.0) > 1e-9 or not 0 <= number < DAYS:
        return False
    other = date(2016, 4, 1) + timedelta(days=number)
    return abs((other - day).days) <= APART_DAYS and _kind(other, given) == _kind(day, given)


def _kind(day: date, given: Building) -> int:
    holidays = np.asarray(given.history.place.public_holidays(day.year)).astype(object)
    return 2 if day.weekday() == 6 or day in set(holidays) else int(day.weekday() == 5)


def test_its_meters_close_and_its_battery_has_its_size() -> None:
    for home in made_homes([source()], 4, seed=1, shares=ALL_SUN):
        energy = home.history.energy_kwh
        net_kwh = energy["grid_import"] + energy["pv"] - energy["grid_export"]
        np.testing.assert_allclose(net_kwh, home.history.load_kwh, atol=1e-12)
        battery = home.assets.battery
        assert battery is not None
        assert battery.capacity_kwh == pytest.approx(5.0)
        assert battery.initial_soc_kwh == pytest.approx(8.0 / 15.0 * 5.0)
        assert battery.max_charge_kw == pytest.approx(5.0 / 3.0)
        assert home.assets.ev is None


def test_a_home_stays_itself_in_a_larger_street_and_another_seed_makes_others() -> None:
    small, large = made_homes([source()], 3, 7), made_homes([source()], 9, 7)
    for one, other in zip(small, large[:3], strict=True):
        np.testing.assert_array_equal(one.history.load_kwh, other.history.load_kwh)
    others = made_homes([source()], 3, 8)
    assert not np.array_equal(small[0].history.load_kwh, others[0].history.load_kwh)


def test_shares_are_shares_of_many() -> None:
    homes = made_homes([source()], 200, 0, Shares(pv=0.5, battery=0.5, ev=0.2))
    roofs = [home for home in homes if "pv" in home.history.energy_kwh]
    assert 80 <= len(roofs) <= 120
    stores = sum(home.assets.battery is not None for home in roofs)
    assert 0.35 * len(roofs) <= stores <= 0.65 * len(roofs)
    assert all(home.assets.battery is None for home in homes if home not in roofs)
    assert 25 <= sum(home.assets.ev is not None for home in homes) <= 55


def test_as_many_as_measured_are_the_measured_ones() -> None:
    measured = [source(), source(sun=False)]
    assert made_homes(measured, 2) == (measured[0], measured[1])


def test_one_day_moved_lowers_the_coincidence_of_clones() -> None:
    loads = np.array([home.history.load_kwh for home in made_homes([source()], 8, 3)])
    assert 0.8 < coincidence(loads) < 1.0
    assert coincidence(np.array([loads[0]] * 3)) == pytest.approx(1.0)


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="homes is 1, allowed is 2"):
        made_homes([source()], 1)
    with pytest.raises(DataError, match="none of the buildings has a metered roof"):
        made_homes([source(sun=False)], 5)
    assert len(made_homes([source(sun=False)], 5, shares=Shares(pv=0.0))) == 5
    with pytest.raises(InvalidSpec, match=r"pv is 1\.5"):
        Shares(pv=1.5)
    with pytest.raises(InvalidSpec, match="pv_kwp is"):
        Shares(pv_kwp=(4.0, 3.0))


def test_a_central_battery_is_all_of_theirs() -> None:
    """Its kWh and kW are those of the homes, whose meters stay as they are."""
    street = made_homes([source()], 3, seed=4, shares=ALL_SUN)
    *others, member = with_central_battery(street)
    assert [home.history.building for home in others] == [h.history.building for h in street]
    assert all(home.assets.battery is None for home in others)
    battery = member.assets.battery
    assert battery is not None
    owned = [home.assets.battery for home in street if home.assets.battery is not None]
    assert battery.capacity_kwh == sum(one.capacity_kwh for one in owned)
    assert battery.max_charge_kw == sum(one.max_charge_kw for one in owned)
    assert member.history.building == CENTRAL
    assert not member.history.load_kwh.any()


def test_a_central_battery_needs_batteries() -> None:
    bare = [
        Building(home.history, home.tariff, replace(home.assets, battery=None))
        for home in made_homes([source()], 2, seed=4, shares=ALL_SUN)
    ]
    with pytest.raises(InvalidSpec, match="no home has a battery to put there"):
        with_central_battery(bare)
