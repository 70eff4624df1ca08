"""The part of a report that explains one day: what the plan does in each hour, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from ems.agents.comfort import Comfort
from ems.control.execution import DayToPlan, believed, instants
from ems.core.horizon import Horizon
from ems.economics.settlement import settle
from ems.pipelines.comparison import ComparisonSpec, DayRecord, Window, blocks_of
from ems.report.page import words
from ems.report.page.explain import ExplainedDay, explain_day
from ems.report.page.looks import look
from ems.report.page.outcome import TOLD_KW, Beside, came, compared, outcome_figures, outcome_tables
from ems.report.page.page import Section
from ems.report.page.svg import Band, stacked, steps
from ems.site.building import Building

WORTH = (
    "“Worth” is the plan's own price: what one kWh more in that hour would cost, when everything "
    "else may adapt a little. Where the last kWh is sold it is what selling earns; where it is "
    "bought, what buying costs; in between, what it saves in another hour. At some hours it has a "
    "step: there it is a value between what one kWh less saves and one more costs. Choices that "
    "are all or nothing, such as the start of a run, stay as planned for it; what another start "
    "would have cost was planned anew."
)
_TICK_H = 6
LEFT_KWH = 0.1
"""Stores that end this close to the plan end as planned [kWh]."""


def explained(
    building: Building,
    window: Window,
    spec: ComparisonSpec,
    example: DayRecord,
    comfort: Comfort | None = None,
) -> ExplainedDay:
    """The joint plan of the example's day, from the charge with which its stores began.

    On forecasts it is made from what was believed at that midnight. The last day of a block has no
    look-ahead, as when it was planned.
    """
    block = next(b for b in blocks_of(window, spec.block_days) if example.day in b.days)
    agents = example.schedule.agents
    live = DayToPlan(
        day=example.day,
        lookahead_h=0.0 if example.day == block.days[-1] else spec.lookahead_h,
        soc_kwh={
            agent.name: agent.initial_soc_kwh
            for agent in agents
            if isinstance(agent, BatteryAgent | EVAgent)
        },
        comfort=comfort,
        grid=next(agent for agent in agents if isinstance(agent, GridAgent)),
    )
    if spec.foresight == "forecast":
        from ems.pipelines.forecasting import foresight_of  # only forecasts need to learn

        foresight = foresight_of(building, spec, block)
        devices = [agent for agent in agents if agent.name != live.grid.name]
        problem = believed(building, foresight, live, 0, devices, live.grid)
        return explain_day(problem, spec.solver, believed=True)
    known = building.problem(
        [live.day], lookahead_h=live.lookahead_h, soc_kwh=live.soc_kwh, comfort=live.comfort
    )
    return explain_day(replace(known, grid=live.grid), spec.solver)


def day_sections(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None = None
) -> tuple[Section, ...]:
    """One day in pictures and words; ``controller``: which one it began from, where several ran.

    On forecasts its plan, what came of it, and both hour by hour.
    """
    where = f"{example.building}, {example.day:%A} {example.day.day} {example.day:%B %Y}"
    title = f"One day explained: {where}"
    figures = _figures(day)
    if spec.foresight == "perfect":
        told = (_what_it_is(example, day, spec, controller), WORTH)
        return (Section(title=title, paragraphs=told, figures=figures, hours=day.hours),)
    rows = compared(day.schedule, example.schedule)
    return (
        Section(
            title=title,
            paragraphs=(_what_was_planned(example, day, spec, controller), WORTH),
            figures=figures,
        ),
        Section(
            title="What came of this plan",
            paragraphs=[*_what_came(example, day, spec, rows)],
            figures=outcome_figures(rows, _ticks(day.schedule.horizon)),
            tables=outcome_tables(
                rows, day.schedule, example.schedule, [hour.clock for hour in day.hours]
            ),
        ),
        Section(
            title="The plan hour by hour, and what came",
            paragraphs=(
                "What the plan does and why. Where at least "
                f"{words.kw(TOLD_KW)} came otherwise, a line says what really was.",
            ),
            hours=[replace(hour, came=came(rows, t)) for t, hour in enumerate(day.hours)],
        ),
    )


def _what_it_is(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None
) -> str:
    of = f" by {controller}" if controller else ""
    planned = settle(day.schedule).cost_eur
    text = (
        f"The joint plan of this day{'' if controller is None else f' ({controller})'}, the "
        "one on which planning saved most against as metered, each day taken by itself with its "
        "stores put back at its own prices. It is made with the true load, sun "
        "and prices of the day and of what it looks ahead, from the charge that the stores had at "
        f"midnight, and costs {words.eur(planned)}."
    )
    if example.mode == "decentralized":
        return (
            f"{text} What was carried out{of} cost {words.eur(example.kpis.cost_eur)}, with stores "
            "that may end otherwise: this run planned each device alone."
        )
    return text


def _what_was_planned(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None
) -> str:
    """Which plan is explained, what it was made from, and how it is related to those of the run."""
    text = (
        f"The joint plan of this day{'' if controller is None else f' ({controller})'} as midnight "
        "saw it; of all days it is the one on which planning saved most against as metered, "
        "each taken by itself with its stores put back at its own prices. Sun, use "
        f"and runs of appliances are what was expected at midnight ({spec.forecaster} forecasts), "
        "the charge of the stores is what they really had. The prices of this day were known by "
        "then. Had all come as expected, the day would have cost "
        f"{words.eur(settle(day.schedule).cost_eur)}."
    )
    return f"{text}{''.join(_other_plans(example, day, spec))}"


def _other_plans(example: DayRecord, day: ExplainedDay, spec: ComparisonSpec) -> Iterator[str]:
    """In what the run's own plans differ from the one that is explained."""
    if example.mode == "decentralized":
        yield (
            " This run planned each device alone, from the same expectations: what was carried "
            "out is not this plan."
        )
        return
    if spec.risk == "hedged":
        yield (
            f" This run hedged its plans with {spec.n_scenarios} futures; explained is the plan "
            "for the mean of what may come, so what was carried out is not quite this plan."
        )
    if _later_plans(example, day, spec):
        often = "hour" if spec.phase_h == 1 else f"{spec.phase_h:g}{words.NBSP}h"
        yield (
            f" It is the first plan of the day: every {often} a new one, which knew more by then, "
            "replaced what was left of it."
        )


def _later_plans(example: DayRecord, day: ExplainedDay, spec: ComparisonSpec) -> tuple[int, ...]:
    """The steps in which the run planned again."""
    horizon = day.schedule.horizon
    return instants(horizon, horizon.n_steps, example.mode, spec.phase_h)[1:]


def _what_came(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, rows: Sequence[Beside]
) -> Iterator[str]:
    """What was carried out, and how devices took what came otherwise."""
    yield (
        f"What was carried out cost {words.eur(example.kpis.cost_eur)}, where the plan expected "
        f"{words.eur(settle(day.schedule).cost_eur)}{_left(example, day)}. "
        f"{' '.join(_rules(spec, [row.agent for row in rows]))}"
    )
    later = _later_plans(example, day, spec)
    since = f" From {day.hours[later[0]].clock} on later plans are in it too." if later else ""
    yield f"The line is the plan of midnight, the area what came.{since}"


def _left(example: DayRecord, day: ExplainedDay) -> str:
    """With which charge the stores ended otherwise than planned."""
    planned_kwh, left_kwh = day.schedule.soc_kwh, example.schedule.soc_kwh
    return "".join(
        f"; the {words.device_title(name)} ended the day with {words.kwh(kwh)} "
        f"(planned: {words.kwh(planned_kwh[name])})"
        for name, kwh in left_kwh.items()
        if name in planned_kwh and abs(kwh - planned_kwh[name]) >= LEFT_KWH
    )


def _followed(stores: Sequence[str]) -> str:
    who, own = words.listed(stores), "its plan" if len(stores) == 1 else "their plans"
    return f"{who[0].upper()}{who[1:]} followed {own}"


def _rules(spec: ComparisonSpec, agents: Sequence[Agent]) -> Iterator[str]:
    """What each device does where it comes otherwise."""
    batteries, cars = (
        [f"the {words.device_title(agent.name)}" for agent in agents if isinstance(agent, kind)]
        for kind in (BatteryAgent, EVAgent)
    )
    balances, follows = (
        (batteries, cars) if spec.dispatch == "balance" else ([], [*cars, *batteries])
    )
    if balances:
        yield (
            f"{_followed(balances)}, corrected as far as possible so that the building buys and "
            "sells only where the plan does."
        )
    if follows:
        them = "it" if len(follows) == 1 else "them"
        yield f"{_followed(follows)} as far as charge and limits let {them}."
    if balances or follows:
        yield "The grid took all else that came otherwise."
    if any(isinstance(agent, DiscretePhaseDevice) for agent in agents):
        yield "A run of an appliance never starts before its people start it."
    if any(isinstance(agent, PartialUsageDevice) for agent in agents):
        yield "The heat pump keeps within the heat that is really needed."
    if any(isinstance(agent, EVAgent) and agent.metered_kw is not None for agent in agents):
        yield "A car that was not expected charges as soon as it comes."


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
            colour, label = look(agent)
            bands.append(Band(label=label, colour=colour, values=net_kw))
    return [band for band in bands if np.any(np.abs(band.values) > 1e-3)] or bands[:1]
