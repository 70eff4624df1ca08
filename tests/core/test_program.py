"""One program: its text as reviewed, why it is infeasible, and what it refuses."""

from __future__ import annotations

import doctest
import os
import pickle
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from strategies import make_case

import ems.control.optimizer
import ems.core.program
from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    HeatPumpAgent,
    PVAgent,
)
from ems.agents.store import Store
from ems.agents.thermal import House
from ems.control.optimizer import GlobalOptimizer
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution
from ems.core.program import Program, bus_worth
from ems.core.solve import solve
from ems.core.solver import Solver
from ems.errors import Infeasible, InvalidSpec, SolveError
from ems.types import Floats

GOLDEN = Path(__file__).parent / "golden"
MIDNIGHT = "2016-05-31T22:00"


def horizon(import_eur: list[float], export_eur: float | list[float] = 0.08) -> Horizon:
    return Horizon(
        start_utc=np.datetime64(MIDNIGHT),
        step_h=1.0,
        import_eur_per_kwh=np.array(import_eur),
        export_eur_per_kwh=np.broadcast_to(export_eur, len(import_eur)),
    )


def car(n: int, **fields: Any) -> EVAgent:
    values: dict[str, Any] = {
        "trip_kwh": np.zeros(n),
        "plugged_in": np.ones(n, dtype=bool),
        "min_soc_kwh": np.zeros(n),
        "max_soc_kwh": np.full(n, 60.0),
    }
    return EVAgent(**values | fields)


def program(horizon: Horizon, *agents: Agent) -> Program:
    written = Program(horizon)
    for agent in agents:
        written.add(agent)
    return written


USUAL = horizon([0.3, 0.1, 0.2])
NEGATIVE = horizon([0.3, -0.1, 0.2], -0.2)
ABOVE = horizon([0.3, 0.1, 0.2], [0.1, 0.25, 0.1])
LOAD = BaseLoadAgent(name="base_load", load_kw=np.array([1.0, 2.0, 3.0]))
MODELS: dict[str, Program] = {
    "base_load": program(USUAL, LOAD, GridAgent()),
    "battery": program(
        NEGATIVE,
        BatteryAgent(terminal_value_eur_per_kwh=0.1, min_soc_kwh=1.0, wear_eur_per_kwh=0.001),
        GridAgent(),
    ),
    "ev": program(
        NEGATIVE,
        car(
            3,
            trip_kwh=np.array([0.0, 10.0, 0.0]),
            plugged_in=np.array([False, True, True]),
            min_soc_kwh=np.array([0.0, 0.0, 50.0]),
            max_discharge_kw=5.0,
            initial_soc_kwh=40.0,
            wear_eur_per_kwh=0.01,
        ),
        GridAgent(),
    ),
    "pv": program(
        horizon([0.3, 0.1, 0.2], -0.05),
        PVAgent(name="pv", available_kw=np.array([0.0, 4.0, 2.0]), curtailable=True),
        GridAgent(),
    ),
    "discrete_phase": program(
        USUAL,
        DiscretePhaseDevice(
            name="machine",
            cycles=(
                Cycle(number=1, profile_kw=(2.0,), metered_start=1, earliest=0, latest=2),
                Cycle(number=2, profile_kw=(1.0, 0.5), metered_start=1, earliest=0, latest=1),
            ),
            discomfort_eur=np.array([[0.1, 0.0, 0.2], [0.3, 0.0, 0.4]]),
        ),
        GridAgent(),
    ),
    "heat_pump": program(
        USUAL,
        HeatPumpAgent(
            name="heat_pump",
            metered_kw=np.array([1.0, 1.0, 1.0]),
            cop=np.array([2.0, 3.0, 4.0]),
            max_power_kw=2.0,
            house=House(capacity_kwh_per_k=3.0, time_constant_h=10.0),
            min_run_steps=2,
            start_eur=0.05,
            must_run_steps=1,
            on=True,
        ),
        GridAgent(),
    ),
    "grid": program(
        ABOVE,
        LOAD,
        PVAgent(name="pv", available_kw=np.array([0.0, 4.0, 2.0]), curtailable=True),
        GridAgent(
            max_import_kw=10.0,
            max_export_kw=5.0,
            demand_charge_eur_per_kw=2.0,
            peak_so_far_kw=1.5,
        ),
    ),
}


@pytest.mark.smoke
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_model_is_the_reviewed_one(name: str, tmp_path: Path) -> None:
    """Set EMS_WRITE_GOLDEN to write the files anew, then review them by hand."""
    written = tmp_path / "model.lp"
    MODELS[name].to_pulp().writeLP(str(written))
    text = "\n".join(line.rstrip() for line in written.read_text().splitlines()) + "\n"
    golden = GOLDEN / f"{name}.lp"
    if os.environ.get("EMS_WRITE_GOLDEN"):
        golden.write_text(text)
    assert in_any_order(text) == in_any_order(golden.read_text())


def in_any_order(text: str) -> list[str]:
    """PuLP 3 and 4 order the bounds and write small numbers differently."""
    return sorted(text.replace("e-0", "e-").splitlines())


@pytest.mark.parametrize("module", [ems.core.program, ems.control.optimizer])
def test_the_docstrings_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_row_and_column_names_are_unique_in_the_autumn_night() -> None:
    """Three cycles, and a deadline in both hours called two."""
    cycles = tuple(
        Cycle(number=i, profile_kw=(1.0,), metered_start=i, earliest=0, latest=5) for i in (1, 2, 3)
    )
    night = Horizon(
        start_utc=np.datetime64("2016-10-29T22:00"),
        step_h=1.0,
        import_eur_per_kwh=np.full(6, 0.3),
        export_eur_per_kwh=np.full(6, 0.1),
    )
    written = program(
        night,
        DiscretePhaseDevice(name="machine", cycles=cycles),
        car(6, min_soc_kwh=np.full(6, 5.0)),
        GridAgent(),
    )
    matrix = written.matrix()
    assert len(set(matrix.row_names)) == len(matrix.row_names)
    assert len(set(matrix.column_names)) == len(matrix.column_names)
    assert {"ev.full_by_10_30_02h00_0", "ev.full_by_10_30_02h00_again_0"} <= set(matrix.row_names)
    assert written.to_pulp().numConstraints() == len(matrix.row_names)


def switched(written: Program) -> list[str]:
    matrix = written.matrix()
    return [name for name, whole in zip(matrix.column_names, matrix.integer, strict=True) if whole]


FREE = BatteryAgent(wear_eur_per_kwh=0.0)
SUN = PVAgent(name="pv", available_kw=np.array([0.0, 4.0, 1.0]))
LIMITED = GridAgent(max_export_kw=2.0)
WORN = car(3, max_discharge_kw=5.0, wear_eur_per_kwh=0.02)


@pytest.mark.parametrize(
    ("prices", "agents", "steps"),
    [
        pytest.param(USUAL, [FREE, GridAgent()], [], id="burning costs"),
        pytest.param(NEGATIVE, [FREE, GridAgent()], [0, 1, 2], id="burning pays"),
        # −0.2 · (1 − 0.95) + 0.02 · (1 + 0.95) > 0
        pytest.param(NEGATIVE, [BatteryAgent(), GridAgent()], [], id="it wears more than it pays"),
        pytest.param(USUAL, [car(3, max_discharge_kw=5.0), GridAgent()], [], id="a car at home"),
        pytest.param(NEGATIVE, [car(3, max_discharge_kw=5.0), GridAgent()], [0, 1, 2], id="paid"),
        pytest.param(horizon([0.3] * 3, 0.0), [FREE, GridAgent()], [], id="nothing for exports"),
        pytest.param(
            USUAL,
            [SUN, BatteryAgent(wear_eur_per_kwh=0.0, round_trip_efficiency=1.0), LIMITED],
            [],
            id="nothing to burn",
        ),
        pytest.param(USUAL, [BatteryAgent(), LIMITED], [], id="a limit alone"),
        pytest.param(USUAL, [FREE, LIMITED], [], id="a limit, where burning costs nothing"),
        pytest.param(USUAL, [SUN, BatteryAgent(), LIMITED], [0, 1], id="until the sun is stuck"),
        pytest.param(
            USUAL,
            [replace(SUN, curtailable=True), BatteryAgent(), LIMITED],
            [],
            id="sun that can be thrown away",
        ),
        pytest.param(
            USUAL,
            [SUN, BaseLoadAgent(name="load", load_kw=np.full(3, 2.0)), BatteryAgent(), LIMITED],
            [],
            id="sun that is used",
        ),
        pytest.param(
            horizon([0.3, -0.1, 0.2], -0.2), [BatteryAgent(), LIMITED], [0, 1], id="before payment"
        ),
        pytest.param(
            USUAL,
            [BatteryAgent(terminal_value_eur_per_kwh=-0.1), LIMITED],
            [0, 1, 2],
            id="what is left must go",
        ),
        pytest.param(
            USUAL,
            [replace(WORN, max_soc_kwh=np.array([60.0, 60.0, 50.0])), LIMITED],
            [0, 1, 2],
            id="a car that must be emptied",
        ),
        pytest.param(USUAL, [WORN, LIMITED], [], id="a car that need not be"),
    ],
)
def test_a_binary_only_where_it_can_matter(
    prices: Horizon, agents: list[Agent], steps: list[int]
) -> None:
    (store,) = [a.store for a in agents if isinstance(a, BatteryAgent | EVAgent)]
    needed = store.needs_switch(bus_worth(agents, prices, 0.0))
    assert np.flatnonzero(needed).tolist() == steps
    assert len(switched(program(prices, *agents))) == len(steps)


def test_import_and_export_exclude_each_other_where_export_earns_more() -> None:
    assert switched(program(ABOVE, FREE, GridAgent())) == ["grid.importing_0"]


@pytest.mark.parametrize("kind", ["limit", "nothing for exports", "no losses"])
def test_without_binaries_it_costs_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sunny day in half-hours, against the same program with a binary in every step."""
    hours, rng = np.arange(48) / 2, np.random.default_rng(1)
    prices = Horizon(
        start_utc=np.datetime64(MIDNIGHT),
        step_h=0.5,
        import_eur_per_kwh=0.25 + 0.1 * np.sin(hours / 4),
        export_eur_per_kwh=np.full(48, 0.0 if kind == "nothing for exports" else 0.08),
    )
    sun_kw = 6 * np.maximum(0.0, np.sin((hours - 6) / 12 * np.pi))
    agents = [
        BaseLoadAgent(name="load", load_kw=rng.uniform(0.2, 1.0, 48)),
        PVAgent(name="pv", available_kw=sun_kw, curtailable=True),
        BatteryAgent(
            wear_eur_per_kwh=0.02 if kind == "limit" else 0.0,
            round_trip_efficiency=1.0 if kind == "no losses" else 0.9,
        ),
    ]
    grid = GridAgent(max_export_kw=2.0 if kind == "limit" else np.inf)
    assert switched(program(prices, *agents, grid)) == []
    found = GlobalOptimizer(agents, grid).optimize_centralized(prices)
    everywhere = np.ones(48, dtype=bool)
    monkeypatch.setattr(Store, "needs_switch", lambda *_: everywhere)
    whole = program(prices, *agents, grid)
    assert len(switched(whole)) == 48
    assert found.objective_eur == pytest.approx(whole.solve(Solver()).objective_eur, abs=2e-4)


LOSSY = BatteryAgent(
    capacity_kwh=2.0, initial_soc_kwh=2.0, final_soc_kwh=0.0, round_trip_efficiency=0.64
)


def test_energy_is_not_burnt_to_make_room() -> None:
    """A full battery behind a closed door cannot take the sun of the next hour."""
    sun = PVAgent(name="pv", available_kw=np.array([0.0, 2.0]))
    with pytest.raises(Infeasible):
        program(horizon([0.3, 0.3]), sun, LOSSY, GridAgent(max_export_kw=0.0)).solve(Solver())


def test_energy_is_not_burnt_to_be_paid_for_more() -> None:
    """Nor what the next hour would pay for: it stays full, and costs nothing."""
    prices = horizon([0.3, -0.3], -0.4)
    found = program(prices, LOSSY, GridAgent(max_export_kw=0.0)).solve(Solver())
    assert found.objective_eur == pytest.approx(0.0, abs=1e-4)


def test_burning_that_costs_nothing_is_left_out() -> None:
    """No wear, a price of zero, and no binary: only the second aim keeps the battery still."""
    free = GlobalOptimizer([replace(FREE, round_trip_efficiency=0.64)], GridAgent())
    plan = free.optimize_centralized(horizon([0.0] * 3, 0.0)).plans["battery"]
    np.testing.assert_allclose(plan.series["charge_kw"], 0.0, atol=1e-9)
    np.testing.assert_allclose(plan.series["discharge_kw"], 0.0, atol=1e-9)


def test_a_state_at_the_edge_is_neither_infeasible_nor_unbounded() -> None:
    """A car that must go full and comes back with just what it must still hold at the end.

    HiGHS's presolve calls this infeasible, no rule has to give, and it was called unbounded.
    """
    n = 9
    due, most_kwh, trip = np.zeros(n), np.full(n, 30.0), np.zeros(n)
    due[2], due[-1], most_kwh[:2], trip[3] = 29.6, 22.0, 26.0 - 5e-7, 8.0
    edge = car(
        n,
        trip_kwh=trip,
        min_soc_kwh=due,
        max_soc_kwh=most_kwh,
        max_charge_kw=np.where(np.arange(n) < 3, 11.0, 0.0),
        max_discharge_kw=7.0,
        capacity_kwh=30.0,
        initial_soc_kwh=21.999999,
        final_soc_kwh=14.0,
    )
    dear = horizon((0.1 + 0.01 * np.arange(n)).tolist(), 0.3)
    written = Program(dear, announced_kw=1.0)
    written.add(edge)
    written.add(GridAgent())
    assert np.isfinite(written.solve(Solver()).objective_eur)


DAY = horizon([0.3] * 8)


def due(**kwh: float) -> Floats:
    """What must be in the car at the end of the named hours [kWh]."""
    return np.array([kwh.get(f"h{hour}", 0.0) for hour in range(8)])


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("prices", "agents", "shortfalls"),
    [
        pytest.param(  # 10 + 3 · 11 kW · 0.92 = 40.36; the 9.52 by 04:00 have the same cause
            DAY,
            [car(8, min_soc_kwh=due(h2=60.0, h3=60.0), initial_soc_kwh=10.0), GridAgent()],
            {
                "ev.full_by_06_01_03h00": "19.64 kWh short",
                "ev.full_by_06_01_04h00": "9.52 kWh short",
            },
            id="a car that cannot be full in time",
        ),
        pytest.param(
            DAY,
            [
                BaseLoadAgent(name="base_load", load_kw=np.array([1.0, 5, 6, 1, 1, 1, 1, 1])),
                GridAgent(max_import_kw=4.0),
            ],
            {"grid.import_limit": "2 kW over at 2016-06-01 02:00 and in 1 other steps"},
            id="an import limit below the load",
        ),
        pytest.param(
            DAY,
            [
                PVAgent(name="pv", available_kw=np.array([0.0, 0, 0, 7, 0, 0, 0, 0])),
                GridAgent(max_export_kw=4.0),
            ],
            {"grid.export_limit": "3 kW over at 2016-06-01 03:00"},
            id="an export limit below the sun",
        ),
        pytest.param(  # 2 h · 1 kW · √0.81 = 1.8 kWh of the 5 kWh that are missing
            horizon([0.3, 0.3]),
            [
                BatteryAgent(
                    max_charge_kw=1.0,
                    round_trip_efficiency=0.81,
                    initial_soc_kwh=5.0,
                    final_soc_kwh=10.0,
                ),
                GridAgent(),
            ],
            {"battery.final_soc": "3.2 kWh short"},
            id="a final charge out of reach",
        ),
        pytest.param(  # 25 kWh cannot drive 30, although 11 kW could cover it on arrival
            horizon([0.3] * 4),
            [
                car(
                    4,
                    trip_kwh=np.array([0.0, 0, 30, 0]),
                    initial_soc_kwh=25.0,
                    plugged_in=np.array([0, 0, 1, 1], bool),
                ),
                GridAgent(),
            ],
            {"ev.enough_to_drive": "5 kWh short"},
            id="a trip longer than the charge",
        ),
    ],
)
def test_why_there_is_no_plan(
    prices: Horizon, agents: list[Agent], shortfalls: dict[str, str]
) -> None:
    with pytest.raises(Infeasible, match="no plan keeps every rule: ") as caught:
        program(prices, *agents).solve(Solver())
    assert caught.value.shortfalls == shortfalls
    for rule, shortfall in shortfalls.items():
        assert f"{rule}: {shortfall}" in str(caught.value)


def test_infeasible_comes_home_from_a_worker() -> None:
    error = Infeasible("no plan", {"a.rule": "1 kW over"})
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.shortfalls) == ("no plan", {"a.rule": "1 kW over"})


class Bottomless(BaseLoadAgent):
    """Its cost falls without end."""

    def contribute(self, block: Block) -> Contribution:
        gift = block.variables("gift")
        return Contribution(net_load_kw=self.load_kw, cost_eur=-1.0 * gift.sum(), series={})


def test_unbounded_is_not_called_infeasible() -> None:
    with pytest.raises(SolveError, match=r"[Uu]nbounded") as caught:
        program(USUAL, Bottomless(name="gift", load_kw=np.ones(3)), GridAgent()).solve(Solver())
    assert not isinstance(caught.value, Infeasible)


@pytest.mark.parametrize("name", ["", "9th", "my ev", "ev.1", "-x"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(InvalidSpec, match="a name has letters, digits and _"):
        program(USUAL, BatteryAgent(name=name))
    with pytest.raises(InvalidSpec, match="agent battery: the name is taken"):
        program(USUAL, BatteryAgent(), BatteryAgent())


@pytest.mark.parametrize(
    ("announced_kw", "message"),
    [
        (np.array([1.0, np.nan, 1.0]), "announced_kw is nan"),
        (np.ones(4), r"announced_kw is of shape \(4,\)"),
        (np.inf, "announced_kw is inf"),
    ],
)
def test_what_is_announced_is_checked(announced_kw: Any, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Program(USUAL, announced_kw=announced_kw)


def test_what_is_announced_is_paid_for() -> None:
    """2 kW at 0.3 + 0.1 + 0.2 €/kWh."""
    alone = Program(USUAL, announced_kw=2.0)
    alone.add(GridAgent())
    assert alone.solve(Solver()).objective_eur == pytest.approx(1.2)


def test_what_is_announced_may_be_stuck() -> None:
    """3 kW of others' sun behind 2 kW: the battery must not burn what it cannot hold."""
    for announced_kw, steps in ((-3.0, 3), (-1.0, 0)):
        known = Program(USUAL, announced_kw=announced_kw)
        known.add(BatteryAgent())
        known.add(LIMITED)
        assert len(switched(known)) == steps


class Repeated(BaseLoadAgent):
    """Writes the same variable into one row twice."""

    def contribute(self, block: Block) -> Contribution:
        half_kw = block.variables("half_kw")
        block.require("whole", half_kw + half_kw == self.load_kw, "kW")
        return Contribution(net_load_kw=2.0 * half_kw, series={})


def test_entries_of_one_place_are_added() -> None:
    """(1 · 0.3 + 2 · 0.1 + 3 · 0.2) €, from halves."""
    twice = program(USUAL, Repeated(name="twice", load_kw=np.array([1.0, 2.0, 3.0])), GridAgent())
    matrix = twice.matrix()
    places = np.stack([matrix.pattern.rows, matrix.pattern.cols])
    assert np.unique(places, axis=1).shape == places.shape
    assert twice.solve(Solver()).objective_eur == pytest.approx(1.1)


def test_a_program_can_be_written_twice() -> None:
    case = make_case(4, devices=("battery", "machine"), prices="export_above", n_steps=8)
    written = program(case.horizon, *case.agents, case.grid)
    first = solve(written.matrix(), Solver())
    assert written.solve(Solver()).objective_eur == first.objective_eur
    assert written.solve(Solver()).objective_eur == first.objective_eur
