"""The worked example of docs/add_an_agent.md: one file and one line, and it is everywhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from agents import test_contract as contract
from documents import ROOT, blocks
from matplotlib.colors import to_hex
from small_building import histories, twin_database

from ems.agents import GridAgent
from ems.agents.on_site import SiteDevice
from ems.control.optimizer import GlobalOptimizer
from ems.economics.tariff_file import load_tariff
from ems.errors import Infeasible, InvalidSpec
from ems.pipelines.comparison import DayRecord, chains_of, choose_window, run_mode
from ems.pipelines.forecasting import foresight_of
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import ComparisonSpec
from ems.report.figures.day import planned_day
from ems.report.figures.page import Origin
from ems.report.page.day import explained
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import Feed

FILE = ROOT / "docs" / "examples" / "water_heater.py"
DAY = date(2016, 6, 1)


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The example's file."""
    spec = importlib.util.spec_from_file_location("water_heater", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["water_heater"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["water_heater"]


@pytest.fixture
def heater(example: Any) -> Any:
    drawn_kwh = np.array([0.0, 1.5, 0.5, 0.0, 1.0, 0.0])
    return example.WaterHeaterAgent(name="heater", drawn_kwh=drawn_kwh)


@pytest.fixture
def listed(heater: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its line in the list of the contract suite."""
    monkeypatch.setitem(contract.AGENTS, "water_heater", heater)
    return "water_heater"


def test_the_page_shows_the_file() -> None:
    page = blocks(ROOT / "docs" / "add_an_agent.md")
    assert page[0].text == FILE.read_text(encoding="utf-8")


def test_it_passes_the_contract(listed: str) -> None:
    """Every test of the suite that is given an agent's name, with every value of its other one."""
    n_run = 0
    for name, test in vars(contract).items():
        if name.startswith("test_") and "name" in test.__annotations__:
            others = {
                mark.args[0]: mark.args[1]
                for mark in getattr(test, "pytestmark", [])
                if mark.name == "parametrize" and mark.args[0] != "name"
            }
            for values in [{}] if not others else _each(others):
                test(listed, **values)
                n_run += 1
    assert n_run > 15


def _each(others: dict[str, Any]) -> list[dict[str, Any]]:
    ((field, values),) = others.items()
    return [{field: value} for value in values]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"max_power_kw": 0.5}, "heater: power_kw"),
        ({"capacity_kwh": 3.0}, "heater: soc_kwh"),
        ({"final_soc_kwh": 5.0}, "heater: final_heat"),
    ],
)
def test_its_audit_catches_a_plan_made_for_wider_limits(
    heater: Any, listed: str, change: dict[str, float], rule: str
) -> None:
    plan = contract.schedule(listed).plans["heater"]
    assert rule in "; ".join(replace(heater, **change).audit(plan, contract.HORIZON))


def test_it_buys_the_cheapest_heat_by_hand(heater: Any) -> None:
    """Without loss 3 kWh are drawn; step 1 pays 0.15 €/kWh for 2 kWh, step 3 costs 0.10 €/kWh."""
    lossless = replace(heater, loss_per_h=0.0)
    plan = GlobalOptimizer([lossless], GridAgent(), contract.EXACT).optimize_centralized(
        contract.HORIZON
    )
    np.testing.assert_allclose(plan.plans["heater"].net_load_kw, [0, 2, 0, 1, 0, 0], atol=1e-6)
    assert plan.objective_eur == pytest.approx(2 * -0.15 + 1 * 0.10)


def test_what_it_cannot_do_is_said_in_its_own_words(heater: Any) -> None:
    cold = replace(heater, initial_soc_kwh=0.0, drawn_kwh=np.full(6, 5.0))
    with pytest.raises(Infeasible, match=r"heater\.heat: .* kWh (short|over)"):
        GlobalOptimizer([cold], GridAgent()).optimize_centralized(contract.HORIZON)
    with pytest.raises(InvalidSpec, match="heater: initial_soc_kwh is 7"):
        replace(heater, initial_soc_kwh=7)


# --- in a building: its file and one line --------------------------------------------------------


@pytest.fixture(scope="module")
def building(example: Any) -> Building:
    """A twin with a hot-water meter: 2 kW for an hour before work and two in the evening."""

    class WithWaterHeater(Building):
        def devices(self) -> tuple[SiteDevice, ...]:
            return (*super().devices(), *example.WaterHeater.on_site(self.view))

    history = histories(twin_database())["DE_KN_residential6"]
    view = Building(history, load_tariff("dynamic"), Assets()).view
    evening = view.hour - view.day.astype(int) % 2  # an hour later on every other day
    drawn_kwh = np.where((view.hour == 6) | np.isin(evening, (19, 20)), 2.0, 0.0)
    metered = replace(
        history,
        feeds=(*history.feeds, Feed(name="water_heater", role="load", category="fixed")),
        energy_kwh={**history.energy_kwh, "water_heater": drawn_kwh},
        load_kwh=history.load_kwh + drawn_kwh,
    )
    return WithWaterHeater(metered, load_tariff("dynamic"), Assets(ev=None))


@pytest.fixture(scope="module")
def runs(building: Building) -> dict[str, tuple[ComparisonSpec, list[DayRecord]]]:
    """Two days as metered, under the rule, planned and rolling on forecasts."""
    found = {}
    for mode, foresight in (
        ("as_metered", "perfect"),
        ("rule_based", "perfect"),
        ("centralized", "perfect"),
        ("centralized_phases", "forecast"),
    ):
        spec = ComparisonSpec(
            tariff=building.tariff,
            assets=building.assets,
            modes=("centralized_phases",),
            foresight=foresight,  # type: ignore[arg-type]
            forecaster="persistence",
        )
        window = choose_window(building, DAY, 2)
        known = dict.fromkeys(window.days, foresight_of(building, spec, chains_of(window)[0]))
        values = perfect_plan(building, spec, window).values
        records = run_mode(building, spec, window, mode, values, known=known)  # type: ignore[arg-type]
        found[mode] = (spec, list(records))
    return found


def power_kw(record: DayRecord) -> Any:
    return record.schedule.plans["water_heater"].net_load_kw


def test_without_a_plan_it_draws_what_its_meter_saw(building: Building, runs: Any) -> None:
    for mode in ("as_metered", "rule_based"):
        for record in runs[mode][1]:
            span = building.span(record.day)
            metered_kwh = building.history.energy_kwh["water_heater"][span]
            np.testing.assert_allclose(power_kw(record), metered_kwh, atol=1e-9)
            if mode == "as_metered":
                load_kw = record.schedule.net_load_kw("load")
                np.testing.assert_allclose(load_kw, building.history.load_kwh[span], atol=1e-9)


@pytest.mark.parametrize("mode", ["centralized", "centralized_phases"])
def test_it_is_planned_and_costs_less(runs: Any, mode: str) -> None:
    """The heat of a day is handed to the next, and what is left in the end has a value."""
    records, metered = runs[mode][1], runs["as_metered"][1]
    tanks = [next(a for a in r.schedule.agents if a.name == "water_heater") for r in records]
    left_kwh = [r.schedule.soc_kwh["water_heater"] for r in records]
    assert [tank.held_kwh for tank in tanks] == pytest.approx([6.0, left_kwh[0]], abs=1e-6)
    drawn_kwh = sum(power_kw(r).sum() for r in records)
    assert drawn_kwh == pytest.approx(12.0 + left_kwh[1] - 6.0, abs=1e-3)
    assert not np.allclose(power_kw(records[0]), power_kw(metered[0]))
    assert sum(r.kpis.cost_eur for r in records) < sum(r.kpis.cost_eur for r in metered)


def test_it_is_drawn(building: Building, runs: Any) -> None:
    record = runs["centralized"][1][0]
    figure = planned_day(record, tariff="dynamic", origin=Origin.of(building.history))
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    texts = [text.get_text() for legend in legends for text in legend.get_texts()]
    assert "water heater" in texts
    areas = [patch for ax in figure.axes for patch in ax.patches]
    assert "#e69f00" in {to_hex(area.get_facecolor()) for area in areas}


@pytest.mark.parametrize("mode", ["centralized", "centralized_phases"])
def test_it_is_explained(building: Building, runs: Any, mode: str) -> None:
    spec, records = runs[mode]
    day = explained(building, choose_window(building, DAY, 2), spec, records[0])
    sentences = [sentence for hour in day.hours for sentence in hour.sentences]
    assert any(sentence.startswith("The water heater heats with") for sentence in sentences)


def test_plans_on_forecasts_know_nothing_of_its_day(building: Building, runs: Any) -> None:
    """At midnight it is believed to draw when it drew a week before, not when it will draw."""
    spec, _ = runs["centralized_phases"]
    (chain,) = chains_of(choose_window(building, DAY, 2))
    course = foresight_of(building, spec, chain).course(DAY, 0)
    believed, metered = (
        next(d for d in series.devices if d.name == "water_heater").used_kwh(building.span(DAY))
        for series in (course, building.truth)
    )
    assert (believed[19], metered[19]) == pytest.approx((2.0, 0.0))
    assert believed[21] < 1.0 < metered[21]
