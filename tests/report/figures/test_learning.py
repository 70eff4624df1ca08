"""The figures of Pipeline C read back from what they draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pytest
from learning.made_habits import drawn, history_of, one_start
from matplotlib.figure import Figure
from report.figures.every import searched
from report.figures.made import REAL, all_text, stairs_of

from ems.errors import DataError, InvalidSpec
from ems.learning.pmf import UNIFORM
from ems.learning.priors import learned
from ems.learning.rate import LearningRate, PriorName
from ems.learning.rivals import standard_models
from ems.learning.scores import Estimate, prequential
from ems.learning.search import rate_grid
from ems.learning.usage import UseHistory
from ems.pipelines.probability import DeviceSearch, search_device
from ems.pipelines.spec import SearchSpec
from ems.report.figures.habits import (
    LEVEL,
    chosen_days,
    pmf_after,
    pmf_evolution,
    prior_and_learned,
)
from ems.report.figures.learning import UNIFORM_BITS, grid_map, learning_curves
from ems.report.figures.page import days_in_words
from ems.site.calendar import DAY_TYPES
from ems.site.place import KONSTANZ

TAUS, MAXIMA = (5.0, 20.0, 50.0), (0.05, 0.2)
N_TRAIN = 28


def found(history: UseHistory, prior: PriorName = "learned", **spec: Any) -> DeviceSearch:
    asked = {"rates": rate_grid(TAUS, MAXIMA), "n_train": N_TRAIN} | spec
    return next(search_device(history, [], SearchSpec(priors=(prior,), **asked)))


@cache
def usual() -> DeviceSearch:
    return found(drawn(150, 1))


@pytest.mark.parametrize("draw", [grid_map, learning_curves, pmf_evolution, prior_and_learned])
def test_every_figure_says_device_prior_and_which_days_were_learned(
    draw: Callable[..., Figure],
) -> None:
    said = str(draw(usual(), origin=REAL).get_label())
    assert said.startswith("home · dishwasher · ")
    assert f"{days_in_words(usual().history.days.tolist())} · prior learned · " in said


def test_a_transfer_prior_needs_the_other_buildings() -> None:
    history, others = drawn(60, 1), [drawn(60, 2, building="neighbour")]
    spec = SearchSpec(rates=rate_grid(TAUS, MAXIMA), priors=("transfer",))
    search = next(search_device(history, others, spec))
    for draw in (learning_curves, pmf_evolution, prior_and_learned):
        assert "prior transfer" in all_text(draw(search, origin=REAL, others=others))
        with pytest.raises(DataError, match="no other building"):
            draw(search, origin=REAL)


# --- the grid -------------------------------------------------------------------------------------


def test_each_cell_shows_both_its_numbers_and_the_best_of_each_is_framed_and_darkest() -> None:
    search = replace(usual(), cell=2, by_learning_score=1)
    figure = grid_map(search, origin=REAL)
    scores = search.grid.log_loss_bits[:, 0], search.grid.learning_score[:, 0]
    for ax, values, worst_first in zip(figure.axes, scores, (-1, 1), strict=False):
        shown = {text.get_position(): text.get_text() for text in ax.texts}
        assert shown == {
            (MAXIMA.index(rate.lr_max), TAUS.index(rate.lr_tau)): f"{value:.3f}"
            for rate, value in zip(search.grid.rates, values, strict=True)
        }
        middle = {patch.get_gid(): patch.get_center() for patch in ax.patches}
        assert middle["least log loss"] == pytest.approx((0, 1))
        assert middle["greatest learning score"] == pytest.approx((1, 0))
        image = ax.images[0]
        ranked = image.cmap(image.norm(np.sort(values)[::worst_first]))[:, :3].sum(axis=1)
        assert ranked[0] > ranked[-1]
    bits = figure.axes[0]
    assert [tick.get_text() for tick in bits.get_xticklabels()] == ["0.05", "0.2"]
    assert [tick.get_text() for tick in bits.get_yticklabels()] == ["5", "20", "50"]
    assert "the learning score prefers lr_tau 5" in str(figure.get_label())


@pytest.mark.parametrize("shape", [(25, 2), (2, 9)])
def test_a_grid_of_many_cells_has_colours_but_no_numbers(shape: tuple[int, int]) -> None:
    rates = rate_grid(range(1, shape[0] + 1), np.linspace(0.05, 0.5, shape[1]))
    ax = grid_map(found(drawn(60, 1), rates=rates), origin=REAL).axes[0]
    assert not ax.texts
    assert ax.images[0].get_array().shape == shape


def test_an_incomplete_grid_leaves_its_holes_and_cells_that_share_a_place_are_refused() -> None:
    some = found(drawn(60, 1), rates=rate_grid(TAUS, MAXIMA)[:-1])
    ax = grid_map(some, origin=REAL).axes[0]
    assert np.argwhere(np.ma.getmaskarray(ax.images[0].get_array())).tolist() == [[2, 1]]
    assert len(ax.texts) == 5
    rates = (LearningRate(lr_min=0.0), LearningRate(lr_min=0.01))
    with pytest.raises(InvalidSpec, match="2 different cells at 1 pairs"):
        grid_map(found(drawn(60, 1), rates=rates), origin=REAL)


# --- over the days --------------------------------------------------------------------------------


def test_the_curves_end_at_the_scores_of_the_table_and_stay_in_sight() -> None:
    search = usual()
    figure = learning_curves(search, origin=REAL)
    mean, saved = ({x.get_gid(): x.get_ydata()[-1] for x in ax.lines} for ax in figure.axes)
    assert mean["best cell"] == pytest.approx(search.log_loss.mean)
    assert mean["uniform"] == UNIFORM_BITS == pytest.approx(4.585, abs=1e-3)
    rivals = {name: s.log_loss_bits.mean for name, s in search.rivals.items()}
    best = min({*rivals} - {"uniform", "rate:learned"}, key=lambda name: rivals[name])
    assert mean[f"{best} (best rival)"] == pytest.approx(rivals[best])
    starts = search.forecasts.own_starts.sum()
    assert saved["best cell"] == pytest.approx(starts * search.gain_bits.mean)
    assert saved["uniform"] == 0.0
    for ax in figure.axes:
        low, high = ax.get_ylim()
        assert all(low <= y <= high for line in ax.lines for y in line.get_ydata())


def test_a_curve_is_the_running_mean_per_start_of_forecasts_made_before_the_day() -> None:
    search = usual()
    mean = learning_curves(search, origin=REAL).axes[0]
    line = next(line for line in mean.lines if line.get_gid() == "all history")
    model = standard_models("dishwasher", KONSTANZ, [learned("dishwasher")])["all_history"]
    said = prequential(model, search.history, n_train=N_TRAIN)
    bits, starts = said.log_loss_bits.cumsum(), said.own_starts.cumsum()
    settled = starts >= 0.1 * starts[-1]  # before it the mean jumps
    np.testing.assert_allclose(line.get_ydata(), (bits / starts)[settled])
    shown = mdates.date2num(line.get_xdata())
    np.testing.assert_allclose(shown, mdates.date2num(said.days[settled]) + 0.5)
    first, last = mdates.date2num(search.forecasts.days[[0, -1]])
    assert mean.get_xlim() == (first, last + 1.0)


def test_a_single_start_is_seen() -> None:
    mean = learning_curves(found(history_of(one_start(-1, -1, 19)), n_train=1), origin=REAL).axes[0]
    assert [line.get_marker() for line in mean.lines[:-1]] == ["o"] * 3


def test_the_best_rival_is_another_learner_even_when_uniform_is_better() -> None:
    search = usual()
    unbeaten = Estimate(mean=0.0, low=0.0, high=0.0, weight=1.0)
    better = replace(search.rivals["uniform"], log_loss_bits=unbeaten)
    rivals = {name: search.rivals[name] for name in ("all_history", "rate:learned")}
    figure = learning_curves(replace(search, rivals=rivals | {"uniform": better}), origin=REAL)
    names = [line.get_gid() for line in figure.axes[0].lines]
    assert names == ["best cell", "all history (best rival)", "uniform"]


# --- the PMF --------------------------------------------------------------------------------------


def test_the_maps_show_the_prior_first_and_then_every_step_in_order() -> None:
    search = usual()
    figure = pmf_evolution(search, origin=REAL)
    first, last = mdates.date2num(search.history.days[[0, -1]])
    for kind, name in enumerate(DAY_TYPES):
        mesh = next(c for ax in figure.axes for c in ax.collections if c.get_gid() == name)
        steps = [update for update in search.updates if update.day_type == name]
        hours = [learned("dishwasher").hours[kind], *(step.hours for step in steps)]
        np.testing.assert_array_equal(np.asarray(mesh.get_array()).T, hours)
        ends = [mdates.date2num(step.day) + 1 for step in steps]
        np.testing.assert_array_equal(mesh.get_coordinates()[0, :, 0], [first, *ends, last + 1.0])


def test_the_small_panels_show_both_types_at_first_quartiles_and_last() -> None:
    search = usual()
    chosen = chosen_days(search.updates)
    n = len(search.updates) - 1
    assert chosen == [search.updates[round(n * k / 4)].day for k in range(5)]
    assert chosen_days(search.updates[:1]) == [search.updates[0].day]
    for ax, day in zip(pmf_evolution(search, origin=REAL).axes[-5:], chosen, strict=True):
        assert ax.get_title(loc="left") == f"{day.day} {day:%b %Y}"
        for kind, label in enumerate(("working days", "weekends and holidays")):
            expected = pmf_after(search.updates, learned("dishwasher"), kind, day)
            np.testing.assert_array_equal(stairs_of(ax, label).values, expected)
            assert 0.0 == ax.get_ylim()[0] < expected.max() < ax.get_ylim()[1]


def test_the_pmf_after_a_day_knows_that_day_but_not_the_next() -> None:
    search, prior = usual(), learned("dishwasher")
    first = next(u for u in search.updates if u.day_type == DAY_TYPES[1])
    assert pmf_after(search.updates, prior, 1, first.day) is first.hours
    before = pmf_after(search.updates, prior, 1, date(2016, 2, 1))
    np.testing.assert_array_equal(before, prior.hours[1])


@pytest.mark.parametrize("shifted", [False, True])
def test_prior_learned_and_own_starts_are_what_they_say(shifted: bool) -> None:
    """Starts that the EMS has shifted are not the people's own."""
    history = drawn(90, 1)
    own = np.arange(90) % 2 == 1 if shifted else np.ones(90, bool)
    search = found(history.with_shifted(~own))
    for kind, ax in enumerate(prior_and_learned(search, origin=REAL).axes):
        starts = history.starts[own & (history.day_types == kind)].sum(axis=0)
        np.testing.assert_allclose(stairs_of(ax, "own starts").values, starts / starts.sum())
        assert f"{starts.sum():.0f} own starts" in ax.get_title(loc="left")
        prior = learned("dishwasher").hours[kind]
        np.testing.assert_array_equal(stairs_of(ax, "prior: learned").values, prior)
        last = [u for u in search.updates if u.day_type == DAY_TYPES[kind]][-1]
        np.testing.assert_array_equal(stairs_of(ax, "learned (best cell)").values, last.hours)


def test_the_intervals_hold_the_posterior_mean_and_narrow_with_the_days() -> None:
    width = []
    for n_days in (60, 400):
        search = found(drawn(n_days, 1), prior="uniform")
        for kind, ax in enumerate(prior_and_learned(search, origin=REAL).axes):
            low, high = np.array([line[:, 1] for line in ax.collections[0].get_segments()]).T
            starts = search.history.starts[search.history.day_types == kind].sum(axis=0)
            mean = (12.0 * UNIFORM + starts) / (12.0 + starts.sum())
            assert np.all((low < mean) & (mean < high))
            width.append(np.mean(high - low))
    assert width[2] < 0.6 * width[0]
    assert width[3] < 0.6 * width[1]
    assert LEVEL == 0.9


def test_a_day_type_without_a_start_keeps_its_prior() -> None:
    history = drawn(60, 2)
    kept = np.where(history.day_types[:, None] == 0, history.starts, 0.0)
    search = found(replace(history, starts=kept, n_starts=kept.sum(axis=1)))
    ax = prior_and_learned(search, origin=REAL).axes[1]
    assert "0 own starts" in ax.get_title(loc="left")
    prior = learned("dishwasher").hours[1]
    np.testing.assert_array_equal(stairs_of(ax, "learned (best cell)").values, prior)


def test_a_heat_pump_is_scored_by_day_and_shown_by_energy() -> None:
    search = searched("heat pump")
    assert "[bit per day]" in all_text(grid_map(search, origin=REAL))
    assert "days in use" in all_text(prior_and_learned(search, origin=REAL))
    assert "[bit per start]" in all_text(grid_map(usual(), origin=REAL))
