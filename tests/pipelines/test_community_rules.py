"""One plan under every rule and key: the same total, other shares of it."""

from __future__ import annotations

import numpy as np
import pytest
from report.figures.made_community import pieces, result, spec

from ems.pipelines.community_rules import Settled, every_rule

BILL = ("bill_sharing", "dynamic")


def found() -> dict[tuple[str, str], Settled]:
    return {(one.rule, one.key): one for one in every_rule(pieces(), spec())}


def test_under_its_own_rule_and_key_a_run_is_what_it_was() -> None:
    ours, homes = found()["mid_market", "dynamic"], result().homes
    assert ours.cost_eur == pytest.approx([home.here_eur for home in homes])
    assert ours.gain_eur == pytest.approx([home.gain_eur for home in homes])
    assert ours.gini == result().gini


def test_a_price_moves_money_between_homes_only() -> None:
    """Keys that share all there is leave the same bill for all; a fixed share may leave more."""
    every = found()
    assert len(every) == 20
    total_eur = every["mid_market", "dynamic"].cost_eur.sum()
    for (_, key), one in every.items():
        if key == "static":
            assert one.cost_eur.sum() > total_eur + 0.01
        else:
            assert one.cost_eur.sum() == pytest.approx(total_eur, abs=1e-4)
    gains = {tuple(np.round(one.gain_eur, 4)) for one in every.values()}
    assert len(gains) > 10


def test_a_battery_that_homes_own_leaves_them_its_gain() -> None:
    shared = spec(owned=(0.5, 0.5, 0.0, 0.0))
    own, owned = found()[BILL], {(o.rule, o.key): o for o in every_rule(pieces(), shared)}[BILL]
    assert owned.gain_eur[-1] == pytest.approx(0.0, abs=1e-6)
    half = own.gain_eur[-1] / 2
    assert abs(half) > 0.01
    moved = [half, half, 0.0, 0.0, -2 * half]
    assert owned.gain_eur - own.gain_eur == pytest.approx(moved, abs=1e-5)


def test_a_loser_leaves_no_gini() -> None:
    of = {"rule": "mid_market", "key": "dynamic", "cost_eur": np.zeros(2)}
    assert Settled(**of, gain_eur=np.array([1.0, -0.01])).gini is None
    assert Settled(**of, gain_eur=np.array([1.0, -0.001])).gini == pytest.approx(0.5)
    assert Settled(**of, gain_eur=np.array([2.0, 2.0])).gini == 0.0
