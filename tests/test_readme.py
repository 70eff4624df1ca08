"""The README's Python example keeps its promise, and a stranger finds every room and script.

Its commands and links are tested in ``test_docs``.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
SHARED = {"command_line.py", "console.py", "planning.py", "runs.py"}
"""Modules of ``scripts/`` that are no scripts."""


@pytest.mark.smoke
def test_the_python_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks[0], "README.md", "exec"), {})
    assert "battery.soc_kwh" in printed.getvalue()
    assert printed.getvalue().rstrip().endswith("bill -0.11 €")


@pytest.mark.smoke
def test_every_room_and_script_is_on_the_map() -> None:
    text = README.read_text(encoding="utf-8")
    rooms = [folder.parent.name for folder in (ROOT / "ems").glob("*/__init__.py")]
    scripts = {file.name for file in (ROOT / "scripts").glob("*.py")} - SHARED
    assert len(rooms) >= 8
    assert len(scripts) >= 5
    assert [room for room in rooms if f"ems/{room}/" not in text] == []
    assert [name for name in sorted(scripts) if f"scripts/{name}" not in text] == []
    named = re.findall(r"(?<![\w/])(?:scripts|ems|docs|benchmarks|compliance)/[\w./]*\w", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
