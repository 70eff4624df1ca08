"""Two-stage plans: worked out by hand, and held against the plan for the mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    GridAgent,
    PVAgent,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.scenario_program import ScenarioProgram
from ems.core.solver import Solver
from ems.errors import Infeasible, InvalidSpec

EXACT = Solver(mip_gap=0.0, mip_gap_eur=1e-7)
LOSSLESS = BatteryAgent(
    capacity_kwh=10.0,
    initial_soc_kwh=0.0,
    final_soc_kwh=0.0,
    max_charge_kw=10.0,
    max_discharge_kw=10.0,
    round_trip_efficiency=1.0,
    wear_eur_per_kwh=1e-5,
)


def horizon(buy: list[float], sell: list[float]) -> Horizon:
    return Horizon(
        start_utc=np.datetime64("2016-06-01T00:00"),
        step_h=1.0,
        import_eur_per_kwh=np.array(buy),
        export_eur_per_kwh=np.array(sell),
    )


def loads(*futures: list[float]) -> list[list[Agent]]:
    return [[BaseLoadAgent(name="base_load", load_kw=np.array(kw))] for kw in futures]


def hedged(
    of: Horizon, scenarios: list[list[Agent]], n_first: int, *others: Agent
) -> tuple[DispatchPlan, float]:
    optimizer = GlobalOptimizer([*scenarios[0], *others], GridAgent(), EXACT)
    plan = optimizer.optimize_hedged(of, scenarios, n_first)
    worlds = tuple((*some, *others, GridAgent()) for some in scenarios)
    solution = ScenarioProgram(horizon=of, worlds=worlds, n_first=n_first).solve(EXACT)[0]
    return plan, solution.objective_eur


@pytest.mark.parametrize(
    ("cheap", "bought_kwh", "mean_eur"),
    [
        # the 4th kWh is used in half of the futures: ½ · 0.40 + ½ · 0.05 = 0.225 €
        pytest.param(0.10, 4.0, 4 * 0.10 - 0.5 * 4 * 0.05, id="worth buying for half a chance"),
        pytest.param(0.30, 0.0, 0.5 * 4 * 0.40, id="not worth buying for half a chance"),
    ],
)
def test_the_newsvendor_by_hand(cheap: float, bought_kwh: float, mean_eur: float) -> None:
    of = horizon([cheap, 0.40], [0.05, 0.05])
    plan, objective_eur = hedged(of, loads([0.0, 0.0], [0.0, 4.0]), 1, LOSSLESS)
    assert plan.plans["battery"].series["charge_kw"][0] == pytest.approx(bought_kwh, abs=1e-4)
    assert objective_eur == pytest.approx(mean_eur, abs=1e-3)


def test_the_mean_future_would_buy_only_half() -> None:
    of = horizon([0.10, 0.40], [0.05, 0.05])
    alone = GlobalOptimizer([*loads([0.0, 2.0])[0], LOSSLESS], GridAgent(), EXACT)
    plan = alone.optimize_centralized(of)
    assert plan.plans["battery"].series["charge_kw"][0] == pytest.approx(2.0, abs=1e-4)


def test_what_comes_behind_the_next_plan_may_differ() -> None:
    of = horizon([0.10, 0.30, 0.30], [0.05, 0.05, 0.05])
    scenarios = loads([0.0, 4.0, 0.0], [0.0, 0.0, 4.0])
    _, free_eur = hedged(of, scenarios, 1, LOSSLESS)
    _, tied_eur = hedged(of, scenarios, 3, LOSSLESS)
    assert free_eur == pytest.approx(0.40, abs=1e-3)
    assert tied_eur > free_eur + 0.1


def test_one_future_is_the_plain_plan() -> None:
    of = horizon([0.10, 0.40, 0.20], [0.05, 0.05, 0.05])
    scenarios = loads([1.0, 2.0, 0.5])
    plan, _ = hedged(of, scenarios, 1, LOSSLESS)
    plain = GlobalOptimizer([*scenarios[0], LOSSLESS], GridAgent(), EXACT).optimize_centralized(of)
    assert plan.objective_eur == pytest.approx(plain.objective_eur, abs=1e-6)


def test_a_machine_is_started_at_one_time_in_all_futures() -> None:
    of = horizon([0.30, 0.30, 0.30], [0.05, 0.05, 0.05])
    cycle = Cycle(number=1, profile_kw=(2.0,), metered_start=0, earliest=0, latest=2)
    machine = DiscretePhaseDevice(name="machine", cycles=(cycle,))
    sunny = [
        [BaseLoadAgent(name="base_load", load_kw=np.zeros(3)), PVAgent(name="pv", available_kw=sun)]
        for sun in (np.array([0.0, 2.0, 0.0]), np.array([0.0, 1.5, 2.0]))
    ]
    plan, objective_eur = hedged(of, sunny, 1, machine)
    assert np.flatnonzero(plan.plans["machine"].series["started"] > 0.5).tolist() == [1]
    assert objective_eur == pytest.approx(0.5 * 0.5 * 0.30 - 0.5 * 2.0 * 0.05, abs=1e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.floats(0.0, 5.0), min_size=4, max_size=4), min_size=2, max_size=4))
def test_hedging_is_never_dearer_in_the_mean_than_the_plan_for_the_mean(
    futures: list[list[float]],
) -> None:
    of = horizon([0.10, 0.40, 0.15, 0.35], [0.05, 0.05, 0.05, 0.05])
    scenarios = loads(*futures)
    _, hedged_eur = hedged(of, scenarios, 2, LOSSLESS)
    middle = loads(np.mean(futures, axis=0).tolist())[0]
    plain = GlobalOptimizer([*middle, LOSSLESS], GridAgent(), EXACT).optimize_centralized(of)
    told = plain.plans["battery"].series
    fixed_eur = []
    for future in futures:
        left_kwh = float(np.clip(told["soc_kwh"][1], 0.0, 10.0))
        kept = replace(LOSSLESS, initial_soc_kwh=left_kwh)
        rest = GlobalOptimizer(
            [BaseLoadAgent(name="base_load", load_kw=np.array(future[2:])), kept],
            GridAgent(),
            EXACT,
        ).optimize_centralized(of.window(2, 4))
        first_kw = np.array(future[:2]) + plain.plans["battery"].net_load_kw[:2]
        bill = of.bill_eur(np.maximum(first_kw, 0.0), np.maximum(-first_kw, 0.0)).sum()
        wear = 1e-5 * float((told["charge_kw"] + told["discharge_kw"])[:2].sum())
        fixed_eur.append(float(bill) + wear + rest.objective_eur)
    assert hedged_eur <= np.mean(fixed_eur) + 1e-5


def test_what_cannot_be_done_names_the_scenario() -> None:
    of = horizon([0.1, 0.1], [0.05, 0.05])
    full = BatteryAgent(initial_soc_kwh=0.0, final_soc_kwh=15.0, max_charge_kw=1.0)
    with pytest.raises(Infeasible, match=r"s0_battery\.final_soc: 13\.05 kWh short"):
        hedged(of, loads([0.0, 0.0]), 1, full)


def test_bad_worlds() -> None:
    of = horizon([0.1, 0.1], [0.05, 0.05])
    house = loads([0.0, 0.0])[0]
    with pytest.raises(InvalidSpec, match="worlds is empty"):
        ScenarioProgram(horizon=of, worlds=(), n_first=1)
    with pytest.raises(InvalidSpec, match="n_first is 3, allowed is 1 to 2"):
        ScenarioProgram(horizon=of, worlds=(tuple(house),), n_first=3)
    with pytest.raises(InvalidSpec, match="scenario 1 has the agents battery, the first base_load"):
        ScenarioProgram(horizon=of, worlds=(tuple(house), (LOSSLESS,)), n_first=1)


def test_a_store_that_balances_need_not_be_told() -> None:
    """Half of the futures use 4 kWh at once: a store that follows saves them, one told buys none.

    Told: 0 or 4 kWh must leave the battery in both futures; left over, they are sold for 0.05 €.
    """
    of = horizon([0.40, 0.40], [0.05, 0.05])
    full = replace(LOSSLESS, initial_soc_kwh=4.0)
    futures = loads([0.0, 0.0], [4.0, 0.0], [0.0, 4.0])
    optimizer = GlobalOptimizer([*futures[0], full], GridAgent(), EXACT)
    worlds = tuple((*some, full, GridAgent()) for some in futures)

    def mean_eur(*, stores_follow: bool) -> float:
        optimizer.optimize_hedged(of, futures, 2, stores_follow=stores_follow)
        program = ScenarioProgram(horizon=of, worlds=worlds, n_first=2, stores_follow=stores_follow)
        return program.solve(EXACT)[0].objective_eur

    # told: 4 kWh leave in one of the steps: sold, used, sold
    assert mean_eur(stores_follow=False) == pytest.approx((-0.2 + 0.0 + (-0.2 + 1.6)) / 3, abs=1e-3)
    assert mean_eur(stores_follow=True) == pytest.approx(-0.2 / 3, abs=1e-3)
