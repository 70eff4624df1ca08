"""The keys by hand, against a plain rule home by home, and what every key must keep."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.community.keys import Dynamic, Equal, Priority, SharingKey, Static, supplied_wh
from ems.errors import InvalidSpec

THIRDS = (1 / 3, 1 / 3, 1 / 3)
KEYS: tuple[Callable[[int], SharingKey], ...] = (
    lambda n: Dynamic(),
    lambda n: Equal(),
    lambda n: Priority(tuple(reversed(range(n)))),
    lambda n: Static(np.arange(n) / max(1, n * (n - 1) / 2) if n > 1 else (1.0,)),
    lambda n: Static((1 / n,) * n, reallocate=True),
)
"""For n homes; one of them with a share of zero."""


def received(key: SharingKey, surplus: list[int], needs: list[int]) -> list[int]:
    return key.received_wh(np.array([surplus]), np.array([needs]))[0].tolist()


@pytest.mark.parametrize(
    ("key", "gets"),
    [
        (Static(THIRDS), [2000, 3333, 3333]),  # 1.33 kWh are fed in
        (Static(THIRDS, reallocate=True), [2000, 4000, 4000]),
        (Dynamic(), [1000, 3000, 6000]),
        (Equal(), [2000, 4000, 4000]),
        (Priority((2, 0, 1)), [0, 0, 10_000]),
        (Priority((1, 0, 2)), [2000, 6000, 2000]),
    ],
)
def test_ten_kwh_of_sun_for_two_six_and_twelve(key: SharingKey, gets: list[int]) -> None:
    assert received(key, [10_000, 0, 0], [2000, 6000, 12_000]) == gets


@pytest.mark.parametrize(
    ("key", "in_surplus", "balanced"),
    [
        (Static(THIRDS), [2000, 6000, 8000], [2000, 6000, 6666]),
        (Static(THIRDS, reallocate=True), [2000, 6000, 12_000], [2000, 6000, 12_000]),
        (Dynamic(), [2000, 6000, 12_000], [2000, 6000, 12_000]),
        (Equal(), [2000, 6000, 12_000], [2000, 6000, 12_000]),
        (Priority((0, 1, 2)), [2000, 6000, 12_000], [2000, 6000, 12_000]),
    ],
)
def test_more_sun_than_need_and_as_much(
    key: SharingKey, in_surplus: list[int], balanced: list[int]
) -> None:
    """With fixed shares, some is fed in even then; the odd Wh go to the first of equals."""
    assert received(key, [24_000, 0, 0], [2000, 6000, 12_000]) == in_surplus
    assert received(key, [20_000, 0, 0], [2000, 6000, 12_000]) == balanced


def test_shares_of_zero_get_nothing_even_when_handed_on() -> None:
    key = Static((0.0, 1.0), reallocate=True)
    assert received(key, [100, 0], [50, 30]) == [0, 30]


def test_who_supplies_shares_the_sale_pro_rata() -> None:
    assert supplied_wh(np.array([[10, 30, 0]]), np.array([20])).tolist() == [[5, 15, 0]]


needs = st.lists(st.integers(0, 60), min_size=1, max_size=6)


@pytest.mark.parametrize("made", KEYS)
@given(needs=needs, surplus=st.integers(0, 200))
@settings(deadline=None)
def test_no_key_shares_more_than_there_is(
    made: Callable[[int], SharingKey], needs: list[int], surplus: int
) -> None:
    key, n = made(len(needs)), len(needs)
    held = np.zeros((1, n), dtype=np.int64)
    held[0, 0] = surplus - surplus // 3
    held[0, -1] += surplus // 3
    gets = key.received_wh(held, np.array([needs]))
    gives = supplied_wh(held, gets.sum(axis=1))
    shareable = min(surplus, sum(needs))
    assert np.all((gets >= 0) & (gets <= needs))
    assert np.all((gives >= 0) & (gives <= held))
    assert gives.sum() == gets.sum() <= shareable
    if not (isinstance(key, Static) and (not key.reallocate or 0.0 in key.shares)):
        assert gets.sum() == shareable


def level(total: int, needs: list[int], weights: list[Fraction]) -> list[Fraction]:
    """Water-filling with exact fractions, one home after the other in the order of its lid."""
    gets, left = [Fraction(0)] * len(needs), Fraction(total)
    order = sorted(range(len(needs)), key=lambda i: needs[i] / weights[i])
    for place, i in enumerate(order):
        weight_left = sum(weights[j] for j in order[place:])
        gets[i] = min(Fraction(needs[i]), left * weights[i] / weight_left)
        left -= gets[i]
    return gets


@given(needs=needs, surplus=st.integers(0, 200), data=st.data())
@settings(deadline=None)
def test_handing_on_raises_one_level_for_all(
    needs: list[int], surplus: int, data: st.DataObject
) -> None:
    n = len(needs)
    raw = data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))
    weights = [Fraction(part, sum(raw)) for part in raw]
    total = min(surplus, sum(needs))
    held = [surplus] + [0] * (n - 1)
    for key, parts in (
        (Equal(), [Fraction(1)] * n),
        (Static([float(w) for w in weights], reallocate=True), weights),
    ):
        exact = np.array([float(part) for part in level(total, needs, parts)])
        assert np.all(np.abs(received(key, held, needs) - exact) < 1 + 1e-6)


@pytest.mark.parametrize("made", KEYS[:2])
@given(needs=st.lists(st.integers(0, 60), min_size=2, max_size=6), surplus=st.integers(0, 200))
def test_relabelling_homes_moves_at_most_one_wh(
    made: Callable[[int], SharingKey], needs: list[int], surplus: int
) -> None:
    held = [surplus] + [0] * (len(needs) - 1)
    one = received(made(len(needs)), held, needs)
    other = received(made(len(needs)), held, needs[::-1])[::-1]
    assert sum(one) == sum(other)
    assert np.max(np.abs(np.array(one) - other)) <= 1


@given(needs=needs, surplus=st.integers(0, 200))
def test_splitting_a_home_in_two_changes_no_total(needs: list[int], surplus: int) -> None:
    """Of dynamic and, with its share split likewise, static handed on."""
    split = [needs[0] // 3, needs[0] - needs[0] // 3, *needs[1:]]
    n = len(needs)
    shares = [1 / n / 3, 2 / n / 3, *[1 / n] * (n - 1)]
    for one, two in (
        (Dynamic(), Dynamic()),
        (Static([1 / n] * n, reallocate=True), Static(shares, reallocate=True)),
    ):
        whole = received(one, [surplus] + [0] * (n - 1), needs)
        parts = received(two, [surplus] + [0] * n, split)
        assert sum(whole) == sum(parts)
    pro_rata = received(Dynamic(), [surplus] + [0] * n, split)
    assert abs(sum(pro_rata[:2]) - received(Dynamic(), [surplus] + [0] * (n - 1), needs)[0]) <= 2


def test_steps_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(1)
    surplus, need = rng.integers(0, 50, (2, 40, 5))
    for made in KEYS:
        together = made(5).received_wh(surplus, need)
        apart = [
            made(5).received_wh(s[None], d[None])[0] for s, d in zip(surplus, need, strict=True)
        ]
        assert np.array_equal(together, apart)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Static((0.5, 0.4)), "static: 2 shares sum to 0.9, must sum to 1"),
        (lambda: Static((1.5, -0.5)), r"static: share 1 is 1.5, must lie in \[0, 1\]"),
        (lambda: Static((float("nan"), 1.0)), "static: share 1 is nan"),
        (lambda: Priority((0, 0)), r"priority: order \(0, 0\), must name every home from 0 to 1"),
        (lambda: received(Static((0.5, 0.5)), [1], [1]), "static: made for 2 homes, here are 1"),
        (lambda: received(Priority((1, 0)), [1], [1]), "priority: made for 2 homes, here are 1"),
    ],
)
def test_bad_keys_are_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        make()
