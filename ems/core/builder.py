"""What agents write into: the variables and rules of one program, and each agent's part of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from ems.core.affine import Affine, Relation
from ems.core.horizon import Horizon
from ems.core.matrix import Matrix, Pattern
from ems.types import Bools, Floats, Ints

Unit = Literal["kW", "kWh", "steps", "starts"]


class Block:
    """The part of a program that belongs to one agent.

    ``horizon``: the time grid and its prices.
    ``worth_at_least_eur_per_kwh``: a lower bound on what a kWh on the bus is worth in each step,
    −inf where nothing bounds it; agents use it to leave out binaries that cannot matter.
    ``others_kw``: the least and the most that all agents before this one may draw [kW].
    """

    def __init__(self, columns: ModelBuilder, agent: str, worth: Floats, others: Affine) -> None:
        self.horizon = columns.horizon
        self.worth_at_least_eur_per_kwh = worth
        self._columns, self._agent, self._others = columns, agent, others

    @property
    def others_kw(self) -> tuple[Floats, Floats]:
        """Bounds on the sum of the net loads of the agents before this one [kW]."""
        return self._others.range(*self._columns.bounds())

    def variables(
        self,
        name: str,
        *,
        low: Floats | float = 0.0,
        up: Floats | float = np.inf,
        size: int | None = None,
    ) -> Affine:
        """Continuous variables ``low ≤ x ≤ up``, one a step unless ``size`` says otherwise."""
        count = self.horizon.n_steps if size is None else size
        return self._columns.add(f"{self._agent}.{name}", low, up, count, integer=False)

    def switches(self, name: str, *, size: int | None = None) -> Affine:
        """Binary variables, one a step unless ``size`` says otherwise."""
        count = self.horizon.n_steps if size is None else size
        return self._columns.add(f"{self._agent}.{name}", 0.0, 1.0, count, integer=True)

    def require(self, rule: str, relation: Relation, unit: Unit) -> None:
        """Impose a rule; its name and unit appear when it cannot be kept."""
        self._columns.rules.append((f"{self._agent}.{rule}", unit, relation))


class ModelBuilder:
    """The variables and rules that all blocks of one program have written so far."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon = horizon
        self.parts: list[tuple[str, int]] = []
        self.rules: list[tuple[str, Unit, Relation]] = []
        self._low: list[Floats] = []
        self._up: list[Floats] = []
        self._integer: list[Bools] = []
        self._count = 0

    def add(
        self, name: str, low: Floats | float, up: Floats | float, size: int, *, integer: bool
    ) -> Affine:
        """``size`` new variables between ``low`` and ``up``."""
        first = self._count
        self._low.append(_one_each(low, size))
        self._up.append(_one_each(up, size))
        self._integer.append(np.full(size, integer))
        self.parts.append((name, size))
        self._count += size
        return Affine.of_columns(first, size)

    def without_rules(self) -> ModelBuilder:
        """The same variables, so that more can be added and other rules written."""
        other = ModelBuilder(self.horizon)
        other.parts, other._count = list(self.parts), self._count
        other._low, other._up = list(self._low), list(self._up)
        other._integer = list(self._integer)
        return other

    def bounds(self) -> tuple[Floats, Floats]:
        """The least and the greatest value of every variable."""
        empty = [np.zeros(0)]
        return np.concatenate(self._low or empty), np.concatenate(self._up or empty)

    def matrix(self, cost: Affine) -> Matrix:
        """All rules stacked into one coordinate matrix, each place once, sorted by row."""
        low, up = self.bounds()
        n = max(len(low), 1)
        relations = [relation for _, _, relation in self.rules]
        sizes = [len(relation.expr) for relation in relations]
        n_rows = sum(sizes)
        const, key, coefs = np.empty(n_rows), [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
        row_low, row_up, first = np.empty(n_rows), np.empty(n_rows), 0
        for relation, size in zip(relations, sizes, strict=True):
            expr, rows = relation.expr, slice(first, first + size)
            const[rows], row_low[rows], row_up[rows] = expr.const, relation.lower, relation.upper
            key.append((expr.rows + first) * n + expr.cols)
            coefs.append(expr.coefs)
            first += size
        pattern, values = _merged(np.concatenate(key), np.concatenate(coefs), n, n_rows)
        return Matrix(
            cost=np.bincount(cost.cols, cost.coefs, minlength=len(low)).astype(
                np.float64, copy=False
            ),
            offset=float(cost.const[0]),
            low=low,
            up=up,
            integer=np.concatenate([np.zeros(0, dtype=np.bool_), *self._integer]),
            pattern=pattern,
            coefs=values,
            row_low=row_low - const,
            row_up=row_up - const,
            column_parts=tuple(self.parts),
            row_parts=tuple((rule, n) for (rule, _, _), n in zip(self.rules, sizes, strict=True)),
        )


def _merged(key: Ints, coefs: Floats, n_cols: int, n_rows: int) -> tuple[Pattern, Floats]:
    """The entries of one place ``row · n_cols + column`` added, without those that are zero."""
    pattern, where = _pattern(key.tobytes(), n_cols, n_rows)
    values = np.bincount(where, coefs, minlength=len(pattern.rows)).astype(np.float64, copy=False)
    kept = values != 0.0
    if kept.all():
        return pattern, values
    fewer = Pattern(n_rows=n_rows, rows=pattern.rows[kept], cols=pattern.cols[kept])
    return fewer, values[kept]


@lru_cache(maxsize=64)
def _pattern(key: bytes, n_cols: int, n_rows: int) -> tuple[Pattern, Ints]:
    """The places in order, and to which of them each entry belongs.

    Sorting them is the dear part of a matrix, and the same on every day of one structure.
    """
    place, where = np.unique(np.frombuffer(key, dtype=np.int64), return_inverse=True)
    rows, cols = np.divmod(place, n_cols)
    return Pattern(n_rows=n_rows, rows=rows, cols=cols), where


def _one_each(value: Floats | float, size: int) -> Floats:
    """``value`` for each of ``size`` variables; raises ``ValueError`` for another shape."""
    each = np.empty(size)
    each[:] = value
    return each
