"""From a matrix to a proven optimum, by HiGHS or by any other solver that PuLP finds.

HiGHS, the default, is fed from the arrays themselves (``ems.core.highs``): on programs that solve
in milliseconds an object for every term costs more than the solve. Every other solver gets the
program as a ``pulp.LpProblem`` (``ems.core.pulp_model``). Both are imported with the first solve.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ems.core.matrix import Matrix
from ems.core.solver import Outcome, Solver, no_solution
from ems.types import Floats


def require_available(solver: Solver) -> None:
    """Raise ``InvalidSpec`` if PuLP does not know the solver or cannot find it."""
    if solver.name != "HiGHS":
        from ems.core.pulp_model import require_found

        require_found(solver)


def solver_notes(solver: Solver) -> tuple[str, ...]:
    """What this solver cannot be told or does not report, one line each; empty for HiGHS."""
    if solver.name == "HiGHS":
        return ()
    from ems.core.pulp_model import notes

    return notes(solver)


def solve(matrix: Matrix, solver: Solver) -> Outcome:
    """Solve ``matrix`` to proven optimality, or prove that it has no solution.

    Raises ``SolveError`` when the solver stops without either proof: at the time limit, saying how
    far it came, on numerical trouble, or when the program is unbounded.
    """
    if not len(matrix.low):
        return _without_variables(matrix)
    if solver.name == "HiGHS":
        from ems.core.highs import solve_with_highs

        return solve_with_highs(matrix, solver)
    from ems.core.pulp_model import solve_with_pulp

    return solve_with_pulp(matrix, solver)


def row_duals(matrix: Matrix, solver: Solver) -> Floats:
    """What one more unit of each row's bound adds to the optimum, with the binaries fixed.

    ``solver`` chooses the binaries; the linear program that is left is solved by HiGHS. Shape
    ``(n_rows,)``; empty when there is no solution. Where the optimum has a kink, any value between
    the slopes on its two sides. Raises ``SolveError`` as ``solve``.
    """
    chosen = solve(matrix, solver)
    return duals_at(matrix, chosen, solver) if chosen.feasible else np.zeros(0)


def duals_at(matrix: Matrix, chosen: Outcome, solver: Solver) -> Floats:
    """``row_duals`` of a program whose optimum ``chosen`` is known."""
    from ems.core.highs import linear_duals

    if not len(matrix.low):
        return np.zeros(len(matrix.row_low))
    # Rounded, since a binary of 0.9999999 as a bound could make the LP infeasible.
    whole = np.rint(chosen.x)
    linear = replace(
        matrix,
        low=np.where(matrix.integer, whole, matrix.low),
        up=np.where(matrix.integer, whole, matrix.up),
        integer=np.zeros(len(matrix.integer), dtype=np.bool_),
    )
    return linear_duals(linear, solver)


def _without_variables(matrix: Matrix) -> Outcome:
    """Solvers report a model without columns as empty, not solved: the rows alone decide."""
    if not (np.all(matrix.row_low <= 1e-9) and np.all(matrix.row_up >= -1e-9)):
        return no_solution(0.0)
    return Outcome(
        x=np.zeros(0), objective_eur=matrix.offset, bound_eur=matrix.offset, solver_s=0.0
    )
