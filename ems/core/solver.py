"""Which solver proves the optimum of a program, and what it proved.

HiGHS, the default, gets arrays (``ems.core.highs``): in programs that solve in milliseconds,
building an object for every term takes longer than the solve. Other solvers get a
``pulp.LpProblem`` (``ems.core.pulp_model``). Both modules are imported at the first solve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ems.core.matrix import Matrix
from ems.errors import InvalidSpec, SolveError
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Which solver, and when it may stop.

    ``name``: ``HiGHS``, or any other solver that PuLP finds here, such as ``SCIP_PY``.
    ``mip_gap``: relative gap [1] at which a MILP counts as optimal. Relative to the total bill.
    ``mip_gap_eur``: absolute gap [€]; it matters on days whose cost is near zero.
    ``time_limit_s``: longest time for one solve [s], None for none; running into it is an error.
    ``seed``: the solver's random seed.

    ``solver_notes`` says which of these a solver cannot be told.
    """

    name: str = "HiGHS"
    mip_gap: float = 1e-6
    mip_gap_eur: float = 1e-4
    time_limit_s: float | None = 60.0
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
    """What the solver proved: a point, its objective [€], a bound [€] and the time [s].

    ``feasible``: False if there is no solution; ``x`` is empty then. ``bound_eur``: no point costs
    less [€]; −∞ if the solver does not report it.
    """

    x: Floats
    objective_eur: float
    bound_eur: float
    solver_s: float
    feasible: bool = True


def no_solution(seconds: float) -> Outcome:
    """The outcome of a proof that there is no solution."""
    return Outcome(
        x=np.zeros(0), objective_eur=np.nan, bound_eur=np.nan, solver_s=seconds, feasible=False
    )


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
    from ems.core.highs import linear_duals

    chosen = solve(matrix, solver)
    if not chosen.feasible:
        return np.zeros(0)
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


def unproven(
    solver: Solver, status: str, best_eur: float = np.inf, bound_eur: float = -np.inf
) -> SolveError:
    """The error for a solve that ended without a proof, with what is known of it [€]."""
    limit = "none" if solver.time_limit_s is None else f"{solver.time_limit_s:g} s"
    known = "no plan was found"
    if np.isfinite(best_eur):
        known = f"the best plan found costs {best_eur:.4f} €"
        known += (
            f", no plan costs less than {bound_eur:.4f} €, a gap of {best_eur - bound_eur:.2g} €"
            if np.isfinite(bound_eur)
            else ", how far that is from the optimum is not known"
        )
    return SolveError(
        f"solver {solver.name}: stopped with {status!r} and no proven optimum (mip_gap "
        f"{solver.mip_gap:g}, mip_gap_eur {solver.mip_gap_eur:g} €, time limit {limit}): {known}; "
        "allow more time or a wider gap"
    )


def _without_variables(matrix: Matrix) -> Outcome:
    """Solvers report a model without columns as empty, not solved: the rows alone decide."""
    if not (np.all(matrix.row_low <= 1e-9) and np.all(matrix.row_up >= -1e-9)):
        return no_solution(0.0)
    return Outcome(
        x=np.zeros(0), objective_eur=matrix.offset, bound_eur=matrix.offset, solver_s=0.0
    )
