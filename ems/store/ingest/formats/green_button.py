"""Green Button, in which North American utilities hand out meters: ESPI, an Atom feed.

NAESB REQ.21 (ESPI): a ``ReadingType`` says what a meter reading is (``uom`` 72 is Wh, with a power
of ten; ``flowDirection`` 1 delivered to, 19 received from the customer), an ``IntervalReading`` has
its start in seconds since 1970 (UTC), its length in seconds and its value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

ESPI = "{http://naesb.org/espi}"
FLOWS = {"1": "delivered", "19": "received"}
WATT_HOURS = "72"


def text(raw: bytes, name: str) -> str:
    """Start of each interval in UTC, and a column in Wh for each direction."""
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise ValueError("it declares entities, which are not read")
    root = ElementTree.fromstring(raw)
    first = root.find(f".//{ESPI}ReadingType")
    column, power = ("delivered Wh", 0) if first is None else _reading_type(first)
    values: dict[int, dict[str, float]] = {}
    columns: dict[str, None] = {}
    for element in root.iter():
        if element.tag == f"{ESPI}ReadingType":
            column, power = _reading_type(element)
        elif element.tag == f"{ESPI}IntervalReading":
            columns[column] = None
            of_start = values.setdefault(int(_text(element, "timePeriod", "start")), {})
            wh = float(_text(element, "value")) * 10.0**power
            of_start[column] = of_start.get(column, 0.0) + wh
    if not values:
        raise ValueError("no IntervalReading in it")
    rows = [
        ",".join([_stamp(start), *(repr(of[c]) if c in of else "" for c in columns)])
        for start, of in sorted(values.items())
    ]
    return "\n".join([",".join(["time", *columns]), *rows]) + "\n"


def _stamp(start_s: int) -> str:
    return datetime.fromtimestamp(start_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reading_type(element: ElementTree.Element) -> tuple[str, int]:
    unit = element.findtext(f"{ESPI}uom", WATT_HOURS)
    if unit != WATT_HOURS:
        raise ValueError(f"its readings have the unit (uom) {unit}, expected {WATT_HOURS}, Wh")
    flow = FLOWS.get(element.findtext(f"{ESPI}flowDirection", "1"), "delivered")
    return f"{flow} Wh", int(element.findtext(f"{ESPI}powerOfTenMultiplier", "0"))


def _text(element: ElementTree.Element, *path: str) -> str:
    found = element.findtext("/".join(ESPI + part for part in path))
    if found is None:
        raise ValueError(f"a reading without {path[-1]}")
    return found
