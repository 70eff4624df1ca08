"""Savings of long windows: the mean of each week or month, and how the days are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ems.core.mode import LABELS, Mode
from ems.pipelines.spec import BASELINES
from ems.report.figures.day_table import Days
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import Paper
from ems.report.figures.parts import legend, rows, say
from ems.report.figures.style import BLACK, MODE_LINES
from ems.types import Floats

WEEKS_UP_TO = 120
"""Up to this number of days the mean of each week is drawn, beyond it that of each month."""
_GAIN_EUR = 0.005
"""A day saves if it saves half a cent."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BARS_IN, _ROW_IN = 1.75, 0.3
_SHARE, _TICK_LETTERS = 0.6, 7
"""Share of the width that the bars have; letters that a tick needs."""


def draw_periods(days: Days, note: str, origin: Origin, paper: Paper) -> Figure:
    """Mean savings of each week or month [€/day], and below them those of single days.

    A panel per baseline for both. Weeks and months count their planned days only, so that the means
    times these days sum to the table.
    """
    kind = "week" if len(days.span) <= WEEKS_UP_TO else "month"
    begins = [begin_of(day, kind) for day in days.days]
    modes: tuple[Mode, ...] = ("rule_based", *days.planned)
    title = f"{days.building} · savings by {kind} · {days_in_words(days.days)}"
    spread_in = 0.6 + _ROW_IN * len(modes)
    heights = [_BARS_IN, _BARS_IN, *([spread_in] * (2 if paper.narrow else 1))]
    names = [["bars 0"], ["bars 1"], ["spread 0"], ["spread 1"]]
    wide = [["bars 0"] * 2, ["bars 1"] * 2, ["spread 0", "spread 1"]]
    body = new_page(sum(heights) + 0.8, title, note, origin, paper)
    axes: dict[str, Any] = body.subplot_mosaic(
        names if paper.narrow else wide, height_ratios=heights
    )
    for i, baseline in enumerate(BASELINES):
        shown = [mode for mode in modes if mode != baseline]
        _bars(axes[f"bars {i}"], days, shown, baseline, begins, paper)
        axes[f"bars {i}"].set_ylabel(f"mean of each {kind}\n[€/day]")
        _spread(axes[f"spread {i}"], days, modes, baseline, paper)
    legend(axes["bars 0"], paper)
    if not paper.narrow:
        axes["spread 1"].set_yticklabels([])
    return body.figure


def begin_of(day: date, kind: str) -> date:
    """The Monday of the week, or the first of the month."""
    return day.replace(day=1) if kind == "month" else day - timedelta(days=day.weekday())


def means_eur(saved_eur: Floats, begins: Sequence[date]) -> dict[date, float]:
    """The mean of each period's days [€/day] by its first day."""
    of: dict[date, list[float]] = {}
    for begin, eur in zip(begins, saved_eur.tolist(), strict=True):
        of.setdefault(begin, []).append(eur)
    return {begin: float(np.mean(each)) for begin, each in of.items()}


def _bars(
    ax: Any,
    days: Days,
    modes: Sequence[Mode],
    baseline: Mode,
    begins: Sequence[date],
    paper: Paper,
) -> None:
    order = list(dict.fromkeys(begins))
    width = 0.84 / len(modes)
    for place, mode in enumerate(modes):
        found = means_eur(days.saved_each_eur(mode, baseline), begins)
        left = np.arange(len(order)) - 0.42 + place * width
        look = {"color": MODE_LINES[mode].colour, "label": LABELS[mode], "gid": mode}
        ax.bar(left, [found[begin] for begin in order], width, align="edge", linewidth=0, **look)
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    every = -(-len(order) // (paper.letters(paper.small_pt, _SHARE) // _TICK_LETTERS))
    ax.set_xticks(range(0, len(order), every), _named(order[::every]))
    ax.set_xlim(-0.6, len(order) - 0.4)
    ax.tick_params(axis="x", length=0)
    ax.set_title(f"against {LABELS[baseline]}")


def _named(begins: Sequence[date]) -> list[str]:
    """Names of weeks by their Monday, of months with the year where it changes."""
    if any(begin.day != 1 for begin in begins):
        return [f"{begin.day} {begin:%b}" for begin in begins]
    years = [None, *(begin.year for begin in begins)]
    return [
        f"{begin:%b}" if begin.year == before else f"{begin:%b\n%Y}"
        for begin, before in zip(begins, years, strict=False)
    ]


def _spread(ax: Any, days: Days, modes: Sequence[Mode], baseline: Mode, paper: Paper) -> None:
    """Per mode: 90 % of the days as a line, their middle half as a box, the median across."""
    rows(ax, [LABELS[mode] for mode in modes], paper)
    for place, mode in enumerate(modes):
        if mode == baseline:
            say(ax, place, "the baseline")
            continue
        saved_eur = days.saved_each_eur(mode, baseline)
        low, first, median, third, high = np.quantile(saved_eur, _QUANTILES)
        box = {"height": 0.55, "color": MODE_LINES[mode].colour, "gid": mode, "linewidth": 0}
        ax.plot([low, high], [place, place], color=BLACK, linewidth=paper.scale, zorder=1.5)
        ax.barh(place, third - first, left=first, **box)
        ax.plot([median] * 2, [place - 0.36, place + 0.36], color=BLACK, linewidth=1.4)
        share = 100.0 * float(np.mean(saved_eur >= _GAIN_EUR))
        say(ax, place, f"saves on {share:.0f} % of days", across=1.01)
    ax.axvline(0.0, color=BLACK, linewidth=0.8, zorder=1.5)
    ax.set_title(f"single days against {LABELS[baseline]}")
    ax.set_xlabel("[€/day]: median, middle half (box), 90 % of the days (line)")
    ax.locator_params(axis="x", nbins=5)
