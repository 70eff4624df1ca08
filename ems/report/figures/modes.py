"""Every mode of every building side by side: cost, savings against both baselines, own supply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, ModeSummary
from ems.report.figures.page import Origin, days_in_words, new_page, wrapped
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BLACK,
    DARK_GREY,
    FAINT_GREY,
    FORESIGHT,
    MODE_LINES,
    SMALL,
    beside,
    styled,
)

_ROW_IN, _BUILDING_IN = 0.22, 0.42
_APART = -0.17
_MOST_ON_SLIDES = 2
"""Buildings up to which every mode has a line with its name where the height is given."""


@styled
def mode_overview(
    summaries: Sequence[ModeSummary],
    *,
    days: Mapping[str, Sequence[date]],
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """A dot for each mode: cost [€], savings [€] and self-sufficiency [%], a row a building.

    ``days``: the sorted days of each building. Buildings differ by orders of magnitude, so each has
    its own axes in euros; self-sufficiency shares one axis. Savings are filled against as metered
    and open against rule-based. On narrow paper the three stand one below the other; where many
    buildings share a given height, a legend tells the modes. Raises ``InvalidSpec`` without
    summaries.
    """
    if not summaries:
        raise InvalidSpec("figure: no summaries, give at least one")
    rows: dict[str, list[ModeSummary]] = {}
    for summary in summaries:
        rows.setdefault(summary.building, []).append(summary)
    heads = {building: f"{building} · {days_in_words(days[building])}" for building in rows}
    title, note = _head(heads, days, tariff, foresight)
    dense = paper.height_in is not None and len(rows) > _MOST_ON_SLIDES
    heights = [_BUILDING_IN + _ROW_IN * len(modes) for modes in rows.values()]
    figure = new_page(_body_in(heights, paper), title, note, origin, paper)
    axes = _panels(figure, heights, paper, dense=dense)
    for line, (building, modes) in zip(axes, rows.items(), strict=True):
        _building(line, modes)
        if dense:
            _name(line[0], paper.beside(building))
        elif len(rows) > 1:
            told = wrapped(heads[building], _letters(paper))
            line[0].set_title("\n".join(told), weight="bold")
        if not paper.narrow:
            for ax in line[1:]:
                ax.set_yticks([] if dense else ax.get_yticks(), [])
    for line in axes if paper.narrow else axes[-1:]:
        for ax, label in zip(line, _LABELS, strict=True):
            ax.set_xlabel(label)
    keys = [_key(baseline) for baseline in BASELINES]
    if dense:
        edge = figure.add_subplot(axes[0][0].get_gridspec()[:, 3], frame_on=False)
        edge.set(xticks=[], yticks=[])
        beside(edge, handles=[*_keys(summaries), *keys])
        return figure
    axes[0][1].legend(
        handles=keys,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        borderaxespad=0.2,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    return figure


def _head(
    heads: Mapping[str, str], days: Mapping[str, Sequence[date]], tariff: str, foresight: str
) -> tuple[str, str]:
    """Title and note."""
    windows = {tuple(days[building]) for building in heads}
    what = next(iter(heads.values()))
    if len(heads) > 1:
        same = f" · {days_in_words(*windows)}" if len(windows) == 1 else ""
        what = f"{len(heads)} buildings{same}"
    note = (
        "cost: bill and wear of the days · savings: the cost saved, once the stores are put back "
        f"as they were · tariff {tariff} · {foresight}"
    )
    return f"{what} · cost, savings, self-sufficiency by mode", note


def _name(ax: Any, name: str) -> None:
    """The building's name left of its row, in place of those of the modes."""
    ax.set_yticks([])
    ax.set_ylabel(name, rotation=0, ha="right", va="center", size=SMALL)


def _keys(summaries: Sequence[ModeSummary]) -> list[Line2D]:
    shown = {summary.mode for summary in summaries}
    return [
        Line2D([], [], marker="o", linestyle="none", color=line.colour, label=line.label)
        for mode, line in MODE_LINES.items()
        if mode in shown
    ]


_LABELS = ("cost [€]", "savings [€]", "self-sufficiency [%]")


def _body_in(heights: Sequence[float], paper: Paper) -> float:
    return 3 * (sum(heights) + 0.5) if paper.narrow else sum(heights) + 0.9


def _panels(figure: Figure, heights: Sequence[float], paper: Paper, *, dense: bool) -> Any:
    """The axes, three a building; a narrow fourth column is left free where it is dense."""
    if paper.narrow:
        ratios = [height for height in heights for _ in _LABELS]
        return figure.subplots(len(ratios), 1, height_ratios=ratios).reshape(-1, 3)
    widths = [1.0, 1.2, 0.8, *([0.01] if dense else [])]
    grid = figure.add_gridspec(
        len(heights), len(widths), height_ratios=heights, width_ratios=widths
    )
    return [[figure.add_subplot(grid[row, i]) for i in range(3)] for row in range(len(heights))]


def _letters(paper: Paper) -> int:
    """How long a line above the first panel of a building may be."""
    share = 0.75 if paper.narrow else 0.38
    return int(72.0 * share * paper.width_in / (0.66 * paper.text_pt))


def _key(baseline: Mode) -> Line2D:
    face = _face(DARK_GREY, baseline)
    label = f"against {MODE_LINES[baseline].label}"
    return Line2D(
        [], [], marker="o", linestyle="none", markerfacecolor=face, color=DARK_GREY, label=label
    )


def _face(colour: str, baseline: Mode) -> str:
    return colour if baseline == BASELINES[0] else "none"


def _building(axes: Any, modes: list[ModeSummary]) -> None:
    cost, saved, own = axes
    places = np.arange(len(modes))
    for place, summary in zip(places, modes, strict=True):
        look = MODE_LINES[summary.mode]
        dot = {"marker": "o", "linestyle": "none", "color": look.colour, "clip_on": False}
        cost.plot([summary.kpis.cost_eur], [place], gid=summary.mode, **dot)
        for baseline, saving in summary.against.items():
            face = _face(look.colour, baseline)
            gid = f"{summary.mode}/{baseline}"
            dot_of = dot | {"markerfacecolor": face, "markeredgewidth": 1.4}
            at = place + _APART * (1 if baseline == BASELINES[0] else -1)
            saved.plot([saving.savings_eur], [at], gid=gid, **dot_of)
        share = summary.kpis.self_sufficiency
        if share is None:
            own.text(50.0, place, "no generation", size=SMALL, color=DARK_GREY, **_CENTRE)
        else:
            own.plot([100.0 * share], [place], gid=summary.mode, **dot)
    own.set_xlim(0.0, 100.0)
    saved.axvline(0.0, color=BLACK, linewidth=0.8, zorder=1.5)
    for ax in axes:
        ax.set_yticks(places, [MODE_LINES[summary.mode].label for summary in modes])
        ax.set_ylim(len(modes) - 0.5, -0.5)
        ax.grid(axis="y", color=FAINT_GREY)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        if ax is not own:
            ax.margins(x=0.12)
            ax.locator_params(axis="x", nbins=5)


_CENTRE = {"ha": "center", "va": "center"}
