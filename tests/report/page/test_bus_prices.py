"""The plan's own prices: worked out by hand, and by drawing a little more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import make_case

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    GridAgent,
    PVAgent,
)
from ems.core.horizon import Horizon
from ems.core.program import Program
from ems.core.solver import Solver
from ems.errors import Infeasible

SOLVER = Solver(mip_gap=0.0, mip_gap_eur=0.0)


def horizon(import_eur: list[float], export_eur: float, step_h: float = 1.0) -> Horizon:
    return Horizon(
        start_utc=np.datetime64("2016-06-01T10:00"),
        step_h=step_h,
        import_eur_per_kwh=np.array(import_eur),
        export_eur_per_kwh=np.full(len(import_eur), export_eur),
    )


def program(of: Horizon, *agents: Agent) -> Program:
    made = Program(of)
    for agent in agents:
        made.add(agent)
    return made


def load(*kw: float) -> BaseLoadAgent:
    return BaseLoadAgent(name="house", load_kw=np.array(kw))


def battery(**fields: Any) -> BatteryAgent:
    perfect = {"round_trip_efficiency": 1.0, "wear_eur_per_kwh": 0.0, "initial_soc_kwh": 0.0}
    return BatteryAgent(**{"capacity_kwh": 2.0, **perfect, **fields})


def test_without_a_store_a_kwh_is_worth_what_the_meter_says() -> None:
    sun = PVAgent(name="roof", available_kw=np.array([3.0, 0.0, 5.0]))
    prices = program(horizon([0.3, 0.2, 0.4], 0.08), load(1, 1, 1), sun, GridAgent())
    assert prices.solve_with_price(SOLVER)[1] == pytest.approx([0.08, 0.2, 0.08])


@pytest.mark.parametrize("step_h", [1.0, 0.25])
def test_a_full_battery_leaves_noon_at_the_feed_in_and_the_evening_at_the_price(
    step_h: float,
) -> None:
    sun = PVAgent(name="roof", available_kw=np.array([9.0, 0.0, 0.0]) / step_h)
    of = horizon([0.3, 0.31, 0.3], 0.08, step_h)
    kept = battery(max_charge_kw=50, max_discharge_kw=50)
    written = program(of, load(0, 5 / step_h, 5 / step_h), sun, kept, GridAgent())
    prices = written.solve_with_price(SOLVER)[1]
    assert prices == pytest.approx([0.08, 0.31, 0.3])


def test_a_battery_that_has_enough_lets_the_evening_cost_what_noon_does() -> None:
    sun = PVAgent(name="roof", available_kw=np.array([9.0, 0.0, 0.0]))
    kept = battery(capacity_kwh=20.0, round_trip_efficiency=0.81, wear_eur_per_kwh=0.01)
    prices = program(horizon([0.3, 0.3, 0.3], 0.08), load(0, 1, 1), sun, kept, GridAgent())
    # one kWh at the bus takes 1/0.81 kWh of the sun, and both ways wear
    evening = 0.08 / 0.81 + 0.01 / 0.81 + 0.01
    assert prices.solve_with_price(SOLVER)[1] == pytest.approx([0.08, evening, evening])


def test_binaries_are_fixed_where_the_plan_has_them() -> None:
    cycle = Cycle(number=1, profile_kw=(2.0,), metered_start=0, earliest=0, latest=2)
    machine = DiscretePhaseDevice(name="dishwasher", cycles=(cycle,))
    of = horizon([0.3, 0.2, 0.4], 0.08)
    prices = program(of, load(1, 1, 1), machine, GridAgent()).solve_with_price(SOLVER)[1]
    assert prices == pytest.approx([0.3, 0.2, 0.4])


def test_an_infeasible_program_says_why() -> None:
    narrow = program(horizon([0.3], 0.08), load(5), GridAgent(max_import_kw=1.0))
    with pytest.raises(Infeasible, match=r"4 kW"):
        narrow.solve_with_price(SOLVER)[1]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000), step=st.integers(0, 23), more_kwh=st.sampled_from([1e-3, -1e-3])
)
def test_one_kwh_more_costs_at_least_its_price(seed: int, step: int, more_kwh: float) -> None:
    case = make_case(seed, devices=("battery", "ev", "heat_pump", "pv"))
    before = program(case.horizon, *case.agents, case.grid)
    assume(not before.matrix().integer.any())  # binaries may move: the price holds for the plan's
    house, *others = case.agents
    assert isinstance(house, BaseLoadAgent)
    load_kw = house.load_kw.copy()
    load_kw[step] += more_kwh / case.horizon.step_h
    after = program(case.horizon, replace(house, load_kw=load_kw), *others, case.grid)
    price = before.solve_with_price(SOLVER)[1][step]
    added_eur = after.solve(SOLVER).objective_eur - before.solve(SOLVER).objective_eur
    assert added_eur >= price * more_kwh - 1e-8  # a convex cost is never below its tangent


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_optimum_rises_by_the_price_of_what_is_drawn_more(step: int) -> None:
    sun = PVAgent(name="roof", available_kw=np.array([9.0, 0.0, 0.0]))
    of = horizon([0.3, 0.31, 0.25], 0.08)
    cycle = Cycle(number=1, profile_kw=(2.0,), metered_start=2, earliest=0, latest=2)
    others = (sun, battery(round_trip_efficiency=0.9), GridAgent())
    machine = DiscretePhaseDevice(name="dishwasher", cycles=(cycle,))
    before = program(of, load(1, 1, 1), machine, *others)
    price = before.solve_with_price(SOLVER)[1][step]
    for more_kwh in (1e-3, -1e-3):
        more = load(*(1 + more_kwh * (np.arange(3) == step)))
        after = program(of, more, machine, *others)
        rise = after.solve(SOLVER).objective_eur - before.solve(SOLVER).objective_eur
        assert rise == pytest.approx(price * more_kwh, abs=1e-9)
