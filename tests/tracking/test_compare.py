"""Which way is better, what differs, what got worse: by hand, without a store."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.economics.settlement import DayKpis, Savings
from ems.errors import InvalidSpec
from ems.tracking.compare import (
    HIGHER_IS_BETTER,
    LOWER_IS_BETTER,
    Change,
    base_name,
    changes,
    different,
    direction,
    disagreements,
    is_timing,
    metric_named,
    regressions,
    required_direction,
)


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        ("total/savings_eur_vs_as_metered", "higher"),
        ("total/captured_share_vs_rule_based", "higher"),
        ("total/gain_bits_vs_uniform", "higher"),
        ("total/cost_eur", "lower"),
        ("log_loss_bits", "lower"),
        ("total/demand_kwh", None),
        ("total/starts", None),
    ],
)
def test_the_way_of_a_metric(metric: str, way: str | None) -> None:
    assert direction(metric) == way


def test_no_metric_has_two_ways_and_those_of_days_are_real_figures() -> None:
    assert not set(HIGHER_IS_BETTER) & set(LOWER_IS_BETTER)
    ours = {item.name for item in (*fields(DayKpis), *fields(Savings))}
    assert {base_name(f"total/{name}_vs_rule_based") for name in ours} == ours
    assert {name for name in ours if direction(name) is None} == {
        *("days", "export_kwh", "generation_kwh", "demand_kwh", "throughput_kwh", "full_cycles"),
        *("starts", "stored_change_kwh"),
    }


def test_a_metric_is_known_by_its_short_name() -> None:
    known = ["total/savings_eur_vs_as_metered", "total/savings_eur_vs_rule_based", "total/cost_eur"]
    assert metric_named("cost_eur", known) == "total/cost_eur"
    assert metric_named("savings_eur", known) == known[0]
    assert metric_named("total/savings_eur_vs_rule_based", known) == known[1]
    with pytest.raises(InvalidSpec, match="no run has a metric 'savings'; they have: total/savi"):
        metric_named("savings", known)
    with pytest.raises(InvalidSpec, match="they have: none"):
        metric_named("savings", [])
    with pytest.raises(InvalidSpec, match="neither more nor less is better"):
        required_direction("total/demand_kwh")


def test_parameters_that_differ() -> None:
    assert different({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4", "d": "5"}) == [
        ("b", "2", "4"),
        ("c", "3", None),
        ("d", None, "5"),
    ]


def test_what_got_worse_by_hand() -> None:
    cost, saving = "total/cost_eur", "total/savings_eur_vs_as_metered"
    same_way = {"total/demand_kwh": 5.0, "total/gap_eur": 0.0}
    before = {cost: 10.0, saving: 4.0, **same_way, "total/solver_s": 1.0, "total/closed_eur": 1.0}
    after = {cost: 10.2, saving: 3.0, "total/demand_kwh": 50.0, "total/gap_eur": 1e-9}
    after |= {"total/solver_s": 9.0, "day/cost_eur": 2.0}
    found = changes("x", {**before, "day/cost_eur": 1.0}, after)
    # without the timing, the day, and what only one has
    assert {c.metric for c in found} == {cost, saving, *same_way}
    (worse,) = regressions(found, 0.05)
    assert (worse.metric, worse.change, worse.relative) == (saving, -1.0, -0.25)
    assert {c.metric for c in regressions(found, 0.0)} == {saving, cost}
    assert regressions(changes("x", after, before), 0.0) == []
    assert Change(where="", metric="m", before=0.0, after=1.0).relative is None


def test_figures_that_disagree() -> None:
    then = {("m", 0): 1.0, ("m", 1): 2.0, ("only then", 0): 3.0, ("total/solver_s", 0): 1.0}
    now = {("m", 0): 1.0, ("m", 1): 2.000001, ("only now", 0): 3.0, ("total/solver_s", 0): 2.0}
    found = [(d.metric, d.step, d.then, d.now) for d in disagreements("x", then, now, 0.0)]
    assert found == [
        ("m", 1, 2.0, 2.000001),
        ("only now", 0, None, 3.0),
        ("only then", 0, 3.0, None),
    ]
    assert [d.metric for d in disagreements("x", then, now, 1e-6)] == ["only now", "only then"]
    assert is_timing("total/build_s")


numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
series = st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), numbers)


@given(series, series, st.floats(0, 1))
def test_disagreement_is_mutual_and_nothing_disagrees_with_itself(
    one: dict[tuple[str, int], float], other: dict[tuple[str, int], float], tolerance: float
) -> None:
    assert disagreements("", one, one, 0.0) == []
    there = [(d.metric, d.step, d.then, d.now) for d in disagreements("", one, other, tolerance)]
    back = [(d.metric, d.step, d.now, d.then) for d in disagreements("", other, one, tolerance)]
    assert there == back
