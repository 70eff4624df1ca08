"""The foresight of some days: perfect, or forecasts trained on everything before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Self

import numpy as np

from ems.agents.words import spoken
from ems.errors import DataError
from ems.extras import require
from ems.forecast.information import (
    ForecastInformation,
    Information,
    Lesson,
    Models,
    PerfectInformation,
    Scenarios,
    forecast_days,
    lessons,
    models_of,
)
from ems.pipelines.comparison import DayChain, Window, chains_of, first_days
from ems.pipelines.spec import KNOWN_SHARE, LEARN_DAYS, ComparisonSpec
from ems.site.building import Building
from ems.types import Ints

TEMPLATE_DAYS = 60
"""Days before the first whose forecast errors give the correlation of scenarios."""


def models_for(building: Building, spec: ComparisonSpec) -> Models:
    """The forecasters that ``spec`` asks for; ``lstm`` changes that of the loads alone."""
    if spec.forecaster != "lstm":
        return models_of(spec.forecaster, building.history.weather_forecast)
    require("torch", "requirements-learning.txt")
    from ems.federated.load import NetworkLoad  # torch takes seconds; only if needed

    learned = models_of("learned", building.history.weather_forecast)
    return replace(learned, load=NetworkLoad())


def known_on(building: Building, spec: ComparisonSpec, window: Window) -> dict[date, Information]:
    """What plans of each day of ``window`` are made from, learned anew every ``LEARN_DAYS``."""
    known: dict[date, Information] = {}
    for piece in chains_of(window, LEARN_DAYS):
        known |= dict.fromkeys(piece.days, foresight_of(building, spec, piece))
    return known


@lru_cache(maxsize=1)
def foresight_of(building: Building, spec: ComparisonSpec, chain: DayChain) -> Information:
    """The information that plans of the days of ``chain`` are made from.

    Forecasters are trained once, on what lies before the days, and forecast from every planning
    instant. Raises ``DataError`` if too little lies before them, or if recorded weather forecasts
    exist but do not cover them. The last result is cached, since reports ask for it again.
    """
    if spec.foresight == "perfect":
        return PerfectInformation(building=building)
    days = list(chain.days)
    if spec.risk == "hedged":
        days = [d for d in building.days if d < chain.days[0]][-TEMPLATE_DAYS:] + days
    # 25 h: the longest local day.
    longest_h = 25.0 + spec.lookahead_h
    forecasts = forecast_days(
        building,
        models_for(building, spec),
        first_day=chain.days[0],
        instants=_instants(building, spec, days),
        n_steps=round(longest_h / building.view.step_h),
    )
    scenarios = Scenarios(n=spec.n_scenarios, seed=spec.scenario_seed)
    return ForecastInformation(building=building, forecasts=forecasts, scenarios=scenarios)


@dataclass(frozen=True, kw_only=True, eq=False)
class HistoryNeed:
    """How much history the forecasts of a building need before a plan.

    ``first_day``: the first plannable day with enough of it; None if there is none.
    """

    building: Building
    forecaster: str
    lessons: tuple[Lesson, ...]
    first_day: date | None

    @classmethod
    def of(cls, building: Building, spec: ComparisonSpec) -> Self:
        """What ``spec`` asks of the history of ``building``."""
        models = models_for(building, spec)
        learned = lessons(building, models, len(building.history.ts_utc))
        ready = [one.enough_from for one in learned]
        later = [
            day
            for day in building.plannable_days
            if all(at is not None and at <= building.span(day).start for at in ready)
        ]
        return cls(
            building=building,
            forecaster=spec.forecaster,
            lessons=learned,
            first_day=later[0] if later else None,
        )

    def told(self, day: date) -> str:
        """What is needed before ``day`` and what lies there, of the scarcest series."""
        until = self.building.span(day).start
        scarce = min(self.lessons, key=lambda one: one.known_days(until) - one.model.needs_days)
        return (
            f"{self.forecaster} forecasts need {scarce.model.needs_days} known days of "
            f"{spoken(scarce.name)} before the first plan; before {day} lie "
            f"{scarce.known_days(until):.1f}"
        )

    @property
    def cure(self) -> str:
        """From when on the forecasts work, or what does where they never do."""
        if self.first_day is None:
            return (
                "no day that can be planned has so many before it; collect more, or plan with "
                "--foresight perfect"
            )
        return f"the first day that can be planned on them is {self.first_day} (--start)"


def require_history(building: Building, spec: ComparisonSpec, start: date | None) -> None:
    """Raise ``DataError`` where forecasts have too little history to start with.

    Says how many days they need, how many there are and the first day with enough. A ``start``
    outside the record is not judged here.
    """
    if spec.foresight == "perfect" or not building.plannable_days:
        return
    name, need = building.history.building, HistoryNeed.of(building, spec)
    if start is None and not first_days(building, spec.history_days):
        known, least = len(building.plannable_days), round(KNOWN_SHARE * spec.history_days)
        raise DataError(
            f"{name}: without --start plans on forecasts begin {spec.history_days} days into the "
            f"record, {least} of them known, and it has {len(building.days)} days, {known} of them "
            f"known; {need.told(building.plannable_days[-1])}; {need.cure}"
        )
    if start not in building.days or (need.first_day is not None and start >= need.first_day):
        return
    raise DataError(f"{name}: {need.told(start)}; {need.cure}")


def _instants(building: Building, spec: ComparisonSpec, days: Sequence[date]) -> Ints:
    """The steps at which plans are made: every midnight, and every phase if a mode has them.

    Nothing is known at the first step of all, so nothing is forecast from there.
    """
    spans = [building.span(day) for day in days]
    starts = [np.array([span.start]) for span in spans]
    if "centralized_phases" in spec.modes:
        phase = np.floor(building.view.hour / spec.phase_h)
        starts = [span.start + np.flatnonzero(np.diff(phase[span], prepend=-1.0)) for span in spans]
    steps = np.concatenate(starts)
    return steps[steps > 0]
