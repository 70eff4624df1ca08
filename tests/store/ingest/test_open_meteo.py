from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from outside_server import Answer, OutsideServer, Query, open_meteo, serving

from ems.errors import DataError, InvalidSpec
from ems.site.place import KONSTANZ
from ems.store.ingest.download import Patience
from ems.store.ingest.open_meteo import fetch_weather

HASTY = Patience(attempts=2, timeout_s=2.0, first_wait_s=0.01)
DAY = date(2016, 6, 1)


@pytest.fixture
def server() -> Iterator[OutsideServer]:
    with serving() as outside:
        outside.routes["/v1/archive"] = open_meteo
        yield outside


def weather(
    server: OutsideServer, cache: Path, first: date = DAY, last: date = DAY
) -> pd.DataFrame:
    return fetch_weather(KONSTANZ, first, last, cache, base_url=server.url, patience=HASTY)


@pytest.mark.smoke
def test_values_stand_at_the_start_of_their_hour(server: OutsideServer, tmp_path: Path) -> None:
    """The service's radiation at 13:00 is that of 12:00–13:00; its temperature that of 13:00."""
    found = weather(server, tmp_path)
    assert list(found.columns) == [
        "site",
        "ts_utc",
        "temperature_c",
        "ghi_w_per_m2",
        "dni_w_per_m2",
        "dhi_w_per_m2",
    ]
    assert found["ts_utc"].tolist() == list(pd.date_range("2016-06-01", periods=24, freq="h"))
    noon = found.iloc[12]
    assert noon["site"] == "Konstanz"
    assert noon["ghi_w_per_m2"] == 130.0
    assert noon["temperature_c"] == 12.5
    assert found["ghi_w_per_m2"].iloc[-1] == 240.0


def test_what_is_asked(server: OutsideServer, tmp_path: Path) -> None:
    weather(server, tmp_path, date(2016, 1, 1), date(2016, 12, 31))
    _, query, _ = server.asked[0]
    assert (query["latitude"], query["longitude"]) == ("47.66", "9.18")
    assert (query["start_date"], query["end_date"]) == ("2016-01-01", "2017-01-01")
    assert query["timezone"] == "GMT"


def changed(query: Query, part: str, name: str, value: object) -> Answer:
    answer = json.loads(open_meteo(query).body)
    answer[part][name] = value
    return Answer(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("hourly_units", "temperature_2m", "°F", "temperature_2m is in °F, expected °C"),
        ("hourly_units", "shortwave_radiation", "MJ/m²", "is in MJ/m², expected W/m²"),
        ("hourly", "diffuse_radiation", [1.0] * 7 + [None] * 41, "missing at 2016-06-01T07:00:00Z"),
        ("hourly", "shortwave_radiation", [1.0] * 5, "shortwave_radiation is missing at"),
        ("hourly", "time", ["2016-06-01T00:00"], "1 hours, expected more than 24"),
        ("hourly", "time", ["2016-06-01T01:00"] * 48, "entry 0 is 2016-06-01T01:00:00, expected"),
    ],
)
def test_another_form_is_refused_and_not_kept(
    server: OutsideServer, tmp_path: Path, part: str, name: str, value: object, message: str
) -> None:
    server.routes["/v1/archive"] = lambda query: changed(query, part, name, value)
    with pytest.raises(DataError, match=message) as caught:
        weather(server, tmp_path)
    assert str(caught.value).endswith("give --weather PATH")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"oops"), "not JSON"),
        (Answer(b'{"error": true, "reason": "no data"}'), "no 'hourly' part"),
        (Answer(b'{"hourly": {}, "utc_offset_seconds": 3600}'), "3600 s off UTC"),
        (Answer(b'{"hourly": {}, "utc_offset_seconds": 0}'), "0 hours, expected"),
        (Answer(status=400), "HTTP 400 Bad Request"),
    ],
)
def test_failures_are_one_line(
    server: OutsideServer, tmp_path: Path, answer: Answer, message: str
) -> None:
    server.routes["/v1/archive"] = answer
    with pytest.raises(DataError, match=message) as caught:
        weather(server, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_series_is_named(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/v1/archive"] = lambda query: open_meteo(
        query | {"hourly": "temperature_2m,shortwave_radiation"}
    )
    with pytest.raises(DataError, match="no 'direct_normal_irradiance'"):
        weather(server, tmp_path)


def test_days_in_order(server: OutsideServer, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="before the first day"):
        weather(server, tmp_path, DAY, date(2016, 5, 1))
