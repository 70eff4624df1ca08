"""How much time planning takes, compared in one run with the solver alone and with other roads.

``python benchmarks/planning.py [--db FILE] [--building NAME] [--n_days 600]``

1. bare: HiGHS fed with the models of a run directly (``passModel``, ``run``), one process
2. plan: build, solve and audit those days; and the whole pipeline with storing and tracking
3. PuLP: the same models as ``pulp.LpProblem``, solved by PuLP's HiGHS
4. scipy: the same models through ``scipy.optimize.milp``; the optimum must agree
5. workers: building-days per second on one and two processes, peak memory

Times are CPU seconds of this process, medians of ``--repeats`` runs in turn, so that a busy machine
hits all alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import highspy
import numpy as np
import pulp

import ems.core.program
from ems.core.highs import HIGHS_OPTIONS, pass_model
from ems.core.matrix import Matrix
from ems.core.pulp_model import to_pulp
from ems.core.solve import solve
from ems.core.solver import Outcome, Solver
from ems.economics.store_value import StoreValues
from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import Window, choose_window, run_mode
from ems.pipelines.parallel import in_parallel
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building
from ems.store.connection import get_con
from ems.store.frames import day_tables
from ems.store.read import read_history
from ems.store.results import RunRow, append_days, save_run
from ems.tracking import day_metrics, pipeline_run, sqlite_uri


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", default="DE_KN_residential4")
    parser.add_argument("--n_days", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(
        f"machine   {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
    for lookahead_h in (0.0, 12.0):
        measure(args, lookahead_h)


def measure(args: argparse.Namespace, lookahead_h: float) -> None:
    """All comparisons at one look-ahead."""
    spec = ComparisonSpec(tariff=load_tariff("dynamic"), lookahead_h=lookahead_h)
    with get_con(args.db) as con:
        history = read_history(con, args.building)
    building = Building(history, spec.tariff, spec.assets)
    window = choose_window(building, None, args.n_days)
    values = perfect_plan(building, spec, window).values
    matrices = models(building, spec, window, values)
    steps = statistics.median(len(m.row_low) for m in matrices)
    print(
        f"\n{args.building}, {len(window.days)} days, look-ahead {lookahead_h:g} h, "
        f"{statistics.median(len(m.low) for m in matrices):.0f} columns, {steps:.0f} rows, "
        f"{np.mean([m.integer.any() for m in matrices]):.0%} with binaries"
    )
    contest = {
        "HiGHS alone": lambda: bare(matrices),
        "plan and audit": lambda: plan(building, spec, window, values),
        "whole pipeline": lambda: pipeline(args.db, args.building, spec, window, values),
        "PuLP and its HiGHS": lambda: through_pulp(matrices[:60]),
        "scipy.optimize.milp": lambda: scipy_objectives(matrices[:60]),
    }
    times: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(args.repeats):
        for name, run in contest.items():
            times[name].append(cpu_seconds(run))
    first_days = min(60, len(matrices))
    days = {"PuLP and its HiGHS": first_days, "scipy.optimize.milp": first_days}
    per_day = {
        name: statistics.median(seconds) / days.get(name, len(matrices))
        for name, seconds in times.items()
    }
    for name, seconds in per_day.items():
        ratio = seconds / per_day["HiGHS alone"]
        print(f"  {name:22} {1000 * seconds:7.2f} ms a day   {ratio:5.2f} × HiGHS alone")
    print(
        f"  {'of it: build':22} "
        f"{1000 * build_seconds(building, spec, window, values):7.2f} ms a day"
    )
    for workers in (1, 2):
        seconds = timed(lambda w=workers: backtest(building, spec, window, values, w))
        rate = len(window.days) / seconds
        print(f"  {f'{workers} worker(s)':22} {rate:7.0f} building-days a second")
    worst = max(
        abs(a - b)
        for a, b in zip(objectives(matrices[:60]), scipy_objectives(matrices[:60]), strict=True)
    )
    print(f"  largest difference to scipy's optimum on 60 days: {worst:.2g} €")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory of this process {peak:.0f} MB")


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of this process that ``run`` takes."""
    started = time.process_time()
    run()
    return time.process_time() - started


def timed(run: Callable[[], object]) -> float:
    """Seconds that ``run`` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def models(
    building: Building, spec: ComparisonSpec, window: Window, values: StoreValues
) -> list[Matrix]:
    """The centralized model of every day, as a run solves them."""
    matrices: list[Matrix] = []

    def recorded(matrix: Matrix, solver: Solver) -> Outcome:
        matrices.append(matrix)
        return solve(matrix, solver)

    with patch.object(ems.core.program, "solve", recorded):
        plan(building, spec, window, values)
    return matrices


def solved(matrix: Matrix) -> highspy.Highs:
    """HiGHS after solving one model, with the options of the package."""
    highs = highspy.Highs()
    gaps = {"mip_rel_gap": Solver().mip_gap, "mip_abs_gap": Solver().mip_gap_eur}
    for name, value in {**HIGHS_OPTIONS, **gaps}.items():
        highs.setOptionValue(name, value)
    pass_model(highs, matrix)
    highs.run()
    return highs


def bare(matrices: list[Matrix]) -> None:
    """Solve every model with HiGHS itself and read the solution."""
    for matrix in matrices:
        np.array(solved(matrix).getSolution().col_value)


def objectives(matrices: list[Matrix]) -> list[float]:
    """HiGHS's optimum of every model [€]."""
    return [solved(matrix).getInfo().objective_function_value for matrix in matrices]


def plan(building: Building, spec: ComparisonSpec, window: Window, values: StoreValues) -> None:
    """Build, solve, audit and settle every day."""
    for _ in run_mode(building, spec, window, "centralized", values):
        pass


def build_seconds(
    building: Building, spec: ComparisonSpec, window: Window, values: StoreValues
) -> float:
    """Mean seconds a day to write the program."""
    days = [r.kpis.build_s for r in run_mode(building, spec, window, "centralized", values)]
    return statistics.fmean(days)


def pipeline(
    db: Path, name: str, spec: ComparisonSpec, window: Window, values: StoreValues
) -> None:
    """Read, plan, audit, settle, store and track every day."""
    with tempfile.TemporaryDirectory() as folder, get_con(db) as con:
        building = Building(read_history(con, name), spec.tariff, spec.assets)
        with pipeline_run(
            sqlite_uri(STORE), experiment="benchmark", name="benchmark", parameters={}
        ) as run:
            records = list(run_mode(building, spec, window, "centralized", values))
            run.days(
                name, "centralized", day_metrics([r.kpis for r in records]), range(len(records))
            )
            row = RunRow(
                run_id="benchmark",
                pipeline="benchmark",
                building=name,
                started_utc=datetime(2020, 1, 1),
                parameters={},
                status="FINISHED",
                synthetic=False,
            )
            file = Path(folder) / "results.duckdb"
            save_run(file, row)
            append_days(file, row, day_tables(records))


def backtest(
    building: Building, spec: ComparisonSpec, window: Window, values: StoreValues, workers: int
) -> None:
    """The centralized plan of every day, weeks spread over processes."""
    weeks = [replace(window, days=window.days[i : i + 7]) for i in range(0, len(window.days), 7)]
    jobs = ((building, spec, week, values) for week in weeks)
    for _ in in_parallel(plan, jobs, workers):
        pass


def through_pulp(matrices: list[Matrix]) -> None:
    """Solve every model as PuLP objects, with the options of the package."""
    gaps = {"gapRel": Solver().mip_gap, "gapAbs": Solver().mip_gap_eur}
    for matrix in matrices:
        problem, variables = to_pulp(matrix)
        problem.solve(pulp.HiGHS(msg=False, threads=1, **gaps))
        np.array([variable.varValue for variable in variables])


def scipy_objectives(matrices: list[Matrix]) -> list[float]:
    """scipy's optimum of every model [€]."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    found = []
    for m in matrices:
        table = csr_array(
            (m.coefs, m.pattern.cols, m.pattern.row_starts), shape=(len(m.row_low), len(m.low))
        )
        result = milp(
            m.cost,
            integrality=m.integer.astype(int),
            bounds=Bounds(m.low, m.up),
            constraints=LinearConstraint(table, m.row_low, m.row_up),
            options={"mip_rel_gap": Solver().mip_gap},
        )
        found.append(float(result.fun) + m.offset)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as store:
        STORE = Path(store) / "mlflow.db"
        with pipeline_run(sqlite_uri(STORE), experiment="benchmark", name="warm-up", parameters={}):
            pass
        main()
