"""Report section that explains one day: what the plan does in each hour, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ems.agents import Agent
from ems.agents.comfort import Comfort
from ems.control.execution import DayToPlan, believed, instants
from ems.economics.settlement import settle
from ems.pipelines.comparison import DayRecord, Window, chains_of
from ems.pipelines.spec import LEARN_DAYS, ComparisonSpec
from ems.report.figures.day import planned_day
from ems.report.figures.page import Origin
from ems.report.figures.paper import PAGE
from ems.report.figures.style import FORESIGHT
from ems.report.inline import Picture
from ems.report.page import words
from ems.report.page.explain import ExplainedDay, explain_day
from ems.report.page.hours import told_together
from ems.report.page.outcome import TOLD_KW, Beside, came, compared, outcome_picture, outcome_tables
from ems.report.page.page import Section
from ems.site.building import Building

WORTH = (
    "“Worth” is the plan's own price: what one kWh more in that hour would cost, when everything "
    "else may adapt a little. Where the last kWh is sold it is what selling earns; where it is "
    "bought, what buying costs; in between, what it saves in another hour. At some hours it has a "
    "step: there it is a value between what one kWh less saves and one more costs. Choices that "
    "are all or nothing, such as the start of a run, stay as planned for it; what another start "
    "would have cost was planned anew."
)
LEFT_KWH = 0.1
"""Stores that end this close to the plan are reported as planned [kWh]."""


def explained(
    building: Building,
    window: Window,
    spec: ComparisonSpec,
    example: DayRecord,
    comfort: Comfort | None = None,
) -> ExplainedDay:
    """The joint plan of the example's day, from the real initial charge of its stores.

    On forecasts it is made from the forecast at that midnight.
    """
    agents, grid = example.schedule.agents, example.schedule.grid
    live = DayToPlan(
        day=example.day,
        lookahead_h=spec.lookahead_h,
        state={agent.name: agent for agent in agents if agent.stored_kwh() or agent is grid},
        left=example.left,
        comfort=comfort,
    )
    if spec.foresight == "forecast":
        from ems.pipelines.forecasting import foresight_of  # only forecasts need to learn

        pieces = chains_of(window, LEARN_DAYS)
        piece = next(piece for piece in pieces if example.day in piece.days)
        foresight = foresight_of(building, spec, piece)
        devices = [agent for agent in agents if agent is not grid]
        problem = believed(building, foresight, live, 0, devices, grid)
        return explain_day(problem, spec.solver, believed=True)
    known = building.problem(
        [live.day],
        lookahead_h=live.lookahead_h,
        state=live.state,
        left=live.left,
        comfort=live.comfort,
    )
    return explain_day(known, spec.solver)


def day_sections(
    example: DayRecord,
    day: ExplainedDay,
    spec: ComparisonSpec,
    origin: Origin,
    controller: str | None = None,
) -> tuple[Section, ...]:
    """One day in pictures and words; ``controller``: the source of its initial state, if several
    ran.

    On forecasts: its plan, what came of it, and both hour by hour.
    """
    where = f"{example.building}, {example.day:%A} {example.day.day} {example.day:%B %Y}"
    title, pictures = f"One day explained: {where}", [_plan(example, day, spec, origin)]
    if spec.foresight == "perfect":
        told = (_what_it_is(example, day, spec, controller), WORTH)
        return (Section(title, told, pictures, hours=told_together(day.hours)),)
    rows = compared(day.schedule, example.schedule)
    clocks = [hour.clock for hour in day.hours]
    hour_by_hour = (
        f"What the plan does and why. Where at least {words.kw(TOLD_KW)} came otherwise, a line "
        "says what really was."
    )
    return (
        Section(title, (_what_was_planned(example, day, spec, controller), WORTH), pictures),
        Section(
            "What came of this plan",
            [*_what_came(example, day, spec, rows)],
            [outcome_picture(rows, day.schedule.horizon, where, origin)],
            outcome_tables(rows, day.schedule, example.schedule, clocks),
        ),
        Section(
            "The plan hour by hour, and what came",
            (hour_by_hour,),
            hours=told_together(
                [replace(hour, came=came(rows, t)) for t, hour in enumerate(day.hours)]
            ),
        ),
    )


def _plan(example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, origin: Origin) -> Picture:
    perfect = spec.foresight == "perfect"
    figure = planned_day(
        replace(example, schedule=day.schedule, kpis=settle(day.schedule)),
        tariff=spec.tariff.name,
        origin=origin,
        foresight=FORESIGHT if perfect else f"{spec.forecaster} forecasts",
        worth_eur_per_kwh=day.worth_eur_per_kwh,
        paper=PAGE,
    )
    note = "what feeds the building (up) and draws from it (down)"
    return Picture(figure, "The plan: power, charge and prices", note)


def _what_it_is(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None
) -> str:
    of = f" by {controller}" if controller else ""
    planned = settle(day.schedule).bill_eur
    text = (
        f"The joint plan of this day{'' if controller is None else f' ({controller})'}, the "
        "one on which planning saved most against as metered, each day with its "
        "stores put back. It is made with the true load, sun "
        "and prices of the day and of what it looks ahead, from the charge that the stores had at "
        f"midnight, and its bill is {words.eur(planned)}."
    )
    if example.mode == "decentralized":
        return (
            f"{text} What was carried out{of} has a bill of {words.eur(example.kpis.bill_eur)}, "
            "with stores that may end otherwise: this run planned each device alone."
        )
    return text


def _what_was_planned(
    example: DayRecord, day: ExplainedDay, spec: ComparisonSpec, controller: str | None
) -> str:
    """Which plan is explained, from what, and its relation to the run's plans."""
    text = (
        f"The joint plan of this day{'' if controller is None else f' ({controller})'} as midnight "
        "saw it; of all days it is the one on which planning saved most against as metered, "
        "each with its stores put back. Sun, use "
        f"and runs of appliances are what was expected at midnight ({spec.forecaster} forecasts), "
        "the charge of the stores is what they really had. The prices of this day were known by "
        "then. Had all come as expected, its bill would have been "
        f"{words.eur(settle(day.schedule).bill_eur)}."
    )
    return f"{text}{''.join(_other_plans(example, day, spec))}"


def _other_plans(example: DayRecord, day: ExplainedDay, spec: ComparisonSpec) -> Iterator[str]:
    """How the run's own plans differ from the one explained."""
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
    """What was executed, and how devices reacted to deviations."""
    yield (
        f"What was carried out has a bill of {words.eur(example.kpis.bill_eur)}, where the plan "
        f"expected {words.eur(settle(day.schedule).bill_eur)}{_left(example, day)}. "
        f"{' '.join(_rules(spec, [row.agent for row in rows]))}"
    )
    later = _later_plans(example, day, spec)
    since = f" From {day.hours[later[0]].clock} on later plans are in it too." if later else ""
    yield f"The line is the plan of midnight, the area what came.{since}"


def _left(example: DayRecord, day: ExplainedDay) -> str:
    """Stores whose final charge differs from the plan."""
    planned_kwh, left_kwh = day.schedule.soc_kwh, example.schedule.soc_kwh
    titles = {agent.name: agent.title for agent in example.schedule.agents}
    return "".join(
        f"; the {titles[name]} ended the day with {words.kwh(kwh)} "
        f"(planned: {words.kwh(planned_kwh[name])})"
        for name, kwh in left_kwh.items()
        if name in planned_kwh and abs(kwh - planned_kwh[name]) >= LEFT_KWH
    )


def _rules(spec: ComparisonSpec, agents: Sequence[Agent]) -> Iterator[str]:
    """How each device reacts to deviations."""
    stores = [agent for agent in agents if agent.held_kwh is not None]
    balances = [a for a in stores if a.kind == "storage" and spec.dispatch == "balance"]
    follows = [agent for agent in stores if agent not in balances]
    if balances:
        yield (
            f"{_followed(balances)}, corrected as far as possible so that the building buys and "
            "sells only where the plan does."
        )
    if follows:
        them = "it" if len(follows) == 1 else "them"
        yield f"{_followed(follows)} as far as charge and limits let {them}."
    if stores:
        yield "The grid took all else that came otherwise."
    yield from dict.fromkeys(agent.otherwise for agent in agents if agent.otherwise)


def _followed(stores: Sequence[Agent]) -> str:
    who = words.listed([f"the {agent.title}" for agent in stores])
    return f"{who[0].upper()}{who[1:]} followed {'its plan' if len(stores) == 1 else 'their plans'}"
