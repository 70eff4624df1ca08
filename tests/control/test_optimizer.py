"""The three modes: what must hold between them, on any building, day and tariff."""

from __future__ import annotations

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from oracle import broken_rules, cost_eur
from strategies import DAYS, Case, cases, make_case

from ems.agents import (
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.errors import Infeasible, InvalidSpec

EVERYTHING = ("battery", "v2g", "machine", "switched_heat_pump", "sun")


def gap_eur(schedule: DispatchPlan) -> float:
    """How far an objective may be from its optimum [€], with the slack of hand-overs."""
    return max(1e-3, 1e-4 * abs(schedule.objective_eur)) + 5e-5


def optimizer(case: Case) -> GlobalOptimizer:
    return GlobalOptimizer(case.agents, case.grid)


def check(schedule: DispatchPlan) -> None:
    assert broken_rules(schedule) == []
    assert cost_eur(schedule) == pytest.approx(schedule.objective_eur, abs=1e-4)


@settings(max_examples=250)
@given(cases())
def test_no_mode_breaks_a_rule_and_none_beats_the_whole(case: Case) -> None:
    whole = optimizer(case).optimize_centralized(case.horizon)
    alone = optimizer(case).optimize_decentralized(case.horizon)
    check(whole)
    check(alone)
    assert whole.bound_eur <= whole.objective_eur + 1e-6
    assert whole.gap_eur <= gap_eur(whole)
    assert whole.objective_eur <= alone.objective_eur + gap_eur(whole)


@settings(max_examples=70)
@given(cases(), st.sampled_from([1.0, 3.0, 6.0]))
def test_phases_that_know_everything_cost_the_same(case: Case, phase_h: float) -> None:
    whole = optimizer(case).optimize_centralized(case.horizon)
    phases = optimizer(case).optimize_phases_centralized(case.horizon, phase_h=phase_h)
    check(phases)
    n_phases = 24 / phase_h
    assert phases.objective_eur >= whole.bound_eur - 5e-5
    assert phases.objective_eur <= whole.objective_eur + n_phases * gap_eur(whole)


@settings(max_examples=60)
@given(cases(most_steps=12))
def test_same_seed_same_plan_to_the_bit(case: Case) -> None:
    for mode in ("optimize_centralized", "optimize_decentralized"):
        first, second = (getattr(optimizer(case), mode)(case.horizon) for _ in range(2))
        assert first.objective_eur == second.objective_eur
        for name, plan in first.plans.items():
            assert plan.net_load_kw.tobytes() == second.plans[name].net_load_kw.tobytes()
            for key, values in plan.series.items():
                assert values.tobytes() == second.plans[name].series[key].tobytes()


@pytest.mark.smoke
@pytest.mark.parametrize("day", sorted(DAYS))
@pytest.mark.parametrize("step_h", [1.0, 0.25])
def test_whole_days_of_23_24_and_25_hours(day: str, step_h: float) -> None:
    start, hours = DAYS[day]
    case = make_case(
        5,
        devices=("battery", "ev", "machine", "heat_pump", "pv"),
        n_steps=round(hours / step_h),
        step_h=step_h,
        start=start,
    )
    own = optimizer(case)
    whole = own.optimize_centralized(case.horizon)
    phases = own.optimize_phases_centralized(case.horizon)
    alone = own.optimize_decentralized(case.horizon)
    for schedule in (whole, phases, alone):
        check(schedule)
    assert phases.objective_eur == pytest.approx(whole.objective_eur, abs=5 * gap_eur(whole))
    assert whole.objective_eur <= alone.objective_eur + gap_eur(whole)


@pytest.mark.smoke
def test_decentralized_sees_what_is_announced_and_nothing_more() -> None:
    """The first battery sees load and sun, the second also the first, in the order of the list."""
    case = make_case(3, devices=("pv",))
    one, two = BatteryAgent(name="one"), BatteryAgent(name="two")
    alone = GlobalOptimizer([*case.agents, one, two], case.grid).optimize_decentralized(
        case.horizon
    )
    announced_kw = sum(alone.plans[a.name].net_load_kw for a in case.agents)
    own = one.optimize_day(case.horizon, case.grid, announced_kw)
    assert_array_equal(own.net_load_kw, alone.plans["one"].net_load_kw)
    announced_kw = announced_kw + own.net_load_kw
    second = two.optimize_day(case.horizon, case.grid, announced_kw)
    assert_array_equal(second.net_load_kw, alone.plans["two"].net_load_kw)
    assert_allclose(alone.plans["grid"].net_load_kw, -announced_kw - second.net_load_kw)


def test_decentralized_announces_what_is_fixed_first() -> None:
    """A load listed last is known to the battery listed first."""
    case = make_case(6, devices=("battery", "pv"))
    load, *others = case.agents
    late = GlobalOptimizer([*others, load], case.grid).optimize_decentralized(case.horizon)
    early = optimizer(case).optimize_decentralized(case.horizon)
    assert late.objective_eur == pytest.approx(early.objective_eur, abs=1e-9)


@pytest.mark.parametrize("phase_h", [6.0, 4.0])
def test_what_a_phase_has_carried_out_is_not_changed_by_the_next(phase_h: float) -> None:
    """The first phase of the chain is the first phase of the whole plan, step for step."""
    case = make_case(8, devices=("battery", "ev", "machine"))
    n = round(phase_h)
    whole = optimizer(case).optimize_centralized(case.horizon)
    phases = optimizer(case).optimize_phases_centralized(case.horizon, phase_h=phase_h)
    for agent in case.agents:
        assert_array_equal(
            phases.plans[agent.name].net_load_kw[:n], whole.plans[agent.name].net_load_kw[:n]
        )


def test_the_program_is_given_as_pulp_has_it() -> None:
    """The same optimum, and names that say agent, variable or rule, and step."""
    case = make_case(7, devices=("battery", "machine"), prices="export_above", n_steps=8)
    problem = optimizer(case).to_pulp(case.horizon)
    problem.solve(pulp.HiGHS(msg=False, threads=1))
    found = optimizer(case).optimize_centralized(case.horizon)
    assert pulp.value(problem.objective) == pytest.approx(found.objective_eur, abs=1e-4)
    names = {variable.name for variable in problem.variables()}
    assert {"battery.charge_kw_7", "grid.import_kw_0", "machine.start_1_0"} <= names
    assert {"battery.soc_3", "balance_7"} <= {c.name for c in problem.constraints()}


def test_state_handed_from_day_to_day_does_not_drift() -> None:
    """Twelve days of six phases: the account of every store closes from its powers alone."""
    case = make_case(13, devices=("battery", "v2g", "heat_pump"), n_steps=24 * 12, prices="usual")
    phases = optimizer(case).optimize_phases_centralized(case.horizon, phase_h=6.0)
    check(phases)
    whole = optimizer(case).optimize_centralized(case.horizon)
    assert phases.objective_eur == pytest.approx(whole.objective_eur, abs=48 * 2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phase_h": 0.0}, "phase_h is 0.0"),
        ({"phase_h": 25.0}, "phase_h is 25.0"),
        ({"phase_h": float("nan")}, "phase_h is nan"),
        ({"n_committed": 0}, "n_committed is 0, allowed is 1 to 24"),
        ({"n_committed": 25}, "n_committed is 25, allowed is 1 to 24"),
    ],
)
def test_bad_phases(arguments: dict[str, float], message: str) -> None:
    case = make_case(1, devices=("battery",))
    with pytest.raises(InvalidSpec, match=message):
        optimizer(case).optimize_phases_centralized(case.horizon, **arguments)  # type: ignore[arg-type]


def test_names_are_unique_in_every_mode() -> None:
    load = BaseLoadAgent(name="load", load_kw=np.ones(24))
    for agents in ([load, load], [BatteryAgent(name="grid")]):
        with pytest.raises(InvalidSpec, match="the name is taken"):
            GlobalOptimizer(agents, GridAgent())


def test_a_limit_that_only_the_whole_can_keep() -> None:
    """Alone, the machine takes 3 of 5 kW in the two cheap hours in which the car needs 4."""
    prices = Horizon(
        start_utc=np.datetime64("2016-05-31T22:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array([0.1, 0.1, 0.3, 0.3]),
        export_eur_per_kwh=np.full(4, 0.05),
    )
    run = Cycle(number=1, profile_kw=(3.0, 3.0), metered_start=0, earliest=0, latest=2)
    car = EVAgent(
        trip_kwh=np.zeros(4),
        plugged_in=np.array([True, True, False, False]),
        min_soc_kwh=np.array([0, 60.0, 0, 0]),
        max_soc_kwh=np.full(4, 60.0),
        initial_soc_kwh=52.0,
        efficiency=1.0,
    )
    machine = DiscretePhaseDevice(name="machine", cycles=(run,))
    own = GlobalOptimizer([machine, car], GridAgent(max_import_kw=5.0))
    check(own.optimize_centralized(prices))
    with pytest.raises(Infeasible) as caught:
        own.optimize_decentralized(prices)
    assert caught.value.shortfalls == {"ev.full_by_06_01_02h00": "4 kWh short"}
