"""Control by the value of charge: who follows what, and what is known when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from small_building import local_index, made

from ems.agents import BatteryAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import by_rule
from ems.control.value_based import ValueControl, by_value
from ems.economics.store_value import StoreValues
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, InvalidSpec
from ems.pipelines.comparison import Window, run_mode
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import RULES, ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.types import Floats

FIRST = date(2016, 3, 1)
DAY = FIRST + timedelta(days=20)
BATTERY = BatteryAgent(capacity_kwh=6.0, max_charge_kw=2.0, max_discharge_kw=2.0, initial_soc_kwh=3)
WORTH = {"battery": {"soc": 0.2}}


@cache
def house() -> MeterData:
    """Sun of changing strength and prices with two peaks, 24 days."""
    rng = np.random.default_rng(3)
    index = local_index(FIRST, 24)
    hour = index.hour.to_numpy()
    sun = rng.uniform(0.0, 3.0, len(hour)) * np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None)
    price = 60.0 + 60.0 * np.cos((hour - 8) / 12 * 2 * np.pi) + rng.normal(0.0, 4.0, len(hour))
    return made(index, pv_kwh=sun, price_eur_per_mwh=price, base_kw=0.6)


def building(history: MeterData | None = None, battery: BatteryAgent | None = BATTERY) -> Building:
    return Building(history or house(), load_tariff("dynamic"), Assets(battery=battery, ev=None))


def done(of: Building, day: date = DAY) -> DispatchPlan:
    return ValueControl(of).day(of.problem([day]), WORTH)


def test_the_battery_departs_from_the_rule_and_pays_less_for_it() -> None:
    of = building()
    task = of.problem([DAY])
    rule = by_rule("self_consumption", task.agents, task.grid, task.horizon)
    ours = done(of)
    for agent in task.agents:
        same = np.array_equal(
            ours.plans[agent.name].net_load_kw, rule.plans[agent.name].net_load_kw
        )
        assert same == (agent.name != "battery")
    left_kwh = [plan.plans["battery"].series["soc_kwh"][-1] for plan in (ours, rule)]
    assert ours.objective_eur - 0.2 * left_kwh[0] < rule.objective_eur - 0.2 * left_kwh[1]


def test_a_house_without_a_battery_follows_the_rule() -> None:
    of = building(battery=None)
    task = of.problem([DAY])
    rule = by_rule("self_consumption", task.agents, task.grid, task.horizon)
    assert done(of).objective_eur == rule.objective_eur


def otherwise(history: MeterData, loads_from: int, prices_from: int) -> MeterData:
    """Other loads and other prices from these steps on."""
    rng = np.random.default_rng(0)

    def other(values: Floats, first: int) -> Floats:
        changed = values.copy()
        changed[first:] *= rng.uniform(0.2, 0.8, len(values) - first)
        return changed

    return replace(
        history,
        energy_kwh={name: other(kwh, loads_from) for name, kwh in history.energy_kwh.items()},
        load_kwh=other(history.load_kwh, loads_from),
        pv_kwh=other(history.pv_kwh, loads_from),
        price_eur_per_mwh=other(history.price_eur_per_mwh, prices_from),
    )


@pytest.mark.parametrize(
    ("hour", "prices_from_h"), [(1, 24), (8, 24), (12, 24), (13, 48), (20, 48)]
)
def test_nothing_that_comes_later_changes_what_is_done(hour: int, prices_from_h: int) -> None:
    """Known are the loads of the running step, and prices: the day's, from 13:00 the next one's."""
    step = building().span(DAY).start
    later = building(otherwise(house(), step + hour + 1, step + prices_from_h))
    ours_kw, theirs_kw = (done(of).plans["battery"].net_load_kw for of in (building(), later))
    np.testing.assert_array_equal(ours_kw[: hour + 1], theirs_kw[: hour + 1])
    assert not np.array_equal(ours_kw, theirs_kw)


def test_the_first_day_of_all_has_no_past() -> None:
    with pytest.raises(DataError, match="no day before it can be planned"):
        done(building(), FIRST)


def specification(of: Building, foresight: str) -> ComparisonSpec:
    return ComparisonSpec(tariff=of.tariff, assets=of.assets, foresight=foresight)  # type: ignore[arg-type]


def test_days_follow_each_other_and_are_settled_as_all_others() -> None:
    of, days = building(), (DAY, DAY + timedelta(days=1))
    window = Window(building="house", days=days, skipped={})
    spec = specification(of, "forecast")
    values = perfect_plan(of, spec, window).values
    one, two = run_mode(of, spec, window, "value_based", values)
    assert one.mode == one.schedule.mode == "value_based"
    kept_kwh = one.schedule.plans["battery"].series["soc_kwh"][-1]
    (battery,) = [agent for agent in two.schedule.agents if agent.name == "battery"]
    assert battery.held_kwh == pytest.approx(kept_kwh)
    assert one.kpis.wear_eur > 0


def test_with_perfect_foresight_there_is_nothing_to_remember() -> None:
    of = building()
    window = Window(building="house", days=(DAY,), skipped={})
    nothing = StoreValues(eur_per_kwh={}, past_eur_per_kwh={}, hour=of.view.hour)
    with pytest.raises(InvalidSpec, match="mode is value_based, which remembers past days"):
        list(run_mode(of, specification(of, "perfect"), window, "value_based", nothing))


def steady(dear_h: int, day: date, *, noon: tuple[float, float] = (30.0, 30.0)) -> Building:
    """0.6 kW at all times, and 30 €/MWh but for one hour of 600 €/MWh on ``day``.

    ``noon``: prices at 12:00 and 13:00 on ``DAY`` [€/MWh].
    """
    index = local_index(FIRST, 24)
    price = np.full(len(index), 30.0)
    price[24 * (DAY - FIRST).days + np.array([12, 13])] = noon
    price[24 * (day - FIRST).days + dear_h] = 600.0
    return building(made(index, base_kw=0.6, price_eur_per_mwh=price))


def test_it_keeps_what_a_dear_hour_needs_and_gives_it_then() -> None:
    """3 kWh cover 3 · √0.95 = 2.92 kWh at the meter: 0.6 of them at 18:00, the rest when it may."""
    plan = done(steady(18, DAY)).plans["battery"]
    assert plan.net_load_kw[18] == pytest.approx(-0.6)
    assert plan.series["discharge_kw"].sum() <= 2.93


def test_the_next_day_is_known_from_one_o_clock() -> None:
    """Two hours are cheaper than all others, too little for a trade within the day.

    The rule is empty after five hours. Only the second of the two knows of tomorrow's dear hour.
    """
    of = steady(8, DAY + timedelta(days=1), noon=(0.0, 15.0))
    soc_kwh = done(of).plans["battery"].series["soc_kwh"]
    assert soc_kwh[12] == pytest.approx(0.0, abs=1e-9)
    assert soc_kwh[13] > 0.5


def without_sun() -> MeterData:
    """A load that varies and no sun, 24 days."""
    index = local_index(FIRST, 24)
    rng = np.random.default_rng(5)
    history = made(index, base_kw=0.6)
    load_kwh = rng.uniform(0.2, 1.4, len(index))
    return replace(
        history, load_kwh=load_kwh, energy_kwh={**history.energy_kwh, "grid_import": load_kwh}
    )


def test_where_two_prices_a_day_are_all_the_rule_that_knows_them_steers() -> None:
    """On the days before, the rule cost less: nothing is uncertain that the value could weigh."""
    of = Building(without_sun(), load_tariff("tou"), Assets(battery=BATTERY, ev=None))
    task = of.problem([DAY])
    worth = {"battery": {"soc": 0.28}}
    ours = ValueControl(of).day(task, worth)
    assert ours.mode == "value_based"
    flow_kw = ours.plans["battery"].net_load_kw
    rules_kw = {
        rule: by_rule(rule, task.agents, task.grid, task.horizon).plans["battery"].net_load_kw
        for rule in RULES
    }
    alike = {rule for rule, kw in rules_kw.items() if np.array_equal(kw, flow_kw)}
    assert alike == {"timer", "price_threshold"}
    assert not np.array_equal(by_value(of, task, worth).plans["battery"].net_load_kw, flow_kw)


def test_where_the_value_does_better_it_steers() -> None:
    of = building()
    task = of.problem([DAY])
    np.testing.assert_array_equal(
        done(of).plans["battery"].net_load_kw,
        by_value(of, task, WORTH).plans["battery"].net_load_kw,
    )
