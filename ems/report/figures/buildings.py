"""Energies of the buildings of a database, and which days can be planned."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ems.agents.words import spoken
from ems.errors import InvalidSpec
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import panels, rows
from ems.report.figures.style import (
    BLUE,
    DARK_GREY,
    FAINT_GREY,
    GREY,
    SMALL,
    VERMILLION,
    YELLOW,
    styled,
)
from ems.store.read import PortfolioRow

_QUANTITIES = (
    ("load (where known)", "known_load_kwh", "o", GREY),
    ("PV", "metered_pv_kwh", "^", YELLOW),
    ("import", "metered_import_kwh", "<", VERMILLION),
    ("export", "metered_export_kwh", ">", BLUE),
)
_DAYS_TO_PCT = 132.0
"""End of the axis of days, leaving room for counts next to the bars."""
_REASON_LINES = 2


@styled
def energies_by_building(
    known: Sequence[PortfolioRow], *, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """Total energies of each building [kWh], its plannable days [%], and reasons for the others.

    Energies are totals over the record of each building, on a logarithmic axis, none if there is
    nothing to show. Load counts only valid steps; import, export and PV are as metered. Raises
    ``InvalidSpec`` without buildings.
    """
    if not known:
        raise InvalidSpec("figure: no buildings, build a database with at least one")
    title = f"Energies and plannable days · {len(known)} building{'s' if len(known) > 1 else ''}"
    note = (
        "totals over the whole record of each building: not annual, records differ in length · "
        "a day counts as soon as one of its steps is metered"
    )
    body_in = (1.3 + 0.62 * len(known)) * (2 if paper.narrow else 1)
    body = new_page(body_in, title, note, origin, paper)
    energy, days = axes = panels(body, 2, paper, sharey=True)
    for ax in axes:
        rows(ax, [f"{one.building}\n{one.kind}, {one.days:,} days" for one in known], paper)
        ax.grid(visible=False, axis="y")
    _energies(energy, known, paper)
    _days(days, known, paper)
    return body.figure


def _energies(ax: Any, known: Sequence[PortfolioRow], paper: Paper) -> None:
    shown = [1.0]
    for i, (label, field, marker, colour) in enumerate(_QUANTITIES):
        kwh = np.array([getattr(one, field) for one in known])
        place = np.arange(len(known)) + 0.16 * (i - 1.5)
        dot = {"marker": marker, "color": colour, "markersize": 7.5 * paper.scale}
        edge = {"markeredgecolor": DARK_GREY, "markeredgewidth": 0.7, "linestyle": "none"}
        ax.plot(np.where(kwh > 0, kwh, np.nan), place, label=label, **dot, **edge)
        shown += kwh[kwh > 0].tolist()
    low, high = min(shown[1:] or shown) / 1.6, max(shown[1:] or shown) * 1.6
    decades = np.log10(high / low)
    # Fewer ticks for wider ranges, so that their labels do not touch.
    subs = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 3.4 else (1.0,)
    ax.set_xscale("log", subs=())
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(lambda kwh, _: f"{kwh:,.10g}")
    ax.set_xlabel("energy over the record [kWh], logarithmic")
    ax.grid(axis="x", color=FAINT_GREY)
    for row in range(len(known) - 1):
        ax.axhline(row + 0.5, color=FAINT_GREY, linewidth=0.8)
    above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "columnspacing": 1.0}
    ax.legend(ncols=2 if paper.narrow else 4, handletextpad=0.1, **above)


def _days(ax: Any, known: Sequence[PortfolioRow], paper: Paper) -> None:
    places = np.arange(len(known)) - 0.22
    share_pct = [100.0 * one.plannable_days / one.days for one in known]
    ax.barh(places, [100.0] * len(known), 0.2, color=FAINT_GREY)
    ax.barh(places, share_pct, 0.2, color=DARK_GREY, gid="plannable")
    for place, one in zip(places, known, strict=True):
        counted = f"{one.plannable_days:,} of {one.days:,}"
        ax.text(102.0, place, counted, size=SMALL, va="center")
        why = _reasons(one, paper.letters(paper.small_pt, 0.6 if paper.narrow else 0.4))
        ax.text(0.0, place + 0.16, why, size=0.95 * paper.small_pt, color=DARK_GREY, va="top")
    ax.set_xlim(0.0, _DAYS_TO_PCT)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.spines["bottom"].set_bounds(0, 100)
    ax.set_xlabel("plannable days [%]", x=50.0 / _DAYS_TO_PCT)
    ax.set_title(
        "plannable: load and PV known in every step\n"
        "below each bar: what is wrong, on how many days",
        size=SMALL,
    )


def _reasons(row: PortfolioRow, letters: int) -> str:
    """Problems of the grid and PV meters, and of sub-meters if the load needs them."""
    submeters = {name for names in row.devices.values() for name in names}
    needed = [
        problem
        for problem in row.problems
        if problem.feed not in submeters or row.load_rule == "import+submetered"
    ]
    if not needed:
        return "nothing found"
    # Non-breaking, so that lines end between problems only.
    hard = "\N{NO-BREAK SPACE}"
    parts = [f"{spoken(p.feed)} {p.rule}: {p.days} d".replace(" ", hard) for p in needed]
    lines = textwrap.wrap(", ".join(parts), letters, max_lines=_REASON_LINES, placeholder=" …")
    return "\n".join(lines)
