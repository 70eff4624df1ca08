"""Cycles and sessions: known answers, conservation, a planted truth, real meters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ems.errors import DataError, InvalidSpec
from ems.site.detection import (
    charger_kw,
    detect_cycles,
    detect_sessions,
    summarise_cycles,
)
from ems.twin.generate import Twin, generate
from ems.types import Floats

DISHWASHER = [0.4, 0.6, 0.1]


def series(n: int, *runs: tuple[int, list[float]]) -> Floats:
    energy = np.zeros(n)
    for start, profile in runs:
        energy[start : start + len(profile)] += profile
    return energy


# --- known answers ------------------------------------------------------------------------


ALONE = [(start, DISHWASHER) for start in (7, 40, 70, 100, 130)]
PAUSED = [0.3, 0.3, 0.0, 0.0, 0.2]
LONG = [0.3, 0.4, 0.1, 0.1, 0.2]
SLOW = [0.004, *LONG]
HEATER = [0.0125, 0.0125, 0.5, 0.5, 0.0125, 0.0125]
SOFT = [0.01, 0.5, 0.5]


def four(profile: list[float]) -> list[tuple[int, list[float]]]:
    return [(start, profile) for start in (10, 60, 110, 160)]


KNOWN: dict[str, tuple[float, Floats, list[tuple[int, int]]]] = {
    "two runs": (1.0, series(48, (7, DISHWASHER), (30, [0.5, 0.5])), [(7, 3), (30, 2)]),
    "standby stays in the base load": (1.0, series(48, (7, DISHWASHER)) + 0.004, [(7, 3)]),
    "hours filled in part": (1.0, series(48, (7, [0.005, 0.6, 0.4, 0.004])), [(7, 4)]),
    "a faint hour belongs to the earlier": (
        1.0,
        series(48, (7, [0.6, 0.4, 0.005, 0.6, 0.4])),
        [(7, 3), (10, 2)],
    ),
    "noise": (1.0, series(200, (7, DISHWASHER), (30, [0.02, 0.03, 0.02]), (90, [0.01])), [(7, 3)]),
    "back to back": (
        1.0,
        series(240, *ALONE, (160, DISHWASHER * 2), (200, DISHWASHER * 3)),
        [(start, 3) for start in (7, 40, 70, 100, 130, 160, 163, 200, 203, 206)],
    ),
    "a short pause is in a programme, a long one is not": (
        0.25,
        series(400, *four(PAUSED), (300, [0.3, 0.3, 0.0, 0.0, 0.0, 0.2, 0.2])),
        [(10, 5), (60, 5), (110, 5), (160, 5), (300, 2), (305, 2)],
    ),
    "a pause between two is in neither": (
        0.25,
        series(400, *four(LONG), (300, [*LONG, 0.0, *LONG])),
        [(10, 5), (60, 5), (110, 5), (160, 5), (300, 5), (306, 5)],
    ),
    "the second begins in the step it filled in part": (
        0.25,
        series(400, *four(SLOW), (300, [*SLOW, 0.0, *SLOW])),
        [(10, 6), (60, 6), (110, 6), (160, 6), (300, 6), (307, 6)],
    ),
    "none begins in a pause": (
        0.25,
        series(400, *four(SOFT), (300, [*SOFT, 0.0, 0.5, 0.5])),
        [(10, 3), (60, 3), (110, 3), (160, 3), (300, 3), (304, 2)],
    ),
    "quiet quarters before the heater": (
        0.25,
        series(400, *four(HEATER)),
        [(10, 6), (60, 6), (110, 6), (160, 6)],
    ),
    "the strongest hour is of four quarters": (
        0.25,
        series(96, (10, [0.03] * 4), (50, [0.03] * 3)),
        [(10, 4)],
    ),
    "at an end of the series": (
        1.0,
        series(48, (0, DISHWASHER), (20, DISHWASHER), (45, DISHWASHER)),
        [(20, 3)],
    ),
    "never stops": (1.0, series(100, (10, [0.15] * 9), (40, DISHWASHER)), [(40, 3)]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(name: str) -> None:
    step_h, energy, expected = KNOWN[name]
    cycles = detect_cycles(energy, step_h)
    assert [(c.start, len(c.energy_kwh)) for c in cycles] == expected


def test_a_small_rest_is_not_parted_from_its_programme() -> None:
    cycles = detect_cycles(series(240, *ALONE, (160, [0.9, 0.8, 0.02, 0.03])), 1.0)
    assert all(sum(cycle.energy_kwh) >= 0.1 for cycle in cycles)


def test_runs_that_are_no_cycles_are_counted() -> None:
    assert summarise_cycles(KNOWN["noise"][1], 1.0).n_too_weak == 1
    endless = summarise_cycles(KNOWN["never stops"][1], 1.0)
    assert (endless.n_cycles, endless.n_too_long) == (1, 1)
    assert endless.too_long_share == pytest.approx(1.35 / 2.45)


@pytest.mark.parametrize("unknown", [6, 8, 10])
def test_a_run_that_touches_an_unknown_step_is_no_cycle(unknown: int) -> None:
    energy = series(48, (7, DISHWASHER), (30, DISHWASHER))
    energy[unknown] = np.nan
    assert [cycle.start for cycle in detect_cycles(energy, 1.0)] == [30]
    assert summarise_cycles(energy, 1.0).n_incomplete == 1 + (unknown == 8)


@pytest.mark.parametrize("energy", [np.zeros(0), np.zeros(50), np.full(50, np.nan)])
def test_a_silent_feed_has_nothing(energy: Floats) -> None:
    summary = summarise_cycles(energy, 1.0)
    assert (detect_cycles(energy, 1.0), detect_sessions(energy, 1.0)) == ((), ())
    assert (summary.n_cycles, summary.profile_kwh, summary.explained_share) == (0, (), 0.0)
    assert np.isnan(summary.median_energy_kwh)


def test_the_summary_describes_the_typical_cycle_in_days_hours_and_kw() -> None:
    whole = series(960, *((start, DISHWASHER) for start in (100, 300, 500, 700, 900)))
    summary, idle = summarise_cycles(whole, 0.25), summarise_cycles(whole + 0.001, 0.25)
    assert (summary.n_cycles, summary.cycles_per_day, summary.median_length_h) == (5, 0.5, 0.75)
    assert summary.median_energy_kwh == pytest.approx(1.1)
    assert summary.profile_kwh == pytest.approx(DISHWASHER)
    assert summary.explained_share == pytest.approx(1.0)
    assert idle.standby_kw == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("run", "unknown", "expected"),
    [
        # an hour of pause does not end a session, two do
        ([3.0, 0.0, 2.0, 0.0, 0.0, 1.0], None, [(7, 10, 5.0), (12, 13, 1.0)]),
        # it includes the steps it filled only a part of
        ([0.02, 3.6, 3.6, 0.02], None, [(7, 11, 7.24)]),
        # it ends at an unknown step with what was known
        ([3.0, 3.0, 3.0], 8, [(7, 8, 3.0), (9, 10, 3.0)]),
    ],
)
def test_sessions(
    run: list[float], unknown: int | None, expected: list[tuple[int, int, float]]
) -> None:
    energy = series(48, (7, run))
    if unknown is not None:
        energy[unknown] = np.nan
    found = [(s.start, s.end, s.energy_kwh) for s in detect_sessions(energy, 1.0)]
    assert found == [pytest.approx(session) for session in expected]


@pytest.mark.parametrize(
    ("peak_kw", "size_kw"),
    [(0.5, 3.7), (3.7, 3.7), (4.6, 7.4), (11.08, 11.0), (11.6, 22.0), (22.17, 22.0)],
)
def test_the_charger_is_the_smallest_that_delivers_what_was_metered(
    peak_kw: float, size_kw: float
) -> None:
    assert charger_kw(series(96, (10, [peak_kw / 4, peak_kw / 8])), 0.25) == size_kw


def test_no_charger_fits_a_silent_or_an_impossible_feed() -> None:
    with pytest.raises(DataError, match="never charges"):
        charger_kw(np.array([0.0, np.nan]), 1.0)
    with pytest.raises(DataError, match=r"draws 40\.0 kW"):
        charger_kw(np.array([0.0, 40.0]), 1.0)


@pytest.mark.parametrize("find", [detect_cycles, detect_sessions, summarise_cycles, charger_kw])
@pytest.mark.parametrize(
    ("energy", "step_h", "match"),
    [
        (np.zeros((2, 2)), 1.0, "one dimension"),
        (np.array([0.0, np.inf]), 1.0, "finite"),
        (np.zeros(3), 0.0, "step_h is 0"),
        (np.zeros(3), np.nan, "step_h is nan"),
    ],
)
def test_what_is_no_feed_is_refused(find, energy: Floats, step_h: float, match: str) -> None:
    with pytest.raises(InvalidSpec, match=match):
        find(energy, step_h)


def test_limits_must_be_positive() -> None:
    with pytest.raises(InvalidSpec, match="max_cycle_h is -1"):
        detect_cycles(np.zeros(3), 1.0, max_cycle_h=-1.0)
    with pytest.raises(InvalidSpec, match="min_hour_kwh is 0"):
        summarise_cycles(np.zeros(3), 1.0, min_hour_kwh=0.0)


# --- what must hold for every series --------------------------------------------------------

energies = st.lists(
    st.one_of(
        st.just(0.0), st.just(0.003), st.just(np.nan), st.floats(0.0, 2.0), st.floats(0.0, 0.05)
    ),
    min_size=1,
    max_size=120,
).map(np.array)
steps_h = st.sampled_from([1.0, 0.5, 0.25])
limits_kwh = st.sampled_from([1e-9, 0.01, 0.1])


@given(energies, steps_h, limits_kwh)
def test_cycles_are_the_metered_energy_and_never_overlap(
    energy: Floats, step_h: float, min_hour_kwh: float
) -> None:
    before = energy.copy()
    cycles = detect_cycles(energy, step_h, min_hour_kwh=min_hour_kwh)
    summary = summarise_cycles(energy, step_h, min_hour_kwh=min_hour_kwh)
    in_cycles = np.zeros_like(energy)
    end = 0
    for cycle in cycles:
        assert cycle.start >= end
        end = cycle.start + len(cycle.energy_kwh)
        in_cycles[cycle.start : end] = cycle.energy_kwh
        assert np.isfinite(energy[cycle.start - 1 : end + 1]).all()
        assert (len(cycle.energy_kwh) - 1) * step_h <= 6.0
    rest = energy - in_cycles
    standby_kwh = summary.standby_kw * step_h
    inside = in_cycles > 0.0
    np.testing.assert_allclose(rest[inside], standby_kwh, rtol=0.0, atol=1e-12)
    assert np.nansum(rest) + in_cycles.sum() == pytest.approx(np.nansum(energy), abs=1e-12)
    assert len(cycles) == summary.n_cycles
    np.testing.assert_array_equal(energy, before)


@given(energies, steps_h)
def test_sessions_hold_all_energy_above_the_threshold(energy: Floats, step_h: float) -> None:
    sessions = detect_sessions(energy, step_h)
    known = np.nan_to_num(energy)
    outside = known.copy()
    end = -1
    for session in sessions:
        assert session.start > end
        end = session.end
        assert np.isfinite(energy[session.start : end]).all()
        outside[session.start : end] = 0.0
        assert 0.0 < session.energy_kwh <= known[session.start : end].sum() + 1e-12
    finite = energy[np.isfinite(energy)]
    if finite.size:
        low, standby = np.quantile(finite, [0.05, 0.25])
        noise = 6.0 * (standby - low)
        assert (outside <= standby + max(noise, 0.01 * known.max() / step_h) + 1e-12).all()


# --- a planted truth ------------------------------------------------------------------------

HOURS = np.array([0.2] * 6 + [1, 2, 3, 3, 2, 2, 3, 3, 2, 2, 2, 3, 4, 5, 4, 3, 1.5, 0.5])


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A feed made of known runs: start and length of each, in steps."""

    energy_kwh: Floats
    runs: set[tuple[int, int]]


def plant(
    programmes_kw: list[list[float]], step_h: float, *, starts_a_day: int, seed: int
) -> Planted:
    """A year with up to ``starts_a_day`` runs on each day, hours drawn from ``HOURS``."""
    rng = np.random.default_rng(seed)
    per_hour = round(1 / step_h)
    n = 365 * 24 * per_hour
    energy = np.clip(rng.normal(0.003, 0.001, n), 0.0, None) * step_h
    busy = np.zeros(n, dtype=bool)
    runs = set()
    for day in range(365):
        for _ in range(rng.integers(0, starts_a_day + 1)):
            kw = np.array(programmes_kw[rng.integers(len(programmes_kw))])
            kw = kw * (1 + 0.05 * rng.standard_normal()) * rng.normal(1.0, 0.05, kw.size)
            start = (day * 24 + rng.choice(24, p=HOURS / HOURS.sum())) * per_hour
            start += rng.integers(per_hour)
            if start == 0 or start + kw.size >= n or busy[start : start + kw.size].any():
                continue
            busy[start : start + kw.size] = True
            energy[start : start + kw.size] += kw * step_h
            runs.add((int(start), kw.size))
    return Planted(energy_kwh=energy, runs=runs)


def precision_and_recall(planted: Planted, step_h: float) -> tuple[float, float, float]:
    """Shares of starts found that are true, of true starts found, of lengths right among them."""
    found = {(c.start, len(c.energy_kwh)) for c in detect_cycles(planted.energy_kwh, step_h)}
    begun, true = {start for start, _ in found}, {start for start, _ in planted.runs}
    hits = len(begun & true)
    return hits / len(begun), hits / len(true), len(found & planted.runs) / hits


def in_hours(planted: Planted) -> Planted:
    """The same feed as an hourly meter sees it."""
    runs = {
        (start // 4, (start + steps - 1) // 4 - start // 4 + 1) for start, steps in planted.runs
    }
    return Planted(energy_kwh=planted.energy_kwh.reshape(-1, 4).sum(axis=1), runs=runs)


HOURLY = {
    "one programme": [[0.55, 0.5, 0.12]],
    "two dishwasher programmes": [[0.5, 0.55], [0.45, 0.1, 0.35]],
    "short and long wash": [[0.4, 0.15], [0.9, 0.3, 0.1]],
}
QUARTER_HOURLY = {
    "dishwasher": [[0.06, 2.0, 1.1, 0.06, 0.06, 0.06, 1.9, 0.8, 0.05, 0.04]],
    "two wash programmes": [
        [0.1, 1.9, 1.2, 0.1, 0.15, 0.1, 0.3, 0.4],
        [0.1, 0.5, 0.1, 0.1, 0.3, 0.35],
    ],
}
CASES = [(name, kw, 1.0) for name, kw in HOURLY.items()]
CASES += [(name, kw, 0.25) for name, kw in QUARTER_HOURLY.items()]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "programmes_kw", "step_h"), CASES)
def test_planted_runs_are_found_to_the_step(
    name: str, programmes_kw: list[list[float]], step_h: float, seed: int
) -> None:
    planted = plant(programmes_kw, step_h, starts_a_day=2, seed=seed)
    precision, recall, lengths = precision_and_recall(planted, step_h)
    assert len(planted.runs) > 300
    assert precision >= 0.99
    assert recall >= 0.97
    assert lengths >= 0.95


def test_programmes_stay_apart_on_a_day_of_four() -> None:
    planted = plant(HOURLY["two dishwasher programmes"], 1.0, starts_a_day=4, seed=1)
    precision, recall, _ = precision_and_recall(planted, 1.0)
    assert min(precision, recall) >= 0.995


@pytest.mark.parametrize("name", QUARTER_HOURLY)
def test_runs_that_begin_within_an_hour_are_found_in_hourly_readings(name: str) -> None:
    planted = in_hours(plant(QUARTER_HOURLY[name], 0.25, starts_a_day=1, seed=7))
    precision, recall, _ = precision_and_recall(planted, 1.0)
    assert precision >= 0.97
    assert recall >= 0.97


def test_planted_single_runs_are_all_found() -> None:
    planted = plant(HOURLY["one programme"], 1.0, starts_a_day=1, seed=1)
    assert precision_and_recall(planted, 1.0) == (1.0, 1.0, 1.0)


# --- the twin, whose starts are known --------------------------------------------------------


@pytest.fixture(scope="module", params=[60, 15])
def twin(request: pytest.FixtureRequest) -> Twin:
    return generate(1, request.param)


def feeds(twin: Twin, category: str) -> Iterator[tuple[Floats, dict[int, tuple[int, float]]]]:
    """Each feed of a category with its true starts: step -> number of steps, energy [kWh]."""
    truth = twin.true_starts.groupby(["building", "feed"])
    for building in twin.buildings:
        for feed in building.feeds:
            if feed.category == category:
                true = truth.get_group((building.name, feed.name))
                since = true.ts_utc.to_numpy() - building.ts_utc[0]
                step = since // np.timedelta64(twin.step_minutes, "m")
                runs = zip(true.n_steps, true.energy_kwh, strict=True)
                yield building.energy_kwh[feed.name], dict(zip(step.tolist(), runs, strict=True))


def test_every_cycle_of_the_twin_is_found_to_the_step(twin: Twin) -> None:
    n = 0
    for energy, truth in feeds(twin, "discrete_phase"):
        cycles = detect_cycles(energy, twin.step_minutes / 60)
        assert {c.start: len(c.energy_kwh) for c in cycles} == {
            start: steps for start, (steps, _) in truth.items()
        }
        for cycle in cycles:
            assert sum(cycle.energy_kwh) == pytest.approx(truth[cycle.start][1], abs=1e-6)
        n += len(cycles)
    assert n > 5000


def test_every_session_of_the_twin_is_found(twin: Twin) -> None:
    n = 0
    for energy, truth in feeds(twin, "ev"):
        sessions = detect_sessions(energy, twin.step_minutes / 60)
        assert [session.start for session in sessions] == sorted(truth)
        for session in sessions:
            assert session.energy_kwh == pytest.approx(truth[session.start][1], abs=0.015)
        assert charger_kw(energy, twin.step_minutes / 60) == 3.7
        n += len(sessions)
    assert n > 500


# --- real meters ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def metered(shared_data: Path) -> dict[str, Floats]:
    """Hourly energy of the appliances and chargers of the OPSD household file, by feed."""
    path = shared_data / "opsd_household" / "household_data_60min_singleindex.csv.gz"
    wanted = re.compile(r"DE_KN_(.*_(dishwasher|washing_machine|ev))$")
    readings = pd.read_csv(path, usecols=lambda column: bool(wanted.match(column)))
    return {
        column.removeprefix("DE_KN_"): readings[column].diff().dropna().to_numpy()
        for column in readings
    }


PLAUSIBLE = {  # cycles a day, median energy [kWh], median length [h], least explained share
    "industrial3_dishwasher": ((1.2, 1.5), (1.0, 1.2), (2, 3), 0.99),
    "residential1_dishwasher": ((0.4, 0.55), (0.8, 1.0), (2, 3), 0.99),
    "residential2_dishwasher": ((0.4, 0.55), (1.1, 1.3), (2, 3), 0.98),
    "residential3_dishwasher": ((0.6, 0.8), (1.0, 1.2), (2, 3), 0.92),
    "residential4_dishwasher": ((0.2, 0.3), (0.6, 0.9), (2, 3), 0.96),
    "residential5_dishwasher": ((0.65, 0.85), (0.8, 1.0), (3, 4), 0.99),
    "residential6_dishwasher": ((0.02, 0.1), (0.3, 0.6), (2, 4), 0.1),
    "residential1_washing_machine": ((0.5, 0.8), (0.5, 0.8), (2, 3), 0.97),
    "residential2_washing_machine": ((0.5, 0.7), (0.5, 0.8), (2, 3), 0.98),
    "residential3_washing_machine": ((1.2, 1.7), (0.5, 1.0), (2, 4), 0.97),
    "residential4_washing_machine": ((0.18, 0.25), (0.7, 1.0), (3, 4), 0.96),
    "residential5_washing_machine": ((0.7, 0.9), (0.5, 0.7), (2, 4), 0.98),
    "residential6_washing_machine": ((0.15, 0.25), (0.3, 0.45), (2, 4), 0.75),
}


@pytest.mark.real_data
@pytest.mark.parametrize("feed", PLAUSIBLE)
def test_real_appliances_run_as_such_appliances_do(metered: dict[str, Floats], feed: str) -> None:
    a_day, energy_kwh, length_h, explained = PLAUSIBLE[feed]
    summary = summarise_cycles(metered[feed], 1.0)
    assert a_day[0] <= summary.cycles_per_day <= a_day[1]
    assert energy_kwh[0] <= summary.median_energy_kwh <= energy_kwh[1]
    assert length_h[0] <= summary.median_length_h <= length_h[1]
    assert explained <= summary.explained_share <= 1.0
    assert summary.too_long_share < 0.02


@pytest.mark.real_data
@pytest.mark.parametrize(("feed", "n"), [("residential4_ev", 493), ("industrial3_ev", 161)])
def test_real_cars_charge_within_their_sessions(
    metered: dict[str, Floats], feed: str, n: int
) -> None:
    energy = metered[feed]
    sessions = detect_sessions(energy, 1.0)
    assert len(sessions) == n
    assert sum(session.energy_kwh for session in sessions) > 0.998 * energy.sum()
    assert charger_kw(energy, 1.0) == 3.7
