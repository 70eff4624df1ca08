"""A program as arrays, the one form that all solvers are fed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ems.types import Bools, Floats, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class Pattern:
    """Where a matrix has entries: ``rows, cols``, each place once, sorted by row.

    Days of one structure share a pattern, so what follows from it is derived once.
    """

    n_rows: int
    rows: Ints
    cols: Ints

    @cached_property
    def row_starts(self) -> Ints:
        """Where each row begins among the entries, shape ``(n_rows + 1,)``."""
        counts = np.bincount(self.rows, minlength=self.n_rows)
        return np.concatenate(([0], np.cumsum(counts)))

    @cached_property
    def row_starts_32(self) -> NDArray[np.int32]:
        """``row_starts`` as int32, which solvers expect."""
        return self.row_starts.astype(np.int32)

    @cached_property
    def cols_32(self) -> NDArray[np.int32]:
        """``cols`` as int32, which solvers expect."""
        return self.cols.astype(np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """Minimise ``cost · x + offset`` s.t. ``row_low ≤ A x ≤ row_up``, ``low ≤ x ≤ up``.

    ``second``: of all x of that cost, one with the least ``second · x`` is wanted; zero: any.
    ``coefs``: the entries of A at the places of ``pattern``; ``integer``: which x are whole.
    """

    cost: Floats
    second: Floats
    offset: float
    low: Floats
    up: Floats
    integer: Bools
    pattern: Pattern
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


def _spelled_out(parts: tuple[tuple[str, int], ...]) -> list[str]:
    return [f"{name}_{i}" for name, size in parts for i in range(size)]
