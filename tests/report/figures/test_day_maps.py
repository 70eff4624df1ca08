"""Heat maps of hour × day read back from the figure."""

from __future__ import annotations

from datetime import date, timedelta

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.figures.made import TWIN

from ems.errors import InvalidSpec
from ems.report.figures.day_maps import DayMap, day_maps

TEXTS = {"title": "home · price", "note": "tariff tou", "origin": TWIN}
SPRING, AUTUMN = date(2016, 3, 27), date(2016, 10, 30)


def steps(first: date, n_days: int = 1, step_h: float = 1.0) -> tuple[list[date], np.ndarray]:
    """Local day and hour of each step, as the results database has them."""
    index = pd.date_range(
        str(first),
        str(first + timedelta(days=n_days)),
        freq=pd.Timedelta(hours=step_h),
        tz="Europe/Berlin",
        inclusive="left",
    )
    hours = index.hour + index.minute / 60.0
    return list(index.date), hours.to_numpy(float)


def mapped(first: date, values: np.ndarray, **kwargs: float) -> DayMap:
    days, hours = steps(first, **kwargs)  # type: ignore[arg-type]
    return DayMap.of("price [ct/kWh]", days, hours, values, "Blues")


def test_an_hour_that_spring_skips_is_empty() -> None:
    table = mapped(SPRING, np.arange(23.0)).table
    assert np.isnan(table[2, 0])
    assert np.isfinite(np.delete(table[:, 0], 2)).all()
    assert list(table[:5, 0][[0, 1, 3, 4]]) == [0.0, 1.0, 2.0, 3.0]


def test_the_hour_that_autumn_doubles_is_the_mean_of_both() -> None:
    table = mapped(AUTUMN, np.arange(25.0)).table
    assert table[2, 0] == pytest.approx(2.5)
    assert list(table[[1, 3, 23], 0]) == [1.0, 4.0, 24.0]


@given(seed=st.integers(0, 99), n_days=st.integers(1, 4))
def test_quarter_hours_are_averaged(seed: int, n_days: int) -> None:
    values = np.random.default_rng(seed).normal(size=96 * n_days)
    table = mapped(date(2016, 6, 1), values, n_days=n_days, step_h=0.25).table
    assert table.shape == (24, n_days)
    assert np.allclose(table.T.ravel(), values.reshape(-1, 4).mean(axis=1))


def test_a_value_that_is_not_known_leaves_its_hour_empty() -> None:
    values = np.arange(24.0)
    values[7] = np.nan
    table = mapped(date(2016, 6, 1), values).table
    assert np.flatnonzero(np.isnan(table[:, 0])).tolist() == [7]


def test_days_between_are_empty_columns_and_each_day_lies_around_its_date() -> None:
    days = [date(2016, 6, 1), date(2016, 6, 4)]
    table = np.arange(48.0).reshape(24, 2)
    made = DayMap(label="load [kW]", days=days, table=table, colours="Blues", least=0.0)
    figure = day_maps([made], **TEXTS)  # type: ignore[arg-type]
    (mesh,) = figure.axes[0].collections
    drawn = np.ma.filled(mesh.get_array(), np.nan).reshape(24, 4)
    assert np.isnan(drawn[:, 1:3]).all()
    assert np.array_equal(drawn[:, [0, 3]], table)
    edges = mesh.get_coordinates()[0, :, 0]
    assert np.allclose(edges, mdates.date2num(days[0]) - 0.5 + np.arange(5))
    assert list(mesh.get_coordinates()[[0, 24], 0, 1]) == [0.0, 24.0]
    assert mesh.get_clim() == (0.0, 47.0)
    assert mesh.get_gid() == "load [kW]"
    assert mesh.get_rasterized()


def test_a_panel_for_each_quantity_by_its_label() -> None:
    days = [date(2016, 6, 1)]
    labels = ["price [ct/kWh]", "load [kW]", "charge of the battery [kWh]"]
    made = [
        DayMap(label=label, days=days, table=np.full((24, 1), i + 0.5), colours="Blues")
        for i, label in enumerate(labels)
    ]
    figure = day_maps(made, **TEXTS)  # type: ignore[arg-type]
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == labels
    assert [float(ax.collections[0].get_array()[0, 0]) for ax in panels] == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("maps", [[], [DayMap.of("a [kW]", [], np.array([]), np.array([]), "x")]])
def test_nothing_to_map_is_refused(maps: list[DayMap]) -> None:
    with pytest.raises(InvalidSpec, match="nothing to map"):
        day_maps(maps, **TEXTS)  # type: ignore[arg-type]
