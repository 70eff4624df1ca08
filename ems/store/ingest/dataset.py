"""The common form into which every source brings its measurements before they are stored."""

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


@dataclass(frozen=True, kw_only=True)
class BuildingData:
    """One building's raw meters on a regular UTC grid, before any quality rule.

    ``energy_kwh``: for each feed the energy of each step [kWh], shape ``(n,)``, NaN in a gap.
    ``filled``: for each feed where the source says that it interpolated, shape ``(n,)``; a feed
    that is not named was never filled.
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
    ``weather``: columns ``site, ts_utc, temperature_c, ghi_w_per_m2`` and what else the source has.
    ``weather_forecast``: as they were issued, ``site, issued_utc, ts_utc`` and as in ``weather``;
    empty where none were recorded.
    ``meta``: key → text: ``source``, ``licence``, ``synthetic`` ("true"/"false"), hashes, seeds.
    ``true_pmf``: for the twin the usage PMFs it was drawn from: columns
    ``building, feed, day_type, hour, probability, use_probability``; empty otherwise.
    """

    buildings: tuple[BuildingData, ...]
    prices: pd.DataFrame
    weather: pd.DataFrame
    meta: Mapping[str, str]
    true_pmf: pd.DataFrame = field(default_factory=pd.DataFrame)
    weather_forecast: pd.DataFrame = field(default_factory=pd.DataFrame)

    def require_one_place(self) -> Place:
        """Where all its buildings stand; ``DataError`` where they stand in several places."""
        places = {data.place: data.building for data in self.buildings}
        if len(places) > 1:
            raise DataError(
                f"weather: {', '.join(f'{who} stands in {p.name}' for p, who in places.items())}; "
                "a database holds the weather of one place, so build one for each, or none of it"
            )
        return next(iter(places))
