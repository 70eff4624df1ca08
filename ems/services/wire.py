"""A limit in the words of others: S2, OpenADR 3.1 and EEBUS, there and back.

- S2 (EN 50491-12-2): ``PEBC.Instruction`` with one envelope [W]. It must name both limits of every
  element, so what is not stated goes out as the limit of the connection, and comes back as such.
- OpenADR 3.1: an event of ``IMPORT_CAPACITY_LIMIT`` and ``EXPORT_CAPACITY_LIMIT`` [kW]. What is not
  stated has no payload.
- EEBUS LPC and LPP: one ``loadControlLimitListData`` at the start of each element; it holds one
  limit a direction and no schedule. Production is negative, as its limits depend on the sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from ems.errors import InvalidSpec
from ems.services.models import CurtailRequest, Element

SYMMETRIC = "ELECTRIC.POWER.3_PHASE_SYMMETRIC"
IMPORT, EXPORT = "IMPORT_CAPACITY_LIMIT", "EXPORT_CAPACITY_LIMIT"
LPC_LIMIT, LPP_LIMIT = 0, 1
"""Ids of the limits of consumption and production, as a device would describe them."""
MILLIWATT = -3
"""The power of ten of EEBUS numbers [W]."""
Json = Mapping[str, Any]
_PERIOD = re.compile(r"PT(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.]+)S)?")


# --- S2 -------------------------------------------------------------------------------------------


def to_s2(request: CurtailRequest, constraints: UUID, import_kw: float, export_kw: float) -> Json:
    """``PEBC.Instruction``; ``import_kw``, ``export_kw``: the limits of the connection [kW].

    ``constraints``: the id of the node's ``PEBC.PowerConstraints``.
    """
    return {
        "message_type": "PEBC.Instruction",
        "message_id": str(uuid5(request.curtailment_id, "message")),
        "id": str(request.curtailment_id),
        "execution_time": request.from_utc.isoformat(),
        "abnormal_condition": False,
        "power_constraints_id": str(constraints),
        "power_envelopes": [
            {
                "id": str(uuid5(request.curtailment_id, "envelope")),
                "commodity_quantity": SYMMETRIC,
                "power_envelope_elements": [
                    {
                        "duration": round(1000 * element.duration_s),
                        "upper_limit": _watt(_stated(element.max_import_kw, import_kw)),
                        "lower_limit": -_watt(_stated(element.max_export_kw, export_kw)),
                    }
                    for element in request.elements
                ],
            }
        ],
    }


def from_s2(
    message: Json, import_kw: float, export_kw: float, failsafe_after_s: float
) -> CurtailRequest:
    """The limit of a ``PEBC.Instruction``; what equals the connection states nothing.

    Raises ``InvalidSpec`` for another message, another quantity or more than one envelope.
    """
    envelopes = message.get("power_envelopes", [])
    quantity = envelopes[0]["commodity_quantity"] if len(envelopes) == 1 else None
    if message.get("message_type") != "PEBC.Instruction" or quantity != SYMMETRIC:
        raise InvalidSpec(
            f"S2 message: message_type is {message.get('message_type')!r} with {len(envelopes)} "
            f"envelopes of {quantity}, allowed is a PEBC.Instruction with one of {SYMMETRIC}"
        )
    elements = [
        Element(
            duration_s=part["duration"] / 1000,
            max_import_kw=_unless(_kilowatt(part["upper_limit"]), import_kw),
            max_export_kw=_unless(_kilowatt(-part["lower_limit"]), export_kw),
        )
        for part in envelopes[0]["power_envelope_elements"]
    ]
    return CurtailRequest(
        curtailment_id=UUID(str(message["id"])),
        from_utc=datetime.fromisoformat(str(message["execution_time"])),
        elements=elements,
        failsafe_after_s=failsafe_after_s,
    )


# --- OpenADR --------------------------------------------------------------------------------------


def to_openadr(request: CurtailRequest, program_id: str) -> Json:
    """An OpenADR 3.1 event. Intervals without a statement have no payload."""
    return {
        "objectType": "EVENT",
        "programID": program_id,
        "eventName": str(request.curtailment_id),
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": "KW"}
            for kind in (IMPORT, EXPORT)
        ],
        "intervals": [
            {
                "id": number,
                "intervalPeriod": {"start": start.isoformat(), "duration": _period(element)},
                "payloads": [
                    {"type": kind, "values": [limit_kw]}
                    for kind, limit_kw in (
                        (IMPORT, element.max_import_kw),
                        (EXPORT, element.max_export_kw),
                    )
                    if limit_kw is not None
                ],
            }
            for number, (start, element) in enumerate(_placed(request))
        ],
    }


def from_openadr(event: Json, failsafe_after_s: float) -> CurtailRequest:
    """The limit of an event. Raises ``InvalidSpec`` where its intervals leave a gap."""
    intervals = sorted(event["intervals"], key=lambda interval: int(interval["id"]))
    starts = [datetime.fromisoformat(interval["intervalPeriod"]["start"]) for interval in intervals]
    durations_s = [_seconds(interval["intervalPeriod"]["duration"]) for interval in intervals]
    for start, duration_s, following in zip(starts, durations_s, starts[1:], strict=False):
        if start + timedelta(seconds=duration_s) != following:
            raise InvalidSpec(
                f"OpenADR event {event.get('eventName')}: its intervals leave a gap before "
                f"{following.isoformat()}; send them one after the other"
            )
    elements = [
        Element(
            duration_s=duration_s,
            max_import_kw=_payload(interval["payloads"], IMPORT),
            max_export_kw=_payload(interval["payloads"], EXPORT),
        )
        for interval, duration_s in zip(intervals, durations_s, strict=True)
    ]
    return CurtailRequest(
        curtailment_id=UUID(str(event["eventName"])),
        from_utc=starts[0],
        elements=elements,
        failsafe_after_s=failsafe_after_s,
    )


def _payload(payloads: Sequence[Json], kind: str) -> float | None:
    found = [float(payload["values"][0]) for payload in payloads if payload["type"] == kind]
    return found[0] if found else None


# --- EEBUS ----------------------------------------------------------------------------------------


def to_eebus(request: CurtailRequest) -> list[tuple[datetime, Json]]:
    """What is written at each instant; an element without a statement ends the limit."""
    return [
        (
            start,
            {
                "loadControlLimitData": [
                    _limit(LPC_LIMIT, element.max_import_kw, 1, element),
                    _limit(LPP_LIMIT, element.max_export_kw, -1, element),
                ]
            },
        )
        for start, element in _placed(request)
    ]


def from_eebus(
    writes: Sequence[tuple[datetime, Json]], curtailment_id: UUID, failsafe_after_s: float
) -> CurtailRequest:
    """The limit of writes that follow each other; EEBUS has no id for it."""
    elements = []
    for _, written in writes:
        limits = {limit["limitId"]: limit for limit in written["loadControlLimitData"]}
        elements.append(
            Element(
                duration_s=_seconds(limits[LPC_LIMIT]["timePeriod"]["endTime"]),
                max_import_kw=_limit_kw(limits[LPC_LIMIT]),
                max_export_kw=_limit_kw(limits[LPP_LIMIT]),
            )
        )
    return CurtailRequest(
        curtailment_id=curtailment_id,
        from_utc=writes[0][0],
        elements=elements,
        failsafe_after_s=failsafe_after_s,
    )


def _limit(limit_id: int, limit_kw: float | None, sign: int, element: Element) -> Json:
    number = 0 if limit_kw is None else sign * round(limit_kw * 10 ** (3 - MILLIWATT))
    return {
        "limitId": limit_id,
        "isLimitActive": limit_kw is not None,
        "timePeriod": {"endTime": _period(element)},
        "value": {"number": number, "scale": MILLIWATT},
    }


def _limit_kw(limit: Json) -> float | None:
    if not limit["isLimitActive"]:
        return None
    # Divided, not multiplied by a negative power: 5 / 10**6 is 5e-06, 5 * 10**-6 is not.
    return abs(int(limit["value"]["number"])) / 10.0 ** (3 - int(limit["value"]["scale"]))


# --- numbers and times ----------------------------------------------------------------------------


def _placed(request: CurtailRequest) -> Iterator[tuple[datetime, Element]]:
    """Every element with its start."""
    start = request.from_utc
    for element in request.elements:
        yield start, element
        start = start + timedelta(seconds=element.duration_s)


def _stated(limit_kw: float | None, connection_kw: float) -> float:
    return connection_kw if limit_kw is None else min(limit_kw, connection_kw)


def _unless(limit_kw: float, connection_kw: float) -> float | None:
    return None if limit_kw >= connection_kw else limit_kw


def _watt(kw: float) -> float:
    return round(1000.0 * kw, 6)


def _kilowatt(watt: float) -> float:
    return round(watt / 1000.0, 9)


def _period(element: Element) -> str:
    """An ISO 8601 duration in seconds, to the millisecond."""
    return f"PT{round(element.duration_s, 3):.15g}S"


def _seconds(period: str) -> float:
    """The seconds of ``PT…H…M…S``. Raises ``InvalidSpec`` for days, months and anything else."""
    found = _PERIOD.fullmatch(period)
    if found is None or not any(found.groups()):
        raise InvalidSpec(f"duration is {period!r}, allowed is PT…H…M…S")
    hours, minutes, seconds = (float(part or 0.0) for part in found.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds
