"""Report sections on results: modes against baselines, and the comfort frontier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ems.core.mode import LABELS
from ems.pipelines.captured import LEAST_DAYS, Captured, many_told
from ems.pipelines.comparison import ModeSummary, best_rule
from ems.pipelines.integrated import FrontierPoint, knee
from ems.pipelines.spec import BASELINES, RULES, SINGLE_ERRORS
from ems.report.figures.amounts import Amount, amount_bars
from ems.report.figures.frontier import cost_comfort_frontier
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE
from ems.report.figures.style import MODE_COLOURS
from ems.report.inline import Picture
from ems.report.page import words
from ems.report.page.page import Section, Table

HOW_COUNTED = (
    "Cost is the energy bill, with the charge for the peak where there is one, and with the stores "
    "put back: what is left in them is worth what the plan that knows everything would earn with "
    "it. Wear of the battery is an assumption and stands beside the cost. Percentages are of what "
    "the baseline paid for import. No purchase and no interest is in any figure."
)
_MODE_HEADS = (
    *("mode", "cost €", "saved vs metered €", "saved vs best rule €", "wear €"),
    *("import kWh", "export kWh", "self-suff.", "peak kW", "cycles"),
)


def result_sections(
    summaries: Sequence[ModeSummary], captured: Sequence[Captured], origin: Origin
) -> Iterator[Section]:
    """One section, plus one for each building of a portfolio."""
    shown = [row for row in summaries if row.mode not in SINGLE_ERRORS]
    names = list(dict.fromkeys(row.building for row in shown))
    if len(names) == 1:
        called = [(LABELS[share.mode], share) for share in captured]
        tables = (_modes(shown), *_shares("mode", called))
        yield Section("The result", (HOW_COUNTED,), _saved(shown, origin), tables)
        return
    called = [(f"{share.building} {LABELS[share.mode]}", share) for share in captured]
    tables = (_overview(names, shown), *_shares("mode", called))
    yield Section("The result", (HOW_COUNTED,), tables=tables)
    for name in names:
        own = [row for row in shown if row.building == name]
        yield Section(f"The result: {name}", (), _saved(own, origin), (_modes(own),))


def _days(row: ModeSummary) -> str:
    return words.counted(round(row.kpis.days), "day")


def _overview(names: Sequence[str], shown: Sequence[ModeSummary]) -> Table:
    modes = [mode for mode in dict.fromkeys(row.mode for row in shown) if mode != "as_metered"]
    rows = []
    for name in names:
        own = {row.mode: row for row in shown if row.building == name}
        saved = [words.saving(own[mode].against.get("as_metered")) for mode in modes if mode in own]
        rows.append((name, _days(next(iter(own.values()))), *saved))
    heads = ("building", "days", *(LABELS[mode] for mode in modes))
    return Table("saved against as metered [€]", heads, rows)


def _labelled(rows: Sequence[ModeSummary]) -> list[tuple[str, ModeSummary]]:
    """Each mode once: the best rule is marked where it stands, and has no second row."""
    rules = [row.mode for row in rows if row.mode in RULES]
    best = best_rule(rows, rows[0].building) if rules else None
    return [
        (f"{LABELS[row.mode]}{' (best rule)' if row.mode == best else ''}", row)
        for row in rows
        if best is None or row.mode != "rule_based"
    ]


def _modes(rows: Sequence[ModeSummary]) -> Table:
    cells = [
        (
            label,
            words.amount(row.kpis.cost_eur),
            *(words.saving(row.against.get(base)) for base in BASELINES),
            words.amount(row.kpis.wear_eur),
            f"{row.kpis.import_kwh:,.0f}",
            f"{row.kpis.export_kwh:,.0f}",
            words.percent(row.kpis.self_sufficiency),
            f"{row.kpis.peak_import_kw:.1f}",
            f"{row.kpis.full_cycles:.1f}",
        )
        for label, row in _labelled(rows)
    ]
    return Table(f"{rows[0].building}, {_days(rows[0])}", _MODE_HEADS, cells)


def _saved(rows: Sequence[ModeSummary], origin: Origin) -> list[Picture]:
    if not any("as_metered" in row.against for row in rows):
        return []
    bars = [
        Amount(
            label,
            row.against["as_metered"].savings_eur,
            words.eur(row.against["as_metered"].savings_eur),
            colour=MODE_COLOURS[row.mode],
        )
        for label, row in _labelled(rows)
        if "as_metered" in row.against
    ]
    title = f"{rows[0].building}: saved against as metered"
    return [Picture(amount_bars(bars, unit="€", title=title, origin=origin, paper=PAGE), title)]


def _shares(head: str, rows: Sequence[tuple[str, Captured]]) -> list[Table]:
    """What each named row captured."""
    if not rows:
        return []
    caption = (
        "captured of what the perfect plan saves (95 % of a bootstrap over days, none for fewer "
        f"than {LEAST_DAYS}, nor where what is possible cannot be told from zero)"
    )
    many = many_told([row for _, row in rows])
    caption = caption if many is None else f"{caption}; {many}"
    cells = [
        (
            name,
            LABELS[row.baseline],
            words.amount(row.saved_eur),
            _within(row.saved_low_eur, row.saved_high_eur, words.amount),
            words.amount(row.possible_eur),
            words.percent(row.share),
            _within(row.low, row.high, words.percent),
        )
        for name, row in rows
    ]
    heads = (head, "against", "saved €", "95 %", "possible €", "captured", "95 %")
    return [Table(caption, heads, cells, n_texts=2)]


def _within(low: float | None, high: float | None, say: Callable[[float], str]) -> str:
    return "–" if low is None or high is None else f"{say(low)} … {say(high)}"


def frontier_section(points: Sequence[FrontierPoint], tariff: str, origin: Origin) -> Section:
    """Cost of each controller of Pipeline B, and how usual its starts are."""
    best, first = knee(points), points[0].summary
    knee_text = (
        "The frontier has no knee: too few weights, or cost and comfort do not trade off on these "
        "days, or do so evenly."
        if best is None
        else f"The knee of the frontier is {best.controller.name}, the point farthest below the "
        "line between its ends: more comfort than there costs more for each bit of it."
    )
    unusual = (
        "Unusual: mean of 1 − p/max p over the starts, 0 for the most usual hour and 1 for one "
        f"that never happens; discomfort steers the plan and is no money. {HOW_COUNTED}"
    )
    bases = [base for base in BASELINES if base in first.against]
    saved = (f"saved vs {LABELS[base]} €" for base in bases)
    heads = ("controller", "cost €", *saved, "discomfort €", "unusual", "mean shift h", "starts")
    rows = [
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
    ]
    shares = [(point.controller.name, share) for point in points for share in point.captured]
    tables = (
        Table(f"{first.building}, {_days(first)}", heads, rows),
        *_shares("controller", shares),
    )
    texts = (*_price_of_comfort(points), knee_text, unusual)
    return Section("The result", texts, _frontier(points, tariff, origin), tables)


def _price_of_comfort(points: Sequence[FrontierPoint]) -> Iterator[str]:
    """What the most usual starts cost against the cheapest; nothing without any start."""
    ours = [point for point in points if point.controller.movable and point.unusual is not None]
    if ours:
        cheap = min(ours, key=lambda point: point.summary.kpis.cost_eur)
        usual = min(ours, key=lambda point: point.unusual or 0.0)
        (cheap_eur, cheap_share), (usual_eur, usual_share) = (
            (point.summary.kpis.cost_eur, words.percent(point.unusual)) for point in (cheap, usual)
        )
        yield (
            f"These {_days(cheap.summary)} cost {words.eur(cheap_eur)} if money alone counts "
            f"({cheap.controller.name}; starts {cheap_share} unusual) and {words.eur(usual_eur)} "
            f"at the most usual hours that the plan finds ({usual.controller.name}; {usual_share} "
            f"unusual): comfort costs {words.eur(usual_eur - cheap_eur)}."
        )


def _frontier(points: Sequence[FrontierPoint], tariff: str, origin: Origin) -> list[Picture]:
    """Drawn only if a controller started anything."""
    if all(point.unusual is None for point in points):
        return []
    title = "Cost, and how unusual the starts are"
    figure = cost_comfort_frontier(points, title=title, tariff=tariff, origin=origin, paper=PAGE)
    return [Picture(figure, title, "a point for each controller")]
