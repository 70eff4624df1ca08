"""Profiles of a day and energies of the days: the numbers that are drawn, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from small_building import local_index, made

from ems.report.figures.profiles import SEASONS, daily_energies, daily_profiles, energies_kwh
from ems.report.health import measured
from ems.site.meters import MeterData
from ems.site.place import Place

FIRST = date(2016, 6, 1)  # a Wednesday
N_DAYS = 7


def house() -> MeterData:
    """A week of June: 1 kW on workdays, 2 kW at the weekend, and the third day unknown at noon."""
    index = local_index(FIRST, N_DAYS)
    load_kwh = np.where(index.day_of_week >= 5, 2.0, 1.0)
    load_kwh[2 * 24 + 12] = np.nan
    return replace(made(index, pv_kwh=np.zeros(len(index))), load_kwh=load_kwh)


def test_workdays_and_free_days_of_a_season_are_apart() -> None:
    summer = daily_profiles(house()).axes[2]
    workday, free = (line.get_ydata() for line in summer.lines[:2])
    assert workday == pytest.approx(np.ones(24))
    assert free == pytest.approx(np.full(24, 2.0))


def test_a_season_of_which_nothing_is_known_says_so() -> None:
    axes = daily_profiles(house()).axes
    told = [[text.get_text() for text in ax.texts] for ax in axes[: len(SEASONS)]]
    assert told == [["nothing known"], ["nothing known"], []]


def test_june_is_winter_south_of_the_equator() -> None:
    south = Place(
        name="Sydney", latitude_deg=-33.9, longitude_deg=151.2, country="AU", subdivision="NSW"
    )
    axes = daily_profiles(replace(house(), place=south)).axes
    assert [len(ax.texts) for ax in axes[: len(SEASONS)]] == [0, 1, 1]


def test_a_day_with_a_gap_is_grey_and_has_no_energy() -> None:
    load = daily_energies(house()).axes[0]
    (drawn,) = [patch for patch in load.patches if patch.get_gid() == "load"]
    values = drawn.get_data().values
    assert values[[0, 3, 6]] == pytest.approx([24.0, 48.0, 24.0])
    assert np.isnan(values).tolist() == [False, False, True, False, False, False, False]
    assert len(load.patches) == 2  # the line and one gap


def test_only_what_is_metered_is_drawn() -> None:
    assert list(energies_kwh(house())) == ["load", "import", "export", "PV"]
    assert list(energies_kwh(made(local_index(FIRST, 1)))) == ["load", "import", "export"]
    assert len(daily_energies(house()).axes) == 4


def test_what_is_measured_is_told_beside_what_is_usual() -> None:
    told = measured(house(), ())
    assert told.startswith("### made_house")
    assert "grid_import (import), grid_export (export), pv (pv)" in told
    assert "| load in a year | " in told
