"""A building that bids by its own plan: what its battery is worth makes its prices."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ems.agents import BaseLoadAgent, BatteryAgent, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered
from ems.core.horizon import Horizon
from ems.economics.settlement import settle
from ems.errors import InvalidSpec
from ems.market.account import MarketAccount, settle_market
from ems.market.bidders import Seen, honest_bidders
from ems.market.building import BuildingBidder
from ems.market.cycle import MarketCycle
from ems.market.messages import GenerationBid, StorageBid
from ems.market.scenario import read_scenario

BATTERY = BatteryAgent(
    capacity_kwh=10.0,
    min_soc_kwh=0.0,
    initial_soc_kwh=2.0,
    max_charge_kw=4.0,
    max_discharge_kw=4.0,
    round_trip_efficiency=0.81,
    wear_eur_per_kwh=0.01,
)


def bidder(load_kw: list[float], homes: int = 100) -> BuildingBidder:
    """A home with this load by the hour, below 0 where its sun leaves something."""
    return BuildingBidder.of(
        "street",
        homes,
        np.datetime64("2016-06-14T22:00:00", "s"),
        (BaseLoadAgent(load_kw=np.array(load_kw)), BATTERY),
        BATTERY,
        0.05,
    )


def seen(price: list[float], step: int = 0) -> Seen:
    """Steps of an hour with these public prices [€/MWh]."""
    return Seen(
        step=step,
        step_h=1.0,
        floor_eur_per_mwh=-500.0,
        cap_eur_per_mwh=4000.0,
        forecast_eur_per_mwh=np.array(price),
    )


def test_it_bids_what_its_battery_is_worth() -> None:
    """100 € come: a kWh that is kept earns 0.9 of it, less 1 ct of wear: 0.081 €.

    So it buys up to 0.9 · 81 − 10 = 62.9 and sells from 81 / 0.9 + 10 = 100 € on.
    """
    now = bidder([1.0, 1.0]).planned(seen([90.0, 100.0]))
    assert now.worth_eur_per_kwh == pytest.approx(0.081)
    (bid,) = now.bids(seen([90.0, 100.0]))
    assert isinstance(bid, StorageBid)
    assert bid.charge_eur_per_mwh == pytest.approx(62.9)
    assert bid.discharge_eur_per_mwh == pytest.approx(100.0)
    assert (bid.charge_kw, bid.discharge_kw) == (400.0, 180.0)
    assert now.status(seen([90.0, 100.0])).must_serve_kw == 100.0


def test_its_sun_is_for_sale_at_nothing() -> None:
    now = bidder([-2.0, 1.0]).planned(seen([30.0, 90.0]))
    sun, battery = now.bids(seen([30.0, 90.0]))
    assert isinstance(sun, GenerationBid)
    assert (sun.quantity_kw, sun.price_eur_per_mwh) == (200.0, 0.0)
    assert isinstance(battery, StorageBid)
    assert now.status(seen([30.0, 90.0])).must_serve_kw == 0.0


def test_it_does_as_told_and_its_battery_takes_the_rest() -> None:
    now = bidder([1.0, 1.0]).planned(seen([30.0, 90.0]))
    flow_kw, later = now.delivered(300, seen([30.0, 90.0]))
    assert flow_kw == 300.0
    assert later.charge.held_kwh == pytest.approx(2.0 + 0.9 * 2.0)
    assert later.wear_eur == pytest.approx(0.02)
    quiet_kw, same = now.delivered(None, seen([30.0, 90.0]))
    assert quiet_kw == 100.0
    assert same.charge.held_kwh == 2.0
    assert later.held_eur() == pytest.approx(100 * (3.8 * 0.05 - 0.02))


def test_every_hour_it_plans_anew_from_what_its_battery_really_holds() -> None:
    now = bidder([1.0, 1.0, 1.0]).planned(seen([30.0, 20.0, 90.0]))
    _, later = now.delivered(10, seen([30.0, 20.0, 90.0]))  # it was called to give 0.9 kW
    assert later.charge.held_kwh == pytest.approx(2.0 - 0.9 / 0.9)
    again = later.planned(seen([30.0, 20.0, 90.0], step=1))
    assert again.plan is not None
    assert again.plan.horizon.n_steps == 2
    assert again.start_utc == np.datetime64("2016-06-14T23:00:00")
    of_battery = next(one for one in again.agents if one.name == "battery")
    assert of_battery.stored_kwh()["soc"] == pytest.approx(later.charge.held_kwh)


def test_a_battery_that_is_none_of_its_agents_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="street: battery is none of its agents"):
        BuildingBidder.of("street", 1, np.datetime64("2016-06-14"), (), BATTERY, 0.05)


@cache
def lived() -> MarketAccount:
    scenario = replace(read_scenario("sample"), building="street").over(36)
    street = bidder([1.0, -3.0, 2.0], homes=400)
    return settle_market(
        MarketCycle(scenario=scenario, bidders=(*honest_bidders(scenario), street)).run()
    )


def test_what_it_pays_is_the_bill_of_the_ground_floor() -> None:
    account = lived()
    scenario, price = account.run.scenario, account.price_eur_per_mwh / 1000.0
    horizon = Horizon(
        start_utc=scenario.start_utc,
        step_h=scenario.step_h,
        import_eur_per_kwh=price,
        export_eur_per_kwh=price,
        timezone="UTC",
    )
    load = BaseLoadAgent(load_kw=account.accepted_kw[:, -1].astype(np.float64))
    plan: DispatchPlan = as_metered([load], GridAgent(), horizon)
    assert account.bidders[-1].paid_eur == pytest.approx(settle(plan).bill_eur, abs=1e-6)


def test_it_delivers_what_was_accepted_and_the_market_closes() -> None:
    account = lived()
    assert (account.accepted_kw[:, -1] != 0).all()
    np.testing.assert_allclose(account.delivered_kw[:, -1], account.accepted_kw[:, -1], atol=1)
    assert (account.energy.sum(axis=1) == 0).all()
    assert (account.accepted_kw[12:24, -1] < 0).any()  # its sun was sold
