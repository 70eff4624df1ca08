"""Why a plan does what it does: worked out by hand on days of a few steps, never by accident."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.page.reading import SOLVER, explain, problem, told
from strategies import Case, cases, make_case

from ems.agents import (
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    HeatPumpAgent,
    PVAgent,
)
from ems.agents.priced import VISIBLE_KW
from ems.agents.thermal import House
from ems.control.optimizer import GlobalOptimizer
from ems.core.program import Program
from ems.report.page.explain import explain_day, priced_plan
from ems.site.task import PlanningTask


def sun(*kw: float, curtailable: bool = False) -> PVAgent:
    return PVAgent(name="pv", available_kw=np.array(kw), curtailable=curtailable)


def battery(**fields: Any) -> BatteryAgent:
    plain = {"round_trip_efficiency": 1.0, "wear_eur_per_kwh": 0.01, "initial_soc_kwh": 0.0}
    return BatteryAgent(**{"capacity_kwh": 2.0, **plain, **fields})


def car(n: int, need_kwh: float, by: int, **fields: Any) -> EVAgent:
    """Arrives in the first step and must be full at the end of step ``by``."""
    least = np.zeros(n)
    least[by] = 60.0
    plain: dict[str, Any] = {
        "trip_kwh": np.eye(n)[0] * need_kwh,
        "plugged_in": np.arange(n) <= by,
        "min_soc_kwh": least,
        "max_soc_kwh": np.full(n, 60.0),
        "max_charge_kw": 4.0,
        "efficiency": 1.0,
    }
    return EVAgent(**{**plain, **fields})


def machine(*cycles: Cycle, **fields: Any) -> DiscretePhaseDevice:
    return DiscretePhaseDevice(name="washing_machine", cycles=cycles, **fields)


def run(kw: float, metered: int, earliest: int, latest: int, number: int = 1) -> Cycle:
    return Cycle(
        number=number, profile_kw=(kw,), metered_start=metered, earliest=earliest, latest=latest
    )


def heat_pump(metered: list[float]) -> HeatPumpAgent:
    """In a house that loses nothing and may be heated 1 kWh of electricity ahead."""
    return HeatPumpAgent(
        name="heat_pump",
        metered_kw=np.array(metered),
        cop=np.ones(len(metered)),
        max_power_kw=10.0,
        house=House(capacity_kwh_per_k=1.1, time_constant_h=1e6),
    )


LOSSY = {"round_trip_efficiency": 0.81, "wear_eur_per_kwh": 0.02}
FULL = {"initial_soc_kwh": 2.0, "final_soc_kwh": 0.0}
EVENING = problem([30, 30, 32], sun(9, 0, 0), battery(), load_kw=[0, 1, 5])
KEPT = problem([20, 30], battery(initial_soc_kwh=0.0, final_soc_kwh=2.0))
IDLE = problem([9, 9], sun(3, 0), battery(), load_kw=[0, 1])
TWICE = problem([10, 40, 15, 40], battery(), load_kw=[0, 2, 0, 2])
HEATED = problem([20, 30, 25], heat_pump([1.0, 1.0, 1.0]))
IN_ORDER = machine(
    run(2.0, metered=0, earliest=0, latest=1), run(1.0, metered=1, earliest=1, latest=1, number=2)
)
TWO_HOURS = Cycle(number=1, profile_kw=(2.0, 2.0), metered_start=0, earliest=0, latest=1)
SAID: list[tuple[PlanningTask, str]] = [  # step, what the sentence is about, and the sentence
    # --- the battery
    (
        EVENING,
        "0 battery: "
        "The battery takes 2.0 kW from the sun: a kWh is worth 8.0 ct (sold) now and 32.0 ct at "
        "14:00 (not bought). After losses and wear 22.0 ct are left.",
    ),
    (
        EVENING,
        "1 battery: "
        "The battery is full; it gives next at 14:00: a kWh is worth 30.0 ct now and 32.0 ct then.",
    ),
    (
        EVENING,
        "2 battery: "
        "The battery gives 2.0 kW: each kWh saves buying one at 32.0 ct; a kWh was worth 8.0 ct "
        "when most was charged, at 12:00. After losses and wear 22.0 ct are left.",
    ),
    (EVENING, "2 bought at: 3.0 kW are bought at 32.0 ct a kWh."),
    (  # 0.81 · 30 − 8 − 2 · 1.81
        problem([30, 30], sun(9, 0), battery(**LOSSY), load_kw=[0, 5]),
        "0 takes: … After losses and wear 12.7 ct are left.",
    ),
    (
        problem([40, 40], sun(3, 0), battery(), export_ct=[5, 20], load_kw=0.0),
        "0 takes: … 20.0 ct at 13:00 (sold)…",
    ),
    (
        problem([40, 40], sun(3, 0), battery(), export_ct=[5, 20], load_kw=0.0),
        "1 gives: … each kWh is sold at 20.0 ct…",
    ),
    (
        problem([40], battery(**FULL, max_discharge_kw=2.0), export_ct=20.0, load_kw=0.5),
        "0 gives: … most of it is sold at 20.0 ct…",
    ),
    (
        problem([40], battery(**FULL, max_discharge_kw=2.0), export_ct=20.0, load_kw=1.5),
        "0 gives: … most of it saves buying at 40.0 ct…",
    ),
    (
        IDLE,
        "0 battery: "
        "The battery is empty all the time: no two hours differ by more than its losses and wear.",
    ),
    (IDLE, "1 battery: The battery is empty all the time."),
    (IDLE, "0 sold at: 3.0 kW are sold at 8.0 ct a kWh."),
    (
        KEPT,
        "0 battery: "
        "The battery takes 2.0 kW from the grid: a kWh is worth 20.0 ct (bought) now; it is kept: "
        "at its end the plan must leave 2 kWh.",
    ),
    (KEPT, "1 battery: The battery is full until the plan ends."),
    (
        problem([30], battery(**FULL), load_kw=5.0),
        "0 gives: "
        "The battery gives 2.0 kW: each kWh saves buying one at 30.0 ct, from what was stored "
        "before this day.",
    ),
    (TWICE, "1 gives: … charged, at 12:00…"),
    (TWICE, "3 gives: … charged, at 14:00…"),
    (  # a charge is gone when the store is as empty as before it
        problem(
            [10, 40, 15, 45],
            battery(initial_soc_kwh=1.0, final_soc_kwh=0.0),
            load_kw=[0, 1, 0, 2],
        ),
        "0 takes: … 40.0 ct at 13:00 (not bought)…",
    ),
    (
        problem([30, 30], sun(4, 0), battery(max_charge_kw=4.0), load_kw=[0, 4], step_h=0.25),
        "0 takes 4.0 kW: … at 12:15 (not bought)…",
    ),
    # --- the car
    (
        problem([30, 20, 25, 10], car(4, 4.0, by=2)),
        "1 car: "
        "The car charges 4.0 kW from the grid, to hold 60 kWh by 15:00: a kWh is worth 20.0 ct "
        "(bought). The next best hour, 14:00, would cost 5.0 ct more.",
    ),
    (problem([30, 20, 25], car(3, 12.0, by=2)), "0 car: … It needs every hour…"),
    (problem([30, 20, 25], car(3, 12.0, by=2)), "2 car: … It needs every hour…"),
    (  # hours behind the deadline are no alternative
        problem([30, 20, 5], car(3, 4.0, by=1, plugged_in=np.full(3, True))),
        "1 car: … The next best hour, 12:00, would cost 10.0 ct more.",
    ),
    (
        problem([30], battery(**FULL), car(1, 2.0, by=0), load_kw=0.0),
        "0 The car: … charges 2.0 kW from the battery, to hold…",
    ),
    (
        problem([20, 30], car(2, 4.0, by=1), grid=GridAgent(max_import_kw=3.0), load_kw=1.0),
        "0 car: … a kWh is worth 30.0 ct (no more can be bought)…",
    ),
    # --- appliances
    (
        problem([30, 20, 25], machine(run(2.0, metered=0, earliest=0, latest=2))),
        "1 washing: "
        "The washing machine starts instead of at 12:00, when its people started it: at the plan's "
        "prices its run costs 40.0 ct here, and 60.0 ct there. With a start at 12:00 the whole "
        "plan would cost 20.0 ct more.",
    ),
    (  # at 12:00: 0.2 kWh at 8 ct no longer sold, 3.8 kWh bought at 30 ct; here 4 kWh at 20 ct
        problem([30, 20], sun(1.2, 0), machine(run(4.0, metered=1, earliest=0, latest=1))),
        "1 washing: "
        "The washing machine starts when its people started it. With a start at 12:00 the whole "
        "plan would cost 35.6 ct more.",
    ),
    (
        problem(
            [30, 20],
            machine(
                run(2.0, metered=0, earliest=0, latest=1), discomfort_eur=np.array([[0.0, 0.05]])
            ),
        ),
        "1 washing: "
        "The washing machine starts instead of at 12:00, when its people started it: at the plan's "
        "prices its run costs 40.0 ct here, and 5.0 ct of discomfort for moving it, and 60.0 ct "
        "there. With a start at 12:00 the whole plan would cost 15.0 ct more, discomfort counted.",
    ),
    (  # the other run must come after it, so that it cannot wait
        problem([20, 30], IN_ORDER),
        "0 washing: "
        "The washing machine starts when its people started it. At 13:00 it does not fit beside "
        "the rest of the plan.",
    ),
    (  # the connection cannot carry it elsewhere
        problem(
            [20, 10],
            machine(run(2.0, metered=0, earliest=0, latest=1)),
            load_kw=[1, 2],
            grid=GridAgent(max_import_kw=3.5),
        ),
        "0 washing: "
        "The washing machine starts when its people started it. At 13:00 it does not fit beside "
        "the rest of the plan.",
    ),
    (  # a run is not in its own way
        problem([20, 20, 30], machine(TWO_HOURS), grid=GridAgent(max_import_kw=3.5)),
        "0 washing: … With a start at 13:00 the whole plan would cost 20.0 ct more.",
    ),
    (
        problem([30, 20], machine(run(2.0, metered=0, earliest=0, latest=0))),
        "0 washing: The washing machine starts when its people started it.",
    ),
    (
        HEATED,
        "0 heat pump: "
        "The heat pump draws 2.0 kW, 1.0 kW more than metered: a kWh of heat costs 18.2 ct and "
        "27.3 ct at 13:00.",
    ),
    (
        HEATED,
        "1 heat pump: "
        "The heat pump rests, 1.0 kW less than metered: a kWh of heat costs 27.3 ct and 18.2 "
        "ct at 12:00.",
    ),
    (HEATED, "2 heat pump: The heat pump draws 1.0 kW, as metered."),
    # --- the sun and the grid
    (
        problem([30], sun(3, curtailable=True), export_ct=-2.0),
        "0 unused: 2.0 kW of the sun are left unused: to sell them would cost 2.0 ct a kWh.",
    ),
    (
        problem([30], sun(3, curtailable=True), export_ct=-2.0),
        "0 Next: Next to nothing is bought or sold.",
    ),
    (
        problem([30], sun(3, curtailable=True), grid=GridAgent(max_export_kw=0.5)),
        "0 unused: 1.5 kW of the sun are left unused: no more may be sold.",
    ),
    (
        problem([30], sun(3), export_ct=-2.0),
        "0 are sold: 2.0 kW are sold at −2.0 ct a kWh: who sells pays for it.",
    ),
    (
        problem([-3, 30], battery(), export_ct=-5.0),
        "0 are bought: 3.0 kW are bought at −3.0 ct a kWh: who buys is paid for it.",
    ),
    (
        problem([-3, 30], battery(), export_ct=-5.0),
        "0 takes: … a kWh is worth −3.0 ct (bought) now…",
    ),
    (problem([30, 20], load_kw=1.0), "0 uses: The building uses 1.0 kW."),
    (problem([30, 20, 25], car(3, 4.0, by=2)), "1 uses: The building uses 1.0 kW."),  # car apart
]


@pytest.mark.parametrize(("made", "line"), SAID, ids=[line[:20] for _, line in SAID])
def test_what_is_said(made: PlanningTask, line: str) -> None:
    """One sentence in that step names it; … stands for words that do not matter here."""
    t, about, sentence = re.fullmatch(r"(\d) ([^:]*): (.*)", line).groups()  # type: ignore[union-attr]
    (said,) = told(explain(made), int(t), about)
    assert re.fullmatch(".*".join(map(re.escape, sentence.split("…"))), said), said


@pytest.mark.parametrize(
    ("made", "t", "about"),
    [
        (problem([30, 20], load_kw=1.0), 0, "battery"),
        (problem([30, 20], battery(capacity_kwh=0.0)), 0, "battery"),
        *((problem([30, 20, 25, 10], car(4, 4.0, by=2)), t, "car") for t in (0, 2, 3)),
    ],
)
def test_of_what_nothing_is_said(made: PlanningTask, t: int, about: str) -> None:
    assert told(explain(made), t, about) == []


def test_a_battery_with_room_left_says_that_enough_is_stored_and_that_hours_tie() -> None:
    begun = battery(capacity_kwh=20.0, initial_soc_kwh=1.0)  # never empty: the hours are free
    day = explain(problem([30, 30, 30], sun(9, 9, 0), begun, load_kw=[0, 0, 2]))
    (charged,) = [s for t in (0, 1) for s in told(day, t, "takes")]
    assert "By then enough is stored: one kWh more would be worth only 10.0 ct there." in charged
    other = {True: "13:00", False: "12:00"}[bool(told(day, 0, "takes"))]
    assert f"{other} would do as well: the same worth." in charged


def test_hours_that_tie_are_told_for_the_car_and_for_runs() -> None:
    day = explain(problem([30, 20, 20, 20], car(4, 4.0, by=3)))
    assert any("would cost the same." in s for t in range(4) for s in told(day, t, "car"))
    day = explain(problem([20, 20], machine(run(2.0, metered=1, earliest=0, latest=1))))
    (said,) = [s for t in (0, 1) for s in told(day, t, "washing")]
    assert "the whole plan would cost the same." in said


def test_a_new_arrival_is_not_compared_with_the_stay_before_it() -> None:
    twice = car(
        4, 0.0, by=3, trip_kwh=np.array([2.0, 0, 8.0, 0]), plugged_in=np.full(4, True),
        min_soc_kwh=np.array([0, 60.0, 0, 60.0]),
    )  # fmt: skip
    day = explain(problem([10, 11, 30, 31], twice))
    assert all("cheaper" not in told(day, t, "car")[0] for t in (2, 3))


def test_a_car_that_may_not_hold_more_says_so() -> None:
    capped = car(3, 4.0, by=2, max_soc_kwh=np.array([57.0, 60.0, 60.0]))
    day = explain(problem([10, 30, 30], capped))
    late = [s for t in (1, 2) for s in told(day, t, "charges")]
    assert late
    assert all("12:00 would be cheaper, but it may not hold more by then." in s for s in late)


def test_a_peak_has_a_price_of_its_own() -> None:
    peak = GridAgent(demand_charge_eur_per_kw=1.0)
    peaky = explain(problem([20, 30], car(2, 2.0, by=1), grid=peak, load_kw=1.0))
    assert any("it would raise the peak" in s for t in (0, 1) for s in told(peaky, t, "car"))


# --- clocks ----------------------------------------------------------------------------------


def test_the_doubled_hour_of_autumn_is_told_apart_and_the_skipped_one_of_spring_is_missing() -> (
    None
):
    autumn = explain(problem([30.0] * 25, start="2016-10-29T22:00"))
    clocks = [hour.clock for hour in autumn.hours[1:5]]
    assert clocks == ["01:00", "02:00 CEST", "02:00 CET", "03:00"]
    spring = explain(problem([30.0] * 23, start="2016-03-26T23:00"))
    assert [hour.clock for hour in spring.hours[:4]] == ["00:00", "01:00", "03:00", "04:00"]


def test_what_lies_behind_midnight_is_the_next_day_and_is_not_told() -> None:
    late = {"start": "2016-06-01T21:00", "n_committed": 1}
    day = explain(problem([20, 30], battery(), load_kw=[0, 2], **late))  # type: ignore[arg-type]
    assert len(day.hours) == 1
    assert "30.0 ct at 00:00 the next day (not bought)" in told(day, 0, "takes")[0]


# --- any building ----------------------------------------------------------------------------


def as_problem(case: Case) -> PlanningTask:
    n = case.horizon.n_steps
    return PlanningTask(
        days=(date(2016, 6, 1),),
        horizon=case.horizon,
        agents=case.agents,
        grid=case.grid,
        n_committed=n,
        midnights=(0, n),
    )


@settings(max_examples=40)
@given(case=cases())
def test_any_building_is_explained_in_every_step(case: Case) -> None:
    day = explain_day(as_problem(case), SOLVER)
    assert len(day.hours) == case.horizon.n_steps
    for hour in day.hours:
        assert np.isfinite(hour.worth_ct)
        for sentence in hour.sentences:
            assert "nan" not in sentence.lower()
            assert "-" not in sentence  # a true minus
            assert sentence.endswith(".")
            assert ".." not in sentence
            assert "  " not in sentence


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_heat_is_never_moved_to_a_dearer_hour(seed: int) -> None:
    """Made beside the metered it costs no more than what is saved for it, its losses included."""
    case = make_case(seed, devices=("heat_pump", "pv", "battery"))
    plan = GlobalOptimizer(case.agents, case.grid, SOLVER).optimize_centralized(case.horizon)
    program = Program(case.horizon)
    for agent in plan.agents:
        program.add(agent)
    worth_ct = 100 * program.solve_with_price(SOLVER)[1]
    priced = priced_plan(as_problem(case), plan, worth_ct / 100, SOLVER)
    (heat,) = [a for a in plan.agents if isinstance(a, HeatPumpAgent)]
    more_kw = priced.series(heat, "power_kw") - heat.metered_kw
    for t in np.flatnonzero(np.abs(more_kw) > VISIBLE_KW).tolist():
        other = heat.exchanged(priced, t)
        if other is not None:
            dearer_ct = heat.heat_ct(priced, other) - heat.heat_ct(priced, t)
            assert np.sign(more_kw[t]) * dearer_ct >= -1e-6


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_the_start_of_a_run_is_never_dearer_than_any_other(seed: int) -> None:
    """What is said of another start comes from planning it: it cannot be cheaper than the plan."""
    case = make_case(seed, devices=("machine", "pv", "battery"), n_steps=12)
    day = explain_day(as_problem(case), SOLVER)
    for hour in day.hours:
        for sentence in hour.sentences:
            assert "would cost −" not in sentence


def test_the_plan_that_is_explained_is_the_one_that_is_audited() -> None:
    case = make_case(3, devices=("battery", "ev", "pv", "machine", "heat_pump"))
    day = explain_day(as_problem(case), SOLVER)
    assert day.left_over_kw < 1e-6
    assert day.bill_off_eur < 1e-6
    assert day.gap_eur < 1e-6
    assert replace(day.schedule, whole=True).costs_eur()
