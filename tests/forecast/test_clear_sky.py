from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from forecast.made_sun import roof_kw, sunny

from ems.errors import DataError
from ems.forecast.clear_sky import ClearSkyRoof, Sun, plane_kw_per_m2
from ems.site.place import KONSTANZ, Place
from ems.types import Floats

PLACES = (
    KONSTANZ,
    Place(name="Hamburg", latitude_deg=53.55, longitude_deg=9.99, country="DE", subdivision="HH"),
    Place(name="Sydney", latitude_deg=-33.87, longitude_deg=151.21, country="AU", subdivision=""),
)


def sun_of(year: str = "2016", hours: int = 366 * 24) -> Sun:
    return Sun.at(KONSTANZ, np.datetime64(f"{year}-01-01", "s"), hours, 1.0)


def sun_at(elevation_deg: float, azimuth_deg: Floats) -> Sun:
    """A sun of the same height in several directions, of the same strength."""
    same = np.ones(len(azimuth_deg))
    return Sun(
        elevation_deg=elevation_deg * same,
        azimuth_deg=azimuth_deg,
        ghi_w_per_m2=500.0 * same,
        dni_w_per_m2=800.0 * same,
        dhi_w_per_m2=80.0 * same,
        up=same > 0.0,
    )


def test_there_is_no_sun_in_the_night_and_as_much_day_as_the_almanac_says() -> None:
    sun = sun_of()
    for quantity in (sun.ghi_w_per_m2, sun.dni_w_per_m2, sun.dhi_w_per_m2):
        assert (quantity[~sun.up] == 0.0).all()
        assert (quantity >= 0.0).all()
    june, december = (sun.elevation_deg[24 * day : 24 * day + 24] for day in (172, 355))
    assert june.max() == pytest.approx(90.0 - KONSTANZ.latitude_deg + 23.4, abs=0.5)
    assert december.max() == pytest.approx(90.0 - KONSTANZ.latitude_deg - 23.4, abs=0.5)
    assert (june > 0.0).sum() == 15
    assert (december > 0.0).sum() == 8


@pytest.mark.parametrize(
    ("day", "noon_utc"), [("2016-02-11", "11:37"), ("2016-05-15", "11:20"), ("2016-11-03", "11:07")]
)
def test_the_sun_stands_in_the_south_at_the_noon_of_the_almanac(day: str, noon_utc: str) -> None:
    """12:00 less 36.7 min for 9.18° E, and the equation of time of the day."""
    sun = Sun.at(KONSTANZ, np.datetime64(day, "s"), 24 * 60, 1.0 / 60.0)
    hour, minute = noon_utc.split(":")
    noon = int(hour) * 60 + int(minute)
    assert int(np.argmax(sun.elevation_deg)) == pytest.approx(noon, abs=2)
    assert sun.azimuth_deg[noon] == pytest.approx(180.0, abs=1.0)
    assert sun.azimuth_deg[noon - 240] < 130.0 < 230.0 < sun.azimuth_deg[noon + 240]


def test_a_plane_sees_most_when_it_faces_the_sun() -> None:
    sun = sun_at(40.0, np.array([200.0]))
    facing = plane_kw_per_m2(sun, 50.0, 200.0)
    assert facing > 0.8
    for tilt_deg, azimuth_deg in ((0.0, 180.0), (50.0, 90.0), (90.0, 200.0)):
        assert plane_kw_per_m2(sun, tilt_deg, azimuth_deg) < facing
    behind = plane_kw_per_m2(sun, 90.0, 20.0)
    assert behind == pytest.approx(0.5 * 0.080 + 0.25 * 0.5 * 0.5)


@pytest.mark.parametrize(("tilt_deg", "azimuth_deg"), [(30.0, 165.0), (20.0, 230.0), (50.0, 110.0)])
def test_tilt_azimuth_and_size_are_recovered_under_clouds(
    tilt_deg: float, azimuth_deg: float
) -> None:
    made = sunny(365, tilt_deg=tilt_deg, azimuth_deg=azimuth_deg, peak_kw=7.0)
    sun = Sun.over(made, 0)
    roof = ClearSkyRoof.fit(made.who, made.values, sun)
    found_tilt_deg, found_azimuth_deg = roof.normal
    assert found_tilt_deg == pytest.approx(tilt_deg, abs=8.0)
    assert found_azimuth_deg == pytest.approx(azimuth_deg, abs=8.0)
    truth_kw = roof_kw(sun, tilt_deg, azimuth_deg, 7.0)
    high = truth_kw > 1.0
    ratio = roof.power_kw(sun)[high] / truth_kw[high]
    assert np.quantile(ratio, [0.05, 0.95]) == pytest.approx([1.0, 1.0], abs=0.12)


def test_two_roofs_are_two_humps() -> None:
    made = sunny(365, tilt_deg=45.0, azimuth_deg=90.0, peak_kw=5.0)
    other = sunny(365, tilt_deg=45.0, azimuth_deg=270.0, peak_kw=5.0)
    sun = Sun.over(made, 0)
    roof = ClearSkyRoof.fit("both", made.values + other.values, sun)
    truth_kw = roof_kw(sun, 45.0, 90.0, 5.0) + roof_kw(sun, 45.0, 270.0, 5.0)
    high = truth_kw > 1.0
    ratio = roof.power_kw(sun)[high] / truth_kw[high]
    assert np.quantile(ratio, [0.05, 0.95]) == pytest.approx([1.0, 1.0], abs=0.12)


def test_unknown_steps_do_not_matter_and_too_few_are_refused() -> None:
    made = sunny(60)
    sun = Sun.over(made, 0)
    values = made.values.copy()
    values[::7] = np.nan
    some = ClearSkyRoof.fit(made.who, values, sun).power_kw(sun)
    every = ClearSkyRoof.fit(made.who, made.values, sun).power_kw(sun)
    assert some.max() == pytest.approx(every.max(), rel=0.1)
    for nothing in (np.full(len(values), np.nan), np.zeros(len(values))):
        with pytest.raises(DataError, match="0 steps with known generation, 48 are needed"):
            ClearSkyRoof.fit(made.who, nothing, sun)


def test_the_sun_is_that_of_the_instant_not_of_the_clock() -> None:
    """Neither the length of the year before nor the change of clocks moves it."""
    year, late = sun_of(), sun_of("2016", 100 * 24)
    for field in fields(Sun):
        np.testing.assert_array_equal(
            getattr(year, field.name)[: 100 * 24], getattr(late, field.name)
        )


def test_the_sun_is_that_of_the_place() -> None:
    """Hamburg's midsummer day is longer than that of Konstanz, and Sydney's is its shortest."""
    june = np.datetime64("2016-06-21", "s")
    hours = {place: int(Sun.at(place, june, 96, 0.25).up.sum()) / 4 for place in PLACES}
    assert [hours[place] for place in PLACES] == pytest.approx([16.0, 17.0, 9.9], abs=0.5)
    noon = {place: Sun.at(place, june, 24 * 60, 1.0 / 60.0).elevation_deg for place in PLACES}
    assert [int(np.argmax(noon[place])) for place in PLACES] == pytest.approx(
        [12 * 60 + 2 - 4.0 * place.longitude_deg % 1440 for place in PLACES], abs=2
    )
