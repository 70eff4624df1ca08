"""What agents write into: the variables and rules of one program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from ems.core.affine import Affine, Relation, Term, stacked
from ems.core.horizon import Horizon
from ems.core.matrix import Matrix, Pattern
from ems.types import Floats, Ints

Unit = Literal["kW", "kWh", "steps", "starts"]


class Block:
    """The part of a program that belongs to one agent.

    ``horizon``: the time grid and its prices.
    ``worth_at_least_eur_per_kwh``: a lower bound on what a kWh on the bus is worth in each step,
    −inf where nothing bounds it; agents use it to leave out binaries that cannot matter.
    ``others_kw``: the least and the most that all agents before this one may draw [kW].
    """

    def __init__(
        self, columns: ModelBuilder, agent: str, worth: Floats, others: Sequence[Affine | Floats]
    ) -> None:
        self.horizon = columns.horizon
        self.worth_at_least_eur_per_kwh = worth
        self._columns, self._agent, self._others = columns, agent, tuple(others)

    @property
    def others_kw(self) -> tuple[Floats, Floats]:
        """Bounds on the sum of the net loads of the agents before this one [kW]."""
        total_kw = Affine.total(self._others, self.horizon.n_steps)
        return total_kw.range(*self._columns.bounds())

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

    def child(self, name: str, others: Sequence[Affine | Floats] = ()) -> Block:
        """The part of this block that belongs to a member of this agent.

        ``others``: the net loads of the members before it [kW].
        """
        worth = self.worth_at_least_eur_per_kwh
        return Block(self._columns, f"{self._agent}.{name}", worth, others)

    def range_kw(self, net_load_kw: Affine) -> tuple[Floats, Floats]:
        """The least and the most that a net load can be by the bounds of its variables [kW]."""
        return net_load_kw.range(*self._columns.bounds())


class Variables(NamedTuple):
    """``size`` variables of one name, between ``low`` and ``up``."""

    name: str
    size: int
    low: Floats | float
    up: Floats | float
    integer: bool


class ModelBuilder:
    """The variables and rules that all blocks of one program have written so far."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon = horizon
        self.rules: list[tuple[str, Unit, Relation]] = []
        self._variables: list[Variables] = []
        self._count = 0

    def add(
        self, name: str, low: Floats | float, up: Floats | float, size: int, *, integer: bool
    ) -> Affine:
        """``size`` new variables between ``low`` and ``up``."""
        first = self._count
        self._variables.append(Variables(name, size, low, up, integer))
        self._count += size
        return Affine.of_columns(first, size)

    @property
    def n_variables(self) -> int:
        """How many variables there are so far."""
        return self._count

    def without_rules(self) -> ModelBuilder:
        """The same variables, so that more can be added and other rules written."""
        other = ModelBuilder(self.horizon)
        other._variables, other._count = list(self._variables), self._count
        return other

    def bounds(self) -> tuple[Floats, Floats]:
        """The least and the greatest value of every variable."""
        low, up, first = np.empty(self._count), np.empty(self._count), 0
        for own in self._variables:
            low[first : first + own.size] = own.low
            up[first : first + own.size] = own.up
            first += own.size
        return low, up

    def matrix(self, cost: Affine, second: Affine | None = None) -> Matrix:
        """All rules stacked into one coordinate matrix, each place once, sorted by row.

        ``cost`` [€] is minimised; ``second`` decides between plans of equal cost (None: any).
        """
        low, up = self.bounds()
        sizes = [len(relation.expr) for _, _, relation in self.rules]
        row_low, row_up = np.empty(sum(sizes)), np.empty(sum(sizes))
        terms, firsts, lengths, first = list[Term](), list[int](), list[int](), 0
        for (_, _, relation), size in zip(self.rules, sizes, strict=True):
            own, const = slice(first, first + size), relation.expr.const
            row_low[own], row_up[own] = relation.lower - const, relation.upper - const
            for term in relation.expr.terms:
                terms.append(term)
                firsts.append(first)
                lengths.append(len(term.rows))
            first += size
        rows, cols, coefs = stacked(terms)
        # `stacked` returns fresh arrays, so adding in place is safe.
        rows += np.repeat(np.array(firsts, dtype=np.int64), lengths)
        pattern, entries = _merged(rows, cols, coefs, (first, len(low)))
        _, priced, prices = stacked(cost.terms)
        _, counted, weights = stacked(second.terms if second is not None else ())
        return Matrix(
            cost=_sums(priced, prices, len(low)),
            second=_sums(counted, weights, len(low)),
            offset=float(cost.const[0]),
            low=low,
            up=up,
            integer=np.repeat(
                np.array([own.integer for own in self._variables], dtype=np.bool_),
                [own.size for own in self._variables],
            ),
            pattern=pattern,
            coefs=entries,
            row_low=row_low,
            row_up=row_up,
            column_parts=tuple((own.name, own.size) for own in self._variables),
            row_parts=tuple((rule, n) for (rule, _, _), n in zip(self.rules, sizes, strict=True)),
        )


def _merged(
    rows: Ints, cols: Ints, coefs: Floats, shape: tuple[int, int]
) -> tuple[Pattern, Floats]:
    """The entries at each place added, without those that are zero."""
    pattern, where = _pattern(rows.tobytes(), cols.tobytes(), shape)
    # Exact zeros only: terms that cancelled. A small coefficient is still a coefficient.
    entries = _sums(where, coefs, len(pattern.rows))
    kept = entries != 0.0
    if kept.all():
        return pattern, entries
    fewer = Pattern(n_rows=shape[0], rows=pattern.rows[kept], cols=pattern.cols[kept])
    return fewer, entries[kept]


# Keyed by bytes, since arrays cannot be hashed.
@lru_cache(maxsize=64)
def _pattern(rows: bytes, cols: bytes, shape: tuple[int, int]) -> tuple[Pattern, Ints]:
    """The places in order, and to which of them each entry belongs.

    Sorting is the slow part of building a matrix, and days of one structure share the result.
    """
    # At least 1: a program without variables must not divide by zero below.
    n_rows, n_cols = shape[0], max(shape[1], 1)
    keys = np.frombuffer(rows, np.int64) * n_cols + np.frombuffer(cols, np.int64)
    places, where = np.unique(keys, return_inverse=True)
    return Pattern(n_rows=n_rows, rows=places // n_cols, cols=places % n_cols), where


def _sums(where: Ints, values: Floats, size: int) -> Floats:
    """The sum of the values that belong to each of ``size`` places."""
    return np.bincount(where, values, minlength=size).astype(np.float64, copy=False)
