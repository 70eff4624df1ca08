from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from ems.errors import DataError
from ems.store.connection import results_reader
from ems.store.results import (
    RunRow,
    append_days,
    append_pmf_updates,
    read_days,
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


@pytest.mark.smoke
def test_a_run_is_saved_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "results" / "ems_results.duckdb"
    save_run(path, RUN, days("2016-06-01"), steps("2016-06-01"))
    runs = read_runs(path)
    assert runs["run_id"].tolist() == ["r1"]
    assert runs["parameters_json"].tolist() == ['{"seed": 1, "tariff": "dynamic"}']
    table = read_days(path, "r1")
    assert table["cost_eur"].tolist() == [1.5]
    assert table["savings_pct"].isna().all()
    planned = read_steps(path, "r1", RUN.building, "centralized")
    assert planned["value"].tolist() == list(range(24))
    assert planned["ts_utc"].is_monotonic_increasing


def test_saving_again_leaves_no_doubles(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    for cost_eur in (1.5, 2.5):
        save_run(path, RUN, days("2016-06-01", cost_eur=cost_eur), steps("2016-06-01"))
    assert len(read_runs(path)) == 1
    assert read_days(path, "r1")["cost_eur"].tolist() == [2.5]
    assert len(read_steps(path, "r1", RUN.building, "centralized")) == 24


def test_days_are_appended_and_a_repeated_day_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    for day, cost_eur in (("2016-06-01", 1.0), ("2016-06-02", 2.0), ("2016-06-02", 3.0)):
        append_days(path, RUN, days(day, cost_eur=cost_eur), steps(day))
    append_days(path, RUN, days("2016-06-01", mode="decentralized"), steps("2016-06-01", "other"))
    table = read_days(path, "r1").sort_values(["mode", "day"])
    assert table["cost_eur"].tolist() == [1.0, 3.0, 1.5]
    assert len(read_steps(path, "r1", RUN.building, "centralized")) == 48


def test_runs_do_not_touch_each_other(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    other = replace(RUN, run_id="r2", status="FINISHED", started_utc=datetime(2026, 2, 1))
    save_run(path, RUN, days("2016-06-01"), steps("2016-06-01"))
    save_run(path, other, days("2016-06-01", cost_eur=9.0), steps("2016-06-01"))
    set_status(path, "r1", "KILLED")
    runs = read_runs(path)
    assert runs[["run_id", "status"]].values.tolist() == [["r2", "FINISHED"], ["r1", "KILLED"]]
    assert read_days(path, "r1")["cost_eur"].tolist() == [1.5]


def test_a_bad_frame_saves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ems_results.duckdb"
    save_run(path, RUN, days("2016-06-01"), steps("2016-06-01"))
    with pytest.raises(DataError, match=r"plan_step: columns \['agent'\] are missing"):
        save_run(
            path, RUN, days("2016-06-01", cost_eur=7.0), steps("2016-06-01").drop(columns="agent")
        )
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
