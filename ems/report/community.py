"""The steps of a community, its days one after the other: what figures and playback draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np

from ems.agents.home import HomeAgent
from ems.community.account import CommunityAccount, grid_prices
from ems.community.community import CommunityMode
from ems.community.money import MICRO, metered_wh
from ems.core.horizon import Horizon
from ems.errors import InvalidSpec
from ems.pipelines.community import CommunityPiece
from ems.pipelines.community_rules import Settled
from ems.types import Bools, Days, Floats, Ints

RULE_LABELS: Mapping[str, str] = {
    "mid_market": "mid-market",
    "supply_demand_ratio": "supply-demand ratio",
    "double_auction": "double auction",
    "competitive": "competitive",
    "bill_sharing": "bill sharing",
}


@dataclass(frozen=True, kw_only=True)
class FairPoint:
    """One rule with one key: what all homes pay [€], and the Gini of their gains in [0, 1].

    ``gini``: None if any home is worse off than alone.
    """

    rule: str
    key: str
    cost_eur: float
    gini: float | None

    @classmethod
    def of(cls, found: Settled) -> FairPoint:
        """The point of a settlement."""
        cost_eur = float(found.cost_eur.sum())
        return cls(rule=found.rule, key=found.key, cost_eur=cost_eur, gini=found.gini)

    @property
    def name(self) -> str:
        """The rule and the key in words."""
        return f"{RULE_LABELS[self.rule]}, {self.key} key"


@dataclass(frozen=True, kw_only=True, eq=False)
class CommunitySteps:
    """All steps of one mode, as booked: what a key does not share is traded outside.

    Energies [kWh] and money [€] have shape ``(n_steps, n_homes)``, prices [€/kWh] ``(n_steps,)``.
    ``demand_kwh``: all use but what batteries take; ``stored_kwh``: in batteries and cars at the
    end of a step; ``bill_eur``: what each home pays for its energy in each step. ``retail``,
    ``feed_in``, ``fee``: outside and on a shared kWh; ``shared``: λ, what its seller earns.
    ``place``: number of each step on ``clock``, whose steps run on through days left out.
    """

    names: tuple[str, ...]
    clock: Horizon
    place: Ints
    generation_kwh: Floats
    demand_kwh: Floats
    stored_kwh: Floats
    import_kwh: Floats
    export_kwh: Floats
    received_kwh: Floats
    supplied_kwh: Floats
    bill_eur: Floats
    retail_eur_per_kwh: Floats
    feed_in_eur_per_kwh: Floats
    fee_eur_per_kwh: Floats
    shared_eur_per_kwh: Floats

    @classmethod
    def of(cls, pieces: Sequence[CommunityPiece], mode: CommunityMode) -> CommunitySteps:
        """The steps of every piece under ``mode``. Raises ``InvalidSpec`` without pieces."""
        if not pieces:
            raise InvalidSpec("community: no days, give at least one piece")
        accounts = [piece.accounts[mode] for piece in pieces]

        def joined(of_account: Callable[[CommunityAccount], Floats]) -> Floats:
            return np.concatenate([of_account(account) for account in accounts])

        return cls(
            names=tuple(home.name for home in pieces[0].homes),
            clock=_clock([piece.horizon for piece in pieces]),
            place=_places([piece.horizon for piece in pieces]),
            generation_kwh=joined(lambda a: -_net_kwh(a, "generation")),
            demand_kwh=joined(lambda a: _net_kwh(a, "load")),
            stored_kwh=joined(_stored_kwh),
            import_kwh=joined(lambda a: metered_wh(a.plan.import_kwh).T / 1000.0),
            export_kwh=joined(lambda a: metered_wh(a.plan.export_kwh).T / 1000.0),
            received_kwh=joined(lambda a: a.received_wh / 1000.0),
            supplied_kwh=joined(lambda a: a.supplied_wh / 1000.0),
            bill_eur=joined(lambda a: a.bill_micro_eur / MICRO),
            retail_eur_per_kwh=joined(lambda a: a.plan.horizon.import_eur_per_kwh),
            feed_in_eur_per_kwh=joined(lambda a: a.plan.horizon.export_eur_per_kwh),
            fee_eur_per_kwh=joined(lambda a: grid_prices(a.plan).fee_eur_per_kwh),
            shared_eur_per_kwh=joined(lambda a: a.shared_eur_per_kwh),
        )

    @property
    def n_steps(self) -> int:
        """How many steps, without those of days left out."""
        return len(self.place)

    @cached_property
    def days(self) -> tuple[date, ...]:
        """The local days, sorted."""
        return tuple(np.unique(self.day_of_step).tolist())

    @property
    def day_of_step(self) -> Days:
        """The local day of each step, ``datetime64[D]``."""
        return self.clock.wall_clock[self.place].astype("datetime64[D]")

    @property
    def shared_kwh(self) -> Floats:
        """What homes receive from their neighbours, shape ``(n_steps,)``."""
        total: Floats = self.received_kwh.sum(axis=1)
        return total

    @property
    def bought_kwh(self) -> Floats:
        """What comes from outside, shape ``(n_steps,)``."""
        bought: Floats = self.import_kwh.sum(axis=1) - self.shared_kwh
        return bought

    @property
    def sold_kwh(self) -> Floats:
        """What goes outside, shape ``(n_steps,)``."""
        sold: Floats = self.export_kwh.sum(axis=1) - self.supplied_kwh.sum(axis=1)
        return sold

    @property
    def most_eur_per_kwh(self) -> Floats:
        """p_in − f, the top of the box of prices, never below its bottom, shape ``(n_steps,)``."""
        return np.maximum(self.retail_eur_per_kwh - self.fee_eur_per_kwh, self.feed_in_eur_per_kwh)

    @property
    def sharing(self) -> Bools:
        """The steps in which something is shared."""
        return self.shared_kwh > 0

    def on_clock(self, values: Floats) -> Floats:
        """``values`` of the steps on ``clock``, NaN in days left out."""
        spread = np.full(self.clock.n_steps, np.nan)
        spread[self.place] = values
        return spread

    def by_day(self, values: Floats) -> Floats:
        """The sum over each day from the first to the last, NaN for days left out."""
        place = (self.day_of_step - self.day_of_step[0]).astype(int)
        total: Floats = np.bincount(place, weights=values).astype(np.float64)
        total[np.bincount(place) == 0] = np.nan
        return total

    @property
    def span(self) -> tuple[date, ...]:
        """Every day from the first to the last."""
        n_days = (self.days[-1] - self.days[0]).days + 1
        return tuple(self.days[0] + timedelta(days=i) for i in range(n_days))


def _clock(horizons: Sequence[Horizon]) -> Horizon:
    """A horizon from the first step to the last, without prices."""
    n = int(_places(horizons)[-1]) + 1
    nothing = np.zeros(n)
    return Horizon(
        start_utc=horizons[0].start_utc,
        step_h=horizons[0].step_h,
        import_eur_per_kwh=nothing,
        export_eur_per_kwh=nothing,
        timezone=horizons[0].timezone,
    )


def _places(horizons: Sequence[Horizon]) -> Ints:
    starts = np.concatenate([horizon.ts_utc for horizon in horizons])
    step_s = horizons[0].step_h * 3600.0
    places: Ints = np.rint((starts - starts[0]) / np.timedelta64(1, "s") / step_s).astype(np.int64)
    return places


def _net_kwh(account: CommunityAccount, kind: str) -> Floats:
    """Net load of the members of one kind, shape ``(n_steps, n_homes)``."""
    plan = account.plan
    net_kw = [plan.of_home(home).net_load_kw(kind) for home in plan.homes]
    return plan.horizon.energy_kwh(np.stack(net_kw, axis=1))


def _stored_kwh(account: CommunityAccount) -> Floats:
    held = [_held_kwh(account, home) for home in account.homes]
    return np.stack(held, axis=1)


def _held_kwh(account: CommunityAccount, home: HomeAgent) -> Floats:
    """What batteries and cars of a home hold at the end of each step."""
    parts = account.plan.plans[home.name].parts.values()
    held = np.zeros(account.plan.horizon.n_steps)
    return sum((part.series["soc_kwh"] for part in parts if "soc_kwh" in part.series), held)
