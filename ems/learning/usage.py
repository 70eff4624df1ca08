"""From a device's meter to days: used or not, number of starts, starts by local hour.

What counts as a start depends on the category of the feed:

- ``discrete_phase``: the starts of its cycles (``ems.site.detection.detect_cycles``);
- ``ev``: the starts of its charging sessions;
- ``partial_usage`` (a heat pump starts itself): the day's energy by hour as shares that sum to one,
  so one day weighs as one start. A usage profile, not a habit of starting.

A day is known if all its steps and the step after it are known (a run that touches an unknown step
is no cycle). Unknown days are left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from ems.errors import DataError, InvalidSpec
from ems.learning.pmf import N_HOURS
from ems.site.calendar import day_types
from ems.site.detection import MIN_HOUR_KWH, detect_cycles, detect_sessions
from ems.site.meters import Category, Feed, MeterData
from ems.site.place import Place
from ems.types import Bools, Days, Floats, Ints

LEARNABLE: tuple[Category, ...] = ("discrete_phase", "partial_usage", "ev")
"""The categories of feeds that show a habit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DayUse:
    """The use of one device on one local day.

    ``starts``: starts by local hour, shape ``(24,)``; ``n_starts``: number of uses, 0 for an unused
    day. ``shifted``: the energy management chose the hours, so they are not learned.
    """

    day: date
    day_type: int
    starts: Floats
    n_starts: float
    shifted: bool = False

    def __post_init__(self) -> None:
        if self.starts.shape != (N_HOURS,) or not np.all(self.starts >= 0.0):
            raise InvalidSpec(
                f"{self.day}: starts of shape {self.starts.shape}, expected 24 values of at least 0"
            )

    @property
    def used(self) -> bool:
        """Whether the device was used at all."""
        return self.n_starts > 0

    @property
    def own_starts(self) -> float:
        """Starts whose hour people chose: 0 on a shifted day."""
        return 0.0 if self.shifted else float(self.starts.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class UseHistory:
    """The known days of one device in order.

    ``place``: location of the building; its public holidays define the day types.
    ``days``: ``datetime64[D]``, shape ``(n,)``; ``day_types``: positions in ``DAY_TYPES``;
    ``starts``: starts by local hour, shape ``(n, 24)``; ``n_starts``: shape ``(n,)``;
    ``shifted``: days whose hours the energy management chose. ``n_unknown``: days left out.
    """

    building: str
    place: Place
    device: str
    category: Category
    days: Days
    day_types: Ints
    starts: Floats
    n_starts: Floats
    shifted: Bools
    n_unknown: int = 0

    def __post_init__(self) -> None:
        n = len(self.days)
        shapes = {
            "day_types": (self.day_types.shape, (n,)),
            "starts": (self.starts.shape, (n, N_HOURS)),
            "n_starts": (self.n_starts.shape, (n,)),
            "shifted": (self.shifted.shape, (n,)),
        }
        for name, (shape, expected) in shapes.items():
            if shape != expected:
                raise InvalidSpec(f"{self.who}: {name} has shape {shape}, expected {expected}")
        if np.any(np.diff(self.days) <= np.timedelta64(0, "D")):
            raise InvalidSpec(f"{self.who}: days are not in order; sort them and drop doubles")
        if not (np.isfinite(self.starts).all() and np.all(self.starts >= 0.0)):
            raise InvalidSpec(f"{self.who}: starts must be finite and at least 0")

    @property
    def who(self) -> str:
        """Building and device, for messages."""
        return f"{self.building} {self.device}"

    def __len__(self) -> int:
        return len(self.days)

    def __getitem__(self, at: int) -> DayUse:
        return DayUse(
            day=self.days[at].item(),
            day_type=int(self.day_types[at]),
            starts=self.starts[at],
            n_starts=float(self.n_starts[at]),
            shifted=bool(self.shifted[at]),
        )

    def __iter__(self) -> Iterator[DayUse]:
        return (self[at] for at in range(len(self)))

    @property
    def own_starts(self) -> Floats:
        """Starts of each day whose hour people chose, shape ``(n,)``."""
        return np.where(self.shifted, 0.0, self.starts.sum(axis=1))

    def take(self, which: slice | Ints | Bools) -> UseHistory:
        """Some of the days; the number of unknown days is then 0."""
        return replace(
            self,
            days=self.days[which],
            day_types=self.day_types[which],
            starts=self.starts[which],
            n_starts=self.n_starts[which],
            shifted=self.shifted[which],
            n_unknown=0,
        )

    def before(self, day: date) -> UseHistory:
        """The known days before ``day``."""
        return self.take(self.days < np.datetime64(day, "D"))

    def on(self, day: date) -> DayUse:
        """One day. Raises ``DataError`` if it is not known."""
        at = int(np.searchsorted(self.days, np.datetime64(day, "D")))
        if at == len(self) or self.days[at].item() != day:
            raise DataError(
                f"{self.who}: {day} is not known (the meter has unknown steps or does not cover "
                "it); leave the day out"
            )
        return self[at]

    def knows(self, day: date) -> bool:
        """Whether ``on(day)`` has a result."""
        return bool(np.isin(np.datetime64(day, "D"), self.days))

    def with_shifted(self, shifted: Bools) -> UseHistory:
        """The same days with some marked as shifted by the energy management."""
        return replace(self, shifted=np.asarray(shifted, dtype=np.bool_))

    def with_changed_habit(self, day: date, hours: int) -> UseHistory:
        """For tests of tracking: from ``day`` on every start is ``hours`` later on the circle."""
        changed = self.days >= np.datetime64(day, "D")
        later = np.roll(self.starts, hours, axis=1)
        return replace(self, starts=np.where(changed[:, None], later, self.starts))


def use_histories(history: MeterData) -> dict[str, UseHistory]:
    """The days of every device of a building that shows a habit, by feed name."""
    feeds = [feed for feed in history.feeds if feed.category in LEARNABLE]
    grid = _LocalGrid.of(history)
    return {feed.name: _use_history(history, feed, grid) for feed in feeds}


def use_history(history: MeterData, device: str) -> UseHistory:
    """The days of one device. Raises ``DataError`` listing the devices if it is unknown."""
    for feed in history.feeds:
        if feed.name == device and feed.category in LEARNABLE:
            return _use_history(history, feed, _LocalGrid.of(history))
    has = ", ".join(feed.name for feed in history.feeds if feed.category in LEARNABLE) or "none"
    raise DataError(
        f"{history.building}: no device {device!r} with a habit; the building has: {has}"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _LocalGrid:
    """The steps of a history in local days: day number and wall-clock hour of each step."""

    days: Days
    complete: Bools
    day: Ints
    hour: Ints

    @classmethod
    def of(cls, history: MeterData) -> _LocalGrid:
        local = pd.DatetimeIndex(history.ts_utc, tz="UTC").tz_convert(history.timezone)
        wall = np.asarray(local.tz_localize(None), dtype="datetime64[s]")
        days, day, counts = np.unique(
            wall.astype("datetime64[D]"), return_inverse=True, return_counts=True
        )
        # Local midnights, so that a clock-change day is complete with 23 or 25 hours.
        edges = pd.DatetimeIndex([*days, days[-1] + np.timedelta64(1, "D")]).tz_localize(
            history.timezone
        )
        length = np.diff(np.asarray(edges.tz_convert("UTC").tz_localize(None)))
        steps = np.rint(length / np.timedelta64(3600, "s") / history.step_h)
        return cls(
            days=days,
            complete=np.asarray(counts == steps),
            day=day.astype(np.int64),
            hour=np.asarray(local.hour, dtype=np.int64),
        )

    def by_hour(self, at: Ints, weights: Floats | None = None) -> Floats:
        """Sum of the weights (or count) of the steps ``at`` by day and hour, ``(n_days, 24)``."""
        cells = self.day[at] * N_HOURS + self.hour[at]
        sums = np.bincount(cells, weights, minlength=len(self.days) * N_HOURS)
        return sums.reshape(-1, N_HOURS).astype(np.float64)

    def known(self, energy_kwh: Floats) -> Bools:
        """Days whose steps, and the step after them, are all known."""
        unknown = np.isnan(energy_kwh)
        blind = unknown | np.append(unknown[1:], False)
        n_blind = np.bincount(self.day[blind], minlength=len(self.days))
        return np.asarray(self.complete & (n_blind == 0))


def _use_history(history: MeterData, feed: Feed, grid: _LocalGrid) -> UseHistory:
    energy_kwh = history.energy_kwh[feed.name]
    known = grid.known(energy_kwh)
    if feed.category == "partial_usage":
        starts, n_starts = _energy_shares(energy_kwh, grid)
    else:
        find = detect_cycles if feed.category == "discrete_phase" else detect_sessions
        at = np.array([run.start for run in find(energy_kwh, history.step_h)], dtype=np.int64)
        starts = grid.by_hour(at)
        n_starts = starts.sum(axis=1)
    return UseHistory(
        building=history.building,
        place=history.place,
        device=feed.name,
        category=feed.category,
        days=grid.days[known],
        day_types=day_types(grid.days[known], history.place),
        starts=starts[known],
        n_starts=n_starts[known],
        shifted=np.zeros(int(known.sum()), dtype=np.bool_),
        n_unknown=int((~known).sum()),
    )


def _energy_shares(energy_kwh: Floats, grid: _LocalGrid) -> tuple[Floats, Floats]:
    """Each day's energy by hour as shares; a day without an hour of 0.1 kWh counts as unused."""
    hourly_kwh = grid.by_hour(np.arange(len(energy_kwh)), np.nan_to_num(energy_kwh))
    used = hourly_kwh.max(axis=1, initial=0.0) >= MIN_HOUR_KWH
    total_kwh = np.where(used, hourly_kwh.sum(axis=1), 1.0)
    return np.where(used[:, None], hourly_kwh / total_kwh[:, None], 0.0), used.astype(np.float64)
