from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from forecast.made_series import altered, series, step_at

from ems.errors import DataError, InvalidSpec
from ems.forecast.weather import WeatherAgent
from ems.site.weather import RecordedWeather
from ems.types import Floats

HOUR = np.timedelta64(3600, "s")
MADE = series(20)


def recorded(issued: list[int], *, n_leads: int = 72, delay: int = 8) -> RecordedWeather:
    """Forecasts of ``MADE`` issued at some of its steps; their runs begin ``delay`` steps before.

    Each says 1000 · (its number) + the step it speaks of.
    """
    steps = np.array(issued)[:, None] - delay + np.arange(n_leads)
    return RecordedWeather(
        site="made",
        issued_utc=MADE.ts_utc[0] + np.array(issued) * HOUR,
        first_utc=MADE.ts_utc[0] + (np.array(issued) - delay) * HOUR,
        step_h=1.0,
        values={"ghi_w_per_m2": 1000.0 * np.arange(len(issued))[:, None] + steps},
    )


def test_persisting_weather_is_that_of_the_newest_day_known() -> None:
    agent = WeatherAgent()
    origin = 10 * 24 + 5
    found = agent.forecast(MADE, np.array([origin]), 48)
    measured = MADE.weather["temperature_c"]
    day = measured[origin - 24 : origin]
    np.testing.assert_array_equal(found.values["temperature_c"][0], np.tile(day, 2))
    assert agent.mode == found.model == "persistence"
    assert found.issued_utc[0] == MADE.ts_utc[origin]


@pytest.mark.parametrize("first", ["2016-03-20", "2016-10-23"])
def test_persistence_keeps_the_local_hour_when_clocks_change(first: str) -> None:
    made = series(15, first=first)
    by_hour: Floats = np.asarray(made.local.hour, dtype=np.float64)
    made = replace(made, weather={"temperature_c": by_hour})
    change = made.local[7 * 24].normalize().tz_localize(None)
    origin = step_at(made, str(change))
    found = WeatherAgent().forecast(made, np.array([origin]), 48)
    wanted = by_hour[origin : origin + 48]
    differs = found.values["temperature_c"][0] != wanted
    assert differs.sum() <= 1  # the hour that is there once or twice


def test_what_comes_after_the_origin_changes_nothing() -> None:
    origin = 10 * 24 + 7
    before = WeatherAgent().forecast(MADE, np.array([origin]), 48)
    after = WeatherAgent().forecast(altered(MADE, origin), np.array([origin]), 48)
    np.testing.assert_array_equal(before.values["temperature_c"], after.values["temperature_c"])


def test_the_first_day_knows_nothing_of_the_hours_it_has_not_seen() -> None:
    found = WeatherAgent().forecast(MADE, np.array([6]), 24).values["temperature_c"][0]
    np.testing.assert_array_equal(found[18:], MADE.weather["temperature_c"][:6])
    assert np.isnan(found[:18]).all()


def test_a_recorded_forecast_is_used_from_its_issue_on_and_says_when_it_was_issued() -> None:
    issues = recorded([100, 112, 124])
    agent = WeatherAgent(recorded=issues)
    origins = np.array([100, 111, 112, 130])
    found = agent.forecast(MADE, origins, 24)
    assert agent.mode == found.model == "recorded"
    np.testing.assert_array_equal(found.issued_utc, issues.issued_utc[[0, 0, 1, 2]])
    assert (found.issued_utc <= MADE.ts_utc[origins]).all()
    said = 1000.0 * np.array([0, 0, 1, 2])[:, None] + origins[:, None] + np.arange(24)
    np.testing.assert_array_equal(found.values["ghi_w_per_m2"], said)


def test_a_forecast_issued_later_changes_nothing() -> None:
    issues = recorded([100, 112, 124])
    later = {"ghi_w_per_m2": issues.values["ghi_w_per_m2"].copy()}
    later["ghi_w_per_m2"][1:] = -1.0
    origins = np.array([100, 111])
    one, other = (
        WeatherAgent(recorded=known).forecast(altered(MADE, 100), origins, 24)
        for known in (issues, replace(issues, values=later))
    )
    np.testing.assert_array_equal(one.values["ghi_w_per_m2"], other.values["ghi_w_per_m2"])


def test_without_a_recent_forecast_there_is_no_belief() -> None:
    agent = WeatherAgent(recorded=recorded([100]), max_age_h=24.0)
    agent.forecast(MADE, np.array([124]), 24)
    for origin, newest in ((99, "none"), (125, "the newest was issued 2016-02-05T03:00:00Z")):
        with pytest.raises(DataError, match=f"issued in the 24 h before .*{newest}") as caught:
            agent.forecast(MADE, np.array([origin]), 24)
        assert "\n" not in str(caught.value)
        assert "plan with persisting weather" in str(caught.value)


def test_a_forecast_that_does_not_reach_is_named() -> None:
    agent = WeatherAgent(recorded=recorded([100], n_leads=30))
    agent.forecast(MADE, np.array([100]), 22)
    with pytest.raises(DataError, match="issued 2016-02-05T03:00:00Z has no ghi_w_per_m2 at"):
        agent.forecast(MADE, np.array([100]), 23)


def test_a_quarter_hour_takes_the_value_of_its_hour() -> None:
    fine = series(20, step_h=0.25)
    found = WeatherAgent(recorded=recorded([100])).forecast(fine, np.array([400]), 8)
    assert found.values["ghi_w_per_m2"][0].tolist() == [100.0] * 4 + [101.0] * 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"issued_utc": MADE.ts_utc[[5, 4]]}, "2 issue times, expected at least one and every one"),
        (
            {"values": {"ghi_w_per_m2": np.zeros((3, 4))}},
            r"shape \(3, 4\), expected \(2, n_leads\)",
        ),
    ],
)
def test_records_in_order(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        replace(recorded([100, 112]), **changed)  # type: ignore[arg-type]


def test_an_age_above_zero() -> None:
    with pytest.raises(InvalidSpec, match="max_age_h = 0, must be above 0"):
        WeatherAgent(max_age_h=0.0)
