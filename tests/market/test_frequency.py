"""The swing equation by hand and against a solver of differential equations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ems.errors import InvalidSpec
from ems.market.frequency import BANDS_HZ, Area, Response, Shedding, settled_hz, simulate

GOVERNOR = Response(name="governor", droop_hz_per_pu=2.0, lag_s=5.0, most_pu=0.1, least_pu=-0.1)
STORAGE = Response(
    name="storage", droop_hz_per_pu=1.0, lag_s=0.3, most_pu=0.02, least_pu=-0.02, dead_hz=0.01
)
ALONE = Area(inertia_s=5.0, damping_pu_per_hz=0.01)
GOVERNED = replace(ALONE, responses=(GOVERNOR,))
BOTH = replace(ALONE, responses=(replace(GOVERNOR, dead_hz=0.02), STORAGE))


def test_a_step_of_one_percent_settles_where_droop_and_damping_hold_it() -> None:
    """−0.01 / (0.01 + 1/2) = −0.0196 Hz; without governor −0.01 / 0.01 = −1 Hz."""
    lasting = np.full(30_000, -0.01)
    assert simulate(GOVERNED, lasting).frequency_hz[-1] - 50 == pytest.approx(-0.01 / 0.51)
    assert simulate(ALONE, lasting).frequency_hz[-1] - 50 == pytest.approx(-1.0)
    assert settled_hz(GOVERNED, -0.01) == pytest.approx(-0.01 / 0.51)
    assert settled_hz(ALONE, -0.01) == pytest.approx(-1.0)


def test_without_governor_it_falls_as_an_exponential() -> None:
    """Δf(t) = −(0.01/D) (1 − exp(−D f₀ t / 2H)), exact at every step."""
    found = simulate(ALONE, np.full(1000, -0.01)).frequency_hz - 50
    t_s = 0.1 * np.arange(1001)
    np.testing.assert_allclose(found, -(1 - np.exp(-0.01 * 50 * t_s / 10)), atol=1e-12)


def test_a_governor_at_its_limit_leaves_the_rest_to_damping() -> None:
    """−0.2 + 0.1 of the governor = D Δf: −10 Hz; without damping nothing stops it."""
    assert settled_hz(GOVERNED, -0.2) == pytest.approx(-10.0)
    assert settled_hz(replace(GOVERNED, damping_pu_per_hz=0.0), -0.2) == -np.inf
    assert settled_hz(replace(GOVERNED, damping_pu_per_hz=0.0), 0.2) == np.inf
    assert settled_hz(BOTH, 0.0) == 0.0


@pytest.mark.parametrize("values", [(0.14, -0.08), (-0.15, 0.15), (-0.03,), (0.0, 0.012)])
def test_limits_and_dead_bands_as_a_general_solver_has_them(values: tuple[float, ...]) -> None:
    """Up to a step's change: a regime ends with the step that leaves it."""
    area = replace(BOTH, step_s=0.01)
    imbalance_pu = np.repeat(values, 500)

    def slope(t: float, z: Any) -> list[float]:
        dp = values[min(int(t / 5), len(values) - 1)]
        lags = [
            (r.settled_pu(z[0]) - given) / r.lag_s
            for r, given in zip(area.responses, z[1:], strict=True)
        ]
        return [5.0 * (dp - 0.01 * z[0] + z[1] + z[2]), *lags]

    at_s = np.arange(1, len(values) + 1) * 5.0
    exact = solve_ivp(slope, (0, at_s[-1]), [0.0] * 3, max_step=0.05, t_eval=at_s, rtol=1e-7)
    found = simulate(area, imbalance_pu).frequency_hz[500::500] - 50
    np.testing.assert_allclose(found, exact.y[0], atol=2e-3)


def test_blocks_of_steps_do_not_show() -> None:
    """A change of the input by nothing splits the blocks, and changes no value."""
    plain = np.full(700, -0.03)
    split = plain + np.where(np.arange(700) % 7 == 0, 1e-15, 0.0)
    one, other = simulate(BOTH, plain), simulate(BOTH, split)
    np.testing.assert_allclose(one.frequency_hz, other.frequency_hz, atol=1e-9)


def test_a_storage_raises_the_lowest_frequency() -> None:
    lost = np.full(600, -0.05)
    without, with_it = (
        simulate(GOVERNED, lost),
        simulate(replace(GOVERNED, responses=(GOVERNOR, STORAGE)), lost),
    )
    assert without.lowest_hz < with_it.lowest_hz < 50
    assert with_it.response_pu[:, 1].max() <= 0.02


def test_shedding_cuts_blocks_until_the_rest_is_carried() -> None:
    """−0.3 pu: five blocks of 5 % and 0.05 of the governor leave it near nominal."""
    found = simulate(replace(GOVERNED, shedding=Shedding()), np.full(3000, -0.3))
    assert found.shed_pu[-1] in (0.2, 0.25, 0.3)
    assert np.diff(found.shed_pu).min() >= 0
    first = int(np.flatnonzero(found.shed_pu)[0])
    assert found.frequency_hz[first - 1] <= 49.0 < found.frequency_hz[first - 2]
    rest = settled_hz(GOVERNED, -0.3 + found.shed_pu[-1])
    assert found.frequency_hz[-1] - 50 == pytest.approx(rest, abs=1e-6)
    assert found.shed_pu_s == pytest.approx(0.1 * found.shed_pu[1:].sum())
    assert simulate(GOVERNED, np.full(3000, -0.3)).lowest_hz < found.lowest_hz


def test_seconds_outside_each_band() -> None:
    """Alone, −0.01 pu passes −0.05 Hz after 10/0.5 ln(1/0.95) = 1.026 s."""
    found = simulate(ALONE, np.full(100, -0.01))
    assert [found.outside_s(band) for band in BANDS_HZ] == pytest.approx(
        [10 - np.floor(-20 * np.log(1 - band) / 0.1) * 0.1 for band in BANDS_HZ]
    )


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: replace(GOVERNOR, lag_s=0.0), "Response governor: lag_s = 0, must be above 0"),
        (lambda: replace(GOVERNOR, least_pu=0.1), "least_pu = 0.1"),
        (lambda: replace(GOVERNOR, dead_hz=-1.0), "dead_hz = -1"),
        (lambda: replace(ALONE, inertia_s=0.0), "Area: inertia_s = 0"),
        (lambda: replace(ALONE, damping_pu_per_hz=np.nan), "damping_pu_per_hz = nan"),
        (lambda: replace(ALONE, responses=(GOVERNOR,) * 13), "13 responses"),
        (lambda: simulate(ALONE, np.array([np.nan])), "1 values that are not finite"),
    ],
)
def test_what_is_refused(made: Any, told: str) -> None:
    with pytest.raises(InvalidSpec, match=told):
        made()
