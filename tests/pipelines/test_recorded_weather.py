"""Recorded forecasts of the weather reach the plans of a block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forecast.test_information import DAY, house, told
from small_building import device_of

from ems.errors import DataError
from ems.forecast.information import ForecastInformation
from ems.pipelines.comparison import DayChain
from ems.pipelines.forecasting import foresight_of
from ems.pipelines.spec import ComparisonSpec
from ems.site.building import Building
from ems.site.weather import RecordedWeather


def believed(recorded: RecordedWeather | None) -> ForecastInformation:
    plain = house()
    history = replace(plain.history, weather_forecast=recorded)
    building = Building(history, plain.tariff, plain.assets)
    spec = ComparisonSpec(
        tariff=plain.tariff,
        assets=plain.assets,
        modes=("centralized",),
        foresight="forecast",
        lookahead_h=0.0,
    )
    foresight = foresight_of(building, spec, DayChain(building=history.building, days=(DAY,)))
    assert isinstance(foresight, ForecastInformation)
    return foresight


def test_plans_are_made_from_recorded_forecasts_of_the_weather() -> None:
    told_kwh, blind_kwh = (
        device_of(believed(each).course(DAY, 0), "pv").generated_kwh for each in (told(), None)
    )
    assert (told_kwh != blind_kwh).any()


def test_a_block_that_they_do_not_cover_is_not_planned() -> None:
    late = replace(told(), issued_utc=told().issued_utc + np.timedelta64(60, "D"))
    with pytest.raises(DataError, match="no forecast of the weather of made issued in the 24 h"):
        believed(late)
