"""What came of a plan that was made on forecasts: what it expected and wanted beside what came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup

from ems.agents import (
    Agent,
    BaseLoadAgent,
    BatteryAgent,
    DiscretePhaseDevice,
    EVAgent,
    PartialUsageDevice,
    PVAgent,
)
from ems.agents.dispatch_plan import DispatchPlan
from ems.agents.priced import VISIBLE_KW, VISIBLE_KWH
from ems.economics.settlement import settle
from ems.report.page import words
from ems.report.page.looks import look
from ems.report.page.page import Table
from ems.report.page.svg import Band, beside
from ems.types import Floats

TOLD_KW = 0.2
"""Less than this between plan and outcome gets no sentence [kW]."""
_ORDER = (PVAgent, BaseLoadAgent, DiscretePhaseDevice, PartialUsageDevice, EVAgent, BatteryAgent)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """An agent's power in each step of the plan and as it came [kW], ``(n_steps,)``.

    Of the sun it is what it gives, of the grid what it delivers, of all others what they draw.
    ``agent``: as it was believed, or the real one where nobody believed in it, ``expected`` False.
    ``held_kwh``: what it really held at the end of each step, where it is a store [kWh].
    """

    agent: Agent
    expected: bool
    planned_kw: Floats
    came_kw: Floats
    held_kwh: Floats | None = None

    @property
    def busy(self) -> bool:
        """Whether it does anything, planned or not."""
        return bool(np.any(np.abs([self.planned_kw, self.came_kw]) > VISIBLE_KW))

    @property
    def name(self) -> str:
        """What it is called in figures and tables."""
        return "other use" if isinstance(self.agent, BaseLoadAgent) else _called(self.agent)


def compared(plan: DispatchPlan, done: DispatchPlan) -> tuple[Beside, ...]:
    """Sun, loads, stores and grid that do something in the plan or did it; zero where they do not.

    ``plan``, ``done``: the same steps.
    """
    agents = {agent.name: agent for agent in (*done.agents, *plan.agents)}
    rows = (
        Beside(
            agent=agent,
            expected=agent.name in plan.plans,
            planned_kw=_power_kw(plan, agent),
            came_kw=_power_kw(done, agent),
            held_kwh=_held_kwh(done, agent),
        )
        for agent in sorted(agents.values(), key=_place)
    )
    return tuple(row for row in rows if row.agent.kind == "grid" or row.busy)


def _place(agent: Agent) -> int:
    kinds = [kind for kind in _ORDER if isinstance(agent, kind)]
    return _ORDER.index(kinds[0]) if kinds else len(_ORDER) + (agent.kind == "grid")


def _power_kw(schedule: DispatchPlan, agent: Agent) -> Floats:
    plan = schedule.plans.get(agent.name)
    if plan is None:
        return np.zeros(schedule.horizon.n_steps)
    return -plan.net_load_kw if agent.kind in ("generation", "grid") else plan.net_load_kw


def _held_kwh(schedule: DispatchPlan, agent: Agent) -> Floats | None:
    plan = schedule.plans.get(agent.name)
    return None if plan is None else plan.series.get("soc_kwh")


# --- words -----------------------------------------------------------------------------------


def came(rows: Sequence[Beside], t: int) -> str:
    """What came otherwise than planned in step ``t``; empty where nothing visible did."""
    apart = [row for row in rows if abs(row.came_kw[t] - row.planned_kw[t]) >= TOLD_KW]
    told = [_told(row, t) for row in apart]
    return f"Really: {', '.join(told)}." if told else ""


def _told(row: Beside, t: int) -> str:
    """What an agent did in step ``t``, and in brackets what the plan has of it."""
    name, planned_kw, came_kw = _called(row.agent), float(row.planned_kw[t]), float(row.came_kw[t])
    match row.agent:
        case PVAgent():
            return f"the sun gave {_kw(came_kw)} (expected: {_kw(planned_kw)})"
        case BaseLoadAgent():
            return f"the building used {words.kw(came_kw)} (expected: {words.kw(planned_kw)})"
        case BatteryAgent():
            did, meant = ("took", "gave", _state(row, t)), ("to take", "to give", "to rest")
        case EVAgent():
            did = ("charged", "gave back", "did not charge")
            meant = ("to charge", "to give back", "not to charge")
        case _ if row.agent.kind == "grid":
            return f"{_traded(came_kw, ' were')} (planned: {_again(planned_kw, came_kw, _traded)})"
        case _:
            did, meant = ("drew", "gave", "drew nothing"), ("to draw", "to give", "nothing")
    if not row.expected or (isinstance(row.agent, EVAgent) and not row.agent.plugged_in[t]):
        return f"the {name} {_does(came_kw, did)} (not expected)"
    plan = _again(planned_kw, came_kw, partial(_does, verbs=meant))
    return f"the {name} {_does(came_kw, did)} (planned: {plan})"


def _state(row: Beside, t: int) -> str:
    """How a battery rests."""
    agent = row.agent
    if row.held_kwh is None or not isinstance(agent, BatteryAgent):
        return "rested"
    if row.held_kwh[t] >= agent.capacity_kwh - VISIBLE_KWH:
        return "was full"
    return "was empty" if row.held_kwh[t] <= agent.min_soc_kwh + VISIBLE_KWH else "rested"


def _called(agent: Agent) -> str:
    return words.device_title(agent.name)


def _kw(power_kw: float) -> str:
    return words.kw(power_kw) if power_kw > VISIBLE_KW else "nothing"


def _again(planned_kw: float, came_kw: float, say: Callable[[float], str]) -> str:
    """What was planned; where it is more or less of what was done, the amount alone."""
    alike = min(abs(planned_kw), abs(came_kw)) > VISIBLE_KW and planned_kw * came_kw > 0
    return words.kw(abs(planned_kw)) if alike else say(planned_kw)


def _does(power_kw: float, verbs: tuple[str, str, str]) -> str:
    takes, gives, rests = verbs
    if abs(power_kw) <= VISIBLE_KW:
        return rests
    return f"{takes if power_kw > 0 else gives} {words.kw(abs(power_kw))}"


def _traded(power_kw: float, were: str = "") -> str:
    if abs(power_kw) <= VISIBLE_KW:
        return f"nothing{' was' if were else ''} bought or sold"
    return f"{words.kw(abs(power_kw))}{were} {'bought' if power_kw > 0 else 'sold'}"


# --- figures and tables ----------------------------------------------------------------------


def outcome_figures(rows: Sequence[Beside], ticks: Sequence[tuple[int, str]]) -> list[Markup]:
    """A figure for the sun, the other use, the devices together, the battery and the grid."""
    drawn: dict[str, list[Beside]] = {}
    for row in rows:
        single = row.agent.kind in ("generation", "grid")
        single = single or isinstance(row.agent, BaseLoadAgent | BatteryAgent)
        drawn.setdefault(row.name if single else "devices", []).append(row)
    return [_figure(group, ticks) for group in drawn.values()]


def _figure(group: Sequence[Beside], ticks: Sequence[tuple[int, str]]) -> Markup:
    title = words.listed([row.name for row in group])
    signs = {"storage": " (takes up, gives down)", "grid": " (bought up, sold down)"}
    two_way = signs.get(group[0].agent.kind, "") if len(group) == 1 else ""
    planned_kw, came_kw = (
        np.sum([getattr(row, name) for row in group], axis=0) for name in ("planned_kw", "came_kw")
    )
    return beside(
        Band(label="as it came", colour=look(group[0].agent)[0], values=came_kw),
        Band(label="in the plan", colour="plan", values=planned_kw),
        ticks,
        unit="kW",
        title=f"{title[0].upper()}{title[1:]}{two_way}",
    )


def outcome_tables(
    rows: Sequence[Beside], plan: DispatchPlan, done: DispatchPlan, clocks: Sequence[str]
) -> tuple[Table, Table]:
    """The day in sum, and hour by hour; ``clocks``: the time of each step."""
    return (
        Table(
            caption="the day in sum",
            heads=("what", "in the plan", "as it came"),
            rows=[*_sums(rows, plan, done)],
        ),
        Table(
            caption="hour by hour: power in the plan and as it came [kW]",
            heads=("time", *(f"{row.name}: {which}" for row in rows for which in ("plan", "came"))),
            rows=[
                (
                    clock,
                    *(
                        words.number(float(kw[t]), 1)
                        for row in rows
                        for kw in (row.planned_kw, row.came_kw)
                    ),
                )
                for t, clock in enumerate(clocks)
            ],
            folded=True,
        ),
    )


def _sums(
    rows: Sequence[Beside], plan: DispatchPlan, done: DispatchPlan
) -> Iterator[tuple[str, str, str]]:
    """Energies [kWh], charges at the end [kWh] and the cost [€] of the day."""
    for row in rows:
        two_way = row.agent.kind in ("storage", "grid") or isinstance(row.agent, EVAgent)
        up, down = ("bought", "sold") if row.agent.kind == "grid" else ("taken", "given")
        subject = "" if row.agent.kind == "grid" else f"{row.name}, "
        energies = [plan.horizon.energy_kwh(kw) for kw in (row.planned_kw, row.came_kw)]
        gains = [words.number(float(np.maximum(kwh, 0.0).sum()), 1) for kwh in energies]
        losses = [words.number(float(np.maximum(-kwh, 0.0).sum()), 1) for kwh in energies]
        if not two_way:
            net = [words.number(float(kwh.sum()), 1) for kwh in energies]
            yield f"{row.name} [kWh]", net[0], net[1]
            continue
        yield f"{subject}{up} [kWh]", gains[0], gains[1]
        if row.agent.kind == "grid" or {*losses} != {"0.0"}:
            yield f"{subject}{down} [kWh]", losses[0], losses[1]
    for row in rows:
        if row.agent.name in done.soc_kwh:
            planned_kwh = plan.soc_kwh.get(row.agent.name)
            yield (
                f"{row.name}, charge at the end [kWh]",
                "–" if planned_kwh is None else words.number(planned_kwh, 1),
                words.number(done.soc_kwh[row.agent.name], 1),
            )
    costs = [words.amount(settle(schedule).cost_eur) for schedule in (plan, done)]
    yield "cost [€]", costs[0], costs[1]
