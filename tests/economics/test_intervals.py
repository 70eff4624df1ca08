"""The bootstrap intervals cover as often as they say, and only widen where days are alike."""

from __future__ import annotations

import numpy as np
import pytest

from ems.economics.intervals import (
    RESAMPLES,
    drawn_sums,
    mean_block_days,
    middle,
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


def test_draws_without_a_denominator_are_left_out() -> None:
    seldom = np.array([1.0, 0.0, 0.0])
    assert ratio_interval(0.5 * seldom, seldom, seed=0) == (0.5, 0.5)


def test_the_seed_decides_the_draws() -> None:
    values = np.random.default_rng(1).normal(size=50)
    one, again, other = (ratio_interval(values, np.ones(50), seed=seed) for seed in (4, 4, 5))
    assert one == again != other
