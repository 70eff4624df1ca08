"""The common form of measurements from every source before they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.errors import DataError
from ems.site.meters import Feed, LoadRule
from ems.site.place import Place
from ems.types import Floats, Instants

FIRST_YEAR, LAST_YEAR = 1980, 2100
"""Years that a meter's clock can show, the last one excluded."""


@dataclass(frozen=True, kw_only=True)
class BuildingData:
    """One building's meters on a regular UTC grid, before or after the quality rules.

    ``energy_kwh``: energy of each step by feed [kWh], shape ``(n,)``, NaN in a gap. ``filled``:
    where the source says it interpolated, by feed, shape ``(n,)``; missing feeds were never filled.
    """

    building: str
    kind: str
    place: Place
    timezone: str
    step_h: float
    ts_utc: Instants
    feeds: tuple[Feed, ...]
    energy_kwh: Mapping[str, Floats]
    load_rule: LoadRule
    filled: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Everything one database is built from.

    ``prices``: columns ``zone, ts_utc, step_h, eur_per_mwh`` (naive UTC timestamps).
    ``weather``: columns ``site, ts_utc, temperature_c, ghi_w_per_m2`` and others of the source.
    ``weather_forecast``: as issued, ``site, issued_utc, ts_utc`` and as in ``weather``; empty if
    none were recorded.
    ``meta``: key → text: ``source``, ``licence``, ``synthetic`` ("true"/"false"), hashes, seeds.
    ``remarks``: what a reader left out or read in a way that must be said, one line each.
    ``true_pmf``: for the twin, the usage PMFs it was drawn from: columns ``building, feed,
    day_type, hour, probability, use_probability``; empty otherwise.
    """

    buildings: tuple[BuildingData, ...]
    prices: pd.DataFrame
    weather: pd.DataFrame
    meta: Mapping[str, str]
    remarks: tuple[str, ...] = ()
    true_pmf: pd.DataFrame = field(default_factory=pd.DataFrame)
    weather_forecast: pd.DataFrame = field(default_factory=pd.DataFrame)

    def require_one_place(self) -> Place:
        """The place of all its buildings. ``DataError`` if there are several places."""
        places = {data.place: data.building for data in self.buildings}
        if len(places) > 1:
            raise DataError(
                f"weather: {', '.join(f'{who} stands in {p.name}' for p, who in places.items())}; "
                "a database holds the weather of one place, so build one for each, or none of it"
            )
        return next(iter(places))
