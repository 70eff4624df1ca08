"""Days of one building: which are shown, and savings that add up."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.figures.made import results

from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, PLANNED, summarise
from ems.types import Days


def test_days_that_a_mode_lacks_are_left_out_for_all() -> None:
    made = results(5)
    cut = [r for r in made if not (r.mode == "centralized" and r.day.day == 4)]
    days = Days.of(cut)
    assert [day.day for day in days.days] == [1, 2, 3, 5]
    assert {len(kpis) for kpis in days.kpis.values()} == {4}
    assert len(days.span) == 5
    assert np.isnan(days.on_span([1.0, 2.0, 3.0, 4.0])[3])


def test_the_order_of_the_results_does_not_matter() -> None:
    made = results(4)
    assert Days.of(made[::-1]).kpis == Days.of(made).kpis


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "0 buildings"),
        ([*results(1, building="a"), *results(1, building="b")], r"2 buildings \(a, b\)"),
        (results(3, modes=PLANNED), "baseline as_metered"),
        (results(3, modes=("as_metered", *PLANNED)), "baseline rule_based"),
        (
            [*results(1, modes=BASELINES), *results(1, modes=PLANNED, first=date(2017, 1, 1))],
            "no day has results of every mode",
        ),
    ],
)
def test_results_that_cannot_be_compared_are_refused(made: list, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidSpec, match=message):
        Days.of(made)


@given(n_days=st.integers(1, 40), first=st.dates(date(2015, 1, 1), date(2020, 1, 1)))
def test_savings_so_far_end_at_those_of_the_summary(n_days: int, first: date) -> None:
    made = results(n_days, first=first)
    days = Days.of(made)
    for summary in summarise(made):
        assert days.so_far(summary.mode)[-1].cost_eur == pytest.approx(summary.kpis.cost_eur)
        for baseline, saving in summary.against.items():
            so_far = days.saved_so_far_eur(summary.mode, baseline)
            assert so_far[-1] == pytest.approx(saving.savings_eur, abs=1e-9)
