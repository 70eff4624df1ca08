"""The same agents by another road, to check plans against.

``cheapest_eur`` writes the specs as one dense model for ``scipy.optimize.milp``: own matrices, an
exclusivity binary in every step for every store and the grid, cumulative sums where ``ems`` has
recursions. ``broken_rules`` and ``cost_eur`` judge a finished schedule from its numbers and the
specs alone. Nothing of ``ems`` is used but the dataclasses that hold the specs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    HeatPumpAgent,
    PVAgent,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.thermal import LOAD_SHARES, RELATIVE_COP
from ems.core.horizon import Horizon
from ems.types import Floats

Terms = dict[int, float]


class Model:
    """Columns and rows as plain lists; ``bus[t]`` collects what draws from the bus in step t."""

    def __init__(self, n_steps: int, fixed_kw: Floats) -> None:
        self.n_steps = n_steps
        self.cost: list[float] = []
        self.low: list[float] = []
        self.up: list[float] = []
        self.whole: list[bool] = []
        self.rows: list[tuple[Terms, float, float]] = []
        self.bus: list[Terms] = [{} for _ in range(n_steps)]
        self.fixed_kw = fixed_kw.astype(float).copy()
        self.offset_eur = 0.0
        self.slack_kwh = 0.0
        self.most_kw = float(np.abs(fixed_kw).max(initial=0.0))

    def column(self, low: float, up: float, cost: float = 0.0, *, whole: bool = False) -> int:
        self.low.append(low)
        self.up.append(up)
        self.cost.append(cost)
        self.whole.append(whole)
        return len(self.cost) - 1

    def columns(self, low: object, up: object, cost: object = 0.0) -> list[int]:
        each = np.broadcast_arrays(np.zeros(self.n_steps), low, up, cost)[1:]  # type: ignore[arg-type]
        return [self.column(*map(float, values)) for values in zip(*each, strict=True)]

    def binaries(self, n: int) -> list[int]:
        return [self.column(0.0, 1.0, whole=True) for _ in range(n)]

    def row(self, terms: Terms, low: float, up: float) -> None:
        self.rows.append((terms, low, up))

    def kwh_row(self, terms: Terms, low: float, up: float) -> None:
        self.row(terms, low - self.slack_kwh, up + self.slack_kwh)

    def minimum(self) -> float | None:
        """The least cost [€], None where no plan exists."""
        places = [(i, j, v) for i, (terms, _, _) in enumerate(self.rows) for j, v in terms.items()]
        i, j, v = (np.array(part) for part in zip(*places, strict=True))
        matrix = csr_array((v, (i, j)), shape=(len(self.rows), len(self.cost)))
        low, up = (np.array([row[k] for row in self.rows]) for k in (1, 2))
        result = milp(
            np.array(self.cost),
            integrality=np.array(self.whole, dtype=int),
            bounds=Bounds(np.array(self.low), np.array(self.up)),
            constraints=LinearConstraint(matrix, low, up),
            options={"mip_rel_gap": 1e-6},
        )
        if result.status == 2:
            return None
        if result.status != 0:
            raise RuntimeError(result.message)
        return float(result.fun) + self.offset_eur


def cheapest_eur(
    horizon: Horizon,
    agents: Sequence[Agent],
    grid: GridAgent,
    announced_kw: Floats | float = 0.0,
    slack_kwh: float = 0.0,
) -> float | None:
    """The least Σ cost of any plan of ``agents`` behind ``grid`` [€], None where none exists.

    ``slack_kwh``: by how much the energy bounds may be missed, for agents that stand in a state
    which another solver reached within its own tolerance.
    """
    model = Model(horizon.n_steps, np.zeros(horizon.n_steps) + announced_kw)
    model.slack_kwh = slack_kwh
    for agent in agents:
        match agent:
            case BaseLoadAgent():
                _fixed(model, agent.load_kw)
            case PVAgent():
                _pv(model, agent)
            case BatteryAgent():
                _battery(model, agent, horizon.step_h)
            case EVAgent():
                _ev(model, agent, horizon.step_h)
            case DiscretePhaseDevice():
                _machine(model, agent)
            case HeatPumpAgent():
                _heat_pump(model, agent, horizon.step_h)
            case _:
                raise TypeError(type(agent).__name__)
    _grid(model, grid, horizon)
    return model.minimum()


def _fixed(model: Model, load_kw: Floats) -> None:
    model.fixed_kw += load_kw
    model.most_kw += float(np.abs(load_kw).max())


def _pv(model: Model, pv: PVAgent) -> None:
    if not pv.curtailable:
        _fixed(model, -pv.available_kw)
        return
    model.most_kw += float(pv.available_kw.max())
    for t, column in enumerate(model.columns(0.0, pv.available_kw)):
        model.bus[t][column] = -1.0


def _store(
    model: Model,
    step_h: float,
    eta: float,
    charge_kw: Floats,
    discharge_kw: Floats,
    wear_eur_per_kwh: float,
) -> tuple[list[int], list[int]]:
    """Charge and discharge with a binary in every step."""
    wear = wear_eur_per_kwh * step_h
    charge, discharge = model.columns(0.0, charge_kw, wear), model.columns(0.0, discharge_kw, wear)
    model.most_kw += float(charge_kw.max() + discharge_kw.max())
    for t, charging in enumerate(model.binaries(model.n_steps)):
        model.row({charge[t]: 1.0, charging: -charge_kw[t]}, -np.inf, 0.0)
        model.row({discharge[t]: 1.0, charging: discharge_kw[t]}, -np.inf, discharge_kw[t])
        model.bus[t][charge[t]] = 1.0
        model.bus[t][discharge[t]] = -1.0
    return charge, discharge


def _held(charge: list[int], discharge: list[int], until: int, step_h: float, eta: float) -> Terms:
    """What has entered the store by the end of step ``until`` [kWh]."""
    entered = {charge[s]: eta * step_h for s in range(until + 1)}
    return entered | {discharge[s]: -step_h / eta for s in range(until + 1)}


def _battery(model: Model, battery: BatteryAgent, step_h: float) -> None:
    eta = float(np.sqrt(battery.round_trip_efficiency))
    n, start = model.n_steps, battery.initial_soc_kwh
    final = start if battery.final_soc_kwh is None else battery.final_soc_kwh
    charge, discharge = _store(
        model,
        step_h,
        eta,
        np.full(n, battery.max_charge_kw),
        np.full(n, battery.max_discharge_kw),
        battery.wear_eur_per_kwh,
    )
    for t in range(n):
        held = _held(charge, discharge, t, step_h, eta)
        model.kwh_row(held, battery.min_soc_kwh - start, battery.capacity_kwh - start)
    at_end = _held(charge, discharge, n - 1, step_h, eta)
    model.kwh_row(at_end, final - start, np.inf)
    for column, kwh in at_end.items():
        model.cost[column] -= battery.terminal_value_eur_per_kwh * kwh
    model.offset_eur -= battery.terminal_value_eur_per_kwh * (start - final)


def _ev(model: Model, ev: EVAgent, step_h: float) -> None:
    n, start = model.n_steps, ev.initial_soc_kwh
    charge, discharge = _store(
        model,
        step_h,
        ev.efficiency,
        np.asarray(ev.max_charge_kw) * ev.plugged_in,
        ev.max_discharge_kw * ev.plugged_in,
        ev.wear_eur_per_kwh,
    )
    for t in range(n):
        left = start - float(ev.trip_kwh[: t + 1].sum())
        held = _held(charge, discharge, t, step_h, ev.efficiency)
        model.kwh_row(held, float(ev.min_soc_kwh[t]) - left, float(ev.max_soc_kwh[t]) - left)
        if ev.trip_kwh[t] > 0:
            before = _held(charge, discharge, t - 1, step_h, ev.efficiency)
            model.kwh_row(before, -left, np.inf)
    if ev.max_discharge_kw > 0:
        driven = float(ev.trip_kwh.sum())
        final = max(0.0, start - driven) if ev.final_soc_kwh is None else ev.final_soc_kwh
        held = _held(charge, discharge, n - 1, step_h, ev.efficiency)
        model.kwh_row(held, final - start + driven, np.inf)


def _machine(model: Model, machine: DiscretePhaseDevice) -> None:
    n = model.n_steps
    running = np.zeros(n)
    running[: len(machine.committed_kw)] = machine.committed_kw
    _fixed(model, running)
    free_from = int(np.flatnonzero(running)[-1]) + 1 if running.any() else 0
    previous: tuple[list[int], int] | None = None
    for row, cycle in enumerate(machine.cycles):
        length = len(cycle.profile_kw)
        starts = model.binaries(n)
        model.most_kw += max(cycle.profile_kw)
        for t, column in enumerate(starts):
            inside = max(cycle.earliest, free_from) <= t <= min(cycle.latest, n - length)
            model.up[column] = float(inside)
            if machine.discomfort_eur is not None:
                model.cost[column] = float(machine.discomfort_eur[row, t])
            for k, power_kw in enumerate(cycle.profile_kw[: n - t]):
                model.bus[t + k][column] = power_kw
        model.row(dict.fromkeys(starts, 1.0), 1.0, 1.0)
        if previous is not None:
            earlier, took = previous
            for t in range(n):
                done = dict.fromkeys(earlier[: max(0, t - took + 1)], -1.0)
                model.row({**done, **dict.fromkeys(starts[: t + 1], 1.0)}, -np.inf, 0.0)
        previous = (starts, length)


def _heat_pump(model: Model, pump: HeatPumpAgent, step_h: float) -> None:
    """Every kWh of heat that is still there, summed over all steps before."""
    n = model.n_steps
    model.most_kw += pump.max_power_kw
    shares = np.diff((0.0, *LOAD_SHARES))
    made = np.diff((0.0, *np.array(LOAD_SHARES) * np.array(RELATIVE_COP))) / shares
    widths = shares * pump.max_power_kw
    parts = [model.columns(0.0, float(width)) for width in widths]
    on, full = model.binaries(n), [model.binaries(n) for _ in widths[1:]]
    keep, gain = _keep_and_gain(pump, step_h)
    for t in range(n):
        for part, width in zip(parts, widths, strict=True):
            model.bus[t][part[t]] = 1.0
            model.row({part[t]: 1.0, on[t]: -width}, -np.inf, 0.0)
        for k, binary in enumerate(full):  # a piece is full before the next one begins
            model.row({parts[k][t]: 1.0, binary[t]: -widths[k]}, 0.0, np.inf)
            model.row({parts[k + 1][t]: 1.0, binary[t]: -widths[k + 1]}, -np.inf, 0.0)
        row: dict[int, float] = {}
        held = keep ** (t + 1) * pump.beside_kwh[0]
        for u in range(t + 1):
            left = keep ** (t - u) * gain * step_h
            held -= (
                left
                * pump.cop[u]
                * np.interp(
                    pump.metered_kw[u],
                    np.concatenate(([0.0], np.cumsum(widths))),
                    np.concatenate(([0.0], np.cumsum(widths * made))),
                )
            )
            for part, share in zip(parts, made, strict=True):
                row[part[u]] = left * pump.cop[u] * share
        least = pump.least_final_kwh if t == n - 1 else 0.0
        model.kwh_row(row, least - held, pump.most_kwh - held)
        if pump.switched:
            model.row({parts[0][t]: 1.0, on[t]: -0.1 * pump.max_power_kw}, 0.0, np.inf)
        if t < pump.must_run_steps:
            model.low[on[t]] = 1.0
        for later in range(t + 1, min(t + pump.min_run_steps, n)):
            if t > 0:
                model.row({on[later]: 1.0, on[t]: -1.0, on[t - 1]: 1.0}, 0.0, np.inf)
            elif not pump.on:
                model.row({on[later]: 1.0, on[t]: -1.0}, 0.0, np.inf)
        start = model.column(0.0, 1.0, pump.start_eur)
        before = {on[t - 1]: 1.0} if t > 0 else {}
        model.row({start: 1.0, on[t]: -1.0, **before}, -float(pump.on and t == 0), np.inf)
    assert not any(pump.left_eur_per_kwh), "the oracle knows no value of heat left"


def _grid(model: Model, grid: GridAgent, horizon: Horizon) -> None:
    most = model.most_kw + 1.0
    price_in = horizon.import_eur_per_kwh * horizon.step_h
    price_out = horizon.export_eur_per_kwh * horizon.step_h
    bought = model.columns(0.0, min(grid.max_import_kw, most), price_in)
    sold = model.columns(0.0, min(grid.max_export_kw, most), -price_out)
    peak = model.column(grid.peak_so_far_kw, np.inf, grid.demand_charge_eur_per_kw)
    model.offset_eur -= grid.demand_charge_eur_per_kw * grid.peak_so_far_kw
    cross_kw = np.broadcast_to(grid.cross_kw, (model.n_steps,))  # on the bill, in no balance
    model.offset_eur += float((cross_kw * (price_in - price_out)).sum())
    for t, importing in enumerate(model.binaries(model.n_steps)):
        model.row({bought[t]: 1.0, importing: -most}, -np.inf, 0.0)
        model.row({sold[t]: 1.0, importing: most}, -np.inf, most)
        model.row({bought[t]: 1.0, peak: -1.0}, -np.inf, -cross_kw[t])
        balance = {**model.bus[t], bought[t]: -1.0, sold[t]: 1.0}
        model.row(balance, -model.fixed_kw[t], -model.fixed_kw[t])


def cost_eur(schedule: DispatchPlan) -> float:
    """Bill, demand charge, wear, discomfort and what is left, from the numbers of the plans [€]."""
    h, total = schedule.horizon, 0.0
    for agent in schedule.agents:
        plan = schedule.plans[agent.name]
        match agent:
            case GridAgent():
                cross_kw = np.broadcast_to(agent.cross_kw, (h.n_steps,))
                for t, kw in enumerate(-plan.net_load_kw):
                    price = h.import_eur_per_kwh[t] if kw > 0 else h.export_eur_per_kwh[t]
                    spread = h.import_eur_per_kwh[t] - h.export_eur_per_kwh[t]
                    total += (kw * price + cross_kw[t] * spread) * h.step_h
                most_kw = float(np.max(np.maximum(-plan.net_load_kw, 0.0) + cross_kw))
                above_kw = max(0.0, most_kw - agent.peak_so_far_kw)
                total += agent.demand_charge_eur_per_kw * above_kw
            case BatteryAgent() | EVAgent():
                total += agent.wear_eur_per_kwh * float(np.abs(plan.net_load_kw).sum()) * h.step_h
            case HeatPumpAgent():
                on = [agent.on, *(plan.net_load_kw > 0.05 * agent.max_power_kw)]
                starts = sum(now and not before for before, now in pairwise(on))
                total += agent.start_eur * starts
            case DiscretePhaseDevice(discomfort_eur=table) if table is not None:
                for t, number in enumerate(np.rint(plan.series["started"]).astype(int)):
                    rows = [i for i, c in enumerate(agent.cycles) if c.number == number]
                    total += sum(float(table[i, t]) for i in rows)
        if isinstance(agent, BatteryAgent):
            least = agent.initial_soc_kwh if agent.final_soc_kwh is None else agent.final_soc_kwh
            left = float(plan.series["soc_kwh"][-1]) - least
            total -= agent.terminal_value_eur_per_kwh * left
    return total


def broken_rules(schedule: DispatchPlan, tolerance: float = 2e-5) -> list[str]:
    """What the plans break: balance, charge accounts, limits, deadlines, cycles, bands."""
    found = list(_breaks(schedule, tolerance))
    return [text for text, size in found if not size <= tolerance]


def _breaks(schedule: DispatchPlan, tolerance: float) -> Iterator[tuple[str, float]]:
    """(rule, by how much it is missed) for everything that must hold."""
    h = schedule.horizon
    left_kw = np.sum([plan.net_load_kw for plan in schedule.plans.values()], axis=0)
    yield "balance", float(np.abs(left_kw).max())
    for agent in schedule.agents:
        net_kw = schedule.plans[agent.name].net_load_kw
        match agent:
            case BaseLoadAgent():
                yield "base load", float(np.abs(net_kw - agent.load_kw).max())
            case PVAgent():
                least_kw = 0.0 if agent.curtailable else agent.available_kw
                yield "pv above", float((-net_kw - agent.available_kw).max())
                yield "pv below", float((least_kw + net_kw).max())
            case GridAgent():
                yield "import limit", float((-net_kw).max() - agent.max_import_kw)
                yield "export limit", float(net_kw.max() - agent.max_export_kw)
            case BatteryAgent():
                eta = float(np.sqrt(agent.round_trip_efficiency))
                soc = agent.initial_soc_kwh + np.cumsum(_stored(net_kw, eta) * h.step_h)
                least = agent.initial_soc_kwh
                least = agent.final_soc_kwh if agent.final_soc_kwh is not None else least
                yield "charge power", float(net_kw.max() - agent.max_charge_kw)
                yield "discharge power", float((-net_kw).max() - agent.max_discharge_kw)
                yield "soc below", float(agent.min_soc_kwh - soc.min())
                yield "soc above", float(soc.max() - agent.capacity_kwh)
                yield "final soc", float(least - soc[-1])
            case EVAgent():
                flow = _stored(net_kw, agent.efficiency) * h.step_h - agent.trip_kwh
                soc = agent.initial_soc_kwh + np.cumsum(flow)
                before = np.concatenate(([agent.initial_soc_kwh], soc[:-1]))
                yield "ev power", float((net_kw - agent.max_charge_kw * agent.plugged_in).max())
                able_kw = agent.max_discharge_kw * agent.plugged_in
                yield "ev discharge", float((-net_kw - able_kw).max())
                yield "ev deadline", float((agent.min_soc_kwh - soc).max())
                yield "ev room", float((soc - agent.max_soc_kwh).max())
                yield "ev trip", float((agent.trip_kwh - before).max())
            case DiscretePhaseDevice():
                yield from _machine_breaks(agent, schedule)
            case HeatPumpAgent():
                held, worst = agent.beside_kwh[0], 0.0
                keep, gain = _keep_and_gain(agent, h.step_h)
                for t in range(h.n_steps):
                    extra = _heat(agent, net_kw[t], t) - _heat(agent, agent.metered_kw[t], t)
                    held = keep * held + gain * extra * h.step_h
                    worst = max(worst, -held, held - agent.most_kwh)
                yield "heat band", worst
                yield "heat power", float(net_kw.max() - agent.max_power_kw)


def _keep_and_gain(pump: HeatPumpAgent, step_h: float) -> tuple[float, float]:
    """What is left of heat after a step, and of heat made during one, for a house of one node."""
    assert pump.house.mass_share == 0
    steps = step_h / pump.house.time_constant_h
    return float(np.exp(-steps)), float((1 - np.exp(-steps)) / steps)


def _heat(pump: HeatPumpAgent, power_kw: float, t: int) -> float:
    """Heat of this power, piece by piece [kW]."""
    shares = (0.0, *LOAD_SHARES)
    made = (0.0, *(s * c for s, c in zip(LOAD_SHARES, RELATIVE_COP, strict=True)))
    of_max = power_kw / pump.max_power_kw
    return float(pump.cop[t] * pump.max_power_kw * np.interp(of_max, shares, made))


def _stored(net_kw: Floats, eta: float) -> Floats:
    return np.where(net_kw > 0, net_kw * eta, net_kw / eta)


def _machine_breaks(
    machine: DiscretePhaseDevice, schedule: DispatchPlan
) -> Iterator[tuple[str, float]]:
    plan, n = schedule.plans[machine.name], schedule.horizon.n_steps
    numbers = np.rint(plan.series["started"]).astype(int)
    expected_kw = np.zeros(n)
    expected_kw[: len(machine.committed_kw)] = machine.committed_kw
    free_from = 0
    for cycle in machine.cycles:
        at = np.flatnonzero(numbers == cycle.number)
        yield f"cycle {cycle.number} once", abs(len(at) - 1.0)
        if len(at) == 1:
            yield "cycle early", float(max(cycle.earliest, free_from) - at[0])
            yield "cycle late", float(at[0] - cycle.latest)
            free_from = int(at[0]) + len(cycle.profile_kw)
            yield "cycle cut", float(free_from - n)
            expected_kw[at[0] : free_from] += cycle.profile_kw
    yield "machine power", float(np.abs(plan.net_load_kw - expected_kw).max())
