"""Which solver, when it may stop, and what it proved."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

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
    mip_gap: float = 1e-9
    mip_gap_eur: float = 1e-7
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
    less [€]; −∞ if the solver does not report it. ``row_duals``: what one more unit of each row's
    bound adds to the optimum with the binaries fixed; empty if it was not asked for.
    """

    x: Floats
    objective_eur: float
    bound_eur: float
    solver_s: float
    feasible: bool = True
    row_duals: Floats = field(default_factory=lambda: np.zeros(0))


def no_solution(seconds: float) -> Outcome:
    """The outcome of a proof that there is no solution."""
    return Outcome(
        x=np.zeros(0), objective_eur=np.nan, bound_eur=np.nan, solver_s=seconds, feasible=False
    )


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
