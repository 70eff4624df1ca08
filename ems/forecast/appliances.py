"""Which runs of an appliance to expect on a day: as many and as long as lately.

Deliberately simple: what an appliance will do is mostly its people's whim. The number of runs is
the rounded mean of the last ``MEMORY_DAYS`` days, their profile that of the recent run of median
energy, their starts the evenly spaced quantiles of the recent starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ems.types import Floats

MEMORY_DAYS = 28
"""How many days before a day say what to expect of it."""

Run = tuple[int, Floats]


def expected_runs(
    runs: Sequence[Run], days: Sequence[tuple[int, int]], day: tuple[int, int]
) -> tuple[Run, ...]:
    """The runs to expect on ``day``, none of which crosses midnight.

    ``runs``: first step and energies [kWh] of the runs within the days of ``days``; ``days``: first
    and last + 1 step of the recent days, all before ``day``; ``day``: those of the day itself.
    """
    if not days or not runs:
        return ()
    count = int(np.floor(len(runs) / len(days) + 0.5))
    energies = np.array([float(energy_kwh.sum()) for _, energy_kwh in runs])
    profile = runs[int(np.argsort(energies, kind="stable")[len(runs) // 2])][1]
    begins = np.array([first for first, _ in days])
    starts = np.array([start for start, _ in runs])
    offsets = starts - begins[np.searchsorted(begins, starts, side="right") - 1]
    levels = (np.arange(count) + 0.5) / max(count, 1)
    expected: list[Run] = []
    free = day[0]
    for offset in np.quantile(offsets, levels, method="lower"):
        start = max(day[0] + int(offset), free)
        if start + len(profile) <= day[1]:
            expected.append((start, profile))
            free = start + len(profile)
    return tuple(expected)


def still_expected(expected: Sequence[Run], n_started: int, now: int, end: int) -> tuple[Run, ...]:
    """Those of a day's ``expected`` runs that are left once ``n_started`` have been started.

    The first are taken to be the started ones. One whose time has passed is expected at any moment
    from ``now``; one that no longer fits before the step ``end`` is expected no more.
    """
    left: list[Run] = []
    free = now
    for start, energy_kwh in expected[n_started:]:
        first = max(start, free)
        if first + len(energy_kwh) <= end:
            left.append((first, energy_kwh))
            free = first + len(energy_kwh)
    return tuple(left)
