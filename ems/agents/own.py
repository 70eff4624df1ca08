"""The agents of a home as its owner describes it, without meters of ours."""

from __future__ import annotations

from collections.abc import Mapping

from ems.agents.base import Agent
from ems.agents.base_load import BaseLoadAgent
from ems.agents.battery import BatteryAgent
from ems.agents.pv import PVAgent
from ems.types import Floats


def own_agents(
    *, load_kw: Floats, pv_kw: Floats | None, battery: Mapping[str, float] | None
) -> tuple[Agent, ...]:
    """A load [kW], generation that may be curtailed [kW], and a battery.

    ``battery``: ``capacity_kwh``, ``power_kw``, ``stored_kwh`` and ``round_trip_efficiency``.
    """
    agents: list[Agent] = [BaseLoadAgent(load_kw=load_kw)]
    if pv_kw is not None:
        agents.append(PVAgent(available_kw=pv_kw, curtailable=True))
    if battery is not None:
        agents.append(
            BatteryAgent(
                capacity_kwh=battery["capacity_kwh"],
                max_charge_kw=battery["power_kw"],
                max_discharge_kw=battery["power_kw"],
                initial_soc_kwh=battery["stored_kwh"],
                round_trip_efficiency=battery["round_trip_efficiency"],
            )
        )
    return tuple(agents)
