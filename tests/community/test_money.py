"""Rounding that keeps sums: by hand, and for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.community.money import cents, hand_out, metered_wh, micro_eur, share_out
from ems.errors import InvalidSpec


def test_the_largest_remainder_gets_the_last_unit() -> None:
    # 10 by 1 : 2 : 4 is 1.43, 2.86 and 5.71.
    assert share_out(np.array([10]), np.array([[1, 2, 4]])).tolist() == [[1, 3, 6]]
    assert share_out(np.array([2, 5]), np.array([[1, 1, 1], [0, 0, 0]])).tolist() == [
        [1, 1, 0],
        [0, 0, 0],
    ]
    everyone = hand_out(np.array([[1, 1]]), np.array([[3, 5]]), np.array([2]))
    assert everyone.tolist() == [[2, 2]]


def test_amounts_are_whole_micro_euros_and_cents() -> None:
    assert micro_eur(np.array([0.226667, -1.5])).tolist() == [226_667, -1_500_000]
    # 0.4 ct three times is 1.2 ct; below zero the parts are -0.6, -0.6 and 2.4 ct.
    assert cents(np.array([4_000, 4_000, 4_000])).tolist() == [1, 0, 0]
    assert cents(np.array([-6_000, -6_000, 24_000])).tolist() == [0, -1, 2]


def test_a_register_counts_whole_watt_hours_and_loses_none() -> None:
    steps = np.full((2, 10), 0.0004)
    assert metered_wh(steps).sum(axis=1).tolist() == [4, 4]
    assert metered_wh(np.array([1.0004, 0.0, 0.0004])).tolist() == [1000, 0, 1]


@pytest.mark.parametrize("wrong", [-0.001, float("nan"), float("inf")])
def test_energy_below_zero_or_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidSpec, match=r"kWh at \(1, 2\), must be at least 0 and finite"):
        metered_wh(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, wrong]]))


rows = st.lists(st.integers(0, 10_000), min_size=1, max_size=8)


@given(weights=rows, total=st.integers(0, 10**6))
def test_parts_sum_to_the_total_and_are_less_than_one_away(weights: list[int], total: int) -> None:
    parts = share_out(np.array([total]), np.array([weights]))[0]
    due = total * np.array(weights) / max(sum(weights), 1)
    assert parts.sum() == (total if sum(weights) else 0)
    assert np.all(np.abs(parts - due) < 1 + 1e-9)
    missed = parts < due  # nobody who was rounded down had more left over than one rounded up
    if missed.any() and (parts > due).any():
        assert (due % 1)[missed].max() <= (due % 1)[parts > due].min() + 1e-9


@given(amounts=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_cents_sum_to_the_rounded_sum(amounts: list[int]) -> None:
    found = cents(np.array(amounts))
    assert abs(found.sum() * 10_000 - sum(amounts)) <= 5_000
    assert np.all(np.abs(found * 10_000 - np.array(amounts)) < 10_000)
