"""What is installed: a building's own needs in one file, the rest by name, all within bounds."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "scikit-learn": "sklearn",
    "import-linter": "importlinter",
    "pytest-xdist": "xdist",
    "prometheus-client": "prometheus_client",
}
"""Packages whose module has another name."""
COMES_WITH = {
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "starlette": "fastapi",
    "urllib3": "requests",
}
OPTIONAL = {
    **{"dask": "dev", "distributed": "dev", "azure": "azure", "marshmallow": "azure"},
    **dict.fromkeys(
        ("gymnasium", "langgraph", "pettingzoo", "stable_baselines3", "torch"), "learning"
    ),
    "flwr": "federated",
}
"""Modules that only one part needs, and the requirements file that brings them."""

pytestmark = pytest.mark.smoke


def requirements(name: str) -> dict[str, str]:
    """Package -> bounds of one file, without the files it includes."""
    lines = (ROOT / f"{name}.txt").read_text("utf-8").splitlines()
    found = (
        re.fullmatch(r"([\w-]+)(.*)", line) for line in lines if line[:1] not in ("#", "-", "")
    )
    return {match[1]: match[2] for match in found if match}


def imported(*folders: str) -> set[str]:
    """Every module outside of Python and this project that some file imports, anywhere in it."""
    own = {"ems", *(file.stem for file in (ROOT / "scripts").glob("*.py"))}
    found = set()
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).partition(".")[0])
    return found - own - set(sys.stdlib_module_names)


def test_what_is_imported_is_required_and_what_is_required_is_imported() -> None:
    light = {MODULES.get(name, name) for name in requirements("requirements")}
    used = {COMES_WITH.get(name, name) for name in imported("ems", "scripts")}
    assert used - OPTIONAL.keys() == light


def test_who_lacks_a_part_finds_it_in_the_file_that_is_named() -> None:
    for module, file in OPTIONAL.items():
        brought = " ".join(requirements(f"requirements-{file}")).replace("-", "_")
        assert module in ("dask", "marshmallow") or module in brought  # those two come with others
    included = (ROOT / "requirements-all.txt").read_text("utf-8")
    assert re.findall("^-r (.*)$", included, re.MULTILINE) == [
        *("requirements-dev.txt", "requirements-azure.txt"),
        *("requirements-learning.txt", "requirements-federated.txt"),
    ]


EXTRAS = ("dev", "azure", "learning")
NARROW = {"torch": ">=2.13,<2.14"}
"""Of another minor version an index may have only builds with gigabytes for graphics cards."""


@pytest.mark.parametrize("name", ["requirements", *(f"requirements-{extra}" for extra in EXTRAS)])
def test_every_bound_goes_from_what_is_tested_to_the_next_major_version(name: str) -> None:
    for package, bounds in requirements(name).items():
        if package in NARROW:
            assert bounds == NARROW[package]
            continue
        match = re.fullmatch(r">=(\d+)[\d.]*,<(\d+)", bounds)
        assert match, f"{package}{bounds}"
        assert 1 <= int(match[2]) - int(match[1]) <= 2, f"{package}{bounds}"
