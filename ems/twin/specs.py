"""What a building of the twin consists of; the numbers stand in ``buildings.toml``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ems.errors import InvalidSpec
from ems.site.meters import LoadRule
from ems.types import Floats

FIRST_START_HOUR = 5
"""No cycle starts between midnight and this hour, so none runs into the next day's."""

Hours = tuple[float, ...]


def require_hours(who: str, **hours: Hours) -> None:
    """Raises ``InvalidSpec`` unless each has a value for every local hour of a day."""
    for field, values in hours.items():
        if len(values) != 24:
            raise InvalidSpec(f"{who}: {field} has {len(values)} values, it must have 24")


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One habit of a day: a bell over the local hours with its share of all starts."""

    share: float
    at_h: float
    width_h: float


def pmf(peaks: tuple[Peak, ...]) -> Floats:
    """Probability of each local hour that a start falls into it, shape ``(24,)``, sum 1.

    p(h) ∝ Σ share · exp(−½·((h + ½ − at) / width)²), zero before ``FIRST_START_HOUR``.
    """
    middle_h = np.arange(24) + 0.5
    bells = sum(
        peak.share / peak.width_h * np.exp(-0.5 * ((middle_h - peak.at_h) / peak.width_h) ** 2)
        for peak in peaks
    )
    weights = np.where(middle_h < FIRST_START_HOUR, 0.0, bells)
    result: Floats = weights / weights.sum()
    return result


@dataclass(frozen=True, kw_only=True)
class CycleSpec:
    """An appliance that people start: at most once a day, then it runs its profile.

    ``profile``: share of a cycle's energy in each of its quarter hours, sum 1.
    ``free_day_factor``: use on a free day relative to a working day. ``energy_spread``: relative
    spread of a cycle's energy, ``profile_spread``: of each quarter hour's share of it.
    """

    name: str
    total_kwh: float
    cycle_kwh: float
    profile: tuple[float, ...]
    working: tuple[Peak, ...]
    free: tuple[Peak, ...]
    free_day_factor: float = 1.0
    standby_kw: float = 0.0
    energy_spread: float = 0.1
    profile_spread: float = 0.08

    def __post_init__(self) -> None:
        if not np.isclose(sum(self.profile), 1.0):
            raise InvalidSpec(
                f"{self.name}: profile sums to {sum(self.profile)}, it must be 1; rescale it"
            )


@dataclass(frozen=True, kw_only=True)
class EvSpec:
    """A car that arrives at most once a day and charges at once at full power.

    ``session_shape``: shape of the gamma distribution of a session's energy.
    """

    name: str
    total_kwh: float
    sessions: float
    charger_kw: float
    max_session_kwh: float
    session_shape: float
    working: tuple[Peak, ...]
    free: tuple[Peak, ...]
    free_day_factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class HeatPumpSpec:
    """A heat pump that follows the weather and makes hot water at known hours.

    ``hours``: relative heating by local hour (night setback, lock times), 24 values.
    ``behind_import``: false when it has a meter of its own beside the building's import meter.
    """

    name: str
    total_kwh: float
    max_kw: float
    hours: Hours
    hot_water_hours: tuple[int, ...]
    hot_water_share: float = 0.15
    heating_limit_c: float = 15.0
    behind_import: bool = True

    def __post_init__(self) -> None:
        require_hours(self.name, hours=self.hours)


@dataclass(frozen=True, kw_only=True)
class FixedSpec:
    """A load that follows hours, day types and weather and is not planned.

    ``working``, ``free``: relative power by local hour. ``noise``: standard deviation of its
    logarithm, ``noise_memory_h``: how long a deviation lasts. ``day_noise``: the same from day
    to day. ``per_c_cooling``/``per_c_heating``: relative increase per kelvin above 12 °C and
    below 12 °C. ``on_probability``: share of the working days on which it runs at all.
    """

    name: str
    total_kwh: float
    working: Hours
    free: Hours
    noise: float = 0.3
    noise_memory_h: float = 1.0
    day_noise: float = 0.0
    per_c_cooling: float = 0.0
    per_c_heating: float = 0.0
    on_probability: float = 1.0
    max_kw: float = float("inf")

    def __post_init__(self) -> None:
        require_hours(self.name, working=self.working, free=self.free)


@dataclass(frozen=True, kw_only=True)
class PvSpec:
    """A PV field: what it yields in the range, its inverter's limit and where it looks.

    ``horizon_deg``: below this height of the sun, hills and houses shade the beam.
    ``behind_import``: false when it feeds in everything through a meter of its own.
    """

    name: str
    total_kwh: float
    peak_kw: float
    tilt_deg: float
    azimuth_deg: float
    horizon_deg: float = 0.0
    behind_import: bool = True


@dataclass(frozen=True, kw_only=True)
class BuildingSpec:
    """One building: its range, devices, base load and how it is metered.

    ``start_utc``, ``last_utc``: first and last hour that has a value.
    ``base``: the load nobody meters. ``surplus_heater_kw``: an unmetered heater that takes PV
    surplus up to this power.
    """

    name: str
    kind: str
    start_utc: str
    last_utc: str
    load_rule: LoadRule
    base: FixedSpec
    has_export_meter: bool
    pv: tuple[PvSpec, ...] = ()
    cycles: tuple[CycleSpec, ...] = ()
    evs: tuple[EvSpec, ...] = ()
    heat_pumps: tuple[HeatPumpSpec, ...] = ()
    fixed: tuple[FixedSpec, ...] = ()
    surplus_heater_kw: float = 0.0
