"""The program as a ``pulp.LpProblem`` with readable names, and the solvers that PuLP finds.

Works with PuLP 3 and 4, which report a solve in different ways.
"""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np
import pulp

from ems.core.matrix import Matrix
from ems.core.solver import Outcome, Solver, no_solution, unproven
from ems.errors import InvalidSpec

_PULP_4 = int(pulp.__version__.split(".")[0]) >= 4
_GIVEN_UP = 1e29
"""Bounds at or beyond this count as none; solvers use 1e30 for infinity."""


def to_pulp(matrix: Matrix) -> tuple[Any, list[Any]]:
    """The ``LpProblem`` and its variables in column order.

    A row with two different ends becomes two constraints, the second named ``…_low``.
    """
    problem = pulp.LpProblem("ems")
    variables = [
        problem.add_variable(name, _finite(low), _finite(up), "Integer" if whole else "Continuous")
        for name, low, up, whole in zip(
            matrix.column_names,
            matrix.low.tolist(),
            matrix.up.tolist(),
            matrix.integer.tolist(),
            strict=True,
        )
    ]
    used = np.flatnonzero(matrix.cost)
    # Only columns with a cost: PuLP keeps every zero it is given.
    cost = _expression([(variables[j], float(matrix.cost[j])) for j in used])
    problem.setObjective(cost + matrix.offset)
    ends = matrix.pattern.row_starts.tolist()
    cols, coefs = matrix.pattern.cols.tolist(), matrix.coefs.tolist()
    for row, name in enumerate(matrix.row_names):
        entries = range(ends[row], ends[row + 1])
        terms = _expression([(variables[cols[k]], coefs[k]) for k in entries])
        low, up = float(matrix.row_low[row]), float(matrix.row_up[row])
        # PuLP has no ranged rows.
        if low == up:
            problem.addConstraint(terms == up, name)
            continue
        if np.isfinite(up):
            problem.addConstraint(terms <= up, name)
        if np.isfinite(low):
            problem.addConstraint(terms >= low, f"{name}_low" if np.isfinite(up) else name)
    return problem, variables


def solve_with_pulp(matrix: Matrix, solver: Solver) -> Outcome:
    """The optimum of ``matrix``, as ``ems.core.solve.solve``; with binaries its bound is −∞."""
    require_found(solver)
    problem, variables = to_pulp(matrix)
    taken = _takes(solver)
    engine = pulp.getSolver(
        solver.name, msg=False, **{key: v for key, v in _limits(solver).items() if key in taken}
    )
    started = time.perf_counter()
    result = problem.solve(engine)
    seconds = time.perf_counter() - started
    optimal, infeasible, text = _verdict(problem, result)
    if infeasible:
        return no_solution(seconds)
    if not optimal:
        raise unproven(solver, text)
    x = np.array([variable.varValue for variable in variables], dtype=np.float64)
    # Some solvers return 0.9999999 for 1; the objective is then computed from the rounded point.
    x[matrix.integer] = np.rint(x[matrix.integer])
    objective = float(matrix.cost @ x + matrix.offset)
    return Outcome(
        x=x,
        objective_eur=objective,
        bound_eur=-np.inf if matrix.integer.any() else objective,
        solver_s=seconds,
    )


def require_found(solver: Solver) -> None:
    """Raise ``InvalidSpec`` for a solver that PuLP does not know or cannot find here."""
    known = pulp.listSolvers(onlyAvailable=True)
    if solver.name not in known:
        raise InvalidSpec(
            f"solver: {solver.name!r} is not installed; available here: {', '.join(known)}"
        )


def notes(solver: Solver) -> tuple[str, ...]:
    """What PuLP cannot pass to this solver, and what it does not report."""
    require_found(solver)
    words = {"gapRel": "mip_gap", "gapAbs": "mip_gap_eur", "timeLimit": "time_limit"}
    taken = _takes(solver)
    untold = [words[key] for key in _limits(solver) if key not in taken]
    return (
        f"solver {solver.name}: {', '.join([*untold, 'seed'])} cannot be passed on by PuLP",
        f"solver {solver.name}: PuLP does not report its bound, so the gap of a plan with binaries "
        "is not proven",
    )


def _limits(solver: Solver) -> dict[str, float]:
    """When to stop, by PuLP's names."""
    limits = {"gapRel": solver.mip_gap, "gapAbs": solver.mip_gap_eur}
    if solver.time_limit_s is not None:
        limits["timeLimit"] = solver.time_limit_s
    return limits


def _takes(solver: Solver) -> frozenset[str]:
    """The options that PuLP's class for this solver accepts; PuLP ignores unknown ones silently."""
    engine = type(pulp.getSolver(solver.name, msg=False))
    return frozenset(inspect.signature(engine.__init__).parameters)


def _verdict(problem: Any, result: Any) -> tuple[bool, bool, str]:
    """(proven optimal, proven infeasible, the solver's word) under PuLP 3 and 4."""
    if _PULP_4:
        states = pulp.LpSolveStatus
        status = result.status
        proven = status in (states.Optimal, states.GapLimit) and result.has_solution
        return proven, status == states.Infeasible, status.name
    # PuLP 3 reports "Optimal" at a time limit too; only sol_status tells a proof.
    text = pulp.LpStatus[problem.status]
    proven = problem.sol_status == pulp.LpSolutionOptimal
    return proven, problem.status == pulp.LpStatusInfeasible, text


def _expression(pairs: list[tuple[Any, float]]) -> Any:
    kind = pulp.LpAffineExpression
    return kind.from_list(pairs) if _PULP_4 else kind(pairs)


def _finite(bound: float) -> float | None:
    return bound if abs(bound) < _GIVEN_UP else None
