"""A limit goes out in the words of S2, OpenADR and EEBUS and comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from s2python.generated.gen_s2 import PEBCInstruction

from ems.errors import InvalidSpec
from ems.services.models import CurtailRequest, Element
from ems.services.wire import (
    from_eebus,
    from_openadr,
    from_s2,
    to_eebus,
    to_openadr,
    to_s2,
)

CONNECTION_KW, FAILSAFE_S = 24.0, 7200.0
CONSTRAINTS = UUID("11111111-1111-4111-8111-111111111111")
LIMITS_KW = st.none() | st.integers(0, 23_999_999).map(lambda mw: mw / 1e6)
ELEMENTS = st.builds(
    Element,
    duration_s=st.integers(1, 86_400_000).map(lambda ms: ms / 1000),
    max_import_kw=LIMITS_KW,
    max_export_kw=LIMITS_KW,
)
REQUESTS = st.builds(
    CurtailRequest,
    curtailment_id=st.uuids(),
    from_utc=st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=0)
    ),
    elements=st.lists(ELEMENTS, min_size=1, max_size=6),
    failsafe_after_s=st.just(FAILSAFE_S),
)
DIMMED = CurtailRequest(
    curtailment_id=UUID("22222222-2222-4222-8222-222222222222"),
    from_utc=datetime(2018, 1, 8, 17, tzinfo=UTC),
    elements=[
        Element(duration_s=3600.0, max_import_kw=4.2),
        Element(duration_s=900.0, max_export_kw=0.0),
    ],
)


@given(REQUESTS)
def test_s2_is_valid_and_comes_back_equal(request: CurtailRequest) -> None:
    message = to_s2(request, CONSTRAINTS, CONNECTION_KW, CONNECTION_KW)
    valid = PEBCInstruction.model_validate(message).model_dump(mode="json")
    assert from_s2(valid, CONNECTION_KW, CONNECTION_KW, FAILSAFE_S) == request


@given(REQUESTS)
def test_openadr_comes_back_equal(request: CurtailRequest) -> None:
    assert from_openadr(to_openadr(request, "14a"), FAILSAFE_S) == request


@given(REQUESTS)
def test_eebus_comes_back_equal(request: CurtailRequest) -> None:
    assert from_eebus(to_eebus(request), request.curtailment_id, FAILSAFE_S) == request


def test_a_limit_by_hand() -> None:
    envelope = to_s2(DIMMED, CONSTRAINTS, CONNECTION_KW, CONNECTION_KW)["power_envelopes"][0]
    assert envelope["power_envelope_elements"] == [
        {"duration": 3_600_000, "upper_limit": 4200.0, "lower_limit": -24_000.0},
        {"duration": 900_000, "upper_limit": 24_000.0, "lower_limit": 0.0},
    ]
    first, second = to_openadr(DIMMED, "14a")["intervals"]
    assert first["intervalPeriod"] == {"start": "2018-01-08T17:00:00+00:00", "duration": "PT3600S"}
    assert first["payloads"] == [{"type": "IMPORT_CAPACITY_LIMIT", "values": [4.2]}]
    assert second["payloads"] == [{"type": "EXPORT_CAPACITY_LIMIT", "values": [0.0]}]
    at, written = to_eebus(DIMMED)[0]
    assert at == DIMMED.from_utc
    consumed, produced = written["loadControlLimitData"]
    assert consumed["value"] == {"number": 4_200_000, "scale": -3}
    # What is not stated is no limit of zero: the reason for evcc's issue 33839.
    assert (consumed["isLimitActive"], produced["isLimitActive"]) == (True, False)


def test_what_is_something_else_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="Handshake"):
        from_s2({"message_type": "Handshake"}, CONNECTION_KW, CONNECTION_KW, FAILSAFE_S)
    event = dict(to_openadr(DIMMED, "14a"))
    event["intervals"][1]["intervalPeriod"]["start"] = "2018-01-08T19:00:00+00:00"
    with pytest.raises(InvalidSpec, match="gap"):
        from_openadr(event, FAILSAFE_S)
    event["intervals"][1]["intervalPeriod"]["duration"] = "P1D"
    with pytest.raises(InvalidSpec, match="P1D"):
        from_openadr(event, FAILSAFE_S)
