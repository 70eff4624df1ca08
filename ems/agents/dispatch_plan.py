"""The plans of all agents over one horizon, with their audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ems.agents.base import Agent
from ems.agents.grid import GridAgent
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import TOLERANCE, Plan
from ems.errors import InvalidSpec, SolveError
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class DispatchPlan:
    """The plans of all agents over ``horizon``, starting from the state of ``agents``.

    ``objective_eur``: bill, wear and discomfort [€]; ``bound_eur``: no plan of this program costs
    less [€], −∞ if nothing was proven. ``build_s``, ``solver_s``: time spent [s]. ``whole``: False
    for a window of a plan, which can be reported but not audited.
    """

    mode: Mode
    horizon: Horizon
    agents: tuple[Agent, ...]
    plans: Mapping[str, Plan]
    objective_eur: float
    bound_eur: float = -np.inf
    build_s: float = 0.0
    solver_s: float = 0.0
    whole: bool = True

    @property
    def gap_eur(self) -> float:
        """How far the objective may be from the optimum [€]."""
        return self.objective_eur - self.bound_eur

    @property
    def grid(self) -> GridAgent:
        """The building's grid connection."""
        return next(agent for agent in self.agents if isinstance(agent, GridAgent))

    @property
    def soc_kwh(self) -> dict[str, float]:
        """The charge of each store after the last step [kWh]."""
        return {
            name: float(plan.series["soc_kwh"][-1])
            for name, plan in self.plans.items()
            if "soc_kwh" in plan.series
        }

    def after(self, n_steps: int) -> tuple[Agent, ...]:
        """All agents ``n_steps`` later."""
        return tuple(agent.after(self.plans[agent.name], n_steps) for agent in self.agents)

    def net_load_kw(self, *kinds: str) -> Floats:
        """Σ net load of the agents of these kinds [kW], shape ``(n_steps,)``."""
        total: Floats = np.zeros(self.horizon.n_steps)
        for agent in self.agents:
            if agent.kind in kinds:
                total = total + self.plans[agent.name].net_load_kw
        return total

    def costs_eur(self) -> dict[str, float]:
        """Each kind of cost, summed over the agents [€]."""
        total: dict[str, float] = {}
        for agent in self.agents:
            for kind, cost_eur in agent.costs_eur(self.plans[agent.name], self.horizon).items():
                total[kind] = total.get(kind, 0.0) + cost_eur
        return total

    def audit(self) -> None:
        """Check the plans from their numbers alone.

        Raises ``SolveError`` listing what fails, or ``InvalidSpec`` for a window, whose deadlines
        and final charges lie outside it.
        """
        if not self.whole:
            raise InvalidSpec(
                f"the {self.mode} plan from {self.horizon.local[0]:%Y-%m-%d %H:%M} is a window of "
                "a longer one; audit the whole plan"
            )
        failures = list(self._failures())
        if failures:
            raise SolveError(
                f"the {self.mode} plan from {self.horizon.local[0]:%Y-%m-%d %H:%M} fails its "
                f"audit: {'; '.join(failures)}"
            )

    def _failures(self) -> Iterator[str]:
        for agent in self.agents:
            yield from agent.audit(self.plans[agent.name], self.horizon)
        balance_kw = self.net_load_kw("load", "generation", "storage", "grid")
        # `not <=` instead of `>`, so that NaN fails.
        if not np.abs(balance_kw).max() <= TOLERANCE:
            step = int(np.argmax(np.abs(balance_kw)))
            yield f"balance: {balance_kw[step]:.3g} kW are left over in step {step}"
        cost_eur = sum(self.costs_eur().values())
        # Relative to the cost: rounding grows with the number of terms, and a plan near 0 € still
        # gets 1e-5 €.
        if not abs(cost_eur - self.objective_eur) <= TOLERANCE * max(1.0, abs(cost_eur)):
            yield f"bill: recomputed {cost_eur:.6f} €, the solver said {self.objective_eur:.6f} €"

    def window(self, first: int, last: int) -> DispatchPlan:
        """The steps ``first … last − 1``, with the agents in their state before ``first``."""
        return DispatchPlan(
            mode=self.mode,
            horizon=self.horizon.window(first, last),
            agents=self.after(first) if first else self.agents,
            plans={name: plan.window(first, last) for name, plan in self.plans.items()},
            # The cost of a window alone was never optimised.
            objective_eur=np.nan,
            build_s=self.build_s,
            solver_s=self.solver_s,
            whole=False,
        )

    def frame(self) -> pd.DataFrame:
        """Every series as a column ``agent.quantity``, indexed by local time."""
        columns: dict[str, Floats] = {}
        for name, plan in self.plans.items():
            columns[f"{name}.net_load_kw"] = plan.net_load_kw
            columns |= {f"{name}.{key}": values for key, values in plan.series.items()}
        return pd.DataFrame(columns, index=self.horizon.local.rename("local_time"))
