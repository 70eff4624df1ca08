"""Draw finished runs, from what was stored of them alone, for a paper's column and for slides."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common import DEFAULT_RESULTS, DEFAULT_TRACKING, Parser, console, near, path, run

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.report.figures.paper import Paper
    from ems.report.stored import Drawing, KeptRun, Wanted

KINDS = (
    *("savings_by_building", "captured", "modes", "duration", "maps"),
    *("errors", "frontier", "habits", "hyperparameters"),
)
SIZES = ("column", "slide", "screen")
FORMATS = ("png", "svg")
CAPTIONS = "captions.md"
EPILOG = (
    "RUN is the id of a run or the first characters of it. savings_by_building and captured show "
    "all runs in one figure, the others are drawn run by run. A column is 85 mm wide, a slide "
    "16:9. What every figure shows: docs/figures.md."
)


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", EPILOG)
    p.add_argument(
        "run_ids", nargs="*", metavar="RUN", help="(default: the newest finished of each pipeline)"
    )
    p.add_argument("--list", action="store_true", help="only show the runs there are")
    what = p.add_argument_group("what to draw")
    what.add_argument(
        "--figures", type=_among(KINDS), default=KINDS, metavar="NAME,…", help=_all(KINDS)
    )
    what.add_argument("--building", help="only this building")
    what.add_argument("--mode", type=_mode, help="whose plan the heat maps show (centralized)")
    how = p.add_argument_group("how")
    how.add_argument(
        "--sizes", type=_among(SIZES), default=SIZES[:2], metavar="NAME,…", help=_all(SIZES, 2)
    )
    how.add_argument(
        "--formats", type=_among(FORMATS), default=FORMATS, metavar="NAME,…", help=_all(FORMATS)
    )
    where = p.add_argument_group("where things are")
    where.add_argument(
        "--results", type=path, default=DEFAULT_RESULTS, help="results folder (%(default)s)"
    )
    where.add_argument(
        "--tracking_uri", default=DEFAULT_TRACKING, help="MLflow store (%(default)s)"
    )
    where.add_argument("--out", type=path, help="folder of the figures (RESULTS/visualizations)")
    return p


def _all(names: Sequence[str], n_default: int | None = None) -> str:
    default = "all" if n_default is None else ",".join(names[:n_default])
    return f"{', '.join(names)} ({default})"


def _mode(text: str) -> str:
    """A mode in the spelling of the results."""
    return text.replace("centralised", "centralized")


def _among(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """An argument that names some of ``known`` with commas between."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"'{name}' is unknown; known: {', '.join(known)}")
        return names

    return parse


def main() -> None:
    """Find the runs, draw what they hold, and say what they do not hold."""
    args = parser().parse_args()

    from ems.report.stored import Wanted, choose_runs, kept_runs
    from ems.tracking import store_uri

    store_uri(args.tracking_uri)  # a wrong one is not the same as a store without the run
    out = console()
    kept = kept_runs(args.results / "ems_results.duckdb")
    if args.list:
        show(out, kept)
        return
    runs = choose_runs(kept, args.run_ids)
    for chosen in runs:
        tell_run(out, chosen)
    wanted = Wanted(kinds=args.figures, building=args.building, mode=args.mode)
    n_drawn = draw(args, runs, wanted, out)
    if not n_drawn:
        raise InvalidSpec("nothing could be drawn: see above what is missing, or choose other runs")


def tell_run(out: Console, chosen: KeptRun) -> None:
    """A line for a run that is drawn, and what is the matter with it."""
    when = f"{chosen.started_utc:%Y-%m-%d %H:%M} UTC"
    out.print(f"run       {chosen.short_id} {chosen.pipeline}: {chosen.building}, {when}")
    if chosen.status != "FINISHED":
        line = f"warning   {chosen.short_id} is {chosen.status}: its figures show what was finished"
        out.print(line, style="yellow")
    if chosen.synthetic:
        out.print("          SYNTHETIC DATA: made up, not measurements", style="bold yellow")


def draw(args: argparse.Namespace, runs: Sequence[KeptRun], wanted: Wanted, out: Console) -> int:
    """Write every figure at every size; returns how many figures there are."""
    from ems.report.stored import Missing, figures

    folder: Path = args.out or args.results / "visualizations"
    places: dict[Path, int] = {}
    for of_run, figure in figures(runs, wanted, args.tracking_uri):
        if isinstance(figure, Missing):
            out.print(f"left out  {figure.name}: {figure.reason}", style="yellow")
            continue
        place = folder / ("all_runs" if of_run is None else of_run.short_id)
        files, caption = write(figure, place, args)
        keep_caption(place / CAPTIONS, figure.name, caption)
        places[place] = places.get(place, 0) + 1
        what = near(place / figure.file_stem)
        out.print(f"figure    {what}: {', '.join(files)}", soft_wrap=True)
    for place in places:
        out.print(f"captions  {near(place / CAPTIONS)}", soft_wrap=True)
    return sum(places.values())


def write(drawing: Drawing, place: Path, args: argparse.Namespace) -> tuple[list[str], str]:
    """One figure at every size in every format; the ends of the files' names, and its caption."""
    from ems.report.figures.page import save
    from ems.report.figures.paper import PAPERS

    ends, caption = [], ""
    for size in args.sizes:
        paper: Paper = PAPERS[size]
        figure = drawing.on(paper)
        caption = str(figure.get_label())
        for kind in args.formats:
            end = f"{size}.{kind}"
            save(figure, place / f"{drawing.file_stem}_{end}", paper)
            ends.append(end)
    return ends, caption


def keep_caption(file: Path, name: str, caption: str) -> None:
    """Put a figure's caption among those of the other figures of its folder."""
    from ems.errors import DataError

    begin = f"**{name}.** "
    try:
        old = file.read_text(encoding="utf-8").split("\n\n") if file.exists() else []
        others = [text.strip() for text in old if not text.startswith(begin)]
        beside = file.with_name(f".{file.name}.tmp")
        text = "\n\n".join(sorted([*others, f"{begin}{caption}"]))
        beside.write_text(f"{text}\n", encoding="utf-8")
        beside.replace(file)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: the captions cannot be written ({error}); move it away"
        ) from error


def show(out: Console, kept: Sequence[KeptRun]) -> None:
    """A row for each run."""
    from rich.table import Table

    table = Table(title=f"{len(kept)} runs", title_justify="left")
    for head in ("run", "pipeline", "building", "started UTC", "status", "data"):
        table.add_column(head, no_wrap=True)
    for one in kept:
        table.add_row(
            one.short_id,
            one.pipeline,
            one.building,
            f"{one.started_utc:%Y-%m-%d %H:%M:%S}",
            one.status,
            "synthetic" if one.synthetic else "measured",
        )
    out.print(table)


if __name__ == "__main__":
    run(main)
