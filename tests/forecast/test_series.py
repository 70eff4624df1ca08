from __future__ import annotations

import numpy as np
import pytest
from forecast.made_series import series

from ems.errors import DataError, InvalidSpec
from ems.forecast.series import LEVELS, MEDIAN, Forecast, Series


def forecast(values: np.ndarray, origins: tuple[int, ...] = (24,), least: float = 0.0) -> Forecast:
    return Forecast(
        who="house",
        unit="kW",
        model="made",
        origins=np.array(origins),
        values=values,
        least=least,
    )


def rising(n_steps: int = 3, n_origins: int = 1) -> np.ndarray:
    return np.tile(LEVELS[None, :, None], (n_origins, 1, n_steps))


def test_the_levels_are_the_deciles_and_the_median_stands_among_them() -> None:
    np.testing.assert_allclose(LEVELS, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert LEVELS[MEDIAN] == 0.5


def test_the_median_and_the_forecast_of_one_origin() -> None:
    made = forecast(rising(3, 2) * np.array([1.0, 2.0])[:, None, None], origins=(24, 48))
    assert made.n_steps == 3
    np.testing.assert_allclose(made.median, [[0.5] * 3, [1.0] * 3])
    np.testing.assert_allclose(made.at(48)[:, 0], 2.0 * LEVELS)


@pytest.mark.parametrize("origin", [0, 25, 49])
def test_an_origin_that_was_not_forecast_is_refused(origin: int) -> None:
    with pytest.raises(DataError, match=f"none was made at step {origin}"):
        forecast(rising(3, 2), origins=(24, 48)).at(origin)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_quantile_that_is_no_number_is_refused_with_its_place(value: float) -> None:
    values = rising()
    values[0, 2, 1] = value
    with pytest.raises(DataError, match=r"house by made: quantile 0\.3 at 1 steps from origin 24"):
        forecast(values)


def test_quantiles_that_cross_are_refused_with_their_place() -> None:
    values = rising()
    values[0, 5, 2] = 0.4
    with pytest.raises(DataError, match=r"quantile 0\.6 at 2 steps .* no smaller than"):
        forecast(values)


def test_a_quantile_below_the_least_is_refused() -> None:
    with pytest.raises(DataError, match=r"quantile 0\.1 .* is -0\.9, it must be at least 0 kW"):
        forecast(rising() - 1.0)


@pytest.mark.parametrize("shape", [(1, 9), (1, 8, 3), (2, 9, 3), (1, 9, 0)])
def test_values_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"expected \(1, 9\) and at least one step"):
        forecast(np.zeros(shape))


def test_a_series_of_another_length_than_its_time_is_refused() -> None:
    made = series(2)
    with pytest.raises(InvalidSpec, match=r"temperature_c has shape \(3,\)"):
        Series(
            who="house",
            unit="kW",
            ts_utc=made.ts_utc,
            step_h=1.0,
            timezone=made.timezone,
            place=made.place,
            values=made.values,
            weather={"temperature_c": np.zeros(3)},
        )


@pytest.mark.parametrize(("step_h", "steps"), [(1.0, 24), (0.25, 96), (0.5, 48)])
def test_steps_a_day(step_h: float, steps: int) -> None:
    assert series(1, step_h=step_h).steps_a_day == steps
