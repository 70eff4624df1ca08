"""Read the layout of the OPSD "Household Data" package from a local file.

The file has cumulative readings in kWh, one column per feed. Which step a difference of two
readings belongs to depends on the version of the package, identified by the name of its marker
column:

``interpolated`` (2020-04-15): the reading labelled t is the one at the **end** of the step that
starts at t, so reading(t) − reading(t − step) is the energy of the step that starts at t.

``interpolated_values`` (2017): the reading labelled t was taken **at** t, but in months of daylight
saving time the labels of the UTC column are one hour ahead of UTC.

Both were checked against the sun over Konstanz; see ``docs/data.md`` for the numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.errors import DataError
from ems.site.place import Place
from ems.store.catalogue import feed_of, kind_of, place_of, split_column, timezone_of
from ems.store.ingest.dataset import FIRST_YEAR, LAST_YEAR, BuildingData, Dataset
from ems.store.ingest.text_table import even_table
from ems.store.metering import with_metering
from ems.types import Floats, Instants

SOURCE = (
    "Open Power System Data, Household Data 2020-04-15, measured by CoSSMic in Konstanz, "
    "DOI 10.25832/household_data/2020-04-15"
)
LICENCE = "CC BY 4.0 (attribution required)"
OPSD_PREFIX = "DE_KN_"

ALLOWED_STEP_MIN = (15, 60)
BACKWARDS_TOLERANCE_KWH = 1e-6
"""Readings have three decimals; a decrease below this is binary rounding."""

READING_DECIMALS = 6
"""Differences are rounded to remove that rounding noise."""

SPLIT_OF_ZONES_UTC = np.datetime64("2018-09-30T22:00:00", "s")
"""The German-Austrian bidding zone ended with the local day 2018-09-30."""

_TIME = "utc_timestamp"
_MARKER_2020 = "interpolated"
_MARKER_2017 = "interpolated_values"
_NOT_FEEDS = {_TIME, "cet_cest_timestamp", _MARKER_2020, _MARKER_2017}
_PRICE = "price_eur_per_mwh"
_GERMAN_WEATHER = (
    "DE_temperature",
    "DE_radiation_direct_horizontal",
    "DE_radiation_diffuse_horizontal",
)


def read_opsd(
    path: Path,
    prices: Path | None = None,
    weather: Path | None = None,
    *,
    place: Place | None = None,
) -> Dataset:
    """Everything one database needs, from local files in the official layouts.

    ``place``: location of the buildings; None: as given by their names. Raises a one-line
    :class:`DataError` for an unusable file.
    """
    frame = _read_table(path)
    labels = _instants(frame, path)
    step = _step(labels, path)
    columns = [name for name in frame.columns if name not in _NOT_FEEDS]
    if not columns:
        raise DataError(f"{path}: no meter columns; expected e.g. DE_KN_residential1_grid_import")
    buildings = _MeterReader(frame, labels, step, path, place).buildings(columns)
    return Dataset(
        buildings=buildings,
        prices=read_prices(prices) if prices else no_prices(),
        weather=read_weather(weather) if weather else no_weather(),
        meta={
            **_origin(buildings, path),
            "synthetic": "false",
            "file": path.name,
            "file_sha256": file_sha256(path),
        },
    )


def _origin(buildings: tuple[BuildingData, ...], path: Path) -> dict[str, str]:
    """Source and licence: known for the CoSSMic buildings of Konstanz (OPSD) only."""
    if all(data.building.startswith(OPSD_PREFIX) for data in buildings):
        return {"source": SOURCE, "licence": LICENCE}
    return {"source": f"{path.name}, in the layout of OPSD", "licence": "not known"}


def read_prices(path: Path) -> pd.DataFrame:
    """Day-ahead prices from ``utc_timestamp, price_eur_per_mwh[, …]``; NaN and infinity are
    refused.

    Returns the columns of :class:`~ems.store.ingest.dataset.Dataset.prices`.
    """
    frame = _read_table(path)
    labels = _instants(frame, path)
    price = _numbers(frame, _PRICE, path)
    bad = np.flatnonzero(~np.isfinite(price))
    if len(bad):
        raise DataError(
            f"{path}: {_PRICE} is {price[bad[0]]} at {labels[bad[0]]}Z "
            f"({len(bad)} such rows); every price must be finite"
        )
    zone = np.where(labels < SPLIT_OF_ZONES_UTC, "DE-AT-LU", "DE-LU")
    step_h = _held_h(labels, path)
    return pd.DataFrame({"zone": zone, "ts_utc": labels, "step_h": step_h, "eur_per_mwh": price})


def read_weather(path: Path) -> pd.DataFrame:
    """Hourly weather: the German means of OPSD, or a table with our column names.

    Returns the columns of :class:`~ems.store.ingest.dataset.Dataset.weather`.
    """
    frame = _read_table(path)
    labels = _instants(frame, path)
    if _GERMAN_WEATHER[0] in frame.columns:
        temperature, direct, diffuse = (_numbers(frame, c, path) for c in _GERMAN_WEATHER)
        series = {
            "temperature_c": temperature,
            "ghi_w_per_m2": direct + diffuse,
            "dhi_w_per_m2": diffuse,
        }
        site = "Germany (mean)"
    else:
        names = [name for name in frame.columns if name not in {_TIME, "site"}]
        taken = sorted({"ts_utc", "quantity", "value", "issued_utc"}.intersection(names))
        if taken:
            raise DataError(f"{path}: no quantity can be called {taken[0]}; rename that column")
        series = {name: _numbers(frame, name, path) for name in names}
        site = path.name
    missing = [name for name in ("temperature_c", "ghi_w_per_m2") if name not in series]
    if missing:
        raise _missing(missing, frame, path)
    return pd.DataFrame({"site": site, "ts_utc": labels, **series})


def no_prices() -> pd.DataFrame:
    """A price table without rows."""
    return pd.DataFrame({"zone": [], "ts_utc": [], "step_h": [], "eur_per_mwh": []})


def no_weather() -> pd.DataFrame:
    """A weather table without rows."""
    return pd.DataFrame({"site": [], "ts_utc": [], "temperature_c": [], "ghi_w_per_m2": []})


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _MeterReader:
    """The meter columns of one table in the OPSD layout."""

    def __init__(
        self,
        frame: pd.DataFrame,
        labels: Instants,
        step: np.timedelta64,
        path: Path,
        place: Place | None,
    ) -> None:
        self.path = path
        self.place = place
        self.step = step
        self.frame = frame
        self.labels = labels
        self.marker = next((m for m in (_MARKER_2020, _MARKER_2017) if m in frame.columns), None)
        if self.marker is None:
            raise DataError(
                f"{path}: column {_MARKER_2020} is missing (versions before 2020: {_MARKER_2017}); "
                "without it the meaning of the time labels is unknown"
            )
        self.marked = _marked_columns(frame[self.marker])
        self.row_of_step, self.starts = self._grid()

    def buildings(self, columns: list[str]) -> tuple[BuildingData, ...]:
        """The buildings in file order, each cut to the range of its own meters."""
        feeds: dict[str, dict[str, str]] = {}
        for column in columns:
            building, feed = split_column(column)
            feeds.setdefault(building, {})[feed] = column
        found = [self._building(name, of_building) for name, of_building in feeds.items()]
        present = tuple(data for data in found if data is not None)
        if not present:
            raise DataError(f"{self.path}: every meter column is empty; nothing to import")
        return present

    def _grid(self) -> tuple[NDArray[np.int64], Instants]:
        """For each step of a grid without gaps its row in the file, −1 if there is none."""
        if self.marker == _MARKER_2020:
            starts = self.labels
        else:
            starts = _starts_2017(self.labels, self.step)
        # In spring the 2017 labels name an hour that does not exist. It is moved onto the next one,
        # of which only the first row is kept.
        keep = np.r_[True, starts[1:] > np.maximum.accumulate(starts)[:-1]]
        offset = ((starts - starts[0]) / self.step).astype(np.int64)
        row_of_step = np.full(offset[keep][-1] + 1, -1, dtype=np.int64)
        row_of_step[offset[keep]] = np.flatnonzero(keep)
        return row_of_step, starts[0] + np.arange(len(row_of_step)) * self.step

    def _building(self, building: str, columns: Mapping[str, str]) -> BuildingData | None:
        """One building, or None if all of its columns are empty."""
        energy = {feed: self._energy(column) for feed, column in columns.items()}
        measured = {feed: values for feed, values in energy.items() if not np.isnan(values).all()}
        if not measured:
            return None
        known = np.flatnonzero(np.any([~np.isnan(v) for v in measured.values()], axis=0))
        span = slice(known[0], known[-1] + 1)
        filled = {feed: self._filled(columns[feed])[span] for feed in measured}
        return with_metering(
            BuildingData(
                building=building,
                kind=kind_of(building),
                timezone=timezone_of(building),
                place=self.place or place_of(building),
                step_h=float(self.step / np.timedelta64(3600, "s")),
                ts_utc=self.starts[span],
                feeds=tuple(feed_of(feed) for feed in measured),
                energy_kwh={feed: values[span] for feed, values in measured.items()},
                load_rule="import",
                filled={feed: mask for feed, mask in filled.items() if mask.any()},
            )
        )

    def _energy(self, column: str) -> Floats:
        """Energy of each step [kWh]: the difference of two consecutive readings."""
        readings = _numbers(self.frame, column, self.path)
        if np.isinf(readings).any():
            row = int(np.flatnonzero(np.isinf(readings))[0])
            raise DataError(f"{self.path}: {column} is infinite at {self.labels[row]}Z")
        self._require_forward(column, readings)
        on_grid = np.where(self.row_of_step < 0, np.nan, readings[self.row_of_step])
        energy_kwh: Floats = np.maximum(np.diff(on_grid, prepend=np.nan), 0.0)
        return energy_kwh.round(READING_DECIMALS)

    def _require_forward(self, column: str, readings: Floats) -> None:
        """Raise if the meter runs backwards, also across a gap."""
        rows = np.flatnonzero(~np.isnan(readings))
        falls = np.flatnonzero(np.diff(readings[rows]) < -BACKWARDS_TOLERANCE_KWH)
        if len(falls):
            before, after = rows[falls[0]], rows[falls[0] + 1]
            raise DataError(
                f"{self.path}: {column} runs backwards from {readings[before]:.10g} to "
                f"{readings[after]:.10g} kWh at {self.labels[after]}Z; readings must never decrease"
            )

    def _filled(self, column: str) -> NDArray[np.bool_]:
        """Steps with an interpolated reading at either end."""
        named = np.zeros(len(self.frame), dtype=bool)
        named[[row for row, names in self.marked if column in names]] = True
        on_grid = np.where(self.row_of_step < 0, False, named[self.row_of_step])
        filled: NDArray[np.bool_] = on_grid | np.r_[False, on_grid[:-1]]
        return filled


def _marked_columns(marks: pd.Series) -> list[tuple[int, set[str]]]:
    """Rows with a marker, and the columns each lists: ``"A | B"``."""
    rows = np.flatnonzero(marks.notna())
    return [(int(row), {name.strip() for name in str(marks.iloc[row]).split("|")}) for row in rows]


def _starts_2017(labels: Instants, step: np.timedelta64) -> Instants:
    """Starts of the steps that end at the readings of the 2017 file.

    Its UTC labels are local time minus one hour all year: right in winter, an hour ahead in summer.
    """
    local = pd.DatetimeIndex(labels) + pd.Timedelta(hours=1)
    zoned = local.tz_localize(
        "Europe/Berlin", ambiguous=np.ones(len(local), dtype=bool), nonexistent="shift_forward"
    )
    ends: Instants = zoned.tz_convert(None).to_numpy().astype("datetime64[s]")
    return ends - step


def _read_table(path: Path) -> pd.DataFrame:
    """A CSV or gzipped CSV as text and numbers, or a one-line reason why it cannot be read."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a .csv or .csv.gz in the documented layout")
    frame = even_table(path)
    if _TIME not in frame.columns:
        raise _missing([_TIME], frame, path)
    if len(frame) < 2:
        raise DataError(f"{path}: {len(frame)} rows; at least 2 are needed")
    return frame


def _missing(columns: list[str], frame: pd.DataFrame, path: Path) -> DataError:
    """The error for missing columns; the usual cause is the separator."""
    header = [str(name) for name in frame.columns]
    if len(header) == 1 and ";" in header[0]:
        return DataError(
            f"{path}: column {columns[0]} is missing: the header is separated by ';'; the "
            "separator must be a comma and the decimal sign a point"
        )
    found = ", ".join(name[:40] for name in header[:5]) + (", …" if len(header) > 5 else "")
    return DataError(f"{path}: column {', '.join(columns)} is missing; found {found}")


def _instants(frame: pd.DataFrame, path: Path) -> Instants:
    """The column ``utc_timestamp`` as strictly increasing naive UTC instants."""
    parsed = pd.to_datetime(frame[_TIME], utc=True, errors="coerce", format="ISO8601")
    bad = np.flatnonzero(parsed.isna())
    if len(bad):
        raise DataError(
            f"{path}: {_TIME} is {frame[_TIME].iloc[bad[0]]!r} in data row {bad[0] + 1}; "
            "expected e.g. 2016-06-01T00:00:00Z"
        )
    instants: Instants = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    years = instants.astype("datetime64[Y]").astype(np.int64) + 1970
    odd = np.flatnonzero((years < FIRST_YEAR) | (years >= LAST_YEAR))
    if len(odd):
        raise DataError(
            f"{path}: {_TIME} is {frame[_TIME].iloc[odd[0]]!r} in data row {odd[0] + 1}; allowed "
            f"are the years {FIRST_YEAR} to {LAST_YEAR - 1}"
        )
    wrong = np.flatnonzero(np.diff(instants) <= np.timedelta64(0, "s"))
    if len(wrong):
        before, after = instants[wrong[0]], instants[wrong[0] + 1]
        what = "appears twice" if before == after else f"comes after {before}Z"
        raise DataError(f"{path}: {_TIME} {after}Z {what}; rows must be in order, each once")
    return instants


def _step(labels: Instants, path: Path) -> np.timedelta64:
    """The step of the table: 15 or 60 minutes; rows may be missing but not lie in between."""
    gaps = np.diff(labels)
    step: np.timedelta64 = gaps.min()
    minutes = step / np.timedelta64(60, "s")
    if minutes not in ALLOWED_STEP_MIN:
        raise DataError(
            f"{path}: rows are {minutes:g} minutes apart; allowed are {ALLOWED_STEP_MIN}"
        )
    odd = np.flatnonzero(gaps % step != np.timedelta64(0, "s"))
    if len(odd):
        raise DataError(
            f"{path}: {_TIME} {labels[odd[0] + 1]}Z lies between the {minutes:g}-minute steps"
        )
    return step


def _held_h(labels: Instants, path: Path) -> Floats:
    """How long the price of each row holds [h]: hours, and quarters where its neighbours are near.

    The shorter of the distances to its neighbours, so that nothing is held over missing rows.
    """
    _step(labels, path)
    apart = np.diff(labels) / np.timedelta64(3600, "s")
    nearer_h = np.minimum(np.append(apart[:1], apart), np.append(apart, apart[-1:]))
    return np.where(nearer_h < 1.0, min(ALLOWED_STEP_MIN) / 60.0, 1.0)


def _numbers(frame: pd.DataFrame, column: str, path: Path) -> Floats:
    """One column as floats, empty cells as NaN."""
    if column not in frame.columns:
        raise _missing([column], frame, path)
    numbers = pd.to_numeric(frame[column], errors="coerce")
    text = np.flatnonzero(numbers.isna() & frame[column].notna())
    if len(text):
        raise DataError(
            f"{path}: {column} is {frame[column].iloc[text[0]]!r} in data row {text[0] + 1}; "
            "expected a number"
        )
    return numbers.to_numpy(dtype=np.float64)
