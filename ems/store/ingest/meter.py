"""A person's own meter: CSV files described by a small TOML file (see ``docs/sources.md``).

Whatever the files look like, the result is the energy of every step of one UTC grid::

    cumulative   energy(t) = reading at the end of step t − reading at its start        [kWh]
    interval     energy(t) = value · (1 for kWh, Δt for kW)                             [kWh]

Rows that are missing, and cells that are empty, are gaps (NaN). Everything else that does not
fit — a column, a text, a stamp, a meter that runs backwards — is refused with its file, row and
column. Rows are counted as in an editor: the header is row 1.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from ems.errors import DataError, InvalidSpec
from ems.site.meters import Category, Feed, LoadRule, Role
from ems.site.place import Place
from ems.store.ingest.dataset import BuildingData, Dataset
from ems.store.ingest.opsd import no_prices, no_weather, read_prices
from ems.types import Floats, Instants

Kind = Literal["cumulative", "interval"]
Unit = Literal["kWh", "Wh", "kW", "W"]
Label = Literal["start", "end"]

STAMPS_CARRY_OFFSET = "offset in every stamp"
"""``timestamp_zone`` of a file with stamps such as ``2016-10-30T02:00+01:00`` or ``…Z``."""

_CATEGORIES: Mapping[str, frozenset[str]] = {
    "import": frozenset({"grid"}),
    "export": frozenset({"grid"}),
    "pv": frozenset({"pv"}),
    "load": frozenset({"ev", "discrete_phase", "partial_usage", "fixed"}),
}
_PER_KWH: Mapping[str, float] = {"kWh": 1.0, "kW": 1.0, "Wh": 1e-3, "W": 1e-3}
_STEPS_MINUTES = (15, 60)
_NEGATIVE_KWH = -1e-9
_OFF_NOON_H = 4.0
"""So far from the noon of its clocks the sun is highest nowhere: 3 h is the most, in China [h]."""


@dataclass(frozen=True, kw_only=True)
class MeterFeed:
    """One column of a file and the meter it holds.

    ``exchanges``: stamps, as they stand in the file, of the first reading of a new meter; the
    step before it is a gap, and the count may start again.
    """

    column: str
    feed: Feed
    kind: Kind
    unit: Unit
    exchanges: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MeterFile:
    """CSV files of one layout, read one after the other as if they were one."""

    paths: tuple[Path, ...]
    separator: str
    decimal: str
    timestamp_column: str
    timestamp_format: str
    timestamp_zone: str
    label: Label
    feeds: tuple[MeterFeed, ...]


@dataclass(frozen=True, kw_only=True)
class MeterConfig:
    """What the TOML file says, checked."""

    building: str
    kind: str
    place: Place
    timezone: str
    step_minutes: int
    synthetic: bool
    prices: Path | None
    files: tuple[MeterFile, ...]


def read_meter(config: Path) -> Dataset:
    """One building from a person's own files; without weather, and without prices if none given.

    Raises ``DataError`` in one line that names the file, row and column, for anything that does
    not fit the description in ``config``, and for a ``config`` that is no valid one.
    """
    spec = read_config(config)
    step = np.timedelta64(spec.step_minutes, "m").astype("timedelta64[s]")
    series = [pair for file in spec.files for pair in _read_file(file, step)]
    ts_utc = _grid([pd.DatetimeIndex(pair[1].index) for pair in series], step)
    return Dataset(
        buildings=(
            BuildingData(
                building=spec.building,
                kind=spec.kind,
                place=spec.place,
                timezone=spec.timezone,
                step_h=spec.step_minutes / 60.0,
                ts_utc=ts_utc,
                feeds=tuple(feed for feed, _ in series),
                energy_kwh={
                    feed.name: _floats(values.reindex(pd.DatetimeIndex(ts_utc)))
                    for feed, values in series
                },
                load_rule=_load_rule([feed for feed, _ in series]),
            ),
        ),
        prices=no_prices() if spec.prices is None else read_prices(spec.prices),
        weather=no_weather(),
        meta=_meta(config, spec),
    )


def _load_rule(feeds: Sequence[Feed]) -> LoadRule:
    """How the load follows from these meters; a load with a meter of its own comes on top."""
    if any(feed.role == "load" and not feed.behind_import for feed in feeds):
        return "import+submetered"
    if any(feed.role == "pv" and feed.behind_import for feed in feeds):
        return "import+pv-export"
    return "import"


def _floats(values: pd.Series[float]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _meta(config: Path, spec: MeterConfig) -> dict[str, str]:
    digest = hashlib.sha256(config.read_bytes())
    for file in spec.files:
        for path in file.paths:
            digest.update(path.read_bytes())
    return {
        "source": f"own meter, described by {config.name}",
        "licence": "the owner's own data",
        "synthetic": "true" if spec.synthetic else "false",
        "sha256": digest.hexdigest(),
    }


def _grid(stamps: Sequence[pd.DatetimeIndex], step: np.timedelta64) -> Instants:
    """All steps from the first to the last that any feed has."""
    first = min(index[0] for index in stamps).to_datetime64().astype("datetime64[s]")
    last = max(index[-1] for index in stamps).to_datetime64().astype("datetime64[s]")
    return cast(Instants, np.arange(first, last + step, step))


# --- the description -------------------------------------------------------------------------


def read_config(config: Path) -> MeterConfig:
    """The TOML file, checked; paths in it are relative to its own folder.

    Raises ``DataError`` for a file that is missing, is no TOML, lacks a key, has one that is
    not known, or a value that is not allowed.
    """
    try:
        text = config.read_text(encoding="utf-8-sig")
        table = _Table(tomllib.loads(text), config.name)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"meter: cannot read {config}: {error}; check --config, a text file in UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"meter: {config.name} is no valid TOML: {error}") from error
    files = tuple(_file(entry, config.parent) for entry in table.tables("file"))
    prices = table.text("prices", default="")
    spec = MeterConfig(
        building=table.text("building"),
        kind=table.text("kind", allowed=("residential", "industrial", "public")),
        place=_place(table.table("place")),
        timezone=_zone(table, "timezone"),
        step_minutes=table.integer("step_minutes", allowed=_STEPS_MINUTES),
        synthetic=table.boolean("synthetic", default=False),
        prices=config.parent / prices if prices else None,
        files=files,
    )
    table.close()
    _check_feeds(spec, config.name)
    _check_noon(spec, config.name)
    return spec


def _place(table: _Table) -> Place:
    try:
        place = Place(
            name=table.text("name"),
            latitude_deg=table.number("latitude_deg"),
            longitude_deg=table.number("longitude_deg"),
            country=table.text("country"),
            subdivision=table.text("subdivision", default=""),
        )
    except InvalidSpec as error:
        raise DataError(f"meter: {table.where}: {error}") from error
    table.close()
    return place


def _check_noon(spec: MeterConfig, name: str) -> None:
    """Refuse a longitude and a time zone that cannot belong together, as with a wrong sign."""
    ahead = ZoneInfo(spec.timezone).utcoffset(datetime(2016, 1, 1)) or timedelta()
    late_h = ahead / timedelta(hours=1) - spec.place.longitude_deg / 15.0
    off_h = abs((late_h + 12.0) % 24.0 - 12.0)
    if off_h > _OFF_NOON_H:
        raise DataError(
            f"meter: {name}: at longitude_deg = {spec.place.longitude_deg:g} the sun is highest "
            f"{off_h:.1f} h from noon in timezone = '{spec.timezone}'; correct one of them (west "
            "of Greenwich is negative)"
        )


def _file(table: _Table, folder: Path) -> MeterFile:
    file = MeterFile(
        paths=tuple(folder / name for name in table.texts("paths")),
        separator=table.text("separator", allowed=(",", ";", "\t")),
        decimal=table.text("decimal", allowed=(".", ",")),
        timestamp_column=table.text("timestamp_column"),
        timestamp_format=table.text("timestamp_format", default="ISO8601"),
        timestamp_zone=_zone(table, "timestamp_zone", also=STAMPS_CARRY_OFFSET),
        label=cast(Label, table.text("label", allowed=get_args(Label))),
        feeds=tuple(_feed(entry) for entry in table.tables("feed")),
    )
    table.close()
    if file.separator == file.decimal:
        raise DataError(f"meter: {table.where}: separator and decimal are both '{file.decimal}'")
    return file


def _feed(table: _Table) -> MeterFeed:
    role = table.text("role", allowed=get_args(Role))
    kind = table.text("kind", allowed=get_args(Kind))
    feed = MeterFeed(
        column=table.text("column"),
        feed=Feed(
            name=table.text("name"),
            role=cast(Role, role),
            category=cast(Category, table.text("category", allowed=sorted(_CATEGORIES[role]))),
            behind_import=table.boolean("behind_import", default=True),
        ),
        kind=cast(Kind, kind),
        unit=cast(
            Unit,
            table.text("unit", allowed=("kWh", "Wh") if kind == "cumulative" else get_args(Unit)),
        ),
        exchanges=table.texts("exchanges", default=()),
    )
    table.close()
    return feed


def _check_feeds(spec: MeterConfig, name: str) -> None:
    feeds = [entry.feed for file in spec.files for entry in file.feeds]
    names = [feed.name for feed in feeds]
    twice = sorted({feed for feed in names if names.count(feed) > 1})
    if twice:
        raise DataError(f"meter: {name}: feed '{twice[0]}' stands there twice; names must differ")
    roles = {feed.role for feed in feeds}
    if "import" not in roles:
        raise DataError(
            f"meter: {name}: no feed has role 'import'; the meter at the grid is needed"
        )
    if "export" not in roles and any(f.role == "pv" and f.behind_import for f in feeds):
        raise DataError(
            f"meter: {name}: there is a feed with role 'pv' but none with role 'export'; add the "
            "feed-in meter (a column of zeros where nothing is ever fed in)"
        )


def _zone(table: _Table, key: str, also: str = "") -> str:
    name = table.text(key)
    if name != also:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            hint = f" or '{also}'" if also else ""
            raise DataError(
                f"meter: {table.where}: {key} = '{name}' is no time zone; "
                f"expected a name such as 'Europe/Berlin' or 'UTC'{hint}"
            ) from error
    return name


class _Table:
    """A TOML table that is read key by key and, at the end, must have no key left over."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._known: set[str] = set()
        self.where = where

    def text(self, key: str, *, allowed: Sequence[str] = (), default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self._error(key, value, "a text")
        if allowed and value not in allowed:
            raise self._error(key, value, " | ".join(repr(choice) for choice in allowed))
        return value

    def texts(self, key: str, *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        values = self._take(key, default)
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
            raise self._error(key, values, "a list of texts")
        if not values and default is None:
            raise self._error(key, values, "at least one text")
        return tuple(values)

    def integer(self, key: str, *, allowed: Sequence[int]) -> int:
        value = self._take(key, None)
        if value not in allowed or not isinstance(value, int):
            raise self._error(key, value, " | ".join(str(choice) for choice in allowed))
        return value

    def number(self, key: str) -> float:
        value = self._take(key, None)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._error(key, value, "a number")
        return float(value)

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._error(key, value, "true | false")
        return value

    def table(self, key: str) -> _Table:
        values = self._take(key, None)
        if not isinstance(values, dict):
            raise self._error(key, values, f"a table [{key}]")
        return _Table(values, f"{self.where}, {key}")

    def tables(self, key: str) -> list[_Table]:
        values = self._take(key, None)
        if not isinstance(values, list) or not values or not isinstance(values[0], dict):
            raise self._error(key, values, f"one or more [[{key}]] tables")
        return [_Table(v, f"{self.where}, {key} {i}") for i, v in enumerate(values, start=1)]

    def close(self) -> None:
        """Refuse keys nobody asked for: a misspelt one must not be ignored."""
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            raise DataError(
                f"meter: {self.where}: unknown key '{unknown[0]}' "
                f"(known: {', '.join(sorted(self._known))})"
            )

    def _take(self, key: str, default: object) -> Any:
        self._known.add(key)
        if key not in self._values and default is None:
            raise DataError(f"meter: {self.where}: '{key}' is missing; see docs/sources.md")
        return self._values.get(key, default)

    def _error(self, key: str, value: object, expected: str) -> DataError:
        return DataError(f"meter: {self.where}: {key} = {value!r}, expected {expected}")


# --- the measurements ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """All rows of a file's paths as texts, and where each one stands."""

    table: pd.DataFrame
    names: Sequence[str]
    numbers: Sequence[int]

    def where(self, i: int) -> str:
        return f"meter: {self.names[i]}, row {self.numbers[i]}"


def _read_file(file: MeterFile, step: np.timedelta64) -> list[tuple[Feed, pd.Series[float]]]:
    """For each feed the energy of each step [kWh], indexed by the UTC start of the step."""
    rows = _read_rows(file)
    stamps_s = _stamps_utc_s(rows, file)
    step_s = int(step.astype(np.int64))
    _check_stamps(rows, file, stamps_s, step_s)
    starts_s = stamps_s - (step_s if file.label == "end" else 0)
    index = pd.DatetimeIndex(starts_s.astype("datetime64[s]"))
    return [
        (entry.feed, pd.Series(_energy_kwh(rows, file, entry, stamps_s, step_s), index=index))
        for entry in file.feeds
    ]


def _read_rows(file: MeterFile) -> _Rows:
    columns = [file.timestamp_column, *(entry.column for entry in file.feeds)]
    tables: list[pd.DataFrame] = []
    names: list[str] = []
    numbers: list[int] = []
    for path in file.paths:
        table = _read_csv(path, file.separator, columns)
        tables.append(table)
        names += [path.name] * len(table)
        numbers += range(2, len(table) + 2)
    return _Rows(pd.concat(tables, ignore_index=True), names, numbers)


def _read_csv(path: Path, separator: str, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"meter: no file at {path}; check 'paths' in the configuration")
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
        )
    except (ValueError, OSError, EOFError) as error:  # pandas' own parser errors are ValueErrors
        raise DataError(f"meter: {path.name} cannot be read as CSV: {error}") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(
            f"meter: {path.name} has no column '{missing[0]}' with separator {separator!r} "
            f"(it has {', '.join(repr(str(c)) for c in table.columns[:8])})"
        )
    if table.empty:
        raise DataError(f"meter: {path.name} has no rows")
    return table


def _stamps_utc_s(rows: _Rows, file: MeterFile) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The instants of the rows [s since 1970], shape ``(n_rows,)``."""
    texts = rows.table[file.timestamp_column]
    carries_offset = file.timestamp_zone == STAMPS_CARRY_OFFSET
    parsed = pd.to_datetime(
        texts, format=file.timestamp_format, errors="coerce", utc=carries_offset
    )
    if parsed.isna().any() or parsed.dtype == object:
        i = int(np.argmax(parsed.isna()))
        raise DataError(
            f"{rows.where(i)}: '{texts[i]}' in column '{file.timestamp_column}' is no time "
            f"in the form {file.timestamp_format}"
        )
    if carries_offset:
        _refuse_naive(rows, file)
        return _seconds(parsed.dt.tz_localize(None))
    if parsed.dt.tz is not None:
        raise DataError(
            f"{rows.where(0)}: '{texts[0]}' carries its own offset; set "
            f"timestamp_zone = '{STAMPS_CARRY_OFFSET}'"
        )
    return _local_to_utc_s(rows, file, parsed)


def _seconds(stamps: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return stamps.to_numpy("datetime64[s]").astype(np.int64)


def _refuse_naive(rows: _Rows, file: MeterFile) -> None:
    """With an offset promised, a stamp without one would pass for UTC."""
    texts = rows.table[file.timestamp_column]
    naive = ~texts.str.contains(r"(?:Z|[+-]\d\d:?(?:\d\d)?)\s*$", regex=True).to_numpy(bool)
    if naive.any():
        i = int(np.argmax(naive))
        raise DataError(
            f"{rows.where(i)}: '{texts[i]}' has no offset; set timestamp_zone to its time zone"
        )


def _local_to_utc_s(
    rows: _Rows, file: MeterFile, local: pd.Series[Any]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Local clock times to instants; in the doubled hour the order of the rows decides."""
    zone, texts = file.timestamp_zone, rows.table[file.timestamp_column]
    skipped = local.dt.tz_localize(zone, ambiguous=False, nonexistent="NaT").isna().to_numpy()
    if skipped.any():
        i = int(np.argmax(skipped))
        raise DataError(
            f"{rows.where(i)}: '{texts[i]}' does not exist in {zone} (the clocks go forward); "
            "check timestamp_zone"
        )
    doubled = local.dt.tz_localize(zone, ambiguous="NaT").isna().to_numpy()
    summer = _first_pass(local.to_numpy("datetime64[s]"), doubled)
    if summer is None:
        i = int(np.argmax(doubled))
        raise DataError(
            f"{rows.where(i)}: '{texts[i]}' happens twice in {zone} but the file has that hour "
            "once; export the file in UTC or with offsets"
        )
    return _seconds(local.dt.tz_localize(zone, ambiguous=summer).dt.tz_convert(None))


def _first_pass(
    local: np.ndarray[Any, np.dtype[np.datetime64]], doubled: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Which doubled times are still summer time: those before the clock jumps back.

    None when a doubled hour lies inside the file without the clock ever jumping back.
    """
    summer = np.zeros(len(local), dtype=bool)
    for day in np.unique(local[doubled].astype("datetime64[D]")):
        places = np.flatnonzero(doubled & (local.astype("datetime64[D]") == day))
        back = np.flatnonzero(np.diff(local[places]) <= np.timedelta64(0, "s"))
        if not len(back):
            return None
        summer[places[: back[0] + 1]] = True
    return summer


def _check_stamps(
    rows: _Rows,
    file: MeterFile,
    stamps_s: np.ndarray[Any, np.dtype[np.int64]],
    step_s: int,
) -> None:
    texts = rows.table[file.timestamp_column]
    falls = np.flatnonzero(np.diff(stamps_s) <= 0)
    if len(falls):
        i = int(falls[0]) + 1
        what = "stands there twice" if stamps_s[i] == stamps_s[i - 1] else "is out of order"
        raise DataError(f"{rows.where(i)}: '{texts[i]}' {what}; times must rise from row to row")
    off = np.flatnonzero(stamps_s % step_s)
    if len(off):
        i = int(off[0])
        raise DataError(
            f"{rows.where(i)}: '{texts[i]}' is not on the grid of step_minutes = {step_s // 60}"
        )


def _energy_kwh(
    rows: _Rows,
    file: MeterFile,
    entry: MeterFeed,
    stamps_s: np.ndarray[Any, np.dtype[np.int64]],
    step_s: int,
) -> Floats:
    """Energy of the step each row stands for [kWh], shape ``(n_rows,)``."""
    values = _numbers(rows, entry.column, file.decimal) * _PER_KWH[entry.unit]
    if entry.kind == "cumulative":
        values = _differences(rows, file, entry, values, stamps_s, step_s)
    elif entry.unit in ("kW", "W"):
        values = values * step_s / 3600.0
    negative = np.flatnonzero(values < _NEGATIVE_KWH)
    if len(negative):
        i = int(negative[0])
        text = rows.table[entry.column][i]
        what = (
            "runs backwards; if it was exchanged, list the stamp in 'exchanges'"
            if entry.kind == "cumulative"
            else "is negative; import and export need a column each, both at least 0"
        )
        raise DataError(f"{rows.where(i)}, column '{entry.column}': {text} {what}")
    return cast(Floats, np.where(np.isnan(values), np.nan, np.maximum(values, 0.0)))


def _numbers(rows: _Rows, column: str, decimal: str) -> Floats:
    """A column as numbers; an empty cell is NaN, anything else must be a finite number."""
    texts = rows.table[column].str.strip()
    if decimal == ",":  # a point would be a thousand: swapped, it is no number
        texts = texts.str.translate(str.maketrans(",.", ".,"))
    values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero((texts != "").to_numpy() & ~np.isfinite(values))
    if len(bad):
        i = int(bad[0])
        raise DataError(
            f"{rows.where(i)}, column '{column}': '{rows.table[column][i]}' is no number "
            f"with decimal = '{decimal}'"
        )
    return values


def _differences(
    rows: _Rows,
    file: MeterFile,
    entry: MeterFeed,
    readings_kwh: Floats,
    stamps_s: np.ndarray[Any, np.dtype[np.int64]],
    step_s: int,
) -> Floats:
    """Energy since the row before [kWh]; NaN where that row is not one step away.

    A fall of the count is refused even across a gap: the meter ran backwards in it.
    """
    known = np.flatnonzero(np.isfinite(readings_kwh))
    since_last = np.full(len(readings_kwh), np.nan)
    since_last[known[1:]] = np.diff(readings_kwh[known])
    since_last[_exchanged(rows, file, entry)] = np.nan
    one_step = np.zeros(len(readings_kwh), dtype=bool)
    one_step[known[1:]] = np.diff(stamps_s[known]) == step_s
    return cast(Floats, np.where(one_step | (since_last < 0), since_last, np.nan))


def _exchanged(rows: _Rows, file: MeterFile, entry: MeterFeed) -> list[int]:
    texts = rows.table[file.timestamp_column]
    places = []
    for stamp in entry.exchanges:
        found = np.flatnonzero((texts == stamp).to_numpy())
        if not len(found):
            raise DataError(
                f"meter: exchange '{stamp}' of column '{entry.column}' is no stamp in "
                f"{', '.join(path.name for path in file.paths)}"
            )
        places += found.tolist()
    return places
