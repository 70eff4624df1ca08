"""Jobs on the workers of a Dask cluster, with the results and order of a single process.

Workers are other machines: they may run other versions, die, or come and go. So every job checks
that it runs the same software as the calling process (``fingerprint``), a job whose worker died is
restarted on another, and its result is delivered once.

Data shared by many jobs is sent to the scheduler once (``Cluster.share``) and fetched by each
worker that needs it. It is a task, not scattered data: if the only worker that holds it dies, the
scheduler computes it again, while scattered data would be lost together with every waiting job.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import platform
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import dask
from distributed import CancelledError, Client, Future, KilledWorker, wait
from distributed.comm import connect
from distributed.utils import LoopRunner, sync
from distributed.versions import VersionMismatchWarning

from ems.errors import EmsError
from ems.pipelines.spec import require_address

Result = TypeVar("Result")

CONNECT_S = 10.0
"""Maximum time for a scheduler to answer [s]."""

NO_WORKER_S = 60.0
"""Maximum time a cluster may be without workers [s]."""

PACKAGES = ("numpy", "pandas", "pulp", "highspy", "dask", "distributed")
"""Packages whose versions must be equal everywhere for figures to be equal."""

_SETTINGS = {"distributed.admin.large-graph-warning-threshold": "10GB"}
"""Dask warns about shared data above 10 MB, which many users send with every task."""


_NOISY = ("distributed", "distributed.client", "tornado.application")
"""The loggers to which Dask gives their own levels, and that of the loop below it, which reports a
call that Ctrl-C cut off before it began."""


class ClusterError(EmsError):
    """The Dask cluster cannot be reached, has other software, or lost its workers."""


@contextmanager
def cluster(
    address: str, *, connect_s: float = CONNECT_S, no_worker_s: float = NO_WORKER_S
) -> Iterator[Cluster]:
    """The cluster whose scheduler listens at ``address``, such as ``tcp://10.0.0.5:8786``.

    Raises ``InvalidSpec`` for an invalid address, ``ClusterError`` if there is no answer within
    ``connect_s``, no worker within ``no_worker_s``, or the software differs. At the end, also after
    an early stop or Ctrl-C, jobs not yet begun are cancelled; a running one finishes and its result
    is dropped. The cluster itself keeps running.
    """
    require_address(address)
    with _quiet(), dask.config.set(_SETTINGS):
        client = _connect(address, connect_s)
        try:
            found = Cluster(client, address, no_worker_s)
            found.require_same_software()
            yield found
        finally:
            client.close()


class Cluster:
    """A connection to a cluster; made by :func:`cluster`."""

    def __init__(self, client: Client, address: str, no_worker_s: float) -> None:
        self._client, self._address, self._no_worker_s = client, address, no_worker_s

    def share(self, value: Any) -> Future:
        """Send a value that many jobs take as an argument; it is transferred once per worker."""
        return self._client.submit(_same, value, pure=False)

    def run(
        self, work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]
    ) -> Generator[Result, None, None]:
        """``work(*job)`` for each job, in order, with at most two jobs per thread in flight.

        Errors of ``work`` are raised unchanged.
        """
        # pure=False below: Dask would return the result of an equal earlier call instead of
        # computing.
        here, waiting, left = fingerprint(), deque[Future](), iter(jobs)
        number = 0
        try:
            while True:
                # Counted anew each time, since workers come and go; two a thread keep them busy.
                room = 2 * max(1, self.n_threads()) - len(waiting)
                for job in islice(left, max(0, room)):
                    waiting.append(self._client.submit(_checked, here, work, *job, pure=False))
                if not waiting:
                    return
                number += 1
                yield self._result(waiting.popleft(), number)
        finally:
            self._cancel(waiting)

    def require_same_software(self) -> None:
        """Raise ``ClusterError`` unless scheduler and workers run the same software."""
        try:
            self._client.wait_for_workers(1, timeout=self._no_worker_s)
        except TimeoutError as error:
            raise ClusterError(
                f"{self._where}: no worker joined within {self._no_worker_s:g} s; start one with "
                f"`dask worker {self._address} --nthreads 1`"
            ) from error
        here = fingerprint()
        for who, there in self._software().items():
            _require_same(who, there, here)

    @property
    def _where(self) -> str:
        return f"scheduler {self._address}"

    def n_threads(self) -> int:
        """How many jobs the workers can do at once."""
        try:
            threads: Mapping[str, int] = self._client.nthreads()
        except OSError as error:  # the scheduler no longer answers
            raise self._lost() from error
        return sum(threads.values())

    def _lost(self) -> ClusterError:
        return ClusterError(
            f"{self._where}: lost during the run; what was finished is kept, start it again and "
            "run the rest"
        )

    def _software(self) -> dict[str, Any]:
        """The fingerprint of the scheduler and of every worker, or the error raised instead."""
        workers = self._client.run(fingerprint, on_error="return")
        found = {f"worker {address}": there for address, there in workers.items()}
        try:
            found[self._where] = self._client.run_on_scheduler(fingerprint)
        # A scheduler without this package cannot unpickle the function.
        except ImportError as error:
            found[self._where] = error
        return found

    def _result(self, future: Future, number: int) -> Any:
        """The result of a job, waiting as long as there are workers."""
        try:
            self._wait(future)
            return future.result()
        except KilledWorker as error:
            raise ClusterError(
                f"{self._where}: job {number} ended {error.allowed_failures + 1} workers, the last "
                f"{error.last_worker.address}; they may need more memory (`--memory-limit`)"
            ) from error
        except CancelledError as error:
            raise self._lost() from error

    def _wait(self, future: Future) -> None:
        deserted_at: float | None = None
        while not future.done():
            try:
                with self._client.as_current():
                    # A second at a time, so that a cluster without workers is noticed.
                    wait(future, timeout=1.0)
            except TimeoutError:
                now = time.monotonic()
                deserted_at = None if self.n_threads() else (deserted_at or now)
                if deserted_at is not None and now - deserted_at >= self._no_worker_s:
                    raise ClusterError(
                        f"{self._where}: all workers left and none came back within "
                        f"{self._no_worker_s:g} s; start some and run again"
                    ) from None

    def _cancel(self, waiting: Iterable[Future]) -> None:
        if self._client.status == "running":
            self._client.cancel(list(waiting), force=True)


@cache
def fingerprint() -> dict[str, str]:
    """What the results of a process depend on: Python, packages, and the sources of ``ems``."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    found |= {name: version(name) for name in PACKAGES}
    return {**found, "ems": _sources()}


def _sources() -> str:
    """A hash over every file of this package that is run or read."""
    package, seen = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(package.rglob("*")):
        if file.suffix in (".py", ".toml", ".sql"):
            seen.update(file.relative_to(package).as_posix().encode())
            seen.update(file.read_bytes())
    return f"sources {seen.hexdigest()[:12]}"


def _require_same(who: str, there: Any, here: Mapping[str, str]) -> None:
    if isinstance(there, BaseException):
        raise ClusterError(
            f"{who} cannot run this package ({there}): start it where it is installed "
            "(`pip install .` from the same commit)"
        ) from there
    for name, ours in here.items():
        if there.get(name) != ours:
            raise ClusterError(
                f"{who} has {name} {there.get(name)}, this process has {ours}: install the same "
                "commit and the same requirements-dev.txt on every machine"
            )


def _connect(address: str, connect_s: float) -> Client:
    try:
        _require_answer(address, connect_s)
        return Client(address, timeout=connect_s, set_as_default=False)
    except OSError as error:  # includes TimeoutError
        raise ClusterError(
            f"scheduler {address}: no answer within {connect_s:g} s; start it with "
            "`dask scheduler`, or check the address"
        ) from error


def _require_answer(address: str, connect_s: float) -> None:
    """Shake hands with the scheduler.

    A client would wait forever if something else listens there.
    """
    runner = LoopRunner()
    runner.start()
    try:
        sync(runner.loop, _shake_hands, address, connect_s, callback_timeout=connect_s + 1.0)
    finally:
        runner.stop()


async def _shake_hands(address: str, connect_s: float) -> None:
    comm = await asyncio.wait_for(connect(address, timeout=connect_s), connect_s)
    comm.abort()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask, which also reports on stderr what is raised or repaired."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            # Concerns packages that no figure depends on; the others are compared above.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _same(value: Result) -> Result:
    return value


def _checked(here: Mapping[str, str], work: Callable[..., Result], *job: Any) -> Result:
    """Run a job only with the same software as the caller; also checks workers that joined late."""
    from distributed import get_worker

    _require_same(f"worker {get_worker().address}", fingerprint(), here)
    return work(*job)
