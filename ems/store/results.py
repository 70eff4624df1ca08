"""Write pipeline results and read them back: by query, never a CSV.

Every function is one short transaction. Saving a run again replaces what it saved before, so a
repeated or resumed run leaves no duplicates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb
import pandas as pd

from ems.errors import DataError
from ems.store.connection import RESULTS_TABLES, results_reader, results_transaction

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

DAY_COLUMNS = ("building", "day", "mode", "kpi", "value")
HORIZON_COLUMNS = (
    "building",
    "day",
    "ts_utc",
    "local_hour",
    "step_h",
    "import_eur_per_kwh",
    "export_eur_per_kwh",
)
STEP_COLUMNS = ("building", "day", "mode", "agent", "quantity", "ts_utc", "value")
COMMUNITY_HOME_COLUMNS = ("mode", "home", "kpi", "value")
COMMUNITY_STEP_COLUMNS = ("mode", "ts_utc", "quantity", "value")
MARKET_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "market_auction": ("ts_utc", "quantity", "value"),
    "market_order": (
        *("ts_utc", "bidder", "is_bid", "price_eur_per_mwh", "quantity_kw", "accepted_kw"),
        "reason",
    ),
    "market_message": ("step", "sent_s", "came_s", "sender", "receiver", "kind", "said"),
    "market_bidder": ("bidder", "kind", "kpi", "value"),
}
PMF_COLUMNS = (
    "building",
    "feed",
    "model",
    "day",
    "day_type",
    "n",
    "alpha",
    "js_to_prior",
    "js_step",
    "entropy_bits",
    "own_starts",
    "hours",
)


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of a pipeline: its request and status."""

    run_id: str
    pipeline: str
    building: str
    started_utc: datetime
    parameters: Mapping[str, object]
    status: Status
    synthetic: bool
    mlflow_run_id: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DayTables:
    """Days of a run as tables.

    ``days``: columns ``DAY_COLUMNS``, one row per KPI; ``horizon``: ``HORIZON_COLUMNS``, one row
    per step; ``steps``: ``STEP_COLUMNS``, one row per step of each series of a plan.
    """

    days: pd.DataFrame
    horizon: pd.DataFrame
    steps: pd.DataFrame

    @property
    def of_tables(self) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...], pd.DataFrame], ...]:
        """Table, columns, key of the rows replaced, and the rows."""
        return (
            ("day_result", DAY_COLUMNS, ("building", "day", "mode"), self.days),
            ("horizon_step", HORIZON_COLUMNS, ("building", "day"), self.horizon),
            ("plan_step", STEP_COLUMNS, ("building", "day", "mode"), self.steps),
        )


def require_results(path: str | Path) -> None:
    """Raise :class:`DataError` unless results can be written there; a new file is created."""
    with results_transaction(path):
        pass


def save_run(path: str | Path, run: RunRow) -> None:
    """Save a run that starts; earlier data of the same run are deleted.

    Raises :class:`DataError` for a database that cannot be written.
    """
    with results_transaction(path) as con:
        _put_run(con, run)
        for table in RESULTS_TABLES - {"meta", "run"}:
            con.execute(f"DELETE FROM {table} WHERE run_id = ?", [run.run_id])


def append_days(path: str | Path, run: RunRow, tables: DayTables) -> None:
    """Save more days of a running run; the same days and modes are replaced.

    Raises :class:`DataError` for a missing column or a database that cannot be written.
    """
    with results_transaction(path) as con:
        _put_run(con, run)
        for table, columns, key, frame in tables.of_tables:
            _require_columns(table, columns, frame)
            con.register("incoming", frame)
            which = ", ".join(key)
            # Frames hold timestamps, the tables dates.
            same = which.replace("day", "CAST(day AS DATE)")
            con.execute(
                f"DELETE FROM {table} WHERE run_id = ? AND ({which}) IN "
                f"(SELECT DISTINCT {same} FROM incoming)",
                [run.run_id],
            )
            con.unregister("incoming")
            _insert(con, table, run.run_id, columns, frame)


def append_community(
    path: str | Path, run: RunRow, homes: pd.DataFrame, steps: pd.DataFrame
) -> None:
    """Save what a community's homes pay, and what they share step by step.

    ``homes``: columns ``COMMUNITY_HOME_COLUMNS``; ``steps``: ``COMMUNITY_STEP_COLUMNS``. What the
    run saved before is replaced.
    """
    tables = (
        ("community_home", COMMUNITY_HOME_COLUMNS, homes),
        ("community_step", COMMUNITY_STEP_COLUMNS, steps),
    )
    _replace_tables(path, run, tables)


def append_market(path: str | Path, run: RunRow, frames: Mapping[str, pd.DataFrame]) -> None:
    """Save a market: a frame for each of ``MARKET_COLUMNS``, instead of what was saved before."""
    tables = [(table, columns, frames[table]) for table, columns in MARKET_COLUMNS.items()]
    _replace_tables(path, run, tables)


def _replace_tables(
    path: str | Path, run: RunRow, tables: Iterable[tuple[str, tuple[str, ...], pd.DataFrame]]
) -> None:
    with results_transaction(path) as con:
        _put_run(con, run)
        for table, columns, frame in tables:
            con.execute(f"DELETE FROM {table} WHERE run_id = ?", [run.run_id])
            _insert(con, table, run.run_id, columns, frame)


def append_pmf_updates(path: str | Path, run: RunRow, updates: pd.DataFrame) -> None:
    """Save how learned usage PMFs moved, columns ``PMF_COLUMNS``, one row per update.

    The same devices and models of the run are replaced.
    """
    with results_transaction(path) as con:
        _put_run(con, run)
        _require_columns("pmf_update", PMF_COLUMNS, updates)
        con.register("incoming", updates)
        con.execute(
            "DELETE FROM pmf_update WHERE run_id = ? AND (building, feed, model) IN "
            "(SELECT DISTINCT building, feed, model FROM incoming)",
            [run.run_id],
        )
        con.unregister("incoming")
        _insert(con, "pmf_update", run.run_id, PMF_COLUMNS, updates)


def set_status(path: str | Path, run_id: str, status: Status) -> None:
    """Set the final status of a run."""
    with results_transaction(path) as con:
        changed = con.execute(
            "UPDATE run SET status = ? WHERE run_id = ? RETURNING run_id", [status, run_id]
        ).fetchall()
        if not changed:
            raise DataError(f"{path}: run {run_id} is unknown; save it first")


def read_runs(path: str | Path) -> pd.DataFrame:
    """All runs, newest first."""
    return _query(path, "SELECT * FROM run ORDER BY started_utc DESC, run_id", [])


def read_days(path: str | Path, run_id: str) -> pd.DataFrame:
    """The KPIs of a run: one row per building, day and mode, one column per KPI."""
    long = _query(path, "SELECT * FROM day_result WHERE run_id = ?", [run_id])
    wide = long.pivot(index=["building", "day", "mode"], columns="kpi", values="value")
    return wide.rename_axis(columns=None).reset_index()


def read_steps(path: str | Path, run_id: str, building: str, mode: str) -> pd.DataFrame:
    """The planned steps of one building and mode in long form, in order of time."""
    return _query(
        path,
        "SELECT day, agent, quantity, ts_utc, value FROM plan_step "
        "WHERE run_id = ? AND building = ? AND mode = ? ORDER BY agent, quantity, day, ts_utc",
        [run_id, building, mode],
    )


def read_powers(path: str | Path, run_id: str, building: str, agent: str) -> pd.DataFrame:
    """Net load of one agent [kW], positive if drawing, one column per mode over ``ts_utc``."""
    long = _query(
        path,
        "SELECT mode, ts_utc, value FROM plan_step WHERE run_id = ? AND building = ? "
        "AND agent = ? AND quantity = 'net_load_kw'",
        [run_id, building, agent],
    )
    wide = long.pivot(index="ts_utc", columns="mode", values="value")
    return wide.rename_axis(columns=None).sort_index()


def read_horizon(path: str | Path, run_id: str, building: str) -> pd.DataFrame:
    """The steps of a building's days in order of time: ``HORIZON_COLUMNS``."""
    columns = ", ".join(HORIZON_COLUMNS)
    return _query(
        path,
        f"SELECT {columns} FROM horizon_step WHERE run_id = ? AND building = ? ORDER BY ts_utc",
        [run_id, building],
    )


def read_pmf_updates(path: str | Path, run_id: str) -> pd.DataFrame:
    """How the learned usage PMFs of a run moved, in order of time: ``PMF_COLUMNS``."""
    columns = ", ".join(PMF_COLUMNS)
    return _query(
        path,
        f"SELECT {columns} FROM pmf_update WHERE run_id = ? ORDER BY building, feed, model, day",
        [run_id],
    )


def _put_run(con: duckdb.DuckDBPyConnection, run: RunRow) -> None:
    con.execute(
        "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            run.run_id,
            run.pipeline,
            run.building,
            run.started_utc,
            json.dumps(dict(run.parameters), sort_keys=True, ensure_ascii=False),
            run.status,
            run.mlflow_run_id,
            run.synthetic,
        ],
    )


def _insert(
    con: duckdb.DuckDBPyConnection,
    table: str,
    run_id: str,
    columns: tuple[str, ...],
    frame: pd.DataFrame,
) -> None:
    """Insert a whole frame at once for a run."""
    _require_columns(table, columns, frame)
    con.register("incoming", frame)
    names = ", ".join(columns)
    con.execute(f"INSERT INTO {table} (run_id, {names}) SELECT ?, {names} FROM incoming", [run_id])
    con.unregister("incoming")


def _require_columns(table: str, columns: tuple[str, ...], frame: pd.DataFrame) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(f"{table}: columns {missing} are missing; expected {list(columns)}")


def _query(path: str | Path, sql: str, values: list[str]) -> pd.DataFrame:
    """One query on the results database."""
    with results_reader(path) as con:
        return con.execute(sql, values).df()
