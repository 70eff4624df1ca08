"""What a home believes that the pool will pay, from nothing but what it has paid."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from forecast.made_series import series
from pipelines.test_community import homes, spec

from ems.errors import DataError
from ems.forecast.price import PriceForecast
from ems.pipelines.community import common_window, run_community
from ems.pipelines.pool_price import pool_scores, pool_series


def test_the_series_is_what_the_pool_paid_with_gaps_left_open() -> None:
    window = common_window(homes(), date(2016, 6, 1), 1)
    later = common_window(homes(), date(2016, 6, 3), 1)
    first, last = (next(iter(run_community(homes(), spec(), one))) for one in (window, later))
    found = pool_series([first, last], "together", homes()[0])
    assert len(found) == 72
    np.testing.assert_allclose(
        found.values[:24], 1000.0 * first.accounts["together"].shared_eur_per_kwh
    )
    assert np.isnan(found.values[24:48]).all()
    assert np.isfinite(found.values[48:]).all()


def pool(n_days: int = 60):  # type: ignore[no-untyped-def]
    """Cheap at noon, dear in the evening, each day a little other, and no weekly rhythm."""
    made = series(n_days, first="2016-05-01")
    hour = np.arange(len(made)) % 24
    level = np.repeat(np.random.default_rng(0).normal(0.0, 20.0, n_days), 24)
    return replace(made, values=150.0 - 40.0 * (hour == 10) + level)


def test_it_is_held_against_the_week_before() -> None:
    persistence, learned = pool_scores(pool())
    assert persistence.overall.skill == pytest.approx(0.0)
    assert learned.overall.skill > 0.2
    assert learned.overall.n == persistence.overall.n


def test_nothing_of_the_pool_is_known_ahead() -> None:
    """Other prices from the origin on change no forecast from it; of a published price they do."""
    known = pool()
    origin = 40 * 24
    other = replace(known, values=np.where(np.arange(len(known)) < origin, known.values, 900.0))
    for published in (False, True):
        model = PriceForecast(published=published).fit(known, origin)
        here, there = (
            model.forecast(each, np.array([origin]), 48).values for each in (known, other)
        )
        assert np.array_equal(here, there) is not published


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(DataError, match=r"10.0 days of known values, 28 are needed"):
        pool_scores(pool(10))
