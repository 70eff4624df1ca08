from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from outside_server import Answer, OutsideServer, Query, energy_charts, serving

from ems.errors import DataError, InvalidSpec
from ems.store.ingest.download import Patience
from ems.store.ingest.energy_charts import fetch_prices

HASTY = Patience(attempts=3, timeout_s=2.0, first_wait_s=0.01)


@pytest.fixture
def server() -> Iterator[OutsideServer]:
    with serving() as outside:
        outside.routes["/price"] = energy_charts
        yield outside


def prices(server: OutsideServer, cache: Path, first: date, last: date) -> pd.DataFrame:
    return fetch_prices(first, last, cache, base_url=server.url, patience=HASTY)


@pytest.mark.smoke
def test_the_zone_changes_with_october_2018(server: OutsideServer, tmp_path: Path) -> None:
    found = prices(server, tmp_path, date(2018, 9, 30), date(2018, 10, 1))
    assert list(found.columns) == ["zone", "ts_utc", "step_h", "eur_per_mwh"]
    assert found["zone"].tolist() == ["DE-AT-LU"] * 24 + ["DE-LU"] * 24
    assert found["ts_utc"].iloc[0] == pd.Timestamp("2018-09-29 22:00")
    assert found["ts_utc"].diff().dropna().eq(pd.Timedelta(hours=1)).all()
    assert [query["bzn"] for _, query, _ in server.asked] == ["DE-AT-LU", "DE-LU"]


def test_a_request_is_at_most_a_year(server: OutsideServer, tmp_path: Path) -> None:
    found = prices(server, tmp_path, date(2017, 12, 30), date(2019, 1, 2))
    asked = [(query["bzn"], query["start"], query["end"]) for _, query, _ in server.asked]
    assert asked == [
        ("DE-AT-LU", "2017-12-30", "2017-12-31"),
        ("DE-AT-LU", "2018-01-01", "2018-09-30"),
        ("DE-LU", "2018-10-01", "2018-12-31"),
        ("DE-LU", "2019-01-01", "2019-01-02"),
    ]
    assert len(found) == (2 + 365 + 2) * 24
    assert found["ts_utc"].is_monotonic_increasing
    assert found["ts_utc"].is_unique


@pytest.mark.parametrize(("day", "hours"), [(date(2019, 3, 31), 23), (date(2019, 10, 27), 25)])
def test_days_have_their_true_length(
    server: OutsideServer, tmp_path: Path, day: date, hours: int
) -> None:
    assert len(prices(server, tmp_path, day, day)) == hours


def test_quarters_since_october_2025(server: OutsideServer, tmp_path: Path) -> None:
    found = prices(server, tmp_path, date(2025, 10, 1), date(2025, 10, 1))
    assert len(found) == 96
    assert found["step_h"].eq(0.25).all()


def test_the_step_may_change_within_an_answer(server: OutsideServer, tmp_path: Path) -> None:
    def mixed(_query: Query) -> Answer:
        """An hour, a hole of two, hours, then quarters: 2025-09-30 22:00Z is local midnight."""
        start = int(pd.Timestamp("2025-09-30", tz="Europe/Berlin").timestamp())
        midnight = start + 24 * 3600
        stamps = [start, *range(start + 3 * 3600, midnight, 3600)]
        stamps += range(midnight, midnight + 3600, 900)
        answer = {"unix_seconds": stamps, "price": [1.0] * len(stamps), "unit": "EUR / MWh"}
        return Answer(json.dumps(answer).encode())

    server.routes["/price"] = mixed
    found = prices(server, tmp_path, date(2025, 9, 30), date(2025, 10, 1))
    assert found["step_h"].tolist() == [1.0] * 22 + [0.25] * 4


def test_stamps_outside_the_days_asked_for_are_left_out(
    server: OutsideServer, tmp_path: Path
) -> None:
    server.routes["/price"] = lambda query: energy_charts(query | {"end": "2019-05-03"})
    assert len(prices(server, tmp_path, date(2019, 5, 1), date(2019, 5, 1))) == 24


def test_nothing_is_asked_before_2015(server: OutsideServer, tmp_path: Path) -> None:
    found = prices(server, tmp_path, date(2014, 12, 11), date(2015, 1, 1))
    assert len(found) == 24
    with pytest.raises(InvalidSpec, match="before the first day 2015-01-01"):
        prices(server, tmp_path, date(2014, 1, 1), date(2014, 12, 31))


def test_answers_are_kept(server: OutsideServer, tmp_path: Path) -> None:
    once = prices(server, tmp_path, date(2019, 5, 1), date(2019, 5, 2))
    again = prices(server, tmp_path, date(2019, 5, 1), date(2019, 5, 2))
    assert len(server.asked) == 1
    pd.testing.assert_frame_equal(once, again)


def test_negative_prices_are_prices(server: OutsideServer, tmp_path: Path) -> None:
    server.routes["/price"] = lambda query: energy_charts(query, lambda _: -130.09)
    assert np.all(
        prices(server, tmp_path, date(2019, 5, 1), date(2019, 5, 1))["eur_per_mwh"] == -130.09
    )


def test_the_rate_limit_is_waited_for(server: OutsideServer, tmp_path: Path) -> None:
    good = energy_charts({"start": "2019-05-01", "end": "2019-05-01"})
    server.routes["/price"] = [Answer(status=429, headers={"Retry-After": "0"}), good]
    assert len(prices(server, tmp_path, date(2019, 5, 1), date(2019, 5, 1))) == 24


def changed(**changes: object) -> Answer:
    start = int(pd.Timestamp("2019-05-01", tz="Europe/Berlin").timestamp())
    answer = {"unix_seconds": [start, start + 3600], "price": [1.0, 2.0], "unit": "EUR / MWh"}
    answer |= changes
    return Answer(json.dumps({k: v for k, v in answer.items() if v != "gone"}).encode())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"<html>maintenance</html>"), "not JSON"),
        (Answer(b"\xff\xfe\x00"), "utf-8"),
        (Answer(b"[]"), "not a JSON object"),
        (changed(price="gone"), r"the answer has no 'price' \(it has unit, unix_seconds\)"),
        (changed(unit="ct / kWh"), "unit is 'ct / kWh', expected 'EUR / MWh'"),
        (changed(price=[1.0]), "2 stamps but 1 prices"),
        (changed(price=[1.0, None]), r"price is null at 2019-04-30T23:00:00Z \(1 of 2"),
        (changed(price=[float("nan"), 1.0]), "price is NaN at 2019-04-30T22:00:00Z"),
        (changed(price=[float("inf"), 1.0]), "price is Infinity"),
        (changed(price=["1,5", 1.0]), 'price is "1,5"'),
        (changed(unix_seconds=[1556661600] * 2), "stamps do not rise at 2019-04-30T22:00:00Z"),
        (changed(unix_seconds=[1556661600, 1556661660]), "60 s apart, expected 900 or 3600"),
        (changed(unix_seconds=[0, 3600]), "no price within the days asked for"),
        (changed(unix_seconds=[], price=[]), "no price within the days asked for"),
    ],
)
def test_an_answer_in_another_form_is_refused_and_not_kept(
    server: OutsideServer, tmp_path: Path, answer: Answer, message: str
) -> None:
    server.routes["/price"] = answer
    with pytest.raises(DataError, match=message) as caught:
        prices(server, tmp_path, date(2019, 5, 1), date(2019, 5, 1))
    assert str(caught.value).startswith("energy-charts: price_DE-LU_2019-05-01_2019-05-01.json: ")
    assert str(caught.value).endswith("give --prices PATH")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
