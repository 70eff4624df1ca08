"""The runs stored in a results database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ems.errors import InvalidSpec
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import foresight_words
from ems.report.figures.page import Origin
from ems.store.frames import day_results
from ems.store.results import read_days, read_runs

COMPARISON, INTEGRATED, PROBABILITY = "comparison", "integrated", "probability"
SHORT_ID = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptRun:
    """One run of a pipeline in the results database ``path``; ``building``: as requested."""

    path: Path
    run_id: str
    pipeline: str
    building: str
    started_utc: datetime
    status: str
    synthetic: bool
    mlflow_run_id: str | None
    parameters: Mapping[str, Any]

    @property
    def short_id(self) -> str:
        """The first characters of the id."""
        return self.run_id[:SHORT_ID]

    @property
    def origin(self) -> Origin:
        """The origin of its data."""
        return Origin(source=self.parameters["data"]["source"], synthetic=self.synthetic)

    @property
    def spec(self) -> Mapping[str, Any]:
        """What was planned, and how; only for planning runs."""
        spec: Mapping[str, Any] = self.parameters["spec"]
        return spec

    @property
    def tariff(self) -> str:
        """Name of its tariff."""
        return str(self.spec["tariff"]["name"])

    @property
    def foresight(self) -> str:
        """What its plans knew, in words."""
        return foresight_words(self.spec["foresight"], self.spec["forecaster"])

    @cached_property
    def days(self) -> tuple[DayResult, ...]:
        """The results of its days, mode by mode; empty for a run that plans nothing."""
        return day_results(read_days(self.path, self.run_id))

    @property
    def buildings(self) -> tuple[str, ...]:
        """The buildings it planned."""
        return tuple(dict.fromkeys(result.building for result in self.days))

    def planned(self, wanted: str | None) -> tuple[str, ...]:
        """The buildings it planned, limited to the wanted one."""
        return tuple(name for name in self.buildings if wanted in (None, name))

    def results(self, building: str) -> list[DayResult]:
        """The days of a building in every mode."""
        return [result for result in self.days if result.building == building]

    def dates(self, building: str) -> list[date]:
        """The sorted days of a building."""
        return sorted({result.day for result in self.results(building)})


def kept_runs(path: Path) -> tuple[KeptRun, ...]:
    """Every run in the results database, newest first. ``DataError`` if there is none."""
    return tuple(
        KeptRun(
            path=path,
            started_utc=row["started_utc"].to_pydatetime(),
            parameters=json.loads(row["parameters_json"]),
            **{name: row[name] for name in _SAME},
        )
        for row in read_runs(path).to_dict("records")
    )


_SAME = ("run_id", "pipeline", "building", "status", "synthetic", "mlflow_run_id")


def choose_runs(runs: Sequence[KeptRun], beginnings: Sequence[str]) -> tuple[KeptRun, ...]:
    """The runs whose ids start so; without any, the newest finished run of each pipeline.

    Raises ``InvalidSpec`` unless each beginning matches exactly one run.
    """
    if not beginnings:
        finished = [run for run in runs if run.status == "FINISHED"]
        # Reversed, so that the newest of each pipeline is written last and stays.
        newest = {run.pipeline: run for run in reversed(finished)}
        if not newest:
            raise InvalidSpec(f"none of {len(runs)} runs has come to its end; name one, see --list")
        return tuple(sorted(newest.values(), key=lambda run: run.pipeline))
    return tuple(dict.fromkeys(_one(runs, beginning) for beginning in beginnings))


def _one(runs: Sequence[KeptRun], beginning: str) -> KeptRun:
    found = [run for run in runs if beginning and run.run_id.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(run.run_id[: len(beginning) + 4] for run in found[:4])
        raise InvalidSpec(f"{len(found)} runs start with '{beginning}' ({ids}, …); give more")
    raise InvalidSpec(
        f"no run's id starts with '{beginning}' among the {len(runs)} kept; see them with --list"
    )
