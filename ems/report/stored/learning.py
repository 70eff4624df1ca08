"""Figures of learning runs: cost-comfort frontier, habits over time, grids of rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from ems.agents.words import spoken
from ems.errors import InvalidSpec, TrackingError
from ems.learning.priors import learned, uniform
from ems.pipelines.comparison import DayResult, summarise
from ems.pipelines.integrated import FrontierPoint
from ems.pipelines.spec import BASELINES, HABIT_ONLY, UNPLANNED, Controller
from ems.report.figures.frontier import cost_comfort_frontier
from ems.report.figures.habits import habit_course
from ems.report.figures.learning import count, rate_map
from ems.report.figures.page import days_in_words, span_in_words
from ems.report.stored.drawing import Drawing, Missing, Wanted
from ems.report.stored.runs import KeptRun
from ems.store.frames import pmf_updates
from ems.store.results import read_pmf_updates
from ems.tracking.read import RunStore, TrackedRun

LOSS, WEIGHT = "total/log_loss_bits", "total/weight_eur"
BEST = "total/best"
"""Metric that only the chosen cell of a grid has."""


def _tracked_below(run: KeptRun, kind: str, tracking_uri: str) -> list[TrackedRun] | Missing:
    """The MLflow runs below a run, or why they are not available."""
    try:
        store = RunStore(tracking_uri)
        return store.below(store.get(run.mlflow_run_id or run.run_id))
    except (TrackingError, InvalidSpec) as error:
        return Missing(name=kind, reason=str(error))


def frontier_figures(
    run: KeptRun, wanted: Wanted, tracking_uri: str
) -> Iterator[Drawing | Missing]:
    """Cost against comfort of every controller of a run of Pipeline B.

    Costs come from the stored days, unusualness of starts from MLflow.
    """
    for building in run.planned(wanted.building):
        points = _points(run, building, _tracked_below(run, "frontier", tracking_uri))
        if isinstance(points, Missing):
            yield points
            continue
        draw = partial(
            cost_comfort_frontier,
            points,
            title=f"{building} · what comfort costs · {days_in_words(run.dates(building))}",
            tariff=run.tariff,
            origin=run.origin,
            foresight=run.foresight,
        )
        yield Drawing(name=f"{building}_frontier", draw=draw)


def _points(
    run: KeptRun, building: str, tracked: list[TrackedRun] | Missing
) -> list[FrontierPoint] | Missing:
    """A point for each controller, or why there is no frontier."""
    if isinstance(tracked, Missing):
        return tracked
    name = f"{building}_frontier"
    days = run.results(building)
    metrics = {one.parameters["mode"]: one.metrics for one in tracked if WEIGHT in one.metrics}
    modes = [mode for mode in dict.fromkeys(day.mode for day in days) if mode not in UNPLANNED]
    for mode in modes:
        if mode not in metrics:
            return Missing(name=name, reason=f"MLflow has no totals of {mode!r} below this run")
    points = [_point(days, mode, metrics[mode]) for mode in modes]
    if not points:
        return Missing(name=name, reason="no controller has come to its end")
    if all(point.unusual is None for point in points):
        return Missing(name=name, reason="no appliance was started in the window")
    return points


def _point(days: Sequence[DayResult], mode: str, metrics: Mapping[str, float]) -> FrontierPoint:
    """A controller's days, under its planning mode; stored modes are named "mode controller"."""
    planned, _, name = mode.partition(" ")
    own = [replace(day, mode=planned) for day in days if day.mode == mode]  # type: ignore[arg-type]
    summaries = summarise([*own, *(day for day in days if day.mode in BASELINES)])
    weight_eur, movable = metrics[WEIGHT], name != HABIT_ONLY
    return FrontierPoint(
        controller=Controller(name=name, weight_eur=weight_eur, movable=movable),
        summary=summaries[-1],
        mean_start_probability=metrics.get("total/mean_start_probability"),
        unusual=metrics.get("total/unusual"),
    )


def habit_figures(run: KeptRun, wanted: Wanted, _: str) -> Iterator[Drawing | Missing]:
    """How the start-hour PMF of each device moved.

    Pipeline C: its best cell from each prior. Pipeline B: the controller that moves nothing, whose
    models see all of the people's own starts.
    """
    stored = read_pmf_updates(run.path, run.run_id)
    none = True
    for (building, device, model), rows in stored.groupby(["building", "feed", "model"]):
        of_search, colon, prior = str(model).partition(":")
        shown = of_search == "rate" if colon else str(model).endswith(HABIT_ONLY)
        if wanted.building not in (None, building) or not shown:
            continue
        none = False
        prior = prior or run.parameters["habits"]["prior"]
        updates = pmf_updates(rows)
        first, last = updates[0].day, updates[-1].day
        ends = " to ".join(span_in_words(day, day, 1) for day in dict.fromkeys((first, last)))
        draw = partial(
            habit_course,
            updates,
            learned(str(device)) if prior == "learned" else uniform(),
            first=first,
            last=last + timedelta(days=1),  # the first that the last update is for
            title=f"{building} · {spoken(str(device))} · how the learned habit moved",
            note=f"prior {prior} · {count(updates, 'update')} · pipeline {run.pipeline} · "
            f"updated {ends}",
            origin=run.origin,
        )
        yield Drawing(name=f"{building}_{device}_{prior}_habit", draw=draw)
    if none:
        reason = "the run has learned no habit; scripts 02 and 03 do"
        yield Missing(name="habits", reason=reason)


def rate_figures(run: KeptRun, wanted: Wanted, tracking_uri: str) -> Iterator[Drawing | Missing]:
    """Log loss and learning score of every cell of the grid, for each device and prior."""
    tracked = _tracked_below(run, "hyperparameters", tracking_uri)
    if isinstance(tracked, Missing):
        yield tracked
        return
    groups: dict[tuple[str, str, str], list[TrackedRun]] = {}
    for one in tracked:
        told = one.parameters
        if LOSS in one.metrics and wanted.building in (None, told.get("building")):
            key = told["building"], told["cell.device"], told["cell.prior"]
            groups.setdefault(key, []).append(one)
    if not groups:
        yield Missing(name="hyperparameters", reason="MLflow has no cell of a grid below this run")
    for (building, device, prior), cells in sorted(groups.items()):
        name = f"{building}_{device}_{prior}_hyperparameters"
        if any(BEST in cell.metrics for cell in cells):
            title = f"{building} · {spoken(device)} · how fast to follow the habit"
            yield Drawing(name=name, draw=_rate_map(cells, title, prior, run))
        else:
            yield Missing(name=name, reason="its search did not come to its end")


def _rate_map(
    cells: Sequence[TrackedRun], title: str, prior: str, run: KeptRun
) -> Callable[..., Figure]:
    cells = sorted(cells, key=_rate)
    places = [_rate(cell) for cell in cells]
    losses = [cell.metrics[LOSS] for cell in cells]
    scores = [cell.metrics["total/learning_score"] for cell in cells]
    best = next(i for i, cell in enumerate(cells) if BEST in cell.metrics)
    other = int(np.argmax(scores))
    says = "both scores choose the same cell"
    if best != other:
        says = (
            "the learning score prefers lr_tau {:g}, lr_max {:g}, farther from the prior, "
            "which costs {:.3f} bits".format(*places[other], losses[other] - losses[best])
        )
    told = cells[0].parameters
    first, last = (date.fromisoformat(told[f"cell.{end}_day"]) for end in ("first", "last"))
    return partial(
        rate_map,
        places,
        losses,
        scores,
        best=(best, other),
        unit="bit per day" if told["cell.category"] == "partial_usage" else "bit per start",
        title=title,
        note=f"{span_in_words(first, last, int(told['cell.n_days']))} · prior {prior} · best of "
        f"{len(cells)} cells by log loss: lr_tau {places[best][0]:g} days, lr_max "
        f"{places[best][1]:g} · {says}",
        origin=run.origin,
    )


def _rate(cell: TrackedRun) -> tuple[float, float]:
    told = cell.parameters
    return float(told["cell.rate.lr_tau"]), float(told["cell.rate.lr_max"])
