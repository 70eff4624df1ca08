"""Every bill to the µ€: sums, pieces, splitting and relabelling homes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from community.pools import Street, street, streets, three_homes
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.community import pool
from ems.community.keys import Dynamic, Equal, Priority, SharingKey, Static
from ems.community.pool import PoolSteps
from ems.community.rules import (
    BillSharing,
    DoubleAuction,
    MidMarket,
    PoolRule,
    SupplyDemandRatio,
)
from ems.errors import InvalidSpec

RULES = (MidMarket(), SupplyDemandRatio(), DoubleAuction(), BillSharing())


def whole(homes: Street, rule: PoolRule, key: SharingKey) -> PoolSteps:
    (steps,) = homes.settled(rule, key)
    return steps


def test_three_homes_with_a_fee_pay_grid_and_fee() -> None:
    steps = whole(three_homes(fee=0.04), MidMarket(), Dynamic())
    # λ = 0.17: A earns 4 · 0.17; B and C pay 2 · 0.21 + 1 · 0.30 each.
    assert steps.bill_micro_eur.tolist() == [[-680_000, 720_000, 720_000]]
    assert steps.invoice_micro_eur.tolist() == [600_000]
    assert steps.fee_micro_eur.tolist() == [160_000]


def test_a_third_of_a_cent_is_not_lost() -> None:
    """0.19 €/kWh for 1 Wh each of 3 homes, and 0.5 µ€ of 1 Wh at 0.0005 €/kWh."""
    steps = whole(street([0.003, 0, 0, 0], [0, 0.001, 0.001, 0.001]), MidMarket(), Dynamic())
    assert steps.bill_micro_eur.tolist() == [[-570, 190, 190, 190]]


keys = st.sampled_from(["dynamic", "equal", "static", "handed_on", "priority"])


def made(name: str, n: int) -> SharingKey:
    return {
        "dynamic": Dynamic(),
        "equal": Equal(),
        "static": Static((1 / n,) * n),
        "handed_on": Static((1 / n,) * n, reallocate=True),
        "priority": Priority(tuple(range(n))),
    }[name]


@given(homes=streets(), rule=st.sampled_from(RULES), key=keys)
@settings(deadline=None)
def test_bills_sum_to_invoice_and_fee_in_every_step(
    homes: Street, rule: PoolRule, key: str
) -> None:
    steps = whole(homes, rule, made(key, len(homes.surplus_wh)))
    taken = steps.invoice_micro_eur + steps.fee_micro_eur
    assert np.array_equal(steps.bill_micro_eur.sum(axis=1), taken)
    shared = steps.received_wh.sum(axis=1)
    assert np.array_equal(shared, steps.supplied_wh.sum(axis=1))
    bought = (homes.deficit_wh.sum(axis=0) - shared) * homes.grid.retail_eur_per_kwh
    sold = (homes.surplus_wh.sum(axis=0) - shared) * homes.grid.feed_in_eur_per_kwh
    assert steps.invoice_micro_eur == pytest.approx((bought - sold) * 1000, abs=0.51)
    fee = shared * homes.grid.fee_eur_per_kwh * 1000
    assert steps.fee_micro_eur == pytest.approx(fee, abs=1.01)


@given(homes=streets(), key=keys)
@settings(deadline=None)
def test_the_size_of_a_piece_changes_nothing(homes: Street, key: str) -> None:
    used = made(key, len(homes.surplus_wh))
    at_once = whole(homes, MidMarket(), used)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "CELLS", 1)
        pieces = homes.settled(MidMarket(), used)
    assert [piece.first_step for piece in pieces] == list(range(homes.surplus_wh.shape[1]))
    bills = np.concatenate([piece.bill_micro_eur for piece in pieces])
    assert np.array_equal(bills, at_once.bill_micro_eur)


@given(homes=streets(), rule=st.sampled_from(RULES), data=st.data())
@settings(deadline=None)
def test_relabelling_homes_changes_nothing_but_who_has_the_last_unit(
    homes: Street, rule: PoolRule, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(homes.surplus_wh))))
    moved = replace(homes, surplus_wh=homes.surplus_wh[order], deficit_wh=homes.deficit_wh[order])
    one, other = (whole(each, rule, Dynamic()) for each in (homes, moved))
    assert np.array_equal(one.invoice_micro_eur, other.invoice_micro_eur)
    assert np.array_equal(one.fee_micro_eur, other.fee_micro_eur)
    assert np.max(np.abs(one.received_wh[:, order] - other.received_wh)) <= 1
    # A Wh is at most 0.5 €/kWh, so 500 µ€, of which each home may have one more on either side.
    assert np.max(np.abs(one.bill_micro_eur[:, order] - other.bill_micro_eur)) <= 1002


@given(homes=streets(), rule=st.sampled_from(RULES))
@settings(deadline=None)
def test_splitting_a_home_in_two_changes_no_total(homes: Street, rule: PoolRule) -> None:
    first = np.stack([homes.surplus_wh[0], homes.deficit_wh[0]])
    part = first // 2
    split = replace(
        homes,
        surplus_wh=np.vstack([part[0], first[0] - part[0], homes.surplus_wh[1:]]),
        deficit_wh=np.vstack([part[1], first[1] - part[1], homes.deficit_wh[1:]]),
    )
    one, two = whole(homes, rule, Dynamic()), whole(split, rule, Dynamic())
    assert np.array_equal(one.invoice_micro_eur, two.invoice_micro_eur)
    assert np.array_equal(one.fee_micro_eur, two.fee_micro_eur)
    assert np.array_equal(one.received_wh.sum(axis=1), two.received_wh.sum(axis=1))
    halves = two.bill_micro_eur[:, :2].sum(axis=1)
    assert np.max(np.abs(halves - one.bill_micro_eur[:, 0])) <= 2004


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"surplus_wh": np.zeros((3, 2), dtype=np.int64)}, r"surplus of shape \(3, 2\), deficit"),
        ({"deficit_wh": np.array([[0], [-1], [0]])}, "energy of -1 Wh, must be at least 0"),
    ],
)
def test_energies_that_do_not_fit_are_refused(changed: dict[str, np.ndarray], says: str) -> None:
    homes = replace(three_homes(), **changed)
    with pytest.raises(InvalidSpec, match=says):
        pool.settle_pool(
            homes.surplus_wh,
            homes.deficit_wh,
            key=Dynamic(),
            shared_eur_per_kwh=np.array([0.19]),
            grid=homes.grid,
        )


def test_a_key_for_other_homes_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="static: made for 2 homes, here are 3"):
        whole(three_homes(), MidMarket(), Static((0.5, 0.5)))
