"""The value of what is left in a store, one for every mode, day and figure.

λ(t) [€/kWh] is what one kWh more in the store before step t is worth: the dual of the store's
charge rule in the plan with perfect information. The cost of a day with its stores put back is

    cost − Σ (λ₁ (E₁ − E₁ᵐ) − λ₀ (E₀ − E₀ᵐ))   [€]

with E₀, E₁ [kWh] in the stores at its two midnights, and E₀ᵐ, E₁ᵐ as metered at the same: so that
*as metered* costs what its meter bills, and no mode gains from a change of λ alone. Since a
midnight has one λ, days add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from ems.core.program import StoreDuals
from ems.errors import DataError
from ems.types import Floats

Worth = Mapping[str, Mapping[str, float]]
"""Agent -> rule of the store -> value of a kWh in it [€/kWh]."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a plan is told of its end.

    ``worth``: the value of a kWh in each store [€/kWh]; ``held_kwh``: what the perfect plan holds
    then [kWh], by agent and rule, empty for a plan on forecasts. λ is a slope: the first kWh that
    is missing may cost twice what one more would earn, so that a plan with perfect information must
    not leave less than the perfect plan does.
    """

    worth: Worth
    held_kwh: Worth = field(default_factory=dict)


MEMORY_DAYS = 28
"""Days whose values a plan on forecasts knows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreValues:
    """λ of every store on a building's whole grid.

    ``eur_per_kwh``: agent -> rule -> shape ``(n + 1,)``, before each step and after the last one;
    NaN outside the days that were valued. ``past_eur_per_kwh``: the same, but of each day only what
    was known when the next one ended: what plans on forecasts remember. ``held_kwh``: what the
    perfect plan holds, alike [kWh]. ``metered_eur``: what the
    stores gained on each day as metered, λ₁ E₁ᵐ − λ₀ E₀ᵐ [€]. ``hour``: the local hour of each step
    [h].
    """

    eur_per_kwh: StoreDuals
    past_eur_per_kwh: StoreDuals
    hour: Floats
    held_kwh: StoreDuals = field(default_factory=dict)
    metered_eur: Mapping[date, float] = field(default_factory=dict)

    def before(self, step: int) -> Worth:
        """The value of a kWh in each store before ``step``."""
        return {
            name: {rule: float(values[step]) for rule, values in stores.items()}
            for name, stores in self.eur_per_kwh.items()
        }

    def left(self, step: int) -> Left:
        """What the perfect plan says of the end of a plan at ``step``."""
        held_kwh = {
            name: {rule: float(kwh[step]) for rule, kwh in stores.items()}
            for name, stores in self.held_kwh.items()
        }
        return Left(worth=self.before(step), held_kwh=held_kwh)

    def remembered(self, step: int, known_until: int) -> Worth:
        """What is believed of ``before(step)`` by one who knows the values until ``known_until``.

        The mean at that local hour over the last ``MEMORY_DAYS`` days that were valued. Raises
        ``DataError`` if there is none.
        """
        hour = self.hour[step] if step < len(self.hour) else 0.0  # a record ends at midnight
        where = np.flatnonzero(self.hour[:known_until] == hour)
        return {
            name: {rule: _mean(name, values[where]) for rule, values in stores.items()}
            for name, stores in self.past_eur_per_kwh.items()
        }


def _mean(name: str, values: Floats) -> float:
    known = values[np.isfinite(values)][-MEMORY_DAYS:]
    if not known.size:
        raise DataError(
            f"{name}: no day before the plan could be planned, so nobody knows what its charge is "
            "worth at the end; start later"
        )
    return float(known.mean())
