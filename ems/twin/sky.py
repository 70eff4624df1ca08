"""Sun, clouds and temperature over the twin's place on the quarter-hour grid.

The sun's place is pvlib's, the clear sky Haurwitz's (1945), its split into beam and diffuse
that of Erbs et al. (1982, DOI 10.1016/0038-092X(82)90302-4); the clouds are a stochastic
clear-sky index with a memory of days and of hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pvlib import clearsky, inverter, irradiance, pvsystem, solarposition
from scipy.special import ndtr

from ems.twin.clock import PLACE, QUARTER_H
from ems.twin.specs import PvSpec
from ems.twin.streams import red_noise, scaled_to_total, stream
from ems.types import Floats, Instants

ALTITUDE_M = 405.0
HALF_QUARTER = np.timedelta64(450, "s")
QUARTERS_PER_DAY = 96

CLOUD_MEMORY_DAYS = 1.2
CLOUD_MEMORY_H = 2.0
DARKEST, CLEAREST = 0.10, 1.06
HAZIEST = 0.06

MEAN_C, SEASON_C = 10.2, 9.6
WARMEST_DAY = 203
WEATHER_C, WEATHER_MEMORY_DAYS = 3.0, 6.0
DIURNAL_CLOUDY_C, DIURNAL_CLEAR_C = 1.2, 5.5
WARMEST_HOUR_UTC = 14.0

INVERTER_DC_LIMIT = 1.2


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Weather of each quarter hour, all arrays of shape ``(n,)``, angles at its middle."""

    ts_utc: Instants
    zenith_deg: Floats
    azimuth_deg: Floats
    clear_sky_index: Floats
    clearness_of_day: Floats
    ghi_w_per_m2: Floats
    dni_w_per_m2: Floats
    dhi_w_per_m2: Floats
    dni_extra_w_per_m2: Floats
    temperature_c: Floats

    def part(self, first: int, n: int) -> Sky:
        """The ``n`` quarter hours from index ``first`` on."""
        cut = slice(first, first + n)
        return Sky(**{name: values[cut] for name, values in vars(self).items()})


def make_sky(seed: int, ts_utc: Instants) -> Sky:
    """Weather from the seed over quarter hours that begin at a UTC midnight."""
    when = pd.DatetimeIndex(ts_utc + HALF_QUARTER, tz="UTC")
    day_of_year = when.day_of_year.to_numpy()
    sun = solarposition.spa_python(
        when,
        PLACE.latitude_deg,
        PLACE.longitude_deg,
        altitude=ALTITUDE_M,
        temperature=MEAN_C,
    )
    season = np.cos(2 * np.pi * (day_of_year - WARMEST_DAY) / 365.25)
    day_clearness, index = _clouds(seed, season)
    clear_w = clearsky.haurwitz(sun["apparent_zenith"])["ghi"].to_numpy()
    ghi_w = clear_w * index
    split = irradiance.erbs(ghi_w, sun["zenith"].to_numpy(), day_of_year)
    return Sky(
        ts_utc=ts_utc,
        zenith_deg=sun["apparent_zenith"].to_numpy(),
        azimuth_deg=sun["azimuth"].to_numpy(),
        clear_sky_index=index,
        clearness_of_day=day_clearness,
        ghi_w_per_m2=ghi_w,
        dni_w_per_m2=split["dni"],
        dhi_w_per_m2=split["dhi"],
        dni_extra_w_per_m2=irradiance.get_extra_radiation(day_of_year),
        temperature_c=_temperature(seed, when, season, day_clearness),
    )


def _clouds(seed: int, season: Floats) -> tuple[Floats, Floats]:
    """Clearness of the days and the clear-sky index of the steps, both in [0, 1.06]."""
    n_days = -(-len(season) // QUARTERS_PER_DAY)
    days = red_noise(stream(seed, "sky", "cloud days"), n_days, CLOUD_MEMORY_DAYS)
    daily = _between_middays(days, len(season)) + 0.16 + 0.45 * season
    hours = red_noise(stream(seed, "sky", "cloud hours"), len(season), 4 * CLOUD_MEMORY_H)
    haze = red_noise(stream(seed, "sky", "haze"), n_days, CLOUD_MEMORY_DAYS)
    clear = 1.0 - HAZIEST * ndtr(_between_middays(haze, len(season)))
    width = CLEAREST - DARKEST
    return ndtr(daily), clear * (DARKEST + width * ndtr(1.25 * daily + 0.7 * hours))


def _temperature(
    seed: int, when: pd.DatetimeIndex, season: Floats, day_clearness: Floats
) -> Floats:
    """Season, weather of the days, and a diurnal swing that clear days widen [°C]."""
    n_days = -(-len(when) // QUARTERS_PER_DAY)
    rng = stream(seed, "sky", "temperature")
    weather = _between_middays(red_noise(rng, n_days, WEATHER_MEMORY_DAYS), len(when))
    short = red_noise(rng, len(when), 4 * 3.0)
    hour = when.hour.to_numpy() + when.minute.to_numpy() / 60
    swing_c = DIURNAL_CLOUDY_C + (DIURNAL_CLEAR_C - DIURNAL_CLOUDY_C) * day_clearness
    diurnal = swing_c * np.cos(2 * np.pi * (hour - WARMEST_HOUR_UTC) / 24)
    sunny_c = 2.5 * (day_clearness - 0.5) * season
    return MEAN_C + SEASON_C * season + WEATHER_C * weather + sunny_c + diurnal + 0.5 * short


def _between_middays(daily: Floats, n: int) -> Floats:
    """Daily values as the value of noon, straight lines between, shape ``(n,)``."""
    noon = (np.arange(len(daily)) + 0.5) * QUARTERS_PER_DAY
    return np.interp(np.arange(n), noon, daily)


def pv_kwh(spec: PvSpec, sky: Sky) -> Floats:
    """Generation of a PV field in each quarter hour [kWh], cut off at its inverter's limit."""
    in_sun = sky.zenith_deg < 90.0 - spec.horizon_deg
    plane = irradiance.get_total_irradiance(
        spec.tilt_deg,
        spec.azimuth_deg,
        sky.zenith_deg,
        sky.azimuth_deg,
        np.where(in_sun, sky.dni_w_per_m2, 0.0),
        sky.ghi_w_per_m2,
        sky.dhi_w_per_m2,
        dni_extra=sky.dni_extra_w_per_m2,
        model="haydavies",
    )
    poa_w = np.clip(np.nan_to_num(plane["poa_global"]), 0.0, None)
    cell_c = sky.temperature_c + 0.03 * poa_w
    dc = np.clip(pvsystem.pvwatts_dc(poa_w, cell_c, 1.0, -0.004), 0.0, None)
    ac = np.nan_to_num(inverter.pvwatts(dc, INVERTER_DC_LIMIT))
    return scaled_to_total(ac, spec.total_kwh, who=spec.name, cap_kwh=spec.peak_kw * QUARTER_H)
