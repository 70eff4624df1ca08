"""A run audited again from what it stored: the rows of its plans, its parameters, the meters.

Nothing of the planner is asked. Balance, charge accounts, limits and bills are computed here
from the numbers alone, so that a mistake in the agents' own audit cannot hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

TOLERANCE = 2e-5
"""How far a row may miss a rule in its own unit [kW, kWh, €]: twice what a plan's audit allows."""
UNPLANNED = ("as_metered", "self_consumption", "timer", "price_threshold", "rule_based")
Series = Mapping[tuple[str, str], pd.Series]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replayed:
    """What one mode of one building stored.

    ``series``: values of ``(agent, quantity)`` by time; ``metered``: the same of the people's own
    timing; ``step_h``: length of a step [h]; ``parameters``: of the MLflow run, by dotted name;
    ``import_eur_per_kwh``, ``export_eur_per_kwh``: prices by time [€/kWh]; ``days``: the stored
    KPIs by local day; ``day_of``: local day by time.
    """

    building: str
    mode: str
    series: Series
    metered: Series
    step_h: float
    parameters: Mapping[str, str]
    import_eur_per_kwh: pd.Series
    export_eur_per_kwh: pd.Series
    days: pd.DataFrame
    day_of: pd.Series

    def value(self, name: str) -> float:
        """A numeric parameter of the run."""
        return float(self.parameters[f"spec.{name}"])

    @property
    def knows_all(self) -> bool:
        """Whether the plans were made with perfect foresight, so that nothing may be missed."""
        return self.parameters.get("spec.foresight", "perfect") == "perfect"

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents in the order of their first row."""
        return tuple(dict.fromkeys(agent for agent, _ in self.series))


def failures(run: Replayed) -> Iterator[str]:
    """One line for each rule that the stored rows break; none for a run that is in order."""
    for check in (_rows, _balance, _stores, _grid, _sun, _devices, _money):
        for line in check(run):
            yield f"{run.mode}: {line}"


def _rows(run: Replayed) -> Iterator[str]:
    """Every step once, at equal distances, every value a number."""
    times = run.series["grid", "net_load_kw"].index
    distances_h = np.diff(times.to_numpy()) / np.timedelta64(3600, "s")
    if len(times) == 0 or not np.all(np.isclose(distances_h, run.step_h)):
        yield "its steps are not equally far apart"
    for (agent, quantity), values in run.series.items():
        if not np.all(np.isfinite(values.to_numpy())):
            yield f"{agent}.{quantity} is no number in some step"
        if not values.index.isin(times).all() or values.index.has_duplicates:
            yield f"{agent}.{quantity} has steps that the grid has not, or has one twice"


def _balance(run: Replayed) -> Iterator[str]:
    """Σ net load = 0 in every step [kW]."""
    parts = [v for (_, quantity), v in run.series.items() if quantity == "net_load_kw"]
    left_kw = pd.concat(parts, axis=1).fillna(0.0).sum(axis=1)
    yield from _beyond("balance: Σ net load [kW]", left_kw, 0.0, 0.0)


def _stores(run: Replayed) -> Iterator[str]:
    """soc(t) = soc(t−1) + (η·charge − discharge/η)·Δt − trip, within limits, never both at once."""
    for agent in run.agents:
        if (agent, "soc_kwh") not in run.series:
            continue
        charge_kw, discharge_kw, soc_kwh, net_kw = (
            run.series[agent, name]
            for name in ("charge_kw", "discharge_kw", "soc_kwh", "net_load_kw")
        )
        both_kw = charge_kw.where(charge_kw < discharge_kw, discharge_kw)
        yield from _beyond(f"{agent}: charges and discharges at once [kW]", both_kw, 0.0, 0.0)
        yield from _beyond(f"{agent}: net load [kW]", net_kw - charge_kw + discharge_kw, 0.0, 0.0)
        is_battery = agent == run.parameters.get("spec.assets.battery.name")
        spec = "assets.battery" if is_battery else "assets.ev"
        capacity_kwh = run.value(f"{spec}.capacity_kwh")
        yield from _beyond(f"{agent}: soc [kWh]", soc_kwh, 0.0, capacity_kwh)
        eta = (
            np.sqrt(run.value(f"{spec}.round_trip_efficiency"))
            if is_battery
            else run.value(f"{spec}.efficiency")
        )
        flow_kwh = (eta * charge_kw - discharge_kw / eta) * run.step_h
        taken_kwh = soc_kwh.shift(1) + flow_kwh - soc_kwh
        if is_battery:
            start_kwh = run.value(f"{spec}.initial_soc_kwh")
            taken_kwh.iloc[0] = start_kwh + flow_kwh.iloc[0] - soc_kwh.iloc[0]
            yield from _beyond(f"{agent}: charge account [kWh]", taken_kwh, 0.0, 0.0)
            for name, power_kw in (("charge_kw", charge_kw), ("discharge_kw", discharge_kw)):
                most_kw = run.value(f"{spec}.max_{name}")
                yield from _beyond(f"{agent}: {name}", power_kw, 0.0, most_kw)
        else:  # what a car drives is known to its meter alone; it never gains energy by it
            yield from _beyond(f"{agent}: driven [kWh]", taken_kwh.iloc[1:], 0.0, capacity_kwh)


def _grid(run: Replayed) -> Iterator[str]:
    """Import and export within the connection's limits, equal to the net load, and never at once
    but for what both registers counted as metered."""
    import_kw, export_kw = run.series["grid", "import_kw"], run.series["grid", "export_kw"]
    cross_kw = _both(run.metered)
    planned = run.mode not in UNPLANNED and run.knows_all
    for name, power_kw in (("import_kw", import_kw), ("export_kw", export_kw)):
        most_kw = run.value(f"assets.grid.max_{name}") if planned else np.inf
        yield from _beyond(f"grid: {name}", power_kw - cross_kw, 0.0, most_kw)
    yield from _beyond(
        "grid: imports and exports at once [kW]", _both(run.series) - cross_kw, 0.0, 0.0
    )
    net_kw = run.series["grid", "net_load_kw"] - export_kw + import_kw
    yield from _beyond("grid: net load [kW]", net_kw, 0.0, 0.0)


def _both(series: Series) -> pd.Series:
    """What import and export have in common in each step [kW]."""
    import_kw, export_kw = series["grid", "import_kw"], series["grid", "export_kw"]
    both_kw: pd.Series = import_kw.where(import_kw < export_kw, export_kw)
    return both_kw


def _sun(run: Replayed) -> Iterator[str]:
    """Generation is what the meter saw; less only where it may be curtailed."""
    if ("pv", "generation_kw") not in run.series:
        return
    generation_kw = run.series["pv", "generation_kw"]
    metered_kw = run.metered["pv", "generation_kw"]
    curtailable = run.parameters["spec.assets.curtailable_pv"] == "true"
    least_kw = -metered_kw if curtailable else metered_kw * 0.0
    yield from _beyond(
        "pv: more or less than the meter [kW]", generation_kw - metered_kw, least_kw, 0.0
    )
    yield from _beyond(
        "pv: net load [kW]", run.series["pv", "net_load_kw"] + generation_kw, 0.0, 0.0
    )


def _devices(run: Replayed) -> Iterator[str]:
    """Energy is moved, never deleted: each device draws each day what its meter showed [kWh]."""
    yield from _beyond(
        "base_load: not the meter's [kW]",
        run.series["base_load", "net_load_kw"] - run.metered["base_load", "net_load_kw"],
        0.0,
        0.0,
    )
    for agent in run.agents:
        if (agent, "heat_kw") in run.series:
            yield from _heat(run, agent)
        elif (agent, "power_kw") in run.series:
            own, theirs = (_by_day(run, s[agent, "power_kw"]) for s in (run.series, run.metered))
            more_kwh = own.sub(theirs, fill_value=0.0)  # a day without it has no rows of it
            if run.knows_all:
                yield from _beyond(f"{agent}: energy of the day [kWh]", more_kwh, 0.0, 0.0)


def _heat(run: Replayed, agent: str) -> Iterator[str]:
    """A house never colder than metered, in which heat beside the metered is kept or lost [kWh].

    E(t) = a·E(t−1) + b·(heat − metered heat)·Δt, a = exp(−Δt/τ), b = (1 − a)·τ/Δt.
    """
    power_kw, heat_kw, held_kwh, net_kw = (
        run.series[agent, name] for name in ("power_kw", "heat_kw", "heat_kwh", "net_load_kw")
    )
    yield from _beyond(f"{agent}: net load [kW]", net_kw - power_kw, 0.0, 0.0)
    yield from _beyond(f"{agent}: colder than metered [kWh]", held_kwh, 0.0, np.inf)
    steps = run.step_h / run.value("assets.heat.time_constant_h")
    keep, gain = np.exp(-steps), (1 - np.exp(-steps)) / steps
    metered_kw = run.metered[agent, "heat_kw"].reindex(heat_kw.index)
    comes_kwh = gain * (heat_kw - metered_kw) * run.step_h
    account_kwh = held_kwh - keep * held_kwh.shift(1, fill_value=0.0) - comes_kwh
    yield from _beyond(f"{agent}: heat account [kWh]", account_kwh, 0.0, 0.0)
    # Heat is made of power alone, and no heat pump makes it at less than 1 or more than 10 to 1.
    yield from _beyond(f"{agent}: heat of its power [kW]", heat_kw, power_kw, 10 * power_kw)


def _money(run: Replayed) -> Iterator[str]:
    """The bill of each day from prices and powers, against the bill that was stored [€]."""
    import_kw, export_kw = run.series["grid", "import_kw"], run.series["grid", "export_kw"]
    spent = import_kw * run.import_eur_per_kwh - export_kw * run.export_eur_per_kwh
    for kpi, power in (("bill_eur", spent), ("import_kwh", import_kw), ("export_kwh", export_kw)):
        yield from _beyond(f"{kpi} of the day", _by_day(run, power) - run.days[kpi], 0.0, 0.0)


def _by_day(run: Replayed, power: pd.Series) -> pd.Series:
    """Σ power · Δt of each local day."""
    total: pd.Series = (power * run.step_h).groupby(run.day_of.reindex(power.index)).sum()
    return total


def _beyond(
    what: str, values: pd.Series, low: pd.Series | float, up: pd.Series | float
) -> Iterator[str]:
    """One line for the place where ``values`` leave ``[low, up]`` the most, if any do."""
    numbers = values.to_numpy(dtype=np.float64)
    excess = np.maximum(np.asarray(low) - numbers, numbers - np.asarray(up))
    bad = ~(excess <= TOLERANCE)
    if bad.any():
        at = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        yield f"{what} is {values.iloc[at]:.6g} at {values.index[at]}, {excess[at]:.3g} beyond"
