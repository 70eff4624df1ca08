"""Load duration curves read back from the figure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from report.figures.made import TWIN, all_text, stairs_of

from ems.errors import InvalidSpec
from ems.report.figures.duration import load_duration
from ems.report.figures.paper import COLUMN
from ems.report.figures.style import MODE_LINES

TEXTS = {"title": "home · load duration", "note": "tariff tou", "origin": TWIN}
METERED, OURS = MODE_LINES["as_metered"], MODE_LINES["centralized"]


@given(power_kw=hnp.arrays(float, st.integers(1, 40), elements=st.floats(-20, 20)))
def test_a_curve_is_the_sorted_powers_over_the_share_of_the_time(power_kw: np.ndarray) -> None:
    (ax,) = load_duration([(OURS, power_kw)], **TEXTS).axes  # type: ignore[arg-type]
    (label,) = [patch.get_label() for patch in ax.patches]
    assert label == f"centralized: up to {power_kw.max():.1f} kW"
    values, edges, _ = stairs_of(ax, label)
    assert sorted(values) == sorted(power_kw)
    assert (np.diff(values) <= 0.0).all()
    assert (edges[0], edges[-1]) == (0.0, 100.0)
    assert np.allclose(np.diff(edges), 100.0 / len(power_kw))


def test_import_is_above_zero_and_export_below() -> None:
    (ax,) = load_duration([(OURS, np.array([-2.0, 3.0, 0.0, 1.0]))], **TEXTS).axes  # type: ignore[arg-type]
    values, edges, _ = stairs_of(ax, "centralized: up to 3.0 kW")
    assert list(values) == [3.0, 1.0, 0.0, -2.0]
    assert list(edges) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert ax.get_ylabel().splitlines() == [
        "mean power of a step [kW]",
        "← exports | imports →",
    ]
    assert ax.get_xlim() == (0.0, 100.0)


def test_quarter_hours_are_steps_of_their_own() -> None:
    """Four quarter-hours at 4, 0, 0, 0 kW are a quarter of the time at 4, not an hour at 1."""
    quarters = np.tile([4.0, 0.0, 0.0, 0.0], 24)
    (ax,) = load_duration([(OURS, quarters)], **TEXTS).axes  # type: ignore[arg-type]
    values, edges, _ = stairs_of(ax, "centralized: up to 4.0 kW")
    assert len(values) == 96
    assert edges[np.flatnonzero(values == 0.0)[0]] == pytest.approx(25.0)


def test_curves_of_different_lengths_share_the_time() -> None:
    curves = [(METERED, np.ones(24)), (OURS, np.full(96, 2.0))]
    (ax,) = load_duration(curves, **TEXTS).axes  # type: ignore[arg-type]
    ends = [patch.get_data().edges[-1] for patch in ax.patches]
    assert ends == [100.0, 100.0]
    assert [patch.get_gid() for patch in ax.patches] == ["as metered", "centralized"]


def test_the_curves_are_explained_on_a_column_as_well() -> None:
    curves = [(METERED, np.ones(24)), (OURS, np.zeros(24))]
    figure = load_duration(curves, **TEXTS, paper=COLUMN)  # type: ignore[arg-type]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["as metered: up to 1.0 kW", "centralized: up to 0.0 kW"]
    assert "as metered: up to 1.0 kW" in all_text(load_duration(curves, **TEXTS))  # type: ignore[arg-type]


@pytest.mark.parametrize("curves", [[], [(OURS, np.array([]))]])
def test_nothing_to_draw_is_refused(curves: list[tuple[object, np.ndarray]]) -> None:
    with pytest.raises(InvalidSpec, match="no power at the grid"):
        load_duration(curves, **TEXTS)  # type: ignore[arg-type]
