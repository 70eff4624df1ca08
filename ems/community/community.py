"""A community of homes on one bus, and the ways in which its homes can be run.

Inside, a shared kWh costs the fee f; outside, a kWh costs p_in and earns p_out. The connection of
the community sees the import price p_in − f and every home pays f on what comes through its meter:

p_in · I − p_out · E + f · m = (p_in − f) · I − p_out · E + f · Σ import,   m = Σ import − I

with m the kWh shared. So a community is one bus in the program of a building, and the homes are its
agents. Where f ≥ p_in − p_out nothing is gained by sharing; nobody is made to, so f counts as that
difference there and the pool changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ems.agents.base import Agent, named_twice
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.grid import GridAgent
from ems.agents.home import HomeAgent
from ems.control.baselines import by_rule, settled
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.participant import TOLERANCE, Plan
from ems.core.program import StoreDuals
from ems.core.solver import Solver
from ems.errors import InvalidSpec, SolveError
from ems.types import Floats

CommunityMode = Literal[
    "as_metered",
    "rule_alone",
    "alone",
    "rule_together",
    "alone_shared",
    "at_price",
    "together",
    "decomposed",
    "forecast_alone",
    "forecast_shared",
    "forecast_together",
]
LABELS: Mapping[CommunityMode, str] = {
    "as_metered": "as metered, each alone",
    "rule_alone": "best rules, each alone",
    "alone": "planned, each alone",
    "rule_together": "best rule, together",
    "alone_shared": "planned alone, shared",
    "at_price": "planned at a pool price",
    "together": "planned together",
    "decomposed": "planned together, by prices",
    "forecast_alone": "on forecasts, each alone",
    "forecast_shared": "on forecasts alone, shared",
    "forecast_together": "on forecasts, together",
}
UNPLANNED: tuple[CommunityMode, ...] = ("as_metered", "rule_alone", "rule_together")
"""Ways that nobody plans: they look at nothing ahead and may miss a target."""
MOST_TOGETHER = 500
"""More homes in one program take minutes; ``decomposed`` finds the same optimum."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CommunityPlan:
    """The plans of all homes over ``horizon``, whose prices are those outside the community.

    ``plans``: by home, with its members as ``parts``; ``shared``: whether the homes share one bus,
    or each has a connection of its own. ``bound_eur``: no plan of this kind costs less [€], −∞ if
    nothing was proven. ``price_eur_per_kwh``: what a kWh on the bus is worth in each step (λ), None
    if it was not asked for. ``worth``: of a kWh in each home's stores before each step, by agent
    and rule [€/kWh]; empty where homes do not plan alone. ``rounds``: how often
    prices were asked, in ``decomposed``.
    """

    mode: CommunityMode
    horizon: Horizon
    homes: tuple[HomeAgent, ...]
    connection: GridAgent
    plans: Mapping[str, Plan]
    shared: bool
    bound_eur: float = -np.inf
    price_eur_per_kwh: Floats | None = None
    worth: Mapping[str, StoreDuals] = field(default_factory=dict)
    build_s: float = 0.0
    solver_s: float = 0.0
    rounds: int = 0

    @cached_property
    def import_kwh(self) -> Floats:
        """What each home draws in each step [kWh], shape ``(n_homes, n_steps)``."""
        return self._metered_kwh("import_kw")

    @cached_property
    def export_kwh(self) -> Floats:
        """What each home feeds in in each step [kWh], shape ``(n_homes, n_steps)``."""
        return self._metered_kwh("export_kw")

    def _metered_kwh(self, series: str) -> Floats:
        power_kw: Floats = np.array([self.plans[home.name].series[series] for home in self.homes])
        return self.horizon.energy_kwh(power_kw)

    @property
    def fee_eur_per_kwh(self) -> Floats:
        """The fee on a kWh that is shared, shape ``(n_steps,)``."""
        fee, n = self.homes[0].fee_eur_per_kwh, self.horizon.n_steps
        return fee[:n] if isinstance(fee, np.ndarray) else np.full(n, fee)

    @property
    def shared_kwh(self) -> Floats:
        """What one home feeds and another draws in the same step [kWh], shape ``(n_steps,)``."""
        if not self.shared:
            return np.zeros(self.horizon.n_steps)
        least: Floats = np.minimum(self.import_kwh.sum(axis=0), self.export_kwh.sum(axis=0))
        return least

    @property
    def bought_kwh(self) -> Floats:
        """What comes from outside [kWh], shape ``(n_steps,)``."""
        bought: Floats = self.import_kwh.sum(axis=0) - self.shared_kwh
        return bought

    @property
    def sold_kwh(self) -> Floats:
        """What goes outside [kWh], shape ``(n_steps,)``."""
        sold: Floats = self.export_kwh.sum(axis=0) - self.shared_kwh
        return sold

    @property
    def own_eur(self) -> float:
        """Wear and discomfort of all homes [€]."""
        return sum(sum(self.own_costs_eur(home).values()) for home in self.homes)

    def own_costs_eur(self, home: HomeAgent) -> dict[str, float]:
        """Wear and discomfort of one home [€]."""
        costs = dict(home.costs_eur(self.plans[home.name], self.horizon))
        del costs["fee"]
        return costs

    @property
    def bill_eur(self) -> float:
        """What all pay outside and in fees, less what they earn outside [€]."""
        horizon = self.horizon
        return float(
            self.bought_kwh @ horizon.import_eur_per_kwh
            - self.sold_kwh @ horizon.export_eur_per_kwh
            + self.shared_kwh @ self.fee_eur_per_kwh
        )

    @property
    def cost_eur(self) -> float:
        """Bill, wear and discomfort [€]: what ``together`` minimises."""
        return self.bill_eur + self.own_eur

    @property
    def price(self) -> Floats:
        """What a kWh on the bus is worth [€/kWh]. Raises ``InvalidSpec`` where nobody plans it."""
        if self.price_eur_per_kwh is None:
            raise InvalidSpec(f"community: the way {self.mode} has no price of the bus")
        return self.price_eur_per_kwh

    @property
    def gap_eur(self) -> float:
        """How far the cost may be from the least of its kind [€]."""
        return self.cost_eur - self.bound_eur

    def window(self, first: int, last: int) -> CommunityPlan:
        """The steps ``first … last − 1``, with the homes in their state before ``first``."""
        homes = self.homes
        if first:
            homes = tuple(home.after(self.plans[home.name], first) for home in homes)
        price = self.price_eur_per_kwh
        return replace(
            self,
            horizon=self.horizon.window(first, last),
            homes=homes,
            plans={name: plan.window(first, last) for name, plan in self.plans.items()},
            bound_eur=-np.inf,
            price_eur_per_kwh=None if price is None else price[first:last],
        )

    def after(self, n_steps: int) -> Mapping[str, HomeAgent]:
        """The homes ``n_steps`` later, by name."""
        return {home.name: home.after(self.plans[home.name], n_steps) for home in self.homes}

    def of_home(self, home: HomeAgent, horizon: Horizon | None = None) -> DispatchPlan:
        """A home's plan as a building's, at the prices of ``horizon`` (None: those outside)."""
        parts = dict(self.plans[home.name].parts)
        return settled("centralized", home.agents, home.meter, horizon or self.horizon, parts)


class Community:
    """Homes that share behind one connection, and the ways to run them.

    ``homes``: named once each; ``fee_eur_per_kwh``: on every kWh shared [€/kWh], a number or one a
    step; ``connection``: limits and demand charge of the community towards the grid.
    """

    def __init__(
        self,
        homes: Sequence[HomeAgent],
        *,
        fee_eur_per_kwh: Floats | float = 0.0,
        connection: GridAgent | None = None,
        solver: Solver | None = None,
    ) -> None:
        if len(homes) < 2:
            raise InvalidSpec(
                f"community: {len(homes)} home; sharing needs at least two, plan one with 01_run.py"
            )
        taken = named_twice(home.name for home in homes)
        if taken is not None:
            raise InvalidSpec(f"community: the home {taken} is in it twice, name each once")
        self.homes = tuple(homes)
        self.fee_eur_per_kwh = fee_eur_per_kwh
        self.connection = connection or GridAgent()
        if self.connection.demand_charge_eur_per_kw:
            raise InvalidSpec(
                "community: its connection has a demand charge of "
                f"{self.connection.demand_charge_eur_per_kw:g} €/kW, which no rule shares out; "
                "leave it at 0"
            )
        self.solver = solver or Solver()

    # --- prices -----------------------------------------------------------------------------------

    def fee(self, horizon: Horizon) -> Floats:
        """The fee that counts in each step [€/kWh]: never more than sharing can gain."""
        gains = horizon.import_eur_per_kwh - horizon.export_eur_per_kwh
        fee: Floats = np.zeros(horizon.n_steps) + self.fee_eur_per_kwh
        return np.minimum(fee, np.maximum(gains, 0.0))

    def worthless_steps(self, horizon: Horizon) -> int:
        """In how many steps the fee leaves nothing to gain by sharing."""
        gains = horizon.import_eur_per_kwh - horizon.export_eur_per_kwh
        return int(np.count_nonzero(np.zeros(horizon.n_steps) + self.fee_eur_per_kwh >= gains))

    def inside(self, horizon: Horizon) -> Horizon:
        """The prices that the connection sees: import costs the fee less."""
        least = np.minimum(horizon.import_eur_per_kwh, horizon.export_eur_per_kwh)
        import_eur = np.maximum(horizon.import_eur_per_kwh - self.fee(horizon), least)
        return replace(horizon, import_eur_per_kwh=import_eur)

    def with_fee(self, horizon: Horizon) -> tuple[HomeAgent, ...]:
        """The homes with the fee on what comes through their meters."""
        fee = self.fee(horizon)
        return tuple(replace(home, fee_eur_per_kwh=fee) for home in self.homes)

    # --- each for itself --------------------------------------------------------------------------

    def as_metered(self, horizon: Horizon) -> CommunityPlan:
        """Every home as its people have it, without a battery, with a connection of its own."""
        plans = {home.name: home.unplanned(horizon) for home in self.homes}
        return self._plan("as_metered", horizon, plans, shared=False)

    def rule_alone(self, horizon: Horizon, rule: Mode) -> CommunityPlan:
        """Every home under a rule without a forecast, with a connection of its own."""
        plans = {
            home.name: home.of_parts(_parts(by_rule(rule, home.agents, home.meter, horizon), home))
            for home in self.homes
        }
        return self._plan("rule_alone", horizon, plans, shared=False)

    def optimize_alone(self, horizon: Horizon) -> CommunityPlan:
        """Every home planned for itself, with a connection of its own."""
        return self._each("alone", horizon, horizon, shared=False)

    def optimize_at_price(self, horizon: Horizon, buy: Floats, sell: Floats) -> CommunityPlan:
        """Every home planned for itself at prices announced for the pool [€/kWh].

        All answer the same price, so they may crowd into the cheapest step.
        """
        announced = replace(horizon, import_eur_per_kwh=buy, export_eur_per_kwh=sell)
        plan = self._each("at_price", horizon, announced, shared=True)
        return replace(plan, bound_eur=-np.inf)  # what was proven is the optimum at that price

    def worth_at_price(
        self, horizon: Horizon, price_eur_per_kwh: Floats
    ) -> Mapping[str, StoreDuals]:
        """What a kWh in each home's stores is worth where the bus has a price [€/kWh].

        At the price of the plan of all it is what the plan of all values it at.
        """
        at = replace(
            horizon,
            import_eur_per_kwh=price_eur_per_kwh + self.fee(horizon),
            export_eur_per_kwh=price_eur_per_kwh,
        )
        return {
            home.name: GlobalOptimizer(home.agents, home.meter, self.solver).optimize_with_values(
                at
            )[1]
            for home in self.homes
        }

    def _each(
        self, mode: CommunityMode, horizon: Horizon, at: Horizon, *, shared: bool
    ) -> CommunityPlan:
        found: dict[str, DispatchPlan] = {}
        worth: dict[str, StoreDuals] = {}
        for home in self.homes:
            optimizer = GlobalOptimizer(home.agents, home.meter, self.solver)
            found[home.name], worth[home.name] = optimizer.optimize_with_values(at)
        plans = {home.name: home.of_parts(_parts(found[home.name], home)) for home in self.homes}
        plan = self._plan(mode, horizon, plans, shared=shared)
        return replace(
            plan,
            worth=worth,
            bound_eur=sum(one.bound_eur for one in found.values()),
            build_s=sum(one.build_s for one in found.values()),
            solver_s=sum(one.solver_s for one in found.values()),
        )

    # --- on one bus -------------------------------------------------------------------------------

    def rule_together(self, horizon: Horizon, rule: Mode) -> CommunityPlan:
        """All devices of all homes under one rule, as if they were one building ("greedy").

        In the order of the homes, each with the surplus that those before it leave.
        """
        everyone: list[Agent] = []
        for home in self.homes:
            everyone += [_named(agent, home) for agent in home.agents]
        done = by_rule(rule, everyone, self.connection, horizon)
        plans = {}
        for home in self.homes:
            own = {a.name: done.plans[_named(a, home).name] for a in home.agents}
            plans[home.name] = home.of_parts(
                {name: replace(plan, agent=name) for name, plan in own.items()}
            )
        return self._plan("rule_together", horizon, plans, shared=True)

    def optimize_together(self, horizon: Horizon) -> CommunityPlan:
        """All homes in one program: the least that all together can pay.

        Raises ``InvalidSpec`` for more than ``MOST_TOGETHER`` homes.
        """
        if len(self.homes) > MOST_TOGETHER:
            raise InvalidSpec(
                f"community: {len(self.homes)} homes in one program, allowed are "
                f"{MOST_TOGETHER}; use the mode decomposed, which finds the same optimum"
            )
        homes, inside = self.with_fee(horizon), self.inside(horizon)
        optimizer = GlobalOptimizer(homes, self.connection, self.solver)
        found, price = optimizer.optimize_with_price(inside)
        plans = {home.name: found.plans[home.name] for home in homes}
        plan = self._plan("together", horizon, plans, shared=True)
        return replace(
            plan,
            bound_eur=found.bound_eur,
            price_eur_per_kwh=price,
            build_s=found.build_s,
            solver_s=found.solver_s,
        )

    def _plan(
        self, mode: CommunityMode, horizon: Horizon, plans: Mapping[str, Plan], *, shared: bool
    ) -> CommunityPlan:
        plan = CommunityPlan(
            mode=mode,
            horizon=horizon,
            homes=self.with_fee(horizon),
            connection=self.connection,
            plans=plans,
            shared=shared,
        )
        require_sound(plan)
        return plan


def require_sound(plan: CommunityPlan) -> None:
    """Check every home's plan from its numbers. Raises ``SolveError`` listing what fails."""
    planned = plan.mode not in UNPLANNED
    failures = [
        line for home in plan.homes for line in home.audit(plan.plans[home.name], plan.horizon)
    ]
    if planned and failures:
        raise SolveError(f"the {plan.mode} plan fails its audit: {'; '.join(failures[:5])}")
    net_kwh = plan.import_kwh.sum(axis=0) - plan.export_kwh.sum(axis=0)
    missed = np.abs(plan.bought_kwh - plan.sold_kwh - net_kwh).max()
    if not missed <= TOLERANCE:
        raise SolveError(f"the {plan.mode} plan does not balance: {missed:.3g} kWh are left over")


def _parts(plan: DispatchPlan, home: HomeAgent) -> dict[str, Plan]:
    return {agent.name: plan.plans[agent.name] for agent in home.agents}


def _named(agent: Agent, home: HomeAgent) -> Agent:
    """The agent under a name that is its own among all homes."""
    return replace(agent, name=f"{home.name}_{agent.name}")
