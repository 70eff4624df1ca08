"""The tables of the documents: their rows, their bar, and the command."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import fields
from datetime import date
from types import ModuleType

import numpy as np
import pytest
from documents import ROOT
from small_building import local_index
from small_building import made as house

from ems.core.mode import Mode
from ems.economics.settlement import DayKpis

FILE = ROOT / "benchmarks" / "tables.py"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tables"] = module  # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def day(bill_eur: float, wear_eur: float = 0.0) -> DayKpis:
    values = {field.name: 0.0 for field in fields(DayKpis)}
    values |= {"days": 1.0, "bought_eur": 5.0, "bill_eur": bill_eur, "wear_eur": wear_eur}
    return DayKpis(**values)


def made(tables: ModuleType, **of_mode: list[DayKpis]) -> object:
    return tables.Outcome(label="", building="DE_KN_house", days=of_mode)


def test_the_bar_is_the_rule_that_costs_least_with_wear(tables: ModuleType) -> None:
    """No plan is one, nor is doing nothing."""
    found = made(
        tables,
        as_metered=[day(4.0)],
        self_consumption=[day(3.0, 0.2)],
        timer=[day(2.9, 0.4)],
        price_threshold=[day(3.1, 0.0)],
        value_based=[day(0.5)],
        centralized=[day(1.0)],
        perfect_foresight=[day(0.9)],
    )
    assert found.rule == "price_threshold"  # type: ignore[attr-defined]


def test_a_row_by_hand(tables: ModuleType) -> None:
    found = made(
        tables,
        as_metered=[day(4.0), day(6.0)],
        self_consumption=[day(3.0, 0.2), day(5.0, 0.2)],
        centralized=[day(2.5, 0.3), day(4.0, 0.0)],
    )
    cells = dict(zip(tables.MODE_HEADS, tables.mode_cells(found, "centralized"), strict=True))
    assert cells == {
        "bill €": "6.50",
        "cost €": "6.50",
        "wear €": "0.30",
        "saved vs metered €": "3.50, 35 %",
        "vs rule €": "1.50",
        "after wear €": "1.60",
        "import kWh": "0",
        "self-sufficiency": "–",
    }
    rows = tables.modes_table([found], forecasts=False).splitlines()
    assert rows[0].count("|") == rows[1].count("|") == rows[-1].count("|") == 11
    assert rows[3].startswith(
        "| house, 2 | self-consumption (rule) | 8.00 | 8.00 | 0.40 | 2.00, 20 % | – |"
    )


def test_the_share_captured_has_wear_in_it(tables: ModuleType) -> None:
    """10 − 6 − 1 = 3 saved of 10 − 5 − 0 = 5 possible, as in ``ems.pipelines.captured``."""
    found = made(
        tables,
        as_metered=[day(10.0)],
        self_consumption=[day(9.0)],
        centralized=[day(6.0, 1.0)],
        centralized_perfect=[day(5.0)],
    )
    shares = [tables.captured_cell(found, mode) for mode in found.days]  # type: ignore[attr-defined]
    assert shares == ["–", "20 %", "60 %", "100 %"]
    row = tables.modes_table([found], forecasts=True).splitlines()[-1]
    assert row.endswith("| 100 % |")


def test_an_interval_stands_beside_a_sum_of_enough_days(tables: ModuleType) -> None:
    assert tables.with_interval(np.ones(3)) == "3.00"
    values = np.random.default_rng(1).normal(1.0, 0.5, 50)
    told = tables.with_interval(values)
    assert told.startswith(f"{values.sum():.2f} (")
    assert (tables.bound(-0.04), tables.bound(-9.96), tables.bound(12.4)) == ("0.0", "-10.0", "12")


@pytest.mark.parametrize(
    "what", ["year", "sources", "wear", "registers", "forecasts", "carried_out", "buildings"]
)
def test_every_table_names_what_it_runs(tables: ModuleType, what: str) -> None:
    cases = list(tables.specs(what))
    assert len({label for label, _ in cases}) == len(cases)
    assert what in tables.WINDOWS
    modes: set[Mode] = {"as_metered", "rule_based", "centralized"}
    assert all(modes <= set(spec.all_modes) for _, spec in cases)


def test_a_case_is_run_under_all_its_modes(tables: ModuleType) -> None:
    history = house(local_index(date(2016, 6, 1), 3), base_kw=0.5)
    label, spec = next(tables.specs("sources"))
    case = tables.Case(label=label, spec=spec, history=history, start=None, n_days=9)
    found = tables.outcome(case)
    assert set(found.days) == set(spec.all_modes) - {"rule_based"}
    assert {len(days) for days in found.days.values()} == {3}  # no more are there
    assert found.totals["as_metered"].import_kwh == pytest.approx(3 * 24 * 0.5)


def test_a_table_that_cannot_be_made_says_why_in_a_line() -> None:
    call = [sys.executable, str(FILE), "year", "--db", "nowhere.duckdb"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1
