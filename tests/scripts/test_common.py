from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import common  # noqa: E402 - lies beside the scripts

from ems.errors import DataError  # noqa: E402


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("who: field = 3,\n  expected 4"), 2, "error: who: field = 3, expected 4\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept\n"),
        (
            RuntimeError("Query interrupted"),  # DuckDB's word for Ctrl-C
            130,
            "error: interrupted; what was finished is kept\n",
        ),
        (
            ModuleNotFoundError("No module named 'rich.table'", name="rich.table"),
            2,
            "error: rich is not installed: pip install -r requirements.txt\n",
        ),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    with pytest.raises(SystemExit) as left:
        common.run(raising(error))
    assert left.value.code == code
    assert capsys.readouterr().err == line


def test_ctrl_c_while_python_tidies_up_is_not_lost() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import common, os, signal, time\n"
        "class Tidied:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(1)\n"
        "def main():\n"
        "    Tidied()\n"
        "    time.sleep(20)\n"
        "common.run(main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    says = "error: interrupted; what was finished is kept\n"
    assert (done.returncode, done.stderr) == (130, says)


@pytest.mark.parametrize(
    "bug",
    [
        ZeroDivisionError(),
        RuntimeError("something else"),
        ModuleNotFoundError("No module named 'ems.nope'", name="ems.nope"),
    ],
)
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        common.run(raising(bug))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_output_that_finds_no_room_is_one_line() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import common; "
        "common.run(lambda: print('one'))"
    )
    start = [sys.executable, "-c", code]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(start, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device: output; make room and try again\n"


def test_another_failure_of_the_system_keeps_its_traceback() -> None:
    with pytest.raises(IsADirectoryError):
        common.run(raising(IsADirectoryError(21, "Is a directory")))


def test_characters_that_the_encoding_lacks_are_question_marks() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import common; "
        "common.run(lambda: common.console().print('12 € …'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"12 ? ?\n", b"")


def test_a_path_without_a_name_is_refused() -> None:
    for text in ("", " "):
        with pytest.raises(argparse.ArgumentTypeError, match="names no file or folder"):
            common.path(text)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """The second line waits in the buffer until the reader is gone."""
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import common; "
        "common.run(lambda: [print('one', flush=True), sys.stdin.read(), print('two')])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
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


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "many", ""])
def test_counts_are_whole_and_positive(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="whole number of at least 1"):
        common.positive_int(text)
    assert common.positive_int("7") == 7


@pytest.mark.parametrize("text", ["-1", "1.0", "seed"])
def test_seeds_are_whole_and_not_negative(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="whole number of at least 0"):
        common.whole_number(text)
    assert common.whole_number("0") == 0


def test_files_that_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no file at"):
        common.existing_file(str(tmp_path / "gone.csv"))
    (tmp_path / "here.csv").write_text("")
    assert common.existing_file(str(tmp_path / "here.csv")) == tmp_path / "here.csv"


def test_a_wrong_argument_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = common.Parser("What it does.")
    parser.prog = "01_run.py"
    parser.add_argument("--n_days", type=common.positive_int)
    with pytest.raises(SystemExit) as left:
        parser.parse_args(["--n_days", "0"])
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "error: argument --n_days: '0' must be a whole number of at least 1 "
        "(see 01_run.py --help)\n"
    )


def test_brackets_in_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    common.console().print("reading my[red]data[/].csv :smile:")
    assert capsys.readouterr().out == "reading my[red]data[/].csv :smile:\n"


def test_downloads_show_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with common.download_bar(common.console(), "household data") as progress:
        progress(500, 1000)
        progress(1000, 1000)
    shown = capsys.readouterr().out
    assert "household data" in shown
    assert "1.0/1.0 kB" in shown


def test_days_show_a_bar_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress_bar(common.console(), "days") as bar:
        bar.update(bar.add_task("planning", total=7), completed=7)
    assert "7/7 days" in capsys.readouterr().out
