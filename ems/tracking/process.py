"""The separate process that speaks to MLflow.

Loading MLflow and creating its store take seconds of computing. In their own process they overlap
with reading and planning, and an interruption of the pipeline never cuts a call in half. Calls are
answered one after the other::

    pipeline ── (run number, method of RunWriter, arguments) ──> this process ──> MLflow
             <── its value, or the EmsError it raised ──

If the pipeline ends without notice (killed, out of memory), its open runs end as KILLED.
"""

from __future__ import annotations

import atexit
import gc
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from ems.errors import EmsError, TrackingError

if TYPE_CHECKING:
    from ems.tracking.writer import RunWriter

Call = tuple[int, str, tuple[Any, ...]]

PREPARE, START, END = "prepare", "start", "end"
_GONE = "the process that ran the pipeline has ended without a word"
_PROGRAM = f"from {__name__} import serve; serve()"
_ROOT = Path(__file__).resolve().parents[2]
# Ctrl-C is for the pipeline, which then reports how its runs end.
_OWN_GROUP: dict[str, Any] = {"process_group": 0}
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


class MlflowProcess:
    """The other process, seen from the pipeline."""

    def __init__(self) -> None:
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            # -P keeps the working directory off the path: a user's file must not shadow a module.
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            **_OWN_GROUP,
        )
        self._asking = cast("IO[bytes]", self._process.stdin)
        self._hearing = cast("IO[bytes]", self._process.stdout)
        self._calls: SimpleQueue[tuple[Call, Future[Any]]] = SimpleQueue()
        self._last: Future[Any] | None = None
        # Daemon: an answer that nobody waits for must not keep the pipeline alive.
        Thread(target=self._work, name="mlflow", daemon=True).start()
        atexit.register(self._close)

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        return self._process.poll() is None

    def call(self, number: int, method: str, *args: Any) -> Future[Any]:
        """Make one call; its future holds the value or raises the error."""
        answer: Future[Any] = Future()
        self._last = answer
        self._calls.put(((number, method, args), answer))
        return answer

    def _work(self) -> None:
        """Send calls and receive answers; a thread, so that Ctrl-C never cuts one in half."""
        while True:
            call, answer = self._calls.get()
            try:
                _send(self._asking, call)
                value = pickle.load(self._hearing)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):  # or closed here
                value = TrackingError(
                    "the process that writes to MLflow has ended by itself; start again"
                )
            if isinstance(value, EmsError):
                answer.set_exception(value)
            else:
                answer.set_result(value)

    def _close(self) -> None:
        """End it; unfinished work is dropped, since nobody waits for it.

        No more calls end it as well as the signal does, only later: Python drops what a signal
        raises where it cannot go on, such as in a weak reference's callback.
        """
        if self._last is not None and not self._last.done():
            self._process.terminate()
        with suppress(BrokenPipeError):  # it may have ended already
            self._asking.close()
        self._process.wait()


_lock = Lock()
_started: list[MlflowProcess] = []


def mlflow_process() -> MlflowProcess:
    """The single MLflow process, started at the first call; serves every run and store."""
    with _lock:
        if not _started or not _started[-1].alive:
            _started.append(MlflowProcess())
        return _started[-1]


def _send(pipe: IO[bytes], what: Any) -> None:
    pickle.dump(what, pipe)
    pipe.flush()


def _answer_all(calls: IO[bytes], answers: IO[bytes]) -> None:
    gc.disable()  # a fifth of the time to load MLflow and open a store is garbage collection
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
                _send(answers, answer(*pickle.load(calls)))
            except EmsError as error:
                _send(answers, error)
            gc.enable()
    except (EOFError, BrokenPipeError):
        return
    finally:
        for run in runs.values():
            with suppress(EmsError):  # nobody is left to be told
                run.end("KILLED", _GONE)


def serve() -> NoReturn:
    """Main function of the other process: answer calls until the pipeline's process ends."""
    signal.signal(signal.SIGTERM, _stop)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # prints of MLflow must not mix with answers
    _answer_all(sys.stdin.buffer, answers)
    os._exit(0)  # skips MLflow's slow shutdown; there is nothing to clean up


def _stop(*_: object) -> NoReturn:
    raise SystemExit
