"""A stationary battery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents.base import SLACK_KWH, Agent, breaks, check_range
from ems.agents.store import Store
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.types import Floats


@dataclass(frozen=True, kw_only=True)
class BatteryAgent(Agent):
    """A battery that charges, discharges and ages.

    ``capacity_kwh``: usable capacity [kWh]; ``min_soc_kwh``: reserve that is never used [kWh].
    ``max_charge_kw``, ``max_discharge_kw``: limits at the bus [kW].
    ``round_trip_efficiency``: in (0, 1]; one way it is η = √round trip, both ways alike.
    ``initial_soc_kwh``: charge before the first step [kWh].
    ``final_soc_kwh``: least charge after the last step [kWh]; ``None`` means the initial charge.
    ``terminal_value_eur_per_kwh``: value of what is left above ``final_soc_kwh`` [€/kWh].
    ``hold_value_eur_per_kwh_h``: what it is worth to hold a kWh for an hour [€/kWh/h]. It steers
    plans under uncertainty, charging early and discharging late where that costs nothing, and is
    never part of the bill.
    ``wear_eur_per_kwh``: ageing per kWh of throughput, charge plus discharge at the bus [€/kWh];
    assumed: 400 €/kWh of capacity over 10,000 kWh of throughput per kWh of capacity and direction.
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
    hold_value_eur_per_kwh_h: float = 0.0
    kind: ClassVar[Kind] = "storage"
    colour: ClassVar[str | None] = "#009E73"
    layer: ClassVar[int] = 4

    def __post_init__(self) -> None:
        for field in ("capacity_kwh", "max_charge_kw", "max_discharge_kw", "wear_eur_per_kwh"):
            check_range(self, field, up=1e9)
        check_range(self, "terminal_value_eur_per_kwh", low=-1e9, up=1e9)
        check_range(self, "hold_value_eur_per_kwh_h", up=1e9)
        check_range(self, "round_trip_efficiency", up=1.0, above=True)
        check_range(self, "min_soc_kwh", up=self.capacity_kwh)
        check_range(self, "initial_soc_kwh", low=self.min_soc_kwh, up=self.capacity_kwh)
        if self.final_soc_kwh is not None:
            check_range(self, "final_soc_kwh", low=self.min_soc_kwh, up=self.capacity_kwh)

    @property
    def flow_labels(self) -> tuple[str, str]:
        """It gives and it takes."""
        return f"{self.title} discharge", f"{self.title} charge"

    @property
    def least_final_kwh(self) -> float:
        """The charge that must be left after the last step [kWh]."""
        return self.initial_soc_kwh if self.final_soc_kwh is None else self.final_soc_kwh

    @property
    def store(self) -> Store:
        """The physics it shares with other stores."""
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
        """Nothing, unless it pays to end with less in it."""
        worthless = self.terminal_value_eur_per_kwh < 0
        return np.full(horizon.n_steps, np.inf if worthless else 0.0)

    def contribute(self, block: Block) -> Contribution:
        """Cost = Σ wear · (charge + discharge) · Δt − value · (soc(T) − final) [€].

        Less Σ hold value · soc · Δt, which is no money.
        """
        charge_kw = block.variables("charge_kw", up=self.max_charge_kw)
        discharge_kw = block.variables("discharge_kw", up=self.max_discharge_kw)
        soc_kwh = block.variables("soc_kwh", low=self.min_soc_kwh, up=self.capacity_kwh)
        self.store.account(block, charge_kw, discharge_kw, soc_kwh, self.initial_soc_kwh)
        self.store.exclude(block, charge_kw, discharge_kw)
        block.require("final_soc", soc_kwh[-1] >= self.least_final_kwh - SLACK_KWH, "kWh")
        through_kwh = block.horizon.energy_kwh(charge_kw + discharge_kw).sum()
        cost_eur = self.wear_eur_per_kwh * through_kwh
        if self.terminal_value_eur_per_kwh != 0.0:
            left_kwh = soc_kwh[-1] - self.least_final_kwh
            cost_eur = cost_eur - self.terminal_value_eur_per_kwh * left_kwh
        if self.hold_value_eur_per_kwh_h != 0.0:
            held_kwh_h = block.horizon.step_h * soc_kwh.sum()
            cost_eur = cost_eur - self.hold_value_eur_per_kwh_h * held_kwh_h
        return Contribution(
            net_load_kw=charge_kw - discharge_kw,
            cost_eur=cost_eur,
            series={"charge_kw": charge_kw, "discharge_kw": discharge_kw, "soc_kwh": soc_kwh},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The charge reached; what must be left at the end stays what it was."""
        soc_kwh = float(np.round(plan.series["soc_kwh"][n_steps - 1], 9))
        soc_kwh = min(max(soc_kwh, self.min_soc_kwh), self.capacity_kwh)
        return replace(self, initial_soc_kwh=soc_kwh, final_soc_kwh=self.least_final_kwh)

    def unplanned(self, horizon: Horizon) -> Plan:
        """A building without it: it stands idle."""
        idle = np.zeros(horizon.n_steps)
        return self.store.plan(idle, idle, idle + self.initial_soc_kwh)

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats) -> Plan:
        """The usual self-consumption rule: store any surplus, cover any deficit, never trade."""
        return self._as_far_as_possible(horizon, -net_load_kw, net_load_kw)

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """The set-points, as far as its charge and its limits let it."""
        if told is None:
            return self.unplanned(horizon)
        wanted = told.window(0, horizon.n_steps).series
        return self._as_far_as_possible(horizon, wanted["charge_kw"], wanted["discharge_kw"])

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
        """With the real charge; at the end as much is left as was wanted, or as it can reach."""
        most_kwh = horizon.energy_kwh(self.store.charge_efficiency * self.max_charge_kw)
        reachable_kwh = real.initial_soc_kwh + horizon.n_steps * most_kwh
        least_kwh = min(self.least_final_kwh, reachable_kwh, self.capacity_kwh)
        return replace(self, initial_soc_kwh=real.initial_soc_kwh, final_soc_kwh=least_kwh)

    def without_targets(self) -> Self:
        """It may end with its reserve alone."""
        return replace(self, final_soc_kwh=self.min_soc_kwh)

    def canonical(self, plan: Plan) -> Plan:
        """Charge and discharge netted where both at once cost the same as neither."""
        return self.store.netted(plan)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """The store's rules, the limits of the charge, and what must be left at the end."""
        soc_kwh = plan.series["soc_kwh"]
        yield from self.store.audit(plan, horizon, self.initial_soc_kwh)
        yield from breaks(self.name, "soc_kwh", soc_kwh, self.min_soc_kwh, self.capacity_kwh)
        yield from breaks(self.name, "final_soc_kwh", soc_kwh[-1:], self.least_final_kwh, np.inf)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """Wear, and less the value of what is left [€]."""
        through_kwh = horizon.energy_kwh(plan.series["charge_kw"] + plan.series["discharge_kw"])
        costs = {"wear": self.wear_eur_per_kwh * float(through_kwh.sum())}
        if self.terminal_value_eur_per_kwh != 0.0:
            left_kwh = float(plan.series["soc_kwh"][-1]) - self.least_final_kwh
            costs["left"] = -self.terminal_value_eur_per_kwh * left_kwh
        if self.hold_value_eur_per_kwh_h != 0.0:
            held_kwh_h = horizon.step_h * float(plan.series["soc_kwh"].sum())
            costs["held"] = -self.hold_value_eur_per_kwh_h * held_kwh_h
        return costs

    def stored_kwh(self, plan: Plan | None = None) -> float:
        """What its charge can deliver to the bus [kWh]."""
        soc_kwh = self.initial_soc_kwh if plan is None else float(plan.series["soc_kwh"][-1])
        return self.store.discharge_efficiency * soc_kwh

    def full_cycles(self, plan: Plan, horizon: Horizon) -> float:
        """Equivalent full cycles, throughput / (2 · capacity)."""
        if self.capacity_kwh == 0:
            return 0.0
        through_kw = plan.series["charge_kw"] + plan.series["discharge_kw"]
        return float(horizon.energy_kwh(through_kw).sum()) / (2 * self.capacity_kwh)
