"""The blocks of code in the README and the documents, and a place to run them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from called_script import A, B, C, Done, call

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\s*\$?\s*(python|pip|docker|pytest|curl|dask|mlflow|git|az|jupyter) \S")
OUR_SCRIPT = re.compile(r"python scripts/(\w+\.py)((?: [^|&;<>$*`]*)?)")
NOT_COPIED = (".*", "__pycache__", "results", "mlflow_runs", "tests", "benchmarks", "*.duckdb")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: where it stands, its language, and why it is not run, if it is not.

    ```` ```bash no-run: needs the network ```` is shown like any other, and not run.
    """

    file: Path
    line: int
    language: str
    rest: str
    text: str

    @property
    def name(self) -> str:
        """Where a reader finds it."""
        return f"{self.file.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether the tests run it."""
        return not self.rest.startswith("no-run")


def blocks(file: Path) -> list[Block]:
    """Every fenced block of a document."""
    text = file.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        language, _, rest = match[1].strip().partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(file=file, line=line, language=language, rest=rest, text=match[2]))
    return found


def all_blocks(language: str) -> list[Block]:
    """Every block of one language in all documents."""
    return [b for file in DOCUMENTS for b in blocks(file) if b.language == language]


def console_steps(block: Block) -> tuple[str, list[str]]:
    """The commands of a ``console`` block, and the lines they are said to print."""
    lines = block.text.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(commands), [line for line in lines if not line.startswith("$ ")]


def commands_outside(file: Path) -> list[str]:
    """Lines that look like shell commands and stand in no block of a language."""
    outside = FENCE.sub(lambda m: m[2] if not m[1].strip() else "", file.read_text("utf-8"))
    return [line.strip() for line in outside.splitlines() if COMMAND.match(line)]


def a_clone(folder: Path) -> Path:
    """The project as a fresh clone has it: without databases, results and runs."""
    there = folder / "ems"
    shutil.copytree(ROOT, there, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return there


def in_clone(text: str, clone: Path) -> Done:
    """Run commands as a person would type them, to the first that fails.

    A plain call of a script runs in this process, which is quicker, with the places of the clone;
    the first, which finds no database and makes it, in one of its own.
    """
    out, err = "", ""
    for line in text.replace("\\\n", " ").splitlines():
        ours = OUR_SCRIPT.fullmatch(line.strip())
        if ours is None or not (clone / "ems_data.duckdb").exists():
            done = in_bash(line, clone)
        else:
            with chdir(clone):
                where = _places(ours[1], clone)
                done = call(ours[1], *where, *shlex.split(ours[2], comments=True))
        out, err = out + done.out, err + done.err
        if done.code:
            break
    return Done(code=done.code, out=out, err=err)


def _places(script: str, clone: Path) -> list[str]:
    """The default places of a script of the clone; the last of two equal options counts."""
    db = ["--db", f"{clone}/ems_data.duckdb"]
    tracking = ["--tracking_uri", f"sqlite:///{clone}/mlflow_runs/mlflow.db"]
    results = ["--results", f"{clone}/results"]
    places = {
        **{key: [*db, *results, *tracking] for key in (A, B, C)},
        "build_duckdb.py": db,
        "mlflow_analysis.py": tracking,
        "create_comprehensive_visualizations.py": [*results, *tracking],
    }
    return places.get(script, [])


def in_bash(text: str, folder: Path) -> Done:
    """Run commands in a shell of their own, with this Python and without an index."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PIP_NO_INDEX": "1", "PYTHONPATH": ""}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)
