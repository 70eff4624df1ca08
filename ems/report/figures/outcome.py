"""Outcome of a planned day: actual power as areas, the plan as lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ems.core.horizon import Horizon
from ems.report.figures.day import local_time, step_edges
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import legend_of_all, steps
from ems.report.figures.style import BLACK, DARK_GREY, PURPLE, Line, styled
from ems.types import Floats

_PANEL_IN = 1.15
_PLAN = Line(label="in the plan", colour=BLACK, marker="", width_pt=1.6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """Planned and actual power [kW], ``(n_steps,)``; ``colour`` None: several devices."""

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
    """A panel per row over local time: actual power as an area, planned as a line [kW]."""
    body = new_page(_PANEL_IN * len(rows) + 0.5, title, note, origin, paper)
    axes = body.subplots(len(rows), sharex=True, squeeze=False)[:, 0]
    edges = step_edges(horizon)
    halo = [withStroke(linewidth=3.2 * paper.scale, foreground="white")]
    for ax, row in zip(axes, rows, strict=True):
        colour = row.colour or PURPLE
        area = {"facecolor": colour, "edgecolor": DARK_GREY, "linewidth": 0.4}
        ax.stairs(row.came_kw, edges, baseline=0.0, fill=True, label="as it came", **area)
        steps(ax, row.planned_kw, edges, _PLAN, paper, path_effects=halo)
        ax.axhline(0.0, color=BLACK, linewidth=0.8)
        ax.set_title(row.label)
        ax.locator_params(axis="y", nbins=4)
    body.supylabel("mean power [kW]", size="medium")
    legend_of_all(body, axes[0].get_legend_handles_labels()[0], paper)
    local_time(axes[-1], horizon, paper)
    return body.figure
