"""The health of a run's measurements: what the rules found, days left out, and plausibility.

The rules mark readings (``ems.store.quality``), a day with a marked reading that it needs is left
out, and the sums of what is left are held against what such a building usually has: a file that was
read wrongly, by a column, an hour or a factor of a thousand, shows there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np

from ems.errors import DataError
from ems.forecast.clear_sky import Sun
from ems.pipelines.comparison import Window
from ems.report.rules import RULES
from ems.site.building import Building
from ems.site.meters import MeterData
from ems.store.quality import Finding
from ems.types import Bools, Floats

HOURS_A = 8760.0
LEAST_DAYS = 300
"""Fewer known days say little about a year."""
SHOWN_SPANS = 5
"""Spans of days told of each reason, the longest."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A figure of a building with the range that is usual; ``enough``: whether it can be judged."""

    what: str
    value: float
    unit: str
    least: float
    most: float
    enough: bool = True

    @property
    def verdict(self) -> str:
        """Whether it is within the range."""
        if not self.enough:
            return "too little is known to judge"
        return "plausible" if self.least <= self.value <= self.most else "LOOK AT IT"


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A building of the run with its window, and what the rules found in its meters.

    Judged as metered, whatever the size of PV that is planned.
    """

    building: Building
    window: Window
    findings: Sequence[Finding]


def plausibility(history: MeterData) -> tuple[Checked, ...]:
    """What is known of a building beside what is usual; the ranges are wide and assumed.

    Sums of a year are the mean of the known steps × 8,760 h.
    """
    return (*_of_load(history), *_of_sun(history))


def _of_load(history: MeterData) -> Iterator[Checked]:
    load_kw = history.load_kwh / history.step_h
    known = np.isfinite(load_kw)
    if not known.any():
        return
    home = history.kind == "residential"
    if home:
        yield Checked(
            what="load in a year (Germany: 1,300 to 6,000, with car and heat pump up to 25,000)",
            value=_yearly_kwh(load_kw),
            unit="kWh",
            least=500.0,
            most=25_000.0,
            enough=_enough(known, history.step_h),
        )
    imports = [f.name for f in history.feeds if f.role == "import" and f.behind_import]
    peak_kw = sum(float(np.nanmax(history.energy_kwh[name])) for name in imports) / history.step_h
    if home:
        told = "highest import of a step (three phases of 63 A carry 43)"
        yield Checked(what=told, value=peak_kw, unit="kW", least=0.5, most=43.5)
    lowest_kw = float(np.min(load_kw[known]))
    told = "lowest load of a step (below 0 the meters contradict each other)"
    yield Checked(what=told, value=lowest_kw, unit="kW", least=-0.1, most=np.inf)
    parts = [f.name for f in history.feeds if f.role == "load"]
    if parts:
        part_kw = np.nansum([history.energy_kwh[name] for name in parts], axis=0) / history.step_h
        share = 100.0 * float(part_kw[known].sum() / max(load_kw[known].sum(), 1e-9))
        told = "sub-meters, of the load"
        yield Checked(what=told, value=share, unit="%", least=0.0, most=101.0)


def _of_sun(history: MeterData) -> Iterator[Checked]:
    pv_kw = history.pv_kwh / history.step_h
    if not np.nanmax(pv_kw, initial=0.0) > 0:
        return
    generated = np.nan_to_num(pv_kw)
    known = np.isfinite(pv_kw)
    yield Checked(
        what="generation in a year per kW of its highest step (Germany: about 900 to 1,300)",
        value=_yearly_kwh(pv_kw) / float(generated.max()),
        unit="h",
        least=600.0,
        most=1_700.0,
        enough=_enough(known, history.step_h),
    )
    sun = Sun.at(history.place, history.ts_utc[0], len(generated), history.step_h)
    dark = 100.0 * float(generated[~sun.up].sum() / generated.sum())
    told = "generation while the sun is below the horizon (more: the hours are shifted)"
    yield Checked(what=told, value=dark, unit="%", least=0.0, most=1.0)
    noon_h = float(np.average(_after_noon_h(history), weights=generated))
    told = "middle of the generation, hours after the sun's noon (a shift of the clock shows here)"
    yield Checked(what=told, value=noon_h, unit="h", least=-1.5, most=1.5)
    exports = [f.name for f in history.feeds if f.role == "export" and f.behind_import]
    if exports:
        sold = np.nansum([history.energy_kwh[name] for name in exports], axis=0) / history.step_h
        share = 100.0 * float(sold[known].sum() / generated.sum())
        told = "export, of the generation"
        yield Checked(what=told, value=share, unit="%", least=0.0, most=101.0)


def _after_noon_h(history: MeterData) -> Floats:
    """Hours of each step's middle after the sun's mean noon at the place, −12 to 12 [h]."""
    since = history.ts_utc - history.ts_utc.astype("datetime64[D]")
    sun_h = since / np.timedelta64(1, "h") + history.step_h / 2 + history.place.longitude_deg / 15.0
    hours: Floats = sun_h % 24.0 - 12.0
    return hours


def _yearly_kwh(power_kw: Floats) -> float:
    return float(np.nanmean(power_kw)) * HOURS_A


def _enough(known: Bools, step_h: float) -> bool:
    return bool(np.count_nonzero(known) * step_h / 24.0 >= LEAST_DAYS)


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


def _of(patient: Patient) -> str:
    history = patient.building.metered
    feeds = ", ".join(f"{feed.name} ({feed.role})" for feed in history.feeds)
    first, last = history.ts_utc[0].item(), history.ts_utc[-1].item()
    return "\n\n".join(
        [
            f"## {history.building}",
            f"{len(history.ts_utc):,} steps of {60 * history.step_h:g} minutes, {first:%Y-%m-%d} "
            f"to {last:%Y-%m-%d} UTC, {history.place}. Meters: {feeds}.",
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
        f"| {one.what} | {one.value:,.1f} {one.unit} | {_range(one)} | {one.verdict} |"
        for one in checks
    ]
    return "\n".join(["| figure | here | usual | verdict |", "|---|---:|---:|---|", *rows])


def _range(one: Checked) -> str:
    most = "" if np.isinf(one.most) else f" to {one.most:,g}"
    return f"{one.least:,g}{most or ' and more'}"
