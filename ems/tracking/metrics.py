"""The figures kept of a run: status, days, modes and totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ems.economics.settlement import DayKpis
    from ems.pipelines.comparison import ModeSummary

Status = Literal["FINISHED", "FAILED", "KILLED"]

DAY_METRICS = ("cost_eur", "discomfort_eur", "import_kwh", "peak_import_kw", "self_consumption")
"""Metrics kept per day; few, because one metric costs MLflow 50 to 80 µs.

All figures of every day are in the results database, and their totals also in MLflow.
"""

HEADLINE = {
    "cost_eur": "cost €",
    "savings_eur_vs_as_metered": "saved against as metered €",
    "savings_eur_vs_rule_based": "saved against the best rule €",
}
"""Totals summed over buildings for the pipeline's own run, with their headings in its note."""


def day_metrics(days: Sequence[DayKpis]) -> dict[str, list[float | None]]:
    """The columns of ``PipelineRun.days``: ``DAY_METRICS`` of each day."""
    return {name: [getattr(day, name) for day in days] for name in DAY_METRICS}


def total_metrics(summary: ModeSummary) -> dict[str, float | None]:
    """All figures of a mode over all its days, and its savings against each baseline."""
    kpis = summary.kpis
    totals = {item.name: getattr(kpis, item.name) for item in fields(kpis)}
    money_and_energy = ("cost_eur", "with_wear_eur", "own_use_kwh")
    derived = (*money_and_energy, "self_consumption", "self_sufficiency", "mean_shift_h")
    totals |= {name: getattr(kpis, name) for name in derived}
    for base, saved in summary.against.items():
        totals |= {f"{i.name}_vs_{base}": getattr(saved, i.name) for i in fields(saved)}
    return totals


def headline(totals: Mapping[tuple[str, str], Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """``HEADLINE`` of each mode, summed over its buildings; ``totals`` by building and mode.

    A mode without costs is left out.

    >>> headline({("a", "m"): {"cost_eur": 1.0}, ("b", "m"): {"cost_eur": 2.0}, ("a", "n"): {}})
    {'m': {'cost_eur': 3.0}}
    """
    found: dict[str, dict[str, float]] = {}
    for (_building, mode), values in totals.items():
        for name in HEADLINE.keys() & values.keys():
            sums = found.setdefault(mode, {})
            sums[name] = sums.get(name, 0.0) + values[name]
    return found


def headline_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The headline in Markdown; empty if there is none."""
    if not found:
        return ""
    lines = [f"| mode | {' | '.join(HEADLINE.values())} |", "|---" + "|---:" * len(HEADLINE) + "|"]
    for mode, values in found.items():
        cells = [f"{values[name]:.2f}" if name in values else "–" for name in HEADLINE]
        lines.append(f"| {mode} | {' | '.join(cells)} |")
    return "\n".join(lines)
