"""A run's results as files that other programs open: CSV, Excel or Parquet.

The results database stays the source; a file says what was in it when it was written. Three tables:
``days`` (one row per building, mode and day), ``steps`` (one row per building, mode and step, one
column per series of each agent) and ``columns`` (the unit and meaning of every column). CSV and
Parquet have a file for each table, Excel a sheet; ``README.md`` beside them explains all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import duckdb
import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from ems.agents.words import spoken
from ems.errors import DataError, InvalidSpec
from ems.store.connection import results_reader
from ems.store.frames import KPIS

Format = Literal["csv", "xlsx", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

TABLES = ("days", "steps", "columns")
SHEET_ROWS = 1_048_575
"""Rows of an Excel sheet below its head."""
_CHUNK = 20_000
"""Rows held in memory while a sheet is written."""

_KEYS: Mapping[str, str] = {
    "building": "name of the building",
    "mode": "who decides, docs/model.md",
    "day": "local day",
    "ts_utc": "start of the step, UTC",
    "local_hour": "hour of the local clock at which the step starts",
    "step_h": "length of the step",
    "import_eur_per_kwh": "price of imported energy",
    "export_eur_per_kwh": "price of exported energy",
}
_KPIS: Mapping[str, str] = {
    "days": "length",
    "bill_eur": "what the meter bills: imported less exported energy, each at its price",
    "bought_eur": "the part of the bill for imported energy",
    "demand_charge_eur": "charge on the highest import",
    "wear_eur": "ageing of stores by throughput, assumed; beside the cost, never in it",
    "discomfort_eur": "what moved starts cost in comfort; no money, not part of the cost",
    "import_kwh": "counted by the import register",
    "export_kwh": "counted by the export register",
    "generation_kwh": "generated on the building's bus",
    "demand_kwh": "all loads with the car, without the battery",
    "curtailed_kwh": "sun left unused",
    "throughput_kwh": "through the stores, in and out",
    "full_cycles": "equivalent full cycles, throughput / (2 · capacity)",
    "peak_import_kw": "highest mean import of a step",
    "shift_h": "distance of the starts from the people's own, summed",
    "starts": "number of starts of appliances",
    "stored_change_kwh": "change of the energy in the stores",
    "stored_eur": "its value more than as metered",
    "build_s": "time to build the program",
    "solver_s": "time to solve it",
    "gap_eur": "how far the objective may be from the optimum",
    "missed_kwh": "what a car was short of at its deadlines",
    "pv_error_kwh": "sun otherwise than expected, absolute",
    "load_error_kwh": "load otherwise than expected, absolute",
    "calendar_wear_eur": "ageing of the battery by time alone, assumed; in no other figure",
    "cost_eur": "bill + demand charge − stored: the bill with the stores put back",
    "own_use_kwh": "generation that was not exported",
    "self_consumption": "own use / generation",
    "self_sufficiency": "1 − import / demand",
    "mean_shift_h": "mean distance of the starts from the people's own",
    "with_wear_eur": "cost and wear",
}
_SERIES: Mapping[str, str] = {
    "net_load_kw": "net load: above 0 it draws, below it feeds",
    "charge_kw": "charging",
    "discharge_kw": "discharging",
    "soc_kwh": "charge at the end of the step",
    "power_kw": "electric power",
    "heat_kw": "heat given to the house",
    "heat_kwh": "warmth more than as metered at the end of the step",
    "generation_kw": "generation",
    "curtailed_kw": "generation left unused",
    "import_kw": "counted by the import register",
    "export_kw": "counted by the export register",
    "started": "number of the run that starts in the step, 0 without one",
}
_UNITS = (
    ("_eur_per_kwh", "€/kWh"),
    ("_kwh", "kWh"),
    ("_kw", "kW"),
    ("_eur", "€"),
    ("_h", "h"),
    ("_s", "s"),
    ("_hour", "h"),
)


def unit_of(column: str) -> str:
    """The unit of a column, from the end of its name; 1 for a number or fraction.

    >>> unit_of("battery.charge_kw"), unit_of("import_eur_per_kwh"), unit_of("full_cycles")
    ('kW', '€/kWh', '1')
    """
    if column == "days":
        return "d"
    return next((unit for end, unit in _UNITS if column.endswith(end)), "1")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of an exported table; the unit is empty for names and times."""

    table: str
    name: str
    unit: str
    meaning: str


def require_room(formats: Sequence[str], n_rows: int) -> None:
    """Raise ``InvalidSpec`` if a table of ``n_rows`` rows is more than one of the formats holds."""
    if "xlsx" in formats and n_rows > SHEET_ROWS:
        raise InvalidSpec(
            f"export: the table steps would have {n_rows:,} rows, a sheet of Excel holds "
            f"{SHEET_ROWS:,}; export csv or parquet, or fewer days, modes or buildings"
        )


def export_run(
    path: str | Path, run_id: str, folder: Path, formats: Sequence[str], about: str
) -> list[Path]:
    """Write the tables of a run into ``folder`` in every format, and its ``README.md``.

    ``about``: a paragraph on what was run, and on which data. Returns the files. Raises
    ``DataError`` if the results cannot be read or a file cannot be written.
    """
    with results_reader(path) as con:
        columns = _make_tables(con, run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files = [file for kind in formats for file in _written(con, folder, kind)]
            readme = folder / "README.md"
            readme.write_text(_readme(run_id, about, files, columns), encoding="utf-8")
        except (duckdb.IOException, OSError) as error:
            said = str(error).strip().splitlines()[0]
            raise DataError(
                f"{folder}: the export cannot be written ({said}); check permissions, or close "
                "the program that holds a file"
            ) from error
    return [*files, readme]


# --- the tables ---------------------------------------------------------------------------------


def _make_tables(con: duckdb.DuckDBPyConnection, run_id: str) -> list[Column]:
    """The three tables of a run as temporary tables; returns what ``columns`` says."""
    series = con.execute(
        "SELECT DISTINCT agent, quantity FROM plan_step WHERE run_id = ? ORDER BY ALL", [run_id]
    ).fetchall()
    con.execute(_days_sql(), [*KPIS, run_id])
    con.execute(_steps_sql(series), [*(name for pair in series for name in pair), run_id])
    columns = [*_day_columns(), *_step_columns(series)]
    con.execute('CREATE TEMP TABLE columns ("table" TEXT, name TEXT, unit TEXT, meaning TEXT)')
    con.executemany(
        "INSERT INTO columns VALUES (?, ?, ?, ?)",
        [[column.table, column.name, column.unit, column.meaning] for column in columns],
    )
    return columns


def _days_sql() -> str:
    kpis = ", ".join(f'max(value) FILTER (WHERE kpi = ?) AS "{name}"' for name in KPIS)
    return (
        f"CREATE TEMP TABLE days AS SELECT building, mode, day, {kpis} FROM day_result "
        "WHERE run_id = ? GROUP BY building, mode, day ORDER BY building, mode, day"
    )


def _steps_sql(series: Sequence[tuple[str, str]]) -> str:
    values = ", ".join(
        f"max(value) FILTER (WHERE agent = ? AND quantity = ?) AS {_quoted(f'{agent}.{quantity}')}"
        for agent, quantity in series
    )
    return (
        f"CREATE TEMP TABLE steps AS WITH wide AS (SELECT run_id, building, mode, day, ts_utc, "
        f"{values} FROM plan_step WHERE run_id = ? "
        "GROUP BY run_id, building, mode, day, ts_utc) "
        "SELECT building, mode, day, ts_utc, local_hour, step_h, import_eur_per_kwh, "
        "export_eur_per_kwh, wide.* EXCLUDE (run_id, building, mode, day, ts_utc) "
        "FROM wide JOIN horizon_step USING (run_id, building, day, ts_utc) "
        "ORDER BY building, mode, ts_utc"
    )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _day_columns() -> Iterator[Column]:
    yield from _key_columns("days", ("building", "mode", "day"))
    for name in KPIS:
        yield Column(table="days", name=name, unit=unit_of(name), meaning=_KPIS[name])


def _step_columns(series: Sequence[tuple[str, str]]) -> Iterator[Column]:
    yield from _key_columns("steps", tuple(_KEYS))
    for agent, quantity in series:
        told = _SERIES.get(quantity, spoken(quantity))
        name = f"{agent}.{quantity}"
        meaning = f"{spoken(agent)}: {told}"
        yield Column(table="steps", name=name, unit=unit_of(quantity), meaning=meaning)


def _key_columns(table: str, names: Sequence[str]) -> Iterator[Column]:
    for name in names:
        unit = "" if name in ("building", "mode", "day", "ts_utc") else unit_of(name)
        yield Column(table=table, name=name, unit=unit, meaning=_KEYS[name])


# --- the files ----------------------------------------------------------------------------------


def _written(con: duckdb.DuckDBPyConnection, folder: Path, kind: str) -> Iterator[Path]:
    if kind == "xlsx":
        yield _workbook(con, folder / "results.xlsx")
        return
    options = "FORMAT csv, HEADER" if kind == "csv" else "FORMAT parquet"
    for table in TABLES:
        file = folder / f"{table}.{kind}"
        target = str(file).replace("'", "''")
        con.execute(f"COPY {table} TO '{target}' ({options})")
        yield file


def _workbook(con: duckdb.DuckDBPyConnection, file: Path) -> Path:
    """One sheet for each table; row by row, so that a long run does not fill the memory."""
    # Opened first: a file that cannot be written must leave no temporary ones behind.
    with file.open("wb") as target:
        book = openpyxl.Workbook(write_only=True)
        for table in TABLES:
            sheet = book.create_sheet(table)
            sheet.freeze_panes = "A2"
            rows = con.execute(f"SELECT * FROM {table}")
            head = [WriteOnlyCell(sheet, value=column[0]) for column in rows.description or ()]
            for cell in head:
                cell.font = Font(bold=True)
            sheet.append(head)
            while chunk := rows.fetchmany(_CHUNK):
                for row in chunk:
                    sheet.append(row)
        book.save(target)
    return file


def _readme(run_id: str, about: str, files: Sequence[Path], columns: Sequence[Column]) -> str:
    """What the files are, and every column with its unit."""
    named = ", ".join(f"`{file.name}`" for file in files)
    parts = [
        f"# Results of run {run_id}",
        about,
        f"{named}, written from the results database, which stays the source.",
        "A power is the mean over the step that starts at `ts_utc`. A series is named "
        "`agent.quantity`; it is empty where a building or day has no such agent. Costs of days "
        "add up; shares, means and peaks do not. Every figure is defined in docs/metrics.md.",
    ]
    for table in ("days", "steps"):
        rows = [
            f"| `{c.name}` | {c.unit or '–'} | {c.meaning} |" for c in columns if c.table == table
        ]
        head = "| column | unit | meaning |\n|---|---|---|"
        parts.append(f"## {table}\n\n{head}\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"
