"""A community over days: every way to run its homes, planned and settled.

Consecutive days are planned at most ``piece_days`` at once, with everything known, and ``AHEAD_H``
beyond, so that midnight does not cut the night in two. Each way hands its stores on from piece to
piece. Batteries begin the window empty. What stores hold at its end has the value λ of the plan
with everything known: alone that of the home's own plan; on a common bus what differs from that
plan has the value of the plan of all, since a kWh that a home would need itself is worth little in
a street of full batteries.

``ems.pipelines.community_totals`` adds the pieces up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Literal

import numpy as np

from ems.agents.base import Agent
from ems.agents.home import HomeAgent
from ems.community.account import (
    CommunityAccount,
    StoresWorth,
    settle_community,
)
from ems.community.community import Community, CommunityMode, CommunityPlan
from ems.community.decomposed import Ask, Chunk, optimize_decomposed
from ems.community.keys import Dynamic, Equal, Priority, SharingKey, Static
from ems.community.ledger import Ledger
from ems.community.rules import (
    BillSharing,
    Competitive,
    DoubleAuction,
    MidMarket,
    PoolRule,
    SupplyDemandRatio,
)
from ems.community.sampling import Shares
from ems.community.splits import MOST_EXACT
from ems.core.horizon import Horizon
from ems.core.mode import Mode
from ems.core.program import StoreDuals
from ems.core.solver import Solver
from ems.economics.settlement import settle
from ems.economics.store_value import Worth
from ems.economics.tariff import Tariff
from ems.errors import DataError, InvalidSpec
from ems.pipelines.community_forecast import Known, lived_day, what_is_known
from ems.pipelines.community_transfers import SplitName
from ems.pipelines.community_workers import asked_of
from ems.pipelines.comparison import Window, chains_of
from ems.pipelines.spec import RULES
from ems.site.assets import Assets
from ems.site.building import Building
from ems.types import Floats

PIECE_DAYS = 7
ONE_DAY = 1
"""Where the plan is found by prices: each step of a piece has one, and few are found sooner."""
AHEAD_H = 23.0
"""A day of the clock change has no more [h]."""
FORECAST_WAYS: tuple[CommunityMode, ...] = ("forecast_alone", "forecast_together")
ASKED: tuple[CommunityMode, ...] = ("at_price", "together", "decomposed")
"""Ways that run only if they are asked for; all others explain the result and always run."""
Way = str
"""A mode that is run, or ``rule_way``."""
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

    ``modes``: those of ``ASKED`` that run; ``decomposed`` is the one that is settled for the homes
    if it is among them, else ``together``, which then runs too. ``fee_eur_per_kwh``: on each kWh
    shared. ``static_shares``: of the key ``static``, one a home, in their order. ``split``,
    ``guaranteed``, ``owned``: see ``ems.pipelines.community_transfers``. ``foresight``: with
    ``forecast`` the homes also live on what they know, and that is settled; plans that know
    everything stay the bound.
    """

    tariff: Tariff
    assets: Assets = field(default_factory=Assets)
    shares: Shares = field(default_factory=Shares)
    homes: int = 6
    seed: int = 0
    modes: tuple[CommunityMode, ...] = ("together",)
    rule: RuleName = "mid_market"
    key: KeyName = "dynamic"
    static_shares: tuple[float, ...] = ()
    fee_eur_per_kwh: float = 0.0
    split: SplitName = "none"
    guaranteed: bool = False
    owned: tuple[float, ...] = ()
    foresight: Literal["perfect", "forecast"] = "perfect"
    forecaster: str = "learned"
    solver: Solver = field(default_factory=Solver)

    def __post_init__(self) -> None:
        for mode in self.modes:
            if mode not in ASKED:
                raise InvalidSpec(f"community: mode is {mode!r}, allowed are {', '.join(ASKED)}")
        if not 0 <= self.fee_eur_per_kwh < np.inf:
            raise InvalidSpec(f"community: fee is {self.fee_eur_per_kwh} €/kWh, allowed is >= 0")
        if self.split != "none" and self.homes > MOST_EXACT:
            raise InvalidSpec(
                f"community: split is {self.split} of {self.homes} homes; all groups are looked at "
                f"for at most {MOST_EXACT}: take fewer homes, or split none"
            )
        if self.owned and not (min(self.owned) >= 0 and abs(sum(self.owned) - 1.0) < 1e-9):
            raise InvalidSpec(
                f"community: owned sums to {sum(self.owned):g}; shares are at least 0 and sum to 1"
            )
        if self.key == "static" and len(self.static_shares) not in (0, self.homes):
            raise InvalidSpec(
                f"community: {len(self.static_shares)} shares for {self.homes} homes; give one a "
                "home"
            )

    @property
    def hands_over(self) -> bool:
        """Whether homes hand each other something besides what a battery they own gains."""
        return self.split != "none" or self.guaranteed

    @property
    def settled_mode(self) -> CommunityMode:
        """The way of sharing that the homes' accounts show."""
        return "forecast_together" if self.foresight == "forecast" else self.priced_mode

    @property
    def alone_mode(self) -> CommunityMode:
        """The way in which each home is alone, against which it gains."""
        return "forecast_alone" if self.foresight == "forecast" else "alone"

    @property
    def priced_mode(self) -> CommunityMode:
        """The plan of all that knows everything, whose λ is the value of what stores hold."""
        return "decomposed" if "decomposed" in self.modes else "together"

    @property
    def piece_days(self) -> int:
        """Consecutive days that are planned at once."""
        day_by_day = "decomposed" in self.modes or self.foresight == "forecast"
        return ONE_DAY if day_by_day else PIECE_DAYS

    @property
    def asked_modes(self) -> tuple[CommunityMode, ...]:
        """The ways that are asked for, and the one that is settled, in order."""
        return tuple(mode for mode in ASKED if mode in {*self.modes, self.priced_mode})

    def pool_rule(self, price_eur_per_kwh: Floats) -> PoolRule:
        """What a shared kWh costs; ``price_eur_per_kwh``: of the plan of all (``competitive``)."""
        rules: Mapping[RuleName, PoolRule] = {
            "mid_market": MidMarket(),
            "supply_demand_ratio": SupplyDemandRatio(),
            "double_auction": DoubleAuction(),
            "competitive": Competitive(price_eur_per_kwh),
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
    """Consecutive days of the community, planned and settled in every way.

    ``price_eur_per_kwh``: of a kWh on the bus in the plan of all, shape ``(n_steps,)``.
    ``gaps_eur``: how far each plan may be from the least of its kind [€], ∞ for a rule.
    """

    days: tuple[date, ...]
    horizon: Horizon
    price_eur_per_kwh: Floats
    accounts: Mapping[Way, CommunityAccount]
    gaps_eur: Mapping[Way, float]

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
    ahead = (n_days or 1) - 1
    return next(
        (
            day
            for day, last in zip(known, known[ahead:], strict=False)
            if last - day == timedelta(days=ahead)
        ),
        known[0],
    )


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
    homes = [_empty(building) for building in buildings]
    known: Known = {}
    if spec.foresight == "forecast":
        known = what_is_known(homes, spec.tariff, spec.assets, window, spec.forecaster)
    with asked_of(workers, scheduler) as asked:
        yield from _pieces(homes, spec, window, asked, known)


Asked = Callable[[Sequence[Chunk]], Ask]


def _pieces(
    homes: Sequence[Building], spec: CommunitySpec, window: Window, asked: Asked, known: Known
) -> Iterator[CommunityPiece]:
    start = _Start(states={}, worth={})
    last = date.min
    for chain in chains_of(window, spec.piece_days):
        if chain.days[0] - last > timedelta(days=1):  # stores begin anew behind a gap
            start = _Start(states={}, worth={})
        piece, start = _piece(homes, spec, chain.days, start, asked, known)
        last = chain.days[-1]
        yield piece


States = Mapping[str, Mapping[str, Agent]]
"""Home -> its agents as they stand, by name."""
HomesWorth = Mapping[str, Worth]
"""Home -> what a kWh in each of its stores is worth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Start:
    """What a piece begins with: the states of each way, and what stores are worth.

    ``worth``: alone and on a common bus apart, by ``shared``; empty behind a gap.
    """

    states: Mapping[Way, States]
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
    known: Known,
) -> tuple[CommunityPiece, _Start]:
    """A piece, and what the next begins with."""
    plans: dict[Way, CommunityPlan] = {}
    gaps: dict[Way, float] = {}
    states: dict[Way, States] = {}
    duals: dict[bool, Mapping[str, StoreDuals]] = {}
    for way, run in runs(spec, asked).items():
        ahead_h = AHEAD_H if way in ("alone", *ASKED) else 0.0
        horizon, n, homes = street(buildings, days, start.states.get(way, {}), ahead_h)
        community = Community(homes, fee_eur_per_kwh=spec.fee_eur_per_kwh, solver=spec.solver)
        whole = run(community, horizon)
        plans[way], gaps[way] = whole.window(0, n), whole.gap_eur
        states[way] = {
            name: {agent.name: agent for agent in (*home.agents, home.meter)}
            for name, home in whole.after(n).items()
        }
        if way == "alone":
            duals[False] = whole.worth
        if way == spec.priced_mode:
            duals[True] = community.worth_at_price(horizon, whole.price)
    for way in FORECAST_WAYS if known else ():
        (day,) = days
        lived = lived_day(
            buildings,
            known,
            day,
            start.states.get(way, {}),
            way,
            fee_eur_per_kwh=spec.fee_eur_per_kwh,
            solver=spec.solver,
        )
        plans[way] = lived
        states[way] = {
            name: {agent.name: agent for agent in (*home.agents, home.meter)}
            for name, home in lived.after(lived.horizon.n_steps).items()
        }
    n, price = plans["alone"].horizon.n_steps, plans[spec.priced_mode].price
    then = {shared: _before(found, n) for shared, found in duals.items()}
    first = start.worth or {shared: _before(found, 0) for shared, found in duals.items()}
    ends = {
        shared: {home: (first[shared][home], worth) for home, worth in found.items()}
        for shared, found in then.items()
    }
    put_back = _put_back(plans, ends)
    accounts = {
        way: settled(plan, spec, price, ends[plan.shared], put_back[plan.shared])
        for way, plan in plans.items()
    }
    for way, plan in shared_as_they_are(plans).items():  # whose stores are those of homes alone
        accounts[way] = settled(plan, spec, price, ends[False], put_back[False])
    piece = CommunityPiece(
        days=days,
        horizon=plans["alone"].horizon,
        price_eur_per_kwh=price,
        accounts=accounts,
        gaps_eur=gaps,
    )
    return piece, _Start(states=states, worth=then)


Run = Callable[[Community, Horizon], CommunityPlan]


def runs(spec: CommunitySpec, asked: Asked) -> dict[Way, Run]:
    """Every way in which the homes are run, in order."""
    found: dict[Way, Run] = {"as_metered": Community.as_metered}
    for rule in RULES:
        found[rule_way("rule_alone", rule)] = partial(_by_rule, Community.rule_alone, rule)
    found["alone"] = Community.optimize_alone
    for rule in RULES:
        found[rule_way("rule_together", rule)] = partial(_by_rule, Community.rule_together, rule)
    planned: Mapping[CommunityMode, Run] = {
        "at_price": _at_price,
        "together": Community.optimize_together,
        "decomposed": lambda homes, horizon: optimize_decomposed(homes, horizon, asked),
    }
    return found | {mode: planned[mode] for mode in spec.asked_modes}


def _by_rule(
    run: Callable[[Community, Horizon, Mode], CommunityPlan],
    rule: Mode,
    community: Community,
    horizon: Horizon,
) -> CommunityPlan:
    return run(community, horizon, rule)


def _at_price(community: Community, horizon: Horizon) -> CommunityPlan:
    """Every home planned at a price announced half-way in its box."""
    half = 0.5 * (community.inside(horizon).import_eur_per_kwh + horizon.export_eur_per_kwh)
    return community.optimize_at_price(horizon, half + community.fee(horizon), half)


def rule_way(kind: Literal["rule_alone", "rule_shared", "rule_together"], rule: Mode) -> Way:
    """The homes under a rule: alone, alone with their meters shared, or as if one building."""
    return f"{kind} {rule}"


def shared_as_they_are(plans: Mapping[Way, CommunityPlan]) -> dict[Way, CommunityPlan]:
    """What homes do alone, with their meters shared and nothing else changed.

    The simplest community: nobody does anything else than before.
    """
    alone = {rule_way("rule_shared", rule): plans[rule_way("rule_alone", rule)] for rule in RULES}
    alone["alone_shared"] = plans["alone"]
    if "forecast_alone" in plans:
        alone["forecast_shared"] = plans["forecast_alone"]
    return {way: replace(plan, shared=True) for way, plan in alone.items()}


def _put_back(
    plans: Mapping[Way, CommunityPlan], ends: Mapping[bool, StoresWorth]
) -> dict[bool, dict[str, float]]:
    """What is taken off the value of each home's stores, alone and on a common bus [€].

    Alone what they gained as metered. On a common bus only what they hold more or less than in the
    home's own plan has the value of the common plan, or merely to share would change the value of
    the same charge: a gain that lies behind the window.
    """
    metered = stored_eur(plans["as_metered"], ends[False])
    alone = stored_eur(plans["alone"], ends[False])
    in_common = stored_eur(plans["alone"], ends[True])
    return {
        False: metered,
        True: {home: in_common[home] - alone[home] + metered[home] for home in metered},
    }


def _before(duals: Mapping[str, StoreDuals], step: int) -> HomesWorth:
    """What a kWh in each store is worth before a step [€/kWh]."""
    return {
        home: {
            agent: {rule: float(before[step]) for rule, before in of_rules.items()}
            for agent, of_rules in stores.items()
        }
        for home, stores in duals.items()
    }


def stored_eur(plan: CommunityPlan, worth: StoresWorth) -> dict[str, float]:
    """What the stores of each home gained, λ₁ E₁ − λ₀ E₀ [€]."""
    return {
        home.name: settle(plan.of_home(home), worth=worth[home.name]).stored_eur
        for home in plan.homes
    }


def settled(
    plan: CommunityPlan,
    spec: CommunitySpec,
    price_eur_per_kwh: Floats,
    worth: StoresWorth | None,
    put_back_eur: Mapping[str, float],
) -> CommunityAccount:
    """The account of a plan; ``price_eur_per_kwh``: of the plan of all."""
    return settle_community(
        plan,
        rule=spec.pool_rule(price_eur_per_kwh),
        key=spec.sharing_key(len(plan.homes)),
        worth=worth,
        put_back_eur=put_back_eur,
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
