"""What the buildings of a database use, make and exchange, and which days can be planned."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ems.errors import InvalidSpec
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import (
    BLUE,
    DARK_GREY,
    FAINT_GREY,
    GREY,
    SMALL,
    VERMILLION,
    YELLOW,
    styled,
    words,
)
from ems.store.read import PortfolioRow

_ROW_IN = 0.62
_QUANTITIES = (
    ("load (where known)", "known_load_kwh", "o", GREY),
    ("PV", "metered_pv_kwh", "^", YELLOW),
    ("import", "metered_import_kwh", "<", VERMILLION),
    ("export", "metered_export_kwh", ">", BLUE),
)
_ROUND = ((1.7, (1.0, 2.0, 5.0)), (3.4, (1.0, 3.0)))
"""Up to so many decades on the axis → the round numbers that have a tick."""
_DAYS_TO_PCT = 132.0
_REASON_LETTERS, _REASON_LINES = 64, 2


@styled
def energies_by_building(
    rows: Sequence[PortfolioRow], *, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """Total energies of each building [kWh], its plannable days [%], and what spoils the others.

    Energies are totals over the record of each building, on a logarithmic axis, none where there
    is nothing to show. Load counts only the steps in which it can be believed; import, export and
    PV are as metered. Raises ``InvalidSpec`` without rows.
    """
    if not rows:
        raise InvalidSpec("figure: no buildings, build a database with at least one")
    title = f"Energies and plannable days · {len(rows)} building{'s' if len(rows) > 1 else ''}"
    note = (
        "totals over the whole record of each building: not annual, records differ in length · "
        "a day counts as soon as one of its steps is metered"
    )
    figure = new_page(1.0 + _ROW_IN * len(rows), title, note, origin, paper)
    energy, days = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1.0])
    places = np.arange(len(rows))
    _energies(energy, rows, places)
    _days(days, rows, places)
    energy.set_yticks(places, [f"{row.building}\n{row.kind}, {row.days:,} days" for row in rows])
    energy.set_ylim(len(rows) - 0.5, -0.5)
    for ax in (energy, days):
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    return figure


def _energies(ax: Any, rows: Sequence[PortfolioRow], places: Any) -> None:
    offsets = np.linspace(-0.24, 0.24, len(_QUANTITIES))
    for (label, field, marker, colour), offset in zip(_QUANTITIES, offsets, strict=True):
        kwh = np.array([getattr(row, field) for row in rows])
        ax.plot(
            np.where(kwh > 0, kwh, np.nan),
            places + offset,
            marker=marker,
            linestyle="none",
            color=colour,
            markeredgecolor=DARK_GREY,
            markeredgewidth=0.7,
            markersize=7.5,
            label=label,
        )
    _log_axis(ax, [getattr(row, field) for row in rows for _, field, _, _ in _QUANTITIES])
    ax.set_xlabel("energy over the record [kWh], logarithmic")
    ax.grid(axis="x", color=FAINT_GREY)
    for place in places[:-1]:
        ax.axhline(place + 0.5, color=FAINT_GREY, linewidth=0.8)
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, handletextpad=0.1, columnspacing=1.0
    )


def _log_axis(ax: Any, values_kwh: Sequence[float]) -> None:
    """As many round numbers of each decade as fit, at least one of them in sight."""
    shown = [kwh for kwh in values_kwh if kwh > 0] or [1.0]
    low, high = min(shown) / 1.6, max(shown) * 1.6
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    decades = np.log10(high / low)
    subs = next((subs for most, subs in _ROUND if decades <= most), (1.0,))
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda kwh, _: f"{kwh:,.10g}")


def _days(ax: Any, rows: Sequence[PortfolioRow], places: Any) -> None:
    share_pct = [100.0 * row.plannable_days / row.days for row in rows]
    ax.barh(places - 0.22, [100.0] * len(rows), 0.2, color=FAINT_GREY)
    ax.barh(places - 0.22, share_pct, 0.2, color=DARK_GREY, gid="plannable")
    for place, row in zip(places, rows, strict=True):
        count = f"{row.plannable_days:,} of {row.days:,}"
        ax.text(102.0, place - 0.22, count, size=SMALL, va="center")
        ax.text(0.0, place - 0.06, _reasons(row), size="x-small", color=DARK_GREY, va="top")
    ax.set_xlim(0.0, _DAYS_TO_PCT)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.spines["bottom"].set_bounds(0, 100)
    ax.set_xlabel("plannable days [%]", x=50.0 / _DAYS_TO_PCT)
    ax.set_title(
        "plannable: load and PV known in every step\n"
        "below each bar: what is wrong, on how many days",
        size=SMALL,
    )


def _reasons(row: PortfolioRow) -> str:
    """What is wrong with the meters of grid and PV, and with sub-meters where load needs them."""
    submeters = {name for names in row.devices.values() for name in names}
    needed = [
        problem
        for problem in row.problems
        if problem.feed not in submeters or row.load_rule == "import+submetered"
    ]
    if not needed:
        return "nothing found"
    hard_space = "\N{NO-BREAK SPACE}"
    parts = [f"{words(p.feed)} {p.rule}: {p.days} d".replace(" ", hard_space) for p in needed]
    lines = textwrap.wrap(
        ", ".join(parts), _REASON_LETTERS, max_lines=_REASON_LINES, placeholder=" …"
    )
    return "\n".join(lines)
