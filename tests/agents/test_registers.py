"""The registers of the connection: what both count in one step, and peaks by calendar month."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from small_building import at, histories, local_index, made, real_database, twin_database

from ems.agents import BaseLoadAgent, BatteryAgent, GridAgent
from ems.control.baselines import as_metered
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.economics.settlement import settle
from ems.economics.tariff_file import load_tariff
from ems.pipelines.parallel import run_comparison
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building


def hours(n: int) -> Horizon:
    return Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=np.full(n, 0.30),
        export_eur_per_kwh=np.full(n, 0.10),
    )


def test_what_both_registers_count_is_on_the_bill_and_in_no_balance() -> None:
    """1 kW net for two hours; 0.5 kWh came and went within the second: 2.5 bought, 0.5 sold."""
    grid = GridAgent(cross_kw=np.array([0.0, 0.5]))
    load = BaseLoadAgent(load_kw=np.array([1.0, 1.0]))
    plan = GlobalOptimizer([load], grid).optimize_centralized(hours(2))
    kpis = settle(plan)
    assert (kpis.import_kwh, kpis.export_kwh) == pytest.approx((2.5, 0.5))
    assert kpis.bill_eur == pytest.approx(2.5 * 0.30 - 0.5 * 0.10)
    assert plan.objective_eur == pytest.approx(kpis.bill_eur)
    metered = as_metered([load], grid, hours(2))
    assert settle(metered).bill_eur == pytest.approx(kpis.bill_eur)
    later = grid.after(plan.plans["grid"], 1)
    assert np.asarray(later.cross_kw).tolist() == [0.5]


def test_import_and_export_at_once_beside_the_metered_fails_the_audit() -> None:
    grid = GridAgent(cross_kw=0.5)
    plan = grid.settle(np.array([1.0]))
    assert list(grid.audit(plan, hours(1))) == []
    more = {name: kw + 0.1 for name, kw in plan.series.items()}
    assert any("at once" in line for line in grid.audit(replace(plan, series=more), hours(1)))


MONTHS = np.array([5, 5, 6, 6])


def test_each_month_pays_for_its_own_peak() -> None:
    """2 kW in May, 3 kW in June at 10 €/kW; of May 1.5 kW are paid for already."""
    grid = GridAgent(demand_charge_eur_per_kw=10.0, period=MONTHS, peak_so_far_kw=1.5)
    plan = grid.settle(np.array([2.0, 1.0, 3.0, 2.0]))
    assert grid.costs_eur(plan, hours(4))["demand_charge"] == pytest.approx(10 * (0.5 + 3.0))
    load = BaseLoadAgent(load_kw=np.array([2.0, 1.0, 3.0, 2.0]))
    planned = GlobalOptimizer([load], grid).optimize_centralized(hours(4))
    assert settle(planned).demand_charge_eur == pytest.approx(35.0)
    bill = 8.0 * 0.30
    assert planned.objective_eur == pytest.approx(35.0 + bill)


@pytest.mark.parametrize(("n", "peak_kw", "left"), [(1, 2.0, 0.0), (2, 2.0, 0.0), (3, 3.0, 0.0)])
def test_the_peak_is_handed_on_within_its_month(n: int, peak_kw: float, left: float) -> None:
    grid = GridAgent(demand_charge_eur_per_kw=10.0, period=MONTHS)
    plan = grid.settle(np.array([2.0, 1.0, 3.0, 2.0]))
    first = grid.costs_eur(plan.window(0, n), hours(n))["demand_charge"]
    later = grid.after(plan, n)
    rest = later.costs_eur(plan.window(n, 4), hours(4 - n))["demand_charge"]
    assert later.peak_so_far_kw == peak_kw
    assert (
        first + rest
        == pytest.approx(10 * (2.0 + 3.0))
        == grid.costs_eur(plan, hours(4))["demand_charge"] + left
    )


def test_a_plan_shaves_the_peak_of_the_month_that_it_is_in() -> None:
    """A full battery of 1 kWh: June's only hour needs 3 kW, May's at most 2; both cost the same."""
    battery = BatteryAgent(
        capacity_kwh=1.0,
        initial_soc_kwh=1.0,
        final_soc_kwh=0.0,
        max_charge_kw=0.0,
        round_trip_efficiency=1.0,
        wear_eur_per_kwh=0.0,
    )
    grid = GridAgent(demand_charge_eur_per_kw=10.0, period=MONTHS)
    load = BaseLoadAgent(load_kw=np.array([2.0, 2.0, 3.0, 1.0]))
    plan = GlobalOptimizer([load, battery], grid).optimize_centralized(hours(4))
    assert settle(plan).demand_charge_eur == pytest.approx(10 * (2.0 + 2.0), abs=1e-4)


def test_the_charge_of_a_window_is_that_of_its_calendar_months() -> None:
    """Peaks of 3 kW in May and 2 kW in June, over a gap in the meter; 5 €/kW a month or a year."""
    index = local_index(date(2016, 5, 29), 7)
    loads = {
        "fridge": at(
            index,
            ("2016-05-29 19:00", 1, 2.6),
            ("2016-05-31 19:00", 1, 1.6),
            ("2016-06-03 19:00", 1, 1.6),
        )
    }
    for period, charge_eur in (("month", 5 * (3.0 + 2.0)), ("year", 5 * 3.0)):
        history = made(index, loads)
        history.load_kwh[30] = np.nan  # the second day cannot be planned
        assets = Assets(
            battery=None,
            ev=None,
            grid=GridAgent(demand_charge_eur_per_kw=5.0),
            demand_period=period,  # type: ignore[arg-type]
        )
        spec = ComparisonSpec(tariff=load_tariff("flat"), assets=assets, modes=("centralized",))
        paid = dict.fromkeys(spec.all_modes, 0.0)
        for record in run_comparison(history, spec, n_days=None):
            paid[record.mode] += record.kpis.demand_charge_eur
        assert paid == pytest.approx(dict.fromkeys(paid, charge_eur), abs=1e-6)


def bills_of(building: Building) -> tuple[float, float | None]:
    days = building.plannable_days
    total_eur = 0.0
    for day in days:
        problem = building.problem([day], metered=True)
        total_eur += settle(as_metered(problem.agents, problem.grid, problem.horizon)).bill_eur
    return total_eur, building.metered_bill_eur(days)


@pytest.mark.parametrize(("battery", "absorbed"), [(BatteryAgent(), True), (None, False)])
def test_a_battery_may_absorb_what_both_registers_count(
    battery: BatteryAgent | None, absorbed: bool
) -> None:
    """0.2 kWh came and went within an hour: on the bill as metered, on a plan's unless absorbed."""
    index = local_index(date(2016, 6, 1), 2)
    history = made(index, pv_kwh=at(index, ("2016-06-01 12:00", 1, 2.0)))
    hour = int(np.argmax(history.pv_kwh))
    for feed in history.feeds:
        if feed.role in ("import", "export"):
            history.energy_kwh[feed.name][hour] += 0.2
    assets = Assets(battery=battery, ev=None, cross_flow="absorbed")
    building = Building(history, load_tariff("flat"), assets)
    first = building.days[0]
    booked = building.problem([first], metered=True).grid
    planned = building.problem([first]).grid
    assert np.sum(booked.cross_kw) == pytest.approx(0.2)
    assert np.sum(planned.cross_kw) == pytest.approx(0.0 if absorbed else 0.2)
    spec = ComparisonSpec(tariff=building.tariff, assets=assets, modes=("centralized",))
    bills = {r.mode: r.kpis.bill_eur for r in run_comparison(history, spec, n_days=1)}
    assert bills["as_metered"] == pytest.approx(building.metered_bill_eur([first]))


ASSETS = Assets(battery=None, ev=None, appliances=False)


def test_as_metered_is_the_bill_of_the_meter() -> None:
    found = histories(twin_database())
    compared = 0
    for history in found.values():
        ours, meters = bills_of(Building(history, load_tariff("dynamic"), ASSETS))
        if meters is not None:
            assert ours == pytest.approx(meters, abs=0.005), history.building
            compared += 1
    assert compared >= 2


@pytest.mark.real_data
def test_as_metered_is_the_bill_of_every_real_meter(shared_data: Path) -> None:
    compared = []
    for name, history in histories(real_database(shared_data)).items():
        ours, meters = bills_of(Building(history, load_tariff("dynamic"), ASSETS))
        if meters is not None:
            assert ours == pytest.approx(meters, abs=0.005), name
            compared.append(name)
            absorbing = replace(ASSETS, battery=BatteryAgent(), cross_flow="absorbed")
            ours, meters = bills_of(Building(history, load_tariff("dynamic"), absorbing))
            assert ours == pytest.approx(meters, abs=0.005), f"{name}, absorbed"
    assert compared == ["DE_KN_residential3", "DE_KN_residential4", "DE_KN_residential6"]
