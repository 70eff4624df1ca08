"""What stands in each report: every figure with its source, and no more than holds."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from learning.made_habits import drawn
from report.page.made import (
    BARE,
    COMMAND,
    SPEC,
    V2G,
    Done,
    done,
    guessed,
    habit_house,
    house,
    page,
    row,
    usual,
)
from report.page.parsed import Page

from ems.agents import GridAgent
from ems.economics.settlement import Savings, settle
from ems.economics.tariff import built_in_tariffs
from ems.economics.tariff_file import load_tariff
from ems.learning.search import rate_grid
from ems.pipelines.captured import Captured
from ems.pipelines.integrated import FrontierPoint, HabitDay, Integrated, frontier_point
from ems.pipelines.probability import DeviceSearch, search_device
from ems.pipelines.spec import IntegratedSpec, SearchSpec
from ems.report.page import Report, integrated_report, probability_report, words
from ems.report.page.day import explained
from ems.report.rules import RULES
from ems.site.assets import Assets
from ems.site.building import Building
from ems.store import quality
from ems.store.read import FeedProblem


def money(amount_eur: float) -> str:
    return f"{amount_eur:.2f}".replace("-", "−")


def test_a_saving_has_a_true_minus_and_no_negative_zero() -> None:
    of = {(3.871, 27.4): "3.87 (27 %)", (-0.001, -0.2): "0.00 (0 %)", (-0.5, None): "−0.50"}
    for (eur, pct), said in of.items():
        saving = Savings(savings_eur=eur, stored_eur=0.0, wear_eur=0.0, savings_pct=pct)
        assert words.saving(saving).replace("\u00a0", " ") == said
    assert words.saving(None) == words.percent(None) == "–"


# --- Pipeline A ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", built_in_tariffs())
def test_every_figure_of_a_tariff_stands_there_with_its_source(name: str) -> None:
    tariff = load_tariff(name)
    section = page(usual(), spec=replace(SPEC, tariff=tariff)).sections["The assumptions"]
    rows = section.tables.get("every figure of the tariff", [()])[1:]
    shown = [(value.replace("−", "-"), source) for _, value, source in rows]
    for figure in tariff.figures:
        percent = figure.unit == "1"
        value, unit = (100 * figure.value, "%") if percent else (figure.value, figure.unit)
        assert (f"{value:g} {unit}", figure.source) in shown
    assert len(rows) == len(tariff.figures) + (name == "tou")
    assert tariff.description.rstrip(".") in section.text


def test_the_result_is_that_of_the_summaries_in_table_and_picture() -> None:
    section = page(usual()).sections["The result"]
    rows = section.tables["made_house, 2 days"]
    picture = section.pictures["made_house: saved against as metered"]
    # The best rule is marked in its own row, and has no second one.
    shown = [summary for summary in usual().summaries if summary.mode != "rule_based"]
    assert [cells[0] for cells in rows[1:]][1] == "self-consumption (best rule)"
    for summary, cells in zip(shown, rows[1:], strict=True):
        metered, rule = (summary.against.get(base) for base in ("as_metered", "rule_based"))
        said = (money(summary.kpis.cost_eur), words.saving(metered), words.saving(rule))
        assert cells[1:4] == tuple(text.replace("\u00a0", " ") for text in said)
        assert cells[rows[0].index("peak kW")] == f"{summary.kpis.peak_import_kw:.1f}"
        if metered is not None:
            assert f" {money(metered.savings_eur)} € " in f"{picture} "
            assert cells[0] in picture


@pytest.mark.parametrize("number", [0, 1])
def test_the_explained_day_is_the_plan_that_was_carried_out(number: int) -> None:
    """The last day begins with its own charge."""
    run = usual()
    example = run.planned[number]
    day = explained(run.building, run.window, run.spec, example)
    assert settle(day.schedule).bill_eur == pytest.approx(example.kpis.bill_eur, abs=1e-6)
    said = page(run, example=example).text
    assert f"at midnight, and its bill is {money(example.kpis.bill_eur)} €." in said


def test_every_hour_of_the_explained_day_has_its_worth_and_its_reasons() -> None:
    hours = page(usual()).hours
    begins = [clock.partition("–")[0] for clock, *_ in hours]
    ends = [
        clock.partition("–")[2] or begin for begin, (clock, *_) in zip(begins, hours, strict=True)
    ]
    assert begins == sorted(begins)
    assert 4 <= len(hours) < 24
    assert (begins[0], ends[-1]) == ("00:00", "24:00")
    # Each begins where the one before it ends, or an hour after it began.
    for end, begin in zip(ends, begins[1:], strict=False):
        assert begin == end or int(begin[:2]) == int(end[:2]) + 1
    assert all(worth.startswith("worth ") and len(told) >= 2 for _, worth, *told in hours)
    drawn = page(usual()).pictures["The plan: power, charge and prices"]
    for part in ("battery charge", "charge [%]", "import", "export", "worth in the plan"):
        assert part in drawn


def share() -> Captured:
    money_eur = {"saved_eur": -1.0, "possible_eur": 2.0}
    of: dict[str, Any] = {"building": "made_house", "mode": "centralized"}
    interval = {"share": -0.5, "low": None, "high": None}
    return Captured(**of, **money_eur, **interval, baseline="rule_based")  # type: ignore[arg-type]


def skipping() -> dict[str, Any]:
    skipped = {date(2016, 6, 3) + timedelta(days=i): "grid_import is not ok" for i in range(3)}
    window = replace(usual().window, skipped=skipped)
    found = FeedProblem(feed="ev", rule="copied day", days=1200, steps=9)
    known = [row("made_house", found), row("elsewhere")]
    return {"chosen": [(usual().building, window)], "known": known}


GRID = GridAgent(max_import_kw=7.0, max_export_kw=0.0, demand_charge_eur_per_kw=3.0)
Changes = Callable[[], dict[str, Any]]


@pytest.mark.parametrize(
    ("run", "changes", "said", "unsaid"),
    [
        (
            usual,
            dict,
            "SYNTHETIC DATA / upper bound / “All days at once” knew all of them on the first "
            "morning / As metered and the rules are no plans / assumed: drives 8 kWh a day / "
            "a load on top of the meter in every row / no limit and no demand charge / The "
            "building uses / fingerprint of the data is none / in the run's tracking. python",
            "“Perfect plan” / a forecast may miss / planned each device alone / Really: / "
            "carried out that day / What came of",
        ),
        (
            guessed,
            dict,
            "“Perfect plan” knew its day / Plans are made from persistence forecasts / as midnight "
            "saw it / The building is expected to use / , the sun to give / when its people are "
            "expected to start it / What was carried out has a bill of / a forecast may miss them "
            "/ missed by a car at its deadlines, in the worst mode 0.0 kWh / made again for this "
            "page, from the forecasts that the run had",
            "upper bound / metered: / when its people started it / perfect knowledge",
        ),
        (
            guessed,
            lambda: {"spec": replace(guessed().spec, risk="hedged", dispatch="balance")},
            "hedged with 10 futures / with the battery balancing what comes otherwise",
            "upper bound",
        ),
        (lambda: done(house(synthetic=False)), dict, "The question", "SYNTHETIC"),
        (
            lambda: done(house(sunny=False), replace(SPEC, assets=BARE), n_days=1),
            dict,
            "1 day, 2016-06-01 · run abc / 1 day was planned, none that was asked for was left out."
            " / battery none car not planned appliances not moved",
            "1 days / The battery / the sun gives",
        ),
        (
            usual,
            lambda: {"spec": replace(SPEC, assets=V2G)},
            "gives back up to 5 kW; three-phase strategy",
            "is not planned",
        ),
        (
            usual,
            lambda: {"spec": replace(SPEC, assets=Assets(grid=GRID))},
            "at most 7 kW bought, at most 0 kW sold, 3 €/kW of the highest import",
            "no limit",
        ),
        (
            usual,
            skipping,
            "made_house 2016-06-03 … 2016-06-05 (3 days) grid_import is not ok / 3 that were asked "
            "for could not be / made_house ev copied day: hours that repeat an earlier day to the "
            "watt-hour 1,200 9",
            "elsewhere",
        ),
        (
            lambda: done(house(), replace(SPEC, modes=("decentralized",))),
            dict,
            "this run planned each device alone.",
            "Really:",
        ),
        (
            usual,
            lambda: {"captured": [share()]},
            " centralized best rule −1.00 – 2.00 −50 % – ",
            "−1.00 … ",
        ),
    ],
)
def test_the_page_says_what_holds_and_nothing_else(
    run: Callable[[], Done], changes: Changes, said: str, unsaid: str
) -> None:
    text = page(run(), **changes()).text.replace("metered: plugged", "")
    assert [part for part in said.split(" / ") if part not in text] == []
    assert [part for part in unsaid.split(" / ") if part in text] == []


def test_the_audit_shows_its_numbers_and_of_which_modes() -> None:
    gaps = {"as_metered": np.nan, "centralized": 0.5, "perfect_foresight": 0.25}
    summaries = [
        replace(summary, kpis=replace(summary.kpis, gap_eur=gaps.get(summary.mode, np.nan)))
        for summary in usual().summaries
    ]
    found = dict(page(usual(), summaries=summaries).tables["how exact"])
    imbalance = found["largest imbalance in a step of the explained day"]
    assert float(imbalance.removesuffix(" kW")) < 1e-5
    assert re.fullmatch(r"at most 0\.\d{4} €", found["its distance from the proven optimum"])
    worst = "at most 0.5000 € a plan (all days at once and centralized)"
    assert found["the largest such distance in the run"] == worst


def test_every_rule_of_quality_has_its_words() -> None:
    assert set(re.findall(r'rule="([^"]+)"', inspect.getsource(quality))) == set(RULES)


def test_a_portfolio_begins_with_an_overview_and_names_who_is_missing() -> None:
    run, second = usual(), done(replace(house(), building="other_house"))
    found = page(
        run,
        chosen=[(run.building, run.window), (second.building, second.window)],
        known=[row("made_house"), row("other_house"), row("third_house")],
        summaries=[*run.summaries, *second.summaries],
        results=[record.result for record in (*run.records, *second.records)],
    )
    for said in (
        "2 buildings: what planning was worth",
        "2 days of 2 buildings, 2016-06-01 to 2016-06-02",
        "4 days of 2 buildings were planned",
        "Without third_house, which cannot be planned",
    ):
        assert said in found.text
    titles = ["The result", "The result: made_house", "The result: other_house"]
    assert list(found.sections)[2:5] == titles
    assert "2 buildings cost " in found.sections["In short"].text
    overview = found.sections["The result"].tables["saved against as metered [€]"]
    assert [line[0] for line in overview[1:]] == ["made_house", "other_house"]


# --- Pipeline B ----------------------------------------------------------------------------------


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


def comfort(points: tuple[FrontierPoint, ...] | None = None) -> Report:
    pipeline, found, day = controllers()
    return integrated_report(
        command=COMMAND,
        run_id="abc",
        spec=pipeline.spec,
        building=pipeline.building,
        window=pipeline.window,
        known=[],
        points=points or found,
        example=day.record,
    )


def test_the_price_of_comfort_is_told_for_every_controller() -> None:
    found = Page.of(comfort())
    rows = found.sections["The result"].tables["made_house, 2 days"][1:]
    for point, cells in zip(controllers()[1], rows, strict=True):
        assert cells[:2] == (point.controller.name, money(point.summary.kpis.cost_eur))
    cost = f"its bill is {money(controllers()[2].record.kpis.bill_eur)} €".replace("−0.00", "0.00")
    said = (
        "made_house: what comfort costs / habits learned day by day from the uniform prior / "
        "counts the weight w of discomfort / upper bound / The joint plan of this day (cost-only) "
        f"/ The dishwasher starts instead of at 19:00 / {cost}"
    )
    assert [part for part in said.split(" / ") if part not in found.text] == []
    for unsaid in ("an hour of shift counts", "All days at once", "more, discomfort counted"):
        assert unsaid not in found.text
    shared = (replace(controllers()[1][1], captured=(share(),)),) * 2
    assert "w = 0.1 € best rule −1.00 – 2.00 −50 % – " in Page.of(comfort(shared)).text


def test_a_frontier_without_a_knee_says_so_and_one_with_it_names_it() -> None:
    points = controllers()[1]
    assert "The frontier has no knee" in Page.of(comfort(points)).text
    bent = tuple(
        replace(
            points[0],
            controller=replace(points[0].controller, name=f"w = {i}"),
            summary=replace(
                points[0].summary, kpis=replace(points[0].summary.kpis, bill_eur=cost, wear_eur=0.0)
            ),
            unusual=unusual,
        )
        for i, (cost, unusual) in enumerate([(1.0, 0.9), (1.1, 0.3), (3.0, 0.1)])
    )
    found = Page.of(comfort(bent))
    assert "The knee of the frontier is w = 1," in found.text
    assert "knee: w = 1" in found.pictures["Cost, and how unusual the starts are"]
    idle = tuple(replace(point, unusual=None) for point in bent)
    assert "Cost, and how unusual the starts are" not in Page.of(comfort(idle)).pictures


# --- Pipeline C ----------------------------------------------------------------------------------


@cache
def searched(building: str = "home", device: str = "dishwasher", tau: float = 20.0) -> DeviceSearch:
    history = drawn(90, 1, building=building, device=device)
    spec = SearchSpec(rates=rate_grid((tau,), (0.05,)), priors=("uniform",))
    return next(search_device(history, [], spec))


def other_prior() -> DeviceSearch:
    rivals = {"rate:learned": searched().rivals["rate:uniform"], **searched().rivals}
    return replace(searched(), prior="learned", rivals=rivals)


def search(*found: DeviceSearch) -> Report:
    spec = SearchSpec(rates=rate_grid((20.0,), (0.05,)), priors=("uniform",))
    return probability_report(
        command=COMMAND, run_id="abc", spec=spec, history=house(), found=found
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            lambda: [searched()],
            "SYNTHETIC DATA / home: how well habits can be learned / 1 learning rate from the "
            "uniform prior; the first 28 known days only train. / The best lr_tau is 20 days. / "
            "device known days scored days starts dishwasher 90 62  / Learning saves bits against "
            "knowing nothing, with 95 % confidence. / chosen on the days on which it is scored",
        ),
        (
            lambda: [searched(), searched("flat", "washing_machine", 5.0)],
            "2 buildings: how well habits can be learned / on 2 of 2 devices, each with 95 % "
            "confidence / The best lr_tau lies between 5 and 20 days. / flat washing machine",
        ),
        (
            lambda: [searched(), other_prior()],
            "device prior known days / on 2 of 2 pairs of device and prior",
        ),
    ],
)
def test_devices_buildings_and_priors_are_named_where_there_are_several(
    found: Callable[[], list[DeviceSearch]], said: str
) -> None:
    results = found()
    shown = Page.of(search(*results))
    assert [part for part in said.split(" / ") if part not in shown.text] == []
    picture = shown.pictures["Gain against the uniform distribution"]
    assert all(f"{result.gain_bits.mean:.2f} bit" in picture for result in results)
