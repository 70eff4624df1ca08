"""The interface of habit models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from ems.learning.usage import DayUse
from ems.site.calendar import DayType
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Habit:
    """A model's prediction for one day.

    ``hours``: probability of a start in each local hour, shape ``(24,)``, sum 1;
    ``use_probability``: that the device is used at all; ``mean_starts``: starts on a used day.
    """

    day: date
    day_type: DayType
    hours: Floats
    use_probability: float
    mean_starts: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PmfUpdate:
    """One learning step of a device's start hours.

    ``n``: updates of this PMF before this one; ``alpha``: the step's rate; ``js_to_prior`` and
    ``js_step``: Jensen–Shannon *distances* [√nat] of the new PMF to the prior and to the previous
    one; ``entropy_bits`` and ``hours``: of the new PMF; ``own_starts``: the starts it learned from.
    """

    device: str
    day: date
    day_type: DayType
    n: int
    alpha: float
    js_to_prior: float
    js_step: float
    entropy_bits: float
    own_starts: float
    hours: Floats


class HabitModel(Protocol):
    """One device's habits, learned day by day."""

    def predict(self, day: date) -> Habit:
        """The prediction for ``day`` from the days seen so far."""
        ...

    def train(self, runs: Iterable[DayUse]) -> tuple[PmfUpdate, ...]:
        """Learn known days in order; returns every step that moved a PMF."""
        ...

    def update(self, day: DayUse) -> PmfUpdate | None:
        """Learn one day; None if it had no own start, so that no hour was learned."""
        ...
