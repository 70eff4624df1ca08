"""The contents of each pipeline's report, section by section."""

from __future__ import annotations

from collections.abc import Sequence

from ems.agents.comfort import ShiftComfort
from ems.core.mode import LABELS
from ems.pipelines.captured import Captured
from ems.pipelines.comparison import DayRecord, DayResult, ModeSummary, Window
from ems.pipelines.integrated import FrontierPoint
from ems.pipelines.probability import DeviceSearch
from ems.pipelines.spec import ComparisonSpec, IntegratedSpec, SearchSpec
from ems.report.figures.page import Origin
from ems.report.page import words
from ems.report.page.assumptions import assumptions_section
from ems.report.page.audit import again_section, audit_section
from ems.report.page.data import data_section
from ems.report.page.day import day_sections, explained
from ems.report.page.lead import lead_section
from ems.report.page.page import Report, Section
from ems.report.page.result import frontier_section, result_sections
from ems.report.page.search import known_days_section, search_section
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.read import PortfolioRow


def comparison_report(
    *,
    command: str,
    run_id: str,
    spec: ComparisonSpec,
    chosen: Sequence[tuple[Building, Window]],
    known: Sequence[PortfolioRow],
    summaries: Sequence[ModeSummary],
    captured: Sequence[Captured],
    results: Sequence[DayResult],
    example: DayRecord,
) -> Report:
    """The report of Pipeline A: the result first, then the day, then what it rests on.

    ``chosen``: every building with its requested days; ``results``: every day under every mode;
    ``example``: the day to explain, of one of these buildings.
    """
    windows = [window for _, window in chosen]
    building, window = next(pair for pair in chosen if pair[1].building == example.building)
    day, origin = explained(building, window, spec, example), Origin.of(building.history)
    who = windows[0].building if len(windows) == 1 else words.counted(len(windows), "building")
    question = (
        "What would a plan for battery, car and appliances have been worth on these days, against "
        "what the people did (as metered, no battery) and against the best of three rules that "
        "need no forecast (self-consumption, timer, price threshold)?"
    )
    modes = "; ".join(LABELS[mode] for mode in spec.modes)
    discomfort = (
        f"an hour of shift counts {spec.assets.shift_discomfort_eur_per_h:g} € of discomfort "
        "(assumed)"
    )
    return Report(
        title=f"{who}: what planning was worth",
        subtitle=_subtitle(run_id, building.history, windows),
        synthetic=any(b.history.synthetic for b, _ in chosen),
        sections=(
            lead_section(
                [window.building for window in windows],
                summaries,
                results,
                _knowledge(spec),
                origin,
            ),
            Section("The question", (question, f"Planned: {modes}. {_bounds(spec)}")),
            *result_sections(summaries, captured, origin),
            *day_sections(example, day, spec, origin),
            data_section(chosen, known),
            assumptions_section(spec, [b for b, _ in chosen], discomfort),
            audit_section(day, example, spec, summaries),
            again_section(command, building.history),
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
    """The report of Pipeline B; ``example``: a day of the first controller, cost-only."""
    day = explained(building, window, spec.base, example, ShiftComfort(eur_per_h=0.0))
    origin, tariff = Origin.of(building.history), spec.base.tariff.name
    question = (
        "When do people start their appliances, and what does a plan that respects these hours "
        "cost against one that asks for money alone?"
    )
    planned = (
        f"Planned: {LABELS[spec.base.modes[0]]}, with habits learned day by day from the "
        f"{spec.prior} prior. {_knowledge(spec.base)}"
    )
    discomfort = (
        "a start in an hour that never happens counts the weight w of discomfort, in the most "
        "usual hour nothing"
    )
    return Report(
        title=f"{window.building}: what comfort costs",
        subtitle=_subtitle(run_id, building.history, [window]),
        synthetic=building.history.synthetic,
        sections=(
            frontier_section(points, tariff, origin),
            Section("The question", (question, planned)),
            *day_sections(example, day, spec.base, origin, points[0].controller.name),
            data_section([(building, window)], known),
            assumptions_section(spec.base, [building], discomfort),
            audit_section(day, example, spec.base, [point.summary for point in points]),
            again_section(command, building.history),
        ),
    )


def probability_report(
    *,
    command: str,
    run_id: str,
    spec: SearchSpec,
    history: MeterData,
    found: Sequence[DeviceSearch],
) -> Report:
    """The report of Pipeline C."""
    names = list(dict.fromkeys(result.history.building for result in found))
    who = names[0] if len(names) == 1 else words.counted(len(names), "building")
    priors = f"{words.listed(spec.priors)} {'prior' if len(spec.priors) == 1 else 'priors'}"
    question = (
        "How fast should a model follow the hours in which people start a device, and does it then "
        "know more than nothing, and more than plain counting? Every day is predicted before it is "
        "learned."
    )
    tried = (
        f"{words.counted(len(spec.rates), 'learning rate')} from the {priors}; the first "
        f"{words.counted(spec.n_train, 'known day')} only train."
    )
    return Report(
        title=f"{who}: how well habits can be learned",
        subtitle=f"run {run_id} · data: {history.source}",
        synthetic=history.synthetic,
        sections=(
            search_section(found, Origin.of(history)),
            Section("The question", (question, tried)),
            known_days_section(history, found),
            again_section(command, history),
        ),
    )


def _subtitle(run_id: str, history: MeterData, windows: Sequence[Window]) -> str:
    days = sorted({day for window in windows for day in window.days})
    of_all = f" of {len(windows)} buildings" if len(windows) > 1 else ""
    span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    n_days = words.counted(len(days), "day")
    return f"{n_days}{of_all}, {span} · run {run_id} · data: {history.source}"


def _knowledge(spec: ComparisonSpec) -> str:
    """What the plans knew, and what their savings are therefore."""
    if spec.foresight == "perfect":
        return (
            "Every plan knew the true load, sun and prices of all that it looks at: take what it "
            "saves as an upper bound of what it saves where it has to guess."
        )
    balances = spec.dispatch == "balance"
    balance = ", with the battery balancing what comes otherwise" if balances else ""
    futures = f", the centralized ones hedged with {spec.n_scenarios} futures"
    return (
        f"Plans are made from {spec.forecaster} forecasts, at the instant in which they were made"
        f"{futures if spec.risk == 'hedged' else ''}, and carried out{balance} and settled on what "
        "really happened."
    )


def _bounds(spec: ComparisonSpec) -> str:
    """What the reference rows of Pipeline A knew."""
    perfect = "“Perfect plan” knew its day and what it looks ahead at. "
    return (
        f"{perfect if spec.foresight == 'forecast' else ''}“All days at once” knew all of them "
        "on the first morning: with wear and discomfort counted, no plan of these assets that "
        "keeps every rule costs less."
    )
