"""What the rules give by hand, and what each of them must keep for any street."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from community.pools import FEED_IN, RETAIL, Street, street, streets, three_homes
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.community.rules import (
    BillSharing,
    Competitive,
    DoubleAuction,
    GridPrices,
    MidMarket,
    PoolRule,
    SupplyDemandRatio,
    mixed_prices,
)
from ems.errors import InvalidSpec

PRICED = [MidMarket(), SupplyDemandRatio(), DoubleAuction(), DoubleAuction(k=0.5), BillSharing()]


def prices(rule: PoolRule, homes: Street) -> tuple[float, float]:
    buy, sell = rule.prices(homes.surplus_kwh, homes.deficit_kwh, homes.grid)
    return buy.item(), sell.item()


def test_three_homes_at_mid_market() -> None:
    assert prices(MidMarket(), three_homes()) == pytest.approx((0.226667, 0.19), abs=5e-7)
    assert three_homes().alone_eur == pytest.approx([-0.32, 0.90, 0.90])
    assert three_homes().gains_eur(MidMarket()) == pytest.approx([0.44, 0.22, 0.22])


@pytest.mark.parametrize(
    ("rule", "gains"),
    [(DoubleAuction(), [0.88, 0, 0]), (BillSharing(), [-0.32, 0.60, 0.60])],
)
def test_three_homes_by_auction_and_by_bill_sharing(rule: PoolRule, gains: list[float]) -> None:
    assert three_homes().gains_eur(rule) == pytest.approx(gains, abs=1e-6)


# Of 4 and 6, of 9 and 6, of 6 and 6 kWh; with h = p_in - f = 0.26 in the last column.
IN_SURPLUS, BALANCED = street([9, 0, 0], [0, 3, 3]), street([6, 0, 0], [0, 3, 3])


@pytest.mark.parametrize(
    ("rule", "homes", "buy", "sell"),
    [
        (MidMarket(), IN_SURPLUS, 0.19, (6 * 0.19 + 3 * 0.08) / 9),
        (MidMarket(), BALANCED, 0.19, 0.19),
        (MidMarket(), three_homes(fee=0.04), (4 * 0.21 + 2 * 0.30) / 6, 0.17),
        # 0.08 · 0.30 / (0.22 · 2/3 + 0.08) = 0.105882
        (SupplyDemandRatio(), three_homes(), (4 * 0.105882 + 2 * 0.30) / 6, 0.105882),
        (SupplyDemandRatio(), IN_SURPLUS, 0.08, 0.08),
        (SupplyDemandRatio(), BALANCED, 0.08, 0.08),
        # 0.08 · 0.26 / (0.18 · 2/3 + 0.08) = 0.104
        (SupplyDemandRatio(), three_homes(fee=0.04), (4 * 0.144 + 2 * 0.30) / 6, 0.104),
        (DoubleAuction(), IN_SURPLUS, 0.08, 0.08),
        (DoubleAuction(), BALANCED, 0.08, 0.08),
        (DoubleAuction(k=0.5), BALANCED, 0.19, 0.19),
        (DoubleAuction(), three_homes(fee=0.04), 0.30, 0.26),
        (BillSharing(), IN_SURPLUS, 0.0, 3 * 0.08 / 9),
        (BillSharing(), BALANCED, 0.0, 0.0),
        (BillSharing(), three_homes(fee=0.04), (4 * 0.04 + 2 * 0.30) / 6, 0.0),
        (Competitive(np.array([0.26])), three_homes(fee=0.04), 0.30, 0.26),
        (Competitive(np.array([0.08])), IN_SURPLUS, 0.08, 0.08),
        (Competitive(np.array([0.11])), BALANCED, 0.11, 0.11),
    ],
)
def test_prices_by_hand(rule: PoolRule, homes: Street, buy: float, sell: float) -> None:
    assert prices(rule, homes) == pytest.approx((buy, sell), abs=1e-6)


@pytest.mark.parametrize("rule", PRICED)
def test_a_fee_that_eats_the_gain_leaves_everybody_with_the_grid(rule: PoolRule) -> None:
    homes = three_homes(fee=RETAIL - FEED_IN)
    assert not homes.grid.worthwhile.any()
    assert prices(rule, homes) == (RETAIL, FEED_IN)
    assert homes.gains_eur(rule) == pytest.approx([0, 0, 0])
    assert not homes.settled(rule)[0].received_wh.any()
    assert three_homes(fee=RETAIL - FEED_IN - 1e-6).grid.worthwhile.all()


@pytest.mark.parametrize("rule", PRICED)
def test_without_neighbours_the_grid_sets_the_prices(rule: PoolRule) -> None:
    assert prices(rule, street([0, 0], [0, 0])) == (RETAIL, FEED_IN)
    assert prices(rule, street([0, 0], [2, 3]))[0] == RETAIL
    assert prices(rule, street([2, 3], [0, 0]))[1] == FEED_IN


def test_the_first_kwh_of_scarce_sun_is_worth_the_retail_price() -> None:
    """SDR at no surplus: h; also where the feed-in price is zero."""
    for feed_in in (0.0, 0.08):
        homes = street([0, 0], [2, 3], feed_in=feed_in)
        assert prices(SupplyDemandRatio(), homes) == (RETAIL, RETAIL)
    assert prices(SupplyDemandRatio(), street([1, 0], [0, 3], feed_in=0.0))[1] == 0.0


def energies_of(homes: Street) -> tuple[np.ndarray, ...]:
    return homes.surplus_kwh, homes.deficit_kwh


@pytest.mark.parametrize("rule", PRICED, ids=lambda rule: rule.name)
@given(homes=streets())
@settings(deadline=None)
def test_what_homes_pay_is_what_grid_and_fee_take(rule: PoolRule, homes: Street) -> None:
    buy, sell = rule.prices(*energies_of(homes), homes.grid)
    surplus, deficit = (each.sum(axis=0) for each in energies_of(homes))
    shared = np.minimum(surplus, deficit) * homes.grid.worthwhile
    taken = (
        homes.grid.retail_eur_per_kwh * (deficit - shared)
        - homes.grid.feed_in_eur_per_kwh * (surplus - shared)
        + homes.grid.fee_eur_per_kwh * shared
    )
    assert buy * deficit - sell * surplus == pytest.approx(taken, abs=1e-9)


@pytest.mark.parametrize("rule", [rule for rule in PRICED if rule.keeps_box], ids=lambda r: r.name)
@given(homes=streets())
@settings(deadline=None)
def test_rules_that_keep_the_box_never_price_worse_than_the_grid(
    rule: PoolRule, homes: Street
) -> None:
    buy, sell = rule.prices(*energies_of(homes), homes.grid)
    assert np.all(buy <= homes.grid.retail_eur_per_kwh + 1e-12)
    assert np.all(sell >= homes.grid.feed_in_eur_per_kwh - 1e-12)
    assert np.all(homes.gains_eur(rule) >= -2e-6 * homes.surplus_wh.shape[1])


def test_who_keeps_the_box_says_so() -> None:
    assert [rule.name for rule in PRICED if not rule.keeps_box] == ["bill_sharing"]


@pytest.mark.parametrize("rule", PRICED, ids=lambda rule: rule.name)
@given(homes=streets(), data=st.data())
@settings(deadline=None)
def test_the_order_of_the_homes_moves_no_price(
    rule: PoolRule, homes: Street, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(homes.surplus_wh))))
    moved = replace(homes, surplus_wh=homes.surplus_wh[order], deficit_wh=homes.deficit_wh[order])
    one, other = (np.stack(rule.prices(*energies_of(each), each.grid)) for each in (homes, moved))
    assert one == pytest.approx(other, abs=1e-12)


@given(homes=streets())
@settings(deadline=None)
def test_each_homes_two_prices_make_its_bill(homes: Street) -> None:
    rule = MidMarket()
    buy, sell = mixed_prices(
        shared_eur_per_kwh=rule.shared_eur_per_kwh(*energies_of(homes), homes.grid),
        grid=homes.grid,
        received_kwh=homes.settled(rule)[0].received_wh.T / 1000.0,
        deficit_kwh=homes.deficit_kwh,
        supplied_kwh=homes.settled(rule)[0].supplied_wh.T / 1000.0,
        surplus_kwh=homes.surplus_kwh,
    )
    bills = (buy * homes.deficit_kwh - sell * homes.surplus_kwh).T
    assert bills == pytest.approx(homes.settled(rule)[0].bill_micro_eur / 1e6, abs=1.1e-6)
    assert np.all(
        buy[homes.deficit_wh == 0]
        == np.broadcast_to(homes.grid.retail_eur_per_kwh, buy.shape)[homes.deficit_wh == 0]
    )


def test_a_dual_is_put_back_from_just_outside_of_its_box_and_refused_from_further() -> None:
    near = Competitive(np.array([RETAIL + 5e-7]))
    assert prices(near, BALANCED) == (RETAIL, RETAIL)
    with pytest.raises(InvalidSpec, match=r"dual 0.31 €/kWh in step 0, must lie in \[0.08, 0.3\]"):
        prices(Competitive(np.array([0.31])), BALANCED)
    with pytest.raises(InvalidSpec, match="dual nan €/kWh in step 0"):
        prices(Competitive(np.array([np.nan])), BALANCED)
    with pytest.raises(InvalidSpec, match="2 duals for 1 steps"):
        prices(Competitive(np.array([0.1, 0.1])), BALANCED)


def test_what_the_rules_cannot_price_is_refused() -> None:
    with pytest.raises(
        InvalidSpec, match=r"feed-in price -0\.01 €/kWh in step 0, must be at least"
    ):
        prices(SupplyDemandRatio(), street([1, 0], [0, 1], feed_in=-0.01))
    with pytest.raises(InvalidSpec, match=r"surplus_kwh has shape \(2, 3\), must be \(homes, 1\)"):
        MidMarket().prices(np.zeros((2, 3)), np.zeros((2, 1)), BALANCED.grid)
    with pytest.raises(InvalidSpec, match=r"deficit_kwh has shape \(3, 1\)"):
        MidMarket().prices(np.zeros((2, 1)), np.zeros((3, 1)), BALANCED.grid)


@pytest.mark.parametrize("name", ["feed_in_eur_per_kwh", "fee_eur_per_kwh", "retail_eur_per_kwh"])
def test_prices_that_are_not_finite_are_refused(name: str) -> None:
    good = {"retail_eur_per_kwh": 0.3, "feed_in_eur_per_kwh": 0.08, "fee_eur_per_kwh": 0.0}
    with pytest.raises(InvalidSpec, match=f"{name} of shape .*must be 1 finite prices"):
        GridPrices(**{k: np.array([v]) for k, v in (good | {name: np.nan}).items()})
