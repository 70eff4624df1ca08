"""What agents write into: the variables and rules of one program, and each agent's part of it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ems.core.affine import Affine, Relation
from ems.core.horizon import Horizon
from ems.core.solver import Matrix
from ems.types import Floats

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
        self._integer: list[Floats] = []
        self._count = 0

    def add(
        self, name: str, low: Floats | float, up: Floats | float, size: int, *, integer: bool
    ) -> Affine:
        """``size`` new variables between ``low`` and ``up``."""
        first = self._count
        self._low.append(np.broadcast_to(np.asarray(low, dtype=np.float64), (size,)))
        self._up.append(np.broadcast_to(np.asarray(up, dtype=np.float64), (size,)))
        self._integer.append(np.full(size, float(integer)))
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
        relations = [relation for _, _, relation in self.rules]
        sizes = [len(relation.expr) for relation in relations]
        firsts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        none = np.zeros(0)
        const = np.concatenate([none, *(r.expr.const for r in relations)])
        rows = [r.expr.rows + first for r, first in zip(relations, firsts, strict=False)]
        whole = np.zeros(0, dtype=np.int64)
        key = np.concatenate([whole, *rows]) * max(len(low), 1)
        key += np.concatenate([whole, *(r.expr.cols for r in relations)])
        coefs = np.concatenate([none, *(r.expr.coefs for r in relations)])
        place, where = np.unique(key, return_inverse=True)
        coefs = np.bincount(where, coefs, minlength=len(place))
        kept = coefs != 0.0
        rows_sorted, cols_sorted = np.divmod(place[kept], max(len(low), 1))
        return Matrix(
            cost=np.bincount(cost.cols, cost.coefs, minlength=len(low)).astype(np.float64),
            offset=float(cost.const[0]),
            low=low,
            up=up,
            integer=np.concatenate([none, *self._integer]) > 0.5,
            rows=rows_sorted,
            cols=cols_sorted,
            coefs=coefs[kept],
            row_low=np.repeat([r.lower for r in relations], sizes) - const,
            row_up=np.repeat([r.upper for r in relations], sizes) - const,
            column_parts=tuple(self.parts),
            row_parts=tuple((r[0], n) for r, n in zip(self.rules, sizes, strict=True)),
        )
