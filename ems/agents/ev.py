"""An electric vehicle at its charger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ems.agents.base import (
    SLACK_KWH,
    Agent,
    as_steps,
    breaks,
    check_range,
    frozen_series,
    same_shape,
)
from ems.agents.store import Store
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Contribution, Kind, Plan
from ems.types import Floats

SURE_SHARE = 0.95
"""Share of its need that the three-phase strategy promises by a deadline."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EVAgent(Agent):
    """A car that drives, is plugged in, and must hold enough charge in time.

    Driving is seen by the charger as energy missing on arrival: ``trip_kwh(t)`` leaves the battery
    at the start of step t, and ``min_soc_kwh(t)`` says what must be in it at the end of step t,
    for instance all of the capacity at the end of the hour before seven. A trip is driven on what
    was in the battery before it (rule ``enough_to_drive``), not on what is charged after it.

    ``trip_kwh``: energy driven, at the battery [kWh], shape ``(n_steps,)``.
    ``plugged_in``: whether the car can charge, shape ``(n_steps,)``.
    ``min_soc_kwh``, ``max_soc_kwh``: bounds on the charge at the end of each step [kWh].
    ``max_charge_kw``: limit at the wall, one number or one a step [kW].
    ``max_discharge_kw``: vehicle to grid; 0 forbids it [kW].
    ``efficiency``: one way, in (0, 1].
    ``initial_soc_kwh``: charge before the first step [kWh].
    ``final_soc_kwh``: with vehicle to grid, least charge after the last step [kWh]; ``None`` means
    the initial charge less all trips.
    ``wear_eur_per_kwh``: ageing per kWh of throughput at the wall [€/kWh].
    ``metered_kw``: how the people charged it [kW]; ``None``: on arrival, as fast as it goes.
    """

    name: str = "ev"
    trip_kwh: Floats
    plugged_in: NDArray[np.bool_]
    min_soc_kwh: Floats
    max_soc_kwh: Floats
    capacity_kwh: float = 60.0
    max_charge_kw: Floats | float = 11.0
    max_discharge_kw: float = 0.0
    efficiency: float = 0.92
    initial_soc_kwh: float = 60.0
    final_soc_kwh: float | None = None
    wear_eur_per_kwh: float = 0.0
    metered_kw: Floats | None = None
    kind: ClassVar[Kind] = "load"
    colour: ClassVar[str | None] = "#56B4E9"
    layer: ClassVar[int] = 3

    def __post_init__(self) -> None:
        check_range(self, "capacity_kwh", up=1e9, above=True)
        check_range(self, "efficiency", up=1.0, above=True)
        check_range(self, "initial_soc_kwh", up=self.capacity_kwh)
        if self.final_soc_kwh is not None:
            check_range(self, "final_soc_kwh", up=self.capacity_kwh)
        for field in ("max_discharge_kw", "wear_eur_per_kwh"):
            check_range(self, field, up=1e9)
        frozen_series(self, "trip_kwh", low=0.0)
        for field in ("min_soc_kwh", "max_soc_kwh"):
            frozen_series(self, field, low=0.0, up=self.capacity_kwh)
        if np.ndim(self.max_charge_kw) == 0:
            limit_kw = np.full(self.trip_kwh.shape, self.max_charge_kw, dtype=np.float64)
            object.__setattr__(self, "max_charge_kw", limit_kw)
        frozen_series(self, "max_charge_kw", low=0.0)
        if self.metered_kw is not None:
            frozen_series(self, "metered_kw", low=0.0)
        plugged = np.array(self.plugged_in, dtype=np.bool_)
        plugged.setflags(write=False)
        object.__setattr__(self, "plugged_in", plugged)
        for field in ("plugged_in", "min_soc_kwh", "max_soc_kwh", "max_charge_kw", "metered_kw"):
            same_shape(self, field, "trip_kwh")

    @property
    def title(self) -> str:
        """A car, as its people call it."""
        return self.name.replace("_", " ").replace("ev", "car")

    @property
    def flow_labels(self) -> tuple[str, str]:
        """It charges, and gives back where it may."""
        return f"{self.title} discharge (V2G)", f"{self.title} charge"

    @property
    def charge_limit_kw(self) -> Floats:
        """The most it can draw in each step [kW], 0 while it is away."""
        return np.where(self.plugged_in, self.max_charge_kw, 0.0)

    @property
    def discharge_limit_kw(self) -> Floats:
        """The most it can give back in each step [kW], 0 while it is away."""
        return np.where(self.plugged_in, self.max_discharge_kw, 0.0)

    @property
    def store(self) -> Store:
        """The physics it shares with other stores."""
        return Store(
            name=self.name,
            charge_efficiency=self.efficiency,
            discharge_efficiency=self.efficiency,
            max_charge_kw=self.charge_limit_kw,
            max_discharge_kw=self.discharge_limit_kw,
            wear_eur_per_kwh=self.wear_eur_per_kwh,
        )

    @property
    def least_final_kwh(self) -> float:
        """What must be left at the end: a car may not sell what it was not asked to hold [kWh]."""
        if self.final_soc_kwh is not None:
            return self.final_soc_kwh
        return max(0.0, self.initial_soc_kwh - float(self.trip_kwh.sum()))

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """Nothing, unless a bound on its charge falls faster than its trips empty it."""
        room_kwh = np.diff(self.max_soc_kwh, prepend=self.initial_soc_kwh) + self.trip_kwh
        emptied = self.max_discharge_kw > 0 and bool(np.any(room_kwh < -SLACK_KWH))
        return np.full(horizon.n_steps, np.inf if emptied else 0.0)

    def contribute(self, block: Block) -> Contribution:
        """Cost = Σ wear · (charge + discharge) · Δt [€]; the charge keeps its bounds."""
        as_steps(self, "trip_kwh", block.horizon)
        charge_kw = block.variables("charge_kw", up=self.charge_limit_kw)
        soc_kwh = block.variables("soc_kwh", up=self.max_soc_kwh)
        discharge_kw: Affine | Floats = np.zeros(block.horizon.n_steps)
        if self.max_discharge_kw > 0:
            discharge_kw = block.variables("discharge_kw", up=self.discharge_limit_kw)
            self.store.exclude(block, charge_kw, discharge_kw)
            block.require(
                "nothing_borrowed", soc_kwh[-1] >= self.least_final_kwh - SLACK_KWH, "kWh"
            )
        self.store.account(
            block, charge_kw, discharge_kw, soc_kwh, self.initial_soc_kwh, self.trip_kwh
        )
        leaves = np.flatnonzero(self.trip_kwh > 0)
        if leaves.size:
            held_kwh = soc_kwh.before(self.initial_soc_kwh)[leaves]
            needed_kwh = self.trip_kwh[leaves] - SLACK_KWH
            block.require("enough_to_drive", held_kwh >= needed_kwh, "kWh")
        for t in np.flatnonzero(self.min_soc_kwh > 0):
            block.require(
                f"full_by_{_end_of_step(block.horizon, int(t))}",
                soc_kwh[int(t)] >= self.min_soc_kwh[t] - SLACK_KWH,
                "kWh",
            )
        through_kwh = block.horizon.energy_kwh(charge_kw + discharge_kw).sum()
        return Contribution(
            net_load_kw=charge_kw - discharge_kw,
            cost_eur=self.wear_eur_per_kwh * through_kwh,
            series={"charge_kw": charge_kw, "discharge_kw": discharge_kw, "soc_kwh": soc_kwh},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The charge reached, the rest of the trips and deadlines, and the same end to reach."""
        soc_kwh = float(np.round(plan.series["soc_kwh"][n_steps - 1], 9))
        most_kwh = float(self.max_soc_kwh[n_steps - 1])
        later = slice(n_steps, None)
        return replace(
            self,
            initial_soc_kwh=min(max(soc_kwh, 0.0), most_kwh),
            final_soc_kwh=self.least_final_kwh,
            trip_kwh=self.trip_kwh[later],
            plugged_in=self.plugged_in[later],
            min_soc_kwh=self.min_soc_kwh[later],
            max_soc_kwh=self.max_soc_kwh[later],
            max_charge_kw=np.asarray(self.max_charge_kw)[later],
            metered_kw=None if self.metered_kw is None else self.metered_kw[later],
        )

    def unplanned(self, horizon: Horizon) -> Plan:
        """As metered; without a meter it charges on arrival, as fast as it goes, until full."""
        if self.metered_kw is not None:
            charge_kw = as_steps(self, "metered_kw", horizon)
        else:
            charge_kw = self._on_arrival(horizon)
        idle = np.zeros(horizon.n_steps)
        soc_kwh = self.store.soc_after(
            horizon, charge_kw, idle, self.initial_soc_kwh, self.trip_kwh
        )
        return self.store.plan(charge_kw, idle, soc_kwh)

    def _on_arrival(self, horizon: Horizon) -> Floats:
        charge_kw, soc_kwh = np.zeros(horizon.n_steps), self.initial_soc_kwh
        limit_kw = self.charge_limit_kw
        for t in horizon.steps:
            soc_kwh -= float(self.trip_kwh[t])
            room_kw = (self.capacity_kwh - soc_kwh) / self.efficiency / horizon.step_h
            charge_kw[t] = min(float(limit_kw[t]), room_kw)
            soc_kwh += horizon.energy_kwh(self.efficiency * charge_kw[t])
        return charge_kw

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, as far as its charge and its charger let it.

        Where the plan did not know that it is plugged in, it charges at once, as fast as it goes.
        """
        n = horizon.n_steps
        limit_kw, give_kw = self.charge_limit_kw, self.discharge_limit_kw
        wanted_kw, back_kw = limit_kw, np.zeros(n)
        if told is not None and isinstance(believed, EVAgent):
            known, series = believed.plugged_in[:n], told.window(0, n).series
            wanted_kw = np.where(known, series["charge_kw"], limit_kw)
            back_kw = np.where(known, series["discharge_kw"], 0.0)
        charge_kw, discharge_kw, soc_kwh = np.zeros(n), np.zeros(n), self.initial_soc_kwh
        for t in horizon.steps:
            soc_kwh -= float(self.trip_kwh[t])
            room_kw = (self.capacity_kwh - soc_kwh) / self.efficiency / horizon.step_h
            left_kw = soc_kwh * self.efficiency / horizon.step_h
            charge_kw[t] = max(0.0, min(wanted_kw[t], limit_kw[t], room_kw))
            discharge_kw[t] = max(0.0, min(back_kw[t], give_kw[t], left_kw))
            flow_kw = self.efficiency * charge_kw[t] - discharge_kw[t] / self.efficiency
            soc_kwh += horizon.energy_kwh(flow_kw)
        series_kwh = self.store.soc_after(
            horizon, charge_kw, discharge_kw, self.initial_soc_kwh, self.trip_kwh
        )
        return self.store.plan(charge_kw, discharge_kw, series_kwh)

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """With the real charge, and asked for no more than it can still reach in time."""
        soc_kwh, least_kwh = real.initial_soc_kwh, np.array(self.min_soc_kwh)
        most_kwh = horizon.energy_kwh(self.efficiency * self.charge_limit_kw)
        for t in horizon.steps:
            soc_kwh += float(most_kwh[t] - self.trip_kwh[t])
            soc_kwh = min(soc_kwh, float(self.max_soc_kwh[t]))
            least_kwh[t] = max(0.0, min(least_kwh[t], soc_kwh))
        return replace(self, initial_soc_kwh=real.initial_soc_kwh, min_soc_kwh=least_kwh)

    def without_targets(self) -> Self:
        """It need not be full at any time."""
        return replace(self, min_soc_kwh=np.zeros(len(self.trip_kwh)), final_soc_kwh=0.0)

    def missed_kwh(self, plan: Plan) -> float:
        """How much it was short of at its deadlines, at the battery [kWh]."""
        soc_kwh = plan.series["soc_kwh"]
        least_kwh = self.min_soc_kwh[: len(soc_kwh)]
        short_kwh = np.maximum(least_kwh - TOLERANCE - soc_kwh, 0.0)
        return float(short_kwh[least_kwh > 0].sum())

    def canonical(self, plan: Plan) -> Plan:
        """Charge and discharge netted where both at once cost the same as neither."""
        return self.store.netted(plan)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """The store's rules and the bounds of the charge, deadlines among them."""
        yield from self.store.audit(plan, horizon, self.initial_soc_kwh, self.trip_kwh)
        soc_kwh = plan.series["soc_kwh"]
        yield from breaks(self.name, "soc_kwh", soc_kwh, self.min_soc_kwh, self.max_soc_kwh)
        held_kwh = np.concatenate(([self.initial_soc_kwh], soc_kwh[:-1]))
        yield from breaks(self.name, "charge before the trip", held_kwh, self.trip_kwh, np.inf)
        if self.max_discharge_kw > 0:
            yield from breaks(self.name, "final_soc", soc_kwh[-1:], self.least_final_kwh, np.inf)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Wear [€]."""
        through_kwh = horizon.energy_kwh(plan.series["charge_kw"] + plan.series["discharge_kw"])
        return {"wear": self.wear_eur_per_kwh * float(through_kwh.sum())}

    def stored_kwh(self, plan: Plan | None = None) -> float:
        """Less what the wall still has to give until the car is full [kWh]."""
        soc_kwh = self.initial_soc_kwh if plan is None else float(plan.series["soc_kwh"][-1])
        return (soc_kwh - self.capacity_kwh) / self.efficiency


def three_phase(ev: EVAgent, horizon: Horizon, surplus_kw: Floats, phase_h: float = 6.0) -> EVAgent:
    """The same car under the three-phase strategy, rules on top of what it must do anyway.

    For every deadline, with the phases of ``phase_h`` hours counted from local midnight: before
    the deadline's phase it charges only in the cheapest quarter of the hours and at most half of
    the need; by the deadline at least 95 % of the need; after the last deadline only in the
    cheapest tenth of the hours or from PV surplus ``surplus_kw`` [kW], shape ``(n_steps,)``.
    Where the charger is too slow for that, it may take before the phase what it cannot take in it,
    in as many of the cheapest hours as it needs. The rules become bounds of the steps, so planning
    again keeps them.
    """
    price = horizon.import_eur_per_kwh
    limit_kw = ev.charge_limit_kw
    least_kwh, most_kwh = np.array(ev.min_soc_kwh), np.array(ev.max_soc_kwh)
    phase = np.floor(horizon.local_hour / phase_h)
    begin, sure_kwh, possible_kwh = 0, ev.initial_soc_kwh, ev.initial_soc_kwh
    for deadline in np.flatnonzero(ev.min_soc_kwh > 0):
        changes = np.flatnonzero(np.diff(phase[begin : deadline + 1])) + begin + 1
        opening = int(changes[-1]) if changes.size else begin
        early, late = slice(begin, opening), slice(opening, int(deadline) + 1)
        arrives_kwh = sure_kwh - float(ev.trip_kwh[begin : deadline + 1].sum())
        need_kwh = max(0.0, float(ev.min_soc_kwh[deadline]) - arrives_kwh)
        step_kwh = ev.efficiency * horizon.energy_kwh(limit_kw)
        too_slow_kwh = max(0.0, SURE_SHARE * need_kwh - float(step_kwh[late].sum()))
        cheap = price[early] <= np.quantile(price, 0.25)
        ranked = np.argsort(price[early], kind="stable")
        supplied_kwh = np.cumsum(step_kwh[early][ranked])
        cheap[ranked[: int(np.searchsorted(supplied_kwh, too_slow_kwh)) + 1]] |= too_slow_kwh > 0
        limit_kw[early] = np.where(cheap, limit_kw[early], 0.0)
        before_kwh = possible_kwh - np.cumsum(ev.trip_kwh[early])
        allowed_kwh = before_kwh + max(0.5 * need_kwh, too_slow_kwh)
        most_kwh[early] = np.clip(allowed_kwh, 0.0, most_kwh[early])
        least_kwh[deadline] = min(arrives_kwh + SURE_SHARE * need_kwh, ev.min_soc_kwh[deadline])
        sure_kwh, possible_kwh = float(least_kwh[deadline]), float(most_kwh[deadline])
        begin = int(deadline) + 1
    after = slice(begin, None)
    spare_kw = np.minimum(limit_kw[after], np.maximum(surplus_kw[after], 0.0))
    cheapest = price[after] <= np.quantile(price, 0.10)
    limit_kw[after] = np.where(cheapest, limit_kw[after], spare_kw)
    return replace(ev, max_charge_kw=limit_kw, min_soc_kwh=least_kwh, max_soc_kwh=most_kwh)


def _end_of_step(horizon: Horizon, step: int) -> str:
    """The local day and time at which a step ends, as part of a rule's name.

    An hour that is lived through twice in autumn is ``again`` the second time.
    """
    seconds = int(horizon.ts_utc[step].astype(np.int64)) + round(horizon.step_h * 3600)
    end = datetime.fromtimestamp(seconds, ZoneInfo(horizon.timezone))
    return f"{end:%m_%d_%Hh%M}{'_again' if end.fold else ''}"
