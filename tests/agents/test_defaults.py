"""docs/model.md names the default of every field of every agent, and no other."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest
from documents import ROOT

import ems.agents as agents
from ems.agents.base import Agent

_, _, TABLE = (ROOT / "docs" / "model.md").read_text("utf-8").partition("## Every default of an")


def in_the_code() -> Iterator[tuple[str, str]]:
    for owner in vars(agents).values():
        if isinstance(owner, type) and issubclass(owner, Agent):
            for field in dataclasses.fields(owner):
                name = f"{owner.__name__}.{field.name}"
                if isinstance(field.default, bool):
                    yield name, "on" if field.default else "off"
                elif isinstance(field.default, int | float):  # neither a name nor worked out
                    yield name, f"{field.default:g}"


def documented() -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+\.\w+)` \| (\S+) \|", TABLE, re.MULTILINE))


def test_every_default_is_documented() -> None:
    assert documented() == dict(in_the_code())


@pytest.mark.parametrize(
    ("name", "default"),
    [("closes_balance", False), ("first_stage", False), ("colour", None), ("layer", 2)],
)
def test_what_an_agent_is_unless_it_says_otherwise(name: str, default: object) -> None:
    assert getattr(Agent, name) == default
