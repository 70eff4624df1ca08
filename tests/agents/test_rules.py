"""The rules that every shop sells, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from small_building import histories, twin_database
from strategies import Case, cases

from ems.agents import BatteryAgent, Cycle, DiscretePhaseDevice, EVAgent, GridAgent
from ems.agents.heat_pump import HeatPumpAgent
from ems.agents.thermal import House
from ems.control.baselines import by_rule
from ems.control.rules import SIGNALS, price_threshold, self_consumption, timer
from ems.core.horizon import Horizon
from ems.core.mode import Mode
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
    plan = agent.follow_rule(HOURS, SUN, self_consumption(HOURS))
    assert plan.series["charge_kw"] == pytest.approx(charge_kw)
    assert list(agent.audit(plan, HOURS)) == []


def test_a_car_that_comes_home_late_is_charged_for_its_trip() -> None:
    """5 kWh driven before the third hour, full by the end: 1 kWh in the third, 4 in the fourth."""
    agent = replace(car(0.0, 3), trip_kwh=np.array([0.0, 0.0, 5.0, 0.0]))
    plan = agent.follow_rule(HOURS, SUN, self_consumption(HOURS))
    assert plan.series["charge_kw"] == pytest.approx([0.0, 0.0, 1.0, 4.0])


@pytest.mark.parametrize(
    ("missing_kwh", "charge_kw"),
    [
        (6.0, [0.0, 3.0, 3.0, 0.0]),  # the rest of what the sun gave in the cheapest hour
        (9.0, [0.0, 3.0, 4.0, 2.0]),  # beyond that in the next cheapest one
        (14.0, [2.0, 4.0, 4.0, 4.0]),  # no sun is foreseen: the cheaper hours are full
    ],
)
def test_a_car_buys_what_it_needs_in_the_cheapest_hours_before_it_leaves(
    missing_kwh: float, charge_kw: list[float]
) -> None:
    dear_first = replace(HOURS, import_eur_per_kwh=np.array([0.4, 0.35, 0.2, 0.3]))
    agent = car(missing_kwh, 3)
    plan = agent.follow_rule(dear_first, SUN, self_consumption(dear_first))
    assert plan.series["charge_kw"] == pytest.approx(charge_kw)


def test_a_car_waits_for_prices_that_are_not_published() -> None:
    """Home at 11 o'clock, to be full by 5 in the morning: tomorrow's prices come at 13."""
    n = 18
    price = np.full(n, 0.3)
    price[[0, 1, 3, 15]] = 0.20, 0.20, 0.25, 0.10
    day = hours(price.tolist(), "2016-06-01T09:00")
    agent = EVAgent(
        trip_kwh=np.zeros(n),
        plugged_in=np.ones(n, dtype=bool),
        min_soc_kwh=np.append(np.zeros(n - 1), 20.0),
        max_soc_kwh=np.full(n, 20.0),
        capacity_kwh=20.0,
        max_charge_kw=4.0,
        efficiency=1.0,
        initial_soc_kwh=14.0,
    )
    plan = agent.follow_rule(day, np.zeros(n), self_consumption(day))
    expected = np.zeros(n)
    expected[[3, 15]] = 2.0, 4.0
    assert plan.series["charge_kw"] == pytest.approx(expected)
    known = self_consumption(day).known_until
    assert known[:3].tolist() == [13, 13, 18]


def test_a_heat_pump_heats_ahead_on_surplus_within_its_band() -> None:
    """1 kW an hour as metered; up to 1 kWh ahead in a house that loses nothing.

    In the second hour the surplus is more than what makes most heat, 3 of 10 kW; in the third it
    needs nothing.
    """
    metered = np.array([1.0, 1.0, 1.0, 1.0])
    pump = HeatPumpAgent(
        name="heat_pump",
        metered_kw=metered,
        cop=np.ones(4),
        max_power_kw=10.0,
        house=House(capacity_kwh_per_k=1.1, time_constant_h=1e6),
    )
    plan = pump.follow_rule(HOURS, SUN, self_consumption(HOURS))
    assert plan.series["power_kw"] == pytest.approx([1.0, 2.0, 0.0, 1.0], abs=1e-5)
    assert list(pump.audit(plan, HOURS)) == []
    idle = replace(pump, metered_kw=np.array([1.0, 0.0, 1.0, 1.0]))
    assert idle.follow_rule(HOURS, SUN, self_consumption(HOURS)).series[
        "power_kw"
    ] == pytest.approx(idle.metered_kw)
    dark: Plan = pump.follow_rule(HOURS, np.ones(4), self_consumption(HOURS))
    assert dark.series["power_kw"] == pytest.approx(metered)


def hours(prices: list[float], start: str = "2016-05-31T22:00") -> Horizon:
    return Horizon(
        start_utc=np.datetime64(start),
        step_h=1.0,
        import_eur_per_kwh=np.array(prices),
        export_eur_per_kwh=np.zeros(len(prices)),
        timezone="Europe/Berlin",
    )


SIX = hours([0.10, 0.20, 0.30, 0.30, 0.40, 0.40])


def battery(**fields: float) -> BatteryAgent:
    values = {
        "capacity_kwh": 4.0,
        "initial_soc_kwh": 0.0,
        "round_trip_efficiency": 1.0,
        "wear_eur_per_kwh": 0.0,
    }
    return BatteryAgent(**values | fields)  # type: ignore[arg-type]


def test_a_timer_buys_in_low_hours_or_else_at_night() -> None:
    """Two prices a day: the lower; else 1 to 5 o'clock local, which is 23 to 3 UTC in summer."""
    two = timer(hours([0.2, 0.2, 0.3, 0.3, 0.3, 0.3]))
    assert two.buy.tolist() == two.hold.tolist() == [True, True, False, False, False, False]
    assert timer(SIX).buy.tolist() == [False, True, True, True, True, False]
    flat = timer(hours([0.3] * 6))
    assert flat.buy.tolist() == timer(SIX).buy.tolist()


def test_a_threshold_buys_the_cheapest_quarter_and_gives_in_the_dearer_half() -> None:
    """Quarter 0.225, middle 0.30: what is bought replaces 0.35 on average."""
    signal = price_threshold(SIX)
    assert signal.buy.tolist() == [True, True, False, False, False, False]
    assert signal.hold.tolist() == [True, True, False, False, False, False]
    assert signal.replaces_eur_per_kwh == pytest.approx(np.full(6, 0.35))
    flat = price_threshold(hours([0.3] * 6))
    assert not flat.buy.any()
    assert not flat.hold.any()


def test_each_day_has_its_own_thresholds() -> None:
    """Half of the steps on either side of a midnight, at 22:00 UTC in summer."""
    signal = price_threshold(hours([0.1, 0.3, 0.5, 0.7], "2016-06-01T20:00"))
    assert signal.buy.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("fields", "charge_kw", "discharge_kw"),
    [
        ({}, [4, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1]),
        ({"max_charge_kw": 1.0}, [1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]),
        # a kWh and back wears 0.26: 0.35 does not pay for 0.10 and that
        ({"wear_eur_per_kwh": 0.13}, [0] * 6, [0] * 6),
    ],
)
def test_a_battery_by_price_threshold(
    fields: dict[str, float], charge_kw: list[float], discharge_kw: list[float]
) -> None:
    plan = battery(**fields).follow_rule(SIX, np.ones(6), price_threshold(SIX))
    assert plan.series["charge_kw"] == pytest.approx(charge_kw)
    assert plan.series["discharge_kw"] == pytest.approx(discharge_kw)


def test_a_battery_on_a_timer_stores_the_sun_by_day() -> None:
    """Buys at night whatever it costs and holds; 2 kW of sun fill the room that is left."""
    two = hours([0.2, 0.2, 0.3, 0.3, 0.3, 0.3])
    net_load_kw = np.array([1.0, 1.0, 1.0, -2.0, 1.0, 1.0])
    plan = battery(max_charge_kw=1.5).follow_rule(two, net_load_kw, timer(two))
    assert plan.series["soc_kwh"] == pytest.approx([1.5, 3.0, 2.0, 3.5, 2.5, 1.5])


def test_a_car_charges_where_the_rule_buys() -> None:
    """6 kWh by the end: 4 kW in the cheapest hour, the rest in the next."""
    agent = replace(car(6.0, 3), metered_kw=None)
    signal = price_threshold(hours([0.1, 0.2, 0.3, 0.4]))
    plan = agent.follow_rule(HOURS, np.ones(4), replace(signal, buy=np.array([1, 1, 0, 0]) > 0))
    assert plan.series["charge_kw"] == pytest.approx([4.0, 2.0, 0.0, 0.0])


def washer(filled: int) -> DiscretePhaseDevice:
    run = Cycle(
        number=1, profile_kw=(1.5, 0.5), metered_start=filled, earliest=0, latest=SIX.n_steps - 2
    )
    return DiscretePhaseDevice(name="washing_machine", cycles=(run,))


@pytest.mark.parametrize(
    ("filled", "net_load_kw", "starts"),
    [
        (1, [0, 0, -0.9, -1.0, -3, 0], 3),  # the first surplus of its mean power, 1 kW
        (0, [-1, 0, 0, 0, 0, 0], 0),  # at once
        (1, [-2, 0, 0, 0, -0.5, 0], 4),  # not before it is filled; until waiting ends
        (4, [0, 0, 0, 0, 0, -2], 4),  # filled when nothing waits any more
    ],
)
def test_a_filled_machine_waits_for_the_sun(
    filled: int, net_load_kw: list[float], starts: int
) -> None:
    signal = replace(self_consumption(SIX), wait=np.array([1, 1, 1, 1, 0, 0]) > 0)
    plan = washer(filled).follow_rule(SIX, np.array(net_load_kw, dtype=float), signal)
    assert np.flatnonzero(plan.series["started"]).tolist() == [starts]
    assert list(washer(filled).audit(plan, SIX)) == []


@pytest.mark.parametrize("rule", SIGNALS)
@given(case=cases())
def test_every_rule_runs_the_same_equipment_within_the_same_limits(rule: Mode, case: Case) -> None:
    """The audit of each agent passes; only targets of a plan are no rule's business."""
    plan = by_rule(rule, case.agents, case.grid, case.horizon)
    assert [agent.name for agent in plan.agents] == [a.name for a in (*case.agents, case.grid)]
    for agent in case.agents:
        if agent.name != "switched_heat_pump":  # as metered, whatever its people did
            own = agent.without_targets() if agent.kind == "storage" else agent
            assert list(own.audit(plan.plans[agent.name], case.horizon)) == [], agent.name


def test_the_rule_has_the_same_equipment_and_keeps_the_same_rules() -> None:
    """Every day of a month: the plan of the rule passes the audit of the devices."""
    history = histories(twin_database())["DE_KN_residential4"]
    building = Building(history, load_tariff("dynamic"), Assets(battery=BatteryAgent()))
    days = [day for day in building.plannable_days if day >= date(2016, 4, 1)][:30]
    surplus_kwh = 0.0
    for day in days:
        task = building.problem([day])
        plan = by_rule("self_consumption", task.agents, GridAgent(), task.horizon)
        for agent in task.agents:
            own = agent.without_targets() if agent.name == "battery" else agent
            assert list(own.audit(plan.plans[agent.name], task.horizon)) == [], (day, agent.name)
        sold_kw = plan.plans["grid"].series["export_kw"]
        surplus_kwh += float(sold_kw.sum())
    assert surplus_kwh > 0
