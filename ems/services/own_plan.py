"""A plan from what a home sends: its prices, its expected load and sun, its battery."""

from __future__ import annotations

from datetime import UTC

import numpy as np

from ems.agents import Agent, GridAgent
from ems.agents.own import own_agents
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.solver import Solver
from ems.errors import InvalidSpec
from ems.services.models import PlanReply, PlanRequest

PATIENT = Solver(time_limit_s=10.0)
"""What is not proven by then is refused: a service answers."""


def planned(asked: PlanRequest) -> PlanReply:
    """The cheapest plan with its proof. Raises ``InvalidSpec`` and ``Infeasible``."""
    n_steps = len(asked.import_eur_per_kwh)
    for name in ("export_eur_per_kwh", "load_kw", "pv_kw"):
        values = getattr(asked, name)
        if values is not None and len(values) != n_steps:
            raise InvalidSpec(
                f"plan: {name} has {len(values)} values, import_eur_per_kwh {n_steps}; give as many"
            )
    horizon = Horizon(
        start_utc=np.datetime64(asked.start_utc.astimezone(UTC).replace(tzinfo=None), "s"),
        step_h=asked.step_h,
        import_eur_per_kwh=np.array(asked.import_eur_per_kwh),
        export_eur_per_kwh=np.array(asked.export_eur_per_kwh),
    )
    battery = asked.battery
    agents: tuple[Agent, ...] = own_agents(
        load_kw=np.array(asked.load_kw),
        pv_kw=None if asked.pv_kw is None else np.array(asked.pv_kw),
        battery=None if battery is None else battery.model_dump(),
    )
    grid = GridAgent(
        max_import_kw=np.inf if asked.max_import_kw is None else asked.max_import_kw,
        max_export_kw=np.inf if asked.max_export_kw is None else asked.max_export_kw,
    )
    plan, worth = GlobalOptimizer(agents, grid, PATIENT).optimize_with_price(horizon)
    draw_kw = -plan.plans[grid.name].net_load_kw
    return PlanReply(
        net_load_kw={name: part.net_load_kw.tolist() for name, part in plan.plans.items()},
        stored_kwh=plan.plans["battery"].series["soc_kwh"].tolist() if battery else [],
        bill_eur=plan.costs_eur().get("bill", 0.0),
        objective_eur=plan.objective_eur,
        bound_eur=plan.bound_eur,
        worth_eur_per_kwh=worth.tolist(),
        reasons=[
            f"{start}Z: {_does(float(kw))}; a kWh is worth {100 * float(ct):.1f} ct"
            for start, kw, ct in zip(horizon.ts_utc, draw_kw, worth, strict=True)
        ],
    )


def _does(draw_kw: float) -> str:
    if abs(draw_kw) < 1e-3:
        return "neither buys nor sells"
    return f"{'buys' if draw_kw > 0 else 'sells'} {abs(draw_kw):.2f} kW"
