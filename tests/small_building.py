"""Small made buildings of whole local days, and the twin's and the real database, built once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ems.site.meters import Category, Feed, MeterData
from ems.site.place import KONSTANZ
from ems.site.series import SiteSeries
from ems.store.build import build_database
from ems.store.connection import get_con
from ems.store.ingest.opsd import read_opsd, read_weather
from ems.store.ingest.twin import twin_dataset
from ems.store.read import list_buildings, read_history
from ems.types import Floats

ZONE = "Europe/Berlin"
CATEGORIES: Mapping[str, Category] = {
    "ev": "ev",
    "dishwasher": "discrete_phase",
    "heat_pump": "partial_usage",
    "fridge": "fixed",
}


def local_index(first: date, n_days: int, step_h: float = 1.0) -> pd.DatetimeIndex:
    """The starts of all steps from the first local midnight to the last, in local time."""
    end = first + timedelta(days=n_days)
    step = pd.Timedelta(hours=step_h)
    return pd.date_range(str(first), str(end), freq=step, tz=ZONE, inclusive="left")


def at(index: pd.DatetimeIndex, *stretches: tuple[str, float, float]) -> Floats:
    """Energy per step [kWh] from (local start, hours, kW); the power is drawn all the time."""
    step_h = (index[1] - index[0]) / pd.Timedelta(hours=1)
    energy_kwh = np.zeros(len(index))
    for start, hours, power_kw in stretches:
        first = index.get_loc(pd.Timestamp(start, tz=ZONE))
        energy_kwh[first : first + round(hours / step_h)] = power_kw * step_h
    return energy_kwh


def made(
    index: pd.DatetimeIndex,
    loads: Mapping[str, Floats] | None = None,
    *,
    base_kw: float = 0.4,
    pv_kwh: Floats | None = None,
    price_eur_per_mwh: Floats | float = 30.0,
    apart: tuple[str, ...] = (),
) -> MeterData:
    """A house whose import and export meters net its loads and its sun in every step.

    ``apart``: loads with a meter of their own, which the import meter does not see.
    """
    n, step_h = len(index), float((index[1] - index[0]) / pd.Timedelta(hours=1))
    loads = dict(loads or {})
    behind = sum((kwh for name, kwh in loads.items() if name not in apart), np.zeros(n))
    seen_kwh = np.full(n, base_kw * step_h) + np.nan_to_num(behind)
    pv = np.zeros(n) if pv_kwh is None else pv_kwh
    feeds = [
        Feed(name="grid_import", role="import", category="grid"),
        Feed(name="grid_export", role="export", category="grid"),
        *([] if pv_kwh is None else [Feed(name="pv", role="pv", category="pv")]),
        *(
            Feed(name=name, role="load", category=CATEGORIES[name], behind_import=name not in apart)
            for name in loads
        ),
    ]
    energy_kwh = {
        "grid_import": np.maximum(seen_kwh - pv, 0.0),
        "grid_export": np.maximum(pv - seen_kwh, 0.0),
        **({} if pv_kwh is None else {"pv": pv}),
        **loads,
    }
    return MeterData(
        building="made_house",
        kind="residential",
        place=KONSTANZ,
        timezone=ZONE,
        step_h=step_h,
        ts_utc=np.asarray(index.tz_convert("UTC").tz_localize(None), dtype="datetime64[s]"),
        feeds=tuple(feeds),
        energy_kwh=energy_kwh,
        load_kwh=seen_kwh + sum((loads[name] for name in apart), np.zeros(n)),
        pv_kwh=pv,
        price_eur_per_mwh=np.broadcast_to(price_eur_per_mwh, (n,)).astype(float),
        load_rule="import+submetered" if apart else "import+pv-export",
        synthetic=True,
        source="made for a test",
        data_hash="none",
        # Only where something needs it; 5 °C every hour.
        weather={"temperature_c": np.full(n, 5.0)} if "heat_pump" in loads else {},
    )


def device_of(series: SiteSeries, name: str) -> Any:
    """The device ``name`` of a course, whatever its kind."""
    (found,) = [device for device in series.devices if device.name == name]
    return found


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ems-tests-")


@cache
def twin_database() -> Path:
    """The twin as a fresh clone builds it."""
    target = Path(_folder().name) / "twin.duckdb"
    build_database(twin_dataset(), target)
    return target


@cache
def real_database(shared_data: Path) -> Path:
    """The seven real buildings with day-ahead prices."""
    target = Path(_folder().name) / "real.duckdb"
    readings = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    prices = shared_data / "prices" / "de_day_ahead_2015_2020_utc.csv.gz"
    dataset = read_opsd(readings, prices)
    weather = read_weather(shared_data / "weather" / "de_2015_2019.csv.gz")
    build_database(replace(dataset, weather=weather), target)
    return target


@cache
def histories(database: Path) -> Mapping[str, MeterData]:
    """Every building of a database."""
    with get_con(database) as con:
        return {name: read_history(con, name) for name in list_buildings(con)}
