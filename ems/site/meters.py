"""What the meters of one building saw, with its prices and weather, in memory.

The store reads it, the twin makes it, everything that plans is built from it. Energies are in
kWh per step of the UTC instant that starts the step; a value the quality rules reject is NaN,
so nothing can be planned on it by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ems.errors import InvalidSpec
from ems.site.place import Place
from ems.site.weather import RecordedWeather
from ems.types import Floats, Instants

Role = Literal["import", "export", "pv", "load"]
"""``import``/``export``: the meter at the grid; ``pv``: generation; ``load``: a sub-meter."""

Category = Literal["grid", "pv", "ev", "discrete_phase", "partial_usage", "fixed"]
"""What the planner may do with a feed; ``fixed`` sub-meters stay part of the base load."""

LoadRule = Literal["import+pv-export", "import", "import+submetered"]
"""How the building's load follows from its meters (see ``docs/data.md``).

``import+pv-export``: generation behind the import meter serves the load first.
``import``: nothing is generated behind the import meter.
``import+submetered``: import plus the loads that are not ``behind_import``.
"""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One meter of a building: its name, what it measures and how it may be planned.

    ``behind_import``: whether the building's import meter sees this feed. False for a circuit
    with a meter of its own (a heat pump on its own tariff, PV that feeds in everything).
    """

    name: str
    role: Role
    category: Category
    behind_import: bool = True


@dataclass(frozen=True, kw_only=True)
class MeterData:
    """All feeds of one building on one regular UTC grid.

    ``place``: where the building stands: its sun, its weather and its public holidays.
    ``ts_utc``: starts of the steps, ``datetime64[s]``, shape ``(n,)``, without holes.
    ``energy_kwh``: for each feed the energy of each step [kWh], NaN where not plannable.
    ``load_kwh``: what the building used [kWh], by its ``load_rule``, NaN where not known.
    ``pv_kwh``: generation behind the load rule [kWh], zeros for a building without PV.
    ``price_eur_per_mwh``: day-ahead price of each step [€/MWh], NaN where not known.
    ``weather``: named series at each step (``temperature_c``, ``ghi_w_per_m2``, …).
    ``weather_forecast``: forecasts of the weather as they were issued, None where none is recorded.
    ``synthetic``: true when the data come from the twin; every output then says so.
    ``source``: one line naming where the data come from and their licence.
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
        """The feeds of one category, in the order of the store."""
        return tuple(feed for feed in self.feeds if feed.category == category)
