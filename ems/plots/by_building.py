"""What every mode saves in every building, as a share of what energy costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, ModeSummary
from ems.plots.page import Origin, new_page
from ems.plots.paper import SCREEN, Paper
from ems.plots.style import BLACK, DARK_GREY, FAINT_GREY, MODE_LINES, SMALL, beside, styled
from ems.schedule import Mode

_ROW_IN = 0.5


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
    in euros; the best mode's are written beside. Where the baseline bought nearly nothing there
    is no percentage. Raises ``InvalidSpec`` without groups.
    """
    if not groups:
        raise InvalidSpec("figure: no buildings, give at least one")
    shape = (2, 1) if paper.narrow else (1, 2)
    body_in = (_ROW_IN * len(groups) + 1.3) * shape[0]
    figure = new_page(body_in, title, note, origin, paper)
    axes = figure.subplots(*shape, sharey=True).ravel()
    for ax, baseline in zip(axes, BASELINES, strict=True):
        for place, modes in enumerate(groups.values()):
            _building(ax, place, modes, baseline)
        ax.axvline(0.0, color=BLACK, linewidth=0.8 * paper.scale, zorder=1.5)
        ax.set_yticks(range(len(groups)), list(groups))
        ax.set_ylim(len(groups) - 0.4, -0.6)
        ax.margins(x=0.12)
        ax.grid(axis="y", color=FAINT_GREY)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_title(f"against {MODE_LINES[baseline].label}")
        ax.set_xlabel("savings [% of what the baseline paid for import]")
    handles, labels = axes[0].get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    if paper.narrow:
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=2)
    else:
        beside(axes[-1], handles=list(named.values()), labels=list(named))
    return figure


def _building(ax: Any, place: int, modes: Sequence[ModeSummary], baseline: Mode) -> None:
    shown = {summary.mode: summary.against.get(baseline) for summary in modes}
    known = {mode: saving for mode, saving in shown.items() if saving is not None}
    drawn = {m: s.savings_pct for m, s in known.items() if s.savings_pct is not None}
    for mode, pct in drawn.items():
        line = MODE_LINES[mode]
        style = {"marker": line.marker, "color": line.colour, "linestyle": "none"}
        ax.plot([pct], [place], label=line.label, gid=f"{mode}/{baseline}", **style)
    if not drawn:
        ax.text(0.5, place, "the baseline buys next to nothing", size=SMALL, **_centred(ax))
        return
    best = max(known, key=lambda mode: known[mode].savings_eur)
    eur = f"{known[best].savings_eur:,.2f} €".replace("-", "−")
    ax.annotate(
        eur,
        (drawn.get(best, 0.0), place),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        size=SMALL,
        color=DARK_GREY,
    )


def _centred(ax: Any) -> dict[str, Any]:
    return {"transform": ax.get_yaxis_transform(), "ha": "center", "va": "center"}
