"""The first lines of the page: the result in one sentence and one picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from report.figures.made import TWIN
from report.page.made import page, usual
from report.page.parsed import Page

from ems.core.mode import Mode
from ems.economics.intervals import drawn_sums, middle
from ems.pipelines.comparison import DayResult, summarise
from ems.report.page.lead import Found, lead_section
from ems.report.page.page import Report, render

KNOWN = "Every plan knew the truth."


def days(costs: dict[Mode, list[float]], building: str = "home", **more: Any) -> list[DayResult]:
    """Results of some days by their bills [€]; wear is a tenth of each, peaks as given."""
    some = usual().records[0].kpis
    zero = {"demand_charge_eur": 0.0, "stored_eur": 0.0, "stored_change_kwh": 0.0}
    return [
        DayResult(
            building=building,
            day=date(2016, 6, 1) + timedelta(days=i),
            mode=mode,
            kpis=replace(some, bill_eur=cost, wear_eur=0.1, **zero, **more),
        )
        for mode, each in costs.items()
        for i, cost in enumerate(each)
    ]


def costs(
    metered: float, rule: float, plan: float, n_days: int = 9, wobble: float = 0.1
) -> dict[Mode, list[float]]:
    """The cost of some days under every mode; the plan's varies from day to day."""
    apart = (
        wobble * np.where(np.arange(n_days) % 2, 1.0, -1.0) * (np.arange(n_days) < n_days // 2 * 2)
    )
    return {
        "as_metered": [metered] * n_days,
        "self_consumption": [rule] * n_days,
        "timer": [rule + 1] * n_days,
        "price_threshold": [rule + 2] * n_days,
        "rule_based": [rule] * n_days,
        "decentralized": [plan + 0.5] * n_days,
        "centralized": (plan + apart).tolist(),
        "centralized_phases": (plan + apart).tolist(),
    }


def lead(*results: DayResult) -> Page:
    names = list(dict.fromkeys(result.building for result in results))
    section = lead_section(names, summarise(results), results, KNOWN, TWIN)
    made = Report(title="t", subtitle="s", synthetic=True, sections=[section])
    return Page.of(render(made)).sections["In short"]


def test_one_sentence_says_what_it_cost_and_what_planning_adds() -> None:
    results = days(costs(3.0, 1.0, 0.5))
    low, high = middle(*drawn_sums(Found.of("home", summarise(results), results).added_eur, seed=0))
    text = lead(*results).text
    assert (
        "On these 9 days home cost 27.00 € as metered, 9.00 € under the best rule that needs no "
        "forecast (self-consumption) and 4.50 € under the best plan (centralized): planning adds "
        f"4.50 € (95 %: {low:.1f} … {high:.1f} €) to what the rule saves, 4.50 € with wear of the "
        "battery counted."
    ) in text
    assert "in none of these costs: 0.90 € under the rule, 0.90 € under the plan." in text
    assert KNOWN in text
    assert "A negative cost is money earned." not in text
    assert "A negative cost is money earned." in lead(*days(costs(3.0, 1.0, -0.5))).text


@pytest.mark.parametrize(
    ("made", "said", "unsaid"),
    [
        (costs(3.0, 1.0, 1.25), "planning costs 2.25 € (95 %: 1.", "adds nothing"),
        (costs(3.0, 1.0, 1.0, wobble=0.0), "planning adds nothing to what the rule saves", "95 %"),
        (costs(3.0, 1.0, 0.5, n_days=4), "planning adds 2.00 € to what the rule saves", "95 %"),
        (costs(3.0, 1.0, 0.5, n_days=1, wobble=0.0), "On this day home cost 3.00 €", "1 days"),
    ],
)
def test_a_loss_nothing_and_few_days_are_told_as_they_are(
    made: dict[Mode, list[float]], said: str, unsaid: str
) -> None:
    text = lead(*days(made)).text
    assert said in text
    assert unsaid not in text


def test_the_highest_import_is_told_before_and_after() -> None:
    results = [
        replace(result, kpis=replace(result.kpis, peak_import_kw=PEAKS.get(result.mode, 1.0)))
        for result in days(costs(3.0, 1.0, 0.5))
    ]
    assert (
        "The highest import is 4.2 kW as metered, 5.0 kW under the rule and 9.7 kW under the plan."
    ) in lead(*results).text


PEAKS: dict[Mode, float] = {"as_metered": 4.2, "self_consumption": 5.0, "centralized": 9.7}


def test_the_picture_has_the_three_costs_of_the_sentence() -> None:
    (picture,) = lead(*days(costs(3.0, 1.0, 0.5))).pictures.values()
    for part in ("as metered", "27.00 €", "best rule: self-consumption", "9.00 €"):
        assert part in picture
    assert "best plan: centralized" in picture


def test_several_buildings_are_summed_and_drawn_beside_each_other() -> None:
    flat = days(costs(2.0, 1.0, 1.0, wobble=0.0), building="flat")
    results = [*days(costs(3.0, 1.0, 0.5)), *flat]
    found = lead(*results)
    assert (
        "2 buildings cost 45.00 € together as metered, 18.00 € under the best rule of each and "
        "13.50 € under the best plan of each: planning adds 4.50 € to what the rules save, 4.50 € "
        "with wear of the battery counted, and provably something (95 %) in 1 of 2 buildings."
    ) in found.text
    (picture,) = found.pictures.values()
    for part in ("home", "4.50 €", "flat", "0.00 €"):
        assert part in picture


def test_the_page_begins_with_it() -> None:
    titles = list(page(usual()).sections)
    assert titles[:3] == ["In short", "The question", "The result"]
    first = page(usual()).sections["In short"]
    assert first.text.startswith("In short On these 2 days made_house cost ")
    assert len(first.pictures) == 1
    assert not first.tables
