"""Arrays of affine expressions behave as the matrices they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ems.core.affine import Affine, Term
from ems.types import Floats

N_COLUMNS = 6
numbers = st.floats(-5, 5, allow_nan=False).map(lambda x: round(x, 2))


@st.composite
def linears(draw: st.DrawFn, size: int = 4) -> Affine:
    """Any expressions over six columns, with places that occur twice."""
    n = draw(st.integers(0, 8))
    rows = draw(st.lists(st.integers(0, size - 1), min_size=n, max_size=n))
    cols = draw(st.lists(st.integers(0, N_COLUMNS - 1), min_size=n, max_size=n))
    coefs = draw(st.lists(numbers, min_size=n, max_size=n))
    const = draw(st.lists(numbers, min_size=size, max_size=size))
    term = Term(np.array(rows, np.int64), np.array(cols, np.int64), np.array(coefs, np.float64))
    return Affine((term,), np.array(const), size)


points = st.lists(numbers, min_size=N_COLUMNS, max_size=N_COLUMNS).map(np.array)
series = st.lists(numbers, min_size=4, max_size=4).map(np.array)


@given(linears(), linears(), series, numbers, points)
def test_arithmetic_is_that_of_the_values(
    a: Affine, b: Affine, values: Floats, factor: float, x: Floats
) -> None:
    va, vb = a.value(x), b.value(x)
    for ours, theirs in [
        (a + b, va + vb),
        (a - b, va - vb),
        (-a, -va),
        (a + values, va + values),
        (values - a, values - va),
        (factor + a, factor + va),
        (a * values, va * values),
        (values * a, va * values),
        (factor * a, factor * va),
        (a / 4.0, va / 4.0),
        (np.float64(factor) * a, factor * va),
    ]:
        assert_allclose(ours.value(x), theirs, atol=1e-12)


@given(linears(), numbers, points)
def test_shaping(a: Affine, first: float, x: Floats) -> None:
    v = a.value(x)
    assert_allclose(a.sum().value(x), [v.sum()], atol=1e-12)
    assert_allclose(a.before(first).value(x), [first, *v[:-1]])
    assert_allclose(a[1:3].value(x), v[1:3])
    assert_allclose(a[-1].value(x), v[-1:])
    assert_allclose(a[np.array([3, 0])].value(x), v[[3, 0]])
    assert_allclose(a[v > 0].value(x), v[v > 0])
    at = np.array([5, 0, 2, 3])
    expected = np.zeros(7)
    expected[at] = v
    assert_allclose(a.placed(at, 7).value(x), expected)
    matrix = np.arange(12.0).reshape(3, 4) - 5
    assert_allclose((matrix @ a).value(x), matrix @ v, atol=1e-11)


@given(linears(), points, points, st.lists(st.floats(0, 1), min_size=N_COLUMNS, max_size=N_COLUMNS))
def test_range_holds_every_value(a: Affine, one: Floats, two: Floats, part: list[float]) -> None:
    low, up = np.minimum(one, two), np.maximum(one, two)
    least, most = a.range(low, up)
    value = a.value(low + np.array(part) * (up - low))
    assert np.all(least <= value + 1e-9)
    assert np.all(value <= most + 1e-9)


def test_relations_move_everything_to_one_side() -> None:
    x = Affine.of_columns(0, 2)
    below, above, equal = x <= 3.0, x >= np.array([1.0, 2.0]), x == 2.0 * x
    assert (below.lower, below.upper) == (-np.inf, 0.0)
    assert (above.lower, above.upper) == (0.0, np.inf)
    assert (equal.lower, equal.upper) == (0.0, 0.0)
    assert_allclose(below.expr.value(np.array([1.0, 5.0])), [-2.0, 2.0])
    assert_allclose(above.expr.value(np.array([1.0, 5.0])), [0.0, 3.0])


def test_what_does_not_fit_is_refused() -> None:
    x = Affine.of_columns(0, 3)
    with pytest.raises(ValueError, match="add 2 expressions to 3"):
        x + Affine.of_columns(0, 2)
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        x + np.zeros(2)
    with pytest.raises(ValueError, match="cannot add shape"):
        x[:1] + np.zeros(2)
    with pytest.raises(ValueError, match="twice"):
        x[np.array([0, 0])]


def test_constants_have_no_variables() -> None:
    zero = Affine.constant(2.5, 3)
    assert len(zero) == 3
    assert zero.terms == ()
    assert_allclose(zero.value(np.zeros(0)), [2.5, 2.5, 2.5])
