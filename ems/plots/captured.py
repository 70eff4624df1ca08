"""How much of what perfect foresight saves was really saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import BASELINES
from ems.plots.page import Origin, new_page
from ems.plots.paper import SCREEN, Paper
from ems.plots.style import BLACK, DARK_GREY, FAINT_GREY, MODE_LINES, SMALL, styled

_ROW_IN = 0.3


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
    baseline, 100 % the plan that knew everything. A row without a share says why. Raises
    ``InvalidSpec`` without rows.
    """
    if not rows:
        raise InvalidSpec("figure: no captured share, run with --foresight forecast")
    labels = list(dict.fromkeys((group, share.mode) for group, share in rows))
    names = [_label(labels, group, MODE_LINES[mode].label) for group, mode in labels]
    shape = (2, 1) if paper.narrow else (1, 2)
    body_in = (_ROW_IN * len(labels) + 1.0) * shape[0]
    figure = new_page(body_in, title, note, origin, paper)
    axes = figure.subplots(*shape, sharex=True, sharey=True).ravel()
    for ax, baseline in zip(axes, BASELINES, strict=True):
        for group, share in rows:
            if share.baseline == baseline:
                _row(ax, labels.index((group, share.mode)), share)
        for edge in (0.0, 100.0):
            ax.axvline(edge, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(axis="y", color=FAINT_GREY)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_title(f"against {MODE_LINES[baseline].label}")
        ax.set_xlabel("captured of the possible [%]")
    return figure


def _label(labels: Sequence[tuple[str, str]], group: str, mode: str) -> str:
    """The mode, with its group where there are several."""
    return mode if len({group for group, _ in labels}) == 1 else f"{group}\n{mode}"


def _row(ax: Any, place: int, share: Captured) -> None:
    drawn = MODE_LINES[share.mode]
    if share.share is None or share.low is None or share.high is None:
        ax.text(50.0, place, "nothing to capture", size=SMALL, color=DARK_GREY, **_CENTRE)
        return
    gid = f"{share.mode}/{share.baseline}"
    ax.plot([100 * share.low, 100 * share.high], [place, place], color=drawn.colour)
    ax.plot([100 * share.share], [place], marker="o", color=drawn.colour, gid=gid)
    said = f"{share.saved_eur:.2f} of {share.possible_eur:.2f} €".replace("-", "−")
    ax.annotate(
        said,
        (100 * share.share, place),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        size=SMALL,
        color=DARK_GREY,
    )


_CENTRE = {"ha": "center", "va": "center"}
