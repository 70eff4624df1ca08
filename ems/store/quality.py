"""Which readings are valid: general, vectorised rules over the raw meters.

Rules use only numbers and roles, never a building's name. A rule marks steps; nothing is deleted or
repaired. The first rule that marks a step keeps it. ``docs/data.md`` lists what each rule found on
the measurements of Konstanz, and the reason for each threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ems.site.meters import Feed, Role, sum_kwh
from ems.store.ingest.dataset import BuildingData
from ems.types import Floats, Instants

Quality = Literal["ok", "ended", "gap", "balance", "spike", "stuck"]
QUALITIES: tuple[Quality, ...] = ("ok", "ended", "gap", "balance", "spike", "stuck")
"""In the order of the enum in ``schema/data.sql``: codes are positions here."""

Codes = NDArray[np.int8]
Mask = NDArray[np.bool_]

RESOLUTION_KWH = 0.0015
"""Differences of readings with three decimals count as equal below this."""

FILLED_MIN_H = 3.0
"""Shorter interpolated stretches only blur the time within an hour or two."""

LINE_MIN_H = 12.0
LINE_MIN_KW = 0.02
"""Half a day at equal power to the Wh, unless near zero, is a line drawn over a gap."""

COPY_MIN_H: Mapping[Role, float] = {"import": 2.0, "export": 2.0, "load": 2.0, "pv": 6.0}
FOLLOWS: frozenset[Role] = frozenset({"charge", "discharge"})
"""A battery follows prices and sun: equal hours are no fault of its meter."""
COPY_MIN_KW = 0.05
COPY_LAGS_DAYS = range(1, 15)
COPY_BY_CHANCE = 1.0
"""Hours that repeat an earlier day to the Wh were copied to fill a gap.

PV needs more hours: two clear days in a row are alike, and at dawn alike to the Wh.
"""

FINE_STEPS = 20
"""A power is equal by chance where the meter resolves it in fewer steps than this."""

STUCK_IMPORT_MIN_H = 12.0
STUCK_IMPORT_NEEDED_KWH = 0.5
"""Import at zero this long while other meters show that this much was needed."""

STUCK_IDLE_SHARE = 0.5
"""A week without import is a fault where in more than this share of it nothing else supplies."""

FROZEN_MIN_H = 2.0
FROZEN_ZERO_SHARE = 0.02
FROZEN_JUMP = 2.0
FROZEN_PAID_BACK = 0.5
"""A meter that stands still for two hours although it hardly ever shows zero, and then shows twice
its usual energy at once, and at least half of what it missed, was not read in between."""

STUCK_MIN_H = 168.0
"""A week without a Wh: of sun, of import, or of export while the sun shines."""

STUCK_EXPORT_SUNNY_H = 24.0
"""Hours of sun in which the meter would export, as elsewhere in the record."""

STUCK_FIXED_MIN_H = 72.0
STUCK_FIXED_DAY_SHARE = 0.99
STUCK_FIXED_MAX_SHARE = 1 / 3
"""A feed that draws on (almost) every day, such as a fridge, does not pause for three days.

A feed that pauses for more than a third of its record is rarely used.
"""

ENDED_MIN_H = 720.0
"""Thirty days of zeros at the end or start of the record: not in service."""

SPIKE_QUANTILE = 0.98
SPIKE_FACTOR = 5.0
SPIKE_MIN_KW = 5.0
SPIKE_MAX_SHARE = 0.001
"""A spike exceeds 5 times the 98 % quantile of the non-zero values, and 5 kW.

More than one step in a thousand is a rarely used machine, not a fault.
"""

BALANCE_SHORT_KW = 0.5
"""Sub-meters may exceed the load by this much for a step: their clocks differ by minutes."""

BALANCE_NEGATIVE_KW = 0.1
"""The load itself may be negative by this much, for the same reason."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The finding of one rule on one feed: steps, local days, first and last step."""

    building: str
    feed: str
    rule: str
    quality: Quality
    steps: int
    days: int
    span_utc: tuple[np.datetime64, np.datetime64]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The quality code of every step of every feed, and the findings."""

    codes: Mapping[str, Codes]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """Steps that one rule marks with one quality."""

    rule: str
    quality: Quality
    mask: Mask


def judge(data: BuildingData) -> Judgement:
    """Apply every rule to one building."""
    local_days = _local_days(data)
    codes: dict[str, Codes] = {}
    findings: list[Finding] = []
    for feed in data.feeds:
        codes[feed.name] = np.zeros(len(data.ts_utc), dtype=np.int8)
        for mark in _marks(feed, data):
            findings += _apply(mark, feed.name, codes[feed.name], data, local_days)
    # After all others: it uses only readings that no rule has marked.
    for feed in data.feeds:
        if feed.role == "import":
            mark = _Mark(rule="balance", quality="balance", mask=_contradictions(data, codes))
            findings += _apply(mark, feed.name, codes[feed.name], data, local_days)
    return Judgement(codes=codes, findings=tuple(findings))


def _apply(
    mark: _Mark, feed: str, codes: Codes, data: BuildingData, local_days: Instants
) -> list[Finding]:
    """Apply a mark where no earlier rule has; returns a finding if it marked anything."""
    new = mark.mask & (codes == 0)
    if not new.any():
        return []
    codes[new] = QUALITIES.index(mark.quality)
    instants = data.ts_utc[new]
    return [
        Finding(
            building=data.building,
            feed=feed,
            rule=mark.rule,
            quality=mark.quality,
            steps=len(instants),
            days=len(np.unique(local_days[new])),
            span_utc=(instants[0], instants[-1]),
        )
    ]


def _marks(feed: Feed, data: BuildingData) -> Iterator[_Mark]:
    """The marks of all rules for one feed, the most certain first.

    Registers of the connection are judged by their sum: while one counts, the other stands still.
    """
    energy_kwh = _register_kwh(feed, data)
    yield _Mark(rule="missing", quality="gap", mask=np.isnan(data.energy_kwh[feed.name]))
    if feed.role in FOLLOWS:
        return
    yield _Mark(rule="spike", quality="spike", mask=_spikes(energy_kwh, data.step_h))
    yield _Mark(rule="stuck", quality="stuck", mask=_stuck(feed, data))
    if feed.role == "import":
        yield _Mark(rule="frozen", quality="gap", mask=_frozen(energy_kwh, data))
    yield _Mark(rule="out of service", quality="ended", mask=_out_of_service(energy_kwh, data))
    yield _Mark(rule="filled", quality="gap", mask=_filled(feed, data))
    # A fixed sub-meter may really draw constant power.
    if feed.category != "fixed":
        yield _Mark(rule="straight line", quality="gap", mask=_lines(energy_kwh, data.step_h))
        yield _Mark(
            rule="copied day",
            quality="gap",
            mask=_copies(energy_kwh, data.step_h, COPY_MIN_H[feed.role]),
        )


def _spikes(energy_kwh: Floats, step_h: float) -> Mask:
    """Values far above everything else the meter shows."""
    power_kw = energy_kwh / step_h
    drawing = power_kw[power_kw > 0]
    usual_kw = float(np.quantile(drawing, SPIKE_QUANTILE)) if len(drawing) else np.inf
    spikes = _above(power_kw, max(SPIKE_FACTOR * usual_kw, SPIKE_MIN_KW))
    rare = bool(np.count_nonzero(spikes) <= max(1.0, SPIKE_MAX_SHARE * len(spikes)))
    return spikes if rare else np.zeros(len(spikes), dtype=bool)


def _filled(feed: Feed, data: BuildingData) -> Mask:
    """Long stretches that the source marks as interpolated."""
    filled = data.filled.get(feed.name)
    if filled is None:
        return np.zeros(len(data.ts_utc), dtype=bool)
    return _long_runs(filled, FILLED_MIN_H / data.step_h)


def _lines(energy_kwh: Floats, step_h: float) -> Mask:
    """Straight lines of the cumulative reading: equal energy in many steps."""
    as_before = np.abs(np.diff(energy_kwh, prepend=np.nan)) < RESOLUTION_KWH
    drawing = energy_kwh > max(LINE_MIN_KW * step_h, FINE_STEPS * _resolution_kwh(energy_kwh))
    line = _long_runs(as_before & drawing, LINE_MIN_H / step_h - 1)
    # The difference marks the later of two equal steps; the first belongs to the line too.
    line[:-1] |= line[1:]
    return line


def _resolution_kwh(energy_kwh: Floats) -> float:
    """The least difference of two energies that the meter shows [kWh]."""
    shown = np.unique(np.round(energy_kwh[np.isfinite(energy_kwh)], 6))
    apart = np.diff(shown)
    return float(apart.min()) if apart.size else 0.0


def _frozen(energy_kwh: Floats, data: BuildingData) -> Mask:
    """Hours at zero and the step in which all their energy was counted at once."""
    supplied = _sum_of("pv", data) + _sum_of("discharge", data) + _sum_of("export", data) > 0
    zero, dark = energy_kwh == 0, ~supplied
    frozen = np.zeros(len(energy_kwh), dtype=bool)
    drawing = energy_kwh[energy_kwh > 0]
    if not drawing.size or not dark.any() or _has_net_load(data):
        return frozen
    usual_kwh = float(np.median(drawing))
    runs = _runs(zero & dark, max(2.0, FROZEN_MIN_H / data.step_h))
    still = np.zeros(len(energy_kwh), dtype=bool)
    for start, stop in runs:
        still[start:stop] = True
    if np.mean((zero & ~still)[dark]) > FROZEN_ZERO_SHARE:
        return frozen
    for start, stop in runs:
        missed_kwh = (stop - start) * usual_kwh
        enough = max(FROZEN_JUMP * usual_kwh, FROZEN_PAID_BACK * missed_kwh)
        if stop < len(energy_kwh) and energy_kwh[stop] > enough:
            frozen[start : stop + 1] = True
    return frozen


def _copies(energy_kwh: Floats, step_h: float, min_h: float) -> Mask:
    """Stretches that repeat an earlier day to the meter's resolution.

    A coarse meter repeats itself by chance: with the share p of steps equal to another day's, a run
    of k steps occurs about p^k times per step and lag. Runs must be so long that chance would give
    at most ``COPY_BY_CHANCE`` of them in the whole record.
    """
    day = round(24 / step_h)
    moving = np.abs(np.diff(energy_kwh, prepend=np.nan)) > RESOLUTION_KWH
    lively = moving & (energy_kwh / step_h > COPY_MIN_KW)
    repeats = [_repeats(energy_kwh, lively, days * day) for days in COPY_LAGS_DAYS]
    share = float(np.median([np.count_nonzero(r) for r in repeats])) / max(1, int(lively.sum()))
    by_chance = np.log(COPY_BY_CHANCE / (len(repeats) * len(energy_kwh)))
    min_steps = max(min_h / step_h, by_chance / np.log(max(share, 1e-9)))
    copied = np.zeros(len(energy_kwh), dtype=bool)
    for repeat in repeats:
        copied |= _long_runs(repeat, min_steps)
    return copied


def _repeats(energy_kwh: Floats, lively: Mask, lag: int) -> Mask:
    """Steps with the energy of ``lag`` steps before."""
    repeats = np.zeros(len(energy_kwh), dtype=bool)
    repeats[lag:] = np.abs(energy_kwh[lag:] - energy_kwh[:-lag]) < RESOLUTION_KWH
    return repeats & lively


def _stuck(feed: Feed, data: BuildingData) -> Mask:
    """Zeros that contradict the other meters or the kind of feed."""
    energy_kwh = _register_kwh(feed, data)
    if feed.role == "import":
        return _stuck_import(energy_kwh, data)
    if feed.role == "export":
        return _stuck_export(energy_kwh, data)
    if feed.role == "pv":
        return _inner(_long_runs(energy_kwh == 0, STUCK_MIN_H / data.step_h))
    if feed.category == "fixed":
        return _stuck_fixed(energy_kwh, data)
    return np.zeros(len(energy_kwh), dtype=bool)


def _stuck_import(import_kwh: Floats, data: BuildingData) -> Mask:
    """No import for hours although sub-meters and export exceed generation, or for a week."""
    used_kwh = _sum_of("load", data) + _sum_of("export", data) + _sum_of("charge", data)
    supplied_kwh = _sum_of("pv", data) + _sum_of("discharge", data)
    needed_kwh = np.maximum(used_kwh - supplied_kwh, 0.0)
    # Where generation has no meter, nobody knows what was needed beside it.
    known = not _has_net_load(data)
    idle = supplied_kwh == 0 if known else _sum_of("export", data) == 0
    stuck = np.zeros(len(import_kwh), dtype=bool)
    # A meter that shows whole kWh may stand for as long as one of them lasts.
    least_kwh = max(STUCK_IMPORT_NEEDED_KWH, 1.5 * _resolution_kwh(import_kwh))
    for start, stop in _runs(import_kwh == 0, STUCK_IMPORT_MIN_H / data.step_h):
        week = (stop - start) * data.step_h >= STUCK_MIN_H
        too_long = week and idle[start:stop].mean() > _idle_share(data)
        needed = needed_kwh[start:stop].sum() > least_kwh
        stuck[start:stop] = too_long or (known and needed)
    return stuck


def _idle_share(data: BuildingData) -> float:
    """Share of a week without other supply above which it must have been bought."""
    stores = any(feed.role == "discharge" for feed in data.feeds)
    # A house without a battery buys at night, however much sun it has.
    return STUCK_IDLE_SHARE if stores or _has_net_load(data) else 0.0


def _has_net_load(data: BuildingData) -> bool:
    """Whether generation behind the import meter has no meter of its own."""
    return data.load_rule == "import-export"


def _stuck_export(export_kwh: Floats, data: BuildingData) -> Mask:
    """A week or more without export despite enough sun to export elsewhere in the record."""
    pv_kwh = _sum_of("pv", data) - _sum_of("charge", data)
    exporting = export_kwh > 0
    stuck = np.zeros(len(export_kwh), dtype=bool)
    if not exporting.any():
        return stuck
    sunny = _above(pv_kwh, float(np.median(pv_kwh[exporting])))
    for start, stop in _runs(export_kwh == 0, STUCK_MIN_H / data.step_h):
        stuck[start:stop] = sunny[start:stop].sum() * data.step_h >= STUCK_EXPORT_SUNNY_H
    return stuck


def _stuck_fixed(energy_kwh: Floats, data: BuildingData) -> Mask:
    """Days without a Wh on a feed that otherwise draws every day."""
    idle = _long_runs(energy_kwh == 0, STUCK_FIXED_MIN_H / data.step_h)
    pauses = _inner(idle)
    day = round(24 / data.step_h)
    n_days = len(energy_kwh) // day
    drawn = _above(energy_kwh[: n_days * day], 0.0).reshape(n_days, day).any(axis=1)
    at_work = ~idle[: n_days * day].reshape(n_days, day).any(axis=1)
    worked = np.count_nonzero(drawn & at_work)
    every_day = worked > 0 and worked >= STUCK_FIXED_DAY_SHARE * np.count_nonzero(at_work)
    if every_day and pauses.mean() <= STUCK_FIXED_MAX_SHARE:
        return pauses
    return np.zeros(len(energy_kwh), dtype=bool)


def _out_of_service(energy_kwh: Floats, data: BuildingData) -> Mask:
    """Zeros from the start or to the end of the record, for a month or more."""
    idle = _long_runs((energy_kwh == 0) | np.isnan(energy_kwh), ENDED_MIN_H / data.step_h)
    return idle & ~_inner(idle)


def _contradictions(data: BuildingData, codes: Mapping[str, Codes]) -> Mask:
    """Steps in which the meters of the load contradict the sub-meters behind them."""
    if _has_net_load(data):
        return np.zeros(len(data.ts_utc), dtype=bool)
    believed = {
        feed.name: np.where(codes[feed.name] == 0, data.energy_kwh[feed.name], np.nan)
        for feed in data.feeds
    }
    behind = [feed for feed in data.feeds if feed.behind_import]
    zeros = np.zeros(len(data.ts_utc))
    plus, minus = ("import", "pv", "discharge"), ("export", "charge")
    load_kwh = sum((believed[f.name] for f in behind if f.role in plus), zeros)
    load_kwh = load_kwh - sum((believed[f.name] for f in behind if f.role in minus), zeros)
    metered_kwh = sum((np.nan_to_num(believed[f.name]) for f in behind if f.role == "load"), zeros)
    short_kw = (metered_kwh - load_kwh) / data.step_h
    negative_kw = -load_kwh / data.step_h
    contradicts: Mask = (short_kw > BALANCE_SHORT_KW) | (negative_kw > BALANCE_NEGATIVE_KW)
    return contradicts


def _register_kwh(feed: Feed, data: BuildingData) -> Floats:
    """What a meter counted; for import and export what all registers of that role did [kWh]."""
    if feed.role not in ("import", "export"):
        return data.energy_kwh[feed.name]
    return sum_kwh(data, feed.role, behind_import=None)


def _sum_of(role: Role, data: BuildingData) -> Floats:
    """Sum over the feeds of a role that the import meter sees [kWh], NaN as zero."""
    series = [
        np.nan_to_num(data.energy_kwh[feed.name])
        for feed in data.feeds
        if feed.role == role and feed.behind_import
    ]
    return np.sum(series, axis=0) if series else np.zeros(len(data.ts_utc))


def _above(values: Floats, limit: float) -> Mask:
    above: Mask = np.asarray(values > limit, dtype=bool)
    return above


def _runs(mask: Mask, min_steps: float) -> list[tuple[int, int]]:
    """Start and stop of each run of True with at least ``min_steps`` steps."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= min_steps
    return list(zip(starts[long].tolist(), stops[long].tolist(), strict=True))


def _long_runs(mask: Mask, min_steps: float) -> Mask:
    """Only the runs of True with at least ``min_steps`` steps."""
    kept = np.zeros(len(mask), dtype=bool)
    for start, stop in _runs(mask, min_steps):
        kept[start:stop] = True
    return kept


def _inner(mask: Mask) -> Mask:
    """Only the runs of True that touch neither end."""
    kept = mask.copy()
    for start, stop in _runs(mask, 1):
        if start == 0 or stop == len(mask):
            kept[start:stop] = False
    return kept


def _local_days(data: BuildingData) -> Instants:
    """The local calendar day of each step."""
    local = pd.DatetimeIndex(data.ts_utc, tz="UTC").tz_convert(data.timezone).tz_localize(None)
    days: Instants = local.to_numpy().astype("datetime64[D]")
    return days
