"""Cost of comfort: every controller as a point between usual starts and low cost."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from ems.errors import InvalidSpec
from ems.pipelines.integrated import FrontierPoint, knee
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLUE, DARK_GREY, FORESIGHT, GREY, SMALL, VERMILLION, styled
from ems.types import Floats

Place = tuple[float, float]
_LETTERS, _NARROW_LETTERS = 32, 18
"""Maximum letters in a line of a label."""
_POINT_PT = 7.0
"""Half the size of a point with its ring [pt]."""
_GAPS_PT = np.linspace(10.0, 60.0, 7)
_TURNS = 2.0 * np.pi * (np.arange(16) / 16.0 + 1.0 / 8.0)
"""Candidate distances and directions of a label from its point."""


@styled
def cost_comfort_frontier(
    points: Sequence[FrontierPoint],
    *,
    title: str,
    tariff: str,
    origin: Origin,
    foresight: str = FORESIGHT,
    paper: Paper = SCREEN,
) -> Figure:
    """Cost [€] over the mean unusualness of the starts, 1 − p/max p in [0, 1], with the knee.

    Controllers that move nothing are not on the line. Raises ``InvalidSpec`` if no controller
    started anything.
    """
    drawn = [(point, _place(point)) for point in points if point.unusual is not None]
    if not drawn:
        raise InvalidSpec("figure: no appliance was started in the window, choose other days")
    body = new_page(4.2, title, f"tariff {tariff} · {foresight}", origin, paper)
    ax = body.subplots()
    ours = np.array(sorted(place for point, place in drawn if point.controller.movable))
    ax.plot(*ours.reshape(-1, 2).T, color=BLUE, marker="o", gid="frontier")
    for point, place in drawn:
        if not point.controller.movable:
            ax.plot(*place, "s", color=DARK_GREY, gid=point.controller.name)
    best = knee(points)
    if best is not None and best.unusual is not None:
        ring: dict[str, Any] = {"fillstyle": "none", "color": VERMILLION, "gid": "knee"}
        ring |= {"markersize": 13 * paper.scale, "markeredgewidth": 1.6 * paper.scale}
        ax.plot(*_place(best), "o", label=f"knee: {best.controller.name}", **ring)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    ax.margins(x=0.12, y=0.25)
    what = "mean of 1 − p(hour)/max p  [0 usual … 1 never]"
    ax.set_xlabel("how unusual the starts are:" + ("\n" if paper.narrow else " ") + what)
    ax.set_ylabel("cost over the window [€]")
    _name_points(ax, _names(points), ours, paper)
    return body.figure


def _place(point: FrontierPoint) -> Place:
    return point.unusual or 0.0, point.summary.kpis.cost_eur


def _names(points: Sequence[FrontierPoint]) -> dict[Place, list[str]]:
    """The names at each place, equal plans together, from left to right."""
    first: dict[Place, Place] = {}
    names: dict[Place, list[str]] = {}
    for point in points:
        if point.unusual is not None:
            x, y = _place(point)
            # To the cent: equal plans differ by solver noise.
            place = first.setdefault((round(x, 3), round(y, 2)), (x, y))
            names.setdefault(place, []).append(point.controller.name)
    return dict(sorted(names.items()))


def _name_points(ax: Any, names: Mapping[Place, Sequence[str]], line: Floats, paper: Paper) -> None:
    """Name each point at the nearest place that covers least of points, line and other names.

    Boxes are left, bottom, right, top [pt].
    """
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()  # fixes the positions of points; labels do not change them
    to_pt = 72.0 / figure.dpi
    dots = to_pt * ax.transData.transform(list(names))
    shares = np.linspace(0.0, 1.0, 40)[:, None, None]
    along = to_pt * ax.transData.transform(
        (line[:-1] + shares * np.diff(line, axis=0)).reshape(-1, 2)
    )
    half = _POINT_PT * paper.scale
    taken = np.vstack([np.hstack([dots - half, dots + half]), np.hstack([along - 1, along + 1])])
    panel = to_pt * ax.bbox.extents
    halo = [withStroke(linewidth=1.5 * paper.scale, foreground="white")]
    thin = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
    for (place, found), dot in zip(names.items(), dots, strict=True):
        text = _told(found, _NARROW_LETTERS if paper.narrow else _LETTERS)
        note = ax.annotate(
            text,
            place,
            (0.0, 0.0),
            textcoords="offset points",
            size=SMALL,
            color=DARK_GREY,
            ha="center",
            va="center",
            path_effects=halo,
            arrowprops=thin,
        )
        note.set_in_layout(False)
        box = note.get_window_extent()
        size = to_pt * np.array([box.width, box.height])
        offset = _best_offset(dot, size, panel, taken, paper.scale)
        note.set_position(offset)
        taken = np.vstack([taken, np.hstack([dot + offset - size / 2, dot + offset + size / 2])])


def _best_offset(dot: Floats, size: Floats, panel: Floats, taken: Floats, scale: float) -> Floats:
    """Offset from a point to the middle of its label [pt]."""
    ways = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)
    gaps = scale * _GAPS_PT[:, None, None] * ways + np.sign(ways.round(6)) * size / 2
    offsets = gaps.reshape(-1, 2)
    boxes = np.hstack([dot + offsets - size / 2, dot + offsets + size / 2])
    covered = (
        size.prod() - _common(boxes, panel[None]).sum(axis=1) + _common(boxes, taken).sum(axis=1)
    )
    # Rounded: the first, nearest place wins unless another is really better.
    best: Floats = offsets[np.argmin(covered.round(3))]
    return best


def _common(boxes: Floats, others: Floats) -> Floats:
    """The common area of each of ``boxes`` with each of ``others`` [pt²]."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common: Floats = np.clip(high - low, 0.0, None).prod(axis=2)
    return common


def _told(names: Sequence[str], letters: int) -> str:
    """The names at one point; weights are shortened to their numbers.

    >>> _told(["cost-only", "w = 0.02 €", "w = 0.1 €"], 40)
    'cost-only, w = 0.02, 0.1 €'
    >>> _told(["habit-only", "w = 0.02 €"], 14)
    'habit-only,\\nw = 0.02 €'
    """
    weights = [name[4:-2] for name in names if name.startswith("w = ")]
    others = [name for name in names if not name.startswith("w = ")]
    # Non-breaking, so that the weights stay on one line.
    hard = "\N{NO-BREAK SPACE}"
    told = [f"w{hard}={hard}{', '.join(weights)}{hard}€"] if weights else []
    text = textwrap.fill(", ".join([*others, *told]), letters, break_on_hyphens=False)
    return text.replace(hard, " ")
