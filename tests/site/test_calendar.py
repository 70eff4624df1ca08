from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ems.site.calendar import day_type_index, day_types
from ems.site.place import KONSTANZ, Place
from ems.twin.clock import clock, quarter_hours


@pytest.mark.parametrize(
    ("day", "free"),
    [
        ("2016-01-06", 1),  # Epiphany: a holiday here, not in Berlin
        ("2016-05-26", 1),  # Corpus Christi
        ("2016-10-31", 0),  # Reformation Day: none here in 2016 …
        ("2017-10-31", 1),  # … but everywhere in 2017
        ("2016-12-24", 1),  # a Saturday
        ("2015-12-24", 0),  # a Thursday, not a public holiday
        ("2016-02-01", 0),
    ],
)
def test_known_days(day: str, free: int) -> None:
    assert day_type_index(date.fromisoformat(day), KONSTANZ) == free
    assert day_types(np.array([day], dtype="datetime64[D]"), KONSTANZ).tolist() == [free]


def test_it_is_the_calendar_of_the_twin() -> None:
    ts_utc = quarter_hours(np.datetime64("2014-12-31T23:00"), np.datetime64("2018-12-31T23:00"))
    days = np.arange(np.datetime64("2015-01-01"), np.datetime64("2019-01-01"))
    expected = clock(ts_utc).day_is_free.astype(int)
    np.testing.assert_array_equal(day_types(days, KONSTANZ), expected)
    assert [day_type_index(day.item(), KONSTANZ) for day in days] == expected.tolist()


def test_every_place_has_its_own_calendar() -> None:
    days = np.array(["2016-01-06", "2016-05-02", "2016-10-03", "2016-12-25"], dtype="datetime64[D]")
    madrid = Place(
        name="Madrid", latitude_deg=40.42, longitude_deg=-3.7, country="ES", subdivision="MD"
    )
    berlin = replace(KONSTANZ, name="Berlin", subdivision="BE")
    assert day_types(days, KONSTANZ).tolist() == [1, 0, 1, 1]
    assert day_types(days, berlin).tolist() == [0, 0, 1, 1]
    assert day_types(days, madrid).tolist() == [1, 1, 0, 1]
    assert [day_type_index(day.item(), madrid) for day in days] == [1, 1, 0, 1]


def test_no_days_have_no_types() -> None:
    assert day_types(np.zeros(0, dtype="datetime64[D]"), KONSTANZ).shape == (0,)
