"""Modes of buildings on many processes or machines, with the same result as on one.

The perfect plan of a building comes first, since it gives the value of what is stored; forecasters
learn meanwhile; then every mode runs over all days by itself. Neither order nor number of workers
changes a figure. On this machine joblib starts processes; each building is written to a temporary
file once and memory-mapped by every worker. On a Dask cluster each building is sent once (see
``dask``).
"""

from __future__ import annotations

import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ems.core.mode import Mode
from ems.economics.store_value import StoreValues
from ems.errors import InvalidSpec, WorkerLost
from ems.forecast.information import Information
from ems.pipelines.comparison import DayChain, DayRecord, Window, chains_of, choose_window, run_mode
from ems.pipelines.perfect import PerfectPlan, perfect_plan
from ems.pipelines.spec import LEARN_DAYS, ComparisonSpec
from ems.site.building import Building
from ems.site.meters import MeterData

if TYPE_CHECKING:
    from ems.pipelines.dask import Cluster

Result = TypeVar("Result")


def run_comparison(
    history: MeterData, spec: ComparisonSpec, start: date | None = None, n_days: int | None = 7
) -> Iterator[DayRecord]:
    """Every mode over the window, mode by mode, in this process."""
    building = Building(history, spec.tariff, spec.assets)
    window = choose_window(building, start, n_days, spec.history_days)
    for records in run_windows([building], spec, [window]):
        yield from records


def run_windows(
    buildings: Sequence[Building],
    spec: ComparisonSpec,
    windows: Sequence[Window],
    workers: int = 1,
    scheduler: str | None = None,
) -> Generator[list[DayRecord], None, None]:
    """The records of each mode of each window, building by building, in the order of ``all_modes``.

    With one worker everything runs in this process, with ``scheduler`` on the Dask cluster at that
    address. When the consumer stops, or on Ctrl-C, local workers are ended and waiting cluster jobs
    are cancelled.
    """
    if workers < 1:
        raise InvalidSpec(f"workers is {workers}, allowed is >= 1")
    named = {building.history.building: building for building in buildings}
    if scheduler is not None:
        with on_cluster(scheduler, workers) as away:
            sent = {name: away.share(building) for name, building in named.items()}
            yield from _in_stages(away.run, sent, spec, windows)
    elif workers == 1:
        yield from _in_stages(_here, named, spec, windows)
    else:
        with tempfile.TemporaryDirectory(prefix="ems-") as folder, on_processes(workers) as run:
            files = {name: _Kept(str(Path(folder) / name)) for name in named}
            for name, kept in files.items():
                joblib.dump(named[name], kept.path)
            yield from _in_stages(run, files, spec, windows)


class Run(Protocol):
    """Runs jobs somewhere."""

    def __call__(
        self, work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """``work(*job)`` for each job, in order."""


def _in_stages(
    run: Run, buildings: Mapping[str, Any], spec: ComparisonSpec, windows: Sequence[Window]
) -> Iterator[list[DayRecord]]:
    """Perfect plans and forecasts first, then the modes that need them."""
    places = [(buildings[window.building], spec, window) for window in windows]
    plans = list(run(_perfect, places))
    learned: dict[int, dict[date, Information]] = {i: {} for i in range(len(windows))}
    if spec.foresight == "forecast":
        pieces = [(i, piece) for i, w in enumerate(windows) for piece in chains_of(w, LEARN_DAYS)]
        jobs = ((buildings[piece.building], spec, piece) for _, piece in pieces)
        for (i, piece), foresight in zip(pieces, run(_foresight, jobs), strict=True):
            learned[i] |= dict.fromkeys(piece.days, foresight)
    modes = [mode for mode in spec.all_modes if mode != "perfect_foresight"]
    jobs_of_modes = (
        (*places[i], mode, plans[i].values, learned[i])
        for i in range(len(windows))
        for mode in modes
    )
    results = run(_mode, jobs_of_modes)
    for plan in plans:
        for _ in modes:
            yield next(results)
        yield list(plan.records)


@dataclass(frozen=True)
class _Kept:
    """A building in a file."""

    path: str


def _perfect(place: Building | _Kept, spec: ComparisonSpec, window: Window) -> PerfectPlan:
    return perfect_plan(_opened(place), spec, window)


def _foresight(place: Building | _Kept, spec: ComparisonSpec, piece: DayChain) -> Information:
    from ems.pipelines.forecasting import foresight_of  # only forecasts need to learn

    return foresight_of(_opened(place), spec, piece)


def _mode(
    place: Building | _Kept,
    spec: ComparisonSpec,
    window: Window,
    mode: Mode,
    values: StoreValues,
    known: Mapping[date, Information],
) -> list[DayRecord]:
    return list(run_mode(_opened(place), spec, window, mode, values, known=known))


def _opened(place: Building | _Kept) -> Any:
    return _building(place.path) if isinstance(place, _Kept) else place


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
        with on_cluster(scheduler, workers) as away:
            yield from away.run(work, jobs)
    elif workers == 1:
        yield from _here(work, jobs)
    else:
        with on_processes(workers) as run:
            yield from run(work, jobs)


def _here(work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
    yield from (work(*job) for job in jobs)


@contextmanager
def on_processes(workers: int) -> Iterator[Run]:
    """Worker processes that live until the end of the context.

    Raises ``WorkerLost`` if one is ended from outside.
    """

    def run(work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        # pre_dispatch keeps few jobs in flight, so that an early stop wastes little.
        parallel = joblib.Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs")
        with _starting_workers():
            results = parallel(joblib.delayed(work)(*job) for job in jobs)
        try:
            for result in results:  # noqa: UP028 - that would close it outside the filter below
                yield result
        except TerminatedWorkerError as error:
            raise WorkerLost(
                f"one of {workers} worker processes was ended from outside (killed, or out of "
                "memory); what was finished is kept, run the rest again, with fewer workers if "
                "memory is short"
            ) from error
        finally:
            with warnings.catch_warnings():
                # joblib warns that work was cancelled; that is what ending early means
                warnings.filterwarnings("ignore", category=UserWarning, module="joblib")
                results.close()

    try:
        yield run
    finally:
        _end_workers()


def on_cluster(scheduler: str, workers: int) -> AbstractContextManager[Cluster]:
    """The Dask cluster at the address ``scheduler`` (see ``dask.cluster``)."""
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


# Small: a worker works on few buildings at a time.
@lru_cache(maxsize=4)
def _building(path: str) -> Any:
    return joblib.load(path, mmap_mode="r")


def _end_workers() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)
