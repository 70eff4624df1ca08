"""Experiment stores for the tests of tracking."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ems.tracking import sqlite_uri
from ems.tracking.store import open_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs, to be copied: to make one takes seconds."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    open_store(sqlite_uri(path))
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Where most tests keep their runs, each under experiments of its own."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="session")
def uri(folder: Path) -> str:
    return sqlite_uri(folder / "mlflow.db")


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri, registry_uri=uri)


@pytest.fixture
def runs(client: MlflowClient) -> Callable[[str], dict[str, Run]]:
    """The runs of an experiment by name."""

    def found(experiment: str) -> dict[str, Run]:
        there = client.get_experiment_by_name(experiment)
        return {run.info.run_name: run for run in client.search_runs([there.experiment_id])}

    return found


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a Python program in ``tmp_path`` with nothing of pytest around it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PYTEST", "CI"))}

    def start(text: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", text],
            cwd=tmp_path,
            env=env | {"PYTHONPATH": str(ROOT)} | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
