"""How much of what perfect foresight saves was really saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from ems.core.mode import Mode
from ems.errors import InvalidSpec
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import BASELINES
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

_ROW_IN = 0.45
_EDGE = 0.16
"""How near an edge of the panel what was saved runs away from it, as a share of its width."""


@styled
def captured_shares(
    rows: Sequence[tuple[str, Captured]],
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """The captured share [%] of each mode with its interval, a panel for each baseline.

    ``rows``: what a group of modes is called (a building, a run) and a share of it. 0 % is the
    baseline, 100 % the plan that knew everything. A row without a share says why, one without an
    interval has no line. Raises ``InvalidSpec`` without rows.
    """
    if not rows:
        raise InvalidSpec("figure: no captured share, run with --foresight forecast")
    groups = list(dict.fromkeys(group for group, _ in rows))
    modes = list(dict.fromkeys(share.mode for _, share in rows))
    many = len(groups) > 1
    names = groups if many else [MODE_LINES[mode].label for mode in modes]
    shape = (2, 1) if paper.narrow else (1, 2)
    body_in = (paper.row_in(_ROW_IN, names) * len(names) + 1.2) * shape[0]
    figure = new_page(body_in, title, note, origin, paper)
    axes = figure.subplots(*shape, sharex=True, sharey=True).ravel()
    for ax, baseline in zip(axes, BASELINES, strict=True):
        for group, share in (row for row in rows if row[1].baseline == baseline):
            place = float(modes.index(share.mode))
            if many:
                place = groups.index(group) + _spread(place, len(modes))
            _row(ax, place, share, paper, told=not many)
        _frame(ax, names, paper)
        ax.set_title(f"against {MODE_LINES[baseline].label}")
    for ax in axes:
        keep_inside(ax, _EDGE)
    for ax in axes[1:] if paper.narrow else axes:
        ax.set_xlabel("captured of the possible [%]")
    if many:
        keys = [_key(mode) for mode in modes]
        if paper.narrow:
            figure.legend(handles=keys, loc="outside lower center", ncols=2)
        else:
            beside(axes[-1], handles=keys)
    return figure


def _spread(place: float, n_places: int) -> float:
    """Where a mode stands within the row of its group, in [−0.5, 0.5]."""
    return 0.6 * ((place + 0.5) / n_places - 0.5)


def _frame(ax: Any, names: Sequence[str], paper: Paper) -> None:
    """Names of the rows, and the lines of nothing and of all that was possible."""
    for edge in (0.0, 100.0):
        ax.axvline(edge, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
    ax.set_yticks(range(len(names)), [paper.beside(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.locator_params(axis="x", nbins=5 if paper.narrow else 7)
    ax.grid(axis="y", color=FAINT_GREY)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _key(mode: Mode) -> Line2D:
    drawn = MODE_LINES[mode]
    return Line2D([], [], color=drawn.colour, marker=drawn.marker, label=drawn.label)


def _row(ax: Any, place: float, share: Captured, paper: Paper, *, told: bool) -> None:
    drawn = MODE_LINES[share.mode]
    if share.share is None:
        middle = _CENTRE | {"transform": ax.get_yaxis_transform()}
        ax.text(0.5, place, "nothing to capture", size=SMALL, color=DARK_GREY, **middle)
        return
    gid = f"{share.mode}/{share.baseline}"
    if share.low is not None and share.high is not None:
        ax.plot([100 * share.low, 100 * share.high], [place, place], color=drawn.colour)
    ax.plot([100 * share.share], [place], marker=drawn.marker, color=drawn.colour, gid=gid)
    if told:
        said = f"{euros(share.saved_eur).removesuffix(' €')} of {euros(share.possible_eur)}"
        ax.annotate(
            said,
            (100 * share.share, place),
            xytext=(0, 5 * paper.scale),
            textcoords="offset points",
            ha="center",
            size=SMALL,
            color=DARK_GREY,
            path_effects=[withStroke(linewidth=2.0 * paper.scale, foreground="white")],
        )


_CENTRE: dict[str, Any] = {"ha": "center", "va": "center"}
