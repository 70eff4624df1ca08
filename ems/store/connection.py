"""Open the two databases: measurements read-only, results in short transactions."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb

from ems.errors import DataError

LOCK_PATIENCE_S = 10.0
LOCK_PAUSE_S = 0.05
"""Maximum wait for other processes' transactions on the results [s], and the pause between attempts
[s]."""

SCHEMA_VERSION = "3"
"""Version of ``schema/data.sql``; a database of another version must be rebuilt."""

RESULTS_SCHEMA_VERSION = "6"
"""Version of ``schema/results.sql``."""

RESULTS_TABLES = frozenset(
    {
        *("meta", "run", "day_result", "horizon_step", "plan_step", "pmf_update"),
        *("community_home", "community_step"),
        *("market_auction", "market_order", "market_message", "market_bidder"),
    }
)
"""The tables of ``schema/results.sql``."""

_ABOUT_THE_FILE = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.SerializationException,
    duckdb.TransactionException,
)
"""DuckDB errors about the file; a wrong checksum is a bare ``duckdb.Error``."""


def schema_sql(name: str) -> str:
    """The text of one file of ``ems/store/schema``."""
    return files("ems.store").joinpath("schema", name).read_text(encoding="utf-8")


def get_con(path: str | Path) -> duckdb.DuckDBPyConnection:
    """Open the measurements database read-only.

    Raises :class:`DataError` if it is missing, damaged, half-written, of another schema, held by
    another process or unreadable for this user.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(
                f"{path}: is a folder; give the database in it, such as ems_data.duckdb"
            )
        if not path.is_file():
            raise DataError(f"{path}: there is no database here; {_rebuild(path)}")
        con = duckdb.connect(str(path), read_only=True)
    except (duckdb.Error, OSError) as error:
        raise DataError(f"{path}: {_why_closed(error, path)}") from error
    try:
        _require_schema(con, path)
    except DataError:
        con.close()
        raise
    return con


def _require_schema(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise unless ``meta`` describes a complete database of the current schema."""
    try:
        meta = read_meta(con)
    except duckdb.Error as error:
        raise DataError(
            f"{path}: not a database of ems ({_first_line(error)}); move it away; {_rebuild(path)}"
        ) from error
    version = meta.get("schema_version", "none")
    if version != SCHEMA_VERSION:
        cure = _rebuild(path) if meta.get("synthetic") == "true" else _rebuild_from(meta, path)
        raise DataError(f"{path}: schema version is {version}, expected {SCHEMA_VERSION}; {cure}")
    if "data_hash" not in meta:
        raise DataError(f"{path}: was only half written (no data_hash); {_rebuild(path)}")


def _why_closed(error: Exception, path: Path) -> str:
    """Why the measurements cannot be opened, and what to do."""
    if is_locked(error):
        return "is being written by another process; wait for it to end or close it"
    if _is_forbidden(error):
        return f"may not be read ({_first_line(error)}); check its permissions"
    return f"cannot be opened ({_first_line(error)}); move it away; {_rebuild(path)}"


def _rebuild(path: object) -> str:
    """The command that builds this database, quoted for a shell."""
    return f"build it with: python scripts/build_duckdb.py --db {shlex.quote(str(path))}"


def _rebuild_from(meta: Mapping[str, str], path: object) -> str:
    """What to do about a database of measurements, which the twin must not replace."""
    return (
        f"build it again from what it was made of ({meta.get('source', 'unknown')}): python "
        f"scripts/build_duckdb.py --source … --db {shlex.quote(str(path))} (docs/sources.md)"
    )


@contextmanager
def reading(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Turn DuckDB's errors on damaged or missing measurements into a ``DataError``."""
    path = "measurements"
    try:
        sql = "SELECT path FROM duckdb_databases() WHERE NOT internal"
        path = str(con.execute(sql).fetchall()[0][0])
        yield
    except duckdb.Error as error:
        raise DataError(
            f"{path}: cannot be read ({_first_line(error)}); {_rebuild(path)}"
        ) from error


def read_meta(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The table ``meta``: source, licence, synthetic, hashes, schema version."""
    return dict(con.execute("SELECT key, value FROM meta").fetchall())


@contextmanager
def results_transaction(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One short transaction on the results database, created on first use.

    Everything inside is written or nothing. Raises :class:`DataError` if the database is locked by
    another process, read-only, damaged or of another schema.
    """
    path = Path(path)
    con = _open_results(path, read_only=False)
    try:
        con.execute("BEGIN")
        _create_results(con, path)
        yield con
        con.execute("COMMIT")
    except duckdb.Error as error:
        if not _is_about_the_file(error):
            # An error in a statement of ours is a bug and keeps its traceback.
            raise
        raise DataError(f"{path}: {_why_no_results(error)}") from error
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # how DuckDB passes on Ctrl-C
            raise
        raise KeyboardInterrupt from error
    finally:
        con.close()


@contextmanager
def results_reader(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The results database, read-only; :class:`DataError` as for a transaction."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there are no results yet; run: python scripts/01_run.py")
    con = _open_results(path, read_only=True)
    try:
        _require_results_schema(con, path)
        yield con
    except duckdb.Error as error:
        if not _is_about_the_file(error):
            raise
        raise DataError(f"{path}: {_why_no_results(error)}") from error
    finally:
        con.close()


def _open_results(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection, or a one-line reason why there is none."""
    until = time.monotonic() + LOCK_PATIENCE_S
    # Results are written by parallel runs; each holds the lock for milliseconds.
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return duckdb.connect(str(path), read_only=read_only)
        except (duckdb.Error, OSError) as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise DataError(f"{path}: {_why_no_results(error)}") from error
        time.sleep(LOCK_PAUSE_S)


def _why_no_results(error: Exception) -> str:
    """Why the results cannot be read or written, and what to do."""
    said = _first_line(error)
    if is_locked(error):
        reason = "is locked by another process; wait for it or close it"
    elif "corrupt" in said.lower() or "not a valid" in said:
        reason = f"is damaged ({said}); move it away, a new one is made"
    else:
        reason = f"cannot be opened or written ({said}); check permissions or move it away"
    return f"the results database {reason}"


def _create_results(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Create the tables of a new results database; refuse one of another kind or schema."""
    if not table_names(con):
        con.execute(schema_sql("results.sql"))
        con.execute("INSERT INTO meta VALUES ('schema_version', ?)", [RESULTS_SCHEMA_VERSION])
    _require_results_schema(con, path)


def _require_results_schema(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise unless ``meta`` describes a results database of the current schema."""
    foreign = DataError(
        f"{path}: not a results database of ems; move it away or give other --results"
    )
    names = table_names(con)
    if not {"meta", "run"} <= names:
        raise foreign
    try:
        version = read_meta(con).get("schema_version", "none")
    except duckdb.BinderException as error:  # a foreign table called meta
        raise foreign from error
    if version != RESULTS_SCHEMA_VERSION:
        raise DataError(
            f"{path}: results schema version is {version}, expected {RESULTS_SCHEMA_VERSION}; "
            "move the file away, a new one is made"
        )
    if names < RESULTS_TABLES:
        raise foreign


def table_names(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The tables of an open database."""
    return frozenset(name for (name,) in con.execute("SHOW TABLES").fetchall())


def is_locked(error: Exception) -> bool:
    """Whether a DuckDB error means that another process holds the file."""
    # DuckDB has no error class for it, and words it differently on Windows.
    text = str(error).lower()
    return "could not set lock" in text or "used by another process" in text


def _is_about_the_file(error: duckdb.Error) -> bool:
    """Whether the file failed, not one of our statements."""
    return type(error) is duckdb.Error or isinstance(error, _ABOUT_THE_FILE)


def _is_forbidden(error: Exception) -> bool:
    """Whether file or folder permissions are the cause."""
    text = str(error).lower()
    return "permission denied" in text or "read-only file system" in text


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
