"""What each rule of quality means, for the page and the report on the measurements.

The rules are in ``ems/store/quality.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

RULES: Mapping[str, str] = {
    "missing": "no value",
    "spike": "far above everything else the meter shows",
    "stuck": "zeros that contradict the other meters",
    "frozen": "stood still, then counted all at once",
    "out of service": "zeros for a month or more from the start or up to the end of the record",
    "filled": "marked as interpolated by the source",
    "straight line": "the same energy in every step of half a day",
    "copied day": "hours that repeat an earlier day to the watt-hour",
    "balance": "sub-meters exceed the load, or the load is negative",
}
