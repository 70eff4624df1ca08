"""The one value of storage: by hand, and adding up over any split of a chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_building import histories, local_index, made, twin_database

from ems.agents import BaseLoadAgent, BatteryAgent, GridAgent
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.solver import Solver
from ems.economics.settlement import settle, total
from ems.economics.store_value import StoreValues
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError
from ems.pipelines.comparison import DayRecord, Window, run_mode
from ems.pipelines.perfect import PerfectPlan, perfect_plan
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building

LOSSLESS = BatteryAgent(
    capacity_kwh=5.0,
    initial_soc_kwh=2.0,
    round_trip_efficiency=1.0,
    wear_eur_per_kwh=0.0,
    final_soc_kwh=0.0,
)


def hours(*price_eur: float) -> Horizon:
    price = np.array(price_eur)
    return Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=price,
        export_eur_per_kwh=np.full(len(price), -1.0),
    )


def values(battery: BatteryAgent, horizon: Horizon, load_kw: float) -> list[float]:
    load = BaseLoadAgent(load_kw=np.full(horizon.n_steps, load_kw))
    optimizer = GlobalOptimizer([load, battery], GridAgent())
    _, found = optimizer.optimize_with_values(horizon)
    assert list(found) == ["battery"]
    return [round(float(v), 6) for v in found["battery"]["soc"]]


def test_a_kwh_is_worth_the_purchase_that_one_more_would_save() -> None:
    """2 kWh cover the hours at 0.40 and 0.30; the next one saves the purchase at 0.20.

    Charging would be allowed, but no hour before is cheaper than 0.20.
    """
    battery = replace(LOSSLESS, initial_soc_kwh=2.0, max_charge_kw=0.0)
    assert values(battery, hours(0.20, 0.40, 0.30), 1.0) == [0.2, 0.2, 0.2]


def test_losses_and_wear_lower_what_it_is_worth() -> None:
    """η = 0.9 one way: a kWh in the store gives 0.9 kWh, each worth 0.20 less 0.02 of wear."""
    battery = replace(
        LOSSLESS,
        initial_soc_kwh=1.0,
        max_charge_kw=0.0,
        round_trip_efficiency=0.81,
        wear_eur_per_kwh=0.02,
    )
    expected = round(0.9 * (0.20 - 0.02), 6)
    assert values(battery, hours(0.20, 0.20), 1.0) == [expected] * 2


def test_a_power_limit_parts_the_hours() -> None:
    """0.5 kW at most: at 0.40 no more can be given, so one more kWh waits for 0.10."""
    battery = replace(LOSSLESS, initial_soc_kwh=0.7, max_charge_kw=0.0, max_discharge_kw=0.5)
    assert values(battery, hours(0.40, 0.10), 1.0) == [0.1, 0.1]


def test_a_value_at_the_end_is_the_value_before() -> None:
    battery = LOSSLESS.valued({"soc": 0.25})
    found = values(replace(battery, initial_soc_kwh=4.0, max_charge_kw=0.0), hours(0.1, 0.1), 1.0)
    assert found == [0.25, 0.25]


# --- over days -----------------------------------------------------------------------------------

SPEC = ComparisonSpec(tariff=load_tariff("dynamic"), solver=Solver(mip_gap=0.0, mip_gap_eur=1e-6))
DAYS = tuple(date(2016, 3, 24) + timedelta(days=i) for i in range(6))


@cache
def house() -> Building:
    assets = Assets(appliances=False)
    return Building(histories(twin_database())["DE_KN_residential4"], SPEC.tariff, assets)


def window(days: tuple[date, ...] = DAYS) -> Window:
    return Window(building="DE_KN_residential4", days=days, skipped={})


@cache
def perfect() -> PerfectPlan:
    return perfect_plan(house(), SPEC, window())


@cache
def done(mode: str) -> tuple[DayRecord, ...]:
    return tuple(run_mode(house(), SPEC, window(), mode, perfect().values))  # type: ignore[arg-type]


def restored_eur(records: tuple[DayRecord, ...]) -> float:
    return total([record.kpis for record in records]).with_wear_eur


@pytest.mark.parametrize("mode", ["as_metered", "rule_based", "centralized"])
@given(cut=st.integers(min_value=1, max_value=len(DAYS) - 1))
@settings(max_examples=5, deadline=None)
def test_the_cost_of_a_chain_is_that_of_its_parts(mode: str, cut: int) -> None:
    """Settled as one plan over all days, or in two parts with λ at the cut."""
    records, span = done(mode), house().span
    worth = {d: perfect().values.before(span(d).start) for d in DAYS}
    end = perfect().values.before(span(DAYS[-1]).stop)
    bills = [record.kpis.bill_eur for record in records]
    held = [_value(record, worth[record.day], after=False) for record in records]
    left = _value(records[-1], end, after=True)
    parts = sum(restored_eur(part) for part in (records[:cut], records[cut:]))
    wear = sum(record.kpis.wear_eur for record in records)
    as_metered = sum(perfect().values.metered_eur.values())
    assert parts == pytest.approx(sum(bills) + wear + held[0] - left + as_metered, abs=1e-6)


def test_as_metered_costs_its_bill() -> None:
    for record in done("as_metered"):
        assert record.kpis.cost_eur == pytest.approx(record.kpis.bill_eur, abs=1e-9)
    assert any(abs(eur) > 0.1 for eur in perfect().values.metered_eur.values())


def _value(record: DayRecord, worth: object, *, after: bool) -> float:
    schedule = record.schedule
    return sum(
        worth[a.name][rule] * kwh  # type: ignore[index]
        for a in schedule.agents
        for rule, kwh in a.stored_kwh(schedule.plans[a.name] if after else None).items()
    )


def test_no_way_to_run_the_same_devices_costs_less_than_the_perfect_plan() -> None:
    """By duality: λ prices every start and end, so nobody gains by emptying a store."""
    least_eur = restored_eur(perfect().records)
    for mode in ("as_metered", "rule_based", "decentralized", "centralized"):
        assert restored_eur(done(mode)) >= least_eur - 1e-3, mode


def test_a_day_settled_without_a_value_says_that_it_does_not_know() -> None:
    record = done("rule_based")[0]
    assert np.isnan(settle(record.schedule).cost_eur)
    assert np.isfinite(settle(record.schedule).bill_eur)


# --- what plans on forecasts remember ------------------------------------------------------------


def remembered(past: list[float], step: int, known_until: int) -> float:
    hour = np.tile(np.arange(24.0), 3)
    values = np.full(73, np.nan)
    values[: len(past)] = past
    found = StoreValues(eur_per_kwh={}, past_eur_per_kwh={"battery": {"soc": values}}, hour=hour)
    return found.remembered(step, known_until)["battery"]["soc"]


def test_the_mean_of_the_same_hour_on_days_that_are_known() -> None:
    past = [0.1] * 24 + [0.3] * 24 + [9.0] * 24
    assert remembered(past, 71, 48) == pytest.approx(0.2)
    assert remembered(past, 72, 24) == pytest.approx(0.1)
    with pytest.raises(DataError, match="battery: no day before the plan could be planned"):
        remembered([], 71, 48)


def test_days_without_a_value_do_not_count_as_memory() -> None:
    """Behind a gap of any length the last days that were valued are remembered."""
    assert remembered([0.2] * 24 + [np.nan] * 24, 71, 48) == pytest.approx(0.2)


def test_what_is_remembered_knows_nothing_of_the_day_after_tomorrow() -> None:
    """Prices and loads changed from day four on leave what was remembered of day two."""
    spec = replace(SPEC, foresight="forecast", modes=("centralized",))
    index = local_index(date(2016, 6, 1), 6)
    history = made(index, price_eur_per_mwh=np.linspace(20.0, 80.0, len(index)))
    later = np.arange(len(index)) >= 72
    other = replace(history, load_kwh=np.where(later, 3 * history.load_kwh, history.load_kwh))
    days = Window(building="made_house", days=(date(2016, 6, 5),), skipped={})
    found = []
    for each in (history, other):
        building = Building(each, spec.tariff, Assets(ev=None))
        plan = perfect_plan(building, spec, days)
        found.append(plan.values.past_eur_per_kwh["battery"]["soc"])
    assert np.array_equal(found[0][:48], found[1][:48], equal_nan=True)
    assert np.isfinite(found[0][:96]).all()


def test_a_plan_leaves_at_least_what_the_perfect_plan_holds() -> None:
    """And no more than full power can reach: 2 kW for two hours into an empty battery."""
    battery = replace(LOSSLESS, initial_soc_kwh=0.0, max_charge_kw=2.0, capacity_kwh=9.0)
    horizon = hours(0.2, 0.2)
    assert battery.leaving({"soc": 3.0}, horizon).least_final_kwh == 3.0
    assert battery.leaving({"soc": 8.0}, horizon).least_final_kwh == pytest.approx(4.0)
    kept = perfect().values.left(house().span(DAYS[2]).start)
    record = done("centralized")[2]
    assert set(kept.held_kwh) >= {"battery", "ev"}
    assert record.left is not None
    assert record.left.held_kwh["battery"]["soc"] >= 0.0
