"""The prices at which many agents that answer them agree: a concave function, cut from above.

D(λ) = Σ_c D_c(λ) is what the groups c pay at least at the prices λ of a bus, besides what the bus
itself earns. Each answer gives a tangent: D_c(λ') ≤ bound + Δt · net load · (λ' − λ). The highest
point under all tangents is a linear program; its duals are the shares in which the answers mix.

Kelley, The cutting-plane method for solving convex programs, 1960, doi:10.1137/0108053.
"""

from __future__ import annotations

from collections.abc import Sequence

import highspy
import numpy as np

from ems.core.highs import HIGHS_OPTIONS, require_optimal
from ems.core.solver import Solver
from ems.types import Floats, Ints

HIGHEST_EUR = 1e9
"""No group earns more than this, so that the first program is bounded [€]."""


class CuttingPlanes:
    """Tangents of ``n_groups`` groups over the prices ``low … up`` [€/kWh].

    ``beyond_eur``: what each €/kWh above ``up`` and below ``low`` costs in each step, the limits of
    the connection times the step [kWh]; ∞ where there is no limit, so that the price stays inside.
    ``most_beyond``: how far it may leave [€/kWh].
    """

    def __init__(
        self,
        low: Floats,
        up: Floats,
        n_groups: int,
        *,
        above_kwh: Floats,
        below_kwh: Floats,
        most_beyond: float,
        step_h: float,
        solver: Solver,
    ) -> None:
        self._n, self._groups, self._step_h, self._solver = len(low), n_groups, step_h, solver
        self._highs = highspy.Highs()
        for name, value in {**HIGHS_OPTIONS, "random_seed": solver.seed}.items():
            self._highs.setOptionValue(name, value)
        self._highs.changeObjectiveSense(highspy.ObjSense.kMaximize)
        # Columns: prices, what lies above, what lies below, and the value of each group.
        n, beyond = self._n, np.full(self._n, most_beyond)
        above = np.where(np.isfinite(above_kwh), beyond, 0.0)
        below = np.where(np.isfinite(below_kwh), beyond, 0.0)
        for first, last, cost in (
            (low - below, up + above, np.zeros(n)),
            (np.zeros(n), above, -np.where(np.isfinite(above_kwh), above_kwh, 0.0)),
            (np.zeros(n), below, -np.where(np.isfinite(below_kwh), below_kwh, 0.0)),
            (np.full(n_groups, -np.inf), np.full(n_groups, HIGHEST_EUR), np.ones(n_groups)),
        ):
            self._columns(first, last, cost)
        for t in np.flatnonzero(above > 0):
            self._row(-np.inf, float(up[t]), np.array([t, n + t]), np.array([1.0, -1.0]))
        for t in np.flatnonzero(below > 0):
            self._row(float(low[t]), np.inf, np.array([t, 2 * n + t]), np.array([1.0, 1.0]))
        self._first_cut = int(self._highs.getNumRow())
        self.cuts: list[tuple[int, int]] = []

    def _columns(self, low: Floats, up: Floats, cost: Floats) -> None:
        none = np.zeros(0, dtype=np.int32)
        self._highs.addCols(len(low), cost, low, up, 0, none, none, np.zeros(0))

    def _row(self, low: float, up: float, columns: Ints, values: Floats) -> None:
        self._highs.addRow(low, up, len(columns), columns.astype(np.int32), values)

    def add(self, answers: Sequence[tuple[Floats, float]], price: Floats) -> None:
        """The tangents of all groups at ``price``; ``answers``: net load [kW] and bound [€]."""
        prices = np.arange(self._n)
        number = len(self.cuts) // self._groups
        for group, (net_load_kw, bound_eur) in enumerate(answers):
            slope = self._step_h * net_load_kw
            columns = np.append(prices, 3 * self._n + group)
            self._row(-np.inf, bound_eur - float(slope @ price), columns, np.append(-slope, 1.0))
            self.cuts.append((group, number))

    def highest(self) -> tuple[Floats, float]:
        """The prices of the highest point under all tangents [€/kWh], and its height [€]."""
        self._highs.run()
        require_optimal(self._highs, self._solver)
        prices = np.array(self._highs.getSolution().col_value)[: self._n]
        return prices, float(self._highs.getInfo().objective_function_value)

    def shares(self) -> Floats:
        """How much of each answer the optimum mixes, shape ``(n_groups, n_answers)``.

        Each group's shares sum to one.
        """
        duals = np.abs(np.array(self._highs.getSolution().row_dual)[self._first_cut :])
        shares = np.zeros((self._groups, 1 + max(number for _, number in self.cuts)))
        for (group, number), dual in zip(self.cuts, duals, strict=True):
            shares[group, number] = dual
        shares /= shares.sum(axis=1, keepdims=True)
        return shares
