"""Plans made from what is known and carried out on what happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from typing import ClassVar, Self

import numpy as np
import pytest
from small_building import Floats, at, device_of, local_index, made

from ems.agents import BatteryAgent, DiscretePhaseDevice, heat_pump
from ems.agents.on_site import Run
from ems.agents.thermal import HeatLoss
from ems.core.mode import Mode
from ems.core.solver import Solver
from ems.economics.settlement import total
from ems.economics.store_value import StoreValues
from ems.economics.tariff_file import load_tariff
from ems.errors import InvalidSpec
from ems.forecast.information import (
    UNKNOWN,
    ForecastInformation,
    Information,
    Models,
    PerfectInformation,
    Scenarios,
    forecast_days,
)
from ems.forecast.price import PriceForecast, known_until
from ems.forecast.series import LEVELS, Forecast, Series
from ems.pipelines.captured import captured
from ems.pipelines.comparison import DayRecord, chains_of, choose_window, run_mode
from ems.pipelines.forecasting import foresight_of
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import PLANNED, ComparisonSpec
from ems.site.assets import Assets, EVSpec
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.site.series import SiteSeries
from ems.types import Ints

FIRST = date(2016, 3, 1)
N_DAYS = 50
START = FIRST + timedelta(days=44)
TIGHT = Solver(mip_gap=0.0, mip_gap_eur=1e-6)
BATTERY = BatteryAgent(capacity_kwh=6.0, max_charge_kw=2.0, max_discharge_kw=2.0, initial_soc_kwh=3)


@dataclass(frozen=True)
class Yesterday:
    """The same step of the day before, ± 20 % between its outer quantiles; it learns nothing."""

    needs_days: ClassVar[int] = 0
    name: str = "yesterday"

    def fit(self, series: Series, until: int) -> Self:
        return self

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        back = series.steps_a_day
        source = origins[:, None] - back + np.arange(n_steps) % back
        values = np.nan_to_num(series.values[source])[:, None, :]
        spread = 1.0 + 0.5 * (LEVELS - 0.5)
        return Forecast(
            who=series.who,
            unit=series.unit,
            model=self.name,
            origins=origins,
            values=np.sort(values * spread[:, None], axis=1),
            least=series.least,
        )


@cache
def house(seed: int = 3) -> MeterData:
    """Sun of changing strength, a heat pump, a car, a dishwasher, prices with two peaks."""
    rng = np.random.default_rng(seed)
    index = local_index(FIRST, N_DAYS)
    hour = index.hour.to_numpy()
    number = (index.tz_localize(None).normalize() - index[0].tz_localize(None)).days.to_numpy()
    strength = rng.uniform(0.2, 1.0, N_DAYS)[number]
    sun = 4.0 * strength * np.clip(np.sin((hour - 6) / 12 * np.pi), 0.0, None)
    heat = 0.8 + 0.4 * np.cos(hour / 24 * 2 * np.pi) + rng.uniform(0.0, 0.3, len(index))
    days = [FIRST + timedelta(days=i) for i in range(N_DAYS)]
    car = at(index, *((f"{day} 17:00", 2.0, 7.4) for day in days[::2]))
    dishes = at(index, *((f"{day} {18 + i % 3}:00", 2.0, 0.6) for i, day in enumerate(days)))
    price = 30.0 + 15.0 * np.cos((hour - 8) / 12 * 2 * np.pi) + rng.normal(0.0, 4.0, len(index))
    return made(
        index,
        {"ev": car, "dishwasher": dishes, "heat_pump": heat},
        pv_kwh=sun,
        price_eur_per_mwh=price,
    )


def building(history: MeterData | None = None, **assets: object) -> Building:
    given = {"battery": BATTERY, "ev": EVSpec(capacity_kwh=40.0), **assets}
    return Building(history or house(), load_tariff("dynamic"), Assets(**given))  # type: ignore[arg-type]


def specification(of: Building, **given: object) -> ComparisonSpec:
    plain = {"foresight": "forecast", "solver": TIGHT, **given}
    return ComparisonSpec(tariff=of.tariff, assets=of.assets, **plain)  # type: ignore[arg-type]


def believed(of: Building, *, every_hour: bool = True) -> ForecastInformation:
    first = of.span(START).start
    instants = np.arange(first - 20 * 24, of.span(of.days[-1]).stop)
    models = Models(load=Yesterday(), pv=Yesterday(), price=Yesterday())
    forecasts = forecast_days(of, models, first_day=START, instants=instants, n_steps=50)
    return ForecastInformation(building=of, forecasts=forecasts, scenarios=Scenarios(n=5))


def lived(
    of: Building, foresight: Information, mode: Mode, n_days: int = 4, **given: object
) -> list[DayRecord]:
    spec = specification(of, **given)
    window = choose_window(of, START, n_days)
    known = dict.fromkeys(window.days, foresight)
    return list(run_mode(of, spec, window, mode, values_of(of, spec, n_days), known=known))


def values_of(of: Building, spec: ComparisonSpec, n_days: int) -> StoreValues:
    """One value of storage a building, whatever else is asked."""
    key = id(of), n_days
    if key not in _VALUES:
        _VALUES[key] = of, perfect_plan(of, spec, choose_window(of, START, n_days)).values
    return _VALUES[key][1]


_VALUES: dict[tuple[int, int], tuple[Building, StoreValues]] = {}


def dishes_of(foresight: Information, day: date, at: int = 0) -> tuple[Run, ...]:
    """The dishwasher's runs as they are believed."""
    runs: tuple[Run, ...] = device_of(foresight.course(day, at), "dishwasher").runs
    return runs


def cost_eur(records: list[DayRecord]) -> float:
    kpis = total([record.kpis for record in records])
    return kpis.with_wear_eur + kpis.discomfort_eur


# --- with the truth as the forecast ------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "phase_h"),
    [("centralized", 6.0), ("centralized_phases", 6.0), ("centralized_phases", 1.0)],
)
@pytest.mark.parametrize("dispatch", ["setpoints", "balance"])
def test_with_the_truth_as_the_forecast_all_of_the_possible_is_captured(
    mode: Mode, phase_h: float, dispatch: str
) -> None:
    of = building()
    truth = PerfectInformation(building=of)
    ours = lived(of, truth, mode, phase_h=phase_h, dispatch=dispatch)
    perfect = lived(of, truth, "centralized_perfect")
    assert cost_eur(ours) == pytest.approx(cost_eur(perfect), abs=1e-4)
    bases = [r for base in ("as_metered", "rule_based") for r in lived(of, truth, base)]  # type: ignore[arg-type]
    rows = captured([r.result for r in (*ours, *perfect, *bases)])
    assert [row.share for row in rows] == pytest.approx([1.0, 1.0], abs=2e-3)


def test_agents_that_plan_alone_carry_out_what_they_planned() -> None:
    of = building()
    ours = lived(of, PerfectInformation(building=of), "decentralized")
    spec = specification(of, foresight="perfect")
    window = choose_window(of, START, 4)
    values = values_of(of, spec, 4)
    perfect = list(run_mode(of, spec, window, "decentralized", values))
    assert cost_eur(ours) == pytest.approx(cost_eur(perfect), abs=1e-4)


def test_what_is_unknown_costs() -> None:
    of = building()
    foresight = believed(of)
    perfect = cost_eur(lived(of, foresight, "centralized_perfect"))
    for mode in ("decentralized", "centralized", "centralized_phases"):
        assert cost_eur(lived(of, foresight, mode)) > perfect + 0.01  # type: ignore[arg-type]


def test_each_single_error_is_run_with_all_else_known() -> None:
    of = building()
    foresight = believed(of)
    errors = {
        mode: total([r.kpis for r in lived(of, foresight, mode)])  # type: ignore[arg-type]
        for mode in ("pv_unknown", "load_unknown", "price_unknown", "devices_unknown")
    }
    assert errors["pv_unknown"].pv_error_kwh > 1.0
    assert errors["pv_unknown"].load_error_kwh == pytest.approx(0.0, abs=1e-9)
    assert errors["load_unknown"].pv_error_kwh == pytest.approx(0.0, abs=1e-9)
    for mode in ("price_unknown", "devices_unknown"):
        assert errors[mode].pv_error_kwh == pytest.approx(0.0, abs=1e-9)
        assert errors[mode].load_error_kwh == pytest.approx(0.0, abs=1e-9)


# --- nothing of the future ---------------------------------------------------------------------


def altered(history: MeterData, at_step: int) -> MeterData:
    """Everything from a step on otherwise, but for prices that are published by then."""
    rng = np.random.default_rng(0)

    def other(values: Floats, first: int = at_step) -> Floats:
        changed = values.copy()
        changed[first:] *= rng.uniform(0.3, 0.9, len(values) - first)
        return changed

    unpublished = int(known_until(history.ts_utc, np.array([at_step]), history.timezone)[0])
    return replace(
        history,
        energy_kwh={name: other(kwh) for name, kwh in history.energy_kwh.items()},
        load_kwh=other(history.load_kwh),
        pv_kwh=other(history.pv_kwh),
        price_eur_per_mwh=other(history.price_eur_per_mwh, unpublished),
        weather={name: other(values) for name, values in history.weather.items()},
    )


def ahead_of(course: SiteSeries, ahead: slice) -> dict[str, Floats]:
    """Every series of a course and of its devices in the steps ``ahead``, runs by their starts."""
    found = {"load_kwh": course.load_kwh[ahead], "spot": course.spot_eur_per_mwh[ahead]}
    for device in course.devices:
        for what, values in vars(device).items():
            if isinstance(values, np.ndarray) and what != "metered":
                found[f"{device.name}.{what}"] = values[ahead]
        if hasattr(device, "runs"):
            found[f"{device.name}.starts"] = np.array([float(start) for start, _ in device.runs])
    return found


@pytest.mark.parametrize(("at_hour", "risk"), [(6, "neutral"), (18, "hedged")])
def test_the_models_of_the_pipeline_know_nothing_of_what_comes(at_hour: int, risk: str) -> None:
    now = building()
    later = building(altered(house(), now.span(START).start + at_hour))
    courses, futures = [], []
    for of in (now, later):
        spec = specification(of, modes=("centralized_phases",), risk=risk)
        (chain,) = chains_of(choose_window(of, START, 2))
        foresight = foresight_of(of, spec, chain)
        courses.append(foresight.course(START, at_hour))
        if risk == "hedged":
            futures.append(foresight.futures(START, at_hour, 24))
    ahead = slice(now.span(START).start + at_hour, now.span(START).stop + 24)
    one, other = courses
    for what, values in ahead_of(one, ahead).items():
        np.testing.assert_array_equal(values, ahead_of(other, ahead)[what], what)
    for name in futures[0].apart_kw if futures else ():
        np.testing.assert_array_equal(*(drawn.apart_kw[name] for drawn in futures), name)


@pytest.mark.parametrize("at_hour", [0, 1, 7, 13, 18, 23])
def test_nothing_after_the_instant_of_planning_changes_what_is_believed(at_hour: int) -> None:
    now = building()
    step = now.span(START).start + at_hour
    later = building(altered(house(), step))
    assert not np.array_equal(now.truth.load_kwh, later.truth.load_kwh)
    ahead = slice(step, step + 30)
    one, other = (ahead_of(believed(of).course(START, at_hour), ahead) for of in (now, later))
    assert set(one) > {"load_kwh", "pv.generated_kwh", "ev.plugged_in", "dishwasher.starts"}
    for what, values in one.items():
        np.testing.assert_allclose(values, other[what], atol=1e-9, err_msg=what)


@pytest.mark.parametrize("risk", ["neutral", "hedged"])
def test_nothing_after_the_instant_of_planning_changes_what_is_done(
    risk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nights are the same until the first plan of the day that follows what was altered.

    The loss of the house is known as from its energy certificate, not learned.
    """
    monkeypatch.setattr(heat_pump, "fitted_loss", lambda *_: HeatLoss(kw_per_k=0.1, limit_c=15.0))
    now = building()
    end = now.span(START).stop
    later = building(altered(house(), end))
    for mode in ("centralized", "centralized_phases"):
        ours, theirs = (
            lived(of, believed(of), mode, n_days=2, risk=risk)[0]  # type: ignore[arg-type]
            for of in (now, later)
        )
        for name in ("battery", "heat_pump", "dishwasher", "ev"):
            np.testing.assert_allclose(
                ours.schedule.plans[name].net_load_kw,
                theirs.schedule.plans[name].net_load_kw,
                atol=1e-6,
                err_msg=f"{mode} {name}",
            )


def test_what_is_known_does_not_differ_between_futures() -> None:
    of = building()
    foresight = believed(of)
    assert np.ptp(foresight.futures(START, 6, 12).apart_kw["pv"], axis=0).max() > 0.1
    for unknown, differs in (("pv", ["pv"]), ("load", ["base_load"]), ("price", [])):
        assert list(foresight.knowing_all_but(unknown).futures(START, 6, 12).apart_kw) == differs


def test_a_single_error_is_priced_with_plans_hedged_as_the_mode_is() -> None:
    of = building(ev=None, appliances=False)
    foresight = believed(of)
    given: dict[str, object] = {"modes": ("centralized",), "n_scenarios": 5}
    neutral, hedged = (
        lived(of, foresight, "pv_unknown", risk=risk, **given)[0].schedule.plans["battery"]
        for risk in ("neutral", "hedged")
    )
    assert not np.allclose(neutral.net_load_kw, hedged.net_load_kw, atol=1e-3)


def test_what_an_appliance_does_today_says_nothing_of_what_to_expect_today() -> None:
    index = local_index(FIRST, N_DAYS)
    before = [START - timedelta(days=2 * i + 1) for i in range(13)]
    dishes = at(index, *((f"{day} 18:00", 2.0, 0.6) for day in (*before, START)))
    of = building(made(index, {"dishwasher": dishes}, pv_kwh=house().pv_kwh))
    foresight = believed(of)
    assert dishes_of(foresight, START) == ()
    assert len(dishes_of(foresight, START + timedelta(days=1))) >= 1


def test_prices_are_known_from_13_on_and_not_before() -> None:
    of = building()
    first = of.span(START).start
    truth = of.truth.spot_eur_per_mwh
    models = Models(load=Yesterday(), pv=Yesterday(), price=PriceForecast())
    forecasts = forecast_days(
        of, models, first_day=START, instants=first + np.arange(24), n_steps=48
    )
    foresight = ForecastInformation(building=of, forecasts=forecasts)
    for at_hour in (0, 12, 13, 23):
        spot = foresight.course(START, at_hour).spot_eur_per_mwh
        today, tomorrow = slice(first + at_hour, first + 24), slice(first + 24, first + 48)
        np.testing.assert_allclose(spot[today], truth[today])
        knows = np.allclose(spot[tomorrow][:24], truth[tomorrow])
        assert knows == (at_hour >= 13)


def test_runs_that_do_not_come_stand_in_no_plans_way() -> None:
    """Two runs a day are expected, none comes: by the evening there is no room for both."""
    index = local_index(FIRST, N_DAYS)
    before = [START - timedelta(days=i + 1) for i in range(28)]
    starts = [(f"{day} {hour}:00", 3.0, 0.6) for day in before for hour in (9, 14)]
    of = building(made(index, {"dishwasher": at(index, *starts)}, pv_kwh=house().pv_kwh))
    foresight = believed(of)
    assert len(dishes_of(foresight, START)) >= 2
    (record,) = lived(of, foresight, "centralized_phases", n_days=1, phase_h=1.0)
    assert "dishwasher" not in record.schedule.plans


@dataclass(frozen=True)
class Told(Yesterday):
    """Keeps the series that it is told."""

    series: list[Series] = field(default_factory=list)

    def fit(self, series: Series, until: int) -> Self:
        self.series.append(series)
        return self


def test_heat_is_not_told_as_zero_on_a_day_that_its_meter_covers_in_part() -> None:
    day = START - timedelta(days=3)
    heat = house().energy_kwh["heat_pump"].copy()
    span = building().span(day)
    heat[span.start + 5] = np.nan
    of = building(replace(house(), energy_kwh={**house().energy_kwh, "heat_pump": heat}))
    load = Told()
    models = Models(load=load, pv=Yesterday(), price=Yesterday())
    instants = np.array([of.span(START).start])
    forecast_days(of, models, first_day=START, instants=instants, n_steps=24)
    (told,) = [series.values for series in load.series if "heat_pump" in series.who]
    assert np.isnan(told[span]).all()
    assert told[span.stop : span.stop + 24] == pytest.approx(heat[span.stop : span.stop + 24])


# --- what people ask of their appliances -------------------------------------------------------


def with_dishes(
    *runs: tuple[int, int], usual: int | None = None, dear: bool = False, **assets: object
) -> Building:
    """A house whose people start the dishwasher at (hour, for hours) on the day of planning.

    ``usual``: the hour at which they did on each of the four weeks before. Energy is cheap at 12,
    and cheaper at 21 and 22, or if ``dear`` only dear at 23.
    """
    index = local_index(FIRST, N_DAYS)
    before = [] if usual is None else [START - timedelta(days=i + 1) for i in range(28)]
    dishes = [(f"{day} {usual}:00", 2.0, 0.6) for day in before]
    dishes += [(f"{START} {hour}:00", float(hours), 0.6) for hour, hours in runs]
    hour = index.hour.to_numpy()
    price = np.where(hour == 12, 0.0, np.where(np.isin(hour, (21, 22)), -50.0, 100.0))
    history = made(
        index,
        {"dishwasher": at(index, *dishes)},
        price_eur_per_mwh=np.where(hour == 23, 300.0, 0.0) if dear else price,
    )
    return building(history, **{"ev": None, "battery": None, **assets})


def started(records: list[DayRecord]) -> list[int]:
    """The hours of the first day in which the dishwasher starts."""
    return np.flatnonzero(records[0].schedule.plans["dishwasher"].series["started"]).tolist()


@pytest.mark.parametrize("mode", PLANNED)
def test_no_appliance_runs_before_its_people_start_it_unless_that_is_known(mode: Mode) -> None:
    of = with_dishes((22, 2), usual=9)
    foresight = believed(of)
    assert started(lived(of, PerfectInformation(building=of), mode)) == [21]
    assert started(lived(of, foresight.knowing_all_but("price"), mode)) == [21]
    assert started(lived(of, foresight, mode)) == [22]


@pytest.mark.parametrize(
    ("usual", "comes", "mode", "phase_h", "starts"),
    [
        (17, 17, "centralized", 6.0, 21),  # expected: it waits for the cheap hours
        (17, 17, "centralized_phases", 1.0, 21),
        (None, 10, "centralized_phases", 1.0, 10),  # nobody expected it: at once
    ],
)
def test_a_run_that_comes_waits_only_where_it_was_expected(
    usual: int | None, comes: int, mode: Mode, phase_h: float, starts: int
) -> None:
    of = with_dishes((comes, 2), usual=usual)
    assert started(lived(of, believed(of), mode, phase_h=phase_h)) == [starts]


def test_an_expected_run_is_not_planned_before_its_usual_time() -> None:
    of = with_dishes(usual=17)
    run = dishes_of(believed(of), START)[0]
    problem = of.problem([START], course=believed(of).course(START, 0))
    (machine,) = [agent for agent in problem.agents if isinstance(agent, DiscretePhaseDevice)]
    assert run[0] - of.span(START).start == 17
    assert [cycle.earliest for cycle in machine.cycles] == [17]


def test_a_run_that_has_been_started_is_known_as_it_is_and_not_expected_again() -> None:
    of = with_dishes((8, 3), usual=17)
    foresight, midnight = believed(of), of.span(START).start
    for hour, starts, n_steps in ((8, 17, 2), (9, 8, 3), (20, 8, 3)):
        today = [run for run in dishes_of(foresight, START, hour) if run[0] < of.span(START).stop]
        assert [(start - midnight, len(kwh)) for start, kwh in today] == [(starts, n_steps)]


def test_a_machine_that_runs_is_in_the_plan_to_the_end_of_its_run() -> None:
    """From 22 on nothing else is believed of it; the dear hour from 23 is met from the battery."""
    battery = replace(BATTERY, round_trip_efficiency=1.0)
    of = with_dishes((21, 3), dear=True, battery=battery)
    records = lived(of, believed(of), "centralized_phases", n_days=1, phase_h=1.0)
    assert records[0].schedule.plans["battery"].net_load_kw[23] == pytest.approx(-1.0, abs=1e-3)


# --- what is carried out -----------------------------------------------------------------------


def test_a_car_that_nobody_expected_charges_at_once() -> None:
    of = building()
    records = lived(of, believed(of), "centralized", n_days=2)
    car = records[0].schedule.plans["ev"].series["charge_kw"]
    assert car[17:19] == pytest.approx([7.4, 7.4], abs=1e-6)
    assert car[:17] == pytest.approx(0.0)


def test_a_car_that_is_plugged_in_is_planned() -> None:
    of = building()
    records = lived(of, believed(of), "centralized_phases", n_days=2, phase_h=1.0)
    both = np.concatenate([r.schedule.plans["ev"].series["charge_kw"] for r in records])
    assert both[17] == pytest.approx(7.4, abs=1e-6)
    assert both[18] < 1.0
    assert both[17:31].sum() == pytest.approx(14.8, abs=1e-4)
    assert all(record.kpis.missed_kwh == pytest.approx(0.0, abs=1e-6) for record in records)


def test_every_device_delivers_what_its_meter_showed() -> None:
    of = building()
    for mode in PLANNED:
        for record in lived(of, believed(of), mode):
            metered = of.history.energy_kwh
            used = record.schedule.plans["dishwasher"].net_load_kw.sum()
            asked = metered["dishwasher"][of.span(record.day)].sum()
            assert used == pytest.approx(asked, abs=1e-4)
            assert np.all(record.schedule.plans["heat_pump"].series["heat_kwh"] >= -1e-6)


def test_balancing_keeps_the_meter_at_what_was_planned() -> None:
    """Where neither import nor export was planned, the battery takes the error as far as it can."""
    of = building(ev=None, appliances=False)
    foresight = believed(of)
    letter = lived(of, foresight, "centralized", dispatch="setpoints")
    balanced = lived(of, foresight, "centralized", dispatch="balance")
    assert cost_eur(balanced) < cost_eur(letter) - 0.01


def test_hedged_and_balanced_a_battery_alone_has_nothing_to_decide_beforehand() -> None:
    """It follows what comes, so that its plan is the one for what is expected."""
    of = building(ev=None, appliances=False)
    neutral, hedged = (
        lived(of, believed(of), "centralized", n_days=2, dispatch="balance", risk=risk)
        for risk in ("neutral", "hedged")
    )
    for one, other in zip(neutral, hedged, strict=True):
        np.testing.assert_allclose(
            *(record.schedule.plans["battery"].net_load_kw for record in (one, other)), atol=1e-3
        )


# --- what cannot be asked for ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"foresight": "perfect", "risk": "hedged"}, "risk is hedged, but with perfect foresight"),
        ({"n_scenarios": 4}, "n_scenarios is 4, allowed is 5 to 20"),
        ({"forecaster": "oracle"}, "forecaster is 'oracle', allowed are learned, persistence"),
        ({"phase_h": 0.0}, "phase_h is 0.0, allowed is 0 < phase_h <= 24"),
    ],
)
def test_what_cannot_be_planned(given: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidSpec, match=says):
        specification(building(), **given)


def test_plans_on_forecasts_need_a_foresight() -> None:
    of = building()
    values = values_of(of, specification(of), 2)
    with pytest.raises(InvalidSpec, match="known is missing"):
        list(run_mode(of, specification(of), choose_window(of, START, 2), "centralized", values))


def test_only_what_exists_can_be_unknown() -> None:
    with pytest.raises(InvalidSpec, match=f"allowed are {', '.join(UNKNOWN)}"):
        believed(building()).knowing_all_but("weather")
