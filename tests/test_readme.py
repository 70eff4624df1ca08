"""The README's Python example keeps its promise, and a stranger finds every room and script.

Its commands and links are tested in ``test_docs``.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
SHARED = {"command_line.py", "console.py", "planning.py", "runs.py"}
"""Modules of ``scripts/`` that are no scripts."""


@pytest.mark.smoke
def test_the_python_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks[0], "README.md", "exec"), {})
    assert "battery.soc_kwh" in printed.getvalue()
    assert printed.getvalue().rstrip().endswith("bill -0.11 €")


@pytest.mark.smoke
def test_every_room_and_script_is_on_the_map() -> None:
    text = README.read_text(encoding="utf-8")
    rooms = [folder.parent.name for folder in (ROOT / "ems").glob("*/__init__.py")]
    scripts = {file.name for file in (ROOT / "scripts").glob("*.py")} - SHARED
    assert len(rooms) >= 8
    assert len(scripts) >= 5
    assert [room for room in rooms if f"ems/{room}/" not in text] == []
    assert [name for name in sorted(scripts) if f"scripts/{name}" not in text] == []
    named = re.findall(r"(?<![\w/])(?:scripts|ems|docs|benchmarks|compliance)/[\w./]*\w", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


# --- the numbers of the README are those that its commands print ---------------------------------

STORED = ROOT / "tests" / "stored_output"
"""What the commands of the README printed, the command in the first line.

They plan a year of measurements, so no test runs them: who changes a number of the README runs its
command again and stores what it prints.
"""


def stored(name: str) -> list[str]:
    """What a command printed; the README must name it."""
    command, *lines = (STORED / name).read_text(encoding="utf-8").splitlines()
    assert command in README.read_text(encoding="utf-8")
    return lines


def cells_of(line: str, border: str = "|") -> list[str]:
    return [cell.strip() for cell in line.strip().strip(border).split(border)]


def rows_below(head: str) -> list[list[str]]:
    """The rows of the README's table with this head."""
    lines = README.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(head)) + 2
    after = next(i for i, line in enumerate(lines[first:], first) if not line.startswith("|"))
    return [cells_of(line) for line in lines[first:after]]


def amount_and_percent(cell: str) -> tuple[str, str]:
    """A saving without its interval, such as ``258.56 (201 … 313), 20 %`` or ``258.56 (20 %)``."""
    percent = re.search(r"(-?\d+) %", cell)
    return cell.split(" ")[0], percent[1] if percent else ""


@pytest.mark.smoke
def test_the_rows_of_the_result_are_what_its_command_printed_to_the_cent() -> None:
    lines = [cells_of(line, "│") for line in stored("readme_run.txt") if line.startswith("│")]
    head = next(line for line in stored("readme_run.txt") if line.startswith("┃"))
    printed = {line[0]: dict(zip(cells_of(head, "┃"), line, strict=True)) for line in lines}
    rows = rows_below("| mode | cost €")
    assert [row[0].replace(" (best rule)", " *") for row in rows] == list(printed)
    for name, cost, wear, metered, rule, bought, own in rows:
        row = printed[name.replace(" (best rule)", " *")]
        assert (cost, wear, bought) == (row["cost €"], row["wear €"], row["import kWh"])
        assert own == row["self-suff."]
        assert amount_and_percent(metered) == amount_and_percent(row["vs metered €"])
        if rule != "–":  # neither as metered nor the rule itself
            assert amount_and_percent(rule)[0] == amount_and_percent(row["vs best rule €"])[0]
    peaks = [printed[name]["peak kW"] for name in ("as metered", "self-consumption *")]
    peaks.append(printed["centralized"]["peak kW"])
    said = "{} kW as metered, {} kW under the rule and {} kW under the plans".format(*peaks)
    assert said in " ".join(README.read_text(encoding="utf-8").split())


@pytest.mark.smoke
def test_the_intervals_of_the_result_are_those_of_its_table() -> None:
    """``benchmarks/tables.py`` names modes as figures do."""
    head, _, *lines = (line for line in stored("readme_year.txt") if line.startswith("|"))
    names = cells_of(head)
    printed = {}
    for line in lines:
        row = dict(zip(names, cells_of(line), strict=True))
        mode = row["mode"].replace(" (rule)", " (best rule)")
        printed[mode.replace("centralized, phases", "centralized_phases")] = row
    rows = rows_below("| mode | cost €")
    assert {row[0] for row in rows} <= set(printed)
    for name, cost, wear, metered, rule, *_ in rows:
        row = printed[name]
        assert (cost, wear) == (row["cost €"], row["wear €"])
        assert (metered, rule) == (row["saved vs metered €"], row["vs rule €"])
    after = printed["centralized"]["after wear €"]
    total = re.match(r"([\d.]+) \((\d+) … (\d+)\)", after)
    assert total is not None
    said = f"planning adds {float(total[1]):.0f} € ({total[2]} … {total[3]})"
    assert said in " ".join(README.read_text(encoding="utf-8").split())


@pytest.mark.smoke
def test_the_rows_of_the_sources_are_what_its_command_printed_to_the_cent() -> None:
    _, _, *lines = (line for line in stored("readme_sources.txt") if line.startswith("|"))
    assert rows_below("| what is planned") == [cells_of(line) for line in lines]
