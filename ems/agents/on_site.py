"""What a kind of device must say to be found in a building, believed in, and planned.

A ``SiteDevice`` is a device on the whole grid of time that a building's meters cover: as it was
metered, as it is assumed, or as it is believed to be at an instant. It stands in the file of its
agent and makes the agent of any stretch of steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self

import numpy as np

from ems.agents.base import Agent
from ems.agents.comfort import Comfort
from ems.core.horizon import Horizon
from ems.types import Days, Floats

Unknown = Literal["pv", "load", "price", "devices"]
"""What a plan may have to be made without: sun, load and heat, price, and the use of devices."""

Run = tuple[int, Floats]
"""A run of an appliance: its first step, and the energy of each of its steps [kWh]."""


class SiteView(Protocol):
    """What a building's meters saw on its bus, as a kind of device looks at it."""

    @property
    def step_h(self) -> float:
        """Length of a step [h]."""

    @property
    def hour(self) -> Floats:
        """The local hour of each step [h]."""

    @property
    def day(self) -> Days:
        """The local day of each step."""

    @property
    def whole_days(self) -> tuple[slice, ...]:
        """The steps of each day that the meters cover from midnight to midnight."""

    def meters(self, category: str) -> tuple[str, ...]:
        """The feeds of one category on the bus, in the order of the store."""

    def energy_kwh(self, meter: str) -> Floats:
        """Energy of each step [kWh], NaN where not known."""

    def runs(self, meter: str) -> tuple[Run, ...]:
        """The complete runs of an appliance, in order."""

    def sessions(self, meter: str) -> tuple[tuple[int, int], ...]:
        """First step and last + 1 of each charging session, in order."""

    def charger_kw(self, meter: str) -> float:
        """The size of the charger that delivers what was metered [kW]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """The steps of a plan on a building's whole grid.

    ``spans``: the days that are committed; ``whole``: what the plan looks at, from the step in
    which it is made to the end of its look-ahead.
    """

    spans: tuple[slice, ...]
    whole: slice

    @property
    def ahead(self) -> int:
        """How many steps it looks beyond the committed days."""
        return int(self.whole.stop - self.spans[-1].stop)

    @property
    def n_committed(self) -> int:
        """How many of its steps are carried out."""
        return int(self.spans[-1].stop - self.whole.start)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanFrame:
    """For what an agent is made: the steps and their horizon, and what its people want.

    ``soc_kwh``: the charge of stores before the first midnight [kWh] by name, where it is not that
    of their specification. ``runs_foreseen``: whether a run of an appliance is known before its
    people start it; if not, it can be put off but not brought forward. ``before``: the agents that
    are there already.
    """

    stretch: Stretch
    horizon: Horizon
    soc_kwh: Mapping[str, float]
    comfort: Comfort
    runs_foreseen: bool
    before: Sequence[Agent] = ()

    @property
    def surplus_kw(self) -> Floats:
        """Generation less load of all agents before that only follow a forecast [kW]."""
        surplus_kw = np.zeros(self.horizon.n_steps)
        for agent in self.before:
            if agent.foreseen_kw is not None:
                surplus_kw = surplus_kw - agent.foreseen_kw
        return surplus_kw


@dataclass(frozen=True, kw_only=True, eq=False)
class Instant:
    """An instant at which something is believed, on a building's whole grid.

    ``step``: the first that is not known; ``ahead``: the steps that forecasts speak of; ``today``,
    ``tomorrow``: their days, ``tomorrow`` None where the record ends; ``past_days``: all whole days
    before, in order; ``hour``: local hour of every step [h].
    """

    step: int
    ahead: slice
    today: slice
    tomorrow: slice | None
    past_days: tuple[slice, ...]
    hour: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class ToLearn:
    """A series that a forecaster has to learn of a device.

    ``what``: its name in messages; ``energy_kwh``: shape ``(n,)``, NaN where unknown; ``least``:
    what it is never below [kW]; ``model``: the kind of forecaster; ``hedged``: whether scenarios
    are drawn of it.
    """

    what: str
    energy_kwh: Floats
    least: float
    model: Literal["pv", "load"]
    hedged: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteDevice(ABC):
    """A device on a building's whole grid, all series of shape ``(n,)``.

    ``name``: that of its agent; ``unknown``: what must be unknown for it to be only believed.
    """

    name: str
    step_h: float
    unknown: ClassVar[Unknown] = "devices"

    @abstractmethod
    def agent(self, frame: PlanFrame) -> Agent | None:
        """The agent of some steps, None where there is nothing to plan in them."""

    def used_kwh(self, where: slice) -> Floats:
        """What of the metered load is its own in the steps ``where`` when nobody plans [kWh]."""
        return np.zeros(where.stop - where.start)

    def planned_kwh(self, stretch: Stretch) -> Floats:
        """What of the metered load its agent of ``stretch`` stands for [kWh], each step of it."""
        return self.used_kwh(stretch.whole)

    def to_learn(self, first: int) -> ToLearn | None:
        """What must be learned of it before the step ``first``, None for nothing."""
        return None

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """The device as it is believed to be; ``forecast_kw``: what was learned, on ``ahead``."""
        return self

    @property
    def assumed(self) -> str:
        """What no meter saw of it, in words; empty where all was metered."""
        return ""
