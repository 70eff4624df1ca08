"""Figures of runs that learn: the cost–comfort frontier, habits over time, grids of rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import partial

import numpy as np
import pandas as pd

from ems.economics.settlement import savings
from ems.learning.priors import Prior, learned, uniform
from ems.pipelines.comparison import BASELINES, DayResult, ModeSummary, account
from ems.pipelines.integrated import HABIT_ONLY, Controller, FrontierPoint
from ems.report.figures.frontier import cost_comfort_frontier
from ems.report.figures.habits import HabitCourse, HabitStep, habit_course
from ems.report.figures.learning import RateMap, rate_map
from ems.report.figures.page import days_in_words, span_in_words
from ems.report.figures.style import words
from ems.report.stored.drawing import Drawing, Missing
from ems.report.stored.runs import KeptRun
from ems.store.results import read_pmf_updates
from ems.tracking.read import RunStore, TrackedRun

PROBABILITY = "probability"
LOSS, WEIGHT = "total/log_loss_bits", "total/weight_eur"
BEST = "total/best"
"""The metric that only the chosen cell of a grid has."""


def frontier_figure(
    run: KeptRun, building: str, tracked: Sequence[TrackedRun]
) -> Drawing | Missing:
    """Cost against comfort of every controller of a run of Pipeline B.

    Costs come from the stored days, how unusual the starts were from the runs in MLflow.
    """
    name = f"{building}_frontier"
    by_mode = {one.parameters["mode"]: one for one in tracked if WEIGHT in one.metrics}
    points = []
    for mode in dict.fromkeys(result.mode for result in run.days):
        if mode in BASELINES:
            continue
        if mode not in by_mode:
            return Missing(name=name, reason=f"MLflow has no totals of {mode!r} below this run")
        points.append(_point(run.days, mode, by_mode[mode]))
    if not points:
        return Missing(name=name, reason="no controller has come to its end")
    if all(point.unusual is None for point in points):
        return Missing(name=name, reason="no appliance was started in the window")
    days = sorted({result.day for result in run.days})
    draw = partial(
        cost_comfort_frontier,
        points,
        title=f"{building} · what comfort costs · {days_in_words(days)}",
        tariff=run.tariff,
        origin=run.origin,
        foresight=run.foresight,
    )
    return Drawing(name=name, draw=draw)


def _point(days: Sequence[DayResult], mode: str, tracked: TrackedRun) -> FrontierPoint:
    of_mode = {label: account([r for r in days if r.mode == label]) for label in (mode, *BASELINES)}
    ours, metrics = of_mode[mode], tracked.metrics
    against = {base: savings(ours, of_mode[base]) for base in BASELINES}
    controller = Controller(
        name=_controller(mode),
        weight_eur=metrics[WEIGHT],
        movable=not mode.endswith(HABIT_ONLY),
    )
    return FrontierPoint(
        controller=controller,
        summary=ModeSummary(
            building=days[0].building,
            mode=mode,  # type: ignore[arg-type]
            kpis=ours,
            against=against,
        ),
        mean_start_probability=metrics.get("total/mean_start_probability"),
        unusual=metrics.get("total/unusual"),
    )


def _controller(mode: str) -> str:
    """The controller's own name behind that of the mode it plans in."""
    _, _, name = mode.partition(" ")
    return name


def habit_figures(run: KeptRun, wanted: str | None) -> Iterator[Drawing | Missing]:
    """How the usage PMF of each device moved.

    Pipeline C: its best cell from each prior. Pipeline B: the controller that moves nothing, whose
    models see all of the people's own starts.
    """
    updates = read_pmf_updates(run.path, run.run_id)
    shown = 0
    for (building, device, model), rows in updates.groupby(["building", "feed", "model"]):
        if wanted not in (None, building) or not _is_shown(str(model)):
            continue
        prior = _prior(run, str(device), str(model))
        steps = _steps(rows)
        n_updates = f"{len(steps)} update{'' if len(steps) == 1 else 's'}"
        first, last = steps[0].day, steps[-1].day
        ends = " to ".join(span_in_words(day, day, 1) for day in dict.fromkeys((first, last)))
        course = HabitCourse(
            title=f"{building} · {words(str(device))} · how the learned habit moved",
            note=f"prior {prior.name} · {n_updates} · pipeline {run.pipeline} · updated {ends}",
            prior=prior,
            updates=steps,
            first=first,
            last=last + timedelta(days=1),  # the first that the last update is for
        )
        shown += 1
        draw = partial(habit_course, course, origin=run.origin)
        name = f"{building}_{device}_{prior.name}_habit"
        yield Drawing(name=name, draw=draw)
    if not shown:
        reason = "the run has learned no habit; scripts 02 and 03 do"
        yield Missing(name="habits", reason=reason)


def _steps(rows: pd.DataFrame) -> tuple[HabitStep, ...]:
    return tuple(
        HabitStep(
            day=pd.Timestamp(row["day"]).date(),
            day_type=row["day_type"],
            hours=np.asarray(row["hours"], float),
        )
        for row in rows.to_dict("records")
    )


def _is_shown(model: str) -> bool:
    return model.startswith("rate:") or model.endswith(HABIT_ONLY)


def _prior(run: KeptRun, device: str, model: str) -> Prior:
    """What the model believed first: in its name, or what the run says of its habits."""
    _, colon, named = model.partition(":")
    name = named if colon else run.parameters["habits"]["prior"]
    return learned(device) if name == "learned" else uniform()


def rate_figures(
    run: KeptRun, wanted: str | None, tracked: Sequence[TrackedRun]
) -> Iterator[Drawing | Missing]:
    """Log loss and learning score of every cell of the grid, for each device and prior."""
    groups: dict[tuple[str, str, str], list[TrackedRun]] = {}
    for one in tracked:
        told = one.parameters
        if LOSS in one.metrics and "cell.device" in told and wanted in (None, told["building"]):
            key = told["building"], told["cell.device"], told["cell.prior"]
            groups.setdefault(key, []).append(one)
    if not groups:
        yield Missing(name="hyperparameters", reason="MLflow has no cell of a grid below this run")
    for (building, device, prior), cells in sorted(groups.items()):
        name = f"{building}_{device}_{prior}_hyperparameters"
        if not any(BEST in cell.metrics for cell in cells):
            yield Missing(name=name, reason="its search did not come to its end")
            continue
        draw = partial(rate_map, _rate_map(building, device, prior, cells), origin=run.origin)
        yield Drawing(name=name, draw=draw)


def _rate_map(building: str, device: str, prior: str, cells: Sequence[TrackedRun]) -> RateMap:
    ranked = sorted(cells, key=_rate)
    places = [_rate(cell) for cell in ranked]
    losses = [cell.metrics[LOSS] for cell in ranked]
    scores = [cell.metrics["total/learning_score"] for cell in ranked]
    best = next(place for place, cell in enumerate(ranked) if BEST in cell.metrics)
    other = int(np.argmax(scores))
    itself = ranked[0].parameters["cell.category"] == "partial_usage"
    says = "both scores choose the same cell"
    if best != other:
        says = (
            "the learning score prefers lr_tau {:g}, lr_max {:g}, farther from the prior, "
            "which costs {:.3f} bits".format(*places[other], losses[other] - losses[best])
        )
    return RateMap(
        title=f"{building} · {words(device)} · how fast to follow the habit",
        note=f"{_window(ranked[0])}prior {prior} · best of {len(ranked)} cells by log loss: lr_tau "
        f"{places[best][0]:g} days, lr_max {places[best][1]:g} · {says}",
        unit="bit per day" if itself else "bit per start",
        places=places,
        log_loss_bits=losses,
        learning_score=scores,
        cell=best,
        by_learning_score=other,
    )


def _window(cell: TrackedRun) -> str:
    """The days of a search; nothing of a run of before they were kept."""
    told = cell.parameters
    if "cell.first_day" not in told:
        return ""
    first, last = (date.fromisoformat(told[f"cell.{end}_day"]) for end in ("first", "last"))
    return f"{span_in_words(first, last, int(told['cell.n_days']))} · "


def _rate(cell: TrackedRun) -> tuple[float, float]:
    told = cell.parameters
    return float(told["cell.rate.lr_tau"]), float(told["cell.rate.lr_max"])


def tracked_below(run: KeptRun, store: RunStore) -> list[TrackedRun]:
    """What MLflow has below the run; raises ``InvalidSpec`` when it does not know the run."""
    return store.below(store.get(run.mlflow_run_id or run.run_id))
