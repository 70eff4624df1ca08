"""Records as long tables: every figure and every step, once."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_building import at, local_index, made

from ems.economics.settlement import DayKpis
from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import DayRecord, summarise
from ems.pipelines.parallel import run_comparison
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.store.frames import (
    KPIS,
    day_frame,
    day_results,
    day_tables,
    horizon_frame,
    kpi_values,
    step_frame,
)
from ems.store.results import (
    DAY_COLUMNS,
    HORIZON_COLUMNS,
    STEP_COLUMNS,
    RunRow,
    append_days,
    read_days,
    read_horizon,
)


@pytest.fixture(scope="module")
def records() -> list[DayRecord]:
    index = local_index(date(2016, 3, 26), 2)
    dishwasher = at(index, ("2016-03-26 19:00", 2, 1.0))
    spec = ComparisonSpec(
        tariff=load_tariff("flat"), assets=Assets(ev=None), modes=("centralized",)
    )
    return list(run_comparison(made(index, {"dishwasher": dishwasher}), spec, n_days=None))


@pytest.mark.smoke
def test_a_row_for_every_figure_that_is_defined(records: list[DayRecord]) -> None:
    frame = day_frame([record.result for record in records])
    assert tuple(frame.columns) == DAY_COLUMNS
    assert len(records) == 2 * 7
    undefined = {"self_consumption", "self_sufficiency"}  # there is no sun
    assert set(frame["kpi"]) == set(KPIS) - undefined
    unproven = sum(bool(np.isnan(record.kpis.gap_eur)) for record in records)  # the baselines
    assert unproven == 2 * 5
    assert len(frame) == len(records) * (len(KPIS) - 2) - unproven
    assert not frame.duplicated(["building", "day", "mode", "kpi"]).any()
    for record in records:
        mine = frame[(frame["day"] == pd.Timestamp(record.day)) & (frame["mode"] == record.mode)]
        found = dict(zip(mine["kpi"], mine["value"], strict=True))
        assert found["cost_eur"] == record.kpis.cost_eur
        assert {name: found[name] for name in found} == {
            name: value for name, value in kpi_values(record.kpis).items() if np.isfinite(value)
        }


def test_every_figure_of_a_day_is_there() -> None:
    assert {field.name for field in fields(DayKpis)} <= set(KPIS)
    derived = {name for name, item in vars(DayKpis).items() if isinstance(item, property)}
    assert derived <= set(KPIS)


def test_a_row_for_every_step_of_every_series(records: list[DayRecord]) -> None:
    frame = step_frame(records)
    assert tuple(frame.columns) == STEP_COLUMNS
    assert not frame.duplicated(["building", "day", "mode", "agent", "quantity", "ts_utc"]).any()
    n_rows = sum(
        len(plan.net_load_kw) * (1 + len(plan.series))
        for record in records
        for plan in record.schedule.plans.values()
    )
    assert len(frame) == n_rows
    for record in records:
        for name, plan in record.schedule.plans.items():
            for quantity, values in {"net_load_kw": plan.net_load_kw, **plan.series}.items():
                mine = frame[
                    (frame["day"] == pd.Timestamp(record.day))
                    & (frame["mode"] == record.mode)
                    & (frame["agent"] == name)
                    & (frame["quantity"] == quantity)
                ]
                assert np.array_equal(mine["value"], values)
                assert np.array_equal(mine["ts_utc"], record.schedule.horizon.ts_utc)


def test_days_come_back_as_they_were(records: list[DayRecord], tmp_path: Path) -> None:
    run = RunRow(
        run_id="r",
        pipeline="p",
        building="b",
        started_utc=datetime(2026, 1, 1),
        parameters={},
        status="FINISHED",
        synthetic=True,
    )
    path = tmp_path / "r.duckdb"
    append_days(path, run, day_tables([*records, replace(records[0], mode="mine")]))
    back = day_results(read_days(path, "r"))
    assert len(back) == len(records) + 1
    table = {(result.day, result.mode): result for result in back}
    for record in records:
        mine = table[record.day, record.mode]
        assert mine.building == record.building
        ours, theirs = (np.array(astuple(r.kpis), float) for r in (mine, record))
        assert np.array_equal(ours, theirs, equal_nan=True)
    summaries = summarise([result for result in back if result.mode != "mine"])
    assert [s.kpis.cost_eur for s in summaries] == [s.kpis.cost_eur for s in summarise(records)]
    priced = read_horizon(path, "r", records[0].building)
    assert len(priced) == 24 + 23  # the second day skips an hour
    flat = records[0].schedule.horizon.import_eur_per_kwh[0]
    assert set(priced["import_eur_per_kwh"]) == {flat}


def test_the_steps_of_a_day_stand_once_for_all_modes(records: list[DayRecord]) -> None:
    frame = horizon_frame(records)
    assert tuple(frame.columns) == HORIZON_COLUMNS
    assert not frame.duplicated(["building", "ts_utc"]).any()
    spring = frame[frame["day"] == pd.Timestamp("2016-03-27")]
    assert 2.0 not in set(spring["local_hour"])
    assert set(frame["step_h"]) == {1.0}


def test_nothing_is_a_table_too() -> None:
    assert tuple(horizon_frame([]).columns) == HORIZON_COLUMNS
    assert tuple(day_frame([]).columns) == DAY_COLUMNS
    assert tuple(step_frame([]).columns) == STEP_COLUMNS
    assert len(day_frame([])) == len(step_frame([])) == 0
