"""From arrays to a proven optimum: the one adapter over PuLP 3 and 4 and their solvers.

HiGHS, the default, is driven through PuLP's ``HiGHS`` class with one change: the whole model is
handed over in a single ``passModel`` call and read back as one array, because on problems that
solve in milliseconds PuLP's object for every term costs more than a tenth of the solve. Every
other solver, and ``as_pulp`` for reading or writing a model, gets ordinary PuLP objects with the
names of the agents' variables and rules.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import highspy
import numpy as np
import pulp

from ems.errors import InvalidSpec, SolveError
from ems.types import Floats, Ints

_PULP_4 = int(pulp.__version__.split(".")[0]) >= 4
HIGHS_CHOICES = {
    "mip_heuristic_run_feasibility_jump": False,
}
"""Options that make small programs faster without changing what is proven."""
_GIVEN_UP = 1e29


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """Minimise ``cost · x + offset`` s.t. ``row_low ≤ A x ≤ row_up``, ``low ≤ x ≤ up``.

    ``rows, cols, coefs``: the entries of A, each place once, sorted by row.
    """

    cost: Floats
    offset: float
    low: Floats
    up: Floats
    integer: np.ndarray[tuple[int], np.dtype[np.bool_]]
    rows: Ints
    cols: Ints
    coefs: Floats
    row_low: Floats
    row_up: Floats
    column_parts: tuple[tuple[str, int], ...]
    row_parts: tuple[tuple[str, int], ...]

    @cached_property
    def column_names(self) -> list[str]:
        """``agent.variable_step`` for every column."""
        return _spelled_out(self.column_parts)

    @cached_property
    def row_names(self) -> list[str]:
        """``agent.rule_step`` for every row."""
        return _spelled_out(self.row_parts)

    @cached_property
    def row_starts(self) -> Ints:
        """Where each row begins among the entries, shape ``(n_rows + 1,)``."""
        counts = np.bincount(self.rows, minlength=len(self.row_low))
        return np.concatenate(([0], np.cumsum(counts)))


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Which solver, and when it may stop.

    ``name``: a solver PuLP knows, such as ``HiGHS`` or ``SCIP_PY``.
    ``mip_gap``: relative gap [1] at which a MILP counts as optimal. It is that of the whole bill,
    of which a plan may change a ten-thousandth.
    ``mip_gap_eur``: absolute gap [€]; it matters on days whose cost is near zero.
    ``time_limit_s``: longest time for one solve [s]; running into it is an error.
    ``seed``: the solver's random seed.
    """

    name: str = "HiGHS"
    mip_gap: float = 1e-6
    mip_gap_eur: float = 1e-4
    time_limit_s: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.mip_gap < 1:
            raise InvalidSpec(f"solver: mip_gap is {self.mip_gap}, allowed is 0 <= mip_gap < 1")
        if not 0 <= self.mip_gap_eur < np.inf:
            raise InvalidSpec(f"solver: mip_gap_eur is {self.mip_gap_eur}, allowed is >= 0")
        if self.time_limit_s is not None and not 0 < self.time_limit_s < np.inf:
            raise InvalidSpec(f"solver: time_limit_s is {self.time_limit_s}, allowed is > 0")
        if not 0 <= self.seed < 2**31:
            raise InvalidSpec(f"solver: seed is {self.seed}, allowed is 0 to 2147483647")


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What the solver proved: a point, its objective [€], a bound [€] and the time [s]."""

    x: Floats
    objective_eur: float
    bound_eur: float
    solver_s: float
    feasible: bool
    optimal: bool


def require_available(solver: Solver) -> None:
    """Raise ``InvalidSpec`` for a solver that PuLP does not know or cannot find here."""
    if solver.name == "HiGHS":
        return
    known = pulp.listSolvers(onlyAvailable=True)
    if solver.name not in known:
        raise InvalidSpec(
            f"solver: {solver.name!r} is not installed; available here: {', '.join(known)}"
        )


def solve(matrix: Matrix, solver: Solver) -> Outcome:
    """Solve ``matrix`` to proven optimality.

    ``feasible`` and ``optimal`` are False, and ``x`` empty, when the solver proves that there is
    no solution. Raises ``SolveError`` when it stops without a proof: at the time limit, on
    numerical trouble, or when the program is unbounded.
    """
    if solver.name == "HiGHS":
        return _solve_with_highs(matrix, solver)
    return _solve_with_pulp(matrix, solver)


def row_duals(matrix: Matrix, solver: Solver) -> Floats:
    """What one more unit of each row's bound adds to the optimum, with the binaries fixed.

    ``solver`` chooses the binaries; the linear program that is left is solved by HiGHS. Shape
    ``(n_rows,)``; empty when there is no solution. Where the optimum has a kink, any value between
    the slopes on its two sides. Raises ``SolveError`` as ``solve``.
    """
    chosen = solve(matrix, solver)
    if not chosen.feasible:
        return np.zeros(0)
    whole = np.rint(chosen.x)
    linear = replace(
        matrix,
        low=np.where(matrix.integer, whole, matrix.low),
        up=np.where(matrix.integer, whole, matrix.up),
        integer=np.zeros(len(matrix.integer), dtype=np.bool_),
    )
    if not len(linear.low):
        return np.zeros(len(linear.row_low))
    highs = _run_highs(linear, solver)[0]
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise SolveError(_unproven(solver, highs.modelStatusToString(status)))
    return np.array(highs.getSolution().row_dual)


class _ArrayHiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS, fed from and read into arrays."""

    def __init__(self, matrix: Matrix, **options: Any) -> None:
        super().__init__(**options)
        self.matrix = matrix

    def buildSolverModel(self, lp: Any) -> None:
        lp.solverModel.passModel(highs_model(self.matrix))

    def findSolutionValues(self, lp: Any) -> Any:
        status = lp.solverModel.getModelStatus()
        found = status == highspy.HighsModelStatus.kOptimal
        if _PULP_4:
            states = pulp.LpSolveStatus
            return (states.Optimal if found else states.Undefined), found
        if found:
            return pulp.LpStatusOptimal, pulp.LpSolutionOptimal
        return pulp.LpStatusUndefined, pulp.LpSolutionNoSolutionFound


def _run_highs(matrix: Matrix, solver: Solver) -> tuple[Any, float]:
    """HiGHS after its run on ``matrix``, and how long that took [s]."""
    engine = _ArrayHiGHS(
        matrix,
        msg=False,
        threads=1,
        gapRel=solver.mip_gap,
        gapAbs=solver.mip_gap_eur,
        timeLimit=solver.time_limit_s,
        random_seed=solver.seed,
        output_flag=False,
        **HIGHS_CHOICES,
    )
    problem = pulp.LpProblem("ems")
    started = time.perf_counter()
    problem.solve(engine)
    return problem.solverModel, time.perf_counter() - started


def _solve_with_highs(matrix: Matrix, solver: Solver) -> Outcome:
    if not len(matrix.low):
        return _without_variables(matrix)
    highs, seconds = _run_highs(matrix, solver)
    status = highs.getModelStatus()
    states = highspy.HighsModelStatus
    if status in (states.kInfeasible, states.kUnboundedOrInfeasible):
        return _no_solution(seconds)
    if status != states.kOptimal:
        raise SolveError(_unproven(solver, highs.modelStatusToString(status)))
    info = highs.getInfo()
    objective = info.objective_function_value
    bound = info.mip_dual_bound if matrix.integer.any() else objective
    return Outcome(
        x=np.array(highs.getSolution().col_value),
        objective_eur=objective,
        bound_eur=bound,
        solver_s=seconds,
        feasible=True,
        optimal=True,
    )


def highs_model(matrix: Matrix) -> highspy.HighsLp:
    """The model in HiGHS's own form, rows first."""
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(matrix.low), len(matrix.row_low)
    model.col_cost_, model.offset_ = matrix.cost, matrix.offset
    model.col_lower_, model.col_upper_ = matrix.low, matrix.up
    model.row_lower_, model.row_upper_ = matrix.row_low, matrix.row_up
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = matrix.row_starts.astype(np.int32)
    model.a_matrix_.index_ = matrix.cols.astype(np.int32)
    model.a_matrix_.value_ = matrix.coefs
    if matrix.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[flag] for flag in matrix.integer.tolist()]
    return model


def _solve_with_pulp(matrix: Matrix, solver: Solver) -> Outcome:
    require_available(solver)
    problem, variables = as_pulp(matrix)
    options = {"msg": False, "gapRel": solver.mip_gap, "timeLimit": solver.time_limit_s}
    engine = pulp.getSolver(solver.name, **options)
    started = time.perf_counter()
    result = problem.solve(engine)
    seconds = time.perf_counter() - started
    optimal, infeasible, text = _verdict(problem, result)
    if infeasible:
        return _no_solution(seconds)
    if not optimal:
        raise SolveError(_unproven(solver, text))
    x = np.array([variable.varValue for variable in variables], dtype=np.float64)
    x[matrix.integer] = np.rint(x[matrix.integer])
    objective = float(matrix.cost @ x + matrix.offset)
    slack = max(solver.mip_gap_eur, solver.mip_gap * abs(objective))
    return Outcome(
        x=x,
        objective_eur=objective,
        bound_eur=objective - slack if matrix.integer.any() else objective,
        solver_s=seconds,
        feasible=True,
        optimal=True,
    )


def _verdict(problem: Any, result: Any) -> tuple[bool, bool, str]:
    """(proven optimal, proven infeasible, the solver's word) under PuLP 3 and 4."""
    if _PULP_4:
        states = pulp.LpSolveStatus
        status = result.status
        proven = status in (states.Optimal, states.GapLimit) and result.has_solution
        return proven, status == states.Infeasible, status.name
    text = pulp.LpStatus[problem.status]
    proven = problem.sol_status == pulp.LpSolutionOptimal
    return proven, problem.status == pulp.LpStatusInfeasible, text


def as_pulp(matrix: Matrix) -> tuple[Any, list[Any]]:
    """The same model as PuLP objects: the ``LpProblem`` and its variables in column order.

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
    cost = _expression([(variables[j], float(matrix.cost[j])) for j in used])
    problem.setObjective(cost + matrix.offset)
    ends = matrix.row_starts.tolist()
    cols, coefs = matrix.cols.tolist(), matrix.coefs.tolist()
    for row, name in enumerate(matrix.row_names):
        entries = range(ends[row], ends[row + 1])
        terms = _expression([(variables[cols[k]], coefs[k]) for k in entries])
        low, up = float(matrix.row_low[row]), float(matrix.row_up[row])
        if low == up:
            problem.addConstraint(terms == up, name)
            continue
        if np.isfinite(up):
            problem.addConstraint(terms <= up, name)
        if np.isfinite(low):
            problem.addConstraint(terms >= low, f"{name}_low" if np.isfinite(up) else name)
    return problem, variables


def _expression(pairs: list[tuple[Any, float]]) -> Any:
    kind = pulp.LpAffineExpression
    return kind.from_list(pairs) if _PULP_4 else kind(pairs)


def _finite(bound: float) -> float | None:
    return bound if abs(bound) < _GIVEN_UP else None


def _spelled_out(parts: tuple[tuple[str, int], ...]) -> list[str]:
    return [f"{name}_{i}" for name, size in parts for i in range(size)]


def _unproven(solver: Solver, status: str) -> str:
    limit = f"{solver.time_limit_s} s" if solver.time_limit_s is not None else "none"
    return (
        f"solver {solver.name}: stopped with {status!r} and no proven optimum (mip_gap "
        f"{solver.mip_gap:g}, time limit {limit}); allow more time or a wider gap"
    )


def _no_solution(seconds: float) -> Outcome:
    return Outcome(
        x=np.zeros(0),
        objective_eur=np.nan,
        bound_eur=np.nan,
        solver_s=seconds,
        feasible=False,
        optimal=False,
    )


def _without_variables(matrix: Matrix) -> Outcome:
    """HiGHS calls a model without columns empty, not solved: here the rows decide alone."""
    holds = bool(np.all(matrix.row_low <= 1e-9) and np.all(matrix.row_up >= -1e-9))
    if not holds:
        return _no_solution(0.0)
    return Outcome(
        x=np.zeros(0),
        objective_eur=matrix.offset,
        bound_eur=matrix.offset,
        solver_s=0.0,
        feasible=True,
        optimal=True,
    )
