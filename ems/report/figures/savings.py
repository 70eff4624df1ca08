"""What each day was worth against both baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ems.core.mode import Mode
from ems.pipelines.comparison import BASELINES, DayResult
from ems.report.figures.days import EACH_DAY_UP_TO, Days, day_axis, mark_missing
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLACK, FORESIGHT, MODE_LINES, beside, styled
from ems.types import Floats

_THICK_UP_TO = 60


@styled
def savings_by_day(
    results: Sequence[DayResult],
    *,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """What each day adds to the savings [€] against both baselines; the days add up to the table.

    A day's saving is what it adds to the savings so far (``Days.saved_so_far_eur``), so that energy
    carried over midnight is not valued twice.

    Up to 14 days a group of bars a day, a panel for each baseline; beyond that a panel for each
    mode, filled against as metered, with a dark line against rule-based. Raises ``InvalidSpec``
    as ``Days.of``.
    """
    days = Days.of(results)
    title = f"{days.building} · savings by day · {days_in_words(days.days)}"
    note = f"tariff {tariff} · stores put back as they were · {foresight}"
    if len(days.span) <= EACH_DAY_UP_TO:
        return _bars(days, title, note, origin, paper)
    return _strips(days, title, note, origin, paper)


def _saved_eur(days: Days, mode: Mode, baseline: Mode) -> Floats:
    """What each day of the span adds to the savings of ``mode`` against ``baseline`` [€]."""
    return days.on_span(np.diff(days.saved_so_far_eur(mode, baseline), prepend=0.0).tolist())


def _bars(days: Days, title: str, note: str, origin: Origin, paper: Paper) -> Figure:
    figure = new_page(5.6, title, note, origin, paper)
    axes = figure.subplots(2, sharex=True, sharey=True)
    shown: tuple[Mode, ...] = ("rule_based", *days.planned)
    for ax, baseline in zip(axes, BASELINES, strict=True):
        for place, mode in enumerate(shown):
            if mode != baseline:
                _bar(ax, days, mode, baseline, place, len(shown))
        ax.axhline(0.0, color=BLACK, linewidth=1.0)
        mark_missing(ax, days)
        ax.set_title(f"against {MODE_LINES[baseline].label}")
        ax.set_ylabel("savings [€/day]")
    day_axis(axes[-1], days)
    axes[0].tick_params(axis="x", length=0)
    beside(axes[0])
    return figure


def _bar(ax: Any, days: Days, mode: Mode, baseline: Mode, place: int, n_places: int) -> None:
    width = 0.84 / n_places
    left = days.edges[:-1] + 0.08 + place * width
    look = MODE_LINES[mode]
    ax.bar(
        left,
        _saved_eur(days, mode, baseline),
        width,
        align="edge",
        color=look.colour,
        edgecolor="white",
        linewidth=0.5,
        label=look.label,
        gid=mode,
    )


def _strips(days: Days, title: str, note: str, origin: Origin, paper: Paper) -> Figure:
    shown: tuple[Mode, ...] = ("rule_based", *days.planned)
    figure = new_page(0.5 + 1.35 * len(shown), title, note, origin, paper)
    axes = np.atleast_1d(figure.subplots(len(shown), sharex=True, sharey=True))
    for ax, mode in zip(axes, shown, strict=True):
        look = MODE_LINES[mode]
        ax.stairs(
            _saved_eur(days, mode, "as_metered"),
            days.edges,
            baseline=0.0,
            fill=True,
            color=look.colour,
            label="against as metered",
        )
        if mode != "rule_based":
            ax.stairs(
                _saved_eur(days, mode, "rule_based"),
                days.edges,
                baseline=None,
                color=BLACK,
                linewidth=1.0 if len(days.span) <= _THICK_UP_TO else 0.6,
                label="against rule-based",
            )
        ax.axhline(0.0, color=BLACK, linewidth=0.8)
        mark_missing(ax, days)
        ax.set_title(look.label)
        beside(ax)
    figure.supylabel("savings [€/day]", size="medium")
    day_axis(axes[-1], days)
    return figure
