"""Build the measurements database: in a temporary file, then renamed into place."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import astuple, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.catalogue import require_name
from ems.store.connection import (
    SCHEMA_VERSION,
    get_con,
    is_locked,
    read_meta,
    schema_sql,
    table_names,
)
from ems.store.ingest.dataset import BuildingData, Dataset
from ems.store.quality import QUALITIES, Finding, Judgement, judge
from ems.store.read import PortfolioRow, portfolio

_OUR_TABLES = frozenset({"meta", "building", "reading"})
"""Tables that identify a measurements database of any schema version."""


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """The result of a build: file, size and data hash."""

    path: Path
    synthetic: bool
    n_readings: int
    data_hash: str

    @cached_property
    def portfolio(self) -> tuple[PortfolioRow, ...]:
        """The contents of the database by building; read from it, which takes a second."""
        with closing(get_con(self.path)) as con:
            return portfolio(con)


def build_database(dataset: Dataset, target: Path) -> BuildReport:
    """Write a new database and replace ``target`` in one step.

    A crash leaves the old database unchanged. Raises :class:`DataError` if ``target`` cannot be
    written, holds anything but a measurements database, or another build is running, and for a
    building or feed whose name is not allowed.
    """
    require_replaceable(target, synthetic=dataset.meta["synthetic"] == "true")
    for data in dataset.buildings:
        require_name("building", data.building)
        for feed in data.feeds:
            require_name(f"{data.building}: feed", feed.name)
    beside = target.with_name(f".{target.name}.tmp")
    con = _open_beside(beside)
    try:
        n_readings = _fill(con, dataset)
        # Closed first: the file must be complete on disk before it is renamed.
        con.close()
        beside.replace(target)
    except (duckdb.IOException, OSError) as error:
        raise DataError(f"{target}: cannot be written ({str(error).splitlines()[0]})") from error
    finally:
        con.close()
        _remove(beside)
    return _report(target, n_readings)


def require_replaceable(target: Path, *, synthetic: bool) -> None:
    """Raise ``DataError`` unless a new database may replace ``target``.

    Allowed if nothing is there, or an empty file, or a measurements database of any schema. A
    ``synthetic`` one never replaces measurements.
    """
    if target.is_dir():
        raise DataError(
            f"'{target}': cannot be written, it is no file; name one, such as my.duckdb"
        )
    try:
        if not target.exists() or not target.stat().st_size:
            return
        with closing(duckdb.connect(str(target), read_only=True)) as con:
            tables = table_names(con)
            meta = read_meta(con) if tables >= _OUR_TABLES else {}
    except (duckdb.Error, OSError) as error:
        if is_locked(error):
            raise DataError(
                f"{target}: is in use by another process; wait for it to end"
            ) from error
        tables, meta = frozenset(), {}
    if not tables >= _OUR_TABLES:
        raise DataError(
            f"{target}: exists and is no measurements database of ems that can be read; delete it "
            "yourself or give another --db"
        )
    if synthetic and meta.get("synthetic") != "true":
        raise DataError(
            f"{target}: holds measurements ({meta.get('source', 'of unknown source')}), "
            "made-up data would replace them; say what to build with --source, give another "
            "--db, or delete it yourself"
        )


def _report(target: Path, n_readings: int) -> BuildReport:
    """The report, read back from the database."""
    with closing(get_con(target)) as con:
        meta = read_meta(con)
    return BuildReport(
        path=target,
        synthetic=meta["synthetic"] == "true",
        n_readings=n_readings,
        data_hash=meta["data_hash"],
    )


def _open_beside(beside: Path) -> duckdb.DuckDBPyConnection:
    """A new database file, after removing what an interrupted build left there."""
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        if beside.exists():
            _require_unlocked(beside)
            _remove(beside)
        return duckdb.connect(str(beside))
    except (duckdb.IOException, OSError) as error:
        raise DataError(f"{beside}: cannot be written ({error}); check permissions") from error


def _require_unlocked(beside: Path) -> None:
    """Raise if another build holds the file."""
    try:
        duckdb.connect(str(beside)).close()
    except duckdb.Error as error:
        if is_locked(error):
            raise DataError(f"{beside}: another build is under way; wait for it to end") from error


def _remove(beside: Path) -> None:
    for path in (beside, beside.with_name(f"{beside.name}.wal")):
        path.unlink(missing_ok=True)


def _fill(con: duckdb.DuckDBPyConnection, dataset: Dataset) -> int:
    """Write all tables, ``data_hash`` last as a mark of completeness. Returns the number of
    readings."""
    con.execute(schema_sql("data.sql"))
    con.execute("BEGIN")
    digest = hashlib.sha256()
    findings: list[Finding] = []
    n_readings = 0
    for data in dataset.buildings:
        judgement = judge(data)
        findings += judgement.findings
        _write_building(con, data)
        n_readings += _write_readings(con, data, judgement)
        digest.update(f"{data.building}/{data.place!r}".encode())
        for feed in data.feeds:
            digest.update(f"{data.building}/{feed}".encode())
            digest.update(np.ascontiguousarray(data.energy_kwh[feed.name]).tobytes())
    _write_findings(con, findings)
    _write_tables(con, dataset)
    for table in (dataset.prices, dataset.weather, dataset.weather_forecast):
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    meta = {**dataset.meta, "schema_version": SCHEMA_VERSION, "data_hash": digest.hexdigest()}
    con.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
    con.execute("COMMIT")
    return n_readings


def _write_building(con: duckdb.DuckDBPyConnection, data: BuildingData) -> None:
    con.execute(
        "INSERT INTO building VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            data.building,
            data.kind,
            *astuple(data.place),
            data.timezone,
            data.step_h,
            *_times(data.ts_utc[0]),
            len(data.ts_utc),
            data.load_rule,
        ],
    )
    con.executemany(
        "INSERT INTO feed VALUES (?, ?, ?, ?, ?, ?)",
        [
            (data.building, feed.name, position, feed.role, feed.category, feed.behind_import)
            for position, feed in enumerate(data.feeds)
        ],
    )


def _write_readings(
    con: duckdb.DuckDBPyConnection, data: BuildingData, judgement: Judgement
) -> int:
    """One row per feed and step, feeds one after the other. Returns the number of rows."""
    for feed in data.feeds:
        rows = pd.DataFrame(
            {
                "ts_utc": data.ts_utc,
                "energy_kwh": data.energy_kwh[feed.name],
                "quality": pd.Categorical.from_codes(
                    judgement.codes[feed.name], pd.Index(QUALITIES)
                ),
            }
        )
        con.register("rows", rows)
        con.execute(
            "INSERT INTO reading SELECT ?, ?, ts_utc, "
            # DuckDB keeps NaN and NULL apart; a gap is NULL.
            "CASE WHEN isnan(energy_kwh) THEN NULL ELSE energy_kwh END, quality FROM rows",
            [data.building, feed.name],
        )
        con.unregister("rows")
    return len(data.feeds) * len(data.ts_utc)


def _write_findings(con: duckdb.DuckDBPyConnection, findings: list[Finding]) -> None:
    rows = [
        (f.building, f.feed, f.rule, f.quality, f.steps, f.days, *_times(*f.span_utc))
        for f in findings
    ]
    if rows:
        con.executemany("INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _times(*instants: np.datetime64) -> tuple[datetime, ...]:
    """Instants as Python datetimes for DuckDB."""
    return tuple(instant.astype("datetime64[s]").item() for instant in instants)


def _write_tables(con: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    """Prices, weather and its forecasts in long form, and the twin's true PMFs.

    Raises ``DataError`` for weather with buildings in several places.
    """
    if len(dataset.weather) or len(dataset.weather_forecast):
        dataset.require_one_place()
    frames = {
        "price": dataset.prices,
        "true_pmf": dataset.true_pmf,
        "weather": _long("weather", dataset.weather, ["site", "ts_utc"]),
        "weather_forecast": _long(
            "weather_forecast", dataset.weather_forecast, ["site", "issued_utc", "ts_utc"]
        ),
    }
    for table, frame in frames.items():
        if len(frame):
            con.register("rows", frame)
            con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows")
            con.unregister("rows")


def _long(what: str, wide: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row per quantity and step. ``DataError`` unless there is exactly one site."""
    if not len(wide):
        return wide
    sites = sorted(set(wide["site"]))
    if len(sites) > 1:
        raise DataError(f"{what}: site has {len(sites)} values {sites}; expected one")
    return wide.melt(id_vars=keys, var_name="quantity", value_name="value")
