"""What a program asks of whoever takes part, and what it gives back.

``ems.agents.base.Agent`` keeps this contract; nothing here knows a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.types import Floats

Kind = Literal["load", "generation", "storage", "grid"]
"""On which side of the energy account an agent stands."""
TOLERANCE = 1e-5
"""How far a plan may miss a rule in its own unit [kW, kWh] before its audit fails."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contribution:
    """What an agent shows to others.

    ``net_load_kw``: what it draws from the bus in each step [kW], shape ``(n_steps,)``.
    ``cost_eur``: what its plan costs [€], a ``Affine`` of size 1 or a number.
    ``series``: named series of its plan, each of shape ``(n_steps,)``.
    """

    net_load_kw: Affine | Floats
    cost_eur: Affine | float = 0.0
    series: Mapping[str, Affine | Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What one agent will do, in numbers.

    ``net_load_kw``: [kW], shape ``(n_steps,)``; ``series``: what the agent chose to name.
    """

    agent: str
    net_load_kw: Floats
    series: Mapping[str, Floats]

    def window(self, first: int, last: int) -> Plan:
        """The steps ``first … last − 1`` of the plan."""
        return Plan(
            agent=self.agent,
            net_load_kw=self.net_load_kw[first:last],
            series={name: values[first:last] for name, values in self.series.items()},
        )


class Participant(Protocol):
    """An agent as the program sees it; ``ems.agents.base.Agent`` says what each method means."""

    @property
    def name(self) -> str:
        """Its name, given once in a program."""

    @property
    def kind(self) -> Kind:
        """On which side of the energy account it stands."""

    @property
    def closes_balance(self) -> bool:
        """Whether it takes whatever is left."""

    @property
    def first_stage(self) -> bool:
        """Whether it decides once, before any scenario is known."""

    @property
    def fixed(self) -> bool:
        """Whether nothing is left to decide."""

    def contribute(self, block: Block) -> Contribution:
        """Write variables and rules into ``block``; return what others may see."""

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """The most it may have to feed in each step, unable to hold it back [kW]."""

    def bus_worth_at_least(
        self, horizon: Horizon, must_feed_kw: Callable[[], Floats]
    ) -> Floats | None:
        """A lower bound on the value of a kWh on the bus [€/kWh], if it sets one."""

    def canonical(self, plan: Plan) -> Plan:
        """Among plans of equal cost the one to report."""
