"""A plan with its bus prices, and sentences about a step that agents share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ems.agents import words
from ems.core.horizon import Horizon
from ems.core.participant import Kind, Plan
from ems.types import Floats

VISIBLE_KW = 0.05
"""Powers below this are not mentioned [kW]."""
VISIBLE_KWH = 0.01
"""Charges closer than this count as equal [kWh]."""
SAME_CT = 0.1
"""Prices and costs closer than this count as equal [ct]."""
_LONGEST_LIST = 3


class Titled(Protocol):
    """What sentences about other agents need."""

    @property
    def name(self) -> str:
        """Name in the plan."""

    @property
    def kind(self) -> Kind:
        """Side of the energy balance."""

    @property
    def title(self) -> str:
        """Name as shown to people."""


class Elsewhere(Protocol):
    """Prices another choice of one agent by planning again."""

    def __call__(self, name: str, changes: Mapping[str, Any], moved: Plan) -> float | None:
        """Extra cost of the whole plan with these fields of agent ``name`` changed [ct].

        ``moved``: the agent's plan with the other choice, all else as planned. None if it does not
        fit through the grid connection.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class PricedPlan:
    """``plans`` over ``horizon`` with bus prices ``worth_ct`` [ct/kWh], shape ``(n_steps,)``.

    ``n_told``: number of steps carried out; ``max_import_kw``, ``max_export_kw``: limits of the
    grid connection [kW]; ``believed``: whether inputs are forecasts.
    """

    horizon: Horizon
    agents: Sequence[Titled]
    plans: Mapping[str, Plan]
    worth_ct: Floats
    n_told: int
    max_import_kw: Floats
    max_export_kw: Floats
    elsewhere: Elsewhere
    believed: bool = False

    # --- numbers -------------------------------------------------------------------------------

    def series(self, agent: Titled, name: str) -> Floats:
        """A series of an agent's plan, zero if the plan has none."""
        plan = self.plans[agent.name]
        return plan.series.get(name, np.zeros(len(plan.net_load_kw)))

    def net_load_kw(self, kind: Kind) -> Floats:
        """Σ net load of the agents of a kind [kW]."""
        parts = [self.plans[agent.name].net_load_kw for agent in self.agents if agent.kind == kind]
        total: Floats = np.sum([np.zeros(self.horizon.n_steps), *parts], axis=0)
        return total

    @cached_property
    def grid_kw(self) -> Floats:
        """Grid flow [kW], import positive."""
        return -self.net_load_kw("grid")

    @cached_property
    def sun_kw(self) -> Floats:
        """Generation [kW]."""
        return -self.net_load_kw("generation")

    def import_ct(self, t: int) -> float:
        """Price of a kWh bought [ct/kWh]."""
        return 100 * float(self.horizon.import_eur_per_kwh[t])

    def export_ct(self, t: int) -> float:
        """Revenue of a kWh sold [ct/kWh]."""
        return 100 * float(self.horizon.export_eur_per_kwh[t])

    # --- words ---------------------------------------------------------------------------------

    @cached_property
    def _clock_counts(self) -> Counter[str]:
        return Counter(f"{when:%Y-%m-%d %H:%M}" for when in self.horizon.local)

    def clock(self, t: int) -> str:
        """Local start time of step ``t``; the repeated hour in autumn with its zone."""
        return self._named(self.horizon.local[t])

    def clock_after(self, t: int) -> str:
        """Local end time of step ``t``."""
        return self._named(self.horizon.local[t] + timedelta(hours=self.horizon.step_h))

    def _named(self, when: datetime) -> str:
        first = self.horizon.local[0].date()
        twice = self._clock_counts[f"{when:%Y-%m-%d %H:%M}"] > 1
        zone = f" {when.tzname()}" if twice else ""
        days = (when.date() - first).days
        later = "" if not days else " the next day" if days == 1 else f" {days} days later"
        return f"{when:%H:%M}{zone}{later}"

    def clocks(self, steps: Sequence[int]) -> str:
        """Start times of some steps; a long list is shortened."""
        named = [self.clock(t) for t in steps]
        more = len(named) - _LONGEST_LIST
        # "and 1 more times" would be as long as the time itself.
        if more <= 1:
            return words.listed(named)
        return f"{', '.join(named[:_LONGEST_LIST])} and {more} more times"

    def worth(self, t: int) -> str:
        """The bus price of a step, and whether it comes from a sale, a purchase or neither."""
        return f"{words.ct(float(self.worth_ct[t]))} ({self._whose_price(t)})"

    def _whose_price(self, t: int) -> str:
        worth, grid_kw = float(self.worth_ct[t]), float(self.grid_kw[t])
        if grid_kw > VISIBLE_KW:
            if abs(worth - self.import_ct(t)) <= SAME_CT:
                return "bought"
            if grid_kw >= self.max_import_kw[t] - VISIBLE_KW:
                return "no more can be bought"
            return "bought, and it would raise the peak"
        if grid_kw < -VISIBLE_KW:
            full = -grid_kw >= self.max_export_kw[t] - VISIBLE_KW
            same = abs(worth - self.export_ct(t)) <= SAME_CT
            return "no more can be sold" if full and not same else "sold"
        return "kept in the building"

    def source(self, agent: Titled, t: int) -> str:
        """What feeds the building while ``agent`` draws, as the end of a phrase."""
        found = ["the sun"] if self.sun_kw[t] > VISIBLE_KW else []
        found += [
            f"the {other.title}"
            for other in self.agents
            if other.name != agent.name and self.series(other, "discharge_kw")[t] > VISIBLE_KW
        ]
        found += ["the grid"] if self.grid_kw[t] > VISIBLE_KW else []
        return f" from {words.listed(found)}" if found else ""
