"""Savings by day read back from the figure."""

from __future__ import annotations

from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pytest
from report.figures.made import TWIN, all_text, results, stairs_of

from ems.economics.settlement import savings
from ems.pipelines.comparison import BASELINES, MODES, summarise
from ems.report.figures import savings_by_day


def _bars(ax: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for bar in ax.patches:
        if bar.get_gid() is not None:
            found.setdefault(bar.get_gid(), []).append(bar)
    return found


def test_bars_of_a_mode_add_up_to_its_savings_in_the_table() -> None:
    made = results(7, without=(2,))
    figure = savings_by_day(made, tariff="dynamic", origin=TWIN)
    for ax, baseline in zip(figure.axes, BASELINES, strict=True):
        bars = _bars(ax)
        assert set(bars) == {m for m in MODES if m not in ("as_metered", baseline)}
        for summary in summarise(made):
            if summary.mode in bars:
                heights = [bar.get_height() for bar in bars[summary.mode]]
                expected = summary.against[baseline].savings_eur
                assert np.nansum(heights) == pytest.approx(expected)


def test_the_first_bar_is_the_saving_of_the_first_day_and_stands_on_it() -> None:
    made = results(3)
    figure = savings_by_day(made, tariff="dynamic", origin=TWIN)
    first = {r.mode: r for r in made if r.day == made[0].day}
    bar = _bars(figure.axes[1])["centralized"][0]
    expected = savings(first["centralized"].kpis, first["rule_based"].kpis).savings_eur
    assert bar.get_height() == pytest.approx(expected)
    day = mdates.date2num(made[0].day)
    first_bars = [bars[0] for bars in _bars(figure.axes[0]).values()]
    assert all(day < bar.get_x() for bar in first_bars)
    assert all(bar.get_x() + bar.get_width() < day + 1 for bar in first_bars)


def test_beyond_a_fortnight_each_mode_has_a_panel_with_both_baselines() -> None:
    made = results(40, without=(8, 20))
    figure = savings_by_day(made, tariff="dynamic", origin=TWIN)
    assert len(figure.axes) == 5
    of = {summary.mode: summary for summary in summarise(made)}
    shown = [mode for mode in MODES if mode != "as_metered"]
    for ax, mode in zip(figure.axes, shown, strict=True):
        for baseline in BASELINES[: 1 if mode == "rule_based" else 2]:
            label = f"against {baseline.replace('rule_', 'rule-').replace('_', ' ')}"
            values, edges, _ = stairs_of(ax, label)
            assert (len(values), len(edges)) == (40, 41)
            assert np.flatnonzero(np.isnan(values)).tolist() == [8, 20]
            assert np.nansum(values) == pytest.approx(of[mode].against[baseline].savings_eur)


@pytest.mark.parametrize("n_days", [7, 40])
def test_days_that_were_not_planned_are_shaded_and_counted(n_days: int) -> None:
    text = all_text(savings_by_day(results(n_days, without=(3,)), tariff="t", origin=TWIN))
    assert "not planned" in text
    assert f"({n_days - 1} of {n_days} days)" in text
    assert "not planned" not in all_text(savings_by_day(results(n_days), tariff="t", origin=TWIN))
