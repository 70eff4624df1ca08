"""Plan a building's days under every mode and show what that is worth against both baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import command, options, parsed
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
    Chosen,
    Foresight,
    PlanWhere,
    SizedAssets,
    Solving,
    What,
    building_of,
    choose,
    describe,
    foresight_text,
    learn_ahead,
    require_exportable,
    run_parameters,
    specification,
)
from runs import KeptRun, command_line, kept_run, open_database, read_portfolio, start_tracking

from ems.core.mode import LABELS
from ems.errors import InvalidSpec
from ems.pipelines.spec import MODES, PLANNED, RULES, SINGLE_ERRORS, UNPLANNED

if TYPE_CHECKING:
    from rich.console import Console

    from ems.pipelines.captured import Captured, ErrorCost, Ignorance
    from ems.pipelines.comparison import DayRecord, DayResult, ModeSummary, Window
    from ems.pipelines.sizes import Size, SizeRow
    from ems.pipelines.spec import ComparisonSpec
    from ems.site.building import Building
    from ems.store.read import PortfolioRow

EXPERIMENT, EXPERIMENT_SIZES = "comparison", "sizes"
HIGHER_PEAK = 1.2
"""A plan that raises the highest import by more than this factor is said."""
CELLS: Mapping[str, Callable[[ModeSummary], str]] = {
    "cost €": lambda row: number(row.kpis.cost_eur, 2),
    "wear €": lambda row: number(row.kpis.wear_eur, 2),
    "vs metered €": lambda row: saving_text(row.against.get("as_metered")),
    "vs best rule €": lambda row: saving_text(row.against.get("rule_based")),
    "import kWh": lambda row: number(row.kpis.import_kwh, 0),
    "export kWh": lambda row: number(row.kpis.export_kwh, 0),
    "self-cons.": lambda row: percent_text(row.kpis.self_consumption),
    "self-suff.": lambda row: percent_text(row.kpis.self_sufficiency),
    "peak kW": lambda row: number(row.kpis.peak_import_kw, 1),
    "cycles": lambda row: number(row.kpis.full_cycles, 1),
    "discomfort €": lambda row: number(row.kpis.discomfort_eur, 2),
}
SIZE_CELLS: Mapping[str, Callable[[SizeRow], str]] = {
    "cost €": lambda row: number(row.kpis.cost_eur, 2),
    "vs metered €": lambda row: saving_text(row.vs_metered),
    "vs best rule €": lambda row: saving_text(row.vs_rule),
    "wear €": lambda row: number(row.kpis.wear_eur, 2),
    "ageing €": lambda row: number(row.kpis.calendar_wear_eur, 2),
    "self-suff.": lambda row: percent_text(row.kpis.self_sufficiency),
    "cycles": lambda row: number(row.kpis.full_cycles, 1),
    "peak kW": lambda row: number(row.kpis.peak_import_kw, 1),
}
SAME_EUR = 0.005
"""A perfect-foresight row this close to the best mode adds no information."""


@command
class Options:
    """The command line of this script."""

    what: What = options(What)
    assets: SizedAssets = options(SizedAssets)
    foresight: Foresight = options(Foresight)
    solving: Solving = options(Solving)
    where: PlanWhere = options(PlanWhere)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The results of all days of all buildings."""

    results: Sequence[DayResult]
    examples: Mapping[str, DayRecord]
    summaries: Sequence[ModeSummary]
    captured: Sequence[Captured]
    ignorance: Sequence[Ignorance]
    error_costs: Sequence[ErrorCost]


def main() -> None:
    """Read, plan and show; then track the totals, draw and report."""
    asked = parsed(Options, __doc__, f"--building all plans every building. {EPILOG}")
    out = console()
    sizes = sizes_asked(asked.assets)
    if len(sizes) > 1:
        run_sizes(asked, sizes, out)
        return
    spec = specification(asked.what, asked.assets, asked.foresight, asked.solving)
    # Before anything slow: MLflow loads while the measurements are read.
    start_tracking(asked.where)
    with open_database(asked.where.db, out) as con, doing(out, "reading the measurements"):
        chosen = choose(con, asked.what, spec, out)
    require_exportable(asked.where, chosen, len(spec.all_modes))
    describe(out, spec, chosen)
    # Now, so that a start with too little history fails before a run exists.
    learn_ahead(out, asked.what, spec, chosen)
    with kept_run(
        EXPERIMENT,
        name=f"{building_of(asked.what, chosen)} {asked.what.mode}",
        building=building_of(asked.what, chosen),
        options=asked,
        parameters=run_parameters(asked.what, asked.solving, asked.where, spec, chosen),
        synthetic=any(item.synthetic for item in chosen),
        out=out,
        mode_tags={mode: {"foresight": foresight_text(spec)} for mode in PLANNED},
    ) as kept:
        found = compare(asked.solving, spec, chosen, kept)
        show(out, found.summaries, foresight_text(spec))
        show_captured(out, found)
        tell_limits(out, spec, chosen)
        track_totals(kept, found)
        kept.export(asked.where.export)
        known = read_portfolio(asked.where, out)
        kept.illustrate(
            lambda folder: draw(folder, spec, chosen[0].building, known, found),
            lambda file: report(file, kept, spec, chosen, known, found),
            chosen,
        )
    kept.research()


def compare(
    solving: Solving,
    spec: ComparisonSpec,
    chosen: Sequence[Chosen],
    kept: KeptRun,
    size: Size | None = None,
) -> Found:
    """Plan all days under every mode; finished modes are kept whatever happens.

    With a ``size`` they are kept under the mode and its label, since all sizes share the modes.
    """
    from ems.pipelines.captured import captured, error_costs, ignorance
    from ems.pipelines.comparison import summarise
    from ems.pipelines.parallel import run_windows
    from ems.report.savings import best_day, shown_mode

    windows = [item.window for item in chosen]
    numbers = {(c.window.building, day): i for c in chosen for i, day in enumerate(c.window.days)}
    results: list[DayResult] = []
    examples: dict[str, DayRecord] = {}
    explained = shown_mode(spec.modes)
    buildings = [item.building for item in chosen]
    done = run_windows(buildings, spec, windows, solving.workers, scheduler=solving.scheduler)
    # Closing the generator ends the workers, also on an error or Ctrl-C.
    with closing(done), progress_bar(kept.out, "days") as bar:
        task = bar.add_task(planning_words(spec, size), total=_n_records(windows, spec))
        for records in done:
            building, mode = records[0].building, records[0].mode
            kept_as = mode_of(mode, size)
            kept.days([replace(record, mode=kept_as) for record in records])
            kept.track_days(records, kept_as, [numbers[building, day.day] for day in records])
            results += [record.result for record in records]
            if mode == explained:
                own = [result for result in results if result.building == building]
                # One day with its plan; the plans of all days would fill the memory.
                examples[building] = best_day(records, own)
            bar.update(task, advance=len(records))
    return Found(
        results=results,
        examples=examples,
        summaries=summarise(results),
        captured=captured(results),
        ignorance=ignorance(results, spec.modes[-1]),
        error_costs=error_costs(results),
    )


def planning_words(spec: ComparisonSpec, size: Size | None) -> str:
    """The text of the progress bar."""
    does = "planning" if spec.foresight == "perfect" else "learning forecasts, planning"
    return does if size is None else f"{size.label}: {does}"


def mode_of(mode: str, size: Size | None) -> str:
    """The name under which a mode is kept."""
    return mode if size is None else f"{mode} {size.label}"


def _n_records(windows: Sequence[Window], spec: ComparisonSpec) -> int:
    return sum(len(window.days) for window in windows) * len(spec.all_modes)


# --- several sizes ------------------------------------------------------------------------------


def sizes_asked(assets: SizedAssets) -> list[SizedAssets]:
    """The options of each size; the metered PV is always among several."""
    kwh, scales = _several(assets.battery_kwh), _several(assets.pv_scale)
    if len(kwh) > 1 and assets.battery == "off":
        raise InvalidSpec("battery is off, but battery_kwh names several sizes; leave one of them")
    if len(scales) > 1 and 1.0 not in scales:
        scales = (1.0, *scales)
    pairs = product(kwh, scales)
    return [replace(assets, battery_kwh=battery, pv_scale=scale) for battery, scale in pairs]


def _several(size: float | tuple[float, ...]) -> tuple[float, ...]:
    return size if isinstance(size, tuple) else (size,)


def run_sizes(asked: Options, options_of: Sequence[SizedAssets], out: Console) -> None:
    """Every size under every mode, in one table and one run."""
    from ems.pipelines.sizes import size_rows, sized

    each = [specification(asked.what, one, asked.foresight, asked.solving) for one in options_of]
    specs = sized(each[0], [spec.assets for spec in each])
    start_tracking(asked.where)
    chosen = {}
    with open_database(asked.where.db, out) as con, doing(out, "reading the measurements"):
        for size, spec in specs.items():
            chosen[size] = choose(con, asked.what, spec, out)
    first = next(iter(specs))
    n_modes = len(specs) * len(specs[first].all_modes)
    require_exportable(asked.where, chosen[first], n_modes)
    describe(out, specs[first], chosen[first])
    say(out, f"sizes     {'; '.join(size.label for size in specs)}; the first is told above")
    learn_ahead(out, asked.what, specs[first], chosen[first])
    known = run_parameters(asked.what, asked.solving, asked.where, specs[first], chosen[first])
    with kept_run(
        EXPERIMENT_SIZES,
        name=f"{building_of(asked.what, chosen[first])} {len(specs)} sizes",
        building=building_of(asked.what, chosen[first]),
        options=asked,
        parameters={**known, "spec": of_sizes(specs), "sizes": [size.label for size in specs]},
        synthetic=any(item.synthetic for item in chosen[first]),
        out=out,
        tags={"foresight": foresight_text(specs[first])},
    ) as kept:
        found = {}
        for size, spec in specs.items():
            of_size = compare(asked.solving, spec, chosen[size], kept, size)
            track_totals(kept, of_size, size)
            found[size] = of_size.summaries
        show_sizes(out, size_rows(found), foresight_text(specs[first]))
        kept.export(asked.where.export)
        kept.illustrate(None, None, chosen[first])


def of_sizes(specs: Mapping[Size, ComparisonSpec]) -> Any:
    """The specification of all sizes, with a list where they differ."""
    from ems.tracking.parameters import plain

    every = [plain(spec) for spec in specs.values()]
    for part in ("battery", "pv_scale"):
        values = [spec["assets"][part] for spec in every]
        if any(value != values[0] for value in values):
            every[0]["assets"][part] = (
                {key: [value[key] for value in values] for key in values[0]}
                if isinstance(values[0], dict)
                else values
            )
    return every[0]


def show_sizes(out: Console, rows: Sequence[SizeRow], foresight: str) -> None:
    """A table for each building, a row for each size and mode, and what it means."""
    for building in dict.fromkeys(row.building for row in rows):
        own = [row for row in rows if row.building == building]
        cells = [
            [
                "as it stands" if row.size is None else row.size.label,
                label(row.mode),
                *(cell(row) for cell in SIZE_CELLS.values()),
            ]
            for row in own
        ]
        days = counted(round(own[0].kpis.days), "day")
        heads = ["size", "mode", *SIZE_CELLS]
        show_table(out, f"{building}, {days} ({foresight})", heads, cells, keys=2)
    say(
        out,
        "vs metered: against the house as it stands, with its own PV and nobody planning. vs best "
        "rule: against the rule that costs least with a battery and PV of that size.",
    )
    say(
        out,
        "Wear by use and ageing by time are assumed, and in no cost; what a size costs to buy is "
        "in no figure.",
    )


# --- what it came to ----------------------------------------------------------------------------


def track_totals(kept: KeptRun, found: Found, size: Size | None = None) -> None:
    """Totals of every mode in MLflow, with captured shares and the cost of errors."""
    from ems.tracking import total_metrics

    for row in found.summaries:
        key = row.building, row.mode
        metrics = total_metrics(row)
        for share in found.captured:
            if (share.building, share.mode) == key:
                metrics[f"captured_share_vs_{share.baseline}"] = share.share
        for cost in found.error_costs:
            if (cost.building, cost.mode) == key:
                metrics |= {
                    "error_cost_eur_per_kwh": cost.eur_per_kwh,
                    "error_cost_low_eur_per_kwh": cost.low,
                    "error_cost_high_eur_per_kwh": cost.high,
                    "error_rank_correlation": cost.rank_correlation,
                }
        own = {} if size is None else {"size": size}
        kept.tracked.summary(row.building, mode_of(row.mode, size), metrics, own)


def report(
    file: Path,
    kept: KeptRun,
    spec: ComparisonSpec,
    chosen: Sequence[Chosen],
    known: Sequence[PortfolioRow],
    found: Found,
) -> Path:
    """The report of the run, with a day of its first building explained."""
    from ems.report.page import comparison_report, write_report

    page = comparison_report(
        command=command_line(),
        run_id=kept.row.run_id,
        spec=spec,
        chosen=[(item.building, item.window) for item in chosen],
        known=known,
        summaries=found.summaries,
        captured=found.captured,
        results=found.results,
        example=next(iter(found.examples.values())),
    )
    return write_report(page, file)


def draw(
    folder: Path,
    spec: ComparisonSpec,
    building: Building,
    known: Sequence[PortfolioRow],
    found: Found,
) -> list[Path]:
    """The figures of the run: three per building, all modes, and what is metered."""
    from ems.report.figures.buildings import energies_by_building
    from ems.report.figures.day import planned_day
    from ems.report.figures.days import cumulative_cost, savings_by_day
    from ems.report.figures.modes import mode_overview
    from ems.report.figures.page import Origin, save

    origin = Origin.of(building.history)
    said = {"tariff": spec.tariff.name, "origin": origin, "foresight": foresight_text(spec)}
    own = {b: [result for result in found.results if result.building == b] for b in found.examples}
    figures = {}
    for name, example in found.examples.items():
        figures |= {
            f"{name}_planned_day": planned_day(example, why=why_shown(own[name]), **said),
            f"{name}_savings_by_day": savings_by_day(own[name], **said),
            f"{name}_cumulative_cost": cumulative_cost(own[name], **said),
        }
    shown = [summary for summary in found.summaries if summary.mode in MODES]
    days = {b: sorted({result.day for result in results}) for b, results in own.items()}
    figures["mode_overview"] = mode_overview(shown, days=days, **said)
    figures["energies_by_building"] = energies_by_building(known, origin=origin)
    return [save(figure, folder / f"{name}.png") for name, figure in figures.items()]


def why_shown(results: Sequence[DayResult]) -> str:
    """Why the planned day of a building is shown, for its figure."""
    n_days = len({result.day for result in results})
    return f"of {n_days} days the one that saved most" if n_days > 1 else ""


# --- on the console -----------------------------------------------------------------------------


def show(out: Console, summaries: Sequence[ModeSummary], foresight: str) -> None:
    """A row for each mode of each building, savings against both baselines, and what they mean."""
    from ems.pipelines.comparison import best_rule

    shown: list[ModeSummary] = []
    for building in dict.fromkeys(summary.building for summary in summaries):
        rows = [row for row in summaries if row.building == building and row.mode in ROWS]
        rows = [row for row in rows if row.mode != "perfect_foresight" or _differs(row, rows)]
        days = counted(round(rows[0].kpis.days), "day")
        best = best_rule(summaries, building)
        cells = [
            [label(row.mode) + " *" * (row.mode == best), *(cell(row) for cell in CELLS.values())]
            for row in rows
        ]
        show_table(out, f"{building}, {days} ({foresight})", ["mode", *CELLS], cells)
        shown += rows
    say(
        out,
        "cost = the bill with the stores put back: what is left in them is worth what the plan "
        "that knows everything would earn with it. Wear is assumed and not in it.",
    )
    say(
        out,
        "* the best rule: it costs least over these days, wear included. Nobody knows beforehand "
        "which that is, which favours it.",
    )
    tell_ageing(out, shown)
    tell_peaks(out, shown)
    if any(saved.savings_pct is not None for row in shown for saved in row.against.values()):
        out.print("Percent: of what the baseline paid for import.")
    if any(row.mode == "perfect_foresight" for row in shown):
        say(
            out,
            f"{LABELS['perfect_foresight']}: planned together; with wear and discomfort no plan "
            "costs less.",
        )


def tell_peaks(out: Console, shown: Sequence[ModeSummary]) -> None:
    """Where a plan buys more at once than the people did, which a connection may not bear."""
    for building in dict.fromkeys(row.building for row in shown):
        rows = {row.mode: row.kpis.peak_import_kw for row in shown if row.building == building}
        plans = {mode: peak_kw for mode, peak_kw in rows.items() if mode not in UNPLANNED}
        if not plans or "as_metered" not in rows:
            continue
        mode = max(plans, key=lambda mode: plans[mode])
        if plans[mode] > HIGHER_PEAK * rows["as_metered"]:
            say(
                out,
                f"peak      {building}: {label(mode)} raises the highest import from "
                f"{number(rows['as_metered'], 1)} to {number(plans[mode], 1)} kW; --max_import_kw "
                "limits it, --demand_charge_eur_per_kw has it paid for",
            )


def tell_ageing(out: Console, shown: Sequence[ModeSummary]) -> None:
    """What the battery ages by time, once for each building: no row's cost has it."""
    aged = {row.building: row.kpis for row in shown if row.kpis.calendar_wear_eur > 0}
    for building, kpis in aged.items():
        say(
            out,
            f"ageing    {building}: by time alone the battery loses "
            f"{number(kpis.calendar_wear_eur, 2)} € in {counted(round(kpis.days), 'day')} "
            "(assumed), in every row but as metered, and in no figure",
        )


ROWS = frozenset({*MODES, *RULES, "value_based", "centralized_perfect"} - {"rule_based"})
"""Modes shown as rows; single errors are reported in a line, the best rule marked in its row."""


def label(mode: str) -> str:
    """Name of a row: a planned mode as spelled in the options."""
    return mode if mode in PLANNED else LABELS[mode]


def _differs(whole: ModeSummary, rows: Sequence[ModeSummary]) -> bool:
    planned = [row for row in rows if row.mode in (*PLANNED, "centralized_perfect")]
    # With wear and discomfort, which plans minimise too; cost alone could be below the bound's.
    worth = [row.kpis.with_wear_eur + row.kpis.discomfort_eur for row in planned]
    return abs(min(worth) - whole.kpis.with_wear_eur - whole.kpis.discomfort_eur) >= SAME_EUR


def show_captured(out: Console, found: Found) -> None:
    """Captured shares, and the cost of not knowing."""
    from ems.pipelines.captured import many_told

    if not found.captured:
        return
    heads = ("building", "mode", "against", "saved €", "95 %", "possible €", "captured", "95 %")
    rows = [
        (
            row.building,
            label(row.mode),
            LABELS[row.baseline],
            number(row.saved_eur, 2),
            _within(row.saved_low_eur, row.saved_high_eur, 1.0),
            number(row.possible_eur, 2),
            percent_text(row.share),
            _within(row.low, row.high, 100.0),
        )
        for row in found.captured
    ]
    show_table(out, "share captured of what the perfect plan saves", heads, rows, keys=3)
    many = many_told(found.captured)
    if many is not None:
        say(out, f"intervals {many}")
    costs = {(cost.building, cost.mode): _ct_text(cost) for cost in found.error_costs}
    for lost in found.ignorance:
        tell_ignorance(out, lost, costs)
    for summary in found.summaries:
        if summary.kpis.load_error_kwh > 0 and summary.mode not in SINGLE_ERRORS:
            tell_errors(out, summary, costs.get((summary.building, summary.mode)))


def tell_ignorance(out: Console, lost: Ignorance, costs: Mapping[tuple[str, str], str]) -> None:
    """Cost of not knowing for one mode, each unknown alone and all together."""
    single = [f"{LABELS[one]} {number(eur, 2)} €" for one, eur in lost.single_eur.items()]
    say(
        out,
        f"ignorance {lost.building}, {lost.mode}: {number(lost.together_eur, 2)} € above the "
        f"perfect plan;\n          each alone: {', '.join(single)}; "
        f"together {lost.rest_eur:+.2f} € on top",
    )
    keys = {one: (lost.building, one) for one in lost.single_eur}
    each = [f"{LABELS[one]} {costs[key]}" for one, key in keys.items() if key in costs]
    if each:
        say(out, f"          a kWh that came otherwise cost: {', '.join(each)}")


def tell_errors(out: Console, summary: ModeSummary, cost: str | None) -> None:
    """Forecast errors of a mode."""
    kpis = summary.kpis
    say(
        out,
        f"errors    {summary.building}, {summary.mode}: sun {kpis.pv_error_kwh:.0f} of "
        f"{kpis.generation_kwh:.0f} kWh, load {kpis.load_error_kwh:.0f} of "
        f"{kpis.demand_kwh:.0f} kWh; the car missed {kpis.missed_kwh:.1f} kWh",
    )
    if cost is not None:
        say(out, f"          above the perfect plan for each of these kWh: {cost}")


def _ct_text(cost: ErrorCost) -> str:
    """Cost of a kWh of error, with its interval."""
    told = f"{number(100 * cost.eur_per_kwh, 1)} ct"
    if cost.low is None or cost.high is None:
        return told
    return f"{told} ({number(100 * cost.low, 1)} … {number(100 * cost.high, 1)})"


def _within(low: float | None, high: float | None, scale: float) -> str:
    if low is None or high is None:
        return "–"
    return f"{number(scale * low, 0)} … {number(scale * high, 0)}"


def tell_limits(out: Console, spec: ComparisonSpec, chosen: Sequence[Chosen]) -> None:
    """What the table cannot show: the meter's own bill, and limits that baselines may break."""
    grid = spec.assets.grid
    for item in chosen:
        bill_eur = item.building.metered_bill_eur(item.window.days)
        if bill_eur is not None:
            say(
                out,
                f"meter     {item.window.building}: {number(bill_eur, 2)} € by the meter, the bill "
                f"of as metered{_assumed(item.building)}",
            )
        own_eur = item.building.own_battery_eur(item.window.days)
        if own_eur is not None:
            say(
                out,
                f"meter     {item.window.building}: its own battery saved {number(own_eur, 2)} € "
                "as it ran; it runs so in every row, a planned one stands beside it",
            )
    if min(grid.max_import_kw, grid.max_export_kw) < float("inf"):
        say(
            out,
            "limits    nobody plans the baselines: they may break the limits that the plans keep",
        )


def _assumed(building: Building) -> str:
    """Devices in every row that no meter saw."""
    found = [device.assumed for device in building.truth.devices if device.assumed]
    return f" without {', '.join(found)}" if found else ""


if __name__ == "__main__":
    run(main)
