"""The decision cycle: the worked example by hand, messages, emergencies, and money that closes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.market.account import MarketAccount, settle_market
from ems.market.bidders import Plant, honest_bidders
from ems.market.cycle import MarketCycle, MarketRun
from ems.market.emergency import GridWatch, shed_by_priority
from ems.market.frequency import Area, FrequencyRun
from ems.market.messages import BidRejected, DispatchInstruction, EmergencySignal
from ems.market.router import Channel
from ems.market.scenario import Scenario, TradedStore, read_scenario


def small(n_steps: int = 36) -> Scenario:
    """Three hours of the sample, without its building."""
    return replace(read_scenario("sample"), building=None).over(n_steps)


def run_of(scenario: Scenario, **more: Any) -> MarketRun:
    return MarketCycle(scenario=scenario, bidders=honest_bidders(scenario), **more).run()


@cache
def lived(**channel: float) -> MarketAccount:
    return settle_market(run_of(small(), channel=Channel(**channel)))  # type: ignore[arg-type]


# --- the worked example --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand_mw", "low", "high", "paid_eur", "cost_eur", "coal_mw"),
    [
        (120.0, 55.0, 65.0, 6600.0, 4575.0, 50.0),
        (150.0, 65.0, 65.0, 9750.0, 6525.0, 50.0),
        (80.0, 45.0, 45.0, 3600.0, 2625.0, 25.0),
    ],
)
def test_the_worked_example(
    demand_mw: float, low: float, high: float, paid_eur: float, cost_eur: float, coal_mw: float
) -> None:
    scenario = read_scenario("worked_example", demand_mw=demand_mw)
    run = run_of(scenario)
    account = settle_market(run)
    (record,) = run.records
    assert (record.clearing.low[0] / 100, record.clearing.high[0] / 100) == (low, high)
    assert account.price_eur_per_mwh.tolist() == [low]  # k = 0: the last accepted offer
    assert account.totals.payments_eur == pytest.approx(paid_eur)
    assert account.totals.cost_eur == pytest.approx(cost_eur)
    rows = {row.name: row for row in account.bidders}
    assert rows["coal_plant_1"].sold_mwh == pytest.approx(coal_mw)
    if demand_mw == 120.0:
        profits = [rows[name].profit_eur for name in scenario.names[:6]]
        assert profits == pytest.approx([900.0, 625.0, 500.0, 0.0, 0.0, 0.0])


def test_winners_hear_the_same_and_losers_why() -> None:
    scenario = read_scenario("worked_example")
    run = run_of(scenario)
    told = [one.message for one in run.router.log]
    winners = [one for one in told if isinstance(one, DispatchInstruction)]
    assert {(one.price_eur_per_mwh, round(one.renewable_share, 4)) for one in winners} == {
        (55.0, round(55 / 120, 4))
    }
    reasons = {one.receiver: one.reason for one in told if isinstance(one, BidRejected)}
    assert reasons == {
        "gas_plant_1": "demand met by cheaper generation",
        "gas_plant_2": "demand met by cheaper generation",
        "battery_2": "the price is above the bid",
    }


def test_half_way_pays_half_way() -> None:
    scenario = read_scenario("worked_example")
    account = settle_market(run_of(scenario, k=0.5))
    assert account.price_eur_per_mwh.tolist() == [60.0]


def test_paid_as_bid_each_seller_gets_what_it_asked() -> None:
    """750 + 750 + 2,250 + 825 € for 120 MWh: 38.125 €/MWh for everybody who buys."""
    scenario = read_scenario("worked_example")
    run = run_of(scenario)
    rows = {row.name: row for row in settle_market(run, "pay_as_bid").bidders}
    sellers = ("solar_farm_1", "wind_farm_1", "coal_plant_1", "battery_1")
    assert [-rows[name].paid_eur for name in sellers] == pytest.approx([750, 750, 2250, 825])
    for buyer in ("city", "factory_1", "mall_1"):
        assert rows[buyer].paid_eur == pytest.approx(38.125 * rows[buyer].bought_mwh, abs=1e-4)
        assert rows[buyer].possible_eur is None


# --- a run ---------------------------------------------------------------------------------------


def test_all_that_is_paid_is_received() -> None:
    for channel in ({}, {"loss": 0.2, "doubled": 0.3}, {"loss": 1.0}, {"delay_s": 150.0}):
        account = lived(**channel)
        assert (account.energy.sum(axis=1) == 0).all()
        assert account.totals.operator_eur >= 0.0
        again = settle_market(account.run, "pay_as_bid")
        assert (again.energy.sum(axis=1) == 0).all()


def test_what_comes_twice_changes_nothing() -> None:
    twice = lived(doubled=1.0)
    assert all(one.doubled for one in twice.run.router.log)
    np.testing.assert_array_equal(twice.delivered_kw, lived().delivered_kw)


def test_what_comes_too_late_is_as_if_it_never_came() -> None:
    """Five minutes have a gate after 100 s: a delay of 99 s changes nothing, one of 101 s all."""
    on_time, late = lived(delay_s=99.0), lived(delay_s=101.0)
    np.testing.assert_array_equal(on_time.energy, lived().energy)
    assert not late.energy.any()
    assert late.totals.traded_mwh == 0.0


def test_a_plant_that_hears_nothing_stands_still_and_pays_for_it() -> None:
    account = lived(loss=0.2, doubled=0.3)
    silent = (account.accepted_kw[:, :6] < 0) & (account.delivered_kw[:, :6] == 0)
    assert silent.any()
    assert (account.imbalance[:, :6][silent] > 0).all()


def test_nobody_gains_by_delivering_otherwise() -> None:
    """Each unit that is missing costs at least the price, each that is too much earns no more."""
    account = lived()
    away_kw = account.delivered_kw - account.accepted_kw
    assert away_kw.any()
    price = account.clearing.price[:, None]
    assert (account.imbalance >= price * away_kw).all()


def test_a_store_never_wins_both_ways_and_stays_within_its_capacity() -> None:
    account = lived()
    first = len(account.run.scenario.generators)
    for i, trade in enumerate(account.run.scenario.stores, first):
        book, accepted = account.book, account.clearing.accepted > 0
        mine = book.owner == i
        bought = set(book.auction[mine & book.is_bid & accepted])
        sold = set(book.auction[mine & ~book.is_bid & accepted])
        assert bought.isdisjoint(sold)
        after = account.run.bidders[i]
        assert 0.0 <= after.charge.held_kwh <= trade.battery.capacity_kwh  # type: ignore[attr-defined]


def test_no_store_earns_more_than_the_program_of_the_ground_floor() -> None:
    rows = [row for row in lived().bidders if row.kind == "store"]
    assert len(rows) == 2
    for row in rows:
        assert row.possible_eur is not None
        assert row.profit_eur <= row.possible_eur + 1e-6


def test_the_bidders_must_be_those_of_the_scenario() -> None:
    scenario = small()
    with pytest.raises(InvalidSpec, match=r"MarketCycle: bidders are solar_farm_1.* must be solar"):
        MarketCycle(scenario=scenario, bidders=honest_bidders(scenario)[:-1])


def test_a_plant_that_asks_for_more_is_left_out() -> None:
    scenario = read_scenario("worked_example")
    bidders = list(honest_bidders(scenario))
    bidders[2] = Plant(generator=scenario.generators[2], asked_eur_per_mwh=70.0)
    account = settle_market(MarketCycle(scenario=scenario, bidders=bidders).run())
    assert account.price_eur_per_mwh.tolist() == [70.0]
    assert account.bidders[2].sold_mwh == pytest.approx(10.0)


@pytest.mark.parametrize("asked", [np.nan, np.inf, 4000.5, -501.0])
def test_a_bid_that_cannot_be_is_refused_with_its_reason(asked: float) -> None:
    scenario = read_scenario("worked_example")
    bidders = list(honest_bidders(scenario))
    bidders[2] = Plant(generator=scenario.generators[2], asked_eur_per_mwh=asked)
    run = MarketCycle(scenario=scenario, bidders=bidders).run()
    reasons = {
        one.message.receiver: one.message.reason
        for one in run.router.log
        if isinstance(one.message, BidRejected)
    }
    named = "not a finite number" if not np.isfinite(asked) else r"outside [-500, 4000]"
    assert named in reasons["coal_plant_1"]
    assert run.records[0].accepted_kw[2] == 0


# --- shortage, surplus, emergency ----------------------------------------------------------------


def test_a_shortage_pays_the_cap_and_is_served_pro_rata() -> None:
    """195 MW and the price caps what is not served; the flexible load goes first."""
    scenario = read_scenario("worked_example", demand_mw=233.0)
    account = settle_market(run_of(scenario))
    assert account.price_eur_per_mwh.tolist() == [4000.0]
    assert account.totals.unserved_mwh == pytest.approx(220.0 - 195.0)
    served = account.accepted_kw[0, 7:]
    assert served.tolist() == [195_000, 0, 0]


def test_a_plant_that_trips_suspends_the_market_and_all_is_well_again() -> None:
    scenario = small(36).tripped("coal_plant_1", 5 / 12)
    run = run_of(scenario)
    account, states = settle_market(run), [record.watch.state for record in run.records]
    assert states[5] == "emergency"
    assert run.records[5].frequency is not None
    assert run.records[5].frequency.lowest_hz < 49.8
    assert account.price_eur_per_mwh[6] == 4000.0  # suspended: the cap
    assert account.price_eur_per_mwh[4] < 100.0
    stores = account.accepted_kw[6, 6:8]
    assert (stores < 0).all()  # stores are called whatever they asked
    assert (account.energy.sum(axis=1) == 0).all()
    assert states[7:9] == ["restoration"] * 2
    assert "normal" in states[9:]
    signals = [one.message for one in run.router.log if isinstance(one.message, EmergencySignal)]
    assert {one.state for one in signals} >= {"emergency", "restoration", "normal"}
    assert account.price_eur_per_mwh[8] < 100.0


def test_the_state_follows_the_bands() -> None:
    area = Area(inertia_s=5.0, damping_pu_per_hz=0.02)

    def seen(hz: float, seconds: float = 300.0) -> FrequencyRun:
        n = round(seconds / area.step_s)
        return FrequencyRun(
            area=area,
            frequency_hz=np.full(n + 1, hz),
            response_pu=np.zeros((n + 1, 0)),
            shed_pu=np.zeros(n + 1),
        )

    watch = GridWatch().after(seen(49.96))
    assert watch.state == "normal"
    watch = watch.after(seen(49.94))
    assert (watch.state, watch.calm_s) == ("alert", 0.0)
    watch = watch.after(seen(49.79))
    assert watch.state == "emergency"
    watch = watch.after(seen(49.9)).after(seen(50.04)).after(seen(50.0))
    assert (watch.state, watch.calm_s) == ("restoration", 600.0)
    assert watch.after(seen(50.0)).state == "normal"
    assert watch.after(seen(50.06)).state == "restoration"


def test_load_is_shed_in_blocks_by_priority() -> None:
    wanted, last = np.array([1000, 400, 600]), np.array([1, 0, 0])
    assert shed_by_priority(wanted, 2000, last).tolist() == [1000, 400, 600]
    # 110 kW: blocks of 20 and 30 in turns, the last one in part.
    assert shed_by_priority(wanted, 1890, last).tolist() == [1000, 350, 540]
    assert shed_by_priority(wanted, 900, last).tolist() == [900, 0, 0]
    assert shed_by_priority(wanted, 0, last).tolist() == [0, 0, 0]


# --- scenarios -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["worked_example", "sample", "renewable_heavy"])
def test_ready_scenarios_are_read(name: str) -> None:
    scenario = read_scenario(name)
    assert scenario.name == name
    assert scenario.synthetic
    again = read_scenario(name, seed=5)
    if scenario.n_steps > 1:
        assert (scenario.generators[1].announced_kw != again.generators[1].announced_kw).any()
        assert len(scenario.ts_utc) == scenario.n_steps


def test_what_cannot_be_a_scenario_is_one_line() -> None:
    with pytest.raises(InvalidSpec, match="scenario 'smaple' is unknown; ready are worked_example"):
        read_scenario("smaple")
    with pytest.raises(InvalidSpec, match=r"demand_mw is 5, must be at least 13"):
        read_scenario("worked_example", demand_mw=5.0)
    with pytest.raises(InvalidSpec, match=r"worked_example: 2 auctions, it has 1 to 1 of 60"):
        read_scenario("worked_example").over(2)
    scenario = read_scenario("worked_example")
    with pytest.raises(InvalidSpec, match="no plant is called city, known are solar_farm_1"):
        scenario.tripped("city", 0.0)
    with pytest.raises(InvalidSpec, match="trips at hour 1, must lie in 0 to 1, before the end"):
        scenario.tripped("wind_farm_1", 1.0)
    with pytest.raises(InvalidSpec, match="two bidders are called wind_farm_1; rename one"):
        replace(scenario, generators=(*scenario.generators, scenario.generators[1]))
    dear = replace(scenario.generators[0], fuel_eur_per_mwh=5000.0)
    with pytest.raises(InvalidSpec, match=r"solar_farm_1: 5000 €/MWh, must lie within floor"):
        replace(scenario, generators=(dear, *scenario.generators[1:]))
    lossy = replace(scenario.stores[0].battery, round_trip_efficiency=0.8)
    with pytest.raises(InvalidSpec, match="battery_1: buys at up to 50 €/MWh, must be at most 44"):
        TradedStore(battery=lossy, buy_eur_per_mwh=50.0, sell_eur_per_mwh=55.0)
