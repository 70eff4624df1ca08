"""Would re-plans be faster if the solver kept the program of the day before?

``python benchmarks/warm_start.py [--db FILE] [--building NAME] [--start DAY] [--n_days N]``

Hourly re-plans on forecasts, each solved twice in a run: by a new HiGHS, as we do, and by the
HiGHS that solved the last program with the same matrix pattern (mostly that of the same hour a day
before), after its costs, bounds and changed coefficients were replaced; it starts from its last
basis, and with binaries from its last point.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import highspy
import numpy as np

import ems.core.program
from ems.core.highs import run_highs
from ems.core.matrix import Matrix
from ems.core.solve import solve
from ems.core.solver import Outcome, Solver
from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import choose_window, run_mode
from ems.pipelines.forecasting import known_on
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.store.connection import get_con
from ems.store.read import read_history


@dataclass(kw_only=True)
class Kept:
    """A solver that lives on, with the coefficients it has and its last point."""

    highs: Any
    coefs: Any
    point: list[float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", default="DE_KN_residential4")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2016, 3, 1))
    parser.add_argument("--n_days", type=int, default=60)
    args = parser.parse_args()
    with get_con(args.db) as con:
        building = Building(read_history(con, args.building), load_tariff("dynamic"), Assets())
    programs = list(replans(building, args.start, args.n_days))
    kept: dict[bytes, Kept] = {}
    cold_s, warm_s, largest_eur = [], [], 0.0
    for matrix, solver in programs:
        begin = time.perf_counter()
        cold = run_highs(matrix, solver)
        one_s = time.perf_counter() - begin
        key = pattern(matrix)
        if key not in kept:
            kept[key] = Kept(highs=run_highs(matrix, solver), coefs=matrix.coefs, point=[])
        else:
            begin = time.perf_counter()
            again(kept[key], matrix)
            warm_s.append(time.perf_counter() - begin)
            cold_s.append(one_s)
            costs = [h.getInfo().objective_function_value for h in (cold, kept[key].highs)]
            largest_eur = max(largest_eur, abs(costs[0] - costs[1]))
        kept[key].coefs = matrix.coefs
        kept[key].point = list(kept[key].highs.getSolution().col_value)
    print(
        f"{len(programs)} re-plans, {len(kept)} patterns; {len(warm_s)} solved twice: new "
        f"{1000 * np.mean(cold_s):.2f} ms, kept {1000 * np.mean(warm_s):.2f} ms, ratio "
        f"{np.sum(warm_s) / np.sum(cold_s):.2f}; objectives differ by up to {largest_eur:.1e} €"
    )


def replans(building: Building, start: date, n_days: int) -> Iterator[tuple[Matrix, Solver]]:
    """Every program that hourly plans on forecasts solve."""
    spec = ComparisonSpec(
        tariff=building.tariff,
        assets=building.assets,
        modes=("centralized_phases",),
        foresight="forecast",
        forecaster="persistence",
        dispatch="balance",
        phase_h=1.0,
    )
    seen: list[tuple[Matrix, Solver]] = []

    def recorded(matrix: Matrix, solver: Solver) -> Outcome:
        seen.append((matrix, solver))
        return solve(matrix, solver)

    window = choose_window(building, start, n_days)
    known = known_on(building, spec, window)
    values = perfect_plan(building, spec, window).values
    with patch.object(ems.core.program, "solve", recorded):
        for _ in run_mode(building, spec, window, "centralized_phases", values, known=known):
            yield from seen
            seen.clear()


def pattern(matrix: Matrix) -> bytes:
    """What two programs must share for one to follow the other in the same solver."""
    shape = np.array([len(matrix.low), matrix.pattern.n_rows])
    parts = (shape, matrix.pattern.rows, matrix.pattern.cols, matrix.integer)
    return b"|".join(part.tobytes() for part in parts)


def again(kept: Kept, matrix: Matrix) -> None:
    """The next program of the same pattern in a solver that lives on."""
    highs, n_cols, n_rows = kept.highs, len(matrix.low), len(matrix.row_low)
    for place in np.flatnonzero(matrix.coefs != kept.coefs):
        row, col = int(matrix.pattern.rows[place]), int(matrix.pattern.cols[place])
        highs.changeCoeff(row, col, float(matrix.coefs[place]))
    cols, rows = (np.arange(n, dtype=np.int32) for n in (n_cols, n_rows))
    highs.changeColsCost(n_cols, cols, matrix.cost)
    highs.changeColsBounds(n_cols, cols, matrix.low, matrix.up)
    highs.changeRowsBounds(n_rows, rows, matrix.row_low, matrix.row_up)
    highs.changeObjectiveOffset(matrix.offset)
    if matrix.integer.any():
        start = highspy.HighsSolution()
        start.col_value = kept.point
        highs.setSolution(start)
    highs.run()


if __name__ == "__main__":
    main()
