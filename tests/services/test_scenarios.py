"""The scenarios of ``scenarios.py``, against real processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from services.scenarios import SCENARIOS, World, world
from small_building import twin_database

KILLS = 2


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_scenario_of_real_processes(scenario: Callable[[World, int], None]) -> None:
    with world(twin_database()) as here:
        scenario(here, KILLS)
