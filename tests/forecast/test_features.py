"""What a learned model is told of a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from forecast.made_series import series, step_at

from ems.forecast.clock import Clock
from ems.forecast.features import rows
from ems.site.place import KONSTANZ

FREE = 2
"""The column that says whether the day is free."""
HAMBURG = replace(KONSTANZ, name="Hamburg", subdivision="HH")


def test_free_days_are_those_of_the_place() -> None:
    """Epiphany is a holiday in Konstanz and not in Hamburg; New Year's Day is one in both."""
    made = series(14, first="2015-12-28")
    days = ("2016-01-01", "2016-01-05", "2016-01-06")
    target = np.array([step_at(made, f"{day} 12:00") for day in days])
    free = {
        place.name: rows(replace(made, place=place), Clock.of(made), target - 12, target)[:, FREE]
        for place in (KONSTANZ, HAMBURG)
    }
    assert free["Konstanz"].tolist() == [1.0, 0.0, 1.0]
    assert free["Hamburg"].tolist() == [1.0, 0.0, 0.0]
