"""Cumulative cost read back from the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from report.figures.made import TWIN, all_text, results

from ems.pipelines.comparison import BASELINES, MODES, summarise
from ems.report.figures import cumulative_cost


def _lines(ax: Any) -> dict[str, Any]:
    return {p.get_gid(): p.get_data() for p in ax.patches if p.get_gid() is not None}


def test_cost_of_every_mode_is_the_running_sum_of_its_days() -> None:
    made = results(9, without=(4,))
    lines = _lines(cumulative_cost(made, tariff="dynamic", origin=TWIN).axes[0])
    assert list(lines) == list(MODES)
    for mode, (values, edges, _) in lines.items():
        daily = [r.kpis.cost_eur for r in made if r.mode == mode]
        np.testing.assert_allclose(values[~np.isnan(values)], np.cumsum(daily))
        assert np.flatnonzero(np.isnan(values)).tolist() == [4]
        assert len(edges) == 10


@pytest.mark.parametrize("n_days", [1, 12, 40])
def test_the_last_values_are_those_of_the_summary_table(n_days: int) -> None:
    made = results(n_days)
    figure = cumulative_cost(made, tariff="dynamic", origin=TWIN)
    for ax, baseline in zip(figure.axes[1:], BASELINES, strict=True):
        lines = _lines(ax)
        for summary in summarise(made):
            if summary.mode in lines:
                expected = summary.against[baseline].savings_eur
                assert lines[summary.mode][0][-1] == pytest.approx(expected)
        assert "as_metered" not in lines
        assert baseline not in lines


def test_the_legend_tells_the_value_at_the_end() -> None:
    made = results(3)
    total_eur = sum(r.kpis.cost_eur for r in made if r.mode == "centralized")
    text = all_text(cumulative_cost(made, tariff="dynamic", origin=TWIN))
    assert f"centralized: {total_eur:.2f} €".replace("-", "−") in text
