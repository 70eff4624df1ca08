"""Device cycles and EV sessions, detected in sub-meter data.

Every threshold follows from the series itself, by one rule for all appliances:

- *standby* [kWh per step] is the 25 % quantile of the known steps;
- the *working level* [kW] is the mean hourly power at which half of the energy above standby was
  used (the energy-weighted median), so that thousands of idle hours do not count;
- a step *works* if it exceeds standby by a small share of the working level, and by more than the
  spread of standby itself; for the first and last step of a programme a smaller share is enough.

Consecutive working steps are a run. A run is a cycle if it is complete, large enough and not longer
than one programme can be. Everything else stays in the base load: cycles plus rest are the metered
energy. ``docs/detection.md`` justifies the choices on real meters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.types import Bools, Floats, Ints

CHARGER_SIZES_KW = (3.7, 7.4, 11.0, 22.0)
"""Sizes of AC chargers on sale: 16 A and 32 A at 230 V, one and three phases."""

CHARGER_TOLERANCE = 0.05
"""Sizes are nominal: 3 · 16 A · 230 V is 11.04 kW, and the voltage may exceed 230 V."""

MIN_HOUR_KWH = 0.1
"""Minimum energy of a programme's strongest hour; below it nothing heats or spins."""

MAX_CYCLE_H = 6.0
"""Maximum length of one programme; a longer run that cannot be split is no cycle."""

CYCLE_PAUSE_H = 0.5
"""Maximum pause within one programme (soaking, drying)."""

SESSION_PAUSE_H = 1.0
"""Maximum pause within one charging session."""

EDGE_WORKING_SHARE = 0.004
"""The working share for the first and last step of a run, which it may fill only partly."""

JOINT_SHARE = 1.5
"""A long run with more than this many median energies is examined as two programmes."""

N_KNOWN_RUNS = 100
"""Number of single runs, evenly spread over the history, that serve as templates of a programme."""

CYCLE_WORKING_SHARE = 0.03
"""Share of the working level above which a step belongs to a programme (15–20 W on real meters)."""

SESSION_WORKING_SHARE = 0.01
"""The same for charging, lower: all energy a car drew has to be in a session."""


@dataclass(frozen=True, kw_only=True)
class MeteredCycle:
    """One metered run of a non-interruptible appliance.

    ``start``: index of its first step.
    ``energy_kwh``: energy of each step above standby [kWh].
    """

    start: int
    energy_kwh: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One metered charging session of an EV.

    ``start``: index of the first charging step; ``end``: one past the last.
    ``energy_kwh``: energy above standby at the wall [kWh].
    """

    start: int
    end: int
    energy_kwh: float


@dataclass(frozen=True, kw_only=True)
class CycleSummary:
    """The cycles found in one appliance's feed, for reports.

    ``n_cycles`` with ``cycles_per_day`` over the known steps; ``median_energy_kwh`` and
    ``median_length_h`` of a cycle; ``profile_kwh``: mean energy of a cycle's steps, aligned at the
    start, as long as 90 % of the cycles. ``explained_share``: energy in cycles over all metered
    energy. ``n_too_weak``, ``n_too_long``, ``n_incomplete``: runs that are no cycles, because
    nothing heats or spins, they last longer than a programme can, or they touch an unknown step;
    ``too_long_share``: share of the metered energy in the too long ones.
    """

    n_cycles: int
    cycles_per_day: float
    median_energy_kwh: float
    median_length_h: float
    profile_kwh: tuple[float, ...]
    standby_kw: float
    explained_share: float
    n_too_weak: int
    n_too_long: int
    n_incomplete: int
    too_long_share: float


@dataclass(frozen=True, kw_only=True)
class _Runs:
    """Half-open index ranges of runs; all arrays have the same length."""

    starts: Ints
    ends: Ints

    @property
    def steps(self) -> Ints:
        return self.ends - self.starts

    def energy_kwh(self, above_kwh: Floats) -> Floats:
        """Energy of each run [kWh]; unknown steps count as zero."""
        total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(above_kwh))])
        return np.asarray(total[self.ends] - total[self.starts])

    def where(self, keep: Bools) -> _Runs:
        return _Runs(starts=self.starts[keep], ends=self.ends[keep])


@dataclass(frozen=True, kw_only=True)
class _Sorted:
    """The runs of an appliance by kind."""

    cycles: _Runs
    too_weak: _Runs
    too_long: _Runs
    incomplete: _Runs


def detect_cycles(
    energy_kwh: Floats,
    step_h: float,
    *,
    min_hour_kwh: float = MIN_HOUR_KWH,
    max_cycle_h: float = MAX_CYCLE_H,
) -> tuple[MeteredCycle, ...]:
    """Find the complete cycles of a non-interruptible appliance in its metered energy.

    ``energy_kwh`` has shape ``(n,)``, NaN where unknown; a run that touches an unknown step or an
    end of the series is no cycle. Cycles are in order and never overlap.

    Raises ``InvalidSpec`` if the series is not one-dimensional or infinite, or if the step or a
    limit is not positive.
    """
    _check(energy_kwh, step_h, min_hour_kwh=min_hour_kwh, max_cycle_h=max_cycle_h)
    above_kwh = _above_standby(energy_kwh)
    cycles = _sort_runs(energy_kwh, step_h, min_hour_kwh, max_cycle_h).cycles
    return tuple(
        MeteredCycle(start=int(start), energy_kwh=tuple(above_kwh[start:end].tolist()))
        for start, end in zip(cycles.starts, cycles.ends, strict=True)
    )


def detect_sessions(energy_kwh: Floats, step_h: float) -> tuple[Session, ...]:
    """Find the charging sessions of an EV in its metered energy.

    ``energy_kwh`` has shape ``(n,)``, NaN where unknown. Pauses up to one hour belong to the
    session; an unknown step ends it. There is no minimum energy, so that almost nothing is left
    out.

    Raises ``InvalidSpec`` as ``detect_cycles``.
    """
    _check(energy_kwh, step_h)
    above_kwh = _above_standby(energy_kwh)
    runs = _runs(_working(energy_kwh, step_h, SESSION_WORKING_SHARE))
    runs = _grow(runs, _working(energy_kwh, step_h, EDGE_WORKING_SHARE))
    sessions = _bridge(runs, np.isnan(energy_kwh), _pause_steps(SESSION_PAUSE_H, step_h))
    return tuple(
        Session(start=int(start), end=int(end), energy_kwh=float(energy))
        for start, end, energy in zip(
            sessions.starts, sessions.ends, sessions.energy_kwh(above_kwh), strict=True
        )
    )


def charger_kw(energy_kwh: Floats, step_h: float) -> float:
    """The smallest standard charger [kW] that covers the largest metered mean power.

    The maximum, not a quantile: spikes are already NaN in a checked history, and a charger below
    the maximum could not deliver what was metered. A charger may exceed its nominal size by 5 %
    (``CHARGER_TOLERANCE``).

    Raises ``DataError`` if nothing was ever charged or more than the largest size was drawn.
    """
    _check(energy_kwh, step_h)
    peak_kw = float(np.nanmax(energy_kwh, initial=0.0)) / step_h
    if peak_kw <= 0.0:
        raise DataError("charger: the EV feed never charges; leave the EV out of this building")
    for size_kw in CHARGER_SIZES_KW:
        if peak_kw <= size_kw * (1.0 + CHARGER_TOLERANCE):
            return size_kw
    raise DataError(
        f"charger: the EV feed draws {peak_kw:.1f} kW, more than the largest charger "
        f"({CHARGER_SIZES_KW[-1]} kW); check the feed for spikes or its unit"
    )


def summarise_cycles(
    energy_kwh: Floats,
    step_h: float,
    *,
    min_hour_kwh: float = MIN_HOUR_KWH,
    max_cycle_h: float = MAX_CYCLE_H,
) -> CycleSummary:
    """Summarise an appliance's cycles and count the runs that are none.

    Medians are NaN, and the profile empty, if there is no cycle. Raises as ``detect_cycles``.
    """
    _check(energy_kwh, step_h, min_hour_kwh=min_hour_kwh, max_cycle_h=max_cycle_h)
    above_kwh = _above_standby(energy_kwh)
    runs = _sort_runs(energy_kwh, step_h, min_hour_kwh, max_cycle_h)
    n, cycle_kwh = len(runs.cycles.starts), runs.cycles.energy_kwh(above_kwh)
    days = float(np.isfinite(energy_kwh).sum()) * step_h / 24.0
    total_kwh = float(np.nansum(energy_kwh))
    return CycleSummary(
        n_cycles=n,
        cycles_per_day=n / days if days else 0.0,
        median_energy_kwh=float(np.median(cycle_kwh)) if n else float("nan"),
        median_length_h=float(np.median(runs.cycles.steps)) * step_h if n else float("nan"),
        profile_kwh=_mean_profile(above_kwh, runs.cycles),
        standby_kw=_standby_kwh(energy_kwh) / step_h,
        explained_share=float(cycle_kwh.sum()) / total_kwh if total_kwh else 0.0,
        n_too_weak=len(runs.too_weak.starts),
        n_too_long=len(runs.too_long.starts),
        n_incomplete=len(runs.incomplete.starts),
        too_long_share=float(runs.too_long.energy_kwh(above_kwh).sum()) / total_kwh
        if total_kwh
        else 0.0,
    )


def _check(energy_kwh: Floats, step_h: float, **limits: float) -> None:
    if energy_kwh.ndim != 1 or np.isinf(energy_kwh).any():
        raise InvalidSpec(
            f"detection: energy_kwh has shape {energy_kwh.shape}, expected one dimension of "
            "finite values or NaN; pass one feed at a time and mark bad steps as NaN"
        )
    for name, value in {"step_h": step_h, **limits}.items():
        if not (0.0 < value < np.inf):
            raise InvalidSpec(f"detection: {name} is {value}, expected a positive number")


def _standby_kwh(energy_kwh: Floats) -> float:
    """Energy of an idle step [kWh]; assumes that at most three quarters of the steps work."""
    known = energy_kwh[np.isfinite(energy_kwh)]
    return max(float(np.quantile(known, 0.25)), 0.0) if known.size else 0.0


def _above_standby(energy_kwh: Floats) -> Floats:
    """Energy above standby [kWh], ≥ 0, NaN where unknown, shape ``(n,)``."""
    return np.maximum(energy_kwh - _standby_kwh(energy_kwh), 0.0)


def _working_level_kw(above_kwh: Floats, step_h: float) -> float:
    """Mean hourly power at which half of the energy was used [kW]."""
    # Hours, so that the level does not depend on the length of a step.
    per_block = max(round(1.0 / step_h), 1)
    known = np.nan_to_num(above_kwh)
    blocks = np.add.reduceat(known, np.arange(0, known.size, per_block)) if known.size else known
    ordered = np.sort(blocks)
    used = np.cumsum(ordered)
    if not used.size or used[-1] <= 0.0:
        return 0.0
    return float(ordered[np.searchsorted(used, used[-1] / 2.0)]) / (per_block * step_h)


def _working(energy_kwh: Floats, step_h: float, share: float) -> Bools:
    """Whether each step works, by share of the working level and spread of standby."""
    above_kwh = _above_standby(energy_kwh)
    known = energy_kwh[np.isfinite(energy_kwh)]
    if not known.size:
        return np.zeros(energy_kwh.shape, dtype=np.bool_)
    low, standby = np.quantile(known, [0.05, 0.25])
    spread_kwh = 6.0 * float(standby - low)  # about five standard deviations above the mean
    level_kwh = share * _working_level_kw(above_kwh, step_h) * step_h
    return np.asarray(above_kwh > max(spread_kwh, level_kwh))


def _runs(working: Bools) -> _Runs:
    edges = np.diff(np.concatenate([[0], working.astype(np.int8), [0]]))
    return _Runs(starts=np.flatnonzero(edges == 1), ends=np.flatnonzero(edges == -1))


def _pause_steps(pause_h: float, step_h: float) -> int:
    # 1e-9: 0.5 h / 0.1 h must give 5, not 4.
    return int(pause_h / step_h + 1e-9)


def _bridge(runs: _Runs, unknown: Bools, pause_steps: int) -> _Runs:
    """Join neighbours whose pause is known and at most ``pause_steps``."""
    if not runs.starts.size:
        return runs
    n_unknown = np.concatenate([[0], np.cumsum(unknown)])
    pause = runs.starts[1:] - runs.ends[:-1]
    # Equal cumulative counts: no unknown step in the pause.
    known = n_unknown[runs.starts[1:]] == n_unknown[runs.ends[:-1]]
    apart = ~(known & (pause <= pause_steps))
    return _Runs(
        starts=runs.starts[np.concatenate([[True], apart])],
        ends=runs.ends[np.concatenate([apart, [True]])],
    )


def _grow(runs: _Runs, faint: Bools) -> _Runs:
    """Add the faint step before and after each run; one between two runs goes to the earlier."""
    beyond = np.concatenate([[False], faint, [False]])
    ends = runs.ends + beyond[runs.ends + 1]
    taken = np.concatenate([[-1], ends[:-1]]) if ends.size else ends
    starts = runs.starts - (beyond[runs.starts] & (runs.starts > taken))
    return _Runs(starts=starts, ends=ends)


def _sort_runs(
    energy_kwh: Floats, step_h: float, min_hour_kwh: float, max_cycle_h: float
) -> _Sorted:
    above_kwh, unknown = _above_standby(energy_kwh), np.isnan(energy_kwh)
    faint = _working(energy_kwh, step_h, EDGE_WORKING_SHARE)
    pause_steps = _pause_steps(CYCLE_PAUSE_H, step_h)
    runs = _runs(_working(energy_kwh, step_h, CYCLE_WORKING_SHARE))
    runs = _grow(_bridge(runs, unknown, pause_steps), faint)
    blind = np.concatenate([[True], unknown, [True]])  # beyond the ends nothing is known
    incomplete = blind[runs.starts] | blind[runs.ends + 1]
    whole = runs.where(~incomplete)
    weak = _strongest_hour_kwh(whole, above_kwh, step_h) < min_hour_kwh
    # Before sorting by length: two short programmes back to back look like one too long.
    parted = _part(whole.where(~weak), faint, above_kwh, pause_steps, min_hour_kwh)
    long = (parted.steps - 1) * step_h > max_cycle_h + 1e-9  # it began within the first step
    return _Sorted(
        cycles=parted.where(~long),
        too_weak=whole.where(weak),
        too_long=parted.where(long),
        incomplete=runs.where(incomplete),
    )


def _strongest_hour_kwh(runs: _Runs, above_kwh: Floats, step_h: float) -> Floats:
    """Largest energy within an hour that ends in the run, for each run [kWh]."""
    if not runs.starts.size:
        return np.zeros(0)
    per_hour = max(round(1.0 / step_h), 1)
    hour_kwh = np.convolve(np.nan_to_num(above_kwh), np.ones(per_hour))[: above_kwh.size]
    bounds = np.stack([runs.starts, runs.ends], axis=1).ravel()
    # Pairs of start and end; reduceat also returns the gaps between runs, hence [::2].
    return np.asarray(np.maximum.reduceat(np.append(hour_kwh, 0.0), bounds)[::2])


def _mean_profile(above_kwh: Floats, cycles: _Runs) -> tuple[float, ...]:
    if not cycles.starts.size:
        return ()
    longest = int(np.quantile(cycles.steps, 0.9, method="higher"))
    return tuple(_aligned(above_kwh, cycles, longest).mean(axis=0).tolist())


def _aligned(above_kwh: Floats, runs: _Runs, n_steps: int) -> Floats:
    """The first ``n_steps`` of each run, zero after its end [kWh], shape ``(n_runs, n_steps)``."""
    at = runs.starts[:, None] + np.arange(n_steps)
    inside = at < runs.ends[:, None]
    return np.where(inside, above_kwh[np.minimum(at, above_kwh.size - 1)], 0.0)


def _part(
    runs: _Runs, faint: Bools, above_kwh: Floats, pause_steps: int, min_hour_kwh: float
) -> _Runs:
    """Split runs that hold two programmes or more, back to back or after a short pause.

    A run is a candidate if it is longer than three quarters of the runs and holds more than 1.5
    times their median energy. It is cut where both sides look most like runs that are no
    candidates, and the right side is examined again.
    """
    if not runs.starts.size:
        return runs
    usual = int(np.quantile(runs.steps, 0.75, method="lower"))
    energy = runs.energy_kwh(above_kwh)
    joint_kwh = JOINT_SHARE * float(np.median(energy))
    joint = (runs.steps > usual) & (energy > joint_kwh)
    single = _aligned(above_kwh, runs.where(~joint), usual + pause_steps)
    # Every k-th run: ceiling division written as −(−a // b).
    known = single[:: -(-len(single) // N_KNOWN_RUNS)]
    bounds: list[tuple[int, int]] = []
    for start, end, is_joint in zip(runs.starts, runs.ends, joint, strict=True):
        run, works = above_kwh[start:end], faint[start:end]
        cuts = _cuts(run, works, known, usual, joint_kwh, min_hour_kwh) if is_joint else []
        edges = [0, *cuts, end - start]
        bounds.extend((start + a, start + a + _last_work(works[a:b])) for a, b in pairwise(edges))
    starts, ends = np.array(bounds, dtype=np.int64).T
    return _Runs(starts=starts, ends=ends)


def _last_work(works: Bools) -> int:
    """One past the last working step; a pause before the next programme belongs to neither."""
    return int(np.flatnonzero(works)[-1]) + 1


def _cuts(
    run: Floats, works: Bools, known: Floats, usual: int, joint_kwh: float, min_hour_kwh: float
) -> list[int]:
    """Offsets at which a run is cut into programmes, in order."""
    cuts: list[int] = []
    first = 0
    while run.size - first > usual and run[first:].sum() > joint_kwh:
        cut = _best_cut(run[first:], works[first:], known, min_hour_kwh)
        if cut is None:
            break
        first += cut
        cuts.append(first)
    return cuts


def _best_cut(run: Floats, works: Bools, known: Floats, min_hour_kwh: float) -> int | None:
    """The offset with the least squared distance of both sides to their nearest templates."""
    total = np.cumsum(run)
    longest = known.shape[1]
    misfit = {
        cut: _misfit(run[:cut], known) + _misfit(run[cut : cut + longest], known)
        # Only cuts at working steps, with a real programme's energy on both sides.
        for cut in range(1, min(longest, run.size - 1) + 1)
        if works[cut] and min(total[cut - 1], total[-1] - total[cut - 1]) >= min_hour_kwh
    }
    return min(misfit, key=misfit.__getitem__) if misfit else None


def _misfit(part: Floats, known: Floats) -> float:
    padded = np.zeros(known.shape[1])
    padded[: part.size] = part
    return float(np.min(np.sum((known - padded) ** 2, axis=1)))
