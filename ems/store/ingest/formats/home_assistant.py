"""Home Assistant's long-term statistics, from its SQLite database.

Tables ``statistics_meta`` (``statistic_id``, ``unit_of_measurement``) and ``statistics``
(``start_ts`` in seconds since 1970, ``sum``): an hour a row, the sum is the count at its end.
"""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

HOUR_S = 3600
_UNITS = ("Wh", "kWh", "MWh")


def text(raw: bytes, name: str) -> str:
    """End of each hour in UTC, and the count of each energy, such as ``sensor.pv kWh``."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "statistics.db"
        copy.write_bytes(raw)
        try:
            found = _rows(copy)
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error
    if not found:
        raise ValueError("it has no statistics of energies (Wh, kWh, MWh)")
    columns = list(dict.fromkeys(f"{name} {unit}" for name, unit, _, _ in found))
    values: dict[int, dict[str, str]] = {}
    for statistic, unit, start, count in found:
        at = values.setdefault(round(start) + HOUR_S, {})
        at[f"{statistic} {unit}"] = "" if count is None else repr(count)
    rows = (
        ",".join(
            [
                datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                *(of.get(column, "") for column in columns),
            ]
        )
        for end, of in sorted(values.items())
    )
    return "\n".join([",".join(["time", *columns]), *rows]) + "\n"


def _rows(file: Path) -> list[tuple[str, str, float, float | None]]:
    con = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        return con.execute(
            "SELECT m.statistic_id, m.unit_of_measurement, s.start_ts, s.sum FROM statistics s "
            "JOIN statistics_meta m ON m.id = s.metadata_id "
            f"WHERE m.unit_of_measurement IN {_UNITS} AND s.sum IS NOT NULL "
            "ORDER BY m.statistic_id, s.start_ts"
        ).fetchall()
    finally:
        con.close()
