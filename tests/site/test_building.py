"""Energy is never deleted or doubled between the meters and the agents of a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from small_building import at, device_of, histories, local_index, made, real_database, twin_database

from ems.agents import Agent, DiscretePhaseDevice, EVAgent, HeatPumpAgent, HeatSpec
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered
from ems.control.optimizer import GlobalOptimizer
from ems.control.rules import self_consumption
from ems.core.horizon import Horizon
from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, InvalidSpec
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building
from ems.site.meters import Feed, MeterData, load_kwh
from ems.site.task import PlanningTask
from ems.store.ingest.twin import to_dataset
from ems.store.metering import with_metering
from ems.twin.catalogue import CATALOGUE
from ems.twin.generate import generate
from ems.types import Floats

DYNAMIC, FLAT = load_tariff("dynamic"), load_tariff("flat")
FIRST, LATER = date(2016, 6, 1), date(2016, 6, 2)


def span_of(building: Building, problem: PlanningTask) -> slice:
    """Where the problem's steps lie on the grid of the history."""
    start = int(np.searchsorted(building.history.ts_utc, problem.horizon.start_utc))
    return slice(start, start + problem.horizon.n_steps)


def through_meter_kwh(history: MeterData) -> Floats:
    """What the building's meters counted, import − export [kWh]."""
    net_kwh = np.zeros(len(history.ts_utc))
    for feed in history.feeds:
        sign = {"import": 1.0, "export": -1.0}.get(feed.role, 0.0)
        net_kwh = net_kwh + sign * (history.energy_kwh[feed.name] if sign else 0.0)
    return net_kwh


def added_kwh(agents: Sequence[Agent], horizon: Horizon) -> Floats:
    """What cars draw that no meter saw [kWh]."""
    cars = [a for a in agents if isinstance(a, EVAgent) and a.metered_kw is None]
    return sum(
        (horizon.energy_kwh(car.unplanned(horizon).net_load_kw) for car in cars), np.zeros(1)
    )


def balances(building: Building, days: Sequence[date]) -> None:
    """Nobody planning, each step's import − export is what the meters counted."""
    metered_kwh = through_meter_kwh(building.history)
    for day in days:
        problem = building.problem([day], lookahead_h=24.0)
        horizon = problem.horizon
        schedule = as_metered(problem.agents, problem.grid, horizon)
        drawn_kwh = -horizon.energy_kwh(schedule.plans["grid"].net_load_kw)
        expected = metered_kwh[span_of(building, problem)] + added_kwh(problem.agents, horizon)
        np.testing.assert_allclose(drawn_kwh, expected, atol=1e-9, err_msg=str(day))


def energy_by_device(schedule: DispatchPlan, first: int, end: int) -> dict[str, float]:
    """Energy of each device in a stretch of steps [kWh]."""
    return {
        agent.name: float(
            schedule.horizon.energy_kwh(schedule.plans[agent.name].net_load_kw)[first:end].sum()
        )
        for agent in schedule.agents
        if agent.kind in ("load", "generation")
    }


def delivers(problem: PlanningTask) -> None:
    """Every mode serves what was metered: each day's devices, each cycle once, the car in time."""
    horizon, n = problem.horizon, problem.n_committed
    optimizer = GlobalOptimizer(problem.agents, problem.grid)
    metered = as_metered(problem.agents, problem.grid, horizon)
    plans = [
        optimizer.optimize_centralized(horizon),
        optimizer.optimize_decentralized(horizon),
        optimizer.optimize_phases_centralized(horizon, n_committed=n),
    ]
    whole = range(len(problem.midnights) - 1)
    for plan in plans:
        for i in whole:
            first, end = problem.midnights[i : i + 2]
            found, expected = (energy_by_device(s, first, end) for s in (plan, metered))
            for name in set(expected) - {"ev", "heat_pump"}:
                assert found[name] == pytest.approx(expected[name], abs=1e-5), (plan.mode, name)
        for agent in problem.agents:
            if isinstance(agent, DiscretePhaseDevice):
                started = np.rint(plan.plans[agent.name].series["started"])
                assert sorted(started[started > 0]) == [c.number for c in agent.cycles]
            if isinstance(agent, HeatPumpAgent):
                # Never colder than metered, so that no heat is missing.
                heat_kwh = horizon.energy_kwh(plan.plans[agent.name].series["heat_kw"])
                metered_kwh = horizon.energy_kwh(metered.plans[agent.name].series["heat_kw"])
                more_kwh = np.cumsum(heat_kwh - metered_kwh)
                warmer_kwh = plan.plans[agent.name].series["heat_kwh"]
                assert np.all(warmer_kwh >= -1e-5)
                assert np.all(more_kwh >= warmer_kwh - 1e-4)
            if isinstance(agent, EVAgent):
                soc_kwh = plan.plans["ev"].series["soc_kwh"]
                assert np.all(soc_kwh >= agent.min_soc_kwh - 1e-5)
                in_kwh = agent.efficiency * energy_by_device(plan, 0, horizon.n_steps)["ev"]
                change_kwh = soc_kwh[-1] - agent.initial_soc_kwh
                assert change_kwh == pytest.approx(in_kwh - agent.trip_kwh.sum(), abs=1e-5)


def house(loads: Mapping[str, Floats], n_days: int = 3, **assets: object) -> Building:
    """A made house under the flat tariff, without a battery and a car unless they are given."""
    given = {"battery": None, "ev": None, **assets}
    history = made(local_index(FIRST, n_days), loads)
    return Building(history, FLAT, Assets(**given))  # type: ignore[arg-type]


# --- the twin --------------------------------------------------------------------------------


@pytest.mark.smoke
def test_nothing_is_lost_on_any_day_of_the_twin() -> None:
    found = histories(twin_database())
    assert len(found) == 7
    for history in found.values():
        building = Building(history, DYNAMIC, Assets())
        assert len(building.plannable_days) > 390
        balances(building, building.plannable_days)


@pytest.mark.parametrize("name", ["DE_KN_residential4", "DE_KN_industrial3", "DE_KN_residential1"])
def test_every_mode_delivers_on_the_twin(name: str) -> None:
    building = Building(histories(twin_database())[name], DYNAMIC, Assets())
    clock_changes = [date(2016, 3, 27), date(2016, 10, 30)]
    for day in [*building.plannable_days[3::90], *clock_changes]:
        delivers(building.problem([day], lookahead_h=24.0))


def test_every_mode_delivers_over_a_window_of_days() -> None:
    building = Building(histories(twin_database())["DE_KN_residential4"], DYNAMIC, Assets())
    delivers(building.problem([date(2016, 10, 29) + timedelta(days=i) for i in range(3)]))


@cache
def quarter_hours() -> MeterData:
    """The twin's building with heat pump, appliances and EV, in quarter hours."""
    spec = tuple(spec for spec in CATALOGUE if spec.name == "DE_KN_residential4")
    dataset = to_dataset(generate(7, 15, spec))
    data = with_metering(dataset.buildings[0])
    energy = dict(data.energy_kwh)
    hour = (data.ts_utc - data.ts_utc[0]).astype(float) / 3600
    return MeterData(
        building=data.building,
        kind=data.kind,
        place=data.place,
        timezone=data.timezone,
        step_h=data.step_h,
        ts_utc=data.ts_utc,
        feeds=data.feeds,
        energy_kwh=energy,
        load_kwh=load_kwh(data),
        pv_kwh=sum(energy[feed.name] for feed in data.feeds if feed.role == "pv"),  # type: ignore[arg-type]
        price_eur_per_mwh=30.0 + 20.0 * np.sin(hour / 24 * 2 * np.pi),
        load_rule=data.load_rule,
        synthetic=True,
        source="twin",
        data_hash="none",
    )


def test_nothing_is_lost_in_quarter_hours() -> None:
    building = Building(quarter_hours(), DYNAMIC, Assets())
    assert building.history.step_h == 0.25
    balances(building, building.plannable_days[::3])
    for day in (date(2016, 3, 27), date(2016, 10, 30), date(2016, 1, 12)):
        problem = building.problem([day])
        assert problem.horizon.n_steps in (92, 100, 96)
        delivers(problem)


# --- the real buildings ----------------------------------------------------------------------


@pytest.mark.real_data
def test_nothing_is_lost_on_real_days(shared_data: Path) -> None:
    found = histories(real_database(shared_data))
    assert len(found) == 7
    rng, n_days = np.random.default_rng(20160601), 0
    for history in found.values():
        building = Building(history, DYNAMIC, Assets())
        days = rng.permutation(np.array(building.plannable_days))[:60].tolist()
        balances(building, days)
        n_days += len(days)
        for day in days[:4]:
            delivers(building.problem([day], lookahead_h=24.0))
    assert n_days == 420


# --- days ------------------------------------------------------------------------------------


def test_days_have_the_hours_of_the_calendar() -> None:
    index = local_index(date(2016, 3, 26), 3)
    building = Building(made(index), FLAT, Assets(ev=None))
    lengths = [building.problem([day]).horizon.n_steps for day in building.days]
    assert lengths == [24, 23, 24]
    autumn = Building(made(local_index(date(2016, 10, 30), 1, 0.25)), FLAT, Assets(ev=None))
    assert autumn.problem([date(2016, 10, 30)]).horizon.n_steps == 100


def test_a_day_begun_or_cut_short_is_no_day() -> None:
    index = local_index(FIRST, 3)[1:-1]
    building = Building(made(index), FLAT, Assets(ev=None))
    assert building.days == (date(2016, 6, 2),)
    assert building.why_not(FIRST) == "the meters do not cover the whole day"


def test_why_a_day_cannot_be_planned() -> None:
    history = made(local_index(FIRST, 3))
    history.energy_kwh["grid_import"][30] = np.nan
    history.price_eur_per_mwh[60] = np.nan
    building = Building(history, DYNAMIC, Assets(ev=None))
    assert building.plannable_days == (FIRST,)
    assert building.why_not(date(2016, 6, 2)) == "grid_import is not ok"
    assert building.why_not(date(2016, 6, 3)) == "the day-ahead price is not ok"
    assert Building(history, FLAT, Assets(ev=None)).why_not(date(2016, 6, 3)) is None
    with pytest.raises(DataError, match="made_house: 2016-06-02 cannot be planned: grid_import"):
        building.problem([date(2016, 6, 2)])


def test_the_day_before_a_gap_does_not_look_into_it() -> None:
    history = made(local_index(FIRST, 4))
    history.load_kwh[60] = np.nan
    building = Building(history, FLAT, Assets(ev=None))
    lengths = {
        d.day: building.problem([d], lookahead_h=24).horizon.n_steps
        for d in building.plannable_days
    }
    assert lengths == {1: 48, 2: 24, 4: 24}


@pytest.mark.parametrize(
    ("lookahead_h", "n_steps"), [(0, 24), (6, 30), (23, 47), (24, 48), (48, 71)]
)
def test_the_look_ahead_goes_on_into_the_next_days(lookahead_h: float, n_steps: int) -> None:
    building = Building(made(local_index(date(2016, 3, 26), 3)), FLAT, Assets(ev=None))
    problem = building.problem([date(2016, 3, 26)], lookahead_h=lookahead_h)
    assert problem.horizon.n_steps == n_steps
    assert (problem.n_committed, problem.midnights) == (24, (0, 24))


# --- devices across midnights ----------------------------------------------------------------


def test_a_cycle_across_midnight_stays_where_it_was() -> None:
    index = local_index(FIRST, 4)
    dishwasher = at(index, ("2016-06-01 23:00", 2, 1.0), ("2016-06-02 20:00", 2, 1.0))
    building = house({"dishwasher": dishwasher}, 4)
    balances(building, building.days)
    first = building.problem([FIRST], lookahead_h=24.0)
    assert [agent.name for agent in first.agents] == ["base_load"]
    second = building.problem([date(2016, 6, 2)])
    machine = next(agent for agent in second.agents if agent.name == "dishwasher")
    assert isinstance(machine, DiscretePhaseDevice)
    assert [(c.metered_start, c.earliest, c.latest) for c in machine.cycles] == [(20, 0, 22)]
    base_kw = second.agents[0].unplanned(second.horizon).net_load_kw
    assert base_kw == pytest.approx([1.4] + [0.4] * 23)
    delivers(second)


def test_appliances_of_the_look_ahead_run_as_metered() -> None:
    index = local_index(FIRST, 3)
    dishwasher = at(index, ("2016-06-01 12:00", 2, 1.0), ("2016-06-02 20:00", 2, 1.0))
    heat = at(index, ("2016-06-01 02:00", 5, 2.0), ("2016-06-02 05:00", 4, 2.0))
    history = made(index, {"dishwasher": dishwasher, "heat_pump": heat})
    price = np.where(np.arange(len(index)) % 24 == 3, -200.0, 30.0)
    history = replace(history, price_eur_per_mwh=price)
    building = Building(history, DYNAMIC, Assets(battery=None, ev=None))
    problem = building.problem([FIRST], lookahead_h=24.0)
    plan = GlobalOptimizer(problem.agents, problem.grid).optimize_centralized(problem.horizon)
    ahead = slice(24, 48)
    assert plan.plans["dishwasher"].net_load_kw[ahead] == pytest.approx(np.zeros(24))
    assert plan.plans["base_load"].net_load_kw[ahead] == pytest.approx(0.4 + dishwasher[ahead])
    delivers(problem)


def test_heat_is_handed_on_over_midnight_and_kept_by_the_house_that_was_fitted() -> None:
    """Two days of two and four hours at 5 °C: H = mean heat / (24 h · (limit − 5 K))."""
    index = local_index(FIRST, 2)
    heat = at(index, ("2016-06-01 22:00", 4, 2.0), ("2016-06-02 22:00", 2, 2.0))
    building = house({"heat_pump": heat}, 2, heat=HeatSpec(time_constant_h=20.0, warmer_k=0.5))
    (pump,) = (a for a in building.problem([FIRST]).agents if isinstance(a, HeatPumpAgent))
    made_kwh = 2 * pump.metered_heat_kw[22]  # two hours at 5 °C on the first day, four on the next
    device = device_of(building.truth, "heat_pump")
    degree_hours = 24 * (device.loss.limit_c - 5.0)
    assert device.loss.kw_per_k == pytest.approx(1.5 * 2 * made_kwh / 2 / degree_hours)
    assert pump.house.capacity_kwh_per_k == pytest.approx(20.0 * device.loss.kw_per_k)
    assert pump.most_kwh == pytest.approx(0.5 * pump.house.capacity_kwh_per_k)
    hours = building.problem([FIRST]).horizon
    plan = pump.follow_rule(hours, np.full(24, -1.0), self_consumption(hours))
    state = {"heat_pump": pump.after(plan, 24)}
    (later,) = (
        a for a in building.problem([LATER], state=state).agents if isinstance(a, HeatPumpAgent)
    )
    assert later.beside_kwh == (plan.series["heat_kwh"][-1],)
    assert later.on


def test_a_heat_pump_without_a_thermometer_is_left_out_and_says_so() -> None:
    history = replace(house({"heat_pump": np.ones(72)}).history, weather={})
    building = Building(history, FLAT, Assets(battery=None, ev=None))
    assert [a.name for a in building.problem([FIRST]).agents] == ["base_load"]
    (left,) = building.left_out()
    assert left.name == "heat_pump"
    assert "no outdoor temperature is recorded" in left.why


def test_a_heat_pump_whose_meter_fails_for_a_day_is_part_of_the_base_load_that_day() -> None:
    index = local_index(FIRST, 3)
    heat = at(index, ("2016-06-01 02:00", 70, 1.0))
    heat[30] = np.nan
    building = house({"heat_pump": heat})
    balances(building, building.days)
    names = [[a.name for a in building.problem([day]).agents] for day in building.days]
    assert [("heat_pump" in found) for found in names] == [True, False, True]


def test_a_window_may_begin_in_the_middle_of_a_session() -> None:
    index = local_index(FIRST, 3)
    charged = at(index, ("2016-06-01 21:00", 6, 5.0))
    building = house({"ev": charged}, ev=EVSpec(efficiency=0.9))
    problem = building.problem([date(2016, 6, 2)])
    car = next(a for a in problem.agents if isinstance(a, EVAgent))
    assert car.initial_soc_kwh == pytest.approx(60 - 0.9 * 15)
    assert car.trip_kwh.sum() == 0.0
    delivers(problem)
    plan = GlobalOptimizer(problem.agents, problem.grid).optimize_centralized(problem.horizon)
    assert plan.plans["ev"].net_load_kw.sum() == pytest.approx(15.0, abs=1e-4)


def test_a_window_ends_with_the_car_as_full_as_its_people_had_it() -> None:
    index = local_index(FIRST, 3)
    charged = at(index, ("2016-06-01 21:00", 6, 5.0))
    price = np.where(np.arange(len(index)) < 24, 500.0, 30.0)  # waiting would pay
    history = made(index, {"ev": charged}, price_eur_per_mwh=price)
    building = Building(history, DYNAMIC, Assets(battery=None))
    for ahead_h, least_kwh in ((0.0, 15.0), (24.0, 0.0)):
        problem = building.problem([FIRST], lookahead_h=ahead_h)
        plan = GlobalOptimizer(problem.agents, problem.grid).optimize_centralized(problem.horizon)
        drawn_kwh = plan.plans["ev"].net_load_kw[: problem.n_committed].sum()
        assert drawn_kwh == pytest.approx(least_kwh, abs=1e-4)


def test_the_charge_handed_over_is_where_the_next_day_begins() -> None:
    building = Building(made(local_index(FIRST, 2)), FLAT, Assets(ev=EVSpec(assumed=True)))
    problem = building.problem([FIRST])
    charges = {"battery": 3.0, "ev": 55.0}
    state = {
        a.name: replace(a, initial_soc_kwh=charges[a.name])  # type: ignore[type-var]
        for a in problem.agents
        if a.name in charges
    }
    problem = building.problem([FIRST], state=state)
    found = {a.name: a.initial_soc_kwh for a in problem.agents if hasattr(a, "initial_soc_kwh")}
    assert found == {"battery": 3.0, "ev": 55.0}
    battery = next(a for a in problem.agents if a.name == "battery")
    assert battery.least_final_kwh == 8.0  # type: ignore[attr-defined]


# --- what stands on the bus ------------------------------------------------------------------


def test_a_circuit_with_a_meter_of_its_own_is_left_alone() -> None:
    index = local_index(FIRST, 2)
    heat = at(index, ("2016-06-01 02:00", 5, 2.0))
    history = made(index, {"heat_pump": heat}, apart=("heat_pump",))
    apart = Building(history, FLAT, Assets(battery=None, ev=None))
    balances(apart, apart.days)
    assert [a.name for a in apart.problem([FIRST]).agents] == ["base_load"]
    one_meter = Building(history, FLAT, Assets(battery=None, ev=None, one_meter=True))
    problem = one_meter.problem([FIRST])
    schedule = as_metered(problem.agents, problem.grid, problem.horizon)
    assert [a.name for a in problem.agents] == ["base_load", "heat_pump"]
    assert schedule.plans["grid"].series["import_kw"].sum() == pytest.approx(24 * 0.4 + 10.0)


@pytest.mark.real_data
def test_only_the_circuits_of_residential1_are_left_out(shared_data: Path) -> None:
    """The building that is planned without a name leaves nothing out."""
    left_out = {
        name: {left.name for left in Building(history, DYNAMIC, Assets()).left_out()}
        for name, history in histories(real_database(shared_data)).items()
    }
    assert len(left_out) == 7
    assert left_out.pop("DE_KN_residential1") == {"heat_pump", "pv"}
    assert not any(left_out.values())
    history = histories(real_database(shared_data))["DE_KN_residential1"]
    assert Building(history, DYNAMIC, Assets(one_meter=True)).left_out() == ()


@pytest.mark.real_data
def test_three_circuits_of_residential1_are_no_one_meter(shared_data: Path) -> None:
    """The evidence of docs/data.md."""
    energy_kwh = histories(real_database(shared_data))["DE_KN_residential1"].energy_kwh
    every = np.array([energy_kwh[name] for name in ("grid_import", "heat_pump", "pv")])
    bought, heat, sun = every[:, np.isfinite(every).all(axis=0)]
    assert len(bought) == 15186
    assert np.mean((heat > bought + 0.05)[sun < 0.01]) == pytest.approx(0.547, abs=0.001)
    house = bought + sun - heat
    assert np.mean(house < -0.05) == pytest.approx(0.360, abs=0.001)
    assert house[house < 0].sum() == pytest.approx(-4470, abs=1)
    assert not (bought[sun > 0.5] <= 0.01).any()
    assert np.mean((sun > bought + heat)[sun > 0.5]) == pytest.approx(0.80, abs=0.005)
    net = bought + heat - sun
    assert net[net > 0].sum() == pytest.approx(14503, abs=1)
    assert -net[net < 0].sum() == pytest.approx(11374, abs=1)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_another_size_of_pv_moves_the_sun_and_leaves_the_load(scale: float) -> None:
    index = local_index(FIRST, 1)
    history = made(index, pv_kwh=at(index, ("2016-06-01 10:00", 6, 2.0)), base_kw=0.5)
    crossed = history.energy_kwh["grid_import"].copy()
    crossed[12] += 0.3  # both registers count in one hour
    sold = history.energy_kwh["grid_export"] + (np.arange(24) == 12) * 0.3
    energy_kwh = {**history.energy_kwh, "grid_import": crossed, "grid_export": sold}
    history = replace(history, energy_kwh=energy_kwh)
    building = Building(history, FLAT, Assets(pv_scale=scale))
    assert building.view.energy_kwh("pv").sum() == pytest.approx(12.0 * scale)
    np.testing.assert_array_equal(building.history.pv_kwh, building.view.energy_kwh("pv"))
    np.testing.assert_array_equal(building.truth.load_kwh, history.load_kwh)
    assert building.cross_kwh.sum() == pytest.approx(0.3 * min(1.0, scale))
    task = building.problem([FIRST], metered=True)
    plan = as_metered(task.agents, task.grid, task.horizon)
    net_kwh = -plan.plans["grid"].net_load_kw.sum()
    assert net_kwh == pytest.approx(24 * 0.5 - 12.0 * scale)
    assert building.metered_bill_eur([FIRST]) is None
    assert f"PV {scale:g} times the metered (assumed)" in building.history.source
    assert Building(history, FLAT, Assets()).history is history


def test_pv_that_is_not_behind_the_meter_has_no_size_to_choose() -> None:
    index = local_index(FIRST, 1)
    none = made(index)
    apart = Feed(name="pv", role="pv", category="pv", behind_import=False)
    sold_whole = replace(
        none, feeds=(*none.feeds, apart), energy_kwh={**none.energy_kwh, "pv": np.ones(24)}
    )
    for history in (none, sold_whole):
        with pytest.raises(InvalidSpec, match="made_house: pv_scale is 2, but no PV is metered"):
            Building(history, FLAT, Assets(pv_scale=2.0))
    with pytest.raises(InvalidSpec, match=r"pv_scale is -1.0, allowed is 0 to 100"):
        Assets(pv_scale=-1.0)


def test_without_appliances_or_car_everything_is_base_load() -> None:
    history = histories(twin_database())["DE_KN_residential4"]
    building = Building(history, DYNAMIC, Assets(battery=None, ev=None, appliances=False))
    balances(building, building.days[::20])
    assert [a.name for a in building.problem([date(2016, 6, 1)]).agents] == ["base_load", "pv"]


# --- nothing known that lies beyond the look-ahead -----------------------------------------


def test_what_comes_after_the_look_ahead_changes_no_plan() -> None:
    history = histories(twin_database())["DE_KN_residential4"]
    day = date(2016, 5, 10)
    known = int(np.searchsorted(history.ts_utc, np.datetime64("2016-05-11T22:00")))  # 24 h ahead

    def altered(values: Floats) -> Floats:
        later = np.arange(len(values)) >= known
        return np.where(later, 1.7 * values + 0.3, values)

    meters = {
        f.name: altered(history.energy_kwh[f.name]) for f in history.feeds if f.role != "load"
    }
    other = replace(
        history,
        energy_kwh={**history.energy_kwh, **meters},
        load_kwh=altered(history.load_kwh),
        pv_kwh=altered(history.pv_kwh),
        price_eur_per_mwh=altered(history.price_eur_per_mwh),
    )
    plans = []
    for data in (history, other):
        problem = Building(data, DYNAMIC, Assets()).problem([day], lookahead_h=24.0)
        optimizer = GlobalOptimizer(problem.agents, problem.grid)
        plans.append(optimizer.optimize_centralized(problem.horizon).plans)
    for name in plans[0]:
        assert np.array_equal(plans[0][name].net_load_kw, plans[1][name].net_load_kw), name
