"""The process beside the pipeline that alone speaks to MLflow.

Loading MLflow and making its store take seconds of computing; in a process of their own they
pass while the pipeline reads and plans, and an interruption of the pipeline can never cut a call
in half. Calls are answered one after the other::

    pipeline ── (run number, method of RunWriter, arguments) ──> this process ──> MLflow
             <── its value, or the EmsError it raised ──

When the pipeline ends without a word (killed, out of memory), its open runs end as KILLED.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, NoReturn

from ems.errors import EmsError, TrackingError

if TYPE_CHECKING:
    from ems.tracking.writer import RunWriter

Call = tuple[int, str, tuple[Any, ...]]

PREPARE, START, END = "prepare", "start", "end"
_GONE = "the process that ran the pipeline has ended without a word"
_PROGRAM = f"from {__name__} import serve; serve()"
_ROOT = Path(__file__).resolve().parents[2]


class MlflowProcess:
    """The other process, seen from the pipeline's."""

    def __init__(self) -> None:
        here, there = Pipe()
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(there.fileno())],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            process_group=0,  # Ctrl-C is for the pipeline, which then says how its runs end
        )
        there.close()
        self._connection = here
        self._calls: SimpleQueue[tuple[Call, Future[Any]]] = SimpleQueue()
        self._last: Future[Any] | None = None
        Thread(target=self._work, name="mlflow", daemon=True).start()
        atexit.register(self._close)

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        return self._process.poll() is None

    def call(self, number: int, method: str, *args: Any) -> Future[Any]:
        """Ask for one call; its future has the value or raises what went wrong."""
        answer: Future[Any] = Future()
        self._last = answer
        self._calls.put(((number, method, args), answer))
        return answer

    def _work(self) -> None:
        """Pass on calls and answers; a thread, so that Ctrl-C never cuts one in half."""
        while True:
            call, answer = self._calls.get()
            try:
                self._connection.send(call)
                value = self._connection.recv()
            except (EOFError, OSError):
                value = TrackingError(
                    "the process that writes to MLflow has ended by itself; start again"
                )
            if isinstance(value, EmsError):
                answer.set_exception(value)
            else:
                answer.set_result(value)

    def _close(self) -> None:
        """End it; what it is still busy with, nobody waits for any more."""
        if self._last is not None and not self._last.done():
            self._process.terminate()
        else:
            self._connection.close()
        self._process.wait()


_lock = Lock()
_started: list[MlflowProcess] = []


def mlflow_process() -> MlflowProcess:
    """The one of this process, started at the first call; it serves every run and store."""
    with _lock:
        if not _started or not _started[-1].alive:
            _started.append(MlflowProcess())
        return _started[-1]


def _answer_all(connection: Connection) -> None:
    gc.disable()  # of the time to load MLflow and open a store, a fifth went into looking for waste
    from ems.tracking.store import open_store
    from ems.tracking.writer import RunWriter

    runs: dict[int, RunWriter] = {}

    def answer(number: int, method: str, args: tuple[Any, ...]) -> Any:
        if method == PREPARE:
            open_store(*args)
        elif method == START:
            where, what = args
            runs[number] = RunWriter(*where)
            return runs[number].start(*what)
        elif method == END:
            if number in runs:  # it may have failed to start
                runs[number].end(*args)
                del runs[number]
        else:
            return getattr(runs[number], method)(*args)
        return None

    try:
        while True:
            try:
                connection.send(answer(*connection.recv()))
            except EmsError as error:
                connection.send(error)
            gc.enable()
    except (EOFError, BrokenPipeError):
        return
    finally:
        for run in runs.values():
            with suppress(EmsError):  # nobody is there any more who could be told
                run.end("KILLED", _GONE)


def serve() -> NoReturn:
    """What the other process does: answer calls until the pipeline's process has ended."""
    signal.signal(signal.SIGTERM, _stop)
    _answer_all(Connection(int(sys.argv[1])))
    os._exit(0)  # MLflow has nothing to tidy up, and takes its time for it


def _stop(*_: object) -> NoReturn:
    raise SystemExit
