"""What is done when the frequency leaves its band, and when all is well again.

States of Regulation (EU) 2017/1485, article 18, as far as one frequency tells them: *normal*;
*alert* beyond ±50 mHz; *emergency* beyond ±200 mHz or when load was shed; *restoration* from there
until the frequency has stayed within ±50 mHz for 15 minutes. In an emergency the market is
suspended: stores give what they hold, flexible load waits, plants run in the order of their costs,
load that cannot be served is shed in blocks by its priority, and all that is delivered is paid the
cap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ems.market.frequency import BANDS_HZ, FrequencyRun
from ems.market.messages import GridState
from ems.types import Ints

CALM_S = 900.0
"""Time within ±50 mHz after which all is well again [s]."""
SHED_BLOCK = 0.05
"""Load is shed in blocks of this share of a consumer's load."""
MEASURES = {
    "normal": "trade as usual",
    "alert": "stand by",
    "emergency": "market suspended: stores give, flexible load waits, others as told",
    "restoration": "trade again; stand by",
}


@dataclass(frozen=True, kw_only=True)
class GridWatch:
    """The state of the grid, and how long it has been calm [s]."""

    state: GridState = "normal"
    calm_s: float = CALM_S

    @property
    def suspended(self) -> bool:
        """Whether the next auction is none."""
        return self.state == "emergency"

    def after(self, run: FrequencyRun) -> Self:
        """The state when the frequency went like this."""
        normal_hz = BANDS_HZ[0]
        away_hz = np.abs(run.frequency_hz - run.area.nominal_hz)
        step_s = run.area.step_s
        outside = np.flatnonzero(away_hz > normal_hz)
        if not len(outside):
            calm_s = min(self.calm_s + (len(away_hz) - 1) * step_s, CALM_S)
        else:
            calm_s = (len(away_hz) - 1 - outside[-1]) * step_s
        return replace(self, state=self._state(float(away_hz.max()), run, calm_s), calm_s=calm_s)

    def _state(self, most_hz: float, run: FrequencyRun, calm_s: float) -> GridState:
        normal_hz, _, steady_hz = BANDS_HZ
        if most_hz > steady_hz or run.shed_pu.any():
            return "emergency"
        if calm_s >= CALM_S:
            return "normal"
        if self.state in ("emergency", "restoration"):
            return "restoration"
        return "alert" if most_hz > normal_hz else self.state


def shed_by_priority(wanted_kw: Ints, served_kw: int, shed_last: Ints) -> Ints:
    """How much of each load is served when less than all can be, ``(n_loads,)`` [kW].

    Blocks of 5 % of a load go first from the loads with the lowest ``shed_last``, in turns among
    equals; the last block is cut in part, so that all of ``served_kw`` is used.
    """
    left = wanted_kw.copy()
    missing = int(wanted_kw.sum()) - served_kw
    for level in np.unique(shed_last):
        group = np.flatnonzero(shed_last == level)
        while missing > 0 and left[group].any():
            for load in group:
                block = min(max(1, round(SHED_BLOCK * wanted_kw[load])), left[load], missing)
                left[load] -= block
                missing -= block
    return left
