"""What every agent must do, checked on one list of examples."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle import broken_rules, cost_eur

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    HeatPumpAgent,
    PVAgent,
    three_phase,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.thermal import House
from ems.control.optimizer import GlobalOptimizer
from ems.control.rules import self_consumption
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Plan
from ems.core.solver import Solver
from ems.errors import InvalidSpec

EXACT = Solver(mip_gap=0.0, mip_gap_eur=1e-7)
N = 6
STEPS = np.arange(N)
HORIZON = Horizon(
    start_utc=np.datetime64("2016-05-31T22:00"),
    step_h=1.0,
    import_eur_per_kwh=np.array([0.20, -0.15, 0.40, 0.10, 0.35, 0.30]),
    export_eur_per_kwh=np.array([0.08, -0.20, 0.45, 0.08, 0.08, 0.08]),
)
LOAD = BaseLoadAgent(name="base_load", load_kw=np.array([1.0, 0.5, 2.0, 1.5, 1.0, 0.5]))
CAR = EVAgent(
    trip_kwh=np.where(STEPS == 1, 9.0, 0.0),
    plugged_in=STEPS >= 1,
    min_soc_kwh=np.where(STEPS == 4, 55.0, 0.0),
    max_soc_kwh=np.full(N, 60.0),
    initial_soc_kwh=45.0,
    wear_eur_per_kwh=0.01,
)
CYCLES = (
    Cycle(number=1, profile_kw=(2.0, 0.5), metered_start=1, earliest=0, latest=3),
    Cycle(number=2, profile_kw=(1.0,), metered_start=4, earliest=2, latest=5),
)
MACHINE = DiscretePhaseDevice(
    name="machine",
    cycles=CYCLES,
    committed_kw=np.array([0.3]),
    discomfort_eur=np.tile(STEPS * 0.01, (2, 1)),
)
HEAT_PUMP = HeatPumpAgent(
    name="heat_pump",
    metered_kw=np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0]),
    cop=np.array([3.0, 3.0, 3.5, 4.0, 4.0, 3.0]),
    max_power_kw=2.0,
    house=House(capacity_kwh_per_k=3.0),
)
SUN = PVAgent(name="pv", available_kw=np.array([0.0, 3.0, 4.0, 2.0, 0.0, 0.0]))
AGENTS: dict[str, Agent] = {
    "base_load": LOAD,
    "battery": BatteryAgent(initial_soc_kwh=5.0, capacity_kwh=10.0, min_soc_kwh=1.0),
    "battery_with_terminal_value": BatteryAgent(
        initial_soc_kwh=5.0, final_soc_kwh=2.0, terminal_value_eur_per_kwh=0.2
    ),
    "battery_without_wear": BatteryAgent(wear_eur_per_kwh=0.0),
    "ev": CAR,
    "ev_as_metered": replace(CAR, metered_kw=np.array([0, 0, 10.0, 10, 5, 0])),
    "ev_to_grid": replace(CAR, max_discharge_kw=5.0),
    "ev_three_phase": three_phase(CAR, HORIZON, SUN.available_kw),
    "machine": MACHINE,
    "heat_pump": HEAT_PUMP,
    "switched_heat_pump": replace(HEAT_PUMP, start_eur=0.03, min_run_steps=2),
    "pv": SUN,
    "curtailable_pv": replace(SUN, curtailable=True),
    "grid": GridAgent(),
    "grid_with_limits": GridAgent(
        max_import_kw=30.0, max_export_kw=20.0, demand_charge_eur_per_kw=0.5, peak_so_far_kw=1.0
    ),
}
each_agent = pytest.mark.parametrize("name", sorted(AGENTS))


def optimizer(name: str) -> GlobalOptimizer:
    """The agent beside a load, behind a grid that has no limits of its own."""
    agent = AGENTS[name]
    if isinstance(agent, GridAgent):
        return GlobalOptimizer([LOAD, CAR], agent, EXACT)
    return GlobalOptimizer([agent] if agent is LOAD else [LOAD, agent], GridAgent(), EXACT)


def schedule(name: str) -> DispatchPlan:
    return optimizer(name).optimize_centralized(HORIZON)


def state(value: Any) -> Any:
    """Everything a value holds, to compare it before and after."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: state(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return tuple(map(state, value))
    if isinstance(value, Mapping):
        return {key: state(each) for key, each in value.items()}
    return value


@each_agent
@pytest.mark.smoke
def test_plans_have_the_right_shape_and_keep_every_rule(name: str) -> None:
    done = schedule(name)
    for plan in done.plans.values():
        assert plan.net_load_kw.shape == (N,)
        assert all(values.shape == (N,) for values in plan.series.values())
    assert broken_rules(done) == []
    assert cost_eur(done) == pytest.approx(done.objective_eur, abs=1e-5)
    assert done.bound_eur <= done.objective_eur + 1e-9


@each_agent
def test_nothing_is_mutated(name: str) -> None:
    own = optimizer(name)
    values = (*own.agents, own.grid, HORIZON)
    before = [state(value) for value in values]
    whole = own.optimize_centralized(HORIZON)
    own.optimize_phases_centralized(HORIZON, phase_h=2.0)
    own.optimize_decentralized(HORIZON)
    plans = state(dict(whole.plans))
    whole.after(2)
    whole.audit()
    for agent in own.agents:
        agent.unplanned(HORIZON)
        agent.follow_rule(HORIZON, -LOAD.load_kw, self_consumption(HORIZON))
    assert [state(value) for value in values] == before
    assert state(dict(whole.plans)) == plans


@each_agent
def test_is_frozen_with_arrays_that_are_read_only(name: str) -> None:
    agent = AGENTS[name]
    with pytest.raises(FrozenInstanceError):
        agent.name = "other"  # type: ignore[misc]
    for field in fields(agent):
        value = getattr(agent, field.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, field.name


@each_agent
def test_pickles(name: str) -> None:
    agent = AGENTS[name]
    assert state(pickle.loads(pickle.dumps(agent))) == state(agent)


@each_agent
@pytest.mark.parametrize("phase_h", [1.0, 4.0])
def test_planning_in_phases_costs_the_same_as_planning_whole(name: str, phase_h: float) -> None:
    phased = optimizer(name).optimize_phases_centralized(HORIZON, phase_h=phase_h)
    assert phased.objective_eur == pytest.approx(schedule(name).objective_eur, abs=5e-5)
    assert broken_rules(phased) == []


@each_agent
@pytest.mark.parametrize("n_steps", range(1, N))
def test_the_rest_of_a_plan_is_a_plan_of_what_comes_after(name: str, n_steps: int) -> None:
    whole = schedule(name)
    rest = replace(
        whole.window(n_steps, N),
        agents=whole.after(n_steps),
    )
    assert broken_rules(rest) == []
    failures = [
        line for agent in rest.agents for line in agent.audit(rest.plans[agent.name], rest.horizon)
    ]
    assert failures == []


@pytest.mark.parametrize("name", sorted(set(AGENTS) - {"ev_as_metered", "ev_three_phase"}))
def test_unplanned_passes_its_own_audit(name: str) -> None:
    """All but the cars whose people knew neither the deadline nor the strategy."""
    agent = AGENTS[name]
    plan = agent.unplanned(HORIZON)
    if name.startswith("battery"):
        assert_array_equal(plan.net_load_kw, np.zeros(N))
    assert list(agent.audit(plan, HORIZON)) == []


@each_agent
@pytest.mark.smoke
def test_an_audit_catches_any_number_that_is_changed(name: str) -> None:
    done, agent = schedule(name), AGENTS[name]
    plan = done.plans[agent.name]
    assert list(agent.audit(plan, HORIZON)) == []
    for change in (0.01, -0.01, np.nan):
        for step in range(N):
            moved_kw = plan.net_load_kw.copy()
            moved_kw[step] += change
            assert list(agent.audit(replace(plan, net_load_kw=moved_kw), HORIZON)), step
            for key, values in plan.series.items():
                if key in {"started", "on"}:
                    continue  # whole numbers: below
                moved = values.copy()
                moved[step] += change
                wrong = replace(plan, series={**plan.series, key: moved})
                assert list(agent.audit(wrong, HORIZON)), (key, step, change)


def replanned(plan: Plan, **series: Any) -> Plan:
    return replace(plan, series={**plan.series, **series})


def test_an_audit_catches_wrong_starts() -> None:
    plan = schedule("machine").plans["machine"]
    started = plan.series["started"]
    for step in range(N):
        for number in (0.0, 1.0, 2.0):
            if round(started[step]) != number:
                moved = started.copy()
                moved[step] = number
                assert list(MACHINE.audit(replanned(plan, started=moved), HORIZON))
    never = replanned(plan, started=np.zeros(N))
    assert list(MACHINE.audit(never, HORIZON))[:2] == [
        "machine: cycle 1 starts 0 times",
        "machine: cycle 2 starts 0 times",
    ]


def as_if(starts: dict[int, int]) -> Plan:
    """A plan of the machine with these starts, consistent in itself."""
    power_kw, started = np.zeros(N + 2), np.zeros(N)
    power_kw[0] = 0.3
    for cycle in CYCLES:
        at = starts[cycle.number]
        power_kw[at : at + len(cycle.profile_kw)] += cycle.profile_kw
        started[at] = cycle.number
    series = {"power_kw": power_kw[:N], "started": started}
    return Plan(agent="machine", net_load_kw=power_kw[:N], series=series)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ({1: 4, 2: 5}, "start of 1"),  # after its latest start
        ({1: 2, 2: 3}, "start of 2"),  # while the first still runs
        ({1: 3, 2: 2}, "start of 2"),  # before the first
        ({1: 0, 2: 1}, "start of 2"),  # before its earliest start
        ({1: 0, 2: 4}, "start of 1"),  # while the committed run is under way
    ],
)
def test_an_audit_catches_starts_outside_their_window(starts: dict[int, int], message: str) -> None:
    assert list(MACHINE.audit(as_if({1: 1, 2: 4}), HORIZON)) == []
    assert message in "; ".join(MACHINE.audit(as_if(starts), HORIZON))


def test_an_audit_catches_wrong_switching() -> None:
    device = AGENTS["switched_heat_pump"]
    plan = schedule("switched_heat_pump").plans["heat_pump"]
    for step in range(N):
        moved = plan.series["on"].copy()
        moved[step] = 1.0 - round(moved[step])
        assert list(device.audit(replanned(plan, on=moved), HORIZON)), step


def test_an_audit_catches_sun_that_is_missing() -> None:
    """Half of the sun, told consistently, is curtailment that nobody allowed."""
    less_kw = SUN.available_kw / 2
    plan = Plan(agent="pv", net_load_kw=-less_kw, series={"generation_kw": less_kw})
    assert list(SUN.audit(plan, HORIZON))
    assert list(replace(SUN, curtailable=True).audit(plan, HORIZON)) == []


def test_an_audit_catches_charging_and_discharging_at_once() -> None:
    battery = BatteryAgent(initial_soc_kwh=8.0)
    eta = np.sqrt(battery.round_trip_efficiency)
    both = np.full(N, 1.0)
    soc_kwh = 8.0 + np.cumsum(both * (eta - 1 / eta))
    series = {"charge_kw": both, "discharge_kw": both, "soc_kwh": soc_kwh}
    plan = Plan(agent="battery", net_load_kw=np.zeros(N), series=series)
    assert "at once" in "; ".join(battery.audit(plan, HORIZON))


def test_an_audit_catches_import_and_export_at_once() -> None:
    series = {"import_kw": np.full(N, 3.0), "export_kw": np.full(N, 1.0)}
    plan = Plan(agent="grid", net_load_kw=np.full(N, -2.0), series=series)
    assert list(GridAgent().audit(plan, HORIZON)) == ["grid: import and export at once in step 0"]


@pytest.mark.parametrize(
    ("agent", "change", "rule"),
    [
        (AGENTS["battery"], {"capacity_kwh": 5.0}, "soc_kwh"),
        (AGENTS["battery"], {"max_charge_kw": 1.0}, "charge_kw"),
        (AGENTS["battery"], {"max_discharge_kw": 1.0}, "discharge_kw"),
        (AGENTS["battery"], {"final_soc_kwh": 10.0}, "final_soc_kwh"),
        (AGENTS["ev"], {"min_soc_kwh": np.full(N, 50.0)}, "soc_kwh"),
        (AGENTS["ev"], {"max_soc_kwh": np.full(N, 46.0)}, "soc_kwh"),
        (AGENTS["ev"], {"plugged_in": np.zeros(N, dtype=bool)}, "charge_kw"),
        (AGENTS["ev"], {"trip_kwh": np.where(STEPS == 1, 50.0, 0.0)}, "charge before the trip"),
        (AGENTS["heat_pump"], {"cop": np.full(N, 2.0)}, "heat_kw"),
        (AGENTS["heat_pump"], {"house": House(capacity_kwh_per_k=0.1)}, "heat_kwh"),
        (AGENTS["heat_pump"], {"warmer_k": 0.1}, "heat_kwh"),
        (AGENTS["heat_pump"], {"least_final_kwh": 2.0}, "final_heat_kwh"),
        (AGENTS["grid_with_limits"], {"max_import_kw": 3.0}, "import_kw"),
    ],
)
def test_an_audit_catches_a_plan_made_for_wider_limits(
    agent: Agent, change: dict[str, Any], rule: str
) -> None:
    name = next(key for key, value in AGENTS.items() if value is agent)
    plan = schedule(name).plans[agent.name]
    narrower = replace(agent, **change)
    assert rule in "; ".join(narrower.audit(plan, HORIZON))


# --- bad specifications --------------------------------------------------------------------


EV = {
    "trip_kwh": np.zeros(3),
    "plugged_in": np.ones(3, dtype=bool),
    "min_soc_kwh": np.zeros(3),
    "max_soc_kwh": np.full(3, 60.0),
}
HEAT = {
    "name": "heat_pump",
    "metered_kw": np.ones(3),
    "cop": np.full(3, 3.0),
    "max_power_kw": 3.0,
    "house": House(capacity_kwh_per_k=3.0),
}
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (BatteryAgent, {"capacity_kwh": -1.0}, r"battery: capacity_kwh is -1.0, allowed is 0 <="),
        (BatteryAgent, {"capacity_kwh": NAN}, "battery: capacity_kwh is nan"),
        (BatteryAgent, {"max_charge_kw": -5.0}, r"max_charge_kw is -5.0"),
        (BatteryAgent, {"max_discharge_kw": NAN}, "max_discharge_kw is nan"),
        (BatteryAgent, {"round_trip_efficiency": 0.0}, r"round_trip_efficiency is 0.0.* 0 < "),
        (BatteryAgent, {"round_trip_efficiency": 1.01}, r"round_trip_efficiency is 1.01.*<= 1"),
        (BatteryAgent, {"initial_soc_kwh": 15.1}, r"initial_soc_kwh is 15.1.*<= 15"),
        (BatteryAgent, {"initial_soc_kwh": 1.0, "min_soc_kwh": 2.0}, r"initial_soc_kwh is 1.0"),
        (BatteryAgent, {"min_soc_kwh": 16.0}, r"min_soc_kwh is 16.0"),
        (BatteryAgent, {"final_soc_kwh": 15.5}, r"final_soc_kwh is 15.5"),
        (BatteryAgent, {"wear_eur_per_kwh": -0.01}, r"wear_eur_per_kwh is -0.01"),
        (BatteryAgent, {"terminal_value_eur_per_kwh": INF}, "terminal_value_eur_per_kwh is inf"),
        (EVAgent, {**EV, "capacity_kwh": 0.0}, r"ev: capacity_kwh is 0.0, allowed is 0 <"),
        (EVAgent, {**EV, "efficiency": 0.0}, r"ev: efficiency is 0.0"),
        (EVAgent, {**EV, "initial_soc_kwh": 61.0}, r"ev: initial_soc_kwh is 61.0"),
        (EVAgent, {**EV, "final_soc_kwh": -1.0}, r"ev: final_soc_kwh is -1.0"),
        (EVAgent, {**EV, "max_discharge_kw": NAN}, "ev: max_discharge_kw is nan"),
        (EVAgent, {**EV, "trip_kwh": [0, -1, 0]}, r"ev: trip_kwh\[1\] is -1.0"),
        (EVAgent, {**EV, "min_soc_kwh": [0, 0, 61]}, r"ev: min_soc_kwh\[2\] is 61.0.* to 60"),
        (EVAgent, {**EV, "max_soc_kwh": [NAN, 1, 1]}, r"ev: max_soc_kwh\[0\] is nan"),
        (EVAgent, {**EV, "max_charge_kw": INF}, r"ev: max_charge_kw\[0\] is inf"),
        (EVAgent, {**EV, "metered_kw": [0, NAN, 0]}, r"ev: metered_kw\[1\] is nan"),
        (EVAgent, {**EV, "plugged_in": [True] * 4}, r"ev: plugged_in has shape \(4,\)"),
        (EVAgent, {**EV, "min_soc_kwh": np.zeros(2)}, r"ev: min_soc_kwh has shape \(2,\)"),
        (EVAgent, {**EV, "max_charge_kw": np.ones(4)}, r"ev: max_charge_kw has shape \(4,\)"),
        (EVAgent, {**EV, "metered_kw": np.ones(4)}, r"ev: metered_kw has shape \(4,\)"),
        (PVAgent, {"name": "pv", "available_kw": [0, -0.1]}, r"pv: available_kw\[1\] is -0.1"),
        (BaseLoadAgent, {"name": "load", "load_kw": [1, INF]}, r"load: load_kw\[1\] is inf"),
        (GridAgent, {"max_import_kw": -1.0}, r"grid: max_import_kw is -1.0"),
        (GridAgent, {"max_export_kw": NAN}, "grid: max_export_kw is nan"),
        (GridAgent, {"demand_charge_eur_per_kw": -1.0}, r"demand_charge_eur_per_kw is -1.0"),
        (GridAgent, {"peak_so_far_kw": INF}, "grid: peak_so_far_kw is inf"),
        (HeatPumpAgent, {**HEAT, "metered_kw": [1, 4, 1]}, r"metered_kw\[1\] is 4.0.*to 3"),
        (HeatPumpAgent, {**HEAT, "warmer_k": NAN}, "warmer_k is nan"),
        (HeatPumpAgent, {**HEAT, "start_eur": -0.1}, "start_eur is -0.1"),
        (HeatPumpAgent, {**HEAT, "min_run_steps": 0}, "min_run_steps is 0"),
        (HeatPumpAgent, {**HEAT, "must_run_steps": -1}, "must_run_steps is -1"),
        (HeatPumpAgent, {**HEAT, "max_power_kw": NAN}, "max_power_kw is nan"),
        (HeatPumpAgent, {**HEAT, "cop": [3, NAN, 3]}, r"cop\[1\] is nan"),
        (HeatPumpAgent, {**HEAT, "beside_kwh": (NAN,)}, "beside_kwh is .nan,."),
        (HeatPumpAgent, {**HEAT, "beside_kwh": (0.0, 0.0)}, "for each of the nodes heat"),
        (HeatPumpAgent, {**HEAT, "least_final_kwh": 4.0}, "least_final_kwh is 4.0"),
        (HeatPumpAgent, {**HEAT, "metered_kw": [1, -1, 1]}, r"metered_kw\[1\] is -1.0"),
        (HeatPumpAgent, {**HEAT, "cop": np.ones(2)}, r"cop has shape \(2,\)"),
        (DiscretePhaseDevice, {"name": "m", "cycles": CYCLES[:1] * 2}, "m: two cycles have"),
        (
            DiscretePhaseDevice,
            {"name": "m", "cycles": CYCLES, "discomfort_eur": np.zeros((1, 6))},
            r"m: discomfort_eur has shape \(1, 6\) for 2 cycles",
        ),
        (
            DiscretePhaseDevice,
            {"name": "m", "cycles": (), "committed_kw": [-1.0]},
            r"m: committed_kw\[0\] is -1.0",
        ),
    ],
)
def test_bad_specs_name_agent_field_value_and_range(
    kind: type[Agent], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        kind(**values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 0}, "cycle 0: number must be at least 1"),
        ({"profile_kw": ()}, "profile_kw must hold finite powers"),
        ({"profile_kw": (1.0, NAN)}, "profile_kw must hold finite powers"),
        ({"profile_kw": (-1.0,)}, "profile_kw must hold finite powers"),
        ({"profile_kw": (1.0, 0.0)}, "profile_kw ends with 0 kW"),
        ({"earliest": 4, "latest": 3}, "latest is 3, allowed is >= 4"),
    ],
)
def test_bad_cycles(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        replace(CYCLES[0], **change)


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (replace(LOAD, load_kw=np.ones(5)), r"load_kw has shape \(5,\), the horizon has 6 steps"),
        (replace(SUN, available_kw=np.ones(7)), r"available_kw has shape \(7,\)"),
        (CAR.after(CAR.unplanned(HORIZON), 1), r"trip_kwh has shape \(5,\)"),
        (
            replace(MACHINE, discomfort_eur=np.zeros((2, 5))),
            "discomfort_eur has 5 columns, the horizon has 6 steps",
        ),
        (
            replace(MACHINE, cycles=(replace(CYCLES[0], earliest=5, latest=9), CYCLES[1])),
            "no start is left; widen its window",
        ),
    ],
)
def test_agents_that_do_not_fit_the_horizon(agent: Agent, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        GlobalOptimizer([agent], GridAgent()).optimize_centralized(HORIZON)


@pytest.mark.parametrize("at", [-1, N])
def test_people_start_inside_the_horizon(at: int) -> None:
    device = replace(MACHINE, cycles=(replace(CYCLES[0], metered_start=at), CYCLES[1]))
    with pytest.raises(InvalidSpec, match=f"metered_start of cycle 1 is {at}, allowed is 0 to 5"):
        device.unplanned(HORIZON)


def test_a_building_without_limits_cannot_sell_above_its_import_price() -> None:
    """A source without a limit would sell without end."""
    endless = Endless(name="endless", load_kw=np.zeros(N))
    with pytest.raises(InvalidSpec, match="every other agent needs finite power limits"):
        GlobalOptimizer([endless], GridAgent()).optimize_centralized(HORIZON)


class Endless(BaseLoadAgent):
    """Gives whatever is asked of it."""

    def contribute(self, block: Block) -> Contribution:
        return Contribution(net_load_kw=-1.0 * block.variables("gift_kw"), series={})


# --- told what to do on a belief ---------------------------------------------------------------

carried_out = pytest.mark.parametrize(
    "name", sorted(set(AGENTS) - {"switched_heat_pump", "grid", "grid_with_limits"})
)


@carried_out
def test_what_is_believed_rightly_is_carried_out_to_the_letter(name: str) -> None:
    agent, done = AGENTS[name], schedule(name)
    plan = done.plans[agent.name]
    assert_allclose(agent.execute(HORIZON, plan, agent).net_load_kw, plan.net_load_kw, atol=1e-6)


@carried_out
def test_in_the_same_state_it_is_believed_to_be_the_same(name: str) -> None:
    agent = AGENTS[name]
    believed = agent.with_state_of(agent, HORIZON)
    own = [LOAD, believed] if agent is not LOAD else [believed]
    again = GlobalOptimizer(own, GridAgent(), EXACT).optimize_centralized(HORIZON)
    assert again.objective_eur == pytest.approx(schedule(name).objective_eur, abs=1e-6)


@carried_out
@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0])
def test_whatever_it_is_told_it_keeps_its_physical_rules(name: str, factor: float) -> None:
    agent, told = AGENTS[name], schedule(name).plans[AGENTS[name].name]
    series = {
        key: values if key == "started" else values * factor for key, values in told.series.items()
    }
    wrong = Plan(agent=told.agent, net_load_kw=told.net_load_kw * factor, series=series)
    done = agent.execute(HORIZON, wrong, agent)
    assert list(agent.without_targets().audit(done, HORIZON)) == []


@carried_out
def test_nobody_tells_it_anything(name: str) -> None:
    agent = AGENTS[name]
    done = agent.execute(HORIZON, None, None)
    assert list(agent.without_targets().audit(done, HORIZON)) == []


def test_what_has_a_least_run_is_not_carried_out_on_a_forecast() -> None:
    heat_pump = AGENTS["switched_heat_pump"]
    with pytest.raises(InvalidSpec, match="min_run_steps 2 cannot be"):
        heat_pump.execute(HORIZON, None, None)


def test_a_car_misses_what_it_is_short_of_at_its_deadline() -> None:
    idle = CAR.execute(HORIZON, replace_charge(schedule("ev").plans["ev"]), CAR)
    assert CAR.missed_kwh(idle) == pytest.approx(55.0 - 36.0, abs=1e-4)
    assert CAR.missed_kwh(schedule("ev").plans["ev"]) == 0.0


def replace_charge(plan: Plan) -> Plan:
    """The same plan with nothing charged."""
    nothing = np.zeros(N)
    return Plan(
        agent=plan.agent,
        net_load_kw=nothing,
        series={**plan.series, "charge_kw": nothing, "discharge_kw": nothing},
    )


def test_a_believed_car_promises_no_more_than_it_can_reach() -> None:
    empty = replace(CAR, initial_soc_kwh=10.0)
    believed = CAR.with_state_of(empty, HORIZON)
    reachable_kwh = 10.0 - 9.0 + 4 * 0.92 * 11.0
    assert believed.min_soc_kwh[4] == pytest.approx(reachable_kwh)


def test_a_machine_that_has_begun_does_not_begin_again() -> None:
    plan = schedule("machine").plans["machine"]
    first = int(np.flatnonzero(np.rint(plan.series["started"]) == 1)[0])
    later = MACHINE.after(plan, first + 1)
    assert later.begun == 1
    rest = HORIZON.window(first + 1, N)
    fresh = replace(
        MACHINE,
        cycles=tuple(cycle.later(first + 1) for cycle in CYCLES[1:]),
        committed_kw=np.zeros(0),
        discomfort_eur=None,
    )
    believed = fresh.with_state_of(later, rest)
    assert [cycle.number for cycle in believed.cycles] == [2]
    assert_array_equal(believed.committed_kw, later.committed_kw)


@pytest.mark.parametrize(("n_steps", "fit"), [(6, [1, 2]), (5, [1]), (3, [1]), (2, [])])
def test_a_machine_expects_only_the_runs_that_still_fit(n_steps: int, fit: list[int]) -> None:
    cycles = tuple(
        Cycle(number=i, profile_kw=(1.0, 1.0, 1.0), metered_start=0, earliest=0, latest=9)
        for i in (1, 2)
    )
    machine = DiscretePhaseDevice(name="machine", cycles=cycles)
    rest = HORIZON.window(0, n_steps)
    believed = machine.with_state_of(machine, rest)
    assert [cycle.number for cycle in believed.cycles] == fit
    GlobalOptimizer([believed], GridAgent(), EXACT).optimize_centralized(rest)
