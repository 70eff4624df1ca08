"""What flows on a building's bus and at what price: as it was, or as someone believes it will be.

A plan is made from a course. The true course is what the meters saw; a believed one is the truth
before an instant and a forecast from it on (see ``ems.forecast.information``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ems.site.ev_use import EVUse
from ems.types import Floats

Run = tuple[int, Floats]
"""A run of an appliance: its first step, and the energy of each of its steps [kWh]."""
MOST_STEPS = 24 * 60
"""No run is longer than a day of minutes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteSeries:
    """Every series on a building's whole grid, shape ``(n,)``.

    ``load_kwh``: all that is used on the bus, planned devices included; ``pv_kwh``: generation;
    ``spot_eur_per_mwh``: day-ahead price; ``runs``: for each appliance that is
    planned its runs in order, none across midnight; ``heat_kw``: for each heat pump
    that is planned how it runs when nobody plans [kW]; ``ev_use``: how the car is used, None
    without one. ``runs_foreseen``: whether a run is known before its people start it; if not, it
    can be put off but not brought forward.
    """

    load_kwh: Floats
    pv_kwh: Floats
    spot_eur_per_mwh: Floats
    runs: Mapping[str, tuple[Run, ...]]
    heat_kw: Mapping[str, Floats]
    ev_use: EVUse | None
    runs_foreseen: bool = True

    def charged_kwh(self, where: slice, step_h: float) -> Floats:
        """What a metered car charges in the steps ``where`` when nobody plans [kWh]."""
        if self.ev_use is None or self.ev_use.metered_kw is None:
            return np.zeros(where.stop - where.start)
        return self.ev_use.metered_kw[where] * step_h

    def planned_kwh(self, where: slice, step_h: float) -> Floats:
        """What all planned devices use in the steps ``where`` when nobody plans [kWh]."""
        planned_kwh = self.charged_kwh(where, step_h)
        for power_kw in self.heat_kw.values():
            planned_kwh = planned_kwh + power_kw[where] * step_h
        for runs in self.runs.values():
            planned_kwh = planned_kwh + runs_kwh(runs, where)
        return planned_kwh


def runs_kwh(runs: Sequence[Run], where: slice) -> Floats:
    """What the runs use in each of the steps ``where`` [kWh]."""
    used_kwh = np.zeros(where.stop - where.start)
    for start, energy_kwh in runs_between(runs, where.start - MOST_STEPS, where.stop):
        first = start - where.start
        begin, end = max(first, 0), min(first + len(energy_kwh), len(used_kwh))
        if begin < end:
            used_kwh[begin:end] += energy_kwh[begin - first : end - first]
    return used_kwh


def runs_between(runs: Sequence[Run], first: int, last: int) -> Sequence[Run]:
    """The runs that start in the steps ``first … last − 1``."""
    begin = bisect_left(runs, first, key=_first_step)
    return runs[begin : bisect_left(runs, last, lo=begin, key=_first_step)]


def _first_step(run: Run) -> int:
    return run[0]
