"""Pipeline B on a made house whose people wash at 19 h: habits are learned, priced and obeyed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from ems.economics.tariff_file import load_tariff
from ems.errors import DataError, InvalidSpec
from ems.pipelines.integrated import (
    FrontierPoint,
    HabitDay,
    Integrated,
    frontier_point,
    knee,
    trained_models,
)
from ems.pipelines.spec import COST_ONLY, HABIT_ONLY, ComparisonSpec, IntegratedSpec
from ems.site.assets import Assets
from ems.site.building import Building
from ems.site.meters import Feed, MeterData
from ems.site.place import KONSTANZ

N_DAYS = 40
EVENING = 19
SUNNY = slice(10, 15)


def made_house(start_hours: list[int] | None = None) -> MeterData:
    """A house in winter time: base load 0.3 kW, sun from 10 to 15 h, a dishwasher of two hours."""
    n = 24 * N_DAYS
    ts_utc = np.datetime64("2016-01-03T23:00:00", "s") + np.arange(n) * np.timedelta64(3600, "s")
    dishwasher, pv = np.zeros(n), np.zeros(n)
    for day, hour in enumerate(start_hours or [EVENING] * N_DAYS):
        dishwasher[24 * day + hour : 24 * day + hour + 2] = 0.8, 0.4
        pv[24 * day :][SUNNY] = 3.0
    load = 0.3 + dishwasher
    return MeterData(
        building="made_house",
        kind="residential",
        place=KONSTANZ,
        timezone="Europe/Berlin",
        step_h=1.0,
        ts_utc=ts_utc,
        feeds=(
            Feed(name="grid_import", role="import", category="grid"),
            Feed(name="grid_export", role="export", category="grid"),
            Feed(name="pv", role="pv", category="pv"),
            Feed(name="dishwasher", role="load", category="discrete_phase"),
        ),
        energy_kwh={
            "grid_import": np.maximum(load - pv, 0.0),
            "grid_export": np.maximum(pv - load, 0.0),
            "pv": pv,
            "dishwasher": dishwasher,
        },
        load_kwh=load,
        pv_kwh=pv,
        price_eur_per_mwh=np.full(n, 30.0),
        load_rule="import+pv-export",
        synthetic=True,
        source="made for a test",
        data_hash="none",
    )


def spec_of(*weights_eur: float) -> IntegratedSpec:
    base = ComparisonSpec(
        tariff=load_tariff("dynamic"),
        assets=Assets(battery=None, ev=None),
        modes=("centralized",),
    )
    return IntegratedSpec(base=base, weights_eur=weights_eur)


def run(spec: IntegratedSpec, history: MeterData) -> dict[str, list[HabitDay]]:
    building = Building(history, spec.base.tariff, spec.base.assets)
    pipeline = Integrated(building, spec, date(2016, 1, 20), 5)
    return {c.name: list(pipeline.run(c)) for c in spec.controllers}


def start_hours(days: list[HabitDay]) -> set[int]:
    steps = [np.flatnonzero(d.record.schedule.plans["dishwasher"].series["started"]) for d in days]
    return {int(step) for found in steps for step in found}


@pytest.mark.smoke
def test_plans_follow_the_learned_habit_as_its_weight_grows() -> None:
    found = run(spec_of(0.0, 5.0), made_house())
    assert start_hours(found[COST_ONLY]) <= set(range(10, 14))  # both hours in the sun
    assert start_hours(found["w = 5 €"]) == {EVENING}
    assert start_hours(found[HABIT_ONLY]) == {EVENING}


def test_another_habit_gives_other_plans() -> None:
    evening = run(spec_of(5.0), made_house())["w = 5 €"]
    morning = run(spec_of(5.0), made_house([7] * N_DAYS))["w = 5 €"]
    assert start_hours(evening) == {EVENING}
    assert start_hours(morning) == {7}


def test_every_request_is_learned_whatever_the_plan_makes_of_it() -> None:
    """Cost alone moves every start, and still learns when its people set the machine."""
    found = run(spec_of(0.0, 5.0), made_house())
    for days in found.values():
        assert all(len(day.updates) == 1 for day in days)
    learned = [[day.updates[0].hours for day in days] for days in found.values()]
    assert all(np.array_equal(learned[0], other) for other in learned[1:])


def test_a_day_is_predicted_before_it_is_seen() -> None:
    """The last day's own start cannot change any plan up to and including that day."""
    usual = [EVENING] * N_DAYS
    odd_last = [*usual[:20], 3, *usual[21:]]  # 24 January, the last day of the window
    spec = spec_of(0.05)
    a = run(spec, made_house(usual))["w = 0.05 €"]
    b = run(spec, made_house(odd_last))["w = 0.05 €"]
    for before, after in zip(a[:4], b[:4], strict=True):
        assert before.probabilities == after.probabilities
    assert a[0].record.day == date(2016, 1, 20)
    assert a[-1].record.day == date(2016, 1, 24)


@pytest.mark.parametrize("foresight", ["perfect", "forecast"])
def test_two_workers_give_the_same_to_the_bit(foresight: str) -> None:
    spec = spec_of(0.1)
    base = replace(spec.base, foresight=foresight, forecaster="persistence")  # type: ignore[arg-type]
    spec = replace(spec, base=base)
    building = Building(made_house(), spec.base.tariff, spec.base.assets)
    one, two = (
        list(Integrated(building, spec, date(2016, 2, 1), 3).runs(workers)) for workers in (1, 2)
    )
    assert [run.controller for run in one] == list(spec.controllers)
    assert [run.controller for run in two] == list(spec.controllers)
    for alone, shared in zip(one, two, strict=True):
        assert bool(alone.perfect) == (foresight == "forecast")
        pairs = zip((*alone.days, *alone.perfect), (*shared.days, *shared.perfect), strict=True)
        for a, b in pairs:
            assert (a.record.day, a.probabilities, a.usual) == (
                b.record.day,
                b.probabilities,
                b.usual,
            )
            assert a.record.kpis.cost_eur == b.record.kpis.cost_eur
            assert len(a.updates) == len(b.updates)


def test_reported_figures_are_those_of_the_starts() -> None:
    spec = spec_of(0.0, 5.0)
    building = Building(made_house(), spec.base.tariff, spec.base.assets)
    pipeline = Integrated(building, spec, date(2016, 1, 20), 5)
    baselines = list(pipeline.baselines())
    points = {c.name: frontier_point(c, list(pipeline.run(c)), baselines) for c in spec.controllers}
    habit, cost = points[HABIT_ONLY], points[COST_ONLY]
    assert habit.unusual == pytest.approx(0.0)
    assert habit.summary.kpis.mean_shift_h == 0.0
    assert cost.unusual is not None
    assert cost.unusual > 0.9
    assert cost.mean_start_probability is not None
    assert habit.mean_start_probability is not None
    assert cost.mean_start_probability < 0.05 < 0.3 < habit.mean_start_probability
    # 1.2 kWh from the sun instead of the grid, each of five days: no more, no less
    tariff = spec.base.tariff
    bought = tariff.import_eur_per_kwh(np.array([30.0]), np.array([12.0]))[0]
    worth_eur = 5 * 1.2 * (bought - 0.1231)
    saved_eur = cost.summary.against["as_metered"].savings_eur
    assert saved_eur == pytest.approx(worth_eur, abs=0.01)
    assert habit.summary.against["as_metered"].savings_eur == pytest.approx(0.0, abs=1e-6)


def test_the_knee_is_farthest_from_the_line_between_the_ends() -> None:
    spec = spec_of(0.0, 1.0)
    building = Building(made_house(), spec.base.tariff, spec.base.assets)
    pipeline = Integrated(building, spec, date(2016, 1, 20), 2)
    some = frontier_point(
        spec.controllers[0], list(pipeline.run(spec.controllers[0])), list(pipeline.baselines())
    )

    def point(name: str, cost_eur: float, unusual: float) -> FrontierPoint:
        kpis = replace(some.summary.kpis, bill_eur=cost_eur, wear_eur=0.0, demand_charge_eur=0.0)
        return replace(
            some,
            controller=replace(some.controller, name=name),
            summary=replace(some.summary, kpis=kpis),
            unusual=unusual,
        )

    ends = [point("a", 10.0, 0.8), point("d", 14.0, 0.1)]
    assert knee([*ends, point("b", 10.5, 0.3), point("c", 12.0, 0.2)]).controller.name == "b"  # type: ignore[union-attr]
    assert knee(ends) is None
    assert knee([point("a", 10.0, 0.5)] * 3) is None

    def of(*places: tuple[float, float]) -> str | None:
        found = knee([point(f"{i}", *place) for i, place in enumerate(places)])
        return None if found is None else found.controller.name

    # straight, to a hundredth of its range; then just too shallow and just deep enough: 1 − x − y
    assert of((10.0, 0.8), (11.99, 0.45), (14.0, 0.1)) is None
    assert of((10.0, 1.0), (14.0, 0.0), (12.0, 0.41)) is None
    assert of((10.0, 1.0), (14.0, 0.0), (12.0, 0.39)) == "2"
    # bulging upwards: every point between costs more than the line
    assert of((10.0, 0.8), (13.5, 0.6), (14.0, 0.1)) is None
    # flat, by half a cent or half a hundredth, though bent if it were stretched
    assert of((10.000, 0.8), (10.001, 0.2), (10.005, 0.1)) is None
    assert of((10.0, 0.500), (10.5, 0.501), (14.0, 0.505)) is None


def test_too_few_days_to_train_says_how_many() -> None:
    spec = spec_of(0.1)
    building = Building(made_house(), spec.base.tariff, spec.base.assets)
    pipeline = Integrated(building, spec, date(2016, 1, 20), 1)
    with pytest.raises(DataError, match=r"5 known days before 2016-01-09, 14 are needed"):
        trained_models(pipeline.histories, pipeline.devices, spec, date(2016, 1, 9))


def test_habits_are_learned_by_the_holidays_of_the_buildings_place() -> None:
    spec, hamburg = spec_of(0.1), replace(KONSTANZ, name="Hamburg", subdivision="HH")
    house = replace(made_house(), place=hamburg)
    pipeline = Integrated(Building(house, spec.base.tariff, spec.base.assets), spec, None, 1)
    models = trained_models(pipeline.histories, pipeline.devices, spec, date(2016, 1, 20))
    assert {model.place for model in models.values()} == {hamburg}


def test_without_a_start_the_first_day_with_enough_training_is_taken() -> None:
    spec = spec_of(0.1)
    building = Building(made_house(), spec.base.tariff, spec.base.assets)
    assert Integrated(building, spec, None, 1).window.days == (date(2016, 1, 18),)


def test_bad_specifications_are_refused() -> None:
    for weights in ((-0.1,), (float("nan"),), (), (0.1, 0.1)):
        with pytest.raises(InvalidSpec, match="preference_eur"):
            spec_of(*weights)
    with pytest.raises(InvalidSpec, match="prior"):
        replace(spec_of(0.1), prior="wishful")
    base = replace(spec_of(0.1).base, modes=("centralized", "decentralized"))
    with pytest.raises(InvalidSpec, match="one mode at a time"):
        replace(spec_of(0.1), base=base)


def test_a_building_without_appliances_is_named() -> None:
    house = made_house()
    feeds = tuple(feed for feed in house.feeds if feed.category != "discrete_phase")
    bare = replace(house, feeds=feeds)
    spec = spec_of(0.1)
    with pytest.raises(DataError, match="made_house: no appliance"):
        Integrated(Building(bare, spec.base.tariff, spec.base.assets), spec, None, 1)
