"""A run's results as files: the same numbers as the database, every column with its unit."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import pytest
from small_building import local_index, made

from ems.economics.settlement import DayKpis
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, InvalidSpec
from ems.pipelines.comparison import DayRecord
from ems.pipelines.parallel import run_comparison
from ems.pipelines.spec import ComparisonSpec
from ems.store.export import FORMATS, SHEET_ROWS, export_run, require_room, unit_of
from ems.store.frames import KPIS, day_tables
from ems.store.results import RunRow, append_days, read_days, read_steps, save_run

RUN = RunRow(
    run_id="r1",
    pipeline="comparison",
    building="made_house",
    started_utc=datetime(2026, 1, 2),
    parameters={},
    status="RUNNING",
    synthetic=True,
)
DAY = date(2016, 3, 27)
"""23 hours long."""


@pytest.fixture(scope="module")
def records() -> list[DayRecord]:
    history = made(local_index(DAY, 2), pv_kwh=np.full(47, 0.6))
    spec = ComparisonSpec(tariff=load_tariff("tou"), modes=("centralized",))
    return list(run_comparison(history, spec, n_days=2))


@pytest.fixture
def results(tmp_path: Path, records: list[DayRecord]) -> Path:
    path = tmp_path / "results.duckdb"
    save_run(path, RUN)
    append_days(path, RUN, day_tables(records))
    save_run(path, other := replace(RUN, run_id="r2"))
    append_days(path, other, day_tables([replace(records[0], mode="timer")]))
    return path


def table(file: Path) -> pd.DataFrame:
    return duckdb.sql(f"SELECT * FROM '{file}'").df()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_files_hold_what_the_database_holds(tmp_path: Path, results: Path, kind: str) -> None:
    export_run(results, "r1", tmp_path / "out", (kind,), "a try")
    days, kept = table(tmp_path / "out" / f"days.{kind}"), read_days(results, "r1")
    keys = ["building", "mode", "day"]
    kept = kept.sort_values(keys).reset_index(drop=True)
    assert list(days) == [*keys, *KPIS]
    assert len(days) == len(kept)
    for name in KPIS:
        if name in kept:
            np.testing.assert_array_equal(days[name].to_numpy(float), kept[name].to_numpy(float))
        else:
            assert days[name].isna().all()  # defined on no day
    steps = table(tmp_path / "out" / f"steps.{kind}")
    assert len(steps) == 47 * days["mode"].nunique()
    of_mode = steps[steps["mode"] == "centralized"].set_index("ts_utc")
    long = read_steps(results, "r1", "made_house", "centralized")
    for (agent, quantity), series in long.groupby(["agent", "quantity"]):
        stored = series.set_index("ts_utc")["value"]
        np.testing.assert_array_equal(of_mode[f"{agent}.{quantity}"].loc[stored.index], stored)
    power_kw = of_mode.filter(like=".net_load_kw").sum(axis=1)
    assert power_kw.abs().max() < 1e-6  # the balance of every step


def test_every_column_is_told_with_its_unit(tmp_path: Path, results: Path) -> None:
    files = export_run(results, "r1", tmp_path / "out", ("csv",), "**SYNTHETIC** a try")
    assert [file.name for file in files] == ["days.csv", "steps.csv", "columns.csv", "README.md"]
    told = table(tmp_path / "out" / "columns.csv")
    for name in ("days", "steps"):
        assert list(told[told["table"] == name]["name"]) == list(
            table(files[0].parent / f"{name}.csv")
        )
    readme = files[-1].read_text(encoding="utf-8")
    assert "**SYNTHETIC** a try" in readme
    assert "| `battery.soc_kwh` | kWh | battery: charge at the end of the step |" in readme
    assert "| `full_cycles` | 1 | " in readme
    assert all(f"`{name}`" in readme for name in told["name"])


def test_excel_has_a_sheet_for_each_table(tmp_path: Path, results: Path) -> None:
    files = export_run(results, "r1", tmp_path / "out", ("xlsx",), "a try")
    assert [file.name for file in files] == ["results.xlsx", "README.md"]
    book = openpyxl.load_workbook(files[0])
    assert book.sheetnames == ["days", "steps", "columns"]
    days = read_days(results, "r1")
    head, first, *others = book["days"].iter_rows()
    assert len(others) + 1 == len(days)
    assert [cell.value for cell in head] == ["building", "mode", "day", *KPIS]
    assert all(cell.font.bold for cell in head)
    worth = days.sort_values(["building", "mode", "day"])["bill_eur"].iloc[0]
    assert first[[cell.value for cell in head].index("bill_eur")].value == worth
    # A day, not text or an hour; and an hour, not only a day.
    assert (first[2].value.date(), first[2].number_format) == (DAY, "yyyy-mm-dd")
    instant = book["steps"]["D2"]
    assert instant.value == read_steps(results, "r1", "made_house", "centralized")["ts_utc"].min()
    assert instant.number_format == "yyyy-mm-dd h:mm:ss"


def test_all_formats_at_once_and_again_over_them(tmp_path: Path, results: Path) -> None:
    for _ in range(2):
        files = export_run(results, "r1", tmp_path / "a b's", FORMATS, "a try")
        assert len(files) == 3 + 1 + 3 + 1
        assert all(file.stat().st_size > 0 for file in files)


def test_every_figure_of_a_day_has_a_unit_that_its_name_says() -> None:
    units = {name: unit_of(name) for name in KPIS}
    assert units["peak_import_kw"] == "kW"
    bare = {name for name, unit in units.items() if unit == "1"}
    assert bare == {"full_cycles", "starts", "self_consumption", "self_sufficiency"}
    assert {field.name for field in fields(DayKpis)} <= set(units)


def test_what_a_sheet_cannot_hold_is_refused_beforehand() -> None:
    require_room(("xlsx",), SHEET_ROWS)
    require_room(("csv", "parquet"), 10 * SHEET_ROWS)
    with pytest.raises(InvalidSpec, match=r"steps would have 1,048,576 rows, .*csv or parquet"):
        require_room(("csv", "xlsx"), SHEET_ROWS + 1)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_cannot_be_written_is_one_error(
    tmp_path: Path, results: Path, kind: str
) -> None:
    name = "results.xlsx" if kind == "xlsx" else f"days.{kind}"
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"out: the export cannot be written .*check permissions"):
        export_run(results, "r1", tmp_path / "out", (kind,), "a try")
