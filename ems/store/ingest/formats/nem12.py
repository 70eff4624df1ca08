"""NEM12, in which Australian meters are read: a row a day and channel, a field an interval.

AEMO, *Meter Data File Format Specification NEM12 & NEM13*, section 4. A file is a list of records::

    200  a channel     200,NMI,configuration,register,suffix,stream,serial,unit,minutes,next read
    300  a day         300,yyyymmdd,value 1 … value n,quality,reason,description,updated,loaded
    400  a part of it  400,first interval,last interval,quality,reason,description

The n = 1440/minutes values of a day are those of intervals from 00:00 on, in Australian Eastern
Standard Time, UTC+10 without summer time, wherever the meter is. The quality of a day is A
(actual), S or F (substituted), E (estimated), N (no data), or V: see its 400 records.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ems.errors import DataError
from ems.store.ingest.text_table import AsText, decoded

MINUTES = (1, 5, 15, 30)
UNITS: Mapping[str, str] = {u.upper(): u for u in ("Wh", "kWh", "MWh", "W", "kW", "MW")}
NO_DATA = "N"
_ZONE = "+10:00"


@dataclass(kw_only=True)
class _Day:
    """A 300 record; its 400 records empty some of its values."""

    minutes: int
    values: list[str]
    updated: str


@dataclass(kw_only=True)
class _Reader:
    """What has been read of a file: the meter of each channel, and each day of each column."""

    name: str
    nmi_of: dict[str, str] = field(default_factory=dict)
    days: dict[tuple[str, datetime], list[_Day]] = field(default_factory=dict)
    column: str = ""
    minutes: int = 0
    day: _Day | None = None

    def read(self, record: Sequence[str]) -> None:
        """Take in one record."""
        if record[0] == "200":
            self._channel(record)
        elif record[0] == "300":
            self._day(record)
        elif record[0] == "400" and record[3][:1] == NO_DATA:
            if self.day is None:
                raise ValueError("a 400 record before any 300 record")
            first, last = int(record[1]), int(record[2])
            if not 1 <= first <= last <= len(self.day.values):
                raise ValueError(f"a 400 record of the intervals {first} to {last}")
            self.day.values[first - 1 : last] = [""] * (last - first + 1)

    def _channel(self, record: Sequence[str]) -> None:
        if len(record) < 9:
            raise ValueError(f"a 200 record has {len(record)} fields, expected 10")
        nmi, suffix, unit = record[1], record[4], UNITS.get(record[7].upper(), record[7])
        self.column, self.minutes = f"{suffix} {unit}", int(record[8])
        if self.minutes not in MINUTES:
            raise ValueError(f"intervals of {self.minutes} minutes, allowed are {MINUTES}")
        other = self.nmi_of.setdefault(suffix, nmi)
        if other != nmi:
            raise DataError(
                f"{self.name}: the meters (NMI) {other} and {nmi} both have a channel '{suffix}'; "
                "split the file so that each part has one NMI, and describe each in a [[file]] of "
                "its own"
            )

    def _day(self, record: Sequence[str]) -> None:
        if not self.column:
            raise ValueError("a 300 record before any 200 record")
        start = datetime.strptime(record[1], "%Y%m%d")
        end = 2 + 24 * 60 // self.minutes
        quality = record[end][:1] if len(record) > end else ""
        if not quality or quality not in "ASFEVN":
            raise ValueError(f"the day {record[1]} has not {end - 2} intervals and a quality")
        values = [""] * (end - 2) if quality == NO_DATA else list(record[2:end])
        updated = record[end + 3] if len(record) > end + 3 else ""
        self.day = _Day(minutes=self.minutes, values=values, updated=updated)
        self.days.setdefault((self.column, start), []).append(self.day)

    def valid(self, column: str, start: datetime) -> _Day:
        """The day as it was updated last. Raises ``DataError`` if that cannot be told."""
        found = self.days[column, start]
        last = max(found, key=lambda day: day.updated)
        if any(day.updated == last.updated and day.values != last.values for day in found):
            raise DataError(
                f"{self.name}: channel '{column}' has the day {start:%Y%m%d} twice with other "
                "values; delete the record that does not count"
            )
        return last


def text(raw: bytes, name: str) -> AsText:
    """Start of each interval, and a column for each channel such as ``E1 kWh``.

    Values without data are empty. Of a day that is there twice the later update counts.
    """
    reader = _Reader(name=name)
    for record in csv.reader(io.StringIO(decoded(raw, name), newline="")):
        if record:
            reader.read([cell.strip() for cell in record])
    values: dict[datetime, dict[str, str]] = {}
    for column, start in reader.days:
        day = reader.valid(column, start)
        for i, value in enumerate(day.values):
            values.setdefault(start + timedelta(minutes=day.minutes * i), {})[column] = value
    columns = list(dict.fromkeys(column for column, _ in reader.days))
    rows = (
        ",".join([f"{start.isoformat()}{_ZONE}", *(of.get(c, "") for c in columns)])
        for start, of in sorted(values.items())
    )
    return AsText("\n".join([",".join(["time", *columns]), *rows]) + "\n")
