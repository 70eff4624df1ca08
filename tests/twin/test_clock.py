from __future__ import annotations

import numpy as np
import pytest

from ems.twin.clock import TwinClock, clock, quarter_hours, to_step


def local_days(first_utc: str, end_utc: str) -> TwinClock:
    return clock(quarter_hours(np.datetime64(first_utc, "s"), np.datetime64(end_utc, "s")))


@pytest.mark.parametrize(
    ("first_utc", "end_utc", "hours"),
    [
        ("2016-03-26T23", "2016-03-27T22", 23),
        ("2016-06-01T22", "2016-06-02T22", 24),
        ("2016-10-29T22", "2016-10-30T23", 25),
    ],
)
def test_a_local_day_has_its_hours(first_utc: str, end_utc: str, hours: int) -> None:
    day = local_days(first_utc, end_utc)
    assert day.n_days == 1
    assert len(day.ts_utc) == 4 * hours
    assert day.hour[0] == 0
    assert day.hour[-1] == 23
    assert np.count_nonzero(day.hour == 2) == 4 * (hours - 23)
    assert (day.first_step[0] >= 0).sum() == min(hours, 24)


def test_first_step_is_the_first_quarter_of_the_local_hour() -> None:
    day = local_days("2016-10-29T22", "2016-10-30T23")
    assert day.first_step[0].tolist() == [0, 4, 8] + [4 * (hour + 1) for hour in range(3, 24)]


@pytest.mark.parametrize(
    ("date", "free"),
    [
        ("2016-01-06", True),  # Epiphany, a holiday in Baden-Württemberg
        ("2016-05-26", True),  # Corpus Christi
        ("2016-08-15", False),  # Assumption Day: not here
        ("2017-10-31", True),  # Reformation Day: in 2017 only
        ("2016-05-28", True),  # a Saturday
        ("2016-05-30", False),  # a Monday
    ],
)
def test_free_days_are_weekends_and_holidays(date: str, free: bool) -> None:
    noon = np.datetime64(f"{date}T12", "s")
    day = clock(quarter_hours(noon, noon + np.timedelta64(1, "h")))
    assert day.day_is_free.tolist() == [free]
    assert day.step_is_free.all() == free


def test_steps_are_summed() -> None:
    np.testing.assert_array_equal(to_step(np.arange(8.0), 4), [6.0, 22.0])
