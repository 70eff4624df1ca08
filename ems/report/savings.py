"""What each day adds to the savings, and the day that saved most: one rule for figures and page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

from ems.core.mode import Mode
from ems.economics.settlement import DayKpis, savings, total
from ems.errors import InvalidSpec
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import MODES
from ems.types import Floats

Day = TypeVar("Day", bound=DayResult)


def so_far(days: Sequence[DayKpis]) -> list[DayKpis]:
    """The figures from the first day to the end of each day."""
    return list(accumulate(days, lambda sum_, day: total([sum_, day])))


def saved_so_far_eur(ours: Sequence[DayKpis], base: Sequence[DayKpis]) -> list[float]:
    """What is saved against the same days of ``base`` to the end of each day [€]."""
    pairs = zip(so_far(ours), so_far(base), strict=True)
    return [savings(one, other).savings_eur for one, other in pairs]


def saved_each_eur(ours: Sequence[DayKpis], base: Sequence[DayKpis]) -> Floats:
    """What each day adds to the savings so far [€], ``(n_days,)``; they sum to the table."""
    each: Floats = np.diff(saved_so_far_eur(ours, base), prepend=0.0)
    return each


def shown_mode(modes: Sequence[Mode]) -> Mode:
    """The planned mode whose day is drawn and explained: ``centralized``, else the first."""
    return min(modes, key=("centralized", *MODES).index)


def saved_most(ours: Sequence[DayKpis], metered: Sequence[DayKpis]) -> int:
    """Which of the same days saved most against as metered, the earliest of equals."""
    # To a millionth of a cent: the same day on every machine.
    return int(np.argmax(saved_each_eur(ours, metered).round(8)))


def best_day(ours: Sequence[Day], results: Sequence[DayResult]) -> Day:
    """The day of one mode that saved most against as metered (``saved_most``).

    ``ours``: the days of a mode in order; ``results``: among them as metered, for each of these
    days. Raises ``InvalidSpec`` without a day.
    """
    if not ours:
        raise InvalidSpec("the day that saved most: no day was planned, give at least one")
    metered = {result.day: result.kpis for result in results if result.mode == "as_metered"}
    return ours[saved_most([day.kpis for day in ours], [metered[day.day] for day in ours])]
