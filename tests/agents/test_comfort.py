"""What moving an appliance costs: known prices, and specifications that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ems.agents.comfort import HabitComfort, ShiftComfort
from ems.errors import InvalidSpec

HOURS = np.arange(24.0)


@pytest.mark.smoke
def test_a_shift_costs_the_same_for_every_hour_in_both_directions() -> None:
    table = ShiftComfort(eur_per_h=0.02).discomfort_eur("dishwasher", np.array([5]), HOURS, 1.0)
    assert table.shape == (1, 24)
    assert table[0, 5] == 0.0
    assert table[0, 3] == table[0, 7] == pytest.approx(0.04)


def test_a_shift_is_counted_in_hours_not_in_steps() -> None:
    quarter_hours = np.arange(96) / 4
    table = ShiftComfort(eur_per_h=0.02).discomfort_eur("x", np.array([0]), quarter_hours, 0.25)
    assert table[0, 4] == pytest.approx(0.02)


@pytest.mark.smoke
def test_a_habit_prices_the_hour_by_its_probability() -> None:
    hours = np.zeros(24)
    hours[[7, 19, 20]] = 0.2, 0.5, 0.3
    comfort = HabitComfort(weight_eur=0.1, hours={"dishwasher": hours})
    table = comfort.discomfort_eur("dishwasher", np.array([3, 9]), HOURS, 1.0)
    assert table.shape == (2, 24)
    assert table[0, 19] == 0.0
    assert table[0, 20] == pytest.approx(0.1 * (1 - 0.3 / 0.5))
    assert table[0, 7] == pytest.approx(0.06)
    assert table[0, 0] == pytest.approx(0.1)
    assert np.array_equal(table[0], table[1])


def test_a_habit_of_an_hour_holds_for_each_of_its_quarters() -> None:
    hours = np.full(24, 1 / 24)
    hours[12] *= 2
    comfort = HabitComfort(weight_eur=1.0, hours={"x": hours})
    table = comfort.discomfort_eur("x", np.array([0]), np.arange(96) / 4, 0.25)
    assert np.all(table[0, 48:52] == 0.0)
    assert table[0, 47] == table[0, 52] == pytest.approx(0.5)


def test_a_device_without_a_habit_is_named() -> None:
    with pytest.raises(InvalidSpec, match="no learned hours for oven"):
        HabitComfort(weight_eur=0.1).discomfort_eur("oven", np.array([0]), HOURS, 1.0)


@pytest.mark.parametrize("weight", [-0.01, np.inf, np.nan])
def test_weights_that_mean_nothing_are_refused(weight: float) -> None:
    with pytest.raises(InvalidSpec, match="weight_eur"):
        HabitComfort(weight_eur=weight)
    with pytest.raises(InvalidSpec, match="eur_per_h"):
        ShiftComfort(eur_per_h=weight)
