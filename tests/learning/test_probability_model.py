"""The rate rule by hand, what must always hold, and how near it comes to the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning.made_habits import EVENING, HABIT, drawn, history_of, one_start

from ems.errors import InvalidSpec
from ems.learning.pmf import UNIFORM, entropy_bits, js_distance, shift, validated
from ems.learning.priors import Prior, learned, uniform
from ems.learning.probability_model import ProbabilityModelAgent, learning_rate, mixed, moved
from ems.learning.rate import LearningRate
from ems.learning.scores import distance_to_truth, prequential
from ems.learning.usage import DayUse
from ems.site.place import KONSTANZ

WORKING = date(2016, 2, 1)
FREE = date(2016, 2, 6)


def agent(**rate: float) -> ProbabilityModelAgent:
    return ProbabilityModelAgent(
        device="dishwasher", place=KONSTANZ, prior=uniform(), rate=LearningRate(**rate)
    )


def used_at(hour: int, day: date = WORKING, *, shifted: bool = False) -> DayUse:
    return DayUse(
        day=day,
        day_type=int(day.weekday() >= 5),
        starts=np.eye(24)[hour],
        n_starts=1.0,
        shifted=shifted,
    )


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("n", "recent_js", "alpha"),
    [
        (0, 0.0, 0.05),  # 1/20
        (30, 0.0, 0.02),  # 1/50
        (30, 0.004, 0.024),  # · (1 + 50 · 0.004)
        (30, 0.2, 0.03),  # · 1.5: the gain is capped
        (480, 0.0, 0.005),  # 1/500 is raised to lr_min
        (0, 0.2, 0.06),  # 1.5/20 is cut to lr_max
    ],
)
def test_the_rate_by_hand(n: int, recent_js: float, alpha: float) -> None:
    assert learning_rate(n, recent_js, 20.0, 0.005, 0.06) == pytest.approx(alpha)


def test_two_updates_by_hand() -> None:
    learner = agent(lr_tau=10.0, lr_max=0.5, lr_min=0.0, uniform_share=0.0)
    first = learner.update(used_at(7))
    assert first is not None
    assert (first.n, first.alpha, first.own_starts) == (0, 0.1, 1.0)
    assert first.hours[7] == pytest.approx(0.1 + 0.9 / 24)
    assert first.hours[8] == pytest.approx(0.9 / 24)
    assert first.js_step == first.js_to_prior == pytest.approx(js_distance(first.hours, UNIFORM))
    assert first.entropy_bits == pytest.approx(entropy_bits(first.hours))
    second = learner.update(used_at(7, date(2016, 2, 2)))
    assert second is not None
    alpha = (1 + min(50 * first.js_step, 0.5)) / 11
    assert second.alpha == pytest.approx(alpha)
    np.testing.assert_allclose(second.hours, first.hours + alpha * (np.eye(24)[7] - first.hours))
    np.testing.assert_allclose(learner.predict(WORKING).hours, second.hours)


def test_recent_is_the_mean_of_the_last_five_steps() -> None:
    learner = agent(lr_tau=30.0, lr_min=0.0)
    shares = np.random.default_rng(1).dirichlet(np.full(24, 5.0), size=40)  # a heat pump's days
    steps = learner.train(history_of(shares))
    for kind in ("working_day", "weekend_or_holiday"):
        mine = [step for step in steps if step.day_type == kind]
        recent = np.mean([step.js_step for step in mine[-6:-1]])
        gain = 1 + min(50 * recent, 0.5)
        assert 1.0 < gain < 1.5
        assert mine[-1].alpha == pytest.approx(gain / (mine[-1].n + 30))


def test_a_day_is_learned_as_shares_of_its_starts() -> None:
    starts = 2 * np.eye(24)[7] + np.eye(24)[19]
    day = DayUse(day=WORKING, day_type=0, starts=starts, n_starts=3.0)
    learner = agent(lr_tau=10.0, lr_max=0.5)
    step = learner.update(day)
    assert step is not None
    assert step.own_starts == 3.0
    np.testing.assert_allclose(step.hours, moved(UNIFORM, starts / 3, np.array(0.1)))
    assert learner.predict(WORKING).mean_starts == pytest.approx(1.0 + 0.1 * 2.0)


@pytest.mark.smoke
def test_what_the_ems_shifted_trains_use_but_no_hour() -> None:
    shifted, own = agent(), agent()
    assert shifted.update(used_at(3, shifted=True)) is None
    assert own.update(used_at(3)) is not None
    expected, found = own.predict(WORKING), shifted.predict(WORKING)
    assert found.use_probability == expected.use_probability > 0.5
    assert found.mean_starts == expected.mean_starts
    np.testing.assert_array_equal(found.hours, UNIFORM)
    assert expected.hours[3] > UNIFORM[3]


def test_an_unused_day_lowers_use_only() -> None:
    learner = agent(lr_tau=10.0)
    unused = DayUse(day=WORKING, day_type=0, starts=np.zeros(24), n_starts=0.0)
    assert learner.update(unused) is None
    habit = learner.predict(WORKING)
    assert habit.use_probability == pytest.approx(0.45)
    assert habit.mean_starts == 1.0
    np.testing.assert_array_equal(habit.hours, UNIFORM)


def test_day_types_are_learned_apart() -> None:
    learner = agent()
    learner.update(used_at(7, WORKING))
    free = learner.predict(FREE)
    assert (free.day_type, free.use_probability) == ("weekend_or_holiday", 0.5)
    np.testing.assert_array_equal(free.hours, UNIFORM)
    step = learner.update(used_at(9, FREE))
    assert step is not None
    assert (step.n, step.day_type) == (0, "weekend_or_holiday")


def test_before_the_first_day_it_answers_with_its_prior() -> None:
    prior = learned("ev")
    learner = ProbabilityModelAgent(
        device="ev", place=KONSTANZ, prior=prior, rate=LearningRate(uniform_share=0.0)
    )
    np.testing.assert_array_equal(learner.predict(WORKING).hours, prior.hours[0])


@given(
    st.lists(st.integers(-1, 23), min_size=1, max_size=80),
    st.floats(0.5, 60.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.9),
)
def test_it_is_always_a_distribution(
    hours: list[int], tau: float, one: float, other: float, share: float
) -> None:
    learner = agent(lr_tau=tau, lr_min=min(one, other), lr_max=max(one, other), uniform_share=share)
    for step in learner.train(history_of(one_start(*hours))):
        validated(step.hours)
        assert min(one, other) <= step.alpha <= max(one, other)
        assert 0.0 <= step.js_step <= np.log(2.0) ** 0.5
    for day in (WORKING, FREE):
        habit = learner.predict(day)
        assert validated(habit.hours).min() >= share / 24 - 1e-12
        assert 0.0 <= habit.use_probability <= 1.0


def test_without_gain_and_clips_it_counts_days_like_dirichlet() -> None:
    rng, tau = np.random.default_rng(1), 13.0
    seen = np.eye(24)[rng.choice(24, 60, p=EVENING)]
    hours = UNIFORM
    for n, day in enumerate(seen):
        hours = moved(hours, day, learning_rate(n, 0.0, tau, 0.0, 1.0))
    np.testing.assert_allclose(
        hours, ((tau - 1) * UNIFORM + seen.sum(axis=0)) / (tau - 1 + len(seen))
    )


def test_the_error_under_a_constant_rate_is_what_theory_says() -> None:
    """E‖P − p‖² = α/(2 − α)·(1 − Σp²) once the prior is forgotten."""
    alpha, squares = 0.1, []
    for seed in range(20):
        history = drawn(400, seed, habit=np.stack([EVENING, EVENING]), use=1.0)
        learner = agent(lr_min=alpha, lr_max=alpha)
        steps = [s for s in learner.train(history) if s.day_type == "working_day" and s.n >= 60]
        squares.append(np.mean([np.sum((s.hours - EVENING) ** 2) for s in steps]))
    expected = alpha / (2 - alpha) * (1 - np.sum(EVENING**2))
    error = np.std(squares) / np.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(expected, abs=3 * error)
    assert error < 0.07 * expected


def test_the_learned_pmf_approaches_the_truth_like_one_over_root_n() -> None:
    """‖P − p‖² falls as 1/n while lr_min does not bind: eight times the days, an eighth of it."""
    at = {100: [], 800: []}
    for seed in range(15):
        history = drawn(1120, 100 + seed, habit=np.stack([EVENING, EVENING]), use=1.0)
        steps = agent(lr_min=0.0, lr_tau=5.0).train(history)
        working = [step for step in steps if step.day_type == "working_day"]
        # 1120 days have about 770 working days
        for n, errors in at.items():
            errors.append(np.sum((working[min(n, len(working)) - 1].hours - EVENING) ** 2))
    n_last = len(working)
    ratio = np.mean(at[100]) / np.mean(at[800])
    assert ratio == pytest.approx(n_last / 100, rel=0.4)
    # no better than counting could be, and at most 1.5²/(2·1.5 − 1) times its variance
    least = (1 - np.sum(EVENING**2)) / n_last
    assert 0.8 * least < np.mean(at[800]) < 1.4 * least


def test_a_changed_habit_is_followed_and_an_old_one_forgotten() -> None:
    history = drawn(900, 5, use=1.0)
    change = history.days[450].item()
    later = shift(HABIT, 4)
    said = prequential(agent(lr_min=0.03), history.with_changed_habit(change, 4))
    before = distance_to_truth(said, HABIT)
    after = distance_to_truth(said, later)
    assert before[300:420].mean() < 0.5 * after[300:420].mean()
    assert after[-100:].mean() < 0.5 * before[-100:].mean()


def test_saved_and_loaded_it_goes_on_with_the_same_numbers() -> None:
    history = drawn(120, 3)
    learner = ProbabilityModelAgent(
        device="dishwasher", place=KONSTANZ, prior=learned("dishwasher")
    )
    learner.train(history.take(slice(0, 60)))
    saved = json.loads(json.dumps(learner.to_dict()))
    copy = ProbabilityModelAgent.from_dict(saved)
    rest = history.take(slice(60, None))
    for mine, theirs in zip(learner.train(rest), copy.train(rest), strict=True):
        assert (mine.alpha, mine.js_to_prior, mine.n) == (
            theirs.alpha,
            theirs.js_to_prior,
            theirs.n,
        )
    np.testing.assert_array_equal(learner.predict(FREE).hours, copy.predict(FREE).hours)
    assert learner.predict(FREE).use_probability == copy.predict(FREE).use_probability
    assert learner.predict(FREE).mean_starts == copy.predict(FREE).mean_starts


def test_it_keeps_the_holidays_of_its_place_also_when_loaded() -> None:
    epiphany = date(2016, 1, 6)
    hamburg = replace(KONSTANZ, name="Hamburg", subdivision="HH")
    for place, kind in ((KONSTANZ, "weekend_or_holiday"), (hamburg, "working_day")):
        learner = ProbabilityModelAgent(device="ev", place=place, prior=uniform())
        copy = ProbabilityModelAgent.from_dict(json.loads(json.dumps(learner.to_dict())))
        assert learner.predict(epiphany).day_type == copy.predict(epiphany).day_type == kind
        assert copy.place == place


def test_a_broken_save_says_so() -> None:
    saved = agent().to_dict()
    with pytest.raises(InvalidSpec, match="lacks or adds 'state'"):
        ProbabilityModelAgent.from_dict({k: v for k, v in saved.items() if k != "state"})
    with pytest.raises(InvalidSpec, match="saved n has shape"):
        ProbabilityModelAgent.from_dict(saved | {"state": saved["state"] | {"n": [1]}})
    with pytest.raises(InvalidSpec, match="lacks or adds 'place'"):
        ProbabilityModelAgent.from_dict({k: v for k, v in saved.items() if k != "place"})
    wrong = np.full((2, 24), 0.1).tolist()
    with pytest.raises(InvalidSpec, match=r"sum to 2\.4"):
        ProbabilityModelAgent.from_dict(saved | {"state": saved["state"] | {"hours": wrong}})


def test_agents_do_not_share_what_they_learn() -> None:
    prior: Prior = uniform()
    one, other = (ProbabilityModelAgent(device="ev", place=KONSTANZ, prior=prior) for _ in range(2))
    one.train(history_of(one_start(7, 7, 7)))
    np.testing.assert_array_equal(other.predict(WORKING).hours, UNIFORM)
    np.testing.assert_array_equal(prior.hours, uniform().hours)


def test_the_share_spread_over_all_hours() -> None:
    np.testing.assert_allclose(mixed(np.eye(24)[3], 0.24)[[3, 4]], [0.77, 0.01])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr_tau", 0.0),
        ("lr_tau", float("nan")),
        ("lr_min", -0.1),
        ("lr_min", 0.5),
        ("lr_max", 1.5),
        ("uniform_share", 1.0),
        ("uniform_share", -0.01),
    ],
)
def test_bad_rates(field: str, value: float) -> None:
    with pytest.raises(InvalidSpec, match=f"{field} = "):
        LearningRate(**{field: value})
