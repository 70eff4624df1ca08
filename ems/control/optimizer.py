"""``GlobalOptimizer``: the three modes, which differ only in which agents share a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ems.agents.base import Agent, named_twice
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.grid import GridAgent
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import TOLERANCE, Plan
from ems.core.program import Program, Solution, StoreDuals
from ems.core.scenario_program import ScenarioProgram
from ems.core.solver import Solver
from ems.errors import InvalidSpec, SolveError
from ems.types import Floats


class GlobalOptimizer:
    """Plans a group of agents behind one grid connection.

    Every ``optimize_…`` returns an audited ``DispatchPlan`` over the whole horizon, mutates
    nothing, and raises ``Infeasible`` (with the broken rules) or ``SolveError`` (no proven optimum,
    failed audit). ``to_pulp`` returns the program for reading, writing or solving with PuLP:

    >>> from ems.agents import BaseLoadAgent, GridAgent
    >>> horizon = Horizon(
    ...     start_utc=np.datetime64("2016-06-01T00:00"), step_h=1.0,
    ...     import_eur_per_kwh=np.array([0.30, 0.20]), export_eur_per_kwh=np.array([0.08, 0.08]),
    ... )
    >>> optimizer = GlobalOptimizer(
    ...     [BaseLoadAgent(name="base_load", load_kw=np.array([1.0, 2.0]))], GridAgent()
    ... )
    >>> round(optimizer.optimize_centralized(horizon).objective_eur, 2)
    0.7
    >>> problem = optimizer.to_pulp(horizon)
    >>> sorted(variable.name for variable in problem.variables())[:3]
    ['grid.export_kw_0', 'grid.export_kw_1', 'grid.import_kw_0']
    >>> import pulp
    >>> result = problem.solve(pulp.HiGHS(msg=False))
    >>> round(pulp.value(problem.objective), 2)
    0.7
    """

    def __init__(
        self, agents: Sequence[Agent], grid: GridAgent, solver: Solver | None = None
    ) -> None:
        taken = named_twice(agent.name for agent in (*agents, grid))
        if taken is not None:
            raise InvalidSpec(f"agent {taken}: the name is taken, give every agent its own")
        self.agents = tuple(agents)
        self.grid = grid
        self.solver = solver or Solver()

    def optimize_centralized(self, horizon: Horizon) -> DispatchPlan:
        """All agents and the grid in one program."""
        return self._central(horizon, self._program(horizon).solve(self.solver))

    def optimize_with_values(self, horizon: Horizon) -> tuple[DispatchPlan, StoreDuals]:
        """``optimize_centralized``, and the value of a kWh in each store before each step.

        Agent -> rule of the store -> λ [€/kWh], shape ``(n_steps,)``; see
        ``Program.solve_with_values``.
        """
        solution, values = self._program(horizon).solve_with_values(self.solver)
        return self._central(horizon, solution), values

    def optimize_with_price(self, horizon: Horizon) -> tuple[DispatchPlan, Floats]:
        """``optimize_centralized``, and what a kWh on the bus is worth in each step [€/kWh]."""
        solution, price = self._program(horizon).solve_with_price(self.solver)
        return self._central(horizon, solution), price

    def convex(self, horizon: Horizon) -> bool:
        """Whether the program has no binary, so that any mix of two of its plans is a plan."""
        return not self._program(horizon).matrix().integer.any()

    def _central(self, horizon: Horizon, solution: Solution) -> DispatchPlan:
        schedule = DispatchPlan(
            mode="centralized",
            horizon=horizon,
            agents=(*self.agents, self.grid),
            plans=solution.plans,
            objective_eur=solution.objective_eur,
            bound_eur=solution.bound_eur,
            build_s=solution.build_s,
            solver_s=solution.solver_s,
        )
        schedule.audit()
        return schedule

    def to_pulp(self, horizon: Horizon) -> Any:
        """The program of ``optimize_centralized`` as a ``pulp.LpProblem``.

        Its variables are named ``agent.variable_step`` and its constraints ``agent.rule_step``.
        """
        return self._program(horizon).to_pulp()

    def optimize_decentralized(self, horizon: Horizon) -> DispatchPlan:
        """Each agent alone, in the given order, knowing the tariff and the load announced so far.

        Fixed agents announce first, curtailable generation decides last. The meter settles the sum.
        """
        plans: dict[str, Plan] = {}
        announced_kw, build_s, solver_s = np.zeros(horizon.n_steps), 0.0, 0.0
        for agent in sorted(self.agents, key=_turn):
            if agent.fixed:
                plans[agent.name] = agent.unplanned(horizon)
            else:
                solution = agent.plan_alone(horizon, self.grid, announced_kw, self.solver)
                plans[agent.name] = solution.plans[agent.name]
                build_s, solver_s = build_s + solution.build_s, solver_s + solution.solver_s
            announced_kw = announced_kw + plans[agent.name].net_load_kw
        # Each agent planned against its own grid; only the sum has a real bill.
        plans[self.grid.name] = self.grid.settle(announced_kw)
        schedule = self._priced("decentralized", horizon, plans, build_s, solver_s)
        schedule.audit()
        return schedule

    def optimize_phases_centralized(
        self, horizon: Horizon, *, phase_h: float = 6.0, n_committed: int | None = None
    ) -> DispatchPlan:
        """Plan the rest, execute one phase, hand over the state, and plan again.

        ``phase_h``: length of a phase from local midnight [h]. ``n_committed``: steps to execute;
        the rest is look-ahead only (default: all are executed).
        """
        if not 0 < phase_h <= 24:
            raise InvalidSpec(f"phases: phase_h is {phase_h}, allowed is 0 < phase_h <= 24")
        last = horizon.n_steps if n_committed is None else n_committed
        if not 1 <= last <= horizon.n_steps:
            raise InvalidSpec(
                f"phases: n_committed is {n_committed}, allowed is 1 to {horizon.n_steps}"
            )
        starts = [first for first in phase_starts(horizon, phase_h) if first < last]
        parts: list[DispatchPlan] = []
        current = self
        # The last phase includes the look-ahead, so that the joined plan covers the horizon.
        for first, end in zip(starts, [*starts[1:], horizon.n_steps], strict=True):
            rest = horizon.window(first, horizon.n_steps)
            plan = current.optimize_centralized(rest)
            parts.append(plan.window(0, end - first))
            if end < horizon.n_steps:
                *agents, _ = plan.after(end - first)
                grid = current.grid.after(plan.plans[current.grid.name], end - first)
                current = GlobalOptimizer(agents, grid, self.solver)
        plans = {a.name: joined(a.name, parts) for a in (*self.agents, self.grid)}
        build_s, solver_s = sum(p.build_s for p in parts), sum(p.solver_s for p in parts)
        schedule = self._priced("centralized_phases", horizon, plans, build_s, solver_s)
        schedule.audit()
        return schedule

    def optimize_hedged(
        self,
        horizon: Horizon,
        scenarios: Sequence[Sequence[Agent]],
        n_first: int,
        *,
        stores_follow: bool = False,
    ) -> DispatchPlan:
        """One decision for the first ``n_first`` steps, and a recourse for each scenario after
        them.

        ``scenarios``: equally likely; each lists the agents that replace those of the same name.
        With ``stores_follow`` stores balance deviations instead of keeping to set-points.
        Returns the plan of the first scenario; all scenarios agree on the set-points of the first
        ``n_first`` steps. Its ``bound_eur`` is not proven, since the optimum is that of the mean
        over all scenarios.
        """
        worlds = tuple(self._world(scenario) for scenario in scenarios)
        program = ScenarioProgram(
            horizon=horizon, worlds=worlds, n_first=n_first, stores_follow=stores_follow
        )
        solutions = program.solve(self.solver)
        build_s, solver_s = sum(s.build_s for s in solutions), sum(s.solver_s for s in solutions)
        schedules = [
            GlobalOptimizer(world[:-1], self.grid, self.solver)._priced(
                "centralized", horizon, dict(solution.plans), build_s, solver_s
            )
            for world, solution in zip(worlds, solutions, strict=True)
        ]
        for schedule in schedules:
            schedule.audit()
        mean_eur = float(np.mean([schedule.objective_eur for schedule in schedules]))
        said_eur = solutions[0].objective_eur
        # The solver's objective is the mean over the scenarios, so compare it with the recomputed
        # mean.
        if not abs(mean_eur - said_eur) <= TOLERANCE * max(1.0, abs(mean_eur)):
            raise SolveError(
                f"the hedged plan fails its audit: its scenarios cost {mean_eur:.6f} € in the "
                f"mean, the solver said {said_eur:.6f} €"
            )
        return schedules[0]

    def _program(self, horizon: Horizon) -> Program:
        """All agents and the grid in one program."""
        program = Program(horizon)
        for agent in (*self.agents, self.grid):
            program.add(agent)
        return program

    def _world(self, scenario: Sequence[Agent]) -> tuple[Agent, ...]:
        """The agents of one scenario, the grid last."""
        others = {agent.name: agent for agent in scenario}
        own = [others.pop(agent.name, agent) for agent in self.agents]
        return (*own, *others.values(), self.grid)

    def _priced(
        self, mode: Mode, horizon: Horizon, plans: dict[str, Plan], build_s: float, solver_s: float
    ) -> DispatchPlan:
        """A plan whose objective is recomputed from its numbers."""
        schedule = DispatchPlan(
            mode=mode,
            horizon=horizon,
            agents=(*self.agents, self.grid),
            plans=plans,
            objective_eur=np.nan,
            build_s=build_s,
            solver_s=solver_s,
        )
        return replace(schedule, objective_eur=sum(schedule.costs_eur().values()))


def _turn(agent: Agent) -> int:
    """Fixed agents first, curtailable generation last."""
    if agent.fixed:
        return 0
    return 2 if agent.kind == "generation" else 1


def phase_starts(horizon: Horizon, phase_h: float) -> list[int]:
    """The steps in which a phase of ``phase_h`` local hours begins, starting with 0."""
    day = horizon.wall_clock.astype("datetime64[D]").astype(np.int64)
    # Day number as well, so that equal phases of two days differ; 10,000 exceeds any phase number.
    phase = day * 10_000 + np.floor(horizon.local_hour / phase_h)
    return [0, *(np.flatnonzero(np.diff(phase)) + 1).tolist()]


def joined(name: str, parts: Sequence[DispatchPlan]) -> Plan:
    """Join the phases of ``name`` into one plan; a missing series counts as zero."""
    return _joined(name, [part.plans[name] for part in parts])


def _joined(name: str, plans: Sequence[Plan]) -> Plan:
    keys = dict.fromkeys(key for plan in plans for key in plan.series)
    series = {
        key: np.concatenate([p.series.get(key, np.zeros(len(p.net_load_kw))) for p in plans])
        for key in keys
    }
    return Plan(
        agent=name,
        net_load_kw=np.concatenate([p.net_load_kw for p in plans]),
        series=series,
        parts={part: _joined(part, [p.parts[part] for p in plans]) for part in plans[0].parts},
    )
