"""What the days cost, added up, and how far each mode is ahead of both baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from ems.core.mode import Mode
from ems.pipelines.comparison import BASELINES, DayResult
from ems.report.figures.days import Days, day_axis, mark_missing
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLACK, FORESIGHT, MODE_LINES, beside, euros, styled


@styled
def cumulative_cost(
    results: Sequence[DayResult],
    *,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """Cost added up over the days [€], and savings so far against each baseline [€].

    A value stands over its whole day and counts that day in. Cost is bill, demand charge and wear;
    savings put the stores back as they were, so the last value is that of the summary table.
    Raises ``InvalidSpec`` as ``Days.of``.
    """
    days = Days.of(results)
    title = f"{days.building} · cumulative cost · {days_in_words(days.days)}"
    note = f"tariff {tariff} · savings put the stores back as they were · {foresight}"
    figure = new_page(7.0, title, note, origin, paper)
    axes = figure.subplots(3, sharex=True, height_ratios=[1.3, 1.0, 1.0])
    for mode in days.kpis:
        _line(axes[0], days, mode, [kpis.cost_eur for kpis in days.so_far(mode)])
    axes[0].set_ylabel("cost so far [€]")
    for ax, baseline in zip(axes[1:], BASELINES, strict=True):
        for mode in days.kpis:
            if mode != "as_metered" and mode != baseline:
                _line(ax, days, mode, days.saved_so_far_eur(mode, baseline))
        ax.set_ylabel("saved so far [€]")
        ax.set_title(f"against {MODE_LINES[baseline].label}")
    for ax in axes:
        ax.axhline(0.0, color=BLACK, linewidth=0.8)
        mark_missing(ax, days)
        beside(ax, title="at the end")
    day_axis(axes[-1], days)
    figure.align_ylabels(axes)
    return figure


def _line(ax: Any, days: Days, mode: Mode, values_eur: list[float]) -> None:
    look = MODE_LINES[mode]
    ax.stairs(
        days.on_span(values_eur),
        days.edges,
        baseline=None,
        color=look.colour,
        linestyle=look.dashes,
        linewidth=look.width_pt,
        label=f"{look.label}: {euros(values_eur[-1])}",
        gid=mode,
    )
