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

from tests.optional_parts import left_out

ROOT = Path(__file__).resolve().parent

LINT = (
    ("ruff check", ["-m", "ruff", "check", "."]),
    ("ruff format", ["-m", "ruff", "format", "--check", "."]),
    ("mypy --strict", ["-m", "mypy"]),
    ("architecture", ["-c", "from importlinter.cli import *; lint_imports_command(['--no-logo'])"]),
)
# A process a core; a file stays on one process, so that what its tests share is made once.
PYTEST = ("-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile")
COMPLIANCE = ("-m", "compliance")


def main() -> int:
    """Run the selected steps, show a table, and return 0 only if all passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--smoke", action="store_true", help="lint and half a minute of tests")
    choice.add_argument("--lint", action="store_true", help="lint, types and architecture only")
    choice.add_argument("--ci", action="store_true", help="the compliance run")
    args, for_pytest = parser.parse_known_args()
    # The cores are taken: a second thread in each process would only be in the way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    steps = list(LINT)
    if not args.lint:
        selection = ["-m", "smoke"] if args.smoke else []
        steps.append(("pytest", [*PYTEST, *selection, *for_pytest]))
    if args.ci:
        os.environ["EMS_CI"] = "1"
        steps.append(("compliance", list(COMPLIANCE)))
    results = [run(*step) for step in steps]
    print("\n" + "-" * 40)
    for name, passed, seconds in results:
        print(f"{name:20} {'passed' if passed else 'FAILED':8} {seconds:6.1f} s")
    if not args.lint:
        print("\n".join(left_out()) or "nothing was left out for want of a library")
    return 0 if all(passed for _, passed, _ in results) else 1


def run(name: str, arguments: Sequence[str]) -> tuple[str, bool, float]:
    """Run one step of Python from the root of the project; its name, result and seconds."""
    print(f"\n== {name}", flush=True)
    started = time.perf_counter()
    code = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode
    return name, code == 0, time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
