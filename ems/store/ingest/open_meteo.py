"""Past weather at one place from the Open-Meteo archive (CC BY 4.0).

``GET {base}/v1/archive?latitude=47.66&longitude=9.18&start_date=…&end_date=…&timezone=GMT
&hourly=temperature_2m,shortwave_radiation,…`` answers::

    {"utc_offset_seconds": 0, "hourly_units": {"time": "iso8601", "temperature_2m": "°C", …},
     "hourly": {"time": ["2016-01-01T00:00", …], "temperature_2m": [3.1, …], …}}

Radiation there is the mean of the *preceding* hour, temperature the value at the instant. Here
every value is labelled by the start of its step: radiation moves one hour back, temperature is the
mean of the two instants that bound the step. Model: ERA5, the archive's consistent series.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ems.errors import DataError, InvalidSpec
from ems.site.place import Place
from ems.store.ingest.download import Patience, Progress, fetch, silent
from ems.types import Floats

BASE_URL = "https://archive-api.open-meteo.com"
LICENCE = "CC BY 4.0, weather by Open-Meteo.com (ERA5, Copernicus Climate Change Service)"

_REMEDY = "download the weather by hand and give --weather PATH"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A series of the service, its column here, and its labelling there."""

    asked: str
    column: str
    unit: str
    preceding_mean: bool


VARIABLES = (
    Variable(asked="temperature_2m", column="temperature_c", unit="°C", preceding_mean=False),
    Variable(asked="shortwave_radiation", column="ghi_w_per_m2", unit="W/m²", preceding_mean=True),
    Variable(
        asked="direct_normal_irradiance", column="dni_w_per_m2", unit="W/m²", preceding_mean=True
    ),
    Variable(asked="diffuse_radiation", column="dhi_w_per_m2", unit="W/m²", preceding_mean=True),
)


def fetch_weather(
    place: Place,
    first: date,
    last: date,
    cache: Path,
    *,
    base_url: str = BASE_URL,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """Hourly weather of the UTC days ``first`` … ``last`` at ``place``.

    Columns ``site, ts_utc, temperature_c, ghi_w_per_m2, dni_w_per_m2, dhi_w_per_m2`` (naive UTC,
    the start of each hour). Answers are cached in ``cache``.

    Raises ``InvalidSpec`` for an empty range, ``DataError`` for a failed download, other units than
    °C and W/m², or missing values.
    """
    if last < first:
        raise InvalidSpec(f"open-meteo: last day {last} is before the first day {first}")
    # One more day, since the last hour's radiation is labelled by its end.
    path = fetch(
        f"{base_url.rstrip('/')}/v1/archive",
        cache / f"weather_{place.latitude_deg}_{place.longitude_deg}_{first}_{last}.json",
        params=_query(place, first, last + timedelta(days=1)),
        remedy=_REMEDY,
        progress=progress,
        patience=patience,
    )
    hours = (last - first).days * 24 + 24
    return _read(path, place.name, np.datetime64(first, "s"), hours)


def _query(place: Place, first: date, last: date) -> dict[str, str]:
    return {
        "latitude": str(place.latitude_deg),
        "longitude": str(place.longitude_deg),
        "start_date": str(first),
        "end_date": str(last),
        "hourly": ",".join(variable.asked for variable in VARIABLES),
        "models": "era5",
        "timezone": "GMT",
    }


def _read(path: Path, site: str, start: np.datetime64, hours: int) -> pd.DataFrame:
    """The answer in ``path``; an unusable one is deleted, so that the next run asks again."""
    try:
        return _parse(path.read_text(encoding="utf-8"), site, start, hours)
    except (DataError, UnicodeDecodeError) as error:
        path.unlink()
        raise DataError(f"open-meteo: {path.name}: {error}; try again, or {_REMEDY}") from error


def _parse(text: str, site: str, start: np.datetime64, hours: int) -> pd.DataFrame:
    hourly, units = answered(text)
    ts_utc = start + np.arange(hours).astype("timedelta64[h]")
    _check_times(hourly.get("time", []), ts_utc)
    columns = {v.column: _step_means(hourly, units, v, ts_utc) for v in VARIABLES}
    return pd.DataFrame({"site": site, "ts_utc": ts_utc, **columns})


def answered(text: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """``hourly`` and ``hourly_units`` of an answer in UTC. ``DataError`` if they are missing."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(answer, Mapping) or not isinstance(answer.get("hourly"), Mapping):
        raise DataError("the answer has no 'hourly' part")
    if answer.get("utc_offset_seconds") != 0:
        raise DataError(f"times are {answer.get('utc_offset_seconds')} s off UTC, expected 0")
    return answer["hourly"], answer.get("hourly_units", {})


def _check_times(stamps: list[str], ts_utc: np.ndarray[Any, Any]) -> None:
    """Check that the answer has every hour and the one after the last."""
    if len(stamps) <= len(ts_utc):
        raise DataError(f"{len(stamps)} hours, expected more than {len(ts_utc)}")
    found = np.array(stamps[: len(ts_utc)], dtype="datetime64[s]")
    if (found != ts_utc).any():
        row = int(np.argmax(found != ts_utc))
        raise DataError(f"entry {row} is {found[row]}, expected {ts_utc[row]}")


def _step_means(
    hourly: Mapping[str, Any],
    units: Mapping[str, str],
    variable: Variable,
    ts_utc: np.ndarray[Any, Any],
) -> np.ndarray[Any, Any]:
    """Means over the hours that start at ``ts_utc``, shape ``(n,)``, in the variable's unit."""
    require_unit(hourly, units, variable)
    n = len(ts_utc)
    values = np.array(hourly[variable.asked][: n + 1], dtype=np.float64)
    if len(values) < n + 1 or not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values))) if len(values) == n + 1 else len(values)
        raise DataError(f"{variable.asked} is missing at {ts_utc[min(row, n - 1)]}Z (entry {row})")
    return hour_means(values, variable)


def require_unit(hourly: Mapping[str, Any], units: Mapping[str, str], variable: Variable) -> None:
    """Raise ``DataError`` unless the answer has ``variable`` in its unit."""
    if variable.asked not in hourly:
        raise DataError(f"the answer has no '{variable.asked}'")
    if units.get(variable.asked) != variable.unit:
        raise DataError(
            f"{variable.asked} is in {units.get(variable.asked)}, expected {variable.unit}"
        )


def hour_means(values: Floats, variable: Variable) -> Floats:
    """Means over the hours between stamps, shape ``(n − 1,)``, from values at ``n`` stamps."""
    return values[1:] if variable.preceding_mean else (values[:-1] + values[1:]) / 2.0
