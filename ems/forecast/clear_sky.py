"""Position of the sun, and a roof's clear-sky generation learned from its own meter.

P_clear(t) = Σ_j w_j · G_j(t), w_j ≥ 0 [kW]

G_j: clear-sky irradiance on plane j of a fixed set of tilts and azimuths [kW/m²]; beam and diffuse
parts after Ineichen 2008, doi:10.1016/j.solener.2007.09.017 (simplified Solis). The weights w [m²
of ideal panel] fit the 0.97 expectile of past generation: errors above the curve weigh 0.97, those
below 0.03. So it follows the cloudless hours without classifying any hour first (Newey and Powell
1987, doi:10.2307/1911031). Several planes model an east-west roof, or a roof and a facade.

pvlib and scipy are imported where they are used, which saves half a second under perfect foresight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ems.errors import DataError
from ems.forecast.series import Series
from ems.site.place import Place
from ems.types import Floats, Instants

TILTS_DEG = (0.0, 15.0, 30.0, 45.0, 60.0, 90.0)
AZIMUTHS_DEG = (60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0)
"""The planes a roof may consist of: level to upright, north-east over south to north-west [°]."""
CLOUD_EDGE = 1.2
"""Hourly means between bright clouds may exceed clear-sky generation by this factor."""
EXPECTILE = 0.97
ROUNDS = 8
"""Iterations of the reweighted fit; the weights settle within them."""
RIDGE = 1e-9
"""Ridge as a share of the trace; makes the Cholesky factor exist for nearly equal planes."""
MIN_SUNNY_STEPS = 48
"""Minimum number of known steps with sun and generation: about four summer days of hours."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sun:
    """The sun and the clear sky at the middle of each step, arrays of shape ``(n,)``.

    ``up``: whether the sun is above the horizon at the start, middle or end of the step.
    """

    elevation_deg: Floats
    azimuth_deg: Floats
    ghi_w_per_m2: Floats
    dni_w_per_m2: Floats
    dhi_w_per_m2: Floats
    up: NDArray[np.bool_]

    @classmethod
    def over(cls, series: Series, beyond: int) -> Self:
        """The sun at the place of ``series``, and for ``beyond`` steps after its end."""
        return cls.at(series.place, series.ts_utc[0], len(series) + beyond, series.step_h)

    @classmethod
    def at(cls, place: Place, first_utc: np.datetime64, n: int, step_h: float) -> Self:
        """The sun at ``place`` in ``n`` steps from ``first_utc``."""
        from pvlib import clearsky

        # Half steps: starts at even places, middles at odd ones.
        half_s = np.timedelta64(round(step_h * 1800), "s")
        elevation, azimuth = _position(first_utc + np.arange(2 * n + 1) * half_s, place)
        middle = slice(1, None, 2)
        highest = np.maximum(np.maximum(elevation[:-1:2], elevation[middle]), elevation[2::2])
        # The model is undefined below the horizon; masked with `above` afterwards.
        sky = clearsky.simplified_solis(np.maximum(elevation[middle], 0.0))
        above = elevation[middle] > 0.0
        return cls(
            elevation_deg=elevation[middle],
            azimuth_deg=azimuth[middle],
            ghi_w_per_m2=np.where(above, sky["ghi"], 0.0),
            dni_w_per_m2=np.where(above, sky["dni"], 0.0),
            dhi_w_per_m2=np.where(above, sky["dhi"], 0.0),
            up=highest > 0.0,
        )


def _position(utc: Instants, place: Place) -> tuple[Floats, Floats]:
    """Elevation without refraction, and azimuth clockwise from north [°].

    Spencer 1971's series for declination and equation of time: within 0.7° of the NREL algorithm at
    a tenth of its time.
    """
    from pvlib import solarposition

    since = utc - utc.astype("datetime64[D]")
    day = (utc.astype("datetime64[D]") - utc.astype("datetime64[Y]")).astype(np.float64) + 1.0
    minutes = solarposition.equation_of_time_spencer71(day)
    hour_angle = np.radians(
        # 240 s of time are one degree of hour angle.
        since.astype(np.float64) / 240.0 - 180.0 + place.longitude_deg + np.asarray(minutes) / 4.0
    )
    declination = np.asarray(solarposition.declination_spencer71(day))
    phi = np.radians(place.latitude_deg)
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(
        hour_angle
    )
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return np.degrees(np.arcsin(up)), np.degrees(np.arctan2(east, north)) % 360.0


def plane_kw_per_m2(sun: Sun, tilt_deg: float, azimuth_deg: float) -> Floats:
    """Clear-sky irradiance on a plane [kW/m²], shape ``(n,)``; azimuth 180° is south."""
    from pvlib import irradiance

    beam = irradiance.beam_component(
        tilt_deg, azimuth_deg, 90.0 - sun.elevation_deg, sun.azimuth_deg, sun.dni_w_per_m2
    )
    diffuse = irradiance.isotropic(tilt_deg, sun.dhi_w_per_m2)
    ground = irradiance.get_ground_diffuse(tilt_deg, sun.ghi_w_per_m2)
    total: Floats = (beam + diffuse + ground) / 1000.0
    return total


@dataclass(frozen=True, kw_only=True, eq=False)
class ClearSkyRoof:
    """A learned roof: the weight of each plane [m² of ideal panel], ``(n_planes,)``.

    ``seen_kw``: its maximum generation before it was learned.
    """

    weights: Floats
    seen_kw: float

    @classmethod
    def fit(cls, who: str, values_kw: Floats, sun: Sun) -> Self:
        """The roof whose clear-sky generation envelops ``values_kw`` (NaN if unknown).

        Raises ``DataError`` if too little sun and generation is known.
        """
        from scipy.linalg import solve_triangular
        from scipy.optimize import nnls

        n = len(values_kw)
        used = np.isfinite(values_kw) & (sun.ghi_w_per_m2[:n] > 0.0)
        lit = int((values_kw[used] > 0.0).sum())
        if lit < MIN_SUNNY_STEPS:
            raise DataError(
                f"{who}: {lit} steps with known generation, {MIN_SUNNY_STEPS} are needed to learn "
                "a roof; forecast from a later day"
            )
        planes, y = _planes(sun, np.flatnonzero(used)), values_kw[used]
        weights = np.zeros(planes.shape[1])
        for _ in range(ROUNDS):
            above = y > planes @ weights
            share = np.where(above, EXPECTILE, 1.0 - EXPECTILE)[:, None]
            # Weighted non-negative least squares through its normal equations: nnls then sees
            # n_planes rows instead of one a step.
            gram = planes.T @ (share * planes)
            root = np.linalg.cholesky(gram + RIDGE * np.trace(gram) * np.eye(len(gram)))
            right = solve_triangular(root, planes.T @ (share[:, 0] * y), lower=True)
            weights = nnls(root.T, right)[0]
        return cls(weights=weights, seen_kw=float(y.max()))

    def power_kw(self, sun: Sun) -> Floats:
        """Clear-sky generation in each step [kW], shape ``(n,)``, zero at night."""
        cloudless: Floats = _planes(sun, slice(None)) @ self.weights
        return cloudless

    def ceiling_kw(self, clear_kw: Floats) -> Floats:
        """Upper limit in each step [kW]: the maximum ever seen, or the edge of a cloud."""
        return np.maximum(self.seen_kw, CLOUD_EDGE * clear_kw)

    @property
    def normal(self) -> tuple[float, float]:
        """Tilt and azimuth of the single plane most similar to this roof [°]."""
        x, y, z = self.weights @ _normals()
        return float(np.degrees(np.arctan2(np.hypot(x, y), z))), float(
            np.degrees(np.arctan2(x, y)) % 360.0
        )


def _grid() -> list[tuple[float, float]]:
    # The azimuth of a level plane does not matter, so it is in the grid once.
    return [(0.0, 180.0), *((t, a) for t in TILTS_DEG if t > 0.0 for a in AZIMUTHS_DEG)]


def _normals() -> Floats:
    """Unit vectors of the planes to east, north and up, shape ``(n_planes, 3)``."""
    tilt, azimuth = np.radians(np.array(_grid())).T
    return np.stack(
        [np.sin(tilt) * np.sin(azimuth), np.sin(tilt) * np.cos(azimuth), np.cos(tilt)], axis=-1
    )


def _planes(sun: Sun, where: slice | NDArray[np.int64]) -> Floats:
    """Clear-sky irradiance on each plane at some steps [kW/m²], shape ``(n, n_planes)``."""
    part = Sun(**{name: values[where] for name, values in vars(sun).items()})
    return np.stack([plane_kw_per_m2(part, *plane) for plane in _grid()], axis=-1)
