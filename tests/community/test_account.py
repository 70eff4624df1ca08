"""The account of a community: by hand, and against the settlement of a building."""

from __future__ import annotations

import numpy as np
import pytest
from community.streets import hours, street, three_homes

from ems.community.account import settle_community
from ems.community.community import Community
from ems.community.keys import Equal, Priority, SharingKey
from ems.community.money import MICRO
from ems.community.rules import BillSharing, Competitive, DoubleAuction, MidMarket, PoolRule


@pytest.mark.parametrize(
    ("rule", "costs_eur"),
    [
        (MidMarket(), (-0.76, 0.68, 0.68)),
        (DoubleAuction(), (-1.20, 0.90, 0.90)),
        (BillSharing(), (0.0, 0.30, 0.30)),
    ],
)
def test_three_homes_by_hand(rule: PoolRule, costs_eur: tuple[float, ...]) -> None:
    """Alone −0.32, 0.90, 0.90: gains of 0.44, 0.22, 0.22; of 0.88, 0, 0; of −0.32, 0.60, 0.60."""
    horizon, homes = three_homes()
    plan = Community(homes).optimize_together(horizon)
    account = settle_community(plan, rule=rule)
    assert account.cost_eur == pytest.approx(costs_eur)
    assert account.bill_micro_eur.sum() == 600_000


def test_alone_nothing_is_shared() -> None:
    horizon, homes = three_homes()
    account = settle_community(Community(homes).optimize_alone(horizon))
    assert account.cost_eur == pytest.approx([-0.32, 0.90, 0.90])
    assert not account.received_wh.any()


@pytest.mark.parametrize("key", [None, Equal(), Priority(order=(4, 3, 2, 1, 0))])
def test_booked_as_settled(key: SharingKey | None) -> None:
    """The bills of the ledger are those of the settlement but for what Wh and µ€ round away."""
    horizon = hours()
    community = Community(street(5, 5), fee_eur_per_kwh=0.03)
    account = settle_community(community.optimize_together(horizon), key=key)
    booked = account.bill_micro_eur.sum(axis=0) / MICRO
    settled = [kpis.bill_eur for kpis in account.kpis]
    np.testing.assert_allclose(booked, settled, atol=24 * 0.0005 * 0.4)
    paid = account.invoice_micro_eur + account.fee_micro_eur
    np.testing.assert_array_equal(account.bill_micro_eur.sum(axis=1), paid)
    assert account.bill_micro_eur.sum() / MICRO == pytest.approx(account.plan.bill_eur, abs=2e-3)


@pytest.mark.parametrize("seed", range(12))
def test_at_the_price_of_the_bus_nobody_is_worse_off(seed: int) -> None:
    """Competitive with the plan of all: his plan alone stays possible, at prices no worse."""
    horizon = hours()
    community = Community(street(seed, 6, machines=False), fee_eur_per_kwh=0.02 * (seed % 3))
    together = community.optimize_together(horizon)
    assert together.price_eur_per_kwh is not None
    here = settle_community(together, rule=Competitive(together.price_eur_per_kwh))
    alone = settle_community(community.optimize_alone(horizon))
    assert (here.cost_eur <= alone.cost_eur + 2e-4).all()
