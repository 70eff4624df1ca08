"""How a building is metered, inferred from its readings: which feeds the import meter sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ems.site.meters import Feed, load_rule, sum_kwh
from ems.store.ingest.dataset import BuildingData
from ems.types import Floats

EXCESS_KW = 0.05
"""A sub-meter this far above import in a sunless step is more than rounding or a late reading."""

EXCESS_SHARE = 0.05
"""A feed with this share of sunless steps in excess has its own meter.

Behind the import meter it would be zero; measured are at most 0.008 there, and 0.53 for a heat pump
on its own tariff.
"""

OWN_USE_SLOPE = -0.5
"""Change of import per change of PV between steps; below it, PV serves the load first.

Measured: −0.97 where the load always exceeds PV, +0.02 with full feed-in.
"""


def with_metering(data: BuildingData) -> BuildingData:
    """The same building with ``behind_import`` and load rule inferred from the data.

    A building without import meter is returned unchanged, since nothing can be inferred.
    """
    if not any(feed.role == "import" for feed in data.feeds):
        return data
    feeds = tuple(replace(feed, behind_import=_is_behind(feed, data)) for feed in data.feeds)
    return replace(data, feeds=feeds, load_rule=load_rule(feeds))


def _is_behind(feed: Feed, data: BuildingData) -> bool:
    if feed.role == "load":
        return not _exceeds_import(data.energy_kwh[feed.name], data)
    if feed.role == "pv":
        return _has_export(data) or _own_use_slope(data) < OWN_USE_SLOPE
    return True


def _has_export(data: BuildingData) -> bool:
    return any(feed.role == "export" for feed in data.feeds)


def _exceeds_import(load_kwh: Floats, data: BuildingData) -> bool:
    """Whether a sub-meter exceeds import while there is no sun."""
    import_kwh, pv_kwh = sum_kwh(data, "import"), sum_kwh(data, "pv")
    dark = (pv_kwh == 0) & (import_kwh > 0) & ~np.isnan(load_kwh)
    if not dark.any():
        return False
    excess: NDArray[np.bool_] = load_kwh[dark] > import_kwh[dark] + EXCESS_KW * data.step_h
    return bool(excess.mean() > EXCESS_SHARE)


def _own_use_slope(data: BuildingData) -> float:
    """Least-squares slope of Δimport on ΔPV, step to step, where both meters work.

    Δimport = slope · ΔPV + share · Δsub-meters + mean of the hour of the day

    Differences remove the season, hourly means the daily routine, sub-meters people's behaviour:
    all three move import and PV together without causation.
    """
    import_kwh, pv_kwh = sum_kwh(data, "import"), sum_kwh(data, "pv")
    changes = np.diff([import_kwh, pv_kwh, np.nan_to_num(sum_kwh(data, "load"))])
    working = (import_kwh[1:] > 0) & (import_kwh[:-1] > 0) & np.isfinite(changes).all(axis=0)
    if not working.any():
        return 0.0
    hour = data.ts_utc[1:][working].astype("datetime64[h]").astype(np.int64) % 24
    count = np.maximum(np.bincount(hour, minlength=24), 1)
    import_step, *causes = [
        change - (np.bincount(hour, weights=change, minlength=24) / count)[hour]
        for change in changes[:, working]
    ]
    slopes = np.linalg.lstsq(np.column_stack(causes), import_step, rcond=None)[0]
    return float(slopes[0])
