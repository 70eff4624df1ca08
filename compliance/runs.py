"""Every pipeline as a person runs it, for two days of the twin, and what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy.exc import SADeprecationWarning

from compliance.replay import Replayed, Series, failures
from compliance.source import Source
from ems.economics.tariff_file import load_tariff
from ems.site.meters import MeterData
from ems.store.connection import get_con, results_reader
from ems.store.read import read_history
from ems.store.results import read_days, read_runs, read_steps

TWO_DAYS = ("--n_days", "2")
MORE: Mapping[str, tuple[str, ...]] = {
    "03": ("--n_days", "30", "--n_train", "28", "--device_filter", "partial_usage"),
    "05": ("--hours", "2"),
}
"""Pipeline C trains on four weeks before it scores two days; a market is counted in hours."""
FORECAST = ("--foresight", "forecast")
KEPT_IN = ("plan_step", "pmf_update", "community_step", "market_order")
"""Where a pipeline keeps what it found; each fills one of them."""
LONGEST_S = 300
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A pipeline that was run: its script and where it left what it found."""

    script: Path
    db: Path
    results: Path
    tracking_uri: str
    code: int
    said: str


def build_twin(root: Path, folder: Path) -> Path:
    """The twin's database, built as a person builds it."""
    db = folder / "twin.duckdb"
    _call(root / "scripts" / "build_duckdb.py", folder, "--db", str(db)).check_returncode()
    return db


def ways_to_run(source: Source) -> dict[str, tuple[str, ...]]:
    """The options with which a pipeline is run: as it is, and on forecasts where it offers them."""
    number = source.path.rpartition("/")[2][:2]
    offers = any(origin.endswith(".Foresight") for origin in source.names.values())
    return {number: (), **({f"{number} forecast": FORECAST} if offers else {})}


def run_pipeline(script: Path, db: Path, folder: Path, options: Sequence[str] = ()) -> Ran:
    """Run one pipeline in ``folder``, with its own results and MLflow store."""
    folder.mkdir(parents=True, exist_ok=True)
    results, uri = folder / "results", f"sqlite:///{folder / 'mlflow.db'}"
    where = ("--db", str(db), "--results", str(results), "--tracking_uri", uri)
    window = MORE.get(script.name[:2], TWO_DAYS)
    done = _call(script, folder, *where, *window, "--figures", "off", *options)
    return Ran(
        script=script,
        db=db,
        results=results / "ems_results.duckdb",
        tracking_uri=uri,
        code=done.returncode,
        said=(done.stdout + done.stderr).strip(),
    )


def _call(script: Path, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


# --- what is checked ----------------------------------------------------------------------------


def ended_well(ran: Ran) -> Iterator[str]:
    """The script ends with 0 and says that its data are synthetic."""
    if ran.code != 0:
        yield f"exit code {ran.code}: {ran.said.splitlines()[-1] if ran.said else 'no output'}"
    if "SYNTHETIC DATA" not in ran.said:
        yield "does not say that its data are synthetic"


def is_tracked(ran: Ran) -> Iterator[str]:
    """One FINISHED run in MLflow with all it takes to run it again, and finished runs below it."""
    runs = _tracked(ran)
    parents = [run for run in runs if PARENT not in run.data.tags]
    children = [run for run in runs if run not in parents]
    if len(parents) != 1 or not children:
        yield f"{len(parents)} runs with {len(children)} below them; expected one with some"
        return
    (parent,) = parents
    for run in runs:
        if run.info.status != "FINISHED":
            yield f"{run.info.run_name} is {run.info.status}"
        if run.data.tags.get("synthetic") != "true":
            yield f"{run.info.run_name} has no tag synthetic"
    for name in ("building", "data.hash", "data.source", "software.python", "software.highspy"):
        if name not in parent.data.params:
            yield f"the parameter {name} is missing"
    for run in children:
        if run.data.tags[PARENT] != parent.info.run_id:
            yield f"{run.info.run_name} hangs below no run"
        if not any(key.startswith("total/") for key in run.data.metrics):
            yield f"{run.info.run_name} has no totals"


def is_stored(ran: Ran) -> Iterator[str]:
    """The same run is in the results, with plans of all days, habits, a community or a market."""
    stored = read_runs(ran.results)
    if list(stored["status"]) != ["FINISHED"]:
        yield f"stored runs: {list(stored['status'])}, expected one FINISHED"
        return
    row = stored.iloc[0]
    if row["mlflow_run_id"] not in {run.info.run_id for run in _tracked(ran)}:
        yield f"the stored run {row['mlflow_run_id']} is not in MLflow"
    counts = _counts(ran)
    if not any(counts[table] for table in KEPT_IN):
        yield f"nothing is stored in {', '.join(KEPT_IN)}"
    days = counts["days"]
    if counts["plan_step"] and days != 2:
        yield f"{days} days are stored, expected 2"


def plans_hold(ran: Ran) -> Iterator[str]:
    """Every stored plan, audited again from its rows; and MLflow's totals are the stored ones."""
    tracked = {run.info.run_name: run for run in _tracked(ran)}
    for replayed in replays(ran):
        yield from failures(replayed)
        run = tracked.get(f"{replayed.building} {replayed.mode}")
        stored_eur = float(replayed.days["cost_eur"].sum())
        told_eur = stored_eur if run is None else run.data.metrics["total/cost_eur"]
        if not np.isclose(told_eur, stored_eur):
            yield f"{replayed.mode}: MLflow says {told_eur:.4f} €, the rows {stored_eur:.4f} €"


def replays(ran: Ran) -> Iterator[Replayed]:
    """What each mode of each building stored, ready to be audited again."""
    if not _counts(ran)["plan_step"]:
        return
    run_id = str(read_runs(ran.results).iloc[0]["run_id"])
    days = read_days(ran.results, run_id)
    (parent,) = (run for run in _tracked(ran) if PARENT not in run.data.tags)
    for building, of_building in days.groupby("building"):
        with closing(get_con(ran.db)) as con:
            history = read_history(con, str(building))
        metered = _series(ran, run_id, str(building), "as_metered")
        for mode, of_mode in of_building.groupby("mode"):
            series = _series(ran, run_id, str(building), str(mode))
            kpis = of_mode.set_index(pd.to_datetime(of_mode["day"]))
            yield _replayed(str(mode), series, metered, parent.data.params, kpis, history)


def habits_hold(ran: Ran) -> Iterator[str]:
    """Every stored PMF is one, its distances lie in [0, 1], and its updates are counted."""
    with results_reader(ran.results) as con:
        rows = con.execute(
            "SELECT building || ' ' || feed || ' ' || model, day_type, n, js_to_prior, js_step, "
            "hours FROM pmf_update ORDER BY building, feed, model, day_type, day"
        ).fetchall()
    counted: dict[tuple[str, str], int] = {}
    for who, day_type, n, js_to_prior, js_step, hours in rows:
        if not (np.isclose(sum(hours), 1.0) and min(hours) >= 0 and len(hours) == 24):
            yield f"{who}: the hours of update {n} are no PMF"
        if not (0 <= js_to_prior <= 1 and 0 <= js_step <= 1):
            yield f"{who}: a distance of update {n} is outside [0, 1]"
        before = counted.get((who, day_type))
        if before is not None and n != before + 1:
            yield f"{who}: update {n} of {day_type} follows update {before}"
        counted[who, day_type] = n


def money_closes(ran: Ran) -> Iterator[str]:
    """What buyers of a market pay is what its sellers are paid, and no order wins beyond itself."""
    with results_reader(ran.results) as con:
        paid = con.execute(
            "SELECT coalesce(sum(value), 0), coalesce(sum(abs(value)), 0) FROM market_bidder "
            "WHERE kpi = 'paid_eur'"
        ).fetchone()
        beyond = con.execute(
            "SELECT count(*) FROM market_order WHERE accepted_kw > quantity_kw + 1 "
            "OR (reason <> '' AND accepted_kw > 0)"
        ).fetchone()
    if paid and abs(paid[0]) > 1e-6 * max(paid[1], 1.0):
        yield f"all payments sum to {paid[0]:.6f} €, expected 0"
    if beyond and beyond[0]:
        yield f"{beyond[0]} orders won more than they asked for, or were refused and won"


def sharing_holds(ran: Ran) -> Iterator[str]:
    """What the homes of a community receive is what homes supply, and no more than is fed in."""
    with results_reader(ran.results) as con:
        received, supplied, fed_in = (
            float(
                con.execute(
                    "SELECT coalesce(sum(value), 0) FROM community_home WHERE kpi = ?", [kpi]
                ).fetchall()[0][0]
            )
            for kpi in ("received_kwh", "supplied_kwh", "export_kwh")
        )
    if not np.isclose(received, supplied):
        yield f"homes receive {received:.3f} kWh and supply {supplied:.3f} kWh"
    if supplied > fed_in + 0.1:
        yield f"homes supply {supplied:.3f} kWh of {fed_in:.3f} kWh that they feed in"


CHECKS = (
    *(ended_well, is_tracked, is_stored, plans_hold, habits_hold, sharing_holds),
    money_closes,
)
"""In this order; a run that did not end well is not checked further."""


def _tracked(ran: Ran) -> list[Run]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SADeprecationWarning)  # of MLflow's own queries
        client = MlflowClient(ran.tracking_uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, max_results=1000))


def _counts(ran: Ran) -> dict[str, int]:
    with results_reader(ran.results) as con:
        counts = {
            table: int(con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])
            for table in KEPT_IN
        }
        days = con.execute("SELECT count(DISTINCT day) FROM plan_step").fetchall()[0][0]
    return {**counts, "days": int(days)}


def _series(ran: Ran, run_id: str, building: str, mode: str) -> Series:
    """Each ``(agent, quantity)`` by time."""
    rows = read_steps(ran.results, run_id, building, mode)
    return {
        (str(key[0]), str(key[1])): part.set_index("ts_utc")["value"].sort_index()
        for key, part in rows.groupby(["agent", "quantity"])
    }


def _replayed(
    mode: str,
    series: Series,
    metered: Series,
    parameters: Mapping[str, str],
    days: pd.DataFrame,
    history: MeterData,
) -> Replayed:
    """The stored rows beside the prices and local days that belong to them."""
    times = pd.DatetimeIndex(series["grid", "net_load_kw"].index)
    local = times.tz_localize("UTC").tz_convert(history.timezone)
    spot = pd.Series(history.price_eur_per_mwh, index=pd.DatetimeIndex(history.ts_utc))
    known = np.asarray(spot.reindex(times), dtype=np.float64)
    tariff = load_tariff(parameters["spec.tariff.name"])
    hour = np.asarray(local.hour + local.minute / 60, dtype=np.float64)
    return Replayed(
        building=history.building,
        mode=mode,
        series=series,
        metered=metered,
        step_h=history.step_h,
        parameters=parameters,
        import_eur_per_kwh=pd.Series(tariff.import_eur_per_kwh(known, hour), index=times),
        export_eur_per_kwh=pd.Series(tariff.export_eur_per_kwh(known), index=times),
        days=days,
        day_of=pd.Series(local.tz_localize(None).normalize(), index=times),
    )
