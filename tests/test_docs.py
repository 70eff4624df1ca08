"""What the documents say is true: their commands run, their links lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml
from documents import (
    DOCUMENTS,
    ROOT,
    Block,
    a_clone,
    all_blocks,
    blocks,
    commands_outside,
    console_steps,
    in_clone,
)
from small_building import twin_database

import ems

BASH = all_blocks("bash")
CONSOLE = all_blocks("console")
PYTHON = [file for file in DOCUMENTS if any(b.language == "python" for b in blocks(file))]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)#\s]+)")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_clone(tmp_path_factory.mktemp("clone"))


@pytest.mark.smoke
@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_command_stands_in_a_block_that_runs_or_says_why_not(file: Path) -> None:
    assert commands_outside(file) == []
    for block in blocks(file):
        assert block.language in ("", "bash", "console", "python", "toml", "json", "yaml"), (
            block.name
        )
        if not block.runs:
            assert re.fullmatch(r"no-run: .{15,}", block.rest), f"{block.name}: say why not"
        elif block.language in ("bash", "python"):
            assert block.rest == "", f"{block.name}: {block.rest!r} means nothing"


@pytest.mark.parametrize("block", [b for b in BASH if b.runs], ids=lambda block: block.name)
def test_the_commands_run(clone: Path, block: Block) -> None:
    done = in_clone(block.text, clone)
    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.name)
def test_the_errors_are_said_as_they_are_quoted(clone: Path, block: Block) -> None:
    database = clone / "ems_data.duckdb"
    if not database.exists():
        shutil.copy(twin_database(), database)
    commands, quoted = console_steps(block)
    done = in_clone(commands, clone)
    assert done.code == 2, done.out + done.err
    lines = done.err.splitlines()
    patterns = [".*".join(re.escape(part) for part in line.split("…")) for line in quoted]
    assert len(lines) == len(quoted) >= 1, done.err
    for pattern, line in zip(patterns, lines, strict=True):
        assert re.fullmatch(pattern, line), f"{block.name}: {line}"


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: file.name)
def test_the_python_runs(clone: Path, file: Path) -> None:
    """The blocks of a document are one program, as a reader pastes them one after the other."""
    text = "\n".join(b.text for b in blocks(file) if b.language == "python" and b.runs)
    program = clone / f"{file.stem}_blocks.py"
    program.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.smoke
@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_to_a_file(file: Path) -> None:
    links = LINK.findall(file.read_text(encoding="utf-8"))
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_every_document_is_reached_from_the_readme() -> None:
    seen, waiting = set(), {ROOT / "README.md"}
    while waiting:
        file = waiting.pop()
        seen.add(file)
        links = LINK.findall(file.read_text(encoding="utf-8"))
        found = {(file.parent / link).resolve() for link in links if link.endswith(".md")}
        waiting |= {page for page in found - seen if page.exists()}
    assert set(DOCUMENTS) - seen == set()


@pytest.mark.smoke
def test_documents_that_break_the_rules_are_found(tmp_path: Path) -> None:
    """The rules themselves, on a document that breaks each."""
    page = tmp_path / "page.md"
    page.write_text(
        "Say\n\n    python scripts/a.py\n\n```\npip install x\n```\n\n```bash\npython b.py\n```\n"
        "```bash no-run: needs the network\npython c.py\n```\n"
    )
    assert commands_outside(page) == ["python scripts/a.py", "pip install x"]
    runs = [(b.language, b.runs, b.line, b.text) for b in blocks(page)]
    assert runs == [
        ("", True, 5, "pip install x\n"),
        ("bash", True, 9, "python b.py\n"),
        ("bash", False, 12, "python c.py\n"),
    ]


def test_the_citation_names_this_version_and_needs_nothing_more() -> None:
    """The keys that CFF 1.2.0 requires, https://doi.org/10.5281/zenodo.5171937."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert cited["version"] == ems.__version__
    assert cited["license"] == project["license"]
    assert cited["authors"] == [{"name": "The ems developers"}]
    assert isinstance(cited["date-released"], date)
