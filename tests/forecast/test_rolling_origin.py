"""Scores worked out by hand, and that nothing is scored by a model that has learned from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import pytest
from forecast.made_series import series, step_at, with_values

from ems.errors import DataError, InvalidSpec
from ems.forecast.rolling_origin import (
    REFIT_DAYS,
    first_origin,
    origins_every,
    pinball_loss,
    rolling_forecast,
    rolling_scores,
    score,
    truth_of,
)
from ems.forecast.series import LEVELS, Forecast, Series
from ems.types import Ints


@dataclass(frozen=True, kw_only=True)
class Says:
    """Says the same quantiles always, and notes when it learned and forecast."""

    needs_days: ClassVar[int] = 0
    quantiles: tuple[float, ...]
    notes: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    learned_at: int = -1

    @property
    def name(self) -> str:
        return f"says {self.quantiles[4]:g}"

    def fit(self, series: Series, until: int) -> Self:
        return type(self)(quantiles=self.quantiles, notes=self.notes, learned_at=until)

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        self.notes.append((self.learned_at, tuple(origins.tolist())))
        values = np.tile(np.array(self.quantiles)[None, :, None], (len(origins), 1, n_steps))
        return Forecast(who=series.who, unit="kW", model=self.name, origins=origins, values=values)


DECILES = Says(quantiles=tuple(float(level) for level in range(1, 10)))
ZERO = Says(quantiles=(0.0,) * 9)


def test_pinball_and_crps_by_hand() -> None:
    # quantiles 1 … 9, truth 6.5: τ·(6.5 − q) for 1 … 6 below it, (1 − τ)·(q − 6.5) for 7 … 9
    under = [0.1 * 5.5, 0.2 * 4.5, 0.3 * 3.5, 0.4 * 2.5, 0.5 * 1.5, 0.6 * 0.5]
    over = [0.3 * 0.5, 0.2 * 1.5, 0.1 * 2.5]
    quantiles = np.arange(1.0, 10.0)[None, :, None]
    loss = pinball_loss(quantiles, np.array([[6.5]]))
    np.testing.assert_allclose(loss[0, :, 0], under + over)
    made = with_values(series(2), np.full(48, 6.5))
    found = rolling_scores([DECILES], made, np.array([24]), 1)[0].overall
    assert found.crps == pytest.approx(2 * (0.55 + 0.9 + 1.05 + 1.0 + 0.75 + 0.3 + 0.7) / 9)
    assert found.pinball == pytest.approx(under + over)


def test_all_scores_by_hand() -> None:
    values = np.zeros(48)
    values[24:28] = [5.0, 0.5, 9.0, np.nan]  # medians 5: errors 0, +4.5, −4
    made = with_values(series(2), values)
    reference, found = rolling_scores([ZERO, DECILES], made, np.array([24]), 4)
    overall = found.overall
    assert (overall.n, overall.n_unknown) == (3, 1)
    assert overall.mae == pytest.approx(8.5 / 3)
    assert overall.bias == pytest.approx(0.5 / 3)
    assert reference.overall.mae == pytest.approx(14.5 / 3)
    assert overall.skill == pytest.approx(1.0 - 8.5 / 14.5)
    assert overall.coverage == pytest.approx(2 / 3)  # 9 lies on the edge, 0.5 below it
    assert overall.width == pytest.approx(8.0)
    assert reference.overall.skill == 0.0
    assert (found.model, found.who, found.unit) == ("says 5", "made load", "kW")


def test_leads_and_months_are_those_of_the_step_that_is_forecast() -> None:
    made = series(4, first="2016-02-28", noise=0.0)
    values = np.ones(len(made))
    values[step_at(made, "2016-03-01") :] = 3.0
    found = rolling_scores([ZERO], with_values(made, values), np.array([24]), 48)[0]
    assert list(found.by_month) == ["2016-02", "2016-03"]
    assert found.by_month["2016-02"].mae == 1.0
    assert found.by_month["2016-03"].mae == 3.0
    assert [lead.n for lead in found.by_lead.values()] == [6, 6, 12, 24]
    assert found.by_lead[24, 48].mae == 3.0
    assert sum(month.n for month in found.by_month.values()) == found.overall.n == 48


def test_the_month_is_local() -> None:
    made = series(4, first="2016-02-28")
    origin = step_at(made, "2016-03-01")
    assert str(made.ts_utc[origin])[:7] == "2016-02"
    assert list(rolling_scores([ZERO], made, np.array([origin]), 1)[0].by_month) == ["2016-03"]


def test_steps_that_do_not_count_are_neither_scored_nor_unknown() -> None:
    made = with_values(series(2), np.full(48, 2.0))
    left_out = np.zeros((1, 4), dtype=bool)
    left_out[0, 1:] = True
    found = rolling_scores([ZERO], made, np.array([24]), 4, left_out)[0].overall
    assert (found.n, found.n_unknown) == (1, 0)


def test_a_perfect_reference_leaves_no_skill_to_say() -> None:
    made = with_values(series(2), np.zeros(48))
    assert np.isnan(rolling_scores([ZERO], made, np.array([24]), 4)[0].overall.skill)


def test_nothing_known_is_an_error() -> None:
    made = with_values(series(2), np.full(48, np.nan))
    with pytest.raises(DataError, match="no truth is known"):
        rolling_scores([ZERO], made, np.array([24]), 4)
    with pytest.raises(DataError, match="no origin"):
        rolling_forecast(ZERO, made, np.array([], dtype=np.int64), 4)


def test_scores_against_a_reference_from_other_origins_are_refused() -> None:
    made = series(4)
    one, other = (rolling_forecast(ZERO, made, np.array([at]), 4) for at in (24, 25))
    with pytest.raises(InvalidSpec, match="has other origins"):
        score(one, other, made)


def test_a_model_learns_every_28_days_from_what_lies_before_its_origins() -> None:
    made, model = series(70), Says(quantiles=(1.0,) * 9)
    origins = np.arange(24, len(made) - 48, 24)
    found = rolling_forecast(model, made, origins, 48)
    np.testing.assert_array_equal(found.origins, origins)
    learned = [at for at, _ in model.notes]
    assert learned == [24 + k * REFIT_DAYS * 24 for k in range(len(learned))]
    assert len(learned) == 3
    for at, forecast_from in model.notes:
        assert at == forecast_from[0]
        assert forecast_from[-1] < at + REFIT_DAYS * 24
    assert [o for _, block in model.notes for o in block] == origins.tolist()


def test_after_a_hole_the_model_learns_at_the_next_origin() -> None:
    model = Says(quantiles=(1.0,) * 9)
    rolling_forecast(model, series(100), np.array([24, 48, 24 * 60, 24 * 61, 24 * 87]), 4)
    assert [at for at, _ in model.notes] == [24, 24 * 60]


def test_origins_are_the_local_hours_also_when_clocks_change() -> None:
    for made in (series(6, first="2016-03-25"), series(6, first="2016-10-28")):
        for every_h in (24, 6):
            origins = origins_every(made, every_h, first=30, n_steps=24)
            hours = np.asarray(made.local[origins].hour)
            assert set(hours) == set(range(0, 24, every_h))
            assert origins[0] >= 30
            assert origins[-1] + 24 <= len(made)
        days = origins_every(made, 24, first=0, n_steps=1)
        assert len(days) == 6
    with pytest.raises(InvalidSpec, match="must divide 24"):
        origins_every(made, 5, first=0, n_steps=24)


def test_the_first_origin_has_enough_known_before_it() -> None:
    made = series(10)
    values = made.values.copy()
    values[30:50] = np.nan
    assert first_origin(made, 2) == 48
    assert first_origin(with_values(made, values), 2) == 48 + 20
    with pytest.raises(DataError, match=r"9\.2 days of known values, 10 are needed"):
        first_origin(with_values(made, values), 10)


def test_truth_beyond_the_end_is_unknown() -> None:
    made = series(2)
    found = rolling_forecast(ZERO, made, np.array([46]), 4)
    np.testing.assert_array_equal(truth_of(found, made)[0, :2], made.values[46:])
    assert np.isnan(truth_of(found, made)[0, 2:]).all()


def test_a_calibrated_forecast_scores_as_theory_says() -> None:
    # uniform truth on [0, 1] and its own quantiles: pinball τ(1 − τ)/2, coverage 0.8
    made = series(900)
    uniform = with_values(made, np.random.default_rng(0).random(len(made)))
    model = Says(quantiles=tuple(LEVELS))
    found = rolling_scores([model], uniform, np.arange(24, len(made) - 24, 24), 24)[0].overall
    np.testing.assert_allclose(found.pinball, LEVELS * (1 - LEVELS) / 2, atol=0.003)
    assert found.coverage == pytest.approx(0.8, abs=0.01)
    assert found.width == pytest.approx(0.8)
