"""Every endpoint of every role, with whatever its description allows and more."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from services_here import bearer, fresh, grid_of, named, node_of
from hypothesis import HealthCheck, settings

from schemathesis.specs.openapi.checks import positive_data_acceptance

from ems.services.security import OPERATOR

EXAMPLES = 25
CHECKS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
FOLDER = Path(tempfile.mkdtemp(prefix="ems_services_"))


def described(name: str) -> Any:
    """An agent by its own description."""
    if name == "grid":
        app = grid_of(FOLDER, {}, 10.0).app()
    else:
        state = fresh("home") if name == "home" else fresh("battery")
        app = node_of(FOLDER, named(state, name)).app()
    return schemathesis.openapi.from_asgi("/openapi.json", app)


GRID, HOME, BATTERY = (described(name) for name in ("grid", "home", "battery"))


def check(case: Any) -> None:
    reply = case.call(headers=bearer(OPERATOR))
    case.validate_response(reply, headers=bearer(OPERATOR), excluded_checks=[positive_data_acceptance])
    assert reply.headers["x-clock"] == ["simulated"]


@GRID.parametrize()
@CHECKS
def test_grid(case: Any) -> None:
    check(case)


@HOME.parametrize()
@CHECKS
def test_home(case: Any) -> None:
    check(case)


@BATTERY.parametrize()
@CHECKS
def test_battery(case: Any) -> None:
    check(case)
