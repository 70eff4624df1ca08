"""Ask the tracked runs: list them, find the best, compare two, see what got worse or stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from command_line import (
    DEFAULT_TRACKING,
    Count,
    NotNegative,
    PathName,
    Words,
    command,
    group,
    option,
    options,
    parsed,
    require_one,
)
from console import EXIT_BAD_INPUT, console, near, run, show_table
from cyclopts import Parameter

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
Cell = str | float | None


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table: shown, or written to DuckDB as ``mlflow_<name>``."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]

    @property
    def numbers(self) -> list[bool]:
        """Which columns contain numbers."""
        return [
            any(isinstance(row[i], float) for row in self.rows) for i in range(len(self.columns))
        ]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Tables, lines below them, and whether something got worse."""

    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...] = ()
    worse: bool = False


@group("question (none: list the runs)")
class Question:
    """What is asked; one at a time."""

    best: Annotated[str | None, Parameter(metavar="METRIC")] = option(
        "finished runs in order of a metric", None
    )
    compare: Annotated[tuple[str, str] | None, Parameter(metavar="RUN RUN")] = option(
        "which parameters of two runs differ, and which metrics", None
    )
    baseline: Annotated[str | None, Parameter(metavar="RUN")] = option(
        "what got worse since this run", None
    )
    stale_h: NotNegative | None = option(
        "failed and stopped runs, and what has been RUNNING for more hours [h]",
        None,
    )


@group("runs")
class Runs:
    """Which runs are asked."""

    where: str = option("a filter, such as \"params.building = 'x'\"", "")
    experiment: Words = option("names of experiments [default: all]", ())
    level: Literal["pipelines", "modes", "all"] | None = option(
        "pipelines' runs, those of modes below, or all [default: by the question]", None
    )
    limit: Count = option("rows shown", 25)
    tolerance: NotNegative = option(
        "share by which --baseline lets a metric get worse, --compare differ", 1e-6
    )
    tracking_uri: str = option("MLflow store", DEFAULT_TRACKING)
    db: PathName | None = option("the same as a path", None)


@group("answer")
class Form:
    """How the answer is given."""

    format: Literal["console", "markdown"] = option("of the tables", "console")
    to_duckdb: PathName | None = option("write the tables into this file too", None)


@command
class Options:
    """The command line of this script."""

    question: Question = options(Question)
    runs: Runs = options(Runs)
    form: Form = options(Form)


def main() -> None:
    """Ask one question and show the answer."""
    asked = parsed(Options, __doc__, EPILOG, config=False)
    out = console()
    if asked.form.format == "console":
        out.print("asking MLflow …")
    answer = ask(asked)
    for sheet in answer.sheets:
        show(out, sheet, asked.form.format)
    for note in answer.notes:
        out.print(note, soft_wrap=True)
    if asked.form.to_duckdb is not None:
        keep(asked.form.to_duckdb, answer.sheets)
        names = ", ".join(f"mlflow_{sheet.name}" for sheet in answer.sheets)
        out.print(f"tables    {names} in {near(asked.form.to_duckdb)}")
    if answer.worse:
        raise SystemExit(EXIT_WORSE)


def ask(asked: Options) -> Answer:
    """The answer to the question on the command line."""
    from ems.tracking import sqlite_uri
    from ems.tracking.read import RunStore

    question, which = asked.question, asked.runs
    require_one(**vars(question))
    require_one(db=which.db, tracking_uri=which.tracking_uri != DEFAULT_TRACKING)
    store = RunStore(which.tracking_uri if which.db is None else sqlite_uri(which.db))
    if question.compare:
        return compare(store, *question.compare, which.tolerance)
    runs = store.find(which.where, which.experiment)
    if question.baseline:
        return since(store, store.get(question.baseline), runs, which)
    if question.stale_h is not None:
        return stale(runs, question.stale_h)
    if question.best:
        return best(runs, question.best, which)
    return listing(runs, which)


def listing(runs: Sequence[TrackedRun], asked: Runs) -> Answer:
    """The newest runs."""
    chosen = of_level(runs, asked.level or "pipelines")
    shown = chosen[: asked.limit]
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


def best(runs: Sequence[TrackedRun], named: str, asked: Runs) -> Answer:
    """Finished runs in the order of a metric."""
    from ems.tracking.compare import metric_named, required_direction

    finished = [r for r in of_level(runs, asked.level or "all") if r.status == "FINISHED"]
    metric = metric_named(named, sorted({name for run in finished for name in run.metrics}))
    way = required_direction(metric)
    having = [run for run in finished if metric in run.metrics]
    having.sort(key=lambda run: run.metrics[metric], reverse=way == "higher")
    shown = having[: asked.limit]
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
    """The parameters and metrics in which two runs differ."""
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
    """The changed metrics of two corresponding runs."""
    from ems.tracking.compare import changes

    return changes(where, a.metrics, b.metrics)


def paired(
    store: RunStore, a: TrackedRun, b: TrackedRun
) -> list[tuple[str, TrackedRun, TrackedRun]]:
    """The two runs; for two pipelines, whose figures are sums, the runs below of equal name."""
    if a.parent_id is not None or b.parent_id is not None:
        return [(a.name, a, b)]
    below = {run.name: run for run in store.below(b)}
    return [
        (run.name, run, below[run.name])
        for run in sorted(store.below(a), key=lambda run: run.name)
        if run.name in below
    ]


def _alone(
    store: RunStore, a: TrackedRun, b: TrackedRun, pairs: Sequence[tuple[str, object, object]]
) -> list[str]:
    """Runs below one pipeline that the other lacks."""
    if a.parent_id is not None or b.parent_id is not None:
        return []
    shared = {where for where, _, _ in pairs}
    names = [(run, [r.name for r in store.below(run) if r.name not in shared]) for run in (a, b)]
    return [f"only in {run.short_id}: {', '.join(sorted(only))}" for run, only in names if only]


def since(store: RunStore, baseline: TrackedRun, runs: Sequence[TrackedRun], asked: Runs) -> Answer:
    """What got worse in runs of the same experiment and name started after the baseline."""
    from ems.tracking.compare import PROVENANCE, different, regressions

    later = [
        run
        for run in runs
        if (run.experiment, run.name) == (baseline.experiment, baseline.name)
        and (run.parent_id is None) == (baseline.parent_id is None)
        and run.started_utc > baseline.started_utc
        and run.status == "FINISHED"
    ][: asked.limit]
    rows: list[tuple[Cell, ...]] = []
    notes = []
    # Oldest first, as a history is read.
    for now in reversed(later):
        found = [c for where, x, y in paired(store, baseline, now) for c in changed(where, x, y)]
        worse = regressions(found, asked.tolerance)
        rows += [(now.short_id, *_change_row(change)) for change in worse]
        changed_options = [
            name
            for name, _, _ in different(baseline.parameters, now.parameters)
            if not name.startswith(PROVENANCE)
        ]
        other = (
            f"; asked for otherwise: {', '.join(changed_options[:6])}" if changed_options else ""
        )
        data = "" if _data(now) == _data(baseline) else "; other data"
        notes.append(f"{now.short_id}  {len(worse)} of {len(found)} metrics worse{data}{other}")
    if not later:
        notes.append(f"no finished run of '{baseline.name}' has started after {baseline.short_id}")
    sheet = Sheet(
        name="regressions",
        title=f"worse than {baseline.short_id} ({baseline.name}) by more than {asked.tolerance:g}",
        columns=("run", *CHANGE, "baseline", "now", "change", "change %"),
        rows=rows,
    )
    return Answer(sheets=(sheet,), notes=tuple(notes), worse=bool(rows))


def stale(runs: Sequence[TrackedRun], stale_h: float) -> Answer:
    """Runs that did not finish."""
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
FIGURES = ("cost €", "saved vs metered €", "vs best rule €", "log loss bits")
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
    """The table without empty columns."""
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
    """A cell as shown: numbers rounded, a dash for nothing."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.2f}" if abs(cell) >= 0.1 or cell == 0 else f"{cell:.3g}"
    return " ".join(cell.split())


def show(out: Console, sheet: Sheet, form: str) -> None:
    """Print a table, or only its title if it has no rows."""
    if not sheet.rows:
        out.print(f"{sheet.title}: none")
    elif form == "markdown":
        _show_markdown(sheet)
    else:
        rows = [[*map(text, row)] for row in sheet.rows]
        words = [i for i, number in enumerate(sheet.numbers) if not number]
        show_table(out, sheet.title, sheet.columns, rows, words=words)


def _show_markdown(sheet: Sheet) -> None:
    # print, not the console: Markdown must not be wrapped.
    print(f"**{sheet.title}**\n")
    for cells in (sheet.columns, ["---:" if number else "---" for number in sheet.numbers]):
        print(f"| {' | '.join(cells)} |")
    for row in sheet.rows:
        print(f"| {' | '.join(text(cell).replace('|', chr(92) + '|') for cell in row)} |")
    print()


def keep(file: Path, sheets: Sequence[Sheet]) -> None:
    """Write the tables into a DuckDB file."""
    import pandas as pd

    from ems.store.table import save_table

    for sheet in sheets:
        frame = pd.DataFrame(list(sheet.rows), columns=list(sheet.columns))
        save_table(file, f"mlflow_{sheet.name}", frame)


if __name__ == "__main__":
    run(main)
