"""A community over days: every way to run its homes, settled, and what sharing is worth to whom.

Consecutive days are planned at most ``PIECE_DAYS`` at once, with everything known, and ``AHEAD_H``
beyond, so that midnight does not cut the night in two. Each way hands its stores on from piece to
piece. Batteries begin the window empty. What stores hold at its end has the value λ of the plan
with everything known: alone that of the home's own plan, on a common bus that of the plan of all,
since a kWh that a home would need itself is worth little in a street of full batteries.

Four costs explain what is gained: under the rule and alone; planned, alone (what planning is
worth); under the rule, together (what sharing is worth); planned together (both).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np

from ems.agents.base import Agent
from ems.agents.home import HomeAgent
from ems.community.account import (
    CommunityAccount,
    StoresWorth,
    grid_prices,
    settle_community,
)
from ems.community.community import UNPLANNED, Community, CommunityMode, CommunityPlan
from ems.community.decomposed import Ask, Chunk, optimize_decomposed
from ems.community.fairness import Leaving, gini, leaving, leaving_in_pairs
from ems.community.keys import Dynamic, Equal, Priority, SharingKey, Static
from ems.community.ledger import Ledger
from ems.community.money import MICRO
from ems.community.rules import (
    BillSharing,
    Competitive,
    DoubleAuction,
    MidMarket,
    PoolRule,
    SupplyDemandRatio,
)
from ems.community.sampling import Shares, coincidence
from ems.community.splits import MOST_EXACT, pair_gains, sharing_gains
from ems.core.horizon import Horizon
from ems.core.program import StoreDuals
from ems.core.solver import Solver
from ems.economics.settlement import DayKpis, settle, total
from ems.economics.store_value import Worth
from ems.economics.tariff import Tariff
from ems.errors import DataError, InvalidSpec
from ems.pipelines.community_workers import asked_of
from ems.pipelines.comparison import Window, chains_of
from ems.site.assets import Assets
from ems.site.building import Building
from ems.types import Floats

PIECE_DAYS = 7
LEAST_LOSS_EUR = 0.005
"""Less than half a cent is rounding."""
AHEAD_H = 23.0
"""A day of the clock change has no more [h]."""
FOUR: tuple[CommunityMode, ...] = ("rule_alone", "alone", "rule_together", "together")
"""The costs that explain a result."""
COMMUNITY_MODES: tuple[CommunityMode, ...] = ("as_metered", *FOUR, "at_price", "decomposed")
RuleName = Literal[
    "mid_market", "supply_demand_ratio", "double_auction", "competitive", "bill_sharing"
]
RULE_NAMES: tuple[RuleName, ...] = (
    "mid_market",
    "supply_demand_ratio",
    "double_auction",
    "competitive",
    "bill_sharing",
)
KeyName = Literal["dynamic", "equal", "static", "priority"]
KEY_NAMES: tuple[KeyName, ...] = ("dynamic", "equal", "static", "priority")


@dataclass(frozen=True, kw_only=True)
class CommunitySpec:
    """What a community is run with.

    ``modes``: the ways to run it; those of ``FOUR`` but ``together`` always run. ``decomposed`` is
    the one that is settled for the homes if it is asked for, else ``together``.
    ``fee_eur_per_kwh``: on each kWh shared. ``static_shares``: of the key
    ``static``, one a home, in their order.
    """

    tariff: Tariff
    assets: Assets = field(default_factory=Assets)
    shares: Shares = field(default_factory=Shares)
    homes: int = 6
    seed: int = 0
    modes: tuple[CommunityMode, ...] = FOUR
    rule: RuleName = "mid_market"
    key: KeyName = "dynamic"
    static_shares: tuple[float, ...] = ()
    fee_eur_per_kwh: float = 0.0
    solver: Solver = field(default_factory=Solver)

    def __post_init__(self) -> None:
        for mode in self.modes:
            if mode not in COMMUNITY_MODES:
                raise InvalidSpec(
                    f"community: mode is {mode!r}, allowed are {', '.join(COMMUNITY_MODES)}"
                )
        if not 0 <= self.fee_eur_per_kwh < np.inf:
            raise InvalidSpec(f"community: fee is {self.fee_eur_per_kwh} €/kWh, allowed is >= 0")
        if self.key == "static" and len(self.static_shares) not in (0, self.homes):
            raise InvalidSpec(
                f"community: {len(self.static_shares)} shares for {self.homes} homes; give one a "
                "home"
            )

    @property
    def settled_mode(self) -> CommunityMode:
        """The way of sharing that the homes' accounts show."""
        return "decomposed" if "decomposed" in self.modes else "together"

    @property
    def all_modes(self) -> tuple[CommunityMode, ...]:
        """Every way that is run, in order."""
        last = () if "decomposed" in self.modes and "together" not in self.modes else ("together",)
        wanted = {"as_metered", "rule_alone", "alone", "rule_together", *last, *self.modes}
        return tuple(mode for mode in COMMUNITY_MODES if mode in wanted)

    def pool_rule(self, plan: CommunityPlan) -> PoolRule:
        """The price of a shared kWh. Raises ``InvalidSpec`` for ``competitive`` without a dual."""
        if self.rule == "competitive":
            if plan.price_eur_per_kwh is None:
                # Where nobody plans together there is no dual; half-way stands in the box.
                raise InvalidSpec(
                    f"community: the rule competitive needs the price of a common plan, and "
                    f"{plan.mode} has none; settle together or decomposed with it"
                )
            return Competitive(plan.price_eur_per_kwh)
        rules: Mapping[str, PoolRule] = {
            "mid_market": MidMarket(),
            "supply_demand_ratio": SupplyDemandRatio(),
            "double_auction": DoubleAuction(),
            "bill_sharing": BillSharing(),
        }
        return rules[self.rule]

    def sharing_key(self, n_homes: int) -> SharingKey:
        """Who shares how much; ``static`` without shares gives each home the same."""
        if self.key == "static":
            return Static(self.static_shares or (1.0 / n_homes,) * n_homes)
        if self.key == "priority":
            return Priority(tuple(range(n_homes)))
        return Equal() if self.key == "equal" else Dynamic()


@dataclass(frozen=True, kw_only=True, eq=False)
class CommunityPiece:
    """Consecutive days of the community under every mode, planned and settled.

    ``gaps_eur``: how far each plan may be from the least of its kind [€], ∞ for a rule.
    """

    days: tuple[date, ...]
    horizon: Horizon
    accounts: Mapping[CommunityMode, CommunityAccount]
    gaps_eur: Mapping[CommunityMode, float]

    @property
    def homes(self) -> tuple[HomeAgent, ...]:
        """The homes."""
        return next(iter(self.accounts.values())).homes


def common_window(buildings: Sequence[Building], start: date | None, n_days: int | None) -> Window:
    """``n_days`` days from ``start``, by default from the first day with as many that can be run.

    A day can be run if all homes can plan it and the day after it: what stores hold at midnight has
    a value only by the day that follows. ``n_days`` None: all days to the end. Raises ``DataError``
    if the homes have no such day, ``InvalidSpec`` for a start or length outside of them.
    """
    steps = {(building.history.step_h, building.history.timezone) for building in buildings}
    if len(steps) > 1:
        told = ", ".join(f"{60 * step_h:g} min in {zone}" for step_h, zone in sorted(steps))
        raise DataError(f"community: the homes have different steps or zones ({told})")
    if n_days is not None and n_days < 1:
        raise InvalidSpec(f"community: n_days is {n_days}, allowed is at least 1")
    plannable = set.intersection(*(set(building.plannable_days) for building in buildings))
    able = {day for day in plannable if day + timedelta(days=1) in plannable}
    if not able:
        raise DataError(
            "community: no two days in a row can be planned in all homes; name others with "
            "--buildings"
        )
    known = sorted(able)
    first = _first_of(known, n_days) if start is None else start
    if first not in able:
        raise InvalidSpec(f"community: start {first}: {_why_not(buildings, first, known)}")
    count = (known[-1] - first).days + 1 if n_days is None else n_days
    asked = [first + timedelta(days=i) for i in range(count)]
    skipped = {day: _why_not(buildings, day, []) for day in asked if day not in able}
    days = tuple(day for day in asked if day in able)
    return Window(building="community", days=days, skipped=skipped)


def _first_of(known: Sequence[date], n_days: int | None) -> date:
    """The first day that begins ``n_days`` in a row, else the first."""
    for place, day in enumerate(known[: len(known) - (n_days or 1) + 1]):
        if known[place + (n_days or 1) - 1] - day == timedelta(days=(n_days or 1) - 1):
            return day
    return known[0]


def _why_not(buildings: Sequence[Building], day: date, known: Sequence[date]) -> str:
    """Why a day cannot be run, and the next that can."""
    for when, what in ((day, ""), (day + timedelta(days=1), "the day after it: ")):
        for building in buildings:
            reason = building.why_not(when)
            if reason is not None:
                later = [other for other in known if other > day]
                hint = f"; the next day that can is {later[0]}" if later else ""
                return f"{what}{building.history.building}: {reason}{hint}"
    raise AssertionError(f"{day} can be run")


def run_community(
    buildings: Sequence[Building],
    spec: CommunitySpec,
    window: Window,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[CommunityPiece]:
    """Plan and settle the window piece by piece.

    ``workers``: processes that answer the prices of ``decomposed``; ``scheduler``: a Dask cluster
    instead. Neither changes a figure.
    """
    with asked_of(workers, scheduler) as asked:
        yield from _pieces(buildings, spec, window, asked)


Asked = Callable[[Sequence[Chunk]], Ask]


def _pieces(
    buildings: Sequence[Building], spec: CommunitySpec, window: Window, asked: Asked
) -> Iterator[CommunityPiece]:
    homes = [_empty(building) for building in buildings]
    start = _Start(states={}, worth={})
    last = date.min
    for chain in chains_of(window, PIECE_DAYS):
        if chain.days[0] - last > timedelta(days=1):  # stores begin anew behind a gap
            start = _Start(states={}, worth={})
        piece, start = _piece(homes, spec, chain.days, start, asked)
        last = chain.days[-1]
        yield piece


States = Mapping[str, Mapping[str, Agent]]
"""Home -> its agents as they stand, by name."""
HomesWorth = Mapping[str, Worth]
"""Home -> what a kWh in each of its stores is worth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Start:
    """What a piece begins with: the states of each mode, and what stores are worth.

    ``worth``: alone and on a common bus apart, by ``shared``; empty behind a gap.
    """

    states: Mapping[CommunityMode, States]
    worth: Mapping[bool, HomesWorth]


def _empty(building: Building) -> Building:
    """The building with a battery that begins empty."""
    battery = building.assets.battery
    if battery is None:
        return building
    empty = replace(battery, initial_soc_kwh=battery.min_soc_kwh)
    return Building(building.metered, building.tariff, replace(building.assets, battery=empty))


def street(
    buildings: Sequence[Building], days: Sequence[date], states: States, lookahead_h: float
) -> tuple[Horizon, int, tuple[HomeAgent, ...]]:
    """The prices outside over some consecutive days and beyond, their steps, and the homes.

    Raises ``DataError`` for a day that cannot be planned.
    """
    tasks = [
        building.problem(
            tuple(days),
            lookahead_h=lookahead_h,
            state=states.get(building.history.building),
        )
        for building in buildings
    ]
    homes = tuple(
        HomeAgent(name=building.history.building, agents=task.agents, meter=task.grid)
        for building, task in zip(buildings, tasks, strict=True)
    )
    return tasks[0].horizon, tasks[0].n_committed, homes


def _piece(
    buildings: Sequence[Building],
    spec: CommunitySpec,
    days: tuple[date, ...],
    start: _Start,
    asked: Asked,
) -> tuple[CommunityPiece, _Start]:
    """A piece, and what the next begins with."""
    plans: dict[CommunityMode, CommunityPlan] = {}
    gaps: dict[CommunityMode, float] = {}
    states: dict[CommunityMode, States] = {}
    duals: dict[bool, Mapping[str, StoreDuals]] = {}
    for mode in spec.all_modes:
        ahead_h = 0.0 if mode in UNPLANNED else AHEAD_H
        horizon, n, homes = street(buildings, days, start.states.get(mode, {}), ahead_h)
        community = Community(homes, fee_eur_per_kwh=spec.fee_eur_per_kwh, solver=spec.solver)
        whole = plan_of(community, horizon, mode, asked)
        plans[mode], gaps[mode] = whole.window(0, n), whole.gap_eur
        states[mode] = {
            name: {agent.name: agent for agent in (*home.agents, home.meter)}
            for name, home in whole.after(n).items()
        }
        if mode == "alone":
            duals[False] = whole.worth
        if mode == spec.settled_mode and whole.price_eur_per_kwh is not None:
            duals[True] = community.worth_at_price(horizon, whole.price_eur_per_kwh)
    n = plans["alone"].horizon.n_steps
    then = {shared: _before(found, n) for shared, found in duals.items()}
    first = start.worth or {shared: _before(found, 0) for shared, found in duals.items()}
    ends = {
        shared: {home: (first[shared][home], worth) for home, worth in found.items()}
        for shared, found in then.items()
    }
    metered = {shared: stored_eur(plans["as_metered"], worth) for shared, worth in ends.items()}
    accounts = {
        mode: settled(plan, spec, ends[plan.shared], metered[plan.shared])
        for mode, plan in plans.items()
    }
    piece = CommunityPiece(
        days=days, horizon=plans["alone"].horizon, accounts=accounts, gaps_eur=gaps
    )
    return piece, _Start(states=states, worth=then)


def _before(duals: Mapping[str, StoreDuals], step: int) -> HomesWorth:
    """What a kWh in each store is worth before a step [€/kWh]."""
    return {
        home: {
            agent: {rule: float(before[step]) for rule, before in of_rules.items()}
            for agent, of_rules in stores.items()
        }
        for home, stores in duals.items()
    }


def plan_of(
    community: Community, horizon: Horizon, mode: CommunityMode, asked: Asked
) -> CommunityPlan:
    """The community under one mode."""
    if mode == "at_price":
        half = 0.5 * (community.inside(horizon).import_eur_per_kwh + horizon.export_eur_per_kwh)
        return community.optimize_at_price(horizon, half + community.fee(horizon), half)
    if mode == "decomposed":
        return optimize_decomposed(community, horizon, asked)
    ways = {
        "as_metered": community.as_metered,
        "rule_alone": community.rule_alone,
        "alone": community.optimize_alone,
        "rule_together": community.rule_together,
        "together": community.optimize_together,
    }
    return ways[mode](horizon)


def stored_eur(plan: CommunityPlan, worth: StoresWorth) -> dict[str, float]:
    """What the stores of each home gained, λ₁ E₁ − λ₀ E₀ [€]."""
    return {
        home.name: settle(plan.of_home(home), worth=worth[home.name]).stored_eur
        for home in plan.homes
    }


def settled(
    plan: CommunityPlan,
    spec: CommunitySpec,
    worth: StoresWorth,
    metered_eur: Mapping[str, float],
) -> CommunityAccount:
    """The account of a plan; a plan without a dual is settled half-way where one is asked for."""
    if not plan.shared or (spec.rule == "competitive" and plan.price_eur_per_kwh is None):
        rule: PoolRule = MidMarket()
    else:
        rule = spec.pool_rule(plan)
    return settle_community(
        plan,
        rule=rule,
        key=spec.sharing_key(len(plan.homes)),
        worth=worth,
        metered_eur=metered_eur,
    )


def booked(pieces: Sequence[CommunityPiece], mode: CommunityMode) -> Ledger:
    """The ledger of one way of running the homes: every home's days, closed day by day."""
    ledger = Ledger()
    for piece in pieces:
        account = piece.accounts[mode]
        days = np.asarray(piece.horizon.wall_clock.astype("datetime64[D]"))
        import_wh, export_wh = account.metered_wh
        for day in piece.days:
            at = np.flatnonzero(days == np.datetime64(day))
            homes = {
                home.name: {
                    "import_wh": import_wh[number, at],
                    "export_wh": export_wh[number, at],
                    "received_wh": account.received_wh[at, number],
                    "supplied_wh": account.supplied_wh[at, number],
                    "bill_micro_eur": account.bill_micro_eur[at, number],
                }
                for number, home in enumerate(account.homes)
            }
            totals = {
                "invoice_micro_eur": account.invoice_micro_eur[at],
                "fee_micro_eur": account.fee_micro_eur[at],
            }
            ledger.close_day(str(day), homes, totals)
    return ledger


# --- totals ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class HomeRow:
    """What a home paid over the window: alone and as settled [€], and its energies [kWh].

    ``kpis``: as settled. ``received_kwh``, ``supplied_kwh``: from and to neighbours.
    """

    name: str
    alone_eur: float
    here_eur: float
    received_kwh: float
    supplied_kwh: float
    kpis: DayKpis

    @property
    def gain_eur(self) -> float:
        """Less to pay than alone [€]."""
        return self.alone_eur - self.here_eur

    @property
    def own_use_kwh(self) -> float:
        """Generation used in the home or by neighbours [kWh]: shared kWh count as used."""
        return self.kpis.own_use_kwh + self.supplied_kwh

    @property
    def self_consumption(self) -> float | None:
        """Part of the generation used in the home or by neighbours; None without generation."""
        generated_kwh = self.kpis.generation_kwh
        return self.own_use_kwh / generated_kwh if generated_kwh > 1e-9 else None

    @property
    def self_sufficiency(self) -> float | None:
        """Part of the demand that did not come from outside the community; None without demand."""
        if self.kpis.demand_kwh <= 1e-9:
            return None
        bought_kwh = self.kpis.import_kwh - self.received_kwh
        return max(0.0, 1.0 - bought_kwh / self.kpis.demand_kwh)


@dataclass(frozen=True, kw_only=True)
class ModeRow:
    """The whole community under one mode: costs with stores put back [€], energies [kWh]."""

    mode: CommunityMode
    bill_eur: float
    wear_eur: float
    discomfort_eur: float
    shared_kwh: float
    bought_kwh: float
    sold_kwh: float
    peak_import_kw: float
    fee_eur: float
    gap_eur: float

    @property
    def cost_eur(self) -> float:
        """Bill with stores put back, and wear [€]."""
        return self.bill_eur + self.wear_eur


@dataclass(frozen=True, kw_only=True, eq=False)
class CommunityResult:
    """The window's totals: by home, by mode, the coincidence of the loads, and who would leave.

    ``leaving``: of what sharing gains with the plans as they are, the homes that would have more of
    it on their own. ``worthless_steps`` of ``n_steps``: where the fee leaves nothing to gain.
    """

    homes: tuple[HomeRow, ...]
    modes: tuple[ModeRow, ...]
    coincidence: float
    worthless_steps: int
    n_steps: int
    leaving: Leaving

    @property
    def gini(self) -> float | None:
        """Of the gains, 0 if all are equal; None if any home is worse off than alone."""
        gains_eur = np.array([home.gain_eur for home in self.homes])
        return None if gains_eur.min() < -LEAST_LOSS_EUR else gini(np.maximum(gains_eur, 0.0))

    def cost_eur(self, mode: CommunityMode) -> float:
        """The cost of one mode [€]."""
        return next(row.cost_eur for row in self.modes if row.mode == mode)


def community_result(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> CommunityResult:
    """The totals over all pieces."""
    here = spec.settled_mode
    rows = []
    for number, home in enumerate(pieces[0].homes):
        kpis = total([piece.accounts[here].kpis[number] for piece in pieces])
        rows.append(
            HomeRow(
                name=home.name,
                alone_eur=_of_home(pieces, "alone", number),
                here_eur=_of_home(pieces, here, number),
                received_kwh=_shared_kwh(pieces, here, "received_wh", number),
                supplied_kwh=_shared_kwh(pieces, here, "supplied_wh", number),
                kpis=kpis,
            )
        )
    loads_kwh = np.concatenate(
        [piece.accounts["rule_alone"].plan.import_kwh for piece in pieces], axis=1
    )
    fee = np.concatenate([_gain_left(piece, spec) for piece in pieces])
    return CommunityResult(
        homes=tuple(rows),
        modes=tuple(_mode_row(pieces, mode) for mode in spec.all_modes),
        coincidence=coincidence(loads_kwh),
        worthless_steps=int(np.count_nonzero(fee <= 0)),
        n_steps=len(fee),
        leaving=who_would_leave(pieces, spec.settled_mode),
    )


def who_would_leave(pieces: Sequence[CommunityPiece], mode: CommunityMode) -> Leaving:
    """The homes that would gain more by sharing among themselves, the plans as they are.

    Up to ``MOST_EXACT`` homes all coalitions are looked at, beyond it single homes and pairs.
    """
    accounts = [piece.accounts[mode] for piece in pieces]
    exact = len(accounts[0].homes) <= MOST_EXACT
    gains, values, n_steps = list[Floats](), list[Floats](), 0
    for account in accounts:
        import_kwh, export_kwh = (wh / 1000.0 for wh in account.metered_wh)
        grid = grid_prices(account.plan)
        outside_eur = import_kwh @ grid.retail_eur_per_kwh - export_kwh @ grid.feed_in_eur_per_kwh
        gains.append(outside_eur - account.bill_micro_eur.sum(axis=0) / MICRO)
        of_coalitions = sharing_gains if exact else pair_gains
        values.append(of_coalitions(export_kwh, import_kwh, grid))
        n_steps += len(grid.retail_eur_per_kwh)
    gains_eur: Floats = np.sum(gains, axis=0)
    values_eur: Floats = np.sum(values, axis=0)
    found = leaving if exact else leaving_in_pairs
    return found(gains_eur, values_eur, tolerance_eur=n_steps / MICRO)


def _gain_left(piece: CommunityPiece, spec: CommunitySpec) -> Floats:
    """What sharing a kWh gains after the fee [€/kWh]."""
    horizon = piece.horizon
    return horizon.import_eur_per_kwh - horizon.export_eur_per_kwh - spec.fee_eur_per_kwh


def _of_home(pieces: Sequence[CommunityPiece], mode: CommunityMode, number: int) -> float:
    return float(sum(piece.accounts[mode].cost_eur[number] for piece in pieces))


def _shared_kwh(
    pieces: Sequence[CommunityPiece], mode: CommunityMode, name: str, number: int
) -> float:
    return sum(float(getattr(p.accounts[mode], name)[:, number].sum()) for p in pieces) / 1000.0


def _mode_row(pieces: Sequence[CommunityPiece], mode: CommunityMode) -> ModeRow:
    accounts = [piece.accounts[mode] for piece in pieces]
    plans = [account.plan for account in accounts]
    kpis = total([one for account in accounts for one in account.kpis])
    step_h = plans[0].horizon.step_h
    gaps = [piece.gaps_eur[mode] for piece in pieces]
    return ModeRow(
        mode=mode,
        bill_eur=sum(plan.bill_eur for plan in plans) - kpis.stored_eur,
        wear_eur=kpis.wear_eur,
        discomfort_eur=kpis.discomfort_eur,
        shared_kwh=sum(float(plan.shared_kwh.sum()) for plan in plans),
        bought_kwh=sum(float(plan.bought_kwh.sum()) for plan in plans),
        sold_kwh=sum(float(plan.sold_kwh.sum()) for plan in plans),
        peak_import_kw=max(
            float((plan.import_kwh - plan.export_kwh).sum(axis=0).max()) for plan in plans
        )
        / step_h,
        fee_eur=sum(float(plan.shared_kwh @ plan.fee_eur_per_kwh) for plan in plans),
        gap_eur=sum(gaps) if np.isfinite(gaps).all() else np.nan,
    )
