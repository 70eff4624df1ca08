"""A plan with its own prices, and the words for a step of it that all reasons share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ems.agents import Agent, BatteryAgent, EVAgent, GridAgent
from ems.agents.dispatch_plan import DispatchPlan
from ems.report.page import words
from ems.types import Floats

VISIBLE_KW = 0.05
"""Less than this is not told [kW]."""
VISIBLE_KWH = 0.01
"""Charges closer than this are the same [kWh]."""
SAME_CT = 0.1
"""Prices and costs closer than this are called the same [ct]."""
_LONGEST_LIST = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class PricedPlan:
    """``plan`` with the price of its bus in each step, ``worth_ct`` [ct/kWh], ``(n_steps,)``.

    ``n_told``: how many of the steps are carried out; ``believed``: whether what comes is a
    forecast and not known.
    """

    plan: DispatchPlan
    worth_ct: Floats
    n_told: int
    believed: bool = False

    # --- numbers -------------------------------------------------------------------------------

    def series(self, agent: Agent, name: str) -> Floats:
        """A series of an agent's plan, zero where its plan has none."""
        plan = self.plan.plans[agent.name]
        return plan.series.get(name, np.zeros(len(plan.net_load_kw)))

    def before_kwh(self, agent: BatteryAgent | EVAgent, t: int) -> float:
        """The charge of a store before step ``t`` [kWh]."""
        return agent.initial_soc_kwh if t == 0 else float(self.series(agent, "soc_kwh")[t - 1])

    @cached_property
    def grid(self) -> GridAgent:
        """The building's connection."""
        return next(agent for agent in self.plan.agents if isinstance(agent, GridAgent))

    @cached_property
    def grid_kw(self) -> Floats:
        """Import positive, export negative [kW]."""
        return -self.plan.net_load_kw("grid")

    @cached_property
    def sun_kw(self) -> Floats:
        """What generation feeds in [kW]."""
        return -self.plan.net_load_kw("generation")

    def import_ct(self, t: int) -> float:
        """Price of a kWh bought [ct/kWh]."""
        return 100 * float(self.plan.horizon.import_eur_per_kwh[t])

    def export_ct(self, t: int) -> float:
        """What a kWh sold earns [ct/kWh]."""
        return 100 * float(self.plan.horizon.export_eur_per_kwh[t])

    # --- words ---------------------------------------------------------------------------------

    @cached_property
    def _clock_counts(self) -> Counter[str]:
        return Counter(f"{when:%Y-%m-%d %H:%M}" for when in self.plan.horizon.local)

    def clock(self, t: int) -> str:
        """The local time at which step ``t`` begins; the doubled hour of autumn with its zone."""
        return self._named(self.plan.horizon.local[t])

    def clock_after(self, t: int) -> str:
        """The local time at which step ``t`` ends."""
        horizon = self.plan.horizon
        return self._named(horizon.local[t] + pd.Timedelta(hours=horizon.step_h))

    def _named(self, when: pd.Timestamp) -> str:
        first = self.plan.horizon.local[0].date()
        twice = self._clock_counts[f"{when:%Y-%m-%d %H:%M}"] > 1
        zone = f" {when.tzname()}" if twice else ""
        days = (when.date() - first).days
        later = "" if not days else " the next day" if days == 1 else f" {days} days later"
        return f"{when:%H:%M}{zone}{later}"

    def clocks(self, steps: Sequence[int]) -> str:
        """Some steps by their times; of a long list only the first few."""
        named = [self.clock(t) for t in steps]
        more = len(named) - _LONGEST_LIST
        if more <= 1:
            return words.listed(named)
        return f"{', '.join(named[:_LONGEST_LIST])} and {more} more times"

    def worth(self, t: int) -> str:
        """The price of the bus in a step, and whether that is a kWh sold, bought or neither."""
        return f"{words.ct(float(self.worth_ct[t]))} ({self._whose_price(t)})"

    def _whose_price(self, t: int) -> str:
        worth, grid_kw = float(self.worth_ct[t]), float(self.grid_kw[t])
        if grid_kw > VISIBLE_KW:
            if abs(worth - self.import_ct(t)) <= SAME_CT:
                return "bought"
            if grid_kw >= self.grid.max_import_kw - VISIBLE_KW:
                return "no more can be bought"
            return "bought, and it would raise the peak"
        if grid_kw < -VISIBLE_KW:
            full = -grid_kw >= self.grid.max_export_kw - VISIBLE_KW
            same = abs(worth - self.export_ct(t)) <= SAME_CT
            return "no more can be sold" if full and not same else "sold"
        return "kept in the building"

    def source(self, agent: Agent, t: int) -> str:
        """What feeds the building while ``agent`` draws, as the end of a phrase."""
        found = ["the sun"] if self.sun_kw[t] > VISIBLE_KW else []
        found += [
            f"the {words.device_title(other.name)}"
            for other in self.plan.agents
            if other.name != agent.name and self.series(other, "discharge_kw")[t] > VISIBLE_KW
        ]
        found += ["the grid"] if self.grid_kw[t] > VISIBLE_KW else []
        return f" from {words.listed(found)}" if found else ""


def named(agent: Agent) -> str:
    """The agent at the beginning of a sentence."""
    return f"The {words.device_title(agent.name)}"
