"""The price of a kWh in each step, from named figures with sources.

import = (spot + Σ fees) · (1 + VAT), export = feed-in or spot   [€/kWh]

A tariff is a TOML file; ``dynamic`` (the default), ``flat``, ``tou`` and ``spot`` are built in, see
``ems/economics/tariffs/``. Every figure is ``{ value = …, source = "…" }`` with a source or
"assumed".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ems.types import Floats

BUILT_IN = Path(__file__).parent / "tariffs"
Kind = Literal["dynamic", "flat", "tou", "spot"]
DemandPeriod = Literal["month", "year"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a tariff with its source."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """A tariff; ``import_eur_per_kwh`` and ``export_eur_per_kwh`` apply it.

    ``low_hours``: local hours [from, to) of the low price of a ``tou`` tariff; may cross midnight.
    ``demand_period``: what its demand charge, if it has one, is paid once for.
    """

    name: str
    kind: Kind
    description: str
    figures: tuple[Figure, ...]
    low_hours: tuple[float, float] = (0.0, 0.0)
    demand_period: DemandPeriod = "month"

    @property
    def uses_spot(self) -> bool:
        """Whether a day needs day-ahead prices."""
        return self.kind in ("dynamic", "spot")

    @property
    def fixed_feed_in(self) -> bool:
        """Whether export earns a fixed feed-in tariff instead of the day-ahead price."""
        return any(figure.name == "feed_in" for figure in self.figures)

    @property
    def demand_charge_eur_per_kw(self) -> float:
        """Price of the highest import of each ``demand_period`` [€/kW]; 0 without one."""
        return sum(figure.value for figure in self.figures if figure.name == "demand_charge")

    def import_eur_per_kwh(self, spot_eur_per_mwh: Floats, local_hour: Floats) -> Floats:
        """Price of a kWh bought [€/kWh]; both arguments have shape ``(n_steps,)``."""
        spot = spot_eur_per_mwh / 1000.0
        if self.kind == "spot":
            return spot
        if self.kind == "dynamic":
            # Figures are in ct/kWh as on a bill; prices are in €/kWh.
            fees = sum(f.value for f in self.figures if f.name.startswith("fees.")) / 100.0
            return (spot + fees) * (1.0 + self._figure("vat"))
        price = np.full(len(local_hour), self._figure("import") / 100.0)
        if self.kind == "tou":
            price[self._low(local_hour)] = self._figure("low.import") / 100.0
        return price

    def export_eur_per_kwh(self, spot_eur_per_mwh: Floats) -> Floats:
        """Revenue of a kWh sold [€/kWh], shape ``(n_steps,)``: the feed-in tariff, else spot."""
        if self.fixed_feed_in:
            return np.full(len(spot_eur_per_mwh), self._figure("feed_in") / 100.0)
        return spot_eur_per_mwh / 1000.0

    def _figure(self, name: str) -> float:
        return next(figure.value for figure in self.figures if figure.name == name)

    def _low(self, local_hour: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        begin, end = self.low_hours
        if begin < end:
            return (local_hour >= begin) & (local_hour < end)
        return (local_hour >= begin) | (local_hour < end)


def built_in_tariffs() -> tuple[str, ...]:
    """Names of the built-in tariffs."""
    return tuple(sorted(path.stem for path in BUILT_IN.glob("*.toml")))
