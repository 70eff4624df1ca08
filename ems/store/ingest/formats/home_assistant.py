"""Home Assistant: its database, and the CSV files that it and its users export.

Database (``home-assistant_v2.db``, SQLite)
    table ``statistics``: ``sum`` of the hour that begins at ``start_ts`` is the count at the end of
    that hour; ``statistics_meta`` has name and unit.
Statistics
    the same as CSV, one row a name and hour: ``statistic_id, start (or start_ts), sum (or state)``.
History
    "Download data" of the history panel: ``entity_id, state, last_changed``. Rows at full hours are
    the old hourly statistics, again the state at the end of that hour; the others are states at
    their instant, written only when they change. Source: frontend, ``ha-panel-history.ts``.
Energy
    "Download data" of the energy dashboard: ``entity_id, type, unit`` and a column for the start of
    each interval, which holds its energy. Source: frontend, ``ha-panel-energy.ts``.
"""

from __future__ import annotations

import csv
import io
import math
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ems.store.ingest.text_table import AsText, decoded

HOUR_S = 3600
LONGEST_S = 20 * 366 * 24 * HOUR_S
"""A history longer than this has a wrong clock in it."""
_UNITS = ("Wh", "kWh", "MWh")

Series = dict[str, dict[int, str]]
"""Name and unit -> instant [s since 1970] -> text."""
Rows = Sequence[Mapping[str, str]]


def database_text(raw: bytes, name: str) -> AsText:
    """End of each hour in UTC, and the count of each energy, such as ``sensor.pv kWh``."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "statistics.db"
        copy.write_bytes(raw)
        try:
            found = _counted(copy)
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error
    series: Series = {}
    for statistic, unit, start_s, count in found:
        series.setdefault(f"{statistic} {unit}", {})[round(start_s) + HOUR_S] = repr(count)
    return _as_text(series)


def energy_text(raw: bytes, name: str) -> AsText:
    """Start of each interval in UTC, and a column such as ``grid_consumption sensor.a kWh``.

    Costs, and what Home Assistant calculated itself, are left out.
    """
    series: Series = {}
    for row in _rows(raw, name):
        if row["unit"] in _UNITS and row["entity_id"]:
            found = series.setdefault(f"{row['type']} {row['entity_id']} {row['unit']}", {})
            starts = list(row)[3:]
            found |= {round(_seconds(start)): row[start] for start in starts}
    return _as_text(series)


def statistics_text(raw: bytes, name: str) -> AsText:
    """End of each hour in UTC, and the count of each energy."""
    rows = _rows(raw, name)
    start, count = _first(rows, "start", "start_ts"), _first(rows, "sum", "state")
    unit = next((n for n in ("unit", "unit_of_measurement") if rows and n in rows[0]), None)
    series: Series = {}
    for row in rows:
        if unit is None or row[unit] in _UNITS:
            column = " ".join([row["statistic_id"], *([row[unit]] if unit else [])])
            end_s = round(_seconds(row[start])) + HOUR_S
            series.setdefault(column, {})[end_s] = row[count]
    return _as_text(series)


def history_text(raw: bytes, name: str) -> AsText:
    """End of each hour in UTC, and the count of each entity that shows numbers."""
    states: dict[str, list[tuple[float, str]]] = {}
    for row in _rows(raw, name):
        at_s = _seconds(row["last_changed"])
        states.setdefault(row["entity_id"], []).append((at_s, row["state"]))
    times = [at_s for found in states.values() for at_s, _ in found]
    if times and max(times) - min(times) > LONGEST_S:
        raise ValueError("it spans more than 20 years")
    series = {entity: _ends_of_hours(found) for entity, found in states.items()}
    return _as_text({entity: ends for entity, ends in series.items() if any(ends.values())})


def _as_text(series: Series) -> AsText:
    if not any(series.values()):
        raise ValueError("it has no statistics of energies (Wh, kWh, MWh)")
    rows = (
        ",".join(
            [
                datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                *(values.get(at_s, "") for values in series.values()),
            ]
        )
        for at_s in sorted({at_s for values in series.values() for at_s in values})
    )
    return AsText("\n".join([",".join(["time", *series]), *rows]) + "\n")


def _counted(file: Path) -> list[tuple[str, str, float, float]]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as con:
        return con.execute(
            "SELECT m.statistic_id, m.unit_of_measurement, s.start_ts, s.sum FROM statistics s "
            "JOIN statistics_meta m ON m.id = s.metadata_id "
            f"WHERE m.unit_of_measurement IN {_UNITS} AND s.sum IS NOT NULL "
            "ORDER BY m.statistic_id, s.start_ts"
        ).fetchall()


# --- the CSV files -------------------------------------------------------------------------------


def _rows(raw: bytes, name: str) -> list[dict[str, str]]:
    """The rows by the names of their columns. ``ValueError`` for one that does not fit."""
    records = csv.reader(io.StringIO(decoded(raw, name), newline=""))
    header = [cell.strip() for cell in next(records)]
    found = []
    for record in records:
        if record and len(record) != len(header):
            raise ValueError(
                f"row {records.line_num} has {len(record)} fields, the header has {len(header)}"
            )
        if record:
            found.append(dict(zip(header, map(str.strip, record), strict=True)))
    return found


def _first(rows: Rows, *names: str) -> str:
    """The first of these columns that is there."""
    found = next((name for name in names if rows and name in rows[0]), None)
    if found is None:
        raise ValueError(f"it has no column {' or '.join(names)}")
    return found


def _ends_of_hours(states: Iterable[tuple[float, str]]) -> dict[int, str]:
    """The reading at the end of each hour.

    A state holds until the next; the hour of the last one is not over, so it is left out. A state
    that is no number (``unavailable``) is empty.
    """
    in_order = sorted(states, key=lambda state: state[0])
    first_state = next((i for i, (at_s, _) in enumerate(in_order) if at_s % HOUR_S), None)
    statistics = in_order[:first_state]
    live = in_order[len(statistics) :]
    if len(statistics) == 1 and live:  # what held when the download begins
        statistics, live = [], in_order
    ends = {int(at_s) + HOUR_S: _number(text) for at_s, text in statistics}
    for (at_s, text), (until_s, _) in pairwise(live):
        first_end = math.ceil(at_s / HOUR_S) * HOUR_S
        for end in range(first_end, math.ceil(until_s / HOUR_S) * HOUR_S, HOUR_S):
            ends[end] = _number(text)
    return ends


def _number(text: str) -> str:
    """The text of a number, empty for any other."""
    try:
        return text if math.isfinite(float(text)) else ""
    except ValueError:
        return ""


def _seconds(text: str) -> float:
    """Seconds since 1970 of a number, or of a time in ISO 8601 with its offset."""
    if _number(text):
        return float(text)
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"'{text[:40]}' has no offset from UTC")
    return time.timestamp()
