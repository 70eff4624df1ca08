"""All kinds of figures by name, and what a set of runs has of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ems.errors import InvalidSpec
from ems.report.stored.drawing import Drawing, Missing, Wanted
from ems.report.stored.learning import frontier_figures, habit_figures, rate_figures
from ems.report.stored.planning import (
    building_figure,
    captured_figure,
    duration_figures,
    error_figures,
    map_figures,
    mode_figures,
)
from ems.report.stored.runs import COMPARISON, INTEGRATED, PROBABILITY, KeptRun

OfRun = Callable[[KeptRun, Wanted, str], Iterator[Drawing | Missing]]
"""Makes the figures of a run; the last argument is the address of the MLflow store."""
OfAll = Callable[[Sequence[KeptRun], Wanted], Drawing | Missing]

OF_ALL: Mapping[str, OfAll] = {"savings_by_building": building_figure, "captured": captured_figure}
OF_RUNS: Mapping[str, tuple[Sequence[str], OfRun]] = {
    "modes": ((COMPARISON,), mode_figures),
    "duration": ((COMPARISON, INTEGRATED), duration_figures),
    "maps": ((COMPARISON, INTEGRATED), map_figures),
    "errors": ((COMPARISON,), error_figures),
    "frontier": ((INTEGRATED,), frontier_figures),
    "habits": ((INTEGRATED, PROBABILITY), habit_figures),
    "hyperparameters": ((PROBABILITY,), rate_figures),
}
"""The pipelines whose runs have a kind of figure, and the function that makes it."""
KINDS = (*OF_ALL, *OF_RUNS)
"""All kinds of figures."""


def figures(
    runs: Sequence[KeptRun], wanted: Wanted, tracking_uri: str
) -> Iterator[tuple[KeptRun | None, Drawing | Missing]]:
    """Each figure, or why it is missing, with its run; None for figures of all runs together.

    Figures that a pipeline never makes are not listed as missing, unless it makes none of those
    wanted. Raises ``InvalidSpec`` for an unknown kind or a building that no run has.
    """
    kinds = KINDS if wanted.kinds is None else wanted.kinds
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidSpec(f"figure {kind!r} is unknown; known are {', '.join(KINDS)}")
    known = sorted({name for run in runs for name in (*run.buildings, run.building)} - {"all"})
    if wanted.building is not None and wanted.building not in known:
        names = ", ".join(known)
        raise InvalidSpec(f"building {wanted.building!r} is in none of the runs; they have {names}")
    for kind in (kind for kind in OF_ALL if kind in kinds):
        yield None, OF_ALL[kind](runs, wanted)
    of_runs = [kind for kind in OF_RUNS if kind in kinds]
    # Runs are read only if a figure of single runs is wanted.
    for run in runs if of_runs else ():
        made = [
            figure
            for pipelines, make in map(OF_RUNS.__getitem__, of_runs)
            if run.pipeline in pipelines
            for figure in make(run, wanted, tracking_uri)
        ]
        none = Missing(name=f"run {run.short_id}", reason=_why_nothing(run, wanted, of_runs))
        yield from ((run, figure) for figure in made or [none])


def _why_nothing(run: KeptRun, wanted: Wanted, kinds: Sequence[str]) -> str:
    if run.pipeline != PROBABILITY and not run.buildings:
        return f"it is {run.status} and has stored no day"
    if wanted.building not in (None, run.building, *run.buildings):
        return f"it has nothing of {wanted.building}"
    if run.pipeline == COMPARISON and "errors" in kinds:
        return "it has no forecast errors; make a run with 01_run.py --foresight forecast"
    return f"the pipeline {run.pipeline} makes no figure of {', '.join(kinds)}"
