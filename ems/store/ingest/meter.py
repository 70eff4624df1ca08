"""A user's own meter: CSV files described by a small TOML file (see ``docs/sources.md``).

Whatever the files look like, the result is the energy of every step of one UTC grid::

    cumulative   energy(t) = reading at the end of step t − reading at its start        [kWh]
    interval     energy(t) = value · (1 for kWh, Δt for kW)                             [kWh]

Missing rows and empty cells are gaps (NaN). Everything else that does not fit (a column, a text, a
time stamp, a meter that runs backwards) is refused with its file, row and column. Rows are counted
as in an editor: the header is row 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.site.meters import Feed, LoadRule
from ems.store.ingest.dataset import BuildingData, Dataset
from ems.store.ingest.meter_file import (
    STAMPS_CARRY_OFFSET,
    MeterConfig,
    MeterFeed,
    MeterFile,
    read_config,
)
from ems.store.ingest.opsd import no_prices, no_weather, read_prices
from ems.types import Floats, Instants

_PER_KWH: Mapping[str, float] = {"kWh": 1.0, "kW": 1.0, "Wh": 1e-3, "W": 1e-3}
# Above this it is binary rounding, not a meter that runs backwards.
_NEGATIVE_KWH = -1e-9


def read_meter(config: Path) -> Dataset:
    """One building from a user's own files; without weather, and without prices if none are given.

    Raises a one-line ``DataError`` with file, row and column for anything that does not fit the
    description in ``config``, and for an invalid ``config``.
    """
    spec = read_config(config)
    step = np.timedelta64(spec.step_minutes, "m").astype("timedelta64[s]")
    folder = config.parent
    series = [pair for file in spec.file for pair in _read_file(file, folder, step)]
    ts_utc = _grid([pd.DatetimeIndex(pair[1].index) for pair in series], step)
    return Dataset(
        buildings=(
            BuildingData(
                building=spec.building,
                kind=spec.kind,
                place=spec.place.place(),
                timezone=spec.timezone,
                step_h=spec.step_minutes / 60.0,
                ts_utc=ts_utc,
                feeds=tuple(feed for feed, _ in series),
                energy_kwh={
                    feed.name: _floats(values.reindex(pd.DatetimeIndex(ts_utc)))
                    for feed, values in series
                },
                load_rule=_load_rule(spec.feeds),
            ),
        ),
        prices=read_prices(folder / spec.prices) if spec.prices else no_prices(),
        weather=no_weather(),
        meta=_meta(config, spec),
    )


def _load_rule(feeds: Sequence[Feed]) -> LoadRule:
    """The load rule of these meters; loads with their own meter are added on top."""
    if any(feed.role == "load" and not feed.behind_import for feed in feeds):
        return "import+submetered"
    if any(feed.role == "pv" and feed.behind_import for feed in feeds):
        return "import+pv-export"
    return "import"


def _floats(values: pd.Series[float]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _meta(config: Path, spec: MeterConfig) -> dict[str, str]:
    digest = hashlib.sha256(config.read_bytes())
    for file in spec.file:
        for path in file.paths:
            digest.update((config.parent / path).read_bytes())
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


# --- the measurements ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """All rows of a file's paths as texts, with their origin."""

    table: pd.DataFrame
    names: Sequence[str]
    numbers: Sequence[int]

    def where(self, i: int) -> str:
        return f"meter: {self.names[i]}, row {self.numbers[i]}"


def _read_file(
    file: MeterFile, folder: Path, step: np.timedelta64
) -> list[tuple[Feed, pd.Series[float]]]:
    """For each feed the energy of each step [kWh], indexed by the UTC start of the step."""
    rows = _read_rows(file, folder)
    stamps_s = _stamps_utc_s(rows, file)
    step_s = int(step.astype(np.int64))
    _check_stamps(rows, file, stamps_s, step_s)
    starts_s = stamps_s - (step_s if file.label == "end" else 0)
    index = pd.DatetimeIndex(starts_s.astype("datetime64[s]"))
    return [
        (entry.feed, pd.Series(_energy_kwh(rows, file, entry, stamps_s, step_s), index=index))
        for entry in file.feed
    ]


def _read_rows(file: MeterFile, folder: Path) -> _Rows:
    columns = [file.timestamp_column, *(entry.column for entry in file.feed)]
    tables: list[pd.DataFrame] = []
    names: list[str] = []
    numbers: list[int] = []
    for name in file.paths:
        path = folder / name
        table = _read_csv(path, file.separator, columns)
        tables.append(table)
        names += [path.name] * len(table)
        # Row 1 is the header, so data begin in row 2.
        numbers += range(2, len(table) + 2)
    return _Rows(pd.concat(tables, ignore_index=True), names, numbers)


def _read_csv(path: Path, separator: str, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"meter: no file at {path}; check 'paths' in the configuration")
    try:
        table = pd.read_csv(
            path,
            sep=separator,
            # Texts: pandas would guess decimal signs and drop the places of empty cells.
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            # utf-8-sig: spreadsheets put a byte order mark before the header.
            encoding="utf-8-sig",
        )
    except (ValueError, OSError, EOFError) as error:  # pandas parser errors are ValueErrors
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
    """Refuse stamps without offset where offsets are promised; they would pass for UTC."""
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
    """Convert local time to instants; in the repeated hour the order of rows decides."""
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
    """Which repeated times are still summer time: those before the clock goes back.

    None if a repeated hour is in the file but the clock never goes back.
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
    if decimal == ",":  # swapped, a point for thousands is no longer a number and is refused
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
    """Energy since the previous row [kWh]; NaN if that row is not one step before.

    A falling count is refused even across a gap: the meter ran backwards in it.
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
                f"{', '.join(Path(path).name for path in file.paths)}"
            )
        places += found.tolist()
    return places
