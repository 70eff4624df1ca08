"""Input and output of a forecaster: a history, and quantiles from given origins.

A forecast from origin ``o`` may use only what lies before step ``o``, of the series and of its
weather. Only prices are known ahead, since they are published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.errors import DataError, InvalidSpec
from ems.site.place import Place
from ems.types import Floats, Instants, Ints

LEVELS: Floats = np.arange(1, 10) / 10.0
"""The quantile levels of every forecast: 0.1, 0.2, …, 0.9."""
MEDIAN = 4
"""Row of the median in ``LEVELS``."""
TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One quantity on a regular UTC grid, with weather.

    ``ts_utc``: starts of the steps, ``datetime64[s]``, shape ``(n,)``, without gaps.
    ``values``: mean of each step in ``unit``, NaN if unknown.
    ``place``: location, for sun and public holidays.
    ``weather``: measured weather at each step (``temperature_c``, ``ghi_w_per_m2``, …).
    ``least``: lower limit of the quantity, −∞ if there is none.
    """

    who: str
    unit: str
    ts_utc: Instants
    step_h: float
    timezone: str
    place: Place
    values: Floats
    weather: Mapping[str, Floats] = field(default_factory=dict)
    least: float = -np.inf

    def __post_init__(self) -> None:
        for name, values in {"values": self.values, **self.weather}.items():
            if values.shape != self.ts_utc.shape:
                raise InvalidSpec(
                    f"{self.who}: {name} has shape {values.shape}, ts_utc has {self.ts_utc.shape}; "
                    "give one value a step"
                )

    def __len__(self) -> int:
        return len(self.ts_utc)

    @property
    def steps_a_day(self) -> int:
        """Steps in a day of 24 hours."""
        return round(24.0 / self.step_h)

    @cached_property
    def local(self) -> pd.DatetimeIndex:
        """The starts of the steps in local time."""
        return pd.DatetimeIndex(self.ts_utc, tz="UTC").tz_convert(self.timezone)


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """Quantiles of one series from several origins.

    ``origins``: the step at whose start each forecast was made, shape ``(n_origins,)``: everything
    before it was known. ``values``: quantiles at ``LEVELS`` in ``unit``, non-decreasing over the
    levels, shape ``(n_origins, n_levels, n_steps)``; ``values[i, :, k]`` is for step ``origins[i] +
    k``. ``model``: name of the model.

    Raises ``DataError`` for a value that is not finite, crossing quantiles, or a value below
    ``least``.
    """

    who: str
    unit: str
    model: str
    origins: Ints
    values: Floats
    least: float = -np.inf

    def __post_init__(self) -> None:
        shape = (len(self.origins), len(LEVELS))
        if self.values.ndim != 3 or self.values.shape[:2] != shape or not self.values.shape[2]:
            raise DataError(
                f"{self._what}: values have shape {self.values.shape}, expected "
                f"{shape} and at least one step"
            )
        self._refuse(~np.isfinite(self.values), "a finite number")
        self._refuse(self.values < self.least - TOLERANCE, f"at least {self.least:g} {self.unit}")
        crossing = np.zeros(self.values.shape, dtype=np.bool_)
        crossing[:, 1:, :] = np.diff(self.values, axis=1) < -TOLERANCE
        self._refuse(crossing, "no smaller than the quantile before it")

    @property
    def _what(self) -> str:
        return f"forecast of {self.who} by {self.model}"

    def _refuse(self, bad: NDArray[np.bool_], allowed: str) -> None:
        if bad.any():
            i, level, k = (int(at) for at in np.argwhere(bad)[0])
            raise DataError(
                f"{self._what}: quantile {LEVELS[level]:.1f} at {k} steps from origin "
                f"{self.origins[i]} is {self.values[i, level, k]:g}, it must be {allowed}"
            )

    @property
    def n_steps(self) -> int:
        """Length of every forecast in steps."""
        return int(self.values.shape[2])

    @property
    def median(self) -> Floats:
        """The median, shape ``(n_origins, n_steps)``."""
        median: Floats = self.values[:, MEDIAN, :]
        return median

    def at(self, origin: int) -> Floats:
        """The quantiles from one origin, shape ``(n_levels, n_steps)``.

        Raises ``DataError`` if no forecast was made there.
        """
        found = int(np.searchsorted(self.origins, origin))
        if found == len(self.origins) or self.origins[found] != origin:
            raise DataError(f"{self._what}: none was made at step {origin}")
        quantiles: Floats = self.values[found]
        return quantiles


class Forecaster(Protocol):
    """A model of one series; the constructor only stores its arguments.

    ``needs_days``: days of known values that must lie before its first forecast.
    """

    needs_days: ClassVar[int]

    @property
    def name(self) -> str:
        """Name in tables."""

    def fit(self, series: Series, until: int) -> Self:
        """A model that has learned from the steps before ``until`` only.

        Raises ``DataError`` if they are too few.
        """

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``.

        Each origin may use the series and weather before it. All origins are computed at once.
        """
