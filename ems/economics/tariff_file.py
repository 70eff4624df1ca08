"""The contents of a tariff file, by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, model_validator

from ems.checked import Entry, check, read_toml
from ems.economics.tariff import (
    BUILT_IN,
    DemandPeriod,
    Figure,
    Kind,
    Tariff,
    built_in_tariffs,
)
from ems.errors import InvalidSpec

Hour = Annotated[float, Field(ge=0, le=24, description="an hour from 0 to 24")]
Source = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    Field(description='the source of the figure or "assumed"'),
]


class FigureEntry(Entry):
    """A figure with its source."""

    EXPECTED: ClassVar[str] = '{ value = …, source = "…" }'
    value: float = Field(description="a finite number")
    source: Source


class ShareEntry(FigureEntry):
    """A figure that is a fraction."""

    value: float = Field(ge=0, le=1, description="a share from 0 to 1")


class FeeEntry(FigureEntry):
    """A figure that nobody is paid for."""

    value: float = Field(ge=0, description="a finite number of at least 0")


class DemandEntry(Entry):
    """A charge on the highest import of each period."""

    period: DemandPeriod = Field(description="month or year")
    eur_per_kw: FeeEntry


class LowEntry(Entry):
    """Hours and price of the low period of a ``tou`` tariff."""

    from_hour: Hour
    to_hour: Hour
    import_ct_per_kwh: FigureEntry

    @model_validator(mode="after")
    def _differ(self) -> LowEntry:
        # 24 and 0 are the same hour.
        if self.from_hour % 24 == self.to_hour % 24:
            raise ValueError(
                f"from_hour {self.from_hour:g} and to_hour {self.to_hour:g} are the same hour, "
                "they must differ"
            )
        return self


class TariffEntry(Entry):
    """Keys of every tariff."""

    kind: Kind
    name: str = ""
    description: str = ""
    base_fee_eur_per_year: FeeEntry | None = None
    demand_charge: DemandEntry | None = None

    def figures(self) -> Iterator[Figure]:
        """Every figure in the order of the fields, named by its place in the file."""
        # What every tariff may have comes last.
        own = [key for key in type(self).model_fields if key not in TariffEntry.model_fields]
        for key in (*own, *TariffEntry.model_fields):
            entry = getattr(self, key)
            if isinstance(entry, FigureEntry):
                yield _figure(key, entry)
            elif isinstance(entry, LowEntry):
                yield _figure("low.import_ct_per_kwh", entry.import_ct_per_kwh)
            elif isinstance(entry, DemandEntry):
                yield _figure(f"demand_charge_eur_per_kw_{entry.period}", entry.eur_per_kw)
            elif key == "fees_ct_per_kwh":
                yield from (_figure(f"fees.{fee}_ct_per_kwh", entry[fee]) for fee in entry)


class DynamicEntry(TariffEntry):
    """Spot price with fees and VAT; without a feed-in tariff, export earns spot."""

    vat: ShareEntry
    feed_in_ct_per_kwh: FigureEntry | None = None
    fees_ct_per_kwh: dict[str, FigureEntry] = Field(
        description='a table of fees, each { value = …, source = "…" }'
    )


class FlatEntry(TariffEntry):
    """One price all day."""

    import_ct_per_kwh: FigureEntry
    feed_in_ct_per_kwh: FigureEntry


class TimeOfUseEntry(FlatEntry):
    """A lower price in some hours."""

    low: LowEntry


class SpotEntry(TariffEntry):
    """Spot for import, and spot or a feed-in tariff for export."""

    feed_in_ct_per_kwh: FigureEntry | None = None


class KindEntry(Entry):
    """Only the kind, which determines the other keys."""

    kind: Kind = Field(description="dynamic, flat, tou or spot")


_ENTRIES: Mapping[str, type[TariffEntry]] = {
    "dynamic": DynamicEntry,
    "flat": FlatEntry,
    "tou": TimeOfUseEntry,
    "spot": SpotEntry,
}


def read_tariff(path: Path) -> Tariff:
    """The tariff in a TOML file. Raises ``InvalidSpec`` if it is not valid."""
    who = f"tariff {path}"
    table = read_toml(path, who, InvalidSpec)
    # The kind first: only then is it known which other keys are allowed.
    kind = check(KindEntry, {k: v for k, v in table.items() if k == "kind"}, who, InvalidSpec).kind
    entry = check(_ENTRIES[kind], table, f"{who} ({kind})", InvalidSpec)
    low = entry.low if isinstance(entry, TimeOfUseEntry) else None
    return Tariff(
        name=entry.name or path.stem,
        kind=kind,
        description=entry.description,
        figures=tuple(entry.figures()),
        low_hours=(low.from_hour, low.to_hour) if low else (0.0, 0.0),
        demand_period=entry.demand_charge.period if entry.demand_charge else "month",
    )


_UNITS = {
    "_ct_per_kwh": "ct/kWh",
    "_eur_per_year": "€/year",
    "_eur_per_kw_month": "€/kW and month",
    "_eur_per_kw_year": "€/kW and year",
}
"""Ends of keys; a key without one is a share."""


def _figure(key: str, entry: FigureEntry) -> Figure:
    end = next((end for end in _UNITS if key.endswith(end)), "")
    name = key.removesuffix(end)
    return Figure(name=name, value=entry.value, unit=_UNITS.get(end, "1"), source=entry.source)


def load_tariff(name: str) -> Tariff:
    """A built-in tariff by name, or a TOML file by path.

    Raises ``InvalidSpec`` for an unknown name, an unreadable file, a missing or unknown key, a
    figure without a source or not finite, or a VAT outside [0, 1].
    """
    path = BUILT_IN / f"{name}.toml" if name in built_in_tariffs() else Path(name)
    if not _is_file(path):
        raise InvalidSpec(
            f"tariff {name!r}: not built in ({', '.join(built_in_tariffs())}) and no readable TOML "
            "file of that name"
        )
    return read_tariff(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
