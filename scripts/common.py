"""What the scripts share: how they fail, what they print on, where things are by default.

Kept light: ``--help`` of every script passes through here, so nothing heavier than the error
tree is imported at the top.
"""

from __future__ import annotations

import argparse
import errno
import io
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Timer, main_thread
from typing import TYPE_CHECKING, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # scripts run from any folder, installed or not
    sys.path.insert(0, str(ROOT))

from ems.errors import EmsError  # noqa: E402 - needs the path above

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console
    from rich.progress import Progress

DEFAULT_DB = ROOT / "ems_data.duckdb"
DEFAULT_RESULTS = ROOT / "results"
DEFAULT_TRACKING = f"sqlite:///{ROOT / 'mlflow_runs' / 'mlflow.db'}"
DEFAULT_CACHE = Path.home() / ".cache" / "ems"

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes take one line, as every other error of the scripts."""

    def __init__(self, description: str, epilog: str = "") -> None:
        super().__init__(
            description=description,
            epilog=epilog,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and leave with exit code 2."""
        _say(f"{message} (see {self.prog} --help)")
        self.exit(EXIT_BAD_INPUT)


def run(main: Callable[[], None]) -> NoReturn:
    """Call ``main`` and leave: 0, 2 after one line for what a person can mend, 130 on Ctrl-C.

    A request to end (SIGTERM) is taken as Ctrl-C. Anything else is a bug and keeps its traceback.
    A character that the terminal's encoding lacks is printed as a question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    try:
        main()
        sys.stdout.flush()
    except EmsError as error:
        _say(str(error))
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        _leave_interrupted()
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # how DuckDB passes on Ctrl-C
            raise
        _leave_interrupted()
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "ems"):
            raise
        _say(f"{library} is not installed: pip install -r requirements.txt")
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _print_no_more()
        sys.exit(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _print_no_more()  # what still waits to be printed may be what found no room
        _say(
            f"{error.strerror or 'no room'}: {error.filename or 'output'}; make room and try again"
        )
        sys.exit(EXIT_BAD_INPUT)
    sys.exit(0)


def _interrupt_again(lost: Any) -> None:
    """Raise Ctrl-C anew when it came while Python tidied up, where it drops what is raised."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        # a moment later: what is raised in here would be dropped as well
        Timer(0.05, signal.pthread_kill, (main_thread().ident, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(lost)


def _leave_interrupted() -> NoReturn:
    _say("interrupted; what was finished is kept")
    sys.exit(EXIT_INTERRUPTED)


def _print_no_more() -> None:
    """Let what is still to be printed vanish, so that leaving cannot fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


def console() -> Console:
    """Where the scripts print; as wide as the terminal, and wide enough for tables in a file."""
    from rich.console import Console

    plain = {"highlight": False, "markup": False, "emoji": False}  # names may hold brackets
    out = Console(**plain)  # type: ignore[arg-type]
    return out if out.is_terminal else Console(width=160, **plain)  # type: ignore[arg-type]


def progress_bar(out: Console, unit: str) -> Progress:
    """A bar with a description, the count in ``unit`` ("days", "bytes"), and the time left."""
    from rich import progress

    count = (
        progress.DownloadColumn()
        if unit == "bytes"
        else progress.TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit)
    )
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        count,
        progress.TimeRemainingColumn(),
        console=out,
    )


@contextmanager
def download_bar(out: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar for downloads; yields what to tell: bytes done and bytes in all.

    It appears with the first byte: what is already there shows nothing.
    """
    with progress_bar(out, "bytes") as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def positive_int(text: str) -> int:
    """An argument that counts something: 1, 2, 3, …"""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least 1")
    return value


def whole_number(text: str) -> int:
    """An argument such as a seed: 0, 1, 2, …"""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least 0")
    return int(text)


def existing_file(text: str) -> Path:
    """An argument that names a file to read."""
    path = Path(text).expanduser()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"no file at '{text}'; check the path")
    return path


def path(text: str) -> Path:
    """An argument that names a file or folder that may not exist yet."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"'{text}' names no file or folder")
    return Path(text).expanduser()


def positive(text: str) -> float:
    """An argument that measures something: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number above 0")
    return value


def not_negative(text: str) -> float:
    """An argument that may be nothing: a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number of at least 0")
    return value


def day(text: str) -> date:
    """An argument that names a local day as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' must be a day as YYYY-MM-DD") from error


def near(file: Path) -> str:
    """A path as a person in the current folder would type it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


@contextmanager
def open_database(file: Path, out: Console) -> Iterator[duckdb.DuckDBPyConnection]:
    """The measurements, read-only; the default database is built from the twin if it is missing."""
    from ems.store.connection import get_con

    if file == DEFAULT_DB and not file.exists():
        from ems.store.build import build_database
        from ems.store.ingest.twin import twin_dataset

        out.print(f"no database yet: building {near(file)} from the synthetic twin …")
        build_database(twin_dataset(), file)
        out.print("for real data: python scripts/build_duckdb.py --source opsd")
    con = get_con(file)
    try:
        yield con
    finally:
        con.close()
