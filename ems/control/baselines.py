"""What happens without us: the people's own timing, and the usual control rule.

Both run the same devices, serve the same energy and pass the same meter as the planned modes.
Neither knows the future. Curtailable PV keeps the export limit; an import limit, or an export limit
without curtailment, they may break: nobody plans for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ems.agents.base import Agent
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.grid import GridAgent
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import Plan


def as_metered(agents: Sequence[Agent], grid: GridAgent, horizon: Horizon) -> DispatchPlan:
    """Everything when the people did it; the battery, which they did not have, stands idle."""
    plans = {agent.name: agent.unplanned(horizon) for agent in agents}
    return settled("as_metered", agents, grid, horizon, plans)


def rule_based(agents: Sequence[Agent], grid: GridAgent, horizon: Horizon) -> DispatchPlan:
    """The same devices; a battery stores any surplus and covers any deficit (self-consumption)."""
    plans: dict[str, Plan] = {}
    net_load_kw = np.zeros(horizon.n_steps)
    for agent in sorted(agents, key=lambda agent: agent.kind == "storage"):
        plans[agent.name] = agent.follow_rule(horizon, net_load_kw)
        net_load_kw = net_load_kw + plans[agent.name].net_load_kw
    return settled("rule_based", agents, grid, horizon, plans)


def settled(
    mode: Mode,
    agents: Sequence[Agent],
    grid: GridAgent,
    horizon: Horizon,
    plans: dict[str, Plan],
) -> DispatchPlan:
    """What passes the meter when all carry out ``plans``, whatever the grid's limits say."""
    net_load_kw = np.sum([np.zeros(horizon.n_steps), *(p.net_load_kw for p in plans.values())], 0)
    for agent in agents:  # an inverter that may curtail keeps the export limit by itself
        over_kw = np.maximum(-net_load_kw - grid.max_export_kw, 0.0)
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
    return replace(schedule, objective_eur=sum(schedule.costs_eur().values()))
