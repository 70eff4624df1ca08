from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from ems.errors import InvalidSpec
from ems.twin.catalogue import CATALOGUE
from ems.twin.clock import clock
from ems.twin.generate import Twin, TwinBuilding, generate

SEED = 7

SPECS = {spec.name: spec for spec in CATALOGUE}
RESIDENTIAL4, RESIDENTIAL5, RESIDENTIAL6 = (SPECS[f"DE_KN_residential{n}"] for n in (4, 5, 6))

# The table of the data README: local days, then kWh of sub-meters, grid import and PV (OPSD
# household data, DOI 10.25832/household_data/2020-04-15).
README = {
    "DE_KN_industrial3": (600, 997_633, 916_120, 28_035),
    "DE_KN_residential1": (663, 11_235, 9_096, 16_522),
    "DE_KN_residential2": (1040, 2_034, 4_495, 0),
    "DE_KN_residential3": (1385, 5_751, 5_778, 13_674),
    "DE_KN_residential4": (849, 7_801, 10_247, 24_576),
    "DE_KN_residential5": (982, 1_696, 7_295, 0),
    "DE_KN_residential6": (899, 1_272, 7_347, 20_495),
}


def building(twin: Twin, name: str) -> TwinBuilding:
    return next(each for each in twin.buildings if each.name == name)


def role_kwh(each: TwinBuilding, role: str, *, behind_only: bool = False) -> np.ndarray:
    total = np.zeros(len(each.ts_utc))
    for feed in each.feeds:
        if feed.role == role and (feed.behind_import or not behind_only):
            total = total + each.energy_kwh[feed.name]
    return total


def test_the_portfolio_is_the_real_one(hourly: Twin) -> None:
    assert [each.name for each in hourly.buildings] == list(README)
    for each in hourly.buildings:
        assert str(each.ts_utc[0]).startswith(SPECS[each.name].start_utc)
        assert str(each.ts_utc[-1]).startswith(SPECS[each.name].last_utc)
        assert (np.diff(each.ts_utc) == np.timedelta64(1, "h")).all()
        local = pd.DatetimeIndex(each.ts_utc, tz="UTC").tz_convert("Europe/Berlin")
        assert local.normalize().nunique() == README[each.name][0]


@pytest.mark.real_data
def test_feeds_are_those_of_the_real_file(
    hourly: Twin, shared_data_columns: frozenset[str]
) -> None:
    ours = {f"{each.name}_{feed.name}" for each in hourly.buildings for feed in each.feeds}
    assert ours == shared_data_columns


def test_totals_are_within_ten_percent_of_the_real_ones(hourly: Twin, other: Twin) -> None:
    for each in (*hourly.buildings, *other.buildings):
        _, loads, grid_import, pv = README[each.name]
        assert role_kwh(each, "load").sum() == pytest.approx(loads, rel=0.05)
        assert role_kwh(each, "import").sum() == pytest.approx(grid_import, rel=0.10)
        assert role_kwh(each, "pv").sum() == pytest.approx(pv, rel=0.01)


@pytest.mark.parametrize("name", ["industrial3", "residential1", "residential4", "residential6"])
def test_pv_nearly_reaches_its_real_peak(hourly: Twin, name: str) -> None:
    pv_kwh = role_kwh(building(hourly, f"DE_KN_{name}"), "pv")
    peak_kw = sum(field.peak_kw for field in SPECS[f"DE_KN_{name}"].pv)
    assert 0.88 * peak_kw < pv_kwh.max() <= peak_kw


def test_readings_are_such_as_meters_give(quarterly: Twin) -> None:
    """Numbers from 0 on; import or export, never both; sub-meters below the load."""
    for each in quarterly.buildings:
        for name, energy in each.energy_kwh.items():
            assert energy.shape == each.ts_utc.shape, name
            assert np.isfinite(energy).all(), name
            assert energy.min() >= 0, name
        bought, sold = role_kwh(each, "import"), role_kwh(each, "export")
        assert (bought * sold).max() == 0
        load = bought - sold + role_kwh(each, "pv", behind_only=True)
        assert (load - role_kwh(each, "load", behind_only=True)).min() > 0, each.name


@pytest.fixture(scope="module")
def changed() -> Twin:
    """Two homes of the quarterly twin, one without the sun, one without its surplus heater."""
    dark = replace(RESIDENTIAL4, pv=(), has_export_meter=False)
    return generate(SEED, 15, catalogue=(dark, replace(RESIDENTIAL6, surplus_heater_kw=0.0)))


def test_energy_balances_in_each_step(quarterly: Twin, changed: Twin) -> None:
    """Import − export = sub-meters + base − PV; without the sun the import is all of the load."""
    sunny = building(quarterly, RESIDENTIAL4.name).energy_kwh
    load = building(changed, RESIDENTIAL4.name).energy_kwh["grid_import"]
    net = sunny["grid_import"] - sunny["grid_export"]
    assert np.abs(net - (load - sunny["pv"])).max() < 1e-9


def test_a_surplus_heater_takes_the_sun_before_the_grid_does(
    quarterly: Twin, changed: Twin
) -> None:
    heated, bare = (building(twin, RESIDENTIAL6.name).energy_kwh for twin in (quarterly, changed))
    taken = bare["grid_export"] - heated["grid_export"]
    np.testing.assert_array_equal(bare["grid_import"], heated["grid_import"])
    assert taken.min() >= -1e-12
    assert taken.max() == pytest.approx(RESIDENTIAL6.surplus_heater_kw / 4)


def test_pv_without_a_meter_for_its_surplus_is_refused() -> None:
    spec = replace(RESIDENTIAL4, has_export_meter=False)
    with pytest.raises(InvalidSpec, match="DE_KN_residential4: PV exceeds the load"):
        generate(3, 60, catalogue=(spec,))


def test_hours_are_the_sums_of_quarter_hours(hourly: Twin, quarterly: Twin) -> None:
    for coarse, fine in zip(hourly.buildings, quarterly.buildings, strict=True):
        assert fine.step_h == 0.25
        np.testing.assert_array_equal(coarse.ts_utc, fine.ts_utc[::4])
        for name, energy in coarse.energy_kwh.items():
            np.testing.assert_array_equal(energy, fine.energy_kwh[name].reshape(-1, 4).sum(axis=1))
    pd.testing.assert_frame_equal(hourly.prices, quarterly.prices)
    pd.testing.assert_frame_equal(hourly.true_pmf, quarterly.true_pmf)


def test_the_same_seed_gives_the_same_bits(hourly: Twin) -> None:
    again = generate(hourly.seed, 60)
    for one, other in zip(hourly.buildings, again.buildings, strict=True):
        for name, energy in one.energy_kwh.items():
            assert energy.tobytes() == other.energy_kwh[name].tobytes()
    for table in ("prices", "weather", "true_pmf", "true_starts"):
        pd.testing.assert_frame_equal(
            getattr(hourly, table), getattr(again, table), check_exact=True
        )


def test_another_seed_gives_other_days(hourly: Twin, other: Twin) -> None:
    assert (hourly.prices["eur_per_mwh"] != other.prices["eur_per_mwh"]).mean() > 0.9
    for one, two in zip(hourly.buildings, other.buildings, strict=True):
        assert not np.array_equal(one.energy_kwh["grid_import"], two.energy_kwh["grid_import"])


def test_a_building_or_feed_more_changes_no_other(hourly: Twin) -> None:
    fewer = replace(RESIDENTIAL4, fixed=(), evs=())
    among = building(generate(SEED, 60, catalogue=(RESIDENTIAL5, fewer)), fewer.name)
    alone = building(hourly, fewer.name)
    for name in ("dishwasher", "washing_machine", "heat_pump", "pv"):
        np.testing.assert_array_equal(alone.energy_kwh[name], among.energy_kwh[name])


@pytest.mark.parametrize(("seed", "step"), [(-1, 60), (7, 30), (7, 0)])
def test_a_bad_seed_or_step_is_refused(seed: int, step: int) -> None:
    with pytest.raises(InvalidSpec, match="twin: "):
        generate(seed, step)


def test_a_true_pmf_for_each_planned_feed_and_day_type(hourly: Twin) -> None:
    planned = {
        (each.name, feed.name, day_type)
        for each in hourly.buildings
        for feed in each.feeds
        if feed.category in ("discrete_phase", "ev")
        for day_type in ("working_day", "weekend_or_holiday")
    }
    total = hourly.true_pmf.groupby(["building", "feed", "day_type"])["probability"].sum()
    assert total.to_dict() == pytest.approx(dict.fromkeys(planned, 1.0))


def starts_with_local_hour(twin: Twin) -> pd.DataFrame:
    """The true starts with their local hour, day type, and how many days of it there were."""
    parts = []
    for each in twin.buildings:
        calendar = clock(each.ts_utc)
        starts = twin.true_starts[twin.true_starts["building"] == each.name]
        step = np.searchsorted(each.ts_utc, starts["ts_utc"].to_numpy(), side="right") - 1
        free, n_free = calendar.step_is_free[step], calendar.day_is_free.sum()
        parts.append(
            starts.assign(
                hour=calendar.hour[step],
                day_type=np.where(free, "weekend_or_holiday", "working_day"),
                days=np.where(free, n_free, calendar.n_days - n_free),
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_the_starts_are_drawn_from_the_true_habits(hourly: Twin) -> None:
    """As many as stated, and chi-square of each PMF with hours of under five starts pooled.

    With 32 tests at fixed seed none may fall below 0.05 / 32.
    """
    starts = starts_with_local_hour(hourly).groupby(["building", "feed", "day_type"])
    p_values = []
    for keys, truth in hourly.true_pmf.groupby(["building", "feed", "day_type"]):
        if keys not in starts.groups:
            continue
        own, use = starts.get_group(keys), truth["use_probability"].iloc[0]
        days = own["days"].iloc[0]
        assert abs(len(own) - days * use) < 4 * np.sqrt(days * use * (1 - use)) + 2, keys
        observed = np.bincount(own["hour"], minlength=24)
        expected = truth["probability"].to_numpy() * len(own)
        rare = expected < 5
        if (~rare).sum() < 2:
            continue
        seen = [*observed[~rare], observed[rare].sum()]
        wanted = [*expected[~rare], expected[rare].sum()]
        if wanted[-1] < 1:
            seen, wanted = seen[:-1], [w * sum(seen[:-1]) / sum(wanted[:-1]) for w in wanted[:-1]]
        p_values.append(chisquare(seen, wanted).pvalue)
    assert len(p_values) >= 28
    assert min(p_values) > 0.05 / len(p_values)


def test_the_starts_add_up_to_the_meter(hourly: Twin) -> None:
    energy = hourly.true_starts.groupby(["building", "feed"])["energy_kwh"].sum()
    for spec in CATALOGUE:
        meters = building(hourly, spec.name).energy_kwh
        for cycle in spec.cycles:
            metered = meters[cycle.name].sum() - cycle.standby_kw * len(meters[cycle.name])
            assert energy[spec.name, cycle.name] == pytest.approx(metered)
        for car in spec.evs:
            assert energy[spec.name, car.name] == pytest.approx(meters[car.name].sum())


@pytest.mark.parametrize("step", [15, 60])
def test_n_steps_counts_the_steps_with_energy(step: int, request: pytest.FixtureRequest) -> None:
    twin: Twin = request.getfixturevalue("hourly" if step == 60 else "quarterly")
    home = building(twin, "DE_KN_residential4")
    starts = twin.true_starts.query("building == @home.name and feed == 'dishwasher'")
    assert starts["n_steps"].sum() == np.count_nonzero(home.energy_kwh["dishwasher"])
    first = np.searchsorted(home.ts_utc, starts["ts_utc"].to_numpy(), side="right") - 1
    assert (home.energy_kwh["dishwasher"][first] > 0).all()
