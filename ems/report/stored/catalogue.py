"""Every kind of figure by its name, and what a set of runs has of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ems.errors import InvalidSpec, TrackingError
from ems.report.stored.drawing import Drawing, Missing
from ems.report.stored.learning import (
    PROBABILITY,
    frontier_figure,
    habit_figures,
    rate_figures,
    tracked_below,
)
from ems.report.stored.planning import (
    COMPARISON,
    INTEGRATED,
    building_figure,
    captured_figure,
    duration_figures,
    error_figures,
    map_figures,
    mode_figures,
)
from ems.report.stored.runs import KeptRun
from ems.tracking.read import RunStore, TrackedRun

OF_SETS: Mapping[str, str] = {
    "savings_by_building": "savings by mode of every building of all runs",
    "captured": "captured share of all runs on forecasts",
}
OF_RUNS: Mapping[str, str] = {
    "modes": "cost, savings and self-sufficiency of every mode",
    "duration": "load duration curves at the grid",
    "maps": "heat maps of price, load and charge, hour × day",
    "errors": "what forecast errors cost, day by day",
    "frontier": "cost against comfort (script 02)",
    "habits": "how the usage PMFs moved (scripts 02 and 03)",
    "hyperparameters": "scores of every cell of the grid (script 03)",
}
KINDS: Mapping[str, str] = {**OF_SETS, **OF_RUNS}
"""What can be drawn."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for: kinds of figures, one building or all, and whose plan the maps show."""

    kinds: Sequence[str] = field(default=tuple(KINDS))
    building: str | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise InvalidSpec(f"figure {kind!r} is unknown; known are {', '.join(KINDS)}")


def figures(
    runs: Sequence[KeptRun], wanted: Wanted, tracking_uri: str
) -> Iterator[tuple[KeptRun | None, Drawing | Missing]]:
    """Each figure, or why it is missing, with its run; None: it is of all runs together.

    What a pipeline never makes is not listed as missing, unless it makes nothing of all that is
    wanted. Raises ``InvalidSpec`` for a building
    that none of the runs has.
    """
    _require_building(runs, wanted.building)
    if "savings_by_building" in wanted.kinds:
        yield None, building_figure(runs, wanted.building)
    if "captured" in wanted.kinds:
        yield None, captured_figure(runs, wanted.building)
    for run in runs if any(kind in OF_RUNS for kind in wanted.kinds) else ():
        found = 0
        for figure in _of_run(run, wanted, tracking_uri):
            found += 1
            yield run, figure
        if not found:
            yield run, Missing(name=f"run {run.short_id}", reason=_nothing(run, wanted))


def _nothing(run: KeptRun, wanted: Wanted) -> str:
    """Why a run has nothing of what is wanted."""
    if run.pipeline != PROBABILITY and not run.buildings:
        return f"it is {run.status} and has stored no day"
    if wanted.building not in (None, run.building, *run.buildings):
        return f"it has nothing of {wanted.building}"
    if run.pipeline == COMPARISON and "errors" in wanted.kinds:
        return "it has no forecast errors; make a run with 01_run.py --foresight forecast"
    kinds = ", ".join(kind for kind in wanted.kinds if kind in OF_RUNS)
    return f"the pipeline {run.pipeline} makes no figure of {kinds}"


def _of_run(run: KeptRun, wanted: Wanted, tracking_uri: str) -> Iterator[Drawing | Missing]:
    buildings = [name for name in run.buildings if wanted.building in (None, name)]
    if buildings and "modes" in wanted.kinds and run.pipeline != INTEGRATED:
        yield from mode_figures(run, buildings)
    if buildings and "duration" in wanted.kinds:
        yield from duration_figures(run, buildings)
    if buildings and "maps" in wanted.kinds:
        yield from map_figures(run, buildings, wanted.mode)
    if buildings and "errors" in wanted.kinds and run.pipeline == COMPARISON:
        yield from error_figures(run, buildings)
    if "habits" in wanted.kinds and run.pipeline in (INTEGRATED, PROBABILITY):
        yield from habit_figures(run, wanted.building)
    if "frontier" in wanted.kinds and buildings and run.pipeline == INTEGRATED:
        below = _below(run, "frontier", tracking_uri)
        found = frontier_figure(run, buildings[0], below) if isinstance(below, list) else below
        yield found
    if "hyperparameters" in wanted.kinds and run.pipeline == PROBABILITY:
        below = _below(run, "hyperparameters", tracking_uri)
        if isinstance(below, list):
            yield from rate_figures(run, wanted.building, below)
        else:
            yield below


def _below(run: KeptRun, kind: str, tracking_uri: str) -> list[TrackedRun] | Missing:
    """What MLflow has below a run, or why that is not to be had."""
    try:
        return tracked_below(run, RunStore(tracking_uri))
    except (TrackingError, InvalidSpec) as error:
        return Missing(name=kind, reason=str(error))


def _require_building(runs: Sequence[KeptRun], building: str | None) -> None:
    known = sorted({name for run in runs for name in (*run.buildings, run.building)} - {"all"})
    if building is not None and building not in known:
        raise InvalidSpec(
            f"building {building!r} is in none of the runs; they have {', '.join(known)}"
        )
