"""Houses with several registers, a battery of their own and large cars, planned end to end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from small_building import at, local_index, made

from ems.agents import BatteryAgent
from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import DayRecord, summarise
from ems.pipelines.parallel import run_comparison
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import Feed, MeterData
from ems.types import Floats

FIRST = date(2016, 6, 1)
FLAT = load_tariff("flat")  # 28.80 ct bought, 12.31 ct sold
SPEC = ComparisonSpec(tariff=FLAT, assets=Assets(battery=None), modes=("centralized",))


def of_mode(records: list[DayRecord], mode: str) -> list[DayRecord]:
    return [record for record in records if record.mode == mode]


def with_feeds(history: MeterData, *feeds: Feed, **energy_kwh: Floats) -> MeterData:
    """The house with these feeds besides its own, and their readings in place of the old."""
    return replace(
        history,
        feeds=(*history.feeds, *feeds),
        energy_kwh={**history.energy_kwh, **energy_kwh},
    )


# --- several registers ---------------------------------------------------------------------------


def two_registers() -> MeterData:
    """1 kW all day; from 22 to 6 the second register counts, from 12 to 14 the sun gives 3 kW."""
    index = local_index(FIRST, 1)
    house = made(index, base_kw=1.0, pv_kwh=at(index, ("2016-06-01 12:00", 2, 3.0)))
    night = (index.hour >= 22) | (index.hour < 6)
    bought = house.energy_kwh["grid_import"]
    second = Feed(name="grid_import_2", role="import", category="grid")
    return with_feeds(
        house,
        second,
        grid_import=np.where(night, 0.0, bought),
        grid_import_2=np.where(night, bought, 0.0),
    )


def test_two_import_registers_are_one_bill() -> None:
    """8 kWh at night and 14 by day, 4 kWh sold: 22 · 28.80 − 4 · 12.31 = 584.36 ct."""
    building = Building(two_registers(), FLAT, SPEC.assets)
    assert building.metered_bill_eur([FIRST]) == pytest.approx(5.8436, abs=1e-9)
    records = list(run_comparison(two_registers(), SPEC, n_days=None))
    (day,) = of_mode(records, "as_metered")
    assert day.kpis.bill_eur == pytest.approx(5.8436, abs=1e-9)
    assert day.kpis.import_kwh == pytest.approx(22.0)


def test_both_registers_in_one_step_are_booked_with_the_export() -> None:
    """Half a kWh bought at noon by the second register beside what is sold: 14.4 ct less 0."""
    house = two_registers()
    second = house.energy_kwh["grid_import_2"].copy()
    sold = house.energy_kwh["grid_export"].copy()
    second[12] += 0.5
    sold[12] += 0.5
    both = replace(
        house, energy_kwh={**house.energy_kwh, "grid_import_2": second, "grid_export": sold}
    )
    building = Building(both, FLAT, SPEC.assets)
    expected = 22.5 * 0.288 - 4.5 * 0.1231
    assert building.metered_bill_eur([FIRST]) == pytest.approx(expected, abs=1e-9)
    (day,) = of_mode(list(run_comparison(both, SPEC, n_days=None)), "as_metered")
    assert day.kpis.bill_eur == pytest.approx(expected, abs=1e-9)


# --- a battery that is there ----------------------------------------------------------------------


def with_own_battery() -> MeterData:
    """Two days of 1 kW; from 12 to 14 4 kW of sun.

    The battery takes 2 of the 3 kW that are over, and gives 1 kW from 18 to 21.
    """
    index = local_index(FIRST, 2)
    days = [f"2016-06-0{day}" for day in (1, 2)]
    sun = at(index, *((f"{day} 12:00", 2, 4.0) for day in days))
    charge = at(index, *((f"{day} 12:00", 2, 2.0) for day in days))
    discharge = at(index, *((f"{day} 18:00", 3, 1.0) for day in days))
    net = 1.0 - sun + charge - discharge
    return with_feeds(
        made(index, base_kw=1.0, pv_kwh=sun),
        Feed(name="charge", role="charge", category="battery"),
        Feed(name="discharge", role="discharge", category="battery"),
        charge=charge,
        discharge=discharge,
        grid_import=np.maximum(net, 0.0),
        grid_export=np.maximum(-net, 0.0),
    )


def test_as_metered_is_the_bill_of_the_meter_with_the_battery_that_is_there() -> None:
    """A day buys 19 kWh and sells 2: 19 · 28.80 − 2 · 12.31 = 522.58 ct."""
    house = with_own_battery()
    building = Building(house, FLAT, SPEC.assets)
    assert building.metered_bill_eur(building.days) == pytest.approx(2 * 5.2258, abs=1e-9)
    records = list(run_comparison(house, SPEC, n_days=None))
    bills = [day.kpis.bill_eur for day in of_mode(records, "as_metered")]
    assert bills == pytest.approx([5.2258, 5.2258], abs=1e-9)


def test_what_the_battery_that_is_there_is_worth() -> None:
    """Without it 22 kWh bought and 6 sold, 559.74 ct a day: it saves 37.16 ct."""
    building = Building(with_own_battery(), FLAT, SPEC.assets)
    assert building.own_battery_eur(building.days) == pytest.approx(2 * 0.3716, abs=1e-9)
    assert building.own_battery_eur(building.days[:1]) == pytest.approx(0.3716, abs=1e-9)


@pytest.mark.parametrize("battery", [None, BatteryAgent(initial_soc_kwh=0.0)])
def test_it_does_what_it_did_in_every_row(battery: BatteryAgent | None) -> None:
    house = with_own_battery()
    drawn_kw = house.energy_kwh["charge"] - house.energy_kwh["discharge"]
    spec = replace(SPEC, assets=Assets(battery=battery))
    records = list(run_comparison(house, spec, n_days=None))
    for mode in spec.all_modes:
        did = [day.schedule.plans["own_battery"].net_load_kw for day in of_mode(records, mode)]
        np.testing.assert_allclose(np.concatenate(did), drawn_kw, atol=1e-9)


# --- cars -----------------------------------------------------------------------------------------


def charging(*names: str, kwh: float, kw: float) -> MeterData:
    """Three days; each car charges ``kwh`` in the first evening, an hour after the one before."""
    index = local_index(FIRST, 3)
    loads = [at(index, (f"2016-06-01 {18 + i}:00", kwh / kw, kw)) for i, _ in enumerate(names)]
    feeds = [Feed(name=name, role="load", category="ev") for name in names]
    energy_kwh = dict(zip(names, loads, strict=True))
    house = made(index, base_kw=0.5)
    total = house.energy_kwh["grid_import"] + sum(loads)
    return replace(
        with_feeds(house, *feeds, grid_import=total, **energy_kwh),
        load_kwh=house.load_kwh + sum(loads),
        price_eur_per_mwh=np.where(pd.DatetimeIndex(index).hour == 3, 10.0, 60.0),
    )


@pytest.mark.parametrize(
    ("names", "kwh", "kw"), [(("ev",), 82.0, 20.5), (("ev", "ev_2"), 22.0, 11.0)]
)
def test_large_and_several_cars_get_all_they_got(
    names: tuple[str, ...], kwh: float, kw: float
) -> None:
    """A session of 82 kWh shows a larger car than the default; each car keeps its own energy."""
    spec = replace(SPEC, tariff=load_tariff("dynamic"), assets=Assets(battery=None))
    records = list(run_comparison(charging(*names, kwh=kwh, kw=kw), spec, n_days=None))
    for mode in spec.all_modes:
        for name in names:
            days = of_mode(records, mode)
            got = sum(day.schedule.plans[name].net_load_kw.sum() for day in days)
            assert got == pytest.approx(kwh, abs=1e-3), (mode, name)
    rows = {row.mode: row.kpis for row in summarise([record.result for record in records])}
    assert rows["centralized"].bill_eur < rows["as_metered"].bill_eur - 0.1
    # The charger of 20.5 kW is one of 22, and two of 11 kW are as much.
    assert rows["centralized"].peak_import_kw <= 22.5 + 1e-6
