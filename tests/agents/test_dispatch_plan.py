"""The audited plans of a building: costs, windows, hand-over and what the audit finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle import cost_eur
from strategies import make_case

from ems.agents import BaseLoadAgent, Cycle, DiscretePhaseDevice, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import as_metered
from ems.control.optimizer import GlobalOptimizer
from ems.core.participant import Plan
from ems.errors import SolveError

CASE = make_case(
    11,
    devices=("battery", "v2g", "machine", "heat_pump", "pv"),
    prices="usual",
    demand_charge=True,
)


@pytest.fixture(scope="module")
def done() -> DispatchPlan:
    return GlobalOptimizer(CASE.agents, CASE.grid).optimize_centralized(CASE.horizon)


def with_plan(done: DispatchPlan, name: str, **changes: Any) -> DispatchPlan:
    return replace(done, plans={**done.plans, name: replace(done.plans[name], **changes)})


@pytest.mark.smoke
def test_the_costs_add_up_to_the_objective(done: DispatchPlan) -> None:
    costs = done.costs_eur()
    assert {"bill", "demand_charge", "wear", "discomfort"} <= set(costs)
    assert sum(costs.values()) == pytest.approx(done.objective_eur, abs=1e-5)
    assert cost_eur(done) == pytest.approx(done.objective_eur, abs=1e-5)
    assert 0 <= done.gap_eur <= max(1e-4, 1e-6 * abs(done.objective_eur)) + 1e-6


def test_net_loads_by_kind_cancel(done: DispatchPlan) -> None:
    everything = done.net_load_kw("load", "generation", "storage", "grid")
    assert_allclose(everything, 0.0, atol=1e-5)
    generation_kw = next(a for a in CASE.agents if a.name == "pv").available_kw  # type: ignore[attr-defined]
    assert_allclose(done.net_load_kw("generation"), -generation_kw)
    assert_array_equal(done.net_load_kw(), np.zeros(24))


@pytest.mark.smoke
@pytest.mark.parametrize("step", [0, 9, 23])
@pytest.mark.parametrize(
    "name", ["base_load", "battery", "v2g", "machine", "heat_pump", "pv", "grid"]
)
def test_the_audit_finds_a_net_load_that_moved(done: DispatchPlan, name: str, step: int) -> None:
    moved_kw = done.plans[name].net_load_kw.copy()
    moved_kw[step] += 0.01
    with pytest.raises(SolveError, match=rf"fails its audit: .*{name}: .*balance: 0.01 kW"):
        with_plan(done, name, net_load_kw=moved_kw).audit()


def test_the_audit_finds_a_wrong_bill(done: DispatchPlan) -> None:
    wrong = replace(done, objective_eur=done.objective_eur + 0.01)
    with pytest.raises(SolveError, match=r"centralized plan from 2016-06-01 00:00 .*bill: recomp"):
        wrong.audit()
    with pytest.raises(SolveError, match="bill"):
        replace(done, objective_eur=np.nan).audit()


def test_the_audit_finds_two_wrongs_that_cancel(done: DispatchPlan) -> None:
    """A battery that gives 1 kW more while the grid gives 1 kW less balances, yet is wrong."""
    battery, grid = done.plans["battery"], done.plans["grid"]
    shift = np.where(np.arange(24) == 5, 1.0, 0.0)
    wrong = replace(
        done,
        plans={
            **done.plans,
            "battery": replace(battery, net_load_kw=battery.net_load_kw - shift),
            "grid": replace(grid, net_load_kw=grid.net_load_kw + shift),
        },
    )
    with pytest.raises(SolveError) as caught:
        wrong.audit()
    assert "battery: net_load_kw[5]" in str(caught.value)
    assert "grid: net_load_kw[5]" in str(caught.value)
    assert "balance" not in str(caught.value)


def test_a_window_by_hand() -> None:
    """Loads of 1, 3, 2 and 5 kW, and 1 kW of machine in the last step, at 1 €/kW of peak.

    The first half pays for 3 kW, the second for the 3 kW above; the machine started in step 3
    bothers by 0.30 €, and in no other step.
    """
    horizon = CASE.horizon.window(0, 4)
    load = BaseLoadAgent(name="load", load_kw=np.array([1.0, 3.0, 2.0, 5.0]))
    run = Cycle(number=1, profile_kw=(1.0,), metered_start=3, earliest=0, latest=3)
    table = np.array([[0.0, 0.1, 0.2, 0.3]])
    machine = DiscretePhaseDevice(name="machine", cycles=(run,), discomfort_eur=table)
    whole = as_metered([load, machine], GridAgent(demand_charge_eur_per_kw=1.0), horizon)
    first, second = whole.window(0, 2).costs_eur(), whole.window(2, 4).costs_eur()
    assert (first["demand_charge"], first["discomfort"]) == (3.0, 0.0)
    assert (second["demand_charge"], second["discomfort"]) == (3.0, 0.3)


def test_a_window_stands_where_it_begins(done: DispatchPlan) -> None:
    """Costs of the windows add up, discomfort and the demand charge among them."""
    parts = [done.window(a, b) for a, b in [(0, 7), (7, 15), (15, 24)]]
    battery = next(a for a in CASE.agents if a.name == "battery")
    assert battery.terminal_value_eur_per_kwh == 0.0  # type: ignore[attr-defined]
    total: dict[str, float] = {}
    for part in parts:
        for kind, eur in part.costs_eur().items():
            total[kind] = total.get(kind, 0.0) + eur
    assert total == pytest.approx(done.costs_eur(), abs=1e-6)
    assert parts[1].horizon.ts_utc[0] == done.horizon.ts_utc[7]
    assert np.isnan(parts[1].objective_eur)


def test_after_hands_over_every_agent(done: DispatchPlan) -> None:
    later = {agent.name: agent for agent in done.after(10)}
    assert list(later) == [*(a.name for a in CASE.agents), "grid"]
    assert (
        later["grid"].peak_so_far_kw
        == max(  # type: ignore[attr-defined]
            CASE.grid.peak_so_far_kw, done.plans["grid"].series["import_kw"][:10].max()
        )
    )
    soc_kwh = done.plans["battery"].series["soc_kwh"][9]
    assert later["battery"].initial_soc_kwh == pytest.approx(soc_kwh, abs=1e-6)  # type: ignore[attr-defined]


def test_the_frame_is_in_local_time(done: DispatchPlan) -> None:
    frame = done.frame()
    assert frame.shape[0] == 24
    assert {"battery.soc_kwh", "grid.import_kw", "machine.started", "pv.net_load_kw"} <= set(frame)
    assert frame.index.name == "local_time"
    assert str(frame.index[0]) == "2016-06-01 00:00:00+02:00"
    assert_array_equal(frame["grid.import_kw"], done.plans["grid"].series["import_kw"])


def test_a_plan_window_cuts_every_series() -> None:
    plan = Plan(agent="a", net_load_kw=np.arange(5.0), series={"x": np.arange(5.0) * 2})
    part = plan.window(1, 3)
    assert_array_equal(part.net_load_kw, [1, 2])
    assert_array_equal(part.series["x"], [2, 4])
