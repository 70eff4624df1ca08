"""Laws under which homes may share, as data: TOML files in ``ems/economics/tariffs/community``.

A law says which part of the energy grid fee is due on a shared kWh, how long a step of the
settlement is and since when or until when it holds, as far as that is known, each figure with its
source. The fee that follows is the internal fee f of ``ems.community.rules``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import Field

from ems.checked import Entry, check, read_toml
from ems.economics.tariff import BUILT_IN, Figure, Tariff
from ems.economics.tariff_file import ShareEntry, Source
from ems.errors import InvalidSpec

LAWS = BUILT_IN / "community"


class DayEntry(Entry):
    """A day with its source."""

    EXPECTED = '{ value = 2026-06-01, source = "…" }'
    value: date = Field(description="a day such as 2026-06-01, without quotes")
    source: Source


class MinutesEntry(Entry):
    """Whole minutes with their source."""

    EXPECTED = '{ value = 15, source = "…" }'
    value: int = Field(ge=1, le=1440, description="whole minutes from 1 to 1440")
    source: Source


class LawEntry(Entry):
    """The file of a law."""

    name: str = Field(min_length=1, description="the name of the law")
    description: str = Field(min_length=1, description="what the law says, in a line")
    from_day: DayEntry | None = None
    until_day: DayEntry | None = None
    grid_fee_share: ShareEntry | None = None
    settlement_min: MinutesEntry | None = None


@dataclass(frozen=True, kw_only=True)
class Law:
    """A law; None where it says nothing or nothing is known.

    ``from_day``, ``until_day``: first and last day on which it holds. ``grid_fee_share``: part of
    the energy grid fee that is due on a shared kWh, in [0, 1]. ``settlement_min``: length of the
    steps in which surplus and deficit are compared [min]. ``figures``: all of it with sources.
    """

    name: str
    description: str
    from_day: date | None
    until_day: date | None
    grid_fee_share: float | None
    settlement_min: int | None
    figures: tuple[Figure, ...]

    def require_in_force(self, first: date, last: date) -> None:
        """Raise ``InvalidSpec`` unless the law holds on every day from ``first`` to ``last``."""
        if self.from_day is not None and first < self.from_day:
            raise InvalidSpec(
                f"law {self.name}: holds from {self.from_day}, the window begins on {first}; take "
                "later days or another law"
            )
        if self.until_day is not None and last > self.until_day:
            raise InvalidSpec(
                f"law {self.name}: holds until {self.until_day}, the window ends on {last}; take "
                "earlier days or another law"
            )

    def fee_eur_per_kwh(self, tariff: Tariff) -> float:
        """What is due on a shared kWh, VAT included: share · grid fee · (1 + VAT) [€/kWh].

        Raises ``InvalidSpec`` if the law says no share or the tariff names no grid fee.
        """
        if self.grid_fee_share is None:
            raise InvalidSpec(
                f"law {self.name}: says no share of the grid fee ({self.description}); give the "
                "fee on a shared kWh yourself"
            )
        if self.grid_fee_share == 0.0:
            return 0.0
        known = {figure.name: figure.value for figure in tariff.figures}
        if "fees.grid_fee" not in known:
            raise InvalidSpec(
                f"law {self.name}: takes a share of the grid fee, and tariff {tariff.name} names "
                "no grid_fee; take one that does, such as dynamic"
            )
        return self.grid_fee_share * known["fees.grid_fee"] / 100.0 * (1.0 + known["vat"])


def built_in_laws() -> tuple[str, ...]:
    """Names of the built-in laws."""
    return tuple(sorted(path.stem for path in LAWS.glob("*.toml")))


def read_law(name: str) -> Law:
    """A built-in law by name, or the TOML file of one by path.

    Raises ``InvalidSpec`` for an unknown name, a file that cannot be read, a missing or unknown
    key, or a figure without a source.
    """
    path = LAWS / f"{name}.toml" if name in built_in_laws() else Path(name)
    if path.suffix != ".toml":
        raise InvalidSpec(
            f"law {name!r}: not known ({', '.join(built_in_laws())}) and no TOML file of a law"
        )
    entry = check(LawEntry, read_toml(path, f"law {name}", InvalidSpec), f"law {name}", InvalidSpec)
    return Law(
        name=entry.name,
        description=entry.description,
        from_day=entry.from_day.value if entry.from_day else None,
        until_day=entry.until_day.value if entry.until_day else None,
        grid_fee_share=entry.grid_fee_share.value if entry.grid_fee_share else None,
        settlement_min=entry.settlement_min.value if entry.settlement_min else None,
        figures=tuple(_figures(entry)),
    )


def _figures(entry: LawEntry) -> list[Figure]:
    figures = []
    for name, of, unit in (
        ("grid_fee_share", entry.grid_fee_share, "1"),
        ("settlement", entry.settlement_min, "min"),
    ):
        if of is not None:
            figures.append(Figure(name=name, value=of.value, unit=unit, source=of.source))
    return figures
