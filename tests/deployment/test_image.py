"""The image can be built from what it names, and starts what exists."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"

pytestmark = pytest.mark.smoke


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile with its arguments, comments and breaks removed."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]  # type: ignore[misc]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def copied() -> list[str]:
    return [source for line in of("COPY") for source in line.split()[:-1]]


def test_what_is_copied_exists_and_is_let_through() -> None:
    assert copied() == ["requirements.txt", "ems", "scripts"]
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in rules
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == set(copied())
    assert all((ROOT / source).exists() for source in copied())
    assert not any(fnmatch.fnmatch("ems/agents/ev.py", r) for r in rules if r not in ("*", "!ems"))


def test_packages_are_a_layer_of_their_own_below_the_code() -> None:
    names = [f"{name} {rest}" for name, rest in instructions()]
    install = names.index("RUN pip install -r requirements.txt")
    assert names.index("COPY requirements.txt ./") < install < names.index("COPY ems ./ems")


def test_it_starts_a_pipeline_not_as_root_where_it_may_write() -> None:
    assert (of("FROM"), of("USER"), of("WORKDIR")) == (["python:3.11-slim"], ["ems"], ["/app"])
    assert of("ENTRYPOINT") == ['["python"]']
    ((start,),) = (json.loads(text) for text in of("CMD"))
    assert (ROOT / start).is_file()
    order = [name for name, _ in instructions()]
    assert "RUN" not in order[order.index("USER") :]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert [json.loads(text) for text in of("VOLUME")] == [["/app/results", "/app/mlflow_runs"]]
    assert "chown ems:ems . results mlflow_runs" in of("RUN")[-1]
