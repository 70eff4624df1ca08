"""Small made buildings and files of the OPSD layout."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ems.site.place import KONSTANZ
from ems.store.catalogue import feed_of
from ems.store.ingest.dataset import BuildingData, Dataset
from ems.store.ingest.opsd import no_prices, no_weather
from ems.types import Floats

START = np.datetime64("2016-03-01T00:00:00", "s")
HOUR = np.timedelta64(3600, "s")


def building(
    feeds: Mapping[str, Floats], *, separate: tuple[str, ...] = (), step_h: float = 1.0
) -> BuildingData:
    n_steps = len(next(iter(feeds.values())))
    step = np.timedelta64(round(step_h * 3600), "s")
    return BuildingData(
        building="DE_KN_residential9",
        kind="residential",
        place=KONSTANZ,
        timezone="Europe/Berlin",
        step_h=step_h,
        ts_utc=START + np.arange(n_steps) * step,
        feeds=tuple(feed_of(name, behind_import=name not in separate) for name in feeds),
        energy_kwh=dict(feeds),
        load_rule="import+submetered" if separate else "import+pv-export",
    )


def dataset(*buildings: BuildingData, prices: pd.DataFrame | None = None) -> Dataset:
    return Dataset(
        buildings=buildings,
        prices=no_prices() if prices is None else prices,
        weather=no_weather(),
        meta={"source": "made for a test", "licence": "none", "synthetic": "true"},
    )


def household(n_days: int, seed: int = 1) -> Floats:
    """Hourly consumption that never repeats itself [kWh]."""
    return np.random.default_rng(seed).uniform(0.2, 1.2, 24 * n_days)


def sunshine(n_days: int, seed: int = 2) -> Floats:
    """Hourly PV generation under changing clouds [kWh]."""
    hour = np.arange(24 * n_days) % 24
    clouds = np.random.default_rng(seed).uniform(0.3, 1.0, 24 * n_days)
    return 5.0 * np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None) * clouds


def opsd_lines(
    columns: Mapping[str, list[object]], *, step_min: int = 60, marker: str = "interpolated"
) -> list[str]:
    """Lines of a file of the OPSD layout, with empty cells for None."""
    n_rows = len(next(iter(columns.values())))
    times = START + np.arange(n_rows) * np.timedelta64(step_min * 60, "s")
    lines = [",".join(["utc_timestamp", "cet_cest_timestamp", *columns, marker])]
    for row, time in enumerate(times):
        cells = ["" if column[row] is None else str(column[row]) for column in columns.values()]
        lines.append(",".join([f"{time}Z", "", *cells, ""]))
    return lines


def write(path: Path, lines: list[str]) -> Path:
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path
