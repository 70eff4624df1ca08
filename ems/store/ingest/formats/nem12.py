"""NEM12, in which Australian meters are read: a row a day and channel, a field an interval.

Meter Data File Format Specification NEM12 & NEM13 of AEMO: records 200 (what a channel is), 300 (a
day of intervals), 400 and 500 (quality, not needed here), 900 (end). Times are Australian Eastern
Standard Time, UTC+10 without summer time.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta

from ems.store.ingest.text_table import decoded

MINUTES = (1, 5, 15, 30)
_ZONE = "+10:00"


def text(raw: bytes, name: str) -> str:
    """Start of each interval, and a column for each channel such as ``E1 kWh``."""
    columns: list[str] = []
    values: dict[datetime, dict[str, str]] = {}
    minutes, column = 0, ""
    for record in csv.reader(io.StringIO(decoded(raw, name), newline="")):
        if not record:
            continue
        if record[0] == "200":
            column, minutes = f"{record[4]} {record[7]}", int(record[8])
            if minutes not in MINUTES:
                raise ValueError(f"intervals of {minutes} minutes, allowed are {MINUTES}")
            if column not in columns:
                columns.append(column)
        elif record[0] == "300":
            if not column:
                raise ValueError("a 300 record before any 200 record")
            day = datetime.strptime(record[1], "%Y%m%d")
            count = 24 * 60 // minutes
            fields = record[2 : 2 + count]
            if len(record) < 2 + count + 1 or record[2 + count][:1] not in set("ASFNVE"):
                raise ValueError(f"the day {record[1]} has not {count} intervals and a quality")
            for i, value in enumerate(fields):
                start = day + timedelta(minutes=minutes * i)
                values.setdefault(start, {})[column] = value
    head = ",".join(["time", *columns])
    rows = (
        ",".join([f"{start.isoformat()}{_ZONE}", *(of.get(c, "") for c in columns)])
        for start, of in sorted(values.items())
    )
    return "\n".join([head, *rows]) + "\n"
