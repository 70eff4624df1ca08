"""Everything that must hold before a change is kept: lint, types, architecture, tests.

``python run_tests.py`` runs all of it; ``--smoke`` a selection in under a minute, ``--lint`` only
what needs no running code, ``--ci`` the compliance run: everything, no test may be skipped for
want of data that is there, and at the end every rule of ``compliance/`` on the code and on a run
of each pipeline. Further arguments go to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent

LINT = (
    ("ruff check", ["-m", "ruff", "check", "."]),
    ("ruff format", ["-m", "ruff", "format", "--check", "."]),
    ("mypy --strict", ["-m", "mypy"]),
    ("architecture", ["-c", "from importlinter.cli import *; lint_imports_command(['--no-logo'])"]),
)
COMPLIANCE = ("-m", "compliance")
IN_SUBPROCESSES = (
    "tests/scripts",
    "tests/compliance",
    "tests/pipelines/test_dask.py",
    "tests/test_docs.py",
)
"""Tests that run whole scripts or workers: half of the time, so they go beside the others."""


def main() -> int:
    """Run the selected steps, show a table, and return 0 only if all passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--smoke", action="store_true", help="lint and a minute of tests")
    choice.add_argument("--lint", action="store_true", help="lint, types and architecture only")
    choice.add_argument("--ci", action="store_true", help="the compliance run")
    args, for_pytest = parser.parse_known_args()
    if args.ci:
        os.environ["EMS_CI"] = "1"
    pytest = ["-m", "pytest", "-q"]
    if args.lint:
        results = [run(name, arguments) for name, arguments in LINT]
    elif args.smoke or for_pytest:
        selection = ["-m", "smoke"] if args.smoke else []
        results = [run(*step) for step in (*LINT, ("pytest", [*pytest, *selection, *for_pytest]))]
    else:
        others = [*pytest, *(f"--ignore={path}" for path in IN_SUBPROCESSES)]
        with beside("pytest: scripts", [*pytest, *IN_SUBPROCESSES]) as scripts:
            results = [run(*step) for step in (*LINT, ("pytest: all others", others))]
            results.append(scripts())
    if args.ci:
        results.append(run("compliance", COMPLIANCE))
    print("\n" + "-" * 40)
    for name, passed, seconds in results:
        print(f"{name:20} {'passed' if passed else 'FAILED':8} {seconds:6.1f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


def run(name: str, arguments: Sequence[str]) -> tuple[str, bool, float]:
    """Run one step of Python from the root of the project; its name, result and seconds."""
    print(f"\n== {name}", flush=True)
    started = time.perf_counter()
    code = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode
    return name, code == 0, time.perf_counter() - started


@contextmanager
def beside(name: str, arguments: Sequence[str]) -> Iterator[Callable[[], tuple[str, bool, float]]]:
    """Start a step that runs beside the others; what it yields waits and prints what it said."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        started = time.perf_counter()
        command = [sys.executable, *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)

        def finish() -> tuple[str, bool, float]:
            code = process.wait()
            said.seek(0)
            print(f"\n== {name}\n{said.read()}", flush=True)
            return name, code == 0, time.perf_counter() - started

        yield finish


if __name__ == "__main__":
    sys.exit(main())
