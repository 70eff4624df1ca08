"""A made street over three days, the third behind a gap, run and settled in every way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
from community.streets import hours, street

from ems.agents.home import HomeAgent
from ems.community.community import Community, CommunityMode
from ems.core.horizon import Horizon
from ems.economics.tariff import Tariff
from ems.economics.tariff_file import load_tariff
from ems.pipelines.community import (
    CommunityPiece,
    CommunitySpec,
    runs,
    settled,
    shared_as_they_are,
    stored_eur,
)
from ems.pipelines.community_totals import CommunityResult, HomeRow, community_result
from ems.pipelines.community_workers import asked_of
from ems.report.community import CommunitySteps, FairPoint

FEE_EUR_PER_KWH = 0.04


def spec(n_homes: int = 5, **changes: object) -> CommunitySpec:
    """What the street is run with."""
    made = CommunitySpec(tariff=_flat(), homes=n_homes, fee_eur_per_kwh=FEE_EUR_PER_KWH)
    return replace(made, **changes)  # type: ignore[arg-type]


@cache
def _flat() -> Tariff:
    return load_tariff("flat")


def _piece(homes: Sequence[HomeAgent], start: str, n: int, of: CommunitySpec) -> CommunityPiece:
    """Local days from midnight in summer; a kWh stored is worth 20 ct before, 30 ct after."""
    horizon = hours(n, start=start)
    community = Community(homes, fee_eur_per_kwh=of.fee_eur_per_kwh)
    with asked_of(1, None) as asked:
        plans = {way: run(community, horizon) for way, run in runs(of, asked).items()}
    price = plans[of.settled_mode].price
    gaps = {way: plan.gap_eur for way, plan in plans.items()}
    plans |= shared_as_they_are(plans)
    ends = ({"battery": {"soc": 0.2}}, {"battery": {"soc": 0.3}})
    worth = {home.name: ends for home in homes}
    put_back_eur = stored_eur(plans["as_metered"], worth)
    return CommunityPiece(
        days=_days(horizon),
        horizon=horizon,
        price_eur_per_kwh=price,
        accounts={
            way: settled(plan, of, price, worth, put_back_eur) for way, plan in plans.items()
        },
        gaps_eur=gaps,
    )


def _days(horizon: Horizon) -> tuple[date, ...]:
    return tuple(np.unique(horizon.wall_clock.astype("datetime64[D]")).tolist())


@cache
def pieces(n_homes: int = 5, seed: int = 5, rule: str = "mid_market") -> tuple[CommunityPiece, ...]:
    """1, 2 and 4 June 2016."""
    of = spec(n_homes, rule=rule)
    homes = street(seed, n_homes, 48, machines=False)
    later = street(seed, n_homes, 24, machines=False)
    return (
        _piece(homes, "2016-05-31T22:00", 48, of),
        _piece(later, "2016-06-03T22:00", 24, of),
    )


@cache
def week(n_homes: int) -> tuple[CommunityPiece, ...]:
    """Seven days in one piece."""
    homes = street(7, n_homes, 168, machines=False)
    return (_piece(homes, "2016-05-31T22:00", 168, spec(n_homes)),)


def result(n_homes: int = 5, rule: str = "mid_market") -> CommunityResult:
    """Its totals."""
    return community_result(pieces(n_homes, rule=rule), spec(n_homes, rule=rule))


def steps(mode: CommunityMode = "together") -> CommunitySteps:
    """Its steps."""
    return CommunitySteps.of(pieces(), mode)


def many_days(n_days: int) -> CommunitySteps:
    """The first day again and again; every twentieth is left out."""
    first = steps()
    whole = hours(24 * n_days, start="2016-05-31T22:00")
    of_day = np.arange(24 * n_days) // 24
    place = np.flatnonzero(of_day % 20 != 8)
    series = {
        name: value[place % 24]
        for name, value in vars(first).items()
        if isinstance(value, np.ndarray) and name != "place"
    }
    return replace(first, clock=whole, place=place, **series)


def of_gains(gains_eur: Sequence[float], name: str = "home") -> CommunityResult:
    """A result whose homes gain these amounts."""
    found = result()
    homes: list[HomeRow] = [
        replace(found.homes[0], name=f"{name}_{i}", alone_eur=20.0 + i, here_eur=20.0 + i - gain)
        for i, gain in enumerate(gains_eur)
    ]
    return replace(found, homes=tuple(homes))


POINTS = (
    FairPoint(rule="mid_market", key="dynamic", cost_eur=57.5, gini=0.41),
    FairPoint(rule="competitive", key="dynamic", cost_eur=57.5, gini=0.32),
    FairPoint(rule="bill_sharing", key="dynamic", cost_eur=57.5, gini=None),
    FairPoint(rule="mid_market", key="static", cost_eur=58.3, gini=0.28),
    FairPoint(rule="double_auction", key="equal", cost_eur=57.5, gini=0.6),
    FairPoint(rule="supply_demand_ratio", key="priority", cost_eur=57.5, gini=0.5),
)
