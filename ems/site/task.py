"""From a course to the agents of some days: what stands on the bus and how it may be planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

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
from ems.agents.comfort import Comfort
from ems.core.horizon import Horizon
from ems.economics.tariff import Tariff
from ems.site.assets import Assets
from ems.site.ev_use import EVUse
from ems.site.series import Run, SiteSeries, runs_between, runs_kwh
from ems.types import Floats, Instants


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanningTask:
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """The steps of a plan on a building's whole grid.

    ``spans``: the days that are committed; ``whole``: what the plan looks at, from the step in
    which it is made to the end of its look-ahead.
    """

    spans: tuple[slice, ...]
    whole: slice

    @property
    def ahead(self) -> int:
        """How many steps it looks beyond the committed days."""
        return int(self.whole.stop - self.spans[-1].stop)


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """A building's grid of time, its tariff and its assets.

    ``hour``: local hour of each step [h]; ``heat_kw``: the most each heat pump draws [kW].
    """

    ts_utc: Instants
    step_h: float
    timezone: str
    hour: Floats
    tariff: Tariff
    assets: Assets
    heat_kw: Mapping[str, float]

    def problem(
        self,
        course: SiteSeries,
        days: Sequence[date],
        stretch: Stretch,
        soc_kwh: Mapping[str, float],
        comfort: Comfort,
    ) -> PlanningTask:
        """The agents of ``days`` as ``course`` has them, with the charge ``soc_kwh`` [kWh]."""
        whole, spans = stretch.whole, stretch.spans
        horizon = self._horizon(course, whole)
        appliances = self._appliances(course, stretch, comfort)
        ev = self._ev(course, whole, soc_kwh.get("ev"))
        base_kw = horizon.power_kw(self._base_kwh(course, stretch))
        agents: list[Agent] = [BaseLoadAgent(name="base_load", load_kw=base_kw)]
        pv_kw = horizon.power_kw(course.pv_kwh[whole])
        if np.any(pv_kw > 0):
            agents.append(
                PVAgent(name="pv", available_kw=pv_kw, curtailable=self.assets.curtailable_pv)
            )
        agents += appliances
        if ev is not None:
            ev = self._with_strategy(ev, horizon, pv_kw - base_kw)
            agents.append(ev if stretch.ahead else self._closed(ev, course, whole))
        if self.assets.battery is not None:
            battery = self.assets.battery
            agents.append(_charged(battery, soc_kwh.get(battery.name)))
        return PlanningTask(
            days=tuple(days),
            horizon=horizon,
            agents=tuple(agents),
            grid=self.assets.grid,
            n_committed=spans[-1].stop - whole.start,
            midnights=tuple(s.start - whole.start for s in (*spans, slice(spans[-1].stop, None))),
        )

    def _horizon(self, course: SiteSeries, whole: slice) -> Horizon:
        spot = course.spot_eur_per_mwh[whole]
        return Horizon(
            start_utc=self.ts_utc[whole.start],
            step_h=self.step_h,
            import_eur_per_kwh=self.tariff.import_eur_per_kwh(spot, self.hour[whole]),
            export_eur_per_kwh=self.tariff.export_eur_per_kwh(spot),
            timezone=self.timezone,
        )

    def _appliances(self, course: SiteSeries, stretch: Stretch, comfort: Comfort) -> list[Agent]:
        machines = [
            self._machine(name, cycles, stretch.whole, comfort)
            for name, runs in course.runs.items()
            if (cycles := self._cycles_within(runs, stretch, course.runs_foreseen))
        ]
        heat_pumps = [
            self._heat_pump(name, power_kw, stretch)
            for name, power_kw in course.heat_kw.items()
            if np.any(power_kw[stretch.spans[0].start : stretch.whole.stop] > 0)
        ]
        return [*machines, *heat_pumps]

    def _base_kwh(self, course: SiteSeries, stretch: Stretch) -> Floats:
        """The load less all that is planned; appliances run in the look-ahead as metered [kWh]."""
        whole, committed = stretch.whole, slice(stretch.whole.start, stretch.spans[-1].stop)
        base_kwh = course.load_kwh[whole] - course.charged_kwh(whole, self.step_h)
        for power_kw in course.heat_kw.values():
            base_kwh -= power_kw[whole] * self.step_h
        for runs in course.runs.values():
            base_kwh[: committed.stop - committed.start] -= runs_kwh(runs, committed)
        return base_kwh

    def _cycles_within(
        self, runs: Sequence[Run], stretch: Stretch, foreseen: bool
    ) -> tuple[Cycle, ...]:
        """The runs of each day that still fit into it.

        They may start anywhere in its rest if ``foreseen``, else not before their people.
        """
        now = stretch.whole.start
        in_days = [
            (span, run)
            for span in stretch.spans
            for run in runs_between(runs, span.start, span.stop)
        ]
        return tuple(
            Cycle(
                number=number,
                profile_kw=tuple((energy_kwh / self.step_h).tolist()),
                metered_start=start - now,
                earliest=max(span.start if foreseen else start, now) - now,
                latest=span.stop - len(energy_kwh) - now,
            )
            for number, (span, (start, energy_kwh)) in enumerate(in_days, 1)
            if span.stop - len(energy_kwh) >= now
        )

    def _machine(
        self, name: str, cycles: tuple[Cycle, ...], whole: slice, comfort: Comfort
    ) -> DiscretePhaseDevice:
        metered = np.array([cycle.metered_start for cycle in cycles])
        if not comfort.movable:
            cycles = tuple(
                replace(cycle, earliest=cycle.metered_start, latest=cycle.metered_start)
                for cycle in cycles
            )
        table = comfort.discomfort_eur(name, metered, self.hour[whole], self.step_h)
        return DiscretePhaseDevice(name=name, cycles=cycles, discomfort_eur=table)

    def _heat_pump(self, name: str, power_kw: Floats, stretch: Stretch) -> PartialUsageDevice:
        """Heat up to ``heat_shift_h`` earlier or later than metered, never into another day.

        The band is counted from the first midnight, also where the plan is made later.
        """
        midnight, now = stretch.spans[0].start, stretch.whole.start
        metered_kw = power_kw[midnight : stretch.whole.stop]
        drawn_kwh = np.concatenate(([0.0], np.cumsum(metered_kw) * self.step_h))
        least, most = drawn_kwh[1:].copy(), drawn_kwh[1:].copy()
        shift = round(self.assets.heat_shift_h / self.step_h)
        for span in stretch.spans:
            first, last = span.start - midnight, span.stop - midnight
            ends = np.arange(first + 1, last)
            least[first : last - 1] = drawn_kwh[np.maximum(ends - shift, first)]
            most[first : last - 1] = drawn_kwh[np.minimum(ends + shift, last)]
        rest = slice(now - midnight, None)
        return PartialUsageDevice(
            name=name,
            metered_kw=metered_kw[rest],
            min_cumulative_kwh=least[rest],
            max_cumulative_kwh=most[rest],
            max_power_kw=self.heat_kw[name],
            drawn_kwh=float(drawn_kwh[now - midnight]),
        )

    def _ev(self, course: SiteSeries, whole: slice, soc_kwh: float | None) -> EVAgent | None:
        use, spec = course.ev_use, self.assets.ev
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

    def _closed(self, ev: EVAgent, course: SiteSeries, whole: slice) -> EVAgent:
        """At the window's end the car is as full as its people had it, if its rules let it be."""
        use: EVUse | None = course.ev_use
        if use is None:
            return ev
        soc_kwh, limit_kw = ev.initial_soc_kwh, ev.charge_limit_kw
        for t, most_kwh in enumerate(ev.max_soc_kwh):
            soc_kwh += ev.efficiency * limit_kw[t] * self.step_h - float(ev.trip_kwh[t])
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
