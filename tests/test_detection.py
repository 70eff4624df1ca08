"""Cycles and sessions: known answers, conservation, unknown steps."""

from __future__ import annotations

import numpy as np
import pytest

from ems.detection import detect_cycles, detect_sessions
from ems.errors import InvalidSpec


def _series(n: int, *cycles: tuple[int, list[float]]) -> np.ndarray:
    energy = np.zeros(n)
    for start, profile in cycles:
        energy[start : start + len(profile)] += profile
    return energy


def test_two_runs_are_two_cycles_with_their_metered_energies() -> None:
    energy = _series(48, (7, [0.4, 0.6, 0.1]), (30, [0.5, 0.5]))
    cycles = detect_cycles(energy, 1.0)
    assert [c.start for c in cycles] == [7, 30]
    assert [c.energy_kwh for c in cycles] == [(0.4, 0.6, 0.1), (0.5, 0.5)]


def test_a_run_beside_an_unknown_step_is_no_cycle() -> None:
    energy = _series(48, (7, [0.4, 0.6, 0.1]), (30, [0.5, 0.5]))
    energy[32] = np.nan
    assert [c.start for c in detect_cycles(energy, 1.0)] == [7]


def test_an_hour_of_pause_does_not_end_a_session() -> None:
    energy = _series(48, (7, [3.0, 0.0, 2.0]), (30, [1.0]))
    sessions = detect_sessions(energy, 1.0)
    assert [(s.start, s.end, s.energy_kwh) for s in sessions] == [(7, 10, 5.0), (30, 31, 1.0)]


def test_two_dimensions_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="one dimension"):
        detect_cycles(np.zeros((2, 2)), 1.0)
