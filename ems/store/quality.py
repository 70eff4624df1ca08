"""Which readings can be believed: general, vectorised rules over the raw meters.

Every rule sees only numbers and roles, never a building's name. A rule marks steps; nothing is
deleted or repaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ems.history import Instants
from ems.store.ingest.dataset import BuildingData

Quality = Literal["ok", "ended", "gap", "spike", "stuck"]
QUALITIES: tuple[Quality, ...] = ("ok", "ended", "gap", "spike", "stuck")
"""In the order of the enum in ``schema/data.sql``: codes are positions here."""

Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]

OK, ENDED, GAP, SPIKE, STUCK = range(5)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule found on one feed: how many steps, on how many UTC days, from when to when."""

    building: str
    feed: str
    rule: str
    steps: int
    days: int
    first_ts_utc: np.datetime64
    last_ts_utc: np.datetime64


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The quality code of every step of every feed, and the findings behind it."""

    codes: Mapping[str, Codes]
    findings: tuple[Finding, ...]


def judge(data: BuildingData) -> Judgement:
    """Apply every rule to one building."""
    codes: dict[str, Codes] = {}
    findings: list[Finding] = []
    for feed in data.feeds:
        missing = np.isnan(data.energy_kwh[feed.name])
        codes[feed.name] = np.where(missing, GAP, OK).astype(np.int8)
        findings += _finding(data, feed.name, "missing", missing)
    return Judgement(codes=codes, findings=tuple(findings))


def _finding(data: BuildingData, feed: str, rule: str, mask: Mask) -> list[Finding]:
    """One finding when the rule marked anything."""
    marked: Instants = data.ts_utc[mask]
    if not len(marked):
        return []
    return [
        Finding(
            building=data.building,
            feed=feed,
            rule=rule,
            steps=len(marked),
            days=len(np.unique(marked.astype("datetime64[D]"))),
            first_ts_utc=marked[0],
            last_ts_utc=marked[-1],
        )
    ]
