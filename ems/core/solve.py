"""From a matrix to a proven optimum, by HiGHS or by any other solver that PuLP finds.

HiGHS, the default, is fed from the arrays themselves (``ems.core.highs``): on programs that solve
in milliseconds an object for every term costs more than the solve. Every other solver gets the
program as a ``pulp.LpProblem`` (``ems.core.pulp_model``). Both are imported with the first solve.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from ems.core.matrix import Matrix
from ems.core.solver import Outcome, Solver, no_solution


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


def solve(matrix: Matrix, solver: Solver, *, with_duals: bool = False) -> Outcome:
    """Solve ``matrix`` to proven optimality, or prove that it has no solution.

    Among plans of equal cost the second aim of the matrix decides. With ``with_duals`` the outcome
    has ``row_duals``; where the optimum has a kink, each is a value between the slopes on its two
    sides. Raises ``SolveError`` when the solver stops without either proof: at the time limit,
    saying how far it came, on numerical trouble, or when the program is unbounded.
    """
    if not len(matrix.low):
        return _without_variables(matrix)
    started = time.perf_counter()
    found, highs = _cheapest(matrix, solver)
    if not found.feasible or not (with_duals or matrix.second.any()):
        return found
    from ems.core.ties import settled

    found = settled(matrix, found, solver, None if matrix.integer.any() else highs)
    return replace(found, solver_s=time.perf_counter() - started)


def _cheapest(matrix: Matrix, solver: Solver) -> tuple[Outcome, Any | None]:
    """The optimum by cost alone, and HiGHS if that found it."""
    if solver.name == "HiGHS":
        from ems.core.highs import solve_with_highs

        return solve_with_highs(matrix, solver)
    from ems.core.pulp_model import solve_with_pulp

    return solve_with_pulp(matrix, solver), None


def _without_variables(matrix: Matrix) -> Outcome:
    """Solvers report a model without columns as empty, not solved: the rows alone decide."""
    if not (np.all(matrix.row_low <= 1e-9) and np.all(matrix.row_up >= -1e-9)):
        return no_solution(0.0)
    return Outcome(
        x=np.zeros(0),
        objective_eur=matrix.offset,
        bound_eur=matrix.offset,
        solver_s=0.0,
        row_duals=np.zeros(len(matrix.row_low)),
    )
