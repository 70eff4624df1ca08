"""The least costly limits that keep every transformer within its rating, as one program.

No second optimiser: each node's offer is an agent, each transformer a group of them, and
``GlobalOptimizer`` plans them with all prices zero, so that only what limits cost is minimised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ems.agents.grid import GridAgent
from ems.agents.offer import WEIGHTS, Offer, feeder
from ems.control.optimizer import GlobalOptimizer
from ems.core.horizon import Horizon
from ems.core.solver import Solver
from ems.errors import InvalidSpec
from ems.types import Floats

EXACT = Solver(mip_gap=0.0, mip_gap_eur=1e-7)
SHARE_OF_SECOND = {2: 0.80, 3: 0.75, 4: 0.70, 5: 0.65, 6: 0.60, 7: 0.55, 8: 0.50}
"""By number of devices, what counts of each but the first (BNetzA BK6-22-300, annex 1, 4.5.2)."""
FLOOR_KW = 4.2
"""No dimmable device is dimmed below this (§ 14a EnWG, BK6-22-300) [kW]."""


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A transformer: what it carries towards its nodes and back [kW]."""

    name: str
    import_rating_kw: float
    export_rating_kw: float

    def __post_init__(self) -> None:
        for field_ in ("import_rating_kw", "export_rating_kw"):
            value = getattr(self, field_)
            if not 0 <= value < np.inf:
                raise InvalidSpec(f"{self.name}: {field_} is {value}, allowed is a number >= 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class Feeder:
    """A transformer with what its nodes offer.

    ``known_kw``: the least and the most that nodes without an offer draw together [kW], each shape
    ``(n_steps,)``.
    """

    transformer: Transformer
    offers: tuple[Offer, ...]
    known_kw: tuple[Floats, Floats]

    def kept_by(self, levels: Mapping[str, int]) -> bool:
        """Whether the rating holds if every node keeps the level of that number."""
        least_kw, most_kw = self.known_kw
        total_kw = sum(
            (offer.levels_kw[levels[offer.name]] for offer in self.offers), np.zeros(len(most_kw))
        )
        over_kw = total_kw + most_kw - self.transformer.import_rating_kw
        back_kw = -total_kw - least_kw - self.transformer.export_rating_kw
        return bool(max(over_kw.max(), back_kw.max()) <= 1e-9)


@dataclass(frozen=True, kw_only=True, eq=False)
class LimitPlan:
    """The chosen level of every node.

    ``net_load_kw``: what each node may draw [kW]; ``costs_eur``: what that costs it [€];
    ``weights``: the share of each of its levels; ``objective_eur``, ``bound_eur``: all together,
    and what no choice can be below [€].
    """

    net_load_kw: Mapping[str, Floats]
    costs_eur: Mapping[str, float]
    weights: Mapping[str, Floats]
    objective_eur: float
    bound_eur: float
    solver_s: float = 0.0
    limited: frozenset[str] = field(default_factory=frozenset)


def floor_kw(n_devices: int) -> float:
    """What the dimmable devices of a home may always draw together [kW].

    4.2 kW for one device that is controlled directly; with an energy management
    4.2 · (1 + (n − 1) · share(n)) for n devices.

    >>> [round(floor_kw(n), 2) for n in (1, 2, 3, 4)]
    [4.2, 7.56, 10.5, 13.02]
    """
    if n_devices < 0:
        raise InvalidSpec(f"n_devices is {n_devices}, allowed is a number of at least 0")
    if n_devices <= 1:
        return FLOOR_KW * n_devices
    return FLOOR_KW * (1 + (n_devices - 1) * SHARE_OF_SECOND.get(n_devices, 0.45))


def least_limits(
    start_utc: np.datetime64, step_h: float, feeders: Sequence[Feeder], solver: Solver = EXACT
) -> LimitPlan:
    """The least costly limits that keep every rating.

    Raises ``Infeasible`` naming the transformer, the kW that are missing and the step.
    """
    n_steps = len(feeders[0].known_kw[0])
    horizon = Horizon(
        start_utc=start_utc,
        step_h=step_h,
        import_eur_per_kwh=np.zeros(n_steps),
        export_eur_per_kwh=np.zeros(n_steps),
    )
    groups = [
        feeder(
            item.transformer.name,
            item.offers,
            import_rating_kw=item.transformer.import_rating_kw,
            export_rating_kw=item.transformer.export_rating_kw,
            known_kw=item.known_kw,
        )
        for item in feeders
    ]
    plan = GlobalOptimizer(groups, GridAgent(), solver).optimize_centralized(horizon)
    parts = {
        offer.name: (offer, plan.plans[item.transformer.name].parts[offer.name])
        for item in feeders
        for offer in item.offers
    }
    weights = {name: part.series[WEIGHTS] for name, (_, part) in parts.items()}
    return LimitPlan(
        net_load_kw={name: part.net_load_kw for name, (_, part) in parts.items()},
        costs_eur={name: float(weights[name] @ o.costs_eur) for name, (o, _) in parts.items()},
        weights=weights,
        objective_eur=plan.objective_eur,
        bound_eur=plan.bound_eur,
        solver_s=plan.solver_s,
        # The first level is the node as it is; a share that rounds to it needs no limit.
        limited=frozenset(name for name, share in weights.items() if share[0] < 1 - 1e-7),
    )


def in_fixed_order(feeders: Sequence[Feeder], order: Sequence[str]) -> Mapping[str, int]:
    """The level of every node if each in turn goes as low as needed, whatever it costs.

    ``order``: the nodes' names, first asked first. What is done where limits are handed out by a
    list of kinds, such as loads, then solar, then batteries. A transformer that stays over its
    rating when all have been asked is left so.
    """
    chosen: dict[str, int] = {}
    for item in feeders:
        offers = {offer.name: offer for offer in item.offers}
        levels = dict.fromkeys(offers, 0)
        for name in (name for name in order if name in offers):
            for level in range(len(offers[name].costs_eur)):
                levels[name] = level
                if item.kept_by(levels):
                    break
            if item.kept_by(levels):
                break
        chosen |= levels
    return chosen
