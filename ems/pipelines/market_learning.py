"""Bidders that practise on one year of a market and are scored on the weeks after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ems.errors import InvalidSpec
from ems.market.learning.observe import kind_of
from ems.market.learning.policy import Policy, load_policy
from ems.market.learning.score import Score, score
from ems.market.learning.series import AuctionSeries
from ems.market.learning.train import Algorithm, Progress, Training, train
from ems.market.learning.twin_market import HOURS_LEARNED, twin_market
from ems.site.meters import MeterData

WEEK_STEPS = 168
ALGORITHMS: Mapping[str, Algorithm] = {"plant": "dqn", "store": "sac", "load": "td3"}
"""How each kind of bidder learns."""


@dataclass(frozen=True, kw_only=True)
class PractiseSpec:
    """Who learns, how often and how long. Raises ``InvalidSpec``.

    ``seeds``: of the trainings, one policy each. ``n_steps``: auctions of a training;
    ``n_pieces``: it is kept so many times on the way.
    """

    bidders: tuple[str, ...] = ("coal_plant_1", "store_1", "heat_pumps_1")
    seeds: tuple[int, ...] = (0,)
    n_steps: int = HOURS_LEARNED
    n_pieces: int = 4

    def __post_init__(self) -> None:
        if not self.bidders or not self.seeds:
            raise InvalidSpec("PractiseSpec: bidders and seeds must name at least one each")
        if not 1 <= self.n_pieces <= self.n_steps:
            raise InvalidSpec(
                f"PractiseSpec: n_pieces is {self.n_pieces}, must lie in 1 … {self.n_steps}, the "
                "steps of a training"
            )


def split_market(histories: Sequence[MeterData]) -> tuple[AuctionSeries, AuctionSeries]:
    """The year that is practised on, and the whole weeks that are kept for the score."""
    series = twin_market(histories)
    n_weeks = (series.n_steps - HOURS_LEARNED) // WEEK_STEPS
    last = HOURS_LEARNED + n_weeks * WEEK_STEPS
    return series.window(0, HOURS_LEARNED), series.window(HOURS_LEARNED, last)


def file_of(folder: Path, bidder: str, seed: int) -> Path:
    """Where a policy is kept."""
    return folder / f"{bidder}_{seed}.npz"


def practise(
    spec: PractiseSpec,
    year: AuctionSeries,
    folder: Path,
    progress: Callable[[str, int], Progress],
) -> Iterator[tuple[int, Policy, Path]]:
    """Seed, policy and file of every training; one that was broken off goes on where it was kept.

    ``progress``: what is told of a bidder and seed. Raises ``InvalidSpec`` and ``DataError``.
    """
    kinds = {bidder: kind_of(year, bidder) for bidder in spec.bidders}
    for bidder, kind in kinds.items():
        for seed in spec.seeds:
            training = Training(
                series=year,
                bidder=bidder,
                algorithm=ALGORITHMS[kind],
                seed=seed,
                n_steps=spec.n_steps,
                piece_steps=-(-spec.n_steps // spec.n_pieces),
                episode_steps=WEEK_STEPS,
            )
            policy = train(training, folder / f"{bidder}_{seed}", progress(bidder, seed))
            file = file_of(folder, bidder, seed)
            policy.save(file)
            yield seed, policy, file


def scored(spec: PractiseSpec, weeks: AuctionSeries, folder: Path) -> Iterator[Score]:
    """Every policy of a folder on weeks it has not seen. Raises ``InvalidSpec``."""
    starts = WEEK_STEPS * np.arange(weeks.n_steps // WEEK_STEPS)
    for bidder in spec.bidders:
        for seed in spec.seeds:
            policy = load_policy(file_of(folder, bidder, seed), weeks)
            yield score(policy, weeks, seed, starts, WEEK_STEPS)
