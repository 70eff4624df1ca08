"""From the values of rows to the energy of every step of one grid.

A row stands for a piece of time: from its stamp on, or up to it. An interval value is the energy of
its piece, or its mean power; a count is the energy since the count before. Pieces are added up
within steps; a step of which a part is missing is a gap. Nothing is scaled or spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd

from ems.errors import DataError
from ems.store.ingest.meter.description import PER_KWH, STEPS_MIN, MeterFeed, MeterFile
from ems.store.ingest.meter.numbers import numbers
from ems.store.ingest.meter.stamps import Stamped
from ems.store.ingest.text_table import TextTable
from ems.types import Bools, Floats, Instants, Ints

NO_FLOW_KW = 0.05
"""What an inverter or a meter at rest may show below zero [kW]; it counts as zero."""
AT_REST: Mapping[str, str] = {
    "pv": "a roof",
    "load": "a device",
    "charge": "a battery",
    "discharge": "a battery",
}
"""Whose meters may show that, by their role."""
LONGEST_HOLE_S = 5 * 366 * 24 * 3600
RUNS_BACK_KWH = 1e-9
"""Above this it is no rounding, but a count that falls [kWh]."""
REGULAR_SHARE = 0.9
"""A column with its values at one larger distance this often has steps of its own [1]."""
ANEW_SHARE = 0.05
"""A count that falls to less than this share of itself began anew [1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """What the rows of a file stand for: from ``begin_s`` to ``end_s`` [s since 1970].

    ``stamped``: the rows; ``whole``: rows that are no longer than a step; ``remarks``: distances of
    rows other than the step, in words.
    """

    stamped: Stamped
    begin_s: Ints
    end_s: Ints
    whole: Bools
    remarks: tuple[str, ...]


def pieces(stamped: Stamped, file: MeterFile, step_min: int) -> Pieces:
    """The piece of time of each row. Raises ``DataError`` for distances that make no steps."""
    at, rows = stamped.instants_s, stamped.rows
    _require_near(stamped)
    length = np.full(1, 60 * step_min, dtype=np.int64)
    if len(at) > 1:
        length = _lengths(np.diff(at), ends=file.label == "end")
    values, counts = np.unique(length, return_counts=True)
    usual = int(values[counts.argmax()])
    _require_spacing(stamped, usual, step_min)
    whole = length <= 60 * step_min
    # What is longer than a step has no place in it: a gap, as long as any other row.
    length = np.where(whole, length, usual)
    odd = np.flatnonzero((60 * step_min) % length)
    if odd.size:
        raise DataError(
            f"{rows.where(int(odd[0]))}: rows are {length[odd[0]] / 60:g} minutes apart "
            f"here, which do not add up to steps of {step_min} minutes"
        )
    begin_s = at - length if file.label == "end" else at
    return Pieces(
        stamped=stamped,
        begin_s=begin_s,
        end_s=begin_s + length,
        whole=whole,
        remarks=tuple(_spacing_remarks(rows, length, whole, usual, step_min)),
    )


def _lengths(apart: Ints, *, ends: bool) -> Ints:
    """How long the piece of each row is [s]: the distance to the row that bounds it.

    Behind a gap that would be too long. Where rows are usually nearer the distance on the other
    side counts; where the next distance is as long, the rows are that far apart from here on.
    """
    if ends:
        return _lengths(apart[::-1], ends=False)[::-1]
    bounds = np.append(apart, apart[-1])
    other = np.append(apart[0], apart)
    goes_on = np.append(apart[1:] == apart[:-1], [True, True])
    return cast(Ints, np.where((bounds > other) & ~goes_on, other, bounds))


def _require_near(stamped: Stamped) -> None:
    """Refuse a hole of years: a clock that was wrong."""
    far = np.flatnonzero(np.diff(stamped.instants_s) > LONGEST_HOLE_S)
    if far.size:
        i = int(far[0])
        raise DataError(
            f"{stamped.rows.where(i + 1)}: its time is more than 5 years behind that of "
            f"{stamped.rows.where(i)}; delete the rows with a wrong clock"
        )


def _require_spacing(stamped: Stamped, usual_s: int, step_min: int) -> None:
    where = stamped.rows.where(0)
    if usual_s % 60 or usual_s // 60 not in STEPS_MIN:
        raise DataError(
            f"{where}: rows are {usual_s / 60:g} minutes apart, allowed are "
            f"{', '.join(str(m) for m in STEPS_MIN)}; export the file with one of these steps"
        )
    if usual_s > 60 * step_min:
        raise DataError(
            f"{where}: rows are {usual_s / 60:g} minutes apart, the description says "
            f"step_minutes = {step_min}; set step_minutes = {usual_s // 60}"
        )


def _spacing_remarks(
    rows: TextTable, length: Ints, whole: Bools, usual_s: int, step_min: int
) -> Iterator[str]:
    if usual_s != 60 * step_min:
        yield (
            f"{rows.names[0]}: rows are {usual_s // 60} minutes apart and are added up to steps of "
            f"{step_min} minutes"
        )
    other = whole & (length != usual_s)
    if other.any():
        i = int(np.argmax(other))
        yield (
            f"{rows.names[0]}: {int(other.sum()):,} rows stand for {length[i] // 60} minutes "
            f"instead of {usual_s // 60}, from {rows.where(i)} on"
        )
    if not whole.all():
        i = int(np.argmin(whole))
        yield (
            f"{rows.names[0]}: {int((~whole).sum()):,} rows are further apart than steps of "
            f"{step_min} minutes, from {rows.where(i)} on; they are gaps, with larger "
            "step_minutes they would not be"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The steps of a building: ``starts_s`` [s since 1970], each ``step_s`` long [s]."""

    first_s: int
    n_steps: int
    step_s: int

    @classmethod
    def over(cls, files: list[Pieces], timezone: str, step_min: int) -> Grid:
        """All steps that any row touches; local midnight is the start of a step.

        Raises ``DataError`` for rows that lie between the steps.
        """
        step_s = 60 * step_min
        phase_s = _phase_s(files, timezone, step_s)
        for file in files:
            length = file.end_s - file.begin_s
            off = np.flatnonzero((file.begin_s - phase_s) % length)
            if off.size:
                raise DataError(
                    f"{file.stamped.rows.where(int(off[0]))}: is not on the grid of "
                    f"step_minutes = {step_min} and rows every {length[off[0]] // 60} minutes"
                )
        first_s = min(int(file.begin_s[0]) for file in files)
        last_s = max(int(file.end_s[-1]) for file in files)
        first_s -= (first_s - phase_s) % step_s
        return cls(first_s=first_s, n_steps=-((first_s - last_s) // step_s), step_s=step_s)

    @property
    def ts_utc(self) -> Instants:
        """Starts of the steps, ``datetime64[s]``, shape ``(n_steps,)``."""
        starts_s = self.first_s + self.step_s * np.arange(self.n_steps)
        return cast(Instants, starts_s.astype("datetime64[s]"))

    def sums(self, begin_s: Ints, end_s: Ints, energy_kwh: Floats) -> Floats:
        """The energy of each step [kWh], NaN where a part of it is missing."""
        step = (begin_s - self.first_s) // self.step_s
        inside = np.isfinite(energy_kwh) & (end_s <= self.first_s + (step + 1) * self.step_s)
        step, length = step[inside], (end_s - begin_s)[inside]
        covered = np.bincount(step, length, minlength=self.n_steps)
        total = np.bincount(step, energy_kwh[inside], minlength=self.n_steps)
        return np.where(covered == self.step_s, total, np.nan)


def _phase_s(files: list[Pieces], timezone: str, step_s: int) -> int:
    """Where local midnight lies between the steps of UTC [s]."""
    ends = [(int(file.begin_s[0]), int(file.end_s[-1])) for file in files]
    days = pd.date_range(
        pd.Timestamp(min(a for a, _ in ends), unit="s"),
        pd.Timestamp(max(b for _, b in ends), unit="s"),
        freq="D",
    )
    local = days.tz_localize("UTC").tz_convert(timezone).tz_localize(None)
    offsets_s = ((local - days) / pd.Timedelta(seconds=1)).to_numpy().astype(np.int64)
    phases = sorted({int(-offset_s % step_s) for offset_s in offsets_s})
    if len(phases) > 1:
        raise DataError(
            f"meter: in {timezone} the clock changes by less than step_minutes = {step_s // 60}; "
            "set step_minutes = 30 or less"
        )
    return phases[0]


# --- values ------------------------------------------------------------------------------------


def energy_kwh(
    found: Pieces, file: MeterFile, entry: MeterFeed, grid: Grid, timezone: str
) -> tuple[Floats, tuple[str, ...]]:
    """The energy of each step of the grid by one column [kWh], and remarks."""
    rows = found.stamped.rows
    values = numbers(rows, entry.column, file.decimal) / PER_KWH[entry.unit]
    if entry.unit == "pulses":
        values = values / cast(float, entry.pulses_per_kwh)
    if entry.part is not None:
        values = np.maximum(values if entry.part == "positive" else -values, 0.0)
    if entry.kind == "interval":
        found, values, spaced = _own_rows(found, file, entry, values, grid.step_s // 60)
        if entry.is_power:
            values = values * (found.end_s - found.begin_s) / 3600.0
        values = np.where(found.whole, values, np.nan)
        energy, remarks = _not_negative(found, entry, values)
        return grid.sums(found.begin_s, found.end_s, energy), (*spaced, *remarks)
    return _from_counts(found, file, entry, values, grid, timezone)


def _own_rows(
    found: Pieces, file: MeterFile, entry: MeterFeed, values: Floats, step_min: int
) -> tuple[Pieces, Floats, tuple[str, ...]]:
    """The rows of a column that has a value only every second, third … row, and stands for all."""
    known = np.flatnonzero(np.isfinite(values))
    at = found.stamped.instants_s
    if known.size < 3 or known.size > len(at) // 2 + 1:
        return found, values, ()
    apart = np.diff(at[known])
    usual = int(np.median(apart))
    if usual <= np.median(np.diff(at)) or np.mean(apart == usual) < REGULAR_SHARE:
        return found, values, ()
    own = replace(
        found.stamped, rows=found.stamped.rows.at(known), instants_s=at[known], remarks=()
    )
    longer = pieces(own, file, step_min)
    remark = f"{entry.name}: has a value every {usual // 60} minutes, which stands for all of them"
    return longer, values[known], (remark, *longer.remarks)


def _not_negative(
    found: Pieces, entry: MeterFeed, energy: Floats
) -> tuple[Floats, tuple[str, ...]]:
    """Energies of at least 0; what an inverter draws at night counts as zero."""
    below = np.flatnonzero(energy < -RUNS_BACK_KWH)
    if not below.size:
        return cast(Floats, np.where(energy < 0, 0.0, energy)), ()
    hours = (found.end_s - found.begin_s) / 3600.0
    who = AT_REST.get(entry.role)
    most_kw = NO_FLOW_KW if who else 0.0
    worst = below[np.argmin((energy / hours)[below])]
    if -energy[worst] / hours[worst] > most_kw:
        text = found.stamped.rows.table[entry.column].iloc[int(worst)]
        why = (
            f"{who} may draw {1000 * NO_FLOW_KW:g} W at most; is it the right column, and its sign?"
            if who
            else 'import and export need a column each, or part = "positive" and "negative"'
        )
        raise DataError(
            f"{found.stamped.rows.where(int(worst))}, column '{entry.column}': {text} is "
            f"negative; {why}"
        )
    total = -float(energy[below].sum())
    remark = (
        f"{entry.name}: {below.size:,} values below zero ({total:.3f} kWh in all, at rest) count "
        "as zero"
    )
    return cast(Floats, np.maximum(energy, 0.0)), (remark,)


def _from_counts(
    found: Pieces,
    file: MeterFile,
    entry: MeterFeed,
    counts: Floats,
    grid: Grid,
    timezone: str,
) -> tuple[Floats, tuple[str, ...]]:
    """The differences of a count that rises; where it began anew is a gap, or a new day."""
    rows, remarks = found.stamped.rows, list[str]()
    known = np.flatnonzero(np.isfinite(counts))
    dips = _dips(counts[known])
    if dips.any():
        remarks.append(
            f"{entry.name}: {int(dips.sum()):,} readings of 0 amid a count are none "
            f"({rows.where(int(known[np.argmax(dips)]))})"
        )
        known = known[~dips]
    if known.size < 2:
        return np.full(grid.n_steps, np.nan), tuple(remarks)
    value, end_s = counts[known], found.end_s[known]
    risen, begin_s = _rises(value, end_s)
    daily = entry.kind == "daily" or _falls_each_night(risen, begin_s, end_s, timezone)
    if daily:
        risen, begin_s = _daily_rises(value, end_s, timezone)
        if entry.kind != "daily":
            remarks.append(f"{entry.name}: the count starts again each day; read as kind = 'daily'")
    fell, exchanged = risen < -RUNS_BACK_KWH, np.isin(known, _exchanges(found, file, entry))
    for i in np.flatnonzero(fell & ~exchanged).tolist():
        here = rows.where(int(known[i]))
        if daily or value[i] > ANEW_SHARE * value[i - 1]:
            text = rows.table[entry.column].iloc[int(known[i])]
            raise DataError(
                f"{here}, column '{entry.column}': {text} runs backwards; if the meter was "
                "exchanged, list the stamp in 'exchanges'"
            )
        remarks.append(
            f"{entry.name}: the count began anew ({value[i - 1]:.10g} to {value[i]:.10g} kWh, "
            f"{here}); that step is a gap"
        )
    risen = np.where(fell | exchanged, np.nan, np.maximum(risen, 0.0))
    return grid.sums(begin_s, end_s, risen), tuple(remarks)


def _rises(value: Floats, end_s: Ints) -> tuple[Floats, Ints]:
    """What a count rose since the reading before [kWh], and when that was [s]; first unknown."""
    return np.diff(value, prepend=np.nan), np.append(end_s[:1], end_s[:-1])


def _daily_rises(value: Floats, end_s: Ints, timezone: str) -> tuple[Floats, Ints]:
    """The same for a count that starts again each day: first readings count from midnight on."""
    risen, begin_s = _rises(value, end_s)
    anew = _new_day(begin_s, end_s, timezone)
    anew[0] = True
    begin_s[anew], risen[anew] = _midnight_before(end_s[anew], timezone), value[anew]
    # Read at midnight it has begun anew already, and the last step of the day is lost.
    risen[_at_midnight(end_s, timezone) & (risen < -RUNS_BACK_KWH)] = np.nan
    return risen, begin_s


def _dips(value: Floats) -> Bools:
    """Readings of zero between larger ones, behind which the count goes on: no readings."""
    zero = value == 0.0
    before = pd.Series(np.where(zero, np.nan, value)).ffill().to_numpy()
    after = pd.Series(np.where(zero, np.nan, value)).bfill().to_numpy()
    return np.asarray(zero & (before > 0) & (after >= before), dtype=np.bool_)


def _local_day(instants_s: Ints, timezone: str) -> Ints:
    local = pd.DatetimeIndex(instants_s.astype("datetime64[s]"), tz="UTC").tz_convert(timezone)
    return local.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)


def _new_day(begin_s: Ints, end_s: Ints, timezone: str) -> Bools:
    """Where a reading is the first of a local day: midnight lies at or behind the one before."""
    return _local_day(end_s - 1, timezone) > _local_day(begin_s - 1, timezone)


def _at_midnight(end_s: Ints, timezone: str) -> Bools:
    return _local_day(end_s, timezone) > _local_day(end_s - 1, timezone)


def _midnight_before(end_s: Ints, timezone: str) -> Ints:
    """The local midnight before each instant [s since 1970]."""
    days = _local_day(end_s - 1, timezone).astype("datetime64[D]").astype("datetime64[s]")
    midnight = pd.DatetimeIndex(days).tz_localize(
        timezone, ambiguous=np.ones(len(days), dtype=bool), nonexistent="shift_forward"
    )
    return midnight.tz_convert(None).to_numpy().astype("datetime64[s]").astype(np.int64)


def _falls_each_night(risen: Floats, begin_s: Ints, end_s: Ints, timezone: str) -> bool:
    """Whether a count falls at midnights and nowhere else, on many of them."""
    fell = risen < -RUNS_BACK_KWH
    nights = _new_day(begin_s, end_s, timezone) | _at_midnight(end_s, timezone)
    return bool(not (fell & ~nights).any() and fell.sum() >= max(2, 0.25 * nights.sum()))


def _exchanges(found: Pieces, file: MeterFile, entry: MeterFeed) -> Ints:
    """The rows of the first readings of new meters."""
    texts = found.stamped.rows.table[file.timestamp_column]
    places: list[int] = []
    for stamp in entry.exchanges:
        rows = np.flatnonzero((texts == stamp).to_numpy())
        if not rows.size:
            raise DataError(
                f"meter: exchange '{stamp}' of column '{entry.column}' is no stamp in "
                f"{', '.join(file.paths)}"
            )
        places += rows.tolist()
    return np.array(places, dtype=np.int64)
