"""Forecasts are drawn as they were made, one behind the other, and skills in their month."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pytest
from report.figures.made import TWIN

from ems.errors import InvalidSpec
from ems.forecast.rolling_origin import ModelScores, Scores
from ems.forecast.series import LEVELS, Forecast, Series
from ems.report.figures.forecasts import LEAST_HOURS, fan_chart, skill_by_month
from ems.site.place import KONSTANZ

N = 96
TS_UTC = np.datetime64("2016-06-01T00:00", "s") + np.arange(N) * np.timedelta64(3600, "s")


def pair(origins: list[int], n_steps: int = 30) -> tuple[Series, Forecast]:
    series = Series(
        who="house load",
        unit="kW",
        ts_utc=TS_UTC,
        step_h=1.0,
        timezone="Europe/Berlin",
        place=KONSTANZ,
        values=np.arange(N, dtype=float),
    )
    centre = np.array(origins)[:, None, None] + np.arange(n_steps)[None, None, :]
    values = centre + 10.0 * (LEVELS[None, :, None] - 0.5)
    forecast = Forecast(
        who=series.who, unit="kW", model="made", origins=np.array(origins), values=values
    )
    return series, forecast


def test_each_forecast_is_drawn_until_the_next_is_made() -> None:
    figure = fan_chart([pair([0, 24, 48])], title="t", origin=TWIN)
    median, truth = figure.axes[0].get_lines()[:2]
    assert len(median.get_xdata()) == 24 + 24 + 30
    np.testing.assert_allclose(median.get_ydata(), truth.get_ydata())


def test_what_lies_behind_the_end_of_the_series_is_left_out() -> None:
    figure = fan_chart([pair([80])], title="t", origin=TWIN)
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == N - 80


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InvalidSpec, match="no forecast is given"):
        fan_chart([], title="t", origin=TWIN)


def scores(skill: float, n: int = LEAST_HOURS) -> Scores:
    return Scores(
        n=n,
        n_unknown=0,
        mae=1.0,
        bias=0.0,
        skill=skill,
        pinball=(0.5,) * 9,
        coverage=0.8,
        width=1.0,
    )


def by_month(**months: Scores) -> ModelScores:
    named = {f"2016-{name[1:]}": each for name, each in months.items()}
    return ModelScores(
        who="house", unit="kW", model="made", overall=scores(0.0), by_month=named, by_lead={}
    )


def test_every_skill_stands_in_its_row_and_month() -> None:
    one = by_month(m03=scores(0.1), m05=scores(-0.3))
    two = by_month(m04=scores(0.2, LEAST_HOURS - 1), m05=scores(0.4))
    panels = {"load": {"a": one, "b": two}, "PV": {"b": by_month(m04=scores(0.7))}}
    figure = skill_by_month(panels, title="t", origin=TWIN)
    load, pv = (ax.collections[0] for ax in figure.axes[:2])
    nan = np.nan
    np.testing.assert_array_equal(load.get_array().filled(nan), [[0.1, nan, -0.3], [nan, nan, 0.4]])
    np.testing.assert_array_equal(pv.get_array().filled(nan), [[nan, 0.7, nan]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    top, bottom = (load.get_coordinates()[i, 0, 1] for i in (0, -1))
    assert figure.axes[0].get_ylim() == (bottom, top)
    begins = [str(mdates.num2date(x).date()) for x in load.get_coordinates()[0, :, 0]]
    assert begins == ["2016-03-01", "2016-04-01", "2016-05-01", "2016-06-01"]


def test_better_than_persistence_is_blue_and_worse_red() -> None:
    made = by_month(m03=scores(0.5), m04=scores(-0.5), m05=scores(0.0))
    figure = skill_by_month({"load": {"a": made}}, title="t", origin=TWIN)
    mesh = figure.axes[0].collections[0]
    better, worse, same = mesh.to_rgba(mesh.get_array())[0, :, :3]
    assert better[2] > better[0] + 0.2
    assert worse[0] > worse[2] + 0.2
    assert same.min() > 0.95


def test_no_month_to_draw_is_said() -> None:
    with pytest.raises(InvalidSpec, match="no month is scored"):
        skill_by_month({"load": {"a": by_month()}}, title="t", origin=TWIN)
