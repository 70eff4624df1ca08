"""The base load: the meter reading less everything modelled as an agent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from ems.agents.base import Agent, as_steps, differs, frozen_series
from ems.agents.priced import PricedPlan
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.types import Floats

BASE_LOAD = "base_load"
"""Name of the base load in plans and tables."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseLoadAgent(Agent):
    """A fixed load.

    ``load_kw``: mean power of each step [kW], shape ``(n_steps,)``, finite. Negative where
    sub-meters and the main meter disagree by their resolution.
    """

    name: str = BASE_LOAD
    load_kw: Floats
    kind: ClassVar[Kind] = "load"
    colour: ClassVar[str | None] = "#C8C8C8"
    layer: ClassVar[int] = 1

    def __post_init__(self) -> None:
        frozen_series(self, "load_kw")

    @property
    def fixed(self) -> bool:
        """True: nothing to decide."""
        return True

    @property
    def foreseen_kw(self) -> Floats:
        """The whole load."""
        return self.load_kw

    def in_future(self, apart_kw: Floats) -> Self:
        """The load plus the deviation."""
        return replace(self, load_kw=self.load_kw + apart_kw)

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """No sentence; every step's text starts with the building's use."""
        yield from ()

    def must_feed_kw(self, horizon: Horizon) -> Floats:
        """The load, as negative feed-in."""
        return -as_steps(self, "load_kw", horizon)

    def contribute(self, block: Block) -> Contribution:
        """Draw ``load_kw``."""
        return Contribution(net_load_kw=as_steps(self, "load_kw", block.horizon), series={})

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The rest of the series."""
        return type(self)(name=self.name, load_kw=self.load_kw[n_steps:])

    def unplanned(self, horizon: Horizon) -> Plan:
        """The series itself."""
        load_kw = as_steps(self, "load_kw", horizon)
        return Plan(agent=self.name, net_load_kw=load_kw, series={})

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """The load must be served in full."""
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, self.load_kw)
