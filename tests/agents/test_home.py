"""A home is a group of agents, and a group is an agent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import Case, cases, make_case

from ems.agents import BaseLoadAgent, BatteryAgent, GridAgent, HomeAgent, PVAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered, by_rule
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.participant import Plan
from ems.core.program import Program
from ems.errors import InvalidSpec, SolveError


def hours(*import_eur: float, export_eur: float = 0.08) -> Horizon:
    return Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array(import_eur),
        export_eur_per_kwh=np.full(len(import_eur), export_eur),
    )


def load(*kw: float) -> BaseLoadAgent:
    return BaseLoadAgent(load_kw=np.array(kw))


def sun(*kw: float) -> PVAgent:
    return PVAgent(available_kw=np.array(kw))


def together(horizon: Horizon, *homes: HomeAgent, fee: float = 0.0) -> DispatchPlan:
    """All homes on one bus; within it the fee stands beside the price."""
    inside = replace(horizon, import_eur_per_kwh=horizon.import_eur_per_kwh - fee)
    return GlobalOptimizer(homes, GridAgent()).optimize_centralized(inside)


@settings(max_examples=40)
@given(cases(most_steps=12))
def test_alone_or_in_a_group_is_one_mechanism(case: Case) -> None:
    """A building whose agents stand in one home has the cost of the building."""
    flat = GlobalOptimizer(case.agents, case.grid).optimize_centralized(case.horizon)
    home = HomeAgent(name="home", agents=case.agents)
    grouped = GlobalOptimizer([home], case.grid).optimize_centralized(case.horizon)
    assert grouped.objective_eur == pytest.approx(flat.objective_eur, abs=1e-5)
    parts = grouped.plans["home"].parts
    assert list(parts) == [agent.name for agent in case.agents]
    total_kw = sum(part.net_load_kw for part in parts.values())
    np.testing.assert_allclose(grouped.plans["home"].net_load_kw, total_kw, atol=1e-6)


def test_the_fee_is_paid_on_what_is_shared_and_bought() -> None:
    """A feeds 4, B draws 3 and then buys 2: shared 3 at 2 ct, sold 1, bought 2 at the full price.

    p_in · I − p_out · E + f · m = 0.30 · 2 − 0.08 · 1 + 0.02 · 3.
    """
    roof = HomeAgent(name="a", agents=(sun(4.0, 0.0),), fee_eur_per_kwh=0.02)
    flat = HomeAgent(name="b", agents=(load(3.0, 2.0),), fee_eur_per_kwh=0.02)
    plan = together(hours(0.30, 0.30), roof, flat, fee=0.02)
    assert plan.objective_eur == pytest.approx(0.30 * 2 - 0.08 + 0.02 * 3)
    assert plan.costs_eur()["fee"] == pytest.approx(0.02 * 5)


def test_a_store_carries_a_neighbours_sun_to_a_later_need() -> None:
    """4 kWh of A's sun serve B an hour later from C's lossless battery: nothing is bought."""
    battery = BatteryAgent(
        capacity_kwh=10.0, initial_soc_kwh=0.0, round_trip_efficiency=1.0, wear_eur_per_kwh=0.0
    )
    homes = (
        HomeAgent(name="a", agents=(sun(4.0, 0.0),)),
        HomeAgent(name="b", agents=(load(0.0, 4.0),)),
        HomeAgent(name="c", agents=(battery,)),
    )
    plan = together(hours(0.30, 0.30), *homes)
    assert plan.objective_eur == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(
        plan.plans["c"].parts["battery"].series["soc_kwh"], [4.0, 0.0], atol=1e-5
    )
    alone = [
        GlobalOptimizer([home], GridAgent()).optimize_centralized(plan.horizon) for home in homes
    ]
    assert sum(one.objective_eur for one in alone) == pytest.approx(4 * 0.30 - 4 * 0.08)


def test_rules_and_variables_are_named_through_the_home() -> None:
    program = Program(hours(0.3))
    program.add(HomeAgent(name="home7", agents=(BatteryAgent(), load(1.0))))
    program.add(GridAgent())
    names = program.matrix().column_names + program.matrix().row_names
    assert {"home7.battery.charge_kw_0", "home7.import_kw_0", "home7.meter_0"} <= set(names)


def test_its_stores_are_worth_what_they_are_worth_without_it() -> None:
    case = make_case(3, devices=("battery", "ev", "sun", "heat_pump"))
    flat = GlobalOptimizer(case.agents, case.grid).optimize_with_values(case.horizon)[1]
    home = HomeAgent(name="home", agents=case.agents)
    values = GlobalOptimizer([home], case.grid).optimize_with_values(case.horizon)[1]
    expected = {f"{a}.{rule}": worth for a, own in flat.items() for rule, worth in own.items()}
    assert set(values["home"]) == set(expected)
    for name, worth in expected.items():
        np.testing.assert_allclose(values["home"][name], worth, atol=1e-6)
    assert set(home.stored_kwh()) == set(expected)


def test_phases_hand_the_state_of_every_member_on() -> None:
    case = make_case(5, devices=("battery", "ev", "machine", "sun"), n_steps=24)
    home = HomeAgent(name="home", agents=case.agents)
    flat = GlobalOptimizer(case.agents, case.grid).optimize_phases_centralized(case.horizon)
    grouped = GlobalOptimizer([home], case.grid).optimize_phases_centralized(case.horizon)
    assert grouped.objective_eur == pytest.approx(flat.objective_eur, abs=1e-5)
    later = grouped.window(12, 24)
    assert later.plans["home"].parts["battery"].net_load_kw.shape == (12,)
    assert later.agents[0].stored_kwh()["battery.soc"] == pytest.approx(
        float(grouped.plans["home"].parts["battery"].series["soc_kwh"][11])
    )


@pytest.mark.parametrize("prices", ["usual", "negative"])
def test_rules_work_in_a_home_as_in_a_building(prices: str) -> None:
    case = make_case(8, devices=("battery", "ev", "machine", "sun"), prices=prices)  # type: ignore[arg-type]
    home = HomeAgent(name="home", agents=case.agents)
    for baseline in (as_metered, lambda *args: by_rule("self_consumption", *args)):
        flat = baseline(case.agents, case.grid, case.horizon)
        grouped = baseline([home], case.grid, case.horizon)
        np.testing.assert_allclose(
            grouped.plans["home"].net_load_kw, -flat.plans["grid"].net_load_kw, atol=1e-9
        )


def test_what_a_member_breaks_is_told_with_its_home() -> None:
    home = HomeAgent(name="home7", agents=(load(1.0),))
    plan = together(hours(0.3), home)
    bad = Plan(agent="base_load", net_load_kw=np.array([0.5]), series={})
    own = replace(plan.plans["home7"], parts={"base_load": bad})
    told = replace(plan, plans={**plan.plans, "home7": own})
    with pytest.raises(SolveError, match=r"home7: base_load: .*home7: net_load_kw"):
        told.audit()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"agents": ()}, "a home has no agents"),
        ({"agents": (load(1.0), load(2.0))}, "the name base_load is taken"),
        ({"agents": (load(1.0), GridAgent())}, "grid is a grid connection"),
        ({"agents": (load(1.0),), "fee_eur_per_kwh": -0.01}, "fee_eur_per_kwh is -0.01"),
        (
            {"agents": (load(1.0),), "meter": GridAgent(demand_charge_eur_per_kw=5.0)},
            "its meter has a demand charge of 5 €/kW",
        ),
    ],
)
def test_what_is_no_home_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        HomeAgent(name="home", **fields)  # type: ignore[arg-type]


def test_the_limits_of_its_meter_hold() -> None:
    home = HomeAgent(
        name="a", agents=(load(4.0, 0.0), BatteryAgent()), meter=GridAgent(max_import_kw=3.0)
    )
    plan = together(hours(0.30, 0.10), home)
    assert plan.plans["a"].series["import_kw"].max() <= 3.0 + 1e-6


def test_what_both_registers_counted_is_on_its_bill_and_in_no_balance() -> None:
    """1 kWh each way beside a net load of 2: 3 bought and 1 sold, and the fee on 3."""
    meter = GridAgent(cross_kw=1.0)
    home = HomeAgent(name="a", agents=(load(2.0),), meter=meter, fee_eur_per_kwh=0.02)
    plan = together(hours(0.30), home)
    assert plan.plans["a"].series["import_kw"] == pytest.approx([3.0])
    assert plan.plans["a"].series["export_kw"] == pytest.approx([1.0])
    assert plan.plans["a"].net_load_kw == pytest.approx([2.0])
    assert plan.costs_eur()["fee"] == pytest.approx(0.06)
    plan.audit()


def test_a_group_does_what_its_members_do() -> None:
    """Told a plan that believed more sun, curtailed, without targets, with the state of another."""
    case = make_case(2, devices=("battery", "ev", "sun"))
    home = HomeAgent(name="home", agents=case.agents)
    told = together(case.horizon, home).plans["home"]
    done = home.execute(case.horizon, told, home)
    for agent in case.agents:
        expected = agent.execute(case.horizon, told.parts[agent.name], agent)
        np.testing.assert_array_equal(done.parts[agent.name].net_load_kw, expected.net_load_kw)
    unknown = home.execute(case.horizon, None, None)
    np.testing.assert_array_equal(unknown.net_load_kw, home.unplanned(case.horizon).net_load_kw)
    later = home.after(told, 6)
    window = case.horizon.window(6, case.horizon.n_steps)
    again = replace(later, agents=tuple(a.without_targets() for a in later.agents))
    assert again.with_state_of(later, window).stored_kwh() == pytest.approx(later.stored_kwh())
    assert later.without_targets().agents == again.agents or all(
        type(a) is type(b)
        for a, b in zip(later.without_targets().agents, again.agents, strict=True)
    )


def test_a_home_that_can_be_curtailed_feeds_less() -> None:
    roof = PVAgent(available_kw=np.array([4.0, 4.0]), curtailable=True)
    home = HomeAgent(name="a", agents=(load(1.0, 1.0), roof))
    cut = home.curtailed(home.unplanned(hours(0.3, 0.3)), np.array([2.0, 9.0]))
    np.testing.assert_allclose(cut.net_load_kw, [-1.0, 1.0])
    np.testing.assert_allclose(cut.series["export_kw"], [1.0, 0.0])


def test_what_must_be_left_is_told_to_each_member() -> None:
    battery = BatteryAgent(capacity_kwh=10.0, initial_soc_kwh=2.0, final_soc_kwh=0.0)
    home = HomeAgent(name="a", agents=(load(1.0), battery))
    (_, left) = home.leaving({"battery.soc": 6.0}, hours(0.3)).agents
    assert isinstance(left, BatteryAgent)
    assert left.least_final_kwh == pytest.approx(
        battery.leaving({"soc": 6.0}, hours(0.3)).least_final_kwh
    )
