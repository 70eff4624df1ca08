"""What comfort costs: every controller as a point between usual starts and a small bill."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from ems.errors import InvalidSpec
from ems.pipelines.integrated import FrontierPoint, knee
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLUE, DARK_GREY, FORESIGHT, GREY, SMALL, VERMILLION, styled
from ems.types import Floats

Place = tuple[float, float]
_LETTERS, _NARROW_LETTERS = 32, 18
"""A line of a label has at most so many."""
_POINT_PT = 7.0
"""Half of what a point takes, its ring with it."""
_NEAR_PT, _FAR_PT, _RINGS, _WAYS = 10.0, 60.0, 7, 16
"""How far from its point a label may stand, at how many distances and in how many directions."""


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
    """Cost [€] over the mean unusualness of the starts, 1 − p/max p in [0, 1], with the knee named.

    Controllers that move nothing stand beside the line. Raises ``InvalidSpec`` when no controller
    started anything.
    """
    drawn = [(point, point.unusual) for point in points if point.unusual is not None]
    if not drawn:
        raise InvalidSpec("figure: no appliance was started in the window, choose other days")
    figure = new_page(4.2, title, f"tariff {tariff} · {foresight}", origin, paper)
    ax = figure.subplots()
    ours = sorted((u, p.summary.kpis.cost_eur) for p, u in drawn if p.controller.movable)
    ax.plot([u for u, _ in ours], [c for _, c in ours], color=BLUE, marker="o", gid="frontier")
    for point, unusual in drawn:
        if not point.controller.movable:
            cost_eur = point.summary.kpis.cost_eur
            ax.plot([unusual], [cost_eur], "s", color=DARK_GREY, gid=point.controller.name)
    best = knee(points)
    if best is not None and best.unusual is not None:
        place = [best.unusual], [best.summary.kpis.cost_eur]
        ring: dict[str, Any] = {
            "markersize": 13 * paper.scale,
            "fillstyle": "none",
            "markeredgewidth": 1.6 * paper.scale,
            "color": VERMILLION,
        }
        ax.plot(*place, "o", gid="knee", label=f"knee: {best.controller.name}", **ring)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    ax.margins(x=0.12, y=0.25)
    what = "mean of 1 − p(hour)/max p  [0 usual … 1 never]"
    ax.set_xlabel("how unusual the starts are:" + ("\n" if paper.narrow else " ") + what)
    ax.set_ylabel("cost over the window [€]")
    _name_points(figure, ax, _labels(points), ours, paper)
    return figure


def _name_points(
    figure: Figure,
    ax: Any,
    labels: Mapping[Place, Sequence[str]],
    line: Sequence[Place],
    paper: Paper,
) -> None:
    """A name at each point, where it covers neither points nor the line nor another name."""
    figure.draw_without_rendering()  # the layout says where points are; labels change it no more
    dot = _POINT_PT * paper.scale * figure.dpi / 72.0
    taken = np.vstack([_boxes(ax, list(labels), dot), _boxes(ax, _along(line), 1.0)])
    for place, names in labels.items():
        note = ax.annotate(
            _told(names, _NARROW_LETTERS if paper.narrow else _LETTERS),
            place,
            xytext=(0.0, 0.0),
            textcoords="offset points",
            size=SMALL,
            color=DARK_GREY,
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=1.5 * paper.scale, foreground="white")],
        )
        note.set_in_layout(False)
        box = _put(note, ax, taken, paper)
        _lead(ax, place, box)
        taken = np.vstack([taken, box.extents])


def _boxes(ax: Any, places: Sequence[Place], half: float) -> Floats:
    """Squares around places [dots]: left, bottom, right, top, shape ``(n, 4)``."""
    middle = ax.transData.transform(np.reshape(places, (-1, 2)))
    return np.hstack([middle - half, middle + half])


def _along(line: Sequence[Place]) -> list[Place]:
    """Places on the line, close to each other."""
    ends = [np.array(place) for place in line]
    shares = np.linspace(0.0, 1.0, 40)
    return [tuple(a + share * (b - a)) for a, b in pairwise(ends) for share in shares]


def _put(note: Annotation, ax: Any, taken: Floats, paper: Paper) -> Bbox:
    """Put a label where it covers least, the nearest such place; returns its box."""
    box = note.get_window_extent()
    offsets_pt = np.array(list(_offsets_pt(box, paper)))
    places = box.extents + np.tile(offsets_pt * paper.dpi / 72.0, 2)
    panel = ax.bbox.extents[None]
    covered = [
        box.width * box.height - _common(place, panel).sum() + _common(place, taken).sum()
        for place in places
    ]
    best = int(np.argmin(np.round(covered, 3)))
    note.set_position(tuple(offsets_pt[best]))
    return Bbox.from_extents(*places[best])


def _common(box: Floats, others: Floats) -> Floats:
    """What a box has in common with each of others [dots²]; each is left, bottom, right, top."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    common: Floats = np.clip(high - low, 0.0, None).prod(axis=1)
    return common


def _lead(ax: Any, place: Place, box: Bbox) -> None:
    """A thin line from a point to its label."""
    x, y = ax.transData.transform(place)
    end = np.clip(x, box.x0, box.x1) - x, np.clip(y, box.y0, box.y1) - y
    dots_pt = ax.figure.dpi / 72.0
    thin = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
    to = (end[0] / dots_pt, end[1] / dots_pt)
    line = ax.annotate("", place, xytext=to, textcoords="offset points", arrowprops=thin, zorder=1)
    line.set_in_layout(False)


def _offsets_pt(box: Bbox, paper: Paper) -> Iterator[Place]:
    """Where the middle of a label may stand from its point, near ones first."""
    half = np.array([box.width, box.height]) * 36.0 / paper.dpi
    for gap_pt in np.linspace(_NEAR_PT, _FAR_PT, _RINGS) * paper.scale:
        for turn in np.arange(_WAYS) / _WAYS + 1.0 / 8.0:
            way = np.array([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)])
            x, y = way * gap_pt + np.sign(np.round(way, 6)) * half
            yield float(x), float(y)


def _told(names: Sequence[str], letters: int) -> str:
    """The names at one point; of weights the numbers.

    >>> _told(["cost-only", "w = 0.02 €", "w = 0.1 €"], 40)
    'cost-only, w = 0.02, 0.1 €'
    >>> _told(["habit-only", "w = 0.02 €"], 14)
    'habit-only,\\nw = 0.02 €'
    """
    begin, end = "w = ", " €"
    weights = [name for name in names if name.startswith(begin) and name.endswith(end)]
    others = [name for name in names if name not in weights]
    numbers = ", ".join(name.removeprefix(begin).removesuffix(end) for name in weights)
    hard_space = "\N{NO-BREAK SPACE}"
    all_weights = f"{begin.replace(' ', hard_space)}{numbers}{end.replace(' ', hard_space)}"
    text = ", ".join([*others, *([all_weights] if weights else [])])
    lines = textwrap.wrap(text, letters, break_on_hyphens=False)
    return "\n".join(lines).replace(hard_space, " ")


def _labels(points: Sequence[FrontierPoint]) -> dict[Place, list[str]]:
    """The names at each place, those of equal plans together, from left to right."""
    places: dict[Place, Place] = {}
    names: dict[Place, list[str]] = {}
    for point in points:
        if point.unusual is not None:
            place = point.unusual, point.summary.kpis.cost_eur
            first = places.setdefault((round(place[0], 3), round(place[1], 2)), place)
            names.setdefault(first, []).append(point.controller.name)
    return dict(sorted(names.items()))
