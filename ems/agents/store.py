"""The physics that battery and EV share: state of charge with losses and wear.

soc(t) = soc(t−1) + (η_c · charge(t) − discharge(t) / η_d) · Δt − taken(t)   [kWh]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ems.agents.base import breaks, differs
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Plan
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """A store: one-way efficiencies in (0, 1], powers in kW, wear in €/kWh of throughput."""

    name: str
    charge_efficiency: float
    discharge_efficiency: float
    max_charge_kw: Floats | float
    max_discharge_kw: Floats | float
    wear_eur_per_kwh: float

    def needs_switch(self, worth_eur_per_kwh: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Where simultaneous charge and discharge could pay, so that a binary must forbid it.

        One more kWh through the store and back at constant SOC burns (1 − η) kWh worth at least w
        and wears (1 + η) kWh, with η = η_c · η_d. It pays only if w (1 − η) + wear (1 + η) < 0.
        Where that is 0 it costs nothing, and the second aim, least effort, leaves it out.
        """
        round_trip = self.charge_efficiency * self.discharge_efficiency
        if round_trip == 1.0:  # nothing is burnt, and ∞ · 0 is no number
            return np.zeros(len(worth_eur_per_kwh), dtype=np.bool_)
        wear = self.wear_eur_per_kwh * (1 + round_trip)
        return worth_eur_per_kwh * (1 - round_trip) + wear < 0.0

    def exclude(self, block: Block, charge_kw: Affine, discharge_kw: Affine) -> None:
        """Forbid simultaneous charge and discharge where it could pay (rule ``one_direction``)."""
        # A store that only charges in a step, such as a car without V2G, needs no binary there.
        able = np.minimum(self.max_charge_kw, self.max_discharge_kw) > 0
        at = np.flatnonzero(self.needs_switch(block.worth_at_least_eur_per_kwh) & able)
        if not at.size:
            return
        n = block.horizon.n_steps
        most_in = np.broadcast_to(np.asarray(self.max_charge_kw), (n,))[at]
        most_out = np.broadcast_to(np.asarray(self.max_discharge_kw), (n,))[at]
        charging = block.switches("charging", size=at.size)
        block.require("charge_only", charge_kw[at] - most_in * charging <= 0.0, "kW")
        block.require("discharge_only", discharge_kw[at] + most_out * charging <= most_out, "kW")

    def account(
        self,
        block: Block,
        charge_kw: Affine,
        discharge_kw: Affine | Floats,
        soc_kwh: Affine,
        initial_kwh: float,
        taken_kwh: Floats | float = 0.0,
    ) -> None:
        """The balance of the charge in every step (rule ``soc``)."""
        flow_kw = self.charge_efficiency * charge_kw - discharge_kw / self.discharge_efficiency
        stored_kwh = soc_kwh.before(initial_kwh) + block.horizon.energy_kwh(flow_kw)
        block.require("soc", soc_kwh == stored_kwh - taken_kwh, "kWh")

    def soc_after(
        self,
        horizon: Horizon,
        charge_kw: Floats,
        discharge_kw: Floats,
        initial_kwh: float,
        taken_kwh: Floats | float = 0.0,
    ) -> Floats:
        """Charge at the end of each step [kWh] computed from the powers, shape ``(n_steps,)``."""
        flow_kw = self.charge_efficiency * charge_kw - discharge_kw / self.discharge_efficiency
        change_kwh = horizon.energy_kwh(flow_kw) - taken_kwh
        soc_kwh: Floats = initial_kwh + np.cumsum(change_kwh)
        return soc_kwh

    def audit(
        self, plan: Plan, horizon: Horizon, initial_kwh: float, taken_kwh: Floats | float = 0.0
    ) -> Iterator[str]:
        """Powers within limits and never both at once; net load and SOC consistent with them."""
        charge_kw, discharge_kw = plan.series["charge_kw"], plan.series["discharge_kw"]
        yield from breaks(self.name, "charge_kw", charge_kw, 0.0, self.max_charge_kw)
        yield from breaks(self.name, "discharge_kw", discharge_kw, 0.0, self.max_discharge_kw)
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, charge_kw - discharge_kw)
        expected = self.soc_after(horizon, charge_kw, discharge_kw, initial_kwh, taken_kwh)
        yield from differs(self.name, "soc_kwh", plan.series["soc_kwh"], expected)
        both = np.minimum(charge_kw, discharge_kw) > TOLERANCE
        if both.any():
            yield f"{self.name}: charges and discharges at once in step {both.argmax()}"

    def plan(self, charge_kw: Floats, discharge_kw: Floats, soc_kwh: Floats) -> Plan:
        """A plan from its powers [kW] and charge [kWh]."""
        return Plan(
            agent=self.name,
            net_load_kw=charge_kw - discharge_kw,
            series={"charge_kw": charge_kw, "discharge_kw": discharge_kw, "soc_kwh": soc_kwh},
        )
