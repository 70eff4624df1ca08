"""The figures of Pipeline C read back from what they draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache

import matplotlib.dates as mdates
import numpy as np
import pytest
from learning.made_habits import drawn, history_of, one_start
from matplotlib.figure import Figure
from report.figures.made import LONG_NAME, REAL, TWIN, all_text, clashes, stairs_of

from ems.errors import DataError, InvalidSpec
from ems.learning.pmf import UNIFORM
from ems.learning.priors import PriorName, learned
from ems.learning.probability_model import LearningRate
from ems.learning.rivals import standard_models
from ems.learning.scores import Estimate, prequential
from ems.learning.search import rate_grid
from ems.learning.usage import UseHistory
from ems.pipelines.probability import DeviceSearch, SearchSpec, search_device
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

SOME = ((5.0, 20.0, 50.0), (0.05, 0.2))
EVERY = (grid_map, learning_curves, pmf_evolution, prior_and_learned)
N_TRAIN = 28
UNBEATEN = {"mean": 0.0, "low": 0.0, "high": 0.0, "weight": 1.0}


def found(
    history: UseHistory,
    grid: tuple[Sequence[float], Sequence[float]] = SOME,
    prior: PriorName = "learned",
    n_train: int = N_TRAIN,
) -> DeviceSearch:
    spec = SearchSpec(rates=rate_grid(*grid), priors=(prior,), n_train=n_train)
    return next(search_device(history, [], spec))


@cache
def usual() -> DeviceSearch:
    return found(drawn(150, 1))


def weekdays_only(n_days: int) -> UseHistory:
    history = drawn(n_days, 2)
    kept = np.where(history.day_types[:, None] == 0, history.starts, 0.0)
    return replace(history, starts=kept, n_starts=kept.sum(axis=1))


CASES: dict[str, Callable[[], DeviceSearch]] = {
    "150 days": usual,
    "1000 days": lambda: found(drawn(1000, 3), prior="uniform"),
    "a long name": lambda: found(drawn(60, 1, building=LONG_NAME)),
    "a heat pump": lambda: found(
        replace(drawn(90, 4, use=1.0, device="heat_pump"), category="partial_usage")
    ),
    "one cell, four days": lambda: found(
        history_of(one_start(19, 20, 19, 7)), ((20.0,), (0.1,)), n_train=0
    ),
    "no start on weekends": lambda: found(weekdays_only(60)),
    "one start": lambda: found(history_of(one_start(-1, -1, 19)), n_train=1),
    "four days": lambda: found(history_of(one_start(19, 20, 19, 7)), n_train=2),
    "14 days": lambda: found(drawn(15, 1), n_train=1),
    "a wide grid": lambda: found(drawn(60, 1), (range(1, 26), np.linspace(0.05, 0.5, 30))),
    "eight columns": lambda: found(drawn(60, 1), ((5, 10), np.linspace(0.05, 0.4, 8))),
}


@pytest.mark.parametrize("figure", EVERY, ids=lambda figure: figure.__name__)
@pytest.mark.parametrize("case", CASES)
def test_no_text_overlaps_or_leaves_the_page_and_axes_have_units(
    case: str, figure: Callable[..., Figure]
) -> None:
    drawn_ = figure(CASES[case](), origin=TWIN)
    assert clashes(drawn_) == []
    for ax in drawn_.axes:
        labels = [label for label in (ax.get_xlabel(), ax.get_ylabel()) if label]
        assert all("[" in label or label == "local day" for label in labels)
        if len(labels) < 2:  # the axis is shared, or of colours
            assert labels or ax.get_shared_y_axes().get_siblings(ax) != [ax]


@pytest.mark.parametrize("figure", EVERY, ids=lambda figure: figure.__name__)
def test_every_figure_says_device_prior_source_and_whether_it_is_synthetic(
    figure: Callable[..., Figure],
) -> None:
    text = all_text(figure(usual(), origin=REAL))
    assert all(word in text for word in ("home · dishwasher", "prior learned", "CC BY 4.0"))
    assert "SYNTHETIC" not in text
    assert "SYNTHETIC DATA" in all_text(figure(usual(), origin=TWIN))


@pytest.mark.parametrize("case", CASES)
def test_no_curve_is_cut_off_by_its_axis(case: str) -> None:
    for ax in learning_curves(CASES[case](), origin=TWIN).axes:
        low, high = ax.get_ylim()
        for line in ax.lines:
            assert np.all((low <= line.get_ydata()) & (line.get_ydata() <= high))


@pytest.mark.parametrize("figure", EVERY, ids=lambda figure: figure.__name__)
def test_every_figure_says_which_days_were_learned(figure: Callable[..., Figure]) -> None:
    search = usual()
    said = days_in_words(search.history.days.tolist())
    assert said in " ".join(all_text(figure(search, origin=TWIN)).split())


# --- the grid -------------------------------------------------------------------------------------


def test_each_cell_shows_both_its_numbers_in_its_place() -> None:
    search = usual()
    bits, score = grid_map(search, origin=TWIN).axes[:2]
    for ax, values in ((bits, search.grid.log_loss_bits), (score, search.grid.learning_score)):
        shown = {text.get_position(): text.get_text() for text in ax.texts}
        assert len(shown) == len(search.grid.rates)
        for rate, value in zip(search.grid.rates, values[:, 0], strict=True):
            place = SOME[1].index(rate.lr_max), SOME[0].index(rate.lr_tau)
            assert shown[place] == f"{value:.3f}"
    assert [tick.get_text() for tick in bits.get_xticklabels()] == ["0.05", "0.2"]
    assert [tick.get_text() for tick in bits.get_yticklabels()] == ["5", "20", "50"]


def test_both_panels_frame_the_best_of_each_score() -> None:
    search = replace(usual(), cell=2, by_learning_score=1)
    for ax in grid_map(search, origin=TWIN).axes[:2]:
        middle = {patch.get_gid(): patch.get_center() for patch in ax.patches}
        assert middle["least log loss"] == pytest.approx((0, 1))
        assert middle["greatest learning score"] == pytest.approx((1, 0))


def test_the_figure_says_where_the_scores_disagree_and_what_it_costs() -> None:
    search = replace(usual(), cell=2, by_learning_score=1)
    assert "The learning score prefers lr_tau 5" in all_text(grid_map(search, origin=TWIN)).replace(
        "\n", " "
    )


def test_darker_is_better_in_both() -> None:
    for ax, worst_first in zip(grid_map(usual(), origin=TWIN).axes[:2], (-1, 1), strict=True):
        image = ax.images[0]
        values = np.sort(np.ravel(image.get_array()))[::worst_first]
        brightness = image.cmap(image.norm(values))[:, :3].sum(axis=1)
        assert brightness[0] > brightness[-1]


@pytest.mark.parametrize("shape", [(25, 2), (2, 9)])
def test_a_grid_of_many_cells_has_colours_but_no_numbers(shape: tuple[int, int]) -> None:
    grid = range(1, shape[0] + 1), np.linspace(0.05, 0.5, shape[1])
    ax = grid_map(found(drawn(60, 1), grid), origin=TWIN).axes[0]
    assert not ax.texts
    assert ax.images[0].get_array().shape == shape


def test_the_label_of_the_colours_is_no_longer_than_their_bar() -> None:
    figure = grid_map(CASES["one cell, four days"](), origin=TWIN)
    assert clashes(figure) == []
    for bar in figure.axes[2:]:
        label = bar.yaxis.label.get_window_extent()
        assert label.height < bar.get_window_extent().height


def test_an_incomplete_grid_leaves_its_holes_empty() -> None:
    spec = SearchSpec(rates=rate_grid(*SOME)[:-1], n_train=N_TRAIN)
    search = next(search_device(drawn(60, 1), [], spec))
    ax = grid_map(search, origin=TWIN).axes[0]
    assert np.argwhere(np.ma.getmaskarray(ax.images[0].get_array())).tolist() == [[2, 1]]
    assert len(ax.texts) == 5


def test_cells_that_share_a_place_are_refused() -> None:
    rates = (LearningRate(lr_min=0.0), LearningRate(lr_min=0.01))
    search = next(search_device(drawn(60, 1), [], SearchSpec(rates=rates)))
    with pytest.raises(InvalidSpec, match="2 different cells at 1 pairs"):
        grid_map(search, origin=TWIN)


# --- over the days --------------------------------------------------------------------------------


def test_the_curves_end_at_the_scores_of_the_table() -> None:
    search = usual()
    mean, saved = learning_curves(search, origin=TWIN).axes
    ends = {line.get_gid(): line.get_ydata()[-1] for line in mean.lines}
    assert ends["best cell"] == pytest.approx(search.log_loss.mean)
    assert ends["uniform"] == UNIFORM_BITS == pytest.approx(4.585, abs=1e-3)
    rivals = {name: s.log_loss_bits.mean for name, s in search.rivals.items()}
    del rivals["uniform"], rivals["rate:learned"]
    best = min(rivals, key=lambda name: rivals[name])
    assert ends[f"{best} (best rival)"] == pytest.approx(rivals[best])
    total = {line.get_gid(): line.get_ydata()[-1] for line in saved.lines}
    starts = search.forecasts.own_starts.sum()
    assert total["best cell"] == pytest.approx(starts * search.gain_bits.mean)
    assert total["uniform"] == 0.0


def test_a_curve_is_the_running_mean_per_start_of_forecasts_made_before_the_day() -> None:
    search = usual()
    mean = learning_curves(search, origin=TWIN).axes[0]
    line = next(line for line in mean.lines if line.get_gid() == "all history")
    model = standard_models("dishwasher", KONSTANZ, [learned("dishwasher")])["all_history"]
    said = prequential(model, search.history, n_train=N_TRAIN)
    bits, starts, days = 0.0, 0.0, []
    for day, of_day, n in zip(said.days, said.log_loss_bits, said.own_starts, strict=True):
        bits, starts = bits + of_day, starts + n
        if starts >= 0.1 * said.own_starts.sum():  # before it the mean jumps
            days.append((mdates.date2num(day), bits / starts))
    shown = [mdates.date2num(line.get_xdata()), line.get_ydata()]
    np.testing.assert_allclose(np.transpose(shown), days)


def test_the_days_are_those_that_are_scored_and_a_single_start_is_seen() -> None:
    search = CASES["one start"]()
    mean = learning_curves(search, origin=TWIN).axes[0]
    days = mdates.date2num(search.forecasts.days)
    assert mean.get_xlim() == (days[0] - 0.5, days[-1] + 0.5)
    assert [line.get_marker() for line in mean.lines[:-1]] == ["o"] * 3


def test_the_best_rival_is_another_learner_even_when_uniform_is_better() -> None:
    search = usual()
    better = replace(search.rivals["uniform"], log_loss_bits=Estimate(**UNBEATEN))
    rivals = {name: search.rivals[name] for name in ("all_history", "rate:learned")}
    figure = learning_curves(replace(search, rivals=rivals | {"uniform": better}), origin=TWIN)
    names = [line.get_gid() for line in figure.axes[0].lines]
    assert names == ["best cell", "all history (best rival)", "uniform"]


def test_a_transfer_prior_needs_the_other_buildings() -> None:
    history, others = drawn(60, 1), [drawn(60, 2, building="neighbour")]
    spec = SearchSpec(rates=rate_grid(*SOME), priors=("transfer",))
    search = next(search_device(history, others, spec))
    for figure in (learning_curves, pmf_evolution, prior_and_learned):
        assert "prior transfer" in all_text(figure(search, origin=TWIN, others=others))
        with pytest.raises(DataError, match="no other building"):
            figure(search, origin=TWIN)


# --- the PMF --------------------------------------------------------------------------------------


def test_the_maps_show_the_prior_first_and_then_every_step_in_order() -> None:
    search = usual()
    figure = pmf_evolution(search, origin=TWIN)
    for kind, name in enumerate(DAY_TYPES):
        mesh = next(c for ax in figure.axes for c in ax.collections if c.get_gid() == name)
        table = np.asarray(mesh.get_array())
        steps = [update for update in search.updates if update.day_type == name]
        np.testing.assert_array_equal(table[:, 0], learned("dishwasher").hours[kind])
        np.testing.assert_array_equal(table[:, 1:].T, [step.hours for step in steps])
        edges = mesh.get_coordinates()[0, :, 0]
        np.testing.assert_array_equal(
            edges[1:-1], [mdates.date2num(step.day) + 1 for step in steps]
        )
        assert edges[[0, -1]].tolist() == [
            mdates.date2num(search.history.days[0]),
            mdates.date2num(search.history.days[-1]) + 1,
        ]


def test_the_small_figures_show_both_types_at_the_chosen_days() -> None:
    search = usual()
    chosen = chosen_days(search.updates)
    panels = pmf_evolution(search, origin=TWIN).axes[-len(chosen) :]
    for ax, day in zip(panels, chosen, strict=True):
        assert ax.get_title(loc="left") == f"{day.day} {day:%b %Y}"
        for kind, label in enumerate(("working days", "weekends and holidays")):
            expected = pmf_after(search.updates, learned("dishwasher"), kind, day)
            np.testing.assert_array_equal(stairs_of(ax, label).values, expected)
            assert ax.get_ylim()[0] == 0.0
            assert ax.get_ylim()[1] > expected.max()


def test_the_chosen_days_are_first_quartiles_and_last_each_once() -> None:
    updates = usual().updates
    n = len(updates) - 1
    assert chosen_days(updates) == [updates[round(n * k / 4)].day for k in range(5)]
    assert chosen_days(updates[:1]) == [updates[0].day]


def test_the_pmf_after_a_day_knows_that_day_but_not_the_next() -> None:
    search, prior = usual(), learned("dishwasher")
    first = next(u for u in search.updates if u.day_type == DAY_TYPES[1])
    assert pmf_after(search.updates, prior, 1, first.day) is first.hours
    before = pmf_after(search.updates, prior, 1, date(2016, 2, 1))
    np.testing.assert_array_equal(before, prior.hours[1])


def test_prior_learned_and_own_starts_are_what_they_say() -> None:
    search = usual()
    axes = prior_and_learned(search, origin=TWIN).axes
    for kind, ax in enumerate(axes):
        of_type = search.history.day_types == kind
        starts = search.history.starts[of_type].sum(axis=0)
        np.testing.assert_allclose(stairs_of(ax, "own starts").values, starts / starts.sum())
        np.testing.assert_array_equal(
            stairs_of(ax, "prior: learned").values, learned("dishwasher").hours[kind]
        )
        last = [u for u in search.updates if u.day_type == DAY_TYPES[kind]][-1]
        np.testing.assert_array_equal(stairs_of(ax, "learned (best cell)").values, last.hours)
        assert f"{starts.sum():.0f} own starts" in ax.get_title(loc="left")


@pytest.mark.parametrize("kind", range(2))
def test_the_intervals_hold_the_posterior_mean_and_narrow_with_the_days(kind: int) -> None:
    width = []
    for n_days in (60, 400):
        search = found(drawn(n_days, 1), prior="uniform")
        ax = prior_and_learned(search, origin=TWIN).axes[kind]
        low, high = np.array([line[:, 1] for line in ax.collections[0].get_segments()]).T
        starts = search.history.starts[search.history.day_types == kind].sum(axis=0)
        mean = (12.0 * UNIFORM + starts) / (12.0 + starts.sum())
        assert np.all((low < mean) & (mean < high))
        width.append(high - low)
    assert np.mean(width[1]) < 0.6 * np.mean(width[0])
    assert LEVEL == 0.9


def test_starts_that_the_ems_shifted_are_not_peoples_own() -> None:
    history = drawn(90, 1)
    shifted = history.with_shifted(np.arange(90) % 2 == 0)
    ax = prior_and_learned(found(shifted), origin=TWIN).axes[0]
    own = history.starts[1::2][history.day_types[1::2] == 0].sum(axis=0)
    np.testing.assert_allclose(stairs_of(ax, "own starts").values, own / own.sum())


def test_a_day_type_without_a_start_keeps_its_prior() -> None:
    ax = prior_and_learned(CASES["no start on weekends"](), origin=TWIN).axes[1]
    assert "0 own starts" in ax.get_title(loc="left")
    np.testing.assert_array_equal(
        stairs_of(ax, "learned (best cell)").values, learned("dishwasher").hours[1]
    )


def test_a_heat_pump_is_scored_by_day_and_shown_by_energy() -> None:
    search = CASES["a heat pump"]()
    assert "[bit per day]" in all_text(grid_map(search, origin=TWIN))
    assert "days in use" in all_text(prior_and_learned(search, origin=TWIN))
    assert "[bit per start]" in all_text(grid_map(usual(), origin=REAL))
