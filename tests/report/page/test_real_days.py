"""Real days whose reasons are checked by another road: what one Wh more or less really costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from small_building import histories, real_database

from ems.agents import Agent, BaseLoadAgent, DiscretePhaseDevice
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.solver import Solver
from ems.economics.tariff_file import load_tariff
from ems.report.page.explain import ExplainedDay, explain_day
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.task import PlanningTask

pytestmark = pytest.mark.real_data
SOLVER = Solver(mip_gap=0.0, mip_gap_eur=0.0)
WINTER, SUMMER = date(2016, 12, 11), date(2016, 7, 5)
AUTUMN, SPRING = date(2016, 10, 30), date(2016, 3, 27)


@cache
def building(shared_data: Path) -> Building:
    history = histories(real_database(shared_data))["DE_KN_residential4"]
    return Building(history, load_tariff("dynamic"), Assets())


@cache
def explained(shared_data: Path, day: date) -> tuple[PlanningTask, ExplainedDay]:
    problem = building(shared_data).problem([day], lookahead_h=24)
    return problem, explain_day(problem, SOLVER)


def cost_eur(problem: PlanningTask, agents: Sequence[Agent]) -> float:
    return (
        GlobalOptimizer(agents, problem.grid, SOLVER)
        .optimize_centralized(problem.horizon)
        .objective_eur
    )


def with_runs_in_place(plan: DispatchPlan) -> list[Agent]:
    """The agents without the grid, every run where the plan put it."""
    agents: list[Agent] = []
    for agent in plan.agents[:-1]:
        if isinstance(agent, DiscretePhaseDevice):
            starts = np.rint(plan.plans[agent.name].series["started"]).tolist()
            at = {cycle.number: starts.index(cycle.number) for cycle in agent.cycles}
            cycles = tuple(
                replace(cycle, earliest=at[cycle.number], latest=at[cycle.number])
                for cycle in agent.cycles
            )
            agent = replace(agent, cycles=cycles)
        agents.append(agent)
    return agents


def drawing_more(agents: Sequence[Agent], t: int, more_kw: float) -> list[Agent]:
    changed: list[Agent] = []
    for agent in agents:
        if isinstance(agent, BaseLoadAgent):
            load_kw = agent.load_kw.copy()
            load_kw[t] += more_kw
            agent = replace(agent, load_kw=load_kw)
        changed.append(agent)
    return changed


@pytest.mark.parametrize("day", [WINTER, SUMMER, AUTUMN, SPRING])
def test_what_a_kwh_is_worth_is_what_it_costs_and_saves(shared_data: Path, day: date) -> None:
    problem, told = explained(shared_data, day)
    plan = GlobalOptimizer(problem.agents, problem.grid, SOLVER).optimize_centralized(
        problem.horizon
    )
    agents, little_kw = with_runs_in_place(plan), 1e-3
    before_eur = cost_eur(problem, agents)
    for t, hour in enumerate(told.hours):
        less_eur = before_eur - cost_eur(problem, drawing_more(agents, t, -little_kw))
        more_eur = cost_eur(problem, drawing_more(agents, t, little_kw)) - before_eur
        low_ct, high_ct = 100 * less_eur / little_kw, 100 * more_eur / little_kw
        assert low_ct - 1e-3 <= hour.worth_ct <= high_ct + 1e-3, hour.clock


def test_the_clock_of_the_long_and_the_short_day(shared_data: Path) -> None:
    _, autumn = explained(shared_data, AUTUMN)
    clocks = [hour.clock for hour in autumn.hours]
    assert len(clocks) == 25
    assert clocks[1:5] == ["01:00", "02:00 CEST", "02:00 CET", "03:00"]
    _, spring = explained(shared_data, SPRING)
    clocks = [hour.clock for hour in spring.hours]
    assert len(clocks) == 23
    assert clocks[1:3] == ["01:00", "03:00"]
