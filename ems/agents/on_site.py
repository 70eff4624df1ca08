"""The interface of device kinds: found in a building, forecast, and planned.

A ``SiteDevice`` is a device on the whole time grid of a building's meters: as metered, as assumed,
or as forecast at an instant. It is defined in its agent's file and makes the agent of any stretch
of steps.
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
"""What a plan may be made without knowing: sun, load and heat, price, device use."""

Run = tuple[int, Floats]
"""A run of an appliance: its first step, and the energy of each of its steps [kWh]."""


class SiteView(Protocol):
    """A view of the meters on a building's bus."""

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
        """The steps of each day covered from midnight to midnight."""

    def meters(self, category: str) -> tuple[str, ...]:
        """The feeds of one category on the bus, in store order."""

    def meters_of(self, role: str) -> tuple[str, ...]:
        """The feeds of one role on the bus, in store order."""

    @property
    def temperature_c(self) -> Floats:
        """Outdoor temperature of each step [°C], NaN if unknown."""

    def energy_kwh(self, meter: str) -> Floats:
        """Energy of each step [kWh], NaN if unknown."""

    def runs(self, meter: str) -> tuple[Run, ...]:
        """The complete runs of an appliance, in order."""

    def sessions(self, meter: str) -> tuple[tuple[int, int], ...]:
        """First step and last + 1 of each charging session, in order."""

    def charger_kw(self, meter: str) -> float:
        """The charger size that fits the metered power [kW]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """The steps of a plan on a building's whole grid.

    ``spans``: the committed days; ``whole``: the steps planned, from the step in which the plan is
    made to the end of its look-ahead.
    """

    spans: tuple[slice, ...]
    whole: slice

    @property
    def ahead(self) -> int:
        """Number of look-ahead steps after the committed days."""
        return int(self.whole.stop - self.spans[-1].stop)

    @property
    def n_committed(self) -> int:
        """Number of steps carried out."""
        return int(self.spans[-1].stop - self.whole.start)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanFrame:
    """What an agent is made for: steps, horizon, and its people's wishes.

    ``state``: the agents as they stand at the first midnight, by name; those that are missing start
    as specified. ``closed``: the last step must leave stores as their people had them.
    ``runs_foreseen``: whether an appliance run is known before its people start it;
    if not, it can be delayed but not brought forward. ``before``: agents made before this one.
    """

    stretch: Stretch
    horizon: Horizon
    state: Mapping[str, Agent]
    comfort: Comfort
    runs_foreseen: bool
    closed: bool
    before: Sequence[Agent] = ()

    @property
    def surplus_kw(self) -> Floats:
        """Generation less load of all earlier agents that only follow a forecast [kW]."""
        surplus_kw = np.zeros(self.horizon.n_steps)
        for agent in self.before:
            if agent.foreseen_kw is not None:
                surplus_kw = surplus_kw - agent.foreseen_kw
        return surplus_kw


@dataclass(frozen=True, kw_only=True, eq=False)
class Instant:
    """An instant at which forecasts are made, on a building's whole grid.

    ``step``: the first unknown step; ``ahead``: steps covered by forecasts; ``today``,
    ``tomorrow``: their days, ``tomorrow`` None at the end of the record; ``past_days``: all earlier
    whole days in order; ``hour``: local hour of every step [h].
    """

    step: int
    ahead: slice
    today: slice
    tomorrow: slice | None
    past_days: tuple[slice, ...]
    hour: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class ToLearn:
    """A series of a device that a forecaster must learn.

    ``what``: name in messages; ``energy_kwh``: shape ``(n,)``, NaN if unknown; ``least``: lower
    limit [kW]; ``model``: kind of forecaster; ``hedged``: whether scenarios are drawn.
    """

    what: str
    energy_kwh: Floats
    least: float
    model: Literal["pv", "load"]
    hedged: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteDevice(ABC):
    """A device on a building's whole grid, all series of shape ``(n,)``.

    ``name``: that of its agent; ``unknown``: what must be unknown for it to be only a forecast.
    """

    name: str
    step_h: float
    unknown: ClassVar[Unknown] = "devices"

    @abstractmethod
    def agent(self, frame: PlanFrame) -> Agent | None:
        """The agent of some steps, None if there is nothing to plan."""

    def used_kwh(self, where: slice) -> Floats:
        """Its part of the metered load in the steps ``where`` without planning [kWh]."""
        return np.zeros(where.stop - where.start)

    def planned_kwh(self, stretch: Stretch) -> Floats:
        """The part of the metered load that its agent of ``stretch`` represents [kWh] per step."""
        return self.used_kwh(stretch.whole)

    def to_learn(self, first: int) -> ToLearn | None:
        """What must be learned of it before step ``first``, None for nothing."""
        return None

    def believed(self, now: Instant, forecast_kw: Floats | None) -> Self:
        """The device as forecast; ``forecast_kw``: the learned series on ``ahead``."""
        return self

    @property
    def modelled(self) -> str:
        """How it is modelled, where that was fitted or assumed; empty if nothing was."""
        return ""

    @property
    def assumed(self) -> str:
        """What about it was assumed, in words; empty if all was metered."""
        return ""
