"""A stationary battery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents import words
from ems.agents.base import SLACK_KWH, Agent, breaks, check_range
from ems.agents.charge_value import ChargeLevels
from ems.agents.on_site import PlanFrame, SiteDevice
from ems.agents.priced import SAME_CT, VISIBLE_KW, VISIBLE_KWH, PricedPlan
from ems.agents.rule import RuleSignal
from ems.agents.store import Store
from ems.agents.store_reasons import gain_ct, given, given_back, replaced, verdict
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.types import Floats

HOURS_PER_YEAR = 8766.0
"""Of 365.25 days [h]."""


@dataclass(frozen=True, kw_only=True)
class BatteryAgent(Agent):
    """A battery that charges, discharges and ages.

    ``capacity_kwh``: usable capacity [kWh]; ``min_soc_kwh``: reserve that is never used [kWh].
    ``max_charge_kw``, ``max_discharge_kw``: limits at the bus [kW].
    ``round_trip_efficiency``: in (0, 1]; one way it is η = √round trip, the same in both
    directions.
    ``initial_soc_kwh``: charge before the first step [kWh].
    ``final_soc_kwh``: minimum charge after the last step [kWh]; ``None`` means the initial charge.
    ``terminal_value_eur_per_kwh``: value of charge above ``final_soc_kwh`` at the end [€/kWh].
    ``wear_eur_per_kwh``: ageing per kWh of throughput, charge plus discharge at the bus [€/kWh].
    Assumed: 400 €/kWh of capacity over 10,000 kWh of throughput per kWh of capacity and direction.
    ``calendar_eur_per_kwh_a``: ageing by time alone per kWh of capacity and year [€/(kWh a)], which
    no plan changes. Assumed: 400 €/kWh of capacity over 20 years. Ageing by time and by use add up,
    as in Naumann et al. (2020), doi:10.1016/j.jpowsour.2019.227666.
    """

    name: str = "battery"
    capacity_kwh: float = 15.0
    min_soc_kwh: float = 0.0
    max_charge_kw: float = 5.0
    max_discharge_kw: float = 5.0
    round_trip_efficiency: float = 0.95
    initial_soc_kwh: float = 8.0
    final_soc_kwh: float | None = None
    terminal_value_eur_per_kwh: float = 0.0
    wear_eur_per_kwh: float = 0.02
    calendar_eur_per_kwh_a: float = 20.0
    kind: ClassVar[Kind] = "storage"
    colour: ClassVar[str | None] = "#009E73"
    layer: ClassVar[int] = 4
    did: ClassVar[tuple[str, str, str]] = ("took", "gave", "rested")
    meant: ClassVar[tuple[str, str, str]] = ("to take", "to give", "to rest")

    def __post_init__(self) -> None:
        for field in ("capacity_kwh", "max_charge_kw", "max_discharge_kw", "wear_eur_per_kwh"):
            check_range(self, field, up=1e9)
        check_range(self, "calendar_eur_per_kwh_a", up=1e9)
        check_range(self, "terminal_value_eur_per_kwh", low=-1e9, up=1e9)
        check_range(self, "round_trip_efficiency", up=1.0, above=True)
        check_range(self, "min_soc_kwh", up=self.capacity_kwh)
        check_range(self, "initial_soc_kwh", low=self.min_soc_kwh, up=self.capacity_kwh)
        if self.final_soc_kwh is not None:
            check_range(self, "final_soc_kwh", low=self.min_soc_kwh, up=self.capacity_kwh)

    @property
    def flow_labels(self) -> tuple[str, str]:
        """Discharge and charge."""
        return f"{self.title} discharge", f"{self.title} charge"

    def at_rest(self, held_kwh: float) -> str:
        """Full and empty are named as reasons."""
        if held_kwh >= self.capacity_kwh - VISIBLE_KWH:
            return "was full"
        return "was empty" if held_kwh <= self.min_soc_kwh + VISIBLE_KWH else self.did[2]

    def sized(self, capacity_kwh: float) -> Self:
        """The battery in another size: powers, reserve and charge at the same shares of it."""
        factor = capacity_kwh / self.capacity_kwh
        return replace(
            self,
            capacity_kwh=capacity_kwh,
            min_soc_kwh=factor * self.min_soc_kwh,
            initial_soc_kwh=factor * self.initial_soc_kwh,
            max_charge_kw=factor * self.max_charge_kw,
            max_discharge_kw=factor * self.max_discharge_kw,
        )

    @property
    def least_final_kwh(self) -> float:
        """Minimum charge after the last step [kWh]."""
        return self.initial_soc_kwh if self.final_soc_kwh is None else self.final_soc_kwh

    @property
    def store(self) -> Store:
        """The physics shared with other stores."""
        one_way = float(np.sqrt(self.round_trip_efficiency))
        return Store(
            name=self.name,
            charge_efficiency=one_way,
            discharge_efficiency=one_way,
            max_charge_kw=self.max_charge_kw,
            max_discharge_kw=self.max_discharge_kw,
            wear_eur_per_kwh=self.wear_eur_per_kwh,
        )

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """∞ if charge left at the end has a negative value, else nothing."""
        # Then emptying it pays, so it may feed at any time.
        worthless = self.terminal_value_eur_per_kwh < 0
        return np.full(horizon.n_steps, np.inf if worthless else 0.0)

    def contribute(self, block: Block) -> Contribution:
        """Cost = Σ wear · (charge + discharge) · Δt − value · (soc(T) − final) [€]."""
        charge_kw = block.variables("charge_kw", up=self.max_charge_kw)
        discharge_kw = block.variables("discharge_kw", up=self.max_discharge_kw)
        soc_kwh = block.variables("soc_kwh", low=self.min_soc_kwh, up=self.capacity_kwh)
        self.store.account(block, charge_kw, discharge_kw, soc_kwh, self.initial_soc_kwh)
        self.store.exclude(block, charge_kw, discharge_kw)
        block.require("final_soc", soc_kwh[-1] >= self.least_final_kwh - SLACK_KWH, "kWh")
        through_kwh = block.horizon.energy_kwh(charge_kw + discharge_kw)
        cost_eur = self.wear_eur_per_kwh * through_kwh.sum()
        if self.terminal_value_eur_per_kwh != 0.0:
            left_kwh = soc_kwh[-1] - self.least_final_kwh
            cost_eur = cost_eur - self.terminal_value_eur_per_kwh * left_kwh
        return Contribution(
            net_load_kw=charge_kw - discharge_kw,
            cost_eur=cost_eur,
            effort_kw=charge_kw + discharge_kw,
            series={"charge_kw": charge_kw, "discharge_kw": discharge_kw, "soc_kwh": soc_kwh},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The charge reached; the final target stays the original one."""
        # Rounded and clipped: a solver leaves the limits by its tolerance, and the next agent would
        # be refused.
        soc_kwh = float(np.round(plan.series["soc_kwh"][n_steps - 1], 9))
        soc_kwh = min(max(soc_kwh, self.min_soc_kwh), self.capacity_kwh)
        return replace(self, initial_soc_kwh=soc_kwh, final_soc_kwh=self.least_final_kwh)

    def unplanned(self, horizon: Horizon) -> Plan:
        """Idle, as if it were not there."""
        idle = np.zeros(horizon.n_steps)
        return self.store.plan(idle, idle, idle + self.initial_soc_kwh)

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats, signal: RuleSignal) -> Plan:
        """Store any surplus and cover any deficit; fill up and hold back as the rule signals.

        It buys only where what a kWh replaces later pays for its losses and wear.
        """
        wear_eur = self.wear_eur_per_kwh * (1 + self.round_trip_efficiency)
        paid_eur = horizon.import_eur_per_kwh + wear_eur
        pays = signal.replaces_eur_per_kwh * self.round_trip_efficiency > paid_eur
        bought_kw = np.where(signal.buy & pays, self.max_charge_kw, 0.0)
        wanted_kw = np.where(signal.hold | (bought_kw > 0), 0.0, net_load_kw)
        return self._as_far_as_possible(horizon, np.maximum(-net_load_kw, bought_kw), wanted_kw)

    @property
    def _levels(self) -> ChargeLevels:
        return ChargeLevels(store=self.store, low_kwh=self.min_soc_kwh, up_kwh=self.capacity_kwh)

    def costs_by_charge_eur(
        self, horizon: Horizon, futures_kw: Floats, left_eur_per_kwh: Mapping[str, float]
    ) -> Floats | None:
        """By its levels of charge; None for a battery of no size."""
        if self.capacity_kwh <= self.min_soc_kwh:
            return None
        return self._levels.costs_eur(horizon, futures_kw, left_eur_per_kwh["soc"])

    def follow_value(self, horizon: Horizon, net_load_kw: Floats, then_eur: Floats) -> Plan:
        """Charge, wait or discharge, whichever costs least with what is still to be paid."""
        levels, step_h, held_kwh = self._levels, horizon.step_h, self.initial_soc_kwh
        power_kw = np.zeros(horizon.n_steps)
        for t in horizon.steps:
            power_kw[t] = levels.best_kw(horizon, t, net_load_kw[t], held_kwh, then_eur[t])
            held_kwh = float(levels.after_kwh(np.array(held_kwh), power_kw[t], step_h))
        return self._as_far_as_possible(horizon, power_kw, -power_kw)

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, within the limits of charge and power."""
        if told is None:
            return self.unplanned(horizon)
        wanted = told.window(0, horizon.n_steps).series
        return self._as_far_as_possible(horizon, wanted["charge_kw"], wanted["discharge_kw"])

    # Stepwise, since each step's room depends on the charge reached before it.
    def _as_far_as_possible(self, horizon: Horizon, charge: Floats, discharge: Floats) -> Plan:
        """Charge and discharge as wanted [kW] within the limits of power and charge."""
        eta, soc_kwh = self.store.charge_efficiency, self.initial_soc_kwh
        charge_kw, discharge_kw, series = (np.zeros(horizon.n_steps) for _ in range(3))
        for t in horizon.steps:
            room_kw = (self.capacity_kwh - soc_kwh) / eta / horizon.step_h
            left_kw = (soc_kwh - self.min_soc_kwh) * eta / horizon.step_h
            charge_kw[t] = max(0.0, min(charge[t], self.max_charge_kw, room_kw))
            discharge_kw[t] = max(0.0, min(discharge[t], self.max_discharge_kw, left_kw))
            soc_kwh += horizon.energy_kwh(eta * charge_kw[t] - discharge_kw[t] / eta)
            series[t] = soc_kwh
        return self.store.plan(charge_kw, discharge_kw, series)

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Copy with the real agent's charge; an unreachable final target is relaxed."""
        most_kwh = horizon.energy_kwh(self.store.charge_efficiency * self.max_charge_kw)
        reachable_kwh = real.initial_soc_kwh + horizon.n_steps * most_kwh
        least_kwh = min(self.least_final_kwh, reachable_kwh, self.capacity_kwh)
        return replace(self, initial_soc_kwh=real.initial_soc_kwh, final_soc_kwh=least_kwh)

    def without_targets(self) -> Self:
        """The final target is the reserve alone."""
        return replace(self, final_soc_kwh=self.min_soc_kwh)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Check the store's rules, the limits of the charge and the final target."""
        soc_kwh = plan.series["soc_kwh"]
        yield from self.store.audit(plan, horizon, self.initial_soc_kwh)
        yield from breaks(self.name, "soc_kwh", soc_kwh, self.min_soc_kwh, self.capacity_kwh)
        yield from breaks(self.name, "final_soc_kwh", soc_kwh[-1:], self.least_final_kwh, np.inf)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Wear, minus the value of charge left at the end [€]."""
        through_kwh = horizon.energy_kwh(plan.series["charge_kw"] + plan.series["discharge_kw"])
        costs = {"wear": self.wear_eur_per_kwh * float(through_kwh.sum())}
        if self.terminal_value_eur_per_kwh != 0.0:
            left_kwh = float(plan.series["soc_kwh"][-1]) - self.least_final_kwh
            costs["left"] = -self.terminal_value_eur_per_kwh * left_kwh
        return costs

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """Its charge [kWh]."""
        return {"soc": self.initial_soc_kwh if plan is None else float(plan.series["soc_kwh"][-1])}

    def valued(self, left_eur_per_kwh: Mapping[str, float]) -> Self:
        """The charge left at the end has this value; the final target is the reserve alone."""
        return replace(
            self,
            final_soc_kwh=self.min_soc_kwh,
            terminal_value_eur_per_kwh=left_eur_per_kwh["soc"],
        )

    def leaving(self, held_kwh: Mapping[str, float], horizon: Horizon) -> Self:
        """The final target is this charge, or what full power can reach."""
        wanted_kwh = min(max(held_kwh["soc"], self.min_soc_kwh), self.capacity_kwh)
        return replace(self, final_soc_kwh=wanted_kwh).with_state_of(self, horizon)

    def full_cycles(self, plan: Plan, horizon: Horizon) -> float:
        """Equivalent full cycles, throughput / (2 · capacity)."""
        if self.capacity_kwh == 0:
            return 0.0
        through_kw = plan.series["charge_kw"] + plan.series["discharge_kw"]
        return float(horizon.energy_kwh(through_kw).sum()) / (2 * self.capacity_kwh)

    def calendar_wear_eur(self, horizon: Horizon) -> float:
        """Its price · capacity · years [€]."""
        years = horizon.n_steps * horizon.step_h / HOURS_PER_YEAR
        return self.calendar_eur_per_kwh_a * self.capacity_kwh * years

    # --- why it does what it does ----------------------------------------------------------------

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """What it takes, gives or waits for; nothing for a battery of size zero."""
        charge_kw = float(priced.series(self, "charge_kw")[t])
        if charge_kw > VISIBLE_KW:
            took = f"The {self.title} takes {words.kw(charge_kw)}{priced.source(self, t)}"
            yield f"{took}: {self._stored(priced, t)}"
        elif priced.series(self, "discharge_kw")[t] > VISIBLE_KW:
            yield given(priced, self, t)
        elif self.capacity_kwh - self.min_soc_kwh > VISIBLE_KWH:
            yield self._rests(priced, t)

    def _stored(self, priced: PricedPlan, t: int) -> str:
        """Why it charges: value now, and value when discharged."""
        now = f"a kWh is worth {priced.worth(t)} now"
        later = given_back(priced, self, t)
        if later is None:
            return (
                f"{now}; it is kept: at its end the plan must leave {self.least_final_kwh:g} kWh."
            )
        then_ct, how = replaced(priced, self, later)
        return (
            f"{now} and {words.ct(then_ct)} at {priced.clock(later)} ({how})."
            f"{verdict(priced, self, t, later)}{_enough(priced, later, then_ct)}"
            f"{self._as_well(priced, t)}"
        )

    def _as_well(self, priced: PricedPlan, t: int) -> str:
        """Other steps of equal value to which the charging could be moved."""
        soc_kwh, charge_kw = priced.series(self, "soc_kwh"), priced.series(self, "charge_kw")
        free = soc_kwh < self.capacity_kwh - VISIBLE_KWH
        free &= soc_kwh > self.min_soc_kwh + VISIBLE_KWH
        same = [
            u
            for u in range(priced.n_told)
            if u != t
            and abs(priced.worth_ct[u] - priced.worth_ct[t]) <= SAME_CT
            and charge_kw[u] < self.max_charge_kw - VISIBLE_KW
            and priced.series(self, "discharge_kw")[u] <= VISIBLE_KW
            # Free to move only if the charge touches no limit in between.
            and bool(np.all(free[min(t, u) : max(t, u)]))
        ]
        return f" {priced.clocks(same)} would do as well: the same worth." if same else ""

    def _rests(self, priced: PricedPlan, t: int) -> str:
        """How full it is, and what it waits for."""
        charge_kw, given_kw = priced.series(self, "charge_kw"), priced.series(self, "discharge_kw")
        state = self._state(float(priced.series(self, "soc_kwh")[t]))
        busy = np.flatnonzero(np.maximum(charge_kw, given_kw) > VISIBLE_KW)
        if not busy.size:
            why = self._nothing_pays(priced) if t == 0 else ""
            return f"The {self.title} {state} all the time{why}."
        later = busy[busy > t]
        if not later.size:
            return f"The {self.title} {state} until the plan ends."
        then = int(later[0])
        # Say the full reason once, at the start of the rest.
        if t > 0 and not np.any(busy == t - 1):
            still = state.replace("is ", "is still ").replace("rests", "still rests")
            return f"The {self.title} {still}."
        does = "charges" if charge_kw[then] > given_kw[then] else "gives"
        return (
            f"The {self.title} {state}; it {does} next at {priced.clock(then)}: a kWh is worth "
            f"{words.ct(float(priced.worth_ct[t]))} now and "
            f"{words.ct(float(priced.worth_ct[then]))} then."
        )

    def _state(self, soc_kwh: float) -> str:
        if soc_kwh <= self.min_soc_kwh + VISIBLE_KWH:
            return "is empty"
        if soc_kwh >= self.capacity_kwh - VISIBLE_KWH:
            return "is full"
        return f"rests with {words.kwh(soc_kwh)}"

    def _nothing_pays(self, priced: PricedPlan) -> str:
        """Text if no pair of steps earns anything, in an order that its charge allows."""
        kwh, worth_ct = self.initial_soc_kwh, priced.worth_ct
        n = len(worth_ct)
        pays = [
            gain_ct(self, float(worth_ct[c]), float(worth_ct[d])) > SAME_CT
            for c in range(n)
            for d in range(n)
            # Charge first, discharge later; needs room.
            if (c < d and kwh < self.capacity_kwh - VISIBLE_KWH)
            # Discharge first, refill later; needs charge.
            or (d < c and kwh > self.min_soc_kwh + VISIBLE_KWH)
        ]
        return "" if any(pays) else ": no two hours differ by more than its losses and wear"


def _enough(priced: PricedPlan, later: int, then_ct: float) -> str:
    """Text where one kWh more would be worth less by then than what is given."""
    worth_ct = float(priced.worth_ct[later])
    if worth_ct >= then_ct - SAME_CT:
        return ""
    worth = words.ct(worth_ct)
    return f" By then enough is stored: one kWh more would be worth only {worth} there."


@dataclass(frozen=True, kw_only=True, eq=False)
class InstalledBattery(SiteDevice):
    """A battery given to a building; no meter shows it."""

    spec: BatteryAgent

    @classmethod
    def on_site(cls, spec: BatteryAgent | None, step_h: float) -> tuple[Self, ...]:
        """The battery, if the building has one."""
        return () if spec is None else (cls(name=spec.name, step_h=step_h, spec=spec),)

    def agent(self, frame: PlanFrame) -> BatteryAgent:
        """With the charge handed over; the final target stays that of ``spec``."""
        before = frame.state.get(self.name)
        # On a site the first day starts at the spec's charge; later days hand theirs over.
        if before is None:
            return self.spec
        soc_kwh = before.stored_kwh()["soc"]
        clipped = min(max(soc_kwh, self.spec.min_soc_kwh), self.spec.capacity_kwh)
        final_kwh = self.spec.least_final_kwh
        return replace(self.spec, initial_soc_kwh=clipped, final_soc_kwh=final_kwh)
