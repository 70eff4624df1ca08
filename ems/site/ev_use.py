"""How a building's car is used: read from its charger's meter, or assumed where none exists."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ems.site.assets import EVSpec
from ems.site.detection import Session, charger_kw, detect_sessions
from ems.types import Floats

HALF_A_DAY_H = 12.0
"""The clock goes back by less in autumn, and by more when it comes around to an hour [h]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EVUse:
    """A car's arrivals, deadlines and its people's own course on a building's whole grid.

    ``trip_kwh``: energy missing on arrival, at the battery [kWh]; ``plugged_in``: whether it can
    charge; ``deadline``: the steps at whose end it must be as full as its people had it;
    ``metered_kw``: how it was charged [kW], None for an assumed car; ``soc_kwh``: charge at the end
    of each step when nobody plans [kWh]. All have shape ``(n,)``. ``max_charge_kw``: the charger
    [kW].
    """

    trip_kwh: Floats
    plugged_in: NDArray[np.bool_]
    deadline: NDArray[np.bool_]
    metered_kw: Floats | None
    soc_kwh: Floats
    max_charge_kw: float


def metered_use(energy_kwh: Floats, step_h: float, hour: Floats, spec: EVSpec) -> EVUse:
    """The use behind a charger's meter ``energy_kwh`` [kWh per step], NaN where unknown.

    Each charging session is an arrival with just the energy it charged missing. The car is assumed
    to stay plugged in until it must be full: the first ``must_be_full_by_hour`` after its arrival,
    or the end of the metered session where that is later. A car that comes back to charge before
    that has driven: it must have been full when it left, at the latest just before it is back.
    ``hour``: local hour of each step.
    """
    n = len(energy_kwh)
    known_kwh = np.nan_to_num(energy_kwh)
    trip_kwh, metered_kwh = np.zeros(n), np.zeros(n)
    plugged, deadline = np.zeros(n, bool), np.zeros(n, bool)
    sessions = detect_sessions(energy_kwh, step_h)
    following = [session.start for session in sessions[1:]]
    for session, next_start in zip(sessions, [*following, n], strict=False):
        span = slice(session.start, session.end)
        metered_kwh[span] = known_kwh[span]
        trip_kwh[session.start] = spec.efficiency * known_kwh[span].sum()
        last = min(_deadline_step(session, hour, spec.must_be_full_by_hour), next_start - 1)
        plugged[session.start : last + 1] = True
        deadline[last] = True
    return EVUse(
        trip_kwh=trip_kwh,
        plugged_in=plugged,
        deadline=deadline,
        metered_kw=metered_kwh / step_h,
        soc_kwh=spec.capacity_kwh + np.cumsum(spec.efficiency * metered_kwh - trip_kwh),
        max_charge_kw=max(charger_kw(energy_kwh, step_h), float(np.max(metered_kwh)) / step_h),
    )


def _deadline_step(session: Session, hour: Floats, full_by_hour: int) -> int:
    """The last step before the deadline hour that follows the arrival, or the metered end."""
    return max(_last_before_due(session.start, hour, full_by_hour), session.end - 1)


def _last_before_due(arrival: int, hour: Floats, full_by_hour: int) -> int:
    """The last step before the local clock next reaches the hour, or skips it in spring."""
    since = (hour[arrival:] - full_by_hour) % 24
    due = np.flatnonzero(since[1:] < since[:-1] - HALF_A_DAY_H)
    return arrival + int(due[0]) if due.size else len(hour) - 1


def known_use(use: EVUse, at: int, hour: Floats, spec: EVSpec) -> EVUse:
    """What is known of a metered car at the start of step ``at``: who has not come is not expected.

    A car that is plugged in is asked to be full at the next ``must_be_full_by_hour`` after its
    arrival, and at once where that has passed.
    """
    trip_kwh, plugged, deadline = use.trip_kwh.copy(), use.plugged_in.copy(), use.deadline.copy()
    soc_kwh = use.soc_kwh.copy()
    trip_kwh[at:], plugged[at:], deadline[at:] = 0.0, False, False
    soc_kwh[at:] = spec.capacity_kwh
    if at and use.plugged_in[at - 1] and not use.deadline[at - 1]:
        arrival = int(np.flatnonzero(use.trip_kwh[:at])[-1])
        last = max(_last_before_due(arrival, hour, spec.must_be_full_by_hour), at)
        plugged[at : last + 1] = True
        deadline[last] = True
    metered_kw = None if use.metered_kw is None else use.metered_kw.copy()
    if metered_kw is not None:
        metered_kw[at:] = 0.0
    return replace(
        use,
        trip_kwh=trip_kwh,
        plugged_in=plugged,
        deadline=deadline,
        metered_kw=metered_kw,
        soc_kwh=soc_kwh,
    )


def assumed_use(hour: Floats, spec: EVSpec) -> EVUse:
    """The same trip every day, plugged in from ``arrival_hour`` until ``must_be_full_by_hour``."""
    leaves, arrives = spec.must_be_full_by_hour, spec.arrival_hour
    if leaves < arrives:
        plugged = (hour < leaves) | (hour >= arrives)
    else:
        plugged = (hour >= arrives) & (hour < leaves)
    before = np.concatenate((plugged[:1], plugged[:-1]))
    behind = np.concatenate((plugged[1:], plugged[-1:]))
    return EVUse(
        trip_kwh=np.where(plugged & ~before, spec.trip_kwh, 0.0),
        plugged_in=plugged,
        deadline=plugged & ~behind,
        metered_kw=None,
        soc_kwh=np.full(len(hour), spec.capacity_kwh),
        max_charge_kw=spec.max_charge_kw,
    )
