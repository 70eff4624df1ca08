"""Marginals, correlation, and what templates a plan may know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import DataError, InvalidSpec
from ems.forecast.scenarios import draw, levels_of_truth, quantile_function, templates
from ems.forecast.series import Forecast

DECILES = np.tile(np.arange(1.0, 10.0)[:, None], (1, 4))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def forecast(values: np.ndarray, origins: list[int]) -> Forecast:
    return Forecast(who="h", unit="kW", model="m", origins=np.array(origins), values=values)


# --- marginals ------------------------------------------------------------------------------------


def test_the_quantile_function_by_hand() -> None:
    quantiles = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0], [8.0], [12.0]])

    def value(level: float, least: float = -np.inf) -> float:
        return float(quantile_function(quantiles, np.array([[level]]), least)[0, 0])

    for level, expected in ((0.1, 1.0), (0.55, 5.5), (0.9, 12.0), (0.85, 10.0), (0.0, 0.0)):
        assert value(level) == pytest.approx(expected)
    assert value(1.0) == pytest.approx(16.0)  # the last slope goes on
    assert value(0.0, least=0.5) == 0.5


@pytest.mark.parametrize("n", [5, 10, 20])
def test_every_step_takes_each_stratum_once(n: int) -> None:
    drawn = draw({"load": DECILES}, {"load": rng().random((40, 4))}, n, rng(1))["load"]
    assert drawn.shape == (n, 4)
    expected = 10.0 * (np.arange(n) + 0.5) / n  # these deciles are the uniform distribution on 0…10
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.tile(expected[:, None], (1, 4)))
    np.testing.assert_allclose(drawn.mean(axis=0), 5.0)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 20))
def test_scenarios_stay_within_the_tails_and_above_the_least(seed: int, n: int) -> None:
    made = rng(seed)
    quantiles = np.sort(made.normal(0.3, 1.0, (9, 6)), axis=0).clip(0.0)
    drawn = draw({"pv": quantiles}, {"pv": made.random((30, 6))}, n, made, {"pv": 0.0})["pv"]
    assert drawn.min() >= 0.0
    assert (drawn <= 2.0 * quantiles[8] - quantiles[7] + 1e-9).all()


def test_a_certain_series_has_one_future() -> None:
    sure = np.full((9, 4), 3.0)
    drawn = draw({"price": sure}, {"price": rng().random((30, 4))}, 10, rng())["price"]
    np.testing.assert_array_equal(drawn, 3.0)


# --- correlation ----------------------------------------------------------------------------------


def test_scenarios_have_the_order_of_their_templates_by_hand() -> None:
    # as many templates as scenarios: all are used, sorted by mean level
    past = np.array([[0.9, 0.2, 0.5, 0.9], [0.1, 0.4, 0.9, 0.1], [0.5, 0.9, 0.1, 0.5]])
    drawn = draw({"load": DECILES}, {"load": past}, 3, rng())["load"]
    ranks = drawn.argsort(axis=0).argsort(axis=0)
    by_row = {tuple(row) for row in ranks.tolist()}
    assert by_row == {(2, 0, 1, 2), (0, 1, 2, 0), (1, 2, 0, 1)}


def correlated(n: int, seed: int) -> dict[str, np.ndarray]:
    """Levels of two series that move against each other and persist over the steps."""
    common = rng(seed).normal(size=(n, 1))
    noise = rng(seed + 1).normal(scale=0.5, size=(2, n, 4))
    return {"load": common + noise[0], "pv": -common + noise[1]}


def test_the_correlation_over_the_steps_and_between_series_is_kept() -> None:
    past = correlated(400, 3)
    quantiles = {"load": DECILES, "pv": DECILES}
    pairs = []
    for seed in range(100):
        drawn = draw(quantiles, past, 10, rng(seed))
        load, pv = drawn["load"], drawn["pv"]
        pairs.append(
            [np.corrcoef(load[:, 0], load[:, 3])[0, 1], np.corrcoef(load[:, 1], pv[:, 2])[0, 1]]
        )
    over_steps, between = np.mean(pairs, axis=0)
    # 1 / (1 + 0.5²) = 0.8 in the templates; ten ranks of them show a little less
    assert over_steps == pytest.approx(0.75, abs=0.06)
    assert between == pytest.approx(-0.75, abs=0.06)


def test_the_chosen_templates_are_spread_over_the_whole_range() -> None:
    past = {"load": np.tile(np.linspace(0.0, 1.0, 50)[:, None], (1, 4))}
    drawn = draw({"load": DECILES}, past, 5, rng())["load"]
    np.testing.assert_allclose(np.sort(drawn.mean(axis=1)), [1.0, 3.0, 5.0, 7.0, 9.0])


def test_ties_are_not_taken_for_correlation() -> None:
    past = {"load": np.zeros((50, 4))}
    found = [
        np.corrcoef(draw({"load": DECILES}, past, 10, rng(seed))["load"][:, :2].T)[0, 1]
        for seed in range(200)
    ]
    assert np.mean(found) == pytest.approx(0.0, abs=0.08)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    past = correlated(60, 1)
    quantiles = {"load": DECILES, "pv": DECILES}
    one, same, other = (draw(quantiles, past, 10, rng(seed)) for seed in (1, 1, 2))
    for name in quantiles:
        np.testing.assert_array_equal(one[name], same[name])
    assert not np.array_equal(one["load"], other["load"])


# --- templates ------------------------------------------------------------------------------------


def test_the_level_of_the_truth_by_hand() -> None:
    values = np.tile(DECILES[None, :, :1], (2, 1, 2))  # quantiles 1 … 9
    truth = np.array([9.0, 2.5, 0.0, 11.0, np.nan])
    levels = levels_of_truth(forecast(values, [1, 3]), truth)
    np.testing.assert_allclose(levels[0], [0.25, 0.0])
    assert levels[1, 0] == pytest.approx(1.1)  # beyond the last quantile its slope goes on
    assert np.isnan(levels[1, 1])


def test_the_level_beyond_the_end_is_unknown() -> None:
    levels = levels_of_truth(forecast(DECILES[None], [3]), np.arange(5.0))
    assert np.isfinite(levels[0, :2]).all()
    assert np.isnan(levels[0, 2:]).all()


@given(seed=st.integers(0, 1000))
def test_the_levels_of_draws_from_the_quantiles_give_the_draws_back(seed: int) -> None:
    made = rng(seed)
    quantiles = np.cumsum(made.uniform(0.1, 1.0, (9, 4)), axis=0)
    level = made.uniform(0.0, 1.0, 4)
    truth = quantile_function(quantiles, level[None], -np.inf)[0]
    np.testing.assert_allclose(levels_of_truth(forecast(quantiles[None], [0]), truth)[0], level)


def test_templates_are_wholly_observed_at_the_same_time_of_day_and_known_in_every_series() -> None:
    origins = np.arange(0, 24 * 10, 6)
    load, pv = rng(0).random((2, len(origins), 48))
    load[0, 3] = np.nan
    pv[4, 0] = np.nan
    found = templates({"load": load, "pv": pv}, origins, origin=24 * 8, every=24)
    kept = [
        i for i, o in enumerate(origins) if o % 24 == 0 and o + 48 <= 24 * 8 and i not in (0, 4)
    ]
    np.testing.assert_array_equal(found["load"], load[kept])
    np.testing.assert_array_equal(found["pv"], pv[kept])
    assert origins[kept[-1]] == 24 * 6


def test_what_happens_after_the_origin_changes_no_template() -> None:
    made = rng(0)
    values = np.sort(made.random((20, 9, 24)), axis=1)
    origins, truth = np.arange(20) * 24 + 24, made.random(24 * 22)
    changed = truth.copy()
    changed[24 * 11 :] = 99.0
    for one in (truth, changed):
        levels = {"load": levels_of_truth(forecast(values, origins.tolist()), one)}
        found = templates(levels, origins, 24 * 11, 24)["load"]
        assert found.shape == (10, 24)
        if one is truth:
            first = found
    np.testing.assert_array_equal(first, found)


# --- bad input ------------------------------------------------------------------------------------


def test_too_few_templates_other_series_and_no_scenario_are_refused() -> None:
    few = {"load": rng().random((4, 4))}
    with pytest.raises(DataError, match="4 past forecasts for 5 scenarios"):
        draw({"load": DECILES}, few, 5, rng())
    with pytest.raises(InvalidSpec, match="n is 0"):
        draw({"load": DECILES}, few, 0, rng())
    with pytest.raises(InvalidSpec, match=r"templates of \['pv'\] for forecasts of \['load'\]"):
        draw({"load": DECILES}, {"pv": rng().random((9, 4))}, 5, rng())


def test_templates_of_another_shape_or_with_holes_are_refused() -> None:
    good = rng().random((9, 4))
    with pytest.raises(InvalidSpec, match="pv has 8 templates, load has 9"):
        draw({"load": DECILES, "pv": DECILES}, {"load": good, "pv": good[:8]}, 5, rng())
    with pytest.raises(InvalidSpec, match="load has templates of 3 steps, its forecast has 4"):
        draw({"load": DECILES}, {"load": good[:, :3]}, 5, rng())
    holed = good.copy()
    holed[2, 1] = np.nan
    with pytest.raises(DataError, match="a template of load has an unknown level"):
        draw({"load": DECILES}, {"load": holed}, 5, rng())
    with pytest.raises(DataError, match="quantiles of load"):
        draw({"load": DECILES[::-1]}, {"load": good}, 5, rng())
