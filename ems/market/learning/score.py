"""How good a bidder is: its money against honest bidding and against what is provably best.

score = (profit − honest) / (best − honest): 0 is no better than honest, 1 the best there is.
"Better than untrained" is shown beside it, since it says nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.market.learning.best_response import load_bound, plant_profits, store_optimum
from ems.market.learning.observe import Spaces, ahead, kind_of, observe
from ems.market.learning.policy import Policy
from ems.market.learning.series import AuctionSeries, Runs
from ems.types import Floats, Ints

Behaviour = Callable[[Runs], Floats]
"""What a bidder does next in each run, ``(n_runs,)``, as ``Runs.advance`` takes it."""
N_RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """Runs that were played to their end: money [k€] and prices [ticks], ``(n_runs, n_steps)``."""

    money_keur: Floats
    price: Ints

    @property
    def total_keur(self) -> Floats:
        """Of each run, ``(n_runs,)``."""
        total: Floats = self.money_keur.sum(axis=1)
        return total


def play(
    series: AuctionSeries,
    name: str,
    starts: Ints,
    n_steps: int,
    behaviours: Mapping[str, Behaviour],
) -> Played:
    """Play runs of ``n_steps`` from ``starts``; the money of ``name``. Others are honest."""
    if not len(starts) or starts.min() < 0 or starts.max() + n_steps > series.n_steps:
        raise InvalidSpec(
            f"play: runs of {n_steps} steps from {starts.tolist()} do not fit the "
            f"{series.n_steps} steps of {series.name}"
        )
    runs, money = Runs(series, starts), []
    for _ in range(n_steps):
        actions = {bidder: behave(runs) for bidder, behave in behaviours.items()}
        money.append(runs.advance(actions)[name])
    return Played(money_keur=np.column_stack(money), price=np.column_stack(runs.new_prices))


def follow(policy: Policy) -> Behaviour:
    """Do what a policy says."""
    return lambda runs: policy.act(observe(runs, policy.spaces, policy.bidder))


def at_random(series: AuctionSeries, name: str, spaces: Spaces, seed: int) -> Behaviour:
    """Any action as likely as any other: what an untrained bidder of this kind does."""
    draw, kind = np.random.default_rng(seed), kind_of(series, name)
    if kind == "plant":
        prices = spaces.prices(series)
        return lambda runs: draw.choice(prices, len(runs.at)).astype(np.float64)
    low = -1.0 if kind == "store" else 0.0
    return lambda runs: draw.uniform(low, 1.0, len(runs.at))


def by_rule(series: AuctionSeries, name: str, spaces: Spaces) -> Behaviour:
    """The rule of a kind: raise if marginal and lower if rejected, two thresholds, or shifting."""
    kind = kind_of(series, name)
    if kind == "plant":
        return raise_if_marginal(series, name, spaces)
    return two_thresholds if kind == "store" else shift


def raise_if_marginal(series: AuctionSeries, name: str, spaces: Spaces) -> Behaviour:
    """A step up where its own offer was the price, a step down (not below cost) where rejected."""
    place = [plant.name for plant in series.plants].index(name)
    prices, cost = spaces.prices(series), series.plants[place].cost

    def behave(runs: Runs) -> Floats:
        offer = runs.last_offer[:, place]
        if not runs.new_prices:
            return offer.astype(np.float64)
        up = prices[np.minimum(np.searchsorted(prices, offer, side="right"), len(prices) - 1)]
        down = prices[np.maximum(np.searchsorted(prices, offer) - 1, 0)]
        sold = runs.last_kw[:, place] > 0
        marginal = sold & (offer == runs.new_prices[-1])
        lower = np.where(sold, offer, np.maximum(down, cost))
        new: Floats = np.where(marginal, up, lower).astype(np.float64)
        return new

    return behave


def _coming_day(runs: Runs) -> Floats:
    """How tight the coming 24 hours are, this step first, ``(n_runs, steps of a day)``."""
    return ahead(runs.series, runs.at, max(round(24.0 / runs.series.step_h), 1))


def two_thresholds(runs: Runs) -> Floats:
    """Buy at full power in the slackest quarter of the coming day, sell in the tightest."""
    day = _coming_day(runs)
    low, high = np.quantile(day, [0.25, 0.75], axis=1)
    now = day[:, 0]
    act = np.where(now <= low, 1.0, np.where(now >= high, -1.0, 0.0))
    return np.asarray(np.where(low < high, act, 0.0), dtype=np.float64)


def shift(runs: Runs) -> Floats:
    """Take all that waits in the slacker half of the coming day, nothing in the other."""
    day = _coming_day(runs)
    return np.asarray(day[:, 0] <= np.median(day, axis=1), dtype=np.float64)


def best_possible(
    series: AuctionSeries, name: str, spaces: Spaces, played: Played, starts: Ints
) -> Floats:
    """What is provably best, or a bound that is above it, for each run [k€], ``(n_runs,)``.

    A store and a load: at the prices of ``played``.
    """
    kind, n_steps = kind_of(series, name), played.price.shape[1]
    if kind == "plant":
        best = plant_profits(series, name, spaces.prices(series)).max(axis=1)
        return np.array([best[start : start + n_steps].sum() for start in starts])
    place = series.names.index(name) - len(series.plants)
    if kind == "store":
        start_kwh = series.stores[place].initial_soc_kwh
        found = [
            store_optimum(series, place, price, int(start), start_kwh)
            for start, price in zip(starts, played.price, strict=True)
        ]
    else:
        load = place - len(series.stores)
        found = [load_bound(series, load, price) for price in played.price]
    return np.array(found)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One bidder over all runs, each figure the mean of a run [k€]; ``seed`` of its training."""

    bidder: str
    seed: int
    trained_keur: float
    untrained_keur: float
    honest_keur: float
    rule_keur: float
    best_keur: float

    @property
    def score(self) -> float:
        """(trained − honest)/(best − honest); not a number where honest is best."""
        return relative(self.trained_keur, self.honest_keur, self.best_keur)

    @property
    def of_best(self) -> float:
        """Trained over best."""
        return self.trained_keur / self.best_keur if self.best_keur else float("nan")


def relative(profit: float, honest: float, best: float) -> float:
    """(profit − honest)/(best − honest), nan where honest is best within 10⁻⁹ k€."""
    return (profit - honest) / (best - honest) if best - honest > 1e-9 else float("nan")


def score(policy: Policy, series: AuctionSeries, seed: int, starts: Ints, n_steps: int) -> Score:
    """The policy against the others on runs that it has not seen. Raises ``InvalidSpec``."""
    if policy.fingerprint != series.fingerprint:
        raise InvalidSpec(
            f"score: the policy of {policy.bidder} was learned for another market than "
            f"{series.name}; train it on this one"
        )
    name, spaces = policy.bidder, policy.spaces
    behaviours: dict[str, Mapping[str, Behaviour]] = {
        "trained": {name: follow(policy)},
        "untrained": {name: at_random(series, name, spaces, seed)},
        "honest": {},
        "rule": {name: by_rule(series, name, spaces)},
    }
    played = {what: play(series, name, starts, n_steps, how) for what, how in behaviours.items()}
    best = best_possible(series, name, spaces, played["trained"], starts)
    return Score(
        bidder=name,
        seed=seed,
        best_keur=float(best.mean()),
        **{f"{what}_keur": float(one.total_keur.mean()) for what, one in played.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def interquartile_mean(values: Floats, seed: int = 0) -> Interval:
    """Mean of the middle half, with a percentile bootstrap over the values.

    Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice (2021),
    arXiv:2108.13264. Raises ``InvalidSpec`` for no values, or one that is not finite.
    """
    if not values.size or not np.isfinite(values).all():
        raise InvalidSpec("interquartile_mean: there must be at least one value, all finite")
    drawn = np.random.default_rng(seed).choice(values, (N_RESAMPLES, len(values)))
    low, high = np.quantile(_middle(drawn), [0.025, 0.975])
    return Interval(mean=float(_middle(values[None])[0]), low=float(low), high=float(high))


def _middle(rows: Floats) -> Floats:
    """Mean of the middle half of each row; a quarter of the values off each end."""
    cut = rows.shape[1] // 4
    middle: Floats = np.sort(rows, axis=1)[:, cut : rows.shape[1] - cut].mean(axis=1)
    return middle
