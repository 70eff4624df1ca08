"""The colour and the label by which figures show an agent."""

from __future__ import annotations

from collections.abc import Mapping

from ems.agents import Agent, DiscretePhaseDevice, EVAgent, PartialUsageDevice

_BY_KIND: Mapping[str, tuple[str, str]] = {
    "load": ("house", "other use"),
    "generation": ("sun", "sun"),
    "storage": ("battery", "battery"),
    "grid": ("grid", "grid"),
}


def look(agent: Agent) -> tuple[str, str]:
    """The colour and the label of an agent."""
    match agent:
        case EVAgent():
            return "car", "car"
        case DiscretePhaseDevice():
            return "machine", "appliances"
        case PartialUsageDevice():
            return "heat", "heat pump"
        case _:
            return _BY_KIND[agent.kind]
