"""From meters to days: what was used when, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from learning.made_habits import history_of, meters, one_start, twin_meters

from ems.errors import DataError, InvalidSpec
from ems.learning.usage import DayUse, UseHistory, use_histories, use_history
from ems.site.place import KONSTANZ
from ems.twin.generate import Twin, generate

RUN = [0.4, 0.6, 0.1]


@pytest.fixture(scope="module")
def twin() -> Twin:
    return generate(7)


def dishwasher(n_hours: int, *at: int, first_utc: str = "2016-01-31T23:00") -> UseHistory:
    """Hours from local midnight on 1 February, with runs at these steps."""
    energy = np.zeros(n_hours)
    for start in at:
        energy[start : start + 3] = RUN
    history = meters({"dishwasher": ("discrete_phase", energy)}, first_utc=first_utc)
    return use_history(history, "dishwasher")


@pytest.mark.smoke
def test_starts_are_counted_in_local_hours() -> None:
    found = dishwasher(72, 19, 24 + 8, 24 + 20)
    assert [str(day) for day in found.days] == ["2016-02-01", "2016-02-02", "2016-02-03"]
    assert found.n_starts.tolist() == [1, 2, 0]
    assert np.flatnonzero(found.starts[0]).tolist() == [19]
    assert np.flatnonzero(found.starts[1]).tolist() == [8, 20]
    assert [day.used for day in found] == [True, True, False]
    assert found.day_types.tolist() == [0, 0, 0]


def test_the_type_of_a_day_is_that_of_the_place() -> None:
    history = meters({"dishwasher": ("discrete_phase", np.zeros(48))}, first_utc="2016-01-04T23:00")
    hamburg = replace(KONSTANZ, name="Hamburg", subdivision="HH")
    for place, types in ((KONSTANZ, [0, 1]), (hamburg, [0, 0])):  # the days to Epiphany
        found = use_history(replace(history, place=place), "dishwasher")
        assert (found.place, found.day_types.tolist()) == (place, types)


def test_days_that_are_cut_are_unknown() -> None:
    found = dishwasher(72, 20, first_utc="2016-02-01T05:00")  # from 06:00 local
    assert [str(day) for day in found.days] == ["2016-02-02", "2016-02-03"]
    assert found.n_unknown == 2


@pytest.mark.parametrize(("hole", "lost"), [(30, "2016-02-02"), (48, "2016-02-02 2016-02-03")])
def test_a_day_with_or_before_an_unknown_step_is_unknown(hole: int, lost: str) -> None:
    energy = np.zeros(96)
    energy[46:48] = 0.5
    energy[hole] = np.nan
    history = meters({"dishwasher": ("discrete_phase", energy)}, first_utc="2016-01-31T23:00")
    found = use_history(history, "dishwasher")
    kept = {"2016-02-01", "2016-02-02", "2016-02-03", "2016-02-04"} - set(lost.split())
    assert {str(day) for day in found.days} == kept
    assert found.n_unknown == len(lost.split())


def test_days_of_23_and_25_hours() -> None:
    # 27 March 2016: 02:00 does not exist; a run 3 h after midnight begins at 04:00
    spring = dishwasher(23, 3, first_utc="2016-03-26T23:00")
    assert (len(spring), np.flatnonzero(spring.starts[0]).tolist()) == (1, [4])
    # 30 October 2016: 02:00 comes twice; a run 3 h after midnight begins at the second
    autumn = dishwasher(25, 3, first_utc="2016-10-29T22:00")
    assert (len(autumn), np.flatnonzero(autumn.starts[0]).tolist()) == (1, [2])


def test_a_heat_pump_shows_its_energy_by_hour_as_shares() -> None:
    energy = np.zeros(72)
    energy[[6, 7, 20]] = [1.0, 2.0, 1.0]
    energy[30:40] = 0.05  # a day on which nothing heats
    history = meters({"heat_pump": ("partial_usage", energy)}, first_utc="2016-01-31T23:00")
    found = use_history(history, "heat_pump")
    assert found.starts[0, [6, 7, 20]].tolist() == [0.25, 0.5, 0.25]
    assert found.starts.sum(axis=1).tolist() == [1.0, 0.0, 0.0]
    assert found.n_starts.tolist() == [1.0, 0.0, 0.0]


def test_a_car_shows_its_sessions() -> None:
    energy = np.zeros(48)
    energy[18:22] = 3.5
    energy[40] = 2.0
    history = meters({"ev": ("ev", energy)}, first_utc="2016-01-31T23:00")
    found = use_histories(history)["ev"]
    assert [np.flatnonzero(day).tolist() for day in found.starts] == [[18], [16]]


def test_quarter_hours_give_the_same_local_hours() -> None:
    energy = np.zeros(96)
    energy[75:80] = 0.3
    history = meters(
        {"dishwasher": ("discrete_phase", energy)}, first_utc="2016-01-31T23:00", step_h=0.25
    )
    assert np.flatnonzero(use_history(history, "dishwasher").starts[0]).tolist() == [18]


def test_a_missing_device_lists_what_there_is() -> None:
    energy = np.zeros(48)
    history = meters(
        {"dishwasher": ("discrete_phase", energy), "freezer": ("fixed", energy)},
        first_utc="2016-01-31T23:00",
    )
    assert list(use_histories(history)) == ["dishwasher"]
    with pytest.raises(DataError, match=r"no device 'freezer' with a habit; .* has: dishwasher"):
        use_history(history, "freezer")


def test_days_by_date() -> None:
    found = history_of(one_start(7, 8, 9))
    assert len(found.before(date(2016, 2, 3))) == 2
    assert np.flatnonzero(found.on(date(2016, 2, 2)).starts).tolist() == [8]
    assert found.knows(date(2016, 2, 3))
    assert not found.knows(date(2016, 2, 4))
    with pytest.raises(DataError, match="2016-02-04 is not known"):
        found.on(date(2016, 2, 4))


def test_a_shifted_day_keeps_its_use_and_loses_its_hours() -> None:
    found = history_of(one_start(7, 8, 9)).with_shifted(np.array([False, True, False]))
    assert found.own_starts.tolist() == [1, 0, 1]
    assert (found[1].own_starts, found[1].n_starts, found[1].used) == (0.0, 1.0, True)


def test_a_planted_change_begins_on_its_day() -> None:
    found = history_of(one_start(22, 22, -1)).with_changed_habit(date(2016, 2, 2), 4)
    assert np.flatnonzero(found.starts[0]).tolist() == [22]
    assert np.flatnonzero(found.starts[1]).tolist() == [2]
    assert found.n_starts.tolist() == [1, 1, 0]


def test_bad_histories_say_what_is_wrong() -> None:
    good = history_of(one_start(7, 8, 9))
    with pytest.raises(InvalidSpec, match="days are not in order"):
        good.take(np.array([1, 0]))
    with pytest.raises(InvalidSpec, match="starts has shape"):
        history_of(np.zeros((3, 23)))
    with pytest.raises(InvalidSpec, match="at least 0"):
        history_of(-one_start(7))
    with pytest.raises(InvalidSpec, match="expected 24 values"):
        DayUse(day=date(2016, 2, 1), day_type=0, starts=np.zeros(3), n_starts=0.0)


def test_the_twins_starts_are_found_on_their_days(twin: Twin) -> None:
    zone = "Europe/Berlin"
    for building in twin.buildings:
        for device, found in use_histories(twin_meters(building)).items():
            if found.category == "partial_usage":
                continue
            mine = twin.true_starts[
                (twin.true_starts.building == building.name) & (twin.true_starts.feed == device)
            ]
            local = pd.DatetimeIndex(mine.ts_utc, tz="UTC").tz_convert(zone)
            expected = np.zeros((len(found), 24))
            at = np.searchsorted(
                found.days, local.tz_localize(None).to_numpy().astype("datetime64[D]")
            )
            inside = (at < len(found)) & (
                found.days[np.minimum(at, len(found) - 1)]
                == local.tz_localize(None).to_numpy().astype("datetime64[D]")
            )
            np.add.at(expected, (at[inside], local.hour.to_numpy()[inside]), 1.0)
            assert np.abs(expected - found.starts).sum() <= 0.01 * expected.sum(), found.who
