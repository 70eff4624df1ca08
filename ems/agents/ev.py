"""An electric vehicle at its charger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo

import numpy as np

from ems.agents import words
from ems.agents.base import (
    SLACK_KWH,
    Agent,
    as_steps,
    breaks,
    check_range,
    frozen_series,
    same_shape,
)
from ems.agents.on_site import Instant, PlanFrame, SiteDevice, SiteView
from ems.agents.priced import SAME_CT, VISIBLE_KW, VISIBLE_KWH, PricedPlan
from ems.agents.rule import RuleSignal
from ems.agents.store import Store
from ems.agents.store_reasons import given
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Contribution, Kind, Plan
from ems.errors import InvalidSpec
from ems.types import Bools, Floats

EvStrategy = Literal["free", "three_phase"]
HALF_A_DAY_H = 12.0
"""Threshold between two falls of the time since the deadline's hour [h]: by almost 24 h when the
clock reaches that hour, by 1 h when the clock goes back in autumn."""
LATEST_H = 3.0
"""An assumed car comes up to this much later than its hour, alike likely [h]."""
DRIVES = 6.0 / 7.0
"""Share of the days on which an assumed car drives."""
TRIP_SHAPE = 4.0
"""Shape of the gamma distribution of an assumed car's trips: they vary by half of their mean."""
SURE_SHARE = 0.95
"""Share of the need that the three-phase strategy guarantees by a deadline."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EVAgent(Agent):
    """A car that drives, is plugged in at times, and must be charged in time.

    The charger sees driving as energy missing on arrival: ``trip_kwh(t)`` leaves the battery at the
    start of step t; ``min_soc_kwh(t)`` is required at the end of step t, for instance the full
    capacity at the end of the hour before seven. A trip uses charge held before it (rule
    ``enough_to_drive``), not charge from after it.

    ``trip_kwh``: energy driven, at the battery [kWh], shape ``(n_steps,)``.
    ``plugged_in``: whether the car can charge, shape ``(n_steps,)``.
    ``min_soc_kwh``, ``max_soc_kwh``: bounds on the charge at the end of each step [kWh].
    ``max_charge_kw``: limit at the wall, one number or one per step [kW].
    ``max_discharge_kw``: vehicle to grid [kW]; 0 forbids it.
    ``efficiency``: one way, in (0, 1].
    ``initial_soc_kwh``: charge before the first step [kWh].
    ``final_soc_kwh``: with vehicle to grid, minimum charge after the last step [kWh]; ``None``
    means the initial charge less all trips.
    ``terminal_value_eur_per_kwh``: value of the charge after the last step [€/kWh].
    ``wear_eur_per_kwh``: ageing per kWh of throughput at the wall [€/kWh].
    ``metered_kw``: how its people charged it [kW]; ``None``: on arrival at full power.
    """

    name: str = "ev"
    trip_kwh: Floats
    plugged_in: Bools
    min_soc_kwh: Floats
    max_soc_kwh: Floats
    capacity_kwh: float = 60.0
    max_charge_kw: Floats | float = 11.0
    max_discharge_kw: float = 0.0
    efficiency: float = 0.92
    initial_soc_kwh: float = 60.0
    final_soc_kwh: float | None = None
    terminal_value_eur_per_kwh: float = 0.0
    wear_eur_per_kwh: float = 0.0
    metered_kw: Floats | None = None
    kind: ClassVar[Kind] = "load"
    colour: ClassVar[str | None] = "#56B4E9"
    layer: ClassVar[int] = 3
    did: ClassVar[tuple[str, str, str]] = ("charged", "gave back", "did not charge")
    meant: ClassVar[tuple[str, str, str]] = ("to charge", "to give back", "not to charge")

    def __post_init__(self) -> None:
        check_range(self, "capacity_kwh", up=1e9, above=True)
        check_range(self, "efficiency", up=1.0, above=True)
        check_range(self, "initial_soc_kwh", up=self.capacity_kwh)
        if self.final_soc_kwh is not None:
            check_range(self, "final_soc_kwh", up=self.capacity_kwh)
        for field in ("max_discharge_kw", "wear_eur_per_kwh"):
            check_range(self, field, up=1e9)
        check_range(self, "terminal_value_eur_per_kwh", low=-1e9, up=1e9)
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
    def flow_labels(self) -> tuple[str, str]:
        """Discharge (vehicle to grid) and charge."""
        return f"{self.title} discharge (V2G)", f"{self.title} charge"

    @property
    def otherwise(self) -> str:
        """How an unexpected arrival is handled."""
        return f"A {self.title} that was not expected charges as soon as it comes."

    def expected(self, t: int) -> bool:
        """Whether the forecast has it plugged in."""
        return bool(self.plugged_in[t])

    @property
    def charge_limit_kw(self) -> Floats:
        """Charge limit of each step [kW], 0 while away."""
        return np.where(self.plugged_in, self.max_charge_kw, 0.0)

    @property
    def discharge_limit_kw(self) -> Floats:
        """Discharge limit of each step [kW], 0 while away."""
        return np.where(self.plugged_in, self.max_discharge_kw, 0.0)

    @property
    def store(self) -> Store:
        """The physics shared with other stores."""
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
        """Minimum final charge [kWh]: without a target, the car must not sell its own charge."""
        if self.final_soc_kwh is not None:
            return self.final_soc_kwh
        return max(0.0, self.initial_soc_kwh - float(self.trip_kwh.sum()))

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """Nothing, unless the bound on its charge falls faster than its trips empty it, or charge
        left at the end has a negative value."""
        room_kwh = np.diff(self.max_soc_kwh, prepend=self.initial_soc_kwh) + self.trip_kwh
        forced = self.terminal_value_eur_per_kwh < 0 or bool(np.any(room_kwh < -SLACK_KWH))
        emptied = self.max_discharge_kw > 0 and forced
        return np.full(horizon.n_steps, np.inf if emptied else 0.0)

    def contribute(self, block: Block) -> Contribution:
        """Cost = Σ wear · (charge + discharge) · Δt − value · soc(T) [€], soc within its bounds."""
        as_steps(self, "trip_kwh", block.horizon)
        charge_kw = block.variables("charge_kw", up=self.charge_limit_kw)
        soc_kwh = block.variables("soc_kwh", up=self.max_soc_kwh)
        # Without vehicle to grid no variables and no binaries: most cars solve as an LP.
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
        # One rule per deadline, so that an infeasibility names the day and hour.
        for t in np.flatnonzero(self.min_soc_kwh > 0):
            block.require(
                f"full_by_{_end_of_step(block.horizon, int(t))}",
                soc_kwh[int(t)] >= self.min_soc_kwh[t] - SLACK_KWH,
                "kWh",
            )
        through_kwh = block.horizon.energy_kwh(charge_kw + discharge_kw).sum()
        left_kwh = soc_kwh[-1]
        return Contribution(
            net_load_kw=charge_kw - discharge_kw,
            cost_eur=self.wear_eur_per_kwh * through_kwh
            - self.terminal_value_eur_per_kwh * left_kwh,
            effort_kw=charge_kw + discharge_kw,
            series={"charge_kw": charge_kw, "discharge_kw": discharge_kw, "soc_kwh": soc_kwh},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The charge reached, with the remaining trips and deadlines and the same final target."""
        # Rounded and clipped: a solver leaves the limits by its tolerance, and the next agent would
        # be refused.
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
        """As metered; without a meter, on arrival at full power until full."""
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

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats, signal: RuleSignal) -> Plan:
        """Surplus charging with a departure time and prices, as wallboxes offer it.

        It takes any surplus of the others, charges what it still needs in the cheapest published
        steps before it is to be full, and at full power where the rule signals to buy. It knows no
        sun and no load.
        """
        limit_kw = self.charge_limit_kw
        wanted_kw = np.where(signal.buy, limit_kw, np.maximum(-net_load_kw, 0.0))
        due_kwh = self._in_time_kwh(horizon)
        charge_kw, soc_kwh = np.zeros(horizon.n_steps), self.initial_soc_kwh
        for t in horizon.steps:
            soc_kwh -= float(self.trip_kwh[t])
            cheap_kwh = self._cheap_kwh(horizon, t, int(signal.known_until[t]), soc_kwh)
            least_kwh = max(due_kwh[t] - soc_kwh, cheap_kwh)
            least_kw = least_kwh / self.efficiency / horizon.step_h
            room_kw = (self.max_soc_kwh[t] - soc_kwh) / self.efficiency / horizon.step_h
            charge_kw[t] = max(0.0, min(max(wanted_kw[t], least_kw), limit_kw[t], room_kw))
            soc_kwh += horizon.energy_kwh(self.efficiency * charge_kw[t])
        idle = np.zeros(horizon.n_steps)
        series_kwh = self.store.soc_after(
            horizon, charge_kw, idle, self.initial_soc_kwh, self.trip_kwh
        )
        return self.store.plan(charge_kw, idle, series_kwh)

    def _cheap_kwh(self, horizon: Horizon, t: int, known_until: int, soc_kwh: float) -> float:
        """What it charges in ``t`` of its need before the next deadline, cheapest steps first.

        Of steps that cost the same the latest, in case the sun comes. Nothing while the prices up
        to the deadline are not published: they may be lower.
        """
        due = self._due(t)
        if due is None or due >= known_until or self.charge_limit_kw[t] == 0.0:
            return 0.0
        stay = slice(t, due + 1)
        need_kwh = self.min_soc_kwh[due] + self.trip_kwh[t + 1 : due + 1].sum() - soc_kwh
        room_kwh = horizon.energy_kwh(self.efficiency * self.charge_limit_kw[stay])
        price = horizon.import_eur_per_kwh[stay]
        before = (price < price[0]) | ((price == price[0]) & (np.arange(len(price)) > 0))
        return float(need_kwh - room_kwh[before].sum())

    def _in_time_kwh(self, horizon: Horizon) -> Floats:
        """Least charge at the end of each step from which every later need can be met [kWh]."""
        step_kwh = horizon.energy_kwh(self.efficiency * self.charge_limit_kw)
        due_kwh, later_kwh = np.array(self.min_soc_kwh), 0.0
        for t in reversed(horizon.steps):
            due_kwh[t] = max(due_kwh[t], later_kwh)
            after_trip_kwh = max(0.0, due_kwh[t] - float(step_kwh[t]))
            later_kwh = after_trip_kwh + float(self.trip_kwh[t])
        return due_kwh

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, within the limits of charge and charger.

        If the plan did not expect it to be plugged in, it charges at once at full power.
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
        """Copy with the real agent's charge; unreachable targets are relaxed."""
        soc_kwh, least_kwh = real.initial_soc_kwh, np.array(self.min_soc_kwh)
        most_kwh = horizon.energy_kwh(self.efficiency * self.charge_limit_kw)
        for t in horizon.steps:
            soc_kwh += float(most_kwh[t] - self.trip_kwh[t])
            # Charge beyond the upper bound is lost to later steps too.
            soc_kwh = min(soc_kwh, float(self.max_soc_kwh[t]))
            least_kwh[t] = max(0.0, min(least_kwh[t], soc_kwh))
        return replace(self, initial_soc_kwh=real.initial_soc_kwh, min_soc_kwh=least_kwh)

    def without_targets(self) -> Self:
        """No deadlines and no final target."""
        return replace(self, min_soc_kwh=np.zeros(len(self.trip_kwh)), final_soc_kwh=0.0)

    def missed_kwh(self, plan: Plan) -> float:
        """Energy missing at its deadlines, at the battery [kWh]."""
        soc_kwh = plan.series["soc_kwh"]
        least_kwh = self.min_soc_kwh[: len(soc_kwh)]
        # A miss within the audit's tolerance is numerical.
        short_kwh = np.maximum(least_kwh - TOLERANCE - soc_kwh, 0.0)
        return float(short_kwh[least_kwh > 0].sum())

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Check the store's rules and the bounds of the charge, including deadlines."""
        yield from self.store.audit(plan, horizon, self.initial_soc_kwh, self.trip_kwh)
        soc_kwh = plan.series["soc_kwh"]
        yield from breaks(self.name, "soc_kwh", soc_kwh, self.min_soc_kwh, self.max_soc_kwh)
        held_kwh = np.concatenate(([self.initial_soc_kwh], soc_kwh[:-1]))
        yield from breaks(self.name, "charge before the trip", held_kwh, self.trip_kwh, np.inf)
        if self.max_discharge_kw > 0:
            yield from breaks(self.name, "final_soc", soc_kwh[-1:], self.least_final_kwh, np.inf)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Wear, minus the value of the charge left at the end [€]."""
        through_kwh = horizon.energy_kwh(plan.series["charge_kw"] + plan.series["discharge_kw"])
        costs = {"wear": self.wear_eur_per_kwh * float(through_kwh.sum())}
        if self.terminal_value_eur_per_kwh != 0.0:
            left_kwh = float(plan.series["soc_kwh"][-1])
            costs["left"] = -self.terminal_value_eur_per_kwh * left_kwh
        return costs

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """Its charge [kWh]."""
        return {"soc": self.initial_soc_kwh if plan is None else float(plan.series["soc_kwh"][-1])}

    def valued(self, left_eur_per_kwh: Mapping[str, float]) -> Self:
        """The charge left at the end has this value; deadlines stay, the final target goes."""
        value = left_eur_per_kwh["soc"]
        return replace(self, final_soc_kwh=0.0, terminal_value_eur_per_kwh=value)

    # --- why it does what it does ----------------------------------------------------------------

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """What it charges or gives back; nothing while parked or driving."""
        charge_kw = float(priced.series(self, "charge_kw")[t])
        if charge_kw > VISIBLE_KW:
            yield (
                f"The {self.title} charges {words.kw(charge_kw)}{priced.source(self, t)}"
                f"{self._deadline(priced, t)}: a kWh is worth {priced.worth(t)}."
                f"{self._other_hours(priced, t)}"
            )
        elif priced.series(self, "discharge_kw")[t] > VISIBLE_KW:
            yield given(priced, self, t)

    def _deadline(self, priced: PricedPlan, t: int) -> str:
        """The next required charge and its deadline."""
        due = self._due(t)
        if due is None:
            return ""
        needed = f"{float(self.min_soc_kwh[due]):.1f}".removesuffix(".0")
        return f", to hold {needed}{words.NBSP}kWh by {priced.clock_after(due)}"

    def _due(self, t: int) -> int | None:
        """The next step at whose end a charge is required."""
        due = np.flatnonzero(self.min_soc_kwh[t:] > VISIBLE_KWH) + t
        return int(due[0]) if due.size else None

    def _other_hours(self, priced: PricedPlan, t: int) -> str:
        """Compare with other steps of the same stay that have room."""
        worth_ct, (first, end) = priced.worth_ct, self._stay(t)
        room_kw = self.charge_limit_kw - priced.series(self, "charge_kw")
        free = [u for u in range(first, end) if u != t and room_kw[u] > VISIBLE_KW]
        if not free:
            return " It needs every hour in which it may charge."
        best = min(free, key=lambda u: float(worth_ct[u]))
        dearer_ct = float(worth_ct[best] - worth_ct[t])
        same = [u for u in free if abs(worth_ct[u] - worth_ct[t]) <= SAME_CT]
        if abs(dearer_ct) <= SAME_CT:
            return f" {priced.clocks(same)} would cost the same."
        if dearer_ct > 0:
            more = words.ct(dearer_ct)
            return f" The next best hour, {priced.clock(best)}, would cost {more} more."
        why = "it must hold this before" if best > t else "it may not hold more by then"
        return f" {priced.clock(best)} would be cheaper, but {why}."

    def _stay(self, t: int) -> tuple[int, int]:
        """The stay around ``t``, from arrival to next departure or deadline: first step and end."""
        away, arrivals = np.flatnonzero(~self.plugged_in), np.flatnonzero(self.trip_kwh > 0)
        n, due = len(self.plugged_in), self._due(t)
        first = max(
            int(np.max(away[away < t], initial=-1)) + 1,
            int(np.max(arrivals[arrivals <= t], initial=0)),
        )
        end = min(
            int(np.min(away[away > t], initial=n)), int(np.min(arrivals[arrivals > t], initial=n))
        )
        return first, end if due is None else min(end, due + 1)


def three_phase(ev: EVAgent, horizon: Horizon, surplus_kw: Floats, phase_h: float = 6.0) -> EVAgent:
    """The same car under the three-phase strategy, as bounds added to its own.

    For each deadline, with phases of ``phase_h`` hours from local midnight: before the deadline's
    phase it charges only in the cheapest quarter of the hours, and at most half of the need; by the
    deadline at least 95 % of the need; after the last deadline only in the cheapest tenth of the
    hours or from PV surplus ``surplus_kw`` [kW], shape ``(n_steps,)``.
    If the charger is too slow for that, it may charge what does not fit into the phase before it,
    in as many of the cheapest hours as needed. All rules become bounds per step, so re-planning
    keeps them.
    """
    price = horizon.import_eur_per_kwh
    limit_kw = ev.charge_limit_kw
    least_kwh, most_kwh = np.array(ev.min_soc_kwh), np.array(ev.max_soc_kwh)
    phase = np.floor(horizon.local_hour / phase_h)
    # Two tracks: the least the rules guarantee at each deadline, and the most they allow.
    begin, sure_kwh, possible_kwh = 0, ev.initial_soc_kwh, ev.initial_soc_kwh
    for deadline in np.flatnonzero(ev.min_soc_kwh > 0):
        # The phase that holds the deadline begins at the last change of phase before it.
        changes = np.flatnonzero(np.diff(phase[begin : deadline + 1])) + begin + 1
        opening = int(changes[-1]) if changes.size else begin
        early, late = slice(begin, opening), slice(opening, int(deadline) + 1)
        arrives_kwh = sure_kwh - float(ev.trip_kwh[begin : deadline + 1].sum())
        need_kwh = max(0.0, float(ev.min_soc_kwh[deadline]) - arrives_kwh)
        step_kwh = ev.efficiency * horizon.energy_kwh(limit_kw)
        too_slow_kwh = max(0.0, SURE_SHARE * need_kwh - float(step_kwh[late].sum()))
        cheap = price[early] <= np.quantile(price, 0.25)
        # Stable, so that equal prices are taken in order of time on every machine.
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

    The repeated hour in autumn is marked ``again`` the second time.
    """
    seconds = int(horizon.ts_utc[step].astype(np.int64)) + round(horizon.step_h * 3600)
    end = datetime.fromtimestamp(seconds, ZoneInfo(horizon.timezone))
    # "again" keeps the names unique: rules are found by name in an infeasibility.
    return f"{end:%m_%d_%Hh%M}{'_again' if end.fold else ''}"


# --- on a site -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EVSpec:
    """The car, and its assumed use in a building without a metered one.

    ``must_be_full_by_hour``: local hour by which a session must be finished [h].
    ``assumed``: whether a building without a metered car is given one. It drives on six days of
    seven, comes home at ``arrival_hour`` [h] or up to ``LATEST_H`` later, and has then driven
    ``trip_kwh`` at the battery on average over all days [kWh], spread by a gamma distribution
    (``TRIP_SHAPE``), all assumed and drawn with ``seed``. A metered car arrives when its metered
    charging starts, charges the metered energy, and is assumed to stay plugged in until its
    deadline.
    ``max_charge_kw``: assumed wallbox [kW]; a metered car keeps its own charger.
    """

    capacity_kwh: float = 60.0
    max_charge_kw: float = 11.0
    efficiency: float = 0.92
    must_be_full_by_hour: int = 7
    assumed: bool = False
    arrival_hour: int = 18
    trip_kwh: float = 8.0
    seed: int = 0
    max_discharge_kw: float = 0.0
    wear_eur_per_kwh: float = 0.0
    strategy: EvStrategy = "free"

    def __post_init__(self) -> None:
        for name in ("must_be_full_by_hour", "arrival_hour"):
            if not 0 <= getattr(self, name) <= 23:
                raise InvalidSpec(f"ev: {name} is {getattr(self, name)}, allowed is 0 to 23")
        if self.arrival_hour == self.must_be_full_by_hour:
            raise InvalidSpec(
                f"ev: arrival_hour and must_be_full_by_hour are both {self.arrival_hour}, "
                "they must differ"
            )
        for name in ("max_charge_kw", "max_discharge_kw", "wear_eur_per_kwh"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidSpec(f"ev: {name} is {getattr(self, name)}, allowed is >= 0")
        if not 0 < self.capacity_kwh < np.inf:
            raise InvalidSpec(f"ev: capacity_kwh is {self.capacity_kwh}, allowed is > 0")
        if not 0 < self.efficiency <= 1:
            raise InvalidSpec(f"ev: efficiency is {self.efficiency}, allowed is 0 < x <= 1")
        if not 0 <= self.trip_kwh <= self.capacity_kwh:
            raise InvalidSpec(
                f"ev: trip_kwh is {self.trip_kwh}, allowed is 0 to the capacity {self.capacity_kwh}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Car(SiteDevice):
    """A building's car: arrivals, deadlines, and how its people charge it.

    ``trip_kwh``: energy missing on arrival, at the battery [kWh]; ``plugged_in``: whether it can
    charge; ``deadline``: steps at whose end it must be as full as its people had it;
    ``metered_kw``: how it was charged [kW], None for an assumed car; ``soc_kwh``: charge at the end
    of each step without planning [kWh]. All of shape ``(n,)``. ``max_charge_kw``: the charger [kW].
    """

    name: str = "ev"
    spec: EVSpec
    trip_kwh: Floats
    plugged_in: Bools
    deadline: Bools
    metered_kw: Floats | None
    soc_kwh: Floats
    max_charge_kw: float

    @classmethod
    def on_site(cls, view: SiteView, spec: EVSpec | None) -> tuple[Self, ...]:
        """The metered cars, or an assumed one if asked for and none is metered.

        One car is called ``ev``; several by their meters, in the order of their names.
        """
        if spec is None:
            return ()
        meters = view.meters("ev")
        if len(meters) == 1:
            return (cls._as_metered(view, meters[0], spec, "ev"),)
        if meters:
            return tuple(cls._as_metered(view, meter, spec, meter) for meter in sorted(meters))
        return (cls._as_assumed(view, spec),) if spec.assumed else ()

    @classmethod
    def _as_metered(cls, view: SiteView, meter: str, spec: EVSpec, name: str) -> Self:
        """The car behind a charger's meter.

        Each charging session is an arrival with exactly its energy missing. The car is assumed to
        stay plugged in until it must be full: the first ``must_be_full_by_hour`` after arrival, or
        the end of the session if later. A car that charges again before that has driven in between,
        so it must have been full when it left, at the latest just before its return.
        """
        # Gaps of the meter count as not charging.
        known_kwh = np.nan_to_num(view.energy_kwh(meter))
        n, sessions = len(known_kwh), view.sessions(meter)
        trip_kwh, metered_kwh = np.zeros(n), np.zeros(n)
        plugged, deadline = np.zeros(n, bool), np.zeros(n, bool)
        following = [start for start, _ in sessions[1:]]
        for (start, end), next_start in zip(sessions, [*following, n], strict=False):
            metered_kwh[start:end] = known_kwh[start:end]
            trip_kwh[start] = spec.efficiency * known_kwh[start:end].sum()
            due = max(_last_before_due(start, view.hour, spec.must_be_full_by_hour), end - 1)
            last = min(due, next_start - 1)
            plugged[start : last + 1] = True
            deadline[last] = True
        # A session that is larger than the car shows a larger car.
        largest_kwh = float(np.max(trip_kwh, initial=0.0))
        spec = replace(spec, capacity_kwh=max(spec.capacity_kwh, largest_kwh))
        return cls(
            name=name,
            step_h=view.step_h,
            spec=spec,
            trip_kwh=trip_kwh,
            plugged_in=plugged,
            deadline=deadline,
            metered_kw=metered_kwh / view.step_h,
            soc_kwh=spec.capacity_kwh + np.cumsum(spec.efficiency * metered_kwh - trip_kwh),
            # Sizes are nominal: the metered peak may exceed one by 5 %.
            max_charge_kw=max(view.charger_kw(meter), float(np.max(metered_kwh)) / view.step_h),
        )

    @classmethod
    def _as_assumed(cls, view: SiteView, spec: EVSpec) -> Self:
        """At home from its arrival to ``must_be_full_by_hour``, driving as ``spec`` says."""
        hour, leaves, arrives = view.hour, spec.must_be_full_by_hour, spec.arrival_hour
        # Usual case: the stay crosses midnight.
        if leaves < arrives:
            plugged = (hour < leaves) | (hour >= arrives)
        else:
            plugged = (hour >= arrives) & (hour < leaves)
        # The first and last step repeat themselves, so that a record's edge is no arrival or
        # departure.
        behind = np.concatenate((plugged[1:], plugged[-1:]))
        trip_kwh = _drawn_trips(plugged, spec, view.step_h)
        return cls(
            step_h=view.step_h,
            spec=spec,
            trip_kwh=trip_kwh,
            plugged_in=plugged,
            deadline=plugged & ~behind,
            metered_kw=None,
            soc_kwh=np.full(len(hour), spec.capacity_kwh),
            max_charge_kw=spec.max_charge_kw,
        )

    @property
    def modelled(self) -> str:
        """Its size, where the largest session showed it."""
        largest_kwh = float(np.max(self.trip_kwh, initial=0.0))
        if self.metered_kw is None or largest_kwh < self.spec.capacity_kwh:
            return ""
        return f"a car of {largest_kwh:.1f} kWh ({self.name}), as its largest session shows"

    @property
    def assumed(self) -> str:
        """Describes a car that no meter saw."""
        if self.metered_kw is not None:
            return ""
        return f"an assumed car ({self.spec.trip_kwh:g} kWh a day)"

    def used_kwh(self, where: slice) -> Floats:
        """Metered charging energy; an assumed car is in no meter."""
        if self.metered_kw is None:
            return np.zeros(where.stop - where.start)
        return self.metered_kw[where] * self.step_h

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """What is known of a car: future arrivals are not expected.

        A plugged-in car must be full at the next ``must_be_full_by_hour`` after its arrival, or at
        once if that has passed.
        """
        at, later = now.step, slice(now.step, None)
        trip_kwh, soc_kwh = self.trip_kwh.copy(), self.soc_kwh.copy()
        plugged, deadline = self.plugged_in.copy(), self.deadline.copy()
        trip_kwh[later], plugged[later], deadline[later] = 0.0, False, False
        metered_kw = None
        if self.metered_kw is not None:
            metered_kw = np.where(np.arange(len(trip_kwh)) < at, self.metered_kw, 0.0)
        soc_kwh[later] = self.spec.capacity_kwh
        # Still plugged in at `now`: only then is there anything to expect.
        if at and self.plugged_in[at - 1] and not self.deadline[at - 1]:
            away = np.flatnonzero(~self.plugged_in[:at] | (self.trip_kwh[:at] > 0))
            arrival = int(away[-1]) if away.size else 0
            last = max(_last_before_due(arrival, now.hour, self.spec.must_be_full_by_hour), at)
            plugged[at : last + 1] = True
            deadline[last] = True
        return replace(
            self,
            trip_kwh=trip_kwh,
            plugged_in=plugged,
            deadline=deadline,
            metered_kw=metered_kw,
            soc_kwh=soc_kwh,
        )

    def agent(self, frame: PlanFrame) -> EVAgent:
        """The agent of some steps under its strategy."""
        car = self._free(frame)
        if self.spec.strategy == "three_phase":
            car = three_phase(car, frame.horizon, frame.surplus_kw)
        return self._closed(car, frame.stretch.whole) if frame.closed else car

    def _free(self, frame: PlanFrame) -> EVAgent:
        whole, spec = frame.stretch.whole, self.spec
        known_kwh = float(self.soc_kwh[whole.start - 1]) if whole.start else spec.capacity_kwh
        before = frame.state.get(self.name)
        if before is not None:
            known_kwh = max(before.stored_kwh()["soc"], 0.0)
        as_people_kwh = np.minimum(self.soc_kwh[whole], spec.capacity_kwh)
        least_kwh = np.where(self.deadline[whole], as_people_kwh, 0.0)
        return EVAgent(
            name=self.name,
            trip_kwh=self.trip_kwh[whole],
            plugged_in=self.plugged_in[whole],
            min_soc_kwh=least_kwh,
            max_soc_kwh=np.full(len(least_kwh), spec.capacity_kwh),
            capacity_kwh=spec.capacity_kwh,
            max_charge_kw=self.max_charge_kw,
            max_discharge_kw=spec.max_discharge_kw,
            efficiency=spec.efficiency,
            initial_soc_kwh=min(known_kwh, spec.capacity_kwh),
            wear_eur_per_kwh=spec.wear_eur_per_kwh,
            metered_kw=None if self.metered_kw is None else self.metered_kw[whole],
        )

    def _closed(self, car: EVAgent, whole: slice) -> EVAgent:
        """Require at the end the charge its people had, as far as its rules allow."""
        # The most it could hold at the end, so that closing never makes a plan infeasible.
        soc_kwh, limit_kw = car.initial_soc_kwh, car.charge_limit_kw
        for t, most_kwh in enumerate(car.max_soc_kwh):
            soc_kwh += car.efficiency * limit_kw[t] * self.step_h - float(car.trip_kwh[t])
            soc_kwh = min(soc_kwh, float(most_kwh))
        least_kwh = np.array(car.min_soc_kwh)
        wanted_kwh = min(float(self.soc_kwh[whole.stop - 1]), max(0.0, soc_kwh))
        least_kwh[-1] = max(least_kwh[-1], wanted_kwh)
        return replace(car, min_soc_kwh=least_kwh)


def _drawn_trips(plugged: Bools, spec: EVSpec, step_h: float) -> Floats:
    """Energy driven before each arrival [kWh]; late arrivals are taken out of ``plugged``."""
    rng, trip_kwh = np.random.default_rng(spec.seed), np.zeros(len(plugged))
    came = np.flatnonzero(plugged[1:] & ~plugged[:-1]) + 1
    left = np.append(np.flatnonzero(~plugged[1:] & plugged[:-1]) + 1, len(plugged))
    for start in came:
        stay = int(left[np.searchsorted(left, start)]) - int(start)
        late = min(round(rng.uniform(0.0, LATEST_H) / step_h), stay - 1)
        share = rng.gamma(TRIP_SHAPE, 1.0 / TRIP_SHAPE) / DRIVES
        drives = rng.uniform() < DRIVES
        plugged[start : start + late] = False
        trip_kwh[start + late] = min(share * spec.trip_kwh, spec.capacity_kwh) if drives else 0.0
    return trip_kwh


def _last_before_due(arrival: int, hour: Floats, full_by_hour: int) -> int:
    """Last step before the local clock next reaches the hour, or skips it in spring."""
    # Hours since the deadline fall by almost 24 when it passes; in autumn they fall by 1 only.
    since = (hour[arrival:] - full_by_hour) % 24
    due = np.flatnonzero(since[1:] < since[:-1] - HALF_A_DAY_H)
    return arrival + int(due[0]) if due.size else len(hour) - 1
