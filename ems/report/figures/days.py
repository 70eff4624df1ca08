"""Several days of one building by mode: cumulative cost, and savings by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.core.mode import LABELS, Mode
from ems.economics.settlement import DayKpis, savings, total
from ems.errors import InvalidSpec
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import BASELINES, MODES
from ems.report.figures.page import Origin, days_in_words, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import EACH_DAY_UP_TO, day_axis, legend, steps
from ems.report.figures.style import (
    BLACK,
    FAINT_GREY,
    FORESIGHT,
    MODE_LINES,
    Line,
    euros,
    styled,
)
from ems.types import Floats

_THICK_UP_TO = 60
"""Lines between days are thick up to this number of days."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Days:
    """The days of one building that every mode has.

    ``kpis``: for each mode, in the order of ``MODES``, one entry per day of ``days``.
    """

    building: str
    days: tuple[date, ...]
    kpis: Mapping[Mode, tuple[DayKpis, ...]]

    @classmethod
    def of(cls, results: Sequence[DayResult]) -> Days:
        """Group results by mode and day; days missing in a mode are left out for all.

        Raises ``InvalidSpec`` unless the results are of one building, contain both baselines, and
        have a day in common.
        """
        buildings = sorted({result.building for result in results})
        if len(buildings) != 1:
            raise InvalidSpec(
                f"figure: results of {len(buildings)} buildings ({', '.join(buildings)}), "
                "give those of one"
            )
        table: dict[Mode, dict[date, DayKpis]] = {}
        for result in results:
            table.setdefault(result.mode, {})[result.day] = result.kpis
        lacking = [base for base in BASELINES if base not in table]
        if lacking:
            raise InvalidSpec(f"{buildings[0]}: no results of the baseline {lacking[0]}, add them")
        common = sorted(set.intersection(*(set(days) for days in table.values())))
        if not common:
            raise InvalidSpec(f"{buildings[0]}: no day has results of every mode; finish the run")
        kpis = {m: tuple(table[m][day] for day in common) for m in MODES if m in table}
        return cls(building=buildings[0], days=tuple(common), kpis=kpis)

    def so_far(self, mode: Mode) -> list[DayKpis]:
        """The KPIs of ``mode`` from the first day to the end of each day."""
        return list(accumulate(self.kpis[mode], lambda sum_, day: total([sum_, day])))

    def saved_so_far_eur(self, mode: Mode, baseline: Mode) -> list[float]:
        """Savings of ``mode`` against ``baseline`` to the end of each day [€]; see ``savings``."""
        pairs = zip(self.so_far(mode), self.so_far(baseline), strict=True)
        return [savings(ours, base).savings_eur for ours, base in pairs]

    def saved_each_eur(self, mode: Mode, baseline: Mode) -> Floats:
        """Contribution of each day of ``span`` to the savings of ``mode`` [€], NaN if missing."""
        return self.on_span(np.diff(self.saved_so_far_eur(mode, baseline), prepend=0.0).tolist())

    @property
    def planned(self) -> tuple[Mode, ...]:
        """The modes that are not baselines."""
        return tuple(mode for mode in self.kpis if mode not in BASELINES)

    @property
    def span(self) -> tuple[date, ...]:
        """Every day from the first to the last."""
        n_days = (self.days[-1] - self.days[0]).days + 1
        return tuple(self.days[0] + timedelta(days=i) for i in range(n_days))

    @property
    def edges(self) -> Floats:
        """The midnights around the days of ``span``, as days of matplotlib."""
        edges: Floats = mdates.date2num(self.days[0]) + np.arange(len(self.span) + 1.0)
        return edges

    def on_span(self, values: Sequence[float]) -> Floats:
        """Values per day of ``days`` spread over ``span``, NaN where missing."""
        series = np.full(len(self.span), np.nan)
        series[[(day - self.days[0]).days for day in self.days]] = values
        return series


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
    """Daily contributions to the savings against both baselines [€]; they sum to the table.

    A day's saving is its contribution to the savings so far (``Days.saved_so_far_eur``), so that
    energy carried over midnight is not valued twice.

    Up to 14 days: grouped bars, a panel per baseline. Beyond: a panel per mode, filled against as
    metered, with a dark line against the best rule. Raises ``InvalidSpec`` as ``Days.of``.
    """
    days = Days.of(results)
    title = f"{days.building} · savings by day · {days_in_words(days.days)}"
    note = f"tariff {tariff} · stores put back as they were · {foresight}"
    modes: tuple[Mode, ...] = ("rule_based", *days.planned)
    few = len(days.span) <= EACH_DAY_UP_TO
    body = new_page(5.6 if few else 0.5 + 1.35 * len(modes), title, note, origin, paper)
    axes = body.subplots(2 if few else len(modes), sharex=True, sharey=True, squeeze=False)[:, 0]
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
            saved_eur = days.saved_each_eur(mode, baseline)
            ax.bar(left, saved_eur, width, align="edge", edgecolor="white", linewidth=0.5, **look)
    ax.set_title(f"against {LABELS[baseline]}")


def _strip(ax: Any, days: Days, mode: Mode, paper: Paper) -> None:
    look = MODE_LINES[mode]
    filled = {"fill": True, "baseline": 0.0, "color": look.colour}
    against = [f"against {LABELS[baseline]}" for baseline in BASELINES]
    ax.stairs(days.saved_each_eur(mode, BASELINES[0]), days.edges, label=against[0], **filled)
    if mode != BASELINES[1]:
        thin = Line(label=against[1], colour=BLACK, marker="", width_pt=_thin_pt(days))
        steps(ax, days.saved_each_eur(mode, BASELINES[1]), days.edges, thin, paper)
    ax.set_title(look.label)


def _thin_pt(days: Days) -> float:
    return 1.0 if len(days.span) <= _THICK_UP_TO else 0.6


def _frame(ax: Any, days: Days) -> None:
    """The zero line, and shading over days that could not be planned."""
    ax.axhline(0.0, color=BLACK, linewidth=0.8)
    missing = [i for i, day in enumerate(days.span) if day not in days.days]
    for begin in days.edges[missing]:
        label = "not planned" if begin == days.edges[missing[0]] else None
        ax.axvspan(begin, begin + 1, color=FAINT_GREY, linewidth=0, zorder=0, label=label)
    ax.set_xlim(days.edges[0], days.edges[-1])
