"""What flows on a building's bus and at what price: as it was, or as someone believes it will be.

A plan is made from a course. The true course is what the meters saw; a believed one is the truth
before an instant and a forecast from it on (see ``ems.foresight``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ems.ev_use import EVUse
from ems.history import Floats

Run = tuple[int, Floats]
"""A run of an appliance: its first step, and the energy of each of its steps [kWh]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """Every series on a building's whole grid, shape ``(n,)``.

    ``load_kwh``: all that is used on the bus, planned devices included; ``pv_kwh``: generation;
    ``spot_eur_per_mwh``: day-ahead price; ``runs``: for each appliance its runs in order;
    ``heat_kw``: for each heat pump how it runs when nobody plans [kW]; ``ev_use``: how the car is
    used, None without one.
    """

    load_kwh: Floats
    pv_kwh: Floats
    spot_eur_per_mwh: Floats
    runs: Mapping[str, tuple[Run, ...]]
    heat_kw: Mapping[str, Floats]
    ev_use: EVUse | None
