"""The connection to the public grid and its tariff."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ems.agents import words
from ems.agents.base import Agent, breaks, check_range, differs, frozen_series
from ems.agents.priced import VISIBLE_KW, PricedPlan
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import TOLERANCE, Contribution, Kind, Plan
from ems.errors import InvalidSpec
from ems.types import Floats, Ints

GRID_NAME = "grid"
"""Name of the connection in plans, unless a site sets another."""


@dataclass(frozen=True, kw_only=True)
class GridAgent(Agent):
    """The grid connection: imports what the building lacks, exports what it cannot use.

    ``max_import_kw``, ``max_export_kw``: limits of the connection [kW], ∞ for none, one number or
    shape ``(n_steps,)`` for a limit that has hours.
    ``cross_kw``: import and export that the registers counted within the same step [kW], one number
    or shape ``(n_steps,)``; metered, in no balance, on every bill.
    ``demand_charge_eur_per_kw``: price of the highest import of each billing period [€/kW].
    ``period``: the billing period of each step, one number or shape ``(n_steps,)``, such as months
    since 1970. ``peak_so_far_kw``: highest import already paid for in ``peak_period`` [kW]; None:
    in the period of the first step.
    """

    name: str = GRID_NAME
    max_import_kw: Floats | float = np.inf
    max_export_kw: Floats | float = np.inf
    demand_charge_eur_per_kw: float = 0.0
    cross_kw: Floats | float = 0.0
    period: Ints | int = 0
    peak_so_far_kw: float = 0.0
    peak_period: int | None = None
    kind: ClassVar[Kind] = "grid"
    colour: ClassVar[str | None] = "#7F7F7F"
    layer: ClassVar[int] = 5
    closes_balance: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for field in ("max_import_kw", "max_export_kw"):
            if np.ndim(getattr(self, field)):
                _frozen_limits(self, field)
            else:
                check_range(self, field)
        for field in ("demand_charge_eur_per_kw", "peak_so_far_kw"):
            check_range(self, field, up=1e9)
        if np.ndim(self.cross_kw):
            frozen_series(self, "cross_kw", low=0.0)
        else:
            check_range(self, "cross_kw", up=1e9)

    @property
    def flow_labels(self) -> tuple[str, str]:
        """Import feeds the bus, export draws from it."""
        return f"{self.title} import", f"{self.title} export"

    def contribute(self, block: Block) -> Contribution:
        """Bill = Σ (import(t) · price_in(t) − export(t) · price_out(t)) · Δt [€].

        Beside the metered cross-flow, import and export exclude each other. A binary enforces it
        only in steps where export earns more than import costs; elsewhere doing both never pays.
        """
        horizon = block.horizon
        import_kw, export_kw = block.variables("import_kw"), block.variables("export_kw")
        self._one_direction(block, import_kw, export_kw)
        most_in_kw, most_out_kw = self.limits_kw(horizon.n_steps)
        limited = np.flatnonzero(np.isfinite(most_in_kw))
        if limited.size:
            block.require("import_limit", import_kw[limited] <= most_in_kw[limited], "kW")
        limited = np.flatnonzero(np.isfinite(most_out_kw))
        if limited.size:
            block.require("export_limit", export_kw[limited] <= most_out_kw[limited], "kW")
        net_load_kw = export_kw - import_kw
        cross_kw = self.cross(horizon.n_steps)
        import_kw, export_kw = import_kw + cross_kw, export_kw + cross_kw
        spent = horizon.energy_kwh(import_kw) * horizon.import_eur_per_kwh
        earned = horizon.energy_kwh(export_kw) * horizon.export_eur_per_kwh
        cost_eur = spent.sum() - earned.sum()
        if self.demand_charge_eur_per_kw > 0:
            # Only the excess over the peak so far is paid; a variable a period bounds its steps.
            periods, paid_kw = self._periods(horizon.n_steps)
            above_kw = block.variables("peak_above_kw", size=len(paid_kw))
            of_step = np.eye(len(paid_kw))[periods]
            block.require("peak", import_kw - of_step @ above_kw <= paid_kw[periods], "kW")
            cost_eur = cost_eur + self.demand_charge_eur_per_kw * above_kw.sum()
        return Contribution(
            net_load_kw=net_load_kw,
            cost_eur=cost_eur,
            series={"import_kw": import_kw, "export_kw": export_kw},
        )

    def limits_kw(self, n_steps: int) -> tuple[Floats, Floats]:
        """The limits of import and export in the first steps [kW], each shape ``(n_steps,)``."""
        return _of_steps(self.max_import_kw, n_steps), _of_steps(self.max_export_kw, n_steps)

    def cross(self, n_steps: int) -> Floats:
        """``cross_kw`` of the first steps; a window keeps what comes behind it."""
        return _of_steps(self.cross_kw, n_steps)

    def _period_of(self, n_steps: int) -> Ints:
        if isinstance(self.period, np.ndarray):
            return self.period[:n_steps]
        return np.full(n_steps, self.period, dtype=np.int64)

    def _periods(self, n_steps: int) -> tuple[Ints, Floats]:
        """The number of each step's period, counted from 0, and what is paid for in each [kW]."""
        of_step = self._period_of(n_steps)
        found, periods = np.unique(of_step, return_inverse=True)
        paid_in = found[0] if self.peak_period is None else self.peak_period
        return periods, np.where(found == paid_in, self.peak_so_far_kw, 0.0)

    def _one_direction(self, block: Block, import_kw: Affine, export_kw: Affine) -> None:
        horizon = block.horizon
        at = np.flatnonzero(horizon.export_eur_per_kwh > horizon.import_eur_per_kwh)
        if not at.size:
            return
        # Big-M from the other agents' limits: as tight as they allow, or the solver's tolerance
        # would let both flow.
        least_kw, most_kw = block.others_kw
        if not (np.isfinite(least_kw[at]).all() and np.isfinite(most_kw[at]).all()):
            raise InvalidSpec(
                f"{self.name}: export earns more than import costs, so every other agent needs "
                "finite power limits"
            )
        importing = block.switches("importing", size=at.size)
        most_in, most_out = np.maximum(most_kw[at], 0.0), np.maximum(-least_kw[at], 0.0)
        block.require("import_only", import_kw[at] - most_in * importing <= 0.0, "kW")
        block.require("export_only", export_kw[at] + most_out * importing <= most_out, "kW")

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The same connection with the highest import so far in the period it is in."""
        periods, paid_kw = self._periods(n_steps)
        last = periods == periods[-1]
        import_kw = plan.series["import_kw"][:n_steps]
        later = slice(n_steps, None)
        return replace(
            self,
            max_import_kw=_later(self.max_import_kw, n_steps),
            max_export_kw=_later(self.max_export_kw, n_steps),
            cross_kw=_later(self.cross_kw, n_steps),
            period=self.period[later] if isinstance(self.period, np.ndarray) else self.period,
            peak_so_far_kw=float(np.max(import_kw[last], initial=paid_kw[-1])),
            peak_period=int(self._period_of(n_steps)[-1]),
        )

    def with_state_of(self, real: Self, horizon: Horizon) -> Self:
        """With what the real connection has paid for."""
        return replace(self, peak_so_far_kw=real.peak_so_far_kw, peak_period=real.peak_period)

    def unplanned(self, horizon: Horizon) -> Plan:
        """No flow of its own; see ``settle``."""
        return self.settle(np.zeros(horizon.n_steps))

    def settle(self, net_load_kw: Floats) -> Plan:
        """Flow through the meter when all others draw ``net_load_kw`` [kW]."""
        cross_kw = self.cross(len(net_load_kw))
        return Plan(
            agent=self.name,
            net_load_kw=-net_load_kw,
            series={
                "import_kw": np.maximum(net_load_kw, 0.0) + cross_kw,
                "export_kw": np.maximum(-net_load_kw, 0.0) + cross_kw,
            },
        )

    def canonical(self, plan: Plan) -> Plan:
        """Net import against export where both at once cost the same."""
        return self.settle(-plan.net_load_kw)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Both directions non-negative, within the limits, equal to the net load, and exclusive
        but for the metered cross-flow."""
        cross_kw = self.cross(len(plan.net_load_kw))
        import_kw = plan.series["import_kw"] - cross_kw
        export_kw = plan.series["export_kw"] - cross_kw
        most_in_kw, most_out_kw = self.limits_kw(len(plan.net_load_kw))
        yield from breaks(self.name, "import_kw", import_kw, 0.0, most_in_kw)
        yield from breaks(self.name, "export_kw", export_kw, 0.0, most_out_kw)
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, export_kw - import_kw)
        both = np.minimum(import_kw, export_kw) > TOLERANCE
        if both.any():
            yield f"{self.name}: import and export at once in step {both.argmax()}"

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """The energy bill and the demand charge [€]."""
        import_kw = plan.series["import_kw"]
        bill_eur = float(horizon.bill_eur(import_kw, plan.series["export_kw"]).sum())
        periods, paid_kw = self._periods(len(import_kw))
        peaks_kw = paid_kw.copy()
        np.maximum.at(peaks_kw, periods, import_kw)
        above_kw = float((peaks_kw - paid_kw).sum())
        return {"bill": bill_eur, "demand_charge": self.demand_charge_eur_per_kw * above_kw}

    def explain(self, priced: PricedPlan, t: int) -> Iterator[str]:
        """What is bought or sold, and the price."""
        grid_kw = float(priced.grid_kw[t])
        if grid_kw > VISIBLE_KW:
            price_ct = priced.import_ct(t)
            paid = ": who buys is paid for it" if price_ct < 0 else ""
            yield f"{words.kw(grid_kw)} are bought at {words.ct(price_ct)} a kWh{paid}."
        elif grid_kw < -VISIBLE_KW:
            price_ct = priced.export_ct(t)
            paid = ": who sells pays for it" if price_ct < 0 else ""
            yield f"{words.kw(-grid_kw)} are sold at {words.ct(price_ct)} a kWh{paid}."
        else:
            yield "Next to nothing is bought or sold."

    def bus_worth_at_least(self, horizon: Horizon, must_feed_kw: Callable[[], Floats]) -> Floats:
        """The smaller of both prices; with an export limit, at most zero.

        At the export limit, a kWh is worth what a store would earn with it later. That is negative
        only if the store is refilled later in a step where drawing pays: the price is negative, or
        the others feed more than the limit. Before such a step, and in steps of the second kind,
        nothing is known (−∞). Elsewhere the worth is ≥ 0.
        """
        worth = np.minimum(horizon.import_eur_per_kwh, horizon.export_eur_per_kwh)
        _, most_out_kw = self.limits_kw(horizon.n_steps)
        if not np.isfinite(most_out_kw).any():
            return worth
        stuck = must_feed_kw() > most_out_kw
        last = int(np.max(np.flatnonzero(stuck | (worth < 0.0)), initial=-1))
        unknown = stuck | (np.arange(horizon.n_steps) < last)
        return np.where(unknown, -np.inf, np.minimum(worth, 0.0))


def _frozen_limits(agent: GridAgent, field: str) -> None:
    """Store a series of limits read-only; each at least zero, ∞ for none."""
    values = np.array(getattr(agent, field), dtype=np.float64)
    bad = np.flatnonzero(~(values >= 0.0))
    if bad.size:
        raise InvalidSpec(
            f"{agent.name}: {field}[{bad[0]}] is {values[bad[0]]}, allowed is a number of at least "
            "0, or ∞ for no limit"
        )
    values.setflags(write=False)
    object.__setattr__(agent, field, values)


def _of_steps(values: Floats | float, n_steps: int) -> Floats:
    """The values of the first steps."""
    if isinstance(values, np.ndarray):
        return values[:n_steps]
    return np.full(n_steps, values, dtype=np.float64)


def _later(values: Floats | float, n_steps: int) -> Floats | float:
    """The values behind the first steps."""
    return values[n_steps:] if isinstance(values, np.ndarray) else values
