"""Why a machine starts and a heat pump runs when the plan lets them.

A run is one decision, larger than any price holds for: what it would have cost to start it at
another time is not read from the prices but planned anew with the run put there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ems.agents import Cycle, DiscretePhaseDevice, PartialUsageDevice
from ems.report.page import words
from ems.report.page.priced import SAME_CT, VISIBLE_KW, VISIBLE_KWH, PricedPlan, named

Elsewhere = Callable[[DiscretePhaseDevice, Cycle, int], float | None]
"""What the whole plan costs more with a cycle put on a start [ct], None where it does not fit."""


def tell_machine(
    priced: PricedPlan, agent: DiscretePhaseDevice, t: int, elsewhere: Elsewhere
) -> Iterator[str]:
    """Which runs start in step ``t``, and what another start would cost."""
    begun = round(float(priced.series(agent, "started")[t]))
    for row, cycle in enumerate(agent.cycles):
        if cycle.number == begun:
            own = cycle.metered_start == t
            why = _unmoved if own else _moved
            yield f"{named(agent)} starts{why(priced, agent, row, t, elsewhere)}"


def _moved(
    priced: PricedPlan, agent: DiscretePhaseDevice, row: int, t: int, elsewhere: Elsewhere
) -> str:
    there = agent.cycles[row].metered_start
    if there not in _starts(priced, agent.cycles[row]):
        return f": its run costs {words.ct(_run_ct(priced, agent, row, t))}."
    counts = _comfort_ct(agent, row, t) - _comfort_ct(agent, row, there)
    comfort = f", and {words.ct(counts)} of discomfort for moving it" if counts > SAME_CT else ""
    return (
        f" instead of at {priced.clock(there)}, {_people(priced)}: at the plan's prices "
        f"its run costs {words.ct(_run_ct(priced, agent, row, t))} here{comfort}, and "
        f"{words.ct(_run_ct(priced, agent, row, there))} there."
        f"{_at(priced, agent, row, there, elsewhere)}"
    )


def _unmoved(
    priced: PricedPlan, agent: DiscretePhaseDevice, row: int, t: int, elsewhere: Elsewhere
) -> str:
    """Beside the start that the prices make the best of the others."""
    others = [u for u in _starts(priced, agent.cycles[row]) if u != t]
    text = f" {_people(priced)}."
    if not others:
        return text
    best = min(others, key=lambda u: _run_ct(priced, agent, row, u) + _comfort_ct(agent, row, u))
    return f"{text}{_at(priced, agent, row, best, elsewhere)}"


def _people(priced: PricedPlan) -> str:
    return f"when its people {'are expected to start' if priced.believed else 'started'} it"


def _starts(priced: PricedPlan, cycle: Cycle) -> range:
    last = priced.plan.horizon.n_steps - len(cycle.profile_kw)
    return range(cycle.earliest, min(cycle.latest, last) + 1)


def _at(
    priced: PricedPlan, agent: DiscretePhaseDevice, row: int, start: int, elsewhere: Elsewhere
) -> str:
    """What the plan would cost with the run put on another start."""
    more_ct = elsewhere(agent, agent.cycles[row], start)
    when = priced.clock(start)
    if more_ct is None:
        return f" At {when} it does not fit beside the rest of the plan."
    if more_ct <= SAME_CT:
        return f" With a start at {when} the whole plan would cost the same."
    discomfort = agent.discomfort_eur is not None and np.any(agent.discomfort_eur > 0)
    counted = ", discomfort counted" if discomfort else ""
    return f" With a start at {when} the whole plan would cost {words.ct(more_ct)} more{counted}."


def _run_ct(priced: PricedPlan, agent: DiscretePhaseDevice, row: int, start: int) -> float:
    """What a run costs at the prices of the bus [ct]."""
    profile_kw = np.array(agent.cycles[row].profile_kw)
    energy_kwh = priced.plan.horizon.energy_kwh(profile_kw)
    return float(energy_kwh @ priced.worth_ct[start : start + len(profile_kw)])


def _comfort_ct(agent: DiscretePhaseDevice, row: int, start: int) -> float:
    """What a start counts in comfort [ct]."""
    return 0.0 if agent.discomfort_eur is None else 100 * float(agent.discomfort_eur[row, start])


def tell_heat(priced: PricedPlan, agent: PartialUsageDevice, t: int) -> Iterator[str]:
    """How the heat pump differs from its meter in step ``t``, and from or to which step it is."""
    power_kw = priced.series(agent, "power_kw")
    more_kw = power_kw - agent.metered_kw
    unplanned = "expected without a plan" if priced.believed else "metered"
    if abs(more_kw[t]) <= VISIBLE_KW:
        if power_kw[t] > VISIBLE_KW:
            yield f"{named(agent)} draws {words.kw(float(power_kw[t]))}, as {unplanned}."
        return
    word = "more" if more_kw[t] > 0 else "less"
    does = f"draws {words.kw(float(power_kw[t]))}" if power_kw[t] > VISIBLE_KW else "rests"
    text = (
        f"{named(agent)} {does}, {words.kw(abs(float(more_kw[t])))} {word} than {unplanned}: "
        f"a kWh is worth {priced.worth(t)}"
    )
    other = exchanged(priced, agent, t)
    if other is None:
        yield f"{text}."
    elif abs(float(priced.worth_ct[t] - priced.worth_ct[other])) <= SAME_CT:
        yield f"{text}; at {priced.clock(other)} it would cost the same."
    else:
        yield f"{text} and {priced.worth(other)} at {priced.clock(other)}."


def exchanged(priced: PricedPlan, agent: PartialUsageDevice, t: int) -> int | None:
    """The step with which ``t`` exchanges heat at the greatest difference of prices.

    While the energy drawn stays ahead of what was metered, what is drawn early and spared later
    could be taken back a little without leaving the band, and the same the other way while it stays
    behind: the plan only does it where it pays or costs nothing.
    """
    more_kw = priced.series(agent, "power_kw") - agent.metered_kw
    ahead_kwh = np.cumsum(priced.plan.horizon.energy_kwh(more_kw))
    side = np.where(np.abs(ahead_kwh) > VISIBLE_KWH, np.sign(ahead_kwh), 0.0)
    sign = float(np.sign(more_kw[t]))
    turns = np.flatnonzero(side[t:] != sign) + t
    end = int(turns[0]) + 1 if turns.size else len(side)
    first = int(np.max(np.flatnonzero(side[:t] != -sign), initial=-1)) + 1
    opposite: list[int] = [
        u for u in (*range(first, t), *range(t + 1, end)) if sign * more_kw[u] < -VISIBLE_KW
    ]
    if not opposite:
        return None
    return max(opposite, key=lambda u: (sign * round(float(priced.worth_ct[u]), 6), -abs(u - t)))
