"""Plan a building's days under every mode and show what that is worth against both baselines."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    choose,
    command_line,
    days_of,
    describe,
    figure_folder,
    foresight_text,
    percent_text,
    report_file,
    results_db,
    run_parameters,
    saving_text,
    specification,
    stored_run,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ems.pipelines.captured import Captured, ErrorCost, Ignorance
    from ems.pipelines.comparison import ComparisonSpec, DayRecord, DayResult, ModeSummary
    from ems.site.building import Building
    from ems.site.meters import MeterData
    from ems.store.read import PortfolioRow

EXPERIMENT = "comparison"
TITLES = {
    "as_metered": "as metered",
    "rule_based": "rule-based",
    "centralized_perfect": "perfect plan",
    "perfect_foresight": "all days at once",
}
ERRORS = {
    "pv_unknown": "sun",
    "load_unknown": "load and heat",
    "price_unknown": "price",
    "devices_unknown": "use of devices",
}
GROUPS = (
    ("cost €", "vs metered €", "vs rule €"),
    ("import kWh", "export kWh", "self-cons.", "self-suff."),
    ("peak kW", "cycles", "discomfort €"),
)
ONE_TABLE_WIDTH = 124
"""Narrower terminals get a table for each group of figures, so that none is cut."""

SAME_EUR = 0.005
"""A perfect-foresight row this close to the best mode says nothing new."""


def parser() -> Parser:
    """The command line of this script."""
    p = Parser(__doc__ or "", f"--building all plans every building. {EPILOG}")
    modes = (*MODE_NAMES, "all")
    add_what(p, building="DE_KN_residential4", mode="all", n_days=7, modes=modes)
    add_assets(p)
    add_foresight(p)
    add_how(p)
    add_scheduler(p)
    add_where(p)
    return p


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run leaves behind."""

    summaries: tuple[ModeSummary, ...]
    captured: tuple[Captured, ...]
    ignorance: tuple[Ignorance, ...]
    error_costs: tuple[ErrorCost, ...]
    figures: tuple[Path, ...]
    report: Path | None
    run_id: str


def main() -> None:
    """Build the specification, run the comparison, show, store and track it."""
    args = parser().parse_args()
    out = console()
    spec = specification(args)
    with open_database(args.db, out) as con:
        chosen = choose(con, args, spec, out)
        wanted = ON_OFF[args.figures] or ON_OFF[args.report]
        known = portfolio_rows(con) if wanted else ()
    describe(out, spec, chosen)
    outcome = compare(args, spec, chosen, known, out)
    show(out, outcome.summaries, foresight_text(spec))
    show_captured(out, outcome)
    tell_limits(out, args, spec, chosen)
    for file in outcome.figures:
        out.print(f"figure    {near(file)}")
    if outcome.report is not None:
        out.print(f"report    {near(outcome.report)}")
    out.print(f"results   {near(results_db(args))}")
    out.print(f"mlflow    run {outcome.run_id}; open it: python scripts/launch_mlflow.py")


def portfolio_rows(con: Any) -> tuple[PortfolioRow, ...]:
    """What the database holds, building by building."""
    from ems.store.read import portfolio

    return portfolio(con)


def compare(
    args: argparse.Namespace,
    spec: ComparisonSpec,
    chosen: Sequence[Chosen],
    known: Sequence[PortfolioRow],
    out: Console,
) -> Outcome:
    """Plan every block, keeping what is finished whatever happens."""
    from ems.pipelines.captured import captured, error_costs, ignorance
    from ems.pipelines.comparison import PLANNED, blocks_of, summarise
    from ems.pipelines.parallel import run_blocks
    from ems.tracking import day_metrics, pipeline_run, total_metrics

    blocks = [block for item in chosen for block in blocks_of(item.window, spec.block_days)]
    buildings = [item.building for item in chosen]
    synthetic = any(item.synthetic for item in chosen)
    parameters = run_parameters(args, spec, chosen)
    tracked = pipeline_run(
        args.tracking_uri,
        experiment=EXPERIMENT,
        name=f"{args.building} {args.mode}",
        parameters=parameters,
        tags={"synthetic": str(synthetic).lower()},
        mode_tags={mode: {"foresight": foresight_text(spec)} for mode in PLANNED},
    )
    results: list[DayResult] = []
    examples: dict[str, DayRecord] = {}
    n_records = sum(len(block.days) for block in blocks) * len(spec.all_modes)
    with (
        tracked as run_,
        stored_run(args, EXPERIMENT, parameters, synthetic, run_.run_id) as stored,
    ):
        done = run_blocks(buildings, spec, blocks, args.workers, scheduler=args.scheduler)
        with closing(done), progress_bar(out, "days planned") as bar:
            task = bar.add_task("planning", total=n_records)
            for records in done:
                stored.days(records)
                number = {day: i for i, day in enumerate(days_of(chosen, records[0].building))}
                for mode in spec.all_modes:
                    days = [record for record in records if record.mode == mode]
                    numbers = [number[record.day] for record in days]
                    kpis = day_metrics([record.kpis for record in days])
                    run_.days(records[0].building, mode, kpis, numbers)
                examples.setdefault(records[0].building, _best_day(records, spec))
                results += [record.result for record in records]
                bar.update(task, advance=len(records))
        summaries = summarise(results)
        shares, costs = captured(results), error_costs(results)
        for summary in summaries:
            metrics = total_metrics(summary) | _shares(summary, shares) | _costs(summary, costs)
            run_.summary(summary.building, summary.mode, metrics)
        files = []
        if ON_OFF[args.figures]:
            history = chosen[0].building.history
            out.print("drawing the figures …")
            folder = figure_folder(args, run_.run_id)
            files = draw(folder, spec, history, known, results, summaries, examples)
        page = None
        if ON_OFF[args.report]:
            page = write_page(args, spec, chosen, known, summaries, shares, examples, run_.run_id)
        for file in [*files, *([] if page is None else [page])]:
            run_.artifact(file)
    return Outcome(
        summaries=summaries,
        captured=shares,
        ignorance=ignorance(results, spec.modes[-1]),
        error_costs=costs,
        figures=tuple(files),
        report=page,
        run_id=run_.run_id,
    )


def _shares(summary: ModeSummary, shares: Sequence[Captured]) -> dict[str, float | None]:
    """The captured shares of one mode as metrics."""
    own = [s for s in shares if (s.building, s.mode) == (summary.building, summary.mode)]
    return {f"captured_share_vs_{s.baseline}": s.share for s in own}


def _costs(summary: ModeSummary, costs: Sequence[ErrorCost]) -> dict[str, float | None]:
    """What errors cost one mode as metrics; none where there were no errors."""
    found: dict[str, float | None] = {}
    for cost in costs:
        if (cost.building, cost.mode) == (summary.building, summary.mode):
            found = {
                "error_cost_eur_per_kwh": cost.eur_per_kwh,
                "error_cost_low_eur_per_kwh": cost.low,
                "error_cost_high_eur_per_kwh": cost.high,
                "error_rank_correlation": cost.rank_correlation,
            }
    return found


def _best_day(records: Sequence[DayRecord], spec: ComparisonSpec) -> DayRecord:
    """The planned day that saves most against what was metered, as an example to draw."""
    from ems.economics.settlement import savings

    mode = "centralized" if "centralized" in spec.modes else spec.modes[0]
    metered = {record.day: record.kpis for record in records if record.mode == "as_metered"}
    planned = [record for record in records if record.mode == mode]
    return max(planned, key=lambda record: savings(record.kpis, metered[record.day]).savings_eur)


def write_page(
    args: argparse.Namespace,
    spec: ComparisonSpec,
    chosen: Sequence[Chosen],
    known: Sequence[PortfolioRow],
    summaries: Sequence[ModeSummary],
    shares: Sequence[Captured],
    examples: Mapping[str, DayRecord],
    run_id: str,
) -> Path:
    """The report of the run, with a day of its first building explained."""
    from ems.report.page import comparison_report, write_report

    report = comparison_report(
        command=command_line(),
        run_id=run_id,
        spec=spec,
        chosen=[(item.building, item.window) for item in chosen],
        known=known,
        summaries=summaries,
        captured=shares,
        example=next(iter(examples.values())),
    )
    return write_report(report, report_file(args, EXPERIMENT, run_id))


def draw(
    folder: Path,
    spec: ComparisonSpec,
    history: MeterData,
    known: Sequence[PortfolioRow],
    results: Sequence[DayResult],
    summaries: Sequence[ModeSummary],
    examples: Mapping[str, DayRecord],
) -> list[Path]:
    """The figures of the run: three a building, all modes, and what is metered."""
    from ems.pipelines.comparison import MODES
    from ems.report.figures.buildings import energies_by_building
    from ems.report.figures.day import planned_day
    from ems.report.figures.days import cumulative_cost, savings_by_day
    from ems.report.figures.modes import mode_overview
    from ems.report.figures.page import Origin, save

    tariff, origin, foresight = spec.tariff.name, Origin.of(history), foresight_text(spec)
    figures = {}
    for building, example in examples.items():
        own = [result for result in results if result.building == building]
        figures |= {
            f"{building}_planned_day": planned_day(
                example, tariff=tariff, origin=origin, foresight=foresight
            ),
            f"{building}_savings_by_day": savings_by_day(
                own, tariff=tariff, origin=origin, foresight=foresight
            ),
            f"{building}_cumulative_cost": cumulative_cost(
                own, tariff=tariff, origin=origin, foresight=foresight
            ),
        }
    shown = [summary for summary in summaries if summary.mode in MODES]
    days = {
        building: sorted({result.day for result in results if result.building == building})
        for building in examples
    }
    figures["mode_overview"] = mode_overview(
        shown, days=days, tariff=tariff, origin=origin, foresight=foresight
    )
    figures["energies_by_building"] = energies_by_building(known, origin=origin)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def show(out: Console, summaries: Sequence[ModeSummary], foresight: str) -> None:
    """A row for each mode of each building, savings against both baselines."""
    for building in dict.fromkeys(summary.building for summary in summaries):
        rows = [summary for summary in summaries if summary.building == building]
        shown = [
            summary
            for summary in rows
            if summary.mode not in ERRORS
            and (summary.mode != "perfect_foresight" or _differs(summary, rows))
        ]
        title = f"{building}, {len_days(rows)} days ({foresight})"
        every = tuple(head for group in GROUPS for head in group)
        for heads in (every,) if out.width >= ONE_TABLE_WIDTH else GROUPS:
            out.print(_table(title, heads, shown))
    out.print(
        "cost = bill + wear. Savings (vs metered, vs rule) put the stores back as they were: a\n"
        "surplus is sold at the mean export price, a deficit bought at the mean import price.\n"
        "Percent: of what the baseline paid for import. all days at once: one plan a block."
    )


def show_captured(out: Console, outcome: Outcome) -> None:
    """What of the possible was captured, and what not knowing cost."""
    from rich.table import Table

    if not outcome.captured:
        return
    table = Table(title="share captured of what the perfect plan saves", title_justify="left")
    heads = ("building", "mode", "against", "saved €", "95 %", "possible €", "captured", "95 %")
    for head in heads:
        table.add_column(head, justify="left" if head in ("building", "mode") else "right")
    for row in outcome.captured:
        table.add_row(
            row.building,
            row.mode,
            TITLES[row.baseline],
            f"{row.saved_eur:.2f}",
            _within(row.saved_low_eur, row.saved_high_eur, 1.0),
            f"{row.possible_eur:.2f}",
            percent_text(row.share),
            _within(row.low, row.high, 100.0),
        )
    out.print(table)
    costs = {(cost.building, cost.mode): _ct_text(cost) for cost in outcome.error_costs}
    for lost in outcome.ignorance:
        single = ", ".join(f"{ERRORS[one]} {eur:.2f} €" for one, eur in lost.single_eur.items())
        out.print(
            f"ignorance {lost.building}, {lost.mode}: {lost.together_eur:.2f} € above the perfect "
            f"plan;\n          each alone: {single}; together {lost.rest_eur:+.2f} € on top"
        )
        keys = {one: (lost.building, one) for one in lost.single_eur}
        each = [f"{ERRORS[one]} {costs[key]}" for one, key in keys.items() if key in costs]
        if each:
            out.print(f"          a kWh that came otherwise cost: {', '.join(each)}")
    for summary in outcome.summaries:
        kpis = summary.kpis
        if kpis.load_error_kwh > 0 and summary.mode not in ERRORS:
            out.print(
                f"errors    {summary.building}, {summary.mode}: sun {kpis.pv_error_kwh:.0f} of "
                f"{kpis.generation_kwh:.0f} kWh, load {kpis.load_error_kwh:.0f} of "
                f"{kpis.demand_kwh:.0f} kWh; the car missed {kpis.missed_kwh:.1f} kWh"
            )
            cost = costs.get((summary.building, summary.mode))
            if cost is not None:
                out.print(f"          above the perfect plan for each of these kWh: {cost}")


def _ct_text(cost: ErrorCost) -> str:
    """What a kWh of error cost, and between which amounts."""
    told = f"{_ct(cost.eur_per_kwh)} ct"
    if cost.low is None or cost.high is None:
        return told
    return f"{told} ({_ct(cost.low)} … {_ct(cost.high)})"


def _ct(amount_eur: float) -> str:
    return f"{round(100.0 * amount_eur, 1) + 0.0:.1f}"


def _within(low: float | None, high: float | None, scale: float) -> str:
    if low is None or high is None:
        return "–"
    return f"{scale * low:.0f} … {scale * high:.0f}"


def _assumed(building: Building) -> str:
    """What every row carries that no meter saw."""
    found = [device.assumed for device in building.truth.devices if device.assumed]
    return f" and carries {', '.join(found)}" if found else ""


def tell_limits(
    out: Console, args: argparse.Namespace, spec: ComparisonSpec, chosen: Sequence[Chosen]
) -> None:
    """What the table cannot show: the meter's own bill, limits, parts of a demand charge."""
    from ems.pipelines.comparison import blocks_of

    for item in chosen:
        bill_eur = item.building.metered_bill_eur(item.window.days)
        if bill_eur is not None:
            out.print(
                f"meter     {item.window.building}: {bill_eur:.2f} € by the meter, which counts "
                "import and export apart;\n          every row nets them within the step"
                f"{_assumed(item.building)}, so the two are not to be compared"
            )
        if args.demand_charge_eur_per_kw > 0:
            n_blocks = len(blocks_of(item.window, spec.block_days))
            out.print(f"demand    the charge is paid once in each of {n_blocks} blocks of days")
    if min(args.max_import_kw, args.max_export_kw) < float("inf"):
        out.print(
            "limits    nobody plans the baselines: they may break the limits that the plans keep"
        )


def len_days(rows: Sequence[ModeSummary]) -> int:
    """How many days the rows are made of."""
    return round(rows[0].kpis.days)


def _table(title: str, heads: Sequence[str], rows: Sequence[ModeSummary]) -> Table:
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    table.add_column("mode", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for summary in rows:
        cells = _cells(summary)
        table.add_row(TITLES.get(summary.mode, summary.mode), *(cells[head] for head in heads))
    return table


def _differs(whole: ModeSummary, rows: Sequence[ModeSummary]) -> bool:
    planned = [r for r in rows if r.mode not in ("as_metered", "rule_based", whole.mode, *ERRORS)]
    worth = [row.kpis.cost_eur + row.kpis.discomfort_eur for row in planned]
    return abs(min(worth) - whole.kpis.cost_eur - whole.kpis.discomfort_eur) >= SAME_EUR


def _cells(summary: ModeSummary) -> dict[str, str]:
    kpis = summary.kpis
    return {
        "cost €": f"{kpis.cost_eur:.2f}",
        "vs metered €": saving_text(summary.against.get("as_metered")),
        "vs rule €": saving_text(summary.against.get("rule_based")),
        "import kWh": f"{kpis.import_kwh:.0f}",
        "export kWh": f"{kpis.export_kwh:.0f}",
        "self-cons.": percent_text(kpis.self_consumption),
        "self-suff.": percent_text(kpis.self_sufficiency),
        "peak kW": f"{kpis.peak_import_kw:.1f}",
        "cycles": f"{kpis.full_cycles:.1f}",
        "discomfort €": f"{kpis.discomfort_eur:.2f}",
    }


if __name__ == "__main__":
    run(main)
