"""A community's day on forecasts: homes plan with what they know, and what happens is settled.

Every ``REPLAN_H`` hours each home believes what comes; alone it plans by itself, in common all plan
on one bus, from the same beliefs. Until the next plan its real devices follow their set-points, and
its battery balances what comes otherwise. A charge left beyond the day ahead has no value in these
plans: they end as full as they began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from ems.agents import Agent, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.home import HomeAgent
from ems.community.community import Community, CommunityMode, CommunityPlan
from ems.control.execution import DayToPlan, believed, execute, instants, whole_day
from ems.control.optimizer import GlobalOptimizer
from ems.core.solver import Solver
from ems.economics.tariff import Tariff
from ems.forecast.information import Information
from ems.pipelines.comparison import Window
from ems.pipelines.forecasting import known_on
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.task import PlanningTask

REPLAN_H = 6.0
LOOKAHEAD_H = 24.0
Known = Mapping[str, Mapping[date, Information]]
"""Home -> day -> what its plans are made from."""
States = Mapping[str, Mapping[str, Agent]]


def what_is_known(
    buildings: Sequence[Building],
    tariff: Tariff,
    assets: Assets,
    window: Window,
    forecaster: str = "learned",
) -> Known:
    """What every home knows on every day. Raises ``DataError`` for too little history."""
    spec = ComparisonSpec(
        tariff=tariff,
        assets=assets,
        foresight="forecast",
        forecaster=forecaster,
        lookahead_h=LOOKAHEAD_H,
    )
    return {building.history.building: known_on(building, spec, window) for building in buildings}


def lived_day(
    buildings: Sequence[Building],
    known: Known,
    day: date,
    states: States,
    mode: CommunityMode,
    *,
    fee_eur_per_kwh: float,
    solver: Solver,
) -> CommunityPlan:
    """What happens on a day; ``mode``: ``forecast_alone`` or ``forecast_together``."""
    names = [building.history.building for building in buildings]
    live = {
        name: DayToPlan(
            day=day, lookahead_h=LOOKAHEAD_H, state=states.get(name, {}), left=None, comfort=None
        )
        for name in names
    }
    real = {
        name: _real(building, known[name][day], live[name])
        for name, building in zip(names, buildings, strict=True)
    }
    first_task = real[names[0]]
    starts = instants(first_task.horizon, first_task.n_committed, "centralized_phases", REPLAN_H)
    now = {name: (task.agents, task.grid) for name, task in real.items()}
    parts: dict[str, list[DispatchPlan]] = {name: [] for name in names}
    for first, end in zip(starts, (*starts[1:], first_task.n_committed), strict=True):
        tasks = {
            name: believed(building, known[name][day], live[name], first, *now[name])
            for name, building in zip(names, buildings, strict=True)
        }
        plans = _planned(tasks, mode, fee_eur_per_kwh, solver)
        last = end == first_task.n_committed
        for name, plan in plans.items():
            rest = real[name].horizon.window(first, real[name].horizon.n_steps)
            part = execute(plan, *now[name], rest, "balance")
            parts[name].append(part if last else part.window(0, end - first))
            if not last:
                *others, _ = part.after(end - first)
                grid = now[name][1].after(part.plans[now[name][1].name], end - first)
                now[name] = tuple(others), grid
    done = {name: whole_day("centralized_phases", real[name], parts[name]) for name in names}
    return _community_plan(mode, real, done, fee_eur_per_kwh)


def _real(building: Building, information: Information, live: DayToPlan) -> PlanningTask:
    """What really comes, with runs of machines hidden as the forecast hides them."""
    return building.problem(
        [live.day],
        lookahead_h=live.lookahead_h,
        state=live.state,
        course=replace(building.truth, runs_foreseen=information.runs_foreseen),
    )


def _planned(
    tasks: Mapping[str, PlanningTask], mode: CommunityMode, fee_eur_per_kwh: float, solver: Solver
) -> dict[str, DispatchPlan]:
    """The plan of every home, each alone or all on one bus."""
    if mode == "forecast_alone":
        return {
            name: GlobalOptimizer(task.agents, task.grid, solver).optimize_centralized(task.horizon)
            for name, task in tasks.items()
        }
    homes = [
        HomeAgent(name=name, agents=task.agents, meter=task.grid) for name, task in tasks.items()
    ]
    horizon = next(iter(tasks.values())).horizon
    community = Community(homes, fee_eur_per_kwh=fee_eur_per_kwh, solver=solver)
    whole = community.optimize_together(horizon)
    return {home.name: whole.of_home(home, horizon) for home in whole.homes}


def _community_plan(
    mode: CommunityMode,
    real: Mapping[str, PlanningTask],
    done: Mapping[str, DispatchPlan],
    fee_eur_per_kwh: float,
) -> CommunityPlan:
    """What all homes did, as a plan that can be settled."""
    homes = tuple(
        HomeAgent(name=name, agents=task.agents, meter=task.grid, fee_eur_per_kwh=fee_eur_per_kwh)
        for name, task in real.items()
    )
    return CommunityPlan(
        mode=mode,
        horizon=next(iter(done.values())).horizon,
        homes=homes,
        connection=GridAgent(),
        plans={
            home.name: home.of_parts(
                {agent.name: done[home.name].plans[agent.name] for agent in home.agents}
            )
            for home in homes
        },
        shared=mode == "forecast_together",
    )
