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
    PartialUsageDevice,
    PVAgent,
    three_phase,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
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


# --- battery -----------------------------------------------------------------------------


def test_battery_buys_low_and_avoids_high() -> None:
    """A kWh at 0.30 avoided needs 1/0.81 = 1.234568 kWh at 0.10 and wears 2.234568 kWh at 0.01.

    Twice: 0.10 + 0.10 for the load in the cheap hours + 2 · (0.1234568 + 0.0223457) = 0.4916049.
    """
    done = plan(horizon([0.10, 0.30, 0.10, 0.30], 0.08), load(1, 1, 1, 1), battery())
    assert done.objective_eur == pytest.approx(0.4916049, abs=CENT)
    soc_kwh = done.plans["battery"].series["soc_kwh"]
    assert soc_kwh.max() <= 2 / 0.9 + 1e-5
    assert soc_kwh[-1] == pytest.approx(0.0, abs=1e-5)
    assert done.costs_eur()["wear"] == pytest.approx(0.0446914, abs=CENT)


def test_battery_idles_when_wear_eats_the_spread() -> None:
    """0.1234568 + 2.234568 · 0.08 = 0.3022 > 0.30: idle, 0.10 + 0.30 + 0.10 + 0.30."""
    done = plan(
        horizon([0.10, 0.30, 0.10, 0.30], 0.08), load(1, 1, 1, 1), battery(wear_eur_per_kwh=0.08)
    )
    assert done.objective_eur == pytest.approx(0.80, abs=CENT)
    assert_allclose(done.plans["battery"].net_load_kw, 0.0, atol=1e-5)


def test_battery_power_limit_and_half_hours() -> None:
    """Half an hour at 2 kW stores 0.9 kWh and gives 0.81 kWh of the 1.5 kWh at 0.40.

    Bill: 1 kWh · 0.10 + 0.69 kWh · 0.40; wear 0.01 · (1 + 0.81).
    """
    done = plan(horizon([0.10, 0.40], step_h=0.5), load(0, 3), battery(max_charge_kw=2.0))
    assert done.objective_eur == pytest.approx(0.1 + 0.276 + 0.0181, abs=CENT)


def test_battery_does_not_burn_energy_at_negative_prices() -> None:
    """Full, and forbidden to charge and discharge at once, it earns nothing at −0.10 €/kWh."""
    full = battery(initial_soc_kwh=10.0, wear_eur_per_kwh=0.0)
    done = plan(horizon([-0.10], -0.20), full)
    assert done.objective_eur == pytest.approx(0.0, abs=CENT)


def test_battery_takes_its_terminal_value() -> None:
    """5 kW · 0.9 = 4.5 kWh stored, worth 0.90, for 0.50 of energy and 0.05 of wear."""
    done = plan(horizon([0.10]), battery(terminal_value_eur_per_kwh=0.20))
    assert done.objective_eur == pytest.approx(-0.35, abs=CENT)


def test_battery_sells_what_it_need_not_keep() -> None:
    """8 kWh above the final 2 kWh give 7.2 kWh, but only 5 kW: 5 · 0.25 less 0.05 of wear."""
    done = plan(horizon([0.30], 0.25), battery(initial_soc_kwh=10.0, final_soc_kwh=2.0))
    assert done.objective_eur == pytest.approx(-1.20, abs=CENT)


def test_battery_follows_the_self_consumption_rule() -> None:
    """Stores 3 kW · 0.9, then 5 kW · 0.9 of a 6 kW surplus, covers 2 kW, then gives all it has."""
    rule = battery().follow_rule(horizon([0.3, 0.3, 0.3, 0.3]), np.array([-3.0, -6.0, 2.0, 20.0]))
    assert_allclose(rule.series["soc_kwh"], [2.7, 7.2, 7.2 - 2 / 0.9, 0.0], atol=1e-9)
    empties = battery(max_discharge_kw=50.0).follow_rule(horizon([0.3]), np.array([20.0]))
    assert_allclose(empties.net_load_kw, 0.0)


# --- car ---------------------------------------------------------------------------------

PRICES = [0.30, 0.10, 0.20, 0.15, 0.40]
FULL_AT_END = np.array([0, 0, 0, 0, 60.0])


def test_car_takes_the_cheapest_hours() -> None:
    """20 kWh / 0.8 = 25 kWh: 11 at 0.10, 11 at 0.15, 3 at 0.20 = 1.10 + 1.65 + 0.60."""
    ev = car(5, min_soc_kwh=FULL_AT_END, initial_soc_kwh=40.0, efficiency=0.8)
    done = plan(horizon(PRICES), ev)
    assert done.objective_eur == pytest.approx(3.35, abs=CENT)
    assert_allclose(done.plans["ev"].net_load_kw, [0, 11, 3, 11, 0], atol=1e-5)


def test_car_charges_only_where_it_is_plugged_in() -> None:
    """Without the hour at 0.10: 11 at 0.15, 11 at 0.20, 3 at 0.30 = 1.65 + 2.20 + 0.90."""
    ev = car(
        5,
        min_soc_kwh=FULL_AT_END,
        initial_soc_kwh=40.0,
        efficiency=0.8,
        plugged_in=np.array([1, 0, 1, 1, 1], dtype=bool),
    )
    assert plan(horizon(PRICES), ev).objective_eur == pytest.approx(4.75, abs=CENT)


def test_car_recovers_its_trip() -> None:
    """A trip of 9.2 kWh before step 2 costs 10 kWh at the wall, in the cheapest hour after: 0.15.

    Before the trip it is full, so the hour at 0.10 is of no use.
    """
    ev = car(5, trip_kwh=np.array([0, 0, 9.2, 0, 0]), min_soc_kwh=FULL_AT_END)
    assert plan(horizon(PRICES), ev).objective_eur == pytest.approx(1.50, abs=CENT)


def test_car_sells_and_buys_back() -> None:
    """10 kW · 0.9 = 9 kWh in, of which 9 · 0.9 = 8.1 kWh are sold: 10 · 0.10 − 8.1 · 0.45."""
    ev = car(2, max_charge_kw=10.0, max_discharge_kw=10.0, efficiency=0.9, initial_soc_kwh=30.0)
    done = plan(horizon([0.10, 0.50], [0.0, 0.45]), ev)
    assert done.objective_eur == pytest.approx(-2.645, abs=CENT)
    kept = plan(horizon([0.10, 0.50], [0.0, 0.45]), car(2, initial_soc_kwh=30.0))
    assert kept.objective_eur == pytest.approx(0.0, abs=CENT)


def test_car_charges_on_arrival_when_nobody_plans() -> None:
    """40 kWh, a trip of 10 before step 1, 11 kW · 0.92 = 10.12 kWh an hour until 60."""
    ev = car(5, trip_kwh=np.array([0, 10.0, 0, 0, 0]), initial_soc_kwh=40.0)
    soc_kwh = ev.unplanned(horizon(PRICES)).series["soc_kwh"]
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


# --- machine -----------------------------------------------------------------------------


def machine(*cycles: Cycle, **fields: Any) -> DiscretePhaseDevice:
    return DiscretePhaseDevice(name="machine", cycles=cycles, **fields)


def cycle(number: int, *profile_kw: float, at: int = 0, late: int = 99) -> Cycle:
    return Cycle(number=number, profile_kw=profile_kw, metered_start=at, earliest=0, latest=late)


def test_machine_takes_the_cheapest_start() -> None:
    """2 then 1 kW: 0.60 + 0.10, 0.20 + 0.20, 0.40 + 0.40."""
    done = plan(horizon([0.30, 0.10, 0.20, 0.40]), machine(cycle(1, 2.0, 1.0)))
    assert done.objective_eur == pytest.approx(0.40, abs=CENT)
    assert_allclose(done.plans["machine"].series["started"], [0, 1, 0, 0])
    assert_allclose(done.plans["machine"].net_load_kw, [0, 2, 1, 0], atol=1e-5)


def test_machine_minds_the_habit() -> None:
    """A discomfort of 0.50 at step 1 makes the 0.70 of step 0 the best."""
    table = np.array([[0.0, 0.50, 0.50, 0.0]])
    done = plan(
        horizon([0.30, 0.10, 0.20, 0.40]), machine(cycle(1, 2.0, 1.0), discomfort_eur=table)
    )
    assert done.objective_eur == pytest.approx(0.70, abs=CENT)


def test_machine_runs_one_cycle_after_the_other() -> None:
    """Both want step 1; the second may not start before the first has ended.

    1 kWh at 0.30 then 2 kWh at 0.10 is 0.50; 1 kWh at 0.10 then 2 kWh at 0.15 is 0.40.
    """
    done = plan(horizon([0.30, 0.10, 0.15, 0.40]), machine(cycle(1, 1.0), cycle(2, 2.0)))
    assert done.objective_eur == pytest.approx(0.40, abs=CENT)
    assert_allclose(done.plans["machine"].series["started"], [0, 1, 2, 0])


def test_machine_ends_what_has_begun_first() -> None:
    """The rest of a run, 1.5 kW in steps 0 and 1, keeps the next out of the cheap step 1."""
    busy = machine(cycle(1, 1.0, late=2), committed_kw=np.array([1.5, 1.5]))
    done = plan(horizon([0.30, 0.10, 0.20, 0.05]), busy)
    assert done.objective_eur == pytest.approx(1.5 * 0.40 + 0.20, abs=CENT)


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


# --- heat pump ---------------------------------------------------------------------------


def heat_pump(least: list[float], most: list[float], **fields: Any) -> PartialUsageDevice:
    values: dict[str, Any] = {"metered_kw": np.ones(len(least)), "max_power_kw": 2.0}
    return PartialUsageDevice(
        name="heat_pump",
        min_cumulative_kwh=np.array(least),
        max_cumulative_kwh=np.array(most),
        **values | fields,
    )


def test_heat_pump_moves_inside_its_band() -> None:
    """4 kWh, an hour earlier or later: 2 kWh at 0.10 in step 1, 2 kWh at 0.20 in step 3."""
    done = plan(horizon([0.40, 0.10, 0.30, 0.20]), heat_pump([0, 1, 2, 4], [2, 3, 4, 4]))
    assert done.objective_eur == pytest.approx(0.60, abs=CENT)
    assert_allclose(done.plans["heat_pump"].net_load_kw, [0, 2, 0, 2], atol=1e-5)


def test_heat_pump_with_a_closed_band_runs_as_metered() -> None:
    done = plan(horizon([0.40, 0.10, 0.30, 0.20]), heat_pump([1, 2, 3, 4], [1, 2, 3, 4]))
    assert done.objective_eur == pytest.approx(1.0, abs=CENT)


def test_heat_pump_runs_for_its_least_time_at_its_least_power() -> None:
    """2 kWh, at least 0.5 kW for two steps: 1.5 at 0.10 and 0.5 at 0.30 beat all else (0.30).

    Steps 1–2 give 0.15 + 0.18 = 0.33; without the rule 2 kWh at 0.10 would be 0.20.
    """
    prices = horizon([0.10, 0.30, 0.12, 0.40])
    band = ([0.0, 0, 0, 2], [2.0, 2, 2, 2])
    free = plan(prices, heat_pump(*band))
    assert free.objective_eur == pytest.approx(0.20, abs=CENT)
    bound = plan(prices, heat_pump(*band, min_power_kw=0.5, min_run_steps=2))
    assert bound.objective_eur == pytest.approx(0.30, abs=CENT)


def test_heat_pump_keeps_running_what_it_owes() -> None:
    """On, and owing one more step: 0.5 kWh at 0.40 first, then 1.5 kWh at 0.10."""
    done = plan(
        horizon([0.40, 0.10, 0.30]),
        heat_pump(
            [0, 0, 2], [2, 2, 2], min_power_kw=0.5, min_run_steps=3, must_run_steps=1, on=True
        ),
    )
    assert done.objective_eur == pytest.approx(0.5 * 0.40 + 1.5 * 0.10, abs=CENT)


def test_heat_pump_hands_over_what_it_has_really_drawn() -> None:
    """The slack of 1e-6 kWh is used once, not once a phase; a solver's tolerance is taken back."""
    device = heat_pump([0.0, 1.0, 3.0], [2.0, 2.0, 3.0])
    for drawn_kwh, expected_kwh in [
        (2 + 1e-6, 2 + 1e-6),
        (2 + 2e-6, 2 + 1e-6),
        (1 - 2e-6, 1 - 1e-6),
    ]:
        series = {"power_kw": np.zeros(3), "drawn_kwh": np.array([0.5, drawn_kwh, 3.0])}
        done = Plan(agent="heat_pump", net_load_kw=np.zeros(3), series=series)
        assert device.after(done, 2).drawn_kwh == pytest.approx(expected_kwh, abs=1e-12)


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
    device = heat_pump(
        [0.0] * 4,
        [9.0] * 4,
        min_power_kw=0.5,
        min_run_steps=3,
        on=on_before,
        must_run_steps=owed_before,
    )
    power_kw = np.array([*states, 0, 0], dtype=float)
    series = {"power_kw": power_kw, "drawn_kwh": np.cumsum(power_kw), "on": power_kw}
    later = device.after(Plan(agent="heat_pump", net_load_kw=power_kw, series=series), 2)
    assert (later.on, later.must_run_steps) == (on, owed)


# --- sun and grid ------------------------------------------------------------------------


def test_sun_is_curtailed_only_where_it_may_be() -> None:
    """4 kW of sun on 1 kW of load at −0.05: 3 kWh thrown away, or 0.15 paid for them."""
    prices = horizon([0.30], -0.05)
    sun = PVAgent(name="pv", available_kw=np.array([4.0]), curtailable=True)
    done = plan(prices, load(1), sun)
    assert done.objective_eur == pytest.approx(0.0, abs=CENT)
    assert_allclose(done.plans["pv"].series["curtailed_kw"], [3.0], atol=1e-5)
    fixed = plan(prices, load(1), PVAgent(name="pv", available_kw=np.array([4.0])))
    assert fixed.objective_eur == pytest.approx(0.15, abs=CENT)


def test_sun_is_sold_at_its_price_in_quarter_hours() -> None:
    """(4 − 1) kW · 0.25 h · 0.08 €/kWh."""
    prices = horizon([0.30], 0.08, step_h=0.25)
    done = plan(prices, load(1), PVAgent(name="pv", available_kw=np.array([4.0])))
    assert done.objective_eur == pytest.approx(-0.06, abs=CENT)


def test_grid_demand_charge_flattens() -> None:
    """1 and 3 kW of load and 4 kWh of car: 4 kW in both hours, 4 · 1.00 + 8 · 0.20."""
    ev = car(2, efficiency=1.0, initial_soc_kwh=56.0, min_soc_kwh=np.array([0.0, 60.0]))
    done = plan(horizon([0.20, 0.20]), load(1, 3), ev, grid=GridAgent(demand_charge_eur_per_kw=1.0))
    assert done.objective_eur == pytest.approx(5.60, abs=CENT)
    paid = GridAgent(demand_charge_eur_per_kw=1.0, peak_so_far_kw=8.0)
    free = plan(horizon([0.20, 0.20]), load(1, 3), ev, grid=paid)
    assert free.objective_eur == pytest.approx(1.60, abs=CENT)


def test_grid_does_not_trade_with_itself() -> None:
    """Export at 0.50 above import at 0.10: only the 2 kW of real surplus are sold."""
    prices = horizon([0.10, 0.10], [0.50, 0.50])
    sun = PVAgent(name="pv", available_kw=np.array([3.0, 0.0]))
    done = plan(prices, load(1, 1), sun)
    assert done.objective_eur == pytest.approx(-2 * 0.50 + 0.10, abs=CENT)


def test_grid_limits_what_the_car_may_take() -> None:
    """5 kW less 1 kW of load: 4, 4 and 2 kWh in the cheapest order."""
    ev = car(3, efficiency=1.0, initial_soc_kwh=50.0, min_soc_kwh=np.array([0, 0, 60.0]))
    done = plan(horizon([0.30, 0.10, 0.20]), load(1, 1, 1), ev, grid=GridAgent(max_import_kw=5.0))
    assert_allclose(done.plans["ev"].net_load_kw, [2, 4, 4], atol=1e-5)
