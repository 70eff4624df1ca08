"""Blocks of days on many processes or machines, with the same result as on one.

Blocks are independent, so neither order nor number of workers changes a figure. On this machine
joblib starts processes; each building is written to a temporary file once and memory-mapped by
every worker. On a Dask cluster each building is sent once (see ``dask``).
"""

from __future__ import annotations

import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import joblib

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.comparison import DayChain, DayRecord, run_block
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building

if TYPE_CHECKING:
    from ems.pipelines.dask import Cluster

Result = TypeVar("Result")


def run_blocks(
    buildings: Sequence[Building],
    spec: ComparisonSpec,
    blocks: Sequence[DayChain],
    workers: int = 1,
    modes: tuple[Mode, ...] | None = None,
    scheduler: str | None = None,
) -> Generator[list[DayRecord], None, None]:
    """The records of each block, in the order of ``blocks``; ``modes`` default to all of ``spec``.

    With one worker everything runs in this process, with ``scheduler`` on the Dask cluster at that
    address. When the consumer stops, or on Ctrl-C, local workers are ended and waiting cluster jobs
    are cancelled.
    """
    if workers < 1:
        raise InvalidSpec(f"workers is {workers}, allowed is >= 1")
    modes = modes or spec.all_modes
    named = {building.history.building: building for building in buildings}
    if scheduler is not None:
        with _cluster(scheduler, workers) as away:
            sent = {name: away.share(building) for name, building in named.items()}
            yield from away.run(_records, ((sent[b.building], spec, b, modes) for b in blocks))
        return
    if workers == 1:
        for block in blocks:
            yield _records(named[block.building], spec, block, modes)
        return
    with tempfile.TemporaryDirectory(prefix="ems-") as folder:
        files = {name: str(Path(folder) / name) for name in named}
        for name, path in files.items():
            joblib.dump(named[name], path)
        jobs = ((files[block.building], spec, block, modes) for block in blocks)
        yield from in_parallel(_work, jobs, workers)


def in_parallel(
    work: Callable[..., Result],
    jobs: Iterable[tuple[Any, ...]],
    workers: int,
    scheduler: str | None = None,
) -> Iterator[Result]:
    """``work(*job)`` for each job, in order; the processes end with the iterator.

    With ``scheduler`` the jobs run on the Dask cluster at that address.
    """
    if scheduler is not None:
        with _cluster(scheduler, workers) as away:
            yield from away.run(work, jobs)
        return
    if workers == 1:
        yield from (work(*job) for job in jobs)
        return
    # pre_dispatch keeps few jobs in flight, so that an early stop wastes little.
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs")
    with _starting_workers():
        results = parallel(joblib.delayed(work)(*job) for job in jobs)
    try:
        for result in results:  # noqa: UP028 - that would close it outside the filter below
            yield result
    finally:
        with warnings.catch_warnings():
            # joblib warns that work was cancelled; that is what ending early means
            warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
            results.close()
        _end_workers()


def _cluster(scheduler: str, workers: int) -> AbstractContextManager[Cluster]:
    if workers != 1:
        raise InvalidSpec(
            f"workers is {workers}, but the scheduler has workers of its own: give one"
        )
    try:  # imported only with a cluster: the library is optional and slow to load
        from ems.pipelines.dask import cluster
    except ModuleNotFoundError as error:
        raise InvalidSpec(
            f"scheduler is {scheduler}, but {error.name} is not installed: "
            "pip install -r requirements-dev.txt"
        ) from error
    return cluster(scheduler)


@contextmanager
def _starting_workers() -> Iterator[None]:
    """Start worker processes that ignore Ctrl-C; this process ends them without tracebacks.

    Only the main thread may set signal handlers; workers started from another thread react to
    Ctrl-C themselves.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _records(
    building: Building, spec: ComparisonSpec, block: DayChain, modes: tuple[Mode, ...]
) -> list[DayRecord]:
    foresight = None
    if spec.foresight == "forecast":
        from ems.pipelines.forecasting import foresight_of  # only forecasts need to learn

        foresight = foresight_of(building, spec, block)
    return [
        record
        for mode in modes
        for record in run_block(building, spec, block, mode, foresight=foresight)
    ]


def _work(
    path: str, spec: ComparisonSpec, block: DayChain, modes: tuple[Mode, ...]
) -> list[DayRecord]:
    return _records(_building(path), spec, block, modes)


# Small: a worker works on few buildings at a time.
@lru_cache(maxsize=4)
def _building(path: str) -> Any:
    return joblib.load(path, mmap_mode="r")


def _end_workers() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)
