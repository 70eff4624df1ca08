"""The grid gives the agent's numbers, for any order of devices and any histories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learning.made_habits import HABIT, drawn, history_of, one_start

from ems.errors import DataError, InvalidSpec
from ems.learning.priors import Prior, learned, uniform
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.rate import LearningRate
from ems.learning.scores import learning_score, prequential, score
from ems.learning.search import GridResult, grid_search, rate_grid
from ems.learning.usage import UseHistory
from ems.site.place import KONSTANZ

RATES = (*rate_grid([5, 20], [0.05, 0.2]), LearningRate(lr_tau=8.0, lr_min=0.03, uniform_share=0.1))


def require_agents_numbers(
    result: GridResult, histories: list[UseHistory], priors: list[Prior], n_train: int
) -> None:
    for device, (history, prior) in enumerate(zip(histories, priors, strict=True)):
        for cell, rate in enumerate(result.rates):
            agent = ProbabilityModelAgent(
                device=history.device, place=history.place, prior=prior, rate=rate
            )
            said = prequential(agent, history, n_train=n_train)
            used = said.own_starts > 0.0
            found = learning_score(said.updates)
            np.testing.assert_allclose(
                result.daily_bits[device][cell], said.log_loss_bits[used], rtol=1e-12
            )
            np.testing.assert_array_equal(result.daily_starts[device], said.own_starts[used])
            expected = said.log_loss_bits.sum() / said.own_starts.sum()
            assert result.log_loss_bits[cell, device] == pytest.approx(expected, rel=1e-12)
            assert result.js_to_prior[cell, device] == pytest.approx(found.js_to_prior, rel=1e-9)
            assert result.mean_js_step[cell, device] == pytest.approx(found.mean_js_step, rel=1e-9)
            assert result.learning_score[cell, device] == pytest.approx(found.score, rel=1e-9)
            assert result.n_updates[device] == found.n_updates


@pytest.mark.smoke
def test_the_grid_gives_the_agents_numbers() -> None:
    shifted = drawn(90, 3).with_shifted(np.arange(90) % 4 == 0)
    shares = history_of(np.random.default_rng(1).dirichlet(np.ones(24), size=50))
    histories = [drawn(200, 1), drawn(60, 2, use=0.2, habit=HABIT[::-1]), shifted, shares]
    priors = [uniform(), learned("dishwasher"), learned("ev"), uniform()]
    result = grid_search(histories, priors, RATES, n_train=28)
    require_agents_numbers(result, histories, priors, 28)


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(-1, 23), min_size=5, max_size=40), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_so_it_does_for_any_days(days: list[list[int]], n_train: int) -> None:
    histories = [history_of(one_start(*hours)) for hours in days]
    priors = [uniform()] * len(histories)
    if all(np.any(h.own_starts[n_train:] > 0.0) for h in histories):
        result = grid_search(histories, priors, RATES, n_train=n_train)
        require_agents_numbers(result, histories, priors, n_train)
    else:
        with pytest.raises(DataError, match="not a single own start"):
            grid_search(histories, priors, RATES, n_train=n_train)


@given(st.permutations(range(5)))
def test_the_order_of_devices_does_not_matter(order: list[int]) -> None:
    histories = [drawn(60 + 15 * k, k, building=f"home{k}") for k in range(5)]
    priors = [uniform() if k % 2 else learned("dishwasher") for k in range(5)]
    one = grid_search(histories, priors, RATES)
    other = grid_search([histories[k] for k in order], [priors[k] for k in order], RATES)
    assert other.who == tuple(one.who[k] for k in order)
    for name in ("log_loss_bits", "js_to_prior", "mean_js_step"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name)[:, order], rtol=1e-12)


def test_the_best_cells_and_their_intervals() -> None:
    result = grid_search([drawn(300, 1)], [uniform()], RATES)
    best = result.best_by_log_loss(0)
    assert result.log_loss_bits[best, 0] == result.log_loss_bits[:, 0].min()
    theirs = result.best_by_learning_score(0)
    assert result.learning_score[theirs, 0] == result.learning_score[:, 0].max()
    interval = result.log_loss_interval(best, 0, seed=1)
    agent = ProbabilityModelAgent(device="x", place=KONSTANZ, prior=uniform(), rate=RATES[best])
    same = score(prequential(agent, drawn(300, 1)), "log_loss_bits", seed=1)
    assert (interval.low, interval.high) == pytest.approx((same.low, same.high))
    worst = int(np.argmax(result.log_loss_bits[:, 0]))
    won = result.gain_bits(best, worst, 0, seed=1)
    assert won.mean == pytest.approx(result.log_loss_bits[worst, 0] - interval.mean)


def test_cells_are_in_the_order_of_the_values() -> None:
    cells = [(rate.lr_tau, rate.lr_max) for rate in rate_grid([5, 10], [0.05, 0.1, 0.2])]
    assert cells == [(5, 0.05), (5, 0.1), (5, 0.2), (10, 0.05), (10, 0.1), (10, 0.2)]


def test_empty_and_bad_grids() -> None:
    with pytest.raises(InvalidSpec, match="lr_tau_values is empty"):
        rate_grid([], [0.1])
    with pytest.raises(InvalidSpec, match="lr_max_values is empty"):
        rate_grid([5], [])
    with pytest.raises(InvalidSpec, match=r"lr_max = 0\.001"):
        rate_grid([5], [0.001])
    with pytest.raises(InvalidSpec, match="0 histories, 0 priors and 5 rates"):
        grid_search([], [], RATES)
    with pytest.raises(InvalidSpec, match="1 histories, 2 priors"):
        grid_search([drawn(60, 1)], [uniform()] * 2, RATES)
    with pytest.raises(DataError, match="20 known days"):
        grid_search([drawn(20, 1)], [uniform()], RATES)
