"""Runs of all three pipelines, made once by their scripts; the measurements are then deleted."""

from __future__ import annotations

import io
import re
import runpy
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from small_building import twin_database

from ems.pipelines.comparison import DayRecord, DayResult
from ems.report.stored import KeptRun, kept_runs
from ems.store import frames

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.insert(0, str(SCRIPTS))

A, B, C = "01_run.py", "02_integrated_pipeline.py", "03_probability_learning_optimization.py"
AUTUMN = ("--start", "2016-10-29", "--n_days", "3")
"""Around the night whose hour from two to three comes twice."""
CALLS: Mapping[str, tuple[str, ...]] = {
    "home": (A, "--building", "DE_KN_residential4", *AUTUMN),
    "other": (A, "--building", "DE_KN_residential1", *AUTUMN, "--mode", "centralized"),
    "forecast": (A, "--building", "DE_KN_residential1", *AUTUMN, "--foresight", "forecast"),
    "habits": (B, "--start", "2016-06-01", "--n_days", "3", "--preference_eur", "0,0.1"),
    "rates": (
        *(C, "--target_device", "dishwasher", "--n_days", "50", "--test_both_priors"),
        *("--lr_tau_values", "5,20", "--lr_max_values", "0.05,0.15"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """A run as its script made it: what it handed to the store, and what it printed."""

    run_id: str
    records: Sequence[DayRecord]
    printed: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where the runs are, and what they were when they were made."""

    folder: Path
    made: Mapping[str, Made]

    @property
    def results(self) -> Path:
        """The results folder."""
        return self.folder / "results"

    @property
    def database(self) -> Path:
        """The results database."""
        return self.results / "ems_results.duckdb"

    @property
    def tracking_uri(self) -> str:
        """The MLflow store."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def kept(self, name: str) -> KeptRun:
        """One of the runs as the gallery finds it."""
        (run,) = (r for r in kept_runs(self.database) if r.run_id == self.made[name].run_id)
        return run


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ems-tests-")


@cache
def stored() -> Stored:
    """All runs of ``CALLS``."""
    folder = Path(_temporary().name)
    data = folder / "data.duckdb"
    shutil.copy(twin_database(), data)
    where = ["--db", str(data), "--results", str(folder / "results"), "--figures", "off"]
    where += ["--tracking_uri", f"sqlite:///{folder / 'mlflow.db'}", "--report", "off"]
    made = {}
    for name, (script, *args) in CALLS.items():
        made[name] = _call(script, [*where[: -2 if script == C else None], *args])
    data.unlink()
    shutil.rmtree(folder / "results" / "reports", ignore_errors=True)
    return Stored(folder=folder, made=made)


def _call(script: str, args: Sequence[str]) -> Made:
    """Call a script's ``main`` here, which saves loading all libraries again."""
    records: list[DayRecord] = []
    day_tables = frames.day_tables

    def noted(days: Sequence[DayRecord]) -> object:
        records.extend(days)
        return day_tables(days)

    out = io.StringIO()
    main = runpy.run_path(str(SCRIPTS / script))["main"]
    with (
        mock.patch.object(sys, "argv", [str(SCRIPTS / script), *args]),
        mock.patch.object(frames, "day_tables", noted),
        redirect_stdout(out),
    ):
        main()
    (run_id,) = re.findall(r"mlflow    run (\w+);", out.getvalue())
    return Made(run_id=run_id, records=records, printed=out.getvalue())


def results_of(made: Made, building: str) -> list[DayResult]:
    """The results of a building as the pipeline had them."""
    return [record for record in made.records if record.building == building]
