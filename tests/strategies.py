"""Hypothesis strategies: buildings, their devices, tariffs and days, all feasible by construction.

Hypothesis draws the structure (which devices, how long, which kind of prices) and a seed; the
numbers come from that seed, rounded so that equal prices and equal-cost plans occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from hypothesis import strategies as st

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
from ems.agents.thermal import House
from ems.core.horizon import Horizon

Prices = Literal["usual", "negative", "export_above", "flat", "free"]

DEVICES = ("battery", "ev", "v2g", "machine", "heat_pump", "switched_heat_pump", "pv", "sun")
DAYS = {  # local midnights in UTC, and the hours of the day
    "summer": ("2016-05-31T22:00", 24),
    "spring_forward": ("2016-03-26T23:00", 23),
    "fall_back": ("2016-10-29T22:00", 25),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A building's horizon, its agents in a stated order and its grid."""

    horizon: Horizon
    agents: tuple[Agent, ...]
    grid: GridAgent

    def __repr__(self) -> str:
        h = self.horizon
        lines = [f"{h.n_steps} steps of {h.step_h} h from {h.start_utc}"]
        lines += [f"in {h.import_eur_per_kwh.tolist()}", f"out {h.export_eur_per_kwh.tolist()}"]
        return "\n".join([*lines, *map(repr, (*self.agents, self.grid))])


def make_horizon(
    rng: np.random.Generator, n_steps: int, step_h: float, prices: Prices, start: str
) -> Horizon:
    spot = np.round(rng.uniform(0.15, 0.45, n_steps), 2)
    feed_in = np.full(n_steps, 0.08)
    if prices == "negative":
        spot = np.where(rng.random(n_steps) < 0.4, -np.round(rng.uniform(0, 0.3, n_steps), 2), spot)
        feed_in = np.minimum(spot - 0.01, np.round(rng.uniform(-0.2, 0.1, n_steps), 2))
    if prices == "export_above":
        feed_in = np.round(rng.uniform(-0.1, 0.6, n_steps), 2)
    if prices == "flat":
        spot = np.full(n_steps, 0.3)
    if prices == "free":
        spot, feed_in = np.zeros(n_steps), np.zeros(n_steps)
    return Horizon(
        start_utc=np.datetime64(start),
        step_h=step_h,
        import_eur_per_kwh=spot,
        export_eur_per_kwh=feed_in,
    )


def make_battery(rng: np.random.Generator) -> BatteryAgent:
    capacity = float(np.round(rng.uniform(2, 15), 1))
    least = float(np.round(rng.choice([0.0, 0.1]) * capacity, 2))
    start = float(np.round(rng.uniform(least, capacity), 2))
    return BatteryAgent(
        capacity_kwh=capacity,
        min_soc_kwh=least,
        max_charge_kw=float(rng.choice([0.0, 2.5, 5.0], p=[0.1, 0.45, 0.45])),
        max_discharge_kw=float(rng.choice([2.5, 5.0])),
        round_trip_efficiency=float(rng.choice([0.8, 0.95, 1.0])),
        initial_soc_kwh=start,
        final_soc_kwh=rng.choice([None, least]),
        terminal_value_eur_per_kwh=float(rng.choice([0.0, 0.15])),
        wear_eur_per_kwh=float(rng.choice([0.0, 0.02])),
    )


def make_ev(rng: np.random.Generator, horizon: Horizon, *, v2g: bool) -> EVAgent:
    """Comes home once with a trip behind it and must hold what it could have reached."""
    n, limit_kw, efficiency = horizon.n_steps, 11.0, 0.92
    home = int(rng.integers(0, max(1, n // 2)))
    plugged = np.arange(n) >= home
    if rng.random() < 0.5:
        plugged |= np.arange(n) < home - 2
    start = float(np.round(rng.uniform(20, 50), 1))
    trip = np.zeros(n)
    trip[home] = np.round(rng.uniform(0, 15), 1)
    reachable = start - trip[home]
    least = np.zeros(n)
    due = int(rng.integers(home, n))
    reachable += efficiency * limit_kw * horizon.step_h * (due - home + 1)
    least[due] = np.floor(min(60.0, reachable) * rng.uniform(0.6, 1.0) * 100) / 100
    return EVAgent(
        name="v2g" if v2g else "ev",
        trip_kwh=trip,
        plugged_in=plugged,
        min_soc_kwh=least,
        max_soc_kwh=np.full(n, 60.0),
        max_charge_kw=limit_kw,
        max_discharge_kw=7.0 if v2g else 0.0,
        efficiency=efficiency,
        initial_soc_kwh=start,
        wear_eur_per_kwh=float(rng.choice([0.0, 0.03])),
    )


def make_machine(rng: np.random.Generator, horizon: Horizon) -> DiscretePhaseDevice:
    n, cycles, at = horizon.n_steps, [], 0
    for number in range(1, int(rng.integers(2, 5))):
        length = int(rng.integers(1, 4))
        start = at + int(rng.integers(0, 3))
        if start + length > n:
            break
        profile = tuple(np.round(rng.uniform(0.1, 2.5, length), 2).tolist())
        early, late = (int(rng.integers(0, n)) for _ in range(2))
        cycles.append(
            Cycle(
                number=number,
                profile_kw=profile,
                metered_start=start,
                earliest=max(0, start - early),
                latest=start + late,
            )
        )
        at = start + length
    discomfort = None
    if rng.random() < 0.5:
        discomfort = np.round(rng.uniform(0, 0.3, (len(cycles), n)), 2)
    return DiscretePhaseDevice(name="machine", cycles=tuple(cycles), discomfort_eur=discomfort)


def make_heat_pump(rng: np.random.Generator, horizon: Horizon, *, switched: bool) -> HeatPumpAgent:
    n, run = horizon.n_steps, 3 if switched else 1
    blocks = np.repeat(rng.random(n // run + 1) < 0.5, run)[:n]
    metered = np.where(blocks, np.round(rng.uniform(1.0, 3.0, n), 2), 0.0)
    return HeatPumpAgent(
        name="switched_heat_pump" if switched else "heat_pump",
        metered_kw=metered,
        cop=np.round(rng.uniform(2.5, 4.5, n), 2),
        max_power_kw=3.0,
        house=House(
            capacity_kwh_per_k=round(float(rng.uniform(2.0, 12.0)), 2),
            time_constant_h=float(rng.choice([12.0, 48.0, 200.0])),
        ),
        warmer_k=float(rng.choice([0.0, 0.5, 1.0, 2.0])),
        min_run_steps=run,
        start_eur=0.03 if switched else 0.0,
    )


def make_pv(rng: np.random.Generator, horizon: Horizon, *, curtailable: bool) -> PVAgent:
    n = horizon.n_steps
    sun = np.maximum(0.0, np.sin((np.arange(n) / n - 0.2) / 0.6 * np.pi)) * rng.uniform(0.2, 1, n)
    return PVAgent(
        name="sun" if curtailable else "pv",
        available_kw=np.round(8 * sun, 2),
        curtailable=curtailable,
    )


def make_grid(rng: np.random.Generator, *, demand_charge: bool) -> GridAgent:
    if not demand_charge:
        return GridAgent()
    return GridAgent(
        demand_charge_eur_per_kw=float(np.round(rng.uniform(0.1, 2), 2)),
        peak_so_far_kw=float(rng.choice([0.0, 3.0])),
    )


def make_case(
    seed: int,
    *,
    devices: tuple[str, ...],
    prices: Prices = "usual",
    n_steps: int = 24,
    step_h: float = 1.0,
    start: str = DAYS["summer"][0],
    demand_charge: bool = False,
) -> Case:
    rng = np.random.default_rng(seed)
    horizon = make_horizon(rng, n_steps, step_h, prices, start)
    load_kw = np.round(rng.uniform(0, 3, n_steps), 2)
    agents: list[Agent] = [BaseLoadAgent(name="base_load", load_kw=load_kw)]
    for device in devices:
        match device:
            case "battery":
                agents.append(make_battery(rng))
            case "ev" | "v2g":
                agents.append(make_ev(rng, horizon, v2g=device == "v2g"))
            case "machine":
                agents.append(make_machine(rng, horizon))
            case "heat_pump" | "switched_heat_pump":
                agents.append(make_heat_pump(rng, horizon, switched=device == "switched_heat_pump"))
            case "pv" | "sun":
                agents.append(make_pv(rng, horizon, curtailable=device == "sun"))
    grid = make_grid(rng, demand_charge=demand_charge)
    return Case(horizon=horizon, agents=tuple(agents), grid=grid)


@st.composite
def cases(draw: st.DrawFn, *, most_steps: int = 24) -> Case:
    """A building on a whole day of 23, 24 or 25 hours, or on its first hours in finer steps."""
    start, hours = DAYS[draw(st.sampled_from(sorted(DAYS)))]
    step_h = draw(st.sampled_from([1.0, 0.5, 0.25]))
    n_steps = hours if step_h == 1.0 and most_steps >= 24 else draw(st.integers(4, most_steps))
    return make_case(
        draw(st.integers(0, 2**32 - 1)),
        devices=tuple(
            draw(st.lists(st.sampled_from(DEVICES), unique=True, min_size=1, max_size=5))
        ),
        prices=draw(st.sampled_from(["usual", "negative", "export_above", "flat", "free"])),
        n_steps=n_steps,
        step_h=step_h,
        start=start,
        demand_charge=draw(st.booleans()),
    )
