"""The meter data of one building, with prices and weather, in memory.

Read by the store, made by the twin, and the base of every plan. Energies are in kWh per step,
labelled by the UTC instant at which the step starts. Values rejected by the quality rules are NaN,
so that nothing is planned on them by accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from ems.errors import InvalidSpec
from ems.site.place import Place
from ems.site.weather import RecordedWeather
from ems.types import Floats, Instants

Role = Literal["import", "export", "pv", "load", "charge", "discharge"]
"""``import``/``export``: the meter at the grid; ``pv``: generation; ``load``: a sub-meter;
``charge``/``discharge``: a battery that is already there."""

Category = Literal["grid", "pv", "ev", "discrete_phase", "partial_usage", "fixed", "battery"]
"""How the planner may use a feed; ``fixed`` sub-meters stay in the base load."""

LoadRule = Literal[
    "import+pv-export",
    "import",
    "import+submetered",
    "import-export",
    "import+pv-export-charge+discharge",
]
"""How the building's load follows from its meters (``docs/data.md``).

``import+pv-export``: generation behind the import meter serves the load first.
``import``: no generation behind the import meter.
``import+submetered``: import plus the loads that are not ``behind_import``.
``import-export``: the generation has no meter, so only what is left of the load after it is known.
``import+pv-export-charge+discharge``: with a battery that is already there.
"""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One meter of a building: its name, what it measures, and how it may be planned.

    ``behind_import``: whether the building's import meter sees this feed. False for a circuit with
    its own meter (a heat pump on its own tariff, PV with full feed-in).
    """

    name: str
    role: Role
    category: Category
    behind_import: bool = True


def load_rule(feeds: Sequence[Feed]) -> LoadRule:
    """How the load follows from these meters."""
    if any(feed.role == "load" and not feed.behind_import for feed in feeds):
        return "import+submetered"
    if any(feed.role == "discharge" for feed in feeds):
        return "import+pv-export-charge+discharge"
    if any(feed.role == "pv" and feed.behind_import for feed in feeds):
        return "import+pv-export"
    if any(feed.role == "export" for feed in feeds):
        return "import-export"
    return "import"


class Metered(Protocol):
    """A building's meters and what they counted, before or after the quality rules."""

    @property
    def kind(self) -> str:
        """``residential``, ``industrial`` or ``public``."""

    @property
    def place(self) -> Place:
        """Where it stands."""

    @property
    def step_h(self) -> float:
        """Length of a step [h]."""

    @property
    def ts_utc(self) -> Instants:
        """Starts of the steps, shape ``(n,)``."""

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The meters."""

    @property
    def energy_kwh(self) -> Mapping[str, Floats]:
        """Energy of each step by feed [kWh], shape ``(n,)``."""

    @property
    def load_rule(self) -> LoadRule:
        """How the load follows from the meters."""


def sum_kwh(metered: Metered, *roles: Role, behind_import: bool | None = True) -> Floats:
    """The sum over the meters of ``roles`` [kWh], shape ``(n,)``, NaN where one of them is.

    Zeros without such a meter. ``behind_import``: only those that the import meter sees (True),
    does not see (False), or all (None).
    """
    total_kwh: Floats = np.zeros(len(metered.ts_utc))
    for feed in metered.feeds:
        if feed.role in roles and behind_import in (None, feed.behind_import):
            total_kwh = total_kwh + metered.energy_kwh[feed.name]
    return total_kwh


def load_kwh(metered: Metered) -> Floats:
    """The load of each step [kWh], NaN where a required meter is not ok.

    load = import + Σ pv behind the import meter − export − charge + discharge
           + Σ loads with their own meter

    Where generation has no meter it is what is left of the load after it, and may be negative.
    """
    if not any(feed.role == "import" for feed in metered.feeds):
        return np.full(len(metered.ts_utc), np.nan)
    return (
        sum_kwh(metered, "import", "discharge", behind_import=None)
        + sum_kwh(metered, "pv")
        + sum_kwh(metered, "load", behind_import=False)
        - sum_kwh(metered, "export", "charge", behind_import=None)
    )


@dataclass(frozen=True, kw_only=True)
class MeterData:
    """All feeds of one building on one regular UTC grid.

    ``place``: location, for sun, weather and public holidays.
    ``ts_utc``: starts of the steps, ``datetime64[s]``, shape ``(n,)``, without gaps.
    ``energy_kwh``: energy of each step by feed [kWh], NaN where not usable.
    ``load_kwh``: load of the building by its ``load_rule`` [kWh], NaN if unknown.
    ``pv_kwh``: generation in the load rule [kWh], zeros without PV.
    ``price_eur_per_mwh``: day-ahead price of each step [€/MWh], NaN if unknown.
    ``weather``: named series at each step (``temperature_c``, ``ghi_w_per_m2``, …).
    ``weather_forecast``: recorded weather forecasts, None if there are none.
    ``synthetic``: whether the data come from the twin; every output then says so.
    ``source``: one line naming the source and licence of the data.
    """

    building: str
    kind: str
    place: Place
    timezone: str
    step_h: float
    ts_utc: Instants
    feeds: tuple[Feed, ...]
    energy_kwh: Mapping[str, Floats]
    load_kwh: Floats
    pv_kwh: Floats
    price_eur_per_mwh: Floats
    load_rule: LoadRule
    synthetic: bool
    source: str
    data_hash: str
    weather: Mapping[str, Floats] = field(default_factory=dict)
    weather_forecast: RecordedWeather | None = None

    def __post_init__(self) -> None:
        n = len(self.ts_utc)
        series = {"load_kwh": self.load_kwh, "pv_kwh": self.pv_kwh, **self.energy_kwh}
        series |= {"price_eur_per_mwh": self.price_eur_per_mwh, **self.weather}
        for name, values in series.items():
            if values.shape != (n,):
                raise InvalidSpec(
                    f"{self.building}: {name} has shape {values.shape}, expected ({n},) as ts_utc"
                )

    def feeds_of(self, category: Category) -> tuple[Feed, ...]:
        """The feeds of one category, in store order."""
        return tuple(feed for feed in self.feeds if feed.category == category)
