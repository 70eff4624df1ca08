"""Arrays of affine expressions, so that a rule for all steps is one line of numpy.

An ``Affine`` of size n stands for n expressions, ``value[i] = const[i] + Σ coef · x[col]``, over
the variables of one program. It supports ``+ - * / @``, slicing, and the comparisons
``<= >= ==``, which give a ``Relation`` for ``Block.require``::

    soc_kwh == soc_kwh.before(initial_kwh) + step_h * (eta * charge_kw - discharge_kw / eta)

Terms are only collected here; arrays are assembled once, when the whole program is known. Needs
only numpy; nothing here knows a solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ems.types import Floats, Ints


class Term(NamedTuple):
    """``coef · x[cols[k]]`` in the expression ``rows[k]``, for every k."""

    rows: Ints
    cols: Ints
    coef: Floats | float

    def times(self, factor: Floats | float) -> Term:
        """The term with each expression times its factor."""
        if isinstance(factor, np.ndarray) and factor.ndim:
            # The usual case, one entry per expression in order: no gather needed. `is` is enough,
            # since _index is cached.
            factor = factor if self.rows is _index(len(factor)) else factor[self.rows]
        return Term(self.rows, self.cols, self.coef * factor)

    def only(self, kept: NDArray[np.bool_], rows: Ints) -> Term:
        """The entries that are kept, in the expressions ``rows``."""
        coef = self.coef[kept] if isinstance(self.coef, np.ndarray) else self.coef
        return Term(rows[kept], self.cols[kept], coef)


class Affine:
    """``size`` affine expressions as a sum of terms and a constant; immutable by convention."""

    __slots__ = ("_const", "size", "terms")
    __array_ufunc__ = None  # numpy hands its operators over to ours

    def __init__(self, terms: tuple[Term, ...], const: Floats | float, size: int) -> None:
        self.terms, self._const, self.size = terms, const, size

    @classmethod
    def of_columns(cls, first: int, size: int) -> Affine:
        """The variables ``first … first + size − 1`` themselves."""
        return cls((Term(_index(size), _columns(first, size), 1.0),), 0.0, size)

    @classmethod
    def constant(cls, values: Floats | float, size: int) -> Affine:
        """Expressions without variables; ``values`` is one number or has shape ``(size,)``."""
        return cls((), np.broadcast_to(np.asarray(values, dtype=np.float64), (size,)), size)

    @classmethod
    def total(cls, parts: Sequence[Affine | Floats], size: int) -> Affine:
        """The sum of series of ``size`` expressions or numbers."""
        total = cls((), 0.0, size)
        for part in parts:
            total = total + part
        return total

    @property
    def const(self) -> Floats:
        """The constant of each expression, shape ``(size,)``."""
        return np.zeros(self.size) + self._const

    def __len__(self) -> int:
        return self.size

    def __neg__(self) -> Affine:
        return self * -1.0

    def __add__(self, other: Affine | Floats | float) -> Affine:
        if not isinstance(other, Affine):
            return Affine(self.terms, self._shifted(other), self.size)
        if other.size != self.size:
            raise ValueError(f"cannot add {other.size} expressions to {self.size}, give as many")
        return Affine(self.terms + other.terms, self._const + other._const, self.size)

    __radd__ = __add__

    def __sub__(self, other: Affine | Floats | float) -> Affine:
        return self + (-other)

    def __rsub__(self, other: Floats | float) -> Affine:
        return -self + other

    def __mul__(self, factor: Floats | float) -> Affine:
        # A list inside tuple() is faster than a generator, and this runs for every expression.
        terms = tuple([term.times(factor) for term in self.terms])
        return Affine(terms, self._const * factor, self.size)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Floats | float) -> Affine:
        return self * (1.0 / divisor)

    def __rmatmul__(self, matrix: NDArray[Any]) -> Affine:
        """``matrix @ self`` for a dense numeric matrix of shape ``(m, size)``."""
        from_rows, cols, coefs = stacked(self.terms)
        # Only the columns of `matrix` that meet a term; the rest multiply zero.
        part = matrix[:, from_rows]
        rows, entry = part.nonzero()
        term = Term(rows, cols[entry], part[rows, entry] * coefs[entry])
        return Affine((term,), matrix @ self.const, len(matrix))

    def __getitem__(self, which: slice | Ints | NDArray[np.bool_] | int) -> Affine:
        """The chosen expressions, each at most once."""
        index = _index(self.size)[which].reshape(-1)
        # Maps old row to new row; −1 marks rows that are dropped.
        place = np.full(self.size, -1)
        place[index] = _index(len(index))
        if np.count_nonzero(place >= 0) < len(index):
            raise ValueError("cannot choose an expression twice")
        terms = []
        for term in self.terms:
            rows = place[term.rows]
            terms.append(term.only(rows >= 0, rows))
        return Affine(tuple(terms), self.const[index], len(index))

    def before(self, first: float) -> Affine:
        """The same series one step earlier; ``first`` stands before the first step."""
        terms = []
        for term in self.terms:
            # Plain variables with one coefficient: slicing avoids a mask for every term.
            if term.rows is _index(self.size) and not isinstance(term.coef, np.ndarray):
                later = Term(_index(self.size)[1:], term.cols[:-1], term.coef)
            else:
                later = term.only(term.rows < self.size - 1, term.rows + 1)
            terms.append(later)
        const = np.empty(self.size)
        const[0], const[1:] = first, self._const if np.ndim(self._const) == 0 else self.const[:-1]
        return Affine(tuple(terms), const, self.size)

    def placed(self, at: Ints, size: int) -> Affine:
        """A series of ``size`` zeros with these expressions at the indices ``at``."""
        const = np.zeros(size)
        const[at] = self.const
        terms = tuple(Term(at[term.rows], term.cols, term.coef) for term in self.terms)
        return Affine(terms, const, size)

    def sum(self) -> Affine:
        """Σ over all expressions, as an ``Affine`` of size 1."""
        terms = tuple([Term(_nowhere(len(term.rows)), *term[1:]) for term in self.terms])
        return Affine(terms, float(self.const.sum()), 1)

    def value(self, x: Floats) -> Floats:
        """The numbers of the expressions at the point ``x``, shape ``(size,)``."""
        # One term in order: no bincount needed; plans read thousands of such series.
        if len(self.terms) == 1 and self.terms[0].rows is _index(self.size):
            _, cols, coef = self.terms[0]
            return self._const + coef * x[cols]
        rows, cols, coefs = stacked(self.terms)
        return self.const + np.bincount(rows, coefs * x[cols], minlength=self.size)

    def range(self, low: Floats, up: Floats) -> tuple[Floats, Floats]:
        """The smallest and the largest value between the bounds of the variables."""
        rows, cols, coefs = stacked(self.terms)
        # A negative coefficient swaps which bound gives the minimum.
        a, b = coefs * low[cols], coefs * up[cols]
        least = np.bincount(rows, np.minimum(a, b), minlength=self.size)
        most = np.bincount(rows, np.maximum(a, b), minlength=self.size)
        return self.const + least, self.const + most

    def _shifted(self, other: Floats | float) -> Floats | float:
        if isinstance(other, np.ndarray) and other.shape not in ((), (self.size,)):
            raise ValueError(f"cannot add shape {other.shape} to {self.size} expressions")
        return self._const + other

    def __le__(self, other: Affine | Floats | float) -> Relation:
        return Relation(self - other, -np.inf, 0.0)

    def __ge__(self, other: Affine | Floats | float) -> Relation:
        return Relation(self - other, 0.0, np.inf)

    def __eq__(self, other: Affine | Floats | float) -> Relation:  # type: ignore[override]
        return Relation(self - other, 0.0, 0.0)

    # __eq__ builds a rule, so two expressions have no usable notion of equality.
    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Relation:
    """``lower ≤ expr ≤ upper`` for every expression of ``expr``."""

    expr: Affine
    lower: float
    upper: float


def stacked(terms: Sequence[Term]) -> tuple[Ints, Ints, Floats]:
    """The rows, columns and coefficients of all terms, one behind the other."""
    rows = np.concatenate([_index(0), *[term.rows for term in terms]])
    cols = np.concatenate([_index(0), *[term.cols for term in terms]])
    coefs, first = np.empty(len(rows)), 0
    for term in terms:
        last = first + len(term.rows)
        coefs[first:last] = term.coef
        first = last
    return rows, cols, coefs


# Sizes repeat all day long (steps of a day), so the arrays are shared between expressions.
@lru_cache(maxsize=256)
def _index(size: int) -> Ints:
    return _kept(np.arange(size))


@lru_cache(maxsize=4096)
def _columns(first: int, size: int) -> Ints:
    return _kept(np.arange(first, first + size))


@lru_cache(maxsize=256)
def _nowhere(size: int) -> Ints:
    return _kept(np.zeros(size, dtype=np.int64))


def _kept(values: NDArray[Any]) -> NDArray[Any]:
    """Make the array read-only, since cached arrays are shared between expressions."""
    values.setflags(write=False)
    return values
