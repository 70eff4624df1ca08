"""The location of a building: position of the sun and public holidays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import holidays
import numpy as np

from ems.errors import InvalidSpec
from ems.types import Days


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place on Earth with its public holidays.

    ``latitude_deg``: degrees north, ``longitude_deg``: degrees east. ``country``: ISO 3166-1, two
    letters; ``subdivision``: state or province as named by the package ``holidays`` (ISO 3166-2
    without the country), "" for national holidays only.

    Raises ``InvalidSpec`` for a place that is not on Earth or whose holidays are unknown.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    country: str
    subdivision: str

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidSpec("place: name is empty; say what the place is called")
        for field, limit in (("latitude_deg", 90.0), ("longitude_deg", 180.0)):
            value = getattr(self, field)
            if not -limit <= value <= limit:
                raise InvalidSpec(f"place {self.name}: {field} = {value}, allowed is ±{limit:.0f}")
        known = _subdivisions()
        if self.country not in known:
            raise InvalidSpec(
                f"place {self.name}: country = '{self.country}' is no country whose holidays are "
                "known; give two capital letters (ISO 3166-1) such as DE or ES"
            )
        if self.subdivision and self.subdivision not in known[self.country]:
            allowed = ", ".join(known[self.country]) or "none"
            raise InvalidSpec(
                f"place {self.name}: subdivision = '{self.subdivision}' is not known in "
                f"{self.country}; leave it out or give one of: {allowed}"
            )

    def __str__(self) -> str:
        north = f"{abs(self.latitude_deg):g}° {'S' if self.latitude_deg < 0 else 'N'}"
        east = f"{abs(self.longitude_deg):g}° {'W' if self.longitude_deg < 0 else 'E'}"
        region = f"{self.country}-{self.subdivision}" if self.subdivision else self.country
        return f"{self.name} ({north}, {east}; public holidays of {region})"

    def public_holidays(self, year: int) -> Days:
        """The public holidays of a year in order, ``datetime64[D]``."""
        return _public_holidays(self.country, self.subdivision, year)


@cache
def _subdivisions() -> dict[str, list[str]]:
    """The countries with known holidays, and their subdivisions."""
    known: dict[str, list[str]] = holidays.list_supported_countries(include_aliases=False)
    return known


@cache
def _public_holidays(country: str, subdivision: str, year: int) -> Days:
    calendar = holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    return np.array(sorted(calendar), dtype="datetime64[D]")


KONSTANZ = Place(
    name="Konstanz", latitude_deg=47.66, longitude_deg=9.18, country="DE", subdivision="BW"
)
"""Site of the OPSD household data, and of their synthetic twin."""
