"""A building's meters on its bus, as device kinds see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from ems.agents.on_site import Run
from ems.site.detection import charger_kw, detect_cycles, detect_sessions
from ems.site.meters import Feed, MeterData
from ems.types import Days, Floats, Instants


@dataclass(frozen=True, kw_only=True, eq=False)
class MeterView:
    """The meters of ``history`` on the bus, see ``ems.agents.on_site.SiteView``.

    The bus is what the import meter sees; with ``one_meter`` it is everything.
    """

    history: MeterData
    one_meter: bool

    def on_bus(self, feed: Feed) -> bool:
        """Whether the import meter sees it, or would with ``one_meter``."""
        return self.one_meter or feed.behind_import

    @property
    def step_h(self) -> float:
        """Length of a step [h]."""
        return self.history.step_h

    @cached_property
    def _wall(self) -> Instants:
        utc = pd.DatetimeIndex(self.history.ts_utc, tz="UTC")
        local = utc.tz_convert(self.history.timezone).tz_localize(None)
        return np.asarray(local, dtype="datetime64[s]")

    @cached_property
    def day(self) -> Days:
        """The local day of each step."""
        return self._wall.astype("datetime64[D]")

    @cached_property
    def hour(self) -> Floats:
        """The local hour of each step [h]."""
        hour: Floats = (self._wall - self.day) / np.timedelta64(1, "h")
        return hour

    @cached_property
    def spans(self) -> dict[date, slice]:
        """The steps of every day covered from midnight to midnight."""
        names, firsts, counts = np.unique(self.day, return_index=True, return_counts=True)
        # From midnight to midnight in local time, so that clock-change days have 23 or 25 hours.
        edges = pd.DatetimeIndex([*names, names[-1] + np.timedelta64(1, "D")])
        midnights = np.asarray(
            edges.tz_localize(self.history.timezone).tz_convert("UTC").tz_localize(None),
            dtype="datetime64[s]",
        )
        whole = np.rint(np.diff(midnights) / np.timedelta64(3600, "s") / self.step_h)
        return {
            day.item(): slice(int(first), int(first + count))
            for day, first, count, full in zip(names, firsts, counts, whole, strict=True)
            if count == full
        }

    @cached_property
    def whole_days(self) -> tuple[slice, ...]:
        """The steps of these days, in order."""
        return tuple(self.spans.values())

    def meters(self, category: str) -> tuple[str, ...]:
        """The feeds of one category on the bus, in store order."""
        feeds = self.history.feeds
        return tuple(f.name for f in feeds if f.category == category and self.on_bus(f))

    def meters_of(self, role: str) -> tuple[str, ...]:
        """The feeds of one role on the bus, in store order."""
        feeds = self.history.feeds
        return tuple(f.name for f in feeds if f.role == role and self.on_bus(f))

    @property
    def temperature_c(self) -> Floats:
        """Outdoor temperature of each step [°C], NaN if unknown."""
        unknown = np.full(len(self.history.ts_utc), np.nan)
        return self.history.weather.get("temperature_c", unknown)

    def energy_kwh(self, meter: str) -> Floats:
        """Energy of each step [kWh], NaN if unknown."""
        return self.history.energy_kwh[meter]

    def runs(self, meter: str) -> tuple[Run, ...]:
        """The complete runs of an appliance, in order."""
        cycles = detect_cycles(self.energy_kwh(meter), self.step_h)
        return tuple((cycle.start, np.array(cycle.energy_kwh)) for cycle in cycles)

    def sessions(self, meter: str) -> tuple[tuple[int, int], ...]:
        """First step and last + 1 of each charging session, in order."""
        sessions = detect_sessions(self.energy_kwh(meter), self.step_h)
        return tuple((session.start, session.end) for session in sessions)

    def charger_kw(self, meter: str) -> float:
        """The smallest standard charger that fits the metered power [kW]."""
        return charger_kw(self.energy_kwh(meter), self.step_h)
