"""The rules that every shop sells, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from small_building import histories, twin_database

from ems.agents import BatteryAgent, EVAgent, GridAgent
from ems.agents.heat_pump import PartialUsageDevice
from ems.control.baselines import rule_based
from ems.core.horizon import Horizon
from ems.core.participant import Plan
from ems.economics.tariff_file import load_tariff
from ems.site.assets import Assets
from ems.site.building import Building

HOURS = Horizon(
    start_utc=np.datetime64("2016-06-01T00:00"),
    step_h=1.0,
    import_eur_per_kwh=np.full(4, 0.3),
    export_eur_per_kwh=np.full(4, 0.1),
)
SUN = np.array([1.0, -3.0, 1.0, 1.0])
"""Net load of the others: 3 kW of surplus in the second hour [kW]."""


def car(missing_kwh: float, due_step: int, due_kwh: float = 20.0) -> EVAgent:
    least = np.zeros(4)
    least[due_step] = due_kwh
    return EVAgent(
        trip_kwh=np.zeros(4),
        plugged_in=np.ones(4, dtype=bool),
        min_soc_kwh=least,
        max_soc_kwh=np.full(4, 20.0),
        capacity_kwh=20.0,
        max_charge_kw=4.0,
        efficiency=1.0,
        initial_soc_kwh=20.0 - missing_kwh,
    )


@pytest.mark.parametrize(
    ("missing_kwh", "due_step", "charge_kw"),
    [
        (3.0, 3, [0.0, 3.0, 0.0, 0.0]),  # all from the sun
        (6.0, 3, [0.0, 3.0, 0.0, 3.0]),  # the rest in the last hour that will do
        (9.0, 3, [0.0, 3.0, 2.0, 4.0]),
        (4.0, 0, [4.0, 0.0, 0.0, 0.0]),  # full by the end of the first hour: no time to wait
        (16.0, 3, [4.0, 4.0, 4.0, 4.0]),
    ],
)
def test_a_car_takes_the_sun_and_is_in_time(
    missing_kwh: float, due_step: int, charge_kw: list[float]
) -> None:
    agent = car(missing_kwh, due_step)
    plan = agent.follow_rule(HOURS, SUN)
    assert plan.series["charge_kw"] == pytest.approx(charge_kw)
    assert list(agent.audit(plan, HOURS)) == []


def test_a_car_that_comes_home_late_is_charged_for_its_trip() -> None:
    """5 kWh driven before the third hour, full by the end: 1 kWh in the third, 4 in the fourth."""
    agent = replace(car(0.0, 3), trip_kwh=np.array([0.0, 0.0, 5.0, 0.0]))
    plan = agent.follow_rule(HOURS, SUN)
    assert plan.series["charge_kw"] == pytest.approx([0.0, 0.0, 1.0, 4.0])


def test_a_heat_pump_heats_ahead_on_surplus_within_its_band() -> None:
    """1 kW an hour as metered; the band lets it be 1 kWh ahead, and closes at the end."""
    metered = np.ones(4)
    pump = PartialUsageDevice(
        name="heat_pump",
        metered_kw=metered,
        min_cumulative_kwh=np.array([0.0, 1.0, 2.0, 4.0]),
        max_cumulative_kwh=np.array([2.0, 3.0, 4.0, 4.0]),
        max_power_kw=3.0,
    )
    plan = pump.follow_rule(HOURS, SUN)
    assert plan.series["power_kw"] == pytest.approx([1.0, 2.0, 0.0, 1.0])
    assert list(pump.audit(plan, HOURS)) == []
    dark: Plan = pump.follow_rule(HOURS, np.ones(4))
    assert dark.series["power_kw"] == pytest.approx(metered)


def test_the_rule_has_the_same_equipment_and_keeps_the_same_rules() -> None:
    """Every day of a month: the plan of the rule passes the audit of the devices."""
    history = histories(twin_database())["DE_KN_residential4"]
    building = Building(history, load_tariff("dynamic"), Assets(battery=BatteryAgent()))
    days = [day for day in building.plannable_days if day >= date(2016, 4, 1)][:30]
    surplus_kwh = 0.0
    for day in days:
        task = building.problem([day])
        plan = rule_based(task.agents, GridAgent(), task.horizon)
        for agent in task.agents:
            own = agent.without_targets() if agent.name == "battery" else agent
            assert list(own.audit(plan.plans[agent.name], task.horizon)) == [], (day, agent.name)
        sold_kw = plan.plans["grid"].series["export_kw"]
        surplus_kwh += float(sold_kw.sum())
    assert surplus_kwh > 0
