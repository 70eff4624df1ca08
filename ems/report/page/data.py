"""The part of a report on the data: where they come from, and what could not be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby

from ems.pipelines.comparison import Window
from ems.report.page import words
from ems.report.page.page import Section, Table
from ems.site.building import Building
from ems.store.read import PortfolioRow

RULES: Mapping[str, str] = {
    "missing": "no reading",
    "spike": "spike: far above all else that the meter shows",
    "stuck": "stuck: stands still while others run",
    "out of service": "out of service: only zeros to the start or end of the record",
    "filled": "filled: a gap that the source itself interpolated",
    "straight line": "straight line: drawn over a gap",
    "copied day": "copied day: hours that repeat another day to the Wh",
    "balance": "balance: contradicts the other meters",
}
"""What a quality rule marks, in words; the rules stand in ``ems/store/quality.py``."""
Chosen = Sequence[tuple[Building, Window]]


def data_section(chosen: Chosen, known: Sequence[PortfolioRow]) -> Section:
    """Where the data come from, the days that could not be planned, and what the rules found."""
    history = chosen[0][0].history
    places = "; ".join(dict.fromkeys(str(b.history.place) for b, _ in chosen))
    rows = {row.building: row for row in known}
    n_days = sum(len(window.days) for _, window in chosen)
    n_skipped = sum(len(window.skipped) for _, window in chosen)
    of_all = f" of {len(chosen)}{words.NBSP}buildings" if len(chosen) > 1 else ""
    were = "was" if n_days == 1 else "were"
    skipped = f"{n_skipped} that {'was' if n_skipped == 1 else 'were'} asked for could not be"
    return Section(
        title="The data and their quality",
        paragraphs=(
            f"Source: {history.source}. Place: {places}. Fingerprint of the data: "
            f"{history.data_hash}.",
            f"{words.counted(n_days, 'day')}{of_all} {were} planned, "
            f"{skipped if n_skipped else 'none that was asked for was left out'}. A day needs the "
            "meters at the grid and of the sun in every step, and the day-ahead price where the "
            "tariff uses it. Readings that a rule marks are not believed, and nothing is put in "
            "their place; where the meter of a single device is not believed, what it used stays "
            "part of the building's other use.",
            *_without(chosen, known),
        ),
        tables=(
            Table(
                caption="buildings",
                heads=("building", "meters that its load is made of", "planned days", "left out"),
                rows=[
                    (
                        window.building,
                        b.history.load_rule.replace("+", " + ").replace("-", " − "),
                        f"{len(window.days)}",
                        f"{len(window.skipped)}",
                    )
                    for b, window in chosen
                ],
                n_texts=2,
            ),
            *_left_out(chosen),
            *_findings([rows[w.building] for _, w in chosen if w.building in rows]),
        ),
    )


def _without(chosen: Chosen, known: Sequence[PortfolioRow]) -> list[str]:
    """Which buildings of a portfolio are not in it."""
    names = {window.building for _, window in chosen}
    missing = [row.building for row in known if row.building not in names]
    if len(chosen) == 1 or not missing:
        return []
    return [f"Without {words.listed(missing)}, which cannot be planned on the days asked for."]


def _left_out(chosen: Chosen) -> list[Table]:
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
            f"{row.building} {problem.feed.replace('_', ' ')}",
            RULES.get(problem.rule, problem.rule),
            f"{problem.days:,}",
            f"{problem.steps:,}",
        )
        for row in rows
        for problem in row.problems
    ]
    if not found:
        return []
    return [
        Table(
            caption="what the quality rules found in the whole record",
            heads=("meter", "finding", "days", "steps"),
            rows=found,
            n_texts=2,
            folded=True,
        )
    ]
