"""What of the possible was captured, on figures made by hand."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta

import numpy as np
import pytest

from ems.core.mode import Mode
from ems.economics.settlement import DayKpis
from ems.pipelines.captured import Captured, captured, error_costs, ignorance, many_told
from ems.pipelines.comparison import DayResult

FIRST = date(2016, 3, 1)


def result(mode: Mode, day: int, bill_eur: float, **kpis: float) -> DayResult:
    values = {field.name: 0.0 for field in fields(DayKpis)}
    values |= {"days": 1.0, "bill_eur": bill_eur, **kpis}
    when = FIRST + timedelta(days=day)
    return DayResult(building="house", day=when, mode=mode, kpis=DayKpis(**values))


def days(**bills_eur: list[float]) -> list[DayResult]:
    return [
        result(mode, day, eur)  # type: ignore[arg-type]
        for mode, bills in bills_eur.items()
        for day, eur in enumerate(bills)
    ]


def test_the_share_is_a_ratio_of_sums() -> None:
    rows = captured(
        days(
            as_metered=[5.0, 3.0],
            rule_based=[4.0, 3.0],
            centralized=[3.0, 2.5],
            centralized_perfect=[2.0, 2.0],
        )
    )
    by_baseline = {row.baseline: row for row in rows}
    assert by_baseline["as_metered"].share == pytest.approx(2.5 / 4.0)
    assert by_baseline["rule_based"].share == pytest.approx(1.5 / 3.0)
    assert by_baseline["rule_based"].saved_eur == pytest.approx(1.5)
    assert by_baseline["rule_based"].possible_eur == pytest.approx(3.0)


def test_bill_and_wear_are_compared_with_the_stores_put_back() -> None:
    results = days(as_metered=[5.0], rule_based=[5.0], centralized_perfect=[3.0])
    ours = result("centralized", 0, 4.0, stored_eur=0.5, wear_eur=0.2)
    rows = captured([*results, ours])
    assert rows[0].saved_eur == pytest.approx(5.0 - (4.0 + 0.2 - 0.5))


def test_days_may_come_in_any_order() -> None:
    results = days(
        as_metered=[5.0, 1.0],
        rule_based=[4.0, 1.0],
        centralized=[3.0, 1.0],
        centralized_perfect=[2.0, 1.0],
    )
    assert captured(results) == captured(results[::-1])


def test_nothing_possible_has_no_share() -> None:
    rows = captured(
        days(as_metered=[5.0], rule_based=[3.001], centralized=[3.2], centralized_perfect=[3.0])
    )
    assert rows[1].share is None
    assert rows[1].low is None
    assert rows[0].share == pytest.approx(0.9)


@pytest.mark.parametrize(("n_days", "has"), [(6, False), (7, True)])
def test_few_days_have_no_interval(n_days: int, has: bool) -> None:
    costs = np.linspace(1.0, 2.0, n_days)
    rows = captured(
        days(
            as_metered=(costs + 4.0).tolist(),
            rule_based=(costs + 2.0).tolist(),
            centralized=(1.5 * costs).tolist(),
            centralized_perfect=costs.tolist(),
        )
    )
    assert all(row.share is not None for row in rows)
    assert all((row.low is not None, row.high is not None) == (has, has) for row in rows)
    assert all((row.saved_low_eur is not None) == has for row in rows)


def test_without_a_perfect_plan_there_is_no_share() -> None:
    assert captured(days(as_metered=[5.0], rule_based=[4.0], centralized=[3.0])) == ()


def test_what_not_knowing_cost_is_told_apart() -> None:
    rows = ignorance(
        days(
            as_metered=[9.0],
            rule_based=[9.0],
            centralized=[6.0],
            pv_unknown=[4.0],
            load_unknown=[3.5],
            price_unknown=[3.0],
            devices_unknown=[3.25],
            centralized_perfect=[3.0],
        ),
        "centralized",
    )
    assert rows[0].single_eur == pytest.approx(
        {"pv_unknown": 1.0, "load_unknown": 0.5, "price_unknown": 0.0, "devices_unknown": 0.25}
    )
    assert rows[0].together_eur == pytest.approx(3.0)
    assert rows[0].rest_eur == pytest.approx(1.25)


# --- what errors cost -----------------------------------------------------------------------------

SUN_KWH = [2.0, 0.0, 5.0, 1.0, 3.0, 8.0, 4.0]
LOAD_KWH = [1.0, 2.0, 0.0, 1.0, 0.5, 0.0, 2.5]


def with_errors(
    results: list[DayResult], mode: Mode, pv_kwh: list[float], load_kwh: list[float]
) -> list[DayResult]:
    """The days of ``mode`` with errors, in order, and those of all others as they are."""
    errors = iter(zip(pv_kwh, load_kwh, strict=True))
    changed = []
    for one in results:
        if one.mode == mode:
            pv, load = next(errors)
            one = replace(one, kpis=replace(one.kpis, pv_error_kwh=pv, load_error_kwh=load))
        changed.append(one)
    return changed


def ten_cents_a_kwh() -> list[DayResult]:
    """Seven days on which every kWh of error costs 0.10 € above the perfect plan."""
    n = len(SUN_KWH)
    perfect = np.linspace(1.0, 4.0, n)
    both = np.add(SUN_KWH, LOAD_KWH)
    made = days(
        as_metered=[9.0] * n,
        rule_based=[8.0] * n,
        centralized=(perfect + 0.1 * both).tolist(),
        pv_unknown=(perfect + 0.1 * np.array(SUN_KWH)).tolist(),
        price_unknown=(perfect + 0.2).tolist(),
        centralized_perfect=perfect.tolist(),
    )
    made = with_errors(made, "centralized", SUN_KWH, LOAD_KWH)
    return with_errors(made, "pv_unknown", SUN_KWH, [0.0] * n)


def test_errors_that_cost_ten_cents_a_kwh_are_told_so() -> None:
    rows = {row.mode: row for row in error_costs(ten_cents_a_kwh())}
    assert list(rows) == ["centralized", "pv_unknown"]  # of the price there are no kWh
    for row in rows.values():
        figures = [row.eur_per_kwh, row.low, row.high, row.rank_correlation]
        assert figures == pytest.approx([0.1, 0.1, 0.1, 1.0])
        assert row.days == tuple(FIRST + timedelta(days=i) for i in range(7))
        assert row.above_eur == pytest.approx(0.1 * row.error_kwh)
    assert rows["centralized"].pv_error_kwh.tolist() == SUN_KWH
    assert rows["centralized"].load_error_kwh.tolist() == LOAD_KWH
    assert rows["pv_unknown"].error_kwh.tolist() == SUN_KWH


def test_the_cost_of_an_error_is_a_ratio_of_sums_with_the_stores_put_back() -> None:
    made = days(as_metered=[9.0] * 2, rule_based=[9.0] * 2, centralized_perfect=[3.0] * 2)
    made += [
        result("centralized", 0, 4.0, stored_eur=0.7),
        result("centralized", 1, 4.5, stored_eur=-0.7),
    ]
    (row,) = error_costs(with_errors(made, "centralized", [4.0, 1.0], [0.0, 0.0]))
    assert row.eur_per_kwh == pytest.approx((1.0 + 1.5) / 5.0)
    assert row.above_eur == pytest.approx([1.0 - 0.7, 1.5 + 0.7])


def test_without_a_perfect_plan_no_error_has_a_cost() -> None:
    made = [one for one in ten_cents_a_kwh() if one.mode != "centralized_perfect"]
    assert error_costs(made) == ()


@pytest.mark.parametrize(("n_days", "has"), [(6, False), (7, True)])
def test_the_cost_of_errors_on_few_days_has_no_interval(n_days: int, has: bool) -> None:
    last = FIRST + timedelta(days=n_days)
    for row in error_costs([one for one in ten_cents_a_kwh() if one.day < last]):
        assert row.eur_per_kwh == pytest.approx(0.1)
        told = (row.low, row.high, row.rank_correlation)
        assert [each is not None for each in told] == [has] * 3


def test_errors_that_are_alike_on_all_days_have_no_rank() -> None:
    made = with_errors(ten_cents_a_kwh(), "centralized", [3.0] * 7, [0.0] * 7)
    row = error_costs(made)[0]
    assert row.rank_correlation is None
    assert row.eur_per_kwh == pytest.approx(0.1 * (sum(SUN_KWH) + sum(LOAD_KWH)) / 21.0)
    assert row.low is not None


def test_more_error_that_costs_less_has_a_negative_rank() -> None:
    """By hand: 1 − 6 Σ d² / (n (n² − 1)) with the ranks the other way round but for two days."""
    made = days(centralized=[6.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0], centralized_perfect=[0.0] * 7)
    errors_kwh = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    (row,) = error_costs(with_errors(made, "centralized", errors_kwh, [0.0] * 7))
    assert row.rank_correlation == pytest.approx(1 - 6 * (25 + 25 + 4 + 0 + 4 + 16 + 36) / 336)


def test_where_everything_came_as_expected_no_error_has_a_cost() -> None:
    made = with_errors(ten_cents_a_kwh(), "centralized", [1e-9] * 7, [0.0] * 7)
    assert [row.mode for row in error_costs(made)] == ["pv_unknown"]


def test_many_intervals_are_said_to_be_many() -> None:
    """Four tables' rows: two apart from zero by themselves, one of them among all four."""

    def row(mode: Mode, low: float, high: float, chance: float | None) -> Captured:
        return Captured(
            building="home",
            mode=mode,
            baseline="rule_based",
            saved_eur=(low + high) / 2,
            possible_eur=1.0,
            share=None,
            low=None,
            high=None,
            saved_low_eur=low,
            saved_high_eur=high,
            p_value=chance,
        )

    rows = [
        row("centralized", 0.5, 2.0, 0.002),
        row("decentralized", -2.0, -0.1, 0.03),
        row("centralized_phases", -1.0, 1.0, 0.9),
        row("centralized", -1.0, 2.0, 0.4),
    ]
    told = many_told(rows)
    assert told is not None
    assert told.startswith("4 intervals of savings are shown: 2 exclude zero, where 0.2 would by")
    assert told.endswith("(Holm), 1 can be told from zero")
    assert many_told(rows[:1]) is None
