"""A home: a group of agents behind one meter, and itself an agent on the community's bus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents.base import Agent, check_range, differs, frozen_series, named_twice
from ems.agents.grid import GridAgent
from ems.agents.rule import RuleSignal
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.errors import InvalidSpec
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class HomeAgent(Agent):
    """Agents on one bus of their own, seen by their neighbours as one net load.

    ``agents``: its members, all but a grid connection, each named once. ``fee_eur_per_kwh``: what
    each kWh costs that comes through its meter beside its price, such as the grid fee within a
    community [€/kWh], one number or shape ``(n_steps,)``. ``meter``: the limits of its own
    connection, and what both registers counted in one step.
    """

    agents: tuple[Agent, ...]
    fee_eur_per_kwh: Floats | float = 0.0
    meter: GridAgent = field(default_factory=GridAgent)
    kind: ClassVar[Kind] = "load"
    layer: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.agents:
            raise InvalidSpec(f"{self.name}: a home has no agents; give it at least one")
        taken = named_twice(agent.name for agent in self.agents)
        if taken is not None:
            raise InvalidSpec(f"{self.name}: the name {taken} is taken, give every agent its own")
        grid = [agent.name for agent in self.agents if agent.kind == "grid"]
        if grid:
            raise InvalidSpec(
                f"{self.name}: {grid[0]} is a grid connection; a home has its own meter, and the "
                "community the connection"
            )
        # Negative, and importing what is exported in the same step would earn.
        if np.ndim(self.fee_eur_per_kwh):
            frozen_series(self, "fee_eur_per_kwh", low=0.0)
        else:
            check_range(self, "fee_eur_per_kwh", up=1e3)
        if self.meter.demand_charge_eur_per_kw:
            raise InvalidSpec(
                f"{self.name}: its meter has a demand charge of "
                f"{self.meter.demand_charge_eur_per_kw:g} €/kW, which no rule of a community "
                "shares out; leave it at 0"
            )

    @property
    def fixed(self) -> bool:
        """Whether no member has anything to decide."""
        return all(agent.fixed for agent in self.agents)

    @property
    def generates(self) -> bool:
        """Whether a member does."""
        return any(agent.generates for agent in self.agents)

    # --- the program ------------------------------------------------------------------------------

    def contribute(self, block: Block) -> Contribution:
        """Draw Σ net load of the members, import − export (rule ``meter``).

        Cost = Σ cost of the members + fee · Σ import · Δt [€].
        """
        parts: dict[str, Contribution] = {}
        loads_kw: list[Affine | Floats] = []
        for agent in self.agents:
            parts[agent.name] = agent.contribute(block.child(agent.name, tuple(loads_kw)))
            loads_kw.append(parts[agent.name].net_load_kw)
        n = block.horizon.n_steps
        total_kw = Affine.total(loads_kw, n)
        least_kw, most_kw = block.range_kw(total_kw)
        import_kw = block.variables(
            "import_kw", up=np.minimum(np.maximum(most_kw, 0.0), self.meter.max_import_kw)
        )
        export_kw = block.variables(
            "export_kw", up=np.minimum(np.maximum(-least_kw, 0.0), self.meter.max_export_kw)
        )
        block.require("meter", import_kw - export_kw == total_kw, "kW")
        costs = [part.cost_eur for part in parts.values()]
        both_kw = self.meter.cross(n)
        fee_eur = (block.horizon.energy_kwh(import_kw + both_kw) * self._fee(n)).sum()
        return Contribution(
            net_load_kw=import_kw - export_kw,
            cost_eur=_summed(costs, 1) + fee_eur,
            effort_kw=_summed([part.effort_kw for part in parts.values()], n),
            series={"import_kw": import_kw + both_kw, "export_kw": export_kw + both_kw},
            parts=parts,
        )

    def canonical(self, plan: Plan) -> Plan:
        """Import and export of the net load alone, where both at once cost the same."""
        parts = {agent.name: agent.canonical(plan.parts[agent.name]) for agent in self.agents}
        return self.of_parts(parts)

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """What its members must."""
        feed_kw: Floats = np.sum([agent.must_feed_kw(horizon) for agent in self.agents], axis=0)
        return feed_kw

    # --- its behaviour ----------------------------------------------------------------------------

    def of_parts(self, parts: Mapping[str, Plan]) -> Plan:
        """The plan of the home when its members follow ``parts``."""
        net_load_kw: Floats = np.sum([part.net_load_kw for part in parts.values()], axis=0)
        return Plan(
            agent=self.name,
            net_load_kw=net_load_kw,
            series=self.meter.settle(net_load_kw).series,
            parts=parts,
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """Its members later."""
        later = [agent.after(plan.parts[agent.name], n_steps) for agent in self.agents]
        fee = self.fee_eur_per_kwh
        rest = fee[n_steps:] if isinstance(fee, np.ndarray) else fee
        meter = self.meter.after(self.meter.settle(plan.net_load_kw), n_steps)
        return replace(self, agents=tuple(later), fee_eur_per_kwh=rest, meter=meter)

    def unplanned(self, horizon: Horizon) -> Plan:
        """Its members without planning."""
        return self.of_parts({agent.name: agent.unplanned(horizon) for agent in self.agents})

    def follow_rule(self, horizon: Horizon, net_load_kw: Floats, signal: RuleSignal) -> Plan:
        """Each member under the rule, with what those before it and the neighbours leave."""
        parts: dict[str, Plan] = {}
        for agent in sorted(self.agents, key=lambda agent: agent.kind == "storage"):
            parts[agent.name] = agent.follow_rule(horizon, net_load_kw, signal)
            net_load_kw = net_load_kw + parts[agent.name].net_load_kw
        return self.of_parts(parts)

    def _fee(self, n_steps: int) -> Floats:
        """The fee of the first steps [€/kWh]."""
        if isinstance(self.fee_eur_per_kwh, np.ndarray):
            return self.fee_eur_per_kwh[:n_steps]
        return np.full(n_steps, self.fee_eur_per_kwh, dtype=np.float64)

    def execute(self, horizon: Horizon, told: Plan | None, believed: Agent | None) -> Plan:
        """What each member really does; ``believed``: the home that the plan was made for."""
        group = believed.agents if isinstance(believed, HomeAgent) else ()
        known = {agent.name: agent for agent in group}
        return self.of_parts(
            {
                agent.name: agent.execute(
                    horizon,
                    None if told is None else told.parts.get(agent.name),
                    known.get(agent.name),
                )
                for agent in self.agents
            }
        )

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """Each member with the state of the real one of its name."""
        known = {agent.name: agent for agent in real.agents}
        return replace(
            self,
            agents=tuple(
                agent.with_state_of(known[agent.name], horizon) if agent.name in known else agent
                for agent in self.agents
            ),
            meter=self.meter.with_state_of(real.meter, horizon),
        )

    def without_targets(self) -> Self:
        """No member has one."""
        return replace(self, agents=tuple(agent.without_targets() for agent in self.agents))

    def curtailed(self, plan: Plan, surplus_kw: Floats) -> Plan:
        """Each member that can feeds less, one after the other."""
        parts = dict(plan.parts)
        for agent in self.agents:
            cut = agent.curtailed(parts[agent.name], surplus_kw)
            surplus_kw = surplus_kw - (cut.net_load_kw - parts[agent.name].net_load_kw)
            parts[agent.name] = cut
        return self.of_parts(parts)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """The rules of every member; the meter shows their sum, one way at a time."""
        for agent in self.agents:
            for line in agent.audit(plan.parts[agent.name], horizon):
                yield f"{self.name}: {line}"
        net_load_kw = np.sum([part.net_load_kw for part in plan.parts.values()], axis=0)
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, net_load_kw)
        metered = replace(plan, agent=self.meter.name, net_load_kw=-plan.net_load_kw)
        for line in self.meter.audit(metered, horizon):
            yield f"{self.name}: {line}"

    # --- money and stores -------------------------------------------------------------------------

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """The costs of its members, and the fee [€]."""
        import_kwh = horizon.energy_kwh(plan.series["import_kw"])
        total = {"fee": float((import_kwh * self._fee(len(import_kwh))).sum())}
        for agent in self.agents:
            for kind, cost_eur in agent.costs_eur(plan.parts[agent.name], horizon).items():
                total[kind] = total.get(kind, 0.0) + cost_eur
        return total

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """The energy in each member's stores, named ``member.rule``."""
        return {
            f"{agent.name}.{rule}": held_kwh
            for agent in self.agents
            for rule, held_kwh in agent.stored_kwh(
                None if plan is None else plan.parts[agent.name]
            ).items()
        }

    def worth_before(self, duals: Mapping[str, Floats], horizon: Horizon) -> Mapping[str, Floats]:
        """As each member values its stores."""
        return {
            f"{agent.name}.{rule}": worth
            for agent in self.agents
            for rule, worth in agent.worth_before(
                {rule: duals[f"{agent.name}.{rule}"] for rule in agent.stored_kwh()}, horizon
            ).items()
        }

    def valued(self, left_eur_per_kwh: Mapping[str, float]) -> Self:
        """Each member with the value of what it leaves."""
        return replace(
            self,
            agents=tuple(
                agent.valued(
                    {rule: left_eur_per_kwh[f"{agent.name}.{rule}"] for rule in agent.stored_kwh()}
                )
                if agent.stored_kwh()
                else agent
                for agent in self.agents
            ),
        )

    def leaving(self, held_kwh: Mapping[str, float], horizon: Horizon) -> Self:
        """Each member to leave what is its own."""
        later = []
        for agent in self.agents:
            own = {rule: held_kwh[f"{agent.name}.{rule}"] for rule in agent.stored_kwh()}
            later.append(agent.leaving(own, horizon) if own else agent)
        return replace(self, agents=tuple(later))

    def full_cycles(self, plan: Plan, horizon: Horizon) -> float:
        """Of all its stores."""
        return sum(agent.full_cycles(plan.parts[agent.name], horizon) for agent in self.agents)

    def calendar_wear_eur(self, horizon: Horizon) -> float:
        """Of all its members [€]."""
        return sum(agent.calendar_wear_eur(horizon) for agent in self.agents)

    def missed_kwh(self, plan: Plan) -> float:
        """By which its members miss their targets [kWh]."""
        return sum(agent.missed_kwh(plan.parts[agent.name]) for agent in self.agents)

    def shifts_h(self, plan: Plan, horizon: Horizon) -> tuple[float, ...]:
        """How far each start of its members was moved [h]."""
        return tuple(
            shift
            for agent in self.agents
            for shift in agent.shifts_h(plan.parts[agent.name], horizon)
        )


def _summed(parts: Sequence[Affine | Floats | float], size: int) -> Affine:
    """The sum of expressions and numbers, an ``Affine`` of ``size``."""
    return Affine.total(
        [part if isinstance(part, Affine) else np.zeros(size) + part for part in parts], size
    )
