"""One optimisation program: agents write into it, it minimises their cost, and hands plans back.

``Program`` minimises Σ cost subject to Σ net load(t) = 0. Positive net load draws from the
building's bus, negative feeds it. An agent writes into its ``Block``, shows a ``Contribution`` to
the others, and gets a ``Plan`` back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ems.core.affine import Affine
from ems.core.builder import Block, ModelBuilder
from ems.core.horizon import Horizon
from ems.core.matrix import Matrix
from ems.core.participant import Contribution, Participant, Plan
from ems.core.second_aim import second_aim
from ems.core.shortfall import why_infeasible
from ems.core.solve import solve
from ems.core.solver import Outcome, Solver
from ems.errors import InvalidSpec
from ems.types import Floats

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """The optimum of a program: a plan for every agent and what the solver proved.

    ``objective_eur``: Σ cost [€]; ``bound_eur``: no plan can cost less [€];
    ``build_s``, ``solver_s``: time to write the program and to solve it [s].
    """

    plans: Mapping[str, Plan]
    objective_eur: float
    bound_eur: float
    build_s: float
    solver_s: float


StoreDuals = Mapping[str, Mapping[str, Floats]]
"""Agent -> rule -> what one kWh more in the store before each step is worth [€/kWh]."""


class Program:
    """Agents on one bus over one horizon, plus a fixed net load already announced [kW].

    >>> from ems.agents import BaseLoadAgent, GridAgent
    >>> horizon = Horizon(
    ...     start_utc=np.datetime64("2016-06-01T00:00"), step_h=1.0,
    ...     import_eur_per_kwh=np.array([0.30, 0.20]), export_eur_per_kwh=np.array([0.08, 0.08]),
    ... )
    >>> program = Program(horizon)
    >>> program.add(BaseLoadAgent(name="base_load", load_kw=np.array([1.0, 2.0])))
    >>> program.add(GridAgent(name="grid"))
    >>> round(program.solve(Solver()).objective_eur, 2)
    0.7
    """

    def __init__(self, horizon: Horizon, announced_kw: Floats | float = 0.0) -> None:
        self.horizon = horizon
        known_kw = np.asarray(announced_kw, dtype=np.float64)
        bad = known_kw[~np.isfinite(known_kw)]
        if known_kw.shape not in ((), (horizon.n_steps,)) or bad.size:
            raise InvalidSpec(
                f"program: announced_kw is {bad[0] if bad.size else f'of shape {known_kw.shape}'}, "
                f"give one finite number or one for each of the {horizon.n_steps} steps"
            )
        self._announced_kw: Floats = np.zeros(horizon.n_steps) + known_kw
        self._agents: dict[str, Participant] = {}

    def add(self, agent: Participant) -> None:
        """Add ``agent``. Raises ``InvalidSpec`` if its name is taken or not an identifier."""
        if not _NAME.fullmatch(agent.name):
            raise InvalidSpec(
                f"agent {agent.name!r}: a name has letters, digits and _, and starts with a letter"
            )
        if agent.name in self._agents:
            raise InvalidSpec(f"agent {agent.name}: the name is taken, give every agent its own")
        self._agents[agent.name] = agent

    def solve(self, solver: Solver) -> Solution:
        """Solve for the cheapest plans.

        Raises ``Infeasible`` with every broken rule and its shortfall, or ``SolveError`` if no
        optimum is proven within gap and time.
        """
        return self._solve(solver, with_duals=False)[0]

    def solve_with_values(self, solver: Solver) -> tuple[Solution, StoreDuals]:
        """The optimum, and what one kWh more in each store before each step is worth [€/kWh].

        λ(t) is the dual of the store's charge rule with the binaries fixed; where the cost has a
        kink, a value between what one kWh less costs and one kWh more saves. Raises as ``solve``.
        """
        solution, matrix, duals = self._solve(solver, with_duals=True)
        ends = np.cumsum([size for _, size in matrix.row_parts])
        rows = {
            name: slice(end - size, end)
            for (name, size), end in zip(matrix.row_parts, ends, strict=True)
        }
        values = {
            name: agent.worth_before(
                {rule: -duals[rows[f"{name}.{rule}"]] for rule in agent.stored_kwh()}, self.horizon
            )
            for name, agent in self._agents.items()
            if agent.stored_kwh()
        }
        return solution, values

    def _solve(self, solver: Solver, *, with_duals: bool) -> tuple[Solution, Matrix, Floats]:
        started = time.perf_counter()
        columns, shares, matrix = self._write()
        build_s = time.perf_counter() - started
        outcome = solve(matrix, solver, with_duals=with_duals)
        if not outcome.feasible:
            raise why_infeasible(columns, solver)
        solution = Solution(
            plans=plans_of([(self._agents[name], shares[name]) for name in shares], outcome),
            objective_eur=outcome.objective_eur,
            bound_eur=outcome.bound_eur,
            build_s=build_s,
            solver_s=outcome.solver_s,
        )
        return solution, matrix, outcome.row_duals

    def solve_with_price(self, solver: Solver) -> tuple[Solution, Floats]:
        """The optimum, and what one kWh more drawn from the bus would cost in each step [€/kWh].

        The dual of the balance with the binaries fixed, shape ``(n_steps,)``; where the cost has a
        kink, a value between what one kWh less saves and one kWh more costs. Raises as ``solve``.
        """
        solution, _, duals = self._solve(solver, with_duals=True)
        # The balance is the last rule written. Its dual is per kW, and counts supply as positive.
        return solution, -self.horizon.power_kw(duals[-self.horizon.n_steps :])

    def matrix(self) -> Matrix:
        """The program as arrays, for benchmarks, oracles and other solvers."""
        return self._write()[2]

    def to_pulp(self) -> Any:
        """The program as a ``pulp.LpProblem``, for instance for ``writeLP``."""
        from ems.core.pulp_model import to_pulp

        return to_pulp(self.matrix())[0]

    def _write(self) -> tuple[ModelBuilder, dict[str, Contribution], Matrix]:
        """Let every agent write its block, in turn."""
        columns, shares = ModelBuilder(self.horizon), {}
        loads_kw: list[Affine | Floats] = [self._announced_kw]
        costs: list[Affine | Floats] = []
        worth = bus_worth(self._agents.values(), self.horizon, -self._announced_kw)
        for agent in in_turn(self._agents.values()):
            share = agent.contribute(Block(columns, agent.name, worth, loads_kw))
            shares[agent.name] = share
            loads_kw.append(share.net_load_kw)
            costs.append(_of_size_1(share.cost_eur))
        total_kw = Affine.total(loads_kw, self.horizon.n_steps)
        columns.rules.append(("balance", "kW", total_kw == 0.0))
        effort_kw = {name: share.effort_kw for name, share in shares.items()}
        second = second_aim(effort_kw, self.horizon)
        return columns, shares, columns.matrix(Affine.total(costs, 1), second)


def in_turn(agents: Iterable[Participant]) -> list[Participant]:
    """The agents by name, those that close the balance last: the same program in any order."""
    return sorted(agents, key=lambda agent: (agent.closes_balance, agent.name))


def bus_worth(
    agents: Collection[Participant], horizon: Horizon, must_feed_kw: Floats | float
) -> Floats:
    """A lower bound on what a kWh on the bus is worth in each step, −∞ where none is known.

    ``must_feed_kw``: what feeds the bus beside the agents [kW].
    """

    def all_must_feed_kw() -> Floats:
        return np.zeros(horizon.n_steps) + sum(
            (agent.must_feed_kw(horizon) for agent in agents), must_feed_kw
        )

    floors = [agent.bus_worth_at_least(horizon, all_must_feed_kw) for agent in agents]
    # Every agent that sets a floor may be the marginal one, so only the lowest holds.
    known = [floor for floor in floors if floor is not None]
    return np.minimum.reduce(known) if known else np.full(horizon.n_steps, -np.inf)


def plans_of(
    shares: Iterable[tuple[Participant, Contribution]], outcome: Outcome
) -> dict[str, Plan]:
    """The plans of all agents in numbers."""
    return {
        agent.name: agent.canonical(_plan(agent.name, share, outcome.x)) for agent, share in shares
    }


def _plan(name: str, share: Contribution, x: Floats) -> Plan:
    return Plan(
        agent=name,
        net_load_kw=_number(share.net_load_kw, x),
        series={key: _number(values, x) for key, values in share.series.items()},
        parts={part: _plan(part, own, x) for part, own in share.parts.items()},
    )


def _of_size_1(cost_eur: Affine | float) -> Affine | Floats:
    return cost_eur if isinstance(cost_eur, Affine) else np.full(1, cost_eur)


def _number(values: Affine | Floats, x: Floats) -> Floats:
    return values.value(x) if isinstance(values, Affine) else values
