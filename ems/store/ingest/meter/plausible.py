"""Whether what was read can be a house: what no rule of a meter can see, said with its number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ems.forecast.clear_sky import Sun
from ems.store.ingest.dataset import BuildingData
from ems.types import Bools, Floats

HOME_KWH_A = (300.0, 40_000.0)
"""Load of a home in a year, from a flat that is seldom lived in to electric heating [kWh]."""
HOME_PEAK_KW = 45.0
"""Most that the connection of a home gives, 3 · 63 A at 230 V [kW]."""
ROOF_KWH_PER_KW_A = 2_200.0
"""More than any roof yields a year for each kW of its own highest power [kWh/kW]."""
DARK_SHARE = 1e-3
"""More of its energy in steps wholly without sun is no late reading: measured are 5e-5 at the right
hour, and 4e-4 to 3e-3 an hour off."""
LEAST_DAYS = 14
"""Fewer days of sun show nothing about a clock; four times as many are needed for a yield."""
NOTHING_DRAWN_SHARE = 0.2
"""A house draws something at night; where a share of the dark hours shows nothing, something else
supplies it."""
HOURS_A_YEAR = 8766.0


def doubts(data: BuildingData) -> Iterator[str]:
    """What is unlikely about a building, one line each, with the number and the likely cause."""
    yield from _size(data)
    yield from _sun(data)
    yield from _behind(data)


def _size(data: BuildingData) -> Iterator[str]:
    bought = _sum(data, "import")
    if not np.isfinite(bought).any():
        return
    a_year = float(np.nanmean(bought)) / data.step_h * HOURS_A_YEAR
    least, most = HOME_KWH_A
    home = data.kind == "residential"
    alone = {feed.role for feed in data.feeds} <= {"import", "load"}
    if home and (a_year > most or (alone and a_year < least)):
        yield (
            f"unlikely: imports of {a_year:,.0f} kWh a year (a home: {least:,.0f} to "
            f"{most:,.0f}); are 'unit' and 'kind' right?"
        )
    peak_kw = float(np.nanmax(bought)) / data.step_h
    if home and peak_kw > HOME_PEAK_KW:
        yield (
            f"unlikely: imports of {peak_kw:,.1f} kW in one step (a home: at most "
            f"{HOME_PEAK_KW:g} kW); are 'unit' and 'kind' right?"
        )


def _sun(data: BuildingData) -> Iterator[str]:
    pv_kwh = np.nan_to_num(_sum(data, "pv"))
    if not pv_kwh.sum() > 0:
        return
    first = data.ts_utc[0]
    up: Bools = Sun.at(data.place, first, len(data.ts_utc), data.step_h).up
    share = float(pv_kwh[~up].sum() / pv_kwh.sum())
    days = len(pv_kwh) * data.step_h / 24.0
    if days >= LEAST_DAYS and share > DARK_SHARE:
        yield (
            f"unlikely: {100 * share:.2g} % of the PV energy lies in hours without any sun in "
            f"{data.place.name} (at most 0.01 % where the clock is right); are 'timestamp_zone', "
            "'label' and the place right?"
        )
    yield_h = float(pv_kwh.sum() / (pv_kwh.max() / data.step_h)) * 365.25 / days
    if days >= 4 * LEAST_DAYS and yield_h > ROOF_KWH_PER_KW_A:
        yield (
            f"unlikely: the roof yields {yield_h:,.0f} kWh a year for each kW of its highest power "
            f"(at most {ROOF_KWH_PER_KW_A:,.0f}); is its 'kind' right?"
        )


def _behind(data: BuildingData) -> Iterator[str]:
    """Generation without a meter, and a battery that is not named."""
    if data.load_rule == "import-export":
        yield (
            "there is an export meter but none for the generation: how much of it the house uses "
            "itself cannot be known. What is left of the load after it is planned (the load below "
            "may be negative); self-sufficiency stays unknown. Add a feed with role 'pv' if its "
            "energy is metered"
        )
    if any(feed.role == "discharge" for feed in data.feeds):
        return
    if not all(
        any(feed.role == role for feed in data.feeds) for role in ("import", "export", "pv")
    ):
        return
    load_kwh = _sum(data, "import") + _sum(data, "pv") - _sum(data, "export")
    dark = (_sum(data, "pv") == 0) & np.isfinite(load_kwh)
    if not dark.any():
        return
    share = float(np.mean(load_kwh[dark] <= 1e-6))
    if share > NOTHING_DRAWN_SHARE:
        yield (
            f"unlikely: in {100 * share:.0f} % of the hours without PV nothing is drawn at all. Is "
            "a battery there? Name its columns (roles 'charge' and 'discharge'), or the load below "
            "is wrong and so is every saving"
        )


def _sum(data: BuildingData, role: str) -> Floats:
    series = [
        data.energy_kwh[feed.name]
        for feed in data.feeds
        if feed.role == role and feed.behind_import
    ]
    return np.sum(series, axis=0) if series else np.zeros(len(data.ts_utc))
