"""What a house does in a day and over the record: profiles by season, and daily energies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ems.report.figures.page import Origin, new_page
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.parts import day_axis, legend_of_all
from ems.report.figures.style import BLACK, BLUE, FAINT_GREY, ORANGE, VERMILLION, styled
from ems.site.calendar import day_types
from ems.site.meters import MeterData, Role
from ems.types import Bools, Floats

SEASONS: Mapping[str, tuple[int, ...]] = {
    "winter (Nov to Feb)": (11, 12, 1, 2),
    "between": (3, 4, 9, 10),
    "summer (May to Aug)": (5, 6, 7, 8),
}
SOUTH_OF_EQUATOR = 6
"""Months by which the seasons are shifted there."""
COLOURS = {"load": BLACK, "import": VERMILLION, "export": BLUE, "PV": ORANGE}
N_HOURS = 24


def energies_kwh(history: MeterData) -> dict[str, Floats]:
    """Load, import, export and PV of each step [kWh], as far as metered; NaN where unknown."""
    found = {"load": history.load_kwh}
    for role in ("import", "export", "pv"):
        meters = _metered(history, role)
        if meters:
            found["PV" if role == "pv" else role] = np.sum(meters, axis=0)
    return found


def _metered(history: MeterData, role: Role) -> list[Floats]:
    return [history.energy_kwh[feed.name] for feed in history.feeds if feed.role == role]


def _local(history: MeterData) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(history.ts_utc, tz="UTC").tz_convert(history.timezone)


@styled
def daily_profiles(history: MeterData, *, paper: Paper = SCREEN) -> Figure:
    """Mean power by local hour [kW] of each season, workdays solid and free days dashed.

    A season of which nothing is known is an empty panel that says so.
    """
    local = _local(history)
    month = (local.month - 1 + SOUTH_OF_EQUATOR * (history.place.latitude_deg < 0)) % 12 + 1
    days = np.asarray(local.tz_localize(None), dtype="datetime64[D]")
    every, of_day = np.unique(days, return_inverse=True)
    free = (day_types(every, history.place) == 1)[of_day]
    body = new_page(
        3.0,
        f"{history.building} · a day of each season",
        "mean power by local hour; solid: workdays, dashed: weekends and public holidays",
        Origin.of(history),
        paper,
    )
    shape = (len(SEASONS), 1) if paper.narrow else (1, len(SEASONS))
    axes = body.subplots(*shape, squeeze=False, sharex=True, sharey=True).ravel()
    series = energies_kwh(history)
    for ax, (season, months) in zip(axes, SEASONS.items(), strict=True):
        ax.set_title(season)
        within = np.isin(month, months)
        for name, kwh in series.items():
            for kind, dashes in ((~free, "-"), (free, (0, (3, 2)))):
                mean_kw = _by_hour(local.hour, kwh / history.step_h, within & kind)
                ax.plot(np.arange(N_HOURS) + 0.5, mean_kw, color=COLOURS[name], linestyle=dashes)
        if not np.isfinite(history.load_kwh[within]).any():
            ax.text(0.5, 0.5, "nothing known", transform=ax.transAxes, ha="center")
        ax.set_xticks(range(0, N_HOURS + 1, 6))
        ax.set_xlim(0, N_HOURS)
        ax.set_xlabel("local hour")
    axes[0].set_ylabel("mean power [kW]")
    legend_of_all(body, [Line2D([], [], color=COLOURS[name], label=name) for name in series], paper)
    return body.figure


def _by_hour(hour: Any, power_kw: Floats, chosen: Bools) -> Floats:
    """Mean of the known steps of each hour [kW], NaN where none is known."""
    known = chosen & np.isfinite(power_kw)
    hours = np.asarray(hour)[known]
    count = np.bincount(hours, minlength=N_HOURS)
    total = np.bincount(hours, weights=power_kw[known], minlength=N_HOURS)
    mean: Floats = np.divide(total, count, out=np.full(N_HOURS, np.nan), where=count > 0)
    return mean


@styled
def daily_energies(history: MeterData, *, paper: Paper = SCREEN) -> Figure:
    """Energy of each local day [kWh], a panel for each series; days with a gap are grey."""
    days = np.asarray(_local(history).tz_localize(None), dtype="datetime64[D]")
    every, of_day = np.unique(days, return_inverse=True)
    series = energies_kwh(history)
    body = new_page(
        1.3 * len(series) + 0.5,
        f"{history.building} · what was metered, day by day",
        "energy of each local day; grey: a step of the day is unknown",
        Origin.of(history),
        paper,
    )
    axes = body.subplots(len(series), sharex=True, squeeze=False)[:, 0]
    edges = mdates.date2num(every)
    for ax, (name, kwh) in zip(axes, series.items(), strict=True):
        total = np.bincount(of_day, weights=kwh, minlength=len(every))
        ax.stairs(
            total, np.append(edges, edges[-1] + 1), color=COLOURS[name], baseline=None, gid=name
        )
        for day in edges[~np.isfinite(total)]:
            ax.axvspan(day, day + 1, color=FAINT_GREY, linewidth=0)
        ax.set_title(f"{name} [kWh a day]")
        ax.set_xlim(edges[0], edges[-1] + 1)
        ax.set_ylim(bottom=min(0.0, float(np.nanmin(total, initial=0.0))))
    legend_of_all(
        body, [Line2D([], [], color=FAINT_GREY, linewidth=6, label="days with a gap")], paper
    )
    day_axis(axes[-1], paper)
    return body.figure
