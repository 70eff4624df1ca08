"""Maths of PMFs: known values, scipy's answer, what must hold for any distribution."""

from __future__ import annotations

import doctest
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy.spatial.distance import jensenshannon

import ems.learning.pmf
import ems.learning.probability_model
import ems.site.calendar
from ems.errors import InvalidSpec
from ems.learning.pmf import (
    UNIFORM,
    circular_kernel,
    circular_mean_h,
    entropy_bits,
    hour_distance_h,
    js_distance,
    js_divergence,
    normalise,
    shift,
    smooth,
    validated,
)
from ems.types import Floats

LN2 = float(np.log(2.0))

weights = st_numpy.arrays(
    np.float64, 24, elements=st.floats(0.0, 1e6, allow_subnormal=False)
).filter(lambda w: w.sum() > 1e-3)
pmfs = weights.map(normalise)


def between(*hours: int) -> Floats:
    return normalise([1.0 if hour in hours else 0.0 for hour in range(24)])


@pytest.mark.parametrize(
    "module", [ems.learning.pmf, ems.site.calendar, ems.learning.probability_model]
)
def test_the_examples_in_the_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.smoke
def test_js_of_equal_disjoint_and_half_overlapping() -> None:
    assert js_divergence(UNIFORM, UNIFORM) == 0.0
    assert js_distance(UNIFORM, UNIFORM) == 0.0
    assert js_divergence(between(3), between(4)) == pytest.approx(LN2)
    assert js_distance(between(3), between(4)) == pytest.approx(LN2**0.5)
    # m = (¼, ½, ¼): both KL are ½·ln 2
    assert js_divergence(between(1, 2), between(2, 3)) == pytest.approx(LN2 / 2)


@given(pmfs, pmfs)
def test_js_is_what_scipy_gives_symmetric_and_bounded(p: Floats, q: Floats) -> None:
    distance = js_distance(p, q)
    np.testing.assert_allclose(distance, jensenshannon(p, q), atol=1e-7)
    np.testing.assert_allclose(distance, js_distance(q, p), atol=1e-9)
    np.testing.assert_allclose(distance**2, js_divergence(p, q))
    assert 0.0 <= distance <= LN2**0.5 + 1e-12


def test_js_works_on_any_leading_axes() -> None:
    many = np.stack([between(1, 2), between(2, 3), UNIFORM]).reshape(3, 1, 24)
    found = js_divergence(many, np.stack([between(1, 2), UNIFORM]))
    assert found.shape == (3, 2)
    assert found[1, 0] == pytest.approx(LN2 / 2)


def test_entropy_of_certainty_and_of_ignorance() -> None:
    assert entropy_bits(between(5)) == 0.0
    assert entropy_bits(between(5, 6)) == pytest.approx(1.0)
    assert entropy_bits(UNIFORM) == pytest.approx(np.log2(24))


def test_hours_are_on_a_circle() -> None:
    distance_h = hour_distance_h()
    assert (distance_h[23, 0], distance_h[0, 12], distance_h[5, 5]) == (1.0, 12.0, 0.0)
    smoothed = smooth(between(23), 1.0)
    assert smoothed[0] == pytest.approx(smoothed[22])
    assert circular_mean_h(between(22, 1)) % 24.0 == pytest.approx(0.0, abs=1e-9)
    assert circular_mean_h(between(7)) == pytest.approx(7.5)
    assert np.isnan(circular_mean_h(UNIFORM))


@given(pmfs, st.floats(0.1, 20.0), st.integers(-30, 30))
def test_smoothing_and_shifting_give_distributions_and_commute(
    p: Floats, width_h: float, hours: int
) -> None:
    smoothed = validated(smooth(p, width_h))
    np.testing.assert_allclose(smooth(shift(p, hours), width_h), shift(smoothed, hours), atol=1e-12)
    assert entropy_bits(smoothed) >= entropy_bits(p) - 1e-9


@given(pmfs, st.integers(0, 23))
def test_a_shift_moves_the_mean_by_as_many_hours(p: Floats, hours: int) -> None:
    strength = abs(p @ np.exp(2j * np.pi * np.arange(24) / 24))
    if strength > 1e-3:
        moved_h = circular_mean_h(shift(p, hours)) - circular_mean_h(p)
        assert np.cos(2 * np.pi * (moved_h - hours) / 24) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.05] * 24, "sum to 1.2, they must sum to 1"),
        ([0.1] * 10, r"shape \(10,\), expected 24"),
        ([-0.1, 1.1] + [0.0] * 22, "smallest value -0.1"),
        ([np.nan] + [0.0] * 23, "finite"),
        (["noon"] * 24, "is not 24 numbers"),
    ],
)
def test_what_is_no_pmf_says_why(values: list[float], text: str) -> None:
    with pytest.raises(InvalidSpec, match=text):
        validated(values, "dishwasher")


def test_weights_that_cannot_be_normalised() -> None:
    with pytest.raises(InvalidSpec, match="all 24 weights are 0"):
        normalise([0.0] * 24)
    with pytest.raises(InvalidSpec, match="at least 0"):
        normalise([-1.0] + [1.0] * 23)
    with pytest.raises(InvalidSpec, match="width_h = 0"):
        circular_kernel(0.0)
