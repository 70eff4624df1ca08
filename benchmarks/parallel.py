"""What it costs to spread modes over processes or a Dask cluster, against one process.

``python benchmarks/parallel.py [--db FILE] [--building NAME] [--n_days 28]``

1. one: every mode in this process
2. joblib: two processes of this machine, started and ended with the call
3. dask: two worker processes of a cluster that is already there, each round with a new connection
4. overhead: one job that does nothing, a thousand times, in milliseconds a job

Times are medians of ``--repeats`` rounds in turn, so that a drifting machine hits all alike; ratios
are to one process of the same rounds. The figures of all three are compared to the bit.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from distributed import LocalCluster

from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import Window, choose_window
from ems.pipelines.dask import cluster
from ems.pipelines.parallel import in_parallel, run_windows
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building
from ems.store.connection import get_con
from ems.store.read import read_history

N_IDLE = 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", default="DE_KN_residential4")
    parser.add_argument("--n_days", type=int, default=28)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    spec = ComparisonSpec(tariff=load_tariff("dynamic"))
    with get_con(args.db) as con:
        building = Building(read_history(con, args.building), spec.tariff, spec.assets)
    window = choose_window(building, None, args.n_days)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{args.building}, {args.n_days} days, "
        f"{len(spec.all_modes)} modes"
    )
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=100
    ) as workers:
        planning(building, spec, window, workers.scheduler_address, args.repeats)
        idling(workers.scheduler_address)


def planning(
    building: Building,
    spec: ComparisonSpec,
    window: Window,
    scheduler: str,
    repeats: int,
) -> None:
    """The same days everywhere."""

    def run(workers: int = 1, address: str | None = None) -> list[float]:
        found = run_windows([building], spec, [window], workers, scheduler=address)
        return [record.kpis.cost_eur for records in found for record in records]

    contest: dict[str, Callable[[], list[float]]] = {
        "one process": run,
        "joblib, 2 processes": lambda: run(workers=2),
        "dask, 2 workers": lambda: run(address=scheduler),
    }
    expected = {name: go() for name, go in contest.items()}  # warms up the cluster's workers
    same = all(costs == expected["one process"] for costs in expected.values())
    times: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(repeats):
        for name, go in contest.items():
            times[name].append(timed(go))
    one = statistics.median(times["one process"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"  {name:22} {middle:6.2f} s   {middle / one:5.2f} × one process")
    print(f"  costs of every day and mode equal to the bit: {same}")


def idling(scheduler: str) -> None:
    """What a job costs that does nothing."""
    jobs = [(i,) for i in range(N_IDLE)]

    def away() -> None:
        with cluster(scheduler) as connected:
            list(connected.run(abs, jobs))

    contest = {
        "joblib, 2 processes": lambda: list(in_parallel(abs, jobs, 2)),
        "dask, 2 workers": away,
    }
    for name, go in contest.items():
        go()
        print(f"  idle job, {name:22} {1000 * timed(go) / N_IDLE:6.2f} ms")


def timed(run: Callable[[], object]) -> float:
    """Seconds that ``run`` takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
