"""Sentences on why a battery or a car charges or discharges in a step.

A kWh is followed from charging to discharging by last in, first out: a charge is gone once the
store is as empty as before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ems.agents import words
from ems.agents.priced import SAME_CT, VISIBLE_KW, VISIBLE_KWH, PricedPlan, Titled
from ems.agents.store import Store

_GIVEN: Mapping[str, str] = {
    "sold": "each kWh is sold at",
    "mostly sold": "most of it is sold at",
    "not bought": "each kWh saves buying one at",
    "mostly not bought": "most of it saves buying at",
}


class Storing(Titled, Protocol):
    """A battery or a car."""

    @property
    def initial_soc_kwh(self) -> float:
        """Charge before the first step [kWh]."""

    @property
    def store(self) -> Store:
        """Losses and wear."""


def charge_before_kwh(priced: PricedPlan, agent: Storing, t: int) -> float:
    """The charge of a store before step ``t`` [kWh]."""
    return agent.initial_soc_kwh if t == 0 else float(priced.series(agent, "soc_kwh")[t - 1])


def given_back(priced: PricedPlan, agent: Storing, t: int) -> int | None:
    """The step with the largest discharge among those that give back the charge of ``t``."""
    soc_kwh, given_kw = priced.series(agent, "soc_kwh"), priced.series(agent, "discharge_kw")
    # 1e-3 kWh of slack: a solver does not return to exactly the same charge.
    gone = np.flatnonzero(soc_kwh[t:] <= charge_before_kwh(priced, agent, t) + 1e-3) + t
    end = int(gone[0]) + 1 if gone.size else len(soc_kwh)
    if end - t <= 1 or np.max(given_kw[t + 1 : end]) <= VISIBLE_KW:
        return None
    return t + 1 + int(np.argmax(given_kw[t + 1 : end]))


def charged_before(priced: PricedPlan, agent: Storing, t: int) -> int | None:
    """The step with the largest charge among those still stored when ``t`` begins."""
    soc_kwh, charge_kw = priced.series(agent, "soc_kwh"), priced.series(agent, "charge_kw")
    held = [
        u
        for u in range(t)
        if charge_kw[u] > VISIBLE_KW
        and np.min(soc_kwh[u:t]) > charge_before_kwh(priced, agent, u) + VISIBLE_KWH
    ]
    return max(held, key=lambda u: float(charge_kw[u])) if held else None


def replaced(priced: PricedPlan, agent: Storing, t: int) -> tuple[float, str]:
    """What most of the discharge of a step does: sold, or replaces a purchase [ct/kWh]."""
    given_kw = float(priced.series(agent, "discharge_kw")[t])
    sold_kw = float(np.clip(-priced.grid_kw[t], 0.0, given_kw))
    if sold_kw >= given_kw / 2:
        how = "sold" if sold_kw >= given_kw - VISIBLE_KW else "mostly sold"
        return priced.export_ct(t), how
    return priced.import_ct(t), "not bought" if sold_kw <= VISIBLE_KW else "mostly not bought"


def gain_ct(agent: Storing, charged_ct: float, given_ct: float) -> float:
    """Gain of a kWh charged and discharged, after losses and wear [ct]."""
    store = agent.store
    kept = store.charge_efficiency * store.discharge_efficiency
    return kept * given_ct - charged_ct - 100 * store.wear_eur_per_kwh * (1 + kept)


def verdict(priced: PricedPlan, agent: Storing, t: int, later: int) -> str:
    """Gain between two steps after losses and wear, as a sentence."""
    then_ct = replaced(priced, agent, later)[0]
    left_ct = gain_ct(agent, float(priced.worth_ct[t]), then_ct)
    if abs(left_ct) <= SAME_CT:
        return " After losses and wear, either way costs the same."
    if left_ct > 0:
        return f" After losses and wear {words.ct(left_ct)} are left."
    return " These two hours alone would not pay; the charge is needed for the rest of the plan."


def given(priced: PricedPlan, agent: Storing, t: int) -> str:
    """What it discharges in step ``t``, at what value, and when that was charged."""
    then_ct, how = replaced(priced, agent, t)
    given_kw = float(priced.series(agent, "discharge_kw")[t])
    text = f"The {agent.title} gives {words.kw(given_kw)}: {_GIVEN[how]} {words.ct(then_ct)}"
    filled = charged_before(priced, agent, t)
    if filled is None:
        return f"{text}, from what was stored before this day."
    was = f"a kWh was worth {words.ct(float(priced.worth_ct[filled]))} when most was charged"
    return f"{text}; {was}, at {priced.clock(filled)}.{verdict(priced, agent, filled, t)}"
