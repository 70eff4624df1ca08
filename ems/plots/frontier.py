"""What comfort costs: every controller as a point between usual starts and a small bill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.pipelines.integrated import FrontierPoint, knee
from ems.plots.page import Origin, new_page
from ems.plots.paper import SCREEN, Paper
from ems.plots.style import BLUE, DARK_GREY, FORESIGHT, SMALL, VERMILLION, styled


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
    for (unusual, cost_eur), names in _labels(points).items():
        ax.annotate(
            ", ".join(names),
            (unusual, cost_eur),
            xytext=(7 * paper.scale, 7 * paper.scale),
            textcoords="offset points",
            size=SMALL,
            color=DARK_GREY,
        )
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
        ax.legend(loc="best")
    ax.margins(x=0.12, y=0.15)
    what = "mean of 1 − p(hour)/max p  [0 usual … 1 never]"
    ax.set_xlabel("how unusual the starts are:" + ("\n" if paper.narrow else " ") + what)
    ax.set_ylabel("cost over the window [€]")
    return figure


def _labels(points: Sequence[FrontierPoint]) -> dict[tuple[float, float], list[str]]:
    """The names at each place, those of equal plans together, from left to right."""
    places: dict[tuple[float, float], list[str]] = {}
    for point in points:
        if point.unusual is not None:
            place = round(point.unusual, 3), round(point.summary.kpis.cost_eur, 2)
            places.setdefault(place, []).append(point.controller.name)
    return dict(sorted(places.items()))
