"""What the charge of a store is worth before it is known what comes.

The futures are equally likely. In each the best that the store can do with E kWh before step t
costs V_t(E), found backwards over ``LEVELS`` levels of charge (dynamic programming, Bellman 1957):

    V_t(E) = min over E' of  bill_t(net load + u) + wear · |u| · Δt + V_{t+1}(E')   [€]

with u the power at the bus that leads from E to E'. The mean over the futures is convex where they
are: a full store is worth less a kWh than an empty one. A future knows what comes in it, which
makes waiting look better than it is; ``DOUBT_EUR_PER_KWH`` stands against that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.agents.store import Store
from ems.core.horizon import Horizon
from ems.types import Floats

LEVELS = 31
"""Levels of charge between which costs are interpolated."""
DOUBT_EUR_PER_KWH = 0.01
"""What has to be gained by each kWh by which a store departs from the rule [€/kWh]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChargeLevels:
    """A store whose charge is told in levels between ``low_kwh`` and ``up_kwh``."""

    store: Store
    low_kwh: float
    up_kwh: float

    @property
    def kwh(self) -> Floats:
        """The levels [kWh]."""
        return np.linspace(self.low_kwh, self.up_kwh, LEVELS)

    def power_kw(self, gained_kwh: Floats, step_h: float) -> Floats:
        """Power at the bus that changes the charge by ``gained_kwh`` in a step [kW]."""
        eta_in, eta_out = self.store.charge_efficiency, self.store.discharge_efficiency
        return np.where(gained_kwh > 0, gained_kwh / eta_in, gained_kwh * eta_out) / step_h

    def after_kwh(self, held_kwh: Floats, power_kw: Floats, step_h: float) -> Floats:
        """The charge after a step with this power at the bus [kWh]."""
        eta_in, eta_out = self.store.charge_efficiency, self.store.discharge_efficiency
        gained_kwh = np.where(power_kw > 0, power_kw * eta_in, power_kw / eta_out) * step_h
        return np.clip(held_kwh + gained_kwh, self.low_kwh, self.up_kwh)

    def limits_kw(self, held_kwh: Floats, step_h: float) -> tuple[Floats, Floats]:
        """The most it can give (negative) and take in a step [kW]."""
        least_kw = self.power_kw(self.low_kwh - held_kwh, step_h)
        most_kw = self.power_kw(self.up_kwh - held_kwh, step_h)
        return (
            np.maximum(least_kw, -self.store.max_discharge_kw),
            np.minimum(most_kw, self.store.max_charge_kw),
        )

    def costs_eur(self, horizon: Horizon, futures_kw: Floats, left_eur_per_kwh: float) -> Floats:
        """What is still to be paid at each level, before each step and after the last [€].

        ``futures_kw``: net load of all others, shape ``(n_futures, n_steps)``;
        ``left_eur_per_kwh``: value of a kWh left at the end. Shape ``(n_steps + 1, LEVELS)``.
        """
        levels_kwh, step_h = self.kwh, horizon.step_h
        power_kw = self.power_kw(levels_kwh[None, :] - levels_kwh[:, None], step_h)
        least_kw, most_kw = self.limits_kw(levels_kwh, step_h)
        reachable = (power_kw <= most_kw[:, None] + 1e-9) & (power_kw >= least_kw[:, None] - 1e-9)
        paid_eur = np.broadcast_to(-left_eur_per_kwh * levels_kwh, (len(futures_kw), LEVELS))
        means = [paid_eur.mean(0)]
        for t in reversed(horizon.steps):
            others_kw = futures_kw[:, t, None]
            moved = self._paid_eur(horizon, t, others_kw[:, :, None], power_kw)
            to_level = np.where(reachable, moved + paid_eur[:, None, :], np.inf).min(2)
            # As the rule does: the flow at the meter is zero, between two levels.
            rule_kw = np.clip(-others_kw, least_kw, most_kw)
            then_eur = _between(levels_kwh, paid_eur, self.after_kwh(levels_kwh, rule_kw, step_h))
            as_rule = self._paid_eur(horizon, t, others_kw, rule_kw) + then_eur
            paid_eur = np.minimum(to_level, as_rule)
            means.append(paid_eur.mean(0))
        return np.array(means[::-1])

    def best_kw(
        self, horizon: Horizon, t: int, others_kw: float, held_kwh: float, then_eur: Floats
    ) -> float:
        """What it does in step ``t``, whose net load of all others is known [kW].

        ``then_eur``: what is still to be paid at each level after the step [€].
        """
        step_h = horizon.step_h
        least_kw, most_kw = self.limits_kw(np.array(held_kwh), step_h)
        rule_kw = np.clip(-others_kw, least_kw, most_kw)
        # The rule stands first: it is what is done where nothing is better.
        to_levels_kw = self.power_kw(self.kwh - held_kwh, step_h)
        asked_kw = np.array([rule_kw, 0.0, least_kw, most_kw, *to_levels_kw])
        asked_kw = np.clip(asked_kw, least_kw, most_kw)
        then = np.interp(self.after_kwh(np.array(held_kwh), asked_kw, step_h), self.kwh, then_eur)
        doubt_eur = DOUBT_EUR_PER_KWH * np.abs(asked_kw - rule_kw) * step_h
        paid_eur = self._paid_eur(horizon, t, np.array(others_kw), asked_kw) + then + doubt_eur
        return float(asked_kw[np.argmin(paid_eur)])

    def _paid_eur(self, horizon: Horizon, t: int, others_kw: Floats, power_kw: Floats) -> Floats:
        """Bill and wear of step ``t`` [€]."""
        flow_kw = others_kw + power_kw
        price = np.where(flow_kw > 0, horizon.import_eur_per_kwh[t], horizon.export_eur_per_kwh[t])
        paid: Floats = (price * flow_kw + self.store.wear_eur_per_kwh * np.abs(power_kw)) * (
            horizon.step_h
        )
        return paid


def _between(levels_kwh: Floats, paid_eur: Floats, held_kwh: Floats) -> Floats:
    """Each row of ``paid_eur`` at its row of ``held_kwh``, linear between the levels."""
    at = (held_kwh - levels_kwh[0]) / (levels_kwh[1] - levels_kwh[0])
    below = np.clip(at.astype(np.int64), 0, LEVELS - 2)
    low = np.take_along_axis(paid_eur, below, 1)
    high = np.take_along_axis(paid_eur, below + 1, 1)
    found: Floats = low + (at - below) * (high - low)
    return found
