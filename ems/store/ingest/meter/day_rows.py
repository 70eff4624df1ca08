"""Files with a row a day and a column for each of its hours or shorter intervals.

Columns are named in one of two ways, here by the hour::

    clock   00:00 … 23:00   0 … 23   01:00 … 24:00   00:00-01:00 …   when it begins or ends
    number  H1 … H24   1 … 24   HE01 … HE24                          the first, second, … of the day

On the day on which the clocks go back a table of clocks has the doubled hour twice (``02:00`` and
``02:00``, ``02A`` and ``02B``), one of numbers goes on to ``H25``. On the day on which they go
forward a table of clocks is empty at the skipped hour, one of numbers at its end. Where a row does
not show which hour its values belong to, they are gaps: nothing is ever moved by an hour.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.ingest.meter.description import ALL_COLUMNS, STEPS_MIN, MeterFile
from ems.store.ingest.meter.numbers import MISSING
from ems.store.ingest.meter.stamps import (
    SUMMER_TIME_IN_DOUBT,
    Stamped,
    parsed_times,
    require_years,
    winter_zone,
)
from ems.store.ingest.text_table import LONGEST_SHOWN, TextTable
from ems.types import Ints

DAY_MIN = 24 * 60
_TIME = r"(\d{1,2}):(\d\d)(?::00)?"
_CLOCK = re.compile(rf"(?:von |from )?{_TIME}\s*(?:(?:-|–|bis|to)\s*{_TIME})?\s*([aAbB*]|\.1)?")
_NUMBER = re.compile(
    r"(h|he|hr|hour|std\.?|stunde|heure|q|qh|v|value)?[ _]?0*(\d{1,4})\s*([aAbB*]|\.1)?",
    re.IGNORECASE,
)
_UNIT = re.compile(r"\s*[\[(]?[kM]?Wh?[\])]?$")
_SECOND = frozenset({"b", "B", "*", ".1"})
"""What stands behind the name of the second pass of a doubled hour."""


@dataclass(frozen=True, kw_only=True)
class DayColumns:
    """Where the intervals of a day stand in a row.

    ``usual``: the place in the row of each interval of a day of 24 hours; ``more``: of a table of
    clocks the place of the second pass by interval, of numbers those of the 25th hour.
    """

    step_min: int
    numbered: bool
    usual: tuple[int, ...]
    more: Mapping[int, int]

    @property
    def places(self) -> frozenset[int]:
        """All places in a row that hold values."""
        return frozenset((*self.usual, *self.more.values()))


def day_columns(header: Sequence[str]) -> DayColumns | None:
    """The intervals of a day among the columns of a header, None if they are not there.

    >>> day_columns(["Date", *(f"{hour:02d}:00" for hour in range(24))]).step_min
    60
    >>> day_columns(["Date", "00:00", "Consumption"]) is None
    True
    """
    names = [_UNIT.sub("", name.strip()) if ":" in name else name.strip() for name in header]
    clocks = [(at, found) for at, name in enumerate(names) if (found := _CLOCK.fullmatch(name))]
    if clocks:
        minutes = [(at, 60 * int(f[1]) + int(f[2]), f[5] in _SECOND) for at, f in clocks]
        return _clocks(minutes)
    numbers = [
        (at, int(found[2]), found[3] in _SECOND)
        for at, name in enumerate(names)
        if (found := _NUMBER.fullmatch(name))
    ]
    if any(number == 0 for _, number, _ in numbers):
        return _clocks([(at, 60 * number, second) for at, number, second in numbers])
    return _numbers([(at, number) for at, number, _ in numbers])


def _clocks(columns: Sequence[tuple[int, int, bool]]) -> DayColumns | None:
    """A table of clocks, from the place and minute of each column, and whether it is a second."""
    first: dict[int, int] = {}
    second: dict[int, int] = {}
    for at, minute, again in columns:
        into = second if again or minute in first else first
        if minute in into:
            return None
        into[minute] = at
    step = next((step for step in STEPS_MIN if step * len(first) == DAY_MIN), None)
    if step is None:
        return None
    starts = range(0, DAY_MIN, step)
    ends = [*range(step, DAY_MIN, step), 0]
    if list(first) == ends:  # 01:00 … 23:00, 00:00
        named = dict(zip(starts, ends, strict=True))
    else:
        late = step if DAY_MIN in first else 0
        named = {start: start + late for start in starts}
    interval = {minute: start // step for start, minute in named.items()}
    if set(first) != set(interval) or not set(second) <= set(interval):
        return None
    return DayColumns(
        step_min=step,
        numbered=False,
        usual=tuple(first[named[start]] for start in starts),
        more={interval[minute]: at for minute, at in second.items()},
    )


def _numbers(columns: Sequence[tuple[int, int]]) -> DayColumns | None:
    """A table of numbers, from the place and the number of each column."""
    at = {number: place for place, number in columns}
    for step in STEPS_MIN:
        usual, long = DAY_MIN // step, (DAY_MIN + 60) // step
        if len(at) == len(columns) and set(at) in (
            set(range(1, usual + 1)),
            set(range(1, long + 1)),
        ):
            return DayColumns(
                step_min=step,
                numbered=True,
                usual=tuple(at[number] for number in range(1, usual + 1)),
                more={number - 1: at[number] for number in range(usual + 1, len(at) + 1)},
            )
    return None


def stamped_days(rows: TextTable, file: MeterFile) -> Stamped:
    """A row for each interval of the days, and a column for each register that is a feed.

    Raises ``DataError`` with the row of a day that is none, stands there twice, or has values for
    more hours than it has.
    """
    columns = day_columns([str(name) for name in rows.table])
    if columns is None:
        raise DataError(
            f"{rows.names[0]}: row = 'day' needs a column for each hour or shorter interval of a "
            "day, such as 00:00 … 23:00 or H1 … H24"
        )
    if file.timestamp_zone in SUMMER_TIME_IN_DOUBT:
        raise DataError(
            f"{rows.names[0]}: timestamp_zone = '{file.timestamp_zone}' is read by some with "
            "summer time and by others without; write a place such as 'Europe/Berlin', or "
            "'Etc/GMT-1'"
        )
    row_of = _row_of(rows, file)
    registers = list(dict.fromkeys(entry.column for entry in file.feed))
    days = dict(sorted({day: row for (day, _), row in reversed(row_of.items())}.items()))
    starts_of = {d: _starts(d, file.timestamp_zone, columns.step_min, rows) for d in days}
    texts: dict[str, list[str]] = {register: [] for register in registers}
    remarks: dict[str, None] = {}
    cells = rows.table.to_numpy(dtype=object)
    for (day, starts), register in product(starts_of.items(), registers):
        row = row_of.get((day, register))
        found, said = [""] * len(starts), ""
        if row is not None:
            here = _Day(rows.where(row), day, starts, [str(cell).strip() for cell in cells[row]])
            found, said = _values(here, columns, file)
        texts[register] += found
        remarks |= {said: None} if said else {}
    of_row = np.repeat([*days.values()], [len(starts) for starts in starts_of.values()])
    return Stamped(
        rows=replace(
            rows,
            table=pd.DataFrame(texts, dtype=object),
            names=rows.names[of_row],
            lines=rows.lines[of_row],
        ),
        instants_s=np.concatenate([_seconds(starts) for starts in starts_of.values()]),
        remarks=tuple(remarks),
    )


def _seconds(starts: pd.DatetimeIndex) -> Ints:
    return cast(Ints, starts.tz_convert(None).to_numpy("datetime64[s]").astype(np.int64))


def _row_of(rows: TextTable, file: MeterFile) -> dict[tuple[pd.Timestamp, str], int]:
    """The row of each day and register."""
    days = parsed_times(
        rows, rows.table[file.timestamp_column].str.strip(), file, with_offset=False
    )
    require_years(rows, rows.table[file.timestamp_column], days)
    names = [ALL_COLUMNS] * len(rows)
    if file.register_column is not None:
        names = rows.table[file.register_column].str.strip().tolist()
    found: dict[tuple[pd.Timestamp, str], int] = {}
    for row, (day, name) in enumerate(zip(days, names, strict=True)):
        if day != day.normalize():
            raise DataError(f"{rows.where(row)}: '{day}' is no day, but row = 'day'")
        before = found.setdefault((day, name), row)
        if before != row:
            raise DataError(
                f"{rows.where(row)}: the day {day:%Y-%m-%d} stands there twice (also in "
                f"{rows.where(before)}); name the column that tells its rows apart in "
                "register_column, or delete one"
            )
    for entry in file.feed:
        if entry.column not in names:
            shown = ", ".join(repr(name[:LONGEST_SHOWN]) for name in dict.fromkeys(names))
            raise DataError(
                f"{rows.names[0]}: no row has '{entry.column[:LONGEST_SHOWN]}' in column "
                f"'{file.register_column}' (it has {shown})"
            )
    return found


def _starts(day: pd.Timestamp, zone: str, step_min: int, rows: TextTable) -> pd.DatetimeIndex:
    """The starts of all intervals of a local day."""
    first, last = (
        midnight.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        for midnight in (day, day + pd.Timedelta(days=1))
    )
    if (last - first) % pd.Timedelta(minutes=step_min):
        raise DataError(
            f"{rows.names[0]}: on {day:%Y-%m-%d} the clock of {zone} changes by less than the "
            f"{step_min} minutes of a column; export the file with shorter steps"
        )
    return pd.date_range(first, last, freq=f"{step_min}min", inclusive="left")


# --- the values of a day -------------------------------------------------------------------------


class _Day(NamedTuple):
    """A row: where it stands, its day, the starts of the day's intervals, and its texts."""

    where: str
    day: pd.Timestamp
    starts: pd.DatetimeIndex
    texts: Sequence[str]


def _values(day: _Day, columns: DayColumns, file: MeterFile) -> tuple[list[str], str]:
    """The text of each interval of a day, empty where it cannot be told, and a remark or none."""
    clock = (60 * day.starts.hour + day.starts.minute) // columns.step_min
    order = [int(interval) for interval in clock]
    if columns.numbered:
        return _by_number(day, columns, order, file)
    return _by_clock(day, columns, order, file)


def _by_clock(
    day: _Day, columns: DayColumns, order: Sequence[int], file: MeterFile
) -> tuple[list[str], str]:
    usual = [day.texts[at] for at in columns.usual]
    second = {interval: day.texts[at] for interval, at in columns.more.items()}
    doubled = {interval for interval, n in Counter(order).items() if n > 1}
    spare = [text for interval, text in second.items() if interval not in doubled]
    if not all(map(_says_nothing, spare)):
        raise DataError(
            f"{day.where}: has a second value for an hour that {file.timestamp_zone} has once on "
            "this day; is timestamp_zone right?"
        )
    skipped = sorted(set(range(len(usual))) - set(order))
    before = usual[skipped[0] - 1] if skipped and skipped[0] else ""
    if any(not _says_nothing(usual[i]) and usual[i] != before for i in skipped):
        _require_gap(day, file)
    if doubled and all(_is_missing(second.get(interval, "")) for interval in doubled):
        # Which pass the only value belongs to is not known.
        return ["" if i in doubled else usual[i] for i in order], _once(day, file, "it is a gap")
    seen: set[int] = set()
    found = []
    for interval in order:
        found.append(second.get(interval, "") if interval in seen else usual[interval])
        seen.add(interval)
    return found, ""


def _by_number(
    day: _Day, columns: DayColumns, order: Sequence[int], file: MeterFile
) -> tuple[list[str], str]:
    usual = [day.texts[at] for at in columns.usual]
    more = [day.texts[at] for at in columns.more.values()]
    n, n_usual = len(order), len(usual)
    if n <= n_usual and not all(map(_says_nothing, more)):
        raise DataError(
            f"{day.where}: has a 25th hour, which this day has not in {file.timestamp_zone}; is "
            "timestamp_zone right?"
        )
    if n == n_usual:
        return usual, ""
    if n > n_usual:
        if not all(map(_is_missing, more)):
            return [*usual, *more][:n], ""
        sure = next(i for i, interval in enumerate(order) if interval in order[:i]) - (n - n_usual)
        rest = "it and what follows on that day are gaps"
        return usual[:sure] + [""] * (n - sure), _once(day, file, rest)
    return _short_day(day, usual, order, file)


def _short_day(
    day: _Day, usual: list[str], order: Sequence[int], file: MeterFile
) -> tuple[list[str], str]:
    """A day of 23 hours, whose columns are numbered on or leave the skipped hour empty."""
    n = len(order)
    first = min(set(range(len(usual))) - set(order))
    end = first + len(usual) - n
    skipped, last = usual[first:end], usual[n:]
    by_number, by_clock = usual[:n], usual[:first] + usual[end:]
    for nothing in (_is_missing, _says_nothing):
        if all(map(nothing, skipped)) != all(map(nothing, last)):
            return (by_number if all(map(nothing, last)) else by_clock), ""
    if all(map(_says_nothing, skipped)):
        remark = (
            f"{day.where}: does not show which hour the clocks of {file.timestamp_zone} skip; what "
            "follows on that day is a gap"
        )
        return usual[:first] + [""] * (n - first), remark
    _require_gap(day, file)
    return by_clock, ""


def _require_gap(day: _Day, file: MeterFile) -> None:
    """Refuse a value in the hour that the clock skips, unless it is to be left out."""
    if file.clock_changes == "strict":
        raise DataError(
            f"{day.where}: has values for more hours than {day.day:%Y-%m-%d} has in "
            f"{file.timestamp_zone} (the clocks go forward); if the file keeps winter time all "
            f"year, set timestamp_zone = {winter_zone(day.day, file.timestamp_zone)}; if its "
            'portal fills that hour, clock_changes = "gap"'
        )


def _once(day: _Day, file: MeterFile, rest: str) -> str:
    return (
        f"{day.where}: the clocks of {file.timestamp_zone} go back but the file has that hour "
        f"once; {rest}"
    )


def _is_missing(text: str) -> bool:
    return text.lower() in MISSING


def _says_nothing(text: str) -> bool:
    """Whether a cell is empty or zero."""
    return _is_missing(text) or not text.strip("0.,")
