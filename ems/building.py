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
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PartialUsageDevice,
    PVAgent,
    three_phase,
)
from ems.detection import Session, charger_kw, detect_cycles, detect_sessions
from ems.errors import DataError, InvalidSpec
from ems.history import Feed, Floats, MeterHistory
from ems.horizon import Horizon
from ems.tariff import Tariff

EvStrategy = Literal["free", "three_phase"]


@dataclass(frozen=True, kw_only=True)
class EVSpec:
    """The car, and for a building without a metered one how it is assumed to be used.

    ``must_be_full_by_hour``: local hour by which a session must be finished [h].
    ``arrival_hour``, ``trip_kwh``: assumed daily arrival [h] and energy driven, at the battery
    [kWh], where no EV is metered; a metered car arrives when it was metered to charge, charges
    what it was metered to charge, and stays plugged in until its deadline (assumed).
    ``max_charge_kw``: assumed wallbox [kW]; a metered car keeps its own charger.
    """

    capacity_kwh: float = 60.0
    max_charge_kw: float = 11.0
    efficiency: float = 0.92
    must_be_full_by_hour: int = 7
    arrival_hour: int = 18
    trip_kwh: float = 8.0
    max_discharge_kw: float = 0.0
    wear_eur_per_kwh: float = 0.0
    strategy: EvStrategy = "free"

    def __post_init__(self) -> None:
        for name in ("must_be_full_by_hour", "arrival_hour"):
            if not 0 <= getattr(self, name) <= 23:
                raise InvalidSpec(f"ev: {name} is {getattr(self, name)}, allowed is 0 to 23")
        if not 0 < self.efficiency <= 1:
            raise InvalidSpec(f"ev: efficiency is {self.efficiency}, allowed is 0 < x <= 1")
        if not 0 <= self.trip_kwh <= self.capacity_kwh:
            raise InvalidSpec(
                f"ev: trip_kwh is {self.trip_kwh}, allowed is 0 to the capacity {self.capacity_kwh}"
            )


@dataclass(frozen=True, kw_only=True)
class Assets:
    """What is planned besides the meters' own devices, and how free the planner is.

    ``battery``, ``ev``: None leaves them out; a metered EV then stays part of the base load.
    ``appliances``: whether dishwasher, washing machine and heat pump may be moved.
    ``heat_shift_h``: how much earlier or later than metered heat may be made [h] (assumed).
    ``shift_discomfort_eur_per_h``: what moving an appliance's start costs in comfort [€/h]
    (assumed); it steers the plan and is never part of the bill.
    """

    battery: BatteryAgent | None = field(default_factory=BatteryAgent)
    ev: EVSpec | None = field(default_factory=EVSpec)
    appliances: bool = True
    grid: GridAgent = field(default_factory=GridAgent)
    curtailable_pv: bool = False
    one_meter: bool = False
    heat_shift_h: float = 2.0
    shift_discomfort_eur_per_h: float = 0.02

    def __post_init__(self) -> None:
        for name in ("heat_shift_h", "shift_discomfort_eur_per_h"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidSpec(f"assets: {name} is {getattr(self, name)}, allowed is >= 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class DayProblem:
    """One day ready to be planned: ``n_committed`` steps of ``horizon`` are carried out."""

    day: date
    horizon: Horizon
    agents: tuple[Agent, ...]
    grid: GridAgent
    n_committed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _EVUse:
    """An EV's arrivals, deadlines and the people's own course on the building's whole grid.

    ``soc_kwh``: charge at the end of each step when nobody plans [kWh].
    """

    trip_kwh: Floats
    plugged_in: NDArray[np.bool_]
    deadline: NDArray[np.bool_]
    metered_kw: Floats | None
    max_charge_kw: float
    soc_kwh: Floats


class Building:
    """A building's history with a tariff and assets, cut into days that can be planned."""

    def __init__(self, history: MeterHistory, tariff: Tariff, assets: Assets) -> None:
        self.history, self.tariff, self.assets = history, tariff, assets
        self._local = pd.DatetimeIndex(history.ts_utc, tz="UTC").tz_convert(history.timezone)
        wall = np.asarray(self._local.tz_localize(None), dtype="datetime64[s]")
        self._day = wall.astype("datetime64[D]")
        self._hour: Floats = (wall - self._day) / np.timedelta64(1, "h")
        spot = history.price_eur_per_mwh
        self._import_eur = tariff.import_eur_per_kwh(spot, self._hour)
        self._export_eur = tariff.export_eur_per_kwh(spot)

    # --- days ------------------------------------------------------------------------------

    @cached_property
    def days(self) -> tuple[date, ...]:
        """All local days that the meters cover from midnight to midnight."""
        names, counts = np.unique(self._day, return_counts=True)
        whole = [self._n_steps_of(day) == count for day, count in zip(names, counts, strict=True)]
        return tuple(day.item() for day, keep in zip(names, whole, strict=True) if keep)

    def why_not(self, day: date) -> str | None:
        """Why ``day`` cannot be planned, or None if it can."""
        if day not in self._first:
            return "the meters do not cover the whole day"
        span = self._span(day)
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
    def _needed(self) -> dict[str, Floats]:
        roles = ("import", "export", "pv")
        meters = [f for f in self.history.feeds if f.role in roles and self._on_bus(f)]
        needed = {feed.name: self.history.energy_kwh[feed.name] for feed in meters}
        needed["the building's load"] = self._load_kwh
        if self.tariff.uses_spot:
            needed["the day-ahead price"] = self.history.price_eur_per_mwh
        return needed

    @cached_property
    def _first(self) -> dict[date, int]:
        names, firsts = np.unique(self._day, return_index=True)
        known = set(self.days)
        return {
            day.item(): int(first)
            for day, first in zip(names, firsts, strict=True)
            if day.item() in known
        }

    def _n_steps_of(self, day: np.datetime64) -> int:
        zone = self.history.timezone
        begin, end = (pd.Timestamp(day + i).tz_localize(zone) for i in (0, 1))
        return round((end - begin).total_seconds() / 3600 / self.history.step_h)

    def _span(self, day: date) -> slice:
        first = self._first[day]
        return slice(first, first + self._n_steps_of(np.datetime64(day)))

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

    @cached_property
    def _cycle_starts(self) -> dict[str, NDArray[np.int64]]:
        return {
            name: np.array([start for start, _ in cycles], dtype=np.int64)
            for name, cycles in self._cycles.items()
        }

    @cached_property
    def _heat_kw(self) -> dict[str, Floats]:
        """For each heat pump its metered power [kW]."""
        return {
            feed.name: self.history.energy_kwh[feed.name] / self.history.step_h
            for feed in self.history.feeds_of("partial_usage")
            if self._on_bus(feed)
        }

    @cached_property
    def _ev_use(self) -> _EVUse | None:
        if self.assets.ev is None:
            return None
        feeds = [feed for feed in self.history.feeds_of("ev") if self._on_bus(feed)]
        return (
            self._metered_ev(feeds[0], self.assets.ev)
            if feeds
            else self._assumed_ev(self.assets.ev)
        )

    def _metered_ev(self, feed: Feed, spec: EVSpec) -> _EVUse:
        history = self.history
        energy_kwh = np.nan_to_num(history.energy_kwh[feed.name])
        sessions = detect_sessions(history.energy_kwh[feed.name], history.step_h)
        n = len(history.ts_utc)
        trip_kwh, metered_kwh = np.zeros(n), np.zeros(n)
        plugged, deadline = np.zeros(n, bool), np.zeros(n, bool)
        for session in sessions:
            trip_kwh[session.start] += session.energy_kwh * spec.efficiency
            metered_kwh[session.start : session.end] = energy_kwh[session.start : session.end]
            last = self._deadline_step(session, spec.must_be_full_by_hour)
            plugged[session.start : last + 1] = True
            deadline[last] = True
        limit_kw = charger_kw(history.energy_kwh[feed.name], history.step_h)
        soc_kwh = spec.capacity_kwh + np.cumsum(spec.efficiency * metered_kwh - trip_kwh)
        return _EVUse(
            soc_kwh=soc_kwh,
            trip_kwh=trip_kwh,
            plugged_in=plugged,
            deadline=deadline,
            metered_kw=metered_kwh / history.step_h,
            max_charge_kw=limit_kw,
        )

    def _deadline_step(self, session: Session, hour: int) -> int:
        """The last step before the deadline hour that follows the arrival, or the metered end."""
        due = np.flatnonzero(self._hour[session.start + 1 : session.start + 200] == hour)
        n = len(self.history.ts_utc)
        before_due = session.start + int(due[0]) if due.size else n - 1
        return min(n - 1, max(before_due, session.end - 1))

    def _assumed_ev(self, spec: EVSpec) -> _EVUse:
        hour = self._hour
        arrives = hour == spec.arrival_hour
        away_from, back_at = spec.must_be_full_by_hour, spec.arrival_hour
        if away_from < back_at:
            plugged = (hour < away_from) | (hour >= back_at)
        else:
            plugged = (hour >= back_at) & (hour < away_from)
        due = np.append(hour[1:] == spec.must_be_full_by_hour, False)
        return _EVUse(
            soc_kwh=np.full(len(hour), spec.capacity_kwh),
            trip_kwh=np.where(arrives, spec.trip_kwh, 0.0),
            plugged_in=plugged,
            deadline=due,
            metered_kw=None,
            max_charge_kw=spec.max_charge_kw,
        )

    # --- one day -----------------------------------------------------------------------------

    def day(
        self,
        day: date,
        *,
        lookahead_h: float = 0.0,
        soc_kwh: Mapping[str, float] | None = None,
    ) -> DayProblem:
        """The agents of ``day`` with a horizon of the day and ``lookahead_h`` hours beyond it.

        ``soc_kwh``: charge of each store before midnight [kWh] by agent name; what is not named
        starts at its specification. Raises ``DataError`` for a day that cannot be planned.
        """
        reason = self.why_not(day)
        if reason is not None:
            raise DataError(f"{self.history.building}: {day} cannot be planned: {reason}")
        span = self._span(day)
        n_day = span.stop - span.start
        ahead = self._lookahead_steps(day, lookahead_h)
        whole = slice(span.start, span.stop + ahead)
        horizon = self._horizon(whole)
        charge = dict(soc_kwh or {})
        appliances = self._appliances(whole, n_day) if self.assets.appliances else []
        ev = self._ev(whole, horizon, ahead, charge.get("ev"))
        planned_kw = np.zeros(horizon.n_steps)
        for device in [
            *appliances,
            *([ev] if ev is not None and ev.metered_kw is not None else []),
        ]:
            planned_kw = planned_kw + device.unplanned(horizon).net_load_kw
        base_kw = horizon.power_kw(self._load_kwh[whole]) - planned_kw
        agents: list[Agent] = [BaseLoadAgent(name="base_load", load_kw=base_kw)]
        pv_kw = horizon.power_kw(self._pv_kwh[whole])
        if np.any(pv_kw > 0):
            agents.append(
                PVAgent(name="pv", available_kw=pv_kw, curtailable=self.assets.curtailable_pv)
            )
        agents += appliances
        if ev is not None:
            agents.append(self._with_strategy(ev, horizon, base_kw, pv_kw))
        if self.assets.battery is not None:
            agents.append(self._battery(self.assets.battery, charge.get("battery")))
        return DayProblem(
            day=day,
            horizon=horizon,
            agents=tuple(agents),
            grid=self.assets.grid,
            n_committed=n_day,
        )

    def _lookahead_steps(self, day: date, lookahead_h: float) -> int:
        following = day + timedelta(days=1)
        if lookahead_h <= 0 or self.why_not(following) is not None:
            return 0
        span = self._span(following)
        return min(round(lookahead_h / self.history.step_h), int(span.stop - span.start))

    def _horizon(self, whole: slice) -> Horizon:
        return Horizon(
            start_utc=self.history.ts_utc[whole.start],
            step_h=self.history.step_h,
            import_eur_per_kwh=self._import_eur[whole],
            export_eur_per_kwh=self._export_eur[whole],
            timezone=self.history.timezone,
        )

    def _battery(self, spec: BatteryAgent, soc_kwh: float | None) -> BatteryAgent:
        if soc_kwh is None:
            return spec
        clipped = min(max(soc_kwh, spec.min_soc_kwh), spec.capacity_kwh)
        return replace(spec, initial_soc_kwh=clipped, final_soc_kwh=spec.least_final_kwh)

    def _appliances(self, whole: slice, n_day: int) -> list[Agent]:
        devices: list[Agent] = []
        for name, starts in self._cycle_starts.items():
            first, last = np.searchsorted(starts, (whole.start, whole.start + n_day))
            runs = self._cycles[name][first:last]
            cycles = [self._cycle(k, run, whole.start, n_day) for k, run in enumerate(runs)]
            inside = tuple(cycle for cycle in cycles if cycle is not None)
            if inside:
                devices.append(self._machine(name, inside, n_day, whole.stop - whole.start))
        devices += [
            self._heat_pump(name, power_kw, whole, n_day)
            for name, power_kw in self._heat_kw.items()
            if np.isfinite(power_kw[whole]).all() and np.any(power_kw[whole] > 0)
        ]
        return devices

    def _cycle(self, k: int, run: tuple[int, Floats], first: int, n_day: int) -> Cycle | None:
        """The run as a cycle of this day; None when it crosses midnight and stays base load."""
        start, energy_kwh = run
        begin, length = start - first, len(energy_kwh)
        if begin + length > n_day:
            return None
        return Cycle(
            label=f"{k + 1}",
            profile_kw=tuple((energy_kwh / self.history.step_h).tolist()),
            metered_start=begin,
            earliest=0,
            latest=n_day - length,
        )

    def _machine(
        self, name: str, cycles: tuple[Cycle, ...], n_day: int, n_steps: int
    ) -> DiscretePhaseDevice:
        steps = np.arange(n_steps)
        metered = np.array([cycle.metered_start for cycle in cycles])
        shift_h = np.abs(steps[None, :] - metered[:, None]) * self.history.step_h
        table = self.assets.shift_discomfort_eur_per_h * shift_h
        return DiscretePhaseDevice(name=name, cycles=cycles, discomfort_eur=table)

    def _heat_pump(
        self, name: str, power_kw: Floats, whole: slice, n_day: int
    ) -> PartialUsageDevice:
        """Heat up to ``heat_shift_h`` earlier or later than metered, never into another day."""
        metered_kw = power_kw[whole]
        drawn_kwh = np.cumsum(metered_kw) * self.history.step_h
        shift = round(self.assets.heat_shift_h / self.history.step_h)
        step = np.arange(n_day)
        before = np.concatenate(([0.0], drawn_kwh))[np.maximum(step + 1 - shift, 0)]
        ahead = drawn_kwh[np.minimum(step + shift, n_day - 1)]
        least, most = drawn_kwh.copy(), drawn_kwh.copy()
        least[: n_day - 1], most[: n_day - 1] = before[:-1], ahead[:-1]
        return PartialUsageDevice(
            name=name,
            metered_kw=metered_kw,
            min_cumulative_kwh=least,
            max_cumulative_kwh=most,
            max_power_kw=float(np.nanmax(power_kw)),
        )

    def _ev(
        self, whole: slice, horizon: Horizon, ahead: int, soc_kwh: float | None
    ) -> EVAgent | None:
        use, spec = self._ev_use, self.assets.ev
        if use is None or spec is None:
            return None
        metered_kw = None if use.metered_kw is None else use.metered_kw[whole]
        known_kwh = float(use.soc_kwh[max(whole.start - 1, 0)]) if soc_kwh is None else soc_kwh
        least_kwh = np.where(use.deadline[whole], spec.capacity_kwh, 0.0)
        ev = EVAgent(
            name="ev",
            trip_kwh=use.trip_kwh[whole],
            plugged_in=use.plugged_in[whole],
            min_soc_kwh=least_kwh,
            max_soc_kwh=np.full(horizon.n_steps, spec.capacity_kwh),
            capacity_kwh=spec.capacity_kwh,
            max_charge_kw=use.max_charge_kw,
            max_discharge_kw=spec.max_discharge_kw,
            efficiency=spec.efficiency,
            initial_soc_kwh=min(max(known_kwh, 0.0), spec.capacity_kwh),
            wear_eur_per_kwh=spec.wear_eur_per_kwh,
            metered_kw=metered_kw,
        )
        return ev if ahead else self._closed(ev, float(use.soc_kwh[whole.stop - 1]))

    def _closed(self, ev: EVAgent, full_by_then_kwh: float) -> EVAgent:
        """At the end of the last step the car is as full as its people had it by then."""
        least_kwh = np.array(ev.min_soc_kwh)
        least_kwh[-1] = max(least_kwh[-1], min(full_by_then_kwh, ev.capacity_kwh))
        return replace(ev, min_soc_kwh=least_kwh)

    def _with_strategy(
        self, ev: EVAgent, horizon: Horizon, base_kw: Floats, pv_kw: Floats
    ) -> EVAgent:
        if self.assets.ev is None or self.assets.ev.strategy == "free":
            return ev
        return three_phase(ev, horizon, np.maximum(pv_kw - base_kw, 0.0))
