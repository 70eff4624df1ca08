"""Pipeline C: how fast should habits be tracked, and is the learned habit any good?

For every device of a building: a grid of learning rates, each scored one day ahead by log loss
(bits per start) and by the learning score (JS to prior − 0.5 · mean JS of the step), and the best
cell by log loss next to its rivals on the same days. The best cell is chosen on the days it is
scored on, so its own figure is slightly optimistic; the rivals were not chosen. No plan is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.learning.habit import PmfUpdate
from ems.learning.priors import prior_named
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.rate import LearningRate, PriorName
from ems.learning.rivals import standard_models
from ems.learning.scores import (
    Estimate,
    LearningScore,
    ModelScores,
    SiteForecasts,
    contest,
    learning_score,
    prequential,
)
from ems.learning.search import GridResult, grid_search
from ems.learning.usage import LEARNABLE, UseHistory
from ems.pipelines.parallel import in_parallel
from ems.pipelines.spec import SearchSpec, require_workers
from ems.site.meters import Category


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceSearch:
    """One device from one prior: the whole grid, and its best cell next to the rivals.

    ``cell``: the best cell by log loss, ``log_loss`` with its interval [bit per start];
    ``by_learning_score``: the cell the learning score would choose, ``lost_bits``: the cost of that
    per start. ``rivals``: every model on the same days. ``forecasts`` and ``updates``: of the best
    cell; ``agent``: its model after the last day.
    """

    history: UseHistory
    prior: PriorName
    grid: GridResult
    cell: int
    log_loss: Estimate
    by_learning_score: int
    lost_bits: Estimate
    score: LearningScore
    rivals: Mapping[str, ModelScores]
    forecasts: SiteForecasts
    agent: ProbabilityModelAgent

    @property
    def rate(self) -> LearningRate:
        """The learning rate of the best cell by log loss."""
        return self.grid.rates[self.cell]

    @property
    def updates(self) -> tuple[PmfUpdate, ...]:
        """Every step of the best cell."""
        return self.forecasts.updates

    @property
    def gain_bits(self) -> Estimate:
        """Bits per start that the best cell saves against the uniform distribution."""
        return self.rivals[f"rate:{self.prior}"].gain_bits["uniform"]

    @property
    def verdict(self) -> str:
        """Whether learning beats knowing nothing, judged by the interval."""
        if self.gain_bits.low == self.gain_bits.high:
            return "too few starts to tell"
        if self.gain_bits.low > 0:
            return "learning beats uniform"
        return "uniform beats learning" if self.gain_bits.high < 0 else "no difference is proven"

    @property
    def disagreement(self) -> str:
        """Where the learning score would choose another cell, and why that is not better."""
        if self.by_learning_score == self.cell:
            return "both scores choose the same cell"
        ours, other = self.rate, self.grid.rates[self.by_learning_score]
        return (
            f"the learning score prefers lr_tau {other.lr_tau:g}, lr_max {other.lr_max:g}: it pays "
            f"for distance from the prior, whether or not people follow; that costs "
            f"{self.lost_bits} bits a start against lr_tau {ours.lr_tau:g}, lr_max {ours.lr_max:g}"
        )


def devices_of(
    histories: Mapping[str, UseHistory],
    *,
    target: str | None = None,
    categories: Sequence[Category] = LEARNABLE,
) -> list[UseHistory]:
    """The requested devices of the given categories.

    Raises ``DataError`` for a device the building lacks, listing those it has.
    """
    has = ", ".join(histories) or "none"
    if target is not None and target not in histories:
        raise DataError(f"no device {target!r} with a habit; the building has: {has}")
    names = list(histories) if target is None else [target]
    chosen = [histories[name] for name in names if histories[name].category in categories]
    if not chosen:
        raise DataError(
            f"no device of the categories {', '.join(categories)}; the building has: {has}"
        )
    return chosen


def within(history: UseHistory, start: date | None, n_days: int | None, n_train: int) -> UseHistory:
    """The known days of a window of ``n_days`` local days, and the ``n_train`` known days before.

    ``start`` None: the first day with so many before it; ``n_days`` None: to the end. Raises
    ``DataError`` if fewer are known before it, ``InvalidSpec`` if none is known within.
    """
    if not len(history):
        raise DataError(f"{history.who}: no known day; choose another device")
    if start is None and len(history) <= n_train:
        raise DataError(
            f"{history.who}: {len(history)} known days ({history.n_unknown} unknown), needed are "
            f"{n_train} to train and at least one to score"
        )
    first = start or history.days[n_train].item()
    last = history.days[-1].item() if n_days is None else first + timedelta(days=n_days - 1)
    days = history.days.astype(object)
    inside = (days >= first) & (days <= last)
    if not inside.any():
        raise InvalidSpec(
            f"{history.who}: no known day from {first} to {last}; known are "
            f"{history.days[0]} to {history.days[-1]}"
        )
    before = np.flatnonzero(days < first)
    if len(before) < n_train:
        raise DataError(
            f"{history.who}: {len(before)} known days before {first}, needed are {n_train} to "
            "train; start later"
        )
    inside[before[len(before) - n_train :]] = True
    return history.take(inside)


def search_device(
    history: UseHistory, others: Sequence[UseHistory], spec: SearchSpec
) -> Iterator[DeviceSearch]:
    """Search one device from every prior of ``spec``.

    ``others``: the same device in other buildings, for the ``transfer`` prior. Raises ``DataError``
    for too few days (how many there are and are needed) or a window without a single use.
    """
    for name in spec.priors:
        prior = prior_named(name, history, others)
        grid = grid_search([history], [prior], spec.rates, n_train=spec.n_train)
        cell, other = grid.best_by_log_loss(0), grid.best_by_learning_score(0)
        rate = grid.rates[cell]
        agent = ProbabilityModelAgent(
            device=history.device,
            place=history.place,
            prior=prior,
            rate=rate,
        )
        # Learned again outside the grid, which keeps no forecasts of its cells.
        forecasts = prequential(agent, history, n_train=spec.n_train)
        models = standard_models(history.device, history.place, [prior], rate)
        yield DeviceSearch(
            history=history,
            prior=name,
            grid=grid,
            cell=cell,
            log_loss=grid.log_loss_interval(cell, 0, seed=spec.seed),
            by_learning_score=other,
            lost_bits=grid.gain_bits(cell, other, 0, seed=spec.seed),
            score=learning_score(forecasts.updates),
            rivals=contest(models, history, n_train=spec.n_train, seed=spec.seed),
            forecasts=forecasts,
            agent=agent,
        )


def search_devices(
    devices: Sequence[UseHistory],
    everywhere: Sequence[UseHistory],
    spec: SearchSpec,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[list[DeviceSearch]]:
    """Search many devices, in order, on ``workers`` processes; the result does not depend on it.

    With ``scheduler`` the devices are searched on the Dask cluster at that address.
    """
    require_workers(workers)
    jobs = [
        (device, [other for other in everywhere if other.device == device.device], spec)
        for device in devices
    ]
    yield from in_parallel(_search, jobs, workers, scheduler)


def _search(
    device: UseHistory, others: Sequence[UseHistory], spec: SearchSpec
) -> list[DeviceSearch]:
    return list(search_device(device, others, spec))
