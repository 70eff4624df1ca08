"""What a program needs from an agent, and what it returns.

``ems.agents.base.Agent`` implements this protocol; nothing here knows a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.types import Floats

Kind = Literal["load", "generation", "storage", "grid"]
"""The side of the energy balance an agent is on."""
TOLERANCE = 1e-5
"""How far a plan may miss a rule [kW, kWh] before its audit fails; above the solver's own 1e-6."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contribution:
    """What an agent shows to others.

    ``net_load_kw``: draw from the bus in each step [kW], shape ``(n_steps,)``.
    ``cost_eur``: cost of its plan [€], an ``Affine`` of size 1 or a number.
    ``series``: named series of its plan, each of shape ``(n_steps,)``.
    ``effort_kw``: what it moves through a store, uses or curtails [kW], shape ``(n_steps,)``. Of
    plans of equal cost the one of least effort is chosen, and then the earliest.
    ``parts``: what each member of a group contributes, by its name in the group.
    """

    net_load_kw: Affine | Floats
    cost_eur: Affine | float = 0.0
    effort_kw: Affine | Floats | float = 0.0
    series: Mapping[str, Affine | Floats]
    parts: Mapping[str, Contribution] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The plan of one agent in numbers.

    ``net_load_kw``: [kW], shape ``(n_steps,)``; ``series``: named by the agent. ``parts``: the
    plans of a group's members, by their names in the group.
    """

    agent: str
    net_load_kw: Floats
    series: Mapping[str, Floats]
    parts: Mapping[str, Plan] = field(default_factory=dict)

    def window(self, first: int, last: int) -> Plan:
        """The steps ``first … last − 1`` of the plan."""
        return Plan(
            agent=self.agent,
            net_load_kw=self.net_load_kw[first:last],
            series={name: values[first:last] for name, values in self.series.items()},
            parts={name: part.window(first, last) for name, part in self.parts.items()},
        )


class Participant(Protocol):
    """An agent as the program sees it; ``ems.agents.base.Agent`` documents each method."""

    @property
    def name(self) -> str:
        """Name, unique within a program."""

    @property
    def kind(self) -> Kind:
        """Side of the energy balance."""

    @property
    def closes_balance(self) -> bool:
        """Whether it absorbs what is left on the bus."""

    @property
    def first_stage(self) -> bool:
        """Whether it decides once, before any scenario is known."""

    @property
    def fixed(self) -> bool:
        """Whether it has nothing to decide."""

    def contribute(self, block: Block) -> Contribution:
        """Write variables and rules into ``block``; return what others may see."""

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """The most it may feed in each step without being able to curtail [kW]."""

    def bus_worth_at_least(
        self, horizon: Horizon, must_feed_kw: Callable[[], Floats]
    ) -> Floats | None:
        """Lower bound on the value of a kWh on the bus [€/kWh], or None."""

    def canonical(self, plan: Plan) -> Plan:
        """The plan to report among plans of equal cost."""

    def stored_kwh(self, plan: Plan | None = None) -> Mapping[str, float]:
        """Energy in each store by the rule of its charge [kWh]."""

    def worth_before(self, duals: Mapping[str, Floats], horizon: Horizon) -> Mapping[str, Floats]:
        """The value of a kWh in each store before each step, from the duals of its rules."""
