from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from outside_server import Answer, OutsideServer, Query, open_meteo, serving

from ems.errors import DataError, InvalidSpec
from ems.site.place import KONSTANZ
from ems.store.ingest.download import Patience
from ems.store.ingest.open_meteo_forecast import (
    FORECAST_DAYS,
    fetch_present,
    fetch_runs,
    read_weather_forecast,
)

HASTY = Patience(attempts=2, timeout_s=2.0, first_wait_s=0.01)
NOW = datetime(2026, 5, 2, 9, 30, 15)


def forecast(query: Query, changed: dict[str, object] | None = None) -> Answer:
    """What ``/v1/forecast`` answers: ``forecast_days`` from the day of the run, or of ``NOW``.

    As the real one it knows no radiation before the first stamp, and nothing after 80 hours.
    """
    begin = datetime.fromisoformat(query.get("run", f"{NOW:%Y-%m-%dT%H:%M}"))
    last = begin + timedelta(days=int(query["forecast_days"]) - 1)
    answer = json.loads(
        open_meteo(query | {"start_date": f"{begin:%Y-%m-%d}", "end_date": f"{last:%Y-%m-%d}"}).body
    )
    hourly = answer["hourly"]
    hourly["shortwave_radiation"][0] = None
    for name in set(hourly) - {"time"}:
        hourly[name][80:] = [None] * len(hourly[name][80:])
    hourly |= changed or {}
    return Answer(json.dumps(answer).encode())


@pytest.fixture
def server() -> Iterator[OutsideServer]:
    with serving() as outside:
        outside.routes["/v1/forecast"] = forecast
        yield outside


def runs(server: OutsideServer, cache: Path, first: date, last: date) -> pd.DataFrame:
    return fetch_runs(KONSTANZ, first, last, cache, base_url=server.url, patience=HASTY)


def present(
    server: OutsideServer, cache: Path, now: datetime = NOW
) -> tuple[pd.DataFrame, list[str]]:
    told: list[str] = []
    found = fetch_present(
        KONSTANZ, now, cache, max_age_h=24.0, tell=told.append, base_url=server.url, patience=HASTY
    )
    return found, told


def test_a_run_counts_as_issued_when_it_was_public(server: OutsideServer, tmp_path: Path) -> None:
    found = runs(server, tmp_path, date(2026, 5, 2), date(2026, 5, 2))
    assert [query["run"] for _, query, _ in server.asked] == [
        "2026-05-01T00:00",
        "2026-05-01T12:00",
        "2026-05-02T00:00",
        "2026-05-02T12:00",
    ]
    assert {query["forecast_days"] for _, query, _ in server.asked} == {str(FORECAST_DAYS)}
    issued = found["issued_utc"].drop_duplicates().tolist()
    assert issued == list(pd.date_range("2026-05-01T08:00", periods=4, freq="12h"))
    of_first = found[found["issued_utc"] == issued[0]]
    assert of_first["ts_utc"].tolist() == list(pd.date_range("2026-05-01", periods=79, freq="h"))
    noon = of_first.iloc[12]
    assert (noon["site"], noon["ghi_w_per_m2"], noon["temperature_c"]) == ("Konstanz", 130.0, 12.5)


def test_a_run_is_asked_for_once(server: OutsideServer, tmp_path: Path) -> None:
    first = runs(server, tmp_path, date(2026, 5, 2), date(2026, 5, 2))
    again = runs(server, tmp_path, date(2026, 5, 2), date(2026, 5, 2))
    assert len(server.asked) == 4
    pd.testing.assert_frame_equal(first, again)


def test_days_without_recorded_runs_are_refused(server: OutsideServer, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="recorded from 2024-03-14 on"):
        runs(server, tmp_path, date(2016, 5, 2), date(2026, 5, 2))
    with pytest.raises(InvalidSpec, match="before the first day"):
        runs(server, tmp_path, date(2026, 5, 2), date(2026, 5, 1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"temperature_2m": [1.0] * 9 + [None] + [1.0] * 86},
            "complete hours, expected some and no hole",
        ),
        ({"shortwave_radiation": [None] * 96}, "0 complete hours"),
        ({"shortwave_radiation": [1.0] * 9}, "shortwave_radiation has 9 values, expected 96"),
        ({"time": ["2026-05-01T00:00"]}, "1 times, expected at least 2"),
        ({"time": ["2026-05-01T00:00"] * 96}, "an hour apart"),
    ],
)
def test_another_form_is_refused_and_not_kept(
    server: OutsideServer, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    server.routes["/v1/forecast"] = lambda query: forecast(query, changed)
    with pytest.raises(DataError, match=message) as caught:
        runs(server, tmp_path, date(2026, 5, 2), date(2026, 5, 2))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"oops"), "not JSON"),
        (Answer(b'{"error": true, "reason": "no data"}'), "no 'hourly' part"),
        (Answer(status=400), "HTTP 400 Bad Request"),
        (Answer(b"x" * 99, cut_after=9), "the transfer broke off"),
        (Answer(status=503), "HTTP 503"),
    ],
)
def test_failures_of_past_runs_are_one_line(
    server: OutsideServer, tmp_path: Path, answer: Answer, message: str
) -> None:
    server.routes["/v1/forecast"] = answer
    with pytest.raises(DataError, match=message) as caught:
        runs(server, tmp_path, date(2026, 5, 2), date(2026, 5, 2))
    assert "\n" not in str(caught.value)


def test_the_present_forecast_is_issued_now(server: OutsideServer, tmp_path: Path) -> None:
    found, told = present(server, tmp_path)
    assert found["issued_utc"].unique().tolist() == [pd.Timestamp(NOW)]
    assert told == []
    assert "run" not in server.asked[0][1]


def test_a_service_that_is_down_says_which_recorded_forecast_is_used(
    server: OutsideServer, tmp_path: Path
) -> None:
    first, _ = present(server, tmp_path)
    server.routes["/v1/forecast"] = Answer(status=503)
    later, told = present(server, tmp_path, NOW + timedelta(hours=5))
    pd.testing.assert_frame_equal(first, later)
    assert len(told) == 1
    assert "HTTP 503" in told[0]
    assert told[0].endswith("the forecast issued 2026-05-02T09:30Z is used")


def test_an_old_or_later_forecast_does_not_stand_in(server: OutsideServer, tmp_path: Path) -> None:
    present(server, tmp_path)
    server.routes["/v1/forecast"] = Answer(status=503)
    for hours in (25, -1):
        with pytest.raises(DataError, match=r"HTTP 503.*keeps no forecast issued in the 24 h") as e:
            present(server, tmp_path, NOW + timedelta(hours=hours))
        assert "\n" not in str(e.value)


GOOD = {
    "issued_utc": ["2016-06-01T06:00:00Z"] * 2,
    "utc_timestamp": ["2016-06-01T06:00:00Z", "2016-06-01T07:00:00Z"],
    "temperature_c": [10.0, 11.0],
    "ghi_w_per_m2": [100.0, 200.0],
}


def written(tmp_path: Path, **changed: list[object]) -> Path:
    path = tmp_path / "issued.csv"
    pd.DataFrame(GOOD | changed).to_csv(path, index=False)
    return path


def test_a_file_of_recorded_forecasts(tmp_path: Path) -> None:
    found = read_weather_forecast(written(tmp_path))
    assert found["issued_utc"].tolist() == [pd.Timestamp("2016-06-01T06:00")] * 2
    assert found["ts_utc"].iloc[1] == pd.Timestamp("2016-06-01T07:00")
    np.testing.assert_array_equal(found["ghi_w_per_m2"], [100.0, 200.0])
    assert set(found["site"]) == {"issued.csv"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"issued_utc": ["yesterday", "2016-06-01T06:00:00Z"]},
            "issued_utc is 'yesterday' in data",
        ),
        ({"utc_timestamp": ["2016-06-01T06:00:00Z"] * 2}, "appears twice in one issue"),
        ({"temperature_c": [10.0, None]}, "temperature_c is no number in data row 2"),
        ({"ghi_w_per_m2": ["many", 1.0]}, "ghi_w_per_m2 is no number in data row 1"),
    ],
)
def test_a_file_that_cannot_be_used(
    tmp_path: Path, changed: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_weather_forecast(written(tmp_path, **changed))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_weather_forecast(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"column issued_utc, utc_timestamp, .* is missing"):
        read_weather_forecast(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="is empty"):
        read_weather_forecast(tmp_path / "empty.csv")
