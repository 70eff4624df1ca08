"""Forecasts are drawn as they were made, skills in their month, errors with what they cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pytest
from report.figures.made import TWIN, forecast_pair, month_scores, titles

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.captured import ErrorCost
from ems.report.figures.forecasts import LEAST_HOURS, error_cost, fan_chart, skill_by_month
from ems.report.figures.paper import COLUMN, SCREEN, Paper

TEXTS: Any = {"title": "t", "origin": TWIN}
MODES: tuple[Mode, ...] = ("pv_unknown", "load_unknown", "centralized")


def test_each_forecast_is_drawn_until_the_next_is_made_or_the_series_ends() -> None:
    median, truth = fan_chart([forecast_pair([0, 24, 48])], **TEXTS).axes[0].get_lines()[:2]
    assert len(median.get_xdata()) == 24 + 24 + 30
    np.testing.assert_allclose(median.get_ydata(), truth.get_ydata())
    late = fan_chart([forecast_pair([80])], **TEXTS).axes[0].get_lines()[0]
    assert len(late.get_xdata()) == 96 - 80


def test_every_skill_stands_in_its_row_and_month_blue_where_better() -> None:
    one = month_scores({"2016-03": 0.1, "2016-05": -0.3})
    few = month_scores({"2016-04": 0.2}, LEAST_HOURS - 1).by_month
    two = replace(
        month_scores({"2016-05": 0.4}), by_month={**few, "2016-05": one.by_month["2016-05"]}
    )
    kinds = {"load": {"a": one, "b": two}, "PV": {"b": month_scores({"2016-04": 0.7})}}
    figure = skill_by_month(kinds, **TEXTS)
    load, pv = (ax.collections[0] for ax in figure.axes[:2])
    nan = np.nan
    expected = [[0.1, nan, -0.3], [nan, nan, -0.3]]
    np.testing.assert_array_equal(load.get_array().filled(nan), expected)
    np.testing.assert_array_equal(pv.get_array().filled(nan), [[nan, 0.7, nan]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    top, bottom = (load.get_coordinates()[i, 0, 1] for i in (0, -1))
    assert figure.axes[0].get_ylim() == (bottom, top)
    begins = [str(mdates.num2date(x).date()) for x in load.get_coordinates()[0, :, 0]]
    assert begins == ["2016-03-01", "2016-04-01", "2016-05-01", "2016-06-01"]
    better, worse, same = load.to_rgba(np.array([0.5, -0.5, 0.0]))[:, :3]
    assert better[2] > better[0] + 0.2
    assert worse[0] > worse[2] + 0.2
    assert same.min() > 0.95


def cost_of(mode: Mode, n_days: int = 20) -> ErrorCost:
    rng = np.random.default_rng(1)
    pv_kwh = rng.uniform(1.0, 9.0, n_days) * (mode != "load_unknown")
    load_kwh = rng.uniform(0.5, 3.0, n_days) * (mode != "pv_unknown")
    return ErrorCost(
        building="home",
        mode=mode,
        days=tuple(date(2016, 3, 1) + timedelta(days=i) for i in range(n_days)),
        above_eur=0.02 * (pv_kwh + load_kwh) + rng.normal(0.0, 0.1, n_days),
        pv_error_kwh=pv_kwh,
        load_error_kwh=load_kwh,
        eur_per_kwh=0.0234,
        low=-0.0006,
        high=0.031,
        rank_correlation=-0.25,
    )


@pytest.mark.parametrize("paper", [SCREEN, COLUMN], ids=["screen", "column"])
def test_every_day_is_a_point_and_the_line_goes_from_nothing_to_the_largest_error(
    paper: Paper,
) -> None:
    rows = [cost_of(mode) for mode in MODES]
    axes = error_cost(rows, note="n", **TEXTS, paper=paper).axes
    for ax, row in zip(axes, rows, strict=True):
        lines = {line.get_gid(): line.get_data() for line in ax.lines}
        np.testing.assert_array_equal(lines[row.mode], [row.error_kwh, row.above_eur])
        most_kwh = row.error_kwh.max()
        drawn = [[0.0, most_kwh], [0.0, 0.0234 * most_kwh]]
        np.testing.assert_allclose(lines[f"{row.mode}/line"], drawn)
        (wedge,) = ax.collections
        ends = wedge.get_paths()[0].vertices[:, 1]
        expected = -0.0006 * most_kwh, 0.031 * most_kwh
        assert (ends.min(), ends.max()) == pytest.approx(expected)
    told = "2.3 ct/kWh (−0.1 … 3.1), ρ −0.25"
    names = ("only the sun unknown", "only load and heat unknown", "all unknown · centralized")
    assert titles(axes) == [f"{name}\n{told}" for name in names]
    kwh = [f"{what} that came otherwise [kWh/day]" for what in ("sun", "load", "sun + load")]
    assert [ax.get_xlabel() for ax in axes] == kwh
    assert len({ax.get_ylim() for ax in axes}) == 1


def test_few_days_have_a_line_without_a_wedge_and_nothing_is_a_negative_zero() -> None:
    few = replace(cost_of("pv_unknown", 3), low=None, high=None, rank_correlation=None)
    almost = replace(cost_of("pv_unknown"), low=-0.0001, rank_correlation=-0.001)
    axes = error_cost([few, almost], note="n", **TEXTS).axes
    assert len(axes[0].collections) == 0
    said = [title.splitlines()[1] for title in titles(axes)]
    assert said == ["2.3 ct/kWh", "2.3 ct/kWh (0.0 … 3.1), ρ 0.00"]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no forecast is given"):
        fan_chart([], **TEXTS)
    with pytest.raises(InvalidSpec, match="no month is scored"):
        skill_by_month({"load": {"a": month_scores({})}}, **TEXTS)
    with pytest.raises(InvalidSpec, match="no forecast errors, run with --foresight forecast"):
        error_cost([], note="n", **TEXTS)
