from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_store import building, dataset, household

from ems.errors import DataError
from ems.store.build import build_database
from ems.store.connection import get_con
from ems.store.ingest.dataset import Dataset
from ems.store.read import list_buildings, read_history, read_weather_forecast

HOME = dataset(building({"grid_import": household(5)}))
ISSUED = pd.to_datetime(["2016-03-01T06:00", "2016-03-01T18:00"])


def issued(**changed: object) -> pd.DataFrame:
    """Two forecasts of 3 and 2 hours from their issue time on."""
    rows = [(ISSUED[0], k) for k in range(3)] + [(ISSUED[1], k) for k in range(2)]
    frame = pd.DataFrame(
        {
            "site": "made",
            "issued_utc": [begin for begin, _ in rows],
            "ts_utc": [begin + pd.Timedelta(hours=k) for begin, k in rows],
            "temperature_c": [1.0, 2.0, 3.0, 4.0, 5.0],
            "ghi_w_per_m2": [10.0, 20.0, 30.0, 40.0, 50.0],
        }
    )
    return frame.assign(**changed)


def stored(tmp_path: Path, data: Dataset) -> Path:
    path = tmp_path / "a.duckdb"
    build_database(data, path)
    return path


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    with get_con(stored(tmp_path, replace(HOME, weather_forecast=issued()))) as con:
        found = read_weather_forecast(con)
    assert found.site == "made"
    assert found.issued_utc.tolist() == ISSUED.to_pydatetime().tolist()
    assert found.first_utc.tolist() == ISSUED.to_pydatetime().tolist()
    assert found.step_h == 1.0
    np.testing.assert_array_equal(
        found.values["temperature_c"], [[1.0, 2.0, 3.0], [4.0, 5.0, np.nan]]
    )
    np.testing.assert_array_equal(
        found.values["ghi_w_per_m2"], [[10.0, 20.0, 30.0], [40.0, 50.0, np.nan]]
    )


def test_a_building_comes_with_the_forecasts_recorded_and_without_where_there_are_none(
    tmp_path: Path,
) -> None:
    for table, wanted in ((issued(), 2), (pd.DataFrame(), None)):
        with get_con(stored(tmp_path, replace(HOME, weather_forecast=table))) as con:
            found = read_history(con, list_buildings(con)[0]).weather_forecast
        assert (None if found is None else len(found.issued_utc)) == wanted


def test_none_recorded_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    with (
        get_con(stored(tmp_path, HOME)) as con,
        pytest.raises(DataError, match=r"has none recorded; .*--weather_forecast"),
    ):
        read_weather_forecast(con)


def test_recorded_forecasts_are_part_of_the_hash(tmp_path: Path) -> None:
    hashes = {
        build_database(replace(HOME, weather_forecast=frame), tmp_path / "a.duckdb").data_hash
        for frame in (pd.DataFrame(), issued(), issued(temperature_c=0.0))
    }
    assert len(hashes) == 3


def test_one_site_only(tmp_path: Path) -> None:
    two = issued(site=["made", "made", "other", "made", "made"])
    with pytest.raises(DataError, match="weather_forecast: site has 2 values"):
        stored(tmp_path, replace(HOME, weather_forecast=two))
