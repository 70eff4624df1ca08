"""Agents that answer a price: one program, solved again and again with new prices of its net load.

Without a balance each agent buys and sells what it likes at the price λ(t) of the bus:

minimise  Σ cost + Σ_t λ(t) · net load(t) · Δt

Only the costs change from one price to the next, so an LP goes on from the basis it had. A solve
is a function of price and basis alone, on whichever process or machine it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import highspy
import numpy as np

from ems.core.affine import Affine, stacked
from ems.core.builder import Block, ModelBuilder
from ems.core.highs import STATES, ready_highs, solve_with_highs
from ems.core.horizon import Horizon
from ems.core.matrix import Matrix
from ems.core.participant import Contribution, Participant, Plan
from ems.core.program import plans_of
from ems.core.shortfall import why_infeasible
from ems.core.solver import Outcome, Solver, unproven
from ems.types import Floats

PRIMAL_SIMPLEX = 4
"""With new costs the last basis stays feasible, so the primal simplex goes on from it."""


LOWER, BASIC, UPPER, ZERO = range(4)
_STATUS = [highspy.HighsBasisStatus(number) for number in range(4)]


class Basis(NamedTuple):
    """Where each column and each row of an LP stands, as numbers of HiGHS (``LOWER``, …)."""

    columns: bytes
    rows: bytes


def _basis_of(highs: Any, matrix: Matrix) -> Basis:
    """The basis that HiGHS has reached.

    Its own ``getBasis`` makes an object of every number, which takes as long as the solution.
    """
    solution, n = highs.getSolution(), len(matrix.low)
    value = np.concatenate([solution.col_value, solution.row_value])
    low = np.concatenate([matrix.low, matrix.row_low])
    up = np.concatenate([matrix.up, matrix.row_up])
    at = np.where(up - value < value - low, UPPER, LOWER)
    at[~(np.isfinite(low) | np.isfinite(up))] = ZERO
    basic = np.array(highs.getBasicVariables()[1])  # a row i as -1 - i
    at[np.where(basic < 0, n - 1 - basic, basic)] = BASIC
    numbers = at.astype(np.uint8)
    return Basis(numbers[:n].tobytes(), numbers[n:].tobytes())


def _run_from(basis: Basis | None, matrix: Matrix, solver: Solver) -> Any:
    """HiGHS after it went on from ``basis``; a new one, since an old one remembers."""
    highs = ready_highs(matrix, solver, presolve="off")
    highs.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)
    if basis is not None:
        own = highspy.HighsBasis()
        own.col_status = [_STATUS[number] for number in basis.columns]
        own.row_status = [_STATUS[number] for number in basis.rows]
        own.valid, own.alien = True, False
        highs.setBasis(own)
    highs.run()
    return highs


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What agents do at a price.

    ``net_load_kw``: their sum, shape ``(n_steps,)``; ``own_eur``: their cost without the price;
    ``bound_eur``: no plan costs less at this price, its payment included [€]; ``x``: all variables;
    ``basis``: where an LP ended, to go on from; None for a MILP.
    """

    net_load_kw: Floats
    own_eur: float
    bound_eur: float
    x: Floats
    basis: Basis | None = None


class PricedProgram:
    """Agents without a balance over one horizon, whose net load has a price.

    ``worth_at_least``: a lower bound on every price that will be asked [€/kWh], shape
    ``(n_steps,)``. ``relaxed``: whole choices may be fractions.
    """

    def __init__(
        self,
        agents: Sequence[Participant],
        horizon: Horizon,
        worth_at_least: Floats,
        *,
        relaxed: bool = False,
    ) -> None:
        self.horizon, self._agents = horizon, tuple(agents)
        self._columns = ModelBuilder(horizon)
        self._shares: list[Contribution] = []
        ends = [0]
        for agent in self._agents:
            block = Block(self._columns, agent.name, worth_at_least, ())
            self._shares.append(agent.contribute(block))
            ends.append(self._columns.n_variables)
        self.parts = tuple(slice(first, last) for first, last in pairwise(ends))
        net_kw = Affine.total([share.net_load_kw for share in self._shares], horizon.n_steps)
        self._rows, self._cols, self._coefs = stacked(net_kw.terms)
        self._known_kw = net_kw.const
        costs = [
            share.cost_eur if isinstance(share.cost_eur, Affine) else np.full(1, share.cost_eur)
            for share in self._shares
        ]
        matrix = self._columns.matrix(Affine.total(costs, 1))
        self._choices = np.flatnonzero(matrix.integer)
        none = np.zeros_like(matrix.integer)
        self.matrix: Matrix = replace(matrix, integer=none) if relaxed else matrix

    @property
    def whole(self) -> bool:
        """Whether some choices are whole numbers, so that answers cannot be mixed."""
        return bool(self.matrix.integer.any())

    def choices(self, x: Floats) -> Floats:
        """What is chosen in ``x`` of all that is whole, in the order of the variables."""
        return x[self._choices]

    def settled(self, choices: Floats) -> PricedProgram:
        """The same agents where everything whole is chosen: stores and powers are left.

        Fixed as found, not rounded: a plan may be possible only with the 1e-7 that is missing.
        """
        low, up = self.matrix.low.copy(), self.matrix.up.copy()
        low[self._choices] = up[self._choices] = choices
        settled = copy(self)
        none = np.zeros_like(self.matrix.integer)
        settled.matrix = replace(self.matrix, low=low, up=up, integer=none)
        return settled

    def answer(
        self, price_eur_per_kwh: Floats, solver: Solver, basis: Basis | None = None
    ) -> Answer:
        """The cheapest plans at a price of the bus [€/kWh], shape ``(n_steps,)``.

        ``basis``: of an earlier answer, None for none. Raises ``Infeasible`` and ``SolveError``.
        """
        if not len(self.matrix.low):
            return self.at(np.zeros(0), price_eur_per_kwh)
        price_eur_per_kw = self.horizon.energy_kwh(price_eur_per_kwh)
        each_eur = self._coefs * price_eur_per_kw[self._rows]
        paid: Floats = np.bincount(self._cols, each_eur, minlength=len(self.matrix.low)).astype(
            np.float64, copy=False
        )
        known_eur = float(price_eur_per_kw @ self._known_kw)
        if self.whole:
            x, bound_eur = self._of_choices(paid, solver)
            return replace(self.at(x, price_eur_per_kwh), bound_eur=bound_eur + known_eur)
        x, bound_eur, reached = self._of_powers(paid, solver, basis)
        answer = self.at(x, price_eur_per_kwh)
        return replace(answer, bound_eur=bound_eur + known_eur, basis=reached)

    def at(self, x: Floats, price_eur_per_kwh: Floats) -> Answer:
        """The answer ``x``, taken as the cheapest at a price."""
        own_kw = np.bincount(
            self._rows, self._coefs * x[self._cols], minlength=self.horizon.n_steps
        )
        net_load_kw: Floats = own_kw + self._known_kw
        own_eur = float(self.matrix.cost @ x) + self.matrix.offset
        paid_eur = float(price_eur_per_kwh @ self.horizon.energy_kwh(net_load_kw))
        return Answer(net_load_kw=net_load_kw, own_eur=own_eur, bound_eur=own_eur + paid_eur, x=x)

    def _of_choices(self, paid: Floats, solver: Solver) -> tuple[Floats, float]:
        found, _ = solve_with_highs(replace(self.matrix, cost=self.matrix.cost + paid), solver)
        if not found.feasible:
            raise why_infeasible(self._columns, solver)
        return found.x, found.bound_eur

    def _of_powers(
        self, paid: Floats, solver: Solver, basis: Basis | None
    ) -> tuple[Floats, float, Basis]:
        matrix = replace(self.matrix, cost=self.matrix.cost + paid)
        highs = _run_from(basis, matrix, solver)
        if basis is not None and highs.getModelStatus() == STATES.kUnknown:
            # From some bases the primal simplex finds no way on that it allows itself.
            highs = _run_from(None, matrix, solver)
        status = highs.getModelStatus()
        if status == STATES.kInfeasible:
            raise why_infeasible(self._columns, solver)
        if status != STATES.kOptimal:
            raise unproven(solver, highs.modelStatusToString(status))
        x = np.array(highs.getSolution().col_value)
        return x, highs.getInfo().objective_function_value, _basis_of(highs, self.matrix)

    def plans(self, x: Floats) -> dict[str, Plan]:
        """The plans of the agents at ``x``."""
        outcome = Outcome(x=x, objective_eur=np.nan, bound_eur=np.nan, solver_s=0.0)
        return plans_of(zip(self._agents, self._shares, strict=True), outcome)
