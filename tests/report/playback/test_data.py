"""What the playback is told, held against the result of the community."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report.figures.made import REAL, TWIN
from report.figures.made_community import pieces, result, spec, steps, week

from ems.errors import InvalidSpec
from ems.pipelines.community_totals import community_result
from ems.report.community import FairPoint
from ems.report.playback import data as playback
from ems.report.playback import playback_data

POINTS = (
    FairPoint(rule="mid_market", key="dynamic", cost_eur=-1.004, gini=0.41234),
    FairPoint(rule="bill_sharing", key="dynamic", cost_eur=3.0, gini=None),
)


def made(**changes: Any) -> dict[str, Any]:
    given = {"origin": TWIN, "points": POINTS} | changes
    return playback_data(pieces(), result(), spec(), **given)


def test_totals_are_those_of_the_result_to_the_cent() -> None:
    found, told = result(), made()
    for home, row in zip(found.homes, told["households"], strict=True):
        assert row["name"] == home.name
        assert row["alone_eur"] == round(home.alone_eur, 2)
        assert row["here_eur"] == round(home.here_eur, 2)
        assert row["gain_eur"] == round(home.gain_eur, 2)
        parts_eur = row["bill_eur"] + row["stores_eur"] + row["own_eur"]
        assert parts_eur == pytest.approx(home.here_eur, abs=0.016)
        assert row["received_kwh"] == round(home.received_kwh, 1)
        assert row["import_kwh"] == round(home.kpis.import_kwh, 1)
        assert row["own_use_kwh"] == round(home.own_use_kwh, 1)
        assert row["self_sufficiency_pct"] == round(100 * (home.self_sufficiency or 0.0))
    for mode, row in zip(found.modes, told["modes"], strict=True):
        assert row["cost_eur"] == round(mode.cost_eur, 2)
        assert row["shared_kwh"] == round(mode.shared_kwh, 1)
        assert row["bought_kwh"] == round(mode.bought_kwh, 1)
        assert row["sold_kwh"] == round(mode.sold_kwh, 1)
        assert row["peak_kw"] == round(mode.peak_import_kw, 1)
    names = [row["name"] for row in told["modes"]]
    assert names[0] == "as metered, each alone"
    assert told["baseline"] == names[1] == "best rules, each alone"
    assert names[-1] == "planned together"


def test_the_last_step_of_the_slider_agrees_with_the_totals() -> None:
    found, told = result(), made()
    energy = told["energy_wh"]
    for i, home in enumerate(found.homes):
        assert told["wallet_ct"][i][-1] == round(100 * told["households"][i]["bill_eur"])
        assert sum(energy["received"][i]) == round(1000 * home.received_kwh)
        assert sum(energy["supplied"][i]) == round(1000 * home.supplied_kwh)
        assert sum(energy["import"][i]) == pytest.approx(1000 * home.kpis.import_kwh, abs=1.5)
        assert sum(energy["demand"][i]) == pytest.approx(1000 * home.kpis.demand_kwh, abs=40)
    alone = pieces()[0].accounts["alone"].bill_micro_eur[:1].sum(axis=0)
    assert [list_[0] for list_ in told["alone_ct"]] == np.rint(alone / 1e4).tolist()
    assert max(energy["stored"][0] + energy["stored"][1]) > 1000


def test_a_price_is_told_where_something_is_shared_and_lies_in_its_box() -> None:
    prices, sharing = made()["prices_mct"], steps().sharing
    assert [price is not None for price in prices["shared"]] == sharing.tolist()
    rows = zip(prices["least"], prices["shared"], prices["most"], prices["retail"], strict=True)
    for least, shared, most, retail in rows:
        assert retail - most == 4000
        assert shared is None or least <= shared <= most


def test_steps_have_the_clock_of_the_place_and_days_begin_at_midnight() -> None:
    told = made()
    assert told["title"].replace("\u00a0", " ") == "5 homes, 1–4 Jun 2016 (3 of 4 days)"
    assert told["clock"][:2] == ["Wed 1 Jun 2016, 00:00", "Wed 1 Jun 2016, 01:00"]
    assert told["day_starts"] == [0, 24, 48]
    assert told["clock"][48] == "Sat 4 Jun 2016, 00:00"
    assert told["step_h"] == 1.0
    assert all(len(row) == 72 for lists in told["energy_wh"].values() for row in lists)


def test_it_says_where_it_comes_from_and_what_it_rests_on() -> None:
    told = made()
    assert told["synthetic"] is True
    assert made(origin=REAL)["synthetic"] is False
    subtitle = told["subtitle"].replace("\u00a0", " ")
    for part in ("planned together", "price: mid-market", "key: dynamic", "fee 4.0 ct/kWh", "flat"):
        assert part in subtitle
    assert "leaves nothing" not in " ".join(told["said"])
    dear = playback_data(pieces(), replace(result(), worthless_steps=9), spec(), origin=TWIN)
    said = " ".join(dear["said"]).replace("\u00a0", " ")
    assert "In 9 of 72 steps the fee of 4.0 ct/kWh leaves nothing to gain by sharing." in said


def test_rules_are_compared_and_the_one_shown_is_marked() -> None:
    assert made()["points"] == [
        {"name": "mid-market, dynamic key", "cost_eur": -1.0, "gini": 0.412, "shown": True},
        {"name": "bill sharing, dynamic key", "cost_eur": 3.0, "gini": None, "shown": False},
    ]


def test_what_is_handed_over_at_the_end_is_no_point_of_a_price() -> None:
    told = playback_data(pieces(), result(), spec(split="equal"), origin=TWIN, points=POINTS)
    assert [point["shown"] for point in told["points"]] == [False, False]


def test_a_long_window_shows_its_first_whole_days_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = made()
    for most, n_steps, n_days in ((71, 48, "2 days"), (30, 24, "1 day"), (5, 24, "1 day")):
        monkeypatch.setattr(playback, "MOST_STEPS", most)
        told = made()
        assert len(told["clock"]) == len(told["wallet_ct"][0]) == n_steps
        said = told["cut"][0].replace("\u00a0", " ")
        assert f"The slider shows the first {n_days} of 3" in said
        assert told["households"] == whole["households"]
    assert whole["cut"] == []


def test_beyond_the_ring_the_others_are_one_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = made()
    monkeypatch.setattr(playback, "MOST_HOMES", 4)
    told = made()
    assert told["homes"][-1] == "2 others"
    assert len(told["homes"]) == 4
    for name, lists in told["energy_wh"].items():
        totals = np.sum(lists, axis=0) - np.sum(whole["energy_wh"][name], axis=0)
        assert np.abs(totals).max() <= 2, name
    assert "the other 2 as one" in told["cut"][0]
    through = {h["name"]: h["import_kwh"] + h["export_kwh"] for h in whole["households"]}
    least = sorted(through, key=lambda name: through[name])[:2]
    assert set(told["homes"][:-1]) == set(through) - set(least)
    for home in told["households"]:
        place = None if home["name"] in least else told["homes"].index(home["name"])
        assert home["place"] == place


def test_of_very_many_homes_the_lists_have_those_with_the_least_gain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = made()["households"]
    monkeypatch.setattr(playback, "MOST_ROWS", 3)
    told = made()
    kept = sorted(row["gain_eur"] for row in told["households"])
    assert kept == sorted(row["gain_eur"] for row in whole)[:3]
    assert "The lists of homes show the 3 with the least gain of 5." in told["cut"]


def test_a_week_of_twenty_homes_stays_small() -> None:
    of = spec(20)
    told = playback_data(week(20), community_result(week(20), of), of, origin=TWIN)
    assert len(told["clock"]) == 168
    assert len(json.dumps(told, separators=(",", ":"))) < 400_000


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no days"):
        playback_data([], result(), spec(), origin=TWIN)
