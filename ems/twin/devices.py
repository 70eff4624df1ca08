"""Loads of the twin in quarter hours: cycles that people start, cars, heat pumps, the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ems.errors import InvalidSpec
from ems.twin.clock import QUARTER_H, QUARTERS_PER_HOUR, TwinClock
from ems.twin.specs import CycleSpec, EvSpec, FixedSpec, HeatPumpSpec, pmf
from ems.twin.streams import red_noise, scaled_to_total
from ems.types import Floats, Ints

TURNING_POINT_C = 12.0
HEAT_MEMORY_H = 12.0
DAY_NOISE_MEMORY_DAYS = 3.0


@dataclass(frozen=True, kw_only=True)
class TrueHabit:
    """The truth a device was drawn from: use per day and hour of its start.

    ``use_probability``: for working and free days; ``hours``: PMFs, shape ``(2, 24)``.
    """

    use_probability: tuple[float, float]
    hours: Floats


@dataclass(frozen=True, kw_only=True)
class Starts:
    """The true starts: index of the quarter hour, energy of the run, its quarter hours."""

    step: Ints
    energy_kwh: Floats
    n_quarters: Ints


def habit_of(spec: CycleSpec | EvSpec, clock: TwinClock, uses: float) -> TrueHabit:
    """The habit whose expected number of uses over the clock is ``uses``.

    p_working = uses / (working days + factor · free days), p_free = factor · p_working.
    """
    n_free = int(clock.day_is_free.sum())
    working = uses / (clock.n_days - n_free + spec.free_day_factor * n_free)
    free = spec.free_day_factor * working
    if not 0 <= max(working, free) <= 1:
        raise InvalidSpec(
            f"{spec.name}: needs {max(working, free):.2f} uses a day, allowed are 0 to 1; "
            "raise the energy of a cycle or lower the total"
        )
    return TrueHabit(
        use_probability=(working, free), hours=np.stack([pmf(spec.working), pmf(spec.free)])
    )


def draw_start_steps(habit: TrueHabit, clock: TwinClock, rng: np.random.Generator) -> Ints:
    """Quarter hours of the starts: a use a day or none, its hour by the PMF, any quarter.

    Starts before the first or after the last quarter hour of the range are lost.
    """
    free = clock.day_is_free.astype(np.int64)
    used = rng.random(clock.n_days) < np.asarray(habit.use_probability)[free]
    cumulative = np.cumsum(habit.hours, axis=1)[free]
    hour = np.minimum((rng.random(clock.n_days)[:, None] > cumulative).sum(axis=1), 23)
    quarter = rng.integers(0, QUARTERS_PER_HOUR, clock.n_days)
    first = clock.first_step[np.arange(clock.n_days), hour]
    kept = used & (first >= 0) & (first + quarter < len(clock.ts_utc))
    steps: Ints = (first + quarter)[kept]
    return steps


def cycles(
    spec: CycleSpec, clock: TwinClock, rng: np.random.Generator
) -> tuple[Floats, Starts, TrueHabit]:
    """Energy of an appliance in each quarter hour [kWh], its starts and the habit behind them."""
    n = len(clock.ts_utc)
    standby_kwh = spec.standby_kw * QUARTER_H
    uses = (spec.total_kwh - standby_kwh * n) / spec.cycle_kwh
    habit = habit_of(spec, clock, uses)
    step = draw_start_steps(habit, clock, rng)
    spread = rng.standard_normal(len(step)) * spec.energy_spread
    cycle_kwh = spec.cycle_kwh * np.exp(spread - 0.5 * spec.energy_spread**2)
    inside = step + len(spec.profile) <= n
    step, cycle_kwh = step[inside], cycle_kwh[inside]
    jitter = np.exp(spec.profile_spread * rng.standard_normal((len(step), len(spec.profile))))
    shares = jitter * np.asarray(spec.profile)
    shares /= shares.sum(axis=1, keepdims=True)
    energy_kwh = np.full(n, standby_kwh)
    where = step[:, None] + np.arange(len(spec.profile))
    np.add.at(energy_kwh, where, cycle_kwh[:, None] * shares)
    length = np.full(len(step), len(spec.profile))
    return energy_kwh, Starts(step=step, energy_kwh=cycle_kwh, n_quarters=length), habit


def ev_sessions(
    spec: EvSpec, clock: TwinClock, rng: np.random.Generator
) -> tuple[Floats, Starts, TrueHabit]:
    """Charging of a car in each quarter hour [kWh]: from arrival at full power until done."""
    n = len(clock.ts_utc)
    habit = habit_of(spec, clock, spec.sessions)
    step = draw_start_steps(habit, clock, rng)
    wanted = rng.gamma(spec.session_shape, size=len(step))
    session_kwh = scaled_to_total(
        wanted, spec.total_kwh, who=spec.name, cap_kwh=spec.max_session_kwh
    )
    quarter_kwh = spec.charger_kw * QUARTER_H
    length = np.ceil(session_kwh / quarter_kwh - 1e-9).astype(np.int64)
    inside = step + length <= n
    step, session_kwh, length = step[inside], session_kwh[inside], length[inside]
    order = np.arange(length.max())
    parts = np.clip(session_kwh[:, None] - quarter_kwh * order, 0.0, quarter_kwh)
    energy_kwh = np.zeros(n + len(order))
    np.add.at(energy_kwh, step[:, None] + order, parts)
    return energy_kwh[:n], Starts(step=step, energy_kwh=session_kwh, n_quarters=length), habit


def heat_pump_kwh(
    spec: HeatPumpSpec, clock: TwinClock, temperature_c: Floats, rng: np.random.Generator
) -> Floats:
    """Electricity of a heat pump in each quarter hour [kWh], within its maximum power.

    Heating ∝ (limit − T̄)⁺ / (1 + 0.03·T̄), T̄ the temperature smoothed over half a day;
    the divisor is the better COP of warmer air. Hot water comes at known hours.
    """
    smooth_c = _smoothed(temperature_c, QUARTERS_PER_HOUR * HEAT_MEMORY_H)
    degrees = np.clip(spec.heating_limit_c - smooth_c, 0.0, None)
    cop_gain = np.clip(1.0 + 0.03 * smooth_c, 0.5, None)
    heating = degrees / cop_gain * np.asarray(spec.hours)[clock.hour]
    heating *= _lognormal(rng, len(heating), 0.35, 3.0)
    water = np.isin(clock.hour, spec.hot_water_hours) * _lognormal(rng, len(heating), 0.25, 24.0)
    shape = (1 - spec.hot_water_share) * heating / heating.sum()
    shape += spec.hot_water_share * water / water.sum()
    return scaled_to_total(shape, spec.total_kwh, who=spec.name, cap_kwh=spec.max_kw * QUARTER_H)


def fixed_kwh(
    spec: FixedSpec, clock: TwinClock, temperature_c: Floats, rng: np.random.Generator
) -> Floats:
    """Energy of a load that nobody plans in each quarter hour [kWh]."""
    n = len(clock.ts_utc)
    by_type = np.stack([np.asarray(spec.working), np.asarray(spec.free)])
    shape = by_type[clock.step_is_free.astype(np.int64), clock.hour]
    shape = shape * _lognormal(rng, n, spec.noise, QUARTERS_PER_HOUR * spec.noise_memory_h)
    day = _lognormal(rng, clock.n_days, spec.day_noise, DAY_NOISE_MEMORY_DAYS)
    day *= rng.random(clock.n_days) < np.where(clock.day_is_free, 1.0, spec.on_probability)
    warm_c = np.clip(temperature_c - TURNING_POINT_C, 0.0, None)
    cold_c = np.clip(TURNING_POINT_C - temperature_c, 0.0, None)
    shape *= day[clock.day] * (1 + spec.per_c_cooling * warm_c + spec.per_c_heating * cold_c)
    return scaled_to_total(shape, spec.total_kwh, who=spec.name, cap_kwh=spec.max_kw * QUARTER_H)


def _lognormal(rng: np.random.Generator, n: int, spread: float, memory_steps: float) -> Floats:
    """A positive factor with mean one: exp of red noise, shape ``(n,)``."""
    noise = red_noise(rng, n, memory_steps)
    factor: Floats = np.exp(spread * noise - 0.5 * spread**2)
    return factor


def _smoothed(values: Floats, memory_steps: float) -> Floats:
    """Exponential moving average that starts at the first value."""
    keep = float(np.exp(-1.0 / memory_steps))
    state = [keep * values[0]]
    average: Floats = lfilter([1.0 - keep], [1.0, -keep], values, zi=state)[0]
    return average
