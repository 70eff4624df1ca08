"""The community over days: which days, how they join, and what the totals say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from small_building import histories, twin_database

from ems.community.keys import Static
from ems.community.sampling import CENTRAL, with_central_battery
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, InvalidSpec
from ems.pipelines.community import (
    CommunitySpec,
    booked,
    common_window,
    rule_way,
    run_community,
)
from ems.pipelines.community_totals import CommunityResult, community_result, costs_eur
from ems.pipelines.spec import RULES
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData

TARIFF = load_tariff("dynamic")
NAMES = ("DE_KN_residential3", "DE_KN_residential4", "DE_KN_residential5")


@cache
def homes() -> tuple[Building, ...]:
    known = histories(twin_database())
    return tuple(Building(known[name], TARIFF, Assets()) for name in NAMES)


@cache
def spec(**fields: object) -> CommunitySpec:
    return CommunitySpec(tariff=TARIFF, homes=3, fee_eur_per_kwh=0.03, **fields)  # type: ignore[arg-type]


@cache
def two_days() -> CommunityResult:
    window = common_window(homes(), date(2016, 6, 1), 2)
    return community_result(list(run_community(homes(), spec(), window)), spec())


def with_gap(building: Building, day: date) -> Building:
    """The building without a reading on ``day``."""
    history: MeterData = building.metered
    gone = np.zeros(len(history.ts_utc), dtype=bool)
    gone[building.span(day)] = True
    energy = {name: np.where(gone, np.nan, kwh) for name, kwh in history.energy_kwh.items()}
    load_kwh = np.where(gone, np.nan, history.load_kwh)
    return Building(replace(history, energy_kwh=energy, load_kwh=load_kwh), TARIFF, building.assets)


def test_nobody_can_do_better_than_all_together_nor_worse_than_by_the_rule() -> None:
    result = two_days()
    cost = {row.mode: row.cost_eur for row in result.modes}
    assert cost["together"] <= cost["rule_together"] + 1e-6
    assert cost["together"] <= cost["alone"] + 1e-6
    assert cost["alone"] <= cost["rule_alone"] + 1e-6
    assert cost["rule_alone"] < cost["as_metered"]


def test_homes_add_up_to_the_community() -> None:
    result = two_days()
    together = next(row for row in result.modes if row.mode == "together")
    here_eur = sum(home.here_eur for home in result.homes)
    assert here_eur == pytest.approx(together.cost_eur, abs=1e-6)
    received_kwh = sum(home.received_kwh for home in result.homes)
    assert received_kwh == pytest.approx(sum(home.supplied_kwh for home in result.homes))
    assert received_kwh == pytest.approx(together.shared_kwh, abs=0.1)
    assert together.fee_eur == pytest.approx(0.03 * together.shared_kwh)


def test_pieces_join_at_the_same_value_of_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pieces of a day hand stores and their value on: λ at the midnight between them is one."""
    monkeypatch.setattr("ems.pipelines.community.PIECE_DAYS", 1)
    window = common_window(homes(), date(2016, 6, 1), 2)
    first, second = run_community(homes(), spec(), window)
    for mode in ("alone", "together"):
        before, after = first.accounts[mode], second.accounts[mode]
        assert before.worth is not None
        assert after.worth is not None
        for name in NAMES:
            assert before.worth[name][1] == after.worth[name][0]
            held = dict(before.plan.after(24)[name].stored_kwh())
            begun = {h.name: h for h in after.homes}[name].stored_kwh()
            assert held["battery.soc"] == pytest.approx(begun["battery.soc"], abs=1e-6)


def test_a_day_is_run_only_if_all_homes_know_it_and_the_next() -> None:
    gap = date(2016, 6, 3)
    some = (*homes()[:2], with_gap(homes()[2], gap))
    window = common_window(some, date(2016, 6, 1), 5)
    assert window.days == (date(2016, 6, 1), date(2016, 6, 4), date(2016, 6, 5))
    assert window.skipped[gap].startswith("DE_KN_residential5: ")
    assert window.skipped[gap - timedelta(days=1)].startswith("the day after it: DE_KN_resid")
    with pytest.raises(InvalidSpec, match="the next day that can is 2016-06-04"):
        common_window(some, date(2016, 6, 2), 1)
    # residential5 is metered from 26 October 2015, its first whole day is the one after it.
    assert common_window(some, None, 3).days[0] == date(2015, 10, 27)


def test_homes_of_different_steps_are_no_community() -> None:
    quarter = Building(
        replace(homes()[0].metered, step_h=0.25, timezone="Europe/London"), TARIFF, Assets()
    )
    with pytest.raises(DataError, match="different steps or zones"):
        common_window((homes()[1], quarter), None, 1)


def test_a_fee_above_the_gain_is_counted() -> None:
    dear = replace(spec(), fee_eur_per_kwh=1.0)
    window = common_window(homes(), date(2016, 6, 1), 1)
    result = community_result(list(run_community(homes(), dear, window)), dear)
    assert (result.worthless_steps, result.n_steps) == (24, 24)
    assert result.cost_eur("together") == pytest.approx(result.cost_eur("alone"), abs=0.02)


def test_what_a_specification_may_be() -> None:
    with pytest.raises(InvalidSpec, match="mode is 'alone', allowed are at_price"):
        spec(modes=("alone",))
    with pytest.raises(InvalidSpec, match="fee is -1"):
        CommunitySpec(tariff=TARIFF, fee_eur_per_kwh=-1.0)
    with pytest.raises(InvalidSpec, match="2 shares for 3 homes"):
        spec(key="static", static_shares=(0.5, 0.5))
    key = spec(key="static").sharing_key(3)
    assert isinstance(key, Static)
    assert key.shares == pytest.approx((1 / 3,) * 3)
    assert spec(modes=("decomposed",)).settled_mode == "decomposed"
    assert "together" not in spec(modes=("decomposed",)).asked_modes
    assert spec(modes=()).asked_modes == ("together",)


def test_the_ledger_closes_every_day_of_the_window() -> None:
    window = common_window(homes(), date(2016, 6, 1), 2)
    pieces = list(run_community(homes(), spec(), window))
    ledger = booked(pieces, "together")
    assert list(ledger.roots) == ["2016-06-01", "2016-06-02"]
    assert len(ledger.lines) == 2 * (len(NAMES) + 1)
    billed = sum(
        sum(json.loads(line)["bill_micro_eur"]) for line in ledger.lines if '"home"' in line
    )
    assert billed == int(pieces[0].accounts["together"].bill_micro_eur.sum())


def test_answers_of_two_processes_change_no_figure() -> None:
    prices = spec(modes=("decomposed",))
    window = common_window(homes(), date(2016, 6, 1), 1)
    one, two = (
        community_result(list(run_community(homes(), prices, window, workers)), prices)
        for workers in (1, 2)
    )
    assert [home.here_eur for home in one.homes] == [home.here_eur for home in two.homes]


@pytest.mark.parametrize(("rule", "core"), [("competitive", True), ("bill_sharing", False)])
def test_whether_some_would_rather_share_among_themselves(rule: str, core: bool) -> None:
    """At the price of the bus nobody would; where the bill is shared those with sun would leave."""
    window = common_window(homes(), date(2016, 6, 1), 1)
    own = spec(rule=rule)
    leaving = community_result(list(run_community(homes(), own, window)), own).leaving
    assert leaving.looked_at == "all"
    assert leaving.in_core is core


def test_gini_of_the_gains_by_hand() -> None:
    """Gains of 0.44, 0.22 and 0.22: 1/6; none where somebody loses."""
    result = two_days()
    rows = [
        replace(home, alone_eur=gain, here_eur=0.0)
        for home, gain in zip(result.homes, (0.44, 0.22, 0.22), strict=True)
    ]
    assert replace(result, homes=tuple(rows)).gini == pytest.approx(1 / 6)
    loser = replace(rows[0], alone_eur=-0.01)
    assert replace(result, homes=(loser, *rows[1:])).gini is None


def test_the_bar_is_the_best_rule_of_every_home_and_the_best_simple_community() -> None:
    window = common_window(homes(), date(2016, 6, 1), 2)
    pieces = list(run_community(homes(), spec(), window))
    result = community_result(pieces, spec())
    costs = {way: costs_eur([p.accounts[way] for p in pieces]) for way in pieces[0].accounts}
    alone = np.array([costs[rule_way("rule_alone", rule)] for rule in RULES])
    assert result.cost_eur("rule_alone") == pytest.approx(alone.min(axis=0).sum(), abs=1e-4)
    assert len(set(alone.argmin(axis=0))) > 1, "one rule for all would show nothing"
    simple = [
        costs[rule_way(kind, rule)].sum()
        for kind in ("rule_shared", "rule_together")
        for rule in RULES
    ]
    assert result.cost_eur("rule_together") <= min(simple) + 1e-6
    assert result.cost_eur("alone_shared") <= result.cost_eur("alone") + 1e-6


@pytest.mark.parametrize("key", ["static", "equal"])
def test_homes_add_up_under_a_key_that_leaves_kwh_unshared(key: str) -> None:
    own = spec(key=key)
    window = common_window(homes(), date(2016, 6, 1), 1)
    result = community_result(list(run_community(homes(), own, window)), own)
    together = next(row for row in result.modes if row.mode == "together")
    assert sum(home.here_eur for home in result.homes) == pytest.approx(together.cost_eur)
    assert sum(home.received_kwh for home in result.homes) == pytest.approx(together.shared_kwh)


def test_the_competitive_price_is_one_for_all_who_share() -> None:
    own = spec(rule="competitive")
    window = common_window(homes(), date(2016, 6, 1), 1)
    (piece,) = run_community(homes(), own, window)
    for way in ("together", "alone_shared", "rule_together timer"):
        assert piece.accounts[way].rule == "competitive"
        np.testing.assert_allclose(
            piece.accounts[way].shared_eur_per_kwh, piece.price_eur_per_kwh, atol=1e-6
        )


def test_to_share_nothing_is_worth_nothing() -> None:
    """With a fee that leaves nothing to gain, sharing the meters alone changes no cent."""
    dear = replace(spec(), fee_eur_per_kwh=1.0)
    window = common_window(homes(), date(2016, 6, 1), 1)
    (piece,) = run_community(homes(), dear, window)
    alone, shared = piece.accounts["alone"], piece.accounts["alone_shared"]
    assert not shared.received_wh.any()
    np.testing.assert_allclose(shared.cost_eur, alone.cost_eur, atol=1e-9)
    rule = piece.accounts[rule_way("rule_alone", "timer")]
    same = piece.accounts[rule_way("rule_shared", "timer")]
    np.testing.assert_allclose(same.cost_eur, rule.cost_eur, atol=1e-9)


def test_on_a_common_bus_only_what_stores_hold_besides_has_its_value() -> None:
    """The plan of each home alone is worth the same alone and on the bus."""
    window = common_window(homes(), date(2016, 6, 1), 1)
    (piece,) = run_community(homes(), spec(), window)
    together, alone = piece.accounts["together"], piece.accounts["alone"]
    on_the_bus = replace(together, plan=alone.plan)
    for here, there in zip(on_the_bus.kpis, alone.kpis, strict=True):
        assert here.stored_eur == pytest.approx(there.stored_eur, abs=1e-9)


def test_without_a_fee_it_does_not_matter_where_the_batteries_stand() -> None:
    """On one bus their batteries are one; only owners differ, and meters round to the Wh."""
    free = replace(spec(), fee_eur_per_kwh=0.0)
    window = common_window(homes(), date(2016, 6, 1), 1)
    own = community_result(list(run_community(homes(), free, window)), free)
    moved = with_central_battery(homes())
    asked = replace(free, homes=len(moved))
    central = community_result(list(run_community(moved, asked, window)), asked)
    assert central.cost_eur("together") == pytest.approx(own.cost_eur("together"), abs=1e-3)
    assert [home.name for home in central.homes][-1] == CENTRAL
