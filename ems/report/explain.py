"""What a plan does in each hour of a day and why, in words, from the plan's own prices.

The price of the bus is what one kWh more would cost in that hour, all plans taken together: the
feed-in where the last kWh is sold, the tariff's price where it is bought, something between where
the house keeps to itself. A choice is explained by the prices of the hours that it is between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    Cycle,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PartialUsageDevice,
    PVAgent,
)
from ems.linear import Floats
from ems.optimizer import GlobalOptimizer
from ems.problem import Problem
from ems.program import Program
from ems.schedule import Schedule
from ems.solver import Solver

VISIBLE_KW = 0.05
"""Less than this is not told [kW]."""
SAME_CT = 0.1
"""Prices and costs closer than this are called the same [ct]."""
_LONGEST_LIST = 3


@dataclass(frozen=True, kw_only=True)
class ExplainedHour:
    """One step of the day: its local time, its prices [ct/kWh] and what happens in it and why."""

    local: pd.Timestamp
    import_ct: float
    export_ct: float
    worth_ct: float
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplainedDay:
    """A planned day with its prices and its reasons.

    ``schedule``: the committed steps; ``worth_eur_per_kwh``: the price of the bus in each of them.
    ``left_over_kw``: the largest imbalance of a step; ``bill_off_eur``: how far the cost recomputed
    from the plans is from what the solver said; ``gap_eur``: from the proven bound.
    """

    schedule: Schedule
    worth_eur_per_kwh: Floats
    hours: tuple[ExplainedHour, ...]
    left_over_kw: float
    bill_off_eur: float
    gap_eur: float


def explain_day(problem: Problem, solver: Solver) -> ExplainedDay:
    """Plan ``problem`` centrally, price its bus, and say what each committed step does and why.

    Raises ``Infeasible`` and ``SolveError`` as the plan does.
    """
    plan = GlobalOptimizer(problem.agents, problem.grid, solver).optimize_centralized(
        problem.horizon
    )
    program = Program(problem.horizon)
    for agent in plan.agents:
        program.add(agent)
    worth = program.bus_prices(solver)
    horizon, n = problem.horizon, problem.n_committed
    teller = Teller(plan=plan, worth_ct=100 * worth, n_told=n)
    hours = tuple(
        ExplainedHour(
            local=horizon.local[t],
            import_ct=100 * float(horizon.import_eur_per_kwh[t]),
            export_ct=100 * float(horizon.export_eur_per_kwh[t]),
            worth_ct=100 * float(worth[t]),
            sentences=tuple(teller.tell(t)),
        )
        for t in range(n)
    )
    balance_kw = plan.net_load_kw("load", "generation", "storage", "grid")
    return ExplainedDay(
        schedule=plan.window(0, n),
        worth_eur_per_kwh=worth[:n],
        hours=hours,
        left_over_kw=float(np.max(np.abs(balance_kw))),
        bill_off_eur=abs(sum(plan.costs_eur().values()) - plan.objective_eur),
        gap_eur=plan.gap_eur,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Teller:
    """Tells the steps of ``plan``.

    ``worth_ct``: the price of its bus in each step [ct/kWh], shape ``(n_steps,)``; ``n_told``: how
    many of the steps are carried out.
    """

    plan: Schedule
    worth_ct: Floats
    n_told: int

    def tell(self, t: int) -> Iterator[str]:
        """What happens in step ``t`` and why: the house, everything that chose, the grid."""
        yield self._house(t)
        for agent in self.plan.agents:
            match agent:
                case BatteryAgent():
                    yield from self._battery(agent, t)
                case EVAgent():
                    yield from self._car(agent, t)
                case DiscretePhaseDevice():
                    yield from self._machine(agent, t)
                case PartialUsageDevice():
                    yield from self._heat(agent, t)
                case PVAgent():
                    yield from self._curtailed(agent, t)
                case BaseLoadAgent() | GridAgent():
                    pass
                case _:
                    yield from self._other(agent, t)
        yield self._grid(t)

    # --- numbers -------------------------------------------------------------------------------

    def _series(self, agent: Agent, name: str) -> Floats:
        plan = self.plan.plans[agent.name]
        return plan.series.get(name, np.zeros(len(plan.net_load_kw)))

    @cached_property
    def _grid_kw(self) -> Floats:
        """Import positive, export negative [kW]."""
        return -self.plan.net_load_kw("grid")

    @cached_property
    def _sun_kw(self) -> Floats:
        return -self.plan.net_load_kw("generation")

    def _import_ct(self, t: int) -> float:
        return 100 * float(self.plan.horizon.import_eur_per_kwh[t])

    def _export_ct(self, t: int) -> float:
        return 100 * float(self.plan.horizon.export_eur_per_kwh[t])

    # --- words ---------------------------------------------------------------------------------

    def _clock(self, t: int) -> str:
        when = self.plan.horizon.local[t]
        days = (when.date() - self.plan.horizon.local[0].date()).days
        return f"{when:%H:%M}" + (" the next day" if days else "")

    def _clocks(self, steps: Sequence[int]) -> str:
        named = [self._clock(t) for t in steps[:_LONGEST_LIST]]
        if len(steps) > _LONGEST_LIST:
            return f"{', '.join(named)} and {len(steps) - _LONGEST_LIST} more hours"
        return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)

    def _worth(self, t: int) -> str:
        """The price of the bus in a step, and whether that is a kWh sold or bought."""
        worth = float(self.worth_ct[t])
        if self._grid_kw[t] < -VISIBLE_KW and abs(worth - self._export_ct(t)) <= SAME_CT:
            return f"{_ct(worth)} (sold)"
        if self._grid_kw[t] > VISIBLE_KW and abs(worth - self._import_ct(t)) <= SAME_CT:
            return f"{_ct(worth)} (bought)"
        return f"{_ct(worth)} (kept in the house)"

    # --- who does what -------------------------------------------------------------------------

    def _house(self, t: int) -> str:
        used_kw = sum(
            float(self.plan.plans[agent.name].net_load_kw[t])
            for agent in self.plan.agents
            if isinstance(agent, BaseLoadAgent)
        )
        sun_kw = float(self._sun_kw[t])
        sun = f", the sun gives {_kw(sun_kw)}" if sun_kw > VISIBLE_KW else ""
        return f"The house uses {_kw(used_kw)}{sun}."

    def _grid(self, t: int) -> str:
        grid_kw = float(self._grid_kw[t])
        if grid_kw > VISIBLE_KW:
            return f"{_kw(grid_kw)} are bought at {_ct(self._import_ct(t))} a kWh."
        if grid_kw < -VISIBLE_KW:
            return f"{_kw(-grid_kw)} are sold at {_ct(self._export_ct(t))} a kWh."
        return "Next to nothing is bought or sold."

    def _other(self, agent: Agent, t: int) -> Iterator[str]:
        net_kw = float(self.plan.plans[agent.name].net_load_kw[t])
        if abs(net_kw) > VISIBLE_KW:
            verb = "draws" if net_kw > 0 else "gives"
            yield f"{_named(agent)} {verb} {_kw(abs(net_kw))}; a kWh is worth {self._worth(t)}."

    def _curtailed(self, agent: PVAgent, t: int) -> Iterator[str]:
        lost_kw = float(self._series(agent, "curtailed_kw")[t])
        if lost_kw > VISIBLE_KW:
            yield (
                f"{_kw(lost_kw)} of the sun are left unused: one kWh more would be worth "
                f"{_ct(float(self.worth_ct[t]))}."
            )

    def _battery(self, agent: BatteryAgent, t: int) -> Iterator[str]:
        charge_kw = float(self._series(agent, "charge_kw")[t])
        if charge_kw > VISIBLE_KW:
            took = f"{_named(agent)} takes {_kw(charge_kw)}{self._source(t)}"
            yield f"{took}: {self._stored(agent, t)}"
        yield from self._given(agent, t)

    def _source(self, t: int) -> str:
        bought, sunny = self._grid_kw[t] > VISIBLE_KW, self._sun_kw[t] > VISIBLE_KW
        if bought and sunny:
            return " from sun and grid"
        return " from the grid" if bought else " from the sun" if sunny else ""

    def _stored(self, agent: BatteryAgent, t: int) -> str:
        """Why it charges: what a kWh is worth now, and where it is given back."""
        now = f"a kWh is worth {self._worth(t)} now"
        later = self._given_back(agent, t)
        if later is None:
            least_kwh = agent.least_final_kwh
            return f"{now}; it is kept, at its end the plan must leave {least_kwh:g} kWh."
        then_ct, how = self._replaced(agent, later)
        pair = f"{now} and {_ct(then_ct)} at {self._clock(later)} ({how})"
        return f"{pair}.{self._verdict(agent, t, later)}{self._enough(later, then_ct)}" + (
            self._as_well(agent, t)
        )

    def _verdict(self, agent: BatteryAgent | EVAgent, t: int, later: int) -> str:
        """What is left of the difference of two hours after losses and wear."""
        store, now_ct = agent.store, float(self.worth_ct[t])
        then_ct = self._replaced(agent, later)[0]
        kept = store.charge_efficiency * store.discharge_efficiency
        gain_ct = kept * then_ct - now_ct - 100 * store.wear_eur_per_kwh * (1 + kept)
        if abs(gain_ct) <= SAME_CT:
            return " After losses and wear, either way costs the same."
        if gain_ct > 0:
            return f" After losses and wear {_ct(gain_ct)} are left."
        return (
            " These two hours alone would not pay; the charge is needed for the rest of the plan."
        )

    def _enough(self, later: int, then_ct: float) -> str:
        worth_ct = float(self.worth_ct[later])
        if worth_ct >= then_ct - SAME_CT:
            return ""
        return f" By then enough is stored: one kWh more would be worth only {_ct(worth_ct)} there."

    def _given_back(self, agent: BatteryAgent, t: int) -> int | None:
        """Of the steps in which what is charged in ``t`` is given back, that with most of it."""
        soc_kwh, given_kw = self._series(agent, "soc_kwh"), self._series(agent, "discharge_kw")
        before_kwh = agent.initial_soc_kwh if t == 0 else float(soc_kwh[t - 1])
        gone = np.flatnonzero(soc_kwh[t:] <= before_kwh + 1e-3) + t
        end = int(gone[0]) + 1 if gone.size else len(soc_kwh)
        if end - t <= 1 or np.max(given_kw[t + 1 : end]) <= VISIBLE_KW:
            return None
        return t + 1 + int(np.argmax(given_kw[t + 1 : end]))

    def _replaced(self, agent: Agent, t: int) -> tuple[float, str]:
        """What a kWh given in a step replaces: a purchase, or a sale that would not be [ct/kWh]."""
        given_kw = float(self._series(agent, "discharge_kw")[t])
        if -self._grid_kw[t] >= given_kw - VISIBLE_KW:
            return self._export_ct(t), "sold"
        return self._import_ct(t), "not bought"

    def _as_well(self, agent: BatteryAgent, t: int) -> str:
        """Other hours of the same worth between which the charge is free to move."""
        soc_kwh, charge_kw = self._series(agent, "soc_kwh"), self._series(agent, "charge_kw")
        free = (soc_kwh < agent.capacity_kwh - 0.01) & (soc_kwh > agent.min_soc_kwh + 0.01)
        same = [
            u
            for u in range(self.n_told)
            if u != t
            and abs(self.worth_ct[u] - self.worth_ct[t]) <= SAME_CT
            and charge_kw[u] < agent.max_charge_kw - VISIBLE_KW
            and self._series(agent, "discharge_kw")[u] <= VISIBLE_KW
            and bool(np.all(free[min(t, u) : max(t, u)]))
        ]
        return f" {self._clocks(same)} would do as well: the same worth." if same else ""

    def _given(self, agent: BatteryAgent | EVAgent, t: int) -> Iterator[str]:
        given_kw = self._series(agent, "discharge_kw")
        if given_kw[t] <= VISIBLE_KW:
            return
        then_ct, how = self._replaced(agent, t)
        charge_kw = self._series(agent, "charge_kw")[:t]
        end = "sold at" if how == "sold" else "not bought at"
        text = f"{_named(agent)} gives {_kw(float(given_kw[t]))}: each kWh is {end} {_ct(then_ct)}"
        if not charge_kw.size or np.max(charge_kw) <= VISIBLE_KW:
            yield f"{text}, from what was stored before this day."
            return
        filled = int(np.argmax(charge_kw))
        worth = _ct(float(self.worth_ct[filled]))
        verdict = self._verdict(agent, filled, t)
        when = self._clock(filled)
        yield f"{text}, and was worth {worth} when most was charged, at {when}.{verdict}"

    def _car(self, agent: EVAgent, t: int) -> Iterator[str]:
        charge_kw = float(self._series(agent, "charge_kw")[t])
        if charge_kw > VISIBLE_KW:
            yield (
                f"The car charges {_kw(charge_kw)}{self._source(t)}: a kWh is worth "
                f"{self._worth(t)}.{self._other_hours(agent, t)}"
            )
        yield from self._given(agent, t)

    def _other_hours(self, agent: EVAgent, t: int) -> str:
        """How the hour compares with the others of the same stay, where there is room to charge."""
        away = np.flatnonzero(~agent.plugged_in)
        first = int(np.max(away[away < t], initial=-1)) + 1
        end = int(np.min(away[away > t], initial=len(agent.plugged_in)))
        room_kw = agent.charge_limit_kw - self._series(agent, "charge_kw")
        free = [u for u in range(first, end) if u != t and room_kw[u] > VISIBLE_KW]
        if not free:
            return " It needs every hour that it is plugged in."
        best = min(free, key=lambda u: float(self.worth_ct[u]))
        dearer_ct = float(self.worth_ct[best] - self.worth_ct[t])
        same = [u for u in free if abs(self.worth_ct[u] - self.worth_ct[t]) <= SAME_CT]
        if abs(dearer_ct) <= SAME_CT:
            return f" {self._clocks(same)} would cost the same."
        if dearer_ct > 0:
            return f" The next best hour, {self._clock(best)}, would cost {_ct(dearer_ct)} more."
        return f" Cheaper hours ({self._clock(best)}) do not fit what it must hold by when."

    def _machine(self, agent: DiscretePhaseDevice, t: int) -> Iterator[str]:
        begun = round(float(self._series(agent, "started")[t]))
        for row, cycle in enumerate(agent.cycles):
            if cycle.number == begun:
                yield f"{_named(agent)} starts{self._why_here(agent, row, cycle, t)}"

    def _why_here(self, agent: DiscretePhaseDevice, row: int, cycle: Cycle, t: int) -> str:
        costs = {
            u: self._run_ct(agent, row, cycle, u)
            for u in range(cycle.earliest, cycle.latest + 1)
            if u + len(cycle.profile_kw) <= self.plan.horizon.n_steps
        }
        others = [u for u in costs if u != t]
        if cycle.metered_start == t:
            return f", when its people started it.{self._no_better(costs, others, t)}"
        if cycle.metered_start not in costs:
            return f": its run costs {_ct(costs[t])}."
        there = cycle.metered_start
        saved_ct = costs[there] - costs[t]
        pair = (
            f" instead of at {self._clock(there)}: its run costs {_ct(costs[t])} here and "
            f"{_ct(costs[there])} there"
        )
        if abs(saved_ct) <= SAME_CT:
            return f"{pair}: either way costs the same."
        if saved_ct > 0:
            return f"{pair}."
        return f"{pair} at these prices, but there the run itself would raise them."

    def _no_better(self, costs: dict[int, float], others: Sequence[int], t: int) -> str:
        if not others:
            return ""
        best = min(others, key=lambda u: costs[u])
        dearer_ct = costs[best] - costs[t]
        if abs(dearer_ct) <= SAME_CT:
            return f" At {self._clock(best)} it would cost the same."
        if dearer_ct > 0:
            return f" The next best hour, {self._clock(best)}, would cost {_ct(dearer_ct)} more."
        return (
            f" At {self._clock(best)} a kWh is cheaper, but the run itself would raise its price."
        )

    def _run_ct(self, agent: DiscretePhaseDevice, row: int, cycle: Cycle, start: int) -> float:
        """What a run costs at the bus's prices, with what its start costs in comfort [ct]."""
        profile_kw = np.array(cycle.profile_kw)
        energy_kwh = self.plan.horizon.energy_kwh(profile_kw)
        comfort = 0.0 if agent.discomfort_eur is None else float(agent.discomfort_eur[row, start])
        return float(energy_kwh @ self.worth_ct[start : start + len(profile_kw)]) + 100 * comfort

    def _heat(self, agent: PartialUsageDevice, t: int) -> Iterator[str]:
        power_kw = self._series(agent, "power_kw")
        more_kw = power_kw - agent.metered_kw
        if abs(more_kw[t]) <= VISIBLE_KW:
            if power_kw[t] > VISIBLE_KW:
                yield f"{_named(agent)} draws {_kw(float(power_kw[t]))}, as metered."
            return
        word = "more" if more_kw[t] > 0 else "less"
        does = f"draws {_kw(float(power_kw[t]))}" if power_kw[t] > VISIBLE_KW else "rests"
        text = (
            f"{_named(agent)} {does}, {_kw(abs(float(more_kw[t])))} {word} than metered: "
            f"a kWh is worth {self._worth(t)}"
        )
        opposite = np.flatnonzero(np.sign(more_kw[t]) * more_kw < -VISIBLE_KW)
        if not opposite.size:
            yield f"{text}."
            return
        nearest = int(opposite[np.argmin(np.abs(opposite - t))])
        if abs(float(self.worth_ct[t] - self.worth_ct[nearest])) <= SAME_CT:
            yield f"{text}; at {self._clock(nearest)} it would cost the same."
        else:
            yield f"{text} and {self._worth(nearest)} at {self._clock(nearest)}."


def _named(agent: Agent) -> str:
    words: dict[str, Any] = {"ev": "car", "pv": "sun"}
    return f"The {words.get(agent.name, agent.name.replace('_', ' '))}"


def _ct(amount_ct: float) -> str:
    """An amount in ct with a true minus and no negative zero."""
    return f"{round(amount_ct, 1) + 0.0:.1f} ct".replace("-", "−")


def _kw(power_kw: float) -> str:
    return f"{round(power_kw, 1) + 0.0:.1f} kW".replace("-", "−")
