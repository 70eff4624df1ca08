"""Learning rate, prior names and training length of habit models.

Without heavy imports: the command lines read their defaults here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ems.errors import InvalidSpec

PriorName = Literal["uniform", "learned", "transfer"]

MIN_TRAIN_DAYS = 28
"""Known days learned before the first scored prediction: four of each weekday."""


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """How fast habits are tracked.

    ``lr_tau``: weight of the prior [days]; ``lr_min``, ``lr_max``: smallest and largest weight of
    one day; ``uniform_share``: share of every prediction spread over all hours.
    """

    lr_tau: float = 20.0
    lr_min: float = 0.005
    lr_max: float = 0.15
    uniform_share: float = 0.02

    def __post_init__(self) -> None:
        if not 0.0 < self.lr_tau < np.inf:
            raise InvalidSpec(f"learning rate: lr_tau = {self.lr_tau}, expected days above 0")
        if not 0.0 <= self.lr_min <= self.lr_max <= 1.0:
            raise InvalidSpec(
                f"learning rate: lr_min = {self.lr_min}, lr_max = {self.lr_max}; "
                "expected 0 <= lr_min <= lr_max <= 1"
            )
        if not 0.0 <= self.uniform_share < 1.0:
            raise InvalidSpec(
                f"learning rate: uniform_share = {self.uniform_share}, expected 0 <= share < 1"
            )
