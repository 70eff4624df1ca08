"""What of the possible was captured, and what not knowing cost.

captured_share = (baseline − ours) / (baseline − perfect)

All three are costs [€] over the same days with the same assets, with the stores put back as they
were; *perfect* is the plan made with perfect foresight (``centralized_perfect``).
The intervals come from a bootstrap over days: days are drawn with replacement, the share of each
draw is a ratio of sums. Days are not independent, they share weather and hand their charge on:
``docs/foresight.md`` says what drawn weeks give instead.

Forecast skill against euros is told the same way, from the same days with an error and without it:
€ above the perfect plan over kWh that came otherwise. No line is fitted through the days, which
differ in more than their error: in residential6 (90 days) its slope says that a kWh of sun that
comes otherwise earns 0.8 ct, while not knowing the sun cost 1.1 ct for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ems.core.mode import Mode
from ems.economics.intervals import drawn_sums, middle, ratio_interval
from ems.economics.settlement import DayKpis, total
from ems.pipelines.comparison import DayResult
from ems.pipelines.spec import BASELINES, PLANNED, SINGLE_ERRORS
from ems.types import Floats

PERFECT: Mode = "centralized_perfect"
LEAST_DAYS = 7
"""Fewer days drawn again and again say nothing of days that were not drawn."""
LEAST_POSSIBLE_EUR_PER_DAY = 0.01
"""Below this there is nothing to capture, and a share of it says nothing."""
LEAST_ERROR_KWH_PER_DAY = 0.01
"""Below this everything came as expected, and euros over errors say nothing."""
LEAST_SOLD_KWH = 1e-6
"""Less is a solver's tolerance."""


@dataclass(frozen=True, kw_only=True)
class Captured:
    """How much of what perfect foresight saves against ``baseline`` a mode really saved.

    ``low``, ``high``: the middle 95 % of the bootstrap, None for fewer than ``LEAST_DAYS`` days.
    All three are None where perfect foresight saves less than 0.01 € a day. ``saved_eur``,
    ``possible_eur``: what was and what could be saved; ``saved_low_eur``, ``saved_high_eur``: the
    middle 95 % of what so many such days save.
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


@dataclass(frozen=True, kw_only=True)
class Ignorance:
    """What not knowing cost a building [€]: each thing alone, all together, and what is left over.

    ``together_eur`` is what the mode ``mode`` costs above the perfect plan; ``rest_eur`` is that
    less the sum of the single ones: errors add up to more or less than their parts.
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
    """What a kWh that came otherwise than expected cost a mode of a building.

    eur_per_kwh = Σ_d above_eur(d) / Σ_d error_kwh(d)  [€/kWh]

    ``above_eur``, ``pv_error_kwh``, ``load_error_kwh``, ``(n_days,)``: of each of ``days``, what it
    cost above the perfect plan with the stores put back, and by how much sun and base load came
    otherwise. A single error (``pv_unknown``) is alone in its euros; ``load_unknown`` is with that
    of heat, a planned mode with those of price, appliances and cars, which have no kWh here.
    ``low``, ``high`` [€/kWh]: the middle 95 % of the bootstrap, None for fewer than ``LEAST_DAYS``
    days. ``rank_correlation``: whether days of more error cost more (Spearman's ρ, −1 … 1), None
    for so few days or where all days are alike.
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
        """By how much sun and base load together came otherwise on each day, ``(n_days,)``."""
        return self.pv_error_kwh + self.load_error_kwh


def captured(results: Sequence[DayResult], seed: int = 0) -> tuple[Captured, ...]:
    """A row for each building, planned mode and baseline."""
    rows: list[Captured] = []
    for building, costs in _daily_costs_eur(results).items():
        if PERFECT not in costs:
            continue
        for mode in (mode for mode in PLANNED if mode in costs):
            for baseline in BASELINES:
                saved, possible = costs[baseline] - costs[mode], costs[baseline] - costs[PERFECT]
                rows.append(_row(building, mode, baseline, saved, possible, seed))
    return tuple(rows)


def ignorance(results: Sequence[DayResult], mode: Mode) -> tuple[Ignorance, ...]:
    """What not knowing cost ``mode``, which the single errors were run with; a row a building."""
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
    """A row for each building, planned mode and single error in which sun or load came otherwise.

    There is none without a perfect plan.
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
        low, high = ratio_interval(above_eur, error_kwh, seed=seed)
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
    """Spearman's ρ, the correlation of the ranks, equal values sharing theirs."""
    ranks, others = (pd.Series(values).round(9).rank().to_numpy(float) for values in (one, other))
    if np.ptp(ranks) == 0 or np.ptp(others) == 0:
        return None
    return float(np.corrcoef(ranks, others)[0, 1])


def _row(
    building: str, mode: Mode, baseline: Mode, saved: Floats, possible: Floats, seed: int
) -> Captured:
    share = low = high = saved_low = saved_high = None
    enough = len(saved) >= LEAST_DAYS
    if enough:
        saved_low, saved_high = middle(*drawn_sums(saved, seed=seed))
    if possible.sum() >= LEAST_POSSIBLE_EUR_PER_DAY * len(possible):
        share = float(saved.sum() / possible.sum())
        if enough:
            low, high = ratio_interval(saved, possible, seed=seed)
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
    )


def _daily_costs_eur(results: Sequence[DayResult]) -> dict[str, dict[Mode, Floats]]:
    """For each building and mode the cost of each day, less what it added to the stores.

    The days of a block add up to its closed account (``DayKpis.stored_eur``).
    """
    table: dict[str, dict[Mode, dict[date, DayResult]]] = {}
    for result in results:
        table.setdefault(result.building, {}).setdefault(result.mode, {})[result.day] = result
    costs: dict[str, dict[Mode, Floats]] = {}
    for building, modes in table.items():
        days = sorted(next(iter(modes.values())))
        costs[building] = {}
        sells = any(r.kpis.export_kwh > LEAST_SOLD_KWH for m in modes.values() for r in m.values())
        for mode, of_mode in modes.items():
            of_day = _restored_eur(list(of_mode.values()), sells=sells)
            costs[building][mode] = np.array([of_day[day] for day in days])
    return costs


def _restored_eur(results: Sequence[DayResult], *, sells: bool) -> dict[date, float]:
    """What each day of a building and mode cost with the stores put back [€].

    What a day hands on is worth the same in every mode: a kWh bought where no mode ever sells, else
    half of one bought and half of one sold. The block's account is closed at one of the two
    prices; what that makes of difference falls on its days alike. Were days valued at the closing
    price, modes that close at different ones would seem to differ by every kWh that they carry
    over a night.
    """
    blocks: dict[date | None, list[DayResult]] = {}
    for result in results:
        blocks.setdefault(result.block, []).append(result)
    restored: dict[date, float] = {}
    for days in blocks.values():
        whole = total([result.kpis for result in days])
        price = whole.mean_import_eur_per_kwh
        if sells:
            price = (price + whole.mean_export_eur_per_kwh) / 2
        rest_eur = (whole.stored_eur - price * whole.stored_change_kwh) / len(days)
        for result in days:
            kept_eur = price * result.kpis.stored_change_kwh + rest_eur
            restored[result.day] = result.kpis.cost_eur - kept_eur
    return restored
