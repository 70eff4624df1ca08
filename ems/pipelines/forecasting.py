"""The foresight of some days: perfect, or forecasts trained on everything before them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import numpy as np

from ems.forecast.information import (
    ForecastInformation,
    Information,
    PerfectInformation,
    Scenarios,
    forecast_days,
    models_of,
)
from ems.pipelines.comparison import DayChain, Window, chains_of
from ems.pipelines.spec import LEARN_DAYS, ComparisonSpec
from ems.site.building import Building
from ems.types import Ints

TEMPLATE_DAYS = 60
"""Days before the first whose forecast errors give the correlation of scenarios."""


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
        models_of(spec.forecaster, building.history.weather_forecast),
        first_day=chain.days[0],
        instants=_instants(building, spec, days),
        n_steps=round(longest_h / building.view.step_h),
    )
    scenarios = Scenarios(n=spec.n_scenarios, seed=spec.scenario_seed)
    return ForecastInformation(building=building, forecasts=forecasts, scenarios=scenarios)


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
