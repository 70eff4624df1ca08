"""Settlement at the meter: what a day cost, and the comparison of days.

``docs/metrics.md`` defines every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ems.agents.dispatch_plan import DispatchPlan
from ems.core.participant import TOLERANCE
from ems.economics.store_value import Worth

LEAST_BOUGHT_EUR_PER_DAY = 0.10
"""A baseline that buys less than this gives no meaningful percentage [€/day]."""


@dataclass(frozen=True, kw_only=True)
class DayKpis:
    """The figures of one day or, summed by ``total``, of several.

    ``cost_eur = bill_eur + demand_charge_eur − stored_eur``: the bill with the stores put back.
    Wear is an assumption and stands beside it; discomfort is no money.
    ``calendar_wear_eur``: what stores age by time alone [€], the same for every mode that has them,
    so in no cost and no saving; 0 as metered, where people have no battery.
    ``bought_eur``: the part of the bill for imported energy [€].
    ``stored_change_kwh``: change of the energy in the stores [kWh]; ``stored_eur``: its value
    Σ (λ₁ E₁ − λ₀ E₀) [€], see ``ems.economics.store_value``; NaN if it changed and no value is
    known.
    ``missed_kwh``: energy missing at deadlines, such as a car's departure [kWh].
    ``pv_error_kwh``, ``load_error_kwh``: absolute forecast errors summed over the steps [kWh], zero
    if all was known.
    ``gap_eur``: how far the objective may be from the optimum [€], NaN if nothing was proven.
    """

    days: float
    bill_eur: float
    bought_eur: float
    demand_charge_eur: float
    wear_eur: float
    discomfort_eur: float
    import_kwh: float
    export_kwh: float
    generation_kwh: float
    demand_kwh: float
    curtailed_kwh: float
    throughput_kwh: float
    full_cycles: float
    peak_import_kw: float
    shift_h: float
    starts: float
    stored_change_kwh: float
    stored_eur: float
    build_s: float
    solver_s: float
    gap_eur: float
    missed_kwh: float = 0.0
    pv_error_kwh: float = 0.0
    load_error_kwh: float = 0.0
    calendar_wear_eur: float = 0.0

    @property
    def cost_eur(self) -> float:
        """The bill with the stores put back as they were [€]."""
        return self.bill_eur + self.demand_charge_eur - self.stored_eur

    @property
    def with_wear_eur(self) -> float:
        """Cost and wear [€], what plans minimise besides discomfort."""
        return self.cost_eur + self.wear_eur

    @property
    def own_use_kwh(self) -> float:
        """Generation that was not exported, losses of stores included [kWh]."""
        # Metered PV may be below export by the meters' resolution.
        return max(0.0, self.generation_kwh - self.export_kwh)

    @property
    def self_consumption(self) -> float | None:
        """Own use / generation, in [0, 1]; None without generation."""
        # 1e-9: below that, generation is rounding.
        return self.own_use_kwh / self.generation_kwh if self.generation_kwh > 1e-9 else None

    @property
    def self_sufficiency(self) -> float | None:
        """1 − import / demand, at least 0; None without generation or demand."""
        if self.generation_kwh <= 1e-9 or self.demand_kwh <= 1e-9:
            return None
        return max(0.0, 1.0 - self.import_kwh / self.demand_kwh)

    @property
    def mean_shift_h(self) -> float:
        """Mean distance of the starts from the people's own [h]."""
        return self.shift_h / self.starts if self.starts else 0.0


def settle(
    schedule: DispatchPlan,
    n_committed: int | None = None,
    gap_eur: float = np.nan,
    worth: tuple[Worth, Worth] | None = None,
) -> DayKpis:
    """Cost and energy figures of the first ``n_committed`` steps of ``schedule``.

    ``worth``: the value of a kWh in each store before the first step and after the last [€/kWh].
    Without it ``stored_eur`` is 0 where no charge changed, else NaN.
    """
    n = schedule.horizon.n_steps if n_committed is None else n_committed
    done = schedule if n == schedule.horizon.n_steps else schedule.window(0, n)
    horizon, agents = done.horizon, done.agents
    costs = done.costs_eur()
    plans = [(agent, done.plans[agent.name]) for agent in agents]
    registers = done.plans[done.grid.name].series
    import_kw, export_kw = registers["import_kw"], registers["export_kw"]
    generation_kw = -done.net_load_kw("generation")
    curtailed = [p.series["curtailed_kw"] for _, p in plans if "curtailed_kw" in p.series]
    stores = [plan for agent, plan in plans if agent.kind == "storage"]
    through_kw = [p.series["charge_kw"] + p.series["discharge_kw"] for p in stores]
    shifts_h = np.abs([h for agent, plan in plans for h in agent.shifts_h(plan, horizon)])
    change_kwh = [
        sum(agent.stored_kwh(plan).values()) - sum(agent.stored_kwh().values())
        for agent, plan in plans
    ]
    return DayKpis(
        days=n * horizon.step_h / 24.0,
        bill_eur=costs.get("bill", 0.0),
        # Import alone priced: the part of the bill before sales.
        bought_eur=float(horizon.bill_eur(import_kw, np.zeros(n)).sum()),
        demand_charge_eur=costs.get("demand_charge", 0.0),
        wear_eur=costs.get("wear", 0.0),
        discomfort_eur=costs.get("discomfort", 0.0),
        import_kwh=float(horizon.energy_kwh(import_kw).sum()),
        export_kwh=float(horizon.energy_kwh(export_kw).sum()),
        generation_kwh=float(horizon.energy_kwh(generation_kw).sum()),
        demand_kwh=float(horizon.energy_kwh(done.net_load_kw("load")).sum()),
        curtailed_kwh=horizon.energy_kwh(sum(float(kw.sum()) for kw in curtailed)),
        throughput_kwh=horizon.energy_kwh(sum(float(kw.sum()) for kw in through_kw)),
        full_cycles=sum(agent.full_cycles(plan, horizon) for agent, plan in plans),
        peak_import_kw=float(import_kw.max()),
        shift_h=float(shifts_h.sum()),
        starts=float(len(shifts_h)),
        stored_change_kwh=sum(change_kwh),
        stored_eur=_stored_eur(done, worth),
        build_s=schedule.build_s,
        solver_s=schedule.solver_s,
        gap_eur=gap_eur,
        missed_kwh=sum(agent.missed_kwh(plan) for agent, plan in plans),
        calendar_wear_eur=0.0
        if done.mode == "as_metered"
        else sum(agent.calendar_wear_eur(horizon) for agent in agents),
    )


def _stored_eur(done: DispatchPlan, worth: tuple[Worth, Worth] | None) -> float:
    """Σ (λ₁ E₁ − λ₀ E₀) over all stores [€]."""
    value_eur = 0.0
    for agent in done.agents:
        left_kwh, held_kwh = agent.stored_kwh(done.plans[agent.name]), agent.stored_kwh()
        for rule, kwh in held_kwh.items():
            if worth is not None:
                before, after = (each[agent.name][rule] for each in worth)
                value_eur += after * left_kwh[rule] - before * kwh
            elif abs(left_kwh[rule] - kwh) > TOLERANCE:
                return np.nan
    return value_eur


_LARGEST = frozenset({"peak_import_kw", "gap_eur"})


def total(days: Sequence[DayKpis]) -> DayKpis:
    """Several days as one: sums, but maximum peak and gap."""
    values = {}
    for field in fields(DayKpis):
        column = [getattr(day, field.name) for day in days]
        if field.name in _LARGEST:
            values[field.name] = float(np.max(column))
        else:
            values[field.name] = float(sum(column))
    return DayKpis(**values)


@dataclass(frozen=True, kw_only=True)
class Savings:
    """Savings against a baseline.

    ``savings_eur = cost(baseline) − cost(ours)``, with the stores of both put back; ``stored_eur``
    is that adjustment alone. ``wear_eur``: our wear less the baseline's.
    ``savings_pct`` is relative to what the baseline paid for imported energy and peak, not to its
    bill, which sales can bring near zero; None if that is below 0.10 €/day.
    """

    savings_eur: float
    stored_eur: float
    wear_eur: float
    savings_pct: float | None

    @property
    def after_wear_eur(self) -> float:
        """What is left of the saving after wear [€]."""
        return self.savings_eur - self.wear_eur


def savings(ours: DayKpis, baseline: DayKpis) -> Savings:
    """Compare the same days, devices and energy service."""
    stored_eur = ours.stored_eur - baseline.stored_eur
    saved_eur = baseline.cost_eur - ours.cost_eur
    paid_eur = baseline.bought_eur + baseline.demand_charge_eur
    tiny = paid_eur < LEAST_BOUGHT_EUR_PER_DAY * baseline.days
    pct = None if tiny else 100.0 * saved_eur / paid_eur
    return Savings(
        savings_eur=saved_eur,
        stored_eur=stored_eur,
        wear_eur=ours.wear_eur - baseline.wear_eur,
        savings_pct=pct,
    )
