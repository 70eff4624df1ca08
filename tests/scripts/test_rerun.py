"""``scripts/rerun.py``: a run of the twin again, and everything that stands in its way."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from called_script import A, in_process
from small_building import twin_database

from ems.errors import DataError, InvalidSpec, TrackingError
from ems.tracking import software, sqlite_uri
from ems.tracking.read import RunStore, TrackedRun

import rerun  # isort: skip - lies in scripts, which called_script puts on the path
from command_line import parsed  # isort: skip
from console import console  # isort: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a person has planned two days from a folder with a database in it."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(twin_database(), folder / "my home.duckdb")
    args = ("--db", "my home.duckdb", "--results", "res", "--tracking_uri=sqlite:///runs/m.db")
    done = in_process(A, *args, "--n_days", "2", "--mode", "centralized", *QUIET, cwd=folder)
    assert done.code == 0, done.err
    return folder


QUIET = ("--figures", "off", "--report", "off")


@pytest.fixture
def made(folder: Path) -> TrackedRun:
    (run,) = RunStore(sqlite_uri(folder / "runs" / "m.db")).find("params.mode = 'centralized'")[-1:]
    return RunStore(sqlite_uri(folder / "runs" / "m.db")).pipeline_of(run)


def options(*args: str) -> object:
    return parsed(rerun.Options, "", "", ["ab12", *args], config=False, words=rerun.RUN)


def test_the_figures_come_out_again_and_a_changed_one_is_found(
    folder: Path, made: TrackedRun, tmp_path: Path
) -> None:
    store = f"sqlite:///{folder}/runs/m.db"
    args = (made.run_id[:10], "--tracking_uri", store, "--results", str(tmp_path / "res"))
    done = in_process("rerun.py", *args, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "is the same, hash" in done.out
    assert "agree exactly" in done.out
    assert (tmp_path / "res" / "ems_results.duckdb").is_file()
    again = RunStore(store).find(f"tags.rerun_of = '{made.run_id}'")
    assert [run.status for run in again] == ["FINISHED"]

    (child,) = [
        run.run_id for run in RunStore(store).below(made) if run.name == made.name
    ]  # called as the pipeline above it is
    with closing(sqlite3.connect(folder / "runs" / "m.db")) as con:
        sql = "UPDATE metrics SET value = value + 0.5 WHERE key = 'day/cost_eur' AND step = 0"
        assert con.execute(f"{sql} AND run_uuid = ?", [child]).rowcount == 1
        con.commit()
    to = f"sqlite:///{tmp_path}/other.db"
    done = in_process("rerun.py", child, *args[1:], "--to_tracking_uri", to, cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    assert "1 of " in done.out
    assert "figures do not agree exactly" in done.out
    assert "day/cost_eur" in done.out
    assert RunStore(to).find(f"tags.rerun_of = '{made.run_id}'")


def test_the_command_is_rebuilt_with_new_places(folder: Path, made: TrackedRun) -> None:
    command, there = rerun.rebuilt(
        made, options("--to_tracking_uri", "sqlite:///new.db", "--results", "new")
    )
    assert there == folder
    kept = ["scripts/01_run.py", "--db", "my home.duckdb", "--n_days", "2"]
    kept += ["--mode", "centralized", *QUIET, "--results", str(Path("new").resolve())]
    assert command == [*kept, "--tracking_uri", sqlite_uri(Path("new.db"))]
    same, _ = rerun.rebuilt(made, options("--tracking_uri", "http://host"))
    assert same[-4:] == [*QUIET[2:], "--tracking_uri", "http://host"]
    assert same[same.index("--results") + 1] == "res"


@pytest.mark.parametrize(
    ("tags", "status", "says"),
    [
        ({"command": ""}, "FINISHED", "has no command: a script of scripts/ did not make it"),
        ({}, "KILLED", "is KILLED, so there is nothing whole to compare with; to run it: python"),
        ({"command": "x" * 5000}, "FINISHED", "longer than what is kept"),
        ({"command": "/bin/rm -rf ."}, "FINISHED", "'/bin/rm' is no script of this checkout"),
        ({"command": "scripts/../run_tests.py"}, "FINISHED", "is no script of this checkout"),
        ({"command": "scripts/gone.py"}, "FINISHED", "is no script of this checkout"),
    ],
)
def test_a_run_that_cannot_be_run_again(
    made: TrackedRun, tags: dict[str, str], status: str, says: str
) -> None:
    with pytest.raises(TrackingError, match=says):
        rerun.rebuilt(replace(made, tags={**made.tags, **tags}, status=status), options())


def test_a_folder_that_is_gone(made: TrackedRun, tmp_path: Path) -> None:
    gone = replace(made, tags={**made.tags, "folder": str(tmp_path / "gone")})
    with pytest.raises(InvalidSpec, match=r"gone, where it was started, is not there; give --fo"):
        rerun.rebuilt(gone, options())
    assert rerun.rebuilt(gone, options("--folder", str(tmp_path)))[1] == tmp_path


def test_other_data_are_refused_unless_told_otherwise(
    made: TrackedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(twin_database(), tmp_path / "x.duckdb")
    with duckdb.connect(str(tmp_path / "x.duckdb")) as con:
        con.execute("UPDATE meta SET value = 'ffff' WHERE key = 'data_hash'")
    command = ["scripts/01_run.py", "--db", "x.duckdb"]
    with pytest.raises(DataError, match=r"x\.duckdb have hash ffff…, the run's had .*--anyway"):
        rerun.require_same_data(made, command, tmp_path, options(), console())
    rerun.require_same_data(made, command, tmp_path, options("--anyway"), console())
    assert "warning   data in" in capsys.readouterr().out
    with pytest.raises(DataError, match="there is no database here"):
        rerun.require_same_data(made, ["s", "--db=y.duckdb"], tmp_path, options(), console())


def test_other_versions_are_said(made: TrackedRun, capsys: pytest.CaptureFixture[str]) -> None:
    now = {f"software.{name}": version for name, version in software().items()}
    assert rerun.software_differences(now) == []
    old = {**now, "software.highspy": "0.1", "software.git_commit": "abc-dirty"}
    del old["software.pulp"]
    lines = rerun.software_differences(old)
    assert f"highspy is {software()['highspy']}, was 0.1" in lines
    assert f"pulp is {software()['pulp']}, was not known" in lines
    rerun.tell_software(console(), replace(made, parameters=old))
    said = capsys.readouterr().out
    assert "warning   highspy is" in said
    assert "files changed since that commit" in said
    rerun.tell_software(console(), replace(made, parameters=now))
    assert "are those of the run" in capsys.readouterr().out


def test_a_default_that_has_changed_is_said(
    made: TrackedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    after = replace(made, parameters={**made.parameters, "n_days": "3", "data.hash": "x"})
    rerun.tell_parameters(console(), made, after)
    assert capsys.readouterr().out == "warning   n_days is 3, was 2\n"


def test_a_command_that_fails_or_tracks_nothing(folder: Path, made: TrackedRun) -> None:
    with pytest.raises(TrackingError, match="ended with exit code 2"):
        rerun.repeat(["scripts/01_run.py", "--n_days", "0"], folder, made.run_id)
    with pytest.raises(TrackingError, match="has tracked no run in"):
        rerun.made_since(
            RunStore(sqlite_uri(folder / "runs" / "m.db")), made, datetime(2100, 1, 1, tzinfo=UTC)
        )


def test_a_dry_run_only_shows(folder: Path, made: TrackedRun) -> None:
    store = f"sqlite:///{folder}/runs/m.db"
    n_runs = len(RunStore(store).find())
    done = in_process("rerun.py", made.run_id, "--tracking_uri", store, "--dry_run", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert "command   python scripts/01_run.py --db 'my home.duckdb'" in done.out
    assert len(RunStore(store).find()) == n_runs
    done = in_process("rerun.py", "zz", "--tracking_uri", store, cwd=folder)
    assert done.code == 2
    assert "no run's id starts with 'zz'" in done.err
