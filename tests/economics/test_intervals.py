"""The bootstrap intervals cover as often as they say, and only widen where days are alike."""

from __future__ import annotations

import numpy as np
import pytest

from ems.economics.intervals import (
    RESAMPLES,
    drawn_sums,
    holm,
    mean_block_days,
    middle,
    p_value,
    ratio_interval,
)


@pytest.mark.parametrize("block_days", [1, 7])
def test_a_ratio_of_sums_is_covered_as_often_as_the_interval_says(block_days: int) -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(200):
        possible = rng.gamma(2.0, 1.0, 84)
        saved = 0.7 * possible + rng.normal(0.0, 1.0, 84)
        low, high = ratio_interval(saved, possible, seed=0, block_days=block_days)
        hits += low <= 0.7 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_a_sum_is_covered_as_often_as_the_interval_says() -> None:
    rng, hits = np.random.default_rng(2), 0
    for _ in range(200):
        low, high = middle(*drawn_sums(rng.normal(0.1, 1.0, 60), seed=0))
        hits += low <= 0.1 * 60 <= high
    assert 0.89 <= hits / 200 <= 0.99


def alike(rng: np.random.Generator, n_days: int, correlation: float) -> np.ndarray:
    """Days of an AR(1) process with mean 0 and variance 1."""
    days = np.empty(n_days)
    days[0] = rng.normal()
    for t in range(1, n_days):
        days[t] = correlation * days[t - 1] + np.sqrt(1 - correlation**2) * rng.normal()
    return days


def test_days_that_are_alike_are_drawn_together() -> None:
    """A lag-1 correlation of 0.4, as our savings have: days drawn alone cover far too seldom."""
    rng, alone, together = np.random.default_rng(3), 0, 0
    for _ in range(100):
        days = alike(rng, 300, 0.4)
        low, high = middle(*drawn_sums(days, seed=0, block_days=1))
        alone += low <= 0.0 <= high
        low, high = middle(*drawn_sums(days, seed=0))
        together += low <= 0.0 <= high
    assert alone <= 85
    assert together >= 87


def test_the_length_of_a_block_is_that_of_the_dependence() -> None:
    rng = np.random.default_rng(4)
    assert mean_block_days(rng.normal(size=400)) <= 3
    assert 4 <= mean_block_days(alike(rng, 400, 0.6)) <= 40
    assert mean_block_days(np.ones(400)) == 1
    assert mean_block_days(rng.normal(size=9)) == 1
    seldom = np.zeros(10)
    seldom[0] = 1.0
    assert mean_block_days(seldom) == 1  # and no warning, though arch divides by zero


def test_all_series_are_summed_over_the_same_days() -> None:
    days = np.arange(1.0, 31.0)
    one, twice = drawn_sums(days, 2.0 * days, seed=0)
    assert one.shape == (RESAMPLES,)
    assert np.array_equal(twice, 2.0 * one)
    assert drawn_sums(np.ones(30), seed=0)[0] == pytest.approx(30.0)


def test_blocks_widen_the_interval_of_days_that_are_alike() -> None:
    weeks = np.repeat(np.random.default_rng(1).normal(size=60), 7)
    ones = np.ones(len(weeks))
    widths = [np.diff(ratio_interval(weeks, ones, seed=0, block_days=b))[0] for b in (1, 7)]
    assert widths[1] > 1.8 * widths[0]


def test_a_ratio_is_drawn_in_the_longer_blocks_of_its_two_series() -> None:
    """Independent savings over possible ones that last: drawn in the blocks of the latter."""
    rng = np.random.default_rng(5)
    saved, possible = rng.normal(size=300), 5.0 + alike(rng, 300, 0.8)
    assert mean_block_days(saved) < mean_block_days(possible)
    (own,) = drawn_sums(possible, seed=0)
    _, together = drawn_sums(saved, possible, seed=0)
    assert np.array_equal(own, together)


def test_a_ratio_of_days_that_are_alike_is_covered() -> None:
    """Both with a lag-1 correlation of 0.5: their ratio is covered, drawn day by day it is not."""
    rng, alone, together = np.random.default_rng(6), 0, 0
    for _ in range(100):
        possible = 3.0 + 0.5 * alike(rng, 300, 0.5)
        saved = 0.7 * possible + alike(rng, 300, 0.5)
        low, high = ratio_interval(saved, possible, seed=0, block_days=1)
        alone += low <= 0.7 <= high
        low, high = ratio_interval(saved, possible, seed=0)
        together += low <= 0.7 <= high
    assert alone <= 82
    assert together >= 87


def test_a_ratio_over_what_may_be_zero_has_no_interval() -> None:
    seldom = np.array([1.0, 0.0, 0.0])  # 8 of 27 draws have none of it
    assert np.isnan(ratio_interval(0.5 * seldom, seldom, seed=0)).all()
    mostly = np.array([1.0] * 29 + [0.0])
    assert ratio_interval(0.5 * mostly, mostly, seed=0) == (0.5, 0.5)


def test_the_p_value_of_a_sum_is_that_of_its_mean() -> None:
    """60 normal days with a mean of 2.5 standard errors: p = 2 (1 − Φ(2.5)) = 0.012."""
    days = np.random.default_rng(7).normal(size=60)
    days = (days - days.mean()) / days.std() + 2.5 / np.sqrt(60)
    assert 0.004 <= p_value(days, seed=0) <= 0.03
    assert p_value(-days, seed=0) == pytest.approx(p_value(days, seed=0), abs=0.01)
    assert p_value(days - days.mean(), seed=0) > 0.8
    assert p_value(np.ones(60), seed=0) == pytest.approx(2 / (RESAMPLES + 1))


def test_holm_by_hand() -> None:
    """Held against 0.05/4, 0.05/3, 0.05/2, 0.05: the third fails, so the fourth does too."""
    assert holm([0.03, 0.012, 0.04, 0.016]) == [False, True, False, True]
    assert holm([]) == []
    assert holm([0.05]) == [True]


def test_of_many_differences_that_are_none_holm_seldom_lets_one_stand() -> None:
    rng = np.random.default_rng(8)
    wrong = sum(any(holm(list(rng.uniform(size=40)))) for _ in range(500))
    assert wrong / 500 <= 0.08


def test_the_seed_decides_the_draws() -> None:
    values = np.random.default_rng(1).normal(size=50)
    one, again, other = (ratio_interval(values, np.ones(50), seed=seed) for seed in (4, 4, 5))
    assert one == again != other
