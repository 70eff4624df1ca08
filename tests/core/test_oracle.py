"""Plans against an independent model of the same agents; see ``oracle``.

The oracle has an exclusivity binary in every step where ``ems`` leaves out those that prices prove
needless, so each agreement also shows that leaving them out is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from oracle import broken_rules, cheapest_eur, cost_eur
from strategies import Case, cases, make_case

from ems.agents import Agent, BatteryAgent, EVAgent, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.program import Program, Solution
from ems.core.solver import Solver
from ems.economics.tariff_file import load_tariff
from ems.errors import Infeasible
from ems.pipelines.comparison import choose_window, run_mode
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building
from ems.site.task import PlanningTask
from ems.store.build import build_database
from ems.store.connection import get_con
from ems.store.ingest.opsd import read_opsd, read_weather
from ems.store.read import list_buildings, read_history

N_REAL_DAYS = 112


def agrees(found: DispatchPlan | Solution, least_eur: float | None) -> None:
    """The objective is within the solver's gap of the oracle's, and its bound is no higher."""
    assert least_eur is not None
    size = abs(found.objective_eur)
    assert found.objective_eur <= least_eur + max(1e-3, 1e-4 * size) + 1e-4
    assert found.objective_eur >= least_eur - 1e-4 - 1e-6 * size
    assert found.bound_eur <= least_eur + 1e-4 + 1e-6 * size


@settings(max_examples=150)
@given(cases())
def test_one_program_agrees(case: Case) -> None:
    found = GlobalOptimizer(case.agents, case.grid).optimize_centralized(case.horizon)
    agrees(found, cheapest_eur(case.horizon, case.agents, case.grid))


@pytest.mark.smoke
@pytest.mark.parametrize("prices", ["usual", "negative", "export_above"])
@pytest.mark.parametrize("device", ["battery", "v2g", "machine", "switched_heat_pump", "sun"])
def test_each_agent_alone_agrees(device: str, prices: str) -> None:
    for seed in range(3):
        case = make_case(seed, devices=(device,), prices=prices, n_steps=12)  # type: ignore[arg-type]
        load, agent = case.agents
        program = Program(case.horizon, announced_kw=load.unplanned(case.horizon).net_load_kw)
        program.add(agent)
        program.add(case.grid)
        found = program.solve(Solver())
        agrees(found, cheapest_eur(case.horizon, case.agents, case.grid))


@settings(max_examples=60)
@given(cases(most_steps=12))
def test_limits_that_bind_agree(case: Case) -> None:
    """A connection just too small for the plan without limits: both find the same or none."""
    free = GlobalOptimizer(case.agents, case.grid).optimize_centralized(case.horizon)
    flow_kw = free.plans["grid"].net_load_kw
    tight = GridAgent(
        max_import_kw=0.8 * float(np.max(-flow_kw, initial=0.0)),
        max_export_kw=0.8 * float(np.max(flow_kw, initial=0.0)),
        demand_charge_eur_per_kw=case.grid.demand_charge_eur_per_kw,
    )
    least_eur = cheapest_eur(case.horizon, case.agents, tight)
    try:
        found = GlobalOptimizer(case.agents, tight).optimize_centralized(case.horizon)
    except Infeasible:
        assert least_eur is None
    else:
        agrees(found, least_eur)
        assert broken_rules(found) == []


def test_the_oracle_by_hand() -> None:
    """Two optima of ``agents/test_by_hand.py``: 0.4916049 with losses, −2.645 with V2G."""
    prices = Horizon(
        start_utc=np.datetime64("2016-05-31T22:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array([0.10, 0.30, 0.10, 0.30]),
        export_eur_per_kwh=np.full(4, 0.08),
    )
    battery = BatteryAgent(
        capacity_kwh=10.0, round_trip_efficiency=0.81, initial_soc_kwh=0.0, wear_eur_per_kwh=0.01
    )
    least_eur = cheapest_eur(prices, [battery], GridAgent(), announced_kw=1.0)
    assert least_eur == pytest.approx(0.4916049, abs=1e-6)
    car = EVAgent(
        trip_kwh=np.zeros(2),
        plugged_in=np.ones(2, dtype=bool),
        min_soc_kwh=np.zeros(2),
        max_soc_kwh=np.full(2, 60.0),
        max_charge_kw=10.0,
        max_discharge_kw=10.0,
        efficiency=0.9,
        initial_soc_kwh=30.0,
    )
    trade = Horizon(
        start_utc=np.datetime64("2016-05-31T22:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array([0.10, 0.50]),
        export_eur_per_kwh=np.array([0.0, 0.45]),
    )
    assert cheapest_eur(trade, [car], GridAgent()) == pytest.approx(-2.645, abs=1e-6)


# --- real building-days ------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("real") / "ems_data.duckdb"
    readings = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    prices = shared_data / "prices" / "de_day_ahead_2015_2020_utc.csv.gz"
    weather = read_weather(shared_data / "weather" / "de_2015_2019.csv.gz")
    build_database(replace(read_opsd(readings, prices), weather=weather), target)
    return target


@pytest.fixture(scope="module")
def real_building(real_store: Path) -> Building:
    """The building with a metered car, charged under the three-phase strategy."""
    with get_con(real_store) as con:
        history = read_history(con, "DE_KN_residential4")
    return Building(history, load_tariff("dynamic"), Assets(ev=EVSpec(strategy="three_phase")))


@pytest.fixture(scope="module")
def real_days(real_store: Path) -> list[tuple[str, PlanningTask]]:
    """Random plannable days of all seven buildings, two tariffs, with and without V2G."""
    rng, days = np.random.default_rng(20160601), []
    with get_con(real_store) as con:
        for name in list_buildings(con):
            history = read_history(con, name)
            for tariff in ("dynamic", "spot"):
                ev = EVSpec(max_discharge_kw=float(rng.choice([0.0, 7.0])))
                assets = Assets(ev=ev, curtailable_pv=tariff == "spot")
                building = Building(history, load_tariff(tariff), assets)
                known = np.array(building.plannable_days)
                chosen: Sequence[date] = rng.choice(known, N_REAL_DAYS // 14, replace=False)
                days += [(f"{name} {day} {tariff}", building.problem([day])) for day in chosen]
    assert len(days) == N_REAL_DAYS
    return days


@pytest.mark.real_data
def test_real_days_in_one_program(real_days: list[tuple[str, PlanningTask]]) -> None:
    kinds: set[type[Agent]] = set()
    for label, day in real_days:
        found = GlobalOptimizer(day.agents, day.grid).optimize_centralized(day.horizon)
        least_eur = cheapest_eur(day.horizon, day.agents, day.grid)
        try:
            agrees(found, least_eur)
            assert broken_rules(found) == []
            assert cost_eur(found) == pytest.approx(found.objective_eur, abs=1e-4)
        except AssertionError as error:
            raise AssertionError(label) from error
        kinds |= {type(agent) for agent in day.agents}
    assert len(kinds) == 6, "the sample must hold every kind of agent"


@pytest.mark.real_data
def test_real_days_agent_by_agent(real_days: list[tuple[str, PlanningTask]]) -> None:
    """Each program of ``decentralized``: the agent, what is announced so far, the grid."""
    for label, day in real_days:
        announced_kw = np.zeros(day.horizon.n_steps)
        for agent in sorted(day.agents, key=lambda agent: not agent.fixed):
            if agent.fixed:
                announced_kw = announced_kw + agent.unplanned(day.horizon).net_load_kw
                continue
            found = agent.plan_alone(day.horizon, day.grid, announced_kw, Solver())
            try:
                agrees(found, cheapest_eur(day.horizon, [agent], day.grid, announced_kw))
            except AssertionError as error:
                raise AssertionError(f"{label} {agent.name}") from error
            announced_kw = announced_kw + found.plans[agent.name].net_load_kw


@pytest.mark.real_data
def test_real_days_phase_by_phase(real_days: list[tuple[str, PlanningTask]]) -> None:
    """Each program of ``centralized_phases``: the rest of the day from the state reached."""
    for label, day in real_days:
        agents, grid, rest = day.agents, day.grid, day.horizon
        while rest.n_steps > 6:
            plan = GlobalOptimizer(agents, grid).optimize_centralized(rest)
            *agents, grid = plan.after(6)  # type: ignore[assignment]
            rest = rest.window(6, rest.n_steps)
            found = GlobalOptimizer(agents, grid).optimize_centralized(rest)
            try:
                agrees(found, cheapest_eur(rest, agents, grid, slack_kwh=2e-6))
            except AssertionError as error:
                raise AssertionError(f"{label} {rest.local[0]}") from error


@pytest.mark.real_data
def test_real_chains_under_the_three_phase_strategy(real_building: Building) -> None:
    """Days handed on with a car at 95 % can always be planned, to the end of the chain."""
    spec = ComparisonSpec(tariff=real_building.tariff, assets=real_building.assets)
    window = choose_window(real_building, date(2015, 10, 11), 26)
    values = perfect_plan(real_building, spec, window).values
    records = list(run_mode(real_building, spec, window, "centralized_phases", values))
    assert [record.day for record in records] == list(window.days)
