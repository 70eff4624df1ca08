"""Named amounts as horizontal bars, with numbers and optional intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import rows
from ems.report.figures.style import BLACK, GREEN, SMALL, VERMILLION, styled

_ROW_IN = 0.32
_BESIDE: dict[str, Any] = {"va": "center", "size": SMALL}


@dataclass(frozen=True)
class Amount:
    """A value, its text and its interval.

    ``colour``: of what it is about; None: by its sign, a gain green and a loss vermillion.
    """

    name: str
    value: float
    said: str
    interval: tuple[float, float] | None = None
    colour: str | None = None


@styled
def amount_bars(
    amounts: Sequence[Amount],
    *,
    unit: str,
    title: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """A horizontal bar for each amount.

    Raises ``InvalidSpec`` without amounts.
    """
    if not amounts:
        raise InvalidSpec(f"figure {title}: no amounts, give at least one")
    names = [row.name for row in amounts]
    body_in = paper.row_in(_ROW_IN, names) * len(names) + 0.7
    body = new_page(body_in, title, f"[{unit}]", origin, paper)
    ax = body.subplots()
    rows(ax, names, paper)
    ax.grid(visible=False)
    ax.margins(x=0.16)
    for place, row in enumerate(amounts):
        by_sign = GREEN if row.value >= 0 else VERMILLION
        ax.barh(place, row.value, height=0.7, color=row.colour or by_sign, linewidth=0)
        if row.interval is not None:
            ax.plot(row.interval, (place, place), color=BLACK, linewidth=1.4 * paper.scale)
        right = max(0.0, row.value, *(row.interval or ()))
        ax.annotate(row.said, (right, place), (5, 0), textcoords="offset points", **_BESIDE)
    ax.axvline(0.0, color=BLACK, linewidth=0.8)
    ax.set_xlabel(f"[{unit}]")
    return body.figure
