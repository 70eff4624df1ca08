"""What a meter file probably means: a description to look at, with what is not sure said.

Nothing of it is used unseen: the description is written as a TOML file, shown, and read like one
that a person wrote. What cannot be known from a file is asked for.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.ingest.containers import files_in
from ems.store.ingest.formats import as_text
from ems.store.ingest.text_table import HEADER_WITHIN, TextTable, fields_of, text_table
from ems.types import Floats

SEPARATORS = (";", "\t", "|", ",")
LOOKED_AT = 400
"""Lines from which the layout is guessed."""
FORMS = (
    "ISO8601",
    *(f"{day} {clock}" for day in ("%d.%m.%Y", "%d.%m.%y") for clock in ("%H:%M", "%H:%M:%S")),
    *("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d%H%M", "%Y%m%d%H%M%S"),
    "%s",
)
EITHER_FORMS = tuple(
    (f"%d{sign}%m{sign}%Y {clock}", f"%m{sign}%d{sign}%Y {clock}")
    for sign in ("/", "-")
    for clock in ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
)
"""Day first or month first: what the file shows, else it is asked."""
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
UNITS = ("MWh", "kWh", "Wh", "MW", "kW", "W")
STARTS = r"\b(von|from|start|begin|ab)\b"
ENDS = r"\b(bis|to|until|end|ende)\b"
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
class Known:
    """What a person said: name, place as TOML text, zone, and whether days stand before months."""

    building: str
    place_toml: str
    timezone: str
    day_first: bool | None = None


def guess(files: Sequence[Path], known: Known) -> Guess:
    """The description of files of one layout.

    Raises ``DataError`` with the cure where a file has no times, no numbers, or two readings.
    """
    name, raw = files_in(files[0])[0]
    text = as_text(raw, name).text
    separator, header = _layout(text, name)
    table = _sample(text, name, separator, header)
    time = _time(table, known, name)
    decimal = _decimal(table, time.columns, separator)
    feeds, left_out = _feeds(table, time.columns, decimal)
    if not feeds:
        raise DataError(f"{name}: no column of numbers beside the time; is it a meter's file?")
    unsure = [
        f"unit = '{unit}' of {', '.join(f.column for f in feeds if f.unit == unit and not f.sure)} "
        "is not said in the header"
        for unit in dict.fromkeys(feed.unit for feed in feeds if not feed.sure)
    ]
    if not any(feed.role == "import" for feed in feeds):
        unsure.append("no column looks like the import meter; give one the role 'import'")
    if left_out:
        unsure.append(f"not used: {', '.join(left_out)}")
    counts = any(feed.kind != "interval" for feed in feeds)
    label = time.label or ("end" if counts else "start")
    # A count is read at an instant, which is the end of its step.
    if time.label is None and not counts:
        unsure.append(
            f"label = '{label}': so the first row is the step from {time.first} on; with 'end' it "
            "is the one before"
        )
    lines = [
        f"building = {json.dumps(known.building)}",
        'kind = "residential"',
        f'timezone = "{known.timezone}"',
        f"step_minutes = {time.step_min}",
        "",
        "[place]",
        known.place_toml,
        "",
        "[[file]]",
        f"paths = {json.dumps([str(path.absolute()) for path in files], ensure_ascii=False)}",
        f"separator = {json.dumps(separator)}",
        f'decimal = "{decimal}"',
        *time.toml(known.timezone),
        f'label = "{label}"',
        *(line for feed in feeds for line in feed.toml()),
    ]
    return Guess(toml="\n".join(lines) + "\n", unsure=tuple(unsure))


# --- the layout ----------------------------------------------------------------------------------


def _layout(text: str, name: str) -> tuple[str, list[str]]:
    """The separator and the header: the last line of names before lines of as many values."""
    lines = [line for _, line in zip(range(LOOKED_AT), io.StringIO(text), strict=False)]
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


def _sample(text: str, name: str, separator: str, header: list[str]) -> TextTable:
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
    return text_table(text, name, separator, header, key=key)


# --- the time ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Time:
    """How the file writes its times."""

    columns: tuple[str, ...]
    form: str
    offset: bool
    label: str | None
    step_min: int
    first: str

    def toml(self, timezone: str) -> Iterator[str]:
        yield f"timestamp_column = {json.dumps(self.columns[0], ensure_ascii=False)}"
        if len(self.columns) > 1:
            yield f"time_column = {json.dumps(self.columns[1], ensure_ascii=False)}"
        yield f'timestamp_format = "{self.form}"'
        zone = "offset in every stamp" if self.offset else timezone
        yield f'timestamp_zone = "{"UTC" if self.form == "%s" else zone}"'


def _time(table: TextTable, known: Known, name: str) -> _Time:
    """The column or the two columns with the time, and their form."""
    names = [str(column) for column in table.table]
    pairs: list[tuple[str, ...]] = [(column,) for column in names]
    clocks = [c for c in names if table.table[c].str.fullmatch(r"\s*\d{1,2}:\d\d(:\d\d)?\s*").all()]
    pairs = [(d, c) for d in names for c in clocks[:1] if d not in clocks] + pairs
    for columns in pairs:
        texts = table.table[columns[0]].str.strip()
        if len(columns) > 1:
            texts = texts + " " + table.table[columns[1]].str.strip()
        found = _form(texts, known, name)
        if found is None:
            continue
        form, times, offset = found
        seconds = np.sort(times.to_numpy("datetime64[s]").astype(np.int64))
        apart, often = np.unique(np.diff(np.unique(seconds)) // 60, return_counts=True)
        step_min = int(apart[often.argmax()]) if apart.size else 60
        others = [c for c in names if c not in columns]
        return _Time(
            columns=columns,
            form=form,
            offset=offset,
            label=_label(columns, others),
            step_min=max(step_min, 1),
            first=str(times.iloc[0]),
        )
    raise DataError(
        f"{name}: no column of times that is understood (columns: {', '.join(names[:8])}); write a "
        "description yourself (docs/sources.md)"
    )


def _label(columns: Sequence[str], others: Sequence[str]) -> str | None:
    said = columns[-1].lower()
    if re.search(STARTS, said):
        return "start"
    if re.search(ENDS, said):
        return "end"
    return None


def _form(
    texts: pd.Series[str], known: Known, name: str
) -> tuple[str, pd.Series[pd.Timestamp], bool] | None:
    """The form in which all texts are times that go on."""
    if not texts.str.contains(r"\d\d").all():
        return None
    for form in FORMS:
        times = _times(texts, form)
        if times is not None:
            offset = (
                bool(texts.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$").all()) and ":" in texts.iloc[0]
            )
            return form, times, offset
    for forms in EITHER_FORMS:
        ways = [(form, times) for form in forms if (times := _times(texts, form)) is not None]
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
    raise DataError(
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


# --- the columns ---------------------------------------------------------------------------------


def _decimal(table: TextTable, times: Sequence[str], separator: str) -> str:
    """The decimal sign: a comma where a number ends with one and digits."""
    columns = [c for c in table.table if c not in times]
    comma = any(table.table[c].str.fullmatch(r"\s*-?[\d.' ]*\d,\d+\s*").any() for c in columns)
    return "," if comma and separator != "," else "."


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


def _feeds(table: TextTable, times: Sequence[str], decimal: str) -> tuple[list[_Column], list[str]]:
    """The columns of numbers whose header names a role, and the others."""
    columns = [str(column) for column in table.table if column not in times]
    values = {c: found for c in columns if (found := _values(table, c, decimal)) is not None}
    ranks = {column: _rank(column, alone=len(values) == 1) for column in values}
    used: list[tuple[str, str]] = []
    for column, rank in ranks.items():
        role = None if rank is None else ROLES[rank][0]
        if role is not None and _belongs(column, role, rank, ranks):
            used.append((column, role))
    names = _names(used)
    feeds = [
        _column(column, name, role, values[column])
        for (column, role), name in zip(used, names, strict=True)
    ]
    return feeds, [f"'{column}'" for column in values if column not in dict(used)]


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


def _column(column: str, name: str, role: str, values: Floats) -> _Column:
    kind = _kind(values)
    unit, sure = _unit(column, values, kind)
    return _Column(column=column, name=name, role=role, kind=kind, unit=unit, sure=sure)


def _values(table: TextTable, column: str, decimal: str) -> Floats | None:
    """The numbers of a column, None if most are none."""
    texts = table.table[column].str.strip()
    if decimal == ",":
        texts = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return values if np.isfinite(values).mean() > 0.5 else None


def _kind(values: Floats) -> str:
    """A count if it never falls and is far larger than its rises; a daily one if it does."""
    known = values[np.isfinite(values)]
    known = known if known[-1] >= known[0] else known[::-1]
    steps = np.diff(known)
    if not steps.size or not np.any(steps > 0):
        return "interval"
    falls = int(np.sum(steps < -1e-9))
    rises = float(np.mean(steps[steps > 0]))
    if falls == 0 and known[-1] > 5 * rises:
        return "cumulative"
    days = max(1.0, len(known) / 96)
    if (
        falls <= len(known) / 20
        and falls >= 2
        and known[1:][steps < -1e-9].max() < 0.2 * known.max()
    ):
        return "daily" if falls <= 2 * days + 1 else "interval"
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
