"""The days of one building under every mode, as figures of several days need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import matplotlib.dates as mdates
import numpy as np

from ems.core.mode import Mode
from ems.economics.settlement import DayKpis
from ems.errors import InvalidSpec
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import BASELINES, MODES
from ems.report.figures.page import span_in_words
from ems.report.savings import saved_each_eur, saved_most, saved_so_far_eur, shown_mode, so_far
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Days:
    """The days of one building that every mode has.

    ``kpis``: for each mode, in the order of ``MODES``, one entry per day of ``days``.
    """

    building: str
    days: tuple[date, ...]
    kpis: Mapping[Mode, tuple[DayKpis, ...]]

    @classmethod
    def of(cls, results: Sequence[DayResult]) -> Days:
        """Group results by mode and day; days missing in a mode are left out for all.

        Raises ``InvalidSpec`` unless the results are of one building, contain both baselines, and
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
        return cls(building=buildings[0], days=tuple(common), kpis=kpis)

    def so_far(self, mode: Mode) -> list[DayKpis]:
        """The KPIs of ``mode`` from the first day to the end of each day."""
        return so_far(self.kpis[mode])

    def saved_so_far_eur(self, mode: Mode, baseline: Mode) -> list[float]:
        """Savings of ``mode`` against ``baseline`` to the end of each day [€]; see ``savings``."""
        return saved_so_far_eur(self.kpis[mode], self.kpis[baseline])

    def saved_each_eur(self, mode: Mode, baseline: Mode) -> Floats:
        """Contribution of each day of ``days`` to the savings of ``mode`` [€]."""
        return saved_each_eur(self.kpis[mode], self.kpis[baseline])

    @property
    def planned(self) -> tuple[Mode, ...]:
        """The modes that are not baselines."""
        return tuple(mode for mode in self.kpis if mode not in BASELINES)

    @property
    def most_saved(self) -> str:
        """The day that saved most against as metered under the mode that is explained, in words."""
        mode = shown_mode(self.planned)
        best = saved_most(self.kpis[mode], self.kpis["as_metered"])
        return span_in_words(self.days[best], self.days[best], 1)

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

    def on_span(self, values: Sequence[float] | Floats) -> Floats:
        """Values per day of ``days`` spread over ``span``, NaN where missing."""
        series = np.full(len(self.span), np.nan)
        series[[(day - self.days[0]).days for day in self.days]] = values
        return series
