"""The optimum of very many homes, found by a price that they answer.

λ(t) is the price of the bus, p_out ≤ λ ≤ p_in − f. At each λ every home solves its own program,
with import at λ + f and export at λ. What they pay at least, D(λ) = Σ bound, is a proven lower
bound of the community's cost for every λ, since the connection can always trade at p_out and at
p_in − f. Tangents of D (``ems.core.cutting_planes``) move λ, each time half-way from the best price
so far, and their duals say how the answers mix: what stores and other continuous choices do is
mixed; whole choices (the start of a machine) are taken from one answer each, by largest remainder.
With those fixed the other homes are asked again, since they can make up for what was rounded. The
meter prices the result: an upper bound.

With a limit of the connection λ may leave the box, and D falls by the limit times what it is
outside.

Homes are answered in chunks of fixed size, so a result does not depend on the number of workers.
Only net loads and bounds come back; the answers that are mixed are found again at the end, to the
bit, since an answer depends on price and basis alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from ems.agents.home import HomeAgent
from ems.community.community import Community, CommunityPlan, require_sound
from ems.core.cutting_planes import CuttingPlanes
from ems.core.horizon import Horizon
from ems.core.participant import Plan
from ems.core.priced import Answer, Basis, PricedProgram
from ems.core.solver import Solver
from ems.errors import Infeasible, InvalidSpec
from ems.types import Floats

INTEGRAL = 1e-7
"""How far from a whole number a choice may be [1]."""
GROUPS = 20
"""At least so many chunks, since each gives a tangent of its own a round."""
CHUNK = 20
"""At most so many homes are answered together."""
ENOUGH = 5e-5
"""Relative distance of the two bounds before whole choices are rounded [1]; half of 0.01 %."""
MOST_ROUNDS = 150
MOST_BEYOND_EUR_PER_KWH = 10.0
"""How far the price may leave its box where the connection is limited [€/kWh]."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """Some homes over one horizon; ``worth_at_least`` bounds every price that is asked."""

    homes: tuple[HomeAgent, ...]
    horizon: Horizon
    worth_at_least: Floats
    solver: Solver


Bases = tuple[Basis | None, Basis | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkAnswer:
    """What a chunk does at one price.

    ``smooth``: the homes without whole choices, together; ``whole``: each of the others;
    ``relaxed``: where the others would go on if they could choose fractions.
    """

    smooth: Answer
    whole: tuple[Answer, ...] = ()
    relaxed: Basis | None = None

    @property
    def net_load_kw(self) -> Floats:
        """Of all homes [kW], shape ``(n_steps,)``."""
        net_load_kw = self.smooth.net_load_kw
        for answer in self.whole:
            net_load_kw = net_load_kw + answer.net_load_kw
        return net_load_kw

    @property
    def bound_eur(self) -> float:
        """No plans cost less at this price [€]."""
        return self.smooth.bound_eur + sum(answer.bound_eur for answer in self.whole)

    @property
    def bases(self) -> Bases:
        """Where its programs may go on."""
        return self.smooth.basis, self.relaxed


class Question(NamedTuple):
    """What a chunk is asked: its number, the price of the bus [€/kWh], where its programs go on.

    ``smooth``: only the homes without whole choices, where the others have chosen.
    """

    chunk: int
    price: Floats
    bases: Bases
    smooth: bool


class Tangent(NamedTuple):
    """What the search needs of an answer: net load [kW], bound [€], where programs may go on."""

    net_load_kw: Floats
    bound_eur: float
    bases: Bases


class Chosen(NamedTuple):
    """Net load [kW] and cost [€] of homes with whole choices, once these are settled."""

    net_load_kw: Floats
    own_eur: float


class Programs:
    """The programs of a chunk: of all homes without whole choices, and of each other home.

    The others are first asked together as if fractions could be chosen, which goes on from the last
    basis; only a home that would choose one needs a program of whole numbers.
    """

    def __init__(self, chunk: Chunk) -> None:
        self._solver = chunk.solver

        def program(homes: Sequence[HomeAgent], *, relaxed: bool = False) -> PricedProgram:
            return PricedProgram(homes, chunk.horizon, chunk.worth_at_least, relaxed=relaxed)

        self.smooth, self.whole = program(chunk.homes), tuple[PricedProgram, ...]()
        if self.smooth.whole:
            alone = [program([home]) for home in chunk.homes]
            of_home = list(zip(chunk.homes, alone, strict=True))
            self.whole = tuple(one for _, one in of_home if one.whole)
            self._relaxed = program([home for home, one in of_home if one.whole], relaxed=True)
            self.smooth = program([home for home, one in of_home if not one.whole])

    def answer(self, asked: Question) -> ChunkAnswer:
        """The cheapest plans at the price of the bus."""
        smooth = self._smooth_answer(asked)
        if asked.smooth or not self.whole:
            return ChunkAnswer(smooth=smooth)
        whole, relaxed = self._whole_answers(asked)
        return ChunkAnswer(smooth=smooth, whole=whole, relaxed=relaxed)

    def tangent(self, asked: Question) -> Tangent:
        """What the search needs of the answer."""
        answer = self.answer(asked)
        return Tangent(answer.net_load_kw, answer.bound_eur, answer.bases)

    def whole_plans(
        self, asked: Sequence[Question], shares: Floats
    ) -> tuple[dict[str, Plan], Chosen]:
        """The homes with whole choices take one answer each, in its share of all."""
        plans: dict[str, Plan] = {}
        net_load_kw, own_eur = np.zeros(self.smooth.horizon.n_steps), 0.0
        turns = _whole_turns(shares, len(self.whole))
        answers = {turn: self._whole_answers(asked[turn])[0] for turn in sorted(set(turns))}
        for place, turn in enumerate(turns):
            answer = answers[turn][place]
            plans |= self.whole[place].plans(answer.x)
            net_load_kw = net_load_kw + answer.net_load_kw
            own_eur += answer.own_eur
        return plans, Chosen(net_load_kw, own_eur)

    def mixed_plans(self, asked: Sequence[Question], shares: Floats) -> dict[str, Plan]:
        """The homes without whole choices do the mean of their answers."""
        parts = [
            share * self._smooth_answer(one).x for one, share in zip(asked, shares, strict=True)
        ]
        return self.smooth.plans(np.sum(parts, axis=0))

    def _smooth_answer(self, asked: Question) -> Answer:
        return self.smooth.answer(asked.price, self._solver, asked.bases[0])

    def _whole_answers(self, asked: Question) -> tuple[tuple[Answer, ...], Basis | None]:
        relaxed = self._relaxed.answer(asked.price, self._solver, asked.bases[1])
        whole = []
        for one, columns in zip(self.whole, self._relaxed.parts, strict=True):
            x = relaxed.x[columns]
            chosen = x[one.matrix.integer]
            if np.abs(chosen - np.rint(chosen)).max() <= INTEGRAL:
                whole.append(one.at(x, asked.price))
            else:
                whole.append(one.answer(asked.price, self._solver))
        return tuple(whole), relaxed.basis


class Ask(Protocol):
    """Puts work to the programs of chunks, wherever these are."""

    def __call__(
        self, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """``work(programs, *given)`` for each job ``(number of the chunk, *given)``, in order.

        ``jobs``: by number of the chunk. ``work`` must depend on its arguments alone.
        """


def asked_here(chunks: Sequence[Chunk]) -> Ask:
    """The programs of all chunks, in this process."""
    programs = [Programs(chunk) for chunk in chunks]

    def ask(work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        yield from (work(programs[number], *given) for number, *given in jobs)

    return ask


def optimize_decomposed(
    community: Community,
    horizon: Horizon,
    asked: Callable[[Sequence[Chunk]], Ask] = asked_here,
) -> CommunityPlan:
    """The cheapest plans of all homes, with a proven lower bound, by prices.

    ``asked``: who answers, such as the workers of a cluster; by default this process. Raises
    ``InvalidSpec`` where a kWh sold earns more than one bought costs, ``Infeasible`` where a home
    or the connection cannot keep its limits. Very few homes over many steps may be left with a gap.
    """
    started = perf_counter()
    inside = community.inside(horizon)
    low, up = inside.export_eur_per_kwh, inside.import_eur_per_kwh
    if (low > up).any():
        step = int(np.argmax(low > up))
        raise InvalidSpec(
            f"decomposed: in step {step} a kWh sold earns {low[step]:g} € and one bought costs "
            f"{up[step]:g} €; such prices need the mode together"
        )
    limits_kwh = [
        horizon.energy_kwh(limit_kw) for limit_kw in community.connection.limits_kw(horizon.n_steps)
    ]
    beyond = np.where(np.isfinite(limits_kwh[1]), MOST_BEYOND_EUR_PER_KWH, 0.0)
    homes = community.with_fee(horizon)
    size = min(CHUNK, -(-len(homes) // GROUPS))
    chunks = [
        Chunk(
            homes=homes[first : first + size],
            horizon=inside,
            worth_at_least=low - beyond,
            solver=community.solver,
        )
        for first in range(0, len(homes), size)
    ]
    ask = asked(chunks)
    bus = _Bus(horizon=inside, limits_kwh=limits_kwh, solver=community.solver)
    relaxed = _search(bus, len(chunks), ask, Chosen(np.zeros(horizon.n_steps), 0.0))
    plans, chosen = _whole_plans(ask, relaxed)
    rounds, smooth = len(relaxed.rounds), relaxed
    if plans:
        smooth = _search(bus, len(chunks), ask, chosen, start=relaxed)
        rounds += len(smooth.rounds)
    for own in ask(Programs.mixed_plans, smooth.mixed()):
        plans |= own
    plan = CommunityPlan(
        mode="decomposed",
        horizon=horizon,
        homes=homes,
        connection=community.connection,
        plans={home.name: plans[home.name] for home in homes},
        shared=True,
        bound_eur=relaxed.bound_eur,
        price_eur_per_kwh=relaxed.price,
        solver_s=perf_counter() - started,
        rounds=rounds,
    )
    require_sound(plan)
    net_kw: Floats = np.sum([plan.plans[home.name].net_load_kw for home in homes], axis=0)
    broken = list(community.connection.audit(community.connection.settle(net_kw), horizon))
    if broken:
        raise Infeasible(
            f"decomposed: the homes together cannot keep the limits of the connection: {broken[0]}",
            {},
        )
    return plan


# --- the search for the price ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bus:
    """What the connection allows: its prices, and its limits of import and export [kWh a step]."""

    horizon: Horizon
    limits_kwh: Sequence[Floats]
    solver: Solver

    def planes(self, n_groups: int) -> CuttingPlanes:
        """No tangents yet."""
        return CuttingPlanes(
            self.horizon.export_eur_per_kwh,
            self.horizon.import_eur_per_kwh,
            n_groups,
            above_kwh=self.limits_kwh[0],
            below_kwh=self.limits_kwh[1],
            most_beyond=MOST_BEYOND_EUR_PER_KWH,
            step_h=self.horizon.step_h,
            solver=self.solver,
        )

    def outside_eur(self, price: Floats) -> float:
        """What the connection earns at most at a price outside the box [€]."""
        above = np.maximum(price - self.horizon.import_eur_per_kwh, 0.0)
        below = np.maximum(self.horizon.export_eur_per_kwh - price, 0.0)
        return sum(
            float(excess[excess > 0] @ limit_kwh[excess > 0])
            for excess, limit_kwh in zip((above, below), self.limits_kwh, strict=True)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """The best price, the bound that it proves, what was asked by round, and how answers mix.

    ``bases``: where the programs of each chunk may go on.
    """

    price: Floats
    bound_eur: float
    rounds: tuple[tuple[Question, ...], ...]
    shares: Floats
    bases: tuple[Bases, ...]

    def mixed(self) -> list[tuple[int, list[Question], Floats]]:
        """Of each chunk: its number, the questions whose answers are mixed, and their shares."""
        found = []
        for number, shares in enumerate(self.shares):
            used = np.flatnonzero(shares)
            found.append((number, [self.rounds[k][number] for k in used], shares[used]))
        return found


def _search(
    bus: _Bus, n_chunks: int, ask: Ask, chosen: Chosen, start: _Found | None = None
) -> _Found:
    """Move the price until the bounds meet, or ``MOST_ROUNDS`` times; the gap tells which.

    From ``start`` on only the homes without whole choices are asked.
    """
    planes, horizon = bus.planes(n_chunks), bus.horizon
    price = best = (
        start.price if start else 0.5 * (horizon.export_eur_per_kwh + horizon.import_eur_per_kwh)
    )
    bases: tuple[Bases, ...] = start.bases if start else ((None, None),) * n_chunks
    bound_eur, rounds = -np.inf, list[tuple[Question, ...]]()
    chosen_kwh = horizon.energy_kwh(chosen.net_load_kw)
    while len(rounds) < MOST_ROUNDS:
        rounds.append(
            tuple(Question(n, price, own, start is not None) for n, own in enumerate(bases))
        )
        answers = list(ask(Programs.tangent, [(asked.chunk, asked) for asked in rounds[-1]]))
        bases = tuple(answer.bases for answer in answers)
        planes.add([(a.net_load_kw, a.bound_eur) for a in answers], price, chosen_kwh)
        proven_eur = sum(answer.bound_eur for answer in answers) + chosen.own_eur
        proven_eur += float(price @ chosen_kwh) - bus.outside_eur(price)
        if proven_eur > bound_eur:
            best, bound_eur = price, proven_eur
        highest, height_eur = planes.highest()
        height_eur += chosen.own_eur
        if height_eur - bound_eur <= ENOUGH * max(abs(height_eur), 1e-2):
            break
        price = 0.5 * (best + highest)
    return _Found(
        price=best,
        bound_eur=bound_eur,
        rounds=tuple(rounds),
        shares=planes.shares(),
        bases=bases,
    )


# --- plans from shares ----------------------------------------------------------------------------


def _whole_plans(ask: Ask, found: _Found) -> tuple[dict[str, Plan], Chosen]:
    """The plans of all homes with whole choices, and what they come to."""
    plans: dict[str, Plan] = {}
    chosen = Chosen(np.zeros(len(found.price)), 0.0)
    for own, part in ask(Programs.whole_plans, found.mixed()):
        plans |= own
        chosen = Chosen(chosen.net_load_kw + part.net_load_kw, chosen.own_eur + part.own_eur)
    return plans, chosen


def _whole_turns(shares: Floats, count: int) -> list[int]:
    """Which answer each of ``count`` homes takes, by largest remainder.

    >>> _whole_turns(np.array([0.5, 0.3, 0.2]), 3)
    [0, 1, 2]
    """
    wanted = count * shares
    given = np.floor(wanted).astype(np.int64)
    order = np.argsort(given - wanted, kind="stable")
    given[order[: count - int(given.sum())]] += 1
    return [int(k) for k in np.repeat(np.arange(len(shares)), given)]
