"""Whether what was read can be a house: its sums held against what is usual.

No rule of a meter sees a file that was read wrongly by a column, an hour or a factor of a thousand;
the sums of a whole record do. The ranges are wide and assumed; a figure outside is a reason to
look, not a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ems.forecast.clear_sky import Sun
from ems.site.meters import Metered, load_kwh, sum_kwh
from ems.types import Floats

HOURS_A = 8766.0
QUARTER_H = 0.25
YEAR_DAYS = 300
"""Fewer known days say less about a year: the range is twice as wide on either side."""
SHORT_DAYS = 14
"""Fewer days say little: four times as wide; and nothing about a clock."""
NO_FLOW_KWH = 1e-6


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A figure of a building, the range that is usual, and what to check where it is outside."""

    what: str
    value: float
    unit: str
    least: float = -np.inf
    most: float = np.inf
    check: str

    @property
    def plausible(self) -> bool:
        """Whether it is within the range."""
        return self.least <= self.value <= self.most

    @property
    def told(self) -> str:
        """The figure with its unit."""
        value = f"{self.value:,.1f}" if abs(self.value) >= 1 else f"{self.value:.2g}"
        return f"{value} {self.unit}"

    @property
    def usual(self) -> str:
        """The range in words."""
        if np.isinf(self.most):
            return f"{self.least:,g} and more"
        if np.isinf(self.least):
            return f"at most {self.most:,g}"
        return f"{self.least:,g} to {self.most:,g}"

    def __str__(self) -> str:
        return f"unlikely: {self.what} {self.told} (usual: {self.usual}); {self.check}"


def doubts(metered: Metered) -> Iterator[str]:
    """What is unlikely about a building, or cannot be known of it, one line each."""
    if metered.load_rule == "import-export":
        yield (
            "there is an export meter but none for the generation: how much of it the house uses "
            "itself cannot be known. What is left of the load after it is planned (the load below "
            "may be negative); self-sufficiency stays unknown. Add a feed with role 'pv' if its "
            "energy is metered"
        )
    yield from (str(one) for one in plausibility(metered) if not one.plausible)


def plausibility(metered: Metered) -> tuple[Checked, ...]:
    """What is known of a building beside what is usual.

    Sums of a year are the mean of the known steps × 8,766 h.
    """
    return (*_of_load(metered), *_of_sun(metered), *_of_an_unnamed_battery(metered))


def _of_load(metered: Metered) -> Iterator[Checked]:
    used_kwh = load_kwh(metered)
    known = np.isfinite(used_kwh)
    if not known.any():
        return
    bought_kwh, home = sum_kwh(metered, "import"), metered.kind == "residential"
    net = metered.load_rule == "import-export"
    if home and net:
        yield _a_year("import in a year", bought_kwh, metered)
    elif home:
        yield _a_year("load in a year", used_kwh, metered)
    if home and np.isfinite(bought_kwh).any():
        yield Checked(
            what="highest import of a step",
            value=float(np.nanmax(bought_kwh)) / metered.step_h,
            unit="kW",
            least=0.1,
            most=43.5,  # three phases of 63 A at 230 V
            check="are 'unit' and 'kind' right?",
        )
    if net:
        return
    yield Checked(
        what="lowest load of a step",
        value=float(np.min(used_kwh[known])) / metered.step_h,
        unit="kW",
        least=-0.1,
        check="below zero the meters contradict each other",
    )
    parts_kwh = np.nan_to_num(sum_kwh(metered, "load", behind_import=None))
    if parts_kwh.any():
        yield Checked(
            what="sub-meters, of the load",
            value=_percent(parts_kwh[known].sum(), used_kwh[known].sum()),
            unit="%",
            most=101.0,
            check="is each column a part of the load?",
        )


def _a_year(what: str, energy_kwh: Floats, metered: Metered) -> Checked:
    """Germany: 1,300 to 6,000 kWh, with a car and a heat pump up to 25,000."""
    wider = _wider(energy_kwh, metered)
    return Checked(
        what=what,
        value=float(np.nanmean(energy_kwh)) / metered.step_h * HOURS_A,
        unit="kWh",
        least=500.0 / wider,
        most=25_000.0 * wider,
        check="are 'unit' and 'kind' right?",
    )


def _of_sun(metered: Metered) -> Iterator[Checked]:
    pv_kwh = sum_kwh(metered, "pv", behind_import=None)
    generated_kwh = np.nan_to_num(pv_kwh)
    if not generated_kwh.sum() > 0 or _days(pv_kwh, metered) < SHORT_DAYS:
        return
    full_h = float(np.nanmean(pv_kwh) / generated_kwh.max()) * HOURS_A
    wider = _wider(pv_kwh, metered)
    yield Checked(
        what="generation in a year per kW of its highest step",  # Germany: about 900 to 1,300
        value=full_h,
        unit="h",
        least=600.0 / wider,
        most=2_200.0 * wider,
        check="is the column the generation?",
    )
    clock = "are 'timestamp_zone', 'label' and the place right?"
    yield Checked(
        what="generation while the sun is below the horizon",
        value=_percent(_in_the_dark_kwh(generated_kwh, metered), generated_kwh.sum()),
        unit="%",
        # Measured: 0.005 at the right hour, 0.04 to 0.3 an hour off.
        most=0.1,
        check=clock,
    )
    yield Checked(
        what="middle of the generation after the sun's noon",
        value=float(np.average(_after_noon_h(metered), weights=generated_kwh)),
        unit="h",
        least=-1.5,
        most=1.5,
        check=clock,
    )
    sold_kwh = sum_kwh(metered, "export")
    known = np.isfinite(sold_kwh) & np.isfinite(pv_kwh)
    if sold_kwh[known].any():
        yield Checked(
            what="export, of the generation",
            value=_percent(sold_kwh[known].sum(), pv_kwh[known].sum()),
            unit="%",
            most=101.0,
            check="are import, export and generation exchanged?",
        )


def _in_the_dark_kwh(generated_kwh: Floats, metered: Metered) -> float:
    """The generation of quarters of an hour (or longer steps) in which the sun is not up."""
    steps = max(1, round(QUARTER_H / metered.step_h))
    quarters_kwh = np.add.reduceat(generated_kwh, np.arange(0, len(generated_kwh), steps))
    step_h = steps * metered.step_h
    sun = Sun.at(metered.place, metered.ts_utc[0], len(quarters_kwh), step_h)
    return float(quarters_kwh[~sun.up].sum())


def _of_an_unnamed_battery(metered: Metered) -> Iterator[Checked]:
    """Where nothing is drawn in the dark something else supplies the house."""
    roles = {feed.role for feed in metered.feeds}
    if "discharge" in roles or not {"import", "export", "pv"} <= roles:
        return
    used_kwh = load_kwh(metered)
    dark = (sum_kwh(metered, "pv") == 0) & np.isfinite(used_kwh)
    if not dark.any():
        return
    yield Checked(
        what="steps without generation in which nothing is drawn at all",
        value=100.0 * float(np.mean(used_kwh[dark] <= NO_FLOW_KWH)),
        unit="%",
        most=20.0,
        check=(
            "is a battery there? Name its columns (roles 'charge' and 'discharge'), or the load is "
            "wrong and so is every saving"
        ),
    )


def _after_noon_h(metered: Metered) -> Floats:
    """Hours of each step's middle after the sun's mean noon at the place, −12 to 12 [h]."""
    since = metered.ts_utc - metered.ts_utc.astype("datetime64[D]")
    sun_h = since / np.timedelta64(1, "h") + metered.step_h / 2 + metered.place.longitude_deg / 15.0
    hours: Floats = sun_h % 24.0 - 12.0
    return hours


def _days(energy_kwh: Floats, metered: Metered) -> float:
    """How much is known [days]."""
    return float(np.count_nonzero(np.isfinite(energy_kwh)) * metered.step_h / 24.0)


def _wider(energy_kwh: Floats, metered: Metered) -> float:
    """By how much the range of a year's sum is wider where less than a year is known."""
    days = _days(energy_kwh, metered)
    return 1.0 if days >= YEAR_DAYS else 2.0 if days >= SHORT_DAYS else 4.0


def _percent(part: float, whole: float) -> float:
    return 100.0 * float(part) / max(float(whole), NO_FLOW_KWH)
