"""What the figures of a community show, read back and held against its result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from report.figures.made import TWIN, all_text, points, stairs_of
from report.figures.made_community import (
    POINTS,
    many_days,
    of_gains,
    pieces,
    result,
    spec,
    steps,
)

from ems.errors import InvalidSpec
from ems.pipelines.community_rules import every_rule
from ems.report.community import CommunitySteps, FairPoint
from ems.report.figures.community import (
    community_flows,
    community_price,
    four_costs,
    gain_per_home,
    gini_against_cost,
)

TEXTS: Any = {"what": "5 homes", "note": "tariff made", "origin": TWIN}
LEFT_OUT = slice(48, 72)
"""The hours of 3 June, behind which the second piece stands."""


def kwh_of(figure: Figure, panel: int, label: str) -> float:
    data = stairs_of(figure.axes[panel], label)
    return float(np.nansum(data.values - np.nan_to_num(data.baseline)))


def test_flows_are_those_of_the_result() -> None:
    figure = community_flows(steps(), **TEXTS)
    mode = next(row for row in result().modes if row.mode == "together")
    assert kwh_of(figure, 1, "shared") == pytest.approx(mode.shared_kwh, abs=0.2)
    assert kwh_of(figure, 1, "bought") == pytest.approx(mode.bought_kwh, abs=0.2)
    assert -kwh_of(figure, 1, "sold") == pytest.approx(mode.sold_kwh, abs=0.2)
    demand_kwh = sum(home.kpis.demand_kwh for home in result().homes)
    drawn = stairs_of(figure.axes[0], "demand").values
    assert np.nansum(drawn) == pytest.approx(demand_kwh)
    assert np.isnan(drawn[LEFT_OUT]).all()
    assert np.isfinite(np.delete(drawn, LEFT_OUT)).all()
    assert "1–4 Jun 2016 (3 of 4 days)" in all_text(figure)


def test_nothing_is_shared_where_everybody_is_alone() -> None:
    figure = community_flows(steps("alone"), **TEXTS)
    assert "shared" not in all_text(figure)
    assert "bought" in all_text(figure)


def test_a_long_window_is_drawn_by_day() -> None:
    made = many_days(60)
    figure = community_flows(made, **TEXTS)
    demand = stairs_of(figure.axes[0], "demand").values
    assert demand.shape == (60,)
    assert np.flatnonzero(np.isnan(demand)).tolist() == [8, 28, 48]
    assert demand[0] == pytest.approx(made.demand_kwh[:24].sum())
    assert "energy [kWh/day]" in all_text(figure)


def test_a_price_stands_in_its_box_where_something_is_shared() -> None:
    made = steps()
    figure = community_price(made, **TEXTS)
    (ax, _) = figure.axes
    price, top, bottom = (
        stairs_of(ax, label).values
        for label in ("earned by the seller", "retail less fee", "feed-in")
    )
    shown = np.isfinite(price)
    assert shown.sum() == made.sharing.sum() > 10
    assert (price[shown] > bottom[shown]).all()
    assert (price[shown] < top[shown]).all()
    fee = np.delete(stairs_of(ax, "retail").values - top, LEFT_OUT)
    assert fee == pytest.approx(4.0)
    assert np.allclose(price[shown], (top + bottom)[shown] / 2)
    low, high = ax.get_ylim()
    assert low <= 0.0 < np.nanmax(top) < high


def test_the_price_of_a_day_is_weighted_by_what_is_shared() -> None:
    made = many_days(40)
    price = stairs_of(community_price(made, **TEXTS).axes[0], "earned by the seller").values
    first = slice(0, 24)
    weighted = 100.0 * np.average(made.shared_eur_per_kwh[first], weights=made.shared_kwh[first])
    assert price[0] == pytest.approx(weighted)
    nothing = community_price(replace(made, received_kwh=0.0 * made.received_kwh), **TEXTS)
    assert np.isnan(stairs_of(nothing.axes[0], "earned by the seller").values).all()
    box = stairs_of(nothing.axes[0], "retail less fee").values
    assert box[0] == pytest.approx(100.0 * made.most_eur_per_kwh[first].mean())
    assert np.flatnonzero(np.isnan(box)).tolist() == [8, 28]


def test_homes_stand_by_their_gain_and_losers_are_marked() -> None:
    figure = gain_per_home(of_gains([1.0, -0.5, 3.0, -0.001]), **TEXTS)
    cost, gain = figure.axes
    names = [label.get_text() for label in cost.get_yticklabels()]
    assert names == ["home_2", "home_0", "home_3", "home_1"]
    assert [bar.get_width() for bar in gain.patches] == pytest.approx([3.0, 1.0, -0.001, -0.5])
    assert [bar.get_hatch() for bar in gain.patches] == [None, None, None, "///"]
    dots = points(figure)
    assert dots["home_2/alone"] == (22.0, 0)
    assert dots["home_2/here"] == (19.0, 0)
    assert "1 of 4 worse off" in all_text(figure)
    assert "−0.50 €" in all_text(figure)
    assert "−0.00" not in all_text(figure)


def test_many_homes_are_drawn_without_names() -> None:
    gains = np.linspace(4.0, -1.0, 200)
    figure = gain_per_home(of_gains(list(gains)), **TEXTS)
    (ax,) = figure.axes
    up, down = stairs_of(ax, "gain"), stairs_of(ax, "worse off")
    assert np.concatenate([up.values, down.values]) == pytest.approx(gains)
    assert up.edges[-1] == down.edges[0] == (gains.round(2) >= 0).sum()
    assert "greatest gain first · most home_0 · least home_199" in all_text(figure)


def test_four_costs_are_those_of_the_result() -> None:
    found = result()
    figure = four_costs(found, spec(), **TEXTS)
    cost, saved = figure.axes
    four = [found.cost_eur(m) for m in ("rule_alone", "alone", "rule_together", "together")]
    assert [bar.get_width() for bar in cost.patches] == four
    assert [bar.get_width() for bar in saved.patches] == [four[0] - c for c in four[1:]]
    for amount_eur, why in zip(four[1:], ("planning", "sharing", "both"), strict=True):
        saved_eur = f"{four[0] - amount_eur:.2f}".replace("-", "−")
        assert f"{saved_eur} € ({why})" in all_text(figure)


def test_every_rule_and_key_has_its_point_and_losers_stand_apart() -> None:
    figure = gini_against_cost(POINTS, **TEXTS)
    (ax,) = figure.axes
    dots = points(figure)
    assert dots["mid-market, dynamic key"] == (57.5, 0.41)
    assert dots["mid-market, static key"] == (58.3, 0.28)
    looks = {(line.get_marker(), line.get_fillstyle()) for line in ax.lines}
    assert len(looks) == len(POINTS)
    band = dots["bill sharing, dynamic key"][1]
    assert band > max(point.gini for point in POINTS if point.gini is not None)
    assert "someone\nis worse off" in [label.get_text() for label in ax.get_yticklabels()]
    alone = gini_against_cost(POINTS[:1], **TEXTS)
    assert "worse off" not in all_text(alone)


def test_a_point_of_a_settlement_costs_what_its_homes_pay() -> None:
    point = FairPoint.of(every_rule(pieces(), spec())[0])
    assert point.cost_eur == pytest.approx(sum(home.here_eur for home in result().homes))
    assert point.name == "mid-market, dynamic key"
    assert point.gini == result().gini


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no days, give at least one piece"):
        CommunitySteps.of([], "together")
    with pytest.raises(InvalidSpec, match="no homes"):
        gain_per_home(replace(result(), homes=()), **TEXTS)
    with pytest.raises(InvalidSpec, match="no rules to compare"):
        gini_against_cost([], **TEXTS)


def test_the_steps_balance_and_sum_to_the_bills() -> None:
    made, found = steps(), result()
    out = made.import_kwh.sum() - made.export_kwh.sum()
    assert made.bought_kwh.sum() - made.sold_kwh.sum() == pytest.approx(out)
    assert made.bought_kwh.min() >= -1e-9
    assert made.sold_kwh.min() >= -1e-9
    for number, home in enumerate(found.homes):
        assert made.bill_eur[:, number].sum() == pytest.approx(home.kpis.bill_eur, abs=2e-3)
        assert made.received_kwh[:, number].sum() == pytest.approx(home.received_kwh)
    assert made.n_steps == 72
    assert [day.day for day in made.days] == [1, 2, 4]
    assert [str(piece.days[-1]) for piece in pieces()] == ["2016-06-02", "2016-06-04"]
