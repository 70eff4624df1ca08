"""Record what a fixed set of runs gives, and say where another checkout gives something else.

    python benchmarks/same_results.py record FOLDER --twin TWIN.duckdb --real REAL.duckdb
    python benchmarks/same_results.py compare FOLDER OTHER

Whoever rebuilds without wanting to change results records before and after. The set has every
pipeline, synthetic and real data, perfect foresight and forecasts, neutral and hedged plans. Every
row of ``day_result``, ``plan_step`` and ``pmf_update`` is kept, without run ids and timings.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-6
A, B, C = "01_run.py", "02_integrated_pipeline.py", "03_probability_learning_optimization.py"
HOUSE = "--building DE_KN_residential4 --start 2016-03-01"
FORECAST = "--foresight forecast"
RUNS = {
    "twin_week": ("twin", A, "--n_days 10"),
    "twin_all": ("twin", A, "--building all --n_days 4"),
    "twin_forecast": ("twin", A, f"{FORECAST} --n_days 3"),
    "twin_hedged": ("twin", A, f"{FORECAST} --risk hedged --n_scenarios 5 --n_days 2"),
    "real_month": ("real", A, f"{HOUSE} --n_days 35"),
    "real_all": ("real", A, "--building all --n_days 6"),
    "real_forecast": ("real", A, f"{HOUSE} {FORECAST} --dispatch balance --n_days 5"),
    "real_persistence": ("real", A, f"{HOUSE} {FORECAST} --forecaster persistence --n_days 3"),
    "real_spot": ("real", A, f"{HOUSE} --tariff spot --n_days 6"),
    "real_tou": ("real", A, f"{HOUSE} --tariff tou --n_days 4"),
    "real_three_phase": ("real", A, f"{HOUSE} --ev_strategy three_phase --n_days 5"),
    "real_v2g": ("real", A, f"{HOUSE} --v2g_kw 5 --n_days 5"),
    "real_demand_charge": ("real", A, f"{HOUSE} --demand_charge_eur_per_kw 2 --n_days 5"),
    "real_limits": ("real", A, f"{HOUSE} --max_export_kw 3 --curtailable_pv on --n_days 5"),
    "real_one_meter": ("real", A, "--building DE_KN_residential1 --one_meter on --n_days 5"),
    "habits_twin": ("twin", B, "--n_days 6"),
    "habits_real": ("real", B, f"{HOUSE} --n_days 6 --prior learned"),
    "habits_forecast": ("real", B, f"--building DE_KN_residential3 {FORECAST} --n_days 3"),
    "learning_twin": ("twin", C, "--test_both_priors --n_days 120"),
    "learning_real": ("real", C, "--building all --n_days 200"),
}
TABLES = {
    "day_result": ("building", "day", "mode", "kpi"),
    "plan_step": ("building", "day", "mode", "agent", "quantity", "ts_utc"),
    "pmf_update": ("building", "feed", "model", "day", "day_type", "n"),
}
TIMINGS = "('build_s', 'solver_s', 'gap_eur')"


def main() -> int:
    """Record, or compare and return 1 where anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    recording = parts.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--twin", type=Path, required=True, help="database of the twin")
    recording.add_argument("--real", type=Path, help="database of measurements (default: none)")
    comparing = parts.add_parser("compare")
    comparing.add_argument("folder", type=Path)
    comparing.add_argument("other", type=Path)
    args = parser.parse_args()
    if args.part == "record":
        record(args.folder, {"twin": args.twin, "real": args.real})
        return 0
    differing = list(compare(args.folder, args.other))
    print("\n".join(differing) or "all the same")
    return 1 if differing else 0


def record(folder: Path, databases: dict[str, Path | None]) -> None:
    """Run the set on the databases that are given, and keep the tables of each run."""
    for name, (data, script, options) in RUNS.items():
        database = databases[data]
        if database is None:
            print(f"{name}: left out, no database of {data} data")
            continue
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as work:
            places = ("--results", work, "--tracking_uri", f"sqlite:///{work}/mlflow.db")
            command = [sys.executable, str(ROOT / "scripts" / script), *options.split()]
            command += ["--db", str(database), "--figures", "off", "--report", "off", *places]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            _keep(Path(work) / "ems_results.duckdb", folder / name)


def _keep(results: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(results), read_only=True) as con:
        for table, keys in TABLES.items():
            rows = f"SELECT * EXCLUDE (run_id) FROM {table} ORDER BY {', '.join(keys)}"
            con.execute(f"COPY ({rows}) TO '{folder / table}.parquet' (FORMAT parquet)")


def compare(folder: Path, other: Path) -> Iterator[str]:
    """A line for each table of each run of ``folder`` that ``other`` has otherwise."""
    for name in sorted(path.name for path in folder.iterdir()):
        for table, keys in TABLES.items():
            then, now = (where / name / f"{table}.parquet" for where in (folder, other))
            if not now.exists():
                yield f"{name} {table}: not recorded in {other}"
                continue
            differs = _rows_apart(then, now, table, keys)
            if differs:
                yield f"{name} {table}: {differs}"


def _rows_apart(then: Path, now: Path, table: str, keys: tuple[str, ...]) -> str:
    """How many rows are missing or differ, empty where none does; learned numbers to the bit."""
    with duckdb.connect() as con:
        if table == "pmf_update":
            apart = f"(FROM '{then}' EXCEPT ALL FROM '{now}') UNION ALL "
            apart += f"(FROM '{now}' EXCEPT ALL FROM '{then}')"
            n_rows = con.execute(f"SELECT count(*) FROM ({apart})").fetchone()
            return f"{n_rows[0]} rows" if n_rows and n_rows[0] else ""
        same = " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
        known = f"WHERE kpi NOT IN {TIMINGS}" if table == "day_result" else ""
        found = con.execute(
            "SELECT count(*) FILTER (a.value IS NULL OR b.value IS NULL), "
            f"count(*) FILTER (abs(a.value - b.value) > {TOLERANCE}), max(abs(a.value - b.value)) "
            f"FROM (FROM '{then}' {known}) a FULL JOIN (FROM '{now}' {known}) b ON {same}"
        ).fetchone()
        missing, differing, most = found or (0, 0, 0.0)
        if not missing and not differing:
            return ""
        return f"{missing} rows missing, {differing} differ by more than {TOLERANCE}, most {most:g}"


if __name__ == "__main__":
    sys.exit(main())
