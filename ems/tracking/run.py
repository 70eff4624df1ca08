"""What a pipeline uses while it runs: ``pipeline_run`` and ``PipelineRun``."""

from __future__ import annotations

import itertools
import os
import shlex
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ems.errors import InvalidSpec, TrackingError
from ems.tracking.address import check_store, shown, store_uri
from ems.tracking.metrics import Status
from ems.tracking.parameters import plain
from ems.tracking.process import END, PREPARE, START, mlflow_process
from ems.tracking.provenance import RERUN_OF, command_line

if TYPE_CHECKING:
    from ems.learning.probability_model import ProbabilityModelAgent

_numbers = itertools.count(1)


def prepare(uri: str) -> None:
    """Start loading MLflow and opening, or creating, the store at ``uri``; returns at once.

    Call it first in a script: ``pipeline_run`` then waits less or not at all, and raises what went
    wrong. Raises ``TrackingError`` for an invalid address.
    """
    mlflow_process().call(0, PREPARE, store_uri(uri))


@contextmanager
def pipeline_run(
    uri: str,
    *,
    experiment: str,
    name: str,
    parameters: Mapping[str, object],
    tags: Mapping[str, str] | None = None,
    mode_tags: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[PipelineRun]:
    """Open the store at ``uri`` and track what happens inside as one run.

    ``parameters``: dataclasses, mappings and plain values, logged flat (``assets.ev.capacity_kwh``)
    together with software versions; ``mode_tags``: additional tags for the runs of a mode.

    The run ends as FINISHED, as KILLED on Ctrl-C, or as FAILED with the exception in the tag
    ``reason``; what was logged stays. Raises ``TrackingError`` before anything else happens if the
    store cannot be reached or written.
    """
    uri = store_uri(uri)
    check_store(uri)
    where = (uri, experiment, dict(tags or {}), plain(mode_tags or {}))
    what = (name, plain(parameters), _origin())
    run = PipelineRun(uri)
    try:
        run.start(where, what)
        yield run
        run.end("FINISHED")
    except BaseException as error:  # also Ctrl-C and early close; every run must end
        _end_early(run, error)
        raise


def _end_early(run: PipelineRun, error: BaseException) -> None:
    """Mark the run; if the store fails too, the first error is still the one raised."""
    status: Status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
    try:
        run.end(status, f"{type(error).__name__}: {error}")
    except TrackingError as second:
        error.add_note(f"and the run could not be marked: {second}")


class PipelineRun:
    """One tracked run of a pipeline; created by :func:`pipeline_run`.

    Logging methods return before MLflow has written. Errors of MLflow are raised as
    ``TrackingError`` by a later call, at the latest at the end of the run.
    """

    def __init__(self, uri: str) -> None:
        self.uri, self.experiment_id, self.run_id = uri, "", ""
        self._process, self._number = mlflow_process(), next(_numbers)
        self._under_way: deque[Future[Any]] = deque()

    def start(self, where: tuple[Any, ...], what: tuple[Any, ...]) -> None:
        """Create the run: the arguments of ``RunWriter`` and of its ``start``."""
        self.experiment_id, self.run_id = self._ask(START, where, what)

    @property
    def page(self) -> str:
        """Path of this run in MLflow's user interface."""
        return f"/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def days(
        self,
        building: str,
        mode: str,
        kpis: Mapping[str, Sequence[float | None]],
        day_numbers: Sequence[int],
    ) -> None:
        """Log days of a building under a mode: one value per KPI and day, with the day as step.

        May be called for a few days at a time. None and non-finite values are left out.
        """
        for name, values in kpis.items():
            if len(values) != len(day_numbers):
                raise InvalidSpec(
                    f"tracking {building} {mode}: {name} has {len(values)} values "
                    f"for {len(day_numbers)} days"
                )
        self._send("days", building, mode, dict(kpis), list(day_numbers))

    def summary(
        self,
        building: str,
        mode: str,
        totals: Mapping[str, float | None],
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        """Log the totals of a mode over all its days and end its run.

        ``parameters``: what distinguishes this run from the others below the pipeline's.
        """
        self._send("summary", building, mode, dict(totals), plain(parameters or {}))

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file or folder, taken at the end of the run at the latest."""
        if not path.exists():
            raise TrackingError(f"artifact {path} does not exist; write it before it is tracked")
        self._send("artifact", str(path.resolve()))

    def habit_model(self, building: str, mode: str, agent: ProbabilityModelAgent) -> str:
        """Keep learned habits as an MLflow model of the run of ``building`` and ``mode``.

        Returns its address, ``models:/ID``; see ``ems.tracking.habit_model`` for its output.
        """
        return str(self._ask("habit_model", building, mode, agent.to_dict()))

    def end(self, status: Status, reason: str = "") -> None:
        """End the run, and those below it that are still open, after everything is written."""
        if status == "FINISHED":
            self._raise_failed(wait=True)
        self._process.call(self._number, END, status, reason).result()

    def _send(self, method: str, *args: Any) -> None:
        self._raise_failed()
        self._under_way.append(self._process.call(self._number, method, *args))

    def _ask(self, method: str, *args: Any) -> Any:
        self._send(method, *args)
        answer = self._under_way.pop()
        self._raise_failed(wait=True)
        return answer.result()

    def _raise_failed(self, *, wait: bool = False) -> None:
        """Raise the error of an earlier call; ``wait`` also waits for those under way."""
        while self._under_way and (wait or self._under_way[0].done()):
            self._under_way.popleft().result()


def _origin() -> dict[str, str]:
    """Tags on how a run was started, without passwords in addresses."""
    tags = {}
    if command := command_line():
        tags["command"] = shlex.join(shown(word) for word in command)
        tags["folder"] = str(Path.cwd())
        tags |= {"mlflow.source.name": command[0], "mlflow.source.type": "LOCAL"}
    if repeated := os.environ.get(RERUN_OF):
        tags["rerun_of"] = repeated
    return tags
