"""What a network sees: the z-scored load before an origin, and what is known of each step ahead.

Mean and deviation are of one home's own past; they stay in the home. An unknown value is 0, the
mean, with a mark beside it in the past.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ems.errors import DataError
from ems.forecast.clock import Clock, steps_ahead
from ems.forecast.learned import MIN_DAYS, known_steps
from ems.forecast.series import Series
from ems.site.calendar import day_types
from ems.types import Bools, Floats, Ints

PAST_STEPS = 48
LEAD_H = 48.0
"""Leads that are learned [h]; steps further ahead are treated like the furthest."""
N_PAST = 4
"""Features of a past step: load, whether it is known, time of day as sine and cosine."""
N_AHEAD = 9
"""Features of a step ahead: see ``_ahead``."""
FREE = 1
"""Day type of weekends and public holidays."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Mean and standard deviation of the known load of one home [unit of the series]."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, series: Series, until: int, name: str) -> Self:
        """Of the known values before ``until``. ``DataError`` if too few, or all equal."""
        values = series.values[known_steps(series, until, name)]
        deviation = float(values.std())
        if deviation <= 0.0:
            raise DataError(
                f"{series.who}: all {len(values)} known values are {values[0]:g} {series.unit}, "
                f"{name} cannot learn from a constant; leave this home out"
            )
        return cls(mean=float(values.mean()), deviation=deviation)


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Inputs of ``n`` forecasts: ``past`` ``(n, PAST_STEPS, N_PAST)``, ``ahead`` ``(n, n_steps,
    N_AHEAD)``."""

    past: Floats
    ahead: Floats

    @classmethod
    def of(cls, series: Series, scale: Scale, origins: Ints, n_steps: int) -> Self:
        """What is known at each of the increasing ``origins`` of the ``n_steps`` after it."""
        clock = Clock.of(series, beyond=n_steps)
        z = (series.values - scale.mean) / scale.deviation
        return cls(
            past=_past(clock, z, origins),
            ahead=_ahead(series, clock, z, origins, steps_ahead(series, origins, n_steps)),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Inputs with the z-scored truth ``(n, n_steps)`` (0 if unknown) and whether it is known."""

    inputs: Inputs
    truth: Floats
    known: Bools

    def __len__(self) -> int:
        return len(self.truth)

    @classmethod
    def of(cls, series: Series, scale: Scale, until: int) -> Self:
        """Every origin whose steps ahead lie before ``until`` and are known somewhere.

        Raises ``DataError`` if there is none.
        """
        n_steps = round(LEAD_H / series.step_h)
        origins = np.arange(PAST_STEPS, until - n_steps + 1)
        truth = series.values[origins[:, None] + np.arange(n_steps)]
        kept = np.isfinite(truth).any(axis=1)
        if not kept.any():
            raise DataError(
                f"{series.who}: no known value in the {LEAD_H:g} h after any origin before step "
                f"{until}; at least {MIN_DAYS} days are needed"
            )
        z = (truth[kept] - scale.mean) / scale.deviation
        return cls(
            inputs=Inputs.of(series, scale, origins[kept], n_steps),
            truth=np.nan_to_num(z),
            known=np.isfinite(z),
        )

    @classmethod
    def joined(cls, parts: list[Examples]) -> Examples:
        """The examples of several homes one after the other: what only a pool can see."""
        return cls(
            inputs=Inputs(
                past=np.concatenate([part.inputs.past for part in parts]),
                ahead=np.concatenate([part.inputs.ahead for part in parts]),
            ),
            truth=np.concatenate([part.truth for part in parts]),
            known=np.concatenate([part.known for part in parts]),
        )


def _past(clock: Clock, z: Floats, origins: Ints) -> Floats:
    steps = origins[:, None] + np.arange(-PAST_STEPS, 0)
    inside = steps >= 0
    values = np.where(inside, z[np.maximum(steps, 0)], np.nan)
    turn = _turn(clock, np.maximum(steps, 0))
    features = [np.nan_to_num(values), np.isfinite(values), np.sin(turn), np.cos(turn)]
    return np.stack(features, axis=-1).astype(np.float64)


def _ahead(series: Series, clock: Clock, z: Floats, origins: Ints, target: Ints) -> Floats:
    """Time of day (2), weekday (2), free day, newest known day and week, lead, season."""
    known = np.broadcast_to(origins[:, None], target.shape)
    day, turn = clock.day[target], _turn(clock, target)
    # Day 0 is a Thursday, hence + 3: Monday is 0.
    week = 2.0 * np.pi * ((clock.days.astype(np.int64)[day] + 3) % 7) / 7.0
    of_year = (clock.days - clock.days.astype("datetime64[Y]")).astype(np.float64)[day]
    features = [
        np.sin(turn),
        np.cos(turn),
        np.sin(week),
        np.cos(week),
        (day_types(clock.days, series.place) == FREE)[day],
        _value(z, clock.ago(target, clock.newest(target, known, every=1))),
        _value(z, clock.ago(target, clock.newest(target, known, every=7))),
        np.minimum((target - known) * series.step_h / LEAD_H, 1.0),
        np.cos(2.0 * np.pi * of_year / 365.25),
    ]
    return np.stack(features, axis=-1).astype(np.float64)


def _value(z: Floats, step: Ints) -> Floats:
    return np.nan_to_num(np.where(step >= 0, z[np.clip(step, 0, len(z) - 1)], 0.0))


def _turn(clock: Clock, step: Ints) -> Floats:
    """Time of day as an angle [rad]."""
    turn: Floats = 2.0 * np.pi * clock.slot[step] / clock.step.shape[1]
    return turn
