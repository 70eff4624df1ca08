"""The least costly limits: by hand, by brute force, and against a fixed order."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ems.agents.offer import Offer
from ems.errors import Infeasible, InvalidSpec
from ems.services.coordinator import (
    Feeder,
    Transformer,
    floor_kw,
    in_fixed_order,
    least_limits,
)

START = np.datetime64("2016-06-01T10:00")


def feeder(rating_kw: float, *offers: Offer, back_kw: float = 100.0) -> Feeder:
    n = offers[0].levels_kw.shape[1]
    return Feeder(
        transformer=Transformer(
            name="transformer_A", import_rating_kw=rating_kw, export_rating_kw=back_kw
        ),
        offers=offers,
        known_kw=(np.zeros(n), np.zeros(n)),
    )


def cuts(name: str, load_kw: float, most_kw: float, eur_per_kwh: float) -> Offer:
    levels_kw = np.array([[load_kw], [load_kw - most_kw]])
    return Offer(
        name=name,
        levels_kw=levels_kw,
        costs_eur=np.array([0.0, eur_per_kwh * most_kw]),
        convex=True,
    )


BY_HAND = (
    cuts("home_1", 6, 3, 0.10),
    cuts("home_2", 5, 5, 0.30),
    cuts("home_3", 4, 2, 0.05),
)


@pytest.mark.smoke
def test_the_cheapest_cuts_by_hand() -> None:
    plan = least_limits(START, 1.0, [feeder(10.0, *BY_HAND)])
    kept = [float(plan.net_load_kw[name][0]) for name in ("home_1", "home_2", "home_3")]
    assert_allclose(kept, [3.0, 5.0, 2.0], atol=1e-6)
    assert plan.objective_eur == pytest.approx(0.40, abs=1e-9)
    assert plan.bound_eur == pytest.approx(0.40, abs=1e-6)
    assert plan.limited == {"home_1", "home_3"}


def test_what_cannot_be_kept_names_the_transformer_and_the_power() -> None:
    with pytest.raises(Infeasible, match="transformer_A") as error:
        least_limits(START, 1.0, [feeder(4.0, *BY_HAND)])
    assert "1" in error.value.shortfalls["transformer_A.rating"]


def random_feeder(rng: np.random.Generator) -> Feeder:
    """Up to four nodes with up to four levels over three steps, not mixable."""
    offers = []
    for i in range(rng.integers(2, 5)):
        n_levels = int(rng.integers(2, 5))
        base_kw = rng.uniform(1, 8, 3)
        shares = np.sort(rng.uniform(0, 1, n_levels))[::-1]
        shares[0] = 1.0
        costs = np.concatenate([[0.0], np.sort(rng.uniform(0, 2, n_levels - 1))])
        offers.append(Offer(name=f"n{i}", levels_kw=shares[:, None] * base_kw, costs_eur=costs))
    full = sum(offer.levels_kw[0] for offer in offers).max()
    least = sum(offer.levels_kw[-1] for offer in offers).max()
    return feeder(float(least + rng.uniform(0.01, 1) * (full - least)), *offers)


def brute_force(item: Feeder) -> float:
    """The least cost over every choice of levels."""
    best = np.inf
    for choice in product(*(range(len(o.costs_eur)) for o in item.offers)):
        total = sum(o.levels_kw[k] for o, k in zip(item.offers, choice, strict=True))
        if total.max() <= item.transformer.import_rating_kw + 1e-9:
            cost = sum(o.costs_eur[k] for o, k in zip(item.offers, choice, strict=True))
            best = min(best, float(cost))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_no_choice_of_levels_is_cheaper_and_a_fixed_order_costs_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dearer = 0
    for _ in range(25):
        item = random_feeder(rng)
        plan = least_limits(START, 1.0, [item])
        assert plan.objective_eur == pytest.approx(brute_force(item), abs=1e-6)
        order = in_fixed_order([item], [offer.name for offer in item.offers])
        ordered = sum(o.costs_eur[order[o.name]] for o in item.offers)
        assert plan.objective_eur <= ordered + 1e-6
        dearer += ordered > plan.objective_eur + 1e-3
    assert dearer > 5  # or the comparison says nothing


def test_the_order_of_replies_changes_no_bit() -> None:
    one = least_limits(START, 1.0, [feeder(10.0, *BY_HAND)])
    other = least_limits(START, 1.0, [feeder(10.0, *BY_HAND[::-1])])
    for name, kw in one.net_load_kw.items():
        assert kw.tobytes() == other.net_load_kw[name].tobytes()


def test_the_surplus_of_roofs_is_limited_as_well() -> None:
    roof = Offer(
        name="roof",
        levels_kw=np.array([[-9.0], [0.0]]),
        costs_eur=np.array([0.0, 0.9]),
        convex=True,
    )
    plan = least_limits(START, 1.0, [feeder(10.0, roof, back_kw=5.0)])
    assert_allclose(plan.net_load_kw["roof"], [-5.0], atol=1e-6)
    assert plan.objective_eur == pytest.approx(0.40, abs=1e-6)


def test_the_floors_of_the_law() -> None:
    assert [round(floor_kw(n), 2) for n in (0, 1, 2, 3, 4)] == [0.0, 4.2, 7.56, 10.5, 13.02]
    with pytest.raises(InvalidSpec, match="n_devices"):
        floor_kw(-1)
