"""Scores by hand, proper scores, no look ahead, intervals that hold what they promise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning.made_habits import (
    EVENING,
    MONDAY,
    drawn,
    history_of,
    meters,
    one_start,
)

from ems.errors import DataError, InvalidSpec
from ems.learning.habit import Habit, PmfUpdate
from ems.learning.pmf import UNIFORM, hour_distance_h, normalise, smooth
from ems.learning.priors import uniform
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.rate import LearningRate
from ems.learning.rivals import DirichletModel, FixedModel, standard_models
from ems.learning.scores import (
    SiteForecasts,
    check_blind,
    contest,
    days_to_half,
    gain,
    learning_score,
    log_loss_bits,
    mean_with_interval,
    prequential,
    reliability,
    score,
    use_score,
)
from ems.learning.usage import DayUse, UseHistory, use_histories
from ems.site.calendar import day_type_index
from ems.site.place import KONSTANZ
from ems.store.ingest.opsd import read_opsd
from ems.store.quality import judge
from ems.types import Floats


def forecasts(hours: Floats, starts: Floats, use: Floats | None = None) -> SiteForecasts:
    n = len(hours)
    return SiteForecasts(
        who="home dishwasher",
        days=MONDAY + np.arange(n),
        day_types=np.zeros(n, dtype=np.int64),
        hours=hours,
        use_probability=np.full(n, 0.5) if use is None else use,
        mean_starts=np.ones(n),
        starts=starts,
        used=starts.sum(axis=1) > 0.0,
        updates=(),
    )


def agent(**rate: float) -> ProbabilityModelAgent:
    return ProbabilityModelAgent(
        device="dishwasher", place=KONSTANZ, prior=uniform(), rate=LearningRate(**rate)
    )


def counts() -> DirichletModel:
    return DirichletModel(device="dishwasher", place=KONSTANZ, prior=uniform())


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_scores_by_hand() -> None:
    half = 0.5 * (np.eye(24)[7] + np.eye(24)[9])
    said = forecasts(np.stack([half, UNIFORM]), np.stack([2 * np.eye(24)[7], np.eye(24)[3]]))
    np.testing.assert_allclose(said.log_loss_bits, [2.0, np.log2(24)])
    np.testing.assert_allclose(said.brier, [2 * (0.25 + 0.25), (23 / 24) ** 2 + 23 / 24**2])
    # E d = ½·2 h, ½ E d(X, X′) = ½·½·2 h; for the uniform one 6 h and 3 h
    np.testing.assert_allclose(said.crps_h, [2 * (1.0 - 0.5), 6.0 - 3.0])
    assert score(said, "log_loss_bits", seed=1).mean == pytest.approx((2.0 + np.log2(24)) / 3)


def test_a_sure_forecast_misses_by_the_distance_around_the_clock() -> None:
    said = forecasts(np.eye(24)[[23, 23, 6]], np.eye(24)[[1, 23, 18]])
    np.testing.assert_allclose(said.crps_h, [2.0, 0.0, 12.0])


def test_a_day_without_own_starts_costs_nothing() -> None:
    said = forecasts(np.eye(24)[[3]], np.zeros((1, 24)))
    assert (said.log_loss_bits[0], said.brier[0], said.crps_h[0]) == (0.0, 0.0, 0.0)


def test_used_today_by_hand() -> None:
    said = forecasts(np.tile(UNIFORM, (2, 1)), one_start(7, -1), use=np.array([0.25, 0.25]))
    np.testing.assert_allclose(said.use_log_loss_bits, [2.0, -np.log2(0.75)])
    np.testing.assert_allclose(said.use_brier, [0.75**2, 0.25**2])


@given(st.integers(0, 2**32 - 1))
def test_the_scores_are_proper(seed: int) -> None:
    """No forecast has a better expected score than the truth."""
    rng = np.random.default_rng(seed)
    truth, other = rng.dirichlet(np.full(24, 0.5), 2)
    other = 0.99 * other + 0.01 * UNIFORM
    truth = 0.99 * truth + 0.01 * UNIFORM
    for name in ("log_loss_bits", "brier", "crps_h"):
        expected = [
            np.sum(truth * getattr(forecasts(np.tile(p, (24, 1)), np.eye(24)), name))
            for p in (truth, other)
        ]
        assert expected[0] <= expected[1] + 1e-12, name


def test_probability_zero_for_what_happened_is_infinitely_bad_and_said_so() -> None:
    assert np.isinf(log_loss_bits(np.eye(24)[3], np.eye(24)[4]))
    with pytest.raises(DataError, match="infinite on 1 days"):
        score(forecasts(np.eye(24)[[3, 3]], np.eye(24)[[3, 4]]), "log_loss_bits", seed=0)


# --- one day ahead --------------------------------------------------------------------------------


class Diary:
    """Writes down in which order it is asked and told."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, date]] = []

    def predict(self, day: date) -> Habit:
        self.pages.append(("predict", day))
        return FixedModel(device="x", place=KONSTANZ, prior=uniform()).predict(day)

    def train(self, runs: Iterable[DayUse]) -> tuple[PmfUpdate, ...]:
        return tuple(step for day in runs if (step := self.update(day)) is not None)

    def update(self, day: DayUse) -> PmfUpdate | None:
        self.pages.append(("update", day.day))
        return None


def test_each_day_is_predicted_before_it_is_learned() -> None:
    diary, history = Diary(), drawn(6, 1)
    said = prequential(diary, history, n_train=2)
    days = [day.item() for day in history.days]
    assert diary.pages == [
        *[("update", day) for day in days[:2]],
        *[(what, day) for day in days[2:] for what in ("predict", "update")],
    ]
    assert said.days.tolist() == days[2:]


class Prophet:
    """Knows the whole history and predicts what will happen."""

    def __init__(self, history: UseHistory, lead_days: int = 0) -> None:
        self.history, self.lead_days = history, lead_days

    def predict(self, day: date) -> Habit:
        at = int(np.searchsorted(self.history.days, np.datetime64(day))) + self.lead_days
        seen = self.history.starts[min(max(at, 0), len(self.history) - 1)]
        return Habit(
            day=day,
            day_type="working_day",
            hours=normalise(seen + 0.01),
            use_probability=0.5,
            mean_starts=1.0,
        )

    def train(self, runs: Iterable[DayUse]) -> tuple[PmfUpdate, ...]:
        return ()

    def update(self, day: DayUse) -> PmfUpdate | None:
        return None


@pytest.mark.smoke
def test_a_model_that_has_seen_the_day_scores_well_and_is_caught() -> None:
    history = drawn(80, 1)
    assert score(prequential(Prophet(history), history), "log_loss_bits", seed=0).mean < 1.0
    with pytest.raises(DataError, match="the model has seen the day it predicts"):
        check_blind(Prophet, history)


def test_a_prior_fitted_on_the_whole_history_is_caught() -> None:
    def fitted(history: UseHistory) -> FixedModel:
        seen = smooth(history.starts.sum(axis=0) + 1.0, 1.0)
        flat = uniform()
        prior = type(flat)(
            name="fitted",
            hours=normalise(np.tile(seen, (2, 1))),
            use_probability=flat.use_probability,
            mean_starts=flat.mean_starts,
        )
        return FixedModel(device="dishwasher", place=KONSTANZ, prior=prior)

    with pytest.raises(DataError, match="has seen the day"):
        check_blind(fitted, drawn(80, 1))


def test_a_model_that_only_knows_earlier_days_passes() -> None:
    check_blind(lambda h: Prophet(h, -1), drawn(80, 1))


@pytest.mark.parametrize("name", list(standard_models("dishwasher", KONSTANZ, [uniform()])))
def test_every_model_of_ours_passes(name: str) -> None:
    check_blind(lambda _: standard_models("dishwasher", KONSTANZ, [uniform()])[name], drawn(80, 1))


def test_too_few_days_say_how_many_there_are_and_are_needed() -> None:
    with pytest.raises(DataError, match=re.escape("home dishwasher: 20 known days (0 unknown)")):
        prequential(agent(), drawn(20, 1))
    with pytest.raises(DataError, match="needed are 30 to train and at least one"):
        prequential(agent(), drawn(30, 1), n_train=30)
    with pytest.raises(InvalidSpec, match="n_train = -1"):
        prequential(agent(), drawn(30, 1), n_train=-1)


def test_a_window_without_a_single_use_says_so() -> None:
    unused = history_of(np.concatenate([one_start(*[7] * 28), np.zeros((10, 24))]))
    with pytest.raises(DataError, match="not a single own start on the 10 days from 2016-02-29"):
        prequential(agent(), unused)


# --- intervals ------------------------------------------------------------------------------------


def test_nothing_to_average() -> None:
    with pytest.raises(DataError, match="no day has a weight"):
        mean_with_interval(np.zeros(3), np.zeros(3), seed=0)


# --- comparisons ----------------------------------------------------------------------------------


def test_a_contest_scores_all_on_the_same_days_and_finds_the_gain() -> None:
    history = drawn(400, 2)
    found = contest(standard_models("dishwasher", KONSTANZ, [uniform()]), history)
    assert {row.n_days for row in found.values()} == {400 - 28}
    assert len({row.n_starts for row in found.values()}) == 1
    assert found["uniform"].log_loss_bits.mean == pytest.approx(np.log2(24))
    for name, row in found.items():
        won = found["uniform"].log_loss_bits.mean - row.log_loss_bits.mean
        assert row.gain_bits["uniform"].mean == pytest.approx(won)
        if name != "uniform":
            assert row.gain_bits["uniform"].low > 0.3, name
    same = found["all_history"].gain_bits["all_history"]
    assert (same.low, same.mean, same.high) == (0.0, 0.0, 0.0)


def test_contests_need_their_references_and_the_same_days() -> None:
    history = drawn(60, 2)
    with pytest.raises(InvalidSpec, match=r"references \['prior'\] are no models"):
        contest(standard_models("dishwasher", KONSTANZ, [uniform()]), history, references=["prior"])
    one = prequential(agent(), history)
    other = prequential(agent(), history, n_train=40)
    with pytest.raises(InvalidSpec, match="score both models on the same history"):
        gain(one, other, "log_loss_bits", seed=0)


def test_calibration_of_used_today() -> None:
    history = drawn(2000, 3, use=0.7)
    said = prequential(agent(), history)
    bins = reliability(said)
    assert sum(part.n_days for part in bins) == len(said.days)
    (main,) = [part for part in bins if part.low <= 0.7 < part.high]
    assert main.observed_share == pytest.approx(main.mean_predicted, abs=0.04)
    entropy = -(0.7 * np.log2(0.7) + 0.3 * np.log2(0.3))
    assert use_score(said, "use_log_loss_bits", seed=0).mean == pytest.approx(entropy, abs=0.04)
    assert use_score(said, "use_brier", seed=0).mean == pytest.approx(0.21, abs=0.02)


def test_a_sure_prediction_of_use_falls_into_the_last_bin() -> None:
    said = forecasts(np.tile(UNIFORM, (2, 1)), one_start(7, 7), use=np.array([1.0, 0.0]))
    assert [(part.low, part.n_days) for part in reliability(said)] == [(0.0, 1), (0.9, 1)]


def test_the_learning_score_is_what_the_steps_say() -> None:
    updates = agent().train(drawn(200, 1))
    found = learning_score(updates)
    last = {step.day_type: step for step in updates}
    of_type = {name: sum(s.day_type == name for s in updates) for name in last}
    js = sum(last[name].js_to_prior * n for name, n in of_type.items()) / len(updates)
    assert found.js_to_prior == pytest.approx(js)
    assert found.score == pytest.approx(js - 0.5 * np.mean([s.js_step for s in updates]))
    assert found.n_updates == len(updates)
    with pytest.raises(DataError, match="no update"):
        learning_score(())


def test_the_learning_score_prefers_movement_and_the_log_loss_foresight() -> None:
    """Why both are reported: a nervous model far from the prior predicts worse."""
    history = drawn(600, 1)
    calm, nervous = agent(lr_tau=30.0), agent(lr_min=0.3, lr_max=0.3, uniform_share=0.02)
    said = {model: prequential(model, history) for model in (calm, nervous)}
    assert learning_score(said[nervous].updates).js_to_prior > 1.3 * (
        learning_score(said[calm].updates).js_to_prior
    )
    assert gain(said[calm], said[nervous], "log_loss_bits", seed=0).low > 0.3


# --- where the truth is known ---------------------------------------------------------------------


def test_half_of_a_change_under_a_constant_rate_takes_its_half_life() -> None:
    """(1 − α)ⁿ = ½; every day has the same L, so the way is straight."""
    hours = [7] * 700 + [19] * 200
    history = history_of(one_start(*hours))
    change = history.days[700].item()
    said = prequential(agent(lr_min=0.02, lr_max=0.02, uniform_share=0.0), history)
    updates = np.log(0.5) / np.log(0.98)  # 34.3
    found = days_to_half(said, change, np.eye(24)[19])
    days = history.days[700 : 700 + int(found) + 1].astype(object)
    kinds = [day_type_index(day, KONSTANZ) for day in days]
    assert kinds.count(0) - 1 == np.ceil(updates)


def test_what_never_follows_takes_forever_and_bad_changes_are_refused() -> None:
    history = drawn(100, 1)
    said = prequential(FixedModel(device="x", place=KONSTANZ, prior=uniform()), history)
    change = history.days[60].item()
    assert days_to_half(said, change, EVENING) == np.inf
    with pytest.raises(InvalidSpec, match="is the new PMF already"):
        days_to_half(said, change, UNIFORM)
    with pytest.raises(DataError, match="no scored working_day before"):
        days_to_half(said, history.days[3].item(), EVENING)


@pytest.mark.real_data
def test_on_real_meters_learning_beats_the_uniform_prior_but_not_counting(
    shared_data: Path,
) -> None:
    path = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    (home,) = [b for b in read_opsd(path).buildings if b.building == "DE_KN_residential2"]
    codes = judge(home).codes
    machine = next(feed for feed in home.feeds if feed.name == "washing_machine")
    energy = np.where(codes[machine.name] == 0, home.energy_kwh[machine.name], np.nan)
    history = use_histories(
        meters({machine.name: (machine.category, energy)}, first_utc=str(home.ts_utc[0]))
    )[machine.name]
    found = contest(standard_models("washing_machine", KONSTANZ, [uniform()]), history)[
        "rate:uniform"
    ]
    assert len(history) == 972
    assert found.n_starts == 533
    assert found.gain_bits["uniform"].low > 1.0
    assert abs(found.gain_bits["all_history"].mean) < 0.1
    assert float(hour_distance_h().mean()) / 2 - found.crps_h.mean > 1.0
