"""The notebooks run, show what they show today, and hold no logic of their own."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_building import twin_database

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
ADAPTED = ("duckdb", "mlflow", "pulp", "highspy", "sklearn")


def cells_of(path: Path) -> list[Any]:
    cells: list[Any] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def code_of(path: Path) -> Iterator[ast.Module]:
    for cell in cells_of(path):
        if cell["cell_type"] == "code":
            yield ast.parse(re.sub(r"^%.*$", "", "".join(cell["source"]), flags=re.MULTILINE))


def shown(cells: list[Any]) -> list[str]:
    """What the cells say in words and tables, figures left out."""
    texts = []
    for cell in cells:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            texts.append(re.sub(r"<Figure size .*>", "figure", text))
    return texts


def test_the_six_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_explore_data",
        "01_comparison_pipeline",
        "02_learning_pipeline",
        "03_probability_optimization",
        "04_community",
        "05_market",
    ]


@each_notebook
def test_it_runs_and_shows_what_it_was_committed_with(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Imported here, since it takes seconds that a smoke run need not wait.
    nbclient = pytest.importorskip("nbclient", reason="pip install -r requirements-dev.txt")
    import nbformat

    database = tmp_path / "ems_data.duckdb"
    database.symlink_to(twin_database())
    monkeypatch.setenv("EMS_NOTEBOOK_DB", str(database))
    committed = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    assert any(cell.get("outputs") for cell in committed.cells)
    assert shown(notebook.cells) == shown(committed.cells)


@each_notebook
def test_it_calls_the_pipelines_and_holds_no_logic(path: Path) -> None:
    for module in code_of(path):
        for node in ast.walk(module):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.While | ast.Try)
            names = [alias.name for alias in getattr(node, "names", [])]
            imported = [getattr(node, "module", None) or "", *names]
            assert not any(name.split(".")[0] in ADAPTED for name in imported if name)


@each_notebook
def test_it_is_small_and_quiet_in_diffs(path: Path) -> None:
    assert path.stat().st_size < 600_000
    assert not any("execution" in cell["metadata"] for cell in cells_of(path))
