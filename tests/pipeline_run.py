"""Where one run of a pipeline keeps what it finds, and questions to both of its stores."""

from __future__ import annotations

import sqlite3
import tempfile
import warnings
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from called_script import SCRIPTS, Done, call
from mlflow import MlflowClient
from small_building import twin_database


@cache
def empty_store() -> bytes:
    """An empty MLflow store, whose tables take MLflow seconds to make."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow about its own use of SQLAlchemy
        file = Path(folder) / "mlflow.db"
        MlflowClient(f"sqlite:///{file}").search_experiments()
        return file.read_bytes()


class Place:
    """Where one test keeps its results and runs, of the twin unless told otherwise."""

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self.folder = folder
        self.database = database or twin_database()
        self.results = folder / "results"
        self.store = folder / "mlflow.db"
        self.store.write_bytes(empty_store())

    def args(self, *args: object) -> list[str]:
        """The last of two equal options counts."""
        where = ["--db", self.database, "--results", self.results]
        where += [
            "--tracking_uri",
            f"sqlite:///{self.store}",
            "--figures",
            "off",
            "--report",
            "off",
        ]
        return [*map(str, where), *map(str, args)]

    def command(self, script: str, *args: object) -> list[str]:
        return [str(SCRIPTS / script), *self.args(*args)]

    def call(self, script: str, *args: object, columns: int = 160) -> Done:
        return call(script, *self.args(*args), columns=columns)

    def tracked(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.store)) as con:
            return con.execute(sql).fetchall()

    def found(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.results / "ems_results.duckdb"), read_only=True) as con:
            return con.execute(sql).fetchall()

    def metrics(self) -> dict[str, int]:
        """How many runs have each metric."""
        sql = "SELECT key, count(*) FROM latest_metrics GROUP BY key"
        return dict(self.tracked(sql))
