from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_store import Floats, building, household, sunshine

from ems.store.ingest.dataset import BuildingData
from ems.store.ingest.opsd import read_opsd
from ems.store.quality import QUALITIES, Finding, Judgement, judge


def quality(judgement: Judgement, feed: str) -> list[str]:
    return [QUALITIES[code] for code in judgement.codes[feed]]


def rules(judgement: Judgement) -> set[tuple[str, str]]:
    return {(finding.feed, finding.rule) for finding in judgement.findings}


def solar_home(n_days: int = 60) -> dict[str, Floats]:
    """Import, export, PV and two sub-meters whose balance closes in every step."""
    load, pv = household(n_days), sunshine(n_days)
    return {
        "grid_import": np.maximum(load - pv, 0.0),
        "grid_export": np.maximum(pv - load, 0.0),
        "pv": pv,
        "refrigerator": load * 0.1,
        "dishwasher": load * 0.2,
    }


@pytest.mark.smoke
def test_a_healthy_home_is_ok_everywhere() -> None:
    judgement = judge(building(solar_home()))
    assert judgement.findings == ()
    assert all(not codes.any() for codes in judgement.codes.values())


def test_a_missing_value_is_a_gap() -> None:
    feeds = solar_home()
    feeds["pv"][100:103] = np.nan
    judgement = judge(building(feeds))
    assert quality(judgement, "pv")[99:104] == ["ok", "gap", "gap", "gap", "ok"]


def test_a_finding_counts_local_days() -> None:
    feeds = solar_home()
    feeds["pv"][22:24] = np.nan  # 23:00 and 00:00 in Berlin
    (finding,) = judge(building(feeds)).findings
    start = np.datetime64("2016-03-01T22:00:00", "s")
    assert finding == Finding(
        building="DE_KN_residential9",
        feed="pv",
        rule="missing",
        quality="gap",
        steps=2,
        days=2,
        span_utc=(start, start + np.timedelta64(1, "h")),
    )


def test_only_long_fillings_of_the_source_count() -> None:
    feeds = solar_home()
    filled = np.zeros(len(feeds["pv"]), dtype=bool)
    filled[[10, 11, 50, 51, 52, 53]] = True
    data = building(feeds)
    judgement = judge(
        BuildingData(**{**vars(data), "filled": {"grid_import": filled}})  # type: ignore[arg-type]
    )
    assert np.flatnonzero(judgement.codes["grid_import"]).tolist() == [50, 51, 52, 53]
    assert rules(judgement) == {("grid_import", "filled")}


Feeds = dict[str, Floats]


def alone(n_days: int = 60, **changes: Floats) -> Feeds:
    return {"grid_import": household(n_days), **changes}


def with_value(feeds: Feeds, feed: str, steps: slice | int, value: float | Floats) -> Feeds:
    feeds[feed][steps] = value
    return feeds


def dark_week() -> Feeds:
    """Too little sun to export anything, and all meters say so."""
    load, pv = household(60), sunshine(60)
    pv[480 : 480 + 24 * 8] *= 0.02
    return {
        **solar_home(),
        "pv": pv,
        "grid_import": np.maximum(load - pv, 0.0),
        "grid_export": np.maximum(pv - load, 0.0),
    }


def sunny_hours_without_import() -> Feeds:
    feeds, when = solar_home(), slice(300, 316)
    feeds["pv"][when] = 3.0 + household(60, seed=4)[when]
    feeds["grid_import"][when] = 0.0
    feeds["grid_export"][when] = (feeds["pv"] - household(60))[when]
    return feeds


def copied(days_before: int) -> Feeds:
    values = household(60)
    values[800:824] = values[800 - 24 * days_before : 824 - 24 * days_before]
    return {"grid_import": values}


WEEKLY = np.where(np.arange(1440) % (24 * 7) < 30, 0.01, 0.0)
WITH_DAYS_OFF = np.where(np.arange(1440) // 24 % 3 == 0, 0.1, 0.0)
SELDOM = np.where(np.arange(1440) % 48 == 0, 9.0, 0.3)
COARSE = np.random.default_rng(5).integers(1, 4, 24 * 300).astype(float)
HEALTHY: dict[str, Feeds] = {
    "eleven equal hours": with_value(alone(30), "grid_import", slice(200, 211), 0.417),
    "a steady pump": alone(30, circulation_pump=np.full(720, 0.05)),
    "a coarse meter repeats itself by chance": {"grid_import": COARSE},
    "no import on a sunny day": sunny_hours_without_import(),
    "six empty days": with_value(alone(), "grid_import", slice(240, 240 + 24 * 6), 0.0),
    "no export in a dark week": dark_week(),
    "a machine that runs every week": {**solar_home(), "area_machine": WEEKLY},
    "a pause of a machine with days off": with_value(
        {**solar_home(), "machine": WITH_DAYS_OFF.copy()}, "machine", slice(480, 480 + 24 * 5), 0.0
    ),
    "a machine that is seldom used": {"grid_import": household(60) + 30.0, "machine": SELDOM},
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_usual_is_ok(name: str) -> None:
    assert judge(building(HEALTHY[name])).findings == ()


@pytest.mark.parametrize(
    ("feeds", "feed", "rule", "steps"),
    [
        (
            with_value(alone(30), "grid_import", slice(200, 212), 0.417),
            "grid_import",
            "straight line",
            range(200, 212),
        ),
        *((copied(n), "grid_import", "copied day", range(800, 824)) for n in (1, 2, 7, 14)),
        (
            with_value(alone(), "grid_import", slice(240, 240 + 24 * 7), 0.0),
            "grid_import",
            "stuck",
            range(240, 240 + 24 * 7),
        ),
        (
            with_value(solar_home(), "refrigerator", slice(480, 480 + 24 * 4), 0.0),
            "refrigerator",
            "stuck",
            range(480, 480 + 24 * 4),
        ),
        *(
            (with_value(solar_home(), "pv", 1000, kwh), "pv", "spike", [1000])
            for kwh in (26.0, 73.0, 804.0)
        ),
    ],
)
def test_what_is_found_where(feeds: Feeds, feed: str, rule: str, steps: range | list[int]) -> None:
    judgement = judge(building(feeds))
    assert rules(judgement) == {(feed, rule)}
    assert np.flatnonzero(judgement.codes[feed]).tolist() == list(steps)


def test_import_at_zero_while_sub_meters_draw_is_stuck() -> None:
    judgement = judge(building(with_value(solar_home(), "grid_import", slice(300, 400), 0.0)))
    marked = np.flatnonzero(judgement.codes["grid_import"])
    assert set(range(300, 400)) <= set(marked.tolist())
    assert len(marked) < 100 + 2 * 24
    assert rules(judgement) == {("grid_import", "stuck")}


def test_a_meter_without_sun_or_export_where_there_was_some_is_stuck() -> None:
    early = slice(0, 24 * 20)
    judgement = judge(building(with_value(solar_home(), "grid_export", early, 0.0)))
    assert quality(judgement, "grid_export")[early] == ["stuck"] * 24 * 20
    week = slice(480, 480 + 24 * 8)
    assert ("pv", "stuck") in rules(judge(building(with_value(solar_home(), "pv", week, 0.0))))


def test_the_surest_rule_keeps_a_step() -> None:
    feeds = solar_home(90)
    feeds["grid_import"][1200:] = 0.0  # also long enough to be out of service
    judgement = judge(building(feeds))
    assert set(quality(judgement, "grid_import")[1200:]) == {"stuck"}
    assert rules(judgement) == {("grid_import", "stuck")}


def test_a_load_with_its_own_meter_does_not_need_import() -> None:
    feeds = {"grid_import": household(30), "heat_pump": household(30, seed=8)}
    feeds["grid_import"][300:320] = 0.0
    assert rules(judge(building(feeds))) >= {("grid_import", "stuck")}
    assert judge(building(feeds, separate=("heat_pump",))).findings == ()


def test_zeros_at_the_rim_are_out_of_service() -> None:
    feeds = solar_home(90)
    feeds["dishwasher"][:800] = 0.0
    feeds["refrigerator"][1200:] = 0.0
    judgement = judge(building(feeds))
    assert quality(judgement, "dishwasher")[:801] == ["ended"] * 800 + ["ok"]
    assert quality(judgement, "refrigerator")[1199:] == ["ok"] + ["ended"] * (90 * 24 - 1200)
    assert rules(judgement) == {
        ("dishwasher", "out of service"),
        ("refrigerator", "out of service"),
    }


def test_a_balance_that_cannot_be_closed() -> None:
    feeds = solar_home()
    feeds["grid_import"][1002] = 0.2
    feeds["dishwasher"][1002] = 2.0
    judgement = judge(building(feeds))
    assert quality(judgement, "grid_import")[1001:1004] == ["ok", "balance", "ok"]
    assert rules(judgement) == {("grid_import", "balance")}


def test_export_above_generation_cannot_be_closed() -> None:
    feeds = solar_home()
    noon = 24 * 30 + 12
    feeds["grid_import"][noon], feeds["grid_export"][noon] = 0.0, feeds["pv"][noon] + 0.2
    del feeds["refrigerator"], feeds["dishwasher"]
    assert rules(judge(building(feeds))) == {("grid_import", "balance")}


def test_a_load_with_its_own_meter_is_not_in_the_balance() -> None:
    feeds = {"grid_import": household(30), "heat_pump": household(30, seed=8) + 3.0}
    assert ("grid_import", "balance") in rules(judge(building(feeds)))
    assert judge(building(feeds, separate=("heat_pump",))).findings == ()


def test_the_rules_know_quarter_hours() -> None:
    feeds = {"grid_import": np.random.default_rng(3).uniform(0.05, 0.3, 96 * 30)}
    feeds["grid_import"][960 : 960 + 47] = 0.1  # just short of half a day
    assert judge(building(feeds, step_h=0.25)).findings == ()
    feeds["grid_import"][960 : 960 + 48] = 0.1
    assert rules(judge(building(feeds, step_h=0.25))) == {("grid_import", "straight line")}


@given(
    st.lists(
        st.one_of(st.just(float("nan")), st.floats(0.0, 900.0, allow_nan=False)),
        min_size=1,
        max_size=120,
    ),
    st.sampled_from(["grid_import", "grid_export", "pv", "ev", "refrigerator", "dishwasher"]),
)
def test_any_series_is_judged_and_none_is_changed(values: list[float], feed: str) -> None:
    series = np.array(values)
    before = series.copy()
    judgement = judge(building({feed: series}))
    np.testing.assert_array_equal(series, before)
    codes = judgement.codes[feed]
    assert codes.shape == series.shape
    assert np.all(codes[np.isnan(series)] != 0)
    assert sum(finding.steps for finding in judgement.findings) == np.count_nonzero(codes)


Found = dict[tuple[str, str, str], Finding]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> dict[str, BuildingData]:
    file = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    return {d.building.removeprefix("DE_KN_"): d for d in read_opsd(file).buildings}


@pytest.fixture(scope="module")
def found(real: dict[str, BuildingData]) -> Found:
    return {
        (name, finding.feed, finding.rule): finding
        for name, data in real.items()
        for finding in judge(data).findings
    }


@pytest.mark.real_data
def test_what_is_wrong_with_the_real_meters(found: Found) -> None:
    stuck = {key[0]: f.steps for key, f in found.items() if key[1:] == ("grid_import", "stuck")}
    n_steps = {"industrial3": 14360, "residential2": 24939, "residential3": 33210}
    share_pct = {name: round(100 * n / n_steps[name], 1) for name, n in stuck.items()}
    assert share_pct == {"industrial3": 19.9, "residential2": 36.7, "residential3": 64.2}
    spikes = {key[:2]: f.steps for key, f in found.items() if key[2] == "spike"}
    assert spikes == {("residential3", "pv"): 7, ("residential3", "grid_import"): 1}
    ended = {
        key[1]: str(f.span_utc[0].astype("datetime64[D]"))
        for key, f in found.items()
        if key[0] == "residential4" and key[2] == "out of service"
    }
    assert ended.items() >= {
        ("refrigerator", "2017-01-04"),
        ("heat_pump", "2017-03-06"),
        ("dishwasher", "2017-03-21"),
    }
    late_export = found["residential6", "grid_export", "stuck"].span_utc[1]
    assert str(late_export.astype("datetime64[D]")) == "2016-05-13"


@pytest.mark.real_data
def test_copied_days_lie_whole_weeks_apart(real: dict[str, BuildingData]) -> None:
    ev = real["residential4"].energy_kwh["ev"]
    repeats = {
        days: np.count_nonzero((ev[24 * days :] == ev[: -24 * days]) & (ev[24 * days :] > 0.05))
        for days in range(1, 15)
    }
    assert min(repeats[7], repeats[14]) > 50
    assert max(n for days, n in repeats.items() if days % 7) < 20


@pytest.mark.real_data
def test_how_the_real_buildings_are_metered(real: dict[str, BuildingData]) -> None:
    separate = {
        (name, feed.name)
        for name, data in real.items()
        for feed in data.feeds
        if not feed.behind_import
    }
    assert separate == {("residential1", "heat_pump"), ("residential1", "pv")}
    assert {name: data.load_rule for name, data in real.items()} == {
        "industrial3": "import+pv-export",
        "residential1": "import+submetered",
        "residential2": "import",
        "residential3": "import+pv-export",
        "residential4": "import+pv-export",
        "residential5": "import",
        "residential6": "import+pv-export",
    }
