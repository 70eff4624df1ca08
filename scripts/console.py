"""Console output and errors of the scripts: tables that fit, progress, one-line errors.

Without heavy imports, since ``--help`` of every script loads it.
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
"""Libraries of one part only, with the suffix of the requirements file that has them."""
FILE_WIDTH = 160
"""Width in columns of output to a file or pipe."""
LABEL = 10
"""Width of the label at the start of a line."""
SYNTHETIC = "SYNTHETIC DATA: made up, not measurements"


# --- the end of a script ------------------------------------------------------------------------


def run(main: Callable[[], None]) -> NoReturn:
    """Call ``main`` and exit: 0, 2 after a one-line error that the user can fix, 130 on Ctrl-C.

    SIGTERM counts as Ctrl-C. Anything else is a bug and keeps its traceback. Characters missing in
    the terminal's encoding are printed as question marks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _interrupt_again
    try:
        main()
        # Here: what cannot be printed must fail inside the try, not at exit.
        sys.stdout.flush()
    except EmsError as error:
        _say(str(error))
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        _leave_interrupted()
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # DuckDB's form of Ctrl-C
            raise
        _leave_interrupted()
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        # A missing module of our own is a bug.
        if library in ("", "ems"):
            raise
        file = f"requirements{BROUGHT_BY.get(library, '')}.txt"
        _say(f"{library} is not installed: pip install -r {file}")
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:  # the reader, such as `head`, has closed
        _print_no_more()
        sys.exit(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _print_no_more()  # buffered output may be what found no room
        _say(
            f"{error.strerror or 'no room'}: {error.filename or 'output'}; make room and try again"
        )
        sys.exit(EXIT_BAD_INPUT)
    sys.exit(0)


def _interrupt_again(lost: Any) -> None:
    """Raise Ctrl-C again if it came during clean-up, where Python drops exceptions."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        # A moment later: an exception raised in here would be dropped as well.
        Timer(0.05, signal.pthread_kill, (main_thread().ident, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(lost)


def _interrupted_early(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """End as ``run`` does where Ctrl-C comes while a script is still being imported."""
    if issubclass(kind, KeyboardInterrupt):
        _say("interrupted; nothing was started")
        os._exit(EXIT_INTERRUPTED)  # sys.exit would not change the code of this exit
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _interrupted_early


def _leave_interrupted() -> NoReturn:
    _say("interrupted; what was finished is kept")
    sys.exit(EXIT_INTERRUPTED)


def _print_no_more() -> None:
    """Discard remaining output, so that exiting cannot fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


# --- what is printed while it works -------------------------------------------------------------


def console() -> Console:
    """The console: as wide as the terminal, or wide enough for tables in a file."""
    from rich.console import Console

    plain = {"highlight": False, "markup": False, "emoji": False}  # names may hold brackets
    out = Console(**plain)  # type: ignore[arg-type]
    wide = out.is_terminal or "COLUMNS" in os.environ
    return out if wide else Console(width=FILE_WIDTH, **plain)  # type: ignore[arg-type]


def say(out: Console, text: str, style: str | None = None) -> None:
    """Print lines that start with a label of ten characters; long ones wrap below the text."""
    fits = {"width": max(out.width, 40), "subsequent_indent": " " * LABEL}
    for line in text.split("\n"):
        rows = wrap(line, break_long_words=False, break_on_hyphens=False, **fits)  # type: ignore[arg-type]
        out.print("\n".join(rows), style=style, soft_wrap=True)


@contextmanager
def doing(out: Console, what: str) -> Iterator[None]:
    """Announce a step before it starts; on a terminal with a spinner."""
    line = f"{what} …"
    # In a file or pipe the line comes first, so that a reader sees what is being waited for.
    if not out.is_terminal:
        out.print(line, soft_wrap=True)
        yield
        return
    with out.status(line):
        yield
    out.print(line, soft_wrap=True)


def progress_bar(out: Console, unit: str) -> Progress:
    """A bar with description, count in ``unit`` ("days", "bytes"), elapsed and remaining time."""
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
    """A progress bar for downloads; yields a function of bytes done and bytes in total.

    It appears with the first byte: cached files show nothing.
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
    """Print a table, split into several if the console is too narrow.

    The first ``keys`` columns identify a row and start every part. They and the columns ``words``
    are left-aligned, numbers right-aligned.
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
    """The columns of each part of a table, so that none is wider than ``width``."""
    cells = [columns, *rows]
    # 3: the padding and border of a column.
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
    """A path as typed from the current folder."""
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def counted(n: int, noun: str) -> str:
    """A number of things: ``1 day``, ``2 days``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def number(value: float, decimals: int) -> str:
    """A rounded number without negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def percent_text(fraction: float | None) -> str:
    """A fraction in percent; a dash if undefined."""
    return "–" if fraction is None else f"{number(100 * fraction, 0)} %"


def saving_text(saving: Savings | None) -> str:
    """A saving with its percentage; a dash if there is none."""
    if saving is None:
        return "–"
    pct = "" if saving.savings_pct is None else f" ({number(saving.savings_pct, 0)} %)"
    return f"{number(saving.savings_eur, 2)}{pct}"
