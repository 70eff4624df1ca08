"""What all scripts share on the console: their end, tables that fit, numbers, progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from called_script import SCRIPTS

import console  # isort: skip - lies in scripts, which called_script puts on the path

from ems.errors import DataError

INTERRUPTED = "error: interrupted; what was finished is kept\n"
LEAVING = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import console, os, signal, time\n"


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("who: field = 3,\n  expected 4"), 2, "error: who: field = 3, expected 4\n"),
        (KeyboardInterrupt(), 130, INTERRUPTED),
        (RuntimeError("Query interrupted"), 130, INTERRUPTED),  # DuckDB's word for Ctrl-C
        (
            ModuleNotFoundError("No module named 'rich.table'", name="rich.table"),
            2,
            "error: rich is not installed: pip install -r requirements.txt\n",
        ),
        (
            ModuleNotFoundError("No module named 'dask'", name="dask"),
            2,
            "error: dask is not installed: pip install -r requirements-dev.txt\n",
        ),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    with pytest.raises(SystemExit) as left:
        console.run(raising(error))
    assert left.value.code == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    "bug",
    [
        ZeroDivisionError(),
        RuntimeError("something else"),
        ModuleNotFoundError("No module named 'ems.nope'", name="ems.nope"),
        IsADirectoryError(21, "Is a directory"),
    ],
)
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        console.run(raising(bug))


def left_by(code: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", LEAVING + code]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, timeout=60, **more)  # type: ignore[call-overload, no-any-return]


def test_ctrl_c_while_python_tidies_up_is_not_lost() -> None:
    done = left_by(
        "class Tidied:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(1)\n"
        "def main():\n"
        "    Tidied()\n"
        "    time.sleep(20)\n"
        "console.run(main)"
    )
    assert (done.returncode, done.stderr.decode()) == (130, INTERRUPTED)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_output_that_finds_no_room_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = left_by("console.run(lambda: print('one'))", stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"error: No space left on device: output; make room and try again\n"


def test_characters_that_the_encoding_lacks_are_question_marks() -> None:
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    code = "console.run(lambda: console.console().print('12 € …'))"
    done = left_by(code, stdout=subprocess.PIPE, env=ascii_only)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"12 ? ?\n", b"")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """The second line waits in the buffer until the reader is gone."""
    code = "console.run(lambda: [print(1, flush=True), sys.stdin.read(), print(2)])"
    with subprocess.Popen(
        [sys.executable, "-c", LEAVING + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_ctrl_c_lets_the_run_that_is_run_again_mark_its_end(tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(
        f"{LEAVING}"
        "def main():\n"
        "    try:\n"
        "        print('begun', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        time.sleep(1); open('marked', 'w').close()\n"
        "console.run(main)"
    )
    again = f"rerun.repeat([{str(tmp_path / 'again.py')!r}], pathlib.Path(), 'id')"
    with subprocess.Popen(
        [sys.executable, "-c", f"{LEAVING}import pathlib, rerun; console.run(lambda: {again})"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == INTERRUPTED
    assert (tmp_path / "marked").exists()


# --- tables and numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "n_tables"), [(40, 6), (80, 2), (120, 1), (160, 1)])
def test_a_table_is_parted_where_it_does_not_fit(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    n_tables: int,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    heads = ["mode", *(f"figure {i} kWh" for i in range(6))]
    rows = [["centralized", "-1.38 (-198 %)", "2", "3", "4", "5", "6"], ["x", *"abcdef"]]
    console.show_table(console.console(), "a title", heads, rows)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert max(map(len, lines)) <= width
    assert said.count("a title") == 1
    assert said.count("│ centralized ") == said.count("┃ mode ") == n_tables
    for cell in ("figure 5 kWh", "-1.38 (-198 %)", " 6 │", " f │"):
        assert said.count(cell) == 1


def test_a_cell_wider_than_the_console_is_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console.show_table(console.console(), "", ["name", "value"], [["n" * 60, "v" * 60]])
    said = capsys.readouterr().out
    assert (said.count("n"), said.count("v")) == (1 + 60, 1 + 60)
    assert "…" not in said


def test_numbers_have_no_minus_of_nothing_and_nouns_their_number() -> None:
    assert console.number(-0.004, 2) == "0.00"
    assert console.percent_text(-0.001) == "0 %"
    assert console.percent_text(None) == console.saving_text(None) == "–"
    assert console.counted(1, "day") == "1 day"
    assert console.counted(0, "day") == "0 days"


def test_brackets_in_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.console().print("reading my[red]data[/].csv :smile:")
    assert capsys.readouterr().out == "reading my[red]data[/].csv :smile:\n"


def test_what_takes_long_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    out = console.console()
    with console.download_bar(out, "household data") as progress:
        progress(1000, 1000)
    with console.progress_bar(out, "days") as bar:
        bar.update(bar.add_task("planning", total=7), completed=7)
    shown = capsys.readouterr().out
    for said in ("household data", "1.0/1.0 kB", "planning", "7/7 days"):
        assert said in shown
    with console.doing(out, "drawing"):
        assert capsys.readouterr().out == "drawing …\n"
