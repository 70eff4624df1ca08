"""The synthetic twin put together: buildings, prices, weather and the truth behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ems.errors import InvalidSpec
from ems.site.meters import Category, Feed, LoadRule, Role
from ems.site.place import Place
from ems.twin.catalogue import CATALOGUE
from ems.twin.clock import (
    PLACE,
    QUARTER,
    QUARTER_H,
    TIMEZONE,
    TwinClock,
    clock,
    quarter_hours,
    to_step,
)
from ems.twin.devices import Starts, TrueHabit, cycles, ev_sessions, fixed_kwh, heat_pump_kwh
from ems.twin.prices import day_ahead_prices
from ems.twin.sky import Sky, make_sky, pv_kwh
from ems.twin.specs import BuildingSpec
from ems.twin.streams import stream
from ems.types import Floats, Instants

GENERATOR_VERSION = "1"
FIRST_UTC = np.datetime64("2014-12-01T00:00:00", "s")
END_UTC = np.datetime64("2019-01-01T00:00:00", "s")
STEP_MINUTES = (15, 60)
DAY_TYPES = ("working_day", "weekend_or_holiday")
PMF_COLUMNS = ["building", "feed", "day_type", "hour", "probability", "use_probability"]
START_COLUMNS = ["building", "feed", "ts_utc", "energy_kwh", "n_steps"]

PmfRow = tuple[str, str, str, int, float, float]
StartRow = tuple[str, str, np.datetime64, float, int]


@dataclass(frozen=True, kw_only=True)
class TwinBuilding:
    """One building of the twin: its feeds' energy per step [kWh], shape ``(n,)``."""

    name: str
    kind: str
    place: Place
    timezone: str
    step_h: float
    ts_utc: Instants
    feeds: tuple[Feed, ...]
    energy_kwh: Mapping[str, Floats]
    load_rule: LoadRule


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A generated portfolio and the truth behind it.

    ``prices``: ``zone, ts_utc, step_h, eur_per_mwh``, hourly. ``weather``: ``site, ts_utc,
    temperature_c, ghi_w_per_m2, dni_w_per_m2, dhi_w_per_m2``, means of each step.
    ``true_pmf``: ``building, feed, day_type, hour, probability, use_probability``.
    ``true_starts``: ``building, feed, ts_utc, energy_kwh, n_steps``: quarter hour of each start,
    energy of the run without standby, number of steps of the twin's grid that it touches.
    """

    seed: int
    step_minutes: int
    buildings: tuple[TwinBuilding, ...]
    prices: pd.DataFrame
    weather: pd.DataFrame
    true_pmf: pd.DataFrame
    true_starts: pd.DataFrame


def generate(
    seed: int, step_minutes: int = 60, catalogue: tuple[BuildingSpec, ...] = CATALOGUE
) -> Twin:
    """Everything from one seed, drawn in quarter hours and summed to the step asked for.

    The same seed gives the same bits; hourly values are the sums of the quarter-hourly ones.
    Raises ``InvalidSpec`` for another step than 15 or 60 minutes, or a negative seed.
    """
    if step_minutes not in STEP_MINUTES:
        raise InvalidSpec(f"twin: step_minutes = {step_minutes}, allowed are 15 and 60")
    if seed < 0:
        raise InvalidSpec(f"twin: seed = {seed} is below 0; give a whole number from 0 on")
    ts_utc = quarter_hours(FIRST_UTC, END_UTC)
    sky = make_sky(seed, ts_utc)
    made = [_building(seed, spec, sky, step_minutes) for spec in catalogue]
    return Twin(
        seed=seed,
        step_minutes=step_minutes,
        buildings=tuple(building for building, _, _ in made),
        prices=day_ahead_prices(seed, clock(ts_utc), sky),
        weather=_weather(sky, step_minutes // 15),
        true_pmf=pd.DataFrame([row for _, rows, _ in made for row in rows], columns=PMF_COLUMNS),
        true_starts=pd.DataFrame(
            [row for _, _, rows in made for row in rows], columns=START_COLUMNS
        ),
    )


def _building(
    seed: int, spec: BuildingSpec, sky: Sky, step_minutes: int
) -> tuple[TwinBuilding, list[PmfRow], list[StartRow]]:
    """One building with its true PMFs and starts."""
    start_utc = np.datetime64(spec.start_utc, "s")
    end_utc = np.datetime64(spec.last_utc, "s") + np.timedelta64(1, "h")
    ts_utc = quarter_hours(start_utc, end_utc)
    first = int((start_utc - FIRST_UTC) / QUARTER)
    calendar, local_sky = clock(ts_utc), sky.part(first, len(ts_utc))
    devices, truths, starts = _devices(seed, spec, calendar, local_sky.temperature_c)
    generation = {pv.name: pv_kwh(pv, local_sky) for pv in spec.pv}
    base = fixed_kwh(
        spec.base, calendar, local_sky.temperature_c, stream(seed, spec.name, spec.base.name)
    )
    grid = _grid(spec, devices, generation, base)
    quarters = step_minutes // 15
    energy_kwh = {
        name: to_step(values, quarters) for name, values in (devices | generation | grid).items()
    }
    building = TwinBuilding(
        name=spec.name,
        kind=spec.kind,
        place=PLACE,
        timezone=TIMEZONE,
        step_h=step_minutes / 60,
        ts_utc=ts_utc[::quarters],
        feeds=_feeds(spec),
        energy_kwh=energy_kwh,
        load_rule=spec.load_rule,
    )
    return (
        building,
        _true_pmf(spec.name, truths),
        _true_starts(spec.name, calendar, starts, quarters),
    )


def _devices(
    seed: int, spec: BuildingSpec, calendar: TwinClock, temperature_c: Floats
) -> tuple[dict[str, Floats], dict[str, TrueHabit], dict[str, Starts]]:
    """Sub-meters [kWh per quarter hour] in the order of the specification."""
    energy: dict[str, Floats] = {}
    habits: dict[str, TrueHabit] = {}
    starts: dict[str, Starts] = {}
    for appliance in spec.cycles:
        name, rng = appliance.name, stream(seed, spec.name, appliance.name)
        energy[name], starts[name], habits[name] = cycles(appliance, calendar, rng)
    for car in spec.evs:
        name, rng = car.name, stream(seed, spec.name, car.name)
        energy[name], starts[name], habits[name] = ev_sessions(car, calendar, rng)
    for pump in spec.heat_pumps:
        rng = stream(seed, spec.name, pump.name)
        energy[pump.name] = heat_pump_kwh(pump, calendar, temperature_c, rng)
    for load in spec.fixed:
        rng = stream(seed, spec.name, load.name)
        energy[load.name] = fixed_kwh(load, calendar, temperature_c, rng)
    return energy, habits, starts


def _grid(
    spec: BuildingSpec,
    devices: Mapping[str, Floats],
    generation: Mapping[str, Floats],
    base: Floats,
) -> dict[str, Floats]:
    """The meters at the grid [kWh per quarter hour]: import − export = load − PV behind them."""
    apart = {pump.name for pump in spec.heat_pumps if not pump.behind_import}
    load = base + sum(kwh for name, kwh in devices.items() if name not in apart)
    pv = np.zeros(len(base))
    for field in spec.pv:
        if field.behind_import:
            pv = pv + generation[field.name]
    surplus = np.clip(pv - load, 0.0, None)
    exported = surplus - np.minimum(surplus, spec.surplus_heater_kw * QUARTER_H)
    grid = {"grid_import": np.clip(load - pv, 0.0, None)}
    if spec.has_export_meter:
        return grid | {"grid_export": exported}
    n_surplus = np.count_nonzero(exported)
    if n_surplus:
        raise InvalidSpec(
            f"{spec.name}: PV exceeds the load in {n_surplus} quarter hours but has_export_meter "
            "is false; give it an export meter or more base load"
        )
    return grid


def _feeds(spec: BuildingSpec) -> tuple[Feed, ...]:
    """The meters in the order grid, PV, loads."""
    grid: list[tuple[str, Role]] = [("grid_import", "import")]
    if spec.has_export_meter:
        grid.append(("grid_export", "export"))
    loads: list[tuple[str, Category, bool]] = [
        *((cycle.name, "discrete_phase", True) for cycle in spec.cycles),
        *((car.name, "ev", True) for car in spec.evs),
        *((pump.name, "partial_usage", pump.behind_import) for pump in spec.heat_pumps),
        *((load.name, "fixed", True) for load in spec.fixed),
    ]
    return (
        *(Feed(name=name, role=role, category="grid") for name, role in grid),
        *(
            Feed(name=pv.name, role="pv", category="pv", behind_import=pv.behind_import)
            for pv in spec.pv
        ),
        *(
            Feed(name=name, role="load", category=category, behind_import=behind)
            for name, category, behind in loads
        ),
    )


def _true_pmf(building: str, habits: Mapping[str, TrueHabit]) -> list[PmfRow]:
    """A row for each feed, day type and local hour."""
    return [
        (building, feed, day_type, hour, float(probability), use)
        for feed, habit in habits.items()
        for day_type, use, hours in zip(DAY_TYPES, habit.use_probability, habit.hours, strict=True)
        for hour, probability in enumerate(hours)
    ]


def _true_starts(
    building: str, calendar: TwinClock, starts: Mapping[str, Starts], quarters: int
) -> list[StartRow]:
    """A row for each start, in order of feed and time."""
    return [
        (
            building,
            feed,
            calendar.ts_utc[step],
            float(kwh),
            int(last // quarters - step // quarters) + 1,
        )
        for feed, each in starts.items()
        for step, kwh, last in zip(
            each.step, each.energy_kwh, each.step + each.n_quarters - 1, strict=True
        )
    ]


def _weather(sky: Sky, quarters: int) -> pd.DataFrame:
    """Means of each step."""
    means = {
        name: np.round(getattr(sky, name).reshape(-1, quarters).mean(axis=1), 2)
        for name in ("temperature_c", "ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2")
    }
    return pd.DataFrame({"site": PLACE.name, "ts_utc": sky.ts_utc[::quarters]} | means)
