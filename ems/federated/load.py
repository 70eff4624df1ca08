"""Networks behind the forecaster interface: one that learns alone, one that learned together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from ems.errors import DataError, InvalidSpec
from ems.federated.inputs import Examples, Inputs, Scale
from ems.federated.network import TrainSpec, Weights, initial_weights, predict, trained
from ems.forecast.learned import MIN_DAYS
from ems.forecast.series import Forecast, Series
from ems.types import Instants, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class LearnedWeights:
    """Weights, and the scale of the home that uses them."""

    weights: Weights
    scale: Scale


@dataclass(frozen=True, kw_only=True)
class NetworkLoad:
    """A network that learns from its own home alone, ``rounds`` times ``train.steps`` steps."""

    needs_days: ClassVar[int] = MIN_DAYS
    train: TrainSpec = field(default_factory=TrainSpec)
    rounds: int = 20
    learned: LearnedWeights | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"own {self.train.network}"

    def fit(self, series: Series, until: int) -> Self:
        """Learn from the steps before ``until``. ``DataError`` if under ``MIN_DAYS``."""
        scale = Scale.of(series, until, self.name)
        examples = Examples.of(series, scale, until)
        weights = initial_weights(self.train)
        for round_no in range(1, self.rounds + 1):
            weights, _ = trained(self.train, weights, examples, round_no)
        return replace(self, learned=LearnedWeights(weights=weights, scale=scale))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``."""
        return _forecast(self.name, self.train, self.learned, series, origins, n_steps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Federation:
    """Global weights, and the instant before which everything they learned from lies.

    ``losses``: mean loss of each round; ``homes``: who took part.
    """

    label: str
    train: TrainSpec
    until_utc: np.datetime64
    weights: Weights
    losses: tuple[float, ...]
    homes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FederatedLoad:
    """The newest weights that were learned together before a plan, scaled to its own home.

    ``own_rounds``: rounds that the home goes on alone (personal weights).
    """

    needs_days: ClassVar[int] = MIN_DAYS
    federations: tuple[Federation, ...]
    own_rounds: int = 0
    learned: LearnedWeights | None = None

    def __post_init__(self) -> None:
        if not self.federations:
            raise InvalidSpec("federated load: no federation is given; give at least one")
        if any(one.train != self.federations[0].train for one in self.federations):
            raise InvalidSpec("federated load: federations of different trainings; give one kind")

    @property
    def name(self) -> str:
        """Name in tables."""
        own = " + own rounds" if self.own_rounds else ""
        return f"{self.federations[0].label} {self._train.network}{own}"

    @property
    def _train(self) -> TrainSpec:
        return self.federations[0].train

    def fit(self, series: Series, until: int) -> Self:
        """Take the newest weights that know nothing from ``until`` on.

        Raises ``DataError`` if there are none, or too little history for the scale.
        """
        now_utc = _instant(series, until)
        before = [one for one in self.federations if one.until_utc <= now_utc]
        if not before:
            first = min(one.until_utc for one in self.federations)
            raise DataError(
                f"{series.who}: the first federation knows what happened until {first}Z, the plan "
                f"is made at {now_utc}Z; federate until then, or plan later"
            )
        newest = max(before, key=lambda one: one.until_utc)
        scale = Scale.of(series, until, self.name)
        weights = newest.weights
        if self.own_rounds:
            examples = Examples.of(series, scale, until)
            first_round = len(newest.losses) + 1
            for round_no in range(first_round, first_round + self.own_rounds):
                weights, _ = trained(self._train, weights, examples, round_no)
        return replace(self, learned=LearnedWeights(weights=weights, scale=scale))

    def forecast(self, series: Series, origins: Ints, n_steps: int) -> Forecast:
        """Quantiles of ``n_steps`` from each of the increasing ``origins``."""
        return _forecast(self.name, self._train, self.learned, series, origins, n_steps)


def until_step(series: Series, until_utc: np.datetime64) -> int:
    """The first step of ``series`` that starts at or after ``until_utc``."""
    return int(np.searchsorted(series.ts_utc, until_utc))


def _instant(series: Series, step: int) -> np.datetime64:
    at: Instants = series.ts_utc[:1] + step * np.timedelta64(round(series.step_h * 3600), "s")
    return np.datetime64(at[0], "s")


def _forecast(
    name: str,
    train: TrainSpec,
    learned: LearnedWeights | None,
    series: Series,
    origins: Ints,
    n_steps: int,
) -> Forecast:
    if learned is None:
        raise DataError(f"{series.who}: {name} has learned nothing; call fit first")
    inputs = Inputs.of(series, learned.scale, origins, n_steps)
    z = predict(train, learned.weights, inputs)
    values = np.maximum(learned.scale.mean + learned.scale.deviation * z, series.least)
    return Forecast(
        who=series.who,
        unit=series.unit,
        model=name,
        origins=origins,
        values=values,
        least=series.least,
    )
