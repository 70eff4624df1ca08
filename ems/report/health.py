"""The health of a run's measurements: what the rules found, days left out, and plausibility.

The rules mark readings (``ems.store.quality``), a day with a marked reading that it needs is left
out, and the sums of what is left are held against what such a building usually has: a file that was
read wrongly, by a column, an hour or a factor of a thousand, shows there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from ems.errors import DataError
from ems.pipelines.comparison import Window
from ems.report.rules import RULES
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.plausible import Checked, plausibility
from ems.store.quality import Finding

SHOWN_SPANS = 5
"""Spans of days told of each reason, the longest."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A building of the run with its window, and what the rules found in its meters.

    Judged as metered, whatever the size of PV that is planned.
    """

    building: Building
    window: Window
    findings: Sequence[Finding]


# --- as text --------------------------------------------------------------------------------------


def health_report(run_id: str, patients: Sequence[Patient]) -> str:
    """The report of a run's buildings in Markdown."""
    history = patients[0].building.metered
    made_up = "**SYNTHETIC DATA: made up, not measurements.** " if history.synthetic else ""
    head = (
        f"# Health of the data of run {run_id}\n\n{made_up}Data: {history.source}.\n\n"
        "Rules mark readings, nothing is deleted or repaired; a day that needs a marked reading is "
        "left out. Usual ranges are wide and assumed: a figure outside is a reason to look, not a "
        "fault. Rules and thresholds: docs/data.md."
    )
    return "\n\n".join([head, *(_of(patient) for patient in patients)]) + "\n"


def write_health(text: str, file: Path) -> Path:
    """Write the report; ``DataError`` if that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{file}: the health report cannot be written ({error}); check permissions"
        ) from error
    return file


def measured(history: MeterData, findings: Sequence[Finding]) -> str:
    """What is measured of a building, what the rules found, and its sums beside what is usual."""
    return "\n\n".join(
        [
            f"### {history.building}",
            _meters(history),
            "What the rules found:",
            _findings(findings, len(history.ts_utc)),
            _checks(plausibility(history)),
        ]
    )


def _meters(history: MeterData) -> str:
    feeds = ", ".join(f"{feed.name} ({feed.role})" for feed in history.feeds)
    first, last = history.ts_utc[0].item(), history.ts_utc[-1].item()
    return (
        f"{len(history.ts_utc):,} steps of {60 * history.step_h:g} minutes, {first:%Y-%m-%d} "
        f"to {last:%Y-%m-%d} UTC, {history.place}. Meters: {feeds}."
    )


def _of(patient: Patient) -> str:
    history = patient.building.metered
    return "\n\n".join(
        [
            f"## {history.building}",
            _meters(history),
            "### What the rules found",
            _findings(patient.findings, len(history.ts_utc)),
            "### Days left out",
            _days(patient),
            "### Plausibility",
            _checks(plausibility(history)),
        ]
    )


def _findings(findings: Sequence[Finding], n_steps: int) -> str:
    if not findings:
        return "Nothing."
    rows = [
        f"| {one.rule} | {one.feed} | {one.quality} | {one.days:,} | {one.steps:,} | "
        f"{100 * one.steps / n_steps:.1f} % | {one.span_utc[0].item():%Y-%m-%d} | "
        f"{one.span_utc[1].item():%Y-%m-%d} | {RULES.get(one.rule, 'see docs/data.md')} |"
        for one in findings
    ]
    head = "| rule | meter | marked as | days | steps | of all | first | last | what it means |"
    return "\n".join([head, "|---|---|---|---:|---:|---:|---|---|---|", *rows])


def _days(patient: Patient) -> str:
    building, window = patient.building, patient.window
    why = {day: building.why_not(day) for day in building.days}
    left_out = {day: reason for day, reason in why.items() if reason is not None}
    asked = len(window.days) + len(window.skipped)
    told = (
        f"Of {len(why):,} days from midnight to midnight {len(why) - len(left_out):,} can be "
        f"planned. This run: {asked:,} from {window.days[0]} on, {len(window.skipped):,} of them "
        "left out."
    )
    if not left_out:
        return told
    rows = [
        f"| {reason} | {len(days):,} | {_spans(days)} |"
        for reason, days in sorted(_by_reason(left_out).items(), key=lambda item: -len(item[1]))
    ]
    head = "| why | days | when (the longest) |\n|---|---:|---|"
    return f"{told}\n\n{head}\n" + "\n".join(rows)


def _by_reason(left_out: Mapping[date, str]) -> dict[str, list[date]]:
    found: dict[str, list[date]] = {}
    for day, reason in left_out.items():
        found.setdefault(reason, []).append(day)
    return found


def _spans(days: Sequence[date]) -> str:
    """The longest runs of consecutive days, in order of time.

    >>> _spans([date(2016, 1, 1), date(2016, 1, 2), date(2016, 2, 1)])
    '2016-01-01 to 2016-01-02, 2016-02-01'
    """
    numbered = groupby(enumerate(days), key=lambda item: item[1] - timedelta(days=item[0]))
    spans = [[day for _, day in group] for _, group in numbered]
    longest = sorted(sorted(spans, key=lambda span: -len(span))[:SHOWN_SPANS])
    told = [str(s[0]) if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in longest]
    more = len(spans) - len(longest)
    return ", ".join([*told, *([f"{more} more"] if more else [])])


def _checks(checks: Sequence[Checked]) -> str:
    if not checks:
        return "Nothing is known of load and sun."
    rows = [
        f"| {one.what} | {one.told} | {one.usual} | {'plausible' if one.plausible else 'LOOK'} |"
        for one in checks
    ]
    return "\n".join(["| figure | here | usual | verdict |", "|---|---:|---:|---|", *rows])
