"""The frontier shows its points, and names that cover nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text
from report.figures.every import frontier_points
from report.figures.made import REAL

from ems.errors import InvalidSpec
from ems.pipelines.integrated import knee
from ems.report.figures.frontier import cost_comfort_frontier
from ems.report.figures.paper import COLUMN, PAGE, SCREEN, SLIDE, Paper


@pytest.mark.parametrize("paper", [SCREEN, COLUMN, SLIDE, PAGE], ids=lambda paper: paper.name)
@pytest.mark.parametrize(
    ("n_points", "step_eur", "least"), [(3, 0.0026, 0.0), (8, 2.0, 0.0), (8, 0.02, 0.6)]
)
def test_every_controller_is_a_point_whose_name_covers_nothing(
    n_points: int, step_eur: float, least: float, paper: Paper
) -> None:
    points = frontier_points(n_points, step_eur, least)
    figure = cost_comfort_frontier(points, title="t", tariff="tou", origin=REAL, paper=paper)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    lines = {line.get_gid(): np.column_stack(line.get_data()) for line in ax.lines}
    best = knee(points)
    assert ("knee" in lines) == (best is not None) == (n_points > 3)
    if best is not None:
        assert tuple(lines.pop("knee")[0]) == (best.unusual, best.summary.kpis.cost_eur)
    places = {(p.unusual, p.summary.kpis.cost_eur) for p in points}
    assert {tuple(place) for line in lines.values() for place in line} == places
    assert len(lines["frontier"]) == n_points - 1
    assert {text.xy for text in ax.texts} == places
    panel = ax.bbox.padded(2.0)
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert all(panel.contains(*corner) for box in boxes for corner in box.corners())
    for line in lines.values():
        ends = ax.transData.transform(line)
        along = [a + t * (b - a) for a, b in pairwise(ends) for t in np.linspace(0, 1, 99)]
        assert not any(box.contains(*place) for box in boxes for place in [*ends, *along])


def test_a_window_without_a_start_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no appliance was started"):
        cost_comfort_frontier([], title="t", tariff="tou", origin=REAL)
