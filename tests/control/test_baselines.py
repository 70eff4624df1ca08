"""The two baselines: what the meters counted, and the usual rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from small_building import at, histories, local_index, made, real_database, twin_database
from strategies import Case, cases

from ems.agents import BatteryAgent, GridAgent
from ems.control.baselines import as_metered, by_rule
from ems.economics.tariff_file import load_tariff
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building

DYNAMIC = load_tariff("dynamic")


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["DE_KN_residential3", "DE_KN_residential4", "DE_KN_residential6"])
@pytest.mark.parametrize("ev", [None, EVSpec()], ids=["ev off", "ev auto"])
def test_as_metered_is_what_the_real_registers_counted(
    shared_data: Path, name: str, ev: EVSpec | None
) -> None:
    """Import and export agree in every step, also where both counted within it."""
    history = histories(real_database(shared_data))[name]
    building = Building(history, DYNAMIC, Assets(battery=None, ev=ev))
    n_both = 0
    for day in building.plannable_days[::2]:
        problem = building.problem([day])
        grid = as_metered(problem.agents, problem.grid, problem.horizon).plans["grid"]
        for role in ("import", "export"):
            metered_kwh = history.energy_kwh[f"grid_{role}"][building.span(day)]
            counted_kwh = problem.horizon.energy_kwh(grid.series[f"{role}_kw"])
            np.testing.assert_allclose(counted_kwh, metered_kwh, atol=1e-9, err_msg=str(day))
        n_both += int(np.sum(building.cross_kwh[building.span(day)] > 0.001))
    assert n_both > 100


@pytest.mark.smoke
@given(cases())
def test_the_rule_never_trades_with_the_grid(case: Case) -> None:
    """A battery takes surplus only and covers deficit only, so it never turns the sign."""
    schedule = by_rule("self_consumption", case.agents, case.grid, case.horizon)
    stores = [a for a in case.agents if isinstance(a, BatteryAgent)]
    others_kw = schedule.net_load_kw("load", "generation")
    grid = schedule.plans["grid"].series
    for battery in stores:
        plan = schedule.plans[battery.name]
        assert np.all(plan.series["charge_kw"] <= np.maximum(-others_kw, 0.0) + 1e-9)
        assert np.all(plan.series["discharge_kw"] <= np.maximum(others_kw, 0.0) + 1e-9)
        idle = replace(battery, final_soc_kwh=battery.min_soc_kwh)  # a rule keeps no end state
        assert list(idle.audit(plan, case.horizon)) == []
    assert np.all(grid["import_kw"] <= np.maximum(others_kw, 0.0) + 1e-9)
    assert np.all(grid["export_kw"] <= np.maximum(-others_kw, 0.0) + 1e-9)


def test_the_rule_on_the_twin_lowers_import_and_export_of_a_day() -> None:
    history = histories(twin_database())["DE_KN_residential4"]
    building = Building(history, DYNAMIC, Assets())
    for day in building.plannable_days[::60]:
        problem = building.problem([day])
        args = (problem.agents, problem.grid, problem.horizon)
        metered, rule = as_metered(*args).plans, by_rule("self_consumption", *args).plans
        for name in {"base_load", "pv"}:
            assert np.array_equal(metered[name].net_load_kw, rule[name].net_load_kw)
        for series in ("import_kw", "export_kw"):
            less_kw = metered["grid"].series[series] - rule["grid"].series[series]
            assert np.sum(less_kw) >= -1e-9


def test_both_by_hand() -> None:
    """2 kW of sun for three hours over 0.5 kW of load, and an evening with 3 kW.

    Of 4.5 kWh surplus a lossless battery from 1 kWh to its 4 kWh takes 3; the evening gets 4 back.
    """
    index = local_index(date(2016, 6, 1), 1)
    pv = at(index, ("2016-06-01 10:00", 3, 2.0))
    history = made(
        index, {"fridge": at(index, ("2016-06-01 19:00", 2, 2.5))}, base_kw=0.5, pv_kwh=pv
    )
    battery = BatteryAgent(
        capacity_kwh=4.0, initial_soc_kwh=1.0, round_trip_efficiency=1.0, max_discharge_kw=2.0
    )
    building = Building(history, DYNAMIC, Assets(battery=battery, ev=None))
    problem = building.problem([date(2016, 6, 1)])
    metered = as_metered(problem.agents, problem.grid, problem.horizon)
    rule = by_rule("self_consumption", problem.agents, problem.grid, problem.horizon)
    assert metered.plans["grid"].series["import_kw"].sum() == pytest.approx(21 * 0.5 + 5)
    assert metered.plans["grid"].series["export_kw"].sum() == pytest.approx(4.5)
    assert metered.plans["battery"].series["soc_kwh"].tolist() == [1.0] * 24
    soc_kwh = rule.plans["battery"].series["soc_kwh"]
    assert soc_kwh[:2].tolist() == [0.5, 0.0]
    assert soc_kwh[9:14] == pytest.approx([0, 1.5, 3, 4, 3.5])
    assert soc_kwh[18:21] == pytest.approx([1.0, 0.0, 0.0])
    assert rule.plans["grid"].series["export_kw"].sum() == pytest.approx(0.5)
    assert rule.objective_eur == pytest.approx(sum(rule.costs_eur().values()))
    assert isinstance(rule.agents[-1], GridAgent)
