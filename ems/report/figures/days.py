"""Several days of one building by mode: cumulative cost, and savings by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from ems.core.mode import LABELS, Mode
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import BASELINES
from ems.report.figures.day_table import Days
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import EACH_DAY_UP_TO, day_axis, legend, steps
from ems.report.figures.periods import draw_periods
from ems.report.figures.style import (
    BLACK,
    FAINT_GREY,
    FORESIGHT,
    MODE_LINES,
    Line,
    euros,
    styled,
)

DAYS_UP_TO = 60
"""Up to this number of days each day is drawn, beyond it weeks or months."""


@styled
def cumulative_cost(
    results: Sequence[DayResult],
    *,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """Cumulative cost over the days [€], and savings so far against each baseline [€].

    A value covers its whole day and includes it. Cost is bill and demand charge with the stores
    put back, so the last value equals the summary table. Raises ``InvalidSpec`` as ``Days.of``.
    """
    days = Days.of(results)
    title = f"{days.building} · cumulative cost · {days_in_words(days.days)}"
    note = f"tariff {tariff} · the stores put back as they were · {foresight}"
    body = new_page(7.0, title, note, origin, paper)
    axes = body.subplots(3, sharex=True, height_ratios=[1.3, 1.0, 1.0])
    for mode in days.kpis:
        _line(axes[0], days, mode, [kpis.cost_eur for kpis in days.so_far(mode)], paper)
    axes[0].set_ylabel("cost so far [€]")
    for ax, baseline in zip(axes[1:], BASELINES, strict=True):
        for mode in days.kpis:
            if mode not in ("as_metered", baseline):
                _line(ax, days, mode, days.saved_so_far_eur(mode, baseline), paper)
        ax.set_ylabel("saved so far [€]")
        ax.set_title(f"against {LABELS[baseline]}")
    for ax in axes:
        _frame(ax, days)
        legend(ax, paper, title="at the end")
    day_axis(axes[-1], paper)
    body.align_ylabels(axes)
    return body.figure


def _line(ax: Any, days: Days, mode: Mode, values_eur: Sequence[float], paper: Paper) -> None:
    look = MODE_LINES[mode]
    label = f"{look.label}: {euros(values_eur[-1])}"
    steps(ax, days.on_span(values_eur), days.edges, look, paper, label=label, gid=mode)


@styled
def savings_by_day(
    results: Sequence[DayResult],
    *,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """Contributions to the savings against both baselines [€/day].

    A day's saving is its contribution to the savings so far (``Days.saved_so_far_eur``), so that
    energy carried over midnight is not valued twice; all of them sum to the table.

    Up to 14 days: grouped bars, a panel per baseline. Up to 60: a panel per mode, filled against as
    metered, with a dark line against the best rule. Beyond: the mean of each week or month, and how
    the days are distributed (``draw_periods``). Raises ``InvalidSpec`` as ``Days.of``.
    """
    days = Days.of(results)
    note = f"tariff {tariff} · stores put back as they were · {foresight}"
    if days.planned:
        note += f" · saved most on {days.most_saved}"
    if len(days.span) > DAYS_UP_TO:
        return draw_periods(days, note, origin, paper)
    title = f"{days.building} · savings by day · {days_in_words(days.days)}"
    modes: tuple[Mode, ...] = ("rule_based", *days.planned)
    few = len(days.span) <= EACH_DAY_UP_TO
    body = new_page(5.6 if few else 0.5 + 1.35 * len(modes), title, note, origin, paper)
    # What planning adds to a rule is small beside what both save: an axis of its own.
    n_panels = 2 if few else len(modes)
    axes = body.subplots(n_panels, sharex=True, sharey=not few, squeeze=False)[:, 0]
    for i, ax in enumerate(axes):
        if few:
            _bars(ax, days, modes, BASELINES[i])
        else:
            _strip(ax, days, modes[i], paper)
        _frame(ax, days)
    for ax in axes[:1] if few else axes:
        legend(ax, paper)
    body.supylabel("savings [€/day]", size="medium")
    day_axis(axes[-1], paper)
    return body.figure


def _bars(ax: Any, days: Days, modes: Sequence[Mode], baseline: Mode) -> None:
    width = 0.84 / len(modes)
    for place, mode in enumerate(modes):
        if mode != baseline:
            look = {"color": MODE_LINES[mode].colour, "label": LABELS[mode], "gid": mode}
            left = days.edges[:-1] + 0.08 + place * width
            saved_eur = days.on_span(days.saved_each_eur(mode, baseline))
            ax.bar(left, saved_eur, width, align="edge", edgecolor="white", linewidth=0.5, **look)
    ax.set_title(f"against {LABELS[baseline]}")


def _strip(ax: Any, days: Days, mode: Mode, paper: Paper) -> None:
    look = MODE_LINES[mode]
    filled = {"fill": True, "baseline": 0.0, "color": look.colour}
    against = [f"against {LABELS[baseline]}" for baseline in BASELINES]
    saved_eur = [days.on_span(days.saved_each_eur(mode, baseline)) for baseline in BASELINES]
    ax.stairs(saved_eur[0], days.edges, label=against[0], **filled)
    if mode != BASELINES[1]:
        thin = Line(label=against[1], colour=BLACK, marker="", width_pt=1.0)
        steps(ax, saved_eur[1], days.edges, thin, paper)
    ax.set_title(look.label)


def _frame(ax: Any, days: Days) -> None:
    """The zero line, and shading over days that could not be planned."""
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    missing = [i for i, day in enumerate(days.span) if day not in days.days]
    for begin in days.edges[missing]:
        label = "not planned" if begin == days.edges[missing[0]] else None
        ax.axvspan(begin, begin + 1, color=FAINT_GREY, linewidth=0, zorder=0, label=label)
    ax.set_xlim(days.edges[0], days.edges[-1])
