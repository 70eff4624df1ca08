"""Open the two databases: measurements read-only, results in short read-write transactions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb

from ems.errors import DataError

LOCK_PATIENCE_S = 5.0
"""How long another process's short transaction on the results is waited for [s]."""

SCHEMA_VERSION = "1"
"""Version of ``schema/data.sql``; a database of another version must be built again."""

RESULTS_SCHEMA_VERSION = "2"
"""Version of ``schema/results.sql``."""

REBUILD = "build it with: python scripts/build_duckdb.py"


def schema_sql(name: str) -> str:
    """The text of one file of ``ems/store/schema``."""
    return files("ems.store").joinpath("schema", name).read_text(encoding="utf-8")


def get_con(path: str | Path) -> duckdb.DuckDBPyConnection:
    """Open the measurements database read-only.

    Raises :class:`DataError` when it is missing, damaged, half-written or of another schema.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no database here; {REBUILD}")
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise DataError(f"{path}: cannot be opened ({_first_line(error)}); {REBUILD}") from error
    try:
        _require_schema(con, path)
    except DataError:
        con.close()
        raise
    return con


def _require_schema(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise unless ``meta`` says this is a complete database of the current schema."""
    try:
        meta = read_meta(con)
    except duckdb.Error as error:
        raise DataError(
            f"{path}: not a database of ems ({_first_line(error)}); {REBUILD}"
        ) from error
    version = meta.get("schema_version", "none")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema version is {version}, expected {SCHEMA_VERSION}; {REBUILD}"
        )
    if "data_hash" not in meta:
        raise DataError(f"{path}: was only half written (meta has no data_hash); {REBUILD}")


def read_meta(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The table ``meta``: source, licence, synthetic, hashes, schema version."""
    return dict(con.execute("SELECT key, value FROM meta").fetchall())


@contextmanager
def results_transaction(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One short transaction on the results database, made on first use.

    Everything inside is written or nothing is. Raises :class:`DataError` when the database is
    locked by another process, read-only, damaged or of another schema.
    """
    path = Path(path)
    con = _open_results(path, read_only=False)
    try:
        con.execute("BEGIN")
        _create_results(con, path)
        yield con
        con.execute("COMMIT")
    except (duckdb.IOException, duckdb.FatalException) as error:
        raise DataError(f"{path}: writing results failed ({_first_line(error)})") from error
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # how DuckDB passes on Ctrl-C
            raise
        raise KeyboardInterrupt from error
    finally:
        con.close()


@contextmanager
def results_reader(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The results database for reading only; :class:`DataError` as for a transaction."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there are no results yet; run: python scripts/01_run.py")
    con = _open_results(path, read_only=True)
    try:
        _require_results_schema(con, path)
        yield con
    finally:
        con.close()


def _open_results(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection, or a one-line reason why there is none."""
    until = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return duckdb.connect(str(path), read_only=read_only)
        except (duckdb.Error, OSError) as error:
            locked = is_locked(error)
            if locked and time.monotonic() < until:
                time.sleep(0.1)
                continue
            if locked:
                reason = "is locked by another process; wait for it or close it"
            else:
                reason = (
                    f"cannot be opened ({_first_line(error)}); check permissions or move it away"
                )
            raise DataError(f"{path}: the results database {reason}") from error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what DuckDB finds damaged or missing while ``what`` is read into one clear line."""
    try:
        yield
    except duckdb.Error as error:
        raise DataError(f"{what}: cannot be read ({_first_line(error)}); {REBUILD}") from error


def _create_results(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the tables of a new results database; refuse one of another schema."""
    if not con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'meta'").fetchall():
        con.execute(schema_sql("results.sql"))
        con.execute("INSERT INTO meta VALUES ('schema_version', ?)", [RESULTS_SCHEMA_VERSION])
    _require_results_schema(con, path)


def _require_results_schema(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise unless ``meta`` says this is a results database of the current schema."""
    try:
        version = read_meta(con).get("schema_version", "none")
    except duckdb.Error as error:
        raise DataError(f"{path}: not a results database of ems; move it away") from error
    if version != RESULTS_SCHEMA_VERSION:
        raise DataError(
            f"{path}: results schema version is {version}, expected {RESULTS_SCHEMA_VERSION}; "
            "move the file away, a new one is made"
        )


def is_locked(error: Exception) -> bool:
    """Whether an error of DuckDB says that another process holds the file."""
    return bool(re.search(r"\block\b", str(error), re.IGNORECASE))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
