"""Report sections on the audit, and on how to repeat the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ems.core.mode import LABELS
from ems.pipelines.comparison import DayRecord, ModeSummary
from ems.pipelines.spec import UNPLANNED, ComparisonSpec
from ems.report.page import words
from ems.report.page.explain import ExplainedDay
from ems.report.page.page import Section, Table
from ems.site.meters import MeterData

CHECKED = (
    "Every plan of this run was checked from its numbers alone before it was used: the balance of "
    "every step, every charge account, every limit and deadline, and its cost recomputed. A plan "
    "that fails ends the run, so that none of these figures comes from one."
)
ON_FORECASTS = (
    "What was carried out was checked again for balance, charge accounts and the limits of every "
    "device, but not for deadlines and the limits of the connection: a forecast may miss them.",
    "The plan that is explained was made again for this page, from the forecasts that the run had "
    "at that midnight, and checked like the others: it fits what was expected, whatever came.",
)
BASELINES_ARE_NOT = (
    "As metered and the rules are no plans: they are settled at the same meter, whatever the "
    "limits of the connection say."
)


def audit_section(
    day: ExplainedDay, example: DayRecord, spec: ComparisonSpec, summaries: Sequence[ModeSummary]
) -> Section:
    """What was checked before any figure was used, and the accuracy found."""
    on_forecasts = spec.foresight == "forecast"
    explained = "plan that is explained" if on_forecasts else "explained day"
    rows = [
        (f"largest imbalance in a step of the {explained}", f"{day.left_over_kw:.1e} kW"),
        ("its cost recomputed, less the solver's", f"{day.bill_off_eur:.1e} €"),
        ("its distance from the proven optimum", _at_most(day.gap_eur)),
        ("the largest such distance in the run", _worst(summaries)),
        *(_carried_out(example, summaries) if on_forecasts else ()),
    ]
    return Section(
        "The audit",
        (CHECKED, *(ON_FORECASTS if on_forecasts else ()), BASELINES_ARE_NOT),
        tables=(Table("how exact", ("check", "found"), rows, n_texts=None),),
    )


def _carried_out(example: DayRecord, summaries: Sequence[ModeSummary]) -> Iterator[tuple[str, str]]:
    """Accuracy of the executed day, and targets missed because of forecasts."""
    left_kw = example.schedule.net_load_kw("load", "generation", "storage", "grid")
    most_kw = float(np.max(np.abs(left_kw)))
    yield "largest imbalance in a step of what was carried out that day", f"{most_kw:.1e} kW"
    missed_kwh = [s.kpis.missed_kwh for s in summaries if s.mode not in UNPLANNED]
    missed = words.kwh(max(missed_kwh, default=0.0))
    yield "missed by a car at its deadlines, in the worst mode", missed


def _at_most(gap_eur: float) -> str:
    return f"at most {max(gap_eur, 0.0):.4f} €"


def _worst(summaries: Sequence[ModeSummary]) -> str:
    """The largest gap of the modes with a proof, with their names."""
    proven = [summary for summary in summaries if np.isfinite(summary.kpis.gap_eur)]
    if not proven:
        return "not proven: plans in parts, alone or on forecasts have no common bound"
    proven = sorted(proven, key=lambda summary: summary.kpis.gap_eur)
    modes = words.listed([*dict.fromkeys(LABELS[summary.mode] for summary in proven)])
    return f"{_at_most(proven[-1].kpis.gap_eur)} a plan ({modes})"


def again_section(command: str, history: MeterData) -> Section:
    """The command that reproduces the figures."""
    same = (
        "The same command on the same data and package versions gives the same figures, but for "
        f"the time it took; the fingerprint of the data is {history.data_hash}. Parameters and "
        "versions are in the run's tracking."
    )
    return Section("Run it again", (same,), command=command)
