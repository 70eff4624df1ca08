"""What a community comes to: by home, by way, how fair it is, and who would rather leave.

Two rows are the best rules in hindsight, as in a building: alone each home has the rule that costs
it the least over the window; together it is the best of seven communities without a plan. So what
planning and sharing is worth is held against what people could do with the same devices and no
forecast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ems.community.account import CommunityAccount, grid_prices
from ems.community.community import CommunityMode
from ems.community.fairness import Leaving, gini, leaving, leaving_in_pairs
from ems.community.money import MICRO
from ems.community.sampling import coincidence
from ems.community.splits import MOST_EXACT, pair_gains, sharing_gains
from ems.core.mode import Mode
from ems.economics.settlement import DayKpis, total
from ems.pipelines.community import CommunityPiece, CommunitySpec, Way, rule_way, settled
from ems.pipelines.community_transfers import transfers_micro_eur
from ems.pipelines.spec import RULES
from ems.types import Floats

MICRO_EUR = 1.0 / MICRO
LEAST_LOSS_EUR = 0.005
"""Less than half a cent is rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HomeRow:
    """What a home paid over the window: planned alone and as settled [€], and its energies [kWh].

    Costs are the bill with the stores put back, wear and discomfort. ``kpis``: as settled.
    ``received_kwh``, ``supplied_kwh``: from and to neighbours. ``handed_eur``: what a split or a
    guarantee hands it at the end, below 0 what it hands over; ``here_eur`` has it.
    """

    name: str
    alone_eur: float
    here_eur: float
    received_kwh: float
    supplied_kwh: float
    kpis: DayKpis
    handed_eur: float = 0.0

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
    """All homes in one way: what they pay with stores put back [€], and their energies [kWh].

    The sums of their accounts, so that homes add up to it under any rule and key. ``how``: which
    rules it is, empty for what is planned. ``gap_eur``: how far the plan may be from the least of
    its kind, NaN if nothing was proven.
    """

    mode: CommunityMode
    how: str
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
        """Bill with stores put back, wear and discomfort [€]: what plans minimise."""
        return self.bill_eur + self.wear_eur + self.discomfort_eur


@dataclass(frozen=True, kw_only=True, eq=False)
class CommunityResult:
    """The window's totals: by home, by way, the coincidence of the loads, and who would leave.

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
    gain_left = np.concatenate([_gain_left(piece, spec) for piece in pieces])
    return CommunityResult(
        homes=tuple(_home_rows(pieces, spec)),
        modes=tuple(
            _row(mode, found, _gap_eur(pieces, mode))
            for mode, found in ways_found(pieces, spec).items()
        ),
        coincidence=coincidence(np.concatenate([_demand_kwh(piece) for piece in pieces], axis=1)),
        worthless_steps=int(np.count_nonzero(gain_left <= 0)),
        n_steps=len(gain_left),
        leaving=who_would_leave(pieces, spec.settled_mode),
    )


def _gain_left(piece: CommunityPiece, spec: CommunitySpec) -> Floats:
    """What sharing a kWh gains after the fee [€/kWh]."""
    horizon = piece.horizon
    return horizon.import_eur_per_kwh - horizon.export_eur_per_kwh - spec.fee_eur_per_kwh


def _demand_kwh(piece: CommunityPiece) -> Floats:
    """The use of each home as metered [kWh], shape ``(n_homes, n_steps)``."""
    plan = piece.accounts["as_metered"].plan
    return np.array([plan.of_home(h).net_load_kw("load") for h in plan.homes]) * (
        plan.horizon.step_h
    )


# --- rows -----------------------------------------------------------------------------------------


def _home_rows(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> Iterator[HomeRow]:
    alone_eur = costs_eur(_accounts(pieces, spec.alone_mode))
    accounts = _accounts(pieces, spec.settled_mode)
    handed_eur = MICRO_EUR * transfers_micro_eur(
        accounts, alone_eur, split=spec.split, guaranteed=spec.guaranteed, owned=spec.owned
    )
    here_eur = costs_eur(accounts) - handed_eur
    received_wh = sum((account.received_wh.sum(axis=0) for account in accounts), np.zeros(1))
    supplied_wh = sum((account.supplied_wh.sum(axis=0) for account in accounts), np.zeros(1))
    for number, home in enumerate(pieces[0].homes):
        yield HomeRow(
            name=home.name,
            alone_eur=float(alone_eur[number]),
            here_eur=float(here_eur[number]),
            received_kwh=float(received_wh[number]) / 1000.0,
            supplied_kwh=float(supplied_wh[number]) / 1000.0,
            kpis=total([account.kpis[number] for account in accounts]),
            handed_eur=float(handed_eur[number]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """One way of the table: its accounts, piece by piece, and which rules it is."""

    accounts: Sequence[CommunityAccount]
    how: str = ""

    @property
    def cost_eur(self) -> float:
        """What all homes pay over all pieces [€]."""
        return float(costs_eur(self.accounts).sum())


def ways_found(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> dict[CommunityMode, Found]:
    """The ways of the table in order, the rules chosen over all pieces."""
    planned = {mode: Found(accounts=_accounts(pieces, mode)) for mode in spec.asked_modes}
    return {
        "as_metered": Found(accounts=_accounts(pieces, "as_metered")),
        "rule_alone": _best_alone(pieces, spec),
        "alone": Found(accounts=_accounts(pieces, "alone")),
        "rule_together": _best_together(pieces, spec),
        "alone_shared": Found(accounts=_accounts(pieces, "alone_shared")),
        **planned,
        **{way: Found(accounts=_accounts(pieces, way)) for way in _lived(spec)},
    }


def _lived(spec: CommunitySpec) -> tuple[CommunityMode, ...]:
    """The ways on forecasts, if they are asked for."""
    if spec.foresight == "perfect":
        return ()
    return ("forecast_alone", "forecast_shared", "forecast_together")


def _best_alone(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> Found:
    """Each home under the rule that costs it the least over the window, in hindsight."""
    chosen = _best_rules(pieces)
    of_home = {home: rule_way("rule_alone", rule) for home, rule in chosen.items()}
    like = rule_way("rule_alone", "self_consumption")
    return Found(accounts=_mixed(pieces, spec, of_home, like), how=_counts(chosen))


def _best_together(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> Found:
    """The cheapest community without a plan, in hindsight.

    Each home under its own best rule, or all under one of three, with their meters shared; or all
    devices under one rule as if they stood in one building.
    """
    chosen = _best_rules(pieces)
    of_home = {home: rule_way("rule_alone", rule) for home, rule in chosen.items()}
    like = rule_way("rule_shared", "self_consumption")
    found = [
        Found(accounts=_mixed(pieces, spec, of_home, like), how=f"{_counts(chosen)}, meters shared")
    ]
    for rule in RULES:
        shared, as_one = rule_way("rule_shared", rule), rule_way("rule_together", rule)
        found.append(Found(accounts=_accounts(pieces, shared), how=f"{rule}, meters shared"))
        found.append(Found(accounts=_accounts(pieces, as_one), how=f"{rule}, as one building"))
    return min(found, key=lambda one: one.cost_eur)


def _best_rules(pieces: Sequence[CommunityPiece]) -> dict[str, Mode]:
    costs = np.array([costs_eur(_accounts(pieces, rule_way("rule_alone", rule))) for rule in RULES])
    best = costs.argmin(axis=0)
    return {home.name: RULES[place] for home, place in zip(pieces[0].homes, best, strict=True)}


def _counts(chosen: Mapping[str, Mode]) -> str:
    """How many homes have which rule: ``4 self_consumption, 2 timer``."""
    rules = list(chosen.values())
    return ", ".join(f"{rules.count(rule)} {rule}" for rule in RULES if rule in rules)


def _mixed(
    pieces: Sequence[CommunityPiece], spec: CommunitySpec, of_home: Mapping[str, Way], like: Way
) -> list[CommunityAccount]:
    """The accounts when each home is run in a way of its own, settled as ``like``."""
    accounts = []
    for piece in pieces:
        base = piece.accounts[like]
        plans = {home: piece.accounts[way].plan for home, way in of_home.items()}
        plan = replace(
            base.plan,
            homes=tuple(
                next(own for own in plans[home.name].homes if own.name == home.name)
                for home in base.plan.homes
            ),
            plans={home: own.plans[home] for home, own in plans.items()},
        )
        accounts.append(settled(plan, spec, piece.price_eur_per_kwh, base.worth, base.put_back_eur))
    return accounts


def _row(mode: CommunityMode, found: Found, gap_eur: float) -> ModeRow:
    accounts = found.accounts
    kpis = total([one for account in accounts for one in account.kpis])
    bill_micro_eur = sum(int(account.bill_micro_eur.sum()) for account in accounts)
    received_wh, imported_wh, exported_wh = (
        sum(int(values.sum()) for values in series)
        for series in (
            [account.received_wh for account in accounts],
            [account.metered_wh[0] for account in accounts],
            [account.metered_wh[1] for account in accounts],
        )
    )
    return ModeRow(
        mode=mode,
        how=found.how,
        bill_eur=bill_micro_eur / MICRO - kpis.stored_eur,
        wear_eur=kpis.wear_eur,
        discomfort_eur=kpis.discomfort_eur,
        shared_kwh=received_wh / 1000.0,
        bought_kwh=(imported_wh - received_wh) / 1000.0,
        sold_kwh=(exported_wh - received_wh) / 1000.0,
        peak_import_kw=max(_peak_kw(account) for account in accounts),
        fee_eur=sum(int(account.fee_micro_eur.sum()) for account in accounts) / MICRO,
        gap_eur=gap_eur,
    )


def _peak_kw(account: CommunityAccount) -> float:
    plan = account.plan
    return float((plan.import_kwh - plan.export_kwh).sum(axis=0).max()) / plan.horizon.step_h


def _gap_eur(pieces: Sequence[CommunityPiece], way: Way) -> float:
    gaps = [piece.gaps_eur.get(way, np.nan) for piece in pieces]
    return sum(gaps) if np.isfinite(gaps).all() else np.nan


def _accounts(pieces: Sequence[CommunityPiece], way: Way) -> list[CommunityAccount]:
    return [piece.accounts[way] for piece in pieces]


def costs_eur(accounts: Sequence[CommunityAccount]) -> Floats:
    """What each home pays over all pieces [€], shape ``(n_homes,)``."""
    summed: Floats = np.sum([account.cost_eur for account in accounts], axis=0)
    return summed


# --- fairness -------------------------------------------------------------------------------------


def who_would_leave(pieces: Sequence[CommunityPiece], mode: CommunityMode) -> Leaving:
    """The homes that would gain more by sharing among themselves, the plans as they are.

    Up to ``MOST_EXACT`` homes all coalitions are looked at, beyond it single homes and pairs.
    """
    accounts = _accounts(pieces, mode)
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
