"""Named amounts as bars from zero, each with its number and, where there is one, its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import BLACK, GREEN, SMALL, VERMILLION, styled

_ROW_IN = 0.32


@dataclass(frozen=True)
class Amount:
    """A value, how it is written, and its interval; a value below zero is a loss."""

    name: str
    value: float
    said: str
    interval: tuple[float, float] | None = None


@styled
def amount_bars(
    rows: Sequence[Amount],
    *,
    unit: str,
    title: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """A horizontal bar for each row, gains green and losses vermillion.

    Raises ``InvalidSpec`` without rows.
    """
    if not rows:
        raise InvalidSpec(f"figure {title}: no rows, give at least one")
    names = [row.name for row in rows]
    body_in = paper.row_in(_ROW_IN, names) * len(rows) + 0.7
    figure = new_page(body_in, title, f"[{unit}]", origin, paper)
    ax = figure.subplots()
    for place, row in enumerate(rows):
        gain = row.value >= 0
        low, high = row.interval or (row.value, row.value)
        ax.barh(place, row.value, height=0.7, color=GREEN if gain else VERMILLION)
        if row.interval is not None:
            ax.plot(row.interval, (place, place), color=BLACK, linewidth=1.4)
        ax.annotate(
            row.said,
            (max(high, 0.0) if gain else min(low, 0.0), place),
            xytext=(5 if gain else -5, 0),
            textcoords="offset points",
            ha="left" if gain else "right",
            va="center",
            size=SMALL,
        )
    ax.axvline(0.0, color=BLACK, linewidth=0.8)
    ax.set_yticks(np.arange(len(rows)), [paper.beside(name) for name in names])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.margins(x=0.14)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"[{unit}]")
    return figure
