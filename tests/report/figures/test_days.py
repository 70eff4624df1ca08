"""Days of one building: which are shown, what they cost so far, and savings that add up."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.figures.made import TWIN, all_text, results, stairs_of, titles

from ems.core.mode import LABELS
from ems.economics.settlement import savings
from ems.errors import InvalidSpec
from ems.pipelines.comparison import summarise
from ems.pipelines.spec import BASELINES, MODES, PLANNED
from ems.report.figures.day_table import Days
from ems.report.figures.days import cumulative_cost, savings_by_day
from ems.report.figures.paper import COLUMN, SCREEN, Paper
from ems.report.figures.periods import begin_of
from ems.report.figures.style import euros
from ems.report.savings import best_day, shown_mode

TEXTS: Any = {"tariff": "dynamic", "origin": TWIN}


def test_days_that_a_mode_lacks_are_left_out_for_all_in_any_order() -> None:
    made = results(5)
    cut = [r for r in made if not (r.mode == "centralized" and r.day.day == 4)]
    days = Days.of(cut)
    assert [day.day for day in days.days] == [1, 2, 3, 5]
    assert {len(kpis) for kpis in days.kpis.values()} == {4}
    assert np.isnan(days.on_span([1.0, 2.0, 3.0, 4.0])[3])
    assert Days.of(cut[::-1]).kpis == days.kpis


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "0 buildings"),
        ([*results(1, building="a"), *results(1, building="b")], r"2 buildings \(a, b\)"),
        (results(3, modes=PLANNED), "baseline as_metered"),
        (results(3, modes=("as_metered", *PLANNED)), "baseline rule_based"),
        (
            [*results(1, modes=BASELINES), *results(1, modes=PLANNED, first=date(2017, 1, 1))],
            "no day has results of every mode",
        ),
    ],
)
def test_results_that_cannot_be_compared_are_refused(made: Any, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Days.of(made)


@given(n_days=st.integers(1, 40), first=st.dates(date(2015, 1, 1), date(2020, 1, 1)))
def test_savings_so_far_end_at_those_of_the_summary(n_days: int, first: date) -> None:
    made = results(n_days, first=first)
    days = Days.of(made)
    for summary in summarise(made):
        assert days.so_far(summary.mode)[-1].cost_eur == pytest.approx(summary.kpis.cost_eur)
        for baseline, saving in summary.against.items():
            so_far = days.saved_so_far_eur(summary.mode, baseline)
            assert so_far[-1] == pytest.approx(saving.savings_eur, abs=1e-9)


def test_cost_is_the_running_sum_and_savings_end_at_those_of_the_table() -> None:
    made = results(9, without=(4,))
    figure = cumulative_cost(made, **TEXTS)
    cost, *saved = (
        {p.get_gid(): p.get_data() for p in ax.patches if p.get_gid()} for ax in figure.axes
    )
    assert list(cost) == list(MODES)
    for summary in summarise(made):
        values, edges, _ = cost[summary.mode]
        daily = [r.kpis.cost_eur for r in made if r.mode == summary.mode]
        np.testing.assert_allclose(values[~np.isnan(values)], np.cumsum(daily))
        assert np.flatnonzero(np.isnan(values)).tolist() == [4]
        assert len(edges) == 10
        assert f"{LABELS[summary.mode]}: {euros(sum(daily))}" in all_text(figure)
        for lines, baseline in zip(saved, BASELINES, strict=True):
            assert (summary.mode in lines) == (summary.mode not in ("as_metered", baseline))
            if summary.mode in lines:
                expected = summary.against[baseline].savings_eur
                assert lines[summary.mode].values[-1] == pytest.approx(expected)


def test_bars_add_up_to_the_savings_of_the_table_and_stand_on_their_days() -> None:
    made = results(7, without=(2,))
    first = {r.mode: r.kpis for r in made if r.day == made[0].day}
    day = mdates.date2num(made[0].day)
    for ax, baseline in zip(savings_by_day(made, **TEXTS).axes, BASELINES, strict=True):
        shown = {bar.get_gid() for bar in ax.patches} - {None}
        assert shown == {m for m in MODES if m not in ("as_metered", baseline)}
        for summary in (s for s in summarise(made) if s.mode in shown):
            bars = [bar for bar in ax.patches if bar.get_gid() == summary.mode]
            heights = [bar.get_height() for bar in bars]
            assert np.nansum(heights) == pytest.approx(summary.against[baseline].savings_eur)
            begin = savings(first[summary.mode], first[baseline]).savings_eur
            assert heights[0] == pytest.approx(begin)
            assert day < bars[0].get_x() < bars[0].get_x() + bars[0].get_width() < day + 1


def test_beyond_a_fortnight_each_mode_has_a_panel_with_both_baselines() -> None:
    made = results(40, without=(8, 20))
    figure = savings_by_day(made, **TEXTS)
    of = {summary.mode: summary for summary in summarise(made)}
    shown = MODES[1:]
    assert titles(figure.axes) == [LABELS[mode] for mode in shown]
    for ax, mode in zip(figure.axes, shown, strict=True):
        for baseline in BASELINES[: 1 if mode == "rule_based" else 2]:
            values, edges, _ = stairs_of(ax, f"against {LABELS[baseline]}")
            assert (len(values), len(edges)) == (40, 41)
            assert np.flatnonzero(np.isnan(values)).tolist() == [8, 20]
            assert np.nansum(values) == pytest.approx(of[mode].against[baseline].savings_eur)


@pytest.mark.parametrize(
    ("n_days", "kind", "first_ticks"),
    [(61, "week", ["29 Feb", "7 Mar"]), (150, "month", ["Mar\n2016", "Apr"])],
)
@pytest.mark.parametrize("paper", [SCREEN, COLUMN])
def test_long_windows_show_weeks_or_months_whose_days_sum_to_the_table(
    n_days: int, kind: str, first_ticks: list[str], paper: Paper
) -> None:
    made = results(n_days, without=(8, 20))
    figure = savings_by_day(made, **TEXTS, paper=paper)
    assert f"savings by {kind}" in str(figure.get_label())
    days = sorted({result.day for result in made})
    begins = Counter(begin_of(day, kind) for day in days)
    *bars, spread_metered, spread_rule = figure.axes
    ticks = [label.get_text() for label in bars[0].get_xticklabels()]
    assert paper.narrow or ticks[:2] == first_ticks
    for ax, baseline in zip(bars, BASELINES, strict=True):
        for summary in (s for s in summarise(made) if s.mode not in ("as_metered", baseline)):
            means = [bar.get_height() for bar in ax.patches if bar.get_gid() == summary.mode]
            saved_eur = sum(m * n for m, n in zip(means, begins.values(), strict=True))
            assert saved_eur == pytest.approx(summary.against[baseline].savings_eur)
    shown = [[p.get_gid() for p in ax.patches] for ax in (spread_metered, spread_rule)]
    assert shown == [[*MODES[1:]], [*MODES[2:]]]


def test_the_spread_of_days_is_that_of_their_savings() -> None:
    made = results(100)
    saved_eur = Days.of(made).saved_each_eur("centralized", "as_metered")
    ax = savings_by_day(made, **TEXTS).axes[2]
    (box,) = (p for p in ax.patches if p.get_gid() == "centralized")
    ends = [box.get_x(), box.get_x() + box.get_width()]
    np.testing.assert_allclose(ends, np.quantile(saved_eur, [0.25, 0.75]))
    assert f"saves on {100 * np.mean(saved_eur >= 0.005):.0f} % of days" in all_text(ax.figure)


@pytest.mark.parametrize("n_days", [7, 40, 100])
def test_the_day_that_saved_most_is_one_day_in_every_figure(n_days: int) -> None:
    """That of ``best_day``, which the plan of a day and the page show."""
    made = results(n_days)
    ours = [result for result in made if result.mode == "centralized"]
    best = best_day(ours, made)
    saved_eur = {
        day.day: base.kpis.cost_eur - day.kpis.cost_eur
        for day, base in zip(ours, (r for r in made if r.mode == "as_metered"), strict=True)
    }
    assert best.day == max(saved_eur, key=lambda day: saved_eur[day])
    said = f"saved most on {best.day:%a} {best.day.day} {best.day:%b %Y}"
    assert said in " ".join(all_text(savings_by_day(made, **TEXTS)).split())


def test_the_shown_mode_is_centralized_where_there_is_one() -> None:
    assert shown_mode(("decentralized", "centralized_phases", "centralized")) == "centralized"
    assert shown_mode(("centralized_phases", "decentralized")) == "decentralized"
    with pytest.raises(InvalidSpec, match="no day was planned"):
        best_day([], results(2))


@pytest.mark.parametrize("n_days", [7, 40])
def test_days_that_were_not_planned_are_shaded_and_counted(n_days: int) -> None:
    text = all_text(savings_by_day(results(n_days, without=(3,)), **TEXTS))
    assert "not planned" in text
    assert f"({n_days - 1} of {n_days} days)" in " ".join(text.split())
    assert "not planned" not in all_text(savings_by_day(results(n_days), **TEXTS))
