"""Bills, savings and KPIs by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from small_building import at, local_index, made

from ems.agents import BaseLoadAgent, BatteryAgent, GridAgent, PVAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.participant import Plan
from ems.economics.settlement import DayKpis, savings, settle, total
from ems.economics.tariff_file import load_tariff
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building

FOUR = Horizon(
    start_utc=np.datetime64("2016-05-31T22:00"),
    step_h=0.5,
    import_eur_per_kwh=np.array([0.20, 0.30, 0.40, 0.50]),
    export_eur_per_kwh=np.array([0.05, 0.10, 0.05, 0.10]),
)
GRID = GridAgent(demand_charge_eur_per_kw=2.0, peak_so_far_kw=1.0)
BATTERY = BatteryAgent(
    capacity_kwh=10.0,
    initial_soc_kwh=5.0,
    final_soc_kwh=0.0,
    round_trip_efficiency=0.81,
    wear_eur_per_kwh=0.02,
)


def made_schedule() -> DispatchPlan:
    """2 kW of load; 7 kW of sun in the second step, of which 2 kW charge; 1 kW back in the last."""
    agents = (
        BaseLoadAgent(name="base_load", load_kw=np.full(4, 2.0)),
        PVAgent(name="pv", available_kw=np.array([0.0, 7.0, 0.0, 0.0])),
        BATTERY,
    )
    charge_kw, discharge_kw = np.array([0.0, 2, 0, 0]), np.array([0.0, 0, 0, 1])
    soc_kwh = BATTERY.store.soc_after(FOUR, charge_kw, discharge_kw, 5.0)
    plans: dict[str, Plan] = {a.name: a.unplanned(FOUR) for a in agents[:2]}
    plans["battery"] = BATTERY.store.plan(charge_kw, discharge_kw, soc_kwh)
    plans["grid"] = GRID.settle(np.array([2.0, -3.0, 2.0, 1.0]))
    return DispatchPlan(
        mode="centralized", horizon=FOUR, agents=(*agents, GRID), plans=plans, objective_eur=np.nan
    )


@pytest.mark.smoke
def test_every_figure_of_a_day_by_hand() -> None:
    kpis = settle(made_schedule())
    bought = 0.5 * (2 * 0.20 + 2 * 0.40 + 1 * 0.50)
    assert kpis.bought_eur == pytest.approx(bought)
    assert kpis.bill_eur == pytest.approx(bought - 0.5 * 3 * 0.10)
    assert kpis.demand_charge_eur == pytest.approx(2.0 * (2.0 - 1.0))
    assert kpis.wear_eur == pytest.approx(0.02 * 1.5)
    assert np.isnan(kpis.cost_eur)  # nobody said what the charge is worth
    assert kpis.discomfort_eur == 0.0
    assert (kpis.import_kwh, kpis.export_kwh) == (2.5, 1.5)
    assert (kpis.generation_kwh, kpis.demand_kwh, kpis.own_use_kwh) == (3.5, 4.0, 2.0)
    assert kpis.self_consumption == pytest.approx(2 / 3.5)
    assert kpis.self_sufficiency == pytest.approx(1 - 2.5 / 4)
    assert np.isnan(kpis.gap_eur)
    assert kpis.peak_import_kw == 2.0
    assert kpis.throughput_kwh == 1.5
    assert kpis.full_cycles == pytest.approx(1.5 / 20)
    assert kpis.days == pytest.approx(2 / 24)
    assert kpis.stored_change_kwh == pytest.approx(0.9 * 1.0 - 0.5 / 0.9)


def test_the_stores_are_put_back_at_their_value_before_and_after() -> None:
    """λ₁ E₁ − λ₀ E₀; wear stands beside the cost."""
    done = made_schedule()
    (battery,) = (agent for agent in done.agents if agent.name == "battery")
    held_kwh = battery.stored_kwh()["soc"]
    left_kwh = held_kwh + 0.9 * 1.0 - 0.5 / 0.9
    kpis = settle(done, worth=({"battery": {"soc": 0.2}}, {"battery": {"soc": 0.3}}))
    assert kpis.stored_eur == pytest.approx(0.3 * left_kwh - 0.2 * held_kwh)
    assert kpis.cost_eur == pytest.approx(0.70 + 2.0 - kpis.stored_eur)
    assert kpis.with_wear_eur == pytest.approx(kpis.cost_eur + 0.03)


def test_only_committed_steps_are_settled() -> None:
    kpis = settle(made_schedule(), n_committed=2)
    assert (kpis.import_kwh, kpis.export_kwh, kpis.days) == (1.0, 1.5, pytest.approx(1 / 24))
    assert kpis.stored_change_kwh == pytest.approx(0.9)


def test_shares_are_not_defined_without_sun_or_demand() -> None:
    kpis = settle(made_schedule())
    dark = replace(kpis, generation_kwh=0.0)
    assert dark.self_consumption is None
    assert dark.self_sufficiency is None
    assert replace(kpis, demand_kwh=0.0).self_sufficiency is None
    assert replace(kpis, import_kwh=5.0).self_sufficiency == 0.0  # some of it was stored
    assert replace(kpis, export_kwh=9.0).own_use_kwh == 0.0  # some of it came from the store
    assert kpis.mean_shift_h == 0.0


def test_shift_discomfort_and_curtailment_by_hand() -> None:
    """The dishwasher moves from 19 h to the sun at 10 h: 9 h at 0.02 €/h; sun is free anyway."""
    day = date(2016, 6, 1)
    index = local_index(day, 1)
    pv = at(index, ("2016-06-01 10:00", 2, 3.0))
    history = made(index, {"dishwasher": at(index, ("2016-06-01 19:00", 2, 1.0))}, pv_kwh=pv)
    building = Building(history, load_tariff("flat"), Assets(battery=None, ev=None))
    problem = building.problem([day])
    plan = GlobalOptimizer(problem.agents, problem.grid).optimize_centralized(problem.horizon)
    ours = settle(plan)
    base = settle(as_metered(problem.agents, problem.grid, problem.horizon))
    assert (ours.shift_h, ours.starts, ours.mean_shift_h) == (9.0, 1.0, 9.0)
    assert ours.discomfort_eur == pytest.approx(0.18)
    assert ours.import_kwh == pytest.approx(22 * 0.4)
    assert base.import_kwh == pytest.approx(22 * 0.4 + 2)
    found = savings(ours, base)
    assert found.savings_eur == pytest.approx(2 * (0.288 - 0.1231), abs=1e-6)
    assert found.savings_pct == pytest.approx(100 * found.savings_eur / (0.288 * 10.8), abs=1e-4)
    assert ours.curtailed_kwh == 0.0
    free = replace(problem.horizon, export_eur_per_kwh=np.full(24, -0.1))
    agents = [replace(a, curtailable=True) if isinstance(a, PVAgent) else a for a in problem.agents]
    cut = settle(GlobalOptimizer(agents, problem.grid).optimize_centralized(free))
    assert cut.export_kwh == pytest.approx(0.0, abs=1e-6)
    assert cut.curtailed_kwh == pytest.approx(6.0 - cut.generation_kwh)
    assert cut.curtailed_kwh == pytest.approx(6.0 - 0.8 - 2.0, abs=1e-4)


def test_an_empty_car_is_energy_owed() -> None:
    """20 kWh are missing at the wall, 10 kWh are charged on the first day."""
    day = date(2016, 6, 1)
    index = local_index(day, 2)
    charged = at(index, ("2016-06-01 22:00", 4, 5.0))
    spec = EVSpec(efficiency=0.9)
    building = Building(
        made(index, {"ev": charged}), load_tariff("flat"), Assets(battery=None, ev=spec)
    )
    problem = building.problem([day], lookahead_h=24.0)
    kpis = settle(as_metered(problem.agents, problem.grid, problem.horizon), problem.n_committed)
    assert kpis.stored_change_kwh == pytest.approx(-0.9 * 10.0)
    assert kpis.demand_kwh == pytest.approx(24 * 0.4 + 10.0)


def kpis_of(**values: float) -> DayKpis:
    base = settle(made_schedule())
    zero = dict.fromkeys(("demand_charge_eur", "wear_eur", "stored_change_kwh", "stored_eur"), 0.0)
    return replace(base, days=1.0, **{**zero, **values})


def test_savings_put_the_stores_back() -> None:
    base = kpis_of(bill_eur=3.0, bought_eur=4.0, stored_eur=0.1)
    ours = kpis_of(bill_eur=1.0, bought_eur=2.0, wear_eur=0.5, stored_eur=-0.7)
    found = savings(ours, base)
    assert found.stored_eur == pytest.approx(-0.8)
    assert found.savings_eur == pytest.approx(3.0 - 1.0 - 0.8)
    assert found.savings_pct == pytest.approx(100 * 1.2 / 4.0)
    assert (found.wear_eur, found.after_wear_eur) == pytest.approx((0.5, 0.7))


@pytest.mark.parametrize(
    ("bought_eur", "days", "pct"),
    [(0.0999, 1.0, None), (0.1001, 1.0, 999.0), (0.69, 7.0, None), (0.71, 7.0, 140.8)],
)
def test_no_percentage_of_next_to_nothing(
    bought_eur: float, days: float, pct: float | None
) -> None:
    base = replace(kpis_of(bill_eur=-3.0, bought_eur=bought_eur), days=days)
    ours = replace(kpis_of(bill_eur=-4.0), days=days)
    found = savings(ours, base)
    assert found.savings_eur == pytest.approx(1.0)
    assert found.savings_pct == (None if pct is None else pytest.approx(pct, abs=0.1))


def test_the_demand_charge_counts_as_paid() -> None:
    base = kpis_of(bill_eur=0.05, bought_eur=0.05, demand_charge_eur=0.95)
    ours = kpis_of(bill_eur=0.05, bought_eur=0.05, demand_charge_eur=0.45)
    assert savings(ours, base).savings_pct == pytest.approx(50.0)


def test_days_add_up() -> None:
    a = kpis_of(bill_eur=1.0, peak_import_kw=3.0, gap_eur=0.1)
    b = replace(
        kpis_of(bill_eur=2.0, peak_import_kw=2.0, gap_eur=0.2),
        days=23 / 24,
        stored_change_kwh=-1.5,
    )
    both = total([a, b])
    assert both.bill_eur == 3.0
    assert (both.peak_import_kw, both.gap_eur) == (3.0, 0.2)
    assert both.days == pytest.approx(47 / 24)
    assert both.import_kwh == a.import_kwh + b.import_kwh
    assert both.stored_change_kwh == -1.5
    assert both.self_consumption == pytest.approx(2 / 3.5)
    assert total([a]) == a


def test_a_battery_ages_by_time_whether_it_works_or_not() -> None:
    """10 kWh at 20 € a kWh and year: two hours are 200 € · 2/8766, in no cost; as metered none."""
    planned = settle(made_schedule())
    assert planned.calendar_wear_eur == pytest.approx(200 * 2 / 8766)
    bare = replace(BATTERY, calendar_eur_per_kwh_a=0.0)
    agents = tuple(bare if agent is BATTERY else agent for agent in made_schedule().agents)
    without = settle(replace(made_schedule(), agents=agents))
    assert without.calendar_wear_eur == 0.0
    same = ("bill_eur", "demand_charge_eur", "wear_eur")
    assert [getattr(planned, f) for f in same] == [getattr(without, f) for f in same]
    idle = as_metered([BaseLoadAgent(load_kw=np.ones(4)), BATTERY], GRID, FOUR)
    assert settle(idle).calendar_wear_eur == 0.0
