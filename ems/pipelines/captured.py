"""How much of the possible saving was captured, and the cost of not knowing.

captured_share = (baseline − ours) / (baseline − perfect)

All three are bill and wear [€], as plans minimise them, over the same days with the same assets and
the stores put back; *perfect* is the plan under perfect foresight (``centralized_perfect``).
Intervals come from a bootstrap over blocks of days (``ems.economics.intervals``), since days share
weather; the share of each draw is a ratio of sums.

The cost of forecast errors is computed alike from the same days: € above the perfect plan per kWh
of error. No line is fitted through the days, which differ in more than their error: in residential6
(90 days) its slope says that a kWh of PV error earns 0.8 ct, while not knowing the PV cost 1.1 ct
per kWh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ems.core.mode import Mode
from ems.economics.intervals import drawn_sums, holm, middle, p_value, ratio_interval
from ems.economics.settlement import DayKpis
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import BASELINES, PLANNED, SINGLE_ERRORS
from ems.types import Floats

PERFECT: Mode = "centralized_perfect"
CONTROLLED: tuple[Mode, ...] = ("value_based", *PLANNED)
"""Modes of which a share is told."""
LEAST_DAYS = 7
"""With fewer days, a bootstrap says nothing about other days."""
LEAST_POSSIBLE_EUR_PER_DAY = 0.01
"""Below this there is nothing to capture, and a share is not meaningful."""
LEAST_ERROR_KWH_PER_DAY = 0.01
"""Below this there was no forecast error, and euros per kWh are not meaningful."""


@dataclass(frozen=True, kw_only=True)
class Captured:
    """The share of the possible saving against ``baseline`` that a mode captured.

    ``low``, ``high``: the middle 95 % of the bootstrap, None for fewer than ``LEAST_DAYS`` days, or
    if what is possible cannot be told from zero. All three are None if perfect foresight saves less
    than 0.01 € per day. ``saved_eur``, ``possible_eur``: actual and possible saving;
    ``saved_low_eur``, ``saved_high_eur``: the middle 95 % of the bootstrap of the saving.
    ``p_value``: how likely a saving this far from zero is by chance.
    """

    building: str
    mode: Mode
    baseline: Mode
    saved_eur: float
    possible_eur: float
    share: float | None
    low: float | None
    high: float | None
    saved_low_eur: float | None = None
    saved_high_eur: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ignorance:
    """Cost of not knowing for a building [€]: each thing alone, all together, and the rest.

    ``together_eur``: cost of ``mode`` above the perfect plan; ``rest_eur``: that minus the sum of
    the single errors, whose effects do not simply add up.
    """

    building: str
    mode: Mode
    single_eur: Mapping[Mode, float]
    together_eur: float

    @property
    def rest_eur(self) -> float:
        """What the single errors do not explain [€]."""
        return self.together_eur - sum(self.single_eur.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorCost:
    """Cost of a kWh of forecast error for a mode of a building.

    eur_per_kwh = Σ_d above_eur(d) / Σ_d error_kwh(d)  [€/kWh]

    ``above_eur``, ``pv_error_kwh``, ``load_error_kwh``, ``(n_days,)``: for each of ``days``, cost
    above the perfect plan with restored stores, and the forecast errors of PV and base load. The
    euros of a single error (``pv_unknown``) are its own; those of ``load_unknown`` include heat,
    and those of a planned mode include price, appliances and cars, which have no kWh here.
    ``low``, ``high`` [€/kWh]: the middle 95 % of the bootstrap, None for fewer than ``LEAST_DAYS``
    days. ``rank_correlation``: whether days with larger errors cost more (Spearman's ρ, −1 … 1),
    None for so few days or if all days are equal.
    """

    building: str
    mode: Mode
    days: tuple[date, ...]
    above_eur: Floats
    pv_error_kwh: Floats
    load_error_kwh: Floats
    eur_per_kwh: float
    low: float | None
    high: float | None
    rank_correlation: float | None

    @property
    def error_kwh(self) -> Floats:
        """PV and base load errors of each day, ``(n_days,)`` [kWh]."""
        return self.pv_error_kwh + self.load_error_kwh


def captured(results: Sequence[DayResult], seed: int = 0) -> tuple[Captured, ...]:
    """A row for each building, planned mode and baseline."""
    rows: list[Captured] = []
    for building, costs in _daily_costs_eur(results).items():
        if PERFECT not in costs:
            continue
        for mode in (mode for mode in CONTROLLED if mode in costs):
            for baseline in BASELINES:
                saved, possible = costs[baseline] - costs[mode], costs[baseline] - costs[PERFECT]
                rows.append(_row(building, mode, baseline, saved, possible, seed))
    return tuple(rows)


def ignorance(results: Sequence[DayResult], mode: Mode) -> tuple[Ignorance, ...]:
    """Cost of not knowing for ``mode``, used for the single errors; a row per building."""
    return tuple(
        Ignorance(
            building=building,
            mode=mode,
            single_eur={
                one: float((costs[one] - costs[PERFECT]).sum())
                for one in SINGLE_ERRORS
                if one in costs
            },
            together_eur=float((costs[mode] - costs[PERFECT]).sum()),
        )
        for building, costs in _daily_costs_eur(results).items()
        if PERFECT in costs
    )


def error_costs(results: Sequence[DayResult], seed: int = 0) -> tuple[ErrorCost, ...]:
    """A row for each building, planned mode and single error with errors of PV or load.

    None without a perfect plan.
    """
    rows: list[ErrorCost] = []
    for building, costs in _daily_costs_eur(results).items():
        for mode in (mode for mode in (*PLANNED, *SINGLE_ERRORS) if mode in costs):
            own = {r.day: r.kpis for r in results if (r.building, r.mode) == (building, mode)}
            error_kwh = sum(kpis.pv_error_kwh + kpis.load_error_kwh for kpis in own.values())
            if PERFECT in costs and error_kwh > LEAST_ERROR_KWH_PER_DAY * len(own):
                above_eur = costs[mode] - costs[PERFECT]
                rows.append(_error_cost(building, mode, own, above_eur, seed))
    return tuple(rows)


def _error_cost(
    building: str, mode: Mode, kpis: Mapping[date, DayKpis], above_eur: Floats, seed: int
) -> ErrorCost:
    days = tuple(sorted(kpis))
    pv_kwh, load_kwh = (
        np.array([getattr(kpis[day], name) for day in days])
        for name in ("pv_error_kwh", "load_error_kwh")
    )
    error_kwh = pv_kwh + load_kwh
    low = high = rank_correlation = None
    if len(days) >= LEAST_DAYS:
        low, high = _known(*ratio_interval(above_eur, error_kwh, seed=seed))
        rank_correlation = _rank_correlation(error_kwh, above_eur)
    return ErrorCost(
        building=building,
        mode=mode,
        days=days,
        above_eur=above_eur,
        pv_error_kwh=pv_kwh,
        load_error_kwh=load_kwh,
        eur_per_kwh=float(above_eur.sum() / error_kwh.sum()),
        low=low,
        high=high,
        rank_correlation=rank_correlation,
    )


def _rank_correlation(one: Floats, other: Floats) -> float | None:
    """Spearman's ρ, the correlation of the ranks; equal values share their rank."""
    # Rounded, so that solver noise does not rank days that cost the same.
    ranks, others = (pd.Series(values).round(9).rank().to_numpy(float) for values in (one, other))
    if np.ptp(ranks) == 0 or np.ptp(others) == 0:
        return None
    return float(np.corrcoef(ranks, others)[0, 1])


def _row(
    building: str, mode: Mode, baseline: Mode, saved: Floats, possible: Floats, seed: int
) -> Captured:
    share = low = high = saved_low = saved_high = chance = None
    enough = len(saved) >= LEAST_DAYS
    if enough:
        saved_low, saved_high = middle(*drawn_sums(saved, seed=seed))
        chance = p_value(saved, seed=seed)
    if possible.sum() >= LEAST_POSSIBLE_EUR_PER_DAY * len(possible):
        share = float(saved.sum() / possible.sum())
        if enough:
            low, high = _known(*ratio_interval(saved, possible, seed=seed))
    return Captured(
        building=building,
        mode=mode,
        baseline=baseline,
        saved_eur=float(saved.sum()),
        possible_eur=float(possible.sum()),
        share=share,
        low=low,
        high=high,
        saved_low_eur=saved_low,
        saved_high_eur=saved_high,
        p_value=chance,
    )


def _known(low: float, high: float) -> tuple[float, float] | tuple[None, None]:
    return (None, None) if np.isnan(low) else (low, high)


def many_told(rows: Sequence[Captured]) -> str | None:
    """What a table of several savings may say of their intervals, None for fewer than two.

    How many there are, how many exclude zero, how many would by chance alone, and how many do if
    all are looked at together (``holm``).
    """
    tested = [row for row in rows if row.p_value is not None]
    if len(tested) < 2:
        return None
    bounds = [(row.saved_low_eur, row.saved_high_eur) for row in tested]
    apart = sum(low is not None and high is not None and low * high > 0 for low, high in bounds)
    stand = sum(holm([row.p_value for row in tested if row.p_value is not None]))
    chance = 0.05 * len(tested)
    return (
        f"{len(tested)} intervals of savings are shown: {apart} exclude zero, where {chance:.1g} "
        f"would by chance alone; looked at together (Holm), {stand} can be told from zero"
    )


def _daily_costs_eur(results: Sequence[DayResult]) -> dict[str, dict[Mode, Floats]]:
    """Bill and wear of each day with the stores put back, by building and mode [€]."""
    table: dict[str, dict[Mode, dict[date, float]]] = {}
    for result in results:
        of_mode = table.setdefault(result.building, {}).setdefault(result.mode, {})
        of_mode[result.day] = result.kpis.with_wear_eur
    return {
        building: {
            mode: np.array([of_day[day] for day in sorted(of_day)])
            for mode, of_day in modes.items()
        }
        for building, modes in table.items()
    }
