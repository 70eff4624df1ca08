"""The worked example of docs/add_an_agent.md: a new agent passes what every agent must pass."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from agents import test_contract as contract
from documents import ROOT, blocks

from ems.agents import GridAgent
from ems.control.optimizer import GlobalOptimizer
from ems.errors import Infeasible, InvalidSpec

FILE = ROOT / "docs" / "examples" / "water_heater.py"


@pytest.fixture(scope="module")
def heater() -> Iterator[Any]:
    """The example's agent, from its file."""
    spec = importlib.util.spec_from_file_location("water_heater", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["water_heater"] = module
    spec.loader.exec_module(module)
    drawn_kwh = np.array([0.0, 1.5, 0.5, 0.0, 1.0, 0.0])
    yield module.WaterHeaterAgent(name="heater", drawn_kwh=drawn_kwh)
    del sys.modules["water_heater"]


@pytest.fixture
def listed(heater: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its line in the list of the contract suite."""
    monkeypatch.setitem(contract.AGENTS, "water_heater", heater)
    return "water_heater"


def test_the_page_shows_the_file() -> None:
    page = blocks(ROOT / "docs" / "add_an_agent.md")
    assert page[0].text == FILE.read_text(encoding="utf-8")


def test_it_passes_the_contract(listed: str) -> None:
    contract.test_plans_have_the_right_shape_and_keep_every_rule(listed)
    contract.test_nothing_is_mutated(listed)
    contract.test_is_frozen_with_arrays_that_are_read_only(listed)
    contract.test_pickles(listed)
    contract.test_unplanned_passes_its_own_audit(listed)
    contract.test_an_audit_catches_any_number_that_is_changed(listed)
    for phase_h in (1.0, 4.0):
        contract.test_planning_in_phases_costs_the_same_as_planning_whole(listed, phase_h)
    for n_steps in range(1, contract.N):
        contract.test_the_rest_of_a_plan_is_a_plan_of_what_comes_after(listed, n_steps)


ON_FORECASTS = {
    "test_what_is_believed_rightly_is_carried_out_to_the_letter",
    "test_in_the_same_state_it_is_believed_to_be_the_same",
    "test_whatever_it_is_told_it_keeps_its_physical_rules",
    "test_nobody_tells_it_anything",
}
"""Of an agent that has ``execute`` and ``with_state_of``, which the example leaves out."""


def test_no_test_of_the_contract_was_forgotten() -> None:
    each = [
        name
        for name, test in vars(contract).items()
        if name.startswith("test_") and "name" in test.__annotations__
    ]
    assert len(set(each) - ON_FORECASTS) == 8
    assert set(each) > ON_FORECASTS


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"max_power_kw": 0.5}, "heater: power_kw"),
        ({"capacity_kwh": 3.0}, "heater: heat_kwh"),
        ({"final_kwh": 5.0}, "heater: final_heat"),
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
    cold = replace(heater, initial_kwh=0.0, drawn_kwh=np.full(6, 5.0))
    with pytest.raises(Infeasible, match=r"heater\.heat: .* kWh (short|over)"):
        GlobalOptimizer([cold], GridAgent()).optimize_centralized(contract.HORIZON)
    with pytest.raises(InvalidSpec, match="heater: initial_kwh is 7"):
        replace(heater, initial_kwh=7)
    with pytest.raises(InvalidSpec, match=r"heater: drawn_kwh\[2\] is -0.1"):
        replace(heater, drawn_kwh=np.array([0, 0, -0.1]))
