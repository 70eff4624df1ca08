"""Read the measurements database: one query per table, whole columns at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.site.meters import Category, Feed, LoadRule, MeterData, load_kwh, sum_kwh
from ems.site.place import Place
from ems.site.weather import RecordedWeather
from ems.store.connection import read_meta, reading
from ems.store.ingest.dataset import BuildingData
from ems.store.quality import Finding
from ems.types import Floats, Instants

SPOT_ZONES = "DE-AT-LU/DE-LU"
"""The German bidding zone: with Austria until 2018-09-30, without since."""


def list_buildings(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The names of all buildings in alphabetical order."""
    with reading(con):
        rows = con.execute("SELECT building FROM building ORDER BY building").fetchall()
    return tuple(row[0] for row in rows)


def read_history(
    con: duckdb.DuckDBPyConnection, building: str, zone: str = SPOT_ZONES
) -> MeterData:
    """All meters of one building with prices and weather on its grid, and recorded forecasts.

    ``zone``: a bidding zone, or several consecutive ones separated by ``/``. Raises
    :class:`DataError` for an unknown building, a zone without prices or a damaged database.
    """
    with reading(con):
        return _history(con, building, zone)


def _history(con: duckdb.DuckDBPyConnection, building: str, zone: str) -> MeterData:
    data, meta = _meters(con, building), read_meta(con)
    return MeterData(
        building=building,
        kind=data.kind,
        place=data.place,
        timezone=data.timezone,
        step_h=data.step_h,
        ts_utc=data.ts_utc,
        feeds=data.feeds,
        energy_kwh=data.energy_kwh,
        load_kwh=load_kwh(data),
        pv_kwh=sum_kwh(data, "pv", behind_import=None),
        price_eur_per_mwh=_prices(con, zone, data.ts_utc, data.step_h),
        load_rule=data.load_rule,
        synthetic=meta["synthetic"] == "true",
        source=f"{meta['source']}; {meta['licence']}",
        data_hash=meta["data_hash"],
        weather=_weather(con, data.ts_utc, data.step_h),
        weather_forecast=_weather_forecast(con),
    )


def _meters(con: duckdb.DuckDBPyConnection, building: str) -> BuildingData:
    """The meters of a building; what a quality rule marked is NaN."""
    kind, timezone, step_h, first, n_steps, load_rule, *where = _building_row(con, building)
    step = np.timedelta64(round(step_h * 3600), "s")
    feeds = _feeds(con, building)
    return BuildingData(
        building=building,
        kind=kind,
        place=_place(*where),
        timezone=timezone,
        step_h=step_h,
        ts_utc=np.datetime64(first, "s") + np.arange(n_steps) * step,
        feeds=feeds,
        energy_kwh=_energy(con, building, feeds, n_steps),
        load_rule=load_rule,
    )


def _building_row(con: duckdb.DuckDBPyConnection, building: str) -> tuple:  # type: ignore[type-arg]
    row = con.execute(
        "SELECT kind, timezone, step_h, first_ts_utc, n_steps, load_rule, place, latitude_deg, "
        "longitude_deg, country, subdivision FROM building WHERE building = ?",
        [building],
    ).fetchone()
    if row is None:
        known = ", ".join(list_buildings(con))
        raise DataError(f"{building}: unknown building; the database has {known}")
    return row


def _place(
    name: str, latitude_deg: float, longitude_deg: float, country: str, subdivision: str
) -> Place:
    return Place(
        name=name,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        country=country,
        subdivision=subdivision,
    )


def _feeds(con: duckdb.DuckDBPyConnection, building: str) -> tuple[Feed, ...]:
    rows = con.execute(
        "SELECT feed, role, category, behind_import FROM feed WHERE building = ? ORDER BY position",
        [building],
    ).fetchall()
    return tuple(
        Feed(name=name, role=role, category=category, behind_import=behind)
        for name, role, category, behind in rows
    )


def _energy(
    con: duckdb.DuckDBPyConnection, building: str, feeds: tuple[Feed, ...], n_steps: int
) -> dict[str, Floats]:
    """The energy of each step by feed [kWh], NaN where its quality is not ok."""
    columns = con.execute(
        "SELECT CASE WHEN quality = 'ok' THEN energy_kwh END AS energy_kwh "
        "FROM reading JOIN feed USING (building, feed) WHERE building = ? "
        "ORDER BY position, ts_utc",
        [building],
    ).fetchnumpy()
    # Ordered by feed and time, so that one reshape gives a row for each feed.
    table = _floats(columns["energy_kwh"]).reshape(len(feeds), n_steps)
    return {feed.name: table[row] for row, feed in enumerate(feeds)}


def _floats(column: object) -> Floats:
    """A numeric column of DuckDB with NaN for NULL."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan)


def _prices(con: duckdb.DuckDBPyConnection, zone: str, ts_utc: Instants, step_h: float) -> Floats:
    """The mean price over each step [€/MWh], NaN where part of it is missing.

    Hourly prices are repeated over quarter-hours; quarter-hourly prices are averaged over hours.
    """
    columns = con.execute(
        "SELECT ts_utc, step_h, eur_per_mwh FROM price WHERE list_contains(?, zone) "
        "ORDER BY ts_utc",
        [[zone, *zone.split("/")]],
    ).fetchnumpy()
    market_step_h = _floats(columns["step_h"])
    if not len(market_step_h):
        return _without_prices(con, zone, ts_utc)
    starts = np.asarray(columns["ts_utc"], dtype="datetime64[s]")
    return _means(starts, market_step_h, _floats(columns["eur_per_mwh"]), ts_utc, step_h)


def _without_prices(con: duckdb.DuckDBPyConnection, zone: str, ts_utc: Instants) -> Floats:
    """NaN for a database without any prices; an unknown zone raises."""
    zones = [row[0] for row in con.execute("SELECT DISTINCT zone FROM price ORDER BY 1").fetchall()]
    if zones:
        raise DataError(f"zone {zone!r} has no prices; the database has {', '.join(zones)}")
    return np.full(len(ts_utc), np.nan)


def _means(
    starts: Instants, held_h: Floats, values: Floats, ts_utc: Instants, step_h: float
) -> Floats:
    """The mean over each step of values that hold from ``starts`` on for ``held_h`` hours.

    Steps may lie across the intervals, as hours of a zone of half an hour do.
    """
    apart_s = int((ts_utc[0] - starts[0]) / np.timedelta64(1, "s"))
    step_s = round(step_h * 3600)
    part_s = math.gcd(step_s, round(held_h.min() * 3600), apart_s)
    parts = [
        _held(starts, held_h, values, ts_utc + np.timedelta64(k * part_s, "s"))
        for k in range(step_s // part_s)
    ]
    means: Floats = np.mean(parts, axis=0)
    return means


def _held(starts: Instants, step_h: Floats, values: Floats, ts_utc: Instants) -> Floats:
    """Each value held over its own interval; NaN outside all intervals."""
    at = np.maximum(np.searchsorted(starts, ts_utc, side="right") - 1, 0)
    age_h = (ts_utc - starts[at]) / np.timedelta64(3600, "s")
    return np.where((age_h >= 0) & (age_h < step_h[at]), values[at], np.nan)


def _weather(con: duckdb.DuckDBPyConnection, ts_utc: Instants, step_h: float) -> dict[str, Floats]:
    """The mean of each weather quantity over each step."""
    rows = con.execute(
        "SELECT quantity, count(*) FROM weather GROUP BY quantity ORDER BY quantity"
    ).fetchall()
    columns = con.execute(
        "SELECT ts_utc, value FROM weather ORDER BY quantity, ts_utc"
    ).fetchnumpy()
    ends = np.cumsum([n for _, n in rows])[:-1].astype(np.int64)
    instants = np.split(np.asarray(columns["ts_utc"], dtype="datetime64[s]"), ends)
    values = np.split(_floats(columns["value"]), ends)
    return {
        name: _means(starts, np.full(len(starts), _step_h(starts)), series, ts_utc, step_h)
        for (name, _), starts, series in zip(rows, instants, values, strict=False)
    }


def _weather_forecast(con: duckdb.DuckDBPyConnection) -> RecordedWeather | None:
    """All recorded weather forecasts, None if there are none."""
    (found,) = con.execute("SELECT count(*) FROM weather_forecast").fetchall()
    return read_weather_forecast(con) if found[0] else None


def read_weather_forecast(con: duckdb.DuckDBPyConnection) -> RecordedWeather:
    """All recorded weather forecasts. :class:`DataError` if there are none."""
    with reading(con):
        rows = con.execute(
            "SELECT site, issued_utc, ts_utc, quantity, value FROM weather_forecast "
            "ORDER BY issued_utc, ts_utc"
        ).df()
    if rows.empty:
        raise DataError(
            "weather_forecast: the database has none recorded; build it again with "
            "--weather_forecast, or plan with persisting weather"
        )
    wide = rows.pivot(index=["site", "issued_utc", "ts_utc"], columns="quantity", values="value")
    keys = wide.index.to_frame(index=False)
    ts_utc = np.asarray(keys["ts_utc"], dtype="datetime64[s]")
    issued_utc, begin, of_issue = np.unique(
        np.asarray(keys["issued_utc"], dtype="datetime64[s]"),
        return_index=True,
        return_inverse=True,
    )
    # Steps are compared within one issue only; two issues overlap.
    same = np.diff(of_issue) == 0
    step = np.diff(ts_utc)[same].min() if same.any() else np.timedelta64(3600, "s")
    lead = ((ts_utc - ts_utc[begin][of_issue]) / step).astype(np.int64)

    def table(column: pd.Series) -> Floats:
        found = np.full((len(issued_utc), int(lead.max()) + 1), np.nan)
        found[of_issue, lead] = column.to_numpy()
        return found

    return RecordedWeather(
        site=str(keys["site"].iloc[0]),
        issued_utc=issued_utc,
        first_utc=ts_utc[begin],
        step_h=float(step / np.timedelta64(3600, "s")),
        values={str(name): table(wide[name]) for name in wide.columns},
    )


def _step_h(starts: Instants) -> float:
    """The regular step of a series [h]."""
    return float(np.diff(starts).min() / np.timedelta64(3600, "s")) if len(starts) > 1 else 1.0


@dataclass(frozen=True, kw_only=True)
class FeedProblem:
    """The finding of a quality rule on one feed, and its number of local days."""

    feed: str
    rule: str
    days: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class PortfolioRow:
    """One building of the portfolio table.

    ``days``: local days in the record; ``plannable_days``: complete local days with load and
    generation known in every step. ``metered_*``: meter totals regardless of quality [kWh];
    ``known_load_kwh``, ``pv_peak_kw``: valid readings only. Without an import meter the load is
    unknown.
    """

    building: str
    kind: str
    days: int
    plannable_days: int
    load_rule: LoadRule
    known_load_kwh: float
    metered_import_kwh: float
    metered_export_kwh: float
    metered_pv_kwh: float
    pv_peak_kw: float
    devices: Mapping[Category, tuple[str, ...]]
    has_import_meter: bool
    problems: tuple[FeedProblem, ...]


def portfolio(con: duckdb.DuckDBPyConnection) -> tuple[PortfolioRow, ...]:
    """One row per building, in alphabetical order. :class:`DataError` for a damaged database."""
    with reading(con):
        return tuple(_portfolio_row(con, building) for building in list_buildings(con))


def _portfolio_row(con: duckdb.DuckDBPyConnection, building: str) -> PortfolioRow:
    """Reads only the meters: prices and weather are the same for all and take longer."""
    data, by_role = _meters(con, building), _metered_by_role(con, building)
    used_kwh, pv_kwh = load_kwh(data), sum_kwh(data, "pv", behind_import=None)
    known = pd.Series(
        np.isfinite(used_kwh) & np.isfinite(pv_kwh), index=pd.DatetimeIndex(data.ts_utc, tz="UTC")
    )
    days, plannable = _day_counts(known.tz_convert(data.timezone), data.step_h)
    devices: dict[Category, tuple[str, ...]] = {}
    for feed in data.feeds:
        if feed.role == "load":
            devices[feed.category] = (*devices.get(feed.category, ()), feed.name)
    return PortfolioRow(
        building=building,
        kind=data.kind,
        days=days,
        plannable_days=plannable,
        load_rule=data.load_rule,
        known_load_kwh=float(np.nansum(used_kwh)),
        metered_import_kwh=by_role.get("import", 0.0),
        metered_export_kwh=by_role.get("export", 0.0),
        metered_pv_kwh=by_role.get("pv", 0.0),
        pv_peak_kw=float(np.nanmax(pv_kwh, initial=0.0)) / data.step_h,
        devices=devices,
        has_import_meter=any(feed.role == "import" for feed in data.feeds),
        problems=_problems(con, building),
    )


def _metered_by_role(con: duckdb.DuckDBPyConnection, building: str) -> dict[str, float]:
    rows = con.execute(
        "SELECT role, coalesce(sum(energy_kwh), 0) FROM reading JOIN feed USING (building, feed) "
        "WHERE building = ? GROUP BY role",
        [building],
    ).fetchall()
    return dict(rows)


def _problems(con: duckdb.DuckDBPyConnection, building: str) -> tuple[FeedProblem, ...]:
    rows = con.execute(
        "SELECT feed, rule, days, steps FROM finding WHERE building = ? ORDER BY days DESC, feed",
        [building],
    ).fetchall()
    return tuple(FeedProblem(feed=f, rule=r, days=d, steps=s) for f, r, d, s in rows)


def list_findings(con: duckdb.DuckDBPyConnection, building: str) -> tuple[Finding, ...]:
    """What the quality rules found in a building, the finding of most steps first."""
    with reading(con):
        rows = con.execute(
            "SELECT feed, rule, quality, steps, days, first_ts_utc, last_ts_utc FROM finding "
            "WHERE building = ? ORDER BY steps DESC, feed, rule",
            [building],
        ).fetchall()
    return tuple(
        Finding(
            building=building,
            feed=feed,
            rule=rule,
            quality=quality,
            steps=steps,
            days=days,
            span_utc=(np.datetime64(first, "s"), np.datetime64(last, "s")),
        )
        for feed, rule, quality, steps, days, first, last in rows
    )


def _day_counts(known: pd.Series, step_h: float) -> tuple[int, int]:
    """Local days in the record, and those with every step known; ``known`` has a local index."""
    local = pd.DatetimeIndex(known.index)
    steps = known.astype(int).groupby(local.normalize()).sum()
    first = pd.DatetimeIndex(steps.index)
    # A calendar day, so that clock-change days count 23 or 25 hours.
    length_h = ((first + pd.DateOffset(days=1)) - first) / pd.Timedelta(hours=1)
    return len(steps), int(np.sum(steps.to_numpy() == np.round(length_h / step_h)))
