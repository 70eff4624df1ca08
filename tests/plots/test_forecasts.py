"""The fan chart shows the forecasts that were made, one behind the other."""

from __future__ import annotations

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.forecast.series import LEVELS, Forecast, Series
from ems.plots.forecasts import fan_chart
from plots.made import TWIN

N = 96
TS_UTC = np.datetime64("2016-06-01T00:00", "s") + np.arange(N) * np.timedelta64(3600, "s")


def pair(origins: list[int], n_steps: int = 30) -> tuple[Series, Forecast]:
    series = Series(
        who="house load",
        unit="kW",
        ts_utc=TS_UTC,
        step_h=1.0,
        timezone="Europe/Berlin",
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
