"""Ask the tracked runs: list them, find the best, compare two, see what got worse or stuck."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from common import (
    DEFAULT_TRACKING,
    EXIT_BAD_INPUT,
    Parser,
    console,
    near,
    not_negative,
    path,
    positive_int,
    run,
)

if TYPE_CHECKING:
    from rich.console import Console

    from ems.tracking.compare import Change
    from ems.tracking.read import RunStore, TrackedRun

EXIT_WORSE = 1
EPILOG = (
    "RUN is the id of a run or the first characters of it. METRIC is a metric's name, or short: "
    "savings_eur is total/savings_eur_vs_as_metered. --where takes MLflow's filter language. "
    f"Exit: 0; {EXIT_WORSE} when --baseline finds something worse; {EXIT_BAD_INPUT} for bad input."
)
LEVELS = ("pipelines", "modes", "all")
Cell = str | float | None


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table: shown, or written as ``mlflow_<name>`` into DuckDB."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Tables, lines below them, and whether something is worse."""

    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...] = ()
    worse: bool = False


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", EPILOG)
    ask = p.add_argument_group("question (none: list the runs)").add_mutually_exclusive_group()
    ask.add_argument("--best", metavar="METRIC", help="finished runs in order of a metric")
    ask.add_argument(
        "--compare",
        nargs=2,
        metavar="RUN",
        help="which parameters of two runs differ, and which metrics",
    )
    ask.add_argument("--baseline", metavar="RUN", help="what got worse since this run")
    ask.add_argument(
        "--stale_h",
        type=not_negative,
        metavar="H",
        help="failed and stopped runs, and what has been RUNNING for more than H hours",
    )
    which = p.add_argument_group("runs")
    which.add_argument("--where", default="", help="a filter, such as \"params.building = 'x'\"")
    which.add_argument(
        "--experiment", default=(), type=_names, metavar="NAME,…", help="(default: all)"
    )
    which.add_argument(
        "--level", choices=LEVELS, help="pipelines' runs, those of modes below, or all"
    )
    which.add_argument("--limit", type=positive_int, default=25, help="rows shown (25)")
    p.add_argument(
        "--tolerance",
        type=not_negative,
        default=1e-6,
        help="share by which --baseline lets a metric get worse, --compare differ (1e-6)",
    )
    store = p.add_mutually_exclusive_group()
    store.add_argument("--tracking_uri", default=DEFAULT_TRACKING, help="store (%(default)s)")
    store.add_argument("--db", type=path, help="the same as a path")
    out = p.add_argument_group("answer")
    out.add_argument("--format", choices=("console", "markdown"), default="console")
    out.add_argument("--to_duckdb", type=path, metavar="FILE", help="write the tables there too")
    return p


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def main() -> None:
    """Ask one question and show the answer."""
    args = parser().parse_args()
    out = console()
    answer = ask(args)
    for sheet in answer.sheets:
        show(out, sheet, args.format)
    for note in answer.notes:
        out.print(note, soft_wrap=True)
    if args.to_duckdb is not None:
        keep(args, answer.sheets)
        names = ", ".join(f"mlflow_{sheet.name}" for sheet in answer.sheets)
        out.print(f"tables    {names} in {near(args.to_duckdb)}")
    if answer.worse:
        raise SystemExit(EXIT_WORSE)


def ask(args: argparse.Namespace) -> Answer:
    """The answer to the question of the command line."""
    from ems.tracking import sqlite_uri
    from ems.tracking.read import RunStore

    store = RunStore(args.tracking_uri if args.db is None else sqlite_uri(args.db))
    if args.compare:
        return compare(store, *args.compare, args.tolerance)
    runs = store.find(args.where, args.experiment)
    if args.baseline:
        return since(store, store.get(args.baseline), runs, args)
    if args.stale_h is not None:
        return stale(runs, args.stale_h)
    if args.best:
        return best(runs, args)
    return listing(runs, args)


def listing(runs: Sequence[TrackedRun], args: argparse.Namespace) -> Answer:
    """The newest runs."""
    chosen = of_level(runs, args.level or "pipelines")
    shown = chosen[: args.limit]
    rows = [
        (
            *_who(run),
            run.status,
            run.duration_s,
            _days(run),
            _data(run),
            *_figures(run),
            _knows(run),
        )
        for run in shown
    ]
    sheet = Sheet(
        name="runs",
        title=f"{len(shown)} of {len(chosen)} runs, the newest first",
        columns=(*WHO, "status", "took s", "days", "data", *FIGURES, "foresight"),
        rows=rows,
    )
    return Answer(sheets=(_without_empty(sheet),), notes=() if rows else ("no run matches",))


def best(runs: Sequence[TrackedRun], args: argparse.Namespace) -> Answer:
    """Finished runs in the order of a metric."""
    from ems.tracking.compare import metric_named, required_direction

    finished = [r for r in of_level(runs, args.level or "all") if r.status == "FINISHED"]
    metric = metric_named(args.best, sorted({name for run in finished for name in run.metrics}))
    way = required_direction(metric)
    having = [run for run in finished if metric in run.metrics]
    having.sort(key=lambda run: run.metrics[metric], reverse=way == "higher")
    shown = having[: args.limit]
    sheet = Sheet(
        name="best",
        title=f"{len(shown)} of {len(having)} finished runs by {metric}, {way} is better",
        columns=(*WHO, metric, "days", "data", "foresight"),
        rows=[
            (*_who(run), run.metrics[metric], _days(run), _data(run), _knows(run)) for run in shown
        ],
    )
    return Answer(sheets=(_without_empty(sheet),), notes=_caution(shown))


def _caution(runs: Sequence[TrackedRun]) -> tuple[str, ...]:
    """What makes these runs hard to compare."""
    apart = {
        "buildings": {run.parameters.get("building") for run in runs},
        "numbers of days": {_days(run) for run in runs},
        "first days": {run.parameters.get("start") for run in runs},
        "data": {_data(run) for run in runs},
        "tariffs": {run.parameters.get("spec.tariff.name") for run in runs},
    }
    several = [f"{len(values)} {name}" for name, values in apart.items() if len(values) > 1]
    if not several:
        return ()
    return (f"caution   these runs have {', '.join(several)}: narrow them with --where",)


def compare(store: RunStore, one: str, other: str, tolerance: float) -> Answer:
    """The parameters in which two runs differ, and the metrics that follow."""
    from ems.tracking.compare import NOISE, different

    a, b = store.get(one), store.get(other)
    parameters = different(a.parameters, b.parameters)
    pairs = paired(store, a, b)
    every = [change for where, x, y in pairs for change in changed(where, x, y)]
    moved = [change for change in every if not change.within(tolerance, NOISE)]
    heads = (f"{a.short_id} ({a.name})", f"{b.short_id} ({b.name})")
    notes = [
        f"{len(every) - len(moved)} of {len(every)} figures that both have agree "
        f"(within {tolerance:g} of their size or {NOISE:g}); timings and single days are left out"
    ]
    notes += _alone(store, a, b, pairs)
    if a.experiment != b.experiment:
        notes.append(f"caution   one is of {a.experiment}, the other of {b.experiment}")
    return Answer(
        sheets=(
            Sheet(
                name="parameters",
                title="parameters that differ",
                columns=("parameter", *heads),
                rows=parameters,
            ),
            _change_sheet("metrics", "metrics that differ", moved, heads),
        ),
        notes=tuple(notes),
    )


def changed(where: str, a: TrackedRun, b: TrackedRun) -> list[Change]:
    """The metrics of two runs that belong together."""
    from ems.tracking.compare import changes

    return changes(where, a.metrics, b.metrics)


def paired(
    store: RunStore, a: TrackedRun, b: TrackedRun
) -> list[tuple[str, TrackedRun, TrackedRun]]:
    """The two runs themselves and, of pipelines, those below them that have the same name."""
    pairs = [("" if a.parent_id is None else a.name, a, b)]
    if a.parent_id is None and b.parent_id is None:
        below = {run.name: run for run in store.below(b)}
        pairs += [
            (run.name, run, below[run.name])
            for run in sorted(store.below(a), key=lambda run: run.name)
            if run.name in below
        ]
    return pairs


def _alone(
    store: RunStore, a: TrackedRun, b: TrackedRun, pairs: Sequence[tuple[str, object, object]]
) -> list[str]:
    """Runs below one pipeline that the other lacks."""
    if a.parent_id is not None or b.parent_id is not None:
        return []
    shared = {where for where, _, _ in pairs}
    names = [(run, [r.name for r in store.below(run) if r.name not in shared]) for run in (a, b)]
    return [f"only in {run.short_id}: {', '.join(sorted(only))}" for run, only in names if only]


def since(
    store: RunStore, baseline: TrackedRun, runs: Sequence[TrackedRun], args: argparse.Namespace
) -> Answer:
    """What got worse in runs of the same experiment and name that started after the baseline."""
    from ems.tracking.compare import PROVENANCE, different, regressions

    later = [
        run
        for run in runs
        if (run.experiment, run.name) == (baseline.experiment, baseline.name)
        and (run.parent_id is None) == (baseline.parent_id is None)
        and run.started_utc > baseline.started_utc
        and run.status == "FINISHED"
    ][: args.limit]
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for now in reversed(later):
        found = [c for where, x, y in paired(store, baseline, now) for c in changed(where, x, y)]
        worse = regressions(found, args.tolerance)
        rows += [(now.short_id, *_change_row(change)) for change in worse]
        asked = [
            name
            for name, _, _ in different(baseline.parameters, now.parameters)
            if not name.startswith(PROVENANCE)
        ]
        other = f"; asked for otherwise: {', '.join(asked[:6])}" if asked else ""
        data = "" if _data(now) == _data(baseline) else "; other data"
        notes.append(f"{now.short_id}  {len(worse)} of {len(found)} metrics worse{data}{other}")
    if not later:
        notes.append(f"no finished run of '{baseline.name}' has started after {baseline.short_id}")
    sheet = Sheet(
        name="regressions",
        title=f"worse than {baseline.short_id} ({baseline.name}) by more than {args.tolerance:g}",
        columns=("run", *CHANGE, "baseline", "now", "change", "change %"),
        rows=rows,
    )
    return Answer(sheets=(sheet,), notes=tuple(notes), worse=bool(rows))


def stale(runs: Sequence[TrackedRun], stale_h: float) -> Answer:
    """Runs that did not come to their end."""
    from ems.tracking.read import unfinished

    found = unfinished(runs, now_utc=datetime.now(UTC), stale_h=stale_h)
    rows = [(*_who(run), run.status, reason) for run, reason in found]
    title = f"{len(rows)} of {len(runs)} runs failed, were stopped, or RUNNING > {stale_h:g} h"
    columns = (*WHO, "status", "reason")
    return Answer(sheets=(Sheet(name="unfinished", title=title, columns=columns, rows=rows),))


def of_level(runs: Sequence[TrackedRun], level: str) -> list[TrackedRun]:
    """The runs of pipelines, of modes below them, or all."""
    if level == "all":
        return list(runs)
    return [run for run in runs if (run.parent_id is None) == (level == "pipelines")]


WHO = ("run", "experiment", "name", "started UTC")
FIGURES = ("cost €", "saved vs metered €", "vs rule €", "log loss bits")
CHANGE = ("where", "metric")


def _who(run: TrackedRun) -> tuple[str, str, str, str]:
    return run.short_id, run.experiment, run.name, f"{run.started_utc:%Y-%m-%d %H:%M:%S}"


def _figures(run: TrackedRun) -> tuple[float | None, ...]:
    names = ("cost_eur", "savings_eur_vs_as_metered", "savings_eur_vs_rule_based", "log_loss_bits")
    return tuple(run.metrics.get(f"total/{name}") for name in names)


def _days(run: TrackedRun) -> str | None:
    return run.parameters.get("n_days_planned", run.parameters.get("n_days"))


def _data(run: TrackedRun) -> str:
    return run.parameters.get("data.hash", "")[:8]


def _knows(run: TrackedRun) -> str:
    return run.tags.get("foresight", "")


def _change_row(change: Change) -> tuple[Cell, ...]:
    relative = None if change.relative is None else 100 * change.relative
    return (
        change.where,
        change.metric,
        change.before,
        change.after,
        change.change,
        relative,
    )


def _change_sheet(name: str, title: str, found: Sequence[Change], heads: tuple[str, str]) -> Sheet:
    columns = (*CHANGE, *heads, "change", "change %")
    return Sheet(name=name, title=title, columns=columns, rows=[_change_row(c) for c in found])


def _without_empty(sheet: Sheet) -> Sheet:
    """The table without columns that say nothing."""
    keep_ = [
        i for i in range(len(sheet.columns)) if any(row[i] not in (None, "") for row in sheet.rows)
    ]
    return Sheet(
        name=sheet.name,
        title=sheet.title,
        columns=tuple(sheet.columns[i] for i in keep_),
        rows=[[row[i] for i in keep_] for row in sheet.rows],
    )


def text(cell: Cell) -> str:
    """A cell as it is shown: numbers with what matters of them, a dash for nothing."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.2f}" if abs(cell) >= 0.1 or cell == 0 else f"{cell:.3g}"
    return " ".join(cell.split())


def show(out: Console, sheet: Sheet, form: str) -> None:
    """Print a table, nothing of it when it has no rows but its title."""
    if not sheet.rows:
        out.print(f"{sheet.title}: none")
    elif form == "markdown":
        _show_markdown(sheet)
    else:
        _show_console(out, sheet)


def _show_console(out: Console, sheet: Sheet) -> None:
    from rich.table import Table

    table = Table(title=sheet.title, title_justify="left")
    for i, head in enumerate(sheet.columns):
        number = any(isinstance(row[i], float) for row in sheet.rows)
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(text, row))
    out.print(table)


def _show_markdown(sheet: Sheet) -> None:
    numbers = [
        any(isinstance(row[i], float) for row in sheet.rows) for i in range(len(sheet.columns))
    ]
    print(f"**{sheet.title}**\n")
    for cells in (sheet.columns, ["---:" if number else "---" for number in numbers]):
        print(f"| {' | '.join(cells)} |")
    for row in sheet.rows:
        print(f"| {' | '.join(text(cell).replace('|', chr(92) + '|') for cell in row)} |")
    print()


def keep(args: argparse.Namespace, sheets: Sequence[Sheet]) -> None:
    """Write the tables into a DuckDB file."""
    import pandas as pd

    from ems.store.table import save_table

    for sheet in sheets:
        frame = pd.DataFrame(list(sheet.rows), columns=list(sheet.columns))
        save_table(args.to_duckdb, f"mlflow_{sheet.name}", frame)


if __name__ == "__main__":
    run(main)
