"""Grid frequency on one bus: the swing equation, droop with lag and limits, load shedding.

    2H/f₀ · dΔf/dt = Δp − D Δf + Σ r_i,    T_i dr_i/dt = clip(−(Δf beyond dead band)/R_i) − r_i

Δf is the deviation [Hz], Δp what is fed in beyond what is drawn and r_i a response, both in pu of
the area's base power. While no response enters or leaves its dead band or its limits the system is
linear, and the steps of 0.1 s are exact (matrix exponential); a change takes effect one step late.
One area: no angles, no voltage, no protection; the input is what clearing left unbalanced.

H, D and droop as in Kundur, Power System Stability and Control (1994), ch. 11. Bands of
Continental Europe: Regulation (EU) 2017/1485, annex III (±50 and ±200 mHz); shedding from 49.0 Hz:
Regulation (EU) 2017/2196, annex. The ±100 mHz beside them is often quoted, and no limit there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from ems.errors import InvalidSpec
from ems.types import Floats, Ints

BANDS_HZ = (0.05, 0.1, 0.2)
"""Normal, often quoted, and steady limit [± Hz]."""
BLOCK_STEPS = 256
"""Steps computed at once with the powers of one matrix."""
MOST_RESPONSES = 12


@dataclass(frozen=True, kw_only=True)
class Response:
    """Governor or storage: droop R [Hz/pu], lag [s], least and most response [pu].

    ``dead_hz``: deviation it does not answer. A storage is a small ``lag_s``, both ways. Raises
    ``InvalidSpec``.
    """

    name: str
    droop_hz_per_pu: float
    lag_s: float
    most_pu: float
    least_pu: float
    dead_hz: float = 0.0

    def __post_init__(self) -> None:
        for field in ("droop_hz_per_pu", "lag_s"):
            if not 0.0 < getattr(self, field) < np.inf:
                raise InvalidSpec(
                    f"Response {self.name}: {field} = {getattr(self, field):g}, must be above 0"
                )
        if not self.least_pu <= 0.0 <= self.most_pu:
            raise InvalidSpec(
                f"Response {self.name}: least_pu = {self.least_pu:g} and most_pu = "
                f"{self.most_pu:g}, must be at most 0 and at least 0"
            )
        if not 0.0 <= self.dead_hz < np.inf:
            raise InvalidSpec(
                f"Response {self.name}: dead_hz = {self.dead_hz:g}, must be at least 0"
            )

    def settled_pu(self, deviation_hz: float) -> float:
        """What it gives once its lag is over [pu]."""
        beyond = np.sign(deviation_hz) * max(abs(deviation_hz) - self.dead_hz, 0.0)
        return float(np.clip(-beyond / self.droop_hz_per_pu, self.least_pu, self.most_pu))

    def regime(self, deviation_hz: Floats) -> Ints:
        """0 at most, 1 below the dead band, 2 in it, 3 above, 4 at least; shape as given."""
        low = -self.dead_hz - self.droop_hz_per_pu * self.most_pu
        high = self.dead_hz - self.droop_hz_per_pu * self.least_pu
        edges = np.array([low, -self.dead_hz, self.dead_hz, high])
        # On the edges both sides give the same.
        return np.searchsorted(edges, deviation_hz).astype(np.int64)

    def line(self, regime: int) -> tuple[float, float]:
        """Slope [pu/Hz] and offset [pu] of the answer in a regime."""
        slope = 1.0 / self.droop_hz_per_pu
        return (
            (0.0, self.most_pu),
            (-slope, -self.dead_hz * slope),
            (0.0, 0.0),
            (-slope, self.dead_hz * slope),
            (0.0, self.least_pu),
        )[regime]


@dataclass(frozen=True, kw_only=True)
class Shedding:
    """Relays that each cut ``block_pu`` of load off once, the first at ``first_hz``.

    ``stages`` of them lie ``apart_hz`` apart; blocks in pu of the area's base power.
    """

    first_hz: float = 49.0
    apart_hz: float = 0.2
    stages: int = 6
    block_pu: float = 0.05

    def deviations_hz(self, nominal_hz: float) -> Floats:
        """Where each relay trips, shape ``(stages,)``, descending."""
        return self.first_hz - nominal_hz - self.apart_hz * np.arange(self.stages, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Area:
    """One synchronous area: inertia constant H [s], damping D [pu/Hz] and who responds.

    ``shedding``: None sheds nothing. Raises ``InvalidSpec``.
    """

    inertia_s: float
    damping_pu_per_hz: float
    responses: tuple[Response, ...] = ()
    shedding: Shedding | None = None
    nominal_hz: float = 50.0
    step_s: float = 0.1

    def __post_init__(self) -> None:
        for field in ("inertia_s", "nominal_hz", "step_s"):
            if not 0.0 < getattr(self, field) < np.inf:
                raise InvalidSpec(f"Area: {field} = {getattr(self, field):g}, must be above 0")
        if not 0.0 <= self.damping_pu_per_hz < np.inf:
            raise InvalidSpec(
                f"Area: damping_pu_per_hz = {self.damping_pu_per_hz:g}, must be at least 0"
            )
        if len(self.responses) > MOST_RESPONSES:
            raise InvalidSpec(
                f"Area: {len(self.responses)} responses, must be at most {MOST_RESPONSES}; put "
                "those that are alike together"
            )

    def system(self, regimes: tuple[int, ...]) -> Floats:
        """A of z' = A z with z = [Δf, r_1 …, Δp, 1], shape ``(n + 3, n + 3)``."""
        n = len(self.responses)
        matrix = np.zeros((n + 3, n + 3))
        gain = self.nominal_hz / (2.0 * self.inertia_s)
        matrix[0] = gain * np.array([-self.damping_pu_per_hz, *[1.0] * n, 1.0, 0.0])
        for i, (response, regime) in enumerate(zip(self.responses, regimes, strict=True), 1):
            slope, offset = response.line(regime)
            matrix[i, [0, i, -1]] = np.array([slope, -1.0, offset]) / response.lag_s
        return matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class FrequencyRun:
    """The frequency after each step, the first value before them, shape ``(n_steps + 1,)``.

    ``response_pu``: shape ``(n_steps + 1, n_responses)``; ``shed_pu``: load cut off, ``(n_steps +
    1,)``.
    """

    area: Area
    frequency_hz: Floats
    response_pu: Floats
    shed_pu: Floats

    @property
    def lowest_hz(self) -> float:
        """The lowest frequency of all steps."""
        return float(self.frequency_hz.min())

    def outside_s(self, band_hz: float) -> float:
        """Seconds spent further than ``band_hz`` from nominal."""
        away = np.abs(self.frequency_hz[1:] - self.area.nominal_hz) > band_hz
        return float(away.sum()) * self.area.step_s

    @property
    def shed_pu_s(self) -> float:
        """Energy that was not served, pu seconds."""
        return float(self.shed_pu[1:].sum()) * self.area.step_s


def simulate(area: Area, imbalance_pu: Floats) -> FrequencyRun:
    """The run of an area that starts at rest; ``imbalance_pu``: Δp of each step, ``(n_steps,)``.

    Raises ``InvalidSpec`` if a value is not finite.
    """
    if imbalance_pu.ndim != 1 or not np.isfinite(imbalance_pu).all():
        raise InvalidSpec(
            f"simulate: imbalance_pu has shape {imbalance_pu.shape} and "
            f"{int((~np.isfinite(imbalance_pu)).sum())} values that are not finite, must be "
            "finite of shape (n_steps,)"
        )
    n, n_steps = len(area.responses), len(imbalance_pu)
    states, shed_pu = np.zeros((n_steps + 1, n + 3)), np.zeros(n_steps + 1)
    states[0, -1] = 1.0
    powers: dict[tuple[int, ...], Floats] = {}
    relays = _Relays.of(area)
    ends = np.append(np.flatnonzero(np.diff(imbalance_pu)) + 1, n_steps)
    at = 0
    while at < n_steps:
        regimes = tuple(int(r.regime(states[at, 0])) for r in area.responses)
        if regimes not in powers:
            powers[regimes] = _powers(area, regimes)
        end = int(ends[np.searchsorted(ends, at, side="right")])
        start = states[at].copy()
        start[-2] = imbalance_pu[at] + relays.shed_pu
        ahead = powers[regimes][: end - at] @ start
        n_valid = _valid(area, regimes, relays, ahead[:, 0])
        states[at + 1 : at + 1 + n_valid] = ahead[:n_valid]
        shed_pu[at + 1 : at + 1 + n_valid] = relays.shed_pu
        at += n_valid
        relays = relays.after(float(states[at, 0]))
    return FrequencyRun(
        area=area,
        frequency_hz=area.nominal_hz + states[:, 0],
        response_pu=states[:, 1 : n + 1],
        shed_pu=shed_pu,
    )


@dataclass(frozen=True, kw_only=True)
class _Relays:
    """Where the next relay trips [Hz from nominal], and what is shed by those that have."""

    left_hz: tuple[float, ...]
    block_pu: float
    shed_pu: float

    @classmethod
    def of(cls, area: Area) -> _Relays:
        shedding = area.shedding
        left = () if shedding is None else tuple(shedding.deviations_hz(area.nominal_hz))
        return cls(
            left_hz=left, block_pu=0.0 if shedding is None else shedding.block_pu, shed_pu=0.0
        )

    def after(self, deviation_hz: float) -> _Relays:
        """The relays once this deviation was seen."""
        n_tripped = sum(deviation_hz <= limit for limit in self.left_hz)
        return _Relays(
            left_hz=self.left_hz[n_tripped:],
            block_pu=self.block_pu,
            shed_pu=self.shed_pu + n_tripped * self.block_pu,
        )


def _powers(area: Area, regimes: tuple[int, ...]) -> Floats:
    """M, M², … of one step, shape ``(BLOCK_STEPS, n + 3, n + 3)``."""
    one = expm(area.system(regimes) * area.step_s)
    powers = [one]
    for _ in range(BLOCK_STEPS - 1):
        powers.append(one @ powers[-1])
    return np.array(powers)


def _valid(area: Area, regimes: tuple[int, ...], relays: _Relays, deviation_hz: Floats) -> int:
    """How many steps ahead hold: to the first that changes a regime or trips a relay."""
    changes = np.zeros(len(deviation_hz), dtype=np.bool_)
    for response, regime in zip(area.responses, regimes, strict=True):
        changes |= response.regime(deviation_hz) != regime
    if relays.left_hz:
        changes |= deviation_hz <= relays.left_hz[0]
    return int(changes.argmax()) + 1 if changes.any() else len(deviation_hz)


def settled_hz(area: Area, imbalance_pu: float) -> float:
    """The deviation at which a lasting imbalance comes to rest, without shedding [Hz].

    Zero of the balance Δp − D Δf + Σ r(Δf), which falls with Δf; it is linear between the corners
    of the responses. ``-inf`` or ``inf``: nothing stops it.
    """
    corners = sorted(
        corner
        for r in area.responses
        for corner in (
            -r.dead_hz - r.droop_hz_per_pu * r.most_pu,
            -r.dead_hz,
            r.dead_hz,
            r.dead_hz - r.droop_hz_per_pu * r.least_pu,
        )
    )
    points = [(corners[0] if corners else 0.0) - 1.0, *corners, (corners or [0.0])[-1] + 1.0]

    def balance(deviation_hz: float) -> float:
        given = sum(r.settled_pu(deviation_hz) for r in area.responses)
        return imbalance_pu - area.damping_pu_per_hz * deviation_hz + given

    values = [balance(point) for point in points]
    # The last stretch that begins at or above zero; beyond the outer points D alone counts.
    i = max((j for j, value in enumerate(values[:-1]) if value >= 0.0), default=0)
    slope = (values[i + 1] - values[i]) / (points[i + 1] - points[i])
    if slope == 0.0:
        return points[i] if values[i] == 0.0 else float(np.copysign(np.inf, values[i]))
    return points[i] - values[i] / slope
