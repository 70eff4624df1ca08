"""Two-stage stochastic program: one decision now, a recourse for each scenario.

Minimise  Σ_s cost_s / S  subject to the rules of every scenario s = 1 … S.
Until the next plan all scenarios do the same (non-anticipativity): net load_s(t) = net load_1(t)
for t < n_first and every agent that follows set-points. The grid and a PV inverter react to what
comes, and so does a battery that balances: its flow is a recourse from the first step on.
First-stage decisions, such as the start of a machine, hold in all scenarios over the whole horizon
and are written once.

Birge and Louveaux, Introduction to Stochastic Programming, 2011, doi:10.1007/978-1-4614-0237-4.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ems.core.affine import Affine
from ems.core.builder import Block, ModelBuilder
from ems.core.horizon import Horizon
from ems.core.matrix import Matrix
from ems.core.participant import Contribution, Participant
from ems.core.program import Solution, bus_worth, in_turn, plans_of
from ems.core.second_aim import second_aim
from ems.core.shortfall import why_infeasible
from ems.core.solve import solve
from ems.core.solver import Solver
from ems.errors import InvalidSpec
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenarioProgram:
    """Equally likely scenarios of the same agents on one bus.

    ``worlds``: the agents of each scenario, with the same names; agents that decide are the same in
    all. ``n_first``: steps until the next plan, in which all scenarios do the same.
    ``stores_follow``: stores balance deviations instead of keeping to set-points.
    """

    horizon: Horizon
    worlds: tuple[tuple[Participant, ...], ...]
    n_first: int
    stores_follow: bool = False

    def __post_init__(self) -> None:
        if not self.worlds:
            raise InvalidSpec("hedged: worlds is empty, give at least one scenario")
        if not 1 <= self.n_first <= self.horizon.n_steps:
            raise InvalidSpec(
                f"hedged: n_first is {self.n_first}, allowed is 1 to {self.horizon.n_steps}"
            )
        names = [agent.name for agent in self.worlds[0]]
        for number, world in enumerate(self.worlds):
            if [agent.name for agent in world] != names:
                raise InvalidSpec(
                    f"hedged: scenario {number} has the agents "
                    f"{', '.join(agent.name for agent in world)}, the first {', '.join(names)}; "
                    "give all the same"
                )

    def solve(self, solver: Solver) -> tuple[Solution, ...]:
        """The plans of every scenario; all agree until the next plan.

        ``objective_eur`` and ``bound_eur`` of each are those of the whole program: the mean cost.
        Raises ``Infeasible`` and ``SolveError`` as ``Program.solve``.
        """
        started = time.perf_counter()
        columns, shares, matrix = self._write()
        build_s = time.perf_counter() - started
        outcome = solve(matrix, solver)
        if not outcome.feasible:
            raise why_infeasible(columns, solver)
        return tuple(
            Solution(
                plans=plans_of([(agent, own[agent.name]) for agent in in_turn(world)], outcome),
                objective_eur=outcome.objective_eur,
                bound_eur=outcome.bound_eur,
                # One program was solved; each scenario reports its share of the time.
                build_s=build_s / len(self.worlds),
                solver_s=outcome.solver_s / len(self.worlds),
            )
            for world, own in zip(self.worlds, shares, strict=True)
        )

    def matrix(self) -> Matrix:
        """The program as arrays, for benchmarks and oracles."""
        return self._write()[2]

    def _write(self) -> tuple[ModelBuilder, list[dict[str, Contribution]], Matrix]:
        columns, cost = ModelBuilder(self.horizon), Affine.constant(0.0, 1)
        second = Affine.constant(0.0, 1)
        shares: list[dict[str, Contribution]] = []
        for number, world in enumerate(self.worlds):
            own = self._write_world(columns, number, world, shares[0] if shares else {})
            for agent in world:
                # Written once with the first scenario, and paid once.
                if agent.first_stage and shares:
                    continue
                weight = 1.0 if agent.first_stage else 1.0 / len(self.worlds)
                cost = cost + weight * _as_linear(own[agent.name].cost_eur)
                if shares and self._is_told(agent):
                    self._tie(columns, number, agent.name, own, shares[0])
            second = second + second_aim({n: own[n].effort_kw for n in own}, self.horizon)
            shares.append(own)
        return columns, shares, columns.matrix(cost, second)

    def _write_world(
        self,
        columns: ModelBuilder,
        number: int,
        world: Sequence[Participant],
        first: Mapping[str, Contribution],
    ) -> dict[str, Contribution]:
        """Let every agent of one scenario write its block; first-stage agents write in the first
        only."""
        loads_kw, own = list[Affine | Floats](), dict[str, Contribution]()
        # Tied scenarios draw on each other's surplus, so no lower bound on the value is proven.
        worth = bus_worth(world, self.horizon, np.inf)
        for agent in in_turn(world):
            if agent.first_stage and first:
                own[agent.name] = first[agent.name]
            else:
                block = Block(columns, f"s{number}_{agent.name}", worth, loads_kw)
                own[agent.name] = agent.contribute(block)
            loads_kw.append(own[agent.name].net_load_kw)
        total_kw = Affine.total(loads_kw, self.horizon.n_steps)
        columns.rules.append((f"s{number}.balance", "kW", total_kw == 0.0))
        return own

    def _is_told(self, agent: Participant) -> bool:
        told = agent.kind == "load" or (agent.kind == "storage" and not self.stores_follow)
        return told and not agent.fixed

    def _tie(
        self,
        columns: ModelBuilder,
        number: int,
        name: str,
        own: Mapping[str, Contribution],
        first: Mapping[str, Contribution],
    ) -> None:
        """The same set-points as in the first scenario until the next plan."""
        here, there = own[name].net_load_kw, first[name].net_load_kw
        differs_kw = (here - there)[: self.n_first]
        # Fixed loads come as numbers; there is nothing to tie.
        if isinstance(differs_kw, Affine):
            columns.rules.append((f"s{number}_{name}.until_next_plan", "kW", differs_kw == 0.0))


def _as_linear(cost_eur: Affine | float) -> Affine:
    return cost_eur if isinstance(cost_eur, Affine) else Affine.constant(cost_eur, 1)
