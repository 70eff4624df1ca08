"""How a meter file writes its times: which columns, in which form, and how far apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ems.errors import DataError

CLOCKS = ("%H:%M", "%H:%M:%S")
FORMS = (
    "ISO8601",
    *(f"{day} {clock}" for day in ("%d.%m.%Y", "%d.%m.%y") for clock in CLOCKS),
    *("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d%H%M", "%Y%m%d%H%M%S"),
    "%s",
)
EITHER_FORMS = tuple(
    (f"%d{sign}%m{sign}%Y {clock}", f"%m{sign}%d{sign}%Y {clock}")
    for sign in ("/", "-")
    for clock in (*CLOCKS, "%I:%M %p", "%I:%M:%S %p")
)
"""Day first or month first: what the file shows, else it is asked."""
DAYS = ("ISO8601", "%d.%m.%Y", "%d.%m.%y", "%Y/%m/%d")
EITHER_DAYS = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))
"""The same for days alone."""
STARTS = r"\b(von|from|start|begin|ab)\b"
ENDS = r"\b(bis|to|until|end|ende)\b"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a person said: name, place as TOML text, zone, and whether days stand before months."""

    building: str
    place_toml: str
    timezone: str
    day_first: bool | None = None


class DayOrMonth(DataError):
    """Times of which the file does not show whether days stand before months."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """How the file writes its times; ``label``: which end of a step they are, if that is said."""

    columns: tuple[str, ...]
    form: str
    offset: bool
    label: str | None
    step_min: int
    first: str

    def toml(self, timezone: str) -> Iterator[str]:
        """The lines of the description."""
        yield f"timestamp_column = {json.dumps(self.columns[0], ensure_ascii=False)}"
        if len(self.columns) > 1:
            yield f"time_column = {json.dumps(self.columns[1], ensure_ascii=False)}"
        yield f'timestamp_format = "{self.form}"'
        zone = "offset in every stamp" if self.offset else timezone
        yield f'timestamp_zone = "{"UTC" if self.form == "%s" else zone}"'


def times_of(table: pd.DataFrame, known: Known, name: str) -> Times:
    """The column or the two columns with the time, and their form.

    Raises ``DataError`` if there are none, or if day and month may be either.
    """
    names = [str(column) for column in table]
    clocks = [c for c in names if table[c].str.fullmatch(r"\s*\d{1,2}:\d\d(:\d\d)?\s*").all()]
    pairs = [(day, clock) for day in names for clock in clocks[:1] if day not in clocks]
    for columns in (*pairs, *((column,) for column in names)):
        found = times_in(table, columns, FORMS, known, name)
        if found is not None:
            return found
    raise DataError(
        f"{name}: no column of times that is understood (columns: {', '.join(names[:8])}); write a "
        "description yourself (docs/sources.md)"
    )


def times_in(
    table: pd.DataFrame, columns: tuple[str, ...], forms: Iterable[str], known: Known, name: str
) -> Times | None:
    """The times in these columns, None if they are in no form that is known."""
    texts = table[columns[0]].str.strip()
    if len(columns) > 1:
        texts = texts + " " + table[columns[1]].str.strip()
    found = _form(texts, forms, EITHER_FORMS, known, name)
    if found is None:
        return None
    form, times, offset = found
    seconds = np.sort(times.to_numpy("datetime64[s]").astype(np.int64))
    apart, often = np.unique(np.diff(np.unique(seconds)) // 60, return_counts=True)
    step_min = int(apart[often.argmax()]) if apart.size else 60
    return Times(
        columns=columns,
        form=form,
        offset=offset,
        label=_label(columns[-1].lower()),
        step_min=max(step_min, 1),
        first=str(times.iloc[0]),
    )


def days_of(
    table: pd.DataFrame, names: Sequence[str], known: Known, name: str
) -> tuple[str, str] | None:
    """The first of these columns that holds days, and their form."""
    for column in names:
        texts = table[column].str.strip()
        found = _form(texts, DAYS, EITHER_DAYS, known, name) if texts.str.len().min() > 5 else None
        if found is not None and (found[1] == found[1].dt.normalize()).all():
            return column, found[0]
    return None


def _label(said: str) -> str | None:
    if re.search(STARTS, said):
        return "start"
    return "end" if re.search(ENDS, said) else None


def _form(
    texts: pd.Series[str],
    forms: Iterable[str],
    either: Iterable[tuple[str, str]],
    known: Known,
    name: str,
) -> tuple[str, pd.Series[pd.Timestamp], bool] | None:
    """The form in which all texts are times that go on."""
    if not texts.str.contains(r"\d\d").all():
        return None
    for form in forms:
        times = _times(texts, form)
        if times is not None:
            offset = (
                bool(texts.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$").all()) and ":" in texts.iloc[0]
            )
            return form, times, offset
    for pair in either:
        ways = [(form, times) for form in pair if (times := _times(texts, form)) is not None]
        if len(ways) == 2:
            ways = _decided(ways, known, texts, name)
        if ways:
            return *ways[0], False
    return None


def _decided(
    ways: list[tuple[str, pd.Series[pd.Timestamp]]], known: Known, texts: pd.Series[str], name: str
) -> list[tuple[str, pd.Series[pd.Timestamp]]]:
    """Day first or month first: the way in which days follow each other, else as said."""
    if known.day_first is not None:
        return [ways[0] if known.day_first else ways[1]]
    going = [way for way in ways if way[1].diff().abs().max() <= pd.Timedelta(days=2)]
    if len(going) == 1:
        return going
    first, second = (f"{times.iloc[0]:%-d %B %Y}" for _, times in ways)
    raise DayOrMonth(
        f"{name}: '{texts.iloc[0]}' may be {first} or {second}; say --day_first yes or no"
    )


def _times(texts: pd.Series[str], form: str) -> pd.Series[pd.Timestamp] | None:
    if form == "%s":
        values = pd.to_numeric(texts, errors="coerce")
        if not values.between(3e8, 4.1e9).all():
            return None
        return pd.to_datetime(values, unit="s")
    try:
        found = pd.to_datetime(texts.str.replace("24:00", "00:00"), format=form, utc=True)
    except (ValueError, TypeError, OverflowError):
        return None
    return found.dt.tz_localize(None)
