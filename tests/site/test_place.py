"""Where a building stands: what is allowed, and whose holidays follow from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ems.errors import InvalidSpec
from ems.site.place import KONSTANZ, Place

MADRID = Place(
    name="Madrid", latitude_deg=40.42, longitude_deg=-3.7, country="ES", subdivision="MD"
)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "place: name is empty"),
        ("latitude_deg", 90.5, "place Konstanz: latitude_deg = 90.5, allowed is ±90"),
        ("latitude_deg", np.nan, "latitude_deg = nan"),
        ("longitude_deg", -181.0, "longitude_deg = -181.0, allowed is ±180"),
        ("longitude_deg", np.inf, "longitude_deg = inf"),
        ("country", "XX", "country = 'XX' is no country whose holidays are known"),
        ("country", "de", "country = 'de' is no country .* two capital letters"),
        ("country", "", "country = '' is no country"),
        ("subdivision", "MD", "subdivision = 'MD' is not known in DE; leave it out or give .* BW"),
    ],
)
def test_places_that_are_none(field: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as refused:
        replace(KONSTANZ, **{field: value})  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_every_place_has_holidays_of_its_own() -> None:
    days = {place: set(place.public_holidays(2016).astype(str)) for place in (KONSTANZ, MADRID)}
    assert "2016-10-03" in days[KONSTANZ] - days[MADRID]  # German Unity Day
    assert "2016-05-02" in days[MADRID] - days[KONSTANZ]  # the day of the Community of Madrid
    spain = replace(MADRID, subdivision="")
    assert "2016-05-02" not in spain.public_holidays(2016).astype(str)
    assert (np.diff(KONSTANZ.public_holidays(2016)) > np.timedelta64(0, "D")).all()


def test_a_place_in_words() -> None:
    assert str(KONSTANZ) == "Konstanz (47.66° N, 9.18° E; public holidays of DE-BW)"
    assert str(MADRID) == "Madrid (40.42° N, 3.7° W; public holidays of ES-MD)"
    south = replace(MADRID, name="Quito", latitude_deg=-0.18, country="EC", subdivision="")
    assert str(south).startswith("Quito (0.18° S, 3.7° W; public holidays of EC)")
