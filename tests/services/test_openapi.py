"""Whatever is sent, no agent fails, and it answers as its OpenAPI document says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from services.made_nodes import small_fleet

CASES = 40
"""Of each operation; ``EMS_SCHEMA_CASES`` in ``scenarios.py`` asks for more."""


@pytest.fixture(scope="module", params=["grid", "home_1", "battery_1"])
def agent(request: pytest.FixtureRequest) -> Any:
    with tempfile.TemporaryDirectory() as folder, small_fleet(Path(folder)) as fleet:
        app = fleet.links.apps[request.param]
        token = fleet.links.token
        yield app, {"Authorization": f"Bearer {token}"}


@pytest.mark.filterwarnings("ignore")  # of the test library's own dependencies
def test_no_input_makes_an_agent_fail(agent: Any) -> None:
    app, headers = agent
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    seen = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @_given(operation)
        def one(case: Any) -> None:
            nonlocal seen
            seen += 1
            case.call_and_validate(headers=headers, checks=checks)

        one()
    assert seen > CASES


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
