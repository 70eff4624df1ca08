"""Specifications of the pipelines, validated on creation.

Without heavy imports: the command lines read their defaults here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from ems.core.mode import Dispatch, Mode
from ems.core.solver import Solver
from ems.economics.tariff import Tariff
from ems.errors import InvalidSpec
from ems.learning.rate import MIN_TRAIN_DAYS, LearningRate, PriorName
from ems.site.assets import Assets

BASELINES: tuple[Mode, ...] = ("as_metered", "rule_based")
RULES: tuple[Mode, ...] = ("self_consumption", "timer", "price_threshold")
"""The rules of which ``rule_based`` is the best."""
PLANNED: tuple[Mode, ...] = ("decentralized", "centralized", "centralized_phases")
UNPLANNED: tuple[Mode, ...] = ("as_metered", *RULES, "rule_based")
"""Modes that nobody plans."""
MODES: tuple[Mode, ...] = (*BASELINES, *PLANNED, "perfect_foresight")
"""Modes that every run can show."""
SINGLE_ERRORS: tuple[Mode, ...] = (
    "pv_unknown",
    "load_unknown",
    "price_unknown",
    "devices_unknown",
)
"""Modes that runs on forecasts add: the cost of not knowing one thing."""
ForesightName = Literal["perfect", "forecast"]
Risk = Literal["neutral", "hedged"]
HISTORY_DAYS = 56
"""Forecasters need four weeks to train; with eight the first forecasts are useful."""
LEARN_DAYS = 28
"""Forecasters learn anew after this many days."""
KNOWN_SHARE = 0.75
"""Share of those days that must be known: a meter that starts with a gap teaches nothing."""
FORECASTERS = ("learned", "persistence", "lstm")


@dataclass(frozen=True, kw_only=True)
class ComparisonSpec:
    """What is compared, and how.

    ``modes``: the planned modes, from ``PLANNED``. As metered, the rules, the best of them and the
    optimum of all days with everything known on the first morning (``perfect_foresight``) always
    run.
    ``lookahead_h``: hours that a plan looks beyond the committed day [h].
    ``phase_h``: length of a phase of ``centralized_phases`` [h].
    ``foresight``: whether plans know the truth or use forecasts by ``forecaster``.
    ``dispatch``: how stores execute set-points, following them or balancing errors.
    ``risk``: ``neutral`` plans for the mean; ``hedged`` plans the centralized modes for
    ``n_scenarios`` scenarios at once, drawn with ``scenario_seed``.
    """

    tariff: Tariff
    assets: Assets = field(default_factory=Assets)
    modes: tuple[Mode, ...] = PLANNED
    solver: Solver = field(default_factory=Solver)
    lookahead_h: float = 24.0
    phase_h: float = 6.0
    foresight: ForesightName = "perfect"
    forecaster: str = "learned"
    dispatch: Dispatch = "setpoints"
    risk: Risk = "neutral"
    n_scenarios: int = 10
    scenario_seed: int = 0

    def __post_init__(self) -> None:
        for mode in self.modes:
            if mode not in PLANNED:
                raise InvalidSpec(f"mode is {mode!r}, allowed are {', '.join(PLANNED)}")
        if len(set(self.modes)) < len(self.modes):
            raise InvalidSpec(f"modes are {', '.join(self.modes)}: name each once")
        if not 0 <= self.lookahead_h <= 24:
            raise InvalidSpec(f"lookahead_h is {self.lookahead_h}, allowed is 0 to 24")
        if not 0 < self.phase_h <= 24:
            raise InvalidSpec(f"phase_h is {self.phase_h}, allowed is 0 < phase_h <= 24")
        if self.risk == "hedged" and self.foresight == "perfect":
            raise InvalidSpec(
                "risk is hedged, but with perfect foresight there is none; plan on forecasts or "
                "leave it neutral"
            )
        if not 5 <= self.n_scenarios <= 20:
            raise InvalidSpec(f"n_scenarios is {self.n_scenarios}, allowed is 5 to 20")
        if self.forecaster not in FORECASTERS:
            known = ", ".join(FORECASTERS)
            raise InvalidSpec(f"forecaster is {self.forecaster!r}, allowed are {known}")

    @property
    def history_days(self) -> int:
        """Days required before a default first day, to train forecasters."""
        return HISTORY_DAYS if self.foresight == "forecast" else 0

    @property
    def all_modes(self) -> tuple[Mode, ...]:
        """Without planning, the planned modes, and the optimum of all days at once.

        On forecasts also the cost of each single error for the last mode, and the perfect plan.
        """
        if self.foresight == "perfect":
            return (*UNPLANNED, *self.modes, "perfect_foresight")
        return (
            *UNPLANNED,
            "value_based",
            *self.modes,
            *SINGLE_ERRORS,
            "centralized_perfect",
            "perfect_foresight",
        )


def foresight_words(foresight: str, forecaster: str) -> str:
    """Label of every result: an upper bound, or made on forecasts."""
    if foresight == "perfect":
        return "perfect foresight: upper bound"
    return f"planned on {forecaster} forecasts"


COST_ONLY, HABIT_ONLY = "cost-only", "habit-only"


@dataclass(frozen=True, kw_only=True)
class Controller:
    """One way to weigh comfort against cost."""

    name: str
    weight_eur: float
    movable: bool = True


@dataclass(frozen=True, kw_only=True)
class IntegratedSpec:
    """What is learned and weighed.

    ``base``: tariff, assets, mode and solver; exactly one planned mode. ``weights_eur``: the
    weights of the frontier [€ per start]; 0 is ``cost-only``. ``prior``: ``uniform`` or
    ``learned``.
    """

    base: ComparisonSpec
    weights_eur: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
    prior: str = "uniform"
    rate: LearningRate = field(default_factory=LearningRate)

    def __post_init__(self) -> None:
        if len(self.base.modes) != 1:
            raise InvalidSpec(
                f"modes are {', '.join(self.base.modes)}: Pipeline B plans one mode at a time"
            )
        if not self.weights_eur or not all(0 <= w < np.inf for w in self.weights_eur):
            raise InvalidSpec(
                f"preference_eur is {self.weights_eur}, allowed are finite numbers >= 0"
            )
        if len(set(self.weights_eur)) < len(self.weights_eur):
            raise InvalidSpec(f"preference_eur is {self.weights_eur}: name each weight once")
        if self.prior not in ("uniform", "learned"):
            raise InvalidSpec(f"prior is {self.prior!r}, allowed are uniform and learned")

    @property
    def controllers(self) -> tuple[Controller, ...]:
        """Cost-only, the weights in increasing order, and habit-only."""
        weights = sorted({0.0, *self.weights_eur})
        ours = [
            Controller(name=COST_ONLY if w == 0 else f"w = {w:g} €", weight_eur=w) for w in weights
        ]
        return (*ours, Controller(name=HABIT_ONLY, weight_eur=0.0, movable=False))


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """What is searched.

    ``rates``: the cells of the grid. ``priors``: priors to search, each in turn. ``n_train``: known
    days that only train. ``seed``: of the bootstrap intervals.
    """

    rates: tuple[LearningRate, ...]
    priors: tuple[PriorName, ...] = ("uniform",)
    n_train: int = MIN_TRAIN_DAYS
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rates:
            raise InvalidSpec("grid: no learning rates, give at least one of lr_tau and lr_max")
        if not self.priors or len(set(self.priors)) < len(self.priors):
            raise InvalidSpec(f"priors are {self.priors}: name at least one, each once")


def require_workers(workers: int, scheduler: str | None = None) -> None:
    """Raise ``InvalidSpec`` for too many processes, or for several next to a scheduler."""
    # More than cores is allowed, since workers also wait; far more is a typing error.
    most = 4 * (os.cpu_count() or 1)
    if not 1 <= workers <= most:
        raise InvalidSpec(f"workers is {workers}, allowed is 1 to {most} on this machine")
    if scheduler is None:
        return
    require_address(scheduler)
    if workers != 1:
        raise InvalidSpec(
            f"workers is {workers}, but the scheduler has workers of its own: give one"
        )


def require_address(scheduler: str) -> None:
    """Raise ``InvalidSpec`` unless it has the form of a scheduler's address."""
    try:
        parts = urlsplit(scheduler)
        good = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:  # an invalid port
        good = False
    if not good or parts.path:
        raise InvalidSpec(f"scheduler is '{scheduler}', allowed is tcp://HOST:PORT or tls://…")
