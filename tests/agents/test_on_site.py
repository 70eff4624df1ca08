"""What holds for every kind of device on a building's whole grid, and for forecasts of agents."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from agents.test_contract import AGENTS, EXACT, LOAD, SUN, N
from small_building import device_of, histories, twin_database

from ems.agents import BatteryAgent, GridAgent
from ems.agents.comfort import ShiftComfort
from ems.agents.on_site import Instant, PlanFrame, SiteDevice
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.economics.tariff_file import load_tariff
from ems.site.assets import Assets
from ems.site.building import Building

DAYS = [date(2016, 6, 1) + timedelta(days=i) for i in range(14)]
NAMES = ["pv", "dishwasher", "washing_machine", "heat_pump", "ev", "battery"]


@pytest.fixture(scope="module")
def building() -> Building:
    return Building(
        histories(twin_database())["DE_KN_residential4"], load_tariff("dynamic"), Assets()
    )


@pytest.fixture(params=NAMES)
def device(building: Building, request: pytest.FixtureRequest) -> SiteDevice:
    found: SiteDevice = device_of(building.truth, request.param)
    return found


def test_a_building_lists_what_it_has_in_this_order(building: Building) -> None:
    assert [device.name for device in building.truth.devices] == NAMES


def test_what_leaves_the_base_load_is_what_the_agent_draws(
    building: Building, device: SiteDevice
) -> None:
    """When nobody plans; generation and batteries are in no load."""
    horizon = building.problem(DAYS, lookahead_h=24.0).horizon
    stretch = building.stretch(DAYS, 24.0)
    frame = PlanFrame(
        stretch=stretch,
        horizon=horizon,
        state={},
        comfort=ShiftComfort(eur_per_h=0.02),
        runs_foreseen=True,
        closed=False,
    )
    agent, taken_kwh = device.agent(frame), device.planned_kwh(stretch)
    assert agent is not None
    drawn_kwh = horizon.energy_kwh(agent.unplanned(horizon).net_load_kw)
    expected_kwh = drawn_kwh if agent.kind == "load" else np.zeros(horizon.n_steps)
    np.testing.assert_allclose(taken_kwh, expected_kwh, atol=1e-9)


def test_the_past_is_believed_as_it_was_and_only_forecasts_change_it(
    building: Building, device: SiteDevice
) -> None:
    today = building.span(DAYS[0])
    step = today.start + 12
    now = Instant(
        step=step,
        ahead=slice(step, step + 48),
        today=today,
        tomorrow=building.span(DAYS[1]),
        past_days=tuple(building.span(day) for day in building.days if day < DAYS[0]),
        hour=building.view.hour,
    )
    learned = device.to_learn(step)
    guessed_kw = None if learned is None else np.full(48, 0.5)
    believed = device.believed(now, guessed_kw)
    before = slice(today.start, step)
    np.testing.assert_array_equal(believed.used_kwh(before), device.used_kwh(before))
    if learned is not None and learned.model == "load":
        assert believed.used_kwh(now.ahead) == pytest.approx(np.full(48, 0.5 * device.step_h))


@pytest.mark.parametrize("apart_kw", [0.5, -1.0])
def test_a_future_differs_by_what_it_is_told(apart_kw: float) -> None:
    load = LOAD.in_future(np.full(N, apart_kw))
    np.testing.assert_allclose(load.load_kw, LOAD.load_kw + apart_kw)
    np.testing.assert_allclose(load.foreseen_kw, load.unplanned(HOURS).net_load_kw)
    sun = SUN.in_future(np.full(N, apart_kw))
    np.testing.assert_allclose(sun.available_kw, np.maximum(SUN.available_kw + apart_kw, 0.0))
    np.testing.assert_allclose(sun.foreseen_kw, sun.unplanned(HOURS).net_load_kw)
    planned = [a for a in AGENTS.values() if not isinstance(a, type(LOAD) | type(SUN))]
    assert all(agent.foreseen_kw is None for agent in planned)


def test_a_battery_charges_in_the_first_of_equal_hours() -> None:
    prices = Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array([0.1, 0.1, 0.1, 0.4]),
        export_eur_per_kwh=np.array([0.0, 0.0, 0.0, 0.3]),
    )
    battery = BatteryAgent(capacity_kwh=2.0, initial_soc_kwh=0.0)
    plan = GlobalOptimizer([battery], GridAgent(), EXACT).optimize_centralized(prices)
    charge_kw = plan.plans["battery"].series["charge_kw"]
    assert charge_kw[0] > 2.0
    assert charge_kw[1:] == pytest.approx(np.zeros(3), abs=1e-6)


HOURS = Horizon(
    start_utc=np.datetime64("2016-06-01T00:00"),
    step_h=1.0,
    import_eur_per_kwh=np.full(N, 0.3),
    export_eur_per_kwh=np.full(N, 0.1),
)
