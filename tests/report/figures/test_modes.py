"""Costs, savings and captured shares of modes read back from their figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from matplotlib.figure import Figure
from report.figures.every import shares
from report.figures.made import TWIN, all_text, days_of, points, results, summaries, titles

from ems.core.mode import LABELS
from ems.errors import InvalidSpec
from ems.pipelines.comparison import ModeSummary, summarise
from ems.pipelines.spec import BASELINES, MODES, PLANNED
from ems.report.figures.modes import captured_shares, mode_overview, savings_by_building
from ems.report.figures.paper import COLUMN, SCREEN, Paper

TEXTS: Any = {"title": "Savings", "note": "tariff tou", "origin": TWIN}
AGAINST = [f"against {LABELS[baseline]}" for baseline in BASELINES]
GROUPS = {
    "home\nrun 1": summarise(results(7, building="home")),
    "farm": summarise(results(7, building="farm", scale=30.0)),
}
both_papers = pytest.mark.parametrize("paper", [SCREEN, COLUMN], ids=["screen", "column"])


def overview(made: Any, names: list[str], paper: Paper = SCREEN) -> Figure:
    return mode_overview(made, days=days_of(names), tariff="tou", origin=TWIN, paper=paper)


def rows_of(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def in_row(figure: Figure, row: int) -> dict[str, float]:
    """Mode/baseline and place of every marker in a row of both panels."""
    return {
        line.get_gid(): float(line.get_xdata()[0])
        for ax in figure.axes
        for line in ax.lines
        if "/" in str(line.get_gid()) and abs(line.get_ydata()[0] - row) < 0.5
    }


@both_papers
def test_every_mode_stands_at_its_cost_savings_and_own_supply(paper: Paper) -> None:
    made = summaries(["home_a", "home_b"])
    figure = overview(made, ["home_a", "home_b"], paper)
    for row, building in enumerate(["home_a", "home_b"]):
        axes = figure.axes[3 * row : 3 * row + 3]
        dots = [{d.get_gid(): d.get_xdata()[0] for d in ax.lines} for ax in axes]
        assert axes[0].get_ylabel() == building
        for summary in (s for s in made if s.building == building):
            assert dots[0][summary.mode] == summary.kpis.cost_eur
            assert dots[2][summary.mode] == 100.0 * (summary.kpis.self_sufficiency or 0.0)
            for baseline, saving in summary.against.items():
                assert dots[1][f"{summary.mode}/{baseline}"] == saving.savings_eur
    faces = {d.get_gid(): d.get_markerfacecolor() for d in figure.axes[1].lines}
    assert faces[f"centralized/{BASELINES[0]}"] != "none"
    assert faces[f"centralized/{BASELINES[1]}"] == "none"
    assert all(all_text(figure).splitlines().count(LABELS[mode]) == 1 for mode in MODES)


def test_one_building_names_its_modes_and_says_what_the_numbers_are() -> None:
    made = [replace(r, kpis=replace(r.kpis, generation_kwh=0.0)) for r in results(7)]
    figure = overview(summarise(made), ["DE_KN_residential9"])
    assert rows_of(figure.axes[0]) == [LABELS[mode] for mode in MODES]
    text = " ".join(all_text(figure).split())
    assert "DE_KN_residential9 · 1–7 Mar 2016 (7 days)" in text
    assert "cost: the bill with the stores put back as they were" in text
    assert "savings: the cost saved · tariff" in text
    assert text.count("no generation") == len(MODES)


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no summaries"):
        overview([], [])
    with pytest.raises(InvalidSpec, match="no buildings, give at least one"):
        savings_by_building({}, **TEXTS)
    with pytest.raises(InvalidSpec, match="no captured share, run with --foresight forecast"):
        captured_shares([], **TEXTS)


# --- savings by building --------------------------------------------------------------------------


@both_papers
def test_savings_stand_in_the_row_of_their_building_with_the_euros_of_the_best_plan(
    paper: Paper,
) -> None:
    figure = savings_by_building(GROUPS, **TEXTS, paper=paper)
    for row, modes in enumerate(GROUPS.values()):
        assert in_row(figure, row) == {
            f"{s.mode}/{base}": saving.savings_pct
            for s in modes
            for base, saving in s.against.items()
        }
    assert rows_of(figure.axes[0]) == list(GROUPS)
    assert titles(figure.axes) == AGAINST
    for ax, baseline in zip(figure.axes, BASELINES, strict=True):
        best = [
            max(s.against[baseline].savings_eur for s in modes if s.mode in PLANNED)
            for modes in GROUPS.values()
        ]
        said = [text.get_text() for text in ax.texts]
        assert said == [f"{eur:,.2f} €".replace("-", "−") for eur in best]


def changed(modes: tuple[ModeSummary, ...], **saving: Any) -> tuple[ModeSummary, ...]:
    return tuple(
        replace(s, against={base: replace(v, **saving) for base, v in s.against.items()})
        for s in modes
    )


def test_a_baseline_that_buys_next_to_nothing_has_no_percentage_and_says_so() -> None:
    groups = {**GROUPS, "farm": changed(GROUPS["farm"], savings_pct=None)}
    figure = savings_by_building(groups, **TEXTS)
    assert all_text(figure).count("the baseline buys next to nothing") == len(BASELINES)
    assert in_row(figure, 1) == {}


def test_a_loss_of_less_than_a_cent_is_no_negative_zero() -> None:
    groups = {"farm": changed(GROUPS["farm"], savings_eur=-0.001)}
    row = replace(shares(["home"])[0][1], saved_eur=-0.001)
    for figure in (
        savings_by_building(groups, **TEXTS),
        captured_shares([("home", row)], **TEXTS),
    ):
        assert "0.00" in all_text(figure)
        assert "−0.00" not in all_text(figure)


# --- captured shares ------------------------------------------------------------------------------


@both_papers
def test_shares_stand_within_their_intervals_and_say_their_euros(paper: Paper) -> None:
    rows = shares(["home"])
    figure = captured_shares(rows, **TEXTS, paper=paper)
    expected = {f"{s.mode}/{s.baseline}": 100.0 * (s.share or 0.0) for _, s in rows}
    shown = {gid: x for gid, (x, _) in points(figure).items()}
    assert shown == expected
    lines = [line for ax in figure.axes for line in ax.lines if line.get_gid() is None]
    spans = {tuple(line.get_xdata()) for line in lines if len(set(line.get_ydata())) == 1}
    assert spans == {(100.0 * (s.low or 0.0), 100.0 * (s.high or 0.0)) for _, s in rows}
    assert rows_of(figure.axes[0]) == [LABELS[mode] for mode in PLANNED]
    assert titles(figure.axes) == AGAINST
    for _, share in rows:
        said = f"{share.saved_eur:.2f} of\n{share.possible_eur:.2f} €".replace("-", "−")
        assert said in all_text(figure)


def test_several_groups_have_a_row_each_and_a_legend() -> None:
    rows = shares(["home\nrun 1", "farm"])
    figure = captured_shares(rows, **TEXTS)
    assert rows_of(figure.axes[0]) == ["home\nrun 1", "farm"]
    for row, group in enumerate(("home\nrun 1", "farm")):
        assert in_row(figure, row) == {
            f"{s.mode}/{s.baseline}": 100.0 * (s.share or 0.0) for name, s in rows if name == group
        }
    assert " of\n" not in all_text(figure)
    assert all(LABELS[mode] in all_text(figure) for mode in PLANNED)


def test_no_share_says_so_and_few_days_have_no_interval() -> None:
    rows = [("home", replace(share, low=None, high=None)) for _, share in shares(["home"])]
    figure = captured_shares([("home", replace(rows[0][1], share=None)), *rows[1:]], **TEXTS)
    assert all_text(figure).count("nothing to capture") == 1
    assert len(points(figure)) == len(rows) - 1
    spans = [line for ax in figure.axes for line in ax.lines if len(set(line.get_xdata())) > 1]
    assert spans == []
