"""Homes on one bus: what they pay alone, together, and by price."""

from __future__ import annotations

import pickle
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from community.streets import hours, street, three_homes

from ems.agents import (
    BaseLoadAgent,
    BatteryAgent,
    DiscretePhaseDevice,
    GridAgent,
    HomeAgent,
)
from ems.community.community import MOST_TOGETHER, Community
from ems.community.decomposed import Chunk, Programs, Question, optimize_decomposed
from ems.core import priced
from ems.core.highs import STATES
from ems.core.matrix import Matrix
from ems.core.mode import Mode
from ems.core.priced import Basis, PricedProgram
from ems.core.solver import Solver
from ems.errors import Infeasible, InvalidSpec


def test_three_homes_by_hand() -> None:
    """Alone −0.32, 0.90 and 0.90 €; together 2 kWh are bought: 0.60 €."""
    horizon, homes = three_homes()
    community = Community(homes)
    alone = community.optimize_alone(horizon)
    bills = [alone.of_home(home).objective_eur for home in alone.homes]
    assert bills == pytest.approx([-0.32, 0.90, 0.90])
    together = community.optimize_together(horizon)
    assert together.cost_eur == pytest.approx(0.60)
    assert together.shared_kwh == pytest.approx([4.0])
    assert together.bought_kwh == pytest.approx([2.0])
    assert together.price_eur_per_kwh == pytest.approx([0.30])
    assert community.rule_together(horizon, "self_consumption").cost_eur == pytest.approx(0.60)


@pytest.mark.parametrize(
    ("needs_kw", "price_eur"),
    [((-4.0, 3.0, 3.0), 0.25), ((-8.0, 3.0, 3.0), 0.08)],
)
def test_the_price_stands_at_the_side_that_trades_with_the_grid(
    needs_kw: tuple[float, ...], price_eur: float
) -> None:
    """With a fee of 5 ct: p_in − f where the community buys, p_out where it sells."""
    horizon, homes = three_homes()
    homes = tuple(
        replace(home, agents=(BaseLoadAgent(load_kw=np.array([need])),))
        for home, need in zip(homes, needs_kw, strict=True)
    )
    community = Community(homes, fee_eur_per_kwh=0.05)
    assert community.optimize_together(horizon).price_eur_per_kwh == pytest.approx([price_eur])
    assert community.optimize_together(horizon).cost_eur == pytest.approx(
        0.05 * min(-needs_kw[0], 6.0)
        + 0.30 * max(sum(needs_kw), 0.0)
        - 0.08 * max(-sum(needs_kw), 0.0)
    )


def test_a_fee_above_the_gain_changes_nothing() -> None:
    """0.30 − 0.08 = 0.22 €/kWh can be gained; a fee of 0.30 counts as that."""
    horizon, homes = three_homes()
    community = Community(homes, fee_eur_per_kwh=0.30)
    assert community.worthless_steps(horizon) == 1
    together, alone = community.optimize_together(horizon), community.optimize_alone(horizon)
    assert together.cost_eur == pytest.approx(alone.cost_eur)
    assert Community(homes, fee_eur_per_kwh=0.21).worthless_steps(horizon) == 0


@pytest.mark.parametrize("seed", range(50))
def test_by_prices_as_in_one_program(seed: int) -> None:
    """The bounds embrace the optimum of one program, and meet within 0.01 % where all is smooth."""
    rng = np.random.default_rng(seed)
    homes = street(seed, int(rng.integers(3, 30)), machines=seed % 2 == 0)
    fee = float(rng.choice([0.0, 0.04, 0.15, 0.4]))
    horizon = hours(int(rng.choice([6, 24])))
    homes = street(seed, len(homes), horizon.n_steps, machines=seed % 2 == 0)
    community = Community(homes, fee_eur_per_kwh=fee)
    by_price, in_one = optimize_decomposed(community, horizon), community.optimize_together(horizon)
    assert by_price.bound_eur <= in_one.cost_eur + 1e-6
    assert in_one.cost_eur <= by_price.cost_eur + 1e-6
    if seed % 2:
        assert by_price.gap_eur <= 1e-4 * max(abs(by_price.cost_eur), 0.01)
    assert in_one.cost_eur <= community.optimize_alone(horizon).cost_eur + 1e-6


def test_whole_choices_leave_a_gap_that_does_not_grow_with_the_homes() -> None:
    for n_homes in (20, 80):
        plan = optimize_decomposed(Community(street(1, n_homes)), hours())
        assert plan.gap_eur < 0.05


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_few_homes_that_all_have_a_machine_still_use_their_batteries(seed: int) -> None:
    """Once machines have chosen, batteries make up for it: else these cost up to 0.9 € more."""
    homes = [
        home
        for home in street(seed, 80)
        if {type(agent) for agent in home.agents} >= {DiscretePhaseDevice, BatteryAgent}
    ]
    community = Community(homes[:6], fee_eur_per_kwh=0.04)
    by_price, in_one = optimize_decomposed(community, hours()), community.optimize_together(hours())
    assert by_price.bound_eur <= in_one.cost_eur + 1e-6
    assert by_price.cost_eur == pytest.approx(in_one.cost_eur, abs=1e-3)


def test_few_homes_over_a_week_need_a_tangent_for_every_price() -> None:
    homes = [home for home in street(3, 20, 168, machines=False) if len(home.agents) == 3][:4]
    community = Community(homes, fee_eur_per_kwh=0.04)
    by_price = optimize_decomposed(community, hours(168))
    assert by_price.rounds > 150
    assert by_price.gap_eur <= 1e-4 * abs(by_price.cost_eur)


def test_the_limits_of_the_connection_hold() -> None:
    """What the community may buy is just enough for some hours, so the price leaves its box."""
    homes, horizon = street(4, 12, machines=False), hours()
    free = Community(homes).optimize_together(horizon)
    limit_kw = 0.8 * float(free.bought_kwh.max())
    limited = Community(homes, connection=GridAgent(max_import_kw=limit_kw))
    in_one, by_price = limited.optimize_together(horizon), optimize_decomposed(limited, horizon)
    assert in_one.bought_kwh.max() <= limit_kw + 1e-5
    assert in_one.cost_eur > free.cost_eur
    assert by_price.bound_eur <= in_one.cost_eur + 1e-6 <= by_price.cost_eur + 2e-6
    assert by_price.gap_eur <= 1e-4 * abs(by_price.cost_eur)


def test_an_answer_depends_on_price_and_basis_alone() -> None:
    """Not on what its program was asked before, nor on where it runs."""
    horizon, rng = hours(), np.random.default_rng(0)
    chunk = Chunk(
        homes=tuple(street(3, 20)),
        horizon=horizon,
        worth_at_least=np.full(24, 0.08),
        solver=Solver(),
    )
    kept, bases = Programs(chunk), (None, None)
    for _ in range(4):
        question = Question(0, rng.uniform(0.08, 0.30, 24), bases)
        here = kept.answer(question)
        there = Programs(chunk).answer(pickle.loads(pickle.dumps(question)))
        np.testing.assert_array_equal(there.smooth.x, here.smooth.x)
        for one, other in zip(there.whole, here.whole, strict=True):
            np.testing.assert_array_equal(one.x, other.x)
        assert (there.bound_eur, there.bases) == (here.bound_eur, here.bases)
        bases = here.bases


def test_a_basis_with_no_way_on_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The primal simplex ended so in one of 60,000 solves, in a street of 1,000."""
    home, prices = street(3, 1), np.full(24, 0.15)
    program = PricedProgram(home, hours(), np.full(24, 0.08))
    first = program.answer(prices, Solver())

    def stuck(basis: Basis | None, matrix: Matrix, solver: Solver) -> Any:
        unknown = SimpleNamespace(getModelStatus=lambda: STATES.kUnknown)
        return unknown if basis else run_from(basis, matrix, solver)

    run_from = priced._run_from
    monkeypatch.setattr(priced, "_run_from", stuck)
    again = program.answer(prices, Solver(), first.basis)
    np.testing.assert_array_equal(again.x, first.x)


def test_relabelling_homes_changes_no_total() -> None:
    homes, horizon = street(6, 9), hours()
    renamed = [replace(home, name=f"other_{n}") for n, home in enumerate(homes)]
    one, other, turned = Community(homes), Community(renamed), Community(renamed[::-1])
    rule: Mode = "self_consumption"
    assert one.rule_together(horizon, rule).cost_eur == other.rule_together(horizon, rule).cost_eur
    assert one.rule_alone(horizon, rule).cost_eur == turned.rule_alone(horizon, rule).cost_eur
    for mode in ("optimize_alone", "optimize_together"):
        assert getattr(one, mode)(horizon).cost_eur == pytest.approx(
            getattr(turned, mode)(horizon).cost_eur, abs=1e-5
        )


def test_all_crowd_into_the_cheapest_step_at_an_announced_price() -> None:
    homes, horizon = street(2, 12, machines=False), hours()
    community = Community(homes)
    buy = horizon.import_eur_per_kwh - 0.02
    buy[3] = 0.01
    at_price = community.optimize_at_price(horizon, buy, horizon.export_eur_per_kwh)
    assert at_price.cost_eur >= community.optimize_together(horizon).cost_eur
    assert at_price.bought_kwh.argmax() == 3


@pytest.mark.parametrize(
    ("homes", "says"),
    [
        (street(1, 1), "1 home; sharing needs at least two"),
        ([*street(1, 2), street(1, 1)[0]], "home_0 is in it twice"),
    ],
)
def test_what_is_no_community_is_refused(homes: list[HomeAgent], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        Community(homes)


def test_limits_that_cannot_be_kept_and_too_many_homes_are_said() -> None:
    horizon, homes = three_homes()
    narrow = Community(homes, connection=GridAgent(max_import_kw=1.0))
    with pytest.raises(Infeasible, match="import_limit"):
        narrow.optimize_together(horizon)
    with pytest.raises(Infeasible, match="cannot keep the limits"):
        optimize_decomposed(narrow, horizon)
    with pytest.raises(InvalidSpec, match="use the mode decomposed"):
        Community(street(1, MOST_TOGETHER + 1, machines=False)).optimize_together(horizon)
    with pytest.raises(InvalidSpec, match="demand charge"):
        Community(homes, connection=GridAgent(demand_charge_eur_per_kw=50.0))
    upside = replace(horizon, export_eur_per_kwh=np.array([0.4]))
    with pytest.raises(InvalidSpec, match="a kWh sold earns"):
        optimize_decomposed(Community(homes), upside)
