"""Day types: working days against weekends and public holidays of Baden-Württemberg."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Literal

import holidays
import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]
Ints = NDArray[np.int64]

DayType = Literal["working_day", "weekend_or_holiday"]
DAY_TYPES: tuple[DayType, DayType] = ("working_day", "weekend_or_holiday")
"""Names of the day types; arrays hold their position in this tuple."""

SUBDIVISION = "BW"


def day_types(days: Days) -> Ints:
    """The day type of each local day (``datetime64[D]``) as its position in ``DAY_TYPES``.

    >>> day_types(np.array(["2016-01-05", "2016-01-06", "2016-01-09"], dtype="datetime64[D]"))
    array([0, 1, 1])
    """
    dates = np.asarray(days, dtype="datetime64[D]")
    public = [
        _public_holidays(int(year))
        for year in np.unique(dates.astype("datetime64[Y]").astype(np.int64))
    ]
    free = np.concatenate([np.zeros(0, dtype="datetime64[D]"), *public])
    # day 0 of datetime64[D] is Thursday, 1970-01-01
    weekend = (dates.astype(np.int64) + 3) % 7 >= 5
    return (weekend | np.isin(dates, free)).astype(np.int64)


def day_type_index(day: date) -> int:
    """Position in ``DAY_TYPES`` of one local day."""
    free = day.weekday() >= 5 or np.datetime64(day, "D") in _public_holidays(day.year - 1970)
    return int(free)


@cache
def _public_holidays(years_since_1970: int) -> Days:
    calendar = holidays.country_holidays("DE", subdiv=SUBDIVISION, years=1970 + years_since_1970)
    return np.array(sorted(calendar), dtype="datetime64[D]")
