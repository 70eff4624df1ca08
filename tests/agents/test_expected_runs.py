"""Which runs of an appliance are expected, and which still are later on the day."""

from __future__ import annotations

import numpy as np
import pytest

from ems.agents.flexible_device import expected_runs, still_expected
from ems.agents.on_site import Run

HOURS = 24
DAYS = [(HOURS * i, HOURS * (i + 1)) for i in range(4)]
TODAY = (HOURS * 4, HOURS * 5)


def run(start: int, *energy_kwh: float) -> Run:
    return start, np.array(energy_kwh)


def shape(runs: tuple[Run, ...]) -> list[tuple[int, int]]:
    """First step of the day and number of steps of each run."""
    return [(start - TODAY[0], len(energy_kwh)) for start, energy_kwh in runs]


def test_as_many_as_lately_at_their_usual_times() -> None:
    seen = [run(first + hour, 1.0, 0.5) for first, _ in DAYS for hour in (8, 19)]
    assert shape(expected_runs(seen, DAYS, TODAY)) == [(8, 2), (19, 2)]


@pytest.mark.parametrize(("days_with", "expected"), [(1, 0), (2, 1), (4, 1)])
def test_less_than_every_other_day_is_not_expected(days_with: int, expected: int) -> None:
    seen = [run(first + 8, 1.0) for first, _ in DAYS[:days_with]]
    assert len(expected_runs(seen, DAYS, TODAY)) == expected


def test_the_run_of_median_energy_is_expected() -> None:
    seen = [
        run(first + 8, energy_kwh)
        for (first, _), energy_kwh in zip(DAYS, (9.0, 1.0, 2.0, 3.0), strict=True)
    ]
    ((_, energy_kwh),) = expected_runs(seen, DAYS, TODAY)
    assert energy_kwh.tolist() == [3.0]


@pytest.mark.parametrize(
    ("n_started", "now", "left"),
    [
        (0, 0, [(8, 2), (19, 3)]),
        (0, 10, [(10, 2), (19, 3)]),
        (0, 18, [(18, 2), (20, 3)]),
        (0, 20, [(20, 2)]),
        (0, 23, []),
        (1, 10, [(19, 3)]),
        (1, 21, [(21, 3)]),
        (2, 10, []),
        (3, 10, []),
    ],
)
def test_who_is_late_is_expected_while_there_is_time(
    n_started: int, now: int, left: list[tuple[int, int]]
) -> None:
    usual = (run(TODAY[0] + 8, 1.0, 1.0), run(TODAY[0] + 19, 1.0, 1.0, 1.0))
    assert shape(still_expected(usual, n_started, TODAY[0] + now, TODAY[1])) == left
