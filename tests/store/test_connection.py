from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from small_store import building, dataset, household

from ems.errors import DataError
from ems.store.build import build_database
from ems.store.connection import get_con, is_locked, results_reader, results_transaction
from ems.store.read import read_history

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


def test_a_truncated_database(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:5000])
    refusal(database)


def test_a_database_of_someone_else(tmp_path: Path) -> None:
    path = tmp_path / "other.duckdb"
    duckdb.connect(str(path)).close()
    assert "not a database of ems" in refusal(path)


def test_an_older_schema(database: Path) -> None:
    with duckdb.connect(str(database)) as con:
        con.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    assert "schema version is 0, expected 1" in refusal(database)


def test_a_half_written_database(database: Path) -> None:
    with duckdb.connect(str(database)) as con:
        con.execute("DELETE FROM meta WHERE key = 'data_hash'")
    assert "half written" in refusal(database)


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


def test_a_locked_results_database(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(DataError, match="locked by another process"),
            results_transaction(path),
        ):
            pass
        holder.communicate("\n")


def test_results_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file, not a folder")
    with (
        pytest.raises(DataError, match="cannot be opened"),
        results_transaction(tmp_path / "results" / "ems_results.duckdb"),
    ):
        pass


def test_a_damaged_results_database(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(DataError, match="cannot be opened"), results_transaction(path):
        pass


def test_results_of_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    with results_transaction(path) as con:
        con.execute("UPDATE meta SET value = '0'")
    for opened in (results_transaction, results_reader):
        with pytest.raises(DataError, match="results schema version is 0"), opened(path):
            pass


def test_results_that_do_not_exist_yet(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="there are no results yet"),
        results_reader(tmp_path / "none.duckdb"),
    ):
        pass


def test_a_database_without_one_of_its_tables_takes_one_line(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "broken.duckdb")) as con:
        con.execute("CREATE TABLE building (building VARCHAR)")
        with pytest.raises(DataError, match=r"measurements: cannot be read .*build_duckdb"):
            read_history(con, "DE_KN_residential1")


def test_a_checksum_error_is_not_taken_for_a_lock() -> None:
    assert is_locked(RuntimeError("Could not set lock on file"))
    assert not is_locked(RuntimeError("Corrupt database file: computed checksum of block 3"))
