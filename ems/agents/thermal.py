"""How a house keeps heat, and how much heat a heat pump makes of electricity.

A house with one capacity C [kWh/K] and one loss H [kW/K] obeys C · dθ/dt = q − H · (θ − θ_air).
It is linear, so heat made beside what the meter saw stays in it whatever else warms or cools it::

    dE/dt = q − E / τ,   τ = C / H,   E = C · (θ − θ of the house as metered)   [kWh]

With a second node the air gives heat to the mass of the building and takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import expm

from ems.errors import InvalidSpec
from ems.types import Floats

LOAD_SHARES = (0.3, 0.65, 1.0)
"""Ends of the pieces of a heat pump's curve, as shares of its maximum power."""
RELATIVE_COP = (1.10, 0.975, 0.85)
"""Mean COP up to each of them, relative to the COP at medium load.

Assumed: the part-load tests of EN 14825 give inverter heat pumps about a quarter more heat per kWh
at a third of their power than at full power. Below the first share they cycle at a constant COP.
"""
SUPPLY_C = (30.0, -0.5)
"""Supply temperature of floor heating [°C]: at 0 °C outdoors, and its change per °C outdoors."""
COP_CURVE = (6.08, -0.09, 0.0005)
"""COP of an air-source heat pump over the temperature lift ΔT: a + b · ΔT + c · ΔT²."""
REAL_COP = 0.85
"""Share of the COP of a manufacturer's data sheet that is reached in use."""
LEAST_LIFT_K = 15.0


@dataclass(frozen=True, kw_only=True)
class House:
    """The thermal capacity and time constants of a house.

    ``capacity_kwh_per_k``: heat that warms it by 1 K [kWh/K]; ``time_constant_h``: τ = C / H, in
    which a difference falls to 37 % [h]. ``mass_share``: part of the capacity behind the air, 0 for
    a single node (1R1C), else two nodes (2R2C); ``coupling_h``: time constant with which the air
    reaches the mass [h].
    """

    capacity_kwh_per_k: float
    time_constant_h: float = 48.0
    mass_share: float = 0.0
    coupling_h: float = 1.0

    def __post_init__(self) -> None:
        for field, up in (
            ("capacity_kwh_per_k", 1e6),
            ("time_constant_h", 1e6),
            ("coupling_h", 1e6),
        ):
            value = getattr(self, field)
            if not 0 < value <= up:
                raise InvalidSpec(f"house: {field} is {value}, allowed is 0 < {field} <= {up:g}")
        if self.mass_share != 0 and not 0.05 <= self.mass_share <= 0.95:
            raise InvalidSpec(
                f"house: mass_share is {self.mass_share}, allowed is 0, or 0.05 to 0.95"
            )

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that hold heat, the air first."""
        return ("heat",) if self.mass_share == 0 else ("heat", "mass")

    @cached_property
    def air_kwh_per_k(self) -> float:
        """Capacity of the node whose temperature people feel [kWh/K]."""
        return self.capacity_kwh_per_k * (1 - self.mass_share)

    @cached_property
    def flows_per_h(self) -> Floats:
        """dE/dt = flows · E + (q, 0, …) with E in kWh [1/h], shape ``(n_nodes, n_nodes)``."""
        air, mass = self.air_kwh_per_k, self.capacity_kwh_per_k * self.mass_share
        lost_per_h = self.capacity_kwh_per_k / self.time_constant_h / air
        if len(self.nodes) == 1:
            return np.array([[-lost_per_h]])
        to_mass_per_h = 1 / self.coupling_h
        back_per_h = to_mass_per_h * air / mass
        return np.array([[-lost_per_h - to_mass_per_h, back_per_h], [to_mass_per_h, -back_per_h]])

    def step(self, step_h: float) -> tuple[Floats, Floats]:
        """``(keep, gain)`` of one step at constant heat, exactly.

        E(t) = keep · E(t−1) + gain · q · Δt [kWh]; shapes ``(n_nodes, n_nodes)``, ``(n_nodes,)``.
        """
        n = len(self.nodes)
        augmented = np.zeros((n + 1, n + 1))
        augmented[:n, :n] = self.flows_per_h
        augmented[0, n] = 1.0
        over_step = expm(augmented * step_h)
        return over_step[:n, :n], over_step[:n, n] / step_h


def cop_outdoors(temperature_c: Floats) -> Floats:
    """COP at medium load over the outdoor temperature [°C] for floor heating.

    Source: Ruhnau, Hirth, Praktiknjo, *Time series of heat demand and heat pump efficiency for
    energy system modeling*, Scientific Data 6 (2019), doi:10.1038/s41597-019-0199-y.
    """
    supply_c = SUPPLY_C[0] + SUPPLY_C[1] * temperature_c
    lift_k = np.maximum(supply_c - temperature_c, LEAST_LIFT_K)
    cop: Floats = REAL_COP * (COP_CURVE[0] + COP_CURVE[1] * lift_k + COP_CURVE[2] * lift_k**2)
    return cop


def pieces(max_power_kw: float) -> tuple[Floats, Floats]:
    """Width [kW] and relative COP of each piece of the curve, the best first."""
    ends = np.array([0.0, *LOAD_SHARES])
    made = np.array([0.0, *(s * c for s, c in zip(LOAD_SHARES, RELATIVE_COP, strict=True))])
    return max_power_kw * np.diff(ends), np.diff(made) / np.diff(ends)


def heat_of(power_kw: Floats, cop: Floats, max_power_kw: float) -> Floats:
    """Heat made of electric power [kW]: concave, the COP falls with the load."""
    made: Floats = cop * np.interp(power_kw, *_knots(max_power_kw))
    return made


def marginal_cop(power_kw: float, cop: float, max_power_kw: float, *, more: bool) -> float:
    """Heat of the next kWh of electricity, or of the last one without ``more``."""
    ends_kw = np.cumsum(pieces(max_power_kw)[0])
    # A solver ends a piece by its tolerance.
    piece = np.searchsorted(ends_kw, power_kw + (1e-6 if more else -1e-6))
    return float(cop * pieces(max_power_kw)[1][min(int(piece), len(ends_kw) - 1)])


def power_for(heat_kw: Floats, cop: Floats, max_power_kw: float) -> Floats:
    """The inverse of ``heat_of``: the least electric power that makes this heat [kW]."""
    power, heat = _knots(max_power_kw)
    needed: Floats = np.interp(heat_kw / cop, heat, power)
    return needed


def _knots(max_power_kw: float) -> tuple[Floats, Floats]:
    width_kw, relative = pieces(max_power_kw)
    power = np.concatenate(([0.0], np.cumsum(width_kw)))
    return power, np.concatenate(([0.0], np.cumsum(width_kw * relative)))


@dataclass(frozen=True, kw_only=True)
class HeatLoss:
    """The heat that a house loses to colder air: H · (limit − T)⁺ on the mean of a day.

    ``kw_per_k``: H [kW/K]; ``limit_c``: outdoor temperature from which nothing is heated [°C].
    """

    kw_per_k: float
    limit_c: float

    def daily_kwh(self, temperature_c: Floats) -> Floats:
        """Heat of days with these mean outdoor temperatures [kWh]."""
        lost: Floats = 24.0 * self.kw_per_k * np.maximum(self.limit_c - temperature_c, 0.0)
        return lost


LIMITS_C = np.arange(8.0, 22.5, 0.5)
"""Heating limits tried [°C]."""


def fitted_loss(heat_kwh: Floats, temperature_c: Floats) -> HeatLoss | None:
    """The loss that explains the heat of some days best (least squares), None if none does.

    ``heat_kwh``, ``temperature_c``: heat [kWh] and mean outdoor temperature [°C] of each day.
    """
    fits = []
    for limit_c in LIMITS_C:
        degree_hours = 24.0 * np.maximum(limit_c - temperature_c, 0.0)
        weight = float(degree_hours @ degree_hours)
        if weight > 0:
            kw_per_k = float(degree_hours @ heat_kwh) / weight
            missed = float(np.sum((heat_kwh - kw_per_k * degree_hours) ** 2))
            fits.append((missed, kw_per_k, float(limit_c)))
    if not fits:
        return None
    _, kw_per_k, limit_c = min(fits)
    return HeatLoss(kw_per_k=kw_per_k, limit_c=limit_c) if kw_per_k > 0 else None
