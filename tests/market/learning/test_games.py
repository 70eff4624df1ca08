"""Games whose answers are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ems.errors import InvalidSpec
from ems.market.learning.games import Cournot, TwoPeriodStore, best_response_gap, collusion

DUOPOLY = Cournot(intercept=100.0, cost=10.0, n_sellers=2)


def test_two_sellers() -> None:
    """30 each and 900; as one 1,012.5 each; welfare 8/9 of the most."""
    assert DUOPOLY.nash_quantity == 30
    assert DUOPOLY.nash_profit == 900
    assert DUOPOLY.profits(np.array([30.0, 30.0])).tolist() == [900, 900]
    assert DUOPOLY.collusive_profit == 1012.5
    assert DUOPOLY.profits(np.array([22.5, 22.5])).tolist() == [1012.5, 1012.5]
    assert DUOPOLY.welfare(60.0) == pytest.approx(8 / 9)


@pytest.mark.parametrize("others", [0.0, 30.0, 85.0, 95.0])
def test_the_best_response_is_what_a_search_finds(others: float) -> None:
    found = minimize_scalar(
        lambda q: -(90 - others - q) * q, bounds=(0, 90), method="bounded", options={"xatol": 1e-9}
    )
    assert DUOPOLY.best_response(others) == pytest.approx(found.x, abs=1e-5)


def test_best_responses_lead_to_the_equilibrium() -> None:
    game, q = Cournot(intercept=100.0, cost=10.0, n_sellers=2), np.array([5.0, 80.0])
    for _ in range(40):
        q = np.array([game.best_response(q[1]), game.best_response(q[0])])
    assert q == pytest.approx([30, 30])
    assert best_response_gap(game, q) == pytest.approx([0, 0])
    assert best_response_gap(game, np.array([22.5, 22.5])).min() > 100  # as one is no equilibrium


def test_a_store_between_two_hours() -> None:
    """Prices 20 + q and 60 − q: 20 if many compete, 10 alone, which earns 200."""
    store = TwoPeriodStore(low=20.0, high=60.0)
    assert store.competitive_quantity == 20
    assert store.profit(20.0) == 0
    assert store.monopoly_quantity == 10
    assert store.profit(10.0) == 200
    found = minimize_scalar(lambda q: -store.profit(q), bounds=(0, 20), method="bounded")
    assert -found.fun == pytest.approx(200)


def test_how_much_of_collusion() -> None:
    assert collusion(900, 900, 1012.5) == 0
    assert collusion(1012.5, 900, 1012.5) == 1
    with pytest.raises(InvalidSpec, match="1 of acting as one is not above 1"):
        collusion(1.0, 1.0, 1.0)
    with pytest.raises(InvalidSpec, match="intercept > cost"):
        Cournot(intercept=1.0, cost=1.0, n_sellers=2)
