"""The buildings of ``buildings.toml`` as specifications; a key or value out of place is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ems.errors import InvalidSpec
from ems.twin.specs import BuildingSpec

CATALOGUE_FILE = Path(__file__).with_name("buildings.toml")
TABLES = ("hours", "types", "buildings")
DEVICES = ("base", "pv", "cycles", "evs", "heat_pumps", "fixed")
HOURS = ("working", "free", "hours")
LINE = ("times", "plus")

Table = Mapping[str, Any]


def catalogue_of(tables: Table) -> tuple[BuildingSpec, ...]:
    """The buildings of a catalogue as ``tomllib`` reads it.

    ``hours``: named lists of 24 values. ``types``: what the devices of a type share.
    ``buildings``: fields of ``BuildingSpec``. Raises ``InvalidSpec`` for a key that is missing or
    unknown, a value of another kind, or a name that is not in the catalogue.
    """
    _check_keys(tables, "catalogue", known=TABLES, required=TABLES)
    return tuple(
        _spec(BuildingSpec, _written_out(building, tables), f"catalogue, building {n}")
        for n, building in enumerate(tables["buildings"], 1)
    )


def _written_out(building: Table, tables: Table) -> Table:
    """A building whose devices have all their values."""

    def full(part: Any) -> Any:
        if isinstance(part, list):
            return [full(each) for each in part]
        return _device(part, tables) if isinstance(part, dict) else part

    return {key: full(value) if key in DEVICES else value for key, value in building.items()}


def _device(written: Table, tables: Table) -> Table:
    """The values of its type below its own, its hours as lists."""
    own = {key: value for key, value in written.items() if key != "type"}
    shared = _named(tables["types"], "type", written["type"]) if "type" in written else {}
    device = shared | own
    hours = {key: _hours(device[key], tables["hours"]) for key in HOURS if key in device}
    if isinstance(hours.get("free"), dict) and isinstance(hours.get("working"), list):
        hours["free"] = _line(hours["free"], hours["working"])
    return device | hours


def _hours(value: Any, named: Table) -> Any:
    """A list of hours from its name or from one number for the whole day; else as it is."""
    if isinstance(value, str):
        return _named(named, "hours", value)
    return [value] * 24 if type(value) in (int, float) else value


def _line(line: Table, working: list[float]) -> list[float]:
    """Free days as a straight line of working days: times · h + plus."""
    _check_keys(line, "catalogue, free", known=LINE, required=LINE)
    times, plus = (_value(float, line[key], "catalogue, free", key) for key in LINE)
    return [times * hour + plus for hour in working]


def _named(named: Table, what: str, name: str) -> Any:
    if name not in named:
        raise InvalidSpec(f"catalogue: {what} {name!r} is unknown, known are {', '.join(named)}")
    return named[name]


def _spec(spec: Any, table: Table, where: str) -> Any:
    """A table as the dataclass ``spec``, each value of the kind of its field."""
    where, (kinds, required) = str(table.get("name", where)), _fields(spec)
    _check_keys(table, where, known=kinds, required=required)
    return spec(**{key: _value(kinds[key], value, where, key) for key, value in table.items()})


@cache
def _fields(spec: Any) -> tuple[dict[str, Any], list[str]]:
    """The kind of each field, and those without a default."""
    required = [field.name for field in fields(spec) if field.default is MISSING]
    return get_type_hints(spec), required


def _value(kind: Any, value: Any, where: str, key: str) -> Any:
    """A value of its kind: a number, a text, a choice, a specification or a tuple of those."""
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    if is_dataclass(kind) and isinstance(value, dict):
        return _spec(kind, value, f"{where}, {key}")
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(_value(inner, each, where, key) for each in value)
    if get_origin(kind) is Literal and value in get_args(kind):
        return value
    expected = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    raise InvalidSpec(f"{where}: {key} = {value!r}, expected {expected}")


def _check_keys(
    table: Table, where: str, *, known: Collection[str], required: Collection[str]
) -> None:
    if unknown := [key for key in table if key not in known]:
        raise InvalidSpec(f"{where}: unknown key {unknown[0]!r}, known are {', '.join(known)}")
    if missing := [key for key in required if key not in table]:
        raise InvalidSpec(f"{where}: {missing[0]} is missing; add it")


CATALOGUE = catalogue_of(tomllib.loads(CATALOGUE_FILE.read_text(encoding="utf-8")))
