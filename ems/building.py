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
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PartialUsageDevice,
    PVAgent,
    three_phase,
)
from ems.agents import Cycle as DeviceCycle
from ems.assets import Assets
from ems.comfort import Comfort, ShiftComfort
from ems.detection import detect_cycles
from ems.errors import DataError, InvalidSpec
from ems.ev_use import EVUse, assumed_use, metered_use
from ems.history import Feed, Floats, MeterHistory
from ems.horizon import Horizon
from ems.tariff import Tariff


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Days ready to be planned.

    ``n_committed``: steps of ``horizon`` that are carried out; ``midnights``: the step in which
    each day starts, and ``n_committed`` behind the last.
    """

    days: tuple[date, ...]
    horizon: Horizon
    agents: tuple[Agent, ...]
    grid: GridAgent
    n_committed: int
    midnights: tuple[int, ...]


class Building:
    """A building's history with a tariff and assets, cut into days that can be planned."""

    def __init__(self, history: MeterHistory, tariff: Tariff, assets: Assets) -> None:
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
        spot = history.price_eur_per_mwh
        self._import_eur = tariff.import_eur_per_kwh(spot, self._hour)
        self._export_eur = tariff.export_eur_per_kwh(spot)

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

    def metered_bill_eur(self, days: Sequence[date]) -> float | None:
        """What the meter itself would bill for ``days``, import and export counted apart [€].

        None for a building whose exports are not metered. A settlement nets them within a step.
        """
        of_role = {f.role: f.name for f in self.history.feeds if f.role in ("import", "export")}
        if set(of_role) != {"import", "export"}:
            return None
        bought_kwh = self.history.energy_kwh[of_role["import"]]
        sold_kwh = self.history.energy_kwh[of_role["export"]]
        bill_eur = bought_kwh * self._import_eur - sold_kwh * self._export_eur
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
    def _cycles(self) -> dict[str, tuple[tuple[int, Floats], ...]]:
        """For each appliance its runs as (first step, energy of each step [kWh])."""
        return {
            feed.name: tuple(
                (cycle.start, np.array(cycle.energy_kwh))
                for cycle in detect_cycles(self.history.energy_kwh[feed.name], self.history.step_h)
            )
            for feed in self.history.feeds_of("discrete_phase")
            if self._on_bus(feed)
        }

    @property
    def appliance_names(self) -> tuple[str, ...]:
        """The appliances on the bus that run in cycles."""
        return tuple(self._cycles)

    @cached_property
    def _cycle_starts(self) -> dict[str, NDArray[np.int64]]:
        return {
            name: np.array([start for start, _ in cycles], dtype=np.int64)
            for name, cycles in self._cycles.items()
        }

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

    # --- the agents --------------------------------------------------------------------------

    def problem(
        self,
        days: Sequence[date],
        *,
        lookahead_h: float = 0.0,
        soc_kwh: Mapping[str, float] | None = None,
        comfort: Comfort | None = None,
    ) -> Problem:
        """The agents of consecutive ``days``, with a horizon ``lookahead_h`` hours beyond them.

        ``soc_kwh``: charge of each store before the first midnight [kWh] by agent name; what is not
        named starts at its specification. ``comfort``: what moving an appliance costs (default: by
        the assets). Raises ``DataError`` for a day that cannot be planned.
        """
        for day in days:
            if day not in self._plannable:
                reason = self.why_not(day)
                raise DataError(f"{self.history.building}: {day} cannot be planned: {reason}")
        spans = [self._spans[day] for day in days]
        ahead = self._lookahead_steps(days[-1], lookahead_h)
        whole = slice(spans[0].start, spans[-1].stop + ahead)
        horizon, charge = self._horizon(whole), dict(soc_kwh or {})
        priced = comfort or ShiftComfort(eur_per_h=self.assets.shift_discomfort_eur_per_h)
        appliances = self._appliances(whole, spans, priced) if self.assets.appliances else []
        ev = self._ev(whole, charge.get("ev"))
        base_kw = horizon.power_kw(self._load_kwh[whole])
        for device in appliances:
            base_kw = base_kw - device.unplanned(horizon).net_load_kw
        if ev is not None and ev.metered_kw is not None:
            base_kw = base_kw - ev.metered_kw
        agents: list[Agent] = [BaseLoadAgent(name="base_load", load_kw=base_kw)]
        pv_kw = horizon.power_kw(self._pv_kwh[whole])
        if np.any(pv_kw > 0):
            agents.append(
                PVAgent(name="pv", available_kw=pv_kw, curtailable=self.assets.curtailable_pv)
            )
        agents += appliances
        if ev is not None:
            ev = self._with_strategy(ev, horizon, pv_kw - base_kw)
            agents.append(ev if ahead else self._closed(ev, whole))
        if self.assets.battery is not None:
            battery = self.assets.battery
            agents.append(_charged(battery, charge.get(battery.name)))
        return Problem(
            days=tuple(days),
            horizon=horizon,
            agents=tuple(agents),
            grid=self.assets.grid,
            n_committed=spans[-1].stop - whole.start,
            midnights=tuple(s.start - whole.start for s in (*spans, slice(spans[-1].stop, None))),
        )

    def _lookahead_steps(self, day: date, lookahead_h: float) -> int:
        following = day + timedelta(days=1)
        if lookahead_h <= 0 or following not in self._plannable:
            return 0
        span = self._spans[following]
        return min(round(lookahead_h / self.history.step_h), int(span.stop - span.start))

    def _horizon(self, whole: slice) -> Horizon:
        return Horizon(
            start_utc=self.history.ts_utc[whole.start],
            step_h=self.history.step_h,
            import_eur_per_kwh=self._import_eur[whole],
            export_eur_per_kwh=self._export_eur[whole],
            timezone=self.history.timezone,
        )

    def _appliances(self, whole: slice, spans: Sequence[slice], comfort: Comfort) -> list[Agent]:
        machines = [
            self._machine(name, cycles, whole, comfort)
            for name in self._cycles
            if (cycles := self._cycles_within(name, whole.start, spans))
        ]
        heat_pumps = [
            self._heat_pump(name, power_kw, whole, spans)
            for name, power_kw in self._heat_kw.items()
            if np.any(power_kw[whole] > 0)
        ]
        return [*machines, *heat_pumps]

    def _cycles_within(
        self, name: str, first: int, spans: Sequence[slice]
    ) -> tuple[DeviceCycle, ...]:
        """The runs of each day, free to start anywhere in it.

        A run that crosses midnight is not moved: it stays in the base load.
        """
        starts, runs = self._cycle_starts[name], self._cycles[name]
        cycles: list[DeviceCycle] = []
        for span in spans:
            begin, end = np.searchsorted(starts, (span.start, span.stop))
            for start, energy_kwh in runs[begin:end]:
                if start + len(energy_kwh) <= span.stop:
                    cycle = DeviceCycle(
                        number=len(cycles) + 1,
                        profile_kw=tuple((energy_kwh / self.history.step_h).tolist()),
                        metered_start=start - first,
                        earliest=span.start - first,
                        latest=span.stop - len(energy_kwh) - first,
                    )
                    cycles.append(cycle)
        return tuple(cycles)

    def _machine(
        self, name: str, cycles: tuple[DeviceCycle, ...], whole: slice, comfort: Comfort
    ) -> DiscretePhaseDevice:
        metered = np.array([cycle.metered_start for cycle in cycles])
        if not comfort.movable:
            cycles = tuple(
                replace(cycle, earliest=cycle.metered_start, latest=cycle.metered_start)
                for cycle in cycles
            )
        table = comfort.discomfort_eur(name, metered, self._hour[whole], self.history.step_h)
        return DiscretePhaseDevice(name=name, cycles=cycles, discomfort_eur=table)

    def _heat_pump(
        self, name: str, power_kw: Floats, whole: slice, spans: Sequence[slice]
    ) -> PartialUsageDevice:
        """Heat up to ``heat_shift_h`` earlier or later than metered, never into another day."""
        metered_kw = power_kw[whole]
        drawn_kwh = np.concatenate(([0.0], np.cumsum(metered_kw) * self.history.step_h))
        least, most = drawn_kwh[1:].copy(), drawn_kwh[1:].copy()
        shift = round(self.assets.heat_shift_h / self.history.step_h)
        for span in spans:
            first, last = span.start - whole.start, span.stop - whole.start
            ends = np.arange(first + 1, last)
            least[first : last - 1] = drawn_kwh[np.maximum(ends - shift, first)]
            most[first : last - 1] = drawn_kwh[np.minimum(ends + shift, last)]
        return PartialUsageDevice(
            name=name,
            metered_kw=metered_kw,
            min_cumulative_kwh=least,
            max_cumulative_kwh=most,
            max_power_kw=float(np.max(power_kw)),
        )

    def _ev(self, whole: slice, soc_kwh: float | None) -> EVAgent | None:
        use, spec = self._ev_use, self.assets.ev
        if use is None or spec is None:
            return None
        metered_kwh = float(use.soc_kwh[whole.start - 1]) if whole.start else spec.capacity_kwh
        known_kwh = metered_kwh if soc_kwh is None else max(soc_kwh, 0.0)
        known_kwh = min(known_kwh, spec.capacity_kwh)
        as_people_kwh = np.minimum(use.soc_kwh[whole], spec.capacity_kwh)
        least_kwh = np.where(use.deadline[whole], as_people_kwh, 0.0)
        return EVAgent(
            name="ev",
            trip_kwh=use.trip_kwh[whole],
            plugged_in=use.plugged_in[whole],
            min_soc_kwh=least_kwh,
            max_soc_kwh=np.full(len(least_kwh), spec.capacity_kwh),
            capacity_kwh=spec.capacity_kwh,
            max_charge_kw=use.max_charge_kw,
            max_discharge_kw=spec.max_discharge_kw,
            efficiency=spec.efficiency,
            initial_soc_kwh=known_kwh,
            wear_eur_per_kwh=spec.wear_eur_per_kwh,
            metered_kw=None if use.metered_kw is None else use.metered_kw[whole],
        )

    def _closed(self, ev: EVAgent, whole: slice) -> EVAgent:
        """At the window's end the car is as full as its people had it, if its rules let it be."""
        use = self._ev_use
        if use is None:
            return ev
        soc_kwh, limit_kw = ev.initial_soc_kwh, ev.charge_limit_kw
        for t, most_kwh in enumerate(ev.max_soc_kwh):
            soc_kwh += ev.efficiency * limit_kw[t] * self.history.step_h - float(ev.trip_kwh[t])
            soc_kwh = min(soc_kwh, float(most_kwh))
        least_kwh = np.array(ev.min_soc_kwh)
        wanted_kwh = min(float(use.soc_kwh[whole.stop - 1]), max(0.0, soc_kwh))
        least_kwh[-1] = max(least_kwh[-1], wanted_kwh)
        return replace(ev, min_soc_kwh=least_kwh)

    def _with_strategy(self, ev: EVAgent, horizon: Horizon, surplus_kw: Floats) -> EVAgent:
        if self.assets.ev is None or self.assets.ev.strategy == "free":
            return ev
        return three_phase(ev, horizon, surplus_kw)


def _charged(spec: BatteryAgent, soc_kwh: float | None) -> BatteryAgent:
    """The battery with another charge; what must be left at the end stays that of ``spec``."""
    if soc_kwh is None:
        return spec
    clipped = min(max(soc_kwh, spec.min_soc_kwh), spec.capacity_kwh)
    return replace(spec, initial_soc_kwh=clipped, final_soc_kwh=spec.least_final_kwh)
