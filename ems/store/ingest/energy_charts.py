"""German day-ahead prices from the energy-charts API of Fraunhofer ISE.

``GET {base}/price?bzn=DE-LU&start=2019-01-01&end=2019-12-31`` answers (whole local days, both
ends included)::

    {"license_info": "CC BY 4.0 …", "unix_seconds": [1546297200, …], "price": [28.32, …],
     "unit": "EUR / MWh", "deprecated": false}

Austria shared the bidding zone until 2018-09-30, so a long series has two zones. The auction
sells quarter-hours since 2025-10-01 and hours before; the step is read from the stamps.
The service allows about two requests a second: one a year of data is well below that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ems.errors import DataError, InvalidSpec
from ems.store.ingest.download import Patience, Progress, fetch, silent

BASE_URL = "https://api.energy-charts.info"
LICENCE = "CC BY 4.0, Bundesnetzagentur | SMARD.de, by energy-charts.info"

MARKET_TIME = ZoneInfo("Europe/Berlin")
LAST_DAY_OF_DE_AT_LU = date(2018, 9, 30)
FIRST_DAY = date(2015, 1, 1)
"""First day of the service's own source, SMARD; nothing earlier is requested."""

_REMEDY = "download day-ahead prices by hand and give --prices PATH"
_STEPS_S = (900, 3600)


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    """One request: a zone and the local days from ``first`` to ``last``, both included."""

    zone: str
    first: date
    last: date

    @property
    def name(self) -> str:
        return f"price_{self.zone}_{self.first}_{self.last}.json"

    @property
    def unix_range(self) -> tuple[int, int]:
        """From the first instant to the end [s since 1970], end excluded."""
        return _midnight(self.first), _midnight(self.last + timedelta(days=1))


def fetch_prices(
    first: date,
    last: date,
    cache: Path,
    *,
    base_url: str = BASE_URL,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """German day-ahead prices of the local days ``first`` … ``last`` [€/MWh], from 2015 on.

    Columns ``zone, ts_utc, step_h, eur_per_mwh`` (naive UTC), in order of time. Answers are cached
    in ``cache``. A step the service does not have is absent; a null price is refused.

    Raises ``InvalidSpec`` for an empty range, ``DataError`` for a failed download or an answer in
    another form than documented.
    """
    first = max(first, FIRST_DAY)
    if last < first:
        raise InvalidSpec(f"energy-charts: last day {last} is before the first day {first}")
    frames = []
    for chunk in _chunks(first, last):
        path = fetch(
            f"{base_url.rstrip('/')}/price",
            cache / chunk.name,
            params={"bzn": chunk.zone, "start": str(chunk.first), "end": str(chunk.last)},
            remedy=_REMEDY,
            progress=progress,
            patience=patience,
        )
        frames.append(_read(path, chunk))
    return pd.concat(frames, ignore_index=True)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=MARKET_TIME).timestamp())


def _chunks(first: date, last: date) -> Iterator[_Chunk]:
    """Split a range at the ends of years and where the bidding zone changed."""
    while first <= last:
        old_zone = first <= LAST_DAY_OF_DE_AT_LU
        end = min(last, date(first.year, 12, 31))
        if old_zone:
            end = min(end, LAST_DAY_OF_DE_AT_LU)
        yield _Chunk(zone="DE-AT-LU" if old_zone else "DE-LU", first=first, last=end)
        first = end + timedelta(days=1)


def _read(path: Path, chunk: _Chunk) -> pd.DataFrame:
    """The answer in ``path``; an unusable one is deleted, so that the next run asks again."""
    try:
        return _parse(path.read_text(encoding="utf-8"), chunk)
    except (DataError, UnicodeDecodeError) as error:
        path.unlink()
        raise DataError(f"energy-charts: {chunk.name}: {error}; try again, or {_REMEDY}") from error


def _parse(text: str, chunk: _Chunk) -> pd.DataFrame:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error}") from error
    unix_s, eur_per_mwh = _series(answer)
    start_s, stop_s = chunk.unix_range
    # Only the days asked for, whatever else the answer holds.
    inside = (unix_s >= start_s) & (unix_s < stop_s)
    unix_s, eur_per_mwh = unix_s[inside], eur_per_mwh[inside]
    if not len(unix_s):
        raise DataError("no price within the days asked for")
    return pd.DataFrame(
        {
            "zone": chunk.zone,
            "ts_utc": unix_s.astype("datetime64[s]"),
            "step_h": _steps_h(unix_s, stop_s),
            "eur_per_mwh": eur_per_mwh,
        }
    )


def _series(answer: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Checked time stamps [s] and prices [€/MWh] of an answer."""
    if not isinstance(answer, Mapping):
        raise DataError("the answer is not a JSON object")
    missing = [key for key in ("unix_seconds", "price", "unit") if key not in answer]
    if missing:
        raise DataError(f"the answer has no '{missing[0]}' (it has {', '.join(sorted(answer))})")
    if str(answer["unit"]).replace(" ", "") != "EUR/MWh":
        raise DataError(f"unit is '{answer['unit']}', expected 'EUR / MWh'")
    stamps, prices = answer["unix_seconds"], answer["price"]
    if len(stamps) != len(prices):
        raise DataError(f"{len(stamps)} stamps but {len(prices)} prices")
    _refuse_no_number(stamps, prices)
    unix_s = np.asarray(stamps, dtype=np.int64)
    if len(unix_s) > 1 and not (np.diff(unix_s) > 0).all():
        row = int(np.argmax(np.diff(unix_s) <= 0)) + 1
        raise DataError(f"stamps do not rise at {_utc(stamps[row])} (entry {row})")
    return unix_s, np.asarray(prices, dtype=np.float64)


def _refuse_no_number(stamps: list[Any], prices: list[Any]) -> None:
    bad = [
        i
        for i, price in enumerate(prices)
        if not isinstance(price, int | float) or not math.isfinite(price)
    ]
    if bad:
        raise DataError(
            f"price is {json.dumps(prices[bad[0]])} at {_utc(stamps[bad[0]])} "
            f"({len(bad)} of {len(prices)} are no numbers)"
        )


def _steps_h(unix_s: np.ndarray[Any, Any], stop_s: int) -> np.ndarray[Any, Any]:
    """Length of each step [h]: to the next stamp; after a gap or at the end, as its neighbour."""
    length_s = np.diff(unix_s, append=stop_s)
    known = np.isin(length_s, _STEPS_S)
    if not known.any():
        raise DataError(f"stamps are {length_s[0]} s apart, expected 900 or 3600")
    nearest = np.maximum.accumulate(np.where(known, np.arange(len(length_s)), -1))
    nearest[nearest < 0] = np.argmax(known)
    return np.asarray(length_s[nearest] / 3600.0)


def _utc(unix_s: float) -> str:
    return f"{np.datetime64(int(unix_s), 's')}Z"
