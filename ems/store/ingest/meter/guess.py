"""What a meter file probably means: a description to look at, with what is not sure said.

Nothing of it is used unseen: the description is written as a TOML file, shown, and read like one
that a person wrote. What cannot be known from a file is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.ingest.containers import files_in
from ems.store.ingest.formats import as_text
from ems.store.ingest.layouts import LOCAL_TIME, layout_of
from ems.store.ingest.meter.day_rows import DayColumns, day_columns
from ems.store.ingest.meter.description import ALL_COLUMNS, STAMPS_CARRY_OFFSET
from ems.store.ingest.meter.guess_time import FORMS, Known, days_of, times_in, times_of
from ems.store.ingest.text_table import (
    HEADER_WITHIN,
    fields_of,
    first_lines,
    text_table,
    with_newlines,
)
from ems.types import Floats

SEPARATORS = (";", "\t", "|", ",")
MINUTES_PER_DAY = 1440
LOOKED_AT = 400
"""Lines from which the separator and the header are guessed."""
GUESSED_FROM = 31 * MINUTES_PER_DAY
"""Lines from which the meaning of times and columns is guessed: a month of minutes."""
ROLES = (
    ("discharge", r"discharg|entlad|batter.*\bout\b"),
    ("charge", r"charg(?!er)|geladen|beladung|\bladen|batter.*\bin\b"),
    (
        "load",
        r"wall ?box|\bev\b|e-?auto|charger|heat ?pump|w(?:ä|ae)rmepumpe|boiler|wasch|washing|dish|"
        r"sp(?:ü|ue)l|trockner|dryer|fridge|k(?:ü|ue)hl|freezer|gefrier",
    ),
    (
        "export",
        r"\bb1\b|export|einspeis|feed.?in|received|return|lieferung|teruglever|injection|surplus",
    ),
    ("pv", r"\bpv|solar|erzeug|generation|produ[ck]tion|photovolta|yield|inverter"),
    ("import", r"import|bezug|delivered|grid|netz|afname|soutirage|\be1\b"),
    (
        "import",
        r"verbrauch|consum|usage|wirkarbeit|energy|load|z(?:ä|ae)hler|value|wert|\b[HN]?T[12]?\b",
    ),
    ("import", r"kwh|\bwh\b|\bk?w\b"),
)
"""What headers call a role; the first that fits."""
REGISTERS = r"\b[HN]T\b|T[12]\b|tari|day|night|tag|nacht|peak|register"
"""Several columns of one direction are added up only where they name the registers of a meter."""
CATEGORIES = (
    (r"wall ?box|\bev\b|auto|car|charger", "ev"),
    (r"heat|wärme|waerme", "partial_usage"),
    (r"wasch|washing|dish|spül|spuel|trockner|dryer", "discrete_phase"),
)
MOST_REGISTERS = 20
"""More rows of one day are no registers and meters of one house."""
UNITS = ("MWh", "kWh", "Wh", "MW", "kW", "W")
ZONE_OF_COUNTRY = {
    "DE": "Europe/Berlin",
    **{
        "AT": "Europe/Vienna",
        "CH": "Europe/Zurich",
        "FR": "Europe/Paris",
        "NL": "Europe/Amsterdam",
    },
    **{
        "BE": "Europe/Brussels",
        "LU": "Europe/Luxembourg",
        "GB": "Europe/London",
        "IE": "Europe/Dublin",
    },
    **{
        "IT": "Europe/Rome",
        "PL": "Europe/Warsaw",
        "CZ": "Europe/Prague",
        "DK": "Europe/Copenhagen",
    },
    **{
        "SE": "Europe/Stockholm",
        "NO": "Europe/Oslo",
        "FI": "Europe/Helsinki",
        "SI": "Europe/Ljubljana",
    },
}
"""The time zone of countries that have one."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A description as TOML text, and what is not sure about it, one line each."""

    toml: str
    unsure: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A guessed feed."""

    column: str
    name: str
    role: str
    kind: str
    unit: str
    sure: bool

    def toml(self) -> Iterator[str]:
        yield ""
        yield "[[file.feed]]"
        yield f"column = {json.dumps(self.column, ensure_ascii=False)}"
        yield f'name = "{self.name}"'
        yield f'role = "{self.role}"'
        if self.role == "load":
            said = self.column.lower()
            kinds = [kind for words, kind in CATEGORIES if re.search(words, said)]
            yield f'category = "{kinds[0] if kinds else "fixed"}"'
        yield f'kind = "{self.kind}"'
        yield f'unit = "{self.unit}"'


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What is known of the files: the lines on rows and times, and the feeds."""

    separator: str
    decimal: str
    step_min: int
    lines: tuple[str, ...]
    feeds: Sequence[_Column]
    unsure: tuple[str, ...]
    portal: str = ""

    def toml(self, files: Sequence[Path], known: Known) -> Iterator[str]:
        """The lines of the description."""
        if self.portal:
            yield f"# The layout of {self.portal}, which is known."
        yield f"building = {json.dumps(known.building)}"
        yield 'kind = "residential"'
        yield f'timezone = "{known.timezone}"'
        yield f"step_minutes = {self.step_min}"
        yield f"\n[place]\n{known.place_toml}\n"
        yield "[[file]]"
        yield f"paths = {_quoted([str(path.absolute()) for path in files])}"
        yield f"separator = {_quoted(self.separator)}"
        yield f'decimal = "{self.decimal}"'
        yield from self.lines
        for feed in self.feeds:
            yield from feed.toml()


def guess(files: Sequence[Path], known: Known) -> Guess:
    """The description of files of one layout: a portal's that is known, else what it looks like.

    Raises ``DataError`` with the cure where a file has no times, no numbers, or two readings.
    """
    name, raw = files_in(files[0])[0]
    text = "\n".join(first_lines(with_newlines(as_text(raw, name).text), GUESSED_FROM))
    ways = (_of_portal, _of_days, _of_intervals)
    found = next(found for way in ways if (found := way(text, name, known)) is not None)
    unsure = [*found.unsure]
    if not any(feed.role == "import" for feed in found.feeds):
        unsure.append("no column looks like the import meter; give one the role 'import'")
    return Guess(toml="\n".join(found.toml(files, known)) + "\n", unsure=tuple(unsure))


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _headers(text: str) -> Iterator[tuple[str, list[str]]]:
    """What may be the header: the fields of each of the first lines, with their separator."""
    for line in first_lines(text, HEADER_WITHIN):
        for separator in SEPARATORS:
            fields = fields_of(line, separator)
            if len(fields) > 1:
                yield separator, fields


# --- a portal that is known ----------------------------------------------------------------------


def _of_portal(text: str, name: str, known: Known) -> _Found | None:
    """The files of a known portal, None if no header is one of them."""
    headers = ((sep, header, layout_of(header)) for sep, header in _headers(text))
    found = next(((sep, header, portal) for sep, header, portal in headers if portal), None)
    if found is None:
        return None
    separator, header, portal = found
    times, meters = portal.times(header), portal.columns(header)
    table = text_table(text, name, separator, [*times, *meters], key=times[0]).table
    time = times_in(table, times, (portal.timestamp_format, *FORMS), known, name)
    if time is None:
        raise DataError(
            f"{name}: has the header of {portal.name}, but '{table[times[0]].iloc[0]}' in column "
            f"'{times[0]}' is no time that is understood; write a description yourself "
            "(docs/sources.md)"
        )
    of_house = portal.timestamp_zone in (LOCAL_TIME, STAMPS_CARRY_OFFSET)
    zone = known.timezone if of_house else portal.timestamp_zone
    decimal: str = portal.decimal
    if separator != portal.separator:  # a table that was no text, or saved again by a program
        decimal = _decimal(table, times, separator)
    names = _names([(column, meter.role) for column, meter in meters.items()])
    feeds = [
        _Column(
            column=column, name=feed, role=meter.role, kind=meter.kind, unit=meter.unit, sure=True
        )
        for (column, meter), feed in zip(meters.items(), names, strict=True)
    ]
    unsure = _left_out(table, {*times, *meters}, decimal)
    if zone != known.timezone and not time.offset:
        unsure.append(f"timestamp_zone = '{zone}' is that of {portal.name}, not of the house")
    return _Found(
        separator=separator,
        decimal=decimal,
        step_min=time.step_min,
        lines=(*time.toml(zone), f'label = "{portal.label}"'),
        feeds=feeds,
        unsure=tuple(unsure),
        portal=portal.name,
    )


def _left_out(table: pd.DataFrame, used: set[str], decimal: str) -> list[str]:
    """A line that names the columns of numbers that are not used."""
    names = [str(column) for column in table]
    others = [c for c in names if c not in used and names.count(c) == 1]
    found = [f"'{c}'" for c in others if _values(table, c, decimal) is not None]
    return [f"not used: {', '.join(found)}"] if found else []


# --- a row a day ---------------------------------------------------------------------------------


def _of_days(text: str, name: str, known: Known) -> _Found | None:
    """Files with a row a day and a column for each of its hours, None if they are no such."""
    headers = ((sep, header, day_columns(header)) for sep, header in _headers(text))
    found = next(((sep, header, columns) for sep, header, columns in headers if columns), None)
    if found is None:
        return None
    separator, header, columns = found
    others = [field for at, field in enumerate(header) if at not in columns.places and field]
    if not others:
        return None
    key = next((c for c in others if re.search(r"dat|day|tag|jour|fecha", c, re.I)), others[0])
    table = text_table(text, name, separator, [key], key=key).table
    day = days_of(table, [key, *others], known, name)
    if day is None:
        raise DataError(
            f"{name}: has a column for each hour but none of days that is understood (columns: "
            f"{', '.join(others[:8])}); write a description yourself (docs/sources.md)"
        )
    register = _register(table, day[0], others, name)
    values = _of_registers(table, columns, register)
    decimal = _decimal(values, (), separator)
    feeds, unsure = _feeds(values, (), decimal, name, columns.step_min)
    if not columns.numbered:
        first, last = header[columns.usual[0]], header[columns.usual[-1]]
        unsure.append(f"column '{first}' is the first interval of a day, '{last}' its last")
    return _Found(
        separator=separator,
        decimal=decimal,
        step_min=columns.step_min,
        lines=(
            'row = "day"',
            *([f"register_column = {_quoted(register)}"] if register else []),
            f"timestamp_column = {_quoted(day[0])}",
            f'timestamp_format = "{day[1]}"',
            f'timestamp_zone = "{known.timezone}"',
            'label = "start"',
        ),
        feeds=[replace(feed, kind="interval") for feed in feeds],
        unsure=tuple(unsure),
    )


def _register(table: pd.DataFrame, day: str, others: Sequence[str], name: str) -> str | None:
    """The column that tells rows of one day apart; None if every day stands there once."""
    if not table[day].duplicated().any():
        return None
    for column in sorted(set(others) - {day}, key=lambda c: (table[c].nunique(), c)):
        few = table[column].nunique() <= MOST_REGISTERS
        if few and not table.duplicated([day, column]).any():
            return column
    again = table[day][table[day].duplicated()].iloc[0]
    raise DataError(
        f"{name}: the day '{again}' stands there twice and no column tells its rows apart; delete "
        "one of them"
    )


def _of_registers(table: pd.DataFrame, columns: DayColumns, register: str | None) -> pd.DataFrame:
    """The values of each register, one below the other."""
    values = table.iloc[:, list(columns.usual)].to_numpy(dtype=object)
    names = np.full(len(table), ALL_COLUMNS, dtype=object)
    if register is not None:
        names = table[register].str.strip().to_numpy(dtype=object)
    found = {name: pd.Series(values[names == name].ravel()) for name in dict.fromkeys(names)}
    return pd.DataFrame(found).fillna("")


# --- a row an interval ---------------------------------------------------------------------------


def _of_intervals(text: str, name: str, known: Known) -> _Found:
    """Files of which no portal is known."""
    separator, header = _layout(text, name)
    table = _sample(text, name, separator, header)
    time = times_of(table, known, name)
    decimal = _decimal(table, time.columns, separator)
    feeds, unsure = _feeds(table, time.columns, decimal, name, time.step_min)
    counts = any(feed.kind != "interval" for feed in feeds)
    label = time.label or ("end" if counts else "start")
    # A count is read at an instant, which is the end of its step.
    if time.label is None and not counts:
        unsure.append(
            f"label = '{label}': so the first row is the step from {time.first} on; with 'end' it "
            "is the one before"
        )
    return _Found(
        separator=separator,
        decimal=decimal,
        step_min=time.step_min,
        lines=(*time.toml(known.timezone), f'label = "{label}"'),
        feeds=feeds,
        unsure=tuple(unsure),
    )


def _layout(text: str, name: str) -> tuple[str, list[str]]:
    """The separator and the header: the last line of names before lines of as many values."""
    lines = [*first_lines(text, LOOKED_AT)]
    best: tuple[int, str, list[str]] | None = None
    for separator in SEPARATORS:
        fields = [fields_of(line, separator) for line in lines]
        for at in range(min(len(fields) - 1, HEADER_WITHIN)):
            header = fields[at]
            if len(header) < 2 or any(_is_value(field) for field in header) or "" in header:
                continue
            rows = [row for row in fields[at + 1 :] if sum(map(_is_value, row)) >= 2]
            fitting = sum(len(row) <= len(header) for row in rows)
            # The last of equal lines: what stands above the names may look like names too.
            if fitting >= (
                best[0] if best and best[1] == separator else 1 + (best[0] if best else 0)
            ):
                best = (fitting, separator, header)
    if best is None:
        raise DataError(
            f"{name}: no header above rows of times and numbers; write a description yourself "
            "(docs/sources.md)"
        )
    return best[1], best[2]


def _is_value(field: str) -> bool:
    """Whether a field begins like a number or a time."""
    return bool(re.match(r"[-+]?\d", field))


def _sample(text: str, name: str, separator: str, header: list[str]) -> pd.DataFrame:
    key = next(
        (
            column
            for column in header
            if re.search(
                r"zeit|time|dat|von|from|start|stamp|period|hour|tag", column, re.IGNORECASE
            )
        ),
        header[0],
    )
    return text_table(text, name, separator, header, key=key).table


# --- the columns ---------------------------------------------------------------------------------


def _decimal(table: pd.DataFrame, times: Sequence[str], separator: str) -> str:
    """The decimal sign: a comma where a number ends with one and digits."""
    columns = [c for c in table if c not in times]
    comma = any(table[c].str.fullmatch(r"\s*-?[\d.' ]*\d,\d+\s*").any() for c in columns)
    return "," if comma and separator != "," else "."


def _feeds(
    table: pd.DataFrame, times: Sequence[str], decimal: str, name: str, step_min: int
) -> tuple[list[_Column], list[str]]:
    """The columns of numbers whose header names a role, and what is not sure about them."""
    columns = [str(column) for column in table if column not in times]
    values = {c: found for c in columns if (found := _values(table, c, decimal)) is not None}
    ranks = {column: _rank(column, alone=len(values) == 1) for column in values}
    used: list[tuple[str, str]] = []
    for column, rank in ranks.items():
        role = None if rank is None else ROLES[rank][0]
        if role is not None and _belongs(column, role, rank, ranks):
            used.append((column, role))
    feeds = [
        _column(column, feed, role, values[column], MINUTES_PER_DAY / step_min)
        for (column, role), feed in zip(used, _names(used), strict=True)
    ]
    if not feeds:
        raise DataError(f"{name}: no column of numbers beside the time; is it a meter's file?")
    unsure = [
        f"unit = '{unit}' of {', '.join(f.column for f in feeds if f.unit == unit and not f.sure)} "
        "is not said in the header"
        for unit in dict.fromkeys(feed.unit for feed in feeds if not feed.sure)
    ]
    return feeds, unsure + _left_out(table, {*times, *dict(used)}, decimal)


def _rank(column: str, *, alone: bool) -> int | None:
    """Which line of ``ROLES`` a header fits; the only column of numbers is the import."""
    found = (i for i, (_, words) in enumerate(ROLES) if re.search(words, column, re.IGNORECASE))
    return next(found, len(ROLES) - 1 if alone else None)


def _belongs(column: str, role: str, rank: int | None, ranks: Mapping[str, int | None]) -> bool:
    """Whether a column is used: of several for the grid only the best, or all registers."""
    if role not in ("import", "export"):
        return True
    rivals = [c for c, r in ranks.items() if r is not None and ROLES[r][0] == role]
    if all(re.search(REGISTERS, c, re.IGNORECASE) for c in rivals):
        return True
    best = min(r for c in rivals if (r := ranks[c]) is not None)
    return column == next(c for c in rivals if ranks[c] == best)


def _names(used: Sequence[tuple[str, str]]) -> list[str]:
    """Names for the database: of the grid and of roofs by their role, of loads by their headers."""
    found: list[str] = []
    for column, role in used:
        name = {"import": "grid_import", "export": "grid_export"}.get(role, role)
        if role == "load":
            name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_") or "load"
            name = name if name[0].isalpha() else f"load_{name}"
        number = sum(other == name or other.startswith(f"{name}_") for other in found)
        found.append(f"{name}_{number + 1}" if name in found else name)
    return found


def _column(column: str, name: str, role: str, values: Floats, per_day: float) -> _Column:
    kind = _kind(values, per_day)
    unit, sure = _unit(column, values, kind)
    return _Column(column=column, name=name, role=role, kind=kind, unit=unit, sure=sure)


def _values(table: pd.DataFrame, column: str, decimal: str) -> Floats | None:
    """The numbers of a column, None if most are none."""
    texts = table[column].str.strip()
    if decimal == ",":
        texts = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return values if np.isfinite(values).mean() > 0.5 else None


def _kind(values: Floats, per_day: float) -> str:
    """A count if it never falls and is far larger than its rises; a daily one if it falls once a
    day of ``per_day`` rows."""
    known = values[np.isfinite(values)]
    known = known if known[-1] >= known[0] else known[::-1]
    steps = np.diff(known)
    if not steps.size or not np.any(steps > 0):
        return "interval"
    rises = float(np.mean(steps[steps > 0]))
    if steps.min() >= -1e-9 and known[-1] > 5 * rises:
        return "cumulative"
    fell = np.flatnonzero(steps < -1e-9)
    once_a_day = fell.size >= 2 and bool(np.all(np.diff(fell) > per_day / 2))
    if once_a_day and known[fell + 1].max() < 0.2 * known.max():
        return "daily"
    return "interval"


def _unit(column: str, values: Floats, kind: str) -> tuple[str, bool]:
    """The unit in the header; else kWh, or Wh or W where numbers are too large for it."""
    for unit in UNITS:
        if re.search(rf"(?<![A-Za-z]){unit}(?![A-Za-z])", column):
            return unit, True
    typical = float(np.nanmedian(np.abs(values if kind == "interval" else np.diff(values))))
    if typical > 20.0:
        return ("W" if kind == "interval" else "Wh"), False
    return "kWh", False


def zone_of(country: str) -> str | None:
    """The time zone of a country that has one, if it is known here."""
    return ZONE_OF_COUNTRY.get(country.upper())
