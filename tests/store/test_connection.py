from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from small_store import building, dataset, household

from ems.errors import DataError
from ems.store import connection
from ems.store.build import build_database
from ems.store.connection import get_con, is_locked, results_reader, results_transaction
from ems.store.read import list_buildings, portfolio, read_history

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "ems_data.duckdb"
    build_database(dataset(building({"grid_import": household(3)})), path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        get_con(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "python scripts/build_duckdb.py" in message
    return message


@pytest.mark.smoke
def test_it_is_read_only(database: Path) -> None:
    with get_con(database) as con, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        con.execute("DELETE FROM reading")


def test_a_missing_database(tmp_path: Path) -> None:
    assert "there is no database here" in refusal(tmp_path / "none.duckdb")


@pytest.mark.parametrize("content", [b"", b"not a database", b"\0" * 20000])
def test_a_damaged_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ems_data.duckdb"
    path.write_bytes(content)
    refusal(path)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE meta SET value = '0' WHERE key = 'schema_version'", "schema version is 0, expect"),
        ("DELETE FROM meta WHERE key = 'data_hash'", "half written"),
        ("DROP TABLE meta", "not a database of ems"),
    ],
)
def test_a_database_that_is_not_as_built(database: Path, sql: str, says: str) -> None:
    with duckdb.connect(str(database)) as con:
        con.execute(sql)
    assert says in refusal(database)


def test_a_transaction_writes_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results" / "ems_results.duckdb"
    with results_transaction(path) as con:
        con.execute("INSERT INTO meta VALUES ('kept', 'yes')")
    with contextlib.suppress(KeyError), results_transaction(path) as con:
        con.execute("INSERT INTO meta VALUES ('lost', 'yes')")
        raise KeyError("something else went wrong")
    with results_reader(path) as con:
        keys = {row[0] for row in con.execute("SELECT key FROM meta").fetchall()}
    assert keys == {"schema_version", "kept"}


@contextlib.contextmanager
def held(path: Path, code: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Another process has the file open for writing."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.communicate("\n")


def test_a_locked_results_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOCK_PATIENCE_S", 0.2)
    path = tmp_path / "ems_results.duckdb"
    with (
        held(path),
        pytest.raises(DataError, match="locked by another process"),
        results_transaction(path),
    ):
        pass


def test_the_short_transaction_of_another_process_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    with held(path, HOLD.replace("input()", "time.sleep(0.5)").replace("sys;", "sys, time;")):
        with results_transaction(path) as con:
            con.execute("INSERT INTO meta VALUES ('written', 'after all')")
        with results_reader(path) as con:
            assert ("written",) in con.execute("SELECT key FROM meta").fetchall()


def test_results_in_a_folder_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB opens such a file and fails at the end, when it makes its log beside it."""
    path = tmp_path / "ems_results.duckdb"
    wal = f'Failed to commit: Cannot open file "{path}.wal": Permission denied'

    class Unwritable:
        def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
            self.con, self.close = con, con.close

        def execute(self, sql: str, values: object = None) -> duckdb.DuckDBPyConnection:
            if sql == "COMMIT":
                raise duckdb.TransactionException(wal)
            return self.con.execute(sql, values)

    opened = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *a, **k: Unwritable(opened(*a, **k)))
    with (
        pytest.raises(DataError, match=r"written .*Permission denied.*check permissions") as caught,
        results_transaction(path),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_statement_stays_a_bug(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    for opened in (results_transaction, results_reader):
        with pytest.raises(duckdb.CatalogException), opened(path) as con:
            con.execute("SELECT * FROM nowhere")
        with results_transaction(path):
            pass


def test_results_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a database" * 1000)
    for place, opened, says in (
        (tmp_path / "file" / "ems_results.duckdb", results_transaction, "cannot be opened"),
        (tmp_path / "file", results_transaction, r"is damaged .*move it away"),
        (tmp_path / "none.duckdb", results_reader, "there are no results yet"),
    ):
        with pytest.raises(DataError, match=says), opened(place):
            pass


@pytest.mark.parametrize("opened", [results_transaction, results_reader])
def test_results_with_a_wrong_checksum_are_damaged_and_not_locked(
    tmp_path: Path, opened: Callable[[Path], contextlib.AbstractContextManager[object]]
) -> None:
    path = tmp_path / "ems_results.duckdb"
    with results_transaction(path):
        pass
    content = bytearray(path.read_bytes())
    content[4096:4120] = b"x" * 24
    content[8192:8216] = b"x" * 24
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged .*move it away"), opened(path):
        pass


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE books (title VARCHAR)",
        "CREATE TABLE run (miles DOUBLE)",
        "CREATE TABLE meta (author VARCHAR); CREATE TABLE run (miles DOUBLE)",
        "CREATE TABLE run (miles DOUBLE); CREATE TABLE meta AS SELECT 'schema_version' AS key, "
        f"'{connection.RESULTS_SCHEMA_VERSION}' AS value",
    ],
)
def test_results_in_a_database_of_someone_else(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "ems_results.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(sql)
    before = path.read_bytes()
    for opened in (results_transaction, results_reader):
        with pytest.raises(DataError, match="not a results database of ems; move"), opened(path):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("opened", [results_transaction, results_reader])
def test_results_in_the_measurements_or_of_another_schema(
    tmp_path: Path,
    database: Path,
    opened: Callable[[Path], contextlib.AbstractContextManager[object]],
) -> None:
    older = tmp_path / "ems_results.duckdb"
    with results_transaction(older) as con:
        con.execute("UPDATE meta SET value = '0'")
    for path, says in ((database, "not a results"), (older, "results schema version is 0")):
        with pytest.raises(DataError, match=says), opened(path):
            pass


READERS: tuple[Callable[[duckdb.DuckDBPyConnection], object], ...] = (
    list_buildings,
    portfolio,
    lambda con: read_history(con, "DE_KN_residential9"),
)


@pytest.mark.parametrize("read", READERS)
def test_a_database_without_one_of_its_tables(
    database: Path, read: Callable[[duckdb.DuckDBPyConnection], object]
) -> None:
    with duckdb.connect(str(database)) as con:
        con.execute("DROP VIEW building_hour; DROP VIEW building_step; DROP TABLE building")
    with get_con(database) as con, pytest.raises(DataError) as caught:
        read(con)
    message = str(caught.value)
    assert f"{database}: cannot be read (" in message
    assert message.endswith(f"python scripts/build_duckdb.py --db {database}")


def test_a_database_with_damaged_readings(tmp_path: Path) -> None:
    """Whatever block is hit: what is read is right, or it is one line, and it can be rebuilt."""
    path = tmp_path / "ems data.duckdb"
    data = dataset(building({"grid_import": household(900)}))
    build_database(data, path)
    whole = path.read_bytes()
    said = []
    for block in range(3 * 4096, len(whole), 262144):
        damaged = bytearray(whole)
        damaged[block + 1000 : block + 1100] = b"x" * 100
        path.write_bytes(damaged)
        try:
            with get_con(path) as con:
                read_history(con, "DE_KN_residential9")
        except DataError as error:
            said.append(str(error))
    deep = [line for line in said if "cannot be read (Corrupt database file" in line]
    assert deep
    for line in deep:
        assert line.endswith(f"build it with: python scripts/build_duckdb.py --db '{path}'")


def test_a_database_that_is_being_written(database: Path) -> None:
    with held(database), pytest.raises(DataError, match="is being written by another") as caught:
        get_con(database)
    assert "build it" not in str(caught.value)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (duckdb, "connect", duckdb.IOException("IO Error: Cannot open file: Permission denied")),
        (Path, "is_file", PermissionError(13, "Permission denied")),
    ],
)
def test_what_may_not_be_read(
    database: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(DataError, match=r"may not be read .*; check its permissions"):
        get_con(database)


def test_a_checksum_error_is_not_taken_for_a_lock() -> None:
    assert is_locked(RuntimeError("Could not set lock on file"))
    assert not is_locked(RuntimeError("Corrupt database file: computed checksum of block 3"))
    assert not is_locked(RuntimeError("Cannot open file /lock/a.duckdb: Permission denied"))
