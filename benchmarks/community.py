"""How long the optimum of a street takes, with the number of its homes and of those who answer.

``python benchmarks/community.py [--homes 100 300 1000 3000 10000] [--figure FILE]``

Made homes over a day of hours: all with a load, 60 % with PV, half with a battery, and a fee of
5 ct/kWh. Each street is planned by one process, by two, and by a Dask cluster of two workers; each
time in new processes, so that memory is counted alone. Seconds are those of the plan, its audit
included, with workers that run already; processor seconds are those of all processes together. The
plans are compared to the bit. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np

from ems.agents import BaseLoadAgent, BatteryAgent, HomeAgent, PVAgent
from ems.agents.base import Agent
from ems.community.community import Community, CommunityPlan
from ems.community.decomposed import optimize_decomposed
from ems.core.horizon import Horizon
from ems.pipelines.community_workers import asked_of
from ems.report.figures.page import Origin, new_page, save
from ems.report.figures.paper import SCREEN
from ems.report.figures.style import look

HOMES = (100, 300, 1000, 3000, 10_000)
FEE_EUR_PER_KWH = 0.05
Way = Literal["one process", "two processes", "Dask, two workers"]
WAYS: tuple[Way, ...] = ("one process", "two processes", "Dask, two workers")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A street planned in one way.

    ``peak_mb``: of the calling process, and of the largest worker (0 without workers).
    """

    homes: int
    way: Way
    wall_s: float
    cpu_s: float
    peak_mb: tuple[float, float]
    rounds: int
    bound_eur: float
    cost_eur: float
    seen: str

    @property
    def gap_pct(self) -> float:
        """How far the cost may be from the least [%]."""
        return 100.0 * (self.cost_eur - self.bound_eur) / self.cost_eur


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--homes", type=int, nargs="+", default=list(HOMES))
    parser.add_argument("--figure", type=Path, help="draw the growth into this file")
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(
        "| homes | who answers | s | CPU s | MB | MB a worker | prices | least € | € | gap | same |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    found: list[Measured] = []
    for homes in args.homes:
        for way in WAYS:
            found.append(alone(homes, way))
            one = next(row for row in found if row.homes == homes)
            print(line(found[-1], same=found[-1].seen == one.seen), flush=True)
    if args.figure is not None:
        print(f"\n{draw(found, args.figure)}")


def line(row: Measured, *, same: bool) -> str:
    """A row of the table; ``same``: as one process found."""
    here_mb, worker_mb = row.peak_mb
    return (
        f"| {row.homes:,} | {row.way} | {row.wall_s:.2f} | {row.cpu_s:.2f} | {here_mb:.0f} "
        f"| {f'{worker_mb:.0f}' if worker_mb else '–'} | {row.rounds} | {row.bound_eur:.3f} "
        f"| {row.cost_eur:.3f} | {row.gap_pct:.4f} % | {'yes' if same else 'NO'} |"
    )


def alone(homes: int, way: Way) -> Measured:
    """One measurement, in a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(measure, homes, way).result()


def measure(n_homes: int, way: Way) -> Measured:
    """Plan a street and count what it took."""
    horizon = hours()
    community = Community(street(n_homes), fee_eur_per_kwh=FEE_EUR_PER_KWH)
    small = Community(street(200), fee_eur_per_kwh=FEE_EUR_PER_KWH)
    with workers_of(way) as (scheduler, used), asked_of(1 + (way == WAYS[1]), scheduler) as asked:
        optimize_decomposed(small, horizon, asked)  # until then the workers load the package
        cpu_s, started, before_s = time.process_time(), time.perf_counter(), sum(used()[0])
        plan = optimize_decomposed(community, horizon, asked)
        wall_s = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_s
        theirs_s, theirs_mb = used()
    return Measured(
        homes=n_homes,
        way=way,
        wall_s=wall_s,
        cpu_s=cpu_s + sum(theirs_s) - before_s,
        peak_mb=(peak_mb(), max(theirs_mb, default=0.0)),
        rounds=plan.rounds,
        bound_eur=plan.bound_eur,
        cost_eur=plan.cost_eur,
        seen=digest(plan),
    )


Used = Callable[[], tuple[Sequence[float], Sequence[float]]]
"""Processor seconds and peak memory [MB] of each worker so far."""


@contextmanager
def workers_of(way: Way) -> Iterator[tuple[str | None, Used]]:
    """The scheduler of a cluster of two workers, if one is asked for, and what workers use."""
    if way != "Dask, two workers":
        yield None, used_by_children
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=100
        ) as cluster,
        Client(cluster.scheduler_address, set_as_default=False) as client,
    ):

        def used() -> tuple[Sequence[float], Sequence[float]]:
            seconds = client.run(time.process_time).values()
            return list(seconds), list(client.run(peak_mb).values())

        yield cluster.scheduler_address, used


def used_by_children() -> tuple[Sequence[float], Sequence[float]]:
    """As Linux counts the worker processes of joblib that this process has started."""
    seconds, peaks = [], []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in (Path("/proc") / number for number in children):
        if b"popen_loky" in (child / "cmdline").read_bytes():
            ticks = (child / "stat").read_text().rpartition(")")[2].split()[11:13]
            seconds.append(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))
            status = (child / "status").read_text()
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return seconds, peaks


def peak_mb() -> float:
    """Peak memory of this process [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def digest(plan: CommunityPlan) -> str:
    """A hash of price, bound and all plans."""
    seen = hashlib.sha256(np.array([plan.bound_eur, plan.cost_eur]).tobytes())
    assert plan.price_eur_per_kwh is not None
    seen.update(plan.price_eur_per_kwh.tobytes())
    for home in plan.plans.values():
        for part in (home, *home.parts.values()):
            for name in sorted(part.series):
                seen.update(part.series[name].tobytes())
    return seen.hexdigest()


# --- made homes -----------------------------------------------------------------------------------


def hours() -> Horizon:
    """A day whose price rises and falls."""
    return Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=np.round(0.25 + 0.1 * np.sin(np.arange(24) / 3), 3),
        export_eur_per_kwh=np.full(24, 0.08),
    )


def street(n_homes: int) -> list[HomeAgent]:
    """Homes that stay themselves in a longer street."""
    shine = np.maximum(np.sin((np.arange(24) - 6) / 12 * np.pi), 0.0)
    homes = []
    for number in range(n_homes):
        rng = np.random.default_rng([1, number])
        agents: list[Agent] = [BaseLoadAgent(load_kw=rng.lognormal(-0.7, 0.5, 24))]
        if rng.random() < 0.6:
            agents.append(PVAgent(available_kw=shine * rng.uniform(0, 8)))
        if rng.random() < 0.5:
            battery = BatteryAgent(
                capacity_kwh=8.0, initial_soc_kwh=2.0, max_charge_kw=4.0, max_discharge_kw=4.0
            )
            agents.append(battery)
        homes.append(HomeAgent(name=f"home_{number + 1}", agents=tuple(agents)))
    return homes


# --- figure ---------------------------------------------------------------------------------------


def draw(found: Sequence[Measured], file: Path) -> Path:
    """Processor seconds over the number of homes, beside a line of equal seconds a home."""
    import matplotlib as mpl

    origin = Origin(source="made homes, drawn at random", synthetic=False)
    with mpl.rc_context(look(SCREEN)):
        body = new_page(
            3.2,
            "Time grows as the homes do",
            "a day of hours; dashed: as much a home as in the shortest street",
            origin,
        )
        ax = body.subplots()
        for way in WAYS:
            rows = [row for row in found if row.way == way]
            ax.plot([r.homes for r in rows], [r.cpu_s for r in rows], marker="o", label=way)
        one = [row for row in found if row.way == WAYS[0]]
        ends = np.array([one[0].homes, one[-1].homes])
        ax.plot(ends, one[0].cpu_s / one[0].homes * ends, "--", color="grey")
        ax.set(xscale="log", yscale="log", xlabel="homes", ylabel="processor seconds")
        ax.legend()
        return save(body.figure, file)


if __name__ == "__main__":
    main()
