"""Optima worked out by hand: each agent alone behind the grid, on a few steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

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
from ems.core.horizon import Horizon
from ems.core.participant import Plan
from ems.core.solver import Solver

EXACT = Solver(mip_gap=0.0, mip_gap_eur=1e-7)
CENT = 2e-5  # € by which the slack of 1e-6 kWh and the solver's tolerance may move an optimum

pytestmark = pytest.mark.smoke


def horizon(
    import_eur: list[float], export_eur: float | list[float] = 0.0, step_h: float = 1.0
) -> Horizon:
    return Horizon(
        start_utc=np.datetime64("2016-05-31T22:00"),
        step_h=step_h,
        import_eur_per_kwh=np.array(import_eur),
        export_eur_per_kwh=np.broadcast_to(export_eur, len(import_eur)),
    )


def plan(prices: Horizon, *agents: Agent, grid: GridAgent | None = None) -> DispatchPlan:
    return GlobalOptimizer(agents, grid or GridAgent(), EXACT).optimize_centralized(prices)


def load(*load_kw: float) -> BaseLoadAgent:
    return BaseLoadAgent(name="base_load", load_kw=np.array(load_kw))


def battery(**fields: Any) -> BatteryAgent:
    values: dict[str, Any] = {
        "capacity_kwh": 10.0,
        "round_trip_efficiency": 0.81,
        "initial_soc_kwh": 0.0,
        "wear_eur_per_kwh": 0.01,
    }
    return BatteryAgent(**values | fields)


def car(n: int, **fields: Any) -> EVAgent:
    values: dict[str, Any] = {
        "trip_kwh": np.zeros(n),
        "plugged_in": np.ones(n, dtype=bool),
        "min_soc_kwh": np.zeros(n),
        "max_soc_kwh": np.full(n, 60.0),
    }
    return EVAgent(**values | fields)


def machine(*cycles: Cycle, **fields: Any) -> DiscretePhaseDevice:
    return DiscretePhaseDevice(name="machine", cycles=cycles, **fields)


def cycle(number: int, *profile_kw: float, at: int = 0, late: int = 99) -> Cycle:
    return Cycle(number=number, profile_kw=profile_kw, metered_start=at, earliest=0, latest=late)


def heat_pump(*metered_kw: float, ahead_kwh: float = 1.0, **fields: Any) -> HeatPumpAgent:
    """In a house that loses nothing; up to 3 kW it makes 1.1 kWh of heat of a kWh."""
    return HeatPumpAgent(
        name="heat_pump",
        metered_kw=np.array(metered_kw),
        cop=np.ones(len(metered_kw)),
        max_power_kw=10.0,
        house=House(capacity_kwh_per_k=1.1 * ahead_kwh, time_constant_h=1e6),
        **fields,
    )


def sun(*kw: float, curtailable: bool = False) -> PVAgent:
    return PVAgent(name="pv", available_kw=np.array(kw), curtailable=curtailable)


LOAD_OF_FOUR = load(1, 1, 1, 1)
TWO_PEAKS = horizon([0.10, 0.30, 0.10, 0.30], 0.08)
FIVE_HOURS = horizon([0.30, 0.10, 0.20, 0.15, 0.40])
FOUR_HOURS = horizon([0.30, 0.10, 0.20, 0.40])
HEAT_HOURS = horizon([0.40, 0.10, 0.30, 0.20])
TO_AND_FRO = horizon([0.10, 0.50], [0.0, 0.45])
BY_THE_END = {"min_soc_kwh": np.array([0, 0, 0, 0, 60.0]), "initial_soc_kwh": 40.0}
WITHOUT_STEP_1 = np.array([1, 0, 1, 1, 1], dtype=bool)
HABIT = np.array([[0.0, 0.50, 0.50, 0.0]])
PEAK = {"demand_charge_eur_per_kw": 1.0}
PEAK_CAR = car(2, efficiency=1.0, initial_soc_kwh=56.0, min_soc_kwh=np.array([0.0, 60.0]))

BY_HAND: dict[str, tuple[Horizon, list[Agent], float]] = {
    # 0.20 for the load at 0.10; twice 1/0.81 = 1.234568 kWh at 0.10 and wear of 2.234568 kWh
    "battery buys low and avoids high": (TWO_PEAKS, [LOAD_OF_FOUR, battery()], 0.4916049),
    # 0.1234568 + 2.234568 · 0.08 = 0.3022 > 0.30
    "wear eats the spread": (TWO_PEAKS, [LOAD_OF_FOUR, battery(wear_eur_per_kwh=0.08)], 0.80),
    # 2 kW for half an hour store 0.9 kWh and give 0.81: 1 · 0.10 + 0.69 · 0.40 + 1.81 · 0.01
    "battery at 2 kW in half hours": (
        horizon([0.10, 0.40], step_h=0.5),
        [load(0, 3), battery(max_charge_kw=2.0)],
        0.3941,
    ),
    # charging and discharging at once would earn 0.10 €/kWh
    "a full battery burns nothing": (
        horizon([-0.10], -0.20),
        [battery(initial_soc_kwh=10.0, wear_eur_per_kwh=0.0)],
        0.0,
    ),
    # 5 kW · 0.9 = 4.5 kWh worth 0.90, for 0.50 of energy and 0.05 of wear
    "battery takes its terminal value": (
        horizon([0.10]),
        [battery(terminal_value_eur_per_kwh=0.20)],
        -0.35,
    ),
    # of 7.2 kWh above the final 2 only 5 kW: 5 · 0.25 less 0.05 of wear
    "battery sells what it need not keep": (
        horizon([0.30], 0.25),
        [battery(initial_soc_kwh=10.0, final_soc_kwh=2.0)],
        -1.20,
    ),
    # 20 kWh / 0.8 = 25 kWh: 11 at 0.10, 11 at 0.15, 3 at 0.20
    "car takes the cheapest hours": (FIVE_HOURS, [car(5, **BY_THE_END, efficiency=0.8)], 3.35),
    # 11 at 0.15, 11 at 0.20, 3 at 0.30
    "car charges where it is plugged in": (
        FIVE_HOURS,
        [car(5, **BY_THE_END, efficiency=0.8, plugged_in=WITHOUT_STEP_1)],
        4.75,
    ),
    # 9.2 kWh cost 10 kWh at the wall, in the cheapest hour after the trip; full before it
    "car recovers its trip": (
        FIVE_HOURS,
        [car(5, trip_kwh=np.array([0, 0, 9.2, 0, 0]), min_soc_kwh=BY_THE_END["min_soc_kwh"])],
        1.50,
    ),
    # 10 kW · 0.9 in, 9 · 0.9 out: 10 · 0.10 − 8.1 · 0.45
    "car sells and buys back": (
        TO_AND_FRO,
        [car(2, max_charge_kw=10.0, max_discharge_kw=10.0, efficiency=0.9, initial_soc_kwh=30.0)],
        -2.645,
    ),
    "car without leave to sell": (TO_AND_FRO, [car(2, initial_soc_kwh=30.0)], 0.0),
    # 2 then 1 kW: 0.60 + 0.10, 0.20 + 0.20 or 0.40 + 0.40
    "machine takes the cheapest start": (FOUR_HOURS, [machine(cycle(1, 2.0, 1.0))], 0.40),
    # 0.50 of discomfort at step 1 make the 0.70 of step 0 the best
    "machine minds the habit": (
        FOUR_HOURS,
        [machine(cycle(1, 2.0, 1.0), discomfort_eur=HABIT)],
        0.70,
    ),
    # both want step 1: 0.30 + 2 · 0.10 against 0.10 + 2 · 0.15
    "one cycle after the other": (
        horizon([0.30, 0.10, 0.15, 0.40]),
        [machine(cycle(1, 1.0), cycle(2, 2.0))],
        0.40,
    ),
    # 1.5 kW in steps 0 and 1 keep the next out of the cheap step 1
    "machine ends what has begun first": (
        horizon([0.30, 0.10, 0.20, 0.05]),
        [machine(cycle(1, 1.0, late=2), committed_kw=np.array([1.5, 1.5]))],
        0.80,
    ),
    # never later than metered: 1 kWh at 0.40, 2 at 0.10, none at 0.30, 1 at 0.20
    "heat pump heats ahead within its band": (HEAT_HOURS, [heat_pump(1, 1, 1, 1)], 0.80),
    "heat pump in a house that may not be warmer": (
        HEAT_HOURS,
        [heat_pump(1, 1, 1, 1, warmer_k=0.0)],
        1.0,
    ),
    # half a kWh ahead: 1 at 0.40, 1.5 at 0.10, 0.5 at 0.30, 1 at 0.20
    "heat pump with half the band": (HEAT_HOURS, [heat_pump(1, 1, 1, 1, warmer_k=0.5)], 0.90),
    # 3 kWh make 1.1 kWh of heat each and the next 3.5 only 0.3075 / 0.35: at 0.10 the 2.2 kWh for
    # the last step cost (0.9 + 0.1 · 1.1 / 0.868…) · 0.10 with what the first step needs
    "heat pump makes less of more power": (
        horizon([0.10, 0.50]),
        [heat_pump(3, 3, ahead_kwh=1.0)],
        0.30 + 0.10 * 1.1 / ((0.65 * 0.975 - 0.3 * 1.1) / 0.35) + 0.50 * 2.0,
    ),
    "heat pump free to pulse": (
        horizon([0.10, 0.30, 0.12, 0.40]),
        [heat_pump(0, 0, 0, 2, ahead_kwh=2.0)],
        0.20,
    ),
    # a second start would cost 6 ct to save 5: both kWh at 0.10
    "heat pump whose starts wear": (
        horizon([0.10, 0.30, 0.05, 0.40]),
        [heat_pump(1, 0, 0, 1, start_eur=0.06)],
        0.26,
    ),
    # two steps of at least 1 kW: both kWh at 0.10 and 0.30, or at 0.30 and 0.12
    "heat pump runs for its least time": (
        horizon([0.10, 0.30, 0.12, 0.40]),
        [heat_pump(0, 0, 0, 2, ahead_kwh=2.0, min_run_steps=2)],
        0.40,
    ),
    # on, and owing one more step: 1 kWh at 0.40, then 1 at 0.10
    "heat pump keeps running what it owes": (
        horizon([0.40, 0.10, 0.30]),
        [heat_pump(0, 0, 2, ahead_kwh=2.0, min_run_steps=3, must_run_steps=1, on=True)],
        0.50,
    ),
    # 3 kWh of sun thrown away at −0.05, or paid for
    "sun is curtailed": (horizon([0.30], -0.05), [load(1), sun(4.0, curtailable=True)], 0.0),
    "sun that may not be": (horizon([0.30], -0.05), [load(1), sun(4.0)], 0.15),
    # (4 − 1) kW · 0.25 h · 0.08
    "sun sold in quarter hours": (horizon([0.30], 0.08, 0.25), [load(1), sun(4.0)], -0.06),
    # 4 kW in both hours: 4 · 1.00 + 8 · 0.20
    "demand charge flattens": (
        horizon([0.20, 0.20]),
        [load(1, 3), PEAK_CAR, GridAgent(**PEAK)],
        5.60,
    ),
    "a peak that is paid": (
        horizon([0.20, 0.20]),
        [load(1, 3), PEAK_CAR, GridAgent(**PEAK, peak_so_far_kw=8.0)],
        1.60,
    ),
    # export at 0.50 above import at 0.10: only 2 kW of real surplus are sold
    "grid does not trade with itself": (
        horizon([0.10, 0.10], 0.50),
        [load(1, 1), sun(3.0, 0.0)],
        -0.90,
    ),
    # 5 kW less 1 kW of load: the car takes 4, 4 and 2 kWh in the cheapest order
    "an import limit": (
        horizon([0.30, 0.10, 0.20]),
        [
            load(1, 1, 1),
            car(3, efficiency=1.0, initial_soc_kwh=50.0, min_soc_kwh=np.array([0, 0, 60.0])),
            GridAgent(max_import_kw=5.0),
        ],
        0.60 + 2 * 0.30 + 4 * 0.10 + 4 * 0.20,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_optimum_by_hand(name: str) -> None:
    prices, agents, cost_eur = BY_HAND[name]
    grids = [agent for agent in agents if isinstance(agent, GridAgent)]
    others = [agent for agent in agents if agent not in grids]
    done = plan(prices, *others, grid=grids[0] if grids else None)
    assert done.objective_eur == pytest.approx(cost_eur, abs=CENT)


def test_wear_stands_apart_and_what_is_planned_is_named() -> None:
    done = plan(TWO_PEAKS, LOAD_OF_FOUR, battery())
    assert done.costs_eur()["wear"] == pytest.approx(0.0446914, abs=CENT)
    assert done.soc_kwh["battery"] == pytest.approx(0.0, abs=1e-5)
    runs = plan(horizon([0.30, 0.10, 0.15, 0.40]), machine(cycle(1, 1.0), cycle(2, 2.0)))
    assert_allclose(runs.plans["machine"].series["started"], [0, 1, 2, 0])
    unused = plan(horizon([0.30], -0.05), load(1), sun(4.0, curtailable=True))
    assert_allclose(unused.plans["pv"].series["curtailed_kw"], [3.0], atol=1e-5)


def test_battery_follows_the_self_consumption_rule() -> None:
    """Stores 3 kW · 0.9, then 5 kW · 0.9 of a 6 kW surplus, covers 2 kW, then gives all it has."""
    hours = horizon([0.3, 0.3, 0.3, 0.3])
    net_load_kw = np.array([-3.0, -6.0, 2.0, 20.0])
    rule = battery().follow_rule(hours, net_load_kw, self_consumption(hours))
    assert_allclose(rule.series["soc_kwh"], [2.7, 7.2, 7.2 - 2 / 0.9, 0.0], atol=1e-9)
    empty = battery(max_discharge_kw=50.0)
    hour = horizon([0.3])
    empties = empty.follow_rule(hour, np.array([20.0]), self_consumption(hour))
    assert_allclose(empties.net_load_kw, 0.0)


def test_car_charges_on_arrival_when_nobody_plans() -> None:
    """40 kWh, a trip of 10 before step 1, 11 kW · 0.92 = 10.12 kWh an hour until 60."""
    ev = car(5, trip_kwh=np.array([0, 10.0, 0, 0, 0]), initial_soc_kwh=40.0)
    soc_kwh = ev.unplanned(FIVE_HOURS).series["soc_kwh"]
    assert_allclose(soc_kwh, [50.12, 50.24, 60, 60, 60], atol=1e-9)


@given(st.data())
def test_a_car_alone_is_a_sort(data: st.DataObject) -> None:
    prices = data.draw(st.lists(st.integers(-20, 50), min_size=1, max_size=12))
    n = len(prices)
    plugged = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    hours = data.draw(st.floats(0, 1)) * plugged.sum()
    need_kwh = min(0.92 * 11 * hours, 50.0)
    eur = np.array(prices) / 100
    ev = car(
        n,
        initial_soc_kwh=10.0,
        min_soc_kwh=np.append(np.zeros(n - 1), 10.0 + need_kwh),
        max_soc_kwh=np.full(n, 10.0 + need_kwh),
        plugged_in=plugged,
    )
    wall_kwh, cost_eur = need_kwh / 0.92, 0.0
    for price in np.sort(eur[plugged]):
        taken_kwh = min(11.0, wall_kwh)
        cost_eur, wall_kwh = cost_eur + price * taken_kwh, wall_kwh - taken_kwh
    done = plan(horizon(eur.tolist(), (eur - 0.01).tolist()), ev)
    assert done.objective_eur == pytest.approx(cost_eur, abs=CENT)


# --- the three-phase strategy ------------------------------------------------------------


def strategy_day(initial_soc_kwh: float) -> tuple[Horizon, EVAgent]:
    """A whole day, full by 7: cheap (≤ the quarter's 0.22) before 6 are the hours 0, 1 and 4."""
    prices = horizon([0.10, 0.20, 0.30, 0.25, 0.15, 0.40, 0.50] + [0.22] * 17)
    due = np.zeros(24)
    due[6] = 60.0
    ev = car(24, min_soc_kwh=due, initial_soc_kwh=initial_soc_kwh, efficiency=1.0)
    return prices, three_phase(ev, prices, np.full(24, 3.0))


def test_strategy_mask_half_and_95_percent() -> None:
    """20 kWh: at most half, 10 kWh, before 6, in the cheapest hour at 0.10; 9 more by 7 at 0.50."""
    prices, ev = strategy_day(40.0)
    assert_allclose(ev.max_charge_kw[:7], [11, 11, 0, 0, 11, 0, 11])
    assert_allclose(ev.max_soc_kwh[:7], [50] * 6 + [60])
    assert ev.min_soc_kwh[6] == pytest.approx(59.0)
    done = plan(prices, ev)
    assert done.objective_eur == pytest.approx(5.50, abs=CENT)
    assert done.plans["ev"].series["soc_kwh"][6] == pytest.approx(59.0, abs=1e-5)


def test_strategy_opens_the_cheapest_quarter() -> None:
    """24 different prices: the six lowest, 0.10 to 0.15, of which four come before 6."""
    low = [0.10, 0.30, 0.11, 0.12, 0.31, 0.13]
    prices = horizon([*low, 0.50, 0.14, 0.15, *(0.32 + 0.01 * np.arange(15)).tolist()])
    due = np.zeros(24)
    due[6] = 60.0
    ev = car(24, min_soc_kwh=due, initial_soc_kwh=50.0)
    strategy = three_phase(ev, prices, np.zeros(24))
    assert_allclose(strategy.max_charge_kw[:7], [11, 0, 11, 11, 0, 11, 11])
    assert_allclose(strategy.max_charge_kw[7:], 0.0)  # 0.14 is above the cheapest tenth


def test_strategy_after_the_deadline() -> None:
    """0.22 is above the cheapest tenth (0.206): only the PV surplus may be charged."""
    _, ev = strategy_day(40.0)
    assert_allclose(ev.max_charge_kw[7:], 3.0)


def test_strategy_with_a_slow_charger() -> None:
    """40 kWh: 0.95 · 40 − 11 = 27 kWh must be taken before 6, in the hours 0, 4 and 1.

    1.10 + 1.65 + 5 · 0.20 + 11 · 0.50.
    """
    prices, ev = strategy_day(20.0)
    assert_allclose(ev.max_soc_kwh[:6], 47.0)
    assert plan(prices, ev).objective_eur == pytest.approx(9.25, abs=CENT)


def test_strategy_opens_as_many_hours_as_a_slow_charger_needs() -> None:
    """60 kWh: 46 kWh before 6 need five hours; the dearest, at 0.40, stays closed."""
    prices, ev = strategy_day(0.0)
    assert_allclose(ev.max_charge_kw[:7], [11, 11, 11, 11, 11, 0, 11])
    plan(prices, ev)


def test_strategy_counts_on_95_percent_at_the_next_deadline() -> None:
    """Two nights of 20 kWh each: 59 of 60 after the first, then 59 − 20 + 0.95 · 21 = 58.95."""
    prices = horizon([0.3] * 48)
    due, trip = np.zeros(48), np.zeros(48)
    due[[6, 30]], trip[18] = 60.0, 20.0
    ev = car(48, min_soc_kwh=due, trip_kwh=trip, initial_soc_kwh=40.0, efficiency=1.0)
    strategy = three_phase(ev, prices, np.zeros(48))
    assert_allclose(strategy.min_soc_kwh[[6, 30]], [59.0, 58.95])
    plan(prices, strategy)


# --- what is handed over ---------------------------------------------------------------------


def test_a_run_handed_over_goes_on() -> None:
    first = machine(cycle(1, 2.0, 1.0, 0.5), cycle(2, 1.0))
    prices = horizon([0.10, 0.10, 0.10, 0.05, 0.40])
    later = first.after(plan(prices, first).plans["machine"], 1)
    assert_allclose(later.committed_kw, [1.0, 0.5])
    assert [c.number for c in later.cycles] == [2]
    assert plan(prices.window(1, 5), later).objective_eur == pytest.approx(0.20, abs=CENT)


def test_windows_move_with_the_hand_over() -> None:
    late = machine(Cycle(number=1, profile_kw=(1.0,), metered_start=5, earliest=4, latest=6))
    prices = horizon([0.10] * 3 + [0.30, 0.20, 0.25, 0.30, 0.10])
    (waiting,) = late.after(plan(prices, late).plans["machine"], 3).cycles
    assert (waiting.metered_start, waiting.earliest, waiting.latest) == (2, 1, 3)
    (waiting,) = late.after(plan(prices, late).plans["machine"], 4).cycles
    assert (waiting.metered_start, waiting.earliest, waiting.latest) == (1, 0, 2)


@given(st.data())
def test_a_machine_alone_is_an_argmin(data: st.DataObject) -> None:
    prices = data.draw(st.lists(st.integers(-20, 50), min_size=3, max_size=12))
    profile = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=3))
    eur, profile_kw = np.array(prices) / 100, np.array(profile) / 10
    costs = np.convolve(eur, profile_kw[::-1], mode="valid")
    done = plan(horizon(eur.tolist(), (eur - 0.01).tolist()), machine(cycle(1, *profile_kw)))
    assert done.objective_eur == pytest.approx(costs.min(), abs=CENT)


@pytest.mark.parametrize(("held_kwh", "kept_kwh"), [(0.5, 0.5), (1.1 + 2e-6, 1.1), (-2e-6, 0.0)])
def test_heat_pump_hands_over_the_heat_of_its_house(held_kwh: float, kept_kwh: float) -> None:
    """A solver's tolerance is taken back."""
    device = heat_pump(1, 1, 1)
    series = {
        "power_kw": np.ones(3),
        "heat_kw": np.ones(3),
        "heat_kwh": np.array([0.5, held_kwh, 0]),
    }
    done = Plan(agent="heat_pump", net_load_kw=np.ones(3), series=series)
    assert device.after(done, 2).beside_kwh == (pytest.approx(kept_kwh, abs=1e-12),)


@pytest.mark.parametrize(
    ("on_before", "owed_before", "states", "on", "owed"),
    [
        (False, 0, [0, 1], True, 2),  # just started: two of three steps to go
        (False, 0, [1, 1], True, 1),
        (True, 1, [1, 1], True, 0),  # owed one, ran two
        (True, 2, [1, 1], True, 0),
        (True, 0, [1, 0], False, 0),
        (True, 0, [0, 1], True, 2),
    ],
)
def test_heat_pump_hands_over_what_it_owes(
    on_before: bool, owed_before: int, states: list[int], on: bool, owed: int
) -> None:
    device = heat_pump(*(0, 0, 0, 0), min_run_steps=3, on=on_before, must_run_steps=owed_before)
    power_kw = np.array([*states, 0, 0], dtype=float)
    series = {"power_kw": power_kw, "heat_kwh": np.zeros(4), "on": power_kw}
    later = device.after(Plan(agent="heat_pump", net_load_kw=power_kw, series=series), 2)
    assert (later.on, later.must_run_steps) == (on, owed)


def test_sun_that_is_worth_nothing_is_not_burnt_in_the_worse_part_of_the_curve() -> None:
    """Behind an export limit a kWh may be worth nothing: heat must still be what power makes."""
    n = 6
    horizon = Horizon(
        start_utc=np.datetime64("2016-06-01T08:00"),
        step_h=1.0,
        import_eur_per_kwh=np.full(n, 0.3),
        export_eur_per_kwh=np.full(n, 0.05),
    )
    pump = HeatPumpAgent(
        name="heat_pump",
        metered_kw=np.array([0.5, 0.0, 0.0, 0.4, 0.0, 0.3]),
        cop=np.full(n, 3.0),
        max_power_kw=3.0,
        house=House(capacity_kwh_per_k=3.0, time_constant_h=20.0),
    )
    agents = [
        BaseLoadAgent(load_kw=np.full(n, 0.2)),
        PVAgent(available_kw=np.full(n, 4.0), curtailable=True),
        pump,
    ]
    plan = GlobalOptimizer(agents, GridAgent(max_export_kw=0.5)).optimize_centralized(horizon)
    assert list(pump.audit(plan.plans["heat_pump"], horizon)) == []
    assert plan.plans["grid"].net_load_kw == pytest.approx(np.full(n, 0.5))
