"""What control by the value of charge is worth against the best rule, in every house.

    python benchmarks/value_control.py FILE.duckdb --n_days 376

One row a building: days, bill of the rule, saved against it with wear [€] with a 95 % interval from
blocks of days, what the perfect plan saves.
"""

from __future__ import annotations

import argparse
from datetime import date

import numpy as np

from ems.economics.intervals import drawn_sums, middle
from ems.economics.tariff_file import load_tariff
from ems.pipelines.comparison import choose_window, run_mode
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import HISTORY_DAYS, ComparisonSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.store.connection import get_con
from ems.store.read import list_buildings, read_history


def main() -> None:
    """Run every building and print its row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--n_days", type=int, default=376)
    parser.add_argument("--start", type=date.fromisoformat)
    parser.add_argument("--building", default="")
    parser.add_argument("--tariff", default="dynamic")
    asked = parser.parse_args()
    con = get_con(asked.database)
    print("| building | days | best rule: cost € | saved by value € | possible € |")
    print("|---|---:|---:|---:|---:|")
    for name in list_buildings(con):
        if asked.building in name:
            history = read_history(con, name)
            building = Building(history, load_tariff(asked.tariff), Assets())
            print(row(building, asked.start, asked.n_days), flush=True)


def row(building: Building, start: date | None, n_days: int) -> str:
    """The row of one building."""
    spec = ComparisonSpec(tariff=building.tariff, assets=building.assets, foresight="forecast")
    window = choose_window(building, start, None, HISTORY_DAYS)
    window = choose_window(building, start, min(n_days, _span(window.days)), HISTORY_DAYS)
    plan = perfect_plan(building, spec, window)
    kpis = {
        mode: [day.kpis for day in run_mode(building, spec, window, mode, plan.values)]
        for mode in ("rule_based", "value_based")
    }
    rule, value = (np.array([day.with_wear_eur for day in days]) for days in kpis.values())
    best = np.array([record.kpis.with_wear_eur for record in plan.records])
    bill = sum(day.cost_eur for day in kpis["rule_based"])
    return (
        f"| {window.building} | {len(rule)} | {bill:.2f} | {told(rule - value)} | "
        f"{told(rule - best)} |"
    )


def told(saved_eur: np.ndarray) -> str:  # type: ignore[type-arg]
    """A sum with its interval."""
    low, high = middle(drawn_sums(saved_eur, seed=0)[0])
    return f"{saved_eur.sum():.2f} ({low:.2f} … {high:.2f})"


def _span(days: tuple) -> int:  # type: ignore[type-arg]
    return (days[-1] - days[0]).days + 1


if __name__ == "__main__":
    main()
