"""Every mode of every building side by side: cost, savings against both baselines, own supply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, ModeSummary
from ems.plots.page import Origin, new_page
from ems.plots.paper import SCREEN, Paper
from ems.plots.style import BLACK, DARK_GREY, FAINT_GREY, FORESIGHT, MODE_LINES, SMALL, styled
from ems.schedule import Mode

_ROW_IN, _BUILDING_IN = 0.22, 0.42
_APART = -0.17


@styled
def mode_overview(
    summaries: Sequence[ModeSummary],
    *,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """A dot for each mode: cost [€], savings [€] and self-sufficiency [%], a row a building.

    Buildings differ by orders of magnitude, so each has its own axes in euros; self-sufficiency
    shares one axis. Savings are filled against as metered and open against rule-based. On narrow
    paper the three stand one below the other. Raises ``InvalidSpec`` without summaries.
    """
    if not summaries:
        raise InvalidSpec("figure: no summaries, give at least one")
    rows: dict[str, list[ModeSummary]] = {}
    for summary in summaries:
        rows.setdefault(summary.building, []).append(summary)
    names = list(rows)
    heads = {building: f"{building} · {_n_days(modes)}" for building, modes in rows.items()}
    what = heads[names[0]] if len(names) == 1 else f"{len(names)} buildings"
    note = f"tariff {tariff} · savings put the stores back as they were · {foresight}"
    heights = [_BUILDING_IN + _ROW_IN * len(modes) for modes in rows.values()]
    title = f"{what} · cost, savings, self-sufficiency by mode"
    figure, axes = _panels(heights, title, note, origin, paper)
    for line, building in zip(axes, names, strict=True):
        _building(line, rows[building])
        if len(names) > 1:
            line[0].set_title(heads[building], weight="bold")
        if not paper.narrow:
            for ax in line[1:]:
                ax.set_yticks(ax.get_yticks(), [])
    for line in axes if paper.narrow else axes[-1:]:
        for ax, label in zip(line, _LABELS, strict=True):
            ax.set_xlabel(label)
    axes[0][1].legend(
        handles=[_key(baseline) for baseline in BASELINES],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        borderaxespad=0.2,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    return figure


_LABELS = ("cost [€]", "savings [€]", "self-sufficiency [%]")


def _panels(
    heights: list[float], title: str, note: str, origin: Origin, paper: Paper
) -> tuple[Figure, Any]:
    """The page and its axes, three a building."""
    if paper.narrow:
        figure = new_page(3 * (sum(heights) + 0.5), title, note, origin, paper)
        ratios = [height for height in heights for _ in _LABELS]
        return figure, figure.subplots(len(ratios), 1, height_ratios=ratios).reshape(-1, 3)
    figure = new_page(sum(heights) + 0.9, title, note, origin, paper)
    ratios = [1.0, 1.2, 0.8]
    axes = figure.subplots(
        len(heights), 3, squeeze=False, height_ratios=heights, width_ratios=ratios
    )
    return figure, axes


def _key(baseline: Mode) -> Line2D:
    face = _face(DARK_GREY, baseline)
    label = f"against {MODE_LINES[baseline].label}"
    return Line2D(
        [], [], marker="o", linestyle="none", markerfacecolor=face, color=DARK_GREY, label=label
    )


def _face(colour: str, baseline: Mode) -> str:
    return colour if baseline == BASELINES[0] else "none"


def _n_days(modes: list[ModeSummary]) -> str:
    days = round(modes[0].kpis.days)
    return f"{days:,} day{'s' if days > 1 else ''}"


def _building(axes: Any, modes: list[ModeSummary]) -> None:
    cost, saved, own = axes
    places = np.arange(len(modes))
    for place, summary in zip(places, modes, strict=True):
        look = MODE_LINES[summary.mode]
        dot = {"marker": "o", "linestyle": "none", "color": look.colour}
        cost.plot([summary.kpis.cost_eur], [place], gid=summary.mode, **dot)
        for baseline, saving in summary.against.items():
            face = _face(look.colour, baseline)
            gid = f"{summary.mode}/{baseline}"
            dot_of = dot | {"markerfacecolor": face, "markeredgewidth": 1.4}
            beside = place + _APART * (1 if baseline == BASELINES[0] else -1)
            saved.plot([saving.savings_eur], [beside], gid=gid, **dot_of)
        share = summary.kpis.self_sufficiency
        if share is None:
            own.text(50.0, place, "no generation", size=SMALL, color=DARK_GREY, **_CENTRE)
        else:
            own.plot([100.0 * share], [place], gid=summary.mode, clip_on=False, **dot)
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
