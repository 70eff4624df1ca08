"""Losers, Gini, the core and the guarantee: by hand and for any gains."""

from __future__ import annotations

import numpy as np
import pytest
from community.pools import three_homes
from hypothesis import given
from hypothesis import strategies as st

from ems.community.fairness import fairness, gini, guarantee, leaving, leaving_in_pairs
from ems.community.rules import BillSharing, DoubleAuction, MidMarket, PoolRule
from ems.community.splits import equal, nucleolus, pair_gains, shapley, sharing_gains
from ems.errors import InvalidSpec

HOMES = three_homes()
VALUES = sharing_gains(HOMES.surplus_kwh, HOMES.deficit_kwh, HOMES.grid)
PAIRS = pair_gains(HOMES.surplus_kwh, HOMES.deficit_kwh, HOMES.grid)
ALLOW = 2e-6


def test_mid_market_is_in_the_core() -> None:
    gains = HOMES.gains_eur(MidMarket())
    found = fairness(gains, leaving(gains, VALUES, tolerance_eur=ALLOW), tolerance_eur=ALLOW)
    assert found.least_gain_eur == pytest.approx(0.22)
    assert found.least_home in (1, 2)
    assert found.losers == ()
    assert found.gini == pytest.approx(1 / 6, abs=1e-5)
    assert found.leaving.in_core is True
    assert leaving_in_pairs(gains, PAIRS, tolerance_eur=ALLOW).in_core is None


def test_of_equal_parts_a_and_one_other_would_leave() -> None:
    gains = equal(VALUES)
    found = leaving(gains, VALUES, tolerance_eur=ALLOW)
    assert found.in_core is False
    assert set(found.coalitions) == {(0, 1), (0, 2)}
    assert found.more_eur == pytest.approx([0.66 - 2 * 0.88 / 3] * 2)
    assert gini(gains) == pytest.approx(0.0)
    pairs = leaving_in_pairs(gains, PAIRS, tolerance_eur=ALLOW)
    assert pairs.coalitions == found.coalitions
    assert pairs.more_eur == pytest.approx(found.more_eur)
    assert pairs.in_core is False


@pytest.mark.parametrize("rule", [DoubleAuction(), BillSharing()])
def test_who_loses_under_the_other_rules(rule: PoolRule) -> None:
    gains = HOMES.gains_eur(rule)
    found = fairness(gains, leaving(gains, VALUES, tolerance_eur=ALLOW), tolerance_eur=ALLOW)
    if rule.name == "double_auction":
        assert (found.losers, found.leaving.in_core) == ((), True)
        assert found.gini == pytest.approx(2 / 3, abs=1e-5)
    else:
        assert (found.losers, found.gini, found.least_home) == ((0,), None, 0)
        assert (0,) in found.leaving.coalitions


def test_a_split_and_the_core() -> None:
    assert leaving(nucleolus(VALUES), VALUES, tolerance_eur=ALLOW).in_core is True
    unfair = leaving(shapley(VALUES), VALUES, tolerance_eur=ALLOW)
    assert unfair.in_core is True  # 0.6967 for A and one other
    unused = leaving(np.array([0.4, 0.2, 0.2]), VALUES, tolerance_eur=ALLOW)
    assert (0, 1, 2) in unused.coalitions  # 0.08 € are left lying
    more = list(unused.more_eur)
    assert more == sorted(more, reverse=True)


def test_published_examples_of_gini() -> None:
    assert gini(np.full(5, 100.0)) == pytest.approx(0.0)
    assert gini(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.75)
    assert gini(np.zeros(4)) == 0.0
    with pytest.raises(InvalidSpec, match="gini: gain of -1 €, must be at least 0"):
        gini(np.array([-1.0, 2.0]))


@given(gains=st.lists(st.floats(0, 100), min_size=1, max_size=9))
def test_gini_is_the_mean_difference(gains: list[float]) -> None:
    x = np.array(gains)
    if x.sum() > 1e-6:
        pairs = np.abs(x[:, None] - x).sum() / (2 * len(x) * x.sum())
        assert gini(x) == pytest.approx(pairs, abs=1e-9)
        assert gini(x) == pytest.approx(gini(x[::-1]), abs=1e-12)


def test_the_winners_top_the_losers_up() -> None:
    assert guarantee(np.array([-320_000, 600_000, 600_000])).tolist() == [
        *(320_000, -160_000, -160_000)
    ]
    assert guarantee(np.array([-1, 1, 1])).tolist() == [1, -1, 0]
    assert guarantee(np.array([3, 0, 1])).tolist() == [0, 0, 0]
    rich = np.array([-(10**11), 3 * 10**11, 10**11])  # the product does not fit 64 bits
    assert guarantee(rich).tolist() == [10**11, -75 * 10**9, -25 * 10**9]
    with pytest.raises(InvalidSpec, match=r"together the homes lose 0.50 €, so nobody can top"):
        guarantee(np.array([-1_500_000, 1_000_000]))


@given(gains=st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=9))
def test_after_the_guarantee_nobody_loses_and_no_money_is_made(gains: list[int]) -> None:
    if sum(gains) < 0:
        return
    paid = guarantee(np.array(gains))
    assert paid.sum() == 0
    assert np.all(np.array(gains) + paid >= 0)
    assert np.all(paid[np.array(gains) >= 0] <= 0)


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="8 values for 2 homes, must be 4, one a coalition"):
        leaving(np.zeros(2), VALUES, tolerance_eur=ALLOW)
    with pytest.raises(InvalidSpec, match="coalitions of 13 homes"):
        leaving(np.zeros(13), np.zeros(1 << 13), tolerance_eur=ALLOW)
