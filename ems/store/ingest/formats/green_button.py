"""Green Button, in which North American utilities hand out meters.

NAESB REQ.21 (ESPI): the entries of an Atom feed hold a ``MeterReading``, the ``ReadingType`` that
says what it is, and many ``IntervalBlock``; links of an entry (``self``, ``up``, ``related``) say
what belongs to what::

    energy [kWh] = value · 10^(powerOfTenMultiplier − 3)      uom 72 (Wh); 38 (W) gives kW

``timePeriod/start`` is the start of an interval in seconds since 1970, UTC, whatever
``LocalTimeParameters`` say. flowDirection 1 is delivered to the house, 19 received from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ems.errors import DataError
from ems.store.ingest.text_table import AsText

DAY_S = 86_400
UNITS: Mapping[str, str] = {"72": "kWh", "38": "kW"}
FLOWS: Mapping[str, str] = {"1": "delivered", "19": "received", "4": "net", "": "energy"}
COUNTS = ("1", "3", "9")
"""accumulationBehaviour of a reading that is a count, not the energy of an interval."""


class _Type(NamedTuple):
    """A ReadingType; ``left_out``: why its readings are not read, empty if they are."""

    column: str
    power_of_ten: int
    length_s: str
    left_out: str


class _Entry(NamedTuple):
    """An entry of the feed: its links without a slash at either end, and its content."""

    own: str
    up: str
    related: frozenset[str]
    content: Sequence[Element]


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree of a file from strangers."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it declares entities, which are not read")


def text(raw: bytes, name: str) -> AsText:
    """Start of each interval in UTC, and a column for each meter reading such as ``received kWh``.

    What is no electrical energy or power, counts, and sums of more than a day are left out, and
    said.
    """
    parser = ElementTree.XMLParser(target=_Builder())
    parser.feed(raw)
    entries = list(_entries(parser.close()))
    types = _types(entries)
    columns: dict[str, dict[int, str]] = {}
    left_out: dict[str, None] = {}
    for reading, blocks in _blocks(entries).items():
        kind = _type_of(reading, entries, types)
        values = {} if kind.left_out else _values(name, kind, blocks, left_out)
        if kind.left_out:
            left_out[kind.left_out] = None
        if values:
            columns[_free(columns, kind.column)] = values
    if not columns:
        raise ValueError(f"no intervals of electricity; found {', '.join(left_out) or 'nothing'}")
    starts = sorted({start for values in columns.values() for start in values})
    rows = (
        ",".join([_stamp(start), *(values.get(start, "") for values in columns.values())])
        for start in starts
    )
    return AsText(
        "\n".join([",".join(["time", *columns]), *rows]) + "\n",
        tuple(f"{name}: {what} left out" for what in left_out),
    )


def _free(taken: Mapping[str, object], column: str) -> str:
    """The name of a column; of a second meter in one direction ``delivered 2 kWh``."""
    flow, unit = column.rsplit(" ", 1)
    number = sum(other.startswith(flow) and other.endswith(f" {unit}") for other in taken)
    return column if not number else f"{flow} {number + 1} {unit}"


def _stamp(start_s: int) -> str:
    return datetime.fromtimestamp(start_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _local(element: Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _inside(parent: Element, *path: str) -> str:
    """The text of an element inside another, empty without it."""
    for part in path:
        found = next((element for element in parent if _local(element) == part), None)
        if found is None:
            return ""
        parent = found
    return (parent.text or "").strip()


def _entries(root: Element) -> Iterator[_Entry]:
    for element in root.iter():
        if _local(element) != "entry":
            continue
        links = [
            (link.get("rel"), link.get("href", "").strip().strip("/"))
            for link in element
            if _local(link) == "link"
        ]
        yield _Entry(
            own=next((href for rel, href in links if rel == "self"), ""),
            up=next((href for rel, href in links if rel == "up"), ""),
            related=frozenset(href for rel, href in links if rel == "related"),
            content=[part for found in element if _local(found) == "content" for part in found],
        )


def _types(entries: Sequence[_Entry]) -> dict[str, _Type]:
    """The ReadingTypes by their own link."""
    return {
        entry.own or f"type {number}": _type(part)
        for number, entry in enumerate(entries)
        for part in entry.content
        if _local(part) == "ReadingType"
    }


def _type(element: Element) -> _Type:
    uom, flow = _inside(element, "uom"), _inside(element, "flowDirection")
    left_out = "" if uom in UNITS else f"readings of unit (uom) {uom or 'unknown'}"
    if _inside(element, "accumulationBehaviour") in COUNTS:
        left_out = "readings of a count"
    return _Type(
        column=f"{FLOWS.get(flow, f'flow {flow}')} {UNITS.get(uom, uom)}",
        power_of_ten=int(_inside(element, "powerOfTenMultiplier") or 0),
        length_s=_inside(element, "intervalLength"),
        left_out=left_out,
    )


def _blocks(entries: Sequence[_Entry]) -> dict[str, list[Element]]:
    """The IntervalBlocks of each MeterReading, which is named by its own link."""
    owner: dict[str, str] = {}
    for entry in entries:
        if any(_local(part) == "MeterReading" for part in entry.content):
            owner |= dict.fromkeys(entry.related, entry.own) | {entry.own: entry.own}
    blocks: dict[str, list[Element]] = {}
    for entry in entries:
        inside = [part for part in entry.content if _local(part) == "IntervalBlock"]
        if inside:
            above = entry.up.removesuffix("/IntervalBlock")
            places = (entry.own, entry.up, above)
            reading = next((owner[place] for place in places if place in owner), above)
            blocks.setdefault(reading, []).extend(inside)
    return blocks


def _type_of(reading: str, entries: Sequence[_Entry], types: Mapping[str, _Type]) -> _Type:
    """The type that a reading is linked to, or the only one of the file."""
    links = {link for entry in entries if entry.own == reading for link in entry.related}
    found = (links & types.keys()) or types.keys()
    if len(found) != 1:
        raise ValueError(f"the meter reading '{reading[:40]}' has {len(found)} ReadingTypes")
    return types[next(iter(found))]


def _values(
    name: str, kind: _Type, blocks: Sequence[Element], left_out: dict[str, None]
) -> dict[int, str]:
    """The values by the start of their interval [s since 1970]."""
    values: dict[int, str] = {}
    for block in blocks:
        for start_s, duration_s, value in _readings(kind, block):
            if duration_s > DAY_S:
                left_out["sums of more than a day"] = None
                continue
            found = f"{Decimal(value).scaleb(kind.power_of_ten - 3):f}"
            before = values.setdefault(start_s, found)
            if before != found:
                raise DataError(
                    f"{name}: '{kind.column}' is {before} and {found} in the interval from "
                    f"{_stamp(start_s)} on; delete the reading that does not count"
                )
    return values


def _readings(kind: _Type, block: Element) -> Iterator[tuple[int, int, int]]:
    """Start [s since 1970], duration [s] and value of each IntervalReading that has a value."""
    start_s = int(_inside(block, "interval", "start") or -1)
    for reading in block:
        if _local(reading) != "IntervalReading":
            continue
        start_s = int(_inside(reading, "timePeriod", "start") or start_s)
        duration_s = int(_inside(reading, "timePeriod", "duration") or kind.length_s or 0)
        if start_s < 0 or duration_s <= 0:
            raise ValueError("a reading without start or duration")
        value = _inside(reading, "value")
        if value:
            yield start_s, duration_s, int(value)
        start_s += duration_s
