"""What was read of a building, in one picture: a misreading is seen at a glance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ems.report.figures.page import Origin
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.windows import DayMap, day_maps
from ems.site.meters import MeterData, Role, sum_kwh

HOURS_A_YEAR = 8766.0
USUAL = "a home usually has a load of 1,500 to 6,000, with a heat pump or a car twice that"
_LOAD = "Greys"
_SHOWN: tuple[tuple[Role, str, str], ...] = (
    ("import", "import", "Oranges"),
    ("export", "export", "Blues"),
    ("pv", "PV", "YlOrBr"),
)


def first_look(history: MeterData, *, paper: Paper = SCREEN) -> Figure:
    """Load, import, export and PV [kW] by local hour and day, gaps grey, with yearly sums [kWh]."""
    local = pd.DatetimeIndex(history.ts_utc, tz="UTC").tz_convert(history.timezone)
    hour = np.asarray(local.hour + local.minute / 60.0, dtype=np.float64)
    days = list(local.date)
    series = {"load": (history.load_kwh, _LOAD)}
    for role, name, colours in _SHOWN:
        if any(feed.role == role for feed in history.feeds):
            series[name] = (sum_kwh(history, role, behind_import=None), colours)
    maps = [
        DayMap.of(f"{name} [kW]", days, hour, kwh / history.step_h, colours)
        for name, (kwh, colours) in series.items()
    ]
    known = {name: kwh[np.isfinite(kwh)] for name, (kwh, _) in series.items()}
    a_year = [
        f"{name} {values.mean() / history.step_h * HOURS_A_YEAR:,.0f}"
        for name, values in known.items()
        if values.size
    ]
    return day_maps(
        maps,
        title=f"{history.building} · what was read of its meters",
        note=(f"kWh a year, from what is known: {', '.join(a_year)} · {USUAL} · grey: gaps"),
        origin=Origin.of(history),
        paper=paper,
    )
