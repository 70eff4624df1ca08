"""The plan that was really made on forecasts, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report.page.made import Done, changing_house, guessed, page, usual
from small_building import device_of

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PVAgent,
    heat_pump,
)
from ems.control.execution import execute
from ems.economics.settlement import settle
from ems.pipelines.comparison import DayRecord
from ems.report.page.day import explained
from ems.report.page.explain import ExplainedDay
from ems.report.page.outcome import Beside, came, compared
from ems.site.building import Building


def planned(run: Done, example: DayRecord, **spec: Any) -> ExplainedDay:
    return explained(run.building, run.window, replace(run.spec, **spec), example)


# --- which plan it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("dispatch", ["setpoints", "balance"])
@pytest.mark.parametrize("number", [0, 1])
def test_the_explained_plan_is_the_one_that_was_carried_out(dispatch: str, number: int) -> None:
    """Told to the real devices it gives what was recorded, on the last day without look-ahead."""
    run = guessed(dispatch=dispatch)
    example = run.planned[number]
    day = planned(run, example)
    agents = example.schedule.agents
    real = run.building.problem(
        [example.day],
        lookahead_h=0.0,
        state={agent.name: agent for agent in agents if agent.stored_kwh()},
        left=example.left,
        course=replace(run.building.truth, runs_foreseen=False),
    )
    again = execute(day.schedule, real.agents, GridAgent(), real.horizon, run.spec.dispatch)
    for name, plan in example.schedule.plans.items():
        came_kw = again.plans[name].net_load_kw[: day.schedule.horizon.n_steps]
        np.testing.assert_allclose(came_kw, plan.net_load_kw, atol=1e-6, err_msg=name)
    expected_kw = day.schedule.net_load_kw("generation")
    assert np.max(np.abs(expected_kw - example.schedule.net_load_kw("generation"))) > 0.2


def test_what_midnight_believed_is_the_same_however_often_the_run_plans() -> None:
    run = guessed()
    often: dict[str, Any] = {"modes": ("centralized_phases",), "phase_h": 1.0, "risk": "hedged"}
    for example in run.planned:
        same(planned(run, example), planned(run, example, **often))


def same(one: ExplainedDay, other: ExplainedDay) -> None:
    for name, plan in one.schedule.plans.items():
        kw = other.schedule.plans[name].net_load_kw
        np.testing.assert_allclose(kw, plan.net_load_kw, atol=1e-9, err_msg=name)


def test_the_explained_plan_knows_nothing_of_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the house is known as from its energy certificate."""
    run = guessed()
    loss = device_of(run.building.truth, "heat_pump").loss
    monkeypatch.setattr(heat_pump, "fitted_loss", lambda *_: loss)
    example, history = run.planned[0], changing_house()
    midnight = run.building.span(example.day).start

    def other(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[midnight:] *= 0.7
        return changed

    otherwise = replace(
        history,
        energy_kwh={name: other(kwh) for name, kwh in history.energy_kwh.items()},
        load_kwh=other(history.load_kwh),
        pv_kwh=other(history.pv_kwh),
    )
    later = replace(run, building=Building(otherwise, run.spec.tariff, run.spec.assets))
    same(planned(run, example), planned(later, example))


def test_what_the_run_has_learned_is_not_learned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = guessed()
    planned(run, run.planned[0])
    monkeypatch.setattr("ems.pipelines.forecasting.forecast_days", None)
    planned(run, run.planned[1])


# --- what is said of it --------------------------------------------------------------------------

PHASES = ("centralized_phases",)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"risk": "hedged"}, ["hedged its plans with 10 futures", "for the mean of what may come"]),
        ({"modes": PHASES}, ["every 6 h a new one", "From 06:00 on later plans"]),
        ({"modes": PHASES, "phase_h": 1.0}, ["every hour a new one", "01:00 on"]),
        ({"modes": ("decentralized",)}, ["planned each device alone", "is not this plan"]),
        ({"dispatch": "balance"}, ["battery followed its plan, corrected as far as possible"]),
    ],
)
def test_what_the_run_did_beside_this_plan_is_said(fields: Any, parts: Sequence[str]) -> None:
    run = guessed()
    spec = replace(run.spec, **fields)
    example = replace(run.planned[0], mode=spec.modes[0])
    said, usually = page(run, spec=spec, example=example).text, page(run).text
    assert all(part in said and part not in usually for part in parts)


def test_the_outcome_adds_up_to_what_the_run_has() -> None:
    run = guessed()
    day, kpis, done_ = planned(run, run.planned[0]), run.planned[0].kpis, run.planned[0].schedule
    section = page(run).sections["What came of this plan"]
    sums = {what: (plan, real) for what, plan, real in section.tables["the day in sum"]}
    assert list(sums)[1:3] == ["sun [kWh]", "other use [kWh]"]
    sun_kwh = -day.schedule.net_load_kw("generation").sum()
    assert sums["sun [kWh]"] == (f"{sun_kwh:.1f}", f"{kpis.generation_kwh:.1f}")
    assert sums["bought [kWh]"][1] == f"{kpis.import_kwh:.1f}"
    assert sums["sold [kWh]"][1] == f"{kpis.export_kwh:.1f}"
    held_kwh = (day.schedule.soc_kwh["battery"], done_.soc_kwh["battery"])
    assert sums["battery, charge at the end [kWh]"] == tuple(f"{kwh:.1f}" for kwh in held_kwh)
    bills_eur = (settle(day.schedule).bill_eur, kpis.bill_eur)
    assert sums["bill [€]"] == tuple(f"{eur:.2f}".replace("-", "−") for eur in bills_eur)
    heads, *hours = section.tables["hour by hour: power in the plan and as it came [kW]"]
    assert heads[1:3] == ("sun: plan", "sun: came")
    assert [line[0] for line in hours] == [f"{hour:02}:00" for hour in range(24)]
    sun_kw = (-plan.net_load_kw("generation")[12] for plan in (day.schedule, done_))
    assert hours[12][1:3] == tuple(f"{kw:.1f}" for kw in sun_kw)
    (picture,) = section.pictures.values()
    for part in ("Sun", "Other use", "heat pump", "Battery (takes up", "in the plan", "as it came"):
        assert part in picture


def test_a_battery_that_ends_otherwise_than_planned_is_said_to_and_no_other() -> None:
    run = guessed(dispatch="balance")
    for example in run.planned:
        ends = [s.soc_kwh["battery"] for s in (planned(run, example).schedule, example.schedule)]
        planned_kwh, came_kwh = (f"{kwh:.1f} kWh" for kwh in ends)
        said = f"the battery ended the day with {came_kwh} (planned: {planned_kwh})"
        text = page(run, example=example).text
        assert (said in text) == (abs(ends[0] - ends[1]) >= 0.1)
        assert "the car ended the day" not in text


def test_every_hour_that_came_otherwise_says_so_and_no_other() -> None:
    run = guessed()
    rows = compared(planned(run, run.planned[0]).schedule, run.planned[0].schedule)
    apart = [any(abs(r.came_kw[t] - r.planned_kw[t]) >= 0.2 for r in rows) for t in range(24)]
    said = [came(rows, t) for t in range(24)]
    assert [text.startswith("Really: ") for text in said] == apart
    assert 0 < sum(apart) < 24
    # Neighbours that came otherwise in the same way are told together, with a range.
    amounts = re.compile(r"(?:[−\d.]+(?:–| to ))?[−\d.]+(?= kW)")
    text = amounts.sub("#", page(run).text)
    plain = [amounts.sub("#", one.replace("\u00a0", " ")) for one in said]
    assert [one for one in plain if one not in text] == []
    assert "Really" not in page(usual()).text


def test_a_car_may_come_unexpected() -> None:
    run = guessed()
    last = run.planned[1]
    said = page(run, example=last).text
    assert "The car and the battery followed their plans as far as charge and limits let" in said
    assert "A car that was not expected charges as soon as it comes." in said
    balance = replace(run.spec, dispatch="balance")
    balanced = page(run, spec=balance, example=last).text
    assert "The battery followed its plan, corrected as far as possible" in balanced
    assert "The car followed its plan as far as charge and limits let it" in balanced


def test_the_audit_tells_the_plan_from_what_was_carried_out() -> None:
    found = dict(page(guessed()).tables["how exact"])
    for what in ("the plan that is explained", "what was carried out that day"):
        assert float(found[f"largest imbalance in a step of {what}"].removesuffix(" kW")) < 1e-5


# --- the sentence of an hour ---------------------------------------------------------------------

STEP = np.zeros(1)
PV = PVAgent(name="pv", available_kw=STEP)
HOUSE = BaseLoadAgent(name="base_load", load_kw=STEP)
WASHER = DiscretePhaseDevice(name="washing_machine", cycles=())
BATTERY, GRID = BatteryAgent(), GridAgent()
CAR = EVAgent(trip_kwh=STEP, plugged_in=STEP == 0, min_soc_kwh=STEP, max_soc_kwh=STEP + 60.0)
AWAY = replace(CAR, plugged_in=STEP > 0)


@pytest.mark.parametrize(
    ("agent", "planned_kw", "came_kw", "sentence"),
    [
        (PV, 2.0, 1.2, "the sun gave 1.2 kW (expected: 2.0 kW)"),
        (PV, 0.4, 0.01, "the sun gave nothing (expected: 0.4 kW)"),
        (HOUSE, 0.3, 0.8, "the building used 0.8 kW (expected: 0.3 kW)"),
        (BATTERY, 1.3, 0.5, "the battery took 0.5 kW (planned: 1.3 kW)"),
        (BATTERY, -1.0, 0.5, "the battery took 0.5 kW (planned: to give 1.0 kW)"),
        (BATTERY, 0.7, 0.0, "the battery rested (planned: to take 0.7 kW)"),
        (BATTERY, 0.0, -0.4, "the battery gave 0.4 kW (planned: to rest)"),
        (AWAY, 0.0, 3.7, "the car charged 3.7 kW (not expected)"),
        (CAR, 3.7, 0.0, "the car did not charge (planned: to charge 3.7 kW)"),
        (WASHER, 0.0, 0.9, "the washing machine drew 0.9 kW (planned: nothing)"),
        (WASHER, 0.9, 0.0, "the washing machine drew nothing (planned: to draw 0.9 kW)"),
        (GRID, -0.3, 0.4, "0.4 kW were bought (planned: 0.3 kW sold)"),
        (GRID, 0.9, 0.4, "0.4 kW were bought (planned: 0.9 kW)"),
        (GRID, -0.3, 0.0, "nothing was bought or sold (planned: 0.3 kW sold)"),
        (GRID, 0.0, -0.3, "0.3 kW were sold (planned: nothing bought or sold)"),
    ],
)
def test_each_difference_is_told_with_what_was_planned(
    agent: Agent, planned_kw: float, came_kw: float, sentence: str
) -> None:
    row = beside(agent, planned_kw, came_kw)
    assert came([row], 0).replace("\u00a0", " ") == f"Really: {sentence}."


def beside(agent: Agent, planned_kw: float, came_kw: float) -> Beside:
    return Beside(agent=agent, expected=True, planned_kw=STEP + planned_kw, came_kw=STEP + came_kw)


@pytest.mark.parametrize(
    ("held_kwh", "state"), [(15.0, "was full"), (0.0, "was empty"), (8.0, "rested")]
)
def test_a_battery_that_rests_says_why_if_it_has_to(held_kwh: float, state: str) -> None:
    row = replace(beside(BATTERY, 1.0, 0.0), held_kwh=STEP + held_kwh)
    assert came([row], 0).startswith(f"Really: the battery {state} (planned: to take")


def test_what_nobody_believed_in_is_not_expected_and_what_hardly_differs_is_not_told() -> None:
    surprise = replace(beside(WASHER, 0.0, 0.9), expected=False)
    near = beside(PV, 1.0, 0.85)
    assert came([near], 0) == ""
    assert came([near, surprise], 0).replace("\u00a0", " ") == (
        "Really: the washing machine drew 0.9 kW (not expected)."
    )
