"""The scripts called in this process, as their last line does, and in one of their own."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.insert(0, str(SCRIPTS))

A, B, C = "01_run.py", "02_integrated_pipeline.py", "03_probability_learning_optimization.py"


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a call has ended."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What was printed, however the lines were broken."""
        return " ".join(self.out.split())


@cache
def script(name: str) -> ModuleType:
    """A script as a module, just once, however it is imported."""
    stem = name.removesuffix(".py")
    if stem in sys.modules:
        return sys.modules[stem]
    spec = importlib.util.spec_from_file_location(stem, SCRIPTS / name)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(name: str, *args: object, columns: int = 160) -> Done:
    """Call a script in this process; every way out of it is an exit code."""
    out, err, hook = io.StringIO(), io.StringIO(), sys.unraisablehook
    asked_to_end = signal.getsignal(signal.SIGTERM)
    argv = [str(SCRIPTS / name), *map(str, args)]
    module = script(name)
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            mock.patch.object(sys, "argv", argv),
            mock.patch.dict(os.environ, {"COLUMNS": str(columns)}),
        ):
            module.run(module.main)
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, asked_to_end)
    return Done(code=code, out=out.getvalue(), err=err.getvalue())


def in_process(name: str, *args: object, cwd: Path, timeout_s: float = 120.0) -> Done:
    """Call a script as a person does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, args)],
        stdin=subprocess.DEVNULL,  # nobody to ask
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=cwd,
    )
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def one_line(done: Done, says: str) -> None:
    """Exit code 2 and one line on stderr that says so."""
    assert done.code == 2, done.err
    assert re.fullmatch(r"error: [^\n]+\n", done.err), done.err
    assert re.search(says, done.err), done.err
