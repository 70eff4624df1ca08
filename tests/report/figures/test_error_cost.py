"""The cost of forecast errors read back from the figure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from matplotlib.figure import Figure
from report.figures.made import TWIN, all_text

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.captured import ErrorCost
from ems.report.figures.error_cost import error_cost
from ems.report.figures.paper import COLUMN

TEXTS = {"title": "What errors cost", "note": "tariff tou", "origin": TWIN}
MODES: tuple[Mode, ...] = ("pv_unknown", "load_unknown", "centralized")


def cost_of(mode: Mode, n_days: int = 20, seed: int = 1) -> ErrorCost:
    rng = np.random.default_rng(seed)
    pv_kwh = rng.uniform(1.0, 9.0, n_days) * (mode != "load_unknown")
    load_kwh = rng.uniform(0.5, 3.0, n_days) * (mode != "pv_unknown")
    above_eur = 0.02 * (pv_kwh + load_kwh) + rng.normal(0.0, 0.1, n_days)
    return ErrorCost(
        building="home",
        mode=mode,
        days=tuple(date(2016, 3, 1) + timedelta(days=i) for i in range(n_days)),
        above_eur=above_eur,
        pv_error_kwh=pv_kwh,
        load_error_kwh=load_kwh,
        eur_per_kwh=0.0234,
        low=-0.0006,
        high=0.031,
        rank_correlation=-0.25,
    )


def draw(rows: list[ErrorCost], **where: object) -> Figure:
    return error_cost(rows, **TEXTS, **where)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", [{}, {"paper": COLUMN}], ids=["screen", "column"])
def test_every_day_is_a_point_and_the_line_goes_from_nothing_to_the_largest_error(
    where: dict[str, object],
) -> None:
    rows = [cost_of(mode) for mode in MODES]
    figure = draw(rows, **where)
    assert len(figure.axes) == 3
    for ax, row in zip(figure.axes, rows, strict=True):
        lines = {line.get_gid(): line for line in ax.lines}
        assert np.array_equal(lines[row.mode].get_xdata(), row.pv_error_kwh + row.load_error_kwh)
        assert np.array_equal(lines[row.mode].get_ydata(), row.above_eur)
        most_kwh = row.error_kwh.max()
        assert np.allclose(lines[f"{row.mode}/line"].get_xdata(), [0.0, most_kwh])
        assert np.allclose(lines[f"{row.mode}/line"].get_ydata(), [0.0, 0.0234 * most_kwh])
        (wedge,) = ax.collections
        ends = wedge.get_paths()[0].vertices
        assert (ends[:, 1].min(), ends[:, 1].max()) == pytest.approx(
            (-0.0006 * most_kwh, 0.031 * most_kwh)
        )


def test_each_panel_says_what_was_unknown_and_what_a_kwh_of_it_cost() -> None:
    titles = [ax.get_title(loc="left") for ax in draw([cost_of(mode) for mode in MODES]).axes]
    told = "2.3 ct/kWh (−0.1 … 3.1), ρ −0.25"
    assert titles == [
        f"only sun unknown\n{told}",
        f"only load and heat unknown\n{told}",
        f"all unknown · centralized\n{told}",
    ]


def test_the_axes_say_whose_kwh_they_show() -> None:
    figure = draw([cost_of(mode) for mode in MODES])
    names = [f"{what} that came otherwise [kWh/day]" for what in ("sun", "load", "sun + load")]
    assert [ax.get_xlabel() for ax in figure.axes] == names
    assert figure.axes[0].get_ylabel() == "above the perfect plan [€/day]"


def test_panels_share_their_euros() -> None:
    rows = [cost_of(mode) for mode in MODES]
    rows[1] = replace(rows[1], above_eur=10.0 * rows[1].above_eur)
    limits = {ax.get_ylim() for ax in draw(rows).axes}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low < rows[1].above_eur.min() < rows[1].above_eur.max() < high


def test_few_days_have_a_line_without_a_wedge() -> None:
    few = replace(cost_of("pv_unknown", 3), low=None, high=None, rank_correlation=None)
    (ax,) = draw([few]).axes
    assert len(ax.collections) == 0
    assert ax.get_title(loc="left") == "only sun unknown\n2.3 ct/kWh"


def test_a_cost_of_almost_nothing_is_no_negative_zero() -> None:
    text = all_text(draw([replace(cost_of("pv_unknown"), low=-0.0001, rank_correlation=-0.001)]))
    assert "2.3 ct/kWh (0.0 … 3.1), ρ 0.00" in text
    assert "−0.0" not in text.partition("ct/kWh")[2].partition("\n")[0]


def test_no_rows_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="no forecast errors, run with --foresight forecast"):
        draw([])
