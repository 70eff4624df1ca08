from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from ems.errors import DataError
from ems.store.connection import results_reader
from ems.store.results import (
    DayTables,
    RunRow,
    append_days,
    append_pmf_updates,
    read_days,
    read_horizon,
    read_pmf_updates,
    read_runs,
    read_steps,
    save_run,
    set_status,
)

RUN = RunRow(
    run_id="r1",
    pipeline="comparison",
    building="DE_KN_residential4",
    started_utc=datetime(2026, 1, 2, 3, 4, 5),
    parameters={"tariff": "dynamic", "seed": 1},
    status="RUNNING",
    synthetic=True,
)


def days(day: str, mode: str = "centralized", cost_eur: float = 1.5) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "building": RUN.building,
            "day": pd.Timestamp(day),
            "mode": mode,
            "kpi": ["cost_eur", "savings_pct"],
            "value": [cost_eur, None],
        }
    )


def steps(day: str, mode: str = "centralized") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "building": RUN.building,
            "day": pd.Timestamp(day),
            "mode": mode,
            "agent": "battery",
            "quantity": "soc_kwh",
            "ts_utc": pd.date_range(day, periods=24, freq="h"),
            "value": range(24),
        }
    )


def horizon(day: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "building": RUN.building,
            "day": pd.Timestamp(day),
            "ts_utc": pd.date_range(day, periods=24, freq="h"),
            "local_hour": [float(hour) for hour in range(24)],
            "step_h": 1.0,
            "import_eur_per_kwh": 0.3,
            "export_eur_per_kwh": 0.1,
        }
    )


def tables(day: str, mode: str = "centralized", cost_eur: float = 1.5) -> DayTables:
    return DayTables(days=days(day, mode, cost_eur), horizon=horizon(day), steps=steps(day, mode))


@pytest.mark.smoke
def test_a_run_is_saved_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "results" / "ems_results.duckdb"
    save_run(path, RUN)
    append_days(path, RUN, tables("2016-06-01"))
    runs = read_runs(path)
    assert runs["run_id"].tolist() == ["r1"]
    assert runs["parameters_json"].tolist() == ['{"seed": 1, "tariff": "dynamic"}']
    table = read_days(path, "r1")
    assert table["cost_eur"].tolist() == [1.5]
    assert table["savings_pct"].isna().all()
    planned = read_steps(path, "r1", RUN.building, "centralized")
    assert planned["value"].tolist() == list(range(24))
    assert planned["ts_utc"].is_monotonic_increasing
    priced = read_horizon(path, "r1", RUN.building)
    assert priced["local_hour"].tolist() == list(range(24))
    assert set(priced["import_eur_per_kwh"]) == {0.3}


def test_a_run_that_begins_again_has_nothing_of_before(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    append_days(path, RUN, tables("2016-06-01"))
    save_run(path, RUN)
    assert len(read_runs(path)) == 1
    assert read_days(path, "r1").empty
    assert read_horizon(path, "r1", RUN.building).empty
    assert read_steps(path, "r1", RUN.building, "centralized").empty


def test_days_are_appended_and_a_repeated_day_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    for day, cost_eur in (("2016-06-01", 1.0), ("2016-06-02", 2.0), ("2016-06-02", 3.0)):
        append_days(path, RUN, tables(day, cost_eur=cost_eur))
    append_days(path, RUN, tables("2016-06-01", mode="decentralized"))
    table = read_days(path, "r1").sort_values(["mode", "day"])
    assert table["cost_eur"].tolist() == [1.0, 3.0, 1.5]
    assert len(read_steps(path, "r1", RUN.building, "centralized")) == 48
    assert len(read_steps(path, "r1", RUN.building, "decentralized")) == 24
    assert len(read_horizon(path, "r1", RUN.building)) == 48


def test_runs_do_not_touch_each_other(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    other = replace(RUN, run_id="r2", status="FINISHED", started_utc=datetime(2026, 2, 1))
    append_days(path, RUN, tables("2016-06-01"))
    append_days(path, other, tables("2016-06-01", cost_eur=9.0))
    set_status(path, "r1", "KILLED")
    save_run(path, replace(other, run_id="r3", started_utc=datetime(2025, 1, 1)))
    runs = read_runs(path)
    expected = [["r2", "FINISHED"], ["r1", "KILLED"], ["r3", "FINISHED"]]
    assert runs[["run_id", "status"]].values.tolist() == expected
    assert read_days(path, "r1")["cost_eur"].tolist() == [1.5]


def test_a_bad_frame_saves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    append_days(path, RUN, tables("2016-06-01"))
    good = tables("2016-06-01", cost_eur=7.0)
    bad = replace(good, steps=good.steps.drop(columns="agent"))
    with pytest.raises(DataError, match=r"plan_step: columns \['agent'\] are missing"):
        append_days(path, RUN, bad)
    assert read_days(path, "r1")["cost_eur"].tolist() == [1.5]


def test_an_unknown_run_has_no_status(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run r9 is unknown"):
        set_status(tmp_path / "ems_results.duckdb", "r9", "FAILED")


def test_pmf_updates_of_a_device_and_model_are_replaced_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"

    def updates(feed: str, alpha: float) -> pd.DataFrame:
        row = {
            "building": RUN.building,
            "feed": feed,
            "model": "rate",
            "day": pd.Timestamp("2016-06-01"),
            "day_type": "working_day",
            "n": 3,
            "alpha": alpha,
            "js_to_prior": 0.1,
            "js_step": 0.01,
            "entropy_bits": 4.5,
            "own_starts": 1.0,
            "hours": [1 / 24] * 24,
        }
        return pd.DataFrame([row])

    append_pmf_updates(path, RUN, updates("dishwasher", 0.1))
    append_pmf_updates(path, RUN, updates("washing_machine", 0.2))
    append_pmf_updates(path, RUN, updates("dishwasher", 0.3))
    with results_reader(path) as con:
        rows = con.execute(
            "SELECT feed, alpha, len(hours), list_sum(hours) FROM pmf_update ORDER BY feed"
        ).fetchall()
    assert [row[:3] for row in rows] == [("dishwasher", 0.3, 24), ("washing_machine", 0.2, 24)]
    assert rows[0][3] == pytest.approx(1.0)
    back = read_pmf_updates(path, "r1")
    assert back["feed"].tolist() == ["dishwasher", "washing_machine"]
    assert [len(hours) for hours in back["hours"]] == [24, 24]
