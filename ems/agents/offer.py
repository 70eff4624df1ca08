"""What a distant home offers: levels it can keep and what each costs, as an agent of a feeder.

A home behind a connection of its own shows its neighbours no device, only K levels of net load and
their costs. A feeder is a group of such homes behind one transformer, with its rating.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ems.agents.base import Agent, breaks, differs
from ems.core.affine import Affine
from ems.core.builder import Block
from ems.core.horizon import Horizon
from ems.core.participant import Contribution, Kind, Plan
from ems.errors import InvalidSpec
from ems.types import Floats

WEIGHTS = "weights"
"""The series with the share of each level, shape ``(n_levels,)``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Offer:
    """Levels a node can keep.

    ``levels_kw``: net load of each level [kW], shape ``(n_levels, n_steps)``, the first as it is
    without a limit; ``costs_eur``: what keeping each costs [€], shape ``(n_levels,)``, ≥ 0;
    ``convex``: whether any mix of two levels can be kept at no more than the mixed cost.
    """

    name: str
    levels_kw: Floats
    costs_eur: Floats
    convex: bool = False

    def __post_init__(self) -> None:
        for field in ("levels_kw", "costs_eur"):
            values = np.array(getattr(self, field), dtype=np.float64)
            if not np.isfinite(values).all():
                raise InvalidSpec(f"{self.name}: {field} must be finite numbers")
            values.setflags(write=False)
            object.__setattr__(self, field, values)
        if self.levels_kw.ndim != 2 or self.costs_eur.shape != self.levels_kw.shape[:1]:
            raise InvalidSpec(
                f"{self.name}: levels_kw has shape {self.levels_kw.shape} and costs_eur "
                f"{self.costs_eur.shape}; give (n_levels, n_steps) and (n_levels,)"
            )
        if not self.costs_eur.size or self.costs_eur.min() < 0.0:
            raise InvalidSpec(f"{self.name}: costs_eur must be one number a level, at least 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeOffer(Agent):
    """A node that keeps one of its levels, or a mix of them where that is possible.

    net load(t) = Σ λ_k · level_k(t) [kW], cost = Σ λ_k · cost_k [€], Σ λ_k = 1.
    """

    offer: Offer
    kind: ClassVar[Kind] = "load"

    def contribute(self, block: Block) -> Contribution:
        """Choose the shares λ (rule ``one_level``), binary where levels cannot be mixed."""
        offer, size = self.offer, len(self.offer.costs_eur)
        shares = (
            block.variables(WEIGHTS, up=1.0, size=size)
            if offer.convex
            else block.switches(WEIGHTS, size=size)
        )
        block.require("one_level", shares.sum() == 1.0, "steps")
        return Contribution(
            net_load_kw=offer.levels_kw.T @ shares,
            cost_eur=(shares * offer.costs_eur).sum(),
            series={WEIGHTS: shares},
        )

    def after(self, plan: Plan, n_steps: int) -> Self:
        """The levels of the later steps; what keeping them costs is known only as a whole."""
        raise InvalidSpec(f"{self.name}: an offer holds for its steps alone; ask for a new one")

    def unplanned(self, horizon: Horizon) -> Plan:
        """Its first level, without a limit."""
        shares = np.eye(len(self.offer.costs_eur))[0]
        return Plan(agent=self.name, net_load_kw=self.offer.levels_kw[0], series={WEIGHTS: shares})

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """Shares between 0 and 1 that sum to one, and the net load they say."""
        shares = plan.series[WEIGHTS]
        yield from breaks(self.name, WEIGHTS, shares, 0.0, 1.0)
        yield from differs(self.name, "sum of weights", shares.sum(keepdims=True), np.ones(1))
        net_load_kw = shares @ self.offer.levels_kw
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, net_load_kw)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """What its levels cost [€]."""
        return {"limits": float(plan.series[WEIGHTS] @ self.offer.costs_eur)}


@dataclass(frozen=True, kw_only=True, eq=False)
class FeederAgent(Agent):
    """Nodes behind one transformer.

    ``rating_kw``: what it carries, either way [kW]; ``known_kw``: the least and the most that all
    other nodes behind it draw [kW], each shape ``(n_steps,)``.
    """

    nodes: tuple[NodeOffer, ...]
    import_rating_kw: float
    export_rating_kw: float
    known_kw: tuple[Floats, Floats]
    kind: ClassVar[Kind] = "load"

    def contribute(self, block: Block) -> Contribution:
        """−rating ≤ Σ net load ≤ rating (rules ``rating`` and ``rating_back``)."""
        n = block.horizon.n_steps
        parts = {node.name: node.contribute(block.child(node.name)) for node in self.nodes}
        total_kw = Affine.total([part.net_load_kw for part in parts.values()], n)
        least_kw, most_kw = self.known_kw
        block.require("rating", total_kw <= self.import_rating_kw - most_kw, "kW")
        block.require("rating_back", total_kw >= -self.export_rating_kw - least_kw, "kW")
        cost_eur = Affine.total(
            [part.cost_eur for part in parts.values() if isinstance(part.cost_eur, Affine)], 1
        )
        return Contribution(net_load_kw=total_kw, cost_eur=cost_eur, series={}, parts=parts)

    def _of_parts(self, parts: Mapping[str, Plan], horizon: Horizon) -> Plan:
        net_kw = sum((plan.net_load_kw for plan in parts.values()), np.zeros(horizon.n_steps))
        return Plan(agent=self.name, net_load_kw=net_kw, series={}, parts=parts)

    def after(self, plan: Plan, n_steps: int) -> Self:
        """As its nodes: an offer holds for its steps alone."""
        raise InvalidSpec(f"{self.name}: offers hold for their steps alone; ask for new ones")

    def unplanned(self, horizon: Horizon) -> Plan:
        """No node limited, whatever the transformer carries."""
        return self._of_parts({node.name: node.unplanned(horizon) for node in self.nodes}, horizon)

    def audit(self, plan: Plan, horizon: Horizon) -> Iterator[str]:
        """The rules of every node, their sum, and the rating."""
        for node in self.nodes:
            yield from node.audit(plan.parts[node.name], horizon)
        summed = self._of_parts(plan.parts, horizon).net_load_kw
        yield from differs(self.name, "net_load_kw", plan.net_load_kw, summed)
        least_kw, most_kw = self.known_kw
        low_kw, up_kw = -self.export_rating_kw - least_kw, self.import_rating_kw - most_kw
        yield from breaks(self.name, "net_load_kw", plan.net_load_kw, low_kw, up_kw)

    def costs_eur(self, plan: Plan, horizon: Horizon) -> Mapping[str, float]:
        """What the levels of its nodes cost [€]."""
        of_nodes = [node.costs_eur(plan.parts[node.name], horizon) for node in self.nodes]
        return {"limits": sum(costs["limits"] for costs in of_nodes)}


def feeder(
    name: str,
    offers: Sequence[Offer],
    *,
    import_rating_kw: float,
    export_rating_kw: float,
    known_kw: tuple[Floats, Floats],
) -> Agent:
    """The nodes that make ``offers`` behind one transformer, in the order of their names."""
    nodes = tuple(
        NodeOffer(name=offer.name, offer=offer) for offer in sorted(offers, key=lambda o: o.name)
    )
    return FeederAgent(
        name=name,
        nodes=nodes,
        import_rating_kw=import_rating_kw,
        export_rating_kw=export_rating_kw,
        known_kw=known_kw,
    )
