"""A split and a guarantee move money between homes, and none to or from them all."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pytest
from pipelines.test_community import homes, spec

from ems.community.sampling import owners, with_central_battery
from ems.community.splits import nucleolus, shapley
from ems.errors import InvalidSpec
from ems.pipelines.community import CommunityPiece, common_window, run_community
from ems.pipelines.community_totals import LEAST_LOSS_EUR, community_result
from ems.pipelines.community_transfers import transfers_micro_eur


@cache
def pieces() -> tuple[CommunityPiece, ...]:
    """A summer day under a rule that takes from those with roofs."""
    window = common_window(homes(), date(2016, 6, 1), 1)
    return tuple(run_community(homes(), replace(spec(), rule="bill_sharing"), window))


def result(**fields: object):  # type: ignore[no-untyped-def]
    asked = replace(spec(), rule="bill_sharing", **fields)  # type: ignore[arg-type]
    return community_result(pieces(), asked)


@pytest.mark.parametrize("split", ["equal", "shapley", "nucleolus"])
def test_what_is_split_is_what_sharing_gained(split: str) -> None:
    before, after = result(), result(split=split)
    handed = np.array([home.handed_eur for home in after.homes])
    assert handed.any()
    assert handed.sum() == pytest.approx(0.0, abs=1e-12)
    total = sum(home.here_eur for home in before.homes)
    assert sum(home.here_eur for home in after.homes) == pytest.approx(total, abs=1e-9)
    for old, new in zip(before.homes, after.homes, strict=True):
        assert new.gain_eur == pytest.approx(old.gain_eur + new.handed_eur)


def test_an_equal_split_gives_everybody_the_same_of_it() -> None:
    """Cost outside less the same part for all, whatever the rule had charged."""
    account = pieces()[0].accounts["together"]
    alone_eur = np.zeros(len(account.homes))
    handed = transfers_micro_eur([account], alone_eur, split="equal", guaranteed=False) / 1e6
    horizon = account.plan.horizon
    import_kwh, export_kwh = (wh / 1000.0 for wh in account.metered_wh)
    outside = import_kwh @ horizon.import_eur_per_kwh - export_kwh @ horizon.export_eur_per_kwh
    here = account.bill_micro_eur.sum(axis=0) / 1e6 - handed
    np.testing.assert_allclose(outside - here, (outside - here).mean(), atol=2e-6)


def test_splits_follow_their_own_games() -> None:
    three = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])  # home 0 with either of two others
    assert shapley(three) == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert nucleolus(three) == pytest.approx([1.0, 0.0, 0.0], abs=1e-7)


def test_a_guarantee_leaves_nobody_worse_off() -> None:
    before, after = result(), result(guaranteed=True)
    losers = [home for home in before.homes if home.gain_eur < -LEAST_LOSS_EUR]
    assert losers
    for old, new in zip(before.homes, after.homes, strict=True):
        assert new.gain_eur >= -2e-6
        assert new.gain_eur == pytest.approx(
            max(0.0, old.gain_eur) + min(0.0, new.handed_eur), abs=2e-6
        )
    assert after.gini is not None
    assert sum(home.handed_eur for home in after.homes) == pytest.approx(0.0, abs=1e-12)


def test_both_at_once() -> None:
    after = result(split="equal", guaranteed=True)
    assert min(home.gain_eur for home in after.homes) >= -2e-6


def test_a_split_of_too_many_homes_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="split is shapley of 13 homes; all groups are looked"):
        replace(spec(), homes=13, split="shapley")


def test_a_battery_that_homes_own_hands_them_what_it_gains() -> None:
    """Half-way prices leave it a loss, which they bear by their shares; no cost of all changes."""
    moved = with_central_battery(homes())
    free = replace(spec(), homes=len(moved), fee_eur_per_kwh=0.0)
    window = common_window(moved, date(2016, 6, 1), 1)
    lived = list(run_community(moved, free, window))
    own = community_result(lived, free)
    shared = community_result(lived, replace(free, owned=owners(homes())))
    assert own.homes[-1].gain_eur != pytest.approx(0.0, abs=0.01)
    assert shared.homes[-1].gain_eur == pytest.approx(0.0, abs=2e-6)
    each = own.homes[-1].gain_eur / 3  # three batteries of one size
    for before, after in zip(own.homes[:-1], shared.homes[:-1], strict=True):
        assert after.gain_eur == pytest.approx(before.gain_eur + each, abs=5e-6)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"owned sums to 0.9; shares are at least 0 and sum to 1"):
        replace(spec(), owned=(0.5, 0.4))
