"""The part of a report that explains one day: what the plan does in each hour, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from markupsafe import Markup

from ems.agents import (
    Agent,
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    GridAgent,
    PartialUsageDevice,
)
from ems.building import Building
from ems.comfort import Comfort
from ems.horizon import Horizon
from ems.pipelines.comparison import ComparisonSpec, DayRecord, Window, blocks_of
from ems.report import words
from ems.report.explain import ExplainedDay, explain_day
from ems.report.page import Section
from ems.report.svg import Band, stacked, steps
from ems.settlement import settle

WORTH = (
    "“Worth” is the plan's own price: what one kWh more in that hour would cost, when everything "
    "else may adapt a little. Where the last kWh is sold it is what selling earns; where it is "
    "bought, what buying costs; in between, what it saves in another hour. At some hours it has a "
    "step: there it is a value between what one kWh less saves and one more costs. Choices that "
    "are all or nothing, such as the start of a run, stay as planned for it; what another start "
    "would have cost was planned anew."
)
_TICK_H = 6
_BY_KIND: Mapping[str, tuple[str, str]] = {
    "load": ("house", "other use"),
    "generation": ("sun", "sun"),
    "storage": ("battery", "battery"),
}


def explained(
    building: Building,
    window: Window,
    spec: ComparisonSpec,
    example: DayRecord,
    comfort: Comfort | None = None,
) -> ExplainedDay:
    """The joint plan of the example's day, from the charge with which its stores began.

    The last day of a block has no look-ahead, as when it was planned.
    """
    agents = example.schedule.agents
    soc_kwh = {
        agent.name: agent.initial_soc_kwh
        for agent in agents
        if isinstance(agent, BatteryAgent | EVAgent)
    }
    last_days = {block.days[-1] for block in blocks_of(window, spec.block_days)}
    problem = building.problem(
        [example.day],
        lookahead_h=0.0 if example.day in last_days else spec.lookahead_h,
        soc_kwh=soc_kwh,
        comfort=comfort,
    )
    grid = next(agent for agent in agents if isinstance(agent, GridAgent))
    return explain_day(replace(problem, grid=grid), spec.solver)


def day_section(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None = None
) -> Section:
    """One day in pictures and words; ``controller``: which one it began from, where several ran."""
    where = f"{example.building}, {example.day:%A} {example.day.day} {example.day:%B %Y}"
    return Section(
        title=f"One day explained: {where}",
        paragraphs=(_what_it_is(example, day, spec, controller), WORTH),
        figures=_figures(day),
        hours=day.hours,
    )


def _what_it_is(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None
) -> str:
    of = f" by {controller}" if controller else ""
    planned = settle(day.schedule).cost_eur
    text = (
        f"The joint plan of this day{'' if controller is None else f' ({controller})'}, chosen "
        "because planning saved much on it; others are duller. It is made with the true load, sun "
        "and prices of the day and of what it looks ahead, from the charge that the stores had at "
        f"midnight, and costs {words.eur(planned)}."
    )
    carried_out = (
        f"What was carried out{of} cost {words.eur(example.kpis.cost_eur)}, with stores that may "
        "end otherwise"
    )
    if spec.foresight == "forecast":
        return (
            "This is what perfect knowledge would have done from there, not what was carried out: "
            f"that was planned on forecasts. {text} {carried_out}."
        )
    if example.mode == "decentralized":
        return f"{text} {carried_out}: this run planned each device alone."
    return text


def _figures(day: ExplainedDay) -> list[Markup]:
    schedule, horizon = day.schedule, day.schedule.horizon
    ticks = _ticks(horizon)
    found = [
        stacked(
            _power(day), ticks, unit="kW", title="Feeds the building (up), draws from it (down)"
        ),
        steps(
            [
                Band(label="bought", colour="grid", values=100 * horizon.import_eur_per_kwh),
                Band(label="sold", colour="sold", values=100 * horizon.export_eur_per_kwh),
                Band(label="worth in the plan", colour="worth", values=100 * day.worth_eur_per_kwh),
            ],
            ticks,
            unit="ct/kWh",
            title="Prices",
        ),
    ]
    stores = [
        Band(
            label=words.device_title(agent.name),
            colour="car" if isinstance(agent, EVAgent) else "battery",
            values=schedule.plans[agent.name].series["soc_kwh"],
        )
        for agent in schedule.agents
        if "soc_kwh" in schedule.plans[agent.name].series
    ]
    title = "Charge at the end of each step"
    return [*found, *([steps(stores, ticks, unit="kWh", title=title)] if stores else [])]


def _ticks(horizon: Horizon) -> list[tuple[int, str]]:
    """Every six hours of the local clock, whatever the length of the day."""
    on_the_hour = np.flatnonzero(horizon.local_hour % _TICK_H == 0).tolist()
    return [(t, f"{horizon.local[t]:%H:%M}") for t in on_the_hour]


def _power(day: ExplainedDay) -> list[Band]:
    """What feeds the bus above zero, what draws from it below [kW]."""
    schedule = day.schedule
    bands = []
    for agent in schedule.agents:
        net_kw = -schedule.plans[agent.name].net_load_kw
        if agent.kind == "grid":
            bands.append(Band(label="bought", colour="grid", values=np.maximum(net_kw, 0.0)))
            bands.append(Band(label="sold", colour="sold", values=np.minimum(net_kw, 0.0)))
        else:
            colour, label = _look(agent)
            bands.append(Band(label=label, colour=colour, values=net_kw))
    return [band for band in bands if np.any(np.abs(band.values) > 1e-3)] or bands[:1]


def _look(agent: Agent) -> tuple[str, str]:
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
