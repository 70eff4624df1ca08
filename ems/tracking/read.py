"""Find runs in an experiment store: parameters, results and status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ems.errors import InvalidSpec, TrackingError
from ems.tracking.address import check_store, sqlite_path, store_uri
from ems.tracking.store import calling

RUNS_PER_CALL = 1000
SHORT_ID = 8
"""Characters of a run id shown in tables; more are needed only if ambiguous."""

FILTER_EXAMPLE = "metrics.`total/cost_eur` < 10 AND params.building = 'DE_KN_residential4'"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedRun:
    """One run in the store; ``parent_id`` is None for the run of a whole pipeline."""

    run_id: str
    experiment: str
    name: str
    status: str
    started_utc: datetime
    ended_utc: datetime | None
    parent_id: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration_s(self) -> float | None:
        """Duration [s]; None while it runs."""
        return (
            None if self.ended_utc is None else (self.ended_utc - self.started_utc).total_seconds()
        )

    @property
    def short_id(self) -> str:
        """The first characters of the id."""
        return self.run_id[:SHORT_ID]


class RunStore:
    """The runs of one store, read-only."""

    def __init__(self, uri: str) -> None:
        """Raises ``TrackingError`` if there is no store at ``uri`` or it cannot be read."""
        self.uri = store_uri(uri)
        path = sqlite_path(self.uri)
        if path is not None and not path.is_file():
            raise TrackingError(f"no runs at {path}; make some with: python scripts/01_run.py")
        check_store(self.uri)
        with calling(self.uri, "open it"):
            self._client = MlflowClient(self.uri, registry_uri=self.uri)
            found = self._client.search_experiments()
        self._names = {experiment.experiment_id: experiment.name for experiment in found}

    @property
    def experiments(self) -> tuple[str, ...]:
        """The names of all experiments."""
        return tuple(sorted(self._names.values()))

    def find(self, where: str = "", experiments: Sequence[str] = ()) -> list[TrackedRun]:
        """The runs matching MLflow's filter ``where``, of all or the named experiments.

        Newest first. Raises ``InvalidSpec`` for an invalid filter or an unknown experiment.
        """
        for name in experiments:
            if name not in self.experiments:
                known = ", ".join(self.experiments)
                raise InvalidSpec(f"experiment '{name}' is unknown; known are {known}")
        ids = [key for key, name in self._names.items() if not experiments or name in experiments]
        self._require_filter(where, ids)
        found: list[Run] = []
        token = None
        with calling(self.uri, "search runs"):
            while True:
                page = self._client.search_runs(
                    ids, where, max_results=RUNS_PER_CALL, page_token=token
                )
                found += page
                token = page.token
                if not token:
                    break
        return [self._record(run) for run in found]

    def get(self, short_id: str) -> TrackedRun:
        """The run whose id starts with ``short_id``. Raises ``InvalidSpec`` unless there is exactly
        one."""
        # Checked, since it goes into a filter as text.
        if not (short_id.isalnum() and short_id.isascii()):
            raise InvalidSpec(f"'{short_id}' is no id of a run; see scripts/mlflow_analysis.py")
        found = self.find(f"attributes.run_id LIKE '{short_id}%'")
        if not found:
            raise InvalidSpec(
                f"no run's id starts with '{short_id}'; list them with scripts/mlflow_analysis.py"
            )
        if len(found) > 1:
            ids = ", ".join(run.run_id[: len(short_id) + 4] for run in found[:4])
            raise InvalidSpec(f"{len(found)} runs start with '{short_id}' ({ids}, …); give more")
        return found[0]

    def below(self, run: TrackedRun) -> list[TrackedRun]:
        """The runs nested in a pipeline's run."""
        mine = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run.run_id}'"
        return self.find(mine, [run.experiment])

    def pipeline_of(self, run: TrackedRun) -> TrackedRun:
        """The pipeline's run above a run, or the run itself."""
        return run if run.parent_id is None else self.get(run.parent_id)

    def series(self, run: TrackedRun) -> dict[tuple[str, int], float]:
        """Every metric of a run at every step."""
        found = {}
        with calling(self.uri, f"read the metrics of {run.name}"):
            for name in run.metrics:
                for metric in self._client.get_metric_history(run.run_id, name):
                    found[name, metric.step] = metric.value
        return found

    def _require_filter(self, where: str, ids: Sequence[str]) -> None:
        """Let MLflow parse the filter separately, so that its error is reported as one of the
        filter."""
        try:
            with calling(self.uri, "search runs"):
                self._client.search_runs(list(ids), where, max_results=1)
        except TrackingError as error:
            if not isinstance(error.__cause__, MlflowException) or not where:
                raise
            if error.__cause__.error_code != "INVALID_PARAMETER_VALUE":
                raise
            said = str(error.__cause__).splitlines()[0].rstrip(". ")
            raise InvalidSpec(
                f'--where "{where}": {said}; MLflow\'s filters look like: {FILTER_EXAMPLE}'
            ) from error

    def _record(self, run: Run) -> TrackedRun:
        info, data = run.info, run.data
        return TrackedRun(
            run_id=info.run_id,
            experiment=self._names[info.experiment_id],
            name=info.run_name,
            status=info.status,
            started_utc=_instant(info.start_time),
            ended_utc=None if info.end_time is None else _instant(info.end_time),
            parent_id=data.tags.get(MLFLOW_PARENT_RUN_ID),
            parameters=dict(data.params),
            metrics=dict(data.metrics),
            tags=dict(data.tags),
        )


def unfinished(
    runs: Sequence[TrackedRun], *, now_utc: datetime, stale_h: float
) -> list[tuple[TrackedRun, str]]:
    """Runs that failed, were stopped, or have been RUNNING for longer than ``stale_h`` [h].

    Each with the reason: its own tag, or since when it has run.
    """
    found = []
    for run in runs:
        if run.status in ("FAILED", "KILLED"):
            found.append((run, run.tags.get("reason", "no reason given")))
        elif run.status == "RUNNING" and now_utc - run.started_utc > timedelta(hours=stale_h):
            hours = (now_utc - run.started_utc).total_seconds() / 3600
            found.append((run, f"RUNNING for {hours:.1f} h: ended by force, or still at work"))
    return found


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
