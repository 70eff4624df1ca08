"""HiGHS, fed from arrays and read into arrays."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import highspy
import numpy as np

from ems.core.matrix import Matrix
from ems.core.solver import Outcome, Solver, no_solution, unproven
from ems.errors import SolveError

HIGHS_OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "mip_heuristic_run_feasibility_jump": False,
    "presolve_rule_off": 1 << 5,
}
"""One thread, since days run in parallel processes. The feasibility-jump heuristic slows small
programs and does not change what is proven. Presolve rule 5, dominated columns, calls a plan
optimal that is not (HiGHS 1.16.0: 2.355 € for 2.301 €, ``tests/core/test_solver.py``); without it
days solve as fast."""
_ROW_WISE = int(highspy.MatrixFormat.kRowwise)
_MINIMISE = int(highspy.ObjSense.kMinimize)
STATES = highspy.HighsModelStatus


def solve_with_highs(matrix: Matrix, solver: Solver) -> tuple[Outcome, Any]:
    """The cheapest plan of ``matrix``, and the HiGHS object that found it."""
    started = time.perf_counter()
    highs = run_highs(matrix, solver)
    status = highs.getModelStatus()
    if status in (STATES.kInfeasible, STATES.kUnboundedOrInfeasible):
        # Presolve may call a state handed on at the edge of its limits infeasible, and cannot
        # always tell infeasible from unbounded. Solve again without it before believing it.
        highs = run_highs(matrix, solver, presolve="off")
        status = highs.getModelStatus()
    seconds = time.perf_counter() - started
    if status == STATES.kInfeasible:
        return no_solution(seconds), highs
    if status == STATES.kUnbounded:
        raise SolveError("the program is unbounded: some agent's cost can fall without end")
    info = highs.getInfo()
    whole = bool(matrix.integer.any())
    objective = info.objective_function_value
    # HiGHS reports a dual bound for MILPs only; the optimum of an LP is its own bound.
    bound = info.mip_dual_bound if whole else objective
    if status != STATES.kOptimal:
        found = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
        best, least = (objective if found else np.inf), (bound if whole else -np.inf)
        raise unproven(solver, highs.modelStatusToString(status), best, least)
    found = Outcome(
        # Copied, since the solution's memory belongs to the solver.
        x=np.array(highs.getSolution().col_value),
        objective_eur=objective,
        bound_eur=bound,
        solver_s=seconds,
    )
    return found, highs


def run_highs(matrix: Matrix, solver: Solver, **options: str) -> Any:
    """Run HiGHS on ``matrix`` and return it."""
    highs = ready_highs(matrix, solver, **options)
    highs.run()
    return highs


def ready_highs(matrix: Matrix, solver: Solver, **options: str) -> Any:
    """HiGHS with ``matrix`` and its settings, not run yet."""
    highs = highspy.Highs()
    gaps = {"mip_rel_gap": solver.mip_gap, "mip_abs_gap": solver.mip_gap_eur}
    settings = {**HIGHS_OPTIONS, **gaps, "random_seed": solver.seed, **options}
    if solver.time_limit_s is not None:
        settings["time_limit"] = float(solver.time_limit_s)
    for name, value in settings.items():
        highs.setOptionValue(name, value)
    pass_model(highs, matrix)
    return highs


def require_optimal(highs: Any, solver: Solver) -> None:
    """Raise ``SolveError`` if the last run of ``highs`` ended without an optimum."""
    status = highs.getModelStatus()
    if status != STATES.kOptimal:
        raise unproven(solver, highs.modelStatusToString(status))


def pass_model(highs: Any, matrix: Matrix) -> None:
    """Hand over the whole model in one call."""
    highs.passModel(
        len(matrix.low),
        len(matrix.row_low),
        len(matrix.coefs),
        _ROW_WISE,
        _MINIMISE,
        matrix.offset,
        matrix.cost,
        matrix.low,
        matrix.up,
        matrix.row_low,
        matrix.row_up,
        matrix.pattern.row_starts_32,
        matrix.pattern.cols_32,
        matrix.coefs,
        matrix.integer.astype(np.int32),
    )


@contextmanager
def _unheard() -> Iterator[None]:
    """Silence writes to file descriptor 1, including those from C++."""
    # contextlib.redirect_stdout would not help: HiGHS writes from C++.
    console, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(console, 1)
        os.close(console)
        os.close(nowhere)


with _unheard():  # the first HiGHS of a process prints its licence before it can be told not to
    highspy.Highs()
