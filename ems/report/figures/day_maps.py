"""Heat maps of hour × day: prices, load, charge at a glance over a year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from ems.errors import InvalidSpec
from ems.report.figures.learning import date_axis
from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.style import FAINT_GREY, styled
from ems.types import Floats

N_HOURS = 24
_PANEL_IN = 1.75
_FINE_UP_TO = 4
"""Up to so many panels there is room for a tick every six hours."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DayMap:
    """One quantity over the local hours of some days.

    ``label`` with its unit; ``days``: sorted; ``table``: shape ``(24, n_days)``, NaN where the
    hour does not exist or nothing is known; ``colours``: the name of a colour map, which begins at
    ``least``, None: at the least value.
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
        """The mean over each local hour; the doubled hour of autumn is the mean of both.

        ``days``, ``local_hour`` [0, 24) and ``values``: one a step.
        """
        every = sorted(set(days))
        place = {day: i for i, day in enumerate(every)}
        column = np.array([place[day] for day in days], dtype=int)
        cell = np.floor(local_hour).astype(int) * len(every) + column
        size = N_HOURS * len(every)
        count = np.bincount(cell, minlength=size)
        total = np.bincount(cell, weights=values, minlength=size)
        with np.errstate(invalid="ignore"):
            table = (total / count).reshape(N_HOURS, len(every))
        return cls(label=label, days=every, table=table, colours=colours, least=least)


@styled
def day_maps(
    maps: Sequence[DayMap], *, title: str, note: str, origin: Origin, paper: Paper = SCREEN
) -> Figure:
    """A panel for each quantity: local hour from midnight upwards, days around their dates.

    Days between that have no values, and hours that do not exist, are grey. Raises
    ``InvalidSpec`` without a map or a day.
    """
    if not maps or not maps[0].days:
        raise InvalidSpec("figure: nothing to map, give at least one quantity with a day")
    figure = new_page(_PANEL_IN * len(maps) + 0.4, title, note, origin, paper)
    axes = figure.subplots(len(maps), sharex=True, squeeze=False)[:, 0]
    for ax, drawn in zip(axes, maps, strict=True):
        ax.set_facecolor(FAINT_GREY)
        first = drawn.days[0]
        span = (drawn.days[-1] - first).days + 1
        table = np.full((N_HOURS, span), np.nan)
        table[:, [(day - first).days for day in drawn.days]] = drawn.table
        edges = mdates.date2num(first) - 0.5 + np.arange(span + 1.0)
        image = ax.pcolormesh(
            edges,
            np.arange(N_HOURS + 1.0),
            table,
            cmap=drawn.colours,
            vmin=drawn.least,
            gid=drawn.label,
            rasterized=True,
        )
        bar = figure.colorbar(image, ax=ax, aspect=12, pad=0.01)
        bar.outline.set_visible(False)
        ax.set_title(drawn.label)
        ax.set_yticks(range(0, N_HOURS + 1, 6 if len(maps) <= _FINE_UP_TO else 12))
        ax.set_xlim(edges[0], edges[-1])
        ax.tick_params(axis="x", length=0)
    figure.supylabel("local hour [h]", size="medium")
    date_axis(axes[-1], paper)
    return figure
