"""Baselines without planning: the people's own timing, and the usual control rule.

Both run the same devices, serve the same energy and pass the same meter as the planned modes.
Neither knows the future. Curtailable PV keeps the export limit. Baselines may exceed an import
limit, or an export limit without curtailment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ems.agents.base import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.grid import GridAgent
from ems.agents.rule import RuleSignal
from ems.control.rules import SIGNALS
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import Plan


def as_metered(agents: Sequence[Agent], grid: GridAgent, horizon: Horizon) -> DispatchPlan:
    """Everything as metered; the battery, which the building did not have, is idle."""
    plans = {agent.name: agent.unplanned(horizon) for agent in agents}
    return settled("as_metered", agents, grid, horizon, plans)


def by_rule(rule: Mode, agents: Sequence[Agent], grid: GridAgent, horizon: Horizon) -> DispatchPlan:
    """The same devices under one of the rules of ``ems.control.rules``.

    Machines and heat pump take surplus first, then the car, charged in time, and the battery stores
    the rest and covers deficits. Without sun nothing waits for it.
    """
    signal = signal_of(rule, agents, horizon)
    plans: dict[str, Plan] = {}
    net_load_kw = np.zeros(horizon.n_steps)
    # In the order of the building, each with the surplus that those before it leave; stores last.
    for agent in sorted(agents, key=lambda agent: agent.kind == "storage"):
        plans[agent.name] = agent.follow_rule(horizon, net_load_kw, signal)
        net_load_kw = net_load_kw + plans[agent.name].net_load_kw
    return settled(rule, agents, grid, horizon, plans)


def signal_of(rule: Mode, agents: Sequence[Agent], horizon: Horizon) -> RuleSignal:
    """What the rule tells these agents."""
    signal = SIGNALS[rule](horizon)
    if any(agent.generates for agent in agents):
        return signal
    return replace(signal, wait=np.zeros(horizon.n_steps, dtype=np.bool_))


def settled(
    mode: Mode,
    agents: Sequence[Agent],
    grid: GridAgent,
    horizon: Horizon,
    plans: dict[str, Plan],
) -> DispatchPlan:
    """The flow through the meter when all follow ``plans``, regardless of grid limits."""
    net_load_kw = np.sum([np.zeros(horizon.n_steps), *(p.net_load_kw for p in plans.values())], 0)
    for agent in agents:  # a curtailable inverter keeps the export limit by itself
        over_kw = np.maximum(-net_load_kw - grid.limits_kw(horizon.n_steps)[1], 0.0)
        cut = agent.curtailed(plans[agent.name], over_kw)
        net_load_kw = net_load_kw + cut.net_load_kw - plans[agent.name].net_load_kw
        plans = {**plans, agent.name: cut}
    schedule = DispatchPlan(
        mode=mode,
        horizon=horizon,
        agents=(*agents, grid),
        plans={**plans, grid.name: grid.settle(net_load_kw)},
        objective_eur=np.nan,
    )
    # Nothing was optimised; the objective is what the plans cost.
    return replace(schedule, objective_eur=sum(schedule.costs_eur().values()))
