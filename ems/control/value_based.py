"""Control by the value of charge: no plan, but a price on what is in the store.

At midnight, and at 13:00 when tomorrow's prices are published, every store learns what its charge
is worth: the mean over futures that look like the ``PAST_DAYS`` days before
(``ems.agents.charge_value``). Within the day it weighs each step's bill against that value, at the
net load and the price that are really there. All other devices follow the rule. Nothing is
forecast but prices that are not yet published: the mean of that hour over the last week.

Where a rule would have cost less over those days than the value did, the rule steers instead: two
prices a day are all that a rule needs to know. Each is tried anew on every past day, from the same
charge, so nothing of it knows the day to come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np

from ems.agents import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.control.baselines import by_rule, settled, signal_of
from ems.control.rules import SIGNALS
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import Plan
from ems.economics.store_value import Worth
from ems.errors import DataError
from ems.forecast.price import PUBLISHED_HOUR
from ems.site.building import Building
from ems.site.task import PlanningTask
from ems.types import Floats

PAST_DAYS = 28
"""Days that the future may look like."""
PRICE_DAYS = 7
"""Days whose mean stands for a price that is not yet published."""
WAYS: tuple[Mode, ...] = ("value_based", *SIGNALS)
"""By value, or by one of the rules."""


class ValueControl:
    """Control by value over consecutive days, or by the rule that did better before them.

    It remembers what each way would have cost on every past day it has tried.
    """

    def __init__(self, building: Building) -> None:
        self.building = building
        self._tried: dict[date, Mapping[Mode, _Tried]] = {}

    def day(self, task: PlanningTask, worth: Worth) -> DispatchPlan:
        """The day of ``task``.

        ``worth``: what a kWh left in each store is believed to be worth [€/kWh]. Raises
        ``DataError`` if no day before it was known.
        """
        best = self._best_way(task.days[0], worth)
        if best == "value_based":
            return by_value(self.building, task, worth)
        return replace(by_rule(best, task.agents, task.grid, task.horizon), mode="value_based")

    def _best_way(self, day: date, worth: Worth) -> Mode:
        """The way that would have cost least over the days before, wear included."""
        past = [d for d in self.building.plannable_days if d < day][-PAST_DAYS:]
        # The first day of all has none before it from which a value could be learned.
        tried = [self._try(d, worth) for d in past if d != self.building.plannable_days[0]]
        return min(WAYS, key=lambda way: sum(ways[way].cost_eur(worth) for ways in tried))

    def _try(self, day: date, worth: Worth) -> Mapping[Mode, _Tried]:
        if day not in self._tried:
            self._tried[day] = {way: _tried(self.building, day, way, worth) for way in WAYS}
        return self._tried[day]


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """A past day under one way: bill and wear [€], and by how much its stores changed [kWh]."""

    paid_eur: float
    change_kwh: Mapping[tuple[str, str], float]

    def cost_eur(self, worth: Worth) -> float:
        """What it cost with its stores put back [€]."""
        return self.paid_eur - sum(
            worth.get(name, {}).get(rule, 0.0) * kwh
            for (name, rule), kwh in self.change_kwh.items()
        )


def _tried(building: Building, day: date, way: Mode, worth: Worth) -> _Tried:
    task = building.problem([day])
    if way == "value_based":
        done = by_value(building, task, worth)
    else:
        done = by_rule(way, task.agents, task.grid, task.horizon)
    costs_eur = done.costs_eur()
    return _Tried(
        paid_eur=sum(costs_eur.get(what, 0.0) for what in ("bill", "wear", "demand_charge")),
        change_kwh={
            (agent.name, rule): after - agent.stored_kwh()[rule]
            for agent in task.agents
            for rule, after in agent.stored_kwh(done.plans[agent.name]).items()
        },
    )


def by_value(building: Building, task: PlanningTask, worth: Worth) -> DispatchPlan:
    """The day of ``task`` by value alone. Arguments and errors as ``ValueControl.day``."""
    day, horizon = task.days[0], task.horizon
    plans: dict[str, Plan] = {}
    others_kw = np.zeros(horizon.n_steps)
    signal = signal_of("self_consumption", task.agents, horizon)
    for agent in sorted(task.agents, key=lambda agent: agent.kind == "storage"):
        then_eur = _then_eur(building, day, agent, worth.get(agent.name, {}), horizon.n_steps)
        if then_eur is None:
            plans[agent.name] = agent.follow_rule(horizon, others_kw, signal)
        else:
            plans[agent.name] = agent.follow_value(horizon, others_kw, then_eur)
        others_kw = others_kw + plans[agent.name].net_load_kw
    return settled("value_based", task.agents, task.grid, horizon, plans)


def _then_eur(
    building: Building, day: date, agent: Agent, worth: Mapping[str, float], n_steps: int
) -> Floats | None:
    """What is still to be paid after each step, by charge, as believed at its instant [€]."""
    if agent.kind != "storage":
        return None
    parts = []
    for at in (0, _published(building, day)):
        believed = _believed(building, day, at)
        futures_kw = _futures_kw(building, day, at, believed.n_steps)
        costs_eur = agent.costs_by_charge_eur(believed, futures_kw, worth)
        if costs_eur is None:
            return None
        parts.append(costs_eur[1:])
    morning, afternoon = parts
    at = len(morning) - len(afternoon)
    return np.concatenate([morning[:at], afternoon])[:n_steps]


def _published(building: Building, day: date) -> int:
    """The first step of ``day`` at which the next day's prices are known."""
    return int(np.flatnonzero(building.view.hour[building.span(day)] >= PUBLISHED_HOUR)[0])


def _believed(building: Building, day: date, at: int) -> Horizon:
    """Prices from ``at`` steps after midnight to the end of the next day."""
    span, history = building.span(day), building.history
    per_day = round(24 / history.step_h)
    end = span.stop + per_day
    spot = history.price_eur_per_mwh
    # The same hours of the last week; behind it two days are still to come at most.
    past = [spot[max(0, span.start - k * per_day) :][:per_day] for k in range(1, PRICE_DAYS + 1)]
    usual = _known_mean(np.array([row for row in past if len(row) == per_day]))
    eur_per_mwh = np.resize(usual, end - span.start)
    known = min(end if at else span.stop, len(spot)) - span.start
    published = spot[span.start : span.start + known]
    eur_per_mwh[:known] = np.where(np.isfinite(published), published, eur_per_mwh[:known])
    hour = np.resize(building.view.hour[span], end - span.start)
    return Horizon(
        start_utc=history.ts_utc[span.start + at],
        step_h=history.step_h,
        import_eur_per_kwh=building.tariff.import_eur_per_kwh(eur_per_mwh, hour)[at:],
        export_eur_per_kwh=building.tariff.export_eur_per_kwh(eur_per_mwh)[at:],
        timezone=history.timezone,
    )


def _known_mean(rows: Floats) -> Floats:
    """Mean of what is known in each column, NaN where nothing is, as in a house without prices."""
    known = np.isfinite(rows)
    total, n = np.where(known, rows, 0.0).sum(axis=0), known.sum(axis=0)
    mean: Floats = np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0)
    return mean


def _futures_kw(building: Building, day: date, at: int, n_steps: int) -> Floats:
    """Each of the days before, and the one after it, as if they came again [kW]."""
    past = [d for d in building.plannable_days if d < day][-PAST_DAYS:]
    if not past:
        raise DataError(
            f"{building.history.building} {day}: no day before it can be planned, so nobody knows "
            "what may come; start later"
        )
    following = (*past[1:], past[-1])
    two = (
        np.concatenate([_others_kw(building, one), _others_kw(building, two)])
        for one, two in zip(past, following, strict=True)
    )
    return np.array([np.resize(kw[at:], n_steps) for kw in two])


@lru_cache(maxsize=2 * PAST_DAYS)
def _others_kw(building: Building, day: date) -> Floats:
    """Net load of all but the stores under the rule on a past day [kW]."""
    task = building.problem([day])
    done = by_rule("self_consumption", task.agents, task.grid, task.horizon)
    zero_kw = np.zeros(task.horizon.n_steps)
    others = [agent.name for agent in task.agents if agent.kind != "storage"]
    return sum((done.plans[name].net_load_kw for name in others), zero_kw)
