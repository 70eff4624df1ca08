"""From a building's meters to the agents of one day.

The bus is what the building's import meter sees. Feeds with a meter of their own (a heat pump on
its own tariff, PV that feeds in everything) stay outside, unless ``one_meter`` asks what the
building would be worth with everything behind one meter.

A plan starts at local midnight. So that the night is not cut in two it looks ``lookahead_h`` hours
beyond the day it commits, where appliances run as metered; the last day of a window has no such
look-ahead and must leave the stores as the window found them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from ems.agents.comfort import Comfort, ShiftComfort
from ems.economics.tariff import Tariff
from ems.errors import DataError, InvalidSpec
from ems.site.assets import Assets
from ems.site.detection import detect_cycles
from ems.site.ev_use import EVUse, assumed_use, metered_use
from ems.site.meters import Feed, MeterData
from ems.site.series import Run, SiteSeries
from ems.site.task import PlanningTask, Site, Stretch
from ems.types import Floats


class Building:
    """A building's history with a tariff and assets, cut into days that can be planned."""

    def __init__(self, history: MeterData, tariff: Tariff, assets: Assets) -> None:
        self.history, self.tariff, self.assets = history, tariff, assets
        shift = assets.heat_shift_h / history.step_h
        if abs(shift - round(shift)) > 1e-9:
            raise InvalidSpec(
                f"assets: heat_shift_h is {assets.heat_shift_h}, it must be a multiple of the step "
                f"of {history.step_h:g} h"
            )
        self._local = pd.DatetimeIndex(history.ts_utc, tz="UTC").tz_convert(history.timezone)
        wall = np.asarray(self._local.tz_localize(None), dtype="datetime64[s]")
        self._day = wall.astype("datetime64[D]")
        self._hour: Floats = (wall - self._day) / np.timedelta64(1, "h")

    # --- days ------------------------------------------------------------------------------

    @property
    def days(self) -> tuple[date, ...]:
        """All local days that the meters cover from midnight to midnight."""
        return tuple(self._spans)

    def why_not(self, day: date) -> str | None:
        """Why ``day`` cannot be planned, or None if it can."""
        if day not in self._spans:
            return "the meters do not cover the whole day"
        span = self._spans[day]
        reasons = [
            f"{name} is not ok"
            for name, values in self._needed.items()
            if not np.isfinite(values[span]).all()
        ]
        return "; ".join(reasons) or None

    @cached_property
    def plannable_days(self) -> tuple[date, ...]:
        """The days on which every feed the plan needs is ok."""
        return tuple(day for day in self.days if self.why_not(day) is None)

    @cached_property
    def _plannable(self) -> frozenset[date]:
        return frozenset(self.plannable_days)

    @cached_property
    def _needed(self) -> dict[str, Floats]:
        roles = ("import", "export", "pv")
        meters = [f for f in self.history.feeds if f.role in roles and self._on_bus(f)]
        needed = {feed.name: self.history.energy_kwh[feed.name] for feed in meters}
        needed["the building's load"] = self._load_kwh
        if self.tariff.uses_spot:
            needed["the day-ahead price"] = self.history.price_eur_per_mwh
        return needed

    @cached_property
    def _spans(self) -> dict[date, slice]:
        """The steps of every day that the meters cover from midnight to midnight."""
        names, firsts, counts = np.unique(self._day, return_index=True, return_counts=True)
        zone, step_h = self.history.timezone, self.history.step_h
        edges = pd.DatetimeIndex([*names, names[-1] + np.timedelta64(1, "D")]).tz_localize(zone)
        midnights = np.asarray(edges.tz_convert("UTC").tz_localize(None), dtype="datetime64[s]")
        whole = np.rint(np.diff(midnights) / np.timedelta64(3600, "s") / step_h)
        return {
            day.item(): slice(int(first), int(first + count))
            for day, first, count, full in zip(names, firsts, counts, whole, strict=True)
            if count == full
        }

    def span(self, day: date) -> slice:
        """The steps of a day on the building's whole grid."""
        return self._spans[day]

    def metered_bill_eur(self, days: Sequence[date]) -> float | None:
        """What the meter itself would bill for ``days``, import and export counted apart [€].

        None for a building whose exports are not metered. A settlement nets them within a step.
        """
        of_role = {f.role: f.name for f in self.history.feeds if f.role in ("import", "export")}
        if set(of_role) != {"import", "export"}:
            return None
        bought_kwh = self.history.energy_kwh[of_role["import"]]
        sold_kwh = self.history.energy_kwh[of_role["export"]]
        spot = self.history.price_eur_per_mwh
        bill_eur = bought_kwh * self.tariff.import_eur_per_kwh(spot, self._hour)
        bill_eur -= sold_kwh * self.tariff.export_eur_per_kwh(spot)
        return float(sum(bill_eur[self._spans[day]].sum() for day in days))

    # --- what stands on the bus --------------------------------------------------------------

    def _on_bus(self, feed: Feed) -> bool:
        return self.assets.one_meter or feed.behind_import

    @cached_property
    def _load_kwh(self) -> Floats:
        apart = [f.name for f in self.history.feeds if f.role == "load" and not self._on_bus(f)]
        return self.history.load_kwh - self._sum(apart)

    @cached_property
    def _pv_kwh(self) -> Floats:
        return self._sum([f.name for f in self.history.feeds if f.role == "pv" and self._on_bus(f)])

    def _sum(self, names: Sequence[str]) -> Floats:
        total = np.zeros(len(self.history.ts_utc))
        for name in names:
            total = total + self.history.energy_kwh[name]
        return total

    @cached_property
    def truth(self) -> SiteSeries:
        """What the meters saw."""
        return SiteSeries(
            load_kwh=self._load_kwh,
            pv_kwh=self._pv_kwh,
            spot_eur_per_mwh=self.history.price_eur_per_mwh,
            runs=self._runs if self.assets.appliances else {},
            heat_kw=self._heat_kw if self.assets.appliances else {},
            ev_use=self._ev_use,
        )

    @cached_property
    def base_kwh(self) -> Floats:
        """The load less everything that is planned, as the meters saw it [kWh], shape ``(n,)``."""
        every = slice(0, len(self.history.ts_utc))
        return self._load_kwh - self.truth.planned_kwh(every, self.history.step_h)

    @cached_property
    def _runs(self) -> dict[str, tuple[Run, ...]]:
        """A run that crosses midnight is not moved: it stays in the base load."""
        return {
            feed.name: tuple(
                (cycle.start, np.array(cycle.energy_kwh))
                for cycle in detect_cycles(self.history.energy_kwh[feed.name], self.history.step_h)
                if self._day[cycle.start] == self._day[cycle.start + len(cycle.energy_kwh) - 1]
            )
            for feed in self.history.feeds_of("discrete_phase")
            if self._on_bus(feed)
        }

    @property
    def appliance_names(self) -> tuple[str, ...]:
        """The appliances on the bus that run in cycles."""
        return tuple(self._runs)

    @cached_property
    def _heat_kw(self) -> dict[str, Floats]:
        """For each heat pump its metered power [kW], zero on days that its meter does not cover.

        On such a day its load is part of the base load.
        """
        feeds = [feed.name for feed in self.history.feeds_of("partial_usage") if self._on_bus(feed)]
        return {name: self._whole_days(self.history.energy_kwh[name]) for name in feeds}

    def _whole_days(self, energy_kwh: Floats) -> Floats:
        power_kw = np.zeros(len(energy_kwh))
        for span in self._spans.values():
            if np.isfinite(energy_kwh[span]).all():
                power_kw[span] = energy_kwh[span] / self.history.step_h
        return power_kw

    @cached_property
    def _ev_use(self) -> EVUse | None:
        spec, history = self.assets.ev, self.history
        if spec is None:
            return None
        feeds = [feed for feed in history.feeds_of("ev") if self._on_bus(feed)]
        if not feeds:
            return assumed_use(self._hour, spec)
        return metered_use(history.energy_kwh[feeds[0].name], history.step_h, self._hour, spec)

    @cached_property
    def site(self) -> Site:
        """Its grid of time, its tariff and its assets."""
        history = self.history
        return Site(
            ts_utc=history.ts_utc,
            step_h=history.step_h,
            timezone=history.timezone,
            hour=self._hour,
            tariff=self.tariff,
            assets=self.assets,
            heat_kw={name: float(np.max(kw)) for name, kw in self._heat_kw.items()},
        )

    # --- the agents --------------------------------------------------------------------------

    def stretch(self, days: Sequence[date], lookahead_h: float = 0.0, at: int = 0) -> Stretch:
        """The steps of a plan for consecutive ``days`` made ``at`` steps after the first midnight.

        Raises ``DataError`` for a day that cannot be planned.
        """
        for day in days:
            if day not in self._plannable:
                reason = self.why_not(day)
                raise DataError(f"{self.history.building}: {day} cannot be planned: {reason}")
        spans = tuple(self._spans[day] for day in days)
        ahead = self._lookahead_steps(days[-1], lookahead_h)
        return Stretch(spans=spans, whole=slice(spans[0].start + at, spans[-1].stop + ahead))

    def problem(
        self,
        days: Sequence[date],
        *,
        lookahead_h: float = 0.0,
        soc_kwh: Mapping[str, float] | None = None,
        comfort: Comfort | None = None,
        course: SiteSeries | None = None,
        at: int = 0,
    ) -> PlanningTask:
        """The agents of consecutive ``days``, with a horizon ``lookahead_h`` hours beyond them.

        ``soc_kwh``: charge of each store before the first midnight [kWh] by agent name; what is not
        named starts at its specification. ``comfort``: what moving an appliance costs (default: by
        the assets). ``course``: what is believed (default: the truth); ``at``: steps after the
        first midnight at which the plan is made. Raises ``DataError`` for a day that cannot be
        planned.
        """
        return self.site.problem(
            course or self.truth,
            days,
            self.stretch(days, lookahead_h, at),
            soc_kwh or {},
            comfort or ShiftComfort(eur_per_h=self.assets.shift_discomfort_eur_per_h),
        )

    def _lookahead_steps(self, day: date, lookahead_h: float) -> int:
        following = day + timedelta(days=1)
        if lookahead_h <= 0 or following not in self._plannable:
            return 0
        span = self._spans[following]
        return min(round(lookahead_h / self.history.step_h), int(span.stop - span.start))
