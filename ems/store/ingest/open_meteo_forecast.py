"""Weather forecasts as issued, from Open-Meteo (CC BY 4.0) or from a file.

Past runs: ``GET https://single-runs-api.open-meteo.com/v1/forecast?run=2024-06-01T00:00&…``; the
present forecast: ``GET https://api.open-meteo.com/v1/forecast?…``. Both answer in the form of
``ems.store.ingest.open_meteo``, with null beyond the model's range.

``run`` is when a model starts to compute, not when its forecast is available: the service states 4
to 6 h later for global models. A run counts as issued ``PUBLISHED_AFTER`` its start; the present
forecast when it was requested. Everything is stored under its issue time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ems.errors import DataError, InvalidSpec
from ems.site.place import Place
from ems.store.ingest.download import Patience, Progress, fetch, silent
from ems.store.ingest.open_meteo import (
    VARIABLES,
    answered,
    hour_means,
    require_unit,
)
from ems.store.ingest.text_table import even_table

RUNS_URL = "https://single-runs-api.open-meteo.com"
PRESENT_URL = "https://api.open-meteo.com"
LICENCE = "CC BY 4.0, weather forecasts by Open-Meteo.com (ECMWF IFS)"
MODEL = "ecmwf_ifs"
FIRST_RUN = date(2024, 3, 14)
"""First day for which the service keeps runs of this model."""
RUN_HOURS_UTC = (0, 12)
PUBLISHED_AFTER = timedelta(hours=8)
"""Time after which every run is assumed public: 6 h as stated by the service, plus a margin."""
FORECAST_DAYS = 4

_REMEDY = "give --weather_forecast FILE, or leave the option out"
_TIME = "utc_timestamp"
_ISSUED = "issued_utc"


def fetch_runs(
    place: Place,
    first: date,
    last: date,
    cache: Path,
    *,
    base_url: str = RUNS_URL,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """The runs of 00 and 12 UTC of the day before ``first`` and of every day up to ``last``.

    Columns ``site, issued_utc, ts_utc, temperature_c, ghi_w_per_m2, …`` (naive UTC). Answers are
    cached in ``cache`` and not requested again.

    Raises ``InvalidSpec`` for days before ``FIRST_RUN`` or in the wrong order, ``DataError`` for a
    failed download or an unusable answer.
    """
    if last < first:
        raise InvalidSpec(f"open-meteo: last day {last} is before the first day {first}")
    if first <= FIRST_RUN:
        raise InvalidSpec(
            f"open-meteo: first day {first}: forecasts are recorded from {FIRST_RUN} on, so the "
            f"first day must be after it; {_REMEDY}"
        )
    # From the day before: its last run is the newest known at the first midnight.
    days = [first + timedelta(days=n) for n in range(-1, (last - first).days + 1)]
    runs = [datetime(d.year, d.month, d.day, hour) for d in days for hour in RUN_HOURS_UTC]
    return pd.concat(
        [
            _fetched(
                base_url,
                _file(cache, place, run + PUBLISHED_AFTER),
                place,
                {"run": f"{run:%Y-%m-%dT%H:%M}"},
                progress,
                patience,
            )
            for run in runs
        ],
        ignore_index=True,
    )


def fetch_present(
    place: Place,
    now_utc: datetime,
    cache: Path,
    *,
    max_age_h: float,
    tell: Callable[[str], None],
    base_url: str = PRESENT_URL,
    patience: Patience | None = None,
) -> pd.DataFrame:
    """The present forecast of the service; columns as in ``fetch_runs``, one issue time.

    If the service is unavailable, ``tell`` is called, and the newest forecast in ``cache`` is
    returned with its own, older issue time. Raises ``DataError`` if none was issued in the last
    ``max_age_h``.
    """
    try:
        return _fetched(base_url, _file(cache, place, now_utc), place, {}, silent, patience)
    except DataError as error:
        kept = _newest_kept(cache, place, now_utc, max_age_h)
        if kept is None:
            raise DataError(
                f"{error}; and {cache} keeps no forecast issued in the {max_age_h:g} h before "
                f"{now_utc:%Y-%m-%dT%H:%M}Z"
            ) from error
        tell(f"{error}; the forecast issued {_issued_of(kept):%Y-%m-%dT%H:%M}Z is used")
        return _read(kept, place)


def read_weather_forecast(path: Path) -> pd.DataFrame:
    """Recorded forecasts from a CSV: ``issued_utc, utc_timestamp, temperature_c, ghi_w_per_m2, …``.

    Columns as in ``fetch_runs``. Raises a one-line ``DataError`` for an unusable file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a .csv or .csv.gz of recorded forecasts")
    frame = even_table(path)
    needed = [_ISSUED, _TIME, "temperature_c", "ghi_w_per_m2"]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path}: column {', '.join(missing)} is missing; expected {', '.join(needed)}"
        )
    times = {name: _instants(frame[name], path) for name in (_ISSUED, _TIME)}
    if pd.DataFrame(times).duplicated().any():
        raise DataError(f"{path}: a step appears twice in one issue; give each once")
    names = [name for name in frame.columns if name not in {_ISSUED, _TIME, "site"}]
    values = {name: pd.to_numeric(frame[name], errors="coerce") for name in names}
    for name, column in values.items():
        if not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column))) + 1
            raise DataError(f"{path}: {name} is no number in data row {row}; leave the row out")
    found = {"site": path.name, "issued_utc": times[_ISSUED], "ts_utc": times[_TIME], **values}
    return pd.DataFrame(found)


def _instants(column: pd.Series, path: Path) -> pd.Series:
    parsed = pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
    if parsed.isna().any():
        row = int(parsed.isna().argmax())
        raise DataError(
            f"{path}: {column.name} is {column.iloc[row]!r} in data row {row + 1}; "
            "expected e.g. 2024-06-01T00:00:00Z"
        )
    return parsed.dt.tz_localize(None).astype("datetime64[s]")


def _fetched(
    base_url: str,
    target: Path,
    place: Place,
    more: dict[str, str],
    progress: Progress,
    patience: Patience | None,
) -> pd.DataFrame:
    query = {
        "latitude": str(place.latitude_deg),
        "longitude": str(place.longitude_deg),
        "hourly": ",".join(variable.asked for variable in VARIABLES),
        "models": MODEL,
        "timezone": "GMT",
        "forecast_days": str(FORECAST_DAYS),
        **more,
    }
    url = f"{base_url.rstrip('/')}/v1/forecast"
    fetch(url, target, remedy=_REMEDY, params=query, progress=progress, patience=patience)
    return _read(target, place)


def _read(path: Path, place: Place) -> pd.DataFrame:
    """The forecast in ``path``; an unusable one is deleted, so that the next run asks again."""
    try:
        return _parsed(path.read_text(encoding="utf-8"), place.name, _issued_of(path))
    except (DataError, UnicodeDecodeError) as error:
        path.unlink()
        raise DataError(f"open-meteo: {path.name}: {error}; try again, or {_REMEDY}") from error


def _parsed(text: str, site: str, issued_utc: datetime) -> pd.DataFrame:
    """The known hours of the forecast: nulls are allowed before and after, not between."""
    hourly, units = answered(text)
    stamps = np.array(hourly.get("time", []), dtype="datetime64[s]")
    if len(stamps) < 2 or (np.diff(stamps) != np.timedelta64(3600, "s")).any():
        raise DataError(f"{len(stamps)} times, expected at least 2, an hour apart")
    columns = {}
    for variable in VARIABLES:
        require_unit(hourly, units, variable)
        values = np.array(hourly[variable.asked], dtype=np.float64)
        if len(values) != len(stamps):
            raise DataError(f"{variable.asked} has {len(values)} values, expected {len(stamps)}")
        columns[variable.column] = hour_means(values, variable)
    known = np.flatnonzero(np.isfinite(list(columns.values())).all(axis=0))
    if not len(known) or known[-1] - known[0] + 1 != len(known):
        raise DataError(f"{len(known)} complete hours, expected some and no hole between them")
    frame = pd.DataFrame(
        {
            "site": site,
            "issued_utc": np.datetime64(issued_utc, "s"),
            "ts_utc": stamps[:-1],
            **columns,
        }
    )
    return frame.iloc[known[0] : known[-1] + 1]


def _prefix(place: Place) -> str:
    return f"weather_forecast_{place.latitude_deg}_{place.longitude_deg}_"


def _file(cache: Path, place: Place, issued_utc: datetime) -> Path:
    """The path of a stored forecast; its name contains the issue time."""
    return cache / f"{_prefix(place)}{issued_utc:%Y%m%dT%H%M%SZ}.json"


def _issued_of(path: Path) -> datetime:
    return datetime.strptime(path.stem.rsplit("_", 1)[1], "%Y%m%dT%H%M%SZ")


def _newest_kept(cache: Path, place: Place, now_utc: datetime, max_age_h: float) -> Path | None:
    """The newest forecast in ``cache`` issued before now, but not too long before."""
    oldest = now_utc - timedelta(hours=max_age_h)
    kept = [
        path
        for path in cache.glob(f"{_prefix(place)}*Z.json")
        if oldest <= _issued_of(path) <= now_utc
    ]
    return max(kept, key=_issued_of, default=None)
