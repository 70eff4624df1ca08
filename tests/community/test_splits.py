"""Splits by hand, against other roads, and what every split must keep."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from community.pools import Street, street, streets, three_homes
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.community import splits
from ems.community.splits import (
    equal,
    members,
    nucleolus,
    pair_gains,
    sampled_shapley,
    shapley,
    sharing_gains,
)
from ems.errors import InvalidSpec


def game(homes: Street) -> np.ndarray:
    return sharing_gains(homes.surplus_kwh, homes.deficit_kwh, homes.grid)


def test_the_three_homes() -> None:
    values = game(three_homes())
    assert values == pytest.approx([0, 0, 0, 0.66, 0, 0.66, 0, 0.88])
    assert shapley(values) == pytest.approx([0.513333, 0.183333, 0.183333], abs=1e-6)
    assert nucleolus(values) == pytest.approx([0.66, 0.11, 0.11])
    assert equal(values) == pytest.approx([0.88 / 3] * 3)


def test_a_fee_is_taken_off_the_gain_before_it_is_split() -> None:
    assert game(three_homes(fee=0.04))[-1] == pytest.approx(4 * 0.18)
    worthless = game(three_homes(fee=0.3))
    assert not worthless.any()
    assert shapley(worthless).tolist() == nucleolus(worthless).tolist() == [0.0] * 3


def test_known_games() -> None:
    # Glove game, one left and two right: all to the left in the nucleolus, 2/3 by Shapley.
    glove = np.array([0.0, 0, 0, 1, 0, 1, 0, 1])
    assert nucleolus(glove) == pytest.approx([1, 0, 0], abs=1e-9)
    assert shapley(glove) == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    # Bankruptcy game of the Talmud: estate 200, claims 100, 200, 300 gives 50, 75, 75.
    claims = np.array([100.0, 200.0, 300.0])
    estate = np.maximum(0.0, 200.0 - (~members(3)) @ claims)
    assert nucleolus(estate) == pytest.approx([50, 75, 75])
    assert nucleolus(np.array([0.0, 3.0])) == pytest.approx([3.0])


def by_orders(values: np.ndarray, n: int) -> np.ndarray:
    split = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        coalition = 0
        for home in order:
            split[home] += values[coalition | 1 << home] - values[coalition]
            coalition |= 1 << home
    return split / len(orders)


@given(homes=streets())
@settings(max_examples=30)
def test_shapley_is_the_mean_over_all_orders(homes: Street) -> None:
    values, n = game(homes), len(homes.surplus_wh)
    assert shapley(values) == pytest.approx(by_orders(values, n), abs=1e-9)
    assert shapley(values).sum() == pytest.approx(values[-1])


def excesses(split: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of all coalitions but nobody and everybody, the smallest first."""
    return np.sort((members(len(split)) @ split - values)[1:-1])


@given(homes=streets(), data=st.data())
@settings(max_examples=60)
def test_no_split_has_greater_excesses_than_the_nucleolus(
    homes: Street, data: st.DataObject
) -> None:
    """Lexicographically, against Shapley, equal parts, all to one and steps away from it."""
    values, n = game(homes), len(homes.surplus_wh)
    scale = max(values[-1], 1e-9)
    best = nucleolus(values)
    assert best.sum() == pytest.approx(values[-1])
    assert np.all(best >= -1e-7 * scale)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    others = [shapley(values), equal(values), *np.eye(n) * values[-1]]
    for size in (0.5, 0.01, 0.0001):
        step = rng.normal(size=n)
        others.append(best + size * scale * (step - step.mean()))
    ours = excesses(best, values) / scale
    for other in (split for split in others if split.min() >= 0):
        theirs = excesses(other, values) / scale
        differ = np.flatnonzero(np.abs(ours - theirs) > 1e-6)
        assert not len(differ) or ours[differ[0]] > theirs[differ[0]]


def test_twelve_homes_split_exactly() -> None:
    rng = np.random.default_rng(4)
    homes = street(
        [float(x) for x in np.round(rng.uniform(0, 5, 12) * (np.arange(12) < 5), 2)],
        [float(x) for x in np.round(rng.uniform(0, 3, 12) * (np.arange(12) >= 5), 2)],
    )
    values = game(homes)
    assert shapley(values).sum() == pytest.approx(values[-1])
    best = nucleolus(values)
    assert best.sum() == pytest.approx(values[-1])
    assert excesses(best, values)[0] >= excesses(shapley(values), values)[0] - 1e-9


def test_pairs_are_as_in_the_game() -> None:
    homes = three_homes()
    pairs = pair_gains(homes.surplus_kwh, homes.deficit_kwh, homes.grid)
    assert pairs == pytest.approx(np.array([[0, 0.66, 0.66], [0.66, 0, 0], [0.66, 0, 0]]))


def test_a_home_that_feeds_in_and_draws_in_one_step_gains_nothing_alone() -> None:
    values = game(street([2, 0], [1, 1]))
    assert values.tolist()[:3] == [0, 0, 0]
    assert values[3] == pytest.approx(0.44)


@given(homes=streets())
@settings(max_examples=30)
def test_pieces_and_pairs_agree_with_the_whole(homes: Street) -> None:
    values, n = game(homes), len(homes.surplus_wh)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "CELLS", 1)
        assert game(homes) == pytest.approx(values, abs=1e-12)
    pairs = pair_gains(homes.surplus_kwh, homes.deficit_kwh, homes.grid)
    for i, j in combinations(range(n), 2):
        assert pairs[i, j] == pairs[j, i] == pytest.approx(values[1 << i | 1 << j], abs=1e-12)


def test_sampled_shapley_is_right_within_its_error_and_exactly_efficient() -> None:
    rng = np.random.default_rng(2)
    values = game(
        street([4, 2, 0, 0, 0, 0], [0, 0, *(float(x) for x in np.round(rng.uniform(0, 4, 4), 1))])
    )
    calls = []

    def value(who: np.ndarray) -> float:
        calls.append(who.tobytes())
        return float(values[(1 << np.flatnonzero(who)).sum()])

    found = sampled_shapley(value, 6, n_rounds=40, seed=3)
    assert len(calls) == len(set(calls))
    assert found.split_eur.sum() == pytest.approx(values[-1])
    away = np.abs(found.split_eur - shapley(values)) / found.standard_error_eur
    assert np.all(away < 4)
    assert np.all(found.standard_error_eur < 0.1 * values[-1])
    more = sampled_shapley(value, 6, n_rounds=640, seed=3).standard_error_eur
    assert 0.18 < (more / found.standard_error_eur).mean() < 0.32  # a quarter


def test_every_home_joins_once_at_every_place_of_a_round() -> None:
    """Where only the place counts, two rounds are exact."""
    found = sampled_shapley(lambda who: float(who.sum() ** 2), 7, n_rounds=2, seed=0)
    assert found.split_eur == pytest.approx([7.0] * 7)
    assert found.standard_error_eur == pytest.approx([0.0] * 7, abs=1e-12)


def test_the_error_covers_as_often_as_it_says() -> None:
    values = game(street([4, 1, 0, 0, 0], [0, 0, 3, 2, 1]))
    exact, hits = shapley(values), 0
    for seed in range(60):
        found = sampled_shapley(
            lambda who: float(values[(1 << np.flatnonzero(who)).sum()]), 5, n_rounds=30, seed=seed
        )
        hits += int((np.abs(found.split_eur - exact) < 2 * found.standard_error_eur + 1e-12).sum())
    assert 0.9 <= hits / 300 <= 1.0


@pytest.mark.parametrize("split", [equal, shapley, nucleolus])
@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros(3), r"a game of shape \(3,\): must hold one value a coalition"),
        (np.zeros(1), r"a game of shape \(1,\)"),
        (np.zeros((4, 2)), r"a game of shape \(4, 2\)"),
        (np.zeros(1 << 13), "coalitions of 13 homes: all of them are looked at for 1 to 12"),
        (np.array([1.0, 1.0]), "nobody gains 1 €"),
        (np.array([0.0, np.nan]), "values must be finite"),
    ],
)
def test_what_is_no_game_is_refused(split, values: np.ndarray, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidSpec, match=says):
        split(values)


def test_a_community_that_loses_has_no_nucleolus() -> None:
    with pytest.raises(InvalidSpec, match="alone the homes gain 2 € and together 1 €"):
        nucleolus(np.array([0.0, 1.0, 1.0, 1.0]))
    with pytest.raises(InvalidSpec, match="n_rounds = 1, must be at least 2"):
        sampled_shapley(lambda who: 0.0, 3, n_rounds=1, seed=0)
