"""What was read of a building, in one picture: a misreading is seen at a glance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ems.report.figures.page import Origin
from ems.report.figures.paper import SCREEN, Paper
from ems.report.figures.windows import DayMap, day_maps
from ems.site.meters import MeterData, Role
from ems.types import Floats

HOURS_A_YEAR = 8766.0
USUAL = "a home usually has a load of 1,500 to 6,000, with a heat pump or a car twice that"
_LOAD, _GRID, _SUN = "Greys", "Oranges", "YlOrBr"


def first_look(history: MeterData, *, paper: Paper = SCREEN) -> Figure:
    """Load, import, export and PV [kW] by local hour and day, gaps grey, with yearly sums [kWh]."""
    local = pd.DatetimeIndex(history.ts_utc, tz="UTC").tz_convert(history.timezone)
    hour = np.asarray(local.hour + local.minute / 60.0, dtype=np.float64)
    days = list(local.date)
    series = {"load": (history.load_kwh, _LOAD)}
    for role, colours in (("import", _GRID), ("export", "Blues"), ("pv", _SUN)):
        total_kwh = _total_kwh(history, role)  # type: ignore[arg-type]
        if total_kwh is not None:
            series["PV" if role == "pv" else role] = (total_kwh, colours)
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


def _total_kwh(history: MeterData, role: Role) -> Floats | None:
    """The sum of all meters of a role [kWh], None without one."""
    found = [history.energy_kwh[feed.name] for feed in history.feeds if feed.role == role]
    total: Floats = np.sum(found, axis=0)
    return total if found else None
