"""A script at a terminal, with somebody who types."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from called_script import SCRIPTS, Done


def at_terminal(name: str, *args: object, lines: Sequence[str], cwd: Path) -> Done:
    """Call a script whose input is a terminal at which ``lines`` are typed, then Ctrl-D."""
    master, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, str(SCRIPTS / name), *map(str, args)],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
        ) as running:
            os.write(master, "".join(f"{line}\n" for line in lines).encode() + b"\x04")
            out, err = running.communicate(timeout=120)
        return Done(code=running.returncode, out=out, err=err)
    finally:
        os.close(master)
        os.close(terminal)
