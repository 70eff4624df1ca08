"""Common elements of figures: panels, legends, named rows, date axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from ems.report.figures.page import wrapped
from ems.report.figures.paper import LINE_PITCH, Paper
from ems.report.figures.style import DARK_GREY, FAINT_GREY, MODE_LINES, SMALL, Line
from ems.types import Floats

EACH_DAY_UP_TO = 14
"""Up to this number of days each day has its own tick."""
_NAME_DAYS_UP_TO, _DAYS_AN_IN = 150, 1.55
_SHORT, _HANDLE_PT = 2, 34.0
"""Entries of a short legend; width of a sample with its gaps."""


def panels(body: SubFigure, n_panels: int, paper: Paper, **shared: Any) -> list[Any]:
    """Axes side by side, or stacked on narrow paper."""
    shape = (n_panels, 1) if paper.narrow else (1, n_panels)
    return list(body.subplots(*shape, squeeze=False, **shared).ravel())


def legend(ax: Any, paper: Paper, *, title: str = "", handles: Sequence[Any] = ()) -> None:
    """The legend of ``ax`` to its right, or on narrow paper above it, with the panel's title."""
    drawn = list(handles) or ax.get_legend_handles_labels()[0]
    found = {"handles": drawn, "alignment": "left", "borderaxespad": 0.0}
    if not paper.narrow:
        ax.legend(title=title or None, loc="upper left", bbox_to_anchor=(1.01, 1.0), **found)
        return
    head = " · ".join(text for text in (ax.get_title(loc="left"), title) if text)
    head = wrapped(head, paper.letters(paper.small_pt, 0.8))
    ax.set_title("")
    columns = _columns(drawn, paper)
    above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "columnspacing": 1.0}
    ax.legend(title=head or None, ncols=columns, **above, **found)
    _grow(ax.get_figure(root=True), -(-len(drawn) // columns) + len(head.splitlines()), paper)


def legend_of_all(body: SubFigure, handles: Sequence[Line2D], paper: Paper) -> None:
    """One legend for all panels: to the right, or below if it is short or the paper narrow."""
    if len(handles) > _SHORT and not paper.narrow:
        body.legend(handles=handles, loc="outside right upper")
        return
    columns = _columns(handles, paper)
    body.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.0)
    _grow(body.figure, -(-len(handles) // columns), paper)


def _columns(handles: Sequence[Any], paper: Paper) -> int:
    """How many columns the entries of a legend fit into."""
    letters = max(len(str(handle.get_label())) for handle in handles)
    entry_pt = 0.55 * paper.small_pt * letters + _HANDLE_PT * paper.scale
    most = max(1, int(0.8 * 72.0 * paper.width_in / entry_pt))
    # As even columns as the number of rows allows.
    n_rows = -(-len(handles) // most)
    return -(-len(handles) // n_rows)


def _grow(figure: Any, n_lines: int, paper: Paper) -> None:
    """Make room for the lines of a legend, which are not part of the body's height."""
    more_in = n_lines * LINE_PITCH * paper.small_pt / 72.0 if paper.height_in is None else 0.0
    figure.set_figheight(figure.get_figheight() + more_in)


def mode_keys(modes: Iterable[str]) -> list[Line2D]:
    """A legend entry for each mode drawn as a marker, in the order of all modes."""
    drawn = set(modes)
    return [
        Line2D([], [], marker=line.marker, color=line.colour, label=line.label, linestyle="none")
        for mode, line in MODE_LINES.items()
        if mode in drawn
    ]


def steps(ax: Any, values: Floats, edges: Floats, line: Line, paper: Paper, **more: Any) -> None:
    """Values constant between edges, in a mode's line style."""
    look = {"color": line.colour, "linestyle": line.dashes, "label": line.label} | more
    ax.stairs(values, edges, baseline=None, linewidth=line.width_pt * paper.scale, **look)


def rows(ax: Any, names: Sequence[str], paper: Paper) -> None:
    """A row for each name, from the top."""
    ax.set_yticks(range(len(names)), [paper.beside(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.grid(axis="y", color=FAINT_GREY)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def say(ax: Any, row: float, text: str, *, across: float = 0.5) -> None:
    """A text in a row, at ``across`` of the panel: 0.5 in its middle, from 1 on next to it."""
    where = {"ha": "left" if across >= 1.0 else "center", "va": "center"}
    place = ax.get_yaxis_transform()
    ax.text(across, row, text, size=SMALL, color=DARK_GREY, transform=place, **where)


def bar(body: SubFigure, mesh: Any, axes: Any, label: str = "", **look: Any) -> None:
    """The colour bar to the right of ``axes``."""
    drawn = body.colorbar(mesh, ax=axes, pad=0.01, label=label, **{"aspect": 20} | look)
    drawn.outline.set_visible(False)


def day_axis(ax: Any, paper: Paper) -> None:
    """Dates below ``ax``, whose limits are midnights: every day if they fit, else fewer."""
    begin, end = ax.get_xlim()
    n_days = round(end - begin)
    if n_days <= min(EACH_DAY_UP_TO, _DAYS_AN_IN * paper.width_in / paper.scale):
        days = begin + np.arange(n_days)
        ax.set_xticks(days + 0.5, [_date(day, "%a\n{} %b") for day in days])
        ax.tick_params(axis="x", length=0)
    else:
        # Multiples count from the first of each month, so the 29th would overlap the 1st.
        of_month = n_days <= _NAME_DAYS_UP_TO
        least, most = (2, 4) if paper.narrow else (4, 9)
        few = mdates.AutoDateLocator(minticks=least, maxticks=most, interval_multiples=not of_month)
        ax.xaxis.set_major_locator(few)
        text = "{} %b" if of_month else "%b %Y"
        ax.xaxis.set_major_formatter(lambda day, _: _date(day, text))
    ax.set_xlabel("local day")


def _date(day: float, text: str) -> str:
    when = mdates.num2date(day)
    return str(when.strftime(text)).format(when.day)
