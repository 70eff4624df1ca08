"""Every habit model under one contract, and each rival by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from learning.made_habits import EVENING, HABIT, drawn, history_of, one_start

from ems.errors import InvalidSpec
from ems.learning.pmf import UNIFORM, validated
from ems.learning.priors import learned, transfer, uniform
from ems.learning.rivals import DirichletModel, FixedModel, Model, standard_models
from ems.learning.usage import DayUse
from ems.site.place import KONSTANZ

MONDAY = date(2016, 2, 1)
FREE = date(2016, 2, 6)
PRIORS = [uniform(), learned("dishwasher"), transfer("home", [drawn(60, 9, building="other")])]
NAMES = list(standard_models("dishwasher", KONSTANZ, PRIORS))


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> Model:
    return standard_models("dishwasher", KONSTANZ, PRIORS)[request.param]


# --- the contract ---------------------------------------------------------------------------------


def test_it_always_answers_with_a_distribution_of_the_right_day_type(model: Model) -> None:
    for day in drawn(40, 1):
        habit = model.predict(day.day)
        validated(habit.hours)
        assert habit.hours.min() > 0.0
        assert (habit.day, habit.day_type) == (
            day.day,
            ("working_day", "weekend_or_holiday")[day.day_type],
        )
        assert 0.0 < habit.use_probability < 1.0
        assert habit.mean_starts > 0.0
        model.update(day)


def test_predicting_changes_nothing(model: Model) -> None:
    for day in drawn(30, 2):
        model.update(day)
    once = model.predict(FREE)
    for k in range(20):
        model.predict(FREE + timedelta(days=k))
    again = model.predict(FREE)
    np.testing.assert_array_equal(once.hours, again.hours)
    assert once.use_probability == again.use_probability


def test_a_shifted_day_moves_no_hour(model: Model) -> None:
    before = model.predict(MONDAY).hours
    day = DayUse(day=MONDAY, day_type=0, starts=np.eye(24)[3], n_starts=1.0, shifted=True)
    assert model.update(day) is None
    np.testing.assert_allclose(model.predict(MONDAY).hours, before)


def test_learners_report_their_steps_and_come_nearer(model: Model) -> None:
    history = drawn(300, 3)
    before = model.predict(MONDAY).hours
    steps = [step for day in history if (step := model.update(day)) is not None]
    if isinstance(model, FixedModel):
        assert steps == []
        return
    assert len(steps) == np.count_nonzero(history.own_starts)
    assert all(0.0 < step.alpha <= 1.0 for step in steps)
    last = model.predict(MONDAY).hours
    assert np.sum((last - EVENING) ** 2) < 0.6 * np.sum((before - EVENING) ** 2)


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_dirichlet_counts_starts() -> None:
    model = DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform(), concentration=12.0)
    step = model.update(history_of(3.0 * one_start(7))[0])
    assert step is not None
    hours = model.predict(MONDAY).hours
    assert hours[[7, 8]].tolist() == [pytest.approx(3.5 / 15), pytest.approx(0.5 / 15)]
    assert step.alpha == pytest.approx(3 / 15)
    habit = model.predict(MONDAY)
    assert habit.use_probability == pytest.approx((1 + 1) / (2 + 1))
    assert habit.mean_starts == pytest.approx((1 + 3) / (1 + 1))
    np.testing.assert_array_equal(model.predict(FREE).hours, UNIFORM)


def test_forgetting_halves_every_count_in_its_half_life() -> None:
    model = DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform(), half_life_days=7.0)
    model.update(history_of(one_start(7))[0])
    assert model.predict(MONDAY).hours[7] == pytest.approx(1.5 / 13)
    assert model.predict(MONDAY + timedelta(days=7)).hours[7] == pytest.approx(1.0 / 12.5)
    later = MONDAY + timedelta(days=14)
    model.update(DayUse(day=later, day_type=0, starts=np.eye(24)[9], n_starts=1.0))
    hours = model.predict(later).hours
    assert hours[[7, 9]].tolist() == [pytest.approx(0.75 / 13.25), pytest.approx(1.5 / 13.25)]
    assert model.predict(later).use_probability == pytest.approx((1 + 1.25) / (2 + 1.25))


def test_a_kernel_also_counts_the_hours_beside_around_midnight() -> None:
    model = DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform(), kernel_width_h=1.0)
    model.update(history_of(one_start(23))[0])
    hours = model.predict(MONDAY).hours
    assert hours[0] == pytest.approx(hours[22])
    assert hours[23] > hours[0] > hours[1] > hours[12]


def test_credible_intervals_hold_the_truth_as_often_as_they_say() -> None:
    inside = []
    for seed in range(200):
        model = DirichletModel(
            device="dishwasher", place=KONSTANZ, prior=uniform(), concentration=24.0
        )
        truth = np.random.default_rng(seed).dirichlet(np.ones(24))  # the prior is right
        model.train(drawn(60, seed, habit=np.stack([truth, truth]), use=1.0))
        low, high = model.credible_interval(MONDAY, 0.8)
        inside.append(np.mean((low <= truth) & (truth <= high)))
    assert np.mean(inside) == pytest.approx(0.8, abs=0.02)


def test_intervals_shrink_with_what_was_seen_and_contain_the_mean() -> None:
    model = DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform())
    widths = []
    for part in (slice(0, 30), slice(30, 300)):
        model.train(drawn(300, 4, habit=HABIT).take(part))
        low, high = model.credible_interval(MONDAY)
        assert np.all((low < model.predict(MONDAY).hours) & (model.predict(MONDAY).hours < high))
        widths.append(np.sum(high - low))
    assert widths[1] < 0.6 * widths[0]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"concentration": 0.0}, "concentration = 0.0"),
        ({"half_life_days": -1.0}, "half_life_days = -1.0"),
        ({"kernel_width_h": 0.0}, "width_h = 0.0"),
    ],
)
def test_bad_options(options: dict[str, float], text: str) -> None:
    with pytest.raises(InvalidSpec, match=text):
        DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform(), **options)  # type: ignore[arg-type]


def test_all_keep_the_holidays_of_their_place() -> None:
    """Epiphany is a holiday in Konstanz and not in Hamburg."""
    hamburg = replace(KONSTANZ, name="Hamburg", subdivision="HH")
    for place, kind in ((KONSTANZ, "weekend_or_holiday"), (hamburg, "working_day")):
        models = standard_models("dishwasher", place, PRIORS).values()
        assert {model.predict(date(2016, 1, 6)).day_type for model in models} == {kind}


def test_bad_level() -> None:
    with pytest.raises(InvalidSpec, match="level = 1"):
        DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform()).credible_interval(
            MONDAY, 1.0
        )
