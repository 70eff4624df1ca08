"""Results of several days of one building, mode beside mode, and their axis of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate, groupby
from typing import Any

import matplotlib.dates as mdates
import numpy as np

from ems.core.mode import Mode
from ems.economics.settlement import DayKpis, savings, total
from ems.errors import InvalidSpec
from ems.pipelines.comparison import BASELINES, MODES, DayResult
from ems.report.figures.style import FAINT_GREY
from ems.types import Floats

EACH_DAY_UP_TO = 14
"""Up to so many days every day has its own tick."""
_NAME_DAYS_UP_TO = 150


@dataclass(frozen=True, kw_only=True, eq=False)
class Days:
    """The days of one building that every mode has.

    ``kpis``: for each mode, in the order of ``MODES``, one entry a day of ``days``; ``blocks``: the
    energy account of each day.
    """

    building: str
    days: tuple[date, ...]
    kpis: Mapping[Mode, tuple[DayKpis, ...]]
    blocks: tuple[date | None, ...]

    @classmethod
    def of(cls, results: Sequence[DayResult]) -> Days:
        """Sort results by mode and day; days that a mode lacks are left out for all.

        Raises ``InvalidSpec`` unless the results are of one building, hold both baselines, and
        have a day in common.
        """
        buildings = sorted({result.building for result in results})
        if len(buildings) != 1:
            raise InvalidSpec(
                f"figure: results of {len(buildings)} buildings ({', '.join(buildings)}), "
                "give those of one"
            )
        table: dict[Mode, dict[date, DayKpis]] = {}
        for result in results:
            table.setdefault(result.mode, {})[result.day] = result.kpis
        lacking = [base for base in BASELINES if base not in table]
        if lacking:
            raise InvalidSpec(f"{buildings[0]}: no results of the baseline {lacking[0]}, add them")
        common = sorted(set.intersection(*(set(days) for days in table.values())))
        if not common:
            raise InvalidSpec(f"{buildings[0]}: no day has results of every mode; finish the run")
        kpis = {m: tuple(table[m][day] for day in common) for m in MODES if m in table}
        block = {result.day: result.block for result in results}
        blocks = tuple(block[day] for day in common)
        return cls(building=buildings[0], days=tuple(common), kpis=kpis, blocks=blocks)

    def so_far(self, mode: Mode) -> list[DayKpis]:
        """The KPIs of ``mode`` from the first day to the end of each day, all accounts closed."""
        found: list[DayKpis] = []
        for _, days in groupby(
            zip(self.blocks, self.kpis[mode], strict=True), lambda pair: pair[0]
        ):
            before = found[-1:]
            block = accumulate((kpis for _, kpis in days), lambda sum_, day: total([sum_, day]))
            found += [total([*before, so_far.closed()]) for so_far in block]
        return found

    def saved_so_far_eur(self, mode: Mode, baseline: Mode) -> list[float]:
        """What ``mode`` saved against ``baseline`` to the end of each day [€]; see ``savings``."""
        pairs = zip(self.so_far(mode), self.so_far(baseline), strict=True)
        return [savings(ours, base).savings_eur for ours, base in pairs]

    @property
    def planned(self) -> tuple[Mode, ...]:
        """The modes that are not baselines."""
        return tuple(mode for mode in self.kpis if mode not in BASELINES)

    @property
    def span(self) -> tuple[date, ...]:
        """Every day from the first to the last."""
        n_days = (self.days[-1] - self.days[0]).days + 1
        return tuple(self.days[0] + timedelta(days=i) for i in range(n_days))

    @property
    def edges(self) -> Floats:
        """The midnights around the days of ``span``, as days of matplotlib."""
        edges: Floats = mdates.date2num(self.days[0]) + np.arange(len(self.span) + 1.0)
        return edges

    def on_span(self, values: Sequence[float]) -> Floats:
        """One value a day of ``days`` as one a day of ``span``, NaN where there is none."""
        series = np.full(len(self.span), np.nan)
        series[[(day - self.days[0]).days for day in self.days]] = values
        return series


def mark_missing(ax: Any, days: Days) -> None:
    """Shade the days between the first and the last that could not be planned."""
    known = set(days.days)
    label: str | None = "not planned"
    for i, day in enumerate(days.span):
        if day not in known:
            begin = days.edges[i]
            ax.axvspan(begin, begin + 1, color=FAINT_GREY, linewidth=0, zorder=0, label=label)
            label = None


def day_axis(ax: Any, days: Days) -> None:
    """Dates below ``ax``: every day while they fit, else as few as read well."""
    ax.set_xlim(days.edges[0], days.edges[-1])
    if len(days.span) <= EACH_DAY_UP_TO:
        names = [f"{day:%a}\n{day.day} {day:%b}" for day in days.span]
        ax.set_xticks(days.edges[:-1] + 0.5, names)
        ax.tick_params(axis="x", length=0)
    else:
        ax.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=4, maxticks=9))
        of_month = len(days.span) <= _NAME_DAYS_UP_TO
        ax.xaxis.set_major_formatter(lambda number, _: _date(number, of_month))
    ax.set_xlabel("local day")


def _date(number: float, of_month: bool) -> str:
    when = mdates.num2date(number)
    return f"{when.day} {when:%b}" if of_month else f"{when:%b %Y}"
