"""Read the measurements database: one query a table, whole columns at a time."""

from __future__ import annotations

import duckdb
import numpy as np

from ems.errors import DataError
from ems.history import Feed, Floats, Instants, MeterHistory
from ems.store.connection import read_meta

SPOT_ZONES = "DE-AT-LU/DE-LU"
"""The German bidding zone: with Austria until 2018-09-30, without since."""


def list_buildings(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The names of all buildings in alphabetical order."""
    rows = con.execute("SELECT building FROM building ORDER BY building").fetchall()
    return tuple(row[0] for row in rows)


def read_history(
    con: duckdb.DuckDBPyConnection, building: str, zone: str = SPOT_ZONES
) -> MeterHistory:
    """All meters of one building with prices and weather on its grid.

    ``zone``: a bidding zone, or several that follow each other in time, separated by ``/``.
    Raises :class:`DataError` for an unknown building or a zone without prices.
    """
    kind, timezone, step_h, first, n_steps, load_rule = _building_row(con, building)
    step = np.timedelta64(round(step_h * 3600), "s")
    ts_utc = np.datetime64(first, "s") + np.arange(n_steps) * step
    feeds = _feeds(con, building)
    energy = _energy(con, building, feeds, n_steps)
    meta = read_meta(con)
    return MeterHistory(
        building=building,
        kind=kind,
        timezone=timezone,
        step_h=step_h,
        ts_utc=ts_utc,
        feeds=feeds,
        energy_kwh=energy,
        load_kwh=load_of(feeds, energy, n_steps),
        pv_kwh=_sum_of([energy[f.name] for f in feeds if f.role == "pv"], n_steps),
        price_eur_per_mwh=_prices(con, zone, ts_utc),
        load_rule=load_rule,
        synthetic=meta["synthetic"] == "true",
        source=f"{meta['source']}; {meta['licence']}",
        data_hash=meta["data_hash"],
        weather=_weather(con, ts_utc),
    )


def load_of(feeds: tuple[Feed, ...], energy_kwh: dict[str, Floats], n_steps: int) -> Floats:
    """What the building used in each step [kWh], NaN where a meter it needs is not ok.

    load = import + Σ pv behind the import meter − export + Σ loads with a meter of their own
    """
    plus = [energy_kwh[f.name] for f in feeds if f.role == "import"]
    plus += [energy_kwh[f.name] for f in feeds if f.role == "pv" and f.behind_import]
    plus += [energy_kwh[f.name] for f in feeds if f.role == "load" and not f.behind_import]
    minus = [energy_kwh[f.name] for f in feeds if f.role == "export"]
    if not plus:
        return np.full(n_steps, np.nan)
    return _sum_of(plus, n_steps) - _sum_of(minus, n_steps)


def _sum_of(series: list[Floats], n_steps: int) -> Floats:
    return np.sum(series, axis=0) if series else np.zeros(n_steps)


def _building_row(con: duckdb.DuckDBPyConnection, building: str) -> tuple:  # type: ignore[type-arg]
    row = con.execute(
        "SELECT kind, timezone, step_h, first_ts_utc, n_steps, load_rule "
        "FROM building WHERE building = ?",
        [building],
    ).fetchone()
    if row is None:
        known = ", ".join(list_buildings(con))
        raise DataError(f"{building}: unknown building; the database has {known}")
    return row


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
    """For each feed the energy of each step [kWh], NaN where its quality is not ok."""
    columns = con.execute(
        "SELECT CASE WHEN quality = 'ok' THEN energy_kwh END AS energy_kwh "
        "FROM reading JOIN feed USING (building, feed) WHERE building = ? "
        "ORDER BY position, ts_utc",
        [building],
    ).fetchnumpy()
    table = _floats(columns["energy_kwh"]).reshape(len(feeds), n_steps)
    return {feed.name: table[row] for row, feed in enumerate(feeds)}


def _floats(column: object) -> Floats:
    """A numeric column of DuckDB with NaN for NULL."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan)


def _prices(con: duckdb.DuckDBPyConnection, zone: str, ts_utc: Instants) -> Floats:
    """The price of each step [€/MWh]: that of the market interval it starts in, NaN without one."""
    columns = con.execute(
        "SELECT ts_utc, step_h, eur_per_mwh FROM price WHERE list_contains(?, zone) "
        "ORDER BY ts_utc",
        [[zone, *zone.split("/")]],
    ).fetchnumpy()
    if not len(columns["ts_utc"]):
        return _without_prices(con, zone, ts_utc)
    return _held(
        np.asarray(columns["ts_utc"], dtype="datetime64[s]"),
        _floats(columns["step_h"]),
        _floats(columns["eur_per_mwh"]),
        ts_utc,
    )


def _without_prices(con: duckdb.DuckDBPyConnection, zone: str, ts_utc: Instants) -> Floats:
    """NaN for a database without any prices; an unknown zone is an error."""
    zones = [row[0] for row in con.execute("SELECT DISTINCT zone FROM price ORDER BY 1").fetchall()]
    if zones:
        raise DataError(f"zone {zone!r} has no prices; the database has {', '.join(zones)}")
    return np.full(len(ts_utc), np.nan)


def _held(starts: Instants, step_h: Floats, values: Floats, ts_utc: Instants) -> Floats:
    """Each value held over its own interval; NaN outside all intervals."""
    at = np.searchsorted(starts, ts_utc, side="right") - 1
    age_h = (ts_utc - starts[np.maximum(at, 0)]) / np.timedelta64(3600, "s")
    inside = (at >= 0) & (age_h < step_h[np.maximum(at, 0)])
    return np.where(inside, values[np.maximum(at, 0)], np.nan)


def _weather(con: duckdb.DuckDBPyConnection, ts_utc: Instants) -> dict[str, Floats]:
    """Each weather quantity at each step, held over its interval."""
    columns = con.execute(
        "SELECT quantity, ts_utc, value FROM weather ORDER BY quantity, ts_utc"
    ).fetchnumpy()
    quantity = np.asarray(columns["quantity"], dtype=str)
    instants = np.asarray(columns["ts_utc"], dtype="datetime64[s]")
    values = _floats(columns["value"])
    series: dict[str, Floats] = {}
    for name in np.unique(quantity):
        rows = quantity == name
        starts = instants[rows]
        step_h = np.full(len(starts), np.diff(starts).min() / np.timedelta64(3600, "s"))
        series[str(name)] = _held(starts, step_h, values[rows], ts_utc)
    return series
