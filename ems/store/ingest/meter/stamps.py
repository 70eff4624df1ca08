"""Times as files write them, as instants.

A stamp with an offset is an instant, whatever else is said. A stamp of a clock on the wall is read
in its zone: the doubled hour of autumn is told apart by the order of the rows, the skipped hour of
spring does not exist. Where a file has one of them once or at all, that hour is a gap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.ingest.dataset import FIRST_YEAR, LAST_YEAR
from ems.store.ingest.meter.description import STAMPS_CARRY_OFFSET, MeterFile
from ems.store.ingest.meter.numbers import MISSING
from ems.store.ingest.text_table import LONGEST_SHOWN, TextTable
from ems.types import Bools, Ints

SECONDS_SINCE_1970 = ("%s", "seconds since 1970")
SUMMER_TIME_IN_DOUBT = {"CET": 1, "MET": 1, "EET": 2, "WET": 0}
"""Zones that some read with summer time and some as this many hours ahead of UTC all year."""
_TIME_OF_DAY = r"\s*\d{1,2}:\d\d(?::\d\d)?\s*"
_OFFSET = (
    r"[0-9]{1,2}(?::?[0-9]{2}){1,2}(?:[.,][0-9]+)? *"
    r"(?:[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)$"
)
"""An offset behind a time of day; pandas searches much more slowly with ``\\s`` in it."""
_END_OF_DAY = re.compile(r"(?<![\d:])24:00(?::00)?(?!\d)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stamped:
    """Rows of one file in the order of time.

    ``instants_s``: [s since 1970], rising; ``remarks``: hours that are gaps, in words.
    """

    rows: TextTable
    instants_s: Ints
    remarks: tuple[str, ...] = ()


def stamped(rows: TextTable, file: MeterFile, step_s: int) -> Stamped:
    """The instants of the rows; newest first is turned round.

    Raises ``DataError`` with the row of a stamp that is no time, lies in no year of a meter, or
    cannot be told.
    """
    texts = _texts(rows, file)
    if file.timestamp_format in SECONDS_SINCE_1970:
        instants_s = _since_1970(rows, texts)
        return _in_order(rows, instants_s)
    texts, days = _end_of_day(texts)
    offset = _has_offset(rows, texts, file)
    local = parsed_times(rows, texts, file, with_offset=offset) + pd.to_timedelta(days, unit="D")
    require_years(rows, texts, local)
    if offset:
        return _in_order(rows, _seconds(local))
    order = np.arange(len(local))
    if _newest_first(_seconds(local)):
        order = order[::-1]
    return _of_zone(rows.at(order), local.iloc[order].reset_index(drop=True), file, step_s)


def _texts(rows: TextTable, file: MeterFile) -> pd.Series[str]:
    texts = rows.table[file.timestamp_column].str.strip()
    if file.time_column is None:
        return texts
    return texts + " " + rows.table[file.time_column].str.strip()


def _since_1970(rows: TextTable, texts: pd.Series[str]) -> Ints:
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    low, high = (np.datetime64(str(year), "s").astype(int) for year in (FIRST_YEAR, LAST_YEAR))
    bad = np.flatnonzero(~((values >= low) & (values < high)))
    if bad.size:
        i = int(bad[0])
        raise DataError(
            f"{rows.where(i)}: '{texts.iloc[i][:LONGEST_SHOWN]}' is no number of seconds "
            f"since 1970 in the years {FIRST_YEAR} to {LAST_YEAR - 1}"
        )
    return np.round(values).astype(np.int64)


def _end_of_day(texts: pd.Series[str]) -> tuple[pd.Series[str], Ints]:
    """Stamps of 24:00 as 00:00, and the day that must be added to them."""
    late = texts.str.contains("24:00", regex=False).to_numpy(dtype=bool, copy=True)
    late[late] = [bool(_END_OF_DAY.search(text)) for text in texts[late]]
    if not late.any():
        return texts, np.zeros(len(texts), dtype=np.int64)
    texts = texts.where(~late, texts.str.replace("24:00", "00:00", regex=False))
    return texts, late.astype(np.int64)


def _has_offset(rows: TextTable, texts: pd.Series[str], file: MeterFile) -> bool:
    """Whether every stamp says how far it is from UTC."""
    if "%z" in file.timestamp_format or "%Z" in file.timestamp_format:
        return True
    carried = texts.str.contains(_OFFSET, regex=True).to_numpy(dtype=bool)
    if carried.all():
        return True
    if carried.any():
        i = int(np.argmin(carried))
        raise DataError(
            f"{rows.where(i)}: '{texts.iloc[i][:LONGEST_SHOWN]}' has no offset from UTC, "
            "other stamps of the file have one"
        )
    if file.timestamp_zone == STAMPS_CARRY_OFFSET:
        raise DataError(
            f"{rows.where(0)}: '{texts.iloc[0][:LONGEST_SHOWN]}' has no offset; set "
            "timestamp_zone to its time zone"
        )
    return False


def parsed_times(
    rows: TextTable, texts: pd.Series[str], file: MeterFile, *, with_offset: bool
) -> pd.Series[Any]:
    """The stamps as times without zone: UTC if they carry offsets, else those of the wall.

    Raises ``DataError`` for a form that cannot be used, and with its row for a text that has
    another.
    """
    form = file.timestamp_format
    try:
        found = pd.to_datetime(texts, format=form, errors="coerce", utc=with_offset)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, re.error) as error:
        reason = str(error).splitlines()[0][:120]
        raise DataError(
            f"meter: timestamp_format = {form!r} cannot be used ({reason}); give Python's codes "
            f"such as '%d.%m.%Y %H:%M', 'ISO8601', or '{SECONDS_SINCE_1970[1]}'"
        ) from error
    bad = found.isna().to_numpy()
    if bad.any() or found.dtype == object:
        i = int(np.argmax(bad))
        raise DataError(
            f"{rows.where(i)}: '{texts.iloc[i][:LONGEST_SHOWN]}' in column "
            f"'{file.timestamp_column}' is no time in the form {form}"
        )
    return found.dt.tz_localize(None) if found.dt.tz is not None else found


def require_years(rows: TextTable, texts: pd.Series[str], times: pd.Series[Any]) -> None:
    """Raise ``DataError`` with the row of a time in a year that no meter's clock can show."""
    years = times.dt.year.to_numpy()
    bad = np.flatnonzero((years < FIRST_YEAR) | (years >= LAST_YEAR))
    if bad.size:
        i = int(bad[0])
        raise DataError(
            f"{rows.where(i)}: '{texts.iloc[i][:LONGEST_SHOWN]}' lies in the year "
            f"{years[i]}, allowed are {FIRST_YEAR} to {LAST_YEAR - 1}; delete the row or correct "
            "the clock"
        )


def _seconds(times: pd.Series[Any]) -> Ints:
    return cast(Ints, times.to_numpy("datetime64[s]").astype(np.int64))


def _newest_first(seconds: Ints) -> bool:
    steps = np.diff(seconds)
    return bool(np.sum(steps < 0) > np.sum(steps > 0))


def _in_order(rows: TextTable, instants_s: Ints) -> Stamped:
    if not _newest_first(instants_s):
        return Stamped(rows=rows, instants_s=instants_s)
    order = np.arange(len(instants_s))[::-1]
    return Stamped(rows=rows.at(order), instants_s=instants_s[order])


# --- clocks on the wall ------------------------------------------------------------------------


def _of_zone(rows: TextTable, local: pd.Series[Any], file: MeterFile, step_s: int) -> Stamped:
    """Instants of local times: rows in the skipped hour left out, the doubled hour told apart."""
    zone = _told_apart(rows, local, file)
    skipped = local.dt.tz_localize(zone, ambiguous=False, nonexistent="NaT").isna().to_numpy()
    _require_invented(rows, local, file, skipped)
    remarks = []
    if skipped.any():
        i = int(np.argmax(skipped))
        remarks.append(
            f"{rows.where(i)}: '{local[i]}' does not exist in {zone} (the clocks go forward); left "
            "out"
        )
    kept = np.flatnonzero(~skipped)
    rows, local = rows.at(kept), local.iloc[kept].reset_index(drop=True)
    doubled = local.dt.tz_localize(zone, ambiguous="NaT").isna().to_numpy()
    summer, unknown = _passes(local.to_numpy("datetime64[s]"), doubled)
    if unknown.any():
        i = int(np.argmax(unknown))
        remarks.append(
            f"{rows.where(i)}: '{local[i]}' happens twice in {zone} but the file has that hour "
            "once; it is a gap"
        )
    instants_s = _seconds(local.dt.tz_localize(zone, ambiguous=summer).dt.tz_convert(None))
    order = _paired_last(instants_s, doubled)
    rows, instants_s, unknown = rows.at(order), instants_s[order], unknown[order]
    if file.label == "end":
        unknown = unknown | _after_unknown(instants_s, unknown, step_s)
    kept = np.flatnonzero(~unknown)
    return Stamped(rows=rows.at(kept), instants_s=instants_s[kept], remarks=tuple(remarks))


def _passes(local: np.ndarray[Any, Any], doubled: Bools) -> tuple[Bools, Bools]:
    """Which doubled times are still summer time, and which cannot be told."""
    summer, unknown = np.zeros(len(local), dtype=bool), np.zeros(len(local), dtype=bool)
    for day in np.unique(local[doubled].astype("datetime64[D]")):
        places = np.flatnonzero(doubled & (local.astype("datetime64[D]") == day))
        times = local[places]
        back = np.flatnonzero(np.diff(times) <= np.timedelta64(0, "s"))
        if not back.size:
            unknown[places] = True
            continue
        _, first = np.unique(times, return_index=True)
        of_first = np.zeros(len(times), dtype=bool)
        of_first[first] = True
        once = np.isin(times, [t for t in np.unique(times) if np.sum(times == t) == 1])
        # A time that stands there once belongs to the pass in which it stands.
        of_first[once] = np.flatnonzero(once) <= back[0]
        summer[places] = of_first
    return summer, unknown


def _paired_last(instants_s: Ints, doubled: Bools) -> Ints:
    """The order of rows, where a portal writes the doubled times in pairs: 2:00, 2:00, 2:15, …"""
    order = np.arange(len(instants_s))
    places = np.flatnonzero(doubled)
    for group in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
        order[group] = group[np.argsort(instants_s[group], kind="stable")]
    return order


def _after_unknown(instants_s: Ints, unknown: Bools, step_s: int) -> Bools:
    """The row behind an hour that cannot be told: it may end either pass of that hour."""
    after = np.zeros(len(unknown), dtype=np.bool_)
    after[1:] = unknown[:-1] & (np.diff(instants_s) <= step_s)
    return after


def _require_invented(
    rows: TextTable, local: pd.Series[Any], file: MeterFile, skipped: Bools
) -> None:
    """Refuse a skipped hour with values of its own: such a file keeps winter time all year."""
    if file.clock_changes == "gap":
        return
    for i in np.flatnonzero(skipped):
        if not _says_nothing(rows, file, int(i)):
            raise DataError(
                f"{rows.where(int(i))}: '{local[i]}' does not exist in "
                f"{file.timestamp_zone} (the clocks go forward), but has a value of its own; if "
                "the file keeps winter time all year, set timestamp_zone = "
                f"{winter_zone(pd.Timestamp(local[i]), file.timestamp_zone)}; if its portal fills "
                'that hour, clock_changes = "gap"'
            )


def winter_zone(spring: pd.Timestamp, zone: str) -> str:
    """What to call the clock that a zone shows on the day before its clocks go forward."""
    before = spring - pd.Timedelta(days=1)
    ahead = before.tz_localize(zone).utcoffset()
    hours = ahead / pd.Timedelta(hours=1) if ahead is not None else 0.0
    if hours == int(hours):
        return f"'Etc/GMT{-int(hours):+d}'" if hours else "'UTC'"
    return f"the name of a zone without summer time, {before.tz_localize(zone):%z} from UTC"


def _says_nothing(rows: TextTable, file: MeterFile, i: int) -> bool:
    """Whether row ``i`` is empty, zero, or repeats the row before."""
    for entry in file.feed:
        column = rows.table[entry.column]
        text = column.iloc[i].strip()
        again = i > 0 and text == column.iloc[i - 1].strip()
        if not (text.lower() in MISSING or again or not text.strip("0.,")):
            return False
    return True


def _told_apart(rows: TextTable, local: pd.Series[Any], file: MeterFile) -> str:
    """The zone of the stamps; for a name that means two things, what the file itself shows."""
    zone = file.timestamp_zone
    if zone not in SUMMER_TIME_IN_DOUBT:
        return zone
    fixed = f"Etc/GMT{-SUMMER_TIME_IN_DOUBT[zone]:+d}" if SUMMER_TIME_IN_DOUBT[zone] else "UTC"
    skipped = local.dt.tz_localize(zone, ambiguous=False, nonexistent="NaT").isna().to_numpy()
    if any(not _says_nothing(rows, file, int(i)) for i in np.flatnonzero(skipped)):
        return fixed
    doubled = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
    _, unknown = _passes(local.to_numpy("datetime64[s]"), doubled.to_numpy() & ~skipped)
    seen_back = bool((doubled.to_numpy() & ~skipped & ~unknown).any())
    of_zone, of_fixed = (
        _seconds(
            local.dt.tz_localize(z, ambiguous=True, nonexistent="shift_forward").dt.tz_convert(None)
        )
        for z in (zone, fixed)
    )
    if seen_back or _jumps(of_zone, of_fixed) or bool((of_zone == of_fixed).all()):
        return zone
    raise DataError(
        f"{rows.names[0]}: timestamp_zone = '{zone}' is read by some with summer time and "
        "by others without, and the file does not show which; write a place such as "
        f"'Europe/Berlin', or '{fixed}' for the same clock all year"
    )


def _jumps(of_zone: Ints, of_fixed: Ints) -> bool:
    """Whether rows go on over the hour that the zone's clock skips, as on a day of 23 hours."""
    apart, on_the_wall = np.diff(of_zone), np.diff(of_fixed)
    usual = np.median(on_the_wall) if on_the_wall.size else 0
    return bool(((apart == usual) & (on_the_wall > apart)).any())


def joined(parts: Sequence[Stamped], columns: Sequence[str]) -> Stamped:
    """All files as one, in the order of time; equal rows of files that touch are read once.

    Raises ``DataError`` for rows of one instant that differ in ``columns``, and for rows out of
    order.
    """
    for part in parts:
        falls = np.flatnonzero(np.diff(part.instants_s) < 0)
        if falls.size:
            raise DataError(
                f"{part.rows.where(int(falls[0]) + 1)}: its time is before that of the row "
                "above; rows must be in order of time"
            )
    instants_s = np.concatenate([part.instants_s for part in parts])
    order = np.argsort(instants_s, kind="stable")
    rows = TextTable(
        table=pd.concat([part.rows.table for part in parts], ignore_index=True),
        names=np.concatenate([part.rows.names for part in parts]),
        lines=np.concatenate([part.rows.lines for part in parts]),
    ).at(order)
    instants_s = instants_s[order]
    again = np.append(False, np.diff(instants_s) == 0)
    for column in columns if again.any() else ():
        texts = rows.table[column].str.strip().to_numpy(dtype=object)
        other = np.flatnonzero(again & np.append(False, texts[1:] != texts[:-1]))
        if other.size:
            i = int(other[0])
            raise DataError(
                f"{rows.where(i)}: its time stands there twice, with other values in "
                f"{rows.where(i - 1)}; {_cure(rows, instants_s)}"
            )
    remarks = tuple(text for part in parts for text in (*part.rows.remarks, *part.remarks))
    kept = np.flatnonzero(~again)
    return Stamped(rows=rows.at(kept), instants_s=instants_s[kept], remarks=remarks)


def _cure(rows: TextTable, instants_s: Ints) -> str:
    """What to do about times that stand there twice."""
    if len(np.unique(instants_s)) > len(instants_s) // 2:
        return "keep one of them"
    clock = [
        f"'{column}'"
        for column in rows.table
        if rows.table[column].str.fullmatch(_TIME_OF_DAY).mean() > 0.9
    ]
    if not clock:
        return "keep one of them"
    return f"where the time of day has a column of its own, name it: time_column = {clock[0]}"
