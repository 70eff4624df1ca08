"""The public names: each loads, is described, is typed, and costs nothing until it is used."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import ems

ROOT = Path(__file__).resolve().parents[1]

PRIVATE = re.compile(r"ems\.(report|core|pipelines|learning|federated)\..*")
"""Where the documents go below the public names: figures, inner workings, parts with libraries of
their own."""
INSIDE = "add_an_agent.md"
"""The document for who works inside of the package."""


def stub() -> dict[str, str]:
    """Name -> module, as type checkers read it."""
    tree = ast.parse((ROOT / "ems" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.smoke
def test_every_public_name_is_what_its_module_has() -> None:
    names = set(ems.__all__) - {"__version__"}
    assert stub().keys() == names
    for name, module in stub().items():
        assert getattr(ems, name) is getattr(import_module(module), name)
    assert set(dir(ems)) == set(ems.__all__)
    with pytest.raises(AttributeError, match="module 'ems' has no attribute 'Battery'"):
        ems.Battery  # noqa: B018 - the access is what is tested


@pytest.mark.smoke
def test_every_public_name_has_a_line_in_the_documentation() -> None:
    assert ems.__doc__ is not None
    listed = re.findall(r"^(\w+) {2,}\S", ems.__doc__, flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(ems.__all__) - {"__version__"})


@pytest.mark.smoke
def test_importing_the_package_loads_nothing_of_it() -> None:
    program = "import sys, ems; print([m for m in sys.modules if m.startswith(('ems.', 'numpy'))])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == b"[]"


def examples() -> list[str]:
    """The Python of README, documents and notebooks."""
    found = []
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for file in (file for file in files if file.name != INSIDE):
        found += re.findall(r"```python[^\n]*\n(.*?)```", file.read_text("utf-8"), flags=re.DOTALL)
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(file.read_text("utf-8"))["cells"]
        found += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return found


def test_what_the_documents_import_is_public() -> None:
    used = re.findall(r"^from (ems[\w.]*) import ([^(\n]+)$", "\n".join(examples()), re.MULTILINE)
    names = {
        name.strip() for home, names in used if not PRIVATE.match(home) for name in names.split(",")
    }
    assert len(names) > 10
    assert names <= set(ems.__all__)


def test_there_is_one_version_number() -> None:
    dynamic = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert dynamic["dynamic"]["version"] == {"attr": "ems.__version__"}
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {ems.__version__}\n" in citation
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert next(h for h in headings if h != "Unreleased") == ems.__version__
