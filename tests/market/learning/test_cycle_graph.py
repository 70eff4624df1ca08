"""The cycle as a graph: the same result, and a person asked before load is shed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.market.account import settle_market
from ems.market.bidders import honest_bidders
from ems.market.cycle import CycleState, MarketCycle
from ems.market.cycle_graph import run_graph
from ems.market.scenario import read_scenario


def cycle() -> MarketCycle:
    """Six auctions, in the second of which a plant trips."""
    scenario = replace(read_scenario("sample"), building=None).tripped("coal_plant_1", 1 / 12)
    return MarketCycle(scenario=scenario, bidders=honest_bidders(scenario))


def test_the_graph_ends_as_the_plain_calls_do() -> None:
    asked: list[int] = []

    def approve(state: CycleState) -> bool:
        asked.append(state.step)
        return True

    ours = settle_market(cycle().run(0.5))
    theirs = settle_market(run_graph(cycle(), approve, 0.5))
    assert asked == [2]
    np.testing.assert_array_equal(ours.energy, theirs.energy)
    np.testing.assert_array_equal(ours.delivered_kw, theirs.delivered_kw)
    assert ours.totals == theirs.totals


def test_without_approval_nothing_is_shed() -> None:
    with pytest.raises(InvalidSpec, match="auction 2: the shedding was not approved"):
        run_graph(cycle(), lambda state: False, 0.5)
