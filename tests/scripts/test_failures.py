"""How every script says no: one line with one beginning, exit code 2, and 130 on Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LATER = {
    "01_run.py": (("--db", "gone.duckdb"), "gone.duckdb: there is no database here"),
    "02_integrated_pipeline.py": (("--appliances", "off"), "Pipeline B plans appliances"),
    "03_probability_learning_optimization.py": (("--lr_min", "2"), "lr_min"),
    "build_duckdb.py": (("--source", "gone.csv"), "gone.csv"),
    "create_comprehensive_visualizations.py": (("--results", "gone"), "there are no results yet"),
    "deploy_learning_pipeline.py": (("--objective", "x"), "objective is only for --publish"),
    "launch_mlflow.py": (("--db", "gone.db"), "no runs at"),
    "mlflow_analysis.py": (("--db", "gone.db"), "gone.db"),
    "rerun.py": (("abc", "--tracking_uri", "sqlite:///gone.db"), "gone.db"),
}
"""What each script refuses behind its command line, and how it says so."""
INTERRUPTED = """
import argparse, os, runpy, signal, sys
argparse.ArgumentParser.parse_args = lambda *_: os.kill(os.getpid(), signal.SIGINT)
sys.argv, sys.path[:0] = [sys.argv[1]], [os.path.dirname(sys.argv[1])]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def of_script(path: Path) -> bool:
    """Whether a person calls it: it is no module that the scripts share."""
    return 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")


def call(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )


def test_no_script_is_forgotten() -> None:
    assert {path.name for path in SCRIPTS.glob("*.py") if of_script(path)} == set(LATER)


@pytest.mark.parametrize("script", LATER)
def test_an_unknown_option_is_one_line(script: str, tmp_path: Path) -> None:
    run_id = ("abc",) if script == "rerun.py" else ()
    done = call(tmp_path, SCRIPTS / script, *run_id, "--no_such_option")
    says = f"error: unrecognized arguments: --no_such_option (see {script} --help)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", says)


@pytest.mark.parametrize("script", LATER)
def test_what_is_refused_later_is_said_alike(script: str, tmp_path: Path) -> None:
    given, says = LATER[script]
    done = call(tmp_path, SCRIPTS / script, *given)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"error: [^\n]+\n", done.stderr), done.stderr
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", LATER)
def test_ctrl_c_is_one_line(script: str, tmp_path: Path) -> None:
    done = call(tmp_path, "-c", INTERRUPTED, SCRIPTS / script)
    says = "error: interrupted; what was finished is kept\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", says)


def test_ctrl_c_lets_the_run_that_is_run_again_mark_its_end(tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(
        f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r}); import common\n"
        "def main():\n"
        "    try:\n"
        "        print('begun', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        time.sleep(1); open('marked', 'w').close()\n"
        "common.run(main)"
    )
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(SCRIPTS)!r}); import common, rerun; "
        f"common.run(lambda: rerun.repeat([{str(tmp_path / 'again.py')!r}], pathlib.Path(), 'id'))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
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
        assert process.stderr.read() == "error: interrupted; what was finished is kept\n"
    assert (tmp_path / "marked").exists()
