"""Learn when people use their appliances, plan with it, and show what comfort costs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from common import Parser, console, near, open_database, progress_bar, run
from planning import (
    EPILOG,
    MODE_NAMES,
    ON_OFF,
    Chosen,
    add_assets,
    add_foresight,
    add_how,
    add_scheduler,
    add_what,
    add_where,
    command_line,
    describe,
    figure_folder,
    foresight_text,
    open_building,
    percent_text,
    report_file,
    results_db,
    run_parameters,
    saving_text,
    specification,
    stored_run,
)

from ems.errors import InvalidSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.pipelines.comparison import DayRecord
    from ems.pipelines.integrated import FrontierPoint, HabitDay, Integrated, IntegratedSpec
    from ems.store.read import PortfolioRow

EXPERIMENT = "integrated"
COLUMNS = (
    "cost €",
    "saved vs metered €",
    "vs rule €",
    "discomfort €",
    "start probability",
    "unusual",
    "mean shift h",
    "starts",
)


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", EPILOG)
    add_what(
        p, building="DE_KN_residential4", mode="centralized", n_days=10, modes=tuple(MODE_NAMES)
    )
    habit = p.add_argument_group("habits")
    habit.add_argument(
        "--preference_eur",
        type=_weights,
        default=(0.0, 0.02, 0.05, 0.1, 0.2, 0.5),
        metavar="W,W,…",
        help="weights of the frontier, € for a start in an hour that never happens "
        "(0,0.02,0.05,0.1,0.2,0.5)",
    )
    habit.add_argument("--prior", choices=("uniform", "learned"), default="uniform")
    habit.add_argument("--lr_tau", type=float, default=20.0, help="weight of the prior, days (20)")
    habit.add_argument("--lr_min", type=float, default=0.005, help="least rate (0.005)")
    habit.add_argument("--lr_max", type=float, default=0.15, help="greatest rate (0.15)")
    add_assets(p)
    add_foresight(p)
    add_how(p)
    add_scheduler(p)
    add_where(p)
    return p


def _weights(text: str) -> tuple[float, ...]:
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' must be numbers with commas between") from error
    if not weights or not all(0 <= weight < float("inf") for weight in weights):
        raise argparse.ArgumentTypeError(f"'{text}': every weight must be a finite number >= 0")
    return weights


def main() -> None:
    """Train, predict, plan, settle and learn under every controller; show, store and track it."""
    from ems.learning.probability_model import LearningRate
    from ems.pipelines.integrated import Integrated, IntegratedSpec
    from ems.store.read import portfolio

    args = parser().parse_args()
    out = console()
    if not ON_OFF[args.appliances]:
        raise InvalidSpec("appliances is off, but Pipeline B plans appliances; leave it on")
    rate = LearningRate(lr_tau=args.lr_tau, lr_min=args.lr_min, lr_max=args.lr_max)
    spec = IntegratedSpec(
        base=specification(args), weights_eur=args.preference_eur, prior=args.prior, rate=rate
    )
    with open_database(args.db, out) as con:
        building = open_building(con, args.building, spec.base)
        known = portfolio(con) if ON_OFF[args.report] else ()
    pipeline = Integrated(building, spec, args.start, args.n_days)
    describe(out, spec.base, [Chosen(building=building, window=pipeline.window)])
    out.print(
        f"habits    {', '.join(pipeline.devices)}: trained on the days before "
        f"{pipeline.window.days[0]}, prior {spec.prior}"
    )
    points, files, run_id = integrate(args, spec, pipeline, known, out)
    show(out, points, foresight_text(spec.base))
    for file in files:
        out.print(f"{'report ' if file.suffix == '.html' else 'figure '}   {near(file)}")
    out.print(f"results   {near(results_db(args))}")
    out.print(f"mlflow    run {run_id}; open it: python scripts/launch_mlflow.py")


def integrate(
    args: argparse.Namespace,
    spec: IntegratedSpec,
    pipeline: Integrated,
    known: Sequence[PortfolioRow],
    out: Console,
) -> tuple[list[FrontierPoint], list[Path], str]:
    """Run every controller, keeping what is finished; returns the frontier, figures and report."""
    from ems.pipelines.integrated import frontier_point
    from ems.tracking import day_metrics, pipeline_run, total_metrics

    chosen = [Chosen(building=pipeline.building, window=pipeline.window)]
    name, synthetic = pipeline.window.building, chosen[0].synthetic
    parameters = {**run_parameters(args, spec.base, chosen), "habits": _habits(spec)}
    tracked = pipeline_run(
        args.tracking_uri,
        experiment=EXPERIMENT,
        name=f"{name} {args.mode}",
        parameters=parameters,
        tags={"synthetic": str(synthetic).lower(), "foresight": foresight_text(spec.base)},
    )
    points: list[FrontierPoint] = []
    examples: list[DayRecord] = []
    n_days = len(pipeline.window.days)
    with (
        tracked as run_,
        stored_run(args, EXPERIMENT, parameters, synthetic, run_.run_id) as stored,
        progress_bar(out, "days") as bar,
    ):
        task = bar.add_task("learning and planning", total=n_days * (2 + len(spec.controllers)))
        baselines = list(pipeline.baselines())
        stored.days(baselines)
        bar.update(task, advance=len(baselines))
        for done in pipeline.runs(args.workers, args.scheduler):
            examples.append(_best_day(done.days, baselines))
            points.append(frontier_point(done.controller, done.days, baselines, done.perfect))
            label = f"{args.mode} {done.controller.name}"
            stored.days([replace(day.record, mode=label) for day in done.days])
            stored.updates(name, label, [u for day in done.days for u in day.updates])
            kpis = day_metrics([day.record.kpis for day in done.days])
            run_.days(name, label, kpis, range(len(done.days)))
            run_.summary(name, label, {**total_metrics(points[-1].summary), **_habit(points[-1])})
            bar.update(task, advance=len(done.days))
        wanted = ON_OFF[args.figures] and _has_starts(points)
        folder = figure_folder(args, run_.run_id)
        files = draw(folder, spec, pipeline, points) if wanted else []
        if ON_OFF[args.report]:
            page = write_page(args, spec, pipeline, known, points, examples[0], run_.run_id)
            files.append(page)
        for file in files:
            run_.artifact(file)
    return points, files, run_.run_id


def _habits(spec: IntegratedSpec) -> Mapping[str, object]:
    return {"preference_eur": list(spec.weights_eur), "prior": spec.prior, "rate": spec.rate}


def _habit(point: FrontierPoint) -> dict[str, float | None]:
    return {
        "mean_start_probability": point.mean_start_probability,
        "unusual": point.unusual,
        "weight_eur": point.controller.weight_eur,
        **{f"captured_share_vs_{share.baseline}": share.share for share in point.captured},
    }


def _best_day(days: Sequence[HabitDay], baselines: Sequence[DayRecord]) -> DayRecord:
    """The day that saves most against what was metered, as an example to explain."""
    from ems.economics.settlement import savings

    metered = {record.day: record.kpis for record in baselines if record.mode == "as_metered"}
    records = [day.record for day in days]
    return max(records, key=lambda record: savings(record.kpis, metered[record.day]).savings_eur)


def write_page(
    args: argparse.Namespace,
    spec: IntegratedSpec,
    pipeline: Integrated,
    known: Sequence[PortfolioRow],
    points: Sequence[FrontierPoint],
    example: DayRecord,
    run_id: str,
) -> Path:
    """The report of the run, with one day of its first controller explained."""
    from ems.report.page import integrated_report, write_report

    report = integrated_report(
        command=command_line(),
        run_id=run_id,
        spec=spec,
        building=pipeline.building,
        window=pipeline.window,
        known=known,
        points=points,
        example=example,
    )
    return write_report(report, report_file(args, EXPERIMENT, run_id))


def draw(
    folder: Path,
    spec: IntegratedSpec,
    pipeline: Integrated,
    points: Sequence[FrontierPoint],
) -> list[Path]:
    """The cost-comfort frontier."""
    from ems.report.figures.frontier import cost_comfort_frontier
    from ems.report.figures.page import Origin, days_in_words, save

    building = pipeline.window.building
    title = f"{building} · what comfort costs · {days_in_words(pipeline.window.days)}"
    figure = cost_comfort_frontier(
        points,
        title=title,
        tariff=spec.base.tariff.name,
        origin=Origin.of(pipeline.building.history),
        foresight=foresight_text(spec.base),
    )
    return [save(figure, folder / f"{building}_frontier.png")]


def show(out: Console, points: Sequence[FrontierPoint], foresight: str) -> None:
    """A row for each controller, and the knee of the frontier."""
    from rich.table import Table

    from ems.pipelines.integrated import knee

    summary = points[0].summary
    title = f"{summary.building}, {round(summary.kpis.days)} days, {summary.mode}"
    table = Table(title=f"{title} ({foresight})", title_justify="left")
    table.add_column("controller", no_wrap=True)
    shares = ("captured vs metered", "vs rule") if points[0].captured else ()
    for head in (*COLUMNS, *shares):
        table.add_column(head, justify="right", no_wrap=True)
    for point in points:
        captured = [percent_text(share.share) for share in point.captured]
        table.add_row(point.controller.name, *_cells(point), *captured)
    out.print(table)
    best = knee(points)
    if not _has_starts(points):
        out.print("knee      none, and no figure of it: no appliance was started in the window")
    elif best is None:
        out.print("knee      none: cost and comfort do not trade off in this window")
    else:
        out.print(f"knee      {best.controller.name}: beyond it comfort costs the most money")
    out.print(
        "start probability: mean learned probability of the hours of the starts; unusual: mean of "
        "1 − p/max p.\nWhat a plan has moved trains no hours: they are the people's own."
    )


def _has_starts(points: Sequence[FrontierPoint]) -> bool:
    return any(point.unusual is not None for point in points)


def _cells(point: FrontierPoint) -> list[str]:
    kpis, against = point.summary.kpis, point.summary.against
    p = point.mean_start_probability
    return [
        f"{kpis.cost_eur:.2f}",
        *(saving_text(against.get(base)) for base in ("as_metered", "rule_based")),
        f"{kpis.discomfort_eur:.2f}",
        "–" if p is None else f"{p:.3f}",
        percent_text(point.unusual),
        f"{kpis.mean_shift_h:.1f}",
        f"{kpis.starts:.0f}",
    ]


if __name__ == "__main__":
    run(main)
