"""Why a battery or a car charges, gives back or rests in a step, from the prices of the plan.

A kWh is followed from the step in which it is charged to that in which it is given back by the
rule that what came last goes first: a charge is gone when the store is as empty as before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ems.agents import BatteryAgent, EVAgent
from ems.report.page import words
from ems.report.page.priced import SAME_CT, VISIBLE_KW, VISIBLE_KWH, PricedPlan, named

Storing = BatteryAgent | EVAgent
_GIVEN: Mapping[str, str] = {
    "sold": "each kWh is sold at",
    "mostly sold": "most of it is sold at",
    "not bought": "each kWh saves buying one at",
    "mostly not bought": "most of it saves buying at",
}


def tell_battery(priced: PricedPlan, agent: BatteryAgent, t: int) -> Iterator[str]:
    """What the battery does in step ``t`` and why; a battery of no size does nothing."""
    charge_kw = float(priced.series(agent, "charge_kw")[t])
    if charge_kw > VISIBLE_KW:
        took = f"{named(agent)} takes {words.kw(charge_kw)}{priced.source(agent, t)}"
        yield f"{took}: {_stored(priced, agent, t)}"
    elif priced.series(agent, "discharge_kw")[t] > VISIBLE_KW:
        yield _given(priced, agent, t)
    elif agent.capacity_kwh - agent.min_soc_kwh > VISIBLE_KWH:
        yield _rests(priced, agent, t)


def tell_car(priced: PricedPlan, agent: EVAgent, t: int) -> Iterator[str]:
    """What the car does in step ``t`` and why; nothing while it only stands or drives."""
    charge_kw = float(priced.series(agent, "charge_kw")[t])
    if charge_kw > VISIBLE_KW:
        yield (
            f"{named(agent)} charges {words.kw(charge_kw)}{priced.source(agent, t)}"
            f"{_deadline(priced, agent, t)}: a kWh is worth {priced.worth(t)}."
            f"{_other_hours(priced, agent, t)}"
        )
    elif priced.series(agent, "discharge_kw")[t] > VISIBLE_KW:
        yield _given(priced, agent, t)


# --- charging --------------------------------------------------------------------------------


def _stored(priced: PricedPlan, agent: BatteryAgent, t: int) -> str:
    """Why it charges: what a kWh is worth now, and where it is given back."""
    now = f"a kWh is worth {priced.worth(t)} now"
    later = given_back(priced, agent, t)
    if later is None:
        return f"{now}; it is kept: at its end the plan must leave {agent.least_final_kwh:g} kWh."
    then_ct, how = _replaced(priced, agent, later)
    return (
        f"{now} and {words.ct(then_ct)} at {priced.clock(later)} ({how})."
        f"{_verdict(priced, agent, t, later)}{_enough(priced, later, then_ct)}"
        f"{_as_well(priced, agent, t)}"
    )


def given_back(priced: PricedPlan, agent: Storing, t: int) -> int | None:
    """Of the steps in which what is charged in ``t`` is given back, that with most of it."""
    soc_kwh, given_kw = priced.series(agent, "soc_kwh"), priced.series(agent, "discharge_kw")
    gone = np.flatnonzero(soc_kwh[t:] <= priced.before_kwh(agent, t) + 1e-3) + t
    end = int(gone[0]) + 1 if gone.size else len(soc_kwh)
    if end - t <= 1 or np.max(given_kw[t + 1 : end]) <= VISIBLE_KW:
        return None
    return t + 1 + int(np.argmax(given_kw[t + 1 : end]))


def charged_before(priced: PricedPlan, agent: Storing, t: int) -> int | None:
    """Of the steps whose charge is still there when ``t`` begins, that with most of it."""
    soc_kwh, charge_kw = priced.series(agent, "soc_kwh"), priced.series(agent, "charge_kw")
    held = [
        u
        for u in range(t)
        if charge_kw[u] > VISIBLE_KW
        and np.min(soc_kwh[u:t]) > priced.before_kwh(agent, u) + VISIBLE_KWH
    ]
    return max(held, key=lambda u: float(charge_kw[u])) if held else None


def _replaced(priced: PricedPlan, agent: Storing, t: int) -> tuple[float, str]:
    """What becomes of most that is given in a step: sold, or used and not bought [ct/kWh]."""
    given_kw = float(priced.series(agent, "discharge_kw")[t])
    sold_kw = float(np.clip(-priced.grid_kw[t], 0.0, given_kw))
    if sold_kw >= given_kw / 2:
        how = "sold" if sold_kw >= given_kw - VISIBLE_KW else "mostly sold"
        return priced.export_ct(t), how
    return priced.import_ct(t), "not bought" if sold_kw <= VISIBLE_KW else "mostly not bought"


def _gain_ct(agent: Storing, charged_ct: float, given_ct: float) -> float:
    """What a kWh charged and given back earns after losses and wear [ct]."""
    store = agent.store
    kept = store.charge_efficiency * store.discharge_efficiency
    return kept * given_ct - charged_ct - 100 * store.wear_eur_per_kwh * (1 + kept)


def _verdict(priced: PricedPlan, agent: Storing, t: int, later: int) -> str:
    """What is left of the difference of two hours after losses and wear."""
    then_ct = _replaced(priced, agent, later)[0]
    gain_ct = _gain_ct(agent, float(priced.worth_ct[t]), then_ct)
    if abs(gain_ct) <= SAME_CT:
        return " After losses and wear, either way costs the same."
    if gain_ct > 0:
        return f" After losses and wear {words.ct(gain_ct)} are left."
    return " These two hours alone would not pay; the charge is needed for the rest of the plan."


def _enough(priced: PricedPlan, later: int, then_ct: float) -> str:
    worth_ct = float(priced.worth_ct[later])
    if worth_ct >= then_ct - SAME_CT:
        return ""
    return (
        f" By then enough is stored: one kWh more would be worth only {words.ct(worth_ct)} there."
    )


def _as_well(priced: PricedPlan, agent: BatteryAgent, t: int) -> str:
    """Other hours of the same worth between which the charge is free to move."""
    soc_kwh, charge_kw = priced.series(agent, "soc_kwh"), priced.series(agent, "charge_kw")
    free = soc_kwh < agent.capacity_kwh - VISIBLE_KWH
    free &= soc_kwh > agent.min_soc_kwh + VISIBLE_KWH
    same = [
        u
        for u in range(priced.n_told)
        if u != t
        and abs(priced.worth_ct[u] - priced.worth_ct[t]) <= SAME_CT
        and charge_kw[u] < agent.max_charge_kw - VISIBLE_KW
        and priced.series(agent, "discharge_kw")[u] <= VISIBLE_KW
        and bool(np.all(free[min(t, u) : max(t, u)]))
    ]
    return f" {priced.clocks(same)} would do as well: the same worth." if same else ""


# --- giving back, resting --------------------------------------------------------------------


def _given(priced: PricedPlan, agent: Storing, t: int) -> str:
    then_ct, how = _replaced(priced, agent, t)
    given_kw = float(priced.series(agent, "discharge_kw")[t])
    text = f"{named(agent)} gives {words.kw(given_kw)}: {_GIVEN[how]} {words.ct(then_ct)}"
    filled = charged_before(priced, agent, t)
    if filled is None:
        return f"{text}, from what was stored before this day."
    was = f"a kWh was worth {words.ct(float(priced.worth_ct[filled]))} when most was charged"
    return f"{text}; {was}, at {priced.clock(filled)}.{_verdict(priced, agent, filled, t)}"


def _rests(priced: PricedPlan, agent: BatteryAgent, t: int) -> str:
    """How full it is, and for which hour it waits."""
    charge_kw, given_kw = priced.series(agent, "charge_kw"), priced.series(agent, "discharge_kw")
    soc_kwh = float(priced.series(agent, "soc_kwh")[t])
    state = f"rests with {words.kwh(soc_kwh)}"
    if soc_kwh <= agent.min_soc_kwh + VISIBLE_KWH:
        state = "is empty"
    elif soc_kwh >= agent.capacity_kwh - VISIBLE_KWH:
        state = "is full"
    busy = np.flatnonzero(np.maximum(charge_kw, given_kw) > VISIBLE_KW)
    if not busy.size:
        why = _nothing_pays(priced, agent) if t == 0 else ""
        return f"{named(agent)} {state} all the time{why}."
    later = busy[busy > t]
    if not later.size:
        return f"{named(agent)} {state} until the plan ends."
    then = int(later[0])
    if t > 0 and not np.any(busy == t - 1):
        return (
            f"{named(agent)} {state.replace('is ', 'is still ').replace('rests', 'still rests')}."
        )
    does = "charges" if charge_kw[then] > given_kw[then] else "gives"
    return (
        f"{named(agent)} {state}; it {does} next at {priced.clock(then)}: a kWh is worth "
        f"{words.ct(float(priced.worth_ct[t]))} now and "
        f"{words.ct(float(priced.worth_ct[then]))} then."
    )


def _nothing_pays(priced: PricedPlan, agent: BatteryAgent) -> str:
    """Said only where no pair of steps would earn anything, in an order that its charge allows."""
    kwh, worth_ct = agent.initial_soc_kwh, priced.worth_ct
    n = len(worth_ct)
    pays = [
        _gain_ct(agent, float(worth_ct[c]), float(worth_ct[d])) > SAME_CT
        for c in range(n)
        for d in range(n)
        if (c < d and kwh < agent.capacity_kwh - VISIBLE_KWH)
        or (d < c and kwh > agent.min_soc_kwh + VISIBLE_KWH)
    ]
    return "" if any(pays) else ": no two hours differ by more than its losses and wear"


# --- the car ---------------------------------------------------------------------------------


def _deadline(priced: PricedPlan, agent: EVAgent, t: int) -> str:
    """What it must hold next, and by when."""
    due = _due(agent, t)
    if due is None:
        return ""
    needed = f"{float(agent.min_soc_kwh[due]):.1f}".removesuffix(".0")
    return f", to hold {needed}{words.NBSP}kWh by {priced.clock_after(due)}"


def _due(agent: EVAgent, t: int) -> int | None:
    """The step at whose end it must next hold a given charge."""
    due = np.flatnonzero(agent.min_soc_kwh[t:] > VISIBLE_KWH) + t
    return int(due[0]) if due.size else None


def _other_hours(priced: PricedPlan, agent: EVAgent, t: int) -> str:
    """How the hour compares with the others of the same stay that are in time and have room."""
    worth_ct, (first, end) = priced.worth_ct, _stay(agent, t)
    room_kw = agent.charge_limit_kw - priced.series(agent, "charge_kw")
    free = [u for u in range(first, end) if u != t and room_kw[u] > VISIBLE_KW]
    if not free:
        return " It needs every hour in which it may charge."
    best = min(free, key=lambda u: float(worth_ct[u]))
    dearer_ct = float(worth_ct[best] - worth_ct[t])
    same = [u for u in free if abs(worth_ct[u] - worth_ct[t]) <= SAME_CT]
    if abs(dearer_ct) <= SAME_CT:
        return f" {priced.clocks(same)} would cost the same."
    if dearer_ct > 0:
        return f" The next best hour, {priced.clock(best)}, would cost {words.ct(dearer_ct)} more."
    why = "it must hold this before" if best > t else "it may not hold more by then"
    return f" {priced.clock(best)} would be cheaper, but {why}."


def _stay(agent: EVAgent, t: int) -> tuple[int, int]:
    """From the arrival before step ``t`` to its next departure or deadline: first step and end."""
    away, arrivals = np.flatnonzero(~agent.plugged_in), np.flatnonzero(agent.trip_kwh > 0)
    first = max(
        int(np.max(away[away < t], initial=-1)) + 1,
        int(np.max(arrivals[arrivals <= t], initial=0)),
    )
    end = min(
        int(np.min(away[away > t], initial=len(agent.plugged_in))),
        int(np.min(arrivals[arrivals > t], initial=len(agent.plugged_in))),
    )
    due = _due(agent, t)
    return first, end if due is None else min(end, due + 1)
