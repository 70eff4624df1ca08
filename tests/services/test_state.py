"""A node without limits is the pipeline; with one it keeps it, and says what that costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from services.made_nodes import NAMES, site

from ems.errors import Infeasible, InvalidSpec
from ems.pipelines.comparison import run_mode
from ems.services.state import (
    Envelope,
    NodeState,
    begin,
    heard,
    in_scenario,
    limit,
    offer,
    revoke,
    simulate,
    stands_still_kw,
)


def flat(state: NodeState, kw: float, hours: int, *, name: str = "a", **more: float) -> Envelope:
    return Envelope(
        curtailment_id=name,
        from_utc=state.now_utc,
        ends_s=np.array([hours * 3600.0]),
        max_import_kw=np.array([kw]),
        max_export_kw=np.array([np.inf]),
        failsafe_after_s=more.get("failsafe_after_s", 1e9),
    )


@pytest.mark.parametrize("name", NAMES)
def test_bills_without_a_limit_are_those_of_the_pipeline(name: str) -> None:
    here = site(name)
    days = run_mode(here.building, here.spec, here.window, "centralized", here.values)
    end = simulate(begin(here), 48)
    assert end.is_over
    assert end.days is not None
    assert end.days.bill_eur == pytest.approx(sum(day.kpis.bill_eur for day in days), abs=1e-9)
    assert end.days.days == 2


def test_a_limit_is_kept_costs_and_ends() -> None:
    free = simulate(begin(site("home_1")), 1)
    peak_kw = free.expected_kw[:6].max()
    assert peak_kw > 4.0
    kept = limit(free, flat(free, 3.0, 6))
    assert kept.expected_kw[:6].max() <= 3.0 + 1e-5
    assert kept.cost_of_limits_eur > 0.0
    later = simulate(kept, 6)
    assert later.envelopes == ()
    assert not np.isfinite(later.limits_now_kw[0]).any()
    end = simulate(later, 41)
    assert end.days is not None
    assert np.isfinite(end.days.bill_eur)


def test_the_same_limit_twice_is_one_and_a_revoked_one_is_none() -> None:
    free = begin(site("battery_1"))
    once = limit(free, flat(free, 1.0, 5))
    assert limit(once, flat(free, 1.0, 5)) is once
    back = revoke(once, "a")
    assert back.envelopes == ()
    np.testing.assert_allclose(back.expected_kw, free.expected_kw, atol=1e-6)
    assert revoke(back, "a") is back


def test_no_limit_goes_below_the_floor_of_the_law() -> None:
    state = begin(site("home_1"))
    with pytest.raises(InvalidSpec, match=r"allowed is at least 2\.400"):
        limit(state, flat(state, 2.3, 3))
    assert limit(state, flat(state, 2.5, 3)).envelopes


def test_a_limit_that_has_ended_is_refused() -> None:
    state = begin(site("home_1"))
    old = flat(state, 3.0, 1)
    with pytest.raises(InvalidSpec, match="ended"):
        limit(simulate(state, 2), old)


def test_what_cannot_be_kept_names_the_rule() -> None:
    state = begin(replace(site("home_2"), floor_kw=-10.0))
    with pytest.raises(Infeasible, match="import_limit") as error:
        limit(simulate(state, 40), flat(simulate(state, 40), 0.0, 24))
    assert error.value.shortfalls


def test_offers_begin_with_the_plan_and_cost_more_the_lower_they_are() -> None:
    state = begin(site("battery_1"))
    found = offer(state, 24, 6, "import")
    np.testing.assert_allclose(found.levels_kw[0], state.expected_kw[:24], atol=1e-6)
    assert found.costs_eur[0] == 0.0
    assert (np.diff(found.costs_eur) > -1e-6).all()
    assert (np.diff(found.levels_kw.max(axis=1)) < 0.0).all()
    assert found.levels_kw[-1].max() == pytest.approx(0.0, abs=1e-4)
    assert found.convex


def test_an_offered_level_can_be_kept_at_its_cost() -> None:
    state = begin(site("home_1"))
    found = offer(state, 24, 4, "import")
    for level, cost_eur in zip(found.levels_kw[1:], found.costs_eur[1:], strict=True):
        kept = limit(state, flat(state, float(level.max()) + 1e-5, 24))
        assert kept.cost_of_limits_eur == pytest.approx(cost_eur, abs=1e-4)


def test_the_surplus_of_a_roof_is_offered_too() -> None:
    state = begin(site("home_1"))
    found = offer(state, 24, 3, "export")
    assert found.levels_kw[0].min() < -0.5
    assert found.levels_kw[-1].min() == pytest.approx(0.0, abs=1e-4)
    assert found.costs_eur[-1] > 0.0


def test_a_home_with_a_machine_offers_levels_that_cannot_be_mixed() -> None:
    assert not offer(begin(site("home_2")), 24, 2, "import").convex


def test_a_silent_grid_ends_the_limit_and_the_failsafe_holds_until_it_speaks() -> None:
    state = begin(replace(site("home_1"), failsafe_kw=3.0))
    kept = limit(heard(state), flat(state, 4.0, 12, failsafe_after_s=2 * 3600.0))
    alone = simulate(kept, 3)
    assert alone.failsafe
    assert alone.envelopes == ()
    assert alone.expected_kw.max() <= 3.0 + 1e-5
    assert not heard(alone).failsafe


@pytest.mark.parametrize(("scenario", "sign"), [("overload", 1.0), ("surplus", -1.0)])
def test_people_use_more_or_less_than_metered(scenario: str, sign: float) -> None:
    state = begin(site("battery_1"))
    wrong = in_scenario(begin(site("home_1")), scenario)  # type: ignore[arg-type]
    free = begin(site("home_1"))
    apart_kw = (wrong.expected_kw - free.expected_kw)[:6].sum()
    assert sign * apart_kw > 10.0
    assert simulate(wrong, 6).scenario == "normal"
    assert in_scenario(state, "normal") is state


@pytest.mark.parametrize("scenario", ["overload", "surplus"])
def test_what_people_use_is_never_refused(scenario: str) -> None:
    free = begin(site("home_1"))
    tight = flat(free, 2.41, 24)
    kept = limit(free, replace(tight, max_export_kw=np.array([0.0])))
    later = simulate(in_scenario(kept, scenario), 1)  # type: ignore[arg-type]
    assert later.sequence == kept.sequence + 1
    assert later.envelopes[0].gave_way_kw == 5.0
    assert later.envelopes[0].max_import_kw[0] == (7.41 if scenario == "overload" else 2.41)
    assert later.envelopes[0].max_export_kw[0] == (5.0 if scenario == "surplus" else 0.0)


def test_a_failsafe_limit_never_stops_the_clock() -> None:
    strict = replace(site("home_2"), failsafe_kw=0.0)
    free = begin(strict)
    limited = limit(free, flat(free, 6.0, 24, failsafe_after_s=3600.0))
    end = simulate(limited, 24)
    assert end.failsafe
    assert end.days is not None
    # Not below the fixed load and the floor of the law, 0.6 + 2 kW.
    assert end.limits_now_kw[0].min() == pytest.approx(2.6)


def test_a_stuck_meter_is_found_by_its_readings() -> None:
    free = begin(site("home_1"))
    moving = simulate(free, 4)
    assert [stands_still_kw(simulate(free, n)) for n in range(5)] == [None] * 5
    stuck = in_scenario(simulate(free, 1), "stuck_meter")
    found = [stands_still_kw(simulate(stuck, n)) for n in (1, 2)]
    # Its reading of hour 1 is repeated in hour 2, in which the battery draws 5 kW.
    assert found[0] is None
    assert found[1] == pytest.approx(moving.readings_kw[2][1] - moving.readings_kw[1][1])
    assert stands_still_kw(simulate(stuck, 8)) is None
