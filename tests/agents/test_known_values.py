"""Figures of single agents worked out by hand: what they store, miss, wear and start with."""

from __future__ import annotations

import numpy as np
import pytest

from ems.agents import (
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    HeatPumpAgent,
    PVAgent,
)
from ems.agents.base import Agent
from ems.agents.comfort import HabitComfort, ShiftComfort
from ems.agents.thermal import House
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.participant import Plan

TWO = Horizon(
    start_utc=np.datetime64("2016-06-01T10:00"),
    step_h=0.5,
    import_eur_per_kwh=np.array([0.3, 0.2]),
    export_eur_per_kwh=np.array([0.1, 0.1]),
)


def car(**changed: object) -> EVAgent:
    values = {
        "trip_kwh": np.zeros(2),
        "plugged_in": np.ones(2, dtype=bool),
        "min_soc_kwh": np.zeros(2),
        "max_soc_kwh": np.full(2, 60.0),
    }
    return EVAgent(**values | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "agent",
    [
        BaseLoadAgent(name="load", load_kw=np.array([1.0, 2.0])),
        PVAgent(name="pv", available_kw=np.array([1.0, 2.0])),
        GridAgent(),
    ],
    ids=lambda agent: agent.name,
)
def test_what_stores_nothing_stores_misses_and_shifts_nothing(agent: Agent) -> None:
    plan = agent.unplanned(TWO)
    assert agent.stored_kwh() == agent.stored_kwh(plan) == {}
    assert agent.valued({}) is agent
    assert agent.missed_kwh(plan) == 0.0
    assert agent.full_cycles(plan, TWO) == 0.0
    assert agent.shifts_h(plan, TWO) == ()


@pytest.mark.parametrize(("capacity_kwh", "cycles"), [(0.0, 0.0), (1.0, 1.5), (10.0, 0.15)])
def test_full_cycles_are_throughput_over_twice_the_capacity(
    capacity_kwh: float, cycles: float
) -> None:
    battery = BatteryAgent(capacity_kwh=capacity_kwh, initial_soc_kwh=0.0)
    plan = battery.store.plan(np.array([4.0, 0.0]), np.array([0.0, 2.0]), np.array([1.9, 0.9]))
    assert battery.full_cycles(plan, TWO) == pytest.approx(cycles)


@pytest.mark.parametrize(("initial_kwh", "least_kwh"), [(30.0, 5.0), (10.0, 0.0)])
def test_a_car_owes_at_the_end_what_it_found_less_its_trips_but_never_less_than_nothing(
    initial_kwh: float, least_kwh: float
) -> None:
    found = car(initial_soc_kwh=initial_kwh, trip_kwh=np.array([5.0, 20.0])).least_final_kwh
    assert found == least_kwh


def test_a_car_without_a_deadline_misses_nothing_and_with_one_what_it_is_short_of() -> None:
    """4 kW for half an hour at 0.92 give 1.84 kWh."""
    free, due = car(initial_soc_kwh=10.0), car(initial_soc_kwh=10.0, min_soc_kwh=[0.0, 30.0])
    charged = free.store.plan(np.array([4.0, 0.0]), np.zeros(2), np.full(2, 11.84))
    assert free.missed_kwh(charged) == 0.0
    assert due.missed_kwh(charged) == pytest.approx(18.16, abs=1e-4)
    assert due.without_targets().missed_kwh(charged) == 0.0
    assert free.stored_kwh() == {"soc": 10.0}
    assert free.stored_kwh(charged) == {"soc": 11.84}


def test_people_let_their_machines_be_moved_unless_told_otherwise() -> None:
    assert HabitComfort(weight_eur=0.1).movable
    assert ShiftComfort(eur_per_h=0.02).movable


def machine(*windows: tuple[int, int, int]) -> DiscretePhaseDevice:
    """A machine with runs of two steps, each with its metered, earliest and latest start."""
    return DiscretePhaseDevice(
        name="machine",
        cycles=tuple(
            Cycle(number=k, profile_kw=(1.0, 2.0), metered_start=m, earliest=e, latest=la)
            for k, (m, e, la) in enumerate(windows, start=1)
        ),
    )


def starts(plan: Plan) -> list[float]:
    return plan.series["started"].tolist()


SIX = Horizon(
    start_utc=np.datetime64("2016-06-01T10:00"),
    step_h=1.0,
    import_eur_per_kwh=np.full(6, 0.3),
    export_eur_per_kwh=np.full(6, 0.1),
)


def test_a_run_of_the_first_step_starts_in_the_first_step() -> None:
    first = machine((0, 0, 4))
    assert first.busy_steps == 0
    for plan in (first.unplanned(SIX), first.execute(SIX, None, None)):
        assert starts(plan) == [1, 0, 0, 0, 0, 0]
        assert plan.net_load_kw.tolist() == [1, 2, 0, 0, 0, 0]


def test_late_runs_leave_room_for_those_behind_them() -> None:
    """All want to start at the end; three runs of two steps fill the six."""
    assert starts(machine(*[(4, 0, 4)] * 3).execute(SIX, None, None)) == [1, 0, 2, 0, 3, 0]


@pytest.mark.parametrize(("run_steps", "eur", "switched"), [(1, 0, 0), (2, 0, 1), (1, 0.5, 1)])
def test_a_heat_pump_is_switched_where_it_has_a_least_run_or_starts_that_wear(
    run_steps: int, eur: float, switched: bool
) -> None:
    pump = HeatPumpAgent(
        name="pump",
        metered_kw=np.full(6, 1.0),
        cop=np.full(6, 3.0),
        max_power_kw=2.0,
        house=House(capacity_kwh_per_k=3.0),
        min_run_steps=run_steps,
        start_eur=eur,
        beside_kwh=(2.0,),
    )
    assert pump.switched is bool(switched)
    later = pump.after(pump.unplanned(SIX), 2)
    assert later.beside_kwh == pytest.approx((2.0 * np.exp(-2 / 48.0),))
    assert (later.on, later.must_run_steps) == (True, 0)


def test_a_house_that_may_not_be_warmer_has_no_store_to_value() -> None:
    pump = HeatPumpAgent(
        name="pump",
        metered_kw=np.full(6, 1.0),
        cop=np.full(6, 3.0),
        max_power_kw=2.0,
        house=House(capacity_kwh_per_k=3.0),
        warmer_k=0.0,
    )
    plan, values = GlobalOptimizer([pump], GridAgent()).optimize_with_values(SIX)
    assert plan.plans["pump"].net_load_kw.tolist() == [1.0] * 6
    assert values == {}


def test_a_roof_is_throttled_to_what_the_plan_let_through_and_only_where_it_throttled() -> None:
    roof = PVAgent(name="pv", available_kw=np.array([4.0, 1.0, 6.0]), curtailable=True)
    three = SIX.window(0, 3)
    told = Plan(
        agent="pv",
        net_load_kw=np.array([-1.0, -1.0, -5.0]),
        series={
            "generation_kw": np.array([1.0, 1.0, 5.0]),
            "curtailed_kw": np.array([2.0, 2.0, 0.0]),
        },
    )
    assert roof.execute(three, told, roof).net_load_kw.tolist() == [-1.0, -1.0, -6.0]
    assert roof.execute(three, None, None).net_load_kw.tolist() == [-4.0, -1.0, -6.0]


@pytest.mark.parametrize(
    ("round_trip", "wear", "worth", "needed"),
    [
        (0.9, 0.02, -0.379, False),  # 0.1 kWh burnt, 1.9 kWh worn: 0.0379 < 0.038
        (0.9, 0.02, -0.381, True),
        (0.9, 0.0, 0.0, False),
        (1.0, 0.02, -9.0, False),
        (1.0, 0.02, -np.inf, False),
    ],
)
def test_where_burning_energy_would_pay(
    round_trip: float, wear: float, worth: float, needed: bool
) -> None:
    battery = BatteryAgent(round_trip_efficiency=round_trip, wear_eur_per_kwh=wear)
    assert battery.store.needs_switch(np.array([worth])).tolist() == [needed]
