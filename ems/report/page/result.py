"""The part of a report on what came out: modes against baselines, and the frontier of comfort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from markupsafe import Markup

from ems.pipelines.captured import LEAST_DAYS, Captured
from ems.pipelines.comparison import BASELINES, SINGLE_ERRORS, ModeSummary
from ems.pipelines.integrated import FrontierPoint, knee
from ems.report.page import words
from ems.report.page.page import Section, Table
from ems.report.page.svg import bars

HOW_COUNTED = (
    "Cost is the energy bill, the charge for the peak where there is one, and wear. Savings put "
    "the stores back as they were: a surplus is sold at the mean export price, a deficit bought at "
    "the mean import price. Percentages are of what the baseline paid for import. No purchase and "
    "no interest is in any figure."
)


def result_sections(
    summaries: Sequence[ModeSummary], captured: Sequence[Captured]
) -> Iterator[Section]:
    """One section, and for a portfolio one more for each of its buildings."""
    names = list(dict.fromkeys(summary.building for summary in summaries))
    several = len(names) > 1
    called = [
        (
            f"{share.building} {words.title(share.mode)}" if several else words.title(share.mode),
            share,
        )
        for share in captured
    ]
    shares = [_shares("mode", called)] if called else []
    if not several:
        yield Section(
            title="The result",
            paragraphs=(HOW_COUNTED,),
            figures=_saved(summaries),
            tables=(_modes(summaries), *shares),
        )
        return
    yield Section(
        title="The result", paragraphs=(HOW_COUNTED,), tables=(_overview(summaries), *shares)
    )
    for name in names:
        own = [summary for summary in summaries if summary.building == name]
        yield Section(title=f"The result: {name}", figures=_saved(own), tables=(_modes(own),))


def _days(rows: Sequence[ModeSummary]) -> str:
    return words.counted(round(rows[0].kpis.days), "day")


def _shown(rows: Sequence[ModeSummary]) -> list[ModeSummary]:
    return [row for row in rows if row.mode not in SINGLE_ERRORS]


def _overview(summaries: Sequence[ModeSummary]) -> Table:
    shown = _shown(summaries)
    names = list(dict.fromkeys(row.building for row in shown))
    modes = [mode for mode in dict.fromkeys(row.mode for row in shown) if mode != "as_metered"]
    of = {(row.building, row.mode): row for row in shown}
    rows = []
    for name in names:
        own = [of[name, mode] for mode in modes if (name, mode) in of]
        saved = [words.saving(row.against.get("as_metered")) for row in own]
        rows.append((name, _days(own), *saved))
    return Table(
        caption="saved against as metered [€]",
        heads=("building", "days", *(words.title(mode) for mode in modes)),
        rows=rows,
    )


def _modes(rows: Sequence[ModeSummary]) -> Table:
    return Table(
        caption=f"{rows[0].building}, {_days(rows)}",
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
                words.title(row.mode),
                words.amount(row.kpis.cost_eur),
                *(words.saving(row.against.get(base)) for base in BASELINES),
                f"{row.kpis.import_kwh:,.0f}",
                f"{row.kpis.export_kwh:,.0f}",
                words.percent(row.kpis.self_sufficiency),
                f"{row.kpis.full_cycles:.1f}",
            )
            for row in _shown(rows)
        ],
    )


def _saved(rows: Sequence[ModeSummary]) -> list[Markup]:
    against = [
        (words.title(row.mode), row.against["as_metered"].savings_eur)
        for row in _shown(rows)
        if "as_metered" in row.against
    ]
    if not against:
        return []
    title = f"{rows[0].building}: saved against as metered"
    return [bars(against, say=words.eur, title=title, unit="€")]


def _shares(head: str, rows: Sequence[tuple[str, Captured]]) -> Table:
    """What each named row captured."""
    return Table(
        caption="captured of what the perfect plan saves (95 % of a bootstrap over days, none for "
        f"fewer than {LEAST_DAYS})",
        heads=(head, "against", "saved €", "95 %", "possible €", "captured", "95 %"),
        rows=[
            (
                name,
                words.title(row.baseline),
                words.amount(row.saved_eur),
                _within(row.saved_low_eur, row.saved_high_eur, words.amount),
                words.amount(row.possible_eur),
                words.percent(row.share),
                _within(row.low, row.high, words.percent),
            )
            for name, row in rows
        ],
        n_texts=2,
    )


def _within(low: float | None, high: float | None, say: Callable[[float], str]) -> str:
    return "–" if low is None or high is None else f"{say(low)} … {say(high)}"


def frontier_section(points: Sequence[FrontierPoint]) -> Section:
    """What each controller of Pipeline B costs and how usual its starts are."""
    best, first = knee(points), points[0]
    bases = [base for base in BASELINES if base in first.summary.against]
    knee_text = (
        "The frontier has no knee: too few weights, or cost and comfort do not trade off on these "
        "days."
        if best is None
        else f"The knee of the frontier is {best.controller.name}, the point farthest below the "
        "line between its ends: more comfort than there costs more for each bit of it."
    )
    shares = [(point.controller.name, share) for point in points for share in point.captured]
    return Section(
        title="The result",
        paragraphs=(
            knee_text,
            "Unusual: mean of 1 − p/max p over the starts, 0 for the most usual hour and 1 for one "
            f"that never happens; discomfort steers the plan and is no money. {HOW_COUNTED}",
        ),
        tables=(
            Table(
                caption=f"{first.summary.building}, {_days([first.summary])}",
                heads=(
                    "controller",
                    "cost €",
                    *(f"saved vs {words.title(base)} €" for base in bases),
                    "discomfort €",
                    "unusual",
                    "mean shift h",
                    "starts",
                ),
                rows=[
                    (
                        point.controller.name,
                        words.amount(point.summary.kpis.cost_eur),
                        *(words.saving(point.summary.against.get(base)) for base in bases),
                        words.amount(point.summary.kpis.discomfort_eur),
                        words.percent(point.unusual),
                        f"{point.summary.kpis.mean_shift_h:.1f}",
                        f"{point.summary.kpis.starts:.0f}",
                    )
                    for point in points
                ],
            ),
            *([_shares("controller", shares)] if shares else ()),
        ),
    )
