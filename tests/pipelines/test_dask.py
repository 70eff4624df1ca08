"""A Dask cluster gives what one process gives, whatever happens to its workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from small_building import histories, twin_database

from ems.core.solver import Solver
from ems.economics.tariff_file import load_tariff
from ems.errors import Infeasible, InvalidSpec, SolveError
from ems.learning.search import rate_grid
from ems.learning.usage import use_histories
from ems.pipelines.comparison import DayRecord, Window, choose_window
from ems.pipelines.parallel import run_windows
from ems.pipelines.probability import search_devices
from ems.pipelines.spec import ComparisonSpec, SearchSpec
from ems.site.building import Building

pytest.importorskip("distributed", reason="pip install -r requirements-dev.txt")
from distributed import Client, LocalCluster

from ems.pipelines.dask import Cluster, ClusterError, cluster, fingerprint

ROOT = Path(__file__).resolve().parents[2]
SPEC = ComparisonSpec(tariff=load_tariff("dynamic"))

local = partial(
    LocalCluster,
    threads_per_worker=1,
    processes=True,
    dashboard_address=":0",
    silence_logs=100,  # the workers report on stderr what is raised here as well
)


@pytest.fixture(scope="module")
def two() -> Iterator[LocalCluster]:
    """A cluster of two worker processes, for tests that let them live."""
    with local(n_workers=2) as workers:
        yield workers


@pytest.fixture
def doomed() -> Iterator[LocalCluster]:
    """A cluster whose workers may be killed: Dask does not always bring them back in time."""
    with local(n_workers=2) as workers:
        yield workers


@pytest.fixture
def away(two: LocalCluster) -> Iterator[Cluster]:
    with cluster(two.scheduler_address) as connected:
        yield connected


@pytest.fixture(scope="module")
def buildings() -> list[Building]:
    found = histories(twin_database())
    names = ("DE_KN_residential1", "DE_KN_residential4")
    return [Building(found[name], SPEC.tariff, SPEC.assets) for name in names]


def windows(buildings: list[Building], n_days: int = 3) -> list[Window]:
    return [choose_window(building, date(2016, 10, 27), n_days) for building in buildings]


def same(one: list[list[DayRecord]], other: list[list[DayRecord]]) -> None:
    """Every record is there once, in the same order, and equal to the bit."""
    assert [len(records) for records in one] == [len(records) for records in other]
    for a, b in zip(chain(*one), chain(*other), strict=True):
        assert (a.building, a.day, a.mode) == (b.building, b.day, b.mode)
        assert set(a.schedule.plans) == set(b.schedule.plans)
        for name, plan in a.schedule.plans.items():
            series = b.schedule.plans[name].series
            assert np.array_equal(plan.net_load_kw, b.schedule.plans[name].net_load_kw)
            assert all(np.array_equal(plan.series[key], series[key]) for key in plan.series)
        assert a.kpis.cost_eur == b.kpis.cost_eur


def process_ids(workers: LocalCluster) -> set[int]:
    with Client(workers.scheduler_address, set_as_default=False) as client:
        return set(client.run(os.getpid).values())


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


# --- the same as one process --------------------------------------------------------------------


def test_a_cluster_gives_the_same_to_the_bit(two: LocalCluster, buildings: list[Building]) -> None:
    chosen = windows(buildings)
    here = list(run_windows(buildings, SPEC, chosen))
    same(here, list(run_windows(buildings, SPEC, chosen, scheduler=two.scheduler_address)))


def test_a_search_finds_the_same(two: LocalCluster) -> None:
    uses = list(use_histories(histories(twin_database())["DE_KN_residential4"]).values())[:1]
    spec = SearchSpec(rates=rate_grid((5.0, 20.0), (0.05,)))
    here, away = (
        list(search_devices(uses, uses, spec, scheduler=address))
        for address in (None, two.scheduler_address)
    )
    for one, other in zip(chain(*here), chain(*away), strict=True):
        assert (one.cell, one.log_loss) == (other.cell, other.log_loss)
        assert np.array_equal(one.grid.log_loss_bits, other.grid.log_loss_bits)


# --- jobs and their workers ----------------------------------------------------------------------


def noted(number: int, folder: Path, seconds: float = 0.05) -> int:
    """A job that leaves a file when it begins and another when it ends."""
    place = folder / f"{number}-{os.getpid()}"
    place.with_suffix(".begun").touch()
    time.sleep(seconds)
    place.with_suffix(".ended").touch()
    return 2 * number


def noted_but_stuck_at_first(number: int, folder: Path) -> int:
    """Number 1 never ends where it is begun first, so that its worker is killed in the middle."""
    first = not list(folder.glob(f"{number}-*.begun"))
    return noted(number, folder, 600.0 if number == 1 and first else 0.05)


def test_the_job_of_a_killed_worker_is_done_again_and_counted_once(
    doomed: LocalCluster, tmp_path: Path
) -> None:
    with cluster(doomed.scheduler_address) as away:
        results = away.run(noted_but_stuck_at_first, ((i, tmp_path) for i in range(6)))
        found = [next(results)]
        until(lambda: list(tmp_path.glob("1-*.begun")))
        (stuck,) = tmp_path.glob("1-*.begun")
        os.kill(int(stuck.stem.split("-")[1]), signal.SIGKILL)
        found += list(results)
    assert found == [0, 2, 4, 6, 8, 10]
    assert not stuck.with_suffix(".ended").exists()
    assert len(list(tmp_path.glob("1-*.begun"))) == 2
    ended = {file.name.split("-")[0] for file in tmp_path.glob("*.ended")}
    assert ended == {"0", "1", "2", "3", "4", "5"}


class Large:
    """A value that notes every time a process unpacks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__dict__.update(state)
        (self.folder / f"{os.getpid()}-{time.time_ns()}").touch()


def where(number: int, value: Large) -> int:
    time.sleep(0.03)
    return os.getpid()


def test_shared_data_reaches_each_worker_once(away: Cluster, tmp_path: Path) -> None:
    shared = away.share(Large(tmp_path))
    workers = set(away.run(where, ((i, shared) for i in range(20))))
    unpacked = [int(file.name.split("-")[0]) for file in tmp_path.iterdir()]
    assert len(workers) == 2
    assert len(unpacked) <= 4, "the scheduler and each worker once, and once more on its way"


def test_shared_data_outlive_the_worker_that_held_them(doomed: LocalCluster) -> None:
    with cluster(doomed.scheduler_address) as away:
        shared = away.share([1, 2, 3])
        assert list(away.run(sum, [(shared,)])) == [6]
        for process in process_ids(doomed):
            os.kill(process, signal.SIGKILL)
        assert list(away.run(sum, [(shared,), (shared, 1)])) == [6, 7]


def test_few_jobs_are_on_their_way_at_once(away: Cluster) -> None:
    asked: list[int] = []

    def jobs() -> Iterator[tuple[int, ...]]:
        for i in range(100):
            asked.append(i)
            yield (i,)

    until(lambda: away.n_threads() == 2)
    results = away.run(abs, jobs())
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(asked) <= 10 + 2 * 2
    results.close()


def test_what_has_not_begun_is_cancelled_when_the_consumer_stops(
    away: Cluster, tmp_path: Path
) -> None:
    until(lambda: away.n_threads() == 2)
    results = away.run(noted, ((i, tmp_path, 0.3) for i in range(50)))
    next(results)
    results.close()
    time.sleep(0.8)  # time enough for all that were on their way
    assert len(list(tmp_path.glob("*.begun"))) <= 4


def first_fails(number: int, folder: Path) -> int:
    if number == 0:
        raise InvalidSpec("the first")
    return noted(number, folder, 0.4)


def test_what_has_not_begun_is_cancelled_when_a_job_fails(away: Cluster, tmp_path: Path) -> None:
    until(lambda: away.n_threads() == 2)
    with pytest.raises(InvalidSpec, match="the first") as caught:
        list(away.run(first_fails, ((i, tmp_path) for i in range(9))))
    time.sleep(1.2)  # time enough for all that were on their way
    assert len(list(tmp_path.glob("*.begun"))) <= 2, caught  # whose traceback holds the rest


# --- errors --------------------------------------------------------------------------------------


def broken(name: str) -> None:
    if name == "bug":
        raise KeyError(name)
    raise Infeasible(f"{name}: no plan", {"battery.soc": "1.2 kWh short"})


def test_an_error_of_a_worker_comes_home_as_it_is(
    away: Cluster, two: LocalCluster, buildings: list[Building]
) -> None:
    with pytest.raises(Infeasible, match="home: no plan") as caught:
        list(away.run(broken, [("home",)]))
    assert caught.value.shortfalls == {"battery.soc": "1.2 kWh short"}
    with pytest.raises(KeyError, match="bug"):
        list(away.run(broken, [("bug",)]))
    hurried = ComparisonSpec(tariff=SPEC.tariff, solver=Solver(time_limit_s=1e-4))
    with pytest.raises(SolveError, match=r"2016-10-27 .*: solver HiGHS: stopped"):
        list(
            run_windows(buildings, hurried, windows(buildings, 2), scheduler=two.scheduler_address)
        )


def fatal() -> None:
    os._exit(1)


def test_a_job_that_ends_every_worker_is_named(doomed: LocalCluster) -> None:
    says = pytest.raises(ClusterError, match=r"job 2 ended 4 workers, the last tcp://.*memory")
    with cluster(doomed.scheduler_address) as away, says:
        list(away.run(lambda n: fatal() if n == 2 else n, [(1,), (2,)]))


def other_numpy() -> None:
    fingerprint()["numpy"] = "1.26.4"


def usual_numpy() -> None:
    fingerprint.cache_clear()


def test_another_version_on_a_worker_is_named(away: Cluster, two: LocalCluster) -> None:
    with Client(two.scheduler_address, set_as_default=False) as client:
        client.run(other_numpy)
        try:
            says = r"worker tcp://\S+ has numpy 1.26.4, this process has 2\.\S+: install the same"
            with pytest.raises(ClusterError, match=says):
                list(away.run(abs, [(1,)]))  # a worker that came after the connection was made
            with pytest.raises(ClusterError, match=says), cluster(two.scheduler_address):
                pass
        finally:
            client.run(usual_numpy)


def test_a_worker_without_this_package_is_named(tmp_path: Path) -> None:
    plain = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    with local(n_workers=0) as empty:
        command = [sys.executable, "-P", "-m", "distributed.cli.dask_worker"]
        options = ["--no-dashboard", "--no-nanny", "--nthreads", "1"]
        worker = subprocess.Popen(
            [*command, empty.scheduler_address, *options],
            cwd=tmp_path,
            env=plain,
            stderr=subprocess.DEVNULL,
        )
        try:
            says = r"worker tcp://\S+ cannot run this package \(.*'ems'.*\): start it where"
            with pytest.raises(ClusterError, match=says), cluster(empty.scheduler_address):
                pass
        finally:
            worker.terminate()
            worker.wait()


def test_nobody_at_the_address_is_said_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for listens in (False, True):  # refused, and answered by something that is no scheduler
            if listens:
                silent.listen()
            started = time.monotonic()
            with (
                pytest.raises(ClusterError, match=rf":{port}: no answer within 0.5 s; start it"),
                cluster(f"tcp://127.0.0.1:{port}", connect_s=0.5),
            ):
                pass
            assert time.monotonic() - started < 3.0


@pytest.mark.parametrize(
    "address", ["", "here", "tcp://", "tcp://host", "tcp://host:port", "http://host:80", "host:80"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidSpec, match=r"allowed is tcp://HOST:PORT"), cluster(address):
        pass


def test_a_cluster_without_workers_is_left_in_time(tmp_path: Path) -> None:
    with local(n_workers=0) as empty:
        says = r"no worker joined within 0.2 s; start one with `dask worker tcp://"
        with (
            pytest.raises(ClusterError, match=says),
            cluster(empty.scheduler_address, no_worker_s=0.2),
        ):
            pass
    with local(n_workers=1) as one, cluster(one.scheduler_address, no_worker_s=0.2) as away:
        results = away.run(noted, ((i, tmp_path, 0.5) for i in range(10)))
        next(results)
        one.scale(0)
        with pytest.raises(ClusterError, match=r"all workers left and none came back within 0.2 s"):
            list(results)


def test_a_scheduler_that_ends_is_said() -> None:
    with local(n_workers=1) as one, cluster(one.scheduler_address, connect_s=1.0) as away:
        results = away.run(time.sleep, ((0.3,) for _ in range(20)))
        next(results)
        one.close()
        with pytest.raises(ClusterError, match=r"scheduler tcp://\S+: lost during the run; what"):
            list(results)


def test_a_cluster_that_somebody_restarts_is_said() -> None:
    with local(n_workers=1) as own, cluster(own.scheduler_address) as away:
        results = away.run(time.sleep, ((0.3,) for _ in range(20)))
        next(results)
        with Client(own.scheduler_address, set_as_default=False) as other:
            other.restart(wait_for_workers=False)  # whether they come back is not ours to prove
        with pytest.raises(ClusterError, match=r"scheduler tcp://\S+: lost during the run; what"):
            list(results)


def test_workers_and_a_scheduler_exclude_each_other(buildings: list[Building]) -> None:
    with pytest.raises(InvalidSpec, match="workers is 2, but the scheduler has workers of its own"):
        list(run_windows(buildings, SPEC, [], workers=2, scheduler="tcp://127.0.0.1:1"))


# --- as a person would call it -------------------------------------------------------------------


def script(name: str, folder: Path, *args: str) -> list[str]:
    where = ["--db", str(twin_database()), "--results", str(folder / "results")]
    where += ["--tracking_uri", f"sqlite:///{folder / 'mlflow.db'}", "--figures", "off"]
    return [sys.executable, str(ROOT / "scripts" / name), *where, *args]


def test_ctrl_c_leaves_the_cluster_idle(two: LocalCluster, tmp_path: Path) -> None:
    args = ("--n_days", "300", "--start", "2016-01-01", "--scheduler", two.scheduler_address)
    run = subprocess.Popen(
        script("01_run.py", tmp_path, *args),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with Client(two.scheduler_address, set_as_default=False) as client:
        until(lambda: any(client.processing().values()), 60)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
        assert (run.returncode, said) == (130, "error: interrupted; what was finished is kept\n")
        until(lambda: not any(client.processing().values()))


def test_a_wrong_address_takes_one_line(tmp_path: Path) -> None:
    name = "03_probability_learning_optimization.py"
    done = subprocess.run(
        script(name, tmp_path, "--scheduler", "cluster"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: scheduler is 'cluster', allowed is tcp://HOST:PORT or tls://…\n"
