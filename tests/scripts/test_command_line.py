"""The command lines of all scripts: their options, defaults, texts, files of options, mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from called_script import SCRIPTS, A, B, C, call, in_process, one_line, script

import command_line as line  # isort: skip - lies in scripts, which called_script puts on the path
import planning  # isort: skip

from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec
from ems.learning.rate import LearningRate
from ems.pipelines.spec import ComparisonSpec, IntegratedSpec, SearchSpec
from ems.site.assets import Assets

LATER = {
    A: (("--db", "gone.duckdb"), "gone.duckdb: there is no database here"),
    B: (("--appliances", "off"), "Pipeline B plans appliances"),
    C: (("--lr_min", "2"), "lr_min"),
    "04_community.py": (("--homes", "1"), "sharing needs at least two"),
    "05_market.py": (("--scenario", "smaple"), "scenario 'smaple' is unknown; ready are"),
    "build_duckdb.py": (("--source", "gone.csv"), "gone.csv"),
    "create_comprehensive_visualizations.py": (("--results", "gone"), "there are no results yet"),
    "deploy_learning_pipeline.py": (("--objective", "x"), "objective is only for --publish"),
    "launch_mlflow.py": (("--db", "gone.db"), "no runs at"),
    "mlflow_analysis.py": (("--db", "gone.db"), "gone.db"),
    "run_distributed_simulation.py": (("--homes", "x"), "is not ID=BUILDING@TRANSFORMER"),
    "serve_agent.py": (("--id", "Home 1"), "allowed are small letters"),
    "tariff.py": (("--price", "flat"), "--import_ct_per_kwh is missing"),
    "rerun.py": (("abc", "--tracking_uri", "sqlite:///gone.db"), "gone.db"),
}
"""What each script refuses behind its command line, and how it says so."""
HEAVY = {"pandas", "duckdb", "pulp", "highspy", "mlflow", "matplotlib", "sklearn", "pvlib"}


def options_of(name: str) -> Any:
    """The options of a script without any word on its command line."""
    module = script(name)
    more = {"words": ("RUN", "")} if hasattr(module.Options(), "words") else {}
    return line.parsed(module.Options, "", "", [], **more)


def given(name: str, *arguments: str) -> Any:
    return line.parsed(script(name).Options, "", "", arguments)


def flat(options: Any) -> Iterator[tuple[str, str]]:
    """Name and help text of every option."""
    for one in fields(options):
        value = getattr(options, one.name)
        if is_dataclass(value):
            yield from flat(value)
        elif one.name != "words":
            yield one.name, one.metadata["help"]


# --- defaults and texts ------------------------------------------------------------------------


def test_no_script_is_forgotten() -> None:
    main = 'if __name__ == "__main__":'
    files = [file for file in SCRIPTS.glob("*.py") if main in file.read_text(encoding="utf-8")]
    assert {file.name for file in files} == set(LATER)


def test_without_options_the_specifications_are_those_of_the_package() -> None:
    base = ComparisonSpec(tariff=load_tariff("dynamic"), assets=Assets())
    asked = options_of(A)
    made = planning.specification(asked.what, asked.assets, asked.foresight, asked.solving)
    assert made == base
    integrated = script(B).integrated_specification(options_of(B))
    assert integrated == IntegratedSpec(base=integrated.base)
    assert integrated.base.modes == ("centralized",)
    search = script(C).specification(options_of(C))
    assert search == SearchSpec(rates=search.rates)
    assert {rate.lr_min for rate in search.rates} == {LearningRate.lr_min}


@pytest.mark.parametrize("name", LATER)
def test_help_says_every_option_with_its_text_and_default(name: str) -> None:
    done = call(name, "--help", columns=200)
    assert (done.code, done.err) == (0, "")
    told = re.sub(r"[│\s]+", " ", done.out)
    defaults = dict(flat_values(options_of(name)))
    for option, text in flat(options_of(name)):
        assert text
        assert f"--{option} " in told
        shown = line._shown(defaults[option])
        assert "[default: " in text or shown is not None, option
        assert " ".join(text.split()[:4]) in told, option


def flat_values(options: Any) -> Iterator[tuple[str, Any]]:
    for one in fields(options):
        value = getattr(options, one.name)
        yield from flat_values(value) if is_dataclass(value) else [(one.name, value)]


@pytest.mark.smoke
@pytest.mark.parametrize("name", [A, "build_duckdb.py", "mlflow_analysis.py"])
def test_help_needs_nothing_heavy(name: str) -> None:
    command = [sys.executable, "-X", "importtime", str(SCRIPTS / name), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert "cyclopts" in imported
    assert imported & HEAVY == set()


# --- values ------------------------------------------------------------------------------------


def test_options_are_read_as_they_always_were() -> None:
    asked = given(
        A,
        *("--mode", "centralised_phases", "--n_days", "all", "--start", "2016-03-01"),
        *("--battery=off", "--battery_kwh", "5", "--battery_kwh", "6", "--v2g_kw", "0"),
    )
    assert (asked.what.mode, asked.what.n_days) == ("centralized_phases", "all")
    assert str(asked.what.start) == "2016-03-01"
    assert (asked.assets.battery, asked.assets.battery_kwh) == ("off", 6.0)
    asked = given(A, "--battery_kwh", "5,7.5", "--pv_scale", "0,2", "--export", "csv,xlsx")
    assert (asked.assets.battery_kwh, asked.assets.pv_scale) == ((5.0, 7.5), (0.0, 2.0))
    assert asked.where.export == ("csv", "xlsx")
    asked = given(B, "--preference_eur", "0,0.1", "--lr_tau", "9")
    assert asked.habits.preference_eur == (0.0, 0.1)
    asked = given(C, "--test_multiple_devices", "--device_filter", "ev,discrete_phase")
    assert asked.learned.test_multiple_devices
    assert asked.learned.device_filter == ("ev", "discrete_phase")


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        (A, ("--mode", "nope"), "--mode: 'nope' is no mode; known: decentralized, centralized"),
        (A, ("--n_days", "0"), "--n_days: '0' must be a whole number of at least 1, or all"),
        (A, ("--n_days", "2.5"), "--n_days: '2.5' must be a whole number"),
        (A, ("--start", "2016-13-01"), "--start: '2016-13-01' must be a day as YYYY-MM-DD"),
        (A, ("--battery_kwh", "-5"), "--battery_kwh: '-5' must be a number above 0"),
        (A, ("--battery_kw", "nan"), "--battery_kw: 'nan' must be a number above 0"),
        (A, ("--v2g_kw", "-3"), "--v2g_kw: '-3' must be a number of at least 0"),
        (A, ("--mip_gap", "x"), "--mip_gap: 'x' must be a number"),
        (A, ("--time_limit", "0"), "--time_limit: '0' must be a number above 0"),
        (A, ("--workers", "0"), "--workers: '0' must be a whole number of at least 1"),
        (A, ("--seed", "-1"), "--seed: '-1' must be a whole number of at least 0"),
        (A, ("--ev", "maybe"), '"maybe" for --ev. Choose from: "auto", "on", "off"'),
        (A, ("--results", " "), "--results: ' ' names no file or folder"),
        (A, ("--db",), "--db requires an argument"),
        (A, ("stray",), "unused Tokens: .'stray'."),
        (A, ("--config", "gone.toml"), "--config: gone.toml cannot be read .No such file"),
        (B, ("--mode", "all"), "--mode: 'all' is no mode"),
        (B, ("--battery_kwh", "5,10"), "--battery_kwh: '5,10' must be a number above 0"),
        (B, ("--preference_eur", "a,b"), "--preference_eur: 'a,b' must be numbers with commas"),
        (C, ("--lr_max_values", ""), "--lr_max_values: '' must be numbers"),
        (C, ("--device_filter", "magic"), "'magic' is unknown; known: discrete_phase"),
        ("build_duckdb.py", ("--step_minutes", "30"), '"30" for --step_minutes. Choose from'),
        ("deploy_learning_pipeline.py", ("--pipeline", "D"), '"D" for --pipeline. Choose from'),
        ("rerun.py", (), "RUN: 0 are given, one is needed"),
        *((name, ("--no_such_option",), "unknown option: --no_such_option") for name in LATER),
    ],
)
def test_a_mistake_is_one_line_that_leads_to_the_help(
    name: str, args: tuple[str, ...], says: str
) -> None:
    done = call(name, *args)
    one_line(done, says)
    assert done.out == ""
    if name == A and args[0] != "--config":
        assert done.err.endswith(f"(see {name} --help)\n")


# --- files of options --------------------------------------------------------------------------


def test_a_file_of_options_counts_less_than_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('battery_kwh = 5\nmode = "centralised"\nbattery = "off"\nmip_gap = 1e-3\n')
    asked = given(A, "--config", str(file), "--battery_kwh", "7")
    assert (asked.assets.battery_kwh, asked.assets.battery) == (7.0, "off")
    assert (asked.what.mode, asked.solving.mip_gap) == ("centralized", 1e-3)
    assert line.given(["--config", "mine.toml"], "mode", tmp_path) == "centralised"
    assert line.given(["--mode=all", "--config", "mine.toml"], "mode", tmp_path) == "all"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("battery_kw_h = 5", "unknown option: .*battery_kw_h.* from .*mine.toml"),
        ("battery_kwh = 'x'", "battery_kwh.: 'x' must be a number above 0"),
        ("battery_kwh = ", "mine.toml cannot be read .Invalid value"),
        ("[assets]\nbattery_kwh = 5", "assets"),
    ],
)
def test_a_file_that_cannot_be_followed_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    one_line(call(A, "--config", tmp_path / "mine.toml"), says)


@pytest.mark.parametrize("name", [A, B, C])
def test_what_is_kept_says_the_same_again(name: str, tmp_path: Path) -> None:
    asked = given(
        *(name, "--n_days", "all", "--db", "a b.duckdb", "--tracking_uri", "http://u:p@h"),
        *(("--battery_kwh", "5,10", "--export", "csv,parquet") if name == A else ()),
    )
    file = tmp_path / "config.toml"
    file.write_text(line.as_toml(asked), encoding="utf-8")
    again = given(name, "--config", str(file))
    assert dict(flat_values(again)) == dict(flat_values(asked)) | {
        "config": file,
        "db": Path("a b.duckdb").absolute(),
        "tracking_uri": "http://…@h",  # passwords are not kept
    }
    assert "config" not in tomllib.loads(line.as_toml(asked))


# --- buildings ---------------------------------------------------------------------------------


def test_a_building_is_named_in_full_by_its_end_or_not_at_all() -> None:
    known = ["DE_KN_residential1", "DE_KN_residential4", "my_home", "your_home"]
    named = planning.building_named
    assert named(known, None) == "DE_KN_residential4"
    assert named(["my_home"], None) == "my_home"
    assert named(known, "residential1") == "DE_KN_residential1"
    assert named(known, "my_home") == "my_home"
    for asked in ("home", "1", "all", ""):
        with pytest.raises(InvalidSpec, match=f"building '{asked}' is unknown; known are DE_KN_r"):
            named(known, asked)


# --- each script in a process of its own -------------------------------------------------------

INTERRUPTED = """
import os, runpy, signal, sys
sys.path[:0] = [os.path.dirname(sys.argv[1])]
import command_line
command_line.parsed = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
sys.argv = [sys.argv[1]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("name", LATER)
def test_what_is_refused_later_is_said_alike_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    args, says = LATER[name]
    one_line(in_process(name, *args, cwd=tmp_path), says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", LATER)
def test_ctrl_c_is_one_line(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(SCRIPTS / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: interrupted; what was finished is kept\n"
