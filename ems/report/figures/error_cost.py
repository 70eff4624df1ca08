"""What forecast errors cost: every day a point, the kWh that came otherwise and its euros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.captured import ErrorCost
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BASE_LOAD,
    BLACK,
    DARK_GREY,
    GREY,
    MODE_LINES,
    PV,
    Line,
    styled,
)

_PANEL_IN, _NARROW_PANEL_IN = 3.4, 2.6
_DOT_PT, _SMALL_DOT_PT, _FEW_DAYS = 4.5, 3.2, 150
"""Dots are smaller where there are more than so many days."""


@dataclass(frozen=True, kw_only=True)
class _Unknown:
    """How the days of a single error are drawn: its name, that of its kWh, the dots."""

    label: str
    kwh: str
    colour: str
    marker: str = "o"

    @classmethod
    def everything(cls, mode: Line) -> _Unknown:
        """Those of a mode that knows nothing of what comes."""
        label = f"all unknown · {mode.label}"
        return cls(label=label, kwh="sun + load", colour=mode.colour, marker=mode.marker)


_SINGLE: Mapping[Mode, _Unknown] = {
    "pv_unknown": _Unknown(label="only sun unknown", kwh="sun", colour=PV),
    "load_unknown": _Unknown(label="only load and heat unknown", kwh="load", colour=BASE_LOAD),
}


@styled
def error_cost(
    rows: Sequence[ErrorCost], *, title: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """€ above the perfect plan over the kWh that came otherwise, a point a day, a panel a row.

    The line is Σ € / Σ kWh, the wedge around it the middle 95 % of its bootstrap; the panel says
    both, and Spearman's ρ over the days. Raises ``InvalidSpec`` without rows.
    """
    if not rows:
        raise InvalidSpec("figure: no forecast errors, run with --foresight forecast")
    shape = (len(rows), 1) if paper.narrow else (1, len(rows))
    panel_in = _NARROW_PANEL_IN if paper.narrow else _PANEL_IN
    figure = new_page(panel_in * shape[0], title, note, origin, paper)
    axes = figure.subplots(*shape, sharey=True, squeeze=False).ravel()
    for ax, row in zip(axes, rows, strict=True):
        drawn = _SINGLE.get(row.mode) or _Unknown.everything(MODE_LINES[row.mode])
        _panel(ax, row, drawn, paper)
    for ax in axes if paper.narrow else axes[:1]:
        ax.set_ylabel("above the perfect plan [€/day]")
    return figure


def _panel(ax: Any, row: ErrorCost, drawn: _Unknown, paper: Paper) -> None:
    """The days of a row and the line of their sums."""
    dots: dict[str, Any] = {
        "markersize": paper.scale * (_DOT_PT if len(row.days) <= _FEW_DAYS else _SMALL_DOT_PT),
        "markeredgecolor": DARK_GREY,
        "markeredgewidth": 0.5 * paper.scale,
        "linestyle": "none",
    }
    ax.axhline(0.0, color=GREY, linewidth=0.8 * paper.scale, zorder=1)
    ax.plot(
        row.error_kwh,
        row.above_eur,
        marker=drawn.marker,
        color=drawn.colour,
        gid=row.mode,
        **dots,
    )
    reach_kwh = np.array([0.0, row.error_kwh.max()])
    if row.low is not None and row.high is not None:
        ends = reach_kwh * row.low, reach_kwh * row.high
        ax.fill_between(reach_kwh, *ends, color=BLACK, alpha=0.2, linewidth=0, zorder=1.5)
    ax.plot(reach_kwh, reach_kwh * row.eur_per_kwh, color=BLACK, gid=f"{row.mode}/line")
    ax.set_title(f"{drawn.label}\n{in_words(row)}")
    ax.set_xlabel(f"{drawn.kwh} that came otherwise [kWh/day]")
    ax.set_xlim(left=0.0)


def in_words(row: ErrorCost) -> str:
    """What a kWh of error cost, between which amounts, and the rank correlation."""
    told = f"{_ct(row.eur_per_kwh)} ct/kWh"
    if row.low is not None and row.high is not None:
        told += f" ({_ct(row.low)} … {_ct(row.high)})"
    return told if row.rank_correlation is None else f"{told}, ρ {_signed(row.rank_correlation, 2)}"


def _ct(amount_eur: float) -> str:
    return _signed(100.0 * amount_eur, 1)


def _signed(value: float, places: int) -> str:
    """A number with a true minus and no negative zero."""
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")
