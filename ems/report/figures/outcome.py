"""What came of a planned day: each power as it came, and over it the line of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ems.core.horizon import Horizon
from ems.report.figures.day import local_time, step_edges
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLACK, DARK_GREY, PURPLE, beside, styled
from ems.types import Floats

_PANEL_IN = 1.15


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A power in the plan and as it came [kW], ``(n_steps,)``; ``colour`` None: of many devices."""

    label: str
    planned_kw: Floats
    came_kw: Floats
    colour: str | None = None


@styled
def plan_and_outcome(
    rows: Sequence[Compared],
    horizon: Horizon,
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """A panel for each of ``rows`` over local time: an area as it came, a line as planned [kW]."""
    figure = new_page(_PANEL_IN * len(rows) + 0.5, title, note, origin, paper)
    axes = figure.subplots(len(rows), sharex=True, squeeze=False)[:, 0]
    edges = step_edges(horizon)
    for ax, row in zip(axes, rows, strict=True):
        ax.stairs(
            row.came_kw,
            edges,
            baseline=0.0,
            fill=True,
            facecolor=row.colour or PURPLE,
            edgecolor=DARK_GREY,
            linewidth=0.4,
            label="as it came",
        )
        ax.stairs(
            row.planned_kw,
            edges,
            baseline=None,
            color=BLACK,
            linewidth=1.6,
            label="in the plan",
            path_effects=[withStroke(linewidth=3.2, foreground="white")],
        )
        ax.axhline(0.0, color=BLACK, linewidth=0.8)
        ax.set_title(row.label)
        ax.locator_params(axis="y", nbins=4)
    figure.supylabel("mean power [kW]", size="medium")
    beside(axes[0])
    local_time(axes[-1], horizon)
    return figure
