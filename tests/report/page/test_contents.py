"""What stands in each report: every figure with its source, and no more than holds."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from learning.made_habits import drawn
from report.page.made import (
    BARE,
    COMMAND,
    SPEC,
    V2G,
    done,
    guessed,
    habit_house,
    house,
    report,
    row,
    text,
    text_of,
    usual,
)

from ems.agents import GridAgent
from ems.economics.settlement import settle
from ems.economics.tariff import built_in_tariffs, load_tariff
from ems.learning.search import rate_grid
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import Window
from ems.pipelines.integrated import (
    FrontierPoint,
    HabitDay,
    Integrated,
    IntegratedSpec,
    frontier_point,
)
from ems.pipelines.probability import DeviceSearch, SearchSpec, search_device
from ems.report.page import integrated_report, probability_report, render, words
from ems.report.page.data import RULES
from ems.report.page.day import explained
from ems.site.assets import Assets
from ems.site.building import Building
from ems.store import quality
from ems.store.read import FeedProblem

# --- Pipeline A ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", built_in_tariffs())
def test_every_figure_of_a_tariff_stands_there_with_its_source(name: str) -> None:
    tariff = load_tariff(name)
    spec = replace(SPEC, tariff=tariff)
    (section,) = [
        section
        for section in report(usual(), spec=spec).sections
        if section.title == "The assumptions"
    ]
    rows = [line for table in section.tables if "tariff" in table.caption for line in table.rows]
    shown = [(value.replace("\u00a0", " ").replace("−", "-"), src) for _, value, src in rows]
    for figure in tariff.figures:
        value = figure.value * 100 if figure.unit == "1" else figure.value
        unit = "%" if figure.unit == "1" else figure.unit
        assert (f"{value:g} {unit}", figure.source) in shown
    assert len(rows) == len(tariff.figures) + (name == "tou")
    assert all(table.rows for table in section.tables)
    assert tariff.description.rstrip(".") in section.paragraphs[0]


def test_the_result_is_that_of_the_summaries() -> None:
    (section,) = [s for s in report(usual()).sections if s.title == "The result"]
    for summary, cells in zip(usual().summaries, section.tables[0].rows, strict=True):
        against = [summary.against.get(base) for base in ("as_metered", "rule_based")]
        saved = [words.saving(saving) for saving in against]
        assert list(cells[1:4]) == [words.amount(summary.kpis.cost_eur), *saved]


def test_the_explained_day_is_the_plan_that_was_carried_out() -> None:
    run = usual()
    day = explained(run.building, run.window, run.spec, run.example)
    assert settle(day.schedule).cost_eur == pytest.approx(run.example.kpis.cost_eur, abs=1e-6)
    cost = f"{run.example.kpis.cost_eur:.2f} €".replace("-", "−")
    assert f"at midnight, and costs {cost}." in text(run)


def test_the_last_day_is_explained_without_a_look_ahead_from_its_own_charge() -> None:
    run = usual()
    last = [record for record in run.records if record.mode == "centralized"][-1]
    day = explained(run.building, run.window, run.spec, last)
    assert settle(day.schedule).cost_eur == pytest.approx(last.kpis.cost_eur, abs=1e-6)


def test_synthetic_data_are_marked_and_measured_ones_are_not() -> None:
    assert "SYNTHETIC DATA" in text(usual())
    measured = done(house(synthetic=False))
    assert "SYNTHETIC" not in text(measured)


def test_a_building_without_sun_has_no_self_sufficiency_and_a_page() -> None:
    said = text(done(house(sunny=False)))
    assert "the sun gives" not in said
    assert re.search(r"as metered \d+\.\d\d – \S+ (\(\S+ %\) )?\d+ 0 – 0\.0 ", said)


def test_a_run_of_one_day_speaks_of_one_day() -> None:
    run = done(house(), n_days=1)
    said = text(run)
    assert "1 day, 2016-06-01 · run abc" in said
    assert "1 day was planned, none that was asked for was left out." in said
    assert "made_house, 1 day" in said
    assert "1 days" not in said


def test_bare_assets_are_told_as_such() -> None:
    run = done(house(), replace(SPEC, assets=BARE))
    said = text(run)
    assert "battery none car not planned appliances not moved" in said
    assert "The battery" not in said


def test_what_is_assumed_of_a_car_is_said() -> None:
    said = text(usual())
    assert "assumed: drives 8 kWh a day" in said
    assert "a load on top of the meter in every row" in said
    said = text(usual(), spec=replace(SPEC, assets=V2G))
    assert "gives back up to 5 kW; three-phase strategy" in said


def test_limits_and_the_price_of_the_peak_are_said() -> None:
    grid = GridAgent(max_import_kw=7.0, max_export_kw=0.0, demand_charge_eur_per_kw=3.0)
    said = text(usual(), spec=replace(SPEC, assets=Assets(grid=grid)))
    assert "at most 7 kW bought, at most 0 kW sold, 3 €/kW of the highest import" in said
    assert "no limit and no demand charge" in text(usual())


def test_days_left_out_are_listed_with_their_reason_and_findings_with_their_rule() -> None:
    run = usual()
    skipped = {date(2016, 6, 3) + timedelta(days=i): "grid_import is not ok" for i in range(3)}
    window = Window(building="made_house", days=run.window.days, skipped=skipped)
    found = FeedProblem(feed="ev", rule="copied day", days=1200, steps=9)
    said = text(
        run, chosen=[(run.building, window)], known=[row("made_house", found), row("elsewhere")]
    )
    assert "made_house 2016-06-03 … 2016-06-05 (3 days) grid_import is not ok" in said
    assert "3 that were asked for could not be" in said
    assert "made_house ev copied day: hours that repeat another day to the Wh 1,200 9" in said
    assert "elsewhere" not in said


def test_every_rule_of_quality_has_its_words() -> None:
    named = re.findall(r'rule="([^"]+)"', inspect.getsource(quality))
    assert set(named) == set(RULES)


def test_a_portfolio_begins_with_an_overview_and_names_who_is_missing() -> None:
    run = usual()
    other = replace(house(), building="other_house")
    second = done(other)
    made = report(
        run,
        chosen=[(run.building, run.window), (second.building, second.window)],
        known=[row("made_house"), row("other_house"), row("third_house")],
        summaries=[*run.summaries, *second.summaries],
    )
    said = text_of(render(made))
    assert "2 buildings: what planning was worth" in said
    assert "2 days of 2 buildings, 2016-06-01 to 2016-06-02" in said
    assert "4 days of 2 buildings were planned" in said
    assert "Without third_house, which cannot be planned" in said
    titles = [section.title for section in made.sections]
    assert titles[3:6] == ["The result", "The result: made_house", "The result: other_house"]
    (overview,) = made.sections[3].tables[:1]
    assert [line[0] for line in overview.rows] == ["made_house", "other_house"]


def test_perfect_plans_are_called_an_upper_bound_and_checked() -> None:
    said = text(usual())
    assert "upper bound" in said
    assert "not what was carried out" not in said
    assert "“All days at once” knew the whole block on its first morning" in said
    assert "“Perfect plan”" not in said
    assert "a forecast may miss them" not in said
    assert "As metered and rule-based are no plans" in said


def test_on_forecasts_the_page_says_what_was_not_known_and_not_checked() -> None:
    said = text(guessed())
    assert "upper bound" not in said
    assert "“Perfect plan” knew its day" in said
    assert "What was carried out cost" in said
    assert "a forecast may miss them" in said
    assert "missed by a car at its deadlines, in the worst mode 0.0 kWh" in said


def test_hedging_and_balancing_are_said() -> None:
    run = guessed()
    said = text(run, spec=replace(run.spec, risk="hedged", dispatch="balance"))
    assert "hedged with 10 futures" in said
    assert "with the battery balancing what comes otherwise" in said


def test_a_run_that_planned_alone_says_that_the_explained_plan_is_another() -> None:
    run = done(house(), replace(SPEC, modes=("decentralized",)))
    assert "this run planned each device alone." in text(run)
    assert "planned each device alone" not in text(usual())


def test_the_audit_shows_its_numbers_and_of_which_modes() -> None:
    worst = max(s.kpis.gap_eur for s in usual().summaries if np.isfinite(s.kpis.gap_eur))
    said = text(usual())
    assert re.search(r"largest imbalance in a step of the explained day \d\.\de[-+]\d\d kW", said)
    assert f"at most {worst:.4f} € a plan (" in said
    named = re.search(r"€ a plan \((.*?)\)", said)
    assert named
    assert "centralized" in named[1]
    assert "as metered" not in named[1]


def test_shares_of_the_possible_are_shown() -> None:
    share = Captured(
        building="made_house",
        mode="centralized",
        baseline="rule_based",
        saved_eur=-1.0,
        possible_eur=2.0,
        share=-0.5,
        low=None,
        high=None,
    )
    assert " centralized rule-based −1.00 – 2.00 −50 % – " in text(usual(), captured=[share])
    point = replace(controllers()[1][1], captured=(share,))
    assert "w = 0.1 € rule-based −1.00 – 2.00 −50 % – " in comfort_text((point, point))


def test_it_says_how_to_run_it_again() -> None:
    said = text(usual())
    assert said.rstrip().endswith(COMMAND)
    assert "the fingerprint of the data is none" in said


# --- Pipeline B ------------------------------------------------------------------------------


@cache
def controllers() -> tuple[Integrated, tuple[FrontierPoint, ...], HabitDay]:
    """Cost-only, one weight and habit-only on two days."""
    spec = IntegratedSpec(base=SPEC, weights_eur=(0.0, 0.1))
    building = Building(habit_house(), SPEC.tariff, SPEC.assets)
    pipeline = Integrated(building, spec, date(2016, 2, 8), 2)
    baselines = list(pipeline.baselines())
    runs = list(pipeline.runs())
    points = tuple(frontier_point(r.controller, r.days, baselines, r.perfect) for r in runs)
    return pipeline, points, runs[0].days[0]


def comfort_text(points: tuple[FrontierPoint, ...] | None = None) -> str:
    pipeline, found, day = controllers()
    made = integrated_report(
        command=COMMAND,
        run_id="abc",
        spec=pipeline.spec,
        building=pipeline.building,
        window=pipeline.window,
        known=[],
        points=points or found,
        example=day.record,
    )
    return text_of(render(made))


def test_the_price_of_comfort_is_told_for_every_controller() -> None:
    said = comfort_text()
    assert "made_house: what comfort costs" in said
    assert "habits learned day by day from the uniform prior" in said
    for point in controllers()[1]:
        cost = f"{point.summary.kpis.cost_eur:.2f}".replace("-", "−")
        assert f"{point.controller.name} {cost} " in said
    assert "counts the weight w of discomfort" in said
    assert "an hour of shift counts" not in said
    assert "The joint plan of this day (cost-only)" in said
    assert "upper bound" in said
    assert "All days at once" not in said


def test_the_explained_day_of_pipeline_b_asks_for_money_alone() -> None:
    said = comfort_text()
    assert "more, discomfort counted" not in said
    (moved,) = re.findall(r"The dishwasher starts instead of at (\d\d:\d\d)", said)
    assert moved == "19:00"
    assert f"costs {controllers()[2].record.kpis.cost_eur:.2f} €".replace("-", "−") in said


def test_a_frontier_without_a_knee_says_so_and_one_with_it_names_it() -> None:
    points = controllers()[1]
    assert "The frontier has no knee" in comfort_text(points)
    costs, unusual = (1.0, 1.1, 3.0), (0.9, 0.3, 0.1)
    bent = tuple(
        replace(
            points[0],
            controller=replace(points[0].controller, name=f"w = {i}"),
            summary=replace(
                points[0].summary, kpis=replace(points[0].summary.kpis, bill_eur=cost, wear_eur=0.0)
            ),
            unusual=u,
        )
        for i, (cost, u) in enumerate(zip(costs, unusual, strict=True))
    )
    assert "The knee of the frontier is w = 1," in comfort_text(bent)


# --- Pipeline C ------------------------------------------------------------------------------


@cache
def searched(building: str = "home", device: str = "dishwasher", tau: float = 20.0) -> DeviceSearch:
    history = drawn(90, 1, building=building, device=device)
    spec = SearchSpec(rates=rate_grid((tau,), (0.05,)), priors=("uniform",))
    return next(search_device(history, [], spec))


def search_text(*found: DeviceSearch) -> str:
    spec = SearchSpec(rates=rate_grid((20.0,), (0.05,)), priors=("uniform",))
    made = probability_report(
        command=COMMAND, run_id="abc", spec=spec, history=house(), found=found
    )
    return text_of(render(made))


def test_one_device_from_one_prior_needs_no_plural_and_no_column_for_either() -> None:
    said = search_text(searched())
    assert "home: how well habits can be learned" in said
    assert "1 learning rate from the uniform prior; the first 28 known days only train." in said
    assert "The best lr_tau is 20 days." in said
    assert "device known days scored days starts" in said
    assert re.search(r"dishwasher 90 62 \d+ ", said)
    assert "Learning saves bits against knowing nothing, with 95 % confidence." in said
    assert "chosen on the days on which it is scored" in said


def test_several_devices_are_counted_and_named_with_their_buildings() -> None:
    said = search_text(searched(), searched("flat", "washing_machine", 5.0))
    assert "2 buildings: how well habits can be learned" in said
    assert "on 2 of 2 devices, each with 95 % confidence" in said
    assert "The best lr_tau lies between 5 and 20 days." in said
    assert "flat washing machine" in said


def test_priors_are_told_apart_where_there_are_several() -> None:
    other = replace(searched(), prior="learned", rivals={
        **searched().rivals, "rate:learned": searched().rivals["rate:uniform"]
    })  # fmt: skip
    said = search_text(searched(), other)
    assert "device prior known days" in said
    assert "on 2 of 2 pairs of device and prior" in said


def test_the_search_is_marked_as_synthetic_too() -> None:
    assert "SYNTHETIC DATA" in search_text(searched())
