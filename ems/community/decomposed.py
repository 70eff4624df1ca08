"""The optimum of very many homes, found by a price that they answer.

λ(t) is the price of the bus, p_out ≤ λ ≤ p_in − f. At each λ every home solves its own program,
with import at λ + f and export at λ. What they pay at least, D(λ) = Σ bound, is a proven lower
bound of the community's cost for every λ, since the connection can always trade at p_out and at
p_in − f. Tangents of D (``ems.core.cutting_planes``) move λ, each time half-way from the best price
so far, and their duals say how the answers mix: what stores and other continuous choices do is
mixed; whole choices (the start of a machine) are taken from one answer each, by largest remainder.
With those fixed all homes are asked again, since their stores can make up for what was rounded. The
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
ROUNDS_A_STEP = 3
"""At most so many prices are asked for each step, and a day's worth: few homes over many steps cut
once a home and round, and a point among n prices is held by n tangents."""
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

    ``smooth``: the homes without whole choices, together; ``whole``: each of the others, or all of
    them together once they have chosen; ``others``: where they would go on, all together.
    """

    smooth: Answer
    whole: tuple[Answer, ...] = ()
    others: Basis | None = None

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
        return self.smooth.basis, self.others


class Question(NamedTuple):
    """What a chunk is asked: its number, the price of the bus [€/kWh], where its programs go on.

    ``chosen``: by the homes with whole choices, None as long as these are free.
    """

    chunk: int
    price: Floats
    bases: Bases
    chosen: Floats | None = None


class Tangent(NamedTuple):
    """What the search needs of an answer: net load [kW], bound [€], where programs may go on."""

    net_load_kw: Floats
    bound_eur: float
    bases: Bases


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
        if not self.whole:
            return ChunkAnswer(smooth=smooth)
        if asked.chosen is not None:
            settled = self._settled_answer(asked, asked.chosen)
            return ChunkAnswer(smooth=smooth, whole=(settled,), others=settled.basis)
        whole, others = self._whole_answers(asked)
        return ChunkAnswer(smooth=smooth, whole=whole, others=others)

    def tangent(self, asked: Question) -> Tangent:
        """What the search needs of the answer."""
        answer = self.answer(asked)
        return Tangent(answer.net_load_kw, answer.bound_eur, answer.bases)

    def choices(self, asked: Sequence[Question], shares: Floats) -> Floats:
        """What is chosen where each home with whole choices takes one answer, in its share of all.

        Empty if there are none.
        """
        turns = _whole_turns(shares, len(self.whole))
        answers = {turn: self._whole_answers(asked[turn])[0] for turn in sorted(set(turns))}
        chosen = [
            one.choices(answers[turn][place].x)
            for place, (turn, one) in enumerate(zip(turns, self.whole, strict=True))
        ]
        return np.concatenate([np.zeros(0), *chosen])

    def mixed_plans(self, asked: Sequence[Question], shares: Floats) -> dict[str, Plan]:
        """The mean of the answers, where everything whole is chosen."""
        mix = list(zip(asked, shares, strict=True))
        smooth = np.sum([share * self._smooth_answer(one).x for one, share in mix], axis=0)
        plans = self.smooth.plans(smooth)
        if self.whole:
            others = [
                share * self._settled_answer(one, one.chosen).x
                for one, share in mix
                if one.chosen is not None
            ]
            plans |= self._relaxed.plans(np.sum(others, axis=0))
        return plans

    def _smooth_answer(self, asked: Question) -> Answer:
        return self.smooth.answer(asked.price, self._solver, asked.bases[0])

    def _settled_answer(self, asked: Question, chosen: Floats) -> Answer:
        """Of all homes with whole choices, once they have chosen."""
        settled = self._relaxed.settled(chosen)
        return settled.answer(asked.price, self._solver, asked.bases[1])

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
    or the connection cannot keep its limits. Few homes over many steps take many rounds.
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
    free = _search(bus, ask, _Start.of(inside, len(chunks)))
    rounds, found = len(free.rounds), free
    chosen = list(ask(Programs.choices, free.mixed()))
    if any(len(own) for own in chosen):
        found = _search(bus, ask, free.settled(chosen))
        rounds += len(found.rounds)
    plans: dict[str, Plan] = {}
    for own in ask(Programs.mixed_plans, found.mixed()):
        plans |= own
    plan = CommunityPlan(
        mode="decomposed",
        horizon=horizon,
        homes=homes,
        connection=community.connection,
        plans={home.name: plans[home.name] for home in homes},
        shared=True,
        bound_eur=free.bound_eur,
        price_eur_per_kwh=free.price,
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


class _Start(NamedTuple):
    """What a search begins with: a price, and of each chunk its bases and what it has chosen."""

    price: Floats
    bases: tuple[Bases, ...]
    chosen: Sequence[Floats | None]

    @classmethod
    def of(cls, horizon: Horizon, n_chunks: int) -> _Start:
        """Half-way in the box of prices, with nothing chosen."""
        half = 0.5 * (horizon.export_eur_per_kwh + horizon.import_eur_per_kwh)
        return cls(half, ((None, None),) * n_chunks, (None,) * n_chunks)


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

    def settled(self, chosen: Sequence[Floats]) -> _Start:
        """From the best price on, where the homes with whole choices have chosen."""
        bases = tuple((smooth, None) for smooth, _ in self.bases)
        return _Start(self.price, bases, chosen)


def _search(bus: _Bus, ask: Ask, start: _Start) -> _Found:
    """Move the price until the bounds meet, or long enough; the gap tells which."""
    planes = bus.planes(len(start.bases))
    price = best = start.price
    bases = start.bases
    bound_eur, rounds = -np.inf, list[tuple[Question, ...]]()
    while len(rounds) < ROUNDS_A_STEP * max(len(price), 48):
        rounds.append(
            tuple(
                Question(n, price, own, chosen)
                for n, (own, chosen) in enumerate(zip(bases, start.chosen, strict=True))
            )
        )
        answers = list(ask(Programs.tangent, [(asked.chunk, asked) for asked in rounds[-1]]))
        bases = tuple(answer.bases for answer in answers)
        planes.add([(a.net_load_kw, a.bound_eur) for a in answers], price)
        proven_eur = sum(answer.bound_eur for answer in answers) - bus.outside_eur(price)
        if proven_eur > bound_eur:
            best, bound_eur = price, proven_eur
        highest, height_eur = planes.highest()
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
