"""Pipeline B: learn when people use their appliances, and plan with it, day after day.

Each day is predicted by ``ProbabilityModelAgent``, planned with the habit as discomfort ``w · (1 −
p(hour of the start) / max p)`` [€], settled at the meter, and learned. Controllers differ only in
the weight w and in whether they may move appliances:

- ``cost-only``: w = 0;
- ``habit-only``: appliances stay where people had them, everything else is planned;
- ``w = …``: the weights between.

Habits are learned from requests: when people filled and set the machine, which is known whether or
not its start was then moved. So every controller learns the same, and nobody learns from their own
plans.

As in Pipeline A, plans know the true load, sun and number of starts of their day (perfect
foresight: upper bounds), or are made from forecasts and executed on what happened. The habit itself
is always predicted before the day is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np

from ems.agents.comfort import HabitComfort
from ems.core.mode import Mode
from ems.economics.store_value import StoreValues
from ems.errors import DataError
from ems.forecast.information import Information
from ems.learning.habit import PmfUpdate
from ems.learning.priors import Prior, learned, uniform
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.usage import UseHistory, use_histories
from ems.pipelines.captured import PERFECT, Captured, captured
from ems.pipelines.comparison import (
    DayRecord,
    ModeSummary,
    choose_window,
    first_days,
    run_mode,
    summarise,
)
from ems.pipelines.parallel import in_parallel
from ems.pipelines.perfect import perfect_plan
from ems.pipelines.spec import (
    BASELINES,
    Controller,
    IntegratedSpec,
)
from ems.site.building import Building
from ems.types import Floats

LEAST_TRAINING_DAYS = 14


@dataclass(frozen=True, kw_only=True, eq=False)
class HabitDay:
    """One day under one controller: the record, how usual its starts were, and what was learned.

    ``probabilities``: learned probability of the hour of each start; ``usual``: the same relative
    to the most usual hour, in [0, 1].
    """

    controller: str
    record: DayRecord
    probabilities: tuple[float, ...]
    usual: tuple[float, ...]
    updates: tuple[PmfUpdate, ...]


def trained_models(
    histories: Mapping[str, UseHistory], devices: Sequence[str], spec: IntegratedSpec, start: date
) -> dict[str, ProbabilityModelAgent]:
    """A model for each device, trained on its known days before ``start``.

    Raises ``DataError`` if a device has fewer than ``LEAST_TRAINING_DAYS`` known days.
    """
    models = {}
    for device in devices:
        before = histories[device].before(start)
        if len(before) < LEAST_TRAINING_DAYS:
            raise DataError(
                f"{histories[device].who}: {len(before)} known days before {start}, "
                f"{LEAST_TRAINING_DAYS} are needed to train; start later"
            )
        prior: Prior = learned(device) if spec.prior == "learned" else uniform()
        models[device] = ProbabilityModelAgent(
            device=device, place=before.place, prior=prior, rate=spec.rate
        )
        models[device].train(before)
    return models


class Integrated:
    """Pipeline B on one window of one building."""

    def __init__(
        self, building: Building, spec: IntegratedSpec, start: date | None, n_days: int | None
    ) -> None:
        self.building, self.spec = building, spec
        self.histories = use_histories(building.history)
        self.devices = building.appliance_names
        if not self.devices:
            raise DataError(
                f"{building.history.building}: no appliance whose starts could be learned"
            )
        self.window = choose_window(building, start or self._first_trainable(), n_days)

    @cached_property
    def values(self) -> StoreValues:
        """What is left in stores is worth this to all controllers and baselines."""
        return perfect_plan(self.building, self.spec.base, self.window).values

    @cached_property
    def known(self) -> Mapping[date, Information] | None:
        """What plans of each day are made from, learned once for all controllers."""
        if self.spec.base.foresight == "perfect":
            return None
        from ems.pipelines.forecasting import known_on  # only forecasts need to learn

        return known_on(self.building, self.spec.base, self.window)

    def _first_trainable(self) -> date:
        """The first plannable day with enough known days of every device before it."""
        enough = [
            self.histories[device].days[LEAST_TRAINING_DAYS - 1].item()
            for device in self.devices
            if len(self.histories[device]) >= LEAST_TRAINING_DAYS
        ]
        trained = max(enough, default=self.building.days[-1])
        taught = first_days(self.building, self.spec.base.history_days)
        later = [day for day in taught if day > trained]
        if len(enough) < len(self.devices) or not later:
            known = [f"{device} ({len(self.histories[device])})" for device in self.devices]
            raise DataError(
                f"{self.building.history.building}: no plannable day has {LEAST_TRAINING_DAYS} "
                f"known days of {', '.join(known)} before it; collect more"
            )
        return later[0]

    def baselines(self) -> Iterator[DayRecord]:
        """Both baselines over the window."""
        for mode in BASELINES:
            yield from run_mode(self.building, self.spec.base, self.window, mode, self.values)

    def runs(self, workers: int = 1, scheduler: str | None = None) -> Iterator[ControllerRun]:
        """Every controller over the window, in order, on ``workers`` processes.

        With ``scheduler`` each runs on the Dask cluster at that address. Forecasters are trained
        and stores valued here, once for all. Figures do not depend on the number of workers.
        """
        _ = self.values, self.known  # sent to the workers with this object
        jobs = ((self, controller) for controller in self.spec.controllers)
        yield from in_parallel(_run_controller, jobs, workers, scheduler)

    def run(self, controller: Controller, *, perfect: bool = False) -> Iterator[HabitDay]:
        """Predict, plan, settle and learn day by day; ``perfect`` overrides the foresight."""
        base = replace(self.spec.base, foresight="perfect", risk="neutral")
        spec = base if perfect else self.spec.base
        models = trained_models(self.histories, self.devices, self.spec, self.window.days[0])
        hours: dict[str, Floats] = {}

        def comfort_of(day: date) -> HabitComfort:
            # Also read below, when the record of this day arrives: run_mode asks before it yields.
            hours.update({name: model.predict(day).hours for name, model in models.items()})
            return HabitComfort(
                weight_eur=controller.weight_eur, hours=dict(hours), movable=controller.movable
            )

        mode: Mode = spec.modes[0]
        days = run_mode(
            self.building,
            spec,
            self.window,
            mode,
            self.values,
            known=self.known,
            comfort_of=comfort_of,
        )
        for record in days:
            starts = _start_hours(record)
            chances = [(hours[name][h], float(np.max(hours[name]))) for name, h in starts]
            yield HabitDay(
                controller=controller.name,
                record=record,
                probabilities=tuple(float(p) for p, _ in chances),
                usual=tuple(float(p) / most for p, most in chances),
                updates=self._learn(models, record),
            )

    def _learn(
        self, models: Mapping[str, ProbabilityModelAgent], record: DayRecord
    ) -> tuple[PmfUpdate, ...]:
        updates = []
        for name, model in models.items():
            if self.histories[name].knows(record.day):
                update = model.update(self.histories[name].on(record.day))
                updates += [] if update is None else [update]
        return tuple(updates)


@dataclass(frozen=True, kw_only=True, eq=False)
class ControllerRun:
    """The days of a controller, and those of its perfect plans if it plans on forecasts."""

    controller: Controller
    days: tuple[HabitDay, ...]
    perfect: tuple[HabitDay, ...] = ()


def _run_controller(pipeline: Integrated, controller: Controller) -> ControllerRun:
    on_forecasts = pipeline.spec.base.foresight == "forecast"
    return ControllerRun(
        controller=controller,
        days=tuple(pipeline.run(controller)),
        # The bound that the controller is measured against.
        perfect=tuple(pipeline.run(controller, perfect=True)) if on_forecasts else (),
    )


def _start_hours(record: DayRecord) -> list[tuple[str, int]]:
    """Device and local hour of every executed start."""
    hour = np.floor(record.schedule.horizon.local_hour).astype(int)
    return [
        (name, int(hour[step]))
        for name, plan in record.schedule.plans.items()
        if "started" in plan.series
        for step in np.flatnonzero(plan.series["started"] > 0.5)
    ]


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """A controller over the whole window: cost, and how usual its starts were.

    ``mean_start_probability``: learned probability of the hours of its starts; ``unusual``: mean of
    1 − p/max p over its starts, the unweighted discomfort, in [0, 1]; both None without starts.
    ``captured``: against both baselines, if plans were made on forecasts.
    """

    controller: Controller
    summary: ModeSummary
    mean_start_probability: float | None
    unusual: float | None
    captured: tuple[Captured, ...] = ()


def frontier_point(
    controller: Controller,
    days: Sequence[HabitDay],
    baselines: Sequence[DayRecord],
    perfect: Sequence[HabitDay] = (),
) -> FrontierPoint:
    """Sum up a controller's days against both baselines and its own perfect plans."""
    knowing = [replace(day.record.result, mode=PERFECT) for day in perfect]
    ours = [day.record.result for day in days]
    summaries = summarise([*(day.record for day in days), *baselines])
    mode = days[0].record.mode
    probabilities = [p for day in days for p in day.probabilities]
    usual = [u for day in days for u in day.usual]
    return FrontierPoint(
        controller=controller,
        summary=next(summary for summary in summaries if summary.mode == mode),
        mean_start_probability=float(np.mean(probabilities)) if probabilities else None,
        unusual=1.0 - float(np.mean(usual)) if usual else None,
        captured=captured([*ours, *(day.result for day in baselines), *knowing]),
    )


KNEE_DEPTH = 0.1
"""A knee lies at least this far below the line between the ends, both axes scaled to [0, 1]."""
LEAST_COST_RANGE_EUR, LEAST_UNUSUAL_RANGE = 0.01, 0.01
"""A frontier whose cost or unusualness varies by less trades nothing: a cent, a hundredth."""


def knee(points: Sequence[FrontierPoint]) -> FrontierPoint | None:
    """The point of the frontier farthest below the line between its ends, where it bends.

    Cost and unusualness are each scaled to [0, 1] over the frontier, x and y, and the depth of a
    point is 1 − x − y (Satopää et al. 2011, doi:10.1109/ICDCSW.2011.20). None if nothing lies
    between the ends, if one of both hardly varies (``LEAST_COST_RANGE_EUR``,
    ``LEAST_UNUSUAL_RANGE``), or if no point is as deep as ``KNEE_DEPTH``: a straight frontier has
    no knee, whatever the rounding of its points says.
    """
    ours = [p for p in points if p.controller.movable and p.unusual is not None]
    if len(ours) < 3:
        return None
    cost = np.array([p.summary.kpis.cost_eur for p in ours])
    unusual = np.array([p.unusual for p in ours], dtype=np.float64)
    # A range of rounding size would be stretched to [0, 1] and give an arbitrary knee.
    if np.ptp(cost) < LEAST_COST_RANGE_EUR or np.ptp(unusual) < LEAST_UNUSUAL_RANGE:
        return None
    x = (unusual - unusual.min()) / np.ptp(unusual)
    y = (cost - cost.min()) / np.ptp(cost)
    depth = 1.0 - x - y
    deepest = int(np.argmax(depth))
    return ours[deepest] if depth[deepest] >= KNEE_DEPTH else None
