"""Draw finished runs, from what was stored of them alone, for a paper's column and for slides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from command_line import (
    DEFAULT_RESULTS,
    DEFAULT_TRACKING,
    Folder,
    PathName,
    Unnamed,
    american,
    among,
    command,
    group,
    option,
    options,
    parsed,
    value,
)
from console import console, counted, doing, near, run, say, show_table

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.report.stored import KeptRun, Wanted

KINDS = (
    *("savings_by_building", "captured", "modes", "duration", "maps"),
    *("errors", "frontier", "habits", "hyperparameters"),
)
SIZES = ("column", "slide", "screen")
FORMATS = ("png", "svg")
RUNS = ("RUN", "ids of runs [default: the newest finished of each pipeline]")
EPILOG = (
    "RUN is the id of a run or the first characters of it. savings_by_building and captured show "
    "all runs in one figure, the others are drawn run by run. A column is 85 mm wide, a slide "
    "16:9. What every figure shows: docs/figures.md."
)


@group("what to draw")
class What:
    """Which figures of which runs."""

    figures: Annotated[tuple[str, ...], among(*KINDS)] = option(", ".join(KINDS), KINDS)
    building: str | None = option("only this building [default: all]", None)
    mode: Annotated[str | None, value(american, "", "MODE")] = option(
        "whose plan the heat maps show [default: centralized]", None
    )


@group("how")
class How:
    """In what sizes and formats."""

    sizes: Annotated[tuple[str, ...], among(*SIZES)] = option(", ".join(SIZES), SIZES[:2])
    formats: Annotated[tuple[str, ...], among(*FORMATS)] = option(", ".join(FORMATS), FORMATS)


@group("where things are")
class Where:
    """Where things are."""

    results: Folder = option("results folder", DEFAULT_RESULTS)
    tracking_uri: str = option("MLflow store", DEFAULT_TRACKING)
    out: PathName | None = option(
        "folder of the figures [default: figures below the results]", None
    )


@command
class Options:
    """The command line of this script."""

    words: Unnamed = ()
    list: bool = option("only show the runs there are", False)
    what: What = options(What)
    how: How = options(How)
    where: Where = options(Where)


def main() -> None:
    """Find the runs, draw their figures, and report what is missing."""
    asked, out = parsed(Options, __doc__, EPILOG, config=False, words=RUNS), console()
    with doing(out, "reading the results"):
        from ems.report.stored import Wanted, choose_runs, kept_runs
        from ems.tracking import store_uri

        store_uri(asked.where.tracking_uri)  # an invalid address must not read as a missing run
        kept = kept_runs(asked.where.results / "ems_results.duckdb")
    if asked.list:
        show(out, kept)
        return
    runs = choose_runs(kept, asked.words)
    for chosen in runs:
        tell_run(out, chosen)
    what = asked.what
    wanted = Wanted(kinds=what.figures, building=what.building, mode=what.mode)
    if not draw(asked, runs, wanted, out):
        raise InvalidSpec("nothing could be drawn: see above what is missing, or choose other runs")


def tell_run(out: Console, chosen: KeptRun) -> None:
    """A line for each run drawn, with warnings."""
    when = f"{chosen.started_utc:%Y-%m-%d %H:%M} UTC"
    say(out, f"run       {chosen.short_id} {chosen.pipeline}: {chosen.building}, {when}")
    if chosen.status != "FINISHED":
        line = f"warning   {chosen.short_id} is {chosen.status}: its figures show what was finished"
        out.print(line, style="yellow")
    if chosen.synthetic:
        say(out, "          SYNTHETIC DATA: made up, not measurements", style="bold yellow")


def draw(asked: Options, runs: Sequence[KeptRun], wanted: Wanted, out: Console) -> int:
    """Write every figure at every size; returns the number of figures."""
    from ems.report.stored import CAPTIONS, Missing, figures, write_drawing

    folder: Path = asked.where.out or asked.where.results / "figures"
    places: dict[Path, int] = {}
    out.print("drawing the figures …")
    for of_run, figure in figures(runs, wanted, asked.where.tracking_uri):
        if isinstance(figure, Missing):
            say(out, f"left out  {figure.name}: {figure.reason}", style="yellow")
            continue
        place = folder / ("all_runs" if of_run is None else of_run.short_id)
        files = write_drawing(figure, place, asked.how.sizes, asked.how.formats)
        places[place] = places.get(place, 0) + 1
        what = near(place / figure.file_stem)
        out.print(f"figure    {what}: {', '.join(files)}", soft_wrap=True)
    for place in places:
        out.print(f"captions  {near(place / CAPTIONS)}", soft_wrap=True)
    return sum(places.values())


def show(out: Console, kept: Sequence[KeptRun]) -> None:
    """A row for each run."""
    heads = ("run", "pipeline", "building", "started UTC", "status", "data")
    rows = [
        (
            one.short_id,
            one.pipeline,
            one.building,
            f"{one.started_utc:%Y-%m-%d %H:%M:%S}",
            one.status,
            "synthetic" if one.synthetic else "measured",
        )
        for one in kept
    ]
    show_table(out, counted(len(kept), "run"), heads, rows, keys=len(heads))


if __name__ == "__main__":
    run(main)
