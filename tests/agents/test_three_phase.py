"""The three-phase strategy by hand: noon to noon, a car that must be full at seven."""

from __future__ import annotations

import numpy as np
import pytest

from ems.agents import EVAgent, three_phase
from ems.core.horizon import Horizon
from ems.types import Floats

DEADLINE = 18
"""The step from six to seven, the first of the phase that the deadline lies in."""
RANK = np.r_[np.arange(4, 21), [21, 22], [3, 2, 1, 23, 24]]
"""Prices in ct/kWh, each once: the three cheapest hours come after the deadline."""
NOON = Horizon(
    start_utc=np.datetime64("2016-06-01T10:00"),
    step_h=1.0,
    import_eur_per_kwh=RANK / 100.0,
    export_eur_per_kwh=np.zeros(24),
)


def bounds(
    initial_kwh: float, charger_kw: float, surplus_kw: float = 0.0
) -> tuple[Floats, Floats, Floats]:
    """Charge limits [kW], least and most charge [kWh] of a car that needs 4 kWh at seven."""
    least = np.zeros(24)
    least[DEADLINE] = 4.0
    car = EVAgent(
        trip_kwh=np.zeros(24),
        plugged_in=np.ones(24, dtype=bool),
        min_soc_kwh=least,
        max_soc_kwh=np.full(24, 60.0),
        max_charge_kw=charger_kw,
        efficiency=0.5,
        initial_soc_kwh=initial_kwh,
    )
    found = three_phase(car, NOON, np.full(24, surplus_kw))
    return np.asarray(found.max_charge_kw), found.min_soc_kwh, found.max_soc_kwh


def test_a_quick_charger_takes_half_in_the_cheapest_quarter_and_nearly_all_in_time() -> None:
    limit_kw, least_kwh, most_kwh = bounds(0.0, 10.0)
    assert np.flatnonzero(limit_kw[:DEADLINE]).tolist() == [0, 1, 2]  # 4, 5 and 6 ct
    assert limit_kw[DEADLINE] == 10.0
    assert np.flatnonzero(limit_kw[DEADLINE + 1 :]).tolist() == [0, 1, 2]  # 3, 2 and 1 ct
    assert most_kwh[:DEADLINE] == pytest.approx(np.full(18, 0.5 * 4.0))
    assert np.flatnonzero(least_kwh).tolist() == [DEADLINE]
    assert least_kwh[DEADLINE] == pytest.approx(0.95 * 4.0)


def test_a_slow_charger_takes_before_what_it_cannot_take_in_time() -> None:
    """1 kW gives 0.5 kWh in the last step; 3.3 kWh are missing: seven of the cheapest hours."""
    limit_kw, least_kwh, most_kwh = bounds(0.0, 1.0)
    assert np.flatnonzero(limit_kw[:DEADLINE]).tolist() == list(range(7))
    assert most_kwh[:DEADLINE] == pytest.approx(np.full(18, 0.95 * 4.0 - 0.5))
    assert least_kwh[DEADLINE] == pytest.approx(3.8)


def test_a_car_that_has_enough_takes_nothing_early() -> None:
    limit_kw, least_kwh, most_kwh = bounds(10.0, 10.0)
    assert most_kwh[:DEADLINE].tolist() == [10.0] * 18
    assert least_kwh[DEADLINE] == 4.0
    assert np.flatnonzero(limit_kw[:DEADLINE]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("surplus_kw", "taken_kw"), [(2.0, 2.0), (20.0, 10.0), (-1.0, 0.0)])
def test_after_the_deadline_it_takes_what_the_sun_leaves(
    surplus_kw: float, taken_kw: float
) -> None:
    limit_kw, _, _ = bounds(0.0, 10.0, surplus_kw)
    assert limit_kw[DEADLINE + 1 :].tolist() == [10.0, 10.0, 10.0, taken_kw, taken_kw]
    assert limit_kw[10] == 0.0
