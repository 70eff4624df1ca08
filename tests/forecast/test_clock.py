"""Local days of 23 and 25 hours as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from forecast.made_series import series, step_at
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import InvalidSpec
from ems.forecast.clock import BEFORE, Clock, steps_ahead

SPRING = series(10, first="2016-03-22", step_h=0.5)
AUTUMN = series(10, first="2016-10-26", step_h=0.5)


def test_a_day_ago_is_the_same_local_time_across_both_changes() -> None:
    for of, day, before in (
        (SPRING, "2016-03-27 15:30", "2016-03-26 15:30"),
        (SPRING, "2016-03-28 01:00", "2016-03-27 01:00"),
        (AUTUMN, "2016-10-30 15:30", "2016-10-29 15:30"),
        (AUTUMN, "2016-10-31 00:00", "2016-10-30 00:00"),
    ):
        target = np.array([step_at(of, day)])
        assert Clock.of(of).ago(target, 1).tolist() == [step_at(of, before)]


def test_the_hour_skipped_in_spring_is_the_last_step_before_it() -> None:
    target = np.array([step_at(SPRING, "2016-03-28 02:30")])
    assert Clock.of(SPRING).ago(target, 1).tolist() == [step_at(SPRING, "2016-03-27 01:30")]


def test_of_the_hour_doubled_in_autumn_it_is_the_first() -> None:
    target = np.array([step_at(AUTUMN, "2016-10-31 02:30")])
    assert Clock.of(AUTUMN).ago(target, 1).tolist() == [step_at(AUTUMN, "2016-10-30 02:30", fold=0)]


def test_both_of_a_doubled_hour_look_back_to_the_same_step() -> None:
    twice = np.array([step_at(AUTUMN, "2016-10-30 02:00", fold=fold) for fold in (0, 1)])
    assert twice[1] == twice[0] + 2
    expected = step_at(AUTUMN, "2016-10-29 02:00")
    assert Clock.of(AUTUMN).ago(twice, 1).tolist() == [expected, expected]


def test_nothing_is_before_the_first_step() -> None:
    clock = Clock.of(SPRING)
    assert clock.ago(np.array([5, 48]), 1).tolist() == [BEFORE, 0]


@pytest.mark.parametrize("of", [SPRING, AUTUMN], ids=["spring", "autumn"])
@given(lead=st.integers(0, 150), known=st.integers(100, 300), every=st.sampled_from([1, 7]))
def test_the_newest_is_known_and_the_one_after_it_is_not(
    of: object, lead: int, known: int, every: int
) -> None:
    clock = Clock.of(of, beyond=300)  # type: ignore[arg-type]
    target, until = np.array([known + lead]), np.array([known])
    days = clock.newest(target, until, every)
    assert days[0] % every == 0
    assert clock.ago(target, days)[0] < known
    assert days[0] == every or clock.ago(target, days - every)[0] >= known


def test_steps_beyond_the_series_go_on_with_the_calendar() -> None:
    clock = Clock.of(SPRING, beyond=48)
    assert len(clock.day) == len(SPRING) + 48
    assert clock.slot[-1] == 47
    assert clock.days[-1] == np.datetime64("2016-04-01")
    table = clock.by_day(SPRING.values)
    assert np.isnan(table[-1]).all()
    assert np.isfinite(table[:-1]).all()


def test_the_table_holds_the_values_of_its_days() -> None:
    table = Clock.of(AUTUMN).by_day(AUTUMN.values)
    of_day = AUTUMN.values[
        np.asarray(AUTUMN.local.normalize() == pd.Timestamp("2016-10-29", tz=AUTUMN.timezone))
    ]
    np.testing.assert_array_equal(table[3], of_day)


@pytest.mark.parametrize(
    ("origins", "n_steps", "said"),
    [
        ([5], 0, "n_steps is 0"),
        ([0], 4, "origin 0 is outside"),
        ([5, 999], 4, "origin 999 is outside"),
        ([5, 5], 4, "must rise"),
        ([6, 5], 4, "must rise"),
        ([], 4, "must rise"),
    ],
)
def test_origins_that_cannot_be_are_refused(origins: list[int], n_steps: int, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        steps_ahead(SPRING, np.array(origins, dtype=np.int64), n_steps)
