"""Priors for a device before its first day: ``uniform``, ``learned``, ``transfer``.

``uniform`` knows nothing; ``learned`` knows the usual hours of a kind of device (``priors.toml``);
``transfer`` uses the habits of the same device in other buildings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.learning.pmf import N_HOURS, UNIFORM, normalise, validated
from ems.learning.rate import PriorName
from ems.learning.usage import UseHistory
from ems.site.calendar import DAY_TYPES
from ems.types import Floats

PRIORS_FILE = Path(__file__).with_name("priors.toml")

PSEUDO_STARTS = 12.0
"""Weight of the uniform distribution in ``transfer``: half a start per hour (Jeffreys)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """PMFs and use of both day types.

    ``hours``: shape ``(2, 24)``, rows in the order of ``DAY_TYPES``; ``use_probability``: that the
    device is used on a day, shape ``(2,)``; ``mean_starts``: on a used day, shape ``(2,)``.
    """

    name: str
    hours: Floats
    use_probability: Floats
    mean_starts: Floats

    def __post_init__(self) -> None:
        n = len(DAY_TYPES)
        if validated(self.hours, f"prior {self.name}").shape != (n, N_HOURS):
            raise InvalidSpec(
                f"prior {self.name}: hours has shape {self.hours.shape}, expected ({n}, {N_HOURS})"
            )
        if not np.all(self.hours > 0.0):
            raise InvalidSpec(
                f"prior {self.name}: an hour has probability 0, so a start there would cost "
                "infinitely many bits; spread a small share over all hours"
            )
        if self.use_probability.shape != (n,) or np.any(np.abs(self.use_probability - 0.5) > 0.5):
            raise InvalidSpec(
                f"prior {self.name}: use_probability = {self.use_probability}, expected {n} values "
                "within 0 and 1"
            )
        if self.mean_starts.shape != (n,) or not np.all(self.mean_starts > 0.0):
            raise InvalidSpec(
                f"prior {self.name}: mean_starts = {self.mean_starts}, expected {n} values above 0"
            )


def uniform() -> Prior:
    """1/24 for every hour."""
    return _same_every_day("uniform", UNIFORM)


def learned(device: str) -> Prior:
    """The usual hours of this kind of device. Raises ``InvalidSpec`` if it has no windows."""
    windows: dict[str, list[list[int]]] = _table()["windows"]
    if device not in windows:
        raise InvalidSpec(
            f"prior learned: no windows for device {device!r}, known are "
            f"{', '.join(sorted(windows))}; use the uniform prior or add them to {PRIORS_FILE.name}"
        )
    inside = np.zeros(N_HOURS)
    for first, last in windows[device]:
        inside[_hours_between(first, last)] = 1.0
    # A small share outside the windows, so that no hour has probability 0.
    share = float(_table()["share_in_windows"])
    return _same_every_day("learned", share * normalise(inside) + (1.0 - share) * UNIFORM)


def transfer(building: str, histories: Sequence[UseHistory]) -> Prior:
    """The mean habit of the same device in other buildings, each with equal weight.

    p = mean over buildings of (starts(h) + ½) / (starts + 12). Histories of ``building`` itself are
    left out. The others' whole records are used, as if known beforehand.
    Raises ``DataError`` if there is no other building.
    """
    others = [history for history in histories if history.building != building and len(history)]
    if not others:
        raise DataError(
            f"{building}: no other building has this device, so there is nothing to transfer; "
            "use the uniform or the learned prior"
        )
    votes = [_frequencies(history) for history in others]
    hours, use, starts = (np.mean([vote[k] for vote in votes], axis=0) for k in range(3))
    return Prior(name="transfer", hours=hours, use_probability=use, mean_starts=starts)


def prior_named(name: PriorName, target: UseHistory, histories: Sequence[UseHistory]) -> Prior:
    """The prior of this name for ``target``; ``histories``: the same device everywhere."""
    if name == "uniform":
        return uniform()
    if name == "learned":
        return learned(target.device)
    if name == "transfer":
        return transfer(target.building, [h for h in histories if h.device == target.device])
    raise InvalidSpec(f"prior {name!r} is unknown, allowed are uniform, learned and transfer")


def _frequencies(history: UseHistory) -> tuple[Floats, Floats, Floats]:
    """Smoothed hours (2, 24), use probability (2,) and mean starts (2,) of one building."""
    kinds = np.arange(len(DAY_TYPES))
    of_type = (history.day_types[None, :] == kinds[:, None]).astype(np.float64)
    own = np.where(history.shifted[:, None], 0.0, history.starts)
    hours = normalise(of_type @ own + PSEUDO_STARTS / N_HOURS)
    used = of_type @ (history.n_starts > 0.0)
    use = (used + 0.5) / (of_type.sum(axis=1) + 1.0)
    return hours, use, (of_type @ history.n_starts + 0.5) / (used + 0.5)


def _same_every_day(name: str, hours: Floats) -> Prior:
    table, n = _table(), len(DAY_TYPES)
    return Prior(
        name=name,
        hours=np.tile(hours, (n, 1)),
        use_probability=np.full(n, float(table["use_probability"])),
        mean_starts=np.full(n, float(table["mean_starts"])),
    )


def _hours_between(first: int, last: int) -> list[int]:
    """The hours from ``first`` until ``last``, across midnight if ``last`` < ``first``."""
    return [(first + k) % N_HOURS for k in range((last - first) % N_HOURS)]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(PRIORS_FILE.read_text(encoding="utf-8"))
