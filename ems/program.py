"""One optimisation program: agents write into it, it minimises their cost, and hands plans back.

``Program`` minimises Σ cost subject to Σ net load(t) = 0, where positive net load draws from the
building's bus and negative feeds it. An agent sees only its ``Block``; what it shows to the others
is its ``Share``; what it gets back is its ``Plan``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ems.errors import Infeasible, InvalidSpec, SolveError
from ems.horizon import Horizon
from ems.linear import Floats, Linear, Relation
from ems.solver import Matrix, Outcome, Solver, as_pulp, row_duals, solve

if TYPE_CHECKING:
    from ems.agents.base import Agent

Unit = Literal["kW", "kWh", "steps", "starts"]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ACCOUNT_WEIGHT = 1e3
"""How much rather a limit gives way than an account (an equality: balance, charge, energy)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Share:
    """What an agent shows to others.

    ``net_load_kw``: what it draws from the bus in each step [kW], shape ``(n_steps,)``.
    ``cost_eur``: what its plan costs [€], a ``Linear`` of size 1 or a number.
    ``series``: named series of its plan, each of shape ``(n_steps,)``.
    """

    net_load_kw: Linear | Floats
    cost_eur: Linear | float = 0.0
    series: Mapping[str, Linear | Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What one agent will do, in numbers.

    ``net_load_kw``: [kW], shape ``(n_steps,)``; ``series``: what the agent chose to name.
    """

    agent: str
    net_load_kw: Floats
    series: Mapping[str, Floats]

    def window(self, first: int, last: int) -> Plan:
        """The steps ``first … last − 1`` of the plan."""
        return Plan(
            agent=self.agent,
            net_load_kw=self.net_load_kw[first:last],
            series={name: values[first:last] for name, values in self.series.items()},
        )


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


class Block:
    """The part of a program that belongs to one agent.

    ``horizon``: the time grid and its prices.
    ``worth_at_least_eur_per_kwh``: a lower bound on what a kWh on the bus is worth in each step,
    −inf where nothing bounds it; agents use it to leave out binaries that cannot matter.
    ``others_kw``: the least and the most that all agents before this one may draw [kW].
    """

    def __init__(self, columns: Columns, agent: str, worth: Floats, others: Linear) -> None:
        self.horizon = columns.horizon
        self.worth_at_least_eur_per_kwh = worth
        self._columns, self._agent, self._others = columns, agent, others

    @property
    def others_kw(self) -> tuple[Floats, Floats]:
        """Bounds on the sum of the net loads of the agents before this one [kW]."""
        return self._others.range(*self._columns.bounds())

    def variables(
        self,
        name: str,
        *,
        low: Floats | float = 0.0,
        up: Floats | float = np.inf,
        size: int | None = None,
    ) -> Linear:
        """Continuous variables ``low ≤ x ≤ up``, one a step unless ``size`` says otherwise."""
        count = self.horizon.n_steps if size is None else size
        return self._columns.add(f"{self._agent}.{name}", low, up, count, integer=False)

    def switches(self, name: str, *, size: int | None = None) -> Linear:
        """Binary variables, one a step unless ``size`` says otherwise."""
        count = self.horizon.n_steps if size is None else size
        return self._columns.add(f"{self._agent}.{name}", 0.0, 1.0, count, integer=True)

    def require(self, rule: str, relation: Relation, unit: Unit) -> None:
        """Impose a rule; its name and unit appear when it cannot be kept."""
        self._columns.rules.append((f"{self._agent}.{rule}", unit, relation))


class Columns:
    """The variables and rules that all blocks of one program have written so far."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon = horizon
        self.parts: list[tuple[str, int]] = []
        self.rules: list[tuple[str, Unit, Relation]] = []
        self._low: list[Floats] = []
        self._up: list[Floats] = []
        self._integer: list[Floats] = []
        self._count = 0

    def add(
        self, name: str, low: Floats | float, up: Floats | float, size: int, *, integer: bool
    ) -> Linear:
        """``size`` new variables between ``low`` and ``up``."""
        first = self._count
        self._low.append(np.broadcast_to(np.asarray(low, dtype=np.float64), (size,)))
        self._up.append(np.broadcast_to(np.asarray(up, dtype=np.float64), (size,)))
        self._integer.append(np.full(size, float(integer)))
        self.parts.append((name, size))
        self._count += size
        return Linear.of_columns(first, size)

    def without_rules(self) -> Columns:
        """The same variables, so that more can be added and other rules written."""
        other = Columns(self.horizon)
        other.parts, other._count = list(self.parts), self._count
        other._low, other._up = list(self._low), list(self._up)
        other._integer = list(self._integer)
        return other

    def bounds(self) -> tuple[Floats, Floats]:
        """The least and the greatest value of every variable."""
        empty = [np.zeros(0)]
        return np.concatenate(self._low or empty), np.concatenate(self._up or empty)

    def matrix(self, cost: Linear) -> Matrix:
        """All rules stacked into one coordinate matrix, each place once, sorted by row."""
        low, up = self.bounds()
        relations = [relation for _, _, relation in self.rules]
        sizes = [len(relation.expr) for relation in relations]
        firsts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        none = np.zeros(0)
        const = np.concatenate([none, *(r.expr.const for r in relations)])
        rows = [r.expr.rows + first for r, first in zip(relations, firsts, strict=False)]
        whole = np.zeros(0, dtype=np.int64)
        key = np.concatenate([whole, *rows]) * max(len(low), 1)
        key += np.concatenate([whole, *(r.expr.cols for r in relations)])
        coefs = np.concatenate([none, *(r.expr.coefs for r in relations)])
        place, where = np.unique(key, return_inverse=True)
        coefs = np.bincount(where, coefs, minlength=len(place))
        kept = coefs != 0.0
        rows_sorted, cols_sorted = np.divmod(place[kept], max(len(low), 1))
        return Matrix(
            cost=np.bincount(cost.cols, cost.coefs, minlength=len(low)).astype(np.float64),
            offset=float(cost.const[0]),
            low=low,
            up=up,
            integer=np.concatenate([none, *self._integer]) > 0.5,
            rows=rows_sorted,
            cols=cols_sorted,
            coefs=coefs[kept],
            row_low=np.repeat([r.lower for r in relations], sizes) - const,
            row_up=np.repeat([r.upper for r in relations], sizes) - const,
            column_parts=tuple(self.parts),
            row_parts=tuple((r[0], n) for r, n in zip(self.rules, sizes, strict=True)),
        )


class Program:
    """Agents on one bus over one horizon, beside a net load already announced [kW].

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
        self._announced = Linear.constant(known_kw, horizon.n_steps)
        self._agents: dict[str, Agent] = {}

    def add(self, agent: Agent) -> None:
        """Let ``agent`` take part. Raises ``InvalidSpec`` for a name that is taken or not plain."""
        if not _NAME.fullmatch(agent.name):
            raise InvalidSpec(
                f"agent {agent.name!r}: a name has letters, digits and _, and starts with a letter"
            )
        if agent.name in self._agents:
            raise InvalidSpec(f"agent {agent.name}: the name is taken, give every agent its own")
        self._agents[agent.name] = agent

    def solve(self, solver: Solver) -> Solution:
        """The cheapest plans.

        Raises ``Infeasible`` with every broken rule and its shortfall when no plan keeps all rules,
        ``SolveError`` when the solver proves no optimum within its gap and time.
        """
        started = time.perf_counter()
        columns, shares, cost = self._write()
        matrix = columns.matrix(cost)
        build_s = time.perf_counter() - started
        outcome = solve(matrix, solver)
        if not outcome.feasible:
            raise why_infeasible(columns, solver)
        plans = {
            name: plan_of(self._agents[name], share, outcome) for name, share in shares.items()
        }
        return Solution(
            plans=plans,
            objective_eur=outcome.objective_eur,
            bound_eur=outcome.bound_eur,
            build_s=build_s,
            solver_s=outcome.solver_s,
        )

    def bus_prices(self, solver: Solver) -> Floats:
        """What one kWh more drawn from the bus would cost in each step [€/kWh].

        The dual of the balance with the binaries fixed, shape ``(n_steps,)``; where the cost has a
        kink, a value between what one kWh less saves and one kWh more costs. Raises as ``solve``.
        """
        columns, _, cost = self._write()
        duals = row_duals(columns.matrix(cost), solver)
        if not len(duals):
            raise why_infeasible(columns, solver)
        return -self.horizon.power_kw(duals[-self.horizon.n_steps :])

    def matrix(self) -> Matrix:
        """The program as arrays, for benchmarks, oracles and other solvers."""
        columns, _, cost = self._write()
        return columns.matrix(cost)

    def as_pulp(self) -> Any:
        """The program as a ``pulp.LpProblem``, for instance for ``writeLP``."""
        return as_pulp(self.matrix())[0]

    def _write(self) -> tuple[Columns, dict[str, Share], Linear]:
        """Let every agent write its block, those that close the balance last."""
        columns, shares = Columns(self.horizon), {}
        total, cost = self._announced, Linear.constant(0.0, 1)
        worth = bus_worth(self._agents.values(), self.horizon)
        for agent in sorted(self._agents.values(), key=lambda agent: agent.closes_balance):
            share = agent.contribute(Block(columns, agent.name, worth, total))
            shares[agent.name] = share
            total = total + share.net_load_kw
            cost = cost + share.cost_eur
        columns.rules.append(("balance", "kW", total == 0.0))
        return columns, shares, cost


def bus_worth(agents: Iterable[Agent], horizon: Horizon) -> Floats:
    """A lower bound on what a kWh on the bus is worth in each step, −∞ where none is known."""
    floors = [agent.bus_worth_at_least(horizon) for agent in agents]
    known = [floor for floor in floors if floor is not None]
    return np.minimum.reduce(known) if known else np.full(horizon.n_steps, -np.inf)


def plan_of(agent: Agent, share: Share, outcome: Outcome) -> Plan:
    """What the solver found for one agent, in numbers."""
    series = {key: _number(values, outcome.x) for key, values in share.series.items()}
    net_load_kw = _number(share.net_load_kw, outcome.x)
    return agent.tidy(Plan(agent=agent.name, net_load_kw=net_load_kw, series=series))


def why_infeasible(columns: Columns, solver: Solver) -> Infeasible:
    """Solve once more with every named rule elastic and list what had to give."""
    horizon = columns.horizon
    elastic = columns.without_rules()
    penalty, slacks = Linear.constant(0.0, 1), []
    for rule, unit, relation in columns.rules:
        size = len(relation.expr)
        over = elastic.add(f"{rule}.over", 0.0, np.inf, size, integer=False)
        short = elastic.add(f"{rule}.short", 0.0, np.inf, size, integer=False)
        softened = Relation(relation.expr + short - over, relation.lower, relation.upper)
        elastic.rules.append((rule, unit, softened))
        weight = _ACCOUNT_WEIGHT if relation.lower == relation.upper else 1.0
        penalty = penalty + weight * (over.sum() + short.sum())
        slacks.append((rule, unit, over, short))
    outcome = solve(elastic.matrix(penalty), solver)
    if not outcome.feasible:
        raise SolveError("the program contradicts itself: a variable's low is above its up")
    shortfalls: dict[str, str] = {}
    for rule, unit, over, short in slacks:
        shortfalls |= _broken(horizon, rule, unit, over.value(outcome.x), "over")
        shortfalls |= _broken(horizon, rule, unit, short.value(outcome.x), "short")
    if not shortfalls:
        raise SolveError("the program is unbounded: some agent's cost can fall without end")
    text = "; ".join(f"{rule}: {shortfall}" for rule, shortfall in shortfalls.items())
    return Infeasible(f"no plan keeps every rule: {text}", shortfalls)


def _broken(horizon: Horizon, rule: str, unit: Unit, slack: Floats, word: str) -> dict[str, str]:
    worst = int(np.argmax(slack)) if len(slack) else 0
    if not len(slack) or slack[worst] <= 1e-6:
        return {}
    steps = int(np.sum(slack > 1e-6))
    when = ""
    if len(slack) == horizon.n_steps:
        when = f" at {horizon.local[worst]:%Y-%m-%d %H:%M}"
        when += f" and in {steps - 1} other steps" if steps > 1 else ""
    return {rule: f"{slack[worst]:.4g} {unit} {word}{when}"}


def _number(values: Linear | Floats, x: Floats) -> Floats:
    return values.value(x) if isinstance(values, Linear) else values
