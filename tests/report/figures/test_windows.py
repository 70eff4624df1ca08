"""Heat maps of hour × day and load duration curves read back from the figures."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from report.figures.made import TWIN, stairs_of, titles

from ems.errors import InvalidSpec
from ems.report.figures.style import MODE_LINES
from ems.report.figures.windows import DayMap, day_maps, load_duration

TEXTS: Any = {"title": "home", "note": "tariff tou", "origin": TWIN}
METERED, OURS = MODE_LINES["as_metered"], MODE_LINES["centralized"]
JUNE = date(2016, 6, 1)


def mapped(first: date, values: Any, n_days: int = 1, step_h: float = 1.0) -> DayMap:
    """From local day and hour of each step, as the results database has them."""
    index = pd.date_range(
        str(first),
        str(first + timedelta(days=n_days)),
        freq=pd.Timedelta(hours=step_h),
        tz="Europe/Berlin",
        inclusive="left",
    )
    hours = (index.hour + index.minute / 60.0).to_numpy(float)
    return DayMap.of("price [ct/kWh]", list(index.date), hours, values, "Blues")


def test_the_hour_that_spring_skips_is_empty_and_the_doubled_one_of_autumn_a_mean() -> None:
    spring = mapped(date(2016, 3, 27), np.arange(23.0)).table[:, 0]
    assert np.flatnonzero(np.isnan(spring)).tolist() == [2]
    assert list(spring[[0, 1, 3, 4]]) == [0.0, 1.0, 2.0, 3.0]
    autumn = mapped(date(2016, 10, 30), np.arange(25.0)).table[:, 0]
    assert list(autumn[[1, 2, 3, 23]]) == [1.0, 2.5, 4.0, 24.0]
    unknown = mapped(JUNE, np.where(np.arange(24) == 7, np.nan, 1.0)).table[:, 0]
    assert np.flatnonzero(np.isnan(unknown)).tolist() == [7]


@given(seed=st.integers(0, 99), n_days=st.integers(1, 4))
def test_quarter_hours_are_averaged(seed: int, n_days: int) -> None:
    values = np.random.default_rng(seed).normal(size=96 * n_days)
    table = mapped(JUNE, values, n_days=n_days, step_h=0.25).table
    assert table.shape == (24, n_days)
    assert np.allclose(table.T.ravel(), values.reshape(-1, 4).mean(axis=1))


def test_every_quantity_has_a_panel_and_days_between_are_empty() -> None:
    days = [JUNE, date(2016, 6, 4)]
    table = np.arange(48.0).reshape(24, 2)
    made = [
        DayMap(label=label, days=days, table=i + table, colours="Blues", least=0.0)
        for i, label in enumerate(("load [kW]", "charge of the battery [kWh]"))
    ]
    figure = day_maps(made, **TEXTS)
    assert titles(figure.axes[:2]) == ["load [kW]", "charge of the battery [kWh]"]
    for i, ax in enumerate(figure.axes[:2]):
        (mesh,) = ax.collections
        drawn = np.ma.filled(mesh.get_array(), np.nan).reshape(24, 4)
        assert np.isnan(drawn[:, 1:3]).all()
        assert np.array_equal(drawn[:, [0, 3]], i + table)
        edges = mesh.get_coordinates()[0, :, 0]
        assert np.allclose(edges, mdates.date2num(days[0]) + np.arange(5))
        assert list(mesh.get_coordinates()[[0, 24], 0, 1]) == [0.0, 24.0]
        assert mesh.get_clim() == (0.0, 47.0 + i)
        assert mesh.get_rasterized()


@given(power_kw=hnp.arrays(float, st.integers(1, 40), elements=st.floats(-20, 20)))
def test_a_curve_is_the_sorted_powers_over_the_share_of_the_time(power_kw: Any) -> None:
    (ax,) = load_duration([(OURS, power_kw), (METERED, np.ones(96))], **TEXTS).axes
    assert [patch.get_gid() for patch in ax.patches] == ["centralized", "as metered"]
    values, edges, _ = stairs_of(ax, f"centralized: up to {power_kw.max():.1f} kW")
    assert sorted(values) == sorted(power_kw)
    assert (np.diff(values) <= 0.0).all()
    assert (edges[0], edges[-1]) == ax.get_xlim() == (0.0, 100.0)
    assert np.allclose(np.diff(edges), 100.0 / len(power_kw))
    assert ax.get_ylabel() == "mean power of a step [kW]\n← exports | imports →"


def test_nothing_to_draw_is_refused() -> None:
    for maps in ([], [DayMap.of("a [kW]", [], np.array([]), np.array([]), "x")]):
        with pytest.raises(InvalidSpec, match="nothing to map"):
            day_maps(maps, **TEXTS)
    for curves in ([], [(OURS, np.array([]))]):
        with pytest.raises(InvalidSpec, match="no power at the grid"):
            load_duration(curves, **TEXTS)
