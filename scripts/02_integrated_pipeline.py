"""Learn when people use their appliances, plan with it, and show what comfort costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from command_line import Number, Numbers, command, group, option, options, parsed
from console import (
    console,
    counted,
    doing,
    number,
    percent_text,
    progress_bar,
    run,
    saving_text,
    say,
    show_table,
)
from planning import (
    EPILOG,
    AssetOptions,
    Chosen,
    Foresight,
    OneMode,
    PlanWhere,
    Solving,
    count_of,
    describe,
    foresight_text,
    open_building,
    require_exportable,
    require_taught,
    run_parameters,
    specification,
)
from runs import KeptRun, command_line, kept_run, open_database, read_portfolio, start_tracking

from ems.errors import InvalidSpec
from ems.learning.rate import LearningRate
from ems.pipelines.spec import BASELINES, IntegratedSpec

if TYPE_CHECKING:
    from rich.console import Console

    from ems.pipelines.comparison import DayRecord
    from ems.pipelines.integrated import FrontierPoint, Integrated
    from ems.store.read import PortfolioRow

EXPERIMENT = "integrated"
CELLS: Mapping[str, Callable[[FrontierPoint], str]] = {
    "cost €": lambda point: number(point.summary.kpis.cost_eur, 2),
    "wear €": lambda point: number(point.summary.kpis.wear_eur, 2),
    "saved vs metered €": lambda point: saving_text(point.summary.against.get("as_metered")),
    "vs best rule €": lambda point: saving_text(point.summary.against.get("rule_based")),
    "discomfort €": lambda point: number(point.summary.kpis.discomfort_eur, 2),
    "start probability": lambda point: (
        "–" if point.mean_start_probability is None else f"{point.mean_start_probability:.3f}"
    ),
    "unusual": lambda point: percent_text(point.unusual),
    "mean shift h": lambda point: number(point.summary.kpis.mean_shift_h, 1),
    "starts": lambda point: number(point.summary.kpis.starts, 0),
}


@group("habits")
class Habits:
    """What is learned and how it is weighed."""

    preference_eur: Numbers = option(
        "weights of the frontier, € for a start in an hour that never happens",
        IntegratedSpec.weights_eur,
    )
    prior: Literal["uniform", "learned"] = option(
        "what is believed before the first day", IntegratedSpec.prior
    )
    lr_tau: Number = option("weight of the prior [days]", LearningRate.lr_tau)
    lr_min: Number = option("least rate", LearningRate.lr_min)
    lr_max: Number = option("greatest rate", LearningRate.lr_max)


@command
class Options:
    """The command line of this script."""

    what: OneMode = options(OneMode)
    habits: Habits = options(Habits)
    assets: AssetOptions = options(AssetOptions)
    foresight: Foresight = options(Foresight)
    solving: Solving = options(Solving)
    where: PlanWhere = options(PlanWhere)


def main() -> None:
    """Train, predict, plan, settle and learn under every controller; show, store and track it."""
    asked = parsed(Options, __doc__, EPILOG)
    out = console()
    spec = integrated_specification(asked)
    start_tracking(asked.where)
    with open_database(asked.where.db, out) as con, doing(out, "reading the measurements"):
        from ems.pipelines.integrated import Integrated, trained_models

        building = open_building(con, asked.what.building, spec.base)
        require_taught(building, spec.base, asked.what.start)
    pipeline = Integrated(building, spec, asked.what.start, count_of(asked.what.n_days))
    chosen = [Chosen(building=building, window=pipeline.window)]
    require_exportable(asked.where, chosen, len(BASELINES) + len(spec.controllers))
    describe(out, spec.base, chosen)
    first = pipeline.window.days[0]
    devices = ", ".join(pipeline.devices)
    say(out, f"habits    {devices}: trained on the days before {first}, prior {spec.prior}")
    with doing(out, "learning from the days before"):  # fails here if they are too few
        trained_models(pipeline.histories, pipeline.devices, spec, first)
        _ = pipeline.known
    foresight = foresight_text(spec.base)
    parameters = run_parameters(asked.what, asked.solving, asked.where, spec.base, chosen)
    weighed = {"preference_eur": spec.weights_eur, "prior": spec.prior, "rate": spec.rate}
    with kept_run(
        EXPERIMENT,
        name=f"{pipeline.window.building} {asked.what.mode}",
        building=pipeline.window.building,
        options=asked,
        parameters={**parameters, "habits": weighed},
        synthetic=building.history.synthetic,
        out=out,
        tags={"foresight": foresight},
    ) as kept:
        points, example = integrate(asked, spec, pipeline, kept)
        show(out, points, foresight)
        kept.export(asked.where.export)
        known = read_portfolio(asked.where, out)
        kept.illustrate(
            (lambda folder: draw(folder, spec, pipeline, points)) if _has_starts(points) else None,
            lambda file: report(file, kept, spec, pipeline, known, points, example),
            chosen,
        )
    kept.research()


def integrated_specification(asked: Options) -> IntegratedSpec:
    """The specification; raises ``InvalidSpec`` if the options contradict each other."""
    if asked.assets.appliances == "off":
        raise InvalidSpec("appliances is off, but Pipeline B plans appliances; leave it on")
    habits = asked.habits
    rate = LearningRate(lr_tau=habits.lr_tau, lr_min=habits.lr_min, lr_max=habits.lr_max)
    return IntegratedSpec(
        base=specification(asked.what, asked.assets, asked.foresight, asked.solving),
        weights_eur=habits.preference_eur,
        prior=habits.prior,
        rate=rate,
    )


def integrate(
    asked: Options, spec: IntegratedSpec, pipeline: Integrated, kept: KeptRun
) -> tuple[list[FrontierPoint], DayRecord]:
    """Run every controller, keeping finished ones. Returns the frontier and a day of the first."""
    from ems.pipelines.integrated import frontier_point
    from ems.report.savings import best_day
    from ems.tracking import total_metrics

    name, n_days = pipeline.window.building, len(pipeline.window.days)
    points: list[FrontierPoint] = []
    examples: list[DayRecord] = []
    with progress_bar(kept.out, "days") as bar:
        n_modes = len(BASELINES) + len(spec.controllers)
        task = bar.add_task("learning and planning", total=n_days * n_modes)
        baselines = list(pipeline.baselines())
        kept.days(baselines)
        bar.update(task, advance=len(baselines))
        for done in pipeline.runs(asked.solving.workers, asked.solving.scheduler):
            point = frontier_point(done.controller, done.days, baselines, done.perfect)
            # Controllers share a mode, so the stored mode carries the controller's name.
            label = f"{asked.what.mode} {done.controller.name}"
            records = [day.record for day in done.days]
            examples.append(best_day(records, baselines))
            points.append(point)
            kept.days([replace(record, mode=label) for record in records])
            kept.updates(name, label, [update for day in done.days for update in day.updates])
            kept.track_days(records, label, range(n_days))
            kept.tracked.summary(name, label, total_metrics(point.summary) | _metrics(point))
            bar.update(task, advance=n_days)
    return points, examples[0]


def _metrics(point: FrontierPoint) -> dict[str, float | None]:
    return {
        "mean_start_probability": point.mean_start_probability,
        "unusual": point.unusual,
        "weight_eur": point.controller.weight_eur,
        **{f"captured_share_vs_{share.baseline}": share.share for share in point.captured},
    }


def report(
    file: Path,
    kept: KeptRun,
    spec: IntegratedSpec,
    pipeline: Integrated,
    known: Sequence[PortfolioRow],
    points: Sequence[FrontierPoint],
    example: DayRecord,
) -> Path:
    """The report of the run, with one day of its first controller explained."""
    from ems.report.page import integrated_report, write_report

    page = integrated_report(
        command=command_line(),
        run_id=kept.row.run_id,
        spec=spec,
        building=pipeline.building,
        window=pipeline.window,
        known=known,
        points=points,
        example=example,
    )
    return write_report(page, file)


def draw(
    folder: Path, spec: IntegratedSpec, pipeline: Integrated, points: Sequence[FrontierPoint]
) -> list[Path]:
    """The cost-comfort frontier."""
    from ems.report.figures.frontier import cost_comfort_frontier
    from ems.report.figures.page import Origin, days_in_words, save

    building = pipeline.window.building
    figure = cost_comfort_frontier(
        points,
        title=f"{building} · what comfort costs · {days_in_words(pipeline.window.days)}",
        tariff=spec.base.tariff.name,
        origin=Origin.of(pipeline.building.history),
        foresight=foresight_text(spec.base),
    )
    return [save(figure, folder / f"{building}_frontier.png")]


def show(out: Console, points: Sequence[FrontierPoint], foresight: str) -> None:
    """A row for each controller, and the knee of the frontier."""
    from ems.pipelines.integrated import knee

    summary = points[0].summary
    days = counted(round(summary.kpis.days), "day")
    shares = ("captured vs metered", "captured vs best rule") if points[0].captured else ()
    rows = [
        [
            point.controller.name,
            *(cell(point) for cell in CELLS.values()),
            *(percent_text(share.share) for share in point.captured),
        ]
        for point in points
    ]
    title = f"{summary.building}, {days}, {summary.mode} ({foresight})"
    show_table(out, title, ["controller", *CELLS, *shares], rows)
    best = knee(points)
    if not _has_starts(points):
        say(out, "knee      none, and no figure of it: no appliance was started in the window")
        return
    if best is None:
        say(out, "knee      none: cost and comfort do not trade off in this window, or evenly")
    else:
        say(out, f"knee      {best.controller.name}: beyond it comfort costs the most money")
    say(
        out,
        "start probability: mean learned probability of the hours of the starts; unusual: mean of "
        "1 − p/max p. What a plan has moved trains no hours: they are the people's own.",
    )


def _has_starts(points: Sequence[FrontierPoint]) -> bool:
    return any(point.unusual is not None for point in points)


if __name__ == "__main__":
    run(main)
