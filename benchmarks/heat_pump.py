"""What a heat pump's planning is worth, and how that depends on what is assumed of its house.

``python benchmarks/heat_pump.py [--db FILE] [--building NAME] [--start DAY] [--n_days N]``

One row for each assumption: the time constant of the house, how much warmer than metered it may be,
how the COP depends on temperature and load, the wear of a start, and a house of two nodes. Bills
have the stores put back; wear stands beside. ``R²``: daily heat of the second half of the record by
the loss fitted to the first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np

from ems.agents import HeatSpec, thermal
from ems.agents.thermal import cop_outdoors, fitted_loss, heat_of
from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import DayRecord, choose_window
from ems.pipelines.parallel import run_windows
from ems.pipelines.spec import ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.connection import get_con
from ems.store.read import read_history

MODES = ("as_metered", "rule_based", "centralized")
SPECS: dict[str, HeatSpec] = {
    "48 h, 1 K": HeatSpec(),
    "24 h": HeatSpec(time_constant_h=24.0),
    "96 h": HeatSpec(time_constant_h=96.0),
    "0 K (as metered)": HeatSpec(warmer_k=0.0),
    "0.5 K": HeatSpec(warmer_k=0.5),
    "2 K": HeatSpec(warmer_k=2.0),
    "two nodes, 80 % in the walls": HeatSpec(mass_share=0.8),
    "a start wears 3 ct": HeatSpec(start_eur=0.03),
}
CURVES: dict[str, dict[str, Any]] = {
    "COP falls 50 % less with cold": {"SUPPLY_C": (20.0, 0.25)},
    "COP independent of load": {"RELATIVE_COP": (1.0, 1.0, 1.0)},
    "COP falls twice as much with load": {"RELATIVE_COP": (1.20, 0.95, 0.70)},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--db", type=Path, default=ROOT / "ems_data.duckdb")
    parser.add_argument("--building", default="DE_KN_residential4")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2015, 10, 14))
    parser.add_argument("--n_days", type=int, default=448)
    args = parser.parse_args()
    with get_con(args.db) as con:
        history = read_history(con, args.building)
    out_of_sample(history)
    print(
        "| house | vs rule € | after wear € | starts: metered, rule, plan | share > 80 % of power |"
    )
    print("|---|---:|---:|---:|---:|")
    for name, spec in SPECS.items():
        print(f"| {name} | {row(history, spec, args.start, args.n_days)} |", flush=True)
    for name, changed in CURVES.items():
        with curve(changed):
            print(f"| {name} | {row(history, HeatSpec(), args.start, args.n_days)} |", flush=True)


@contextmanager
def curve(changed: dict[str, Any]) -> Iterator[None]:
    """Other figures of the COP for a while."""
    with patch.multiple(thermal, **changed):
        yield


def row(history: MeterData, heat: HeatSpec, start: date, n_days: int) -> str:
    """The cells of one assumption."""
    building = Building(history, load_tariff("dynamic"), Assets(heat=heat))
    spec = ComparisonSpec(tariff=building.tariff, assets=building.assets, modes=("centralized",))
    window = choose_window(building, start, n_days)
    records = [r for days in run_windows([building], spec, [window], 1) for r in days]
    of_mode = {mode: [r for r in records if r.mode == mode] for mode in MODES}
    cost, wear = (
        {mode: sum(getattr(r.kpis, kpi) for r in days) for mode, days in of_mode.items()}
        for kpi in ("cost_eur", "wear_eur")
    )
    saved_eur = cost["rule_based"] - cost["centralized"]
    after_eur = saved_eur + wear["rule_based"] - wear["centralized"]
    starts = " / ".join(str(n_starts(days)) for days in of_mode.values())
    near = " / ".join(f"{100 * near_full(days):.1f} %" for days in of_mode.values())
    return f"{saved_eur:.2f} | {after_eur:.2f} | {starts} | {near}"


def n_starts(days: Sequence[DayRecord]) -> int:
    """Starts of all heat pumps."""
    return sum(
        agent.n_starts(day.schedule.plans[agent.name])
        for day in days
        for agent in day.schedule.agents
        if hasattr(agent, "n_starts")
    )


def near_full(days: Sequence[DayRecord]) -> float:
    """Share of the energy drawn at more than 80 % of the maximum power."""
    power_kw = np.concatenate([day.schedule.plans["heat_pump"].net_load_kw for day in days])
    most_kw = max(a.max_power_kw for d in days for a in d.schedule.agents if a.name == "heat_pump")
    return float(power_kw[power_kw > 0.8 * most_kw].sum() / power_kw.sum())


def out_of_sample(history: MeterData) -> None:
    """Print how well the loss fitted to the first half explains the second."""
    power_kw = history.energy_kwh["heat_pump"] / history.step_h
    temperature_c = history.weather["temperature_c"]
    heat_kw = heat_of(power_kw, cop_outdoors(temperature_c), float(np.nanmax(power_kw)))
    per_day = round(24 / history.step_h)
    n = len(power_kw) // per_day * per_day
    heat_kwh = heat_kw[:n].reshape(-1, per_day).sum(axis=1) * history.step_h
    mean_c = temperature_c[:n].reshape(-1, per_day).mean(axis=1)
    known = np.isfinite(heat_kwh + mean_c)
    heat_kwh, mean_c = heat_kwh[known], mean_c[known]
    half = len(heat_kwh) // 2
    loss = fitted_loss(heat_kwh[:half], mean_c[:half])
    assert loss is not None
    left = heat_kwh[half:] - loss.daily_kwh(mean_c[half:])
    spread = heat_kwh[half:] - heat_kwh[half:].mean()
    explained = 1 - left @ left / (spread @ spread)
    print(
        f"{history.building}: {1000 * loss.kw_per_k:.0f} W/K below {loss.limit_c:g} °C from "
        f"{half} days; of the {len(left)} days after, R² {explained:.2f}, "
        f"mean error {np.abs(left).mean():.1f} of {heat_kwh[half:].mean():.1f} kWh a day"
    )


if __name__ == "__main__":
    main()
