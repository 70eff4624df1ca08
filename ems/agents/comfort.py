"""Discomfort of moving an appliance, in € that steer a plan but are no money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ems.errors import InvalidSpec
from ems.types import Floats, Ints


class Comfort(Protocol):
    """Prices the possible starts of a device's cycles."""

    @property
    def movable(self) -> bool:
        """Whether cycles may start at another time than the people started them."""
        ...

    def discomfort_eur(
        self, device: str, metered_start: Ints, local_hour: Floats, step_h: float
    ) -> Floats:
        """Discomfort of each cycle's start in each step [€], shape ``(n_cycles, n_steps)``."""
        ...


@dataclass(frozen=True, kw_only=True)
class ShiftComfort:
    """Each hour away from the people's own start costs the same: ``eur_per_h · |shift|`` [€]."""

    eur_per_h: float
    movable: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.eur_per_h < np.inf:
            raise InvalidSpec(f"comfort: eur_per_h is {self.eur_per_h}, allowed is >= 0")

    def discomfort_eur(
        self, device: str, metered_start: Ints, local_hour: Floats, step_h: float
    ) -> Floats:
        """``eur_per_h · |step − metered start| · Δt`` [€]."""
        steps = np.arange(len(local_hour))
        shift_h = np.abs(steps[None, :] - metered_start[:, None]) * step_h
        table: Floats = self.eur_per_h * shift_h
        return table


@dataclass(frozen=True, kw_only=True, eq=False)
class HabitComfort:
    """A start in an unusual hour costs comfort: ``weight_eur · (1 − p(hour) / max p)`` [€].

    ``hours``: learned probability of each local hour by device, shape ``(24,)``.
    ``weight_eur``: discomfort of a start in an hour that never occurs [€]; 0 ignores habits.
    ``movable``: False keeps every cycle at its people's time.
    """

    weight_eur: float
    hours: Mapping[str, Floats] = field(default_factory=dict)
    movable: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.weight_eur < np.inf:
            raise InvalidSpec(f"habit: weight_eur is {self.weight_eur}, allowed is >= 0")

    def discomfort_eur(
        self, device: str, metered_start: Ints, local_hour: Floats, step_h: float
    ) -> Floats:
        """The same price for every cycle of the device. Raises ``InvalidSpec`` if no habit is
        learned."""
        if device not in self.hours:
            raise InvalidSpec(f"habit: no learned hours for {device}; train its model first")
        hours = self.hours[device]
        # Relative to the most usual hour, so that a start there is free whatever the habit's
        # spread.
        price = self.weight_eur * (1.0 - hours / np.max(hours))
        return np.tile(price[np.floor(local_hour).astype(int)], (len(metered_start), 1))
