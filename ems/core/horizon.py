"""The time grid of a plan and its prices; the only place where kW becomes kWh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from ems.core.affine import Affine
from ems.errors import InvalidSpec
from ems.types import Floats, Instants

if TYPE_CHECKING:
    import pandas as pd

PowerT = TypeVar("PowerT", float, Floats, Affine)


@dataclass(frozen=True, kw_only=True, eq=False)
class Horizon:
    """``n_steps`` equal steps from ``start_utc``, with the price of each.

    ``start_utc``: the UTC instant at which the first step starts.
    ``step_h``: length of a step [h].
    ``import_eur_per_kwh``, ``export_eur_per_kwh``: what a kWh bought costs and a kWh sold
    earns in each step [€/kWh], shape ``(n_steps,)``, finite; both may be negative.
    ``timezone``: IANA name of the local time in which days and deadlines are counted.

    Raises ``InvalidSpec`` for a step that is not positive and for prices that are missing, not
    finite or of different lengths.
    """

    start_utc: np.datetime64
    step_h: float
    import_eur_per_kwh: Floats
    export_eur_per_kwh: Floats
    timezone: str = "Europe/Berlin"

    def __post_init__(self) -> None:
        if not 0 < self.step_h <= 24:
            raise InvalidSpec(f"horizon: step_h is {self.step_h}, allowed is 0 < step_h <= 24")
        if np.isnat(self.start_utc):
            raise InvalidSpec("horizon: start_utc is NaT, give a UTC instant")
        for name in ("import_eur_per_kwh", "export_eur_per_kwh"):
            prices = np.array(getattr(self, name), dtype=np.float64)
            # Read-only copies: plans share these arrays, and a caller may reuse its own.
            prices.setflags(write=False)
            object.__setattr__(self, name, prices)
            bad = np.flatnonzero(~np.isfinite(prices))
            if bad.size:
                raise InvalidSpec(
                    f"horizon: {name}[{bad[0]}] is {prices[bad[0]]}, every price must be a "
                    "finite number; fill the gap or choose other days"
                )
        if self.import_eur_per_kwh.ndim != 1 or not len(self.import_eur_per_kwh):
            raise InvalidSpec("horizon: import_eur_per_kwh is empty, give one price a step")
        if self.import_eur_per_kwh.shape != self.export_eur_per_kwh.shape:
            raise InvalidSpec(
                f"horizon: {len(self.import_eur_per_kwh)} import prices but "
                f"{len(self.export_eur_per_kwh)} export prices; give one of each a step"
            )
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise InvalidSpec(
                f"horizon: timezone is {self.timezone!r}, give an IANA name such as Europe/Berlin"
            ) from error

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.import_eur_per_kwh)

    @property
    def steps(self) -> range:
        """The indices of the steps."""
        return range(self.n_steps)

    @cached_property
    def ts_utc(self) -> Instants:
        """The starts of the steps, ``datetime64[s]``, shape ``(n_steps,)``."""
        # Rounded to whole seconds, so that steps such as 1/12 h do not drift.
        seconds = np.rint(np.arange(self.n_steps) * self.step_h * 3600).astype("timedelta64[s]")
        starts: Instants = self.start_utc.astype("datetime64[s]") + seconds
        return starts

    @cached_property
    def local(self) -> pd.DatetimeIndex:
        """The starts of the steps in local time."""
        # Imported here, since pandas is slow to load and many plans never need local time.
        import pandas as pd

        return pd.DatetimeIndex(self.ts_utc, tz="UTC").tz_convert(self.timezone)

    @cached_property
    def wall_clock(self) -> Instants:
        """The local time at the start of each step without its zone, ``datetime64[s]``."""
        return np.asarray(self.local.tz_localize(None), dtype="datetime64[s]")

    @cached_property
    def local_hour(self) -> Floats:
        """The hour of the local day at the start of each step, 0 ≤ h < 24."""
        since_midnight = self.wall_clock - self.wall_clock.astype("datetime64[D]")
        hours: Floats = since_midnight / np.timedelta64(1, "h")
        return hours

    def energy_kwh(self, power_kw: PowerT) -> PowerT:
        """Energy of each step [kWh] at the mean power ``power_kw`` [kW]."""
        return power_kw * self.step_h

    def power_kw(self, energy_kwh: Floats) -> Floats:
        """Mean power of each step [kW] for its energy [kWh]."""
        return energy_kwh / self.step_h

    def bill_eur(self, import_kw: Floats, export_kw: Floats) -> Floats:
        # Sliced, since the last hours of a run may be executed on part of a horizon.
        """Energy bill of each step [€] = (import · price − export · price) · Δt."""
        bought = self.import_eur_per_kwh[: len(import_kw)] * import_kw
        sold = self.export_eur_per_kwh[: len(export_kw)] * export_kw
        return self.energy_kwh(bought - sold)

    def window(self, first: int, last: int) -> Horizon:
        """The steps ``first … last − 1`` as a horizon of their own."""
        if not 0 <= first < last <= self.n_steps:
            raise InvalidSpec(
                f"horizon: window [{first}, {last}) is outside the {self.n_steps} steps"
            )
        seconds = np.timedelta64(round(first * self.step_h * 3600), "s")
        return replace(
            self,
            start_utc=self.start_utc.astype("datetime64[s]") + seconds,
            import_eur_per_kwh=self.import_eur_per_kwh[first:last],
            export_eur_per_kwh=self.export_eur_per_kwh[first:last],
        )
