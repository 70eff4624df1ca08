"""Day types: working days, or weekends and public holidays of a place."""

from __future__ import annotations

from datetime import date
from typing import Literal

import numpy as np

from ems.site.place import Place
from ems.types import Days, Ints

DayType = Literal["working_day", "weekend_or_holiday"]
DAY_TYPES: tuple[DayType, DayType] = ("working_day", "weekend_or_holiday")
"""Names of the day types; arrays hold their position in this tuple."""


def day_types(days: Days, place: Place) -> Ints:
    """The day type of each local day (``datetime64[D]``) as its position in ``DAY_TYPES``.

    >>> from ems.site.place import KONSTANZ
    >>> days = np.array(["2016-01-05", "2016-01-06", "2016-01-09"], dtype="datetime64[D]")
    >>> day_types(days, KONSTANZ)
    array([0, 1, 1])
    """
    dates = np.asarray(days, dtype="datetime64[D]")
    public = [
        place.public_holidays(1970 + int(year))
        for year in np.unique(dates.astype("datetime64[Y]").astype(np.int64))
    ]
    # The empty array lets an empty input pass; concatenate needs at least one.
    free = np.concatenate([np.zeros(0, dtype="datetime64[D]"), *public])
    # Day 0 of datetime64[D] is Thursday, 1970-01-01.
    weekend = (dates.astype(np.int64) + 3) % 7 >= 5
    return (weekend | np.isin(dates, free)).astype(np.int64)


def day_type_index(day: date, place: Place) -> int:
    """Position in ``DAY_TYPES`` of one local day."""
    free = day.weekday() >= 5 or np.datetime64(day, "D") in place.public_holidays(day.year)
    return int(free)
