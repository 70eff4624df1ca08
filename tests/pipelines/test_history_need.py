"""How much history forecasts need before a plan, and the first day that has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from small_building import local_index, made

from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.pipelines.comparison import chains_of, choose_window
from ems.pipelines.forecasting import HistoryNeed, foresight_of, require_history
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building

FIRST = date(2016, 3, 1)
FLAT = ComparisonSpec(tariff=load_tariff("flat"), foresight="forecast", modes=("centralized",))
STUBBORN = replace(FLAT, forecaster="persistence")
GAP = slice(24 * 5, 24 * 7)
"""The sixth and seventh day, which teach nothing."""


@cache
def house(n_days: int, tariff: str = "flat") -> Building:
    """A house with sun and two unknown days, the spring clock change among the others."""
    index = local_index(FIRST, n_days)
    hour = index.hour.to_numpy()
    rng = np.random.default_rng(1)
    clouds = rng.uniform(0.2, 1.0, n_days + 1)[np.arange(len(index)) // 24]
    sun = 4.0 * clouds * np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None)
    history = made(index, pv_kwh=sun)
    load_kwh = history.load_kwh + rng.uniform(0.0, 0.3, len(index))
    load_kwh[GAP] = np.nan
    return Building(replace(history, load_kwh=load_kwh), load_tariff(tariff), Assets(ev=None))


def day(n: int) -> date:
    """The ``n``-th day of the record."""
    return FIRST + timedelta(days=n - 1)


@pytest.mark.parametrize(("spec", "first"), [(FLAT, 32), (STUBBORN, 17)])
def test_the_first_day_has_just_enough_known_days_before_it(
    spec: ComparisonSpec, first: int
) -> None:
    """28 or 14 known days and 2 unknown; the hour that the clock change took costs a day more."""
    need = HistoryNeed.of(house(40), spec)
    assert need.first_day == day(first)
    base = need.lessons[0]
    least, start = base.model.needs_days, house(40).span(day(first)).start
    assert base.known_days(start) >= least > base.known_days(start - 24)


def test_prices_need_more_than_persistence_of_the_load() -> None:
    spec = replace(STUBBORN, tariff=load_tariff("dynamic"))
    building = house(40, "dynamic")
    need = HistoryNeed.of(building, spec)
    assert [one.model.needs_days for one in need.lessons] == [14, 8, 28]
    # Of the price the two days are known.
    assert need.first_day == day(30)
    assert need.told(day(20)) == (
        "persistence forecasts need 28 known days of day-ahead price before the first plan; "
        "before 2016-03-20 lie 19.0"
    )


@pytest.mark.parametrize("spec", [FLAT, STUBBORN])
def test_forecasts_can_be_learned_from_the_day_that_is_named(spec: ComparisonSpec) -> None:
    building = house(40)
    first = HistoryNeed.of(building, spec).first_day
    assert first is not None
    require_history(building, spec, first)
    (chain,) = chains_of(choose_window(building, first, 1))
    foresight_of(building, spec, chain)
    before = first - timedelta(days=1)
    with pytest.raises(DataError, match=f"the first day that can be planned on them is {first}"):
        require_history(building, spec, before)


def test_a_start_with_too_little_says_what_is_needed_what_there_is_and_from_when() -> None:
    says = (
        r"made_house: learned forecasts need 28 known days of base load before the first plan; "
        r"before 2016-03-20 lie 17\.0; the first day that can be planned on them is 2016-04-01"
    )
    with pytest.raises(DataError, match=says):
        require_history(house(40), FLAT, day(20))


def test_a_record_that_is_too_short_says_so() -> None:
    says = r"lie 16\.0; no day that can be planned has so many before it; collect more, or plan"
    with pytest.raises(DataError, match=says):
        require_history(house(20), FLAT, day(19))


def test_without_a_start_the_record_must_be_longer_and_the_start_that_does_is_named() -> None:
    says = (
        r"without --start plans on forecasts begin 56 days into the record, 42 of them known, and "
        r"it has 40 days, 38 of them known; .* is 2016-04-01 \(--start\)"
    )
    with pytest.raises(DataError, match=says):
        require_history(house(40), FLAT, None)
    require_history(house(60), FLAT, None)


def test_who_knows_everything_needs_no_history() -> None:
    require_history(house(20), replace(FLAT, foresight="perfect"), day(1))


def test_a_start_outside_the_record_is_judged_by_the_window() -> None:
    require_history(house(20), FLAT, date(2015, 1, 1))
