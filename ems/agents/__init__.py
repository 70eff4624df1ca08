"""Agents, one kind of device per file."""

from ems.agents.base import Agent
from ems.agents.base_load import BaseLoadAgent
from ems.agents.battery import BatteryAgent
from ems.agents.ev import EVAgent, EVSpec, three_phase
from ems.agents.flexible_device import (
    Cycle,
    DiscretePhaseDevice,
    FlexibleDeviceAgent,
)
from ems.agents.grid import GridAgent
from ems.agents.heat_pump import HeatPumpAgent, HeatSpec
from ems.agents.home import HomeAgent
from ems.agents.pv import PVAgent

__all__ = [
    "Agent",
    "BaseLoadAgent",
    "BatteryAgent",
    "Cycle",
    "DiscretePhaseDevice",
    "EVAgent",
    "EVSpec",
    "FlexibleDeviceAgent",
    "GridAgent",
    "HeatPumpAgent",
    "HeatSpec",
    "HomeAgent",
    "PVAgent",
    "three_phase",
]
