"""What a kWh costs and earns in each step, from named and sourced figures.

import = (spot + Σ fees) · (1 + VAT), export = feed-in or spot   [€/kWh]

A tariff is a TOML file; ``dynamic`` (the default), ``flat``, ``tou`` and ``spot`` are built in,
see ``ems/economics/tariffs/``. Every figure is ``{ value = …, source = "…" }`` with a source or
"assumed".
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ems.errors import InvalidSpec
from ems.types import Floats

BUILT_IN = Path(__file__).parent / "tariffs"
Kind = Literal["dynamic", "flat", "tou", "spot"]
_NEEDS: Mapping[Kind, frozenset[str]] = {
    "dynamic": frozenset({"vat", "fees_ct_per_kwh"}),
    "flat": frozenset({"import_ct_per_kwh"}),
    "tou": frozenset({"import_ct_per_kwh", "low"}),
    "spot": frozenset(),
}
_MAY = frozenset({"name", "kind", "description", "feed_in_ct_per_kwh"})
_LOW = ("from_hour", "to_hour", "import_ct_per_kwh")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a tariff and where it comes from."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """A tariff as its figures; ``import_eur_per_kwh`` and ``export_eur_per_kwh`` apply it.

    ``low_hours``: local hours [from, to) of the low price of a ``tou`` tariff, may pass midnight.
    """

    name: str
    kind: Kind
    description: str
    figures: tuple[Figure, ...]
    low_hours: tuple[float, float] = (0.0, 0.0)

    @property
    def uses_spot(self) -> bool:
        """Whether a day without day-ahead prices cannot be priced."""
        return self.kind in ("dynamic", "spot")

    @property
    def fixed_feed_in(self) -> bool:
        """Whether a kWh sold earns a fixed feed-in tariff, not the day-ahead price."""
        return any(figure.name == "feed_in" for figure in self.figures)

    def import_eur_per_kwh(self, spot_eur_per_mwh: Floats, local_hour: Floats) -> Floats:
        """Price of a kWh bought [€/kWh]; both arguments have shape ``(n_steps,)``."""
        spot = spot_eur_per_mwh / 1000.0
        if self.kind == "spot":
            return spot
        if self.kind == "dynamic":
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
    """The names of the tariffs that come with the package."""
    return tuple(sorted(path.stem for path in BUILT_IN.glob("*.toml")))


def load_tariff(name: str) -> Tariff:
    """A built-in tariff by its name, or one from a TOML file by its path.

    Raises ``InvalidSpec`` for an unknown name, an unreadable file, a missing or unknown key, a
    figure without a source, one that is not a finite number, or a VAT outside [0, 1].
    """
    path = BUILT_IN / f"{name}.toml" if name in built_in_tariffs() else Path(name)
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows editors put a mark before it
    except OSError as error:
        raise InvalidSpec(
            f"tariff {name!r}: not built in ({', '.join(built_in_tariffs())}) and no readable TOML "
            "file of that name"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidSpec(
            f"tariff {name!r}: {path} is not a text file in UTF-8; save it in that encoding"
        ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSpec(f"tariff {name!r}: {path} is not valid TOML: {error}") from error
    return _tariff(table, path)


def _tariff(table: Mapping[str, Any], path: Path) -> Tariff:
    kind: Any = table.get("kind")
    if kind not in tuple(_NEEDS):  # a tuple, since what a file holds need not be hashable
        raise InvalidSpec(f"tariff {path}: kind is {kind!r}, allowed are {', '.join(_NEEDS)}")
    needs = _NEEDS[kind]
    for key in sorted(needs - set(table)):
        raise InvalidSpec(f"tariff {path}: {key} is missing, a {kind} tariff needs it")
    for key in sorted(set(table) - needs - _MAY):
        known = ", ".join(sorted(needs | _MAY))
        raise InvalidSpec(f"tariff {path}: {key} is unknown, a {kind} tariff has {known}")
    single = ("vat", "import_ct_per_kwh", "feed_in_ct_per_kwh")
    figures = [_figure(path, key, table[key]) for key in single if key in table]
    fees = _table(path, table, "fees_ct_per_kwh")
    figures += [_figure(path, f"fees.{key}_ct_per_kwh", fees[key]) for key in fees]
    low_hours = (0.0, 0.0)
    if kind == "tou":
        low = _table(path, table, "low")
        figures.append(_figure(path, "low.import_ct_per_kwh", low.get("import_ct_per_kwh")))
        low_hours = _low_hours(path, low)
    if kind in ("flat", "tou") and "feed_in_ct_per_kwh" not in table:
        raise InvalidSpec(f"tariff {path}: feed_in_ct_per_kwh is missing, a {kind} tariff needs it")
    return Tariff(
        name=str(table.get("name", path.stem)),
        kind=kind,
        description=str(table.get("description", "")),
        figures=tuple(figures),
        low_hours=low_hours,
    )


def _table(path: Path, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    entry = table.get(key, {})
    if not isinstance(entry, dict):
        raise InvalidSpec(f"tariff {path}: {key} is {entry!r}, it must be a table")
    return entry


def _figure(path: Path, key: str, entry: Any) -> Figure:
    if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
        raise InvalidSpec(
            f'tariff {path}: {key} is {entry!r}, write {{ value = …, source = "…" }} with the '
            'source of the figure or "assumed"'
        )
    value = entry["value"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not np.isfinite(value):
        raise InvalidSpec(f"tariff {path}: {key}.value is {value!r}, it must be a finite number")
    if not str(entry["source"]).strip():
        raise InvalidSpec(f'tariff {path}: {key}.source is empty, name it or write "assumed"')
    if key == "vat" and not 0 <= value <= 1:
        raise InvalidSpec(f"tariff {path}: vat.value is {value!r}, allowed is a share from 0 to 1")
    name, unit = key.removesuffix("_ct_per_kwh"), "ct/kWh" if key != "vat" else "1"
    return Figure(name=name, value=float(value), unit=unit, source=str(entry["source"]))


def _low_hours(path: Path, low: Mapping[str, Any]) -> tuple[float, float]:
    unknown = sorted(set(low) - set(_LOW))
    if unknown:
        raise InvalidSpec(f"tariff {path}: low.{unknown[0]} is unknown, low has {', '.join(_LOW)}")
    begin, end = _hour(path, low, "from_hour"), _hour(path, low, "to_hour")
    if begin == end or begin - end == 24:
        raise InvalidSpec(
            f"tariff {path}: low.from_hour {begin:g} and low.to_hour {end:g} are the same hour, "
            "they must differ"
        )
    return begin, end


def _hour(path: Path, table: Mapping[str, Any], key: str) -> float:
    value: Any = table.get(key)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 24:
        raise InvalidSpec(f"tariff {path}: low.{key} is {value!r}, allowed is an hour from 0 to 24")
    return float(value)
