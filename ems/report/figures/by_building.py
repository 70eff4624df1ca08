"""What every mode saves in every building, as a share of what energy costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, PLANNED, ModeSummary
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BLACK,
    DARK_GREY,
    FAINT_GREY,
    MODE_LINES,
    SMALL,
    beside,
    euros,
    keep_inside,
    styled,
)

_ROW_IN = 0.55
_EDGE = 0.2
"""How near an edge of the panel an amount runs away from it, as a share of its width."""
_SPREAD = 0.5
"""How far apart the modes of a building stand, as a share of its row."""


@styled
def savings_by_building(
    groups: Mapping[str, Sequence[ModeSummary]],
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Savings [% of what the baseline paid for import] of each mode, a panel for each baseline.

    ``groups``: the modes of a building under its name. Buildings differ by orders of magnitude
    in euros; those of the best planned mode are written beside, never of the bound above it. Where
    the baseline bought nearly nothing there is no percentage. Raises ``InvalidSpec`` without
    groups.
    """
    if not groups:
        raise InvalidSpec("figure: no buildings, give at least one")
    shape = (2, 1) if paper.narrow else (1, 2)
    body_in = (paper.row_in(_ROW_IN, groups) * len(groups) + 1.3) * shape[0]
    figure = new_page(body_in, title, note, origin, paper)
    axes = figure.subplots(*shape, sharey=True).ravel()
    for ax, baseline in zip(axes, BASELINES, strict=True):
        for place, modes in enumerate(groups.values()):
            _building(ax, place, modes, baseline, paper)
        ax.axvline(0.0, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
        ax.set_yticks(range(len(groups)), [paper.beside(name) for name in groups])
        ax.set_ylim(len(groups) - 0.4, -0.6)
        ax.margins(x=0.12)
        keep_inside(ax, _EDGE)
        ax.grid(axis="y", color=FAINT_GREY)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_title(f"against {MODE_LINES[baseline].label}")
    for ax in axes[1:] if paper.narrow else axes:
        ax.set_xlabel("savings [% of paid for import]")
    handles = _keys([summary.mode for modes in groups.values() for summary in modes])
    if paper.narrow:
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    else:
        beside(axes[-1], handles=handles)
    return figure


def _keys(modes: Sequence[Mode]) -> list[Line2D]:
    """The legend: every mode that is drawn, in the order of ``MODE_LINES``."""
    lines = [line for mode, line in MODE_LINES.items() if mode in modes]
    return [
        Line2D([], [], marker=line.marker, color=line.colour, label=line.label, linestyle="none")
        for line in lines
    ]


def _building(
    ax: Any, place: int, modes: Sequence[ModeSummary], baseline: Mode, paper: Paper
) -> None:
    known = {s.mode: s.against[baseline] for s in modes if baseline in s.against}
    drawn = {m: s.savings_pct for m, s in known.items() if s.savings_pct is not None}
    for i, (mode, pct) in enumerate(drawn.items()):
        line = MODE_LINES[mode]
        style = {"marker": line.marker, "color": line.colour, "linestyle": "none"}
        beside_others = place + _SPREAD * ((i + 0.5) / len(drawn) - 0.5)
        ax.plot([pct], [beside_others], gid=f"{mode}/{baseline}", **style)
    if not drawn:
        ax.text(0.5, place, "the baseline buys next to nothing", size=SMALL, **_centred(ax))
        return
    planned = [mode for mode in drawn if mode in PLANNED] or list(drawn)
    best = max(planned, key=lambda mode: known[mode].savings_eur)
    ax.annotate(
        euros(known[best].savings_eur),
        (drawn[best], place - _SPREAD / 2),
        xytext=(0, 3 * paper.scale),
        textcoords="offset points",
        ha="center",
        size=SMALL,
        color=DARK_GREY,
        path_effects=[withStroke(linewidth=2.0 * paper.scale, foreground="white")],
    )


def _centred(ax: Any) -> dict[str, Any]:
    return {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
