"""Explain infeasibility: which rules would have to give way, and by how much."""

from __future__ import annotations

import numpy as np

from ems.core.affine import Affine, Relation
from ems.core.builder import ModelBuilder, Unit
from ems.core.horizon import Horizon
from ems.core.solve import solve
from ems.core.solver import Solver
from ems.errors import Infeasible, SolveError
from ems.types import Floats

LEAST_MISSED = 1e-6
"""Smallest violation that counts, in the rule's own unit."""
_ACCOUNT_WEIGHT = 1e3
"""Penalty of missing an equality (balance, charge, energy) relative to missing a limit.

People can act on a limit; an energy balance that is off explains nothing.
"""


def why_infeasible(columns: ModelBuilder, solver: Solver) -> Infeasible:
    """Solve again with every named rule elastic, and list what had to give."""
    horizon = columns.horizon
    elastic = columns.without_rules()
    penalty, slacks = Affine.constant(0.0, 1), []
    for rule, unit, relation in columns.rules:
        size = len(relation.expr)
        over = elastic.add(f"{rule}.over", 0.0, np.inf, size, integer=False)
        short = elastic.add(f"{rule}.short", 0.0, np.inf, size, integer=False)
        softened = Relation(relation.expr + short - over, relation.lower, relation.upper)
        elastic.rules.append((rule, unit, softened))
        weight = _ACCOUNT_WEIGHT if relation.lower == relation.upper else 1.0
        penalty = penalty + weight * (over.sum() + short.sum())
        slacks.append((rule, unit, over, short))
    outcome = solve(elastic.matrix(penalty), solver)
    if not outcome.feasible:
        raise SolveError("the program contradicts itself: a variable's low is above its up")
    shortfalls: dict[str, str] = {}
    for rule, unit, over, short in slacks:
        shortfalls |= _broken(horizon, rule, unit, over.value(outcome.x), "over")
        shortfalls |= _broken(horizon, rule, unit, short.value(outcome.x), "short")
    if not shortfalls:
        raise SolveError(
            f"solver {solver.name}: found no plan, although one that misses no rule by more than "
            f"{LEAST_MISSED:g} exists: some limits leave no room; widen them a little"
        )
    text = "; ".join(f"{rule}: {shortfall}" for rule, shortfall in shortfalls.items())
    return Infeasible(f"no plan keeps every rule: {text}", shortfalls)


def _broken(horizon: Horizon, rule: str, unit: Unit, slack: Floats, word: str) -> dict[str, str]:
    worst = int(np.argmax(slack)) if len(slack) else 0
    if not len(slack) or slack[worst] <= LEAST_MISSED:
        return {}
    # Steps that are short by less are numerical noise and would inflate the count.
    steps = int(np.sum(slack > LEAST_MISSED))
    when = ""
    if len(slack) == horizon.n_steps:
        when = f" at {horizon.local[worst]:%Y-%m-%d %H:%M}"
        when += f" and in {steps - 1} other steps" if steps > 1 else ""
    return {rule: f"{slack[worst]:.4g} {unit} {word}{when}"}
