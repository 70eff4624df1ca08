"""A community on forecasts: what it knows, what happens, and what is settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from pipelines.test_community import homes, spec

from ems.errors import DataError
from ems.pipelines.community import CommunityPiece, CommunitySpec, common_window, run_community
from ems.pipelines.community_forecast import lived_day, what_is_known
from ems.pipelines.community_totals import community_result
from ems.pipelines.comparison import Window
from ems.site.building import Building

DAY = date(2016, 6, 1)


def asked() -> CommunitySpec:
    return replace(spec(), foresight="forecast", forecaster="persistence")


@cache
def pieces() -> tuple[CommunityPiece, ...]:
    return tuple(run_community(homes(), asked(), common_window(homes(), DAY, 2)))


def test_what_happened_is_settled_beside_what_could_have_been() -> None:
    result = community_result(pieces(), asked())
    cost = {row.mode: row.cost_eur for row in result.modes}
    assert list(cost)[-3:] == ["forecast_alone", "forecast_shared", "forecast_together"]
    # Who knows everything pays no more, alone as together; to share meters costs nobody.
    assert cost["alone"] <= cost["forecast_alone"] + 0.01
    assert cost["together"] <= cost["forecast_together"] + 0.01
    assert cost["forecast_shared"] <= cost["forecast_alone"] + 1e-6
    shared = {row.mode: row.shared_kwh for row in result.modes}
    assert shared["forecast_alone"] == 0.0
    assert shared["forecast_together"] > 0.0


def test_homes_gain_against_themselves_alone_on_forecasts() -> None:
    result = community_result(pieces(), asked())
    rows = {row.mode: row.cost_eur for row in result.modes}
    assert sum(home.alone_eur for home in result.homes) == pytest.approx(rows["forecast_alone"])
    assert sum(home.here_eur for home in result.homes) == pytest.approx(rows["forecast_together"])


def test_stores_go_on_from_day_to_day() -> None:
    """What a battery holds at midnight is what it begins with."""
    first, then = (piece.accounts["forecast_together"].plan for piece in pieces())
    for home in first.homes:
        held = first.plans[home.name].parts["battery"].series["soc_kwh"][-1]
        (battery,) = (
            agent
            for other in then.homes
            if other.name == home.name
            for agent in other.agents
            if agent.name == "battery"
        )
        assert battery.stored_kwh()["soc"] == pytest.approx(held, abs=1e-6)


def changed_after(building: Building, day: date) -> Building:
    """The building with twice the load from the day after ``day`` on."""
    history = building.metered
    later = building.span(day + timedelta(days=1)).start
    twice = np.ones(len(history.ts_utc))
    twice[later:] = 2.0
    energy = {
        feed.name: history.energy_kwh[feed.name] * (twice if feed.role == "import" else 1.0)
        for feed in history.feeds
    }
    return Building(
        replace(history, energy_kwh=energy, load_kwh=history.load_kwh * twice),
        building.tariff,
        building.assets,
    )


def test_nothing_that_comes_later_changes_the_day() -> None:
    others = tuple(changed_after(home, DAY) for home in homes())
    window = Window(building="community", days=(DAY,), skipped={})
    flows = []
    for street in (homes(), others):
        known = what_is_known(street, asked().tariff, asked().assets, window, "persistence")
        plan = lived_day(
            street,
            known,
            DAY,
            {},
            "forecast_together",
            fee_eur_per_kwh=0.03,
            solver=asked().solver,
        )
        flows.append((plan.import_kwh, plan.export_kwh))
    np.testing.assert_array_equal(flows[0][0], flows[1][0])
    np.testing.assert_array_equal(flows[0][1], flows[1][1])


def test_too_little_history_is_said() -> None:
    window = common_window(homes(), None, 1)
    with pytest.raises(DataError, match=r"16.2 days of known values .* learned load needs 28"):
        list(run_community(homes(), replace(asked(), forecaster="learned"), window))
