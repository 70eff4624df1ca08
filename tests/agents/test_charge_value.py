"""The value of charge, by hand and against a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from ems.agents import BatteryAgent
from ems.agents.charge_value import DOUBT_EUR_PER_KWH, LEVELS, ChargeLevels
from ems.control.rules import self_consumption
from ems.core.horizon import Horizon
from ems.types import Floats


def horizon(import_eur: list[float], export_eur: list[float] | None = None) -> Horizon:
    prices = np.array(import_eur)
    return Horizon(
        start_utc=np.datetime64("2016-03-01T00:00:00"),
        step_h=1.0,
        import_eur_per_kwh=prices,
        export_eur_per_kwh=np.zeros(len(prices)) if export_eur is None else np.array(export_eur),
    )


def battery(**given: float) -> BatteryAgent:
    plain = {
        "capacity_kwh": 3.0,
        "max_charge_kw": 2.0,
        "max_discharge_kw": 2.0,
        "round_trip_efficiency": 1.0,
        "wear_eur_per_kwh": 0.0,
        "initial_soc_kwh": 1.0,
    }
    return BatteryAgent(**{**plain, **given})  # type: ignore[arg-type]


def costs(agent: BatteryAgent, of: Horizon, futures_kw: list[list[float]], left: float) -> Floats:
    found = agent.costs_by_charge_eur(of, np.array(futures_kw), {"soc": left})
    assert found is not None
    assert found.shape == (of.n_steps + 1, LEVELS)
    return found


def test_a_kwh_is_worth_what_it_saves_in_the_mean_of_the_futures() -> None:
    """A last hour at 0.40 €, load 1 or 2 kW: the first kWh saves 0.40, the second 0.20, no third.

    At 0, 1, 2 and 3 kWh (0.40 + 0.80) / 2 = 0.60, 0.20, 0.00 and 0.00 € are still to be paid.
    """
    found = costs(battery(), horizon([0.4]), [[1.0], [2.0]], 0.0)[0]
    np.testing.assert_allclose(found[[0, 10, 20, 30]], [0.6, 0.2, 0.0, 0.0], atol=1e-12)


def test_the_end_is_worth_what_it_is_told() -> None:
    found = costs(battery(), horizon([0.4]), [[0.0]], 0.5)
    np.testing.assert_allclose(found[1], -0.5 * np.linspace(0.0, 3.0, LEVELS))
    # A kWh bought for 0.40 is worth 0.50: an empty battery buys its 2 kWh.
    assert found[0][0] == pytest.approx(-0.2)


@pytest.mark.parametrize("seed", range(4))
def test_one_future_costs_what_a_linear_program_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 8
    buy, sell = rng.uniform(0.2, 0.4, n), rng.uniform(0.02, 0.15, n)
    load_kw = rng.uniform(-3.0, 3.0, n)
    agent = battery(round_trip_efficiency=0.9, wear_eur_per_kwh=0.02)
    found = costs(agent, horizon(list(buy), list(sell)), [list(load_kw)], 0.1)[0]
    eta = np.sqrt(0.9)
    # x = import, export, charge, discharge, each of n steps.
    cost = np.concatenate([buy, -sell, np.full(n, 0.02 - 0.1 * eta), np.full(n, 0.02 + 0.1 / eta)])
    one, tri = np.eye(n), np.tril(np.ones((n, n)))
    gained = np.hstack([np.zeros((n, 2 * n)), eta * tri, -tri / eta])
    for level, held_kwh in ((0, 0.0), (10, 1.0), (30, 3.0)):
        solved = linprog(
            cost,
            A_eq=np.hstack([one, -one, -one, one]),
            b_eq=load_kw,
            A_ub=np.vstack([gained, -gained]),
            b_ub=np.concatenate([np.full(n, 3.0 - held_kwh), np.full(n, held_kwh)]),
            bounds=[(0, None)] * (2 * n) + [(0, 2.0)] * (2 * n),
        )
        # Between levels costs are interpolated: never below the optimum, and close above it.
        assert -1e-9 <= found[level] - (solved.fun - 0.1 * held_kwh) <= 0.02


def followed(agent: BatteryAgent, of: Horizon, net_kw: list[float], slopes: list[float]) -> Floats:
    """Its power if a kWh is worth ``slopes`` after each step [kW]."""
    then_eur = -np.array(slopes)[:, None] * np.linspace(0.0, agent.capacity_kwh, LEVELS)
    return agent.follow_value(of, np.array(net_kw), then_eur).net_load_kw


def test_it_does_as_the_rule_where_nothing_is_better() -> None:
    net_kw = [1.0, -2.0, 0.5, -0.7]
    agent, of = battery(), horizon([0.3] * 4, [0.1] * 4)
    ours = followed(agent, of, net_kw, [0.2] * 4)
    rule = agent.follow_rule(of, np.array(net_kw), self_consumption(of))
    np.testing.assert_allclose(ours, rule.net_load_kw)


def test_it_keeps_what_is_worth_more_later_and_buys_what_is_cheap_now() -> None:
    """A load of 1 kW at 0.30 €: held at 0.32 €, bought at 0.32 € as well, but not at 0.305 €."""
    agent, of = battery(), horizon([0.3])
    assert followed(agent, of, [1.0], [0.305]) == pytest.approx([-1.0])
    assert followed(agent, of, [1.0], [0.32]) == pytest.approx([2.0])


def test_wear_and_losses_stand_against_a_trade() -> None:
    """(0.30 + 0.05 wear + 0.01 doubt) / 0.9 = 0.40 € must a stored kWh be worth to be bought."""
    agent = battery(round_trip_efficiency=0.81, wear_eur_per_kwh=0.05)
    assert followed(agent, horizon([0.3]), [0.0], [0.42]) == pytest.approx([2.0])
    assert followed(agent, horizon([0.3]), [0.0], [0.36]) == pytest.approx([0.0])


def test_what_is_gained_must_be_more_than_the_doubt() -> None:
    agent, of = battery(), horizon([0.3])
    least = 0.3 + DOUBT_EUR_PER_KWH
    assert followed(agent, of, [1.0], [least - 1e-4]) == pytest.approx([-1.0])
    assert followed(agent, of, [1.0], [least + 1e-4])[0] > -1.0


def test_it_never_leaves_its_limits() -> None:
    rng = np.random.default_rng(0)
    agent = battery(round_trip_efficiency=0.9)
    of = horizon(list(rng.uniform(0.1, 0.5, 48)), list(rng.uniform(0.0, 0.2, 48)))
    then_eur = np.sort(rng.uniform(-1.0, 0.0, (48, LEVELS)))[:, ::-1]
    plan = agent.follow_value(of, rng.uniform(-4.0, 4.0, 48), then_eur)
    assert not list(agent.without_targets().audit(plan, of))


def test_a_battery_of_no_size_has_no_value() -> None:
    none = battery(capacity_kwh=0.0, initial_soc_kwh=0.0)
    assert none.costs_by_charge_eur(horizon([0.3]), np.zeros((1, 1)), {"soc": 0.0}) is None


def test_levels_span_what_may_be_used() -> None:
    agent = battery(min_soc_kwh=0.5)
    levels = ChargeLevels(store=agent.store, low_kwh=0.5, up_kwh=3.0)
    assert levels.kwh[0] == 0.5
    least_kw, most_kw = levels.limits_kw(np.array([0.5, 1.0, 3.0]), 1.0)
    np.testing.assert_allclose(least_kw, [0.0, -0.5, -2.0])
    np.testing.assert_allclose(most_kw, [2.0, 2.0, 0.0])
