"""Overviews of whole windows: hour × day heat maps, and load duration curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import bar, day_axis, legend, steps
from ems.report.figures.style import BLACK, FAINT_GREY, Line, styled
from ems.types import Floats

N_HOURS = 24
_FINE_UP_TO = 4
"""Up to this number of panels a tick every six hours fits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DayMap:
    """One quantity over the local hours of some days.

    ``label`` with its unit; ``days``: sorted; ``table``: shape ``(24, n_days)``, NaN where the hour
    does not exist or is unknown; ``colours``: name of a colour map, starting at ``least``, None: at
    the minimum.
    """

    label: str
    days: Sequence[date]
    table: Floats
    colours: str
    least: float | None = None

    @classmethod
    def of(
        cls,
        label: str,
        days: Sequence[date],
        local_hour: Floats,
        values: Floats,
        colours: str,
        least: float | None = None,
    ) -> DayMap:
        """The mean over each local hour; the repeated hour in autumn is averaged.

        ``days``, ``local_hour`` [0, 24) and ``values``: one per step.
        """
        every, column = np.unique(np.array(days), return_inverse=True)
        cell = np.floor(local_hour).astype(int) * len(every) + column
        size = N_HOURS * len(every)
        count = np.bincount(cell, minlength=size)
        total = np.bincount(cell, weights=values, minlength=size)
        with np.errstate(invalid="ignore"):
            table = (total / count).reshape(N_HOURS, len(every))
        return cls(label=label, days=every.tolist(), table=table, colours=colours, least=least)

    @property
    def on_span(self) -> Floats:
        """The table with a column for every day from first to last, NaN if unknown."""
        place = [(day - self.days[0]).days for day in self.days]
        table = np.full((N_HOURS, place[-1] + 1), np.nan)
        table[:, place] = self.table
        return table


@styled
def day_maps(
    maps: Sequence[DayMap], *, title: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """A panel for each quantity: local hour upwards from midnight, days from left to right.

    Missing days and hours that do not exist are grey. Raises ``InvalidSpec`` without a map or a
    day.
    """
    if not maps or not maps[0].days:
        raise InvalidSpec("figure: nothing to map, give at least one quantity with a day")
    body = new_page(1.75 * len(maps) + 0.4, title, note, origin, paper)
    axes = body.subplots(len(maps), sharex=True, squeeze=False)[:, 0]
    hours = np.arange(N_HOURS + 1.0)
    for ax, drawn in zip(axes, maps, strict=True):
        table = drawn.on_span
        edges = mdates.date2num(drawn.days[0]) + np.arange(table.shape[1] + 1.0)
        look = {"cmap": drawn.colours, "vmin": drawn.least, "gid": drawn.label, "rasterized": True}
        mesh = ax.pcolormesh(edges, hours, table, **look)
        bar(body, mesh, ax, aspect=12)
        ax.set_facecolor(FAINT_GREY)
        ax.set_title(drawn.label)
        ax.set_yticks(range(0, N_HOURS + 1, 6 if len(maps) <= _FINE_UP_TO else 12))
        ax.set_xlim(edges[0], edges[-1])
        ax.tick_params(axis="x", length=0)
    body.supylabel("local hour [h]", size="medium")
    day_axis(axes[-1], paper)
    return body.figure


@styled
def load_duration(
    curves: Sequence[tuple[Line, Floats]],
    *,
    title: str,
    note: str,
    origin: Origin,
    paper: Paper = SCREEN,
) -> Figure:
    """Mean power at the grid [kW] of every step in descending order, a curve per mode.

    Positive is import, negative export; the value at 20 % of the time is reached or exceeded in a
    fifth of the steps. All steps have equal length. Raises ``InvalidSpec`` without a curve, or for
    an empty one.
    """
    if not curves or any(len(power_kw) == 0 for _, power_kw in curves):
        raise InvalidSpec("figure: no power at the grid, give at least one curve with steps")
    body = new_page(4.4, title, note, origin, paper)
    ax = body.subplots()
    for line, power_kw in curves:
        label = f"{line.label}: up to {power_kw.max():.1f} kW"
        time_pct = np.linspace(0.0, 100.0, len(power_kw) + 1)
        steps(ax, np.sort(power_kw)[::-1], time_pct, line, paper, label=label, gid=line.label)
    ax.axhline(0.0, color=BLACK, linewidth=0.8 * paper.scale)
    ax.set_xlim(0.0, 100.0)
    ax.set_xlabel("share of the time [%]")
    ax.set_ylabel("mean power of a step [kW]\n← exports | imports →")
    legend(ax, paper)
    return body.figure
