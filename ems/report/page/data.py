"""Report section on the data: sources, and what could not be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from ems.pipelines.comparison import Window
from ems.report.page import words
from ems.report.page.page import Section, Table
from ems.report.rules import RULES
from ems.site.building import Building
from ems.store.read import PortfolioRow

NEEDED = (
    "A day needs the meters at the grid and of the sun in every step, and the day-ahead price "
    "where the tariff uses it. Readings that a rule marks are not believed, and nothing is put in "
    "their place; where the meter of a single device is not believed, what it used stays part of "
    "the building's other use."
)
Chosen = Sequence[tuple[Building, Window]]


def data_section(chosen: Chosen, known: Sequence[PortfolioRow]) -> Section:
    """Sources, days that could not be planned, and quality findings."""
    history, names = chosen[0][0].history, [window.building for _, window in chosen]
    places = "; ".join(dict.fromkeys(str(b.history.place) for b, _ in chosen))
    source = (
        f"Source: {history.source}. Place: {places}. Fingerprint of the data: {history.data_hash}."
    )
    missing = [row.building for row in known if row.building not in names]
    without = f"Without {words.listed(missing)}, which cannot be planned on the days asked for."
    buildings = [
        (
            window.building,
            b.history.load_rule.replace("+", " + ").replace("-", " − "),
            f"{len(window.days)}",
            f"{len(window.skipped)}",
        )
        for b, window in chosen
    ]
    heads = ("building", "meters that its load is made of", "planned days", "left out")
    return Section(
        "The data and their quality",
        (
            source,
            f"{_planned([window for _, window in chosen])} {NEEDED}",
            *([without] if missing and len(chosen) > 1 else []),
        ),
        tables=(
            Table("buildings", heads, buildings, n_texts=2),
            *_left_out([window for _, window in chosen]),
            *_findings([row for row in known if row.building in names]),
        ),
    )


def _planned(windows: Sequence[Window]) -> str:
    n_days = sum(len(window.days) for window in windows)
    n_skipped = sum(len(window.skipped) for window in windows)
    of_all = f" of {len(windows)}{words.NBSP}buildings" if len(windows) > 1 else ""
    were, was = ("was" if n == 1 else "were" for n in (n_days, n_skipped))
    skipped = f"{n_skipped} that {was} asked for could not be"
    return (
        f"{words.counted(n_days, 'day')}{of_all} {were} planned, "
        f"{skipped if n_skipped else 'none that was asked for was left out'}."
    )


def _left_out(windows: Sequence[Window]) -> list[Table]:
    rows = [
        (window.building, _span([day for day, _ in days]), reason)
        for window in windows
        # Consecutive days with one reason become one row.
        for reason, found in groupby(sorted(window.skipped.items()), key=lambda item: item[1])
        for days in [list(found)]
    ]
    heads = ("building", "days", "reason")
    return [Table("days that were left out, and why", heads, rows, n_texts=None)] if rows else []


def _span(days: Sequence[date]) -> str:
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} … {days[-1]} ({len(days)} days)"


def _findings(known: Sequence[PortfolioRow]) -> list[Table]:
    rows = [
        (
            f"{row.building} {problem.feed.replace('_', ' ')}",
            _meaning(problem.rule),
            f"{problem.days:,}",
            f"{problem.steps:,}",
        )
        for row in known
        for problem in row.problems
    ]
    caption, heads = (
        "what the quality rules found in the whole record",
        ("meter", "finding", "days", "steps"),
    )
    return [Table(caption, heads, rows, n_texts=2, folded=True)] if rows else []


def _meaning(rule: str) -> str:
    """A rule and what it means; a source may have marked readings by rules of its own."""
    return f"{rule}: {RULES[rule]}" if rule in RULES else rule
