"""Made profiles of wind, sun and demand: what is announced, and what then happens.

SYNTHETIC: shapes with a seed, for scenarios that need no measurements. Wind is a logistic of an
autoregressive state with hours of memory, sun a clear sky at the scenario's place times such a
state, demand two humps of a working day. What happens departs from what was announced by a second,
slower autoregressive state of the stated size: the imbalance that an auction leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import lfilter

from ems.site.place import Place
from ems.types import Floats, Instants

Shape = Literal["steady", "wind", "sun", "homes", "works"]
"""``homes``: two humps a day. ``works``: day shifts."""
WIND_MEMORY_H = 10.0
CLOUD_MEMORY_H = 2.0
ERROR_MEMORY_H = 1.0
WIND_MEAN, WIND_SPREAD = -0.6, 1.2
"""Mean and spread of the state of the wind: 0.38 of the capacity on average."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """Shares of a capacity or of a base load, shape ``(n_steps,)`` each [1]."""

    announced: Floats
    actual: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """The steps of a scenario and where it stands."""

    ts_utc: Instants
    step_h: float
    place: Place

    @property
    def hour(self) -> Floats:
        """Hours of the mean solar day at the place, in [0, 24)."""
        since = self.ts_utc - self.ts_utc.astype("datetime64[D]")
        hours: Floats = (since / np.timedelta64(1, "h") + self.place.longitude_deg / 15.0) % 24.0
        return hours


def profile(shape: Shape, clock: Clock, error: float, seed: int) -> Profile:
    """``shape`` over the steps of ``clock``; ``error``: standard deviation of what happens [1]."""
    draw = np.random.default_rng(seed)
    announced = _SHAPES[shape](clock, draw)
    wrong = error * _memory(clock, ERROR_MEMORY_H, draw)
    most = 1.0 if shape in ("wind", "sun") else np.inf
    actual = np.clip(announced + wrong * (announced > 0), 0.0, most)
    return Profile(announced=announced, actual=actual)


def _steady(clock: Clock, draw: np.random.Generator) -> Floats:
    return np.ones(len(clock.ts_utc))


def _wind(clock: Clock, draw: np.random.Generator) -> Floats:
    state = WIND_MEAN + WIND_SPREAD * _memory(clock, WIND_MEMORY_H, draw)
    share: Floats = 1.0 / (1.0 + np.exp(-state))
    return share


def _sun(clock: Clock, draw: np.random.Generator) -> Floats:
    from ems.forecast.clear_sky import Sun

    sky = Sun.at(clock.place, clock.ts_utc[0], len(clock.ts_utc), clock.step_h)
    clear = 1.0 / (1.0 + np.exp(-1.5 - 1.5 * _memory(clock, CLOUD_MEMORY_H, draw)))
    return np.minimum(sky.ghi_w_per_m2 / 1000.0, 1.0) * clear


def _homes(clock: Clock, draw: np.random.Generator) -> Floats:
    morning = np.exp(-(((clock.hour - 8.0) / 2.5) ** 2))
    evening = np.exp(-(((clock.hour - 19.0) / 3.0) ** 2))
    return 0.6 + 0.35 * morning + 0.55 * evening


def _works(clock: Clock, draw: np.random.Generator) -> Floats:
    rise = 1.0 / (1.0 + np.exp(-2.0 * (clock.hour - 6.5)))
    fall = 1.0 / (1.0 + np.exp(-2.0 * (clock.hour - 17.5)))
    return 0.5 + 0.7 * (rise - fall)


_SHAPES = {"steady": _steady, "wind": _wind, "sun": _sun, "homes": _homes, "works": _works}


def _memory(clock: Clock, memory_h: float, draw: np.random.Generator) -> Floats:
    """An autoregressive state of mean 0 and variance 1 that begins in its usual spread."""
    keep = float(np.exp(-clock.step_h / memory_h))
    shocks = draw.standard_normal(len(clock.ts_utc))
    shocks[1:] *= np.sqrt(1.0 - keep**2)
    state: Floats = lfilter([1.0], [1.0, -keep], shocks)
    return state
