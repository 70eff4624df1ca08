"""Many learning rates on many devices at once, with the numbers of ``ProbabilityModelAgent``.

The PMF of one device and day type is an independent stream that moves only on days with own starts.
So the loop runs over the updates of all streams together, sorted by length so that the active ones
are a prefix; everything else is one array operation over ``(streams, cells, 24)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.learning.pmf import N_HOURS, js_distance
from ems.learning.priors import Prior
from ems.learning.probability_model import N_RECENT, learning_rate, mixed, moved
from ems.learning.rate import MIN_TRAIN_DAYS, LearningRate
from ems.learning.scores import (
    Estimate,
    check_enough,
    log_loss_bits,
    mean_with_interval,
)
from ems.learning.usage import UseHistory
from ems.site.calendar import DAY_TYPES
from ems.types import Bools, Floats, Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class GridResult:
    """Scores of every cell on every device.

    ``rates``: the cells; ``who``: the devices. Shape ``(n_cells, n_devices)``: ``log_loss_bits``
    per own start on the scored days, ``js_to_prior`` and ``mean_js_step`` (distances), and
    ``learning_score`` = js_to_prior − 0.5 · mean_js_step. ``n_updates``: shape ``(n_devices,)``.
    ``daily_bits``: for each device the bits of each scored day with own starts, ``(n_cells,
    n_days)``; ``daily_starts``: the own starts of these days.
    """

    rates: tuple[LearningRate, ...]
    who: tuple[str, ...]
    n_updates: Ints
    log_loss_bits: Floats
    js_to_prior: Floats
    mean_js_step: Floats
    daily_bits: tuple[Floats, ...]
    daily_starts: tuple[Floats, ...]

    @property
    def learning_score(self) -> Floats:
        """JS to prior − 0.5 · mean JS of the step, shape ``(n_cells, n_devices)``."""
        return self.js_to_prior - 0.5 * self.mean_js_step

    def best_by_log_loss(self, device: int) -> int:
        """The cell with the lowest log loss on one device; the first if equal."""
        return int(np.argmin(self.log_loss_bits[:, device]))

    def best_by_learning_score(self, device: int) -> int:
        """The cell with the highest learning score on one device; the first if equal."""
        return int(np.argmax(self.learning_score[:, device]))

    def log_loss_interval(self, cell: int, device: int, *, seed: int) -> Estimate:
        """Log loss of one cell on one device with its bootstrap interval [bit per start]."""
        starts = self.daily_starts[device]
        return mean_with_interval(self.daily_bits[device][cell], starts, seed=seed)

    def gain_bits(self, cell: int, other: int, device: int, *, seed: int) -> Estimate:
        """Bits per start that ``cell`` saves against the cell ``other``; > 0 is better."""
        bits, starts = self.daily_bits[device], self.daily_starts[device]
        return mean_with_interval(bits[other] - bits[cell], starts, seed=seed)


def rate_grid(
    lr_tau_values: Sequence[float],
    lr_max_values: Sequence[float],
    *,
    lr_min: float = LearningRate.lr_min,
    uniform_share: float = LearningRate.uniform_share,
) -> tuple[LearningRate, ...]:
    """Every pair of values, ``lr_tau`` outermost. Raises ``InvalidSpec`` if there is none."""
    for name, values in {"lr_tau_values": lr_tau_values, "lr_max_values": lr_max_values}.items():
        if len(values) == 0:
            raise InvalidSpec(f"grid: {name} is empty; give at least one number")
    return tuple(
        LearningRate(lr_tau=tau, lr_min=lr_min, lr_max=most, uniform_share=uniform_share)
        for tau in lr_tau_values
        for most in lr_max_values
    )


def grid_search(
    histories: Sequence[UseHistory],
    priors: Sequence[Prior],
    rates: Sequence[LearningRate],
    *,
    n_train: int = MIN_TRAIN_DAYS,
) -> GridResult:
    """Learn every history from its prior with every rate, scored one day ahead.

    The first ``n_train`` known days of a history only train. Raises ``InvalidSpec`` for an empty
    grid or unequal numbers of histories and priors, ``DataError`` for too few days or no use.
    """
    if not histories or not rates or len(histories) != len(priors):
        raise InvalidSpec(
            f"grid: {len(histories)} histories, {len(priors)} priors and {len(rates)} rates; "
            "expected at least one history, a prior for each, and at least one rate"
        )
    for history in histories:
        check_enough(history, n_train)
    streams = _Streams.of(histories, priors, n_train)
    run = _learn(streams, rates)
    return _result(histories, rates, streams, run)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Streams:
    """The update days of each device and day type, longest stream first.

    ``device``, ``length``: shape ``(n_streams,)``; ``prior``: ``(n_streams, 24)``; ``starts``: own
    starts by hour, ``(n_updates, n_streams, 24)``; ``scored`` and ``day`` (position in the
    history): ``(n_updates, n_streams)``.
    """

    device: Ints
    length: Ints
    prior: Floats
    starts: Floats
    scored: Bools
    day: Ints

    @classmethod
    def of(cls, histories: Sequence[UseHistory], priors: Sequence[Prior], n_train: int) -> _Streams:
        found = [
            (device, kind, np.flatnonzero((history.own_starts > 0.0) & (history.day_types == kind)))
            for device, history in enumerate(histories)
            for kind in range(len(DAY_TYPES))
        ]
        found.sort(key=lambda stream: -len(stream[2]))
        n, longest = len(found), len(found[0][2])
        starts, day = np.zeros((longest, n, N_HOURS)), np.zeros((longest, n), dtype=np.int64)
        for column, (device, _, at) in enumerate(found):
            starts[: len(at), column] = histories[device].starts[at]
            day[: len(at), column] = at
        return cls(
            device=np.array([device for device, _, _ in found]),
            length=np.array([len(at) for _, _, at in found]),
            prior=np.stack([priors[device].hours[kind] for device, kind, _ in found]),
            starts=starts,
            scored=day >= n_train,
            day=day,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """The result of learning all streams.

    ``bits``: log loss of each update day, ``(n_updates, n_streams, n_cells)``; ``js_to_prior`` and
    ``js_steps`` (sum): ``(n_streams, n_cells)``.
    """

    bits: Floats
    js_to_prior: Floats
    js_steps: Floats


def _learn(streams: _Streams, rates: Sequence[LearningRate]) -> _Run:
    tau, least, most, share = (
        np.array([getattr(rate, name) for rate in rates])
        for name in ("lr_tau", "lr_min", "lr_max", "uniform_share")
    )
    longest, n = streams.day.shape
    hours = np.repeat(streams.prior[:, None, :], len(rates), axis=1)
    recent, js_steps = np.zeros((n, len(rates), N_RECENT)), np.zeros((n, len(rates)))
    bits = np.zeros((longest, n, len(rates)))
    for k in range(longest):
        # Longest first, so the streams still running are a prefix: a slice, no copy.
        running = slice(0, int(np.count_nonzero(streams.length > k)))
        now, starts = hours[running], streams.starts[k, running, None, :]
        # Scored before the update: one day ahead.
        bits[k, running] = log_loss_bits(mixed(now, share[:, None]), starts)
        recent_js = recent[running].sum(axis=-1) / max(min(k, N_RECENT), 1)
        alpha = learning_rate(k, recent_js, tau, least, most)
        new = moved(now, starts / starts.sum(axis=-1, keepdims=True), alpha)
        step = js_distance(new, now)
        hours[running], recent[running, :, k % N_RECENT] = new, step
        js_steps[running] += step
    js_to_prior = js_distance(hours, streams.prior[:, None, :])
    return _Run(bits=bits, js_to_prior=js_to_prior, js_steps=js_steps)


def _result(
    histories: Sequence[UseHistory], rates: Sequence[LearningRate], streams: _Streams, run: _Run
) -> GridResult:
    of_device = streams.device[:, None] == np.arange(len(histories))
    n_updates = streams.length @ of_device
    # Day types weighted by their updates, as in `learning_score`.
    weighted = (run.js_to_prior * streams.length[:, None]).T @ of_device
    daily = [
        _daily(histories[device], np.flatnonzero(streams.device == device), streams, run)
        for device in range(len(histories))
    ]
    log_loss = [bits.sum(axis=1) / starts.sum() for bits, starts in daily]
    return GridResult(
        rates=tuple(rates),
        who=tuple(history.who for history in histories),
        n_updates=n_updates,
        log_loss_bits=np.stack(log_loss, axis=1),
        js_to_prior=weighted / n_updates,
        mean_js_step=run.js_steps.T @ of_device / n_updates,
        daily_bits=tuple(bits for bits, _ in daily),
        daily_starts=tuple(starts for _, starts in daily),
    )


def _daily(
    history: UseHistory, columns: Ints, streams: _Streams, run: _Run
) -> tuple[Floats, Floats]:
    """Bits (n_cells, n_days) and own starts (n_days,) of a device's scored days in order."""
    kept = [
        (column, k)
        for column in columns
        for k in range(streams.length[column])
        if streams.scored[k, column]
    ]
    kept.sort(key=lambda pair: streams.day[pair[1], pair[0]])
    column, k = np.array(kept).T
    return run.bits[k, column].T, history.own_starts[streams.day[k, column]]
