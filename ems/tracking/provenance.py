"""Provenance of a run: command, software versions, commit."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ems import __version__

PACKAGES = ("pulp", "highspy", "mlflow", "duckdb", "numpy", "pandas")

RERUN_OF = "EMS_RERUN_OF"
"""Environment variable with the id of the run that is repeated."""

PACKAGE = Path(__file__).resolve().parents[1]
SCRIPTS = PACKAGE.parent / "scripts"


def command_line() -> list[str] | None:
    """The running script of this checkout with its arguments; None for anything else.

    ``["scripts/01_run.py", "--n_days", "2"]``: the path is relative to the checkout's root.
    """
    script = Path(sys.argv[0]).resolve()
    if script.parent != SCRIPTS or script.suffix != ".py":
        return None
    return [f"{SCRIPTS.name}/{script.name}", *sys.argv[1:]]


def software() -> dict[str, str]:
    """The versions that a result depends on, and the commit in a git checkout."""
    found = {"python": platform.python_version(), "ems": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    commit = git_commit(PACKAGE)
    return found if commit is None else {**found, "git_commit": commit}


def git_commit(folder: Path) -> str | None:
    """The commit of a checkout that contains this package, with ``-dirty`` if it was changed."""
    git = ["git", "-C", str(folder)]
    try:
        # An installed package may lie inside someone else's checkout, whose commit says nothing of
        # it.
        ours = subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, check=False
        )
        if ours.returncode:
            return None
        describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        said = subprocess.run([*git, *describe], capture_output=True, check=False, text=True)
    except FileNotFoundError:  # no git on this machine
        return None
    return said.stdout.strip() or None
