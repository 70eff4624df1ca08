"""Addresses of stores, and stores that are refused before any work, without MLflow."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from outside_server import serving

from ems.errors import TrackingError
from ems.tracking import address, pipeline_run, sqlite_uri, store_uri


@pytest.mark.parametrize(
    "text",
    [
        *("file:///runs", "mlruns", "sqlite://", "sqlite:///", "sqlite:///:memory:", "http://"),
        *("sqlite:///a%20b.db", "sqlite:///a.db?mode=ro", "postgresql://me:secret@host/db"),
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(TrackingError, match="allowed are sqlite:///PATH") as bad:
        store_uri(text)
    assert "secret" not in str(bad.value)


def test_addresses_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri("sqlite:///runs/ü b.db") == f"sqlite:///{tmp_path}/runs/ü b.db"
    assert store_uri(f"sqlite:///{tmp_path}/m.db") == f"sqlite:///{tmp_path}/m.db"
    assert store_uri("https://mlflow.example.org/") == "https://mlflow.example.org"


def refused(uri: str) -> str:
    """The one line with which a store is refused before any work."""
    with (
        pytest.raises(TrackingError) as bad,
        pipeline_run(uri, experiment="e", name="p", parameters={}),
    ):
        pytest.fail("the pipeline has started")
    assert "\n" not in str(bad.value)
    return str(bad.value)


def test_a_file_that_is_no_store_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "bad.db").write_text("no database at all, and long enough to tell" * 9)
    (tmp_path / "dir.db").mkdir()
    assert "File exists" in refused(sqlite_uri(tmp_path / "file" / "m.db"))
    assert "not a database" in refused(sqlite_uri(tmp_path / "bad.db"))
    assert "unable to open" in refused(sqlite_uri(tmp_path / "dir.db"))
    for sql in ("CREATE TABLE mine (a)", "CREATE TABLE alembic_version (v)"):
        with closing(sqlite3.connect(tmp_path / "m.db")) as con:
            con.execute(sql)
        assert "m.db: no complete MLflow store (its crea" in refused(sqlite_uri(tmp_path / "m.db"))
    assert (tmp_path / "m.db").stat().st_size > 0


def test_a_store_that_another_program_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "OPENING_S", 0.1)
    with closing(sqlite3.connect(tmp_path / "m.db", isolation_level=None)) as con:
        con.execute("BEGIN EXCLUSIVE")
        assert "locked" in refused(sqlite_uri(tmp_path / "m.db"))


def test_a_server_that_is_not_there_or_never_answers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address, "OPENING_S", 0.1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        said = refused(f"http://me:secret@127.0.0.1:{port}")
        assert f"MLflow server http://127.0.0.1:{port}: no connection" in said
        server.listen()
        assert "no answer within 0.1 s" in refused(f"http://127.0.0.1:{port}")


def test_a_server_of_something_else_is_refused() -> None:
    with serving() as other:
        assert "failed with error code" in refused(other.url)


def test_the_cause_is_shown_and_not_the_advice_to_programmers() -> None:
    """As SQLAlchemy words it when the folder of the store may not be written."""
    said = (
        "(raised as a result of Query-invoked autoflush; consider a session.no_autoflush block)\n"
        "(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: INSERT …]"
    )
    with (
        pytest.raises(TrackingError, match=r"cannot log: \(sqlite3.OperationalError\) .*; check"),
        address.in_one_line("sqlite:///m.db", "log", RuntimeError),
    ):
        raise RuntimeError(said)
