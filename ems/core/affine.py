"""Arrays of affine expressions, so that a rule for all steps is one line of numpy.

A ``Affine`` of size n stands for n expressions, ``value[i] = const[i] + Σ coef · x[col]``, over
the variables of one program. It supports ``+ - * / @``, slicing, and the comparisons
``<= >= ==``, which give a ``Relation`` for ``Block.require``::

    soc_kwh == soc_kwh.before(initial_kwh) + step_h * (eta * charge_kw - discharge_kw / eta)

Only numpy is needed; nothing here knows a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ems.types import Floats, Ints


class Affine:
    """``size`` affine expressions in coordinate form; immutable by convention."""

    __slots__ = ("coefs", "cols", "const", "rows")
    __array_ufunc__ = None  # numpy hands its operators over to ours

    def __init__(self, rows: Ints, cols: Ints, coefs: Floats, const: Floats) -> None:
        self.rows, self.cols, self.coefs, self.const = rows, cols, coefs, const

    @classmethod
    def of_columns(cls, first: int, size: int) -> Affine:
        """The variables ``first … first + size − 1`` themselves."""
        index = np.arange(size)
        return cls(index, index + first, np.ones(size), np.zeros(size))

    @classmethod
    def constant(cls, values: Floats | float, size: int) -> Affine:
        """Expressions without variables; ``values`` is one number or has shape ``(size,)``."""
        const = np.broadcast_to(np.asarray(values, dtype=np.float64), (size,))
        none = np.zeros(0, dtype=np.int64)
        return cls(none, none, np.zeros(0), const)

    def __len__(self) -> int:
        return len(self.const)

    def __neg__(self) -> Affine:
        return Affine(self.rows, self.cols, -self.coefs, -self.const)

    def __add__(self, other: Affine | Floats | float) -> Affine:
        if not isinstance(other, Affine):
            return Affine(self.rows, self.cols, self.coefs, self._shifted(other))
        if len(other) != len(self):
            raise ValueError(f"cannot add Linear of size {len(other)} to one of size {len(self)}")
        return Affine(
            np.concatenate((self.rows, other.rows)),
            np.concatenate((self.cols, other.cols)),
            np.concatenate((self.coefs, other.coefs)),
            self.const + other.const,
        )

    __radd__ = __add__

    def __sub__(self, other: Affine | Floats | float) -> Affine:
        return self + (-other)

    def __rsub__(self, other: Floats | float) -> Affine:
        return -self + other

    def __mul__(self, factor: Floats | float) -> Affine:
        if isinstance(factor, np.ndarray) and factor.ndim:
            return Affine(self.rows, self.cols, self.coefs * factor[self.rows], self.const * factor)
        return Affine(self.rows, self.cols, self.coefs * factor, self.const * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Floats | float) -> Affine:
        return self * (1.0 / divisor)

    def __rmatmul__(self, matrix: NDArray[Any]) -> Affine:
        """``matrix @ self`` for a dense numeric matrix of shape ``(m, size)``."""
        part = matrix[:, self.rows]
        rows, entry = np.nonzero(part)
        coefs = part[rows, entry] * self.coefs[entry]
        return Affine(rows, self.cols[entry], coefs, matrix @ self.const)

    def __getitem__(self, which: slice | Ints | NDArray[np.bool_] | int) -> Affine:
        """The chosen expressions, each at most once."""
        index = np.arange(len(self))[which].reshape(-1)
        place = np.full(len(self), -1)
        place[index] = np.arange(len(index))
        if np.count_nonzero(place >= 0) < len(index):
            raise ValueError("cannot choose an expression of a Linear twice")
        rows = place[self.rows]
        kept = rows >= 0
        return Affine(rows[kept], self.cols[kept], self.coefs[kept], self.const[index])

    def before(self, first: float) -> Affine:
        """The same series one step earlier; ``first`` stands before the first step."""
        kept = self.rows < len(self) - 1
        const = np.concatenate(([first], self.const[:-1]))
        return Affine(self.rows[kept] + 1, self.cols[kept], self.coefs[kept], const)

    def placed(self, at: Ints, size: int) -> Affine:
        """A series of ``size`` zeros with these expressions at the indices ``at``."""
        const = np.zeros(size)
        const[at] = self.const
        return Affine(at[self.rows], self.cols, self.coefs, const)

    def sum(self) -> Affine:
        """Σ over all expressions, as a ``Affine`` of size 1."""
        return Affine(np.zeros_like(self.rows), self.cols, self.coefs, np.array([self.const.sum()]))

    def value(self, x: Floats) -> Floats:
        """The numbers of the expressions at the point ``x``, shape ``(size,)``."""
        terms = np.bincount(self.rows, self.coefs * x[self.cols], minlength=len(self))
        return self.const + terms

    def range(self, low: Floats, up: Floats) -> tuple[Floats, Floats]:
        """The smallest and the largest value between the bounds of the variables."""
        a, b = self.coefs * low[self.cols], self.coefs * up[self.cols]
        least = np.bincount(self.rows, np.minimum(a, b), minlength=len(self))
        most = np.bincount(self.rows, np.maximum(a, b), minlength=len(self))
        return self.const + least, self.const + most

    def _shifted(self, other: Floats | float) -> Floats:
        const = self.const + other
        if const.shape != self.const.shape:
            raise ValueError(f"cannot add shape {np.shape(other)} to Linear of size {len(self)}")
        return const

    def __le__(self, other: Affine | Floats | float) -> Relation:
        return Relation(expr=self - other, lower=-np.inf, upper=0.0)

    def __ge__(self, other: Affine | Floats | float) -> Relation:
        return Relation(expr=self - other, lower=0.0, upper=np.inf)

    def __eq__(self, other: Affine | Floats | float) -> Relation:  # type: ignore[override]
        return Relation(expr=self - other, lower=0.0, upper=0.0)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Relation:
    """``lower ≤ expr ≤ upper`` for every expression of ``expr``."""

    expr: Affine
    lower: float
    upper: float
