"""From a building's meters to the agents of one day.

The bus is what the building's import meter sees. Feeds with a meter of their own (a heat pump on
its own tariff, PV with full feed-in) are outside, unless ``one_meter`` puts everything behind one
meter.

A plan starts at local midnight. It looks ``lookahead_h`` hours beyond the committed day, so that
midnight does not cut the night in two; appliances run as metered there. What it leaves in the
stores at its end has a value, or must be what they began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import cast

import numpy as np

from ems.agents.base import Agent
from ems.agents.base_load import BaseLoadAgent
from ems.agents.battery import InstalledBattery
from ems.agents.comfort import Comfort, ShiftComfort
from ems.agents.ev import Car
from ems.agents.flexible_device import Machine
from ems.agents.grid import GridAgent
from ems.agents.heat_pump import HeatPump
from ems.agents.on_site import PlanFrame, SiteDevice, Stretch
from ems.agents.own_battery import OwnBattery
from ems.agents.pv import Roof
from ems.core.horizon import Horizon
from ems.economics.store_value import Left
from ems.economics.tariff import Tariff
from ems.errors import DataError, InvalidSpec
from ems.site.assets import Assets
from ems.site.meters import MeterData
from ems.site.series import SiteSeries
from ems.site.task import PlanningTask
from ems.site.view import MeterView
from ems.types import Floats

APART = "on a meter of its own beside the building's; --one_meter on plans it as if behind it"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A metered device that is not planned, and why."""

    name: str
    why: str


class Building:
    """A building's history with tariff and assets, divided into days that can be planned.

    ``metered``: the history as given; ``history``: with the PV of the assets.
    """

    def __init__(self, history: MeterData, tariff: Tariff, assets: Assets) -> None:
        self.metered, self.tariff, self.assets = history, tariff, assets.under(tariff)
        metered = MeterView(history=history, one_meter=assets.one_meter)
        self.history = history if assets.pv_scale == 1 else _with_pv(metered, assets.pv_scale)
        self.view = replace(metered, history=self.history)

    def left_out(self) -> tuple[LeftOut, ...]:
        """What is metered and could be planned, but is not, and why."""
        kinds = ("pv", "ev", "discrete_phase", "partial_usage")
        could = [feed for feed in self.history.feeds if feed.category in kinds]
        planned = {device.name for device in self.truth.devices}
        heat = [f for f in could if f.category == "partial_usage" and f.name not in planned]
        why_not = {feed.name: HeatPump.why_not(self.view) for feed in heat}
        apart = {feed.name: APART for feed in could if not self.view.on_bus(feed)}
        told = {**(why_not if self.assets.appliances else {}), **apart}
        return tuple(LeftOut(name=name, why=why) for name, why in told.items())

    def devices(self) -> tuple[SiteDevice, ...]:
        """The devices on the bus that can be planned, in planning order."""
        view, assets = self.view, self.assets
        return (
            *Roof.on_site(view, curtailable=assets.curtailable_pv),
            *OwnBattery.on_site(view),
            *(Machine.on_site(view) if assets.appliances else ()),
            *(HeatPump.on_site(view, assets.heat) if assets.appliances else ()),
            *Car.on_site(view, assets.ev),
            *InstalledBattery.on_site(assets.battery, view.step_h),
        )

    # --- days ------------------------------------------------------------------------------

    @property
    def days(self) -> tuple[date, ...]:
        """All local days covered from midnight to midnight."""
        return tuple(self.view.spans)

    def why_not(self, day: date) -> str | None:
        """Why ``day`` cannot be planned; None if it can."""
        if day not in self.view.spans:
            return "the meters do not cover the whole day"
        span = self.view.spans[day]
        reasons = [
            f"{name} is not ok"
            for name, values in self._needed.items()
            if not np.isfinite(values[span]).all()
        ]
        return "; ".join(reasons) or None

    @cached_property
    def plannable_days(self) -> tuple[date, ...]:
        """The days on which every feed needed is valid."""
        return tuple(day for day in self.days if self.why_not(day) is None)

    @cached_property
    def _plannable(self) -> frozenset[date]:
        return frozenset(self.plannable_days)

    @cached_property
    def _needed(self) -> dict[str, Floats]:
        roles = ("import", "export", "pv", "charge", "discharge")
        meters = [f for f in self.history.feeds if f.role in roles and self.view.on_bus(f)]
        needed = {feed.name: self.history.energy_kwh[feed.name] for feed in meters}
        needed["the building's load"] = self._load_kwh
        if self.tariff.uses_spot:
            needed["the day-ahead price"] = self.history.price_eur_per_mwh
        return needed

    def span(self, day: date) -> slice:
        """The steps of a day on the building's whole grid."""
        return self.view.spans[day]

    def metered_bill_eur(self, days: Sequence[date]) -> float | None:
        """What the meter would bill for ``days``, with import and export counted separately [€].

        None if exports are not metered, or with another PV than the metered. Where no device is
        assumed, *as metered* costs the same.
        """
        if self._registers_kwh is None or self.assets.pv_scale != 1:
            return None
        bought_kwh, sold_kwh = self._registers_kwh
        spot = self.history.price_eur_per_mwh
        bill_eur = bought_kwh * self.tariff.import_eur_per_kwh(spot, self.view.hour)
        bill_eur -= sold_kwh * self.tariff.export_eur_per_kwh(spot)
        return float(sum(bill_eur[self.view.spans[day]].sum() for day in days))

    def own_battery_eur(self, days: Sequence[date]) -> float | None:
        """What the battery that is already there saved on ``days`` as it ran [€]; None without one.

        The bill of the same house without it, less the bill as metered, both netted in each step.
        """
        net_kwh = self._load_kwh.copy()
        for roof in self.view.meters_of("pv"):
            net_kwh -= self.history.energy_kwh[roof]
        for own in OwnBattery.on_site(self.view):
            return self._netted_eur(net_kwh, days) - self._netted_eur(net_kwh + own.drawn_kwh, days)
        return None

    def _netted_eur(self, net_kwh: Floats, days: Sequence[date]) -> float:
        """The bill of a net load [€]."""
        spot = self.history.price_eur_per_mwh
        bill_eur = np.maximum(net_kwh, 0.0) * self.tariff.import_eur_per_kwh(spot, self.view.hour)
        bill_eur -= np.maximum(-net_kwh, 0.0) * self.tariff.export_eur_per_kwh(spot)
        return float(sum(bill_eur[self.view.spans[day]].sum() for day in days))

    @cached_property
    def _registers_kwh(self) -> tuple[Floats, Floats] | None:
        """What import and export registers counted in each step [kWh]; None without both."""
        bought, sold = self.view.meters_of("import"), self.view.meters_of("export")
        if not bought or not sold:
            return None
        energy_kwh = self.history.energy_kwh
        return (
            np.sum([energy_kwh[name] for name in bought], axis=0),
            np.sum([energy_kwh[name] for name in sold], axis=0),
        )

    @cached_property
    def cross_kwh(self) -> Floats:
        """What both registers counted within the same step [kWh], shape ``(n,)``; 0 if unknown.

        A step is an hour or a quarter of it: within it the house bought in one minute and sold in
        another. The registers count both. With less PV than metered less of it, with more as much.
        """
        if self._registers_kwh is None:
            return np.zeros(len(self.history.ts_utc))
        both_kwh = np.nan_to_num(np.minimum(*self._registers_kwh))
        return both_kwh * min(1.0, self.assets.pv_scale)

    # --- what stands on the bus --------------------------------------------------------------

    @cached_property
    # Load with its own meter is not on this bus.
    def _load_kwh(self) -> Floats:
        apart_kwh = np.zeros(len(self.history.ts_utc))
        for feed in self.history.feeds:
            if feed.role == "load" and not self.view.on_bus(feed):
                apart_kwh = apart_kwh + self.history.energy_kwh[feed.name]
        return self.history.load_kwh - apart_kwh

    @cached_property
    def truth(self) -> SiteSeries:
        """What the meters recorded."""
        return SiteSeries(
            load_kwh=self._load_kwh,
            spot_eur_per_mwh=self.history.price_eur_per_mwh,
            devices=self.devices(),
        )

    @cached_property
    def base_kwh(self) -> Floats:
        """Metered load minus everything that is planned [kWh], shape ``(n,)``."""
        return self._load_kwh - self.truth.devices_kwh(slice(0, len(self.history.ts_utc)))

    @property
    def appliance_names(self) -> tuple[str, ...]:
        """The cyclic appliances on the bus."""
        return self.view.meters("discrete_phase")

    # --- the agents --------------------------------------------------------------------------

    def stretch(self, days: Sequence[date], lookahead_h: float = 0.0, at: int = 0) -> Stretch:
        """The steps of a plan for consecutive ``days``, made ``at`` steps after the first midnight.

        Raises ``DataError`` for a day that cannot be planned.
        """
        for day in days:
            if day not in self._plannable:
                reason = self.why_not(day)
                raise DataError(f"{self.history.building}: {day} cannot be planned: {reason}")
        spans = tuple(self.span(day) for day in days)
        ahead = self._lookahead_steps(days[-1], lookahead_h)
        return Stretch(spans=spans, whole=slice(spans[0].start + at, spans[-1].stop + ahead))

    def problem(
        self,
        days: Sequence[date],
        *,
        lookahead_h: float = 0.0,
        state: Mapping[str, Agent] | None = None,
        left: Left | None = None,
        comfort: Comfort | None = None,
        course: SiteSeries | None = None,
        at: int = 0,
        metered: bool = False,
    ) -> PlanningTask:
        """The agents of consecutive ``days``, with a horizon ``lookahead_h`` hours beyond them.

        ``state``: the stores as they stand at the first midnight, by agent name (default: as
        specified). ``left``: what a kWh left in each store is worth, and how much is left; None:
        the last step leaves them as they began, where nothing is looked ahead to. ``comfort``:
        discomfort of moving appliances (default: from the assets).
        ``course``: the series to plan on (default: as metered); ``at``: steps after the first
        midnight at which the plan is made. ``metered``: nobody plans and no battery works, so that
        what both registers counted in a step stays as it was. Raises ``DataError`` for a day that
        cannot be planned.
        """
        course = course or self.truth
        stretch = self.stretch(days, lookahead_h, at)
        horizon = self._horizon(course, stretch.whole)
        agents: list[Agent] = [BaseLoadAgent(load_kw=horizon.power_kw(course.base_kwh(stretch)))]
        frame = PlanFrame(
            stretch=stretch,
            horizon=horizon,
            state=state or {},
            comfort=comfort or ShiftComfort(eur_per_h=self.assets.shift_discomfort_eur_per_h),
            runs_foreseen=course.runs_foreseen,
            closed=left is None and not stretch.ahead,
        )
        # In order: a car under the three-phase strategy sees the surplus of the agents before it.
        for device in course.devices:
            agent = device.agent(replace(frame, before=tuple(agents)))
            if agent is not None:
                agents.append(agent if left is None else _ending(agent, left, horizon))
        starts = (*(span.start for span in stretch.spans), stretch.spans[-1].stop)
        return PlanningTask(
            days=tuple(days),
            horizon=horizon,
            agents=tuple(agents),
            grid=self._grid(horizon, stretch.whole, frame.state, metered=metered),
            n_committed=stretch.n_committed,
            midnights=tuple(start - stretch.whole.start for start in starts),
        )

    def _grid(
        self, horizon: Horizon, whole: slice, state: Mapping[str, Agent], *, metered: bool
    ) -> GridAgent:
        """The connection in some steps, with what it has paid for before."""
        assets = self.assets
        absorbed = assets.cross_flow == "absorbed" and assets.battery is not None and not metered
        unit = "datetime64[M]" if self.assets.demand_period == "month" else "datetime64[Y]"
        grid = replace(
            self.assets.grid,
            cross_kw=0.0 if absorbed else self.cross_kwh[whole] / self.history.step_h,
            period=horizon.wall_clock.astype(unit).astype(np.int64),
        )
        before = state.get(grid.name)
        return grid if before is None else grid.with_state_of(cast(GridAgent, before), horizon)

    def _horizon(self, course: SiteSeries, whole: slice) -> Horizon:
        spot = course.spot_eur_per_mwh[whole]
        return Horizon(
            start_utc=self.history.ts_utc[whole.start],
            step_h=self.history.step_h,
            import_eur_per_kwh=self.tariff.import_eur_per_kwh(spot, self.view.hour[whole]),
            export_eur_per_kwh=self.tariff.export_eur_per_kwh(spot),
            timezone=self.history.timezone,
        )

    def _lookahead_steps(self, day: date, lookahead_h: float) -> int:
        most, found = round(lookahead_h / self.history.step_h), 0
        following = day + timedelta(days=1)
        # No look-ahead into a day with gaps: its values would be NaN.
        while found < most and following in self._plannable:
            span = self.span(following)
            found += int(span.stop - span.start)
            following += timedelta(days=1)
        return min(most, found)


def _with_pv(view: MeterView, scale: float) -> MeterData:
    """The history with the PV on the bus scaled: the load stays, the registers stay as metered.

    Raises ``InvalidSpec`` for a building without PV on the bus.
    """
    history, meters = view.history, view.meters("pv")
    if not meters:
        raise InvalidSpec(
            f"{history.building}: pv_scale is {scale:g}, but no PV is metered behind its import "
            "meter; leave it at 1"
        )
    if view.meters_of("discharge"):
        raise InvalidSpec(
            f"{history.building}: pv_scale is {scale:g}, but the battery that is there ran on the "
            "metered sun, and nothing plans it; leave it at 1"
        )
    own_kwh = {name: scale * history.energy_kwh[name] for name in meters}
    more_kwh = [own_kwh[name] - history.energy_kwh[name] for name in meters]
    return replace(
        history,
        energy_kwh={**history.energy_kwh, **own_kwh},
        pv_kwh=history.pv_kwh + np.sum(more_kwh, axis=0),
        source=f"{history.source}; PV {scale:g} times the metered (assumed)",
    )


def _ending(agent: Agent, left: Left, horizon: Horizon) -> Agent:
    """The agent with a value on what it leaves, and with what it must leave."""
    valued = agent.valued(left.worth.get(agent.name, {}))
    held_kwh = left.held_kwh.get(agent.name)
    return valued if held_kwh is None else valued.leaving(held_kwh, horizon)
