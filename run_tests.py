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
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent

LINT = (
    ("ruff check", ["-m", "ruff", "check", "."]),
    ("ruff format", ["-m", "ruff", "format", "--check", "."]),
    ("mypy --strict", ["-m", "mypy"]),
    ("architecture", ["-c", "from importlinter.cli import *; lint_imports_command(['--no-logo'])"]),
)
COMPLIANCE = ("-m", "compliance")


def main() -> int:
    """Run the selected steps, show a table, and return 0 only if all passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--smoke", action="store_true", help="lint and a minute of tests")
    choice.add_argument("--lint", action="store_true", help="lint, types and architecture only")
    choice.add_argument("--ci", action="store_true", help="the compliance run")
    args, for_pytest = parser.parse_known_args()
    steps = list(LINT)
    if not args.lint:
        selection = ["-m", "smoke"] if args.smoke else []
        steps.append(("pytest", ["-m", "pytest", "-q", *selection, *for_pytest]))
    beside = start(COMPLIANCE) if args.ci else None
    results = [run(name, arguments, ci=args.ci) for name, arguments in steps]
    if beside is not None:
        results.append(finish("compliance", beside))
    print("\n" + "-" * 40)
    for name, passed, seconds in results:
        print(f"{name:20} {'passed' if passed else 'FAILED':8} {seconds:6.1f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


def run(name: str, arguments: Sequence[str], *, ci: bool) -> tuple[str, bool, float]:
    """Run one step of Python from the root of the project; its name, result and seconds."""
    print(f"\n== {name}", flush=True)
    environment = dict(os.environ, EMS_CI="1") if ci else dict(os.environ)
    started = time.perf_counter()
    command = [sys.executable, *arguments]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    return name, code == 0, time.perf_counter() - started


def start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start a step that runs beside the others and speaks at its end."""
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(name: str, beside: subprocess.Popen[str]) -> tuple[str, bool, float]:
    """Wait for such a step and print what it said; the seconds are those of waiting."""
    started = time.perf_counter()
    said, _ = beside.communicate()
    print(f"\n== {name}\n{said}", flush=True)
    return name, beside.returncode == 0, time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
