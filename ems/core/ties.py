"""Among all plans of the proven cost, the one that the second aim wants.

Binaries, such as the start of a machine, are settled in three steps: those whose reduced cost alone
exceeds the proven cost are fixed; each that is left is tried the other way; where some still are
free, a second MILP chooses among plans of the proven cost; where very many are, they are moved one
choice after the other. With the binaries fixed, the optimal
plans are those that keep each variable with a reduced cost at its bound, and each rule with a dual
at its own (complementary slackness); among them the second aim is a linear program, which HiGHS
continues from the basis it has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ems.core.highs import STATES, ready_highs, require_optimal, run_highs
from ems.core.matrix import Matrix
from ems.core.solver import Outcome, Solver
from ems.types import Bools, Floats, Ints

SAME_EUR = 1e-6
"""How much more than the proven cost counts as the same [€]; above the solver's tolerance."""
MOST_FREE = 64
"""More free binaries are settled one choice after the other: a day has at most a handful, but a
second MILP over four weeks of machines at two prices was not solved in a minute."""
MILP_TOLERANCE = 1e-6
"""How far a solution may miss a rule in HiGHS's MILPs [kW, kWh]; in its LPs it is 1e-7."""
NO_PRICE = 1e-8
"""Duals and reduced costs below this count as zero [€/kW, €/kWh]."""


def settled(matrix: Matrix, found: Outcome, solver: Solver, linear: Any | None = None) -> Outcome:
    """The optimum ``found`` by the first aim, with the plan that the second one chooses.

    ``linear``: the HiGHS object that solved it, if it has no binaries. With ``row_duals``, those of
    the first aim. Raises ``SolveError`` if the second aim is not proven in time.
    """
    low, up = matrix.low, matrix.up
    if linear is None:
        linear = run_highs(_relaxed(matrix), solver)
        require_optimal(linear, solver)
    # As for MILPs: what is possible only within that tolerance would be infeasible here.
    linear.setOptionValue("primal_feasibility_tolerance", MILP_TOLERANCE)
    if matrix.integer.any():
        low, up = _whole(matrix, found, solver, linear)
        linear.changeColsBounds(len(low), _all(low), low, up)
        _run(linear, solver)
    solution = linear.getSolution()
    row_duals = np.array(solution.row_dual)
    if not matrix.second.any():
        return replace(found, row_duals=row_duals)
    _keep_the_cost(linear, matrix, low, up)
    linear.changeColsCost(len(low), _all(low), matrix.second)
    _run(linear, solver)
    return replace(found, x=np.array(linear.getSolution().col_value), row_duals=row_duals)


def _keep_the_cost(linear: Any, matrix: Matrix, low: Floats, up: Floats) -> None:
    """Allow only plans of the optimal cost: what has a price stays where the optimum has it.

    Where, not at which side its price says: within HiGHS's tolerance of 1e-7 what stands at one
    bound may have the sign of the other.
    """
    solution = linear.getSolution()
    x = np.clip(np.array(solution.col_value), low, up)
    held = np.abs(np.array(solution.col_dual)) > NO_PRICE
    linear.changeColsBounds(len(low), _all(low), np.where(held, x, low), np.where(held, x, up))
    rows = np.clip(np.array(solution.row_value), matrix.row_low, matrix.row_up)
    for row in np.flatnonzero(np.abs(np.array(solution.row_dual)) > NO_PRICE):
        linear.changeRowBounds(int(row), rows[row], rows[row])


def _whole(matrix: Matrix, found: Outcome, solver: Solver, linear: Any) -> tuple[Floats, Floats]:
    """Bounds that fix the binaries as the second aim wants them.

    They are fixed as found, not rounded: a plan may be possible only with the 1e-7 that is missing.
    """
    chosen = np.clip(found.x, matrix.low, matrix.up)
    if matrix.second.any():
        free = _open(matrix, found, chosen, linear)
        if free.sum() > MOST_FREE:
            chosen = _one_by_one(matrix, found, chosen, free, linear)
        elif free.any():
            chosen = _chosen(matrix, found, chosen, free, solver)
    return np.where(matrix.integer, chosen, matrix.low), np.where(matrix.integer, chosen, matrix.up)


def _open(matrix: Matrix, found: Outcome, chosen: Floats, linear: Any) -> Bools:
    """The binaries that some plan of the same cost has the other way, as far as relaxing tells."""
    info, solution = linear.getInfo(), linear.getSolution()
    room_eur = max(found.objective_eur - info.objective_function_value, 0.0) + SAME_EUR
    reduced = np.array(solution.col_dual)
    low = np.where(matrix.integer & (-reduced > room_eur), matrix.up, matrix.low)
    up = np.where(matrix.integer & (reduced > room_eur), matrix.low, matrix.up)
    linear.changeColsBounds(len(low), _all(low), low, up)
    free: Bools = matrix.integer & (up > low)
    for j in np.flatnonzero(free):
        other = 1.0 - np.rint(chosen[j])
        linear.changeColBounds(int(j), other, other)
        linear.run()
        cost_eur = linear.getInfo().objective_function_value
        optimal = linear.getModelStatus() == STATES.kOptimal
        if optimal and cost_eur <= found.objective_eur + SAME_EUR:
            linear.changeColBounds(int(j), matrix.low[j], matrix.up[j])
        else:
            free[j] = False
            linear.changeColBounds(int(j), chosen[j], chosen[j])
    return free


def _chosen(matrix: Matrix, found: Outcome, chosen: Floats, free: Bools, solver: Solver) -> Floats:
    """Of all plans of the proven cost, the one that the second aim wants."""
    fixed = matrix.integer & ~free
    part = replace(
        matrix,
        cost=matrix.second,
        offset=0.0,
        low=np.where(fixed, chosen, matrix.low),
        up=np.where(fixed, chosen, matrix.up),
        integer=free,
    )
    priced = np.flatnonzero(matrix.cost)
    limit_eur = found.objective_eur - matrix.offset + SAME_EUR
    highs = ready_highs(part, solver)
    highs.addRow(-np.inf, limit_eur, len(priced), priced.astype(np.int32), matrix.cost[priced])
    highs.run()
    require_optimal(highs, solver)
    x = np.clip(np.array(highs.getSolution().col_value), matrix.low, matrix.up)
    return np.where(free, x, chosen)


def _one_by_one(matrix: Matrix, found: Outcome, chosen: Floats, free: Bools, linear: Any) -> Floats:
    """Each choice among several (a start, say) moved to the wanted end while the cost allows it."""
    chosen = chosen.copy()
    low = np.where(matrix.integer, chosen, matrix.low)
    up = np.where(matrix.integer, chosen, matrix.up)
    linear.changeColsBounds(len(low), _all(low), low, up)
    for members in _choices(matrix):
        now = int(members[np.argmax(chosen[members])])
        better = [int(j) for j in members if free[j] and matrix.second[j] < matrix.second[now]]
        for j in sorted(better, key=lambda j: matrix.second[j]):
            linear.changeColBounds(now, 0.0, 0.0)
            linear.changeColBounds(j, 1.0, 1.0)
            linear.run()
            cost_eur = linear.getInfo().objective_function_value
            optimal = linear.getModelStatus() == STATES.kOptimal
            if optimal and cost_eur <= found.objective_eur + SAME_EUR:
                chosen[now], chosen[j] = 0.0, 1.0
                break
            linear.changeColBounds(j, 0.0, 0.0)
            linear.changeColBounds(now, chosen[now], chosen[now])
    return chosen


def _choices(matrix: Matrix) -> list[Ints]:
    """The binaries of each rule that exactly one of them is 1."""
    pattern = matrix.pattern
    other = ~matrix.integer[pattern.cols] | (matrix.coefs != 1.0)
    mixed = np.bincount(pattern.rows, other, minlength=pattern.n_rows) > 0
    one = (matrix.row_low == 1.0) & (matrix.row_up == 1.0) & ~mixed
    starts = pattern.row_starts
    return [pattern.cols[starts[row] : starts[row + 1]] for row in np.flatnonzero(one)]


def _relaxed(matrix: Matrix) -> Matrix:
    return replace(matrix, integer=np.zeros(len(matrix.integer), dtype=np.bool_))


def _all(columns: Floats) -> Any:
    return np.arange(len(columns), dtype=np.int32)


def _run(linear: Any, solver: Solver) -> None:
    linear.run()
    if linear.getModelStatus() == STATES.kUnknown:
        # From some bases the simplex finds no way on that it allows itself; from none it does.
        linear.clearSolver()
        linear.run()
    require_optimal(linear, solver)
