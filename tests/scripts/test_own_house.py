"""A database with one house of its own: every script plans it at once, with what it has."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from called_script import A, B, C, one_line
from pipeline_run import Place
from small_store import building, dataset, household, sunshine

from ems.pipelines.spec import PLANNED
from ems.store.build import build_database

N_DAYS = 70


@cache
def readings(n_days: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """A home with sun and a dishwasher that runs on most evenings, and no car [kWh]."""
    rest, sun = household(n_days), sunshine(n_days)
    dishwasher = np.zeros(24 * n_days)
    for day in range(n_days):
        if day % 4:
            dishwasher[24 * day + 19 : 24 * day + 21] = (0.9, 0.4)
    net = rest + dishwasher - sun
    return {
        "grid_import": np.maximum(net, 0.0),
        "grid_export": np.maximum(-net, 0.0),
        "pv": sun,
        "dishwasher": dishwasher,
    }


def homes(folder: Path, *names: str, n_days: int = N_DAYS) -> Place:
    """A place whose database holds homes of these names, and no prices."""
    found = [replace(building(readings(n_days)), building=name) for name in names]
    file = folder / "own.duckdb"
    build_database(dataset(*found), file)
    return Place(folder, file)


@pytest.mark.parametrize(
    ("script", "args"),
    [
        (A, ("--tariff", "flat", "--n_days", "2")),
        (B, ("--tariff", "flat", "--n_days", "2", "--preference_eur", "0.1")),
        (C, ("--lr_tau_values", "10")),
    ],
)
def test_one_house_is_planned_without_its_name(
    tmp_path: Path, script: str, args: tuple[str, ...]
) -> None:
    place = homes(tmp_path, "my_home")
    done = place.call(script, *args)
    assert done.code == 0, done.err
    assert "my_home" in done.out
    # No car that it does not have.
    assert "EV" not in done.out
    assert "car" not in done.words.split("Definitions")[0].split()


def test_several_houses_are_asked_for_and_named(tmp_path: Path) -> None:
    place = homes(tmp_path, "my_home", "your_home", n_days=3)
    for script in (A, B, C):
        tariff = () if script == C else ("--tariff", "flat")
        one_line(place.call(script, *tariff), "which building.* one of my_home, your_home")


def test_without_prices_the_line_names_a_tariff_that_works(tmp_path: Path) -> None:
    place = homes(tmp_path, "my_home", n_days=3)
    one_line(place.call(A), r"plan with --tariff flat, or your own by scripts/tariff\.py")


def test_forecasts_on_a_short_record_say_what_they_need(tmp_path: Path) -> None:
    place = homes(tmp_path, "my_home", n_days=40)
    args = ("--tariff", "flat", "--foresight", "forecast", "--n_days", "1")
    says = (
        r"it has 39 days, .* learned forecasts need 28 known days .* the first day that can be "
        r"planned on them is 2016-03-30 \(--start\)"
    )
    one_line(place.call(A, *args), says)
    one_line(place.call(B, *args), says)
    done = place.call(A, *args, "--start", "2016-03-30", "--mode", "centralized")
    assert done.code == 0, done.err
    assert "before 2016-03-30 lie 28." in done.words


def test_habits_on_a_short_record_say_how_many_days_there_are(tmp_path: Path) -> None:
    place = homes(tmp_path, "my_home", n_days=5)
    one_line(place.call(B, "--tariff", "flat"), r"14 known days of dishwasher \(\d\) before it")


def test_a_plan_that_raises_the_highest_import_is_said(tmp_path: Path) -> None:
    """Charged at 20 kW where the price is low, the battery buys more at once than the people."""
    place = homes(tmp_path, "my_home", n_days=4)
    args = ("--tariff", "tou", "--n_days", "1", "--battery_kw", "20", "--wear_eur_per_kwh", "0")
    loud = place.call(A, *args, "--battery_kwh", "40", "--battery_start_kwh", "0")
    assert loud.code == 0, loud.err
    said = re.search(
        r"peak my_home: .* raises the highest import from (\S+) to (\S+) kW", loud.words
    )
    assert said is not None, loud.words
    before, after = (float(kw) for kw in said.groups())
    assert after > 1.2 * before
    peaks = dict(
        place.found(
            "SELECT mode, max(value) FROM day_result WHERE kpi = 'peak_import_kw' GROUP BY 1"
        )
    )
    planned = max(peaks[mode] for mode in PLANNED)
    assert (before, after) == pytest.approx((peaks["as_metered"], planned), abs=0.051)
    quiet = place.call(A, *args, "--battery", "off", "--appliances", "off")
    assert "raises the highest import" not in quiet.words
