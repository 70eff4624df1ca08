"""What stands in the report of each pipeline, from its records; written down nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from itertools import groupby

import numpy as np
from markupsafe import Markup

from ems.agents import (
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PartialUsageDevice,
)
from ems.building import Building
from ems.comfort import Comfort, ShiftComfort
from ems.history import MeterHistory
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import (
    BASELINES,
    SINGLE_ERRORS,
    ComparisonSpec,
    DayRecord,
    ModeSummary,
    Window,
    blocks_of,
)
from ems.pipelines.integrated import FrontierPoint, IntegratedSpec, knee
from ems.pipelines.probability import DeviceSearch, SearchSpec
from ems.report.explain import ExplainedDay, explain_day
from ems.report.page import Report, Section, Table
from ems.report.svg import Band, bars, stacked, steps
from ems.settlement import Savings
from ems.store.read import PortfolioRow
from ems.tariff import Figure, Tariff

TITLES: Mapping[str, str] = {
    "as_metered": "as metered",
    "rule_based": "rule-based",
    "centralized_phases": "centralized in phases",
    "centralized_perfect": "perfect plan",
    "perfect_foresight": "all days at once",
    "pv_unknown": "only the sun unknown",
    "load_unknown": "only load and heat unknown",
    "price_unknown": "only the price unknown",
    "devices_unknown": "only devices unknown",
}
RULES: Mapping[str, str] = {"ended": "the meter had ended"}
PERFECT = (
    "Every plan knew the true load, sun and prices of its day and of the next: what it saves is an "
    "upper bound of what a controller can save."
)


def comparison_report(
    *,
    command: str,
    run_id: str,
    spec: ComparisonSpec,
    chosen: Sequence[tuple[Building, Window]],
    known: Sequence[PortfolioRow],
    summaries: Sequence[ModeSummary],
    captured: Sequence[Captured],
    example: DayRecord,
) -> Report:
    """The report of Pipeline A.

    ``chosen``: every building with the days asked of it; ``example``: the day to explain, of one
    of these buildings.
    """
    names = [window.building for _, window in chosen]
    building, window = next(pair for pair in chosen if pair[1].building == example.building)
    day = explained(building, window, spec, example)
    planned = [TITLES.get(mode, mode) for mode in spec.modes]
    return Report(
        title=f"{', '.join(names)}: what planning was worth",
        subtitle=_subtitle(run_id, building.history, [window for _, window in chosen]),
        synthetic=any(b.history.synthetic for b, _ in chosen),
        sections=(
            Section(
                title="The question",
                paragraphs=(
                    "What would a plan for battery, car and appliances have been worth on these "
                    "days, against what the people did (as metered, no battery) and against the "
                    "usual rule that stores any surplus and covers any need (rule-based)?",
                    f"Planned: {', '.join(planned)}. {_knowledge(spec)}",
                ),
            ),
            _data(chosen, known),
            _assumptions(spec.tariff, spec, building),
            _result(summaries, captured),
            _explained(example, day, "centralized", spec),
            _audit(day, summaries),
            _again(command, building.history),
        ),
    )


def integrated_report(
    *,
    command: str,
    run_id: str,
    spec: IntegratedSpec,
    building: Building,
    window: Window,
    known: Sequence[PortfolioRow],
    points: Sequence[FrontierPoint],
    example: DayRecord,
) -> Report:
    """The report of Pipeline B; ``example``: a day of the first controller, which is cost-only."""
    day = explained(building, window, spec.base, example, ShiftComfort(eur_per_h=0.0))
    best = knee(points)
    return Report(
        title=f"{window.building}: what comfort costs",
        subtitle=_subtitle(run_id, building.history, [window]),
        synthetic=building.history.synthetic,
        sections=(
            Section(
                title="The question",
                paragraphs=(
                    "When do people start their appliances, and what does a plan that respects "
                    "these hours cost against one that asks for money alone?",
                    f"Planned: {TITLES.get(spec.base.modes[0], spec.base.modes[0])}, with habits "
                    f"learned day by day from the {spec.prior} prior. {_knowledge(spec.base)}",
                ),
            ),
            _data([(building, window)], known),
            _assumptions(spec.base.tariff, spec.base, building),
            _frontier(points, None if best is None else best.controller.name),
            _explained(example, day, points[0].controller.name, spec.base),
            _audit(day, [point.summary for point in points]),
            _again(command, building.history),
        ),
    )


def probability_report(
    *,
    command: str,
    run_id: str,
    spec: SearchSpec,
    history: MeterHistory,
    found: Sequence[DeviceSearch],
) -> Report:
    """The report of Pipeline C."""
    names = list(dict.fromkeys(result.history.building for result in found))
    beats = sum(result.gain_bits.low > 0 for result in found)
    rates = [rate for result in found for rate in [result.rate]]
    return Report(
        title=f"{', '.join(names)}: how well habits can be learned",
        subtitle=f"run {run_id} · data: {history.source}",
        synthetic=history.synthetic,
        sections=(
            Section(
                title="The question",
                paragraphs=(
                    "How fast should a model follow the hours in which people start a device, and "
                    "does it then know more than nothing, and more than plain counting? Every day "
                    "is predicted before it is learned.",
                    f"{len(spec.rates)} learning rates from the priors {', '.join(spec.priors)}; "
                    f"the first {spec.n_train} known days only train.",
                ),
            ),
            Section(
                title="The data and their quality",
                tables=(
                    Table(
                        caption="known days and the people's own starts on the scored ones",
                        heads=("device", "prior", "known days", "scored days", "starts"),
                        rows=[
                            (
                                f"{r.history.building} {r.history.device.replace('_', ' ')}",
                                r.prior,
                                f"{len(r.history)}",
                                f"{len(r.forecasts.days)}",
                                f"{r.log_loss.weight:.0f}",
                            )
                            for r in found
                        ],
                    ),
                ),
            ),
            Section(
                title="The result",
                paragraphs=(
                    f"Learning saves bits against knowing nothing on {beats} of {len(found)} "
                    "devices and priors with 95 % confidence. log loss: bits a start, 4.585 for "
                    "the uniform distribution, less is better.",
                    f"The best lr_tau lies between {min(r.lr_tau for r in rates):g} and "
                    f"{max(r.lr_tau for r in rates):g} days.",
                ),
                tables=(
                    Table(
                        caption="best cell of each device (95 % interval)",
                        heads=(
                            "device",
                            "prior",
                            "lr_tau / lr_max",
                            "log loss, bit",
                            "gain vs uniform, bit",
                            "gain vs counting, bit",
                            "verdict",
                        ),
                        rows=[_searched(result) for result in found],
                    ),
                    Table(
                        caption="where the learning score would choose otherwise",
                        heads=("device", "why not"),
                        rows=[
                            (f"{r.history.building} {r.history.device}", r.disagreement)
                            for r in found
                        ],
                        words=True,
                        folded=True,
                    ),
                ),
            ),
            _again(command, history),
        ),
    )


def _searched(result: DeviceSearch) -> tuple[str, ...]:
    rate, counting = result.rate, result.rivals[f"rate:{result.prior}"].gain_bits["all_history"]
    return (
        f"{result.history.building} {result.history.device.replace('_', ' ')}",
        result.prior,
        f"{rate.lr_tau:g} / {rate.lr_max:g}",
        str(result.log_loss),
        str(result.gain_bits),
        str(counting),
        result.verdict,
    )


def explained(
    building: Building,
    window: Window,
    spec: ComparisonSpec,
    example: DayRecord,
    comfort: Comfort | None = None,
) -> ExplainedDay:
    """The joint plan of the example's day, from the charge with which its stores began.

    The last day of a block has no look-ahead, as when it was planned.
    """
    agents = example.schedule.agents
    soc_kwh = {
        agent.name: agent.initial_soc_kwh
        for agent in agents
        if isinstance(agent, BatteryAgent | EVAgent)
    }
    last_days = {block.days[-1] for block in blocks_of(window, spec.block_days)}
    problem = building.problem(
        [example.day],
        lookahead_h=0.0 if example.day in last_days else spec.lookahead_h,
        soc_kwh=soc_kwh,
        comfort=comfort,
    )
    grid = next(agent for agent in agents if isinstance(agent, GridAgent))
    return explain_day(replace(problem, grid=grid), spec.solver)


# --- sections ------------------------------------------------------------------------------------


def _subtitle(run_id: str, history: MeterHistory, windows: Sequence[Window]) -> str:
    n_days = sum(len(window.days) for window in windows)
    days = [day for window in windows for day in window.days]
    return f"{n_days} days, {min(days)} to {max(days)} · run {run_id} · data: {history.source}"


def _knowledge(spec: ComparisonSpec) -> str:
    if spec.foresight == "perfect":
        return PERFECT
    return (
        f"Plans are made from {spec.forecaster} forecasts, at the instant in which they were made, "
        "and settled on what really happened."
    )


def _data(chosen: Sequence[tuple[Building, Window]], known: Sequence[PortfolioRow]) -> Section:
    history = chosen[0][0].history
    rows = {row.building: row for row in known}
    n_skipped = sum(len(window.skipped) for _, window in chosen)
    n_days = sum(len(window.days) for _, window in chosen)
    return Section(
        title="The data and their quality",
        paragraphs=(
            f"Source: {history.source}. Fingerprint of the data: {history.data_hash}.",
            f"{n_days} days were planned, {n_skipped} of those asked for could not be: a day needs "
            "every meter that its plan builds on, in every step. What a meter did not know is "
            "never filled in.",
        ),
        tables=(
            Table(
                caption="buildings",
                heads=("building", "planned days", "left out", "meters that load is made of"),
                rows=[
                    (
                        window.building,
                        f"{len(window.days)}",
                        f"{len(window.skipped)}",
                        b.history.load_rule.replace("+", " + ").replace("-", " − "),
                    )
                    for b, window in chosen
                ],
            ),
            *_left_out(chosen),
            *_findings([rows[w.building] for _, w in chosen if w.building in rows]),
        ),
    )


def _left_out(chosen: Sequence[tuple[Building, Window]]) -> list[Table]:
    rows = [
        (window.building, _span([day for day, _ in days]), reason)
        for _, window in chosen
        for reason, found in groupby(sorted(window.skipped.items()), key=lambda item: item[1])
        for days in [list(found)]
    ]
    if not rows:
        return []
    return [
        Table(
            caption="days that were left out, and why",
            heads=("building", "days", "reason"),
            rows=rows,
            words=True,
        )
    ]


def _span(days: Sequence[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} … {days[-1]} ({len(days)} days)"


def _findings(rows: Sequence[PortfolioRow]) -> list[Table]:
    found = [
        (
            f"{row.building} {problem.feed}",
            RULES.get(problem.rule, problem.rule),
            f"{problem.days}",
            f"{problem.steps}",
        )
        for row in rows
        for problem in row.problems
    ]
    if not found:
        return []
    heads = ("meter", "finding", "days", "steps")
    return [
        Table(
            caption="what the quality rules found in all years",
            heads=heads,
            rows=found,
            folded=True,
        )
    ]


def _assumptions(tariff: Tariff, spec: ComparisonSpec, building: Building) -> Section:
    return Section(
        title="The assumptions",
        paragraphs=(
            f"Tariff “{tariff.name}”: {tariff.description}. "
            "“Assumed” is ours, everything else has its source beside it.",
        ),
        tables=(
            Table(
                caption="every figure of the tariff",
                heads=("figure", "value", "source"),
                rows=[(_figure_name(f), _figure_value(f), f.source) for f in tariff.figures],
                words=True,
            ),
            Table(
                caption="assets",
                heads=("what", "how"),
                rows=[*_assets(spec, building)],
                words=True,
            ),
        ),
    )


def _figure_name(figure: Figure) -> str:
    name = figure.name.removeprefix("fees.").replace("_", " ")
    return {"vat": "VAT", "eeg levy": "EEG levy", "chp levy": "CHP levy"}.get(name, name)


def _figure_value(figure: Figure) -> str:
    if figure.unit == "1":
        return f"{100 * figure.value:g} %"
    return f"{figure.value:g} {figure.unit}"


def _assets(spec: ComparisonSpec, building: Building) -> list[tuple[str, str]]:
    assets, battery, ev = spec.assets, spec.assets.battery, spec.assets.ev
    rows = []
    if battery is not None:
        rows.append(
            (
                "battery (assumed)",
                f"{battery.capacity_kwh:g} kWh, {battery.max_charge_kw:g} kW, "
                f"{100 * battery.round_trip_efficiency:g} % round trip, starts and ends at "
                f"{battery.initial_soc_kwh:g} kWh, wear {battery.wear_eur_per_kwh:g} €/kWh of "
                "throughput",
            )
        )
    if ev is not None:
        metered = bool(building.history.feeds_of("ev"))
        drives = "as metered" if metered else f"assumed to drive {ev.trip_kwh:g} kWh a day"
        rows.append(
            (
                "car",
                f"{ev.capacity_kwh:g} kWh, {ev.efficiency:g} one way, {drives}, charged by "
                f"{ev.must_be_full_by_hour}:00, strategy {ev.strategy}",
            )
        )
    moved = f"an hour of shift counts {spec.assets.shift_discomfort_eur_per_h:g} € of discomfort"
    heat = f"heat pump ± {assets.heat_shift_h:g} h (assumed)"
    rows.append(("appliances", f"{moved}; {heat}" if assets.appliances else "not moved"))
    limits = {f.name: getattr(assets.grid, f.name) for f in fields(assets.grid)}
    shown = [f"{k} {v:g}" for k, v in limits.items() if isinstance(v, float) and 0 < v < np.inf]
    rows.append(("grid connection", ", ".join(shown) or "no limit and no demand charge"))
    rows.append(
        ("plans", f"local days with {spec.lookahead_h:g} h look-ahead, gap {spec.solver.mip_gap:g}")
    )
    return rows


def _result(summaries: Sequence[ModeSummary], captured: Sequence[Captured]) -> Section:
    names = list(dict.fromkeys(summary.building for summary in summaries))
    tables = [_modes([s for s in summaries if s.building == name]) for name in names]
    figures = [_saved([s for s in summaries if s.building == name]) for name in names]
    if captured:
        tables.append(_shares(captured))
    return Section(
        title="The result",
        paragraphs=(
            "Cost is bill and wear. Savings put the stores back as they were: a surplus is sold at "
            "the mean export price, a deficit bought at the mean import price. Percentages are of "
            "what the baseline paid for import. No investment is in any figure.",
        ),
        figures=figures,
        tables=tables,
    )


def _modes(rows: Sequence[ModeSummary]) -> Table:
    return Table(
        caption=f"{rows[0].building}, {round(rows[0].kpis.days)} days",
        heads=(
            "mode",
            "cost €",
            "saved vs metered €",
            "saved vs rule €",
            "import kWh",
            "export kWh",
            "self-sufficiency",
            "cycles",
        ),
        rows=[
            (
                TITLES.get(row.mode, row.mode),
                _amount(row.kpis.cost_eur),
                *(_saving(row.against.get(base)) for base in BASELINES),
                f"{row.kpis.import_kwh:.0f}",
                f"{row.kpis.export_kwh:.0f}",
                _percent(row.kpis.self_sufficiency),
                f"{row.kpis.full_cycles:.1f}",
            )
            for row in rows
            if row.mode not in SINGLE_ERRORS
        ],
    )


def _saved(rows: Sequence[ModeSummary]) -> Markup:
    against = [
        (TITLES.get(row.mode, row.mode), row.against["as_metered"].savings_eur)
        for row in rows
        if "as_metered" in row.against and row.mode not in SINGLE_ERRORS
    ]
    title = f"{rows[0].building}: saved against as metered"
    return Markup("<figure><figcaption><b>{}</b> [€]</figcaption>{}</figure>").format(
        title, bars(against, say=_eur, title=title)
    )


def _shares(rows: Sequence[Captured]) -> Table:
    return Table(
        caption="captured of what the perfect plan saves (95 % of a bootstrap over days)",
        heads=("mode", "against", "saved €", "possible €", "captured", "95 %"),
        rows=[
            (
                f"{row.building} {TITLES.get(row.mode, row.mode)}",
                TITLES[row.baseline],
                _amount(row.saved_eur),
                _amount(row.possible_eur),
                _percent(row.share),
                "–" if row.low is None else f"{_percent(row.low)} … {_percent(row.high)}",
            )
            for row in rows
        ],
    )


def _frontier(points: Sequence[FrontierPoint], best: str | None) -> Section:
    baseline = points[0].summary.against
    knee_text = (
        "Cost and comfort do not trade off in this window."
        if best is None
        else f"The knee of the frontier is {best}: beyond it comfort costs the most money."
    )
    return Section(
        title="The result",
        paragraphs=(
            knee_text,
            "Unusual: mean of 1 − p/max p over the starts, 0 for the most usual hour and 1 for one "
            "that never happens. Savings put the stores back as they were.",
        ),
        tables=(
            Table(
                caption=f"{points[0].summary.building}, {round(points[0].summary.kpis.days)} days",
                heads=(
                    "controller",
                    "cost €",
                    *(f"saved vs {TITLES[base]} €" for base in BASELINES if base in baseline),
                    "discomfort €",
                    "unusual",
                    "mean shift h",
                    "starts",
                ),
                rows=[
                    (
                        point.controller.name,
                        _amount(point.summary.kpis.cost_eur),
                        *(
                            _saving(point.summary.against.get(b))
                            for b in BASELINES
                            if b in baseline
                        ),
                        _amount(point.summary.kpis.discomfort_eur),
                        _percent(point.unusual),
                        f"{point.summary.kpis.mean_shift_h:.1f}",
                        f"{point.summary.kpis.starts:.0f}",
                    )
                    for point in points
                ],
            ),
            *([_shares([s for p in points for s in p.captured])] if points[0].captured else ()),
        ),
    )


def _explained(example: DayRecord, day: ExplainedDay, mode: str, spec: ComparisonSpec) -> Section:
    carried_out = (
        ""
        if spec.foresight == "perfect"
        else " It is what perfect knowledge would have done from there, not what was carried out."
    )
    where = f"{example.building}, {example.day:%A} {example.day.day} {example.day:%B %Y}"
    return Section(
        title=f"One day explained: {where}",
        paragraphs=(
            f"The joint plan of this day ({mode}), made with the day's true load, sun and prices "
            f"from the charge that its stores had at midnight.{carried_out}",
            "“Worth” is the plan's own price: what one kWh more in that hour would cost, when "
            "everything else may adapt a little. Where the last kWh is sold it is the feed-in; "
            "where it is bought, the tariff; in between, what it saves in another hour. At some "
            "hours it has a step: there it is a value between what one kWh less saves and one more "
            "costs. Running appliances stay where the plan put them.",
        ),
        figures=_figures(day),
        hours=day.hours,
    )


def _figures(day: ExplainedDay) -> list[Markup]:
    schedule, horizon = day.schedule, day.schedule.horizon
    every = max(1, round(6 / horizon.step_h))
    ticks = [(t, f"{horizon.local[t]:%H:%M}") for t in range(0, horizon.n_steps, every)]
    found = [
        stacked(_power(day), ticks, unit="kW", title="Feeds the house (up), draws from it (down)"),
        steps(
            [
                Band(label="bought", colour="grid", values=100 * horizon.import_eur_per_kwh),
                Band(label="sold", colour="sold", values=100 * horizon.export_eur_per_kwh),
                Band(label="worth in the plan", colour="worth", values=100 * day.worth_eur_per_kwh),
            ],
            ticks,
            unit="ct/kWh",
            title="Prices",
        ),
    ]
    stores = [
        Band(
            label=agent.name.replace("_", " "),
            colour="car" if isinstance(agent, EVAgent) else "battery",
            values=schedule.plans[agent.name].series["soc_kwh"],
        )
        for agent in schedule.agents
        if "soc_kwh" in schedule.plans[agent.name].series
    ]
    return [*found, *([steps(stores, ticks, unit="kWh", title="Charge")] if stores else [])]


def _power(day: ExplainedDay) -> list[Band]:
    """What feeds the bus above zero, what draws from it below [kW]."""
    schedule = day.schedule
    bands = []
    for agent in schedule.agents:
        net_kw = -schedule.plans[agent.name].net_load_kw
        match agent:
            case EVAgent():
                colour, label = "car", "car"
            case DiscretePhaseDevice():
                colour, label = "machine", "appliances"
            case PartialUsageDevice():
                colour, label = "heat", "heat pump"
            case _:
                colour, label = _BY_KIND[agent.kind]
        if agent.kind == "grid":
            bands.append(Band(label="bought", colour="grid", values=np.maximum(net_kw, 0.0)))
            bands.append(Band(label="sold", colour="sold", values=np.minimum(net_kw, 0.0)))
        else:
            bands.append(Band(label=label, colour=colour, values=net_kw))
    return [band for band in bands if np.any(np.abs(band.values) > 1e-3)]


_BY_KIND = {
    "load": ("house", "house"),
    "generation": ("sun", "sun"),
    "storage": ("battery", "battery"),
    "grid": ("grid", "grid"),
}


def _audit(day: ExplainedDay, summaries: Sequence[ModeSummary]) -> Section:
    gaps = [s.kpis.gap_eur for s in summaries if np.isfinite(s.kpis.gap_eur)]
    worst = f"at most {max(gaps):.4f} € a plan" if gaps else "not proven for these modes"
    return Section(
        title="The audit",
        paragraphs=(
            "Every plan of this run was checked from its numbers alone before it was used: the "
            "balance of every step, every charge account, every limit, and its cost recomputed. A "
            "plan that fails ends the run, so that none of these figures comes from one.",
        ),
        tables=(
            Table(
                caption="how exact",
                heads=("check", "found"),
                rows=[
                    (
                        "largest imbalance in a step of the explained day",
                        f"{day.left_over_kw:.1e} kW",
                    ),
                    ("its cost recomputed, less the solver's", f"{day.bill_off_eur:.1e} €"),
                    ("its distance from the proven optimum", f"{day.gap_eur:.4f} €"),
                    ("distance from the optimum, whole run", worst),
                ],
                words=True,
            ),
        ),
    )


def _again(command: str, history: MeterHistory) -> Section:
    return Section(
        title="Run it again",
        paragraphs=(
            "The same command on the same data gives the same figures; the fingerprint of the data "
            f"is {history.data_hash}. Parameters and versions are in the run's tracking.",
        ),
        commands=(command,),
    )


# --- words ---------------------------------------------------------------------------------------


def _amount(amount_eur: float) -> str:
    return f"{round(amount_eur, 2) + 0.0:.2f}".replace("-", "−")


def _eur(amount_eur: float) -> str:
    return f"{_amount(amount_eur)} €"


def _saving(saving: Savings | None) -> str:
    if saving is None:
        return "–"
    pct = "" if saving.savings_pct is None else f" ({saving.savings_pct:.0f} %)"
    return f"{saving.savings_eur:.2f}{pct}".replace("-", "−")


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.0f} %".replace("-", "−")
