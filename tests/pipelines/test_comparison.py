"""Pipeline A: windows, chains, the state handed from day to day, and the order of the modes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_building import at, histories, local_index, made, real_database, twin_database

from ems.agents import BatteryAgent, GridAgent
from ems.agents.comfort import ShiftComfort
from ems.control.optimizer import GlobalOptimizer
from ems.core.mode import Mode
from ems.core.solver import Solver
from ems.economics.store_value import StoreValues
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, Infeasible, InvalidSpec, SolveError
from ems.pipelines.comparison import (
    DayRecord,
    Window,
    chains_of,
    choose_window,
    run_mode,
    summarise,
)
from ems.pipelines.parallel import run_comparison
from ems.pipelines.perfect import PerfectPlan, perfect_plan
from ems.pipelines.spec import BASELINES, MODES, PLANNED, ComparisonSpec
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building
from ems.site.meters import MeterData

DYNAMIC, FLAT = load_tariff("dynamic"), load_tariff("flat")
FIRST = date(2016, 6, 1)
SPEC = ComparisonSpec(tariff=DYNAMIC)
N_DAYS = 9
START = date(2016, 3, 24)  # the clock changes within


@cache
def building(spec: ComparisonSpec = SPEC) -> Building:
    return Building(histories(twin_database())["DE_KN_residential4"], spec.tariff, spec.assets)


def window_of(*days: date, name: str = "DE_KN_residential4") -> Window:
    return Window(building=name, days=days, skipped={})


@cache
def window() -> Window:
    return window_of(*(START + timedelta(days=i) for i in range(N_DAYS)))


@cache
def perfect() -> PerfectPlan:
    return perfect_plan(building(), SPEC, window())


@cache
def done(mode: Mode) -> tuple[DayRecord, ...]:
    if mode == "perfect_foresight":
        return perfect().records
    return tuple(run_mode(building(), SPEC, window(), mode, perfect().values))


def days_of(
    house: Building, spec: ComparisonSpec, window: Window, mode: Mode, **more: object
) -> list[DayRecord]:
    plan = perfect_plan(house, spec, window)
    if mode == "perfect_foresight":
        return list(plan.records)
    return list(run_mode(house, spec, window, mode, plan.values, **more))  # type: ignore[arg-type]


def objective_eur(records: tuple[DayRecord, ...]) -> float:
    """What a mode minimises over the window [€]."""
    return sum(record.kpis.with_wear_eur + record.kpis.discomfort_eur for record in records)


def slack_eur(*modes: Mode) -> float:
    """What the solver may miss, a day and a mode: 1e-4 of the objective and 1e-3 € [€]."""
    return sum(1e-3 * N_DAYS + 2e-4 * abs(objective_eur(done(mode))) for mode in modes)


# --- windows and chains ----------------------------------------------------------------------


def with_gap() -> Building:
    """1 to 8 June, of which 4, 5 and 8 June cannot be planned."""
    history = made(local_index(FIRST, 8))
    history.load_kwh[[80, 100, 180]] = np.nan
    return Building(history, FLAT, Assets(ev=None))


@pytest.mark.parametrize(
    ("start", "n_days", "says"),
    [
        (date(2016, 5, 31), 1, "start is 2016-05-31, allowed is 2016-06-01 to 2016-06-08"),
        (date(2016, 6, 9), 1, "start is 2016-06-09, allowed is 2016-06-01 to 2016-06-08"),
        (date(2016, 6, 4), 1, "load is not ok; the next day that can is 2016-06-06"),
        (date(2016, 6, 8), 1, "load is not ok; no later day can"),
        (FIRST, 0, "n_days is 0, allowed is 1 to 8 from 2016-06-01"),
        (FIRST, -1, "n_days is -1, allowed is 1 to 8"),
        (date(2016, 6, 7), 3, "n_days is 3, allowed is 1 to 2 from 2016-06-07"),
        (None, 9, "n_days is 9, allowed is 1 to 8 from 2016-06-01"),
    ],
)
def test_a_window_that_cannot_be(start: date | None, n_days: int, says: str) -> None:
    with pytest.raises(InvalidSpec, match=f"made_house: .*{says}"):
        choose_window(with_gap(), start, n_days)


@pytest.mark.smoke
def test_a_window_says_what_it_leaves_out() -> None:
    window = choose_window(with_gap(), None, None)
    assert [day.day for day in window.days] == [1, 2, 3, 6, 7]
    assert {day.day: reason for day, reason in window.skipped.items()} == dict.fromkeys(
        (4, 5, 8), "the building's load is not ok"
    )
    assert choose_window(with_gap(), date(2016, 6, 3), 2).days == (date(2016, 6, 3),)


@pytest.mark.parametrize(("history_days", "first"), [(0, 1), (2, 3), (4, 6), (5, 7)])
def test_without_a_start_enough_known_days_lie_before_the_first(
    history_days: int, first: int
) -> None:
    """Days 4 and 5 teach nothing."""
    assert choose_window(with_gap(), None, 1, history_days).days[0].day == first
    with pytest.raises(DataError, match="three quarters of them known; name a start"):
        choose_window(with_gap(), None, 1, 7)


def test_a_history_without_any_day_that_can_be_planned() -> None:
    history = made(local_index(FIRST, 1))
    blind = replace(history, load_kwh=np.full(24, np.nan))
    with pytest.raises(DataError, match="made_house: no day can be planned; the first: the buil"):
        choose_window(Building(blind, FLAT, Assets(ev=None)), None, 1)
    short = made(local_index(FIRST, 1)[3:])
    with pytest.raises(DataError, match="made_house: the meters cover no day from midnight to"):
        choose_window(Building(short, FLAT, Assets(ev=None)), None, 1)


@pytest.mark.parametrize(
    ("most_days", "expected"),
    [
        (None, [[1, 2, 3], [6, 7]]),
        (2, [[1, 2], [3], [6, 7]]),
        (1, [[1], [2], [3], [6], [7]]),
    ],
)
def test_chains_have_no_holes(most_days: int | None, expected: object) -> None:
    chains = chains_of(choose_window(with_gap(), None, None), most_days)
    assert [[day.day for day in chain.days] for chain in chains] == expected
    assert chains_of(window_of()) == ()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("modes", ("rule_based",), "mode is 'rule_based', allowed are decentralized, "),
        ("modes", ("centralized", "centralized"), "name each once"),
        ("lookahead_h", -1.0, "lookahead_h is -1.0, allowed is 0 to 24"),
        ("lookahead_h", 24.5, "lookahead_h is 24.5, allowed is 0 to 24"),
        ("lookahead_h", float("nan"), "lookahead_h is nan, allowed is 0 to 24"),
    ],
)
def test_what_cannot_be_compared(field: str, value: object, says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        replace(SPEC, **{field: value})


# --- the chain of days -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "as_metered"])
def test_stores_go_on_where_they_were(mode: Mode) -> None:
    records = done(mode)
    assert tuple(record.day for record in records) == window().days
    assert {record.mode for record in records} == {mode}
    for before, after in pairwise(records):
        for name in ("battery", "ev"):
            left_kwh = before.schedule.plans[name].series["soc_kwh"][-1]
            agent = next(a for a in after.schedule.agents if a.name == name)
            assert agent.initial_soc_kwh == pytest.approx(left_kwh, abs=1e-8)  # type: ignore[attr-defined]
    lengths = [record.schedule.horizon.n_steps for record in records]
    assert lengths == [24, 24, 24, 23, *[24] * 5]


def test_planning_together_is_never_dearer_than_apart_from_the_same_state() -> None:
    problem = building().problem([START], lookahead_h=24.0)
    optimizer = GlobalOptimizer(problem.agents, problem.grid)
    together = optimizer.optimize_centralized(problem.horizon)
    apart = optimizer.optimize_decentralized(problem.horizon)
    assert together.objective_eur <= apart.objective_eur + together.gap_eur + 1e-6


def test_knowing_the_whole_window_is_never_dearer() -> None:
    for mode in PLANNED:
        least_eur = objective_eur(done("perfect_foresight"))
        assert least_eur <= objective_eur(done(mode)) + slack_eur("perfect_foresight")


def test_phases_with_the_same_knowledge_cost_the_same() -> None:
    phases, whole = objective_eur(done("centralized_phases")), objective_eur(done("centralized"))
    assert phases == pytest.approx(whole, abs=slack_eur("centralized", "centralized_phases"))


@pytest.mark.real_data
def test_the_order_of_the_modes_on_real_days(shared_data: Path) -> None:
    for name, start in [("DE_KN_residential4", START), ("DE_KN_residential6", date(2016, 8, 1))]:
        history = histories(real_database(shared_data))[name]
        house = Building(history, SPEC.tariff, SPEC.assets)
        week = choose_window(house, start, 7)
        plan = perfect_plan(house, SPEC, week)
        found = {
            mode: tuple(run_mode(house, SPEC, week, mode, plan.values))
            for mode in SPEC.all_modes
            if mode != "perfect_foresight"
        }
        found["perfect_foresight"] = plan.records
        eur = {mode: objective_eur(records) for mode, records in found.items()}
        slack = 7 * 1e-3 + 4e-4 * abs(eur["centralized"])
        assert eur["perfect_foresight"] <= min(eur[mode] for mode in PLANNED) + slack
        assert eur["centralized_phases"] == pytest.approx(eur["centralized"], abs=slack)
        assert eur["centralized"] <= eur["decentralized"] + slack


def test_a_demand_charge_is_paid_once() -> None:
    """The same peak of 2 kW on two days is paid on the first."""
    index = local_index(FIRST, 2)
    loads = {"fridge": at(index, ("2016-06-01 19:00", 1, 1.6), ("2016-06-02 19:00", 1, 1.6))}
    assets = Assets(battery=None, ev=None, grid=GridAgent(demand_charge_eur_per_kw=5.0))
    spec = replace(SPEC, assets=assets, modes=("centralized",))
    records = list(run_comparison(made(index, loads), spec, n_days=None))
    for mode in spec.all_modes:
        paid = [r.kpis.demand_charge_eur for r in records if r.mode == mode]
        assert paid == pytest.approx([10.0, 0.0])


def test_what_comes_later_changes_no_day_before() -> None:
    """Other prices and loads after the second day leave the first, which looks 24 h, as it was."""
    history = histories(twin_database())["DE_KN_residential4"]
    known = int(np.searchsorted(history.ts_utc, np.datetime64("2016-03-25T23:00")))
    later = np.arange(len(history.ts_utc)) >= known
    other = replace(
        history,
        price_eur_per_mwh=np.where(later, -50.0, history.price_eur_per_mwh),
        load_kwh=np.where(later, 2 * history.load_kwh, history.load_kwh),
    )
    three = window_of(*window().days[:3])
    values = perfect().values  # what is left at the end is worth what it was
    for mode in PLANNED:
        house = Building(other, SPEC.tariff, SPEC.assets)
        found = list(run_mode(house, SPEC, three, mode, values))
        first, same = done(mode)[0].schedule.plans, found[0].schedule.plans
        for name, plan in first.items():
            assert np.array_equal(plan.net_load_kw, same[name].net_load_kw), (mode, name)
        assert found[2].kpis.cost_eur != done(mode)[2].kpis.cost_eur


def test_a_run_is_repeated_to_the_bit() -> None:
    for mode in ("decentralized", "centralized_phases"):
        again = tuple(run_mode(building(), SPEC, window(), mode, perfect().values))
        for one, two in zip(done(mode), again, strict=True):
            for name, plan in one.schedule.plans.items():
                assert np.array_equal(plan.net_load_kw, two.schedule.plans[name].net_load_kw)


# --- cars that come late, comfort, errors ------------------------------------------------------


def test_a_second_session_at_the_deadline_has_a_plan() -> None:
    """Charged in the evening and again from 5 to 9 h: by 7 h it is as full as its people had it."""
    index = local_index(FIRST, 3)
    sessions = [("2016-06-01 20:00", 3, 5.0), ("2016-06-02 05:00", 4, 5.0)]
    house = made(index, {"ev": at(index, *sessions)})
    spec = replace(SPEC, assets=Assets(battery=None))
    records = list(run_comparison(house, spec, n_days=None))
    drawn = {
        mode: sum(r.schedule.plans["ev"].net_load_kw.sum() for r in records if r.mode == mode)
        for mode in spec.all_modes
    }
    assert drawn == pytest.approx(dict.fromkeys(spec.all_modes, 35.0), abs=1e-3)


@pytest.mark.parametrize("mode", ["centralized", "perfect_foresight"])
def test_three_phases_end_as_full_as_their_promise_lets_them(mode: Mode) -> None:
    """A car that comes home before the window's end after a night that gave 95 % of the need."""
    spec = replace(SPEC, assets=Assets(ev=EVSpec(strategy="three_phase")))
    days = tuple(date(2016, 12, 4) + timedelta(days=i) for i in range(28))
    records = days_of(building(spec), spec, window_of(*days), mode)
    assert len(records) == 28
    soc_kwh = records[-1].schedule.plans["ev"].series["soc_kwh"]
    assert 35.0 < soc_kwh[-1] < 60.0


def test_comfort_is_asked_for_each_day() -> None:
    index = local_index(FIRST, 2)
    loads = {"dishwasher": at(index, ("2016-06-01 19:00", 2, 1.0), ("2016-06-02 19:00", 2, 1.0))}
    pv = at(index, ("2016-06-01 10:00", 3, 3.0), ("2016-06-02 10:00", 3, 3.0))
    spec = replace(SPEC, assets=Assets(battery=None, ev=None))
    house = Building(made(index, loads, pv_kwh=pv), spec.tariff, spec.assets)
    both = window_of(FIRST, date(2016, 6, 2), name="made_house")
    prices = {FIRST: ShiftComfort(eur_per_h=0.0), date(2016, 6, 2): ShiftComfort(eur_per_h=1.0)}
    records = days_of(house, spec, both, "centralized", comfort_of=prices.__getitem__)
    assert [record.kpis.mean_shift_h > 5 for record in records] == [True, False]


def limited(history: MeterData) -> ComparisonSpec:
    most_kw = float(np.max(history.load_kwh)) / history.step_h - 0.5
    grid = GridAgent(max_import_kw=most_kw)
    return ComparisonSpec(tariff=FLAT, assets=Assets(battery=None, ev=None, grid=grid))


@pytest.mark.parametrize("mode", [*PLANNED, "perfect_foresight"])
def test_what_cannot_be_planned_names_building_day_and_mode(mode: Mode) -> None:
    index = local_index(FIRST, 2)
    history = made(index, {"fridge": at(index, ("2016-06-02 19:00", 1, 3.0))})
    spec = limited(history)
    house = Building(history, spec.tariff, spec.assets)
    days = (FIRST, date(2016, 6, 2))[mode == "decentralized" :]
    window = window_of(*days, name="made_house")
    day = FIRST if mode == "perfect_foresight" else days[-1]
    nothing = StoreValues(eur_per_kwh={}, past_eur_per_kwh={}, hour=house.view.hour)

    def plan() -> None:
        if mode == "perfect_foresight":
            perfect_plan(house, spec, window)
        else:
            list(run_mode(house, replace(spec, lookahead_h=0.0), window, mode, nothing))

    with pytest.raises(SolveError, match=f"^made_house {day} {mode}: .*0.5") as error:
        plan()
    if isinstance(error.value, Infeasible):
        assert list(error.value.shortfalls) == ["grid.import_limit"]


def test_too_little_time_is_said() -> None:
    spec = replace(SPEC, solver=Solver(time_limit_s=1e-4))
    says = r"^DE_KN_residential4 2016-03-24 centralized: solver HiGHS: .*time limit 0.0001 s"
    with pytest.raises(SolveError, match=says):
        list(run_mode(building(), spec, window(), "centralized", perfect().values))


# --- the table ---------------------------------------------------------------------------------


def test_a_row_for_each_mode_against_both_baselines() -> None:
    records = [record for mode in reversed(SPEC.all_modes) for record in done(mode)]
    summaries = summarise([record.result for record in records])
    assert [summary.mode for summary in summaries] == list(SPEC.all_modes)
    for summary in summaries:
        assert set(summary.against) == set(BASELINES) - {summary.mode}
        assert summary.kpis.days == pytest.approx((24 * N_DAYS - 1) / 24)
        assert summary.kpis.cost_eur == pytest.approx(
            sum(record.kpis.cost_eur for record in done(summary.mode))
        )
    by_mode = {summary.mode: summary for summary in summaries}
    saved = by_mode["centralized"].against["as_metered"]
    assert saved.savings_eur == pytest.approx(
        by_mode["as_metered"].kpis.cost_eur - by_mode["centralized"].kpis.cost_eur
    )
    assert saved.savings_eur > 0


def test_the_pipeline_is_its_modes_and_each_chain_starts_as_specified() -> None:
    spec = ComparisonSpec(
        tariff=FLAT,
        assets=Assets(battery=BatteryAgent(capacity_kwh=5.0, initial_soc_kwh=2.0), ev=EVSpec()),
        modes=("centralized",),
    )
    history = made(local_index(FIRST, 4))
    history.load_kwh[60] = np.nan  # on the third day
    records = list(run_comparison(history, spec, n_days=None))
    found = [(record.day.day, record.mode) for record in records]
    assert found == [(day, mode) for mode in spec.all_modes for day in (1, 2, 4)]
    for record in records:
        battery = next(a for a in record.schedule.agents if a.name == "battery")
        if record.day.day in (1, 4):
            assert battery.stored_kwh() == {"soc": 2.0}
