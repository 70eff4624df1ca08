"""How the scripts speak and fail: the console, tables that fit it, progress, one-line errors.

Kept light: ``--help`` of every script passes through here.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from threading import Timer, main_thread
from typing import TYPE_CHECKING, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # scripts run from any folder, installed or not
    sys.path.insert(0, str(ROOT))

from ems.errors import EmsError  # noqa: E402 - needs the path above

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from ems.economics.settlement import Savings

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
BROUGHT_BY = {"dask": "-dev", "distributed": "-dev", "azure": "-azure"}
"""Libraries that one part needs, and the ending of the requirements file that brings them."""
FILE_WIDTH = 160
"""Columns of what is printed into a file or a pipe."""
LABEL = 10
"""Characters of the word that says what a line is about."""
SYNTHETIC = "SYNTHETIC DATA: made up, not measurements"


# --- the end of a script ------------------------------------------------------------------------


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
        file = f"requirements{BROUGHT_BY.get(library, '')}.txt"
        _say(f"{library} is not installed: pip install -r {file}")
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


# --- what is printed while it works -------------------------------------------------------------


def console() -> Console:
    """Where the scripts print; as wide as the terminal, and wide enough for tables in a file."""
    from rich.console import Console

    plain = {"highlight": False, "markup": False, "emoji": False}  # names may hold brackets
    out = Console(**plain)  # type: ignore[arg-type]
    wide = out.is_terminal or "COLUMNS" in os.environ
    return out if wide else Console(width=FILE_WIDTH, **plain)  # type: ignore[arg-type]


def say(out: Console, text: str, style: str | None = None) -> None:
    """Print lines that begin with a label of ten characters; what does not fit goes below it."""
    fits = {"width": max(out.width, 40), "subsequent_indent": " " * LABEL}
    for line in text.split("\n"):
        rows = wrap(line, break_long_words=False, break_on_hyphens=False, **fits)  # type: ignore[arg-type]
        out.print("\n".join(rows), style=style, soft_wrap=True)


@contextmanager
def doing(out: Console, what: str) -> Iterator[None]:
    """Say what is being done before it is done; on a terminal something moves meanwhile."""
    line = f"{what} …"
    if not out.is_terminal:
        out.print(line, soft_wrap=True)
        yield
        return
    with out.status(line):
        yield
    out.print(line, soft_wrap=True)


def progress_bar(out: Console, unit: str) -> Progress:
    """A bar with a description, the count in ``unit`` ("days", "bytes"), elapsed and left time."""
    from rich import progress

    count = (
        progress.DownloadColumn()
        if unit == "bytes"
        else progress.TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit)
    )
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=20),
        count,
        progress.TimeElapsedColumn(),
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


# --- tables and numbers -------------------------------------------------------------------------


def show_table(
    out: Console,
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    keys: int = 1,
    words: Container[int] = (),
) -> None:
    """Print a table, in several below each other where the console is too narrow for one.

    The first ``keys`` columns say what a row is and begin every part. They and the columns
    ``words`` are aligned to the left, numbers to the right.
    """
    from rich.table import Table

    for part in _parts(columns, rows, keys, out.width):
        table = Table(title=title or None, title_justify="left")
        for i in part:
            left = i < keys or i in words
            table.add_column(columns[i], justify="left" if left else "right", overflow="fold")
        for row in rows:
            table.add_row(*(row[i] for i in part))
        out.print(table)
        title = ""


def _parts(
    columns: Sequence[str], rows: Sequence[Sequence[str]], keys: int, width: int
) -> list[list[int]]:
    """Which columns stand in each part of a table so that none is wider than ``width``."""
    cells = [columns, *rows]
    widths = [max(len(row[i]) for row in cells) + 3 for i in range(len(columns))]
    room = width - 1 - sum(widths[:keys])
    parts, left = [[*range(keys)]], room
    for i in range(keys, len(columns)):
        if widths[i] > left and len(parts[-1]) > keys:
            parts.append([*range(keys)])
            left = room
        parts[-1].append(i)
        left -= widths[i]
    return parts


def near(file: Path) -> str:
    """A path as a person in the current folder would type it."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def counted(n: int, noun: str) -> str:
    """A number of things: ``1 day``, ``2 days``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def number(value: float, decimals: int) -> str:
    """A rounded number without the minus of a nothing."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def percent_text(fraction: float | None) -> str:
    """A fraction in percent; a dash where it is not defined."""
    return "–" if fraction is None else f"{number(100 * fraction, 0)} %"


def saving_text(saving: Savings | None) -> str:
    """A saving with its percentage; a dash where there is none."""
    if saving is None:
        return "–"
    pct = "" if saving.savings_pct is None else f" ({number(saving.savings_pct, 0)} %)"
    return f"{number(saving.savings_eur, 2)}{pct}"
