"""``ProbabilityModelAgent``: habits tracked day by day with an adaptive learning rate.

One PMF P for each day type. A day with own starts moves it towards that day's starts L::

    P ← P + α·(L − P)
    α = clip(1/(n + lr_tau) · (1 + min(50·r, 0.5)), lr_min, lr_max)

n is the number of updates of this PMF so far, r the mean Jensen–Shannon *distance* of its last five
steps (0 before the first): a moving habit is followed faster. It is the distance, not the
divergence: the mean step of a real device is 0.004–0.06 long, so the bracket ranges from 1.2 to
1.5; with the divergence, its square, it would hardly leave 1.

Use is learned by the same rule without the bracket: the probability of use from every known day of
the type, the number of starts from every used one.

While α is not clipped and r is 0, the rule equals Dirichlet–multinomial counting of days with a
prior worth lr_tau − 1 of them; lr_min makes it forget.

A PMF moved away from an hour a hundred times with α = lr_max gives that hour almost no probability,
so a start there would cost arbitrarily many bits. ``predict`` therefore mixes in ``uniform_share``
of the uniform distribution.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ems.errors import InvalidSpec
from ems.learning.habit import Habit, PmfUpdate
from ems.learning.pmf import UNIFORM, entropy_bits, js_distance, validated
from ems.learning.priors import Prior
from ems.learning.rate import LearningRate
from ems.learning.usage import DayUse
from ems.site.calendar import DAY_TYPES, day_type_index
from ems.site.place import Place
from ems.types import Floats

N_RECENT = 5
"""Number of last steps averaged for r."""

JS_GAIN = 50.0
MOST_GAIN = 0.5


class ProbabilityModelAgent:
    """The habits of one device at a place, whose holidays define the day types; mutable.

    The constructor only stores; before the first day the model returns its prior.
    """

    def __init__(
        self, *, device: str, place: Place, prior: Prior, rate: LearningRate | None = None
    ) -> None:
        self.device, self.place = device, place
        self.prior, self.rate = prior, rate or LearningRate()
        n_types = len(DAY_TYPES)
        # Copied: updates are in place, and the prior is shared by devices.
        self._hours: Floats = prior.hours.copy()
        self._n: NDArray[np.int64] = np.zeros(n_types, dtype=np.int64)
        self._recent: Floats = np.zeros((n_types, N_RECENT))
        self._use: Floats = prior.use_probability.copy()
        self._n_days: NDArray[np.int64] = np.zeros(n_types, dtype=np.int64)
        self._mean_starts: Floats = prior.mean_starts.copy()
        self._n_used: NDArray[np.int64] = np.zeros(n_types, dtype=np.int64)

    def train(self, runs: Iterable[DayUse]) -> tuple[PmfUpdate, ...]:
        """Learn known days in order; returns every step that moved a PMF."""
        return tuple(step for day in runs if (step := self.update(day)) is not None)

    def update(self, day: DayUse) -> PmfUpdate | None:
        """Learn one day; None if it had no own start, so that no hour was learned."""
        self._learn_use(day)
        own = day.own_starts
        return self._learn_hours(day, own) if own > 0.0 else None

    def predict(self, day: date) -> Habit:
        """The prediction for ``day``; its hours contain ``uniform_share`` of the uniform PMF."""
        kind = day_type_index(day, self.place)
        return Habit(
            day=day,
            day_type=DAY_TYPES[kind],
            hours=mixed(self._hours[kind], self.rate.uniform_share),
            use_probability=float(self._use[kind]),
            mean_starts=float(self._mean_starts[kind]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The complete state as plain values (JSON)."""
        prior = {
            "name": self.prior.name,
            "hours": self.prior.hours.tolist(),
            "use_probability": self.prior.use_probability.tolist(),
            "mean_starts": self.prior.mean_starts.tolist(),
        }
        state = {name: getattr(self, f"_{name}").tolist() for name in _STATE}
        return {
            "device": self.device,
            "place": asdict(self.place),
            "prior": prior,
            "rate": asdict(self.rate),
            "state": state,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> ProbabilityModelAgent:
        """The agent described by ``to_dict``. Raises ``InvalidSpec`` for anything else."""
        try:
            prior = Prior(
                name=saved["prior"]["name"],
                hours=np.array(saved["prior"]["hours"]),
                use_probability=np.array(saved["prior"]["use_probability"]),
                mean_starts=np.array(saved["prior"]["mean_starts"]),
            )
            agent = cls(
                device=saved["device"],
                place=Place(**saved["place"]),
                prior=prior,
                rate=LearningRate(**saved["rate"]),
            )
            for name in _STATE:
                agent._restore(name, saved["state"][name])
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidSpec(
                f"probability model: the saved model lacks or adds {error}; save it again"
            ) from error
        validated(agent._hours, f"{agent.device}: saved hours")
        return agent

    def _restore(self, name: str, values: list[Any]) -> None:
        now = getattr(self, f"_{name}")
        found = np.array(values, dtype=now.dtype)
        if found.shape != now.shape:
            raise InvalidSpec(
                f"{self.device}: saved {name} has shape {found.shape}, expected {now.shape}"
            )
        setattr(self, f"_{name}", found)

    def _learn_use(self, day: DayUse) -> None:
        kind = day.day_type
        self._use[kind] += self._use_rate(self._n_days[kind]) * (float(day.used) - self._use[kind])
        self._n_days[kind] += 1
        if day.used:
            step = self._use_rate(self._n_used[kind])
            self._mean_starts[kind] += step * (day.n_starts - self._mean_starts[kind])
            self._n_used[kind] += 1

    def _use_rate(self, n: np.int64) -> Floats:
        return learning_rate(n, 0.0, self.rate.lr_tau, self.rate.lr_min, self.rate.lr_max)

    def _learn_hours(self, day: DayUse, own: float) -> PmfUpdate:
        kind, n, rate = day.day_type, int(self._n[day.day_type]), self.rate
        # Before the window is full, the mean of the steps so far.
        recent_js = self._recent[kind].sum() / max(min(n, N_RECENT), 1)
        alpha = learning_rate(n, recent_js, rate.lr_tau, rate.lr_min, rate.lr_max)
        hours = moved(self._hours[kind], day.starts / own, alpha)
        step = js_distance(hours, self._hours[kind])
        # A ring buffer: only the mean of the window matters, not its order.
        self._hours[kind], self._recent[kind, n % N_RECENT] = hours, step
        self._n[kind] = n + 1
        return PmfUpdate(
            device=self.device,
            day=day.day,
            day_type=DAY_TYPES[kind],
            n=n,
            alpha=float(alpha),
            js_to_prior=float(js_distance(hours, self.prior.hours[kind])),
            js_step=float(step),
            entropy_bits=float(entropy_bits(hours)),
            own_starts=own,
            hours=hours,
        )


_STATE = ("hours", "n", "recent", "use", "n_days", "mean_starts", "n_used")


def learning_rate(
    n: Floats | NDArray[np.int64] | np.int64 | int,
    recent_js: Floats | float,
    lr_tau: Floats | float,
    lr_min: Floats | float,
    lr_max: Floats | float,
) -> Floats:
    """α = clip(1/(n + lr_tau) · (1 + min(50·recent_js, 0.5)), lr_min, lr_max), element by element.

    >>> round(float(learning_rate(30, 0.0, 20.0, 0.005, 0.15)), 4)
    0.02
    """
    faster = 1.0 + np.minimum(JS_GAIN * np.asarray(recent_js), MOST_GAIN)
    return np.asarray(np.clip(faster / (n + np.asarray(lr_tau)), lr_min, lr_max))


def moved(hours: Floats, observed: Floats, alpha: Floats) -> Floats:
    """P + α·(L − P); ``alpha`` has the leading axes of ``hours``."""
    return np.asarray(hours + alpha[..., None] * (observed - hours))


def mixed(hours: Floats, uniform_share: Floats | float) -> Floats:
    """(1 − share)·P + share/24; ``uniform_share`` is a number or broadcasts against ``hours``."""
    return np.asarray((1.0 - uniform_share) * hours + uniform_share * UNIFORM)
