"""The plan that was really made on forecasts, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report.page.made import Done, changing_house, done, guessed, report, text, usual
from report.page.reading import SOLVER, problem, told

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
)
from ems.control.execution import execute
from ems.core.participant import Plan
from ems.economics.settlement import settle
from ems.pipelines.comparison import DayRecord
from ems.report.page import render, words
from ems.report.page.day import explained
from ems.report.page.explain import ExplainedDay, explain_day
from ems.report.page.outcome import Beside, came, compared
from ems.site.building import Building
from ems.site.meters import Feed, MeterData


def planned(run: Done, example: DayRecord, **spec: Any) -> ExplainedDay:
    return explained(run.building, run.window, replace(run.spec, **spec), example)


def days_of(run: Done, mode: str = "centralized") -> list[DayRecord]:
    return [record for record in run.records if record.mode == mode]


# --- which plan it is ------------------------------------------------------------------------


@pytest.mark.parametrize("dispatch", ["setpoints", "balance"])
@pytest.mark.parametrize("number", [0, 1])
def test_the_explained_plan_is_the_one_that_was_carried_out(dispatch: str, number: int) -> None:
    """Told to the real devices it gives what was recorded, on the last day without look-ahead."""
    run = guessed(dispatch=dispatch)
    example = days_of(run)[number]
    day = planned(run, example)
    n = day.schedule.horizon.n_steps
    real = run.building.problem(
        [example.day],
        lookahead_h=0.0,
        soc_kwh=charges(example.schedule.agents),
        course=replace(run.building.truth, runs_foreseen=False),
    )
    again = execute(day.schedule, real.agents, GridAgent(), real.horizon, run.spec.dispatch)
    for name, plan in example.schedule.plans.items():
        np.testing.assert_allclose(
            again.plans[name].net_load_kw[:n], plan.net_load_kw, atol=1e-6, err_msg=name
        )
    expected = day.schedule.net_load_kw("generation")
    assert np.max(np.abs(expected - example.schedule.net_load_kw("generation"))) > 0.2


def charges(agents: Sequence[Agent]) -> dict[str, float]:
    return {a.name: a.initial_soc_kwh for a in agents if isinstance(a, BatteryAgent | EVAgent)}


def test_what_midnight_believed_is_the_same_however_often_the_run_plans() -> None:
    run = guessed()
    often: dict[str, Any] = {"modes": ("centralized_phases",), "phase_h": 1.0, "risk": "hedged"}
    for example in days_of(run):
        once, again = planned(run, example).schedule, planned(run, example, **often).schedule
        for name, plan in once.plans.items():
            np.testing.assert_array_equal(again.plans[name].net_load_kw, plan.net_load_kw, name)


def test_what_the_run_has_learned_is_not_learned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = guessed()
    planned(run, run.example)
    monkeypatch.setattr("ems.pipelines.forecasting.forecast_days", None)
    planned(run, days_of(run)[1])


def test_the_explained_plan_knows_nothing_of_its_day() -> None:
    run = guessed()
    example = days_of(run)[0]
    midnight = run.building.span(example.day).start

    def other(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[midnight:] *= 0.7
        return changed

    history: MeterData = changing_house()
    otherwise = replace(
        history,
        energy_kwh={name: other(kwh) for name, kwh in history.energy_kwh.items()},
        load_kwh=other(history.load_kwh),
        pv_kwh=other(history.pv_kwh),
    )
    later = replace(run, building=Building(otherwise, run.spec.tariff, run.spec.assets))
    ours, theirs = (planned(of, example).schedule for of in (run, later))
    for name, plan in ours.plans.items():
        np.testing.assert_allclose(plan.net_load_kw, theirs.plans[name].net_load_kw, atol=1e-9)


# --- what is said of it ----------------------------------------------------------------------


def test_what_is_expected_is_not_told_as_known() -> None:
    said = text(guessed())
    assert "as midnight saw it" in said
    assert "The building is expected to use" in said
    assert ", the sun to give" in said
    assert "when its people are expected to start it" in said
    assert "metered:" not in said.split("One day explained")[1]
    assert "when its people started it" not in said
    assert "perfect knowledge" not in said


def test_a_perfect_run_speaks_of_no_outcome() -> None:
    said = text(usual())
    assert [s.title for s in report(usual()).sections if "plan" in s.title] == []
    assert "Really:" not in said
    assert "The building uses" in said
    assert "expected" not in said.split("One day explained")[1]
    assert 'class="came"' not in render(report(usual()))


def test_heat_is_told_against_what_is_expected_without_a_plan() -> None:
    pump = PartialUsageDevice(
        name="heat_pump",
        metered_kw=np.array([1.0, 0.0, 0.5]),
        min_cumulative_kwh=np.array([0.0, 1.0, 1.5]),
        max_cumulative_kwh=np.array([1.0, 1.0, 1.5]),
        max_power_kw=2.0,
    )
    day = explain_day(problem([40, 20, 30], pump), SOLVER, believed=True)
    assert told(day, 0, "heat pump")[0].startswith(
        "The heat pump rests, 1.0 kW less than expected without a plan: a kWh is worth"
    )
    assert told(day, 2, "heat pump") == ["The heat pump draws 0.5 kW, as expected without a plan."]
    assert told(day, 0)[0] == "The building is expected to use 1.0 kW."


def test_a_moved_run_is_told_against_its_expected_start() -> None:
    cycle = Cycle(number=1, profile_kw=(1.0,), metered_start=0, earliest=0, latest=1)
    machine = DiscretePhaseDevice(name="dishwasher", cycles=(cycle,))
    day = explain_day(problem([40, 20], machine), SOLVER, believed=True)
    assert told(day, 1, "dishwasher")[0].startswith(
        "The dishwasher starts instead of at 12:00, when its people are expected to start it:"
    )


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"risk": "hedged"}, ["hedged its plans with 10 futures", "for the mean of what may come"]),
        ({"modes": ("centralized_phases",)}, ["every 6 h a new one", "From 06:00 on later plans"]),
        ({"modes": ("centralized_phases",), "phase_h": 1.0}, ["every hour a new one", "01:00 on"]),
        ({"modes": ("decentralized",)}, ["planned each device alone", "is not this plan"]),
        ({"dispatch": "balance"}, ["battery followed its plan, corrected as far as possible"]),
        ({"dispatch": "setpoints"}, ["battery followed its plan as far as charge and limits let"]),
    ],
)
def test_what_the_run_did_beside_this_plan_is_said(
    fields: dict[str, Any], parts: list[str]
) -> None:
    run = guessed()
    spec = replace(run.spec, **fields)
    example = replace(run.example, mode=spec.modes[0])
    said, usually = text(run, spec=spec, example=example), text(run)
    for part in parts:
        assert part in said
        assert (part in usually) == (fields == {"dispatch": "setpoints"})


def test_no_later_plan_is_spoken_of_where_a_phase_is_a_day() -> None:
    run = guessed()
    spec = replace(run.spec, modes=("centralized_phases",), phase_h=24.0)
    said = text(run, spec=spec, example=replace(run.example, mode="centralized_phases"))
    assert "first plan of the day" not in said
    assert "later plans" not in said


def test_what_came_is_that_of_the_record() -> None:
    run = guessed()
    kpis, day = run.example.kpis, planned(run, run.example)
    (section,) = [s for s in report(run).sections if s.title == "What came of this plan"]
    sums, hours = section.tables
    rows = {what: (plan, real) for what, plan, real in sums.rows}
    assert list(rows)[:2] == ["sun [kWh]", "other use [kWh]"]
    assert rows["sun [kWh]"][1] == f"{kpis.generation_kwh:.1f}"
    assert rows["sun [kWh]"][0] == f"{-day.schedule.net_load_kw('generation').sum():.1f}"
    assert rows["bought [kWh]"][1] == f"{kpis.import_kwh:.1f}"
    assert rows["sold [kWh]"][1] == f"{kpis.export_kwh:.1f}"
    costs_eur = (settle(day.schedule).cost_eur, kpis.cost_eur)
    assert rows["cost [€]"] == tuple(words.amount(cost_eur) for cost_eur in costs_eur)
    soc_kwh = run.example.schedule.soc_kwh["battery"]
    assert rows["battery, charge at the end [kWh]"][1] == f"{soc_kwh:.1f}"
    assert len(hours.rows) == len(day.hours)
    assert all(len(cells) == len(hours.heads) for cells in hours.rows)
    assert hours.folded
    sun_kw = (-s.net_load_kw("generation") for s in (day.schedule, run.example.schedule))
    assert hours.heads[1:3] == ("sun: plan", "sun: came")
    assert hours.rows[12][1:3] == tuple(words.number(float(kw[12]), 1) for kw in sun_kw)


def test_each_figure_shows_what_came_as_an_area_and_the_plan_as_a_line() -> None:
    run = guessed()
    (section,) = [s for s in report(run).sections if s.title == "What came of this plan"]
    titles = [re.findall("<b>(.*?)</b>", figure)[0] for figure in section.figures]
    assert titles == [
        "Sun",
        "Other use",
        "Dishwasher and heat pump",
        "Battery (takes up, gives down)",
        "Grid (bought up, sold down)",
    ]
    nobody = replace(run.example.schedule, plans=no_sun(run.example.schedule.plans))
    dark = report(run, example=replace(run.example, schedule=nobody))
    (figure, *_) = next(s for s in dark.sections if s.title == section.title).figures
    assert 'class="fill sun"' in section.figures[0]
    assert 'class="fill sun"' not in figure
    assert 'class="line plan"' in figure


def no_sun(plans: Mapping[str, Plan]) -> dict[str, Plan]:
    none = np.zeros_like(plans["pv"].net_load_kw)
    return {**plans, "pv": Plan(agent="pv", net_load_kw=none, series={"generation_kw": none})}


def test_a_battery_that_ends_otherwise_than_planned_is_said_to_and_no_other() -> None:
    run = guessed(dispatch="balance")
    for example in days_of(run):
        ends = [s.soc_kwh["battery"] for s in (planned(run, example).schedule, example.schedule)]
        planned_kwh, came_kwh = (f"{kwh:.1f} kWh" for kwh in ends)
        said = f"the battery ended the day with {came_kwh} (planned: {planned_kwh})"
        assert (said in text(run, example=example)) == (abs(ends[0] - ends[1]) >= 0.1)
        assert "the car ended the day" not in text(run, example=example)


def test_every_hour_that_came_otherwise_says_so_and_no_other() -> None:
    run = guessed()
    (section,) = [s for s in report(run).sections if s.hours]
    rows = compared(planned(run, run.example).schedule, run.example.schedule)
    apart = [any(abs(r.came_kw[t] - r.planned_kw[t]) >= 0.2 for r in rows) for t in range(24)]
    assert [bool(hour.came) for hour in section.hours] == apart
    assert 0 < sum(apart) < 24
    assert render(report(run)).count('class="came"') == sum(apart)


def test_the_audit_tells_the_plan_from_what_was_carried_out() -> None:
    said = text(guessed())
    assert "made again for this page, from the forecasts that the run had" in said
    assert re.search(r"step of the plan that is explained \d\.\de[-+]\d\d kW", said)
    assert re.search(r"step of what was carried out that day \d\.\de[-+]\d\d kW", said)
    assert "carried out that day" not in text(usual())


# --- the sentence of an hour -----------------------------------------------------------------

STEP = np.zeros(1)
PV = PVAgent(name="pv", available_kw=STEP)
HOUSE = BaseLoadAgent(name="base_load", load_kw=STEP)
WASHER = DiscretePhaseDevice(name="washing_machine", cycles=())
CAR = EVAgent(
    trip_kwh=STEP, plugged_in=np.ones(1, dtype=bool), min_soc_kwh=STEP, max_soc_kwh=STEP + 60.0
)


def beside(agent: Agent, planned_kw: float, came_kw: float, *, expected: bool = True) -> Beside:
    return Beside(
        agent=agent, expected=expected, planned_kw=STEP + planned_kw, came_kw=STEP + came_kw
    )


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (beside(PV, 2.0, 1.2), "the sun gave 1.2 kW (expected: 2.0 kW)"),
        (beside(PV, 0.4, 0.01), "the sun gave nothing (expected: 0.4 kW)"),
        (beside(HOUSE, 0.3, 0.8), "the building used 0.8 kW (expected: 0.3 kW)"),
        (beside(BatteryAgent(), 1.3, 0.5), "the battery took 0.5 kW (planned: 1.3 kW)"),
        (beside(BatteryAgent(), -1.0, 0.5), "the battery took 0.5 kW (planned: to give 1.0 kW)"),
        (beside(BatteryAgent(), 0.7, 0.0), "the battery rested (planned: to take 0.7 kW)"),
        (beside(BatteryAgent(), 0.0, -0.4), "the battery gave 0.4 kW (planned: to rest)"),
        (beside(CAR, 0.0, 3.7, expected=False), "the car charged 3.7 kW (not expected)"),
        (beside(CAR, 3.7, 0.0), "the car did not charge (planned: to charge 3.7 kW)"),
        (beside(WASHER, 0.0, 0.9), "the washing machine drew 0.9 kW (planned: nothing)"),
        (beside(WASHER, 0.9, 0.0), "the washing machine drew nothing (planned: to draw 0.9 kW)"),
        (beside(GridAgent(), -0.3, 0.4), "0.4 kW were bought (planned: 0.3 kW sold)"),
        (beside(GridAgent(), 0.9, 0.4), "0.4 kW were bought (planned: 0.9 kW)"),
        (beside(GridAgent(), -0.3, 0.0), "nothing was bought or sold (planned: 0.3 kW sold)"),
        (beside(GridAgent(), 0.0, -0.3), "0.3 kW were sold (planned: nothing bought or sold)"),
    ],
)
def test_each_difference_is_told_with_what_was_planned(row: Beside, sentence: str) -> None:
    assert came([row], 0).replace("\u00a0", " ") == f"Really: {sentence}."


@pytest.mark.parametrize(
    ("held_kwh", "state"), [(15.0, "was full"), (0.0, "was empty"), (8.0, "rested")]
)
def test_a_battery_that_rests_says_why_if_it_has_to(held_kwh: float, state: str) -> None:
    row = replace(beside(BatteryAgent(), 1.0, 0.0), held_kwh=STEP + held_kwh)
    assert came([row], 0).startswith(f"Really: the battery {state} (planned: to take")


def test_only_a_car_with_a_meter_can_come_unexpected() -> None:
    run = guessed()
    said = text(run, example=days_of(run)[1])
    assert "The car and the battery followed their plans as far as charge and limits let" in said
    assert "A car that was not expected" not in said
    balanced = text(run, spec=replace(run.spec, dispatch="balance"), example=days_of(run)[1])
    assert "The battery followed its plan, corrected as far as possible" in balanced
    assert "The car followed its plan as far as charge and limits let it" in balanced
    history = changing_house()
    charged_kwh = np.where(run.building.view.hour == 20, 3.0, 0.0)
    feed = Feed(name="ev", role="load", category="ev")
    energy_kwh = {**history.energy_kwh, "ev": charged_kwh}
    metered = replace(history, feeds=(*history.feeds, feed), energy_kwh=energy_kwh)
    said = text(done(metered, run.spec, first=run.window.days[0]))
    assert "A car that was not expected charges as soon as it comes." in said
    assert "the car charged 3.0 kW (not expected)" in said


def test_what_hardly_differs_is_not_told() -> None:
    near, apart = beside(PV, 1.0, 0.85), beside(HOUSE, 0.3, 0.5)
    assert came([near], 0) == ""
    assert came([near, apart], 0).replace("\u00a0", " ") == (
        "Really: the building used 0.5 kW (expected: 0.3 kW)."
    )
