"""Savings by building read back from the figure."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from matplotlib.figure import Figure
from report.figures.made import TWIN, all_text, results

from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, PLANNED, ModeSummary, summarise
from ems.report.figures.by_building import savings_by_building
from ems.report.figures.paper import COLUMN

TEXTS = {"title": "Savings", "note": "tariff tou", "origin": TWIN}
GROUPS = {
    "home\nrun 1": summarise(results(7, building="home")),
    "farm": summarise(results(7, building="farm", scale=30.0)),
}


def draw(groups: dict[str, tuple[ModeSummary, ...]], **where: object) -> Figure:
    return savings_by_building(groups, **TEXTS, **where)  # type: ignore[arg-type]


def dots(figure: Figure) -> list[tuple[str, float, float]]:
    """Mode/baseline, savings [%] and place of every marker."""
    return [
        (line.get_gid(), float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for ax in figure.axes
        for line in ax.lines
        if "/" in str(line.get_gid())
    ]


def without_percentage(summary: ModeSummary) -> ModeSummary:
    """As where the baseline bought next to nothing."""
    against = {b: replace(s, savings_pct=None) for b, s in summary.against.items()}
    return replace(summary, against=MappingProxyType(against))


@pytest.mark.parametrize("where", [{}, {"paper": COLUMN}], ids=["screen", "column"])
def test_every_marker_stands_at_its_number_in_the_row_of_its_building(
    where: dict[str, object],
) -> None:
    figure = draw(GROUPS, **where)
    for row, modes in enumerate(GROUPS.values()):
        shown = {gid: x for gid, x, y in dots(figure) if abs(y - row) < 0.5}
        assert shown == {
            f"{s.mode}/{base}": saving.savings_pct
            for s in modes
            for base, saving in s.against.items()
        }
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == list(GROUPS)


def test_the_euros_are_those_of_the_best_plan_and_not_of_the_bound_above_it() -> None:
    figure = draw(GROUPS)
    for ax, baseline in zip(figure.axes, BASELINES, strict=True):
        assert ax.get_title(loc="left").startswith("against ")
        best = [
            max(s.against[baseline].savings_eur for s in modes if s.mode in PLANNED)
            for modes in GROUPS.values()
        ]
        said = [text.get_text() for text in ax.texts]
        assert said == [f"{eur:,.2f} €".replace("-", "−") for eur in best]


def test_a_loss_of_less_than_a_cent_is_no_negative_zero() -> None:
    none = tuple(
        replace(
            s,
            against=MappingProxyType(
                {b: replace(saving, savings_eur=-0.001) for b, saving in s.against.items()}
            ),
        )
        for s in GROUPS["farm"]
    )
    text = all_text(draw({"farm": none}))
    assert "0.00 €" in text
    assert "−0.00" not in text


def test_amounts_at_the_edges_run_into_the_panel() -> None:
    ax = draw(GROUPS).axes[0]
    low, high = ax.get_xlim()
    for text in ax.texts:
        across = (text.xy[0] - low) / (high - low)
        assert text.get_ha() == ("left" if across < 0.2 else "right" if across > 0.8 else "center")


def test_a_baseline_that_buys_next_to_nothing_has_no_percentage_and_says_so() -> None:
    none = tuple(without_percentage(s) for s in GROUPS["farm"])
    figure = draw({**GROUPS, "farm": none})
    assert all_text(figure).count("the baseline buys next to nothing") == len(BASELINES)
    assert all(y < 0.5 for _, _, y in dots(figure))


def test_the_legend_has_the_modes_that_are_drawn() -> None:
    some = tuple(s for s in GROUPS["farm"] if s.mode in (*BASELINES, "centralized"))
    (legend,) = draw({"farm": some}, paper=COLUMN).legends
    keys = [text.get_text() for text in legend.get_texts()]
    assert keys == ["as metered", "rule-based", "centralized"]


def test_no_buildings_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="no buildings, give at least one"):
        draw({})
