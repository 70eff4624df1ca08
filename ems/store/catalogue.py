"""What names of feeds and buildings mean: general rules, no list of buildings."""

from __future__ import annotations

import re

from ems.errors import DataError
from ems.site.meters import Category, Feed, Role
from ems.site.place import KONSTANZ, Place

_COLUMN = re.compile(r"^(?P<building>[A-Z]{2}_[A-Z]+_[a-z]+\d+)_(?P<feed>[a-z]\w*)$")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_EVERY = "all"
"""The command line's word for all buildings or devices; not allowed as a name."""

_KIND = re.compile(r"_(?P<kind>[a-z]+)\d+$")

_CATEGORY: dict[str, Category] = {
    "ev": "ev",
    "heat_pump": "partial_usage",
    "dishwasher": "discrete_phase",
    "washing_machine": "discrete_phase",
}
"""Sub-meters the planner may move; every other sub-meter is ``fixed``, part of the base load."""

_TIMEZONE = {"DE": "Europe/Berlin"}
"""Country code at the start of a building's name → its time zone."""

_PLACE = {"DE_KN": KONSTANZ}
"""Country and town at the start of a building's name → its place."""


def split_column(column: str) -> tuple[str, str]:
    """Building and feed of a column of the OPSD layout.

    >>> split_column("DE_KN_industrial3_area_room_1")
    ('DE_KN_industrial3', 'area_room_1')
    """
    match = _COLUMN.match(column)
    if match is None:
        raise DataError(
            f"column {column!r} names no building and feed; expected e.g. DE_KN_residential1_pv"
        )
    return match["building"], match["feed"]


def require_name(what: str, name: str) -> None:
    """Raise ``DataError`` for a name unsuitable as a file name or option.

    >>> require_name("building", "my_home")
    """
    if not _NAME.fullmatch(name) or name.lower() == _EVERY:
        shown = repr(name) if len(name) <= 90 else f"{name[:90]!r}… ({len(name)} characters)"
        raise DataError(
            f"{what} {shown}: allowed are 1 to 80 of the characters A-Z a-z 0-9 _ - . with no - or "
            f". first, and not '{_EVERY}'; choose another name"
        )


def kind_of(building: str) -> str:
    """``residential``, ``industrial`` or ``public``: the word before the building's number."""
    match = _KIND.search(building)
    return match["kind"] if match else "unknown"


def timezone_of(building: str) -> str:
    """The IANA time zone of a building, by the country code in its name."""
    country = building.split("_")[0]
    if country not in _TIMEZONE:
        raise DataError(
            f"{building}: no time zone known for country {country!r}; known: {sorted(_TIMEZONE)}"
        )
    return _TIMEZONE[country]


def place_of(building: str) -> Place:
    """The place of a building, by country and town in its name."""
    town = "_".join(building.split("_")[:2])
    if town not in _PLACE:
        raise DataError(
            f"{building}: it is not known where {town!r} is (known: {', '.join(_PLACE)}); give "
            "--place NAME,LATITUDE,LONGITUDE,COUNTRY,SUBDIVISION"
        )
    return _PLACE[town]


def feed_of(name: str, *, behind_import: bool = True) -> Feed:
    """Role and category of a feed by its name."""
    role, category = _role_and_category(name)
    return Feed(name=name, role=role, category=category, behind_import=behind_import)


def _role_and_category(name: str) -> tuple[Role, Category]:
    if name == "grid_import":
        return "import", "grid"
    if name == "grid_export":
        return "export", "grid"
    if name == "pv" or name.startswith("pv_"):
        return "pv", "pv"
    return "load", _CATEGORY.get(name, "fixed")
