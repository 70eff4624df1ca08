"""The overview of modes read back from the figure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report.figures.made import TWIN, all_text, days_of, results, summaries

from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, summarise
from ems.report.figures import mode_overview
from ems.report.figures.paper import SLIDE
from ems.report.figures.style import MODE_LINES


def test_every_dot_stands_at_its_number() -> None:
    made = summaries(["home_a", "home_b"])
    figure = mode_overview(made, days=days_of(["home_a", "home_b"]), tariff="dynamic", origin=TWIN)
    for row, building in enumerate(["home_a", "home_b"]):
        cost, saved, own = figure.axes[3 * row : 3 * row + 3]
        dots = [{d.get_gid(): d.get_xdata()[0] for d in ax.lines} for ax in (cost, saved, own)]
        for summary in (s for s in made if s.building == building):
            assert dots[0][summary.mode] == summary.kpis.cost_eur
            assert dots[2][summary.mode] == 100.0 * summary.kpis.self_sufficiency
            for baseline, saving in summary.against.items():
                assert dots[1][f"{summary.mode}/{baseline}"] == saving.savings_eur


def test_filled_is_against_as_metered_and_open_against_rule_based() -> None:
    saved = mode_overview(
        summaries(["home"]), days=days_of(["home"]), tariff="dynamic", origin=TWIN
    ).axes[1]
    faces = {d.get_gid(): d.get_markerfacecolor() for d in saved.lines}
    assert faces[f"centralized/{BASELINES[0]}"] != "none"
    assert faces[f"centralized/{BASELINES[1]}"] == "none"


def test_a_building_without_generation_says_so() -> None:
    made = [replace(r, kpis=replace(r.kpis, generation_kwh=0.0)) for r in results(2)]
    figure = mode_overview(
        summarise(made), days=days_of(["DE_KN_residential9"], 2), tariff="dynamic", origin=TWIN
    )
    assert "no generation" in all_text(figure)


def test_the_note_tells_what_cost_and_savings_are_and_the_title_which_days() -> None:
    text = " ".join(
        all_text(
            mode_overview(summaries(["home"]), days=days_of(["home"]), tariff="tou", origin=TWIN)
        ).split()
    )
    assert "home · 1–7 Mar 2016 (7 days) · cost, savings, self-sufficiency by mode" in text
    assert "cost: bill and wear of the days" in text
    assert "savings: the cost saved, once the stores are put back as they were" in text
    assert "tariff tou" in text


def test_many_buildings_on_a_slide_name_their_modes_in_a_legend() -> None:
    names = ["a", "b", "c"]
    made = summaries(names)
    figure = mode_overview(made, days=days_of(names), tariff="tou", origin=TWIN, paper=SLIDE)
    text = all_text(figure)
    for mode in {summary.mode for summary in made}:
        assert text.count(f"\n{MODE_LINES[mode].label}\n") == 1
    assert [figure.axes[3 * row].get_ylabel() for row in range(3)] == names


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="no summaries"):
        mode_overview([], days={}, tariff="dynamic", origin=TWIN)
