"""The two pictures that only the page has: bars with their amounts, a plan and what came."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from report.figures.made import TWIN, horizon

from ems.errors import InvalidSpec
from ems.report.figures.amounts import Amount, amount_bars
from ems.report.figures.outcome import Compared, plan_and_outcome
from ems.report.figures.paper import PAGE
from ems.report.figures.style import GREEN, VERMILLION


def test_a_bar_is_as_long_as_its_amount_and_says_it_beside_its_interval() -> None:
    rows = [Amount("sun", 2.0, "2 €", (1.0, 3.0)), Amount("rain", -1.0, "−1 €")]
    (ax,) = amount_bars(rows, unit="€", title="t", origin=TWIN, paper=PAGE).axes
    bars = [(bar.get_width(), to_hex(bar.get_facecolor()).upper()) for bar in ax.patches]
    assert bars == [(2.0, GREEN), (-1.0, VERMILLION)]
    assert [tuple(line.get_xdata()) for line in ax.lines] == [(1.0, 3.0), (0, 0)]
    assert [(text.get_text(), text.xy[0]) for text in ax.texts] == [("2 €", 3.0), ("−1 €", 0.0)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["sun", "rain"]
    with pytest.raises(InvalidSpec, match="no amounts"):
        amount_bars([], unit="€", title="t", origin=TWIN)


def test_what_came_is_an_area_and_the_plan_a_line_over_it() -> None:
    hours = horizon()
    planned_kw, came_kw = np.arange(hours.n_steps, dtype=float), -np.ones(hours.n_steps)
    rows = [Compared(label="Sun", planned_kw=planned_kw, came_kw=came_kw, colour=GREEN)] * 2
    figure = plan_and_outcome(rows, hours, title="t", note="n", origin=TWIN, paper=PAGE)
    for ax in figure.axes:
        area, line = ax.patches
        assert ax.get_title(loc="left") == "Sun"
        np.testing.assert_array_equal(area.get_data().values, came_kw)
        np.testing.assert_array_equal(line.get_data().values, planned_kw)
        assert (area.get_fill(), line.get_fill()) == (True, False)
        assert area.get_zorder() <= line.get_zorder()
    assert {"as it came", "in the plan"} <= {text.get_text() for text in figure.findobj(Text)}
