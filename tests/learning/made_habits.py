"""Histories whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ems.learning.pmf import normalise
from ems.learning.usage import UseHistory
from ems.site.calendar import day_types
from ems.site.meters import Category, Feed, MeterData
from ems.site.place import KONSTANZ
from ems.twin.generate import TwinBuilding
from ems.types import Floats

MONDAY = np.datetime64("2016-02-01", "D")

EVENING = normalise([1.0] * 17 + [5.0, 20.0, 30.0, 20.0, 5.0, 1.0, 1.0])
MORNING = normalise([1.0] * 6 + [5.0, 20.0, 30.0, 20.0, 5.0] + [1.0] * 13)
HABIT = np.stack([EVENING, MORNING])


def drawn(
    n_days: int,
    seed: int,
    *,
    habit: Floats = HABIT,
    use: float = 0.7,
    building: str = "home",
    device: str = "dishwasher",
) -> UseHistory:
    """Days with at most one start, drawn from ``habit`` (a row for each day type)."""
    rng = np.random.default_rng(seed)
    days = MONDAY + np.arange(n_days)
    kinds = day_types(days, KONSTANZ)
    n_starts = (rng.random(n_days) < use).astype(np.int64)
    starts = rng.multinomial(n_starts, habit[kinds]).astype(np.float64)
    return history_of(starts, days=days, building=building, device=device)


def history_of(
    starts: Floats,
    *,
    days: NDArray[np.datetime64] | None = None,
    building: str = "home",
    device: str = "dishwasher",
) -> UseHistory:
    """Consecutive days with these starts by hour, shape ``(n, 24)``."""
    days = MONDAY + np.arange(len(starts)) if days is None else days
    return UseHistory(
        building=building,
        place=KONSTANZ,
        device=device,
        category="discrete_phase",
        days=days,
        day_types=day_types(days, KONSTANZ),
        starts=starts,
        n_starts=starts.sum(axis=1),
        shifted=np.zeros(len(starts), dtype=bool),
    )


def one_start(*hours: int) -> Floats:
    """A day for each hour, with a start in it; −1: an unused day."""
    return np.stack([np.eye(24)[hour] if hour >= 0 else np.zeros(24) for hour in hours])


def meters(
    energy_kwh: Mapping[str, tuple[Category, Floats]],
    *,
    first_utc: str,
    step_h: float = 1.0,
    building: str = "home",
) -> MeterData:
    """A building of which only the sub-meters are known."""
    n = len(next(iter(energy_kwh.values()))[1])
    step = np.timedelta64(round(3600 * step_h), "s")
    none = np.full(n, np.nan)
    return MeterData(
        building=building,
        kind="residential",
        place=KONSTANZ,
        timezone="Europe/Berlin",
        step_h=step_h,
        ts_utc=np.datetime64(first_utc, "s") + np.arange(n) * step,
        feeds=tuple(
            Feed(name=name, role="load", category=category)
            for name, (category, _) in energy_kwh.items()
        ),
        energy_kwh={name: values for name, (_, values) in energy_kwh.items()},
        load_kwh=none,
        pv_kwh=none,
        price_eur_per_mwh=none,
        load_rule="import",
        synthetic=True,
        source="made",
        data_hash="",
    )


def twin_meters(building: TwinBuilding) -> MeterData:
    """The sub-meters of a building of the twin."""
    loads = {
        feed.name: (feed.category, building.energy_kwh[feed.name])
        for feed in building.feeds
        if feed.role == "load"
    }
    first = str(building.ts_utc[0])
    return meters(loads, first_utc=first, step_h=building.step_h, building=building.name)
